// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_init_arm.c: the first frame of a new context on arm.
//
// Builds by hand what tz_ctx_switch leaves on a stack, with tz_ctx_start as
// the place to go on, so that a first run and a resume are the same jump. A
// zero control word is the default.

#include "arch/ctx.h"

extern char tz_ctx_start[] __attribute__((visibility("hidden")));

// There is one way to treat the control word.
void tz_ctx_setup(bool shared) { (void)shared; }

void tz_ctx_init(struct tz_ctx *ctx, uintptr_t top, void (*entry)(void *),
                 void *arg)
{
    TZ_DCHECK(top % 16 == 0);
    char *frame = (char *)(top - 16 - TZ_FRAME_SIZE);
    uintptr_t *word = (uintptr_t *)frame;
    for (size_t i = 0; i < (16 + TZ_FRAME_SIZE) / sizeof *word; i++)
        word[i] = 0;
    word[TZ_FRAME_R4 / sizeof *word] = (uintptr_t)entry;
    word[TZ_FRAME_R5 / sizeof *word] = (uintptr_t)arg;
    word[TZ_FRAME_PC / sizeof *word] = (uintptr_t)tz_ctx_start + TZ_START_SKIP;
    ctx->sp = (uintptr_t)frame;
}
