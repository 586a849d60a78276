#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=600
#
# Threads that hand ranges of memory to each other through the system alone are
# no race for ThreadSanitizer, because each call is bracketed for it; without
# the bracket (-DTZ_VM_BRACKET=0) they are one. The calls are made raw, since
# ThreadSanitizer understands libc's own.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cpu=$(sed -n 's/.*-DTZ_CPU=\([a-z0-9]*\).*/\1/p' \
    "${BUILD_DIR:-build/release}/build.ninja" 2>/dev/null | head -1)
cpu=${cpu:-amd64}
cc=(gcc -std=gnu11 -O1 -g -fsanitize=thread -pthread -D_GNU_SOURCE
    -DTZ_CPU="$cpu" "-U$cpu" -Isrc -Iinclude)
run=()
bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null)
# TSan of gcc 12 needs addresses less random than newer kernels make them.
if [ "${bits:-0}" -gt 28 ] && setarch -R true 2>/dev/null; then
    run=(setarch -R)
fi

cat >"$work/main.c" <<'C'
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "os/vm.h"
enum { THREADS = 4, TURNS = 300 };
static void *reuse(void *arg)
{
    for (int i = 0; i < TURNS; i++) {
        size_t n = 4 * tz_vm_page();
        char *p = tz_vm_alloc(n, TZ_VM_META);
        char *q = tz_vm_reserve(NULL, n, 0, TZ_VM_HEAP);
        if (!p || !q || tz_vm_map(q, n, TZ_VM_HEAP))
            _exit(3);
        for (size_t j = 0; j < n; j += 512)
            p[j] = q[j] = (char)i;
        tz_vm_free(p, n, TZ_VM_META, TZ_VM_READY);
        tz_vm_free(q, n, TZ_VM_HEAP, TZ_VM_READY);
    }
    return arg;
}
int main(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, reuse, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    return 0;
}
C
sources=()
for file in src/base/*.c src/os/*.c; do
    case $file in
    *_amd64.c | *_i386.c | *_arm.c | *_arm64.c | *_riscv64.c)
        [[ $file == *"_$cpu.c" ]] && sources+=("$file") ;;
    *_openbsd.c | *_freebsd.c | *_netbsd.c | *_darwin.c | *_generic.c) ;;
    *) sources+=("$file") ;;
    esac
done

build() { # PROGRAM OPTION...
    local program=$1
    shift
    "${cc[@]}" "$@" -o "$program" "$work/main.c" "${sources[@]}" ||
        { echo "$program does not build"; exit 1; }
}

reports() { # PROGRAM: how many races are reported
    TUZADEBUG=oscalls=raw TSAN_OPTIONS=halt_on_error=0:exitcode=66 \
        timeout 100 "${run[@]}" "$1" 2>"$work/err"
    case $? in
    0 | 66) grep -c 'WARNING: ThreadSanitizer' "$work/err" ;;
    *) echo "failed: $(head -c 500 "$work/err")" ;;
    esac
}

s0_06_the_bracket_orders_who_hands_memory_on() {
    local n
    build "$work/with"
    n=$(reports "$work/with")
    [ "$n" = 0 ] || { echo "with the bracket: $n"; cat "$work/err"; exit 1; }
    build "$work/without" -DTZ_VM_BRACKET=0
    n=$(reports "$work/without")
    [ "$n" -ge 1 ] 2>/dev/null || { echo "without it: $n"; exit 1; }
    echo "0 reports with the bracket, $n without"
}

s0_06_the_bracket_orders_who_hands_memory_on
