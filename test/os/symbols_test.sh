#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Each primitive of memory is defined exactly once in what is built for a
# platform, and every platform that a compiler is there for offers the same
# functions to set hooks.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# The functions that a header declares.
declared() {
    sed -n 's/^[A-Za-z_].*[ *]\(tu\?z[a-z_]*\)(.*/\1/p' "$@" | sort -u
}

# Strong definitions in objects: a name a line.
defined() {
    nm --defined-only "$@" | awk '$2 == "T" { print $3 }'
}

once() { # NAMES OBJECT...
    local names=$1 name n
    shift
    defined "$@" >"$work/defined"
    for name in $names; do
        n=$(grep -cx "$name" "$work/defined")
        [ "$n" = 1 ] && continue
        echo "$name: defined $n times"
        failed=1
    done
}

s0_12_each_primitive_is_defined_once() {
    local names objects
    names=$(declared src/os/vm.h src/os/vm_fixed.h src/os/vm_sys.h \
        src/os/vm_hook.h src/os/port.h include/tuza/os.h)
    [ "$(wc -w <<<"$names")" -ge 30 ] || { echo "few names: $names"; exit 1; }
    mapfile -t objects < <(find "$build/CMakeFiles/tuza_objects.dir" \
        -name '*.o' | while read -r object; do
        source=${object#"$build"/CMakeFiles/tuza_objects.dir/}
        [ -f "${source%.o}" ] && echo "$object"
    done)
    once "$names" "${objects[@]}"
}

s0_11_every_platform_offers_the_hooks() {
    local cc cpu file names tried=0
    names=$(declared include/tuza/os.h)
    while read -r cpu cc; do
        # shellcheck disable=SC2086 # compiler and option
        echo '#include <errno.h>' | $cc -x c -fsyntax-only - 2>/dev/null ||
            continue
        rm -rf "$work/o" && mkdir "$work/o"
        for file in src/os/vm*.c src/os/env*.c; do
            [[ $file == *_linux.c || ${file##*/} != *_*bsd.c ]] || continue
            # shellcheck disable=SC2086
            $cc -std=gnu11 -O1 -w -pthread -fvisibility=hidden -D_GNU_SOURCE \
                -DTZ_CPU="$cpu" "-U$cpu" -Isrc -Iinclude -c \
                -o "$work/o/$(basename "$file").o" "$file" \
                2>"$work/err" && continue
            if grep -q 'base/cpu' "$work/err"; then
                continue 2 # not a CPU of ours yet
            fi
            echo "$cc: $file does not compile"
            head -n 5 "$work/err"
            failed=1
        done
        once "$names" "$work"/o/*.o
        tried=$((tried + 1))
    done <<'CC'
amd64 gcc -m64
amd64 clang -m64
i386 gcc -m32
arm64 aarch64-linux-gnu-gcc
arm arm-linux-gnueabihf-gcc
riscv64 riscv64-linux-gnu-gcc
ppc64le powerpc64le-linux-gnu-gcc
CC
    [ "$tried" -ge 1 ] || { echo "no compiler works"; failed=1; }
    for name in $names; do
        nm -D --defined-only "$build/libtuza.so" | grep -q " $name@*" &&
            continue
        echo "$name: not exported"
        failed=1
    done
    echo "the hooks are there on $tried platforms"
}

s0_12_each_primitive_is_defined_once
s0_11_every_platform_offers_the_hooks
exit $failed
