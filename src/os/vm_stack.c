// SPDX-License-Identifier: BSD-3-Clause
// os/vm_stack.c: memory for stacks on kernels that police the stack pointer.
//
// None of the systems that this is built for does, so nothing happens.

#include "os/vm.h"

void tz_vm_stack_alloc(void *p, size_t n) { (void)p, (void)n; }

void tz_vm_stack_free(void *p, size_t n) { (void)p, (void)n; }

bool tz_vm_stack_policed(void) { return false; }
