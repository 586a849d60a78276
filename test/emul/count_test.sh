#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# What an interposer sees of the calls for memory, and what the kernel does.
. "$(dirname "$0")/helpers.bash"

# NAME of a number in the line that the interposer has written.
number() {
    sed -n "s/.*\\b$1=\\([0-9]*\\).*/\\1/p" "$work/count"
}

interposed() { # ROUTE COMMAND...: leaves $work/count and $work/told
    rm -f "$work/count" "$work/told"
    env TUZADEBUG="gcmode=m0,oscalls=$1,oscount=$work/told" \
        EMUL="count=$work/count" LD_PRELOAD="$emul/libhostile.so" "${@:2}" \
        >"$work/out" 2>"$work/err" && return
    fail "$*"
    head -n 20 "$work/err"
}

balanced() { # PROCS
    TUZAMAXPROCS=$1 interposed libc "$emul/grow" 200
    [ "$(number mmap)" -gt 5 ] && [ "$(number lost)" = 0 ] &&
        [ "$(number foreign)" = 0 ] &&
        [ $(($(number mapped) - $(number unmapped))) = "$(number live)" ]
}

# The heap grows by 200 MiB and is let go; maps are read by the interposer, at the
# end: a thread that is being made just then may be between a call and its count.
s0_18_each_range_is_mapped_or_was_unmapped_once() {
    local procs
    for procs in 1 2; do
        ran=$((ran + 1))
        balanced $procs || balanced $procs || balanced $procs && continue
        fail "balance: $(cat "$work/count")"
    done
}

both_count_the_same() {
    local kind
    interposed libc "$emul/grow" 100
    for kind in mmap munmap mprotect madvise; do
        grep -qF " $kind=$(number $kind) " "$work/told" || return
    done
}

s0_02_an_interposer_sees_all_calls_or_none() {
    local kind
    ran=$((ran + 2))
    both_count_the_same || both_count_the_same || both_count_the_same ||
        fail "libc: $(cat "$work/count" "$work/told")"
    interposed raw "$emul/grow" 100
    for kind in mmap munmap mprotect madvise; do
        [ "$(number $kind)" = 0 ] || fail "raw, $kind: $(cat "$work/count")"
    done
    [ "$(sed -n 's/.* mmap=\([0-9]*\) .*/\1/p' "$work/told")" -gt 5 ] ||
        fail "raw: $(cat "$work/told")"
}

same_on_both_routes() {
    local route kind
    for route in libc raw; do
        : >"$work/told.$route" # a second try's counts would follow
        TUZADEBUG=gcmode=m0,oscalls=$route,oscount=$work/told.$route TUZAMAXPROCS=1 \
            strace -f -c -e trace=mmap,munmap,mprotect,madvise \
            -o "$work/sum.$route" "$emul/grow" 100 >/dev/null 2>&1 ||
            fail "strace, $route"
        # What is not the runtime's: the loader's and libc's.
        for kind in mmap munmap mprotect madvise; do
            echo "$kind $(($(awk -v k=$kind '$NF == k { print $4 }' \
                "$work/sum.$route" | grep . || echo 0) - \
                $(sed -n "s/.*\\b$kind=\\([0-9]*\\).*/\\1/p" \
                    "$work/told.$route")))"
        done >"$work/rest.$route"
    done
    cmp -s "$work/rest.libc" "$work/rest.raw"
}

# On either route the kernel gets the same calls, if one P does the same work, and no
# collection goes on beside it at the end. Its threads go on while the counts are
# written: one in three runs differs.
s0_02_the_kernel_sees_the_same_on_both_routes() {
    local i
    command -v strace >/dev/null || return 0
    strace -f -o "$work/log" true 2>/dev/null || return 0
    ran=$((ran + 2))
    for i in 1 2 3 4 5 6 7 8; do
        same_on_both_routes && return
    done
    fail "others' calls differ:"
    paste "$work/rest.libc" "$work/rest.raw"
}

s0_18_each_range_is_mapped_or_was_unmapped_once
s0_02_an_interposer_sees_all_calls_or_none
s0_02_the_kernel_sees_the_same_on_both_routes
verdict
