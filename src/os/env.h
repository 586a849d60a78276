// SPDX-License-Identifier: BSD-3-Clause
// os/env.h: settings from the environment.
//
// TUZAMAXPROCS, TUZAGC, TUZASTACK, … are single values; TUZADEBUG holds
// key=value pairs separated by commas. All are ignored in set-uid programs. A
// value that cannot be is told in one line on standard error and ignored.
#ifndef TZ_OS_ENV_H
#define TZ_OS_ENV_H

#include "base/base.h"

enum tz_gcmode { TZ_GCMODE_BEST, TZ_GCMODE_M0, TZ_GCMODE_M1, TZ_GCMODE_M2,
                 TZ_GCMODE_M3 };

struct tz_env {
    int maxprocs;      // TUZAMAXPROCS, 1..1024; 0 not set
    int gc_percent;    // TUZAGC, 0.. or off (-1); -2 not set
    size_t stack_max;  // TUZASTACKMAX, bytes that a stack may grow to: 1G
    size_t stack_size; // TUZASTACK, bytes with an optional K or M; 0 not set
    int stack_guard;   // TUZASTACKGUARD: 0 not set, 1 marker, 2 mprotect, 3 off
    int64_t memory_limit; // TUZAMEMLIMIT, bytes with an optional K, M, G or T;
                          // -1 off, 0 not set
    uint64_t memory_max;  // TUZAMEMMAX, likewise; UINT64_MAX off, 0 not set
    bool sim;             // TUZASIM is set: one thread, in an order chosen by
    uint64_t sim_seed;    // its value
    // TUZADEBUG keys:
    int max_taken;     // taken=N: goroutines that compute on without a P; -1
                       // none, 0 not set
    int simtrace;      // 1: the hash of a simulation at its end; 2: its events
    int gctrace;       // 1: a line a collection
    int schedtrace;    // ms between lines about the scheduler; 0: none
    bool stress_gc;    // stress=gc: collect at every allocation
    uint32_t gc_every; // gcevery=k: the same, but at every k-th only; else 0
    enum tz_gcmode gc_mode; // gcmode=m0 to m3: this one, if it can be had
    bool gc_check;     // gccheckmark=1: a second mark must find nothing new
    bool gc_verify;    // gcverify=1: the heap is verified between phases
    bool clobber_free; // clobberfree=1: what is swept or freed is overwritten
    bool never_free;   // neverfree=1: and never used again; also if the next
    bool page_per_object; // pageperobject=1: but faults
    bool stress_yield; // stress=yield: yield at each channel operation
    bool stress_steal; // stress=steal: steal before looking at home
    bool efence;       // efence=1: reserved
    uint64_t memprofile_rate; // memprofilerate=N: bytes a sample of the heap
                              // profile; 0: none
};

// Read once, by tz_env_init; const afterwards.
extern struct tz_env tz_env;

// Parses the environment; told once, before anything else runs.
void tz_env_init(void);

// The value of a key of TUZADEBUG, whether or not tz_env_init has run: false
// when it is not there, or longer than buf. Nothing in set-uid programs.
bool tz_env_debug(const char *key, char *buf, size_t size);

// 16 random bytes from the system (getrandom, else AT_RANDOM, else the clock);
// in a simulation, what follows from its seed.
void tz_env_random(uint64_t out[2]);

#endif
