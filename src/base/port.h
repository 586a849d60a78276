// SPDX-License-Identifier: BSD-3-Clause
// base/port.h: what base needs from rooms above it. Weak no-ops by default.
#ifndef TZ_BASE_PORT_H
#define TZ_BASE_PORT_H

// Prints the current goroutine and then all others to standard error. Called
// once, on the way to the process's end; may find any lock held.
void tz_port_dump(void);

// The line of the failure has been printed: what else tells how to see it again.
// Takes no lock.
void tz_port_fault_note(void);

// The process is about to end by _exit, after a fatal line: what has to be said
// at the end of a program. Allocates nothing and takes no lock.
void tz_port_end(void);

#endif
