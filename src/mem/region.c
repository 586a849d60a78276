// SPDX-License-Identifier: BSD-3-Clause
// mem/region.c: addresses for the heap.
//
// A region is a stretch of addresses of which a prefix is mapped and grows.
// There are two kinds.
//
// A held region is reserved as a whole, a TiB if the system agrees, halving
// down to 4 GiB. It begins and ends with a guard that is ours and never mapped,
// so that nobody else's memory touches it.
//
// Where address space is short (RLIMIT_AS leaves less than 8 GiB, or even 4 GiB
// are refused) a reservation would eat what the program needs. There a region
// is a mere claim: addresses that looked free, mapped step by step if they are
// still free then. Where they are not, the region is closed at its size and the
// next begins elsewhere. No address is ever required: random ones are tried
// first, then some near to what the system gives when it is not asked for any.
// Only if no claim can be made either are smaller regions held.
//
// Side tables lie in a range of their own, of the same kind, far from objects:
//
//     | guard | class bytes | guard | spans | guard | bits | guard | ...
//
// Each is mapped from its start as far as the heap has grown. What is behind it
// is unmapped, a guard at least, so a linear overflow out of the heap or out of
// a table meets no other table.
//
// The first address is random, 24 bits of it: who can guess where an object
// lies is halfway in. Go asks for 0xc000000000 and reserves arenas of 64 MiB.

#include "mem/region.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/san.h"
#include "mem/limit.h"
#include "mem/mheap.h"
#include "os/env.h"
#include "os/vm.h"
#include "os/vm_fixed.h"

#define LARGEST ((TZ_TSAN ? 64 : 1024) * TZ_GIB)
#define LEAST_HELD (4 * TZ_GIB)
#define SMALL_ROOM (8 * TZ_GIB)
#define CLAIM (64 * TZ_GIB)

enum {
    HINTS = 4,              // random addresses tried for a claim,
    NEAR = 4,               // and places on either side of what comes
    PROBE = 64 * 1024,      // what tz_vm_probe maps
    HELD_STEP = TZ_CHUNK_PAGES, // pages by which a region grows,
    CLAIM_STEP = 64,            // and where every MiB counts
};

// Each table has `bytes` for every `pages` pages, and is mapped in such units:
// summaries are read by whole groups and tops.
static const struct {
    uint32_t bytes, pages;
} table[TZ_TABLES] = {
    [TZ_TABLE_CLS] = { TZ_CHUNK_PAGES, TZ_CHUNK_PAGES },
    [TZ_TABLE_SPANS] = { TZ_CHUNK_PAGES * sizeof(struct tz_span *),
                         TZ_CHUNK_PAGES },
    [TZ_TABLE_BITS] = { sizeof(struct tz_pagebits), 1 },
    [TZ_TABLE_FREED] = { TZ_FREED_WORDS * sizeof(uint64_t), 1 },
    [TZ_TABLE_TYPES] = { sizeof(union tz_typerec), 1 },
    [TZ_TABLE_FRESH] = { TZ_CHUNK_PAGES / 8, TZ_CHUNK_PAGES },
    [TZ_TABLE_QUEUED] = { TZ_CHUNK_PAGES, TZ_CHUNK_PAGES },
    [TZ_TABLE_SCANNED] = { sizeof(struct tz_scanned), 1 },
    [TZ_TABLE_BITMAP] = { TZ_CHUNK_PAGES / 8, TZ_CHUNK_PAGES },
    [TZ_TABLE_RELEASED] = { sizeof(uint64_t), TZ_CHUNK_PAGES },
    [TZ_TABLE_UNTOUCHED] = { sizeof(uint64_t), TZ_CHUNK_PAGES },
    [TZ_TABLE_MAYBE] = { sizeof(uint64_t), TZ_GROUP_PAGES },
    [TZ_TABLE_CHUNKS] = { 64 * sizeof(struct tz_runs), TZ_GROUP_PAGES },
    [TZ_TABLE_GROUPS] = { 64 * sizeof(struct tz_runs), TZ_TOP_PAGES },
    [TZ_TABLE_TOPS] = { sizeof(struct tz_runs), TZ_TOP_PAGES },
};

// --- side tables

// Bytes that table t needs for npages pages, in whole OS pages.
static size_t table_bytes(int t, uint32_t npages)
{
    size_t units = ((size_t)npages + table[t].pages - 1) / table[t].pages;
    return tz_align_up(units * table[t].bytes, tz_vm_page());
}

// Where table t lies in the range of tables of a region with npages pages.
static size_t table_at(int t, uint32_t npages)
{
    size_t off = TZ_GUARD_BYTES;
    for (int i = 0; i < t; i++)
        off += table_bytes(i, npages) + TZ_GUARD_BYTES;
    return tz_align_up(off, tz_vm_page());
}

static size_t tables_bytes(size_t size)
{
    return table_at(TZ_TABLES, (uint32_t)(size >> TZ_PAGE_SHIFT));
}

void *tz_region_table(const struct tz_region *r, enum tz_table t, size_t *size)
{
    *size = table_bytes(t, tz_region_npages(r));
    return r->tables + table_at(t, tz_region_npages(r));
}

static void lay_out(struct tz_region *r)
{
    void *at[TZ_TABLES];
    size_t size;
    for (int t = 0; t < TZ_TABLES; t++)
        at[t] = tz_region_table(r, (enum tz_table)t, &size);
    r->cls = at[TZ_TABLE_CLS];
    r->spans = at[TZ_TABLE_SPANS];
    r->bits = at[TZ_TABLE_BITS];
    r->freed = at[TZ_TABLE_FREED];
    r->types = at[TZ_TABLE_TYPES];
    r->fresh = at[TZ_TABLE_FRESH];
    r->queued = at[TZ_TABLE_QUEUED];
    r->scanned = at[TZ_TABLE_SCANNED];
    r->pages.bitmap = at[TZ_TABLE_BITMAP];
    r->pages.chunk = at[TZ_TABLE_CHUNKS];
    r->pages.group = at[TZ_TABLE_GROUPS];
    r->pages.top = at[TZ_TABLE_TOPS];
    r->scav.released = at[TZ_TABLE_RELEASED];
    r->scav.untouched = at[TZ_TABLE_UNTOUCHED];
    r->scav.maybe = at[TZ_TABLE_MAYBE];
}

static int map(const struct tz_region *r, void *p, size_t n, enum tz_vm_use use)
{
    return r->held ? tz_vm_map(p, n, use) : tz_vm_map_at(p, n, use);
}

// Maps all tables for r's first npages pages.
static int tables_grow(struct tz_region *r, uint32_t npages)
{
    for (int t = 0; t < TZ_TABLES; t++) {
        size_t size, want = table_bytes(t, npages), have = r->mapped[t];
        if (want <= have)
            continue;
        char *start = tz_region_table(r, (enum tz_table)t, &size);
        TZ_CHECK(want <= size);
        int err = map(r, start + have, want - have, TZ_VM_META);
        if (err)
            return err;
        r->mapped[t] = want;
    }
    return 0;
}

size_t tz_region_meta(const struct tz_region *r)
{
    size_t sum = 0;
    for (int t = 0; t < TZ_TABLES; t++)
        sum += r->mapped[t];
    return sum;
}

// --- addresses

// A random address for a chunk between 1 TiB, above which no small number looks
// like a pointer, and 83 TiB, where programs begin. NULL where addresses are
// not for us to choose.
static char *random_chunk(void)
{
    uintptr_t lo = (uintptr_t)1 << 40, n = (uintptr_t)82 << 18;
    uint64_t r[2];
    if (TZ_SAN_OWNS_ADDRESSES || sizeof(void *) < 8)
        return NULL;
    if (tz_env.sim) // each run alike; a second region takes what comes
        return (char *)(lo * 16);
    tz_env_random(r);
    return (char *)(lo + r[0] % n * TZ_CHUNK_BYTES);
}

// Reserves a region of exactly `size` bytes, and its tables.
static int hold(struct tz_region *r, size_t size)
{
    // Room to align; what hangs over is guard.
    size_t heap = size + TZ_CHUNK_BYTES + 2 * TZ_GUARD_BYTES;
    char *hint = random_chunk();
    hint = hint ? hint - TZ_GUARD_BYTES : NULL;
    char *p = tz_vm_reserve(hint, heap, 0, TZ_VM_HEAP);
    if (!p)
        return -ENOMEM;
    char *tables = tz_vm_reserve(NULL, tables_bytes(size), 0, TZ_VM_META);
    if (!tables) {
        tz_vm_free(p, heap, TZ_VM_HEAP, TZ_VM_RESERVED);
        return -ENOMEM;
    }
    *r = (struct tz_region){
        .base = tz_align_up((uintptr_t)p + TZ_GUARD_BYTES, TZ_CHUNK_BYTES),
        .size = size, .held = true, .heap = p, .heap_size = heap,
        .tables = tables, .tables_size = tables_bytes(size),
    };
    lay_out(r);
    return 0;
}

static int hold_between(struct tz_region *r, size_t most, size_t least)
{
    for (size_t size = most;; size /= 2) {
        size = tz_max(tz_align_up(size, TZ_CHUNK_BYTES), least);
        if (hold(r, size) == 0)
            return 0;
        if (size == least)
            return -ENOMEM;
    }
}

static bool overlaps(uintptr_t lo, size_t n)
{
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        const struct tz_region *r = &tz_mem.region[i];
        size_t all = r->size + r->tables_size;
        if (!r->held && lo < r->base + all && r->base < lo + n)
            return true;
    }
    return false;
}

// Claims a region of `size` bytes at p, with its tables behind it, if both ends
// of the whole could be mapped now.
static bool claim_at(struct tz_region *r, uintptr_t p, size_t size)
{
    size_t all = size + tables_bytes(size);
    if (p == 0 || p > UINTPTR_MAX - all || overlaps(p, all))
        return false;
    if (tz_vm_probe((void *)p, all) != 0 ||
        tz_vm_probe((void *)(p + all - PROBE), PROBE) != 0)
        return false;
    *r = (struct tz_region){
        .base = p, .size = size, .tables = (char *)p + size,
        .tables_size = tables_bytes(size),
    };
    lay_out(r);
    return true;
}

// Claims below or above p, which the system has just given. It goes on giving
// from there, down or up, so the gap is what may come in between.
static bool claim_near(struct tz_region *r, uintptr_t p, size_t size)
{
    size_t all = tz_align_up(size + tables_bytes(size), TZ_CHUNK_BYTES);
    size_t gap = tz_min(size, SMALL_ROOM);
    p = tz_align_down(p, TZ_CHUNK_BYTES);
    for (size_t i = 0, away = gap; i < NEAR; i++, away += all)
        if ((p > all + away && claim_at(r, p - all - away, size)) ||
            (p < UINTPTR_MAX - away && claim_at(r, p + away, size)))
            return true;
    return false;
}

static int claim(struct tz_region *r, size_t min)
{
    size_t size = tz_max(CLAIM, min);
    for (int i = 0; i < HINTS; i++)
        if (claim_at(r, (uintptr_t)random_chunk(), size))
            return 0;
    void *p = tz_vm_alloc(PROBE, TZ_VM_META);
    if (!p)
        return -ENOMEM;
    tz_vm_free(p, PROBE, TZ_VM_META, TZ_VM_READY);
    for (;; size /= 4) {
        size = tz_max(tz_align_up(size, TZ_CHUNK_BYTES), min);
        if (claim_near(r, (uintptr_t)p, size))
            return 0;
        if (size == min)
            return -ENOMEM;
    }
}

int tz_region_make(struct tz_region *r, size_t min, bool first)
{
    size_t most = first ? LARGEST : CLAIM;
    size_t least = tz_max(LEAST_HELD, min);
    if (min > LARGEST)
        return -ENOMEM;
    if (tz_vm_room() >= SMALL_ROOM &&
        hold_between(r, tz_max(most, least), least) == 0)
        return 0;
    return claim(r, min) == 0 ? 0 : hold_between(r, tz_max(TZ_GIB, min), min);
}

// --- growth

static int grow_by(struct tz_region *r, uint32_t npages)
{
    uint32_t have = r->pages.npages;
    size_t n = (size_t)npages << TZ_PAGE_SHIFT;
    char *at = (char *)r->base + ((size_t)have << TZ_PAGE_SHIFT);
    int err = tables_grow(r, have + npages);
    return err ? err : map(r, at, n, TZ_VM_HEAP);
}

static uint32_t step_of(const struct tz_region *r)
{
    return r->held ? HELD_STEP : CLAIM_STEP;
}

// Pages by which r must grow so that its last npages are free.
static uint32_t needed(const struct tz_region *r, uint32_t npages)
{
    uint32_t need = npages - tz_pagealloc_tail(&r->pages, npages);
    return (uint32_t)tz_align_up(need, step_of(r));
}

static size_t tables_growth(const struct tz_region *r, uint32_t more)
{
    size_t sum = 0;
    for (int t = 0; t < TZ_TABLES; t++) {
        size_t want = table_bytes(t, r->pages.npages + more);
        sum += want - tz_min(want, r->mapped[t]);
    }
    return sum;
}

size_t tz_region_growth(const struct tz_region *r, uint32_t npages)
{
    return tables_growth(r, needed(r, npages));
}

int tz_region_grow(struct tz_region *r, uint32_t npages, size_t *mapped)
{
    uint32_t step = step_of(r);
    uint32_t have = r->pages.npages, room = tz_region_npages(r) - have;
    uint32_t need = needed(r, npages);
    if (need > room || r->closed)
        return -ENOSPC;
    uint32_t extra = (uint32_t)tz_min(have / 8, 16 * TZ_CHUNK_PAGES);
    extra = (uint32_t)tz_min(tz_align_down(extra, step), room);
    uint32_t n = (uint32_t)tz_max(need, extra);
    if (!tz_limit_allows(tables_growth(r, n)))
        n = need;
    int err = grow_by(r, n);
    if (err && n > need)
        err = grow_by(r, n = need);
    if (err) {
        r->closed = err == -EEXIST;
        return r->closed ? -ENOSPC : -ENOMEM;
    }
    *mapped = (size_t)n << TZ_PAGE_SHIFT;
    tz_pagealloc_grow(&r->pages, n);
    // Who asks about an address in there has it from an allocation.
    tz_store_rlx(&r->limit, (size_t)r->pages.nchunks * TZ_CHUNK_BYTES);
    tz_scav_grown(r, have, n);
    return 0;
}

void tz_region_fresh(struct tz_region *r, size_t page, size_t npages, bool set)
{
    for (size_t end = page + npages; page < end;) {
        unsigned k = (unsigned)tz_min(end - page, 64 - page % 64);
        uint64_t mask = tz_mask64(k) << (page % 64);
        if (set)
            tz_xor_bits(&r->fresh[page / 64], mask);
        else
            tz_xand_bits(&r->fresh[page / 64], ~mask);
        page += k;
    }
}
