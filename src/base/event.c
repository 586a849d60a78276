// SPDX-License-Identifier: BSD-3-Clause
// base/event.c: listeners of events.
//
// They are listed once and never taken off: one that wants nothing more is
// skipped, so that nobody has to know whether a call of it is under way.

#include "base/event.h"

struct tz_events tz_base_events;

const char *tz_event_name(enum tz_event kind)
{
    static const char *const name[TZ_EV_COUNT] = {
        [TZ_EV_SPAWN] = "spawn",   [TZ_EV_RUN] = "run",
        [TZ_EV_PARK] = "park",     [TZ_EV_READY] = "ready",
        [TZ_EV_YIELD] = "yield",   [TZ_EV_EXIT] = "exit",
        [TZ_EV_CALL] = "call",     [TZ_EV_RETURN] = "return",
        [TZ_EV_TIMER] = "timer",   [TZ_EV_CHAN_SEND] = "send",
        [TZ_EV_CHAN_RECV] = "receive",
        [TZ_EV_CHAN_CLOSE] = "close",
        [TZ_EV_SELECT] = "select", [TZ_EV_GC] = "gc",
    };
    return name[kind];
}

static bool listed(const struct tz_listener *l)
{
    const struct tz_listener *at = tz_load_rlx(&tz_base_events.first);
    while (at && at != l)
        at = at->next;
    return at != NULL;
}

void tz_event_want(struct tz_listener *l, uint32_t kinds)
{
    tz_store_rlx(&l->kinds, kinds);
    if (!listed(l)) {
        l->next = tz_load_rlx(&tz_base_events.first);
        tz_store_rel(&tz_base_events.first, l); // with tz_event_tell
    }
    uint32_t all = 0;
    for (l = tz_load_rlx(&tz_base_events.first); l; l = l->next)
        all |= tz_load_rlx(&l->kinds);
    tz_store_rlx(&tz_base_events.kinds, all); // some events may still be missed
}

void tz_event_tell(enum tz_event kind, uint64_t a, uint64_t b)
{
    struct tz_listener *l = tz_load_acq(&tz_base_events.first);
    for (; l; l = l->next)
        if (tz_load_rlx(&l->kinds) & (1u << kind))
            l->fn(kind, a, b);
}
