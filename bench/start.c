// SPDX-License-Identifier: BSD-3-Clause
// bench/start.c: start PROGRAM wall|cpu: the median of what a process takes
// that runs PROGRAM, from the call that makes it until its end has been waited
// for. It has to say hello and end with status 0.

#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { STARTS = 60 };
extern char **environ;

static int64_t ns_of(struct timeval t)
{
    return ((int64_t)t.tv_sec * 1000000 + t.tv_usec) * 1000;
}

// What the program writes, until it closes its output.
static int says_hello(int fd)
{
    char said[16];
    size_t n = 0;
    for (ssize_t r; (r = read(fd, said + n, sizeof said - n)) > 0;)
        n += (size_t)r;
    return n == 6 && memcmp(said, "hello\n", 6) == 0;
}

static int start(char *program, int64_t *wall, int64_t *cpu)
{
    int ends[2], status;
    struct rusage used;
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0 || posix_spawn_file_actions_init(&actions) != 0)
        return 0;
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    int64_t began = bench_wall_ns();
    int ok = posix_spawn(&child, program, &actions, NULL,
                         (char *[]){ program, NULL }, environ) == 0;
    close(ends[1]);
    ok = ok && says_hello(ends[0]) && wait4(child, &status, 0, &used) == child;
    *wall = bench_wall_ns() - began;
    close(ends[0]);
    posix_spawn_file_actions_destroy(&actions);
    if (!ok || status != 0)
        return 0;
    *cpu = ns_of(used.ru_utime) + ns_of(used.ru_stime);
    return 1;
}

int main(int argc, char **argv)
{
    static int64_t walls[STARTS], cpus[STARTS];
    int ok = argc == 3;
    for (int i = 0; ok && i < STARTS; i++)
        ok = start(argv[1], &walls[i], &cpus[i]);
    if (!ok)
        return bench_report(0, 1, 0);
    int64_t *times = strcmp(argv[2], "cpu") == 0 ? cpus : walls;
    return bench_report(bench_percentile(times, STARTS, 50), 1, 1);
}
