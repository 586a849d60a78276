// SPDX-License-Identifier: BSD-3-Clause
// os/env_sys.h: between os/env.c and what differs from system to system.
#ifndef TZ_OS_ENV_SYS_H
#define TZ_OS_ENV_SYS_H

#include "base/base.h"

// Whether the program runs with more rights than who started it (set-uid), so
// that the environment may not be believed.
bool tz_envsys_secure(void);

#endif
