// SPDX-License-Identifier: BSD-3-Clause
// wordfreq [-a] [-n N] [-c BYTES] [PATH...]: the most frequent words in all
// text files under the paths.
//
//              paths              chunks
//   walker ----------> readers ----------> tokenisers
//      |     char *       |      chunk         |
//      +------------------+--------------------+----> main
//                     tallies
//
// One goroutine walks the folders. A pool of others reads the files by plain
// blocking reads: a goroutine that waits for the disk costs a thread, and the
// rest goes on. The tokenisers, one a processor, count in maps of their own,
// so that nothing is locked; main merges the maps. Nobody frees a path, a
// chunk or a map: they live in the collected heap.
//
// A pipe ends when its channel is closed: the walker closes `paths`, and main
// closes `chunks` once it has the tally of the walker and of every reader.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wordfreq.h"

enum { READERS = 8, TOP = 20, CHUNK = 64 * 1024, LICENCES_AND_SOURCES = 2 };

struct options {
    size_t top;
    size_t chunk;
    char **roots;
    int nroots;
};

void complain(tally *t, const char *path, int err)
{
    char line[4096];
    size_t n = 0;
    // A name may hold anything, but this is one line.
    for (; path[n] && n < sizeof line - 1; n++)
        line[n] = (unsigned char)path[n] < ' ' ? '?' : path[n];
    line[n] = 0;
    fprintf(stderr, "wordfreq: %s: %s\n", line, strerror(-err));
    t->errors++;
}

// The first goroutine that meets it says so.
static void must(int err)
{
    static int over;
    if (err >= 0)
        return;
    while (__atomic_exchange_n(&over, 1, __ATOMIC_SEQ_CST))
        tuza_sleep(TUZA_SEC(1));
    fprintf(stderr, "wordfreq: %s\n", strerror(-err));
    exit(1);
}

void *need(void *p)
{
    must(p ? 0 : -ENOMEM);
    return p;
}

static void usage(void)
{
    fputs("usage: wordfreq [-a] [-n N] [-c BYTES] [PATH...]\n"
          "Prints the most frequent words in the text files under the paths\n"
          "(default: the system's licences and the sources of tuza).\n"
          "  -n N      so many words (20)\n"
          "  -a        all words\n"
          "  -c BYTES  read so much at a time (65536)\n",
          stderr);
    exit(2);
}

// Whether there is something of that name, be it a link that leads nowhere.
static int exists(const char *path)
{
    struct stat st;
    int err = TUZA_SYSCALL(lstat(path, &st));
    return err != -ENOENT && err != -ENOTDIR;
}

static void default_roots(struct options *o)
{
    static char *roots[LICENCES_AND_SOURCES];
    o->roots = roots;
    roots[o->nroots++] = "/usr/share/common-licenses";
    if (exists("src") && exists("include/tuza.h"))
        roots[o->nroots++] = ".";
#ifdef WORDFREQ_SOURCE_DIR
    else if (exists(WORDFREQ_SOURCE_DIR))
        roots[o->nroots++] = WORDFREQ_SOURCE_DIR;
#endif
    if (!exists(roots[0])) // not a Debian: the sources alone
        roots[0] = roots[--o->nroots];
}

static size_t number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end || *text == '-' || n == 0 || n > 1 << 30)
        usage();
    return n;
}

static struct options parse(int argc, char **argv)
{
    struct options o = { .top = TOP, .chunk = CHUNK };
    for (int c; (c = getopt(argc, argv, "an:c:")) != -1;) {
        if (c == 'a')
            o.top = SIZE_MAX;
        else if (c == 'n')
            o.top = number(optarg);
        else if (c == 'c')
            o.chunk = number(optarg);
        else
            usage();
    }
    o.roots = argv + optind;
    o.nroots = argc - optind;
    if (o.nroots == 0)
        default_roots(&o);
    int found = 0;
    for (int i = 0; i < o.nroots; i++)
        found += exists(o.roots[i]);
    if (!found)
        usage();
    return o;
}

// Receives n tallies and adds them to *total.
static void gather(int n, tuza_chan(tally) tallies, tally *total)
{
    tally t;
    for (; n > 0 && tuza_recv(tallies, &t); n--) {
        total->files += t.files;
        total->bytes += t.bytes;
        total->words += t.words;
        total->errors += t.errors;
        total->skipped_binary += t.skipped_binary;
        total->skipped_dirs += t.skipped_dirs;
        total->skipped_dup += t.skipped_dup;
        if (t.counts)
            counts_merge(total->counts, t.counts);
    }
}

static void report(const tally *t, int64_t start)
{
    tuza_memstats mem = { .size = sizeof mem };
    tuza_schedstats sched = { .size = sizeof sched };
    must(tuza_memstats_read(&mem));
    must(tuza_schedstats_read(&sched));
    printf("files=%" PRIu64 " bytes=%" PRIu64 " words=%" PRIu64
           " distinct=%zu skipped_binary=%" PRIu64 " skipped_dirs=%" PRIu64
           " skipped_dup=%" PRIu64 " errors=%" PRIu64,
           t->files, t->bytes, t->words, counts_distinct(t->counts),
           t->skipped_binary, t->skipped_dirs, t->skipped_dup, t->errors);
    printf(" goroutines=%" PRIu64 " threads=%" PRIu64 " collections=%" PRIu64
           " longest_pause_us=%" PRIu64 " peak_heap_bytes=%" PRIu64
           " wall_ms=%" PRId64 "\n",
           sched.created, sched.threads, mem.num_gc, mem.pause_max_ns / 1000,
           mem.heap_peak, (tuza_now() - start) / TUZA_MS(1));
}

TUZA_MAIN
{
    int64_t start = tuza_now();
    struct options o = parse(argc, argv);
    tuza_schedstats sched = { .size = sizeof sched };
    must(tuza_schedstats_read(&sched));
    int tokenisers = (int)sched.maxprocs;

    struct pipes pipes = { tuza_chan_make(char *, 256),
                           tuza_chan_make(chunk, 2 * tokenisers),
                           tuza_chan_make(tally, 0) };
    need(pipes.paths), need(pipes.chunks), need(pipes.tallies);
    must(walk_start(o.roots, o.nroots, &pipes));
    must(read_start(READERS, &pipes, o.chunk));
    must(count_start(tokenisers, &pipes));

    tally total = { .counts = counts_new() };
    gather(1 + READERS, pipes.tallies, &total);
    tuza_close(pipes.chunks);
    gather(tokenisers, pipes.tallies, &total);

    counts_print(total.counts, o.top);
    report(&total, start);
    int err = TUZA_SYSCALL(fflush(stdout));
    if (err || ferror(stdout))
        complain(&total, "standard output", err ? err : -EIO);
    return total.errors ? 1 : 0;
}
