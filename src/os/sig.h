// SPDX-License-Identifier: BSD-3-Clause
// os/sig.h: signals.
#ifndef TZ_OS_SIG_H
#define TZ_OS_SIG_H

#include <signal.h>

#include "base/base.h"

// What an interrupted thread was doing.
struct tz_sigctx {
    int signo;
    int code;             // si_code
    uintptr_t fault_addr; // si_addr, of SIGSEGV and SIGBUS
    uintptr_t sp, pc, fp;
    // Every byte that may hold one of the interrupted code's register values:
    // the machine context and the saved vector state, in the signal frame.
    const void *regs;
    size_t regs_size;
    void *uc;             // the system's ucontext_t
};

// Runs handler for signo on the thread's alternate stack, restarting system
// calls, with all signals blocked meanwhile. The handler gets the context and
// returns whether it dealt with the signal; if not, what was installed before
// gets it (the default action: reset and raised again). errno is kept.
// Installed by the raw system call where ThreadSanitizer would hold it back.
// 0, or -errno.
int tz_sig_install(int signo, bool (*handler)(struct tz_sigctx *ctx));

// Gives the calling thread an alternate signal stack, every page of it
// touched, unless it has one. 0, or -ENOMEM.
int tz_sig_altstack(void);
// Takes it away and frees it, at the thread's end.
void tz_sig_altstack_free(void);

void tz_sig_block_all(void);
// Remembers the calling thread's mask as the program's.
void tz_sig_mask_remember(void);
// Gives the calling thread the program's mask, with n signals unblocked.
void tz_sig_mask_use(const int *unblocked, int n);

// Unblocks n signals for the calling thread; *before gets its mask, to restore.
void tz_sig_unblock(const int *signos, int n, sigset_t *before);
void tz_sig_mask_restore(const sigset_t *before);

#endif
