/*
 * MD5 (RFC 1321), which S3's ETags are made of, of one stream or of several
 * side by side.
 *
 * Each step of MD5 waits for the one before it, so that one stream leaves most
 * of a processor unused: eight streams in a vector take less than twice the
 * time of one.
 *
 * Not for secrets: nothing is wiped. OpenSSL hashes those.
 */
#ifndef BASE_MD5_H
#define BASE_MD5_H

#include "base/base.h"

#define MD5_SIZE  16u
#define MD5_BLOCK 64u
#define MD5_LANES 8u

struct md5 {
    uint32_t state[4];
    uint64_t size;              /* bytes so far */
    uint8_t partial[MD5_BLOCK]; /* the last ones, size % MD5_BLOCK */
};

/* Bytes of one stream. */
struct md5_piece {
    struct md5 *md5;
    const uint8_t *data;
    size_t size;
};

void md5_init(struct md5 *md5);
void md5_update(struct md5 *md5, const void *data, size_t size);
/* Of different streams, at most MD5_LANES; the pieces are used up. */
void md5_update_many(struct md5_piece pieces[], unsigned count);
void md5_final(struct md5 *md5, uint8_t out[MD5_SIZE]);

#endif
