// SPDX-License-Identifier: BSD-3-Clause
// model/os.c: the rooms to the left of the scheduler, as small as they can be.

#include <stdarg.h>
#include <stdio.h>

#include "base/event.h"
#include "base/print.h"
#include "base/tls.h"
#include "explore.h"
#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "mem/persist.h"
#include "mem/scavenge.h"
#include "os/call.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/futex.h"
#include "os/ncpu.h"
#include "os/port.h"
#include "os/sig.h"
#include "os/space.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched.h"
#include "sched/split.h"
#include "stack/stack.h"

// --- base

static struct tz_tls tls[MODEL_THREADS + 1];

struct tz_tls *model_tls(void)
{
    return &tls[model_self()];
}

void tz_throw(const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    model_fail("%s", text);
}

void tz_fatal(const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    model_fail("fatal: %s", text);
}

void tz_hook_reentered(void)
{
    model_fail("a hook has called the runtime");
}

// Nobody listens.
struct tz_events tz_base_events;

void tz_event_tell(enum tz_event kind, uint64_t a, uint64_t b)
{
    (void)kind, (void)a, (void)b;
}

// --- os

struct tz_env tz_env;

void tz_env_random(uint64_t out[2])
{
    out[0] = 1 + model_self();
    out[1] = 2;
}

int64_t tz_clock_now(void)
{
    return model_now();
}

bool model_patient;

void tz_futex_sleep(uint32_t *word, uint32_t expect, int64_t ns)
{
    model_sleep(word, expect, model_patient ? -1 : ns);
}

void tz_futex_wake(uint32_t *word, uint32_t n)
{
    model_wake(word, n);
}

int tz_ncpu(void)
{
    return 1; // no spinning before a sleep
}

// What is started here serves the others: sysmon.
static void (*serve)(void *);

static void daemon_main(void *arg)
{
    model_daemon();
    serve(arg);
}

int tz_thread_start(void (*fn)(void *), void *arg, size_t stack_size)
{
    (void)stack_size;
    serve = fn;
    return model_start(daemon_main, arg) ? 0 : -11;
}

void tz_thread_stack(uintptr_t *lo, uintptr_t *hi)
{
    *lo = *hi = 0;
}

int tz_thread_id(void)
{
    return 100 + (int)model_self();
}

int tz_thread_signal(int tid, int signo)
{
    (void)tid, (void)signo;
    return 0;
}

uintptr_t tz_thread_pointer(void)
{
    return 0;
}

void tz_thread_yield(void)
{
    model_yield();
}

void tz_thread_sleep(int64_t ns)
{
    model_sleep_for(ns);
}

void tz_thread_name(const char *name)
{
    (void)name;
}

int tz_sig_altstack(void)
{
    return 0;
}

void tz_sig_mask_use(const int *signo, int n)
{
    (void)signo, (void)n;
}

uint64_t tz_space_left(void)
{
    return 0;
}

void tz_vm_die(const char *what)
{
    model_fail("no memory: %s", what);
}

// --- mem and stack

TZ_WEAK void *tz_persist_alloc(size_t n, size_t align)
{
    return model_alloc(n, align);
}

void *tz_malloc(size_t n, unsigned kind)
{
    (void)kind;
    return model_alloc(n, 16);
}

bool tz_central_sweep_one(void)
{
    return false;
}

size_t tz_scavenge_tick(int64_t now)
{
    (void)now;
    return 0;
}

size_t tz_stack_default(void)
{
    return 32768;
}

int tz_stack_get(struct tz_stackcache *c, size_t size, void *owner,
                 struct tz_stack *out)
{
    (void)c, (void)size;
    size = tz_stack_default();
    void **owner_at = model_alloc(size, 64);
    *owner_at = owner;
    out->lo = (uintptr_t)owner_at;
    out->hi = out->lo + size;
    return 0;
}

void tz_stack_put(struct tz_stackcache *c, struct tz_stack *st)
{
    (void)c;
    st->lo = st->hi = 0;
}

// At the stack's low end.
void **tz_stack_owner(const struct tz_stack *st)
{
    return (void **)st->lo;
}

bool tz_stack_unguarded(const struct tz_stack *st)
{
    (void)st;
    return false;
}

void tz_stack_tick(int64_t now)
{
    (void)now;
}

// --- split code: there is none

size_t tz_split_stack_size(size_t size)
{
    return size;
}

bool tz_thin_wanted(const struct tz_g *g)
{
    (void)g;
    return false;
}

uintptr_t tz_thin_first(struct tz_stackcache *c, struct tz_g *g)
{
    (void)c, (void)g;
    tz_throw("no thin segments here");
}

uintptr_t tz_split_first(struct tz_g *g)
{
    return g->stack.hi;
}

void tz_split_last(struct tz_stackcache *c, struct tz_g *g)
{
    (void)c, (void)g;
}

void tz_split_pass(struct tz_stackcache *c, struct tz_g *g, struct tz_g *to)
{
    (void)c, (void)g, (void)to;
}

void tz_split_switch(const struct tz_g *g)
{
    (void)g;
}

void tz_split_poison(struct tz_m *m)
{
    (void)m;
}

// --- calls of other threads: none blocks undeclared

bool tz_call_look(int tid, struct tz_call *out)
{
    (void)tid, (void)out;
    return false;
}

int64_t tz_call_cputime(int tid)
{
    (void)tid;
    return -1;
}

bool tz_call_interrupted(const struct tz_sigctx *c, const struct tz_call *seen,
                         struct tz_call *out)
{
    (void)c, (void)seen, (void)out;
    return false;
}

void tz_call_finish(struct tz_sigctx *c, const struct tz_call *call, int keep)
{
    (void)c, (void)call, (void)keep;
}

void tz_sig_block_all(void) {}
void tz_sig_altstack_free(void) {}

int tz_thread_others(void)
{
    return 0;
}
