/*
 * CopyObject: the new object references the bytes of the old one, or has them
 * sealed anew where the two may not share a key (sse.h).
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
#include "s3/copy_bytes.h"
#include "s3/limits.h"
#include "s3/multipart.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/sse.h"
#include "s3/work.h"

#include <errno.h>
#include <string.h>

/* A source can be overwritten, and its bytes reclaimed, between the read of
 * its record and the commit. Then the copy begins again, unless its reply has
 * begun, which tells of this source. */
#define TRIES 8

struct copy {
    bool replace_metadata, replace_tags;
    bool by_version; /* an old version of itself may become its newest */
    Meta__ChecksumAlgorithm algorithm; /* asked for, or NO_CHECKSUM */
    Meta__Bucket *bucket;
    struct slice key;
    Meta__Object *source;
    struct sse from;         /* of the source */
    Meta__Object *object;    /* the new one */
    bool shares;             /* it references the source's bytes */
    struct copy_bytes bytes; /* being read */
    bool begun;              /* an attempt */
    unsigned tries;
};

static bool directive(struct s3_call *call, const char *header,
                      const char *message, bool *replace)
{
    struct slice value = call_request_header(call, header);

    *replace = false;
    if (value.data == NULL || slice_equal_string(value, "COPY")) {
        return true;
    }
    if (slice_equal_string(value, "REPLACE")) {
        *replace = true;
        return true;
    }
    call_fail_argument(call, header, value, message);
    return false;
}

static bool read_request(struct s3_call *call, struct copy *copy)
{
    struct copy_source source;

    if (!object_parse_copy_source(call, &source)) {
        return false;
    }
    copy->by_version = source.version_id.data != NULL;
    if (call_request_header(call, "range").data != NULL ||
        call_request_header(call, "x-amz-copy-source-range").data != NULL) {
        call_error_field(call, "Header", SLICE_LITERAL("Range"));
        call_fail(call, S3_ERR_NotImplemented);
        return false;
    }
    return checksum_take_wanted(call, &copy->algorithm) &&
           directive(call, "x-amz-metadata-directive",
                     "Unknown metadata directive.", &copy->replace_metadata) &&
           directive(call, "x-amz-tagging-directive",
                     "Unknown tagging directive.", &copy->replace_tags);
}

/* Headers, metadata and tags as the directives say. */
static bool fill_object(struct s3_call *call, struct copy *copy)
{
    Meta__Object *object = arena_alloc(call->arena, sizeof(*object));
    const Meta__Object *source = copy->source;

    meta__object__init(object);
    if (!object_take_headers(call, object)) {
        return false;
    }
    if (!copy->replace_metadata) {
        object->n_headers = source->n_headers;
        object->headers = source->headers;
        object->n_metadata = source->n_metadata;
        object->metadata = source->metadata;
    }
    if (!copy->replace_tags) {
        object->n_tags = source->n_tags;
        object->tags = source->tags;
    }
    object->size = source->size;
    copy->object = object;
    return true;
}

static bool changes_nothing(struct s3_call *call, const struct copy *copy)
{
    const Meta__Object *source = copy->source;
    struct slice storage_class =
        call_request_header(call, "x-amz-storage-class");

    if (copy->bucket->id != call->bucket->id || copy->by_version ||
        !slice_equal(copy->key, call->key) || copy->replace_metadata ||
        sse_named(call)) {
        return false;
    }
    if (storage_class.data != NULL &&
        !slice_equal(pb_slice(copy->object->storage_class),
                     pb_slice(source->storage_class))) {
        return false;
    }
    if (copy->object->website_redirect.len > 0) {
        return false;
    }
    return copy->algorithm == META__CHECKSUM_ALGORITHM__NO_CHECKSUM ||
           (source->checksum != NULL &&
            source->checksum->algorithm == copy->algorithm);
}

static bool check_source(struct s3_call *call, const struct copy *copy)
{
    if (copy->source->size > S3_PUT_MAX) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The specified copy source is larger than the "
                          "maximum allowable size for a copy source: %llu",
                          (unsigned long long)S3_PUT_MAX);
        return false;
    }
    if (changes_nothing(call, copy)) {
        call_fail_message(
            call, S3_ERR_InvalidRequest,
            "This copy request is illegal because it is trying to copy an "
            "object to itself without changing the object's metadata, storage "
            "class, website redirect location or encryption attributes.");
        return false;
    }
    return true;
}

/* --- keys and bytes --------------------------------------------------------*/
/* How the source is sealed, and how the copy is to be. */
static bool open_keys(struct s3_call *call, struct copy *copy)
{
    if (!sse_open(call, copy->source->encryption, SSE_COPY_SOURCE,
                  &copy->from) ||
        !sse_create_copy(call, &copy->from, &call->sse, &copy->shares)) {
        return false;
    }
    copy->object->encryption = call->sse.record;
    return true;
}

/* The new object's ETag and checksum are those of one PUT of the same bytes:
 * of a multipart source, or for another algorithm, they must be computed. */
static bool known_digests(const struct copy *copy,
                          Meta__ChecksumAlgorithm algorithm)
{
    const Meta__Checksum *known = copy->source->checksum;
    struct slice etag = pb_slice(copy->source->etag);

    return copy->shares && memchr(etag.data, '-', etag.size) == NULL &&
           known != NULL && known->algorithm == algorithm &&
           known->type == META__CHECKSUM_TYPE__FULL_OBJECT;
}

/* Begins to read all of the source, for its digests and, unless the copy
 * shares its blob, into a new one; or finds that there is no need. */
static int open_bytes(struct s3_call *call, struct copy *copy)
{
    const Meta__Object *source = copy->source;
    const Meta__Checksum *known = source->checksum;
    Meta__ChecksumAlgorithm algorithm = copy->algorithm;
    int error = 0;

    if (algorithm == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        algorithm = known != NULL ? known->algorithm
                                  : META__CHECKSUM_ALGORITHM__CRC64NVME;
    }
    if (known_digests(copy, algorithm)) {
        copy->object->etag = source->etag;
        copy->object->checksum = source->checksum;
        return 0;
    }
    if (source->size > 0 && !copy->shares) {
        error = object_open_blob(call, copy->object, slice_of(NULL, 0), 0,
                                 source->size, &call->blob, &call->writer);
    }
    if (error == 0) {
        copy_bytes_open(call, &copy->bytes, source->blob, &copy->from, 0,
                        source->size, algorithm);
    }
    return error;
}

static int read_bytes(struct s3_call *call, struct copy *copy)
{
    uint8_t md5[DIGEST_SIZE_MAX];
    int error;

    if (copy->object->checksum != NULL) {
        return 0; /* known */
    }
    error = copy_bytes_go_on(call, &copy->bytes);
    if (error == 0) {
        copy->object->checksum = copy_bytes_digest(call, &copy->bytes, md5);
        object_set_etag(call, copy->object, md5);
    } else if (error != -EINPROGRESS) {
        object_abandon_blob(call);
    }
    return error;
}

/* --- the commit ------------------------------------------------------------*/
/* Commits under the lock of a shared blob, so that the blob cannot be freed
 * between the look at its record and the new reference (M2). -ENOENT: it is
 * gone. */
static int commit_reference(struct s3_call *call, struct meta_batch *batch,
                            struct copy *copy)
{
    struct meta *meta = call->service->meta;
    uint64_t shared = copy->shares ? copy->source->blob : 0;
    Meta__Blob *record;
    int error = 0;

    copy->object->blob = copy->shares ? shared : call->blob;
    if (shared != 0) {
        meta_blob_lock(meta, shared);
        error = meta_get_blob(meta, call->arena, shared, &record);
    }
    if (error == 0) {
        error = object_commit(call, batch, call->key, copy->object);
    }
    if (shared != 0) {
        meta_blob_unlock(meta, shared);
    }
    return error;
}

/* 0, -ENOENT to try again, -ECANCELED when the call has failed. */
static int commit(struct s3_call *call, struct meta_batch *batch,
                  struct copy *copy)
{
    Meta__Object *current;
    int error;

    if (!object_lock(call, call->key)) {
        return -ECANCELED;
    }
    error = object_current(call, &current);
    if (error == 0) {
        error = object_check_write_conditions(call, current)
                    ? commit_reference(call, batch, copy)
                    : -ECANCELED;
    }
    object_unlock(call, call->key);
    return error;
}

static int begin(struct s3_call *call, struct copy *copy)
{
    copy->begun = true;
    if (!object_copy_source(call, &copy->bucket, &copy->key, &copy->source) ||
        !fill_object(call, copy) || !check_source(call, copy) ||
        !limits_check_object(call, copy->source->size) ||
        !object_check_early(call) || !open_keys(call, copy)) {
        return -ECANCELED;
    }
    return open_bytes(call, copy);
}

static int finish(struct s3_call *call, struct copy *copy)
{
    struct meta_batch *batch = meta_batch_new(call->service->meta);
    int error = object_finish_blob(call, batch) ? commit(call, batch, copy)
                                                : -ECANCELED;

    meta_batch_free(batch);
    return error;
}

/* -EINPROGRESS: it goes on in the next step. */
static int attempt(struct s3_call *call, struct copy *copy)
{
    int error = copy->begun ? 0 : begin(call, copy);

    if (error == 0) {
        error = read_bytes(call, copy);
    }
    if (error == -EINPROGRESS) {
        return error;
    }
    if (error == 0) {
        error = finish(call, copy);
    }
    copy_bytes_close(&copy->bytes); /* till now the source stays (M5) */
    copy->begun = false;
    return error;
}

static void announce(struct s3_call *call)
{
    const struct copy *copy = call->operation_data;

    object_copy_source_header(call, copy->bucket, copy->source);
    sse_headers(call, copy->object->encryption, true);
}

static void reply(struct s3_call *call, const struct copy *copy)
{
    const Meta__Object *object = copy->object;
    struct buffer xml = {0};

    if (!call->done) { /* else its headers are sent */
        announce(call);
        if (object->version_id.len > 0) {
            call_header_slice(call, "x-amz-version-id",
                              pb_slice(object->version_id));
        }
    }
    xml_open_document(&xml, "CopyObjectResult");
    xml_quoted(&xml, "ETag", pb_slice(object->etag));
    xml_time(&xml, "LastModified", object->mtime_ms);
    xml_checksum(call, &xml, object->checksum, 0);
    xml_close(&xml, "CopyObjectResult");
    call_reply_xml(call, 200, &xml);
}

static void step(struct s3_call *call)
{
    struct copy *copy = call->operation_data;
    int error;

    do {
        error = attempt(call, copy);
    } while (error == -ENOENT && !call->done && ++copy->tries < TRIES);
    if (error == 0) {
        reply(call, copy);
    } else if (error == -ENOENT) {
        call_fail(call, S3_ERR_SlowDown);
    } else if (error != -ECANCELED && error != -EINPROGRESS) {
        call_fail_errno(call, error, "copying an object");
    }
}

static void free_copy(struct s3_call *call)
{
    struct copy *copy = call->operation_data;

    copy_bytes_close(&copy->bytes);
    sse_wipe(&copy->from);
}

void s3_copy_object_run(struct s3_call *call)
{
    static const struct s3_work_kind kind = {step, announce, free_copy};
    struct copy *copy = arena_zalloc(call->arena, sizeof(*copy));

    if (read_request(call, copy)) {
        call->operation_data = copy;
        work_begin(call, &kind);
    }
}
