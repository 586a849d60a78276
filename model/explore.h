// SPDX-License-Identifier: BSD-3-Clause
// model/explore.h: running a small program of 1 to 4 threads in every order.
//
// README.md tells what is explored and what is not. A test describes its
// program; the explorer runs it again and again, each time from the same
// memory, and each time decides otherwise at one place. Everything is on one
// thread of the system.
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#include "base/base.h"

enum { MODEL_THREADS = 4 };

struct model_program {
    const char *name;
    void (*setup)(void);                 // before each execution; may be NULL
    void (*thread[MODEL_THREADS])(void); // NULL: started later, or never
    void (*check)(void);   // after each, when nothing moves; may be NULL
    bool may_sleep;        // threads may sleep for good in the end
    uint32_t preemptions;  // at most so many in an execution of the search
    uint32_t stale;        // at most so many loads of values that are not the
                           // newest
    uint32_t limit;        // executions of the search; more are a failure
    uint32_t random;       // executions with random schedules besides
};

struct model_result {
    uint64_t searched, random; // executions
    uint64_t steps;            // accesses, of all of them
    bool complete;             // the search came to its end
    bool failed;
    char why[512];      // of the failure
    char schedule[2048]; // of the failure: for MODEL_REPLAY
};

// Explores; a failure is printed with its schedule. MODEL_REPLAY=<schedule> in
// the environment runs that one alone and prints it, MODEL_SECONDS=n makes the
// random part last n seconds, MODEL_SEED=n begins it elsewhere.
struct model_result model_explore(const struct model_program *p);

// --- for the program that is explored

// The calling model thread, 0 to 3; MODEL_THREADS in setup and check.
uint32_t model_self(void);

// Something is wrong: ends the execution and the search.
TZ_NORETURN TZ_COLD void model_fail(const char *fmt, ...) TZ_PRINTF(1, 2);
#define model_need(cond)                                                       \
    ((cond) ? (void)0                                                          \
            : model_fail("needed: %s (%s:%d)", #cond, __FILE__, __LINE__))

// A number in [0, n), each of which is tried.
uint32_t model_choose(uint32_t n, const char *what);

// A plain access of data that threads hand over to each other.
void model_touch(const void *p, size_t size, bool write);

// Others may run here.
void model_step(const char *what);

// Others run first, if any can.
void model_yield(void);

// Nothing more is to be found: the execution ends here, and well.
TZ_NORETURN void model_end(void);

// Starts fn(arg) as another thread; false when there are four.
bool model_start(void (*fn)(void *), void *arg);

// The calling thread only watches: that it could go on for ever keeps no
// execution from its end.
void model_daemon(void);

// Zeroed memory for the rest of the execution.
void *model_alloc(size_t size, size_t align);

// How an address is called in a schedule; name stays.
void model_name(const void *p, size_t size, const char *name);

// A line of one's own in the schedule.
void model_note(const char *fmt, ...) TZ_PRINTF(1, 2);

// Virtual nanoseconds: they pass by sleeping and waiting.
int64_t model_now(void);
// What a futex does.
void model_sleep(uint32_t *word, uint32_t expect, int64_t ns);
void model_wake(uint32_t *word, uint32_t n);
void model_sleep_for(int64_t ns);

#endif
