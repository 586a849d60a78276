// SPDX-License-Identifier: BSD-3-Clause
// test/gc/roots_test.c: one canary for each kind of root. Each test also lets
// go, and sees most canaries reclaimed: so it was the root that kept them.

#include <pthread.h>
#include <unistd.h>

#include "canary.h"
#include "gc/gc.h"
#include "sched/proc.h"

enum { N = 64, SIZE = 48 };

static uintptr_t hidden[N];
static tuza_waitgroup group;

// Complements of addresses become pointers at `to`, and nowhere else.
static NOINLINE void reveal(void *volatile *to, const uintptr_t *from, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (void *)~from[i];
}

static NOINLINE void forget(void *volatile *where, int n)
{
    for (int i = 0; i < n; i++)
        where[i] = NULL;
}

static void kept_by(void *volatile *root)
{
    make_canaries(hidden, N, SIZE);
    reveal(root, hidden, N);
    collect_well();
    need_all_whole(hidden, N, SIZE);
    forget(root, N);
    collect_well();
    need_reclaimed(hidden, N);
}

static void *volatile in_bss[N];
static void *volatile in_data[N] = { (void *)1 };
static __thread void *volatile in_tls[N];
static __thread void *volatile in_tls_data[N] = { (void *)1 };

IN_GOROUTINES(nothing_keeps_what_nothing_refers_to, 2)
{
    make_canaries(hidden, N, SIZE);
    collect_well();
    need_reclaimed(hidden, N);
}

IN_GOROUTINES(s3_29_static_data_keeps, 2)
{
    kept_by(in_bss);
    kept_by(in_data);
}

IN_GOROUTINES(s3_29_the_stack_of_the_collecting_goroutine_keeps, 2)
{
    void *volatile here[N];
    kept_by(here);
}

IN_GOROUTINES(heap_objects_keep, 2)
{
    void *volatile *object = tuza_new_array(void *, N);
    kept_by(object);
    tuza_keepalive(object);
    object = tuza_new_array(void *, 100000); // one that is scanned in pieces
    kept_by(object + 16384 - N / 2); // across the first edge
    kept_by(object + 100000 - N);
    tuza_keepalive(object);
}

// TLS: goroutines that spin until all have arrived are on threads of their own.
enum { THREADS = 4 };
static uintptr_t tls_hidden[THREADS][N];
static int arrived;

static void meet(int round)
{
    tz_xadd(&arrived, 1);
    while (tz_load(&arrived) < round * THREADS)
        ;
}

static NOINLINE void set_tls(const uintptr_t *h)
{
    reveal(in_tls, h, N / 2);
    reveal(in_tls_data, h + N / 2, N / 2);
}

static void hold_in_tls(void *arg)
{
    meet(1);
    set_tls(arg);
    meet(2);
    tuza_waitgroup_done(&group);
}

static void clear_tls(void *arg)
{
    (void)arg;
    meet(3);
    forget(in_tls, N);
    forget(in_tls_data, N);
    meet(4);
    tuza_waitgroup_done(&group);
}

static void on_each_thread(void (*fn)(void *))
{
    tuza_waitgroup_add(&group, THREADS);
    for (int i = 0; i < THREADS; i++)
        tuza_spawn(fn, tls_hidden[i]);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(s3_29_thread_local_variables_of_every_thread_keep, THREADS)
{
    for (int i = 0; i < THREADS; i++)
        make_canaries(tls_hidden[i], N, SIZE);
    on_each_thread(hold_in_tls);
    collect_well();
    for (int i = 0; i < THREADS; i++)
        need_all_whole(tls_hidden[i], N, SIZE);
    on_each_thread(clear_tls);
    collect_well();
    for (int i = 0; i < THREADS; i++)
        need_reclaimed(tls_hidden[i], N);
}

// Stacks of others: parked, runnable, spinning, in a call.
static tuza_chan(int) gate;
static int spin_on;
static int fd[2];

static NOINLINE void wait_parked(void) { tuza_recv(gate, NULL); }
static NOINLINE void wait_runnable(void)
{
    while (!tz_load(&spin_on))
        tuza_yield();
}
static NOINLINE void wait_spinning(void)
{
    while (!tz_load_rlx(&spin_on))
        ;
}
static NOINLINE void wait_in_call(void)
{
    char byte;
    need_eq(TUZA_BLOCKING(read(fd[0], &byte, 1)), 0);
}

static int holding;

static void hold_on_stack(void *arg)
{
    void (*wait)(void) = *(void (**)(void))arg;
    void *volatile here[N];
    reveal(here, hidden, N);
    tz_store(&holding, 1);
    wait();
    for (int i = 0; i < N; i++)
        need(here[i] == (void *)~hidden[i]);
    tuza_waitgroup_done(&group);
}

static void kept_by_stack_of(void (*wait)(void))
{
    make_canaries(hidden, N, SIZE);
    gate = tuza_chan_make(int, 0);
    ck_assert_int_eq(pipe(fd), 0);
    spin_on = holding = 0;
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(hold_on_stack, &wait);
    while (!tz_load(&holding))
        tuza_yield();
    for (int i = 0; i < 100; i++)
        tuza_yield();
    collect_well();
    need_all_whole(hidden, N, SIZE);
    tuza_close(gate);
    close(fd[1]);
    tz_store(&spin_on, 1);
    tuza_waitgroup_wait(&group);
    collect_well();
    need_reclaimed(hidden, N);
}

IN_GOROUTINES(s3_29_the_stack_of_a_parked_goroutine_keeps, 2)
{
    kept_by_stack_of(wait_parked);
}
IN_GOROUTINES(s3_29_the_stack_of_a_runnable_goroutine_keeps, 2)
{
    kept_by_stack_of(wait_runnable);
}
IN_GOROUTINES(s3_29_the_stack_of_a_spinning_goroutine_keeps, 2)
{
    kept_by_stack_of(wait_spinning);
}
IN_GOROUTINES(s3_26_the_stack_of_a_goroutine_in_a_call_keeps, 2)
{
    kept_by_stack_of(wait_in_call);
}

// Arguments before the first run. One P: nobody else can run them.
struct small {
    uint64_t *p[6]; // just fits into the G
};
struct large {
    uint64_t *p[32];
};
static int ran;

static NOINLINE void check_args(uint64_t *const *p, int first, int n)
{
    for (int i = 0; i < n; i++)
        need_eq(*p[i], CANARY + first + i);
    ran++;
}
static void run_small(void *arg) { check_args(((struct small *)arg)->p, 0, 6); }
static void run_large(void *arg)
{
    check_args(((struct large *)arg)->p, 6, 32);
}

static NOINLINE void spawn_holding(int n)
{
    struct small s;
    struct large l;
    reveal((void *volatile *)s.p, hidden, 6);
    reveal((void *volatile *)l.p, hidden + 6, 32);
    for (int i = 0; i < n; i++) {
        need_eq(tuza_spawn_copy(run_small, &s, sizeof s, "small", "here"), 0);
        need_eq(tuza_spawn_copy(run_large, &l, sizeof l, "large", "here"), 0);
    }
    memset(&s, 0, sizeof s);
    memset(&l, 0, sizeof l);
    tuza_keepalive(&s);
    tuza_keepalive(&l);
}

IN_GOROUTINES(s3_29_arguments_of_a_goroutine_that_has_not_run_keep, 1)
{
    make_canaries(hidden, 38, SIZE);
    spawn_holding(100);
    for (int i = 0; i < 2; i++)
        tz_gc_collect(true); // without tuza_gc's look whether its time is over
    need_eq(ran, 0);
    need_all_whole(hidden, 38, SIZE);
    while (ran < 200)
        tuza_yield();
}

// Channels: a buffer, the value of a sender that waits, a select.
static NOINLINE void fill_channel(tuza_chan(void *) c)
{
    for (int i = 0; i < N; i++)
        need_eq(tuza_send(c, (void *)~hidden[i]), 0);
}

static NOINLINE void drain_channel(tuza_chan(void *) c)
{
    void *p;
    for (int i = 0; i < N; i++) {
        need_eq(tuza_recv(c, &p), 1);
        need(p == (void *)~hidden[i]);
    }
    p = NULL;
    tuza_keepalive(p);
}

IN_GOROUTINES(a_channels_buffer_keeps, 2)
{
    tuza_chan(void *) c = tuza_chan_make(void *, N);
    make_canaries(hidden, N, SIZE);
    fill_channel(c);
    collect_well();
    need_all_whole(hidden, N, SIZE);
    drain_channel(c);
    collect_well();
    need_reclaimed(hidden, N);
    tuza_keepalive(c);
}

static tuza_chan(void *) offered, other;

static void offer(void *arg)
{
    void *p = (void *)~*(uintptr_t *)arg;
    int i = (int)((uintptr_t *)arg - hidden);
    if (i % 2)
        tuza_send(offered, p);
    else
        tuza_select(TUZA_RECV(other, NULL), TUZA_SEND(offered, &p));
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(the_value_of_a_sender_that_waits_is_kept, 2)
{
    offered = tuza_chan_make(void *, 0);
    other = tuza_chan_make(void *, 0);
    make_canaries(hidden, N, SIZE);
    int before = waiting_now();
    tuza_waitgroup_add(&group, N);
    for (int i = 0; i < N; i++)
        tuza_spawn(offer, &hidden[i]);
    until_waiting(before + N);
    collect_well();
    need_all_whole(hidden, N, SIZE);
    for (int i = 0; i < N; i++)
        need_eq(tuza_recv(offered, NULL), 1);
    tuza_waitgroup_wait(&group);
    collect_well();
    need_reclaimed(hidden, N);
}

// Where a pointer may point: the base, the middle, the last byte; not beyond.
static void keeps_from(size_t offset, size_t size, bool keeps)
{
    make_canaries(hidden, N, size);
    for (int i = 0; i < N; i++)
        in_bss[i] = (void *)(~hidden[i] + offset);
    collect_well();
    if (keeps)
        need_all_whole(hidden, N, size);
    else
        need_reclaimed(hidden, N);
    forget(in_bss, N);
}

IN_GOROUTINES(s3_30_a_pointer_into_an_object_keeps_it, 2)
{
    static const size_t sizes[] = { 16, 48, 1024, 3072, 8192, 32768, 303104 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        keeps_from(1, sizes[i], true);
        keeps_from(sizes[i] / 2 + 3, sizes[i], true);
        keeps_from(sizes[i] - 1, sizes[i], true);
    }
}

// Objects at the end of what is pointed past: where no other object begins
// there, nothing is kept.
static void not_kept_from_behind(size_t size)
{
    make_canaries(hidden, N, size);
    for (int i = 0; i < N; i++) {
        struct tz_object o;
        uintptr_t end = ~hidden[i] + size;
        bool free = !tz_heap_find(end, &o);
        in_bss[i] = i % 2 || free ? (void *)end : NULL;
    }
    collect_well();
    // An even one is kept only if the odd one before ends where it begins.
    int kept = count_there(hidden, N);
    need(kept <= N / 2 + N / 8);
    forget(in_bss, N);
}

IN_GOROUTINES(s3_30_a_pointer_past_an_object_does_not_keep_it, 2)
{
    static const size_t sizes[] = { 16, 48, 1024, 3072, 40960, 303104 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        keeps_from((size_t)1 << 46, sizes[i], false); // anywhere else: control
        not_kept_from_behind(sizes[i]);
    }
}

int main(void)
{
    return api_check(
        "roots",
        (const TTest *const[]){
            nothing_keeps_what_nothing_refers_to, s3_29_static_data_keeps,
            s3_29_the_stack_of_the_collecting_goroutine_keeps, heap_objects_keep,
            s3_29_thread_local_variables_of_every_thread_keep,
            s3_29_the_stack_of_a_parked_goroutine_keeps,
            s3_29_the_stack_of_a_runnable_goroutine_keeps,
            s3_29_the_stack_of_a_spinning_goroutine_keeps,
            s3_26_the_stack_of_a_goroutine_in_a_call_keeps,
            s3_29_arguments_of_a_goroutine_that_has_not_run_keep,
            a_channels_buffer_keeps,
            the_value_of_a_sender_that_waits_is_kept,
            s3_30_a_pointer_into_an_object_keeps_it,
            s3_30_a_pointer_past_an_object_does_not_keep_it, NULL });
}
