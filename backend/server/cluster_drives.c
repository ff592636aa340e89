/*
 * Drives while s3d serves: those that come back, and those that are replaced,
 * drained or removed.
 */
#include "server/private.h"
#include <errno.h>
#include <string.h>

#define RETRY_US         1000000u
#define RETRY_LONGEST_US 60000000u

/* --- looking ---------------------------------------------------------------*/

/* Each return waits twice as long as the one before: a drive that fails again
 * and again must not cost each write its time. */
static void look_at(struct cluster *cluster, unsigned index)
{
    struct drive_retry *retry = &cluster->drive_retries[index];
    struct drive *drive = cluster->drives[index];
    const uint64_t now = clock_monotonic_us();
    if (drive_state(drive) == DRIVE_FAILED && now < retry->at_us) {
        return;
    }
    if (!drive_look(drive)) {
        return;
    }
    if (now > retry->at_us + 10ull * RETRY_LONGEST_US) {
        retry->wait_us = 0; /* it was well for long */
    }
    retry->wait_us = retry->wait_us == 0 ? RETRY_US : 2 * retry->wait_us;
    if (retry->wait_us > RETRY_LONGEST_US) {
        retry->wait_us = RETRY_LONGEST_US;
    }
    retry->at_us = now + retry->wait_us;
}

/* Nobody is to wait for a mirror on a drive that does not answer. */
static void leave_if_silent(struct cluster *cluster, unsigned index)
{
    struct drive_condition condition;
    drive_describe(cluster->drives[index], &condition);
    if (condition.silent) {
        cluster_leave_mirrors(cluster, index);
    }
}

/* Reads are hedged past what the drives usually need. */
static void compare_drives(struct cluster *cluster)
{
    drives_compare(cluster->drives, cluster->drive_count);
    if (cluster->hedge_us > 0) {
        const uint64_t p95 =
            drives_read_p95(cluster->drives, cluster->drive_count);
        blob_store_hedge(cluster->blobs,
                         p95 > cluster->hedge_us ? p95 : cluster->hedge_us);
    }
}

void cluster_look_at_drives(struct cluster *cluster)
{
    pthread_mutex_lock(&cluster->drives_lock);
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        look_at(cluster, i);
        leave_if_silent(cluster, i);
    }
    compare_drives(cluster);
    pthread_mutex_unlock(&cluster->drives_lock);
}

/* --- the record ------------------------------------------------------------*/

static int commit(struct cluster *cluster, const Meta__Cluster *record)
{
    struct meta_batch *batch = meta_batch_new(cluster->meta);
    meta_put_cluster(batch, record);
    const int error = meta_commit(batch);
    meta_batch_free(batch);
    return error;
}

/* Changes what the record says of a drive. A new drive that never was usable
 * is not in it: -ENOENT. */
static int change_slot(struct cluster *cluster, unsigned index,
                       void (*change)(Meta__DriveSlot *slot, void *context),
                       void *context)
{
    struct arena *arena = arena_new();
    Meta__Cluster *record;
    int error = meta_get_cluster(cluster->meta, arena, &record);
    if (error == 0) {
        Meta__DriveSlot *slot = cluster_find_slot(record, index);
        error = -ENOENT;
        if (slot != NULL) {
            change(slot, context);
            error = commit(cluster, record);
        }
    }
    arena_free(arena);
    return error;
}

/* --- replacing -------------------------------------------------------------*/

static void set_draining(Meta__DriveSlot *slot, uint64_t since_ms)
{
    slot->draining = since_ms != 0;
    slot->draining_since_ms = since_ms;
}

static void name_uuid(Meta__DriveSlot *slot, void *uuid)
{
    slot->uuid.data = uuid;
    slot->uuid.len = DRIVE_UUID_SIZE;
    set_draining(slot, 0);
}

/* The record first: from then on the old disk can never come back, and a
 * directory that stays blank because of a crash is formatted again. */
static int replace(struct cluster *cluster, unsigned index)
{
    struct drive *drive = cluster->drives[index];
    uint8_t uuid[DRIVE_UUID_SIZE];
    struct arena *arena = arena_new();
    Meta__Cluster *record;
    int error = meta_get_cluster(cluster->meta, arena, &record);
    if (error == 0) {
        error = drive_new_uuid(uuid);
    }
    if (error == 0) {
        error = change_slot(cluster, index, name_uuid, uuid);
    }
    if (error == 0) {
        drive_expect(drive, uuid);
        drive_drain(drive, 0);
        error = drive_format_as(io_posix(), drive_config(drive),
                                record->uuid.data, uuid);
    }
    arena_free(arena);
    if (error == 0 && !drive_look(drive)) {
        error = -EIO;
    }
    if (error == 0) {
        log_info("drive %u, %s: replaced by a new disk", index,
                 drive_config(drive)->directory);
    }
    return error;
}

int cluster_replace_drive(struct cluster *cluster, unsigned index)
{
    if (index >= cluster->drive_count) {
        return -EINVAL;
    }
    struct drive_condition condition;
    pthread_mutex_lock(&cluster->drives_lock);
    drive_look(cluster->drives[index]);
    drive_describe(cluster->drives[index], &condition);
    /* If it is silent, that look may still be under way. */
    const int error = condition.state == DRIVE_BLANK && !condition.silent
                          ? replace(cluster, index)
                          : -EBUSY;
    pthread_mutex_unlock(&cluster->drives_lock);
    return error;
}

/* --- draining --------------------------------------------------------------*/

static void set_draining_to(Meta__DriveSlot *slot, void *since_ms)
{
    set_draining(slot, *(const uint64_t *)since_ms);
}

/* Since when it is drained from now on; 0: it is used. */
static uint64_t drain_since(struct drive *drive, bool drain)
{
    struct drive_condition condition;
    if (!drain) {
        return 0;
    }
    drive_describe(drive, &condition);
    return condition.draining ? condition.draining_since_ms : clock_wall_ms();
}

/* Alone among members one drive takes no writes: they would have no
 * redundancy. */
static bool others_are_enough(struct cluster *cluster, unsigned index)
{
    unsigned others = 0;
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        struct drive *drive = cluster->drives[i];
        others += i != index && drive_state(drive) == DRIVE_OK &&
                  !drive_draining(drive);
    }
    return others >= 2;
}

/* -ENOENT: it was removed. -EBUSY: it is needed. */
static int drain(struct cluster *cluster, unsigned index, bool drain)
{
    struct drive *drive = cluster->drives[index];
    if (drive_state(drive) == DRIVE_REMOVED) {
        return -ENOENT;
    }
    if (drain && !others_are_enough(cluster, index)) {
        return -EBUSY;
    }
    uint64_t since_ms = drain_since(drive, drain);
    const int error = change_slot(cluster, index, set_draining_to, &since_ms);
    if (error == 0) {
        drive_drain(drive, since_ms);
        cluster->drained_at[index] = blob_intent_next(cluster->blobs);
    }
    return error;
}

int cluster_drain_drive(struct cluster *cluster, unsigned index, bool on)
{
    if (index >= cluster->drive_count) {
        return -EINVAL;
    }
    pthread_mutex_lock(&cluster->drives_lock);
    const int error = drain(cluster, index, on);
    pthread_mutex_unlock(&cluster->drives_lock);
    return error;
}

/* --- removing --------------------------------------------------------------*/

/* With the lock. */
static bool is_settled(struct cluster *cluster, unsigned index)
{
    struct drive *drive = cluster->drives[index];
    return drive_state(drive) != DRIVE_OK ||
           (drive_draining(drive) &&
            blob_intent_oldest(cluster->blobs) >= cluster->drained_at[index]);
}

bool cluster_is_settled(struct cluster *cluster, unsigned index)
{
    pthread_mutex_lock(&cluster->drives_lock);
    const bool settled = is_settled(cluster, index);
    pthread_mutex_unlock(&cluster->drives_lock);
    return settled;
}

static void set_removed(Meta__DriveSlot *slot, void *unused)
{
    (void)unused;
    slot->removed = true;
    set_draining(slot, 0);
}

int cluster_remove_drive(struct cluster *cluster, unsigned index)
{
    struct drive *drive = cluster->drives[index];
    int error = -EBUSY;
    pthread_mutex_lock(&cluster->drives_lock);
    if (is_settled(cluster, index)) {
        error = change_slot(cluster, index, set_removed, NULL);
    }
    if (error == 0) {
        drive_retire(drive);
        cluster_leave_mirrors(cluster, index);
        log_info("drive %u, %s: removed", index,
                 drive_config(drive)->directory);
    }
    pthread_mutex_unlock(&cluster->drives_lock);
    return error;
}

/* --- restored metadata -----------------------------------------------------*/

int cluster_accept_restored(struct cluster *cluster)
{
    struct arena *arena = arena_new();
    Meta__Cluster *record;
    pthread_mutex_lock(&cluster->drives_lock);
    int error = meta_get_cluster(cluster->meta, arena, &record);
    if (error == 0) {
        record->held_extents = 0;
        error = commit(cluster, record);
    }
    pthread_mutex_unlock(&cluster->drives_lock);
    arena_free(arena);
    return error;
}
