/*
 * What a blob becomes that no record names. Its id stands for the sequence
 * that its commit had: both come from one counter, so it is where the write
 * began among the commits.
 */
#include "rebuild/private.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

ProtobufCBinaryData bytes_of(struct slice bytes)
{
    return (ProtobufCBinaryData){bytes.size, (uint8_t *)bytes.data};
}

static struct slice slice_in(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

static void put_blob(struct rebuild *rebuild, struct meta_batch *batch,
                     const struct orphan *orphan)
{
    Meta__Blob record = META__BLOB__INIT;

    record.layout = (Layout__Layout *)orphan->layout;
    meta_put_blob(batch, orphan->blob, &record,
                  blob_losses_left(orphan->layout));
    rebuild->report->blobs_short += blob_degraded(orphan->layout);
}

/* --- objects ---------------------------------------------------------------*/

/* As s3d makes them (s3/version.h): ids sort as versions do. */
static ProtobufCBinaryData new_version_id(struct arena *arena,
                                          uint64_t sequence)
{
    char *id = arena_alloc(arena, 33);
    uint8_t raw[16];

    put_u64be(raw, ~sequence);
    invariant(getrandom(raw + 8, 8, 0) == 8);
    hex_encode(id, raw, sizeof(raw));
    return bytes_of(slice_of(id, 32));
}

static void fill_object(const struct orphan *orphan, Meta__Object *object)
{
    char *etag = arena_alloc(orphan->arena, 33);

    *object = *orphan->origin->object;
    hex_encode(etag, orphan->md5, sizeof(orphan->md5));
    object->etag = bytes_of(slice_of(etag, 32));
    object->sequence = orphan->blob;
    object->blob = orphan->blob;
    object->size = orphan->size;
    object->checksum = (Meta__Checksum *)orphan->checksum;
    object->parts = 0;
    object->version_id = bytes_of(slice_of(NULL, 0));
    if (orphan->bucket->versioning == META__BUCKET__VERSIONING__ENABLED) {
        object->version_id = new_version_id(orphan->arena, object->sequence);
    }
}

static struct meta_referrer referrer_of(const struct orphan *orphan,
                                        uint64_t sequence)
{
    return (struct meta_referrer){.kind = META_REFERRER_OBJECT,
                                  .bucket = orphan->bucket->id,
                                  .key = orphan->key,
                                  .sequence = sequence};
}

/* The null version that the object replaces. *why: it was written later. */
static int replace_null(struct rebuild *rebuild, struct meta_batch *batch,
                        const struct orphan *orphan, const char **why)
{
    Meta__Object *old;
    int error = meta_get_null_version(rebuild->meta, orphan->arena,
                                      orphan->bucket->id, orphan->key, &old);

    if (error != 0) {
        return error == -ENOENT ? 0 : error;
    }
    if (old->sequence > orphan->blob) {
        *why = "it was overwritten or deleted";
        return 0;
    }
    meta_delete_object(batch, orphan->bucket->id, orphan->key, old);
    if (old->blob != 0) {
        struct meta_referrer who = referrer_of(orphan, old->sequence);

        meta_drop_ref(batch, old->blob, &who);
    }
    return 0;
}

/* M3: it does not rise from one version to the one before. */
static int keep_mtime(struct rebuild *rebuild, const struct orphan *orphan,
                      Meta__Object *object)
{
    Meta__Object *newest;
    int error = meta_get_object(rebuild->meta, orphan->arena,
                                orphan->bucket->id, orphan->key, &newest);

    if (error != 0) {
        return error == -ENOENT ? 0 : error;
    }
    if ((newest->sequence < object->sequence) ==
        (newest->mtime_ms > object->mtime_ms)) {
        object->mtime_ms = newest->mtime_ms;
    }
    return 0;
}

int object_restore(struct rebuild *rebuild, const struct orphan *orphan,
                   const char **why)
{
    struct meta_batch *batch = meta_batch_new(rebuild->meta);
    struct meta_referrer who = referrer_of(orphan, orphan->blob);
    Meta__Object object;
    int error;

    fill_object(orphan, &object);
    error = keep_mtime(rebuild, orphan, &object);
    if (error == 0 && object.version_id.len == 0) {
        error = replace_null(rebuild, batch, orphan, why);
    }
    if (error == 0 && *why == NULL) {
        put_blob(rebuild, batch, orphan);
        meta_add_object(batch, orphan->bucket->id, orphan->key, &object);
        meta_batch_unlimited(batch);
        meta_add_ref(batch, orphan->blob, &who);
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    return error;
}

/* --- parts -----------------------------------------------------------------*/

/* Under SSE-KMS, SSE-C and with checksums of their own, how the upload was
 * begun is not known: it is what its parts say. */
static void put_upload(struct meta_batch *batch, const struct orphan *orphan)
{
    const Meta__Object *object = orphan->origin->object;
    Meta__Upload upload = META__UPLOAD__INIT;

    upload.id = orphan->origin->upload_id;
    upload.initiated_ms = object->mtime_ms;
    upload.owner = object->owner;
    upload.n_headers = object->n_headers;
    upload.headers = object->headers;
    upload.n_metadata = object->n_metadata;
    upload.metadata = object->metadata;
    upload.storage_class = object->storage_class;
    upload.n_tags = object->n_tags;
    upload.tags = object->tags;
    upload.retention = object->retention;
    upload.legal_hold = object->legal_hold;
    upload.encryption = object->encryption;
    upload.acl = object->acl;
    upload.website_redirect = object->website_redirect;
    meta_put_upload(batch, orphan->bucket->id, orphan->key, &upload);
}

/* The upload that the part is of, or a new one. *why: there is none. */
static int find_upload(struct rebuild *rebuild, struct meta_batch *batch,
                       const struct orphan *orphan, const char **why)
{
    struct slice id = slice_in(orphan->origin->upload_id);
    Meta__Completed *completed;
    Meta__Upload *upload;
    int error =
        meta_get_completed(rebuild->meta, orphan->arena, id, &completed);

    if (error == 0) {
        *why = "its upload was completed";
        return 0;
    }
    if (error == -ENOENT) {
        error = meta_get_upload(rebuild->meta, orphan->arena,
                                orphan->bucket->id, orphan->key, id, &upload);
    }
    if (error == -ENOENT) {
        put_upload(batch, orphan);
        error = 0;
    }
    return error;
}

/* The part of that number, which this one replaces if it is newer. */
static int replace_part(struct rebuild *rebuild, struct meta_batch *batch,
                        const struct orphan *orphan,
                        const struct meta_referrer *who, Meta__Part **old,
                        const char **why)
{
    int error = meta_get_part(rebuild->meta, orphan->arena, who->upload,
                              who->number, old);

    if (error != 0) {
        *old = NULL;
        return error == -ENOENT ? 0 : error;
    }
    if ((*old)->blob > orphan->blob) {
        *why = "the part was sent again";
    } else if ((*old)->blob != 0) {
        meta_drop_ref(batch, (*old)->blob, who);
    }
    return 0;
}

static void put_part(struct rebuild *rebuild, struct meta_batch *batch,
                     const struct orphan *orphan,
                     const struct meta_referrer *who, const Meta__Part *old)
{
    Meta__Part part = META__PART__INIT;

    part.number = who->number;
    part.blob = orphan->blob;
    part.size = orphan->size;
    part.md5 = bytes_of(slice_of(orphan->md5, sizeof(orphan->md5)));
    part.checksum = (Meta__Checksum *)orphan->checksum;
    part.mtime_ms = orphan->origin->object->mtime_ms;
    put_blob(rebuild, batch, orphan);
    meta_add_ref(batch, orphan->blob, who);
    meta_put_part(batch, orphan->bucket->id, who->upload, &part, old);
}

int part_restore(struct rebuild *rebuild, const struct orphan *orphan,
                 const char **why)
{
    struct meta_batch *batch = meta_batch_new(rebuild->meta);
    struct meta_referrer who = {
        .kind = META_REFERRER_PART,
        .upload = slice_in(orphan->origin->upload_id),
        .number = orphan->origin->part_number,
    };
    Meta__Part *old = NULL;
    int error = find_upload(rebuild, batch, orphan, why);

    if (error == 0 && *why == NULL) {
        error = replace_part(rebuild, batch, orphan, &who, &old, why);
    }
    if (error == 0 && *why == NULL) {
        put_part(rebuild, batch, orphan, &who, old);
        meta_batch_unlimited(batch);
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    return error;
}
