/*
 * Metadata, identities and drives: opened together, closed together.
 *
 * The cluster record names the drives by index and uuid. A configured drive
 * that it does not name is new: formatted if its directory is blank, adopted
 * if a start was interrupted after the format. A drive that it names must be
 * that very drive, at whichever configured path it is (cluster_match.c);
 * another one is opened as not usable and never written to. The number of a
 * drive that was removed is never used again.
 */
#include "server/private.h"
#include <errno.h>
#include <string.h>

/* --- drives ----------------------------------------------------------------*/
static int open_drive(const struct drive_config *config,
                      const struct drive_options *options, struct drive **drive)
{
    const int error = drive_open(io_posix(), config, options, drive);
    if (error == -EAGAIN) {
        log_error("drive %u, %s: another s3d uses it", config->index,
                  config->directory);
    } else if (error != 0) {
        log_error("drive %u, %s: %s", config->index, config->directory,
                  strerror(-error));
    }
    return error;
}

static int open_new(const struct drive_config *config,
                    const struct drive_options *options, struct drive **drive)
{
    const int error = drive_format(io_posix(), config, options->cluster);
    if (error == 0) {
        log_info("drive %u, %s: formatted", config->index, config->directory);
    } else if (error != -EEXIST) {
        log_error("drive %u, %s: cannot be formatted: %s", config->index,
                  config->directory, strerror(-error));
    }
    return open_drive(config, options, drive);
}

/* --- the cluster record ----------------------------------------------------*/
/* The drives that are usable and not named yet. Returns how many. */
static size_t name_new(const struct cluster *cluster, Meta__Cluster *record,
                       Meta__DriveSlot *slots, Meta__DriveSlot **list)
{
    size_t count = 0, total = record->n_drives;
    for (size_t i = 0; i < total; i++) {
        list[i] = record->drives[i];
    }
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        if (cluster_find_slot(record, i) != NULL ||
            drive_state(cluster->drives[i]) != DRIVE_OK) {
            continue;
        }
        Meta__DriveSlot *slot = &slots[count++];
        meta__drive_slot__init(slot);
        slot->index = i;
        slot->uuid.data = (uint8_t *)drive_uuid(cluster->drives[i]);
        slot->uuid.len = DRIVE_UUID_SIZE;
        list[total++] = slot;
    }
    record->drives = list;
    record->n_drives = total;
    return count;
}

static int record_drives(struct cluster *cluster, Meta__Cluster *record)
{
    Meta__DriveSlot slots[SERVER_DRIVES_MAX];
    Meta__DriveSlot *list[2 * SERVER_DRIVES_MAX];
    if (name_new(cluster, record, slots, list) == 0) {
        return 0;
    }
    struct meta_batch *batch = meta_batch_new(cluster->meta);
    meta_put_cluster(batch, record);
    const int error = meta_commit(batch);
    meta_batch_free(batch);
    if (error != 0) {
        log_error("the cluster record could not be written: %s",
                  strerror(-error));
    }
    return error;
}

/* The configuration's entry of a drive that was removed keeps its place, or
 * was the last one. */
static int check_slot(const struct server_config *config,
                      const Meta__DriveSlot *slot)
{
    const bool configured = slot->index < config->drive_count;
    if (!configured && !slot->removed) {
        log_error("the cluster has a drive %u, but the configuration "
                  "names only %u drives",
                  slot->index, config->drive_count);
        return -EINVAL;
    }
    if (configured && !slot->removed && config->drives[slot->index].removed) {
        log_error("drive %u is removed in the configuration, but not in the "
                  "cluster: s3ctl drive remove %u",
                  slot->index, slot->index);
        return -EINVAL;
    }
    if (configured && slot->removed && !config->drives[slot->index].removed) {
        log_warn("drive %u was removed, %s is not used: write "
                 "{ removed = true; } in its place, new drives at the end",
                 slot->index, config->drives[slot->index].path);
    }
    return 0;
}

static int check_record(const struct server_config *config,
                        const Meta__Cluster *record)
{
    int error = 0;
    if (record->uuid.len != DRIVE_UUID_SIZE ||
        record->n_drives > SERVER_DRIVES_MAX) {
        log_error("the cluster record is damaged");
        return -EBADMSG;
    }
    for (size_t i = 0; i < record->n_drives && error == 0; i++) {
        if (record->drives[i]->uuid.len != DRIVE_UUID_SIZE) {
            log_error("the cluster record is damaged");
            return -EBADMSG;
        }
        error = check_slot(config, record->drives[i]);
    }
    for (unsigned i = 0; i < config->drive_count && error == 0; i++) {
        if (config->drives[i].removed && cluster_find_slot(record, i) == NULL) {
            log_error("drive %u is removed in the configuration, but never "
                      "was in the cluster",
                      i);
            return -EINVAL;
        }
    }
    return error;
}

/* --- all drives ------------------------------------------------------------*/
/* An older s3d did not say when it began. */
static uint64_t draining_since(const Meta__DriveSlot *slot)
{
    if (!slot->draining) {
        return 0;
    }
    return slot->draining_since_ms != 0 ? slot->draining_since_ms
                                        : clock_wall_ms();
}

static int open_one(struct cluster *cluster, const struct drive_config *config,
                    const Meta__DriveSlot *slot, struct drive_options *options)
{
    struct drive **place = &cluster->drives[config->index];
    memset(options->uuid, 0, sizeof(options->uuid));
    if (slot == NULL) {
        return open_new(config, options, place);
    }
    memcpy(options->uuid, slot->uuid.data, DRIVE_UUID_SIZE);
    options->removed = slot->removed;
    const int error = open_drive(config, options, place);
    options->removed = false;
    if (error == 0) {
        drive_drain(*place, draining_since(slot));
    }
    return error;
}

static int open_drives(const struct server_config *config,
                       const Meta__Cluster *record, struct cluster *cluster)
{
    struct drive_options options = {.extent_size = config->extent_size,
                                    .reserve_bytes = config->reserve,
                                    .timeout_us =
                                        config->slow.timeout_s * 1000000};
    const bool first_start = record->n_drives == 0;
    memcpy(options.cluster, record->uuid.data, DRIVE_UUID_SIZE);
    int error = cluster_match_drives(config, record, cluster->entry_of);
    for (unsigned i = 0; i < config->drive_count && error == 0; i++) {
        const struct server_drive_config *entry =
            &config->drives[cluster->entry_of[i]];
        const struct drive_config drive = {entry->path, entry->domain, i};
        error =
            open_one(cluster, &drive, cluster_find_slot(record, i), &options);
        if (error != 0) {
            break;
        }
        cluster->drive_count = i + 1;
        const enum drive_state state = drive_state(cluster->drives[i]);
        if (state == DRIVE_OK || state == DRIVE_REMOVED) {
            continue;
        }
        log_error("drive %u, %s: %s", i, drive.directory,
                  drive_state_name(state));
        if (first_start) {
            log_error("a new cluster starts with all its drives: empty or "
                      "absent directories that s3d may write to");
            return -EINVAL;
        }
    }
    return error;
}

unsigned cluster_members(const struct cluster *cluster)
{
    unsigned members = 0;
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        members += drive_state(cluster->drives[i]) != DRIVE_REMOVED;
    }
    return members;
}

static int judge_drives(const struct cluster *cluster)
{
    const unsigned usable =
        (unsigned)__builtin_popcount(cluster_usable(cluster));
    const unsigned members = cluster_members(cluster);
    unsigned readable = 0;
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        readable += drive_readable(cluster->drives[i]);
    }
    if (readable == 0) {
        log_error("no drive is usable");
        return -ENODEV;
    }
    if (usable == 0) {
        log_error("no drive can be written to: objects can only be read");
    }
    if (members == 1) {
        log_warn("NO REDUNDANCY: there is one drive, and when it fails "
                 "everything is lost");
    } else if (usable < members) {
        log_error("%u of %u drives are not usable: s3d goes on without them",
                  members - usable, members);
    }
    return 0;
}

uint32_t cluster_usable(const struct cluster *cluster)
{
    uint32_t usable = 0;
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        if (drive_state(cluster->drives[i]) == DRIVE_OK) {
            usable |= UINT32_C(1) << i;
        }
    }
    return usable;
}

static int open_storage(const struct server_config *config,
                        struct cluster *cluster)
{
    struct arena *arena = arena_new();
    Meta__Cluster *record;
    int error = meta_get_cluster(cluster->meta, arena, &record);
    if (error != 0) {
        log_error("the cluster record cannot be read: %s", strerror(-error));
    }
    if (error == 0) {
        error = check_record(config, record);
    }
    if (error == 0) {
        error = open_drives(config, record, cluster);
    }
    if (error == 0) {
        error = record_drives(cluster, record);
    }
    if (error == 0) {
        error = judge_drives(cluster);
    }
    arena_free(arena);
    return error;
}

int cluster_open(const struct server_config *config, struct cluster *cluster)
{
    pthread_mutex_init(&cluster->drives_lock, NULL);
    int error = cluster_open_metadata(config, cluster);
    if (error == 0) {
        error = open_storage(config, cluster);
    }
    if (error == 0) {
        error = cluster_open_keys(config, cluster);
    }
    if (error != 0) {
        return error;
    }
    const struct blob_store_options options = {
        .drives = cluster->drives,
        .drive_count = cluster->drive_count,
        .may_miss = (unsigned)config->may_miss};
    error = blob_store_open(&options, &cluster->blobs);
    if (error != 0) {
        log_error("the drives cannot be used together: %s", strerror(-error));
        return error;
    }
    cluster->hedge_us = config->slow.hedge_ms * 1000;
    blob_store_hedge(cluster->blobs, cluster->hedge_us);
    return 0;
}

void cluster_close(struct cluster *cluster)
{
    if (cluster->blobs != NULL) {
        blob_store_close(cluster->blobs);
    }
    for (unsigned i = 0; i < SERVER_DRIVES_MAX; i++) {
        drive_close(cluster->drives[i]);
    }
    crypt_provider_close(cluster->vault);
    crypt_provider_close(cluster->keyring);
    if (cluster->iam != NULL) {
        iam_close(cluster->iam);
    }
    if (cluster->meta != NULL) {
        meta_close(cluster->meta);
    }
    pthread_mutex_destroy(&cluster->drives_lock);
    *cluster = (struct cluster){0};
}
