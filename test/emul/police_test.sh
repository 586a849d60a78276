#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=300
#
# emul-police ends a program whose stack pointer is in no stack memory, and no
# other; what it wraps ends as it would have.
. "$(dirname "$0")/helpers.bash"
police=$emul/emul-police
stray=$emul/stray
if [ ! -x "$stray" ]; then
    echo "stray is not built for this CPU"
    exit 77
fi
ends "ptrace" 0 "$police" -- true
if [ $failed != 0 ]; then
    echo "no ptrace or seccomp here: $(cat "$work/err")"
    exit 77
fi

passes() { # WHERE...: with and without the supervisor
    ends "alone: $*" 0 "$stray" "$@"
    ends "$*" 0 "$police" -- "$stray" "$@"
    said "$*" ok
}

killed() { # WHEN WHAT WHERE...
    local when=$1 what=$2
    shift 2
    ends "alone: $*" 0 "$stray" "$@"
    ends "$*" 98 "$police" -- "$stray" "$@"
    grep -qE "^emul-police: pid [0-9]+ tid [0-9]+: $when [0-9]+: $what \
0x[0-9a-f]+ is no stack memory: ([0-9a-f]+-[0-9a-f]+ |nothing is mapped)" \
        "$work/err" || fail "$*: says: $(cat "$work/err")"
    ! grep -q ok "$work/out" || fail "$*: is not killed"
}

call='system call'

s1_11_a_stack_pointer_in_other_memory_is_the_end() {
    local where
    for where in malloc program plain unremapped hole unmapped moved-away \
        below; do
        killed "$call" sp $where
    done
    killed signal sp trap plain
    killed "$call" sp thread plain
    killed "$call" sp fork plain
    killed "$call" sp thread-on-program
}

s1_11_stack_memory_passes() {
    local where
    for where in marked remapped first last beside-hole kept moved guarded \
        deep own-thread shell by-vfork by-fork; do
        passes $where
    done
    passes trap marked
    passes thread marked
    passes fork marked
}

# What was a stack before exec is none after it.
exec_begins_anew() {
    ends exec 98 "$police" -- "$stray" exec
    said exec 'nothing is mapped there'
}

s1_12_the_very_top_of_a_stack_is_outside() {
    killed "$call" sp top
    passes last
}

s1_13_signal_stacks_are_whole_pages_or_within_a_stack() {
    # What is installed is mapped anew, so that what was in it is gone.
    ends alone 5 "$stray" alt-program
    ends alt-program 0 "$police" -- "$stray" alt-program
    passes alt-within
    killed "$call" sp alt-beside
    killed "$call" 'a signal stack at' alt-unaligned
    killed "$call" 'a signal stack at' alt-short
}

s1_10_what_was_a_stack_is_none_as_heap() {
    local part
    for part in $("$emul/exstack" list); do
        ends "alone: $part" 0 env TUZADEBUG=mapstack=1 "$emul/exstack" "$part"
        said "alone: $part" ok
        ends "$part: as a stack" 0 env TUZADEBUG=mapstack=1 \
            "$police" -- "$emul/exstack" "$part" stop
        said "$part: as a stack" 'as a stack: ok'
        ends "$part" 98 env TUZADEBUG=mapstack=1 \
            "$police" -- "$emul/exstack" "$part"
        said "$part" 'as a stack: ok'
        said "$part" 'is no stack memory: '
    done
    [ -n "$part" ] || fail "exstack has no parts"
}

writes_to_the_log_are_not_looked_at() {
    local looked
    # shellcheck disable=SC2016
    ends "log" 0 "$police" --tell --log 1 -- \
        bash -c 'for ((i = 0; i < 1000; i++)); do printf x; done'
    looked=$(sed -n 's/.*looked at \([0-9]*\) system calls.*/\1/p' "$work/err")
    [ "${looked:-1000}" -lt 900 ] || fail "looked at $looked calls"
    ends "log and sp" 98 "$police" --log 3 -- "$stray" plain
}

it_goes_on_if_told() {
    ends "--go-on" 98 "$police" --go-on --tell -- "$stray" plain malloc marked
    said "--go-on" ok
    [ "$(grep -c 'is no stack memory' "$work/err")" = 2 ] ||
        fail "--go-on: $(cat "$work/err")"
    grep -qE '^emul-police: looked at [1-9][0-9]+ system calls, ' \
        "$work/err" || fail "--tell: $(cat "$work/err")"
}

it_ends_as_the_program_ends() {
    ends "status 7" 7 "$police" -- "$probe" dies 7
    ends "SIGSEGV" 139 "$police" -- "$probe" dies signal
    ends "absent" 127 "$police" -- "$work/absent"
    said "absent" "$work/absent: No such file"
    # shellcheck disable=SC2016
    answers "signals arrive" 'got it' "$police" -- \
        bash -c 'trap "echo got it" USR1; kill -USR1 $$; true'
    # shellcheck disable=SC2016
    answers "stops and goes on" '[Tt]*; on' "$police" -- bash -c '
        (sleep 0.1; sed -n "s/^State:[[:space:]]*//p" /proc/$$/status
         kill -CONT $$) & kill -STOP $$; wait; echo on'
    ends "no program" 99 "$police" --
    ends "an option" 99 "$police" --what -- true
}

s1_11_a_stack_pointer_in_other_memory_is_the_end
s1_11_stack_memory_passes
exec_begins_anew
s1_12_the_very_top_of_a_stack_is_outside
s1_13_signal_stacks_are_whole_pages_or_within_a_stack
s1_10_what_was_a_stack_is_none_as_heap
writes_to_the_log_are_not_looked_at
it_goes_on_if_told
it_ends_as_the_program_ends
verdict
