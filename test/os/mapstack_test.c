// SPDX-License-Identifier: BSD-3-Clause
// test/os/mapstack_test.c: what the system is told of memory for stacks, seen
// from the hook table, where TUZADEBUG=mapstack=1 makes this kernel one that
// polices. What a kernel that does would say of it: test/emul/police_test.sh.

#include <dlfcn.h>

#include "os/env.h"
#include "os/sig.h"
#include "tuza/os.h"
#include "vm_rig.h"

enum { READ_WRITE = PROT_READ | PROT_WRITE };

static long page_told; // by sysconf; 0: the truth

#if !TZ_TSAN // which calls it before it can be called itself
long sysconf(int name)
{
    if (name == _SC_PAGESIZE && page_told)
        return page_told;
    static long (*real)(int);
    if (!real)
        real = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}
#endif

static void police(const char *debug)
{
    ck_assert_int_eq(setenv("TUZADEBUG", debug, 1), 0);
    install();
}

// n bytes of ready memory, as it comes from anywhere.
static char *ready(size_t n)
{
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(p);
    memset(p, 0x5a, n);
    return p;
}

static bool all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static int calls_from(int first, char what)
{
    int n = 0;
    for (int i = first; i < k.calls; i++)
        n += k.log[i].what == what;
    return n;
}

static const struct call *last_mmap(void)
{
    for (int i = k.calls; i-- > 0;)
        if (k.log[i].what == 'm')
            return &k.log[i];
    ck_abort_msg("no mmap");
}

static void one_fixed_mmap(int first, char *p, size_t n, int mark)
{
    ck_assert_int_eq(calls_from(first, 'm'), 1);
    ck_assert_int_eq(calls_from(first, 'u'), 0);
    ck_assert_int_eq(calls_from(first, 'p'), 0);
    const struct call *c = last_mmap();
    ck_assert_ptr_eq(c->p, p);
    ck_assert_uint_eq(c->n, n);
    ck_assert_int_eq(c->prot, READ_WRITE);
    ck_assert_int_eq(c->flags, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | mark);
}

static void counts_are(uint64_t remaps, uint64_t back)
{
    uint64_t got[2];
    tz_vm_stack_counts(&got[0], &got[1]);
    ck_assert_uint_eq(got[0], remaps);
    ck_assert_uint_eq(got[1], back);
}

START_TEST(s1_09_a_remap_is_one_mmap_of_the_whole_range)
{
    police("mapstack=1");
    ck_assert(tz_vm_stack_policed());
    size_t n = 16 * tz_vm_page();
    char *p = ready(4 * n);
    struct tz_vm_stats before = stats();
    int first = k.calls;
    errno = 44;
    tz_vm_stack_alloc(p + n, 2 * n);
    ck_assert_int_eq(errno, 44);
    one_fixed_mmap(first, p + n, 2 * n, MAP_STACK);
    counts_are(1, 0);
    memset(p + n, 0x77, 2 * n);
    first = k.calls;
    tz_vm_stack_free(p + n, 2 * n);
    one_fixed_mmap(first, p + n, 2 * n, 0);
    counts_are(1, 1);
    struct tz_vm_stats after = stats();
    for (int i = 0; i < TZ_VM_USES; i++)
        ck_assert_uint_eq(after.ready[i], before.ready[i]);
}
END_TEST

START_TEST(s1_08_a_remap_leaves_zeroes_and_its_neighbours)
{
    police("mapstack=1");
    size_t n = 16 * tz_vm_page();
    char *p = ready(3 * n);
    for (int i = 0; i < 2; i++) {
        memset(p + n, 0x77, n);
        if (i == 0)
            tz_vm_stack_alloc(p + n, n);
        else
            tz_vm_stack_free(p + n, n);
        ck_assert(all_zero(p + n, n));
        ck_assert_int_eq(p[n - 1], 0x5a);
        ck_assert_int_eq(p[2 * n], 0x5a);
    }
}
END_TEST

START_TEST(bytes_neither_come_nor_go)
{
    police("mapstack=1");
    size_t n = 16 * tz_vm_page();
    char *p = ready(n);
    tuza_os_counts before = { .size = sizeof before }, after = before;
    tuza_os_counts_read(&before);
    tz_vm_stack_alloc(p, n);
    tz_vm_stack_free(p, n);
    tuza_os_counts_read(&after);
    ck_assert_uint_eq(after.bytes_mapped, before.bytes_mapped);
    ck_assert_uint_eq(after.bytes_unmapped, before.bytes_unmapped);
    ck_assert_uint_eq(after.mmap, before.mmap + 2);
}
END_TEST

START_TEST(stacks_that_go_back_to_the_system_are_not_remapped_first)
{
    police("mapstack=1");
    size_t n = 16 * tz_vm_page();
    char *p = tz_vm_alloc_stacks(n, n);
    ck_assert_ptr_nonnull(p);
    tz_vm_stack_alloc(p, n);
    int first = k.calls;
    k.fail_mmap = 1;
    k.mmap_err = ENOMEM;
    tz_vm_free_stacks(p, n);
    ck_assert_int_eq(calls_from(first, 'm'), 0);
    ck_assert_int_eq(calls_from(first, 'u'), 1);
    ck_assert(!mapped(p));
    counts_are(1, 1);
    ck_assert_uint_eq(stats().ready[TZ_VM_STACK], 0);
}
END_TEST

// --- refusals

static int refusal; // an errno, or 0 for another address

static void refused(void)
{
    police("mapstack=1");
    char *p = ready(16 * tz_vm_page());
    fprintf(stderr, "at %p\n", (void *)p);
    k.fail_mmap = refusal != 0;
    k.mmap_err = refusal;
    k.elsewhere = p + tz_vm_page();
    k.fixed_lies = refusal == 0;
    tz_vm_stack_alloc(p, 8 * tz_vm_page());
}

START_TEST(s1_09_another_answer_ends_the_process)
{
    const int errors[] = { 0, ENOMEM, EINVAL };
    for (size_t i = 0; i < tz_countof(errors); i++) {
        refusal = errors[i];
        struct os_ended e = os_child(refused);
        ck_assert_msg(e.status == 2, "%d: %s", e.status, e.text);
        void *base;
        char text[256];
        ck_assert_int_eq(sscanf(e.text, "at %p", &base), 1);
        snprintf(text, sizeof text,
                 "tuza: fatal: remapping stack memory failed: base %p, size "
                 "%zu, result %p, errno %d (",
                 base, 8 * tz_vm_page(),
                 refusal ? MAP_FAILED
                         : (void *)((char *)base + tz_vm_page()),
                 refusal);
        os_assert_has(e.text, text);
    }
}
END_TEST

static void part_of_a_page(void)
{
    police("mapstack=1");
    tz_vm_stack_alloc(ready(4 * tz_vm_page()), tz_vm_page() + 512);
}

static void within_a_page(void)
{
    police("mapstack=1");
    tz_vm_stack_free(ready(4 * tz_vm_page()) + 512, tz_vm_page());
}

START_TEST(s1_14_what_is_no_whole_pages_ends_the_process)
{
    void (*const bodies[])(void) = { part_of_a_page, within_a_page };
    for (size_t i = 0; i < tz_countof(bodies); i++) {
        struct os_ended e = os_child(bodies[i]);
        ck_assert_int_eq(e.status, 2);
        os_assert_has(e.text, "remapping stack memory: ");
        os_assert_has(e.text, "not whole pages");
    }
}
END_TEST

static void within_a_large_page(void)
{
    page_told = 65536;
    police("mapstack=1");
    static char room[3 * 65536];
    char *p = (char *)tz_align_up((uintptr_t)room, 65536);
    memset(room, 0x5a, sizeof room);
    tz_vm_stack_alloc(p, 65536);
    ck_assert(all_zero(p, 65536));
    tz_vm_stack_free(p, 32768); // a span where pages are smaller
}

START_TEST(s1_14_on_large_pages_as_well)
{
    if (TZ_TSAN)
        return; // pages are as large as they are
    struct os_ended e = os_child(within_a_large_page);
    ck_assert_int_eq(e.status, 2);
    os_assert_has(e.text, "not whole pages of 65536");
}
END_TEST

// --- who asks

static void asked_for(const char *debug, bool wanted)
{
    police(debug);
    ck_assert_int_eq(tz_vm_stack_policed(), wanted);
    size_t n = 16 * tz_vm_page();
    char *p = ready(n);
    int calls = k.calls;
    tz_vm_stack_alloc(p, n);
    tz_vm_stack_free(p, n);
    ck_assert_int_eq(calls_from(calls, 'm'), wanted ? 2 : 0);
    ck_assert_int_eq(p[n - 1], wanted ? 0 : 0x5a);
    counts_are(wanted, wanted);
}

START_TEST(s1_03_nothing_is_remapped_where_nothing_is_policed)
{
    asked_for("", false);
}
END_TEST

START_TEST(zero_means_no)
{
    asked_for("oscalls=libc,mapstack=0", false);
}
END_TEST

START_TEST(one_among_others_means_yes)
{
    asked_for("oscalls=libc,mapstack=1,madvfree=1", true);
}
END_TEST

static void misspelt(void)
{
    setenv("TUZADEBUG", "mapstack=yes", 1);
    tz_env_init();
    _exit(tz_vm_stack_policed());
}

START_TEST(what_is_no_answer_is_told)
{
    struct os_ended e = os_child(misspelt);
    ck_assert_int_eq(e.status, 0);
    ck_assert_str_eq(e.text,
                     "tuza: TUZADEBUG: mapstack: \"yes\" is not 0 or 1\n");
}
END_TEST

// --- the first mapping

static int flags_of_new_stacks(const char *debug)
{
    police(debug);
    size_t n = 16 * tz_vm_page();
    ck_assert_ptr_nonnull(tz_vm_alloc_stacks(n, n));
    return last_mmap()->flags;
}

START_TEST(s1_01_stacks_have_the_systems_own_mark)
{
    ck_assert_int_eq(tz_vmsys_stack_flag(), MAP_STACK);
    ck_assert_int_eq(flags_of_new_stacks("") & (MAP_STACK | MAP_GROWSDOWN),
                     MAP_STACK);
}
END_TEST

START_TEST(where_it_is_policed_the_remap_alone_gives_the_mark)
{
    ck_assert_int_eq(flags_of_new_stacks("mapstack=1") & MAP_STACK, 0);
}
END_TEST

START_TEST(s1_13_a_signal_stack_is_whole_pages_of_stack_memory)
{
    stack_t ss = { .ss_flags = SS_DISABLE };
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    police("");
    ck_assert_int_eq(tz_sig_altstack(), 0);
    ck_assert_int_eq(sigaltstack(NULL, &ss), 0);
    size_t page = tz_vm_page();
    char *lo = ss.ss_sp;
    ck_assert_uint_eq(((uintptr_t)lo | ss.ss_size) % page, 0);
    const struct call *c = &k.log[0];
    while (c->what != 'm' || c->n < ss.ss_size)
        c++;
    ck_assert_int_eq(c->flags, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK);
    ck_assert(all_zero(lo, ss.ss_size)); // nothing that a kernel could zero
    memset(lo, 0x77, ss.ss_size);
    tz_sig_altstack_free(); // did not need what was there
    ck_assert_int_eq(sigaltstack(NULL, &ss), 0);
    ck_assert(ss.ss_flags & SS_DISABLE);
    ck_assert(!mapped(lo));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s1_09_a_remap_is_one_mmap_of_the_whole_range,
        s1_08_a_remap_leaves_zeroes_and_its_neighbours,
        bytes_neither_come_nor_go,
        stacks_that_go_back_to_the_system_are_not_remapped_first,
        s1_09_another_answer_ends_the_process,
        s1_14_what_is_no_whole_pages_ends_the_process,
        s1_14_on_large_pages_as_well,
        s1_03_nothing_is_remapped_where_nothing_is_policed,
        zero_means_no,
        one_among_others_means_yes,
        what_is_no_answer_is_told,
        s1_01_stacks_have_the_systems_own_mark,
        where_it_is_policed_the_remap_alone_gives_the_mark,
        s1_13_a_signal_stack_is_whole_pages_of_stack_memory,
        NULL,
    };
    return os_check("os/mapstack", tests);
}
