// SPDX-License-Identifier: BSD-3-Clause
// test/os/tlsroots_test.c: static and thread-local variables are found.

#include <dlfcn.h>
#include <sys/mman.h>

#include "os_check.h"
#include "os/thread.h"
#include "os/tlsroots.h"
#include "os/vm.h"

struct range {
    uintptr_t lo, hi;
};

enum { MAX = 256 };

static struct range seen[MAX];
static int count;

static uintptr_t in_data = 1;
static uintptr_t in_bss;
static const uintptr_t in_rodata = 1;
static void *volatile in_relro = &in_data;
static __thread uintptr_t in_tdata = 1;
static __thread uintptr_t in_tbss[100];

static struct {
    uintptr_t pointer, tdata, tbss_end;
    int ready, release; // atomic
} other;

static void note_range(void *arg, uintptr_t lo, uintptr_t hi, bool may_go)
{
    (void)may_go;
    ck_assert_ptr_eq(arg, &count);
    ck_assert_uint_lt(lo, hi);
    ck_assert_uint_ge(lo, 65536); // nothing is mapped below
    ck_assert_uint_eq((lo | hi) % sizeof(uintptr_t), 0);
    ck_assert_int_lt(count, MAX);
    seen[count++] = (struct range){ lo, hi };
}

static void look_at_data(void)
{
    count = 0;
    tz_roots_each_data(note_range, &count);
}

static void look_at_tls(uintptr_t pointer)
{
    count = 0;
    tz_roots_each_tls(pointer, note_range, &count);
}

// How many of the ranges hold the word at p.
static int holds(const void *p)
{
    int n = 0;
    for (int i = 0; i < count; i++)
        n += seen[i].lo <= (uintptr_t)p &&
             (uintptr_t)p + sizeof(uintptr_t) <= seen[i].hi;
    return n;
}

START_TEST(nothing_is_found_before_a_snapshot)
{
    look_at_data();
    ck_assert_int_eq(count, 0);
    look_at_tls(tz_thread_pointer());
    ck_assert_int_eq(count, 0);
}
END_TEST

START_TEST(data_and_bss_are_found_once)
{
    tz_roots_snapshot();
    look_at_data();
    ck_assert_int_eq(holds(&in_data), 1);
    ck_assert_int_eq(holds(&in_bss), 1);
    ck_assert_int_eq(holds((void *)&in_relro), 1); // writable, for all its name
    ck_assert_int_eq(holds(&in_rodata), 0);
    ck_assert_int_eq(holds(&environ), 1); // libc's or a copy of ours
}
END_TEST

static bool visited_sum; // keeps the reads
static TZ_NO_SANITIZE void read_all(void *arg, uintptr_t lo, uintptr_t hi,
                                    bool may_go)
{
    (void)arg, (void)may_go;
    uintptr_t sum = 0;
    for (uintptr_t p = lo; p < hi; p += sizeof p)
        sum ^= *(volatile uintptr_t *)p;
    visited_sum ^= sum & 1;
}

static uintptr_t row[100];

// Whatever lies between, before and behind ranges that are left out is found.
START_TEST(what_is_left_out_is_not_found_and_all_around_it_is)
{
    tz_roots_leave_out(&row[60], 20 * sizeof row[0]);
    tz_roots_leave_out(&row[10], 20 * sizeof row[0]);
    tz_roots_leave_out(&row[10], 20 * sizeof row[0]); // once more
    tz_roots_leave_out(&row[30], 1 * sizeof row[0]); // next to it
    tz_roots_snapshot();
    look_at_data();
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(holds(&row[i]), !(i >= 10 && i <= 30) && !(i >= 60 && i < 80));
    ck_assert_int_eq(holds(&in_data), 1);
    ck_assert_int_eq(holds(&in_bss), 1);
}
END_TEST

START_TEST(all_that_is_found_is_readable)
{
    tz_roots_snapshot();
    tz_roots_each_data(read_all, NULL);
    tz_roots_each_tls(tz_thread_pointer(), read_all, NULL);
}
END_TEST

START_TEST(data_read_only_after_relocation_is_left_out)
{
    tz_roots_snapshot();
    look_at_data();
    FILE *f = fopen("/proc/self/maps", "r");
    char line[1024], prot[8];
    while (fgets(line, sizeof line, f)) {
        uintptr_t lo, hi;
        ck_assert_int_eq(sscanf(line, "%lx-%lx %7s", &lo, &hi, prot), 3);
        for (int i = 0; i < count; i++)
            if (seen[i].lo < hi && lo < seen[i].hi)
                ck_assert_msg(!strncmp(prot, "rw", 2), "%s", line);
    }
    fclose(f);
}
END_TEST

START_TEST(this_threads_variables_are_found)
{
    in_tdata = in_tbss[99] = 7;
    tz_roots_snapshot();
    look_at_tls(tz_thread_pointer());
    ck_assert_int_eq(holds(&in_tdata), 1);
    ck_assert_int_eq(holds(&in_tbss[0]), 1);
    ck_assert_int_eq(holds(&in_tbss[99]), 1);
    uintptr_t libcs = tz_align_down((uintptr_t)&errno, sizeof(uintptr_t));
    ck_assert_int_eq(holds((void *)libcs), 1);
    ck_assert_int_eq(holds(&in_data), 0);
}
END_TEST

static void show_variables(void *arg)
{
    (void)arg;
    other.pointer = tz_thread_pointer();
    other.tdata = (uintptr_t)&in_tdata;
    other.tbss_end = (uintptr_t)&in_tbss[99];
    tz_store(&other.ready, 1);
    while (tz_load(&other.release) == 0)
        sched_yield();
}

START_TEST(another_threads_variables_are_found)
{
    tz_roots_snapshot();
    ck_assert_int_eq(tz_thread_start(show_variables, NULL, 0), 0);
    while (tz_load(&other.ready) == 0)
        sched_yield();
    look_at_tls(other.pointer);
    ck_assert_uint_ne(other.tdata, (uintptr_t)&in_tdata);
    ck_assert_int_eq(holds((void *)other.tdata), 1);
    ck_assert_int_eq(holds((void *)other.tbss_end), 1);
    ck_assert_int_eq(holds(&in_tdata), 0);
    tz_store(&other.release, 1);
}
END_TEST

// Loads a library with a TLS block that this thread has not got yet.
static bool load_library_with_tls(void)
{
    static const char *const names[] = { "libstdc++.so.6", "libgomp.so.1" };
    for (size_t i = 0; i < tz_countof(names); i++) {
        size_t module = 0;
        void *block = NULL, *lib = dlopen(names[i], RTLD_NOW);
        if (lib && dlinfo(lib, RTLD_DI_TLS_MODID, &module) == 0 && module &&
            dlinfo(lib, RTLD_DI_TLS_DATA, &block) == 0 && !block)
            return true;
    }
    return false;
}

START_TEST(blocks_that_a_thread_never_used_are_left_out)
{
    tz_roots_snapshot();
    look_at_tls(tz_thread_pointer());
    int before = count;
    bool loaded = load_library_with_tls();
    tz_roots_snapshot();
    look_at_tls(tz_thread_pointer());
    if (loaded)
        ck_assert_int_le(count, before + 1); // libraries it needs have some
    tz_roots_each_tls(tz_thread_pointer(), read_all, NULL);
    // Started later, with a whole dtv and blocks still to come.
    ck_assert_int_eq(tz_thread_start(show_variables, NULL, 0), 0);
    while (tz_load(&other.ready) == 0)
        sched_yield();
    tz_roots_each_tls(other.pointer, read_all, NULL);
    look_at_tls(other.pointer);
    ck_assert_int_eq(holds((void *)other.tdata), 1);
    tz_store(&other.release, 1);
}
END_TEST

static uint64_t calls(void)
{
    struct tz_vm_stats s;
    tz_vm_stats_read(&s);
    return s.calls;
}

// A library that this program is not linked with and Debian always has.
static void *load_library(void)
{
    static const char *const names[] = { "libutil.so.1", "libresolv.so.2",
                                         "libnss_files.so.2", "libdl.so.2",
                                         "libanl.so.1" };
    for (size_t i = 0; i < tz_countof(names); i++) {
        void *loaded = dlopen(names[i], RTLD_NOW | RTLD_NOLOAD);
        void *lib = loaded ? NULL : dlopen(names[i], RTLD_NOW);
        if (lib)
            return lib;
    }
    return NULL;
}

START_TEST(a_snapshot_follows_what_is_loaded)
{
    tz_roots_snapshot();
    look_at_data();
    int before = count;
    void *lib = load_library();
    if (!lib)
        return;
    look_at_data();
    ck_assert_int_eq(count, before);
    tz_roots_snapshot();
    look_at_data();
    ck_assert_int_gt(count, before);
    dlclose(lib);
    tz_roots_snapshot();
    look_at_data();
    ck_assert_int_eq(count, before);
    ck_assert_int_eq(holds(&in_data), 1);
}
END_TEST

START_TEST(an_unchanged_snapshot_makes_no_call)
{
    tz_roots_snapshot();
    tz_roots_snapshot();
    uint64_t before = calls();
    look_at_data();
    int found = count;
    for (int i = 0; i < 100; i++)
        tz_roots_snapshot();
    look_at_data();
    ck_assert_int_eq(count, found);
    ck_assert_uint_eq(calls(), before);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_is_found_before_a_snapshot,
        data_and_bss_are_found_once,
        what_is_left_out_is_not_found_and_all_around_it_is,
        all_that_is_found_is_readable,
        data_read_only_after_relocation_is_left_out,
        this_threads_variables_are_found,
        another_threads_variables_are_found,
        blocks_that_a_thread_never_used_are_left_out,
        a_snapshot_follows_what_is_loaded,
        an_unchanged_snapshot_makes_no_call,
        NULL,
    };
    return os_check("os/tlsroots", tests);
}
