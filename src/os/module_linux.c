// SPDX-License-Identifier: BSD-3-Clause
// os/module_linux.c: which loaded object an address lies in, on Linux.
//
// dl_iterate_phdr takes the dynamic linker's lock, which the interrupted code
// may hold. glibc 2.35 and later has _dl_find_object, which takes none. It is
// asked where it is there; elsewhere the list that was made at the start
// serves, without objects that were loaded later.
//
// Neither tells how far the unwind table reaches. The object's program headers
// do, which lie behind the ELF header at the start of its mapping.

#include "os/module.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "base/san.h"

// As glibc documents it, with room for what later versions may add.
struct found {
    unsigned long long flags;
    void *map_start, *map_end;
    struct link_map *map;
    void *eh_hdr;
    unsigned long long reserved[12];
};
extern int find_object(void *addr, struct found *out)
    __asm__("_dl_find_object") __attribute__((weak));

enum { MODULES = 64 };

struct loaded {
    uintptr_t lo, hi; // all of its mapping
    struct tz_module m;
};

static struct {
    struct loaded at[MODULES]; // const after init
    int n;
} start;

// The bounds of the segment that out->eh_hdr lies in.
TZ_NO_SANITIZE static void bound_tables(struct tz_module *out,
                                        const ElfW(Phdr) *ph, int n)
{
    out->lo = out->hi = 0;
    for (int i = 0; i < n; i++) {
        uintptr_t lo = out->base + ph[i].p_vaddr;
        if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_R) &&
            out->eh_hdr - lo < ph[i].p_filesz) {
            out->lo = lo;
            out->hi = lo + ph[i].p_filesz;
        }
    }
    if (!out->hi)
        out->eh_hdr = 0;
}

TZ_NO_SANITIZE static bool read_headers(struct tz_module *out, const char *map,
                                        const char *end)
{
    const ElfW(Ehdr) *e = (const void *)map;
    if ((size_t)(end - map) < sizeof *e || e->e_ident[EI_MAG0] != ELFMAG0 ||
        e->e_ident[EI_MAG1] != ELFMAG1 || e->e_ident[EI_MAG2] != ELFMAG2 ||
        e->e_ident[EI_MAG3] != ELFMAG3 ||
        e->e_phentsize != sizeof(ElfW(Phdr)) || e->e_phoff > 4096 ||
        e->e_phoff + e->e_phnum * sizeof(ElfW(Phdr)) > (size_t)(end - map))
        return false;
    bound_tables(out, (const void *)(map + e->e_phoff), e->e_phnum);
    return true;
}

static int note(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    if (start.n == MODULES)
        return 1;
    struct loaded *l = &start.at[start.n];
    l->lo = UINTPTR_MAX;
    l->hi = 0;
    l->m = (struct tz_module){ .base = info->dlpi_addr,
                               .path = info->dlpi_name };
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t lo = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_GNU_EH_FRAME)
            l->m.eh_hdr = lo;
        if (ph->p_type != PT_LOAD)
            continue;
        l->lo = tz_min(l->lo, lo);
        l->hi = tz_max(l->hi, lo + ph->p_memsz);
    }
    bound_tables(&l->m, info->dlpi_phdr, info->dlpi_phnum);
    start.n++;
    return 0;
}

void tz_module_init(void)
{
    if (!find_object && start.n == 0)
        dl_iterate_phdr(note, NULL);
}

TZ_NO_SANITIZE static bool find_noted(uintptr_t addr, struct tz_module *out)
{
    for (int i = 0; i < start.n; i++) {
        if (addr - start.at[i].lo < start.at[i].hi - start.at[i].lo) {
            *out = start.at[i].m;
            return true;
        }
    }
    return false;
}

TZ_NO_SANITIZE bool tz_module_find(uintptr_t addr, struct tz_module *out)
{
    struct found f;
    if (!find_object)
        return find_noted(addr, out);
    if (find_object((void *)addr, &f) != 0)
        return false;
    out->base = f.map->l_addr;
    out->path = f.map->l_name ? f.map->l_name : "";
    out->eh_hdr = (uintptr_t)f.eh_hdr;
    if (!read_headers(out, f.map_start, f.map_end))
        out->eh_hdr = 0;
    return true;
}
