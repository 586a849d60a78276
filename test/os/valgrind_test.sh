#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Valgrind is told what may be read: a reservation that was made ready, which it
# does not find out by itself, and not what was given up.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
valgrind=$(command -v valgrind) || { echo "no valgrind here"; exit 77; }
[ -f /usr/include/valgrind/memcheck.h ] ||
    { echo "no valgrind/memcheck.h here"; exit 77; }
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
"$valgrind" -q true >/dev/null 2>"$work/err" ||
    { echo "valgrind does not work: $(head -n 1 "$work/err")"; exit 77; }

cat >"$work/main.c" <<'C'
#include <string.h>
#include "os/vm.h"
int main(int argc, char **argv)
{
    size_t n = 8 * tz_vm_page();
    char *p = tz_vm_reserve(0, n, 0, TZ_VM_HEAP);
    int sum = 0;
    if (!p || tz_vm_map(p, n, TZ_VM_HEAP))
        return 3;
    for (size_t i = 0; i < n; i++)
        sum += p[i] != 0;
    memset(p, 1, n);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    if (argc == 1 || strcmp(argv[1], "early"))
        tz_vm_used(p, n, TZ_VM_HEAP);
    for (size_t i = 0; i < n; i++)
        sum += p[i] != 0;
    return sum;
}
C
gcc -std=gnu11 -g -O1 -w -pthread -D_GNU_SOURCE -DTZ_CPU=amd64 -Isrc -Iinclude \
    -o "$work/main" "$work/main.c" "$build/libtuza_internal.a" || exit 1

s0_14_valgrind_knows_what_may_be_read() {
    "$valgrind" -q --error-exitcode=99 "$work/main" 2>"$work/err"
    local got=$?
    [ $got = 0 ] || { echo "status $got"; head -n 20 "$work/err"; exit 1; }
    "$valgrind" -q --error-exitcode=99 "$work/main" early 2>"$work/err"
    got=$?
    [ $got = 99 ] || { echo "early: status $got"; cat "$work/err"; exit 1; }
    grep -q 'Invalid read' "$work/err"
}

s0_14_valgrind_knows_what_may_be_read
