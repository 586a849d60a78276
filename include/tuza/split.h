/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/split.h: stacks that grow, for programs compiled with -fsplit-stack.
 *
 * Optional, x86-64 with glibc: `pkg-config --cflags --libs tuza-split` gives
 * the flags. Such code looks in each function's prologue whether its frame
 * fits, and goes on in another segment when not; a goroutine's depth is then
 * limited by memory and TUZASTACKMAX alone. With gold or lld and TUZASTACK=2K
 * such goroutines may begin on 2 KiB. docs/split.md tells the rest.
 */
#ifndef TUZA_SPLIT_H
#define TUZA_SPLIT_H

#include "tuza/base.h"

TUZA_BEGIN

/* Whether goroutines that have run for 10 ms are made to yield where they next
 * call a split function; initially not. Only for programs that keep to this:
 * no pthread lock, stdio lock or address of a __thread variable is held across
 * a call of a split function, because it may continue on another thread. From
 * any thread, at any time. Does not park. */
TUZA_API void tuza_split_preempt(int on);

/* Segments of the calling goroutine that are in use, its first stack included;
 * 0 without split code in the process, or outside of a goroutine. Does not
 * park. */
TUZA_API int tuza_split_segments(void);

/* How the split library, which is a part of the program, finds this one. Not
 * for programs. */
struct tz_split_record;
TUZA_API void tuza__split_attach(struct tz_split_record *record);

TUZA_END

#endif
