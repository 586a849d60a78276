// SPDX-License-Identifier: BSD-3-Clause
// emul/lostwake.c: a program with a mistake: it loses a wake-up.
//
//     lostwake [ROUNDS]
//
// One thread sends to another through a box with place for one and waits for
// the answer. Who finds the box empty says that it is about to sleep, and does
// so until who fills the box takes that back. It does not look at the box again
// in between: filled there, it sleeps for ever, and the sender with it. As it is
// back at the box long before the next round, all goes well, mostly.

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_NS = 1000000 };

struct box {
    uint32_t full;  // atomic
    uint32_t sleeps; // atomic; who empties it
};
static struct box there, back;

static void put(struct box *b)
{
    __atomic_store_n(&b->full, 1, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&b->sleeps, 0, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &b->sleeps, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void take(struct box *b)
{
    while (!__atomic_exchange_n(&b->full, 0, __ATOMIC_SEQ_CST)) {
        poll(NULL, 0, 0); // where the tool holds it; nobody else does
        __atomic_store_n(&b->sleeps, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&b->sleeps, __ATOMIC_SEQ_CST))
            syscall(SYS_futex, &b->sleeps, FUTEX_WAIT_PRIVATE, 1, NULL, NULL,
                    0);
    }
}

// The other's loop has to sleep on both boxes; only one of them has the mistake.
static void take_answer(void)
{
    while (!__atomic_exchange_n(&back.full, 0, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&back.sleeps, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&back.full, __ATOMIC_SEQ_CST))
            continue;
        syscall(SYS_futex, &back.sleeps, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *answer(void *unused)
{
    for (;;) {
        take(&there);
        put(&back);
    }
    return unused;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 300;
    struct timespec pause = { 0, PAUSE_NS };
    pthread_t t;
    if (pthread_create(&t, NULL, answer, NULL))
        return 1;
    for (int i = 0; i < rounds; i++) {
        syscall(SYS_nanosleep, &pause, NULL);
        put(&there);
        take_answer();
    }
    printf("done\n");
    return 0;
}
