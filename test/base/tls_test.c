// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/base/tls_test.c: the thread-local object and critical sections
// [base.I1] [base.I2]. The stop is a fake.

#include <pthread.h>

#include "base/tls.h"
#include "os/os_check.h"

static struct {
    int stops;
    int locks; // as the last stop found it
    bool keep; // leave the request standing
} fake;

void tz_port_stop_here(void)
{
    fake.stops++;
    fake.locks = tz_tls_get()->locks;
    if (!fake.keep)
        tz_store(&tz_tls_get()->stop, 0);
}

START_TEST(sections_nest_and_the_outermost_leave_stops_once)
{
    for (int depth = 1; depth < 10; depth++) {
        fake.stops = 0;
        fake.locks = -1;
        for (int i = 0; i < depth; i++)
            tz_crit_enter();
        ck_assert_int_eq(tz_tls_get()->locks, depth);
        tz_store(&tz_tls_get()->stop, 1);
        for (int i = 0; i < depth; i++) {
            ck_assert_int_eq(fake.stops, 0);
            tz_crit_leave();
        }
        ck_assert_int_eq(fake.stops, 1);
        ck_assert_int_eq(fake.locks, 0);
    }
}
END_TEST

START_TEST(a_leave_without_a_request_does_not_stop)
{
    tz_crit_enter();
    tz_crit_leave();
    ck_assert_int_eq(fake.stops, 0);
    ck_assert_int_eq(tz_tls_get()->locks, 0);
}
END_TEST

START_TEST(every_outermost_leave_stops_while_the_request_stands)
{
    fake.keep = true;
    tz_store(&tz_tls_get()->stop, 1);
    for (int i = 1; i <= 3; i++) {
        tz_crit_enter();
        tz_crit_enter();
        tz_crit_leave();
        tz_crit_leave();
        ck_assert_int_eq(fake.stops, i);
    }
}
END_TEST

static void *address(void *arg)
{
    struct tz_tls *t = tz_tls_get();
    ck_assert_ptr_eq(t, &tz_tls); // this thread's, by the compiler's way
    ck_assert_ptr_eq(t->m, NULL);
    ck_assert_int_eq(t->locks, 0);
    t->locks = 3;
    *(struct tz_tls **)arg = t;
    return NULL;
}

START_TEST(each_thread_has_its_own_object_zero_at_first)
{
    struct tz_tls *there = NULL, *here = tz_tls_get();
    pthread_t t;
    tz_crit_enter();
    pthread_create(&t, NULL, address, &there);
    pthread_join(t, NULL);
    ck_assert_ptr_nonnull(there);
    ck_assert_ptr_ne(there, here);
    ck_assert_ptr_eq(here, tz_tls_get());
    ck_assert_int_eq(here->locks, 1);
    tz_crit_leave();
}
END_TEST

static void in_handler(int sig)
{
    (void)sig;
    tz_crit_enter(); // as the runtime's handlers do
    tz_crit_leave();
}

START_TEST(a_handler_inside_a_section_does_not_stop)
{
    signal(SIGUSR1, in_handler);
    tz_crit_enter();
    tz_store(&tz_tls_get()->stop, 1);
    raise(SIGUSR1);
    ck_assert_int_eq(fake.stops, 0);
    tz_crit_leave();
    ck_assert_int_eq(fake.stops, 1);
}
END_TEST

int main(void)
{
    return os_check("base/tls",
                    (const TTest *const[]){
                        sections_nest_and_the_outermost_leave_stops_once,
                        a_leave_without_a_request_does_not_stop,
                        every_outermost_leave_stops_while_the_request_stands,
                        each_thread_has_its_own_object_zero_at_first,
                        a_handler_inside_a_section_does_not_stop, NULL });
}
