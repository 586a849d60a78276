// SPDX-License-Identifier: BSD-3-Clause
// mem/sizeclass.h: which sizes small objects come in, and of which kinds.
#ifndef TZ_MEM_SIZECLASS_H
#define TZ_MEM_SIZECLASS_H

#include "base/base.h"

enum {
    TZ_PAGE_SHIFT = 13,
    TZ_PAGE_SIZE = 1 << TZ_PAGE_SHIFT, // the runtime's page: 8 KiB
    TZ_CLASS_COUNT = 67,               // class 0 is "large"
    TZ_SMALL_CLASSES = 30,             // classes 1 to 30 have spans of a page
    TZ_SMALL_MAX = 32768,              // larger objects have their own span
    TZ_ONE_PAGE_MAX = 1024,            // up to here a span is one page
    TZ_BIG_SPAN_PAGES = 8              // above it, 64 KiB
};

// What the collector looks at in an object.
enum tz_kind {
    TZ_SCAN,   // each word that looks like a pointer into the heap
    TZ_NOSCAN, // nothing; such memory is not zeroed either
    TZ_TYPED,  // the words that its type says (mem/types.c)
    TZ_KINDS
};

// Size class and kind in one number, below 254.
enum { TZ_SPANCLASS_COUNT = TZ_CLASS_COUNT * TZ_KINDS };

TZ_INLINE unsigned tz_spanclass(unsigned cls, unsigned kind)
{
    return kind * TZ_CLASS_COUNT + cls;
}

struct tz_sizeclass {
    uint32_t size;   // bytes of an object; 0: large, a span of its own
    uint32_t magic;  // offset * magic >> 32 is the object's index
    uint16_t nelems; // objects of a span
    uint8_t npages;  // pages of a span; 0: large
    uint8_t kind;
};

// By span class; the first TZ_CLASS_COUNT are the size classes.
extern const struct tz_sizeclass tz_sizeclass[TZ_SPANCLASS_COUNT];
extern const uint8_t tz_class_of_16[1024 / 16 + 1];    // by (size + 15) / 16
extern const uint8_t tz_class_of_128[32768 / 128 + 1]; // by (size + 127) / 128

// The class of a size in 0..TZ_SMALL_MAX.
TZ_INLINE unsigned tz_sizeclass_of(size_t size)
{
    return size <= 1024 ? tz_class_of_16[(size + 15) >> 4]
                        : tz_class_of_128[(size + 127) >> 7];
}

// The index of the object that byte `offset` of a span lies in. Large: 0.
TZ_INLINE uint32_t tz_sizeclass_index(unsigned spanclass, uint64_t offset)
{
    return (uint32_t)((offset * tz_sizeclass[spanclass].magic) >> 32);
}

#endif
