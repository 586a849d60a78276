#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# matrix tells apart how programs end. What it finds: suite_test.sh,
# wordfreq_test.sh, limits_test.sh, and at length test/emul/soak.
. "$(dirname "$0")/helpers.bash"
matrix=$(dirname "$0")/matrix

printf 'a\nb\n' >"$work/wanted"
judges() { # WHAT STATUS LINE SCRIPT [OPTION...]: bash runs SCRIPT, once
    local what=$1 wanted=$2 line=$3 script=$4
    shift 4
    ends "$what" "$wanted" "$matrix" --only '^plain$' --build "$build" \
        --timeout 2 "$@" bash -c "$script"
    said "$what" "$line"
}
judges "status 0" 0 'worked  plain' 'echo a; echo b'
judges "right output" 0 'worked  plain' 'echo a; echo b' --expect "$work/wanted"
judges "wrong output" 1 'plain: wrong output' 'echo a' --expect "$work/wanted"
judges "a filter" 0 'worked  plain' 'echo a; echo b; echo time' \
    --expect "$work/wanted" --filter "sed '\$d'"
judges "clean death" 0 'died    plain: tuza: fatal: no' \
    'echo "tuza: fatal: no" >&2; echo "a dump" >&2; exit 2'
judges "must work" 1 'must work, but: tuza: fatal' \
    'echo "tuza: fatal: no" >&2; exit 2' --must-work
judges "a note before it" 1 'status 2, 2 lines' \
    'echo "tuza: mmap" >&2; echo "tuza: fatal: no" >&2; exit 2'
judges "a note and its own words" 1 'status 1, 1 lines' \
    'echo "tuza: mmap" >&2; echo "prog: no" >&2; exit 1' --says 'prog: '
judges "something else before it" 1 'status 2, 1 lines' \
    'echo "what" >&2; echo "tuza: fatal: no" >&2; exit 2'
judges "two lines" 1 'status 2, 2 lines' \
    'echo "tuza: fatal: a" >&2; echo "tuza: fatal: b" >&2; exit 2'
judges "another status" 1 'status 1, 1 lines' 'echo "tuza: fatal: a" >&2; exit 1'
judges "silence" 1 'status 2, and no line says why' 'echo no >&2; exit 2'
judges "its own words" 0 'died    plain: prog: no' 'echo "prog: no" >&2; exit 1' \
    --says 'prog: '
judges "its own words, twice" 1 'status 1, 0 lines of tuza'"'"'s, 2 of its own' \
    'echo "prog: no" >&2; echo "prog: no" >&2; exit 1' --says 'prog: '
judges "a signal" 1 'plain: signal SEGV' 'kill -SEGV $$'
judges "an abort" 1 'plain: signal ABRT' 'echo "tuza: x" >&2; kill -ABRT $$'
judges "a hang" 1 'plain: hangs: longer than 2 s' 'sleep 100'
judges "a hang that ignores SIGTERM" 1 'plain: hangs' \
    'trap "" TERM; sleep 100 & wait; wait'
judges "the sum" 0 '1 worked, 0 died cleanly, 0 BAD' true
ends "nothing chosen" 1 "$matrix" --only nothing --build "$build" true
ends "a fault that is reported" 1 "$matrix" --build "$build" \
    --only 'mmap:2:ENOMEM|plain' "$probe" dies 3

verdict
