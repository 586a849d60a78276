// SPDX-License-Identifier: BSD-3-Clause
// test: whole timeout=300
// test/go/tree_test.c: programs of Go's test/ and test/fixedbugs about what a
// runtime does, retold; those about channels are in programs_test.c. Each test
// names its file.

#include <signal.h>
#include <unistd.h>

#include "support/goroutines.h"

typedef tuza_chan(int) int_chan;

static uint32_t stop; // atomic
static tuza_waitgroup group;

static tuza_memstats memstats(void)
{
    tuza_memstats st = { .size = sizeof st };
    need_eq(tuza_memstats_read(&st), 0);
    return st;
}

static uint64_t live_after_gc(void)
{
    tuza_gc();
    return memstats().heap_live;
}

// 235.go: all numbers whose only factors are 2, 3 and 5.

typedef tuza_chan(uint64_t) u64_chan;

tuza_fn(multiply, u64_chan, in, u64_chan, out, uint64_t, f)
{
    tuza_range(v, in)
    {
        tuza_send(out, v * f);
    }
    tuza_close(out);
}

static uint64_t next_of_235(uint64_t x)
{
    for (;;) {
        uint64_t rest = ++x;
        for (uint64_t f = 2; f <= 5; f++)
            while (rest % f == 0)
                rest /= f;
        if (rest == 1)
            return x;
    }
}

IN_GOROUTINES(two_three_five, 4)
{
    static const uint64_t f[] = { 2, 3, 5 };
    u64_chan in[3], out[3];
    uint64_t first[3] = { 1, 1, 1 }, x = 1;
    for (int i = 0; i < 3; i++) {
        in[i] = tuza_chan_make(uint64_t, 100);
        out[i] = tuza_chan_make(uint64_t, 100);
        tuza_go(multiply, in[i], out[i], f[i]);
    }
    for (int k = 0; k < 100; k++) {
        uint64_t wanted = next_of_235(x), least = UINT64_MAX;
        for (int i = 0; i < 3; i++)
            tuza_send(in[i], x);
        for (int i = 0; i < 3; i++) {
            if (first[i] == x)
                need_eq(tuza_recv(out[i], &first[i]), 1);
            least = first[i] < least ? first[i] : least;
        }
        need_eq(least, wanted);
        x = least;
    }
}

// chancap.go

IN_GOROUTINES(chancap, 1)
{
    int_chan c = tuza_chan_make(int, 10);
    need(tuza_len(c) == 0 && tuza_cap(c) == 10);
    for (int i = 0; i < 3; i++)
        tuza_send(c, i);
    need(tuza_len(c) == 3 && tuza_cap(c) == 10);
    c = tuza_chan_make(int, 0);
    need(tuza_len(c) == 0 && tuza_cap(c) == 0);
    need(!tuza_chan_make(int, (size_t)-1));
    need(!tuza_chan_make(int, (size_t)1 << 59));
    need(!tuza_chan_make(int, ((size_t)-1 >> 1)));
    need(!tuza_chan_make(int, (size_t)1 << 62)); // 4 << 62 is 0
}

// closedchan.go: what each way to receive says of a closed channel, before and
// after what was left in it has been taken.

static void receive_all_ways(int_chan c, int left)
{
    for (int way = 0; way < 5; way++) {
        int v = -1, ok = -1, want = way < left ? 7 : 0;
        int more = way < left;
        if (way == 0)
            need_eq(ok = tuza_recv(c, &v), more);
        else if (way == 1)
            need_eq(ok = tuza_try_recv(c, &v), more);
        else if (way == 2)
            need_eq(tuza_select(TUZA_RECV_OK(c, &v, &ok)), 0);
        else if (way == 3)
            need_eq(tuza_select(TUZA_RECV_OK(c, &v, &ok), TUZA_DEFAULT), 0);
        else
            need_eq(tuza_select(TUZA_RECV((int_chan)NULL, NULL),
                                TUZA_RECV_OK(c, &v, &ok)),
                    1);
        need_eq(v, want);
        need_eq(ok, more);
    }
}

IN_GOROUTINES(closedchan, 2)
{
    for (int left = 0; left <= 5; left++) {
        int_chan c = tuza_chan_make(int, 5);
        for (int i = 0; i < left; i++)
            tuza_send(c, 7);
        tuza_close(c);
        receive_all_ways(c, left);
        receive_all_ways(c, 0);
    }
}

// range.go, as far as it ranges over channels.

tuza_fn(send_letters, int_chan, c)
{
    for (int v = 'a'; v <= 'z'; v++)
        tuza_send(c, v);
    tuza_close(c);
}

IN_GOROUTINES(range_over_chan, 2)
{
    int_chan c = tuza_chan_make(int, 0);
    int n = 0;
    tuza_go(send_letters, c);
    tuza_range(v, c)
    {
        need_eq(v, 'a' + n);
        n++;
    }
    need_eq(n, 26);
}

// goprint.go: a goroutine with arguments of many kinds comes and goes.

static int printed; // atomic

tuza_fn(print_all, int, a, int, t, int, f, double, d, const char *, s,
        int_chan, c, void *, p, unsigned char, b)
{
    char text[100];
    snprintf(text, sizeof text, "%d %d %d %g %s %d %d %u", a, t, f, d, s,
             c == NULL, p == NULL, b);
    need(strcmp(text, "42 1 0 1.5 world 1 1 255") == 0);
    __atomic_store_n(&printed, 1, __ATOMIC_RELAXED);
}

IN_GOROUTINES(goprint, 2)
{
    tuza_schedstats st = { .size = sizeof st };
    need_eq(tuza_schedstats_read(&st), 0);
    uint64_t before = st.goroutines;
    tuza_go(print_all, 42, 1, 0, 1.5, "world", NULL, NULL, 255);
    do {
        tuza_yield();
        tuza_schedstats_read(&st);
    } while (st.goroutines > before);
    need_eq(__atomic_load_n(&printed, __ATOMIC_RELAXED), 1);
}

// init1.go: goroutines and collections from the first moment of a program. Of
// hundreds of megabytes only one is kept.

tuza_fn(send_one, int_chan, c)
{
    tuza_send(c, 1);
}

IN_GOROUTINES(init1, 2)
{
    enum { MB = 1 << 20 };
    static char *x;
    int n = scaled(300);
    int_chan c = tuza_chan_make(int, 0);
    tuza_go(send_one, c);
    tuza_recv(c, NULL);
    tuza_memstats before = memstats();
    for (int i = 0; i < n; i++) {
        x = tuza_alloc_bytes(MB);
        memset(x, '0' + i % 10, MB);
    }
    tuza_memstats after = memstats();
    need(after.num_gc > before.num_gc);
    need(after.heap_sys - before.heap_sys < (uint64_t)n * MB);
    need_eq(x[MB - 1], '0' + (n - 1) % 10);
}

// gc1.go: small objects that nobody keeps.

IN_GOROUTINES(gc1, 2)
{
    for (int i = 0; i < scaled(1000000); i++) {
        int *x = tuza_new_array(int, 250);
        need(x && x[249] == 0);
        x[249] = i;
    }
    need(memstats().heap_live < 100 << 20);
}

// gc2.go: buffered channels go when nobody has them, with what is in them,
// though they hold themselves.

struct holder {
    tuza_chan(struct holder *) c;
};

IN_GOROUTINES(gc2, 2)
{
    int n = scaled(100000);
    uint64_t before = live_after_gc();
    for (int i = 0; i < n; i++) {
        struct holder *h = tuza_new(struct holder);
        h->c = tuza_chan_make(struct holder *, 10);
        tuza_send(h->c, h);
    }
    uint64_t after = live_after_gc();
    need(after < before || (after - before) / (uint64_t)n < 8);
}

// gcgort.go: goroutines that yield all the time change objects of many sizes
// and kinds, on their stacks, in the heap and in channels, under a collector
// that runs as often as it can.

enum { MODS = 8, LENGTH = 9 };

#define CHURN(T)                                                               \
    tuza_fn(T##_on_stack, int, seed)                                           \
    {                                                                          \
        T a[LENGTH];                                                           \
        memset(a, seed, sizeof a);                                             \
        T first = a[0];                                                        \
        for (int i = 0; i < MODS; i++)                                         \
            for (int j = 0; j < LENGTH; j++) {                                 \
                a[j]++;                                                        \
                tuza_yield();                                                  \
            }                                                                  \
        for (int j = 0; j < LENGTH; j++)                                       \
            need(a[j] == (T)(first + MODS));                                   \
        tuza_waitgroup_done(&group);                                           \
    }                                                                          \
    tuza_fn(T##_in_heap, int, seed)                                            \
    {                                                                          \
        T **p = (T **)tuza_alloc_array(LENGTH, sizeof(T *));                   \
        for (int j = 0; j < LENGTH; j++) {                                     \
            p[j] = tuza_new(T);                                                \
            *p[j] = (T)seed;                                                   \
            tuza_yield();                                                      \
        }                                                                      \
        for (int i = 0; i < MODS; i++)                                         \
            for (int j = 0; j < LENGTH; j++) {                                 \
                ++*p[j];                                                       \
                tuza_yield();                                                  \
            }                                                                  \
        for (int j = 0; j < LENGTH; j++)                                       \
            need(*p[j] == (T)((T)seed + MODS));                                \
        tuza_waitgroup_done(&group);                                           \
    }                                                                          \
    tuza_fn(T##_send, tuza_chan(T *), c, int, seed)                            \
    {                                                                          \
        T *p = tuza_new(T);                                                    \
        *p = (T)seed;                                                          \
        tuza_send(c, p);                                                       \
    }                                                                          \
    tuza_fn(T##_in_chan, int, seed)                                            \
    {                                                                          \
        tuza_chan(T *) c = tuza_chan_make(T *, 0);                             \
        for (int i = 0; i < MODS; i++) {                                       \
            T *got = NULL;                                                     \
            tuza_go(T##_send, c, seed + i);                                    \
            tuza_recv(c, &got);                                                \
            need(*got == (T)(seed + i));                                       \
            tuza_yield();                                                      \
        }                                                                      \
        tuza_waitgroup_done(&group);                                           \
    }                                                                          \
    static void T##_churn(int seed)                                            \
    {                                                                          \
        tuza_waitgroup_add(&group, 3);                                         \
        tuza_go(T##_on_stack, seed);                                           \
        tuza_go(T##_in_heap, seed);                                            \
        tuza_go(T##_in_chan, seed);                                            \
    }

CHURN(uint8_t)
CHURN(uint16_t)
CHURN(uint32_t)
CHURN(uint64_t)
CHURN(uintptr_t)
CHURN(double)

IN_GOROUTINES(gcgort, 4)
{
    tuza_gc_set_percent(1);
    for (int i = 0, n = scaled(64); i < n; i++) {
        uint8_t_churn(i);
        uint16_t_churn(i);
        uint32_t_churn(i);
        uint64_t_churn(i);
        uintptr_t_churn(i);
        double_churn(i);
        if (i % 8 == 7)
            tuza_gc();
    }
    tuza_waitgroup_wait(&group);
}

// sigchld.go: nobody minds a SIGCHLD.

IN_GOROUTINES(sigchld, 2)
{
    for (int i = 0; i < 10; i++) {
        need_eq(kill(getpid(), SIGCHLD), 0);
        tuza_yield();
    }
}

// fixedbugs/bug147.go: a send on a channel without a buffer waits for its
// receiver.

static int counted; // atomic

tuza_fn(receive_two, int_chan, c)
{
    tuza_recv(c, NULL);
    __atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED);
    tuza_sleep(TUZA_MS(1));
    __atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED);
    tuza_recv(c, NULL);
}

IN_GOROUTINES(bug147_synchronous_send_waits, 2)
{
    int_chan c = tuza_chan_make(int, 0);
    tuza_go(receive_two, c);
    tuza_send(c, 1);
    tuza_send(c, 2);
    need_eq(__atomic_load_n(&counted, __ATOMIC_RELAXED), 2);
}

// fixedbugs/issue10958.go, issue19182.go: loops of which no compiler can say
// that they end stop neither a collection nor those who yield.

static int corner[3]; // atomic

static int look_at(int i) { return tz_load_rlx(&corner[i]); }

static void go_on(int i, int n) { tz_store_rlx(&corner[i], look_at(i) + n); }

tuza_fn(stand_in_corner_1)
{
    while (!(look_at(0) & 1) && !tz_load_rlx(&stop))
        go_on(0, 2);
    tuza_waitgroup_done(&group);
}

tuza_fn(stand_in_corner_2, int, middle) // a loop with two entrances
{
    if (middle)
        goto middle_of_loop;
loop:
    if (look_at(1) & 1 || tz_load_rlx(&stop)) {
        tuza_waitgroup_done(&group);
        return;
    }
    go_on(1, 1);
middle_of_loop:
    go_on(1, 1);
    goto loop;
}

tuza_fn(stand_in_corner_3)
{
    while (!(look_at(2) & 1) && !tz_load_rlx(&stop)) {
        while ((look_at(2) & 3) == 2 && !tz_load_rlx(&stop))
            go_on(2, 4);
        go_on(2, 4);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(issue10958_tight_loops, 4)
{
    tuza_waitgroup_add(&group, 3);
    tuza_go(stand_in_corner_1);
    tuza_go(stand_in_corner_2, 0);
    tuza_go(stand_in_corner_3);
    for (int i = 0; i < 3; i++)
        while (look_at(i) == 0)
            tuza_yield();
    for (int i = 0; i < 10; i++)
        tuza_gc();
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

static uint64_t added; // atomic

tuza_fn(add_for_ever)
{
    for (;;)
        tz_xadd(&added, 1);
}

IN_GOROUTINES(issue19182_a_loop_is_seen, 2)
{
    tuza_go(add_for_ever);
    for (uint64_t seen = 0, i = 0; i < 3; i++, seen = tz_load(&added))
        while (tz_load(&added) == seen)
            tuza_sleep(TUZA_MS(1));
}

// fixedbugs/issue9110.go: records of those who wait in selects, in several
// queues at once, are not kept by those that are used again.

tuza_fn(select_thrice, int_chan, c)
{
    tuza_select(TUZA_RECV(c, NULL), TUZA_RECV(c, NULL), TUZA_RECV(c, NULL));
    tuza_waitgroup_done(&group);
}

tuza_fn(select_a_hundred_times, int_chan, c)
{
    tuza_case cases[100];
    for (int i = 0; i < 100; i++)
        cases[i] = TUZA_RECV(c, NULL);
    need(tuza_chan_select(cases, 100) >= 0);
    tuza_waitgroup_done(&group);
}

tuza_fn(lock_and_unlock, tuza_mutex *, m)
{
    tuza_mutex_lock(m);
    tuza_mutex_unlock(m);
    tuza_waitgroup_done(&group);
}

static void wait_and_let_go(void)
{
    tuza_mutex m = { 0 };
    int_chan c = tuza_chan_make(int, 0);
    int base = waiting_now();
    tuza_mutex_lock(&m);
    tuza_waitgroup_add(&group, 22);
    for (int i = 0; i < 10; i++) {
        tuza_go(select_thrice, c);
        tuza_go(select_a_hundred_times, c);
    }
    until_waiting(base + 20);
    tuza_close(c);
    for (int i = 0; i < 2; i++)
        tuza_go(lock_and_unlock, &m);
    tuza_gc();
    tuza_mutex_unlock(&m);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(issue9110_waiters_do_not_leak, 1)
{
    uint64_t warm = 0;
    for (int i = 0; i < 60; i++) {
        if (i == 20)
            warm = live_after_gc();
        wait_and_let_go();
    }
    uint64_t end = live_after_gc();
    need(end <= warm + 16 * 1024); // one select has 100 records
}

int main(void)
{
    const TTest *const tests[] = {
        two_three_five,
        chancap,
        closedchan,
        range_over_chan,
        goprint,
        init1,
        gc1,
        gc2,
        gcgort,
        sigchld,
        bug147_synchronous_send_waits,
        issue10958_tight_loops,
        issue19182_a_loop_is_seen,
        issue9110_waiters_do_not_leak,
        NULL,
    };
    return api_check("go/tree", tests);
}
