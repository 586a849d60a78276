// SPDX-License-Identifier: BSD-3-Clause
// test/sched/canary_test.c: what the frames above a declared call hold is found
// by every collection, whatever the way out of the call does to the stack.
//
// Goroutines go down to random depths, where a frame alone holds an object;
// a frame below it makes a call that returns at once, on the ways out of which
// the goroutine goes on, or queues and is resumed elsewhere. Collections follow
// each other meanwhile, and what they free is written over. In the runtime that
// this comes from, stacks changed during the exit while a collector read them
// (golang issues 1620 and 1746).
//
// 10 s; SOAK=1 makes it a minute. TEST_SEED repeats the depths, not the race.

#include <sched.h>
#include <unistd.h>

#include "sched/proc.h"
#include "support/goroutines.h"

#define NOINLINE __attribute__((noinline))

enum { CALLERS = 200, DEEPEST = 60, OBJECT = 64, OVERWRITTEN = 300 };

static tuza_waitgroup group;
static uint32_t stop;     // atomic
static uint64_t the_seed; // const while they run
static uint64_t rounds;   // atomic

// Uses more of the stack than the call and its way out have.
static NOINLINE void use_more(uint64_t *seed)
{
    volatile char frame[3000];
    for (size_t i = 0; i < sizeof frame; i += 50)
        frame[i] = (char)rnd(seed, 256);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

// The frame below: it holds nothing.
static NOINLINE void call(uint64_t *seed)
{
    switch (rnd(seed, 4)) {
    case 0:
        (void)TUZA_BLOCKING(getppid());
        break;
    case 1:
        (void)TUZA_SYSCALL(sched_yield());
        break;
    default:
        (void)TUZA_SYSCALL(getppid());
    }
    use_more(seed);
}

// The object's value is its own: one that was lost may have become another's.
static NOINLINE void hold_over_call(uint64_t *seed, uint64_t value)
{
    uint64_t *volatile only = tuza_alloc_bytes(OBJECT);
    for (size_t i = 0; i < OBJECT / sizeof *only; i++)
        only[i] = value;
    call(seed);
    for (size_t i = 0; i < OBJECT / sizeof *only; i++)
        need_eq(only[i], value);
    only = NULL;
}

static NOINLINE void go_down(uint64_t *seed, uint64_t value, uint32_t depth)
{
    volatile uint64_t frame[8] = { value };
    if (depth == 0)
        hold_over_call(seed, value);
    else
        go_down(seed, value, depth - 1);
    need_eq(frame[0], value); // and no tail call
}

static void caller(void *arg)
{
    uint64_t number = (uintptr_t)arg, seed = the_seed ^ number << 32;
    for (uint64_t i = 0; !tz_load(&stop); i++) {
        go_down(&seed, number << 32 | i, rnd(&seed, DEEPEST));
        tz_xadd_rlx(&rounds, 1);
        tuza_yield(); // where it is resumed lies above what comes next
    }
    tuza_waitgroup_done(&group);
}

static void count_calls(void *arg)
{
    for (size_t i = 0; i < tz_allg_count(); i++)
        *(uint64_t *)arg +=
            tz_load_acq(&tz_allg_get(i)->status) == TZ_G_SYSCALL;
}

static void overwrite(void)
{
    for (int i = 0; i < OVERWRITTEN; i++)
        memset(tuza_alloc_bytes(OBJECT), 0xbb, OBJECT);
}

IN_GOROUTINES(s3_23_no_frame_above_a_call_is_lost, 4)
{
    int64_t end = tuza_now() + TUZA_SEC(getenv("SOAK") ? 60 : 10);
    uint64_t in_calls = 0, collections = 0;
    the_seed = test_seed();
    tuza_waitgroup_add(&group, CALLERS);
    for (uintptr_t i = 1; i <= CALLERS; i++)
        need_eq(tuza_spawn(caller, (void *)i), 0);
    for (; tuza_now() < end; collections++) {
        tuza_gc();
        overwrite();
        if (collections % 16 == 0)
            tz_world_call(count_calls, &in_calls);
        tuza_yield();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
    printf("%llu calls, %llu collections, %llu seen in calls\n",
           (unsigned long long)rounds, (unsigned long long)collections,
           (unsigned long long)in_calls);
    need(in_calls > 0); // else no collection has met what this is about
    need(collections > 20);
}

int main(void)
{
    if (getenv("SOAK"))
        setenv("CK_DEFAULT_TIMEOUT", "150", 1);
    return api_check("sched/canary",
                     (const TTest *const[]){
                         s3_23_no_frame_above_a_call_is_lost, NULL });
}
