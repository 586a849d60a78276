// SPDX-License-Identifier: BSD-3-Clause
// diag/arena.h: memory that is given back all at once, and tables in it.
#ifndef TZ_DIAG_ARENA_H
#define TZ_DIAG_ARENA_H

#include "base/base.h"

struct tz_arena {
    struct tz_arena_chunk *chunk; // newest first
    size_t used;                  // of the newest
};

// n zeroed bytes, n up to 64 KiB; NULL when memory is refused. One thread at a
// time; not in signal handlers.
void *tz_arena_alloc(struct tz_arena *a, size_t n);
void tz_arena_free(struct tz_arena *a); // it is empty then

// A number for each key. The nodes lie in an arena, with whose end the table is
// zeroed.
enum { TZ_MAP_BUCKETS = 1024 };
struct tz_map {
    struct tz_map_node *bucket[TZ_MAP_BUCKETS];
};
struct tz_map_node {
    struct tz_map_node *next;
    uintptr_t key;
    uint64_t value; // 0 when it is new
};

// The node of the key, a new one if there is none; NULL when memory is refused.
struct tz_map_node *tz_map_at(struct tz_map *t, struct tz_arena *a,
                              uintptr_t key);

#endif
