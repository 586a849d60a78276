// SPDX-License-Identifier: BSD-3-Clause
// stack/segment.h: the chain of stacks that one goroutine grows through.
//
// Only for programs with split code (docs/split.md). Layout of a segment:
//
//     lo          guard                            top    hi
//     | reserve   | frames of checked code         | header |
//       64 KiB,     <---- grows down                 this struct
//       for code
//       without checks
#ifndef TZ_STACK_SEGMENT_H
#define TZ_STACK_SEGMENT_H

#include "arch/morestack.h"
#include "stack/link.h"

// What may be used below the guard by the checked code itself.
enum {
    TZ_SEG_SMALL = 256,   // frames this small are compared without their size
    TZ_SEG_REDZONE = 128, // of a leaf function
    TZ_SEG_PUSHED = 112,  // what __morestack pushes before it has a stack
    TZ_SEG_LEAST = TZ_SEG_THIN, // so no guard is nearer to the low end than this
    TZ_SEG_RESERVE = TZ_SPLIT_RESERVE
};
_Static_assert(TZ_SEG_SMALL + TZ_SEG_REDZONE + TZ_SEG_PUSHED <= TZ_SEG_LEAST,
               "what runs unchecked fits under the guard");
_Static_assert(TZ_SEG_RESERVE >= 48 * 1024,
               "the deepest call of libc that was measured fits there");
_Static_assert(TZ_SEG_PUSHED >= sizeof(struct tz_split_call) + 8,
               "what __morestack pushes");

// An alloca that did not fit: near the low end of a stack of its own.
struct tz_spill {
    struct tz_spill *next; // older
    uintptr_t sp;          // of the function that asked
    size_t size;           // bytes of it, this header included
    struct tz_stack stack;
};

// Owned by the goroutine; the collector reads it while the world is stopped.
// __morestack reads and writes it too: arch/morestack.h has the offsets.
struct tz_segment {
    uintptr_t guard;  // what the slot holds while this is the current one
    uintptr_t lo, hi; // where a stack pointer may be
    uintptr_t top;    // this header; where frames begin
    uintptr_t room;   // top - guard
    struct tz_segment *prev; // left for this one; NULL: the first
    struct tz_segment *next; // not in use, for the next growth; or NULL
    void *g;                 // whose
    uintptr_t heavy;  // nonzero: leaving it gives something back
    // Where prev was left; valid while in use, but for what is const.
    struct tz_stack_link link; // only from_sp changes
    uintptr_t pc;              // of the function's body
    uintptr_t argsize, argp;   // its stack arguments, there
    uintptr_t nonsplit;    // down to here unchecked code may be called
    uintptr_t first_guard; // guard when nothing has been spilled
    struct tz_spill *spills; // youngest first
    uintptr_t total;       // bytes that may be used, of all up to this one
    uint16_t free;         // to be given back when left: not the first
    uint16_t thin;         // 1 + the order of the fixed stack that it is
    uint32_t magic;
};

enum { TZ_SEG_MAGIC = 0x5e65e65e };

// What the G's links are while s is the current segment.
TZ_INLINE struct tz_stack_link *tz_segment_links(struct tz_segment *s)
{
    return s->prev ? &s->link : NULL;
}

// Makes the header of a goroutine's first segment, at the high end of st. thin:
// 0, or 1 + the order of the fixed stack that st is; its low end gets a canary.
struct tz_segment *tz_segment_first(struct tz_stack st, void *g, unsigned thin);

// Whether the canary at the low end of the first segment, of the chain that s
// belongs to, is there: true if that is no thin one.
bool tz_segment_intact(const struct tz_segment *s);

// Makes cur->next a segment in which a frame of `need` bytes fits, from c (NULL
// allowed) or the pool; what cur->next was is given back. limit: bytes of all
// segments together. 0, -ENOMEM, or -E2BIG beyond the limit. On the system
// stack.
int tz_segment_grow(struct tz_stackcache *c, struct tz_segment *cur,
                    size_t need, size_t limit);

// Gives all segments beyond s back.
void tz_segment_trim(struct tz_stackcache *c, struct tz_segment *s);

// Memory for an alloca of `size` bytes by a function whose stack pointer is sp,
// frame pointer fp; NULL when it is refused or beyond the limit. From then on
// calls from that depth or below go to the next segment.
void *tz_segment_spill(struct tz_stackcache *c, struct tz_segment *s,
                       size_t size, uintptr_t sp, uintptr_t fp, size_t limit);

// Gives back what was spilled in s by functions that have returned: whose stack
// pointer was below sp. UINTPTR_MAX: everything, and the guard is the first.
void tz_segment_unspill(struct tz_stackcache *c, struct tz_segment *s,
                        uintptr_t sp);

// s or the nearest older segment that sp lies in; NULL: none.
struct tz_segment *tz_segment_at(struct tz_segment *s, uintptr_t sp);

// What is wrong with the chain up to s, for a report; NULL: nothing. *index
// counts from s.
const char *tz_segment_check(const struct tz_segment *s, uint32_t *index);

#endif
