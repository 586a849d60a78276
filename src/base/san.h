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

#endif
