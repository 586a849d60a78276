/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/barrier.h: stores of pointers that the collector hears of.
 *
 * A program all of whose stores of pointers to collected objects are told to
 * the collector is stopped for a shorter time: the mark runs beside it, and what
 * a store overwrites is kept for this collection. Two ways to tell:
 *
 *   by hand      tuza_store(&node->next, other) and its like below, for every
 *                store into memory that tuza allocated over what may be a
 *                pointer, and then
 *                TUZA_CONFIG(.barrier = TUZA_BARRIER_COMPLETE);
 *   by compiler  all of the program and its libraries compiled with what
 *                `tuza-cflags --barrier` prints (docs/barrier.md), which
 *                notes that in each of them; nothing in the source.
 *
 * Neither is needed. Without, a store costs nothing; with, while no collection
 * marks, the test of one word. Stores into static and thread-local variables need
 * not be told, nor into local ones by the goroutine whose they are; into another's,
 * by way of a pointer, they do.
 *
 * All may be used anywhere: goroutines or not, also in signal handlers, and
 * before the runtime runs. None parks.
 */
#ifndef TUZA_BARRIER_H
#define TUZA_BARRIER_H

#include "tuza/base.h"

#include "tuza/barrier_amd64.h"

TUZA_BEGIN

/* For tuza_config.barrier: who says that all stores are told. */
enum {
    TUZA_BARRIER_NOTES,    /* the notes that `tuza-cflags --barrier` puts into
                              the program and its libraries, all of them */
    TUZA_BARRIER_COMPLETE, /* the program promises it, also for its libraries;
                              a store that is not told may free an object that is
                              still in use */
    TUZA_BARRIER_NONE      /* nobody: the collector does without */
};

/* What the macros below are made of. */
TUZA_API extern uint32_t tuza__barrier; /* all ones: a collection marks; else 0 */
TUZA_API __attribute__((cold)) void tuza__barrier_log(const void *p, size_t n);
TUZA_API void *tuza__barrier_exchange(void *p, void *v);
TUZA_API int tuza__barrier_cas(void *p, void *expected, void *v);
TUZA_API void *tuza__barrier_move(void *to, const void *from, size_t n,
                                  void *(*move)(void *, const void *, size_t));
TUZA_API void *tuza__barrier_hold(const void *base, size_t n);

/* What *p is, if it is read earlier in the source, is read before the flag: a mark may
 * begin between that and the store. */
#ifndef TUZA__LOG
#define TUZA__LOG(p, n) tuza__barrier_log((const void *)(p), n)
#endif
#ifndef TUZA__TELL
#define TUZA__TELL(p, n)                                                       \
    do {                                                                       \
        __asm__ volatile("" : "+m"(*(p)));                                     \
        if (__builtin_expect(*(volatile uint32_t *)&tuza__barrier != 0, 0))    \
            TUZA__LOG(p, n);                                                   \
    } while (0)
#endif

/* n bytes at p are about to be overwritten, by the caller's next statement: for
 * stores that are neither of those below. What lies between this and the store
 * may neither park nor take long: no call. */
static inline void tuza_barrier(const void *p, size_t n)
{
    __asm__ volatile("" : : : "memory");
    TUZA__TELL((char *)p, n);
}

/* memmove and memset for memory that may hold pointers. As memcpy is memmove
 * with a promise, there is only one of them. */
TUZA_API void *tuza_memmove(void *to, const void *from, size_t n);
TUZA_API void *tuza_memset(void *to, int byte, size_t n);

/* qsort for memory that may hold pointers, of which it keeps a copy meanwhile,
 * since some qsorts hold elements where the collector does not look. */
TUZA_API void tuza_qsort(void *base, size_t n, size_t size,
                         int (*compare)(const void *, const void *));

TUZA_END

#ifndef __cplusplus

/* *p = v, for any type that can be assigned. v, often a call, comes first: so p need
 * not be kept over it. */
#define tuza_store(p, v)                                                       \
    __extension__({                                                            \
        (void)TUZA__REQUIRE(TUZA__FITS(__typeof__(*(p)), v));                  \
        __typeof__(*(p)) tuza__v = (v);                                        \
        __typeof__(p) tuza__p = (p);                                           \
        TUZA__TELL(tuza__p, sizeof *tuza__p);                                  \
        *tuza__p = tuza__v;                                                    \
        (void)0;                                                               \
    })

/* *p = v, where *p holds no pointer, as in a new object: nothing is overwritten that
 * the collector should hear of, so it is the store alone. (Where *p does hold one, that
 * is a store that is not told.) */
#define tuza_store_first(p, v)                                                 \
    __extension__({                                                            \
        (void)TUZA__REQUIRE(TUZA__FITS(__typeof__(*(p)), v));                  \
        *(p) = (v);                                                            \
        (void)0;                                                               \
    })

/* n elements from `from` to `to`, which may overlap. */
#define tuza_store_range(to, from, n)                                          \
    __extension__({                                                            \
        __typeof__(&(to)[0]) tuza__to = (to);                                  \
        const __typeof__(*tuza__to) *tuza__from = (from);                      \
        (void)TUZA__REQUIRE(TUZA__FITS(__typeof__(*tuza__to), *(from)));       \
        (void)tuza_memmove((void *)tuza__to, tuza__from,                       \
                           (size_t)(n) * sizeof *tuza__to);                    \
    })

/* Sequentially consistent, for words: *p = v; the old value of *p, which becomes
 * v; whether *p was *expected and is now v, else *expected is what it was. */
#define tuza_store_atomic(p, v) ((void)tuza_exchange(p, v))
#define tuza_exchange(p, v)                                                    \
    __extension__({                                                            \
        __typeof__(p) tuza__p = (p);                                           \
        (void)TUZA__REQUIRE(sizeof *tuza__p == sizeof(void *) &&               \
                            TUZA__FITS(__typeof__(*tuza__p), v));              \
        __typeof__(*tuza__p) tuza__v = (v);                                    \
        (__typeof__(*tuza__p))tuza__barrier_exchange((void *)tuza__p,          \
                                                     (void *)tuza__v);         \
    })
#define tuza_cas(p, expected, v)                                               \
    __extension__({                                                            \
        __typeof__(p) tuza__p = (p);                                           \
        __typeof__(*tuza__p) *tuza__x = (expected);                            \
        (void)TUZA__REQUIRE(sizeof *tuza__p == sizeof(void *) &&               \
                            TUZA__FITS(__typeof__(*tuza__p), *(expected)) &&   \
                            TUZA__FITS(__typeof__(*tuza__p), v));              \
        __typeof__(*tuza__p) tuza__v = (v);                                    \
        tuza__barrier_cas((void *)tuza__p, (void *)tuza__x, (void *)tuza__v);  \
    })

#else

template <class T> struct tuza__same {
    typedef T type;
};

template <class T>
inline void tuza_store(T *p, typename tuza__same<T>::type v)
{
    TUZA__TELL(p, sizeof *p);
    *p = v;
}

template <class T>
inline void tuza_store_first(T *p, typename tuza__same<T>::type v)
{
    *p = v;
}

template <class T>
inline void tuza_store_range(T *to, const typename tuza__same<T>::type *from,
                             size_t n)
{
    static_assert(__is_trivially_copyable(T), "copied as bytes");
    tuza_memmove((void *)to, (const void *)from, n * sizeof *to);
}

template <class T>
inline T tuza_exchange(T *p, typename tuza__same<T>::type v)
{
    static_assert(sizeof *p == sizeof(void *), "of words");
    return (T)tuza__barrier_exchange((void *)p, (void *)v);
}

template <class T>
inline void tuza_store_atomic(T *p, typename tuza__same<T>::type v)
{
    (void)tuza_exchange(p, v);
}

template <class T>
inline int tuza_cas(T *p, typename tuza__same<T>::type *expected,
                    typename tuza__same<T>::type v)
{
    static_assert(sizeof *p == sizeof(void *), "of words");
    return tuza__barrier_cas((void *)p, (void *)expected, (void *)v);
}

#endif

#endif
