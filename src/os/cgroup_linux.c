// SPDX-License-Identifier: BSD-3-Clause
// os/cgroup_linux.c: finds the limits of our control group: memory, processors.
//
//   /proc/self/cgroup      which group: "0::/a/b", or "4:memory:/a/b" in the
//                          older version, where each controller has a tree
//   /proc/self/mountinfo   where such a tree, or a part of it, is mounted
//   MOUNT/b/memory.max, MOUNT/memory.max, …   up to where it is mounted
//
// Of processors it is cpu.max, with a quota and the period for which it is, or
// cpu.cfs_quota_us and cpu.cfs_period_us. A group that may use one and a half
// processors' time counts as two: a thread less would leave time unused.
//
// A mount may show a part of the tree: its root is then not "/", and what the
// group's path says up to there must be left out. Both paths are told from the
// root of our namespace of groups. What lies above that is written "/..", so a
// mount of "/../.." is one of an ancestor's, the names on the way down to us
// unknown: then its own limit is all there is to read.
//
// Both versions are asked, since in a hybrid set-up either may hold the
// controller; each file of /proc is read once, for all of them. Whatever is
// missing, hidden, too long or no number counts as no limit: the answer steers the
// runtime, it need not be complete. No malloc, errno is kept. Go (1.25, for
// processors) keeps the like in internal/runtime/cgroup; it looks at one version
// and one mount, and takes two processors where a quota is for less.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "os/cgroup.h"

enum { PATH = 1024, FILE_PATH = 2 * PATH + 512, CHUNK = 1024 };

// What the kernel says for "none" in the older version is PAGE_COUNTER_MAX,
// a little less than this at any page size.
#define NO_LIMIT (UINT64_C(1) << 62)

// A file that is read byte by byte.
struct text {
    int fd;
    size_t pos, n;
    char buf[CHUNK];
};

static bool text_open(struct text *t, const char *path)
{
    t->pos = t->n = 0;
    do
        t->fd = open(path, O_RDONLY | O_CLOEXEC);
    while (t->fd < 0 && errno == EINTR);
    return t->fd >= 0;
}

static void text_close(struct text *t) { close(t->fd); }

// The next byte; -1 at the end, and where reading fails.
static int next_byte(struct text *t)
{
    if (t->pos == t->n) {
        ssize_t got;
        do
            got = read(t->fd, t->buf, sizeof t->buf);
        while (got < 0 && errno == EINTR);
        if (got <= 0)
            return -1;
        t->pos = 0;
        t->n = (size_t)got;
    }
    return (unsigned char)t->buf[t->pos++];
}

// Reads up to `sep` or the end of the line into out, "" when there is no room
// for it. Returns what it ended with: sep, '\n' or -1.
static int next_word(struct text *t, int sep, char *out, size_t size)
{
    size_t n = 0;
    int c;
    while ((c = next_byte(t)) >= 0 && c != sep && c != '\n')
        if (n++ < size)
            out[n - 1] = (char)c;
    out[n < size ? n : 0] = 0;
    return c;
}

static void skip_line(struct text *t, int c)
{
    while (c >= 0 && c != '\n')
        c = next_byte(t);
}

// Whether a list such as "cpu,memory" has the word.
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = list; s; s = strchr(s, ',')) {
        s += *s == ',';
        if (strncmp(s, word, n) == 0 && (!s[n] || s[n] == ','))
            return true;
    }
    return false;
}

// mountinfo writes a space as \040, and some other bytes likewise.
static void unescape(char *s)
{
    char *to = s;
    for (; *s; s++, to++) {
        *to = *s;
        if (s[0] == '\\' && (unsigned)(s[1] - '0') < 4 &&
            (unsigned)(s[2] - '0') < 8 && (unsigned)(s[3] - '0') < 8) {
            *to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + s[3] - '0');
            s += 3;
        }
    }
    *to = 0;
}

// Decimal digits and no more; anything else, and what is too large or 0 (in
// which nobody could run), is no limit.
static uint64_t parse_limit(const char *s)
{
    uint64_t v = 0;
    for (; *s; s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (digit > 9 || v >= NO_LIMIT / 10)
            return UINT64_MAX;
        v = v * 10 + digit;
    }
    return v ? v : UINT64_MAX;
}

// The trees that are looked at: the newer version has one for all.
enum tree { V2, V1_MEMORY, V1_CPU, TREES };
static const char *const controllers[TREES] = { [V1_MEMORY] = "memory",
                                                [V1_CPU] = "cpu" };

struct search {
    const char *prefix;       // of all files
    struct tz_cgroup *limits; // lowest so far
    char group[TREES][PATH];  // our group's path there; "": it has none
    char root[PATH];          // what of a tree is mounted
    char at[PATH];            // where; or a group's path, while it is read
    char file[FILE_PATH];     // being opened
    struct text text;
};

// Sets s->file to the texts one after the other; false: too long.
static bool set_file(struct search *s, const char *a, const char *b,
                     const char *c)
{
    const char *const part[] = { s->prefix, a, b, c };
    size_t n = 0;
    for (size_t i = 0; i < tz_countof(part); i++) {
        size_t m = strlen(part[i]);
        if (m >= sizeof s->file - n)
            return false;
        memcpy(s->file + n, part[i], m);
        n += m;
    }
    s->file[n] = 0;
    return true;
}

// Our groups, one a tree: the first that is told. False: none is.
static bool find_groups(struct search *s)
{
    bool any = false;
    for (int tree = 0; tree < TREES; tree++)
        s->group[tree][0] = 0;
    if (!set_file(s, "/proc/self/cgroup", "", "") ||
        !text_open(&s->text, s->file))
        return false;
    char id[8], list[256];
    int c = 0;
    while (c >= 0) {
        c = next_word(&s->text, ':', id, sizeof id);
        if (c == ':')
            c = next_word(&s->text, ':', list, sizeof list);
        if (c != ':')
            continue;
        c = next_word(&s->text, '\n', s->at, sizeof s->at);
        bool newer = strcmp(id, "0") == 0 && !list[0];
        for (int tree = 0; tree < TREES; tree++)
            if (s->at[0] == '/' && !s->group[tree][0] &&
                (tree == V2 ? newer : has_word(list, controllers[tree]))) {
                strcpy(s->group[tree], s->at);
                any = true;
            }
    }
    text_close(&s->text);
    return any;
}

// The numbers that the file in directory s->file, of length n, begins with, a
// word each.
static void read_numbers(struct search *s, size_t n, const char *name,
                         uint64_t *out, int count)
{
    char value[32];
    for (int i = 0; i < count; i++)
        out[i] = UINT64_MAX;
    if (strlen(name) >= sizeof s->file - n)
        return;
    strcpy(s->file + n, name);
    if (text_open(&s->text, s->file)) {
        int c = ' ';
        for (int i = 0; i < count && c == ' '; i++) {
            c = next_word(&s->text, i + 1 < count ? ' ' : '\n', value,
                          sizeof value);
            if (value[0])
                out[i] = parse_limit(value);
        }
        text_close(&s->text);
    }
    s->file[n] = 0;
}

static void take_memory(struct search *s, size_t n, const char *name)
{
    uint64_t v;
    read_numbers(s, n, name, &v, 1);
    s->limits->memory = tz_min(s->limits->memory, v);
}

// The older version's sum of all limits above, those out of sight included.
static void take_hierarchical(struct search *s, size_t n)
{
    static const char name[] = "/memory.stat";
    char key[32], value[32];
    if (sizeof name > sizeof s->file - n)
        return;
    memcpy(s->file + n, name, sizeof name);
    if (text_open(&s->text, s->file)) {
        int c = 0;
        while (c >= 0) {
            c = next_word(&s->text, ' ', key, sizeof key);
            if (c != ' ')
                continue;
            c = next_word(&s->text, '\n', value, sizeof value);
            if (strcmp(key, "hierarchical_memory_limit") == 0 && value[0])
                s->limits->memory =
                    tz_min(s->limits->memory, parse_limit(value));
        }
        text_close(&s->text);
    }
    s->file[n] = 0;
}

// v: quota, period.
static void take_cpus(struct search *s, const uint64_t v[2])
{
    if (v[0] != UINT64_MAX && v[1] != UINT64_MAX)
        s->limits->cpus = tz_min(s->limits->cpus, (v[0] - 1) / v[1] + 1);
}

// Reads the limits of the group whose directory is s->file, of length n; first:
// it is our own.
static void read_group(struct search *s, enum tree tree, size_t n, bool first)
{
    uint64_t v[2];
    switch (tree) {
    case V2:
        take_memory(s, n, "/memory.max");
        take_memory(s, n, "/memory.high");
        read_numbers(s, n, "/cpu.max", v, 2);
        take_cpus(s, v);
        break;
    case V1_MEMORY:
        take_memory(s, n, "/memory.limit_in_bytes");
        if (first)
            take_hierarchical(s, n);
        break;
    case V1_CPU:
        read_numbers(s, n, "/cpu.cfs_quota_us", &v[0], 1);
        read_numbers(s, n, "/cpu.cfs_period_us", &v[1], 1);
        take_cpus(s, v);
        break;
    case TREES:
        break;
    }
}

// Reads the limits of the group `rest` below the mount, and of all from there
// up to the mount.
static void climb(struct search *s, enum tree tree, const char *rest)
{
    if (!set_file(s, s->at, rest, ""))
        return;
    size_t top = strlen(s->prefix) + strlen(s->at);
    size_t n = strlen(s->file);
    for (bool first = true;; first = false) {
        while (n > top && s->file[n - 1] == '/')
            n--;
        s->file[n] = 0;
        read_group(s, tree, n, first);
        if (n <= top)
            return;
        while (n > top && s->file[n - 1] != '/')
            n--;
    }
}

// How many components ".." the path begins with; *rest is what follows.
static unsigned count_up(const char *path, const char **rest)
{
    unsigned n = 0;
    while (strncmp(path, "/..", 3) == 0 && (!path[3] || path[3] == '/')) {
        path += 3;
        n++;
    }
    *rest = path;
    return n;
}

// Climbs from our group if the mount shows it or one above it.
static void use_mount(struct search *s, enum tree tree)
{
    const char *root, *group;
    unsigned root_up = count_up(s->root, &root);
    unsigned group_up = count_up(s->group[tree], &group);
    if (strcmp(root, "/") == 0)
        root = "";
    if (strcmp(s->at, "/") == 0)
        s->at[0] = 0;
    size_t n = strlen(root);
    if (root_up == group_up && strncmp(group, root, n) == 0 &&
        (!group[n] || group[n] == '/'))
        climb(s, tree, group + n);
    else if (root_up > group_up && !root[0])
        climb(s, tree, "");
}

// One line of mountinfo: number, parent, device, root, mount point, options,
// fields, "-", type, source, options. True while there are more.
static bool read_mount(struct search *s)
{
    char word[256];
    int c = ' ';
    for (int i = 0; i < 3 && c == ' '; i++)
        c = next_word(&s->text, ' ', word, sizeof word);
    if (c == ' ')
        c = next_word(&s->text, ' ', s->root, sizeof s->root);
    if (c == ' ')
        c = next_word(&s->text, ' ', s->at, sizeof s->at);
    do
        if (c == ' ')
            c = next_word(&s->text, ' ', word, sizeof word);
    while (c == ' ' && strcmp(word, "-") != 0);
    if (c == ' ')
        c = next_word(&s->text, ' ', word, sizeof word);
    bool newer = strcmp(word, "cgroup2") == 0;
    if ((!newer && strcmp(word, "cgroup") != 0) || c != ' ') {
        skip_line(&s->text, c);
        return c >= 0;
    }
    c = next_word(&s->text, ' ', word, sizeof word);
    if (c == ' ')
        c = next_word(&s->text, '\n', word, sizeof word);
    if (s->root[0] != '/' || s->at[0] != '/')
        return c >= 0;
    unescape(s->root);
    unescape(s->at);
    struct text list = s->text; // the files that it leads to are read by it
    for (int tree = 0; tree < TREES; tree++)
        if (s->group[tree][0] &&
            (tree == V2 ? newer : !newer && has_word(word, controllers[tree])))
            use_mount(s, tree);
    s->text = list;
    return c >= 0;
}

struct tz_cgroup tz_cgroup_limits(const char *root)
{
    int saved = errno;
    struct tz_cgroup limits = { UINT64_MAX, UINT64_MAX };
    struct search s;
    s.prefix = root;
    s.limits = &limits;
    if (find_groups(&s) &&
        set_file(&s, "/proc/self/mountinfo", "", "") &&
        text_open(&s.text, s.file)) {
        while (read_mount(&s))
            ;
        text_close(&s.text);
    }
    errno = saved;
    return limits;
}
