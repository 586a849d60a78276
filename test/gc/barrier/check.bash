# SPDX-License-Identifier: BSD-3-Clause
# test/gc/barrier/check.bash: sourced by the tests of one compiler each, which
# have set $compiler: programs compiled with the flags of `tuza-cflags --barrier`.
set -u
src=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${BUILD_DIR:-$src/build/release}
here=$src/test/gc/barrier
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 passed=0
if ! command -v "$compiler" >/dev/null; then
    echo "no $compiler on this machine: its flags are not tried"
    exit 77
fi
read -ra flags < <("$src/tools/tuza-cflags" --barrier "$compiler")
cpu=$(grep -om1 'DTZ_CPU=[a-z0-9]*' "$build/compile_commands.json")
inside=(-std=gnu11 "-$cpu" -D_GNU_SOURCE -I"$src/src" -I"$src/include" -pthread)

try() { # WHAT TEXT COMMAND...: it ends with 0 and its last line is the text
    local what=$1 text=$2
    shift 2
    if timeout 60 "$@" >"$work/said" 2>&1 &&
        [ "$(tail -n 1 "$work/said")" = "$text" ]; then
        passed=$((passed + 1))
    else
        echo "FAILED: $compiler, $what: not: $text"
        head -n 15 "$work/said"
        failed=$((failed + 1))
    fi
}

make_it() { # OUTPUT OPTION...
    if ! "$compiler" "${@:2}" -o "$1" >"$work/said" 2>&1; then
        echo "FAILED: does not build: $compiler ${*:2}"
        head -n 15 "$work/said"
        failed=$((failed + 1))
        return 1
    fi
}

kept=()
[ "$cpu" != DTZ_CPU=amd64 ] || kept=("$src/src/gc/barrier_amd64.S")

# Each kind of store, as each level of optimisation makes it.
for level in -O0 -O1 -O2 -O3 '-O2 -D_FORTIFY_SOURCE=2' '-O2 -flto' -Os \
    '-O2 -fno-pie -no-pie'; do
    # shellcheck disable=SC2086 # several options
    make_it "$work/hooks" -I"$src/include" "${flags[@]}" $level \
        "$here/hooks.c" "${kept[@]}" "$build/libtuza_barrier.a" &&
        try "stores, $level" '40 kinds of stores logged, 0 not' "$work/hooks"
done

# While nothing marks gcc's code calls no hook, but with -fno-plt; clang's all.
idle=some
[ "$compiler $cpu" != 'gcc DTZ_CPU=amd64' ] || idle=none
for level in -O0 -O2 '-O2 -flto' '-O2 -fno-pie -no-pie' '-O2 -fPIC' \
    '-O2 -masm=intel' '-O2 -fPIC -masm=intel' '-O2 -fcf-protection' '-O2 -static' \
    '-O2 -fno-plt'; do
    [ "$level" != '-O2 -fno-plt' ] || idle=some
    # shellcheck disable=SC2086 # several options
    make_it "$work/idle" -I"$src/include" "${flags[@]}" $level "$here/idle.c" &&
        try "hooks called, $level" \
            "stored 116, 2 by hand, called $idle while nothing marks, and all while it does" \
            "$work/idle"
done

# Without the flags the same program must find that nothing is logged.
make_it "$work/hooks" -I"$src/include" -O2 "$here/hooks.c" "${kept[@]}" &&
    if "$work/hooks" >"$work/said"; then
        echo "FAILED: $compiler: stores are logged without the flags"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi

# The runtime's own log, and the notes.
echo 'int x;' >"$work/x.c"
make_it "$work/plain.so" -shared -fPIC "$work/x.c"
make_it "$work/told.so" -shared -fPIC -I"$src/include" "${flags[@]}" \
    "$work/x.c" "$build/libtuza_barrier.a"
internal=("$build/libtuza_barrier.a" "$build/libtuza_internal.a" -ldl)
make_it "$work/told" "${inside[@]}" -O2 "${flags[@]}" "$here/told.c" \
    "${internal[@]}" && {
    try "the program and libraries" \
        ' start=yes with=yes without=yes with=plain.so without=yes logged=20000' \
        "$work/told" "$work/told.so" "$work/plain.so"
    LD_PRELOAD=$work/plain.so try "a library that is preloaded" \
        ' start=plain.so logged=20000' "$work/told"
}
make_it "$work/untold" "${inside[@]}" -O2 "$here/told.c" "${internal[@]}" &&
    try "without the flags" ' start= logged=0' "$work/untold"

# Stores that come after a mark has begun, as each level makes them.
for how in '-O0 .a' '-O2 .a' '-O2 .so' '-O2 -fPIC .so'; do
    # shellcheck disable=SC2086 # several options
    make_it "$work/late" -I"$src/include" "${flags[@]}" ${how% *} "$here/late.c" \
        "$build/libtuza_barrier.a" "$build/libtuza${how##* }" \
        -Wl,-rpath,"$build" -pthread &&
        TUZADEBUG=gcmode=m2,clobberfree=1 TUZAMAXPROCS=2 \
            try "late stores, $how" '60 and 60 of 60 are whole' "$work/late"
done

# Words on stacks that lead to no object.
make_it "$work/ends" -I"$src/include" "${flags[@]}" -O2 "$here/ends.c" \
    "$build/libtuza_barrier.a" "$build/libtuza.a" -pthread &&
    TUZADEBUG=gcmode=m2 \
        try "pointers behind the last object" '60000 of 60000, with ends' "$work/ends"

# A module that does not tell, and is gone when the notes are looked at again.
make_it "$work/plug.so" -shared -fPIC -O2 "$here/plug.c"
make_it "$work/plugged" -I"$src/include" "${flags[@]}" -O2 "$here/plugged.c" \
    "$build/libtuza_barrier.a" "$build/libtuza.a" -pthread &&
    TUZADEBUG=gcmode=m2,clobberfree=1 TUZAMAXPROCS=2 \
        try "a module that comes and goes" '1200 of 1200' \
        "$work/plugged" "$work/plug.so"

# A user's program, with either form of the library.
for how in libtuza.a libtuza.so; do
    make_it "$work/user" -I"$src/include" -O2 "${flags[@]}" \
        "$src/bench/bintrees_bench.c" "$build/libtuza_barrier.a" \
        "$build/$how" -Wl,-rpath,"$build" -pthread &&
        if "$work/user" >"$work/said" 2>&1 &&
            grep -q 'check=ok' "$work/said"; then
            passed=$((passed + 1))
        else
            echo "FAILED: $compiler, $how: a user's program"
            head -n 15 "$work/said"
            failed=$((failed + 1))
        fi
done

echo "$passed passed, $failed failed"
[ $failed = 0 ]
