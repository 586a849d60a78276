// SPDX-License-Identifier: BSD-3-Clause
// test/gc/refusals_test.c: a scan that cannot be right is the end, with what was to
// be scanned: nothing is left out, and nothing else is read.

#include <stdio.h>

#include "gc/mark.h"
#include "sched/proc.h"
#include "support/goroutines.h"

static int which; // the case, for the child

// --- what is no range

static struct tz_gcwork work;
static uintptr_t words[4];

static const struct {
    uint64_t bytes;
    const char *text;
} no_range[] = {
    { -UINT64_C(8), "scan of -8 bytes at 0x" },
    { UINT64_C(1) << 63, "scan of -9223372036854775808 bytes at 0x" },
    { UINT64_C(1) << 62, "scan of 4611686018427387904 bytes at 0x" },
    { UINT64_C(1) << 47, "scan of 140737488355328 bytes at 0x" },
    { 3, "scan of 3 bytes at 0x" },
};

static int scan_no_range(int argc, char **argv)
{
    (void)argc, (void)argv;
    uintptr_t lo = (uintptr_t)words;
    tz_mark_range(&work, lo, lo + no_range[which].bytes);
    return 0;
}

static void scan_child(void)
{
    exit(tuza_run(scan_no_range, 0, NULL, NULL));
}

START_TEST(s3_24_a_scan_of_no_range_is_the_end)
{
    for (which = 0; which < (int)tz_countof(no_range); which++)
        api_ended_with(api_child(scan_child, 25), -6,
                       (const char *[]){ no_range[which].text,
                                         "not a range of words", NULL });
}
END_TEST

// --- goroutines that cannot be scanned

static tuza_chan(int) never;
static struct tz_g *waiting;

static void wait_for_ever(void *arg)
{
    (void)arg;
    waiting = tz_getg();
    tuza_recv(never, NULL);
}

static void spoil(struct tz_g *g)
{
    switch (which) {
    case 0:
        g->ctx.sp = g->stack.lo - 16;
        break;
    case 1:
        g->ctx.sp = g->stack.hi + 16;
        break;
    case 2:
        g->status = TZ_G_RUNNING;
        break;
    default:
        g->status = 77;
    }
}

static int collect_what_is_spoilt(int argc, char **argv)
{
    (void)argc, (void)argv;
    never = tuza_chan_make(int, 0);
    int before = waiting_now();
    need_eq(tuza_spawn(wait_for_ever, NULL), 0);
    until_waiting(before + 1);
    fprintf(stderr, "it is goroutine %llu, on [%p, %p)\n",
            (unsigned long long)waiting->id, (void *)waiting->stack.lo,
            (void *)waiting->stack.hi);
    spoil(waiting);
    tuza_gc();
    return 0;
}

static void collect_child(void)
{
    tuza_config config = { .size = sizeof config, .maxprocs = 1 };
    exit(tuza_run(collect_what_is_spoilt, 0, NULL, &config));
}

// What the child's first line says comes again.
static void ended_with(int n, const char *text)
{
    which = n;
    const struct api_ended *e = api_child(collect_child, 25);
    unsigned long long id;
    void *lo, *hi;
    const char *line = strstr(e->text, "it is goroutine ");
    ck_assert(line && sscanf(line, "it is goroutine %llu, on [%p, %p)", &id, &lo,
                             &hi) == 3);
    char who[64], bounds[64];
    snprintf(who, sizeof who, "goroutine %llu", id);
    snprintf(bounds, sizeof bounds, "[%p, %p)", lo, hi);
    line = strchr(line, '\n');
    ck_assert(line && strstr(line, who));
    ck_assert(n > 1 || strstr(line, bounds));
    api_ended_with(e, -6, (const char *[]){ text, NULL });
}

START_TEST(s3_27_a_stack_pointer_outside_of_its_stack_is_the_end)
{
    ended_with(0, "outside its stack");
    ended_with(1, "outside its stack");
}
END_TEST

START_TEST(s3_29_a_goroutine_that_runs_in_a_stop_is_the_end)
{
    ended_with(2, "it is running, the world is not stopped");
}
END_TEST

START_TEST(s3_29_a_status_that_is_none_is_the_end)
{
    ended_with(3, "has status 77");
}
END_TEST

int main(void)
{
    return api_check(
        "refusals", (const TTest *const[]){
                        s3_24_a_scan_of_no_range_is_the_end,
                        s3_27_a_stack_pointer_outside_of_its_stack_is_the_end,
                        s3_29_a_goroutine_that_runs_in_a_stop_is_the_end,
                        s3_29_a_status_that_is_none_is_the_end, NULL });
}
