// SPDX-License-Identifier: BSD-3-Clause
// base/event.h: what the runtime does, for whoever listens.
//
// Places in the code tell an event by tz_event; a listener asks for kinds of
// them. While nobody wants a kind, an event of it costs a load and a branch that
// is always taken the same way. Consumers: the trace hash of a simulation
// (sched/sim.c).
//
// What events carry are logical numbers: of goroutines, of channels in the order
// of their making, times. Never addresses, thread or process numbers: two runs
// in the same order tell the same.
#ifndef TZ_BASE_EVENT_H
#define TZ_BASE_EVENT_H

#include "base/atomic.h"

enum tz_event {         // a                      b
    TZ_EV_SPAWN,        // the new goroutine      by which
    TZ_EV_RUN,          // goroutine              0
    TZ_EV_PARK,         // goroutine              enum tz_wait
    TZ_EV_READY,        // goroutine              by which; 0 none
    TZ_EV_YIELD,        // goroutine              0
    TZ_EV_EXIT,         // goroutine              0
    TZ_EV_CALL,         // goroutine              1: handed off at once
    TZ_EV_RETURN,       // goroutine              0
    TZ_EV_TIMER,        // when it was due        0
    TZ_EV_CHAN_SEND,    // channel, 0: NULL       goroutine
    TZ_EV_CHAN_RECV,    // channel, 0: NULL       goroutine
    TZ_EV_CHAN_CLOSE,   // channel                goroutine; 0 none
    TZ_EV_SELECT,       // goroutine              the case taken, from 0
    TZ_EV_GC,           // enum tz_event_gc       cycles before
    TZ_EV_COUNT
};

enum tz_event_gc {
    TZ_EV_GC_BEGIN,     // finishes the last sweep, then stops the world
    TZ_EV_GC_MARK,      // the world is stopped
    TZ_EV_GC_MARKED,    // what is reachable is, and what is not is decided
    TZ_EV_GC_SWEEP,     // the heap awaits its sweep
    TZ_EV_GC_END        // the world runs
};

const char *tz_event_name(enum tz_event kind);

// fn is called where the event happens: on a goroutine or g0, perhaps between
// two goroutines, with locks held. So it is brief, takes no lock, does not
// park, and may be called on several threads at once.
struct tz_listener {
    void (*fn)(enum tz_event kind, uint64_t a, uint64_t b);
    uint32_t kinds;           // 1 << kind of each that it wants; atomic
    struct tz_listener *next; // const once it is listed
};

struct tz_events {
    uint32_t kinds;            // that anybody wants; atomic
    struct tz_listener *first; // atomic; push only
};
extern struct tz_events tz_base_events;

// From now on l gets events of these kinds, instead of those that it got
// before. l stays where it is for ever. One caller at a time.
void tz_event_want(struct tz_listener *l, uint32_t kinds);

// Calls the listeners.
TZ_COLD void tz_event_tell(enum tz_event kind, uint64_t a, uint64_t b);

// Somebody listens for it.
TZ_INLINE bool tz_event_wanted(enum tz_event kind)
{
    return tz_load_rlx(&tz_base_events.kinds) & (1u << kind);
}

// a and b are evaluated for a listener only: what they load may be cold.
#define tz_event(kind, a, b)                                                   \
    (tz_unlikely(tz_event_wanted(kind))                                        \
         ? tz_event_tell((kind), (a), (b))                                     \
         : (void)0)

#endif
