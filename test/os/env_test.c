// SPDX-License-Identifier: BSD-3-Clause
// test/os/env_test.c: what is taken from the environment, and what is told.

#include <sys/mman.h>

#include "base/print.h"
#include "os_check.h"
#include "os/clock.h"
#include "os/env.h"

enum { NOT_SET = -2 };

static const char *const names[] = { "TUZAMAXPROCS", "TUZAGC", "TUZASTACK",
                                     "TUZASTACKGUARD", "TUZAMEMLIMIT",
                                     "TUZAMEMMAX", "TUZASIM", "TUZADEBUG" };

static const char *setting[2]; // name and value for the child
static struct tz_env *seen;    // what it parsed; shared with it

static void parse_here(void)
{
    for (size_t i = 0; i < tz_countof(names); i++)
        unsetenv(names[i]);
    if (setting[0])
        setenv(setting[0], setting[1], 1);
    tz_env_init();
    *seen = tz_env;
}

// Parses in a process of its own; returns what that told.
static struct os_ended parse(const char *name, const char *value)
{
    if (!seen) {
        seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(seen, MAP_FAILED);
    }
    memset(seen, 0x55, sizeof *seen);
    setting[0] = name;
    setting[1] = value;
    struct os_ended e = os_child(parse_here);
    ck_assert_int_eq(e.status, 0);
    return e;
}

static void assert_told(const char *name, const char *value, const char *line)
{
    struct os_ended e = parse(name, value);
    ck_assert_str_eq(e.text, line);
}

START_TEST(nothing_set_gives_the_defaults)
{
    assert_told(NULL, NULL, "");
    ck_assert_int_eq(seen->maxprocs, 0);
    ck_assert_int_eq(seen->gc_percent, NOT_SET);
    ck_assert_uint_eq(seen->stack_size, 0);
    ck_assert_int_eq(seen->stack_guard, 0);
    ck_assert_int_eq(seen->gctrace, 0);
    ck_assert(!seen->stress_gc && !seen->stress_yield && !seen->stress_steal);
    ck_assert(!seen->efence);
}
END_TEST

START_TEST(an_empty_value_is_not_set)
{
    for (size_t i = 0; i < tz_countof(names); i++)
        assert_told(names[i], "", "");
    ck_assert_int_eq(seen->gc_percent, NOT_SET);
}
END_TEST

START_TEST(maxprocs_is_1_to_1024)
{
    static const struct {
        const char *value;
        int want; // 0: told
    } rows[] = { { "1", 1 },   { "64", 64 }, { "1024", 1024 }, { "1025", 0 },
                 { "0", 0 },   { "-1", 0 },  { "4x", 0 },      { " 4", 0 },
                 { "0x4", 0 }, { "99999999999999999999999", 0 } };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        char line[200] = "";
        if (rows[i].want == 0)
            snprintf(line, sizeof line,
                     "tuza: TUZAMAXPROCS: \"%s\" is not a number from 1 to "
                     "1024\n",
                     rows[i].value);
        assert_told("TUZAMAXPROCS", rows[i].value, line);
        ck_assert_int_eq(seen->maxprocs, rows[i].want);
    }
}
END_TEST

static uint64_t drawn[4];

static void draw_here(void)
{
    tz_env_init();
    tz_env_random(drawn);
    tz_env_random(drawn + 2);
    tz_print("%llx %llx %llx %llx", (unsigned long long)drawn[0],
             (unsigned long long)drawn[1], (unsigned long long)drawn[2],
             (unsigned long long)drawn[3]);
}

START_TEST(a_simulation_has_a_seed_one_p_and_its_own_time)
{
    static const struct {
        const char *value;
        uint64_t want;
        bool told;
    } rows[] = { { "0", 0, false },
                 { "7", 7, false },
                 { "18446744073709551615", UINT64_MAX, false },
                 { "18446744073709551616", 0, true },
                 { "-1", 0, true },
                 { "seed", 0, true } };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = parse("TUZASIM", rows[i].value);
        ck_assert_int_eq(seen->sim, !rows[i].told);
        ck_assert_uint_eq(seen->sim_seed, rows[i].want);
        ck_assert_int_eq(seen->maxprocs, rows[i].told ? 0 : 1);
        ck_assert_int_eq(os_count(e.text, "tuza: TUZASIM: "), rows[i].told);
    }
    setenv("TUZASIM", "7", 1);
    tz_env_init();
    ck_assert_int_eq(tz_clock_now(), TZ_NSEC_PER_SEC);
    unsetenv("TUZASIM");
    tz_env_init();
    ck_assert_int_ne(tz_clock_now(), TZ_NSEC_PER_SEC);
}
END_TEST

START_TEST(random_numbers_of_a_simulation_are_of_its_seed)
{
    struct os_ended e[3];
    for (int i = 0; i < 3; i++) {
        setenv("TUZASIM", i < 2 ? "7" : "8", 1);
        e[i] = os_child(draw_here);
    }
    ck_assert_str_eq(e[0].text, e[1].text);
    ck_assert_str_ne(e[0].text, e[2].text);
}
END_TEST

START_TEST(gc_is_a_percentage_or_off)
{
    static const struct {
        const char *value;
        int want;
    } rows[] = { { "100", 100 },   { "0", 0 },       { "off", -1 },
                 { "Off", NOT_SET }, { "-1", NOT_SET }, { "50%", NOT_SET } };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = parse("TUZAGC", rows[i].value);
        ck_assert_int_eq(seen->gc_percent, rows[i].want);
        ck_assert_int_eq(os_count(e.text, "\n"), rows[i].want == NOT_SET);
    }
    assert_told("TUZAGC", "50%",
                "tuza: TUZAGC: \"50%\" is not a percentage or off\n");
}
END_TEST

START_TEST(stack_sizes_have_units)
{
    static const struct {
        const char *value;
        size_t want; // 0: told
    } rows[] = { { "65536", 65536 }, { "64K", 65536 }, { "1M", 1048576 },
                 { "0", 0 },         { "K", 0 },       { "64k", 0 },
                 { "1G", 0 },        { "1MK", 0 },     { "1 M", 0 },
                 { "18446744073709551615", SIZE_MAX },
                 { "18446744073709551616", 0 },
                 { "18014398509481983K", SIZE_MAX - 1023 },
                 { "18014398509481984K", 0 } };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = parse("TUZASTACK", rows[i].value);
        ck_assert_uint_eq(seen->stack_size, rows[i].want);
        ck_assert_int_eq(os_count(e.text, "tuza: TUZASTACK: "),
                         rows[i].want == 0);
    }
}
END_TEST

START_TEST(memory_limits_have_units_or_are_off)
{
    static const struct {
        const char *value;
        int64_t limit; // 0: told
        uint64_t max;
    } rows[] = {
        { "off", -1, UINT64_MAX },
        { "1", 1, 1 },
        { "536870912", 512 << 20, 512 << 20 },
        { "3K", 3 << 10, 3 << 10 },
        { "512M", 512 << 20, 512 << 20 },
        { "1G", 1 << 30, 1 << 30 },
        { "2T", INT64_C(2) << 40, UINT64_C(2) << 40 },
        { "8388607T", INT64_C(8388607) << 40, UINT64_C(8388607) << 40 },
        { "8388608T", 0, UINT64_C(8388608) << 40 },
        { "16777216T", 0, 0 },
        { "9223372036854775807", INT64_MAX, INT64_MAX },
        { "9223372036854775808", 0, UINT64_C(1) << 63 },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", 0, 0 },
        { "0", 0, 0 },
        { "0G", 0, 0 },
        { "-1", 0, 0 },
        { "G", 0, 0 },
        { "1g", 0, 0 },
        { "1GB", 0, 0 },
        { "1GiB", 0, 0 },
        { "1.5G", 0, 0 },
        { " 1G", 0, 0 },
        { "OFF", 0, 0 },
    };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = parse("TUZAMEMLIMIT", rows[i].value);
        ck_assert_int_eq(seen->memory_limit, rows[i].limit);
        ck_assert_uint_eq(seen->memory_max, 0);
        ck_assert_int_eq(os_count(e.text, "\n"), rows[i].limit == 0);
        e = parse("TUZAMEMMAX", rows[i].value);
        ck_assert_uint_eq(seen->memory_max, rows[i].max);
        ck_assert_int_eq(seen->memory_limit, 0);
        ck_assert_int_eq(os_count(e.text, "\n"), rows[i].max == 0);
    }
    assert_told("TUZAMEMLIMIT", "1GB",
                "tuza: TUZAMEMLIMIT: \"1GB\" is not a size such as 512M or "
                "1G, or off\n");
    assert_told("TUZAMEMMAX", "x",
                "tuza: TUZAMEMMAX: \"x\" is not a size such as 512M or 1G, or "
                "off\n");
}
END_TEST

START_TEST(stack_guards_have_names)
{
    static const char *const ways[] = { "marker", "mprotect", "off" };
    for (size_t i = 0; i < tz_countof(ways); i++) {
        assert_told("TUZASTACKGUARD", ways[i], "");
        ck_assert_int_eq(seen->stack_guard, (int)i + 1);
    }
    assert_told("TUZASTACKGUARD", "on",
                "tuza: TUZASTACKGUARD: \"on\" is not marker, mprotect or off"
                "\n");
    ck_assert_int_eq(seen->stack_guard, 0);
}
END_TEST

START_TEST(debug_keys_are_taken_each)
{
    assert_told("TUZADEBUG",
                "gctrace=2,stress=gc,,stress=yield,stress=steal,efence=1,"
                "schedtrace=1000,simtrace=2,taken=3,gccheckmark=1,clobberfree=1,"
                "neverfree=1,gcverify=1",
                "");
    ck_assert_int_eq(seen->schedtrace, 1000);
    ck_assert_int_eq(seen->gctrace, 2);
    ck_assert(seen->stress_gc && seen->stress_yield && seen->stress_steal);
    ck_assert(seen->efence);
    ck_assert_int_eq(seen->simtrace, 2);
    ck_assert_int_eq(seen->max_taken, 3);
    ck_assert(seen->gc_check && seen->clobber_free && seen->gc_verify);
    ck_assert(seen->never_free && !seen->page_per_object);
    assert_told("TUZADEBUG", "pageperobject=1,neverfree=0", "");
    ck_assert(seen->page_per_object && seen->never_free);
    assert_told("TUZADEBUG", "clobberfree=0", "");
    ck_assert(!seen->never_free && !seen->page_per_object);
    assert_told("TUZADEBUG", "taken=0", "");
    ck_assert_int_eq(seen->max_taken, -1);
    ck_assert_uint_eq(seen->memprofile_rate, 0);
    assert_told("TUZADEBUG", "memprofilerate=524288", "");
    ck_assert_uint_eq(seen->memprofile_rate, 524288);
    assert_told("TUZADEBUG", "memprofilerate=512K",
                "tuza: TUZADEBUG: memprofilerate: \"512K\" is not a number of "
                "bytes\n");
}
END_TEST

START_TEST(keys_of_other_rooms_are_accepted)
{
    assert_told("TUZADEBUG",
                "gcmode=m0,check=1,oscalls=raw,mapstack=1,"
                "hooks=1,thp=0",
                "");
}
END_TEST

static const struct {
    const char *debug, *key, *want; // NULL: not found
} lookups[] = {
    { "oscalls=raw", "oscalls", "raw" },
    { "gctrace=1,oscalls=raw,x=y", "oscalls", "raw" },
    { "gctrace=1,oscalls=raw,oscalls=libc", "oscalls", "raw" },
    { "oscalls=", "oscalls", "" },
    { "oscalls", "oscalls", NULL },
    { "xoscalls=raw,oscallsx=raw", "oscalls", NULL },
    { "oscalls=1234567", "oscalls", "1234567" },
    { "oscalls=12345678", "oscalls", NULL }, // longer than its buffer
    { "", "oscalls", NULL },
};

static void look_up(void)
{
    for (size_t i = 0; i < tz_countof(lookups); i++) {
        char value[8] = "as is";
        setenv("TUZADEBUG", lookups[i].debug, 1);
        bool found = tz_env_debug(lookups[i].key, value, sizeof value);
        if (found != (lookups[i].want != NULL) ||
            strcmp(value, found ? lookups[i].want : "as is") != 0)
            _exit(1 + (int)i);
    }
    unsetenv("TUZADEBUG");
    char value[8];
    if (tz_env_debug("oscalls", value, sizeof value))
        _exit(100);
}

START_TEST(a_key_can_be_looked_up_before_the_start)
{
    ck_assert_int_eq(os_child(look_up).status, 0);
}
END_TEST

START_TEST(values_for_memory_calls_are_checked)
{
    assert_told("TUZADEBUG", "oscalls=libc,oscount=2,madvfree=1,madvfree=0",
                "");
    assert_told("TUZADEBUG", "oscalls=kernel,madvfree=2",
                "tuza: TUZADEBUG: oscalls: \"kernel\" is not libc or raw\n"
                "tuza: TUZADEBUG: madvfree: \"2\" is not 0 or 1\n");
}
END_TEST

START_TEST(unknown_keys_are_told_and_the_others_taken)
{
    assert_told("TUZADEBUG", "gctrac=1,gctrace=1,x,gctrace2=1",
                "tuza: TUZADEBUG: unknown key \"gctrac\"\n"
                "tuza: TUZADEBUG: unknown key \"x\"\n"
                "tuza: TUZADEBUG: unknown key \"gctrace2\"\n");
    ck_assert_int_eq(seen->gctrace, 1);
}
END_TEST

START_TEST(bad_values_of_keys_are_told)
{
    assert_told("TUZADEBUG",
                "gctrace=on,schedtrace=1s,stress=all,efence=2,gctrace",
                "tuza: TUZADEBUG: gctrace: \"on\" is not a number\n"
                "tuza: TUZADEBUG: schedtrace: \"1s\" is not a number of "
                "milliseconds\n"
                "tuza: TUZADEBUG: stress: \"all\" is not gc, yield or steal\n"
                "tuza: TUZADEBUG: efence: \"2\" is not 0 or 1\n"
                "tuza: TUZADEBUG: \"gctrace\" is not of the form key=value\n");
    ck_assert_int_eq(seen->gctrace, 0);
}
END_TEST

START_TEST(a_long_value_is_cut_in_its_line)
{
    char value[1000];
    memset(value, 'a', sizeof value - 1);
    value[sizeof value - 1] = 0;
    struct os_ended e = parse("TUZADEBUG", value);
    ck_assert_uint_lt(strlen(e.text), 120);
    ck_assert_int_eq(os_count(e.text, "\n"), 1);
}
END_TEST

static void parse_twice_set(void)
{
    static char first[] = "TUZAMAXPROCS=3", second[] = "TUZAMAXPROCS=x";
    static char *both[] = { first, second, NULL };
    environ = both;
    tz_env_init();
    *seen = tz_env;
}

START_TEST(of_two_settings_the_first_counts)
{
    parse(NULL, NULL);
    struct os_ended e = os_child(parse_twice_set);
    ck_assert_str_eq(e.text, "");
    ck_assert_int_eq(seen->maxprocs, 3);
}
END_TEST

START_TEST(random_bytes_differ_and_errno_is_kept)
{
    enum { N = 200 };
    uint64_t got[N][2];
    errno = 77;
    for (int i = 0; i < N; i++) {
        tz_env_random(got[i]);
        for (int k = 0; k < i; k++)
            ck_assert(got[k][0] != got[i][0] && got[k][1] != got[i][1]);
    }
    ck_assert_int_eq(errno, 77);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_set_gives_the_defaults,
        an_empty_value_is_not_set,
        maxprocs_is_1_to_1024,
        a_simulation_has_a_seed_one_p_and_its_own_time,
        random_numbers_of_a_simulation_are_of_its_seed,
        gc_is_a_percentage_or_off,
        stack_sizes_have_units,
        memory_limits_have_units_or_are_off,
        stack_guards_have_names,
        debug_keys_are_taken_each,
        keys_of_other_rooms_are_accepted,
        a_key_can_be_looked_up_before_the_start,
        values_for_memory_calls_are_checked,
        unknown_keys_are_told_and_the_others_taken,
        bad_values_of_keys_are_told,
        a_long_value_is_cut_in_its_line,
        of_two_settings_the_first_counts,
        random_bytes_differ_and_errno_is_kept,
        NULL,
    };
    return os_check("os/env", tests);
}
