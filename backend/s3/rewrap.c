/*
 * The walk that wraps object keys anew after their master key was rotated.
 *
 * Bucket by bucket, uploads first: what completes meanwhile is an object
 * behind them. A batch asks the providers while it holds no lock; under the
 * locks of its keys it changes the records that are still as they were, and
 * its own progress in the same commit. So a batch that was cut short is done
 * again, and what was overwritten or deleted meanwhile stays so.
 */
#include "s3/s3.h"
#include "s3/sse.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define EXAMINED_PER_COMMIT 1000u
#define WAIT_US             (10 * UINT64_C(1000000)) /* after an error */

struct s3_rewrap {
    struct s3_service *service;
    pthread_mutex_t lock; /* whoever changes the progress */
    atomic_bool under_way, waits;
    _Atomic uint64_t due_us;
};

/* A version that wraps now, as it was asked of a provider. */
struct newest {
    struct newest *next;
    struct crypt_provider *provider;
    struct slice name;
    uint64_t version;
    int error;
};

/* Where a record is, and what it is to have. */
struct moved {
    struct slice key;
    uint64_t sequence;   /* of an object */
    struct slice upload; /* of an upload */
    const Meta__Encryption *from;
    Meta__Encryption *to;
};

struct batch {
    struct s3_service *service;
    struct arena *arena;
    Meta__Rewrap *progress;
    uint64_t bucket;
    struct newest *newest;
    struct moved moved[META_KEYS_LOCKED_MAX];
    struct slice keys[META_KEYS_LOCKED_MAX];
    size_t count;
    size_t examined;
};

/* --- one envelope ----------------------------------------------------------*/
/* Each provider is asked once a batch. */
static int newest_version(struct batch *batch, struct crypt_provider *provider,
                          struct slice name, uint64_t *version)
{
    struct newest *known = batch->newest;

    while (known != NULL &&
           (known->provider != provider || !slice_equal(known->name, name))) {
        known = known->next;
    }
    if (known == NULL) {
        known = arena_alloc(batch->arena, sizeof(*known));
        *known = (struct newest){
            .next = batch->newest,
            .provider = provider,
            .name = arena_copy(batch->arena, name.data, name.size)};
        known->error = crypt_newest_version(provider, name, &known->version);
        batch->newest = known;
    }
    *version = known->version;
    return known->error;
}

static Meta__Encryption *with_envelope(struct arena *arena,
                                       const Meta__Encryption *record,
                                       const struct crypt_envelope *envelope)
{
    Meta__Encryption *copy = arena_alloc(arena, sizeof(*copy));

    *copy = *record;
    copy->key_id =
        pb_bytes(arena_copy(arena, envelope->key_id, strlen(envelope->key_id)));
    copy->wrapped =
        pb_bytes(arena_copy(arena, envelope->wrapped, envelope->size));
    return copy;
}

/* *fresh == NULL: it is under the newest version, or a customer's. */
static int rewrap(struct batch *batch, const Meta__Encryption *record,
                  Meta__Encryption **fresh)
{
    struct crypt_provider *provider;
    struct crypt_envelope envelope;
    uint64_t version, newest;
    struct slice name;
    int error;

    *fresh = NULL;
    if (record == NULL || record->mode == META__ENCRYPTION_MODE__SSE_C) {
        return 0;
    }
    error = sse_envelope(record, &envelope);
    if (error == 0) {
        error = crypt_wrapping_key(&envelope, &name, &version);
    }
    if (error != 0) {
        return error;
    }
    provider = sse_provider(batch->service, record, &envelope);
    if (provider == NULL || !crypt_wrapped_by(provider, &envelope)) {
        return -ENOENT;
    }
    error = newest_version(batch, provider, name, &newest);
    if (error != 0 || version >= newest) {
        return error;
    }
    error = crypt_rewrap(provider, provider, name, pb_slice(record->bound),
                         &envelope);
    if (error == 0) {
        *fresh = with_envelope(batch->arena, record, &envelope);
    }
    return error;
}

/* --- one batch -------------------------------------------------------------*/
static void count_failed(struct batch *batch, int error)
{
    const ProtobufCBinaryData *bucket = &batch->progress->bucket;

    log_warn("rewrap: an object key of bucket %.*s stays as it is: %s",
             (int)bucket->len, (const char *)bucket->data, strerror(-error));
    batch->progress->failed++;
}

static void count_examined(struct batch *batch)
{
    batch->progress->examined++;
    batch->examined++;
}

/* A record that cannot be read; other errors end the batch. */
static int pass_over(struct batch *batch, int error)
{
    if (error != -EBADMSG) {
        return error;
    }
    count_failed(batch, error);
    count_examined(batch);
    return 0;
}

/* -EAGAIN: the provider cannot be reached, and the walk stays before it. */
static int examine(struct batch *batch, struct moved at)
{
    Meta__Rewrap *progress = batch->progress;
    int error = rewrap(batch, at.from, &at.to);

    if (error == -EAGAIN) {
        return error;
    }
    if (error != 0) {
        count_failed(batch, error);
    } else if (at.to != NULL) {
        batch->keys[batch->count] = at.key;
        batch->moved[batch->count++] = at;
    }
    progress->key = pb_bytes(at.key);
    progress->sequence = at.sequence;
    progress->upload_id = pb_bytes(at.upload);
    count_examined(batch);
    return 0;
}

static bool room(const struct batch *batch)
{
    return batch->examined < EXAMINED_PER_COMMIT &&
           batch->count < META_KEYS_LOCKED_MAX;
}

static int examine_object(struct batch *batch, struct meta_scan *scan)
{
    struct slice key = meta_scan_key(scan);
    Meta__Object *object;
    int error = meta_scan_object(scan, batch->arena, &object);

    if (error != 0) {
        return pass_over(batch, error);
    }
    return examine(batch, (struct moved){.key = arena_copy(batch->arena,
                                                           key.data, key.size),
                                         .sequence = object->sequence,
                                         .from = object->encryption});
}

static int examine_upload(struct batch *batch, struct meta_scan *scan)
{
    struct slice key = meta_scan_key(scan);
    Meta__Upload *upload;
    int error = meta_scan_upload(scan, batch->arena, &upload);

    if (error != 0) {
        return pass_over(batch, error);
    }
    if (slice_equal(key, pb_slice(batch->progress->key)) &&
        slice_compare(pb_slice(upload->id),
                      pb_slice(batch->progress->upload_id)) <= 0) {
        return 0; /* this one was examined before */
    }
    return examine(batch, (struct moved){.key = arena_copy(batch->arena,
                                                           key.data, key.size),
                                         .upload = pb_slice(upload->id),
                                         .from = upload->encryption});
}

/* From the progress on. *end: nothing of this kind is left in the bucket. */
static int collect(struct batch *batch, bool *end)
{
    const Meta__Rewrap *progress = batch->progress;
    struct meta *meta = batch->service->meta;
    struct slice key = pb_slice(progress->key);
    struct meta_scan *scan = progress->objects
                                 ? meta_scan_objects(meta, batch->bucket)
                                 : meta_scan_uploads(meta, batch->bucket);
    int error = 0;

    if (key.size > 0 && progress->objects) {
        meta_scan_seek_older(scan, key, progress->sequence);
    } else if (key.size > 0) {
        meta_scan_seek(scan, key);
    }
    while (error == 0 && room(batch) && meta_scan_valid(scan)) {
        error = progress->objects ? examine_object(batch, scan)
                                  : examine_upload(batch, scan);
        if (error == 0) {
            meta_scan_next(scan);
        }
    }
    *end = !meta_scan_valid(scan);
    if (error == 0) {
        error = meta_scan_error(scan);
    }
    meta_scan_free(scan);
    return error;
}

static bool is_as_it_was(const Meta__Encryption *now, const struct moved *moved)
{
    return now != NULL &&
           slice_equal(pb_slice(now->wrapped), pb_slice(moved->from->wrapped));
}

/* Under the key's lock. What is gone or another now is left alone. */
static int change(struct batch *batch, struct meta_batch *writes,
                  const struct moved *moved)
{
    struct meta *meta = batch->service->meta;
    Meta__Encryption **encryption = NULL;
    Meta__Object *object = NULL;
    Meta__Upload *upload = NULL;
    int error;

    if (batch->progress->objects) {
        error = meta_get_version(meta, batch->arena, batch->bucket, moved->key,
                                 moved->sequence, &object);
        encryption = error == 0 ? &object->encryption : NULL;
    } else {
        error = meta_get_upload(meta, batch->arena, batch->bucket, moved->key,
                                moved->upload, &upload);
        encryption = error == 0 ? &upload->encryption : NULL;
    }
    if (error != 0 || !is_as_it_was(*encryption, moved)) {
        return error == -ENOENT ? 0 : error;
    }
    *encryption = moved->to;
    if (object != NULL) {
        meta_put_object(writes, batch->bucket, moved->key, object);
    } else {
        meta_put_upload(writes, batch->bucket, moved->key, upload);
    }
    batch->progress->rewrapped++;
    return 0;
}

/* Moves on to what comes after this kind of record in this bucket. */
static void turn_over(struct batch *batch)
{
    Meta__Rewrap *progress = batch->progress;

    if (progress->objects) { /* the next name */
        struct slice name = pb_slice(progress->bucket);
        uint8_t *after = arena_alloc(batch->arena, name.size + 1);

        memcpy(after, name.data, name.size);
        after[name.size] = 0;
        progress->bucket = pb_bytes(slice_of(after, name.size + 1));
    }
    progress->objects = !progress->objects;
    progress->key = progress->upload_id = pb_bytes(slice_of("", 0));
    progress->sequence = 0;
}

static int write_batch(struct batch *batch, bool end)
{
    struct meta *meta = batch->service->meta;
    struct meta_batch *writes = meta_batch_new(meta);
    int error = 0;

    if (batch->count > 0) {
        meta_key_lock_many(meta, batch->bucket, batch->keys, batch->count);
    }
    for (size_t i = 0; i < batch->count && error == 0; i++) {
        error = change(batch, writes, &batch->moved[i]);
    }
    if (end) {
        turn_over(batch);
    }
    if (error == 0) {
        meta_put_rewrap(writes, batch->progress);
        error = meta_commit(writes);
    }
    if (batch->count > 0) {
        meta_key_unlock_many(meta, batch->bucket, batch->keys, batch->count);
    }
    meta_batch_free(writes);
    return error;
}

/* --- the walk --------------------------------------------------------------*/
/* The bucket where it is. -ENOENT: there is none left. */
static int find_bucket(struct batch *batch)
{
    Meta__Rewrap *progress = batch->progress;
    struct meta_scan *scan =
        meta_scan_buckets(batch->service->meta, pb_slice(progress->bucket));
    Meta__Bucket *bucket;
    int error = meta_scan_error(scan);

    if (error == 0 && !meta_scan_valid(scan)) {
        error = -ENOENT;
    } else if (error == 0) {
        error = meta_scan_bucket(scan, batch->arena, &bucket);
    }
    meta_scan_free(scan);
    if (error != 0) {
        return error;
    }
    if (!slice_equal(pb_slice(progress->bucket), pb_slice(bucket->name))) {
        progress->bucket = bucket->name;
        progress->objects = false;
        progress->key = progress->upload_id = pb_bytes(slice_of("", 0));
        progress->sequence = 0;
    }
    batch->bucket = bucket->id;
    return 0;
}

static int complete(struct s3_rewrap *walk, struct batch *batch)
{
    Meta__Rewrap *progress = batch->progress;
    struct meta_batch *writes = meta_batch_new(walk->service->meta);

    progress->completed_ms = clock_wall_ms();
    meta_put_rewrap(writes, progress);
    int error = meta_commit(writes);
    meta_batch_free(writes);
    if (error == 0) {
        atomic_store(&walk->under_way, false);
        log_info("rewrap: done: %llu examined, %llu rewrapped, %llu failed",
                 (unsigned long long)progress->examined,
                 (unsigned long long)progress->rewrapped,
                 (unsigned long long)progress->failed);
    }
    return error;
}

/* Under the walk's lock. */
static int run_batch(struct s3_rewrap *walk, struct arena *arena)
{
    struct batch batch = {.service = walk->service, .arena = arena};
    int error = meta_get_rewrap(walk->service->meta, arena, &batch.progress);
    bool end = false;

    if (error != 0) {
        return error;
    }
    error = find_bucket(&batch);
    if (error == -ENOENT) {
        return complete(walk, &batch);
    }
    if (error != 0) {
        return error;
    }
    int collected = collect(&batch, &end);
    if (collected != 0 && collected != -EAGAIN) {
        return collected;
    }
    error = write_batch(&batch, collected == 0 && end);
    return error != 0 ? error : collected;
}

void s3_rewrap_run(struct s3_rewrap *walk, unsigned for_ms)
{
    const uint64_t until_us = clock_monotonic_us() + for_ms * UINT64_C(1000);
    int error = 0;

    while (error == 0 && atomic_load(&walk->under_way) &&
           clock_monotonic_us() < until_us) {
        struct arena *arena = arena_new();

        pthread_mutex_lock(&walk->lock);
        error = run_batch(walk, arena);
        pthread_mutex_unlock(&walk->lock);
        arena_free(arena);
    }
    if (error != 0) {
        log_warn("rewrap: waits: %s", strerror(-error));
        atomic_store(&walk->due_us, clock_monotonic_us() + WAIT_US);
    }
    atomic_store(&walk->waits, error != 0);
}

bool s3_rewrap_due(struct s3_rewrap *walk)
{
    return atomic_load(&walk->under_way) &&
           clock_monotonic_us() >= atomic_load(&walk->due_us);
}

/* --- from outside ----------------------------------------------------------*/
int s3_rewrap_start(struct s3_rewrap *walk)
{
    struct meta_batch *writes = meta_batch_new(walk->service->meta);
    Meta__Rewrap progress = META__REWRAP__INIT;
    int error;

    progress.started_ms = clock_wall_ms();
    pthread_mutex_lock(&walk->lock);
    meta_put_rewrap(writes, &progress);
    error = meta_commit(writes);
    if (error == 0) {
        if (walk->service->kms != NULL) {
            crypt_forget_bucket_keys(walk->service->kms);
        }
        atomic_store(&walk->due_us, 0);
        atomic_store(&walk->under_way, true);
    }
    pthread_mutex_unlock(&walk->lock);
    meta_batch_free(writes);
    return error;
}

int s3_rewrap_status(struct s3_rewrap *walk, struct s3_rewrap_status *status)
{
    struct arena *arena = arena_new();
    Meta__Rewrap *progress;
    int error = meta_get_rewrap(walk->service->meta, arena, &progress);

    if (error == 0) {
        *status =
            (struct s3_rewrap_status){.under_way = progress->completed_ms == 0,
                                      .waits = atomic_load(&walk->waits),
                                      .started_ms = progress->started_ms,
                                      .completed_ms = progress->completed_ms,
                                      .examined = progress->examined,
                                      .rewrapped = progress->rewrapped,
                                      .failed = progress->failed};
    }
    arena_free(arena);
    return error;
}

int s3_rewrap_open(struct s3_service *service, struct s3_rewrap **rewrap)
{
    struct s3_rewrap *walk = xcalloc(1, sizeof(*walk));
    struct s3_rewrap_status status = {.under_way = false};
    int error;

    walk->service = service;
    pthread_mutex_init(&walk->lock, NULL);
    error = s3_rewrap_status(walk, &status);
    if (error != 0 && error != -ENOENT) {
        s3_rewrap_close(walk);
        return error;
    }
    atomic_store(&walk->under_way, status.under_way);
    *rewrap = walk;
    return 0;
}

void s3_rewrap_close(struct s3_rewrap *walk)
{
    if (walk != NULL) {
        pthread_mutex_destroy(&walk->lock);
        free(walk);
    }
}
