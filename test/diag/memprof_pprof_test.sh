#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=900
#
# What tuza_heap_profile writes is read by `go tool pprof`: sample types, bytes
# and objects by function, without the calls of the allocation's own.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
build=${BUILD_DIR:-build/release}
go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null)
[ -n "$go" ] || { echo "no go on this machine"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export GOTOOLCHAIN=local
"$go" tool -n pprof >/dev/null 2>&1 || { echo "no pprof in this go"; exit 77; }
failed=0

cat >"$work/main.c" <<'C'
#include <fcntl.h>
#include <tuza.h>
#include <unistd.h>

#define NOTAIL __asm__ volatile("")
#define NOINLINE __attribute__((noinline))

struct node {
    struct node *next;
    char text[1000];
};
static const tuza_type node_type = TUZA_TYPE(struct node, next);
static struct node *list;

static NOINLINE void keep_nodes(int n)
{
    for (int i = 0; i < n; i++) {
        struct node *x = tuza_alloc_typed(&node_type, 1); /* 1024 */
        x->next = list;
        list = x;
    }
}
static NOINLINE void free_buffers(int n)
{
    for (int i = 0; i < n; i++)
        tuza_free(tuza_alloc_bytes(65536));
}
static NOINLINE void work(void)
{
    keep_nodes(2000);
    free_buffers(50);
    NOTAIL;
}

TUZA_MAIN
{
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (argc < 2 || fd < 0)
        return 1;
    work();
    tuza_gc();
    return tuza_heap_profile(fd) ? 2 : 0;
}
C
${CC:-gcc} -g -O1 -w -Wl,--build-id -Iinclude -o "$work/main" "$work/main.c" \
    "$build/libtuza.a" -pthread || exit 1

take() { # RATE
    TUZADEBUG=memprofilerate=$1 timeout 60 "$work/main" "$work/profile" ||
        { echo "FAIL: status $?"; exit 1; }
}
says() { # REGEX WHAT...: of go tool pprof's output
    local re=$1
    shift
    "$go" tool pprof -symbolize=none "$@" "$work/profile" >"$work/out" 2>"$work/err"
    grep -qE "$re" "$work/out" && return
    echo "FAIL: pprof $* says no $re:"
    head -n 40 "$work/out" "$work/err"
    failed=1
}
take 1 # 2000 of 1024 bytes kept; 50 of 65536 gone
says '^alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes' -raw
says '^PeriodType: space bytes$' -raw
says '^Period: 1$' -raw
says '^ *2048000B +[0-9.]+% .* keep_nodes$' -sample_index=inuse_space -top -unit=B
says '^ *2000 +[0-9.]+% .* keep_nodes$' -sample_index=inuse_objects -top
says '^ *3276800B +[0-9.]+% .* free_buffers$' -sample_index=alloc_space -top -unit=B
says '^ *50 +[0-9.]+% .* free_buffers$' -sample_index=alloc_objects -top
says '^ *0 +0% .* 5324800B +[0-9.]+% +work$' -sample_index=alloc_space -top -unit=B
says '^ *bytes: Total .*' -tags -sample_index=alloc_space
for index in alloc_space inuse_space; do
    "$go" tool pprof -symbolize=none -sample_index=$index -top "$work/profile" \
        2>/dev/null | grep -E 'free_buffers|tuza_alloc|tz_malloc|malloc_slow' \
        >"$work/out"
    case $index in
    alloc_space) grep -q free_buffers "$work/out" ;;
    *) ! grep -q free_buffers "$work/out" ;;
    esac || { echo "FAIL: free_buffers, $index"; failed=1; }
    grep -qE 'tuza_alloc|tz_malloc|malloc_slow' "$work/out" &&
        { echo "FAIL: calls of the allocation's own:"; cat "$work/out"; failed=1; }
done
take 16384 # about 120 samples of what is kept: within a third and more
says '^ *(1[2-9]|2[0-9])[0-9]{5}B +[0-9.]+% .* keep_nodes$' \
    -sample_index=inuse_space -top -unit=B
says '^Period: 16384$' -raw
[ $failed = 0 ] && echo "memprof_pprof: ok"
exit $failed
