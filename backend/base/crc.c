/*
 * CRC32C over ISA-L, CRC64NVME, and the joining of CRCs of concatenated parts.
 *
 * CRC64NVME: NVM Express NVM Command Set 1.0, 5.2.1.3.4; reflected, all ones
 * before and after. By folding: Gopal et al., Fast CRC Computation for Generic
 * Polynomials Using PCLMULQDQ Instruction, Intel 2009.
 */
#include "base/base.h"

#include <isa-l/crc.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CRC64NVME_POLYNOMIAL 0x9a6c9329ac4bc9b5ull /* reflected */
#define CRC32_POLYNOMIAL     0xedb88320ull
#define CRC32C_POLYNOMIAL    0x82f63b78ull

#define SLICES 16
#define FOLDED 64u /* bytes that a longer message is folded to */

/* ISA-L leaves the inversions to its caller, counts with an int, and takes a
 * pointer to data that it only reads. */
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size)
{
    const size_t most = 1u << 30;
    const uint8_t *p = data;

    crc = ~crc;
    while (size > 0) {
        size_t n = size < most ? size : most;

        crc = crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, crc);
        p += n;
        size -= n;
    }
    return ~crc;
}

uint32_t crc32c_bytes(const void *data, size_t size)
{
    return crc32c_extend(0, data, size);
}

/* table[n][b]: the CRC of byte b followed by n zero bytes. */
static uint64_t table[SLICES][256];

/* Multiply 64 bits by them, and they are 64 bytes farther back. */
static uint64_t fold_low, fold_high;

static void table_fill(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;

        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? CRC64NVME_POLYNOMIAL : 0);
        }
        table[0][i] = crc;
    }
    for (unsigned n = 1; n < SLICES; n++) {
        for (unsigned i = 0; i < 256; i++) {
            uint64_t crc = table[n - 1][i];

            table[n][i] = (crc >> 8) ^ table[0][crc & 0xff];
        }
    }
}

static uint64_t eight(uint64_t word, const uint64_t (*slices)[256])
{
    return slices[7][word & 0xff] ^ slices[6][word >> 8 & 0xff] ^
           slices[5][word >> 16 & 0xff] ^ slices[4][word >> 24 & 0xff] ^
           slices[3][word >> 32 & 0xff] ^ slices[2][word >> 40 & 0xff] ^
           slices[1][word >> 48 & 0xff] ^ slices[0][word >> 56];
}

/* Sixteen bytes a step: the two halves' look-ups do not wait for each other. */
static uint64_t by_table(uint64_t crc, const uint8_t *p, size_t size)
{
    for (; size >= 16; size -= 16, p += 16) {
        crc = eight(get_u64le(p) ^ crc, &table[8]) ^
              eight(get_u64le(p + 8), &table[0]);
    }
    while (size--) {
        crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
    }
    return crc;
}

#if defined(__x86_64__)
static bool can_fold(void)
{
    return __builtin_cpu_supports("pclmul");
}

/* Four lanes of sixteen bytes go through the message, whose size is a multiple
 * of theirs and not 0. What they hold in the end has the message's CRC. */
__attribute__((target("pclmul"))) static uint64_t by_folding(uint64_t crc,
                                                             const uint8_t *p,
                                                             size_t size)
{
    const __m128i factors =
        _mm_set_epi64x((long long)fold_high, (long long)fold_low);
    const __m128i *next = (const __m128i *)p;
    __m128i lane[4];
    uint8_t folded[FOLDED];

    for (unsigned i = 0; i < 4; i++) {
        lane[i] = _mm_loadu_si128(next++);
    }
    lane[0] = _mm_xor_si128(lane[0], _mm_set_epi64x(0, (long long)crc));
    for (size -= FOLDED; size > 0; size -= FOLDED) {
        for (unsigned i = 0; i < 4; i++) {
            __m128i low = _mm_clmulepi64_si128(lane[i], factors, 0x00);
            __m128i high = _mm_clmulepi64_si128(lane[i], factors, 0x11);

            lane[i] = _mm_xor_si128(_mm_xor_si128(low, high),
                                    _mm_loadu_si128(next++));
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        _mm_storeu_si128((__m128i *)folded + i, lane[i]);
    }
    return by_table(0, folded, FOLDED);
}
#else
static bool can_fold(void)
{
    return false;
}

static uint64_t by_folding(uint64_t crc, const uint8_t *p, size_t size)
{
    return by_table(crc, p, size);
}
#endif

uint64_t crc64nvme(uint64_t crc, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t whole = size - size % FOLDED;

    crc = ~crc;
    if (whole > FOLDED && can_fold()) {
        crc = by_folding(crc, p, whole);
        p += whole;
        size -= whole;
    }
    return ~by_table(crc, p, size);
}

/*
 * crc(A||B) = crc(A) * x^(8*size_b) + crc(B), modulo the polynomial. In the
 * reflected form the highest bit stands for x^0.
 */
static uint64_t multiply(uint64_t a, uint64_t b, uint64_t polynomial,
                         unsigned width)
{
    uint64_t product = 0;

    for (uint64_t bit = 1ull << (width - 1); bit != 0; bit >>= 1) {
        if (a & bit) {
            product ^= b;
        }
        b = (b >> 1) ^ ((b & 1) ? polynomial : 0);
    }
    return product;
}

static uint64_t power_of_x(uint64_t bytes, uint64_t polynomial, unsigned width)
{
    uint64_t result = 1ull << (width - 1);    /* x^0 */
    uint64_t base = 1ull << (width - 1) >> 8; /* x^8 */

    for (; bytes != 0; bytes >>= 1) {
        if (bytes & 1) {
            result = multiply(result, base, polynomial, width);
        }
        base = multiply(base, base, polynomial, width);
    }
    return result;
}

/* A product of two reflected numbers comes out one bit too low: hence x^(n-1)
 * where n bits are meant. */
__attribute__((constructor)) static void fill(void)
{
    const uint64_t x7 = 1ull << (63 - 7);

    table_fill();
    fold_low = multiply(power_of_x(FOLDED + 7, CRC64NVME_POLYNOMIAL, 64), x7,
                        CRC64NVME_POLYNOMIAL, 64);
    fold_high = multiply(power_of_x(FOLDED - 1, CRC64NVME_POLYNOMIAL, 64), x7,
                         CRC64NVME_POLYNOMIAL, 64);
}

uint64_t crc_combine(enum digest which, uint64_t a, uint64_t b, uint64_t size_b)
{
    uint64_t polynomial;
    unsigned width = 32;

    switch (which) {
    case DIGEST_CRC32:
        polynomial = CRC32_POLYNOMIAL;
        break;
    case DIGEST_CRC32C:
        polynomial = CRC32C_POLYNOMIAL;
        break;
    default:
        invariant(which == DIGEST_CRC64NVME);
        polynomial = CRC64NVME_POLYNOMIAL;
        width = 64;
        break;
    }
    return multiply(a, power_of_x(size_b, polynomial, width), polynomial,
                    width) ^
           b;
}
