// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/stack/random_test.c: a million random gets and puts of stacks of all
// sizes, from two Ps, through collections; what must hold is looked at after
// each.

#include "base/rand.h"
#include "base/san.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "stack/slabpool.h"
#include "stack/stackcache.h"
#include "stack_check.h"

enum { PS = 2, ROUNDS = TZ_TSAN ? 20 : 100, OPS = 5000, HELD = 300, KINDS = 8 };

// A stack that a P holds: of an order, or of a class.
struct held {
    unsigned kind; // orders, then classes
    uintptr_t lo;  // 0: none
    struct tz_stack st;
};

static struct p {
    struct tz_stackcache *cache;
    struct held held[HELD];
    uint64_t seed;
} p[PS];

static pthread_barrier_t barrier;
static uint64_t seed_of_all;

static const size_t class_size[] = { 16 * TZ_KIB, 64 * TZ_KIB, 256 * TZ_KIB,
                                     16 * TZ_MIB };

// What a stack holds is its holder's.
static void sign(struct held *h, size_t size)
{
    *(uintptr_t *)h->lo = (uintptr_t)h;
    *(uintptr_t *)(h->lo + size - 8) = ~(uintptr_t)h;
}

static void check_signed(const struct held *h, size_t size)
{
    if (*(uintptr_t *)h->lo != (uintptr_t)h ||
        *(uintptr_t *)(h->lo + size - 8) != ~(uintptr_t)h)
        ck_abort_msg("seed %" PRIu64 ": stack %p of kind %u is not its "
                     "holder's", seed_of_all, (void *)h->lo, h->kind);
}

static size_t usable(const struct held *h)
{
    return h->kind < TZ_STACK_ORDERS ? tz_stackpool_size(h->kind)
                                     : h->st.hi - h->st.lo;
}

static void get(struct tz_stackcache *c, struct held *h, unsigned kind)
{
    h->kind = kind;
    if (kind < TZ_STACK_ORDERS) {
        ck_assert_int_eq(tz_stackpool_get(c, kind, &h->lo), 0);
    } else {
        h->st = stack_get(c, class_size[kind - TZ_STACK_ORDERS], h);
        h->lo = h->st.lo;
    }
    sign(h, usable(h));
}

static void put(struct tz_stackcache *c, struct held *h)
{
    check_signed(h, usable(h));
    if (h->kind < TZ_STACK_ORDERS)
        tz_stackpool_put(c, h->kind, h->lo);
    else
        tz_stack_put(c, &h->st);
    h->lo = 0;
}

// Mostly small ones; a large one now and then.
static unsigned some_kind(uint64_t r)
{
    if (r % 64 == 0)
        return KINDS - 1;
    if (r % 4)
        return r / 4 % TZ_STACK_ORDERS;
    return TZ_STACK_ORDERS + (unsigned)(r / 4) % (KINDS - 1 - TZ_STACK_ORDERS);
}

static void play(struct p *me, bool end)
{
    for (int n = 0; n < OPS; n++) {
        uint64_t r = tz_rand_next(&me->seed);
        struct held *h = &me->held[(end ? (uint64_t)n : r) % HELD];
        struct tz_stackcache *c = r >> 32 & 3 ? me->cache : NULL;
        if (h->lo)
            put(c, h);
        else if (!end)
            get(c, h, some_kind(r >> 40));
        tz_stackpool_check(1);
        tz_slabpool_check(1);
    }
}

// Between two barriers the world is stopped.
static void collect(int round, uint64_t *mapped)
{
    tz_stackpool_check(UINT32_MAX);
    tz_slabpool_check(UINT32_MAX);
    struct tz_stack_stats s = stack_stats();
    switch (round % 4) {
    case 1:
        tz_stack_gc_begin();
        *mapped = s.sys;
        break;
    case 2: // nothing has gone while it marked
        ck_assert_uint_ge(s.sys, *mapped);
        ck_assert(!tz_slabpool_unmap(true) && !tz_slabpool_trim(true));
        tz_stack_gc_end();
        break;
    case 3:
        tz_stack_give_back();
        break;
    }
}

static void *run(void *arg)
{
    struct p *me = arg;
    uint64_t mapped = 0;
    for (int round = 0; round < ROUNDS; round++) {
        play(me, round == ROUNDS - 1);
        pthread_barrier_wait(&barrier);
        if (me == p)
            collect(round, &mapped);
        pthread_barrier_wait(&barrier);
        while (me != p && round % 4 == 0 && tz_slabpool_trim(false))
            ; // as the watching thread does
    }
    return NULL;
}

START_TEST(s1_18_every_list_is_whole_after_each_of_a_million_operations)
{
    const char *given = getenv("TEST_SEED");
    seed_of_all = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("stack/random: TEST_SEED=%" PRIu64 "\n", seed_of_all);
    tz_central_init();
    ck_assert_int_eq(tz_heap_init(), 0);
    tz_stack_init(0, 0);
    pthread_barrier_init(&barrier, NULL, PS);
    pthread_t t[PS];
    for (int i = 0; i < PS; i++) {
        p[i].cache = tz_stackcache_make();
        p[i].seed = seed_of_all + (uint64_t)i;
        pthread_create(&t[i], NULL, run, &p[i]);
    }
    for (int i = 0; i < PS; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(stack_inuse(), 0);
    for (int i = 0; i < 3; i++) {
        tz_stack_gc_begin();
        tz_stack_gc_end();
    }
    tz_stack_give_back();
    ck_assert_uint_eq(stack_sys(), 0); // all of it, the caches' too
    struct tz_vm_stats vm;
    tz_vm_stats_read(&vm);
    ck_assert_uint_eq(vm.ready[TZ_VM_STACK], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stack/random");
    TCase *tc = tcase_create("random");
    tcase_set_timeout(tc, 200);
    tcase_add_test(
        tc, s1_18_every_list_is_whole_after_each_of_a_million_operations);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
