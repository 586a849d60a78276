#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# The unwinder against libgcc's, over code that is compiled in several ways: each
# makes other frames and other tables.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
[ "$(uname -m)" = x86_64 ] || { echo "not amd64"; exit 77; }
build=${BUILD_DIR:-build/release}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
read -ra check < <(pkg-config --cflags --libs check)

unwinds_code_of() { # COMPILER OPTION...
    command -v "$1" >/dev/null || return 0
    "$@" -std=gnu11 -w -pthread -D_GNU_SOURCE -DTZ_CPU=amd64 -Isrc -Iinclude \
        -Itest -Itest/support -o "$work/prog" test/stack/unwind_test.c \
        "$build/libtuza_internal.a" "${check[@]}" || exit 1
    CK_RUN_CASE=we_see_what_libgcc_sees_at_every_instruction \
        "$work/prog" >"$work/out" 2>&1 && return
    echo "$*"
    tail -n 40 "$work/out"
    exit 1
}

unwinds_code_of gcc -O0
unwinds_code_of gcc -O2 -fomit-frame-pointer
unwinds_code_of gcc -O3 -fno-omit-frame-pointer -fstack-protector-all
unwinds_code_of gcc -Os -fno-plt
unwinds_code_of gcc -O2 -fstack-clash-protection -Wl,-z,lazy
unwinds_code_of gcc -O2 -fuse-ld=gold -Wl,-z,lazy
unwinds_code_of clang -O0
unwinds_code_of clang -O2 -fomit-frame-pointer
! command -v ld.lld >/dev/null || unwinds_code_of clang -O2 -fuse-ld=lld
echo "unwind_flags: ok"
