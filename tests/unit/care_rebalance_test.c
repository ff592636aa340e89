/* Drives that are drained, added and evened out, on the simulated disk. */
#include "care_reclaim_fixture.h"

#include "care/rebalance_private.h"

#include <math.h>
#include <pthread.h>

struct life {
    struct world world;
    struct rebalance *rebalance;
    struct rebalance_options options;
    uint64_t draining; /* bits */
    unsigned domains;  /* 0: each drive is one */
};

static void attach(struct life *life)
{
    struct fixture *fixture = &life->world.fixture;

    for (unsigned i = 0; i < fixture->count; i++) {
        drive_drain(fixture->drives[i], life->draining >> i & 1);
        if (life->domains > 0) {
            fixture->store->domains[i] = i % life->domains;
        }
    }
    life->options.meta = life->world.meta;
    life->options.blobs = fixture->store;
    life->options.drives = fixture->drives;
    life->options.drive_count = fixture->count;
    life->options.reclaim = life->world.reclaim;
    life->rebalance = rebalance_open(&life->options);
}

static void life_open(struct life *life, unsigned drives, unsigned domains,
                      uint64_t seed)
{
    *life = (struct life){
        .domains = domains,
        .options = {.rate = 1ull << 40, .band = 10, .by_hand = true}};
    world_open(&life->world, drives, seed);
    attach(life);
}

static void life_close(struct life *life)
{
    rebalance_close(life->rebalance);
    world_close(&life->world);
}

static void life_restart(struct life *life, bool power_cut)
{
    rebalance_close(life->rebalance);
    world_restart(&life->world, power_cut);
    attach(life);
}

static void life_add_drive(struct life *life)
{
    struct fixture *fixture = &life->world.fixture;
    struct drive_config config;
    char directory[16];

    rebalance_close(life->rebalance);
    reclaim_close(life->world.reclaim);
    fixture_detach(fixture);
    fixture_config(fixture->count++, &config, directory);
    assert_int_equal(drive_format(fixture->io, &config, fixture_cluster), 0);
    assert_int_equal(fixture_attach(fixture), 0);
    world_attach(&life->world);
    attach(life);
}

static void life_drain(struct life *life, unsigned drive, bool drain)
{
    const uint64_t bit = UINT64_C(1) << drive;

    life->draining = drain ? life->draining | bit : life->draining & ~bit;
    drive_drain(life->world.fixture.drives[drive], drain);
}

/* What is live is counted by a pass of reclaim. */
static struct rebalance_status life_pass(struct life *life)
{
    struct rebalance_status status;

    world_pass(&life->world);
    assert_int_equal(rebalance_pass(life->rebalance), 0);
    rebalance_status(life->rebalance, &status);
    return status;
}

/* --- what is so ------------------------------------------------------------*/
static unsigned shards_on(struct life *life, unsigned drive)
{
    struct arena *arena = arena_new();
    uint64_t blob = 0;
    Meta__Blob *record;
    unsigned shards = 0;

    while (meta_next_blob(life->world.meta, arena, blob, &blob, &record) == 0) {
        for (size_t i = 0; record->layout && i < record->layout->n_chunks;
             i++) {
            const Layout__Chunk *chunk = record->layout->chunks[i];

            for (size_t j = 0; j < chunk->n_shards; j++) {
                shards += chunk->shards[j]->drive_plus_one == drive + 1;
            }
        }
    }
    arena_free(arena);
    return shards;
}

/* Most shards of a chunk in one domain; B4 on the way. */
static unsigned most_in_domain(const struct life *life,
                               const Layout__Layout *layout)
{
    const struct blob_store *store = life->world.fixture.store;
    unsigned most = 0;

    for (size_t i = 0; i < layout->n_chunks; i++) {
        unsigned in[FIXTURE_DRIVES] = {0};
        uint32_t seen = 0;

        for (size_t j = 0; j < layout->chunks[i]->n_shards; j++) {
            const unsigned drive =
                layout->chunks[i]->shards[j]->drive_plus_one - 1;

            if (drive < FIXTURE_DRIVES) {
                assert_int_equal(seen & 1u << drive, 0);
                seen |= 1u << drive;
                in[store->domains[drive]]++;
            }
        }
        for (unsigned d = 0; d < FIXTURE_DRIVES; d++) {
            most = in[d] > most ? in[d] : most;
        }
    }
    return most;
}

/* Of each thing, by its place in the list. */
struct spread {
    unsigned most[WORLD_BLOBS], losses_left[WORLD_BLOBS];
};

static struct spread spread_of(struct life *life)
{
    struct spread spread = {{0}, {0}};
    struct arena *arena = arena_new();

    for (unsigned i = 0; i < WORLD_BLOBS; i++) {
        const struct thing *thing = &life->world.things[i];
        Meta__Blob *record;

        if (thing->blob != 0 && thing->parts[0] == 0) {
            assert_int_equal(
                meta_get_blob(life->world.meta, arena, thing->blob, &record),
                0);
            spread.most[i] = most_in_domain(life, record->layout);
            spread.losses_left[i] = blob_losses_left(record->layout);
        }
    }
    arena_free(arena);
    return spread;
}

/* Every byte of every shard is good. */
static void check_whole(struct life *life)
{
    struct arena *arena = arena_new();
    uint64_t blob = 0;
    Meta__Blob *record;

    while (meta_next_blob(life->world.meta, arena, blob, &blob, &record) == 0) {
        if (record->layout != NULL) {
            assert_int_equal(fixture_bad(&life->world.fixture, record->layout),
                             0);
        }
    }
    arena_free(arena);
}

static void fail_drive(struct life *life, unsigned drive, int error)
{
    char directory[16];

    snprintf(directory, sizeof(directory), "/d%02u", drive);
    io_sim_fail_path(life->world.fixture.io, directory, error);
}

/* --- draining --------------------------------------------------------------*/
static void test_a_drained_drive_is_empty(void **unused)
{
    struct rebalance_status status;
    struct spread before, after;
    struct life life;

    (void)unused;
    life_open(&life, 6, 0, 1);
    for (unsigned i = 0; i < 12; i++) {
        world_put(&life.world, i % 2 == 0 ? 3000 * i + 1 : 100000 * i);
    }
    life_add_drive(&life);
    before = spread_of(&life);
    assert_true(shards_on(&life, 2) > 10);
    life_drain(&life, 2, true);
    status = life_pass(&life);
    assert_int_equal(shards_on(&life, 2), 0);
    assert_true(status.drives[2].known);
    assert_int_equal(status.drives[2].shards, 0);
    assert_int_equal(status.drives[2].bytes, 0);
    assert_int_equal(status.drives[2].stuck, 0);
    after = spread_of(&life);
    assert_memory_equal(&before, &after, sizeof(before));
    world_check(&life.world);
    life_restart(&life, true); /* what was named was durable */
    fail_drive(&life, 2, EIO);
    check_whole(&life);
    fail_drive(&life, 2, 0);
    life_close(&life);
}

/* Blobs that have a shard on every drive are coded anew, narrower. */
static void test_wide_blobs_are_coded_anew(void **unused)
{
    struct rebalance_status status;
    struct spread before, after;
    struct life life;

    (void)unused;
    life_open(&life, 6, 0, 2);
    for (unsigned i = 0; i < 10; i++) {
        world_put(&life.world, i % 2 ? 200000 : 2 * FIXTURE_CHUNK + 999);
    }
    assert_int_equal(shards_on(&life, 4), 20);
    before = spread_of(&life);
    life_drain(&life, 4, true);
    status = life_pass(&life);
    assert_int_equal(shards_on(&life, 4), 0);
    assert_int_equal(status.drives[4].stuck, 0);
    after = spread_of(&life);
    assert_memory_equal(&before, &after, sizeof(before));
    world_quiesce(&life.world);
    world_check(&life.world);
    life_restart(&life, true);
    fail_drive(&life, 4, EIO);
    check_whole(&life);
    fail_drive(&life, 4, 0);
    life_close(&life);
}

/* Four drives bear two losses, three would only bear one: wide blobs stay, and
 * it is said. */
static void test_what_has_no_place_stays(void **unused)
{
    struct rebalance_status status;
    struct life life;
    unsigned wide;

    (void)unused;
    life_open(&life, 4, 0, 2);
    for (unsigned i = 0; i < 5; i++) {
        world_put(&life.world, 200000);
    }
    wide = shards_on(&life, 2);
    assert_int_equal(wide, 5);
    life_drain(&life, 2, true);
    for (unsigned i = 0; i < 10; i++) { /* copies: two of three drives */
        world_put(&life.world, 100);
    }
    status = life_pass(&life);
    assert_int_equal(shards_on(&life, 2), wide);
    assert_int_equal(status.drives[2].stuck, wide);
    assert_int_equal(status.drives[2].shards, wide);
    check_whole(&life);
    world_put(&life.world, 200000); /* narrower, elsewhere */
    assert_int_equal(shards_on(&life, 2), wide);
    life_drain(&life, 2, false);
    status = life_pass(&life);
    assert_int_equal(status.drives[2].stuck, 0);
    life_close(&life);
}

/* Several at once never hand shards to each other. */
static void test_two_are_drained(void **unused)
{
    struct life life;

    (void)unused;
    life_open(&life, 3, 0, 3);
    for (unsigned i = 0; i < 10; i++) {
        world_put(&life.world, 40000 * i + 1);
    }
    life_add_drive(&life);
    life_add_drive(&life);
    life_drain(&life, 0, true);
    life_drain(&life, 1, true);
    life_pass(&life);
    assert_int_equal(shards_on(&life, 0) + shards_on(&life, 1), 0);
    check_whole(&life);
    life_close(&life);
}

static void test_damage_is_not_moved(void **unused)
{
    struct rebalance_status status;
    struct arena *arena = arena_new();
    struct meta_heal entry = {0};
    struct life life;
    struct thing *thing;
    Meta__Blob *record;
    Layout__Locator *locator;
    unsigned drive;

    (void)unused;
    life_open(&life, 3, 0, 4);
    thing = world_put(&life.world, 300000);
    life_add_drive(&life);
    assert_int_equal(
        meta_get_blob(life.world.meta, arena, thing->blob, &record), 0);
    locator = record->layout->chunks[0]->shards[1];
    drive = locator->drive_plus_one - 1;
    fixture_flip(&life.world.fixture, locator, 70000);
    life_drain(&life, drive, true);
    status = life_pass(&life);
    assert_int_equal(status.shards_bad, 1);
    assert_int_equal(status.drives[drive].stuck, 0);
    assert_int_equal(shards_on(&life, drive), 1);
    assert_int_equal(meta_next_heal(life.world.meta, &entry), 0);
    assert_int_equal(entry.blob, thing->blob);
    arena_free(arena);
    life_close(&life);
}

/* --- evening out -----------------------------------------------------------*/
static void expect_even(const struct rebalance_status *status, unsigned drives,
                        double percent)
{
    assert_int_equal(status->state, REBALANCE_EVEN);
    for (unsigned i = 0; i < drives; i++) {
        assert_true(fabs(status->drives[i].level - status->mean) <=
                    status->mean * percent / 100);
    }
}

static void test_a_new_drive_gets_its_share(void **unused)
{
    struct rebalance_status status;
    struct spread before, after;
    struct life life;

    (void)unused;
    life_open(&life, 6, 0, 5);
    for (unsigned i = 0; i < 60; i++) {
        world_put(&life.world, 20000 + 5000 * i);
    }
    status = life_pass(&life);
    life_add_drive(&life);
    before = spread_of(&life);
    status = life_pass(&life);
    expect_even(&status, 7, 5);
    assert_true(status.shards_moved > 0);
    assert_int_equal(status.shards_bad, 0);
    after = spread_of(&life);
    assert_memory_equal(&before, &after, sizeof(before));
    world_check(&life.world);
    check_whole(&life);
    status = life_pass(&life); /* it has come to rest */
    assert_int_equal(life_pass(&life).shards_moved, status.shards_moved);
    life_restart(&life, true);
    check_whole(&life);
    life_close(&life);
}

/* The oldest go first: what was left behind is newer than all that moved. */
struct stopper {
    struct life *life;
    unsigned left; /* blocks before it is stopped */
};

static bool stop_after(void *context)
{
    struct stopper *stopper = context;

    if (stopper->left > 0 && --stopper->left == 0) {
        rebalance_stop(stopper->life->rebalance);
    }
    return false;
}

static void test_cold_data_first_until_stopped(void **unused)
{
    struct life life;
    struct stopper stopper = {&life, 0};
    struct rebalance_status status;
    uint64_t newest_moved = 0, blob = 0;
    struct arena *arena = arena_new();
    unsigned older = 0, stayed = 0, pass_before;
    Meta__Blob *record;
    uint64_t pass;

    (void)unused;
    life_open(&life, 6, 0, 6);
    for (unsigned i = 0; i < 60; i++) {
        world_put(&life.world, 90000);
    }
    life_add_drive(&life);
    life.rebalance->options.busy = stop_after;
    life.rebalance->options.context = &stopper;
    stopper.left = 12;
    status = life_pass(&life);
    assert_int_equal(status.state, REBALANCE_STOPPED);
    pass_before = shards_on(&life, 6);
    assert_true(pass_before > 0);
    while (meta_next_blob(life.world.meta, arena, blob, &blob, &record) == 0) {
        bool moved = false;

        for (size_t j = 0; j < record->layout->chunks[0]->n_shards; j++) {
            moved = moved ||
                    record->layout->chunks[0]->shards[j]->drive_plus_one == 7;
        }
        newest_moved = moved ? blob : newest_moved;
        older += moved;
    }
    blob = 0;
    while (meta_next_blob(life.world.meta, arena, blob, &blob, &record) == 0 &&
           blob <= newest_moved) {
        stayed++;
    }
    assert_int_equal(stayed, older); /* none was passed over */
    assert_int_equal(life_pass(&life).shards_moved, status.shards_moved);
    assert_int_equal(rebalance_start(life.rebalance, &pass), 0);
    status = life_pass(&life);
    expect_even(&status, 7, 5);
    assert_true(status.passes >= pass);
    arena_free(arena);
    life_close(&life);
}

/* A move would bring shards of a chunk together in a domain: it is not made.*/
static void test_domains_are_kept(void **unused)
{
    struct rebalance_status status;
    struct spread before, after;
    struct life life;

    (void)unused;
    life_open(&life, 6, 3, 7); /* 0 3, 1 4, 2 5; the new one is of 0 3 */
    for (unsigned i = 0; i < 40; i++) {
        world_put(&life.world, 150000);
    }
    life_add_drive(&life);
    before = spread_of(&life);
    status = life_pass(&life);
    after = spread_of(&life);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_true(status.drives[6].shards > 0);
    /* Its domain has a third of the shards, whatever the levels are. */
    assert_int_equal(status.drives[0].shards + status.drives[3].shards +
                         status.drives[6].shards,
                     40 * 2);
    check_whole(&life);
    life_close(&life);
}

static void test_it_rests_without_a_drive_or_by_its_options(void **unused)
{
    struct life life;
    uint64_t pass;

    (void)unused;
    life_open(&life, 3, 0, 8);
    for (unsigned i = 0; i < 10; i++) {
        world_put(&life.world, 100000);
    }
    life_add_drive(&life);
    io_sim_wipe(life.world.fixture.io, "/d01");
    life_restart(&life, false);
    assert_int_equal(life_pass(&life).state, REBALANCE_WAITING);
    assert_int_equal(shards_on(&life, 3), 0);
    life.options.band = 0;
    life_restart(&life, false);
    assert_int_equal(life_pass(&life).state, REBALANCE_OFF);
    assert_int_equal(rebalance_start(life.rebalance, &pass), -ENOTSUP);
    life_close(&life);
}

/* --- others at the same time -----------------------------------------------*/
/* Deletes the blob while its shard is being copied. */
struct rival {
    struct world *world;
    struct thing *thing; /* NULL: done */
};

static bool drop_it(void *context)
{
    struct rival *rival = context;

    if (rival->thing != NULL) {
        struct thing *thing = rival->thing;

        rival->thing = NULL;
        world_drop(rival->world, thing);
        world_pass(rival->world);
    }
    return false;
}

static void test_deletes_win(void **unused)
{
    struct life life;
    struct rival rival = {&life.world, NULL};
    struct thing *kept;

    (void)unused;
    life_open(&life, 3, 0, 9);
    rival.thing = world_put(&life.world, 200000);
    kept = world_put(&life.world, 200000);
    life_add_drive(&life);
    world_pass(&life.world);
    life_drain(&life, 0, true);
    life.rebalance->options.busy = drop_it;
    life.rebalance->options.context = &rival;
    life_pass(&life);
    assert_null(rival.thing);
    assert_int_equal(world_blobs(&life.world), 1);
    assert_int_equal(shards_on(&life, 0), 0);
    world_check_thing(&life.world, kept);
    world_quiesce(&life.world);
    world_check(&life.world);
    life_close(&life);
}

struct readers {
    struct world *world;
    atomic_bool stop;
    atomic_uint reads;
};

static void *read_on(void *context)
{
    struct readers *readers = context;
    struct world *world = readers->world;
    struct blob_store *store = world->fixture.store;

    for (unsigned i = 0; !atomic_load(&readers->stop); i++) {
        const struct thing *thing = &world->things[i % 6];
        uint8_t *data = fixture_bytes(thing->seed, thing->size);
        uint8_t *read = xmalloc(thing->size);
        uint64_t generation;
        int error;

        do {
            struct arena *arena = arena_new();
            Meta__Blob *record;

            generation = blob_generation(store);
            error = meta_get_blob(world->meta, arena, thing->blob, &record);
            invariant(error == 0);
            error = blob_read(store, record->layout, 0, read, thing->size);
            arena_free(arena);
        } while (error != 0 && generation != blob_generation(store));
        invariant(error == 0 && memcmp(data, read, thing->size) == 0);
        atomic_fetch_add(&readers->reads, 1);
        free(read);
        free(data);
    }
    return NULL;
}

/* The thread drains one drive after the other, while blobs come and go, are
 * read, and reclaim moves and unlinks. */
static void test_nobody_notices(void **unused)
{
    struct life life;
    struct readers readers = {.world = &life.world};
    struct rebalance_status status;
    pthread_t threads[2];

    (void)unused;
    life_open(&life, 3, 0, 10);
    for (unsigned i = 0; i < 6; i++) {
        world_put(&life.world, 100 + 60000 * i);
    }
    life.options.by_hand = false;
    life_add_drive(&life);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers),
                         0);
    }
    for (unsigned drive = 0; drive < 4; drive++) {
        life_drain(&life, drive, true);
        rebalance_wake(life.rebalance);
        do {
            world_drop(&life.world, world_put(&life.world, 400000));
            world_pass(&life.world);
            rebalance_status(life.rebalance, &status);
        } while (status.drives[drive].shards > 0);
        life_drain(&life, drive, false);
    }
    atomic_store(&readers.stop, true);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(atomic_load(&readers.reads) > 0);
    assert_int_equal(status.shards_bad, 0);
    check_whole(&life);
    life_close(&life);
}

/* --- histories -------------------------------------------------------------*/
static struct thing *pick(struct world *world)
{
    unsigned start = (unsigned)(fixture_random(&world->random) % WORLD_BLOBS);

    for (unsigned i = 0; i < WORLD_BLOBS; i++) {
        struct thing *thing = &world->things[(start + i) % WORLD_BLOBS];

        if (thing->blob != 0 && thing->references != 0) {
            return thing;
        }
    }
    return NULL;
}

static size_t any_size(struct world *world)
{
    static const size_t sizes[] = {200, 60000, 300000, 900000};
    uint64_t random = fixture_random(&world->random);

    return 1 + random / 4 % sizes[random % 4];
}

/* Moves may not cost redundancy; without drains, nor spread. */
static void pass_and_compare(struct life *life)
{
    struct spread before = spread_of(life), after;

    life_pass(life);
    after = spread_of(life);
    for (unsigned i = 0; i < WORLD_BLOBS; i++) {
        assert_true(after.losses_left[i] >= before.losses_left[i]);
        assert_true(life->draining != 0 || after.most[i] <= before.most[i]);
    }
}

static void step(struct life *life)
{
    struct world *world = &life->world;
    struct thing *thing = pick(world);
    const uint64_t random = fixture_random(&world->random);

    switch (random % 10) {
    case 0:
    case 1:
    case 2:
    case 3:
        world_put(world, any_size(world));
        break;
    case 4:
    case 5:
        if (thing != NULL) {
            world_drop(world, thing);
        }
        break;
    case 6:
        life_drain(life, random / 10 % world->fixture.count, random & 64);
        break;
    case 7:
        pass_and_compare(life);
        break;
    case 8:
        world_pass(world);
        break;
    default:
        if (random / 10 % 4 == 0 && world->fixture.count < 9) {
            life_add_drive(life);
        } else if (random / 10 % 4 == 1) {
            life_restart(life, random & 64);
        }
    }
}

static void test_histories(void **unused)
{
    const char *more = getenv("S3D_LONG_RUN");
    const unsigned seeds = 4 * (more != NULL ? (unsigned)atoi(more) : 1);

    (void)unused;
    for (unsigned seed = 1; seed <= seeds; seed++) {
        struct rebalance_status status;
        struct life life;

        life_open(&life, 3 + seed % 4, seed % 3 == 0 ? 3 : 0, seed);
        for (unsigned i = 0; i < 120; i++) {
            step(&life);
            if (i % 40 == 39) {
                world_pass(&life.world); /* it counts */
                world_check(&life.world);
                spread_of(&life);
            }
        }
        life_add_drive(&life);
        status = life_pass(&life);
        check_whole(&life);
        for (unsigned i = 0; i < life.world.fixture.count; i++) {
            assert_int_equal(status.drives[i].shards, shards_on(&life, i));
            if (life.draining >> i & 1) {
                assert_int_equal(status.drives[i].shards,
                                 status.drives[i].stuck);
            }
        }
        life_close(&life);
    }
}

/* --- faults ----------------------------------------------------------------*/
/* A drive to be drained, and one that has too little. */
static void prepare(struct life *life)
{
    life_open(life, 3, 0, 77);
    world_put(&life->world, 500);
    world_put(&life->world, 200000);
    world_put(&life->world, 700000);
    life_add_drive(life);
    life_add_drive(life);
    world_put(&life->world, 300000); /* is to be coded anew */
    life_drain(life, 1, true);
    world_pass(&life->world);
}

/* The drives fail at one call of a pass, or everything ends there. */
static void test_power_cuts_at_any_call(void **unused)
{
    struct life life;
    uint64_t calls;

    (void)unused;
    prepare(&life);
    calls = io_sim_calls(life.world.fixture.io);
    assert_int_equal(rebalance_pass(life.rebalance), 0);
    calls = io_sim_calls(life.world.fixture.io) - calls;
    assert_int_equal(shards_on(&life, 1), 0);
    life_close(&life);
    assert_true(calls > 50);
    for (uint64_t at = 0; at < calls; at += 1 + calls / 60) {
        prepare(&life);
        io_sim_fail_after(life.world.fixture.io, at, EIO,
                          at % 2 == 0 ? UINT64_MAX : 1);
        (void)rebalance_pass(life.rebalance);
        io_sim_fail_after(life.world.fixture.io, 0, 0, 0);
        life_restart(&life, true);
        check_whole(&life);
        life_pass(&life);
        assert_int_equal(shards_on(&life, 1), 0);
        check_whole(&life);
        world_check(&life.world);
        life_close(&life);
    }
}

/* Commits fail from one of them on; what they did is not known. */
static void test_commits_that_fail(void **unused)
{
    (void)unused;
    for (unsigned at = 0; at < 4; at++) {
        struct life life;

        prepare(&life);
        kv_memory_fail_after(life.world.kv, at);
        (void)rebalance_pass(life.rebalance);
        for (unsigned i = 0; i < WORLD_BLOBS; i++) {
            if (life.world.things[i].blob != 0) {
                world_check_thing(&life.world, &life.world.things[i]);
            }
        }
        life_close(&life);
    }
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
        cmocka_unit_test(test_a_drained_drive_is_empty),
        cmocka_unit_test(test_wide_blobs_are_coded_anew),
        cmocka_unit_test(test_what_has_no_place_stays),
        cmocka_unit_test(test_two_are_drained),
        cmocka_unit_test(test_damage_is_not_moved),
        cmocka_unit_test(test_a_new_drive_gets_its_share),
        cmocka_unit_test(test_cold_data_first_until_stopped),
        cmocka_unit_test(test_domains_are_kept),
        cmocka_unit_test(test_it_rests_without_a_drive_or_by_its_options),
        cmocka_unit_test(test_deletes_win),
        cmocka_unit_test(test_nobody_notices),
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_power_cuts_at_any_call),
        cmocka_unit_test(test_commits_that_fail),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
