/* Which shards are to move so that levels become even: properties of random
 * drives, domains and blobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "care/rebalance_private.h"

#define ROUNDS 3000

static uint64_t draw(uint64_t *state, uint64_t bound)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (*state >> 33) % bound;
}

static void any_levels(uint64_t *state, struct levels *levels)
{
    const unsigned domains = 1 + (unsigned)draw(state, 6);

    *levels = (struct levels){.count = 2 + (unsigned)draw(state, 14)};
    for (unsigned i = 0; i < levels->count; i++) {
        struct level *level = &levels->drives[i];

        level->takes = draw(state, 6) != 0;
        level->slow = draw(state, 8) == 0;
        level->domain = (unsigned)draw(state, domains);
        level->total = 1000 + draw(state, 9000);
        level->live = draw(state, level->total);
        level->free =
            draw(state, 2) ? level->total - level->live : draw(state, 100);
    }
    levels_set_mean(levels);
}

/* Chunks on different drives each, as B4 has it. */
static void any_shards(uint64_t *state, unsigned drives, struct shards *shards)
{
    const unsigned chunks = 1 + (unsigned)draw(state, 3);
    const unsigned width = 1 + (unsigned)draw(state, drives);

    shards->count = 0;
    for (unsigned chunk = 0; chunk < chunks; chunk++) {
        uint32_t used = 0;

        for (unsigned i = 0; i < width; i++) {
            struct blob_shard shard = {
                .chunk = chunk, .shard = i, .bytes = 1 + draw(state, 300)};

            do {
                shard.drive = (unsigned)draw(state, drives);
            } while (used & 1u << shard.drive);
            used |= 1u << shard.drive;
            shards_add(shards, &shard);
        }
    }
}

static const struct blob_shard *shard_of(const struct shards *shards,
                                         const struct blob_move *move)
{
    for (size_t i = 0; i < shards->count; i++) {
        if (shards->list[i].chunk == move->chunk &&
            shards->list[i].shard == move->shard) {
            return &shards->list[i];
        }
    }
    fail();
    return NULL;
}

/* Of a chunk after the first `done` moves. */
static unsigned shards_in(const struct levels *levels,
                          const struct shards *shards,
                          const struct blob_move *moves, size_t done,
                          unsigned chunk, unsigned domain)
{
    unsigned in = 0;

    for (size_t i = 0; i < shards->count; i++) {
        unsigned drive = shards->list[i].drive;

        for (size_t j = 0; j < done; j++) {
            if (shard_of(shards, &moves[j]) == &shards->list[i]) {
                drive = moves[j].drive;
            }
        }
        in += shards->list[i].chunk == chunk &&
              levels->drives[drive].domain == domain;
    }
    return in;
}

static double unevenness(const struct levels *levels)
{
    double sum = 0;

    for (unsigned i = 0; i < levels->count; i++) {
        if (levels->drives[i].takes) {
            sum += (double)levels->drives[i].total *
                   pow(level_of(&levels->drives[i]) - levels->mean, 2);
        }
    }
    return sum;
}

/* One move as it is made: D2, D3. */
static void check_move(struct levels *now, const struct shards *shards,
                       const struct blob_move *moves, size_t at)
{
    const struct blob_move *move = &moves[at];
    const struct blob_shard *shard = shard_of(shards, move);
    struct level *from = &now->drives[shard->drive];
    struct level *to = &now->drives[move->drive];

    assert_true(from->takes && to->takes && !to->slow && !move->any);
    assert_true(to->free >= shard->bytes);
    for (size_t i = 0; i < shards->count; i++) { /* not even for a while */
        assert_true(shards->list[i].chunk != move->chunk ||
                    shards->list[i].drive != move->drive);
    }
    for (size_t i = 0; i < at; i++) {
        assert_true(moves[i].chunk != move->chunk ||
                    moves[i].drive != move->drive);
        assert_true(shard_of(shards, &moves[i]) != shard);
    }
    assert_true(
        from->domain == to->domain ||
        shards_in(now, shards, moves, at, move->chunk, to->domain) <
            shards_in(now, shards, moves, at, move->chunk, from->domain));
    assert_true(level_of(from) > now->mean && level_of(to) < now->mean);
    from->live -= from->live < shard->bytes ? from->live : shard->bytes;
    to->live += shard->bytes;
    to->free -= shard->bytes;
}

static void test_moves_keep_what_must_be(void **unused)
{
    uint64_t state = 1;
    unsigned moved = 0;
    struct shards shards = {0};

    (void)unused;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct levels before, now, after;
        struct blob_move moves[64];
        size_t count;

        any_levels(&state, &before);
        any_shards(&state, before.count, &shards);
        now = after = before;
        count = levels_plan(&after, &shards, moves);
        for (size_t i = 0; i < count; i++) {
            if (i > 0) {
                assert_true(moves[i].chunk >= moves[i - 1].chunk);
            }
            check_move(&now, &shards, moves, i);
        }
        for (unsigned i = 0; i < now.count; i++) {
            assert_int_equal(now.drives[i].live, after.drives[i].live);
        }
        moved += count > 0;
    }
    assert_true(moved > ROUNDS / 10);
    free(shards.list);
}

/* With drives of one size, each move brings them nearer to each other. */
static void test_there_is_an_end(void **unused)
{
    uint64_t state = 2;
    struct shards shards = {0};

    (void)unused;
    for (unsigned round = 0; round < 100; round++) {
        struct levels levels;
        double before;
        unsigned moves_made = 0;

        any_levels(&state, &levels);
        for (unsigned i = 0; i < levels.count; i++) {
            levels.drives[i].total = 10000;
            levels.drives[i].free = 5000;
        }
        levels_set_mean(&levels);
        before = unevenness(&levels);
        for (unsigned blob = 0; blob < 300; blob++) {
            struct blob_move moves[64];
            size_t count;

            any_shards(&state, levels.count, &shards);
            count = levels_plan(&levels, &shards, moves);
            if (count > 0) {
                assert_true(unevenness(&levels) < before);
                before = unevenness(&levels);
                moves_made += (unsigned)count;
            }
        }
        assert_true(moves_made < 300);
    }
    free(shards.list);
}

static void test_bands(void **unused)
{
    struct levels levels = {.count = 4};

    (void)unused;
    for (unsigned i = 0; i < 4; i++) {
        levels.drives[i] = (struct level){
            .takes = true, .total = 1000, .live = 100, .free = 900};
    }
    levels_set_mean(&levels);
    assert_true(levels_are_even(&levels, 0.001));
    assert_int_equal(levels_excess(&levels), 0);
    levels.drives[0].live = 112;
    levels.drives[1].live = 88;
    levels_set_mean(&levels);
    assert_true(levels_are_even(&levels, 12.001));
    assert_false(levels_are_even(&levels, 11.999));
    assert_int_equal(levels_excess(&levels), 12);
    levels.drives[3] = (struct level){.takes = false}; /* does not count */
    levels_set_mean(&levels);
    assert_true(levels_are_even(&levels, 12.001));
    levels.drives[2].live = levels.drives[1].live = levels.drives[0].live = 0;
    levels_set_mean(&levels);
    assert_true(levels_are_even(&levels, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_keep_what_must_be),
        cmocka_unit_test(test_there_is_an_end),
        cmocka_unit_test(test_bands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
