/*
 * Blobs of which only their shards tell: what an origin says is checked, its
 * bytes are read, and the bucket is found or made.
 */
#include "base/utf8.h"
#include "rebuild/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX         1024u
#define BUCKET_NAME_MIN 3u
#define BUCKET_NAME_MAX 63u
#define SEALED_BLOCK    65552u /* of 65536 bytes: crypt.h */
#define SEALED_TAG      16u
#define READ_SIZE       (1u << 20)

static struct slice slice_in(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

/* --- what the origin says --------------------------------------------------*/

static bool is_bucket_name(struct slice name)
{
    if (name.size < BUCKET_NAME_MIN || name.size > BUCKET_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
            c != '.') {
            return false;
        }
    }
    return true;
}

static bool is_sound(const Meta__Origin *origin)
{
    return origin->bucket != 0 && origin->object != NULL &&
           origin->key.len > 0 && origin->key.len <= KEY_MAX &&
           utf8_valid(slice_in(origin->key)) &&
           is_bucket_name(slice_in(origin->bucket_name)) &&
           !origin->object->delete_marker &&
           (origin->upload_id.len == 0 ||
            (origin->part_number >= 1 && origin->part_number <= 10000));
}

static uint64_t clear_size(const Meta__Object *object, uint64_t stored)
{
    uint64_t blocks = (stored + SEALED_BLOCK - 1) / SEALED_BLOCK;

    if (object->encryption == NULL) {
        return stored;
    }
    return stored > blocks * SEALED_TAG ? stored - blocks * SEALED_TAG : 0;
}

/* Of the first shard whose origin can be read; they are all the same. */
static int read_origin(struct rebuild *rebuild, const struct shards *shards,
                       struct arena *arena, Meta__Origin **origin)
{
    struct buffer bytes = {0};
    int error = -EBADMSG;

    for (size_t i = 0; i < shards->count && error != 0; i++) {
        const struct blob_found *found = &shards->found[i];

        error = blob_salvage_origin(rebuild->options->drives[found->drive],
                                    found, &bytes);
    }
    if (error == 0) {
        *origin = meta__origin__unpack(arena_protobuf_allocator(arena),
                                       bytes.size, bytes.data);
        error = *origin != NULL && is_sound(*origin) ? 0 : -EBADMSG;
    }
    buffer_free(&bytes);
    return error;
}

/* --- the bytes -------------------------------------------------------------*/

static enum digest digest_of(Meta__ChecksumAlgorithm algorithm)
{
    switch (algorithm) {
    case META__CHECKSUM_ALGORITHM__CRC32:
        return DIGEST_CRC32;
    case META__CHECKSUM_ALGORITHM__CRC32C:
        return DIGEST_CRC32C;
    case META__CHECKSUM_ALGORITHM__SHA1:
        return DIGEST_SHA1;
    case META__CHECKSUM_ALGORITHM__SHA256:
        return DIGEST_SHA256;
    default:
        return DIGEST_CRC64NVME;
    }
}

static Meta__ChecksumAlgorithm wanted(const Meta__Object *object)
{
    return object->checksum != NULL &&
                   digest_of(object->checksum->algorithm) != DIGEST_CRC64NVME
               ? object->checksum->algorithm
               : META__CHECKSUM_ALGORITHM__CRC64NVME;
}

static int feed(struct rebuild *rebuild, const Layout__Layout *layout,
                struct digester *digester)
{
    uint8_t *data = xmalloc(READ_SIZE);
    int error = 0;

    for (uint64_t at = 0; at < layout->size && error == 0; at += READ_SIZE) {
        uint64_t left = layout->size - at;
        size_t size = left < READ_SIZE ? (size_t)left : READ_SIZE;

        error = blob_read(rebuild->options->blobs, layout, at, data, size);
        if (error == 0) {
            digester_update(digester, data, size);
        }
    }
    free(data);
    return error;
}

/* Every byte is read and verified: of a write that was given up, descriptors
 * may be there and payloads not. */
static int read_bytes(struct rebuild *rebuild, struct orphan *orphan)
{
    const Meta__Object *object = orphan->origin->object;
    Meta__ChecksumAlgorithm algorithm = wanted(object);
    enum digest digest = digest_of(algorithm);
    struct digester *digester = digester_new(DIGEST_MD5 | digest);
    uint8_t value[DIGEST_SIZE_MAX];
    Meta__Checksum *checksum;
    size_t size;
    int error = feed(rebuild, orphan->layout, digester);

    digester_final(digester, DIGEST_MD5, value);
    memcpy(orphan->md5, value, sizeof(orphan->md5));
    size = digester_final(digester, digest, value);
    if (object->encryption == NULL) {
        checksum = arena_alloc(orphan->arena, sizeof(*checksum));
        meta__checksum__init(checksum);
        checksum->algorithm = algorithm;
        checksum->value = bytes_of(arena_copy(orphan->arena, value, size));
        orphan->checksum = checksum;
    }
    digester_free(digester);
    return error;
}

/* --- the bucket ------------------------------------------------------------*/

static int make_bucket(struct rebuild *rebuild, struct orphan *orphan)
{
    const Meta__Origin *origin = orphan->origin;
    Meta__Bucket *bucket = arena_alloc(orphan->arena, sizeof(*bucket));
    struct meta_batch *batch = meta_batch_new(rebuild->meta);
    int error;

    meta__bucket__init(bucket);
    bucket->id = origin->bucket;
    bucket->name = origin->bucket_name;
    bucket->owner = origin->bucket_owner.len > 0 ? origin->bucket_owner
                                                 : origin->object->owner;
    bucket->created_ms = origin->object->mtime_ms;
    bucket->versioning = origin->versioning;
    meta_put_bucket(batch, bucket);
    error = meta_commit(batch);
    meta_batch_free(batch);
    orphan->bucket = bucket;
    if (error == 0) {
        tell(rebuild, REBUILD_BUCKET, slice_in(bucket->name), slice_of(NULL, 0),
             "its settings are not known");
    }
    return error;
}

/* The bucket of the origin's id, which has kept its name; without an archive
 * the newest object says how it was versioned. */
static int find_bucket(struct rebuild *rebuild, struct orphan *orphan,
                       const char **why)
{
    const Meta__Origin *origin = orphan->origin;
    Meta__Bucket *bucket;
    int error = meta_get_bucket(rebuild->meta, orphan->arena,
                                slice_in(origin->bucket_name), &bucket);

    if (error == -ENOENT) {
        return make_bucket(rebuild, orphan);
    }
    if (error == 0 && bucket->id != origin->bucket) {
        *why = "its bucket was deleted, and another one has the name";
        return 0;
    }
    orphan->bucket = bucket;
    if (error == 0 && !rebuild->report->archived &&
        bucket->versioning != origin->versioning) {
        struct meta_batch *batch = meta_batch_new(rebuild->meta);

        bucket->versioning = origin->versioning;
        meta_put_bucket(batch, bucket);
        error = meta_commit(batch);
        meta_batch_free(batch);
    }
    return error;
}

/* --- one blob --------------------------------------------------------------*/

static bool is_piece(const struct orphan *orphan)
{
    const Meta__Origin *origin = orphan->origin;

    return (origin->upload_id.len == 0 && origin->part_number != 0) ||
           (origin->object->size != 0 && origin->upload_id.len == 0 &&
            origin->object->size != orphan->size);
}

/* The bytes are read last: it is what costs. */
static int restore_orphan(struct rebuild *rebuild, struct orphan *orphan,
                          const char **why)
{
    bool part = orphan->origin->upload_id.len > 0;
    int error;

    if (is_piece(orphan)) {
        *why = "it is a piece of an object, and how it belongs to it is not "
               "known";
        return 0;
    }
    if (read_bytes(rebuild, orphan) != 0) {
        *why = "it was never written to its end, or is damaged";
        return 0;
    }
    error = find_bucket(rebuild, orphan, why);
    if (error != 0 || *why != NULL) {
        return error;
    }
    error = part ? part_restore(rebuild, orphan, why)
                 : object_restore(rebuild, orphan, why);
    if (error == 0 && *why == NULL) {
        tell(rebuild, part ? REBUILD_UPLOAD : REBUILD_RESTORED,
             slice_in(orphan->origin->bucket_name), orphan->key,
             part ? "complete the upload, or abort it"
                  : "only its shards told of it");
    }
    return error;
}

static int restore_blob(struct rebuild *rebuild, const struct shards *shards,
                        struct arena *arena)
{
    struct orphan orphan = {.blob = shards->found[0].blob, .arena = arena};
    struct slice bucket = {0};
    Layout__Layout *layout = NULL;
    Meta__Origin *origin;
    const char *why = NULL;
    int error = 0;

    if (!shards->chained) {
        why = "its shards were found behind damage only";
    } else if (blob_salvage_layout(shards->found, shards->count, &layout) !=
                   0 ||
               !blob_has_enough(layout)) {
        why = "too few of its shards were found";
    } else if (read_origin(rebuild, shards, arena, &origin) != 0) {
        why = "what it says of itself cannot be read";
    } else {
        orphan.layout = layout;
        orphan.origin = origin;
        orphan.key = slice_in(origin->key);
        orphan.size = clear_size(origin->object, layout->size);
        bucket = slice_in(origin->bucket_name);
        error = restore_orphan(rebuild, &orphan, &why);
    }
    if (error == 0 && why != NULL) {
        tell(rebuild, REBUILD_LEFT, bucket, orphan.key, why);
    }
    if (layout != NULL) {
        layout__layout__free_unpacked(layout, NULL);
    }
    return error;
}

/* --- all of them -----------------------------------------------------------*/

static int look_at(struct rebuild *rebuild, const struct shards *shards)
{
    struct arena *arena = arena_new();
    uint64_t blob = shards->found[0].blob;
    Meta__Blob *record;
    int error = meta_get_blob(rebuild->meta, arena, blob, &record);

    rebuild->report->blobs++;
    if (error == -ENOENT) {
        error = 0;
        if (rebuild->options->fill != NULL) {
            rebuild->report->blobs_held++;
        } else if (blob < rebuild->report->archive.horizon) {
            rebuild->report->blobs_unused++;
        } else {
            error = restore_blob(rebuild, shards, arena);
        }
    }
    arena_free(arena);
    return error;
}

int origins_restore(struct rebuild *rebuild)
{
    struct shards shards = {0};
    uint64_t after = 0;
    int error = 0;

    while (error == 0) {
        error = shards_next(rebuild, after, &shards);
        if (error == 0) {
            after = shards.found[0].blob;
            error = look_at(rebuild, &shards);
        }
    }
    shards_free(&shards);
    return error == -ENOENT ? 0 : error;
}
