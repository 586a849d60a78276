#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=1200
#
# Makes each mistake of model/mutants.tsv in a copy of the source, and demands
# of the test that is named there that it fails; that it passes without the
# mistake shows its own run by ctest.
# Only that file is compiled anew, as the build compiles it for the explorer. A
# text that is not in its function exactly once is a complaint: the list is to
# follow the sources.
#
# Every third of them, or as SHARE says; of the others only that their text is there.
# `make soak` tries all. MUTANTS='12 13' tries
# these lines of the list alone; LOUD=1 shows schedules.
set -u
src_dir=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILD_DIR:-$src_dir/build/release}
list=$src_dir/model/mutants.tsv
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-120}
unset MODEL_REPLAY MODEL_SECONDS MODEL_SEED
failed=0 tried=0

complain() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# The command by which the build compiles SOURCE for the explorer, less its
# output.
command_for() { # SOURCE
    awk -v file="$src_dir/$1" '
        /^ *"command": "/ {
            command = $0
            sub(/^ *"command": "/, "", command)
            sub(/",?$/, "", command)
        }
        $0 ~ /^ *"file": "/ && index($0, "\"" file "\"") &&
        command ~ /-fsanitize=thread/ {
            gsub(/\\"/, "\"", command)
            sub(/ -o [^ ]+/, "", command)
            sub(/ -c [^ ]+/, "", command)
            print command
            exit
        }' "$build/compile_commands.json"
}

# SOURCE with the one TEXT in FUNCTION replaced, to standard output.
mutate() { # SOURCE FUNCTION TEXT REPLACEMENT
    fn=$2 text=$3 new=$4 awk '
        BEGIN {
            fn = ENVIRON["fn"]
            text = ENVIRON["text"]
            new = ENVIRON["new"]
        }
        /^[A-Za-z_].*\(/ { inside = $0 ~ ("(^|[ *])" fn "\\(") }
        inside && (at = index($0, text)) {
            found++
            $0 = substr($0, 1, at - 1) new substr($0, at + length(text))
        }
        { print }
        /^}/ { inside = 0 }
        END { exit found != 1 }' "$src_dir/$1"
}

# Compiles and links the program of TEST with the copy in place of SOURCE.
make_program() { # TEST SOURCE COPY
    local command objects=()
    command=$(command_for "$2")
    [ -n "$command" ] || { echo "$2 is not explored in $build"; return 1; }
    (cd "$build" && eval "$command -w -c '$3' -o '$work/mutant.o'") || return 1
    # A name that is defined already takes no member of the library.
    [ "$2" = src/mem/persist.c ] || [ "$1" != persist ] ||
        objects=("$build"/CMakeFiles/model_persist.dir/src/mem/*.o)
    # shellcheck disable=SC2046
    ${command%% *} -pthread -o "$work/program" \
        "$build/CMakeFiles/test_model_$1.dir/test/model/$1_test.c.o" \
        "$work/mutant.o" "${objects[@]}" "$build/libmodel.a" \
        $(pkg-config --libs check)
}

# 0: the test fails; 1: it passes; 2: there is none.
fails() { # PROGRAM TEST
    CK_RUN_CASE=$2 timeout 200 "$1" >"$work/out" 2>&1
    grep -q 'Checks: 1, ' "$work/out" || return 2
    grep -qE 'Failures: 1|Errors: 1' "$work/out"
}

try() { # NUMBER TEST NAME SOURCE FUNCTION TEXT REPLACEMENT
    local what="$1: $4: $5: $6 -> $7"
    tried=$((tried + 1))
    if ! mutate "$4" "$5" "$6" "$7" >"$work/$(basename "$4")"; then
        complain "$what: the text is not there exactly once"
        return
    fi
    if ! make_program "$2" "$4" "$work/$(basename "$4")" >"$work/log" 2>&1; then
        complain "$what: no program"
        cat "$work/log"
        return
    fi
    fails "$work/program" "$3"
    case $? in
    0) echo "$1: $2: $(sed -nE 's/.*:[FE]:[^:]*:[^:]*:[0-9]*: //p' \
        "$work/out" | head -1)" ;;
    1) complain "$what: $3 does not find it"; tail -5 "$work/out" ;;
    2) complain "$what: $2 has no test $3" ;;
    esac
    [ -z "${LOUD:-}" ] || cat "$work/out"
}

number=0
while IFS=$'\t' read -r test name source function text new; do
    number=$((number + 1))
    case $test in '' | '#'*) continue ;; esac
    if [ -z "${MUTANTS:-}" ] && [ $((number % ${SHARE:-3})) != 0 ]; then
        mutate "$source" "$function" "$text" "$new" >/dev/null ||
            complain "$number: $source: $function: $text: not there exactly once"
        continue
    fi
    case " ${MUTANTS:-$number} " in
    *" $number "*) try $number "$test" "$name" "$source" "$function" "$text" \
        "$new" ;;
    esac
done <"$list"
[ -n "${MUTANTS:-}" ] || [ "$tried" -ge 20 ] || complain "$tried mutants were tried"

# What is not wrong is not found, and a text that is gone is told.
before=$failed
try 0 note a_sleeper_wakes_once_it_is_woken_and_not_before src/os/note.c \
    tz_note_wake 'old != 0' '0 != old' >"$work/self"
try 0 note a_sleeper_wakes_once_it_is_woken_and_not_before src/os/note.c \
    tz_note_wake 'no such text' '' >>"$work/self"
if [ $failed != $((before + 2)) ]; then
    cat "$work/self"
    failed=$before
    complain "the harness takes anything"
else
    failed=$before
fi
echo "$tried trials, $failed complaints"
[ $failed = 0 ]
