// SPDX-License-Identifier: BSD-3-Clause
// os/dirty_linux.c: written pages, on Linux 6.7 and later.
//
// userfaultfd's asynchronous write protection: a page that is protected is made
// writable again by the kernel itself at its first write, without a message to
// anybody; ioctl(PAGEMAP_SCAN) on /proc/self/pagemap finds those pages and protects
// them anew (Documentation/admin-guide/mm/userfaultfd.rst, pagemap.rst). The headers
// may be older than the kernel, so that what we need of them is written out here.
//
// No fault ever comes to us, so the file that takes user-mode faults only will do,
// which needs no privilege.

#include "os/dirty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/vm.h"

struct uffd_api {
    uint64_t api, features, ioctls;
};
struct uffd_range {
    uint64_t start, len;
};
struct uffd_register {
    struct uffd_range range;
    uint64_t mode, ioctls;
};
struct uffd_protect {
    struct uffd_range range;
    uint64_t mode;
};
struct pm_region {
    uint64_t start, end, categories;
};
struct pm_scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages,
        category_inverted, category_mask, category_anyof, return_mask;
};

#define UFFD_API_NUMBER 0xAAu
#define UFFD_FEATURE_WP_ASYNC_BIT (UINT64_C(1) << 15)
#define UFFD_API_CALL _IOWR(0xAA, 0x3F, struct uffd_api)
#define UFFD_REGISTER_CALL _IOWR(0xAA, 0x00, struct uffd_register)
#define UFFD_PROTECT_CALL _IOWR(0xAA, 0x06, struct uffd_protect)
#define PM_SCAN_CALL _IOWR('f', 16, struct pm_scan)
enum {
    UFFD_USER_ONLY = 1,
    REGISTER_WP = 2,
    PROTECT = 1,
    SCAN_WP_MATCHING = 1,
    IS_WRITTEN = 2,
    REGIONS = 512, // a look's answers at once
};

static struct {
    int fd, pagemap; // const once open
} dirty = { -1, -1 };

static int refused(void) { return errno ? -errno : -EINVAL; }

int tz_dirty_watch(uintptr_t lo, uintptr_t hi)
{
    struct uffd_register r = { .range = { lo, hi - lo }, .mode = REGISTER_WP };
    return ioctl(dirty.fd, UFFD_REGISTER_CALL, &r) == 0 ? 0 : refused();
}

static int protect(uintptr_t lo, uintptr_t hi, uint64_t mode)
{
    struct uffd_protect p = { .range = { lo, hi - lo }, .mode = mode };
    while (ioctl(dirty.fd, UFFD_PROTECT_CALL, &p) != 0)
        if (errno != EAGAIN) // mappings are changing at this moment
            return refused();
    return 0;
}

int tz_dirty_arm(uintptr_t lo, uintptr_t hi) { return protect(lo, hi, PROTECT); }

int tz_dirty_disarm(uintptr_t lo, uintptr_t hi) { return protect(lo, hi, 0); }

int tz_dirty_look(uintptr_t lo, uintptr_t hi, bool rearm,
                  void (*fn)(void *arg, uintptr_t lo, uintptr_t hi), void *arg)
{
    struct pm_region vec[REGIONS];
    while (lo < hi) {
        struct pm_scan s = {
            .size = sizeof s,
            .flags = rearm ? SCAN_WP_MATCHING : 0,
            .start = lo,
            .end = hi,
            .vec = (uintptr_t)vec,
            .vec_len = REGIONS,
            .category_mask = IS_WRITTEN,
            .return_mask = IS_WRITTEN,
        };
        int n = ioctl(dirty.pagemap, PM_SCAN_CALL, &s);
        if (n < 0)
            return refused();
        for (int i = 0; i < n; i++)
            fn(arg, (uintptr_t)vec[i].start, (uintptr_t)vec[i].end);
        // Not walk_end: Linux 6.18 has left it short of an end that was reached.
        if (n < REGIONS)
            return 0;
        lo = (uintptr_t)vec[n - 1].end;
    }
    return 0;
}

static void note_page(void *arg, uintptr_t lo, uintptr_t hi)
{
    *(uintptr_t *)arg += hi - lo;
}

// Arms a page and writes to it: each look must say just what was done.
static int try_out(const char **why)
{
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(2 * page, TZ_VM_GC);
    if (!p)
        return -ENOMEM;
    uintptr_t lo = (uintptr_t)p, hi = lo + 2 * page, seen[3] = { 0, 0, 0 };
    p[0] = 1;
    *why = "UFFDIO_REGISTER";
    int err = tz_dirty_watch(lo, hi);
    if (!err) {
        *why = "UFFDIO_WRITEPROTECT";
        err = tz_dirty_arm(lo, hi);
    }
    for (int i = 0; !err && i < 3; i++) {
        if (i == 1)
            p[0] = 2;
        *why = "PAGEMAP_SCAN";
        err = tz_dirty_look(lo, hi, true, note_page, &seen[i]);
    }
    tz_vm_free(p, 2 * page, TZ_VM_GC, TZ_VM_READY);
    if (!err && (seen[0] || seen[1] != page || seen[2]))
        err = -EIO;
    return err;
}

static int open_both(const char **why)
{
    *why = "userfaultfd";
    dirty.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_ONLY);
    if (dirty.fd < 0)
        return refused();
    struct uffd_api api = { .api = UFFD_API_NUMBER,
                            .features = UFFD_FEATURE_WP_ASYNC_BIT };
    *why = "userfaultfd without WP_ASYNC";
    int err = ioctl(dirty.fd, UFFD_API_CALL, &api) == 0 ? 0 : refused();
    if (!err) {
        *why = "/proc/self/pagemap";
        dirty.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        err = dirty.pagemap >= 0 ? try_out(why) : refused();
    }
    if (err) {
        close(dirty.fd);
        if (dirty.pagemap >= 0)
            close(dirty.pagemap);
        dirty.fd = dirty.pagemap = -1;
    }
    return err;
}

// Whoever allocates may be looking at errno.
int tz_dirty_open(const char **why)
{
    int saved = errno, err = open_both(why);
    errno = saved;
    return err;
}
