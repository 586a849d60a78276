// SPDX-License-Identifier: BSD-3-Clause
// os/vm_sys.h: between os/vm.c and what differs from system to system.
#ifndef TZ_OS_VM_SYS_H
#define TZ_OS_VM_SYS_H

#include "os/vm_hook.h"

// The kinds of mapping that vm.c makes.
enum tz_vmsys_map {
    TZ_VMSYS_ALLOC,   // ready memory at any address
    TZ_VMSYS_RESERVE, // address space
    TZ_VMSYS_STACK,   // ready memory for stacks, committed lazily
};
// The flags of mmap for a kind, without the mark of stack memory.
int tz_vmsys_flags(enum tz_vmsys_map kind);

enum tz_vmsys_advice {
    TZ_VMSYS_UNUSED,      // drop the contents
    TZ_VMSYS_LAZY,        // let them be dropped when memory is short
    TZ_VMSYS_NO_HUGEPAGE, // commit page by page
    TZ_VMSYS_PREFAULT,    // commit at once
    TZ_VMSYS_GUARD,       // guard markers
};
// The advice of madvise for it; -1 where the system has none.
int tz_vmsys_advice(enum tz_vmsys_advice what);

// The flag of mmap that marks memory for stacks and nothing else; 0 where there
// is none, or it means another thing (os/vm_stack_openbsd.c and beside it).
int tz_vmsys_stack_flag(void);

// Whether this kernel ends a process whose stack pointer is in memory without
// that mark. Asked of it once.
bool tz_vmsys_stack_policed(void);

// The flag that maps at an address only if nothing is there; 0 where the system
// has none. It may be taken for a mere hint.
int tz_vmsys_noreplace(void);

// mincore: one byte a page to in. 0, or a positive errno: ENOMEM when a page is
// not mapped, ENOSYS where the system cannot tell.
int tz_vmsys_mincore(void *p, size_t n, unsigned char *in);

// Drops the contents of ranges in few calls, past the hook table. 0, or a
// positive errno: an unknown part may be done.
struct tz_vm_range;
int tz_vmsys_unused_many(const struct tz_vm_range *ranges, size_t n);

// How many mappings a process may have.
size_t tz_vmsys_mappings_max(void);

// Bytes that this process has mapped; 0 when that is unknown.
enum tz_vmsys_size {
    TZ_VMSYS_ALL,  // all of the address space, what RLIMIT_AS limits
    TZ_VMSYS_DATA, // what RLIMIT_DATA limits, and the main thread's stack
};
uint64_t tz_vmsys_mapped(enum tz_vmsys_size what);

// Whether the kernel finds that nothing can be stored at p, a mapped page of
// ours. Does not raise a signal.
bool tz_vmsys_faults(void *p);

// Shows text for the range in the system's list of mappings, where it can.
void tz_vmsys_name(void *p, size_t n, const char *text);

// The table of bare system calls, which no interposer sees; NULL where the
// system has no stable ones.
const struct tz_vm_hooks *tz_vmsys_raw(void);

// Calls through the hook table (os/vm_hook.c), which count themselves and keep
// errno. 0, or a positive errno. madvise is tried again on EAGAIN; remap is an
// mmap that replaces a mapping of ours, so that no bytes come or go.
int tz_vmcall_mmap(void *addr, size_t n, int prot, int flags, void **out);
int tz_vmcall_remap(void *addr, size_t n, int prot, int flags, void **out);
int tz_vmcall_munmap(void *addr, size_t n);
int tz_vmcall_mprotect(void *addr, size_t n, int prot);
int tz_vmcall_madvise(void *addr, size_t n, int advice);
// Whether madvise goes to somebody else's function.
bool tz_vmcall_madvise_replaced(void);
// How many there were.
uint64_t tz_vmcall_count(void);

#endif
