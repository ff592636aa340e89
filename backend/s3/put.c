/*
 * PutObject
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
#include "s3/limits.h"
#include "s3/notify.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/sse.h"
#include "s3/worm.h"

#include <errno.h>

void object_identity_headers(struct s3_call *call, const Meta__Object *object)
{
    call_header(call, "ETag", "\"%.*s\"", (int)object->etag.len,
                (const char *)object->etag.data);
    if (object->version_id.len > 0) {
        call_header_slice(call, "x-amz-version-id",
                          pb_slice(object->version_id));
    }
    sse_headers(call, object->encryption, true);
}

int object_current(struct s3_call *call, Meta__Object **object)
{
    int error = meta_get_object(call->service->meta, call->arena,
                                call->bucket->id, call->key, object);

    if (error == -ENOENT) {
        *object = NULL;
        return 0;
    }
    return error;
}

bool object_check_early(struct s3_call *call)
{
    int error = notify_check(call, notify_created_type(call), call->key);
    Meta__Object *current;

    if (error != 0) {
        call_fail_errno(call, error, "telling of an object");
        return false;
    }
    if (call_request_header(call, "if-match").data == NULL &&
        call_request_header(call, "if-none-match").data == NULL) {
        return true;
    }
    error = object_current(call, &current);
    if (error != 0) {
        call_fail_errno(call, error, "reading an object's record");
        return false;
    }
    return object_check_write_conditions(call, current);
}

static uint64_t body_size(const struct s3_call *call)
{
    return call->request->has_body ? call->request->content_length : 0;
}

void s3_put_object_open(struct s3_call *call)
{
    Meta__Object *object;

    if (s3_append_wanted(call)) {
        s3_append_open(call);
        return;
    }
    object = arena_alloc(call->arena, sizeof(*object));
    meta__object__init(object);
    call->operation_data = object;
    if (object_take_headers(call, object) && object_check_early(call) &&
        body_open(call, META__CHECKSUM_ALGORITHM__CRC64NVME) &&
        worm_check_integrity(call, object->retention, object->legal_hold,
                             "Put Object") &&
        limits_check_object(call, body_size(call)) &&
        object_encrypt(call, object)) {
        object_open_writer(call, object, slice_of(NULL, 0), 0);
    }
}

bool object_put_commit(struct s3_call *call, struct meta_batch *batch,
                       Meta__Object *object)
{
    Meta__Object *current;
    bool done = false;
    int error;

    if (!object_lock(call, call->key)) {
        return false;
    }
    error = object_current(call, &current);
    if (error != 0) {
        call_fail_errno(call, error, "reading an object's record");
    } else if (object_check_write_conditions(call, current)) {
        error = object_commit(call, batch, call->key, object);
        if (error != 0) {
            call_fail_errno(call, error, "committing an object");
        }
        done = error == 0;
    }
    object_unlock(call, call->key);
    return done;
}

void s3_put_object_run(struct s3_call *call)
{
    struct meta_batch *batch;
    Meta__Object *object = call->operation_data;

    if (s3_append_wanted(call)) {
        s3_append_run(call);
        return;
    }
    batch = meta_batch_new(call->service->meta);
    object->size = body_size(call);
    object_set_etag(call, object, body_md5(call));
    object->checksum = body_checksum(call);
    object->blob = call->blob;
    if (object_finish_blob(call, batch) &&
        object_put_commit(call, batch, object)) {
        object_identity_headers(call, object);
        call_checksum_headers(call, object->checksum, 0);
        call_reply_empty(call, 200);
    }
    meta_batch_free(batch);
}
