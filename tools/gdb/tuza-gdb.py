# SPDX-License-Identifier: BSD-3-Clause
# tools/gdb/tuza-gdb.py: goroutines in gdb, of a live process and of a core.
#
#     gdb -x tuza-gdb.py PROGRAM [PID|CORE]
#     (gdb) info goroutines
#     (gdb) goroutine 7 bt
#
# A goroutine that does not run has its registers on its stack, or in its G while
# it is in a declared call. Setting the thread's registers to them would show its
# frames, but those of a core cannot be set, and a live process would have lost
# its own if gdb ended. So an unwinder claims, for the time of one command, that
# the innermost frame of the selected thread was called by the goroutine. That
# frame's ID has to look as if it stood just below the goroutine's, else gdb
# refuses with "previous frame inner to this frame".
#
# Needs tuza's debug information; amd64 only.

import re

import gdb
from gdb.unwinder import Unwinder, register_unwinder

# As tz_ctx_switch leaves a stack (src/arch/layout_amd64.h), from sp upward.
SUSPENDED = {"r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40, "rbp": 48,
             "rip": 56}
SUSPENDED_SIZE = 64
# struct tz_ctx_regs, of a declared call.
IN_CALL = ["rbx", "rbp", "r12", "r13", "r14", "r15"]


class FrameId:
    """What gdb wants of a frame's identity."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


def word(addr):
    memory = gdb.selected_inferior().read_memory(addr, 8)
    return int.from_bytes(bytes(memory), "little")


def constant(name):
    """An enumerator of sched/g.c; others have the same names."""
    symbol = gdb.lookup_global_symbol("tz_allg_count")
    if symbol is None:
        raise gdb.GdbError("no debug information of tuza")
    block = symbol.symtab.static_block()
    return int(gdb.lookup_symbol(name, block)[0].value())


def text(value):
    return value.string(errors="replace") if int(value) else ""


def goroutines():
    """Yields every G that is not dead."""
    per_block, per_leaf = constant("BLOCK"), constant("LEAF")
    dead = int(gdb.parse_and_eval("TZ_G_DEAD"))
    table = gdb.parse_and_eval("allgs")
    for i in range(int(table["count"])):
        block = i // per_block
        g = table["leaf"][block // per_leaf][block % per_leaf][i % per_block]
        if int(g["status"]) != dead:
            yield g


def state(g):
    names = {int(gdb.parse_and_eval("TZ_G_" + s.upper())): s
             for s in ("dead", "runnable", "running", "syscall", "waiting",
                       "no_p")}
    status = names.get(int(g["status"]), "?")
    if status == "waiting":
        return text(gdb.parse_and_eval("tz_wait_name::name[%d]" %
                                       int(g["wait"])))
    return "running, no P" if status == "no_p" else status


def on_a_thread(g):
    return int(g["status"]) in (int(gdb.parse_and_eval("TZ_G_RUNNING")),
                                int(gdb.parse_and_eval("TZ_G_NO_P")))


def saved_registers(g):
    """Registers of a goroutine that does not run; None when it does, or has
    not begun."""
    status = int(g["status"])
    if status == int(gdb.parse_and_eval("TZ_G_SYSCALL")):
        sp = int(g["syscall_sp"])
        regs = {name: int(g["syscall_regs"]["reg"][i])
                for i, name in enumerate(IN_CALL)}
        regs["rip"] = word(sp - 8)
        regs["rsp"] = sp
        return regs
    if on_a_thread(g) or not g["started"]:
        return None
    sp = int(g["ctx"]["sp"])
    regs = {name: word(sp + at) for name, at in SUSPENDED.items()}
    regs["rsp"] = sp + SUSPENDED_SIZE
    return regs


class GoroutineUnwinder(Unwinder):
    def __init__(self):
        super().__init__("tuza goroutine")
        self.registers = None
        self.top = None

    def __call__(self, pending):
        if self.registers is None:
            return None
        at = (int(pending.read_register("rsp")), int(pending.read_register("rip")))
        if at != self.top:
            return None
        sp = gdb.Value(self.registers["rsp"] - 64).cast(
            gdb.lookup_type("unsigned long"))
        info = pending.create_unwind_info(FrameId(sp, pending.read_register("rip")))
        for name, value in self.registers.items():
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(
                gdb.lookup_type("unsigned long")).cast(kind))
        return info


unwinder = GoroutineUnwinder()
register_unwinder(None, unwinder, replace=True)


def select(regs):
    """Makes the frame that has these registers the selected one; how many
    frames are newer than that."""
    frame, newer = gdb.newest_frame(), 0
    while frame is not None and (
            frame.type() == gdb.INLINE_FRAME or
            int(frame.read_register("rsp")) != regs["rsp"]):
        frame = frame.older()
        newer += 1
    if frame is None:
        raise gdb.GdbError("no frame with the goroutine's registers")
    # Of functions that were inlined at that place, the innermost.
    while frame.newer() is not None and frame.newer().pc() == regs["rip"]:
        frame = frame.newer()
        newer -= 1
    frame.select()
    return newer


def standing(regs, function):
    """Calls function(newer frames) with the goroutine's frames in place."""
    frame = gdb.newest_frame()
    while frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
    unwinder.top = (int(frame.read_register("rsp")), int(frame.pc()))
    unwinder.registers = regs
    gdb.invalidate_cached_frames()
    try:
        return function(select(regs))
    finally:
        unwinder.registers = None
        gdb.invalidate_cached_frames()


def caller_of_call_on():
    """Registers of who went over to another stack, if the walk has stopped
    there, because gdb takes an older frame at a lower address for damage."""
    frame = gdb.selected_frame()
    while frame.older() is not None:
        frame = frame.older()
    if frame.name() != "tz_ctx_call_on":
        return None
    regs = {name: int(frame.read_register(name)) for name in IN_CALL}
    base = regs["rbp"]
    regs.update(rbp=word(base), rip=word(base + 8), rsp=base + 16)
    return regs


def backtrace(regs, command):
    """Prints it over all stacks of the goroutine, numbered through."""
    first = 0
    while regs is not None:
        def one(newer):
            said = gdb.execute(command, False, True).splitlines()
            return newer, said, caller_of_call_on()
        newer, said, regs = standing(regs, one)
        for line in said:
            number = re.match(r"#(\d+)", line)
            if number and int(number.group(1)) < newer:
                continue
            if number:
                last = int(number.group(1)) - newer + first
                line = "#%-3d%s" % (last, line[number.end():].lstrip())
            elif regs is not None and line.startswith("Backtrace stopped"):
                continue
            print(line)
        first = last + 1


def run_suspended(g, command):
    regs = saved_registers(g)
    if regs is None:
        raise gdb.GdbError("goroutine %d has not begun" % int(g["id"]))
    if command.split()[0] in ("bt", "backtrace", "where"):
        backtrace(regs, command)
    else:
        standing(regs, lambda newer: gdb.execute(command))


def run_on_thread(g, command):
    tid = int(g["m"]["tid"]) if int(g["m"]) else 0
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == tid:
            before = gdb.selected_thread()
            thread.switch()
            try:
                gdb.execute(command)
            finally:
                before.switch()
            return
    raise gdb.GdbError("goroutine %d runs, on no thread that is here" %
                       int(g["id"]))


class InfoGoroutines(gdb.Command):
    """Number, state, function, label and spawn site of each goroutine."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        for g in sorted(goroutines(), key=lambda g: int(g["id"])):
            label = text(g["label"])
            print("%5d [%s] %s%s, created at %s" %
                  (int(g["id"]), state(g), text(g["name"]) or "(function)",
                   ", label " + label if label else "", text(g["site"])))


class Goroutine(gdb.Command):
    """goroutine N CMD: runs CMD (bt when left out) where goroutine N stands."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        number, _, command = arg.partition(" ")
        if not number.isdigit():
            raise gdb.GdbError("goroutine N CMD")
        for g in goroutines():
            if int(g["id"]) == int(number):
                break
        else:
            raise gdb.GdbError("there is no goroutine " + number)
        run = run_on_thread if on_a_thread(g) else run_suspended
        run(g, command.strip() or "bt")


InfoGoroutines()
Goroutine()
