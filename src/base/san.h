// SPDX-License-Identifier: BSD-3-Clause
// base/san.h: what the sanitizers must be told. Empty in ordinary builds.
//
// ASan and TSan each follow a stack of their own per thread and must hear of
// every switch; both must hear when memory that the heap hands out is fresh.
#ifndef TZ_BASE_SAN_H
#define TZ_BASE_SAN_H

#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__)
#define TZ_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TZ_ASAN 1
#endif
#endif
#ifndef TZ_ASAN
#define TZ_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define TZ_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TZ_TSAN 1
#endif
#endif
#ifndef TZ_TSAN
#define TZ_TSAN 0
#endif

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define TZ_MSAN 1
#endif
#endif
#ifndef TZ_MSAN
#define TZ_MSAN 0
#endif

// Whether a sanitizer keeps addresses for itself that look free, and loses its
// own memory when something is forced there.
#define TZ_SAN_OWNS_ADDRESSES (TZ_ASAN || TZ_TSAN || TZ_MSAN)

// A function that reads memory the program does not know about (a scan of
// stacks), or that runs in the stop signal's handler.
#define TZ_NO_SANITIZE                                                         \
    __attribute__((no_sanitize("address", "thread", "undefined")))

#if TZ_ASAN
void __sanitizer_start_switch_fiber(void **save, const void *lo, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **lo, size_t *size);
void __asan_poison_memory_region(const volatile void *p, size_t n);
void __asan_unpoison_memory_region(const volatile void *p, size_t n);
#define tz_san_poison(p, n) __asan_poison_memory_region(p, n)
#define tz_san_unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define tz_san_poison(p, n) ((void)(p), (void)(n))
#define tz_san_unpoison(p, n) ((void)(p), (void)(n))
#endif

#if TZ_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_set_fiber_name(void *fiber, const char *name);
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void __tsan_java_init(unsigned long heap_begin, unsigned long heap_size);
void __tsan_java_alloc(unsigned long ptr, unsigned long size);
void __tsan_java_free(unsigned long ptr, unsigned long size);
#define tz_san_acquire(p) __tsan_acquire(p)
#define tz_san_release(p) __tsan_release(p)
#else
#define tz_san_acquire(p) ((void)(p))
#define tz_san_release(p) ((void)(p))
#endif

// --- memory from the system, by whole OS pages: what tools must hear of it
//
// fresh: zeroed memory, or memory that is to be used again. freed: still mapped
// and not to be read. forget: about to be unmapped; whoever gets the address
// next must not find what is known about it. Objects are the heap's business
// (tz_san_poison).

#if TZ_MSAN
void __msan_unpoison(const volatile void *p, size_t n);
void __msan_poison(const volatile void *p, size_t n);
#define tz_san_msan_fresh(p, n) __msan_unpoison(p, n)
#define tz_san_msan_freed(p, n) __msan_poison(p, n)
#else
#define tz_san_msan_fresh(p, n) ((void)(p), (void)(n))
#define tz_san_msan_freed(p, n) ((void)(p), (void)(n))
#endif

// A few instructions that do nothing outside Valgrind.
#if defined(__has_include) && !defined(TZ_NO_VALGRIND)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define TZ_VALGRIND 1
#endif
#endif
#ifdef TZ_VALGRIND
#define tz_san_vg_fresh(p, n) ((void)VALGRIND_MAKE_MEM_DEFINED(p, n))
#define tz_san_vg_freed(p, n) ((void)VALGRIND_MAKE_MEM_NOACCESS(p, n))
// [lo, hi) is a stack: going there is a switch, not a call or a return.
#define tz_san_stack(lo, hi)                                                   \
    ((void)VALGRIND_STACK_REGISTER((void *)(lo), (void *)((hi)-1)))
// Of a registered stack it does not see that a jump into it uses [top - n, top).
#define tz_san_on_valgrind() (RUNNING_ON_VALGRIND != 0)
#define tz_san_stack_used(top, n)                                              \
    ((void)VALGRIND_MAKE_MEM_UNDEFINED((void *)((top) - (n)), n))
#else
#define tz_san_stack(lo, hi) ((void)(lo), (void)(hi))
#define tz_san_on_valgrind() false
#define tz_san_stack_used(top, n) ((void)(top))
#define TZ_VALGRIND 0
#define tz_san_vg_fresh(p, n) ((void)(p), (void)(n))
#define tz_san_vg_freed(p, n) ((void)(p), (void)(n))
#endif

#define tz_san_fresh(p, n)                                                     \
    do {                                                                       \
        tz_san_unpoison(p, n);                                                 \
        tz_san_msan_fresh(p, n);                                               \
        tz_san_vg_fresh(p, n);                                                 \
    } while (0)
#define tz_san_freed(p, n)                                                     \
    do {                                                                       \
        tz_san_msan_freed(p, n);                                               \
        tz_san_vg_freed(p, n);                                                 \
    } while (0)
#define tz_san_forget(p, n)                                                    \
    do {                                                                       \
        tz_san_unpoison(p, n);                                                 \
        tz_san_msan_fresh(p, n);                                               \
    } while (0)

#endif
