// SPDX-License-Identifier: BSD-3-Clause
// test: whole timeout=300
// test/go/chan_test.c: Go's src/runtime/chan_test.go retold.

#include "support/goroutines.h"

typedef tuza_chan(int) int_chan;

static tuza_waitgroup group;

// TestChan, in its parts; each runs for the capacities below.

static const size_t caps[] = { 0, 1, 2, 3, 7, 10, 50, 100, 199 };
#define FOR_EACH_CAP(cap)                                                      \
    for (size_t cap##_i = 0, cap;                                              \
         cap##_i < sizeof caps / sizeof caps[0] && (cap = caps[cap##_i], 1);   \
         cap##_i++)

static int received; // atomic

tuza_fn(receive_and_tell, int_chan, c)
{
    tuza_recv(c, NULL);
    __atomic_fetch_add(&received, 1, __ATOMIC_RELAXED);
}

IN_GOROUTINES(chan_receive_from_empty_blocks, 4)
{
    FOR_EACH_CAP(cap)
    {
        int_chan c = tuza_chan_make(int, cap);
        int base = waiting_now();
        __atomic_store_n(&received, 0, __ATOMIC_RELAXED);
        tuza_go(receive_and_tell, c);
        tuza_go(receive_and_tell, c);
        until_waiting(base + 2);
        need_eq(__atomic_load_n(&received, __ATOMIC_RELAXED), 0);
        need_eq(tuza_select(TUZA_RECV(c, NULL), TUZA_DEFAULT), 1);
        int v, ok;
        need_eq(tuza_select(TUZA_RECV_OK(c, &v, &ok), TUZA_DEFAULT), 1);
        tuza_send(c, 0);
        tuza_send(c, 0);
        while (__atomic_load_n(&received, __ATOMIC_RELAXED) != 2)
            tuza_yield();
    }
}

static int sent; // atomic

tuza_fn(send_and_tell, int_chan, c)
{
    tuza_send(c, 0);
    __atomic_store_n(&sent, 1, __ATOMIC_RELAXED);
}

IN_GOROUTINES(chan_send_to_full_blocks, 4)
{
    FOR_EACH_CAP(cap)
    {
        int_chan c = tuza_chan_make(int, cap);
        int base = waiting_now(), zero = 0;
        __atomic_store_n(&sent, 0, __ATOMIC_RELAXED);
        for (size_t i = 0; i < cap; i++)
            tuza_send(c, (int)i);
        tuza_go(send_and_tell, c);
        until_waiting(base + 1);
        need_eq(__atomic_load_n(&sent, __ATOMIC_RELAXED), 0);
        need_eq(tuza_select(TUZA_SEND(c, &zero), TUZA_DEFAULT), 1);
        tuza_recv(c, NULL);
        while (!__atomic_load_n(&sent, __ATOMIC_RELAXED))
            tuza_yield();
    }
}

IN_GOROUTINES(chan_receives_zero_from_closed, 4)
{
    FOR_EACH_CAP(cap)
    {
        int_chan c = tuza_chan_make(int, cap);
        int v;
        for (size_t i = 0; i < cap; i++)
            tuza_send(c, (int)i);
        tuza_close(c);
        for (size_t i = 0; i < cap; i++) {
            tuza_recv(c, &v);
            need_eq(v, i);
        }
        v = -1;
        need_eq(tuza_recv(c, &v), 0);
        need_eq(v, 0);
    }
}

tuza_fn(expect_close, int_chan, c, int_chan, done)
{
    int v = -1;
    int ok = tuza_recv(c, &v);
    tuza_send(done, v == 0 && ok == 0);
}

IN_GOROUTINES(chan_close_unblocks_receive, 4)
{
    FOR_EACH_CAP(cap)
    {
        int_chan c = tuza_chan_make(int, cap), done = tuza_chan_make(int, 0);
        int base = waiting_now(), good;
        tuza_go(expect_close, c, done);
        until_waiting(base + 1);
        tuza_close(c);
        tuza_recv(done, &good);
        need(good);
    }
}

tuza_fn(send_up_to, int_chan, c, int, n)
{
    for (int i = 0; i < n; i++)
        tuza_send(c, i);
}

enum { MANY = 1000 };

tuza_fn(count_received, int_chan, c, int *, counts)
{
    for (int i = 0, v; i < MANY; i++) {
        tuza_recv(c, &v);
        need(v >= 0 && v < MANY);
        __atomic_fetch_add(&counts[v], 1, __ATOMIC_RELAXED);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(chan_delivers_in_order_and_completely, 4)
{
    FOR_EACH_CAP(cap)
    {
        int_chan c = tuza_chan_make(int, cap);
        for (int twice = 0; twice < 2; twice++) {
            tuza_go(send_up_to, c, 100);
            for (int i = 0, v; i < 100; i++) {
                need_eq(tuza_recv(c, &v), 1);
                need_eq(v, i);
            }
        }
        static int counts[MANY];
        memset(counts, 0, sizeof counts);
        tuza_waitgroup_add(&group, 4);
        for (int p = 0; p < 4; p++) {
            tuza_go(send_up_to, c, MANY);
            tuza_go(count_received, c, counts);
        }
        tuza_waitgroup_wait(&group);
        for (int i = 0; i < MANY; i++)
            need_eq(counts[i], 4);
    }
}

IN_GOROUTINES(chan_has_len_and_cap, 4)
{
    FOR_EACH_CAP(cap)
    {
        int_chan c = tuza_chan_make(int, cap);
        need(tuza_len(c) == 0 && tuza_cap(c) == cap);
        for (size_t i = 0; i < cap; i++)
            tuza_send(c, (int)i);
        need(tuza_len(c) == cap && tuza_cap(c) == cap);
    }
}

// TestNonblockRecvRace

tuza_fn(must_be_ready, int_chan, c)
{
    need_eq(tuza_select(TUZA_RECV(c, NULL), TUZA_DEFAULT), 0);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(nonblock_recv_race, 2)
{
    for (int i = 0, n = scaled(10000); i < n; i++) {
        int_chan c = tuza_chan_make(int, 1);
        tuza_send(c, 1);
        tuza_waitgroup_add(&group, 1);
        tuza_go(must_be_ready, c);
        tuza_close(c);
        tuza_recv(c, NULL);
        tuza_waitgroup_wait(&group);
    }
}

// TestNonblockSelectRace, TestNonblockSelectRace2: a select acts on the state
// of its channels at one moment. One of the two is ready at every moment.

tuza_fn(one_must_be_ready, int_chan, c1, int_chan, c2, int_chan, done)
{
    int taken =
        tuza_select(TUZA_RECV(c1, NULL), TUZA_RECV(c2, NULL), TUZA_DEFAULT);
    tuza_send(done, taken != 2);
}

static void nonblock_select_race(int closes)
{
    int_chan done = tuza_chan_make(int, 1);
    for (int i = 0, n = scaled(50000), good; i < n; i++) {
        int_chan c1 = tuza_chan_make(int, 1);
        int_chan c2 = tuza_chan_make(int, closes ? 0 : 1);
        tuza_send(c1, 1);
        tuza_go(one_must_be_ready, c1, c2, done);
        if (closes)
            tuza_close(c2);
        else
            tuza_send(c2, 1);
        tuza_select(TUZA_RECV(c1, NULL), TUZA_DEFAULT);
        tuza_recv(done, &good);
        need(good);
    }
}

IN_GOROUTINES(nonblock_select_race_by_send, 2)
{
    nonblock_select_race(0);
}

IN_GOROUTINES(nonblock_select_race_by_close, 2)
{
    nonblock_select_race(1);
}

// TestSelfSelect

tuza_fn(select_both_ways, int_chan, c, int, p)
{
    for (int i = 0, n = scaled(1000), v, mine = p; i < n; i++) {
        int got;
        if (p == 0 || i % 2 == 0)
            got = tuza_select(TUZA_SEND(c, &mine), TUZA_RECV(c, &v)) == 1;
        else
            got = tuza_select(TUZA_RECV(c, &v), TUZA_SEND(c, &mine)) == 0;
        need(!got || tuza_cap(c) != 0 || v != p); // nobody meets itself
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(self_select, 2)
{
    for (size_t cap = 0; cap <= 10; cap += 10) {
        int_chan c = tuza_chan_make(int, cap);
        tuza_waitgroup_add(&group, 2);
        tuza_go(select_both_ways, c, 0);
        tuza_go(select_both_ways, c, 1);
        tuza_waitgroup_wait(&group);
    }
}

// TestSelectStress

static int_chan four[4];

tuza_fn(send_n, int_chan, c, int, n)
{
    for (int i = 0; i < n; i++)
        tuza_send(c, 0);
    tuza_waitgroup_done(&group);
}

tuza_fn(receive_n, int_chan, c, int, n)
{
    for (int i = 0; i < n; i++)
        tuza_recv(c, NULL);
    tuza_waitgroup_done(&group);
}

static void use_all(int n, const int order[4], int send)
{
    int_chan c[4];
    int count[4] = { 0 }, zero = 0;
    memcpy(c, four, sizeof c);
    for (int i = 0; i < 4 * n; i++) {
        int k, a = order[0], b = order[1], d = order[2], e = order[3];
        if (send)
            k = tuza_select(TUZA_SEND(c[a], &zero), TUZA_SEND(c[b], &zero),
                            TUZA_SEND(c[d], &zero), TUZA_SEND(c[e], &zero));
        else
            k = tuza_select(TUZA_RECV(c[a], NULL), TUZA_RECV(c[b], NULL),
                            TUZA_RECV(c[d], NULL), TUZA_RECV(c[e], NULL));
        k = order[k];
        if (++count[k] == n)
            c[k] = NULL;
    }
    tuza_waitgroup_done(&group);
}

tuza_fn(send_all, int, n)
{
    static const int order[] = { 3, 2, 0, 1 };
    use_all(n, order, 1);
}

tuza_fn(receive_all, int, n)
{
    static const int order[] = { 0, 1, 2, 3 };
    use_all(n, order, 0);
}

IN_GOROUTINES(select_stress, 10)
{
    int n = scaled(20000);
    four[0] = tuza_chan_make(int, 0);
    four[1] = tuza_chan_make(int, 0);
    four[2] = tuza_chan_make(int, 2);
    four[3] = tuza_chan_make(int, 3);
    tuza_waitgroup_add(&group, 10);
    for (int k = 0; k < 4; k++) {
        tuza_go(send_n, four[k], n);
        tuza_go(receive_n, four[k], n);
    }
    tuza_go(send_all, n);
    tuza_go(receive_all, n);
    tuza_waitgroup_wait(&group);
}

// TestSelectFairness

tuza_fn(forward, int_chan, c1, int_chan, c2, int_chan, out, int_chan, done)
{
    int_chan c3 = tuza_chan_make(int, 0), c4 = tuza_chan_make(int, 0);
    for (;;) {
        int b;
        tuza_select(TUZA_RECV(c3, &b), TUZA_RECV(c4, &b), TUZA_RECV(c1, &b),
                    TUZA_RECV(c2, &b));
        if (tuza_select(TUZA_SEND(out, &b), TUZA_RECV(done, NULL)) == 1)
            break;
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(select_fairness, 2)
{
    enum { TRIALS = 10000 };
    int_chan c1 = tuza_chan_make(int, TRIALS + 1);
    int_chan c2 = tuza_chan_make(int, TRIALS + 1);
    int_chan out = tuza_chan_make(int, 0), done = tuza_chan_make(int, 0);
    for (int i = 0; i <= TRIALS; i++) {
        tuza_send(c1, 1);
        tuza_send(c2, 2);
    }
    tuza_waitgroup_add(&group, 1);
    tuza_go(forward, c1, c2, out, done);
    int count[3] = { 0 };
    for (int i = 0, b; i < TRIALS; i++) {
        tuza_recv(out, &b);
        need(b == 1 || b == 2);
        count[b]++;
    }
    // Ten standard deviations, 50 each.
    need(count[1] > TRIALS / 2 - 500 && count[1] < TRIALS / 2 + 500);
    tuza_close(done);
    tuza_waitgroup_wait(&group);
}

// TestPseudoRandomSend

static int list[100];

tuza_fn(collect, int_chan, c, tuza_mutex *, m)
{
    for (int i = 0; i < 100; i++) {
        tuza_yield();
        tuza_recv(c, &list[i]);
    }
    tuza_mutex_unlock(m);
}

IN_GOROUTINES(pseudo_random_send, 2)
{
    for (size_t cap = 0; cap <= 100; cap += 100) {
        int_chan c = tuza_chan_make(int, cap);
        tuza_mutex m = { 0 };
        int ones = 0, one = 1, zero = 0;
        tuza_mutex_lock(&m);
        tuza_go(collect, c, &m);
        for (int i = 0; i < 100; i++)
            tuza_select(TUZA_SEND(c, &one), TUZA_SEND(c, &zero));
        tuza_mutex_lock(&m); // wait
        for (int i = 0; i < 100; i++)
            ones += list[i];
        need(ones > 10 && ones < 90);
    }
}

// TestMultiConsumer

static const int primes[] = { 2, 3, 7, 11, 13, 17, 19, 23, 27, 31 };

tuza_fn(work, int_chan, q, int_chan, r, int, w)
{
    tuza_range(v, q)
    {
        if (primes[w % 10] == v)
            tuza_yield(); // out of step with the others
        tuza_send(r, v);
    }
    tuza_waitgroup_done(&group);
}

tuza_fn(feed, int_chan, q, int_chan, r, int, n)
{
    for (int i = 0; i < n; i++)
        tuza_send(q, primes[i % 10]);
    tuza_close(q);
    tuza_waitgroup_wait(&group);
    tuza_close(r);
}

IN_GOROUTINES(multi_consumer, 2)
{
    enum { WORKERS = 23 };
    int n = scaled(271828), got = 0;
    int64_t sum = 0, want = 0;
    int_chan q = tuza_chan_make(int, WORKERS * 3);
    int_chan r = tuza_chan_make(int, WORKERS * 3);
    tuza_waitgroup_add(&group, WORKERS);
    for (int w = 0; w < WORKERS; w++)
        tuza_go(work, q, r, w);
    for (int i = 0; i < n; i++)
        want += primes[i % 10];
    tuza_go(feed, q, r, n);
    tuza_range(v, r)
    {
        got++;
        sum += v;
    }
    need_eq(got, n);
    need_eq(sum, want);
}

// TestShrinkStackDuringBlockedSend, TestNoShrinkStackWhileParking: stacks do
// not shrink or move here; what remains is that a collection at the worst
// moments leaves waiters alone.

static int dig(int depth)
{
    volatile char pad[256];
    pad[0] = (char)depth;
    return depth ? dig(depth - 1) + pad[0] : 0;
}

tuza_fn(send_and_dig, int_chan, c, int_chan, done, int, n)
{
    for (int i = 0; i < n; i++) {
        tuza_send(c, i);
        dig(100);
    }
    tuza_send(done, 1);
}

IN_GOROUTINES(collection_during_blocked_send, 2)
{
    int_chan c = tuza_chan_make(int, 0), done = tuza_chan_make(int, 0);
    int base = waiting_now();
    tuza_go(send_and_dig, c, done, 10);
    for (int i = 0, v; i < 10; i++) {
        until_waiting(base + 1);
        tuza_gc();
        tuza_recv(c, &v);
        need_eq(v, i);
    }
    tuza_recv(done, NULL);
}

tuza_fn(receive_slowly, int_chan, c, int_chan, done, int, n)
{
    for (int i = 0, v; i < n; i++) {
        tuza_sleep(TUZA_US(10));
        tuza_recv(c, &v);
        need_eq(v, i);
    }
    tuza_send(done, 1);
}

IN_GOROUTINES(collection_while_parking, 2)
{
    for (int i = 0, n = scaled(200); i < n; i++) {
        int_chan c = tuza_chan_make(int, 0), done = tuza_chan_make(int, 0);
        tuza_go(receive_slowly, c, done, 10);
        tuza_go(send_and_dig, c, done, 10);
        tuza_sleep(TUZA_US(50));
        tuza_gc();
        tuza_recv(done, NULL);
        tuza_recv(done, NULL);
    }
}

// TestSelectDuplicateChannel

tuza_fn(select_twice_on_c, int_chan, c, int_chan, d, int_chan, e)
{
    need_eq(
        tuza_select(TUZA_RECV(c, NULL), TUZA_RECV(c, NULL), TUZA_RECV(d, NULL)),
        2);
    tuza_send(e, 9);
}

tuza_fn(receive_eight, int_chan, c, int_chan, e)
{
    int v;
    tuza_recv(c, &v);
    need_eq(v, 8);
    tuza_send(e, 10);
}

IN_GOROUTINES(select_duplicate_channel, 2)
{
    int_chan c = tuza_chan_make(int, 0), d = tuza_chan_make(int, 0);
    int_chan e = tuza_chan_make(int, 0);
    int base = waiting_now(), v;
    tuza_go(select_twice_on_c, c, d, e); // queues first on c
    until_waiting(base + 1);
    tuza_go(receive_eight, c, e); // queues behind it
    until_waiting(base + 2);
    tuza_send(d, 7); // the first leaves the queue of c
    tuza_recv(e, &v);
    need_eq(v, 9);
    tuza_send(c, 8); // is for the second
    tuza_recv(e, &v);
    need_eq(v, 10);
}

// TestSelectStackAdjust: a receive slot that points to the receiver's own
// stack is good after a collection while it waits.

typedef tuza_chan(int *) ptr_chan;

tuza_fn(wait_with_slots, ptr_chan, c, ptr_chan, d, int_chan, ready)
{
    int local = 7, *slot_c = &local, *slot_d = &local;
    tuza_send(ready, 1);
    int k = tuza_select(TUZA_RECV(c, &slot_c), TUZA_RECV(d, &slot_d));
    need_eq(k, 0);
    need_eq(*slot_c, 42);
    need(slot_d == &local && *slot_d == 7);
    tuza_recv(d, &slot_d);
    need_eq(*slot_d, 43);
    tuza_send(ready, 2);
}

static int *boxed(int v)
{
    int *p = tuza_alloc_bytes(sizeof *p);
    *p = v;
    return p;
}

IN_GOROUTINES(select_slots_survive_a_collection, 2)
{
    ptr_chan c = tuza_chan_make(int *, 0), d = tuza_chan_make(int *, 0);
    int_chan ready = tuza_chan_make(int, 0);
    int base = waiting_now();
    tuza_go(wait_with_slots, c, d, ready);
    tuza_recv(ready, NULL);
    until_waiting(base + 1);
    tuza_gc();
    tuza_send(c, boxed(42));
    until_waiting(base + 1);
    tuza_gc();
    tuza_send(d, boxed(43));
    tuza_recv(ready, NULL);
}

int main(void)
{
    const TTest *const tests[] = {
        chan_receive_from_empty_blocks,
        chan_send_to_full_blocks,
        chan_receives_zero_from_closed,
        chan_close_unblocks_receive,
        chan_delivers_in_order_and_completely,
        chan_has_len_and_cap,
        nonblock_recv_race,
        nonblock_select_race_by_send,
        nonblock_select_race_by_close,
        self_select,
        select_stress,
        select_fairness,
        pseudo_random_send,
        multi_consumer,
        collection_during_blocked_send,
        collection_while_parking,
        select_duplicate_channel,
        select_slots_survive_a_collection,
        NULL,
    };
    return api_check("go/chan", tests);
}
