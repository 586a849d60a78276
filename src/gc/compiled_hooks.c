// SPDX-License-Identifier: BSD-3-Clause
// gc/compiled_hooks.c: what code calls that was compiled with the flags of
// `tuza-cflags --barrier`.
//
// Those are a compiler's flags for AddressSanitizer in kernels, used for what they
// put before each store: a call with its address, and nothing else. No shadow
// memory, no red zones, no library of the sanitizer's. Here the call tests one
// word, and while a collection marks, logs what is about to be overwritten.
//
// Part of libtuza_barrier.a, which is linked into each program and each shared
// library with such code, with hidden names: so a call goes there directly,
// and does not meet the names of a real AddressSanitizer elsewhere.
//
// What the flags leave to be called besides stores does nothing. Loads are
// there for those who leave a flag out.

#include "base/base.h"
#include "tuza/barrier.h"

#define STORE(name, n)                                                         \
    void __asan_store##name(const void *p);                                    \
    void __asan_store##name(const void *p)                                     \
    {                                                                          \
        tuza_barrier(p, n);                                                    \
    }
#define STORES(n) STORE(n, n) STORE(n##_noabort, n)
STORES(1)
STORES(2)
STORES(4)
STORES(8)
STORES(16)

void __asan_storeN(const void *p, size_t n);
void __asan_storeN(const void *p, size_t n)
{
    tuza_barrier(p, n);
}

void __asan_storeN_noabort(const void *p, size_t n);
void __asan_storeN_noabort(const void *p, size_t n)
{
    tuza_barrier(p, n);
}

// What is called for nothing.
#define IDLE(name)                                                             \
    void name(void);                                                           \
    void name(void) {}
#define LOADS(n) IDLE(__asan_load##n) IDLE(__asan_load##n##_noabort)
LOADS(1)
LOADS(2)
LOADS(4)
LOADS(8)
LOADS(16)
LOADS(N)
IDLE(__asan_handle_no_return)
IDLE(__asan_register_globals)
IDLE(__asan_unregister_globals)
IDLE(__asan_before_dynamic_init)
IDLE(__asan_after_dynamic_init)
IDLE(__asan_alloca_poison)
IDLE(__asan_allocas_unpoison)
IDLE(__asan_poison_stack_memory)
IDLE(__asan_unpoison_stack_memory)
