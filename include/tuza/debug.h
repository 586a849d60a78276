/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/debug.h: what goroutines do, and where processor time goes.
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

TUZA_END

#endif
