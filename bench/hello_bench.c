// SPDX-License-Identifier: BSD-3-Clause
// bench/hello_bench.c: a program that only starts the runtime; start.c runs it.

#include <stdio.h>
#include <tuza.h>

TUZA_MAIN
{
    return puts("hello") < 0;
}
