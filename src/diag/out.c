// SPDX-License-Identifier: BSD-3-Clause
// diag/out.c: writing to a file descriptor from anywhere: no lock, no stdio, no
// allocation; a line is one write.

#include "diag/out.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/print.h"

int tz_out_bytes(int fd, const void *from, size_t n)
{
    int saved = errno, err = 0;
    for (const char *p = from; n > 0 && !err;) {
        ssize_t w = write(fd, p, n);
        if (w > 0) {
            p += w;
            n -= (size_t)w;
        } else if (w < 0 && errno == EAGAIN) {
            struct pollfd wait = { .fd = fd, .events = POLLOUT };
            poll(&wait, 1, -1);
        } else if (w == 0 || errno != EINTR) {
            err = w ? errno : EIO;
        }
    }
    errno = saved;
    return err;
}

void tz_out(struct tz_out *o, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    if (o->err)
        return;
    va_start(ap, fmt);
    size_t n = tz_vformat(line, sizeof line, fmt, ap);
    va_end(ap);
    o->err = tz_out_bytes(o->fd, line, tz_min(n, sizeof line - 1));
}
