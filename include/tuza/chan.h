/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/chan.h: channels and select.
 *
 * A channel passes values of one type between goroutines, first in, first out.
 * It lives in the collected heap: nobody frees it. All calls here must be made
 * from goroutines.
 */
#ifndef TUZA_CHAN_H
#define TUZA_CHAN_H

#include "tuza/base.h"

TUZA_BEGIN

/* The untyped channel, opaque, and the raw calls on it. A NULL channel blocks
 * for ever, as in Go. Elements are copied: elem_size bytes from or to elem. */
typedef struct tuza_hchan tuza_hchan;

/* A channel of elements of elem_size bytes (0 to 65535) with a buffer of
 * `capacity` of them; 0 makes every send meet a receive. NULL when the size is
 * out of range or memory is refused. Does not park. */
TUZA_API tuza_hchan *tuza_chan_new(size_t elem_size, size_t capacity);

/* Sends a copy of *elem. 0. May park. Sending on a closed channel is fatal. */
TUZA_API int tuza_chan_send(tuza_hchan *c, const void *elem)
    TUZA__SPLIT("chan_send");

/* Receives into *elem (NULL: thrown away). 1, or 0 and a zeroed *elem once
 * the channel is closed and empty. May park. */
TUZA_API int tuza_chan_recv(tuza_hchan *c, void *elem)
    TUZA__SPLIT("chan_recv");

/* The same without parking: -EAGAIN where it would have to. */
TUZA_API int tuza_chan_try_send(tuza_hchan *c, const void *elem)
    TUZA__SPLIT("chan_try_send");
TUZA_API int tuza_chan_try_recv(tuza_hchan *c, void *elem)
    TUZA__SPLIT("chan_try_recv");

/* Closes the channel: receivers drain the buffer, then get 0. Closing twice,
 * or closing NULL, is fatal. Does not park. */
TUZA_API void tuza_chan_close(tuza_hchan *c) TUZA__SPLIT("chan_close");

/* Elements in the buffer now, and its capacity. NULL: 0. */
TUZA_API size_t tuza_chan_len(const tuza_hchan *c);
TUZA_API size_t tuza_chan_cap(const tuza_hchan *c);

/* One case of a select; made by TUZA_RECV and the others below. */
enum { TUZA__CASE_SEND, TUZA__CASE_RECV, TUZA__CASE_AFTER, TUZA__CASE_DEFAULT };
typedef struct tuza_case {
    int kind;
    tuza_hchan *chan;
    void *elem;
    int *ok;       /* receive: gets 1 or 0 as tuza_chan_recv returns it */
    int64_t delay; /* nanoseconds, of AFTER */
} tuza_case;

/* Performs exactly one of n cases and returns its index. Among those ready one
 * is taken at random; with none ready: the default if there is one, else waits
 * (may park) for the first, or for the delay. n <= 65535; -EINVAL for more,
 * for two defaults; -ENOMEM when memory is refused that more than 64 cases, or
 * a delay, can need. No case at all parks for ever. */
TUZA_API int tuza_chan_select(tuza_case *cases, size_t n)
    TUZA__SPLIT("chan_select");

TUZA_END

/* The type of a channel of T: the same type wherever it is written. */
struct tuza_chan_phantom;
#define tuza_chan(T) __typeof__(__typeof__(T)(*)(struct tuza_chan_phantom *))
/* The element type of channel c. */
#define TUZA__ELEM(c) __typeof__((c)((struct tuza_chan_phantom *)0))
#define TUZA__RAW(c) (__extension__(tuza_hchan *)(c))

/* tuza_chan_make(int, 64): a tuza_chan(int); NULL when memory is refused. */
#define tuza_chan_make(T, capacity)                                            \
    (__extension__(tuza_chan(T)) tuza_chan_new(sizeof(__typeof__(T)),          \
                                               (capacity)))

/* tuza_send(c, v), tuza_recv(c, &v) and tuza_close(c): the raw calls with the
 * types checked. tuza_recv(c, NULL) throws the value away. */
#define tuza_send(c, v)                                                        \
    __extension__({                                                            \
        (void)TUZA__SEND_OK(c, v);                                             \
        TUZA__ELEM(c) tuza__v = (v);                                           \
        tuza_chan_send(TUZA__RAW(c), &tuza__v);                                \
    })
#define tuza_recv(c, p) tuza_chan_recv(TUZA__RAW(c), TUZA__DEST(c, p))
#define tuza_try_send(c, v)                                                    \
    __extension__({                                                            \
        (void)TUZA__SEND_OK(c, v);                                             \
        TUZA__ELEM(c) tuza__v = (v);                                           \
        tuza_chan_try_send(TUZA__RAW(c), &tuza__v);                            \
    })
#define tuza_try_recv(c, p) tuza_chan_try_recv(TUZA__RAW(c), TUZA__DEST(c, p))
#define tuza_close(c) tuza_chan_close(TUZA__RAW(c))
#define tuza_len(c) tuza_chan_len(TUZA__RAW(c))
#define tuza_cap(c) tuza_chan_cap(TUZA__RAW(c))

/* tuza_range(v, c) { …v… }: the body runs for every value until the channel
 * is closed and empty. */
#define tuza_range(v, c)                                                       \
    for (TUZA__ELEM(c) v; tuza_chan_recv(TUZA__RAW(c), &v) == 1;)

/* switch (tuza_select(TUZA_RECV(a, &x), TUZA_SEND(b, &y),
 *                     TUZA_AFTER(TUZA_MS(100)))) { case 0: … }
 *
 * Cases are numbered from 0 in the order given. TUZA_RECV_OK(c, &v, &ok) also
 * says whether the value came from a sender. TUZA_SEND(c, &v) sends v as it is
 * when the case is taken. TUZA_DEFAULT is taken when no other is ready. */
#define tuza_select(...)                                                       \
    __extension__({                                                            \
        tuza_case tuza__cases[] = { __VA_ARGS__ };                             \
        tuza_chan_select(tuza__cases,                                          \
                         sizeof tuza__cases / sizeof tuza__cases[0]);          \
    })
#define TUZA_SEND(c, p)                                                        \
    tuza__case(TUZA__CASE_SEND, TUZA__RAW(c), TUZA__DEST(c, p), 0, 0)
#define TUZA_RECV(c, p) TUZA_RECV_OK(c, p, 0)
#define TUZA_RECV_OK(c, p, okp)                                                \
    tuza__case(TUZA__CASE_RECV, TUZA__RAW(c), TUZA__DEST(c, p), (okp), 0)
#define TUZA_AFTER(ns) tuza__case(TUZA__CASE_AFTER, 0, 0, 0, (ns))
#define TUZA_DEFAULT tuza__case(TUZA__CASE_DEFAULT, 0, 0, 0, 0)

static inline tuza_case tuza__case(int kind, tuza_hchan *c, void *elem, int *ok,
                                   int64_t delay)
{
    tuza_case k;
    k.kind = kind;
    k.chan = c;
    k.elem = elem;
    k.ok = ok;
    k.delay = delay;
    return k;
}

#ifdef __cplusplus
template <class T> inline T *tuza__dest(T (*)(struct tuza_chan_phantom *), T *p)
{
    return p;
}
template <class T>
inline T *tuza__dest(T (*)(struct tuza_chan_phantom *), decltype(nullptr))
{
    return nullptr;
}
#define TUZA__SEND_OK(c, v) 0
#define TUZA__DEST(c, p) tuza__dest((c), (p))
#else
#define TUZA__SEND_OK(c, v) TUZA__REQUIRE(TUZA__FITS(TUZA__ELEM(c), v))
#define TUZA__DEST(c, p)                                                       \
    (TUZA__REQUIRE(                                                            \
         __builtin_types_compatible_p(TUZA__ELEM(c) *, __typeof__(p)) ||       \
         __builtin_types_compatible_p(void *, __typeof__(p)))                  \
         ? (p)                                                                 \
         : (p))
#endif

#endif
