// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/stack/stack_test.c: handing out stacks: sizes, order, bounds, counts.

#include "stack_check.h"

START_TEST(every_size_gets_the_smallest_class_that_holds_it)
{
    static const struct {
        size_t size, want;
    } table[] = {
        { 1, 16 * TZ_KIB },           { 16 * TZ_KIB, 16 * TZ_KIB },
        { 16 * TZ_KIB + 1, 64 * TZ_KIB }, { 64 * TZ_KIB, 64 * TZ_KIB },
        { 65 * TZ_KIB, 256 * TZ_KIB }, { 256 * TZ_KIB, 256 * TZ_KIB },
        { 257 * TZ_KIB, TZ_MIB },     { TZ_MIB + 1, 8 * TZ_MIB },
        { 9 * TZ_MIB, 16 * TZ_MIB },  { 65 * TZ_MIB, 128 * TZ_MIB },
        { TZ_GIB, TZ_GIB },           { 0, 256 * TZ_KIB }, // the default
    };
    tz_stack_init(0, 0);
    for (size_t i = 0; i < tz_countof(table); i++) {
        struct tz_stack st = stack_get(NULL, table[i].size, NULL);
        struct tz_slab *s = slab_at(st.lo);
        ck_assert_uint_eq(tz_slab_stride(s), table[i].want);
        ck_assert_uint_eq(stack_inuse(), table[i].want);
        *(volatile char *)st.lo = 1;
        *(volatile char *)(st.hi - 1) = 1;
        tz_stack_put(NULL, &st);
        ck_assert_uint_eq(st.lo | st.hi, 0);
        ck_assert_uint_eq(stack_inuse(), 0);
    }
    struct tz_stack st = { 1, 2 };
    ck_assert_int_eq(tz_stack_get(NULL, TZ_GIB + 1, NULL, &st), -ENOMEM);
    ck_assert_int_eq(tz_stack_get(NULL, SIZE_MAX, NULL, &st), -ENOMEM);
    ck_assert_uint_eq(st.lo, 1); // written on success only
}
END_TEST

START_TEST(the_default_size_can_be_set)
{
    tz_stack_init(64 * TZ_KIB, 0);
    struct tz_stack st = stack_get(NULL, 0, NULL);
    ck_assert_uint_eq(tz_slab_stride(slab_at(st.lo)), 64 * TZ_KIB);
}
END_TEST

START_TEST(the_stack_put_last_is_got_first)
{
    tz_stack_init(0, 0);
    struct tz_stackcache *c = tz_stackcache_make();
    struct tz_stack st[40], was[40];
    for (int i = 0; i < 40; i++)
        st[i] = was[i] = stack_get(c, 0, NULL);
    for (int i = 0; i < 40; i++)
        tz_stack_put(c, &st[i]);
    for (int i = 40; i-- > 0;) {
        struct tz_stack again = stack_get(c, 0, NULL);
        ck_assert_uint_eq(again.lo, was[i].lo);
        ck_assert_uint_eq(again.hi, was[i].hi);
    }
}
END_TEST

START_TEST(a_used_stack_goes_before_one_that_is_new)
{
    tz_stack_init(0, 0);
    struct tz_stack st[100];
    for (int i = 0; i < 100; i++)
        st[i] = stack_get(NULL, 0, NULL);
    for (int i = 0; i < 50; i++)
        tz_stack_put(NULL, &st[2 * i]);
    uint64_t unused = stack_stats().unused;
    for (int i = 0; i < 50; i++)
        stack_get(NULL, 0, NULL);
    ck_assert_uint_eq(stack_stats().unused, unused);
    ck_assert_uint_eq(stack_stats().hot, 0);
}
END_TEST

START_TEST(tops_are_coloured_and_aligned)
{
    struct tz_stack st[64];
    uint64_t colours = 0;
    tz_stack_init(0, 0);
    for (int i = 0; i < 64; i++) {
        st[i] = stack_get(NULL, 16 * TZ_KIB, NULL);
        const struct tz_slab *s = slab_at(st[i].lo);
        ck_assert_uint_eq(st[i].hi % 64, 0);
        uintptr_t end = st[i].lo - s->guard_size + tz_slab_stride(s);
        ck_assert_uint_lt(end - st[i].hi, 32 * 64);
        colours |= UINT64_C(1) << ((end - st[i].hi) / 64);
    }
    ck_assert_uint_eq(colours, UINT32_MAX); // all 32 are in use
}
END_TEST

START_TEST(find_knows_every_boundary)
{
    int owner[3];
    struct tz_stack st[3], found = { 0, 0 };
    void *who = &who;
    tz_stack_init(0, 0);
    for (int i = 0; i < 3; i++)
        st[i] = stack_get(NULL, 0, &owner[i]);
    const struct tz_slab *s = slab_at(st[0].lo);
    ck_assert_uint_eq(st[1].lo, st[0].lo + tz_slab_stride(s));
    const struct {
        uintptr_t at;
        enum tz_stack_where where;
        int i; // whose
    } table[] = {
        { st[1].lo, TZ_STACK_IN, 1 },
        { st[1].lo + 1, TZ_STACK_IN, 1 },
        { st[1].hi - 1, TZ_STACK_IN, 1 },
        { st[1].hi, TZ_STACK_IN, 1 }, // the colour is nobody else's
        { st[2].lo - s->guard_size - 1, TZ_STACK_IN, 1 },
        { st[2].lo - s->guard_size, TZ_STACK_GUARD, 2 },
        { st[1].lo - 1, TZ_STACK_GUARD, 1 },
        { st[1].lo - s->guard_size, TZ_STACK_GUARD, 1 },
        { st[1].lo - s->guard_size - 1, TZ_STACK_IN, 0 },
        { s->base, TZ_STACK_GUARD, 0 },
    };
    for (size_t k = 0; k < tz_countof(table); k++) {
        ck_assert_int_eq(tz_stack_find(table[k].at, &found, &who),
                         table[k].where);
        ck_assert_ptr_eq(who, &owner[table[k].i]);
        ck_assert_uint_eq(found.lo, st[table[k].i].lo);
        ck_assert_uint_eq(found.hi, st[table[k].i].hi);
    }
    uintptr_t end = s->base + tz_slab_stride(s) * s->count;
    ck_assert_int_eq(tz_stack_find(end - 1, &found, &who), TZ_STACK_IN);
    ck_assert_ptr_null(who); // never used
    static const uintptr_t out[] = { 0, 1, UINTPTR_MAX, UINTPTR_MAX / 2,
                                     UINT64_C(1) << 47, 4096 };
    for (size_t k = 0; k < tz_countof(out); k++)
        ck_assert_int_eq(tz_stack_find(out[k], &found, &who), TZ_STACK_NONE);
    ck_assert_int_eq(tz_stack_find(s->base - 1, &found, &who), TZ_STACK_NONE);
    ck_assert_int_eq(tz_stack_find((uintptr_t)&who, &found, &who),
                     TZ_STACK_NONE);
}
END_TEST

START_TEST(a_stack_that_was_put_has_no_owner)
{
    tz_stack_init(0, 0);
    struct tz_stackcache *caches[] = { NULL, tz_stackcache_make() };
    for (size_t k = 0; k < 2; k++) {
        struct tz_stack a = stack_get(caches[k], 0, &caches), found;
        struct tz_stack b = stack_get(caches[k], 0, &caches);
        uintptr_t at[] = { a.lo, b.lo };
        void *who;
        tz_stack_put(caches[k], &a);
        tz_stack_put(caches[k], &b); // the pool links the two
        for (int i = 0; i < 2; i++) {
            who = &who;
            ck_assert_int_eq(tz_stack_find(at[i], &found, &who), TZ_STACK_IN);
            ck_assert_ptr_null(who);
        }
        b = stack_get(caches[k], 0, &k);
        tz_stack_find(b.lo, &found, &who);
        ck_assert_ptr_eq(who, &k);
    }
}
END_TEST

START_TEST(slabs_are_used_up_before_another_is_mapped)
{
    tz_stack_init(0, 0);
    struct tz_stack st[130];
    for (int i = 0; i < 130; i++) {
        st[i] = stack_get(NULL, 64 * TZ_KIB, NULL);
        ck_assert_uint_eq(stack_sys(), (size_t)(i / 64 + 1) * 4 * TZ_MIB);
        ck_assert_uint_eq(stack_inuse(), (size_t)(i + 1) * 64 * TZ_KIB);
    }
    for (int i = 0; i < 130; i++)
        for (int k = 0; k < i; k++)
            ck_assert(st[i].hi <= st[k].lo || st[k].hi <= st[i].lo);
    for (int i = 0; i < 130; i++)
        tz_stack_put(NULL, &st[i]);
    ck_assert_uint_eq(stack_inuse(), 0);
    for (int i = 0; i < 130; i++)
        st[i] = stack_get(NULL, 64 * TZ_KIB, NULL);
    ck_assert_uint_eq(stack_sys(), 12 * TZ_MIB);
}
END_TEST

START_TEST(a_full_cache_spills_and_an_empty_one_takes_back)
{
    tz_stack_init(0, 0);
    struct tz_stackcache *c = tz_stackcache_make(), *d = tz_stackcache_make();
    static struct tz_stack st[500];
    for (int i = 0; i < 500; i++)
        st[i] = stack_get(c, 16 * TZ_KIB, &st[i]);
    uint64_t mapped = stack_sys();
    for (int i = 0; i < 500; i++)
        tz_stack_put(c, &st[i]);
    ck_assert_uint_eq(stack_inuse(), 0);
    int fresh = 0; // through another cache: all but the first cache's 64
    for (int i = 0; i < 436; i++)
        st[i] = stack_get(d, 16 * TZ_KIB, &st[i]);
    ck_assert_uint_eq(stack_sys(), mapped);
    for (int i = 0; i < 436; i++) // no slot twice
        for (int k = 0; k < i; k++)
            fresh += st[i].lo == st[k].lo;
    ck_assert_int_eq(fresh, 0);
    ck_assert_uint_eq(stack_inuse(), 436 * 16 * TZ_KIB);
    for (int i = 0; i < 436; i++) // got by d, put by c
        tz_stack_put(c, &st[i]);
    ck_assert_uint_eq(stack_inuse(), 0);
}
END_TEST

static void put_twice_body(void)
{
    tz_stack_init(0, 0);
    struct tz_stack st = stack_get(NULL, 0, NULL);
    tz_stack_put(NULL, &st);
    tz_stack_put(NULL, &st);
}

START_TEST(putting_a_stack_twice_is_found_out)
{
    struct os_ended e = os_child(put_twice_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, "check failed: s (");
}
END_TEST

// Threads get, write, look and put; what a stack holds is its holder's.
static void *churn(void *arg)
{
    enum { HELD = 400 };
    static const size_t sizes[] = { 16 * TZ_KIB, 16 * TZ_KIB, 16 * TZ_KIB, 0 };
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct tz_stackcache *c = tz_stackcache_make();
    struct tz_stack held[HELD] = { 0 };
    for (int n = 0; n < 30000 + HELD; n++) {
        uint64_t r = tz_rand_next(&seed);
        size_t i = n < 30000 ? r % HELD : (size_t)n - 30000;
        struct tz_stackcache *from = r >> 32 & 3 ? c : NULL;
        bool puts = n / 1000 % 2; // in turns, so that caches spill and fill
        if (n < 30000 && puts != !!held[i].lo)
            continue;
        struct tz_stack *st = &held[i], found;
        void *who;
        if (st->lo) {
            ck_assert_ptr_eq(*(void **)(st->hi - 8), st);
            ck_assert_ptr_eq(*(void **)(st->lo + 8), st);
            ck_assert_int_eq(tz_stack_find(st->hi - 1, &found, &who),
                             TZ_STACK_IN);
            ck_assert_ptr_eq(who, st);
            tz_stack_put(from, st);
        } else if (n < 30000) {
            *st = stack_get(from, sizes[r >> 40 & 3], st);
            *(void **)(st->hi - 8) = st;
            *(void **)(st->lo + 8) = st;
        }
    }
    return NULL;
}

START_TEST(stacks_of_two_threads_are_disjoint)
{
    uint64_t seed = (uint64_t)time(NULL);
    printf("stack: seed %" PRIu64 "\n", seed);
    pthread_t t[2];
    tz_stack_init(0, 0);
    for (uint64_t i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(seed + i));
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(stack_inuse(), 0);
}
END_TEST

int main(void)
{
    return os_check("stack/stack",
                    (const TTest *const[]){
                        every_size_gets_the_smallest_class_that_holds_it,
                        the_default_size_can_be_set,
                        the_stack_put_last_is_got_first,
                        a_used_stack_goes_before_one_that_is_new,
                        tops_are_coloured_and_aligned,
                        find_knows_every_boundary,
                        a_stack_that_was_put_has_no_owner,
                        slabs_are_used_up_before_another_is_mapped,
                        a_full_cache_spills_and_an_empty_one_takes_back,
                        putting_a_stack_twice_is_found_out,
                        stacks_of_two_threads_are_disjoint, NULL });
}
