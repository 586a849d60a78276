// SPDX-License-Identifier: BSD-3-Clause
// stack/segment.c: growing through segments.
//
//     first <--prev-- second <--prev-- current --next--> kept for the next growth
//
// Each segment is a guarded stack as stack.c hands it out. Its slot value, the
// guard, lies 64 KiB above its low end: code without checks (libc, whatever is
// called by a pointer) always has that much, as address space that is not
// touched. So a program need not know what is compiled how.
//
// Sizes are geometric: each segment is at least as large as all before it, so
// that depth costs few growths and a loop over a boundary moves away from it.
// One segment is kept beyond the current one: a call that straddles a boundary
// again and again finds it there (the hot path, all in assembly).
//
// A first segment may be thin instead: a fixed stack of 2 to 8 KiB, with nothing
// in reserve, for code of which the linker has seen to it that it calls others
// on a fat segment (sched/thin.c). What grows from it is fat.
//
// An alloca that does not fit gets a stack of its own, a spill. The function
// that asked cannot say when it returns; so the guard is raised above its frame:
// the next call from there goes to the next segment, where it fits, and what was
// spilled is given back at the next look from above, or with the segment.
// 20,000 such calls cost one spill.
//
// Go 1.2's stack.c had Stktop and newstack; a segment's header is that Stktop.

#include "stack/segment.h"

#include <errno.h>

enum {
    SPILL_HEAD = 64,
    AROUND = TZ_STACK_LOST + 2048, // of the stacks we ask for; headers
    OVERHEAD = AROUND + TZ_SEG_RESERVE,
    LARGEST = 64 * 1024 * 1024 // grown to in one step, unless a frame asks
};
_Static_assert(sizeof(struct tz_spill) <= SPILL_HEAD, "a spill's header");

// Writes the header of a segment for st, of which at most `most` bytes are for
// checked frames.
static struct tz_segment *make(struct tz_stack st, void *g, size_t most)
{
    uintptr_t top = tz_align_down(st.hi - sizeof(struct tz_segment), 64);
    struct tz_segment *s = (struct tz_segment *)top;
    *s = (struct tz_segment){ .lo = st.lo, .hi = st.hi, .top = top, .g = g,
                              .magic = TZ_SEG_MAGIC };
    // A stack too small for the reserve is halved.
    s->guard = st.lo + tz_min(TZ_SEG_RESERVE, (top - st.lo) / 2);
    s->nonsplit = s->guard;
    if (top - s->guard > most)
        s->guard = top - most;
    s->first_guard = s->guard;
    s->room = top - s->guard;
    return s;
}

struct tz_segment *tz_segment_first(struct tz_stack st, void *g, unsigned thin)
{
    struct tz_segment *s = make(st, g, SIZE_MAX);
    if (thin) {
        *(uint64_t *)st.lo = TZ_STACK_CANARY;
        s->thin = (uint16_t)thin;
        s->guard = s->first_guard = st.lo + TZ_SEG_LEAST;
        s->nonsplit = UINTPTR_MAX; // no code without checks
        s->room = s->top - s->guard;
    }
    s->total = s->room;
    return s;
}

bool tz_segment_intact(const struct tz_segment *s)
{
    while (s->prev)
        s = s->prev;
    return !s->thin || *(uint64_t *)s->lo == TZ_STACK_CANARY;
}

static void weigh(struct tz_segment *s) { s->heavy = s->next || s->spills; }

static void spills_free(struct tz_stackcache *c, struct tz_segment *s,
                        uintptr_t sp)
{
    while (s->spills && s->spills->sp < sp) {
        struct tz_spill *b = s->spills;
        s->spills = b->next;
        struct tz_stack st = b->stack;
        tz_stack_put(c, &st);
    }
}

void tz_segment_unspill(struct tz_stackcache *c, struct tz_segment *s,
                        uintptr_t sp)
{
    spills_free(c, s, sp);
    if (sp == UINTPTR_MAX) {
        s->guard = s->first_guard;
        s->room = s->top - s->guard;
    }
    weigh(s);
}

void tz_segment_trim(struct tz_stackcache *c, struct tz_segment *s)
{
    struct tz_segment *n = s->next;
    s->next = NULL;
    weigh(s);
    while (n) {
        TZ_CHECK(n->magic == TZ_SEG_MAGIC && n->free);
        struct tz_segment *after = n->next;
        struct tz_stack st = { n->lo, n->hi };
        spills_free(c, n, UINTPTR_MAX);
        n->magic = 0;
        tz_stack_put(c, &st);
        n = after;
    }
}

int tz_segment_grow(struct tz_stackcache *c, struct tz_segment *cur,
                    size_t need, size_t limit)
{
    TZ_DCHECK(cur->magic == TZ_SEG_MAGIC);
    tz_segment_trim(c, cur);
    if (cur->total > limit || need > limit - cur->total)
        return -E2BIG;
    size_t left = limit - cur->total;
    size_t wanted = tz_min(tz_min(tz_max(cur->total, need), left),
                           tz_max(LARGEST - OVERHEAD, need));
    struct tz_stack st;
    while (tz_stack_get(c, wanted + OVERHEAD, cur->g, &st) != 0) {
        if (wanted <= need)
            return -ENOMEM;
        wanted = tz_max(wanted / 4, need);
    }
    struct tz_segment *n = make(st, cur->g, left);
    n->free = 1;
    n->prev = cur;
    n->total = cur->total + n->room;
    n->link = (struct tz_stack_link){ .older = tz_segment_links(cur),
                                      .from = { cur->lo, cur->hi },
                                      .to = st };
    cur->next = n;
    weigh(cur);
    TZ_CHECK(n->room >= need);
    return 0;
}

void *tz_segment_spill(struct tz_stackcache *c, struct tz_segment *s,
                       size_t size, uintptr_t sp, uintptr_t fp, size_t limit)
{
    tz_segment_unspill(c, s, sp);
    if (s->total > limit || size > limit - s->total)
        return NULL;
    struct tz_stack st;
    if (tz_stack_get(c, size + AROUND, s->g, &st) != 0)
        return NULL;
    struct tz_spill *b = (struct tz_spill *)(st.lo + 64); // past the canary
    *b = (struct tz_spill){ .next = s->spills, .sp = sp,
                             .size = size + SPILL_HEAD, .stack = st };
    s->spills = b;
    // A function entered with fp's frame had rsp at fp + 8.
    uintptr_t guard = fp > sp && fp - sp < TZ_SEG_RESERVE ? fp + 16
                                                          : sp + TZ_SEG_SMALL;
    s->guard = tz_max(s->guard, tz_min(guard, s->top));
    s->room = s->top - s->guard;
    weigh(s);
    return (char *)b + SPILL_HEAD;
}

struct tz_segment *tz_segment_at(struct tz_segment *s, uintptr_t sp)
{
    while (s && (sp < s->lo || sp > s->hi))
        s = s->prev;
    return s;
}

const char *tz_segment_check(const struct tz_segment *s, uint32_t *index)
{
    for (*index = 0; s; s = s->prev, ++*index) {
        if (s->magic != TZ_SEG_MAGIC)
            return "its header is not one";
        if (s->lo > s->guard || s->guard > s->top || s->top >= s->hi)
            return "its bounds are not in order";
        if (s->argsize % sizeof(uintptr_t))
            return "its arguments are no whole words";
        if (s->prev && (s->link.from_sp < s->prev->lo ||
                        s->link.from_sp > s->prev->hi))
            return "it was not entered from the one before it";
        if (s->prev && s->g != s->prev->g)
            return "it belongs to another goroutine";
    }
    return NULL;
}
