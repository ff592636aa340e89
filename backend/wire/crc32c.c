/*
 * CRC32C (RFC 3720, appendix B.4): the processor's instruction where there is
 * one, else a table.
 */
#include "wire/wire.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

static uint32_t table[256];

__attribute__((constructor)) static void table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? POLYNOMIAL : 0);
        }
        table[i] = crc;
    }
}

static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t size)
{
    while (size--) {
        crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
    }
    return crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc,
                                                               const uint8_t *p,
                                                               size_t size)
{
    uint64_t wide = crc;

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
