/*
 * PutObject with x-amz-write-offset-bytes: an append.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html
 *
 * The bytes become a blob of their own and a further part of a composite that
 * names those of the object before them, which stay where they are: one
 * composite record, never one of composites (U3 in multipart.h). The record
 * is written anew with each append, so the limit of parts bounds what one
 * append costs. The object keeps its metadata, tags and owner; it is written
 * as a new version, so that in a bucket with versions the old one stays.
 */
#include "s3/authorize.h"
#include "s3/limits.h"
#include "s3/multipart.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/reader.h"
#include "s3/sse.h"
#include "s3/worm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define OFFSET "x-amz-write-offset-bytes"

struct append {
    uint64_t offset;
    uint64_t size;                     /* of the body */
    bool begins;                       /* there was no object */
    Meta__ChecksumAlgorithm algorithm; /* of `checksum` */
    Meta__Checksum *checksum;          /* of the body */
    Meta__Object *object;              /* the new version */
};

bool s3_append_wanted(const struct s3_call *call)
{
    return call_request_header(call, OFFSET).data != NULL;
}

/* --- checks ----------------------------------------------------------------*/
static bool take_offset(struct s3_call *call, struct append *append)
{
    struct slice text = call_request_header(call, OFFSET);

    if (slice_to_u64(text, &append->offset) == 0) {
        return true;
    }
    call_fail_argument(call, OFFSET, text,
                       "The write offset must be a number of bytes");
    return false;
}

static Meta__Object *live(Meta__Object *current)
{
    return current != NULL && !current->delete_marker ? current : NULL;
}

/* Made before the body comes and again under the key's lock. Where an append
 * begins tells the size, and its ETag is made of the old one: who appends must
 * be allowed to read. */
static bool check_current(struct s3_call *call, const struct append *append,
                          const Meta__Object *current)
{
    uint64_t size = current != NULL ? current->size : 0;

    if (current != NULL &&
        !call_authorize_object(call, "s3:GetObject", call->key, current)) {
        return false;
    }
    if (!object_check_write_conditions(call, current)) {
        return false;
    }
    if (append->offset != size) {
        call_fail(call, S3_ERR_InvalidWriteOffset);
        return false;
    }
    if (append->size > OBJECT_SIZE_MAX - size) {
        call_fail(call, S3_ERR_EntityTooLarge);
        return false;
    }
    return true;
}

/* What the checksum of the whole is made of; of an object that begins, unless
 * the client names its own. */
static Meta__ChecksumAlgorithm wanted_algorithm(const Meta__Object *current)
{
    return current != NULL && current->checksum != NULL
               ? current->checksum->algorithm
               : META__CHECKSUM_ALGORITHM__CRC64NVME;
}

/* What is appended to an object is sealed as the object is. */
static bool take_encryption(struct s3_call *call, Meta__Object *current,
                            Meta__Object *object)
{
    if (current == NULL) {
        return object_encrypt(call, object);
    }
    if (sse_named(call) &&
        (current->encryption == NULL ||
         current->encryption->mode != META__ENCRYPTION_MODE__SSE_C)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The encryption parameters are not applicable to "
                          "this object.");
        return false;
    }
    if ((sse_named(call) && !sse_may_bring_key(call)) ||
        !sse_open(call, current->encryption, SSE_OBJECT, &call->sse)) {
        return false;
    }
    object->encryption = current->encryption;
    return true;
}

void s3_append_open(struct s3_call *call)
{
    struct append *append = arena_zalloc(call->arena, sizeof(*append));
    const Wire__Request *request = call->request;
    Meta__Object *current;
    int error;

    call->operation_data = append;
    append->size = request->has_body ? request->content_length : 0;
    append->object = arena_alloc(call->arena, sizeof(*append->object));
    meta__object__init(append->object);
    if (!take_offset(call, append) ||
        !object_take_headers(call, append->object)) {
        return;
    }
    error = object_current(call, &current);
    if (error != 0) {
        call_fail_errno(call, error, "reading an object's record");
        return;
    }
    current = live(current);
    append->begins = current == NULL;
    append->algorithm = wanted_algorithm(current);
    if (check_current(call, append, current) &&
        body_open(call, append->algorithm) &&
        worm_check_integrity(call, append->object->retention,
                             append->object->legal_hold, "Put Object") &&
        limits_check_object(call, append->offset + append->size) &&
        take_encryption(call, current, append->object)) {
        append->object->size = append->offset + append->size;
        object_open_writer(call, append->object, slice_of(NULL, 0), 0);
    }
}

/* --- the parts -------------------------------------------------------------*/
static Meta__Part *new_part(struct s3_call *call, uint64_t blob, uint64_t size,
                            Meta__Checksum *checksum)
{
    Meta__Part *part = arena_alloc(call->arena, sizeof(*part));

    meta__part__init(part);
    part->blob = blob;
    part->size = size;
    part->checksum = checksum;
    part->mtime_ms = clock_wall_ms();
    return part;
}

/* An object without parts becomes one: its tag is that of a part, unless it
 * is sealed. */
static Meta__Part *single_part(struct s3_call *call,
                               const Meta__Object *current)
{
    Meta__Part *part =
        new_part(call, current->blob, current->size, current->checksum);
    uint8_t *md5 = arena_alloc(call->arena, 16);

    part->number = 1;
    part->mtime_ms = current->mtime_ms;
    if (current->etag.len == 32 &&
        hex_decode(md5, pb_slice(current->etag)) == 0) {
        part->md5 = pb_bytes(slice_of(md5, 16));
    }
    return part;
}

/* The parts of an object that has none are its blobs': they become the slices
 * of its one part. */
static void join_slices(struct s3_call *call, const Meta__Object *current,
                        Meta__Blob *composite)
{
    Meta__Part *whole = single_part(call, current);

    for (size_t i = 0; i < composite->n_parts; i++) {
        Meta__Part *slice = i == 0 ? whole : new_part(call, 0, 0, NULL);
        const Meta__Part *old = composite->parts[i];

        slice->number = whole->number;
        slice->mtime_ms = whole->mtime_ms;
        slice->blob = old->blob;
        slice->offset = old->offset;
        slice->size = old->size;
        composite->parts[i] = slice;
    }
    whole->slices = (uint32_t)composite->n_parts;
}

/* The slices of the object as it is, with room for one more. 0 or a negative
 * errno; -E2BIG: there can be no more. */
static int current_slices(struct s3_call *call, const Meta__Object *current,
                          Meta__Blob *composite)
{
    Meta__Blob *record;
    int error =
        meta_get_blob(call->service->meta, call->arena, current->blob, &record);

    if (error != 0) {
        return error;
    }
    if (record->n_parts >= PART_NUMBER_MAX) {
        return -E2BIG;
    }
    composite->n_parts = record->n_parts > 0 ? record->n_parts : 1;
    composite->parts = arena_alloc(call->arena, (composite->n_parts + 1) *
                                                    sizeof(*composite->parts));
    for (size_t i = 0; i < record->n_parts; i++) {
        composite->parts[i] = record->parts[i];
    }
    if (record->n_parts == 0) {
        composite->parts[0] = single_part(call, current);
    } else if (current->parts == 0) {
        join_slices(call, current, composite);
    }
    return 0;
}

/* --- ETag and checksum -----------------------------------------------------*/
/* Of the body alone. */
static struct slice body_tag(struct s3_call *call)
{
    uint8_t *tag = arena_alloc(call->arena, 16);

    sse_tag(&call->sse, body_md5(call), tag);
    return slice_of(tag, 16);
}

/* Not all parts have an MD5 of their own (those of a copy, of a form), so it
 * is chained from tag to tag. */
static void chain_etag(struct s3_call *call, const Meta__Object *current,
                       size_t parts, Meta__Object *object)
{
    struct digester *digester = digester_new(DIGEST_MD5);
    struct slice before = pb_slice(current->etag), added = body_tag(call);
    uint8_t md5[DIGEST_SIZE_MAX];
    char hex[33];

    if (before.size >= 32 && hex_decode(md5, slice_of(before.data, 32)) == 0) {
        before = slice_of(md5, 16);
    }
    digester_update(digester, before.data, before.size);
    digester_update(digester, added.data, added.size);
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    hex_encode(hex, md5, 16);
    object->etag = pb_bytes(
        slice_from_string(arena_printf(call->arena, "%s-%zu", hex, parts)));
}

static bool is_crc(Meta__ChecksumAlgorithm algorithm)
{
    return algorithm == META__CHECKSUM_ALGORITHM__CRC32 ||
           algorithm == META__CHECKSUM_ALGORITHM__CRC32C ||
           algorithm == META__CHECKSUM_ALGORITHM__CRC64NVME;
}

static Meta__Checksum *joined(struct s3_call *call, const Meta__Checksum *a,
                              const Meta__Checksum *b, uint64_t size_b)
{
    uint8_t value[DIGEST_SIZE_MAX];
    uint64_t crc = crc_combine((enum digest)checksum_digest(a->algorithm),
                               checksum_crc(a), checksum_crc(b), size_b);

    if (a->value.len == 8) {
        put_u64be(value, crc);
    } else {
        put_u32be(value, (uint32_t)crc);
    }
    return checksum_new(call->arena, a->algorithm,
                        META__CHECKSUM_TYPE__FULL_OBJECT, value);
}

/* The checksum of the parts' checksums; NULL if one has none of this kind. */
static Meta__Checksum *composed(struct s3_call *call, Meta__Part **parts,
                                size_t count, Meta__ChecksumAlgorithm algorithm)
{
    enum digest digest = (enum digest)checksum_digest(algorithm);
    struct digester *digester = digester_new(digest);
    uint8_t value[DIGEST_SIZE_MAX];
    bool complete = true;

    for (size_t i = 0; i < count; i++) {
        const Meta__Checksum *part = parts[i]->checksum;

        complete = complete && part != NULL && part->algorithm == algorithm &&
                   part->type == META__CHECKSUM_TYPE__FULL_OBJECT;
        if (complete) {
            digester_update(digester, part->value.data, part->value.len);
        }
    }
    digester_final(digester, digest, value);
    digester_free(digester);
    return complete ? checksum_new(call->arena, algorithm,
                                   META__CHECKSUM_TYPE__COMPOSITE, value)
                    : NULL;
}

/* CRCs of whole objects join; of others only the parts' can be combined. */
static Meta__Checksum *whole_checksum(struct s3_call *call,
                                      const struct append *append,
                                      const Meta__Object *current,
                                      Meta__Part **parts, size_t count)
{
    const Meta__Checksum *before = current->checksum;

    if (before == NULL ||
        before->algorithm == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        return NULL;
    }
    if (is_crc(before->algorithm) &&
        before->type == META__CHECKSUM_TYPE__FULL_OBJECT) {
        return joined(call, before, append->checksum, append->size);
    }
    return composed(call, parts, count, before->algorithm);
}

static int read_back(struct s3_call *call, struct digester *digester)
{
    struct s3_reader *reader = reader_open_layout(
        call->service, call->blob, call->layout, sse_key(&call->sse));
    int error =
        reader_feed(reader, 0, call->request->content_length, digester, NULL);

    reader_close(reader);
    return error;
}

/* The body's checksum in the object's algorithm, if the client sent another:
 * read back, before anything is locked. */
static int body_checksum_as(struct s3_call *call, struct append *append)
{
    struct digester *digester;
    uint8_t value[DIGEST_SIZE_MAX];
    int error;

    append->checksum = body_checksum(call);
    if (append->begins && append->checksum != NULL) {
        append->algorithm = append->checksum->algorithm;
    }
    if (append->checksum != NULL &&
        append->checksum->algorithm == append->algorithm) {
        return 0;
    }
    digester = digester_new(checksum_digest(append->algorithm));
    error = append->size > 0 ? read_back(call, digester) : 0;
    digester_final(digester, (enum digest)checksum_digest(append->algorithm),
                   value);
    digester_free(digester);
    append->checksum = checksum_new(call->arena, append->algorithm,
                                    META__CHECKSUM_TYPE__FULL_OBJECT, value);
    return error;
}

/* --- the commit ------------------------------------------------------------*/
/* What an append does not change. */
static void keep(const Meta__Object *current, Meta__Object *object)
{
    object->n_headers = current->n_headers;
    object->headers = current->headers;
    object->n_metadata = current->n_metadata;
    object->metadata = current->metadata;
    object->n_tags = current->n_tags;
    object->tags = current->tags;
    object->storage_class = current->storage_class;
    object->website_redirect = current->website_redirect;
    object->encryption = current->encryption;
    object->owner = current->owner;
    object->acl = current->acl;
}

/* The object is the body: there was none, or an empty one. */
static void fill_first(struct s3_call *call, const struct append *append,
                       Meta__Object *object)
{
    object_set_etag(call, object, body_md5(call));
    object->checksum = append->checksum;
    object->blob = call->blob;
}

static int fill_composite(struct s3_call *call, struct meta_batch *batch,
                          const struct append *append,
                          const Meta__Object *current, Meta__Object *object)
{
    Meta__Blob composite = META__BLOB__INIT;
    Meta__Part *part, **parts;
    size_t count;
    int error = current_slices(call, current, &composite);

    if (error != 0) {
        return error;
    }
    part = new_part(call, call->blob, append->size, append->checksum);
    part->md5 = pb_bytes(body_tag(call));
    part->number = composite.parts[composite.n_parts - 1]->number + 1;
    composite.parts[composite.n_parts++] = part;
    parts = composite_parts(call->arena, &composite, &count);
    object->parts = (uint32_t)count;
    chain_etag(call, current, count, object);
    object->checksum = whole_checksum(call, append, current, parts, count);
    object->blob = meta_next_id(call->service->meta);
    composite_put(batch, object->blob, composite.parts, composite.n_parts);
    return 0;
}

/* Was the body sealed with the key that the object has now? */
static bool same_key(const Meta__Object *object, const Meta__Object *current)
{
    const Meta__Encryption *ours = object->encryption;
    const Meta__Encryption *theirs = current->encryption;

    return ours == NULL || theirs == NULL
               ? ours == theirs
               : slice_equal(pb_slice(ours->wrapped),
                             pb_slice(theirs->wrapped));
}

static void reply(struct s3_call *call, const Meta__Object *object)
{
    object_identity_headers(call, object);
    call_checksum_headers(call, object->checksum, object->parts);
    call_header(call, "x-amz-object-size", "%" PRIu64, object->size);
    call_reply_empty(call, 200);
}

static int commit(struct s3_call *call, struct meta_batch *batch,
                  const struct append *append, const Meta__Object *current)
{
    Meta__Object *object = append->object;
    int error = 0;

    object->size = append->offset + append->size;
    if (current != NULL) {
        keep(current, object);
    }
    if (current == NULL || current->size == 0) {
        fill_first(call, append, object);
    } else {
        error = fill_composite(call, batch, append, current, object);
    }
    return error != 0 ? error : object_commit(call, batch, call->key, object);
}

/* Under the key's lock. */
static void append_locked(struct s3_call *call, struct meta_batch *batch,
                          const struct append *append)
{
    Meta__Object *current;
    int error = object_current(call, &current);

    if (error != 0) {
        call_fail_errno(call, error, "reading an object's record");
        return;
    }
    current = live(current);
    if (!check_current(call, append, current)) {
        return;
    }
    if (append->size == 0 && current != NULL) {
        reply(call, current); /* nothing is to be done */
        return;
    }
    if (current != NULL && (wanted_algorithm(current) != append->algorithm ||
                            !same_key(append->object, current))) {
        /* Another object of the same size has taken its place. */
        call_fail(call, S3_ERR_ConditionalRequestConflict);
        return;
    }
    error = commit(call, batch, append, current);
    if (error == -E2BIG) {
        call_fail(call, S3_ERR_TooManyParts);
    } else if (error != 0) {
        call_fail_errno(call, error, "appending to an object");
    } else {
        reply(call, append->object);
    }
}

void s3_append_run(struct s3_call *call)
{
    struct meta_batch *batch = meta_batch_new(call->service->meta);
    struct append *append = call->operation_data;

    if (object_finish_blob(call, batch)) {
        int error = body_checksum_as(call, append);

        if (error != 0) {
            call_fail_errno(call, error, "reading a body back");
        } else if (object_lock(call, call->key)) {
            append_locked(call, batch, append);
            object_unlock(call, call->key);
        }
    }
    meta_batch_free(batch);
}
