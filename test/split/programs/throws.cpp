// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/throws.cpp: exceptions that leave segments.
//
// Destructors are counted, and after each catch the current segment is the one
// that the catch is in: growth works again, from there.

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <tuza.h>

#define NOINLINE __attribute__((noinline))

static thread_local int unused;
static long made, gone;
struct Counted {
    char weight[700];
    Counted() { std::memset(weight, 1, sizeof weight); made++; }
    ~Counted() { gone += weight[699]; }
};

static NOINLINE int deeper(int n, int then)
{
    Counted c;
    if (n > 0)
        return deeper(n - 1, then) + c.weight[n % 700];
    if (then == 1)
        throw std::runtime_error("deep");
    if (then == 2)
        throw 42;
    return 0;
}

// Catches on the way and throws on.
static NOINLINE int rethrow(int n)
{
    Counted c;
    try {
        return n > 0 ? rethrow(n - 1) : deeper(300, 1);
    } catch (const std::runtime_error &) {
        if (n % 50 == 0)
            deeper(200, 0);
        throw;
    }
}

static int failed;
#define NEED(cond)                                                             \
    do {                                                                       \
        if (!(cond)) {                                                         \
            std::printf("line %d: %s\n", __LINE__, #cond);                     \
            failed = 1;                                                        \
        }                                                                      \
    } while (0)

static NOINLINE void once(int depth, int then)
{
    int before = tuza_split_segments(), caught = 0;
    try {
        deeper(depth, then);
    } catch (const std::runtime_error &e) {
        caught = !std::strcmp(e.what(), "deep");
    } catch (int v) {
        caught = v == 42;
    }
    NEED(caught == (then != 0));
    NEED(made == gone);
    NEED(tuza_split_segments() == before);
}

static NOINLINE int at(int n)
{
    volatile char pad[200];
    pad[0] = static_cast<char>(n);
    if (n % 10 == 0) {
        once(5, 1);
        once(250, 2);
        tuza_gc();
        once(400, 1);
        once(1, 0);
    }
    return n > 0 ? at(n - 1) + pad[0] : 0;
}

tuza_fn(run, tuza_waitgroup *, group)
{
    at(900); // over the first boundary
    for (int i = 0; i < 20; i++) {
        int before = tuza_split_segments(), caught = 0;
        try {
            rethrow(300);
        } catch (const std::exception &) {
            caught = 1;
        }
        NEED(caught && made == gone && tuza_split_segments() == before);
        if (i % 5 == 0)
            tuza_gc();
    }
    NEED(made > 10000);
    tuza_waitgroup_done(group);
}

TUZA_MAIN
{
    static tuza_waitgroup group;
    unused = 1;
    for (int i = 0; i < 4; i++) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(run, &group);
        tuza_waitgroup_wait(&group);
    }
    std::printf("throws: %d\n", failed);
    return failed;
}
