// SPDX-License-Identifier: BSD-3-Clause
// sched/thin.c: goroutines that begin on a segment of 2 to 8 KiB.
//
// For very many that mostly wait. Such a segment has nothing in reserve for code
// without checks, so three things must be so, else goroutines get what they get
// otherwise:
//
//     each object with split code is from a linker that  a probe in the split
//       makes callers of plain code grow (gold, lld)     library tells
//     libtuza is bound before it runs                    its dynamic section
//     the goroutine's function is split code, and        its first bytes
//       calls no plain code itself
//
// It is a fixed stack (stack/stackpool.h): memory of the heap with no guard, but
// a canary. What waits is called by way of morestack_entry_amd64.S and has what
// it needs. A goroutine grows from there as from any first segment, and stays in
// the next one until it returns from it.
//
// Such a stack is never handed on from one goroutine to the next.

#include "base/print.h"
#include "os/lock.h"
#include "sched/proc.h"
#include "sched/split.h"
#include "stack/stackpool.h"

enum { SMALLEST = 2 * 1024, PLAIN = 16 * 1024 };
static uint32_t refused; // atomic; set before main, or by dlopen

void tz_thin_refuse(void)
{
    tz_store_rlx(&refused, 1);
    tz_store_rlx(&tz_sched.thin, 0);
}

static const char *why_not(void)
{
    if (tz_load_rlx(&refused))
        return "calls of plain code are not converted: link with gold or lld";
    if (TZ_DEBUG)
        return "this is a debug build of libtuza, which needs more";
    if (!tz_slot_calls_bound())
        return "libtuza is bound lazily: link with -z now";
    return NULL;
}

size_t tz_thin_init(size_t size)
{
    if (size == 0 || size >= PLAIN || !tz_load_rlx(&tz_sched.split))
        return size;
    const char *why = why_not();
    unsigned order = tz_stackpool_order(SMALLEST);
    while (order + 1 < TZ_STACK_ORDERS && tz_stackpool_size(order) < size)
        order++;
    if (why || tz_stackpool_size(order) < size) {
        tz_print("tuza: stacks of %zu bytes: %s; they have %zu KiB\n", size,
                 why ? why : "none are between 8 and 16 KiB",
                 tz_stack_default() / 1024);
        return 0;
    }
    tz_store_rlx(&tz_sched.thin, order + 1);
    return 0;
}

// Nothing is read beyond the first difference: the code may end there.
static bool begins(const unsigned char *code, const unsigned char *with,
                   size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (code[i] != with[i])
            return false;
    return true;
}

// Whether a function begins as split code that its linker has not converted:
//     cmp %fs:0x70, %rsp
//     lea -frame(%rsp), %r11; cmp %fs:0x70, %r11
static bool split_entry(void (*fn)(void *))
{
    static const unsigned char small[] = { 0x64, 0x48, 0x3b, 0x24, 0x25,
                                           TZ_SLOT, 0, 0, 0 };
    static const unsigned char lea[] = { 0x4c, 0x8d, 0x9c, 0x24 };
    static const unsigned char large[] = { 0x64, 0x4c, 0x3b, 0x1c, 0x25,
                                           TZ_SLOT, 0, 0, 0 };
    const unsigned char *p = (const unsigned char *)(uintptr_t)fn;
    if (begins(p, small, sizeof small))
        return true;
    return begins(p, lea, sizeof lea) &&
           begins(p + sizeof lea + 4, large, sizeof large);
}

bool tz_thin_wanted(const struct tz_g *g)
{
    return g->id != 1 && g->args_size <= TZ_G_ARGS && split_entry(g->fn) &&
           tz_load_rlx(&tz_sched.thin);
}

struct op {
    struct tz_stackcache *c;
    unsigned order;
    uintptr_t lo; // 0: none was to be had
};

static void get(void *arg)
{
    struct op *o = arg;
    if (tz_stackpool_get(o->c, o->order, &o->lo) != 0)
        o->lo = 0;
}

static void put(void *arg)
{
    const struct op *o = arg;
    tz_stackpool_put(o->c, o->order, o->lo);
}

uintptr_t tz_thin_first(struct tz_stackcache *c, struct tz_g *g)
{
    uint32_t thin = tz_load_rlx(&tz_sched.thin);
    struct op o = { .c = c, .order = thin ? thin - 1 : TZ_STACK_ORDERS - 1 };
    tz_system_stack(get, &o);
    if (!o.lo)
        return 0;
    g->stack = (struct tz_stack){ o.lo, o.lo + tz_stackpool_size(o.order) };
    g->seg = tz_segment_first(g->stack, g, o.order + 1);
    return g->seg->top;
}

void tz_thin_put(struct tz_stackcache *c, struct tz_g *g)
{
    struct op o = { .c = c, .order = g->seg->thin - 1u, .lo = g->stack.lo };
    g->seg->magic = 0;
    g->stack = (struct tz_stack){ 0, 0 };
    tz_system_stack(put, &o);
}
