/*
 * Drives, metadata and a reclaimer without a thread; and what should be
 * stored, in a list.
 */
#ifndef CARE_RECLAIM_FIXTURE_H
#define CARE_RECLAIM_FIXTURE_H

#include "blob_fixture.h"

#include "care/reclaim_private.h"

#define WORLD_BLOBS 512u
#define WORLD_PIECE 65536u

struct thing {
    uint64_t blob; /* 0: free */
    uint64_t seed;
    size_t size;
    unsigned references; /* bits */
    uint64_t parts[2];   /* of a composite: places in the list plus one */
};

struct world {
    struct fixture fixture;
    struct kv *kv;
    struct meta *meta;
    struct reclaim *reclaim;
    struct thing things[WORLD_BLOBS];
    uint64_t random;
    unsigned live_percent;
    uint64_t seal_bytes;
};

static inline void world_attach(struct world *world)
{
    const struct reclaim_options options = {
        .meta = world->meta,
        .blobs = world->fixture.store,
        .drives = world->fixture.drives,
        .drive_count = world->fixture.count,
        .rate = 1ull << 40,
        .live_percent = world->live_percent,
        .seal_bytes = world->seal_bytes,
    };

    world->reclaim = reclaim_open(&options);
}

static inline void world_open(struct world *world, unsigned drives,
                              uint64_t seed)
{
    *world = (struct world){.random = seed * 0x9e3779b97f4a7c15ull + 1,
                            .live_percent = 50,
                            .seal_bytes = 1u << 20};
    fixture_open(&world->fixture, drives, seed);
    world->kv = kv_open_memory();
    assert_int_equal(meta_open(world->kv, &world->meta), 0);
    world_attach(world);
}

static inline void world_close(struct world *world)
{
    reclaim_close(world->reclaim);
    fixture_close(&world->fixture);
    meta_close(world->meta);
}

/* s3d ends and begins anew; with a power cut, drives keep what was synced. */
static inline void world_restart(struct world *world, bool power_cut)
{
    reclaim_close(world->reclaim);
    if (power_cut) {
        io_sim_crash(world->fixture.io);
    }
    fixture_reattach(&world->fixture);
    world_attach(world);
}

static inline struct meta_referrer world_referrer(const struct thing *thing,
                                                  unsigned number)
{
    return (struct meta_referrer){.kind = META_REFERRER_OBJECT,
                                  .bucket = 1,
                                  .key = SLICE_LITERAL("key"),
                                  .sequence = thing->blob * 32 + number};
}

static inline struct thing *world_free_place(struct world *world)
{
    for (unsigned i = 0; i < WORLD_BLOBS; i++) {
        if (world->things[i].blob == 0) {
            return &world->things[i];
        }
    }
    fail();
    return NULL;
}

/* NULL: it was not stored. */
static inline struct thing *world_put(struct world *world, size_t size)
{
    struct thing *thing = world_free_place(world);
    struct meta_batch *batch = meta_batch_new(world->meta);
    Meta__Blob record = META__BLOB__INIT;
    struct blob_intent intent = {0};
    struct thing made = {.blob = meta_next_id(world->meta),
                         .seed = fixture_random(&world->random),
                         .size = size,
                         .references = 1};
    uint8_t *data = fixture_bytes(made.seed, size);
    Layout__Layout *layout;
    int error;

    blob_intent_begin(world->fixture.store, &intent);
    error = fixture_put(&world->fixture, made.blob, data, size, WORLD_PIECE,
                        &layout);
    if (error == 0) {
        struct meta_referrer who = world_referrer(&made, 0);

        record.layout = layout;
        meta_put_blob(batch, made.blob, &record, blob_losses_left(layout));
        meta_add_ref(batch, made.blob, &who);
        assert_int_equal(meta_commit(batch), 0);
        *thing = made;
        fixture_free(layout);
    }
    blob_intent_end(world->fixture.store, &intent);
    meta_batch_free(batch);
    free(data);
    return error == 0 ? thing : NULL;
}

/* As a copy that shares bytes does. */
static inline void world_share(struct world *world, struct thing *thing)
{
    struct meta_batch *batch = meta_batch_new(world->meta);
    unsigned number = (unsigned)__builtin_ctz(~thing->references);
    struct meta_referrer who = world_referrer(thing, number);

    if (number < 31) {
        meta_blob_lock(world->meta, thing->blob);
        meta_add_ref(batch, thing->blob, &who);
        assert_int_equal(meta_commit(batch), 0);
        meta_blob_unlock(world->meta, thing->blob);
        thing->references |= 1u << number;
    }
    meta_batch_free(batch);
}

static inline bool world_is_part(const struct world *world,
                                 const struct thing *thing)
{
    uint64_t place = (uint64_t)(thing - world->things) + 1;

    for (unsigned i = 0; i < WORLD_BLOBS; i++) {
        if (world->things[i].blob != 0 &&
            (world->things[i].parts[0] == place ||
             world->things[i].parts[1] == place)) {
            return true;
        }
    }
    return false;
}

/* Takes things out of the list that nothing leads to any more. */
static inline void world_sweep(struct world *world)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (unsigned i = 0; i < WORLD_BLOBS; i++) {
            struct thing *thing = &world->things[i];

            if (thing->blob != 0 && thing->references == 0 &&
                !world_is_part(world, thing)) {
                *thing = (struct thing){0};
                changed = true;
            }
        }
    }
}

/* Drops one reference. */
static inline void world_drop(struct world *world, struct thing *thing)
{
    struct meta_batch *batch = meta_batch_new(world->meta);
    unsigned number = (unsigned)__builtin_ctz(thing->references);
    struct meta_referrer who = world_referrer(thing, number);

    meta_drop_ref(batch, thing->blob, &who);
    assert_int_equal(meta_commit(batch), 0);
    thing->references &= ~(1u << number);
    meta_batch_free(batch);
    world_sweep(world);
}

/* What a completed upload is: the parts' own references go. */
static inline struct thing *world_compose(struct world *world, struct thing *a,
                                          struct thing *b)
{
    struct thing *thing = world_free_place(world);
    struct meta_batch *batch = meta_batch_new(world->meta);
    struct thing made = {.blob = meta_next_id(world->meta),
                         .references = 1,
                         .size = a->size + b->size,
                         .parts = {(uint64_t)(a - world->things) + 1,
                                   (uint64_t)(b - world->things) + 1}};
    struct meta_referrer composite = {.kind = META_REFERRER_BLOB,
                                      .blob = made.blob};
    struct meta_referrer who = world_referrer(&made, 0);
    Meta__Part parts[2] = {META__PART__INIT, META__PART__INIT};
    Meta__Part *list[2] = {&parts[0], &parts[1]};
    Meta__Blob record = META__BLOB__INIT;
    struct thing *each[2] = {a, b};

    for (unsigned i = 0; i < 2; i++) {
        parts[i].number = i + 1;
        parts[i].blob = each[i]->blob;
        parts[i].size = each[i]->size;
        meta_add_ref(batch, each[i]->blob, &composite);
    }
    record.n_parts = 2;
    record.parts = list;
    meta_put_blob(batch, made.blob, &record, 0);
    meta_add_ref(batch, made.blob, &who);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    *thing = made;
    return thing;
}

/* A writer that never commits. */
static inline void world_abandon(struct world *world, size_t size)
{
    uint8_t *data = fixture_bytes(1, size);
    Layout__Layout *layout;

    if (fixture_put(&world->fixture, meta_next_id(world->meta), data, size,
                    WORLD_PIECE, &layout) == 0) {
        fixture_free(layout);
    }
    free(data);
}

/* --- the reference ---------------------------------------------------------*/
static inline void world_check_thing(struct world *world,
                                     const struct thing *thing)
{
    struct arena *arena = arena_new();
    Meta__Blob *record;
    uint8_t *data;

    assert_int_equal(meta_get_blob(world->meta, arena, thing->blob, &record),
                     0);
    if (thing->parts[0] != 0) {
        assert_int_equal(record->n_parts, 2);
    } else {
        data = fixture_bytes(thing->seed, thing->size);
        assert_int_equal(record->layout->size, thing->size);
        fixture_check(&world->fixture, record->layout, data);
        free(data);
    }
    arena_free(arena);
}

struct tally {
    struct world *world;
    struct reclaim *recount; /* only its table */
    uint64_t bytes;          /* of files */
};

static inline void tally_shard(void *context, const struct blob_shard *shard)
{
    struct tally *tally = context;
    struct counted **at = &tally->recount->count[0];

    while (*at != NULL &&
           ((*at)->drive != shard->drive || (*at)->extent != shard->extent)) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = xcalloc(1, sizeof(**at));
        (*at)->drive = shard->drive;
        (*at)->extent = shard->extent;
    }
    (*at)->live += (int64_t)shard->bytes;
}

/* Every blob in the metadata is in the list or queued, every one of the list
 * is whole, and the count is what a recount gives. */
static inline void world_check(struct world *world)
{
    struct tally tally = {world, xcalloc(1, sizeof(*tally.recount)), 0};
    struct arena *arena = arena_new();
    uint64_t blob = 0;
    Meta__Blob *record;
    int64_t counted = 0;

    for (unsigned i = 0; i < WORLD_BLOBS; i++) {
        if (world->things[i].blob != 0) {
            world_check_thing(world, &world->things[i]);
        }
    }
    while (meta_next_blob(world->meta, arena, blob, &blob, &record) == 0) {
        if (record->layout != NULL) {
            assert_int_equal(blob_shards(record->layout, tally_shard, &tally),
                             0);
        }
    }
    for (struct counted *c = tally.recount->count[0]; c != NULL; c = c->next) {
        assert_int_equal(count_live(world->reclaim, c->drive, c->extent),
                         c->live);
        counted += c->live;
    }
    for (unsigned i = 0; i < COUNT_BUCKETS; i++) {
        for (struct counted *c = world->reclaim->count[i]; c != NULL;
             c = c->next) {
            assert_true(c->live >= 0);
            counted -= c->live;
        }
    }
    assert_int_equal(counted, 0);
    count_free(tally.recount);
    free(tally.recount);
    arena_free(arena);
}

/* Blobs with a record. */
static inline unsigned world_blobs(struct world *world)
{
    struct arena *arena = arena_new();
    uint64_t blob = 0;
    Meta__Blob *record;
    unsigned count = 0;

    while (meta_next_blob(world->meta, arena, blob, &blob, &record) == 0) {
        count++;
    }
    arena_free(arena);
    return count;
}

static inline void world_pass(struct world *world)
{
    assert_int_equal(reclaim_pass(world->reclaim), 0);
}

/* Passes until nothing changes; gives the last one's status. */
static inline struct reclaim_status world_quiesce(struct world *world)
{
    struct reclaim_status before, after;

    world_pass(world);
    do {
        reclaim_status(world->reclaim, &before);
        world_pass(world);
        reclaim_status(world->reclaim, &after);
        assert_true(after.passes < 100);
    } while (after.bytes_removed != before.bytes_removed ||
             after.blobs_freed != before.blobs_freed);
    return after;
}

#endif
