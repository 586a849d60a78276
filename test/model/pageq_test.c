// SPDX-License-Identifier: BSD-3-Clause
// test/model/pageq_test.c: of a page that is queued each marked object is scanned,
// once in a collection.

#include <stdlib.h>

#include "gc/pageq.h"
#include "model/model_check.h"

enum { OBJECTS = 3 };

static struct tz_pagebits bits;
static struct tz_scanned scanned;
static uint8_t queued;
static struct tz_region region;
static uint64_t cycle;
static uint32_t scans[OBJECTS]; // by object, in this collection

static void setup(void)
{
    region = (struct tz_region){ .bits = &bits, .queued = &queued,
                                 .scanned = &scanned };
    model_name(&bits, sizeof bits, "bits");
    model_name(&scanned, sizeof scanned, "scanned");
    model_name(&queued, sizeof queued, "queued");
    scanned.bits[0] = 7; // of an earlier one
    scanned.cycle = cycle = 1;
    cycle++;
}

static void look_at_page(void)
{
    tz_pageq_leave(&region, 0, false);
    uint64_t todo = tz_pageq_take(&region, 0, 0, false);
    for (uint32_t i = 0; i < OBJECTS; i++)
        if (todo >> i & 1)
            __atomic_fetch_add(&scans[i], 1, __ATOMIC_RELAXED);
}

// Marks one object; the page, if it is this worker that queues it, is looked at.
static void mark(uint32_t i)
{
    tz_xor_bits(&bits.word[0].mark, UINT64_C(1) << i);
    if (tz_pageq_enter(&region, 0, cycle, false))
        look_at_page();
}

static void first(void) { mark(0); }
static void second(void) { mark(1); }
static void third(void) { mark(2); }

static void first_and_third(void)
{
    mark(0);
    mark(2);
}

static void check(void)
{
    model_need(queued == 0);
    for (uint32_t i = 0; i < OBJECTS; i++)
        model_need(scans[i] == (bits.word[0].mark >> i & 1));
}

START_TEST(each_marked_object_of_a_page_is_scanned_once)
{
    struct model_program p = { .name = "two workers and a page",
                               .setup = setup,
                               .thread = { first_and_third, second },
                               .check = check,
                               .preemptions = 4,
                               .stale = 3,
                               .limit = 1000000,
                               .random = 2000 };
    explored(&p);
    p.name = "three workers and a page";
    p.thread[0] = first;
    p.thread[2] = third;
    p.preemptions = 3;
    p.stale = 2;
    explored(&p);
}
END_TEST

int main(void)
{
    return model_tests("pageq",
                       (const TTest *const[]){
                           each_marked_object_of_a_page_is_scanned_once, NULL });
}
