# SPDX-License-Identifier: BSD-3-Clause
# emul/suite.bash: test programs of a room under kernels of the matrix; source
# it after setting `build`.
# shellcheck shell=bash
emul_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CK_DEFAULT_TIMEOUT=60

# PROGRAM: the cases of the group `kernels` in which it must pass, a line each.
cases_of() {
    "$emul_dir/matrix" --build "$build" --list --group kernels |
        grep -vE "$(awk -F '\t' -v p="$1" '
            !/^#/ && $1 == p { all = all "|" $2 }
            END { print all == "" ? "^$" : substr(all, 2) }' "$emul_dir/exempt")"
}

# ROOM CASES [OPTION...]: every C test program of the room passes in each case
# whose name matches the pattern, but for what `exempt` lists; the options are
# the matrix's. Says what fails; returns how many programs did. SHARE=n: in each
# n-th case, another one for each program.
suite() {
    local room=$1 cases=$2 bad=0 turn=0 share=${SHARE:-1} program name only
    shift 2
    for program in "$build/test/$room"/*_test; do
        name=$room/$(basename "$program")
        [ -x "$program" ] || continue
        turn=$((turn + 1))
        only=$(cases_of "$name" | grep -E "$cases" |
            awk -v n="$share" -v turn="$turn" '(NR + turn) % n == 0' |
            sed 's/.*/^&$/' | paste -sd '|')
        [ -n "$only" ] || continue
        "$emul_dir/matrix" -q --build "$build" --group kernels --must-work \
            --timeout 240 "$@" --only "$only" "$program" >"$work/suite.$room" 2>&1 &&
            continue
        echo "== $name"
        cat "$work/suite.$room"
        bad=$((bad + 1))
    done
    return $bad
}
