/* From records on the drives back to layouts. */
#include "blob/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- one record ------------------------------------------------------------*/

/* The same that layout_check() asks of a layout, and that the payload is as
 * long as it must be. */
static int check_shape(const struct descriptor *said)
{
    const struct erasure_profile *profile = &said->profile;
    struct geometry geometry;

    if (profile->k == 0 || profile->k > ERASURE_SHARDS_MAX ||
        profile->m > ERASURE_SHARDS_MAX - profile->k ||
        profile->backend > ERASURE_RS_VAND ||
        (profile->k > 1 && profile->m == 0) ||
        (profile->k == 1) != (profile->backend == ERASURE_COPIES) ||
        said->unit == 0 || said->unit > BLOB_UNIT_MAX ||
        said->unit % BLOB_BLOCK_SIZE != 0 ||
        said->shard >= profile_shards(profile) || said->chunk_size == 0 ||
        said->chunk_size > BLOB_CHUNK_SIZE ||
        said->chunk_offset > said->blob_size ||
        said->chunk_size > said->blob_size - said->chunk_offset) {
        return -EBADMSG;
    }
    geometry_init(&geometry, profile, said->unit, said->chunk_size);
    return said->payload == geometry_shard_size(&geometry, said->shard)
               ? 0
               : -EBADMSG;
}

static int read_descriptor(struct drive *drive, uint64_t extent,
                           const struct drive_record *record,
                           struct descriptor *said, uint32_t *crc)
{
    size_t size = descriptor_size(record->payload);
    uint8_t *encoded = xmalloc(size);
    int error = drive_read(drive, extent, record->offset + record->payload,
                           encoded, size);

    if (error == 0) {
        error = descriptor_decode(slice_of(encoded, size), said, crc);
    }
    if (error == 0 &&
        (said->blob != record->blob || said->shard != record->shard ||
         said->payload != record->payload ||
         record->descriptor != size + said->origin_size)) {
        error = -EBADMSG;
    }
    free(encoded);
    return error != 0 ? error : check_shape(said);
}

int blob_salvage_origin(struct drive *drive, const struct blob_found *found,
                        struct buffer *origin)
{
    int error = 0;

    invariant(found->origin_size <= BLOB_ORIGIN_MAX);
    origin->size = 0;
    if (found->origin_size > 0) {
        buffer_reserve(origin, found->origin_size);
        origin->size = found->origin_size;
        error = drive_read(drive, found->extent,
                           found->offset + found->payload +
                               descriptor_size(found->payload),
                           origin->data, origin->size);
    }
    if (error == 0 &&
        crc32c_bytes(origin->data, origin->size) != found->origin_crc) {
        error = -EBADMSG;
    }
    return error == -ENODATA ? -EBADMSG : error;
}

int blob_salvage(struct drive *drive, uint64_t extent,
                 const struct drive_record *record, struct blob_found *found)
{
    struct buffer origin = {0};
    struct descriptor said;
    uint32_t crc;
    int error;

    if (record->payload > BLOB_CHUNK_SIZE) { /* no shard of any code */
        return -EBADMSG;
    }
    error = read_descriptor(drive, extent, record, &said, &crc);
    if (error != 0) {
        return error == -ENODATA ? -EBADMSG : error;
    }
    *found = (struct blob_found){
        .blob = said.blob,
        .blob_size = said.blob_size,
        .chunk_offset = said.chunk_offset,
        .chunk_size = said.chunk_size,
        .payload = said.payload,
        .chunk = said.chunk,
        .unit = said.unit,
        .origin_size = said.origin_size,
        .origin_crc = said.origin_crc,
        .descriptor_crc = crc,
        .profile = said.profile,
        .shard = said.shard,
        .drive = drive_config(drive)->index,
        .extent = extent,
        .offset = record->offset,
    };
    error = blob_salvage_origin(drive, found, &origin);
    buffer_free(&origin);
    return error;
}

/* --- a layout --------------------------------------------------------------*/

static bool same_blob(const struct blob_found *a, const struct blob_found *b)
{
    return a->blob == b->blob && a->blob_size == b->blob_size &&
           a->unit == b->unit && a->origin_size == b->origin_size &&
           a->profile.backend == b->profile.backend &&
           a->profile.k == b->profile.k && a->profile.m == b->profile.m;
}

/* What most of them say (Boyer and Moore's vote): a forged record is alone. */
static const struct blob_found *choose_model(const struct blob_found *found,
                                             size_t count)
{
    const struct blob_found *model = found;
    size_t votes = 0;

    for (size_t i = 0; i < count; i++) {
        if (votes == 0) {
            model = &found[i];
        }
        votes += same_blob(model, &found[i]) ? 1 : -(size_t)1;
    }
    return model;
}

static Layout__Chunk *new_chunk(unsigned shards)
{
    Layout__Chunk *chunk = xmalloc(sizeof(*chunk));

    layout__chunk__init(chunk);
    chunk->n_shards = shards;
    chunk->shards = xcalloc(shards, sizeof(*chunk->shards));
    for (unsigned i = 0; i < shards; i++) {
        chunk->shards[i] = xmalloc(sizeof(*chunk->shards[i]));
        layout__locator__init(chunk->shards[i]);
    }
    return chunk;
}

static Layout__Layout *new_layout(const struct blob_found *model, size_t chunks)
{
    Layout__Layout *layout = xmalloc(sizeof(*layout));

    layout__layout__init(layout);
    layout->blob = model->blob;
    layout->size = model->blob_size;
    layout->backend = model->profile.backend;
    layout->k = model->profile.k;
    layout->m = model->profile.m;
    layout->unit = model->unit;
    layout->origin = model->origin_size;
    layout->n_chunks = chunks;
    layout->chunks = xcalloc(chunks, sizeof(*layout->chunks));
    for (size_t i = 0; i < chunks; i++) {
        layout->chunks[i] = new_chunk(profile_shards(&model->profile));
    }
    return layout;
}

/* B4: of two shards of a chunk on one drive the first one stays. */
static void name_shard(Layout__Layout *layout, const struct blob_found *found)
{
    Layout__Chunk *chunk = layout->chunks[found->chunk];
    Layout__Locator *locator = chunk->shards[found->shard];

    if (chunk->size == 0) {
        chunk->size = found->chunk_size;
    }
    for (size_t i = 0; i < chunk->n_shards; i++) {
        if (chunk->shards[i]->drive_plus_one == found->drive + 1) {
            return;
        }
    }
    if (locator->drive_plus_one == 0 && chunk->size == found->chunk_size) {
        locator->drive_plus_one = found->drive + 1;
        locator->extent = found->extent;
        locator->offset = found->offset;
        locator->descriptor_crc = found->descriptor_crc;
    }
}

static int check_chunks(const Layout__Layout *layout)
{
    for (size_t i = 0; i < layout->n_chunks; i++) {
        if (layout->chunks[i]->size == 0) {
            return -ENODATA;
        }
    }
    return layout_check(layout);
}

int blob_salvage_layout(const struct blob_found *found, size_t count,
                        Layout__Layout **out)
{
    const struct blob_found *model = choose_model(found, count);
    Layout__Layout *layout;
    uint32_t last = 0;
    int error;

    for (size_t i = 0; i < count; i++) {
        if (same_blob(model, &found[i]) && found[i].chunk > last) {
            last = found[i].chunk;
        }
    }
    if (last >= count) { /* of some chunk there can be none */
        return -ENODATA;
    }
    layout = new_layout(model, (size_t)last + 1);
    for (size_t i = 0; i < count; i++) {
        if (same_blob(model, &found[i])) {
            name_shard(layout, &found[i]);
        }
    }
    error = check_chunks(layout);
    if (error != 0) {
        layout__layout__free_unpacked(layout, NULL);
        return error;
    }
    *out = layout;
    return 0;
}

bool blob_has_enough(const Layout__Layout *layout)
{
    for (size_t i = 0; i < layout->n_chunks; i++) {
        const Layout__Chunk *chunk = layout->chunks[i];
        unsigned there = 0;

        for (size_t j = 0; j < chunk->n_shards; j++) {
            there += chunk->shards[j]->drive_plus_one != 0;
        }
        if (there < layout->k) {
            return false;
        }
    }
    return true;
}
