// SPDX-License-Identifier: BSD-3-Clause
// test/model/note_test.c: nobody sleeps through a wake or wakes before it, and
// what was written before it can be read after it; the same for locks.

#include <stdlib.h>

#include "model/model_check.h"
#include "os/lock.h"
#include "os/note.h"

static struct tz_note note, answer;
static struct tz_lock lock;
static int news;        // handed over
static bool woken;

static void setup(void)
{
    model_name(&note, sizeof note, "note");
    model_name(&answer, sizeof answer, "answer");
    model_name(&lock, sizeof lock, "lock");
    model_name(&news, sizeof news, "news");
    tz_lock_init(&lock, TZ_RANK_LEAF);
}

static void wake_once(void)
{
    model_touch(&news, sizeof news, true);
    woken = true;
    tz_note_wake(&note);
}

static void sleep_once(void)
{
    tz_note_sleep(&note);
    model_need(woken);
    model_touch(&news, sizeof news, false);
}

START_TEST(a_sleeper_wakes_once_it_is_woken_and_not_before)
{
    struct model_program p = { .name = "note",
                               .setup = setup,
                               .thread = { sleep_once, wake_once },
                               .preemptions = 4,
                               .stale = 4,
                               .limit = 1000000,
                               .random = 2000 };
    explored(&p);
}
END_TEST

static void sleep_a_while(void)
{
    while (!tz_note_sleep_for(&note, 1000))
        model_note("nothing yet");
    model_need(woken);
    model_touch(&news, sizeof news, false);
}

static void sleep_not_for_long(void)
{
    if (tz_note_sleep_for(&note, 1000)) {
        model_need(woken);
        model_touch(&news, sizeof news, false);
    } else {
        model_need(model_now() >= 1001000);
    }
}

START_TEST(a_sleeper_whose_time_ends_first_says_so)
{
    struct model_program p = { .name = "note with an end",
                               .setup = setup,
                               .thread = { sleep_not_for_long, wake_once },
                               .preemptions = 4,
                               .stale = 4,
                               .limit = 1000000,
                               .random = 2000 };
    explored(&p);
    p.name = "note with an end, again and again";
    p.thread[0] = sleep_a_while;
    p.preemptions = 2;
    explored(&p);
}
END_TEST

// Two notes in turns, each used again once it is clear.
static void ping(void)
{
    for (int i = 0; i < 3; i++) {
        model_touch(&news, sizeof news, true);
        tz_note_wake(&note);
        tz_note_sleep(&answer);
        tz_note_clear(&answer);
    }
}

static void pong(void)
{
    for (int i = 0; i < 3; i++) {
        tz_note_sleep(&note);
        tz_note_clear(&note);
        model_touch(&news, sizeof news, true);
        tz_note_wake(&answer);
    }
}

START_TEST(a_note_that_was_cleared_is_as_new)
{
    struct model_program p = { .name = "ping and pong",
                               .setup = setup,
                               .thread = { ping, pong },
                               .preemptions = 3,
                               .stale = 2,
                               .limit = 1000000,
                               .random = 2000 };
    explored(&p);
}
END_TEST

static int inside;

static void use_lock(void)
{
    for (int i = 0; i < 2; i++) {
        tz_lock_acquire(&lock);
        model_need(++inside == 1);
        model_touch(&news, sizeof news, true);
        model_step("holds the lock");
        inside--;
        tz_lock_release(&lock);
    }
}

static void try_lock(void)
{
    if (!tz_lock_try(&lock))
        return;
    model_need(++inside == 1);
    model_touch(&news, sizeof news, true);
    model_step("holds the lock");
    inside--;
    tz_lock_release(&lock);
}

START_TEST(one_holds_a_lock_and_all_get_it)
{
    struct model_program p = { .name = "lock, two threads",
                               .setup = setup,
                               .thread = { use_lock, use_lock },
                               .preemptions = 4,
                               .stale = 2,
                               .limit = 1000000,
                               .random = 2000 };
    explored(&p);
    p.name = "lock, three threads";
    p.thread[2] = use_lock;
    p.preemptions = 2;
    explored(&p);
    p.name = "lock, two threads and one that tries";
    p.thread[2] = try_lock;
    explored(&p);
}
END_TEST

int main(void)
{
    return model_tests(
        "note", (const TTest *const[]){
                    a_sleeper_wakes_once_it_is_woken_and_not_before,
                    a_sleeper_whose_time_ends_first_says_so,
                    a_note_that_was_cleared_is_as_new,
                    one_holds_a_lock_and_all_get_it, NULL });
}
