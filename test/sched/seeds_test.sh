#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=600
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
export here build TEST_SCALE=5 CK_DEFAULT_TIMEOUT=20
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
export work

# PROGRAM KIND...: its tests of these kinds, in a line.
listed() {
    local program=$1
    shift
    awk -F '\t' -v p="$program" -v kinds=" $* " '
        !/^#/ && $1 == p && index(kinds, " " $3 " ") { print $2 }
        ' "$here/seeds.exempt" | paste -sd ' '
}

# SEED PROGRAM
one() {
    local seed=$1 program=$2 kinds=(never some) exclude out status
    out=$work/$1.${2//\//.}
    [ $((seed % 20)) != 0 ] || kinds=(never)
    exclude=$(listed "$program" "${kinds[@]}")
    CK_EXCLUDE_TAGS=$exclude TUZASIM=$seed timeout 120 \
        "$build/test/${program}_test" >"$out" 2>"$out.err" </dev/null
    status=$?
    if [ $status != 0 ] || ! grep -aqE '^100%: Checks: [0-9]' "$out"; then
        echo "FAILED: status $status: TUZASIM=$seed TEST_SCALE=$TEST_SCALE" \
            "CK_EXCLUDE_TAGS='$exclude' $build/test/${program}_test"
        grep -aE '^[^ ]+:[0-9]+:[FE]:' "$out" | head -5 | cut -c 1-300
        grep -a '^tuza: ' "$out.err" | head -5 | cut -c 1-300
    fi
    sed -n 's/^[0-9]*%: Checks: \([0-9]*\),.*/\1/p' "$out" >>"$work/done"
    rm -f "$out" "$out.err"
}
export -f one listed

for ((seed = first; seed <= last; seed++)); do
    printf "$seed %s\n" "${programs[@]}"
done | xargs -P "$(nproc)" -n 2 bash -c 'one "$@"' one >"$work/failures"

ran=$(wc -l <"$work/done")
tests=$(awk '{ n += $1 } END { print n + 0 }' "$work/done")
head -n 60 "$work/failures"
failed=$(grep -c '^FAILED' "$work/failures")
echo "$tests tests under seeds $first to $last, $failed programs failed"
[ "$failed" = 0 ] && [ "$tests" -gt $(((last - first + 1) * 100)) ] &&
    [ "$ran" = $(((last - first + 1) * ${#programs[@]})) ]
