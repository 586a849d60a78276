// SPDX-License-Identifier: BSD-3-Clause
// os/sig_sys.h: between os/sig.c and what differs from system to system.
#ifndef TZ_OS_SIG_SYS_H
#define TZ_OS_SIG_SYS_H

#include <signal.h>

#include "os/sig.h"

typedef void tz_sigsys_action(int signo, siginfo_t *info, void *uc);

// Installs fn for signo with SA_SIGINFO | SA_ONSTACK | SA_RESTART and all
// signals blocked. 0, or an errno.
int tz_sigsys_install(int signo, tz_sigsys_action *fn);

// Fills in sp, pc, fp, regs and regs_size from uc.
void tz_sigsys_context(struct tz_sigctx *ctx, void *uc);

// The default action from now on, without wrappers.
void tz_sigsys_default(int signo);

// Whether the kernel raised it for what the interrupted instruction did, so
// that returning runs into it again.
bool tz_sigsys_is_fault(const siginfo_t *info);

// Bytes that an alternate stack should have.
size_t tz_sigsys_stack_size(void);

#endif
