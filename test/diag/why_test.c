// SPDX-License-Identifier: BSD-3-Clause
// test/diag/why_test.c: "why is this alive?" names a way from a root.

#include <stdio.h>
#include <unistd.h>

#include "gc/dying.h"
#include "tuza/gc.h"

struct node {
    struct node *next;
    uintptr_t more[5];
};

struct node *volatile why_test_root; // exported: dladdr may know its name
static char text[64 * 1024];

static int why(const void *p)
{
    FILE *f = tmpfile();
    int r = tuza_why_alive(p, fileno(f));
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return r;
}

static int lines(void)
{
    int n = 0;
    for (const char *s = text; (s = strchr(s, '\n')); s++)
        n++;
    return n;
}

#define says(what)                                                             \
    (strstr(text, what) ? (void)0                                              \
                        : ck_abort_msg("no \"%s\" in:\n%s", what, text))

static struct node *make(struct node *next)
{
    struct node *n = tuza_new(struct node);
    n->next = next;
    return n;
}

// The last of a list whose first is the root's; hidden.
static uintptr_t last;

static void make_list(void *arg)
{
    struct node *n = make(NULL);
    last = ~(uintptr_t)n;
    for (int i = 1; i < *(int *)arg; i++)
        n = make(n);
    why_test_root = n;
}

IN_GOROUTINES(a_static_variable_and_the_objects_between_are_told, 1)
{
    int three = 3;
    elsewhere(make_list, &three);
    scrub_stacks();
    need_eq(why((void *)~last), 0);
    says("an object of 48 bytes, is kept\n");
    says("  in byte 0 of the object of 48 bytes at 0x");
    says("why_test");
    need_eq(lines(), 4);
}

IN_GOROUTINES(a_long_way_is_told_in_part, 1)
{
    int many = 100000;
    elsewhere(make_list, &many);
    scrub_stacks();
    need_eq(why((void *)~last), 0);
    says("  and 99899 objects more\n");
    need_eq(lines(), 103);
}

static void drop_it(void *arg)
{
    (void)arg;
    int one = 1;
    make_list(&one);
    why_test_root = NULL;
}

IN_GOROUTINES(what_nothing_leads_to_is_told_so, 1)
{
    elsewhere(drop_it, NULL);
    scrub_stacks();
    int r = why((void *)~last);
    if (r == 0) // a stale word of ours
        says("of goroutine 1,");
    else
        need_eq(r, -ENOENT);
}

IN_GOROUTINES(what_the_caller_alone_has_is_told_last, 1)
{
    struct node *volatile mine = make(NULL);
    need_eq(why((void *)mine), 0);
    says("of goroutine 1,");
    need_eq(lines(), 2);
    why_test_root = mine;
    need_eq(why((void *)mine), 0);
    says("why_test");
}

static tuza_waitgroup ready, go_on;

static void hold(void *arg)
{
    (void)arg;
    struct node *volatile mine = make(NULL);
    last = ~(uintptr_t)mine;
    tuza_waitgroup_done(&ready);
    tuza_waitgroup_wait(&go_on);
    need(mine->next == NULL);
}

IN_GOROUTINES(the_stack_of_another_goroutine_is_told, 2)
{
    tuza_waitgroup_add(&ready, 1);
    tuza_waitgroup_add(&go_on, 1);
    need_eq(tuza_spawn(hold, NULL), 0);
    tuza_waitgroup_wait(&ready);
    need_eq(why((void *)~last), 0);
    says("on the stack of goroutine 2, spawned at ");
    says("why_test.c:");
    tuza_waitgroup_done(&go_on);
}

static void pin_it(void *arg)
{
    drop_it(arg);
    need_eq(tuza_pin((void *)~last), 0);
}

IN_GOROUTINES(a_pin_is_told, 1)
{
    elsewhere(pin_it, NULL);
    scrub_stacks();
    need_eq(why((void *)~last), 0);
    says("  a pin at 0x");
}

static void keep_it_by_hand(void *arg)
{
    struct node *volatile *box = tuza_alloc_uncollectable(sizeof *box);
    drop_it(arg);
    *box = (void *)~last;
}

IN_GOROUTINES(memory_that_is_not_collected_is_told, 1)
{
    elsewhere(keep_it_by_hand, NULL);
    scrub_stacks();
    need_eq(why((void *)~last), 0);
    says("  in byte 0 of the object of");
    says("memory that is not collected");
}

// It works beside collections, and leaves none of its own doing behind.
IN_GOROUTINES(a_collection_after_it_is_as_before, 2)
{
    int many = 1000;
    elsewhere(make_list, &many);
    for (int i = 0; i < 20; i++) {
        need_eq(why((void *)~last), 0);
        if (i % 2)
            tuza_gc();
        (void)make(NULL);
    }
    int n = 0;
    for (struct node *o = why_test_root; o; o = o->next)
        n++;
    need_eq(n, many);
}

IN_GOROUTINES(what_is_no_object_and_no_file_is_refused, 1)
{
    int local = 0;
    need_eq(why(&local), -EINVAL);
    need_eq(why(NULL), -EINVAL);
    need_eq(tuza_why_alive(make(NULL), -1), -EBADF);
}

int main(void)
{
    return api_check(
        "why", (const TTest *const[]){
                   a_static_variable_and_the_objects_between_are_told,
                   a_long_way_is_told_in_part, what_nothing_leads_to_is_told_so,
                   what_the_caller_alone_has_is_told_last,
                   the_stack_of_another_goroutine_is_told, a_pin_is_told,
                   memory_that_is_not_collected_is_told,
                   a_collection_after_it_is_as_before,
                   what_is_no_object_and_no_file_is_refused, NULL });
}
