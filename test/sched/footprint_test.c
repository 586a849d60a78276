// SPDX-License-Identifier: BSD-3-Clause
// test: release-only
// test/sched/footprint_test.c: the memory of a parked goroutine.

#include <sys/mman.h>
#include <unistd.h>

#include "sched/proc.h"
#include "support/goroutines.h"

enum { WAITERS = 512, MANY = 20000, FRAME = 600 };
static tuza_chan(char) gate;
static tuza_waitgroup group;

static void wait_deep(void *arg)
{
    volatile unsigned char frame[FRAME];
    for (int i = 0; i < FRAME; i++)
        frame[i] = (unsigned char)((uintptr_t)arg + (uintptr_t)i);
    tuza_recv(gate, NULL);
    need_eq(frame[0], (unsigned char)(uintptr_t)arg);
    tuza_waitgroup_done(&group);
}

// Pages at the top of g's stack that are in memory.
static int pages_in_memory(const struct tz_g *g)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char in[8] = { 0 };
    uintptr_t top = tz_align_up(g->stack.hi, page);
    need_eq(mincore((void *)(top - 8 * page), 8 * page, in), 0);
    int n = 0;
    for (int i = 0; i < 8; i++)
        n += in[i] & 1;
    return n;
}

// With frames of 600 bytes, whatever the stack's colour.
IN_GOROUTINES(a_parked_goroutine_has_one_page_of_stack, 1)
{
    gate = tuza_chan_make(char, 0);
    tuza_waitgroup_add(&group, WAITERS);
    for (uintptr_t i = 0; i < WAITERS; i++)
        tuza_spawn(wait_deep, (void *)i);
    until_waiting(WAITERS);
    int more = 0;
    for (size_t i = 0; i < tz_allg_count(); i++) {
        const struct tz_g *g = tz_allg_get(i);
        if (g->id > 1 && tz_load_rlx(&g->status) == TZ_G_WAITING)
            more += pages_in_memory(g) != 1;
    }
    need(more <= 1); // the first may have bound a name of libc's
    tuza_close(gate);
    tuza_waitgroup_wait(&group);
}

static bool has_a_stack(uintptr_t lo, uintptr_t hi)
{
    for (size_t i = 0; i < tz_allg_count(); i++) {
        const struct tz_g *g = tz_allg_get(i);
        if (g->stack.lo >= lo && g->stack.lo < hi)
            return true;
    }
    return false;
}

// Mappings, as the kernel keeps them, in which goroutines have stacks.
static int mappings_of_stacks(void)
{
    int n = 0;
    char line[512];
    unsigned long lo, hi;
    FILE *f = fopen("/proc/self/maps", "r");
    need(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx", &lo, &hi) == 2)
            n += has_a_stack(lo, hi);
    fclose(f);
    return n;
}

static void just_wait(void *arg)
{
    (void)arg;
    tuza_recv(gate, NULL);
    tuza_waitgroup_done(&group);
}

// The kernel has a limit of 65530. Other memory grows between theirs.
IN_GOROUTINES(the_stacks_of_many_are_few_mappings, 2)
{
    gate = tuza_chan_make(char, 0);
    tuza_waitgroup_add(&group, MANY);
    for (int i = 0; i < MANY; i++) {
        tuza_spawn(just_wait, NULL);
        if (i % 100 == 0)
            tuza_yield();
    }
    until_waiting(MANY);
    need(mappings_of_stacks() <= 2); // main's may be apart
    tuza_close(gate);
    tuza_waitgroup_wait(&group);
}

// A million of them: 4096 for the page, 512 for page tables, and this.
IN_GOROUTINES(a_goroutine_s_record_is_small, 1)
{
    need(sizeof(struct tz_g) <= 224);
    const char *first = (const char *)tz_allg_get(0);
    need_eq((const char *)tz_allg_get(1) - first, sizeof(struct tz_g));
    need_eq((const char *)tz_allg_get(63) - first, 63 * sizeof(struct tz_g));
}

int main(void)
{
    return api_check("footprint",
                     (const TTest *const[]){
                         a_parked_goroutine_has_one_page_of_stack,
                         the_stacks_of_many_are_few_mappings,
                         a_goroutine_s_record_is_small, NULL });
}
