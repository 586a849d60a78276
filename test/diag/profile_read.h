// SPDX-License-Identifier: BSD-3-Clause
// test/diag/profile_read.h: reads a profile.proto, strictly: what is not there
// to be read, or refers to what is not there, ends the test.
#ifndef TEST_PROFILE_READ_H
#define TEST_PROFILE_READ_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PR_MAX = 20000, PR_FRAMES = 64 };

// Bytes that are still to be read.
struct pr_bytes {
    const uint8_t *p, *end;
};

struct pr_sample {
    int depth;
    uint64_t location[PR_FRAMES];
    uint64_t value[4]; // count, nanoseconds; or objects, bytes, twice
    uint64_t label;    // a string, 0: none
    uint64_t bytes;    // of an object, in heap profiles
};

static struct {
    struct pr_bytes string[PR_MAX];
    uint64_t name_of_function[PR_MAX];     // by id: a string
    uint64_t function_of_location[PR_MAX]; // by id; 0: it has no line
    uint64_t mapping_of_location[PR_MAX];
    uint64_t address_of_location[PR_MAX];
    struct { uint64_t lo, hi, file, build_id; } mapping[PR_MAX];
    struct pr_sample sample[PR_MAX];
    uint64_t strings, functions, locations, mappings, samples;
    uint64_t drops, types, period, duration, time, period_types, comments;
} pr;

static inline uint64_t pr_varint(struct pr_bytes *b)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        ck_assert(b->p < b->end);
        v |= (uint64_t)(*b->p & 127) << shift;
        if (!(*b->p++ & 128))
            return v;
    }
    ck_abort_msg("a number of more than 64 bits");
    return 0;
}

// The next field: its number; false at the end. A number goes to *v, what has a
// length to *sub.
static inline bool pr_field(struct pr_bytes *b, unsigned *field, uint64_t *v,
                            struct pr_bytes *sub)
{
    if (b->p == b->end)
        return false;
    uint64_t key = pr_varint(b);
    *field = (unsigned)(key >> 3);
    *v = pr_varint(b);
    *sub = (struct pr_bytes){ b->p, b->p };
    if ((key & 7) == 2) {
        ck_assert(*v <= (uint64_t)(b->end - b->p));
        sub->end = b->p += *v;
    } else {
        ck_assert_int_eq(key & 7, 0);
    }
    return true;
}

static inline const char *pr_string(uint64_t i)
{
    static char text[4][300];
    static int turn;
    ck_assert(i < pr.strings);
    size_t n = (size_t)(pr.string[i].end - pr.string[i].p);
    char *to = text[turn++ % 4];
    snprintf(to, sizeof text[0], "%.*s", (int)n, (const char *)pr.string[i].p);
    return to;
}

static inline void pr_read_sample(struct pr_bytes b)
{
    struct pr_sample *s = &pr.sample[pr.samples++];
    struct pr_bytes sub;
    unsigned field;
    uint64_t v;
    ck_assert(pr.samples < PR_MAX);
    while (pr_field(&b, &field, &v, &sub)) {
        if (field == 1) {
            while (sub.p < sub.end) {
                ck_assert_int_lt(s->depth, PR_FRAMES);
                s->location[s->depth++] = pr_varint(&sub);
            }
        } else if (field == 2) {
            for (uint64_t i = 0; i < pr.types; i++)
                s->value[i] = pr_varint(&sub);
            ck_assert(sub.p == sub.end);
        } else if (field == 3) {
            uint64_t part[5] = { 0 };
            struct pr_bytes none;
            while (pr_field(&sub, &field, &v, &none))
                ck_assert(field < 5), part[field] = v;
            ck_assert(part[1] && (part[2] != 0) != (part[3] && part[4]));
            s->label = part[2];
            s->bytes = part[3];
        }
    }
    ck_assert_int_ge(s->depth, 1);
}

static inline void pr_read_location(struct pr_bytes b)
{
    struct pr_bytes sub, none;
    unsigned field;
    uint64_t v, id = ++pr.locations;
    ck_assert(id < PR_MAX);
    while (pr_field(&b, &field, &v, &sub)) {
        if (field == 1)
            ck_assert_uint_eq(v, id);
        else if (field == 2)
            pr.mapping_of_location[id] = v;
        else if (field == 3)
            pr.address_of_location[id] = v;
        else if (field == 4)
            while (pr_field(&sub, &field, &v, &none))
                if (field == 1)
                    pr.function_of_location[id] = v;
    }
}

static inline void pr_read_part(unsigned part, struct pr_bytes b)
{
    struct pr_bytes sub;
    unsigned field;
    uint64_t v, id = 0;
    while (pr_field(&b, &field, &v, &sub)) {
        if (field == 1)
            id = v;
        if (part == 5 && field == 2)
            pr.name_of_function[id] = v;
        if (part == 3 && field == 2)
            pr.mapping[id].lo = v;
        if (part == 3 && field == 3)
            pr.mapping[id].hi = v;
        if (part == 3 && field == 5)
            pr.mapping[id].file = v;
        if (part == 3 && field == 6)
            pr.mapping[id].build_id = v;
    }
    ck_assert_uint_eq(id, part == 5 ? ++pr.functions : ++pr.mappings);
    ck_assert(id < PR_MAX - 1);
}

// Everything refers to what is there.
static inline void pr_check(void)
{
    ck_assert_uint_ge(pr.strings, 1);
    ck_assert_str_eq(pr_string(0), "");
    ck_assert_uint_eq(pr.period_types, 1);
    ck_assert_uint_ge(pr.mappings, 1);
    ck_assert(pr.types == 2 || pr.types == 4);
    ck_assert(pr.period && pr.time && (pr.duration != 0) == (pr.types == 2));
    ck_assert_uint_eq(pr.drops, pr.types == 4);
    for (uint64_t i = 1; i <= pr.functions; i++)
        ck_assert(pr_string(pr.name_of_function[i])[0]);
    for (uint64_t i = 1; i <= pr.locations; i++) {
        uint64_t m = pr.mapping_of_location[i], a = pr.address_of_location[i];
        ck_assert(pr.function_of_location[i] <= pr.functions);
        ck_assert(m <= pr.mappings);
        ck_assert(!m || (a >= pr.mapping[m].lo && a < pr.mapping[m].hi));
    }
    for (uint64_t i = 0; i < pr.samples; i++) {
        const struct pr_sample *s = &pr.sample[i];
        ck_assert_uint_ge(s->value[0], 1);
        if (pr.types == 2)
            ck_assert_uint_eq(s->value[1], s->value[0] * pr.period);
        else
            ck_assert(s->bytes && s->value[2] <= s->value[0]);
        ck_assert(s->label < pr.strings);
        for (int k = 0; k < s->depth; k++)
            ck_assert(s->location[k] >= 1 && s->location[k] <= pr.locations);
    }
}

static inline void pr_read(int fd)
{
    static uint8_t all[4 * 1024 * 1024];
    ssize_t n = pread(fd, all, sizeof all, 0);
    ck_assert(n > 0 && n < (ssize_t)sizeof all);
    memset(&pr, 0, sizeof pr);
    struct pr_bytes b = { all, all + n }, sub;
    unsigned field;
    uint64_t v;
    while (pr_field(&b, &field, &v, &sub)) {
        switch (field) {
        case 1: ck_assert_uint_lt(pr.types++, 4); break;
        case 2: pr_read_sample(sub); break;
        case 4: pr_read_location(sub); break;
        case 3:
        case 5: pr_read_part(field, sub); break;
        case 6:
            ck_assert(pr.strings < PR_MAX);
            pr.string[pr.strings++] = sub;
            break;
        case 7: pr.drops++; break;
        case 9: pr.time = v; break;
        case 10: pr.duration = v; break;
        case 11: pr.period_types++; break;
        case 12: pr.period = v; break;
        case 13: pr.comments++; break;
        default: ck_abort_msg("field %u", field);
        }
    }
    pr_check();
}

// Whether the stack has a function of that name; NULL: any.
static inline bool pr_has(const struct pr_sample *s, const char *function)
{
    bool has = !function;
    for (int k = 0; k < s->depth && !has; k++) {
        uint64_t f = pr.function_of_location[s->location[k]];
        has = f && !strcmp(pr_string(pr.name_of_function[f]), function);
    }
    return has;
}

// The sum of a value of the samples with that function, of objects of so many
// bytes (0: any).
static inline uint64_t pr_sum(int value, const char *function, uint64_t bytes)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < pr.samples; i++)
        if ((!bytes || pr.sample[i].bytes == bytes) &&
            pr_has(&pr.sample[i], function))
            sum += pr.sample[i].value[value];
    return sum;
}

// Counts of samples with that label (NULL: any) and a function of that name
// (NULL: any) in the stack.
static inline uint64_t pr_count(const char *label, const char *function)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < pr.samples; i++) {
        const struct pr_sample *s = &pr.sample[i];
        if (pr_has(s, function) &&
            (!label || (s->label && !strcmp(pr_string(s->label), label))))
            sum += s->value[0];
    }
    return sum;
}

#endif
