#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# What must work under small limits, and what ends cleanly at them.
. "$(dirname "$0")/helpers.bash"
small_tree "$work/tree"

# The command that runs the rest under a limit.
# shellcheck disable=SC2016
limited=(bash -c 'ulimit $1 $2 && shift 2 && exec "$@"' -)

wordfreq() { # LIMIT VALUE
    local procs
    for procs in 1 2; do
        ends "wordfreq, ulimit $*, $procs Ps" 0 env TUZAMAXPROCS=$procs \
            "${limited[@]}" "$@" \
            "$build/examples/wordfreq" -a "$work/tree"
        sed '$d' "$work/out" | cmp -s - "$work/tree.words" ||
            fail "wordfreq, ulimit $*, $procs Ps: wrong output"
    done
}

s2_22_it_starts_and_collects_in_little_address_space() {
    local kib
    for kib in 24576 32768 65536 131072 262144; do
        wordfreq -v $kib
    done
}

a_thousand_goroutines_wait_in_little_address_space() {
    local kib
    for kib in 32768 65536 131072 262144; do
        answers "parked, ulimit -v $kib" 'hello from 1000 goroutines' \
            "${limited[@]}" -v $kib "$emul/parked" 1000
    done
}

a_thousand_goroutines_wait_where_libc_reserves_later() {
    answers "parked and reserved" 'hello from 1000 goroutines' \
        env MALLOC_ARENA_MAX=1 \
        "${limited[@]}" -v 262144 "$emul/parked" 1000 reserve
}

# LIMIT VALUE LEAST: a heap that wants a GiB ends in words, after LEAST MiB.
grows_until() {
    ends "grow, ulimit $1 $2" 1 "${limited[@]}" "$1" "$2" "$emul/grow" 1024
    local got
    got=$(sed -n 's/^grow: out of memory after \([0-9]*\) MiB$/\1/p' \
        "$work/err")
    [ "${got:-0}" -ge "$3" ] && [ "$(wc -l <"$work/err")" = 1 ] && return
    fail "grow, ulimit $1 $2: after ${got:-?} MiB, not $3"
    head -n 20 "$work/err"
}

s2_23_a_limit_of_data_ends_growth_not_the_start() {
    wordfreq -d 65536
    grows_until -d 65536 40
}

# libc's malloc would reserve 64 MiB for each thread that calls it.
growth_ends_cleanly() {
    export MALLOC_ARENA_MAX=1
    grows_until -v 65536 40
    grows_until -v 262144 200
    unset MALLOC_ARENA_MAX
}

s2_22_it_starts_and_collects_in_little_address_space
a_thousand_goroutines_wait_in_little_address_space
a_thousand_goroutines_wait_where_libc_reserves_later
s2_23_a_limit_of_data_ends_growth_not_the_start
growth_ends_cleanly
verdict
