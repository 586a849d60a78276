// SPDX-License-Identifier: BSD-3-Clause
// test/os/osrev.c: a program for osrev_test.sh, linked with one of the files
// src/os/vm_stack_<system>.c and the rest of the os room.
//
//     osrev RESULT     sysctl fails (-1), or tells this version
//
// Prints the mark in hexadecimal, how often sysctl was called, and how many
// remaps and remaps back a range that becomes a stack and stops being it gets,
// and how many calls of mmap these were with the mark.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/vm.h"
#include "os/vm_hook.h"
#include "os/vm_sys.h"

static long version;
static int asked, marked;

int sysctl(const int *name, unsigned n, void *old, size_t *old_size, void *set,
           size_t set_size);

int sysctl(const int *name, unsigned n, void *old, size_t *old_size, void *set,
           size_t set_size)
{
    asked++;
    if (n != 2 || name[0] != 1 || name[1] != 3 || *old_size != 4 || set ||
        set_size)
        abort();
    if (version < 0) {
        memset(old, 0x7f, 4); // a careless kernel
        errno = EINVAL;
        return -1;
    }
    uint32_t v = (uint32_t)version;
    memcpy(old, &v, sizeof v);
    return 0;
}

static char memory[4 * 65536] __attribute__((aligned(65536)));

static int no_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    (void)n, (void)prot;
    if (addr)
        *out = addr;
    else
        *out = memory;
    marked += (flags & tz_vmsys_stack_flag()) != 0;
    return 0;
}

static int no_munmap(void *addr, size_t n)
{
    (void)addr, (void)n;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct tz_vm_hooks hooks = { no_mmap, no_munmap, NULL, NULL };
    version = argc > 1 ? strtol(argv[1], NULL, 10) : -1;
    if (tz_vm_set_hooks(&hooks) != 0)
        return 1;
    uint64_t remaps, back;
    for (int i = 0; i < 3; i++) {
        tz_vm_stack_alloc(memory, 65536);
        tz_vm_stack_free(memory, 65536);
    }
    tz_vm_stack_counts(&remaps, &back);
    printf("%x %d %d %d %d\n", (unsigned)tz_vmsys_stack_flag(), asked,
           (int)remaps, (int)back, marked);
    return 0;
}
