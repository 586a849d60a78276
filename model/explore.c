// SPDX-License-Identifier: BSD-3-Clause
// model/explore.c: the search over schedules, and the threads themselves.
//
// An execution is a sequence of places where it could go on otherwise: another
// thread, an older value. The search runs the program with the usual choice
// everywhere, then goes back to the last place with an untried choice, repeats
// what was before it and takes that (stateless, depth first), within the
// program's bounds. Model threads are contexts that one thread of the system
// switches between; before each execution the data of the whole program are
// put back to what they were, so that sources with variables of their own need
// nothing said.
//
// Where a switch cannot matter the search does not try one: before accesses
// of variables that one thread uses, or that nobody writes. Which these are
// is learnt on the way; when one turns out to be shared, the search begins
// again.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inner.h"

struct explorer *model_x;

// --- choices

static uint32_t next_random(uint32_t n)
{
    uint64_t s = model_x->seed;
    s ^= s << 13, s ^= s >> 7, s ^= s << 17;
    model_x->seed = s;
    return (uint32_t)((s >> 32) * n >> 32);
}

static uint32_t pick_searched(uint32_t n, bool allowed)
{
    struct explorer *x = model_x;
    if (!allowed)
        return 0;
    if (x->pos < x->fixed) {
        struct choice *c = &x->choice[x->pos++];
        if (c->at != x->at || c->n != n)
            model_fail("the program is not deterministic: place %u, %u ways; "
                       "it was place %u, %u ways",
                       x->at, n, c->at, c->n);
        return c->pick;
    }
    x->choice[x->pos++] = (struct choice){ x->at, 0, (uint16_t)n };
    x->nchoices = x->fixed = x->pos;
    return 0;
}

static void keep(uint32_t pick)
{
    struct explorer *x = model_x;
    if (pick)
        x->choice[x->nchoices++] = (struct choice){ x->at, (uint16_t)pick, 0 };
}

uint32_t model_pick(uint32_t n, bool allowed, uint32_t often)
{
    struct explorer *x = model_x;
    uint32_t pick = 0;
    x->at++;
    if (n > 1 && x->mode == SEARCH) {
        pick = pick_searched(n, allowed);
    } else if (n > 1 && x->mode == RANDOM) {
        if (next_random(often) == 0)
            pick = next_random(n);
        keep(pick);
    } else if (x->mode == REPLAY && x->pos < x->fixed &&
               x->choice[x->pos].at == x->at) {
        pick = x->choice[x->pos++].pick;
        if (pick >= n)
            model_fail("the schedule is not of this program: place %u", x->at);
    }
    return pick;
}

uint32_t model_choose(uint32_t n, const char *what)
{
    uint32_t pick = model_pick(n, true, 1);
    model_note("chooses %u of %u: %s", pick, n, what);
    return pick;
}

// --- threads

uint32_t model_self(void)
{
    return model_x->cur;
}

int64_t model_now(void)
{
    return model_x->now;
}

TZ_NORETURN static void stop(void)
{
    tz_ctx_jump(&model_x->main);
}

void model_fail(const char *fmt, ...)
{
    struct explorer *x = model_x;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(x->result->why, sizeof x->result->why, fmt, ap);
    va_end(ap);
    x->failed = true;
    stop();
}

void model_end(void)
{
    model_x->ended = true;
    stop();
}

static void go(uint32_t to)
{
    struct explorer *x = model_x;
    struct thread *from = &x->thread[x->cur], *t = &x->thread[to];
    if (t->state == ASLEEP) { // its time has come
        t->state = READY;
        if (x->now < t->deadline)
            x->now = t->deadline;
    }
    if (!t->daemon)
        x->idle = 0;
    if (t == from)
        return;
    x->cur = to;
    tz_ctx_switch(&from->ctx, &t->ctx);
}

static bool ready(uint32_t i)
{
    return model_x->thread[i].state == READY;
}

static bool waits_for_time(uint32_t i)
{
    return model_x->thread[i].state == ASLEEP && model_x->thread[i].timed;
}

// Threads other than the current one that could run: those that are ready,
// then, after *nready, those that a passing of time would wake.
static uint32_t others(uint32_t out[MODEL_THREADS], uint32_t *nready)
{
    struct explorer *x = model_x;
    uint32_t n = 0;
    for (uint32_t i = 1; i <= MODEL_THREADS; i++) {
        uint32_t t = (x->cur + i) % MODEL_THREADS;
        if (t != x->cur && ready(t))
            out[n++] = t;
    }
    *nready = n;
    for (uint32_t t = 0; t < MODEL_THREADS; t++)
        if (t != x->cur && waits_for_time(t))
            out[n++] = t;
    return n;
}

void model_point(bool shared)
{
    struct explorer *x = model_x;
    uint32_t who[MODEL_THREADS], nready;
    if (++x->steps >= STEPS)
        model_fail("livelock: %d steps", STEPS);
    uint32_t n = others(who, &nready);
    uint32_t pick = model_pick(
        n + 1, shared && x->preempted < x->program->preemptions, 6);
    if (pick) {
        x->preempted++;
        go(who[pick - 1]);
    }
}

void model_step(const char *what)
{
    model_note("%s", what);
    model_point(true);
}

// The thread that can wait no longer, when only time can go on; or none.
static uint32_t earliest(void)
{
    struct explorer *x = model_x;
    uint32_t best = MODEL_THREADS;
    for (uint32_t t = 0; t < MODEL_THREADS; t++)
        if (waits_for_time(t) &&
            (best == MODEL_THREADS ||
             x->thread[t].deadline < x->thread[best].deadline))
            best = t;
    if (best < MODEL_THREADS && x->thread[best].daemon &&
        ++x->idle > IDLE_TICKS)
        return MODEL_THREADS;
    return best;
}

// The current thread cannot go on: another does, or the execution is over.
static void leave(void)
{
    struct explorer *x = model_x;
    uint32_t who[MODEL_THREADS], nready;
    uint32_t n = others(who, &nready);
    if (nready) {
        bool timers = x->preempted < x->program->preemptions ||
                      x->mode != SEARCH;
        uint32_t pick = model_pick(timers ? n : nready, true, 1);
        x->preempted += pick >= nready;
        go(who[pick]);
        return;
    }
    model_pick(1, false, 1);
    uint32_t t = earliest();
    if (t == MODEL_THREADS)
        stop();
    go(t);
}

void model_yield(void)
{
    struct explorer *x = model_x;
    uint32_t who[MODEL_THREADS], nready;
    if (++x->steps >= STEPS)
        model_fail("livelock: %d steps", STEPS);
    x->now += YIELD_NS;
    for (uint32_t t = 0; t < MODEL_THREADS; t++)
        if (waits_for_time(t) && x->thread[t].deadline <= x->now)
            x->thread[t].state = READY;
    others(who, &nready);
    if (nready == 0)
        return;
    // In turns: which of them comes first is for other places to try.
    uint32_t pick = x->mode == SEARCH ? model_pick(1, false, 1)
                                      : model_pick(nready, false, 2);
    go(who[pick]);
}

void model_block(uint32_t *word, int64_t ns)
{
    struct explorer *x = model_x;
    struct thread *t = &x->thread[x->cur];
    t->state = ASLEEP;
    t->word = word;
    t->timed = ns >= 0 && ns < FOREVER_NS;
    t->deadline = t->timed ? x->now + ns : 0;
    t->since = x->order++;
    leave();
}

void model_sleep_for(int64_t ns)
{
    model_note("sleeps for %lld ns", (long long)ns);
    model_block(NULL, ns);
}

void model_wake(uint32_t *word, uint32_t n)
{
    struct explorer *x = model_x;
    static const struct model_site at = { "word", "futex" };
    if (x->cur == SETUP)
        return;
    model_point(true);
    for (uint32_t woken = 0; woken < n; woken++) {
        struct thread *first = NULL;
        for (uint32_t i = 0; i < MODEL_THREADS; i++) {
            struct thread *t = &x->thread[i];
            if (t->state == ASLEEP && t->word == word &&
                (!first || t->since < first->since))
                first = t;
        }
        if (x->printing && (first || woken == 0))
            model_print("wake", &at, word, first ? "T%u" : "nobody",
                        first ? (unsigned)(first - x->thread) : 0);
        if (!first)
            return;
        first->state = READY;
    }
}

void model_daemon(void)
{
    model_x->thread[model_x->cur].daemon = true;
}

static void thread_main(void *arg)
{
    struct thread *t = arg;
    t->fn(t->arg);
    t->state = DONE;
    model_note("ends");
    leave();
    abort();
}

static void make_thread(uint32_t i, void (*fn)(void *), void *arg)
{
    struct thread *t = &model_x->thread[i];
    char *stack = t->stack;
    memset(t, 0, sizeof *t);
    t->stack = stack;
    t->state = READY;
    t->fn = fn;
    t->arg = arg;
    if (i < MODEL_THREADS)
        t->clock.at[i] = 1;
    tz_ctx_init(&t->ctx, (uintptr_t)stack + STACK, thread_main, t);
}

bool model_start(void (*fn)(void *), void *arg)
{
    struct explorer *x = model_x;
    for (uint32_t i = 0; i < MODEL_THREADS; i++) {
        struct thread *t = &x->thread[i], *me = &x->thread[x->cur];
        if (t->state != UNUSED)
            continue;
        model_note("starts T%u", i);
        make_thread(i, fn, arg);
        if (x->cur == SETUP)
            return true;
        for (uint32_t u = 0; u < MODEL_THREADS; u++)
            if (u != i)
                t->clock.at[u] = me->clock.at[u];
        t->view = me->view;
        me->clock.at[x->cur]++;
        return true;
    }
    return false;
}

void *model_alloc(size_t size, size_t align)
{
    struct explorer *x = model_x;
    x->used = tz_align_up(x->used, align ? align : 16);
    void *p = x->memory + x->used;
    x->used += size;
    if (x->used > MEMORY)
        model_fail("the program allocates more than %d bytes", MEMORY);
    return memset(p, 0, size);
}

// --- executions

static void call(void *fn)
{
    ((void (*)(void))(uintptr_t)fn)();
}

static void call_here(void *fn)
{
    call(fn);
    model_x->ended = true;
    stop();
}

// Runs fn as the thread that is alone.
static void run_alone(void (*fn)(void))
{
    struct explorer *x = model_x;
    if (!fn || x->failed)
        return;
    make_thread(SETUP, call_here, (void *)(uintptr_t)fn);
    x->cur = SETUP;
    tz_ctx_switch(&x->main, &x->thread[SETUP].ctx);
    x->ended = false;
}

static void need_awake(void)
{
    struct explorer *x = model_x;
    size_t n = 0;
    char who[64] = "";
    for (uint32_t i = 0; i < MODEL_THREADS; i++)
        if (x->thread[i].state == ASLEEP && !x->thread[i].daemon)
            n += (size_t)snprintf(who + n, sizeof who - n, " T%u", i);
    if (n && !x->program->may_sleep) {
        x->failed = true;
        snprintf(x->result->why, sizeof x->result->why,
                 "asleep for ever:%s", who);
    }
}

static void execute(void)
{
    struct explorer *x = model_x;
    const struct model_program *p = x->program;
    x->gen++;
    x->at = x->steps = x->preempted = x->stale = x->idle = x->pos = 0;
    if (x->mode == RANDOM)
        x->nchoices = 0;
    x->order = x->used = 0;
    x->now = 1000000;
    x->nviews = x->nnames = 0;
    x->failed = x->ended = false;
    memset(&x->sc, 0, sizeof x->sc);
    for (uint32_t i = 0; i < MODEL_THREADS; i++)
        x->thread[i].state = UNUSED;
    for (uint32_t i = 0; i < MODEL_THREADS; i++)
        if (p->thread[i])
            make_thread(i, call, (void *)(uintptr_t)p->thread[i]);
    run_alone(p->setup);
    if (!x->failed) {
        uint32_t who[MODEL_THREADS], n = 0;
        for (uint32_t i = 0; i < MODEL_THREADS; i++)
            if (ready(i))
                who[n++] = i;
        uint32_t first = who[model_pick(n, true, 1)];
        x->cur = first;
        tz_ctx_switch(&x->main, &x->thread[first].ctx);
    }
    x->result->steps += x->steps;
    if (!x->failed && !x->ended)
        need_awake();
    if (!x->failed && !x->ended)
        run_alone(p->check);
}

// The program's data as they were, for each execution.
static struct {
    char *lo, *hi, *copy;
} *data;

static void save_data(void)
{
    extern char __data_start[], _end[];
    data = calloc(1, sizeof *data);
    data->lo = __data_start;
    data->hi = _end;
    data->copy = malloc((size_t)(data->hi - data->lo));
    memcpy(data->copy, data->lo, (size_t)(data->hi - data->lo));
}

static void restore_data(void)
{
    memcpy(data->lo, data->copy, (size_t)(data->hi - data->lo));
}

// The next execution in order; false: that was the last.
static bool advance(void)
{
    struct explorer *x = model_x;
    uint32_t n = x->pos;
    while (n > 0 && x->choice[n - 1].pick + 1u == x->choice[n - 1].n)
        n--;
    x->fixed = x->nchoices = n;
    if (n == 0)
        return false;
    x->choice[n - 1].pick++;
    return true;
}

// New variables are shared: the places for switches are others now.
static void begin_round(void)
{
    struct explorer *x = model_x;
    for (uint32_t i = 0; i < x->nlocs; i++) {
        struct loc *l = &x->loc[i];
        uint8_t all = l->readers | l->writers;
        l->shared = l->writers && (all & (all - 1));
    }
    x->grown = false;
    x->fixed = x->nchoices = 0;
}

static void search(void)
{
    struct explorer *x = model_x;
    x->mode = SEARCH;
    begin_round();
    do {
        if (x->result->searched == x->program->limit)
            return;
        restore_data();
        execute();
        x->result->searched++;
        if (x->failed)
            return;
        if (x->grown) {
            begin_round();
            continue;
        }
        if (!advance()) {
            x->result->complete = true;
            return;
        }
    } while (true);
}

static int64_t real_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

static uint64_t number(const char *name, uint64_t usual)
{
    const char *s = getenv(name);
    return s ? strtoull(s, NULL, 10) : usual;
}

static void run_random(void)
{
    struct explorer *x = model_x;
    if (x->program->random == 0)
        return; // random schedules keep no bounds
    int64_t seconds = (int64_t)number("MODEL_SECONDS", 0);
    int64_t end = real_seconds() + seconds;
    x->mode = RANDOM;
    x->seed = number("MODEL_SEED", 1) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    while (seconds ? real_seconds() < end
                   : x->result->random < x->program->random) {
        restore_data();
        execute();
        x->result->random++;
        if (x->failed)
            return;
    }
}

// Runs the schedule in `choice` once more and prints what happens.
static void replay(void)
{
    struct explorer *x = model_x;
    x->mode = REPLAY;
    x->fixed = x->nchoices;
    x->printing = true;
    fprintf(stderr, "%s:\n", x->program->name);
    restore_data();
    execute();
    for (uint32_t i = 0; i < MODEL_THREADS; i++) {
        static const char *const state[] = { "none", "ready", "asleep", "done" };
        const struct thread *t = &x->thread[i];
        if (t->state != UNUSED)
            fprintf(stderr, "  T%u is %s, until %lld\n", i, state[t->state],
                    t->timed ? (long long)t->deadline : -1);
    }
    fprintf(stderr, "  %s, at %lld ns\n",
            x->failed ? x->result->why : "nothing is wrong",
            (long long)x->now);
}

static void write_schedule(void)
{
    struct explorer *x = model_x;
    uint32_t n = x->mode == SEARCH ? x->pos : x->nchoices, kept = 0;
    size_t at = 0;
    char *out = x->result->schedule;
    for (uint32_t i = 0; i < n; i++)
        if (x->choice[i].pick) {
            x->choice[kept++] = x->choice[i];
            if (at + 16 < sizeof x->result->schedule)
                at += (size_t)snprintf(out + at, 16, "%s%u:%u", at ? "," : "",
                                       x->choice[i].at, x->choice[i].pick);
        }
    if (!at)
        snprintf(out, 2, "0");
    x->nchoices = kept;
}

static void read_schedule(const char *s)
{
    struct explorer *x = model_x;
    unsigned at, pick;
    x->nchoices = 0;
    for (; s && sscanf(s, "%u:%u", &at, &pick) == 2;
         s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
        x->choice[x->nchoices++] = (struct choice){ at, (uint16_t)pick, 0 };
}

static void explore(void)
{
    struct explorer *x = model_x;
    const char *given = getenv("MODEL_REPLAY");
    if (given) {
        read_schedule(given);
        replay();
        return;
    }
    search();
    if (!x->failed)
        run_random();
    if (!x->failed)
        return;
    write_schedule();
    char why[sizeof x->result->why];
    memcpy(why, x->result->why, sizeof why);
    replay();
    if (!x->failed)
        snprintf(x->result->why, sizeof why, "not repeatable: %.400s", why);
    x->failed = true;
    fprintf(stderr, "  MODEL_REPLAY=%s\n", x->result->schedule);
}

struct model_result model_explore(const struct model_program *p)
{
    struct model_result r = { .why = "" };
    struct explorer *x = calloc(1, sizeof *x);
    char *stacks = aligned_alloc(64, (MODEL_THREADS + 1) * STACK);
    char *memory = aligned_alloc(4096, MEMORY);
    if (!x || !stacks || !memory)
        abort();
    x->memory = memory;
    for (uint32_t i = 0; i <= MODEL_THREADS; i++)
        x->thread[i].stack = stacks + i * STACK;
    x->program = p;
    x->result = &r;
    model_x = x;
    save_data();
    explore();
    r.failed = x->failed;
    restore_data();
    model_x = NULL;
    free(data->copy);
    free(data);
    free(memory);
    free(stacks);
    free(x);
    return r;
}
