#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=900
#
# The whole library on arm64 under qemu-user, which pretends that guard markers
# work, with pages of 4 KiB and of 64 KiB.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
cc=aarch64-linux-gnu-gcc
qemu=qemu-aarch64-static
for tool in $cc $qemu; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: no $tool (Debian: gcc-aarch64-linux-gnu" \
            "libc6-dev-arm64-cross qemu-user-static)"
        exit 77
    fi
done
# qemu 7.2 writes down each page of what is reserved: a TiB takes it 15 seconds.
ulimit -v $((16 << 20))
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

complain() { # WHAT: shows what the program said
    echo "failed: $1"
    head -n 20 "$work/out"
    bad=1
}

build() { # PROGRAM
    $cc -O2 -Iinclude "$work/$1.c" "$work/build/libtuza.a" -pthread -static \
        -o "$work/$1" 2>"$work/out" || complain "$1 does not build"
}

cat >"$work/collect.c" <<'C'
#include <stdio.h>
#include <stdint.h>
#include <tuza.h>
struct node { struct node *next; uint64_t value; };
tuza_fn(work, int, first, tuza_chan(uint64_t), sums)
{
    struct node *list = NULL;
    uint64_t sum = 0;
    for (int i = 0; i < 4000; i++) {
        struct node *n = tuza_new(struct node);
        *n = (struct node){ i % 100 ? list : NULL, (uint64_t)(first + i) };
        list = n;
        if (i % 1000 == 0)
            tuza_gc();
    }
    for (; list; list = list->next)
        sum += list->value;
    tuza_send(sums, sum);
}
TUZA_MAIN
{
    tuza_chan(uint64_t) sums = tuza_chan_make(uint64_t, 0);
    uint64_t sum = 0, one;
    (void)argc, (void)argv;
    for (int i = 0; i < 8; i++)
        tuza_go(work, i, sums);
    for (int i = 0; i < 8; i++) {
        tuza_recv(sums, &one);
        sum += one;
    }
    // The last 100 of each: 3900 to 3999, and 0 to 7 more.
    printf("%s\n", sum == 8 * 394950 + 100 * 28 ? "right" : "wrong");
    return 0;
}
C
cat >"$work/number.c" <<'C'
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <tuza.h>
#include <unistd.h>
TUZA_MAIN
{
    (void)argc, (void)argv;
    long at = tuza_syscall(SYS_mmap, NULL, 65536, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int ok = at > 0 && *(volatile char *)at == 0 &&
             tuza_syscall(SYS_munmap, at, 65536) == 0 &&
             tuza_syscall(SYS_getppid) == getppid() &&
             tuza_syscall(SYS_close, -1) == -EBADF;
    printf("%s\n", ok ? "right" : "wrong");
    return 0;
}
C
cat >"$work/overflow.c" <<'C'
#include <tuza.h>
static int deeper(volatile char *above);
static int (*volatile call_deeper)(volatile char *) = deeper;
static int deeper(volatile char *above)
{
    volatile char here[200];
    here[0] = (char)(above[0] + 1);
    return call_deeper(here) + here[0];
}
TUZA_MAIN
{
    volatile char zero = 0;
    (void)argc, (void)argv;
    return deeper(&zero);
}
C
cmake -S . -B "$work/build" --toolchain "$PWD/cmake/arm64.cmake" \
    -DTUZA_TESTS=OFF -DTUZA_PROGRAMS=OFF >"$work/out" 2>&1 &&
    cmake --build "$work/build" -j 2 --target tuza_static >"$work/out" 2>&1 || {
    tail -n 20 "$work/out"
    exit 1
}
build collect
build number
build overflow

a_call_by_number_is_made_in_line() {
    timeout 200 $qemu "$work/number" >"$work/out" 2>&1
    [ "$(cat "$work/out")" = right ] || complain "calls by number"
}

s3_05_goroutines_collect_on_arm64() { # PAGE_SIZE SETTING
    TUZADEBUG=$2 timeout 200 $qemu -p "$1" "$work/collect" >"$work/out" 2>&1
    [ "$(cat "$work/out")" = right ] || complain "collecting, pages of $1, $2"
}

s1_14_stacks_are_remapped_on_64k_pages() {
    s3_05_goroutines_collect_on_arm64 65536 mapstack=1
}

a_guard_is_one_that_faults() { # PAGE_SIZE
    timeout 200 $qemu -p "$1" "$work/overflow" >"$work/out" 2>&1
    [ $? = 2 ] && grep -q 'stack overflow in goroutine 1' "$work/out" &&
        grep -q 'guarded by mprotect' "$work/out" ||
        complain "overflow, pages of $1"
}

for size in 4096 65536; do
    s3_05_goroutines_collect_on_arm64 $size gctrace=0
    a_guard_is_one_that_faults $size
done
s1_14_stacks_are_remapped_on_64k_pages
a_call_by_number_is_made_in_line
exit $bad
