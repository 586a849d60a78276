// SPDX-License-Identifier: BSD-3-Clause
// model/inner.h: the explorer's own state. It lies outside of the program's
// data, which are put back before every execution.
#ifndef MODEL_INNER_H
#define MODEL_INNER_H

#include "arch/ctx.h" // with MODEL_INNER_H: the plain one
#include "base/atomic.h"
#include "explore.h"

enum {
    SETUP = MODEL_THREADS, // the thread that runs setup and check
    LOCS = 256,            // atomic variables
    KEPT = 8,              // of its last values, for loads that are late
    LINES = 4096,          // of 64 bytes, that plain accesses touch
    STEPS = 6000,          // in an execution; more are a livelock
    STACK = 64 * 1024,
    MEMORY = 2048 * 1024, // that a program allocates
    YIELD_NS = 1000,       // that a yield takes
    FOREVER_NS = 1000000000, // so long a sleep does not end by itself
    IDLE_TICKS = 8         // of daemons with nobody else awake: the end
};

// What a thread knows to have happened: of each thread, up to which of its
// releases; of each variable, up to which value.
struct clock {
    uint16_t at[MODEL_THREADS];
};
struct view {
    uint16_t at[LOCS];
};

// A value that a variable has had, and what an acquire of it learns.
struct message {
    uint64_t value;
    struct clock clock;
    const struct view *view; // NULL: it was not released
};

struct loc {
    uintptr_t addr;
    uint8_t size;
    // Threads that ever read and wrote it, in all executions; what they were
    // when this round began decides where a switch is worth trying.
    uint8_t readers, writers;
    bool shared;
    // Of this execution, when gen is the explorer's:
    uint32_t gen;
    bool dirty; // written by a plain store: memory has the value
    uint16_t first, newest; // values that may still be loaded
    struct message kept[KEPT];
    uint16_t wrote[MODEL_THREADS], read[MODEL_THREADS]; // atomically, when
};

// 64 bytes of the program's memory, and who touched each plainly, when.
struct line {
    uintptr_t key;
    uint32_t gen;
    uint16_t loc[64]; // index + 1 of the variable that begins here
    uint16_t wrote_at[64];
    uint8_t wrote_by[64];
    uint16_t read_at[64][MODEL_THREADS];
};

enum state { UNUSED, READY, ASLEEP, DONE };

struct thread {
    struct tz_ctx ctx;
    char *stack;
    enum state state;
    void (*fn)(void *);
    void *arg;
    bool daemon, timed, woken;
    uint32_t *word; // it sleeps on; NULL: on time alone
    uint64_t since; // for the order of waking
    int64_t deadline;
    struct clock clock;
    struct view view;
};

// A place where the execution could have gone on otherwise.
struct choice {
    uint32_t at; // number among all places of the execution
    uint16_t pick, n;
};

enum mode { SEARCH, RANDOM, REPLAY };

struct explorer {
    const struct model_program *program;
    struct model_result *result;
    enum mode mode;
    bool printing;
    uint64_t seed;

    // The search: the choices of this execution; those below `fixed` are given.
    struct choice choice[STEPS * 2];
    uint32_t nchoices, fixed, pos;

    // This execution.
    uint32_t gen;
    uint32_t cur;
    uint32_t at, steps, preempted, stale, idle;
    uint64_t order;
    int64_t now;
    bool failed, ended;
    struct tz_ctx main;
    struct thread thread[MODEL_THREADS + 1];
    char *memory;
    size_t used;
    struct view sc; // what sequentially consistent stores have told
    uint32_t nviews;
    struct view views[STEPS + 1];

    // Of all executions.
    bool grown; // a variable turned out to be shared
    uint32_t nlocs;
    struct loc loc[LOCS];
    struct line line[LINES];
    struct {
        uintptr_t lo, hi;
        const char *name;
    } name[128];
    uint32_t nnames;
};
extern struct explorer *model_x;

// explore.c. One of n ways; 0 is the usual one. allowed: the search may try
// the others. often: one in so many, in random executions.
uint32_t model_pick(uint32_t n, bool allowed, uint32_t often);
// A switch may come here. shared: it would matter.
void model_point(bool shared);
// The calling thread sleeps on word (NULL: on time alone), at most ns if >= 0.
void model_block(uint32_t *word, int64_t ns);

// race.c: the line of an address; reports an atomic access beside a plain one.
struct line *model_line(uintptr_t addr);
void model_race_atomic(struct loc *l, bool write, const struct model_site *at);

// trace.c
const char *model_addr(uint64_t addr, char *buf, size_t size);
void model_print(const char *op, const struct model_site *at, const void *p,
                 const char *fmt, ...) TZ_PRINTF(4, 5);
void model_where(const void *pc, char *buf, size_t size);

#endif
