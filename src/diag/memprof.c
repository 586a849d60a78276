// SPDX-License-Identifier: BSD-3-Clause
// diag/memprof.c: the heap profile: samples (mem/sample.c) by where they were
// allocated (gc/site.c), scaled to all objects, for pprof and as text.
//
// An object of n bytes is sampled with the probability 1 - exp(-n / rate), so a
// sample stands for 1 / that many. The probability is that of the site: all of
// its objects have one size and were sampled at one rate.
//
// Readers copy the counts under the lock of the records; names and writing come
// afterwards. Go: mprof.go, and protomem.go of runtime/pprof.

#include "diag/memprof.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/print.h"
#include "diag/profile.h"
#include "diag/symbol.h"
#include "diag/trace.h"
#include "gc/gc.h"
#include "gc/site.h"
#include "mem/mheap.h"
#include "os/clock.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "tuza/debug.h"

enum { ROWS = 30, FRAMES = 12, SPARE = 64 };
_Static_assert((int)TZ_SITE_FRAMES <= (int)TZ_PROFILE_FRAMES, "they fit");

// What is known of a stack, or of all that are not shown. Made of a site.
struct row {
    const struct tz_site *site;
    double objects, bytes; // in use, estimated
};

// Sites as they were at one moment, in memory of their own.
struct reading {
    size_t n, mapped;
    uint64_t marks;
    struct tz_sitecount *count; // of n
    struct row *row;            // room for n
    uint32_t *place;            // hash table of rows, by stack: number + 1
    size_t places;              // a power of two
};

// --- reading

static int begin(struct reading *r)
{
    size_t most = tz_site_count() + SPARE;
    r->places = 2;
    while (r->places < 2 * most)
        r->places *= 2;
    r->mapped = tz_align_up(most * sizeof *r->count + most * sizeof *r->row +
                                r->places * sizeof *r->place,
                            tz_vm_page());
    r->count = tz_vm_alloc(r->mapped, TZ_VM_GC);
    if (!r->count)
        return -ENOMEM;
    r->row = (struct row *)(void *)(r->count + most);
    r->place = (uint32_t *)(void *)(r->row + most);
    r->n = tz_site_read(r->count, most, &r->marks);
    return 0;
}

static void end(struct reading *r)
{
    tz_vm_free(r->count, r->mapped, TZ_VM_GC, TZ_VM_READY);
}

// 1 - exp(-size / rate): of a small number by its series, then doubled up:
// 1 - exp(-2x) is e (2 - e) where e is 1 - exp(-x).
static double chance(size_t size, uint64_t rate)
{
    enum { TERMS = 14, CERTAIN = 40 };
    if (rate <= 1)
        return 1;
    double x = (double)size / (double)rate, sum = 1;
    unsigned doublings = 0;
    if (x > CERTAIN)
        return 1;
    for (; x > 0.5; x /= 2)
        doublings++;
    for (int i = TERMS; i >= 2; i--)
        sum = 1 - x / i * sum;
    for (sum *= x; doublings > 0; doublings--)
        sum *= 2 - sum;
    return sum;
}

static uint64_t whole(double x) { return (uint64_t)(x + 0.5); }

// --- for pprof

static bool add_all(struct tz_profile *p, const struct reading *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct tz_sitecount *c = &r->count[i];
        const struct tz_site *s = c->site;
        double of_all = chance(s->size, s->rate), size = (double)s->size;
        double allocs = (double)c->allocs / of_all;
        double inuse = (double)(c->allocs - c->frees) / of_all;
        uint64_t value[] = { whole(allocs), whole(allocs * size), whole(inuse),
                             whole(inuse * size) };
        if (c->allocs &&
            !tz_profile_add_heap(p, s->place, s->n, s->size, value))
            return false;
        if (!p->period)
            p->period = (int64_t)s->rate; // no more are taken
    }
    return true;
}

static int write_profile(const struct reading *r, int fd)
{
    struct timespec wall;
    size_t size = tz_align_up(sizeof(struct tz_profile), tz_vm_page());
    struct tz_profile *p = tz_vm_alloc(size, TZ_VM_GC);
    if (!p)
        return -ENOMEM;
    clock_gettime(CLOCK_REALTIME, &wall);
    p->kind = &tz_profile_heap;
    p->began = wall.tv_sec * TZ_NSEC_PER_SEC + wall.tv_nsec;
    p->period = (int64_t)tz_load_rlx(&tz_mem.sample_rate);
    int err = add_all(p, r) ? tz_profile_write(p, fd) : -ENOMEM;
    tz_profile_free(p);
    tz_vm_free(p, size, TZ_VM_GC, TZ_VM_READY);
    return err;
}

int tuza_heap_profile(int fd)
{
    struct reading r;
    if (!tz_load_acq(&tz_sched.allm))
        return -EINVAL;
    if (fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    int err = begin(&r);
    if (err)
        return err;
    err = write_profile(&r, fd);
    end(&r);
    return err;
}

// --- the rate

static void set_rate(struct tz_gcwork *w, uint32_t njobs, void *arg)
{
    (void)w, (void)njobs;
    tz_store_rlx(&tz_mem.sample_rate, *(uint64_t *)arg);
}

int64_t tuza_heap_profile_rate(int64_t bytes)
{
    tz_need_g("tuza_heap_profile_rate");
    uint64_t old = tz_load_rlx(&tz_mem.sample_rate), rate = (uint64_t)bytes;
    if (bytes >= 0 && rate != old)
        tz_gc_look(set_rate, &rate); // all caches are flushed there
    return (int64_t)old;
}

// --- as text

static struct row *row_of(struct reading *r, size_t *n, const struct tz_site *s)
{
    for (size_t i = s->hash % r->places;; i = (i + 1) % r->places) {
        if (!r->place[i]) {
            r->row[*n] = (struct row){ .site = s };
            r->place[i] = (uint32_t)++*n;
        }
        struct row *row = &r->row[r->place[i] - 1];
        if (row->site->hash == s->hash && row->site->n == s->n &&
            !memcmp(row->site->place, s->place, s->n * sizeof s->place[0]))
            return row;
    }
}

// Sites to rows: each stack once. How many.
static size_t merge(struct reading *r, struct row *all)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct tz_sitecount *c = &r->count[i];
        const struct tz_site *s = c->site;
        double objects = (double)(c->allocs - c->frees);
        if (objects <= 0)
            continue;
        objects /= chance(s->size, s->rate);
        struct row *row = row_of(r, &n, s);
        row->objects += objects, all->objects += objects;
        row->bytes += objects * (double)s->size;
        all->bytes += objects * (double)s->size;
    }
    return n;
}

// Puts the largest of rows [i, n) at i.
static void select_row(struct row *row, size_t i, size_t n)
{
    size_t best = i;
    for (size_t k = i + 1; k < n; k++)
        if (row[k].bytes > row[best].bytes)
            best = k;
    struct row r = row[i];
    row[i] = row[best];
    row[best] = r;
}

static void print_row(struct tz_out *o, const struct row *r,
                      const struct row *all, const char *what)
{
    unsigned mille = (unsigned)(r->bytes * 1000 / all->bytes);
    tz_out(o, "%10llu  %12llu  %3u.%u%%%s\n",
           (unsigned long long)whole(r->objects),
           (unsigned long long)whole(r->bytes), mille / 10, mille % 10, what);
}

// The calls of the allocation's own say nothing.
static uint32_t first_frame(const struct tz_out *o, const struct tz_site *s)
{
    struct tz_symbol symbol;
    uint32_t i = 0;
    for (; o->names && i + 1 < s->n; i++) {
        tz_symbol_find(s->place[i], &symbol);
        if (strncmp(symbol.name, "tuza_alloc", 10) != 0 &&
            strncmp(symbol.name, "tz_malloc", 9) != 0)
            break;
    }
    return i;
}

static void print_frames(struct tz_out *o, const struct tz_site *s)
{
    uint32_t first = first_frame(o, s);
    for (uint32_t i = first; i < s->n && i < first + FRAMES; i++)
        tz_trace_place(o, "\t", s->place[i] + 1, s->place[i], 1);
    if (s->n > first + FRAMES)
        tz_out(o, "\t...additional frames elided...\n");
}

static void print_all(struct tz_out *o, struct reading *r)
{
    struct row all = { 0 }, rest = { 0 };
    size_t n = merge(r, &all);
    tz_out(o,
           "\nby allocation site, from a sample in %llu bytes, "
           "as of collection %llu:\n   objects         bytes   share\n",
           (unsigned long long)tz_load_rlx(&tz_mem.sample_rate),
           (unsigned long long)r->marks);
    for (size_t i = 0; i < n; i++) {
        if (i >= ROWS) {
            rest.objects += r->row[i].objects;
            rest.bytes += r->row[i].bytes;
            continue;
        }
        select_row(r->row, i, n);
        print_row(o, &r->row[i], &all, "");
        print_frames(o, r->row[i].site);
    }
    if (rest.bytes > 0)
        print_row(o, &rest, &all, "  (elsewhere)");
}

int tz_memprof_summary(struct tz_out *o)
{
    struct reading r;
    if (!tz_load_rlx(&tz_mem.sample_rate) && !tz_site_count())
        return 0;
    int err = begin(&r);
    if (err)
        return err;
    o->names = tz_symbol_begin(true);
    print_all(o, &r);
    if (o->names)
        tz_symbol_end();
    end(&r);
    return 0;
}
