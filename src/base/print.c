// SPDX-License-Identifier: BSD-3-Clause
// base/print.c: formatted output for reports.
//
// A fatal report may be written from a signal handler, with a corrupt heap or
// with stdio's lock held by a stopped thread. So this neither locks nor
// allocates; it formats into a buffer on the caller's stack and writes it with
// one system call. It does not do floating point, nor buffer across calls.

#include "base/print.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct out {
    char *buf;
    size_t size;
    size_t len; // what the text has so far, fitting or not
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_string(struct out *o, const char *s, size_t max, unsigned width)
{
    if (!s)
        s = "(null)";
    size_t n = 0;
    for (; n < max && s[n]; n++)
        put(o, s[n]);
    for (; n < width; n++)
        put(o, ' ');
}

static void put_number(struct out *o, uint64_t v, unsigned base, bool negative,
                       unsigned width, char fill)
{
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (negative && fill == '0')
        put(o, '-');
    for (unsigned i = n + negative; i < width; i++)
        put(o, fill);
    if (negative && fill != '0')
        put(o, '-');
    while (n)
        put(o, digits[--n]);
}

// One conversion's flags.
struct spec {
    char fill;
    unsigned width;
    size_t precision;
    int length; // 0 int, 1 long, 2 long long
};

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
    *s = (struct spec){ ' ', 0, SIZE_MAX, 0 };
    if (*f == '-')
        f++;
    if (*f == '0')
        s->fill = '0', f++;
    for (; *f >= '0' && *f <= '9'; f++)
        s->width = s->width * 10 + (unsigned)(*f - '0');
    if (*f == '.') {
        f++;
        if (*f == '*') {
            int n = va_arg(*ap, int);
            s->precision = n < 0 ? SIZE_MAX : (size_t)n;
            f++;
        } else {
            for (s->precision = 0; *f >= '0' && *f <= '9'; f++)
                s->precision = s->precision * 10 + (size_t)(*f - '0');
        }
    }
    for (;; f++) {
        if (*f == 'l')
            s->length++;
        else if (*f == 'z' || *f == 't')
            s->length = 1;
        else if (*f != 'h')
            return f;
    }
}

static void put_signed(struct out *o, const struct spec *s, va_list *ap)
{
    long long v = s->length == 0   ? va_arg(*ap, int)
                  : s->length == 1 ? va_arg(*ap, long)
                                   : va_arg(*ap, long long);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    put_number(o, u, 10, v < 0, s->width, s->fill);
}

static void put_unsigned(struct out *o, const struct spec *s, unsigned base,
                         va_list *ap)
{
    unsigned long long v = s->length == 0   ? va_arg(*ap, unsigned)
                           : s->length == 1 ? va_arg(*ap, unsigned long)
                                            : va_arg(*ap, unsigned long long);
    put_number(o, v, base, false, s->width, s->fill);
}

static void put_conversion(struct out *o, char c, const struct spec *s,
                           va_list *ap)
{
    switch (c) {
    case '%':
        put(o, '%');
        break;
    case 'c':
        put(o, (char)va_arg(*ap, int));
        break;
    case 's':
        put_string(o, va_arg(*ap, const char *), s->precision, s->width);
        break;
    case 'd':
    case 'i':
        put_signed(o, s, ap);
        break;
    case 'u':
    case 'x':
        put_unsigned(o, s, c == 'u' ? 10 : 16, ap);
        break;
    case 'p':
        put(o, '0');
        put(o, 'x');
        put_number(o, (uintptr_t)va_arg(*ap, void *), 16, false, 0, ' ');
        break;
    default:
        put(o, '%');
        put(o, c);
    }
}

size_t tz_vformat(char *buf, size_t size, const char *fmt, va_list ap_in)
{
    struct out o = { buf, size, 0 };
    va_list ap;
    va_copy(ap, ap_in);
    for (const char *f = fmt; *f; f++) {
        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        struct spec s;
        f = parse_spec(f + 1, &s, &ap);
        if (!*f)
            break;
        put_conversion(&o, *f, &s, &ap);
    }
    va_end(ap);
    if (size)
        buf[o.len < size ? o.len : size - 1] = 0;
    return o.len;
}

size_t tz_format(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t n = tz_vformat(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

void tz_vprint(const char *fmt, va_list ap)
{
    char line[1024];
    size_t n = tz_min(tz_vformat(line, sizeof line, fmt, ap), sizeof line - 1);
    int saved = errno;
    for (size_t done = 0; done < n;) {
        ssize_t w = write(STDERR_FILENO, line + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            break; // nobody can be told
        done += (size_t)w;
    }
    errno = saved;
}

void tz_print(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tz_vprint(fmt, ap);
    va_end(ap);
}

const char *tz_strerror(int err)
{
    const char *text = strerrordesc_np(err); // a constant table in glibc
    return text ? text : "unknown error";
}
