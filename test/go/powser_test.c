// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/powser_test.c: Go's test/chan/powser1.go retold: power series whose
// coefficients are computed on demand by networks of goroutines.
//
// The idea is Doug McIlroy's, "Squinting at Power Series". A series is a pair
// of channels: who wants the next coefficient sends a request and receives the
// coefficient, a fraction; one with denominator 0 ends a finite series. The
// network of exp() holds thousands of goroutines by its tenth coefficient.

#include "support/goroutines.h"

struct rat {
    int64_t num, den;
};

struct series {
    tuza_chan(int) req;
    tuza_chan(struct rat) dat;
};
typedef struct series *ps;

static const struct rat zero = { 0, 1 }, one = { 1, 1 }, finis = { 1, 0 };

static ps make_series(void)
{
    ps s = tuza_new(struct series);
    s->req = tuza_chan_make(int, 0);
    s->dat = tuza_chan_make(struct rat, 0);
    return s;
}

// Fractions.

static int64_t gcd(int64_t u, int64_t v)
{
    u = u < 0 ? -u : u;
    v = v < 0 ? -v : v;
    while (u) {
        int64_t r = v % u;
        v = u;
        u = r;
    }
    return v;
}

static struct rat rat(int64_t u, int64_t v)
{
    int64_t g = gcd(u, v), sign = v < 0 ? -1 : 1;
    return (struct rat){ sign * u / g, sign * v / g };
}

static struct rat add(struct rat a, struct rat b)
{
    int64_t g = gcd(a.den, b.den);
    return rat(a.num * (b.den / g) + b.num * (a.den / g), a.den * (b.den / g));
}

static struct rat mul(struct rat a, struct rat b)
{
    int64_t g = gcd(a.num, b.den), h = gcd(a.den, b.num);
    return (struct rat){ a.num / g * (b.num / h), a.den / h * (b.den / g) };
}

static struct rat neg(struct rat a)
{
    return (struct rat){ -a.num, a.den };
}

static bool ended(struct rat a)
{
    return a.den == 0;
}

// Streams of them.

static void put(struct rat v, ps out)
{
    tuza_recv(out->req, NULL);
    tuza_send(out->dat, v);
}

static struct rat get(ps in)
{
    struct rat v;
    tuza_send(in->req, 1);
    tuza_recv(in->dat, &v);
    return v;
}

// One coefficient of each of two, asked for at the same time.
static void get2(ps in[2], struct rat out[2])
{
    tuza_chan(int) req[2] = { in[0]->req, in[1]->req };
    tuza_chan(struct rat) dat[2] = { NULL, NULL };
    int ask = 1;
    for (int left = 4; left > 0; left--) {
        int k =
            tuza_select(TUZA_SEND(req[0], &ask), TUZA_SEND(req[1], &ask),
                        TUZA_RECV(dat[0], &out[0]), TUZA_RECV(dat[1], &out[1]));
        if (k < 2) {
            dat[k] = in[k]->dat;
            req[k] = NULL;
        } else {
            dat[k - 2] = NULL;
        }
    }
}

static void copy(ps in, ps out)
{
    for (;;) {
        tuza_recv(out->req, NULL);
        tuza_send(out->dat, get(in));
    }
}

// A series for two readers: each step of it is a goroutine that serves the
// first request, and the second when it comes, and has the next step started.
tuza_fn(split_step, ps, in, ps, first, ps, second, tuza_chan(int), wait)
{
    ps out[2] = { first, second };
    bool both = false;
    if (tuza_select(TUZA_RECV(out[0]->req, NULL), TUZA_RECV(wait, NULL)) == 1) {
        both = true;
        if (tuza_select(TUZA_RECV(out[0]->req, NULL),
                        TUZA_RECV(out[1]->req, NULL)) == 1) {
            ps t = out[0];
            out[0] = out[1];
            out[1] = t;
        }
    }
    tuza_send(in->req, 1);
    tuza_chan(int) release = tuza_chan_make(int, 0);
    tuza_go(split_step, in, out[0], out[1], release);
    struct rat v;
    tuza_recv(in->dat, &v);
    tuza_send(out[0]->dat, v);
    if (!both)
        tuza_recv(wait, NULL);
    tuza_recv(out[1]->req, NULL);
    tuza_send(out[1]->dat, v);
    tuza_send(release, 0);
}

static void split_into(ps in, ps first, ps second)
{
    tuza_chan(int) release = tuza_chan_make(int, 0);
    tuza_go(split_step, in, first, second, release);
    tuza_send(release, 0);
}

tuza_fn(splitter, ps, in, ps, first, ps, second)
{
    split_into(in, first, second);
}

static void split(ps in, ps out[2])
{
    out[0] = make_series();
    out[1] = make_series();
    tuza_go(splitter, in, out[0], out[1]);
}

// Operations on series: each a goroutine that computes its result's
// coefficients, and a function that starts it.

tuza_fn(go_rep, struct rat, c, ps, z)
{
    for (;;)
        put(c, z);
}

static ps rep(struct rat c)
{
    ps z = make_series();
    tuza_go(go_rep, c, z);
    return z;
}

tuza_fn(go_sum, ps, u, ps, v, ps, z)
{
    ps uv[2] = { u, v };
    for (;;) {
        struct rat c[2];
        tuza_recv(z->req, NULL);
        get2(uv, c);
        if (!ended(c[0]) && !ended(c[1])) {
            tuza_send(z->dat, add(c[0], c[1]));
            continue;
        }
        tuza_send(z->dat, ended(c[0]) ? c[1] : c[0]);
        if (!ended(c[0]))
            copy(u, z);
        if (!ended(c[1]))
            copy(v, z);
    }
}

static ps sum(ps u, ps v)
{
    ps z = make_series();
    tuza_go(go_sum, u, v, z);
    return z;
}

tuza_fn(go_scale, struct rat, c, ps, u, ps, z)
{
    for (;;) {
        tuza_recv(z->req, NULL);
        struct rat a = get(u);
        tuza_send(z->dat, ended(a) ? finis : mul(c, a));
        if (ended(a))
            return;
    }
}

static ps scale(struct rat c, ps u)
{
    ps z = make_series();
    tuza_go(go_scale, c, u, z);
    return z;
}

static ps product(ps u, ps v);

tuza_fn(go_product, ps, u, ps, v, ps, z)
{
    ps uv[2] = { u, v }, uu[2], vv[2];
    struct rat c[2];
    tuza_recv(z->req, NULL);
    get2(uv, c);
    if (ended(c[0]) || ended(c[1])) {
        tuza_send(z->dat, finis);
        return;
    }
    tuza_send(z->dat, mul(c[0], c[1]));
    split(u, uu);
    split(v, vv);
    ps w = sum(scale(c[0], vv[0]), scale(c[1], uu[0]));
    tuza_recv(z->req, NULL);
    tuza_send(z->dat, get(w));
    copy(sum(w, product(uu[1], vv[1])), z);
}

static ps product(ps u, ps v)
{
    ps z = make_series();
    tuza_go(go_product, u, v, z);
    return z;
}

tuza_fn(go_derive, ps, u, ps, z)
{
    tuza_recv(z->req, NULL);
    struct rat a = get(u);
    for (int64_t i = 1; !ended(a); i++) {
        a = get(u);
        if (ended(a))
            break;
        tuza_send(z->dat, mul(rat(i, 1), a));
        tuza_recv(z->req, NULL);
    }
    tuza_send(z->dat, finis);
}

static ps derive(ps u)
{
    ps z = make_series();
    tuza_go(go_derive, u, z);
    return z;
}

tuza_fn(go_integrate, struct rat, c, ps, u, ps, z)
{
    put(c, z);
    for (int64_t i = 1;; i++) {
        tuza_recv(z->req, NULL);
        struct rat a = get(u);
        tuza_send(z->dat, ended(a) ? finis : mul(rat(1, i), a));
        if (ended(a))
            return;
    }
}

static ps integrate(struct rat c, ps u)
{
    ps z = make_series();
    tuza_go(go_integrate, c, u, z);
    return z;
}

// exp(u) is the integral of exp(u) u': its own input, by a split.
static ps exponential(ps u)
{
    ps z[2] = { make_series(), make_series() };
    split_into(integrate(one, product(z[0], derive(u))), z[0], z[1]);
    return z[1];
}

tuza_fn(go_substitute, ps, u, struct rat, c0, int, n, ps, z)
{
    struct rat c = one;
    for (;;) {
        tuza_recv(z->req, NULL);
        struct rat a = get(u);
        tuza_send(z->dat, ended(a) ? finis : mul(a, c));
        if (ended(a))
            return;
        c = mul(c, c0);
        for (int i = 1; i < n; i++)
            put(zero, z);
    }
}

// u(c0 x^n)
static ps substitute(ps u, struct rat c0, int n)
{
    ps z = make_series();
    tuza_go(go_substitute, u, c0, n, z);
    return z;
}

static void need_series(ps u, const struct rat *want, int n)
{
    for (int i = 0; i < n; i++) {
        struct rat c = get(u);
        need_eq(c.num, want[i].num);
        need_eq(c.den, want[i].den);
    }
}

static void all_series(void)
{
    enum { N = 10 };
    struct rat a[N];
    ps ones = rep(one), twos = rep(rat(2, 1));
    static const struct rat five[] = { { 1, 1 }, { 1, 1 }, { 1, 1 } };
    need_series(ones, five, 3);

    for (int i = 0; i < N; i++)
        a[i] = rat(3, 1);
    need_series(sum(ones, twos), a, N);
    for (int i = 0; i < N; i++)
        a[i] = rat(-2, 1);
    need_series(scale(neg(one), twos), a, N);
    for (int i = 0; i < N; i++)
        a[i] = rat(i + 1, 1);
    need_series(derive(ones), a, N);
    need_series(product(rep(one), rep(one)), a, N);

    a[0] = zero;
    for (int i = 1; i < N; i++)
        a[i] = rat(1, i);
    need_series(integrate(zero, rep(one)), a, N);
    for (int i = 0; i < N; i++)
        a[i] = i % 2 == 0 ? zero : rat(i % 4 == 1 ? 1 : -1, i);
    need_series(integrate(zero, substitute(rep(one), neg(one), 2)), a, N);

    static const struct rat exp_ones[N] = {
        { 1, 1 },        { 1, 1 },           { 3, 2 },      { 13, 6 },
        { 73, 24 },      { 167, 40 },        { 4051, 720 }, { 37633, 5040 },
        { 43817, 4480 }, { 4596553, 362880 }
    };
    need_series(exponential(rep(one)), exp_ones, N);
}

IN_GOROUTINES(powser1_on_one_thread, 1)
{
    all_series();
}

IN_GOROUTINES(powser1_on_two_threads, 2)
{
    all_series();
}

int main(void)
{
    const TTest *const tests[] = {
        powser1_on_one_thread,
        powser1_on_two_threads,
        NULL,
    };
    return api_check("go/powser", tests);
}
