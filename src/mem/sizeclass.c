// SPDX-License-Identifier: BSD-3-Clause
// mem/sizeclass.c: the table of size classes.
//
// The sizes are Go's (sizeclasses.go): above 128 bytes a request wastes less
// than a sixth of its object. Our spans have two sizes only, which leaves a
// quarter of one unused at worst (class 24576). Go's 8 and 24 are left out, so
// that every object is 16-byte aligned, which C expects, and so that a page
// never has more than 512 objects, which is what a page's bit records hold
// [mem.I3].
//
// CLASSES lists each class with its number and the size of the one before; the
// three tables are made from it by the compiler.

#include "mem/sizeclass.h"

// clang-format off
#define SMALL_CLASSES(X) \
    X(1, 0, 16) X(2, 16, 32) X(3, 32, 48) X(4, 48, 64) \
    X(5, 64, 80) X(6, 80, 96) X(7, 96, 112) X(8, 112, 128) \
    X(9, 128, 144) X(10, 144, 160) X(11, 160, 176) X(12, 176, 192) \
    X(13, 192, 208) X(14, 208, 224) X(15, 224, 240) X(16, 240, 256) \
    X(17, 256, 288) X(18, 288, 320) X(19, 320, 352) X(20, 352, 384) \
    X(21, 384, 416) X(22, 416, 448) X(23, 448, 480) X(24, 480, 512) \
    X(25, 512, 576) X(26, 576, 640) X(27, 640, 704) X(28, 704, 768) \
    X(29, 768, 896) X(30, 896, 1024)

#define MEDIUM_CLASSES(X) \
    X(31, 1024, 1152) X(32, 1152, 1280) X(33, 1280, 1408) X(34, 1408, 1536) \
    X(35, 1536, 1792) X(36, 1792, 2048) X(37, 2048, 2304) X(38, 2304, 2688) \
    X(39, 2688, 3072) X(40, 3072, 3200) X(41, 3200, 3456) X(42, 3456, 4096) \
    X(43, 4096, 4864) X(44, 4864, 5120) X(45, 5120, 5376) X(46, 5376, 6144) \
    X(47, 6144, 6528) X(48, 6528, 6784) X(49, 6784, 6912) X(50, 6912, 8192) \
    X(51, 8192, 9472) X(52, 9472, 9728) X(53, 9728, 10240) X(54, 10240, 10880) \
    X(55, 10880, 12288) X(56, 12288, 13568) X(57, 13568, 14336) X(58, 14336, 16384) \
    X(59, 16384, 18432) X(60, 18432, 19072) X(61, 19072, 20480) X(62, 20480, 21760) \
    X(63, 21760, 24576) X(64, 24576, 27264) X(65, 27264, 28672) X(66, 28672, 32768)
// clang-format on

// magic is ceil(2^32 / size): exact for offsets below 2^16, which spans keep.
#define ENTRY(size, pages, kind)                                               \
    {(size), (uint32_t)(((UINT64_C(1) << 32) + (size)-1) / (size)),            \
     (uint16_t)((pages)*TZ_PAGE_SIZE / (size)), (pages), (kind)},
#define SMALL_SCAN(cls, prev, size) ENTRY(size, 1, TZ_SCAN)
#define SMALL_NOSCAN(cls, prev, size) ENTRY(size, 1, TZ_NOSCAN)
#define SMALL_TYPED(cls, prev, size) ENTRY(size, 1, TZ_TYPED)
#define MEDIUM_SCAN(cls, prev, size) ENTRY(size, TZ_BIG_SPAN_PAGES, TZ_SCAN)
#define MEDIUM_NOSCAN(cls, prev, size) ENTRY(size, TZ_BIG_SPAN_PAGES, TZ_NOSCAN)
#define MEDIUM_TYPED(cls, prev, size) ENTRY(size, TZ_BIG_SPAN_PAGES, TZ_TYPED)
#define LARGE(kind) {0, 0, 1, 0, (kind)},

const struct tz_sizeclass tz_sizeclass[TZ_SPANCLASS_COUNT] = {
    LARGE(TZ_SCAN) SMALL_CLASSES(SMALL_SCAN) MEDIUM_CLASSES(MEDIUM_SCAN)
        LARGE(TZ_NOSCAN) SMALL_CLASSES(SMALL_NOSCAN)
            MEDIUM_CLASSES(MEDIUM_NOSCAN) LARGE(TZ_TYPED)
                SMALL_CLASSES(SMALL_TYPED) MEDIUM_CLASSES(MEDIUM_TYPED)};

#define SPREAD(cls, prev, size, step)                                          \
    [(prev) / (step) + 1 ...(size) / (step)] = (cls),
#define SPREAD_16(cls, prev, size) SPREAD(cls, prev, size, 16)
#define SPREAD_128(cls, prev, size) SPREAD(cls, prev, size, 128)
#define CHECK(cls, prev, size)                                                 \
    _Static_assert((size) % 16 == 0 && (size) > (prev), "ascending, aligned");

#define COUNT(cls, prev, size) +1
_Static_assert(SMALL_CLASSES(COUNT) == TZ_SMALL_CLASSES, "one-page classes");

SMALL_CLASSES(CHECK)
MEDIUM_CLASSES(CHECK)

const uint8_t tz_class_of_16[1024 / 16 + 1] = {[0] = 1,
                                               SMALL_CLASSES(SPREAD_16)};
const uint8_t tz_class_of_128[32768 / 128 + 1] = {MEDIUM_CLASSES(SPREAD_128)};
