// SPDX-License-Identifier: BSD-3-Clause
// test/api/chan_test.c: typed channels and select, as a program writes them.

#include <errno.h>
#include <string.h>

#include "support/api_check.h"

struct wide {
    char text[1000];
    int number;
};
typedef struct empty {
    char none[0];
} empty;

tuza_fn(send_all_types, tuza_chan(char), c, tuza_chan(double), d,
        tuza_chan(const char *), s, tuza_chan(struct wide), w)
{
    struct wide wide = { .text = "wide", .number = 7 };
    ck_assert_int_eq(tuza_send(c, 'c'), 0);
    ck_assert_int_eq(tuza_send(d, 2), 0); // an int becomes a double
    ck_assert_int_eq(tuza_send(s, "text"), 0);
    ck_assert_int_eq(tuza_send(w, wide), 0);
    tuza_close(w);
}

static int receive_all_types(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(char) c = tuza_chan_make(char, 0);
    tuza_chan(double) d = tuza_chan_make(double, 0);
    tuza_chan(const char *) s = tuza_chan_make(const char *, 0);
    tuza_chan(struct wide) w = tuza_chan_make(struct wide, 0);
    char byte;
    double number;
    const char *text;
    struct wide wide;
    tuza_go(send_all_types, c, d, s, w);
    ck_assert(tuza_recv(c, &byte) == 1 && byte == 'c');
    ck_assert(tuza_recv(d, &number) == 1 && number == 2.0);
    ck_assert(tuza_recv(s, &text) == 1 && !strcmp(text, "text"));
    ck_assert(tuza_recv(w, &wide) == 1 && wide.number == 7);
    ck_assert_str_eq(wide.text, "wide");
    ck_assert(tuza_recv(w, &wide) == 0 && wide.number == 0);
    ck_assert_int_eq(wide.text[0], 0);
    return 0;
}

START_TEST(values_of_any_type_pass)
{
    api_run(receive_all_types, 2);
}
END_TEST

static int without_parking(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 2);
    int v = -1;
    ck_assert_int_eq(tuza_cap(c), 2);
    ck_assert_int_eq(tuza_try_recv(c, &v), -EAGAIN);
    ck_assert_int_eq(tuza_try_send(c, 1), 0);
    ck_assert_int_eq(tuza_try_send(c, 2), 0);
    ck_assert_int_eq(tuza_try_send(c, 3), -EAGAIN);
    ck_assert_int_eq(tuza_len(c), 2);
    ck_assert(tuza_try_recv(c, &v) == 1 && v == 1);
    tuza_close(c);
    ck_assert_int_eq(tuza_try_recv(c, NULL), 1); // thrown away
    v = -1;
    ck_assert(tuza_try_recv(c, &v) == 0 && v == 0);
    tuza_chan(int) none = NULL;
    ck_assert_int_eq(tuza_try_recv(none, &v), -EAGAIN);
    ck_assert_int_eq(tuza_try_send(none, 1), -EAGAIN);
    ck_assert(tuza_len(none) == 0 && tuza_cap(none) == 0);
    return 0;
}

START_TEST(try_never_parks)
{
    api_run(without_parking, 1);
}
END_TEST

tuza_fn(count_to, tuza_chan(int), c, int, n)
{
    for (int i = 1; i <= n; i++)
        tuza_send(c, i);
    tuza_close(c);
}

static int sum_range(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int capacity = 0; capacity < 20; capacity += 3) {
        tuza_chan(int) c = tuza_chan_make(int, capacity);
        int sum = 0, last = 0;
        tuza_go(count_to, c, 1000);
        tuza_range(v, c)
        {
            ck_assert_int_eq(v, ++last);
            sum += v;
        }
        ck_assert_int_eq(sum, 500500);
    }
    return 0;
}

START_TEST(range_ends_when_closed_and_empty)
{
    api_run(sum_range, 2);
}
END_TEST

static int select_cases(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) a = tuza_chan_make(int, 1);
    tuza_chan(long) b = tuza_chan_make(long, 1);
    int x = 0, ok = -1;
    long y = 5;
    ck_assert_int_eq(tuza_select(TUZA_RECV(a, &x), TUZA_DEFAULT), 1);
    ck_assert_int_eq(tuza_select(TUZA_RECV(a, &x), TUZA_SEND(b, &y)), 1);
    ck_assert_int_eq(tuza_len(b), 1);
    tuza_send(a, 3);
    ck_assert_int_eq(tuza_select(TUZA_SEND(b, &y), TUZA_RECV(a, &x)), 1);
    ck_assert_int_eq(x, 3);
    int64_t before = tuza_now();
    ck_assert_int_eq(tuza_select(TUZA_AFTER(TUZA_MS(20)), TUZA_SEND(b, &y),
                                 TUZA_RECV(a, &x)),
                     0);
    ck_assert_int_ge(tuza_now() - before, TUZA_MS(20));
    tuza_close(a);
    ck_assert_int_eq(tuza_select(TUZA_RECV_OK(a, &x, &ok)), 0);
    ck_assert(ok == 0 && x == 0);
    ck_assert_int_eq(tuza_select(TUZA_RECV_OK(b, &y, &ok)), 0);
    ck_assert(ok == 1 && y == 5);
    ck_assert_int_eq(tuza_select(TUZA_DEFAULT, TUZA_DEFAULT), -EINVAL);
    return 0;
}

START_TEST(select_takes_the_case_it_names)
{
    api_run(select_cases, 1);
}
END_TEST

static int select_fairly(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c[3];
    int v, hits[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        c[i] = tuza_chan_make(int, 0);
        tuza_close(c[i]);
    }
    for (int i = 0; i < 3000; i++)
        hits[tuza_select(TUZA_RECV(c[0], &v), TUZA_RECV(c[1], &v),
                         TUZA_RECV(c[2], &v))]++;
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(hits[i], 800); // 1000, within eight deviations
    return 0;
}

START_TEST(select_chooses_at_random_among_the_ready)
{
    api_run(select_fairly, 1);
}
END_TEST

// Goroutines that each select over sending and receiving on both channels:
// every value sent is received once.
static uint64_t sent_sum, received_sum;
static int received_count;

tuza_fn(swap, tuza_chan(int), a, tuza_chan(int), b, int, seed,
        tuza_waitgroup *, wg)
{
    for (int i = 0; i < 500;) {
        int out = seed * 1000 + i, in = 0;
        switch (tuza_select(TUZA_SEND(a, &out), TUZA_RECV(b, &in),
                            TUZA_SEND(b, &out), TUZA_RECV(a, &in))) {
        case 0:
        case 2:
            __atomic_fetch_add(&sent_sum, (uint64_t)out, __ATOMIC_RELAXED);
            i++;
            break;
        default:
            __atomic_fetch_add(&received_sum, (uint64_t)in, __ATOMIC_RELAXED);
            __atomic_fetch_add(&received_count, 1, __ATOMIC_RELAXED);
        }
    }
    tuza_waitgroup_done(wg);
}

tuza_fn(drain, tuza_chan(int), a, tuza_chan(int), b, tuza_chan(int), stop,
        tuza_waitgroup *, wg)
{
    int in = 0;
    while (tuza_select(TUZA_RECV(a, &in), TUZA_RECV(b, &in),
                       TUZA_RECV(stop, NULL)) != 2) {
        __atomic_fetch_add(&received_sum, (uint64_t)in, __ATOMIC_RELAXED);
        __atomic_fetch_add(&received_count, 1, __ATOMIC_RELAXED);
    }
    tuza_waitgroup_done(wg);
}

static int swap_all(int argc, char **argv)
{
    (void)argc, (void)argv;
    static tuza_waitgroup swappers, drains;
    tuza_chan(int) a = tuza_chan_make(int, 0), b = tuza_chan_make(int, 0);
    tuza_chan(int) stop = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&swappers, 8);
    tuza_waitgroup_add(&drains, 1);
    for (int i = 0; i < 8; i++)
        tuza_go(swap, a, b, i, &swappers);
    tuza_go(drain, a, b, stop, &drains);
    tuza_waitgroup_wait(&swappers);
    tuza_close(stop);
    tuza_waitgroup_wait(&drains);
    ck_assert_int_eq(received_count, 8 * 500);
    ck_assert_uint_eq(received_sum, sent_sum);
    return 0;
}

START_TEST(select_moves_every_value_once)
{
    api_run(swap_all, 4);
}
END_TEST

static int make_absurd(int argc, char **argv)
{
    (void)argc, (void)argv;
    ck_assert_ptr_null(tuza_chan_new(65536, 0));
    ck_assert_ptr_nonnull(tuza_chan_new(65535, 1));
    ck_assert_ptr_null(tuza_chan_new(8, SIZE_MAX));
    ck_assert_ptr_null(tuza_chan_new(65535, SIZE_MAX / 65535 + 2));
    ck_assert_ptr_nonnull(tuza_chan_new(0, 1000));
    return 0;
}

START_TEST(absurd_channels_are_refused)
{
    api_run(make_absurd, 1);
}
END_TEST

static int signals_only(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(empty) c = tuza_chan_make(empty, 3);
    empty e;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(tuza_try_send(c, e), 0);
    ck_assert_int_eq(tuza_try_send(c, e), -EAGAIN);
    ck_assert_int_eq(tuza_len(c), 3);
    ck_assert_int_eq(tuza_recv(c, &e), 1);
    return 0;
}

START_TEST(elements_may_have_no_bytes)
{
    api_run(signals_only, 1);
}
END_TEST

int main(void)
{
    return api_check("chan", (const TTest *const[]){
                                 values_of_any_type_pass,
                                 try_never_parks,
                                 range_ends_when_closed_and_empty,
                                 select_takes_the_case_it_names,
                                 select_chooses_at_random_among_the_ready,
                                 select_moves_every_value_once,
                                 absurd_channels_are_refused,
                                 elements_may_have_no_bytes,
                                 NULL });
}
