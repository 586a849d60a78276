// SPDX-License-Identifier: BSD-3-Clause
// test: timeout=600
// test/gc/fork_test.c: the program forks beside collections, in each mode of
// marking: what it has stays whole, whatever the pages become at the fork; no
// fork waits for a collection that waits for it; the child calls exec or ends,
// and is told what else it must not do.

#include <sys/wait.h>
#include <unistd.h>

#include "shadow.h"

#define MODES(X) X(m0) X(m1) X(m2)

// A sanitizer's shadow memory makes a fork take half a second.
enum { FORKERS = 3, FORKS = TZ_ASAN ? 10 : 150 };
enum { GRAPHS = 2, OPS = 512, OBJECTS = 3000 };

static tuza_waitgroup group;
static uint64_t seed;
static uint32_t forkers; // atomic; that are not done

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

// What the child finds in the heap is as it was.
static int look(const uint64_t *copy, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (copy[i] != i)
            return 1;
    return 0;
}

// What a child may do, in turn.
static void be_child(uint64_t *copy, uint64_t n, int turn)
{
    if (turn % 8 == 0) {
        execl("/proc/self/exe", "fork_test", "--end", (char *)NULL);
        _exit(127);
    }
    if (turn % 8 == 1) {
        pid_t pid = fork();
        if (pid != 0)
            _exit(pid < 0 || wait_for(pid) != 0);
    }
    int bad = look(copy, n);
    memset(copy, 0xff, n * sizeof *copy); // pages of its own
    _exit(bad);
}

static void fork_once(uint64_t *copy, uint64_t n, int turn)
{
    for (uint64_t i = 0; i < n; i++)
        copy[i] = i;
    pid_t pid = fork();
    if (pid == 0)
        be_child(copy, n, turn);
    need(pid > 0);
    for (uint64_t i = 0; i < n; i++) // while the child writes, too
        need_eq(copy[i], i);
    need_eq(TUZA_BLOCKING(wait_for(pid)), 0);
}

static void fork_often(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    for (int i = 0; i < scaled(FORKS); i++) {
        uint64_t n = 1 + rnd(&random, 5000);
        fork_once(tuza_alloc(n * sizeof(uint64_t)), n, i);
        tuza_yield();
    }
    __atomic_sub_fetch(&forkers, 1, __ATOMIC_RELEASE);
    tuza_waitgroup_done(&group);
}

static bool they_fork(void)
{
    return __atomic_load_n(&forkers, __ATOMIC_ACQUIRE) > 0;
}

static void live_meanwhile(void *arg)
{
    struct world *w = new_world((int)(uintptr_t)arg, OBJECTS, seed);
    while (they_fork())
        live(w, OPS, 0, OPS);
    end_world(w);
    tuza_waitgroup_done(&group);
}

// Holds locks of libc that a fork waits for, wherever it is stopped.
static void malloc_meanwhile(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    void *kept[32] = { NULL };
    while (they_fork()) {
        int i = (int)rnd(&random, 32);
        free(kept[i]);
        kept[i] = malloc(rnd(&random, 20000));
        if (rnd(&random, 256) == 0)
            tuza_yield();
    }
    for (int i = 0; i < 32; i++)
        free(kept[i]);
    tuza_waitgroup_done(&group);
}

static int fork_beside(int argc, char **argv)
{
    (void)argc, (void)argv;
    seed = test_seed();
    forkers = FORKERS;
    tuza_waitgroup_add(&group, FORKERS + GRAPHS + 2);
    for (uintptr_t i = 0; i < FORKERS; i++)
        tuza_spawn(fork_often, (void *)i);
    for (uintptr_t i = 0; i < GRAPHS; i++)
        tuza_spawn(live_meanwhile, (void *)i);
    for (uintptr_t i = 0; i < 2; i++)
        tuza_spawn(malloc_meanwhile, (void *)i);
    tuza_waitgroup_wait(&group);
    tuza_memstats after = { .size = sizeof after };
    tuza_memstats_read(&after);
    printf("%llu collections\n", (unsigned long long)after.num_gc);
    need(after.num_gc > 10 || scaled(FORKS) < 100);
    return 0;
}

#define FORK_BESIDE(mode)                                                      \
    START_TEST(mode##_graphs_stay_whole_beside_forks)                          \
    {                                                                          \
        setenv("TUZADEBUG", "clobberfree=1,gcmode=" #mode, 1);                 \
        setenv("TUZAGC", "1", 1);                                              \
        api_run_telling(fork_beside, 4);                                       \
    }                                                                          \
    END_TEST
#define NAMES(mode) mode##_graphs_stay_whole_beside_forks,
MODES(FORK_BESIDE)

// --- what the child must not do

static int fork_and_allocate(int argc, char **argv)
{
    (void)argc, (void)argv;
    pid_t pid = fork();
    if (pid == 0) {
        memset(tuza_alloc(16), 1, 16);
        _exit(0);
    }
    int status = TUZA_BLOCKING(wait_for(pid));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void child_that_forks(void)
{
    exit(tuza_run(fork_and_allocate, 0, NULL, NULL));
}

START_TEST(a_child_that_allocates_is_told)
{
    api_ended_with(api_child(child_that_forks, 25), 2,
                   (const char *[]){ "used in the child of a fork",
                                     "call exec there, or _exit", NULL });
}
END_TEST

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2)
        return 0;
    setenv("CK_DEFAULT_TIMEOUT", "120", 1); // a slow machine's
    return api_check("fork",
                     (const TTest *const[]){
                         MODES(NAMES) a_child_that_allocates_is_told, NULL });
}
