#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=1200
#
# The suite's concurrent programs pass in a simulation (TUZASIM) whatever its
# seed: 200 of them, 1 to 200, or as SEEDS="FIRST LAST" says. `seeds.exempt` tells
# which tests run under no seed, or under every twentieth, and why. A failure is
# told with the command that repeats it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build/release}
read -r first last <<<"${SEEDS:-1 200}"
programs=(chan/chan chan/select sync/mutex sync/sema sync/waitgroup time/sleep
    time/heap go/chan go/ken go/powser go/programs go/sync go/sleep sched/park
    sched/spawn sched/switch sched/handover api/chan api/go)
export TEST_SCALE=5 CK_DEFAULT_TIMEOUT=20
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

# PROGRAM KIND...: its tests of these kinds, in a line.
listed() {
    local program=$1
    shift
    awk -F '\t' -v p="$program" -v kinds=" $* " '
        !/^#/ && $1 == p && index(kinds, " " $3 " ") { print $2 }
        ' "$here/seeds.exempt" | paste -sd ' '
}

# A name there that is no test's would exempt nothing.
stale=0
while IFS=$'\t' read -r program name _; do
    grep -qwF -- "$name" "$here/../${program}_test.c" && continue
    echo "FAILED: seeds.exempt: $program has no test $name"
    stale=1
done < <(grep -v '^#' "$here/seeds.exempt")

declare -A never never_or_some
for program in "${programs[@]}"; do
    never[$program]=$(listed "$program" never)
    never_or_some[$program]=$(listed "$program" never some)
done

# SEED PROGRAM OUT EXCLUDE: how to see it again, and what it said.
tell() {
    echo "FAILED: TUZASIM=$1 TEST_SCALE=$TEST_SCALE CK_EXCLUDE_TAGS='$4'" \
        "$build/test/$2_test"
    grep -aE '^[^ ]+:[0-9]+:[FE]:' "$3" | head -5 | cut -c 1-300
    grep -a '^tuza: ' "$3.err" | head -5 | cut -c 1-300
}

# WORKER WORKERS: every so manieth seed. As few processes as can be.
worker() {
    local seed program out=$work/out.$1 exclude lines
    for ((seed = first + $1; seed <= last; seed += $2)); do
        for program in "${programs[@]}"; do
            exclude=${never_or_some[$program]}
            [ $((seed % 20)) != 0 ] || exclude=${never[$program]}
            CK_EXCLUDE_TAGS=$exclude TUZASIM=$seed "$build/test/${program}_test" \
                >"$out" 2>"$out.err" </dev/null
            mapfile -t lines <"$out"
            if [[ "${lines[*]: -1}" =~ ^100%:\ Checks:\ ([0-9]+) ]]; then
                echo "${BASH_REMATCH[1]}"
            else
                tell "$seed" "$program" "$out" "$exclude"
            fi
        done
    done >"$work/done.$1"
}

workers=$(nproc)
for ((i = 0; i < workers; i++)); do
    worker "$i" "$workers" &
done
wait
cat "$work"/done.* >"$work/done"
grep -vE '^[0-9]+$' "$work/done" | head -60
tests=$(awk '/^[0-9]+$/ { n += $1 } END { print n + 0 }' "$work/done")
ran=$(grep -cE '^[0-9]+$' "$work/done")
want=$(((last - first + 1) * ${#programs[@]}))
echo "$tests tests under seeds $first to $last, $((want - ran)) programs failed"
[ $stale = 0 ] && [ "$ran" = $want ] && [ "$tests" -gt $(((last - first + 1) * 100)) ]
