/*
 * UploadPart, and how a part is committed.
 */
#include <errno.h>
#include <string.h>

#include "s3/limits.h"
#include "s3/multipart.h"
#include "s3/operations.h"
#include "s3/reader.h"
#include "s3/sse.h"
#include "s3/worm.h"

/* --- what UploadPartCopy shares --------------------------------------------*/
void upload_object(const Meta__Upload *upload, Meta__Object *object)
{
    meta__object__init(object);
    object->n_headers = upload->n_headers;
    object->headers = upload->headers;
    object->n_metadata = upload->n_metadata;
    object->metadata = upload->metadata;
    object->n_tags = upload->n_tags;
    object->tags = upload->tags;
    object->storage_class = upload->storage_class;
    object->website_redirect = upload->website_redirect;
    object->retention = upload->retention;
    object->legal_hold = upload->legal_hold;
    object->acl = upload->acl;
    object->owner =
        upload->object_owner.len > 0 ? upload->object_owner : upload->owner;
    object->encryption = upload->encryption;
}

struct meta_referrer part_referrer(struct slice upload, unsigned number)
{
    return (struct meta_referrer){
        .kind = META_REFERRER_PART, .upload = upload, .number = number};
}

int part_commit(struct s3_call *call, struct meta_batch *batch,
                const struct upload *upload, const Meta__Part *part)
{
    struct meta_referrer referrer = part_referrer(upload->id, part->number);
    Meta__Part *old = NULL;
    int rc = meta_get_part(call->service->meta, call->arena, upload->id,
                           part->number, &old);
    if (rc != 0 && rc != -ENOENT) {
        return rc;
    }
    if (rc == -ENOENT) {
        old = NULL;
    }
    if (old != NULL && old->blob != 0) {
        meta_drop_ref(batch, old->blob, &referrer);
    }
    /* After the drop: both may be of one blob, copied twice. */
    if (part->blob != 0) {
        meta_add_ref(batch, part->blob, &referrer);
    }
    meta_put_part(batch, call->bucket->id, upload->id, part, old);
    return meta_commit(batch);
}

void part_checksum_header(struct s3_call *call, const Meta__Checksum *checksum)
{
    if (checksum != NULL) {
        call_header(call, checksum_header(checksum->algorithm), "%s",
                    checksum_text(call, checksum, 0));
    }
}

void part_checksum_element(struct s3_call *call, struct buffer *out,
                           const Meta__Checksum *checksum)
{
    if (checksum != NULL) {
        xml_string(out, checksum_element(checksum->algorithm),
                   checksum_text(call, checksum, 0));
    }
}

/* --- UploadPart ------------------------------------------------------------*/
struct part_call {
    struct upload upload;
    unsigned number;
};

static uint64_t body_size(const struct s3_call *call)
{
    return call->request->has_body ? call->request->content_length : 0;
}

/* A part's checksum has the upload's algorithm; it may be left out where the
 * whole object's is made of those that we compute. */
static bool check_algorithm(struct s3_call *call, const Meta__Upload *record)
{
    Meta__ChecksumAlgorithm client = body_client_algorithm(call);
    bool none = client == META__CHECKSUM_ALGORITHM__NO_CHECKSUM;

    if (!upload_names_checksum(record) ||
        client == record->checksum_algorithm ||
        (none && record->checksum_type == META__CHECKSUM_TYPE__FULL_OBJECT)) {
        return true;
    }
    char *wanted = arena_printf(call->arena, "%s",
                                checksum_name(record->checksum_algorithm));
    char *given =
        arena_printf(call->arena, "%s", none ? "null" : checksum_name(client));
    for (char *p = wanted; *p != '\0'; p++) {
        *p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
    }
    for (char *p = given; *p != '\0'; p++) {
        *p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
    }
    call_fail_message(call, S3_ERR_InvalidRequest,
                      "Checksum Type mismatch occurred, expected checksum "
                      "Type: %s, actual checksum Type: %s",
                      wanted, given);
    return false;
}

void s3_upload_part_open(struct s3_call *call)
{
    struct part_call *part = arena_zalloc(call->arena, sizeof(*part));
    Meta__Object object;

    call->operation_data = part;
    if (!upload_part_number_arg(call, &part->number) ||
        !upload_id_arg(call, &part->upload.id) ||
        !upload_read(call, &part->upload)) {
        return;
    }
    if (!body_open(call, upload_algorithm(part->upload.record)) ||
        !check_algorithm(call, part->upload.record) ||
        !worm_check_integrity(call, part->upload.record->retention,
                              part->upload.record->legal_hold, "Put Part") ||
        !limits_check_part(call, part->upload.id, part->number,
                           body_size(call)) ||
        !sse_open(call, part->upload.record->encryption, SSE_UPLOAD,
                  &call->sse)) {
        return;
    }
    upload_object(part->upload.record, &object);
    object_open_writer(call, &object, part->upload.id, part->number);
}

/* The CRC64NVME of the bytes just written, for a client that chose another
 * algorithm in an upload that names none. */
static int read_crc64(struct s3_call *call, uint8_t value[DIGEST_SIZE_MAX])
{
    struct digester *digester = digester_new(DIGEST_CRC64NVME);
    int rc = 0;

    if (call->layout != NULL) {
        struct s3_reader *reader = reader_open_layout(
            call->service, call->blob, call->layout, sse_key(&call->sse));
        rc = reader_feed(reader, 0, body_size(call), digester, NULL);
        reader_close(reader);
    }
    digester_final(digester, DIGEST_CRC64NVME, value);
    digester_free(digester);
    return rc;
}

/* The checksum to keep: the upload's algorithm, whatever the client sent. */
static bool kept_checksum(struct s3_call *call, const Meta__Upload *record,
                          Meta__Checksum **checksum)
{
    uint8_t value[DIGEST_SIZE_MAX];
    *checksum = body_checksum(call);
    invariant(*checksum != NULL);
    if ((*checksum)->algorithm == upload_algorithm(record)) {
        return true;
    }
    invariant(!upload_names_checksum(record));
    int rc = read_crc64(call, value);
    if (rc != 0) {
        call_fail_errno(call, rc, "read part back");
        return false;
    }
    *checksum = checksum_new(call->arena, META__CHECKSUM_ALGORITHM__CRC64NVME,
                             META__CHECKSUM_TYPE__FULL_OBJECT, value);
    return true;
}

static void reply_part(struct s3_call *call, const Meta__Part *part)
{
    char etag[33];

    hex_encode(etag, part->md5.data, part->md5.len);
    call_header(call, "etag", "\"%s\"", etag);
    sse_headers(call, call->sse.record, false);
    part_checksum_header(call, body_checksum(call));
    call_reply_empty(call, 200);
}

static void commit(struct s3_call *call, struct meta_batch *batch)
{
    struct part_call *state = call->operation_data;
    Meta__Part part = META__PART__INIT;
    uint8_t tag[16];

    if (!kept_checksum(call, state->upload.record, &part.checksum)) {
        return;
    }
    part.number = state->number;
    part.size = body_size(call);
    part.blob = part.size > 0 ? call->blob : 0;
    sse_tag(&call->sse, body_md5(call), tag);
    part.md5 = pb_bytes(slice_of(tag, sizeof(tag)));
    part.mtime_ms = clock_wall_ms();
    if (!object_lock(call, call->key)) {
        return;
    }
    /* It may have been completed or aborted while the body came. */
    if (upload_read(call, &state->upload)) {
        int rc = part_commit(call, batch, &state->upload, &part);
        if (rc != 0) {
            call_fail_errno(call, rc, "commit part");
        } else {
            reply_part(call, &part);
        }
    }
    object_unlock(call, call->key);
}

void s3_upload_part_run(struct s3_call *call)
{
    struct meta_batch *batch = meta_batch_new(call->service->meta);

    if (object_finish_blob(call, batch)) {
        commit(call, batch);
    }
    meta_batch_free(batch);
}
