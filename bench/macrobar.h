// SPDX-License-Identifier: BSD-3-Clause
// bench/macrobar.h: for the files of macrobar. Programs of this directory, smaller,
// are compiled three times (cmake/programs.cmake): HOW is `plain`; `told`, where stores
// over what may be a pointer are told, as tuza/barrier.h asks; `all`, where every one
// is. Each function runs one and says whether all was right.
#ifndef BENCH_MACROBAR_H
#define BENCH_MACROBAR_H

#include <stdbool.h>
#include <tuza.h>

#define MACROBAR_EACH(F, how)                                                  \
    F(bintrees, how) F(gcbench, how) F(graph, how) F(mixed300k, how)
#define MACROBAR_NAME(name, how) TUZA__CAT(macrobar_##name##_, how)
#define MACROBAR_DECLARE(name, how) bool MACROBAR_NAME(name, how)(void);

MACROBAR_EACH(MACROBAR_DECLARE, plain)
MACROBAR_EACH(MACROBAR_DECLARE, told)
MACROBAR_EACH(MACROBAR_DECLARE, all)

#endif
