// SPDX-License-Identifier: BSD-3-Clause
// api/init.c: starting the runtime: a newcomer's first file.
//
// The rooms are started from left to right: settings, heap, stacks, collector,
// scheduler; then the main goroutine is spawned and a thread begins to run
// goroutines: the caller's own under TUZA_MAIN, which exits with the main
// goroutine, another under tuza_run, which has to return to its caller
// whatever its goroutines do at that moment.

#include <errno.h>
#include <stdlib.h>

#include "arch/ctx.h"
#include "base/print.h"
#include "diag/diag.h"
#include "gc/barrier.h"
#include "gc/gc.h"
#include "gc/pacer.h"
#include "mem/limit.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "os/cgroup.h"
#include "os/env.h"
#include "os/ncpu.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "sched/split.h"
#include "stack/stack.h"
#include "tuza/barrier.h"
#include "tuza/run.h"

static struct {
    uint32_t started; // atomic; 1 from the first call on
} run;

// The first `size` bytes of the caller's settings, zeroes for what a newer
// header may add.
static int read_config(const tuza_config *config, tuza_config *out)
{
    *out = (tuza_config){ 0 };
    if (!config)
        return 0;
    if (config->size < sizeof(size_t) || config->size > 4096)
        return -EINVAL;
    size_t n = tz_min(config->size, sizeof *out);
    for (size_t i = 0; i < n; i++)
        ((char *)out)[i] = ((const char *)config)[i];
    if (out->maxprocs < 0 || out->maxprocs > TZ_MAXPROCS ||
        out->gc_percent < -1 || out->stack_size > TZ_GIB ||
        out->memory_limit < -1 || out->float_control < TUZA_FLOAT_OWN ||
        out->float_control > TUZA_FLOAT_SHARED || out->max_taken < -1 ||
        out->barrier < TUZA_BARRIER_NOTES || out->barrier > TUZA_BARRIER_NONE)
        return -EINVAL;
    return 0;
}

// The environment wins over the program.
static void apply_environment(tuza_config *c, uint64_t granted_cpus)
{
    if (tz_env.maxprocs)
        c->maxprocs = tz_env.maxprocs;
    if (tz_env.gc_percent != -2)
        c->gc_percent = tz_env.gc_percent;
    else if (c->gc_percent == 0)
        c->gc_percent = 100;
    if (tz_env.stack_size)
        c->stack_size = tz_env.stack_size;
    if (tz_env.max_taken)
        c->max_taken = tz_env.max_taken;
    if (c->maxprocs == 0)
        c->maxprocs = tz_ncpu_within(granted_cpus);
    if (c->maxprocs > TZ_MAXPROCS)
        c->maxprocs = TZ_MAXPROCS;
}

// What the control groups grant is also for what the runtime does not know of:
// the program's code, malloc, threads. A tenth is left to that.
static uint64_t share(uint64_t granted)
{
    return granted == UINT64_MAX ? TZ_NO_LIMIT : granted - granted / 10;
}

static void apply_limits(const tuza_config *c, uint64_t granted)
{
    int64_t bytes = tz_env.memory_limit ? tz_env.memory_limit : c->memory_limit;
    uint64_t soft = bytes > 0    ? (uint64_t)bytes
                    : bytes == 0 ? share(granted)
                                 : TZ_NO_LIMIT;
    tz_limit_init(soft, tz_env.memory_max ? tz_env.memory_max : TZ_NO_LIMIT);
}

static int start(int (*fn)(int, char **), int argc, char **argv,
                 const tuza_config *config, bool exit_when_done)
{
    tuza_config c;
    int err = read_config(config, &c);
    if (err)
        return err;
    if (tz_xchg(&run.started, 1))
        return -EALREADY;
    tz_env_init();
    tz_lock_ready(); // or the first that waits needs much stack for it
    tz_ctx_setup(c.float_control == TUZA_FLOAT_SHARED);
    tz_vm_stack_policed(); // asked once, now
    struct tz_cgroup granted = tz_cgroup_limits("");
    apply_environment(&c, granted.cpus);
    apply_limits(&c, granted.memory);
    if ((err = tz_heap_init()) != 0)
        return err;
    tz_central_init();
    tz_stack_init(tz_thin_init(c.stack_size), tz_env.stack_guard);
    tz_barrier_init(c.barrier);
    if ((err = tz_gc_init(c.gc_percent)) != 0)
        return err;
    if ((err = tz_diag_init()) != 0)
        return err;
    if ((err = tz_sched_init((uint32_t)c.maxprocs, c.max_taken)) != 0)
        return err;
    tz_pacer_update(); // all that is needed for a start is mapped now
    return tz_main_spawn(fn, argc, argv, exit_when_done);
}

int tuza_run(int (*fn)(int, char **), int argc, char **argv,
             const tuza_config *config)
{
    int err = start(fn, argc, argv, config, false);
    return err ? err : tz_main_elsewhere();
}

void tuza_run_main(int (*fn)(int, char **), int argc, char **argv,
                   const tuza_config *config)
{
    int err = start(fn, argc, argv, config, true);
    if (err)
        tz_fatal("cannot start: %s", tz_strerror(-err));
    tz_main_here();
}
