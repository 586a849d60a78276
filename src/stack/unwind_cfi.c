// SPDX-License-Identifier: BSD-3-Clause
// stack/unwind_cfi.c: the caller's registers, by the tables of .eh_frame.
//
//     .eh_frame_hdr   sorted (pc, FDE) pairs: binary search
//     FDE             a range of pcs, its CIE, instructions
//     CIE             what FDEs share: factors, return column, instructions
//
// The instructions of the CIE and then of the FDE, up to the pc, make one row:
// the rule for the CFA (the stack pointer before the call) and one for each
// register. The formats are those of DWARF 5, section 6.4, and of the Linux
// Standard Base, chapter 10.6; of pointer encodings those are read that
// assemblers write today. A table without the sorted pairs is not searched.

#include "base/san.h"
#include "os/module.h"
#include "stack/unwind.h"

enum { REMEMBERED = 4, LIMIT = 4096 };

// Pointer encodings.
enum { ABSOLUTE = 0x00, PCREL = 0x10, DATAREL = 0x30, OMIT = 0xff };

enum rule { SAME, UNDEFINED, AT_CFA, CFA_PLUS, REGISTER, AT_EXPR, IS_EXPR };

struct how {
    uint8_t rule;    // enum rule
    uint32_t size;   // of an expression
    uintptr_t value; // offset, register or expression
};

struct row {
    struct how cfa; // REGISTER: reg + value; IS_EXPR
    uint32_t cfa_reg;
    struct how reg[TZ_UNWIND_REGS];
};

struct cie {
    uintptr_t code_align;
    intptr_t data_align;
    uint64_t return_reg;
    uint8_t fde_encoding;
    bool augmented, signal;
    struct tz_cursor code;
};

struct program {
    struct row row, initial, saved[REMEMBERED];
    unsigned nsaved;
    uintptr_t loc, target;
    const struct cie *cie;
    bool bad;
};

// --- reading

TZ_NO_SANITIZE uint64_t tz_cursor_fixed(struct tz_cursor *c, unsigned bytes)
{
    if (c->bad || c->end - c->p < bytes) {
        c->bad = true;
        return 0;
    }
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)((const volatile uint8_t *)c->p)[i] << 8 * i;
    c->p += bytes;
    return v;
}

TZ_NO_SANITIZE int64_t tz_cursor_signed(struct tz_cursor *c, unsigned bytes)
{
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(tz_cursor_fixed(c, bytes) << unused) >> unused;
}

TZ_NO_SANITIZE uint64_t tz_cursor_uleb(struct tz_cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint64_t byte = tz_cursor_fixed(c, 1);
        if (shift < 64)
            v |= (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

TZ_NO_SANITIZE int64_t tz_cursor_sleb(struct tz_cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70;) {
        uint64_t byte = tz_cursor_fixed(c, 1);
        if (shift < 64)
            v |= (byte & 0x7f) << shift;
        shift += 7;
        if (byte & 0x80)
            continue;
        if ((byte & 0x40) && shift < 64)
            v |= ~UINT64_C(0) << shift;
        return (int64_t)v;
    }
    c->bad = true;
    return 0;
}

// A pointer by its encoding; `data` is the start of .eh_frame_hdr.
TZ_NO_SANITIZE static uintptr_t encoded(struct tz_cursor *c, uint8_t encoding,
                                        uintptr_t data)
{
    uintptr_t at = c->p, v = 0;
    switch (encoding & 0x0f) {
    case 0x00:
        v = (uintptr_t)tz_cursor_fixed(c, sizeof v);
        break;
    case 0x01:
        v = (uintptr_t)tz_cursor_uleb(c);
        break;
    case 0x02:
    case 0x03:
    case 0x04:
        v = (uintptr_t)tz_cursor_fixed(c, 1u << ((encoding & 0x0f) - 1));
        break;
    case 0x09:
        v = (uintptr_t)tz_cursor_sleb(c);
        break;
    case 0x0a:
    case 0x0b:
    case 0x0c:
        v = (uintptr_t)tz_cursor_signed(c, 1u << ((encoding & 0x0f) - 9));
        break;
    default:
        c->bad = true;
    }
    switch (encoding & 0xf0) {
    case ABSOLUTE:
        return v;
    case PCREL:
        return v + at;
    case DATAREL:
        return v + data;
    default:
        c->bad = true;
        return 0;
    }
}

// The record at p, its length taken off: a cursor over the rest.
TZ_NO_SANITIZE static struct tz_cursor record(const struct tz_module *m,
                                              uintptr_t p)
{
    struct tz_cursor c = { p, m->hi, p < m->lo || p >= m->hi };
    uint64_t size = tz_cursor_fixed(&c, 4);
    if (size == 0xffffffff)
        size = tz_cursor_fixed(&c, 8);
    if (size == 0 || size > c.end - c.p)
        c.bad = true;
    else
        c.end = c.p + (uintptr_t)size;
    return c;
}

// What the letters of a CIE's augmentation announce. Only P and L have to be
// known to get at R behind them.
TZ_NO_SANITIZE static void augmentation(struct cie *cie, uintptr_t letter,
                                        struct tz_cursor *c)
{
    uint64_t size = tz_cursor_uleb(c);
    if (size > c->end - c->p) {
        c->bad = true;
        return;
    }
    struct tz_cursor a = { c->p, c->p + (uintptr_t)size, c->bad };
    c->p = a.end;
    for (;; letter++) {
        uint8_t encoding;
        switch (*(const volatile char *)letter) {
        case 'S':
            cie->signal = true;
            break;
        case 'R':
            cie->fde_encoding = (uint8_t)tz_cursor_fixed(&a, 1);
            break;
        case 'L':
            tz_cursor_fixed(&a, 1);
            break;
        case 'P': // an indirect one need not be followed
            encoding = (uint8_t)tz_cursor_fixed(&a, 1);
            encoded(&a, encoding & 0x7f, 0);
            break;
        case 0:
            c->bad |= a.bad;
            return;
        default:
            return;
        }
    }
}

TZ_NO_SANITIZE static bool read_cie(const struct tz_module *m, uintptr_t at,
                                    struct cie *cie)
{
    struct tz_cursor c = record(m, at);
    *cie = (struct cie){ .fde_encoding = ABSOLUTE };
    if (tz_cursor_fixed(&c, 4) != 0)
        return false;
    uint64_t version = tz_cursor_fixed(&c, 1);
    uintptr_t letters = c.p;
    while (tz_cursor_fixed(&c, 1) != 0)
        ;
    if (c.bad || (version != 1 && version != 3))
        return false;
    cie->augmented = *(const volatile char *)letters == 'z';
    if (!cie->augmented && *(const volatile char *)letters != 0)
        return false;
    cie->code_align = (uintptr_t)tz_cursor_uleb(&c);
    cie->data_align = (intptr_t)tz_cursor_sleb(&c);
    cie->return_reg =
        version == 1 ? tz_cursor_fixed(&c, 1) : tz_cursor_uleb(&c);
    if (cie->augmented)
        augmentation(cie, letters + 1, &c);
    cie->code = c;
    return !c.bad && cie->return_reg < TZ_UNWIND_REGS;
}

// --- finding

// The address of the FDE that may cover pc; 0: none.
TZ_NO_SANITIZE static uintptr_t search(const struct tz_module *m, uintptr_t pc)
{
    struct tz_cursor c = { m->eh_hdr, m->hi, false };
    uint64_t version = tz_cursor_fixed(&c, 1);
    uint8_t frame = (uint8_t)tz_cursor_fixed(&c, 1);
    uint8_t count = (uint8_t)tz_cursor_fixed(&c, 1);
    uint64_t table = tz_cursor_fixed(&c, 1);
    if (version != 1 || frame == OMIT || count == OMIT ||
        table != (DATAREL | 0x0b))
        return 0;
    encoded(&c, frame, m->eh_hdr);
    uint64_t n = encoded(&c, count, m->eh_hdr);
    if (c.bad || n == 0 || n > (c.end - c.p) / 8)
        return 0;
    uint64_t lo = 0, hi = n; // the last entry that is not above pc
    while (hi - lo > 1) {
        uint64_t mid = lo + (hi - lo) / 2;
        struct tz_cursor e = { c.p + (uintptr_t)mid * 8, c.end, false };
        if (encoded(&e, DATAREL | 0x0b, m->eh_hdr) <= pc)
            lo = mid;
        else
            hi = mid;
    }
    struct tz_cursor e = { c.p + (uintptr_t)lo * 8, c.end, false };
    if (encoded(&e, DATAREL | 0x0b, m->eh_hdr) > pc)
        return 0;
    return encoded(&e, DATAREL | 0x0b, m->eh_hdr);
}

// Reads the FDE at `at` and its CIE: whether it covers pc. What its
// instructions are goes to *code, where its range starts to *start.
TZ_NO_SANITIZE static bool read_fde(const struct tz_module *m, uintptr_t at,
                                    uintptr_t pc, struct cie *cie,
                                    struct tz_cursor *code, uintptr_t *start)
{
    struct tz_cursor c = record(m, at);
    uintptr_t here = c.p;
    uintptr_t back = (uintptr_t)tz_cursor_fixed(&c, 4);
    if (c.bad || back == 0 || !read_cie(m, here - back, cie))
        return false;
    *start = encoded(&c, cie->fde_encoding, m->eh_hdr);
    uintptr_t size = encoded(&c, cie->fde_encoding & 0x0f, 0);
    if (cie->augmented) {
        uint64_t skip = tz_cursor_uleb(&c);
        if (skip > c.end - c.p)
            return false;
        c.p += (uintptr_t)skip;
    }
    *code = c;
    return !c.bad && pc - *start < size;
}

// --- running the instructions

TZ_NO_SANITIZE static void set(struct program *g, uint64_t reg, enum rule rule,
                               uintptr_t value)
{
    // Registers that are not followed, as vector registers, have no row.
    if (reg < TZ_UNWIND_REGS)
        g->row.reg[reg] = (struct how){ (uint8_t)rule, 0, value };
}

TZ_NO_SANITIZE static struct how block(struct tz_cursor *c, enum rule rule)
{
    uint64_t size = tz_cursor_uleb(c);
    if (size > c->end - c->p || size > LIMIT) {
        c->bad = true;
        return (struct how){ 0 };
    }
    struct how h = { (uint8_t)rule, (uint32_t)size, c->p };
    c->p += (uintptr_t)size;
    return h;
}

TZ_NO_SANITIZE static void set_block(struct program *g, struct tz_cursor *c,
                                     enum rule rule)
{
    uint64_t reg = tz_cursor_uleb(c);
    struct how h = block(c, rule);
    if (reg < TZ_UNWIND_REGS)
        g->row.reg[reg] = h;
}

TZ_NO_SANITIZE static void set_cfa(struct program *g, uint64_t reg,
                                   uintptr_t offset)
{
    g->row.cfa = (struct how){ REGISTER, 0, offset };
    g->row.cfa_reg = (uint32_t)reg;
    if (reg >= TZ_UNWIND_REGS)
        g->bad = true;
}

// Where it is an expression, its value is where that stands, and no offset.
TZ_NO_SANITIZE static void set_cfa_offset(struct program *g, uintptr_t offset)
{
    if (g->row.cfa.rule == REGISTER)
        g->row.cfa.value = offset;
    else
        g->bad = true;
}

TZ_NO_SANITIZE static void restore(struct program *g, uint64_t reg)
{
    if (reg < TZ_UNWIND_REGS)
        g->row.reg[reg] = g->initial.reg[reg];
}

TZ_NO_SANITIZE static uintptr_t factored(const struct program *g,
                                         struct tz_cursor *c, bool is_signed)
{
    uint64_t v = is_signed ? (uint64_t)tz_cursor_sleb(c) : tz_cursor_uleb(c);
    return (uintptr_t)v * (uintptr_t)g->cie->data_align;
}

// Remembers the row (keep), or brings the last one back.
TZ_NO_SANITIZE static void stack_row(struct program *g, bool keep)
{
    if (keep ? g->nsaved == REMEMBERED : g->nsaved == 0)
        g->bad = true;
    else if (keep)
        g->saved[g->nsaved++] = g->row;
    else
        g->row = g->saved[--g->nsaved];
}

// Instructions with an operand in the low six bits, and those that move on.
TZ_NO_SANITIZE static bool run_short(struct program *g, struct tz_cursor *c,
                                     uint8_t op)
{
    uintptr_t by = 0;
    switch (op >> 6 ? op & 0xc0 : op) {
    case 0x40:
        by = op & 0x3f;
        break;
    case 0x80:
        set(g, op & 0x3f, AT_CFA, factored(g, c, false));
        return true;
    case 0xc0:
        restore(g, op & 0x3f);
        return true;
    case 0x02:
    case 0x03:
    case 0x04:
        by = (uintptr_t)tz_cursor_fixed(c, 1u << (op - 2));
        break;
    case 0x01: // DW_CFA_set_loc
        g->loc = encoded(c, g->cie->fde_encoding, 0);
        return true;
    default:
        return false;
    }
    g->loc += by * g->cie->code_align;
    return true;
}

TZ_NO_SANITIZE static void run_long(struct program *g, struct tz_cursor *c,
                                    uint8_t op)
{
    uint64_t reg = 0;
    if ((op >= 0x05 && op <= 0x09) || op == 0x0c || op == 0x0d ||
        (op >= 0x11 && op <= 0x12) || op == 0x14 || op == 0x15 || op == 0x2f)
        reg = tz_cursor_uleb(c);
    switch (op) {
    case 0x00: // nop
        break;
    case 0x05: // offset_extended
    case 0x11: // offset_extended_sf
        set(g, reg, AT_CFA, factored(g, c, op == 0x11));
        break;
    case 0x06: // restore_extended
        restore(g, reg);
        break;
    case 0x07: // undefined
        set(g, reg, UNDEFINED, 0);
        break;
    case 0x08: // same_value
        set(g, reg, SAME, 0);
        break;
    case 0x09: // register
        set(g, reg, REGISTER, (uintptr_t)tz_cursor_uleb(c));
        break;
    case 0x0a: // remember_state
    case 0x0b: // restore_state
        stack_row(g, op == 0x0a);
        break;
    case 0x0c: // def_cfa
        set_cfa(g, reg, (uintptr_t)tz_cursor_uleb(c));
        break;
    case 0x0d: // def_cfa_register
        set_cfa(g, reg, g->row.cfa.value);
        break;
    case 0x0e: // def_cfa_offset
        set_cfa_offset(g, (uintptr_t)tz_cursor_uleb(c));
        break;
    case 0x0f: // def_cfa_expression
        g->row.cfa = block(c, IS_EXPR);
        break;
    case 0x10: // expression
        set_block(g, c, AT_EXPR);
        break;
    case 0x12: // def_cfa_sf
        set_cfa(g, reg, factored(g, c, true));
        break;
    case 0x13: // def_cfa_offset_sf
        set_cfa_offset(g, factored(g, c, true));
        break;
    case 0x14: // val_offset
    case 0x15: // val_offset_sf
        set(g, reg, CFA_PLUS, factored(g, c, op == 0x15));
        break;
    case 0x16: // val_expression
        set_block(g, c, IS_EXPR);
        break;
    case 0x2e: // GNU_args_size
        tz_cursor_uleb(c);
        break;
    case 0x2f: // GNU_negative_offset_extended
        set(g, reg, AT_CFA, -factored(g, c, false));
        break;
    default:
        g->bad = true;
    }
}

TZ_NO_SANITIZE static bool run(struct program *g, struct tz_cursor *c)
{
    for (int i = 0; i < LIMIT && c->p < c->end && g->loc <= g->target; i++) {
        uint8_t op = (uint8_t)tz_cursor_fixed(c, 1);
        if (!run_short(g, c, op))
            run_long(g, c, op);
        if (g->bad || c->bad)
            return false;
    }
    return true;
}

// --- the caller

TZ_NO_SANITIZE static bool caller_reg(struct tz_unwind *u,
                                      const struct how *h, uintptr_t cfa,
                                      uintptr_t *io)
{
    uintptr_t at;
    switch (h->rule) {
    case SAME:
        return true;
    case UNDEFINED:
        *io = 0;
        return true;
    case AT_CFA:
        return tz_unwind_read(u, cfa + h->value, io);
    case CFA_PLUS:
        *io = cfa + h->value;
        return true;
    case REGISTER:
        if (h->value >= TZ_UNWIND_REGS)
            return false;
        *io = u->at.reg[h->value];
        return true;
    case AT_EXPR:
        return tz_unwind_expr(u, h->value, h->size, cfa, &at) &&
               tz_unwind_read(u, at, io);
    case IS_EXPR:
        return tz_unwind_expr(u, h->value, h->size, cfa, io);
    }
    return false;
}

TZ_NO_SANITIZE static bool apply(struct tz_unwind *u, const struct row *row,
                                 const struct cie *cie)
{
    struct tz_machine next = u->at;
    uintptr_t cfa;
    if (row->cfa.rule == IS_EXPR) {
        if (!tz_unwind_expr(u, row->cfa.value, row->cfa.size, 0, &cfa))
            return false;
    } else {
        cfa = u->at.reg[row->cfa_reg] + row->cfa.value;
    }
    next.reg[tz_unwind_cpu.sp] = cfa;
    for (unsigned i = 0; i < TZ_UNWIND_REGS; i++)
        if (!caller_reg(u, &row->reg[i], cfa, &next.reg[i]))
            return false;
    next.reg[tz_unwind_cpu.pc] = next.reg[cie->return_reg];
    next.exact = cie->signal;
    u->at = next;
    return true;
}

TZ_NO_SANITIZE bool tz_unwind_by_tables(struct tz_unwind *u, bool *known)
{
    struct tz_module m;
    struct cie cie;
    struct tz_cursor code;
    struct program g;
    g.target = tz_unwind_place(u);
    *known = tz_module_find(g.target, &m);
    if (!*known || !tz_unwind_cpu.tables || !m.eh_hdr)
        return false;
    uintptr_t fde = search(&m, g.target);
    if (!fde || !read_fde(&m, fde, g.target, &cie, &code, &g.loc))
        return false;
    g.cie = &cie;
    g.row = (struct row){ .cfa = { UNDEFINED, 0, 0 } };
    g.nsaved = 0;
    g.bad = false;
    if (!run(&g, &cie.code))
        return false;
    g.initial = g.row;
    return run(&g, &code) && g.row.cfa.rule != UNDEFINED &&
           apply(u, &g.row, &cie);
}
