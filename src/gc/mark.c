// SPDX-License-Identifier: BSD-3-Clause
// gc/mark.c: marking.
//
// Every word that lies in the heap's range is pushed as it is; when it is
// popped, the line of its bits is prefetched, and sixteen pops later it is
// resolved: page, class, index, alloc bit. An object whose mark bit we are the
// first to set is pushed in turn, as a piece that is to be scanned, and asked for
// when that is popped. So a cache miss on one object is spent on fifteen others,
// and the many words that lead to what is marked already never touch it: to ask
// for both at once took four times as long where pages are not in the TLB. Depth
// first keeps the stack short (Cher, Hosking, Vitek: Software prefetching for
// mark-sweep garbage collection).
//
// While the bits of the heap fit the cache, a word is resolved where it is read,
// and nothing waits in the queue.
//
// Where there was no memory to remember all words (gc/work.c), the marked
// objects are scanned once more, in the order of addresses.
//
// Of a typed object the words are scanned that its type's record names, which
// lies beside the bits (mem/types.c).
//
// An interior pointer counts, one past the end does not. Objects above 128 KiB
// are scanned in several pieces, so that workers share them: a pushed word with
// bit 0 set is the address of a piece.

#include "gc/mark.h"

#include "base/bits.h"
#include "base/san.h"
#include "gc/markroot.h"
#include "mem/mheap.h"
#include "tuza/mem.h"

enum {
    OBLET = 128 * 1024,
    PIECE = 1,
    PREFETCH = 256,
    SMALL_HEAP = 64 << 20 // its bits (a 64th) stay in the cache
};

// The region of a word that tz_mark_range has let through, and its page.
static inline struct tz_region *region_of(uintptr_t word, size_t *page)
{
    struct tz_region *r = tz_heap_region(word);
    *page = (word - r->base) >> TZ_PAGE_SHIFT;
    return r;
}

// What visiting it will look at: of a word the bits, of a piece what it holds.
TZ_NO_SANITIZE static void prefetch(uintptr_t word)
{
    size_t page;
    struct tz_region *r = region_of(word, &page);
    // Of a word into a page without objects, anything.
    const struct tz_sizeclass *c =
        &tz_sizeclass[(uint8_t)(r->cls[page] - 1) % TZ_SPANCLASS_COUNT];
    if (!(word & PIECE)) {
        // Only of objects of 16 bytes a page's second half has the second line.
        bool upper = c->size < 32 && word & (TZ_PAGE_SIZE / 2);
        __builtin_prefetch(&r->bits[page].word[upper ? 4 : 0]);
        return;
    }
    if (c->kind == TZ_TYPED)
        __builtin_prefetch((char *)&r->types[page] +
                           (word & (TZ_PAGE_SIZE / 2) ? TZ_CACHE_LINE : 0));
    // A few lines, the hardware finds the rest.
    for (uint32_t off = 0; off < PREFETCH && off < c->size; off += TZ_CACHE_LINE)
        __builtin_prefetch((void *)(word + off));
    if (c->size == 0)
        __builtin_prefetch((void *)word);
}

// A found object's first bytes, size and bits.
struct found {
    uintptr_t base;
    size_t size;
    struct tz_pagebits *bits;
    union tz_typerec *types; // of the page that bits are of
    uint32_t index;
    uint32_t kind;
};

TZ_NO_SANITIZE static struct found object_of_span(const struct tz_span *s,
                                                  uint32_t i)
{
    return (struct found){ .base = s->base + i * s->elem_size,
                           .size = s->elem_size,
                           .bits = s->bits,
                           .types = s->types,
                           .index = i,
                           .kind = tz_sizeclass[s->spanclass].kind };
}

// False: no span there.
TZ_NO_SANITIZE static bool resolve(uintptr_t word, struct found *f)
{
    size_t page;
    struct tz_region *r = region_of(word, &page);
    if (page >= (size_t)r->pages.nchunks * TZ_CHUNK_PAGES)
        return false;
    // Acquire: a span may be made at this moment (mem/mheap.c: span_take).
    unsigned cls = tz_load_acq(&r->cls[page]);
    if (!tz_page_has_objects(cls))
        return false;
    const struct tz_sizeclass *c = &tz_sizeclass[cls - 1];
    f->kind = c->kind;
    if (c->npages == 1) {
        // The usual case needs no span: it is one page.
        uint32_t off = word & (TZ_PAGE_SIZE - 1);
        f->index = (uint32_t)(((uint64_t)off * c->magic) >> 32);
        f->size = c->size;
        f->base = (word - off) + f->index * c->size;
        f->bits = &r->bits[page];
        f->types = &r->types[page];
        return true;
    }
    const struct tz_span *s = r->spans[page];
    f->index = tz_sizeclass_index(cls - 1u, word - s->base);
    f->size = s->elem_size;
    f->base = s->base + f->index * f->size;
    f->bits = s->bits;
    f->types = s->types;
    return true;
}

TZ_NORETURN TZ_COLD static void lost(const struct tz_gcwork *w,
                                     const struct found *f)
{
    struct tz_object o;
    if (w->told && tz_heap_find(w->at, &o))
        tz_fatal("gcmode=m3: the object of %zu bytes at %p is lost, and the word at %p "
                 "leads to it, %zu bytes into an object of %zu at %p: a store was "
                 "not told to the collector, of the one pointer or the other",
                 f->size, (void *)f->base, (void *)w->at,
                 (size_t)(w->at - o.base), o.size, (void *)o.base);
    tz_throw("gccheckmark: the object of %zu bytes at %p is not marked, and the "
             "word at %p leads to it",
             f->size, (void *)f->base, (void *)w->at);
}

// Sets a mark bit; false when there is no object or it was marked.
TZ_NO_SANITIZE TZ_INLINE bool mark_bit(bool alone, struct tz_pagebits *bits,
                                       uint32_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    uint32_t i = index / 64;
    if (!(tz_load_rlx(&bits->word[i].alloc) & bit) ||
        (tz_load_rlx(&bits->word[i].mark) & bit))
        return false;
    if (alone) { // an atomic operation is half of what a small mark costs
        bits->word[i].mark |= bit;
        return true;
    }
    // Relaxed: the bit is all that workers race for, with each other and with who
    // allocates; what an object holds is looked at again if it was written.
    return !(tz_xor_bits_rlx(&bits->word[i].mark, bit) & bit);
}

TZ_NO_SANITIZE static inline bool mark(const struct tz_gcwork *w,
                                       const struct found *f)
{
    bool first = mark_bit(w->alone, f->bits, f->index);
    if (first && tz_unlikely(w->check))
        lost(w, f);
    return first;
}

// When words were dropped: marks the object at once, so that no word has to be
// remembered; that it is to be scanned may be forgotten, for it is marked.
static void mark_now(struct tz_gcwork *w, uintptr_t word)
{
    struct found f;
    if (tz_unlikely(w->visit)) {
        w->visit(w, word);
        return;
    }
    if (!tz_heap_region(word) || !resolve(word & ~(uintptr_t)7, &f) ||
        !mark(w, &f))
        return;
    w->marked += f.size;
    for (size_t off = 0; f.kind != TZ_NOSCAN && off < f.size; off += OBLET)
        tz_work_push(w, (f.base + off) | PIECE);
}

// What the loops need of the first region.
struct view {
    uintptr_t base;
    size_t limit;
    const uint8_t *cls;
    struct tz_pagebits *bits;
    bool others; // there are more regions
    bool near;   // the bits stay in the cache: what a word leads to is marked where
                 // it is found
};

TZ_INLINE struct view view_of(const struct tz_gcwork *w)
{
    const struct tz_region *r = &tz_mem.region[0];
    struct view v = { r->base, tz_load_rlx(&r->limit), r->cls, r->bits,
                      tz_mem.nregions > 1, false };
    v.near = v.limit <= SMALL_HEAP && !w->watched;
    return v;
}

// Marks what a word of the first region leads to, if it is on a page of its own
// span; what is to be looked into is pushed as a piece. False: the word is for
// others to resolve.
TZ_NO_SANITIZE TZ_INLINE bool mark_here(struct tz_gcwork *w, const struct view *v,
                                        uintptr_t word)
{
    size_t page = (word - v->base) >> TZ_PAGE_SHIFT;
    unsigned cls = tz_load_acq(&v->cls[page]);
    if (!tz_page_has_objects(cls))
        return true;
    const struct tz_sizeclass *c = &tz_sizeclass[cls - 1];
    if (tz_unlikely(c->npages != 1))
        return false;
    uint32_t off = word & (TZ_PAGE_SIZE - 1), size = c->size;
    uint32_t index = (uint32_t)(((uint64_t)off * c->magic) >> 32);
    if (!mark_bit(w->alone, &v->bits[page], index))
        return true;
    w->marked += size;
    if (c->kind != TZ_NOSCAN) {
        uintptr_t at = word - off + index * size;
        __builtin_prefetch((void *)at);
        tz_work_push(w, at | PIECE);
    }
    return true;
}

TZ_NO_SANITIZE TZ_INLINE void mark_word(struct tz_gcwork *w, const struct view *v,
                                        uintptr_t word)
{
    if (tz_likely(word - v->base < v->limit)) {
        if (!v->near || !mark_here(w, v, word))
            tz_work_push(w, word & ~(uintptr_t)7);
    } else if (v->others && tz_heap_region(word)) {
        tz_work_push(w, word & ~(uintptr_t)7);
    }
}

// From the last word to the first: what the first leads to is popped first then,
// which is often what was allocated first.
TZ_NO_SANITIZE TZ_INLINE void mark_words(struct tz_gcwork *w, const struct view *v,
                                         uintptr_t lo, uintptr_t hi)
{
    for (const uintptr_t *p = (const uintptr_t *)hi; p > (const uintptr_t *)lo;)
        mark_word(w, v, tz_load_rlx(--p));
}

TZ_NO_SANITIZE void tz_mark_range(struct tz_gcwork *w, uintptr_t lo,
                                  uintptr_t hi)
{
    if (tz_unlikely(hi < lo || (lo | hi) % sizeof(uintptr_t) || hi >> 47 != 0))
        tz_throw("scan of %zd bytes at %p: not a range of words",
                 (ssize_t)(hi - lo), (void *)lo);
    if (tz_unlikely(w->again)) {
        for (w->at = lo; w->at < hi; w->at += sizeof(uintptr_t))
            mark_now(w, *(const uintptr_t *)w->at);
        return;
    }
    struct view v = view_of(w);
    mark_words(w, &v, lo, hi);
}

// --- typed objects

// The words that a bit stands for, from the last one.
TZ_NO_SANITIZE TZ_INLINE void mark_bits(struct tz_gcwork *w, const struct view *v,
                                        uintptr_t at, uint64_t bits)
{
    while (bits) {
        unsigned i = tz_log2(bits);
        uintptr_t p = at + i * sizeof(uintptr_t);
        uintptr_t word = tz_load_rlx((const uintptr_t *)p);
        bits &= ~(UINT64_C(1) << i);
        if (tz_unlikely(w->again)) {
            w->at = p;
            mark_now(w, word);
        } else {
            mark_word(w, v, word);
        }
    }
}

// Of a small object, from the bits of its page.
TZ_NO_SANITIZE TZ_INLINE uint64_t small_bits(const union tz_typerec *types,
                                             uintptr_t base, size_t size)
{
    uint32_t at = (base & (TZ_PAGE_SIZE - 1)) / sizeof(uintptr_t);
    uint32_t n = (uint32_t)(size / sizeof(uintptr_t)), shift = at % 64;
    const uint64_t *rec = &types->pointers[at / 64];
    uint64_t bits = rec[0] >> shift;
    if (shift + n > 64)
        bits |= rec[1] << (64 - shift);
    return bits & tz_mask64(n);
}

TZ_NO_SANITIZE static void scan_bits(struct tz_gcwork *w, uintptr_t at,
                                     uint64_t bits)
{
    struct view v = view_of(w);
    mark_bits(w, &v, at, bits);
}

TZ_NO_SANITIZE static void scan_small_typed(struct tz_gcwork *w,
                                            const struct found *f)
{
    scan_bits(w, f->base, small_bits(f->types, f->base, f->size));
}

// The elements that begin in [lo, hi) of an object, by its type.
TZ_NO_SANITIZE static void scan_typed(struct tz_gcwork *w,
                                      const struct found *f, uintptr_t lo,
                                      uintptr_t hi)
{
    TZ_CHECK(lo >= f->base);
    const tuza_type *t = f->types[f->index / 16].type[f->index % 16];
    if (!t)
        return; // being allocated: all zero
    size_t words = t->size / sizeof(uintptr_t);
    uintptr_t end = f->base + f->size;
    uintptr_t e = f->base + (lo - f->base + t->size - 1) / t->size * t->size;
    for (; e < hi && e + t->size <= end; e += t->size) {
        if (!t->mask) {
            scan_bits(w, e, t->bits & tz_mask64((unsigned)tz_min(words, 64)));
            continue;
        }
        for (size_t i = 0; i < words; i += 64)
            scan_bits(w, e + i * sizeof(uintptr_t),
                      t->mask[i / 64] &
                          tz_mask64((unsigned)tz_min(words - i, 64)));
    }
}

// The part [lo, hi) of an object.
static void scan_part(struct tz_gcwork *w, const struct found *f, uintptr_t lo,
                      uintptr_t hi)
{
    if (f->kind == TZ_SCAN)
        tz_mark_range(w, lo, hi);
    else if (f->size <= TZ_BITS_MAX)
        scan_small_typed(w, f);
    else
        scan_typed(w, f, lo, hi);
}

static TZ_NOINLINE void scan_piece(struct tz_gcwork *w, uintptr_t at)
{
    struct found f;
    TZ_CHECK(resolve(at, &f));
    uintptr_t end = tz_min(at + OBLET, f.base + f.size);
    w->looked += end - at;
    scan_part(w, &f, at, end);
}

// An object that has just been marked; its pieces from byte `from` on only pushed.
static void push_pieces(struct tz_gcwork *w, const struct found *f, size_t from)
{
    w->marked += f->size;
    for (size_t off = from; f->kind != TZ_NOSCAN && off < f->size; off += OBLET)
        tz_work_push(w, (f->base + off) | PIECE);
}

static void scan_object(struct tz_gcwork *w, const struct found *f)
{
    push_pieces(w, f, OBLET);
    if (f->kind != TZ_NOSCAN)
        scan_part(w, f, f->base, f->base + tz_min(f->size, OBLET));
}

TZ_NO_SANITIZE void tz_mark_uncollectable(struct tz_gcwork *w, struct tz_span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++) {
        struct found f = object_of_span(s, i);
        if (tz_unlikely(w->visit)) {
            w->at = 0;
            if (f.bits->word[i / 64].alloc >> (i % 64) & 1)
                w->visit(w, f.base);
        } else if (mark(w, &f)) {
            scan_object(w, &f);
        }
    }
}

static void visit(struct tz_gcwork *w, uintptr_t word)
{
    struct found f;
    if (tz_unlikely(word & PIECE))
        scan_piece(w, word - PIECE);
    else if (resolve(word, &f) && mark(w, &f))
        push_pieces(w, &f, 0);
}

TZ_NO_SANITIZE void tz_mark_look(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi)
{
    struct found f;
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        uintptr_t word = tz_load_rlx((const uintptr_t *)at) & ~(uintptr_t)7;
        if (!tz_heap_region(word) || !resolve(word, &f))
            continue;
        bool first = mark(w, &f);
        if (first)
            w->marked += f.size;
        // One that is not collected may be marked, and its pieces only pushed.
        if ((first || f.size > OBLET) && f.kind != TZ_NOSCAN)
            scan_part(w, &f, f.base, f.base + f.size);
    }
}

// --- what was written since it was scanned

// The part of an object that [lo, hi) may have changed.
TZ_NO_SANITIZE static void scan_written(struct tz_gcwork *w, const struct found *f,
                         uintptr_t lo, uintptr_t hi)
{
    uintptr_t end = f->base + f->size;
    lo = tz_max(lo, f->base);
    if (f->kind == TZ_SCAN) {
        tz_mark_range(w, lo, tz_min(hi, end));
    } else if (f->size <= TZ_BITS_MAX) {
        scan_small_typed(w, f);
    } else {
        const tuza_type *t = f->types[f->index / 16].type[f->index % 16];
        if (t) // an element may begin before lo
            scan_typed(w, f, lo - f->base < t->size ? f->base : lo - t->size,
                       tz_min(hi, end));
    }
}

TZ_NO_SANITIZE static void scan_written_of_span(struct tz_gcwork *w,
                                                const struct tz_span *s,
                                                uintptr_t lo, uintptr_t hi)
{
    lo = tz_max(lo, s->base);
    for (uint32_t i = tz_sizeclass_index(s->spanclass, lo - s->base);
         i < s->nelems && s->base + i * s->elem_size < hi; i++) {
        if (!(tz_load_rlx(&s->bits->word[i / 64].mark) >> (i % 64) & 1))
            continue;
        struct found f = object_of_span(s, i);
        scan_written(w, &f, lo, hi);
    }
}

TZ_NO_SANITIZE void tz_mark_written(struct tz_gcwork *w, uintptr_t lo,
                                    uintptr_t hi)
{
    while (lo < hi) {
        size_t page;
        struct tz_region *r = region_of(lo, &page);
        uintptr_t end = tz_min(hi, r->base + ((page + 1) << TZ_PAGE_SHIFT));
        unsigned cls = tz_load_acq(&r->cls[page]);
        if (tz_page_has_objects(cls) && tz_sizeclass[cls - 1].kind != TZ_NOSCAN) {
            const struct tz_span *s = tz_load_rlx(&r->spans[page]);
            end = tz_min(hi, s->base + ((size_t)s->npages << TZ_PAGE_SHIFT));
            scan_written_of_span(w, s, lo, end);
        }
        lo = end;
    }
}

// Takes the oldest word of the prefetch queue.
static uintptr_t fifo_take(struct tz_gcwork *w)
{
    uintptr_t word = w->fifo[w->fifo_at];
    w->fifo_at = (w->fifo_at + 1) % TZ_FIFO;
    w->fifo_n--;
    return word;
}

// Fills the prefetch queue and looks at its oldest word. False: there is none.
TZ_INLINE bool step(struct tz_gcwork *w)
{
    uintptr_t word;
    while (w->fifo_n < TZ_FIFO && tz_work_pop(w, &word)) {
        prefetch(word);
        w->fifo[(w->fifo_at + w->fifo_n++) % TZ_FIFO] = word;
    }
    if (w->fifo_n == 0)
        return false;
    visit(w, fifo_take(w));
    return true;
}

void tz_mark_put_back(struct tz_gcwork *w)
{
    while (w->fifo_n)
        tz_work_push(w, fifo_take(w));
    tz_work_give(w);
}

TZ_INLINE void share_now_and_then(struct tz_gcwork *w)
{
    if (--w->countdown == 0) {
        w->countdown = 256;
        tz_work_share(w);
    }
}

// When to look around: words looked at, and what w->marked and w->looked are then.
struct limit {
    uint64_t words, marked, looked;
};

TZ_INLINE bool is_within(const struct limit *most, const struct tz_gcwork *w,
                         uint64_t words)
{
    return words < most->words && w->marked < most->marked &&
           w->looked < most->looked;
}

// The same as visiting what is popped, where most are pieces that are small objects.
// False: nothing is left here.
TZ_NO_SANITIZE static bool drain_near(struct tz_gcwork *w, const struct limit *most)
{
    struct view v = view_of(w);
    uintptr_t word;
    while (w->fifo_n)
        visit(w, fifo_take(w));
    for (uint64_t n = 0; is_within(most, w, n); n++, share_now_and_then(w)) {
        if (!tz_work_pop(w, &word))
            return false;
        uintptr_t at = word - PIECE;
        if (!(word & PIECE) || at - v.base >= v.limit) {
            visit(w, word);
            continue;
        }
        size_t page = (at - v.base) >> TZ_PAGE_SHIFT;
        const struct tz_sizeclass *c = &tz_sizeclass[v.cls[page] - 1];
        uint32_t size = c->size;
        if (c->npages != 1 || size > TZ_BITS_MAX)
            scan_piece(w, at);
        else if (c->kind == TZ_SCAN)
            mark_words(w, &v, at, at + size);
        else
            mark_bits(w, &v, at,
                      small_bits(&tz_mem.region[0].types[page], at, size));
    }
    return true;
}

static bool is_near(const struct tz_gcwork *w)
{
    return view_of(w).near && !w->again;
}

// Until this worker has nothing left.
static void drain(struct tz_gcwork *w)
{
    static const struct limit none = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
    if (is_near(w)) {
        (void)drain_near(w, &none);
        return;
    }
    for (; step(w); share_now_and_then(w))
        ;
}

bool tz_mark_some(struct tz_gcwork *w, uint64_t bytes)
{
    struct limit most = { bytes / 32, w->marked + bytes, w->looked + 4 * bytes };
    if (is_near(w))
        return drain_near(w, &most);
    for (uint64_t n = 0; is_within(&most, w, n); n++)
        if (!step(w))
            return false;
    return true;
}

void tz_mark_drain(struct tz_gcwork *w)
{
    do
        drain(w);
    while (!tz_work_all_done());
}

// Scans the marked objects of the span that begins at a page.
static void scan_span_again(struct tz_gcwork *w, const struct tz_span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++) {
        if (!(s->bits->word[i / 64].mark >> (i % 64) & 1))
            continue;
        struct found f = object_of_span(s, i);
        if (f.kind != TZ_NOSCAN)
            scan_part(w, &f, f.base, f.base + f.size);
        drain(w);
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
    for (uint32_t job = 0; job < njobs; job++) {
        tz_markroot(w, job);
        drain(w);
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
    struct found f;
    TZ_CHECK(resolve(base, &f) && f.base == base);
    if (f.kind != TZ_NOSCAN)
        scan_part(w, &f, f.base, f.base + f.size);
}

// --- what is decided when all is marked

void tz_mark_rest(struct tz_gcwork *w, uint32_t njobs)
{
    drain(w);
    if (tz_work_dropped())
        tz_mark_again(w, njobs);
}

bool tz_mark_watched(struct tz_gcwork *w, uint32_t njobs,
                     void (*fn)(struct tz_gcwork *w, uintptr_t base))
{
    uintptr_t word;
    struct found f;
    while (tz_work_pop(w, &word)) {
        if (word & PIECE) {
            scan_piece(w, word - PIECE);
        } else if (resolve(word, &f) && mark(w, &f)) {
            scan_object(w, &f);
            fn(w, f.base);
        }
    }
    if (!tz_work_dropped())
        return true;
    tz_mark_again(w, njobs);
    return false;
}

bool tz_mark_is(uintptr_t p)
{
    struct found f;
    TZ_CHECK(tz_heap_region(p) && resolve(p, &f) && f.base == p);
    return f.bits->word[f.index / 64].mark >> (f.index % 64) & 1;
}

void tz_mark_set(struct tz_gcwork *w, uintptr_t p)
{
    struct found f;
    TZ_CHECK(resolve(p, &f) && mark(w, &f));
    scan_object(w, &f);
}

void tz_mark_unset(struct tz_gcwork *w, uintptr_t p)
{
    struct found f;
    TZ_CHECK(resolve(p, &f));
    f.bits->word[f.index / 64].mark &= ~(UINT64_C(1) << (f.index % 64));
    w->marked -= f.size;
}
