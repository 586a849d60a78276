#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# test: release-only
#
# With libvmalimit.so a program has about N mappings left, and many without.
. "$(dirname "$0")/helpers.bash"

room() {
    env LD_PRELOAD="$emul/libvmalimit.so" "$@" "$probe" room
}
most=$(cat /proc/sys/vm/max_map_count)
if [ "$most" -gt $((4 << 20)) ]; then
    ends "too many to use up" 99 \
        env LD_PRELOAD="$emul/libvmalimit.so" EMUL_VMA=1 "$probe" room
    verdict
    exit
fi
answers "without it" 1000 "$probe" room
answers "not set" 1000 \
    env -u EMUL_VMA LD_PRELOAD="$emul/libvmalimit.so" "$probe" room
for n in 0 1 2 10 50 100 500; do
    ran=$((ran + 1))
    got=$(room EMUL_VMA=$n)
    # The first new mapping may join a neighbour; one is made past the limit.
    if [ "$got" -lt $((n - 2)) ] || [ "$got" -gt $((n + 4)) ]; then
        fail "EMUL_VMA=$n leaves room for $got mappings"
    fi
done
answers "what is inside a mapping cannot be cut out at the limit" \
    'ENOMEM*' env LD_PRELOAD="$emul/libvmalimit.so" EMUL_VMA=2 \
    "$probe" interior
verdict
