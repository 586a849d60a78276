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

#include "base/print.h"
#include "os/module.h"

enum { NAME = 64, CACHED = 256, CHUNK = 8192, SECTIONS_MAX = 4096 };
#define READ_MAX ((uint64_t)256 * 1024 * 1024)

struct found {
    uintptr_t place; // 0: nothing here
    uintptr_t start; // 0: no symbol
    char name[NAME];
};

// Used by the one thread that reports.
static struct {
    struct found cache[CACHED];
    uint64_t read;   // bytes of tables so far
    char program[NAME]; // its file, without folders; empty until it is needed
    char chunk[CHUNK];
} symbols;

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
    ssize_t n = pread(fd, out->name, NAME - 1,
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

// The last part of the module's path.
static const char *name_of(const struct tz_module *m)
{
    char path[512];
    const char *slash = strrchr(m->path, '/');
    if (m->path[0])
        return slash ? slash + 1 : m->path;
    if (!symbols.program[0]) {
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        path[n > 0 ? n : 0] = 0;
        slash = strrchr(path, '/');
        tz_format(symbols.program, NAME, "%s", slash ? slash + 1 : "program");
    }
    return symbols.program;
}

void tz_symbol_format(uintptr_t pc, uintptr_t place, char *text, size_t size)
{
    struct tz_module m;
    if (!tz_module_find(place, &m)) {
        tz_format(text, size, "%p", (void *)pc);
        return;
    }
    struct found *f = &symbols.cache[(place ^ place >> 9) % CACHED];
    if (f->place != place) {
        *f = (struct found){ .place = place };
        search_file(&m, f);
    }
    const char *module = name_of(&m);
    if (f->start)
        tz_format(text, size, "%s+0x%zx (%s)", f->name, (size_t)(pc - f->start),
                  module);
    else
        tz_format(text, size, "%s+0x%zx", module, (size_t)(pc - m.base));
}
