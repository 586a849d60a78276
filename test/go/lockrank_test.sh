#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# Go's src/runtime/lockrank_test.go, retold: the table of ranks is up to date.
# There a generated file has to be what its generator makes of the graph; here
# the table is written by hand, so each row is held against the sources: every
# rank is some lock's, a lock of the room that the row names, and every lock has
# a rank of the table.
set -u
src_dir=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$src_dir/src" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# RANK ROOM, a row a line.
sed -nE 's|^ +TZ_RANK_([A-Z_]+), *// ([a-z]+): .*|\1 \2|p' os/lockrank.h \
    >"$work/rows"
# RANK ROOM, of each lock in the sources.
made='(TZ_LOCK_INIT\(|tz_lock_init\([^,]+, )TZ_RANK_[A-Z_]+'
grep -rnoE "$made" --include='*.c' --include='*.h' . |
    sed -nE 's|^\./([a-z]+)/[^:]+:[0-9]+:.*TZ_RANK_([A-Z_]+)$|\2 \1|p' |
    sort -u >"$work/locks"

# Rows that order something else than locks: one collection at a time is kept by
# a flag (gc.c: gc.busy), which is taken before everything else.
flags=' GC_START '

[ "$(wc -l <"$work/rows")" -ge 10 ] || fail "few rows: $(cat "$work/rows")"
[ "$(wc -l <"$work/locks")" -ge 10 ] || fail "few locks: $(cat "$work/locks")"
while read -r rank room; do
    case $flags in *" $rank "*) continue ;; esac
    grep -qx "$rank $room" "$work/locks" ||
        fail "no lock of $room has the rank $rank: a row of the past?"
done <"$work/rows"
while read -r rank room; do
    [ "$rank" = LEAF ] && continue # of any room
    grep -qx "$rank $room" "$work/rows" ||
        fail "a lock of $room has the rank $rank, which is another's"
done <"$work/locks"
[ "$(cut -d' ' -f1 "$work/rows" | sort | uniq -d)" = "" ] || fail "a rank twice"

# Locks without a rank: neither of the two ways to make one, nor in a comment
# that says which.
while IFS=: read -r file line text; do
    name=$(sed -nE 's/.*struct tz_lock ([a-z_]+);.*/\1/p' <<<"$text")
    of="[a-z]+(\[[a-z]\]\.|->|\.)$name" # central[i].lock, c->lock, p.lock
    grep -qE "\.$name = TZ_LOCK_INIT\(|tz_lock_init\(&$of," \
        "$(dirname "$file")"/*.c ||
        fail "$file:$line: lock '$name' is given no rank in its room"
done < <(grep -rnE 'struct tz_lock [a-z_]+;' --include='*.[ch]' .)
[ "$failed" = 0 ] && echo "$(wc -l <"$work/rows") ranks, $(wc -l \
    <"$work/locks") kinds of locks"
exit "$failed"
