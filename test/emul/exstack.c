// SPDX-License-Identifier: BSD-3-Clause
// emul/exstack.c: exstack, memory that was a stack and is none any more, for
// emul-police.
//
//     exstack list | PART [stop]
//
// Has a system call made with the stack pointer in a stack, prints "as a stack:
// ok", and, unless it is to stop there, has the stack freed and one more call
// made with the same stack pointer; "ok" if nobody minds. The parts:
//
//     range   a range of the os room
//     span    a fixed stack, where an object of the heap lies then
//     storm   the stack of one of many goroutines that have ended

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/vm.h"
#include "sched/sched.h"
#include "sp_amd64.h"
#include "stack/stack.h"
#include "stack/stackpool.h"
#include "tuza.h"

static bool stop;

static void as_a_stack(uintptr_t sp)
{
    sp_call(sp);
    printf("as a stack: ok\n");
    fflush(stdout);
    if (stop)
        exit(0);
}

static int range(int argc, char **argv)
{
    (void)argc, (void)argv;
    size_t n = 64 * TZ_KIB;
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    if (!p)
        return 1;
    tz_vm_stack_alloc(p, n);
    as_a_stack((uintptr_t)p + n / 2);
    tz_vm_stack_free(p, n);
    sp_call((uintptr_t)p + n / 2);
    return 0;
}

static uintptr_t fixed;

static void get_fixed(void *arg)
{
    (void)arg;
    if (tz_stackpool_get(NULL, TZ_STACK_ORDERS - 1, &fixed) != 0)
        exit(1);
}

static void put_fixed(void *arg)
{
    (void)arg;
    tz_stackpool_put(NULL, TZ_STACK_ORDERS - 1, fixed);
}

static int span(int argc, char **argv)
{
    enum { TRIES = 2000 };
    (void)argc, (void)argv;
    tz_system_stack(get_fixed, NULL);
    uintptr_t sp = fixed + 4096;
    as_a_stack(sp);
    tz_system_stack(put_fixed, NULL);
    for (int i = 0; i < TRIES; i++) {
        char *object = tuza_alloc_bytes(8192);
        if (!object)
            return 1;
        if (sp - (uintptr_t)object < 8192) {
            memset(object, 1, 8192);
            sp_call(sp);
            return 0;
        }
    }
    return 1;
}

enum { MANY = 3000 };
static uintptr_t local_of[MANY];
static tuza_waitgroup running;

static void note_local(void *arg)
{
    char local[64];
    local_of[(uintptr_t)arg] = (uintptr_t)local;
    for (int i = 0; i < 3; i++)
        tuza_yield(); // many run at the same time
    tuza_waitgroup_done(&running);
}

static int storm(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&running, MANY);
    for (uintptr_t i = 0; i < MANY; i++)
        if (tuza_spawn(note_local, (void *)i) != 0)
            return 1;
    tuza_waitgroup_wait(&running);
    as_a_stack(local_of[0]); // pooled, or still a stack
    for (int round = 0; round < 500; round++) {
        tuza_gc();
        tuza_release_memory();
        for (int i = 0; i < MANY; i++) {
            struct tz_stack st;
            void *owner;
            if (tz_stack_find(local_of[i], &st, &owner) == TZ_STACK_NONE) {
                sp_call(local_of[i]);
                return 0;
            }
        }
        tuza_sleep(TUZA_MS(20));
    }
    return 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*fn)(int, char **);
    } parts[] = { { "range", range }, { "span", span }, { "storm", storm } };
    const char *wanted = argc > 1 ? argv[1] : "list";
    stop = argc > 2 && !strcmp(argv[2], "stop");
    for (size_t i = 0; i < tz_countof(parts); i++) {
        if (!strcmp(wanted, "list"))
            puts(parts[i].name);
        else if (!strcmp(wanted, parts[i].name)) {
            int err = tuza_run(parts[i].fn, 0, NULL, NULL);
            if (err == 0)
                puts("ok");
            return err;
        }
    }
    return strcmp(wanted, "list") != 0;
}
