/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza: the Go runtime as a C library. Includes every public header
 * but tuza/errno.h.
 *
 * Calls return >= 0, or a negative errno such as -ENOMEM. They never set or
 * need `errno`: a goroutine may resume on another thread, and compilers keep
 * the address of the old thread's errno across the call. For the same reason
 * read errno, and addresses of __thread variables, anew after every call that
 * "may park" (each comment says so). tuza/errno.h makes `errno` do that.
 */
#ifndef TUZA_H
#define TUZA_H

#include "tuza/barrier.h"
#include "tuza/base.h"
#include "tuza/chan.h"
#include "tuza/debug.h"
#include "tuza/gc.h"
#include "tuza/go.h"
#include "tuza/limit.h"
#include "tuza/mem.h"
#include "tuza/metrics.h"
#include "tuza/os.h"
#include "tuza/run.h"
#include "tuza/split.h"
#include "tuza/stack.h"
#include "tuza/stats.h"
#include "tuza/sync.h"
#include "tuza/syscall.h"
#include "tuza/thread.h"
#include "tuza/time.h"

#endif
