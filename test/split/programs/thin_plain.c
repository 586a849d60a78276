// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/thin_plain.c: plain code, which a thin segment has no room
// for, called in a way that no linker sees.

extern void (*volatile thin_hook)(void);

static void plain(void)
{
    volatile char frame[1800];
    for (int i = 0; i < 1800; i++)
        frame[i] = 1;
    (void)frame[0];
}
void (*volatile thin_hook)(void) = plain;
