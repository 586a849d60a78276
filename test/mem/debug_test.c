// SPDX-License-Identifier: BSD-3-Clause
// test: no-tsan
// test/mem/debug_test.c: the heap's debug modes: what is gone is never used
// again, and faults.

#include <sys/mman.h>

#include "gc/dying.h"
#include "mem/bury.h"
#include "mem/mcentral.h"
#include "os/vm.h"
#include "os/vm_hook.h"

enum { SIZES = 6, ROUNDS = 300 };
static const size_t sizes[SIZES] = { 16, 48, 512, 1024, 5000, 70000 };

// Addresses that were given out, hidden from the collector; sorted in the end.
static uintptr_t given[64 * 1024];
static int ngiven;

static void note(void *p, size_t size)
{
    need(p != NULL);
    memset(p, 0, size);
    need(ngiven < (int)(sizeof given / sizeof given[0]));
    given[ngiven++] = ~(uintptr_t)p;
}

static int compare(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static int given_twice(void)
{
    int n = 0;
    qsort(given, (size_t)ngiven, sizeof given[0], compare);
    for (int i = 1; i < ngiven; i++)
        n += given[i] == given[i - 1];
    return n;
}

static void sweep_all(void)
{
    tz_crit_enter();
    while (tz_central_sweep_one() || !tz_central_swept())
        ;
    tz_crit_leave();
}

// Objects of all sizes that are forgotten or freed, a collection now and then.
static void come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < SIZES; k++) {
            note(tuza_alloc(sizes[k]), sizes[k]);
            note(tuza_alloc_bytes(sizes[k]), sizes[k]);
            void *p = tuza_alloc(sizes[k]);
            note(p, sizes[k]);
            tuza_free(p);
            p = tuza_alloc_uncollectable(sizes[k]);
            note(p, sizes[k]);
            tuza_free(p);
        }
        if (i % 50 == 49)
            tuza_gc();
        if (i % 100 == 99)
            sweep_all();
    }
}

static int churn(int argc, char **argv)
{
    (void)argc, (void)argv;
    elsewhere(come_and_go, NULL);
    return 0;
}

// Freed and swept memory is used again, as ever: so the tests below can fail.
START_TEST(without_a_mode_addresses_come_again)
{
    api_run(churn, 1);
    ck_assert_int_gt(given_twice(), ngiven / 2);
}
END_TEST

START_TEST(what_is_gone_is_never_used_again)
{
    setenv("TUZADEBUG", "neverfree=1", 1);
    api_run(churn, 1);
    ck_assert_int_eq(given_twice(), 0);
    struct tz_heap_stats s;
    tz_heap_stats_read(&s);
    uint64_t sum = 0; // it stays accounted
    for (int k = 0; k < SIZES; k++)
        sum += sizes[k] * ROUNDS * 4;
    ck_assert_uint_ge(s.inuse, sum);
}
END_TEST

START_TEST(with_a_page_per_object_none_is_used_again)
{
    setenv("TUZADEBUG", "pageperobject=1", 1);
    api_run(churn, 1);
    ck_assert_int_eq(given_twice(), 0);
    for (int i = 0; i < ngiven; i++)
        ck_assert_uint_eq(~given[i] % TZ_PAGE_SIZE, 0);
}
END_TEST

// --- a program that uses what is alive, in all modes

struct node {
    struct node *left, *right;
    uint64_t value;
};
static const tuza_type node_type = TUZA_TYPE(struct node, left, right);
static struct node *volatile tree;

static struct node *grow_tree(int depth)
{
    struct node *n = depth % 2 ? tuza_new(struct node)
                               : tuza_alloc_typed(&node_type, 1);
    n->value = (uint64_t)depth;
    if (depth) {
        n->left = grow_tree(depth - 1);
        n->right = grow_tree(depth - 1);
    }
    return n;
}

static uint64_t sum_of(const struct node *n)
{
    return n ? n->value + sum_of(n->left) + sum_of(n->right) : 0;
}

static void cut(struct node *n)
{
    if (!n->left)
        return;
    cut(n->left);
    cut(n->right);
    tuza_free(n->left);
    tuza_free(n->right);
    n->left = n->right = NULL;
}

static void worker(void *arg)
{
    tuza_waitgroup *done = arg;
    for (int i = 0; i < 4; i++) {
        struct node *n = grow_tree(7);
        need_eq(sum_of(n), 247);
        if (i % 2)
            cut(n);
        memset(tuza_alloc(100 * 1000), 1, 100 * 1000);
    }
    tuza_waitgroup_done(done);
}

static int trees(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 4; i++) {
        static tuza_waitgroup done;
        tuza_waitgroup_add(&done, 3);
        tree = grow_tree(9);
        for (int k = 0; k < 3; k++)
            need_eq(tuza_spawn(worker, &done), 0);
        tuza_gc();
        need_eq(sum_of(tree), 1013);
        tuza_waitgroup_wait(&done);
        need_eq(sum_of(tree), 1013);
        cut(tree);
    }
    return 0;
}

static const char *const modes[] = {
    "neverfree=1", "neverfree=1,clobberfree=1", "pageperobject=1",
    "clobberfree=1", "pageperobject=1,clobberfree=1,neverfree=0",
    "neverfree=1,gcevery=97,gccheckmark=1",
    "pageperobject=1,gcevery=97,gccheckmark=1",
    "clobberfree=1,gcevery=97,gccheckmark=1",
};

START_TEST(a_right_program_works_in_every_mode)
{
    setenv("TUZADEBUG", modes[_i], 1);
    api_run(trees, 2);
}
END_TEST

// --- what is seen after the end

static uint64_t *dead[8];

static void die_in_many_ways(void *arg)
{
    (void)arg;
    for (int k = 0; k < 8; k++) {
        size_t size = sizes[k % SIZES];
        uint64_t *p = k % 2 ? tuza_alloc(size) : tuza_alloc_bytes(size);
        p[0] = p[1] = 1;
        dead[k] = (uint64_t *)~(uintptr_t)p;
        tuza_free(p);
    }
}

static int freed_is_overwritten(int argc, char **argv)
{
    (void)argc, (void)argv;
    elsewhere(die_in_many_ways, NULL);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 8; k++) {
            volatile uint64_t *p = (uint64_t *)~(uintptr_t)dead[k];
            need_eq(p[0], UINT64_C(0xdbdbdbdbdbdbdbdb));
            need_eq(p[1], UINT64_C(0xdbdbdbdbdbdbdbdb));
            need_eq(tuza_object_of((void *)p, NULL), 0);
        }
        elsewhere(come_and_go, NULL);
    }
    return 0;
}

START_TEST(what_is_freed_by_hand_is_overwritten_for_good)
{
    setenv("TUZADEBUG", "neverfree=1,clobberfree=1", 1);
    api_run(freed_is_overwritten, 1);
}
END_TEST

static int free_twice(int argc, char **argv)
{
    (void)argc, (void)argv;
    void *p = tuza_alloc(48);
    tuza_free(p);
    ngiven = 0;
    elsewhere(come_and_go, NULL);
    tuza_free(p);
    return 0;
}

static void free_twice_child(void)
{
    setenv("TUZADEBUG", "neverfree=1", 1);
    api_run(free_twice, 1);
}

START_TEST(a_second_free_is_always_noticed)
{
    static const char *const texts[] = {
        "tuza_free: 0x", "was freed before, or never allocated", NULL
    };
    api_ended_with(api_child(free_twice_child, 25), 2, texts);
}
END_TEST

static int use_freed(int argc, char **argv)
{
    (void)argc, (void)argv;
    volatile char *p = tuza_alloc(48);
    p[47] = 1;
    tuza_free((void *)p);
    p[16] = 1;
    return 0;
}

static void use_freed_child(void)
{
    setenv("TUZADEBUG", "pageperobject=1", 1);
    api_run(use_freed, 1);
}

START_TEST(using_what_was_freed_is_told)
{
    static const char *const texts[] = {
        "tuza: fatal: use after free: goroutine 1 (", ") accesses 0x",
        ", byte 16 of the object of 48 bytes at 0x",
        ", which was freed by tuza_free", "goroutine 1 [running", NULL
    };
    api_ended_with(api_child(use_freed_child, 25), 2, texts);
}
END_TEST

static uintptr_t forgotten[100];

static void forget(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        forgotten[i] = ~(uintptr_t)memset(tuza_alloc(1000), 1, 1000);
}

static int use_swept(int argc, char **argv)
{
    (void)argc, (void)argv;
    elsewhere(forget, NULL);
    tuza_gc();
    sweep_all();
    for (int i = 0; i < 100; i++)
        if (!tuza_object_of((void *)~forgotten[i], NULL))
            return *(volatile char *)~forgotten[i]; // most of them, certainly
    return 1;
}

static void use_swept_child(void)
{
    setenv("TUZADEBUG", "pageperobject=1", 1);
    api_run(use_swept, 1);
}

START_TEST(using_what_was_swept_is_told)
{
    static const char *const texts[] = {
        "use after free: goroutine 1 (",
        ", byte 0 of the object of 1000 bytes at 0x",
        ", which was swept: a collection has found nothing that leads to it",
        NULL
    };
    api_ended_with(api_child(use_swept_child, 25), 2, texts);
}
END_TEST

static int use_behind(int argc, char **argv)
{
    (void)argc, (void)argv;
    volatile char *p = tuza_alloc_bytes(40000);
    tuza_free((void *)p);
    return p[40008];
}

static void use_behind_child(void)
{
    setenv("TUZADEBUG", "pageperobject=1", 1);
    api_run(use_behind, 1);
}

START_TEST(an_address_behind_it_is_told_as_such)
{
    static const char *const texts[] = {
        "8 bytes behind the object of 40000 bytes at 0x", NULL
    };
    api_ended_with(api_child(use_behind_child, 25), 2, texts);
}
END_TEST

// Another bad pointer is no use after free.
static int use_nothing(int argc, char **argv)
{
    (void)argc, (void)argv;
    volatile size_t far = (size_t)1 << 38;
    volatile char *p = tuza_alloc_bytes(40000);
    return p[far];
}

static void use_nothing_child(void)
{
    setenv("TUZADEBUG", "pageperobject=1", 1);
    api_run(use_nothing, 1);
}

START_TEST(another_bad_pointer_is_not_called_one)
{
    struct api_ended *e = api_child(use_nothing_child, 25);
    ck_assert_int_ne(e->status, 0);
    ck_assert_ptr_null(strstr(e->text, "use after free"));
}
END_TEST

// --- a system that does not protect

static int refuse_map(void *addr, size_t n, int prot, int flags, void **out)
{
    void *p = mmap(addr, n, prot, flags, -1, 0);
    *out = p;
    return p == MAP_FAILED ? errno : 0;
}
static int refuse_unmap(void *addr, size_t n)
{
    return munmap(addr, n) ? errno : 0;
}
static int refuse_protect(void *addr, size_t n, int prot)
{
    return prot == PROT_NONE ? ENOMEM : mprotect(addr, n, prot) ? errno : 0;
}
static int refuse_advise(void *addr, size_t n, int advice)
{
    return advice > 100 ? EINVAL : madvise(addr, n, advice) ? errno : 0;
}

static void refused_child(void)
{
    struct tz_vm_hooks hooks = { refuse_map, refuse_unmap, refuse_protect,
                                 refuse_advise };
    need_eq(tz_vm_set_hooks(&hooks), 0);
    setenv("TUZADEBUG", "pageperobject=1", 1);
    api_run(freed_is_overwritten, 1);
}

START_TEST(where_protection_is_refused_it_is_overwritten_and_told_once)
{
    static const char *const texts[] = {
        "tuza: TUZADEBUG: pageperobject: memory cannot be made to fault (", NULL
    };
    struct api_ended *e = api_child(refused_child, 25);
    api_ended_with(e, 0, texts);
    ck_assert_int_eq(api_count_lines(e->text, "cannot be made to fault"), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("debug");
    TCase *t = tcase_create("modes");
    tcase_add_test(t, without_a_mode_addresses_come_again);
    tcase_add_test(t, what_is_gone_is_never_used_again);
    tcase_add_test(t, with_a_page_per_object_none_is_used_again);
    tcase_add_loop_test(t, a_right_program_works_in_every_mode, 0,
                        sizeof modes / sizeof modes[0]);
    tcase_add_test(t, what_is_freed_by_hand_is_overwritten_for_good);
    tcase_add_test(t, a_second_free_is_always_noticed);
    tcase_add_test(t, using_what_was_freed_is_told);
    tcase_add_test(t, using_what_was_swept_is_told);
    tcase_add_test(t, an_address_behind_it_is_told_as_such);
    tcase_add_test(t, another_bad_pointer_is_not_called_one);
    tcase_add_test(t, where_protection_is_refused_it_is_overwritten_and_told_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
