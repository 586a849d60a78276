// SPDX-License-Identifier: BSD-3-Clause
// test/gc/check_test.c: the collector's debug modes. A mark that has missed an
// object is found by the scan that checks it, and what was swept too early is
// seen by who still uses it.

#include <signal.h>

#include "base/event.h"
#include "gc/mark.h"
#include "mem/mcentral.h"
#include "support/goroutines.h"

struct node {
    struct node *next;
    uint64_t value;
};

static struct node *volatile list;
static uintptr_t missed; // complement of the object whose mark is taken off

static __attribute__((noinline)) void make_list(int n)
{
    for (int i = 0; i < n; i++) {
        struct node *o = tuza_new(struct node);
        o->next = list;
        o->value = (uint64_t)i;
        list = o;
    }
    missed = ~(uintptr_t)list->next->next;
}

static void miss_one(enum tz_event kind, uint64_t what, uint64_t cycles)
{
    static struct tz_gcwork w;
    (void)kind, (void)cycles;
    if (what == TZ_EV_GC_MARKED)
        tz_mark_unset(&w, ~missed);
}

static struct tz_listener listener = { .fn = miss_one };

static uint64_t sum(void)
{
    uint64_t n = 0;
    for (struct node *o = list; o; o = o->next)
        n += o->value;
    return n;
}

static int with_all_modes(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int k = 0; k < 20; k++) {
        list = NULL;
        make_list(2000);
        memset(tuza_alloc(300 * 1024), 1, 300 * 1024);
        tuza_gc();
        need_eq(sum(), 2000 * 1999 / 2);
    }
    return 0;
}

START_TEST(a_mark_that_is_right_passes)
{
    setenv("TUZADEBUG", "gccheckmark=1,clobberfree=1", 1);
    api_run(with_all_modes, 2);
}
END_TEST

static int miss(int argc, char **argv)
{
    (void)argc, (void)argv;
    make_list(10);
    tz_event_want(&listener, 1u << TZ_EV_GC);
    tuza_gc();
    return 0;
}

static void missing_child(void)
{
    setenv("TUZADEBUG", "gccheckmark=1", 1);
    api_run(miss, 1);
}

START_TEST(an_object_that_the_mark_has_missed_is_found)
{
    static const char *const texts[] = {
        "gccheckmark: the object of 16 bytes at 0x", "leads to it", NULL
    };
    api_ended_with(api_child(missing_child, 25), -SIGABRT, texts);
}
END_TEST

static int use_what_was_swept(int argc, char **argv)
{
    (void)argc, (void)argv;
    make_list(10);
    tz_event_want(&listener, 1u << TZ_EV_GC);
    tuza_gc();
    tz_event_want(&listener, 0);
    tz_crit_enter();
    while (tz_central_sweep_one())
        ;
    tz_crit_leave();
    need_eq(((volatile struct node *)list->next->next)->value,
            UINT64_C(0xdbdbdbdbdbdbdbdb));
    list = NULL;
    return 0;
}

START_TEST(what_is_swept_is_overwritten)
{
    setenv("TUZADEBUG", "clobberfree=1", 1);
    api_run(use_what_was_swept, 1);
}
END_TEST

int main(void)
{
    return api_check("check", (const TTest *const[]){
                                  a_mark_that_is_right_passes,
                                  an_object_that_the_mark_has_missed_is_found,
                                  what_is_swept_is_overwritten, NULL });
}
