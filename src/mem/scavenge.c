// SPDX-License-Identifier: BSD-3-Clause
// mem/scavenge.c: free pages go back to the system.
//
// Pages are free in the heap's bitmap; what is tracked here is which of them
// hold memory, by units of 64 KiB:
//
//     untouched --take--> in use --all 8 free--> idle --release--> released
//                           ^                     |                   |
//                           +------- take --------+------- take ------+
//
// Only idle units are worth a call. They are looked for from the highest
// address down, since the allocator fills the lowest first: what is high stays
// free for longest. A half of a chunk that is idle as a whole (2 MiB, a huge
// page) goes at once; else runs of units, so that a chunk in use keeps its huge
// pages for as long as possible. A bit a chunk says where looking is in vain.
//
// The pages are taken out of the bitmap for the call, which is made without the
// heap's lock. Released pages are known to be zero, as fresh ones are: their
// class bytes say so, and who takes them need not clear them. (Not where the
// system may take its time, see tz_vm_unused_zeroes.)
//
// In the background a watcher's thread spends 1 % of a processor on it, as
// long as the heap holds a tenth more than the collector wants it to. Go's
// mgcscavenge.go is the model; it packs the state of a chunk, remembers how
// dense chunks were, and starts with fresh memory counted as released.

#include "mem/scavenge.h"

#include "base/bits.h"
#include "mem/limit.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "mem/verify.h"
#include "os/clock.h"
#include "os/vm.h"

enum {
    HALF_UNITS = 32,            // 2 MiB
    PIECE = 4 * TZ_UNIT_BYTES,  // asked for at once in the background
    TICK_NS = 1000 * 1000,      // between two looks in the background
    CREDIT_MAX_NS = 1000 * 1000,
    UNIT_NS = 5000, // at least charged for a unit: page faults follow
};

static struct {
    uint64_t retain; // bytes that may stay in memory; atomic, 0: all
    int64_t last;    // tick; by the one who ticks,
    int64_t credit;  // nanoseconds it may spend; as well
} scav;

// The bits of the units of chunk c that [page, page + n) touches.
static uint64_t units_of(uint32_t c, uint32_t page, uint32_t n)
{
    uint32_t base = c * TZ_CHUNK_PAGES, end = page + n;
    uint32_t lo = page > base ? page - base : 0;
    uint32_t hi = (uint32_t)tz_min(end - base, TZ_CHUNK_PAGES);
    uint32_t first = lo / TZ_UNIT_PAGES;
    uint32_t last = (hi + TZ_UNIT_PAGES - 1) / TZ_UNIT_PAGES;
    return tz_mask64(last - first) << first;
}

static char *unit_address(const struct tz_region *r, uint32_t c, unsigned unit)
{
    return (char *)r->base + (size_t)c * TZ_CHUNK_BYTES +
           (size_t)unit * TZ_UNIT_BYTES;
}

static void count(uint64_t *sum, int64_t units)
{
    tz_xadd_rlx(sum, (uint64_t)(units * TZ_UNIT_BYTES));
}

void tz_scav_grown(struct tz_region *r, uint32_t page, uint32_t npages)
{
    TZ_DCHECK((page | npages) % TZ_UNIT_PAGES == 0);
    uint32_t last = (page + npages - 1) / TZ_CHUNK_PAGES;
    for (uint32_t c = page / TZ_CHUNK_PAGES; c <= last; c++)
        r->scav.untouched[c] |= units_of(c, page, npages);
    count(&tz_mem.untouched, npages / TZ_UNIT_PAGES);
}

size_t tz_scav_lacking(const struct tz_region *r, uint32_t page,
                       uint32_t npages)
{
    size_t n = 0;
    uint32_t last = (page + npages - 1) / TZ_CHUNK_PAGES;
    for (uint32_t c = page / TZ_CHUNK_PAGES; c <= last; c++)
        n += tz_popcount64(units_of(c, page, npages) &
                           (r->scav.released[c] | r->scav.untouched[c]));
    return n * TZ_UNIT_BYTES;
}

// The system hears of each run of units in `mask`, which are used again.
static void used_again(struct tz_region *r, uint32_t c, uint64_t mask)
{
    while (mask) {
        unsigned first = tz_ctz64(mask);
        unsigned n = tz_ctz64(~(mask >> first));
        tz_vm_used(unit_address(r, c, first), n * (size_t)TZ_UNIT_BYTES,
                   TZ_VM_HEAP);
        mask &= ~(tz_mask64(n) << first);
    }
}

void tz_scav_taken(struct tz_region *r, uint32_t page, uint32_t npages)
{
    uint32_t last = (page + npages - 1) / TZ_CHUNK_PAGES;
    for (uint32_t c = page / TZ_CHUNK_PAGES; c <= last; c++) {
        uint64_t units = units_of(c, page, npages);
        uint64_t released = r->scav.released[c] & units;
        uint64_t untouched = r->scav.untouched[c] & units;
        if (tz_likely(!(released | untouched)))
            continue;
        r->scav.released[c] &= ~released;
        r->scav.untouched[c] &= ~untouched;
        count(&tz_mem.released, -(int64_t)tz_popcount64(released));
        count(&tz_mem.untouched, -(int64_t)tz_popcount64(untouched));
        used_again(r, c, released);
    }
}

void tz_scav_freed(struct tz_region *r, uint32_t page, uint32_t npages)
{
    uint32_t last = (page + npages - 1) / TZ_CHUNK_PAGES;
    for (uint32_t c = page / TZ_CHUNK_PAGES; c <= last; c++)
        r->scav.maybe[c / 64] |= UINT64_C(1) << (c % 64);
}

// The units of chunk c whose pages are all free.
static uint64_t free_units(const struct tz_region *r, uint32_t c)
{
    _Static_assert(TZ_UNIT_PAGES == 8, "a unit is a byte of the bitmap");
    uint64_t units = 0;
    for (unsigned i = 0; i < TZ_CHUNK_PAGES / 64; i++) {
        uint64_t w = ~r->pages.bitmap[c * (TZ_CHUNK_PAGES / 64) + i];
        w &= w >> 4; // now bit 0 of each byte: all eight are set
        w &= w >> 2;
        w &= w >> 1;
        w &= UINT64_C(0x0101010101010101);
        units |= (w * UINT64_C(0x0102040810204080) >> 56) << (8 * i);
    }
    return units;
}

// Some units in a row.
struct piece {
    struct tz_region *region;
    uint32_t chunk;
    unsigned first, n;
};

// The piece of the idle units `idle` to release, of at most `most` units,
// unless half a chunk is idle.
static void choose(uint64_t idle, size_t most, struct piece *p)
{
    unsigned top = 63 - tz_clz64(idle), half = top & ~(HALF_UNITS - 1u);
    if ((idle >> half & UINT32_MAX) == UINT32_MAX) {
        p->first = half;
        p->n = HALF_UNITS;
        return;
    }
    unsigned run = tz_clz64(~(idle << (63 - top))); // less than 64
    p->n = (unsigned)tz_min(run, tz_max(most, 1));
    p->first = top + 1 - p->n;
}

// The highest piece of r, with the lock.
static bool find_in(struct tz_region *r, size_t most, struct piece *p)
{
    for (uint32_t i = (r->pages.nchunks + 63) / 64; i-- > 0;) {
        uint64_t *maybe = &r->scav.maybe[i];
        while (*maybe) {
            unsigned bit = 63 - tz_clz64(*maybe);
            uint32_t c = i * 64 + bit;
            uint64_t idle = free_units(r, c) & ~r->scav.released[c] &
                            ~r->scav.untouched[c];
            if (idle) {
                p->region = r;
                p->chunk = c;
                choose(idle, most, p);
                return true;
            }
            *maybe &= ~(UINT64_C(1) << bit);
        }
    }
    return false;
}

static bool find_piece(size_t most, struct piece *p)
{
    for (uint32_t i = tz_mem.nregions; i-- > 0;)
        if (find_in(&tz_mem.region[i], most, p))
            return true;
    return false;
}

// Releases the highest piece; its bytes, or 0 when nothing is idle.
static size_t release_piece(size_t most)
{
    struct piece p;
    tz_lock_acquire(&tz_mem.lock);
    if (!find_piece(most, &p)) {
        tz_lock_release(&tz_mem.lock);
        return 0;
    }
    struct tz_region *r = p.region;
    uint32_t page = p.chunk * TZ_CHUNK_PAGES + p.first * TZ_UNIT_PAGES;
    uint32_t npages = p.n * TZ_UNIT_PAGES;
    size_t bytes = p.n * (size_t)TZ_UNIT_BYTES;
    tz_pagealloc_take_at(&r->pages, page, npages);
    tz_mem.releasing += npages;
    tz_lock_release(&tz_mem.lock);

    tz_vm_unused(unit_address(r, p.chunk, p.first), bytes, TZ_VM_HEAP);
    if (tz_vm_unused_zeroes())
        for (uint32_t i = page; i < page + npages; i++)
            tz_store_rel(&r->cls[i], (uint8_t)TZ_PAGE_FRESH);

    tz_lock_acquire(&tz_mem.lock);
    r->scav.released[p.chunk] |= tz_mask64(p.n) << p.first;
    count(&tz_mem.released, p.n);
    tz_pagealloc_put(&r->pages, page, npages);
    tz_mem.releasing -= npages;
    tz_lock_release(&tz_mem.lock);
    return bytes;
}

size_t tz_scavenge(size_t bytes)
{
    size_t sum = 0;
    while (sum < bytes) {
        size_t n = release_piece((bytes - sum + TZ_UNIT_BYTES - 1) /
                                 TZ_UNIT_BYTES);
        if (n == 0)
            break;
        sum += n;
    }
    return sum;
}

size_t tz_scavenge_all(void)
{
    tz_xadd(&tz_mem.cache_epoch, 1);
    tz_crit_enter(); // empty spans are on no list for a moment
    tz_central_trim();
    tz_crit_leave();
    return tz_scavenge(SIZE_MAX - TZ_UNIT_BYTES);
}

// A mark beside the program may come late, and more be in use in the end than was the
// goal: what goes back of that is faulted in again by the next cycle.
void tz_scavenge_pace(uint64_t goal, uint64_t last)
{
    double scale = last ? (double)goal / (double)last : 0;
    double needed = (double)tz_load_rlx(&tz_mem.inuse) * scale;
    uint64_t most = UINT64_MAX / 4;
    goal = tz_min(goal, most);
    if (needed > (double)goal)
        goal = needed < (double)most ? (uint64_t)needed : most;
    tz_store_rlx(&scav.retain, goal + goal / 10 + 1);
}

// Bytes in memory above what may stay. What is in use cannot go: with the
// collector's goal below it, a tenth of it may be idle. Above the memory limit
// nothing may.
static size_t excess(void)
{
    uint64_t retain = tz_load_rlx(&scav.retain);
    uint64_t inuse = tz_load_rlx(&tz_mem.inuse);
    uint64_t gone = tz_load_rlx(&tz_mem.released) +
                    tz_load_rlx(&tz_mem.untouched);
    uint64_t kept = tz_load_rlx(&tz_mem.sys);
    kept -= tz_min(gone, kept);
    if (retain == 0)
        return 0;
    retain = tz_max(retain, inuse + inuse / 10);
    return tz_max(kept > retain ? kept - retain : 0, tz_limit_over(0));
}

size_t tz_scavenge_tick(int64_t now)
{
    int64_t since = now - scav.last;
    if (since < TICK_NS)
        return 0;
    // A long pause earns no more than one full purse.
    scav.credit += (int64_t)tz_min((uint64_t)since / 100, CREDIT_MAX_NS);
    if (scav.credit > CREDIT_MAX_NS)
        scav.credit = CREDIT_MAX_NS;
    scav.last = now;
    size_t sum = 0, more;
    while (scav.credit > 0 && (more = excess()) > 0) {
        int64_t start = tz_clock_now();
        size_t n = release_piece(tz_min(more, PIECE) / TZ_UNIT_BYTES);
        int64_t spent = tz_clock_now() - start;
        int64_t least = (int64_t)(n / TZ_UNIT_BYTES) * UNIT_NS;
        scav.credit -= spent > least ? spent : least;
        if (n == 0)
            break;
        sum += n;
    }
    return sum;
}

bool tz_scav_check(const struct tz_region *r, uint64_t *released,
                   uint64_t *untouched, struct tz_wrong *w)
{
    for (uint32_t c = 0; c < r->pages.nchunks; c++) {
        uint64_t gone = r->scav.released[c], fresh = r->scav.untouched[c];
        uint64_t free = free_units(r, c);
        bool maybe = r->scav.maybe[c / 64] >> (c % 64) & 1;
        if (gone & ~free)
            return tz_wrong(w, "the released units of chunk", c, gone,
                            gone & free);
        if (fresh & ~free)
            return tz_wrong(w, "the untouched units of chunk", c, fresh,
                            fresh & free);
        if (gone & fresh)
            return tz_wrong(w, "the units released and untouched of chunk", c,
                            gone & fresh, 0);
        if (!maybe && (free & ~gone & ~fresh))
            return tz_wrong(w, "whether there may be idle units in chunk", c, 0,
                            1);
        *released += tz_popcount64(gone) * (uint64_t)TZ_UNIT_BYTES;
        *untouched += tz_popcount64(fresh) * (uint64_t)TZ_UNIT_BYTES;
    }
    return true;
}
