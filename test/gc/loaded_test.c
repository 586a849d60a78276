// SPDX-License-Identifier: BSD-3-Clause
// test/gc/loaded_test.c: objects that only the data of a loaded module keeps, which
// comes and goes beside collections, in each mode of marking.

#include <dlfcn.h>
#include <unistd.h>

#include "canary.h"

enum { N = 64, SIZE = 48, ROUNDS = 60 };

#define MODES(X) X(m0) X(m1) X(m2)

static const char *const variables[] = { "loaded_bss", "loaded_data", "loaded_tls" };

static uintptr_t hidden[N];
static char path[4096];
static uint32_t loading; // atomic
static tuza_waitgroup group;

// It lies beside the program.
static void find_module(void)
{
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
    while (n > 0 && path[n - 1] != '/')
        n--;
    strcpy(path + n, "loaded_module.so");
}

static void **load(void **module, const char *name)
{
    *module = dlopen(path, RTLD_NOW);
    if (!*module)
        ck_abort_msg("%s", dlerror());
    void **words = dlsym(*module, name);
    need(words);
    return words;
}

// Complements of addresses become pointers at `to`, and nowhere else.
static NOINLINE void reveal(void **to)
{
    for (int i = 0; i < N; i++)
        tuza_store(&to[i], (void *)~hidden[i]);
}

static NOINLINE void forget(void **where)
{
    for (int i = 0; i < N; i++)
        tuza_store(&where[i], NULL);
}

static int keep_in_each(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_lock_thread(); // whose variables they are
    for (size_t i = 0; i < tz_countof(variables); i++) {
        void *module, **words = load(&module, variables[i]);
        make_canaries(hidden, N, SIZE);
        reveal(words);
        collect_well();
        need_all_whole(hidden, N, SIZE);
        need_eq(dlclose(module), 0); // which is what lets go of them
        collect_well();
        need_reclaimed(hidden, N);
    }
    return 0;
}

// Canaries that `held` keeps, whoever collects.
static void *held[N];

static NOINLINE void make_held(void)
{
    for (int i = 0; i < N; i++) {
        uint64_t *p = tuza_alloc(SIZE);
        p[0] = p[SIZE / 8 - 1] = CANARY + (uint64_t)i;
        hidden[i] = hide(p);
        tuza_store(&held[i], p);
    }
}

static void load_once(int i)
{
    void *module, **words = load(&module, variables[i % 2]);
    make_held();
    reveal(words);
    forget(held);
    for (int k = 0; k < 3; k++)
        tuza_sleep(TUZA_MS(1));
    need_all_whole(hidden, N, SIZE);
    forget(words);
    if (i % 3 == 0)
        need_eq(TUZA_BLOCKING(dlclose(module)), 0);
    else
        need_eq(dlclose(module), 0);
}

static void load_meanwhile(void *arg)
{
    (void)arg;
    for (int i = 0; i < scaled(ROUNDS); i++)
        load_once(i);
    __atomic_store_n(&loading, 0, __ATOMIC_SEQ_CST);
    tuza_waitgroup_done(&group);
}

static void collect_meanwhile(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&loading, __ATOMIC_SEQ_CST)) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static int load_beside_collections(int argc, char **argv)
{
    (void)argc, (void)argv;
    loading = 1;
    tuza_waitgroup_add(&group, 2);
    need_eq(tuza_spawn(load_meanwhile, NULL), 0);
    need_eq(tuza_spawn(collect_meanwhile, NULL), 0);
    tuza_waitgroup_wait(&group);
    return 0;
}

#define IN_MODE(mode)                                                          \
    START_TEST(s3_29_##mode##_data_of_what_is_loaded_keeps)                    \
    {                                                                          \
        setenv("TUZADEBUG", "clobberfree=1,gcmode=" #mode, 1);                 \
        api_run_telling(keep_in_each, 2);                                      \
    }                                                                          \
    END_TEST                                                                   \
    START_TEST(mode##_modules_come_and_go_beside_collections)                  \
    {                                                                          \
        setenv("TUZADEBUG", "clobberfree=1,gcmode=" #mode, 1);                 \
        api_run_telling(load_beside_collections, 2);                           \
    }                                                                          \
    END_TEST
MODES(IN_MODE)
#define NAMES(mode)                                                            \
    s3_29_##mode##_data_of_what_is_loaded_keeps,                               \
        mode##_modules_come_and_go_beside_collections,

int main(void)
{
    find_module();
    return api_check("loaded", (const TTest *const[]){ MODES(NAMES) NULL });
}
