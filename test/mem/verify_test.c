// SPDX-License-Identifier: BSD-3-Clause
// test: no-asan no-tsan
// test/mem/verify_test.c: gcverify=1 passes on a heap that is right, and finds
// each thing that is wrong: one is changed by hand in the stopped world.

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/event.h"
#include "gc/dying.h"
#include "gc/gc.h"
#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "mem/verify.h"
#include "tuza/gc.h"

struct pair {
    void *a, *b;
};
static const tuza_type pair_type = TUZA_TYPE(struct pair, a, b);
struct wide {
    void *word[100];
};
static const tuza_type wide_type = { sizeof(struct wide), "struct wide", 1,
                                     NULL, NULL };

static char *kept[400]; // a root
static struct wide *wide;

static void make_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3000; i++) {
        char *p = i % 3 ? tuza_alloc(64) : tuza_alloc_typed(&pair_type, 1);
        need(p);
        if (i % 10 == 0)
            kept[i / 10] = p;
    }
    for (int i = 0; i < 20; i++)
        kept[300 + i] = tuza_alloc(5000 + (size_t)i * 5000);
    kept[340] = tuza_alloc_uncollectable(48);
    kept[341] = tuza_alloc(200);
    tuza_free(kept[341]);
    wide = tuza_alloc_typed(&wide_type, 1);
}

// A heap with a past.
static void make_heap(void)
{
    for (int i = 0; i < 5; i++) {
        elsewhere(make_some, NULL);
        tuza_gc();
    }
    elsewhere(make_some, NULL);
}

// --- it is right

static void *allocate_beside(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        void *p = tuza_alloc_uncollectable((size_t)i % 3000 + 1);
        if (i % 3)
            tuza_free(p);
    }
    return NULL;
}

static void churn(void *arg)
{
    for (int i = 0; i < scaled(30000); i++) {
        void *p = tuza_alloc((size_t)(i * 37) % 4000);
        if (i % 5 == 0)
            tuza_free(p);
        if (i % 1000 == 0)
            tuza_alloc_bytes(200000);
    }
    tuza_waitgroup_done(arg);
}

static int right(int argc, char **argv)
{
    (void)argc, (void)argv;
    static tuza_waitgroup done;
    pthread_t beside;
    make_heap();
    need_eq(pthread_create(&beside, NULL, allocate_beside, NULL), 0);
    tuza_waitgroup_add(&done, 4);
    for (int i = 0; i < 4; i++)
        need_eq(tuza_spawn(churn, &done), 0);
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        if (i % 5 == 0)
            tuza_release_memory();
        tuza_yield();
    }
    tuza_waitgroup_wait(&done);
    TUZA_BLOCKING(pthread_join(beside, NULL));
    tuza_gc();
    return 0;
}

static const char *const modes[] = {
    "gcverify=1", "gcverify=1,gcevery=211", "gcverify=1,neverfree=1",
    "gcverify=1,pageperobject=1", "gcverify=1,clobberfree=1,gccheckmark=1",
};

START_TEST(a_heap_that_is_right_passes)
{
    setenv("TUZADEBUG", modes[_i], 1);
    api_run(right, 2);
}
END_TEST

// --- one thing is wrong

static struct tz_object of(const void *p)
{
    struct tz_object o;
    need(tz_heap_find((uintptr_t)p, &o));
    return o;
}

// A small object in a listed span with free places.
static struct tz_object small(void)
{
    for (int i = 0; i < 300; i++) {
        struct tz_object o = of(kept[i]);
        if (o.size == 64 && o.span->nalloc < o.span->nelems - 1)
            return o;
    }
    ck_abort_msg("none is partly free");
}

static struct tz_span *partly(void) { return small().span; }
static struct tz_span *large(void) { return of(kept[319]).span; }

static struct tz_region *home(uint32_t *page)
{
    struct tz_span *s = large();
    *page = (uint32_t)((s->base - tz_mem.region[0].base) >> TZ_PAGE_SHIFT);
    return &tz_mem.region[0];
}

// A page that nobody has, in a chunk with others in use.
static struct tz_region *nobodys(uint32_t *page)
{
    struct tz_region *r = home(page);
    for (uint32_t i = 0; i < r->pages.npages; i++) {
        if (!(r->pages.bitmap[i / 64] >> (i % 64) & 1)) {
            *page = i;
            return r;
        }
    }
    ck_abort_msg("all are used");
}

static void an_alloc_bit_too_many(void)
{
    struct tz_span *s = partly();
    uint32_t i = s->nelems - 1;
    while (s->bits->word[i / 64].alloc >> (i % 64) & 1)
        i--;
    s->bits->word[i / 64].alloc |= UINT64_C(1) << (i % 64);
}
static void an_alloc_bit_behind_the_last(void)
{
    partly()->bits->word[7].alloc |= UINT64_C(1) << 63;
}
static void a_mark_bit(void)
{
    struct tz_object o = small();
    o.bits->word[o.index / 64].mark |= UINT64_C(1) << (o.index % 64);
}
static void a_freed_bit(void)
{
    struct tz_object o = small();
    o.span->freed[o.index / 64] |= UINT64_C(1) << (o.index % 64);
}
static void nalloc(void) { partly()->nalloc++; }
static void next(void) { partly()->next = 10000; }
static void nothing_to_give(void) { partly()->next = partly()->nelems; }
static void nelems(void) { partly()->nelems--; }
static void elem_size(void) { large()->elem_size += 8192; }
static void npages(void) { partly()->npages = 2; }
static void base(void) { partly()->base += 16; }
static void region(void) { partly()->region = 1; }
static void bits(void) { partly()->bits++; }
static void freed(void) { partly()->freed += 8; }
static void types(void) { partly()->types++; }
static void spanclass(void) { partly()->spanclass++; }
static void owned(void) { partly()->state = TZ_SPAN_OWNED; }
static void manual(void) { partly()->state = TZ_SPAN_MANUAL; }
static void uncollectable(void) { partly()->uncollectable = true; }
static void swept_in(void) { partly()->swept_in -= 2; }
static void link_back(void) { partly()->node.prev = &partly()->node; }
static void off_its_list(void) { tz_list_remove(&partly()->node); }
static void another_list(void)
{
    struct tz_span *s = partly();
    tz_list_remove(&s->node);
    tz_list_push_front(&of(wide).span->node, &s->node);
}
static void class_byte(void)
{
    uint32_t page;
    home(&page)->cls[page + 1] = TZ_PAGE_FREE;
}
static void class_byte_of_none(void)
{
    uint32_t page;
    nobodys(&page)->cls[page] = 250;
}
static void span_of_a_page(void)
{
    uint32_t page;
    home(&page)->spans[page + 1] = partly();
}
static void span_of_no_page(void)
{
    uint32_t page;
    nobodys(&page)->spans[page] = partly();
}
static void wild_span(void)
{
    uint32_t page;
    home(&page)->spans[page] = (void *)kept[319];
}
static void page_is_free(void)
{
    uint32_t page;
    struct tz_region *r = home(&page);
    tz_pagealloc_put(&r->pages, page, 1);
    tz_scav_freed(r, page, 1);
}
static void page_is_lost(void)
{
    uint32_t page;
    struct tz_region *r = nobodys(&page);
    tz_pagealloc_take_at(&r->pages, page, 1);
    tz_scav_taken(r, page, 1);
}
static void bitmap(void)
{
    uint32_t page;
    struct tz_region *r = nobodys(&page);
    r->pages.bitmap[page / 64] |= UINT64_C(1) << (page % 64);
}
static void nfree(void) { tz_mem.region[0].pages.nfree++; }
static void nchunks(void) { tz_mem.region[0].pages.nchunks++; }
static void chunk(void) { tz_mem.region[0].pages.chunk[0].max++; }
static void group(void) { tz_mem.region[0].pages.group[0].start++; }
static void top(void) { tz_mem.region[0].pages.top[0].end++; }
static void first(void) { tz_mem.region[0].pages.first = 1000; }
static void limit(void)
{
    struct tz_region *r = &tz_mem.region[0];
    tz_store_rlx(&r->limit, r->limit - 8192);
}
static void released_unit(void)
{
    uint32_t page;
    struct tz_region *r = home(&page);
    r->scav.released[page / 512] |= UINT64_C(1) << (page % 512 / 8);
}
static void untouched_unit(void)
{
    uint32_t page;
    struct tz_region *r = home(&page);
    r->scav.untouched[page / 512] |= UINT64_C(1) << (page % 512 / 8);
}
static void both_units(void)
{
    struct tz_region *r = &tz_mem.region[0];
    for (uint32_t c = 0; c < r->pages.nchunks; c++)
        r->scav.released[c] |= r->scav.untouched[c];
}
static void maybe(void)
{
    struct tz_region *r = &tz_mem.region[0];
    for (uint32_t c = 0; c < r->pages.nchunks; c++)
        r->scav.untouched[c] = r->scav.maybe[c / 64] = 0;
}
// Counters that the scavenger reads as well.
static void add(uint64_t *sum, int64_t n) { tz_xadd_rlx(sum, (uint64_t)n); }
static void inuse(void) { add(&tz_mem.inuse, 8192); }
static void manual_bytes(void)
{
    add(&tz_mem.manual, 8192);
    add(&tz_mem.sys, -8192);
}
static void sys_bytes(void) { add(&tz_mem.sys, 8192); }
static void released(void) { add(&tz_mem.released, 65536); }
static void untouched(void) { add(&tz_mem.untouched, -65536); }
static void live(void) { add(&tz_mem.live, 64); }
static void releasing(void) { tz_mem.releasing++; }
static void free_header(void)
{
    need(!tz_list_empty(&tz_mem.free_spans));
    tz_list_entry(tz_mem.free_spans.next, struct tz_span, node)->state =
        TZ_SPAN_OWNED;
}
static void free_header_link(void)
{
    tz_mem.free_spans.next->prev = &partly()->node;
}
static void type(void)
{
    struct tz_object o = of(wide);
    o.span->types[o.index / 16].type[o.index % 16] = (void *)0x12345678;
}
static void type_of_no_size(void)
{
    static const tuza_type none = { 12, "none", 1, NULL, NULL };
    struct tz_object o = of(wide);
    o.span->types[o.index / 16].type[o.index % 16] = &none;
}

static const struct {
    void (*plant)(void);
    const char *text;
} faults[] = {
    { an_alloc_bit_too_many, "its number of objects (0) is 0x" },
    { an_alloc_bit_behind_the_last,
      "its alloc bits, word (7) is 0x8000000000000000, and should be 0x0" },
    { a_mark_bit, "its mark bits, word" },
    { a_freed_bit, "its freed bits, word" },
    { nalloc, "its number of objects (0) is 0x" },
    { next, "whether its search starts inside (0) is 0x0, and should be 0x1" },
    { nothing_to_give, "whether it has something to give" },
    { nelems, "its number of places" },
    { elem_size, "the size of its objects" },
    { npages, "its pages (0) is 0x2, and should be 0x1" },
    { base, "its first byte, by page" },
    { region, "its region (0) is 0x1, and should be 0x0" },
    { bits, "its alloc and mark bits" },
    { freed, "its freed bits" },
    { types, "its types" },
    { spanclass, "its class, by class byte" },
    { owned, "whether its state is listed or buried" },
    { manual, "whether it is manual, by class byte" },
    { uncollectable, "its central" },
    { swept_in, "whether it is swept, on list" },
    { link_back, "its link back, on list" },
    { off_its_list, "the spans of all lists, and buried" },
    { another_list, "its central" },
    { class_byte, "the class byte of its page" },
    { class_byte_of_none, "whether the class byte is one, of page" },
    { span_of_a_page, "the span of its page" },
    { span_of_no_page, "the span of a page of none, page" },
    { wild_span, "a span's header, by its address" },
    { page_is_free, "whether it is used, its page" },
    { page_is_lost, "the pages that are being released (0) is 0x0" },
    { bitmap, "the number of free pages" },
    { nfree, "the number of free pages" },
    { nchunks, "the number of chunks" },
    { chunk, "the summary of chunk (0)" },
    { group, "the summary of group (0)" },
    { top, "the summary of top (0)" },
    { first, "the first chunk with free pages" },
    { limit, "the grown bytes of a region" },
    { released_unit, "the released units of chunk" },
    { untouched_unit, "the untouched units of chunk" },
    { both_units, "the units released and untouched of chunk" },
    { maybe, "whether there may be idle units in chunk" },
    { inuse, "bytes in use" },
    { manual_bytes, "bytes of manual spans" },
    { sys_bytes, "bytes mapped" },
    { released, "bytes released" },
    { untouched, "bytes untouched" },
    { live, "bytes alive" },
    { releasing, "the pages that are being released (0) is 0x1" },
    { free_header, "the state of a free header" },
    { free_header_link, "the link back of a free header" },
    { type, "whether the type is one, of object" },
    { type_of_no_size, "whether the type is one, of object" },
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

// A look at the heap puts caches back and clears what was freed by hand, with no
// sweep to follow.
static void *same_class[16];

static void look_at_heap(void)
{
    int null = open("/dev/null", O_WRONLY);
    need_eq(tuza_heap_summary(null), 0);
    close(null);
}

static int free_look_and_fill(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_gc();
    for (int i = 0; i < 8; i++) // half of a span
        same_class[i] = tuza_alloc(512);
    look_at_heap();
    for (int i = 0; i < 4; i++)
        tuza_free(same_class[i]);
    look_at_heap();
    for (int i = 8; i < 16; i++)
        same_class[i] = tuza_alloc(512);
    tuza_gc();
    tuza_keepalive(same_class);
    return 0;
}

START_TEST(what_is_free_after_a_look_is_not_behind_the_next)
{
    setenv("TUZADEBUG", "gcverify=1,gcmode=m0", 1);
    api_run(free_look_and_fill, 1);
}
END_TEST

static int fault; // which

static void look(struct tz_gcwork *w, uint32_t njobs, void *arg)
{
    (void)w, (void)njobs, (void)arg;
    tz_heap_verify("as it was", true);
    tz_lock_acquire(&tz_mem.lock); // the scavenger goes on
    faults[fault].plant();
    tz_lock_release(&tz_mem.lock);
    tz_heap_verify("with a fault", true);
}

static int plant(int argc, char **argv)
{
    (void)argc, (void)argv;
    make_heap();
    tuza_free(tuza_alloc(100000)); // a header that is free
    tz_gc_look(look, NULL);
    return 0;
}

static void planting_child(void)
{
    setenv("TUZADEBUG", "gcverify=1", 1); // caches give their pages back
    api_run(plant, 1);
}

START_TEST(each_thing_that_is_wrong_is_found)
{
    fault = _i;
    const char *const texts[] = { "gcverify, with a fault: ", faults[_i].text,
                                  NULL };
    api_ended_with(api_child(planting_child, 25), -SIGABRT, texts);
}
END_TEST

// --- a collection looks between its phases

static uint64_t at_event;

static void plant_then(enum tz_event kind, uint64_t what, uint64_t cycles)
{
    (void)kind, (void)cycles;
    if (what == at_event)
        partly()->nalloc++;
}

static struct tz_listener listener = { .fn = plant_then };

static int plant_between(int argc, char **argv)
{
    (void)argc, (void)argv;
    make_heap();
    tz_crit_enter();
    while (tz_central_sweep_one() || !tz_central_swept())
        ;
    tz_crit_leave();
    if (at_event == TZ_EV_GC_BEGIN) // a mark that was not swept away
        of(wide).bits->word[0].mark |= of(wide).bits->word[0].alloc;
    else
        tz_event_want(&listener, 1u << TZ_EV_GC);
    tuza_gc();
    return 0;
}

static void between_child(void)
{
    setenv("TUZADEBUG", "gcverify=1", 1);
    api_run(plant_between, 1);
}

START_TEST(what_was_wrong_before_the_mark_is_found_then)
{
    static const char *const texts[] = {
        "gcverify, before the mark: span 0x", "its mark bits, word", NULL
    };
    at_event = TZ_EV_GC_BEGIN;
    api_ended_with(api_child(between_child, 25), -SIGABRT, texts);
}
END_TEST

START_TEST(what_the_mark_makes_wrong_is_found_after_it)
{
    static const char *const texts[] = {
        "gcverify, after the mark: span 0x", "its number of objects", NULL
    };
    at_event = TZ_EV_GC_MARKED;
    api_ended_with(api_child(between_child, 25), -SIGABRT, texts);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verify");
    TCase *t = tcase_create("verify");
    tcase_add_loop_test(t, a_heap_that_is_right_passes, 0,
                        sizeof modes / sizeof modes[0]);
    tcase_add_loop_test(t, each_thing_that_is_wrong_is_found, 0, FAULTS);
    tcase_add_test(t, what_is_free_after_a_look_is_not_behind_the_next);
    tcase_add_test(t, what_was_wrong_before_the_mark_is_found_then);
    tcase_add_test(t, what_the_mark_makes_wrong_is_found_after_it);
    tcase_set_timeout(t, 30);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
