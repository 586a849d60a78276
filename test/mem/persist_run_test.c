// SPDX-License-Identifier: BSD-3-Clause
// test/mem/persist_run_test.c: persistent memory in a running program.

#include "base/san.h"
#include "mem/malloc.h"
#include "sched/proc.h"
#include "support/goroutines.h"

// What is left of the stack when persistent memory is entered: 200 bytes.
// Unoptimized and instrumented frames are larger.
enum { LITTLE = TZ_ASAN || TZ_TSAN || TZ_DEBUG ? 2048 : 200, WRAPPER = 24 };

struct request {
    size_t n, align;
    bool roots;
    char *p;
};

static void enter(void *arg)
{
    struct request *r = arg;
    r->p = r->roots ? tz_persist_alloc_roots(r->n, r->align)
                    : tz_persist_alloc(r->n, r->align);
}

// On the last bytes of the goroutine's own stack.
static char *with_little_stack(size_t n, size_t align, bool roots)
{
    struct request r = { n, align, roots, NULL };
    uintptr_t lo = tz_tls_get()->g->stack.lo;
    tz_ctx_call_on(tz_align_up(lo + LITTLE + WRAPPER, 16), enter, &r);
    return r.p;
}

static int all_done; // atomic

static void collect_often(void *arg)
{
    (void)arg;
    while (!tz_load(&all_done)) {
        tuza_gc();
        tuza_yield();
    }
}

static int little_stack(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_spawn(collect_often, NULL);
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < 20; k++)
            need(with_little_stack(100, 64, false));
        char *p = with_little_stack(60000, 4096, false);
        need(p && (uintptr_t)p % 4096 == 0 && p[59999] == 0);
        p = with_little_stack(65536, 0, false);
        need(p && p[65535] == 0);
        need(with_little_stack(30000, 0, true));
        tuza_yield();
    }
    tz_store(&all_done, 1);
    return 0;
}

START_TEST(s4_08_it_is_called_with_nearly_no_stack_left)
{
    api_run(little_stack, 2);
}
END_TEST

// In a declared call there is no P: the shared chunk, and its lock.
static int little_stack_in_a_call(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_spawn(collect_often, NULL);
    for (int i = 0; i < 100; i++) {
        char *p = TUZA_SYSCALL(with_little_stack(30000, 64, false));
        need(p && (uintptr_t)p % 64 == 0);
    }
    tz_store(&all_done, 1);
    return 0;
}

START_TEST(s4_08_in_a_declared_call_too)
{
    api_run(little_stack_in_a_call, 2);
}
END_TEST

// What the stopped world shows, counted.
static struct {
    int gs, spans, ranges, pages;
    const char *wrong; // the first thing that is where it may not be
} found;

static void need_persistent(const void *p, size_t n, const char *what)
{
    struct tz_object o;
    uintptr_t at = (uintptr_t)p;
    if (tz_heap_find(at, &o) || tz_heap_region(at) ||
        tz_heap_region(at + n - 1) || !tz_persist_contains(p) ||
        !tz_persist_contains((const char *)p + n - 1))
        found.wrong = found.wrong ? found.wrong : what;
}

static void look_at_range(void *arg, uintptr_t lo, uintptr_t hi)
{
    (void)arg;
    found.ranges++;
    for (uintptr_t at = lo; at < hi; at += 4096)
        need_persistent((void *)at, 1, "a persistent block");
}

static void look_at_spans(const struct tz_region *r)
{
    size_t npages = tz_min((size_t)r->pages.nchunks * TZ_CHUNK_PAGES,
                           tz_mem.sys / TZ_PAGE_SIZE); // what is grown
    for (size_t page = 0; page < npages; page++) {
        uintptr_t at = r->base + page * TZ_PAGE_SIZE;
        if (tz_persist_contains((void *)at))
            found.wrong = "a page of the heap";
        found.pages++;
        if (!r->spans[page])
            continue;
        need_persistent(r->spans[page], sizeof *r->spans[page], "a span");
        found.spans++;
    }
    if (tz_heap_region((uintptr_t)r->tables) ||
        tz_heap_region((uintptr_t)r->tables + r->tables_size - 1))
        found.wrong = "a table of the heap";
}

static void look(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < tz_allg_count(); i++) {
        found.gs += tz_allg_get(i)->status != TZ_G_DEAD;
        need_persistent(tz_allg_get(i), sizeof(struct tz_g), "a G");
    }
    for (struct tz_m *m = tz_sched.allm; m; m = m->alllink)
        need_persistent(m, sizeof *m, "an M");
    for (uint32_t i = 0; i < tz_sched.nallp; i++) {
        struct tz_p *p = tz_sched.allp[i];
        need_persistent(p, sizeof *p, "a P");
        need_persistent(p->cache, sizeof *p->cache, "a P's cache");
        need_persistent(p->stacks, 64, "a P's stacks");
        need_persistent(p->timers, 64, "a P's timers");
    }
    for (uint32_t i = 0; i < tz_mem.nregions; i++)
        look_at_spans(&tz_mem.region[i]);
    tz_persist_each(TZ_PERSIST_PLAIN, look_at_range, NULL);
    tz_persist_each(TZ_PERSIST_ROOTS, look_at_range, NULL);
}

static void work(void *arg)
{
    (void)arg;
    void *volatile kept[20];
    for (int i = 0; i < 20; i++)
        kept[i] = tuza_alloc((size_t)i * 500);
    tuza_sleep(1000 * TZ_NSEC_PER_SEC);
    tuza_keepalive(kept[19]);
}

static int look_at_all(int argc, char **argv)
{
    (void)argc, (void)argv;
    need(tz_persist_alloc(100000, 0) && tz_persist_alloc_roots(100000, 0));
    for (int i = 0; i < 300; i++)
        tuza_spawn(work, NULL);
    until_waiting(300); // their timers have made the heaps of timers grow
    tz_world_call(look, NULL);
    ck_assert_msg(!found.wrong, "%s is not where it ought to be", found.wrong);
    need(found.gs > 300 && found.spans > 100 && found.pages >= found.spans);
    need(found.ranges >= 4);
    return 0;
}

START_TEST(s4_09_no_metadata_lies_in_the_heap)
{
    api_run(look_at_all, 2);
}
END_TEST

int main(void)
{
    return api_check("mem/persist_run",
                     (const TTest *const[]){
                         s4_08_it_is_called_with_nearly_no_stack_left,
                         s4_08_in_a_declared_call_too,
                         s4_09_no_metadata_lies_in_the_heap, NULL });
}
