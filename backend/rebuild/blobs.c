/* The blobs that the archive knows, against what is on the drives. */
#include "rebuild/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- one blob --------------------------------------------------------------*/

static bool was_found(const struct shards *shards, uint32_t chunk,
                      uint32_t shard, const Layout__Locator *locator)
{
    for (size_t i = 0; i < shards->count; i++) {
        const struct blob_found *found = &shards->found[i];

        if (found->chunk == chunk && found->shard == shard &&
            found->drive + 1 == locator->drive_plus_one &&
            found->extent == locator->extent &&
            found->offset == locator->offset &&
            found->descriptor_crc == locator->descriptor_crc) {
            return true;
        }
    }
    return false;
}

/* Every shard that the layout names is there. */
static bool is_as_said(const struct shards *shards,
                       const Layout__Layout *layout)
{
    for (size_t i = 0; i < layout->n_chunks; i++) {
        const Layout__Chunk *chunk = layout->chunks[i];

        for (size_t j = 0; j < chunk->n_shards; j++) {
            const Layout__Locator *locator = chunk->shards[j];

            if (locator->drive_plus_one != 0 &&
                !was_found(shards, (uint32_t)i, (uint32_t)j, locator)) {
                return false;
            }
        }
    }
    return true;
}

static void note_unreadable(struct rebuild *rebuild, uint64_t blob)
{
    if (rebuild->unreadable_count == rebuild->unreadable_room) {
        rebuild->unreadable_room =
            rebuild->unreadable_room == 0 ? 64 : 2 * rebuild->unreadable_room;
        rebuild->unreadable =
            xrealloc(rebuild->unreadable,
                     rebuild->unreadable_room * sizeof(*rebuild->unreadable));
    }
    rebuild->unreadable[rebuild->unreadable_count++] = blob;
    rebuild->report->blobs_unreadable++;
}

/* The entry of the queue, of which the archive may have another one. */
static int requeue(struct rebuild *rebuild, struct meta_batch *batch,
                   uint64_t blob, const Layout__Layout *layout)
{
    struct meta_heal entry;
    int error = meta_find_heal(rebuild->meta, blob, layout->m, &entry);

    if (error == 0) {
        meta_dequeue_heal(batch, &entry);
    }
    if (blob_degraded(layout)) {
        entry = (struct meta_heal){.blob = blob,
                                   .losses_left = blob_losses_left(layout)};
        meta_queue_heal(batch, &entry);
        rebuild->report->blobs_short++;
    }
    return error == -ENOENT ? 0 : error;
}

/* What the drives hold of it; NULL: nothing that would make one. The record
 * stays then: what it names may be on a drive that comes back. */
static Layout__Layout *layout_found(const struct shards *shards,
                                    const Layout__Layout *said)
{
    Layout__Layout *layout;

    if (shards->count == 0 ||
        blob_salvage_layout(shards->found, shards->count, &layout) != 0) {
        return NULL;
    }
    if (layout->size != said->size || layout->k != said->k ||
        layout->m != said->m || !blob_has_enough(layout)) {
        layout__layout__free_unpacked(layout, NULL);
        return NULL;
    }
    return layout;
}

/* Batches copy what they are given. */
static int check_layout(struct rebuild *rebuild, struct meta_batch *batch,
                        uint64_t blob, const Meta__Blob *record,
                        const struct shards *shards)
{
    Layout__Layout *layout;
    Meta__Blob named;
    int error;

    if (is_as_said(shards, record->layout)) {
        rebuild->report->blobs_kept++;
        return 0;
    }
    layout = layout_found(shards, record->layout);
    if (layout == NULL) {
        note_unreadable(rebuild, blob);
        return 0;
    }
    rebuild->report->blobs_moved++;
    named = *record;
    named.layout = layout;
    /* Queued by requeue(), whatever is left. */
    meta_put_blob(batch, blob, &named, layout->m);
    error = requeue(rebuild, batch, blob, layout);
    if (error == 0) {
        error = meta_commit(batch);
    }
    layout__layout__free_unpacked(layout, NULL);
    return error;
}

/* --- all of them -----------------------------------------------------------*/

static int check_blob(struct rebuild *rebuild, uint64_t blob,
                      const Meta__Blob *record, struct shards *shards)
{
    struct meta_batch *batch;
    int error;

    if (record->layout == NULL) {
        return 0;
    }
    error = shards_of(rebuild, blob, shards);
    if (error == 0) {
        batch = meta_batch_new(rebuild->meta);
        error = check_layout(rebuild, batch, blob, record, shards);
        meta_batch_free(batch);
    }
    return error;
}

static int check_all(struct rebuild *rebuild, struct shards *shards)
{
    uint64_t blob = 0;
    int error = 0;

    while (error == 0) {
        struct arena *arena = arena_new();
        Meta__Blob *record;

        error = meta_next_blob(rebuild->meta, arena, blob, &blob, &record);
        if (error == 0) {
            error = check_blob(rebuild, blob, record, shards);
        }
        arena_free(arena);
    }
    return error == -ENOENT ? 0 : error;
}

/* --- whom it concerns ------------------------------------------------------*/

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static bool is_unreadable(const struct rebuild *rebuild, uint64_t blob)
{
    return blob != 0 &&
           bsearch(&blob, rebuild->unreadable, rebuild->unreadable_count,
                   sizeof(blob), compare) != NULL;
}

/* The blob itself, or one that it is made of. */
static bool concerns(struct rebuild *rebuild, struct arena *arena,
                     uint64_t blob)
{
    Meta__Blob *record;
    bool found = is_unreadable(rebuild, blob);

    if (blob == 0 || found ||
        meta_get_blob(rebuild->meta, arena, blob, &record) != 0) {
        return found;
    }
    for (size_t i = 0; i < record->n_parts && !found; i++) {
        found = is_unreadable(rebuild, record->parts[i]->blob);
    }
    return found;
}

static int tell_objects(struct rebuild *rebuild, const Meta__Bucket *bucket)
{
    struct meta_scan *scan = meta_scan_objects(rebuild->meta, bucket->id);
    struct slice name = slice_of(bucket->name.data, bucket->name.len);
    int error = 0;

    for (; error == 0 && meta_scan_valid(scan); meta_scan_next(scan)) {
        struct arena *arena = arena_new();
        Meta__Object *object;

        error = meta_scan_object(scan, arena, &object);
        if (error == 0 && concerns(rebuild, arena, object->blob)) {
            tell(rebuild, REBUILD_UNREADABLE, name, meta_scan_key(scan),
                 "too few of its shards were found");
        }
        arena_free(arena);
    }
    error = error != 0 ? error : meta_scan_error(scan);
    meta_scan_free(scan);
    return error;
}

static int tell_unreadable(struct rebuild *rebuild)
{
    struct meta_scan *scan =
        meta_scan_buckets(rebuild->meta, slice_of(NULL, 0));
    int error = 0;

    for (; error == 0 && meta_scan_valid(scan); meta_scan_next(scan)) {
        struct arena *arena = arena_new();
        Meta__Bucket *bucket;

        error = meta_scan_bucket(scan, arena, &bucket);
        if (error == 0) {
            error = tell_objects(rebuild, bucket);
        }
        arena_free(arena);
    }
    error = error != 0 ? error : meta_scan_error(scan);
    meta_scan_free(scan);
    return error;
}

int blobs_check(struct rebuild *rebuild)
{
    struct shards shards = {0};
    int error = check_all(rebuild, &shards);

    shards_free(&shards);
    if (error == 0 && rebuild->unreadable_count > 0) {
        error = tell_unreadable(rebuild);
    }
    return error;
}
