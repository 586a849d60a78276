#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# A goroutine that has changed its thread reads the errno of the one it is on,
# when it is compiled with tuza/errno.h, by each compiler. With <errno.h> alone
# the compiler keeps the address, and the program reads the errno of the thread
# that it has left. A compiler that does not is told, and no failure.
set -u
src_dir=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILD_DIR:-$src_dir/build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 right=0 shown=0

# The first goroutine waits for the second, which sends and then keeps its
# thread busy until the first is done: so that one goes on elsewhere.
cat >"$work/program.c" <<'EOF2'
#include <sys/syscall.h>
#include <unistd.h>
#include <tuza.h>
#ifdef WITH_TUZA_ERRNO
#include <tuza/errno.h>
#else
#include <errno.h>
#endif

static int done;

tuza_fn(sender, tuza_chan(int), c)
{
    tuza_send(c, 1);
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        ;
}

__attribute__((noinline)) static int errno_after_park(tuza_chan(int) c)
{
    errno = 0;
    tuza_recv(c, NULL);
    close(-1);
    return errno;
}

TUZA_MAIN
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    long before = syscall(SYS_gettid);
    if (tuza_go(sender, c))
        return 3;
    int err = errno_after_park(c);
    long after = syscall(SYS_gettid);
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    return before == after ? 3 : err != EBADF;
}
EOF2

# Compiles with DEFINE and the library, runs until the goroutine has moved.
# 0: its errno is right, 1: another thread's, 3: it stays, 4: no program.
run() { # DEFINE COMMAND...
    local define=$1 status=4 try
    shift
    "$@" -O2 -D_GNU_SOURCE "-D$define" -I"$src_dir/include" \
        "$work/program.c" -x none "$build/libtuza.a" -pthread \
        -o "$work/program" >"$work/said" 2>&1 || return 4
    for try in 1 2 3 4 5 6 7 8 9 10; do
        TUZAMAXPROCS=2 timeout 60 "$work/program"
        status=$?
        [ $status = 3 ] || break
    done
    return $status
}

check() { # COMMAND...
    run WITH_TUZA_ERRNO "$@"
    case $? in
    0) right=$((right + 1)) ;;
    1) echo "FAILED: $*: reads another thread's errno"
       failed=$((failed + 1)) ;;
    *) echo "FAILED: $*: no program, or none that moves"
       head -n 20 "$work/said"
       failed=$((failed + 1)) ;;
    esac
    run WITHOUT "$@"
    case $? in
    1) shown=$((shown + 1)) ;;
    0) echo "$*: does not keep the address of errno" ;;
    *) echo "FAILED: $*: no program with <errno.h>, or none that moves"
       failed=$((failed + 1)) ;;
    esac
}

found=0
for cc in "${CC:-}" gcc clang g++ clang++; do
    [ -n "$cc" ] && command -v "${cc%% *}" >/dev/null || continue
    found=$((found + 1))
    # shellcheck disable=SC2086 # a compiler may be "ccache gcc"
    case $cc in
    *++) check $cc -x c++ -std=gnu++17 ;;
    *) check $cc -std=gnu11 ;;
    esac
done
[ $found -gt 0 ] || { echo "no compiler"; exit 1; }
echo "$right programs are right, $shown show what is wrong with <errno.h>," \
    "$failed complaints"
[ $failed = 0 ]
