/*
 * CRC32C (RFC 3720, appendix B.4): the processor's instruction where there is
 * one, else a table. The instruction's result is there after three cycles, and
 * another can begin in each of them: so three lanes are computed at once, and
 * put together by what a lane becomes when zeros follow it.
 */
#include "wire/wire.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

#define LANE_WORDS 64u
#define LANE_SIZE  (LANE_WORDS * 8)

static uint32_t table[256];
/* Of each byte of a CRC: what it is when LANE_SIZE zero bytes have followed. */
static uint32_t shifted[4][256];

static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t size)
{
    while (size--) {
        crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
    }
    return crc;
}

__attribute__((constructor)) static void table_fill(void)
{
    static const uint8_t zeros[LANE_SIZE];

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? POLYNOMIAL : 0);
        }
        table[i] = crc;
    }
    for (uint32_t i = 0; i < 4 * 256; i++) {
        const uint32_t byte = i % 256, last = byte & -byte;
        uint32_t *of = shifted[i / 256];

        /* what a CRC becomes is the sum of what its bits become */
        of[byte] = byte == last ? crc_table(byte << (8 * (i / 256)), zeros,
                                            sizeof(zeros))
                                : of[byte - last] ^ of[last];
    }
}

#if defined(__x86_64__)

#include <nmmintrin.h>

static uint32_t shift(uint32_t crc)
{
    return shifted[0][crc & 0xff] ^ shifted[1][crc >> 8 & 0xff] ^
           shifted[2][crc >> 16 & 0xff] ^ shifted[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_lanes(uint32_t crc,
                                                            const uint8_t *p)
{
    uint64_t lanes[3] = {crc, 0, 0}, words[3];

    for (unsigned i = 0; i < LANE_WORDS; i++, p += 8) {
        memcpy(&words[0], p, 8);
        memcpy(&words[1], p + LANE_SIZE, 8);
        memcpy(&words[2], p + 2 * LANE_SIZE, 8);
        lanes[0] = _mm_crc32_u64(lanes[0], words[0]);
        lanes[1] = _mm_crc32_u64(lanes[1], words[1]);
        lanes[2] = _mm_crc32_u64(lanes[2], words[2]);
    }
    crc = shift((uint32_t)lanes[0]) ^ (uint32_t)lanes[1];
    return shift(crc) ^ (uint32_t)lanes[2];
}

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc,
                                                               const uint8_t *p,
                                                               size_t size)
{
    uint64_t wide;

    for (; size >= 3 * LANE_SIZE; size -= 3 * LANE_SIZE, p += 3 * LANE_SIZE) {
        crc = crc_lanes(crc, p);
    }
    wide = crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;

        memcpy(&word, p, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }

    crc = (uint32_t)wide;
    while (size--) {
        crc = _mm_crc32_u8(crc, *p++);
    }
    return crc;
}

static bool have_hardware(void)
{
    return __builtin_cpu_supports("sse4.2");
}

#else

static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t size)
{
    return crc_table(crc, p, size);
}

static bool have_hardware(void)
{
    return false;
}

#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    crc = ~crc;
    crc = have_hardware() ? crc_hardware(crc, data, size)
                          : crc_table(crc, data, size);
    return ~crc;
}
