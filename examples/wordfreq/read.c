// SPDX-License-Identifier: BSD-3-Clause
// read.c: reads the files.
//
// A file is never held as a whole, and a chunk never ends inside a word: what
// follows its last letter's word is carried over to the front of the next. So
// any tokeniser may take any chunk. A word longer than a chunk makes the next
// one larger.

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "wordfreq.h"

enum { BINARY_PROBE = 8 * 1024 }; // a file with a NUL in here is no text

static int is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

// Reads until buf holds `size` bytes or the file ends: how many it holds now,
// or a negative errno. `have` of them are there already.
static ssize_t fill(int fd, char *buf, size_t have, size_t size)
{
    while (have < size) {
        ssize_t n = TUZA_SYSCALL(read(fd, buf + have, size - have));
        if (n == 0)
            break;
        if (n < 0 && n != -EINTR)
            return n;
        have += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)have;
}

// How much of text is whole words.
static size_t whole_words(const char *text, size_t size)
{
    while (size > 0 && is_letter(text[size - 1]))
        size--;
    return size;
}

static void read_text(int fd, const char *path, size_t chunk_size,
                      tuza_chan(chunk) chunks, tally *t)
{
    char *carry = NULL;
    size_t ncarry = 0;
    for (int first = 1;; first = 0) {
        size_t size = 2 * ncarry + chunk_size;
        if (first && size < BINARY_PROBE)
            size = BINARY_PROBE;
        char *text = need(tuza_alloc_bytes(size));
        if (ncarry)
            memcpy(text, carry, ncarry);
        ssize_t n = fill(fd, text, ncarry, size);
        if (n < 0) {
            complain(t, path, (int)n);
            return;
        }
        size_t nprobe = n < BINARY_PROBE ? (size_t)n : BINARY_PROBE;
        if (first && memchr(text, 0, nprobe)) {
            t->skipped_binary++;
            return;
        }
        t->files += first;
        t->bytes += (size_t)n - ncarry;
        int last = (size_t)n < size;
        chunk c = { text, last ? (size_t)n : whole_words(text, (size_t)n) };
        carry = text + c.size; // keeps text alive, as any pointer into it does
        ncarry = (size_t)n - c.size;
        if (c.size)
            tuza_send(chunks, c);
        if (last)
            return;
    }
}

tuza_fn(reader, struct pipes, pipes, size_t, chunk_size)
{
    tally t = { 0 };
    tuza_range(path, pipes.paths)
    {
        int fd = TUZA_SYSCALL(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
        if (fd < 0) {
            complain(&t, path, fd);
            continue;
        }
        read_text(fd, path, chunk_size, pipes.chunks, &t);
        TUZA_SYSCALL(close(fd));
    }
    tuza_send(pipes.tallies, t);
}

int read_start(int n, struct pipes *pipes, size_t chunk_size)
{
    int err = 0;
    for (int i = 0; i < n && !err; i++)
        err = tuza_go(reader, *pipes, chunk_size);
    return err;
}
