// SPDX-License-Identifier: BSD-3-Clause
// diag/symbol.c: what the code at an address is called.
//
// The symbols of functions that a program does not export are not in memory,
// but in its file. So the file is opened and its symbol table read: .symtab, or
// .dynsym in a stripped one, by plain reads into a buffer of ours, from start to
// end. There is no mapping and no allocation: what is broken may be the heap,
// and what maps memory may be the program's hook. The names that were found are
// kept, since parked goroutines stand in few places; after READ_MAX bytes of
// tables addresses stay numbers.
//
// A file that was replaced since it was loaded gives wrong names. C++ names are
// printed as linkers have them.

#include "diag/symbol.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/print.h"
#include "os/clock.h"
#include "os/module.h"
#include "os/thread.h"

enum { CACHED = 256, CHUNK = 8192, SECTIONS_MAX = 4096 };
#define READ_MAX ((uint64_t)256 * 1024 * 1024)

struct found {
    uintptr_t place; // 0: nothing here
    uintptr_t start; // 0: no symbol
    char name[TZ_SYMBOL_NAME];
};

// Used by one thread at a time.
static struct {
    uint32_t busy; // atomic
    struct found cache[CACHED];
    uint64_t read; // bytes of tables since begin
    char chunk[CHUNK];
} symbols;

bool tz_symbol_begin(bool anyway)
{
    int64_t start = tz_clock_now();
    while (!tz_cas_acq(&symbols.busy, 0, 1)) {
        if (!anyway)
            return false;
        if (tz_clock_now() - start > TZ_NSEC_PER_SEC)
            break; // its owner is the one that failed, or stands still
        tz_thread_yield();
    }
    symbols.read = 0;
    return true;
}

void tz_symbol_end(void)
{
    tz_store_rel(&symbols.busy, 0); // with begin
}

static bool read_at(int fd, void *to, size_t n, uint64_t at)
{
    return pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

// The section of that type, and the strings that belong to it.
static bool find_section(int fd, const ElfW(Ehdr) *e, uint32_t type,
                         ElfW(Shdr) *out, ElfW(Shdr) *strings)
{
    for (unsigned i = 0; i < e->e_shnum && i < SECTIONS_MAX; i++) {
        if (!read_at(fd, out, sizeof *out, e->e_shoff + i * sizeof *out))
            return false;
        if (out->sh_type == type)
            return out->sh_link < e->e_shnum &&
                   read_at(fd, strings, sizeof *strings,
                           e->e_shoff + out->sh_link * sizeof *strings);
    }
    return false;
}

// The best of the n symbols for the address: the nearest below that reaches it.
static void best_of(const ElfW(Sym) *s, size_t n, uintptr_t addr,
                    ElfW(Sym) *best)
{
    for (size_t i = 0; i < n; i++) {
        unsigned type = ELF64_ST_TYPE(s[i].st_info);
        if ((type == STT_FUNC || type == STT_NOTYPE) && s[i].st_shndx &&
            s[i].st_name && s[i].st_value <= addr &&
            (s[i].st_size == 0 || addr - s[i].st_value < s[i].st_size) &&
            (s[i].st_value > best->st_value ||
             (s[i].st_value == best->st_value && type == STT_FUNC)))
            *best = s[i];
    }
}

static bool search_table(int fd, const ElfW(Shdr) *table,
                         const ElfW(Shdr) *strings, uintptr_t addr,
                         struct found *out)
{
    ElfW(Sym) best = { 0 };
    size_t unit = CHUNK / sizeof best * sizeof best;
    for (uint64_t at = 0; at < table->sh_size; at += unit) {
        size_t n = table->sh_size - at < unit ? table->sh_size - at : unit;
        symbols.read += n;
        if (symbols.read > READ_MAX ||
            !read_at(fd, symbols.chunk, n, table->sh_offset + at))
            return false;
        best_of((const void *)symbols.chunk, n / sizeof best, addr, &best);
    }
    if (!best.st_value || best.st_name >= strings->sh_size)
        return false;
    ssize_t n = pread(fd, out->name, TZ_SYMBOL_NAME - 1,
                      (off_t)(strings->sh_offset + best.st_name));
    out->name[n > 0 ? n : 0] = 0;
    out->start = best.st_value;
    return out->name[0] != 0;
}

static void search_file(const struct tz_module *m, struct found *out)
{
    const char *path = m->path[0] ? m->path : "/proc/self/exe";
    ElfW(Ehdr) e;
    ElfW(Shdr) table, strings;
    // A name without a slash is no path: the vDSO's.
    int fd = strchr(path, '/') ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    uintptr_t addr = out->place - m->base;
    if (read_at(fd, &e, sizeof e, 0) &&
        memcmp(e.e_ident, ELFMAG, SELFMAG) == 0 &&
        e.e_shentsize == sizeof table &&
        (find_section(fd, &e, SHT_SYMTAB, &table, &strings) ||
         find_section(fd, &e, SHT_DYNSYM, &table, &strings)) &&
        search_table(fd, &table, &strings, addr, out))
        out->start += m->base;
    else
        out->start = 0;
    close(fd);
}

// "libc" of "/lib/x86_64-linux-gnu/libc.so.6".
static void name_module(const struct tz_module *m, char *to, size_t size)
{
    const char *slash = strrchr(m->path, '/');
    const char *name = !m->path[0] ? "main" : slash ? slash + 1 : m->path;
    tz_format(to, size, "%.*s", (int)strcspn(name, "."), name);
}

void tz_symbol_find(uintptr_t place, struct tz_symbol *out)
{
    struct tz_module m;
    *out = (struct tz_symbol){ .start = 0 };
    if (!tz_module_find(place, &m))
        return;
    out->base = m.base;
    name_module(&m, out->module, sizeof out->module);
    struct found *f = &symbols.cache[(place ^ place >> 9) % CACHED];
    if (f->place != place) {
        *f = (struct found){ .place = place };
        search_file(&m, f);
    }
    if (f->start) {
        out->start = f->start;
        memcpy(out->name, f->name, sizeof out->name);
    }
}
