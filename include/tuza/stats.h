/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/stats.h: what the runtime has done so far. Bytes and nanoseconds. */
#ifndef TUZA_STATS_H
#define TUZA_STATS_H

#include "tuza/base.h"

TUZA_BEGIN

typedef struct tuza_memstats {
    size_t size;             /* set it to sizeof(tuza_memstats) before */
    uint64_t heap_live;      /* bytes in objects: marked at the last
                                collection plus allocated since */
    uint64_t heap_peak;      /* most bytes that spans in use have had */
    uint64_t heap_inuse;     /* bytes of spans with an object in them */
    uint64_t heap_sys;       /* bytes of heap mapped */
    uint64_t stack_inuse;    /* bytes of stacks' address space in use */
    uint64_t stack_sys;      /* bytes of address space mapped for stacks */
    uint64_t meta_sys;       /* bytes mapped for the runtime's own tables */
    uint64_t total_sys;      /* bytes mapped in all */
    uint64_t total_alloc;    /* bytes allocated since start */
    uint64_t mallocs;        /* objects allocated since start */
    uint64_t next_gc;        /* heap_live at which the next one starts */
    uint64_t num_gc;         /* collections completed */
    uint64_t pause_total_ns; /* with the world stopped, all together */
    uint64_t pause_max_ns;   /* the longest */
} tuza_memstats;

typedef struct tuza_schedstats {
    size_t size;         /* set it to sizeof(tuza_schedstats) before */
    uint64_t goroutines; /* that exist now */
    uint64_t created;    /* since start */
    uint64_t peak;       /* most that existed at one time */
    uint64_t threads;    /* that the runtime has made or runs on */
    uint64_t maxprocs;
    uint64_t handoffs; /* Ps taken from blocking calls */
} tuza_schedstats;

/* Fill the part of *st that st->size covers. 0; -EINVAL for a size below the
 * first field's end. From any thread once the runtime runs. */
TUZA_API int tuza_memstats_read(tuza_memstats *st);
TUZA_API int tuza_schedstats_read(tuza_schedstats *st);

TUZA_END

#endif
