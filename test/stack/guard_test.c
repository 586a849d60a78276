// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/stack/guard_test.c: overflowing stacks, with each kind of guard, and
// slabs on a system that refuses mappings.

#include "stack_check.h"

static int kind;        // enum tz_stack_guard
static size_t the_size; // of the stack
static uintptr_t below; // how far below lo to write
static struct tz_stack st;

static void on_fault(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    struct tz_stack found;
    void *who = NULL;
    uintptr_t at = (uintptr_t)info->si_addr;
    _exit(at == st.lo - below &&
                  tz_stack_find(at, &found, &who) == TZ_STACK_GUARD &&
                  who == &st && found.lo == st.lo
              ? 7
              : 8);
}

static void touch_body(void)
{
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &sa, NULL);
    tz_stack_init(0, kind);
    struct tz_stack lower = stack_get(NULL, the_size, NULL);
    st = stack_get(NULL, the_size, &st);
    *(volatile char *)st.lo = 1; // in bounds
    *(volatile char *)(lower.hi - 1) = 1;
    *(volatile char *)(st.lo - below) = 1;
}

START_TEST(each_byte_of_the_guard_zone_faults)
{
    static const size_t sizes[] = { 16 * TZ_KIB, 64 * TZ_KIB, 256 * TZ_KIB,
                                    TZ_MIB };
    for (kind = TZ_GUARD_MARKER; kind <= TZ_GUARD_PROTECT; kind++) {
        for (size_t i = 0; i < tz_countof(sizes); i++) {
            the_size = sizes[i];
            size_t zone = tz_min(the_size / 4, 64 * TZ_KIB);
            const size_t at[] = { 1, 4095, 4096, zone / 2, zone - 1, zone };
            for (size_t k = 0; k < tz_countof(at); k++) {
                below = at[k];
                ck_assert_int_eq(os_child(touch_body).status, 7);
            }
        }
    }
}
END_TEST

static void below_zone_body(void)
{
    tz_stack_init(0, kind);
    struct tz_stack lower = stack_get(NULL, 0, NULL);
    st = stack_get(NULL, 0, &st);
    struct tz_slab *s = slab_at(st.lo);
    *(volatile char *)(st.lo - s->guard_size - 1) = 1; // the lower one's end
    *(volatile char *)(st.lo + tz_slab_stride(s) - s->guard_size - 1) = 1;
    *(volatile char *)lower.lo = 1;
}

START_TEST(a_guard_touches_no_neighbour)
{
    for (kind = TZ_GUARD_MARKER; kind <= TZ_GUARD_CANARY; kind++)
        ck_assert_int_eq(os_child(below_zone_body).status, 0);
}
END_TEST

START_TEST(a_reused_stack_is_still_guarded)
{
    for (int i = 0; i < 3; i++) {
        st = stack_get(NULL, 0, NULL);
        memset((void *)st.lo, 1, st.hi - st.lo);
        tz_stack_put(NULL, &st);
    }
    kind = 0, the_size = 0, below = 8;
    ck_assert_int_eq(os_child(touch_body).status, 7);
}
END_TEST

static void canary_body(void)
{
    tz_stack_init(0, TZ_GUARD_CANARY);
    st = stack_get(NULL, 64 * TZ_KIB, NULL);
    tz_stack_put(NULL, &st); // untouched: fine
    st = stack_get(NULL, 64 * TZ_KIB, NULL);
    memset((void *)(st.lo - 100), 1, 200);
    tz_stack_put(NULL, &st);
}

START_TEST(a_canary_tells_of_an_overflow_when_the_stack_comes_back)
{
    struct os_ended e = os_child(canary_body);
    ck_assert_int_eq(e.status, 2);
    os_assert_has(e.text, "tuza: fatal: a goroutine has overflowed its stack");
    os_assert_has(e.text, "the canary at its low end is gone");
}
END_TEST

START_TEST(refused_markers_become_mprotect)
{
    sys_install();
    sys.no_madvise = true;
    tz_stack_init(0, 0);
    ck_assert_str_eq(tz_stack_guard_name(), "mprotect");
    st = stack_get(NULL, 0, NULL);
    ck_assert_int_eq(slab_at(st.lo)->guard[0], TZ_GUARD_PROTECT);
}
END_TEST

START_TEST(a_single_refused_marker_becomes_mprotect_and_that_a_canary)
{
    sys_install();
    tz_stack_init(0, 0);
    if (!tz_vm_guard_works())
        return; // the test above is about this system
    ck_assert_str_eq(tz_stack_guard_name(), "marker");
    stack_get(NULL, 0, NULL);
    sys.no_madvise = true;
    stack_get(NULL, 0, NULL);
    sys.no_protect = true;
    st = stack_get(NULL, 0, NULL);
    const struct tz_slab *s = slab_at(st.lo);
    ck_assert_int_eq(s->guard[0], TZ_GUARD_MARKER);
    ck_assert_int_eq(s->guard[1], TZ_GUARD_PROTECT);
    ck_assert_int_eq(s->guard[2], TZ_GUARD_CANARY);
}
END_TEST

START_TEST(mprotect_guards_take_half_of_the_mappings)
{
    enum { MORE = 100 };
    sys_install();
    size_t budget = tz_vm_mappings_max() / 4; // two mappings each
    if (budget > 20000)
        return; // a system that allows that many has no such limit
    tz_stack_init(16 * TZ_KIB, TZ_GUARD_PROTECT);
    for (size_t i = 0; i < budget + MORE; i++)
        st = stack_get(NULL, 0, NULL);
    struct tz_stack_stats s = stack_stats();
    ck_assert_uint_eq(s.guards[TZ_GUARD_PROTECT], budget);
    ck_assert_uint_eq(s.guards[TZ_GUARD_CANARY], MORE);
    ck_assert_int_eq(s.why, TZ_GUARD_BUDGET);
    ck_assert_int_eq(slab_at(st.lo)->guard[tz_slab_index(slab_at(st.lo),
                                                         st.lo)],
                     TZ_GUARD_CANARY);
}
END_TEST

START_TEST(guards_have_names)
{
    static const char *const name[] = { "marker", "mprotect", "canary" };
    for (int i = TZ_GUARD_PROTECT; i <= TZ_GUARD_CANARY; i++) {
        tz_stack_init(0, i);
        ck_assert_str_eq(tz_stack_guard_name(), name[i - 1]);
    }
}
END_TEST

START_TEST(slabs_shrink_when_large_mappings_are_refused)
{
    sys_install();
    tz_stack_init(0, 0);
    sys.mmap_max = 5 * TZ_MIB; // a slab, and room to align it
    st = stack_get(NULL, 0, NULL);
    const struct tz_slab *s = slab_at(st.lo);
    ck_assert_uint_le(s->count * tz_slab_stride(s), 5 * TZ_MIB);
    ck_assert_uint_ge(s->count * tz_slab_stride(s), 2 * TZ_MIB);
    ck_assert_uint_eq(stack_sys(), s->count * tz_slab_stride(s));
    struct tz_stack more[100];
    for (int i = 0; i < 100; i++) // several small slabs
        more[i] = stack_get(NULL, 0, NULL);
    for (int i = 0; i < 100; i++)
        tz_stack_put(NULL, &more[i]);
    ck_assert_uint_eq(stack_inuse(), tz_slab_stride(s));
    struct tz_stack large;
    ck_assert_int_eq(tz_stack_get(NULL, 64 * TZ_MIB, NULL, &large), -ENOMEM);
    sys.mmap_max = 0;
    stack_get(NULL, 64 * TZ_MIB, NULL);
}
END_TEST

START_TEST(a_slab_smaller_than_a_table_entry_ends_where_it_ends)
{
    sys_install();
    tz_stack_init(0, 0);
    char *room = mmap(NULL, 4 * TZ_MIB, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(room, 4 * TZ_MIB);
    sys.mmap_max = 512 * TZ_KIB;
    sys.place = tz_align_up((uintptr_t)room, TZ_MIB);
    st = stack_get(NULL, 16 * TZ_KIB, NULL);
    const struct tz_slab *s = slab_at(st.lo);
    ck_assert_uint_eq(s->count, 32);
    struct tz_stack found;
    void *who;
    uintptr_t end = s->base + 512 * TZ_KIB;
    ck_assert_int_eq(tz_stack_find(end - 1, &found, &who), TZ_STACK_IN);
    ck_assert_int_eq(tz_stack_find(end, &found, &who), TZ_STACK_NONE);
}
END_TEST

START_TEST(refused_memory_is_enomem_and_counts_nothing)
{
    sys_install();
    tz_stack_init(0, 0);
    struct tz_stackcache *c = tz_stackcache_make();
    sys.mmap_max = 1;
    for (int i = 0; i < 10; i++) {
        struct tz_stack none = { 1, 2 };
        ck_assert_int_eq(tz_stack_get(i % 2 ? c : NULL, 0, &c, &none),
                         -ENOMEM);
        ck_assert_uint_eq(none.lo, 1);
        ck_assert_uint_eq(stack_inuse() + stack_sys(), 0);
    }
    sys.mmap_max = 0;
    st = stack_get(c, 0, &c);
    tz_stack_put(c, &st);
    ck_assert_uint_eq(stack_inuse(), 0);
}
END_TEST

// Symptom: when memory for the second half of a slab's table was refused, the
// mapping was given back, but its first half was still taken for stacks.
START_TEST(a_slab_that_is_given_up_leaves_no_trace_in_the_table)
{
    enum { LEAF_BYTES = 8192 * 8 };
    sys_install();
    tz_stack_init(0, TZ_GUARD_CANARY);
    // A multiple of 8 GiB, with free addresses around it.
    char *room = mmap(NULL, 24 * TZ_GIB, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(room, MAP_FAILED);
    munmap(room, 24 * TZ_GIB);
    uintptr_t edge = tz_align_up((uintptr_t)room + 1, 8 * TZ_GIB);
    if (edge - (uintptr_t)room < TZ_GIB)
        edge += 8 * TZ_GIB;
    struct tz_stack found, next;
    void *who;
    sys.place = edge - 128 * TZ_MIB; // below: makes the lower table
    for (int i = 0; i < 64; i++)
        st = stack_get(NULL, TZ_MIB, NULL);
    ck_assert_uint_lt(st.hi, edge);
    ck_assert_uint_gt(st.hi, edge - 128 * TZ_MIB);
    uintptr_t across = edge - 32 * TZ_MIB;
    int64_t before = sys.balance;
    sys.refuse = LEAF_BYTES;
    sys.place = across;
    ck_assert_int_eq(tz_stack_get(NULL, TZ_MIB, NULL, &next), -ENOMEM);
    ck_assert_int_eq(tz_stack_find(across, &found, &who), TZ_STACK_NONE);
    ck_assert_int_eq(tz_stack_find(across + 31 * TZ_MIB, &found, &who),
                     TZ_STACK_NONE);
    ck_assert_int_le(sys.balance - before, TZ_PERSIST_CHUNK);
    sys.refuse = 0;
    sys.place = across;
    next = stack_get(NULL, TZ_MIB, &next);
    ck_assert_int_eq(tz_stack_find(next.lo, &found, &who), TZ_STACK_IN);
}
END_TEST

int main(void)
{
    return os_check(
        "stack/guard",
        (const TTest *const[]){
            each_byte_of_the_guard_zone_faults, a_guard_touches_no_neighbour,
            a_reused_stack_is_still_guarded,
            a_canary_tells_of_an_overflow_when_the_stack_comes_back,
            refused_markers_become_mprotect,
            a_single_refused_marker_becomes_mprotect_and_that_a_canary,
            mprotect_guards_take_half_of_the_mappings,
            guards_have_names, slabs_shrink_when_large_mappings_are_refused,
            a_slab_smaller_than_a_table_entry_ends_where_it_ends,
            refused_memory_is_enomem_and_counts_nothing,
            a_slab_that_is_given_up_leaves_no_trace_in_the_table, NULL });
}
