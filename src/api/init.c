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

#include "base/print.h"
#include "gc/gc.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "os/env.h"
#include "os/ncpu.h"
#include "sched/proc.h"
#include "stack/stack.h"
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
        out->gc_percent < -1 || out->stack_size > TZ_GIB)
        return -EINVAL;
    return 0;
}

// The environment wins over the program.
static void apply_environment(tuza_config *c)
{
    if (tz_env.maxprocs)
        c->maxprocs = tz_env.maxprocs;
    if (tz_env.gc_percent != -2)
        c->gc_percent = tz_env.gc_percent;
    else if (c->gc_percent == 0)
        c->gc_percent = 100;
    if (tz_env.stack_size)
        c->stack_size = tz_env.stack_size;
    if (c->maxprocs == 0)
        c->maxprocs = tz_ncpu();
    if (c->maxprocs > TZ_MAXPROCS)
        c->maxprocs = TZ_MAXPROCS;
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
    apply_environment(&c);
    if ((err = tz_heap_init()) != 0)
        return err;
    tz_central_init();
    tz_stack_init(c.stack_size, tz_env.stack_guard);
    if ((err = tz_gc_init(c.gc_percent)) != 0)
        return err;
    if ((err = tz_sched_init((uint32_t)c.maxprocs)) != 0)
        return err;
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
