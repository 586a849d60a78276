// SPDX-License-Identifier: BSD-3-Clause
// os/vm.h: memory from the operating system.
//
// A range of addresses is in one of four states:
//
//     none --reserve--> reserved --map--> ready --unused--> released
//       ^                  |                |  <--used----     |
//       +------- free -----+------ free ----+----- free -------+
//
// alloc (and map_at, os/vm_fixed.h) go from none to ready. Reserved is address
// space without access; released reads as zero and costs no memory until it is
// written again. All sizes and addresses are multiples of the OS page. Every
// call goes through one table of functions (os/vm_hook.h). Callable on any
// thread, before the runtime is up, with any lock of the runtime held except
// VM. Nothing here is ever executable.
// Errors: NULL or -errno, with nothing changed and no statistic moved.
#ifndef TZ_OS_VM_H
#define TZ_OS_VM_H

#include "base/base.h"

// What memory is for: each byte mapped is charged to one.
enum tz_vm_use {
    TZ_VM_HEAP,  // objects
    TZ_VM_STACK, // goroutine stacks
    TZ_VM_META,  // the runtime's own tables and structures
    TZ_VM_GC,    // the collector's mark stacks and lists of roots
    TZ_VM_OTHER, // persistent memory that nobody has asked for yet
    TZ_VM_USES
};

// What a range that is mapped can be.
enum tz_vm_state {
    TZ_VM_RESERVED,
    TZ_VM_READY,
    TZ_VM_RELEASED,
    TZ_VM_STATES
};

// Bytes. At rest the sum of the three states over all uses and of what is
// deferred is what the hooks have mapped.
struct tz_vm_stats {
    uint64_t ready[TZ_VM_USES];    // for use; atomic
    uint64_t reserved[TZ_VM_USES]; // held without memory; atomic
    uint64_t released[TZ_VM_USES]; // given back and still mapped; atomic
    uint64_t calls;                // of the hook table; atomic
    uint64_t unmap_deferred; // bytes that munmap refused for now; atomic
};

// Bytes of the OS page, from the kernel: 4096 to 65536.
size_t tz_vm_page(void);

// n zeroed bytes at any address, ready. NULL when refused.
void *tz_vm_alloc(size_t n, enum tz_vm_use use);

// n bytes of address space without memory, aligned to `align` (a power of two,
// or 0), preferably at hint. NULL when refused. Costs no commit charge.
void *tz_vm_reserve(void *hint, size_t n, size_t align, enum tz_vm_use use);

// Makes n bytes of a reservation ready: zeroed, readable and writable. 0,
// -ENOMEM, or -EINVAL for what is no whole OS pages.
int tz_vm_map(void *p, size_t n, enum tz_vm_use use);

// Gives the memory of a ready range back and keeps the addresses: the range is
// released. What is read next is zero, or old where tz_vm_unused_zeroes says
// that it may be; what is written next costs memory again, so say tz_vm_used
// first. Where the system does not take the memory it is zeroed instead, and
// counts as released all the same.
void tz_vm_unused(void *p, size_t n, enum tz_vm_use use);

// Released memory is about to be used again: it is ready. A statistic only; no
// system call.
void tz_vm_used(void *p, size_t n, enum tz_vm_use use);

// Ready memory is about to be written, all of it: it gets its pages in one call, where
// the system can (Linux 5.14), else one by one when they are touched, as ever. What it
// holds stays.
void tz_vm_prefault(void *p, size_t n);

// Whether released memory is sure to read as zero: not under
// TUZADEBUG=madvfree=1 on a system that has it. The answer never changes.
bool tz_vm_unused_zeroes(void);

// Makes n ready bytes raise SIGSEGV when touched, for good: for finding who
// still uses what was freed. They stay charged as ready. 0, or -errno.
int tz_vm_fault(void *p, size_t n);

// Ready memory has changed its purpose: n bytes charged to `from` are to `to`.
void tz_vm_charge(enum tz_vm_use from, enum tz_vm_use to, size_t n);

// Ready memory for stacks: n bytes aligned to `align`, lazily committed,
// without huge pages, MAP_STACK where the system has it; where the stack
// pointer is policed, tz_vm_stack_alloc has yet to be called. NULL when
// refused.
void *tz_vm_alloc_stacks(size_t n, size_t align);

// The same, preferably at hint.
void *tz_vm_alloc_stacks_at(void *hint, size_t n, size_t align);

// Ready memory for a stack that signals are handled on, which is one at once:
// n zeroed bytes, charged to META. NULL when refused.
void *tz_vm_alloc_signal_stack(size_t n);

// Makes n ready bytes inaccessible for good. `tz_vm_guard` does it without a
// VMA of its own (Linux guard markers; whether they work is found out once,
// by effect); tz_vm_protect with mprotect. 0, or -errno (-EOPNOTSUPP where
// markers do not work).
int tz_vm_guard(void *p, size_t n);
int tz_vm_protect(void *p, size_t n);

// Whether tz_vm_guard works here.
bool tz_vm_guard_works(void);

// Gives the memory of n ready ranges back, which stay ready: they read as zero,
// and what is written costs memory again. False when the system does not take
// some of it (locked memory), which keeps what it holds.
struct tz_vm_range {
    void *p;
    size_t n;
};
bool tz_vm_drop(const struct tz_vm_range *ranges, size_t n);

// Whether many ranges go in one call, so that it does not pay to ask first
// whether anything is there.
bool tz_vm_drops_many(void);

// Which pages of mapped memory are in memory: a byte each to in, of which bit 0
// counts. 0, or -errno: -ENOSYS where the system cannot tell, or has pages of
// more than 4 KiB.
int tz_vm_resident(void *p, size_t n, unsigned char *in);

// Whether new mappings are in memory as a whole at once: mlockall(MCL_FUTURE).
// Some microseconds.
bool tz_vm_populates(void);

// How many mappings the system lets a process have.
size_t tz_vm_mappings_max(void);

// n ready bytes become memory for stacks, or stop being it: where a kernel
// polices the stack pointer they are mapped anew, with the mark or without it,
// and read as zero; elsewhere nothing happens. They must hold nothing and have
// no guards yet. A refusal, and what is no whole OS pages, ends the process.
// What is charged stays as it is.
void tz_vm_stack_alloc(void *p, size_t n);
void tz_vm_stack_free(void *p, size_t n);

// Gives ready memory of tz_vm_alloc_stacks back to the system that
// tz_vm_stack_alloc was told of. The mark goes with the mapping: there is no
// call that could be refused, and it counts as remapped back.
void tz_vm_free_stacks(void *p, size_t n);

// Whether anything is remapped. Found out once, at the start.
bool tz_vm_stack_policed(void);

// How many ranges were remapped, and remapped back: the difference is how many
// of them are stacks. Both 0 where nothing is policed.
void tz_vm_stack_counts(uint64_t *remaps, uint64_t *remaps_back);

// Gives a range back, whatever its state. A munmap that fails with ENOMEM (the
// limit of mappings) is kept on a list and tried again later.
void tz_vm_free(void *p, size_t n, enum tz_vm_use use, enum tz_vm_state was);

// Bytes of address space that RLIMIT_AS leaves to this process at this moment:
// the limit less what is mapped, at least 0. UINT64_MAX without a limit.
uint64_t tz_vm_room(void);

// Why memory was refused last, for a fatal line: "mmap of 4194304 bytes:
// Permission denied; a security policy ..."; "" if nothing was refused yet.
// Returns buf, of at least one byte.
const char *tz_vm_refusal(char *buf, size_t size);

// Ends the process for want of memory: `tuza: fatal: WHAT: out of memory
// (REFUSAL)`, status 2.
TZ_NORETURN TZ_COLD void tz_vm_die(const char *what);

void tz_vm_stats_read(struct tz_vm_stats *out);

#endif
