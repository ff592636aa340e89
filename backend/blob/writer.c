/*
 * Writing a blob: chunk by chunk, each chunk stripe by stripe.
 *
 *   chunk_begin   places the chunk's shards and reserves their records
 *   stripe_begin  waits until few enough stripes are on their way to the
 *                 drives; gets memory
 *   stripe_write  encodes, begins to write the units
 *   chunk_end     starts the sync of the chunk's drives, which first write the
 *                 ends of the shards; having waited for the chunk before it:
 *                 at most two chunks are not durable
 *
 * A shard whose drive fails, or does not answer in time, is dropped and the
 * others go on, as long as profile_minimum() of them are left.
 */
#include "blob/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(BLOB_UNIT_SIZE <= RECORD_ODD_END,
               "a short last stripe has units of odd sizes");

int blob_writer_open(struct blob_store *store, const struct blob_spec *spec,
                     struct blob_writer **out)
{
    struct blob_writer *writer;
    uint8_t *origin;
    int error;

    if (spec->size == 0 || spec->origin.size > BLOB_ORIGIN_MAX ||
        spec->size / store->chunk_size >= UINT32_MAX) {
        return -EINVAL;
    }
    writer = xcalloc(1, sizeof(*writer));
    writer->store = store;
    writer->spec = *spec;
    origin = xmalloc(spec->origin.size + 1);
    if (spec->origin.size > 0) {
        memcpy(origin, spec->origin.data, spec->origin.size);
    }
    writer->spec.origin.data = origin;
    writer->origin_crc = crc32c_bytes(origin, spec->origin.size);
    writer->candidates =
        xcalloc(store->drive_count, sizeof(*writer->candidates));
    error = writer_choose_profile(writer);
    if (error != 0) {
        blob_writer_abort(writer);
        return error;
    }
    writer->chunk_count =
        (size_t)((spec->size + store->chunk_size - 1) / store->chunk_size);
    writer->chunks = xcalloc(writer->chunk_count, sizeof(*writer->chunks));
    writer->latch = sync_latch_new();
    *out = writer;
    return 0;
}

static void shard_drop(struct blob_writer *writer, struct written_shard *shard,
                       int error)
{
    log_warn("blob %llx: drive %u dropped from the write: %s",
             (unsigned long long)writer->spec.blob, shard->index,
             strerror(-error));
    if (error == -ENOSPC) {
        writer->full = true;
    }
    drive_release(shard->drive, shard->reserved);
    shard->reserved = 0;
    shard->drive = NULL;
    free(shard->tail);
    shard->tail = NULL;
}

/* Waits for the stripe that is under way in this place. Shards that failed are
 * dropped, and nobody waits for what else is under way of them. */
static void stripe_written(struct blob_writer *writer,
                           struct written_chunk *chunk, unsigned at)
{
    for (unsigned i = 0; i < writer->shards; i++) {
        struct written_shard *shard = &chunk->shards[i];
        struct drive_write *write = writer->writes[at][i];
        int error;

        writer->writes[at][i] = NULL;
        if (write == NULL) {
            continue;
        }
        if (shard->drive == NULL) {
            drive_write_leave(write);
            continue;
        }
        error = drive_write_end(write);
        if (error != 0) {
            shard_drop(writer, shard, error);
        }
    }
}

/* All stripes of the chunk. */
static void chunk_written(struct blob_writer *writer,
                          struct written_chunk *chunk)
{
    for (unsigned i = 0; i < WRITER_STRIPES; i++) {
        stripe_written(writer, chunk, i);
    }
}

static int check_left(const struct blob_writer *writer,
                      const struct written_chunk *chunk)
{
    if (writer_enough_left(writer, chunk)) {
        return 0;
    }
    return writer->full ? -ENOSPC : -ENODEV;
}

/* --- a chunk ------------------------------------------------------------- */

static int chunk_begin(struct blob_writer *writer)
{
    struct written_chunk *chunk =
        xcalloc(1, sizeof(*chunk) + writer->shards * sizeof(chunk->shards[0]));
    int error;

    chunk->size = writer_chunk_bytes(writer, writer->begun);
    /* What a writer holds is a stripe: a small one where memory is short. */
    if (writer->begun == 0) {
        writer->unit = memory_short() ? BLOB_UNIT_LEAST : writer->store->unit;
    }
    writer->chunks[writer->begun++] = chunk;
    geometry_init(&writer->geometry, &writer->profile, writer->unit,
                  chunk->size);
    writer->stripe = 0;
    error = writer_place_chunk(writer, chunk);
    if (error != 0) {
        return error;
    }
    if (writer->tables == NULL) { /* the first chunk is the largest */
        unsigned longest = writer->shards - 1;

        writer->blocks =
            block_count(geometry_shard_size(&writer->geometry, longest));
        writer->tables = xcalloc((size_t)writer->shards * writer->blocks,
                                 sizeof(*writer->tables));
    }
    return 0;
}

/* --- writing a stripe ---------------------------------------------------- */

/* Object bytes in the current stripe. */
static size_t stripe_bytes(const struct blob_writer *writer)
{
    const struct geometry *geometry = &writer->geometry;

    return writer->stripe < geometry->full ? geometry->stripe : geometry->rest;
}

static size_t stripe_unit(const struct blob_writer *writer)
{
    const struct geometry *geometry = &writer->geometry;

    return writer->stripe < geometry->full ? geometry->unit
                                           : geometry->last_unit;
}

static bool stripe_is_last(const struct blob_writer *writer)
{
    const struct geometry *geometry = &writer->geometry;

    return writer->stripe + 1 == geometry->full + (geometry->rest > 0);
}

static uint32_t *table_of(const struct blob_writer *writer, unsigned shard)
{
    unsigned table = writer->profile.k == 1 ? 0 : shard;

    return writer->tables + (size_t)table * writer->blocks;
}

static unsigned stripe_place(const struct blob_writer *writer)
{
    return (unsigned)(writer->stripe % WRITER_STRIPES);
}

/* Bytes of a shard in the stripe, in memory that others write from too. */
struct unit {
    unsigned shard;
    uint64_t position; /* in the shard */
    struct memory *memory;
    const uint8_t *data;
    size_t size;
};

static void shard_write(struct blob_writer *writer, struct written_chunk *chunk,
                        const struct unit *unit)
{
    struct written_shard *shard = &chunk->shards[unit->shard];
    struct drive_write **write =
        &writer->writes[stripe_place(writer)][unit->shard];

    invariant(*write == NULL && unit->size <= shard->reserved);
    if (unit->size > 0) {
        shard->reserved -= unit->size;
        *write = drive_write_start(shard->drive, &shard->place, unit->position,
                                   unit->data, unit->size, unit->memory);
    }
}

/* The last unit of a shard, and its descriptor and origin behind it, which the
 * sync takes along; the unit too if it is short. */
static void shard_finish(struct blob_writer *writer,
                         struct written_chunk *chunk, const struct unit *unit)
{
    struct written_shard *shard = &chunk->shards[unit->shard];
    struct slice origin = writer->spec.origin;
    struct descriptor descriptor = {
        .blob = writer->spec.blob,
        .blob_size = writer->spec.size,
        .chunk_offset = (writer->begun - 1) * writer->store->chunk_size,
        .chunk_size = chunk->size,
        .payload = unit->position + unit->size,
        .chunk = (uint32_t)(writer->begun - 1),
        .unit = writer->geometry.unit,
        .origin_size = (uint32_t)origin.size,
        .origin_crc = writer->origin_crc,
        .profile = writer->profile,
        .shard = (uint8_t)unit->shard,
    };
    size_t encoded = descriptor_size(descriptor.payload);
    size_t joined = unit->size <= BLOB_BLOCK_SIZE ? unit->size : 0;
    uint8_t *tail = xmalloc(joined + encoded + origin.size);

    invariant(descriptor.payload ==
              geometry_shard_size(&writer->geometry, unit->shard));
    memcpy(tail, unit->data, joined);
    shard->crc = descriptor_encode(&descriptor, table_of(writer, unit->shard),
                                   tail + joined);
    memcpy(tail + joined + encoded, origin.data, origin.size);
    shard->tail = tail;
    shard->tail_size = joined + encoded + origin.size;
    shard->tail_position = unit->position + unit->size - joined;
    if (joined < unit->size) {
        shard_write(writer, chunk, unit);
    }
}

static void table_fill(struct blob_writer *writer, unsigned shard,
                       const uint8_t *data, size_t size)
{
    uint32_t *crc = table_of(writer, shard) +
                    writer->stripe * (writer->geometry.unit / BLOB_BLOCK_SIZE);

    while (size > 0) {
        size_t block = size < BLOB_BLOCK_SIZE ? size : BLOB_BLOCK_SIZE;

        *crc++ = crc32c_bytes(data, block);
        data += block;
        size -= block;
    }
}

static void unit_write(struct blob_writer *writer, struct written_chunk *chunk,
                       const struct unit *unit)
{
    if (chunk->shards[unit->shard].drive == NULL) {
        return;
    }
    if (stripe_is_last(writer)) {
        shard_finish(writer, chunk, unit);
    } else {
        shard_write(writer, chunk, unit);
    }
}

static int stripe_encode(struct blob_writer *writer, uint8_t *stripe,
                         uint8_t *out, size_t unit)
{
    uint8_t *data[ERASURE_SHARDS_MAX], *parity[ERASURE_SHARDS_MAX];

    for (unsigned i = 0; i < writer->profile.k; i++) {
        data[i] = stripe + i * unit;
    }
    for (unsigned i = 0; i < writer->profile.m; i++) {
        parity[i] = out + i * unit;
    }
    return erasure_encode(&writer->profile, data, parity, unit);
}

/* Every shard is a copy. */
static void write_copies(struct blob_writer *writer,
                         struct written_chunk *chunk)
{
    struct unit unit = {
        .position = writer->stripe * writer->geometry.unit,
        .memory = writer->data,
        .data = writer->data->bytes,
        .size = stripe_bytes(writer),
    };

    table_fill(writer, 0, unit.data, unit.size);
    for (; unit.shard < writer->shards; unit.shard++) {
        unit_write(writer, chunk, &unit);
    }
}

/* Data shards, without the padding, and those with parity. */
static void write_code(struct blob_writer *writer, struct written_chunk *chunk,
                       struct memory *parity)
{
    size_t bytes = stripe_bytes(writer), size = stripe_unit(writer);
    unsigned k = writer->profile.k;

    for (unsigned i = 0; i < writer->shards; i++) {
        struct unit unit = {
            .shard = i,
            .position = writer->stripe * writer->geometry.unit,
            .memory = i < k ? writer->data : parity,
            .size = size,
        };
        size_t before = (i < k ? i : i - k) * size;

        unit.data = unit.memory->bytes + before;
        if (i < k) {
            unit.size = bytes > before ? bytes - before : 0;
            unit.size = unit.size < size ? unit.size : size;
        }
        table_fill(writer, i, unit.data, unit.size);
        unit_write(writer, chunk, &unit);
    }
}

/* The writes hold the memory from here on. */
static int stripe_write(struct blob_writer *writer, struct written_chunk *chunk)
{
    size_t unit = stripe_unit(writer);
    struct memory *parity;
    int error = 0;

    if (writer->profile.k == 1) {
        write_copies(writer, chunk);
    } else {
        parity = memory_new(writer->profile.m * unit);
        if (stripe_encode(writer, writer->data->bytes, parity->bytes, unit) ==
            0) {
            write_code(writer, chunk, parity);
        } else {
            error = -EIO;
        }
        memory_drop(parity);
    }
    memory_drop(writer->data);
    writer->data = NULL;
    return error;
}

/* --- making chunks durable ----------------------------------------------- */

/* Waits for the chunk whose sync was started last. */
static int chunk_settle(struct blob_writer *writer)
{
    struct written_chunk *chunk;

    if (writer->durable == writer->ended) {
        return 0;
    }
    sync_latch_wait(writer->latch);
    chunk = writer->chunks[writer->durable++];
    invariant(writer->durable == writer->ended);
    for (unsigned i = 0; i < writer->shards; i++) {
        struct written_shard *shard = &chunk->shards[i];

        if (shard->drive != NULL && shard->synced != 0) {
            shard_drop(writer, shard, shard->synced);
        }
    }
    return check_left(writer, chunk);
}

static int chunk_end(struct blob_writer *writer)
{
    struct written_chunk *chunk = writer->chunks[writer->begun - 1];
    int error = chunk_settle(writer);

    if (error != 0) {
        return error;
    }
    chunk_written(writer, chunk);
    error = check_left(writer, chunk);
    if (error != 0) {
        return error;
    }
    writer->ended = writer->begun;
    for (unsigned i = 0; i < writer->shards; i++) {
        struct written_shard *shard = &chunk->shards[i];

        if (shard->drive != NULL) {
            invariant(shard->tail_size == shard->reserved);
            shard->reserved = 0; /* the drive's from here on */
            shard->synced = -EIO;
            drive_finish_start(shard->drive, &shard->place,
                               shard->tail_position, shard->tail,
                               shard->tail_size, writer->latch, &shard->synced);
            free(shard->tail);
            shard->tail = NULL;
        }
    }
    return 0;
}

static int stripe_begin(struct blob_writer *writer)
{
    struct written_chunk *chunk = writer->chunks[writer->begun - 1];
    int error;

    stripe_written(writer, chunk, stripe_place(writer));
    error = check_left(writer, chunk);
    if (error == 0) {
        writer->data = memory_new(stripe_unit(writer) * writer->profile.k);
    }
    return error;
}

static int stripe_end(struct blob_writer *writer)
{
    bool last = stripe_is_last(writer);
    int error = stripe_write(writer, writer->chunks[writer->begun - 1]);

    writer->stripe++;
    writer->filled = 0;
    if (error == 0 && last) {
        error = chunk_end(writer);
    }
    return error;
}

/* --- the public face ----------------------------------------------------- */

/* Copies into the stripe's memory. Returns how much was taken. */
static size_t stripe_fill(struct blob_writer *writer, const uint8_t *data,
                          size_t size)
{
    size_t bytes = stripe_bytes(writer);
    size_t room = stripe_unit(writer) * writer->profile.k;
    size_t part = bytes - writer->filled;

    part = part < size ? part : size;
    memcpy(writer->data->bytes + writer->filled, data, part);
    writer->filled += part;
    if (writer->filled == bytes) {
        memset(writer->data->bytes + bytes, 0, room - bytes);
    }
    return part;
}

static int append_part(struct blob_writer *writer, const uint8_t *data,
                       size_t size, size_t *taken)
{
    int error = 0;

    if (writer->begun == writer->ended) {
        error = chunk_begin(writer);
    }
    if (error == 0 && writer->data == NULL) {
        error = stripe_begin(writer);
    }
    if (error != 0) {
        return error;
    }
    *taken = stripe_fill(writer, data, size);
    return writer->filled == stripe_bytes(writer) ? stripe_end(writer) : 0;
}

int blob_writer_append(struct blob_writer *writer, const void *data,
                       size_t size)
{
    const uint8_t *at = data;

    if (writer->error == 0 && size > writer->spec.size - writer->appended) {
        writer->error = -EFBIG;
    }
    while (size > 0 && writer->error == 0) {
        size_t taken = 0;

        writer->error = append_part(writer, at, size, &taken);
        writer->appended += taken;
        at += taken;
        size -= taken;
    }
    return writer->error;
}

static Layout__Locator *make_locator(const struct written_shard *shard)
{
    Layout__Locator *locator = xmalloc(sizeof(*locator));

    layout__locator__init(locator);
    if (shard->drive != NULL) {
        locator->drive_plus_one = shard->index + 1;
        locator->extent = shard->place.extent;
        locator->offset = shard->place.offset;
        locator->descriptor_crc = shard->crc;
    }
    return locator;
}

static Layout__Chunk *make_chunk(const struct blob_writer *writer,
                                 const struct written_chunk *chunk)
{
    Layout__Chunk *message = xmalloc(sizeof(*message));

    layout__chunk__init(message);
    message->size = chunk->size;
    message->n_shards = writer->shards;
    message->shards = xcalloc(writer->shards, sizeof(*message->shards));
    for (unsigned i = 0; i < writer->shards; i++) {
        message->shards[i] = make_locator(&chunk->shards[i]);
    }
    return message;
}

static Layout__Layout *make_layout(const struct blob_writer *writer)
{
    Layout__Layout *layout = xmalloc(sizeof(*layout));

    layout__layout__init(layout);
    layout->blob = writer->spec.blob;
    layout->size = writer->spec.size;
    layout->backend = writer->profile.backend;
    layout->k = writer->profile.k;
    layout->m = writer->profile.m;
    layout->unit = writer->geometry.unit;
    layout->origin = (uint32_t)writer->spec.origin.size;
    layout->n_chunks = writer->chunk_count;
    layout->chunks = xcalloc(writer->chunk_count, sizeof(*layout->chunks));
    for (size_t i = 0; i < writer->chunk_count; i++) {
        layout->chunks[i] = make_chunk(writer, writer->chunks[i]);
    }
    return layout;
}

int blob_writer_finish(struct blob_writer *writer, Layout__Layout **layout)
{
    int error = writer->error;

    if (error == 0 && writer->appended != writer->spec.size) {
        error = -EBADMSG;
    }
    if (error == 0) {
        error = chunk_settle(writer);
    }
    if (error == 0) {
        invariant(writer->durable == writer->chunk_count); /* B1 */
        *layout = make_layout(writer);
    }
    blob_writer_abort(writer);
    return error;
}

void blob_writer_abort(struct blob_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    if (writer->latch != NULL) {
        sync_latch_wait(writer->latch); /* results are set in the chunks */
    }
    if (writer->begun > 0) {
        chunk_written(writer, writer->chunks[writer->begun - 1]);
    }
    for (size_t i = 0; i < writer->begun; i++) {
        for (unsigned j = 0; j < writer->shards; j++) {
            struct written_shard *shard = &writer->chunks[i]->shards[j];

            free(shard->tail);
            if (shard->drive != NULL && shard->reserved > 0) {
                drive_release(shard->drive, shard->reserved);
            }
        }
        free(writer->chunks[i]);
    }
    sync_latch_free(writer->latch);
    free(writer->chunks);
    free(writer->candidates);
    free(writer->tables);
    memory_drop(writer->data);
    free((void *)writer->spec.origin.data);
    free(writer);
}
