#ifndef HEDDLE_CJSONBLOCK_H
#define HEDDLE_CJSONBLOCK_H

// Swift has no way to turn a vector comparison into a bit mask; this is all that C is for.

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/// Which of 64 bytes are what: bit i stands for byte i.
typedef struct {
    uint64_t quotes;
    uint64_t backslashes;
    /// `{` and `[`
    uint64_t opens;
    /// `}` and `]`
    uint64_t closes;
    uint64_t non_ascii;
} heddle_json_block;

#if defined(__SSE2__)
static inline uint64_t heddle_equal16(__m128i bytes, char what) {
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(what)));
}
#elif defined(__aarch64__)
static inline uint64_t heddle_mask16(uint8x16_t found) {
    const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t weighed = vandq_u8(found, weights);
    return (uint64_t)vaddv_u8(vget_low_u8(weighed)) | (uint64_t)vaddv_u8(vget_high_u8(weighed)) << 8;
}
#endif

/// Reads 64 bytes.
static inline heddle_json_block heddle_classify(const uint8_t *_Nonnull bytes) {
    heddle_json_block block = {0, 0, 0, 0, 0};
#if defined(__SSE2__)
    for (int i = 0; i < 4; i++) {
        const __m128i part = _mm_loadu_si128((const __m128i *)(bytes + 16 * i));
        // Square brackets are braces less 0x20; no other characters differ from braces by that bit only.
        const __m128i folded = _mm_or_si128(part, _mm_set1_epi8(0x20));
        block.quotes |= heddle_equal16(part, '"') << (16 * i);
        block.backslashes |= heddle_equal16(part, '\\') << (16 * i);
        block.opens |= heddle_equal16(folded, '{') << (16 * i);
        block.closes |= heddle_equal16(folded, '}') << (16 * i);
        block.non_ascii |= (uint64_t)(uint32_t)_mm_movemask_epi8(part) << (16 * i);
    }
#elif defined(__aarch64__)
    for (int i = 0; i < 4; i++) {
        const uint8x16_t part = vld1q_u8(bytes + 16 * i);
        const uint8x16_t folded = vorrq_u8(part, vdupq_n_u8(0x20));
        block.quotes |= heddle_mask16(vceqq_u8(part, vdupq_n_u8('"'))) << (16 * i);
        block.backslashes |= heddle_mask16(vceqq_u8(part, vdupq_n_u8('\\'))) << (16 * i);
        block.opens |= heddle_mask16(vceqq_u8(folded, vdupq_n_u8('{'))) << (16 * i);
        block.closes |= heddle_mask16(vceqq_u8(folded, vdupq_n_u8('}'))) << (16 * i);
        block.non_ascii |= heddle_mask16(vcgeq_u8(part, vdupq_n_u8(0x80))) << (16 * i);
    }
#else
    for (int i = 0; i < 64; i++) {
        const uint64_t bit = (uint64_t)1 << i;
        if (bytes[i] == '"') block.quotes |= bit;
        if (bytes[i] == '\\') block.backslashes |= bit;
        if ((bytes[i] | 0x20) == '{') block.opens |= bit;
        if ((bytes[i] | 0x20) == '}') block.closes |= bit;
        if (bytes[i] >= 0x80) block.non_ascii |= bit;
    }
#endif
    return block;
}

#endif
