/*
 * UploadPartCopy: a part that references its source's bytes.
 *
 * A range that lies within one stored blob is referenced where it is; only
 * its digests may have to be read. A range over several parts of a composite
 * is written anew, so that U3 holds, and so is one that is sealed or is to be:
 * each upload has a key of its own. The source may be overwritten meanwhile
 * and its blob reclaimed: then it is looked up again, unless the reply has
 * begun, which tells of this source.
 */
#include <errno.h>
#include <string.h>

#include "s3/copy_bytes.h"
#include "s3/limits.h"
#include "s3/multipart.h"
#include "s3/operations.h"
#include "s3/sse.h"
#include "s3/work.h"

#define ATTEMPTS_MAX 4

struct piece {
    uint64_t blob, offset, size;
    const Meta__Part *whole; /* it is all of this part of the source */
};

struct copy {
    struct upload upload;
    unsigned number;
    Meta__Bucket *bucket; /* of the source */
    Meta__Object *source;
    uint64_t offset, size; /* of the source, bytes */
    struct sse from;       /* of the source */
    struct piece *pieces;
    size_t count;
    bool rewritten; /* into call->blob */
    uint8_t md5[DIGEST_SIZE_MAX];
    Meta__Checksum *checksum;
    struct copy_bytes bytes; /* being read */
    bool begun;              /* an attempt */
    unsigned attempts;
};

/* --- the range -------------------------------------------------------------*/
static bool parse_range(struct slice text, uint64_t *first, uint64_t *last)
{
    struct slice prefix = SLICE_LITERAL("bytes=");
    if (!slice_has_prefix(text, prefix)) {
        return false;
    }
    text = slice_of(text.data + prefix.size, text.size - prefix.size);
    const uint8_t *dash = memchr(text.data, '-', text.size);
    if (dash == NULL) {
        return false;
    }
    size_t size = (size_t)(dash - text.data);
    return slice_to_u64(slice_of(text.data, size), first) == 0 &&
           slice_to_u64(slice_of(dash + 1, text.size - size - 1), last) == 0 &&
           *first <= *last;
}

/* Never clamped: a range beyond the source is an error. */
static bool take_range(struct s3_call *call, struct copy *copy)
{
    const char *name = "x-amz-copy-source-range";
    struct slice text = call_request_header(call, name);
    uint64_t first, last;

    copy->offset = 0;
    copy->size = copy->source->size;
    if (text.data != NULL) {
        if (!parse_range(text, &first, &last)) {
            call_fail_argument(call, name, text,
                               "The x-amz-copy-source-range value must be of "
                               "the form bytes=first-last where first and "
                               "last are the zero-based offsets of the first "
                               "and last bytes to copy");
            return false;
        }
        if (last >= copy->source->size) {
            char *message =
                arena_printf(call->arena,
                             "Range specified is not valid for source object "
                             "of size: %ju",
                             (uintmax_t)copy->source->size);
            call_fail_argument(call, name, text, message);
            return false;
        }
        copy->offset = first;
        copy->size = last - first + 1;
    }
    if (copy->size > PART_SIZE_MAX) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The specified copy source is larger than the "
                          "maximum allowable size for a copy source: %ju",
                          (uintmax_t)PART_SIZE_MAX);
        return false;
    }
    return true;
}

/* --- where the bytes are ---------------------------------------------------*/
static void take_slices(struct copy *copy, const Meta__Blob *blob)
{
    uint64_t end = copy->offset + copy->size, at = 0;

    for (size_t i = 0; i < blob->n_parts && at < end; i++) {
        const Meta__Part *part = blob->parts[i];
        uint64_t from = copy->offset > at ? copy->offset - at : 0;
        uint64_t to = end - at < part->size ? end - at : part->size;
        if (from < to) {
            copy->pieces[copy->count++] = (struct piece){
                .blob = part->blob,
                .offset = part->offset + from,
                .size = to - from,
                .whole =
                    to - from == part->size && part->slices < 2 ? part : NULL,
            };
        }
        at += part->size;
    }
}

/* 0, -ENOENT if the blob has gone meanwhile, or another negative errno. */
static int locate(struct s3_call *call, struct copy *copy)
{
    Meta__Blob *blob;
    copy->count = 0;
    if (copy->size == 0) {
        return 0;
    }
    int rc = meta_get_blob(call->service->meta, call->arena, copy->source->blob,
                           &blob);
    if (rc != 0) {
        return rc;
    }
    size_t most = blob->n_parts > 0 ? blob->n_parts : 1;
    copy->pieces = arena_zalloc(call->arena, most * sizeof(*copy->pieces));
    if (blob->n_parts == 0) {
        copy->pieces[copy->count++] = (struct piece){.blob = copy->source->blob,
                                                     .offset = copy->offset,
                                                     .size = copy->size};
        return 0;
    }
    take_slices(copy, blob);
    uint64_t found = 0;
    for (size_t i = 0; i < copy->count; i++) {
        found += copy->pieces[i].size;
    }
    return found == copy->size ? 0 : -EBADMSG;
}

/* --- digests ---------------------------------------------------------------*/
static bool usable_checksum(const struct copy *copy,
                            const Meta__Checksum *checksum)
{
    return checksum->algorithm == upload_algorithm(copy->upload.record) &&
           checksum->type == META__CHECKSUM_TYPE__FULL_OBJECT;
}

/* True if all digests are known without reading: a part taken whole, or an
 * object from one PUT, whose ETag is its MD5. */
static bool known_digests(struct s3_call *call, struct copy *copy)
{
    const Meta__Object *source = copy->source;
    const Meta__Part *part = copy->count == 1 ? copy->pieces[0].whole : NULL;
    const Meta__Checksum *checksum = NULL;

    if (copy->from.record != NULL) {
        return false; /* not all tags are MD5s there */
    }
    if (part != NULL && part->md5.len == 16) {
        memcpy(copy->md5, part->md5.data, 16);
        checksum = part->checksum;
    } else if (copy->size == source->size && source->parts == 0 &&
               source->etag.len == 32 &&
               hex_decode(copy->md5, pb_slice(source->etag)) == 0) {
        checksum = source->checksum;
    }
    if (checksum == NULL || !usable_checksum(copy, checksum)) {
        return false;
    }
    copy->checksum =
        checksum_new(call->arena, checksum->algorithm,
                     META__CHECKSUM_TYPE__FULL_OBJECT, checksum->value.data);
    return true;
}

/* --- commit ----------------------------------------------------------------*/
static void announce(struct s3_call *call)
{
    const struct copy *copy = call->operation_data;

    object_copy_source_header(call, copy->bucket, copy->source);
    sse_headers(call, call->sse.record, false);
}

static void reply(struct s3_call *call, const Meta__Part *part)
{
    struct buffer out = {NULL, 0, 0};
    char etag[33];

    if (!call->done) { /* else its headers are sent */
        announce(call);
    }
    hex_encode(etag, part->md5.data, part->md5.len);
    xml_open_document(&out, "CopyPartResult");
    xml_time(&out, "LastModified", part->mtime_ms);
    xml_quoted(&out, "ETag", slice_from_string(etag));
    part_checksum_element(call, &out, part->checksum);
    xml_close(&out, "CopyPartResult");
    call_reply_xml(call, 200, &out);
}

/* Under the key's lock, the upload seen. -ENOENT: the blob is gone. */
static int commit_reference(struct s3_call *call, struct meta_batch *batch,
                            struct copy *copy, const Meta__Part *part)
{
    struct meta *meta = call->service->meta;
    Meta__Blob *blob;

    if (part->blob == 0 || copy->rewritten) {
        return part_commit(call, batch, &copy->upload, part);
    }
    meta_blob_lock(meta, part->blob); /* M2: it stays from here on */
    int rc = meta_get_blob(meta, call->arena, part->blob, &blob);
    if (rc == 0) {
        rc = part_commit(call, batch, &copy->upload, part);
    }
    meta_blob_unlock(meta, part->blob);
    return rc;
}

static int commit(struct s3_call *call, struct meta_batch *batch,
                  struct copy *copy)
{
    Meta__Part part = META__PART__INIT;
    int rc = 0;

    part.number = copy->number;
    part.size = copy->size;
    if (copy->rewritten) {
        part.blob = call->blob;
    } else if (copy->count == 1) {
        part.blob = copy->pieces[0].blob;
        part.offset = copy->pieces[0].offset;
    }
    sse_tag(&call->sse, copy->md5, copy->md5);
    part.md5 = pb_bytes(slice_of(copy->md5, 16));
    part.checksum = copy->checksum;
    part.mtime_ms = clock_wall_ms();
    if (!object_lock(call, call->key)) {
        return 0;
    }
    if (upload_read(call, &copy->upload)) {
        rc = commit_reference(call, batch, copy, &part);
        if (rc == 0) {
            reply(call, &part);
        }
    }
    object_unlock(call, call->key);
    return rc;
}

/* --- one attempt -----------------------------------------------------------*/
/* Begins to read the range for its digests, unless they are known, and into a
 * new blob, where bytes may not be referenced: those of several blobs, and
 * those that are or are to be sealed. */
static int open_bytes(struct s3_call *call, struct copy *copy)
{
    Meta__Object object;
    int rc = 0;

    copy->checksum = NULL;
    copy->rewritten = copy->count > 1 ||
                      (copy->count == 1 &&
                       (copy->from.record != NULL || call->sse.record != NULL));
    if (!copy->rewritten && known_digests(call, copy)) {
        return 0;
    }
    if (copy->rewritten) {
        upload_object(copy->upload.record, &object);
        rc = object_open_blob(call, &object, copy->upload.id, copy->number,
                              copy->size, &call->blob, &call->writer);
    }
    if (rc == 0) {
        copy_bytes_open(call, &copy->bytes, copy->source->blob, &copy->from,
                        copy->offset, copy->size,
                        upload_algorithm(copy->upload.record));
    }
    return rc;
}

static int read_bytes(struct s3_call *call, struct copy *copy)
{
    int rc;

    if (copy->checksum != NULL) {
        return 0; /* known */
    }
    rc = copy_bytes_go_on(call, &copy->bytes);
    if (rc == 0) {
        copy->checksum = copy_bytes_digest(call, &copy->bytes, copy->md5);
    } else if (rc != -EINPROGRESS) {
        object_abandon_blob(call);
    }
    return rc;
}

static int begin(struct s3_call *call, struct copy *copy)
{
    struct slice key;
    int rc;

    copy->begun = true;
    if (!object_copy_source(call, &copy->bucket, &key, &copy->source) ||
        !take_range(call, copy) ||
        !limits_check_part(call, copy->upload.id, copy->number, copy->size) ||
        !sse_open(call, copy->source->encryption, SSE_COPY_SOURCE,
                  &copy->from)) {
        return -ECANCELED;
    }
    rc = locate(call, copy);
    return rc == 0 ? open_bytes(call, copy) : rc;
}

static int finish(struct s3_call *call, struct copy *copy)
{
    struct meta_batch *batch = meta_batch_new(call->service->meta);
    int rc = object_finish_blob(call, batch) ? commit(call, batch, copy)
                                             : -ECANCELED;

    meta_batch_free(batch);
    return rc;
}

/* 0 or -ECANCELED when the call has ended, -EINPROGRESS if it goes on in the
 * next step, -ENOENT when the source's bytes have gone and it must be looked
 * up again, or another negative errno. */
static int attempt(struct s3_call *call, struct copy *copy)
{
    int rc = copy->begun ? 0 : begin(call, copy);

    if (rc == 0) {
        rc = read_bytes(call, copy);
    }
    if (rc == -EINPROGRESS) {
        return rc;
    }
    if (rc == 0) {
        rc = finish(call, copy);
    }
    copy_bytes_close(&copy->bytes); /* till now the source stays (M5) */
    copy->begun = false;
    return rc;
}

static void step(struct s3_call *call)
{
    struct copy *copy = call->operation_data;
    int rc;

    do {
        rc = attempt(call, copy);
    } while (rc == -ENOENT && !call->done && ++copy->attempts < ATTEMPTS_MAX);
    if (rc == -ENOENT) {
        call_fail(call, S3_ERR_OperationAborted);
    } else if (rc != 0 && rc != -ECANCELED && rc != -EINPROGRESS) {
        call_fail_errno(call, rc, "copy part");
    }
}

static void free_copy(struct s3_call *call)
{
    struct copy *copy = call->operation_data;

    copy_bytes_close(&copy->bytes);
    sse_wipe(&copy->from);
}

void s3_upload_part_copy_run(struct s3_call *call)
{
    static const struct s3_work_kind kind = {step, announce, free_copy};
    struct copy *copy = arena_zalloc(call->arena, sizeof(*copy));

    if (upload_part_number_arg(call, &copy->number) &&
        upload_id_arg(call, &copy->upload.id) &&
        upload_read(call, &copy->upload) &&
        sse_open(call, copy->upload.record->encryption, SSE_UPLOAD,
                 &call->sse)) {
        call->operation_data = copy;
        work_begin(call, &kind);
    }
}
