#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=600
#
# MemorySanitizer is told what is zero and what is not to be read: fresh memory
# by any route may be read, memory that was given up and not taken again may
# not. Only clang has that sanitizer.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
clang=$(command -v clang) || { echo "no clang here"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cpu=$(sed -n 's/.*-DTZ_CPU=\([a-z0-9]*\).*/\1/p' \
    "${BUILD_DIR:-build/release}/build.ninja" 2>/dev/null | head -1)
cc=("$clang" -std=gnu11 -O1 -g -fsanitize=memory -pthread -D_GNU_SOURCE
    -DTZ_CPU="${cpu:-amd64}" "-U${cpu:-amd64}" -Isrc -Iinclude)
if ! echo 'int main(void) { return 0; }' |
    "${cc[@]}" -x c -o "$work/try" - 2>"$work/err" || ! "$work/try"; then
    echo "no MemorySanitizer here: $(head -n 1 "$work/err")"
    exit 77
fi

cat >"$work/main.c" <<'C'
#include <stdlib.h>
#include <string.h>
#include "base/tls.h"
#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "os/vm.h"
#include "os/vm_fixed.h"

static volatile int answer;

/* A decision on each byte: what MemorySanitizer watches. */
static void read_all(const char *p, size_t n, int wanted)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != wanted)
            answer = 1;
}

static void fresh(void)
{
    size_t n = 8 * tz_vm_page();
    char *a = tz_vm_alloc(n, TZ_VM_META);
    char *r = tz_vm_reserve(NULL, n, 0, TZ_VM_HEAP);
    char *s = tz_vm_alloc_stacks(n, n);
    if (!a || !r || !s || tz_vm_map(r, n, TZ_VM_HEAP))
        exit(3);
    read_all(a, n, 0);
    read_all(r, n, 0);
    read_all(s, n, 0);
    tz_vm_free(r, n, TZ_VM_HEAP, TZ_VM_READY);
    if (tz_vm_map_at(r, n, TZ_VM_HEAP) == 0)
        read_all(r, n, 0);
    memset(a, 1, n);
    tz_vm_unused(a, n, TZ_VM_META);
    tz_vm_used(a, n, TZ_VM_META);
    read_all(a, n, 0);
}

/* Of the heap: small objects and a large one. */
static void object(void)
{
    if (tz_heap_init())
        exit(3);
    tz_central_init();
    tz_tls_get()->cache = tz_mcache_make();
    for (size_t n = 16; n <= 1 << 20; n *= 4) {
        char *p = tz_malloc(n, false);
        if (!p)
            exit(3);
        read_all(p, n, 0);
    }
}

static void given_up(void)
{
    size_t n = 8 * tz_vm_page();
    char *a = tz_vm_alloc(n, TZ_VM_META);
    memset(a, 1, n);
    read_all(a, n, 1);
    tz_vm_unused(a, n, TZ_VM_META);
    read_all(a, n, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "fresh"))
        fresh();
    else if (argc > 1 && !strcmp(argv[1], "object"))
        object();
    else
        given_up();
    return answer;
}
C
sources=()
for file in src/base/*.c src/arch/ctx*.[cS] src/os/*.c src/mem/*.c; do
    name=${file##*/}
    case ${name%.*} in
    *_openbsd | *_freebsd | *_netbsd | *_darwin | *_generic) ;;
    *_i386 | *_arm | *_arm64 | *_riscv64 | *_ppc64le | *_s390x) ;;
    *) sources+=("$file") ;;
    esac
done
"${cc[@]}" -w -o "$work/main" "$work/main.c" "${sources[@]}" || exit 1

ends() { # STATUS ROUTE CASE: 0, or 99 for a report
    local got
    TUZADEBUG=oscalls=$2 MSAN_OPTIONS=exitcode=99 \
        timeout 100 "$work/main" "$3" 2>"$work/err"
    got=$?
    [ "$got" = "$1" ] && return
    echo "$3 by $2: status $got, not $1"
    head -n 12 "$work/err"
    exit 1
}

s0_14_msan_knows_fresh_memory_and_what_was_freed() {
    local route
    for route in libc raw; do
        ends 0 "$route" fresh
        ends 0 "$route" object
        ends 99 "$route" given_up
        grep -q 'use-of-uninitialized-value' "$work/err" || exit 1
    done
    echo "fresh memory is read without a report, freed memory with one"
}

s0_14_msan_knows_fresh_memory_and_what_was_freed
