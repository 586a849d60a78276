// SPDX-License-Identifier: BSD-3-Clause
// os/sigpc_linux.c: the address ranges of libraries whose code may not always
// wait in a signal handler: libc, the dynamic linker, and the run time of
// ThreadSanitizer. Read from the link map once, at the start; a statically
// linked libc is not told apart from the program.

#include "os/sigpc.h"

#include <link.h>
#include <string.h>

#include "base/san.h"

enum { RANGES = 16 };

static struct {
    uintptr_t lo[RANGES], hi[RANGES]; // const after init
    int n;
} busy;

static bool is_busy(const char *path)
{
    static const char *const part[] = { "libtsan", "libc.so", "ld-linux",
                                        "libpthread", "libubsan" };
    for (size_t i = 0; i < tz_countof(part); i++)
        if (strstr(path, part[i]))
            return true;
    return false;
}

static int add(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    if (!is_busy(info->dlpi_name))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && busy.n < RANGES; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
            continue;
        busy.lo[busy.n] = info->dlpi_addr + ph->p_vaddr;
        busy.hi[busy.n++] = info->dlpi_addr + ph->p_vaddr + ph->p_memsz;
    }
    return 0;
}

void tz_sig_pc_init(void)
{
    dl_iterate_phdr(add, NULL);
}

TZ_NO_SANITIZE bool tz_sig_pc_may_wait(uintptr_t pc, bool for_ever)
{
    if (!TZ_TSAN && !for_ever)
        return true;
    for (int i = 0; i < busy.n; i++)
        if (pc - busy.lo[i] < busy.hi[i] - busy.lo[i])
            return false;
    return true;
}
