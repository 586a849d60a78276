// SPDX-License-Identifier: BSD-3-Clause
// test/go/proc_test.c: Go's src/runtime/proc_test.go, retold: the scheduler.

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "sched/proc.h"
#include "support/goroutines.h"

static tuza_waitgroup group;
static uint32_t stop; // atomic

// TestStopTheWorldDeadlock: one collects, one stops the world otherwise, and
// one starts a goroutine that starts a goroutine that…
static void perpetuum_mobile(void *arg)
{
    (void)arg;
    if (!tz_load(&stop))
        tuza_spawn(perpetuum_mobile, NULL);
    else
        tuza_waitgroup_done(&group);
}

static void nothing(void *arg) { (void)arg; }

static void collect_1000(void *arg)
{
    (void)arg;
    for (int i = 0; i < scaled(1000); i++)
        tuza_gc();
    tuza_waitgroup_done(&group);
}

static void stop_1000(void *arg)
{
    (void)arg;
    for (int i = 0; i < scaled(1000); i++)
        tz_world_call(nothing, NULL);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(stop_the_world_deadlock, 3)
{
    tuza_waitgroup_add(&group, 2);
    tuza_spawn(collect_1000, NULL);
    tuza_spawn(stop_1000, NULL);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(perpetuum_mobile, NULL);
    while (tz_load(&tz_sched.goid) < 1000)
        tuza_yield();
    tuza_sleep(TUZA_MS(50));
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// TestYieldProgress: who asks in a loop whether something has come, and yields,
// lets it come.
static tuza_chan(int) asked, answered;

static void ask_and_yield(void *arg)
{
    (void)arg;
    while (tuza_select(TUZA_RECV(asked, NULL), TUZA_DEFAULT) != 0)
        tuza_yield();
    tuza_send(answered, 1);
}

static void yield_progress_on(void)
{
    asked = tuza_chan_make(int, 0);
    answered = tuza_chan_make(int, 0);
    tuza_spawn(ask_and_yield, NULL);
    tuza_sleep(TUZA_MS(10));
    tuza_send(asked, 1);
    tuza_recv(answered, NULL);
}

IN_GOROUTINES(yield_progress_on_one_proc, 1) { yield_progress_on(); }
IN_GOROUTINES(yield_progress_on_two_procs, 2) { yield_progress_on(); }

// TestGoroutineParallelism: four goroutines pass a number on without a call, so
// that all four must run at the same time.
enum { P = 4 };
static uint32_t turn; // atomic

static void take_turns(void *arg)
{
    uint32_t p = *(uint32_t *)arg;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t expected = P * i + p;
        while (tz_load(&turn) != expected)
            ;
        tz_store(&turn, expected + 1);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(goroutine_parallelism, P)
{
    static uint32_t number[P] = { 0, 1, 2, 3 };
    for (int try = 0; try < 10; try++) {
        turn = 0;
        tuza_waitgroup_add(&group, P);
        for (int p = 0; p < P; p++)
            tuza_spawn(take_turns, &number[p]);
        tuza_waitgroup_wait(&group);
    }
}

// TestGoroutineParallelism2: the same after Ps were idle, asleep for a timer.
IN_GOROUTINES(goroutine_parallelism_after_sleep, P)
{
    static uint32_t number[P] = { 0, 1, 2, 3 };
    for (int try = 0; try < 10; try++) {
        turn = 0;
        tuza_sleep(TUZA_MS(2));
        tuza_waitgroup_add(&group, P);
        for (int p = 1; p < P; p++)
            tuza_spawn(take_turns, &number[p]);
        take_turns(&number[0]);
        tuza_waitgroup_wait(&group);
    }
}

// TestTimerFairness: goroutines that always have something to do do not keep a
// timer from running.
static tuza_chan(int) values, done;

static void send_until_done(void *arg)
{
    int v = 1;
    (void)arg;
    while (tuza_select(TUZA_SEND(values, &v), TUZA_RECV(done, NULL)) == 0)
        ;
    tuza_waitgroup_done(&group);
}

static void timer_fairness_on(void)
{
    values = tuza_chan_make(int, 0);
    done = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, 2);
    for (int i = 0; i < 2; i++)
        tuza_spawn(send_until_done, NULL);
    int64_t end = tuza_now() + TUZA_MS(20);
    for (int64_t left; (left = end - tuza_now()) > 0;)
        if (tuza_select(TUZA_RECV(values, NULL), TUZA_AFTER(left)) == 1)
            break;
    tuza_close(done);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(timer_fairness_on_one_proc, 1) { timer_fairness_on(); }
IN_GOROUTINES(timer_fairness_on_two_procs, 2) { timer_fairness_on(); }

// TestTimerFairness2: the same with declared calls.
static void pass_on(void *arg)
{
    int fd = *(int *)arg, v = 1;
    char byte;
    int64_t end = tuza_now() + TUZA_MS(20);
    while (tuza_now() < end) {
        (void)TUZA_SYSCALL(read(fd, &byte, 0));
        if (tuza_select(TUZA_SEND(values, &v), TUZA_RECV(values, NULL),
                        TUZA_AFTER(end - tuza_now())) == 2)
            break;
    }
    tuza_waitgroup_done(&group);
}

static void timer_fairness_2_on(void)
{
    int fd = open("/dev/null", O_RDONLY);
    values = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, 2);
    for (int i = 0; i < 2; i++)
        tuza_spawn(pass_on, &fd);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(timer_fairness_2_on_one_proc, 1) { timer_fairness_2_on(); }
IN_GOROUTINES(timer_fairness_2_on_two_procs, 2) { timer_fairness_2_on(); }

// TestPreemption, with as many Ps as it needs: nobody's time is sliced here.
static void alternate(void *arg)
{
    uint32_t me = *(uint32_t *)arg;
    for (int i = 0; i < 5; i++) {
        while ((tz_load(&turn) & 1) != me)
            ;
        tz_xadd(&turn, 1);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(preemption_of_spinners_that_alternate, 2)
{
    static uint32_t number[2] = { 0, 1 };
    tuza_waitgroup_add(&group, 2);
    for (int i = 0; i < 2; i++)
        tuza_spawn(alternate, &number[i]);
    tuza_waitgroup_wait(&group);
    need_eq(turn, 10);
}

// TestPreemptionGC, TestAsyncPreempt: collections stop loops without calls.
static void spin_until_stop(void *arg)
{
    (void)arg;
    while (!tz_load_rlx(&stop))
        ;
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(preemption_gc, 6)
{
    tuza_waitgroup_add(&group, 5);
    for (int i = 0; i < 5; i++)
        tuza_spawn(spin_until_stop, NULL);
    for (int i = 0; i < 10; i++) {
        tuza_yield();
        tuza_gc();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// TestPreemptionAfterSyscall: a loop that begins right after a call is stopped.
static void call_then_spin(void *arg)
{
    (void)TUZA_SYSCALL(usleep(*(useconds_t *)arg));
    spin_until_stop(NULL);
}

IN_GOROUTINES(preemption_after_syscall, 2)
{
    static useconds_t us[] = { 10, 100, 1000 };
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 10; k++) {
            tz_store(&stop, 0);
            tuza_waitgroup_add(&group, 1);
            tuza_spawn(call_then_spin, &us[i]);
            (void)TUZA_SYSCALL(usleep(us[i] + 100));
            tuza_gc();
            tz_store(&stop, 1);
            tuza_waitgroup_wait(&group);
        }
}

// TestGCFairness: goroutines in calls all the time do not keep main from going
// on.
static void write_for_ever(void *arg)
{
    int fd = *(int *)arg;
    for (;;)
        (void)TUZA_SYSCALL(write(fd, ".", 1));
}

static void gc_fairness_on(void)
{
    static int fd;
    fd = open("/dev/null", O_WRONLY);
    for (int i = 0; i < 2; i++)
        tuza_spawn(write_for_ever, &fd);
    tuza_sleep(TUZA_MS(10));
    for (int i = 0; i < 10; i++)
        tuza_gc();
}

IN_GOROUTINES(gc_fairness_on_two_procs, 2) { gc_fairness_on(); }
IN_GOROUTINES(gc_fairness_on_four_procs, 4) { gc_fairness_on(); }

// TestGCFairness2: of goroutines that sleep in calls, none is left out.
static int64_t naps[3]; // atomic

static void nap_for_ever(void *arg)
{
    const struct timespec ns = { 0, 1 };
    for (;;) {
        (void)TUZA_SYSCALL(nanosleep(&ns, NULL));
        tz_xadd((int64_t *)arg, 1);
    }
}

static void gc_fairness_2_on(void)
{
    for (int i = 0; i < 3; i++)
        tuza_spawn(nap_for_ever, &naps[i]);
    for (int i = 0; i < 3; i++)
        while (tz_load(&naps[i]) < 10) {
            tuza_sleep(TUZA_MS(1));
            tuza_gc();
        }
}

IN_GOROUTINES(gc_fairness_2_on_one_proc, 1) { gc_fairness_2_on(); }
IN_GOROUTINES(gc_fairness_2_on_two_procs, 2) { gc_fairness_2_on(); }

// TestNumGoroutine: what is counted is what a walk finds.
static void wait_for_close(void *arg)
{
    tuza_recv((tuza_chan(int))arg, NULL);
}

IN_GOROUTINES(num_goroutine, 1)
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    for (int i = 0; i < 100; i++)
        tuza_spawn(wait_for_close, (void *)c);
    until_waiting(100);
    uint64_t now, started, walked = 0;
    tz_sched_counts(&now, &started);
    for (size_t i = 0; i < tz_allg_count(); i++)
        walked += tz_load(&tz_allg_get(i)->status) != TZ_G_DEAD;
    need_eq(now, 101);
    need_eq(walked, now);
    tuza_close(c);
    while (tz_sched_counts(&now, &started), now > 1)
        tuza_yield();
}

// TestPingPongHog: a pair of hogs that wake each other, and a light pair beside
// it, on one P. Go asks for equal shares, which takes time slices; here the
// light pair must get on.
static tuza_chan(int) hog_chan, light_chan;
static uint64_t hogs, lights;

static void ping_pong(tuza_chan(int) wake, int limit, uint64_t *counter)
{
    int v = 1;
    while (tuza_select(TUZA_RECV(done, NULL), TUZA_RECV(wake, NULL)) == 1) {
        for (int i = 0; i < limit; i++)
            ++*(volatile uint64_t *)counter;
        if (tuza_select(TUZA_RECV(done, NULL), TUZA_SEND(wake, &v)) == 0)
            break;
    }
    tuza_waitgroup_done(&group);
}

static void hog(void *arg)
{
    (void)arg;
    ping_pong(hog_chan, 100000, &hogs);
}

static void light(void *arg)
{
    (void)arg;
    ping_pong(light_chan, 1000, &lights);
}

IN_GOROUTINES(ping_pong_hog, 1)
{
    done = tuza_chan_make(int, 0);
    hog_chan = tuza_chan_make(int, 0);
    light_chan = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 2; i++)
        tuza_spawn(hog, NULL);
    for (int i = 0; i < 2; i++)
        tuza_spawn(light, NULL);
    tuza_send(hog_chan, 1);
    tuza_send(light_chan, 1);
    tuza_sleep(TUZA_MS(100));
    tuza_close(done);
    tuza_waitgroup_wait(&group);
    need(hogs > 0 && lights > 1000);
}

// TestGetgThreadSwitch: a goroutine knows who it is on whatever thread.
static void who_am_i(void *arg)
{
    uint64_t me = tuza_goid();
    struct tz_g *g = tz_getg();
    (void)arg;
    for (int i = 0; i < scaled(1000); i++) {
        if (i % 3)
            tuza_yield();
        else
            (void)TUZA_BLOCKING(getppid());
        need(tuza_goid() == me && tz_getg() == g && g->m == tz_getm());
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(getg_thread_switch, 2)
{
    tuza_waitgroup_add(&group, 10);
    for (int i = 0; i < 10; i++)
        tuza_spawn(who_am_i, NULL);
    tuza_waitgroup_wait(&group);
}

// TestBigGOMAXPROCS: the most there may be is no trouble.
IN_GOROUTINES(big_gomaxprocs, 1024)
{
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_spawn(who_am_i, NULL);
    tuza_waitgroup_wait(&group);
    tuza_gc();
}

// TestSchedLocalQueue, …Steal, …Empty: white-box, with Gs that nobody runs.
static struct tz_g fake[TZ_RUNQ_SIZE];

static struct tz_p *new_p(void)
{
    struct tz_p *p = aligned_alloc(TZ_CACHE_LINE, sizeof *p);
    memset(p, 0, sizeof *p);
    return p;
}

START_TEST(sched_local_queue)
{
    struct tz_p *p = new_p();
    for (int i = 0; i < TZ_RUNQ_SIZE; i++) {
        need(tz_runq_get(p) == NULL);
        for (int j = 0; j < i; j++)
            tz_runq_put(p, &fake[i], false);
        for (int j = 0; j < i; j++)
            need(tz_runq_get(p) == &fake[i]);
        need(tz_runq_get(p) == NULL);
    }
}
END_TEST

START_TEST(sched_local_queue_steal)
{
    struct tz_p *p1 = new_p(), *p2 = new_p();
    for (int i = 0; i < TZ_RUNQ_SIZE; i++) {
        for (int j = 0; j < i; j++) {
            fake[j].select_done = 0;
            tz_runq_put(p1, &fake[j], false);
        }
        int stolen = 0, left = 0;
        struct tz_g *g = tz_runq_steal(p2, p1, false);
        for (; g; g = tz_runq_get(p2), stolen++)
            g->select_done++;
        for (; (g = tz_runq_get(p1)); left++)
            g->select_done++;
        for (int j = 0; j < i; j++)
            need_eq(fake[j].select_done, 1);
        need(stolen == i / 2 || stolen == i / 2 + 1);
        need_eq(stolen + left, i);
    }
}
END_TEST

static struct tz_p *looked_at;
static int rounds;
static uint32_t ready; // atomic
static bool found_empty;

static void meet_at(uint32_t n)
{
    tz_xadd(&ready, 1);
    for (int i = 0; tz_load(&ready) < n; i++)
        if (i % 1000 == 999)
            sched_yield();
}

static void *look(void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        meet_at((uint32_t)i * 4 + 2);
        if (tz_runq_empty(looked_at))
            tz_store(&found_empty, true);
        meet_at((uint32_t)i * 4 + 4);
    }
    return NULL;
}

// While the owner adds one and takes one, another is always there.
START_TEST(sched_local_queue_empty)
{
    pthread_t thread;
    looked_at = new_p();
    rounds = scaled(20000);
    ck_assert_int_eq(pthread_create(&thread, NULL, look, NULL), 0);
    for (int i = 0; i < rounds; i++) {
        tz_runq_put(looked_at, &fake[0], i & 1);
        meet_at((uint32_t)i * 4 + 2);
        tz_runq_put(looked_at, &fake[1], i & 2);
        tz_runq_get(looked_at);
        meet_at((uint32_t)i * 4 + 4);
        need(!tz_load(&found_empty));
        tz_runq_get(looked_at);
    }
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    return api_check(
        "go_proc",
        (const TTest *const[]){
            stop_the_world_deadlock, yield_progress_on_one_proc,
            yield_progress_on_two_procs, goroutine_parallelism,
            goroutine_parallelism_after_sleep, timer_fairness_on_one_proc,
            timer_fairness_on_two_procs, timer_fairness_2_on_one_proc,
            timer_fairness_2_on_two_procs,
            preemption_of_spinners_that_alternate, preemption_gc,
            preemption_after_syscall, gc_fairness_on_two_procs,
            gc_fairness_on_four_procs, gc_fairness_2_on_one_proc,
            gc_fairness_2_on_two_procs, num_goroutine, ping_pong_hog,
            getg_thread_switch, big_gomaxprocs, sched_local_queue,
            sched_local_queue_steal, sched_local_queue_empty, NULL });
}
