# SPDX-License-Identifier: BSD-3-Clause
# emul/helpers.bash: for the tests of the emulators; source it.
# shellcheck shell=bash
set -u
export LC_ALL=C
build=${BUILD_DIR:?is set by ctest}
emul=$build/test/emul
probe=$emul/probe
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0 ran=0

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# WHAT WANTED COMMAND...: the command's output, its lines joined by "; ", is
# WANTED, a pattern of the shell.
answers() {
    local what=$1 wanted=$2 got
    shift 2
    ran=$((ran + 1))
    got=$(timeout 60 "$@" 2>"$work/err" | sed ':a; N; $!ba; s/\n/; /g')
    # shellcheck disable=SC2254 # it is a pattern
    case $got in
    $wanted) ;;
    *)
        fail "$what: '$got', not '$wanted'"
        head -n 20 "$work/err"
        ;;
    esac
}

# WHAT STATUS COMMAND...: the command ends so.
ends() {
    local what=$1 wanted=$2 got
    shift 2
    ran=$((ran + 1))
    { timeout 60 "$@" >"$work/out" 2>"$work/err"; } 2>/dev/null
    got=$?
    [ "$got" = "$wanted" ] || fail "$what: status $got, not $wanted"
}

# WHAT TEXT: the last command of `ends` said it.
said() {
    grep -qF -- "$2" "$work/out" "$work/err" && return
    fail "$1: does not say '$2' but:"
    head -n 20 "$work/out" "$work/err"
}

# DIR: a small tree for wordfreq in DIR, and in DIR.words what it must say.
small_tree() {
    local i
    mkdir "$1"
    for i in 1 2 3 4; do
        seq -f "word%g" $((i * 1000)) $((i * 1000 + 9000)) |
            tr 0-9 a-j >"$1/f$i"
    done
    cat "$1"/* | tr -cs A-Za-z '\n' | sort | uniq -c |
        sort -k1,1nr -k2,2 | awk '{ print $1, $2 }' >"$1.words"
}

verdict() {
    echo "$ran trials, $failed complaints"
    [ $failed = 0 ]
}
