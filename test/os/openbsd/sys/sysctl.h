// SPDX-License-Identifier: BSD-3-Clause
// test/os/openbsd/sys/sysctl.h: what OpenBSD's header of that name declares, as
// far as src/os/vm_stack_openbsd.c needs it.
#ifndef TEST_OPENBSD_SYSCTL_H
#define TEST_OPENBSD_SYSCTL_H

#include <sys/types.h>

#define CTL_KERN 1
#define KERN_OSREV 3

int sysctl(const int *name, u_int n, void *old, size_t *old_size, void *set,
           size_t set_size);

#endif
