// SPDX-License-Identifier: BSD-3-Clause
// os/port.h: what the contract with the system needs from rooms above it.
#ifndef TZ_OS_PORT_H
#define TZ_OS_PORT_H

// Calls fn(arg) on this thread's own stack, in a critical section: libc and
// hooks may need more than a goroutine has left. By default, and on a thread
// that runs no goroutine, on the stack as it is.
void tz_port_system_stack(void (*fn)(void *), void *arg);

#endif
