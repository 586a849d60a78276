// SPDX-License-Identifier: BSD-3-Clause
// test/api/limit_test.c: limits of memory as a program meets them.

#include <pthread.h>

#include "os/cgroup.h"
#include "support/goroutines.h"

#define MB (INT64_C(1) << 20)

enum { CELL = 1000, CELLS = 1 << 19 };

static void *volatile keep;
static void *cell[CELLS];

static tuza_memstats stats(void)
{
    tuza_memstats st = { .size = sizeof st };
    need_eq(tuza_memstats_read(&st), 0);
    return st;
}

// Churns through `bytes`; the most of memory_used on the way.
static uint64_t churn(int64_t bytes)
{
    uint64_t most = 0;
    for (int64_t done = 0, i = 0; done < bytes; done += 4096, i++) {
        need((keep = tuza_alloc(4096)) != NULL);
        if (i % 64 == 0) {
            uint64_t used = stats().memory_used;
            most = used > most ? used : most;
        }
    }
    return most;
}

// So many bytes that live, in small objects.
static void fill(int64_t bytes)
{
    for (int i = 0; i < bytes / 1024; i++)
        need((cell[i] = tuza_alloc(CELL)) != NULL);
}

static int soft_limit_holds(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(stats().memory_limit, 64 * MB);
    fill(20 * MB);
    uint64_t most = churn(scaled(2000) * MB);
    printf("most: %.1f MB, collections: %llu\n", (double)most / (double)MB,
           (unsigned long long)stats().num_gc);
    need(most < (uint64_t)(64 * MB));
    need(stats().num_gc < 400); // not one after the other
    return 0;
}

START_TEST(a_soft_limit_holds_where_growth_would_not)
{
    setenv("TUZAMEMLIMIT", "64M", 1);
    setenv("TUZAGC", "1000", 1);
    api_run(soft_limit_holds, 2);
}
END_TEST

// The garbage of one size waits for its sweep while another size is wanted.
static int sizes_change(int argc, char **argv)
{
    (void)argc, (void)argv;
    static const size_t sizes[] = { 64, 500, 2000, 9000, 100000, 16 };
    uint64_t most = 0;
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i % (sizeof sizes / sizeof sizes[0])];
        int64_t step = 0;
        for (int64_t done = 0; done < scaled(150) * MB; done += (int64_t)size) {
            need((keep = tuza_alloc(size)) != NULL);
            if (done < step)
                continue;
            step = done + 256 * 1024;
            uint64_t used = stats().memory_used;
            most = used > most ? used : most;
        }
    }
    printf("most: %.1f MB\n", (double)most / (double)MB);
    need(most < (uint64_t)(70 * MB)); // what is free in between
    return 0;
}

START_TEST(a_soft_limit_holds_while_sizes_change)
{
    setenv("TUZAMEMLIMIT", "64M", 1);
    setenv("TUZAGC", "off", 1);
    api_run(sizes_change, 1);
}
END_TEST

static int no_limit(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(stats().memory_limit, INT64_MAX);
    fill(20 * MB);
    need(churn(400 * MB) > (uint64_t)(64 * MB));
    return 0;
}

START_TEST(without_a_limit_growth_decides)
{
    setenv("TUZAMEMLIMIT", "off", 1);
    setenv("TUZAGC", "1000", 1);
    api_run(no_limit, 2);
}
END_TEST

static int changes(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(tuza_gc_set_percent(-1), 1000);
    need_eq(tuza_memory_limit_set(200 * MB), INT64_MAX);
    fill(10 * MB);
    uint64_t most = churn(400 * MB);
    printf("most: %.1f MB of 200\n", (double)most / (double)MB);
    fflush(stdout);
    need(most > (uint64_t)(100 * MB) && most < (uint64_t)(200 * MB));
    need_eq(tuza_memory_limit_set(40 * MB), 200 * MB);
    tuza_gc();
    tuza_gc();
    tuza_release_memory();
    need(churn(400 * MB) < (uint64_t)(40 * MB));
    uint64_t before = stats().num_gc;
    need_eq(tuza_memory_limit_set(-1), 40 * MB);
    churn(100 * MB);
    need_eq(stats().num_gc, before); // neither limit nor growth
    need_eq(tuza_memory_limit_set(-1), INT64_MAX);
    return 0;
}

START_TEST(the_soft_limit_can_be_changed_at_run_time)
{
    setenv("TUZAMEMLIMIT", "off", 1);
    setenv("TUZAGC", "1000", 1);
    api_run(changes, 1);
}
END_TEST

// What lives is far above the limit: slower, but neither an end nor a hang.
static int absurd(int argc, char **argv)
{
    (void)argc, (void)argv;
    fill(30 * MB);
    static const int64_t limits[] = { 0, 1, 4096, 1 << 20, INT64_MAX - 1 };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        tuza_memory_limit_set(limits[i]);
        churn(scaled(20) * MB);
    }
    return 0;
}

START_TEST(absurd_limits_do_no_harm)
{
    api_run(absurd, 2);
}
END_TEST

// Collections take half of the time at most in the long run: what they take above
// that fills a bucket of a second, and then the goal is relaxed. At 0.6 that is
// after 1 / (0.6 - 0.4) s.
static int above_limit(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_gc_set_percent(1000);
    fill(60 * MB);
    tuza_memory_limit_set(10 * MB);
    int64_t start = tuza_now();
    uint64_t pauses = stats().pause_total_ns;
    while (tuza_now() - start < TUZA_SEC(6))
        churn(MB);
    double share = (double)(stats().pause_total_ns - pauses) /
                   (double)(tuza_now() - start);
    printf("collecting: %.0f %%, relaxed: %llu\n", share * 100,
           (unsigned long long)stats().num_relaxed);
    need(share < 0.6 || stats().num_relaxed > 0);
    need(share < 0.75); // the first second may be nothing else
    return 0;
}

START_TEST(what_lives_above_the_limit_is_no_death_spiral)
{
    api_run(above_limit, 1);
}
END_TEST

// --- the hard limit

static size_t fill_up(void)
{
    size_t n = 0;
    while (n < CELLS && (cell[n] = tuza_alloc(CELL))) {
        n++;
        if (n % 256 == 0)
            need(stats().memory_used <= (uint64_t)(48 * MB));
    }
    return n;
}

static int hard_limit(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(stats().memory_max, 48 * MB);
    need((keep = tuza_alloc(100 * MB)) == NULL);
    size_t first = 0;
    for (int round = 0; round < 3; round++) {
        size_t n = fill_up();
        first = first ? first : n;
        need(n > 20000 && n < CELLS && n >= first / 2);
        need(tuza_alloc(1 << 20) == NULL);
        memset(cell, 0, sizeof cell);
        need((keep = tuza_alloc(2 << 20)) != NULL);
    }
    printf("went on\n");
    fflush(stdout);
    return 0;
}

static void hard_limit_child(void)
{
    setenv("TUZAMEMMAX", "48M", 1);
    api_run(hard_limit, 1);
}

START_TEST(a_hard_limit_is_null_told_once_and_goes_on)
{
    const struct api_ended *e = api_child(hard_limit_child, 60);
    api_ended_with(e, 0, (const char *[]){
                             "went on",
                             "tuza: memory limit: 104857600 bytes refused: ",
                             " of 50331648 are in use", NULL });
    ck_assert_int_eq(api_count_lines(e->text, "memory limit"), 1);
}
END_TEST

static int calls;

static int free_all(void *arg, size_t wanted)
{
    need(arg == &calls && wanted == CELL);
    calls++;
    memset(cell, 0, sizeof cell);
    tuza_yield(); // it may park
    return 1;
}

IN_GOROUTINES(the_function_may_free, 1)
{
    need_eq(tuza_memory_max_set(48 * MB, free_all, &calls), 0);
    for (int round = 0; round < 3; round++)
        for (size_t n = 0; calls == round; n++)
            need(n < CELLS && (cell[n] = tuza_alloc(CELL)) != NULL);
    need_eq(calls, 3);
    need(stats().memory_used <= (uint64_t)(48 * MB));
}

static int raise_limit(void *arg, size_t wanted)
{
    (void)wanted;
    calls++;
    need_eq(tuza_memory_max_set(stats().memory_max + 100 * MB, raise_limit,
                                arg), 0);
    return 1;
}

IN_GOROUTINES(the_function_may_raise_the_limit, 1)
{
    need_eq(tuza_memory_max_set(48 * MB, raise_limit, NULL), 0);
    need((keep = tuza_alloc(60 * MB)) != NULL);
    need_eq(calls, 1);
    need((cell[0] = tuza_alloc(60 * MB)) != NULL);
    need(calls <= 2);
}

static int promise(void *arg, size_t wanted)
{
    (void)arg, (void)wanted;
    calls++;
    return 1;
}

IN_GOROUTINES(the_function_is_asked_so_many_times, 1)
{
    need_eq(tuza_memory_max_set(48 * MB, promise, NULL), 0);
    need((keep = tuza_alloc(100 * MB)) == NULL);
    need_eq(calls, TUZA_MEMORY_TRIES);
    need((keep = tuza_alloc_bytes(100 * MB)) == NULL);
    need_eq(calls, 2 * TUZA_MEMORY_TRIES);
    need((keep = tuza_alloc(1000)) != NULL);
    need((keep = tuza_alloc(SIZE_MAX)) == NULL); // nothing could help
    need_eq(calls, 2 * TUZA_MEMORY_TRIES);
    need_eq(tuza_memory_max_set(0, promise, NULL), -EINVAL);
    need_eq(stats().memory_max, 48 * MB);
    need_eq(tuza_memory_max_set(UINT64_MAX, NULL, NULL), 0);
    need((keep = tuza_alloc(100 * MB)) != NULL);
    need_eq(calls, 2 * TUZA_MEMORY_TRIES);
}

static int give_up(void *arg, size_t wanted)
{
    (void)arg, (void)wanted;
    calls++;
    need(tuza_alloc(100 * MB) == NULL); // not asked again inside
    return 0;
}

static tuza_waitgroup group;

static void want_much(void *arg)
{
    (void)arg;
    need(tuza_alloc(100 * MB) == NULL);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(the_function_is_not_entered_twice_by_one, 2)
{
    need_eq(tuza_memory_max_set(48 * MB, give_up, NULL), 0);
    need(tuza_alloc(100 * MB) == NULL);
    need_eq(calls, 1);
    tuza_waitgroup_add(&group, 3);
    for (int i = 0; i < 3; i++)
        tuza_spawn(want_much, NULL);
    tuza_waitgroup_wait(&group);
}

// --- external bytes

static int outside(int argc, char **argv)
{
    (void)argc, (void)argv;
    uint64_t before = stats().num_gc;
    for (int i = 0; i < 100; i++) {
        keep = tuza_alloc(16);
        tuza_external(MB);
    }
    need_eq(stats().external, 100 * MB);
    uint64_t n = stats().num_gc - before;
    need(n >= 2 && n <= 6); // at 16, 32, 64 MB
    for (int i = 0; i < 100; i++)
        tuza_external(-MB);
    need_eq(stats().external, 0);
    before = stats().num_gc;
    for (int i = 0; i < 1000; i++) {
        tuza_external(2 * MB);
        tuza_external(-2 * MB);
    }
    need(stats().num_gc - before <= 2);
    need_eq(stats().external, 0);
    // It counts against the soft limit.
    tuza_gc_set_percent(-1);
    tuza_external(100 * MB);
    before = stats().num_gc;
    churn(8 * MB);
    need_eq(stats().num_gc, before);
    tuza_memory_limit_set(110 * MB);
    churn(32 * MB);
    need(stats().num_gc > before + 2);
    tuza_external(-100 * MB);
    return 0;
}

START_TEST(external_bytes_collect_like_objects)
{
    setenv("TUZAMEMLIMIT", "off", 1);
    api_run(outside, 1);
}
END_TEST

static int below_zero(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_external(100);
    tuza_external(-101);
    need_eq(stats().external, 0);
    tuza_external(INT64_MIN);
    need_eq(stats().external, 0);
    tuza_external(INT64_MAX);
    tuza_external(INT64_MAX);
    need_eq(stats().external, INT64_MAX);
    tuza_external(-INT64_MAX);
    need_eq(stats().external, 0);
    return 0;
}

static void below_zero_child(void) { api_run(below_zero, 1); }

START_TEST(more_freed_than_held_is_zero_or_the_end)
{
    const struct api_ended *e = api_child(below_zero_child, 25);
    if (TZ_DEBUG)
        api_ended_with(e, 2, (const char *[]){ "tuza_external: -101 bytes on "
                                               "top of 100", NULL });
    else
        api_ended_with(e, 0, (const char *[]){ NULL });
}
END_TEST

static void *from_a_plain_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        tuza_external(MB);
        tuza_memory_limit_set((100 + i) * MB);
        tuza_external(-MB);
    }
    tuza_release_memory();
    need_eq(tuza_memory_max_set(1000 * MB, NULL, NULL), 0);
    need(stats().memory_max == (uint64_t)(1000 * MB));
    return NULL;
}

IN_GOROUTINES(plain_threads_may_set_limits, 2)
{
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        need_eq(pthread_create(&thread[i], NULL, from_a_plain_thread, NULL), 0);
    churn(50 * MB);
    for (int i = 0; i < 3; i++)
        need_eq(pthread_join(thread[i], NULL), 0);
    need_eq(stats().external, 0);
    need_eq(tuza_memory_limit_set(-1), 1099 * MB);
}

// --- giving back

IN_GOROUTINES(release_memory_gives_free_pages_back, 1)
{
    fill(40 * MB);
    tuza_memstats full = stats();
    memset(cell, 0, sizeof cell);
    tuza_gc();
    tuza_gc(); // the second has swept what the first found dead
    tuza_memstats swept = stats();
    size_t released = tuza_release_memory();
    tuza_memstats st = stats();
    need(released > 0);
    // The watcher may have given some back before, and in between.
    need(st.heap_released >= swept.heap_released + released);
    need(st.heap_released >= full.heap_released + (20 << 20));
    need(st.memory_used < full.memory_used - (20 << 20));
    need_eq(st.heap_sys, full.heap_sys);
    need(tuza_release_memory() <= 1 << 20); // there is no more
    fill(40 * MB);
    need(stats().memory_used >= full.memory_used - (4 << 20));
}

// --- settings

static int64_t wanted_limit;

static int has_limit(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(stats().memory_limit, wanted_limit);
    return 0;
}

static void run_with(int64_t config, const char *env, int64_t want)
{
    wanted_limit = want;
    env ? setenv("TUZAMEMLIMIT", env, 1) : unsetenv("TUZAMEMLIMIT");
    tuza_config c = { .size = sizeof c, .maxprocs = 1,
                      .memory_limit = config };
    ck_assert_int_eq(tuza_run(has_limit, 0, NULL, &c), 0);
}

START_TEST(a_configuration_sets_the_limit)
{
    run_with(100 * MB, NULL, 100 * MB);
}
END_TEST

START_TEST(the_environment_wins)
{
    run_with(100 * MB, "3G", 3072 * MB);
}
END_TEST

START_TEST(the_environment_switches_it_off)
{
    run_with(100 * MB, "off", INT64_MAX);
}
END_TEST

START_TEST(a_configuration_switches_it_off)
{
    run_with(-1, NULL, INT64_MAX);
}
END_TEST

START_TEST(by_default_the_control_group_decides)
{
    uint64_t n = tz_cgroup_limits("").memory;
    run_with(0, NULL, n == UINT64_MAX ? INT64_MAX : (int64_t)(n - n / 10));
}
END_TEST

START_TEST(a_negative_limit_but_minus_one_is_refused)
{
    tuza_config c = { .size = sizeof c, .memory_limit = -2 };
    ck_assert_int_eq(tuza_run(has_limit, 0, NULL, &c), -EINVAL);
    run_with(-1, NULL, INT64_MAX); // and has started nothing
}
END_TEST

int main(void)
{
    return api_check("limit", (const TTest *const[]){
                                  a_soft_limit_holds_where_growth_would_not,
                                  a_soft_limit_holds_while_sizes_change,
                                  without_a_limit_growth_decides,
                                  the_soft_limit_can_be_changed_at_run_time,
                                  absurd_limits_do_no_harm,
                                  what_lives_above_the_limit_is_no_death_spiral,
                                  a_hard_limit_is_null_told_once_and_goes_on,
                                  the_function_may_free,
                                  the_function_may_raise_the_limit,
                                  the_function_is_asked_so_many_times,
                                  the_function_is_not_entered_twice_by_one,
                                  external_bytes_collect_like_objects,
                                  more_freed_than_held_is_zero_or_the_end,
                                  plain_threads_may_set_limits,
                                  release_memory_gives_free_pages_back,
                                  a_configuration_sets_the_limit,
                                  the_environment_wins,
                                  the_environment_switches_it_off,
                                  a_configuration_switches_it_off,
                                  by_default_the_control_group_decides,
                                  a_negative_limit_but_minus_one_is_refused,
                                  NULL });
}
