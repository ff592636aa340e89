/*
 * Versions of keys: finding, committing.
 *
 * In an unversioned bucket a key has one version, the null version, and its
 * id is empty in the record. In a versioned bucket every commit adds one; in
 * a suspended one the null version is replaced, wherever it stands.
 */
#include "s3/object.h"
#include "s3/notify.h"
#include "s3/ownership.h"
#include "s3/version.h"
#include "s3/worm.h"

#include <errno.h>

bool object_valid_key(struct slice key)
{
    return key.size > 0 && key.size <= S3_KEY_MAX && utf8_valid(key);
}

enum s3_error object_lock_many(struct s3_call *call, const struct slice *keys,
                               size_t count)
{
    struct meta *meta = call->service->meta;
    Meta__Bucket *bucket;
    int error;

    meta_bucket_lock(meta, call->bucket_name, false);
    error = meta_get_bucket(meta, call->arena, call->bucket_name, &bucket);
    if (error != 0 || bucket->id != call->bucket->id) {
        meta_bucket_unlock(meta, call->bucket_name);
        return error == 0 || error == -ENOENT ? S3_ERR_NoSuchBucket
                                              : S3_ERR_InternalError;
    }
    call->bucket = bucket; /* its settings may have changed */
    meta_key_lock_many(meta, bucket->id, keys, count);
    return S3_OK;
}

static bool locked(struct s3_call *call, enum s3_error error)
{
    if (error == S3_ERR_NoSuchBucket) {
        call_fail_no_bucket(call, call->bucket_name);
    } else if (error != S3_OK) {
        call_fail(call, error);
    }
    return error == S3_OK;
}

bool object_lock(struct s3_call *call, struct slice key)
{
    return locked(call, object_lock_many(call, &key, 1));
}

bool object_lock_two(struct s3_call *call, struct slice a, struct slice b)
{
    return locked(call, object_lock_many(call, (struct slice[]){a, b}, 2));
}

void object_unlock_many(struct s3_call *call, const struct slice *keys,
                        size_t count)
{
    meta_key_unlock_many(call->service->meta, call->bucket->id, keys, count);
    meta_bucket_unlock(call->service->meta, call->bucket_name);
}

void object_unlock(struct s3_call *call, struct slice key)
{
    object_unlock_many(call, &key, 1);
}

void object_unlock_two(struct s3_call *call, struct slice a, struct slice b)
{
    object_unlock_many(call, (struct slice[]){a, b}, 2);
}

int object_find(struct s3_call *call, uint64_t bucket, struct slice key,
                struct slice version_id, Meta__Object **object)
{
    struct meta *meta = call->service->meta;
    uint64_t sequence;
    int error;

    if (version_id.data == NULL) {
        return meta_get_object(meta, call->arena, bucket, key, object);
    }
    if (slice_equal_string(version_id, "null")) {
        return meta_get_null_version(meta, call->arena, bucket, key, object);
    }
    if (!version_sequence(version_id, &sequence)) {
        return -ENOENT;
    }
    error = meta_get_version(meta, call->arena, bucket, key, sequence, object);
    if (error == 0 &&
        !slice_equal(pb_slice((*object)->version_id), version_id)) {
        return -ENOENT; /* its random half is another */
    }
    return error;
}

bool object_version_arg(struct s3_call *call, struct slice *version_id)
{
    *version_id = call_arg(call, "versionId");
    if (version_id->data == NULL) {
        return true;
    }
    if (version_id->size == 0) {
        call_fail_argument(call, "versionId", *version_id,
                           "Version id cannot be the empty string");
        return false;
    }
    if (!version_well_formed(*version_id)) {
        call_fail_argument(call, "versionId", *version_id,
                           "Invalid version id specified");
        return false;
    }
    return true;
}

struct meta_referrer object_referrer(const struct s3_call *call,
                                     struct slice key, uint64_t sequence)
{
    return (struct meta_referrer){
        .kind = META_REFERRER_OBJECT,
        .bucket = call->bucket->id,
        .key = key,
        .sequence = sequence,
    };
}

void object_remove_version(struct s3_call *call, struct meta_batch *batch,
                           struct slice key, const Meta__Object *object)
{
    struct meta_referrer who = object_referrer(call, key, object->sequence);

    meta_delete_object(batch, call->bucket->id, key, object);
    if (object->blob != 0) {
        meta_drop_ref(batch, object->blob, &who);
    }
}

void object_assign_version(struct s3_call *call, Meta__Object *object)
{
    object->sequence = meta_next_id(call->service->meta);
    if (call->bucket->versioning == META__BUCKET__VERSIONING__ENABLED) {
        object->version_id =
            pb_bytes(version_new_id(call->arena, object->sequence));
    }
}

/* The null version goes, wherever it stands. */
static int replace_null(struct s3_call *call, struct meta_batch *batch,
                        struct slice key, Meta__Object *newest)
{
    Meta__Object *replaced = newest;
    int error = 0;

    invariant(!call->bucket->object_lock); /* W1 */
    if (newest->version_id.len > 0) {
        error = meta_get_null_version(call->service->meta, call->arena,
                                      call->bucket->id, key, &replaced);
    }
    if (error == 0) {
        object_remove_version(call, batch, key, replaced);
    }
    return error == -ENOENT ? 0 : error;
}

int object_put(struct s3_call *call, struct meta_batch *batch, struct slice key,
               Meta__Object *object)
{
    struct meta *meta = call->service->meta;
    const Meta__EventType event = notify_created_type(call);
    Meta__Object *newest = NULL;
    uint64_t bucket = call->bucket->id;
    int error = notify_check(call, event, key);

    if (error != 0) {
        return error;
    }
    error = meta_get_object(meta, call->arena, bucket, key, &newest);
    if (error != 0 && error != -ENOENT) {
        return error;
    }
    if (error == -ENOENT) {
        newest = NULL;
    }
    if (object->sequence == 0) {
        object_assign_version(call, object);
    }
    object->mtime_ms = clock_wall_ms();
    if (newest != NULL) { /* M3, also when the clock goes back */
        invariant(object->sequence > newest->sequence);
        if (object->mtime_ms < newest->mtime_ms) {
            object->mtime_ms = newest->mtime_ms;
        }
    }
    if (object->owner.len == 0) {
        object->owner = pb_bytes(ownership_of_request(call));
    }
    object->owner = pb_bytes(ownership_of_object(call->bucket, object));
    worm_default(call, object);
    if (newest != NULL && object->version_id.len == 0) {
        error = replace_null(call, batch, key, newest);
        if (error != 0) {
            return error;
        }
    }
    meta_add_object(batch, bucket, key, object);
    if (object->blob != 0) {
        struct meta_referrer who = object_referrer(call, key, object->sequence);
        meta_add_ref(batch, object->blob, &who);
    }
    notify_object(call, batch, event, key, object, newest);
    return 0;
}

int object_commit(struct s3_call *call, struct meta_batch *batch,
                  struct slice key, Meta__Object *object)
{
    int error = object_put(call, batch, key, object);

    return error != 0 ? error : meta_commit(batch);
}
