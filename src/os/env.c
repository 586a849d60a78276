// SPDX-License-Identifier: BSD-3-Clause
// os/env.c: reads the environment, strictly.
//
// A value is taken whole or not at all; each that is not taken is told in one
// line, so that a misspelt setting does not silently do nothing. Where a name
// stands twice in the environment the first counts, as for getenv.
//
// Go keeps this in runtime1.go (parsedebugvars); it ignores what it does not
// know.

#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/env_sys.h"

enum {
    MAX_PROCS = 1024,
    MAX_PERCENT = 1000000000,
    GC_OFF = -1,
    GC_NOT_SET = -2,
    SHOWN = 64, // bytes of a bad value in its line
};

#define DEFAULTS { .gc_percent = GC_NOT_SET, .stack_max = TZ_GIB }

struct tz_env tz_env = DEFAULTS;

// A piece of the environment's text.
struct text {
    const char *s;
    size_t n;
};

static bool is(struct text t, const char *word)
{
    return strlen(word) == t.n && memcmp(t.s, word, t.n) == 0;
}

// Decimal digits only, at most max.
static bool parse_number(struct text t, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (t.n == 0)
        return false;
    for (size_t i = 0; i < t.n; i++) {
        unsigned digit = (unsigned char)t.s[i] - (unsigned)'0';
        if (digit > 9 || digit > max || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

static void refuse(const char *name, struct text value, const char *wanted)
{
    tz_print("tuza: %s: \"%.*s\" is not %s\n", name,
             (int)tz_min(value.n, SHOWN), value.s, wanted);
}

// The variable's value; false when it is not there or empty.
static bool get(const char *name, struct text *out)
{
    const char *s = getenv(name);
    if (!s || !*s)
        return false;
    *out = (struct text){ s, strlen(s) };
    return true;
}

static void read_maxprocs(void)
{
    struct text t;
    uint64_t v;
    if (!get("TUZAMAXPROCS", &t))
        return;
    if (parse_number(t, MAX_PROCS, &v) && v > 0)
        tz_env.maxprocs = (int)v;
    else
        refuse("TUZAMAXPROCS", t, "a number from 1 to 1024");
}

// One P, and a clock that starts at a second, for what subtracts from it.
static void read_sim(void)
{
    struct text t;
    uint64_t v;
    if (!get("TUZASIM", &t))
        return;
    if (!parse_number(t, UINT64_MAX, &v)) {
        refuse("TUZASIM", t, "a number");
        return;
    }
    tz_env.sim = true;
    tz_env.sim_seed = v;
    tz_env.maxprocs = 1;
    tz_env.stress_yield = true; // these operations are its scheduling points
    tz_clock_set(TZ_NSEC_PER_SEC);
}

static void read_gc(void)
{
    struct text t;
    uint64_t v;
    if (!get("TUZAGC", &t))
        return;
    if (is(t, "off"))
        tz_env.gc_percent = GC_OFF;
    else if (parse_number(t, MAX_PERCENT, &v))
        tz_env.gc_percent = (int)v;
    else
        refuse("TUZAGC", t, "a percentage or off");
}

static void read_stack(void)
{
    struct text t, digits;
    uint64_t v;
    if (!get("TUZASTACK", &t))
        return;
    digits = t;
    size_t unit = 1;
    if (t.s[t.n - 1] == 'K')
        unit = TZ_KIB;
    else if (t.s[t.n - 1] == 'M')
        unit = TZ_MIB;
    if (unit > 1)
        digits.n--;
    if (parse_number(digits, SIZE_MAX / unit, &v) && v > 0)
        tz_env.stack_size = (size_t)v * unit;
    else
        refuse("TUZASTACK", t, "a size such as 65536, 64K or 1M");
}

static void read_stack_guard(void)
{
    static const char *const ways[] = { "", "marker", "mprotect", "off" };
    struct text t;
    if (!get("TUZASTACKGUARD", &t))
        return;
    for (size_t i = 1; i < tz_countof(ways); i++) {
        if (is(t, ways[i])) {
            tz_env.stack_guard = (int)i;
            return;
        }
    }
    refuse("TUZASTACKGUARD", t, "marker, mprotect or off");
}

// A size above 0 with a unit, at most max.
static bool parse_size(struct text t, uint64_t max, uint64_t *out)
{
    static const char units[] = "KMGT";
    const char *unit = memchr(units, t.s[t.n - 1], sizeof units - 1);
    unsigned shift = unit ? (unsigned)(unit - units + 1) * 10 : 0;
    uint64_t v;
    if (unit)
        t.n--;
    if (!parse_number(t, max >> shift, &v) || v == 0)
        return false;
    *out = v << shift;
    return true;
}

static void read_stack_max(void)
{
    struct text t;
    uint64_t v;
    if (!get("TUZASTACKMAX", &t))
        return;
    if (parse_size(t, SIZE_MAX / 2, &v))
        tz_env.stack_max = (size_t)v;
    else
        refuse("TUZASTACKMAX", t, "a size such as 64M or 1G");
}

static void read_memory_limits(void)
{
    static const char wanted[] = "a size such as 512M or 1G, or off";
    struct text t;
    uint64_t v;
    if (get("TUZAMEMLIMIT", &t)) {
        if (is(t, "off"))
            tz_env.memory_limit = -1;
        else if (parse_size(t, INT64_MAX, &v))
            tz_env.memory_limit = (int64_t)v;
        else
            refuse("TUZAMEMLIMIT", t, wanted);
    }
    if (get("TUZAMEMMAX", &t)) {
        if (is(t, "off"))
            tz_env.memory_max = UINT64_MAX;
        else if (parse_size(t, UINT64_MAX, &v))
            tz_env.memory_max = v;
        else
            refuse("TUZAMEMMAX", t, wanted);
    }
}

// --- TUZADEBUG

static void debug_gctrace(struct text value)
{
    uint64_t v;
    if (parse_number(value, INT32_MAX, &v))
        tz_env.gctrace = (int)v;
    else
        refuse("TUZADEBUG: gctrace", value, "a number");
}

static void debug_schedtrace(struct text value)
{
    uint64_t v;
    if (parse_number(value, INT32_MAX, &v))
        tz_env.schedtrace = (int)v;
    else
        refuse("TUZADEBUG: schedtrace", value, "a number of milliseconds");
}

static void debug_stress(struct text value)
{
    if (is(value, "gc"))
        tz_env.stress_gc = true;
    else if (is(value, "yield"))
        tz_env.stress_yield = true;
    else if (is(value, "steal"))
        tz_env.stress_steal = true;
    else
        refuse("TUZADEBUG: stress", value, "gc, yield or steal");
}

static void debug_gcevery(struct text value)
{
    uint64_t v;
    if (!parse_number(value, INT32_MAX, &v) || v == 0) {
        refuse("TUZADEBUG: gcevery", value, "a number above 0");
        return;
    }
    tz_env.gc_every = (uint32_t)v;
    tz_env.stress_gc = true;
}

static void debug_taken(struct text value)
{
    uint64_t v;
    if (parse_number(value, INT32_MAX, &v))
        tz_env.max_taken = v ? (int)v : -1;
    else
        refuse("TUZADEBUG: taken", value, "a number");
}

static void debug_flag(const char *name, struct text value, bool *out)
{
    uint64_t v;
    if (parse_number(value, 1, &v))
        *out = v != 0;
    else
        refuse(name, value, "0 or 1");
}

static void debug_gccheckmark(struct text value)
{
    debug_flag("TUZADEBUG: gccheckmark", value, &tz_env.gc_check);
}

static void debug_gcmode(struct text value)
{
    static const char *const names[] = { "m0", "m1", "m2", "m3" };
    for (size_t i = 0; i < tz_countof(names); i++) {
        if (is(value, names[i])) {
            tz_env.gc_mode = (enum tz_gcmode)(TZ_GCMODE_M0 + i);
            return;
        }
    }
    refuse("TUZADEBUG: gcmode", value, "m0, m1, m2 or m3");
}

static void debug_clobberfree(struct text value)
{
    debug_flag("TUZADEBUG: clobberfree", value, &tz_env.clobber_free);
}

static void debug_gcverify(struct text value)
{
    debug_flag("TUZADEBUG: gcverify", value, &tz_env.gc_verify);
}

static void debug_neverfree(struct text value)
{
    debug_flag("TUZADEBUG: neverfree", value, &tz_env.never_free);
}

static void debug_pageperobject(struct text value)
{
    debug_flag("TUZADEBUG: pageperobject", value, &tz_env.page_per_object);
}

static void debug_simtrace(struct text value)
{
    uint64_t v;
    if (parse_number(value, 2, &v))
        tz_env.simtrace = (int)v;
    else
        refuse("TUZADEBUG: simtrace", value, "0, 1 or 2");
}

static void debug_memprofilerate(struct text value)
{
    uint64_t v;
    if (parse_number(value, INT64_MAX, &v))
        tz_env.memprofile_rate = v;
    else
        refuse("TUZADEBUG: memprofilerate", value, "a number of bytes");
}

static void debug_efence(struct text value)
{
    debug_flag("TUZADEBUG: efence", value, &tz_env.efence);
}

static void debug_oscalls(struct text value)
{
    if (!is(value, "libc") && !is(value, "raw")) // os/vm_route.c acts on it
        refuse("TUZADEBUG: oscalls", value, "libc or raw");
}

static void debug_madvfree(struct text value)
{
    uint64_t v;
    if (!parse_number(value, 1, &v)) // os/vm.c acts on it
        refuse("TUZADEBUG: madvfree", value, "0 or 1");
}

static void debug_mapstack(struct text value)
{
    uint64_t v;
    if (!parse_number(value, 1, &v)) // os/vm_stack.c acts on it
        refuse("TUZADEBUG: mapstack", value, "0 or 1");
}

static void debug_accept(struct text value)
{
    (void)value; // another room's business
}

static const struct {
    const char *key;
    void (*set)(struct text value);
} debug_keys[] = {
    { "gctrace", debug_gctrace },   { "stress", debug_stress },
    { "efence", debug_efence },     { "schedtrace", debug_schedtrace },
    { "gcmode", debug_gcmode },     { "check", debug_accept },
    { "gcevery", debug_gcevery },   { "taken", debug_taken },
    { "oscalls", debug_oscalls },   { "mapstack", debug_mapstack },
    { "hooks", debug_accept },      { "thp", debug_accept },
    { "oscount", debug_accept },    { "madvfree", debug_madvfree },
    { "simtrace", debug_simtrace }, { "gccheckmark", debug_gccheckmark },
    { "clobberfree", debug_clobberfree },
    { "neverfree", debug_neverfree },
    { "pageperobject", debug_pageperobject },
    { "gcverify", debug_gcverify }, { "vectors", debug_accept },
    { "memprofilerate", debug_memprofilerate },
};

static void read_debug_item(struct text item)
{
    const char *equals = memchr(item.s, '=', item.n);
    struct text key = { item.s, equals ? (size_t)(equals - item.s) : item.n };
    for (size_t i = 0; i < tz_countof(debug_keys); i++) {
        if (!is(key, debug_keys[i].key))
            continue;
        if (equals)
            debug_keys[i].set((struct text){ equals + 1, item.n - key.n - 1 });
        else
            refuse("TUZADEBUG", item, "of the form key=value");
        return;
    }
    tz_print("tuza: TUZADEBUG: unknown key \"%.*s\"\n",
             (int)tz_min(key.n, SHOWN), key.s);
}

static void read_debug(void)
{
    struct text t;
    if (!get("TUZADEBUG", &t))
        return;
    for (const char *s = t.s;;) {
        size_t n = strcspn(s, ",");
        if (n > 0)
            read_debug_item((struct text){ s, n });
        if (!s[n])
            return;
        s += n + 1;
    }
}

bool tz_env_debug(const char *key, char *buf, size_t size)
{
    struct text t;
    size_t length = strlen(key);
    if (tz_envsys_secure() || !get("TUZADEBUG", &t))
        return false;
    for (const char *s = t.s; *s;) {
        size_t n = strcspn(s, ",");
        if (n > length && !memcmp(s, key, length) && s[length] == '=' &&
            n - length - 1 < size) {
            memcpy(buf, s + length + 1, n - length - 1);
            buf[n - length - 1] = 0;
            return true;
        }
        s += n + (s[n] == ',');
    }
    return false;
}

void tz_env_init(void)
{
    tz_env = (struct tz_env)DEFAULTS;
    tz_clock_set(0);
    if (tz_envsys_secure())
        return;
    read_maxprocs();
    read_sim();
    read_gc();
    read_stack();
    read_stack_guard();
    read_stack_max();
    read_memory_limits();
    read_debug();
    tz_env.never_free |= tz_env.page_per_object;
}
