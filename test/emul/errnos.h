// SPDX-License-Identifier: BSD-3-Clause
// emul/errnos.h: names of errno values, for the settings of the emulators and
// the answers of probe.
#ifndef EMUL_ERRNOS_H
#define EMUL_ERRNOS_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int err;
} errnos[] = {
    {"EACCES", EACCES},       {"EAGAIN", EAGAIN}, {"EBADF", EBADF},
    {"EEXIST", EEXIST},       {"EFAULT", EFAULT}, {"EINTR", EINTR},
    {"EINVAL", EINVAL},       {"ENOMEM", ENOMEM}, {"ENOSYS", ENOSYS},
    {"EOVERFLOW", EOVERFLOW}, {"EPERM", EPERM},
};

// The errno of a name or a number of n characters; 0 for what is none.
static inline int errno_of(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
        if (strlen(errnos[i].name) == n && !memcmp(errnos[i].name, text, n))
            return errnos[i].err;
    char *end;
    long v = strtol(text, &end, 10);
    return n > 0 && end == text + n && v > 0 && v < 4096 ? (int)v : 0;
}

static inline const char *errno_name(int err)
{
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
        if (errnos[i].err == err)
            return errnos[i].name;
    return strerror(err);
}

#endif
