// SPDX-License-Identifier: BSD-3-Clause
// test: whole timeout=300
// test/go/programs_test.c: the programs of Go's test/chan, test/ken and test
// about channels, retold. Each test names its file.

#include "support/goroutines.h"

typedef tuza_chan(int) int_chan;

static tuza_waitgroup group;

// chan/doubleselect.go: a value that a select sends arrives once.

tuza_fn(select_sender, int, n, int_chan *, c)
{
    for (int i = 0; i < n; i++)
        tuza_select(TUZA_SEND(c[0], &i), TUZA_SEND(c[1], &i),
                    TUZA_SEND(c[2], &i), TUZA_SEND(c[3], &i));
    for (int k = 0; k < 4; k++)
        tuza_close(c[k]);
}

tuza_fn(mux, int_chan, out, int_chan, in, int_chan, done)
{
    tuza_range(v, in)
    {
        tuza_send(out, v);
    }
    tuza_send(done, 1);
}

tuza_fn(close_after_four, int_chan, done, int_chan, c)
{
    for (int i = 0; i < 4; i++)
        tuza_recv(done, NULL);
    tuza_close(c);
}

IN_GOROUTINES(doubleselect, 2)
{
    int n = scaled(100000), got = 0;
    static int_chan c[4];
    int_chan done = tuza_chan_make(int, 0), all = tuza_chan_make(int, 0);
    for (int k = 0; k < 4; k++)
        c[k] = tuza_chan_make(int, 0);
    tuza_go(select_sender, n, c);
    for (int k = 0; k < 4; k++)
        tuza_go(mux, all, c[k], done);
    tuza_go(close_after_four, done, all);
    char *seen = calloc((size_t)n, 1);
    tuza_range(v, all)
    {
        need(v >= 0 && v < n && !seen[v]);
        seen[v] = 1;
        got++;
    }
    free(seen);
    need_eq(got, n);
}

// chan/fifo.go

tuza_fn(chain_link, int_chan, ch, int, val, int_chan, in, int_chan, out)
{
    int v;
    tuza_recv(in, NULL);
    tuza_recv(ch, &v);
    need_eq(v, val);
    tuza_send(out, 1);
}

IN_GOROUTINES(fifo, 2)
{
    int_chan ch = tuza_chan_make(int, 10);
    for (int i = 0; i < 10; i++)
        tuza_send(ch, i);
    for (int i = 0, v; i < 10; i++) {
        tuza_recv(ch, &v);
        need_eq(v, i);
    }
    ch = tuza_chan_make(int, 0);
    int_chan in = tuza_chan_make(int, 0), start = in;
    for (int i = 0; i < 10; i++) {
        int_chan out = tuza_chan_make(int, 0);
        tuza_go(chain_link, ch, i, in, out);
        in = out;
    }
    tuza_send(start, 0);
    for (int i = 0; i < 10; i++)
        tuza_send(ch, i);
    tuza_recv(in, NULL);
}

// chan/goroutines.go: a chain of 10,000.

tuza_fn(pass_left, int_chan, left, int_chan, right)
{
    int v;
    tuza_recv(right, &v);
    tuza_send(left, v + 1);
}

tuza_fn(send_one, int_chan, c)
{
    tuza_send(c, 1);
}

IN_GOROUTINES(goroutines, 2)
{
    int n = scaled(10000), v;
    int_chan leftmost = tuza_chan_make(int, 0), left = leftmost;
    int_chan right = leftmost;
    for (int i = 0; i < n; i++) {
        right = tuza_chan_make(int, 0);
        need_eq(tuza_go(pass_left, left, right), 0);
        left = right;
    }
    tuza_go(send_one, right);
    tuza_recv(leftmost, &v);
    need_eq(v, n + 1);
}

// chan/nonblock.go: attempts until the other side is there, for several types.

struct words {
    char text[24];
};

#define NONBLOCK(T, name, to, from, same)                                      \
    tuza_fn(name##_receiver, tuza_chan(T), c, int_chan, strobe)                \
    {                                                                          \
        T v, want = to;                                                        \
        tuza_recv(c, &v);                                                      \
        need(same(v, want));                                                   \
        tuza_send(strobe, 1);                                                  \
    }                                                                          \
    tuza_fn(name##_sender, tuza_chan(T), c, int_chan, strobe)                  \
    {                                                                          \
        T v = from;                                                            \
        tuza_send(c, v);                                                       \
        tuza_send(strobe, 1);                                                  \
    }                                                                          \
    static void nonblock_##name(size_t buffer)                                 \
    {                                                                          \
        tuza_chan(T) c = tuza_chan_make(T, buffer);                            \
        int_chan strobe = tuza_chan_make(int, 0);                              \
        T v = to, want = from;                                                 \
        need_eq(tuza_select(TUZA_RECV(c, &v), TUZA_DEFAULT), 1);               \
        tuza_go(name##_receiver, c, strobe);                                   \
        while (tuza_select(TUZA_SEND(c, &v), TUZA_DEFAULT) == 1)               \
            tuza_yield();                                                      \
        tuza_recv(strobe, NULL);                                               \
        tuza_go(name##_sender, c, strobe);                                     \
        if (buffer > 0)                                                        \
            tuza_recv(strobe, NULL);                                           \
        while (tuza_select(TUZA_RECV(c, &v), TUZA_DEFAULT) == 1)               \
            tuza_yield();                                                      \
        need(same(v, want));                                                   \
        if (buffer == 0)                                                       \
            tuza_recv(strobe, NULL);                                           \
    }
#define SAME_NUMBER(a, b) ((a) == (b))
#define SAME_WORDS(a, b) (strcmp((a).text, (b).text) == 0)
NONBLOCK(int32_t, i32, 123, 234, SAME_NUMBER)
NONBLOCK(int64_t, i64, 123456, 234567, SAME_NUMBER)
NONBLOCK(bool, boolean, true, true, SAME_NUMBER)
NONBLOCK(struct words, text, { "hello" }, { "hello again" }, SAME_WORDS)

IN_GOROUTINES(nonblock, 2)
{
    for (int round = 0; round < scaled(200); round++)
        for (size_t buffer = 0; buffer < 2; buffer++) {
            nonblock_i32(buffer);
            nonblock_i64(buffer);
            nonblock_boolean(buffer);
            nonblock_text(buffer);
        }
}

// chan/select.go: the values of all cases are computed, in order, each time.

static unsigned computed, shift;
typedef tuza_chan(unsigned) uint_chan;

static unsigned next_value(void)
{
    computed++;
    return 1u << shift;
}

static int send_each(uint_chan a, uint_chan b)
{
    int n = 0;
    for (;; shift++) {
        unsigned va = next_value(), vb = next_value();
        int k = tuza_select(TUZA_SEND(a, &va), TUZA_SEND(b, &vb), TUZA_DEFAULT);
        if (k == 2)
            return n;
        n++;
        if (k == 0)
            a = NULL;
        else
            b = NULL;
    }
}

IN_GOROUTINES(select_with_channels_set_to_null, 1)
{
    uint_chan a = tuza_chan_make(unsigned, 1), b = tuza_chan_make(unsigned, 1);
    unsigned va, vb;
    need_eq(send_each(a, b), 2);
    tuza_recv(a, &va);
    tuza_recv(b, &vb);
    need_eq(va | vb, 3);
    need_eq(send_each(a, NULL), 1);
    need_eq(computed, 10);
}

// chan/select2.go: selects do not use memory up.

tuza_fn(send_ones, int_chan, c, int, n)
{
    for (int i = 0; i < n; i++)
        tuza_send(c, 1);
}

static uint64_t live_after_selects(int_chan c, int_chan dummy, int n)
{
    tuza_go(send_ones, c, n);
    for (int i = 0; i < n; i++)
        need_eq(tuza_select(TUZA_RECV(c, NULL), TUZA_RECV(dummy, NULL)), 0);
    tuza_gc();
    tuza_memstats st = { .size = sizeof st };
    need_eq(tuza_memstats_read(&st), 0);
    return st.heap_live;
}

IN_GOROUTINES(select2_memory_does_not_grow, 2)
{
    int n = scaled(100000);
    int_chan c = tuza_chan_make(int, 0), dummy = tuza_chan_make(int, 0);
    uint64_t before = live_after_selects(c, dummy, n);
    uint64_t after = live_after_selects(c, dummy, n);
    need(after < before + 110000);
}

// chan/select3.go: what blocks and what does not.

enum { NEVER, ALWAYS };
static int_chan closed_chan, null_chan;
static int returned; // atomic

static int_chan ready_to_receive(void)
{
    int_chan c = tuza_chan_make(int, 1);
    tuza_send(c, 7);
    return c;
}

static void send_null(void)
{
    tuza_send(null_chan, 7);
}
static void receive_null(void)
{
    tuza_recv(null_chan, NULL);
}
static void send_buffered(void)
{
    tuza_send(tuza_chan_make(int, 1), 7);
}
static void receive_closed(void)
{
    int v = 5, ok = 5;
    for (int i = 0; i < 10; i++) {
        need_eq(tuza_recv(closed_chan, &v), 0);
        need_eq(v, 0);
    }
    need_eq(tuza_select(TUZA_RECV(closed_chan, NULL)), 0);
    need_eq(tuza_select(TUZA_RECV_OK(closed_chan, &v, &ok)), 0);
    need(v == 0 && ok == 0);
}
static void receive_empty(void)
{
    tuza_recv(tuza_chan_make(int, 0), NULL);
}
static void select_nothing(void)
{
    tuza_chan_select(NULL, 0);
}
static void select_receive_null(void)
{
    tuza_select(TUZA_RECV(null_chan, NULL));
}
static void select_send_null(void)
{
    int v = 7;
    tuza_select(TUZA_SEND(null_chan, &v));
}
static void select_both_null(void)
{
    int v = 7;
    tuza_select(TUZA_RECV(null_chan, NULL), TUZA_SEND(null_chan, &v));
}
static void select_receive_empty(void)
{
    tuza_select(TUZA_RECV(tuza_chan_make(int, 0), NULL));
}
static void select_default(void)
{
    int v = 7;
    need_eq(tuza_select(TUZA_DEFAULT), 0);
    need_eq(tuza_select(TUZA_RECV(null_chan, NULL), TUZA_DEFAULT), 1);
    need_eq(tuza_select(TUZA_SEND(null_chan, &v), TUZA_DEFAULT), 1);
}
static void select_send_ready(void)
{
    int v = 7;
    need_eq(tuza_select(TUZA_SEND(tuza_chan_make(int, 1), &v), TUZA_DEFAULT),
            0);
}
static void select_receive_ready(void)
{
    need_eq(tuza_select(TUZA_RECV(ready_to_receive(), NULL), TUZA_DEFAULT), 0);
}
static void select_itself(void)
{
    int v = 1;
    int_chan c = tuza_chan_make(int, 0);
    tuza_select(TUZA_SEND(c, &v), TUZA_RECV(c, NULL));
}

static const struct {
    void (*fn)(void);
    int blocks;
} table[] = {
    { send_null, ALWAYS },           { receive_null, ALWAYS },
    { send_buffered, NEVER },        { receive_closed, NEVER },
    { receive_empty, ALWAYS },       { select_nothing, ALWAYS },
    { select_receive_null, ALWAYS }, { select_send_null, ALWAYS },
    { select_both_null, ALWAYS },    { select_receive_empty, ALWAYS },
    { select_default, NEVER },       { select_send_ready, NEVER },
    { select_receive_ready, NEVER }, { select_itself, ALWAYS },
};

tuza_fn(call_row, size_t, i)
{
    table[i].fn();
    __atomic_fetch_add(&returned, 1, __ATOMIC_RELAXED);
}

IN_GOROUTINES(select3, 2)
{
    closed_chan = tuza_chan_make(int, 0);
    tuza_close(closed_chan);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int base = waiting_now();
        __atomic_store_n(&returned, 0, __ATOMIC_RELAXED);
        tuza_go(call_row, i);
        if (table[i].blocks) {
            until_waiting(base + 1);
            for (int k = 0; k < 20; k++)
                tuza_yield();
            need_eq(__atomic_load_n(&returned, __ATOMIC_RELAXED), 0);
        }
        while (!table[i].blocks &&
               !__atomic_load_n(&returned, __ATOMIC_RELAXED))
            tuza_yield();
    }
}

DEATH(select3_send_to_closed, "send on closed channel")
{
    int_chan c = tuza_chan_make(int, 0);
    tuza_close(c);
    tuza_send(c, 7);
}

DEATH(select3_select_send_to_closed, "send on closed channel")
{
    int v = 7;
    int_chan c = tuza_chan_make(int, 0);
    tuza_close(c);
    tuza_select(TUZA_SEND(c, &v));
}

// chan/select6.go: queues of waiters stay whole when a select leaves one.

tuza_fn(receive_into_void, int_chan, c)
{
    tuza_recv(c, NULL);
}

tuza_fn(select_then_receive, int_chan, c1, int_chan, c2, int_chan, c3)
{
    need_eq(tuza_select(TUZA_RECV(c1, NULL), TUZA_RECV(c2, NULL)), 1);
    tuza_send(c3, 1);
    tuza_recv(c1, NULL);
}

IN_GOROUTINES(select6, 2)
{
    for (int i = 0, n = scaled(1000); i < n; i++) {
        int_chan c1 = tuza_chan_make(int, 0), c2 = tuza_chan_make(int, 0);
        int_chan c3 = tuza_chan_make(int, 0);
        tuza_go(receive_into_void, c1);
        tuza_go(select_then_receive, c1, c2, c3);
        tuza_go(send_one, c2);
        tuza_recv(c3, NULL);
        tuza_send(c1, 1);
        tuza_send(c1, 1);
    }
}

// chan/select7.go: three ways to send meet three ways to receive.

static int_chan meeting;

static void receive_way(int way)
{
    int_chan c2 = tuza_chan_make(int, 0);
    if (way == 0)
        tuza_recv(meeting, NULL);
    else if (way == 1)
        tuza_select(TUZA_RECV(meeting, NULL));
    else
        need_eq(tuza_select(TUZA_RECV(meeting, NULL), TUZA_RECV(c2, NULL)), 0);
    tuza_waitgroup_done(&group);
}

tuza_fn(go_receive_way, int, way)
{
    receive_way(way);
}

static void send_way(int way)
{
    int v = 1;
    int_chan c2 = tuza_chan_make(int, 0);
    if (way == 0)
        tuza_send(meeting, v);
    else if (way == 1)
        tuza_select(TUZA_SEND(meeting, &v));
    else
        need_eq(tuza_select(TUZA_SEND(meeting, &v), TUZA_SEND(c2, &v)), 0);
}

IN_GOROUTINES(select7, 2)
{
    for (int i = 0; i < 9; i++) {
        meeting = tuza_chan_make(int, 0);
        tuza_waitgroup_add(&group, 1);
        tuza_go(go_receive_way, i % 3);
        tuza_yield();
        send_way(i / 3);
        tuza_waitgroup_wait(&group);
    }
}

// chan/sieve1.go

tuza_fn(generate, int_chan, out)
{
    for (int i = 2;; i++)
        tuza_send(out, i);
}

tuza_fn(filter, int_chan, in, int_chan, out, int, prime)
{
    tuza_range(i, in)
    {
        if (i % prime != 0)
            tuza_send(out, i);
    }
}

tuza_fn(sieve, int_chan, found)
{
    int_chan ch = tuza_chan_make(int, 0);
    tuza_go(generate, ch);
    for (;;) {
        int prime;
        tuza_recv(ch, &prime);
        tuza_send(found, prime);
        int_chan next = tuza_chan_make(int, 0);
        tuza_go(filter, ch, next, prime);
        ch = next;
    }
}

IN_GOROUTINES(sieve1, 2)
{
    static const int primes[] = { 2,  3,  5,  7,  11, 13, 17, 19, 23,
                                  29, 31, 37, 41, 43, 47, 53, 59, 61,
                                  67, 71, 73, 79, 83, 89, 97 };
    int_chan found = tuza_chan_make(int, 0);
    tuza_go(sieve, found);
    for (int i = 0, p; i < 25; i++) {
        tuza_recv(found, &p);
        need_eq(p, primes[i]);
    }
}

// chan/zerosize.go

IN_GOROUTINES(zerosize, 1)
{
    tuza_hchan *sync = tuza_chan_new(0, 0), *buffered = tuza_chan_new(0, 1);
    need(sync && buffered);
    need_eq(tuza_chan_send(buffered, NULL), 0);
    need_eq(tuza_chan_try_send(buffered, NULL), -EAGAIN);
    need_eq(tuza_chan_recv(buffered, NULL), 1);
    need_eq(tuza_chan_try_recv(sync, NULL), -EAGAIN);
}

// ken/chan1.go: every value is received exactly once.

enum { VALUES = 1000 };
static int marks[VALUES];

tuza_fn(mark_received, int_chan, c)
{
    for (int v;;) {
        tuza_select(TUZA_RECV(c, &v));
        need_eq(__atomic_exchange_n(&marks[v], 2, __ATOMIC_RELAXED), 1);
        tuza_waitgroup_done(&group);
    }
}

IN_GOROUTINES(ken_chan1, 2)
{
    int_chan c = tuza_chan_make(int, 2);
    for (int m = 0; m < 10; m++)
        tuza_go(mark_received, c);
    tuza_waitgroup_add(&group, VALUES);
    for (int v = 0; v < VALUES; v++) {
        need_eq(__atomic_exchange_n(&marks[v], 1, __ATOMIC_RELAXED), 0);
        tuza_send(c, v);
    }
    tuza_waitgroup_wait(&group);
}

// chanlinear.go: leaving a long queue of waiters takes no time in proportion
// to its length.

tuza_fn(select_on_both, int_chan, c, int_chan, d, int, messages)
{
    for (int j = 0; j < messages; j++)
        tuza_select(TUZA_RECV(c, NULL), TUZA_RECV(d, NULL));
    tuza_waitgroup_done(&group);
}

static int64_t time_selects(int n)
{
    int_chan c = tuza_chan_make(int, 0);
    int_chan *d = tuza_new_array(int_chan, (size_t)n);
    int64_t t = tuza_now();
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++) {
        d[i] = tuza_chan_make(int, 0);
        tuza_go(select_on_both, c, d[i], 10);
    }
    for (int k = 0; k < 10; k++)
        for (int i = 0; i < n; i++)
            tuza_send(d[i], 1);
    tuza_waitgroup_wait(&group);
    return tuza_now() - t;
}

IN_GOROUTINES(chanlinear, 2)
{
    int n = scaled(1000), fails = 0;
    (void)time_selects(2 * n);
    for (;;) {
        int64_t t1 = time_selects(n), t2 = time_selects(2 * n);
        if (t2 < 3 * t1)
            return;
        need(++fails < 10);
    }
}

int main(void)
{
    const TTest *const tests[] = {
        doubleselect,
        fifo,
        goroutines,
        nonblock,
        select_with_channels_set_to_null,
        select2_memory_does_not_grow,
        select3,
        select3_send_to_closed,
        select3_select_send_to_closed,
        select6,
        select7,
        sieve1,
        zerosize,
        ken_chan1,
        chanlinear,
        NULL,
    };
    return api_check("go/programs", tests);
}
