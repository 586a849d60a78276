// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/stack/slab_test.c: slabs that come and go: large stacks, collections,
// readers without a lock, memory given back in the background.

#include <sys/resource.h>

#include "stack/slabpool.h"
#include "stack/stackcache.h"
#include "stack_check.h"

// A collection in which nothing happens.
static void collect(void)
{
    tz_stack_gc_begin();
    tz_stack_gc_end();
}

// What a collection that was asked for does.
static void collect_and_give_back(void)
{
    collect();
    tz_stack_give_back();
}

static struct tz_slabpool_stats pool(void)
{
    struct tz_slabpool_stats s;
    tz_slabpool_stats(&s);
    tz_slabpool_check(UINT32_MAX);
    return s;
}

// Which of n pages from p on are in memory.
static uint32_t pages_in(uintptr_t p, size_t n)
{
    unsigned char in[4096];
    uint32_t sum = 0;
    ck_assert_uint_le(n, sizeof in);
    ck_assert_int_eq(tz_vm_resident((void *)p, n * tz_vm_page(), in), 0);
    for (size_t i = 0; i < n; i++)
        sum += in[i] & 1;
    return sum;
}

START_TEST(s1_23_large_stacks_are_kept_by_their_size)
{
    tz_stack_init(0, 0);
    struct tz_stack st[7];
    uintptr_t was[7];
    for (unsigned i = 0; i < 7; i++) {
        st[i] = stack_get(NULL, (16 * TZ_MIB) << i, NULL);
        const struct tz_slab *s = slab_at(st[i].lo);
        ck_assert_uint_eq(tz_slab_stride(s), (16 * TZ_MIB) << i);
        ck_assert_uint_eq(s->count, 1);
        was[i] = st[i].lo;
        *(volatile char *)(st[i].hi - 1) = 1;
    }
    tz_stack_gc_begin();
    for (unsigned i = 0; i < 7; i++)
        tz_stack_put(NULL, &st[i]);
    for (unsigned i = 7; i-- > 0;)
        ck_assert_uint_eq(stack_get(NULL, (16 * TZ_MIB) << i, NULL).lo,
                          was[i]);
    tz_stack_gc_end();
}
END_TEST

static int mapped_large; // mappings of 16 MiB and more

static bool count_large(size_t n)
{
    mapped_large += n >= 16 * TZ_MIB;
    return false;
}

START_TEST(s1_07_a_stack_that_is_used_again_is_not_mapped_again)
{
    sys_install();
    tz_stack_init(0, 0);
    sys.refuses = count_large;
    struct tz_stack st[3];
    tz_stack_gc_begin();
    for (int n = 0; n < 1000; n++) {
        for (int i = 0; i < 1 + n % 3; i++)
            st[i] = stack_get(NULL, 16 * TZ_MIB, NULL);
        for (int i = 0; i < 1 + n % 3; i++)
            tz_stack_put(NULL, &st[i]);
    }
    tz_stack_gc_end();
    ck_assert_int_le(mapped_large, 3 * 2); // to align one takes two
    ck_assert_uint_eq(pool().slabs, 3 * 16 * TZ_MIB);
}
END_TEST

START_TEST(s1_20_no_slab_goes_while_the_collector_marks)
{
    tz_stack_init(0, 0);
    struct tz_stack st[200], found;
    void *who;
    uintptr_t at[200];
    for (int i = 0; i < 200; i++) {
        st[i] = stack_get(NULL, i % 20 ? 64 * TZ_KIB : 32 * TZ_MIB, NULL);
        at[i] = st[i].lo;
        *(volatile int *)at[i] = i + 1;
    }
    uint64_t mapped = stack_sys();
    tz_stack_gc_begin();
    for (int i = 0; i < 200; i++)
        tz_stack_put(NULL, &st[i]);
    for (int i = 0; i < 10; i++) {
        tz_slabpool_step();
        ck_assert(!tz_slabpool_unmap(true));
        ck_assert(!tz_slabpool_trim(true));
        tz_stack_give_back();
    }
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(tz_stack_find(at[i], &found, &who), TZ_STACK_IN);
        ck_assert_int_eq(*(volatile int *)at[i], i + 1);
    }
    ck_assert_uint_eq(stack_sys(), mapped);
    tz_stack_gc_end();
    while (tz_slabpool_unmap(true))
        ;
    ck_assert_uint_eq(stack_sys(), 0);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(tz_stack_find(at[i], &found, &who), TZ_STACK_NONE);
}
END_TEST

// Stacks that ended while the collector marked go with the next collection.
START_TEST(s1_21_one_more_collection_gives_everything_back)
{
    enum { MOST = 3000 };
    static struct tz_stack st[MOST];
    tz_stack_init(0, 0);
    struct tz_stackcache *c = tz_stackcache_make();
    for (int i = 0; i < MOST; i++)
        st[i] = stack_get(c, i % 100 ? 64 * TZ_KIB : 16 * TZ_MIB, NULL);
    struct tz_stack kept = stack_get(c, 16 * TZ_MIB, NULL);
    uint64_t mapped = stack_sys();
    tz_stack_gc_begin();
    for (int i = 0; i < MOST; i++)
        tz_stack_put(c, &st[i]);
    tz_stack_gc_end();
    ck_assert_uint_eq(stack_inuse(), 16 * TZ_MIB);
    ck_assert_uint_eq(stack_sys(), mapped);
    tz_stack_give_back(); // large ones at once
    ck_assert_uint_le(stack_sys(),
                      mapped - (uint64_t)MOST / 100 * 16 * TZ_MIB);
    collect_and_give_back();
    ck_assert_uint_eq(stack_sys(), 16 * TZ_MIB);
    tz_stack_put(c, &kept);
    collect_and_give_back();
    ck_assert_uint_eq(stack_sys(), 0);
    ck_assert_uint_eq(stack_stats().guards[TZ_GUARD_MARKER] +
                          stack_stats().guards[TZ_GUARD_PROTECT],
                      0);
}
END_TEST

static uint64_t maps; // calls of mmap

static bool count_maps(size_t n)
{
    maps += n > TZ_MIB;
    return false;
}

START_TEST(a_program_that_churns_maps_and_unmaps_nothing)
{
    enum { MOST = 500 };
    struct tz_stack st[MOST];
    sys_install();
    tz_stack_init(0, 0);
    struct tz_stackcache *c = tz_stackcache_make();
    uint64_t first = 0;
    for (int cycle = 0; cycle < 50; cycle++) {
        for (int i = 0; i < MOST; i++)
            st[i] = stack_get(c, 0, NULL);
        for (int i = 0; i < MOST; i++)
            tz_stack_put(c, &st[i]);
        collect_and_give_back();
        if (cycle == 0) {
            sys.refuses = count_maps;
            first = stack_sys();
        }
    }
    ck_assert_uint_eq(maps, 0);
    ck_assert_uint_eq(stack_sys(), first);
}
END_TEST

// An owner is the lowest address of its stack.
static uint32_t stop_looking; // atomic
static uintptr_t looked_at[64]; // atomic

static void *look(void *arg)
{
    uint64_t *seen = arg, seed = 3;
    while (!tz_load_acq(&stop_looking)) {
        uintptr_t at = tz_load_rlx(&looked_at[tz_rand_next(&seed) % 64]);
        struct tz_stack found;
        void *who = NULL;
        if (!at || tz_stack_find(at, &found, &who) == TZ_STACK_NONE)
            continue;
        ck_assert_uint_le(at - found.lo, found.hi - found.lo);
        if (who) {
            ck_assert_uint_eq((uintptr_t)who, found.lo);
            tz_store_rlx(seen, *seen + 1);
        }
    }
    return NULL;
}

// A handler may hold a slab that is unmapped, and used for other addresses, at
// that moment.
START_TEST(a_reader_without_a_lock_never_mixes_two_slabs)
{
    enum { ROUNDS = 300 };
    uint64_t seen = 0;
    pthread_t reader;
    sys_install();
    tz_stack_init(0, TZ_GUARD_CANARY);
    pthread_create(&reader, NULL, look, &seen);
    for (int n = 0; n < ROUNDS || tz_load_rlx(&seen) == 0; n++) {
        struct tz_stack st[64];
        for (int i = 0; i < 64; i++) {
            struct tz_stack_stats unused;
            st[i] = stack_get(NULL, 64 * TZ_KIB, NULL);
            tz_stack_stats_read(&unused);
            struct tz_slab *s = slab_at(st[i].lo);
            tz_store_rel(&s->owner[tz_slab_index(s, st[i].lo)],
                         (void *)st[i].lo);
            tz_store_rlx(&looked_at[i], st[i].lo);
        }
        for (int i = 0; i < 64; i++)
            tz_stack_put(NULL, &st[i]);
        // Something else takes the addresses now and then.
        while (tz_slabpool_unmap(true))
            ;
        if (n % 3 == 0)
            mmap(NULL, 4 * TZ_MIB, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    tz_store_rel(&stop_looking, 1);
    pthread_join(reader, NULL);
    ck_assert_uint_gt(seen, 0);
}
END_TEST

static void use(const struct tz_stack *st, size_t npages)
{
    memset((void *)(st->hi - npages * tz_vm_page()), 0x5a,
           npages * tz_vm_page());
}

static int advised; // calls of madvise

static int count_madvise(void *addr, size_t n, int advice)
{
    tz_xadd(&advised, advice == MADV_DONTNEED);
    return madvise(addr, n, advice) ? errno : 0;
}

static void deep_pages_go(void)
{
    enum { MOST = 130 };
    struct tz_stack st[MOST];
    size_t page = tz_vm_page();
    tz_stack_init(0, 0);
    for (int kind = 0; kind < 2; kind++) { // two sizes
        size_t size = kind ? 8 * TZ_MIB : 256 * TZ_KIB;
        uint32_t n = kind ? 10 : MOST;
        uintptr_t top[MOST];
        for (uint32_t i = 0; i < n; i++) {
            st[i] = stack_get(NULL, size, NULL);
            top[i] = tz_align_up(st[i].hi, page);
            use(&st[i], i % 3 ? 10 : 1);
        }
        uint64_t trimmed = pool().trimmed;
        for (uint32_t i = 0; i < n; i++)
            tz_stack_put(NULL, &st[i]);
        ck_assert_uint_eq(pool().hot, n * size);
        ck_assert(!tz_slabpool_trim(false)); // just used
        tz_slabpool_step();
        while (tz_slabpool_trim(false))
            pool();
        ck_assert_uint_eq(pool().hot, 0);
        ck_assert_uint_eq(pool().trimmed - trimmed, n);
        for (uint32_t i = 0; i < n; i++) {
            ck_assert_uint_eq(pages_in(top[i] - 40 * page, 38), 0);
            ck_assert_uint_ge(pages_in(top[i] - 2 * page, 2), 1);
        }
        for (uint32_t i = 0; i < n; i++) // cold ones are used before new ones
            st[i] = stack_get(NULL, size, NULL);
        ck_assert_uint_eq(pool().cold, 0);
        for (uint32_t i = 0; i < n; i++)
            tz_stack_put(NULL, &st[i]);
        while (tz_slabpool_unmap(true))
            ;
    }
}

// In one call for many, where the kernel can.
START_TEST(deep_pages_of_free_stacks_go_back_and_two_stay)
{
    deep_pages_go();
}
END_TEST

// Through the hooks: a call for each, of those that have any.
START_TEST(deep_pages_of_free_stacks_go_back_one_by_one)
{
    struct tz_vm_hooks h = { .madvise = count_madvise };
    ck_assert_int_eq(tz_vm_set_hooks(&h), 0);
    ck_assert(!tz_vm_drops_many());
    deep_pages_go();
    ck_assert_int_eq(advised, (130 - 44) + (10 - 4));
}
END_TEST

static int guard_kind;

static void touch_after_trim_body(void)
{
    tz_stack_init(0, guard_kind);
    struct tz_stack st = stack_get(NULL, 0, NULL);
    use(&st, 20);
    tz_stack_put(NULL, &st);
    ck_assert(tz_slabpool_trim(true));
    st = stack_get(NULL, 0, NULL);
    use(&st, 20);
    *(volatile char *)(st.lo - 1) = 1;
}

START_TEST(a_trimmed_stack_is_still_guarded)
{
    for (guard_kind = TZ_GUARD_MARKER; guard_kind <= TZ_GUARD_PROTECT;
         guard_kind++) {
        int status = os_child(touch_after_trim_body).status;
        ck_assert(status == -SIGSEGV || TZ_ASAN || TZ_TSAN);
        ck_assert_int_ne(status, 0);
    }
    tz_stack_init(0, TZ_GUARD_CANARY);
    struct tz_stack st = stack_get(NULL, 0, NULL);
    tz_stack_put(NULL, &st);
    ck_assert(tz_slabpool_trim(true));
    st = stack_get(NULL, 0, NULL); // a new canary
    tz_stack_put(NULL, &st);
}
END_TEST

START_TEST(nothing_is_given_back_on_the_way_out)
{
    enum { MOST = 300 };
    struct tz_stack st[MOST];
    struct tz_vm_hooks h = { .madvise = count_madvise };
    ck_assert_int_eq(tz_vm_set_hooks(&h), 0);
    tz_stack_init(0, 0);
    struct tz_stackcache *c = tz_stackcache_make();
    for (int k = 0; k < 10; k++) {
        for (int i = 0; i < MOST; i++) {
            st[i] = stack_get(k % 2 ? c : NULL, 0, NULL);
            use(&st[i], 8);
        }
        for (int i = 0; i < MOST; i++)
            tz_stack_put(k % 2 ? c : NULL, &st[i]);
    }
    ck_assert_int_eq(advised, 0);
    tz_slabpool_step();
    while (tz_slabpool_trim(false))
        ;
    ck_assert_int_gt(advised, 0); // each through the table, see vm_drop.c
    ck_assert_uint_eq(pool().trimmed, (unsigned)advised);
}
END_TEST

static void lock_memory(void)
{
    struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
    setrlimit(RLIMIT_MEMLOCK, &l);
    if (mlockall(MCL_FUTURE) != 0)
        _exit(77);
}

static void locked_body(void)
{
    tz_stack_init(0, 0); // markers work
    ck_assert_str_eq(tz_stack_guard_name(), "marker");
    lock_memory();
    struct tz_stack st[40];
    for (int i = 0; i < 40; i++) {
        st[i] = stack_get(NULL, 0, NULL);
        struct tz_slab *s = slab_at(st[i].lo);
        if (tz_slab_stride(s) > 64 * TZ_KIB ||
            tz_slab_stride(s) * s->count > TZ_MIB ||
            s->guard[tz_slab_index(s, st[i].lo)] != TZ_GUARD_PROTECT)
            _exit(3);
    }
    if (stack_stats().why != TZ_GUARD_LOCKED)
        _exit(4);
    for (int i = 0; i < 40; i++)
        tz_stack_put(NULL, &st[i]);
    while (tz_slabpool_trim(true)) // is refused, and does no harm
        ;
    st[0] = stack_get(NULL, 0, NULL);
    use(&st[0], 3);
    _exit(5);
}

START_TEST(locked_memory_has_small_stacks_guarded_by_mprotect)
{
    if (!tz_vm_guard_works() || TZ_SAN_OWNS_ADDRESSES)
        return; // no markers to refuse; sanitizers lock nothing
    int status = os_child(locked_body).status;
    ck_assert_msg(status == 5 || status == 77, "status %d", status);
}
END_TEST

static void locked_at_first_body(void)
{
    lock_memory();
    tz_stack_init(0, 0);
    _exit(stack_stats().why == TZ_GUARD_LOCKED ? 5 : 4);
}

START_TEST(memory_that_was_locked_before_the_start_is_the_reason_told)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return; // sanitizers lock nothing
    int status = os_child(locked_at_first_body).status;
    ck_assert_msg(status == 5 || status == 77, "status %d", status);
}
END_TEST

int main(void)
{
    return os_check(
        "stack/slab",
        (const TTest *const[]){
            s1_23_large_stacks_are_kept_by_their_size,
            s1_07_a_stack_that_is_used_again_is_not_mapped_again,
            s1_20_no_slab_goes_while_the_collector_marks,
            s1_21_one_more_collection_gives_everything_back,
            a_program_that_churns_maps_and_unmaps_nothing,
            a_reader_without_a_lock_never_mixes_two_slabs,
            deep_pages_of_free_stacks_go_back_and_two_stay,
            deep_pages_of_free_stacks_go_back_one_by_one,
            a_trimmed_stack_is_still_guarded,
            nothing_is_given_back_on_the_way_out,
            locked_memory_has_small_stacks_guarded_by_mprotect,
            memory_that_was_locked_before_the_start_is_the_reason_told,
            NULL });
}
