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
// Go has no such need: its linker writes down where data is, and C's TLS is
// not scanned.

#include <link.h>
#include <string.h>

#include "base/atomic.h"
#include "base/cpu.h"
#include "base/san.h"
#include "os/tlsroots.h"
#include "os/vm.h"
#include TZ_CPU_HEADER(os,tcb_linux_)

enum { WORD = sizeof(uintptr_t), LEFT_OUT = 8 };

struct root {
    uintptr_t module; // TLS module number, 0 for data
    uintptr_t lo, hi; // data: the segment; TLS: 0 and the block's size
};

struct table {
    uint64_t adds, subs; // the linker's counts when it was made
    size_t bytes;        // mapped for it, this head included
    size_t count, max;   // of roots
    struct root roots[];
};

static struct {
    struct table *current; // atomic; release by snapshot, acquire by readers
    struct table *spare;   // what a snapshot fills next, or NULL
    struct {
        uintptr_t lo, hi;
    } left_out[LEFT_OUT]; // const once there is a table
    size_t nleft_out;
} tables;

// What one walk over the loaded objects works on.
struct walk {
    const struct table *before; // NULL: nothing to compare with
    struct table *into;         // NULL: only count
    size_t found;               // whether they fit or not
    uint64_t adds, subs;
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
static void add_data(struct walk *w, uintptr_t lo, uintptr_t hi, size_t i)
{
    for (; i < tables.nleft_out; i++) {
        uintptr_t from = tables.left_out[i].lo, to = tables.left_out[i].hi;
        if (lo < from && from < hi)
            add_data(w, lo, from, i + 1);
        if (from < hi && lo < to)
            lo = tz_min(to, hi);
    }
    lo = tz_align_up(lo, WORD);
    hi = tz_align_down(hi, WORD);
    if (lo < hi)
        add(w, (struct root){ 0, lo, hi });
}

// Adds the object's writable segment h, less a RELRO part at its start.
static void add_segment(struct walk *w, const struct dl_phdr_info *o,
                        const ElfW(Phdr) *h)
{
    uintptr_t lo = o->dlpi_addr + h->p_vaddr, hi = lo + h->p_memsz;
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *r = &o->dlpi_phdr[i];
        uintptr_t start = o->dlpi_addr + r->p_vaddr;
        if (r->p_type == PT_GNU_RELRO && start <= lo &&
            start + r->p_memsz > lo)
            lo = start + r->p_memsz;
    }
    add_data(w, lo, hi, 0);
}

// The sanitizers' own run time remembers addresses that the program has
// touched; as roots they would keep dead objects alive.
static bool is_sanitizer(const char *path)
{
    return (TZ_ASAN || TZ_TSAN) &&
           (strstr(path, "libtsan") || strstr(path, "libasan"));
}

static int add_object(struct dl_phdr_info *o, size_t size, void *arg)
{
    struct walk *w = arg;
    (void)size; // all of glibc since 2.4 have the counts and the TLS number
    w->adds = o->dlpi_adds;
    w->subs = o->dlpi_subs;
    if (is_sanitizer(o->dlpi_name))
        return 0;
    if (w->before && w->before->adds == o->dlpi_adds &&
        w->before->subs == o->dlpi_subs)
        return 1; // nothing changed
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &o->dlpi_phdr[i];
        if (h->p_type == PT_LOAD && (h->p_flags & PF_W))
            add_segment(w, o, h);
        else if (h->p_type == PT_TLS && o->dlpi_tls_modid)
            add(w, (struct root){ o->dlpi_tls_modid, 0, h->p_memsz });
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
        w = (struct walk){ .before = current, .into = tables.spare };
        if (dl_iterate_phdr(add_object, &w))
            return;
        if (w.into && w.found <= w.into->max)
            break;
        grow_spare(w.found); // outside the linker's lock
    }
    w.into->count = w.found;
    w.into->adds = w.adds;
    w.into->subs = w.subs;
    tables.spare = current;
    tz_store_rel(&tables.current, w.into); // partner: the readers
}

TZ_NO_SANITIZE
void tz_roots_each_data(void (*visit)(void *arg, uintptr_t lo, uintptr_t hi),
                        void *arg)
{
    const struct table *t = tz_load_acq(&tables.current);
    for (size_t i = 0; t && i < t->count; i++)
        if (t->roots[i].module == 0)
            visit(arg, t->roots[i].lo, t->roots[i].hi);
}

// An element of glibc's dtv. The vector's element -1 holds how many follow.
union dtv {
    size_t count;
    struct {
        void *block; // all bits set: not allocated yet
        void *to_free;
    } is;
};

// The thread's block of a module, 0 when it has none.
TZ_NO_SANITIZE static uintptr_t tls_block(uintptr_t tp, uintptr_t module)
{
    const volatile union dtv *dtv = tz_tcb_dtv(tp);
    if (!dtv || module > dtv[-1].count)
        return 0;
    uintptr_t block = (uintptr_t)dtv[module].is.block;
    return block == UINTPTR_MAX ? 0 : block;
}

TZ_NO_SANITIZE
void tz_roots_each_tls(uintptr_t thread_pointer,
                       void (*visit)(void *arg, uintptr_t lo, uintptr_t hi),
                       void *arg)
{
    const struct table *t = tz_load_acq(&tables.current);
    for (size_t i = 0; t && i < t->count; i++) {
        const struct root *r = &t->roots[i];
        uintptr_t block = r->module ? tls_block(thread_pointer, r->module) : 0;
        uintptr_t lo = tz_align_up(block, WORD);
        uintptr_t hi = tz_align_down(block + r->hi, WORD);
        if (block && lo < hi)
            visit(arg, lo, hi);
    }
}
