/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/stats.h: what the runtime has done so far. Bytes and nanoseconds. */
#ifndef TUZA_STATS_H
#define TUZA_STATS_H

#include "tuza/base.h"

TUZA_BEGIN

/* In every answer, exactly:
 *   total_sys = heap_sys + stack_sys + meta_sys + gc_sys + other_sys
 *               + unmap_deferred
 *   heap_sys  = heap_inuse + heap_idle + heap_released
 *   stack_sys = stack_inuse + stack_idle
 * While nothing is being mapped, total_sys + reserved is what the runtime has
 * mapped and not unmapped. Stacks of threads, which libc maps, are not in. */
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
    uint64_t heap_idle;      /* bytes of free pages in memory */
    uint64_t heap_released;  /* bytes of free pages without memory: given
                                back, or not used so far */
    uint64_t stack_idle;     /* bytes of address space for further stacks */
    uint64_t gc_sys;         /* bytes mapped for the collector's work */
    uint64_t other_sys;      /* bytes mapped ahead for tables to come */
    uint64_t unmap_deferred; /* bytes that the system would not unmap yet; no
                                memory stands behind them */
    uint64_t reserved;       /* bytes of address space without memory; not in
                                total_sys */
    uint64_t memory_used;    /* bytes that count for limits (tuza/limit.h) */
    uint64_t memory_limit;   /* tuza_memory_limit_set; INT64_MAX: none */
    uint64_t memory_max;     /* tuza_memory_max_set; UINT64_MAX: none */
    uint64_t external;       /* tuza_external */
    uint64_t num_forced;     /* of num_gc: asked for, not by growth */
    uint64_t num_relaxed;    /* of num_gc: the next may exceed the limit, else
                                more than half of the time is collecting */
} tuza_memstats;

typedef struct tuza_schedstats {
    size_t size;         /* set it to sizeof(tuza_schedstats) before */
    uint64_t goroutines; /* that exist now */
    uint64_t created;    /* since start */
    uint64_t peak;       /* most that existed at one time; where maxprocs is
                            more than 1 up to 64 for each may be missing */
    uint64_t threads;    /* that the runtime has made or runs on */
    uint64_t maxprocs;
    uint64_t handoffs; /* Ps taken from blocking calls */
    uint64_t taken_blocked; /* of goroutines in calls that were not declared */
    uint64_t taken_busy;    /* of goroutines that computed for 11 ms */
    uint64_t without_p;     /* goroutines that run, or are in such a call, now */
} tuza_schedstats;

/* What protects the low end of a stack: a zone that faults, by a marker in the
 * page tables or by mprotect; or a word that is looked at when the goroutine
 * ends. And why the better ones are not used. */
enum {
    TUZA_GUARD_FINE,       /* no reason: markers are */
    TUZA_GUARD_ASKED,      /* TUZASTACKGUARD says so */
    TUZA_GUARD_NO_MARKERS, /* the kernel has none, or does not enforce them */
    TUZA_GUARD_LOCKED,     /* markers are refused, memory is locked: mprotect */
    TUZA_GUARD_BUDGET,     /* half of all mappings are guards: the word */
    TUZA_GUARD_REFUSED     /* mprotect is refused: the word */
};

/* Bytes are of address space. In every answer, exactly:
 *   sys = inuse + cached + hot + cold + unused */
typedef struct tuza_stackstats {
    size_t size;              /* set it to sizeof(tuza_stackstats) before */
    uint64_t inuse;           /* of goroutines */
    uint64_t fixed_inuse;     /* of these, of stacks up to 8 KiB without guard */
    uint64_t cached;          /* free, each for one processor */
    uint64_t hot;             /* free for all, in memory as they were left */
    uint64_t cold;            /* free for all, deep pages were given back */
    uint64_t unused;          /* never used so far */
    uint64_t sys;             /* mapped */
    uint64_t trimmed;         /* hot stacks that became cold, since start */
    uint64_t unmapped;        /* bytes of mappings that went, since start */
    uint64_t guards_marker;   /* stacks so guarded, of those used so far */
    uint64_t guards_mprotect;
    uint64_t guards_canary;
    uint64_t guard_fallback;  /* TUZA_GUARD_…: why not the best, last time */
} tuza_stackstats;

/* Fill the part of *st that st->size covers. 0; -EINVAL for a size below the
 * first field's end. From any thread once the runtime runs. */
TUZA_API int tuza_memstats_read(tuza_memstats *st);
TUZA_API int tuza_schedstats_read(tuza_schedstats *st);
TUZA_API int tuza_stackstats_read(tuza_stackstats *st);

TUZA_END

#endif
