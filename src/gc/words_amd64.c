// SPDX-License-Identifier: BSD-3-Clause
// gc/words_amd64.c: words in the heap, by AVX-512 and AVX2.
//
// A comparison of eight or four words takes the place of as many branches, so more of
// the objects that come from memory are on their way at once. An aligned word is loaded
// as a whole, as part of a vector too. From the end on, as objects are scanned: 1 MiB
// at once took twice as long when 512 bytes each were read forwards.

#include <immintrin.h>

#include "base/san.h"
#include "gc/words.h"

TZ_NO_SANITIZE __attribute__((target("avx512f"))) static uint64_t
by_avx512(const uintptr_t *p, uint32_t n, uintptr_t base, size_t limit)
{
    const __m512i from = _mm512_set1_epi64((long long)base);
    const __m512i most = _mm512_set1_epi64((long long)limit);
    uint32_t i = n & ~7u;
    uint64_t bits = i < n ? tz_words_plain(p + i, n - i, base, limit) << i : 0;
    while (i > 0) {
        i -= 8;
        __m512i off = _mm512_sub_epi64(_mm512_loadu_si512(p + i), from);
        bits |= (uint64_t)_mm512_cmplt_epu64_mask(off, most) << i;
    }
    return bits;
}

// There is only a comparison with sign: what is compared is half of all off.
TZ_NO_SANITIZE __attribute__((target("avx2"))) static uint64_t
by_avx2(const uintptr_t *p, uint32_t n, uintptr_t base, size_t limit)
{
    const long long half = INT64_MIN;
    const __m256i from = _mm256_set1_epi64x((long long)(base + (uint64_t)half));
    const __m256i most = _mm256_set1_epi64x((long long)(limit + (uint64_t)half));
    uint32_t i = n & ~3u;
    uint64_t bits = i < n ? tz_words_plain(p + i, n - i, base, limit) << i : 0;
    while (i > 0) {
        i -= 4;
        __m256i off =
            _mm256_sub_epi64(_mm256_loadu_si256((const __m256i_u *)(p + i)), from);
        __m256d in = _mm256_castsi256_pd(_mm256_cmpgt_epi64(most, off));
        bits |= (uint64_t)(unsigned)_mm256_movemask_pd(in) << i;
    }
    return bits;
}

bool tz_words_way(unsigned i, const char **name, tz_words_fn **fn)
{
    *fn = NULL;
    switch (i) {
    case 0:
        *name = "avx512";
        if (__builtin_cpu_supports("avx512f"))
            *fn = by_avx512;
        return true;
    case 1:
        *name = "avx2";
        if (__builtin_cpu_supports("avx2"))
            *fn = by_avx2;
        return true;
    }
    return false;
}
