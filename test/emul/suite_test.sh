#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=1200
#
# The C test programs of the rooms that deal with memory pass under the kernels of
# the matrix as they do without, but for what `exempt` lists: each under a sixteenth
# of them. All rooms, each under all: test/emul/soak.
. "$(dirname "$0")/helpers.bash"
. "$(dirname "$0")/suite.bash"
rooms=(os mem stack)
export SHARE=16

passes() { # CASES
    local room job jobs=()
    for room in "${rooms[@]}"; do # at the same time
        suite "$room" "$1" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        ran=$((ran + 1))
        wait "$job" || fail "in cases $1"
    done
}

s2_19_no_address_is_needed() { passes 'nohint|shift'; }
s2_12_nothing_is_executable() { passes '^(hostile|kernel) nowx$'; }
s2_13_the_advice_may_be_missing() { passes 'nomadv(ise|free)$'; }
other_kernels() {
    passes '^plain$|^[a-z]+ (interior|nonoreplace|reserve|nomincore|noprefault|noguard|fakeguard|noclone3|nouffd|nogetrandom|nomembarrier)[^ ,]*$'
}

every_case_has_its_turn() {
    local left
    ran=$((ran + 1))
    left=$("$emul_dir/matrix" --build "$build" --list --group kernels |
        grep -vE "$(declare -f s2_19_no_address_is_needed \
            s2_12_nothing_is_executable s2_13_the_advice_may_be_missing \
            other_kernels | sed -n "s/^ *passes '\(.*\)'.*/\1/p" |
            paste -sd '|')")
    [ -z "$left" ] || fail "no function has these cases: $left"
}

s2_19_no_address_is_needed
s2_12_nothing_is_executable
s2_13_the_advice_may_be_missing
other_kernels
every_case_has_its_turn
verdict
