/* SPDX-License-Identifier: BSD-3-Clause */
/* wordfreq.h: what the files of wordfreq share; main.c tells the story. */
#ifndef WORDFREQ_H
#define WORDFREQ_H

#include <tuza.h>

/* What one goroutine has counted. Sent once, when it ends. */
typedef struct tally {
    uint64_t files, bytes, words, errors;
    uint64_t skipped_binary, skipped_dirs, skipped_dup;
    struct counts *counts; /* of a tokeniser, else NULL */
} tally;

/* A piece of text that neither begins nor ends inside a word. */
typedef struct chunk {
    char *text;
    size_t size;
} chunk;

/* The channels that the goroutines talk over. */
struct pipes {
    tuza_chan(char *) paths;  /* walker -> readers */
    tuza_chan(chunk) chunks;  /* readers -> tokenisers */
    tuza_chan(tally) tallies; /* all -> main */
};

/* walk.c: one goroutine that finds the files under the roots, sends their
 * paths and closes the channel behind the last. */
int walk_start(char **roots, int nroots, struct pipes *pipes);

/* read.c: n goroutines that send the text of the files, chunk_size bytes at a
 * time, until there are no more paths. */
int read_start(int n, struct pipes *pipes, size_t chunk_size);

/* count.c: n goroutines that count words, until there are no more chunks. */
int count_start(int n, struct pipes *pipes);

/* count.c: a map from words to how often they came. */
struct counts *counts_new(void);
size_t counts_distinct(const struct counts *c);
void counts_merge(struct counts *into, const struct counts *from);
/* Writes "count word" lines, the most frequent first, at most n of them. */
void counts_print(const struct counts *c, size_t n);

/* main.c: one line on stderr about this path; err is a negative errno. */
void complain(tally *t, const char *path, int err);
/* main.c: p, or the end of the program when p is NULL. */
void *need(void *p);

#endif
