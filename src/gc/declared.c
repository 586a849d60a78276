// SPDX-License-Identifier: BSD-3-Clause
// gc/declared.c: whether all stores are told to the collector.
//
// One store that is not may lose an object that is in use. So it has to be said
// of everything that is loaded: by the program for all of it, or by a note in
// each object (tuza/barrier_note.h). Exempt are those that store pointers of the
// program's only by functions which programs with the note have replaced
// (compiled_mem.c): libc with its parts and the dynamic linker; those that store
// none: libm, libgcc_s, the vDSO; and this library, which tells.
//
// Not exempt is libstdc++, which links nodes of trees and lists. The note says
// nothing of single files of a program: whoever links files compiled without
// says more than is true.

#include "gc/barrier.h"

#include "os/modnote.h"

static const char *const exempt[] = {
    "ld-linux",     "linux-vdso.so", "linux-gate.so", "libc.so",
    "libm.so",      "libmvec.so",    "libdl.so",      "libpthread.so",
    "librt.so",     "libgcc_s.so",   "libtuza.so",    NULL
};

static int who_says; // const after init

void tz_barrier_init(int says)
{
    who_says = says;
}

bool tz_barrier_declared(const char **missing)
{
    *missing = NULL;
    if (who_says != TUZA_BARRIER_NOTES)
        return who_says == TUZA_BARRIER_COMPLETE;
    return tz_modnote_all("tuza", 1, 1, exempt, missing);
}

uint64_t tz_barrier_loads(void)
{
    return who_says == TUZA_BARRIER_NOTES ? tz_modnote_loads() : 0;
}

bool tz_barrier_by_hand(void)
{
    return who_says == TUZA_BARRIER_COMPLETE;
}
