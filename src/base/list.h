// SPDX-License-Identifier: BSD-3-Clause
// base/list.h: a doubly linked intrusive list with a sentinel head.
//
// A node that is on no list points at itself, so removing it twice is
// harmless and `tz_list_on` can be asked. Not thread-safe.
#ifndef TZ_BASE_LIST_H
#define TZ_BASE_LIST_H

#include "base/base.h"

struct tz_list {
    struct tz_list *next, *prev;
};

#define TZ_LIST_INIT(name) { &(name), &(name) }

TZ_INLINE void tz_list_init(struct tz_list *l) { l->next = l->prev = l; }

TZ_INLINE bool tz_list_empty(const struct tz_list *l) { return l->next == l; }

// Whether node n is on a list.
TZ_INLINE bool tz_list_on(const struct tz_list *n) { return n->next != n; }

TZ_INLINE void tz_list_push_front(struct tz_list *l, struct tz_list *n)
{
    n->next = l->next;
    n->prev = l;
    l->next->prev = n;
    l->next = n;
}

TZ_INLINE void tz_list_push_back(struct tz_list *l, struct tz_list *n)
{
    tz_list_push_front(l->prev, n);
}

TZ_INLINE void tz_list_remove(struct tz_list *n)
{
    n->next->prev = n->prev;
    n->prev->next = n->next;
    tz_list_init(n);
}

// Takes the first node off, NULL when empty.
TZ_INLINE struct tz_list *tz_list_pop_front(struct tz_list *l)
{
    struct tz_list *n = l->next;
    if (n == l)
        return NULL;
    tz_list_remove(n);
    return n;
}

#define tz_list_entry(n, type, field) tz_containerof(n, type, field)
#define tz_list_for(n, l)                                                      \
    for (struct tz_list *n = (l)->next; n != (l); n = n->next)

#endif
