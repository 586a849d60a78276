// SPDX-License-Identifier: BSD-3-Clause
// test/sched/handover_test.c: a goroutine that returns hands its stack to the
// next one, which must not notice.

#include <fenv.h>

#include "sched/proc.h"
#include "support/goroutines.h"

static tuza_waitgroup group;
static int count;

// Whether the stack is this goroutine's, for all who may ask.
static void look_at_stack(void)
{
    struct tz_g *g = tz_getg();
    struct tz_stack st;
    void *owner;
    char here;
    need(tz_stack_find((uintptr_t)&here, &st, &owner) == TZ_STACK_IN);
    need(owner == g);
    need(st.lo == g->stack.lo && st.hi == g->stack.hi);
    need((uintptr_t)&here > st.lo && (uintptr_t)&here < st.hi);
}

static uintptr_t last_stack;
static int changes;

static void note_stack(void *arg)
{
    (void)arg;
    look_at_stack();
    changes += tz_getg()->stack.lo != last_stack;
    last_stack = tz_getg()->stack.lo;
    count++;
    tuza_waitgroup_done(&group);
}

static uint64_t stacks_in_use(void)
{
    struct tz_stack_stats st;
    tz_stack_stats_read(&st);
    return st.inuse;
}

// But for one in 61, when g0 looks around.
IN_GOROUTINES(those_that_return_hand_their_stack_on, 1)
{
    int n = scaled(2000);
    uint64_t before, after;
    before = stacks_in_use();
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        tuza_spawn(note_stack, NULL);
    tuza_waitgroup_wait(&group);
    do {
        tuza_yield();
        after = stacks_in_use();
    } while (after != before);
    need_eq(count, n);
    need(changes <= 2 + n / 61);
}

static void end_somehow(void *arg)
{
    look_at_stack();
    tz_xadd(&count, 1);
    if ((uintptr_t)arg % 3 == 1)
        tuza_yield();
    look_at_stack();
    if ((uintptr_t)arg % 7 == 2)
        tuza_goexit();
}

// Their ends are seen from outside.
static void all_end(void)
{
    tuza_schedstats st = { .size = sizeof st };
    uint64_t before, after;
    int n = scaled(5000);
    before = stacks_in_use();
    for (int i = 0; i < n; i++)
        need_eq(tuza_spawn(end_somehow, (void *)(uintptr_t)i), 0);
    while (tuza_schedstats_read(&st) == 0 && st.goroutines > 1)
        tuza_yield();
    need_eq(count, n);
    need_eq(st.created, n + 1);
    after = stacks_in_use();
    need_eq(after, before);
}

IN_GOROUTINES(s3_03_a_function_that_returns_ends_its_goroutine, 1)
{
    all_end();
}

IN_GOROUTINES(s3_03_a_function_that_returns_ends_its_goroutine_on_procs, 3)
{
    all_end();
}

// What the one before did to its floating-point control words is its own.
static void expect_nearest(void *arg)
{
    (void)arg;
    need_eq(fegetround(), FE_TONEAREST);
    fesetround(FE_UPWARD);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(each_begins_with_the_usual_rounding, 1)
{
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_spawn(expect_nearest, NULL);
    tuza_waitgroup_wait(&group);
    need_eq(fegetround(), FE_TONEAREST);
}

static void label_it(void *arg)
{
    (void)arg;
    need(tz_getg()->label == NULL);
    tuza_set_label("mine");
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_label_ends_with_its_goroutine, 1)
{
    for (int round = 0; round < 3; round++) {
        tuza_waitgroup_add(&group, 100);
        for (int i = 0; i < 100; i++)
            tuza_spawn(label_it, NULL);
        tuza_waitgroup_wait(&group);
    }
}

// Arguments of all sizes in one burst, which hold the only pointer to an
// object each: in the G, in the heap, on the stack.
struct packet {
    uint32_t size, number;
    uint32_t *object;
    unsigned char rest[65536 - 16];
};
static const uint32_t sizes[] = { 16, 47, 48, 49, 4096, 4097, 65536 };

static void open_packet(void *arg)
{
    struct packet *p = arg;
    struct tz_stack st = tz_getg()->stack;
    need((uintptr_t)p % 16 == 0 && (uintptr_t)p > st.lo);
    if (p->size > 4096)
        need(st.hi - st.lo >= tz_stack_default() + p->size);
    else
        need(st.hi - st.lo <= tz_stack_default());
    if (p->number % 50 == 0)
        tuza_gc();
    need_eq(*p->object, p->number);
    for (uint32_t i = 16; i < p->size; i++)
        need_eq(p->rest[i - 16], (unsigned char)(p->number + i));
    tuza_waitgroup_done(&group);
}

static TZ_NOINLINE void send_packet(struct packet *p, uint32_t number)
{
    p->number = number;
    p->size = sizes[number % tz_countof(sizes)];
    p->object = tuza_alloc(sizeof *p->object);
    *p->object = number;
    for (uint32_t i = 16; i < p->size; i++)
        p->rest[i - 16] = (unsigned char)(number + i);
    need_eq(tuza_spawn_copy(open_packet, p, p->size, "open", "here"), 0);
    p->object = NULL;
}

static void send_packets(void)
{
    static struct packet p;
    int n = scaled(2000);
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++) {
        send_packet(&p, (uint32_t)i);
        for (int k = 0; k < 20; k++) // garbage, in place of what is lost
            *(uint32_t *)tuza_alloc(sizeof(uint32_t)) = ~0u;
    }
    tuza_gc();
    for (int k = 0; k < 100000; k++)
        *(uint32_t *)tuza_alloc(sizeof(uint32_t)) = ~0u;
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(arguments_in_a_burst_are_whole_and_keep_alive, 1)
{
    send_packets();
}

IN_GOROUTINES(arguments_in_a_burst_are_whole_on_two_procs, 2)
{
    send_packets();
}

// Each spawns the next and returns: there is always one to follow.
static int stop;

static void chain(void *arg)
{
    if (tz_load(&stop))
        tuza_waitgroup_done(&group);
    else
        tuza_spawn(chain, arg);
    count++;
}

static void wait_for_a_thousand(void)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(chain, NULL);
    for (int i = 0; i < 3; i++) { // a timer, not the queue
        int from = tz_load_rlx(&count);
        while (tz_load_rlx(&count) < from + 1000)
            tuza_sleep(TUZA_MS(1));
        tuza_gc();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(a_chain_of_returns_lets_timers_fire, 1)
{
    wait_for_a_thousand();
}

// The most that there were is known although nobody looked meanwhile.
IN_GOROUTINES(the_peak_is_exact_with_one_proc, 1)
{
    tuza_schedstats st = { .size = sizeof st };
    static const int burst[] = { 3, 11, 7 };
    for (int i = 0; i < 3; i++) {
        tuza_waitgroup_add(&group, burst[i]);
        for (int k = 0; k < burst[i]; k++)
            tuza_spawn(note_stack, NULL);
        tuza_waitgroup_wait(&group);
        while (tuza_schedstats_read(&st) == 0 && st.goroutines > 1)
            tuza_yield();
    }
    need_eq(st.peak, 12);
    need_eq(st.created, 22);
}

int main(void)
{
    return api_check(
        "handover",
        (const TTest *const[]){
            those_that_return_hand_their_stack_on,
            s3_03_a_function_that_returns_ends_its_goroutine,
            s3_03_a_function_that_returns_ends_its_goroutine_on_procs,
            each_begins_with_the_usual_rounding, a_label_ends_with_its_goroutine,
            arguments_in_a_burst_are_whole_and_keep_alive,
            arguments_in_a_burst_are_whole_on_two_procs,
            a_chain_of_returns_lets_timers_fire,
            the_peak_is_exact_with_one_proc, NULL });
}
