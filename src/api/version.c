// SPDX-License-Identifier: BSD-3-Clause
// api/version.c: the version.

#include "tuza/run.h"

const char *tuza_version(void) { return "0.1.0"; }
