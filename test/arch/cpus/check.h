// SPDX-License-Identifier: BSD-3-Clause
// test/arch/cpus/check.h: what test/arch/ctx_test.c uses of libcheck, for CPUs
// for which there is no package of it. Each test runs in a process of its own,
// which an assertion that fails ends.
#ifndef TEST_ARCH_CPUS_CHECK_H
#define TEST_ARCH_CPUS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    const char *name;
    void (*fn)(int);
} TTest;

enum { CHECK_MOST = 64, CHECK_SECONDS = 60 };
typedef struct {
    const TTest *test[CHECK_MOST];
    int n, failed;
} Suite;
typedef Suite TCase;
typedef Suite SRunner;
enum { CK_FORK, CK_NORMAL };

static Suite check_suite;

static inline Suite *suite_create(const char *name)
{
    printf("%s\n", name);
    return &check_suite;
}

static inline TCase *tcase_create(const char *name)
{
    (void)name;
    return &check_suite;
}

static inline void tcase_set_tags(TCase *c, const char *tags)
{
    (void)c, (void)tags;
}

static inline void tcase_add_test(TCase *c, const TTest *t)
{
    if (c->n == CHECK_MOST)
        abort();
    c->test[c->n++] = t;
}

static inline void suite_add_tcase(Suite *s, TCase *c) { (void)s, (void)c; }
static inline SRunner *srunner_create(Suite *s) { return s; }
static inline void srunner_set_fork_status(SRunner *r, int s)
{
    (void)r, (void)s;
}

static inline int srunner_ntests_failed(const SRunner *r) { return r->failed; }
static inline void srunner_free(SRunner *r) { (void)r; }

static inline void srunner_run_all(SRunner *r, int how)
{
    (void)how;
    for (int i = 0, status; i < r->n; i++) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(CHECK_SECONDS);
            r->test[i]->fn(0);
            exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            printf("failed: %s\n", r->test[i]->name);
            r->failed++;
        }
    }
    printf("%d tests, %d failed\n", r->n, r->failed);
}

#define START_TEST(test)                                                       \
    static void test##_fn(int check_i);                                        \
    static const TTest test##_test = { #test, test##_fn };                     \
    static const TTest *const test = &test##_test;                             \
    static void test##_fn(int check_i)                                         \
    {                                                                          \
        (void)check_i;
#define END_TEST }

#define ck_abort_msg(...)                                                      \
    do {                                                                       \
        printf("%s:%d: ", __FILE__, __LINE__);                                 \
        printf(__VA_ARGS__);                                                   \
        printf("\n");                                                          \
        exit(1);                                                               \
    } while (0)
#define ck_assert_msg(e, ...)                                                  \
    do {                                                                       \
        if (!(e))                                                              \
            ck_abort_msg(__VA_ARGS__);                                         \
    } while (0)
#define ck_assert(e) ck_assert_msg(e, "%s", #e)
#define CHECK_COMPARE(type, format, a, op, b)                                  \
    do {                                                                       \
        type check_a = (type)(a);                                              \
        type check_b = (type)(b);                                              \
        ck_assert_msg(check_a op check_b,                                      \
                      "%s " #op " %s: " format " and " format, #a, #b,         \
                      check_a, check_b);                                       \
    } while (0)
#define ck_assert_int_eq(a, b) CHECK_COMPARE(long long, "%lld", a, ==, b)
#define ck_assert_int_ne(a, b) CHECK_COMPARE(long long, "%lld", a, !=, b)
#define ck_assert_int_ge(a, b) CHECK_COMPARE(long long, "%lld", a, >=, b)
#define ck_assert_int_gt(a, b) CHECK_COMPARE(long long, "%lld", a, >, b)
#define ck_assert_int_le(a, b) CHECK_COMPARE(long long, "%lld", a, <=, b)
#define ck_assert_uint_eq(a, b)                                                \
    CHECK_COMPARE(unsigned long long, "%llu", a, ==, b)
#define ck_assert_uint_lt(a, b)                                                \
    CHECK_COMPARE(unsigned long long, "%llu", a, <, b)
#define ck_assert_ptr_eq(a, b) CHECK_COMPARE(const void *, "%p", a, ==, b)
#define ck_assert_ptr_nonnull(a) ck_assert((a) != NULL)
#define ck_assert_str_eq(a, b) ck_assert(strcmp(a, b) == 0)

#endif
