// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/chan/chan_test.c: send, receive and close.

#include <pthread.h>

#include "chan/chan.h"
#include "support/goroutines.h"

// What is new.

IN_GOROUTINES(a_new_channel_is_empty_and_has_its_capacity, 1)
{
    static const size_t caps[] = { 0, 1, 2, 100, 100000 };
    for (size_t i = 0; i < 5; i++) {
        tuza_chan(int) c = tuza_chan_make(int, caps[i]);
        need(c);
        need_eq(tuza_len(c), 0);
        need_eq(tuza_cap(c), caps[i]);
    }
}

IN_GOROUTINES(sizes_that_cannot_be_are_refused, 1)
{
    static const size_t bad[][2] = {
        // element size, capacity
        { 65536, 0 },
        { 65536, 1 },
        { 8, SIZE_MAX },
        { 8, SIZE_MAX / 8 },
        { 8, SIZE_MAX / 8 + 1 },
        { 8, SIZE_MAX / 16 },
        { 8, SIZE_MAX / 8 - 11 },
        { 0, SIZE_MAX },
        { 1, SIZE_MAX },
        { 65535, SIZE_MAX / 65535 },
        { 4, (size_t)1 << 59 },
        { 1, (size_t)1 << 62 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        need(tuza_chan_new(bad[i][0], bad[i][1]) == NULL);
    need(tuza_chan_new(65535, 0) != NULL);
    need(tuza_chan_new(65535, 3) != NULL);
}

IN_GOROUTINES(words_0_and_1_are_length_and_capacity, 1)
{
    tuza_hchan *c = tuza_chan_new(4, 7);
    int v = 1;
    for (int i = 0; i < 5; i++)
        tuza_chan_send(c, &v);
    need_eq(((size_t *)c)[0], 5);
    need_eq(((size_t *)c)[1], 7);
}

// Order and contents.

struct flow {
    tuza_hchan *c;
    tuza_hchan *done;
    int n;
    size_t size;
};

static void send_numbers(void *arg)
{
    struct flow f = *(struct flow *)arg; // its owner does not wait for our end
    for (int i = 0; i < f.n; i++)
        tuza_chan_send(f.c, &i);
}

IN_GOROUTINES(values_keep_their_order_through_every_buffer, 2)
{
    static const int caps[] = { 0, 1, 2, 3, 10, 100 };
    for (int k = 0; k < 6; k++) {
        struct flow f = { .c = tuza_chan_new(4, (size_t)caps[k]), .n = 1000 };
        tuza_spawn(send_numbers, &f);
        for (int i = 0, v; i < f.n; i++) {
            need_eq(tuza_chan_recv(f.c, &v), 1);
            need_eq(v, i);
        }
    }
}

static void fill(unsigned char *p, size_t size, int i)
{
    for (size_t k = 0; k < size; k++)
        p[k] = (unsigned char)(k * 13 + (size_t)i * 7 + 1);
}

static void send_patterns(void *arg)
{
    struct flow *f = arg;
    unsigned char *p = malloc(f->size + 1);
    for (int i = 0; i < f->n; i++) {
        fill(p, f->size, i);
        tuza_chan_send(f->c, p);
        memset(p, 0xee, f->size + 1); // it has been copied
    }
    free(p);
    char ok = 1;
    tuza_chan_send(f->done, &ok);
}

IN_GOROUTINES(elements_of_every_size_arrive_whole, 2)
{
    static const size_t sizes[] = { 0,   1,    2,    3,     4,    5,
                                    7,   8,    9,    12,    16,   100,
                                    999, 4096, 8193, 65534, 65535 };
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        for (size_t cap = 0; cap < 3; cap++) {
            struct flow f = { .c = tuza_chan_new(sizes[k], cap),
                              .done = tuza_chan_new(1, 1),
                              .n = 10,
                              .size = sizes[k] };
            tuza_spawn(send_patterns, &f);
            unsigned char *got = malloc(f.size + 1), *want = malloc(f.size + 1);
            for (int i = 0; i < f.n; i++) {
                fill(want, f.size, i);
                got[f.size] = 0x5a;
                need_eq(tuza_chan_recv(f.c, got), 1);
                need(memcmp(got, want, f.size) == 0);
                need_eq(got[f.size], 0x5a);
            }
            char ok;
            tuza_chan_recv(f.done, &ok);
            free(got), free(want);
        }
    }
}

static tuza_hchan *shared;
static int order[100];
static int stored; // entries of order that were filled in; atomic

static void receive_one(void *arg)
{
    int v;
    need_eq(tuza_chan_recv(shared, &v), 1);
    order[(int *)arg - order] = v;
    __atomic_fetch_add(&stored, 1, __ATOMIC_RELEASE);
}

static void until_stored(int n)
{
    while (__atomic_load_n(&stored, __ATOMIC_ACQUIRE) < n)
        tuza_yield();
}

// Receivers that wait are served in the order in which they came.
IN_GOROUTINES(waiting_receivers_are_first_in_first_out, 1)
{
    shared = tuza_chan_new(4, 3);
    int base = waiting_now();
    for (int i = 0; i < 100; i++) {
        tuza_spawn(receive_one, &order[i]);
        until_waiting(base + i + 1);
    }
    for (int i = 0; i < 100; i++)
        tuza_chan_send(shared, &i);
    until_stored(100);
    for (int i = 0; i < 100; i++)
        need_eq(order[i], i);
}

static void send_own(void *arg)
{
    int v = (int)((int *)arg - order);
    tuza_chan_send(shared, &v);
}

static void senders_in_order(size_t cap)
{
    shared = tuza_chan_new(4, cap);
    int base = waiting_now(), v;
    for (int i = 0; i < 100; i++) {
        tuza_spawn(send_own, &order[i]);
        if (i >= (int)cap)
            until_waiting(base + i + 1 - (int)cap);
        else
            while (tuza_chan_len(shared) < (size_t)i + 1)
                tuza_yield();
    }
    need_eq(tuza_chan_len(shared), cap);
    for (int i = 0; i < 100; i++) {
        need_eq(tuza_chan_recv(shared, &v), 1);
        need_eq(v, i);
    }
    need_eq(tuza_chan_len(shared), 0);
}

IN_GOROUTINES(waiting_senders_are_first_in_first_out, 1)
{
    senders_in_order(0);
    senders_in_order(1);
    senders_in_order(7);
}

IN_GOROUTINES(a_null_destination_throws_the_value_away, 1)
{
    tuza_chan(int) c = tuza_chan_make(int, 2);
    tuza_send(c, 1);
    tuza_send(c, 2);
    need_eq(tuza_recv(c, NULL), 1);
    need_eq(tuza_try_recv(c, NULL), 1);
    need_eq(tuza_try_recv(c, NULL), -EAGAIN);
    tuza_close(c);
    need_eq(tuza_recv(c, NULL), 0);

    shared = tuza_chan_new(4, 0);
    int base = waiting_now();
    tuza_spawn(send_own, &order[5]); // sender first
    until_waiting(base + 1);
    need_eq(tuza_chan_recv(shared, NULL), 1);
}

static void throw_away(void *arg)
{
    (void)arg;
    need_eq(tuza_chan_recv(shared, NULL), 1);
    int v = 9;
    tuza_chan_send(shared, &v);
}

IN_GOROUTINES(a_receiver_that_waits_may_throw_the_value_away, 1)
{
    shared = tuza_chan_new(4, 0);
    int base = waiting_now(), v = 5;
    tuza_spawn(throw_away, NULL);
    until_waiting(base + 1);
    tuza_chan_send(shared, &v);
    need_eq(tuza_chan_recv(shared, &v), 1);
    need_eq(v, 9);
}

// A place in the buffer whose value was received holds nothing any more.
IN_GOROUTINES(the_buffer_forgets_what_was_received, 1)
{
    static const size_t sizes[] = { 8, 9, 16, 24, 100 };
    for (int k = 0; k < 5; k++) {
        tuza_hchan *c = tuza_chan_new(sizes[k], 3);
        unsigned char v[100], zero[100] = { 0 };
        memset(v, 0xaa, sizeof v);
        for (int i = 0; i < 3; i++)
            tuza_chan_send(c, v);
        for (int i = 0; i < 3; i++)
            tuza_chan_recv(c, v);
        for (size_t i = 0; i < 3; i++)
            need(memcmp(tz_chan_slot(c, i), zero, sizes[k]) == 0);
    }
}

// Attempts.

IN_GOROUTINES(attempts_say_again_where_they_would_wait, 1)
{
    int v = -1;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    need_eq(tuza_try_send(c, 1), -EAGAIN);
    need_eq(tuza_try_recv(c, &v), -EAGAIN);
    need_eq(v, -1); // untouched
    c = tuza_chan_make(int, 2);
    need_eq(tuza_try_recv(c, &v), -EAGAIN);
    need_eq(tuza_try_send(c, 1), 0);
    need_eq(tuza_try_send(c, 2), 0);
    need_eq(tuza_try_send(c, 3), -EAGAIN);
    need_eq(tuza_len(c), 2);
    need_eq(tuza_try_recv(c, &v), 1);
    need_eq(v, 1);
    tuza_close(c);
    need_eq(tuza_try_recv(c, &v), 1);
    need_eq(v, 2);
    need_eq(tuza_try_recv(c, &v), 0);
    need_eq(v, 0);
}

IN_GOROUTINES(attempts_meet_goroutines_that_wait, 1)
{
    shared = tuza_chan_new(4, 0);
    int base = waiting_now(), v = 42;
    tuza_spawn(receive_one, &order[0]);
    until_waiting(base + 1);
    need_eq(tuza_chan_try_send(shared, &v), 0);
    need_eq(tuza_chan_try_send(shared, &v), -EAGAIN);
    until_stored(1);
    need_eq(order[0], 42);
    tuza_spawn(send_own, &order[7]);
    until_waiting(base + 1);
    need_eq(tuza_chan_try_recv(shared, &v), 1);
    need_eq(v, 7);
}

// NULL.

static int passed;

static void send_null(void *arg)
{
    (void)arg;
    int v = 1;
    tuza_chan_send(NULL, &v);
    passed++;
}

static void receive_null(void *arg)
{
    (void)arg;
    tuza_chan_recv(NULL, NULL);
    passed++;
}

IN_GOROUTINES(a_null_channel_blocks_for_ever, 1)
{
    int v = 3, base = waiting_now();
    tuza_chan(int) none = NULL;
    need_eq(tuza_len(none), 0);
    need_eq(tuza_cap(none), 0);
    need_eq(tuza_try_send(none, 1), -EAGAIN);
    need_eq(tuza_try_recv(none, &v), -EAGAIN);
    need_eq(v, 3);
    tuza_spawn(send_null, NULL);
    tuza_spawn(receive_null, NULL);
    until_waiting(base + 2);
    for (int i = 0; i < 100; i++)
        tuza_yield();
    need_eq(passed, 0);
}

DEATH(a_main_that_receives_from_null_is_a_deadlock, "deadlock")
{
    tuza_chan_recv(NULL, NULL);
}

// Close.

IN_GOROUTINES(a_closed_channel_drains_and_then_says_so, 1)
{
    for (int cap = 0; cap < 10; cap++) {
        tuza_chan(int) c = tuza_chan_make(int, (size_t)cap);
        for (int i = 0; i < cap; i++)
            tuza_send(c, i + 100);
        tuza_close(c);
        need_eq(tuza_len(c), cap);
        for (int i = 0, v; i < cap; i++) {
            need_eq(tuza_recv(c, &v), 1);
            need_eq(v, i + 100);
        }
        for (int i = 0, v; i < 3; i++) {
            v = 77;
            need_eq(tuza_recv(c, &v), 0);
            need_eq(v, 0); // zeroed
        }
    }
}

static tuza_waitgroup group;

static void receive_close(void *arg)
{
    int *v = arg;
    *v = 77;
    need_eq(tuza_chan_recv(shared, v), 0);
    need_eq(*v, 0);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_close_wakes_every_receiver, 2)
{
    shared = tuza_chan_new(4, 0);
    int base = waiting_now();
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_spawn(receive_close, &order[i]);
    until_waiting(base + 100);
    tuza_chan_close(shared);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(range_ends_with_the_close, 2)
{
    tuza_chan(int) c = tuza_chan_make(int, 4);
    struct flow f = { .c = (tuza_hchan *)c, .n = 4 };
    send_numbers(&f);
    tuza_close(c);
    int sum = 0;
    tuza_range(v, c)
    {
        sum += v;
    }
    need_eq(sum, 6);
}

// Mistakes.

DEATH(a_send_on_a_closed_channel_is_fatal, "fatal: send on closed channel 0x")
{
    tuza_chan(int) c = tuza_chan_make(int, 1);
    tuza_close(c);
    tuza_send(c, 1);
}

DEATH(an_attempt_to_send_on_a_closed_channel_is_fatal,
      "fatal: send on closed channel 0x")
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    tuza_close(c);
    tuza_try_send(c, 1);
}

DEATH(a_close_under_a_waiting_sender_is_fatal,
      "fatal: send on closed channel 0x")
{
    shared = tuza_chan_new(4, 0);
    int base = waiting_now();
    tuza_spawn(send_own, &order[1]);
    until_waiting(base + 1);
    tuza_chan_close(shared);
    for (;;)
        tuza_yield();
}

DEATH(a_second_close_is_fatal, "fatal: close of closed channel 0x")
{
    tuza_chan(int) c = tuza_chan_make(int, 1);
    tuza_close(c);
    tuza_close(c);
}

DEATH(a_close_of_null_is_fatal, "fatal: close of NULL channel")
{
    tuza_chan_close(NULL);
}

DEATH(what_is_no_channel_is_told, "which is not a channel")
{
    static size_t zeroes[20];
    tuza_chan_send((tuza_hchan *)zeroes, zeroes);
}

static void *from_a_thread(void *arg)
{
    tuza_chan_recv(arg, NULL);
    return NULL;
}

DEATH(a_plain_thread_may_not_receive, "tuza_recv outside of a goroutine")
{
    pthread_t t;
    pthread_create(&t, NULL, from_a_thread, tuza_chan_new(4, 0));
    pthread_join(t, NULL);
}

// Many at once.

enum { MANY_SIDES = 4 };
struct many {
    tuza_hchan *c;
    int n;
    uint64_t *sums; // by sender
};

static void send_marked(void *arg)
{
    struct many *m = arg;
    static uint32_t next;
    uint64_t who = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % MANY_SIDES;
    for (int i = 0; i < m->n; i++) {
        uint64_t v = who << 32 | (uint64_t)i;
        tuza_chan_send(m->c, &v);
    }
    tuza_waitgroup_done(&group);
}

static void receive_marked(void *arg)
{
    struct many *m = arg;
    int64_t last[MANY_SIDES];
    uint64_t v;
    memset(last, 0xff, sizeof last);
    for (int i = 0; i < m->n; i++) {
        need_eq(tuza_chan_recv(m->c, &v), 1);
        uint64_t who = v >> 32;
        int64_t seq = (int64_t)(v & 0xffffffff);
        need(who < MANY_SIDES && seq > last[who]); // one sender's are in order
        last[who] = seq;
        __atomic_fetch_add(&m->sums[who], (uint64_t)seq + 1, __ATOMIC_RELAXED);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(nothing_is_lost_or_doubled_between_many, 2)
{
    static const size_t caps[] = { 0, 1, 5, 128 };
    int n = scaled(20000);
    for (int k = 0; k < 4; k++) {
        uint64_t sums[MANY_SIDES] = { 0 };
        struct many m = { tuza_chan_new(8, caps[k]), n, sums };
        tuza_waitgroup_add(&group, 2 * MANY_SIDES);
        for (int i = 0; i < MANY_SIDES; i++) {
            tuza_spawn(send_marked, &m);
            tuza_spawn(receive_marked, &m);
        }
        tuza_waitgroup_wait(&group);
        for (int i = 0; i < MANY_SIDES; i++)
            need_eq(sums[i], (uint64_t)n * ((uint64_t)n + 1) / 2);
    }
}

// Random attempts against a queue that cannot be wrong.
IN_GOROUTINES(attempts_agree_with_a_model, 1)
{
    uint64_t seed = test_seed();
    int rounds = scaled(200);
    for (int round = 0; round < rounds; round++) {
        size_t cap = rnd(&seed, 6), head = 0, tail = 0;
        uint64_t model[400];
        bool closed = false;
        tuza_hchan *c = tuza_chan_new(8, cap);
        for (int step = 0; step < 300; step++) {
            uint64_t v = 77, r = rnd(&seed, 100);
            if (r < 50 && !closed) {
                v = (uint64_t)step;
                int want = tail - head < cap ? 0 : -EAGAIN;
                need_eq(tuza_chan_try_send(c, &v), want);
                if (want == 0)
                    model[tail++] = v;
            } else if (r < 99) {
                int want = tail > head ? 1 : closed ? 0 : -EAGAIN;
                need_eq(tuza_chan_try_recv(c, &v), want);
                need_eq(v, want == 1 ? model[head++] : want == 0 ? 0 : 77);
            } else if (!closed && step > 200) {
                tuza_chan_close(c);
                closed = true;
            }
            need_eq(tuza_chan_len(c), tail - head);
            tz_lock_acquire(&c->lock);
            tz_chan_check(c);
            tz_lock_release(&c->lock);
        }
    }
}

// The collector.

struct node {
    struct node *next;
    uint64_t value;
};

static struct node *make_node(uint64_t value)
{
    struct node *n = tuza_alloc_bytes(sizeof *n);
    n->value = value;
    return n;
}

static void churn(void)
{
    for (int i = 0; i < 3; i++) {
        tuza_gc();
        for (int k = 0; k < 2000; k++)
            memset(tuza_alloc_bytes(sizeof(struct node)), 0xbb,
                   sizeof(struct node));
    }
}

static void send_node(void *arg)
{
    tuza_chan(struct node *) c = arg;
    tuza_send(c, make_node(7)); // the only pointer is in this frame
}

IN_GOROUTINES(what_is_in_a_channel_is_not_collected, 2)
{
    tuza_chan(struct node *) c = tuza_chan_make(struct node *, 50);
    for (uint64_t i = 0; i < 50; i++)
        tuza_send(c, make_node(i));
    churn();
    struct node *n;
    for (uint64_t i = 0; i < 50; i++) {
        tuza_recv(c, &n);
        need_eq(n->value, i);
    }
    c = tuza_chan_make(struct node *, 0);
    int base = waiting_now();
    for (int i = 0; i < 10; i++)
        tuza_spawn(send_node, (void *)c);
    until_waiting(base + 10);
    churn();
    for (int i = 0; i < 10; i++) {
        tuza_recv(c, &n);
        need_eq(n->value, 7);
    }
}

int main(void)
{
    const TTest *const tests[] = {
        a_new_channel_is_empty_and_has_its_capacity,
        sizes_that_cannot_be_are_refused,
        words_0_and_1_are_length_and_capacity,
        values_keep_their_order_through_every_buffer,
        elements_of_every_size_arrive_whole,
        waiting_receivers_are_first_in_first_out,
        waiting_senders_are_first_in_first_out,
        a_null_destination_throws_the_value_away,
        a_receiver_that_waits_may_throw_the_value_away,
        the_buffer_forgets_what_was_received,
        attempts_say_again_where_they_would_wait,
        attempts_meet_goroutines_that_wait,
        a_null_channel_blocks_for_ever,
        a_main_that_receives_from_null_is_a_deadlock,
        a_closed_channel_drains_and_then_says_so,
        a_close_wakes_every_receiver,
        range_ends_with_the_close,
        a_send_on_a_closed_channel_is_fatal,
        an_attempt_to_send_on_a_closed_channel_is_fatal,
        a_close_under_a_waiting_sender_is_fatal,
        a_second_close_is_fatal,
        a_close_of_null_is_fatal,
        what_is_no_channel_is_told,
        a_plain_thread_may_not_receive,
        nothing_is_lost_or_doubled_between_many,
        attempts_agree_with_a_model,
        what_is_in_a_channel_is_not_collected,
        NULL,
    };
    return api_check("chan", tests);
}
