#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only timeout=300
#
# Under emul-kernel the kernel answers as the kind says, to system calls made
# through libc and to raw ones; without it, it answers as usual; and the program
# that it wraps ends as it would have.
. "$(dirname "$0")/helpers.bash"
kernel=$emul/emul-kernel
if [ ! -x "$kernel" ]; then
    echo "emul-kernel is not built for this CPU"
    exit 77
fi
ends "seccomp" 0 "$kernel" nomincore -- true
if [ $failed != 0 ]; then
    echo "no seccomp filters here: $(cat "$work/err")"
    exit 77
fi

kind() { # KIND... -- NORMAL WANTED QUESTION...
    local kinds=() how
    while [ "$1" != -- ]; do
        kinds+=("$1")
        shift
    done
    local normal=$2 wanted=$3
    shift 3
    for how in '' raw; do
        # shellcheck disable=SC2086 # nothing, or raw
        answers "usual kernel: $how $*" "$normal" "$probe" $how "$@"
        # shellcheck disable=SC2086
        answers "${kinds[*]}: $how $*" "$wanted" \
            "$kernel" "${kinds[@]}" -- "$probe" $how "$@"
    done
}

kind nohint -- 'moved by 0; EEXIST; replaced' 'elsewhere; EEXIST; replaced' \
    hint noreplace fixed
kind nonoreplace -- 'EEXIST; moved by 0; replaced' \
    'elsewhere; moved by 0; replaced' noreplace hint fixed
kind nohint nonoreplace -- 'moved by 0; EEXIST' 'elsewhere; elsewhere' \
    hint noreplace
kind reserve=64M -- 'ok; ok; ok; ok' 'ok; ok; ENOMEM; ENOMEM' \
    map 1 map 64 map 65 map 5000
kind reserve=5G -- 'ok; ok; ok' 'ok; ok; ENOMEM' map 4097 map 5120 map 5121
kind nowx -- 'ok ok ok' 'EACCES EACCES ok' wx
kind nomincore -- ok ENOSYS mincore
kind nomincore=EPERM -- ok EPERM mincore
kind nomadvfree -- 'ok; zero' 'EINVAL; zero' madvfree dontneed
kind nomadvise -- 'ok; zero' 'ENOSYS; ENOSYS' madvfree dontneed
kind noprefault -- 'ok; *' 'ok; EINVAL' madvfree prefault
kind noguard -- 'ok; *' 'ok; EINVAL' madvfree guard
kind fakeguard -- 'ok; *' 'ok; nothing' madvfree guard
kind noclone3 -- 'EINVAL; ok' 'ENOSYS; ok' clone3 thread
kind noclone3=EPERM -- 'EINVAL; *' 'EPERM; *' clone3 thread
kind nogetrandom -- ok ENOSYS getrandom
kind nouffd -- '*' ENOSYS uffd
kind nouffd=EPERM -- '*' EPERM uffd
kind nomembarrier -- '*' ENOSYS membarrier
kind nomunmap -- 'ok ok ok' 'EINVAL EINVAL EINVAL' munmap 3
kind nomunmap=ENOMEM -- 'ok ok ok' 'ENOMEM ENOMEM ENOMEM' munmap 3
kind nohint nowx reserve=64M -- 'moved by 0; ok ok ok; ok' \
    'elsewhere; EACCES EACCES ok; ENOMEM' hint wx map 65

kind fail=clone3:1:EAGAIN -- 'ok; ok' 'EAGAIN; ok' thread thread
kind fail=clone3:2+:EPERM -- 'ok; ok; ok' 'ok; EPERM; EPERM' thread thread thread
kind fail=madvise:2:EINVAL fail=madvise:3:ENOMEM nohint -- \
    'ok ok ok ok; moved by 0' 'ok EINVAL ENOMEM ok; elsewhere' madvise 4 hint

# Children and threads are under it too; so is what they exec.
answers "a child" elsewhere "$kernel" nohint -- bash -c "$probe hint & wait"
answers "threads" 'ok; elsewhere' "$kernel" nohint -- "$probe" thread hint

for k in nohint nomincore; do # traced, and not
    ends "$k: status 0" 0 "$kernel" $k -- true
    ends "$k: status 7" 7 "$kernel" $k -- "$probe" dies 7
    ends "$k: SIGSEGV" 139 "$kernel" $k -- "$probe" dies signal
    ends "$k: absent" 127 "$kernel" $k -- "$work/absent"
    said "$k: absent" "$work/absent: No such file"
    # shellcheck disable=SC2016
    answers "$k: signals arrive" 'got it' "$kernel" $k -- \
        bash -c 'trap "echo got it" USR1; kill -USR1 $$; true'
    # shellcheck disable=SC2016
    answers "$k: stops and goes on" '[Tt]*; on' "$kernel" $k -- bash -c '
        (sleep 0.1; sed -n "s/^State:[[:space:]]*//p" /proc/$$/status
         kill -CONT $$) & kill -STOP $$; wait; echo on'
done

# What is wrapped does not outlive the tracer.
"$kernel" nohint -- sleep 1000 &
tracer=$!
for ((i = 0; i < 100; i++)); do
    sleeper=$(cat /proc/$tracer/task/$tracer/children 2>/dev/null)
    grep -q sleep "/proc/${sleeper:-x}/comm" 2>/dev/null && break
    sleep 0.05
done
sleeper=${sleeper// /}
ran=$((ran + 1))
{ kill -KILL $tracer; wait $tracer; } 2>/dev/null
for ((i = 0; i < 100; i++)); do
    [ -d "/proc/$sleeper" ] || break
    grep -q '^State:.*Z' "/proc/$sleeper/status" 2>/dev/null && break
    sleep 0.05
done
[ -n "$sleeper" ] && [ $i -lt 100 ] || fail "the wrapped program lives on"

for bad in nonsense reserve nohint=1 noclone3=ENOTHING fail=clone3:0:EPERM \
    fail=nothing:1:EPERM fail=mmap:1; do
    ends "$bad" 99 "$kernel" $bad -- true
    said "$bad" "what is '$bad'"
done
ends "no program" 99 "$kernel" nohint --
verdict
