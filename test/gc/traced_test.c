// SPDX-License-Identifier: BSD-3-Clause
// test/gc/traced_test.c: objects whose type has a trace procedure keep what it tells
// of, whatever their words look like, and nothing else.

#include "gc/dying.h"
#include "gc/told.h"

// A list whose links are no pointers as they stand.
struct cell {
    const tuza_type *type;
    uintptr_t next; // complement of an address
    uint64_t number;
    void *plain; // not told of
};
static uint32_t traces; // atomic

static void trace_cell(tuza_tracer *tracer, const void *object, size_t size)
{
    const struct cell *c = object;
    need(size >= sizeof *c);
    __atomic_add_fetch(&traces, 1, __ATOMIC_RELAXED);
    if (c->next)
        tuza_trace(tracer, (void *)~c->next);
}

static const tuza_type cell_type = TUZA_TRACED_TYPE(struct cell, trace_cell);

enum { CELLS = 20000, N = 64 };
static struct cell *volatile first;
static uintptr_t canaries[2][N];
static uint32_t done; // atomic

static void build(void *arg)
{
    size_t n = *(size_t *)arg; // cells of an object
    struct cell *last = NULL;
    int percent = tuza_gc_set_percent(-1); // nothing else keeps the canaries
    for (int i = 0; i < CELLS / (int)n; i++) {
        struct cell *c = tuza_alloc_typed(&cell_type, n);
        need(c && c->type == &cell_type && c->next == 0 && c->plain == NULL);
        c->number = (uint64_t)i;
        if (last)
            last->next = hide(c);
        else
            first = c;
        if (i < N) // the last word of the object
            ((void **)((char *)c + n * sizeof *c))[-1] = (void *)~canaries[1][i];
        last = c;
    }
    struct cell *end = tuza_alloc_typed(&cell_type, 1);
    end->next = canaries[0][0];
    last->next = hide(end);
    tuza_gc_set_percent(percent);
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
}

static NOINLINE void need_list(size_t n)
{
    const struct cell *c = first;
    for (int i = 0; i < CELLS / (int)n; i++) {
        need(tuza_object_of(c, NULL) >= n * sizeof *c);
        need(c->type == &cell_type && c->number == (uint64_t)i);
        c = (const struct cell *)~c->next;
    }
}

static void list_of(size_t n)
{
    int percent = tuza_gc_set_percent(-1);
    make_canaries(canaries[0], N, 48);
    make_canaries(canaries[1], N, 48);
    done = 0;
    tuza_spawn(build, &n);
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        tuza_yield();
    tuza_gc_set_percent(percent);
    traces = 0;
    collect_well();
    need(traces >= CELLS / n);
    need_list(n);
    need(is_there(canaries[0][0]));
    need_reclaimed(canaries[1], N); // as all words that are not told of
    first = NULL;
}

static void lists(void)
{
    list_of(1);    // of 32 bytes
    list_of(10);   // of 320
    list_of(100);  // of 3,200, whose type is in the record
    list_of(5000); // in two pieces
}

IN_GOROUTINES(what_a_trace_procedure_tells_of_is_kept, 2) { lists(); }

#define IN_MODE(mode)                                                          \
    static int mode##_program(int argc, char **argv)                           \
    {                                                                          \
        (void)argc, (void)argv;                                                \
        lists();                                                               \
        return 0;                                                              \
    }                                                                          \
    START_TEST(mode##_keeps_what_a_trace_procedure_tells_of)                   \
    {                                                                          \
        setenv("TUZADEBUG", "gccheckmark=1,gcverify=1,gcmode=" #mode, 1);      \
        api_run(mode##_program, 2);                                            \
    }                                                                          \
    END_TEST
IN_MODE(m0)
IN_MODE(m1)
IN_MODE(m2)

// Links that are overwritten are not told, whatever the program says: no M2.
static int telling(int argc, char **argv)
{
    (void)argc, (void)argv;
    const char *why = NULL;
    need(tz_told_all(&why));
    need(tuza_alloc_typed(&cell_type, 1));
    need(!tz_told_all(&why) && strstr(why, "trace procedure"));
    lists();
    return 0;
}

START_TEST(stores_beside_trace_procedures_count_as_not_told)
{
    setenv("TUZADEBUG", "gcmode=m2", 1);
    api_run_telling(telling, 2);
}
END_TEST

// While others change what is traced, and allocate.
static void change(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    enum { SLOTS = 200 };
    struct cell **slot = tuza_new_array(struct cell *, SLOTS);
    for (int i = 0; i < scaled(200000); i++) {
        uint32_t k = rnd(&seed, SLOTS);
        struct cell *c = tuza_alloc_typed(&cell_type, 1 + rnd(&seed, 3));
        c->number = k;
        if (slot[k] && rnd(&seed, 4)) {
            c->next = hide(slot[k]);
            struct cell *old = (struct cell *)~c->next;
            need(old->number == k && old->type == &cell_type);
            if (rnd(&seed, 8) == 0)
                old->next = 0;
        }
        slot[k] = c;
        if (i % 64 == 0)
            for (const struct cell *x = slot[k]; x->next; x = (void *)~x->next)
                need(tuza_object_of(x, NULL) && x->number == k);
    }
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

static int changing(int argc, char **argv)
{
    (void)argc, (void)argv;
    done = 0;
    for (uintptr_t i = 0; i < 3; i++)
        tuza_spawn(change, (void *)(i + 1));
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < 3)
        tuza_gc();
    return 0;
}

START_TEST(objects_change_while_they_are_traced)
{
    setenv("TUZADEBUG", "gcmode=m1", 1);
    api_run(changing, 2);
}
END_TEST

static int overwrite(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct cell *volatile c = tuza_alloc_typed(&cell_type, 1);
    *(volatile uintptr_t *)c = 0x1234567;
    tuza_gc();
    return c != NULL;
}

static void overwrite_child(void) { api_run(overwrite, 1); }

START_TEST(who_overwrites_the_type_is_told)
{
    api_ended_with(api_child(overwrite_child, 25), 2,
                   (const char *[]){ "its first word, where its type was",
                                     "0x1234567", NULL });
}
END_TEST

int main(void)
{
    return api_check("gc/traced",
                     (const TTest *const[]){
                         what_a_trace_procedure_tells_of_is_kept,
                         m0_keeps_what_a_trace_procedure_tells_of,
                         m1_keeps_what_a_trace_procedure_tells_of,
                         m2_keeps_what_a_trace_procedure_tells_of,
                         stores_beside_trace_procedures_count_as_not_told,
                         objects_change_while_they_are_traced,
                         who_overwrites_the_type_is_told, NULL });
}
