// SPDX-License-Identifier: BSD-3-Clause
// gc/barrier.c: what stores overwrite while a collection marks.
//
// A mark that runs beside the program finds all that could be reached when it
// began, if it learns of each word that a store overwrites before it came to
// read it (Yuasa 1990: Real-time garbage collection on general-purpose machines).
// So while tuza__barrier is set, a store first logs the old value. It need be
// exact only for the first store to a word since the start: what is overwritten
// later was not there when the mark began, and is new, hence marked, or was found
// elsewhere.
//
//     store:  tuza__barrier?  --0-->  plain store
//                 | 1
//                 v                                    +--> free <---+
//             old value --> the M's buffer --full--> full --flush----+
//                       \-> the shared one (no M, or no P, or nested)
//
// Who logs into the buffer of its M is in a critical section, entered without
// waiting for a P, so that no stop comes in between. A thread without a
// goroutine, one in a declared call and a signal handler of the program's that
// has interrupted a log take the shared buffer away, write and put it back;
// the flush of everything waits while one is away.
//
// Full and free buffers are two stacks, linked by number; the head has a tag that
// each change increments, against ABA. Buffers are never given back to the
// system, so a stale number leads to a buffer [gc.I10]. Where memory for one is
// refused, values are dropped and that noted: `overflowed`.
//
// A test of the flag and the store after it are not one step: the world may stop
// in between, and the mark begin. In a program without data races nobody then
// reads the word before it is overwritten, unless the thread itself has it
// elsewhere. Where that does not hold, an exchange or a move within one
// array, all of it is one critical section.
//
// Cost: the test; while marking 4 to 20 ns a store, as caches go. Go has this in
// mwbbuf.go, by P and with the new value as well.

#include "gc/barrier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/san.h"
#include "mem/malloc.h"
#include "mem/port.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "tuza/mem.h"

enum { CHUNK = 128 * 1024, CHUNKS = 1024, WORD = sizeof(uintptr_t) };

struct tz_barrier_buf {
    uint32_t next; // on a list: the number of the one below, 0: none
    uint32_t n;    // words; owned by who has it
    uintptr_t word[TZ_BARRIER_WORDS];
};
enum { PER_CHUNK = CHUNK / sizeof(struct tz_barrier_buf) };

static struct {
    uint64_t full, free; // atomic; number of the top one, and 32 bits of tag
    struct tz_barrier_buf *shared; // atomic; of those without one, or away
    uint32_t away;       // atomic; threads that may have taken it
    uint32_t nchunks;    // atomic
    uint32_t overflowed; // atomic; a value was dropped
    struct tz_barrier_buf *chunk[CHUNKS]; // atomic; const once set
} barrier;

uint32_t tuza__barrier; // atomic; 0 or all ones; written with the world stopped

// --- buffers

// Buffer i, from 1.
static struct tz_barrier_buf *at(uint32_t i)
{
    return tz_load_acq(&barrier.chunk[(i - 1) / PER_CHUNK]) +
           (i - 1) % PER_CHUNK;
}

static uint32_t number_of(const struct tz_barrier_buf *b)
{
    for (uint32_t k = 0; k < CHUNKS; k++) {
        struct tz_barrier_buf *c = tz_load_acq(&barrier.chunk[k]);
        if (c && (size_t)((const char *)b - (const char *)c) < CHUNK)
            return k * PER_CHUNK + (uint32_t)(b - c) + 1;
    }
    tz_throw("barrier: %p is no buffer", (const void *)b);
}

static uint64_t retag(uint64_t head, uint32_t top)
{
    return ((head >> 32) + 1) << 32 | top;
}

static void push(uint64_t *list, struct tz_barrier_buf *b)
{
    uint32_t i = number_of(b);
    uint64_t head;
    do {
        head = tz_load_rlx(list);
        tz_store_rlx(&b->next, (uint32_t)head);
    } while (!tz_cas(list, head, retag(head, i)));
}

static struct tz_barrier_buf *pop(uint64_t *list)
{
    struct tz_barrier_buf *b;
    uint64_t head;
    do {
        head = tz_load_acq(list); // with push
        if ((uint32_t)head == 0)
            return NULL;
        b = at((uint32_t)head);
    } while (!tz_cas(list, head, retag(head, tz_load_rlx(&b->next))));
    return b;
}

// Some more free ones; false when memory is refused.
static bool grow(void)
{
    if (tz_load_rlx(&barrier.nchunks) >= CHUNKS)
        return false;
    int saved = errno; // a store changes none
    struct tz_barrier_buf *b = tz_vm_alloc(CHUNK, TZ_VM_GC);
    errno = saved;
    if (!b)
        return false;
    uint32_t k = tz_xadd(&barrier.nchunks, 1);
    if (k >= CHUNKS) {
        tz_vm_free(b, CHUNK, TZ_VM_GC, TZ_VM_READY);
        return false;
    }
    tz_store_rel(&barrier.chunk[k], b); // with at
    for (uint32_t i = 0; i < PER_CHUNK; i++)
        push(&barrier.free, &b[i]);
    return true;
}

// Whether this code may ask the system for memory: not a signal handler, which
// may have interrupted that; with the records' lock it is none. Memory is asked for on
// the system stack.
static bool may_ask(const struct tz_tls *t, bool locked)
{
    if (!t->g)
        return locked || t->locks == 1;
    return !t->g->is_g0 && tz_on_own_stack(t->g, tz_sp());
}

// An empty buffer, or NULL.
static struct tz_barrier_buf *get_empty(bool ask)
{
    struct tz_barrier_buf *b;
    while (!(b = pop(&barrier.free)) && ask && grow())
        ;
    if (b)
        b->n = 0;
    return b;
}

// --- logging

// Puts the word into b if there is room, else into a new one, b being full;
// returns where the next one goes.
static struct tz_barrier_buf *add(struct tz_barrier_buf *b, uintptr_t word,
                                  const struct tz_tls *t, bool nested, bool locked)
{
    if (tz_unlikely(!b || b->n == TZ_BARRIER_WORDS)) {
        struct tz_barrier_buf *fresh = get_empty(!nested && may_ask(t, locked));
        if (!fresh) {
            tz_store(&barrier.overflowed, 1);
            return b;
        }
        if (b)
            push(&barrier.full, b);
        b = fresh;
    }
    b->word[b->n++] = word;
    return b;
}

// A critical section for a goroutine that has lost its P as well; returns the
// thread's object, which does not change meanwhile.
static struct tz_tls *enter(void)
{
    struct tz_tls *t = tz_tls_get();
    t->locks++;
    tz_compiler_barrier();
    return t;
}

// Does not stop on a stack that is not the goroutine's, as a signal handler's: who
// stops the world sends another signal.
static void leave(struct tz_tls *t)
{
    tz_compiler_barrier();
    if (--t->locks == 0 && tz_unlikely(tz_load_rlx(&t->stop)) && t->g &&
        !t->g->is_g0 && tz_on_own_stack(t->g, tz_sp()))
        tz_port_stop_here();
}

// Whether the world cannot be stopped while this thread is in its section.
static bool counts(const struct tz_tls *t)
{
    return t->p || (t->m && t->g && !t->g->is_g0 &&
                    tz_load_rlx(&t->g->status) == TZ_G_NO_P);
}

// Around a store and what it logs.
static void go_away(void)
{
    tz_xadd(&barrier.away, 1);
}

static void come_back(void)
{
    tz_xadd(&barrier.away, -1u);
}

static void log_shared(struct tz_tls *t, uintptr_t word, bool locked)
{
    go_away();
    struct tz_barrier_buf *b = tz_xchg(&barrier.shared, NULL);
    b = add(b, word, t, t->m && t->m->logging, locked);
    if (b)
        b = tz_xchg(&barrier.shared, b); // who came meanwhile has put one there
    if (b)
        push(&barrier.full, b);
    come_back();
}

// In the section. locked: with the records' lock.
static void log_word_locked(struct tz_tls *t, uintptr_t word, bool locked)
{
    if (!tz_heap_region(word))
        return;
    struct tz_m *m = t->m;
    if (!counts(t) || m->logging) {
        log_shared(t, word, locked);
        return;
    }
    m->logging = true; // a handler that comes from here on uses the shared one
    tz_compiler_barrier();
    m->barrier = add(m->barrier, word, t, false, locked);
    tz_compiler_barrier();
    m->logging = false;
}

static void log_word(struct tz_tls *t, uintptr_t word)
{
    log_word_locked(t, word, false);
}

// Others may write beside what is to be overwritten, within the same word.
TZ_NO_SANITIZE static uintptr_t read_word(uintptr_t p)
{
    return *(const volatile uintptr_t *)p;
}

// In the section. Every word of which a byte lies in [p, p + n).
static void log_range(struct tz_tls *t, uintptr_t p, size_t n)
{
    for (uintptr_t w = tz_align_down(p, WORD); n && w < p + n; w += WORD)
        log_word(t, read_word(w));
}

void tz_barrier_log_word(uintptr_t word)
{
    struct tz_tls *t = enter();
    log_word(t, word);
    leave(t);
}

void tz_barrier_log_root(uintptr_t word)
{
    struct tz_tls *t = enter();
    log_word_locked(t, word, true);
    leave(t);
}

// A long range in pieces, lest a stop waits for it.
void tz_barrier_log(const void *p, size_t n)
{
    enum { PIECE = 16 * 1024 };
    uintptr_t from = (uintptr_t)p;
    while (n > 0) {
        size_t now = tz_min(n, PIECE);
        struct tz_tls *t = enter();
        log_range(t, from, now);
        leave(t);
        from += now;
        n -= now;
    }
}

void tz_port_overwritten(const void *p, size_t n) { tz_barrier_range(p, n); }

// --- for the mark

void tz_barrier_make(void)
{
    uint32_t want = 2 * (tz_load_rlx(&tz_sched.mcount) + 1);
    while (tz_load_rlx(&barrier.nchunks) * PER_CHUNK < want && grow())
        ;
}

void tz_barrier_start(void)
{
    tz_barrier_make();
    tz_store(&barrier.overflowed, 0);
    tz_store(&tuza__barrier, UINT32_MAX);
}

size_t tz_barrier_flush(tz_barrier_fn *fn, void *arg)
{
    size_t total = 0;
    struct tz_barrier_buf *b;
    while ((b = pop(&barrier.full)) != NULL) {
        if (fn)
            fn(arg, b->word, b->n);
        total += b->n;
        push(&barrier.free, b);
    }
    return total;
}

static size_t flush_rest(tz_barrier_fn *fn, void *arg, struct tz_barrier_buf *b)
{
    if (!b || b->n == 0)
        return 0;
    size_t n = b->n;
    if (fn)
        fn(arg, b->word, n);
    b->n = 0;
    return n;
}

size_t tz_barrier_flush_all(tz_barrier_fn *fn, void *arg)
{
    size_t total = 0;
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink)
        total += flush_rest(fn, arg, m->barrier);
    while (tz_load(&barrier.away)) // none of them waits for the world
        tz_thread_yield();
    struct tz_barrier_buf *b = tz_xchg(&barrier.shared, NULL);
    total += flush_rest(fn, arg, b);
    if (b)
        push(&barrier.free, b);
    return total + tz_barrier_flush(fn, arg);
}

bool tz_barrier_overflowed(void)
{
    return tz_load(&barrier.overflowed);
}

void tz_barrier_stop(void)
{
    tz_store(&tuza__barrier, 0);
    tz_barrier_flush_all(NULL, NULL);
}

// --- for programs

void tuza__barrier_log(const void *p, size_t n)
{
    tz_barrier_log(p, n);
}

// A store that is one step with its log. Who is not stopped keeps the shared
// buffer's flush waiting instead.
void *tuza__barrier_exchange(void *p, void *v)
{
    struct tz_tls *t = enter();
    bool stays = counts(t);
    if (!stays)
        go_away();
    void *old = tz_xchg((void **)p, v);
    if (tz_barrier_is_on())
        log_word(t, (uintptr_t)old);
    if (!stays)
        come_back();
    leave(t);
    return old;
}

int tuza__barrier_cas(void *p, void *expected, void *v)
{
    struct tz_tls *t = enter();
    bool stays = counts(t);
    if (!stays)
        go_away();
    uintptr_t old = *(uintptr_t *)expected;
    bool ok = __atomic_compare_exchange_n((uintptr_t *)p, &old, (uintptr_t)v,
                                          false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST);
    *(uintptr_t *)expected = old;
    if (ok && tz_barrier_is_on())
        log_word(t, old);
    if (!stays)
        come_back();
    leave(t);
    return ok;
}

// In pieces, each with its log in one section: what moves within one array is
// at any stop either where it was or where it comes to.
void *tuza__barrier_move(void *to, const void *from, size_t n,
                         void *(*move)(void *, const void *, size_t))
{
    enum { PIECE = 16 * 1024 };
    uintptr_t d = (uintptr_t)to, s = (uintptr_t)from;
    bool back = d - s < n; // the end first
    for (size_t done = 0; done < n;) {
        size_t now = tz_min(n - done, PIECE);
        size_t off = back ? n - done - now : done;
        struct tz_tls *t = enter();
        if (tz_barrier_is_on())
            log_range(t, d + off, now);
        move((void *)(d + off), (const void *)(s + off), now);
        leave(t);
        done += now;
    }
    return to;
}

void *tuza_memmove(void *to, const void *from, size_t n)
{
    return tuza__barrier_move(to, from, n, memmove);
}

void *tuza_memset(void *to, int byte, size_t n)
{
    tz_barrier_range(to, n);
    return memset(to, byte, n);
}

// A copy that keeps what an array leads to while it is sorted; NULL when there
// is nothing to keep, or no way to.
void *tuza__barrier_hold(const void *base, size_t n)
{
    struct tz_object o;
    tz_barrier_range(base, n);
    struct tz_tls *t = tz_tls_get();
    if (!counts(t) || t->locks || !t->g || t->g->is_g0 ||
        !tz_heap_find((uintptr_t)base, &o) || o.noscan)
        return NULL;
    void *held = tuza_alloc(n);
    if (held)
        memcpy(held, base, n);
    return held;
}

void tuza_qsort(void *base, size_t n, size_t size,
                int (*compare)(const void *, const void *))
{
    void *held = tuza__barrier_hold(base, n * size);
    qsort(base, n, size, compare);
    tuza_keepalive(held);
}
