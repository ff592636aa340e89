/* Blobs on simulated drives, their records in a store in memory, and care. */
#ifndef CARE_FIXTURE_H
#define CARE_FIXTURE_H

#include "blob_fixture.h"
#include "care/private.h"

#include <unistd.h>

#define CARE_DRIVES 6
#define CARE_BLOBS  4

/* Copies, a short stripe, and several chunks of a code. */
static const size_t care_sizes[CARE_BLOBS] = {1, 5000, BLOB_SMALL_MAX + 1,
                                              FIXTURE_CHUNK + 70001};

struct care_fixture {
    struct fixture fixture;
    struct meta *meta;
    struct kv *kv;
    struct care *care;
    struct care_options options;
    uint8_t *data[CARE_BLOBS]; /* of blob i + 1 */
};

static inline void care_commit_blob(struct care_fixture *f, uint64_t blob,
                                    Layout__Layout *layout)
{
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Blob record = META__BLOB__INIT;

    record.layout = layout;
    meta_put_blob(batch, blob, &record, blob_losses_left(layout));
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static inline void care_put(struct care_fixture *f, uint64_t blob,
                            const uint8_t *data, size_t size)
{
    Layout__Layout *layout;

    assert_int_equal(fixture_put(&f->fixture, blob, data, size, 65536, &layout),
                     0);
    care_commit_blob(f, blob, layout);
    fixture_free(layout);
}

static inline void care_fixture_open(struct care_fixture *f, unsigned drives,
                                     uint64_t seed)
{
    *f = (struct care_fixture){0};
    fixture_open(&f->fixture, drives, seed);
    f->kv = kv_open_memory();
    assert_int_equal(meta_open(f->kv, &f->meta), 0);
    while (meta_next_id(f->meta) < 10000) { /* tests number blobs below it */
    }
    for (unsigned i = 0; i < CARE_BLOBS; i++) {
        f->data[i] = fixture_bytes(i + 10, care_sizes[i]);
        care_put(f, i + 1, f->data[i], care_sizes[i]);
    }
    f->options = (struct care_options){
        .meta = f->meta,
        .heal_workers = 2,
        .heal_rate = 1ull << 40,
        .scrub_rate = 1ull << 40,
        .scrub_period_s = 3600,
    };
}

static inline void care_start_slowly(struct care_fixture *f)
{
    f->options.blobs = f->fixture.store;
    f->options.drives = f->fixture.drives;
    f->options.drive_count = f->fixture.count;
    f->care = care_open(&f->options);
}

/* And a pass at the full rate. */
static inline void care_start(struct care_fixture *f)
{
    care_start_slowly(f);
    care_scrub_start(f->care);
}

static inline void care_stop(struct care_fixture *f)
{
    care_close(f->care);
    f->care = NULL;
}

static inline void care_fixture_close(struct care_fixture *f)
{
    care_stop(f);
    meta_close(f->meta);
    for (unsigned i = 0; i < CARE_BLOBS; i++) {
        free(f->data[i]);
    }
    fixture_close(&f->fixture);
}

/* The layout in the metadata; to be freed with the arena. */
static inline const Layout__Layout *care_layout(struct care_fixture *f,
                                                struct arena *arena,
                                                uint64_t blob)
{
    Meta__Blob *record;

    assert_int_equal(meta_get_blob(f->meta, arena, blob, &record), 0);
    return record->layout;
}

static inline struct care_status care_now(struct care_fixture *f,
                                          struct arena *arena)
{
    struct care_status status;

    assert_int_equal(care_status(f->care, arena, &status), 0);
    return status;
}

/* Waits for what the status shows; false after a minute. */
static inline bool care_until(struct care_fixture *f,
                              bool (*seen)(const struct care_status *status))
{
    for (unsigned i = 0; i < 60000; i++) {
        struct arena *arena = arena_new();
        struct care_status status = care_now(f, arena);
        bool is = seen(&status);

        arena_free(arena);
        if (is) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

static inline bool care_is_full(const struct care_status *status)
{
    return status->fully_redundant;
}

/* A blank drive in the place of another; care must not run. */
static inline void care_replace(struct care_fixture *f, unsigned drive)
{
    struct drive_config config;
    char directory[16];

    fixture_detach(&f->fixture);
    fixture_config(drive, &config, directory);
    io_sim_wipe(f->fixture.io, directory);
    assert_int_equal(drive_format(f->fixture.io, &config, fixture_cluster), 0);
    assert_int_equal(fixture_attach(&f->fixture), 0);
}

/* Flips a byte of one shard of a chunk. */
static inline void care_rot(struct care_fixture *f, uint64_t blob,
                            unsigned chunk, unsigned shard)
{
    struct arena *arena = arena_new();

    fixture_flip(&f->fixture,
                 care_layout(f, arena, blob)->chunks[chunk]->shards[shard], 0);
    arena_free(arena);
}

static inline void care_check(struct care_fixture *f)
{
    struct arena *arena = arena_new();

    for (unsigned i = 0; i < CARE_BLOBS; i++) {
        fixture_check(&f->fixture, care_layout(f, arena, i + 1), f->data[i]);
    }
    arena_free(arena);
}

/* The oracle: no shard is bad, and with any two drives less every byte is
 * there. Care must not run. */
static inline void care_check_whole(struct care_fixture *f)
{
    struct arena *arena = arena_new();

    for (unsigned i = 0; i < CARE_BLOBS; i++) {
        assert_int_equal(fixture_bad(&f->fixture, care_layout(f, arena, i + 1)),
                         0);
    }
    arena_free(arena);
    for (unsigned a = 0; a < CARE_DRIVES; a++) {
        for (unsigned b = a + 1; b < CARE_DRIVES; b++) {
            char one[16], other[16];

            snprintf(one, sizeof(one), "/d%02u", a);
            snprintf(other, sizeof(other), "/d%02u", b);
            io_sim_fail_path(f->fixture.io, one, EIO);
            io_sim_fail_path(f->fixture.io, other, EIO);
            care_check(f);
            io_sim_fail_path(f->fixture.io, one, 0);
            io_sim_fail_path(f->fixture.io, other, 0);
        }
    }
}

#endif
