// SPDX-License-Identifier: BSD-3-Clause
// base/tls.c: the thread-local object itself, and the stop hook's default.
//
// Cost: 64 bytes of static TLS a thread. Initial-exec, so that reaching it is
// two instructions and works in a signal handler; a shared library with that
// model can be dlopen'ed only while glibc's static TLS surplus lasts, which is
// why the object may not grow.

#include "base/tls.h"

__thread struct tz_tls tz_tls
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

TZ_WEAK void tz_port_stop_here(void) {}
TZ_WEAK void tz_port_take_back(void) {}

void tz_hook_enter(void)
{
    struct tz_tls *t = tz_tls_get();
    if (t->held_ranks & TZ_IN_HOOK)
        tz_hook_reentered();
    t->held_ranks |= TZ_IN_HOOK;
}

void tz_hook_leave(void)
{
    tz_tls_get()->held_ranks &= ~TZ_IN_HOOK;
}

void tz_hook_reentered(void)
{
    tz_hook_leave(); // the report may use the runtime
    tz_fatal("re-entered: a hook for memory (tuza_os_set_hooks), or what has"
             " replaced libc's mmap, called the runtime");
}
