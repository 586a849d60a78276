// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/ken_test.c: Go's test/ken/chan.go retold: sends, receives and
// selects of eight cases over channels of four capacities, in six patterns.
//
// A stream carries 76 numbers in a row from one side to the other. An end of a
// stream that is through is NULL in the selects, and so never ready.

#include "support/goroutines.h"

typedef tuza_chan(int) int_chan;

enum { LENGTH = 76, STREAMS_MOST = 12 };

struct stream {
    int_chan c;
    int sent, received; // how many; each owned by its side
};

static int total_sent, total_received; // atomic
static tuza_waitgroup group;
static struct stream nobody = { NULL, LENGTH, LENGTH };

// A few yields, to mix the orders up.
static void wander(unsigned n)
{
    static unsigned place; // atomic
    unsigned at = __atomic_add_fetch(&place, 10007, __ATOMIC_RELAXED) % n;
    for (; at > 0; at--)
        tuza_yield();
}

static int_chan send_end(struct stream *s)
{
    return s->sent < LENGTH ? s->c : NULL;
}

static int_chan receive_end(struct stream *s)
{
    return s->received < LENGTH ? s->c : NULL;
}

static void was_sent(struct stream *s)
{
    __atomic_fetch_add(&total_sent, 1, __ATOMIC_RELAXED);
    s->sent++;
}

static void was_received(struct stream *s, int v)
{
    need_eq(v, s->received);
    __atomic_fetch_add(&total_received, 1, __ATOMIC_RELAXED);
    s->received++;
}

tuza_fn(send_stream, struct stream *, s)
{
    while (send_end(s)) {
        wander(10);
        tuza_send(s->c, s->sent);
        was_sent(s);
    }
    tuza_waitgroup_done(&group);
}

tuza_fn(receive_stream, struct stream *, s)
{
    while (receive_end(s)) {
        int v;
        wander(10);
        tuza_recv(s->c, &v);
        was_received(s, v);
    }
    tuza_waitgroup_done(&group);
}

// Receives from r[0..3] and sends to s[0..3], whichever is ready.
tuza_fn(both_ways, struct stream **, rs)
{
    struct stream **r = rs, **s = rs + 4;
    for (;;) {
        int v, open = 0;
        for (int i = 0; i < 4; i++)
            open += (receive_end(r[i]) != NULL) + (send_end(s[i]) != NULL);
        if (!open)
            break;
        wander(5);
        int k = tuza_select(
            TUZA_RECV(receive_end(r[0]), &v), TUZA_RECV(receive_end(r[1]), &v),
            TUZA_RECV(receive_end(r[2]), &v), TUZA_RECV(receive_end(r[3]), &v),
            TUZA_SEND(send_end(s[0]), &s[0]->sent),
            TUZA_SEND(send_end(s[1]), &s[1]->sent),
            TUZA_SEND(send_end(s[2]), &s[2]->sent),
            TUZA_SEND(send_end(s[3]), &s[3]->sent));
        if (k < 4)
            was_received(r[k], v);
        else
            was_sent(s[k - 4]);
    }
    tuza_waitgroup_done(&group);
}

// Fours of streams: NONE, or their first.
enum { NONE = -1 };

static struct stream streams[STREAMS_MOST];

static void make_streams(int n, size_t cap)
{
    for (int i = 0; i < n; i++)
        streams[i] = (struct stream){ tuza_chan_make(int, cap), 0, 0 };
}

static void go_senders(int first)
{
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_go(send_stream, &streams[first + i]);
}

static void go_receivers(int first)
{
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_go(receive_stream, &streams[first + i]);
}

static void go_select(int receive, int send)
{
    struct stream **rs = tuza_new_array(struct stream *, 8);
    for (int i = 0; i < 4; i++) {
        rs[i] = receive == NONE ? &nobody : &streams[receive + i];
        rs[4 + i] = send == NONE ? &nobody : &streams[send + i];
    }
    tuza_waitgroup_add(&group, 1);
    tuza_go(both_ways, rs);
}

static void all_patterns(size_t cap)
{
    make_streams(4, cap);
    go_senders(0), go_receivers(0);
    tuza_waitgroup_wait(&group);

    make_streams(4, cap);
    go_senders(0), go_select(0, NONE);
    tuza_waitgroup_wait(&group);

    make_streams(4, cap);
    go_receivers(0), go_select(NONE, 0);
    tuza_waitgroup_wait(&group);

    make_streams(4, cap);
    go_select(NONE, 0), go_select(0, NONE);
    tuza_waitgroup_wait(&group);

    make_streams(8, cap);
    go_select(4, 0), go_select(0, 4);
    tuza_waitgroup_wait(&group);

    make_streams(12, cap);
    go_senders(4), go_receivers(8), go_select(4, 0), go_select(0, 8);
    tuza_waitgroup_wait(&group);
}

static void all_capacities(void)
{
    static const size_t caps[] = { 0, 1, 10, 100 };
    for (int i = 0; i < 4; i++)
        all_patterns(caps[i]);
    need_eq(total_sent, 4 * (4 * 4 + 8 + 12) * LENGTH);
    need_eq(total_received, total_sent);
}

IN_GOROUTINES(ken_chan_on_one_thread, 1)
{
    all_capacities();
}

IN_GOROUTINES(ken_chan_on_two_threads, 2)
{
    all_capacities();
}

IN_GOROUTINES(ken_chan_on_many_threads, 6)
{
    all_capacities();
}

int main(void)
{
    const TTest *const tests[] = {
        ken_chan_on_one_thread,
        ken_chan_on_two_threads,
        ken_chan_on_many_threads,
        NULL,
    };
    return api_check("go/ken", tests);
}
