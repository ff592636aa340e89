/*
 * CreateMultipartUpload, AbortMultipartUpload, and what all operations on
 * uploads share.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "s3/multipart.h"
#include "s3/operations.h"
#include "s3/sse.h"

#define UPLOAD_RANDOM_SIZE 16 /* bytes */

/* --- upload ids ------------------------------------------------------------*/
void upload_id_time(char text[UPLOAD_ID_TIME_SIZE + 1], uint64_t ms)
{
    uint8_t raw[8];

    put_u64be(raw, ms);
    hex_encode(text, raw + 2, sizeof(raw) - 2); /* 48 bits will do */
}

static struct slice new_id(struct arena *arena, uint64_t now_ms)
{
    uint8_t raw[UPLOAD_RANDOM_SIZE];
    char *id = arena_alloc(arena, UPLOAD_ID_SIZE + 1);

    upload_id_time(id, now_ms);
    invariant(getrandom(raw, UPLOAD_RANDOM_SIZE, 0) == UPLOAD_RANDOM_SIZE);
    hex_encode(id + UPLOAD_ID_TIME_SIZE, raw, sizeof(raw));
    return slice_of(id, UPLOAD_ID_SIZE);
}

static bool valid_id(struct slice id)
{
    if (id.size != UPLOAD_ID_SIZE) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        if (!memchr("0123456789abcdef", id.data[i], 16)) {
            return false;
        }
    }
    return true;
}

void upload_fail_missing(struct s3_call *call, struct slice id)
{
    call_error_field(call, "UploadId", id);
    call_fail(call, S3_ERR_NoSuchUpload);
}

bool upload_id_arg(struct s3_call *call, struct slice *id)
{
    *id = call_arg(call, "uploadId");
    if (!valid_id(*id)) {
        upload_fail_missing(call, *id);
        return false;
    }
    return true;
}

bool upload_read(struct s3_call *call, struct upload *upload)
{
    int rc = meta_get_upload(call->service->meta, call->arena, call->bucket->id,
                             call->key, upload->id, &upload->record);
    if (rc == -ENOENT) {
        if (upload_authorize(call, NULL)) {
            upload_fail_missing(call, upload->id);
        }
        return false;
    }
    if (rc != 0) {
        call_fail_errno(call, rc, "read upload");
        return false;
    }
    return upload_authorize(call, upload->record);
}

bool upload_part_number_arg(struct s3_call *call, unsigned *number)
{
    struct slice text = call_arg(call, "partNumber");
    uint64_t value = 0;

    if (slice_to_u64(text, &value) != 0 || value < 1 ||
        value > PART_NUMBER_MAX) {
        call_fail_argument(call, "partNumber", text,
                           "Part number must be an integer between 1 and "
                           "10000, inclusive");
        return false;
    }
    *number = (unsigned)value;
    return true;
}

/* --- checksums -------------------------------------------------------------*/
bool upload_names_checksum(const Meta__Upload *record)
{
    return record->checksum_algorithm != META__CHECKSUM_ALGORITHM__NO_CHECKSUM;
}

Meta__ChecksumAlgorithm upload_algorithm(const Meta__Upload *record)
{
    return upload_names_checksum(record) ? record->checksum_algorithm
                                         : META__CHECKSUM_ALGORITHM__CRC64NVME;
}

Meta__ChecksumType upload_checksum_type(const Meta__Upload *record)
{
    return upload_names_checksum(record) ? record->checksum_type
                                         : META__CHECKSUM_TYPE__FULL_OBJECT;
}

const char *checksum_type_name(Meta__ChecksumType type)
{
    return type == META__CHECKSUM_TYPE__COMPOSITE ? "COMPOSITE" : "FULL_OBJECT";
}

Meta__Checksum *checksum_new(struct arena *arena,
                             Meta__ChecksumAlgorithm algorithm,
                             Meta__ChecksumType type, const uint8_t *value)
{
    Meta__Checksum *checksum = arena_alloc(arena, sizeof(*checksum));

    meta__checksum__init(checksum);
    checksum->algorithm = algorithm;
    checksum->type = type;
    checksum->value =
        pb_bytes(arena_copy(arena, value, checksum_size(algorithm)));
    return checksum;
}

static bool is_sha(Meta__ChecksumAlgorithm algorithm)
{
    return algorithm == META__CHECKSUM_ALGORITHM__SHA1 ||
           algorithm == META__CHECKSUM_ALGORITHM__SHA256;
}

/* Which types an algorithm can have:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
static bool take_checksum_type(struct s3_call *call, struct slice text,
                               Meta__Upload *record)
{
    bool crc64 =
        record->checksum_algorithm == META__CHECKSUM_ALGORITHM__CRC64NVME;
    bool composite =
        text.data == NULL ? !crc64 : slice_equal_string(text, "COMPOSITE");
    if (text.data != NULL && !composite &&
        !slice_equal_string(text, "FULL_OBJECT")) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Value for x-amz-checksum-type header is invalid.");
        return false;
    }
    if (composite ? crc64 : is_sha(record->checksum_algorithm)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The %s checksum type cannot be used with the %s "
                          "checksum algorithm.",
                          composite ? "COMPOSITE" : "FULL_OBJECT",
                          checksum_name(record->checksum_algorithm));
        return false;
    }
    record->checksum_type = composite ? META__CHECKSUM_TYPE__COMPOSITE
                                      : META__CHECKSUM_TYPE__FULL_OBJECT;
    return true;
}

static bool take_checksum(struct s3_call *call, Meta__Upload *record)
{
    struct slice type = call_request_header(call, "x-amz-checksum-type");

    if (!checksum_take_wanted(call, &record->checksum_algorithm)) {
        return false;
    }
    if (upload_names_checksum(record)) {
        return take_checksum_type(call, type, record);
    }
    if (type.data != NULL) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The x-amz-checksum-type header can only be used "
                          "with the x-amz-checksum-algorithm header.");
        return false;
    }
    return true;
}

/* --- CreateMultipartUpload -------------------------------------------------*/
static bool take_request(struct s3_call *call, Meta__Upload *record)
{
    Meta__Object object = META__OBJECT__INIT;

    if (!take_checksum(call, record) || !object_take_headers(call, &object)) {
        return false;
    }
    record->n_headers = object.n_headers;
    record->headers = object.headers;
    record->n_metadata = object.n_metadata;
    record->metadata = object.metadata;
    record->n_tags = object.n_tags;
    record->tags = object.tags;
    record->storage_class = object.storage_class;
    record->website_redirect = object.website_redirect;
    record->retention = object.retention;
    record->legal_hold = object.legal_hold;
    record->acl = object.acl;
    record->object_owner = object.owner;
    record->owner = pb_bytes(slice_from_string(call->identity.user));
    record->initiated_ms = clock_wall_ms();
    record->id = pb_bytes(new_id(call->arena, record->initiated_ms));
    if (!sse_create(call, pb_slice(record->id), &call->sse)) {
        return false;
    }
    record->encryption = call->sse.record;
    return true;
}

static void reply_created(struct s3_call *call, const Meta__Upload *record)
{
    struct buffer out = {NULL, 0, 0};

    if (upload_names_checksum(record)) {
        call_header(call, "x-amz-checksum-algorithm", "%s",
                    checksum_name(record->checksum_algorithm));
        call_header(call, "x-amz-checksum-type", "%s",
                    checksum_type_name(record->checksum_type));
    }
    sse_headers(call, record->encryption, true);
    xml_open_document(&out, "InitiateMultipartUploadResult");
    xml_text(&out, "Bucket", call->bucket_name);
    xml_text(&out, "Key", call->key);
    xml_text(&out, "UploadId", pb_slice(record->id));
    xml_close(&out, "InitiateMultipartUploadResult");
    call_reply_xml(call, 200, &out);
}

void s3_create_upload_run(struct s3_call *call)
{
    Meta__Upload record = META__UPLOAD__INIT;

    if (!take_request(call, &record) || !object_lock(call, call->key)) {
        return;
    }
    struct meta_batch *batch = meta_batch_new(call->service->meta);
    meta_put_upload(batch, call->bucket->id, call->key, &record);
    int rc = meta_commit(batch);
    meta_batch_free(batch);
    object_unlock(call, call->key);
    if (rc != 0) {
        call_fail_errno(call, rc, "create upload");
    } else {
        reply_created(call, &record);
    }
}

/* --- AbortMultipartUpload --------------------------------------------------*/
uint64_t parts_size(Meta__Part *const *parts, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += parts[i]->size;
    }
    return bytes;
}

int upload_remove(struct meta *meta, struct meta_batch *batch,
                  struct arena *arena, uint64_t bucket, struct slice key,
                  struct slice id, struct s3_upload_parts *removed)
{
    Meta__Part **parts;
    bool more = false;
    int rc = meta_list_parts(meta, arena, id, 1, PART_NUMBER_MAX, &parts,
                             &removed->count, &more);
    if (rc != 0) {
        return rc;
    }
    invariant(!more);
    for (size_t i = 0; i < removed->count; i++) {
        if (parts[i]->blob != 0) {
            struct meta_referrer referrer = part_referrer(id, parts[i]->number);
            meta_drop_ref(batch, parts[i]->blob, &referrer); /* U2 */
        }
        meta_delete_part(batch, bucket, id, parts[i]);
    }
    meta_delete_upload(batch, bucket, key, id);
    removed->bytes = parts_size(parts, removed->count);
    return 0;
}

int upload_abort(struct meta *meta, struct arena *arena, uint64_t bucket,
                 struct slice key, struct slice id,
                 struct s3_upload_parts *parts)
{
    struct meta_batch *batch = meta_batch_new(meta);
    int rc = upload_remove(meta, batch, arena, bucket, key, id, parts);

    rc = rc != 0 ? rc : meta_commit(batch);
    meta_batch_free(batch);
    return rc;
}

/* Under the key's lock. */
static void abort_locked(struct s3_call *call, struct upload *upload)
{
    struct s3_upload_parts parts;

    if (!upload_read(call, upload)) {
        return;
    }
    int rc = upload_abort(call->service->meta, call->arena, call->bucket->id,
                          call->key, upload->id, &parts);
    if (rc != 0) {
        call_fail_errno(call, rc, "abort upload");
    } else {
        call_reply_empty(call, 204);
    }
}

void s3_abort_upload_run(struct s3_call *call)
{
    struct upload upload = {.record = NULL};

    if (call_request_header(call, "x-amz-if-match-initiated-time").data !=
        NULL) { /* directory buckets only */
        call_error_field(call, "Header",
                         SLICE_LITERAL("x-amz-if-match-initiated-time"));
        call_fail(call, S3_ERR_NotImplemented);
        return;
    }
    if (!upload_id_arg(call, &upload.id) || !object_lock(call, call->key)) {
        return;
    }
    abort_locked(call, &upload);
    object_unlock(call, call->key);
}
