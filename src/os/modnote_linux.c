// SPDX-License-Identifier: BSD-3-Clause
// os/modnote_linux.c: notes by the program headers that the dynamic linker knows.
//
// A note lies in a PT_NOTE segment, which is loaded: three words (length of the
// owner's name with its end, length of the rest, type), the name and the rest,
// each filled up to 4 bytes, or to 8 in segments that are aligned so. The linker
// counts what it ever added and removed: equal counts, equal answer.

#include "os/modnote.h"

#include <link.h>
#include <string.h>

#include "base/san.h"

static struct {
    uint64_t adds, subs; // the linker's counts at the last look; 0: none yet
    bool all;
    char missing[256]; // path of the first without, cut
} last;

struct look {
    const char *owner;
    uint32_t type, word;
    const char *const *exempt;
    bool first; // the object is the program
};

// In a segment of notes.
static bool find(const struct look *k, const char *at, size_t n, size_t align)
{
    size_t name = strlen(k->owner) + 1;
    if (align < 8)
        align = 4;
    while (n >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *h = (const void *)at;
        size_t rest = tz_align_up(sizeof *h + h->n_namesz, align);
        size_t end = tz_align_up(rest + h->n_descsz, align);
        if (h->n_namesz > n || h->n_descsz > n || rest + h->n_descsz > n)
            return false;
        if (h->n_type == k->type && h->n_namesz == name &&
            h->n_descsz >= sizeof k->word &&
            memcmp(at + sizeof *h, k->owner, name) == 0 &&
            memcmp(at + rest, &k->word, sizeof k->word) == 0)
            return true;
        at += tz_min(end, n);
        n -= tz_min(end, n);
    }
    return false;
}

static bool has_note(const struct look *k, const struct dl_phdr_info *o)
{
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &o->dlpi_phdr[i];
        if (h->p_type == PT_NOTE &&
            find(k, (const char *)(o->dlpi_addr + h->p_vaddr), h->p_memsz,
                 h->p_align))
            return true;
    }
    return false;
}

// Paths by hand: ThreadSanitizer would see races of libc's functions with the linker,
// whose lock it does not know.
TZ_NO_SANITIZE static bool is_exempt(const struct look *k, const char *path)
{
    const char *file = path;
    for (; *path; path++)
        file = *path == '/' ? path + 1 : file;
    for (const char *const *e = k->exempt; *e; e++) {
        size_t n = 0;
        while ((*e)[n] && file[n] == (*e)[n])
            n++;
        if (!(*e)[n])
            return true;
    }
    return false;
}

TZ_NO_SANITIZE static void set_missing(const char *path)
{
    size_t n = 0;
    for (; path[n] && n < sizeof last.missing - 1; n++)
        last.missing[n] = path[n];
    last.missing[n] = 0;
}

static int look_at(struct dl_phdr_info *o, size_t size, void *arg)
{
    struct look *k = arg;
    (void)size; // all of glibc since 2.4 have the counts
    if (k->first && last.adds && last.adds == o->dlpi_adds &&
        last.subs == o->dlpi_subs)
        return 1; // nothing changed
    if (k->first) {
        last.adds = o->dlpi_adds;
        last.subs = o->dlpi_subs;
        last.all = true;
    }
    bool program = k->first;
    k->first = false;
    if (has_note(k, o) || (!program && is_exempt(k, o->dlpi_name)))
        return 0;
    last.all = false;
    set_missing(program ? "" : o->dlpi_name);
    return 1;
}

bool tz_modnote_all(const char *owner, uint32_t type, uint32_t word,
                    const char *const *exempt, const char **missing)
{
    struct look k = { owner, type, word, exempt, true };
    dl_iterate_phdr(look_at, &k);
    if (!last.all)
        *missing = last.missing;
    return last.all;
}

uint64_t tz_modnote_loads(void) { return last.adds; }
