// SPDX-License-Identifier: BSD-3-Clause
// bench/speedup2_bench.c: how many times as fast two goroutines multiply
// matrices as one does, each half of the rows, on two Ps; and, by turns in the
// same run, two pthreads as one. Making and awaiting them is in.

#include <pthread.h>
#include <string.h>
#include <tuza.h>

#include "bench.h"

enum { SIZE = 512, ROUNDS = 7 };

static float left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];
static float expected[SIZE][SIZE];

static __attribute__((noinline)) void multiply(int first, int rows)
{
    for (int i = first; i < first + rows; i++) {
        memset(product[i], 0, sizeof product[i]);
        for (int k = 0; k < SIZE; k++)
            for (int j = 0; j < SIZE; j++)
                product[i][j] += left[i][k] * right[k][j];
    }
}

tuza_fn(part, int, first, int, rows, tuza_waitgroup *, group)
{
    multiply(first, rows);
    tuza_waitgroup_done(group);
}

static int by_goroutines(int n)
{
    static tuza_waitgroup group;
    int ok = 1;
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        ok &= tuza_go(part, i * SIZE / n, SIZE / n, &group) == 0;
    tuza_waitgroup_wait(&group);
    return ok;
}

static void *half(void *first)
{
    multiply(*(int *)first, SIZE / 2);
    return NULL;
}

static void *whole(void *first)
{
    multiply(*(int *)first, SIZE);
    return NULL;
}

static int by_threads(int n)
{
    static int firsts[] = { 0, SIZE / 2 };
    pthread_t threads[2];
    int ok = 1;
    for (int i = 0; i < n; i++)
        ok &= pthread_create(&threads[i], NULL, n == 1 ? whole : half,
                             &firsts[i]) == 0;
    for (int i = 0; ok && i < n; i++)
        ok &= TUZA_BLOCKING(pthread_join(threads[i], NULL)) == 0;
    return ok;
}

// The wall clock's time for fn(n); 0 when the product is wrong.
static int64_t time_of(int (*fn)(int), int n)
{
    memset(product, 0xff, sizeof product);
    int64_t start = bench_wall_ns();
    int ok = fn(n);
    int64_t ns = bench_wall_ns() - start;
    return ok && memcmp(product, expected, sizeof product) == 0 ? ns : 0;
}

static void fill(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            left[i][j] = (float)((i * 7 + j * 3) % 11);
            right[i][j] = (float)((i * 5 + j) % 13);
        }
    multiply(0, SIZE);
    memcpy(expected, product, sizeof expected);
}

TUZA_MAIN
{
    static int (*const how[])(int) = { by_goroutines, by_threads };
    static int64_t times[4][ROUNDS];
    int ok = 1;
    fill();
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < 4; i++)
            ok &= (times[i][r] = time_of(how[i % 2], 1 + i / 2)) != 0;
    double speedup[2];
    for (int i = 0; ok && i < 2; i++)
        speedup[i] = (double)bench_percentile(times[i], ROUNDS, 50) /
                     (double)bench_percentile(times[2 + i], ROUNDS, 50);
    if (!ok)
        return bench_report(0, 1, 0);
    printf("value=%.3f peerval=%.3f check=ok\n", speedup[0], speedup[1]);
    return 0;
}
