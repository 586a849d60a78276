/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/go.h: goroutines. */
#ifndef TUZA_GO_H
#define TUZA_GO_H

#include "tuza/base.h"

TUZA_BEGIN

/* Declares a function that tuza_go can start, with up to 8 typed arguments:
 *
 *     tuza_fn(worker, int, id, tuza_chan(int), jobs) { …; }
 *
 * is the body of an ordinary `static void worker(int id, … jobs)`. */
#define tuza_fn(...) TUZA__CAT(TUZA__FN_, TUZA__NARG(__VA_ARGS__))(__VA_ARGS__)

/* Starts a goroutine: tuza_go(worker, 1, jobs). The arguments are evaluated
 * now and copied; a wrong type does not compile. Runs soon, in any order, on
 * any thread. 0, or -ENOMEM. Does not park. */
#define tuza_go(...) TUZA__CAT(TUZA__GO_, TUZA__NARG(__VA_ARGS__))(__VA_ARGS__)

/* Starts fn(arg) as a goroutine. 0, or -ENOMEM. Does not park. */
#define tuza_spawn(fn, arg) tuza_spawn_at(fn, arg, TUZA__HERE)
TUZA_API int tuza_spawn_at(void (*fn)(void *arg), void *arg, const char *site);

/* Starts fn(copy) as a goroutine, where copy is `size` bytes copied from args
 * now and valid until fn returns. `name` is what reports call fn; name and
 * site are kept as they are. What tuza_go uses. 0, or -ENOMEM. */
TUZA_API int tuza_spawn_copy(void (*fn)(void *args), const void *args,
                             size_t size, const char *name, const char *site);

/* Lets other goroutines run. May park. */
TUZA_API void tuza_yield(void) TUZA__SPLIT("yield");

/* Ends the calling goroutine. In the main goroutine: the others go on, and the
 * process ends with status 0 … never by itself: when all the others have ended
 * too, that is a deadlock and reported as such. */
TUZA_API TUZA_NORETURN void tuza_goexit(void) TUZA__SPLIT("goexit");

/* The calling goroutine's number, from 1 (the main goroutine) upward and never
 * used again; 0 on a thread that is not running one. */
TUZA_API uint64_t tuza_goid(void) TUZA__SPLIT("goid");

/* A name for reports, kept as it is (a literal, say); NULL takes it away. */
TUZA_API void tuza_set_label(const char *label);

TUZA_END

/* The machinery of tuza_fn and tuza_go: a struct of the arguments, a function
 * that unpacks it, and one that packs and starts. */
#define TUZA__FN_HEAD(name, fields, params)                                    \
    struct name##_tuza_args fields;                                            \
    static void name params;                                                   \
    static void name##_tuza_run(void *tuza__p)
/* Always inlined: whose call of tuza_spawn_copy it is, reports tell. */
#define TUZA__PACK __attribute__((unused, always_inline)) static inline int
#define TUZA__FN_PACK(name, params, ...)                                       \
    TUZA__PACK name##_tuza_go params                                           \
    {                                                                          \
        struct name##_tuza_args tuza__a = { __VA_ARGS__ };                     \
        return tuza_spawn_copy(name##_tuza_run, &tuza__a, sizeof tuza__a,      \
                               #name, tuza__site);                             \
    }
#define TUZA__A(name)                                                          \
    __attribute__((unused)) struct name##_tuza_args *tuza__a =                 \
        (struct name##_tuza_args *)tuza__p
#define TUZA__S const char *tuza__site

#define TUZA__FN_1(f)                                                          \
    static void f(void);                                                       \
    static void f##_tuza_run(__attribute__((unused)) void *tuza__p) { f(); }   \
    TUZA__PACK f##_tuza_go(TUZA__S)                                            \
    {                                                                          \
        return tuza_spawn_copy(f##_tuza_run, 0, 0, #f, tuza__site);            \
    }                                                                          \
    static void f(void)
#define TUZA__FN_3(f, t1, n1)                                                  \
    typedef t1 f##_tuza_t1;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; }, (t1 n1))                                      \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1);                                                        \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1), n1)                                     \
    static void f(t1 n1)
#define TUZA__FN_5(f, t1, n1, t2, n2)                                          \
    typedef t1 f##_tuza_t1;                                                    \
    typedef t2 f##_tuza_t2;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; t2 n2; }, (t1 n1, t2 n2))                        \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1, tuza__a->n2);                                           \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1, t2 n2), n1, n2)                          \
    static void f(t1 n1, t2 n2)
#define TUZA__FN_7(f, t1, n1, t2, n2, t3, n3)                                  \
    typedef t1 f##_tuza_t1;                                                    \
    typedef t2 f##_tuza_t2;                                                    \
    typedef t3 f##_tuza_t3;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; t2 n2; t3 n3; }, (t1 n1, t2 n2, t3 n3))          \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1, tuza__a->n2, tuza__a->n3);                              \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1, t2 n2, t3 n3), n1, n2, n3)               \
    static void f(t1 n1, t2 n2, t3 n3)
#define TUZA__FN_9(f, t1, n1, t2, n2, t3, n3, t4, n4)                          \
    typedef t1 f##_tuza_t1;                                                    \
    typedef t2 f##_tuza_t2;                                                    \
    typedef t3 f##_tuza_t3;                                                    \
    typedef t4 f##_tuza_t4;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; t2 n2; t3 n3; t4 n4; }, (t1 n1, t2 n2, t3        \
        n3, t4 n4))                                                            \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1, tuza__a->n2, tuza__a->n3, tuza__a->n4);                 \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1, t2 n2, t3 n3, t4 n4), n1, n2, n3, n4)    \
    static void f(t1 n1, t2 n2, t3 n3, t4 n4)
#define TUZA__FN_11(f, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5)                 \
    typedef t1 f##_tuza_t1;                                                    \
    typedef t2 f##_tuza_t2;                                                    \
    typedef t3 f##_tuza_t3;                                                    \
    typedef t4 f##_tuza_t4;                                                    \
    typedef t5 f##_tuza_t5;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; t2 n2; t3 n3; t4 n4; t5 n5; }, (t1 n1, t2        \
        n2, t3 n3, t4 n4, t5 n5))                                              \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1, tuza__a->n2, tuza__a->n3, tuza__a->n4, tuza__a->n5);    \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1, t2 n2, t3 n3, t4 n4, t5 n5), n1,         \
        n2, n3, n4, n5)                                                        \
    static void f(t1 n1, t2 n2, t3 n3, t4 n4, t5 n5)
#define TUZA__FN_13(f, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5, t6, n6)         \
    typedef t1 f##_tuza_t1;                                                    \
    typedef t2 f##_tuza_t2;                                                    \
    typedef t3 f##_tuza_t3;                                                    \
    typedef t4 f##_tuza_t4;                                                    \
    typedef t5 f##_tuza_t5;                                                    \
    typedef t6 f##_tuza_t6;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; t2 n2; t3 n3; t4 n4; t5 n5; t6 n6; }, (t1        \
        n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6))                                \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1, tuza__a->n2, tuza__a->n3, tuza__a->n4,                  \
            tuza__a->n5, tuza__a->n6);                                         \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6),      \
        n1, n2, n3, n4, n5, n6)                                                \
    static void f(t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6)
#define TUZA__FN_15(f, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5, t6, n6,         \
    t7, n7)                                                                    \
    typedef t1 f##_tuza_t1;                                                    \
    typedef t2 f##_tuza_t2;                                                    \
    typedef t3 f##_tuza_t3;                                                    \
    typedef t4 f##_tuza_t4;                                                    \
    typedef t5 f##_tuza_t5;                                                    \
    typedef t6 f##_tuza_t6;                                                    \
    typedef t7 f##_tuza_t7;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; t2 n2; t3 n3; t4 n4; t5 n5; t6 n6; t7 n7;        \
        }, (t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6, t7 n7))                  \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1, tuza__a->n2, tuza__a->n3, tuza__a->n4,                  \
            tuza__a->n5, tuza__a->n6, tuza__a->n7);                            \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6,       \
        t7 n7), n1, n2, n3, n4, n5, n6, n7)                                    \
    static void f(t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6, t7 n7)
#define TUZA__FN_17(f, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5, t6, n6,         \
    t7, n7, t8, n8)                                                            \
    typedef t1 f##_tuza_t1;                                                    \
    typedef t2 f##_tuza_t2;                                                    \
    typedef t3 f##_tuza_t3;                                                    \
    typedef t4 f##_tuza_t4;                                                    \
    typedef t5 f##_tuza_t5;                                                    \
    typedef t6 f##_tuza_t6;                                                    \
    typedef t7 f##_tuza_t7;                                                    \
    typedef t8 f##_tuza_t8;                                                    \
    TUZA__FN_HEAD(f, { t1 n1; t2 n2; t3 n3; t4 n4; t5 n5; t6 n6; t7 n7;        \
        t8 n8; }, (t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6, t7 n7, t8 n8))    \
    {                                                                          \
        TUZA__A(f);                                                            \
        f(tuza__a->n1, tuza__a->n2, tuza__a->n3, tuza__a->n4,                  \
            tuza__a->n5, tuza__a->n6, tuza__a->n7, tuza__a->n8);               \
    }                                                                          \
    TUZA__FN_PACK(f, (TUZA__S, t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6,       \
        t7 n7, t8 n8), n1, n2, n3, n4, n5, n6, n7, n8)                         \
    static void f(t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6, t7 n7, t8 n8)

#ifdef __cplusplus
#define TUZA__ARG(f, i, a) (a)
#else
#define TUZA__ARG(f, i, a)                                                     \
    (TUZA__REQUIRE(TUZA__FITS(f##_tuza_t##i, a)) ? (a) : (a))
#endif

#define TUZA__GO_1(f) f##_tuza_go(TUZA__HERE)
#define TUZA__GO_2(f, a1)                                                      \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1))
#define TUZA__GO_3(f, a1, a2)                                                  \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1), TUZA__ARG(f, 2, a2))
#define TUZA__GO_4(f, a1, a2, a3)                                              \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1), TUZA__ARG(f, 2, a2),          \
                TUZA__ARG(f, 3, a3))
#define TUZA__GO_5(f, a1, a2, a3, a4)                                          \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1), TUZA__ARG(f, 2, a2),          \
                TUZA__ARG(f, 3, a3), TUZA__ARG(f, 4, a4))
#define TUZA__GO_6(f, a1, a2, a3, a4, a5)                                      \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1), TUZA__ARG(f, 2, a2),          \
                TUZA__ARG(f, 3, a3), TUZA__ARG(f, 4, a4),                      \
                TUZA__ARG(f, 5, a5))
#define TUZA__GO_7(f, a1, a2, a3, a4, a5, a6)                                  \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1), TUZA__ARG(f, 2, a2),          \
                TUZA__ARG(f, 3, a3), TUZA__ARG(f, 4, a4),                      \
                TUZA__ARG(f, 5, a5), TUZA__ARG(f, 6, a6))
#define TUZA__GO_8(f, a1, a2, a3, a4, a5, a6, a7)                              \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1), TUZA__ARG(f, 2, a2),          \
                TUZA__ARG(f, 3, a3), TUZA__ARG(f, 4, a4),                      \
                TUZA__ARG(f, 5, a5), TUZA__ARG(f, 6, a6),                      \
                TUZA__ARG(f, 7, a7))
#define TUZA__GO_9(f, a1, a2, a3, a4, a5, a6, a7, a8)                          \
    f##_tuza_go(TUZA__HERE, TUZA__ARG(f, 1, a1), TUZA__ARG(f, 2, a2),          \
                TUZA__ARG(f, 3, a3), TUZA__ARG(f, 4, a4),                      \
                TUZA__ARG(f, 5, a5), TUZA__ARG(f, 6, a6),                      \
                TUZA__ARG(f, 7, a7), TUZA__ARG(f, 8, a8))

#endif
