// SPDX-License-Identifier: BSD-3-Clause
// test/diag/summary_test.c: what is in the heap, by type, of known populations.

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "gc/dying.h"
#include "tuza/gc.h"

struct node {
    struct node *left, *right;
    uint64_t value;
};
struct other {
    uint64_t value;
    void *p;
};
struct twin {
    uint64_t number;
    struct node *n;
};
struct big {
    void *first;
    char text[1000];
    void *last;
};
struct masked {
    void *p[6];
};
struct plain {
    uint64_t number[4];
};
static const tuza_type node_type = TUZA_TYPE(struct node, left, right);
static const tuza_type other_type = TUZA_TYPE(struct other, p);
static const tuza_type twin_type = TUZA_TYPE(struct twin, n);
static const uint64_t ends[] = { 1, UINT64_C(1) << 62 };
static const tuza_type big_type = { sizeof(struct big), "struct big", 0, ends, NULL };
static const uint64_t mask = 0x15;
static const tuza_type masked_type = { sizeof(struct masked), "struct masked",
                                       0, &mask, NULL };
static const tuza_type plain_type = { sizeof(struct plain), "struct plain", 0,
                                      NULL, NULL };

static char text[64 * 1024];

static int summary(void)
{
    FILE *f = tmpfile();
    int r = tuza_heap_summary(fileno(f));
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return r;
}

// The numbers of a line; zeros when there is none.
struct line {
    long long objects, bytes;
    double share;
};
static struct line line_of(const char *name)
{
    struct line l = { 0, 0, 0 };
    char end[200];
    snprintf(end, sizeof end, "%%  %s\n", name);
    const char *at = strstr(text, end);
    while (at && at > text && at[-1] != '\n')
        at--;
    if (at)
        need_eq(sscanf(at, "%lld %lld %lf", &l.objects, &l.bytes, &l.share), 3);
    return l;
}

static void need_line(const char *name, long long objects, long long bytes)
{
    struct line l = line_of(name);
    if (l.objects != objects || l.bytes != bytes)
        ck_abort_msg("%s: %lld objects and %lld bytes, not %lld and %lld in:\n%s",
                     name, l.objects, l.bytes, objects, bytes, text);
}

static void *kept[4000];
static int nkept;
static void keep(void *p)
{
    need(p != NULL);
    kept[nkept++] = p;
}

// What is there before the test has done anything, of the kinds.
static struct line before[3];
static const char *const kinds[] = { "(conservative)", "(no pointers)",
                                     "(uncollectable)" };

static void begin(void)
{
    tuza_gc_set_percent(-1);
    need_eq(summary(), 0);
    for (int i = 0; i < 3; i++)
        before[i] = line_of(kinds[i]);
}

static void need_more(int kind, long long objects, long long bytes)
{
    need_line(kinds[kind], before[kind].objects + objects,
              before[kind].bytes + bytes);
}

IN_GOROUTINES(a_known_population_has_its_numbers, 2)
{
    begin();
    for (int i = 0; i < 1000; i++)
        keep(tuza_alloc_typed(&node_type, 1)); // 24 bytes in 32
    for (int i = 0; i < 10; i++)
        keep(tuza_alloc_typed(&node_type, 10)); // 240
    for (int i = 0; i < 3; i++)
        keep(tuza_alloc_typed(&node_type, 50)); // 1200 in 1280
    for (int i = 0; i < 70; i++)
        keep(tuza_alloc_typed(&big_type, 1)); // 1016 in 1024
    for (int i = 0; i < 5; i++)
        keep(tuza_alloc_typed(&big_type, 40)); // 40640 in 40960
    for (int i = 0; i < 20; i++)
        keep(tuza_alloc_typed(&masked_type, 1)); // 48
    for (int i = 0; i < 40; i++)
        keep(tuza_alloc(100)); // 112
    for (int i = 0; i < 30; i++)
        keep(tuza_alloc_bytes(5000)); // 5120
    for (int i = 0; i < 2; i++)
        keep(tuza_alloc_typed(&plain_type, 1)); // 32, no pointers
    for (int i = 0; i < 6; i++)
        keep(tuza_alloc_uncollectable(17)); // 32
    need_eq(summary(), 0);
    need_line("struct node", 1013, 1000 * 32 + 10 * 240 + 3 * 1280);
    need_line("struct big", 75, 70 * 1024 + 5 * 40960);
    need_line("struct masked", 20, 20 * 48);
    need_more(0, 40, 40 * 112);
    need_more(1, 32, 30 * 5120 + 2 * 32);
    need_more(2, 6, 6 * 32);
    need_line("struct plain", 0, 0);
    need_line("(typed)", 0, 0);
}

IN_GOROUTINES(head_shares_and_order_agree_with_the_lines, 1)
{
    for (int i = 0; i < 300; i++)
        keep(tuza_alloc_typed(&big_type, 1)), keep(tuza_alloc(3000));
    for (int i = 0; i < 50; i++)
        keep(tuza_alloc_typed(&node_type, 1));
    need_eq(summary(), 0);
    long long objects, bytes, sum = 0, count = 0, last = -1;
    int skipped = 0;
    need_eq(sscanf(text, "heap: %lld objects, %lld bytes, after 0 collections\n"
                         " objects bytes share type\n%n",
                   &objects, &bytes, &skipped), 2);
    for (const char *at = text + skipped; *at; at = strchr(at, '\n') + 1) {
        struct line l;
        need_eq(sscanf(at, "%lld %lld %lf%%", &l.objects, &l.bytes, &l.share),
                3);
        double share = (double)l.bytes * 100 / (double)bytes - l.share;
        need(share > -0.05 && share < 0.15);
        need(last < 0 || l.bytes <= last);
        last = l.bytes, sum += l.bytes, count += l.objects;
    }
    need_eq(sum, bytes);
    need_eq(count, objects);
    need(objects >= 650);
}

IN_GOROUTINES(a_layout_that_two_types_have_names_both, 1)
{
    for (int i = 0; i < 7; i++)
        keep(tuza_alloc_typed(&other_type, 1));
    need_eq(summary(), 0);
    need_line("struct other", 7, 7 * 16);
    keep(tuza_alloc_typed(&twin_type, 1));
    need_eq(summary(), 0);
    long long both = line_of("struct other | struct twin").objects +
                     line_of("struct twin | struct other").objects;
    need_eq(both, 8);
}

static void die(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        tuza_alloc_typed(&node_type, 1);
}

IN_GOROUTINES(what_a_collection_has_taken_or_the_program_freed_is_not_in, 1)
{
    tuza_gc_set_percent(-1);
    void *p[50];
    for (int i = 0; i < 50; i++)
        p[i] = tuza_alloc_typed(&big_type, 1);
    elsewhere(die, NULL);
    need_eq(summary(), 0);
    need_line("struct node", 1000, 32000);
    need_line("struct big", 50, 50 * 1024);
    for (int i = 0; i < 50; i++)
        tuza_free(p[i]);
    tuza_gc();
    need_eq(summary(), 0);
    need(strstr(text, ", after 1 collections\n") != NULL);
    need(line_of("struct node").objects < 100);
    need_line("struct big", 0, 0);
}

static char from_pipe[64 * 1024];
static void *read_pipe(void *arg)
{
    size_t n = 0;
    for (ssize_t k; (k = read(*(int *)arg, from_pipe + n, 100)) > 0;)
        n += (size_t)k;
    return NULL;
}

IN_GOROUTINES(it_is_written_to_a_pipe_that_is_slow, 2)
{
    int fd[2];
    pthread_t reader;
    need_eq(pipe2(fd, O_NONBLOCK), 0);
    need_eq(fcntl(fd[0], F_SETFL, 0), 0);
    need_eq(fcntl(fd[1], F_SETPIPE_SZ, 4096), 4096);
    char full[4096] = { 0 };
    memset(full, '\n', sizeof full);
    need_eq(write(fd[1], full, sizeof full), 4096);
    need_eq(pthread_create(&reader, NULL, read_pipe, &fd[0]), 0);
    keep(tuza_alloc_typed(&node_type, 1));
    need_eq(tuza_heap_summary(fd[1]), 0);
    close(fd[1]);
    TUZA_BLOCKING(pthread_join(reader, NULL));
    need(strstr(from_pipe, "%  struct node\n") != NULL);
}

IN_GOROUTINES(what_cannot_be_written_to_is_told, 1)
{
    need_eq(tuza_heap_summary(-1), -EBADF);
    int fd = open("/dev/null", O_RDONLY);
    need_eq(tuza_heap_summary(fd), -EBADF);
    close(fd);
    need_eq(tuza_heap_summary(fd), -EBADF);
    fd = open("/dev/full", O_WRONLY);
    need_eq(tuza_heap_summary(fd), -ENOSPC);
    close(fd);
}

static void allocate(void *arg)
{
    for (int i = 0; i < scaled(20000); i++) {
        void *p = tuza_alloc_typed(i % 2 ? &node_type : &big_type, 1);
        if (i % 7 == 0)
            tuza_free(p);
    }
    tuza_waitgroup_done(arg);
}

IN_GOROUTINES(others_allocate_and_collect_meanwhile, 2)
{
    static tuza_waitgroup done;
    tuza_waitgroup_add(&done, 3);
    for (int i = 0; i < 3; i++)
        need_eq(tuza_spawn(allocate, &done), 0);
    for (int i = 0; i < 30; i++) {
        need_eq(summary(), 0);
        if (i % 10 == 0)
            tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_wait(&done);
}

int main(void)
{
    return api_check(
        "summary",
        (const TTest *const[]){
            a_known_population_has_its_numbers,
            head_shares_and_order_agree_with_the_lines,
            a_layout_that_two_types_have_names_both,
            what_a_collection_has_taken_or_the_program_freed_is_not_in,
            it_is_written_to_a_pipe_that_is_slow,
            what_cannot_be_written_to_is_told,
            others_allocate_and_collect_meanwhile, NULL });
}
