// SPDX-License-Identifier: BSD-3-Clause
// stack/unwind_expr.c: DWARF expressions in unwind tables.
//
// Linkers write one for the entries of the PLT, whose stack depth depends on
// the pc, and libc one for each register of a signal frame. DWARF 5, section
// 2.5; what only debug information needs (pieces, types, calls) is refused.
// Memory is read inside of the stack only.

#include "base/san.h"
#include "stack/unwind.h"

enum { DEPTH = 16, STEPS = 1000 };

struct eval {
    struct tz_unwind *u;
    struct tz_cursor c;
    uintptr_t begin;
    uintptr_t stack[DEPTH];
    unsigned n;
    bool bad;
};

TZ_NO_SANITIZE static void push(struct eval *e, uintptr_t v)
{
    if (e->n == DEPTH)
        e->bad = true;
    else
        e->stack[e->n++] = v;
}

TZ_NO_SANITIZE static uintptr_t pop(struct eval *e)
{
    if (e->n == 0) {
        e->bad = true;
        return 0;
    }
    return e->stack[--e->n];
}

// The i-th from the top.
TZ_NO_SANITIZE static uintptr_t peek(struct eval *e, uint64_t i)
{
    if (i >= e->n) {
        e->bad = true;
        return 0;
    }
    return e->stack[e->n - 1 - i];
}

TZ_NO_SANITIZE static uintptr_t reg(struct eval *e, uint64_t i)
{
    if (i >= TZ_UNWIND_REGS) {
        e->bad = true;
        return 0;
    }
    return e->u->at.reg[i];
}

TZ_NO_SANITIZE static void branch(struct eval *e, bool taken)
{
    int64_t by = tz_cursor_signed(&e->c, 2);
    uintptr_t to = e->c.p + (uintptr_t)by;
    if (!taken)
        return;
    if (to < e->begin || to > e->c.end)
        e->bad = true;
    else
        e->c.p = to;
}

// Constants: addr, const1u to const8s, constu, consts.
TZ_NO_SANITIZE static bool constant(struct eval *e, uint8_t op)
{
    if (op >= 0x30 && op <= 0x4f) { // lit0 to lit31
        push(e, op - 0x30u);
        return true;
    }
    if (op == 0x03) {
        push(e, (uintptr_t)tz_cursor_fixed(&e->c, sizeof(uintptr_t)));
        return true;
    }
    if (op < 0x08 || op > 0x11)
        return false;
    if (op >= 0x10) {
        push(e, op == 0x10 ? (uintptr_t)tz_cursor_uleb(&e->c)
                           : (uintptr_t)tz_cursor_sleb(&e->c));
    } else {
        unsigned bytes = 1u << (op - 0x08) / 2;
        push(e, op % 2 ? (uintptr_t)tz_cursor_signed(&e->c, bytes)
                       : (uintptr_t)tz_cursor_fixed(&e->c, bytes));
    }
    return true;
}

// Of two operands, b on top.
TZ_NO_SANITIZE static bool binary(struct eval *e, uint8_t op)
{
    bool known = (op >= 0x1a && op <= 0x1e) || (op >= 0x21 && op <= 0x22) ||
                 (op >= 0x24 && op <= 0x27) || (op >= 0x29 && op <= 0x2e);
    if (!known)
        return false;
    uintptr_t b = pop(e), a = pop(e), r = 0;
    intptr_t sa = (intptr_t)a, sb = (intptr_t)b;
    unsigned bits = 8 * sizeof a;
    switch (op) {
    case 0x1a: r = a & b; break;
    case 0x1b: r = b && b != UINTPTR_MAX ? (uintptr_t)(sa / sb) : 0 - a; break;
    case 0x1c: r = a - b; break;
    case 0x1d: r = b ? a % b : 0; break;
    case 0x1e: r = a * b; break;
    case 0x21: r = a | b; break;
    case 0x22: r = a + b; break;
    case 0x24: r = b < bits ? a << b : 0; break;
    case 0x25: r = b < bits ? a >> b : 0; break;
    case 0x26: r = (uintptr_t)(sa >> (b < bits ? b : bits - 1)); break;
    case 0x27: r = a ^ b; break;
    case 0x29: r = a == b; break;
    case 0x2a: r = sa >= sb; break;
    case 0x2b: r = sa > sb; break;
    case 0x2c: r = sa <= sb; break;
    case 0x2d: r = sa < sb; break;
    case 0x2e: r = a != b; break;
    }
    if (b == 0 && (op == 0x1b || op == 0x1d))
        e->bad = true;
    push(e, r);
    return true;
}

TZ_NO_SANITIZE static void rotate(struct eval *e)
{
    uintptr_t a = pop(e), b = pop(e), c = pop(e);
    push(e, a);
    push(e, c);
    push(e, b);
}

TZ_NO_SANITIZE static void deref(struct eval *e, uint64_t bytes)
{
    uintptr_t at = pop(e), word = 0, low = at & (sizeof word - 1);
    if (bytes == 0 || bytes + low > sizeof word ||
        !tz_unwind_read(e->u, at - low, &word)) {
        e->bad = true;
        return;
    }
    struct tz_cursor c = { (uintptr_t)&word + low,
                           (uintptr_t)&word + sizeof word, false };
    push(e, (uintptr_t)tz_cursor_fixed(&c, (unsigned)bytes));
}

TZ_NO_SANITIZE static void other(struct eval *e, uint8_t op)
{
    uint64_t i;
    uintptr_t a;
    if (op >= 0x70 && op <= 0x8f) { // breg0 to breg31
        a = reg(e, op - 0x70u);
        push(e, a + (uintptr_t)tz_cursor_sleb(&e->c));
        return;
    }
    switch (op) {
    case 0x06: deref(e, sizeof a); break;
    case 0x12: push(e, peek(e, 0)); break;
    case 0x13: pop(e); break;
    case 0x14: push(e, peek(e, 1)); break;
    case 0x15: push(e, peek(e, tz_cursor_fixed(&e->c, 1))); break;
    case 0x16: a = pop(e), i = pop(e), push(e, a), push(e, (uintptr_t)i); break;
    case 0x17: rotate(e); break;
    case 0x19: a = pop(e), push(e, (intptr_t)a < 0 ? 0 - a : a); break;
    case 0x1f: push(e, 0 - pop(e)); break;
    case 0x20: push(e, ~pop(e)); break;
    case 0x23: a = pop(e), push(e, a + (uintptr_t)tz_cursor_uleb(&e->c)); break;
    case 0x28: branch(e, pop(e) != 0); break;
    case 0x2f: branch(e, true); break;
    case 0x92: // bregx
        a = reg(e, tz_cursor_uleb(&e->c));
        push(e, a + (uintptr_t)tz_cursor_sleb(&e->c));
        break;
    case 0x94: deref(e, tz_cursor_fixed(&e->c, 1)); break;
    case 0x96: break; // nop
    default: e->bad = true;
    }
}

TZ_NO_SANITIZE bool tz_unwind_expr(struct tz_unwind *u, uintptr_t p,
                                   size_t size, uintptr_t first, uintptr_t *out)
{
    struct eval e = { .u = u, .c = { p, p + size, false }, .begin = p };
    push(&e, first);
    for (int i = 0; e.c.p < e.c.end; i++) {
        uint8_t op = (uint8_t)tz_cursor_fixed(&e.c, 1);
        if (!constant(&e, op) && !binary(&e, op))
            other(&e, op);
        if (e.bad || e.c.bad || i == STEPS)
            return false;
    }
    if (e.n == 0)
        return false;
    *out = e.stack[e.n - 1];
    return true;
}
