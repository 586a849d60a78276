# SPDX-License-Identifier: BSD-3-Clause
# test/emul/strace.awk: counts the calls for memory that libtuza.so makes, by
# process, in the output of
#
#   strace -f -k -e trace=mmap,munmap,mprotect,madvise,mremap,brk,openat,\
#       clone,clone3,fork,vfork
#
# awk -v counts=COUNTS -f strace.awk COUNTS LOG LOG, where COUNTS is the file
# that TUZADEBUG=oscount names. The log is read twice, since a thread's lines
# may come before its creator's.
#
# A call is libtuza's when its innermost frame lies there, or when that is
# libc's function for this call (or syscall) and the next one lies there, or is a
# function of the program's that our user_mmap and so on have called. Those
# that pthread_create or malloc make inside libc are not. What counts are the
# calls before the process opens COUNTS at its end: others may follow from threads
# that run on until the process is gone. Who opens it first has the first line.
#
# Output, a line for each process with such calls:
#
#   equal|DIFFERENT|untold, the kernel's counts, "|", the runtime's, "|", its end

# Numbers of threads are used again: an exit ends one's life.
function life(tid) {
    return tid "." lives[tid] + 0
}

function process(tid,    at) {
    at = life(tid)
    while (at in creator)
        at = creator[at]
    return at
}

# The call that has just been read is over, and all its frames are known.
function judge(    own) {
    own = frame[0] ~ /libtuza\.so/ ||
        (frame[0] ~ ("/libc[.-].*\\((__)?(" call "(64)?|syscall|sbrk)\\+") &&
         (frame[1] ~ /libtuza\.so/ || frame[2] ~ ("\\(user_" call "\\+")))
    if (call != "" && own && counting && !(process(tid) in told)) {
        count[process(tid), call]++
        seen[process(tid)] = 1
    }
    call = ""
    frames = 0
    frame[0] = frame[1] = frame[2] = ""
}

FILENAME == counts {
    sub(/^tuza-oscount /, "")
    written[++lines] = $0
    next
}
FNR == 1 {
    judge()
    counting = pass++ > 0
    split("", lives)
}
/^ > / {
    if (frames < 3)
        frame[frames] = $0
    frames++
    next
}
{ judge(); tid = $1 }
counting && index($0, "openat(") && index($0, "\"" counts "\"") {
    told[process(tid)] = written[++opened]
}
/ <unfinished \.\.\.>$/ {
    started[tid] = $0
    next
}
/<\.\.\. [a-z0-9_]+ resumed>/ {
    text = started[tid]
    result = $NF
}
!/ resumed>/ {
    text = $0
    result = $NF
}
text ~ /^[0-9]+ +(mmap|munmap|mprotect|madvise|mremap|brk)\(/ {
    call = text
    sub(/^[0-9]+ +/, "", call)
    sub(/\(.*/, "", call)
}
text ~ /^[0-9]+ +clone3?\(/ && text $0 ~ /CLONE_THREAD/ && !counting {
    if (match($0, /= [0-9]+/))
        creator[life(substr($0, RSTART + 2, RLENGTH - 2))] = life(tid)
}
/ \+\+\+ (exited|killed)/ {
    if (counting && process(tid) == life(tid))
        ended[life(tid)] = $0
    lives[tid]++
}
END {
    judge()
    n = split("mmap munmap mprotect madvise mremap brk", names, " ")
    for (p in seen) {
        line = ""
        for (i = 1; i <= n; i++)
            line = line (i > 1 ? " " : "") names[i] "=" count[p, names[i]] + 0
        sub(/^[0-9]+ +\+\+\+ /, "", ended[p])
        sub(/ \+\+\+$/, "", ended[p])
        verdict = !(p in told) ? "untold" : told[p] == line ? "equal" \
            : "DIFFERENT"
        print verdict " " line " | " told[p] " | " ended[p]
    }
}
