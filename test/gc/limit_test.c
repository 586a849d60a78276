// SPDX-License-Identifier: BSD-3-Clause
// test: no-asan no-tsan no-msan
// test/gc/limit_test.c: when the system gives no more memory: NULL or a clear
// end, never a hang, and everything goes on when there is garbage to reclaim.

#include <sys/resource.h>
#include <sys/wait.h>

#include "support/goroutines.h"

static int which_limit;
static size_t limit_bytes;

// The limit lets the process have so much more than it has now; threads' stacks
// take some of it. Before the start, since an address space that is reserved
// already is not refused afterwards.
static void set_limit(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    const char *key = which_limit == RLIMIT_AS ? "VmSize: %lu" : "VmData: %lu";
    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, key, &kib);
    fclose(f);
    struct rlimit lim = { kib * 1024 + limit_bytes, kib * 1024 + limit_bytes };
    ck_assert_int_eq(setrlimit((__rlimit_resource_t)which_limit, &lim), 0);
}

// Fills memory until there is no more. A table, not a list: a stale word then
// keeps one cell, not all of them.
enum { CELLS = 1 << 19, CELL = 1000 };
static void *cell[CELLS];
static void *volatile last;

static size_t fill(void)
{
    size_t n = 0;
    while (n < CELLS && (cell[n] = tuza_alloc(CELL)))
        n++;
    return n;
}

static int fill_and_go_on(int argc, char **argv)
{
    (void)argc, (void)argv;
    size_t first = 0;
    for (int round = 0; round < 3; round++) {
        size_t n = fill();
        printf("%zu cells\n", n);
        if (!first)
            first = n;
        need(n > 1000 && n < CELLS && n >= first / 2);
        memset(cell, 0, sizeof cell);
        need((last = tuza_alloc(2 << 20))); // of many small ones
    }
    printf("went on\n");
    fflush(stdout);
    return 0;
}

static void limited(int (*fn)(int, char **), int maxprocs)
{
    set_limit();
    api_run(fn, maxprocs);
}

// One P: no helper sweeps in the background.
static void fill_child(void) { limited(fill_and_go_on, 1); }

static int churn_under_limit(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_gc_set_percent(-1); // so that only the shortage collects
    for (int i = 0; i < 400000; i++)
        need((last = tuza_alloc(1000)));
    for (int i = 0; i < 300; i++)
        need((last = tuza_alloc(2 << 20)));
    tuza_memstats st = { .size = sizeof st };
    tuza_memstats_read(&st);
    need(st.num_gc > 0);
    printf("went on\n");
    fflush(stdout);
    return 0;
}

static void churn_child(void) { limited(churn_under_limit, 1); }

// Goroutines until there is no more: an error, or the end in clear words.
static tuza_chan(int) never;
static void wait_for_ever(void *arg)
{
    (void)arg;
    tuza_recv(never, NULL);
}

static int spawn_under_limit(int argc, char **argv)
{
    (void)argc, (void)argv;
    never = tuza_chan_make(int, 0);
    for (int i = 0; i < 3000000; i++) {
        int err = tuza_spawn(wait_for_ever, NULL);
        if (err) {
            need_eq(err, -ENOMEM);
            printf("out of memory: an error\n");
            fflush(stdout);
            return 0;
        }
        if (i % 64 == 0)
            tuza_yield();
    }
    printf("out of memory: not\n");
    fflush(stdout);
    return 0;
}

static void spawn_child(void) { limited(spawn_under_limit, 2); }

static void ends_well(void (*body)(void), const char *says, bool may_end)
{
    static const int limits[] = { RLIMIT_AS, RLIMIT_DATA };
    static const size_t sizes[] = { 200 << 20, 240 << 20, 400 << 20 };
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) {
            which_limit = limits[i];
            limit_bytes = sizes[j];
            const struct api_ended *e = api_child(body, 25);
            ck_assert_msg(e->status == 0 || (may_end && e->status == 2),
                          "limit %d + %zu MB: ended with %d:\n%s", limits[i],
                          sizes[j] >> 20, e->status, e->text);
            ck_assert_msg(strstr(e->text, says) ||
                              (may_end && strstr(e->text, "out of memory")),
                          "limit %d + %zu MB: nothing clear in:\n%s", limits[i],
                          sizes[j] >> 20, e->text);
        }
}

START_TEST(no_more_memory_is_null_and_then_goes_on)
{
    ends_well(fill_child, "went on", true);
}
END_TEST

START_TEST(a_shortage_collects_what_is_garbage)
{
    ends_well(churn_child, "went on", false);
}
END_TEST

START_TEST(no_more_goroutines_is_an_error_or_told)
{
    ends_well(spawn_child, "out of memory", true);
}
END_TEST

int main(void)
{
    return api_check("limit", (const TTest *const[]){
                                  no_more_memory_is_null_and_then_goes_on,
                                  a_shortage_collects_what_is_garbage,
                                  no_more_goroutines_is_an_error_or_told,
                                  NULL });
}
