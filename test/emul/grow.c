// SPDX-License-Identifier: BSD-3-Clause
// test/emul/grow.c: grow MIB [maps]: fills the heap with so many MiB of objects
// of all sizes, looks at every byte of them, lets go of them and collects.
// With `maps` it ends by showing /proc/self/maps.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuza.h"

struct block {
    struct block *next;
    size_t size;
    unsigned char mark;
    unsigned char text[];
};

static struct block *make(struct block *next, size_t size)
{
    struct block *b = tuza_alloc(sizeof *b + size);
    if (!b)
        return NULL;
    b->next = next;
    b->size = size;
    b->mark = (unsigned char)(size * 7 + 1);
    memset(b->text, b->mark, size);
    return b;
}

static size_t wrong(const struct block *b)
{
    size_t n = 0;
    for (; b; b = b->next)
        for (size_t i = 0; i < b->size; i++)
            n += b->text[i] != b->mark;
    return n;
}

// The list lives in this frame only. How many MiB it had, -1 for a lie.
__attribute__((noinline)) static long fill(size_t mib)
{
    struct block *list = NULL;
    size_t done = 0, size = 1000;
    while (done < mib << 20) {
        struct block *b = make(list, size);
        if (!b)
            break;
        list = b;
        done += size;
        size = size > 3000000 ? 1000 : size + size / 4;
    }
    return wrong(list) ? -1 : (long)(done >> 20);
}

static void show_maps(void)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        fputs(line, stdout);
    if (f)
        fclose(f);
}

TUZA_MAIN
{
    long wanted = argc > 1 ? atol(argv[1]) : 0;
    if (wanted <= 0) {
        fputs("usage: grow MIB [maps]\n", stderr);
        return 99;
    }
    long got = fill((size_t)wanted);
    tuza_gc();
    tuza_gc();
    if (got < 0) {
        fputs("grow: WRONG CONTENTS\n", stderr);
        return 98;
    }
    if (got < wanted) {
        fprintf(stderr, "grow: out of memory after %ld MiB\n", got);
        return 1;
    }
    printf("grew by %ld MiB\n", got);
    if (argc > 2)
        show_maps();
    return 0;
}
