// SPDX-License-Identifier: BSD-3-Clause
// os/vm_refusal.c: why the system gave no memory, in words.
//
// The last refusal is remembered and told by whoever has to die of it, in the
// one line of that death; most refusals are survived and need no words. Two
// threads that are refused at once may mix their numbers: both are true.
//
// Go prints such a line and exits in sysAlloc, whoever asked.

#include <errno.h>

#include "base/atomic.h"
#include "base/print.h"
#include "os/vm_own.h"

static struct {
    uint32_t call; // enum tz_vm_call; atomic: release, with words()
    uint32_t err;  // atomic
    uint64_t at;   // address asked for, or 0; atomic
    uint64_t size; // bytes; atomic
} last;

void tz_vmrefusal_note(enum tz_vm_call call, const void *p, size_t n, int err)
{
    tz_store_rlx(&last.err, (uint32_t)err);
    tz_store_rlx(&last.at, (uint64_t)(uintptr_t)p);
    tz_store_rlx(&last.size, n);
    tz_store_rel(&last.call, (uint32_t)call); // with tz_vm_refusal
}

static const char *advice(int err)
{
    switch (err) {
    case EACCES:
    case EPERM:
        return "; a security policy such as SELinux forbids anonymous memory"
               " to this program";
    case EAGAIN:
        return "; too much locked memory, see `ulimit -l` and mlockall";
    case ENOMEM:
        return "; see `ulimit -v` and `-d`, vm.overcommit_memory and"
               " vm.max_map_count";
    case ENOSYS:
        return "; a system call filter or an interceptor may forbid it";
    }
    return "";
}

const char *tz_vm_refusal(char *buf, size_t size)
{
    static const char *const names[] = {
        [TZ_VM_CALL_MMAP] = "mmap",
        [TZ_VM_CALL_MPROTECT] = "mprotect",
    };
    TZ_CHECK(size > 0);
    buf[0] = 0;
    uint32_t call = tz_load_acq(&last.call); // with tz_vmrefusal_note
    if (call == 0)
        return buf;
    int err = (int)tz_load_rlx(&last.err);
    char at[32] = "";
    if (tz_load_rlx(&last.at))
        tz_format(at, sizeof at, " at %p",
                  (void *)(uintptr_t)tz_load_rlx(&last.at));
    tz_format(buf, size, "%s of %llu bytes%s: %s%s", names[call],
              (unsigned long long)tz_load_rlx(&last.size), at,
              tz_strerror(err), advice(err));
    return buf;
}

void tz_vm_die(const char *what)
{
    char why[320];
    if (*tz_vm_refusal(why, sizeof why))
        tz_fatal("%s: out of memory (%s)", what, why);
    tz_fatal("%s: out of memory", what);
}
