// SPDX-License-Identifier: BSD-3-Clause
// sched/g.h: a goroutine.
#ifndef TZ_SCHED_G_H
#define TZ_SCHED_G_H

#include "arch/ctx.h"
#include "base/san.h"
#include "base/tls.h"
#include "stack/link.h"

struct tz_segment;

// Who may change a status: the G's own thread, or whoever holds the G's lock
// on life: the waker of a WAITING one, the P that runs a RUNNABLE one.
//
//            spawn             execute             park
//   DEAD ------------> RUNNABLE ------> RUNNING --------> WAITING
//    ^                    ^  ^----yield---|  |  ^            |
//    |                    |        exit   |  |  | enter/exit |
//    +--------------------|---------------+  v  |            |
//                         |               SYSCALL            |
//                         +--------------- ready ------------+
//
// RUNNING <---> NO_P: its P is taken while it runs code of the program, which
// goes on; it has one again before it does anything of the runtime's (take.c).
enum tz_gstatus {
    TZ_G_DEAD, // not in use: on a free list, or not yet spawned
    TZ_G_RUNNABLE,
    TZ_G_RUNNING,
    TZ_G_SYSCALL, // in a declared call; its saved state may be scanned
    TZ_G_WAITING,
    TZ_G_NO_P // runs, or is in an undeclared call; others have its P
};

// Why a goroutine waits: what its dump says in brackets.
enum tz_wait {
    TZ_WAIT_NONE,
    TZ_WAIT_CHAN_SEND,
    TZ_WAIT_CHAN_RECV,
    TZ_WAIT_CHAN_SEND_NIL,
    TZ_WAIT_CHAN_RECV_NIL,
    TZ_WAIT_SELECT,
    TZ_WAIT_SELECT_NO_CASES,
    TZ_WAIT_SLEEP,
    TZ_WAIT_MUTEX,
    TZ_WAIT_WAITGROUP,
    TZ_WAIT_FINALIZER,
    TZ_WAIT_CLEANUP,
    TZ_WAIT_COLLECTOR,
    TZ_WAIT_COUNT
};
const char *tz_wait_name(enum tz_wait why);

enum { TZ_G_ARGS = 48 };

// Bits of tz_g.watch, all 0 for most goroutines.
enum {
    TZ_WATCH_CANARY = 1,   // its first stack has no guard that faults
    TZ_WATCH_LINKS = 2, // it has, or had, more than one stack
    TZ_WATCH_SYSTEM = 4,   // it is in tuza_on_system_stack: may not leave
    TZ_WATCH_TIED = 8      // it runs on its own thread only: tied_to is set
};

// A million of them are memory too. Lives in persistent memory and is reused,
// never freed [sched.I1]. What a spawn, a run and an exit touch comes first.
struct tz_g {
    uint32_t status;       // atomic; enum tz_gstatus
    uint8_t wait;          // enum tz_wait, of a WAITING one
    uint8_t started;       // has run: args are no longer here
    uint8_t is_g0;         // a thread's scheduler, not a goroutine
    uint8_t watch;         // TZ_WATCH_*: leaving has something to look at
    uint32_t args_size;
    uint32_t magic;
    struct tz_g *link;     // on one list at a time: run queue, free list
    void (*fn)(void *);
    uint64_t id;
    const char *name;      // of fn, for reports
    const char *site;      // "file:line" that spawned it
    struct tz_m *m;        // runs it, or waits in a call of its; else NULL
    union {
        char args[TZ_G_ARGS]; // until it has started; a root
        void *args_object; // instead, when args_size is more: in the heap
        struct tz_ctx_regs syscall_regs; // while in SYSCALL
        struct tz_g *next_chain; // of a DEAD one, the first of its chain
    };
    struct tz_stack stack; // 0 until the first run; then where it runs now
    struct tz_ctx ctx;     // where to resume; valid unless RUNNING
    struct tz_stack_link *links; // its other stacks, newest first; NULL: none
    struct tz_segment *seg; // where it runs now, if it is one that grows
    struct tz_m *tied_to;  // the only M that may run it; NULL any. Written by
                           // its own thread
    uint32_t ties;         // calls of tuza_lock_thread; by its own thread
    uint32_t scanned;      // atomic; tz_sched.scanned, once its stack was (gc/markroot.c)
    const char *label;     // by tuza_set_label
    int64_t wait_since;    // atomic; tz_sched.now_coarse when it last parked
    uint64_t parent;       // id of who spawned it; 0: nobody did
    uintptr_t spawn_pc;    // where that one's call of tuza_go returns to
    void *param;           // from whoever readied it; owned by the waiting op
    uint32_t select_done;  // atomic; 1 once a case of its select was taken, or
                           // who ends its park has claimed that (time/wait.h)
    int32_t saved_errno;   // of the last declared call
    uintptr_t syscall_sp;  // scan from here while in SYSCALL
#if TZ_ASAN || TZ_TSAN
    void *fiber;           // what the sanitizer calls it
#endif
};
_Static_assert(sizeof(struct tz_g) <=
                   224 + (TZ_CTX_REGS_SIZE > TZ_G_ARGS
                              ? TZ_CTX_REGS_SIZE - TZ_G_ARGS : 0) +
                       (TZ_ASAN || TZ_TSAN ? sizeof(void *) : 0),
               "a G is small");

enum { TZ_G_MAGIC = 0x67676767 };

// The current goroutine, or NULL on a thread that runs none (g0 included).
TZ_INLINE struct tz_g *tz_getg(void)
{
    struct tz_g *g = tz_tls_get()->g;
    return g && !g->is_g0 ? g : NULL;
}

// The current goroutine; without one, fatal: "<what> outside of a goroutine".
TZ_NORETURN TZ_COLD void tz_no_g(const char *what);
TZ_INLINE struct tz_g *tz_need_g(const char *what)
{
    struct tz_g *g = tz_getg();
    if (tz_unlikely(!g))
        tz_no_g(what);
    return g;
}

#endif
