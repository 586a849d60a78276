#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# libhostile.so does what EMUL says, to calls through libc and to no others,
# and is not noticed when EMUL is not set.
. "$(dirname "$0")/helpers.bash"

hostile() { # SETTINGS QUESTION...
    local settings=$1
    shift
    env LD_PRELOAD="$emul/libhostile.so" EMUL="$settings" "$probe" "$@"
}
export -f hostile
export emul probe
under() { # SETTINGS WANTED QUESTION...
    local settings=$1 wanted=$2
    shift 2
    # shellcheck disable=SC2016
    answers "$settings: $*" "$wanted" \
        bash -c 'hostile "$@"' - "$settings" "$@"
}

questions=(hint noreplace fixed wx interior mmap 3 munmap 3 mprotect 3
    madvise 3 brk thread)
normal='moved by 0; EEXIST; replaced; ok ok ok; ok ok ok; ok ok ok; ok ok ok'
normal+='; ok ok ok; ok ok ok; ok; ok'
answers "the kernel's own answers" "$normal" "$probe" "${questions[@]}"
answers "no EMUL" "$normal" \
    env -u EMUL LD_PRELOAD="$emul/libhostile.so" "$probe" "${questions[@]}"
under '' "$normal" "${questions[@]}"

under nohint elsewhere hint
under nohint 'EEXIST; replaced; moved by 0' noreplace fixed raw hint
under nonoreplace 'elsewhere; EEXIST' noreplace raw noreplace
under nohint,nonoreplace 'elsewhere; elsewhere; replaced' hint noreplace fixed
under shift 'moved by 1; EEXIST; replaced; moved by 0' hint noreplace fixed \
    raw hint
under nohint,shift elsewhere hint
under nowx 'EACCES EACCES ok; ok; ok ok ok' wx map 1 raw wx
under interior 'ENOMEM ok ok; ok ok ok' interior raw interior
under interior=1 'ENOMEM ok ok; ok ok ok' interior interior

under fail=mmap:2:ENOMEM 'ok ENOMEM ok' mmap 3
under fail=munmap:1:EINVAL 'EINVAL ok ok' munmap 3
under fail=mprotect:2-3:EACCES 'ok EACCES EACCES ok' mprotect 4
under fail=madvise:3+:ENOSYS 'ok ok ENOSYS ENOSYS' madvise 4
under fail=mmap:1:12,fail=mmap:3+:EAGAIN 'ENOMEM ok EAGAIN EAGAIN' mmap 4
under fail=mmap:1+:ENOMEM 'ok ok; ok' raw mmap 2 thread

# The count: four mmaps, a munmap, two mprotects, an madvise and a brk.
ran=$((ran + 1))
hostile "count=$work/count,fail=mmap:4:ENOMEM" mmap 4 munmap 1 mprotect 2 \
    madvise 1 brk mincore >/dev/null
grep -qE '^mmap=5 munmap=1 mprotect=2 madvise=1 mremap=0 mincore=1 brk=3'` \
    `' failed=1 ' "$work/count" || fail "count: $(cat "$work/count")"

# The balance, in pages of 4096: 512 mapped, 16 and 256 unmapped.
balance() { # QUESTION WANTED
    rm -f "$work/count"
    ran=$((ran + 1))
    hostile "count=$work/count" "$1" >/dev/null
    grep -qF " $2" "$work/count" || fail "$1: $(cat "$work/count")"
}
if [ "$(getconf PAGESIZE)" = 4096 ]; then
    balance balance \
        'mapped=2097152 unmapped=1114112 live=983040 lost=0 foreign=0'
    balance unbalanced \
        'mapped=16384 unmapped=8192 live=16384 lost=16384 foreign=8192'
fi
rm -f "$work/count"
ends "_exit writes the count too" 3 \
    env LD_PRELOAD="$emul/libhostile.so" EMUL="count=$work/count" \
    "$probe" mmap 2 dies 3
[ "$(wc -l <"$work/count")" = 1 ] || fail "count at _exit: one line"

for bad in nonsense fail=mmap fail=mmap:0:ENOMEM fail=mmap:1:ENOTHING \
    fail=brk:1:ENOMEM; do
    ends "EMUL=$bad" 99 env LD_PRELOAD="$emul/libhostile.so" EMUL="$bad" \
        "$probe" hint
    said "EMUL=$bad" "what is '$bad'"
done
verdict
