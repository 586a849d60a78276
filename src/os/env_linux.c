// SPDX-License-Identifier: BSD-3-Clause
// os/env_linux.c: what the kernel tells a program at its start.

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/rand.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/env_sys.h"

enum { NON_BLOCKING = 1 }; // GRND_NONBLOCK: early in boot there may be none

bool tz_envsys_secure(void)
{
    return getauxval(AT_SECURE) != 0;
}

// AT_RANDOM is the same at each call, so the clock and a count go in as well.
static void weak_random(uint64_t out[2])
{
    static uint64_t count; // atomic; orders nothing
    uint64_t state = (uint64_t)tz_clock_now() + tz_xadd_rlx(&count, 1);
    const void *given = (const void *)getauxval(AT_RANDOM);
    if (given) {
        uint64_t seed[2];
        memcpy(seed, given, sizeof seed);
        state ^= seed[0] ^ (seed[1] << 1);
    }
    out[0] = tz_rand_next(&state);
    out[1] = tz_rand_next(&state);
}

// Of the seed alone, as long as one thread asks.
static void sim_random(uint64_t out[2])
{
    static uint64_t count; // atomic; orders nothing
    uint64_t state = tz_env.sim_seed + (tz_xadd_rlx(&count, 1) << 32);
    out[0] = tz_rand_next(&state);
    out[1] = tz_rand_next(&state);
}

void tz_env_random(uint64_t out[2])
{
    if (tz_env.sim) {
        sim_random(out);
        return;
    }
    int saved = errno;
    uint64_t got[2];
    // 16 bytes come whole or not at all.
    if (syscall(SYS_getrandom, got, sizeof got, NON_BLOCKING) == sizeof got)
        memcpy(out, got, sizeof got);
    else
        weak_random(out);
    errno = saved;
}
