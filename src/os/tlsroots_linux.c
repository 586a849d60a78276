// SPDX-License-Identifier: BSD-3-Clause
// os/tlsroots_linux.c: writable data of the loaded objects, and TLS blocks.
//
// There are two tables, of which one is current. A snapshot fills the other one
// and then makes it current, so that a thread stopped in the middle of it
// leaves a whole table behind. Readers and the next snapshot must not overlap:
// it overwrites what was current before [os.I9].
//
// The dynamic linker counts how many objects it ever added and removed; equal
// counts mean that nothing is to be done. Data that is read-only after
// relocation (RELRO) is left out: constructors already find it protected.
//
// TLS blocks are found through the thread's dtv, glibc's vector with a block
// per module; a block that the thread never used is not there yet. Only the
// current thread may touch its dtv, which is why readers look at it without a
// lock only when that thread is stopped or is the reader. Not found: values of
// pthread_setspecific, and the TLS of a library that was loaded by dlopen with
// the initial-exec model and that the thread has not reached by its dtv.
//
// While threads are stopped anywhere nobody may ask the linker: one of them may hold
// its lock. But what it links for debuggers can be read (struct r_debug, by way of
// the program's DT_DEBUG), and is compared with what it was under the lock. glibc
// unmaps an object, and unlinks it afterwards, with that lock held.
//
// Go has no such need: its linker writes down where data is, and C's TLS is
// not scanned.

#include <link.h>

#include "base/atomic.h"
#include "base/cpu.h"
#include "base/san.h"
#include "os/peek.h"
#include "os/tlsroots.h"
#include "os/vm.h"
#include TZ_CPU_HEADER(os,tcb_linux_)

enum { WORD = sizeof(uintptr_t), LEFT_OUT = 8 };

struct root {
    uintptr_t module; // TLS module number, 0 for data, LINKER
    uintptr_t lo, hi; // data: the segment; TLS: 0 and the block's size
    bool may_go;      // data: not of the program itself
};
// No root, but a part of the list of the linker; more than any module's number.
static const uintptr_t LINKER = UINTPTR_MAX;

struct table {
    uint64_t adds, subs; // the linker's counts when it was made
    uint64_t chain;      // what its list was then, hashed; 0: there is none
    size_t bytes;        // mapped for it, this head included
    size_t count, max;   // of roots, those of LINKER first
    struct root roots[];
};

static struct {
    struct table *current; // atomic; release by snapshot, acquire by readers
    struct table *spare;   // what a snapshot fills next, or NULL
    struct {
        uintptr_t lo, hi;
    } left_out[LEFT_OUT]; // const once there is a table
    size_t nleft_out;
    const struct r_debug *debug; // the linker's; const once there is a table, or NULL
    bool outdated; // the list was another; atomic
} tables;

// What one walk over the loaded objects works on.
struct walk {
    const struct table *before; // NULL: nothing to compare with
    struct table *into;         // NULL: only count
    size_t found;               // whether they fit or not
    uint64_t adds, subs, chain;
    bool first;                 // is next: the program itself
};

static void add(struct walk *w, struct root r)
{
    if (w->into && w->found < w->into->max)
        w->into->roots[w->found] = r;
    w->found++;
}

void tz_roots_leave_out(const void *p, size_t size)
{
    uintptr_t lo = (uintptr_t)p;
    for (size_t i = 0; i < tables.nleft_out; i++)
        if (tables.left_out[i].lo == lo)
            return;
    TZ_CHECK(tables.nleft_out < LEFT_OUT);
    tables.left_out[tables.nleft_out].lo = lo;
    tables.left_out[tables.nleft_out++].hi = lo + size;
}

// Adds what is in no range that is left out from the i-th on.
static void add_data(struct walk *w, struct root r, size_t i)
{
    uintptr_t lo = r.lo, hi = r.hi;
    for (; i < tables.nleft_out; i++) {
        uintptr_t from = tables.left_out[i].lo, to = tables.left_out[i].hi;
        if (lo < from && from < hi)
            add_data(w, (struct root){ 0, lo, from, r.may_go }, i + 1);
        if (from < hi && lo < to)
            lo = tz_min(to, hi);
    }
    lo = tz_align_up(lo, WORD);
    hi = tz_align_down(hi, WORD);
    if (lo < hi)
        add(w, (struct root){ 0, lo, hi, r.may_go });
}

// Adds the object's writable segment h, less a RELRO part at its start.
static void add_segment(struct walk *w, const struct dl_phdr_info *o,
                        const ElfW(Phdr) *h, bool may_go)
{
    uintptr_t lo = o->dlpi_addr + h->p_vaddr, hi = lo + h->p_memsz;
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *r = &o->dlpi_phdr[i];
        uintptr_t start = o->dlpi_addr + r->p_vaddr;
        if (r->p_type == PT_GNU_RELRO && start <= lo &&
            start + r->p_memsz > lo)
            lo = start + r->p_memsz;
    }
    add_data(w, (struct root){ 0, lo, hi, may_go }, 0);
}

// --- the list for debuggers

// Of the program itself.
static void find_debug(const struct dl_phdr_info *o)
{
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &o->dlpi_phdr[i];
        if (h->p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *d = (const void *)(o->dlpi_addr + h->p_vaddr);
        for (; d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_DEBUG)
                tables.debug = (const void *)d->d_un.d_ptr;
    }
}

TZ_NO_SANITIZE static uint64_t mix(uint64_t hash, const uint64_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 29;
    return hash;
}

// What the list consists of, with the linker's lock held. Another object may come to
// lie where one was: its program headers are others, nearly always.
TZ_NO_SANITIZE static void add_list(struct walk *w)
{
    enum { HEADERS = 512 };
    char headers[HEADERS];
    if (!tables.debug)
        return;
    uintptr_t at = (uintptr_t)&tables.debug->r_map;
    add(w, (struct root){ LINKER, at, at + sizeof tables.debug->r_map, false });
    for (const struct link_map *m = tables.debug->r_map; m; m = m->l_next) {
        at = (uintptr_t)m;
        add(w, (struct root){ LINKER, at, at + sizeof *m, false });
        at = m->l_addr;
        if (tz_peek(headers, at, HEADERS))
            add(w, (struct root){ LINKER, at, at + HEADERS, false });
    }
}

// A hash of what these parts of the list are now, which others may be changing: then it
// is another. 0: there are none, or they cannot be read.
TZ_NO_SANITIZE static uint64_t hash_list(const struct root *r, size_t n)
{
    uint64_t words[320], hash = 0;
    struct tz_range part[TZ_PEEK_RANGES];
    for (size_t i = 0, k = 0, bytes = 0; i < n && r[i].module == LINKER; i++) {
        part[k++] = (struct tz_range){ r[i].lo, r[i].hi };
        bytes += r[i].hi - r[i].lo;
        bool more = i + 1 < n && r[i + 1].module == LINKER;
        size_t next = more ? r[i + 1].hi - r[i + 1].lo : 0;
        if (more && k < TZ_PEEK_RANGES && bytes + next <= sizeof words)
            continue;
        if (!tz_peek_ranges(words, part, k))
            return 0;
        hash = mix(hash, words, bytes / sizeof words[0]) | 1;
        k = bytes = 0;
    }
    return hash;
}

// By hand: ThreadSanitizer would see a race of strstr with the linker, whose lock it
// does not know.
static TZ_NO_SANITIZE bool has(const char *path, const char *name)
{
    for (; *path; path++) {
        size_t n = 0;
        while (name[n] && path[n] == name[n])
            n++;
        if (!name[n])
            return true;
    }
    return false;
}

// The sanitizers' own run time remembers addresses that the program has
// touched; as roots they would keep dead objects alive.
static bool is_sanitizer(const char *path)
{
    return (TZ_ASAN || TZ_TSAN) &&
           (has(path, "libtsan") || has(path, "libasan"));
}

static int add_object(struct dl_phdr_info *o, size_t size, void *arg)
{
    struct walk *w = arg;
    (void)size; // all of glibc since 2.4 have the counts and the TLS number
    w->adds = o->dlpi_adds;
    w->subs = o->dlpi_subs;
    bool first = w->first;
    w->first = false;
    if (first && !tables.current)
        find_debug(o);
    if (w->before && w->before->adds == o->dlpi_adds &&
        w->before->subs == o->dlpi_subs && !tz_load_rlx(&tables.outdated))
        return 1; // nothing changed
    if (first) {
        add_list(w);
        if (w->into && w->found <= w->into->max)
            w->chain = hash_list(w->into->roots, w->found);
    }
    if (is_sanitizer(o->dlpi_name))
        return 0;
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &o->dlpi_phdr[i];
        if (h->p_type == PT_LOAD && (h->p_flags & PF_W))
            add_segment(w, o, h, !first);
        else if (h->p_type == PT_TLS && o->dlpi_tls_modid)
            add(w, (struct root){ o->dlpi_tls_modid, 0, h->p_memsz, false });
    }
    return 0;
}

// Makes the spare table one for at least n roots.
static void grow_spare(size_t n)
{
    struct table *old = tables.spare;
    size_t bytes = tz_vm_page();
    while (bytes < sizeof(struct table) + n * sizeof(struct root))
        bytes *= 2;
    if (old && old->bytes >= bytes)
        return;
    struct table *t = tz_vm_alloc(bytes, TZ_VM_GC);
    if (!t)
        tz_vm_die("the table of data segments");
    t->bytes = bytes;
    t->max = (bytes - sizeof *t) / sizeof t->roots[0];
    tables.spare = t;
    if (old)
        tz_vm_free(old, old->bytes, TZ_VM_GC, true);
}

// One thread at a time.
void tz_roots_snapshot(void)
{
    struct table *current = tz_load_rlx(&tables.current); // only we write it
    struct walk w;
    for (;;) {
        w = (struct walk){ .before = current, .into = tables.spare, .first = true };
        if (dl_iterate_phdr(add_object, &w))
            return;
        if (w.into && w.found <= w.into->max)
            break;
        grow_spare(w.found); // outside the linker's lock
    }
    w.into->count = w.found;
    w.into->adds = w.adds;
    w.into->subs = w.subs;
    w.into->chain = w.chain;
    tables.spare = current;
    tz_store_rlx(&tables.outdated, false);
    tz_store_rel(&tables.current, w.into); // partner: the readers
}

TZ_NO_SANITIZE bool tz_roots_current(void)
{
    const struct table *t = tz_load_acq(&tables.current);
    bool is = t && (TZ_DEFECT(TZ_D104) || t->chain == 0 ||
                    t->chain == hash_list(t->roots, t->count));
    tz_store_rlx(&tables.outdated, !is);
    return is;
}

TZ_NO_SANITIZE void tz_roots_each_data(tz_roots_fn *visit, void *arg)
{
    const struct table *t = tz_load_acq(&tables.current);
    for (size_t i = 0; t && i < t->count; i++)
        if (t->roots[i].module == 0)
            visit(arg, t->roots[i].lo, t->roots[i].hi, t->roots[i].may_go);
}

// An element of glibc's dtv. The vector's element -1 holds how many follow.
union dtv {
    size_t count;
    struct {
        void *block; // all bits set: not allocated yet
        void *to_free;
    } is;
};

TZ_NO_SANITIZE
void tz_roots_each_tls(uintptr_t thread_pointer, tz_roots_fn *visit, void *arg)
{
    const struct table *t = tz_load_acq(&tables.current);
    const volatile union dtv *dtv = tz_tcb_dtv(thread_pointer);
    for (size_t i = 0; dtv && t && i < t->count; i++) {
        const struct root *r = &t->roots[i];
        if (!r->module || r->module > dtv[-1].count)
            continue;
        uintptr_t block = (uintptr_t)dtv[r->module].is.block;
        uintptr_t lo = tz_align_up(block, WORD);
        uintptr_t hi = tz_align_down(block + r->hi, WORD);
        if (block && block != UINTPTR_MAX && lo < hi)
            visit(arg, lo, hi, dtv[r->module].is.to_free); // else one with the thread
    }
}
