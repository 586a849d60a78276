// SPDX-License-Identifier: BSD-3-Clause
// emul/vmalimit.c: libvmalimit.so, nearly all mappings of a process used up.
//
//     LD_PRELOAD=.../libvmalimit.so EMUL_VMA=N PROGRAM
//
// Before main, and before the constructors of the libraries it stands before,
// it makes mappings until the kernel refuses (vm.max_map_count) and takes about
// N of them back: so many more may be made. The kernel lets a new mapping be
// made when a split of one is refused already, hence "about".
//
// A page of other protection in the middle of a mapping makes three of one, so
// pages of one reservation become readable in turn. No memory is touched.
// exec ends it: it is a library and not a launcher for that reason.

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_MAPPINGS = 4 << 20 };

static size_t limit(void)
{
    size_t n = 65530; // the kernel's default
    FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
    if (f) {
        if (fscanf(f, "%zu", &n) != 1)
            n = 65530;
        fclose(f);
    }
    return n;
}

__attribute__((noreturn)) static void give_up(const char *why)
{
    fprintf(stderr, "libvmalimit: %s\n", why);
    exit(99);
}

__attribute__((constructor)) static void use_up(void)
{
    const char *text = getenv("EMUL_VMA");
    if (!text)
        return;
    size_t keep = strtoul(text, NULL, 10), page = (size_t)getpagesize();
    size_t most = limit();
    if (most > MOST_MAPPINGS)
        give_up("vm.max_map_count is too large to use up");
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    size_t pages = most + 16;
    char *base = mmap(NULL, pages * page, PROT_NONE, flags, -1, 0);
    if (base == MAP_FAILED)
        give_up("no room for one mapping of that many pages");
    size_t at = 1; // the first page stays as it is, and every other one
    while (at + 1 < pages && mprotect(base + at * page, page, PROT_READ) == 0)
        at += 2;
    if (at + 1 >= pages)
        give_up("the kernel has no limit of mappings");
    // Taking a page back joins three mappings to one.
    for (size_t freed = 0; freed < keep && at > 1; freed += 2) {
        at -= 2;
        mprotect(base + at * page, page, PROT_NONE);
    }
}
