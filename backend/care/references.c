/*
 * References to blobs that are not there: from objects, and from blobs that
 * are slices of others. They are counted and reported, never removed.
 */
#include "care/private.h"

#include <errno.h>
#include <stdlib.h>

#define OBJECTS_MAX 1000 /* under one snapshot */

/* 0 or -ENOENT; a record that is damaged is there. */
static int blob_is_there(struct care *care, struct arena *arena, uint64_t blob)
{
    Meta__Blob *record;
    int error = meta_get_blob(care->options.meta, arena, blob, &record);

    return error == -EBADMSG ? 0 : error;
}

int blob_count_dangling(struct care *care, uint64_t blob,
                        const Meta__Blob *record, uint64_t *dangling)
{
    struct arena *arena = arena_new();
    int error = 0;

    for (size_t i = 0; i < record->n_parts && error == 0; i++) {
        uint64_t part = record->parts[i]->blob;

        error = part != 0 ? blob_is_there(care, arena, part) : 0;
        if (error != -ENOENT) {
            continue;
        }
        error = blob_is_there(care, arena, blob);
        if (error == 0) {
            log_error("blob %llx is made of blob %llx, which is not there",
                      (unsigned long long)blob, (unsigned long long)part);
            (*dangling)++;
        }
    }
    arena_free(arena);
    return error == -ENOENT ? 0 : error; /* deleted meanwhile */
}

static int check_object(struct care *care, struct arena *arena, uint64_t bucket,
                        struct slice key, const Meta__Object *object,
                        uint64_t *dangling)
{
    struct meta *meta = care->options.meta;
    Meta__Object *again;
    int error =
        object->blob != 0 ? blob_is_there(care, arena, object->blob) : 0;

    if (error != -ENOENT) {
        return error;
    }
    /* The object was seen in a snapshot: both may have been deleted. */
    error =
        meta_get_version(meta, arena, bucket, key, object->sequence, &again);
    if (error == 0 && again->blob != 0 &&
        blob_is_there(care, arena, again->blob) == -ENOENT) {
        log_error("an object of bucket %llx names blob %llx, which is not "
                  "there",
                  (unsigned long long)bucket, (unsigned long long)again->blob);
        (*dangling)++;
    }
    return error == -ENOENT ? 0 : error;
}

struct place {
    uint64_t bucket;
    struct buffer key; /* the last object that was looked at */
    uint64_t sequence; /* 0: none was */
};

/* -ENOENT: the bucket has no more. */
static int check_some(struct care *care, struct place *place,
                      uint64_t *dangling)
{
    struct meta_scan *scan =
        meta_scan_objects(care->options.meta, place->bucket);
    unsigned count = 0;
    int error = 0;

    if (place->sequence != 0) {
        meta_scan_seek_older(scan, slice_of(place->key.data, place->key.size),
                             place->sequence);
    }
    while (error == 0 && meta_scan_valid(scan) && count++ < OBJECTS_MAX) {
        struct slice key = meta_scan_key(scan);
        struct arena *arena = arena_new();
        Meta__Object *object;

        error = meta_scan_object(scan, arena, &object);
        if (error == 0) {
            place->key.size = 0;
            buffer_append(&place->key, key.data, key.size);
            place->sequence = object->sequence;
            error =
                check_object(care, arena, place->bucket, key, object, dangling);
        }
        arena_free(arena);
        meta_scan_next(scan);
    }
    if (error == 0) {
        error = meta_scan_error(scan);
    }
    if (error == 0 && !meta_scan_valid(scan)) {
        error = -ENOENT;
    }
    meta_scan_free(scan);
    return error;
}

static int check_bucket(struct care *care, uint64_t bucket, uint64_t *dangling)
{
    struct place place = {.bucket = bucket};
    int error = 0;

    while (error == 0) {
        error = scrub_interrupted(care) ? -ECANCELED
                                        : check_some(care, &place, dangling);
    }
    buffer_free(&place.key);
    return error == -ENOENT ? 0 : error;
}

/* The ids of all buckets: 8 bytes each, as in memory. */
static int list_buckets(struct care *care, struct buffer *ids)
{
    struct meta_scan *scan =
        meta_scan_buckets(care->options.meta, slice_of(NULL, 0));
    int error = 0;

    for (; error == 0 && meta_scan_valid(scan); meta_scan_next(scan)) {
        struct arena *arena = arena_new();
        Meta__Bucket *bucket;

        error = meta_scan_bucket(scan, arena, &bucket);
        if (error == 0) {
            buffer_append(ids, &bucket->id, sizeof(bucket->id));
        }
        arena_free(arena);
    }
    if (error == 0) {
        error = meta_scan_error(scan);
    }
    meta_scan_free(scan);
    return error;
}

int count_dangling(struct care *care, uint64_t *dangling)
{
    struct buffer ids = {0};
    int error = list_buckets(care, &ids);
    const uint64_t *bucket = (const uint64_t *)ids.data;

    for (size_t i = 0; i < ids.size / sizeof(*bucket) && error == 0; i++) {
        error = check_bucket(care, bucket[i], dangling);
    }
    buffer_free(&ids);
    return error;
}
