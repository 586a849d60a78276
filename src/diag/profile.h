// SPDX-License-Identifier: BSD-3-Clause
// diag/profile.h: a profile as `go tool pprof` and its kin read it.
#ifndef TZ_DIAG_PROFILE_H
#define TZ_DIAG_PROFILE_H

#include "diag/arena.h"

enum { TZ_PROFILE_FRAMES = 64 };

// One stack and how often it was seen. Lies in the arena of its profile.
struct tz_stack_count {
    struct tz_stack_count *next; // in its bucket
    uint64_t hash;
    uint64_t count;
    const char *label; // of the goroutine; NULL: none
    uint32_t n;
    uintptr_t place[]; // innermost first: addresses within instructions
};

enum { TZ_PROFILE_BUCKETS = 4096 };
struct tz_profile {
    struct tz_arena arena;
    struct tz_stack_count *bucket[TZ_PROFILE_BUCKETS];
    int64_t began;       // wall clock, ns since 1970
    int64_t duration_ns;
    int64_t period_ns;   // of processor time that a count stands for
    uint64_t lost;       // counts that could not be kept
};

// Adds n to what is counted for a stack of 1 to TZ_PROFILE_FRAMES places.
void tz_profile_add(struct tz_profile *p, const char *label,
                    const uintptr_t *place, uint32_t depth, uint64_t n);

// Writes it as an uncompressed profile.proto, with names from symbol tables. 0,
// or -errno. On a thread that may wait for the dynamic linker's lock.
int tz_profile_write(struct tz_profile *p, int fd);

// Forgets what was added.
void tz_profile_free(struct tz_profile *p);

#endif
