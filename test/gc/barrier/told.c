// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier/told.c: plain stores of a program compiled with the flags come
// out of the runtime's log; and whether it counts as a program all of whose
// stores are told, before, while and after each of the libraries that are its
// arguments is loaded.

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <tuza.h>

#include "gc/barrier.h"
#include "sched/sched.h"

enum { N = 20000 };
static char *block;
static unsigned seen[N];

static void count(void *arg, const uintptr_t *words, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n; i++)
        if (words[i] - (uintptr_t)block < N)
            seen[words[i] - (uintptr_t)block]++;
}

static void on(void *arg)
{
    (void)arg;
    tz_barrier_start();
}

static void off(void *arg)
{
    tz_barrier_flush_all(count, arg);
    tz_barrier_stop();
}

struct node {
    struct node *next;
    char *value;
};

static void __attribute__((noinline)) forget(struct node *list)
{
    for (struct node *x = list; x; x = x->next)
        x->value = NULL;
}

static int stores(void)
{
    struct node *list = NULL;
    block = tuza_alloc_bytes(N);
    for (int i = 0; i < N; i++) {
        struct node *x = tuza_new(struct node);
        x->value = block + i;
        x->next = list;
        list = x;
    }
    tz_world_call(on, NULL);
    forget(list);
    tz_world_call(off, NULL);
    int once = 0;
    for (int i = 0; i < N; i++)
        once += seen[i] == 1;
    tuza_keepalive(list);
    return once;
}

static void say(const char *when)
{
    const char *missing = "?";
    bool declared = tz_barrier_declared(&missing);
    const char *slash = declared ? NULL : strrchr(missing, '/');
    printf(" %s=%s", when, declared ? "yes" : slash ? slash + 1 : missing);
}

TUZA_MAIN
{
    say("start");
    for (int i = 1; i < argc; i++) {
        void *lib = dlopen(argv[i], RTLD_NOW);
        if (!lib)
            return puts(dlerror()), 1;
        say("with");
        dlclose(lib);
        say("without");
    }
    printf(" logged=%d\n", stores());
    return 0;
}
