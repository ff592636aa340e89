#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "erasure/erasure.h"

static uint64_t state = 88172645463325252ull;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

struct stripe {
    struct erasure_profile profile;
    size_t unit;
    uint8_t *bytes;
    uint8_t *shards[ERASURE_SHARDS_MAX];
};

static void stripe_make(struct stripe *stripe, struct erasure_profile profile,
                        size_t unit)
{
    unsigned total = profile.k + profile.m;

    stripe->profile = profile;
    stripe->unit = unit;
    stripe->bytes = xcalloc(total, unit);
    for (unsigned i = 0; i < total; i++) {
        stripe->shards[i] = stripe->bytes + i * unit;
    }
    for (size_t i = 0; i < profile.k * unit; i++) {
        stripe->bytes[i] = (uint8_t)next();
    }
    assert_int_equal(erasure_encode(&profile, stripe->shards,
                                    stripe->shards + profile.k, unit),
                     0);
}

/* Without the shards in `lost` every one of them is recomputed exactly. */
static void stripe_check(const struct stripe *stripe, uint32_t lost)
{
    const uint8_t *shards[ERASURE_SHARDS_MAX];
    unsigned total = stripe->profile.k + stripe->profile.m;
    uint8_t *out = xmalloc(stripe->unit);

    for (unsigned i = 0; i < total; i++) {
        shards[i] = lost & 1u << i ? NULL : stripe->shards[i];
    }
    for (unsigned i = 0; i < total; i++) {
        memset(out, 0xa5, stripe->unit);
        assert_int_equal(
            erasure_reconstruct(&stripe->profile, shards, i, out, stripe->unit),
            0);
        assert_memory_equal(out, stripe->shards[i], stripe->unit);
    }
    free(out);
}

static void every_loss(struct erasure_profile profile, size_t unit)
{
    unsigned total = profile.k + profile.m;
    struct stripe stripe;

    stripe_make(&stripe, profile, unit);
    for (uint32_t lost = 0; lost < 1u << total; lost++) {
        if (__builtin_popcount(lost) <= profile.m) {
            stripe_check(&stripe, lost);
        }
    }
    free(stripe.bytes);
}

static void random_losses(struct erasure_profile profile, size_t unit)
{
    unsigned total = profile.k + profile.m;
    struct stripe stripe;

    stripe_make(&stripe, profile, unit);
    for (unsigned i = 0; i < 10; i++) {
        uint32_t lost = 0;

        while (__builtin_popcount(lost) < profile.m) {
            lost |= 1u << next() % total;
        }
        stripe_check(&stripe, lost);
    }
    free(stripe.bytes);
}

static void test_default_profiles(void **unused)
{
    static const struct {
        unsigned drives, k, m;
    } table[] = {
        {1, 1, 0}, {2, 1, 1}, {3, 2, 1},  {4, 2, 2},  {5, 3, 2},   {6, 4, 2},
        {7, 5, 2}, {8, 5, 3}, {11, 8, 3}, {12, 8, 4}, {20, 16, 4}, {40, 16, 4},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct erasure_profile wide = erasure_default(table[i].drives, false);
        struct erasure_profile small = erasure_default(table[i].drives, true);

        assert_int_equal(wide.k, table[i].k);
        assert_int_equal(wide.m, table[i].m);
        assert_int_equal(wide.backend == ERASURE_COPIES, wide.k == 1);
        assert_int_equal(small.k, 1);
        assert_int_equal(small.m, table[i].m);
        assert_int_equal(small.backend, ERASURE_COPIES);
    }
}

static void test_every_loss_is_repaired(void **unused)
{
    (void)unused;
    for (unsigned drives = 1; drives <= 7; drives++) {
        every_loss(erasure_default(drives, false), 64);
        every_loss(erasure_default(drives, true), 192);
    }
    every_loss(erasure_default(6, false), 4160);
}

static void test_wide_codes(void **unused)
{
    (void)unused;
    for (unsigned drives = 8; drives <= 20; drives++) {
        random_losses(erasure_default(drives, false), 64 * 33);
    }
}

static void test_pieces_of_a_large_unit(void **unused)
{
    (void)unused;
    random_losses(erasure_default(6, false), (256u << 10));
    random_losses(erasure_default(6, false), (128u << 10) + 64);
    random_losses(erasure_default(5, false), (64u << 10) - 64);
}

static void test_the_code_without_isal(void **unused)
{
    (void)unused;
    every_loss((struct erasure_profile){ERASURE_RS_VAND, 4, 2}, 4096);
    random_losses((struct erasure_profile){ERASURE_RS_VAND, 4, 2},
                  (64u << 10) + 128);
}

static void test_a_code_nobody_prepared(void **unused)
{
    (void)unused;
    random_losses((struct erasure_profile){ERASURE_ISAL_CAUCHY, 10, 5}, 640);
}

static void test_scattered_units_encode_as_contiguous_ones(void **unused)
{
    struct erasure_profile profile = erasure_default(6, false);
    uint8_t *data[4], *parity[2];
    struct stripe stripe;

    (void)unused;
    stripe_make(&stripe, profile, 256);
    for (unsigned i = 0; i < 4; i++) {
        data[i] = xmalloc(256);
        memcpy(data[i], stripe.shards[i], 256);
    }
    parity[0] = xmalloc(256);
    parity[1] = xmalloc(256);
    assert_int_equal(erasure_encode(&profile, data, parity, 256), 0);
    assert_memory_equal(parity[0], stripe.shards[4], 256);
    assert_memory_equal(parity[1], stripe.shards[5], 256);
    for (unsigned i = 0; i < 4; i++) {
        free(data[i]);
    }
    free(parity[0]);
    free(parity[1]);
    free(stripe.bytes);
}

static void test_too_few_shards(void **unused)
{
    struct erasure_profile profile = erasure_default(6, false);
    const uint8_t *shards[6] = {0};
    struct stripe stripe;
    uint8_t out[64];

    (void)unused;
    stripe_make(&stripe, profile, 64);
    for (unsigned i = 0; i < 3; i++) {
        shards[i] = stripe.shards[i];
    }
    assert_int_equal(erasure_reconstruct(&profile, shards, 5, out, 64), -EIO);
    assert_int_equal(erasure_reconstruct(&profile, shards, 6, out, 64),
                     -EINVAL);
    free(stripe.bytes);
}

static void test_what_is_refused(void **unused)
{
    struct erasure_profile profile = erasure_default(6, false);
    struct erasure_profile none = {ERASURE_ISAL_CAUCHY, 0, 2};
    struct erasure_profile huge = {ERASURE_ISAL_CAUCHY, 30, 3};
    struct erasure_profile wrong = {ERASURE_COPIES, 4, 2};
    struct erasure_profile unknown = {9, 4, 2};
    uint8_t bytes[640];
    uint8_t *units[10];

    (void)unused;
    for (unsigned i = 0; i < 10; i++) {
        units[i] = bytes + i * 64;
    }
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(erasure_encode(&profile, units, units + 4, 63), -EINVAL);
    assert_int_equal(erasure_encode(&profile, units, units + 4, 0), -EINVAL);
    assert_int_equal(erasure_encode(&none, units, units + 4, 64), -EINVAL);
    assert_int_equal(erasure_encode(&huge, units, units + 4, 64), -EINVAL);
    assert_int_equal(erasure_encode(&wrong, units, units + 4, 64), -EINVAL);
    assert_int_equal(erasure_encode(&unknown, units, units + 4, 64), -EINVAL);
}

static int setup(void **unused)
{
    (void)unused;
    return erasure_init();
}

static int teardown(void **unused)
{
    (void)unused;
    erasure_exit();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_profiles),
        cmocka_unit_test(test_every_loss_is_repaired),
        cmocka_unit_test(test_wide_codes),
        cmocka_unit_test(test_pieces_of_a_large_unit),
        cmocka_unit_test(test_the_code_without_isal),
        cmocka_unit_test(test_a_code_nobody_prepared),
        cmocka_unit_test(test_scattered_units_encode_as_contiguous_ones),
        cmocka_unit_test(test_too_few_shards),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
