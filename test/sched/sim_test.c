// SPDX-License-Identifier: BSD-3-Clause
// test: timeout=600
//
// test/sched/sim_test.c: TUZASIM: one seed, one order; and what orders find.

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/san.h"
#include "sched/sim.h"
#include "support/goroutines.h"

#define USEC(n) ((int64_t)(n) * 1000)
#define MINUTE (60 * INT64_C(1000000000))
#define DAY (24 * 60 * MINUTE)

// What a child tells.
struct told {
    uint64_t hash, events;
    uint64_t value[4];
};

static uint64_t value[4]; // by what runs there

// Runs fn in a process of its own with this seed; its status. What it told
// goes to *out, and its words to /dev/null.
static int run(uint64_t seed, int (*fn)(int, char **), struct told *out)
{
    int fd[2], status;
    char text[32];
    ck_assert_int_eq(pipe(fd), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct told t = { 0 };
        snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
        setenv("TUZASIM", text, 1);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        alarm(60);
        int r = tuza_run(fn, 0, NULL, NULL);
        t.hash = tz_sim_hash(&t.events);
        memcpy(t.value, value, sizeof value);
        _exit(write(fd[1], &t, sizeof t) == sizeof t ? r : 99);
    }
    close(fd[1]);
    *out = (struct told){ 0 };
    ssize_t n = read(fd[0], out, sizeof *out);
    close(fd[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(n == sizeof *out || !WIFEXITED(status) || WEXITSTATUS(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void run_well(uint64_t seed, int (*fn)(int, char **), struct told *out)
{
    int status = run(seed, fn, out);
    ck_assert_msg(status == 0, "TUZASIM=%llu: status %d",
                  (unsigned long long)seed, status);
}

// --- a program of everything

static tuza_mutex mutex;
static tuza_waitgroup group;
static int counter;

struct node {
    struct node *next;
    char rest[56];
};

tuza_fn(worker, int, id, tuza_chan(int), in, tuza_chan(int), out)
{
    struct node *list = NULL;
    int v, ok = 1, late = 0;
    while (ok) {
        switch (tuza_select(TUZA_RECV_OK(in, &v, &ok),
                            TUZA_AFTER(USEC(20 + 10 * id)))) {
        case 0:
            if (!ok)
                break;
            tuza_mutex_lock(&mutex);
            counter++;
            tuza_mutex_unlock(&mutex);
            if (v % 3 == 0)
                tuza_sleep(USEC(v));
            if (v % 7 == 0)
                (void)TUZA_SYSCALL(getppid());
            tuza_send(out, v);
            break;
        default:
            late++;
        }
        for (int i = 0; i < 20; i++) {
            struct node *n = tuza_new(struct node);
            n->next = i % 8 ? list : NULL;
            list = n;
        }
    }
    tuza_waitgroup_done(&group);
}

tuza_fn(closer, tuza_chan(int), out)
{
    tuza_waitgroup_wait(&group);
    tuza_close(out);
}

tuza_fn(feed, tuza_chan(int), in)
{
    for (int i = 1; i <= 40; i++)
        tuza_send(in, i);
    tuza_close(in);
}

static int mixed(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) in = tuza_chan_make(int, 3);
    tuza_chan(int) out = tuza_chan_make(int, 0);
    int64_t start = tuza_now();
    tuza_waitgroup_add(&group, 5);
    for (int i = 0; i < 5; i++)
        tuza_go(worker, i, in, out);
    tuza_go(feed, in);
    tuza_go(closer, out);
    int sum = 0;
    tuza_range(v, out)
    {
        sum += v;
        if (v == 20)
            tuza_gc();
    }
    need_eq(sum, 40 * 41 / 2);
    need_eq(counter, 40);
    value[0] = (uint64_t)(tuza_now() - start);
    return 0;
}

enum { SEEDS = 50, RUNS = 20 };

START_TEST(one_seed_gives_one_trace)
{
    int runs = scaled(RUNS), seeds = scaled(SEEDS);
    for (uint64_t seed = 0; seed < (uint64_t)seeds; seed++) {
        struct told first, again;
        run_well(seed, mixed, &first);
        ck_assert_uint_gt(first.events, 100);
        for (int i = 1; i < runs; i++) {
            run_well(seed, mixed, &again);
            ck_assert_msg(again.hash == first.hash &&
                              again.events == first.events &&
                              again.value[0] == first.value[0],
                          "TUZASIM=%llu: run %d differs, %llu events, not %llu",
                          (unsigned long long)seed, i,
                          (unsigned long long)again.events,
                          (unsigned long long)first.events);
        }
    }
}
END_TEST

START_TEST(seeds_give_traces_of_their_own)
{
    uint64_t hash[SEEDS];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct told t;
        run_well(seed + 1000, mixed, &t);
        hash[seed] = t.hash;
        for (uint64_t i = 0; i < seed; i++)
            ck_assert_uint_ne(hash[i], t.hash);
    }
}
END_TEST

// In a new program everything lies elsewhere; a forked one has its parent's
// layout.
static uint64_t exec_seed;
static void exec_mixed(void)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)exec_seed);
    setenv("TUZASIM", text, 1);
    setenv("SIM_TEST_EXEC", "1", 1);
    execl("/proc/self/exe", "sim_test", (char *)NULL);
}

static int executed(void)
{
    struct told t;
    int r = tuza_run(mixed, 0, NULL, NULL);
    t.hash = tz_sim_hash(&t.events);
    printf("%llx %llu", (unsigned long long)t.hash,
           (unsigned long long)t.events);
    return r;
}

START_TEST(a_trace_has_no_addresses)
{
    int runs = scaled(RUNS);
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct told t;
        char want[64];
        run_well(seed, mixed, &t);
        snprintf(want, sizeof want, "%llx %llu", (unsigned long long)t.hash,
                 (unsigned long long)t.events);
        exec_seed = seed;
        for (int i = 0; i < runs; i++) {
            struct api_ended *e = api_child(exec_mixed, 60);
            ck_assert_int_eq(e->status, 0);
            ck_assert_str_eq(e->text, want);
        }
    }
}
END_TEST

// --- the choice

enum { READY = 4 };
static int first_of; // who was first

static void be_first(void *arg)
{
    if (!first_of)
        first_of = 1 + (int)(intptr_t)arg;
    tuza_waitgroup_done(&group);
}

static bool stay(struct tz_g *g, void *arg)
{
    *(struct tz_g **)arg = g;
    return true;
}

static struct tz_g *parked[READY];
static void park_first(void *arg)
{
    intptr_t i = (intptr_t)arg;
    tz_park(stay, &parked[i], TZ_WAIT_NONE);
    be_first(arg);
}

static int race(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, READY);
    for (intptr_t i = 0; i < READY; i++)
        tuza_spawn(park_first, (void *)i);
    until_waiting(READY);
    for (int i = 0; i < READY; i++)
        tz_ready(parked[i]);
    tuza_waitgroup_wait(&group);
    value[0] = (uint64_t)first_of - 1;
    return 0;
}

START_TEST(each_that_can_run_is_as_likely)
{
    int count[READY] = { 0 }, times = scaled(800);
    for (uint64_t seed = 0; seed < (uint64_t)times; seed++) {
        struct told t;
        run_well(seed, race, &t);
        count[t.value[0]]++;
    }
    double chi = 0, mean = (double)times / READY;
    for (int i = 0; i < READY; i++)
        chi += (count[i] - mean) * (count[i] - mean) / mean;
    ck_assert_msg(chi < 21.1, "%d %d %d %d: chi-square %f of 3 degrees, above "
                              "the 0.01 %% point", count[0], count[1],
                  count[2], count[3], chi);
}
END_TEST

// --- time

static void wakes_each_minute(void *arg)
{
    (void)arg;
    for (int64_t end = tuza_now() + DAY; tuza_now() < end; counter++)
        tuza_sleep(MINUTE);
    tuza_waitgroup_done(&group);
}

static int a_day(int argc, char **argv)
{
    (void)argc, (void)argv;
    int64_t start = tuza_now();
    tuza_waitgroup_add(&group, 10);
    for (int i = 0; i < 10; i++)
        tuza_spawn(wakes_each_minute, NULL);
    tuza_waitgroup_wait(&group);
    value[0] = (uint64_t)(tuza_now() - start);
    value[1] = (uint64_t)counter;
    return 0;
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

START_TEST(a_day_passes_in_seconds)
{
    struct told t;
    double start = seconds();
    run_well(1, a_day, &t);
    double took = seconds() - start;
    ck_assert_uint_ge(t.value[0], DAY);
    ck_assert_uint_lt(t.value[0], DAY + 2 * MINUTE);
    ck_assert_uint_ge(t.value[1], 10 * (24 * 60 - 1)); // it loses some us
    ck_assert_double_lt(took, 30);
}
END_TEST

static int busy_until(int argc, char **argv)
{
    (void)argc, (void)argv;
    int64_t last = tuza_now(), end = last + TUZA_MS(3);
    while (last < end) {
        int64_t now = tuza_now();
        need(now > last);
        last = now;
    }
    return 0;
}

START_TEST(a_loop_until_a_time_ends)
{
    struct told t;
    run_well(2, busy_until, &t);
}
END_TEST

// --- calls and collections

static int runs_beside;
static void beside(void *arg)
{
    (void)arg;
    runs_beside++;
}

static int in_a_call(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 20; i++) {
        tuza_spawn(beside, NULL);
        int before = runs_beside, after;
        (void)TUZA_BLOCKING((usleep(100), after = runs_beside));
        need_eq(before, after);
    }
    return 0;
}

START_TEST(nobody_runs_beside_a_declared_call)
{
    struct told t;
    run_well(3, in_a_call, &t);
}
END_TEST

static int allocate(int argc, char **argv)
{
    (void)argc, (void)argv;
    value[1] = (uintptr_t)tuza_new(struct node);
    for (int i = 0; i < 20000; i++)
        (void)tuza_new(struct node);
    tuza_memstats s = { .size = sizeof s };
    tuza_memstats_read(&s);
    value[0] = s.num_gc;
    return 0;
}

START_TEST(collections_come_at_chosen_times)
{
    struct told t;
    uint64_t sum = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        run_well(seed, allocate, &t);
        sum += t.value[0];
    }
    // 1.3 MB of the 16 that would start one.
    ck_assert_uint_gt(sum, 0);
    setenv("TUZAGC", "off", 1);
    for (uint64_t seed = 0; seed < 20; seed++) {
        run_well(seed, allocate, &t);
        ck_assert_uint_eq(t.value[0], 0);
    }
}
END_TEST

START_TEST(the_heap_is_where_it_was)
{
    struct told a, b;
    if (TZ_SAN_OWNS_ADDRESSES)
        return;
    run_well(1, allocate, &a);
    for (uint64_t seed = 1; seed < 10; seed++) {
        run_well(seed, allocate, &b);
        ck_assert_uint_eq(a.value[1], b.value[1]);
    }
}
END_TEST

// --- what is found

// A condition variable as beginners write it: between the look and the wait
// there is no lock, so that the signal may come in between, to nobody.
static int ready_flag, waits;
static tuza_chan(int) signals;

static void beginners_signal(void *arg)
{
    (void)arg;
    tuza_mutex_lock(&mutex);
    ready_flag = 1;
    int wake = waits;
    tuza_mutex_unlock(&mutex);
    if (wake)
        tuza_send(signals, 1);
}

static int lost_wake(int argc, char **argv)
{
    (void)argc, (void)argv;
    signals = tuza_chan_make(int, 0);
    int v;
    tuza_spawn(beginners_signal, NULL);
    tuza_mutex_lock(&mutex);
    bool wait = !ready_flag;
    tuza_mutex_unlock(&mutex);
    if (wait) {
        tuza_mutex_lock(&mutex);
        waits++; // ready_flag may be set by now
        tuza_mutex_unlock(&mutex);
        tuza_recv(signals, &v);
    }
    return 0;
}

enum { TRIES = 200 };

START_TEST(a_lost_wake_up_is_found_and_comes_again)
{
    int found = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        struct told t;
        int status = run(seed, lost_wake, &t);
        ck_assert_msg(status == 0 || status == 2, "TUZASIM=%llu: status %d",
                      (unsigned long long)seed, status);
        if (status != 2)
            continue;
        found++;
        for (int i = 0; i < 5; i++)
            ck_assert_int_eq(run(seed, lost_wake, &t), 2);
    }
    ck_assert_int_ge(found, 3);
    ck_assert_int_lt(found, TRIES / 2);
}
END_TEST

static void add_one(void *arg)
{
    (void)arg;
    int seen = counter;
    tuza_mutex_lock(&mutex); // of something else
    tuza_mutex_unlock(&mutex);
    counter = seen + 1;
    tuza_waitgroup_done(&group);
}

static int lost_update(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 2);
    tuza_spawn(add_one, NULL);
    tuza_spawn(add_one, NULL);
    tuza_waitgroup_wait(&group);
    return counter == 2 ? 0 : 7;
}

START_TEST(a_lost_update_is_found_and_comes_again)
{
    int found = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        struct told t;
        int status = run(seed, lost_update, &t);
        ck_assert(status == 0 || status == 7);
        found += status == 7;
        if (status == 7)
            ck_assert_int_eq(run(seed, lost_update, &t), 7);
    }
    ck_assert_int_ge(found, 10);
}
END_TEST

// --- reports

static int wait_for_ever(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_sleep(DAY);
    tuza_recv(tuza_chan_make(int, 0), NULL);
    return 0;
}

static void deadlock_here(void)
{
    setenv("TUZASIM", "18446744073709551615", 1);
    tuza_run(wait_for_ever, 0, NULL, NULL);
}

START_TEST(a_deadlock_is_seen_at_once_and_told_with_its_seed)
{
    const char *const texts[] = {
        "tuza: fatal: all goroutines are asleep - deadlock!\n"
        "tuza: TUZASIM=18446744073709551615: hash ",
        " events, 86400.0", "goroutine 1 [chan receive]", NULL
    };
    api_ended_with(api_child(deadlock_here, 20), 2, texts);
}
END_TEST

static void traced(void)
{
    setenv("TUZASIM", "5", 1);
    setenv("TUZADEBUG", "simtrace=2", 1);
    exit(tuza_run(mixed, 0, NULL, NULL));
}

START_TEST(events_can_be_printed_and_compared)
{
    static char before[256 * 1024];
    struct api_ended *e = api_child(traced, 20);
    static const char *const kinds[] = { "spawn",  "run",    "park", "ready",
                                         "yield",  "exit",   "call", "return",
                                         "timer",  "send",   "receive",
                                         "close",  "select", "gc" };
    ck_assert_int_eq(e->status, 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char regex[64];
        snprintf(regex, sizeof regex, "^sim [0-9]+ @[0-9]+ %s [0-9]+ [0-9]+$",
                 kinds[i]);
        ck_assert_msg(api_count_lines(e->text, regex) > 0, "no %s", kinds[i]);
    }
    ck_assert_int_eq(api_count_lines(e->text, "^tuza: TUZASIM=5: hash"), 1);
    memcpy(before, e->text, sizeof before);
    ck_assert_str_eq(before, api_child(traced, 20)->text);
}
END_TEST

int main(void)
{
    if (getenv("SIM_TEST_EXEC"))
        return executed();
    setenv("CK_DEFAULT_TIMEOUT", "250", 0); // a thousand processes
    const TTest *const tests[] = {
        one_seed_gives_one_trace,
        seeds_give_traces_of_their_own,
        a_trace_has_no_addresses,
        each_that_can_run_is_as_likely,
        a_day_passes_in_seconds,
        a_loop_until_a_time_ends,
        nobody_runs_beside_a_declared_call,
        collections_come_at_chosen_times,
        the_heap_is_where_it_was,
        a_lost_wake_up_is_found_and_comes_again,
        a_lost_update_is_found_and_comes_again,
        a_deadlock_is_seen_at_once_and_told_with_its_seed,
        events_can_be_printed_and_compared,
        NULL
    };
    return api_check("sim", tests);
}
