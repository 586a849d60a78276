// SPDX-License-Identifier: BSD-3-Clause
// diag/profile.h: a profile as `go tool pprof` and its kin read it.
#ifndef TZ_DIAG_PROFILE_H
#define TZ_DIAG_PROFILE_H

#include "diag/arena.h"

enum { TZ_PROFILE_FRAMES = 64, TZ_PROFILE_VALUES = 4 };

// What is counted, and in which unit.
struct tz_profile_type {
    const char *name, *unit;
};

// What a kind of profile says of each stack.
struct tz_profile_kind {
    struct tz_profile_type value[TZ_PROFILE_VALUES]; // name NULL: no more
    struct tz_profile_type period;
    const char *drop; // functions in which no stack ends, a regular expression of
                      // pprof's; NULL: none
};
extern const struct tz_profile_kind tz_profile_cpu, tz_profile_heap;

// One stack and how often it was seen. Lies in the arena of its profile.
struct tz_stack_count {
    struct tz_stack_count *next; // in its bucket
    uint64_t hash;
    uint64_t value[TZ_PROFILE_VALUES];
    const char *label; // of the goroutine; NULL: none
    uint64_t bytes;    // of one object; 0: not told
    uint32_t n;
    uintptr_t place[]; // innermost first: addresses within instructions
};

enum { TZ_PROFILE_BUCKETS = 4096 };
struct tz_profile {
    const struct tz_profile_kind *kind;
    struct tz_arena arena;
    struct tz_stack_count *bucket[TZ_PROFILE_BUCKETS];
    int64_t began;       // wall clock, ns since 1970
    int64_t duration_ns; // 0: it tells of no stretch of time
    int64_t period;      // of processor time in ns that a count stands for; bytes
    uint64_t lost;       // counts that could not be kept
};

// Of a CPU profile: adds n to what is counted for a stack of 1 to
// TZ_PROFILE_FRAMES places.
void tz_profile_add(struct tz_profile *p, const char *label,
                    const uintptr_t *place, uint32_t depth, uint64_t n);

// Of a heap profile: a stack with values of its own, for objects of so many
// bytes. False: no memory.
bool tz_profile_add_heap(struct tz_profile *p, const uintptr_t *place,
                         uint32_t depth, uint64_t bytes, const uint64_t *value);

// Writes it as an uncompressed profile.proto, with names from symbol tables. 0,
// or -errno. On a thread that may wait for the dynamic linker's lock.
int tz_profile_write(struct tz_profile *p, int fd);

// Forgets what was added.
void tz_profile_free(struct tz_profile *p);

#endif
