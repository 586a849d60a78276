// SPDX-License-Identifier: BSD-3-Clause
// test/mem/persist_test.c: memory that is never freed [mem.I1], on threads with
// a P's cache and on threads without; mem/persist_run_test.c is about a running
// program.

#include <semaphore.h>
#include <sys/time.h>

#include "mem_check.h"

// Every mapping that was made through the hooks.
enum { MAPPINGS = 4096 };
static struct { char *p; size_t n; } mapping[MAPPINGS];
static uint32_t mappings; // atomic

static struct tz_vm_stats before;

static char *place;        // where the next mapping goes; NULL: anywhere
static __thread bool held; // this thread's mappings wait for the semaphore
static sem_t arrived, go_on;

static int noting_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    if (held) {
        sem_post(&arrived);
        sem_wait(&go_on);
    }
    if (place) {
        addr = place;
        flags |= MAP_FIXED;
        place = NULL;
    }
    int err = sys_mmap(addr, n, prot, flags, out);
    if (err)
        return err;
    uint32_t i = tz_xadd(&mappings, 1);
    ck_assert_uint_lt(i, MAPPINGS);
    mapping[i].p = *out;
    mapping[i].n = n;
    return 0;
}

static void install(void)
{
    struct tz_vm_hooks hooks = { noting_mmap, sys_munmap, sys_mprotect, NULL };
    ck_assert_int_eq(tz_vm_set_hooks(&hooks), 0);
}

static bool zero(const void *p, size_t n)
{
    const char *c = p;
    return n == 0 || (*c == 0 && memcmp(c, c + 1, n - 1) == 0);
}

// Takes blocks until a chunk begins; what is left of it.
static size_t begin_chunk(void)
{
    char *p;
    uint32_t n = mappings;
    do
        p = tz_persist_alloc(16, 16);
    while (mappings == n);
    ck_assert_uint_eq(mapping[n].n, TZ_PERSIST_CHUNK);
    return (size_t)(mapping[n].p + TZ_PERSIST_CHUNK - (p + 16));
}

// Leaves `rest` bytes of a fresh chunk.
static void leave(size_t rest)
{
    for (size_t n = begin_chunk() - rest; n; n -= tz_min(n, 32768))
        tz_persist_alloc(tz_min(n, 32768), 1);
}

START_TEST(s4_01_the_first_block_of_a_chunk_is_aligned)
{
    install();
    for (size_t align = 1; align <= tz_vm_page(); align *= 2) {
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

START_TEST(s4_01_alignment_0_means_16)
{
    for (int i = 0; i < 4; i++) {
        tz_persist_alloc(1, 1);
        ck_assert_uint_eq((uintptr_t)tz_persist_alloc(1, 0) % 16, 0);
    }
}
END_TEST

static struct { size_t n, align; const char *told; } const bad[] = {
    { 0, 16, "persistent memory: 0 bytes were asked for" },
    { 1, 3, "an alignment of 3, which is no power of two" },
    { 1, 24, "an alignment of 24, which is no power of two" },
    { 100000, 131072, "an alignment of 131072, which is no power of two" },
};
static size_t the_bad;

static void bad_body(void)
{
    tz_persist_alloc(bad[the_bad].n, bad[the_bad].align);
}

START_TEST(s4_01_bad_requests_are_told)
{
    for (the_bad = 0; the_bad < tz_countof(bad); the_bad++) {
        struct os_ended e = os_child(bad_body);
        ck_assert_int_eq(e.status, 2);
        os_assert_has(e.text, "tuza: fatal: ");
        os_assert_has(e.text, bad[the_bad].told);
    }
}
END_TEST

START_TEST(s4_02_a_chunk_is_used_to_its_last_byte)
{
    install();
    leave(100);
    uint32_t n = mappings;
    char *p = tz_persist_alloc(60, 1);
    ck_assert_ptr_eq(tz_persist_alloc(40, 1), p + 60);
    ck_assert_uint_eq(mappings, n);
    tz_persist_alloc(1, 1);
    ck_assert_uint_eq(mappings, n + 1);
    ck_assert_uint_eq(mapping[n].n, TZ_PERSIST_CHUNK);
}
END_TEST

START_TEST(s4_02_a_block_of_64_kib_is_a_mapping_of_its_own)
{
    install();
    begin_chunk();
    uint32_t n = mappings;
    uint64_t used = tz_persist_used();
    struct tz_vm_stats after;
    char *chunk = mapping[n - 1].p, *p = tz_persist_alloc(65535, 16);
    ck_assert(p > chunk && p + 65535 <= chunk + TZ_PERSIST_CHUNK);
    ck_assert_uint_eq(mappings, n);
    tz_vm_stats_read(&before);
    p = tz_persist_alloc(65536, tz_vm_page());
    ck_assert_uint_eq(mappings, n + 1);
    ck_assert_ptr_eq(p, mapping[n].p);
    ck_assert_uint_eq(mapping[n].n, 65536);
    ck_assert(zero(p, 65536));
    tz_vm_stats_read(&after);
    ck_assert_uint_ge(after.ready[TZ_VM_META] - before.ready[TZ_VM_META],
                      65536);
    ck_assert_uint_eq(tz_persist_used() - used, 65535 + 65536);
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
        b[i].n = 1 + (r >> 16) % (r % 4096 == 9 ? 70000 : 100);
        b[i].p = r % 512 == 77 ? tz_persist_alloc_roots(b[i].n, align)
                               : tz_persist_alloc(b[i].n, align);
        if (!b[i].p || (uintptr_t)b[i].p % align || !zero(b[i].p, b[i].n))
            ck_abort_msg("block %d of %zu bytes: %p", i, b[i].n, (void *)b[i].p);
        memset(b[i].p, with, b[i].n);
    }
}

static int by_address(const void *x, const void *y)
{
    const struct block *a = x, *b = y;
    return a->p < b->p ? -1 : a->p > b->p;
}

enum { THREADS = 8, EACH = 100 * 1000 };
static struct block blocks[THREADS * EACH];
static int each_thread;
static uint64_t the_seed;
static pthread_barrier_t start;

// Odd ones as if on a P.
static void *filler(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    if (i % 2)
        cache_start();
    pthread_barrier_wait(&start);
    fill(blocks + i * (size_t)each_thread, each_thread, the_seed + i,
         (unsigned char)(i + 1));
    return NULL;
}

static void in_threads(void *(*fn)(void *))
{
    pthread_t t[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, fn, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

START_TEST(s4_03_blocks_of_all_threads_are_disjoint)
{
    install();
    const char *scale = getenv("TEST_SCALE");
    each_thread = scale ? EACH / 100 * atoi(scale) : EACH;
    the_seed = seed_start("persist");
    in_threads(filler);
    uint64_t sum = 0, mapped = 0;
    for (uint32_t i = 0; i < mappings; i++)
        mapped += mapping[i].n;
    int n = THREADS * each_thread;
    for (int i = 0; i < n; i++) {
        struct block *b = &blocks[i];
        if (b->p[0] != i / each_thread + 1 ||
            memcmp(b->p, b->p + 1, b->n - 1) != 0)
            ck_abort_msg("block %d was written by others", i);
        sum += b->n;
    }
    ck_assert_uint_le(sum, mapped);
    // Padding by alignment; and for each chunk in use, what is left of it.
    ck_assert_uint_le(mapped, 2 * sum + (THREADS + 2) * TZ_PERSIST_CHUNK);
    ck_assert_uint_ge(tz_persist_used(), sum);
    qsort(blocks, (size_t)n, sizeof *blocks, by_address);
    for (int i = 1; i < n; i++)
        if (blocks[i - 1].p + blocks[i - 1].n > blocks[i].p)
            ck_abort_msg("blocks overlap at %p", (void *)blocks[i].p);
}
END_TEST

static void *wait_inside(void *arg)
{
    (void)arg;
    held = true;
    return tz_persist_alloc(100, 0);
}

// Somebody without a P holds the lock, in the system's hands for long.
START_TEST(s4_03_who_is_on_a_p_takes_no_lock)
{
    install();
    sem_init(&arrived, 0, 0);
    sem_init(&go_on, 0, 0);
    leave(8);
    pthread_t t;
    void *p;
    ck_assert_int_eq(pthread_create(&t, NULL, wait_inside, NULL), 0);
    sem_wait(&arrived);
    static struct tz_mcache mine;
    tz_tls_get()->cache = &mine;
    for (int i = 0; i < 20; i++) // two new chunks among them
        ck_assert_ptr_nonnull(tz_persist_alloc(30000, 0));
    ck_assert_ptr_nonnull(tz_persist_alloc(100000, 0));
    sem_post(&go_on);
    pthread_join(t, &p);
    ck_assert_ptr_nonnull(p);
}
END_TEST

enum { CHUNKS_EACH = 40 };

static void *make_chunks(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    if (i != 0)
        cache_start(); // each pushes what it maps, without a lock
    pthread_barrier_wait(&start);
    for (int k = 0; k < CHUNKS_EACH * 3; k++)
        ck_assert_ptr_nonnull(tz_persist_alloc(65535, 4096));
    for (int k = 0; k < CHUNKS_EACH; k++)
        ck_assert_ptr_nonnull(tz_persist_alloc(65536 + 4096, 0));
    for (int k = 0; k < 10; k++)
        ck_assert_ptr_nonnull(tz_persist_alloc_roots(65535, 4096));
    return NULL;
}

static int seen[MAPPINGS];

static void note_range(void *arg, uintptr_t lo, uintptr_t hi)
{
    (void)arg;
    for (uint32_t i = 0; i < mappings; i++) {
        uintptr_t first = (uintptr_t)mapping[i].p;
        if (lo >= first && lo < first + mapping[i].n) {
            ck_assert_uint_le(hi, first + mapping[i].n);
            seen[i]++;
        }
    }
}

START_TEST(s4_04_each_chunk_is_listed_once)
{
    install();
    in_threads(make_chunks);
    ck_assert_uint_ge(mappings, THREADS * CHUNKS_EACH * 2);
    for (int kind = 0; kind < TZ_PERSIST_KINDS; kind++)
        tz_persist_each(kind, note_range, NULL);
    for (uint32_t i = 0; i < mappings; i++)
        ck_assert_msg(seen[i] == 1, "mapping %u of %zu bytes: %d times", i,
                      mapping[i].n, seen[i]);
}
END_TEST

// A block whose mapping has nothing beside it.
static char *block_apart(size_t mapped, size_t n, bool roots)
{
    char *room = mmap(NULL, mapped + 2 * TZ_MIB, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(room, MAP_FAILED);
    place = room + TZ_MIB;
    char *p;
    do
        p = roots ? tz_persist_alloc_roots(n, 1) : tz_persist_alloc(n, 1);
    while (place);
    ck_assert(p >= room + TZ_MIB && p < room + TZ_MIB + mapped);
    return room + TZ_MIB;
}

static void need_edges(char *base, size_t n)
{
    ck_assert(!tz_persist_contains(base - 1));
    ck_assert(tz_persist_contains(base));
    ck_assert(tz_persist_contains(base + n / 2));
    ck_assert(tz_persist_contains(base + n - 1));
    ck_assert(!tz_persist_contains(base + n));
}

START_TEST(s4_05_chunks_are_members_to_their_edges)
{
    static int data;
    install();
    ck_assert(!tz_persist_contains(&data));
    for (int i = 0; i < 4; i++)
        need_edges(block_apart(TZ_PERSIST_CHUNK, 1000, i % 2),
                   TZ_PERSIST_CHUNK);
    ck_assert(!tz_persist_contains(NULL));
    ck_assert(!tz_persist_contains(&data));
    ck_assert(!tz_persist_contains((void *)UINTPTR_MAX));
}
END_TEST

START_TEST(s4_05_large_blocks_are_members_to_their_edges)
{
    install();
    tz_persist_alloc(16, 0); // the chunk their list entries lie in
    static const size_t sizes[] = { 65536, 65537, 300000, 8 * TZ_MIB };
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        size_t n = tz_align_up(sizes[i], tz_vm_page());
        need_edges(block_apart(n, sizes[i], i % 2), n);
    }
}
END_TEST

static char *volatile last_block;
static int asked; // atomic
static int wrong; // atomic

static void on_alarm(int sig)
{
    (void)sig;
    char *p = last_block;
    if (p) {
        int here;
        if (!tz_persist_contains(p) || tz_persist_contains(&here))
            tz_store(&wrong, 1);
        tz_xadd(&asked, 1);
    }
}

START_TEST(s4_05_signal_handlers_may_ask)
{
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
    struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { 0 };
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; tz_load(&asked) < 200; i++)
        if (i < 4000)
            last_block = tz_persist_alloc(i % 4 ? 20000 : 65536, 0);
    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_int_eq(wrong, 0);
}
END_TEST

// What a charge has changed by since `before`.
static int64_t change(enum tz_vm_use use)
{
    struct tz_vm_stats now;
    tz_vm_stats_read(&now);
    return (int64_t)(now.ready[use] - before.ready[use]);
}

static uint64_t all_charges(void)
{
    struct tz_vm_stats now;
    uint64_t sum = 0;
    tz_vm_stats_read(&now);
    for (int use = 0; use < TZ_VM_USES; use++)
        sum += now.ready[use];
    return sum;
}

static uint64_t all_mapped(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < mappings; i++)
        sum += mapping[i].n;
    return sum;
}

START_TEST(s4_06_a_block_is_charged_to_what_it_is_for)
{
    enum { NODE_MAX = 64 };
    const enum tz_vm_use use = TZ_VM_STACK;
    install();
    begin_chunk();
    tz_vm_stats_read(&before);
    tz_persist_alloc_for(1000, 16, use);
    ck_assert_int_eq(change(use), 1000);
    ck_assert_int_eq(change(TZ_VM_OTHER), -1000);
    tz_persist_alloc(24, 0);
    tz_persist_alloc_for(24, 0, TZ_VM_GC);
    ck_assert_int_eq(change(TZ_VM_META), 24);
    ck_assert_int_eq(change(TZ_VM_GC), 24);
    ck_assert_int_eq(change(TZ_VM_OTHER), -1048);
    ck_assert_uint_eq(all_charges(), all_mapped());
    leave(8); // another chunk
    ck_assert_uint_eq(all_charges(), all_mapped());
    tz_vm_stats_read(&before);
    tz_persist_alloc_for(100, 1, use); // the next
    ck_assert_int_eq(change(use), 100);
    ck_assert_int_eq(change(TZ_VM_OTHER), TZ_PERSIST_CHUNK - 100);
    tz_vm_stats_read(&before);
    tz_persist_alloc_for(65537, 0, use);
    ck_assert_int_eq(change(use), tz_align_up(65537, tz_vm_page()));
    ck_assert_int_le(change(TZ_VM_META), NODE_MAX); // its entry on the list
    ck_assert_int_eq(change(TZ_VM_META), -change(TZ_VM_OTHER));
    ck_assert_uint_eq(all_charges(), all_mapped());
}
END_TEST

// Requests for which the system is asked 8 times: how many were refused.
static int scenario(void)
{
    int refused = 0;
    for (int on_p = 0; on_p < 2; on_p++) {
        static struct tz_mcache fresh;
        fresh.persist.chunk = NULL;
        tz_tls_get()->cache = on_p ? &fresh : NULL;
        for (int i = 0; i < 5; i++)
            refused += !tz_persist_alloc(60000, 1);
        for (int i = 0; i < 2; i++)
            refused += !tz_persist_alloc(100000, 1);
        refused += !tz_persist_alloc_roots(200000, 0);
    }
    tz_tls_get()->cache = NULL;
    return refused;
}

START_TEST(s4_07_one_refusal_refuses_one_block_and_locks_nothing)
{
    sys_install();
    scenario();
    sys.calls = 0;
    ck_assert_int_eq(scenario(), 0);
    int64_t calls = sys.calls;
    ck_assert_int_ge(calls, 8);
    for (int64_t k = 1; k <= calls; k++) {
        sys.calls = 0;
        sys.fail_at = k;
        ck_assert_int_eq(scenario(), 1);
        ck_assert_int_eq(tz_tls_get()->locks, 0);
        sys.fail_at = 0;
        ck_assert_int_eq(scenario(), 0);
    }
}
END_TEST

START_TEST(s4_07_refused_memory_is_null_and_changes_nothing)
{
    sys_install();
    struct tz_vm_stats after;
    char *p = tz_persist_alloc(60000, 1);
    uint64_t used = tz_persist_used();
    tz_vm_stats_read(&before);
    sys.fail_at = 1, sys.fail_on = true, sys.calls = 0;
    ck_assert_ptr_null(tz_persist_alloc(100000, 0));
    ck_assert_ptr_null(tz_persist_alloc_roots(100, 0));
    ck_assert_ptr_null(tz_persist_alloc(SIZE_MAX, 0));
    ck_assert_ptr_null(tz_persist_alloc(SIZE_MAX - 5000, 0));
    ck_assert_uint_eq(tz_persist_used(), used);
    tz_vm_stats_read(&after);
    for (int i = 0; i < TZ_VM_USES; i++)
        ck_assert_uint_eq(after.ready[i], before.ready[i]);
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

// The mapping is granted, but not the chunk for its entry on the list.
START_TEST(s4_07_a_large_block_that_cannot_be_listed_goes_back)
{
    sys_install();
    struct tz_vm_stats after;
    tz_vm_stats_read(&before);
    sys.fail_at = 2;
    sys.calls = 0;
    ck_assert_ptr_null(tz_persist_alloc(100000, 0));
    ck_assert_int_eq(sys.calls, 2);
    tz_vm_stats_read(&after);
    for (int i = 0; i < TZ_VM_USES; i++)
        ck_assert_uint_eq(after.ready[i], before.ready[i]);
}
END_TEST

int main(void)
{
    return os_check("mem/persist",
                    (const TTest *const[]){
                        s4_01_the_first_block_of_a_chunk_is_aligned,
                        s4_01_alignment_0_means_16, s4_01_bad_requests_are_told,
                        s4_02_a_chunk_is_used_to_its_last_byte,
                        s4_02_a_block_of_64_kib_is_a_mapping_of_its_own,
                        s4_03_blocks_of_all_threads_are_disjoint,
                        s4_03_who_is_on_a_p_takes_no_lock,
                        s4_04_each_chunk_is_listed_once,
                        s4_05_chunks_are_members_to_their_edges,
                        s4_05_large_blocks_are_members_to_their_edges,
                        s4_05_signal_handlers_may_ask,
                        s4_06_a_block_is_charged_to_what_it_is_for,
                        s4_07_one_refusal_refuses_one_block_and_locks_nothing,
                        s4_07_refused_memory_is_null_and_changes_nothing,
                        s4_07_a_large_block_that_cannot_be_listed_goes_back,
                        NULL });
}
