/* One step after the other. */
#include "rebuild/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Ids that were handed out and are nowhere any more lie within. */
#define ID_GAP (UINT64_C(1) << 32)

const char *rebuild_finding_name(enum rebuild_finding finding)
{
    static const char *const names[] = {"restored", "upload", "bucket",
                                        "unreadable", "left"};

    return names[finding];
}

void tell(struct rebuild *rebuild, enum rebuild_finding finding,
          struct slice bucket, struct slice key, const char *why)
{
    const struct rebuild_options *options = rebuild->options;

    rebuild->report->findings[finding]++;
    if (options->tell != NULL) {
        options->tell(options->context, finding, bucket, key, why);
    }
}

/* --- what a store has before it is opened ----------------------------------*/

/* No id below has to be free: neither that of a blob found, nor those that
 * were handed out after the archive ended. */
static int raise_ids(struct rebuild *rebuild, struct kv *kv,
                     struct arena *arena, struct kv_batch *batch)
{
    static const struct slice key = {(const uint8_t *)"N", 1};
    Meta__Counter counter = META__COUNTER__INIT, *old;
    struct slice value;
    int error = kv_get(kv, arena, key, &value);

    counter.value = rebuild->highest;
    if (error == 0) {
        error =
            meta_unpack(arena, META_RECORD_COUNTER, &meta__counter__descriptor,
                        value, (ProtobufCMessage **)&old);
        if (error == 0 && old->value > counter.value) {
            counter.value = old->value;
        }
    }
    counter.value += ID_GAP;
    kv_batch_put(batch, key,
                 meta_pack(arena, META_RECORD_COUNTER, &counter.base));
    return error == -ENOENT ? 0 : error;
}

static int name_cluster(struct rebuild *rebuild, struct kv *kv,
                        struct arena *arena, struct kv_batch *batch)
{
    static const struct slice key = {(const uint8_t *)"C", 1};
    struct slice value;
    int error = kv_get(kv, arena, key, &value);

    if (error != -ENOENT) {
        return error;
    }
    kv_batch_put(batch, key,
                 meta_pack(arena, META_RECORD_CLUSTER,
                           &rebuild->options->cluster->base));
    return 0;
}

static int prepare(struct rebuild *rebuild, struct kv *kv)
{
    struct arena *arena = arena_new();
    struct kv_batch *batch = kv_batch_new();
    int error = raise_ids(rebuild, kv, arena, batch);

    if (error == 0) {
        error = name_cluster(rebuild, kv, arena, batch);
    }
    if (error == 0) {
        error = kv_commit(kv, batch);
    }
    kv_batch_free(batch);
    arena_free(arena);
    return error;
}

/* --- the cluster's record --------------------------------------------------*/

static void name_drive(struct drive *drive, Meta__DriveSlot *slot)
{
    switch (drive_state(drive)) {
    case DRIVE_OK:
        slot->uuid.data = (uint8_t *)drive_uuid(drive);
        slot->uuid.len = DRIVE_UUID_SIZE;
        break;
    case DRIVE_REMOVED:
        slot->removed = true;
        break;
    default:
        break;
    }
}

/* The drives that are there are the cluster's, whatever the record says: one
 * may have been replaced or removed after the archive ended. */
static void name_drives(struct rebuild *rebuild, Meta__Cluster *record)
{
    const struct rebuild_options *options = rebuild->options;

    for (size_t i = 0; i < record->n_drives; i++) {
        if (record->drives[i]->index < options->drive_count) {
            name_drive(options->drives[record->drives[i]->index],
                       record->drives[i]);
        }
    }
}

/* Every extent that there is, also on drives that are not here: their numbers
 * begin with the time. */
static uint64_t extents_end(const struct rebuild *rebuild)
{
    uint64_t now = extent_number_at(clock_wall_ms() / 1000);

    return now > rebuild->last_extent ? now : rebuild->last_extent + 1;
}

static int put_cluster(struct rebuild *rebuild)
{
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(rebuild->meta);
    Meta__Cluster *record;
    int error = meta_get_cluster(rebuild->meta, arena, &record);

    if (error == 0) {
        name_drives(rebuild, record);
        if (rebuild->options->fill != NULL) {
            record->held_extents = extents_end(rebuild);
        }
        meta_put_cluster(batch, record);
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    arena_free(arena);
    return error;
}

/* --- all -------------------------------------------------------------------*/

static int restore_archive(struct rebuild *rebuild, struct kv *kv)
{
    const struct rebuild_options *options = rebuild->options;
    struct rebuild_report *report = rebuild->report;
    int error =
        archive_restore(options->io, options->drives, options->drive_count,
                        options->cluster->uuid.data, kv, &report->archive);

    if (error == -ENOENT) {
        log_warn("no drive holds a whole archive of the metadata: there is "
                 "only what the shards say");
        return 0;
    }
    report->archived = error == 0;
    return error;
}

static int fill(struct rebuild *rebuild)
{
    int error = put_cluster(rebuild);

    if (error == 0) {
        error = blobs_check(rebuild);
    }
    return error != 0 ? error : origins_restore(rebuild);
}

int rebuild_run(const struct rebuild_options *options, struct kv *kv,
                struct meta **meta, struct rebuild_report *report)
{
    struct rebuild rebuild = {.options = options, .report = report};
    int error;

    *report = (struct rebuild_report){0};
    *meta = NULL;
    error = options->fill != NULL ? options->fill(options->context, kv)
                                  : restore_archive(&rebuild, kv);
    if (error == 0) {
        error = shards_scan(&rebuild);
    }
    if (error == 0) {
        error = prepare(&rebuild, kv);
    }
    if (error == 0) {
        error = meta_open(kv, &rebuild.meta);
    }
    if (error == 0) {
        error = fill(&rebuild);
        *meta = rebuild.meta;
    }
    free(rebuild.unreadable);
    return error;
}
