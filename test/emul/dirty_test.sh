#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# The mark beside the program where the kernel tells what is written; where it does
# not, the world stands still for it, the program works and gctrace says why.
. "$(dirname "$0")/helpers.bash"
kernel=$emul/emul-kernel
small_tree "$work/tree"

# WHAT MODE COMMAND...: wordfreq works so, and each line of gctrace ends with MODE.
mode() {
    local what=$1 wanted=$2
    shift 2
    ends "$what" 0 env TUZAGC=1 TUZADEBUG=gctrace=1,gcmode=m1 "$@" \
        "$build/examples/wordfreq" -a "$work/tree"
    sed '$d' "$work/out" | cmp -s - "$work/tree.words" ||
        fail "$what: wrong output"
    # The first may have been while another goroutine was finding out.
    sed -i '/^gc 1 /d' "$work/err"
    if ! grep -q '^gc [0-9]' "$work/err" ||
        grep '^gc [0-9]' "$work/err" | grep -qvE " P( \(forced\))?, $wanted\$"; then
        fail "$what: not all lines end with $wanted"
        head -n 5 "$work/err"
    fi
}

mode "M0 asked for" m0 env TUZADEBUG=gctrace=1,gcmode=m0
if [ ! -x "$kernel" ] || ! "$kernel" nomincore -- true; then
    verdict
    exit
fi
mode "no userfaultfd" 'm0: userfaultfd: error 38' "$kernel" nouffd --
mode "userfaultfd forbidden" 'm0: userfaultfd: error 1' "$kernel" nouffd=EPERM --
if grep -q ', m1$' <(TUZAGC=1 TUZADEBUG=gctrace=1,gcmode=m1 \
    "$build/examples/wordfreq" -a "$work/tree" 2>&1); then
    mode "this kernel" m1
    mode "no PAGEMAP_SCAN" 'm0: PAGEMAP_SCAN: error 25' "$kernel" nopagescan --
else
    echo "this kernel does not tell what is written"
fi
verdict
