// SPDX-License-Identifier: BSD-3-Clause
// test: whole timeout=300
// test/go/attach_test.c: Go's src/runtime/crash_cgo_test.go with
// testdata/testprogcgo, and src/cmd/cgo/internal/test (callback.go, cthread.go,
// cgo_thread_lock.go, issue1560.go and others), retold: threads that the
// runtime has not made call into it. Here the native side is the program.

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/san.h"
#include "support/goroutines.h"
#include "tuza/thread.h"

typedef tuza_chan(int) int_chan;

static uint32_t stop; // atomic
static tuza_waitgroup group;

static pthread_t start_with(void *(*fn)(void *), void *arg, size_t stack)
{
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    if (stack)
        need_eq(pthread_attr_setstacksize(&a, stack), 0);
    need_eq(pthread_create(&t, &a, fn, arg), 0);
    pthread_attr_destroy(&a);
    return t;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
    return start_with(fn, arg, 0);
}

// In a goroutine.
static void join(pthread_t t)
{
    need_eq(TUZA_BLOCKING(pthread_join(t, NULL)), 0);
}

tuza_fn(collect_for_ever)
{
    while (!tz_load_rlx(&stop)) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static void begin_collector(void)
{
    tuza_waitgroup_add(&group, 1);
    tuza_go(collect_for_ever);
}

static void end_collector(void)
{
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// What a dump would list: schedstats do not count attached threads.
static uint64_t goroutines(void)
{
    uint64_t n = 0;
    for (size_t i = 0; i < tz_allg_count(); i++)
        n += tz_load(&tz_allg_get(i)->status) != TZ_G_DEAD;
    return n;
}

// --- threads that attach

// cthread.go: TestCthread: ten threads add a thousand times each, and another
// goroutine hears of it.

static int_chan additions;

static void add_one(void *arg)
{
    int v = *(int *)arg;
    tuza_send(additions, v);
}

static void *add_thousand(void *arg)
{
    int one = 1;
    for (int i = 0; i < scaled(1000); i++)
        need_eq(tuza_call_in(add_one, &one), 0);
    return arg;
}

IN_GOROUTINES(cthread, 2)
{
    pthread_t t[10];
    int sum = 0, n = 10 * scaled(1000);
    additions = tuza_chan_make(int, 1);
    for (int i = 0; i < 10; i++)
        t[i] = start(add_thousand, NULL);
    for (int i = 0, v; i < n; i++) {
        tuza_recv(additions, &v);
        sum += v;
    }
    for (int i = 0; i < 10; i++)
        join(t[i]);
    need_eq(sum, n);
    need_eq(tuza_select(TUZA_RECV(additions, NULL), TUZA_DEFAULT), 1);
}

// TestCgoCallbackGC: calls from outside allocate while others do and while the
// collector runs; what a call holds on its thread's stack stays.

static void make_list(void *arg)
{
    struct node {
        struct node *next;
        intptr_t value;
    } *first = NULL;
    intptr_t n = *(int *)arg;
    for (intptr_t i = 0; i < n; i++) {
        struct node *k = tuza_new(struct node);
        k->next = first;
        k->value = i;
        first = k;
        if (i % 100 == 99)
            tuza_yield();
    }
    for (; n > 0; first = first->next)
        need_eq(first->value, --n);
    need(!first);
}

static void *make_lists(void *arg)
{
    int n = 500;
    for (int i = 0; i < scaled(100); i++)
        need_eq(tuza_call_in(make_list, &n), 0);
    return arg;
}

IN_GOROUTINES(callback_gc, 4)
{
    pthread_t t[4];
    begin_collector();
    for (int i = 0; i < 4; i++)
        t[i] = start(make_lists, NULL);
    int n = 1000;
    for (int i = 0; i < scaled(50); i++)
        make_list(&n);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    end_collector();
}

// TestCgoNumGoroutine: an attached thread is one goroutine, for as long as it
// is attached.

static uint64_t seen_inside;

static void count_inside(void *arg)
{
    (void)arg;
    seen_inside = goroutines();
}

static void *count_while_attached(void *arg)
{
    uint64_t before = goroutines();
    need_eq(tuza_attach(), 0);
    need_eq(goroutines(), before + 1);
    need_eq(tuza_attach(), 0);
    need_eq(goroutines(), before + 1);
    need_eq(tuza_detach(), 0);
    need_eq(goroutines(), before + 1);
    need_eq(tuza_detach(), 0);
    need_eq(goroutines(), before);
    need_eq(tuza_detach(), -EINVAL);
    need_eq(tuza_call_in(count_inside, NULL), 0);
    need_eq(seen_inside, before + 1);
    need_eq(goroutines(), before);
    return arg;
}

IN_GOROUTINES(num_goroutine_with_attached, 2)
{
    uint64_t before = goroutines();
    join(start(count_while_attached, NULL));
    need_eq(goroutines(), before);
}

// Who is attached may park in every way, on the thread that it is.

static int_chan ping, pong;
static tuza_mutex mutex;

static void *play_attached(void *arg)
{
    long tid = api_thread();
    pthread_t self = pthread_self();
    need_eq(tuza_goid(), 0);
    need_eq(tuza_attach(), 0);
    uint64_t id = tuza_goid();
    need(id != 0);
    for (int i = 0, v; i < scaled(1000); i++) {
        tuza_recv(ping, &v);
        tuza_mutex_lock(&mutex);
        tuza_send(pong, v + 1);
        tuza_mutex_unlock(&mutex);
        if (i % 100 == 0)
            tuza_sleep(TUZA_US(100));
        (void)TUZA_SYSCALL(usleep(1));
        need(api_thread() == tid && pthread_equal(pthread_self(), self));
        need_eq(tuza_goid(), id);
    }
    need_eq(tuza_detach(), 0);
    need_eq(tuza_goid(), 0);
    return arg;
}

static void attached_parks(void)
{
    ping = tuza_chan_make(int, 0);
    pong = tuza_chan_make(int, 0);
    begin_collector();
    pthread_t t = start(play_attached, NULL);
    for (int i = 0, v; i < scaled(1000); i++) {
        tuza_send(ping, i);
        tuza_recv(pong, &v);
        need_eq(v, i + 1);
    }
    join(t);
    end_collector();
}

IN_GOROUTINES(attached_parks_on_one_proc, 1) { attached_parks(); }
IN_GOROUTINES(attached_parks_on_four_procs, 4) { attached_parks(); }

// TestEnsureDropM: threads that come, call and go leave nothing behind: neither
// goroutines nor threads of the runtime grow in number.

static void do_nothing(void *arg) { (void)arg; }

static void *call_once(void *arg)
{
    need_eq(tuza_call_in(do_nothing, NULL), 0);
    return arg;
}

static void *attach_and_end(void *arg)
{
    need_eq(tuza_attach(), 0); // its end detaches
    tuza_yield();
    return arg;
}

IN_GOROUTINES(ensure_drop_m, 2)
{
    tuza_schedstats warm = { .size = sizeof warm }, st = warm;
    for (int i = 0, n = scaled(500); i < n; i++) {
        join(start(i % 2 ? call_once : attach_and_end, NULL));
        if (i == n / 10)
            need_eq(tuza_schedstats_read(&warm), 0);
    }
    need_eq(tuza_schedstats_read(&st), 0);
    need(st.threads <= warm.threads + 4);
    need_eq(st.goroutines, 1);
    need_eq(goroutines(), 1);
}

// TestEnsureBindM: calls of one thread are calls on that thread.

static void need_thread(void *arg) { need_eq(api_thread(), *(long *)arg); }

static void *call_often(void *arg)
{
    long tid = api_thread();
    for (int i = 0; i < scaled(10000); i++)
        need_eq(tuza_call_in(need_thread, &tid), 0);
    return arg;
}

IN_GOROUTINES(ensure_bind_m, 2)
{
    pthread_t a = start(call_often, NULL), b = start(call_often, NULL);
    join(a);
    join(b);
}

// TestDestructorCallback: a thread's last words, in the destructor of a key,
// come from it when it has detached already.

static pthread_key_t key;
static int destroyed; // atomic

static void say_last_words(void *arg)
{
    tuza_keepalive(tuza_new(int));
    tuza_send(*(int_chan *)arg, 1);
}

static void destructor(void *arg)
{
    need_eq(tuza_call_in(say_last_words, arg), 0);
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_RELAXED);
}

static void *end_with_destructor(void *arg)
{
    need_eq(pthread_setspecific(key, arg), 0);
    return call_once(arg);
}

IN_GOROUTINES(destructor_callback, 2)
{
    static int_chan c;
    c = tuza_chan_make(int, 0);
    need_eq(pthread_key_create(&key, destructor), 0);
    for (int i = 0; i < 20; i++) {
        pthread_t t = start(end_with_destructor, &c);
        need_eq(tuza_recv(c, NULL), 1);
        join(t);
    }
    need_eq(destroyed, 20);
}

// TestNeedmDeadlock, TestCgoExternalThreadSIGPROF: signals come all the time
// while threads become goroutines and cease to be.

static void on_signal(int sig) { (void)sig; }

IN_GOROUTINES(needm_deadlock, 3)
{
    struct sigaction sa = { .sa_handler = on_signal,
                            .sa_flags = SA_ONSTACK | SA_RESTART };
    struct itimerval fast = { { 0, 300 }, { 0, 300 } }, off = { { 0 }, { 0 } };
    pthread_t t[3];
    need_eq(sigaction(SIGPROF, &sa, NULL), 0);
    begin_collector();
    need_eq(setitimer(ITIMER_PROF, &fast, NULL), 0);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++)
            t[i] = start(call_often, NULL);
        for (int i = 0; i < 3; i++) {
            for (int k = 0; k < 10; k++)
                pthread_kill(t[i], SIGURG);
            join(t[i]);
        }
    }
    setitimer(ITIMER_PROF, &off, NULL);
    end_collector();
}

// TestBigStackCallbackCgo: the thread's stack may be larger than any of ours; a
// collection sees all of it.

static int deep(int depth);
static int (*volatile deeper)(int depth) = deep;

static int deep(int depth)
{
    int *volatile kept = tuza_new(int);
    volatile char frame[1024];
    *kept = depth;
    frame[0] = frame[1023] = (char)depth;
    if (depth == 0)
        tuza_gc();
    int below = depth > 0 ? deeper(depth - 1) : 0;
    need_eq(*kept, depth);
    return below + (frame[0] == frame[1023]);
}

static void go_deep(void *arg)
{
    int depth = *(int *)arg;
    need_eq(deep(depth), depth + 1);
}

static void *go_deep_attached(void *arg)
{
    need_eq(tuza_call_in(go_deep, arg), 0);
    return arg;
}

IN_GOROUTINES(big_stack_callback, 2)
{
    int depth = 10000;
    join(start_with(go_deep_attached, &depth, 64 << 20));
}

// TestCgoExternalThreadPanic: what is fatal there is reported like elsewhere.

static void go_wrong(void *arg) { tuza_mutex_unlock(arg); }

static void *fail_attached(void *arg)
{
    need_eq(tuza_call_in(go_wrong, arg), 0);
    return arg;
}

DEATH(external_thread_panic, "tuza: fatal: unlock of an unlocked mutex")
{
    join(start(fail_attached, &mutex));
}

// A deadlock of main is one although a thread was attached before; an attached
// thread that may still act is none.

DEATH(deadlock_after_detach, "all goroutines are asleep - deadlock!")
{
    join(start(call_once, NULL));
    tuza_chan_select(NULL, 0);
}

static void *wait_then_send(void *arg)
{
    need_eq(tuza_attach(), 0);
    usleep(50 * 1000); // computes, or whatever it has to do
    tuza_send(*(int_chan *)arg, 1);
    need_eq(tuza_detach(), 0);
    return arg;
}

IN_GOROUTINES(attached_thread_is_no_deadlock, 1)
{
    int_chan c = tuza_chan_make(int, 0);
    pthread_t t = start(wait_then_send, &c);
    (void)TUZA_BLOCKING(usleep(20 * 1000));
    need_eq(tuza_recv(c, NULL), 1);
    join(t);
}

// Before the start and after the end there is nothing to be attached to.

static int quick(int argc, char **argv) { return (void)argv, argc; }

START_TEST(attach_without_runtime)
{
    ck_assert_int_eq(tuza_attach(), -EAGAIN);
    ck_assert_int_eq(tuza_call_in(do_nothing, NULL), -EAGAIN);
    ck_assert_int_eq(tuza_detach(), -EINVAL);
    api_run(quick, 2);
    ck_assert_int_eq(tuza_attach(), -EAGAIN);
}
END_TEST

// --- libraries that call back

// issue1560.go: TestParallelSleep: two goroutines whose libraries call back and
// sleep there do so at the same time, on the only P.

static void sleep_100ms(void *arg)
{
    (void)arg;
    tuza_sleep(TUZA_MS(100));
}

tuza_fn(call_library, int, how)
{
    if (how)
        need_eq(TUZA_SYSCALL(tuza_call_in(sleep_100ms, NULL)), 0);
    else
        need_eq(TUZA_BLOCKING(tuza_call_in(sleep_100ms, NULL)), 0);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(parallel_sleep, 1)
{
    int64_t t = tuza_now();
    tuza_waitgroup_add(&group, 20);
    for (int i = 0; i < 20; i++)
        tuza_go(call_library, i % 2);
    tuza_waitgroup_wait(&group);
    t = tuza_now() - t;
    need(t >= TUZA_MS(100) && t < TUZA_SEC(1));
}

// callback.go: TestCallback, TestCallbackGC, …: a hundred calls out and back
// in, one inside the other, with a collection at the bottom. It stays the same
// goroutine on the same thread, and each level's objects stay.

struct level {
    int depth;
    long tid;
    uint64_t goid;
};

static void enter_level(void *arg)
{
    struct level *l = arg, next = *l;
    int *kept = tuza_new(int);
    *kept = l->depth;
    need_eq(api_thread(), l->tid);
    need_eq(tuza_goid(), l->goid);
    next.depth--;
    if (l->depth > 0)
        need_eq(TUZA_SYSCALL(tuza_call_in(enter_level, &next)), 0);
    else
        tuza_gc();
    tuza_yield();
    need_eq(api_thread(), l->tid);
    need_eq(*kept, l->depth);
}

tuza_fn(nest, int, depth)
{
    struct level first = { depth, 0, tuza_goid() };
    tuza_lock_thread();
    first.tid = api_thread();
    enter_level(&first);
    tuza_unlock_thread();
    tuza_waitgroup_done(&group);
}

static void callbacks_nest(void)
{
    begin_collector();
    tuza_waitgroup_add(&group, 10);
    for (int i = 0; i < 10; i++)
        tuza_go(nest, 100);
    while (tz_load(&group.state) >> 32 > 1)
        tuza_sleep(TUZA_MS(1));
    end_collector();
}

IN_GOROUTINES(callbacks_nest_on_one_proc, 1) { callbacks_nest(); }
IN_GOROUTINES(callbacks_nest_on_four_procs, 4) { callbacks_nest(); }

// cgo_thread_lock.go: TestThreadLock: what is done on one thread between lock
// and unlock, by calls out and in, is on one thread.

static void need_same_thread(void *arg) { need_eq(api_thread(), *(long *)arg); }

tuza_fn(lock_and_call, int, n)
{
    tuza_lock_thread();
    long tid = api_thread();
    for (int i = 0; i < n; i++) {
        need_eq(TUZA_SYSCALL(tuza_call_in(need_same_thread, &tid)), 0);
        tuza_yield();
        need_eq(api_thread(), tid);
    }
    tuza_unlock_thread();
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(thread_lock, 4)
{
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_go(lock_and_call, scaled(50));
    tuza_waitgroup_wait(&group);
}

// issue3775.go and TestCgoPanicDeadlock's other half: a lock that is held over
// a call out and taken by who is called back by another thread.

static void lock_and_unlock(void *arg)
{
    tuza_mutex_lock(arg);
    tuza_mutex_unlock(arg);
}

static void *lock_from_outside(void *arg)
{
    need_eq(tuza_call_in(lock_and_unlock, arg), 0);
    return arg;
}

IN_GOROUTINES(lock_held_over_a_call_out, 1)
{
    tuza_mutex_lock(&mutex);
    pthread_t t = start(lock_from_outside, &mutex);
    (void)TUZA_BLOCKING(usleep(10 * 1000));
    tuza_yield();
    tuza_mutex_unlock(&mutex);
    join(t);
}

int main(void)
{
    const TTest *const tests[] = {
        cthread,
        callback_gc,
        num_goroutine_with_attached,
        attached_parks_on_one_proc,
        attached_parks_on_four_procs,
        ensure_drop_m,
        ensure_bind_m,
        destructor_callback,
        needm_deadlock,
        big_stack_callback,
        external_thread_panic,
        deadlock_after_detach,
        attached_thread_is_no_deadlock,
        attach_without_runtime,
        parallel_sleep,
        callbacks_nest_on_one_proc,
        callbacks_nest_on_four_procs,
        thread_lock,
        lock_held_over_a_call_out,
        NULL,
    };
    return api_check("go/attach", tests);
}
