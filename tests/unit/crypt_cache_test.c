/*
 * What was said a moment ago: for how long, how often, how much.
 */
#include "crypt_fixture.h"

static uint64_t value, out;

static struct slice number(uint32_t *n)
{
    return slice_of(n, sizeof(*n));
}

static struct cache *cache_of(unsigned life_ms, uint64_t uses)
{
    return cache_new(&(struct cache_shape){.sets = 256,
                                           .value_size = sizeof(value),
                                           .life_ms = life_ms,
                                           .uses = uses});
}

static void put(struct cache *cache, struct slice part)
{
    value++;
    cache_put(cache, &part, 1, &value, clock_monotonic_us());
}

static bool has(struct cache *cache, struct slice part)
{
    out = 0;
    return cache_get(cache, &part, 1, &out) && out == value;
}

static void a_life(void **state)
{
    struct cache *cache = cache_of(1, 0);

    (void)state;
    put(cache, SLICE_LITERAL("a"));
    const uint64_t end_us = clock_monotonic_us() + 1000;
    while (clock_monotonic_us() < end_us) {
    }
    assert_false(has(cache, SLICE_LITERAL("a")));
    cache_free(cache);
    cache = cache_of(0, 0); /* keeps nothing */
    put(cache, SLICE_LITERAL("a"));
    assert_false(has(cache, SLICE_LITERAL("a")));
    cache_free(cache);
}

/* The one that put it has used it too. */
static void so_many_uses(void **state)
{
    struct cache *cache = cache_of(3600 * 1000, 3);

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        put(cache, SLICE_LITERAL("a"));
        assert_true(has(cache, SLICE_LITERAL("a")));
        assert_true(has(cache, SLICE_LITERAL("a")));
        assert_false(has(cache, SLICE_LITERAL("a")));
    }
    cache_free(cache);
}

/* However many others come: one that is in use stays, and the last ones. */
static void bounded(void **state)
{
    struct cache *cache = cache_of(3600 * 1000, 0);
    const struct slice used = SLICE_LITERAL("used");
    uint64_t wanted = 7;

    (void)state;
    cache_put(cache, &used, 1, &wanted, clock_monotonic_us());
    for (uint32_t i = 0; i < 5000; i++) {
        put(cache, number(&i));
        assert_true(has(cache, number(&i)));
        const uint64_t now_us = clock_monotonic_us();
        while (clock_monotonic_us() == now_us) {
        }
        assert_true(cache_get(cache, &used, 1, &out));
        assert_int_equal(out, wanted);
    }
    uint32_t first = 0;
    assert_false(
        cache_get(cache, &(struct slice){(uint8_t *)&first, 4}, 1, &out));
    cache_free(cache);
}

/* Where a part ends is part of the question. */
static void parts(void **state)
{
    struct cache *cache = cache_of(3600 * 1000, 0);
    const struct slice one[] = {SLICE_LITERAL("ab"), SLICE_LITERAL("c")};
    const struct slice two[] = {SLICE_LITERAL("a"), SLICE_LITERAL("bc")};

    (void)state;
    cache_put(cache, one, 2, &value, clock_monotonic_us());
    assert_true(cache_get(cache, one, 2, &out));
    assert_false(cache_get(cache, two, 2, &out));
    cache_free(cache);
}

/* Nor comes in what was asked for before it. */
static void cleared(void **state)
{
    struct cache *cache = cache_of(3600 * 1000, 0);
    const struct slice part = SLICE_LITERAL("a");

    (void)state;
    put(cache, part);
    const uint64_t asked_us = clock_monotonic_us();
    cache_clear(cache);
    assert_false(has(cache, part));
    cache_put(cache, &part, 1, &value, asked_us);
    assert_false(has(cache, part));
    const uint64_t now_us = clock_monotonic_us();
    while (clock_monotonic_us() == now_us) {
    }
    put(cache, part);
    assert_true(has(cache, part));
    cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life),  cmocka_unit_test(so_many_uses),
        cmocka_unit_test(bounded), cmocka_unit_test(parts),
        cmocka_unit_test(cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
