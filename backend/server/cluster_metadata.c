/*
 * Metadata and identities: opened, and mirrors mended while s3d serves.
 */
#include "server/private.h"
#include <errno.h>
#include <string.h>

#define LEARN_BYTES   (64u << 20) /* a second */
#define RETRY_US      5000000u
#define RETRY_LONGEST 600000000u

/* --- whether there are any -------------------------------------------------*/

static int find_store(void *context, const char *name)
{
    enum metadata_state *state = context;
    if (strcmp(name, REBUILDING_NAME) == 0) {
        *state = METADATA_REBUILDING;
    } else if (strcmp(name, "lock") != 0 && strcmp(name, "lost+found") != 0 &&
               *state == METADATA_BLANK) {
        *state = METADATA_THERE;
    }
    return 0;
}

enum metadata_state metadata_state(const char *directory)
{
    enum metadata_state state = METADATA_BLANK;
    const int error = io_list(io_posix(), directory, find_store, &state);
    return error == 0 || error == -ENOENT ? state : METADATA_THERE;
}

static bool drives_hold_data(const struct server_config *config)
{
    struct drive_identity identity;
    for (unsigned i = 0; i < config->drive_count; i++) {
        if (!config->drives[i].removed &&
            drive_identify(io_posix(), config->drives[i].path, &identity) ==
                0) {
            return true;
        }
    }
    return false;
}

/* New metadata beside drives that hold a cluster's data would hide that they
 * are lost. */
static int check_there(const struct server_config *config)
{
    bool blank = true;
    for (unsigned i = 0; i < config->metadata_count; i++) {
        const enum metadata_state state = metadata_state(config->metadata[i]);
        if (state == METADATA_REBUILDING) {
            log_error("%s: a rebuild of the metadata did not end: `s3ctl "
                      "rebuild` begins it again",
                      config->metadata[i]);
            return -EINVAL;
        }
        blank = blank && state == METADATA_BLANK;
    }
    if (blank && drives_hold_data(config)) {
        log_error("the metadata are gone, and the drives hold data: bring a "
                  "mirror back (%s), or make them anew with `s3ctl rebuild`",
                  config->metadata[0]);
        return -EINVAL;
    }
    return 0;
}

static int open_mirrors(const struct server_config *config, struct kv **kv)
{
    const struct kv_mirror_options options = {
        .io = io_posix(),
        .directories = (const char *const *)config->metadata,
        .count = config->metadata_count,
        .accept_lost = config->accept_lost_mirrors,
        .answer_ms = (unsigned)config->slow.timeout_s * 1000,
        .learn_bytes = LEARN_BYTES};
    const int error = kv_open_mirrors(&options, kv);
    if (error != 0) {
        log_error("the metadata in %s%s cannot be opened", config->metadata[0],
                  config->metadata_count > 1 ? " and its mirrors" : "");
        return error;
    }
    if (config->metadata_count == 1) {
        log_warn("NO REDUNDANCY: the metadata are in one directory only");
    }
    kv_set_reserve(*kv, options.directories, options.count,
                   config->metadata_reserve);
    return 0;
}

int cluster_open_metadata(const struct server_config *config,
                          struct cluster *cluster)
{
    struct kv *kv;
    int error = check_there(config);
    if (error == 0) {
        error = open_mirrors(config, &kv);
    }
    if (error != 0) {
        return error;
    }
    cluster->metadata_on_drives = config->metadata_on_drives;
    error = meta_open(kv, &cluster->meta);
    if (error != 0) {
        log_error("the metadata: %s", strerror(-error));
        kv_close(kv);
        return error;
    }
    error = iam_open(meta_kv(cluster->meta), config->master_key, &cluster->iam);
    if (error == -EACCES) {
        log_error("%s must be readable by s3d and by nobody else (mode 0600)",
                  config->master_key);
    } else if (error == -EKEYREJECTED) {
        log_error("%s is not the master key of this metadata",
                  config->master_key);
    } else if (error != 0) {
        log_error("users and keys (master key in %s): %s", config->master_key,
                  strerror(-error));
    }
    return error;
}

/* --- mending ---------------------------------------------------------------*/

static bool is_below(const char *path, const char *directory)
{
    const size_t size = strlen(directory);
    return size > 0 && strncmp(path, directory, size) == 0 && path[size] == '/';
}

/* A directory that a missing drive left behind is no place for a mirror. */
bool cluster_has_drive_of(const struct cluster *cluster, const char *mirror)
{
    bool has = !cluster->metadata_on_drives;
    for (unsigned i = 0; i < cluster->drive_count && !has; i++) {
        struct drive *drive = cluster->drives[i];
        if (is_below(mirror, drive_config(drive)->directory) &&
            drive_state(drive) == DRIVE_OK) {
            drive_look(drive); /* it may be gone since the last look */
            has = drive_state(drive) == DRIVE_OK;
        }
    }
    return has;
}

/* S4: more than half of the members start it. */
bool cluster_metadata_without(struct cluster *cluster, unsigned index)
{
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    const char *directory = drive_config(cluster->drives[index])->directory;
    uint64_t epoch;
    const unsigned count = kv_mirrors(meta_kv(cluster->meta), &epoch, status);
    unsigned members = 0, left = 0;
    for (unsigned i = 0; i < count; i++) {
        const bool member = status[i].state == KV_MIRROR_MEMBER;
        members += member;
        left += member && !is_below(status[i].directory, directory);
    }
    return members == left || 2 * left > members;
}

void cluster_leave_mirrors(struct cluster *cluster, unsigned index)
{
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    const char *directory = drive_config(cluster->drives[index])->directory;
    struct kv *kv = meta_kv(cluster->meta);
    uint64_t epoch;
    const unsigned count = kv_mirrors(kv, &epoch, status);
    for (unsigned i = 0; i < count; i++) {
        if (is_below(status[i].directory, directory)) {
            kv_mirror_silent(kv, i);
        }
    }
}

static bool may_learn(const struct kv_mirror_status *status)
{
    return status->state == KV_MIRROR_BLANK ||
           status->state == KV_MIRROR_STALE ||
           status->state == KV_MIRROR_FAILED;
}

/* Each attempt waits twice as long as the one before: a drive that comes and
 * goes must not be rebuilt for ever. */
static void try_mirror(struct cluster *cluster, struct kv *kv, unsigned index,
                       const char *directory)
{
    struct mirror_retry *retry = &cluster->retries[index];
    const uint64_t now = clock_monotonic_us();
    if (now < retry->at_us) {
        return;
    }
    const int error = kv_mirror_learn(kv, index);
    if (error == -EBUSY) {
        return;
    }
    if (error == 0) {
        log_info("metadata mirror %s: is being rebuilt", directory);
    } else {
        log_warn("metadata mirror %s: cannot be rebuilt now: %s", directory,
                 strerror(-error));
    }
    retry->wait_us = retry->wait_us == 0 ? RETRY_US : 2 * retry->wait_us;
    if (retry->wait_us > RETRY_LONGEST) {
        retry->wait_us = RETRY_LONGEST;
    }
    retry->at_us = now + retry->wait_us;
}

void cluster_mend_mirrors(struct cluster *cluster)
{
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    struct kv *kv = meta_kv(cluster->meta);
    uint64_t epoch;
    const unsigned count = kv_mirrors(kv, &epoch, status);
    for (unsigned i = 0; i < count; i++) {
        if (may_learn(&status[i]) &&
            cluster_has_drive_of(cluster, status[i].directory)) {
            try_mirror(cluster, kv, i, status[i].directory);
        }
    }
}
