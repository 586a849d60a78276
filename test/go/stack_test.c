// SPDX-License-Identifier: BSD-3-Clause
// test: whole timeout=300
// test/go/stack_test.c: Go's src/runtime/stack_test.go, and the programs of its
// test/ that go deep, retold. Stacks here do not grow and do not move; what a
// program sees of its stacks has to be the same.

#include "base/san.h"
#include "support/goroutines.h"

static tuza_waitgroup group;

static tuza_memstats memstats(void)
{
    tuza_memstats st = { .size = sizeof st };
    need_eq(tuza_memstats_read(&st), 0);
    return st;
}

// Goes down so many frames of about a KiB, calls fn there and comes back; what
// was written on the way down is still there on the way up.

static int go_down(int depth, void (*fn)(void));
static int (*volatile deeper)(int depth, void (*fn)(void)) = go_down;

static int go_down(int depth, void (*fn)(void))
{
    volatile int frame[200];
    for (int i = 0; i < 200; i += 20)
        frame[i] = depth + i;
    int below = 0;
    if (depth > 0)
        below = deeper(depth - 1, fn);
    else if (fn)
        fn();
    for (int i = 0; i < 200; i += 20)
        need_eq(frame[i], depth + i);
    return below + 1;
}

enum { DEPTH = TZ_ASAN || TZ_TSAN ? 60 : 128 };

// TestStackMem: goroutines in batches use the stacks of those before.

enum { BATCH = 32, BATCHES = 256 };

static void nap(void) { tuza_sleep(TUZA_US(100)); }

tuza_fn(go_down_and_nap, int, depth)
{
    need_eq(go_down(depth, nap), depth + 1);
    tuza_waitgroup_done(&group);
}

static void a_batch(void)
{
    tuza_schedstats st = { .size = sizeof st };
    tuza_waitgroup_add(&group, BATCH);
    for (int i = 0; i < BATCH; i++)
        tuza_go(go_down_and_nap, DEPTH);
    tuza_waitgroup_wait(&group);
    do {
        tuza_yield();
        tuza_schedstats_read(&st);
    } while (st.goroutines > 1);
}

IN_GOROUTINES(stack_mem, BATCH)
{
    for (int b = 0; b < 4; b++)
        a_batch();
    tuza_memstats before = memstats();
    for (int b = 0, n = scaled(BATCHES); b < n; b++)
        a_batch();
    tuza_memstats after = memstats();
    // A stack is 256 KiB of addresses, and each P may keep 64 of them; were
    // none used again, there would be 2 GiB.
    need(after.stack_sys <= before.stack_sys + 64ull * BATCH * 256 * 1024);
    need(after.stack_inuse <= before.stack_inuse + (4 << 20));
}

// TestStackCache: goroutines go deeper and deeper, on demand, then end; some
// rounds of that.

tuza_fn(go_deeper, tuza_chan(int), requests, tuza_chan(int), done)
{
    int depth;
    while (tuza_recv(requests, &depth))
        tuza_send(done, go_down(depth, NULL));
    tuza_send(done, 0);
}

IN_GOROUTINES(stack_cache, 4)
{
    enum { ROUNDS = 4, MANY = 200, STEPS = 7 };
    static tuza_chan(int) requests[MANY];
    int n = scaled(MANY), got;
    for (int r = 0; r < ROUNDS; r++) {
        tuza_chan(int) done = tuza_chan_make(int, 0);
        for (int i = 0; i < n; i++) {
            requests[i] = tuza_chan_make(int, 0);
            tuza_go(go_deeper, requests[i], done);
        }
        for (int s = 0; s < STEPS; s++) {
            for (int i = 0; i < n; i++)
                tuza_send(requests[i], (1 << s) - 1);
            for (int i = 0; i < n; i++) {
                tuza_recv(done, &got);
                need_eq(got, 1 << s);
            }
        }
        for (int i = 0; i < n; i++)
            tuza_close(requests[i]);
        for (int i = 0; i < n; i++)
            tuza_recv(done, &got);
    }
}

// TestStackGrowth: in a goroutine and in main, to growing depths with a
// collection at the deepest point, through a borrowed stack where it takes one.

static void collect(void) { tuza_gc(); }

static void go_far_down(void *arg)
{
    int depth = *(int *)arg;
    need_eq(go_down(depth, collect), depth + 1);
}

static void grow_stack(void)
{
    for (int depth = 1; depth <= (TZ_TSAN ? 1 << 10 : 1 << 14); depth *= 4)
        need_eq(tuza_call_big(go_far_down, &depth,
                              (size_t)depth * (TZ_ASAN ? 4096 : 1536) + 65536),
                0);
}

tuza_fn(grow_and_tell)
{
    grow_stack();
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(stack_growth, 4)
{
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_go(grow_and_tell);
    grow_stack();
    tuza_waitgroup_wait(&group);
}

// TestStackGrowthCallback: from a declared call's neighbourhood, a select, a
// lock: calls that park at depth come back to the same frames.

static tuza_mutex mutex;
static tuza_chan(int) passed;

static void park_in_every_way(void)
{
    tuza_mutex_lock(&mutex);
    tuza_yield();
    tuza_mutex_unlock(&mutex);
    int v = 1;
    tuza_select(TUZA_SEND(passed, &v), TUZA_RECV(passed, &v));
    need_eq(tuza_select(TUZA_AFTER(1)), 0);
    need_eq(TUZA_BLOCKING(0), 0);
}

tuza_fn(park_deep, int, depth)
{
    need_eq(go_down(depth, park_in_every_way), depth + 1);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(stack_growth_callback, 4)
{
    passed = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_go(park_deep, i % DEPTH);
    tuza_waitgroup_wait(&group);
}

// test/peano.go: numbers as lists, arithmetic as recursion: deep, and all of
// it garbage at once.

typedef struct number {
    struct number *less_one;
} number;

static number *add_one(number *x)
{
    number *n = tuza_new(number);
    n->less_one = x;
    return n;
}

static number *add(number *x, number *y)
{
    return y ? add(add_one(x), y->less_one) : x;
}

static number *mul(number *x, number *y)
{
    return x && y ? add(mul(x, y->less_one), x) : NULL;
}

static number *fact(number *n)
{
    return n ? mul(fact(n->less_one), n) : add_one(NULL);
}

static number *gen(int n) { return n > 0 ? add_one(gen(n - 1)) : NULL; }

static int count(number *x)
{
    volatile int one = 1; // or it would become a loop
    return x ? count(x->less_one) + one : 0;
}

static void all_factorials(void *arg)
{
    int expected = 1;
    need_eq(count(mul(gen(3), gen(4))), 12);
    for (int i = 1; i <= *(int *)arg; i++)
        need_eq(count(fact(gen(i))), expected *= i);
}

IN_GOROUTINES(peano, 2)
{
    int most = TZ_ASAN || TZ_TSAN ? 7 : 9;
    need_eq(tuza_call_big(all_factorials, &most, 256 << 20), 0);
}

// test/stack.go: at each of many depths a goroutine is started and waited for,
// and frames of some thousand bytes come and go.

struct twenty {
    int n[20];
};

static int sum_of(struct twenty t)
{
    int s = 0;
    for (int i = 0; i < 20; i++)
        s += t.n[i];
    return s;
}

tuza_fn(send_sum, tuza_chan(int), c, struct twenty, t)
{
    tuza_send(c, sum_of(t));
}

static TZ_NOINLINE int large_frame(int more)
{
    volatile char frame[3000];
    frame[0] = frame[2999] = (char)more;
    return more ? large_frame(more - 1) + frame[2999] : frame[0];
}

static struct twenty ones;

static void recur(int n, tuza_chan(int) c)
{
    int got;
    struct twenty mine = ones;
    tuza_go(send_sum, c, ones);
    need_eq(large_frame(2), 3);
    tuza_recv(c, &got);
    need_eq(got, 20);
    if (n > 0)
        recur(n - 1, c);
    need_eq(sum_of(mine), 20);
}

static void recur_often(void *arg)
{
    recur(*(int *)arg, tuza_chan_make(int, 0));
}

IN_GOROUTINES(stack_go, 2)
{
    int depth = scaled(8000);
    for (int i = 0; i < 20; i++)
        ones.n[i] = 1;
    need_eq(tuza_call_big(recur_often, &depth, 64 << 20), 0);
}

// test/fixedbugs/issue13169.go: pointers that come through a channel to one who
// goes deep then, with a collector that wants them.

struct three {
    intptr_t a, b, c;
};

typedef tuza_chan(struct three *) three_chan;

tuza_fn(send_threes, three_chan, c, int, n)
{
    for (int i = 0; i < n; i++) {
        struct three *t = tuza_new(struct three);
        t->a = t->b = t->c = i;
        tuza_send(c, t);
    }
    tuza_waitgroup_done(&group);
}

tuza_fn(receive_threes, three_chan, c, int, n)
{
    for (int i = 0; i < n; i++) {
        struct three *t = NULL;
        tuza_recv(c, &t);
        go_down(10, NULL);
        need(t->a == t->b && t->b == t->c && t->a >= 0 && t->a < n);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(issue13169_pointers_through_channels, 4)
{
    three_chan c = tuza_chan_make(struct three *, 0);
    int n = scaled(20000);
    tuza_gc_set_percent(1);
    tuza_waitgroup_add(&group, 20);
    for (int i = 0; i < 10; i++) {
        tuza_go(send_threes, c, n);
        tuza_go(receive_threes, c, n);
    }
    for (int i = 0; i < 10; i++) {
        tuza_yield();
        tuza_gc();
    }
    tuza_waitgroup_wait(&group);
}

int main(void)
{
    const TTest *const tests[] = {
        stack_mem,
        stack_cache,
        stack_growth,
        stack_growth_callback,
        peano,
        stack_go,
        issue13169_pointers_through_channels,
        NULL,
    };
    return api_check("go/stack", tests);
}
