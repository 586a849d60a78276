// SPDX-License-Identifier: BSD-3-Clause
// test/api/stats_test.c: the figures that the runtime gives of itself.

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support/api_check.h"

#define U(n) ((unsigned long long)(n))

static tuza_memstats memstats(void)
{
    tuza_memstats st = { .size = sizeof st };
    ck_assert_int_eq(tuza_memstats_read(&st), 0);
    return st;
}

static tuza_schedstats schedstats(void)
{
    tuza_schedstats st = { .size = sizeof st };
    ck_assert_int_eq(tuza_schedstats_read(&st), 0);
    return st;
}

// The equations of tuza/stats.h.
static void add_up(const tuza_memstats *s)
{
    uint64_t total = s->heap_sys + s->stack_sys + s->meta_sys + s->gc_sys +
                     s->other_sys + s->unmap_deferred;
    if (s->total_sys != total ||
        s->heap_sys != s->heap_inuse + s->heap_idle + s->heap_released ||
        s->stack_sys != s->stack_inuse + s->stack_idle)
        ck_abort_msg("total %llu, heap %llu = %llu + %llu + %llu, stacks %llu "
                     "= %llu + %llu, other parts %llu %llu %llu %llu",
                     U(s->total_sys), U(s->heap_sys), U(s->heap_inuse),
                     U(s->heap_idle), U(s->heap_released), U(s->stack_sys),
                     U(s->stack_inuse), U(s->stack_idle), U(s->meta_sys),
                     U(s->gc_sys), U(s->other_sys), U(s->unmap_deferred));
    // A difference below 0 would be a huge number.
    const uint64_t part[] = { s->heap_inuse, s->heap_idle,   s->heap_released,
                              s->stack_idle, s->stack_inuse, s->meta_sys,
                              s->gc_sys,     s->other_sys };
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++)
        if (part[i] > UINT64_C(1) << 40)
            ck_abort_msg("part %zu: %llu", i, U(part[i]));
    if (s->heap_inuse > s->heap_peak || s->memory_used > s->total_sys)
        ck_abort_msg("in use %llu, peak %llu; used %llu, total %llu",
                     U(s->heap_inuse), U(s->heap_peak), U(s->memory_used),
                     U(s->total_sys));
}

// --- what the hooks see

static int64_t hooked;       // bytes mapped and not unmapped; atomic
static uint64_t hooked_calls; // atomic

static void *count_mmap(void *addr, size_t len, int prot, int flags, int fd,
                        off_t offset)
{
    void *p = mmap(addr, len, prot, flags, fd, offset);
    if (p != MAP_FAILED && !(flags & MAP_FIXED)) // which replaces
        __atomic_fetch_add(&hooked, (int64_t)len, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&hooked_calls, 1, __ATOMIC_SEQ_CST);
    return p;
}

static int count_munmap(void *addr, size_t len)
{
    int err = munmap(addr, len);
    if (err == 0)
        __atomic_fetch_sub(&hooked, (int64_t)len, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&hooked_calls, 1, __ATOMIC_SEQ_CST);
    return err;
}

// Statistics, and what was mapped while they were read: no call in between.
static tuza_memstats at_rest(int64_t *mapped)
{
    for (int i = 0; i < 20000; i++) {
        uint64_t before = __atomic_load_n(&hooked_calls, __ATOMIC_SEQ_CST);
        tuza_memstats first = memstats(), st = memstats();
        *mapped = __atomic_load_n(&hooked, __ATOMIC_SEQ_CST);
        // A call that has returned may not be counted yet.
        if (before == __atomic_load_n(&hooked_calls, __ATOMIC_SEQ_CST) &&
            first.total_sys == st.total_sys && first.reserved == st.reserved &&
            (int64_t)(st.total_sys + st.reserved) == *mapped)
            return st;
        tuza_yield();
    }
    return memstats();
}

static int stop_churning; // atomic
static int churners;      // atomic

static void use_stack(int depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    if (depth > 0)
        use_stack(depth - 1);
    tuza_yield();
    (void)frame[0];
}

static void churn_all(void *arg)
{
    uint64_t x = (uintptr_t)arg;
    void *keep[64] = { 0 };
    while (!__atomic_load_n(&stop_churning, __ATOMIC_ACQUIRE)) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        size_t size = (size_t)(x >> 33) % 400000 >> (x >> 60);
        keep[x >> 58] = tuza_alloc(size);
        switch ((x >> 40) % 256) {
        case 0: tuza_gc(); break;
        case 1: tuza_release_memory(); break;
        case 2: use_stack(10); break;
        default: break;
        }
    }
    tuza_keepalive(keep);
    __atomic_fetch_sub(&churners, 1, __ATOMIC_RELEASE);
}

static void sit_and_end(void *arg)
{
    (void)arg;
    use_stack(2);
}

static void *read_all_the_time(void *arg)
{
    int *reads = arg;
    for (; *reads < 10000; ++*reads) {
        tuza_memstats s = { .size = sizeof s };
        if (tuza_memstats_read(&s) != 0)
            ck_abort_msg("read");
        add_up(&s);
    }
    return NULL;
}

static int churn_and_read(int argc, char **argv)
{
    (void)argc, (void)argv;
    pthread_t reader;
    int reads = 0, err = 0;
    churners = 3;
    for (uintptr_t i = 1; i <= 3; i++)
        err |= tuza_spawn(churn_all, (void *)(i * 77777));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(pthread_create(&reader, NULL, read_all_the_time, &reads),
                     0);
    TUZA_SYSCALL(pthread_join(reader, NULL));
    for (int i = 0; i < 2000; i++)
        err |= tuza_spawn(sit_and_end, NULL);
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(reads, 10000);
    __atomic_store_n(&stop_churning, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&churners, __ATOMIC_ACQUIRE) > 0 ||
           schedstats().goroutines > 1)
        tuza_yield();
    tuza_gc();
    tuza_gc();
    tuza_release_memory();
    int64_t mapped;
    tuza_memstats st = at_rest(&mapped);
    add_up(&st);
    ck_assert_int_eq((int64_t)(st.total_sys + st.reserved), mapped);
    ck_assert_uint_gt(st.num_forced, 0);
    ck_assert_uint_ge(st.num_gc, st.num_forced);
    return 0;
}

START_TEST(s2_20_memstats_equal_what_is_mapped)
{
    tuza_os_hooks hooks = { .size = sizeof hooks, .mmap = count_mmap,
                            .munmap = count_munmap };
    ck_assert_int_eq(tuza_os_set_hooks(&hooks), 0);
    api_run(churn_and_read, 2);
}
END_TEST

// After each kind of thing that maps, one at a time.
static void *kept[1000];

static void rest(const char *what)
{
    int64_t mapped;
    tuza_memstats st = at_rest(&mapped);
    add_up(&st);
    ck_assert_msg((int64_t)(st.total_sys + st.reserved) == mapped,
                  "%s: %llu + %llu, but %lld are mapped", what,
                  U(st.total_sys), U(st.reserved), (long long)mapped);
}

static int one_at_a_time(int argc, char **argv)
{
    (void)argc, (void)argv;
    rest("start");
    kept[0] = tuza_alloc(100 << 20);
    rest("a large object");
    for (int i = 1; i < 1000; i++)
        kept[i] = tuza_alloc(i * 100);
    rest("small objects");
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(tuza_spawn(sit_and_end, NULL), 0);
    rest("goroutines");
    tuza_gc();
    rest("a collection");
    memset(kept, 0, sizeof kept);
    tuza_gc();
    tuza_gc();
    uint64_t idle = memstats().heap_idle;
    tuza_release_memory();
    rest("release");
    ck_assert_uint_lt(memstats().heap_idle, idle);
    kept[0] = tuza_alloc(100 << 20);
    memset(kept[0], 1, 100 << 20);
    rest("the same again");
    return 0;
}

START_TEST(s2_20_each_kind_of_mapping_is_counted)
{
    tuza_os_hooks hooks = { .size = sizeof hooks, .mmap = count_mmap,
                            .munmap = count_munmap };
    ck_assert_int_eq(tuza_os_set_hooks(&hooks), 0);
    api_run(one_at_a_time, 1);
}
END_TEST

// --- objects

static int allocate_some(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats before = memstats();
    for (int i = 0; i < 1000; i++)
        kept[i] = tuza_alloc(1000);
    tuza_memstats after = memstats();
    uint64_t bytes = after.total_alloc - before.total_alloc;
    ck_assert_uint_ge(bytes, 1000 * 1000);
    ck_assert_uint_le(bytes, 1000 * 1100); // rounded up to 1024 each
    ck_assert_uint_ge(after.mallocs - before.mallocs, 1000);
    ck_assert_uint_le(after.mallocs - before.mallocs, 1010);
    return 0;
}

START_TEST(allocations_are_counted_in_objects_and_bytes)
{
    api_run(allocate_some, 1);
}
END_TEST

static int live_and_dead(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 1000; i++)
        kept[i] = tuza_alloc(10000);
    tuza_gc();
    tuza_memstats full = memstats();
    ck_assert_uint_ge(full.heap_live, 10000 * 1000);
    ck_assert_uint_ge(full.heap_inuse, full.heap_live);
    ck_assert_uint_ge(full.heap_sys, full.heap_inuse);
    ck_assert_uint_ge(full.heap_peak, full.heap_inuse);
    ck_assert_uint_ge(full.total_sys,
                      full.heap_sys + full.stack_sys + full.meta_sys);
    ck_assert_uint_gt(full.next_gc, full.heap_live);
    ck_assert_uint_gt(full.stack_inuse, 0);
    ck_assert_uint_ge(full.stack_sys, full.stack_inuse);
    memset(kept, 0, sizeof kept);
    tuza_gc();
    tuza_gc(); // the second has swept what the first found dead
    tuza_memstats empty = memstats();
    // A few stay: what old words on the stack still seem to point to.
    ck_assert_uint_lt(empty.heap_live, 100 * 10000);
    ck_assert_uint_lt(empty.heap_inuse, full.heap_inuse / 2);
    ck_assert_uint_ge(empty.heap_peak, full.heap_peak);
    ck_assert_uint_ge(empty.total_alloc, full.total_alloc);
    return 0;
}

START_TEST(heap_figures_follow_what_lives)
{
    api_run(live_and_dead, 1);
}
END_TEST

static int collect(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats before = memstats();
    for (int i = 0; i < 5; i++)
        tuza_gc();
    tuza_memstats after = memstats();
    ck_assert_uint_ge(after.num_gc - before.num_gc, 5);
    ck_assert_uint_gt(after.pause_max_ns, 0);
    ck_assert_uint_gt(after.pause_total_ns, before.pause_total_ns);
    ck_assert_uint_ge(after.pause_total_ns, after.pause_max_ns);
    return 0;
}

START_TEST(collections_and_pauses_are_counted)
{
    api_run(collect, 2);
}
END_TEST

static int never_collect(int argc, char **argv)
{
    (void)argc, (void)argv;
    ck_assert_int_eq(tuza_gc_set_percent(-1), 100);
    uint64_t before = memstats().num_gc;
    for (int i = 0; i < 1000; i++)
        tuza_alloc_bytes(32 * 1024);
    ck_assert_uint_eq(memstats().num_gc, before);
    ck_assert_int_eq(tuza_gc_set_percent(50), -1);
    for (int i = 0; i < 1000; i++)
        tuza_alloc_bytes(32 * 1024);
    ck_assert_uint_gt(memstats().num_gc, before);
    ck_assert_int_eq(tuza_gc_set_percent(100), 50);
    return 0;
}

START_TEST(growth_collects_unless_switched_off)
{
    unsetenv("TUZAGC");
    api_run(never_collect, 1);
}
END_TEST

tuza_fn(wait_for_close, tuza_chan(char), never)
{
    tuza_recv(never, NULL);
}

static int many_wait(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(char) never = tuza_chan_make(char, 0);
    tuza_schedstats before = schedstats();
    ck_assert_uint_eq(before.goroutines, 1);
    ck_assert_uint_eq(before.created, 1);
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(tuza_go(wait_for_close, never), 0);
    tuza_schedstats st = schedstats();
    ck_assert_uint_eq(st.goroutines, 501);
    ck_assert_uint_eq(st.created, 501);
    ck_assert_uint_eq(st.peak, 501);
    ck_assert_uint_eq(st.maxprocs, 3);
    ck_assert_uint_ge(st.threads, 1);
    tuza_close(never);
    while (schedstats().goroutines > 1)
        tuza_yield();
    st = schedstats();
    ck_assert_uint_eq(st.created, 501);
    ck_assert_uint_eq(st.peak, 501);
    return 0;
}

START_TEST(goroutines_are_counted)
{
    api_run(many_wait, 3);
}
END_TEST

static int read_parts(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats st;
    memset(&st, 0x5a, sizeof st);
    st.size = offsetof(tuza_memstats, heap_peak);
    ck_assert_int_eq(tuza_memstats_read(&st), 0);
    ck_assert_uint_ne(st.heap_live, UINT64_C(0x5a5a5a5a5a5a5a5a));
    ck_assert_uint_eq(st.heap_peak, UINT64_C(0x5a5a5a5a5a5a5a5a));
    ck_assert_uint_eq(st.size, offsetof(tuza_memstats, heap_peak));
    st.size = sizeof(size_t);
    ck_assert_int_eq(tuza_memstats_read(&st), -EINVAL);
    st.size = 0;
    ck_assert_int_eq(tuza_memstats_read(&st), -EINVAL);
    tuza_schedstats sched;
    memset(&sched, 0x5a, sizeof sched);
    sched.size = offsetof(tuza_schedstats, created);
    ck_assert_int_eq(tuza_schedstats_read(&sched), 0);
    ck_assert_uint_eq(sched.goroutines, 1);
    ck_assert_uint_eq(sched.created, UINT64_C(0x5a5a5a5a5a5a5a5a));
    sched.size = sizeof(size_t);
    ck_assert_int_eq(tuza_schedstats_read(&sched), -EINVAL);
    return 0;
}

START_TEST(only_the_part_that_size_covers_is_filled)
{
    api_run(read_parts, 1);
}
END_TEST

static int collect_thrice(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 3; i++)
        tuza_gc();
    // By growth: beside the program perhaps, whose end does not wait for the line.
    do
        tuza_alloc_bytes(32 * 1024);
    while (memstats().num_gc < 4);
    tuza_sleep(TUZA_MS(50));
    return 0;
}

static void child_with_gctrace(void)
{
    setenv("TUZADEBUG", "gctrace=1", 1);
    api_run(collect_thrice, 2);
}

#define N "[0-9]+"
#define F "[0-9]+(\\.[0-9]+)?"

START_TEST(gctrace_prints_lines_of_gos_format)
{
    const struct api_ended *e = api_child(child_with_gctrace, 20);
    api_ended_with(e, 0, (const char *[]){ "gc 1 @", "gc 4 @", NULL });
    int lines = api_count_lines(e->text, "^gc ");
    ck_assert_int_ge(lines, 4); // the last by growth
    ck_assert_int_eq(api_count_lines(e->text, ""), lines);
    ck_assert_int_eq(api_count_lines(e->text, "^gc [0-9]+ @[0-9.]+s [0-9]+%: "),
                     lines);
    int whole = api_count_lines(
        e->text, "^gc " N " @" F "s " N "%: " F "\\+" F "\\+" F " ms clock, " F
                 "\\+" F "/" F "/" F "\\+" F " ms cpu, " N "->" N "->" N
                 " MB, " N " MB goal, " N " MB stacks, " N " MB globals, 2 P"
                 "( \\(forced\\))?, m[01](: .*)?$");
    ck_assert_msg(whole == lines, "not all in Go's format:\n%s", e->text);
    ck_assert_int_ge(api_count_lines(e->text, " \\(forced\\), "), 3);
}
END_TEST

int main(void)
{
    return api_check("stats", (const TTest *const[]){
                                  s2_20_memstats_equal_what_is_mapped,
                                  s2_20_each_kind_of_mapping_is_counted,
                                  allocations_are_counted_in_objects_and_bytes,
                                  heap_figures_follow_what_lives,
                                  collections_and_pauses_are_counted,
                                  growth_collects_unless_switched_off,
                                  goroutines_are_counted,
                                  only_the_part_that_size_covers_is_filled,
                                  gctrace_prints_lines_of_gos_format,
                                  NULL });
}
