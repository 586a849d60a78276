// SPDX-License-Identifier: BSD-3-Clause
// test/gc/pin_test.c: pins, handles and the user's own roots.

#include <pthread.h>
#include <sys/mman.h>

#include "canary.h"
#include "gc/special.h"

enum { N = 64, SIZE = 48 };

static uintptr_t hidden[N], handle[N];

static void gone(void)
{
    scrub_stacks();
    collect_well();
    need_reclaimed(hidden, N);
}

static NOINLINE void pin_all(int (*fn)(void *), int off)
{
    for (int i = 0; i < N; i++)
        need_eq(fn((char *)~hidden[i] + off), 0);
}

IN_GOROUTINES(a_pin_keeps_until_it_is_taken_off_as_often, 2)
{
    make_canaries(hidden, N, SIZE);
    pin_all(tuza_pin, 0);
    pin_all(tuza_pin, 13);
    pin_all(tuza_unpin, 5);
    collect_well();
    need_all_whole(hidden, N, SIZE);
    pin_all(tuza_unpin, 0);
    need_eq(tuza_unpin((void *)~hidden[0]), -EINVAL);
    gone();
    static int global;
    need_eq(tuza_pin(&global), -EINVAL);
    need_eq(tuza_pin(NULL), -EINVAL);
    need_eq(tuza_unpin(NULL), -EINVAL);
}

static NOINLINE void make_handles(void)
{
    for (int i = 0; i < N; i++) {
        handle[i] = tuza_handle_new((char *)~hidden[i] + i % SIZE);
        need(handle[i]);
    }
}

static NOINLINE void check_handles(void)
{
    for (int i = 0; i < N; i++)
        need(tuza_handle_get(handle[i]) == (char *)~hidden[i] + i % SIZE);
}

IN_GOROUTINES(a_handle_keeps_until_it_is_deleted, 2)
{
    make_canaries(hidden, N, SIZE);
    make_handles();
    for (int k = 0; k < 2; k++) {
        collect_well();
        need_all_whole(hidden, N, SIZE);
        check_handles();
    }
    for (int i = 0; i < N; i++)
        tuza_handle_delete(handle[i]);
    gone();
}

IN_GOROUTINES(handles_are_of_anything_and_all_different, 1)
{
    static int global;
    uintptr_t h[3 * N];
    for (int i = 0; i < 3 * N; i++)
        h[i] = tuza_handle_new(i % 3 ? NULL : &global);
    for (int i = 0; i < 3 * N; i++) {
        need(h[i] && tuza_handle_get(h[i]) == (i % 3 ? NULL : &global));
        for (int k = 0; k < i; k++)
            need(h[i] != h[k]);
    }
    for (int i = 0; i < 3 * N; i++)
        tuza_handle_delete(h[i]);
}

static void *on_a_thread(void *arg)
{
    uintptr_t h = tuza_handle_new(arg);
    for (int i = 0; i < 100; i++) {
        need(tuza_handle_get(h) == arg);
        need_eq(tuza_pin(arg), 0);
        need_eq(tuza_unpin(arg), 0);
    }
    tuza_handle_delete(h);
    return NULL;
}

IN_GOROUTINES(threads_without_goroutines_have_handles_and_pins, 2)
{
    void *p = tuza_alloc(16);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        need_eq(pthread_create(&thread[i], NULL, on_a_thread, p), 0);
    for (int i = 0; i < 20; i++)
        tuza_gc();
    for (int i = 0; i < 4; i++)
        need_eq(pthread_join(thread[i], NULL), 0);
    tuza_keepalive(p);
}

DEATH(a_deleted_handle_is_told, "is no handle, or one that was deleted")
{
    uintptr_t h = tuza_handle_new(NULL);
    tuza_handle_delete(h);
    need(tuza_handle_new(NULL) != h); // the same record
    tuza_handle_get(h);
}

DEATH(an_invented_handle_is_told, "is no handle, or one that was deleted")
{
    tuza_handle_delete(12345);
}

DEATH(freeing_a_pinned_object_is_told, "is pinned")
{
    void *p = tuza_alloc(16);
    tuza_pin(p);
    tuza_free(p);
}

DEATH(freeing_an_object_with_a_handle_is_told, "has a handle")
{
    void *p = tuza_alloc(16);
    tuza_handle_new((char *)p + 3);
    tuza_free(p);
}

static NOINLINE void reveal_in(void *volatile *to)
{
    for (int i = 0; i < N; i++)
        to[i] = (void *)~hidden[i];
}

IN_GOROUTINES(s3_29_named_memory_is_a_root_until_it_is_removed, 2)
{
    make_canaries(hidden, N, SIZE);
    size_t size = 4 << 20; // several jobs
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(p != MAP_FAILED);
    void *volatile *last = (void *volatile *)(void *)(p + size) - N;
    reveal_in(last);
    need_eq(tuza_root_add(p, p + size), 0);
    need_eq(tuza_root_add(p + 1, p + 6), 0); // no word in it
    need_eq(tuza_root_add(p + 1, p), -EINVAL);
    collect_well();
    need_all_whole(hidden, N, SIZE);
    need_eq(tuza_root_remove(p, p + size - 8), -ENOENT);
    need_eq(tuza_root_remove(p, p + size), 0);
    need_eq(tuza_root_remove(p, p + size), -ENOENT);
    need_eq(tuza_root_remove(p + 1, p + 6), 0);
    need_eq(munmap(p, size), 0);
    gone();
}

int main(void)
{
    return api_check("pin",
                     (const TTest *const[]){
                         a_pin_keeps_until_it_is_taken_off_as_often,
                         a_handle_keeps_until_it_is_deleted,
                         handles_are_of_anything_and_all_different,
                         threads_without_goroutines_have_handles_and_pins,
                         a_deleted_handle_is_told,
                         an_invented_handle_is_told,
                         freeing_a_pinned_object_is_told,
                         freeing_an_object_with_a_handle_is_told,
                         s3_29_named_memory_is_a_root_until_it_is_removed,
                         NULL });
}
