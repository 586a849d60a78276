// SPDX-License-Identifier: BSD-3-Clause
// diag/arena.c: memory that is given back all at once: chunks straight from the
// system, so that a profile changes nothing in the heap that it looks at.

#include "diag/arena.h"

#include "os/vm.h"

enum { CHUNK = 256 * 1024 };

struct tz_arena_chunk {
    struct tz_arena_chunk *next;
};

void *tz_arena_alloc(struct tz_arena *a, size_t n)
{
    TZ_CHECK(n <= 64 * TZ_KIB);
    n = tz_align_up(n, 16);
    if (!a->chunk || CHUNK - a->used < n) {
        struct tz_arena_chunk *c = tz_vm_alloc(CHUNK, TZ_VM_META);
        if (!c)
            return NULL;
        c->next = a->chunk;
        a->chunk = c;
        a->used = tz_align_up(sizeof *c, 16);
    }
    void *p = (char *)a->chunk + a->used;
    a->used += n;
    return p;
}

void tz_arena_free(struct tz_arena *a)
{
    while (a->chunk) {
        struct tz_arena_chunk *c = a->chunk;
        a->chunk = c->next;
        tz_vm_free(c, CHUNK, TZ_VM_META, TZ_VM_READY);
    }
    a->used = 0;
}

struct tz_map_node *tz_map_at(struct tz_map *t, struct tz_arena *a,
                              uintptr_t key)
{
    uintptr_t mixed = key * (uintptr_t)0x9e3779b97f4a7c15;
    struct tz_map_node **head =
        &t->bucket[(mixed >> (sizeof key * 4)) % TZ_MAP_BUCKETS];
    for (struct tz_map_node *n = *head; n; n = n->next)
        if (n->key == key)
            return n;
    struct tz_map_node *n = tz_arena_alloc(a, sizeof *n);
    if (!n)
        return NULL;
    n->key = key;
    n->next = *head;
    *head = n;
    return n;
}
