// SPDX-License-Identifier: BSD-3-Clause
// os/module.h: which loaded object an address lies in.
#ifndef TZ_OS_MODULE_H
#define TZ_OS_MODULE_H

#include "base/base.h"

struct tz_module {
    uintptr_t base;    // what is added to the addresses in its file
    const char *path;  // "" is the program; may not name a file (the vDSO)
    uintptr_t eh_hdr;  // its .eh_frame_hdr, 0: none
    uintptr_t lo, hi;  // the readable segment that eh_hdr lies in
};

// Notes what is loaded, for systems that cannot tell without a lock. Before the
// first handler is installed.
void tz_module_init(void);

// The object that addr lies in. Signal-safe, without locks; may not know
// objects that were loaded late.
bool tz_module_find(uintptr_t addr, struct tz_module *out);

#endif
