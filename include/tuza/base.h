/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/base.h: what the other public headers share. */
#ifndef TUZA_BASE_H
#define TUZA_BASE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define TUZA_API __attribute__((visibility("default")))
#define TUZA_NORETURN __attribute__((noreturn))

/* Split code that is compiled with -DTUZA_SPLIT calls some functions by way of
 * libtuza_split.a, so that it may wait on a thin segment (tuza/split.h). */
#ifdef TUZA_SPLIT
#define TUZA__SPLIT(name) __asm__("tuza__split_" name)
#else
#define TUZA__SPLIT(name)
#endif

#ifdef __cplusplus
#define TUZA_BEGIN extern "C" {
#define TUZA_END }
#else
#define TUZA_BEGIN
#define TUZA_END
#endif

/* "file.c:12" of the line where it stands. */
#define TUZA__HERE __FILE__ ":" TUZA__STR(__LINE__)
#define TUZA__STR(x) TUZA__STR_(x)
#define TUZA__STR_(x) #x

#define TUZA__CAT(a, b) TUZA__CAT_(a, b)
#define TUZA__CAT_(a, b) a##b

/* How many arguments, 1 to 17. */
#define TUZA__NARG(...)                                                        \
    TUZA__NARG_(__VA_ARGS__, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, \
                3, 2, 1, 0)
#define TUZA__NARG_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13,    \
                    a14, a15, a16, a17, n, ...)                                \
    n

/* A compile error unless the constant `ok` holds; an expression of type int.
 */
#define TUZA__REQUIRE(ok) ((int)sizeof(char[(ok) ? 1 : -1]) - 1)

#ifndef __cplusplus
/* Whether a value of e's type may initialise a T without a cast: numbers
 * convert to numbers, pointers to the same pointee (const may be added), and
 * void pointers both ways. C compilers only warn about the rest; a value of
 * the wrong type in a channel or a goroutine's arguments must not compile.
 */
#define TUZA__FITS(T, e)                                                       \
    (__builtin_types_compatible_p(T, __typeof__(((void)0, (e)))) ||            \
     (TUZA__IS_NUMBER(*(__typeof__(T) *)0) && TUZA__IS_NUMBER(e)) ||           \
     (TUZA__IS_POINTER(*(__typeof__(T) *)0) && TUZA__IS_POINTER(e) &&          \
      (TUZA__POINTEES_MATCH(*(__typeof__(T) *)0, e) ||                         \
       TUZA__IS_VOIDP(*(__typeof__(T) *)0) || TUZA__IS_VOIDP(e))))
#define TUZA__CLASS(e) __builtin_classify_type(e)
#define TUZA__IS_NUMBER(e)                                                     \
    (TUZA__CLASS(e) == 1 || TUZA__CLASS(e) == 2 || TUZA__CLASS(e) == 3 ||      \
     TUZA__CLASS(e) == 4 || TUZA__CLASS(e) == 8)
#define TUZA__IS_POINTER(e) (TUZA__CLASS(e) == 5)
#define TUZA__POINTEE(e)                                                       \
    __typeof__(*__builtin_choose_expr(TUZA__IS_POINTER(e), (e), (char **)0))
#define TUZA__POINTEES_MATCH(a, b)                                             \
    __builtin_types_compatible_p(TUZA__POINTEE(a), TUZA__POINTEE(b))
#define TUZA__IS_VOIDP(e)                                                      \
    (__builtin_types_compatible_p(TUZA__POINTEE(e), void) ||                   \
     __builtin_types_compatible_p(TUZA__POINTEE(e), const void))
#endif

#endif
