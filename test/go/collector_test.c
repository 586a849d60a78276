// SPDX-License-Identifier: BSD-3-Clause
// test/go/collector_test.c: programs of Go's test/ and test/fixedbugs about
// what a collector finds and what it leaves alone, retold. Each test names its
// file.
//
// A stale word may keep an object here or there, so where Go waits for one
// object to go there are many here, nearly all of which have to.

#include <fcntl.h>
#include <unistd.h>

#include "gc/dying.h"
#include "go/modes.h"

static tuza_waitgroup group;
static int ran, bad; // atomic

static void garbage(int n, size_t size)
{
    for (int i = 0; i < n; i++)
        memset(tuza_alloc_bytes(size), 0xbb, size);
}

// --- gc.go: ten kilobytes, nobody has them

enum { TENS = 64 };
static tuza_weak *weak[TENS];

static NOINLINE void make_ten_kb(int i)
{
    weak[i] = tuza_weak_make(tuza_alloc(10000));
    need(weak[i]);
}

IN_MODES(gc, 2)
{
    int left = 0;
    for (int i = 0; i < TENS; i++) {
        make_ten_kb(i);
        tuza_gc();
    }
    scrub_stacks();
    tuza_gc();
    for (int i = 0; i < TENS; i++)
        left += tuza_weak_get(weak[i]) != NULL;
    need(left <= TENS / 8);
}

// --- mallocfin.go: of two the one that leads to the other is finalized first;
// a finalizer that was taken off is never run

enum { PAIRS = 250 };

struct finished {
    struct finished *b;
    int n;
};

static int final[PAIRS], nfinal;

static void final_a(void *obj)
{
    struct finished *a = obj;
    if (final[a->n] != 0 || a->b->n != a->n)
        count_one(&bad);
    final[a->n] = 1;
}

static void final_b(void *obj)
{
    struct finished *b = obj;
    if (final[b->n] != 1)
        count_one(&bad);
    final[b->n] = 2;
    count_one(&nfinal);
}

static void final_never(void *obj)
{
    (void)obj;
    count_one(&bad);
}

static void make_pairs(void *arg)
{
    (void)arg;
    for (int i = 0; i < PAIRS; i++) {
        struct finished *a = tuza_new(struct finished);
        struct finished *b = tuza_new(struct finished);
        struct finished *c = tuza_new(struct finished);
        a->b = b;
        a->n = b->n = i;
        need_eq(tuza_finalizer_set(c, final_never), 0);
        need_eq(tuza_finalizer_set(b, final_b), 0);
        need_eq(tuza_finalizer_set(a, final_a), 0);
        need_eq(tuza_finalizer_set(c, NULL), 0);
    }
}

IN_MODES(mallocfin, 4)
{
    elsewhere(make_pairs, NULL);
    collect_until(&nfinal, PAIRS * 8 / 10);
    need_eq(bad, 0);
}

// --- tinyfin.go: each of a hundred that are smaller than a pointer

static int done[1000];

static void final_tiny(void *obj)
{
    int x = *(int *)obj;
    if (x < 0 || x >= 1000 || done[x]++)
        count_one(&bad);
    count_one(&ran);
}

static void make_tiny(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        int *x = tuza_alloc_bytes(sizeof *x);
        *x = i;
        need_eq(tuza_finalizer_set(x, final_tiny), 0);
    }
}

IN_MODES(tinyfin, 2)
{
    elsewhere(make_tiny, NULL);
    collect_until(&ran, 900);
    need_eq(bad, 0);
}

// --- finprofiled.go: of very many tiny objects every third is brought back by
// its finalizer, and is whole from then on

static int **saved, nsaved;

static void save_tiny(void *obj)
{
    saved[nsaved] = obj; // they run one after the other
    count_one(&nsaved);
}

static void make_saved(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        int *x = tuza_alloc_bytes(sizeof *x);
        *x = i;
        if (i % 3 == 0)
            need_eq(tuza_finalizer_set(x, save_tiny), 0);
    }
}

IN_MODES(finprofiled, 2)
{
    int n = scaled(60000);
    saved = tuza_new_array(int *, (size_t)n);
    char *seen = calloc((size_t)n, 1);
    elsewhere(make_saved, &n);
    collect_until(&nsaved, most(n / 3));
    garbage(n, sizeof(int));
    for (int i = 0; i < 3; i++) {
        tuza_gc();
        garbage(n / 3, sizeof(int));
    }
    while (something_runs())
        tuza_yield();
    for (int i = 0; i < nsaved; i++) {
        int x = *saved[i];
        need(x >= 0 && x < n && x % 3 == 0 && !seen[x]);
        seen[x] = 1;
    }
    need(memstats().heap_live >= (uint64_t)nsaved * sizeof(int));
    free(seen);
}

// --- deferfin.go, fixedbugs/issue5493.go: what goroutines had when they
// ended, or what was given to those that they began, is not kept by that

enum { ENDED = 200 };

tuza_fn(ends_after_a_look, uint64_t *, v)
{
    need_eq(*v, CANARY);
    tuza_yield();
    need_eq(*v, CANARY);
    tuza_waitgroup_done(&group);
}

static void count_ran(void *obj)
{
    (void)obj;
    count_one(&ran);
}

tuza_fn(makes_and_ends, bool, gives)
{
    uint64_t *v = tuza_alloc(32);
    *v = CANARY;
    need_eq(tuza_finalizer_set(v, count_ran), 0);
    if (gives) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(ends_after_a_look, v);
    }
    tuza_yield();
    need_eq(*v, CANARY);
    tuza_waitgroup_done(&group);
}

IN_MODES(deferfin_and_issue5493_what_goroutines_had_goes, 2)
{
    for (int gives = 0; gives < 2; gives++) {
        tuza_waitgroup_add(&group, ENDED);
        for (int i = 0; i < ENDED; i++)
            tuza_go(makes_and_ends, gives);
        tuza_waitgroup_wait(&group);
        collect_until(&ran, (gives + 1) * most(ENDED));
        need(ran <= (gives + 1) * ENDED);
    }
}

// --- gcstring.go: pointers to where an object ends do no harm to others

enum { THINGS = 10000 };

struct padded {
    void **ptr;
    char pad[120];
};

static void *volatile things[2 * THINGS];

static void make_things(void *arg)
{
    (void)arg;
    for (int i = 0; i < THINGS; i++) {
        char *s = tuza_alloc_bytes(128);
        memset(s, 0, 128);
        struct padded *t = tuza_new(struct padded);
        t->ptr = tuza_alloc(sizeof(void *));
        need_eq(tuza_finalizer_set(t->ptr, final_never), 0);
        things[i] = s + 128;
        things[THINGS + i] = t;
    }
}

IN_MODES(gcstring_ends_of_objects_are_not_taken_for_others, 2)
{
    elsewhere(make_things, NULL);
    for (int i = 0; i < 4; i++) {
        tuza_gc();
        garbage(1000, 128);
        tuza_yield();
    }
    need_eq(bad, 0);
    for (int i = 0; i < THINGS; i++)
        need_eq(*((struct padded *)things[THINGS + i])->ptr, NULL);
}

// --- stackobj2.go: a list up a deep stack, two of it in each frame, each with
// an object in the heap

struct on_stack {
    uint64_t *data;
    struct on_stack *next, *next2;
};

static NOINLINE void make_list(struct on_stack *x, int n)
{
    struct on_stack a, b;
    if (n == 0) {
        collect_well();
        for (uint64_t i = 1; x; x = x->next, i++) {
            need(x->next == x->next2);
            need_eq(*x->data, CANARY + i);
        }
        return;
    }
    struct on_stack *first = n % 3 == 0 ? &a : &b;
    struct on_stack *second = n % 3 == 0 ? &b : &a;
    *first = (struct on_stack){ tuza_new(uint64_t), x, x };
    *second = (struct on_stack){ tuza_new(uint64_t), first, first };
    *first->data = CANARY + (uint64_t)n;
    *second->data = CANARY + (uint64_t)n - 1;
    make_list(second, n - 2);
    __asm__ volatile("" : : "r"(&a), "r"(&b) : "memory");
}

IN_MODES(stackobj2_a_list_up_the_stack, 2)
{
    make_list(NULL, 10000);
}

// --- fixedbugs/issue9321.go: goroutines are listed by several at once, and
// collections run

static int null; // descriptor

tuza_fn(list_goroutines, int, n)
{
    for (int i = 0; i < n; i++)
        need_eq(tuza_dump(null), 0);
    tuza_waitgroup_done(&group);
}

IN_MODES(issue9321_goroutines_are_listed_while_collections_run, 4)
{
    null = open("/dev/null", O_WRONLY);
    need(null >= 0);
    begin_collections();
    for (int i = 0; i < scaled(10) || few_collections(); i++) {
        tuza_waitgroup_add(&group, 2);
        for (int k = 0; k < 2; k++)
            tuza_go(list_goroutines, 10);
        tuza_waitgroup_wait(&group);
    }
    end_collections();
    close(null);
}

// --- fixedbugs/issue11286.go: a type with many numbers before and after its
// only pointer, in an array

enum { D = 57, ELEMENTS = 4, ARRAYS = 64 };

struct tailed {
    double a[D];
    uint64_t *b;
    double c[D];
};

static const uint64_t tailed_mask[2] = { (uint64_t)1 << D, 0 };
static const tuza_type tailed_type = {
    sizeof(struct tailed), "struct tailed", 0, tailed_mask, NULL
};
static struct tailed *volatile tailed[ARRAYS];
static uintptr_t in_number[ARRAYS * ELEMENTS];

static double as_number(const void *p)
{
    double d;
    memcpy(&d, &p, sizeof d);
    return d;
}

static void make_tailed(void *arg)
{
    (void)arg;
    for (int i = 0; i < ARRAYS; i++) {
        tailed[i] = tuza_alloc_typed(&tailed_type, ELEMENTS);
        for (int k = 0; k < ELEMENTS; k++) {
            struct tailed *t = &tailed[i][k];
            uint64_t *other = tuza_new(uint64_t);
            t->b = tuza_new(uint64_t);
            *t->b = *other = CANARY + (uint64_t)(i * ELEMENTS + k);
            in_number[i * ELEMENTS + k] = hide(other);
            t->a[D - 1] = t->c[0] = t->c[D - 1] = as_number(other);
        }
    }
}

IN_MODES(issue11286_only_the_pointer_of_each_element_counts, 2)
{
    elsewhere(make_tailed, NULL);
    collect_well();
    for (int i = 0; i < ARRAYS; i++)
        for (int k = 0; k < ELEMENTS; k++)
            need_eq(*tailed[i][k].b, CANARY + (uint64_t)(i * ELEMENTS + k));
    need_reclaimed(in_number, ARRAYS * ELEMENTS);
}

// --- fixedbugs/issue80004.go: what is described in a slot leaves the
// description of the next one alone

enum { VICTIMS = 1000 };

struct all_pointers {
    void *a[7];
};

struct victim {
    uintptr_t number;
    uint64_t b[6];
    uint64_t *c;
};

static const tuza_type all_type = TUZA_TYPE(struct all_pointers, a);
static const tuza_type victim_type = TUZA_TYPE(struct victim, c);
static struct victim *volatile victim[VICTIMS];
static uintptr_t hidden[VICTIMS / 2];

static void make_victims(void *arg)
{
    (void)arg;
    for (int i = 0; i < VICTIMS; i++)
        need((victim[i] = tuza_alloc_typed(&victim_type, 1)) != NULL);
}

static void make_neighbours(void *arg)
{
    (void)arg;
    for (int i = 0; i < VICTIMS / 2; i++) {
        uint64_t *kept = tuza_new(uint64_t), *other = tuza_new(uint64_t);
        *kept = *other = CANARY + (uint64_t)i;
        hidden[i] = hide(other);
        victim[2 * i]->c = kept;
        victim[2 * i]->number = (uintptr_t)other;
        struct all_pointers *e = tuza_alloc_typed(&all_type, 1);
        memset(e, 0xff, sizeof *e);
    }
}

IN_MODES(issue80004_a_neighbours_description_stays_as_it_was, 2)
{
    elsewhere(make_victims, NULL);
    for (int i = 1; i < VICTIMS; i += 2)
        victim[i] = NULL;
    scrub_stacks();
    tuza_gc();
    elsewhere(make_neighbours, NULL); // in their slots
    scrub_stacks();
    collect_well();
    for (int i = 0; i < VICTIMS / 2; i++)
        need_eq(*victim[2 * i]->c, CANARY + (uint64_t)i);
    need_reclaimed(hidden, VICTIMS / 2);
}

// --- fixedbugs/issue15277.go, issue15281.go: ten megabytes are in use as long
// as a variable has them, or a channel that is closed

enum { MB = 1 << 20 };
static void *volatile big;
static tuza_chan(void *) volatile pipe_of_big;

static void make_big(void *arg)
{
    (void)arg;
    big = tuza_alloc_bytes(10 * MB);
    need(big);
}

static void send_big(void *arg)
{
    (void)arg;
    tuza_chan(void *) c = tuza_chan_make(void *, 10);
    tuza_send(c, tuza_alloc_bytes(10 * MB));
    tuza_close(c);
    pipe_of_big = c;
}

static void receive_big(void *arg)
{
    (void)arg;
    void *p = NULL;
    need_eq(tuza_recv(pipe_of_big, &p), 1);
    big = p;
}

static int64_t inuse(void)
{
    scrub_stacks();
    tuza_gc();
    return (int64_t)memstats().heap_live;
}

IN_MODES(issue15277_a_variable_has_it_until_it_is_cleared, 2)
{
    int64_t start = inuse();
    for (int i = 0; i < 2; i++) {
        elsewhere(make_big, NULL);
        need(inuse() - start >= 9 * MB);
        big = NULL;
        need(inuse() - start <= MB);
    }
}

IN_MODES(issue15281_a_closed_channel_has_it_until_it_is_received, 2)
{
    int64_t start = inuse();
    elsewhere(send_big, NULL);
    need(inuse() - start >= 9 * MB);
    elsewhere(receive_big, NULL);
    need(inuse() - start >= 9 * MB);
    big = NULL; // the channel is still there, and has forgotten it
    need(inuse() - start <= MB);
    need_eq(tuza_recv(pipe_of_big, NULL), 0);
}

// --- fixedbugs/issue25897a.go: goroutines that have not begun, with arguments
// and without, meet collections without end

enum { UNSTARTED = 100 };
static int begun; // atomic

tuza_fn(begin_with, uint64_t *, p, int, i)
{
    need_eq(*p, CANARY + (uint64_t)i);
    count_one(&begun);
}

tuza_fn(begin_without)
{
    count_one(&begun);
}

IN_MODES(issue25897a_what_has_not_begun_is_scanned, 1)
{
    begin_collections();
    for (int k = 0; k < scaled(20) || few_collections(); k++) {
        begun = 0;
        for (int i = 0; i < UNSTARTED; i++) {
            uint64_t *p = tuza_new(uint64_t);
            *p = CANARY + (uint64_t)i;
            tuza_go(begin_with, p, i);
            tuza_go(begin_without);
            garbage(4, sizeof *p);
        }
        tuza_gc(); // with one P none of them has begun
        while (counted(&begun) < 2 * UNSTARTED)
            tuza_yield();
    }
    end_collections();
}

// --- fixedbugs/issue27695.go: what a call returns is scanned on its way, in
// registers or in memory, while collections run as often as they can

struct two {
    uint64_t *a, *b;
};

struct five {
    uint64_t *a, *b, *c, *d, *e;
};

static uint64_t *new_number(uint64_t x)
{
    uint64_t *p = tuza_new(uint64_t);
    *p = CANARY + x;
    return p;
}

static NOINLINE struct two return_two(uint64_t x)
{
    uint64_t *a = new_number(x);
    return (struct two){ a, new_number(x + 1) };
}

static NOINLINE struct five return_five(uint64_t x)
{
    struct two t = return_two(x), u = return_two(x + 2);
    return (struct five){ t.a, t.b, u.a, u.b, new_number(x + 4) };
}

tuza_fn(call_and_look, int, n)
{
    for (uint64_t x = 0; x < (uint64_t)n || few_collections(); x++) {
        struct five f = return_five(x);
        struct two t = return_two(x + 5);
        need(*f.a == CANARY + x && *f.b == CANARY + x + 1 &&
             *f.c == CANARY + x + 2 && *f.d == CANARY + x + 3 &&
             *f.e == CANARY + x + 4);
        need(*t.a == CANARY + x + 5 && *t.b == CANARY + x + 6);
    }
    tuza_waitgroup_done(&group);
}

IN_MODES(issue27695_what_calls_return_is_kept, 4)
{
    tuza_gc_set_percent(1);
    tuza_waitgroup_add(&group, 20);
    begin_collections();
    for (int i = 0; i < 20; i++)
        tuza_go(call_and_look, scaled(4000));
    tuza_waitgroup_wait(&group);
    end_collections();
}

// --- fixedbugs/issue30977.go: static variables that are copied

struct strings {
    char *s[5];
};

static struct strings x_var, y_var;

static NOINLINE struct strings new_strings(void)
{
    struct strings t;
    for (int i = 0; i < 5; i++) {
        t.s[i] = tuza_alloc_bytes(16);
        snprintf(t.s[i], 16, "string %c", 'a' + i);
    }
    return t;
}

IN_MODES(issue30977_copies_of_static_variables_are_equal, 2)
{
    begin_collections();
    for (int i = 0; i < scaled(5000) || few_collections(); i++) {
        x_var = new_strings();
        y_var = x_var;
        memset(&x_var, 0, sizeof x_var); // y_var has them alone
        tuza_yield();
        garbage(5, 16);
        x_var = y_var;
        for (int k = 0; k < 5; k++) {
            char text[16];
            snprintf(text, sizeof text, "string %c", 'a' + k);
            need(strcmp(x_var.s[k], text) == 0);
        }
    }
    end_collections();
}

// --- fixedbugs/issue30041.go, issue8036.go, issue8155.go, abi/part_live.go and
// the like: words on stacks that lead to where no object is

static NOINLINE void leave_on_stack(char *end, int n)
{
    void *volatile frame[64];
    for (int i = 0; i < 64; i++)
        switch (i % 5) {
        case 0:
            frame[i] = end + i; // past a large object, on its last page
            break;
        case 1:
            frame[i] = end + (i << 20); // perhaps where the heap ends
            break;
        case 2:
            frame[i] = (void *)(uintptr_t)(i + 1);
            break;
        case 3:
            frame[i] = (void *)((uintptr_t)end ^ (UINTPTR_MAX << (64 - i)));
            break;
        default:
            frame[i] = (char *)frame + i;
        }
    if (n > 0)
        leave_on_stack(end, n - 1);
    else
        tuza_yield();
    __asm__ volatile("" : : "r"(frame) : "memory");
}

tuza_fn(litter, char *, end, int, n)
{
    for (int i = 0; i < n || few_collections(); i++) {
        leave_on_stack(end, i % 16);
        garbage(4, 32);
    }
    tuza_waitgroup_done(&group);
}

IN_MODES(issue30041_words_that_lead_nowhere_do_no_harm, 4)
{
    const size_t size = (1 << 16) - 1;
    char *object = tuza_alloc_bytes(size);
    memset(object, 'x', size);
    begin_collections();
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_go(litter, object + size, scaled(1000));
    tuza_waitgroup_wait(&group);
    end_collections();
    for (size_t i = 0; i < size; i++)
        need(object[i] == 'x');
}

// --- fixedbugs/issue71932.go: pointers to the end of an object, behind which a
// free slot lies

enum { EVENS = 1000 };
static char *volatile even[EVENS];
static uintptr_t odd[EVENS];

static void make_evens(void *arg)
{
    (void)arg;
    for (int i = 0; i < EVENS; i++) {
        even[i] = tuza_alloc_bytes(256);
        memset(even[i], i, 256);
        uint64_t *other = tuza_alloc(256);
        *other = CANARY + (uint64_t)i;
        odd[i] = hide(other);
    }
}

static NOINLINE void write_before(char *volatile end, int i)
{
    *(end - 1) = (char)i;
    if (i % 50 == 0)
        tuza_gc();
    *(end - 1) = (char)i;
}

IN_MODES(issue71932_a_pointer_to_the_end_is_no_harm, 2)
{
    elsewhere(make_evens, NULL);
    scrub_stacks();
    tuza_gc();
    for (int i = 0; i < EVENS; i++)
        write_before(even[i] + 256, i);
    for (int i = 0; i < EVENS; i++)
        for (int k = 0; k < 256; k++)
            need_eq(even[i][k], (char)i);
    scrub_stacks();
    collect_well();
    need_reclaimed(odd, EVENS);
}

int main(void)
{
    return api_check(
        "go/collector",
        (const TTest *const[]){
            MODES(gc),
            MODES(mallocfin),
            MODES(tinyfin),
            MODES(finprofiled),
            MODES(deferfin_and_issue5493_what_goroutines_had_goes),
            MODES(gcstring_ends_of_objects_are_not_taken_for_others),
            MODES(stackobj2_a_list_up_the_stack),
            MODES(issue9321_goroutines_are_listed_while_collections_run),
            MODES(issue11286_only_the_pointer_of_each_element_counts),
            MODES(issue80004_a_neighbours_description_stays_as_it_was),
            MODES(issue15277_a_variable_has_it_until_it_is_cleared),
            MODES(issue15281_a_closed_channel_has_it_until_it_is_received),
            MODES(issue25897a_what_has_not_begun_is_scanned),
            MODES(issue27695_what_calls_return_is_kept),
            MODES(issue30977_copies_of_static_variables_are_equal),
            MODES(issue30041_words_that_lead_nowhere_do_no_harm),
            MODES(issue71932_a_pointer_to_the_end_is_no_harm),
            NULL });
}
