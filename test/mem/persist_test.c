// SPDX-License-Identifier: BSD-3-Clause
// test/mem/persist_test.c: memory that is never freed [mem.I1].

#include "mem_check.h"

static bool zero(const void *p, size_t n)
{
    const char *c = p;
    return n == 0 || (*c == 0 && memcmp(c, c + 1, n - 1) == 0);
}

// Leaves `rest` bytes of a fresh chunk.
static void leave(size_t rest)
{
    size_t n = TZ_PERSIST_CHUNK - rest;
    for (;;) { // a new chunk is where the address is a multiple of the page
        struct tz_vm_stats before, after;
        tz_vm_stats_read(&before);
        tz_persist_alloc(16, 16);
        tz_vm_stats_read(&after);
        if (after.ready[TZ_VM_META] != before.ready[TZ_VM_META])
            break;
    }
    for (n -= 16; n; n -= tz_min(n, 32768))
        tz_persist_alloc(tz_min(n, 32768), 1);
}

START_TEST(the_first_block_of_a_chunk_is_aligned)
{
    for (size_t align = 1; align <= 4096; align *= 2) {
        leave(8);
        char *p = tz_persist_alloc(24, align);
        ck_assert_uint_eq((uintptr_t)p % align, 0);
        ck_assert(zero(p, 24));
        tz_persist_alloc(3, 1); // and so is the next, behind an odd end
        p = tz_persist_alloc(1, align);
        ck_assert_uint_eq((uintptr_t)p % align, 0);
    }
}
END_TEST

START_TEST(alignment_0_means_16)
{
    tz_persist_alloc(1, 1);
    ck_assert_uint_eq((uintptr_t)tz_persist_alloc(1, 0) % 16, 0);
}
END_TEST

START_TEST(a_chunk_is_used_to_its_last_byte)
{
    struct tz_vm_stats before, after;
    leave(100);
    tz_vm_stats_read(&before);
    char *p = tz_persist_alloc(60, 1);
    ck_assert_ptr_eq(tz_persist_alloc(40, 1), p + 60);
    tz_vm_stats_read(&after);
    ck_assert_uint_eq(before.ready[TZ_VM_META], after.ready[TZ_VM_META]);
    tz_persist_alloc(1, 1);
    tz_vm_stats_read(&after);
    ck_assert_uint_eq(before.ready[TZ_VM_META] + TZ_PERSIST_CHUNK,
                      after.ready[TZ_VM_META]);
}
END_TEST

START_TEST(blocks_of_64_kib_are_mapped_on_their_own)
{
    struct tz_vm_stats before, after;
    uint64_t used = tz_persist_used();
    tz_persist_alloc(1, 1);
    tz_vm_stats_read(&before);
    ck_assert_ptr_nonnull(tz_persist_alloc(65535, 16));
    tz_vm_stats_read(&after);
    ck_assert_uint_eq(before.ready[TZ_VM_META], after.ready[TZ_VM_META]);
    char *p = tz_persist_alloc(65536, 4096);
    ck_assert_uint_eq((uintptr_t)p % 4096, 0);
    ck_assert(zero(p, 65536));
    tz_vm_stats_read(&after);
    ck_assert_uint_eq(before.ready[TZ_VM_META] + 65536,
                      after.ready[TZ_VM_META]);
    ck_assert_uint_eq(tz_persist_used() - used, 1 + 65535 + 65536);
}
END_TEST

struct block {
    unsigned char *p;
    size_t n;
};

static void fill(struct block *b, int count, uint64_t seed, unsigned char with)
{
    for (int i = 0; i < count; i++) {
        uint64_t r = tz_rand_next(&seed);
        size_t align = (size_t)1 << (r % 8);
        b[i].n = 1 + (r >> 16) % (r % 64 == 9 ? 70000 : 300);
        b[i].p = tz_persist_alloc(b[i].n, align);
        ck_assert_ptr_nonnull(b[i].p);
        ck_assert_uint_eq((uintptr_t)b[i].p % align, 0);
        ck_assert(zero(b[i].p, b[i].n));
        memset(b[i].p, with, b[i].n);
    }
}

static int by_address(const void *x, const void *y)
{
    const struct block *a = x, *b = y;
    return a->p < b->p ? -1 : a->p > b->p;
}

enum { THREADS = 4, EACH = 4000 };
static struct block blocks[THREADS * EACH];
static uint64_t the_seed;

static void *filler(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    fill(blocks + i * EACH, EACH, the_seed + i, (unsigned char)(i + 1));
    return NULL;
}

START_TEST(blocks_of_all_threads_are_disjoint)
{
    pthread_t t[THREADS];
    uint64_t used = tz_persist_used(), sum = 0;
    the_seed = seed_start("persist");
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, filler, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS * EACH; i++) {
        struct block *b = &blocks[i];
        ck_assert_int_eq(b->p[0], i / EACH + 1);
        ck_assert(memcmp(b->p, b->p + 1, b->n - 1) == 0);
        sum += b->n;
    }
    ck_assert_uint_eq(tz_persist_used() - used, sum);
    qsort(blocks, THREADS * EACH, sizeof *blocks, by_address);
    for (int i = 1; i < THREADS * EACH; i++)
        ck_assert(blocks[i - 1].p + blocks[i - 1].n <= blocks[i].p);
}
END_TEST

static size_t bad_n, bad_align;

static void bad_body(void) { tz_persist_alloc(bad_n, bad_align); }

START_TEST(bad_requests_are_told)
{
    static const struct { size_t n, align; } bad[] = {
        { 0, 16 }, { 1, 3 }, { 1, 24 }, { 1, 8192 }
    };
    for (size_t i = 0; i < tz_countof(bad); i++) {
        bad_n = bad[i].n;
        bad_align = bad[i].align;
        struct os_ended e = os_child(bad_body);
        ck_assert_int_eq(e.status, -SIGABRT);
        os_assert_has(e.text, "check failed: n > 0 && tz_is_pow2(align)");
    }
}
END_TEST

START_TEST(refused_memory_is_null_and_changes_nothing)
{
    sys_install();
    char *p = tz_persist_alloc(60000, 1);
    uint64_t used = tz_persist_used();
    sys.fail_at = 1, sys.fail_on = true, sys.calls = 0;
    ck_assert_ptr_null(tz_persist_alloc(100000, 0));
    ck_assert_ptr_null(tz_persist_alloc(SIZE_MAX, 0));
    ck_assert_ptr_null(tz_persist_alloc(SIZE_MAX - 5000, 0));
    for (int i = 1; i < 4; i++)
        ck_assert_ptr_eq(tz_persist_alloc(60000, 1), p + i * 60000);
    ck_assert_ptr_null(tz_persist_alloc(60000, 1));
    ck_assert_uint_eq(tz_persist_used(), used + 180000);
    ck_assert_ptr_eq(tz_persist_alloc(100, 1), p + 240000); // what was left
    sys.fail_at = 0;
    ck_assert_ptr_nonnull(tz_persist_alloc(60000, 1));
    ck_assert_ptr_nonnull(tz_persist_alloc(100000, 0));
}
END_TEST

int main(void)
{
    return os_check("mem/persist",
                    (const TTest *const[]){
                        the_first_block_of_a_chunk_is_aligned,
                        alignment_0_means_16, a_chunk_is_used_to_its_last_byte,
                        blocks_of_64_kib_are_mapped_on_their_own,
                        blocks_of_all_threads_are_disjoint,
                        bad_requests_are_told,
                        refused_memory_is_null_and_changes_nothing, NULL });
}
