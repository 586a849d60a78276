// SPDX-License-Identifier: BSD-3-Clause
// test/gc/loaded_test.c: objects that only the data of a loaded module keeps, which
// comes and goes beside collections, in each mode of marking.

#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

// From here on no thread can read memory by way of the kernel.
static bool refuse_peeks(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { tz_countof(code), code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
                   &program) == 0;
}

static int keep_without_peeks(int argc, char **argv)
{
    return refuse_peeks() ? keep_in_each(argc, argv) : 0; // 0: no such filters here
}

START_TEST(data_is_read_without_the_kernels_help_where_that_is_refused)
{
    api_run(keep_without_peeks, 2);
}
END_TEST

// What lies before and behind a page that its module does not let anybody read.
static int keep_around_a_page(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { WORDS = 8192, PAGE = 4096 };
    void *module, **words = load(&module, "loaded_large");
    char *middle = (char *)tz_align_up((uintptr_t)(words + WORDS / 2), PAGE);
    need_eq(mprotect(middle, PAGE, PROT_NONE), 0);
    void **places[] = { words, (void **)middle - N, (void **)(middle + PAGE),
                        words + WORDS - N };
    for (size_t i = 0; i < tz_countof(places); i++) {
        make_canaries(hidden, N, SIZE);
        reveal(places[i]);
        collect_well();
        need_all_whole(hidden, N, SIZE);
        forget(places[i]);
        collect_well();
        need_reclaimed(hidden, N);
    }
    need_eq(dlclose(module), 0);
    return 0;
}

START_TEST(a_page_that_cannot_be_read_hides_itself_alone)
{
    api_run(keep_around_a_page, 2);
}
END_TEST

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
    return api_check("loaded", (const TTest *const[]){
                     MODES(NAMES)
                         data_is_read_without_the_kernels_help_where_that_is_refused,
                     a_page_that_cannot_be_read_hides_itself_alone, NULL });
}
