// SPDX-License-Identifier: BSD-3-Clause
// api/errno.c: the address of errno, anew at each call (tuza/errno.h).

#include <errno.h>

// While the name is libc's.
static int *address_of_errno(void)
{
    // Else a compiler that sees this body, as with -flto, finds that it does no
    // more than libc's function, and takes it for as constant as that.
    __asm__ volatile("" ::: "memory");
    return &errno;
}

#include "tuza/errno.h"

int *tuza_errno_location(void)
{
    return address_of_errno();
}
