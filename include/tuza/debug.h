/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/debug.h: what goroutines do, where processor time goes, and who allocates.
 *
 * SIGQUIT (ctrl-\ on a terminal) prints every goroutine on standard error, as
 * tuza_dump does, and ends the process with status 2, unless the program
 * ignored or handled SIGQUIT when the runtime was started.
 */
#ifndef TUZA_DEBUG_H
#define TUZA_DEBUG_H

#include "tuza/base.h"

TUZA_BEGIN

/* Writes all goroutines to fd in the form of Go's dumps, which panicparse and
 * the like read: number, state, minutes of waiting, label, frames, and who
 * created it where. The others run on meanwhile: what is written of each is
 * true of some moment. One that runs on another thread has no frames; only the
 * first 1000 have any. Two dumps at once: the frames of one have no names.
 * 0, or the negative errno of a write. Does not park, but blocks the thread in
 * write. From any thread, and from signal handlers. */
TUZA_API int tuza_dump(int fd);

/* Starts to take samples of all threads that run goroutines, hz times for each
 * second of processor time that a thread uses (0: 100; 1000 at most). What is
 * seen is written to fd by tuza_cpuprofile_stop, in the format of pprof:
 *
 *     go tool pprof -top FILE
 *
 * Sample values are counts and nanoseconds of processor time; a goroutine's
 * label is the label "goroutine" and must stay as it is until the stop.
 * Functions have names; inlined ones are a part of their caller. Threads other
 * than those, the collector's helpers included, are not in. Uses SIGPROF: a
 * handler that the program has gets those that are not ours, and threads where
 * it is blocked are not seen. Samples that come faster than they can be kept
 * are counted in a comment.
 *
 * start: 0; -EBUSY while another profile is taken, -EINVAL for a rate that
 * cannot be or before the runtime runs, -EBADF, -ENOSYS where threads have no
 * such timers. stop: 0; -EINVAL when there is none; -ENOMEM or the negative
 * errno of a write, and the profile is gone. From goroutines and plain threads.
 * Neither parks; stop blocks the thread while it reads symbol tables and
 * writes. A process that ends without a stop writes nothing. */
TUZA_API int tuza_cpuprofile_start(int fd, int hz);
TUZA_API int tuza_cpuprofile_stop(void);

/* The heap profile: where what is in use was allocated, from samples. Of each
 * `bytes` allocated one byte is drawn, on average, and the object that has it is
 * a sample: an object of n bytes with the probability 1 - exp(-n / bytes). Its
 * stack is kept, and whether it lives. 1: every object; 0: none, the default.
 * TUZADEBUG=memprofilerate=524288 sets Go's rate from the start.
 *
 * The new rate holds for what is allocated from now on; what was sampled before
 * keeps its own. Stops the world for a moment. Returns the rate until now; a
 * negative number changes nothing. From a goroutine; does not park. */
TUZA_API int64_t tuza_heap_profile_rate(int64_t bytes);

/* Writes the heap profile in the format of pprof:
 *
 *     go tool pprof -sample_index=inuse_space -top FILE
 *
 * For each stack and size of object: alloc_objects, alloc_space (bytes), of all
 * that was ever allocated, and inuse_objects, inuse_space, of what is not freed;
 * all are estimates for the whole heap, scaled from the samples. They are those
 * of the end of the last collection, when it was known what lives: tuza_gc()
 * before it shows what is in use now. Before the first collection they are those
 * of the moment. Sizes are those of size classes. Stacks have up to 64 frames,
 * and names as in CPU profiles; goroutines and other threads (of which there are
 * uncollectable objects only) are not told apart. tuza_heap_summary (tuza/gc.h)
 * prints the same as text.
 *
 * 0; -EINVAL before the runtime runs, -EBADF, -ENOMEM or the negative errno of a
 * write. From goroutines and plain threads. Does not park, but blocks the thread
 * while it reads symbol tables and writes. */
TUZA_API int tuza_heap_profile(int fd);

TUZA_END

#endif
