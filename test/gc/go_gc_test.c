// SPDX-License-Identifier: BSD-3-Clause
// test/gc/go_gc_test.c: what Go's gc_test.go, the programs of its testdata,
// chanbarrier_test.go and runtime/debug's garbage_test.go observe of a
// collector. Each test names what it retells.

#include <fcntl.h>
#include <unistd.h>

#include "dying.h"
#include "go/modes.h"

#define MB (INT64_C(1) << 20)

static tuza_waitgroup group;

// --- gc_test.go: GcSys (the program GCSys): what nobody keeps is used again.
// Go's bound is four times its least heap, and so is this one.

static void *volatile sink;

IN_MODES(what_nobody_keeps_is_used_again, 1)
{
    tuza_gc();
    uint64_t sys = memstats().total_sys;
    for (int i = 0, n = scaled(300000); i < n; i++)
        need((sink = tuza_alloc(1029)) != NULL);
    need(memstats().total_sys < sys + 64 * MB);
}

// --- GcDeepNesting: arrays of arrays of arrays, ten deep: 1024 pointers

enum { DEEP = 1024 };
typedef uint64_t *deep[2][2][2][2][2][2][2][2][2][2];

static const uint64_t deep_mask[DEEP / 64] = { [0 ... DEEP / 64 - 1] = ~0ull };
static const tuza_type deep_type = { sizeof(deep), "deep", 0, deep_mask, NULL };

static void *volatile nest[2];

static void fill_nests(void *arg)
{
    (void)arg;
    for (int k = 0; k < 2; k++) {
        deep *d = k ? tuza_alloc_typed(&deep_type, 1) : tuza_alloc(sizeof *d);
        nest[k] = d;
        uint64_t **leaf = (uint64_t **)d;
        for (int i = 0; i < DEEP; i++) {
            leaf[i] = tuza_new(uint64_t);
            *leaf[i] = CANARY + (uint64_t)i;
        }
    }
}

IN_MODES(every_leaf_of_a_deep_type_is_kept, 2)
{
    elsewhere(fill_nests, NULL);
    collect_well();
    for (int k = 0; k < 2; k++) {
        deep *d = nest[k];
        uint64_t **leaf = (uint64_t **)d;
        need_eq(*(*d)[0][0][0][0][0][0][0][0][0][0], CANARY);
        need_eq(*(*d)[1][0][0][0][0][0][0][0][0][1], CANARY + 513);
        for (int i = 0; i < DEEP; i++)
            need_eq(*leaf[i], CANARY + (uint64_t)i);
    }
}

// --- GcMapIndirection: a table whose keys and values are objects of their own
// grows while collections run as often as they can

enum { WIDE = 256, KEYS = 2000 };

struct table {
    uint64_t **key, **value; // open addressing
    size_t size, used;
};

static size_t place(const struct table *t, uint64_t first)
{
    size_t i = (size_t)(first * 0x9e3779b97f4a7c15u) % t->size;
    while (t->key[i] && t->key[i][0] != first)
        i = (i + 1) % t->size;
    return i;
}

static void grow(struct table *t, size_t size)
{
    struct table old = *t;
    t->size = size;
    t->key = tuza_alloc_array(size, sizeof *t->key);
    t->value = tuza_alloc_array(size, sizeof *t->value);
    for (size_t i = 0; i < old.size; i++) {
        if (!old.key[i])
            continue;
        size_t to = place(t, old.key[i][0]);
        t->key[to] = old.key[i];
        t->value[to] = old.value[i];
    }
}

static void insert(struct table *t, uint64_t first)
{
    if (t->used * 2 >= t->size)
        grow(t, t->size * 2);
    size_t i = place(t, first);
    t->key[i] = tuza_alloc_array(WIDE, sizeof(uint64_t));
    t->key[i][0] = first;
    t->value[i] = tuza_alloc_array(WIDE, sizeof(uint64_t));
    t->value[i][WIDE - 1] = ~first;
    t->used++;
}

IN_MODES(a_table_of_large_keys_grows_under_collections, 2)
{
    struct table t = { .size = 0 };
    int n = scaled(KEYS);
    tuza_gc_set_percent(1);
    tuza_gc();
    grow(&t, 8);
    for (int i = 0; i < n; i++)
        insert(&t, (uint64_t)i);
    need_eq(t.used, n);
    for (int i = 0; i < n; i++) {
        size_t at = place(&t, (uint64_t)i);
        need(t.key[at] && t.key[at][0] == (uint64_t)i);
        need_eq(t.value[at][WIDE - 1], ~(uint64_t)i);
    }
    need(memstats().num_gc > 2);
}

// --- GcArraySlice: each of a chain is kept by a pointer into its middle alone

struct sliced {
    uint64_t head, buf[5]; // 0 to 4 in buf: where its pointer goes
    char *nextbuf;         // into the one made before
    uint64_t tail;
};

static char *volatile last_slice;
enum { SLICES = 100 };

static struct sliced *of_slice(char *p, int i)
{
    return (struct sliced *)(p - offsetof(struct sliced, buf[i % 5]) - 7);
}

static void make_slice(void *arg)
{
    int i = *(int *)arg;
    struct sliced *s = tuza_new(struct sliced);
    s->head = s->tail = CANARY + (uint64_t)i;
    s->nextbuf = last_slice;
    last_slice = (char *)&s->buf[i % 5] + 7;
}

IN_MODES(a_chain_of_pointers_into_arrays_is_kept, 2)
{
    for (int i = 0; i < SLICES; i++) {
        elsewhere(make_slice, &i);
        tuza_gc();
    }
    collect_well();
    char *p = last_slice;
    for (int i = SLICES - 1; i >= 0; i--) {
        struct sliced *s = of_slice(p, i);
        need_eq(s->head, CANARY + (uint64_t)i);
        need_eq(s->tail, CANARY + (uint64_t)i);
        p = s->nextbuf;
    }
    need(!p);
}

// --- GcRescan: objects with a channel and two ways to the next: one into it

struct inner {
    tuza_chan(uint64_t *) c; // with one value in it
    struct inner *next;      // the one inside of the next
};

struct outer {
    uint64_t number;
    struct inner in;
    struct outer *next;
    uint64_t *p;
};

static void *volatile first_outer;

static void make_outer(void *arg)
{
    struct outer *o = tuza_new(struct outer), *next = first_outer;
    o->number = CANARY + (uint64_t)*(int *)arg;
    o->in.c = tuza_chan_make(uint64_t *, 1);
    // Of three one has both ways, and two have one.
    if (next && o->number % 3 != 0)
        o->in.next = &next->in;
    if (next && o->number % 3 != 1)
        o->next = next;
    o->p = tuza_new(uint64_t);
    uint64_t *sent = tuza_new(uint64_t);
    *o->p = *sent = 42 + o->number;
    tuza_send(o->in.c, sent);
    first_outer = o;
}

IN_MODES(either_of_two_ways_keeps_objects_with_channels, 2)
{
    for (int i = 0; i < SLICES; i++) {
        elsewhere(make_outer, &i);
        tuza_gc();
    }
    collect_well();
    int n = 0;
    for (struct outer *o = first_outer; o; n++) {
        uint64_t *sent = NULL;
        need_eq(o->number, CANARY + (uint64_t)(SLICES - 1 - n));
        need_eq(*o->p, 42 + o->number);
        need_eq(tuza_recv(o->in.c, &sent), 1);
        need_eq(*sent, 42 + o->number);
        if (o->next || !o->in.next)
            o = o->next;
        else
            o = (void *)((char *)o->in.next - offsetof(struct outer, in));
    }
    need_eq(n, SLICES);
}

// --- GcLastTime, UserForcedGC; garbage_test.go: ReadGCStats: one that is asked
// for is counted, whatever the setting, and its pause is inside of its time

static uint64_t metric(const char *name, double *f)
{
    tuza_histogram h;
    tuza_metric m = { name, &h, 0, { 0 } };
    need_eq(tuza_metrics_read(&m, 1), 0);
    need(m.kind != TUZA_METRIC_BAD);
    if (f)
        *f = m.value.f64;
    return m.value.u64;
}

IN_MODES(a_collection_that_is_asked_for_is_counted_and_timed, 2)
{
    tuza_gc_set_percent(-1);
    for (int i = 0; i < 10; i++) {
        double total;
        uint64_t pauses = metric("/gc/pauses:seconds", NULL);
        tuza_memstats before = memstats();
        int64_t start = tuza_now();
        tuza_gc();
        int64_t took = tuza_now() - start;
        tuza_memstats after = memstats();
        uint64_t paused = after.pause_total_ns - before.pause_total_ns;
        need_eq(after.num_gc, before.num_gc + 1);
        need_eq(after.num_forced, before.num_forced + 1);
        need(paused > 0 && paused <= (uint64_t)took);
        need(after.pause_max_ns >= before.pause_max_ns);
        need(after.pause_max_ns <= after.pause_total_ns);
        need_eq(metric("/gc/cycles/total:gc-cycles", NULL), after.num_gc);
        need_eq(metric("/gc/cycles/forced:gc-cycles", NULL), after.num_forced);
        need(metric("/gc/pauses:seconds", NULL) > pauses);
        metric("/tuza/gc/pauses-total:seconds", &total);
        need(total * 1e9 > (double)after.pause_total_ns - 1000 &&
             total * 1e9 < (double)after.pause_total_ns + 1000);
    }
}

// --- GCTestIsReachable: of sixteen objects eight are kept

enum { PAIRS = 256 };
static void *volatile half[PAIRS];
static tuza_weak *weak[PAIRS];

static void make_halves(void *arg)
{
    (void)arg;
    for (int i = 0; i < PAIRS; i++) {
        uint64_t *p = tuza_alloc(16);
        p[0] = CANARY + (uint64_t)i;
        weak[i] = tuza_weak_make(p);
        half[i] = i % 2 ? NULL : p;
    }
}

IN_MODES(reachable_is_what_is_kept_and_nothing_else, 2)
{
    int null = open("/dev/null", O_WRONLY), others = 0;
    elsewhere(make_halves, NULL);
    scrub_stacks();
    tuza_gc();
    for (int i = 0; i < PAIRS; i += 2)
        need(half[i] && tuza_weak_get(weak[i]) == half[i]);
    for (int i = 1; i < PAIRS; i += 2)
        others += tuza_weak_get(weak[i]) != NULL;
    need(others <= PAIRS / 8);
    for (int i = 0; i < PAIRS; i += PAIRS / 4)
        need_eq(tuza_why_alive(half[i], null), 0);
    close(null);
}

// --- GCTestPointerClass: which addresses are objects

static uint64_t in_bss, in_data = 42;

IN_MODES(an_address_is_an_objects_or_it_is_not, 1)
{
    uint64_t on_stack = 1, *in_heap = tuza_new(uint64_t);
    uint64_t *in_malloc = malloc(8);
    const void *const others[] = { &on_stack, &in_bss, &in_data, in_malloc,
                                   NULL, (void *)make_halves };
    need(tuza_object_of(in_heap, NULL) >= sizeof *in_heap);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        void *p = (void *)(uintptr_t)others[i];
        need_eq(tuza_object_of(p, NULL), 0);
        need(!tuza_weak_make(p));
        need_eq(tuza_pin(p), -EINVAL);
        need_eq(tuza_why_alive(p, 1), -EINVAL);
    }
    free(in_malloc);
    tuza_keepalive(in_heap);
}

// --- PrintGC: collections meet a goroutine anywhere in libc

IN_MODES(collections_do_not_disturb_who_prints, 2)
{
    FILE *null = fopen("/dev/null", "w");
    char text[64];
    need(null);
    begin_collections();
    for (int i = 0; i < scaled(20000) || few_collections(); i++) {
        need(fprintf(null, "%d %s %g\n", i, "text", i / 8.0) > 0);
        snprintf(text, sizeof text, "%d %.3f", i, i / 8.0);
        need(strtol(text, NULL, 10) == i);
    }
    end_collections();
    fclose(null);
}

// --- WriteBarrier, a benchmark: all pairs of children in a tree change sides
// while collections run one after the other

struct node {
    struct node *child[2];
    uint64_t number;
};

static struct node *make_tree(int level, uint64_t number)
{
    if (level == 0)
        return NULL;
    struct node *n = tuza_new(struct node);
    need(n);
    n->number = number;
    for (int i = 0; i < 2; i++)
        n->child[i] = make_tree(level - 1, 2 * number + (uint64_t)i);
    return n;
}

static void mirror(struct node *n)
{
    if (!n)
        return;
    struct node *left = n->child[0];
    n->child[0] = n->child[1];
    n->child[1] = left;
    mirror(n->child[0]);
    mirror(n->child[1]);
}

// The same tree of nodes that are new, which have what the old ones had.
static struct node *renew(struct node *n)
{
    if (!n)
        return NULL;
    struct node *fresh = tuza_new(struct node);
    *fresh = *n;
    n->child[0] = n->child[1] = NULL;
    for (int i = 0; i < 2; i++)
        fresh->child[i] = renew(fresh->child[i]);
    return fresh;
}

// So many nodes, each with its number when the tree was mirrored `times`.
static int check_tree(const struct node *n, uint64_t number, int times)
{
    if (!n)
        return 0;
    need_eq(n->number, number);
    int flip = times % 2;
    return 1 + check_tree(n->child[flip], 2 * number, times) +
           check_tree(n->child[!flip], 2 * number + 1, times);
}

static void garbage(int n)
{
    for (int i = 0; i < n; i++)
        memset(tuza_alloc_bytes(sizeof(struct node)), 0xbb,
               sizeof(struct node));
}

IN_MODES(a_tree_that_is_mirrored_all_the_time_loses_no_node, 2)
{
    enum { LEVELS = 14 };
    struct node *root = make_tree(LEVELS, 1);
    begin_collections();
    for (int i = 1; i <= scaled(100) || few_collections(); i++) {
        mirror(root);
        garbage(1000);
        if (i % 4 == 0)
            root = renew(root);
        need_eq(check_tree(root, 1, i), (1 << LEVELS) - 1);
    }
    end_collections();
}

// --- BulkWriteBarrier, a benchmark: blocks of pointers go round by memmove

enum { POINTERS = 1 << 15, BLOCK = 1024 };

static void rotate(uint64_t **block)
{
    uint64_t *first = block[0]; // in a register, or on the stack, alone
    memmove(block, block + 1, (BLOCK - 1) * sizeof *block);
    block[BLOCK - 1] = first;
}

IN_MODES(blocks_of_pointers_that_move_lose_none, 2)
{
    uint64_t **p = tuza_new_array(uint64_t *, POINTERS);
    for (uint64_t i = 0; i < POINTERS; i++) {
        p[i] = tuza_alloc(16 + i % 4 * 16);
        p[i][0] = CANARY + i;
    }
    int turns = 0;
    begin_collections();
    for (; turns < scaled(2000) || few_collections(); turns++)
        for (int b = 0; b < POINTERS; b += BLOCK) {
            rotate(p + b);
            if (b % (8 * BLOCK) == 0)
                garbage(10);
        }
    end_collections();
    for (uint64_t i = 0; i < POINTERS; i++) {
        uint64_t in_block = (i % BLOCK + (uint64_t)turns) % BLOCK;
        need_eq(p[i][0], CANARY + i / BLOCK * BLOCK + in_block);
    }
}

// --- chanbarrier_test.go: ChanSendBarrier, ChanSendSelectBarrier: what
// goroutines hand to each other is nowhere else meanwhile

struct answer {
    uint64_t *number;
};

typedef tuza_chan(struct answer *) answer_chan;

tuza_fn(respond, answer_chan, c, bool, selects, uint64_t, x)
{
    struct answer *a = tuza_new(struct answer);
    a->number = tuza_new(uint64_t);
    *a->number = CANARY + x;
    if (selects)
        tuza_select(TUZA_SEND(c, &a), TUZA_RECV((answer_chan)NULL, NULL));
    else
        tuza_send(c, a);
}

tuza_fn(request, bool, selects, int, n)
{
    for (uint64_t x = 0; x < (uint64_t)n || few_collections(); x++) {
        answer_chan c = tuza_chan_make(struct answer *, 0);
        struct answer *a = NULL;
        tuza_go(respond, c, selects, x);
        tuza_recv(c, &a);
        tuza_yield();
        need_eq(*a->number, CANARY + x);
        memset(tuza_alloc_bytes(1024), 0xbb, 1024);
    }
    tuza_waitgroup_done(&group);
}

IN_MODES(what_is_handed_over_is_not_lost_on_its_way, 4)
{
    begin_collections();
    for (int selects = 0; selects < 2; selects++) {
        tuza_waitgroup_add(&group, 10);
        for (int i = 0; i < 10; i++)
            tuza_go(request, selects, scaled(500));
        tuza_waitgroup_wait(&group);
    }
    end_collections();
}

// --- MemoryLimit, MemoryLimitNoGCPercent: what lives is a tenth of the limit,
// then two, …, seven, all of it replaced again and again. An eighth above is what
// allocation waits at; the limit yields where more than half of the time would
// be collecting, as on a machine with too much to do.

enum { UNIT = 8000, LIMIT_MB = 48 };

static void *volatile *units;  // root
static int64_t target;         // atomic; bytes; 0: none yet, -1: the end
static int rounds_done;        // atomic

static void churn_units(void *arg)
{
    (void)arg;
    int n = 0;
    for (;;) {
        int64_t bytes = __atomic_load_n(&target, __ATOMIC_ACQUIRE);
        if (bytes < 0)
            break;
        if (n != (int)(bytes / UNIT)) {
            for (int i = 0; i < n; i++)
                units[i] = NULL; // a stale word may keep the array
            n = (int)(bytes / UNIT);
            units = tuza_alloc_array((size_t)n, sizeof *units);
        }
        for (int i = 0; i < n; i++) {
            need((units[i] = tuza_alloc_bytes(UNIT)) != NULL);
            memset((void *)units[i], 9, UNIT);
        }
        count_one(&rounds_done);
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static void live_within_limit(int percent)
{
    const int64_t limit = LIMIT_MB * MB;
    tuza_gc_set_percent(percent);
    need_eq(tuza_memory_limit_set(limit), INT64_MAX);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(churn_units, NULL);
    for (int64_t tenths = 1; tenths <= 7; tenths++) {
        int64_t live = limit / 10 * tenths;
        __atomic_store_n(&target, live, __ATOMIC_RELEASE);
        int from = counted(&rounds_done);
        while (counted(&rounds_done) < from + scaled(3)) {
            tuza_memstats st = memstats();
            if (st.memory_used > (uint64_t)(limit + limit / 8) &&
                st.num_relaxed == 0)
                ck_abort_msg("%.1f MB used, %.1f in objects, limit %.1f",
                             (double)st.memory_used / (double)MB,
                             (double)st.heap_inuse / (double)MB,
                             (double)limit / (double)MB);
            need_eq(st.memory_limit, limit);
            tuza_yield();
        }
    }
    __atomic_store_n(&target, -1, __ATOMIC_RELEASE);
    tuza_waitgroup_wait(&group);
    need(memstats().num_gc > 2);
    need_eq(tuza_memory_limit_set(INT64_MAX), limit);
}

IN_MODES(a_memory_limit_is_kept_while_what_lives_grows, 4)
{
    tuza_memory_limit_set(INT64_MAX);
    live_within_limit(100);
}

IN_MODES(a_memory_limit_alone_is_kept_too, 4)
{
    tuza_memory_limit_set(INT64_MAX);
    live_within_limit(-1);
}

// --- garbage_test.go: FreeOSMemory

static void *volatile big;

static void make_big(void *arg)
{
    size_t size = *(size_t *)arg;
    big = tuza_alloc_bytes(size);
    need(big);
    memset((void *)big, 1, size);
}

IN_MODES(a_large_object_leaves_the_process_when_asked_to, 2)
{
    size_t size = 32 << 20;
    elsewhere(make_big, &size);
    tuza_gc();
    uint64_t before = memstats().heap_released;
    need_eq(tuza_object_of((void *)big, NULL), size);
    big = NULL;
    scrub_stacks();
    tuza_gc();
    tuza_gc(); // the second has swept what the first found dead
    tuza_release_memory();
    need(memstats().heap_released >= before + size / 2);
}

// --- garbage_test.go: SetGCPercent

static void *volatile more;

static void make_more(void *arg)
{
    more = tuza_alloc_bytes(*(size_t *)arg);
}

static void need_near(uint64_t bytes, uint64_t wanted)
{
    if (bytes < wanted - wanted / 10 || bytes > wanted + wanted / 10)
        ck_abort_msg("%.1f MB, not %.1f", (double)bytes / (double)MB,
                     (double)wanted / (double)MB);
}

IN_MODES(the_percentage_says_when_the_next_one_is, 2)
{
    size_t base = 40 << 20, fifth = base / 5, small = 1 << 20;
    need_eq(tuza_gc_set_percent(123), 100);
    need_eq(tuza_gc_set_percent(100), 123);
    elsewhere(make_big, &base);
    tuza_gc();
    need_near(memstats().heap_live, base);
    need_near(memstats().next_gc, 2 * base);
    uint64_t num = memstats().num_gc;
    for (size_t i = 0; i < base / 2; i += 1024) // not enough for another
        sink = tuza_alloc_bytes(1024);
    need_eq(memstats().num_gc, num);
    tuza_gc_set_percent(50);
    need_near(memstats().next_gc, base * 3 / 2);
    tuza_gc_set_percent(100);
    tuza_gc();
    num = memstats().num_gc;
    elsewhere(make_more, &fifth);
    need_eq(memstats().num_gc, num);
    tuza_gc_set_percent(10); // that is too much now
    for (int i = 0; i < 1000 && memstats().num_gc == num; i++)
        elsewhere(make_more, &small); // it may need them to come to its end
    need(memstats().num_gc > num);
}

int main(void)
{
    return api_check(
        "gc/go_gc",
        (const TTest *const[]){
            MODES(what_nobody_keeps_is_used_again),
            MODES(every_leaf_of_a_deep_type_is_kept),
            MODES(a_table_of_large_keys_grows_under_collections),
            MODES(a_chain_of_pointers_into_arrays_is_kept),
            MODES(either_of_two_ways_keeps_objects_with_channels),
            MODES(a_collection_that_is_asked_for_is_counted_and_timed),
            MODES(reachable_is_what_is_kept_and_nothing_else),
            MODES(an_address_is_an_objects_or_it_is_not),
            MODES(collections_do_not_disturb_who_prints),
            MODES(a_tree_that_is_mirrored_all_the_time_loses_no_node),
            MODES(blocks_of_pointers_that_move_lose_none),
            MODES(what_is_handed_over_is_not_lost_on_its_way),
            MODES(a_memory_limit_is_kept_while_what_lives_grows),
            MODES(a_memory_limit_alone_is_kept_too),
            MODES(a_large_object_leaves_the_process_when_asked_to),
            MODES(the_percentage_says_when_the_next_one_is),
            NULL });
}
