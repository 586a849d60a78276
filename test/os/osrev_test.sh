#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# The files src/os/vm_stack_<system>.c of other systems are compiled with the
# numbers of their headers (test/os/openbsd, test/os/freebsd) and run here.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 cc=${CC:-gcc}
flags=(-std=gnu11 -O1 -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror
    -pthread -D_GNU_SOURCE -DTZ_CPU=amd64 -Uamd64 -Isrc -Iinclude)

complain() {
    echo "FAILED: $*"
    failed=1
}

# The program with the file of SYSTEM, its headers before this system's.
make_program() { # SYSTEM FILE
    "$cc" "${flags[@]}" -isystem "test/os/$1" -c -o "$work/$1.o" "$2" &&
        "$cc" "${flags[@]}" -o "$work/$1" test/os/osrev.c "$work/$1.o" \
            "$build/libtuza_internal.a"
}

answers() { # SYSTEM VERSION WANTED
    local got
    got=$(TUZADEBUG=${debug:-} "$work/$1" "$2")
    [ "$got" = "$3" ] || complain "$1 $2: '$got', not '$3'"
}

s1_01_each_system_has_its_own_mark() {
    local file
    answers openbsd 201805 '4000 1 3 3 3'
    # No mark means none, even if somebody wants remapping.
    debug=mapstack=1 answers freebsd -1 '0 0 3 3 0'
    # The name stands in no file of other systems.
    for file in src/*/*.[chS]; do
        case $file in *_linux.[chS] | *_openbsd.[chS]) continue ;; esac
        sed 's,//.*,,' "$file" | grep -q 'MAP_STACK\|MAP_GROWSDOWN' &&
            complain "$file uses MAP_STACK"
    done
    # A wrong number does not compile.
    mkdir -p "$work/wrong/sys"
    cp test/os/openbsd/sys/sysctl.h "$work/wrong/sys"
    sed 's/0x4000/0x20000/' test/os/openbsd/sys/mman.h >"$work/wrong/sys/mman.h"
    "$cc" "${flags[@]}" -isystem "$work/wrong" -c -o "$work/wrong.o" \
        src/os/vm_stack_openbsd.c 2>"$work/err" &&
        complain "another number compiles"
    grep -q 'not another system' "$work/err" || complain "$(cat "$work/err")"
}

s1_02_a_version_that_is_not_told_counts_as_old() {
    answers openbsd -1 '0 1 0 0 0'
}

s1_03_below_the_version_nothing_is_remapped() {
    answers openbsd 201804 '0 1 0 0 0'
    answers openbsd 201805 '4000 1 3 3 3'
    answers openbsd 202410 '4000 1 3 3 3'
    # Asked for on a system that has no mark: the same calls without it.
    debug=mapstack=1 answers openbsd 201804 '0 1 3 3 0'
}

make_program openbsd src/os/vm_stack_openbsd.c || exit 1
make_program freebsd src/os/vm_stack_generic.c || exit 1
s1_01_each_system_has_its_own_mark
s1_02_a_version_that_is_not_told_counts_as_old
s1_03_below_the_version_nothing_is_remapped
exit $failed
