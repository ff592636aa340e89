/*
 * Deleting: of one key, and of several in one commit.
 */
#include "s3/notify.h"
#include "s3/object.h"
#include "s3/version.h"
#include "s3/worm.h"

#include <errno.h>

static int add_marker(struct s3_call *call, struct meta_batch *batch,
                      struct object_doomed *doomed)
{
    Meta__Object marker = META__OBJECT__INIT;
    int error;

    marker.delete_marker = true;
    error = object_put(call, batch, doomed->key, &marker);
    doomed->deletion.delete_marker = true;
    doomed->deletion.version_id = version_name(&marker);
    return error;
}

/* A key without an object cannot match an entity tag; size and time are
 * asked only of what is there. */
static enum s3_error check_delete(const struct delete_conditions *conditions,
                                  const Meta__Object *object, bool by_version,
                                  struct object_deletion *deletion)
{
    bool there = object != NULL && !object->delete_marker;

    if (conditions->match.data != NULL && !there) {
        return S3_ERR_NoSuchKey;
    }
    if (!there && !(object != NULL && by_version)) {
        return S3_OK;
    }
    deletion->failed = delete_conditions_failed(
        conditions, pb_slice(object->etag), object->size, object->mtime_ms);
    return deletion->failed != NULL ? S3_ERR_PreconditionFailed : S3_OK;
}

/* Decides on one key, under its lock, and puts what is to be done into
 * `batch`. */
static enum s3_error decide(struct s3_call *call, struct meta_batch *batch,
                            struct object_doomed *doomed)
{
    struct object_deletion *deletion = &doomed->deletion;
    bool by_version = doomed->version_id.data != NULL;
    bool versioned =
        call->bucket->versioning != META__BUCKET__VERSIONING__UNVERSIONED;
    Meta__Object *object = NULL;
    int error = object_find(call, call->bucket->id, doomed->key,
                            doomed->version_id, &object);
    enum s3_error refused;

    if (error != 0 && error != -ENOENT) {
        return S3_ERR_InternalError;
    }
    if (error == -ENOENT) {
        object = NULL;
    }
    if (by_version) {
        deletion->version_id = doomed->version_id; /* also if it is not there */
    }
    refused = check_delete(&doomed->conditions, object, by_version, deletion);
    if (refused != S3_OK) {
        return refused;
    }
    if (versioned && !by_version) {
        error = add_marker(call, batch, doomed);
        return error == 0 ? S3_OK : call_error_of(error);
    }
    if (object == NULL) {
        return S3_OK;
    }
    if (worm_protects(object, clock_wall_ms(),
                      worm_bypass(call, doomed->key))) {
        return S3_ERR_AccessDenied; /* W2 */
    }
    if (notify_check(call, META__EVENT_TYPE__OBJECT_REMOVED_DELETE,
                     doomed->key) != 0) {
        return S3_ERR_SlowDown;
    }
    object_remove_version(call, batch, doomed->key, object);
    notify_removed(call, batch, doomed->key, deletion->version_id, object);
    deletion->delete_marker = object->delete_marker;
    return S3_OK;
}

/* Under the locks of all keys. */
static void delete_locked(struct s3_call *call, struct object_doomed **doomed,
                          size_t count)
{
    struct meta_batch *batch = meta_batch_new(call->service->meta);
    int error;

    meta_batch_unlimited(batch); /* delete markers too */
    for (size_t i = 0; i < count; i++) {
        doomed[i]->error = decide(call, batch, doomed[i]);
    }
    error = meta_commit(batch);
    for (size_t i = 0; i < count && error != 0; i++) {
        if (doomed[i]->error == S3_OK) {
            doomed[i]->error = call_error_of(error);
        }
    }
    meta_batch_free(batch);
}

void object_delete(struct s3_call *call, struct object_doomed **doomed,
                   size_t count)
{
    struct slice keys[OBJECT_DELETE_MAX];
    enum s3_error error;

    invariant(count > 0 && count <= OBJECT_DELETE_MAX);
    for (size_t i = 0; i < count; i++) {
        keys[i] = doomed[i]->key;
        doomed[i]->deletion = (struct object_deletion){0};
    }
    error = object_lock_many(call, keys, count);
    if (error == S3_OK) {
        delete_locked(call, doomed, count);
        object_unlock_many(call, keys, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        doomed[i]->error = error;
    }
}
