// SPDX-License-Identifier: BSD-3-Clause
// diag/summary.c: what is in the heap, by type.
//
// With the world stopped and all caches flushed, alloc bits are exact. Each
// object is counted in a row: of its kind where nothing is known of its type;
// of its type where it is larger than 512 bytes; else of its layout, the size
// and the bits of its words that may hold pointers. When the world runs again,
// layouts get the names of the types that have them, rows of one type become
// one, and they are sorted and written.
//
// Types are read by a system call: a library that had one may be gone.
//
// Cost: a visit of each span and each set bit, and of the records of what is
// typed; objects are not touched. Go has no such list. By place of allocation, if
// samples are taken: memprof.c.

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/bits.h"
#include "base/print.h"
#include "diag/memprof.h"
#include "diag/out.h"
#include "gc/gc.h"
#include "mem/mheap.h"
#include "mem/types.h"
#include "os/peek.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "tuza/gc.h"

enum { ROWS = 4096, TYPES = 1024, NAME = 48 };

enum row_kind {
    ROW_NONE, // no row
    ROW_CONSERVATIVE,
    ROW_NOSCAN,
    ROW_UNCOLLECTABLE,
    ROW_UNKNOWN, // typed, and no more is known
    ROW_TYPE,    // key is the type
    ROW_LAYOUT   // key are the bits, size the object's
};

struct row {
    enum row_kind kind;
    uint32_t size;
    uint64_t key;
    uint64_t objects, bytes;
    const tuza_type *other; // of a layout: another type that has it
};

// A type, copied while it is there.
struct type {
    const tuza_type *t;
    tuza_type copy; // its mask in `bits`
};

struct summary {
    struct row row[ROWS]; // open addressing; afterwards sorted
    struct type type[TYPES];
    uint32_t ntypes;
    uint64_t objects, bytes;
};

// --- counting, in the stopped world

// The key's row, a new one if need be; when there are too many, ROW_UNKNOWN's.
static struct row *row_at(struct summary *y, enum row_kind kind, uint64_t key,
                          uint32_t size)
{
    uint64_t h = (key + size * 31 + kind) * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < ROWS / 2; i++) {
        struct row *r = &y->row[((h >> 40) + i) % ROWS];
        if (r->kind == kind && r->key == key && r->size == size)
            return r;
        if (r->kind == ROW_NONE) {
            *r = (struct row){ .kind = kind, .key = key, .size = size };
            return r;
        }
    }
    return row_at(y, ROW_UNKNOWN, 0, 0); // made at the start
}

static void count(struct row *r, uint64_t objects, size_t size)
{
    r->objects += objects;
    r->bytes += objects * size;
}

static void count_typed(struct summary *y, const struct tz_span *s, uint32_t i)
{
    const tuza_type *t = NULL;
    uint64_t bits = 0;
    if (s->elem_size > TZ_BITS_MAX)
        t = s->types[i / 16].type[i % 16];
    else if ((bits = tz_types_bits(s, i)) == 0)
        t = tz_types_traced(*(const uintptr_t *)(s->base + i * s->elem_size));
    struct row *r = t      ? row_at(y, ROW_TYPE, (uintptr_t)t, 0)
                    : bits ? row_at(y, ROW_LAYOUT, bits, (uint32_t)s->elem_size)
                           : row_at(y, ROW_UNKNOWN, 0, 0);
    count(r, 1, s->elem_size);
}

static void count_span(struct summary *y, const struct tz_span *s)
{
    enum tz_kind kind = tz_sizeclass[s->spanclass].kind;
    enum row_kind row = s->uncollectable  ? ROW_UNCOLLECTABLE
                        : kind == TZ_SCAN ? ROW_CONSERVATIVE
                                          : ROW_NOSCAN;
    if (kind != TZ_TYPED || s->uncollectable) {
        count(row_at(y, row, 0, 0), s->nalloc, s->elem_size);
        return;
    }
    for (uint32_t w = 0; w < (s->nelems + 63) / 64; w++)
        for (uint64_t b = s->bits->word[w].alloc; b; b &= b - 1)
            count_typed(y, s, w * 64 + tz_ctz64(b));
}

static void look(struct tz_gcwork *w, uint32_t njobs, void *arg)
{
    (void)w, (void)njobs;
    row_at(arg, ROW_UNKNOWN, 0, 0);
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        const struct tz_region *r = &tz_mem.region[i];
        for (uint32_t page = 0; page < r->pages.npages;) {
            bool objects = tz_page_has_objects(tz_load_rlx(&r->cls[page]));
            if (objects)
                count_span(arg, r->spans[page]);
            page += objects ? r->spans[page]->npages : 1;
        }
    }
}

// --- names

// A copy of t; false when it cannot be read.
static bool read_type(const tuza_type *t, tuza_type *copy)
{
    if (!tz_peek(copy, (uintptr_t)t, sizeof *copy))
        return false;
    if (!copy->mask)
        return true;
    return tz_peek(&copy->bits, (uintptr_t)copy->mask, sizeof copy->bits);
}

static void note_type(void *arg, const tuza_type *t)
{
    struct summary *y = arg;
    if (y->ntypes < TYPES && read_type(t, &y->type[y->ntypes].copy))
        y->type[y->ntypes++].t = t;
}

static void read_name(char *to, const tuza_type *t)
{
    tuza_type copy;
    size_t n = 0;
    strcpy(to, "?");
    if (!tz_peek(&copy, (uintptr_t)t, sizeof copy) || !copy.name)
        return;
    while (n < NAME - 1 && tz_peek(to + n, (uintptr_t)copy.name + n, 1) &&
           to[n])
        n++;
    to[n] = 0;
}

static void name_of(char *to, size_t size, const struct row *r)
{
    static const char *const kinds[] = {
        [ROW_CONSERVATIVE] = "(conservative)", [ROW_NOSCAN] = "(no pointers)",
        [ROW_UNCOLLECTABLE] = "(uncollectable)", [ROW_UNKNOWN] = "(typed)",
        [ROW_LAYOUT] = "(typed)",
    };
    char one[NAME], two[NAME];
    if (r->kind != ROW_TYPE) {
        tz_format(to, size, "%s", kinds[r->kind]);
        return;
    }
    read_name(one, (const tuza_type *)(uintptr_t)r->key);
    if (r->other)
        read_name(two, r->other);
    tz_format(to, size, "%s%s%s", one, r->other ? " | " : "",
              r->other ? two : "");
}

// A row of a layout becomes one of the type that has it.
static void find_type(const struct summary *y, struct row *r)
{
    const tuza_type *one = NULL;
    for (uint32_t i = 0; i < y->ntypes; i++) {
        const struct type *t = &y->type[i];
        if (!tz_types_fit(&t->copy, r->size, r->key))
            continue;
        if (one) {
            r->other = t->t;
            break;
        }
        one = t->t;
    }
    r->kind = one ? ROW_TYPE : ROW_UNKNOWN;
    r->key = (uintptr_t)one;
    r->size = 0;
}

// Moves all rows to the front, each type once; their number.
static uint32_t merge(struct summary *y)
{
    uint32_t n = 0;
    tz_types_each(note_type, y);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct row r = y->row[i];
        if (r.kind == ROW_NONE || r.objects == 0)
            continue;
        y->objects += r.objects;
        y->bytes += r.bytes;
        if (r.kind == ROW_LAYOUT)
            find_type(y, &r);
        uint32_t k = 0;
        while (k < n && (y->row[k].kind != r.kind || y->row[k].key != r.key ||
                         y->row[k].other != r.other))
            k++;
        if (k == n)
            y->row[n++] = r;
        else
            y->row[k].objects += r.objects, y->row[k].bytes += r.bytes;
    }
    return n;
}

// --- writing

// Sorted in place: few, and no allocation.
static void sort(struct row *row, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct row r = row[i];
        uint32_t k = i;
        for (; k > 0 && row[k - 1].bytes < r.bytes; k--)
            row[k] = row[k - 1];
        row[k] = r;
    }
}

static int write_all(struct summary *y, int fd)
{
    struct tz_out o = { .fd = fd };
    struct tz_gcstats gc;
    char name[2 * NAME + 8];
    uint32_t n = merge(y);
    sort(y->row, n);
    tz_gc_stats(&gc);
    tz_out(&o, "heap: %llu objects, %llu bytes, after %llu collections\n",
           (unsigned long long)y->objects, (unsigned long long)y->bytes,
           (unsigned long long)gc.cycles);
    tz_out(&o, "   objects         bytes   share  type\n");
    for (uint32_t i = 0; i < n; i++) {
        const struct row *r = &y->row[i];
        // Not of bytes * 1000, which may wrap.
        unsigned mille = (unsigned)((double)r->bytes * 1000 /
                                    (double)y->bytes);
        name_of(name, sizeof name, r);
        tz_out(&o, "%10llu  %12llu  %3u.%u%%  %s\n",
               (unsigned long long)r->objects, (unsigned long long)r->bytes,
               mille / 10, mille % 10, name);
    }
    int err = tz_memprof_summary(&o);
    return o.err ? -o.err : err;
}

int tuza_heap_summary(int fd)
{
    tz_need_g("tuza_heap_summary");
    if (fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    size_t size = tz_align_up(sizeof(struct summary), tz_vm_page());
    struct summary *y = tz_vm_alloc(size, TZ_VM_GC);
    if (!y)
        return -ENOMEM;
    tz_gc_look(look, y);
    int err = write_all(y, fd);
    tz_vm_free(y, size, TZ_VM_GC, TZ_VM_READY);
    return err;
}
