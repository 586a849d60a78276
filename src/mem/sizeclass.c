// SPDX-License-Identifier: BSD-3-Clause
// mem/sizeclass.c: the table of size classes.
//
// The sizes are Go's (sizeclasses.go): chosen there so that no request wastes
// more than an eighth. Go's 8 and 24 are left out, so that every object is
// 16-byte aligned, which C expects, and so that a page never has more than 512
// objects, which is what a page's bit records hold [mem.I3].

#include "mem/sizeclass.h"

static const uint16_t sizes[TZ_CLASS_COUNT] = {
    0,     16,    32,    48,    64,    80,    96,    112,   128,   144,   160,
    176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,
    448,   480,   512,   576,   640,   704,   768,   896,   1024,  1152,  1280,
    1408,  1536,  1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,
    5120,  5376,  6144,  6528,  6784,  6912,  8192,  9472,  9728,  10240, 10880,
    12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672,
    32768,
};
_Static_assert(TZ_SMALL_MAX == 32768, "the last class ends the table");

struct tz_sizeclass tz_sizeclass[TZ_CLASS_COUNT];
uint8_t tz_class_of_16[1024 / 16 + 1];
uint8_t tz_class_of_128[32768 / 128 + 1];

static void fill(uint8_t *table, size_t n, size_t step)
{
    unsigned cls = 1;
    for (size_t i = 0; i < n; i++) {
        while (tz_sizeclass[cls].size < i * step)
            cls++;
        table[i] = (uint8_t)cls;
    }
}

void tz_sizeclass_init(void)
{
    for (unsigned i = 1; i < TZ_CLASS_COUNT; i++) {
        struct tz_sizeclass *c = &tz_sizeclass[i];
        c->size = sizes[i];
        c->npages = c->size <= TZ_ONE_PAGE_MAX ? 1 : TZ_BIG_SPAN_PAGES;
        uint32_t bytes = (uint32_t)c->npages << TZ_PAGE_SHIFT;
        c->nelems = (uint16_t)(bytes / c->size);
        // ceil(2^32 / size): exact for offsets below 2^16, which spans keep.
        c->magic = (uint32_t)(((UINT64_C(1) << 32) + c->size - 1) / c->size);
        TZ_CHECK(c->size % 16 == 0 && c->nelems <= 512);
    }
    fill(tz_class_of_16, tz_countof(tz_class_of_16), 16);
    fill(tz_class_of_128, tz_countof(tz_class_of_128), 128);
}
