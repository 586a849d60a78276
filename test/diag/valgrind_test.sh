#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Valgrind knows goroutine stacks: programs that switch, park, borrow stacks and
# call on the system stack have no errors under it, and one that is wrong has.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
valgrind=$(command -v valgrind) || { echo "no valgrind here"; exit 77; }
[ -f /usr/include/valgrind/memcheck.h ] ||
    { echo "no valgrind/memcheck.h here"; exit 77; }
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

cat >"$work/main.c" <<'C'
#include <stdlib.h>
#include <string.h>
#include <tuza.h>

tuza_fn(worker, tuza_chan(int), in, tuza_chan(int), out)
{
    int v;
    while (tuza_recv(in, &v) == 1) {
        char buf[3000];
        memset(buf, v, sizeof buf);
        tuza_send(out, v + buf[100] - buf[99]);
    }
}

static void big(void *arg)
{
    char b[100000];
    memset(b, 1, sizeof b);
    tuza_yield();
    *(int *)arg += b[77777];
}

static void wrong(void *arg)
{
    volatile int unset[4];
    if (unset[1] == 7)
        *(int *)arg = 1;
}

TUZA_MAIN
{
    tuza_chan(int) in = tuza_chan_make(int, 0);
    tuza_chan(int) out = tuza_chan_make(int, 0);
    int sum = 0, v;
    for (int i = 0; i < 10; i++)
        tuza_go(worker, in, out);
    for (int i = 0; i < 60; i++) {
        tuza_send(in, i);
        tuza_recv(out, &v);
        sum += v;
    }
    tuza_call_big(big, &sum, 9 << 20);
    tuza_on_system_stack(big == 0 ? 0 : argc > 1 ? wrong : free, NULL);
    return sum != 59 * 30 + 1;
}
C
${CC:-gcc} -g -O0 -w -Iinclude -o "$work/main" "$work/main.c" \
    "$build/libtuza.a" -pthread || exit 1

failed=0
under() { # STATUS PROCS ARGUMENT...
    local want=$1 got
    TUZAMAXPROCS=$2 timeout -s KILL 250 "$valgrind" -q --error-exitcode=99 \
        "$work/main" "${@:3}" >"$work/out" 2>&1
    got=$?
    [ $got = "$want" ] && return
    echo "FAIL, $2 Ps ${*:3}: status $got, not $want"
    head -n 40 "$work/out"
    failed=1
}

under 0 1
under 0 2
under 99 1 wrong
[ $failed = 0 ] && echo "valgrind: ok"
exit $failed
