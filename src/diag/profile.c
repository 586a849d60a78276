// SPDX-License-Identifier: BSD-3-Clause
// diag/profile.c: a profile, and writing it in the format of pprof.
//
// The format is a protocol buffer (github.com/google/pprof, profile.proto):
//
//   Profile { 1 sample_type, 2 sample, 3 mapping, 4 location, 5 function,
//             6 string_table, 7 drop_frames, 9 time, 10 duration,
//             11 period_type, 12 period, 13 comment }
//
// Fields of a message may stand in any order, so it is written in one pass: a
// location, its function and its strings go out when a sample first needs them.
// Each submessage is put together in a buffer, since its length comes first.
//
// What all addresses are called is found here, by our reader of symbol tables:
// pprof's own does not find static functions in every program. There are no
// lines, and inlined functions are a part of their caller.

#include "diag/profile.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "diag/out.h"
#include "diag/symbol.h"

const struct tz_profile_kind tz_profile_cpu = {
    .value = { { "samples", "count" }, { "cpu", "nanoseconds" } },
    .period = { "cpu", "nanoseconds" },
};
const struct tz_profile_kind tz_profile_heap = {
    .value = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },
               { "inuse_objects", "count" }, { "inuse_space", "bytes" } },
    .period = { "space", "bytes" },
    .drop = "tuza_alloc.*|tz_malloc.*",
};

// --- counting

static struct tz_stack_count *new_count(struct tz_profile *p,
                                        struct tz_stack_count **head,
                                        const uintptr_t *place, uint32_t depth)
{
    struct tz_stack_count *s =
        tz_arena_alloc(&p->arena, sizeof *s + depth * sizeof *place);
    if (!s)
        return NULL;
    s->n = depth;
    memcpy(s->place, place, depth * sizeof *place);
    s->next = *head;
    *head = s;
    return s;
}

static void count(const struct tz_profile *p, struct tz_stack_count *s,
                  uint64_t n)
{
    s->value[0] += n;
    s->value[1] += n * (uint64_t)p->period;
}

void tz_profile_add(struct tz_profile *p, const char *label,
                    const uintptr_t *place, uint32_t depth, uint64_t n)
{
    uint64_t h = (uintptr_t)label;
    for (uint32_t i = 0; i < depth; i++)
        h = (h ^ place[i]) * UINT64_C(0x9e3779b97f4a7c15) + (h >> 29);
    struct tz_stack_count **head =
        &p->bucket[(h >> 20) % TZ_PROFILE_BUCKETS];
    for (struct tz_stack_count *s = *head; s; s = s->next) {
        if (s->hash == h && s->label == label && s->n == depth &&
            !memcmp(s->place, place, depth * sizeof *place)) {
            count(p, s, n);
            return;
        }
    }
    struct tz_stack_count *s = new_count(p, head, place, depth);
    if (!s) {
        p->lost += n;
        return;
    }
    s->hash = h;
    s->label = label;
    count(p, s, n);
}

bool tz_profile_add_heap(struct tz_profile *p, const uintptr_t *place,
                         uint32_t depth, uint64_t bytes, const uint64_t *value)
{
    struct tz_stack_count *s = new_count(p, &p->bucket[0], place, depth);
    if (!s)
        return false;
    s->bytes = bytes;
    memcpy(s->value, value, sizeof s->value);
    return true;
}

void tz_profile_free(struct tz_profile *p)
{
    tz_arena_free(&p->arena);
    memset(p->bucket, 0, sizeof p->bucket);
    p->lost = 0;
}

// --- messages

enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING,
       PROFILE_LOCATION, PROFILE_FUNCTION, PROFILE_STRING,
       PROFILE_DROP, PROFILE_TIME = 9, PROFILE_DURATION, PROFILE_PERIOD_TYPE,
       PROFILE_PERIOD, PROFILE_COMMENT };
enum { TYPE_NAME = 1, TYPE_UNIT };
enum { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_TEXT, LABEL_NUMBER, LABEL_UNIT };
enum { MAPPING_ID = 1, MAPPING_START, MAPPING_LIMIT, MAPPING_OFFSET,
       MAPPING_FILE, MAPPING_BUILD_ID, MAPPING_HAS_FUNCTIONS };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1 };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILE };

struct message {
    uint8_t bytes[2048]; // more than any of ours has but long strings
    size_t n;
};

static void put_byte(struct message *m, uint8_t b)
{
    if (m->n < sizeof m->bytes)
        m->bytes[m->n++] = b;
}

static void put_varint(struct message *m, uint64_t v)
{
    for (; v > 127; v >>= 7)
        put_byte(m, (uint8_t)(v | 128));
    put_byte(m, (uint8_t)v);
}

static void put_number(struct message *m, unsigned field, uint64_t v)
{
    put_varint(m, field << 3);
    put_varint(m, v);
}

// A submessage, a string or packed numbers.
static void put_bytes(struct message *m, unsigned field, const void *p,
                      size_t n)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, n);
    for (size_t i = 0; i < n; i++)
        put_byte(m, ((const uint8_t *)p)[i]);
}

// --- writing

enum { MAPPINGS = 128 };

struct writer {
    struct tz_profile *p;
    int fd, err;
    bool names;
    uint8_t buf[16 * 1024];
    size_t used;
    uint64_t strings;   // written so far: the next one's number
    uint64_t functions;
    uint64_t locations;
    uint64_t mappings;
    struct { uintptr_t lo, hi; } mapping[MAPPINGS];
    uint64_t key, bytes; // the strings "goroutine" and "bytes"
    struct tz_map by_place, by_function, by_label;
};

static void flush(struct writer *w)
{
    if (!w->err)
        w->err = tz_out_bytes(w->fd, w->buf, w->used);
    w->used = 0;
}

static void emit(struct writer *w, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (w->used == sizeof w->buf)
            flush(w);
        w->buf[w->used++] = ((const uint8_t *)p)[i];
    }
}

static void emit_bytes(struct writer *w, unsigned field, const void *p,
                       size_t n)
{
    struct message head = { .n = 0 };
    put_varint(&head, field << 3 | 2);
    put_varint(&head, n);
    emit(w, head.bytes, head.n);
    emit(w, p, n);
}

static void emit_message(struct writer *w, unsigned field,
                         const struct message *m)
{
    emit_bytes(w, field, m->bytes, m->n);
}

static void emit_number(struct writer *w, unsigned field, uint64_t v)
{
    struct message m = { .n = 0 };
    put_number(&m, field, v);
    emit(w, m.bytes, m.n);
}

static uint64_t add_string(struct writer *w, const char *s)
{
    emit_bytes(w, PROFILE_STRING, s, strlen(s));
    return w->strings++;
}

static void add_type(struct writer *w, unsigned field,
                     const struct tz_profile_type *t)
{
    struct message m = { .n = 0 };
    put_number(&m, TYPE_NAME, add_string(w, t->name));
    put_number(&m, TYPE_UNIT, add_string(w, t->unit));
    emit_message(w, field, &m);
}

// The build ID in the notes of a loaded object, as hexadecimal digits.
static void build_id(const struct dl_phdr_info *info, char *to, size_t size)
{
    *to = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_NOTE)
            continue;
        const char *at = (const char *)(info->dlpi_addr + ph->p_vaddr);
        const char *end = at + ph->p_memsz;
        while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const void *)at;
            const char *name = at + sizeof *note;
            const char *desc = name + tz_align_up(note->n_namesz, 4);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
                !memcmp(name, "GNU", 4)) {
                for (size_t k = 0; k < note->n_descsz; k++)
                    tz_format(to + 2 * k, size > 2 * k ? size - 2 * k : 0,
                              "%02x", (unsigned char)desc[k]);
                return;
            }
            at = desc + tz_align_up(note->n_descsz, 4);
        }
    }
}

static void add_mapping(struct writer *w, const ElfW(Phdr) *ph, uintptr_t base,
                        uint64_t file, uint64_t id)
{
    if (w->mappings == MAPPINGS)
        return;
    struct message m = { .n = 0 };
    uintptr_t lo = base + ph->p_vaddr, hi = lo + ph->p_memsz;
    w->mapping[w->mappings].lo = lo;
    w->mapping[w->mappings].hi = hi;
    put_number(&m, MAPPING_ID, ++w->mappings);
    put_number(&m, MAPPING_START, lo);
    put_number(&m, MAPPING_LIMIT, hi);
    put_number(&m, MAPPING_OFFSET, ph->p_offset);
    put_number(&m, MAPPING_FILE, file);
    put_number(&m, MAPPING_BUILD_ID, id);
    put_number(&m, MAPPING_HAS_FUNCTIONS, w->names);
    emit_message(w, PROFILE_MAPPING, &m);
}

static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct writer *w = arg;
    char path[512], id[2 * 64 + 1];
    const char *name = info->dlpi_name;
    if (!name || !name[0]) { // the program
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        path[n > 0 ? n : 0] = 0;
        name = path;
    }
    build_id(info, id, sizeof id);
    uint64_t file = add_string(w, name), build = add_string(w, id);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X))
            add_mapping(w, ph, info->dlpi_addr, file, build);
    }
    return 0;
}

// The function's number, 0 when its name is not known. Key: its start.
static uint64_t function_of(struct writer *w, uintptr_t place)
{
    struct tz_symbol s = { .start = 0 };
    if (w->names)
        tz_symbol_find(place, &s);
    struct tz_map_node *n =
        s.start ? tz_map_at(&w->by_function, &w->p->arena, s.start) : NULL;
    if (!n || n->value)
        return n ? n->value : 0;
    struct message m = { .n = 0 };
    uint64_t name = add_string(w, s.name);
    put_number(&m, FUNCTION_ID, n->value = ++w->functions);
    put_number(&m, FUNCTION_NAME, name);
    put_number(&m, FUNCTION_SYSTEM_NAME, name);
    put_number(&m, FUNCTION_FILE, 0);
    emit_message(w, PROFILE_FUNCTION, &m);
    return n->value;
}

static uint64_t location_of(struct writer *w, uintptr_t place)
{
    struct tz_map_node *n = tz_map_at(&w->by_place, &w->p->arena, place);
    if (!n || n->value)
        return n ? n->value : 0;
    struct message m = { .n = 0 }, line = { .n = 0 };
    uint64_t function = function_of(w, place), mapping = 0;
    for (uint64_t i = 0; i < w->mappings && !mapping; i++)
        if (place - w->mapping[i].lo < w->mapping[i].hi - w->mapping[i].lo)
            mapping = i + 1;
    put_number(&m, LOCATION_ID, n->value = ++w->locations);
    put_number(&m, LOCATION_MAPPING, mapping);
    put_number(&m, LOCATION_ADDRESS, place);
    if (function) {
        put_number(&line, LINE_FUNCTION, function);
        put_bytes(&m, LOCATION_LINE, line.bytes, line.n);
    }
    emit_message(w, PROFILE_LOCATION, &m);
    return n->value;
}

static uint64_t label_of(struct writer *w, const char *label)
{
    struct tz_map_node *n =
        tz_map_at(&w->by_label, &w->p->arena, (uintptr_t)label);
    if (n && !n->value)
        n->value = add_string(w, label);
    return n ? n->value : 0;
}

static void add_sample(struct writer *w, const struct tz_stack_count *s)
{
    struct message m = { .n = 0 }, part = { .n = 0 };
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t id = location_of(w, s->place[i]);
        if (id)
            put_varint(&part, id);
    }
    put_bytes(&m, SAMPLE_LOCATIONS, part.bytes, part.n);
    part.n = 0;
    for (int i = 0; i < TZ_PROFILE_VALUES && w->p->kind->value[i].name; i++)
        put_varint(&part, s->value[i]);
    put_bytes(&m, SAMPLE_VALUES, part.bytes, part.n);
    if (s->label) {
        part.n = 0;
        put_number(&part, LABEL_KEY, w->key);
        put_number(&part, LABEL_TEXT, label_of(w, s->label));
        put_bytes(&m, SAMPLE_LABEL, part.bytes, part.n);
    }
    if (s->bytes) {
        part.n = 0;
        put_number(&part, LABEL_KEY, w->bytes);
        put_number(&part, LABEL_NUMBER, s->bytes);
        put_number(&part, LABEL_UNIT, w->bytes);
        put_bytes(&m, SAMPLE_LABEL, part.bytes, part.n);
    }
    emit_message(w, PROFILE_SAMPLE, &m);
}

static void write_all(struct writer *w)
{
    char text[64];
    const struct tz_profile_kind *kind = w->p->kind;
    add_string(w, ""); // number 0, by definition
    w->key = add_string(w, "goroutine");
    w->bytes = add_string(w, "bytes");
    for (int i = 0; i < TZ_PROFILE_VALUES && kind->value[i].name; i++)
        add_type(w, PROFILE_SAMPLE_TYPE, &kind->value[i]);
    add_type(w, PROFILE_PERIOD_TYPE, &kind->period);
    emit_number(w, PROFILE_PERIOD, (uint64_t)w->p->period);
    emit_number(w, PROFILE_TIME, (uint64_t)w->p->began);
    if (w->p->duration_ns)
        emit_number(w, PROFILE_DURATION, (uint64_t)w->p->duration_ns);
    if (kind->drop)
        emit_number(w, PROFILE_DROP, add_string(w, kind->drop));
    dl_iterate_phdr(add_module, w);
    for (size_t i = 0; i < TZ_PROFILE_BUCKETS; i++)
        for (const struct tz_stack_count *s = w->p->bucket[i]; s; s = s->next)
            add_sample(w, s);
    if (w->p->lost) {
        tz_format(text, sizeof text, "%llu samples were lost",
                  (unsigned long long)w->p->lost);
        emit_number(w, PROFILE_COMMENT, add_string(w, text));
    }
    flush(w);
}

int tz_profile_write(struct tz_profile *p, int fd)
{
    struct writer *w = tz_arena_alloc(&p->arena, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->p = p;
    w->fd = fd;
    w->names = tz_symbol_begin(true);
    write_all(w);
    if (w->names)
        tz_symbol_end();
    return -w->err;
}
