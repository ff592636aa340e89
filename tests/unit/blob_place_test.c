/* Where blobs and their repairs go, as properties: random drives, domains and
 * states. */
#include "blob_fixture.h"

#include "extent/private.h"

#define ROUNDS 40

struct place {
    struct fixture fixture;
    uint64_t random;
    uint32_t takes; /* drives that may be given shards */
};

/* The drive's own file system is as good as full. */
static void fill_drive(struct place *place, unsigned drive)
{
    place->fixture.drives[drive]->options.reserve_bytes = 1ull << 60;
}

static void any_states(struct place *place)
{
    struct fixture *fixture = &place->fixture;

    place->takes = 0;
    for (unsigned i = 0; i < fixture->count; i++) {
        fixture->store->domains[i] =
            (unsigned)(fixture_random(&place->random) % 5);
        switch (fixture_random(&place->random) % 8) {
        case 0:
            drive_drain(fixture->drives[i], 1);
            break;
        case 1:
            drive_set_state(fixture->drives[i], DRIVE_FAILED, "");
            break;
        case 2:
            drive_retire(fixture->drives[i]);
            break;
        case 3:
            fill_drive(place, i);
            break;
        default:
            place->takes |= 1u << i;
        }
    }
}

static void place_open(struct place *place, uint64_t seed)
{
    *place = (struct place){.random = seed * 0x9e3779b97f4a7c15ull + 1};
    fixture_open(&place->fixture,
                 6 + (unsigned)(fixture_random(&place->random) % 9), seed);
    any_states(place);
}

static unsigned in_domain(const struct place *place, uint32_t drives,
                          unsigned domain)
{
    unsigned in = 0;

    for (unsigned i = 0; i < place->fixture.count; i++) {
        in += (drives >> i & 1) && place->fixture.store->domains[i] == domain;
    }
    return in;
}

/* The drives of a chunk: all different. */
static uint32_t drives_of(const Layout__Chunk *chunk)
{
    uint32_t drives = 0;

    for (size_t i = 0; i < chunk->n_shards; i++) {
        const uint32_t number = chunk->shards[i]->drive_plus_one;

        if (number != 0) {
            assert_int_equal(drives & 1u << (number - 1), 0);
            drives |= 1u << (number - 1);
        }
    }
    return drives;
}

/* No domain has a shard more than it must have, given the drives. */
static void check_spread(const struct place *place, uint32_t drives)
{
    for (unsigned a = 0; a < 5; a++) {
        const unsigned mine = in_domain(place, drives, a);

        for (unsigned b = 0; b < 5; b++) {
            assert_true(in_domain(place, drives, b) + 1 >= mine ||
                        in_domain(place, drives, b) ==
                            in_domain(place, place->takes, b));
        }
    }
}

static void test_blobs_go_where_they_may(void **unused)
{
    uint8_t *data = fixture_bytes(1, FIXTURE_CHUNK + 5000);
    unsigned stored = 0;

    (void)unused;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct place place;
        Layout__Layout *layout;
        const size_t size = round % 2 == 0 ? 900 : FIXTURE_CHUNK + 5000;

        place_open(&place, round);
        if (fixture_put(&place.fixture, 1, data, size, 65536, &layout) == 0) {
            for (size_t i = 0; i < layout->n_chunks; i++) {
                const uint32_t drives = drives_of(layout->chunks[i]);

                assert_int_equal(drives & ~place.takes, 0);
                assert_int_equal(__builtin_popcount(drives),
                                 layout->k + layout->m);
                check_spread(&place, drives);
            }
            fixture_check(&place.fixture, layout, data);
            fixture_free(layout);
            stored++;
        }
        fixture_close(&place.fixture);
    }
    assert_true(stored > ROUNDS / 2);
    free(data);
}

/* One drive of the chunk is lost: the shard goes to a drive that may have it,
 * in a domain with as few of the others as any such drive's. */
static void check_repair(const struct place *place, const Layout__Chunk *was,
                         const Layout__Chunk *is, unsigned lost)
{
    const uint32_t kept = drives_of(was) & ~(1u << lost);
    const uint32_t now = drives_of(is) & ~(1u << lost);
    const uint32_t may = place->takes & ~kept & ~(1u << lost);
    unsigned drive;

    if (may == 0 || now == kept) {
        assert_true(now == kept && (may == 0 || drives_of(was) == kept));
        return;
    }
    drive = (unsigned)__builtin_ctz(now & ~kept);
    assert_int_equal(now, kept | 1u << drive);
    assert_true(may >> drive & 1);
    for (unsigned i = 0; i < place->fixture.count; i++) {
        assert_true(
            !(may >> i & 1) ||
            in_domain(place, kept, place->fixture.store->domains[drive]) <=
                in_domain(place, kept, place->fixture.store->domains[i]));
    }
}

static void test_repairs_go_where_they_may(void **unused)
{
    uint8_t *data = fixture_bytes(2, 50000);
    unsigned repaired_some = 0;

    (void)unused;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct place place;
        Layout__Layout *layout, *repaired = NULL;
        struct blob_repair result;
        unsigned lost;

        place_open(&place, 1000 + round);
        if (fixture_put(&place.fixture, 1, data, 50000, 65536, &layout) == 0 &&
            layout->m > 0) {
            lost = layout->chunks[0]->shards[0]->drive_plus_one - 1;
            drive_retire(place.fixture.drives[lost]);
            assert_int_equal(blob_repair(place.fixture.store, layout, NULL,
                                         &repaired, &result),
                             0);
            if (repaired != NULL) {
                check_repair(&place, layout->chunks[0], repaired->chunks[0],
                             lost);
                fixture_check(&place.fixture, repaired, data);
                repaired_some++;
            } else {
                assert_int_equal(place.takes & ~drives_of(layout->chunks[0]),
                                 0);
            }
            fixture_free(repaired);
        }
        fixture_free(layout);
        fixture_close(&place.fixture);
    }
    assert_true(repaired_some > ROUNDS / 4);
    free(data);
}

/* A blob keeps its room for moves: to a drive that is told, and no other. */
static void test_moves_go_where_they_are_told(void **unused)
{
    uint8_t *data = fixture_bytes(3, 50000);
    struct fixture fixture;
    struct blob_moved result;
    Layout__Layout *layout, *moved;
    struct blob_move move = {.chunk = 0, .shard = 1};

    (void)unused;
    fixture_open(&fixture, 6, 1);
    assert_int_equal(fixture_put(&fixture, 1, data, 50000, 65536, &layout), 0);
    move.drive = (unsigned)__builtin_ctz(~drives_of(layout->chunks[0]));
    assert_int_equal(
        blob_move(fixture.store, layout, &move, 1, NULL, &moved, &result), 0);
    assert_int_equal(result.shards, 1);
    assert_int_equal(result.bytes, 50000);
    assert_int_equal(moved->chunks[0]->shards[1]->drive_plus_one,
                     move.drive + 1);
    assert_int_equal(blob_sync_moved(fixture.store, &layout, &moved, 1), 0);
    assert_int_equal(fixture_bad(&fixture, moved), 0);
    fixture_free(moved);

    drive_drain(fixture.drives[move.drive], 1);
    assert_int_equal(
        blob_move(fixture.store, layout, &move, 1, NULL, &moved, &result), 0);
    assert_null(moved);
    assert_int_equal(result.stuck, 1);
    drive_drain(fixture.drives[move.drive], 0);

    drive_retire(fixture.drives[move.drive]); /* it takes nothing more */
    assert_int_equal(
        blob_move(fixture.store, layout, &move, 1, NULL, &moved, &result), 0);
    assert_null(moved);
    assert_int_equal(result.stuck, 1);
    move.drive = BLOB_NO_DRIVE;
    move.any = true;
    assert_int_equal(
        blob_move(fixture.store, layout, &move, 1, NULL, &moved, &result), 0);
    assert_int_equal(result.shards + result.stuck, 1);
    fixture_free(moved);
    fixture_free(layout);
    fixture_close(&fixture);
    free(data);
}

static int setup(void **unused)
{
    (void)unused;
    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    return erasure_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blobs_go_where_they_may),
        cmocka_unit_test(test_repairs_go_where_they_may),
        cmocka_unit_test(test_moves_go_where_they_are_told),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
