// SPDX-License-Identifier: BSD-3-Clause
// gc/worker.c: helper threads.
//
// They belong to no P and run no goroutine: they sleep on a word that counts
// the jobs. While the world is stopped they mark, beside the thread that
// collects; when it runs again, the first of them sweeps what the allocating
// goroutines have not swept themselves, after a while: a span that they sweep is
// in their cache when they allocate from it, one of ours is not. Made when first
// needed, never ended.

#include "gc/worker.h"

#include "mem/mcentral.h"
#include "os/futex.h"
#include "os/thread.h"
#include "sched/sched.h"

// A ticket names a job and the places in it that are not taken yet; a worker
// takes one by a CAS, so it cannot take a place in another job than it means.
enum { TICKET_SWEEP = 1u << 31, SWEEP_DELAY_NS = 5000000 };

static struct {
    uint32_t count;       // threads that exist; atomic
    uint32_t asked;       // threads asked for; atomic
    struct tz_threadask ask[TZ_WORKERS_MAX];
    uint32_t job;         // atomic, a futex; counts jobs
    uint64_t ticket;      // atomic; job << 32 | TICKET_SWEEP | places
    uint32_t running;     // atomic, a futex; workers that have not finished
    void (*fn)(uint32_t); // of a job that is not a sweep; published by ticket
} worker;

static void sweep_all(void)
{
    while (tz_central_sweep_one())
        ;
}

// Takes a place in the job: its number from 1, 0 when there is none.
static uint32_t join(uint32_t job, bool *sweep)
{
    for (;;) {
        uint64_t t = tz_load(&worker.ticket);
        uint32_t places = (uint32_t)t & ~(uint32_t)TICKET_SWEEP;
        if (t >> 32 != job || places == 0)
            return 0;
        *sweep = t & TICKET_SWEEP;
        if (tz_cas(&worker.ticket, t, t - 1))
            return places;
    }
}

static void worker_main(void *arg)
{
    (void)arg;
    tz_thread_name("tuza-gc");
    tz_tls_get()->locks++;
    uint32_t seen = 0;
    tz_xadd(&worker.count, 1);
    for (;;) {
        uint32_t job = tz_load(&worker.job);
        if (job == seen) {
            tz_futex_sleep(&worker.job, seen, -1);
            continue;
        }
        seen = job;
        bool sweep;
        uint32_t place = join(job, &sweep);
        if (place == 0)
            continue;
        if (sweep) {
            tz_futex_sleep(&worker.job, seen, SWEEP_DELAY_NS);
            if (tz_load(&worker.job) == seen)
                sweep_all();
            continue;
        }
        worker.fn(place);
        if (tz_xadd(&worker.running, -1u) == 1)
            tz_futex_wake(&worker.running, 1);
    }
}

void tz_worker_want(uint32_t n)
{
    n = (uint32_t)tz_min(n, TZ_WORKERS_MAX);
    for (;;) {
        uint32_t i = tz_load_rlx(&worker.asked);
        if (i >= n)
            return;
        if (!tz_cas(&worker.asked, i, i + 1))
            continue;
        worker.ask[i].fn = worker_main;
        tz_thread_ask(&worker.ask[i]);
    }
}

static void start(uint32_t places)
{
    uint32_t job = worker.job + 1;
    tz_store(&worker.ticket, (uint64_t)job << 32 | places);
    tz_store(&worker.job, job);
    tz_futex_wake(&worker.job, UINT32_MAX >> 1);
}

void tz_worker_run(void (*fn)(uint32_t i), uint32_t n)
{
    if (n > 1) {
        tz_store(&worker.running, n - 1);
        worker.fn = fn;
        start(n - 1);
    }
    fn(0);
    uint32_t left;
    while (n > 1 && (left = tz_load_acq(&worker.running)) != 0)
        tz_futex_sleep(&worker.running, left, -1);
}

void tz_worker_sweep(void)
{
    if (tz_worker_count())
        start(TICKET_SWEEP | 1);
}

uint32_t tz_worker_count(void) { return tz_load(&worker.count); }
