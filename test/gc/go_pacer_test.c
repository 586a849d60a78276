// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/gc/go_pacer_test.c: simulated programs before the pacer, as in Go's
// mgcpacer_test.go and mgclimit_test.go.
//
// A program allocates at a rate until the heap reaches the trigger; then some
// of it is found alive, which takes a time by what there is to scan. All memory
// is made up. What is compared with the goal is the heap at a collection's end.

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rand.h"
#include "gc/pacer.h"
#include "mem/limit.h"
#include "mem/mheap.h"
#include "os/os_check.h"
#include "tuza/mem.h"

#define KB UINT64_C(1024)
#define MB (UINT64_C(1) << 20)
#define MS INT64_C(1000000)

// 1: the program allocates while the collector marks. Only how a cycle is
// played depends on it, and what the shares of time are.
enum { MARKS_BESIDE = 0 };

// One cycle, as it went.
struct cycle {
    uint64_t trigger; // at its begin
    uint64_t peak;    // heap at its end, before the sweep
    uint64_t live;
    uint64_t used;    // of memory, the most up to its end
    int64_t run, collect; // ns
};

static struct {
    int64_t now;
    uint64_t heap;   // bytes in objects
    uint64_t beside; // mapped for anything but the heap
    double spare;    // spans hold so much more than objects
} sim;

// A collection that took no time, long after the last.
static void found_alive(uint64_t live)
{
    sim.now += 10000 * MS;
    sim.heap = live;
    tz_pacer_cycle(&(struct tz_pace){ .before = live, .live = live,
                                      .inuse = live, .beside = sim.beside,
                                      .began = sim.now, .ended = sim.now });
}

static void sim_start(int percent)
{
    sim.now = 1000 * MS;
    sim.heap = 0;
    tz_pacer_init(percent, sim.now);
    found_alive(0); // an empty bucket
}

static uint64_t trigger(void) { return tz_load_rlx(&tz_mem.trigger); }

// Of memory: what was ever mapped for the heap, less what went back when it was
// too much, the tables for it, and the rest. The most that it was.
static uint64_t map_memory(uint64_t inuse)
{
    uint64_t sys = tz_max(tz_mem.sys, inuse);
    uint64_t most = sys + sys / 20 + sim.beside;
    if (most > tz_limit_soft()) { // idle pages go first
        uint64_t other = sys / 20 + sim.beside;
        uint64_t room = tz_limit_soft() > other ? tz_limit_soft() - other : 0;
        tz_mem.released = sys - tz_min(sys, tz_max(inuse, room));
    }
    tz_mem.sys = sys;
    tz_mem.released = tz_min(tz_mem.released, sys - inuse);
    return sys - tz_mem.released + sys / 20 + sim.beside;
}

// Plays one cycle that finds `live` bytes alive. Rates in KiB a ms.
static struct cycle play(uint64_t live, uint64_t roots, double alloc,
                         double scan)
{
    struct cycle c = { .trigger = trigger() };
    double per_ns = alloc * 1024 / 1e6;
    uint64_t most = sim.heap + (UINT64_C(1) << 40);
    uint64_t at = tz_max(sim.heap, tz_min(c.trigger, most));
    c.run = (int64_t)((double)(at - sim.heap) / per_ns);
    c.live = tz_min(live, at);
    c.collect = (int64_t)((double)(c.live + roots) / (scan * 1024 / 1e6));
    c.peak = at;
    if (MARKS_BESIDE) {
        uint64_t more = (uint64_t)(per_ns * (double)c.collect);
        c.peak += more;
        c.live += more;
    }
    uint64_t inuse = (uint64_t)((double)c.peak * (1 + sim.spare));
    c.used = map_memory(inuse);
    struct tz_pace found = {
        .before = c.peak,
        .live = c.live,
        .roots = roots,
        .inuse = inuse,
        .beside = sim.beside + tz_mem.sys / 20,
        .began = sim.now + c.run,
        .ended = sim.now + c.run + c.collect,
    };
    tz_pacer_cycle(&found);
    sim.now = found.ended;
    sim.heap = c.live;
    return c;
}

static double share(const struct cycle *c)
{
    return (double)c->collect / (double)(c->collect + c->run);
}

// What Go documents of GOGC: live, and percent of live and roots on top; of small
// heaps somewhat more.
static uint64_t goal_of(uint64_t live, uint64_t roots, int percent)
{
    uint64_t grows = live + roots; // beyond 192 MiB half of it counts
    grows -= grows > 192 * MB ? (grows - 192 * MB) / 2 : 0;
    uint64_t more = tz_max(grows, 12 * MB) * (uint64_t)percent / 100;
    return tz_max(live + more, 16 * MB * (uint64_t)percent / 100);
}

static void near(const char *what, int i, double got, double want, double by)
{
    if (got < want - by || got > want + by)
        ck_abort_msg("%s, cycle %d: %f, not %f", what, i, got, want);
}

// --- programs of 50 cycles

enum { CYCLES = 50, GROWN = 12, JUMP = 25 };

struct program {
    const char *name;
    int percent;
    double alloc, wave, jump; // KiB a ms; changes by so much; more from JUMP on
    bool random;              // the wave is noise
    uint64_t globals, stacks; // bytes; stacks grow to it in 8 cycles
    double live_jump;         // factor at JUMP
    double least, most;       // heap by goal, when it has grown
};

static const struct program programs[] = {
    { .name = "steady", .percent = 100, .alloc = 264, .globals = 32 * KB },
    { .name = "big stacks", .percent = 100, .alloc = 1056,
      .globals = 32 * KB, .stacks = 128 * MB },
    { .name = "big globals", .percent = 100, .alloc = 1056,
      .globals = 128 * MB },
    { .name = "step", .percent = 100, .alloc = 264, .jump = 528 },
    { .name = "heavy step", .percent = 100, .alloc = 264, .jump = 2640 },
    { .name = "waves", .percent = 100, .alloc = 536, .wave = 104 },
    { .name = "jitter", .percent = 100, .alloc = 1056, .wave = 104,
      .random = true },
    { .name = "heavy jitter", .percent = 100, .alloc = 2640, .wave = 264,
      .random = true },
    { .name = "high percent", .percent = 1500, .alloc = 1320, .wave = 56,
      .random = true, .live_jump = 14 },
    { .name = "low percent", .percent = 10, .alloc = 264, .stacks = MB },
};

static double rate_at(const struct program *p, int i, uint64_t *seed)
{
    double by = (double)(i % 8) / 4 - 1;
    if (p->random)
        by = (double)(tz_rand_next(seed) % 2001) / 1000 - 1;
    return p->alloc + p->wave * by + (i >= JUMP ? p->jump : 0);
}

// From 256 KiB; by a factor that falls from 2 to 1 while it grows.
static double live_at(const struct program *p, int i, double live)
{
    if (i == 0)
        return 256 * 1024;
    if (i == JUMP && p->live_jump > 0)
        return live * p->live_jump;
    return i < GROWN ? live * (2 - (double)i / (GROWN - 1)) : live;
}

static uint64_t roots_at(const struct program *p, int i)
{
    return p->globals + p->stacks * (uint64_t)tz_min(i, 8) / 8;
}

// Runs it and looks at each cycle: the heap has the size that was promised when
// it ends, and what the collector takes of the time stays as it is.
static void run_program(const struct program *p, uint64_t seed)
{
    struct cycle last = { 0 };
    double live = 0;
    uint64_t goal = 0;
    sim_start(p->percent);
    for (int i = 0; i < CYCLES; i++) {
        double alloc = rate_at(p, i, &seed);
        uint64_t roots = roots_at(p, i);
        live = live_at(p, i, live);
        struct cycle c = play((uint64_t)live, roots, alloc, 8192);
        live = (double)c.live;
        if (i > GROWN)
            near(p->name, i, (double)c.peak / (double)goal, 1, 0.05);
        if (i > JUMP + 3 || (i > GROWN + 1 && i < JUMP))
            near(p->name, i, share(&c), share(&last),
                 p->wave > 0 ? 0.35 * share(&last) : 0.005 * share(&last));
        // At 100 percent the heap's size does not count, only the rates do.
        if (!MARKS_BESIDE && i > GROWN && p->percent == 100 &&
            last.live + roots > 16 * MB)
            near(p->name, i, share(&c), alloc / (alloc + 8192), 0.01);
        ck_assert_uint_ge(trigger(), c.live);
        goal = goal_of(c.live, roots, p->percent);
        last = c;
    }
}

START_TEST(simulated_programs_meet_their_goals)
{
    for (size_t i = 0; i < tz_countof(programs); i++)
        run_program(&programs[i], 0x53 + i);
}
END_TEST

// What lives is another every time: one cycle later the goal is that of now.
START_TEST(the_goal_follows_a_jagged_heap_at_once)
{
    static const uint64_t live[] = { 8,  16, 30, 60, 100, 60, 30, 10,
                                     20, 40, 80, 20, 8,   16, 20, 40 };
    sim_start(100);
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < tz_countof(live); i++) {
            uint64_t roots = (i % 3) * MB;
            struct cycle c = play(live[i] * MB, roots, 500, 8192);
            ck_assert_uint_eq(c.live, live[i] * MB);
            near("jagged", (int)i, (double)trigger(),
                 (double)goal_of(c.live, roots, 100),
                 MARKS_BESIDE ? (double)c.live : 0);
            ck_assert_uint_ge(trigger(), c.live);
        }
    }
}
END_TEST

// A heap that shrinks to nothing and back leaves neither the least heap nor the least
// growth.
START_TEST(small_heaps_have_the_least_goal)
{
    sim_start(100);
    for (uint64_t live = 0; live < 8 * MB; live += 300 * KB) {
        play(live, 64 * KB, 100, 8192);
        near("small", 0, (double)trigger(), (double)goal_of(live, 0, 100),
             (MARKS_BESIDE ? 8.0 : 0) * (double)MB);
    }
}
END_TEST

// --- limits

struct limited {
    const char *name;
    int percent;
    uint64_t limit, live, roots, beside; // MB
    double spare;
    uint64_t peak; // MB; the heap's about, by the limit or by growth
};

static const struct limited limited[] = {
    { "limit alone", -1, 512, 100, 1, 1, 0, 450 },
    { "growth first", 100, 512, 100, 1, 1, 0, 200 },
    { "limit first", 400, 512, 200, 1, 1, 0, 450 },
    { "with large stacks", 100, 512, 150, 100, 110, 0, 350 },
    { "beside, and no growth", -1, 512, 100, 1, 300, 0, 185 },
    { "spans a quarter empty", -1, 512, 100, 1, 1, 0.25, 360 },
    { "little room", 100, 64, 40, 1, 2, 0.05, 52 },
    { "small", 1000, 24, 4, 1, 4, 0, 17 },
};

// The limit is never exceeded, what it leaves is made use of, and collections
// do not follow one after the other.
static void run_limited(const struct limited *l)
{
    sim_start(l->percent);
    sim.beside = l->beside * MB;
    sim.spare = l->spare;
    tz_mem.sys = tz_mem.released = 0;
    found_alive(0);
    tuza_memory_limit_set((int64_t)(l->limit * MB));
    for (int i = 0; i < CYCLES; i++) {
        uint64_t live = l->live * MB * (uint64_t)tz_min(i + 1, 10) / 10;
        struct cycle c = play(live, l->roots * MB, 500, 8192);
        if (i > 0 && c.used > l->limit * MB) // spans were not known before
            ck_abort_msg("%s, cycle %d: %llu MB of %llu", l->name, i,
                         (unsigned long long)(c.used / MB),
                         (unsigned long long)l->limit);
        if (i > GROWN) {
            near(l->name, i, (double)c.peak, (double)(l->peak * MB),
                 (double)(l->peak * MB) / 6);
            ck_assert_uint_ge(c.peak - c.live, l->limit * MB / 16);
        }
    }
    tuza_memory_limit_set(INT64_MAX);
}

START_TEST(a_limit_holds_and_is_made_use_of)
{
    for (size_t i = 0; i < tz_countof(limited); i++)
        run_limited(&limited[i]);
}
END_TEST

// What lives grows until nothing is left: nearer and nearer, never above, and
// growth by percent before that.
START_TEST(a_limit_is_approached_and_not_passed)
{
    uint64_t last = 0;
    sim_start(100);
    sim.beside = 10 * MB;
    tuza_memory_limit_set((int64_t)(256 * MB));
    for (uint64_t live = 10; live <= 190; live += 2) {
        struct cycle c = play(live * MB, MB, 500, 8192);
        ck_assert_uint_eq(c.live, live * MB);
        ck_assert_uint_le(c.used, 256 * MB);
        ck_assert_uint_ge(trigger() + 4 * KB, last); // no way back
        last = trigger();
        ck_assert_uint_le(last, goal_of(live * MB, MB, 100));
        if (live <= 90)
            near("far", (int)live, (double)last,
                 (double)goal_of(live * MB, MB, 100), 0);
    }
}
END_TEST

// --- the limiter

// What lives leaves no room below the limit. Collecting takes so many times what
// running takes at most, and a second once, whatever the rates are. Half of the
// time would be once; but when a cycle has run for a little longer than it was
// to, the bucket is not full, and the next one is not relaxed.
enum { TIMES = 2 };

static void spiral(double alloc, double noise, uint64_t *seed)
{
    int64_t run = 0, collect = 0, longest = 0;
    sim_start(-1);
    tuza_memory_limit_set((int64_t)(64 * MB));
    found_alive(100 * MB);
    for (int i = 0; i < 2000; i++) {
        double by = (double)(tz_rand_next(seed) % 2001) / 1000 - 1;
        struct cycle c = play(100 * MB, MB, alloc * (1 + noise * by), 1024);
        run += c.run;
        collect += c.collect;
        longest = c.collect > longest ? c.collect : longest;
        if (collect > TIMES * run + 1000 * MS + 2 * longest + collect / 20)
            ck_abort_msg("rate %.0f, noise %.1f, cycle %d: %lld ms of "
                         "collecting, %lld of running",
                         alloc, noise, i, (long long)(collect / MS),
                         (long long)(run / MS));
    }
    tuza_memory_limit_set(INT64_MAX);
}

START_TEST(the_spiral_of_death_is_bounded)
{
    uint64_t seed = 1;
    for (double alloc = 10; alloc < 1e6; alloc *= 7) {
        for (double noise = 0; noise < 0.6; noise += 0.1)
            spiral(alloc, noise, &seed);
    }
}
END_TEST

START_TEST(after_a_spiral_the_limit_is_obeyed_again)
{
    sim_start(-1);
    tuza_memory_limit_set((int64_t)(64 * MB));
    found_alive(100 * MB);
    uint64_t relaxed = 0;
    bool was = false;
    for (int i = 0; i < 100; i++) {
        struct cycle c = play(100 * MB, MB, 5000, 1024);
        if (was && !MARKS_BESIDE) // it was given the collector's time
            near("given", i, (double)c.run, (double)c.collect,
                 (double)c.collect / 10);
        was = tz_pacer_relaxed() > relaxed;
        relaxed = tz_pacer_relaxed();
    }
    ck_assert_uint_gt(relaxed, 10);
    ck_assert_uint_gt(trigger(), 110 * MB);
    tz_mem.sys = tz_mem.released = 0;
    for (int i = 0; i < 20; i++) {
        struct cycle c = play(10 * MB, MB, 100, 8192);
        if (i > 0)
            ck_assert_uint_le(c.used, 64 * MB);
        if (i == 1)
            relaxed = tz_pacer_relaxed();
    }
    ck_assert_uint_eq(tz_pacer_relaxed(), relaxed);
}
END_TEST

// The bucket holds a second of collecting and never less than nothing; what
// runs drains it. Each row: ms of running, of collecting, of what comes after
// the goal was set; whether the goal is then above the limit.
START_TEST(the_bucket_fills_and_drains_by_the_millisecond)
{
    static const struct {
        int64_t run, collect, after;
        bool relaxed;
    } rows[] = {
        { 1000, 999, 0, false }, // 999: a dry bucket is not below 0
        { 1, 1, 0, false },
        { 1, 2, 0, true },       // full
        { 1, 1, 0, true },
        { 5, 4, 0, false },      // 999
        { 1, 5000, 0, true },
        { 501, 500, 0, false },  // what ran over is gone
        { 1, 2, 0, true },
        { 400, 300, 0, false },  // 900
        { 1, 100, 2, false },    // 999, and 2 more: full
        { 1, 1, 0, true },
        { 100000, 999, 0, false },
        { 1, 2, 0, true },
    };
    struct tz_pace p = { .before = 200 * MB, .live = 100 * MB,
                         .inuse = 200 * MB };
    sim_start(-1);
    tuza_memory_limit_set((int64_t)(50 * MB));
    for (size_t i = 0; i < tz_countof(rows); i++) {
        uint64_t before = tz_pacer_relaxed();
        p.began = sim.now + rows[i].run * MS;
        p.ended = p.began + rows[i].collect * MS;
        sim.now = p.ended + rows[i].after * MS;
        tz_pacer_cycle(&p);
        ck_assert_msg((tz_pacer_relaxed() > before) == rows[i].relaxed,
                      "row %zu", i);
        tz_pacer_resume(sim.now);
        ck_assert_int_eq(trigger() > 104 * MB, rows[i].relaxed);
    }
}
END_TEST

// --- whatever is found

static uint64_t draw(uint64_t *seed, unsigned bits)
{
    return tz_rand_next(seed) >> (64 - 1 - tz_rand_next(seed) % bits);
}

static void set_external(uint64_t bytes)
{
    tuza_external((int64_t)bytes - (int64_t)tz_limit_external());
}

static void check_goal(struct tz_pace *p, int percent, uint64_t *seed)
{
    uint64_t total = p->live + tz_limit_external();
    uint64_t open = trigger();
    ck_assert_uint_ge(open, p->live);
    if (percent >= 0)
        ck_assert_uint_eq(open + tz_limit_external(),
                          goal_of(total, p->roots, percent));
    else
        ck_assert_uint_eq(open, UINT64_MAX);
    // A limit only lowers it, a lower one lowers it more, never below live.
    uint64_t limit = draw(seed, 46), last = open;
    for (int i = 0; i < 3; i++) {
        tuza_memory_limit_set((int64_t)limit);
        ck_assert_uint_le(trigger(), last);
        ck_assert_uint_ge(trigger(), p->live);
        last = trigger();
        limit -= limit / 3;
    }
    int old = tuza_gc_set_percent(percent < 0 ? -1 : 2 * percent + 1);
    ck_assert_int_eq(old, percent);
    ck_assert_uint_ge(trigger(), last);
    tuza_memory_limit_set(INT64_MAX);
    ck_assert_uint_ge(trigger(), open);
}

START_TEST(no_goal_is_below_what_lives_nor_above_growth)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("go_pacer: TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    sim_start(100);
    for (int i = 0; i < 20000; i++) {
        int percent = (int)draw(&seed, 11) - 1;
        tuza_gc_set_percent(percent);
        set_external(draw(&seed, 44));
        struct tz_pace p = { .live = draw(&seed, 44), .roots = draw(&seed, 40),
                             .beside = draw(&seed, 40),
                             .began = sim.now + 20 * MS,
                             .ended = sim.now + 30 * MS };
        p.before = p.live + draw(&seed, 44);
        p.inuse = p.before + draw(&seed, 44);
        tz_mem.sys = p.inuse + draw(&seed, 40);
        sim.now = p.ended;
        tz_pacer_cycle(&p);
        check_goal(&p, percent, &seed);
    }
    ck_assert_uint_eq(tz_pacer_relaxed(), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        simulated_programs_meet_their_goals,
        the_goal_follows_a_jagged_heap_at_once,
        small_heaps_have_the_least_goal,
        a_limit_holds_and_is_made_use_of,
        a_limit_is_approached_and_not_passed,
        the_spiral_of_death_is_bounded,
        after_a_spiral_the_limit_is_obeyed_again,
        the_bucket_fills_and_drains_by_the_millisecond,
        no_goal_is_below_what_lives_nor_above_growth,
        NULL,
    };
    return os_check("gc/go_pacer", tests);
}
