#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Where goroutines stand, in the report of a failure: parked ones, those in a
# declared call, the one that failed, on whatever stack; by names from the file,
# or without.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
[ "$(uname -m)" = x86_64 ] || { echo "not amd64"; exit 77; }
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

cat >"$work/main.c" <<'C'
#include <stdlib.h>
#include <string.h>
#include <tuza.h>
#include <unistd.h>

#define NOTAIL __asm__ volatile("")
#define NOINLINE __attribute__((noinline))
static int fd[2];

static NOINLINE void inner(tuza_chan(int) c)
{
    tuza_recv(c, NULL);
    NOTAIL;
}
tuza_fn(parked, tuza_chan(int), c)
{
    inner(c);
    NOTAIL;
}
static NOINLINE void read_it(void)
{
    char b;
    if (TUZA_BLOCKING(read(fd[0], &b, 1)) != 1)
        NOTAIL;
}
tuza_fn(reader)
{
    read_it();
    NOTAIL;
}
tuza_fn(busy) // comes and goes while the others are dumped
{
    for (;;)
        tuza_yield();
}

static NOINLINE void mistake(void *arg)
{
    (void)arg;
    tuza_close((tuza_chan(int))NULL);
    NOTAIL;
}
static NOINLINE void park(void *arg)
{
    (void)arg;
    tuza_yield();
    NOTAIL;
}
static NOINLINE void fail(const char *how)
{
    if (!strcmp(how, "plain"))
        mistake(NULL);
    else if (!strcmp(how, "big"))
        tuza_call_big(mistake, NULL, 9 << 20);
    else if (!strcmp(how, "system"))
        tuza_on_system_stack(park, NULL);
    NOTAIL;
}

TUZA_MAIN
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    if (pipe(fd))
        return 1;
    int n = argc > 2 ? atoi(argv[2]) : 1;
    for (int i = 0; i < n; i++)
        tuza_go(parked, c);
    tuza_go(reader);
    tuza_go(busy);
    tuza_sleep(TUZA_MS(200));
    fail(argv[1]);
    return 0;
}
C
${CC:-gcc} -g -O1 -w -Iinclude -o "$work/main" "$work/main.c" \
    "$build/libtuza.a" -pthread || exit 1
strip -o "$work/stripped" "$work/main"

run() { # PROGRAM ARGUMENT...
    what=$*
    timeout -s KILL 60 "$work/$1" "${@:2}" >"$work/out" 2>&1 </dev/null
    local got=$?
    [ $got = 2 ] && return
    echo "FAIL $what: status $got"
    head -n 20 "$work/out"
    failed=1
}

# The lines of the first goroutine whose head or spawned function fits.
block() { # REGEX
    awk -v re="$1" -v RS= '$0 ~ re { print; exit }' "$work/out"
}

shows() { # REGEX-OF-GOROUTINE FRAME...: in this order
    local text rest frame
    text=$(block "$1") rest=$text
    for frame in "${@:2}"; do
        if ! grep -qE "^$frame" <<<"$rest"; then
            echo "FAIL $what: no $frame in the goroutine $1:"
            echo "${text:-$(head -n 40 "$work/out")}"
            failed=1
            return
        fi
        # Where it stands: what lies below has to come after it.
        rest=$(awk -v n="$(grep -nE -m 1 "^$frame" <<<"$rest" | cut -d: -f1)" \
            'NR > n' <<<"$rest")
    done
}

x='[(][.]{3}[)]$' # a frame, and where in its function it stands
m='main[.]'
run main plain
shows '^goroutine 1 .running' "${m}mistake$x" "${m}fail$x" "${m}tuza__main$x" \
    "${m}tz_ctx_start$x"
shows 'parked_tuza_run' "${m}tz_park$x" "${m}tuza_chan_recv$x" "${m}inner$x" \
    "	[?]{2}:0 [+]0x[0-9a-f]+$" "${m}parked_tuza_run$x" "${m}tz_ctx_start$x" \
    'created by main[.]tuza__main in goroutine 1$' \
    '	.*main[.]c:[0-9]+ [+]0x[0-9a-f]+$'
shows 'reader_tuza_run' "${m}read_it$x" "${m}reader_tuza_run$x" \
    "${m}tz_ctx_start$x"
run main big
shows '^goroutine 1 .running' "${m}mistake$x" "${m}tz_ctx_call_on$x" \
    "${m}tuza_call_big$x" "${m}fail$x" "${m}tuza__main$x" "${m}tz_ctx_start$x"
run main system
shows '^goroutine 1 .running' "${m}park$x" "${m}tz_ctx_call_on$x" "${m}fail$x" \
    "${m}tuza__main$x" "${m}tz_ctx_start$x"
run stripped plain
shows '^goroutine 1 .running' "${m}[?]{2}$x" "${m}[?]{2}$x"
shows 'parked[(]' "${m}[?]{2}$x" "parked$x" '	[?]{2}:0$' \
    'created by main[.][?]{2} in goroutine 1$'
grep -q 'mistake(' "$work/out" && { echo "FAIL: a stripped name"; failed=1; }
# A reader of Go's dumps reads all of it: three kinds, two of which are many.
if command -v panicparse >/dev/null; then
    run main plain 7
    panicparse <"$work/out" >"$work/parsed" 2>&1
    for line in '^7: chan receive \[Created by main.tuza__main .*main.c:' \
        '^1: syscall ' '^ *main .* inner\(' '^ *main .* read_it\('; do
        grep -qE "$line" "$work/parsed" && continue
        echo "FAIL: panicparse says no $line in:"
        head -n 60 "$work/parsed"
        failed=1
    done
fi
# Frames of a hundred; heads of a thousand.
run main plain 1200
n=$(grep -c '^main.inner(' "$work/out")
[ "$n" -ge 90 ] && [ "$n" -le 100 ] || { echo "FAIL: $n have frames"; failed=1; }
n=$(grep -c '^goroutine ' "$work/out")
[ "$n" = 1001 ] || { echo "FAIL: $n goroutines"; failed=1; }
[ $failed = 0 ] && echo "dump: ok"
exit $failed
