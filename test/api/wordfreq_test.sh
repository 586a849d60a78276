#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: timeout=300
#
# The main job counts what a `tr | sort | uniq -c` pipeline counts over the
# same files, however many threads and whatever the size of its chunks; it says
# what it cannot read, and its exit status tells the kinds of failure apart.
# Everything here fails for root too: nothing relies on file modes.
set -u
export LC_ALL=C
wordfreq=$BUILD_DIR/examples/wordfreq
if [ ! -x "$wordfreq" ]; then
    echo "$wordfreq is not built"
    exit 1
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 ran=0

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# Runs wordfreq with these arguments: $status, $work/out, $work/err, and the
# report line in $report.
run() {
    ran=$((ran + 1))
    timeout 120 "$wordfreq" "$@" >"$work/out" 2>"$work/err"
    status=$?
    report=$(tail -n 1 "$work/out")
}

is_status() { # WANTED WHAT
    [ "$status" = "$1" ] && return
    fail "$2: status $status, not $1"
    head -n 20 "$work/err"
}

value() { # KEY: of the report line
    sed -nE "s/(^|.* )$1=([0-9]+)( .*|\$)/\2/p" <<<"$report"
}

is_value() { # KEY WANTED WHAT
    local got
    got=$(value "$1")
    [ "$got" = "$2" ] || fail "$3: $1=$got, not $2"
}

# The reference: "count word" lines of the files named on stdin, NUL between.
pipeline() {
    local file
    while IFS= read -r -d '' file; do
        tr -cs A-Za-z '\n' <"$file" | tr A-Z a-z
        echo
    done | grep -v '^$' | sort | uniq -c | sort -k1,1nr -k2,2 |
        awk '{ print $1, $2 }'
}

same_words() { # WANTED-FILE WHAT: all lines but the report are those
    if ! cmp -s "$1" <(sed '$d' "$work/out"); then
        fail "$2: other words than the pipeline's"
        diff "$1" <(sed '$d' "$work/out") | head -n 10 | cut -c 1-200
    fi
}

letters() { # N CHAR
    head -c "$1" /dev/zero | tr '\0' "$2"
}

# A tree with everything in it that is easy to get wrong.
make_tree() {
    local t=$1
    mkdir -p "$t/deep/er/est" "$t/.git" "$t/build" "$t/sub/made" "$t/outside"
    printf 'The quick the QUICK tHe 1a2b3 x-y_z\n' >"$t/plain.txt"
    : >"$t/empty"
    printf 'noline' >"$t/no newline"
    printf ' \n\t.,' >"$t/deep/no words"
    printf '\303\251t\303\251 na\303\257ve \377\200[@`{' >"$t/deep/latin"
    printf 'odd odd' >"$t/deep/er/"$'new\nline\t\001'
    printf 'dash' >"$t/-n"
    printf 'star' >"$t/deep/er/est/*?[a] \\ "
    printf 'before\0after' >"$t/binary"
    # Words that lie across the ends of pages, probes and chunks.
    for n in 4094 4096 8190 8192 65534 65535 65536 131070; do
        { letters $n ' '; printf 'Across Words\n'; } >"$t/sub/at$n"
        { letters $((n - 3)) x; printf ' After'; } >"$t/sub/long$n"
    done
    letters 300000 Q >"$t/sub/one word"
    # A NUL after the first 8 KiB is no more than the end of a word.
    { letters 8192 'a '; printf 'b\0c'; } >"$t/sub/late nul"
    { letters 8191 ' '; printf '\0'; } >"$t/sub/last byte of the probe"
    awk 'BEGIN { srand(1); for (i = 0; i < 20000; i++)
        printf "%c%c%s", 97 + int(rand() * 26), 65 + int(rand() * 26),
            rand() < 0.5 ? " " : "\n" }' >"$t/deep/many"
    # Passed over:
    echo ignored >"$t/.git/config"
    echo ignored >"$t/build/file"
    echo ignored >"$t/sub/made/file"
    : >"$t/sub/made/CMakeCache.txt"
    ln -s ../outside "$t/sub/folder link"
    ln -s . "$t/sub/loop"
    mkfifo "$t/sub/fifo"
    # Read once:
    ln "$t/plain.txt" "$t/deep/hard link"
    ln -s ../plain.txt "$t/deep/symlink"
    echo 'seen by its link' >"$t/../target"
    ln -s "$(cd "$t/.." && pwd)/target" "$t/deep/to a file outside"
}

# What of that tree is text, each inode once.
tree_files() {
    find "$1" \( -name .git -o -name build -o -name made \) -prune -o \
        -type f ! -name binary ! -name 'last byte of the probe' \
        ! -name 'hard link' -print0
    printf '%s\0' "$1/../target"
}

matrix() { # WANTED-FILE FILES WHAT PATH: with 1, 2 and 8 threads
    local wanted=$1 files=$2 what=$3 procs
    shift 3
    for procs in 1 2 8; do
        export TUZAMAXPROCS=$procs
        run -a "$@"
        is_status 0 "$what, $procs threads"
        same_words "$wanted" "$what, $procs threads"
        is_value files "$files" "$what, $procs threads"
        is_value errors 0 "$what, $procs threads"
        is_value distinct "$(wc -l <"$wanted")" "$what, $procs threads"
        is_value words "$(awk '{ n += $1 } END { print n + 0 }' "$wanted")" \
            "$what, $procs threads"
    done
    unset TUZAMAXPROCS
}

generated_tree() {
    local n
    make_tree "$work/tree"
    tree_files "$work/tree" >"$work/files"
    n=$(tr -dc '\0' <"$work/files" | wc -c)
    pipeline <"$work/files" >"$work/wanted"
    matrix "$work/wanted" "$n" "generated tree" "$work/tree"
    is_value skipped_binary 2 "generated tree"
    is_value skipped_dirs 3 "generated tree"
    is_value skipped_dup 2 "generated tree"
    is_value bytes "$(xargs -0 cat <"$work/files" | wc -c)" "generated tree"
    grep -qE '^files=[0-9]+ bytes=[0-9]+ words=[0-9]+ distinct=[0-9]+'` \
        `' skipped_binary=[0-9]+ skipped_dirs=[0-9]+ skipped_dup=[0-9]+'` \
        `' errors=[0-9]+ goroutines=[0-9]+ threads=[0-9]+ collections=[0-9]+'` \
        `' longest_pause_us=[0-9]+ peak_heap_bytes=[0-9]+ wall_ms=[0-9]+$' \
        <<<"$report" || fail "report line: $report"
}

sizes_of_chunks() {
    local size
    for size in 1 2 7 4096 65537 1000000; do
        run -a -c $size "$work/tree"
        is_status 0 "chunks of $size bytes"
        same_words "$work/wanted" "chunks of $size bytes"
    done
}

most_frequent() {
    run "$work/tree"
    is_status 0 "the 20 most frequent"
    head -n 20 "$work/wanted" >"$work/top"
    same_words "$work/top" "the 20 most frequent"
    run -n 3 -- "$work/tree"
    head -n 3 "$work/wanted" >"$work/top"
    same_words "$work/top" "the 3 most frequent"
    # Ties stand in the order of bytes.
    mkdir "$work/ties"
    echo 'bb ab b a aa ba A B' >"$work/ties/f"
    run -a "$work/ties"
    printf '2 a\n2 b\n1 aa\n1 ab\n1 ba\n1 bb\n' >"$work/top"
    same_words "$work/top" "ties"
}

licences() {
    local dir=/usr/share/common-licenses n
    if [ ! -d $dir ]; then
        echo "no $dir here"
        return
    fi
    find $dir \( -type f -o -type l \) -exec realpath -z {} + |
        sort -zu >"$work/files"
    n=$(tr -dc '\0' <"$work/files" | wc -c)
    pipeline <"$work/files" >"$work/licences"
    matrix "$work/licences" "$n" "licences" $dir
    (cd "$work" && unset BUILD_DIR && run && is_status 0 "no arguments" &&
        [ "$(value files)" -ge "$n" ]) || fail "no arguments: $report"
}

# A collection at every allocation must change nothing.
stress() {
    mkdir -p "$work/small/sub"
    seq -f 'word%g' 300 | tr 0-9 a-j >"$work/small/sub/a"
    printf 'one two three two' >"$work/small/b"
    { letters 70000 y; echo ' end'; } >"$work/small/c"
    find "$work/small" -type f -print0 | pipeline >"$work/wanted"
    export TUZADEBUG=stress=gc
    matrix "$work/wanted" 3 "collecting at every allocation" "$work/small"
    [ "$(value collections)" -ge 300 ] || fail "few collections: $report"
    unset TUZADEBUG
}

# One line per file that cannot be read; the rest is counted; status 1.
unreadable() {
    mkdir -p "$work/bad/sub"
    echo 'good words' >"$work/bad/good"
    ln -s nowhere "$work/bad/sub/dangling"$'\n'"name"
    ln -s ring "$work/bad/ring"
    printf '1 good\n1 words\n' >"$work/top"
    run -a "$work/bad"
    is_status 1 "broken links"
    is_value errors 2 "broken links"
    is_value files 1 "broken links"
    same_words "$work/top" "broken links"
    [ "$(wc -l <"$work/err")" = 2 ] || fail "not 2 lines: $(cat "$work/err")"
    grep -q '/sub/dangling?name: No such file or directory$' "$work/err" ||
        fail "dangling link: $(cat "$work/err")"
    grep -q '/ring: Too many levels of symbolic links$' "$work/err" ||
        fail "ring of links: $(cat "$work/err")"
    # Opens, but its first read fails: nothing is mapped at address 0.
    run -a /proc/self/mem "$work/bad/good"
    is_status 1 "read error"
    is_value files 1 "read error"
    same_words "$work/top" "read error"
    grep -qxF "wordfreq: /proc/self/mem: Input/output error" "$work/err" ||
        fail "read error: $(cat "$work/err")"
    run -a "$work/absent" "$work/bad/good"
    is_status 1 "one absent argument"
    same_words "$work/top" "one absent argument"
    [ "$(wc -l <"$work/err")" = 1 ] || fail "absent: $(cat "$work/err")"
    run "$work/bad/good/under a file" "$work/absent"
    is_status 2 "only absent arguments"
    grep -q '^usage:' "$work/err" || fail "no usage: $(cat "$work/err")"
    [ -s "$work/out" ] && fail "only absent arguments: prints"
    run -x
    is_status 2 "unknown option"
    if [ -w /dev/full ]; then
        ran=$((ran + 1))
        "$wordfreq" "$work/bad/good" >/dev/full 2>"$work/err"
        status=$?
        is_status 1 "full disk"
    fi
}

# Arguments are taken as they are: a link to a folder, a pipe, one path twice.
arguments() {
    mkdir -p "$work/args/build"
    echo 'in build' >"$work/args/build/f"
    ln -s build "$work/args/link"
    printf '1 build\n1 in\n' >"$work/top"
    run -a "$work/args/link"
    same_words "$work/top" "link to a folder"
    run -a "$work/args/build" "$work/args/link" "$work/args/build/f"
    same_words "$work/top" "the same thrice"
    is_value skipped_dup 2 "the same thrice"
    run -a <(echo In; sleep 0.1; echo build)
    same_words "$work/top" "a pipe"
}

generated_tree
sizes_of_chunks
most_frequent
licences
stress
unreadable
arguments
echo "$ran runs, $failed complaints"
[ $failed = 0 ]
