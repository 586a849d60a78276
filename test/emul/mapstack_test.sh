#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=1200
#
# C test programs, and every example, with TUZADEBUG=mapstack=1 on a kernel that
# polices the stack pointer (emul-police): no violation, and the same end as
# elsewhere, but for the tests that `exempt.police` lists. Without the remap a
# goroutine's first system call is the end.
#
# The programs of the rooms that make stacks and threads, less what takes long;
# ALL=1, as in the soak: every one.
. "$(dirname "$0")/helpers.bash"
police=$emul/emul-police
exempt=$(dirname "$0")/exempt.police
examples=$build/examples/wordfreq
export TUZADEBUG=mapstack=1
export CK_DEFAULT_TIMEOUT=120
ends "ptrace" 0 "$police" -- true
if [ $failed != 0 ]; then
    echo "no ptrace or seccomp here: $(cat "$work/err")"
    exit 77
fi

# PROGRAM: the tests of it that are exempt, in a line.
exempt_of() {
    awk -F '\t' -v p="$1" '
        !/^#/ && ($1 == p || $1 == substr(p, 1, index(p, "/")) "*") {
            print $2
        }' "$exempt" | paste -sd ' '
}

# PROGRAM, as room/name: a complaint, or nothing. Says how often it looked.
one() {
    local name=$1 out=$work/${1//\//.} status
    # Descriptor 3 is libcheck's file of notes, the first that it opens.
    CK_EXCLUDE_TAGS=$(exempt_of "$name") timeout 250 "$police" --tell --log 3 \
        -- "$build/test/$name" >"$out" 2>"$out.err" </dev/null
    status=$?
    if [ $status != 0 ]; then
        echo "FAILED: $name: status $status"
        grep -a 'is no stack memory' "$out.err" | head -5
        grep -aE '^[^ ]+:[0-9]+:[FE]:' "$out" | head -5
        tail -n 3 "$out.err" | cut -c 1-300
    elif ! grep -aqE '^100%: Checks: [1-9]' "$out"; then
        echo "FAILED: $name ran no test: $(tail -n 1 "$out")"
    elif ! grep -aq '^emul-police: looked at [1-9]' "$out.err"; then
        echo "FAILED: nobody looked at $name"
    fi
    echo "$name" >>"$work/done"
}

few='api chan diag go sched split stack sync time'
long='api/limit diag/cpuprof go/proc sched/park sched/stw sched/syscall split/run
    stack/stackpool stack/vmas'

# Whether `make test` runs PROGRAM.
is_short() {
    case " $few " in *" ${1%%/*} "*) ;; *) return 1 ;; esac
    case " $(echo $long) " in *" ${1%_test} "*) return 1 ;; esac
}

programs() {
    local program name
    for program in "$build"/test/*/*_test; do
        name=$(basename "$(dirname "$program")")/$(basename "$program")
        [ -n "${ALL:-}" ] || is_short "$name" || continue
        [ "$(exempt_of "$name")" = '*' ] || echo "$name"
    done
}

s1_11_the_suite_has_no_violation() {
    export -f one exempt_of
    export build work police exempt
    programs >"$work/programs"
    xargs -P 2 -n 1 bash -c 'one "$1"' - <"$work/programs" >"$work/said"
    ran=$((ran + $(wc -l <"$work/programs")))
    cat "$work/said"
    failed=$((failed + $(grep -c '^FAILED' "$work/said")))
    [ "$(sort "$work/done")" = "$(sort "$work/programs")" ] ||
        fail "not all have run"
    [ "$(wc -l <"$work/programs")" -ge 40 ] || fail "few programs"
}

s1_11_examples_have_no_violation() {
    small_tree "$work/tree"
    [ -x "$examples" ] || { fail "$examples: not built"; return; }
    ends wordfreq 0 "$police" -- "$examples" "$work/tree"
    ends parked 0 "$police" -- "$emul/parked" 2000
    ends grow 0 "$police" -- "$emul/grow" 64
}

# The object of vm_stack.c with the remap left out, in the place of the other.
without_the_remap() { # PROGRAM
    local source=src/os/vm_stack.c command root
    root=$(cd "$(dirname "$0")/../.." && pwd)
    command=$(awk -v file="$root/$source" '
        /^ *"command": "/ {
            c = $0
            sub(/^ *"command": "/, "", c)
            sub(/",?$/, "", c)
        }
        $0 ~ /^ *"file": "/ && index($0, "\"" file "\"") {
            gsub(/\\"/, "\"", c)
            sub(/ -o [^ ]+/, "", c)
            print c
            exit
        }' "$build/compile_commands.json")
    (cd "$build" &&
        eval "$command -DTZ_DEFECT_ON=12 -o '$work/vm_stack.o'") || return 1
    # shellcheck disable=SC2046
    "${command%% *}" -pthread -I"$root/include" -o "$1" \
        "$root/test/emul/parked.c" "$work/vm_stack.o" $(
            cd "$build/CMakeFiles/tuza_objects.dir" &&
                find "$PWD" -name '*.o' ! -name vm_stack.c.o
        )
}

s1_11_without_the_remap_it_is_the_end() {
    without_the_remap "$work/parked" || { fail "no program"; return; }
    ends "alone" 0 "$work/parked" 100
    ends "policed" 98 "$police" -- "$work/parked" 100
    said "policed" 'is no stack memory: '
    # Where nobody asks for a remap the first mapping has the mark already.
    TUZADEBUG='' ends "not asked" 0 "$police" -- "$work/parked" 100
}

# Each way in which settings make stacks come from elsewhere. No debug mode
# takes memory for stacks past slabs and spans.
s1_15_settings_and_debug_modes_have_no_violation() {
    local setting
    for setting in TUZADEBUG=efence=1 TUZADEBUG=stress=gc \
        TUZADEBUG=stress=yield TUZADEBUG=stress=steal TUZADEBUG=oscalls=raw \
        TUZADEBUG=madvfree=1 TUZASTACKGUARD=mprotect TUZASTACKGUARD=off \
        TUZASTACK=16K TUZASTACK=8M; do
        case $setting in TUZADEBUG=*) setting+=,mapstack=1 ;; esac
        ends "$setting" 0 env "$setting" "$police" -- "$emul/parked" 200
        said "$setting" 'hello from 200 goroutines'
        ends "$setting, no remap" 98 env "$setting" \
            "$police" -- "$work/parked" 200
    done
}

s1_11_without_the_remap_it_is_the_end
s1_15_settings_and_debug_modes_have_no_violation
s1_11_examples_have_no_violation
s1_11_the_suite_has_no_violation
verdict
