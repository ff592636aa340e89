/* Reclaim against a list of what should be stored, on the simulated disk. */
#include "care_reclaim_fixture.h"

#include <pthread.h>

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

static int seal_one(void *drive, uint64_t extent)
{
    drive_seal(drive, extent);
    return 0;
}

static void seal_all(struct world *world)
{
    for (unsigned i = 0; i < world->fixture.count; i++) {
        drive_extents(world->fixture.drives[i], seal_one,
                      world->fixture.drives[i]);
    }
}

static size_t any_size(struct world *world)
{
    static const size_t sizes[] = {200, 60000, 300000, 1300000};
    uint64_t random = fixture_random(&world->random);

    return 1 + random / 4 % sizes[random % 4];
}

/* --- freeing ---------------------------------------------------------------*/
static void test_space_of_dropped_blobs_comes_back(void **unused)
{
    struct world world;
    struct reclaim_status status;
    struct thing *things[40];

    (void)unused;
    world_open(&world, 6, 1);
    for (unsigned i = 0; i < 40; i++) {
        things[i] = world_put(&world, 1u << 20);
    }
    status = world_quiesce(&world);
    assert_true(status.counted);
    assert_int_equal(status.blobs_freed, 0);
    assert_int_equal(status.extents_removed, 0);
    assert_true(status.live_bytes > 40u << 20);
    assert_true(status.bytes > status.live_bytes);
    for (unsigned i = 0; i < 40; i++) {
        world_drop(&world, things[i]);
    }
    status = world_quiesce(&world);
    assert_int_equal(status.blobs_freed, 40);
    assert_int_equal(world_blobs(&world), 0);
    assert_int_equal(status.live_bytes, 0);
    assert_int_equal(status.bytes, 0);
    assert_int_equal(status.bytes_moved, 0);
    assert_true(status.bytes_removed > 40u << 20);
    for (unsigned i = 0; i < 6; i++) {
        struct drive_usage usage;

        drive_usage(world.fixture.drives[i], &usage);
        assert_int_equal(usage.extents, 0);
        assert_int_equal(drive_state(world.fixture.drives[i]), DRIVE_OK);
    }
    world_check(&world);
    world_close(&world);
}

static void test_shared_blobs_stay_until_the_last(void **unused)
{
    struct world world;
    struct thing *thing;

    (void)unused;
    world_open(&world, 3, 2);
    thing = world_put(&world, 100000);
    world_share(&world, thing);
    world_drop(&world, thing);
    world_quiesce(&world);
    assert_int_equal(world_blobs(&world), 1);
    world_check(&world);
    world_drop(&world, thing);
    world_quiesce(&world);
    assert_int_equal(world_blobs(&world), 0);
    world_close(&world);
}

static void test_composites_take_their_parts_along(void **unused)
{
    struct world world;
    struct thing *a, *b, *both, *outer;

    (void)unused;
    world_open(&world, 3, 3);
    a = world_put(&world, 100000);
    b = world_put(&world, 200000);
    both = world_compose(&world, a, b);
    outer = world_compose(&world, both, a);
    world_drop(&world, a);
    world_drop(&world, b);
    world_drop(&world, both);
    world_quiesce(&world);
    assert_int_equal(world_blobs(&world), 4);
    world_check(&world);
    world_drop(&world, outer);
    assert_int_equal(world_quiesce(&world).blobs_freed, 4);
    assert_int_equal(world_blobs(&world), 0);
    world_close(&world);
}

static void test_pinned_blobs_stay(void **unused)
{
    struct world world;
    struct thing *thing;
    struct reclaim_status status;
    uint64_t blob;

    (void)unused;
    world_open(&world, 3, 4);
    thing = world_put(&world, 100000);
    blob = thing->blob;
    assert_int_equal(meta_pin_blob(world.meta, blob), 0);
    assert_int_equal(meta_pin_blob(world.meta, blob), 0);
    world_drop(&world, thing);
    status = world_quiesce(&world);
    assert_int_equal(status.blobs_read, 1);
    assert_int_equal(world_blobs(&world), 1);
    meta_unpin_blob(world.meta, blob);
    world_quiesce(&world);
    assert_int_equal(world_blobs(&world), 1);
    meta_unpin_blob(world.meta, blob);
    seal_all(&world);
    status = world_quiesce(&world);
    assert_int_equal(status.blobs_read, 0);
    assert_int_equal(status.bytes, 0);
    assert_int_equal(world_blobs(&world), 0);
    assert_int_equal(meta_pin_blob(world.meta, blob), 0); /* of no record */
    meta_unpin_blob(world.meta, blob);
    assert_true(meta_condemn_blob(world.meta, blob));
    assert_int_equal(meta_pin_blob(world.meta, blob), -ENOENT);
    meta_absolve_blob(world.meta, blob);
    world_close(&world);
}

/* A record without a reference or an entry in the queue: only the walk at the
 * start can find it. */
static void test_lost_blobs_are_found(void **unused)
{
    struct world world;
    struct meta_batch *batch;
    struct thing *thing, *other;

    (void)unused;
    world_open(&world, 3, 5);
    other = world_put(&world, 1000);
    thing = world_put(&world, 100000);
    world_drop(&world, thing);
    thing = world_put(&world, 1000);
    batch = meta_batch_new(world.meta);
    for (uint64_t id = other->blob + 1; id < thing->blob; id++) {
        meta_dequeue_reclaim(batch, id);
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(world_blobs(&world), 3);
    world_quiesce(&world);
    assert_int_equal(world_blobs(&world), 2);
    world_check(&world);
    world_close(&world);
}

static void put_part(struct world *world, const char *upload, unsigned number)
{
    struct meta_batch *batch = meta_batch_new(world->meta);
    struct thing *thing = world_put(world, 1000);
    struct meta_referrer who = {.kind = META_REFERRER_PART,
                                .upload = slice_from_string(upload),
                                .number = number};
    struct meta_referrer object = world_referrer(thing, 0);
    Meta__Part part = META__PART__INIT;

    part.number = number;
    part.blob = thing->blob;
    meta_put_part(batch, 1, who.upload, &part, NULL);
    meta_add_ref(batch, thing->blob, &who);
    meta_drop_ref(batch, thing->blob, &object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    *thing = (struct thing){0};
}

static void test_stray_parts_are_found(void **unused)
{
    struct meta_batch *batch;
    Meta__Upload upload = META__UPLOAD__INIT;
    struct world world;

    (void)unused;
    world_open(&world, 3, 6);
    batch = meta_batch_new(world.meta);
    upload.id.data = (uint8_t *)"there";
    upload.id.len = 5;
    meta_put_upload(batch, 1, SLICE_LITERAL("a\0key"), &upload);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    put_part(&world, "gone", 1);
    put_part(&world, "gone", 7);
    put_part(&world, "there", 1);
    put_part(&world, "zone", 2);
    assert_int_equal(world_quiesce(&world).parts_dropped, 3);
    assert_int_equal(world_blobs(&world), 1);
    world_close(&world);
}

/* --- extents ---------------------------------------------------------------*/
/* What the shards of a blob are in. */
struct place {
    unsigned drive;
    uint64_t extent, offset;
};

static struct place place_of(struct world *world, const struct thing *thing,
                             unsigned shard)
{
    struct arena *arena = arena_new();
    struct place place;
    Meta__Blob *record;

    assert_int_equal(meta_get_blob(world->meta, arena, thing->blob, &record),
                     0);
    place.drive = record->layout->chunks[0]->shards[shard]->drive_plus_one - 1;
    place.extent = record->layout->chunks[0]->shards[shard]->extent;
    place.offset = record->layout->chunks[0]->shards[shard]->offset;
    arena_free(arena);
    return place;
}

/* Fills extents, and leaves one thing in each `keep`. */
static void thin_out(struct world *world, unsigned count, size_t size,
                     unsigned keep)
{
    struct thing *things[WORLD_BLOBS];

    for (unsigned i = 0; i < count; i++) {
        things[i] = world_put(world, size);
    }
    for (unsigned i = 0; i < count; i++) {
        if (i % keep != 0) {
            world_drop(world, things[i]);
        }
    }
}

static void test_little_that_is_live_is_moved(void **unused)
{
    struct world world;
    struct reclaim_status status;

    (void)unused;
    world_open(&world, 6, 7);
    thin_out(&world, 60, 900000, 5);
    thin_out(&world, 100, 3000, 5);
    status = world_quiesce(&world);
    assert_true(status.shards_moved > 0);
    assert_true(status.bytes_moved > 0);
    assert_int_equal(status.shards_bad, 0);
    /* C5 */
    assert_true(status.bytes_moved * 100 <=
                status.bytes_removed * world.live_percent);
    assert_true(status.bytes <= 2 * status.live_bytes + 6 * (2u << 20));
    world_check(&world);
    world_restart(&world, true);
    world_quiesce(&world);
    world_check(&world);
    world_close(&world);
}

/* Where more than the threshold is live nothing moves. */
static void test_much_that_is_live_stays(void **unused)
{
    struct world world;
    struct thing *first;
    struct place before, after;

    (void)unused;
    world_open(&world, 3, 8);
    world.seal_bytes = 0;
    first = world_put(&world, 900000);
    before = place_of(&world, first, 0);
    for (unsigned i = 0; i < 6; i++) {
        struct thing *thing = world_put(&world, 900000);

        if (i % 3 == 0) {
            world_drop(&world, thing);
        }
    }
    seal_all(&world);
    assert_int_equal(world_quiesce(&world).shards_moved, 0);
    after = place_of(&world, first, 0);
    assert_memory_equal(&before, &after, sizeof(before));
    world_close(&world);
}

/* Orphans of writers that never committed: found in extents of an earlier run
 * at once, in those of this one when nobody may commit any more. */
static void test_abandoned_writes_are_found(void **unused)
{
    struct blob_intent intent = {0};
    struct world world;

    (void)unused;
    world_open(&world, 3, 9);
    world_abandon(&world, 500000);
    world_restart(&world, false);
    assert_int_equal(world_quiesce(&world).bytes, 0);
    assert_true(world_quiesce(&world).extents_removed > 0);

    blob_intent_begin(world.fixture.store, &intent);
    world_abandon(&world, 500000);
    seal_all(&world);
    assert_true(world_quiesce(&world).bytes > 500000);
    assert_true(world_quiesce(&world).extents_busy > 0);
    blob_intent_end(world.fixture.store, &intent);
    assert_int_equal(world_quiesce(&world).bytes, 0);
    assert_int_equal(world_quiesce(&world).extents_busy, 0);
    world_close(&world);
}

/* A slow upload: its extent was sealed long before it commits. */
static void test_writers_under_way_are_left_alone(void **unused)
{
    const size_t size = 1500000;
    struct blob_spec spec = {.size = size};
    struct blob_intent intent = {0}, later = {0};
    uint8_t *data = fixture_bytes(5, size);
    struct blob_writer *writer;
    struct meta_batch *batch;
    Meta__Blob record = META__BLOB__INIT;
    struct world world;
    struct thing thing;

    (void)unused;
    world_open(&world, 6, 10);
    spec.blob = meta_next_id(world.meta);
    thing = (struct thing){.blob = spec.blob, .seed = 5, .size = size};
    blob_intent_begin(world.fixture.store, &intent);
    assert_int_equal(blob_writer_open(world.fixture.store, &spec, &writer), 0);
    assert_int_equal(blob_writer_append(writer, data, size - 10), 0);
    world_drop(&world, world_put(&world, 1u << 20));
    seal_all(&world);
    world_quiesce(&world);
    blob_intent_begin(world.fixture.store, &later); /* holds up nothing */
    assert_int_equal(blob_writer_append(writer, data + size - 10, 10), 0);
    assert_int_equal(blob_writer_finish(writer, &record.layout), 0);
    world_quiesce(&world);
    batch = meta_batch_new(world.meta);
    meta_put_blob(batch, spec.blob, &record, 4);
    meta_add_ref(
        batch, spec.blob,
        &(struct meta_referrer){.kind = META_REFERRER_BLOB, .blob = 1});
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    blob_intent_end(world.fixture.store, &intent);
    world_quiesce(&world);
    world_check_thing(&world, &thing);
    world_check(&world);
    blob_intent_end(world.fixture.store, &later);
    fixture_free(record.layout);
    free(data);
    world_close(&world);
}

/* Metadata that is older than the drives does not empty them. */
static void test_old_metadata_removes_nothing(void **unused)
{
    struct world world;

    (void)unused;
    world_open(&world, 3, 11);
    world_put(&world, 500000);
    reclaim_close(world.reclaim);
    meta_close(world.meta);
    world.kv = kv_open_memory(); /* as it was before everything */
    assert_int_equal(meta_open(world.kv, &world.meta), 0);
    /* The first block of ids is used up by looks: but not all of it. */
    fixture_reattach(&world.fixture);
    world_attach(&world);
    {
        uint8_t *data = fixture_bytes(1, 500000);
        Layout__Layout *layout;

        assert_int_equal(fixture_put(&world.fixture, 1000000, data, 500000,
                                     WORLD_PIECE, &layout),
                         0);
        fixture_free(layout);
        free(data);
    }
    seal_all(&world);
    assert_true(world_quiesce(&world).bytes > 500000);
    world_close(&world);
}

static void flip_header(struct world *world, const struct thing *thing,
                        unsigned shard)
{
    struct place place = place_of(world, thing, shard);
    Layout__Locator locator = LAYOUT__LOCATOR__INIT;

    locator.drive_plus_one = place.drive + 1;
    locator.extent = place.extent;
    locator.offset = place.offset - 64;
    fixture_flip(&world->fixture, &locator, 20);
}

/* The header says nothing any more; the layout does. */
static void test_a_lost_header_loses_nothing(void **unused)
{
    struct reclaim_status status;
    struct world world;
    struct thing *kept;

    (void)unused;
    world_open(&world, 3, 12);
    kept = world_put(&world, 300000);
    thin_out(&world, 10, 900000, 20);
    for (unsigned i = 0; i < 3; i++) {
        flip_header(&world, kept, i);
    }
    seal_all(&world);
    status = world_quiesce(&world);
    assert_true(status.extents_removed > 0);
    assert_int_equal(status.shards_bad, 0);
    assert_true(status.bytes <= 2 * status.live_bytes + 3 * 8192);
    world_check(&world);
    world_close(&world);
}

/* A damaged shard is not copied, and its extent stays until it is healed. */
static void test_damage_is_not_moved(void **unused)
{
    Layout__Locator locator = LAYOUT__LOCATOR__INIT;
    struct reclaim_status status;
    struct meta_heal entry = {0};
    struct place place, after;
    struct world world;
    struct thing *kept;

    (void)unused;
    world_open(&world, 3, 13);
    kept = world_put(&world, 300000);
    thin_out(&world, 10, 900000, 20);
    place = place_of(&world, kept, 1);
    locator.drive_plus_one = place.drive + 1;
    locator.extent = place.extent;
    locator.offset = place.offset;
    fixture_flip(&world.fixture, &locator, 70000);
    seal_all(&world);
    status = world_quiesce(&world);
    assert_true(status.shards_bad > 0);
    after = place_of(&world, kept, 1);
    assert_memory_equal(&place, &after, sizeof(place));
    assert_int_equal(meta_next_heal(world.meta, &entry), 0);
    assert_int_equal(entry.blob, kept->blob);
    world_check(&world);
    world_close(&world);
}

/* What is counted is what records take, to the byte but for the last one. */
static void test_small_records_are_counted_whole(void **unused)
{
    struct reclaim_status status;
    struct world world;

    (void)unused;
    world_open(&world, 3, 16);
    for (unsigned i = 0; i < 100; i++) {
        world_put(&world, 1 + 37 * i);
    }
    status = world_quiesce(&world);
    assert_int_equal(status.extents, 3);
    assert_true(status.live_bytes + 3 * 4096 >= status.bytes);
    assert_true(status.live_bytes + 3 * 4096 < status.bytes + 3 * 64);
    world_close(&world);
}

/* A commit of which nobody knows what it did counts if it adds. */
static void count_added(void *count, const Layout__Layout *layout, bool added)
{
    (void)layout;
    *(int *)count += added ? 1 : -1;
}

static void test_doubtful_commits_count(void **unused)
{
    Layout__Layout layout = LAYOUT__LAYOUT__INIT;
    Meta__Blob record = META__BLOB__INIT;
    struct meta_batch *batch;
    struct world world;
    int count = 0;

    (void)unused;
    world_open(&world, 3, 17);
    record.layout = &layout;
    meta_blobs_free(meta_watch_blobs(world.meta, count_added, &count));
    kv_memory_fail_after(world.kv, 0);
    batch = meta_batch_new(world.meta);
    meta_put_blob(batch, 5, &record, 0);
    assert_int_not_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(count, 1);
    batch = meta_batch_new(world.meta);
    meta_delete_blob(batch, 5, &record);
    assert_int_not_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(count, 1);
    world_close(&world);
}

/* Somebody else gives the blob another layout while it is copied (C3). */
struct rival {
    struct world *world;
    uint64_t blob; /* 0: done */
};

static bool replace_layout(void *context)
{
    struct rival *rival = context;
    struct meta *meta = rival->world->meta;
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Blob *old, *record;

    if (rival->blob != 0) {
        assert_int_equal(meta_get_blob(meta, arena, rival->blob, &old), 0);
        assert_int_equal(meta_get_blob(meta, arena, rival->blob, &record), 0);
        record->layout->chunks[0]->shards[1]->drive_plus_one = 0;
        meta_replace_blob(batch, rival->blob, old, record, record->layout->m);
        assert_int_equal(meta_commit(batch), 0);
        rival->blob = 0;
    }
    meta_batch_free(batch);
    arena_free(arena);
    return false;
}

static void test_other_movers_win(void **unused)
{
    struct arena *arena = arena_new();
    Meta__Blob *record;
    struct world world;
    struct rival rival = {.world = &world};
    struct thing *kept;

    (void)unused;
    world_open(&world, 3, 18);
    kept = world_put(&world, 50000);
    for (unsigned i = 0; i < 10; i++) { /* nothing else is moved */
        world_drop(&world, world_put(&world, 900000));
    }
    seal_all(&world);
    rival.blob = kept->blob;
    world.reclaim->options.busy = replace_layout;
    world.reclaim->options.context = &rival;
    world_quiesce(&world);
    assert_int_equal(rival.blob, 0);
    assert_int_equal(meta_get_blob(world.meta, arena, kept->blob, &record), 0);
    assert_int_equal(record->layout->chunks[0]->shards[1]->drive_plus_one, 0);
    world_check(&world);
    arena_free(arena);
    world_close(&world);
}

/* --- readers ---------------------------------------------------------------*/
static atomic_uint reported;

static void on_damage(void *context, uint64_t blob, unsigned chunk,
                      unsigned shard, int error)
{
    (void)context;
    (void)blob;
    (void)chunk;
    (void)shard;
    (void)error;
    atomic_fetch_add(&reported, 1);
}

/* Old layouts: nothing wrong is read, no damage is told. */
static void test_old_layouts_are_told_from_damage(void **unused)
{
    struct arena *arena = arena_new();
    struct world world;
    struct thing *kept;
    Meta__Blob *record;
    uint64_t generation;
    uint8_t byte;

    (void)unused;
    world_open(&world, 6, 14);
    atomic_store(&reported, 0);
    blob_store_on_damage(world.fixture.store, on_damage, NULL);
    kept = world_put(&world, 300000);
    thin_out(&world, 30, 900000, 40);
    generation = blob_generation(world.fixture.store);
    assert_int_equal(meta_get_blob(world.meta, arena, kept->blob, &record), 0);
    seal_all(&world);
    assert_true(world_quiesce(&world).shards_moved > 0);
    assert_true(blob_generation(world.fixture.store) != generation);
    assert_int_equal(
        blob_read(world.fixture.store, record->layout, 0, &byte, 1), -EIO);
    world_check(&world);
    arena_free(arena);
    world_close(&world);
}

struct readers {
    struct world *world;
    atomic_bool stop;
    atomic_uint reads;
};

/* As s3/reader.c does. */
static void read_once(struct readers *readers, const struct thing *thing)
{
    struct world *world = readers->world;
    struct blob_store *store = world->fixture.store;
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

static void *read_on(void *context)
{
    struct readers *readers = context;

    while (!atomic_load(&readers->stop)) {
        for (unsigned i = 0; i < 8; i++) { /* what stays */
            read_once(readers, &readers->world->things[i]);
        }
    }
    return NULL;
}

static void test_readers_do_not_notice(void **unused)
{
    struct world world;
    struct readers readers = {.world = &world};
    pthread_t threads[3];

    (void)unused;
    world_open(&world, 6, 15);
    atomic_store(&reported, 0);
    blob_store_on_damage(world.fixture.store, on_damage, NULL);
    for (unsigned i = 0; i < 8; i++) {
        world_put(&world, 100 + 60000 * i);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers),
                         0);
    }
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 12; i++) {
            world_drop(&world, world_put(&world, 400000));
        }
        seal_all(&world);
        world_pass(&world);
    }
    atomic_store(&readers.stop, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(atomic_load(&readers.reads) > 0);
    assert_int_equal(atomic_load(&reported), 0);
    {
        struct reclaim_status status = world_quiesce(&world);

        assert_true(status.shards_moved > 0);
        assert_true(status.extents_removed > 6);
    }
    world_check(&world);
    world_close(&world);
}

/* --- histories -------------------------------------------------------------*/
static void step(struct world *world)
{
    struct thing *a = pick(world), *b = pick(world);

    switch (fixture_random(&world->random) % 12) {
    case 0:
    case 1:
    case 2:
    case 3:
        world_put(world, any_size(world));
        break;
    case 4:
    case 5:
    case 6:
        if (a != NULL) {
            world_drop(world, a);
        }
        break;
    case 7:
        if (a != NULL) {
            world_share(world, a);
        }
        break;
    case 8:
        if (a != NULL && a != b) {
            world_compose(world, a, b);
            world_drop(world, a);
            world_drop(world, b);
        }
        break;
    case 9:
        world_abandon(world, any_size(world));
        break;
    case 10:
        world_pass(world);
        break;
    default:
        if (fixture_random(&world->random) % 6 == 0) {
            world_restart(world, fixture_random(&world->random) % 2 == 0);
        }
    }
}

static void test_histories(void **unused)
{
    static const unsigned drives[] = {6, 3, 1, 2, 8, 4};

    (void)unused;
    for (unsigned seed = 1; seed <= 6; seed++) {
        struct reclaim_status status;
        struct world world;

        world_open(&world, drives[seed - 1], seed);
        for (unsigned i = 0; i < 150; i++) {
            step(&world);
            if (i % 25 == 24) {
                world_pass(&world);
                world_check(&world);
            }
        }
        seal_all(&world);
        status = world_quiesce(&world);
        world_check(&world);
        assert_true(status.bytes <=
                    2 * status.live_bytes + drives[seed - 1] * (2u << 20));
        for (struct thing *thing; (thing = pick(&world)) != NULL;) {
            world_drop(&world, thing);
        }
        seal_all(&world);
        status = world_quiesce(&world);
        assert_int_equal(world_blobs(&world), 0);
        assert_int_equal(status.bytes, 0);
        world_close(&world);
    }
}

/* --- crashes ---------------------------------------------------------------*/
/* Little in extents of an earlier run, much of it garbage, and some in the
 * queue. */
static void prepare(struct world *world)
{
    world_open(world, 3, 99);
    world_put(world, 500);
    world_put(world, 200000);
    thin_out(world, 6, 700000, 6);
    world_restart(world, false);
    world_put(world, 30000);
    thin_out(world, 3, 300000, 3);
    world_drop(world, world_compose(world, pick(world), pick(world)));
}

/* The drives fail at one call of a pass, or everything ends there. */
static void test_power_cuts_at_any_call(void **unused)
{
    struct world world;
    uint64_t calls;

    (void)unused;
    prepare(&world);
    calls = io_sim_calls(world.fixture.io);
    world_pass(&world);
    calls = io_sim_calls(world.fixture.io) - calls;
    world_close(&world);
    assert_true(calls > 100);
    for (uint64_t at = 0; at < calls;
         at += (1 + calls / 150) * FIXTURE_CUTS_SHARE) {
        prepare(&world);
        io_sim_fail_after(world.fixture.io, at, EIO,
                          at % 2 == 0 ? UINT64_MAX : 1);
        reclaim_pass(world.reclaim);
        io_sim_fail_after(world.fixture.io, 0, 0, 0);
        world_restart(&world, true);
        world_pass(&world);
        world_check(&world);
        seal_all(&world);
        world_quiesce(&world);
        world_check(&world);
        world_close(&world);
    }
}

/* Commits fail from one of them on; what they did is not known. */
static void test_commits_that_fail(void **unused)
{
    (void)unused;
    for (unsigned at = 0; at < 12; at++) {
        struct world world;

        prepare(&world);
        kv_memory_fail_after(world.kv, at);
        reclaim_pass(world.reclaim);
        reclaim_pass(world.reclaim);
        for (unsigned i = 0; i < WORLD_BLOBS; i++) {
            if (world.things[i].blob != 0) {
                world_check_thing(&world, &world.things[i]);
            }
        }
        world_close(&world);
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
        cmocka_unit_test(test_space_of_dropped_blobs_comes_back),
        cmocka_unit_test(test_shared_blobs_stay_until_the_last),
        cmocka_unit_test(test_composites_take_their_parts_along),
        cmocka_unit_test(test_pinned_blobs_stay),
        cmocka_unit_test(test_lost_blobs_are_found),
        cmocka_unit_test(test_stray_parts_are_found),
        cmocka_unit_test(test_little_that_is_live_is_moved),
        cmocka_unit_test(test_much_that_is_live_stays),
        cmocka_unit_test(test_abandoned_writes_are_found),
        cmocka_unit_test(test_writers_under_way_are_left_alone),
        cmocka_unit_test(test_old_metadata_removes_nothing),
        cmocka_unit_test(test_a_lost_header_loses_nothing),
        cmocka_unit_test(test_damage_is_not_moved),
        cmocka_unit_test(test_small_records_are_counted_whole),
        cmocka_unit_test(test_doubtful_commits_count),
        cmocka_unit_test(test_other_movers_win),
        cmocka_unit_test(test_old_layouts_are_told_from_damage),
        cmocka_unit_test(test_readers_do_not_notice),
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_power_cuts_at_any_call),
        cmocka_unit_test(test_commits_that_fail),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
