#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=600
#
# Brings the known mistakes of test/house/defects.tsv back, one at a time, and
# demands of the test that is named there that it fails; without the mistake it
# passes. Only the one source file is compiled anew, as the build compiles it;
# the rest are the objects of BUILD_DIR. Some mistakes are races: a test may
# need several runs before it fails.
#
# Each mistake of $all must have a line. DEFECTS='D6 D7' tries these alone.
set -u
src_dir=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILD_DIR:-$src_dir/build/release}
all='D1 D2 D3 D6 D7 D8 D9 D12 D13 D14 D17 D18 D20'
runs=20
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-30}
failed=0 tried=0

complain() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# The command by which the build compiles SOURCE, less its output.
command_for() { # SOURCE
    awk -v file="$src_dir/$1" '
        /^ *"command": "/ {
            command = $0
            sub(/^ *"command": "/, "", command)
            sub(/",?$/, "", command)
        }
        $0 ~ /^ *"file": "/ && index($0, "\"" file "\"") {
            gsub(/\\"/, "\"", command)
            sub(/ -o [^ ]+/, "", command)
            print command
            exit
        }' "$build/compile_commands.json"
}

# Links the program of TEST with SOURCE's DEFECT, if it has a number, in place of SOURCE.
make_program() { # DEFECT SOURCE TEST PROGRAM
    local command target object rest
    command=$(command_for "$2")
    [ -n "$command" ] || { echo "$2 is not compiled in $build"; return 1; }
    (cd "$build" && eval "$command ${1:+-DTZ_DEFECT_ON=${1#D}} -o '$work/defect.o'") ||
        return 1
    target=${3#test/}
    target=test_$(tr / _ <<<"${target%_test.c}")
    object=$build/CMakeFiles/$target.dir/$3.o
    [ -f "$object" ] || { echo "$object: not built"; return 1; }
    if head -5 "$src_dir/$3" | grep -qE '^// test: .*parts'; then
        # Where names are defined already, no member of the library is taken.
        rest=$build/libtuza_internal.a
    else
        rest=$(cd "$build/CMakeFiles/tuza_objects.dir" &&
            find . -name '*.o' | sed 's,^\./,,' | while read -r o; do
                [ "$o" != "$2.o" ] && [ -f "$src_dir/${o%.o}" ] &&
                    echo "$build/CMakeFiles/tuza_objects.dir/$o"
            done)
    fi
    # shellcheck disable=SC2046,SC2086
    ${command%% *} -pthread -o "$4" "$object" "$work/defect.o" \
        "$build/libtest_support.a" $rest $(pkg-config --libs check)
}

# 0: it fails; 1: it passes each time; 2: it does not run at all.
fails() { # PROGRAM TEST TIMES
    local i
    for ((i = 0; i < $3; i++)); do
        CK_RUN_CASE=$2 timeout 120 "$1" >"$work/out" 2>&1
        if ! grep -q 'Checks: 1, ' "$work/out"; then
            return 2
        elif grep -qE 'Failures: 1|Errors: 1' "$work/out"; then
            return 0
        fi
    done
    return 1
}

try() { # DEFECT SOURCE TEST NAME
    local program=$build/${3%.c}
    tried=$((tried + 1))
    if [ ! -x "$program" ]; then
        complain "$1: $program is not built"
        return
    fi
    rm -f "$work"/*_module.so # of the one before
    [ ! -f "${program%_test}_module.so" ] || cp "${program%_test}_module.so" "$work"
    if ! make_program "" "$2" "$3" "$work/program" >"$work/log" 2>&1; then
        complain "$1: no program without it"
        cat "$work/log"
        return
    fi
    fails "$work/program" "$4" 1
    case $? in
    0) complain "$1: $4 fails without it"; cat "$work/out"; return ;;
    2) complain "$1: $3 has no test $4"; return ;;
    esac
    if ! make_program "$1" "$2" "$3" "$work/program" >"$work/log" 2>&1; then
        complain "$1: no program"
        cat "$work/log"
        return
    fi
    fails "$work/program" "$4" "$runs"
    case $? in
    0) echo "$1: $4 notices: $(sed -n 's/.*:[FE]:[^:]*:[^:]*:[0-9]*: //p' \
        "$work/out" | head -1)" ;;
    1) complain "$1: $4 does not notice it in $runs runs" ;;
    2) complain "$1: the program of $3 does not run"; cat "$work/out" ;;
    esac
}

# Calls ACTION with the columns of each line.
each_line() { # ACTION
    while IFS=$'\t' read -r defect source test name; do
        case $defect in '' | '#'*) continue ;; esac
        "$1" "$defect" "$source" "$test" "$name"
    done <"$src_dir/test/house/defects.tsv"
}

wanted() {
    case " ${DEFECTS:-$1} " in *" $1 "*) try "$@" ;; esac
}

# That it complains: of a mistake that is none, and of a test that is not there.
complains() { # DEFECT SOURCE TEST NAME
    local before=$failed runs=2
    try D0 "$2" "$3" "$4" >"$work/self"
    try "$1" "$2" "$3" no_such_test >>"$work/self"
    if [ $failed != $((before + 2)) ]; then
        cat "$work/self"
        failed=$before
        complain "the harness takes anything"
    else
        failed=$before
    fi
}

each_line wanted
table=$src_dir/test/house/defects.tsv
# shellcheck disable=SC2046
complains $(grep -v '^#' "$table" | head -1)
for defect in $all; do
    grep -q "^$defect"$'\t' "$table" || complain "$defect has no line"
done
echo "$tried trials, $failed complaints"
[ $failed = 0 ]
