// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier/ends.c: a program compiled with the flags, whose goroutines have
// words on their stacks that lead behind the last object of a page, as a pointer to an
// array's end does, or to places that are free. A mark must not look into those.

#include <stdio.h>
#include <string.h>
#include <tuza.h>

enum { ENDS = 64, OBJECTS = 30000, PAGE = 8192 };

struct small {
    struct small *next, *other;
    uint64_t rest[4];
};
struct large {
    struct large *next;
    uint64_t rest[71];
};
struct before { // of another size: what is known of a page's types stays from it
    struct before *one, *two;
    uint64_t rest[6];
};
static const tuza_type small_type = TUZA_TYPE(struct small, next, other);
static const tuza_type large_type = TUZA_TYPE(struct large, next);
static const tuza_type before_type = TUZA_TYPE(struct before, one, two);

static struct small *smalls;
static struct large *larges;

// Pages that were full of typed objects, or of others.
static __attribute__((noinline)) void use_pages(int typed)
{
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 200000; i++)
            if (typed)
                (void)tuza_alloc_typed(&before_type, 1);
            else
                memset(tuza_alloc_bytes(16), 0x11, 16);
        tuza_gc();
        tuza_gc();
    }
}

// Whether no other object fits behind this one in its page.
static int is_last(uintptr_t end, size_t size)
{
    return end % PAGE != 0 && end % PAGE + size > PAGE;
}

TUZA_MAIN
{
    volatile uintptr_t end[ENDS] = { 0 }, freed[ENDS] = { 0 };
    unsigned nends = 0;
    use_pages(1);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct large *l = tuza_alloc_typed(&large_type, 1);
        l->next = larges, larges = l;
        if (is_last((uintptr_t)(l + 1), sizeof *l))
            end[nends++ % (ENDS / 2)] = (uintptr_t)(l + 1);
    }
    use_pages(0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct small *s = tuza_alloc_typed(&small_type, 1);
        s->next = smalls, smalls = s;
        memset(tuza_alloc_bytes(48), 0x22, 48);
        if (is_last((uintptr_t)(s + 1), sizeof *s))
            end[ENDS / 2 + nends++ % (ENDS / 2)] = (uintptr_t)(s + 1);
    }
    for (unsigned i = 0; i < ENDS; i++) {
        struct large *l = tuza_alloc_typed(&large_type, 1);
        l->next = larges;
        freed[i] = (uintptr_t)l;
        tuza_free(l);
    }
    for (int i = 0; i < 5; i++)
        tuza_gc();
    unsigned n = 0;
    for (const struct small *s = smalls; s; s = s->next)
        n++;
    for (const struct large *l = larges; l; l = l->next)
        n++;
    printf("%u of %u, %s\n", n, 2 * OBJECTS,
           nends >= ENDS && freed[0] && end[0] ? "with ends" : "no ends");
    return 0;
}
