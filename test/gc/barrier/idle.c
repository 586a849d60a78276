// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier/idle.c: a program compiled with the flags of `tuza-cflags
// --barrier`, with hooks of its own in place of libtuza_barrier.a's: how many
// of them are called while nothing marks, and while something does.

#include <stdint.h>
#include <stdio.h>

#define OWN __attribute__((no_sanitize_address))
#define HOOK(size)                                                             \
    void __asan_store##size##_noabort(void *p);                                \
    OWN void __asan_store##size##_noabort(void *p)                             \
    {                                                                          \
        (void)p;                                                               \
        calls++;                                                               \
    }

volatile uint32_t tuza__barrier __attribute__((used)); // also by what is no C
static volatile int calls; // gcc expects hooks to be elsewhere

HOOK(1)
HOOK(2)
HOOK(4)
HOOK(8)
HOOK(16)

void __asan_storeN_noabort(void *p, size_t n);
OWN void __asan_storeN_noabort(void *p, size_t n)
{
    (void)p, (void)n;
    calls++;
}

void __asan_handle_no_return(void);
void __asan_handle_no_return(void) {}

static struct all {
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    struct {
        uint64_t low, high;
    } sixteen;
    struct {
        char byte[24];
    } more;
} kept;

struct all *volatile all = &kept;

static __attribute__((noinline)) void store(int i)
{
    struct all *a = all;
    a->one = (uint8_t)(i + 1);
    a->two = (uint16_t)(i + 2);
    a->four = (uint32_t)(i + 4);
    a->eight = (uint64_t)i + 8;
    a->sixteen = (__typeof__(a->sixteen)){ (uint64_t)i + 16, (uint64_t)i };
    a->more = (__typeof__(a->more)){ { (char)(i + 24) } };
}

enum { STORES = 6 };

// A call of the program's own, in assembler's text, is left as it was.
static int by_hand;
void call_by_hand(void);
__attribute__((used)) OWN void call_by_hand(void) { by_hand++; }

static void call(void)
{
#ifdef __x86_64__
    __asm__ volatile("call call_by_hand; nop"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
                       "memory", "cc");
#else
    call_by_hand();
#endif
}

OWN int main(void)
{
    int called[2], sum = 0;
    for (uint32_t marks = 0; marks < 2; marks++) {
        tuza__barrier = -marks;
        calls = 0;
        store((int)marks);
        call();
        tuza__barrier = 0;
        called[marks] = calls;
        sum += kept.one + kept.two + kept.four + (int)kept.eight +
               (int)kept.sixteen.low + kept.more.byte[0];
    }
    printf("stored %d, %d by hand, called %s while nothing marks, and %s while it "
           "does\n",
           sum, by_hand, called[0] ? "some" : "none",
           called[1] >= STORES ? "all" : "not all");
    return 0;
}
