#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=600
#
# User's programs of split code, as the compiler and the linker make them: at
# each level of optimisation, with each linker that is here, as executables that
# are position-independent, static or neither, with shared libraries that are
# split code, and that are not.
set -u
src=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILD_DIR:-$src/build/release}
programs=$src/test/split/programs
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 passed=0
shared=(-L"$build" -ltuza_split -ltuza -Wl,-rpath,"$build" -pthread)
static=("$build/libtuza_split.a" "$build/libtuza.a" -pthread)
flags=(-g -Wall -Wextra -I"$src/include")

echo 'int main(void) { return 0; }' >"$work/try.c"
if ! gcc -fsplit-stack "$work/try.c" -o "$work/try" "${static[@]}" \
    2>"$work/said"; then
    echo "no -fsplit-stack here: $(head -n 1 "$work/said")"
    exit 77
fi

fail() { # WHAT...: with the start of what was said
    echo "FAILED: $*"
    head -n 15 "$work/said"
    failed=$((failed + 1))
}

# Runs it with an end in sight; it has to print the text and exit with 0.
run() { # NAME TEXT PROGRAM [ARG...]
    local name=$1 text=$2
    shift 2
    if ! timeout 60 "$@" >"$work/said" 2>&1 || ! grep -qx "$text" "$work/said"
    then
        fail "$name: no '$text'"
    else
        passed=$((passed + 1))
    fi
}

compile() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >"$work/said" 2>&1 && [ ! -s "$work/said" ] && return
    fail "$name: does not compile: $*"
    return 1
}

cc_for() { # SOURCE: the compiler
    [[ $1 == *.cpp ]] && echo g++ -std=c++17 || echo gcc -std=gnu11
}

each() { # NAME OPTION...: all the programs
    local name=$1 program source
    shift
    for program in shapes libc throws; do
        source=$(echo "$programs/$program".c*)
        # shellcheck disable=SC2046 # words of a command
        compile "$name $program" $(cc_for "$source") -fsplit-stack \
            "${flags[@]}" "$source" -o "$work/$program" "$@" || continue
        run "$name $program" "$program: 0" "$work/$program"
    done
}

every_level_of_optimisation() {
    local level
    for level in -O0 -O1 -O2 -O3 -Os; do
        each "$level" $level "${static[@]}"
    done
}

every_linker() {
    local linker
    for linker in bfd gold lld mold; do
        command -v "ld.$linker" >/dev/null || command -v "$linker" >/dev/null ||
            { echo "no $linker here"; continue; }
        each "$linker" -O2 -fuse-ld=$linker "${static[@]}"
        each "$linker, shared" -O2 -fuse-ld=$linker "${shared[@]}"
    done
}

every_kind_of_executable() {
    each "no PIE" -O2 -no-pie "${static[@]}"
    each "lazy" -O2 -Wl,-z,lazy "${shared[@]}"
    each "protected" -O2 -fstack-protector-strong -fstack-clash-protection \
        -D_FORTIFY_SOURCE=2 "${static[@]}"
    each "frame pointers" -O2 -fno-omit-frame-pointer "${static[@]}"
    each "AVX-512 as there is" -O3 -march=native "${static[@]}"
}

# A library of split code has its own copy of libtuza_split.a.
s3_10_split_and_plain_code_mix() {
    local so exe opt depths
    for so in split plain; do
        for exe in split plain; do
            # What is plain has 64 KiB for its frames of some 150 bytes.
            opt=() depths=(300 300 0)
            [ $exe = split ] && depths=(1500 300 2)
            [ $so = split ] && depths=(300 1500 2) && opt=(-fsplit-stack)
            compile "$so library" gcc -O1 "${flags[@]}" "${opt[@]}" -fPIC \
                -shared "$programs/shared.c" -o "$work/libuser.so" \
                $([ $so = plain ] || echo "$build/libtuza_split.a") \
                -L"$build" -ltuza || continue
            opt=()
            [ $exe = split ] && opt=(-fsplit-stack)
            compile "$exe user of a $so library" gcc -O1 "${flags[@]}" \
                "${opt[@]}" "$programs/user.c" -o "$work/user" \
                -L"$work" -luser -Wl,-rpath,"$work" \
                $([ $exe = plain ] || echo -L"$build" -ltuza_split) \
                -L"$build" -ltuza -Wl,-rpath,"$build" -pthread || continue
            run "$exe user of a $so library" "user: 0" "$work/user" \
                "${depths[@]}"
        done
    done
}

# Without the flag nothing of it is there.
s3_10_plain_code_is_the_default() {
    compile plain gcc -O2 "${flags[@]}" "$programs/user.c" "$programs/shared.c" \
        -o "$work/plain" "$build/libtuza.a" -pthread || return
    run plain "user: 0" "$work/plain" 300 300 0
    if nm "$work/plain" | grep -q ' __morestack'; then
        fail "plain: has __morestack"
    fi
}

# As it is told in docs/split.md: from an installed tree.
s3_10_the_flags_of_pkg_config_are_enough() {
    command -v pkg-config >/dev/null || { echo "no pkg-config here"; return; }
    cmake --install "$build" --prefix "$work/prefix" >"$work/said" 2>&1 ||
        { fail install; return; }
    local pc
    pc=$(find "$work/prefix" -name tuza-split.pc -printf %h)
    # shellcheck disable=SC2046 # words of a command
    compile "pkg-config" gcc -O2 "$programs/shapes.c" -o "$work/shapes" \
        $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs tuza-split) || return
    LD_LIBRARY_PATH=$(dirname "$pc") run "pkg-config" "shapes: 0" \
        "$work/shapes"
}

# gold sees by the address that is jumped to that it needs the room of plain code.
s3_10_a_told_store_has_the_room_of_plain_code() {
    command -v ld.gold >/dev/null || { echo "no gold here"; return; }
    compile told gcc -O2 "${flags[@]}" -fsplit-stack -fuse-ld=gold \
        "$programs/told.c" -o "$work/told" "${static[@]}" || return
    run told "told: 0" "$work/told"
    if objdump -d "$work/told" | awk '/<tell>:/ { in_it = 1 } in_it && /^$/ { exit }
        in_it' | grep -q '<__morestack_non_split>'; then
        passed=$((passed + 1))
    else
        fail "told: asks for no more room"
    fi
}

# gdb walks through the segments too.
gdb_finds_all_frames() {
    command -v gdb >/dev/null || { echo "no gdb here"; return; }
    compile "gdb" gcc -O0 "${flags[@]}" -fsplit-stack "$programs/libc.c" \
        -o "$work/libc" "${static[@]}" || return
    gdb -q -batch -ex 'set pagination off' -ex 'break backtrace' -ex run \
        -ex 'bt -3' "$work/libc" >"$work/said" 2>&1
    if grep -q 'goroutine_main\|tz_ctx_start' "$work/said"; then
        passed=$((passed + 1))
    else
        fail "gdb: the backtrace does not end at the goroutine's start"
    fi
}

every_level_of_optimisation
every_linker
every_kind_of_executable
s3_10_split_and_plain_code_mix
s3_10_plain_code_is_the_default
s3_10_the_flags_of_pkg_config_are_enough
s3_10_a_told_store_has_the_room_of_plain_code
gdb_finds_all_frames
echo "$passed passed, $failed failed"
[ $failed = 0 ]
