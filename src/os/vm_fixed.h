// SPDX-License-Identifier: BSD-3-Clause
// os/vm_fixed.h: memory at a wished-for address.
//
// Nothing needs its address: who is refused takes memory anywhere else
// (tz_vm_reserve, tz_vm_alloc). Callable where os/vm.h is.
#ifndef TZ_OS_VM_FIXED_H
#define TZ_OS_VM_FIXED_H

#include "os/vm.h"

// Whether the system says of every page of [p, p+n), one by one, that it is
// unmapped. Any other answer is false: misalignment, n of 0, a system that
// cannot tell.
bool tz_vm_is_free(const void *p, size_t n);

// Maps n ready, zeroed bytes at p exactly, if nobody has anything there, and
// charges them to `use`. 0; -EEXIST when something is there or the system does
// not place it there, -ENOMEM, -EINVAL for what is no whole OS pages. Never
// overwrites another mapping. tz_vm_free gives it back.
int tz_vm_map_at(void *p, size_t n, enum tz_vm_use use);

// Whether [hint, hint+n) looks as if tz_vm_map_at could map it later: maps the
// first 64 KiB of it and gives them back. 0, -EEXIST, -ENOMEM, -EINVAL.
// Nothing stays mapped or charged.
int tz_vm_probe(void *hint, size_t n);

#endif
