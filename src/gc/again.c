// SPDX-License-Identifier: BSD-3-Clause
// gc/again.c: going over all marked objects once more.
//
// Where there was no memory to remember all words (gc/work.c), the marked objects are
// scanned again, in the order of addresses, until that finds nothing: what is found
// is marked at once, so that forgetting that it is to be scanned costs another round
// and no object. The same finds what a mark has missed, and what leads where for
// reports.

#include "gc/gcobj.h"
#include "gc/mark.h"
#include "gc/markroot.h"
#include "gc/special.h"

// Scans the marked objects of the span that begins at a page.
static void scan_span_again(struct tz_gcwork *w, const struct tz_span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++) {
        if (!(s->bits->word[i / 64].mark >> (i % 64) & 1))
            continue;
        struct tz_gcobj f = tz_gcobj_of_span(s, i);
        if (f.kind != TZ_NOSCAN)
            tz_mark_part(w, &f, f.base, f.base + f.size);
        tz_mark_own(w);
    }
}

// Scans all marked objects.
static void scan_heap_again(struct tz_gcwork *w)
{
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        struct tz_region *r = &tz_mem.region[i];
        size_t npages = (size_t)r->pages.nchunks * TZ_CHUNK_PAGES;
        for (size_t page = 0; page < npages; page++) {
            unsigned cls = r->cls[page];
            if (!tz_page_has_objects(cls))
                continue;
            if (r->spans[page]->base == r->base + (page << TZ_PAGE_SHIFT))
                scan_span_again(w, r->spans[page]);
        }
    }
}

void tz_mark_again(struct tz_gcwork *w, uint32_t njobs)
{
    w->again = true;
    tz_special_settle_end(); // their words may be among those that were dropped
    for (uint32_t job = 0; job < njobs; job++) {
        tz_markroot(w, job);
        tz_mark_own(w);
    }
    do
        scan_heap_again(w);
    while (tz_work_dropped());
    w->again = false;
}

void tz_mark_check(struct tz_gcwork *w, uint32_t njobs)
{
    w->check = true;
    tz_mark_again(w, njobs);
    w->check = false;
}

void tz_mark_check_heap(struct tz_gcwork *w)
{
    w->check = w->again = w->told = true;
    scan_heap_again(w);
    w->check = w->again = w->told = false;
}

void tz_mark_visit(struct tz_gcwork *w,
                   void (*fn)(struct tz_gcwork *w, uintptr_t word))
{
    w->visit = fn;
    w->again = fn != NULL;
}

void tz_mark_scan(struct tz_gcwork *w, uintptr_t base)
{
    struct tz_gcobj f;
    TZ_CHECK(tz_gcobj_find(base, &f) && f.base == base);
    if (f.kind != TZ_NOSCAN)
        tz_mark_part(w, &f, f.base, f.base + f.size);
}
