// SPDX-License-Identifier: BSD-3-Clause
// base/fault.c: the two ways to end a process.
//
// tz_throw is for a broken invariant of ours: reason, goroutines, SIGABRT (a
// core shows the state). tz_fatal is for the program's mistake: the same
// report in the user's words, then exit status 2 without atexit handlers,
// which could need what is broken. A second failure while the first is being
// reported prints its line and ends at once; failures on other threads wait.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/port.h"
#include "base/print.h"
#include "base/tls.h"

static struct {
    struct tz_tls *owner; // the thread that reports; atomic, set once
} fault;

TZ_WEAK void tz_port_dump(void) {}
TZ_WEAK void tz_port_fault_note(void) {}
TZ_WEAK void tz_port_end(void) {}

static void report(const char *kind, const char *fmt, va_list ap)
{
    char text[768];
    tz_vformat(text, sizeof text, fmt, ap);
    struct tz_tls *me = tz_tls_get();
    me->locks++; // never stop or switch from here on
    if (!tz_cas(&fault.owner, NULL, me)) {
        if (tz_load_acq(&fault.owner) != me)
            for (;;)
                pause(); // the first report ends the process
        tz_print("tuza: %s: %s (while reporting the failure above)\n", kind,
                 text);
        return;
    }
    tz_print("tuza: %s: %s\n", kind, text);
    tz_port_fault_note();
    tz_port_dump();
}

void tz_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report("fatal", fmt, ap);
    va_end(ap);
    tz_port_end();
    _exit(2);
}

void tz_throw(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report("internal error", fmt, ap);
    va_end(ap);
    signal(SIGABRT, SIG_DFL);
    abort();
}
