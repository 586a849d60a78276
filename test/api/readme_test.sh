#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
# test/api/readme_test.sh: the README's program compiles as it is told there,
# without a warning, and prints what it says.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$SRC_DIR/README.md" \
    >"$work/square.c"
grep -q TUZA_MAIN "$work/square.c"
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    $cc -Wall -Wextra -Werror -I"$SRC_DIR/include" "$work/square.c" \
        "$BUILD_DIR/libtuza.a" -pthread -o "$work/square"
    for procs in 1 2 8; do
        out=$(TUZAMAXPROCS=$procs "$work/square")
        [ "$out" = 385 ] || { echo "$cc, $procs: printed '$out'"; exit 1; }
    done
done
