// SPDX-License-Identifier: BSD-3-Clause
// test/sched/stw_test.c: the world stops, wherever its goroutines are, and goes
// on as if nothing had been.

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sched/preempt.h"
#include "sched/proc.h"
#include "support/goroutines.h"

static tuza_waitgroup group;
static uint32_t stop; // atomic

// Goroutines that make no call at all, so that only a signal stops them.
enum { SPINNERS = 4 };
static struct {
    TZ_ALIGNED(TZ_CACHE_LINE) uint64_t n;
} spun[SPINNERS];

static void spin(void *arg)
{
    uint64_t *n = arg;
    while (!tz_load_rlx(&stop))
        tz_store_rlx(n, tz_load_rlx(n) + 1);
    tuza_waitgroup_done(&group);
}

static void start_spinners(int n)
{
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        tuza_spawn(spin, &spun[i].n);
    for (int i = 0; i < n; i++)
        while (!tz_load_rlx(&spun[i].n))
            tuza_yield();
}

static void end_spinners(void)
{
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

static void nothing_moves(void *arg)
{
    uint64_t before[SPINNERS];
    (void)arg;
    for (int i = 0; i < SPINNERS; i++)
        before[i] = tz_load_rlx(&spun[i].n);
    for (int i = 0; i < 50; i++)
        sched_yield();
    for (int i = 0; i < SPINNERS; i++)
        need_eq(tz_load_rlx(&spun[i].n), before[i]);
    for (uint32_t i = 0; i < tz_sched.nallp; i++)
        need_eq(tz_load(&tz_sched.allp[i]->status), TZ_P_STOPPED);
}

static void stop_spinners(int n, int times)
{
    start_spinners(n);
    for (int k = 0; k < times; k++) {
        if (k % 2)
            tuza_gc();
        else
            tz_world_call(nothing_moves, NULL);
        for (int i = 0; i < n; i++) { // and each goes on
            uint64_t at = tz_load_rlx(&spun[i].n);
            while (tz_load_rlx(&spun[i].n) == at)
                sched_yield();
        }
    }
    end_spinners();
}

IN_GOROUTINES(a_loop_without_calls_is_stopped_on_two_procs, 2)
{
    stop_spinners(1, 100);
}

IN_GOROUTINES(four_loops_without_calls_are_stopped_and_go_on, 5)
{
    stop_spinners(4, 40);
}

// Four loops on two Ps, of which two wait for their turn: each ends by itself.
static void spin_a_while(void *arg)
{
    uint64_t *n = arg;
    for (int i = 0; i < 3000000; i++)
        tz_store_rlx(n, tz_load_rlx(n) + 1);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(collections_run_beside_four_loops_on_two_procs, 2)
{
    for (int k = 0; k < 5; k++) {
        tuza_waitgroup_add(&group, SPINNERS);
        for (int i = 0; i < SPINNERS; i++)
            tuza_spawn(spin_a_while, &spun[i].n);
        for (int i = 0; i < 5; i++) {
            tuza_gc();
            tuza_yield();
        }
        tuza_waitgroup_wait(&group);
    }
}

// All stop the world at once, over and over: each gets its turn.
static int calls;

static void count_call(void *arg)
{
    (void)arg;
    calls++; // not atomic: the world is stopped
}

static void stop_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < scaled(500); i++)
        tz_world_call(count_call, NULL);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(every_goroutine_may_stop_the_world, 4)
{
    tuza_waitgroup_add(&group, 8);
    for (int i = 0; i < 8; i++)
        tuza_spawn(stop_often, NULL);
    tuza_waitgroup_wait(&group);
    need_eq(calls, 8 * scaled(500));
}

// Stops while goroutines come, go, park, wake and sleep.
static void live(void *arg)
{
    tuza_chan(int) c = arg;
    int v;
    while (tuza_recv(c, &v) == 1) {
        if (v % 3 == 0)
            tuza_yield();
        if (v % 101 == 0)
            tuza_sleep(TUZA_US(v % 50));
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(the_world_stops_amid_everything, 4)
{
    tuza_chan(int) c = tuza_chan_make(int, 7);
    tuza_waitgroup_add(&group, 20);
    for (int i = 0; i < 20; i++)
        tuza_spawn(live, (void *)c);
    for (int i = 0; i < scaled(20000); i++) {
        tuza_send(c, i);
        if (i % 20 == 0)
            tz_world_call(count_call, NULL);
    }
    tuza_close(c);
    tuza_waitgroup_wait(&group);
}

// errno is as it was, whatever the handler did.
static uint64_t errno_checks;

static void watch_errno(void *arg)
{
    volatile int *e = arg ? arg : &errno;
    *e = 123456;
    while (!tz_load_rlx(&stop)) {
        need(*e == 123456);
        tz_store_rlx(&errno_checks, errno_checks + 1);
    }
    tuza_waitgroup_done(&group);
}

static void stops_with(void (*fn)(void *), const uint64_t *progress)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(fn, NULL);
    for (int i = 0; i < scaled(300); i++) {
        uint64_t at = tz_load_rlx(progress);
        while (tz_load_rlx(progress) == at)
            sched_yield();
        tuza_gc();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(a_stop_leaves_errno_alone, 2)
{
    stops_with(watch_errno, &errno_checks);
}

// The program's own SIGURG comes through; the runtime's own never, also not one
// that comes when the stop is over.
static int urgent; // atomic

static void on_urgent(int signo)
{
    (void)signo;
    tz_xadd(&urgent, 1);
}

static int urgent_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    stop_spinners(1, 20);
    need_eq(tz_load(&urgent), 0);
    for (int i = 1; i <= 10; i++) {
        int before = tz_load(&urgent);
        kill(getpid(), TZ_SIG_STOP);
        while (tz_load(&urgent) == before)
            tuza_yield();
    }
    return 0;
}

START_TEST(the_programs_own_sigurg_reaches_its_handler)
{
    struct sigaction sa = { .sa_handler = on_urgent };
    sigaction(TZ_SIG_STOP, &sa, NULL);
    api_run(urgent_main, 2);
}
END_TEST

// Without a handler of the program it stays harmless.
IN_GOROUTINES(a_stray_sigurg_is_ignored, 2)
{
    start_spinners(1);
    for (int i = 0; i < 1000; i++)
        kill(getpid(), TZ_SIG_STOP);
    tuza_gc();
    end_spinners();
}

// Fills buf with a file of this process's thread.
static void read_of_thread(const char *tid, const char *file, char *buf, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/%s", tid, file);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(buf, 1, size - 1, f) : 0;
    buf[n] = 0;
    if (f)
        fclose(f);
}

// How often the thread of that name has slept.
static long sleeps_of(const char *name)
{
    char buf[4096];
    long n = -1;
    DIR *d = opendir("/proc/self/task");
    need(d);
    for (struct dirent *e; n < 0 && (e = readdir(d));) {
        read_of_thread(e->d_name, "comm", buf, sizeof buf);
        if (strncmp(buf, name, strlen(name)) != 0)
            continue;
        read_of_thread(e->d_name, "status", buf, sizeof buf);
        const char *line = strstr(buf, "\nvoluntary_ctxt_switches:");
        need(line && sscanf(strchr(line, ':'), ": %ld", &n) == 1);
    }
    closedir(d);
    need(n >= 0);
    return n;
}

static void stops_for(int64_t ns, int *stops)
{
    for (int64_t end = tuza_now() + ns; tuza_now() < end; ++*stops) {
        for (int64_t next = tuza_now() + TUZA_MS(2); tuza_now() < next;)
            ;
        tuza_gc();
    }
}

// It slept 20 us at a time after each stop, as after a time when nothing ran: a tenth
// of what a program cost that collected 200 times a second.
static int often_stopped(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { KEPT = 200000 }; // so that sysmon comes by during a stop
    void **kept = tuza_alloc(KEPT * sizeof *kept);
    for (int i = 0; i < KEPT; i++)
        kept[i] = tuza_alloc(32);
    int stops = 0;
    stops_for(TUZA_MS(100), &stops); // it gets slower first
    long before = sleeps_of("tuza-sysmon");
    stops = 0;
    stops_for(TUZA_MS(500), &stops);
    long slept = sleeps_of("tuza-sysmon") - before;
    printf("%d stops, sysmon slept %ld times\n", stops, slept);
    need(stops > 10 && slept < 3 * stops + 100);
    tuza_keepalive(kept);
    return 0;
}

START_TEST(stops_do_not_make_sysmon_look_more_often)
{
    setenv("TUZADEBUG", "gcmode=m0", 1); // a mark beside gives its P away
    api_run(often_stopped, 1);
}
END_TEST

// So it did after each moment in which nothing ran, as when who allocates waits for
// a mark beside it: 6 % of what bintrees cost that tells of its stores.
static int often_waiting(int argc, char **argv)
{
    (void)argc, (void)argv;
    int waits = 0, late = 0;
    long before = 0;
    int64_t start = tuza_now(), measured = start + TUZA_MS(100), begun;
    while ((begun = tuza_now()) < start + TUZA_MS(700)) {
        if (!before && begun > measured) { // it gets slower first
            before = sleeps_of("tuza-sysmon");
            waits = late = 0;
        }
        for (int64_t next = begun + TUZA_MS(5); tuza_now() < next;)
            ;
        int64_t asleep = tuza_now();
        tuza_sleep(TUZA_MS(1));
        waits++;
        late += tuza_now() - asleep > TUZA_MS(8);
    }
    long slept = sleeps_of("tuza-sysmon") - before;
    printf("%d waits, %d of them long, sysmon slept %ld times\n", waits, late, slept);
    need(slept < 15 * waits + 100 * late + 100);
    return 0;
}

START_TEST(short_waits_do_not_make_sysmon_look_more_often)
{
    api_run(often_waiting, 1);
}
END_TEST

int main(void)
{
    return api_check("stw",
                     (const TTest *const[]){
                         a_loop_without_calls_is_stopped_on_two_procs,
                         four_loops_without_calls_are_stopped_and_go_on,
                         collections_run_beside_four_loops_on_two_procs,
                         every_goroutine_may_stop_the_world,
                         the_world_stops_amid_everything,
                         a_stop_leaves_errno_alone,
                         the_programs_own_sigurg_reaches_its_handler,
                         a_stray_sigurg_is_ignored,
                         stops_do_not_make_sysmon_look_more_often,
                         short_waits_do_not_make_sysmon_look_more_often, NULL });
}
