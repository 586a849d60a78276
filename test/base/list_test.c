// SPDX-License-Identifier: BSD-3-Clause
// test/base/list_test.c: the intrusive list, against an array.

#include <inttypes.h>
#include <time.h>

#include "base/list.h"
#include "base/rand.h"
#include "os/os_check.h"

enum { NODES = 20 };

struct item {
    int before;
    struct tz_list node;
};

static struct item items[NODES];
static struct tz_list list = TZ_LIST_INIT(list);

// The model: which items are on the list, in order.
static int order[NODES], length;

static void assert_as_model(void)
{
    int i = 0;
    tz_list_for(n, &list)
    {
        if (i >= length ||
            tz_list_entry(n, struct item, node) != &items[order[i]] ||
            n->next->prev != n || n->prev->next != n)
            ck_abort_msg("place %d of %d", i, length);
        i++;
    }
    ck_assert_int_eq(i, length);
    ck_assert_int_eq(tz_list_empty(&list), length == 0);
}

static int place_of(int item)
{
    for (int i = 0; i < length; i++)
        if (order[i] == item)
            return i;
    return -1;
}

static void model_insert(int at, int item)
{
    memmove(order + at + 1, order + at,
            (size_t)(length++ - at) * sizeof *order);
    order[at] = item;
}

static void model_remove(int at)
{
    memmove(order + at, order + at + 1,
            (size_t)(--length - at) * sizeof *order);
}

START_TEST(every_sequence_of_changes_keeps_the_order)
{
    uint64_t seed = (uint64_t)time(NULL);
    printf("list: seed %" PRIu64 "\n", seed);
    for (int i = 0; i < NODES; i++)
        tz_list_init(&items[i].node);
    for (int step = 0; step < 100000; step++) {
        uint64_t r = tz_rand_next(&seed);
        int item = (int)((r >> 32) % NODES), at = place_of(item);
        struct tz_list *n = &items[item].node;
        ck_assert_int_eq(tz_list_on(n), at >= 0);
        if (r % 8 == 0) {
            struct tz_list *first = tz_list_pop_front(&list);
            ck_assert_ptr_eq(first, length ? &items[order[0]].node : NULL);
            if (length) {
                ck_assert(!tz_list_on(first));
                model_remove(0);
            }
        } else if (at >= 0) {
            tz_list_remove(n);
            model_remove(at);
        } else if (r % 2) {
            tz_list_push_front(&list, n);
            model_insert(0, item);
        } else {
            tz_list_push_back(&list, n);
            model_insert(length, item);
        }
        assert_as_model();
    }
}
END_TEST

START_TEST(removing_twice_is_harmless)
{
    tz_list_push_back(&list, &items[0].node);
    tz_list_push_back(&list, &items[1].node);
    tz_list_remove(&items[0].node);
    tz_list_remove(&items[0].node);
    ck_assert(!tz_list_on(&items[0].node));
    order[length++] = 1;
    assert_as_model();
}
END_TEST

int main(void)
{
    return os_check("base/list",
                    (const TTest *const[]){
                        every_sequence_of_changes_keeps_the_order,
                        removing_twice_is_harmless, NULL });
}
