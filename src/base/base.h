// SPDX-License-Identifier: BSD-3-Clause
// base/base.h: the words that every room uses.
#ifndef TZ_BASE_BASE_H
#define TZ_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef TZ_DEBUG
#define TZ_DEBUG 0
#endif

#define tz_likely(x) __builtin_expect(!!(x), 1)
#define tz_unlikely(x) __builtin_expect(!!(x), 0)
#define TZ_NOINLINE __attribute__((noinline))
#define TZ_INLINE static inline __attribute__((always_inline))
#define TZ_NORETURN __attribute__((noreturn))
#define TZ_COLD __attribute__((cold, noinline))
#define TZ_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define TZ_WEAK __attribute__((weak))
#define TZ_CACHE_LINE 64
#define TZ_ALIGNED(n) __attribute__((aligned(n)))

#define tz_countof(a) (sizeof(a) / sizeof((a)[0]))
#define tz_containerof(p, type, field)                                         \
    ((type *)((char *)(p) - offsetof(type, field)))

#define TZ_KIB ((size_t)1024)
#define TZ_MIB ((size_t)1024 * 1024)
#define TZ_GIB ((size_t)1024 * 1024 * 1024)
#define TZ_NSEC_PER_USEC INT64_C(1000)
#define TZ_NSEC_PER_MSEC INT64_C(1000000)
#define TZ_NSEC_PER_SEC INT64_C(1000000000)

// n rounded up to a multiple of `align`, a power of two. The caller has
// checked that n + align - 1 does not wrap.
TZ_INLINE size_t tz_align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

TZ_INLINE size_t tz_align_down(size_t n, size_t align)
{
    return n & ~(align - 1);
}

TZ_INLINE bool tz_is_pow2(size_t n) { return n != 0 && (n & (n - 1)) == 0; }

TZ_INLINE size_t tz_min(size_t a, size_t b) { return a < b ? a : b; }
TZ_INLINE size_t tz_max(size_t a, size_t b) { return a > b ? a : b; }

// Known mistakes of other runtimes, which a build may bring back one at a time
// (-DTZ_DEFECT_ON=TZ_D2) to see that a test notices. Never on otherwise.
enum tz_defect {
    TZ_D1 = 1,   // what a call has saved is not what the collector reads
    TZ_D2 = 2,   // many pages asked about in one mincore
    TZ_D3 = 3,   // a misplaced reservation is not given back
    TZ_D6 = 6,   // a chunk's first block is not aligned
    TZ_D7 = 7,   // large persistent blocks are not registered
    TZ_D8 = 8,   // a look, then a mapping that replaces what is there
    TZ_D9 = 9,   // an OS page is 4096 bytes
    TZ_D12 = 12, // stack memory is not remapped where it is policed
    TZ_D13 = 13, // any munmap that fails is the end
    TZ_D14 = 14, // a call lets go of its P before its state is saved
    TZ_D17 = 17, // the range is tested while our own mapping lies in it
    TZ_D18 = 18, // what is not heap is subtracted twice from the limit
    TZ_D20 = 20, // a free stack's memory goes back while the collector marks
    TZ_D101 = 101, // what was written beside the mark is not scanned again
    TZ_D102 = 102, // a goroutine runs before its stack was scanned
    TZ_D103 = 103, // who takes a root away from beside the mark does not tell
    TZ_D104 = 104 // what was loaded since the snapshot is not looked for in the stop
};
#ifndef TZ_DEFECT_ON
#define TZ_DEFECT_ON 0
#endif
#define TZ_DEFECT(d) (TZ_DEFECT_ON == (d))

// A broken invariant of the runtime: prints the reason and every goroutine,
// then raises SIGABRT. Allocates nothing and takes no lock.
TZ_NORETURN TZ_COLD void tz_throw(const char *fmt, ...) TZ_PRINTF(1, 2);

// The program's own mistake with no way back: prints `tuza: fatal: …` and
// every goroutine, then exits with status 2.
TZ_NORETURN TZ_COLD void tz_fatal(const char *fmt, ...) TZ_PRINTF(1, 2);

// TZ_CHECK is always on and cheap; TZ_DCHECK is for debug builds.
#define TZ_CHECK(cond)                                                         \
    (tz_likely(cond)                                                           \
         ? (void)0                                                             \
         : tz_throw("check failed: %s (%s:%d)", #cond, __FILE__, __LINE__))
#if TZ_DEBUG
#define TZ_DCHECK(cond) TZ_CHECK(cond)
#else
#define TZ_DCHECK(cond) ((void)sizeof(!(cond)))
#endif

#endif
