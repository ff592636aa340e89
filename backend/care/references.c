/*
 * Objects whose blob is not there, or a blob that it is made of. They are
 * counted and named, never removed.
 */
#include "care/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OBJECTS_MAX 1000 /* under one snapshot */

struct place {
    uint64_t bucket;
    const char *name;  /* of the bucket */
    struct buffer key; /* the last object that was looked at */
    uint64_t sequence; /* 0: none was */
};

/* 0, or -ENOENT if the blob or one that it is made of is not there; a record
 * that is damaged is there. */
static int blob_is_there(struct care *care, struct arena *arena, uint64_t blob)
{
    Meta__Blob *record, *part;
    int error = meta_get_blob(care->options.meta, arena, blob, &record);

    for (size_t i = 0; error == 0 && i < record->n_parts; i++) {
        if (record->parts[i]->blob != 0) {
            error = meta_get_blob(care->options.meta, arena,
                                  record->parts[i]->blob, &part);
            error = error == -EBADMSG ? 0 : error;
        }
    }
    return error == -EBADMSG ? 0 : error;
}

static void note_object(const struct place *place, struct slice key,
                        const Meta__Object *object, struct dangling *dangling)
{
    struct buffer *names = &dangling->objects;

    log_error("%s/%.*s, version '%.*s': blob %llx, or what it is made of, is "
              "not there",
              place->name, (int)key.size, (const char *)key.data,
              (int)object->version_id.len,
              (const char *)object->version_id.data,
              (unsigned long long)object->blob);
    dangling->count++;
    if (names->size < DANGLING_NAMES_MAX) {
        buffer_append(names, place->name, strlen(place->name) + 1);
        buffer_append(names, key.data, key.size);
        buffer_append(names, "", 1);
        buffer_append(names, object->version_id.data, object->version_id.len);
        buffer_append(names, "", 1);
    }
}

static int check_object(struct care *care, struct arena *arena,
                        const struct place *place, struct slice key,
                        const Meta__Object *object, struct dangling *dangling)
{
    Meta__Object *again;
    int error =
        object->blob != 0 ? blob_is_there(care, arena, object->blob) : 0;

    if (error != -ENOENT) {
        return error;
    }
    /* The object was seen in a snapshot: both may have been deleted. */
    error = meta_get_version(care->options.meta, arena, place->bucket, key,
                             object->sequence, &again);
    if (error == 0 && again->blob != 0 &&
        blob_is_there(care, arena, again->blob) == -ENOENT) {
        note_object(place, key, again, dangling);
    }
    return error == -ENOENT ? 0 : error;
}

/* -ENOENT: the bucket has no more. */
static int check_some(struct care *care, struct place *place,
                      struct dangling *dangling)
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
            error = check_object(care, arena, place, key, object, dangling);
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

#define BUCKET_NAME_SIZE 64
struct bucket_name {
    uint64_t id;
    char name[BUCKET_NAME_SIZE];
};

static int check_bucket(struct care *care, const struct bucket_name *bucket,
                        struct dangling *dangling)
{
    struct place place = {.bucket = bucket->id, .name = bucket->name};
    int error = 0;

    while (error == 0) {
        error = scrub_interrupted(care) ? -ECANCELED
                                        : check_some(care, &place, dangling);
    }
    buffer_free(&place.key);
    return error == -ENOENT ? 0 : error;
}

/* All of them, one struct bucket_name after the other. */
static int list_buckets(struct care *care, struct buffer *names)
{
    struct meta_scan *scan =
        meta_scan_buckets(care->options.meta, slice_of(NULL, 0));
    int error = 0;

    for (; error == 0 && meta_scan_valid(scan); meta_scan_next(scan)) {
        struct arena *arena = arena_new();
        Meta__Bucket *bucket;

        error = meta_scan_bucket(scan, arena, &bucket);
        if (error == 0) {
            struct bucket_name name = {.id = bucket->id};

            snprintf(name.name, sizeof(name.name), "%.*s",
                     (int)bucket->name.len, (const char *)bucket->name.data);
            buffer_append(names, &name, sizeof(name));
        }
        arena_free(arena);
    }
    if (error == 0) {
        error = meta_scan_error(scan);
    }
    meta_scan_free(scan);
    return error;
}

int find_dangling(struct care *care, struct dangling *dangling)
{
    struct buffer names = {0};
    int error = list_buckets(care, &names);
    const struct bucket_name *bucket = (const struct bucket_name *)names.data;
    const size_t count = names.size / sizeof(*bucket);

    for (size_t i = 0; i < count && error == 0; i++) {
        error = check_bucket(care, &bucket[i], dangling);
    }
    buffer_free(&names);
    return error;
}
