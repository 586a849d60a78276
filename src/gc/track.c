// SPDX-License-Identifier: BSD-3-Clause
// gc/track.c: what the program has written since it was scanned.
//
// Marking beside the program is right at the end if each marked object was scanned
// after it was written last. So before an object is scanned its page is armed, and
// the kernel notes what is written from then on (os/dirty.h):
//
//   begin   each page of a span that is to be scanned is armed. Only then is what
//           is allocated marked (tz_mem.marking), for nobody scans it before it is
//           written
//           ... marking: an object is scanned some time after that ...
//   round   pages written since are found and armed again in one step; then the
//           marked objects on them are scanned again
//   end     the same with the world stopped, when nothing is written any more
//   forget  what is armed is let go again, some nanoseconds a page: else the first
//           write to each would cost a fault long after (a heap of 576 MB, written
//           once after a mark: 106 ms, now 3)
//
// A round makes the next one shorter, as long as less is written in the time of a
// round than was before. Where half of the heap was written during the mark, or a
// round is no shorter, others would only cost the program its faults once more: the
// rest is left to the end. Spans without pointers are never armed. A span that is
// made meanwhile is not either: that would be a fault a page for who fills it. Its
// first page's `fresh` bit is set (mem/mheap.c), what is allocated in it is marked,
// and it is armed and scanned by the round that finds it with its central. What was
// never armed counts as written at the end.
//
// The idea, with mprotect: Boehm, Demers, Shenker, Mostly parallel garbage
// collection (1991). Go has a barrier in the compiler instead.

#include "gc/track.h"

#include "base/san.h"
#include "base/print.h"
#include "gc/gcobj.h"
#include "gc/mark.h"
#include "mem/mheap.h"
#include "mem/types.h"
#include "os/dirty.h"

// Pages are told together when less than this lies between them. A call of the kernel
// is worth that many first writes to pages that need not be armed, as it interrupts
// the other processors; with the world stopped they cost nothing.
enum { NEAR = 8, NEAR_STOPPED = TZ_CHUNK_PAGES, PIECE = 8 * TZ_CHUNK_PAGES };

static struct {
    uint32_t watched[TZ_MAX_REGIONS]; // pages of each, from its start
    uint64_t armed; // bytes, at the beginning
    uint32_t next_piece; // of the last look; atomic
    uint32_t sampled[TZ_TRACK_SAMPLE], nsampled; // pages of the first region
} track;

static uintptr_t address(const struct tz_region *r, size_t page)
{
    return r->base + (page << TZ_PAGE_SHIFT);
}

static bool is_fresh(const struct tz_region *r, size_t page)
{
    return tz_load_rlx(&r->fresh[page / 64]) >> (page % 64) & 1;
}

// Whether the page holds objects that are scanned.
static bool to_scan(const struct tz_region *r, size_t page)
{
    unsigned cls = tz_load_acq(&r->cls[page]);
    return tz_page_has_objects(cls) && tz_sizeclass[cls - 1].kind != TZ_NOSCAN;
}

TZ_NO_SANITIZE static size_t pages_of(const struct tz_region *r)
{
    return tz_load_acq(&r->pages.npages); // only grows
}

// Calls fn for the runs of pages to scan in [page, n), until it fails: armed ones, or
// all of them; then runs that are near each other are one.
static bool each_run(const struct tz_region *r, size_t page, size_t n, bool armed,
                     bool (*fn)(void *arg, uintptr_t lo, uintptr_t hi), void *arg)
{
    size_t first = 0, end = 0, near = armed ? NEAR : NEAR_STOPPED;
    for (; page < n; page++) {
        bool fresh = armed && is_fresh(r, page);
        if (!fresh && !to_scan(r, page))
            continue;
        if (end && (fresh || page - end >= near)) {
            if (!fn(arg, address(r, first), address(r, end)))
                return false;
            end = 0;
        }
        if (fresh)
            continue;
        if (!end)
            first = page;
        end = page + 1;
    }
    return !end || fn(arg, address(r, first), address(r, end));
}

static bool each_armed(const struct tz_region *r,
                       bool (*fn)(void *arg, uintptr_t lo, uintptr_t hi), void *arg)
{
    return each_run(r, 0, track.watched[r->id], true, fn, arg);
}

bool tz_track_open(const char **why)
{
    static char text[96];
    const char *what;
    int err = tz_dirty_open(&what);
    if (!err)
        return true;
    tz_format(text, sizeof text, "%s: error %d", what, -err);
    *why = text;
    return false;
}

// All that r has by now.
static bool watch(struct tz_region *r)
{
    uint32_t *have = &track.watched[r->id];
    uint32_t n = (uint32_t)pages_of(r);
    if (n > *have && tz_dirty_watch(address(r, *have), address(r, n)) != 0)
        return false;
    *have = n;
    return true;
}

static bool arm(void *arg, uintptr_t lo, uintptr_t hi)
{
    (void)arg;
    track.armed += hi - lo;
    return tz_dirty_arm(lo, hi) == 0;
}

bool tz_track_begin(void)
{
    track.armed = 0;
    track.next_piece = 0;
    for (uint32_t i = 0; i < tz_load_acq(&tz_mem.nregions); i++) {
        struct tz_region *r = &tz_mem.region[i];
        if (!watch(r) || !each_armed(r, arm, NULL))
            return false;
    }
    return true;
}

// --- a sample

// Every so many pages the next one to scan. Of the first region: nearly always all.
bool tz_track_sample(void)
{
    struct tz_region *r = &tz_mem.region[0];
    track.nsampled = 0;
    if (!watch(r))
        return false;
    size_t n = track.watched[0], step = n / TZ_TRACK_SAMPLE + 1;
    for (size_t from = 0; from < n; from += step) {
        size_t page = from, end = tz_min(from + step, n);
        while (page < end && !to_scan(r, page))
            page++;
        if (page == end)
            continue;
        if (tz_dirty_arm(address(r, page), address(r, page + 1)) != 0)
            return false;
        track.sampled[track.nsampled++] = (uint32_t)page;
    }
    return true;
}

static void note(void *arg, uintptr_t lo, uintptr_t hi)
{
    (void)lo, (void)hi;
    *(bool *)arg = true;
}

uint32_t tz_track_sampled(uint32_t *all)
{
    const struct tz_region *r = &tz_mem.region[0];
    uint32_t n = 0;
    for (uint32_t i = 0; i < track.nsampled; i++) {
        size_t page = track.sampled[i];
        bool is = false;
        (void)tz_dirty_look(address(r, page), address(r, page + 1), false, note, &is);
        n += is;
    }
    *all = track.nsampled;
    return n;
}

// --- spans that are new

// Spans next to each other.
struct run {
    uintptr_t lo, hi;
};

// The part of an object that [lo, hi) may have changed.
TZ_NO_SANITIZE static void scan_part(struct tz_gcwork *w, const struct tz_gcobj *f,
                                     uintptr_t lo, uintptr_t hi)
{
    lo = tz_max(lo, f->base);
    if (f->kind == TZ_TYPED && f->size > TZ_BITS_MAX) {
        const tuza_type *t = f->types[f->index / 16].type[f->index % 16];
        if (t) // an element may begin before lo
            lo = t->trace || lo - f->base < t->size ? f->base : lo - t->size;
    }
    tz_mark_part(w, f, lo, tz_min(hi, f->base + f->size));
}

TZ_NO_SANITIZE static void scan_span(struct tz_gcwork *w, const struct tz_span *s,
                                     uintptr_t lo, uintptr_t hi)
{
    lo = tz_max(lo, s->base);
    for (uint32_t i = tz_sizeclass_index(s->spanclass, lo - s->base);
         i < s->nelems && s->base + i * s->elem_size < hi; i++) {
        if (!(tz_load_rlx(&s->bits->word[i / 64].mark) >> (i % 64) & 1))
            continue;
        struct tz_gcobj f = tz_gcobj_of_span(s, i);
        tz_gcobj_ask_for(f.base + TZ_AHEAD, f.size);
        scan_part(w, &f, lo, hi);
    }
}

// The marked objects of a range that was written.
TZ_NO_SANITIZE static void scan_range(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi)
{
    while (lo < hi) {
        size_t page;
        struct tz_region *r = tz_gcobj_region(lo, &page);
        uintptr_t end = tz_min(hi, r->base + ((page + 1) << TZ_PAGE_SHIFT));
        if (to_scan(r, page)) {
            const struct tz_span *s = tz_load_rlx(&r->spans[page]);
            end = tz_min(hi, s->base + ((size_t)s->npages << TZ_PAGE_SHIFT));
            scan_span(w, s, lo, end);
        }
        lo = end;
    }
}

static bool arm_and_scan(struct tz_gcwork *w, const struct run *run)
{
    if (run->lo == run->hi)
        return true;
    if (tz_dirty_arm(run->lo, run->hi) != 0)
        return false;
    scan_range(w, run->lo, run->hi);
    return true;
}

// Those that nobody allocates from. Bytes of them; UINT64_MAX when refused.
TZ_NO_SANITIZE static uint64_t new_spans(struct tz_gcwork *w, struct tz_region *r)
{
    struct run run = { 0, 0 };
    uint64_t sum = 0;
    for (size_t page = 0, n = track.watched[r->id]; page < n; page++) {
        if (page % 64 == 0 && tz_load_rlx(&r->fresh[page / 64]) == 0) {
            page += 63;
            continue;
        }
        if (!is_fresh(r, page) || !to_scan(r, page))
            continue;
        const struct tz_span *s = tz_load_rlx(&r->spans[page]);
        if (tz_load_rlx(&s->state) == TZ_SPAN_OWNED || page + s->npages > n ||
            s->base != address(r, page)) // it was just put back
            continue;
        size_t size = (size_t)s->npages << TZ_PAGE_SHIFT;
        tz_region_fresh(r, page, s->npages, false);
        sum += size;
        if (s->base != run.hi) {
            if (!arm_and_scan(w, &run))
                return UINT64_MAX;
            run.lo = s->base;
        }
        run.hi = s->base + size;
        page += s->npages - 1;
    }
    return arm_and_scan(w, &run) ? sum : UINT64_MAX;
}

// --- what was written

struct look {
    struct tz_gcwork *w; // NULL: to be counted only
    uint64_t bytes;
    bool rearm;
};

static void written(void *arg, uintptr_t lo, uintptr_t hi)
{
    struct look *l = arg;
    l->bytes += hi - lo;
    if (l->w)
        scan_range(l->w, lo, hi);
}

static bool look(void *arg, uintptr_t lo, uintptr_t hi)
{
    const struct look *l = arg;
    return tz_dirty_look(lo, hi, l->rearm, written, arg) == 0;
}

uint32_t tz_track_written(void)
{
    struct look l = { .rearm = false };
    for (uint32_t i = 0; i < tz_load_acq(&tz_mem.nregions); i++)
        if (!each_armed(&tz_mem.region[i], look, &l))
            return 0; // the round will be refused, too
    return track.armed ? (uint32_t)(8 * l.bytes / track.armed) : 0;
}

uint64_t tz_track_round(struct tz_gcwork *w)
{
    struct look l = { .w = w, .rearm = true };
    for (uint32_t i = 0; i < tz_load_acq(&tz_mem.nregions); i++) {
        struct tz_region *r = &tz_mem.region[i];
        if (!watch(r))
            return UINT64_MAX;
        uint64_t fresh = new_spans(w, r);
        if (fresh == UINT64_MAX || !each_armed(r, look, &l))
            return UINT64_MAX;
        l.bytes += fresh;
    }
    return l.bytes;
}

// A piece of a region.
static bool end_of(struct tz_region *r, size_t page, size_t n, struct look *l)
{
    size_t end = tz_min(page + PIECE, n);
    tz_region_fresh(r, page, end - page, false);
    return TZ_DEFECT(TZ_D101) || each_run(r, page, end, false, look, l);
}

bool tz_track_end(struct tz_gcwork *w)
{
    struct look l = { .w = w, .rearm = false };
    uint32_t mine = tz_xadd_rlx(&track.next_piece, 1), first = 0;
    bool ok = true;
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        struct tz_region *r = &tz_mem.region[i];
        size_t n = pages_of(r);
        uint32_t pieces = (uint32_t)((n + PIECE - 1) / PIECE);
        for (; mine - first < pieces; mine = tz_xadd_rlx(&track.next_piece, 1))
            ok = end_of(r, (size_t)(mine - first) * PIECE, n, &l) && ok;
        first += pieces;
    }
    return ok;
}

// In pieces, for the kernel lets nobody map or unmap meanwhile.
void tz_track_forget(void)
{
    enum { AT_ONCE = 16 * TZ_CHUNK_PAGES };
    for (uint32_t i = 0; i < tz_load_acq(&tz_mem.nregions); i++) {
        const struct tz_region *r = &tz_mem.region[i];
        size_t n = track.watched[i];
        for (size_t page = 0, end; page < n; page = end) {
            end = tz_min(page + AT_ONCE, n);
            if (tz_dirty_disarm(address(r, page), address(r, end)) != 0)
                return; // the writes are noted for nobody
        }
    }
}
