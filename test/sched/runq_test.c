// SPDX-License-Identifier: BSD-3-Clause
// test/sched/runq_test.c: run queues, against a model and against thieves.
//
// White-box: Ps and Gs are fakes that nobody runs.

#include <pthread.h>

#include "sched/proc.h"
#include "support/goroutines.h"

enum { GS = 4000, PS = 3 };

static struct tz_g fake[GS];
static struct tz_p *proc[PS];
static int nprocs; // of them that are there

static void make_n_procs(int n)
{
    nprocs = n;
    tz_sched.nprocs = tz_sched.nallp = (uint32_t)n;
    for (uint32_t i = 0; i < tz_sched.nallp; i++) {
        proc[i] = aligned_alloc(TZ_CACHE_LINE, sizeof *proc[i]);
        memset(proc[i], 0, sizeof *proc[i]);
        proc[i]->id = i;
        proc[i]->alone = n == 1;
        tz_sched.allp[i] = proc[i];
    }
}

static void make_procs(void) { make_n_procs(PS); }

// The model: plain lists.
struct model_queue {
    struct tz_g *g[GS];
    int n;
};
static struct {
    struct model_queue ring[PS], global;
    struct tz_g *next[PS];
} model;

static void push(struct model_queue *q, struct tz_g *g)
{
    q->g[q->n++] = g;
}

static struct tz_g *shift(struct model_queue *q)
{
    if (q->n == 0)
        return NULL;
    struct tz_g *g = q->g[0];
    memmove(q->g, q->g + 1, sizeof q->g[0] * (size_t)--q->n);
    return g;
}

static void model_put(int p, struct tz_g *g, bool next)
{
    if (next) {
        struct tz_g *old = model.next[p];
        model.next[p] = g;
        if (!old)
            return;
        g = old;
    }
    if (model.ring[p].n == TZ_RUNQ_SIZE) {
        for (int i = 0; i < TZ_RUNQ_SIZE / 2; i++)
            push(&model.global, shift(&model.ring[p]));
        push(&model.global, g);
        return;
    }
    push(&model.ring[p], g);
}

static struct tz_g *model_get(int p)
{
    struct tz_g *g = model.next[p];
    model.next[p] = NULL;
    return g ? g : shift(&model.ring[p]);
}

static struct tz_g *model_global(int p, int max)
{
    int n = model.global.n;
    if (n == 0)
        return NULL;
    int share = n / nprocs + 1 < n ? n / nprocs + 1 : n;
    int limit = max ? max : TZ_RUNQ_SIZE / 2;
    share = share < limit ? share : limit;
    struct tz_g *g = shift(&model.global);
    while (--share > 0 && model.ring[p].n < TZ_RUNQ_SIZE)
        push(&model.ring[p], shift(&model.global));
    return g;
}

static struct tz_g *model_steal(int p, int victim, bool next)
{
    int n = model.ring[victim].n - model.ring[victim].n / 2;
    if (model.ring[p].n > TZ_RUNQ_SIZE / 2)
        return NULL; // no room for half of another queue
    if (n == 0) {
        struct tz_g *g = next ? model.next[victim] : NULL;
        model.next[victim] = g ? NULL : model.next[victim];
        return g;
    }
    while (--n > 0)
        push(&model.ring[p], shift(&model.ring[victim]));
    return shift(&model.ring[victim]);
}

static struct tz_g *global_get(struct tz_p *p, uint32_t max)
{
    tz_lock_acquire(&tz_sched.lock);
    struct tz_g *g = tz_globrunq_get(p, max);
    tz_lock_release(&tz_sched.lock);
    return g;
}

static struct tz_g *idle[GS];
static int nidle;

// One random operation on both; the G that came out is free again.
static void step(uint64_t *seed, uint32_t puts)
{
    int p = (int)rnd(seed, (uint32_t)nprocs);
    struct tz_g *real, *want;
    bool next = rnd(seed, 2);
    if (rnd(seed, 100) < puts && nidle) {
        struct tz_g *g = idle[--nidle];
        tz_runq_put(proc[p], g, next);
        model_put(p, g, next);
        return;
    }
    uint32_t what = rnd(seed, nprocs == 1 ? 6 : 8);
    if (what < 5) {
        real = tz_runq_get(proc[p]);
        want = model_get(p);
    } else if (what < 6) {
        int max = rnd(seed, 2) ? 1 : 0;
        real = global_get(proc[p], (uint32_t)max);
        want = model_global(p, max);
    } else {
        int v = (p + 1 + (int)rnd(seed, PS - 1)) % PS;
        real = tz_runq_steal(proc[p], proc[v], next);
        want = model_steal(p, v, next);
    }
    need(real == want);
    if (real)
        idle[nidle++] = real;
}

static void compare_with_model(void)
{
    uint64_t seed = test_seed();
    for (nidle = 0; nidle < GS; nidle++)
        idle[nidle] = &fake[nidle];
    // Waves: mostly puts, so that rings overflow; then mostly takes.
    for (int i = 0; i < scaled(400000); i++) {
        step(&seed, i / 3000 % 2 ? 30 : 75);
        int p = i % nprocs;
        bool empty = model.ring[p].n == 0 && !model.next[p];
        need(tz_runq_empty(proc[p]) == empty);
        need_eq(tz_sched.runqsize, model.global.n);
    }
}

START_TEST(queues_agree_with_a_model)
{
    make_procs();
    compare_with_model();
}
END_TEST

// Which has no thieves, and does with plain stores.
START_TEST(the_queue_of_a_single_proc_agrees_with_a_model)
{
    make_n_procs(1);
    compare_with_model();
}
END_TEST

static void need_alone(bool alone)
{
    for (uint32_t i = 0; i < tz_sched.nallp; i++)
        need_eq(tz_sched.allp[i]->alone, alone);
}

IN_GOROUTINES(a_single_proc_is_alone, 1) { need_alone(true); }
IN_GOROUTINES(one_of_two_procs_is_not_alone, 2) { need_alone(false); }

// The P goes from thread to thread with what is in its queue, which nobody
// but the one that has it looks at in the right order.
static tuza_waitgroup group;
static int ends;

static void one_more(void *arg)
{
    (void)arg;
    ends++; // with one P, no two at once
    tuza_waitgroup_done(&group);
}

static void in_and_out(void *arg)
{
    for (int i = 0; i < scaled(200); i++) {
        tuza_waitgroup_add(&group, 2);
        need_eq(tuza_spawn(one_more, NULL), 0);
        need_eq(tuza_spawn(one_more, NULL), 0);
        tuza_blocking_enter();
        tuza_syscall_exit();
        if (i % 8 == (int)(uintptr_t)arg)
            tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_single_proc_that_changes_threads_loses_nobody, 1)
{
    tuza_waitgroup_add(&group, 8);
    for (uintptr_t i = 0; i < 8; i++)
        tuza_spawn(in_and_out, (void *)i);
    tuza_waitgroup_wait(&group);
    need_eq(ends, 8 * 2 * scaled(200));
}

// A whole ring and more: half of it moves to the global queue, in order.
START_TEST(a_full_ring_sends_its_older_half_to_the_global_queue)
{
    make_procs();
    for (int i = 0; i < TZ_RUNQ_SIZE; i++)
        tz_runq_put(proc[0], &fake[i], false);
    need_eq(tz_sched.runqsize, 0);
    tz_runq_put(proc[0], &fake[TZ_RUNQ_SIZE], false);
    need_eq(tz_sched.runqsize, TZ_RUNQ_SIZE / 2 + 1);
    for (int i = 0; i < TZ_RUNQ_SIZE / 2; i++)
        need(global_get(proc[1], 1) == &fake[i]);
    need(global_get(proc[1], 1) == &fake[TZ_RUNQ_SIZE]);
    need(global_get(proc[1], 1) == NULL);
    for (int i = TZ_RUNQ_SIZE / 2; i < TZ_RUNQ_SIZE; i++)
        need(tz_runq_get(proc[0]) == &fake[i]);
    need(tz_runq_empty(proc[0]));
}
END_TEST

START_TEST(what_comes_next_leaves_only_when_nothing_else_can_be_stolen)
{
    make_procs();
    tz_runq_put(proc[0], &fake[0], false);
    tz_runq_put(proc[0], &fake[1], true);
    need(tz_runq_steal(proc[1], proc[0], true) == &fake[0]);
    need(tz_runq_steal(proc[1], proc[0], false) == NULL);
    need(tz_runq_steal(proc[1], proc[0], true) == &fake[1]);
    need(tz_runq_steal(proc[1], proc[0], true) == NULL);
    need(tz_runq_empty(proc[0]) && tz_runq_empty(proc[1]));
}
END_TEST

// The thief's ring is left whole when there is no room in it.
START_TEST(a_thief_with_a_full_ring_takes_nothing)
{
    make_procs();
    for (int i = 0; i < TZ_RUNQ_SIZE; i++) {
        tz_runq_put(proc[0], &fake[i], false);
        tz_runq_put(proc[1], &fake[1000 + i], false);
    }
    need(tz_runq_steal(proc[1], proc[0], true) == NULL);
    for (int i = 0; i < TZ_RUNQ_SIZE; i++) {
        need(tz_runq_get(proc[0]) == &fake[i]);
        need(tz_runq_get(proc[1]) == &fake[1000 + i]);
    }
}
END_TEST

// Thieves in threads. A G counts in select_done how often it was taken.
static uint32_t taken;
static int owner_is_done;

static void take(struct tz_g *g)
{
    tz_xadd(&g->select_done, 1);
    tz_xadd(&taken, 1);
}

static void *thief(void *arg)
{
    struct tz_p *p = arg;
    bool last = false, next = false;
    while (!last) {
        last = tz_load(&owner_is_done);
        next = !next;
        struct tz_g *g = tz_runq_steal(p, proc[0], next);
        for (; g; g = tz_runq_get(p))
            take(g);
    }
    return NULL;
}

// Puts all Gs in bursts, taking some back itself from ring and global queue.
static void own(uint64_t *seed)
{
    for (int i = 0; i < GS;) {
        int burst = 1 + (int)rnd(seed, rnd(seed, 10) ? 8 : 600);
        for (; burst-- > 0 && i < GS; i++)
            tz_runq_put(proc[0], &fake[i], rnd(seed, 2));
        for (int n = (int)rnd(seed, 6); n-- > 0;) {
            struct tz_g *g = rnd(seed, 4) ? tz_runq_get(proc[0])
                                          : global_get(proc[0], 0);
            if (g)
                take(g);
        }
    }
    struct tz_g *g;
    while ((g = tz_runq_get(proc[0])) || (g = global_get(proc[0], 0)))
        take(g);
}

START_TEST(thieves_neither_lose_nor_double_a_goroutine)
{
    uint64_t seed = test_seed();
    make_procs();
    for (int round = 0; round < scaled(300); round++) {
        pthread_t thread[PS - 1];
        taken = 0;
        owner_is_done = 0;
        for (int i = 0; i < GS; i++)
            fake[i].select_done = 0;
        for (int i = 1; i < PS; i++)
            ck_assert_int_eq(
                pthread_create(&thread[i - 1], NULL, thief, proc[i]), 0);
        own(&seed);
        tz_store(&owner_is_done, 1);
        for (int i = 1; i < PS; i++)
            pthread_join(thread[i - 1], NULL);
        need_eq(taken, GS);
        for (int i = 0; i < GS; i++)
            need_eq(fake[i].select_done, 1);
    }
}
END_TEST

int main(void)
{
    return api_check(
        "runq",
        (const TTest *const[]){
            queues_agree_with_a_model,
            the_queue_of_a_single_proc_agrees_with_a_model,
            a_single_proc_is_alone, one_of_two_procs_is_not_alone,
            a_single_proc_that_changes_threads_loses_nobody,
            a_full_ring_sends_its_older_half_to_the_global_queue,
            what_comes_next_leaves_only_when_nothing_else_can_be_stolen,
            a_thief_with_a_full_ring_takes_nothing,
            thieves_neither_lose_nor_double_a_goroutine, NULL });
}
