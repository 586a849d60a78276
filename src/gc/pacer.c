// SPDX-License-Identifier: BSD-3-Clause
// gc/pacer.c: when the next collection starts.
//
// It starts when live and external bytes together reach a goal:
//
//   growth  live + external + (live + external + roots) * percent / 100, of which
//           what is beyond 192 MiB counts half (docs/adr/014); at least
//           12 MiB * percent / 100 more, and 16 MiB * percent / 100 in all
//           (docs/adr/005)
//   limit   what the memory limit leaves to objects: the limit less all that
//           is mapped for other things, or will be for tables, less what spans
//           hold beyond objects, less what the limit is exceeded by already,
//           less some headroom
//   floor   a little above what lives: under no limit at once again
//
//   goal = min(growth, max(limit, floor))
//
// One that marks beside the program starts before that, to be done there.
//
// When what lives is near the limit, that would be one collection after the
// other. So time is kept in a bucket: collecting fills it, running drains it.
// As long as it is full, at a second, the program is let to allocate as much as
// it does in the time of a collection, limit or not; so it has at least half of
// the time. Go's mgcpacer.go and mgclimit.go are the model; there collections
// are concurrent, and the bucket ends assists instead of raising the goal.

#include "gc/pacer.h"

#include "mem/limit.h"
#include "mem/mheap.h"
#include "os/lock.h"
#include "tuza/mem.h"

enum {
    HEAP_MIN = 16 << 20,
    GROWTH_MIN = 12 << 20,
    GROWTH_FULL = 192 << 20,
    FLOOR_MIN = 1 << 20,
    HEADROOM_MIN = 1 << 20,
    HEADROOM_SHARE = 16, // spans of another size may be emptier by so much
    TABLES_SHARE = 20, // side tables and headers are 4 to 5 % of a heap
};

#define BUCKET_NS TZ_NSEC_PER_SEC

static struct {
    struct tz_lock lock;
    int percent;           // guarded by lock
    struct tz_pace last;   // of the last collection; guarded by lock
    int64_t bucket;        // ns, 0 to BUCKET_NS; guarded by lock
    uint64_t allowance;    // bytes allocated in a collection's time; by lock
    uint64_t relaxed;      // atomic
    bool tight;            // atomic; see tz_pacer_tight
} pacer = {
    .lock = TZ_LOCK_INIT(TZ_RANK_GC_WORK),
    .percent = 100,
};

static uint64_t add_clamped(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t sub_clamped(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

static uint64_t percent_of(uint64_t n, unsigned percent)
{
    uint64_t product;
    if (__builtin_mul_overflow(n, (uint64_t)percent, &product))
        return UINT64_MAX; // a hundredth of it would be 160 PiB
    return product / 100;
}

static uint64_t growth_goal(uint64_t total)
{
    if (pacer.percent < 0)
        return UINT64_MAX;
    unsigned percent = (unsigned)pacer.percent;
    uint64_t grows = add_clamped(total, pacer.last.roots);
    if (grows > GROWTH_FULL)
        grows -= (grows - GROWTH_FULL) / 2;
    uint64_t more = percent_of(tz_max(grows, GROWTH_MIN), percent);
    return tz_max(add_clamped(total, more), percent_of(HEAP_MIN, percent));
}

// What of `room` is left to objects when side tables must grow with the heap,
// from what is mapped of it now.
static uint64_t without_tables(uint64_t room)
{
    uint64_t mapped = tz_load_rlx(&tz_mem.sys);
    uint64_t more = sub_clamped(room, mapped);
    return room - more / TABLES_SHARE;
}

// Both limits: before the hard one refuses, garbage is to be looked for.
static uint64_t limit_goal(void)
{
    uint64_t limit = tz_min(tz_limit_soft(), tz_limit_max_of_heap());
    if (limit == TZ_NO_LIMIT)
        return UINT64_MAX;
    const struct tz_pace *last = &pacer.last;
    uint64_t beside = tz_max(last->beside, tz_limit_used_beside_heap());
    uint64_t overhead = add_clamped(beside,
                                    sub_clamped(last->inuse, last->before));
    uint64_t over = sub_clamped(tz_limit_used(), limit);
    uint64_t room = sub_clamped(limit, add_clamped(overhead, over));
    uint64_t goal = without_tables(room);
    return sub_clamped(goal, tz_max(goal / HEADROOM_SHARE, HEADROOM_MIN));
}

// A mark beside the program begins so much before the goal that it ends there, by
// what the last one saw; but not in the first half of what there is to allocate.
static uint64_t runway(uint64_t goal, uint64_t total)
{
    uint64_t meanwhile = pacer.last.meanwhile;
    return tz_min(meanwhile + meanwhile / 4, sub_clamped(goal, total) / 2);
}

// With the lock. Without a runway when the next collection will be a stop.
static void set_goal_for(bool beside)
{
    uint64_t total = add_clamped(pacer.last.live, tz_limit_external());
    uint64_t growth = growth_goal(total), limit = limit_goal();
    uint64_t goal = tz_max(
        limit, add_clamped(total, tz_max(total / 32, FLOOR_MIN)));
    uint64_t fair = add_clamped(total, pacer.allowance);
    if (pacer.bucket == BUCKET_NS && goal < fair && goal < growth) {
        goal = fair;
        tz_xadd_rlx(&pacer.relaxed, 1);
    }
    tz_store_rlx(&pacer.tight, goal < growth);
    goal = tz_min(goal, growth);
    tz_limit_set_goal(goal, beside ? runway(goal, total) : 0);
}

static void set_goal(void) { set_goal_for(true); }

void tz_pacer_init(int percent, int64_t now)
{
    tz_lock_acquire(&pacer.lock);
    pacer.percent = percent;
    pacer.last = (struct tz_pace){ .began = now, .ended = now };
    set_goal();
    tz_lock_release(&pacer.lock);
}

// The bytes allocated in `run` ns, by the time that a collection takes.
static uint64_t scale(uint64_t bytes, int64_t collect, int64_t run)
{
    double per_ns = (double)bytes / (double)(run > 0 ? run : 1);
    double n = per_ns * (double)collect;
    return n < 9e18 ? (uint64_t)n : UINT64_MAX;
}

// With the lock.
static void fill_bucket(int64_t ns)
{
    int64_t sum = pacer.bucket + ns;
    pacer.bucket = sum < 0 ? 0 : sum > BUCKET_NS ? BUCKET_NS : sum;
}

void tz_pacer_cycle(const struct tz_pace *found)
{
    tz_lock_acquire(&pacer.lock);
    int64_t run = found->began - pacer.last.ended;
    int64_t collect = found->ended - found->began;
    fill_bucket(-run);
    fill_bucket(collect);
    uint64_t allocated = sub_clamped(found->before, pacer.last.live);
    pacer.allowance = scale(allocated, collect, run);
    pacer.last = *found;
    set_goal();
    tz_lock_release(&pacer.lock);
}

// A collection's last part comes after its goal was set.
void tz_pacer_resume(int64_t now)
{
    tz_lock_acquire(&pacer.lock);
    fill_bucket(now - pacer.last.ended);
    pacer.last.ended = now;
    tz_lock_release(&pacer.lock);
}

void tz_pacer_update(void)
{
    tz_lock_acquire(&pacer.lock);
    set_goal();
    tz_lock_release(&pacer.lock);
}

bool tz_pacer_put_off(void)
{
    tz_lock_acquire(&pacer.lock);
    set_goal_for(false);
    tz_lock_release(&pacer.lock);
    return tz_load_rlx(&tz_mem.live) < tz_load_rlx(&tz_mem.trigger);
}

bool tz_pacer_tight(void) { return tz_load_rlx(&pacer.tight); }

uint64_t tz_pacer_relaxed(void) { return tz_load_rlx(&pacer.relaxed); }

int tuza_gc_set_percent(int percent)
{
    tz_lock_acquire(&pacer.lock);
    int old = pacer.percent;
    pacer.percent = percent < 0 ? -1 : percent;
    set_goal();
    tz_lock_release(&pacer.lock);
    return old;
}

int64_t tuza_memory_limit_set(int64_t bytes)
{
    tz_lock_acquire(&pacer.lock);
    uint64_t old = tz_limit_soft();
    tz_limit_set_soft(bytes < 0 || bytes == INT64_MAX ? TZ_NO_LIMIT
                                                      : (uint64_t)bytes);
    set_goal();
    tz_lock_release(&pacer.lock);
    return old > INT64_MAX ? INT64_MAX : (int64_t)old;
}
