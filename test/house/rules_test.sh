#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# tools/rules finds nothing in a small good tree, complains once that tree is
# broken in one way, and finds nothing in this one.
set -u
src_dir=${SRC_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 ran=0
cd "$work" || exit 1

row() { # COLUMN...: adds a line to the table
    local IFS=$'\t'
    echo "$*" >>docs/rules.tsv
}

good() { # makes the good tree anew
    rm -rf docs test
    mkdir -p docs test/mem
    echo '# A comment.' >docs/rules.tsv
    row group one finished 'the first'
    row S1-01 P0 one 'tested in C'
    row S1-02 P1 one 'tested by a script'
    row S1-03 P2 one 'may lack a test'
    row group two open 'the second'
    row S2-11 P0 two 'still lacks a test'
    row S2-12 P0 two 'has one'
    cat >test/mem/a_test.c <<'C'
// A word on s9_99_what_is_not_there().
START_TEST(s1_01_holds)
{
    s8_01_is_called_only(1);
}
END_TEST
static void
s2_12_holds(void)
C
    printf 's1_02_holds() {\n    :\n}\n# s7_01_no()\n' >test/mem/b_test.sh
}

try() { # STATUS PATTERN
    local status
    ran=$((ran + 1))
    "$src_dir/tools/rules" "$work" >out 2>&1
    status=$?
    [ $status = "$1" ] && grep -qE "$2" out && return
    echo "FAILED: status $status, not $1, or no '$2' in:"
    cat out
    failed=$((failed + 1))
}

good
try 0 '^rules: ok \(3 of 5 rows have a test, 1 groups finished\)$'
RULES=list try 0 '^S2-11 P0 has no test: still lacks a test$'
for gone in 's1_01/S1-01' 's1_02/S1-02'; do
    good
    sed -i "s/${gone%/*}_/other_/" test/mem/*
    try 1 "^docs/rules.tsv:[34]: ${gone#*/} has no test: "
done
good
sed -i 's/two\topen/two\tfinished/' docs/rules.tsv
try 1 '^docs/rules.tsv:7: S2-11 has no test: still'
for wrong in 'START_TEST(s3_01_x)' 'static void s3_01_x(void)' \
    'static int s3_01_x(void *arg)' 's3_01_x(int a,' 'START_TEST(S3_01_x)'; do
    good
    echo "$wrong" >test/mem/c_test.c
    try 1 '^test/mem/c_test.c:1: a test of S3-01, which'
done
good
printf '\nfunction s3_01_x() {\n' >test/mem/c_test.sh
try 1 '^test/mem/c_test.sh:2: a test of S3-01, which'
good
echo 'START_TEST(s1_1_x)' >test/mem/c_test.c
try 1 '^test/mem/c_test.c:1: a test of S1-1, which'
good
row S1-01 P0 one again
try 1 '^docs/rules.tsv:9: S1-01 is there twice'
good
row S1-04 P0 three 'in no group'
try 1 '^docs/rules.tsv:9: no group three'
good
row S1-04 P3 one x
row S1-5 P0 one x
row S1-06 P0 one
row group three done x
row group two open x
try 1 ':9: no ID, or no prio'
for n in '10: no ID' '11: not four' '12: a group is open or' '13: group two is'
do
    try 1 "^docs/rules.tsv:$n"
done
rm -r docs
try 1 'docs/rules.tsv: missing'

ran=$((ran + 1))
if ! "$src_dir/tools/rules" "$src_dir"; then
    echo "FAILED: the rules of this tree"
    failed=$((failed + 1))
fi
echo "$ran trials, $failed complaints"
[ $failed = 0 ]
