#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=600
#
# The main job, over a small tree and with a collection now and then, under the
# whole matrix, with one P and two: it works on kernels of all kinds, and under
# limits and faults (the k-th mmap fails, for every k up to 60, and others)
# works or says in one line why not.
. "$(dirname "$0")/helpers.bash"
matrix=$(dirname "$0")/matrix
wordfreq=$build/examples/wordfreq
if [ ! -x "$wordfreq" ]; then
    echo "$wordfreq is not built"
    exit 1
fi
small_tree "$work/tree"

under() { # GROUP [OPTION...]
    local group=$1 procs
    shift
    for procs in 1 2; do
        ran=$((ran + 1))
        TUZAMAXPROCS=$procs "$matrix" -q --build "$build" \
            --expect "$work/tree.words" --filter "sed '\$d'" --timeout 20 \
            --group "$group" "$@" "$wordfreq" -a "$work/tree" ||
            fail "wordfreq, $group, $procs Ps"
    done
}

under kernels --must-work
under limits --says 'wordfreq: '
under faults --says 'wordfreq: '
verdict
