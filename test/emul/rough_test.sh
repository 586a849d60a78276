#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=1200
#
# Programs with many threads under librough, for a minute; and that librough
# and the runner find what they are there to find.
. "$(dirname "$0")/helpers.bash"
root=$(cd "$(dirname "$0")/../.." && pwd)
rough=$root/test/emul/rough

# STATUS OPTION...: the runner ends so; what it says is in $work/said.
rough_ends() {
    local wanted=$1 got
    shift
    ran=$((ran + 1))
    "$rough" --build "$build" "$@" >"$work/said" 2>&1
    got=$?
    [ $got = "$wanted" ] && return
    fail "rough $*: status $got, not $wanted"
    cat "$work/said"
}

says() { # PATTERN
    grep -qE -- "$1" "$work/said" && return
    fail "the runner does not say '$1' but:"
    cat "$work/said"
}

# SECONDS PROGRAM...: the runner finds that it hangs, or ends badly, and tells
# how to repeat it.
finds() {
    rough_ends 1 --seconds "$1" --limit 5 --until-bad -- "${@:2}"
    says "^BAD  ${2##*/}, (two|one|eintr): "
    says '^     env LD_PRELOAD=[^ ]*/librough.so EMUL_ROUGH=seed='
}

rough_tells_when_nothing_was_held() {
    rough_ends 1 --runs 2 -- true
    says 'nothing was held'
}

rough_tells_what_it_does_not_know() {
    ends "a setting" 99 env LD_PRELOAD="$emul/librough.so" \
        EMUL_ROUGH=seed=1,hodl=3 true
    said "a setting" "librough: what is 'hodl=3'"
}

rough_tells_a_bad_end() {
    rough_ends 1 --runs 1 -- false
    says '^BAD  false, [a-z]*: status 1'
}

# Alone it goes well; on a busy machine not every time.
rough_finds_a_planted_lost_wake_up() {
    local i
    ran=$((ran + 1))
    for i in 1 2 3 4 5 6; do
        [ "$(timeout 10 "$emul/lostwake" 20)" = done ] && break
    done
    [ $i != 6 ] || fail "lostwake does not pass by itself"
    finds 60 "$emul/lostwake"
    says '^BAD .*: hangs for 5 s'
    says '^  [0-9]+ [0-9]+ lostwake in '
}

# PROGRAM FILE LINE REPLACEMENT: links emul/beside with a copy of the source in
# which the one such line is replaced.
mistaken() {
    local command source=$root/$2
    command=$(awk -v file="$source" '
        /^ *"command": "/ {
            c = $0
            sub(/^ *"command": "/, "", c)
            sub(/",?$/, "", c)
        }
        $0 ~ /^ *"file": "/ && index($0, "\"" file "\"") {
            gsub(/\\"/, "\"", c)
            sub(/ -o [^ ]+/, "", c)
            sub(/ -c [^ ]+/, "", c)
            print c
            exit
        }' "$build/compile_commands.json")
    text=$3 new=$4 awk '
        { line = $0; sub(/^ */, "", line) }
        line == ENVIRON["text"] { found++; $0 = ENVIRON["new"] }
        { print }
        END { exit found != 1 }' "$source" >"$work/mistake.c" || return 1
    (cd "$build" && eval "$command -c '$work/mistake.c' -o '$work/mistake.o'") ||
        return 1
    # shellcheck disable=SC2046
    "${command%% *}" -O2 -pthread -I"$root/include" -o "$1" \
        "$root/test/emul/beside.c" "$work/mistake.o" $(
            cd "$build/CMakeFiles/tuza_objects.dir" &&
                find "$PWD" -name '*.o' ! -path "*/$2.o"
        )
}

# Who is about to sleep does not look at the queues again.
rough_finds_work_that_nobody_looks_for() {
    mistaken "$work/no_second_look" src/sched/proc.c \
        'if (tz_any_work() && get_idle_p()) {' 'if (false) {' ||
        { fail "no program"; return; }
    finds 60 "$work/no_second_look"
    says '^BAD .*: hangs for 5 s'
}

# Who comes out of a futex takes it that it was woken.
rough_finds_a_sleep_that_ends_too_soon() {
    mistaken "$work/no_loop" src/os/note.c \
        'while (tz_load_acq(&n->key) == 0)' 'if (tz_load_acq(&n->key) == 0)' ||
        { fail "no program"; return; }
    answers "by itself" done "$work/no_loop"
    finds 60 "$work/no_loop"
}

many_threads_survive_rough_scheduling() {
    rough_ends 0 --seconds 60
    tail -n 1 "$work/said"
}

rough_tells_when_nothing_was_held
rough_tells_what_it_does_not_know
rough_tells_a_bad_end
rough_finds_a_planted_lost_wake_up
rough_finds_work_that_nobody_looks_for
rough_finds_a_sleep_that_ends_too_soon
many_threads_survive_rough_scheduling
verdict
