// SPDX-License-Identifier: BSD-3-Clause
// os/sig.c: handlers that hand on what they do not want, and the stacks that
// they run on.
//
// Of each signal there is one slot: our handler and what was installed before
// it. A signal that the handler refuses goes on as if ours were not there: a
// function is called with the same arguments, an ignored signal is ignored, the
// default action is taken by restoring it and then either returning into the
// faulting instruction or raising the signal again, which comes when the
// handler returns. The slot is complete before the system hears of it, so a
// handler needs no lock [os.I8].
//
// A program that installs its own handler after us has ours replaced; to see
// both it chains as we do.
//
// An alternate stack is one mapping; its owner's record lies at the bottom:
//
//     low | struct altstack, a page | guard page | stack, every page touched |
//
// What sigaltstack is told is whole pages of stack memory with nothing in them:
// OpenBSD maps the whole pages within anew, zeroed, and lets no stack pointer
// into the rest.
//
// All touched, since kernels 5.2 to 5.4 lost vector registers when the page
// under a signal frame was not there yet (Go issue 35777).
//
// Go keeps this in signal_unix.go (sighandler, sigfwdgo); ours has handlers
// per signal, which know nothing of goroutines.

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/san.h"
#include "os/lock.h"
#include "os/sig_sys.h"
#include "os/vm.h"

enum { SIGNALS = 65 };

struct slot {
    bool (*handler)(struct tz_sigctx *ctx); // atomic; NULL not installed
    struct sigaction before;                // const after install
    uint32_t spent; // atomic; 1: `before` was for one signal and had it
};

struct altstack {
    struct altstack *next; // guarded by sig.lock
    size_t size;           // of the mapping; const after init
    void *stack;           // what sigaltstack was told; const after init
};

static struct {
    struct tz_lock lock;
    struct altstack *stacks; // all there are; guarded by lock
    sigset_t program;        // the program's mask; const once remembered
    struct slot slots[SIGNALS];
} sig = { .lock = TZ_LOCK_INIT(TZ_RANK_LEAF) };

// --- handlers

// Whether the default action of signo is to do nothing.
TZ_NO_SANITIZE static bool ignored_by_default(int signo)
{
    return signo == SIGCHLD || signo == SIGURG || signo == SIGWINCH ||
           signo == SIGCONT;
}

TZ_NO_SANITIZE static void default_action(int signo, siginfo_t *info)
{
    if (tz_sigsys_is_fault(info)) {
        tz_sigsys_default(signo);
        return; // the core shows the faulting instruction
    }
    if (ignored_by_default(signo))
        return;
    if (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU) {
        raise(SIGSTOP); // our handler stays for the next time
        return;
    }
    tz_sigsys_default(signo);
    raise(signo);
}

TZ_NO_SANITIZE static void chain(int signo, siginfo_t *info, void *uc)
{
    struct slot *s = &sig.slots[signo];
    const struct sigaction *b = &s->before;
    // Order: nothing but the flag itself is read after.
    bool spent = (b->sa_flags & SA_RESETHAND) &&
                 tz_xchg(&s->spent, 1) != 0;
    if (spent || b->sa_handler == SIG_DFL)
        default_action(signo, info);
    else if (b->sa_handler == SIG_IGN) {
        if (tz_sigsys_is_fault(info))
            default_action(signo, info); // the kernel does not ignore it either
    } else if (b->sa_flags & SA_SIGINFO)
        b->sa_sigaction(signo, info, uc);
    else
        b->sa_handler(signo);
}

TZ_NO_SANITIZE static void on_signal(int signo, siginfo_t *info, void *uc)
{
    int saved = errno;
    struct tz_sigctx ctx;
    ctx.signo = signo;
    ctx.code = info->si_code;
    ctx.fault_addr = 0;
    if ((signo == SIGSEGV || signo == SIGBUS) && info->si_code > 0)
        ctx.fault_addr = (uintptr_t)info->si_addr;
    ctx.uc = uc;
    tz_sigsys_context(&ctx, uc);
    // Acquire: pairs with the release in tz_sig_install.
    if (!tz_load_acq(&sig.slots[signo].handler)(&ctx))
        chain(signo, info, uc);
    errno = saved;
}

// libc fills what the kernel has no signals for from its stack, and this is static
// data, where a stale address would keep an object for ever.
static void clear_tail(sigset_t *mask)
{
    size_t kernels = (SIGNALS - 1) / 8;
    memset((char *)mask + kernels, 0, sizeof *mask - kernels);
}

int tz_sig_install(int signo, bool (*handler)(struct tz_sigctx *ctx))
{
    if (signo < 1 || signo >= SIGNALS || !handler)
        return -EINVAL;
    int saved = errno, err = 0;
    tz_lock_acquire(&sig.lock);
    struct slot *s = &sig.slots[signo];
    bool first = tz_load_rlx(&s->handler) == NULL; // written under the lock
    if (first && sigaction(signo, NULL, &s->before))
        err = errno;
    if (!err) {
        if (first)
            clear_tail(&s->before.sa_mask);
        tz_store_rel(&s->handler, handler); // partner: on_signal
        err = tz_sigsys_install(signo, on_signal);
        if (err && first)
            tz_store_rel(&s->handler, NULL);
    }
    tz_lock_release(&sig.lock);
    errno = saved;
    return -err;
}

// --- alternate stacks

static void touch_pages(char *lo, size_t n)
{
    volatile char *p = lo;
    for (size_t i = 0; i < n; i += tz_vm_page())
        p[i] = 0;
}

// Maps a stack and its record; NULL without memory.
static struct altstack *make_altstack(void)
{
    size_t page = tz_vm_page();
    _Static_assert(sizeof(struct altstack) <= 4096, "the smallest page");
    size_t size = 2 * page + tz_align_up(tz_sigsys_stack_size(), page);
    char *lo = tz_vm_alloc_signal_stack(size);
    if (!lo)
        return NULL;
    tz_san_unpoison(lo, size); // of what ran here before
    touch_pages(lo + 2 * page, size - 2 * page);
    if (tz_vm_guard(lo + page, page) != 0)
        tz_vm_protect(lo + page, page); // best effort
    struct altstack *a = (void *)lo;
    a->size = size;
    a->stack = lo + 2 * page;
    return a;
}

static void free_altstack(struct altstack *a)
{
    tz_vm_free(a, a->size, TZ_VM_META, TZ_VM_READY);
}

int tz_sig_altstack(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
        return 0;
    struct altstack *a = make_altstack();
    if (!a)
        return -ENOMEM;
    stack_t ss = { .ss_sp = a->stack };
    ss.ss_size = a->size - (size_t)((char *)a->stack - (char *)a);
    int saved = errno;
    if (sigaltstack(&ss, NULL)) {
        int err = errno;
        errno = saved;
        free_altstack(a);
        return -err;
    }
    tz_lock_acquire(&sig.lock);
    a->next = sig.stacks;
    sig.stacks = a;
    tz_lock_release(&sig.lock);
    return 0;
}

// Takes the record of the stack that starts at sp off the list; NULL when it
// is none of ours.
static struct altstack *unlink_altstack(const void *sp)
{
    struct altstack *found = NULL;
    tz_lock_acquire(&sig.lock);
    for (struct altstack **p = &sig.stacks; *p; p = &(*p)->next) {
        if ((*p)->stack == sp) {
            found = *p;
            *p = found->next;
            break;
        }
    }
    tz_lock_release(&sig.lock);
    return found;
}

void tz_sig_altstack_free(void)
{
    stack_t now, none = { .ss_flags = SS_DISABLE };
    if (sigaltstack(NULL, &now) || (now.ss_flags & (SS_DISABLE | SS_ONSTACK)))
        return;
    struct altstack *a = unlink_altstack(now.ss_sp);
    if (!a)
        return; // somebody else's
    sigaltstack(&none, NULL);
    free_altstack(a);
}

void tz_sig_block_all(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

void tz_sig_mask_remember(void)
{
    pthread_sigmask(SIG_SETMASK, NULL, &sig.program);
}

void tz_sig_mask_use(const int *unblocked, int n)
{
    sigset_t mask = sig.program;
    for (int i = 0; i < n; i++)
        sigdelset(&mask, unblocked[i]);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

void tz_sig_unblock(const int *signos, int n, sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < n; i++)
        sigaddset(&set, signos[i]);
    pthread_sigmask(SIG_UNBLOCK, &set, before);
}

void tz_sig_mask_restore(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}
