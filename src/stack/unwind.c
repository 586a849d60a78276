// SPDX-License-Identifier: BSD-3-Clause
// stack/unwind.c: walking a stack outward.
//
//     tz_unwind_step: tables of the object that pc lies in   (unwind_cfi.c)
//                     else a wild pc: the word at sp          called into void
//                     else the frame pointer: [fp], [fp + 1 word]
//
// The stack pointer grows with each step, or goes over to a stack of the chain,
// which is left behind then; so every walk ends, whatever the stack holds. No
// address is trusted: stack words are read inside of the bounds that the caller
// gave, table bytes inside of their segment.
//
// libgcc's unwinder would take locks where there is no _dl_find_object, ends
// the process on tables it does not understand, and reads any address that it
// is led to. Costs about 0.2 us a frame.

#include "stack/unwind.h"

#include "base/san.h"
#include "os/module.h"

enum { LEAST_PC = 4096, LINKS = 1 << 16 };

TZ_NO_SANITIZE static bool within(uintptr_t lo, uintptr_t hi, uintptr_t addr)
{
    return addr >= lo && addr < hi && hi - addr >= sizeof addr;
}

// Of the chain: the link that left the stack with `size` bytes at addr; none at
// the stack pointer of one that is empty. NULL: there is none.
TZ_NO_SANITIZE static const struct tz_stack_link *
link_of(const struct tz_unwind *u, uintptr_t addr, size_t size)
{
    const struct tz_stack_link *s = u->chain;
    for (int i = 0; s && i < LINKS; i++, s = s->older)
        if (addr >= s->from_sp && addr <= s->from.hi &&
            s->from.hi - addr >= size)
            return s;
    return NULL;
}

// A word of a stack that its goroutine may be using, or have given back. Aligned
// windows, so that none reaches over the end of an OS page.
TZ_NO_SANITIZE static bool read_copy(struct tz_unwind *u, uintptr_t addr,
                                     uintptr_t *out)
{
    uintptr_t at = tz_align_down(addr, sizeof u->copy);
    if (u->window != at) {
        u->window = 0;
        if (!tz_peek(u->copy, at, sizeof u->copy))
            return false;
        u->window = at;
    }
    *out = u->copy[(addr - at) / sizeof *out];
    return true;
}

// Where a frame stands that went over to this stack, its saved registers are
// on the older one.
TZ_NO_SANITIZE bool tz_unwind_read(struct tz_unwind *u, uintptr_t addr,
                                   uintptr_t *out)
{
    if (addr % sizeof *out != 0)
        return false;
    if (!within(u->lo, u->hi, addr) && !link_of(u, addr, sizeof *out))
        return false;
    if (u->fleeting)
        return read_copy(u, addr, out);
    *out = *(const volatile uintptr_t *)addr;
    return true;
}

TZ_NO_SANITIZE void tz_unwind_start(struct tz_unwind *u,
                                    const struct tz_machine *at, uintptr_t lo,
                                    uintptr_t hi,
                                    const struct tz_stack_link *chain)
{
    u->at = *at;
    u->lo = lo;
    u->hi = hi;
    u->chain = chain;
    u->fleeting = false;
    u->window = 0;
}

TZ_NO_SANITIZE uintptr_t tz_unwind_place(const struct tz_unwind *u)
{
    uintptr_t pc = u->at.reg[tz_unwind_cpu.pc];
    return u->at.exact || pc == 0 ? pc : pc - 1;
}

// pc leads nowhere, as after a call of a bad pointer: the return address is
// the last that was pushed.
TZ_NO_SANITIZE static bool by_top_word(struct tz_unwind *u)
{
    struct tz_module m;
    uintptr_t *sp = &u->at.reg[tz_unwind_cpu.sp], pc;
    if (!tz_unwind_read(u, *sp, &pc) || !tz_module_find(pc, &m))
        return false;
    u->at.reg[tz_unwind_cpu.pc] = pc;
    *sp += sizeof pc;
    return true;
}

TZ_NO_SANITIZE static bool by_frame_pointer(struct tz_unwind *u)
{
    uintptr_t fp = u->at.reg[tz_unwind_cpu.fp], next, pc;
    if (fp < u->at.reg[tz_unwind_cpu.sp] || !tz_unwind_read(u, fp, &next) ||
        !tz_unwind_read(u, fp + sizeof fp, &pc))
        return false;
    u->at.reg[tz_unwind_cpu.fp] = next;
    u->at.reg[tz_unwind_cpu.pc] = pc;
    u->at.reg[tz_unwind_cpu.sp] = fp + 2 * sizeof fp;
    return true;
}

// Whether the walk has got on from `before`; goes over to an older stack.
TZ_NO_SANITIZE static bool advanced(struct tz_unwind *u, uintptr_t before)
{
    uintptr_t sp = u->at.reg[tz_unwind_cpu.sp];
    if (sp > before && sp <= u->hi)
        return true;
    const struct tz_stack_link *s = link_of(u, sp, 0);
    if (!s)
        return false;
    u->lo = s->from_sp;
    u->hi = s->from.hi;
    u->chain = s->older;
    return true;
}

TZ_NO_SANITIZE bool tz_unwind_step(struct tz_unwind *u)
{
    uintptr_t before = u->at.reg[tz_unwind_cpu.sp];
    bool known = false;
    if (before > u->hi)
        return false;
    if (tz_unwind_by_tables(u, &known)) {
        // and at.exact is as the tables say
    } else if (!known && u->at.exact && by_top_word(u)) {
        u->at.exact = false;
    } else if (by_frame_pointer(u)) {
        u->at.exact = false;
    } else {
        return false;
    }
    return u->at.reg[tz_unwind_cpu.pc] >= LEAST_PC && advanced(u, before);
}

TZ_NO_SANITIZE size_t tz_unwind(const struct tz_machine *at, uintptr_t lo,
                                uintptr_t hi, const struct tz_stack_link *chain,
                                uintptr_t *pcs, size_t n)
{
    struct tz_unwind u;
    tz_unwind_start(&u, at, lo, hi, chain);
    size_t i = 0;
    do {
        if (i == n)
            break;
        pcs[i++] = u.at.reg[tz_unwind_cpu.pc];
    } while (tz_unwind_step(&u));
    return i;
}
