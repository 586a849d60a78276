// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier/plugged.c: a program compiled with the flags that loads a module
// without them beside marks, which takes pointers from the heap and does not tell, and
// unloads it before the mark is over. Then the notes of what is loaded are complete
// whenever they are looked at.

#include <dlfcn.h>
#include <stdio.h>
#include <tuza.h>

enum { NODES = 200000, ROUNDS = 150, AT_ONCE = 8 };

struct thing {
    uint64_t number, rest[3];
};
struct node {
    struct node *next;
    struct thing *thing;
};

static struct node *list, **all;
static int over, right;

static void collect(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST))
        tuza_gc();
}

static void build(void)
{
    all = tuza_alloc_array(NODES, sizeof *all);
    for (uint64_t i = 0; i < NODES; i++) {
        struct node *n = tuza_alloc(sizeof *n);
        n->thing = tuza_alloc_bytes(sizeof *n->thing);
        n->thing->number = i;
        n->next = list;
        list = n;
        all[i] = n;
    }
}

static __attribute__((noinline)) void take(const char *module, const unsigned *which,
                                           struct thing *volatile *mine)
{
    void *lib = dlopen(module, RTLD_NOW);
    void *(*plug_take)(void **) = (void *(*)(void **))dlsym(lib, "plug_take");
    for (int k = 0; k < AT_ONCE; k++)
        mine[k] = plug_take((void **)&all[which[k]]->thing);
    dlclose(lib);
}

TUZA_MAIN
{
    if (argc < 2)
        return 1;
    build();
    tuza_spawn(collect, NULL);
    unsigned random = 12345;
    for (int i = 0; i < ROUNDS; i++) {
        struct thing *volatile mine[AT_ONCE];
        unsigned which[AT_ONCE];
        for (int k = 0; k < AT_ONCE; k++)
            which[k] = (random = random * 1103515245 + 12345) / 8 % NODES;
        tuza_sleep(TUZA_MS(random / 64 % 8));
        take(argv[1], which, mine);
        tuza_sleep(TUZA_MS(20));
        for (int k = 0; k < AT_ONCE; k++) {
            if (mine[k]) { // else it is there twice
                right += mine[k]->number == which[k];
                all[which[k]]->thing = mine[k];
            } else {
                right++;
            }
        }
    }
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    printf("%d of %d\n", right, ROUNDS * AT_ONCE);
    return 0;
}
