// SPDX-License-Identifier: BSD-3-Clause
// os/vm_own.h: what the parts of os/vm share: single mappings of ours, how
// they come and go, and what each byte is charged to.
#ifndef TZ_OS_VM_OWN_H
#define TZ_OS_VM_OWN_H

#include "os/vm.h"

// Whether [p, p+n) is some whole OS pages.
bool tz_vmown_whole_pages(const void *p, size_t n);

// One mmap with the given flags; on ENOMEM a second one, if a deferred range
// could be given back meanwhile. 0, or an errno, with *out untouched.
int tz_vmown_map(void *hint, size_t n, int prot, int flags, void **out);

// Maps n bytes aligned to `align`, a power of two or 0, preferably at hint. 0,
// or an errno (os/vm_place.c).
int tz_vmown_place(void *hint, size_t n, size_t align, int prot, int flags,
                   void **out);

// It is certain that hints are ignored here.
void tz_vmown_no_hints(void);

// One mprotect, tried again like tz_vmown_map.
int tz_vmown_protect(void *p, size_t n, int prot);

// Any mapping of ours back to the system; charges nothing. ENOMEM defers it,
// any other failure ends the process.
void tz_vmown_unmap(void *p, size_t n);

// Shows what the range is for in the system's list of mappings.
void tz_vmown_name(void *p, size_t n, enum tz_vm_use use);

// Moves what is charged to `use`: n bytes more, or less, in that state.
void tz_vmown_charge(enum tz_vm_state state, enum tz_vm_use use, size_t n);
void tz_vmown_discharge(enum tz_vm_state state, enum tz_vm_use use, size_t n);

// --- os/vm_defer.c: ranges that munmap refused for now

// Keeps a range that munmap refused with ENOMEM.
void tz_vmdefer_add(void *p, size_t n);

// Tries up to `most` deferred ranges again; true if one went.
bool tz_vmdefer_retry(size_t most);
enum { TZ_VMDEFER_ALL = 1024 }; // and how many there can be

// Bytes deferred, those for good included.
uint64_t tz_vmdefer_bytes(void);

TZ_NORETURN void tz_vmdefer_failed(void *p, size_t n, int err);

// --- os/vm_ask.c: what this kernel can do

bool tz_vmask_guard(void);  // guard markers
bool tz_vmask_unused(void); // dropping contents at once
bool tz_vmask_many(void);   // dropping those of many ranges in one call
bool tz_vmask_lazy(void);   // dropping them lazily, if that is wanted
bool tz_vmask_prefault(void); // committing many pages in one call

// Whether a page is in memory; false where the system cannot tell (os/vm_drop.c).
bool tz_vmown_in_memory(void *page);

// --- os/vm_refusal.c: what the system said

enum tz_vm_call { TZ_VM_CALL_MMAP = 1, TZ_VM_CALL_MPROTECT };

// Remembers a call for memory that failed, for tz_vm_refusal.
void tz_vmrefusal_note(enum tz_vm_call call, const void *p, size_t n, int err);

#endif
