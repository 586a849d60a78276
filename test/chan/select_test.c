// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/chan/select_test.c: waiting for several channels at once.

#include "chan/chan.h"
#include "support/goroutines.h"

static tuza_hchan *chans[2000];
static tuza_case cases[70000];
static tuza_waitgroup group;

static tuza_case receive_case(tuza_hchan *c, int *v, int *ok)
{
    return tuza__case(TUZA__CASE_RECV, c, v, ok, 0);
}

static tuza_case send_case(tuza_hchan *c, int *v)
{
    return tuza__case(TUZA__CASE_SEND, c, v, NULL, 0);
}

static tuza_case after_case(int64_t ns)
{
    return tuza__case(TUZA__CASE_AFTER, NULL, NULL, NULL, ns);
}

static tuza_case default_case(void)
{
    return tuza__case(TUZA__CASE_DEFAULT, NULL, NULL, NULL, 0);
}

// The numbers around which arrays change their place.
static const int counts[] = { 1, 2, 3, 7, 8, 9, 63, 64, 65, 200, 1000 };
enum { NCOUNTS = sizeof counts / sizeof counts[0] };

static void make_receives(int n, size_t cap, int *v, int *ok)
{
    for (int i = 0; i < n; i++) {
        chans[i] = tuza_chan_new(4, cap);
        cases[i] = receive_case(chans[i], v, ok);
    }
}

// Ready at once.

IN_GOROUTINES(the_one_case_that_is_ready_is_taken, 1)
{
    for (int k = 0; k < NCOUNTS; k++) {
        int n = counts[k], v = 0, ok = -1;
        make_receives(n, 1, &v, &ok);
        for (int i = 0; i < n; i += 1 + n / 10) {
            int sent = i + 1000;
            tuza_chan_send(chans[i], &sent);
            need_eq(tuza_chan_select(cases, (size_t)n), i);
            need_eq(v, sent);
            need_eq(ok, 1);
        }
        for (int i = 0; i < n; i++)
            cases[i] = send_case(chans[i], &v);
        for (int i = 0; i < n; i++)
            tuza_chan_send(chans[i], &v); // all full
        for (int i = 0; i < n; i += 1 + n / 10) {
            tuza_chan_recv(chans[i], NULL);
            need_eq(tuza_chan_select(cases, (size_t)n), i);
        }
    }
}

IN_GOROUTINES(a_closed_channel_is_ready, 1)
{
    int v = 5, ok = -1;
    tuza_chan(int) open = tuza_chan_make(int, 0);
    tuza_chan(int) closed = tuza_chan_make(int, 3);
    tuza_send(closed, 8);
    tuza_close(closed);
    need_eq(tuza_select(TUZA_RECV(open, NULL), TUZA_RECV_OK(closed, &v, &ok)),
            1);
    need(v == 8 && ok == 1);
    need_eq(tuza_select(TUZA_RECV(open, NULL), TUZA_RECV_OK(closed, &v, &ok)),
            1);
    need(v == 0 && ok == 0);
    need_eq(tuza_select(TUZA_RECV_OK(closed, &v, &ok)), 0);
    need_eq(tuza_select(TUZA_RECV(closed, &v), TUZA_DEFAULT), 0);
}

IN_GOROUTINES(the_default_is_taken_only_when_nothing_is_ready, 1)
{
    int v = 1;
    tuza_chan(int) a = tuza_chan_make(int, 1), b = tuza_chan_make(int, 1);
    tuza_chan(int) none = NULL;
    need_eq(tuza_select(TUZA_DEFAULT), 0);
    need_eq(tuza_select(TUZA_RECV(a, &v), TUZA_DEFAULT), 1);
    need_eq(tuza_select(TUZA_RECV(none, &v), TUZA_DEFAULT), 1);
    need_eq(tuza_select(TUZA_SEND(none, &v), TUZA_DEFAULT), 1);
    need_eq(tuza_select(TUZA_DEFAULT, TUZA_RECV(a, &v), TUZA_RECV(b, &v)), 0);
    need_eq(tuza_select(TUZA_DEFAULT, TUZA_SEND(a, &v), TUZA_RECV(b, &v)), 1);
    need_eq(tuza_select(TUZA_SEND(a, &v), TUZA_RECV(b, &v), TUZA_DEFAULT), 2);
    need_eq(tuza_select(TUZA_RECV(a, &v), TUZA_RECV(b, &v), TUZA_DEFAULT), 0);
    for (int k = 0; k < NCOUNTS; k++) {
        int n = counts[k];
        make_receives(n, 1, &v, NULL);
        cases[n / 2] = default_case();
        need_eq(tuza_chan_select(cases, (size_t)n), n / 2);
    }
}

IN_GOROUTINES(a_delay_that_is_over_acts_like_a_default, 1)
{
    int v = 1;
    tuza_chan(int) a = tuza_chan_make(int, 1), b = tuza_chan_make(int, 0);
    need_eq(tuza_select(TUZA_AFTER(0)), 0);
    need_eq(tuza_select(TUZA_AFTER(-5), TUZA_RECV(a, &v)), 0);
    need_eq(tuza_select(TUZA_RECV(b, &v), TUZA_RECV(a, &v), TUZA_AFTER(0)), 2);
    tuza_send(a, 3);
    need_eq(tuza_select(TUZA_RECV(b, &v), TUZA_RECV(a, &v), TUZA_AFTER(0)), 1);
    // The one with the shortest delay; the default before any.
    need_eq(tuza_select(TUZA_AFTER(0), TUZA_AFTER(-1), TUZA_AFTER(5)), 1);
    need_eq(tuza_select(TUZA_AFTER(0), TUZA_RECV(b, &v), TUZA_DEFAULT), 2);
}

IN_GOROUTINES(what_cannot_be_is_invalid, 1)
{
    int v;
    tuza_chan(int) c = tuza_chan_make(int, 1);
    need_eq(tuza_select(TUZA_DEFAULT, TUZA_DEFAULT), -EINVAL);
    need_eq(tuza_select(TUZA_DEFAULT, TUZA_RECV(c, &v), TUZA_DEFAULT), -EINVAL);
    tuza_case odd = { .kind = 9 };
    need_eq(tuza_chan_select(&odd, 1), -EINVAL);
    for (int i = 0; i < 65536; i++)
        cases[i] = receive_case((tuza_hchan *)c, &v, NULL);
    need_eq(tuza_chan_select(cases, 65536), -EINVAL);
    tuza_send(c, 4);
    int taken = tuza_chan_select(cases, 65535);
    need(taken >= 0 && taken < 65535 && v == 4);
}

// Every case that is ready is taken about as often as any other.
IN_GOROUTINES(the_choice_is_fair, 1)
{
    for (int n = 2; n <= 9; n++) {
        int hits[9] = { 0 }, v, trials = 2000 * n;
        for (int i = 0; i < n; i++) {
            chans[i] = tuza_chan_new(4, 1);
            tuza_chan_send(chans[i], &i);
            cases[i] = receive_case(chans[i], &v, NULL);
        }
        for (int t = 0; t < trials; t++) {
            int i = tuza_chan_select(cases, (size_t)n);
            need(i >= 0 && i < n);
            hits[i]++;
            tuza_chan_send(chans[i], &i);
        }
        // Expected 2000 each, standard deviation below 45.
        for (int i = 0; i < n; i++)
            need(hits[i] > 1750 && hits[i] < 2250);
    }
}

// Two of many: uniform among the ready ones, whatever lies between them.
IN_GOROUTINES(the_choice_is_fair_among_those_ready, 1)
{
    int hits = 0, v, one = 1;
    make_receives(8, 1, &v, NULL);
    for (int t = 0; t < 4000; t++) {
        tuza_chan_try_send(chans[1], &one);
        tuza_chan_try_send(chans[2], &one);
        int i = tuza_chan_select(cases, 8);
        need(i == 1 || i == 2);
        hits += i == 1;
    }
    need(hits > 1680 && hits < 2320); // 10 standard deviations
}

// A token is in one of two channels at every moment, but not always in the
// same: a default taken would have been decided by two looks at two moments.
static int moving, stop_moving; // atomic

static void wait_for_token(tuza_hchan *c)
{
    while (tuza_chan_try_recv(c, NULL) != 1)
        tz_cpu_relax(); // main has it for a moment
}

static void move_token(void *arg)
{
    int token = 1;
    (void)arg;
    __atomic_store_n(&moving, 1, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&stop_moving, __ATOMIC_RELAXED)) {
        need_eq(tuza_chan_try_send(chans[1], &token), 0);
        wait_for_token(chans[0]);
        need_eq(tuza_chan_try_send(chans[0], &token), 0);
        wait_for_token(chans[1]);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(the_default_is_decided_at_one_moment, 2)
{
    int token = 1;
    make_receives(2, 1, &token, NULL);
    cases[2] = default_case();
    tuza_chan_send(chans[0], &token);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(move_token, NULL);
    while (!__atomic_load_n(&moving, __ATOMIC_RELAXED))
        tz_cpu_relax(); // it must run on the other P
    for (int i = 0, n = scaled(300000); i < n; i++) {
        int k = tuza_chan_select(cases, 3);
        need(k == 0 || k == 1);
        need_eq(tuza_chan_try_send(chans[k], &token), 0);
    }
    __atomic_store_n(&stop_moving, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_wait(&group);
}

// Waiting.

struct waiter {
    int n;     // cases
    int taken; // result
};

static void select_all(void *arg)
{
    struct waiter *w = arg;
    w->taken = tuza_chan_select(cases, (size_t)w->n);
    tuza_waitgroup_done(&group);
}

static void no_waiters_on(tuza_hchan *c)
{
    tz_lock_acquire(&c->lock);
    tz_chan_check(c);
    need(!c->recvq.first && !c->recvq.last && !c->sendq.first &&
         !c->sendq.last);
    tz_lock_release(&c->lock);
}

// Parks a goroutine in a select of n cases; afterwards, `wake` for case i.
static int parked_select(int n, int i, void (*wake)(tuza_hchan *))
{
    struct waiter w = { .n = n };
    int base = waiting_now();
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(select_all, &w);
    until_waiting(base + 1);
    wake(chans[i]);
    tuza_waitgroup_wait(&group);
    for (int k = 0; k < n; k++)
        no_waiters_on(chans[k]);
    return w.taken;
}

static void wake_by_send(tuza_hchan *c)
{
    int v = 31;
    tuza_chan_send(c, &v);
}

static void wake_by_receive(tuza_hchan *c)
{
    int v = 0;
    need_eq(tuza_chan_recv(c, &v), 1);
    need_eq(v, 32);
}

IN_GOROUTINES(a_select_that_waits_is_woken_by_any_case, 2)
{
    for (int k = 0; k < NCOUNTS; k++) {
        int n = counts[k], v, ok;
        make_receives(n, 0, &v, &ok);
        for (int i = 0; i < n; i += 1 + n / 8) {
            v = ok = -1;
            need_eq(parked_select(n, i, wake_by_send), i);
            need(v == 31 && ok == 1);
        }
        for (int i = 0; i < n; i++)
            cases[i] = send_case(chans[i], &v);
        v = 32;
        for (int i = 0; i < n; i += 1 + n / 8)
            need_eq(parked_select(n, i, wake_by_receive), i);
        for (int i = 0; i < n; i++)
            cases[i] = receive_case(chans[i], &v, &ok);
        v = ok = -1;
        need_eq(parked_select(n, n - 1, tuza_chan_close), n - 1);
        need(v == 0 && ok == 0);
    }
}

IN_GOROUTINES(a_channel_may_be_in_several_cases, 2)
{
    static const int ns[] = { 2, 8, 64, 100 };
    for (int k = 0; k < 4; k++) {
        int n = ns[k], v = 32;
        tuza_hchan *a = tuza_chan_new(4, 0), *b = tuza_chan_new(4, 0);
        for (int i = 0; i < n; i++) {
            chans[i] = i % 2 ? b : a;
            cases[i] = receive_case(chans[i], &v, NULL);
        }
        for (int round = 0; round < 10; round++) {
            need_eq(parked_select(n, 0, wake_by_send) % 2, 0);
            need_eq(parked_select(n, 1, wake_by_send) % 2, 1);
        }
        for (int i = 0; i < n; i += 2) // receives from a, sends to b
            cases[i + 1] = send_case(b, &v);
        v = 32;
        need_eq(parked_select(n, 1, wake_by_receive) % 2, 1);
        need_eq(parked_select(n, 0, wake_by_send) % 2, 0);
    }
}

static int blocked_for_ever; // stays 0

static void select_with_itself(void *arg)
{
    tuza_hchan *c = arg;
    int v = 1;
    tuza_case two[] = { send_case(c, &v), receive_case(c, &v, NULL) };
    tuza_chan_select(two, 2);
    blocked_for_ever = 1;
}

static void select_nothing(void *arg)
{
    (void)arg;
    tuza_chan_select(NULL, 0);
    blocked_for_ever = 2;
}

static void select_nulls(void *arg)
{
    int v = 1;
    tuza_chan(int) none = NULL;
    (void)arg;
    tuza_select(TUZA_RECV(none, &v), TUZA_SEND(none, &v));
    blocked_for_ever = 3;
}

IN_GOROUTINES(what_can_never_be_ready_blocks_for_ever, 1)
{
    int base = waiting_now();
    tuza_spawn(select_with_itself, tuza_chan_new(4, 0));
    tuza_spawn(select_nothing, NULL);
    tuza_spawn(select_nulls, NULL);
    until_waiting(base + 3);
    for (int i = 0; i < 100; i++)
        tuza_yield();
    need_eq(blocked_for_ever, 0);
}

// Delays.

IN_GOROUTINES(the_shortest_delay_wins_and_is_kept, 2)
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    int64_t t = tuza_now();
    need_eq(tuza_select(TUZA_AFTER(TUZA_SEC(50)), TUZA_RECV(c, NULL),
                        TUZA_AFTER(TUZA_MS(5)), TUZA_AFTER(TUZA_SEC(60))),
            2);
    need(tuza_now() - t >= TUZA_MS(5));
    no_waiters_on((tuza_hchan *)c);
    t = tuza_now();
    need_eq(tuza_select(TUZA_AFTER(TUZA_MS(2))), 0);
    need(tuza_now() - t >= TUZA_MS(2));
}

// A select that a channel has ended leaves no timer behind: the frame it lay
// in is used again at once.
IN_GOROUTINES(a_channel_before_the_delay_stops_the_timer, 2)
{
    int v, one = 1, ok;
    for (int i = 0; i < scaled(1000); i++) {
        chans[0] = tuza_chan_new(4, 0);
        cases[0] = receive_case(chans[0], &v, &ok);
        cases[1] = after_case(TUZA_MS(200)); // not even on a busy machine
        struct waiter w = { .n = 2 };
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(select_all, &w);
        tuza_case give[] = { send_case(chans[0], &one),
                             after_case(TUZA_SEC(20)) };
        need_eq(tuza_chan_select(give, 2), 0);
        tuza_waitgroup_wait(&group);
        need_eq(w.taken, 0);
    }
    tuza_sleep(TUZA_MS(210)); // any that was left would run now
}

// Sender and timer compete for the receiver; whoever wins, no value is lost
// and none is invented.
static int given, got;

static void race_receiver(void *arg)
{
    tuza_hchan *c = arg;
    for (int i = 0, v; i < scaled(2000); i++) {
        tuza_case two[] = { receive_case(c, &v, NULL),
                            after_case(i % 40 * 500) };
        if (tuza_chan_select(two, 2) == 0)
            got += v;
    }
    tuza_waitgroup_done(&group);
}

static void race_sender(void *arg)
{
    tuza_hchan *c = arg;
    int one = 1;
    for (int i = 0; i < scaled(2000); i++) {
        tuza_case two[] = { send_case(c, &one), after_case(i % 29 * 700) };
        if (tuza_chan_select(two, 2) == 0)
            given++;
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_value_and_a_timeout_never_both_happen, 2)
{
    tuza_hchan *c = tuza_chan_new(4, 0);
    tuza_waitgroup_add(&group, 2);
    tuza_spawn(race_receiver, c);
    tuza_spawn(race_sender, c);
    tuza_waitgroup_wait(&group);
    need_eq(got, given);
    no_waiters_on(c);
}

// Many against each other, in all orders of cases: no deadlock, no value lost.
enum { PARTIES = 6, FIELD = 5 };
static uint64_t sent_sum, received_sum;

static void party(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    uint64_t sent = 0, received = 0;
    for (int i = 0, n = scaled(5000); i < n; i++) {
        tuza_case k[8];
        int in[8], out = (int)rnd(&seed, 1000);
        size_t m = 1 + rnd(&seed, 7);
        for (size_t j = 0; j < m; j++) {
            tuza_hchan *c = chans[rnd(&seed, FIELD)];
            k[j] = rnd(&seed, 2) ? send_case(c, &out)
                                 : receive_case(c, &in[j], NULL);
        }
        k[m] = after_case(rnd(&seed, 3) * 20000);
        int taken = tuza_chan_select(k, m + 1);
        need(taken >= 0 && taken <= (int)m);
        if (taken == (int)m)
            continue;
        if (k[taken].kind == TUZA__CASE_SEND)
            sent += (uint64_t)out;
        else
            received += (uint64_t)in[taken];
    }
    __atomic_fetch_add(&sent_sum, sent, __ATOMIC_RELAXED);
    __atomic_fetch_add(&received_sum, received, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(parties_that_select_at_random_lose_nothing, 2)
{
    uint64_t seed = test_seed();
    for (size_t i = 0; i < FIELD; i++)
        chans[i] = tuza_chan_new(4, i % 3); // two without a buffer
    tuza_waitgroup_add(&group, PARTIES);
    for (int i = 0; i < PARTIES; i++)
        tuza_spawn(party, (void *)(uintptr_t)(seed + (uint64_t)i));
    tuza_waitgroup_wait(&group);
    for (int i = 0, v; i < FIELD; i++) {
        while (tuza_chan_try_recv(chans[i], &v) == 1)
            received_sum += (uint64_t)v;
        no_waiters_on(chans[i]);
    }
    need_eq(sent_sum, received_sum);
}

// Mistakes.

DEATH(a_select_that_sends_on_a_closed_channel_is_fatal,
      "fatal: send on closed channel 0x")
{
    int v = 1;
    tuza_chan(int) c = tuza_chan_make(int, 1), d = tuza_chan_make(int, 0);
    tuza_close(c);
    tuza_select(TUZA_SEND(c, &v), TUZA_RECV(d, &v));
}

DEATH(a_close_under_a_select_that_sends_is_fatal,
      "fatal: send on closed channel 0x")
{
    int v = 1;
    chans[0] = tuza_chan_new(4, 0);
    chans[1] = tuza_chan_new(4, 0);
    cases[0] = send_case(chans[0], &v);
    cases[1] = receive_case(chans[1], &v, NULL);
    parked_select(2, 0, tuza_chan_close);
}

DEATH(a_select_on_what_is_no_channel_is_told, "which is not a channel")
{
    static size_t zeroes[20];
    int v;
    tuza_case k = receive_case((tuza_hchan *)zeroes, &v, NULL);
    tuza_chan_select(&k, 1);
}

int main(void)
{
    const TTest *const tests[] = {
        the_one_case_that_is_ready_is_taken,
        a_closed_channel_is_ready,
        the_default_is_taken_only_when_nothing_is_ready,
        a_delay_that_is_over_acts_like_a_default,
        what_cannot_be_is_invalid,
        the_choice_is_fair,
        the_choice_is_fair_among_those_ready,
        the_default_is_decided_at_one_moment,
        a_select_that_waits_is_woken_by_any_case,
        a_channel_may_be_in_several_cases,
        what_can_never_be_ready_blocks_for_ever,
        the_shortest_delay_wins_and_is_kept,
        a_channel_before_the_delay_stops_the_timer,
        a_value_and_a_timeout_never_both_happen,
        parties_that_select_at_random_lose_nothing,
        a_select_that_sends_on_a_closed_channel_is_fatal,
        a_close_under_a_select_that_sends_is_fatal,
        a_select_on_what_is_no_channel_is_told,
        NULL,
    };
    return api_check("select", tests);
}
