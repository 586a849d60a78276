#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# The commands of tools/gdb/tuza-gdb.py, on a process that gdb runs and on a core:
# every goroutine is listed, and each shows the functions it stands in.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
[ "$(uname -m)" = x86_64 ] || { echo "not amd64"; exit 77; }
gdb=$(command -v gdb) || { echo "no gdb here"; exit 77; }
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
"$gdb" -nx -batch -ex 'python print("has", "python")' 2>&1 | grep -q 'has python' ||
    { echo "this gdb has no python"; exit 77; }

cat >"$work/prog.c" <<'C'
#include <stdlib.h>
#include <tuza.h>
#include <unistd.h>

static int fd[2];
#define NOTAIL __asm__ volatile("")

static __attribute__((noinline)) void receive_inner(tuza_chan(int) c)
{
    tuza_recv(c, NULL);
    NOTAIL;
}
tuza_fn(receiver, tuza_chan(int), c)
{
    receive_inner(c);
    NOTAIL;
}
static __attribute__((noinline)) void read_inner(void)
{
    char b;
    if (TUZA_BLOCKING(read(fd[0], &b, 1)) != 1)
        NOTAIL;
}
tuza_fn(reader)
{
    read_inner();
    NOTAIL;
}
static void park_there(void *c)
{
    receive_inner(c);
    NOTAIL;
}
tuza_fn(borrower, tuza_chan(int), c)
{
    tuza_set_label("on a borrowed stack");
    tuza_call_big(park_there, (void *)c, 1 << 20);
    NOTAIL;
}
__attribute__((noinline)) void all_stand(void) { abort(); }

TUZA_MAIN
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    if (pipe(fd))
        return 1;
    tuza_go(receiver, c);
    tuza_go(reader);
    tuza_go(borrower, c);
    tuza_sleep(TUZA_MS(300));
    all_stand();
    return 0;
}
C
${CC:-gcc} -g -O1 -w -Iinclude "$work/prog.c" "$build/libtuza.a" -pthread \
    -o "$work/prog" || exit 1

numbers() { # FUNCTION: its goroutine's, from the list in $work/out
    sed -n "s/^ *\([0-9]*\) \[[^]]*\] $1,.*/\1/p" "$work/out" | head -n 1
}

gdb_on() { # ARGUMENT... : of gdb, after the script
    timeout -s KILL 100 "$gdb" -nx -batch -iex 'set debuginfod enabled off' \
        -ex 'set pagination off' -x tools/gdb/tuza-gdb.py "$@" \
        >"$work/out" 2>&1 </dev/null
}

has() { # WHAT REGEX
    grep -q -e "$2" "$work/out" && return
    echo "FAIL $1: no $2 in:"
    tail -n 60 "$work/out"
    exit 1
}

# All that is wanted of one target; the arguments lead gdb to it.
shows_goroutines() { # NAME ARGUMENT...
    local name=$1
    shift
    gdb_on "$@" -ex 'info goroutines'
    has "$name" '^ *1 \[running\] main, created at the start of the program'
    has "$name" '\[chan receive\] receiver, created at .*prog.c:'
    has "$name" '\[syscall\] reader, created at'
    has "$name" '\[chan receive\] borrower, label on a borrowed stack, created'
    local receiver reader borrower
    receiver=$(numbers receiver) reader=$(numbers reader)
    borrower=$(numbers borrower)
    gdb_on "$@" -ex "goroutine $receiver bt"
    has "$name, receiver" '^#[0-9]* .*tz_park'
    has "$name, receiver" ' receive_inner (c='
    has "$name, receiver" ' receiver (c='
    has "$name, receiver" ' tz_ctx_start ()'
    grep -q ' all_stand \|inner to this frame\|corrupt stack' "$work/out" &&
        [ "$name" = core ] && { cat "$work/out"; exit 1; }
    gdb_on "$@" -ex "goroutine $reader"
    has "$name, reader" ' read_inner ('
    has "$name, reader" ' reader ('
    gdb_on "$@" -ex "goroutine $borrower bt"
    has "$name, borrower" ' receive_inner (c='
    has "$name, borrower" ' park_there (c='
    has "$name, borrower" ' tz_ctx_call_on ('
    has "$name, borrower" ' borrower (c='
    gdb_on "$@" -ex 'goroutine 1 bt'
    has "$name, main" ' all_stand ('
    gdb_on "$@" -ex 'goroutine 9999 bt'
    has "$name" 'there is no goroutine 9999'
    gdb_on "$@" -ex "goroutine $receiver info symbol \$pc"
    has "$name, another command" ' in section .text'
    # What gdb shows of the thread itself is as before.
    gdb_on "$@" -ex "goroutine $receiver bt 1" -ex 'echo after\n' -ex 'bt 3'
    has "$name, afterwards" '^after'
    sed -n '/^after/,$p' "$work/out" >"$work/rest"
    grep -q 'all_stand\|abort\|raise\|kill' "$work/rest" ||
        { cat "$work/out"; exit 1; }
}

shows_goroutines live "$work/prog" -ex 'break all_stand' -ex run
# The kernel's own: gdb's command would write all that is reserved.
(cd "$work" && ulimit -c unlimited && exec ./prog) >"$work/log" 2>&1
core=$(find "$work" -name 'core*' | head -n 1)
if [ ! -s "$core" ]; then
    echo "gdb: live ok; cores go to $(cat /proc/sys/kernel/core_pattern)"
    exit 0
fi
shows_goroutines core "$work/prog" "$core"
echo "gdb: ok"
