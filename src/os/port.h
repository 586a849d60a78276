// SPDX-License-Identifier: BSD-3-Clause
// os/port.h: what os needs from rooms to its right. Weak defaults.
#ifndef TZ_OS_PORT_H
#define TZ_OS_PORT_H

// Calls fn(arg) on a stack of at least 64 KiB: the thread's system stack. fn
// may block the thread but not park. By default just calls it.
void tz_port_system_stack(void (*fn)(void *), void *arg);

#endif
