// SPDX-License-Identifier: BSD-3-Clause
// model/include/base/san.h: no sanitizer. The sources are instrumented as for
// ThreadSanitizer, but its calls are the explorer's own (race.c).
#ifndef TZ_BASE_SAN_H
#define TZ_BASE_SAN_H

#include "base/base.h"

#define TZ_ASAN 0
#define TZ_TSAN 0
#define TZ_MSAN 0
#define TZ_VALGRIND 0
#define TZ_SAN_OWNS_ADDRESSES 0
#define TZ_NO_SANITIZE
#define tz_san_acquire(p) ((void)(p))
#define tz_san_release(p) ((void)(p))
#define tz_san_poison(p, n) ((void)(p), (void)(n))
#define tz_san_unpoison(p, n) ((void)(p), (void)(n))
#define tz_san_fresh(p, n) ((void)(p), (void)(n))
#define tz_san_freed(p, n) ((void)(p), (void)(n))
#define tz_san_forget(p, n) ((void)(p), (void)(n))

#endif
