// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/told.c: a store of split code that is told to the collector
// calls plain code, for which its function asks for more room.

#include <stdio.h>
#include <tuza.h>

struct node {
    struct node *next;
};

__attribute__((noinline)) void tell(struct node *a, struct node *b);
void tell(struct node *a, struct node *b) { tuza_store(&a->next, b); }

TUZA_MAIN
{
    struct node *a = tuza_new(struct node);
    tell(a, a);
    printf("told: %d\n", a->next == a ? 0 : 1);
    return 0;
}
