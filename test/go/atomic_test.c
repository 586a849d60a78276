// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/atomic_test.c: Go's src/internal/runtime/atomic/atomic_test.go and
// src/sync/atomic/atomic_test.go, retold for the atomics of base/atomic.h, with
// goroutines on several threads.

#include <sched.h>

#include "support/goroutines.h"

static tuza_waitgroup group;
static uint32_t begun; // atomic

// Returns when n goroutines have come here: so that they run at once, as far as
// there are processors, and not one after the other.
static void begin_with(uint32_t n)
{
    tz_xadd(&begun, 1);
    for (int i = 1; tz_load(&begun) < n; i++)
        if (i % 1000 == 0)
            tuza_yield();
}

// TestXadduintptr, TestHammer32, TestHammer64: additions, exchanges and
// compare-and-swaps of many add up.

static uint32_t sum32; // atomic
static uint64_t sum64; // atomic
static uint8_t bits;   // atomic

tuza_fn(hammer, int, way, int, n)
{
    begin_with(6);
    for (int i = 0; i < n; i++) {
        uint32_t a;
        uint64_t b;
        if (way == 0) {
            tz_xadd(&sum32, 1);
            tz_xadd(&sum64, UINT64_C(0x100000001));
        } else if (way == 1) {
            tz_xadd_rlx(&sum32, 1);
            tz_xadd_rlx(&sum64, UINT64_C(0x100000001));
        } else {
            do
                a = tz_load_rlx(&sum32);
            while (!tz_cas(&sum32, a, a + 1));
            do
                b = tz_load_rlx(&sum64);
            while (!tz_cas(&sum64, b, b + UINT64_C(0x100000001)));
        }
    }
    tuza_waitgroup_done(&group);
}

// In rounds, so that on a busy machine some are at once.
enum { ROUNDS = 10 };

IN_GOROUTINES(hammered_sums, 6)
{
    int n = scaled(100000), all = 6 * ROUNDS * n;
    for (int round = 0; round < ROUNDS; round++) {
        tz_store(&begun, 0);
        tuza_waitgroup_add(&group, 6);
        for (int i = 0; i < 6; i++)
            tuza_go(hammer, i % 3, n);
        tuza_waitgroup_wait(&group);
    }
    need_eq(tz_load(&sum32), all);
    need_eq(tz_load(&sum64), UINT64_C(0x100000001) * (uint64_t)all);
}

// hammerSwapUint64: what is exchanged has never two halves of two values.

static uint64_t halves; // atomic

static void whole(uint64_t v)
{
    need_eq((uint32_t)v, v >> 32);
}

tuza_fn(exchange, uint64_t, me, int, n)
{
    begin_with(4);
    for (int i = 0; i < n; i++) {
        uint64_t mine = (me << 24 | (uint64_t)i) * UINT64_C(0x100000001);
        whole(tz_xchg(&halves, mine));
        whole(tz_load(&halves));
        tz_store(&halves, mine);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(no_torn_words, 4)
{
    tuza_waitgroup_add(&group, 4);
    for (uint64_t i = 1; i <= 4; i++)
        tuza_go(exchange, i, scaled(100000));
    tuza_waitgroup_wait(&group);
}

// TestAnd8, TestOr8, TestBitwiseContended8: each has its bit, and no other's.

tuza_fn(set_and_clear, uint8_t, bit, int, n)
{
    begin_with(8);
    for (int i = 0; i < n; i++) {
        need(!(tz_xor_bits(&bits, bit) & bit)); // an atomic or
        need(tz_load(&bits) & bit);
        need(tz_xand_bits(&bits, (uint8_t)~bit) & bit);
        need(!(tz_load(&bits) & bit));
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(bitwise_contended, 8)
{
    for (int round = 0; round < ROUNDS; round++) {
        tz_store(&begun, 0);
        tuza_waitgroup_add(&group, 8);
        for (int i = 0; i < 8; i++)
            tuza_go(set_and_clear, (uint8_t)(1 << i), scaled(20000));
        tuza_waitgroup_wait(&group);
        need_eq(bits, 0);
    }
}

// TestStoreLoadSeqCst32: of two that each store and then look at the other's,
// one sees the other's store.

static struct {
    uint32_t x[2] __attribute__((aligned(64)));
    uint32_t y __attribute__((aligned(64)));
    uint32_t saw[2][3];
} sc;


// Waits for the other at step i. On a busy machine it may not have a processor.
static void await(uint32_t *p, uint32_t i)
{
    for (int n = 1; tz_load_acq(p) < i; n++)
        if (n % 1000 == 0)
            sched_yield();
}

// Where two that go step by step end: at n, or after two seconds. The first of
// them says so in a step that the other has to wait for.
static uint32_t last; // atomic

static void begin_steps(int n) { tz_store(&last, (uint32_t)n); }

static void look_at_clock(uint32_t i, int64_t start)
{
    if (i % 1024 == 0 && i + 2 < tz_load(&last) &&
        tuza_now() - start > TUZA_SEC(2))
        tz_store(&last, i + 2);
}

static uint32_t done_with[2] __attribute__((aligned(64))); // atomic

tuza_fn(store_then_look, int, me)
{
    int he = !me;
    uint64_t seed = (uint64_t)me + 1;
    int64_t start = tuza_now();
    begin_with(2);
    for (uint32_t i = 1; i < tz_load(&last); i++) {
        if (me == 0)
            look_at_clock(i, start);
        for (volatile uint32_t k = rnd(&seed, 64); k > 0; k--)
            ; // who was waited for would always be first
        tz_store(&sc.x[me], i);
        tz_store(&sc.saw[me][i % 3], tz_load(&sc.x[he]));
        tz_store(&done_with[me], i);
        await(&done_with[he], i);
        if (me == 0)
            need(tz_load(&sc.saw[0][i % 3]) >= i ||
                 tz_load(&sc.saw[1][i % 3]) >= i);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(store_load_seq_cst, 2)
{
    tuza_waitgroup_add(&group, 2);
    begin_steps(scaled(500000));
    tuza_go(store_then_look, 0);
    tuza_go(store_then_look, 1);
    tuza_waitgroup_wait(&group);
}

// TestStoreLoadRelAcq32: who sees the mark sees what was written before it,
// plain memory as it is.

static struct {
    uint32_t mark __attribute__((aligned(64)));
    int a __attribute__((aligned(64)));
    double b;
} message[2];

tuza_fn(exchange_messages, int, me)
{
    int64_t start = tuza_now();
    for (uint32_t i = 1; i < tz_load(&last); i++) {
        int writer = (int)(i & 1);
        if (me != writer) {
            await(&message[writer].mark, i);
            need(message[writer].a == (int)i && message[writer].b == i);
            continue;
        }
        if (me == 0)
            look_at_clock(i, start);
        message[me].a = (int)i;
        message[me].b = i;
        tz_store_rel(&message[me].mark, i);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(store_load_rel_acq, 2)
{
    tuza_waitgroup_add(&group, 2);
    begin_steps(scaled(200000));
    tuza_go(exchange_messages, 0);
    tuza_go(exchange_messages, 1);
    tuza_waitgroup_wait(&group);
}

int main(void)
{
    const TTest *const tests[] = {
        hammered_sums,
        no_torn_words,
        bitwise_contended,
        store_load_seq_cst,
        store_load_rel_acq,
        NULL,
    };
    return api_check("go/atomic", tests);
}
