// SPDX-License-Identifier: BSD-3-Clause
// walk.c: finds the files.
//
// Below the paths given, .git, build trees (folders that are called build or
// hold a CMakeCache.txt) and symlinked folders are passed over, and so is what
// is neither file nor folder; a path given is taken as it is. What has been
// seen under another name (hard links, symlinks, overlapping paths) is not
// sent again.

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "wordfreq.h"

struct inode {
    dev_t dev;
    ino_t ino;
};

// A folder still to be listed. A list and not a recursion: a goroutine's stack
// has an end.
struct folder {
    struct folder *next;
    char *path;
};

struct walk {
    struct folder *todo;
    struct inode *seen; // hash table; inode 0 is a free slot
    size_t slots, used;
    tally tally;
    tuza_chan(char *) paths;
};

static struct inode *seen_slot(struct inode *seen, size_t slots, struct inode x)
{
    size_t i = (x.ino ^ x.dev << 20) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    for (;; i++) {
        struct inode *at = &seen[i & (slots - 1)];
        if (!at->ino || (at->ino == x.ino && at->dev == x.dev))
            return at;
    }
}

static void seen_grow(struct walk *w)
{
    size_t slots = w->slots ? 2 * w->slots : 64;
    size_t size = slots * sizeof(struct inode);
    // Inode numbers are no pointers: memory that the collector leaves alone.
    struct inode *bigger = memset(need(tuza_alloc_bytes(size)), 0, size);
    for (size_t i = 0; i < w->slots; i++)
        if (w->seen[i].ino)
            *seen_slot(bigger, slots, w->seen[i]) = w->seen[i];
    w->seen = bigger; // nobody holds the old one: it will be collected
    w->slots = slots;
}

// Whether this inode comes for the first time.
static int first_seen(struct walk *w, const struct stat *st)
{
    struct inode x = { st->st_dev, st->st_ino };
    if (2 * w->used >= w->slots)
        seen_grow(w);
    struct inode *at = seen_slot(w->seen, w->slots, x);
    if (at->ino)
        return 0;
    *at = x;
    w->used++;
    return 1;
}

static char *join(const char *dir, const char *name)
{
    size_t a = strlen(dir), b = strlen(name);
    char *path = need(tuza_alloc_bytes(a + 1 + b + 1));
    memcpy(path, dir, a);
    path[a] = '/';
    memcpy(path + a + 1, name, b + 1);
    return path;
}

// name: the last part of a path that was found, NULL for one that was given.
static void visit(struct walk *w, char *path, const char *name)
{
    struct stat st;
    int err = TUZA_SYSCALL(lstat(path, &st));
    int link = !err && S_ISLNK(st.st_mode);
    if (link)
        err = TUZA_SYSCALL(stat(path, &st));
    if (err) {
        complain(&w->tally, path, err);
        return;
    }
    if (name && !S_ISREG(st.st_mode) && (link || !S_ISDIR(st.st_mode)))
        return;
    if (name && S_ISDIR(st.st_mode) &&
        (!strcmp(name, ".git") || !strcmp(name, "build"))) {
        w->tally.skipped_dirs++;
        return;
    }
    if (!first_seen(w, &st)) {
        w->tally.skipped_dup++;
    } else if (!S_ISDIR(st.st_mode)) {
        tuza_send(w->paths, path);
    } else {
        struct folder *f = need(tuza_new(struct folder));
        f->path = path;
        f->next = w->todo;
        w->todo = f;
    }
}

static void list(struct walk *w, char *path)
{
    struct dirent **entry;
    int build = 0;
    int n = TUZA_SYSCALL(scandir(path, &entry, NULL, alphasort));
    if (n < 0) {
        complain(&w->tally, path, n);
        return;
    }
    for (int i = 0; i < n; i++)
        build |= !strcmp(entry[i]->d_name, "CMakeCache.txt");
    w->tally.skipped_dirs += build;
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        if (!build && strcmp(name, ".") && strcmp(name, ".."))
            visit(w, join(path, name), name);
        free(entry[i]); // scandir's, not ours
    }
    free(entry);
}

tuza_fn(walker, char **, roots, int, nroots, struct pipes, pipes)
{
    struct walk w = { .paths = pipes.paths };
    for (int i = 0; i < nroots; i++) {
        visit(&w, roots[i], NULL);
        while (w.todo) {
            struct folder *f = w.todo;
            w.todo = f->next;
            list(&w, f->path);
        }
    }
    tuza_close(pipes.paths);
    tuza_send(pipes.tallies, w.tally);
}

int walk_start(char **roots, int nroots, struct pipes *pipes)
{
    return tuza_go(walker, roots, nroots, *pipes);
}
