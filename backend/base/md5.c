#include "base/md5.h"

#include <endian.h>
#include <string.h>

#define SIZE_AT (MD5_BLOCK - 8) /* of the stream's size in its last block */

/* The integer parts of 2^32 * abs(sin(i + 1)). */
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
    0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
    0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
    0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/* A call for each word would cost as much as the step that takes it. */
static inline uint32_t word_at(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return le32toh(word);
}

/* Words, or vectors of words: the operators are the same. G's two terms have no
 * bit in common, and only the second waits for the step before. */
#define F(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define G(b, c, d) (((c) & ~(d)) + ((b) & (d)))
#define H(b, c, d) ((b) ^ (c) ^ (d))
#define I(b, c, d) ((c) ^ ((b) | ~(d)))

#define STEP(f, a, b, c, d, word, i, turn)                                     \
    (a) += (word) + sines[i];                                                  \
    (a) += f(b, c, d);                                                         \
    (a) = ((a) << (turn) | (a) >> (32 - (turn))) + (b)

/* Steps `i` to i + 3; step n takes word (n * by + from) % 16. */
#define STEPS(f, i, by, from, t1, t2, t3, t4)                                  \
    STEP(f, a, b, c, d, w[((i) * (by) + (from)) % 16], i, t1);                 \
    STEP(f, d, a, b, c, w[(((i) + 1) * (by) + (from)) % 16], (i) + 1, t2);     \
    STEP(f, c, d, a, b, w[(((i) + 2) * (by) + (from)) % 16], (i) + 2, t3);     \
    STEP(f, b, c, d, a, w[(((i) + 3) * (by) + (from)) % 16], (i) + 3, t4)

#define ROUND(f, i, by, from, t1, t2, t3, t4)                                  \
    STEPS(f, i, by, from, t1, t2, t3, t4);                                     \
    STEPS(f, (i) + 4, by, from, t1, t2, t3, t4);                               \
    STEPS(f, (i) + 8, by, from, t1, t2, t3, t4);                               \
    STEPS(f, (i) + 12, by, from, t1, t2, t3, t4)

/* One block of words `w`, with `a` to `d`. */
#define BLOCK()                                                                \
    ROUND(F, 0, 1, 0, 7, 12, 17, 22);                                          \
    ROUND(G, 16, 5, 1, 5, 9, 14, 20);                                          \
    ROUND(H, 32, 3, 5, 4, 11, 16, 23);                                         \
    ROUND(I, 48, 7, 0, 6, 10, 15, 21)

static void run_one(struct md5 *md5, const uint8_t *data, size_t blocks)
{
    uint32_t *state = md5->state;

    for (; blocks > 0; blocks--, data += MD5_BLOCK) {
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3], w[16];

        for (unsigned i = 0; i < 16; i++) {
            w[i] = word_at(data + 4 * i);
        }
        BLOCK();
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
    }
}

/* --- side by side ----------------------------------------------------------*/

#if defined(__x86_64__)
typedef uint32_t vector __attribute__((vector_size(4 * MD5_LANES)));

/* Streams in lanes, a block at a time. */
struct lanes {
    vector state[4];
    const uint8_t *data[MD5_LANES];
};

static inline __attribute__((always_inline)) void run(struct lanes *lanes,
                                                      size_t blocks)
{
    vector *state = lanes->state;

    for (size_t at = 0; at < blocks * MD5_BLOCK; at += MD5_BLOCK) {
        vector a = state[0], b = state[1], c = state[2], d = state[3], w[16];

        for (unsigned i = 0; i < 16; i++) {
            for (unsigned lane = 0; lane < MD5_LANES; lane++) {
                w[i][lane] = word_at(lanes->data[lane] + at + 4 * i);
            }
        }
        BLOCK();
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
    }
}

/* It can turn a word by one instruction. */
__attribute__((target("avx512vl"))) static void run_avx512(struct lanes *lanes,
                                                           size_t blocks)
{
    run(lanes, blocks);
}

__attribute__((target("avx2"))) static void run_avx2(struct lanes *lanes,
                                                     size_t blocks)
{
    run(lanes, blocks);
}

static bool can_run_many(void)
{
    return __builtin_cpu_supports("avx2");
}

/* The same number of blocks of each. Lanes that are left over repeat one. */
static void run_many(struct md5_piece *const pieces[], unsigned count,
                     size_t blocks)
{
    struct lanes lanes;

    for (unsigned lane = 0; lane < MD5_LANES; lane++) {
        const struct md5_piece *piece = pieces[lane < count ? lane : 0];

        lanes.data[lane] = piece->data;
        for (unsigned i = 0; i < 4; i++) {
            lanes.state[i][lane] = piece->md5->state[i];
        }
    }
    if (__builtin_cpu_supports("avx512vl")) {
        run_avx512(&lanes, blocks);
    } else {
        run_avx2(&lanes, blocks);
    }
    for (unsigned lane = 0; lane < count; lane++) {
        for (unsigned i = 0; i < 4; i++) {
            pieces[lane]->md5->state[i] = lanes.state[i][lane];
        }
    }
}
#else
static bool can_run_many(void)
{
    return false;
}

static void run_many(struct md5_piece *const pieces[], unsigned count,
                     size_t blocks)
{
    for (unsigned i = 0; i < count; i++) {
        run_one(pieces[i]->md5, pieces[i]->data, blocks);
    }
}
#endif

static void advance(struct md5_piece *piece, size_t bytes)
{
    piece->md5->size += bytes;
    piece->data += bytes;
    piece->size -= bytes;
}

/* Fills the block that was begun, runs it if it is whole. */
static void fill_partial(struct md5_piece *piece)
{
    struct md5 *md5 = piece->md5;
    size_t filled = md5->size % MD5_BLOCK;
    size_t part = MD5_BLOCK - filled;

    part = part < piece->size ? part : piece->size;
    memcpy(md5->partial + filled, piece->data, part);
    advance(piece, part);
    if (filled + part == MD5_BLOCK) {
        run_one(md5, md5->partial, 1);
    }
}

/* The pieces that have whole blocks; sets how many all of them have. */
static unsigned find_whole(struct md5_piece pieces[], unsigned count,
                           struct md5_piece *whole[MD5_LANES], size_t *blocks)
{
    unsigned found = 0;

    *blocks = SIZE_MAX;
    for (unsigned i = 0; i < count; i++) {
        size_t own = pieces[i].size / MD5_BLOCK;

        if (own > 0) {
            whole[found++] = &pieces[i];
            *blocks = own < *blocks ? own : *blocks;
        }
    }
    return found;
}

void md5_update_many(struct md5_piece pieces[], unsigned count)
{
    struct md5_piece *whole[MD5_LANES];
    unsigned found;
    size_t blocks;

    invariant(count <= MD5_LANES);
    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].md5->size % MD5_BLOCK > 0) {
            fill_partial(&pieces[i]);
        }
    }
    while ((found = find_whole(pieces, count, whole, &blocks)) > 0) {
        if (found > 1 && can_run_many()) {
            run_many(whole, found, blocks);
        } else {
            found = 1;
            run_one(whole[0]->md5, whole[0]->data, blocks);
        }
        for (unsigned i = 0; i < found; i++) {
            advance(whole[i], blocks * MD5_BLOCK);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].size > 0) {
            fill_partial(&pieces[i]);
        }
    }
}

/* --- one stream ------------------------------------------------------------*/

void md5_init(struct md5 *md5)
{
    *md5 =
        (struct md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

void md5_update(struct md5 *md5, const void *data, size_t size)
{
    struct md5_piece piece = {md5, data, size};

    md5_update_many(&piece, 1);
}

void md5_final(struct md5 *md5, uint8_t out[MD5_SIZE])
{
    static const uint8_t padding[MD5_BLOCK] = {0x80};
    uint64_t bits = md5->size * 8;
    size_t filled = md5->size % MD5_BLOCK;
    uint8_t size[8];

    put_u64le(size, bits);
    md5_update(md5, padding,
               (filled < SIZE_AT ? SIZE_AT : SIZE_AT + MD5_BLOCK) - filled);
    md5_update(md5, size, sizeof(size));
    for (unsigned i = 0; i < 4; i++) {
        put_u32le(out + 4 * i, md5->state[i]);
    }
}
