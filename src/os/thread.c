// SPDX-License-Identifier: BSD-3-Clause
// os/thread.c: starting threads.
//
// Threads are made by pthread_create, so that C libraries find their TLS and
// stack in order on them. Both words that a new thread needs travel in a slot
// of a static table, which the thread empties as its first act: libc's malloc
// may be replaced by one of ours, and a block that only the kernel knows is
// not found by a collector. More starts at once than slots wait for each other.
//
// Signals are blocked before the call and for the child, which inherits that,
// so that no handler runs on a thread that has no alternate stack yet.
//
// Stacks are pthread's own, which libc maps as stack memory where the system
// polices the stack pointer, and glibc everywhere; the thread's own block lies
// above where it starts. Their size, the system's default, 8 MiB as a rule,
// costs nothing but addresses, and what runs there (the scheduler, the
// collector, hooks of the program) may call any code. Where addresses are
// limited five threads of it would be all there is: they get 256 KiB each, four
// times what a hook is promised (S0-07). A program whose thread-local variables
// do not fit into that gets the default after all.
//
// Go keeps this in os_linux.go (newosproc) and runtime/cgo; ours knows only the
// latter's way.

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "base/atomic.h"
#include "base/san.h"
#include "os/space.h"
#include "os/thread.h"

enum { SLOTS = 64, SMALL_STACK = 256 * TZ_KIB };

struct start {
    uint32_t state; // atomic; enum slot_state
    void (*fn)(void *);
    void *arg;
};

enum slot_state { FREE, TAKEN };

static struct start slots[SLOTS];
static uint32_t running; // threads of ours; atomic, from before they begin

static struct start *take_slot(void)
{
    for (;; tz_thread_yield())
        for (int i = 0; i < SLOTS; i++)
            // Acquire: pairs with the release in leave_slot.
            if (tz_cas_acq(&slots[i].state, FREE, TAKEN))
                return &slots[i];
}

static void leave_slot(struct start *s)
{
    tz_store_rel(&s->state, FREE); // partner: take_slot
}

static void *run(void *slot)
{
    struct start *s = slot;
    void (*fn)(void *) = s->fn;
    void *arg = s->arg;
    leave_slot(s);
    fn(arg);
    tz_xadd(&running, -1u);
    return NULL;
}

static int create_sized(struct start *s, size_t stack_size)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err)
        return err;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (stack_size) {
        size_t least = (size_t)PTHREAD_STACK_MIN;
        err = pthread_attr_setstacksize(&attr, tz_max(stack_size, least));
    }
    pthread_t thread;
    if (!err)
        err = pthread_create(&thread, &attr, run, s);
    pthread_attr_destroy(&attr);
    return err;
}

static int create_detached(struct start *s, size_t stack_size)
{
    if (stack_size || tz_space_left() >= TZ_SPACE_AMPLE)
        return create_sized(s, stack_size);
    int err = create_sized(s, SMALL_STACK);
    return err == EINVAL ? create_sized(s, 0) : err; // too small for its TLS
}

int tz_thread_start(void (*fn)(void *), void *arg, size_t stack_size)
{
    sigset_t all, before;
    sigfillset(&all);
    int saved = errno;
    struct start *s = take_slot();
    s->fn = fn;
    s->arg = arg;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    tz_xadd(&running, 1);
    int err = create_detached(s, stack_size);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        leave_slot(s);
        tz_xadd(&running, -1u);
    }
    errno = saved;
    return -err;
}

int tz_thread_others(void)
{
    int all = tz_thread_count();
    return TZ_TSAN || all < 0 ? 0 : all - (int)tz_load(&running) - 1;
}

void tz_thread_yield(void)
{
    sched_yield();
}
