// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier/plug.c: what plugged.c loads, compiled without the flags.

void *plug_take(void **cell);

void *plug_take(void **cell)
{
    void *p = *cell;
    *cell = 0;
    return p;
}
