#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "placement/placement.h"

#define ROUNDS 500

static void fill(struct placement_candidate *candidates, unsigned n,
                 unsigned domains)
{
    for (unsigned i = 0; i < n; i++) {
        candidates[i] = (struct placement_candidate){
            .drive = 100 + i,
            .domain = i % domains,
            .free = 500,
            .total = 1000,
        };
    }
}

static void test_drives_are_distinct_candidates(void **unused)
{
    struct placement_candidate candidates[20];
    uint64_t state = 1;
    unsigned drives[20];

    (void)unused;
    fill(candidates, 20, 20);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned count = round % 20 + 1;
        uint32_t seen = 0;

        assert_int_equal(
            placement_choose(candidates, 20, count, &state, drives), 0);
        for (unsigned i = 0; i < count; i++) {
            assert_in_range(drives[i], 100, 119);
            assert_int_equal(seen & 1u << (drives[i] - 100), 0);
            seen |= 1u << (drives[i] - 100);
        }
    }
}

/* 10 drives: domain 0 has 5, 1 has 3, 2 has 2. */
static void test_domains_are_filled_evenly(void **unused)
{
    static const unsigned domain_of[10] = {0, 0, 0, 0, 0, 1, 1, 1, 2, 2};
    static const unsigned size_of[3] = {5, 3, 2};
    struct placement_candidate candidates[10];
    uint64_t state = 2;
    unsigned drives[10];

    (void)unused;
    fill(candidates, 10, 10);
    for (unsigned i = 0; i < 10; i++) {
        candidates[i].domain = domain_of[i];
        candidates[i].load = domain_of[i] == 0 ? 0 : 50; /* tempting */
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned count = round % 10 + 1, shards[3] = {0};

        assert_int_equal(
            placement_choose(candidates, 10, count, &state, drives), 0);
        for (unsigned i = 0; i < count; i++) {
            unsigned mine = domain_of[drives[i] - 100];

            for (unsigned other = 0; other < 3; other++) {
                assert_true(shards[other] >= shards[mine] ||
                            shards[other] == size_of[other]);
            }
            shards[mine]++;
        }
    }
}

static void test_too_few_candidates(void **unused)
{
    struct placement_candidate candidates[3];
    uint64_t state = 3;
    unsigned drives[4];

    (void)unused;
    fill(candidates, 3, 1);
    assert_int_equal(placement_choose(candidates, 3, 4, &state, drives),
                     -ENOSPC);
    assert_int_equal(placement_choose(candidates, 0, 1, &state, drives),
                     -ENOSPC);
    assert_int_equal(placement_choose(candidates, 3, 3, &state, drives), 0);
    assert_int_equal(placement_choose(candidates, 3, 0, &state, drives), 0);
}

static void count_first(const struct placement_candidate *candidates,
                        unsigned n, unsigned rounds, unsigned counts[])
{
    uint64_t state = 4;

    for (unsigned round = 0; round < rounds; round++) {
        unsigned drive;

        assert_int_equal(placement_choose(candidates, n, 1, &state, &drive), 0);
        counts[drive - 100]++;
    }
}

static void test_equals_share_equally(void **unused)
{
    struct placement_candidate candidates[10];
    unsigned counts[10] = {0};

    (void)unused;
    fill(candidates, 10, 10);
    count_first(candidates, 10, 10000, counts);
    for (unsigned i = 0; i < 10; i++) {
        assert_in_range(counts[i], 800, 1200);
    }
}

/* The better of two: the best of ten wins each of its 2/10 draws, the worst
 * is never chosen. */
static void test_less_loaded_is_preferred(void **unused)
{
    struct placement_candidate candidates[10];
    unsigned counts[10] = {0};

    (void)unused;
    fill(candidates, 10, 10);
    for (unsigned i = 0; i < 10; i++) {
        candidates[i].load = i;
    }
    count_first(candidates, 10, 10000, counts);
    assert_in_range(counts[0], 1800, 2200);
    assert_int_equal(counts[9], 0);
    assert_true(counts[2] > counts[6]);
}

static void test_emptier_is_preferred(void **unused)
{
    struct placement_candidate candidates[10];
    unsigned counts[10] = {0};

    (void)unused;
    fill(candidates, 10, 10);
    for (unsigned i = 0; i < 10; i++) {
        candidates[i].free = 100 * i;
    }
    count_first(candidates, 10, 10000, counts);
    assert_in_range(counts[9], 1800, 2200);
    assert_int_equal(counts[0], 0);
    assert_true(counts[6] > counts[2]);
}

static void test_same_state_same_choice(void **unused)
{
    struct placement_candidate candidates[12];
    unsigned first[6], second[6];
    uint64_t a = 99, b = 99;

    (void)unused;
    fill(candidates, 12, 4);
    assert_int_equal(placement_choose(candidates, 12, 6, &a, first), 0);
    assert_int_equal(placement_choose(candidates, 12, 6, &b, second), 0);
    assert_memory_equal(first, second, sizeof(first));
    assert_int_equal(a, b);
}

/* --- properties of random sets ---------------------------------------------*/
static uint64_t draw(uint64_t *state, uint64_t bound)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (*state >> 33) % bound;
}

static unsigned any_set(uint64_t *state, struct placement_candidate *candidates)
{
    const unsigned n = 1 + (unsigned)draw(state, 20);
    const unsigned domains = 1 + (unsigned)draw(state, n);

    for (unsigned i = 0; i < n; i++) {
        const uint64_t total = 1 + draw(state, 1u << 30);

        candidates[i] = (struct placement_candidate){
            .drive = i,
            .domain = 7 * (unsigned)draw(state, domains),
            .total = total,
            .free = draw(state, total + 1),
            .load = (unsigned)draw(state, 3) * (unsigned)draw(state, 100),
        };
    }
    return n;
}

static unsigned in_domain(const struct placement_candidate *candidates,
                          unsigned n, unsigned domain)
{
    unsigned in = 0;

    for (unsigned i = 0; i < n; i++) {
        in += candidates[i].domain == domain;
    }
    return in;
}

/* The fewest shards that the fullest domain must have: no choice does better.
 */
static unsigned fewest_possible(const struct placement_candidate *candidates,
                                unsigned n, unsigned count)
{
    unsigned most = 0, room = 0;

    while (room < count) {
        most++;
        room = 0;
        for (unsigned domain = 0; domain < 7 * n; domain += 7) {
            const unsigned in = in_domain(candidates, n, domain);

            room += in < most ? in : most;
        }
    }
    return most;
}

/* So wherever the domains allow that a code k+m bears the loss of any one of
 * them, it does: none has more than m shards. */
static void test_no_spread_is_better(void **unused)
{
    uint64_t random = 5, state = 6;

    (void)unused;
    for (unsigned round = 0; round < 5000; round++) {
        struct placement_candidate candidates[20];
        const unsigned n = any_set(&random, candidates);
        const unsigned count = 1 + (unsigned)draw(&random, n);
        unsigned drives[20], in[7 * 20] = {0}, most = 0;
        uint32_t seen = 0;

        assert_int_equal(placement_choose(candidates, n, count, &state, drives),
                         0);
        for (unsigned i = 0; i < count; i++) {
            assert_true(drives[i] < n && !(seen & 1u << drives[i]));
            seen |= 1u << drives[i];
            in[candidates[drives[i]].domain]++;
        }
        for (unsigned domain = 0; domain < 7 * n; domain++) {
            most = in[domain] > most ? in[domain] : most;
        }
        assert_int_equal(most, fewest_possible(candidates, n, count));
    }
}

/* How far apart drives of equal and of other sizes are, in parts of a thousand
 * of their size, when they are half full. */
static uint64_t unevenness(bool by_choice, bool equal, unsigned shards)
{
    struct placement_candidate candidates[12];
    uint64_t state = 8, random = 9, total = 0, lowest = 1000, highest = 0;

    fill(candidates, 12, 12);
    for (unsigned i = 0; i < 12; i++) {
        candidates[i].total = candidates[i].free =
            equal ? 4000 : 1000 + 500 * (uint64_t)i;
        total += candidates[i].total;
    }
    for (uint64_t used = 0; used < total / 2; used += shards) {
        unsigned drives[12];
        struct placement_candidate none[12];

        memcpy(none, candidates, sizeof(none));
        for (unsigned i = 0; i < 12 && !by_choice; i++) {
            none[i].free = none[i].total; /* all are alike to it */
            none[i].load = (unsigned)draw(&random, 1000);
        }
        assert_int_equal(placement_choose(none, 12, shards, &state, drives), 0);
        for (unsigned i = 0; i < shards; i++) {
            candidates[drives[i] - 100].free--;
        }
    }
    for (unsigned i = 0; i < 12; i++) {
        const uint64_t level =
            1000 - 1000 * candidates[i].free / candidates[i].total;

        lowest = level < lowest ? level : lowest;
        highest = level > highest ? level : highest;
    }
    return highest - lowest;
}

static void test_two_choices_fill_evenly(void **unused)
{
    (void)unused;
    assert_true(unevenness(true, true, 1) <= 3);
    assert_true(unevenness(true, true, 6) <= 3);
    assert_true(unevenness(false, true, 1) >= 20);
    assert_true(unevenness(true, false, 1) <= unevenness(false, false, 1) / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drives_are_distinct_candidates),
        cmocka_unit_test(test_domains_are_filled_evenly),
        cmocka_unit_test(test_too_few_candidates),
        cmocka_unit_test(test_equals_share_equally),
        cmocka_unit_test(test_less_loaded_is_preferred),
        cmocka_unit_test(test_emptier_is_preferred),
        cmocka_unit_test(test_same_state_same_choice),
        cmocka_unit_test(test_no_spread_is_better),
        cmocka_unit_test(test_two_choices_fill_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
