// SPDX-License-Identifier: BSD-3-Clause
// test/gc/overflow_test.c: a collection that gets no memory for its list of
// what is still to be marked loses nothing and finishes.

#include <sys/mman.h>

#include "gc/canary.h"
#include "tuza/os.h"

static int refuse;   // mmap refuses anonymous memory; atomic
static int refusals; // so often; atomic

static void *stingy_mmap(void *addr, size_t n, int prot, int flags, int fd,
                         off_t offset)
{
    if (__atomic_load_n(&refuse, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&refusals, 1, __ATOMIC_SEQ_CST);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return mmap(addr, n, prot, flags, fd, offset);
}

static void install(void)
{
    tuza_os_hooks hooks = {
        .size = sizeof hooks, .mmap = stingy_mmap, .munmap = munmap};
    ck_assert_int_eq(tuza_os_set_hooks(&hooks), 0);
}

static void collect_without_memory(void)
{
    __atomic_store_n(&refuse, 1, __ATOMIC_SEQ_CST);
    tuza_gc();
    __atomic_store_n(&refuse, 0, __ATOMIC_SEQ_CST);
}

// A tree of nodes with many sons, wider than any list that is there already,
// with objects above 128 KiB and typed ones in it.
enum { SONS = 20000, GRANDSONS = 3, N = 64 };
struct node {
    struct node *son[GRANDSONS];
    uint64_t number;
};
static const tuza_type node_type = TUZA_TYPE(struct node, son);
static struct node **volatile tree;
static uintptr_t dead[N];

static NOINLINE void grow_tree(void)
{
    struct node **sons = tuza_alloc(SONS * sizeof *sons);
    for (int i = 0; i < SONS; i++) {
        sons[i] = i % 2 ? tuza_alloc(sizeof(struct node))
                        : tuza_alloc_typed(&node_type, 1);
        sons[i]->number = (uint64_t)i;
        for (int j = 0; j < GRANDSONS; j++) {
            sons[i]->son[j] = tuza_alloc(48);
            sons[i]->son[j]->number = (uint64_t)(i * GRANDSONS + j);
        }
    }
    tree = sons;
}

static NOINLINE void need_whole_tree(void)
{
    for (int i = 0; i < SONS; i++) {
        need(tuza_object_of(tree[i], NULL) >= sizeof(struct node));
        need_eq(tree[i]->number, (uint64_t)i);
        for (int j = 0; j < GRANDSONS; j++) {
            need_eq(tuza_object_of(tree[i]->son[j], NULL), 48);
            need_eq(tree[i]->son[j]->number, (uint64_t)(i * GRANDSONS + j));
        }
    }
}

// Threads need memory to start: with two Ps both have run before it is refused.
static int turn;
static void other(void *arg)
{
    (void)arg;
    __atomic_store_n(&turn, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) == 1)
        ;
}

static int program(int argc, char **argv)
{
    (void)argv;
    if (argc == 2) {
        tuza_spawn(other, NULL);
        while (!__atomic_load_n(&turn, __ATOMIC_SEQ_CST))
            ;
        __atomic_store_n(&turn, 2, __ATOMIC_SEQ_CST);
    }
    int percent = tuza_gc_set_percent(-1);
    tuza_gc(); // has its tables of roots from now on
    grow_tree();
    make_canaries(dead, N, 48);
    for (int i = 0; i < 3; i++)
        collect_without_memory();
    need(refusals > 0); // else this has tested nothing
    need_whole_tree();
    tuza_gc_set_percent(percent);
    collect_well();
    need_whole_tree();
    need_reclaimed(dead, N);
    return 0;
}

START_TEST(one_marker_without_memory_loses_nothing)
{
    install();
    api_run(program, 1);
}
END_TEST

static int program_of_two(int argc, char **argv)
{
    (void)argc;
    return program(2, argv);
}

START_TEST(two_markers_without_memory_lose_nothing)
{
    install();
    api_run(program_of_two, 2);
}
END_TEST

int main(void)
{
    return api_check(
        "gc/overflow",
        (const TTest *const[]){one_marker_without_memory_loses_nothing,
                               two_markers_without_memory_lose_nothing, NULL});
}
