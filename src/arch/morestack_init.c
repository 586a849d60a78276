// SPDX-License-Identifier: BSD-3-Clause
// arch/morestack_init.c: makes the split library and libtuza known to each
// other, and follows C++ exceptions. Part of libtuza_split.a.
//
// Each executable or shared library with split code has a copy of this, with a
// record of its own. The constructor runs before the others of its object,
// which may be split code.
//
// An exception leaves segments without returning from them. The unwinder asks
// the personality of each frame that it passes for good; that of a frame of
// __morestack makes the segment below current again.

#include <cpuid.h>
#include <unwind.h>

#include "arch/morestack.h"
#include "tuza.h"

#define HIDDEN __attribute__((visibility("hidden")))

extern HIDDEN char tuza_split_text_begin[], tuza_split_text_end[],
    tuza_split_jump_begin[], tuza_split_jump_end[];

// Whoever has __morestack has this too, before libgcc's is looked for.
extern HIDDEN char __wrap_pthread_create[];
__attribute__((used)) static char *const wrap = __wrap_pthread_create;

extern HIDDEN struct tz_split_record tuza_split_record;
HIDDEN struct tz_split_record tuza_split_record;

enum {
    FXSAVE_BYTES = 512,
    XSAVE_BIT = 1 << 27,    // of cpuid 1: the system has switched XSAVE on
    XSAVE_LEAF = 13,
    XSAVE_STATES = 0xe7,    // x87, SSE, AVX, AVX-512
    RBX = 3                 // its number in DWARF
};

// Where the entries of morestack_entry_amd64.S go on, in their order.
extern HIDDEN void (*const tuza_split_calls[])(void);
#define TO(f) (void (*)(void))(f)
HIDDEN void (*const tuza_split_calls[])(void) = {
    TO(tuza_chan_send),      TO(tuza_chan_recv),
    TO(tuza_chan_try_send),  TO(tuza_chan_try_recv),
    TO(tuza_chan_close),     TO(tuza_mutex_lock),
    TO(tuza_mutex_trylock),  TO(tuza_mutex_unlock),
    TO(tuza_waitgroup_add),  TO(tuza_waitgroup_done),
    TO(tuza_waitgroup_wait), TO(tuza_sleep),
    TO(tuza_yield),          TO(tuza_goexit),
    TO(tuza_now),            TO(tuza_goid),
    TO(tuza_chan_select),
};

// Split code that calls plain code, and what it calls.
extern HIDDEN const unsigned char tuza_split_probe[];
HIDDEN void tuza_split_plain(void);
HIDDEN void tuza_split_plain(void) {}
enum { STC = 0xf9 };

static void find_vector_state(struct tz_split_record *r)
{
    unsigned a, b, c, d;
    r->xsave_size = FXSAVE_BYTES;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & XSAVE_BIT) ||
        !__get_cpuid_count(XSAVE_LEAF, 0, &a, &b, &c, &d))
        return;
    r->xsave_size = (b + 63) & ~63u; // for all that the system has enabled
    r->xsave_mask = a & XSAVE_STATES;
}

__attribute__((constructor(101))) static void attach(void)
{
    struct tz_split_record *r = &tuza_split_record;
    r->version = TZ_SPLIT_VERSION;
    r->text[0].lo = (uintptr_t)tuza_split_text_begin;
    r->text[0].hi = (uintptr_t)tuza_split_text_end;
    r->text[1].lo = (uintptr_t)tuza_split_jump_begin;
    r->text[1].hi = (uintptr_t)tuza_split_jump_end;
    r->converted = tuza_split_probe[0] == STC;
    find_vector_state(r);
    tuza__split_attach(r);
}

HIDDEN _Unwind_Reason_Code tuza_split_personality(
    int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
    struct _Unwind_Exception *e, struct _Unwind_Context *context);

HIDDEN _Unwind_Reason_Code tuza_split_personality(
    int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
    struct _Unwind_Exception *e, struct _Unwind_Context *context)
{
    (void)version, (void)cls, (void)e;
    void *segment = (void *)_Unwind_GetGR(context, RBX);
    if ((actions & _UA_CLEANUP_PHASE) && segment)
        tuza_split_record.unwound(segment);
    return _URC_CONTINUE_UNWIND;
}
