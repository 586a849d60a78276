// SPDX-License-Identifier: BSD-3-Clause
// sched/template.c: the thread that makes all others.
//
// Making a thread takes libc's locks (malloc's, the dynamic linker's), and a
// goroutine may be stopped for the collector while it holds one of them. So
// whoever is part of a stop must not wait for them: this thread, which has no
// P, makes the threads [sched.I7]. It is started before any goroutine runs, so
// what a goroutine changes of its thread (name space, mask, scheduling) is not
// inherited either.

#include "sched/template.h"

#include "base/tls.h"
#include "os/futex.h"
#include "os/thread.h"

static struct {
    struct tz_threadask *asks; // atomic; a stack, pushed by anybody
    uint32_t count;            // atomic, a futex; asks so far
} template;

void tz_thread_ask(struct tz_threadask *a)
{
    do
        a->next = tz_load_rlx(&template.asks);
    while (!tz_cas_rel(&template.asks, a->next, a));
    tz_xadd(&template.count, 1);
    tz_futex_wake(&template.count, 1);
}

static void template_main(void *arg)
{
    (void)arg;
    tz_thread_name("tuza-template");
    tz_tls_get()->locks++;
    for (;;) {
        uint32_t seen = tz_load(&template.count);
        struct tz_threadask *a = tz_xchg_acq(&template.asks, NULL);
        if (!a)
            tz_futex_sleep(&template.count, seen, -1);
        while (a) {
            struct tz_threadask *next = a->next; // *a is not ours once it runs
            if (tz_thread_start(a->fn, a->arg, 0) != 0 && a->refused)
                a->refused(a);
            a = next;
        }
    }
}

int tz_template_start(void)
{
    return tz_thread_start(template_main, NULL, 0);
}
