#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# gdb steps through switches one instruction at a time. At each of them its
# backtrace ends either in main or where the context starts, never in between.
set -u
cd "${SRC_DIR:-$(dirname "$0")/../..}" || exit 1
if ! command -v gdb >/dev/null; then
    echo "skipped: no gdb"
    exit 77
fi
cpu=$(sed -n 's/.*-DTZ_CPU=\([a-z0-9]*\).*/\1/p' \
    "${BUILD_DIR:-build/release}/build.ninja" 2>/dev/null | head -1)
cpu=${cpu:-amd64}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

cat >"$work/main.c" <<'C'
#include "arch/ctx.h"
static struct tz_ctx home, ctx;
static _Alignas(16) char stack[65536];
static void inside(int depth)
{
    if (depth)
        inside(depth - 1);
    else
        tz_ctx_switch(&ctx, &home);
    __asm__ volatile("");
}
static void entry(void *arg)
{
    (void)arg;
    inside(3);
    tz_ctx_jump(&home);
}
void finished(void) { __asm__ volatile(""); }
int main(void)
{
    tz_ctx_init(&ctx, (uintptr_t)stack + sizeof stack, entry, NULL);
    tz_ctx_switch(&home, &ctx);
    tz_ctx_switch(&home, &ctx);
    finished();
}
C
cat >"$work/commands" <<'G'
set confirm off
set width 0
set pagination off
break main
break finished
run
set $steps = 0
while $steps < 400
  stepi
  echo \nSTEP\n
  bt 20
  set $steps = $steps + 1
end
G

s3_04_gdb_unwinds_from_each_instruction() {
    ${CC:-gcc} -std=gnu11 -O2 -g -fno-inline -D_GNU_SOURCE "-U$cpu" \
        "-DTZ_CPU=$cpu" -Isrc "$work/main.c" "src/arch/ctx_$cpu.S" \
        "src/arch/ctx_init_$cpu.c" src/arch/ctx.c -o "$work/main" || return 1
    timeout 100 gdb -nx -batch -x "$work/commands" "$work/main" \
        >"$work/out" 2>&1 </dev/null
    awk '
        function done() {
            if (!steps || over)
                return
            if (text ~ /finished/) {
                over = 1
                return
            }
            seen[where]++
            if (last ~ / in main \(|main \(|tz_ctx_start/)
                good++
            else {
                printf "%s", text
                bad++
            }
        }
        /^STEP$/ { done(); steps++; text = last = where = ""; next }
        /^#[0-9]+ / {
            text = text $0 "\n"
            last = $0
            if (where == "") {
                where = "other"
                if (match($0, /tz_ctx_(switch|jump|start)/))
                    where = substr($0, RSTART + 7, RLENGTH - 7)
            }
        }
        /inner to this frame|corrupt stack|Cannot access/ { print; bad++ }
        END {
            done()
            printf "%d good, %d bad; in switch %d, jump %d, start %d\n",
                good, bad, seen["switch"], seen["jump"], seen["start"]
            # two switches in, one out, a jump
            exit !(over && !bad && seen["switch"] >= 60 && seen["jump"] >= 10 &&
                seen["start"] >= 2)
        }' "$work/out"
}

s3_04_gdb_unwinds_from_each_instruction
