// SPDX-License-Identifier: BSD-3-Clause
// emul/regs_amd64.h: where a stopped system call has its arguments, on amd64.
#ifndef EMUL_REGS_AMD64_H
#define EMUL_REGS_AMD64_H

#include <linux/audit.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>

#define EMUL_AUDIT_ARCH AUDIT_ARCH_X86_64

struct emul_regs {
    struct user_regs_struct r;
};

static inline bool emul_regs_get(pid_t tid, struct emul_regs *regs)
{
    return ptrace(PTRACE_GETREGS, tid, 0, &regs->r) == 0;
}

static inline int emul_regs_call(const struct emul_regs *regs)
{
    return (int)regs->r.orig_rax;
}

// The call is not made; the program sees this result.
static inline void emul_regs_answer(pid_t tid, struct emul_regs *regs,
                                    int64_t result)
{
    regs->r.orig_rax = UINT64_MAX;
    regs->r.rax = (uint64_t)result;
    ptrace(PTRACE_SETREGS, tid, 0, &regs->r);
}

static inline uint64_t emul_regs_arg0(const struct emul_regs *regs)
{
    return regs->r.rdi;
}

static inline uint64_t emul_regs_arg3(const struct emul_regs *regs)
{
    return regs->r.r10;
}

static inline void emul_regs_set(pid_t tid, struct emul_regs *regs,
                                 uint64_t arg0, uint64_t arg3)
{
    regs->r.rdi = arg0;
    regs->r.r10 = arg3;
    ptrace(PTRACE_SETREGS, tid, 0, &regs->r);
}

#endif
