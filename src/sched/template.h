// SPDX-License-Identifier: BSD-3-Clause
// sched/template.h: the thread that makes all others.
#ifndef TZ_SCHED_TEMPLATE_H
#define TZ_SCHED_TEMPLATE_H

#include "base/base.h"

struct tz_threadask {
    void (*fn)(void *);
    void *arg;
    void (*refused)(struct tz_threadask *a); // NULL: nothing to be done
    struct tz_threadask *next;
};

// Asks for a thread that runs a->fn(a->arg). *a stays until fn or refused is
// called, on another thread. Does not block.
void tz_thread_ask(struct tz_threadask *a);

// Starts the template thread itself. 0, or -errno.
int tz_template_start(void);

#endif
