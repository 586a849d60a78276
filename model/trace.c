// SPDX-License-Identifier: BSD-3-Clause
// model/trace.c: schedules as people read them.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "inner.h"

void model_name(const void *p, size_t size, const char *name)
{
    struct explorer *x = model_x;
    if (x->nnames < tz_countof(x->name)) {
        x->name[x->nnames].lo = (uintptr_t)p;
        x->name[x->nnames].hi = (uintptr_t)p + size;
        x->name[x->nnames++].name = name;
    }
}

const char *model_addr(uint64_t addr, char *buf, size_t size)
{
    struct explorer *x = model_x;
    for (uint32_t i = 0; i < x->nnames; i++)
        if (addr - x->name[i].lo < x->name[i].hi - x->name[i].lo) {
            snprintf(buf, size, addr == x->name[i].lo ? "%s" : "%s+%#llx",
                     x->name[i].name,
                     (unsigned long long)(addr - x->name[i].lo));
            return buf;
        }
    snprintf(buf, size, "%#llx", (unsigned long long)addr);
    return buf;
}

// Numbers that are addresses with a name become these.
static void name_numbers(const char *text, char *out, size_t size)
{
    size_t n = 0;
    while (*text && n + 64 < size) {
        unsigned long long v;
        int used = 0;
        char name[64];
        if (!strncmp(text, "0x", 2) && sscanf(text, "0x%llx%n", &v, &used) == 1 &&
            v > 0xffff && *model_addr(v, name, sizeof name) != '0') {
            n += (size_t)snprintf(out + n, size - n, "%s", name);
            text += used;
        } else {
            out[n++] = *text++;
        }
    }
    out[n] = 0;
}

void model_print(const char *op, const struct model_site *at, const void *p,
                 const char *fmt, ...)
{
    struct explorer *x = model_x;
    char text[256], named[512], where[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    name_numbers(text, named, sizeof named);
    model_addr((uintptr_t)p, where, sizeof where);
    fprintf(stderr, "  %4u %*sT%u %s: %s %s  [%s] %s\n", x->steps, x->cur * 2,
            "", x->cur, at->fn, op, at->expr, where, named);
}

void model_note(const char *fmt, ...)
{
    struct explorer *x = model_x;
    if (!x->printing)
        return;
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "  %4u %*sT%u ", x->steps, x->cur * 2, "", x->cur);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

// "function file:line" of a place in the program, from addr2line if it is
// there.
void model_where(const void *pc, char *buf, size_t size)
{
    extern const char __executable_start[];
    char command[128], file[512] = "", fn[128] = "";
    uintptr_t offset = (uintptr_t)pc - (uintptr_t)__executable_start - 1;
    snprintf(buf, size, "pc %#zx", (size_t)offset);
    if (!model_x->printing)
        return;
    snprintf(command, sizeof command, "addr2line -f -e /proc/%d/exe %#zx 2>&1",
             (int)getpid(), (size_t)offset);
    FILE *f = popen(command, "r");
    if (!f)
        return;
    if (fgets(fn, sizeof fn, f) && fgets(file, sizeof file, f)) {
        fn[strcspn(fn, "\n")] = file[strcspn(file, "\n")] = 0;
        const char *base = strrchr(file, '/');
        snprintf(buf, size, "%s (%s)", fn, base ? base + 1 : file);
    }
    pclose(f);
}
