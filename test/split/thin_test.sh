#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=600
#
# Thin segments: programs of split code from gold, and lld, whose goroutines wait
# on 2 KiB each; and what they get where that cannot be.
set -u
src=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILD_DIR:-$src/build/release}
programs=$src/test/split/programs
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 passed=0
declare -A CC_FOR=([c]='gcc -std=gnu11' [cpp]='g++ -std=c++17')
flags=(-O2 -g -Wall -Wextra -I"$src/include")
static=("$build/libtuza_split.a" "$build/libtuza.a" -pthread)
shared=(-L"$build" -ltuza_split -ltuza -Wl,-rpath,"$build" -pthread)
unset TUZASTACK TUZASTACKMAX TUZADEBUG LD_BIND_NOW

if ! command -v ld.gold >/dev/null; then
    echo "no gold here"
    exit 77
fi

fail() { # WHAT...: with the start of what was said
    echo "FAILED: $*"
    head -n 15 "$work/said"
    failed=$((failed + 1))
}

link() { # PROGRAM OPTION...
    local program=$1
    shift
    gcc -fsplit-stack "$work/thin.o" "$work/plain.o" -o "$work/$program" \
        "$@" >"$work/said" 2>&1 && [ ! -s "$work/said" ] && return
    fail "$program: does not link"
    return 1
}

# Runs it with stacks of 2 KiB, to an end with this status and this text.
run() { # NAME STATUS TEXT PROCS DEBUG PROGRAM [ARG...]
    local name=$1 status=$2 text=$3 procs=$4 debug=$5 got
    shift 5
    TUZASTACK=2K TUZAMAXPROCS=$procs ${debug:+env "TUZADEBUG=$debug"} \
        timeout 120 "$@" >"$work/said" 2>&1
    got=$?
    if [ $got = "$status" ] && grep -q "$text" "$work/said"; then
        passed=$((passed + 1))
    else
        fail "$name: status $got, no '$text'"
    fi
}

thin_goroutines_wait_and_grow() {
    local linker procs
    for linker in gold lld; do
        command -v ld.$linker >/dev/null || { echo "no $linker here"; continue; }
        link "$linker" -fuse-ld=$linker -Wl,-z,now "${static[@]}" || continue
        link "$linker-so" -fuse-ld=$linker "${shared[@]}" || continue
        for procs in 1 2; do
            run "$linker, $procs" 0 '^thin: 0$' $procs '' "$work/$linker"
        done
        run "$linker, shared" 0 '^thin: 0$' 2 '' "$work/$linker-so"
    done
}

# What is passed, libc's deepest calls, exceptions: from a thin segment.
other_programs_run_on_them() {
    local source name
    for source in shapes.c libc.c throws.cpp; do
        name=${source%.*}
        if ! ${CC_FOR[${source#*.}]} "${flags[@]}" -fsplit-stack -DTUZA_SPLIT \
            "$programs/$source" -o "$work/$name" -fuse-ld=gold -Wl,-z,now \
            "${static[@]}" >"$work/said" 2>&1; then
            fail "$name: does not compile"
            continue
        fi
        run "$name" 0 "^$name: 0\$" 2 '' "$work/$name"
    done
}

thin_goroutines_are_stolen_and_collected() {
    run "steal" 0 '^thin: 0$' 2 stress=steal "$work/gold"
    run "yield" 0 '^thin: 0$' 2 stress=yield "$work/gold" gc
    run "gc" 0 '^thin: 0$' 2 stress=gc "$work/gold" gc 100
    run "gc" 0 '^thin: 0$' 1 stress=gc "$work/gold" gc 100
}

an_overflow_is_noticed() {
    run "overflow" 2 'has overflowed its thin segment' 1 '' \
        "$work/gold" overflow
    run "close" 2 'close of closed channel' 1 '' "$work/gold" close
}

# All stacks are then the usual ones, and stderr says why.
other_linkers_get_usual_stacks() {
    link bfd -fuse-ld=bfd -Wl,-z,now "${static[@]}" || return
    run "bfd" 0 '2048 bytes: calls of plain code are not conv.*; they have 256' \
        2 '' "$work/bfd" fat
    run "bfd" 0 '^thin: 0$' 2 '' "$work/bfd" fat
    link lazy -fuse-ld=gold -Wl,-z,lazy "${static[@]}" || return
    run "lazy" 0 '2048 bytes: libtuza is bound lazily.*; they have 256' \
        2 '' "$work/lazy" fat
    run "lazy" 0 '^thin: 0$' 2 '' env LD_BIND_NOW=1 "$work/lazy"
}

# Code that is not split code has its usual stack in the same process.
plain_code_gets_usual_stacks() {
    gcc "${flags[@]}" -DTUZA_SPLIT -c "$programs/thin.c" -o "$work/thin.o" &&
        link plain -fuse-ld=gold -Wl,-z,now "${static[@]}" || return
    run "plain" 0 '^thin: 0$' 2 '' "$work/plain" fat 2000 500
}

gcc "${flags[@]}" -c "$programs/thin_plain.c" -o "$work/plain.o" || exit 1
if ! gcc "${flags[@]}" -fsplit-stack -DTUZA_SPLIT -c "$programs/thin.c" \
    -o "$work/thin.o" 2>"$work/said"; then
    echo "no -fsplit-stack here: $(head -n 1 "$work/said")"
    exit 77
fi
[ ! -s "$work/said" ] || fail "thin.c: has warnings"
thin_goroutines_wait_and_grow
other_programs_run_on_them
thin_goroutines_are_stolen_and_collected
an_overflow_is_noticed
other_linkers_get_usual_stacks
plain_code_gets_usual_stacks
echo "$passed passed, $failed failed"
[ $failed = 0 ]
