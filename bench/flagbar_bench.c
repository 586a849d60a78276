// SPDX-License-Identifier: BSD-3-Clause
// bench/flagbar_bench.c: what telling of stores costs: programs of this directory are
// run by turns as they are and compiled with the flags of `tuza-cflags --barrier`
// (flag_*_bench, beside them), all of them collected in stops of the world, so that
// the flags' code is idle. The value is the geometric mean of what an operation costs
// with, the peer's without. By argument:
//
//   told     each in the collector's mode that it gets: with the flags marking is told
//   macros   with the macros of tuza/barrier.h (macro_*_bench) in place of the flags

#include <libgen.h>
#include <math.h>
#include <stdbool.h>

#include "bench.h"

static const struct pair {
    const char *name, *args;
} pairs[] = {
    { "bintrees", "" },
    { "gcbench", "" },
    { "graph", "cpu 64" },
    { "mixed300k", "" },
};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

// The value that the program prints; 0 when it does not.
static double value_of(const char *dir, const char *prefix, const struct pair *p)
{
    char command[4096];
    double value = 0;
    snprintf(command, sizeof command, "'%s/%s%s_bench' %s", dir, prefix,
             p->name, p->args);
    FILE *f = popen(command, "r");
    if (!f || fscanf(f, "value=%lf check=ok", &value) != 1)
        value = 0;
    char rest[64];
    bool ok = f && fgets(rest, sizeof rest, f);
    return f && pclose(f) == 0 && ok ? value : 0;
}

int main(int argc, char **argv)
{
    double told = 0, plain = 0, each[PAIRS];
    bool ok = argc > 0;
    const char *what = argc > 1 ? argv[1] : "";
    const char *prefix = strcmp(what, "macros") == 0 ? "macro_" : "flag_";
    if (strcmp(what, "told") != 0)
        setenv("TUZADEBUG", "gcmode=m0", 1);
    const char *dir = dirname(argv[0]);
    for (int i = 0; i < PAIRS; i++) {
        double a = value_of(dir, prefix, &pairs[i]);
        double b = value_of(dir, "", &pairs[i]);
        ok &= a > 0 && b > 0;
        told += log(ok ? a : 1) / PAIRS;
        plain += log(ok ? b : 1) / PAIRS;
        each[i] = ok ? a / b : 0;
    }
    printf("value=%.3f peerval=%.3f check=%s", exp(told), exp(plain),
           ok ? "ok" : "fail");
    for (int i = 0; i < PAIRS; i++)
        printf(" %s=%.3f", pairs[i].name, each[i]);
    putchar('\n');
    return !ok;
}
