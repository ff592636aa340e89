/* MD5 of one stream and of several side by side, beside OpenSSL's. */
#include "base/md5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#define LONGEST 5000u

static uint8_t bytes[MD5_LANES][LONGEST];

static void fill(void)
{
    uint32_t random = 1;

    for (unsigned lane = 0; lane < MD5_LANES; lane++) {
        for (size_t i = 0; i < LONGEST; i++) {
            random = random * 1664525 + 1013904223;
            bytes[lane][i] = (uint8_t)(random >> 24);
        }
    }
}

static void check(struct md5 *md5, const void *data, size_t size)
{
    uint8_t ours[MD5_SIZE], theirs[EVP_MAX_MD_SIZE];

    assert_int_equal(EVP_Digest(data, size, theirs, NULL, EVP_md5(), NULL), 1);
    md5_final(md5, ours);
    assert_memory_equal(ours, theirs, MD5_SIZE);
}

/* Every size around the padding's edges, in one call and in two. */
static void one_stream(void **state)
{
    (void)state;
    fill();
    for (size_t size = 0; size <= 3 * MD5_BLOCK; size++) {
        for (size_t first = 0; first <= size; first += 7) {
            struct md5 md5;

            md5_init(&md5);
            md5_update(&md5, bytes[0], first);
            md5_update(&md5, bytes[0] + first, size - first);
            check(&md5, bytes[0], size);
        }
    }
}

/* Streams of different sizes, in pieces that end in different blocks: each
 * lane is the only long one in its turn. */
static void side_by_side(void **state)
{
    (void)state;
    fill();
    for (unsigned count = 1; count <= MD5_LANES; count++) {
        struct md5 md5[MD5_LANES];
        size_t done[MD5_LANES] = {0};

        for (unsigned lane = 0; lane < count; lane++) {
            md5_init(&md5[lane]);
        }
        for (unsigned turn = 0; turn < 12; turn++) {
            struct md5_piece pieces[MD5_LANES];

            for (unsigned lane = 0; lane < count; lane++) {
                size_t size = (turn + lane) % MD5_LANES * 77;

                pieces[lane] = (struct md5_piece){
                    &md5[lane], bytes[lane] + done[lane], size};
                done[lane] += size;
            }
            md5_update_many(pieces, count);
        }
        for (unsigned lane = 0; lane < count; lane++) {
            check(&md5[lane], bytes[lane], done[lane]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream),
        cmocka_unit_test(side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
