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
