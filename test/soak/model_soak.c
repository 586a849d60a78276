// SPDX-License-Identifier: BSD-3-Clause
// test/soak/model_soak.c: the programs of test/model with many random
// schedules, from another seed each time. MODEL_SECONDS is how long each of
// their explorations lasts (20), MODEL_SEED where to begin.

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    char path[4096], seed[32];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    if (n < 0)
        return 1;
    path[n] = 0;
    char *end = strstr(path, "/soak/");
    if (!end)
        return 1;
    strcpy(end, "/model/*_test");
    snprintf(seed, sizeof seed, "%lld", (long long)time(NULL));
    setenv("MODEL_SEED", seed, 0);
    setenv("MODEL_SECONDS", "20", 0);
    setenv("CK_DEFAULT_TIMEOUT", "3600", 1);
    printf("MODEL_SEED=%s\n", getenv("MODEL_SEED"));
    fflush(stdout);
    glob_t found;
    if (glob(path, 0, NULL, &found) != 0) {
        printf("%s: there are none\n", path);
        return 1;
    }
    int failed = 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        failed += system(found.gl_pathv[i]) != 0;
    globfree(&found);
    return failed != 0;
}
