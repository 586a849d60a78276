// SPDX-License-Identifier: BSD-3-Clause
// bench/switch_nofp.c: switch.c without the floating-point control words.
#define SHARED true
#include "switch.c"
