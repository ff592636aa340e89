/*
 * Uploads in progress, for an administrator: which there are, and their end.
 *
 * A step holds no lock but those of the one upload that it aborts, and ends
 * soon: whoever walks on begins with the upload that it stands before.
 */
#include "s3/multipart.h"

#include <errno.h>

#define STEP_UPLOADS 1000u               /* told of, at most */
#define STEP_US      (UINT64_C(1000000)) /* then it ends */

struct step {
    struct s3_service *service;
    struct s3_uploads_walk *walk;
    s3_upload_fn fn;
    void *context;
    unsigned told;
    bool begun; /* something lies behind it */
    uint64_t until_us;
};

/* --- one upload ------------------------------------------------------------*/
int s3_upload_measure(struct s3_service *service,
                      const struct s3_upload *upload,
                      struct s3_upload_parts *parts)
{
    struct arena *arena = arena_new();
    Meta__Part **list;
    bool more;
    int error =
        meta_list_parts(service->meta, arena, pb_slice(upload->record->id), 1,
                        PART_NUMBER_MAX, &list, &parts->count, &more);

    if (error == 0) {
        parts->bytes = parts_size(list, parts->count);
    }
    arena_free(arena);
    return error;
}

/* Whoever deletes a bucket takes its uploads along under the bucket's lock:
 * an upload that is there has a bucket. */
int s3_upload_abort(struct s3_service *service, const struct s3_upload *upload,
                    struct s3_upload_parts *parts)
{
    struct meta *meta = service->meta;
    const struct slice name = pb_slice(upload->bucket->name);
    const struct slice id = pb_slice(upload->record->id);
    const uint64_t bucket = upload->bucket->id;
    struct arena *arena = arena_new();
    Meta__Upload *record;
    int error;

    meta_bucket_lock(meta, name, false);
    meta_key_lock(meta, bucket, upload->key);
    error = meta_get_upload(meta, arena, bucket, upload->key, id, &record);
    if (error == 0) {
        error = upload_abort(meta, arena, bucket, upload->key, id, parts);
    }
    meta_key_unlock(meta, bucket, upload->key);
    meta_bucket_unlock(meta, name);
    arena_free(arena);
    return error;
}

/* --- a step ----------------------------------------------------------------*/
/* However slow: every step comes on. */
static bool is_over(const struct step *step)
{
    return step->begun && (step->told == STEP_UPLOADS ||
                           clock_monotonic_us() >= step->until_us);
}

static void stop_before(struct s3_uploads_walk *walk, struct slice bucket,
                        struct slice key, struct slice id)
{
    walk->more = true;
    walk->bucket_next = arena_copy(walk->arena, bucket.data, bucket.size);
    walk->key_next = arena_copy(walk->arena, key.data, key.size);
    walk->id_next = arena_copy(walk->arena, id.data, id.size);
}

/* The walk's place is in this bucket. */
static bool is_next(const struct s3_uploads_walk *walk,
                    const Meta__Bucket *bucket)
{
    return slice_equal(pb_slice(bucket->name), walk->bucket_next);
}

static bool was_told(const struct s3_uploads_walk *walk,
                     const struct s3_upload *upload)
{
    return is_next(walk, upload->bucket) &&
           slice_equal(upload->key, walk->key_next) &&
           slice_compare(pb_slice(upload->record->id), walk->id_next) < 0;
}

static int tell(struct step *step, const struct s3_upload *upload)
{
    struct s3_uploads_walk *walk = step->walk;

    if (was_told(walk, upload)) {
        return 0;
    }
    if (is_over(step)) {
        stop_before(walk, pb_slice(upload->bucket->name), upload->key,
                    pb_slice(upload->record->id));
        return 0;
    }
    step->begun = true;
    if (upload->record->initiated_ms > walk->begun_by_ms) {
        return 0;
    }
    step->told++;
    return step->fn(step->context, upload);
}

/* What is damaged stays, and is in nobody's way. */
static int look_at(struct step *step, const Meta__Bucket *bucket,
                   struct meta_scan *scan)
{
    struct arena *arena = arena_new();
    Meta__Upload *record;
    int error = meta_scan_upload(scan, arena, &record);

    if (error == 0) {
        const struct s3_upload upload = {
            .bucket = bucket, .key = meta_scan_key(scan), .record = record};
        error = tell(step, &upload);
    }
    if (error == -EBADMSG) {
        log_warn("uploads: one in bucket %.*s cannot be read: it is damaged",
                 (int)bucket->name.len, (const char *)bucket->name.data);
        step->walk->damaged++;
        error = 0;
    }
    arena_free(arena);
    return error;
}

static int walk_bucket(struct step *step, const Meta__Bucket *bucket)
{
    const struct s3_uploads_walk *walk = step->walk;
    struct meta_scan *scan = meta_scan_uploads(step->service->meta, bucket->id);
    int error = 0;

    meta_scan_seek(scan,
                   is_next(walk, bucket) ? walk->key_next : SLICE_LITERAL(""));
    while (error == 0 && !walk->more && meta_scan_valid(scan)) {
        error = look_at(step, bucket, scan);
        if (!walk->more) {
            meta_scan_next(scan);
        }
    }
    error = error != 0 ? error : meta_scan_error(scan);
    meta_scan_free(scan);
    return error;
}

static bool is_wanted(const struct s3_uploads_walk *walk, struct slice bucket)
{
    return walk->bucket.size == 0 || slice_equal(walk->bucket, bucket);
}

/* The bucket that the scan stands at. */
static int visit(struct step *step, struct meta_scan *scan)
{
    struct arena *arena;
    Meta__Bucket *bucket;
    int error;

    if (is_over(step)) {
        stop_before(step->walk, meta_scan_key(scan), slice_of("", 0),
                    slice_of("", 0));
        return 0;
    }
    arena = arena_new();
    error = meta_scan_bucket(scan, arena, &bucket);
    if (error == 0) {
        error = walk_bucket(step, bucket);
    } else if (error == -EBADMSG) { /* whose uploads are not known */
        log_warn("uploads: the record of a bucket is damaged");
        step->walk->damaged++;
        error = 0;
    }
    step->begun = true;
    arena_free(arena);
    return error;
}

int s3_walk_uploads(struct s3_service *service, struct s3_uploads_walk *walk,
                    s3_upload_fn fn, void *context)
{
    struct step step = {.service = service,
                        .walk = walk,
                        .fn = fn,
                        .context = context,
                        .until_us = clock_monotonic_us() + STEP_US};
    struct meta_scan *scan = meta_scan_buckets(
        service->meta,
        walk->bucket_next.size > 0 ? walk->bucket_next : walk->bucket);
    int error = 0;

    walk->more = false;
    while (error == 0 && !walk->more && meta_scan_valid(scan) &&
           is_wanted(walk, meta_scan_key(scan))) {
        error = visit(&step, scan);
        meta_scan_next(scan);
    }
    error = error != 0 ? error : meta_scan_error(scan);
    meta_scan_free(scan);
    return error;
}
