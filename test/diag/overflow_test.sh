#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# A program that is compiled and linked as pkg-config says, and overflows its
# stacks in every way: by calls, in libc, by large frames and alloca, in signal
# handlers, one byte beyond; on each class of stacks and with each guard. It ends
# within seconds, with status 2 and tuza's message, and says where.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
[ "$(uname -m)" = x86_64 ] || { echo "not amd64"; exit 77; }
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 ran=0

cmake --install "$build" --prefix "$work/inst" >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
pc=$(find "$work/inst" -name tuza.pc)
export PKG_CONFIG_PATH=${pc%/*} LD_LIBRARY_PATH=${pc%/pkgconfig/tuza.pc}
read -ra flags < <(pkg-config --cflags --libs tuza)

cat >"$work/overflow.c" <<'C'
#define _GNU_SOURCE
#include <alloca.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tuza.h>

#define NOINLINE __attribute__((noinline))
#define NOTAIL __asm__ volatile("")
#define KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")

static size_t left(void)
{
    void *lo, *hi;
    tuza_stack_bounds(&lo, &hi);
    return (size_t)((char *)__builtin_frame_address(0) - (char *)lo);
}

static NOINLINE int deeper(volatile char *above)
{
    volatile char here[200];
    here[0] = (char)(above[0] + 1);
    int r = deeper(here) + here[0];
    NOTAIL;
    return r;
}
static void body_recursion(void)
{
    volatile char zero = 0;
    deeper(&zero);
    NOTAIL;
}

static NOINLINE int print_deeper(int depth)
{
    char out[512];
    int n = snprintf(out, sizeof out, "%.300f %d %s", 1e300, depth, "text");
    n += print_deeper(depth + 1);
    NOTAIL;
    return n + out[5];
}
static void body_printf(void)
{
    print_deeper(0);
    NOTAIL;
}

// Goes down until less than `room` is left, then calls fn.
static NOINLINE void down_to(size_t room, void (*fn)(void))
{
    volatile char here[64];
    here[0] = 1;
    if (left() < room)
        fn();
    else
        down_to(room, fn);
    NOTAIL;
}

static NOINLINE void frame_64k(void)
{
    char frame[64 * 1024];
    frame[0] = 1;
    KEEP(frame);
}
static NOINLINE void frame_200k(void)
{
    char frame[200 * 1024];
    frame[0] = 1;
    KEEP(frame);
}
static void body_frame64k(void)
{
    down_to(64 * 1024, frame_64k);
    NOTAIL;
}
static void body_frame200k(void)
{
    down_to(200 * 1024, frame_200k);
    NOTAIL;
}

static NOINLINE void take(size_t n)
{
    char *p = alloca(n);
    p[0] = 1;
    KEEP(p);
}
static void body_alloca(void)
{
    for (size_t n = 64;; n += n / 2)
        take(n);
}
static void body_byte(void) // one more than there is
{
    void *lo, *hi;
    tuza_stack_bounds(&lo, &hi);
    *(volatile char *)lo = 1;
    ((volatile char *)lo)[-1] = 1;
}
static void body_fits(void)
{
    for (size_t n = 64; n + 3000 < left(); n += n / 4)
        take(n);
    take(left() - 3000);
    exit(0);
}

static void on_signal(int sig)
{
    volatile char zero = 0;
    (void)sig;
    deeper(&zero);
}
static NOINLINE void send(void)
{
    raise(SIGUSR1);
    NOTAIL;
}
static void handle(int flags)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = on_signal;
    sa.sa_flags = flags;
    sigaction(SIGUSR1, &sa, NULL);
    raise(0); // what links it takes some KiB of stack
}
static void body_handler(void)
{
    handle(0);
    send();
    NOTAIL;
}
static void body_frameless(void) // no room for the kernel's frame
{
    handle(0);
    down_to(1800, send);
    NOTAIL;
}
static void body_altstack(void)
{
    handle(SA_ONSTACK);
    send();
}

static void body_stray(void)
{
    char *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    __asm__ volatile("movq %0, %%rsp\n push %%rax" : : "r"(p + (1 << 19)));
}

static void *others;
static void wait_here(void *arg)
{
    void *hi;
    (void)arg;
    tuza_stack_bounds(&others, &hi);
    tuza_sleep(TUZA_MS(100000));
}
static void body_pointer(void)
{
    tuza_spawn(wait_here, NULL);
    while (!others)
        tuza_yield();
    ((volatile char *)others)[-8] = 1;
}
static void body_below(void) // a bad index rather than depth
{
    void *lo, *hi;
    tuza_stack_bounds(&lo, &hi);
    ((volatile char *)lo)[-2000] = 1;
}

static void scribble(void)
{
    void *lo, *hi;
    tuza_stack_bounds(&lo, &hi);
    memset(lo, 1, 64);
}
static void body_canarypark(void)
{
    scribble();
    tuza_yield();
    exit(3);
}
static void body_canaryexit(void) { scribble(); }
static void big(void *arg)
{
    (void)arg;
    scribble();
    tuza_yield();
    exit(3);
}
static void body_canarybig(void) { tuza_call_big(big, NULL, 9 << 20); }

static const struct {
    const char *name;
    void (*fn)(void);
} mode[] = {
#define MODE(m) { #m, body_##m }
    MODE(recursion), MODE(printf), MODE(frame64k), MODE(frame200k),
    MODE(alloca), MODE(byte), MODE(fits), MODE(handler), MODE(frameless),
    MODE(altstack), MODE(stray), MODE(pointer), MODE(below),
    MODE(canarypark), MODE(canaryexit), MODE(canarybig)
};

static void victim(void *arg)
{
    mode[*(size_t *)arg].fn();
    NOTAIL;
}

TUZA_MAIN
{
    for (size_t i = 0; argc == 2 && i < sizeof mode / sizeof *mode; i++) {
        if (strcmp(argv[1], mode[i].name) == 0) {
            tuza_spawn(victim, &i);
            tuza_sleep(TUZA_MS(1000));
            return 4;
        }
    }
    return 5;
}
C

# What a run has to print, after a status. Lines of $work/out are told if not.
expect() { # STATUS TEXT... -- COMMAND...
    local status=$1 texts=() text got
    shift
    while [ "$1" != -- ]; do
        texts+=("$1")
        shift
    done
    shift
    ran=$((ran + 1))
    timeout -s KILL 20 "$@" >"$work/out" 2>&1 </dev/null
    got=$?
    for text in "${texts[@]}"; do
        grep -q -e "$text" "$work/out" || got="$got without \"$text\""
    done
    [ "$got" = "$status" ] && return
    echo "FAIL $TUZASTACK $TUZASTACKGUARD $*: status $got"
    head -n 12 "$work/out"
    failed=$((failed + 1))
}

overflow='^tuza: fatal: stack overflow in goroutine [1-9]'
compilers=()
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    for opt in -O0 -O2; do
        $cc -w $opt "$work/overflow.c" "${flags[@]}" -o "$work/$cc$opt" ||
            exit 1
        compilers+=("$work/$cc$opt")
    done
done

export TUZASTACK TUZASTACKGUARD TUZAMAXPROCS=1

each_overflow_is_told_on_each_class_of_stacks() {
    local prog mode kind=("${compilers[@]}")
    for TUZASTACK in 16K 64K 256K 1M 8M; do
        for TUZASTACKGUARD in marker mprotect; do
            # All programs on the default class, one of them on the others.
            [ $TUZASTACK = 256K ] && kind=("${compilers[@]}") ||
                kind=("${compilers[@]:1:1}")
            local modes="recursion frame200k byte"
            [ $TUZASTACKGUARD = marker ] &&
                modes="$modes printf frame64k alloca handler"
            for prog in "${kind[@]}"; do
                for mode in $modes; do
                    expect 2 "$overflow" "guarded by $TUZASTACKGUARD, zone" \
                        '^goroutine [0-9]* \[running\]' -- "$prog" $mode
                done
                expect 0 -- "$prog" fits
            done
        done
    done
}

the_report_says_where() {
    TUZASTACK=64K TUZASTACKGUARD=marker
    for prog in "${compilers[@]}"; do
        expect 2 '^main.deeper[a-z.0-9]* ([0-9]* times)(...)$' \
            '^[a-z]*[.]body_recursion(' '^[a-z]*[.]victim(' '^[a-z]*[.]tz_ctx_start(' \
            -- "$prog" recursion
        expect 2 '^[a-z]*[.].*printf' '^main.print_deeper[a-z.0-9]* ([0-9]* times)(' \
            '^[a-z]*[.]body_printf(' -- "$prog" printf
        expect 2 '^[a-z]*[.]frame_200k(' '^[a-z]*[.]down_to(' -- "$prog" frame200k
        expect 2 '^[a-z]*[.]on_signal(' '^[a-z]*[.].*raise\|^[a-z]*[.].*kill' '^[a-z]*[.]send(' \
            '^[a-z]*[.]body_handler(' -- "$prog" handler
        expect 2 'larger stacks: TUZASTACK' 'class 64 KiB' \
            -- "$prog" recursion
    done
}

signals_have_their_own_words() {
    TUZASTACK=64K TUZASTACKGUARD=marker
    for prog in "${compilers[@]}"; do
        expect 2 "$overflow" "too little is left for a signal's frame" \
            '^[a-z]*[.]down_to(' -- "$prog" frameless
        expect 2 '^tuza: fatal: the signal stack of a thread has overflowed' \
            -- "$prog" altstack
    done
}

what_only_looks_like_one_is_told_apart() {
    TUZASTACK=64K TUZASTACKGUARD=marker
    for prog in "${compilers[@]}"; do
        expect 2 "$overflow" 'the stack pointer is outside of it' \
            -- "$prog" stray
        expect 2 '^tuza: fatal: bad pointer: goroutine [1-9]' \
            'in the guard zone of the stack .* of goroutine [1-9]' \
            '^[a-z]*[.]body_pointer(' -- "$prog" pointer
        expect 2 'the stack pointer is well above the address' \
            '^[a-z]*[.]body_below(' -- "$prog" below
    done
}

a_canary_is_looked_at_when_the_goroutine_leaves() {
    local prog=${compilers[1]} gone='the canary at its low end is gone'
    for TUZASTACK in 16K 64K 256K; do
        TUZASTACKGUARD=off
        expect 2 '^tuza: fatal: goroutine [1-9]' "$gone" 'guard zone: canary' \
            '^[a-z]*[.]body_canarypark(' -- "$prog" canarypark
        expect 2 '^tuza: fatal: goroutine [1-9]' "$gone" -- "$prog" canaryexit
        expect 2 '^tuza: fatal: goroutine [1-9]' "$gone" '^[a-z]*[.]big(' \
            -- "$prog" canarybig
        TUZASTACKGUARD=marker
        expect 3 -- "$prog" canarypark
        expect 4 -- "$prog" canaryexit
    done
}

each_overflow_is_told_on_each_class_of_stacks
the_report_says_where
signals_have_their_own_words
what_only_looks_like_one_is_told_apart
a_canary_is_looked_at_when_the_goroutine_leaves
echo "overflow: $ran runs, $failed failed"
[ $failed = 0 ]
