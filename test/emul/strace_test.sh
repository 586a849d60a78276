#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=1200
#
# Nothing goes round the table of calls for memory: of wordfreq, and of tests of
# the public face (ALL=1, as in the soak: of every one), the calls that the kernel
# gets from libtuza.so are those that the runtime counts. What is compared is in
# strace.awk.
. "$(dirname "$0")/helpers.bash"
src=${SRC_DIR:?is set by ctest}
here=$(cd "$(dirname "$0")" && pwd)
export CK_DEFAULT_TIMEOUT=120
calls=mmap,munmap,mprotect,madvise,mremap,brk
trace=(strace -f -k -qq -e "trace=$calls,openat,clone,clone3,fork,vfork")

skip() {
    echo "$*"
    exit 77
}
command -v strace >/dev/null || skip "no strace: apt-get install strace"
strace -f -k -o "$work/log" true 2>"$work/err" ||
    skip "strace cannot trace here: $(head -n 1 "$work/err")"
grep -q '^ > .*libc' "$work/log" || skip "this strace has no -k"

# NAME LIBRARIES SOURCE...: builds $work/NAME as a user would.
built() {
    local name=$1 libs=$2
    shift 2
    # shellcheck disable=SC2086 # several
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -g -I"$src/include" \
        -I"$src/test" "$@" -o "$work/$name" -L"$build" -ltuza \
        -Wl,-rpath,"$build" $libs -pthread >"$work/err" 2>&1 && return
    fail "$name does not compile"
    head -n 20 "$work/err"
    return 1
}

# NAME OWN [ARGUMENT...]: traces $work/NAME, whose processes must all have equal
# counts, but for those that a signal kills and OWN which set TUZADEBUG. A call
# may be on its way in another thread while the process ends, counted and not
# made yet: that is tried again, a way round the table would show each time.
compared() {
    local try
    ran=$((ran + 1))
    for try in 1 2 3 4; do
        compared_once "$@" && return
        echo "try $try"
    done
    fail "$1: counts differ"
}

# Cases that ask how soon something happens: not under a tracer.
export CK_EXCLUDE_TAGS="an_idle_program_gives_its_garbage_back
    an_idle_program_of_two_ps_does_so_too"

compared_once() {
    local name=$1 own=$2 counts=$work/$1.counts log=$work/$1.log
    shift 2
    : >"$counts"
    TUZADEBUG=oscount=$counts "${trace[@]}" -o "$log" "$work/$name" "$@" \
        >"$work/out" 2>"$work/err" || {
        head -n 20 "$work/out" "$work/err"
        grep -q '^strace: ' "$work/err" && return 1 # its own trouble: once more
        fail "$name, traced"
    }
    awk -v counts="$counts" -f "$here/strace.awk" "$counts" "$log" "$log" |
        LC_ALL=C sort >"$work/sums"
    awk -v own="$own" -v name="$name" '
        { n[$1]++ }
        / (mremap|brk)=[1-9]/ { print "round the table: " $0; bad = 1 }
        $1 == "DIFFERENT" { print; bad = 1 }
        $1 == "untold" && !/killed by/ && own-- <= 0 { print; bad = 1 }
        END {
            print name ": " n["equal"] + 0 " processes equal, " n["untold"] + 0 \
                " did not tell"
            exit bad || !n["equal"]
        }' "$work/sums"
}

s0_16_nothing_goes_round_the_table() {
    local file name
    small_tree "$work/tree"
    built wordfreq '' "$src"/examples/wordfreq/*.c &&
        compared wordfreq 0 "$work/tree"
    built grow '' "$src/test/emul/grow.c" && compared grow 0 100
    for file in "$src"/test/api/*_test.c; do
        case ${ALL:-few}:$file in
        few:*/chan_test.c | few:*/mem_test.c | few:*/run_test.c) ;;
        few:*) continue ;;
        esac
        grep -qE '#include "(base|os|mem|stack|sched|gc)/' "$file" && continue
        grep -q '#include "support/api_check.h"' "$file" || continue
        name=$(basename "$file" .c)
        built "$name" "$(pkg-config --libs check)" "$file" \
            "$src/test/support/api_check.c" &&
            compared "$name" "$(grep -c 'setenv("TUZADEBUG"' "$file")"
    done
}

# The comparison can fail: calls of a library that the script takes for ours, by
# its name, do not go through the table.
a_call_round_the_table_is_found() {
    mkdir "$work/aside"
    printf '%s\n' '#include <sys/mman.h>' 'void round_it(void);' \
        'void round_it(void) { munmap(mmap(0, 4096, PROT_READ, MAP_PRIVATE |' \
        'MAP_ANONYMOUS, -1, 0), 4096); }' >"$work/aside/lib.c"
    printf '%s\n' '#include <tuza.h>' 'void round_it(void);' \
        'TUZA_MAIN { round_it(); return 0; }' >"$work/aside/main.c"
    ran=$((ran + 1))
    "${CC:-cc}" -shared -fPIC -O0 "$work/aside/lib.c" -o "$work/aside/libtuza.so.round"
    built round "$work/aside/libtuza.so.round" "$work/aside/main.c" || return
    (compared round 0) >"$work/found" 2>&1
    grep -q '^DIFFERENT' "$work/found" && return
    fail "a call round the table is not found"
    head -n 5 "$work/found"
}

s0_16_nothing_goes_round_the_table
a_call_round_the_table_is_found
verdict
