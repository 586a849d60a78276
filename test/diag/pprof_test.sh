#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=900
#
# What tuza_cpuprofile_stop writes is read by `go tool pprof`: totals, functions
# on top, whole stacks, labels, mappings with build IDs.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
build=${BUILD_DIR:-build/release}
go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null)
[ -n "$go" ] || { echo "no go on this machine"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export GOTOOLCHAIN=local
"$go" tool -n pprof >/dev/null 2>&1 || { echo "no pprof in this go"; exit 77; }
failed=0

cat >"$work/main.c" <<'C'
#include <fcntl.h>
#include <time.h>
#include <tuza.h>
#include <unistd.h>

#define NOTAIL __asm__ volatile("")
#define NOINLINE __attribute__((noinline))

static long cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static NOINLINE void much(void)
{
    for (long end = cpu_ms() + 750; cpu_ms() < end;)
        for (int i = 0; i < 5000; i++)
            NOTAIL;
}
static NOINLINE void little(void)
{
    for (long end = cpu_ms() + 250; cpu_ms() < end;)
        for (int i = 0; i < 5000; i++)
            NOTAIL;
}
static NOINLINE void both(void)
{
    much();
    little();
    NOTAIL;
}
tuza_fn(labelled, tuza_waitgroup *, wg)
{
    tuza_set_label("the worker");
    both();
    tuza_waitgroup_done(wg);
}

TUZA_MAIN
{
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (argc < 2 || fd < 0 || tuza_cpuprofile_start(fd, 100))
        return 1;
    tuza_waitgroup wg = { 0 };
    tuza_waitgroup_add(&wg, 1);
    tuza_go(labelled, &wg);
    tuza_waitgroup_wait(&wg);
    return tuza_cpuprofile_stop() ? 2 : 0;
}
C
${CC:-gcc} -g -O1 -w -Wl,--build-id -Iinclude -o "$work/main" "$work/main.c" \
    "$build/libtuza.a" -pthread || exit 1
timeout 60 "$work/main" "$work/profile" || { echo "FAIL: status $?"; exit 1; }

says() { # REGEX WHAT...: of go tool pprof's output
    local re=$1
    shift
    "$go" tool pprof -symbolize=none "$@" "$work/profile" >"$work/out" 2>"$work/err"
    grep -qE "$re" "$work/out" && return
    echo "FAIL: pprof $* says no $re:"
    head -n 40 "$work/out" "$work/err"
    failed=1
}
# The first run builds pprof. Of about 1 s, three quarters are in much and one in little.
says '^Duration: .*, Total samples = (0\.[89]|1(\.[01])?)[0-9]*s ' -top -unit=s
says ' 0\.(6[5-9]|7[0-9]|8[0-5])[0-9]*s *[0-9.]+%  much$' -top -unit=s
says ' 0\.(1[5-9]|2[0-9]|3[0-5])[0-9]*s *[0-9.]+%  little$' -top -unit=s
says '^ *0 *0% .* (0\.[89][0-9]*|1\.[01][0-9]*|1)s .* both$' -top -unit=s
says '^ *goroutine:\[the worker\]' -raw
says 'PeriodType: cpu nanoseconds' -raw
says '^Period: 10000000$' -raw
says '^samples/count cpu/nanoseconds' -raw
id=$(readelf -n "$work/main" | sed -n 's/.*Build ID: //p')
[ -n "$id" ] || { echo "FAIL: no build ID"; exit 1; }
says "/main $id \\[FN\\]" -raw
says 'goroutine: Total .*' -tags
[ $failed = 0 ] && echo "pprof: ok"
exit $failed
