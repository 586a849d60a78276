// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_init_amd64.c: the first frame of a new context on amd64.
//
// Builds by hand what tz_ctx_switch leaves on a stack, with tz_ctx_start as
// the place to go on, so that a first run and a resume are the same jump. And
// chooses how a switch treats MXCSR.

#include <cpuid.h>

#include "arch/ctx.h"

_Static_assert(offsetof(struct tz_arch, control) == 0, "layout");

extern char tz_ctx_start[] __attribute__((visibility("hidden")));

struct tz_arch tz_arch = { .control = TZ_CONTROL_COMPARE };

// Where loading an MXCSR that differs costs nothing. On others it may empty
// the pipeline, and sticky flags alone are a difference.
static bool loads_mxcsr_fast(void)
{
    enum { ZEN5 = 0x1a };
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx ||
        c != signature_AMD_ecx || d != signature_AMD_edx ||
        !__get_cpuid(1, &a, &b, &c, &d))
        return false;
    unsigned family = a >> 8 & 0xf;
    if (family == 0xf)
        family += a >> 20 & 0xff;
    return family >= ZEN5;
}

void tz_ctx_setup(bool shared)
{
    tz_arch.control = shared               ? TZ_CONTROL_SHARED
                      : loads_mxcsr_fast() ? TZ_CONTROL_LOAD
                                           : TZ_CONTROL_COMPARE;
}

void tz_ctx_init(struct tz_ctx *ctx, uintptr_t top, void (*entry)(void *),
                 void *arg)
{
    TZ_DCHECK(top % 16 == 0);
    // After the return address is popped, rsp = top - 16: aligned for a call.
    char *frame = (char *)(top - 16 - TZ_FRAME_SIZE);
    uintptr_t *word = (uintptr_t *)frame;
    for (size_t i = 0; i < (16 + TZ_FRAME_SIZE) / sizeof *word; i++)
        word[i] = 0;
    word[TZ_FRAME_CONTROL / 8] =
        TZ_MXCSR_DEFAULT | (uintptr_t)TZ_FPUCW_DEFAULT << 32;
    word[TZ_FRAME_R12 / 8] = (uintptr_t)arg;
    word[TZ_FRAME_RBX / 8] = (uintptr_t)entry;
    word[TZ_FRAME_PC / 8] = (uintptr_t)tz_ctx_start + TZ_START_SKIP;
    ctx->sp = (uintptr_t)frame;
}
