/* A new object's bytes on their way into a blob. */
#include "s3/object.h"
#include "s3/ownership.h"
#include "s3/sse.h"
#include "s3/writer.h"

#include <inttypes.h>
#include <stdio.h>

#define ORIGIN_MAX (8u << 10) /* bytes: blob.h */

/* What is known at the start is the algorithm. */
static void say_checksum(const struct s3_call *call, Meta__Object *said,
                         Meta__Checksum *checksum)
{
    if (said->checksum == NULL && call->body != NULL) {
        meta__checksum__init(checksum);
        checksum->algorithm = body_kept_algorithm(call);
        said->checksum = checksum;
    }
}

/* What each shard says of itself. What does not fit is left out, the longest
 * and least needed first: it helps a rebuild, nothing else reads it. */
static struct slice pack_origin(struct s3_call *call,
                                const Meta__Object *object, struct slice upload,
                                unsigned part, uint64_t blob_size)
{
    Meta__Origin origin = META__ORIGIN__INIT;
    Meta__Object said = *object;
    Meta__Checksum checksum;
    uint8_t *packed;
    size_t size;

    origin.bucket = call->bucket->id;
    origin.bucket_name = call->bucket->name;
    origin.key = pb_bytes(call->key);
    origin.object = &said;
    origin.upload_id = pb_bytes(upload);
    origin.part_number = part;
    origin.versioning = call->bucket->versioning;
    if (said.owner.len == 0) {
        said.owner = pb_bytes(ownership_of_request(call));
    }
    if (!slice_equal(pb_slice(said.owner), pb_slice(call->bucket->owner))) {
        origin.bucket_owner = call->bucket->owner;
    }
    if (said.size == 0) {
        said.size = blob_size;
    }
    said.mtime_ms = clock_wall_ms();
    say_checksum(call, &said, &checksum);
    if (meta__origin__get_packed_size(&origin) > ORIGIN_MAX) {
        said.acl = NULL; /* the owner alone */
    }
    if (meta__origin__get_packed_size(&origin) > ORIGIN_MAX) {
        said.n_tags = 0;
    }
    if (meta__origin__get_packed_size(&origin) > ORIGIN_MAX) {
        said.n_headers = 0;
    }
    if (meta__origin__get_packed_size(&origin) > ORIGIN_MAX) {
        said.n_metadata = 0;
    }
    size = meta__origin__get_packed_size(&origin);
    invariant(size <= ORIGIN_MAX); /* the key is bounded */
    packed = arena_alloc(call->arena, size);
    meta__origin__pack(&origin, packed);
    return slice_of(packed, size);
}

bool object_encrypt(struct s3_call *call, Meta__Object *object)
{
    if (!sse_create(call, slice_of(NULL, 0), &call->sse)) {
        return false;
    }
    object->encryption = call->sse.record;
    return true;
}

void object_set_etag(struct s3_call *call, Meta__Object *object,
                     const uint8_t md5[16])
{
    char *etag = arena_alloc(call->arena, 33);
    uint8_t tag[16];

    sse_tag(&call->sse, md5, tag);
    hex_encode(etag, tag, sizeof(tag));
    object->etag = pb_bytes(slice_of(etag, 32));
}

int object_open_blob(struct s3_call *call, const Meta__Object *object,
                     struct slice upload, unsigned part, uint64_t size,
                     uint64_t *blob, struct s3_writer **writer)
{
    struct blob_spec spec = {.size = size};
    int error;

    if (call->intent.number == 0) { /* before the id: archive.h */
        blob_intent_begin(call->service->blobs, &call->intent);
    }
    spec.blob = meta_next_id(call->service->meta);
    spec.origin = pack_origin(call, object, upload, part, size);
    /* Before the bytes: without a record they would only fill the drives. */
    error = kv_check_room(meta_kv(call->service->meta));
    if (error == 0) {
        error = writer_open(call->service, &spec, sse_key(&call->sse), writer);
    }
    if (error != 0) {
        *writer = NULL;
        return error;
    }
    *blob = spec.blob;
    return 0;
}

bool object_open_writer(struct s3_call *call, const Meta__Object *object,
                        struct slice upload, unsigned part)
{
    const Wire__Request *request = call->request;
    uint64_t size = request->has_body ? request->content_length : 0;
    int error;

    if (size > S3_PUT_MAX) {
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, size);
        call_error_field(call, "ProposedSize", slice_from_string(text));
        snprintf(text, sizeof(text), "%llu", (unsigned long long)S3_PUT_MAX);
        call_error_field(call, "MaxSizeAllowed", slice_from_string(text));
        call_fail(call, S3_ERR_EntityTooLarge);
        return false;
    }
    call->blob = 0;
    if (size == 0) {
        return true;
    }
    error = object_open_blob(call, object, upload, part, size, &call->blob,
                             &call->writer);
    if (error != 0) {
        call_fail_errno(call, error, "opening a blob");
        return false;
    }
    return true;
}

void object_abandon_blob(struct s3_call *call)
{
    writer_abort(call->writer);
    call->writer = NULL;
    call->blob = 0;
}

bool object_finish_blob(struct s3_call *call, struct meta_batch *batch)
{
    Meta__Blob record = META__BLOB__INIT;
    int error;

    if (call->blob == 0) {
        return true;
    }
    invariant(call->writer != NULL && call->layout == NULL);
    error = writer_finish(call->writer, &call->layout);
    call->writer = NULL; /* freed, also on error */
    if (error != 0) {
        call->layout = NULL;
        call_fail_errno(call, error, "making a blob durable");
        return false;
    }
    record.layout = call->layout;
    meta_put_blob(batch, call->blob, &record, blob_losses_left(call->layout));
    return true;
}
