// SPDX-License-Identifier: BSD-3-Clause
// os/dirty_generic.c: systems that do not tell.

#include "os/dirty.h"

#include <errno.h>

int tz_dirty_open(const char **why)
{
    *why = "this system does not tell which pages were written";
    return -ENOSYS;
}

int tz_dirty_watch(uintptr_t lo, uintptr_t hi)
{
    (void)lo, (void)hi;
    return -ENOSYS;
}

int tz_dirty_arm(uintptr_t lo, uintptr_t hi)
{
    (void)lo, (void)hi;
    return -ENOSYS;
}

int tz_dirty_disarm(uintptr_t lo, uintptr_t hi)
{
    (void)lo, (void)hi;
    return -ENOSYS;
}

int tz_dirty_look(uintptr_t lo, uintptr_t hi, bool rearm,
                  void (*fn)(void *arg, uintptr_t lo, uintptr_t hi), void *arg)
{
    (void)lo, (void)hi, (void)rearm, (void)fn, (void)arg;
    return -ENOSYS;
}
