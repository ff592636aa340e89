/*
 * CompleteMultipartUpload.
 *
 * No byte moves: a composite blob names the parts' blobs, and one commit
 * gives it their references (U2), makes the object, ends the upload and
 * remembers the answer, so that a repeated request gets it again.
 */
#include <errno.h>
#include <string.h>

#include "base/xml_in.h"
#include "s3/multipart.h"
#include "s3/operations.h"
#include "s3/sse.h"

#define ALGORITHMS (META__CHECKSUM_ALGORITHM__SHA256 + 1)

struct wanted {
    unsigned number;
    struct slice etag;                  /* without quotes */
    struct slice checksums[ALGORITHMS]; /* base64; data == NULL: none */
};

struct complete {
    struct upload upload;
    struct wanted *wanted; /* as the client lists them */
    size_t count;
    uint8_t digest[DIGEST_SIZE_MAX]; /* of the list: SHA-256 */
    Meta__Part **stored;
    size_t stored_count;
    Meta__Part **parts; /* `count` of the stored ones */
    uint64_t size;      /* of the object, bytes */
    Meta__Checksum *checksum;
    char *etag;
    struct slice version_id; /* of the object; empty: the null version */
    Meta__Encryption told;
};

/* --- the document ----------------------------------------------------------*/
static struct slice unquoted(struct slice etag)
{
    if (etag.size >= 2 && etag.data[0] == '"' &&
        etag.data[etag.size - 1] == '"') {
        return slice_of(etag.data + 1, etag.size - 2);
    }
    return etag;
}

static bool read_part(const struct xml_node *node, struct wanted *wanted)
{
    struct xml_leaf leaves[2 + ALGORITHMS] = {
        {.name = "PartNumber", .required = true},
        {.name = "ETag", .required = true},
    };
    size_t count = 2;
    uint64_t number;

    for (int i = META__CHECKSUM_ALGORITHM__CRC32; i < ALGORITHMS; i++) {
        leaves[count++].name = checksum_element(i);
    }
    if (!xml_in_leaves(node, leaves, count) ||
        slice_to_u64(leaves[0].value, &number) != 0 || number < 1 ||
        number > PART_NUMBER_MAX) {
        return false;
    }
    wanted->number = (unsigned)number;
    wanted->etag = unquoted(leaves[1].value);
    for (int i = META__CHECKSUM_ALGORITHM__CRC32; i < ALGORITHMS; i++) {
        wanted->checksums[i] =
            leaves[2 + i - META__CHECKSUM_ALGORITHM__CRC32].value;
    }
    return wanted->etag.size > 0;
}

static bool read_request(struct s3_call *call, struct complete *complete)
{
    const struct xml_node *root =
        xml_in_parse(call->arena, slice_of(call->xml.data, call->xml.size),
                     "CompleteMultipartUpload");
    size_t count = 0;
    if (root == NULL) {
        return false;
    }
    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        count++;
    }
    if (count == 0 || count > PART_NUMBER_MAX) {
        return false;
    }
    complete->wanted =
        arena_zalloc(call->arena, count * sizeof(*complete->wanted));
    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        if (!slice_equal_string(node->name, "Part") ||
            !read_part(node, &complete->wanted[complete->count++])) {
            return false;
        }
    }
    return true;
}

/* Tells a repeated request from one for other parts. */
static void digest_request(struct s3_call *call, struct complete *complete)
{
    struct digester *digester = digester_new(DIGEST_SHA256);
    uint8_t number[8];

    put_u64be(number, call->bucket->id);
    digester_update(digester, number, 8);
    for (size_t i = 0; i < complete->count; i++) {
        const struct wanted *wanted = &complete->wanted[i];
        put_u32be(number, wanted->number);
        put_u32be(number + 4, (uint32_t)wanted->etag.size);
        digester_update(digester, number, 8);
        digester_update(digester, wanted->etag.data, wanted->etag.size);
    }
    digester_final(digester, DIGEST_SHA256, complete->digest);
    digester_free(digester);
}

/* --- the parts -------------------------------------------------------------*/
static bool check_order(struct s3_call *call, const struct complete *complete)
{
    for (size_t i = 1; i < complete->count; i++) {
        if (complete->wanted[i].number <= complete->wanted[i - 1].number) {
            call_error_field(call, "UploadId", complete->upload.id);
            call_fail(call, S3_ERR_InvalidPartOrder);
            return false;
        }
    }
    return true;
}

static void part_fields(struct s3_call *call, const struct wanted *wanted)
{
    char *number = arena_printf(call->arena, "%u", wanted->number);

    call_error_field(call, "PartNumber", slice_from_string(number));
    call_error_field(call, "ETag", wanted->etag);
}

static bool fail_part(struct s3_call *call, const struct complete *complete,
                      const struct wanted *wanted)
{
    call_error_field(call, "UploadId", complete->upload.id);
    part_fields(call, wanted);
    call_fail(call, S3_ERR_InvalidPart);
    return false;
}

static bool fail_small(struct s3_call *call, const struct wanted *wanted,
                       uint64_t size)
{
    char *text = arena_printf(call->arena, "%ju", (uintmax_t)size);
    char *least = arena_printf(call->arena, "%ju", (uintmax_t)PART_SIZE_MIN);

    call_error_field(call, "ProposedSize", slice_from_string(text));
    call_error_field(call, "MinSizeAllowed", slice_from_string(least));
    part_fields(call, wanted);
    call_fail(call, S3_ERR_EntityTooSmall);
    return false;
}

static bool part_matches(struct s3_call *call, const struct complete *complete,
                         const struct wanted *wanted, const Meta__Part *part)
{
    char md5[33];

    invariant(part->md5.len == 16);
    hex_encode(md5, part->md5.data, 16);
    if (!slice_equal_string(wanted->etag, md5)) {
        return false;
    }
    /* Of other algorithms nothing is kept: the ETag has to do. */
    Meta__ChecksumAlgorithm algorithm =
        upload_algorithm(complete->upload.record);
    struct slice given = wanted->checksums[algorithm];
    return given.data == NULL ||
           (part->checksum != NULL &&
            slice_equal_string(given, checksum_text(call, part->checksum, 0)));
}

/* A composite upload must repeat the checksum of each part. */
static bool check_given(struct s3_call *call, const struct complete *complete,
                        const struct wanted *wanted)
{
    const Meta__Upload *record = complete->upload.record;
    Meta__ChecksumAlgorithm algorithm = upload_algorithm(record);

    if (upload_checksum_type(record) != META__CHECKSUM_TYPE__COMPOSITE ||
        wanted->checksums[algorithm].data != NULL) {
        return true;
    }
    char *name = arena_printf(call->arena, "%s", checksum_name(algorithm));
    for (char *p = name; *p != '\0'; p++) {
        *p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
    }
    call_fail_message(call, S3_ERR_InvalidRequest,
                      "The upload was created using a %s checksum. The "
                      "complete request must include the checksum for each "
                      "part. It was missing for part %u in the request.",
                      name, wanted->number);
    return false;
}

/* Both lists are ascending. */
static bool choose_parts(struct s3_call *call, struct complete *complete)
{
    size_t at = 0;

    complete->parts =
        arena_zalloc(call->arena, complete->count * sizeof(Meta__Part *));
    for (size_t i = 0; i < complete->count; i++) {
        const struct wanted *wanted = &complete->wanted[i];
        while (at < complete->stored_count &&
               complete->stored[at]->number < wanted->number) {
            at++;
        }
        if (at == complete->stored_count ||
            complete->stored[at]->number != wanted->number ||
            !part_matches(call, complete, wanted, complete->stored[at])) {
            return fail_part(call, complete, wanted);
        }
        if (!check_given(call, complete, wanted)) {
            return false;
        }
        complete->parts[i] = complete->stored[at];
        complete->size += complete->stored[at]->size;
    }
    return true;
}

static bool check_sizes(struct s3_call *call, const struct complete *complete)
{
    struct slice text = call_request_header(call, "x-amz-mp-object-size");
    uint64_t told;

    for (size_t i = 0; i + 1 < complete->count; i++) {
        if (complete->parts[i]->size < PART_SIZE_MIN) {
            return fail_small(call, &complete->wanted[i],
                              complete->parts[i]->size);
        }
    }
    if (complete->size > OBJECT_SIZE_MAX) {
        call_fail(call, S3_ERR_EntityTooLarge);
        return false;
    }
    if (text.data != NULL &&
        (slice_to_u64(text, &told) != 0 || told != complete->size)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The provided 'x-amz-mp-object-size' header does "
                          "not match what was computed.");
        return false;
    }
    return true;
}

/* --- ETag and checksum -----------------------------------------------------*/
static void compute_etag(struct s3_call *call, struct complete *complete)
{
    struct digester *digester = digester_new(DIGEST_MD5);
    uint8_t md5[DIGEST_SIZE_MAX];
    char hex[33];

    for (size_t i = 0; i < complete->count; i++) {
        digester_update(digester, complete->parts[i]->md5.data, 16);
    }
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    hex_encode(hex, md5, 16);
    complete->etag = arena_printf(call->arena, "%s-%zu", hex, complete->count);
}

static void composite_value(const struct complete *complete,
                            Meta__ChecksumAlgorithm algorithm,
                            uint8_t value[DIGEST_SIZE_MAX])
{
    unsigned digest = checksum_digest(algorithm);
    struct digester *digester = digester_new(digest);

    for (size_t i = 0; i < complete->count; i++) {
        const Meta__Checksum *part = complete->parts[i]->checksum;
        digester_update(digester, part->value.data, part->value.len);
    }
    digester_final(digester, (enum digest)digest, value);
    digester_free(digester);
}

uint64_t checksum_crc(const Meta__Checksum *checksum)
{
    return checksum->value.len == 8 ? get_u64be(checksum->value.data)
                                    : get_u32be(checksum->value.data);
}

static void joined_value(const struct complete *complete,
                         Meta__ChecksumAlgorithm algorithm,
                         uint8_t value[DIGEST_SIZE_MAX])
{
    enum digest digest = (enum digest)checksum_digest(algorithm);
    uint64_t crc = checksum_crc(complete->parts[0]->checksum);

    for (size_t i = 1; i < complete->count; i++) {
        crc =
            crc_combine(digest, crc, checksum_crc(complete->parts[i]->checksum),
                        complete->parts[i]->size);
    }
    if (checksum_size(algorithm) == 8) {
        put_u64be(value, crc);
    } else {
        put_u32be(value, (uint32_t)crc);
    }
}

static int compute_checksum(struct s3_call *call, struct complete *complete)
{
    const Meta__Upload *record = complete->upload.record;
    Meta__ChecksumAlgorithm algorithm = upload_algorithm(record);
    Meta__ChecksumType type = upload_checksum_type(record);
    uint8_t value[DIGEST_SIZE_MAX];

    for (size_t i = 0; i < complete->count; i++) {
        const Meta__Checksum *part = complete->parts[i]->checksum;
        if (part == NULL || part->algorithm != algorithm ||
            part->value.len != checksum_size(algorithm)) {
            return -EBADMSG;
        }
    }
    if (type == META__CHECKSUM_TYPE__COMPOSITE) {
        composite_value(complete, algorithm, value);
    } else {
        joined_value(complete, algorithm, value);
    }
    complete->checksum = checksum_new(call->arena, algorithm, type, value);
    return 0;
}

/* "value", or "value-N" for a composite of N parts. */
static bool same_checksum(struct s3_call *call, const struct complete *complete,
                          struct slice given)
{
    const char *full =
        checksum_text(call, complete->checksum, (unsigned)complete->count);
    const char *dash = strrchr(full, '-');

    return slice_equal_string(given, full) ||
           (dash != NULL &&
            slice_equal(given, slice_of(full, (size_t)(dash - full))));
}

/* What the client says of the whole object's checksum. */
static bool check_whole(struct s3_call *call, const struct complete *complete)
{
    const Meta__Upload *record = complete->upload.record;
    Meta__ChecksumAlgorithm algorithm = upload_algorithm(record);
    const char *mode = checksum_type_name(upload_checksum_type(record));
    struct slice type = call_request_header(call, "x-amz-checksum-type");

    if (type.data != NULL && !slice_equal_string(type, mode)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The upload was created using the %s checksum mode. "
                          "The complete request must use the same checksum "
                          "mode.",
                          mode);
        return false;
    }
    for (int i = META__CHECKSUM_ALGORITHM__CRC32; i < ALGORITHMS; i++) {
        struct slice given = call_request_header(call, checksum_header(i));
        if (given.data == NULL) {
            continue;
        }
        if (i != (int)algorithm) {
            call_fail_message(call, S3_ERR_InvalidRequest,
                              "Checksum Type mismatch occurred, expected "
                              "checksum Type: %s, actual checksum Type: %s",
                              checksum_name(algorithm), checksum_name(i));
            return false;
        }
        if (!same_checksum(call, complete, given)) {
            call_fail_message(call, S3_ERR_BadDigest,
                              "The %s you specified did not match the "
                              "calculated checksum.",
                              checksum_name(algorithm));
            return false;
        }
    }
    return true;
}

/* --- the commit ------------------------------------------------------------*/
static void end_upload(struct s3_call *call, struct meta_batch *batch,
                       struct complete *complete)
{
    struct slice id = complete->upload.id;

    for (size_t i = 0; i < complete->stored_count; i++) {
        const Meta__Part *part = complete->stored[i];
        struct meta_referrer referrer = part_referrer(id, part->number);
        if (part->blob != 0) {
            meta_drop_ref(batch, part->blob, &referrer);
        }
        meta_delete_part(batch, call->bucket->id, id, part);
    }
    meta_delete_upload(batch, call->bucket->id, call->key, id);
}

/* What the answer tells: S3 does not name the keys of customers here. */
static void take_told(const Meta__Encryption *encryption,
                      Meta__Encryption *told)
{
    meta__encryption__init(told);
    if (encryption != NULL &&
        encryption->mode != META__ENCRYPTION_MODE__SSE_C) {
        told->mode = encryption->mode;
        told->kms_key = encryption->kms_key;
        told->bucket_key = encryption->bucket_key;
    }
}

static void remember(struct s3_call *call, struct meta_batch *batch,
                     struct complete *complete)
{
    Meta__Completed record = META__COMPLETED__INIT;

    record.encryption = &complete->told;

    record.key = pb_bytes(call->key);
    record.etag = pb_bytes(slice_from_string(complete->etag));
    record.parts_digest = pb_bytes(slice_of(complete->digest, 32));
    record.completed_ms = clock_wall_ms();
    record.checksum = complete->checksum;
    record.version_id = pb_bytes(complete->version_id);
    meta_put_completed(batch, complete->upload.id, &record);
}

static int commit(struct s3_call *call, struct complete *complete)
{
    const Meta__Upload *upload = complete->upload.record;
    struct meta *meta = call->service->meta;
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Object object;

    upload_object(upload, &object);
    object.size = complete->size;
    object.etag = pb_bytes(slice_from_string(complete->etag));
    object.parts = (uint32_t)complete->count;
    object.checksum = complete->checksum;
    take_told(upload->encryption, &complete->told);
    if (complete->size > 0) {
        object.blob = meta_next_id(meta);
        composite_put(batch, object.blob, complete->parts, complete->count);
    }
    end_upload(call, batch, complete);
    object_assign_version(call, &object);
    complete->version_id = pb_slice(object.version_id);
    remember(call, batch, complete);
    int rc = object_commit(call, batch, call->key, &object);
    meta_batch_free(batch);
    return rc;
}

/* --- answers ---------------------------------------------------------------*/
/* The URL of the object as this client spells it: the bucket is in the host
 * or in the path. */
static void write_location(struct s3_call *call, struct buffer *out)
{
    const Wire__Request *request = call->request;
    struct buffer url = {NULL, 0, 0};
    struct slice host = pb_slice(request->host), path;
    bool virtual_host =
        uri_decode(call->arena, pb_slice(request->resource), &path) == 0 &&
        path.size == call->key.size + 1 &&
        slice_equal(slice_of(path.data + 1, path.size - 1), call->key);

    buffer_append_string(&url, request->secure ? "https://" : "http://");
    buffer_append(&url, host.data, host.size);
    buffer_append_string(&url, "/");
    if (!virtual_host) {
        buffer_append(&url, call->bucket_name.data, call->bucket_name.size);
        buffer_append_string(&url, "/");
    }
    uri_encode(&url, call->key, true);
    xml_text(out, "Location", slice_of(url.data, url.size));
    buffer_free(&url);
}

static void reply(struct s3_call *call, struct slice etag,
                  struct slice version_id, const Meta__Checksum *checksum,
                  const Meta__Encryption *encryption, size_t parts)
{
    struct buffer out = {NULL, 0, 0};

    if (version_id.size > 0) {
        call_header_slice(call, "x-amz-version-id", version_id);
    }
    sse_headers(call, encryption, false);
    xml_open_document(&out, "CompleteMultipartUploadResult");
    write_location(call, &out);
    xml_text(&out, "Bucket", call->bucket_name);
    xml_text(&out, "Key", call->key);
    xml_quoted(&out, "ETag", etag);
    xml_checksum(call, &out, checksum, (unsigned)parts);
    xml_close(&out, "CompleteMultipartUploadResult");
    call_reply_xml(call, 200, &out);
}

/* The upload is gone: by this same request, or not. */
static void reply_again(struct s3_call *call, struct complete *complete)
{
    Meta__Completed *done;
    int rc = meta_get_completed(call->service->meta, call->arena,
                                complete->upload.id, &done);

    if (rc == 0 && slice_equal(pb_slice(done->key), call->key) &&
        slice_equal(pb_slice(done->parts_digest),
                    slice_of(complete->digest, 32))) {
        reply(call, pb_slice(done->etag), pb_slice(done->version_id),
              done->checksum, done->encryption, complete->count);
    } else if (rc == 0 || rc == -ENOENT) {
        upload_fail_missing(call, complete->upload.id);
    } else {
        call_fail_errno(call, rc, "read completed upload");
    }
}

/* If-Match and If-None-Match, decided with the commit. */
static bool check_conditions(struct s3_call *call)
{
    Meta__Object *current = NULL;
    int rc = meta_get_object(call->service->meta, call->arena, call->bucket->id,
                             call->key, &current);

    if (rc != 0 && rc != -ENOENT) {
        call_fail_errno(call, rc, "read object");
        return false;
    }
    return object_check_write_conditions(call, rc == 0 ? current : NULL);
}

/* The key of SSE-C need not come again; if it does, it must be the one. */
static bool check_customer(struct s3_call *call,
                           const struct complete *complete)
{
    return !sse_named(call) ||
           sse_may_read(call, complete->upload.record->encryption, SSE_UPLOAD);
}

/* --- the operation ---------------------------------------------------------*/
/* Under the key's lock. On an error the upload is as it was. */
static void complete_locked(struct s3_call *call, struct complete *complete)
{
    struct meta *meta = call->service->meta;
    bool more = false;
    int rc = meta_get_upload(meta, call->arena, call->bucket->id, call->key,
                             complete->upload.id, &complete->upload.record);

    if (rc == -ENOENT) {
        reply_again(call, complete);
        return;
    }
    if (rc == 0 && !upload_authorize(call, complete->upload.record)) {
        return;
    }
    if (rc == 0) {
        rc = meta_list_parts(meta, call->arena, complete->upload.id, 1,
                             PART_NUMBER_MAX, &complete->stored,
                             &complete->stored_count, &more);
    }
    if (rc != 0) {
        call_fail_errno(call, rc, "read upload");
        return;
    }
    invariant(!more);
    if (!check_customer(call, complete) || !check_order(call, complete) ||
        !choose_parts(call, complete) || !check_sizes(call, complete) ||
        !check_conditions(call)) {
        return;
    }
    compute_etag(call, complete);
    rc = compute_checksum(call, complete);
    if (rc == 0 && !check_whole(call, complete)) {
        return;
    }
    rc = rc != 0 ? rc : commit(call, complete);
    if (rc != 0) {
        call_fail_errno(call, rc, "complete upload");
    } else {
        reply(call, slice_from_string(complete->etag), complete->version_id,
              complete->checksum, &complete->told, complete->count);
    }
}

void s3_complete_upload_run(struct s3_call *call)
{
    struct complete complete = {.count = 0};

    if (!upload_id_arg(call, &complete.upload.id)) {
        return;
    }
    if (!read_request(call, &complete)) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    digest_request(call, &complete);
    if (!object_lock(call, call->key)) {
        return;
    }
    complete_locked(call, &complete);
    object_unlock(call, call->key);
}
