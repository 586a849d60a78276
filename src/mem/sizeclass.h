// SPDX-License-Identifier: BSD-3-Clause
// mem/sizeclass.h: which sizes small objects come in.
#ifndef TZ_MEM_SIZECLASS_H
#define TZ_MEM_SIZECLASS_H

#include "base/base.h"

enum {
    TZ_PAGE_SHIFT = 13,
    TZ_PAGE_SIZE = 1 << TZ_PAGE_SHIFT, // the runtime's page: 8 KiB
    TZ_CLASS_COUNT = 67,               // class 0 is "large"
    TZ_SMALL_MAX = 32768,              // larger objects have their own span
    TZ_ONE_PAGE_MAX = 1024,            // up to here a span is one page
    TZ_BIG_SPAN_PAGES = 8              // above it, 64 KiB
};

struct tz_sizeclass {
    uint32_t size;   // bytes of an object
    uint32_t magic;  // offset * magic >> 32 is the object's index
    uint16_t nelems; // objects of a span
    uint16_t npages; // pages of a span
};

extern const struct tz_sizeclass tz_sizeclass[TZ_CLASS_COUNT];
extern const uint8_t tz_class_of_16[1024 / 16 + 1];    // by (size + 15) / 16
extern const uint8_t tz_class_of_128[32768 / 128 + 1]; // by (size + 127) / 128

// The class of a size in 0..TZ_SMALL_MAX.
TZ_INLINE unsigned tz_sizeclass_of(size_t size)
{
    return size <= 1024 ? tz_class_of_16[(size + 15) >> 4]
                        : tz_class_of_128[(size + 127) >> 7];
}

// The index of the object that byte `offset` of a span lies in.
TZ_INLINE uint32_t tz_sizeclass_index(unsigned cls, uint32_t offset)
{
    return (uint32_t)(((uint64_t)offset * tz_sizeclass[cls].magic) >> 32);
}

#endif
