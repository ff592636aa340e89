/* Opening and closing a drive, and what state it is in. */
#include "extent/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void drive_path(const char *directory, const char *name,
                char out[DRIVE_PATH_SIZE])
{
    int size = snprintf(out, DRIVE_PATH_SIZE, "%s/%s", directory, name);
    invariant(size > 0 && (unsigned)size < DRIVE_PATH_SIZE);
}

void drive_extent_path(struct drive *drive, uint64_t extent,
                       char out[DRIVE_PATH_SIZE])
{
    char name[EXTENT_PATH_SIZE];
    extent_path(name, extent);
    drive_path(drive->config.directory, name, out);
}

const char *drive_state_name(enum drive_state state)
{
    switch (state) {
    case DRIVE_OK:
        return "ok";
    case DRIVE_MISSING:
        return "missing";
    case DRIVE_FOREIGN:
        return "foreign";
    case DRIVE_BLANK:
        return "blank";
    case DRIVE_FAILED:
        return "failed";
    case DRIVE_REMOVED:
        return "removed";
    }
    return "unknown";
}

enum drive_state drive_state(struct drive *drive)
{
    return (enum drive_state)atomic_load(&drive->state);
}

bool drive_readable(struct drive *drive)
{
    enum drive_state state = drive_state(drive);
    return atomic_load(&drive->readable) &&
           (state == DRIVE_OK || state == DRIVE_FAILED);
}

const struct drive_config *drive_config(struct drive *drive)
{
    return &drive->config;
}

const uint8_t *drive_uuid(struct drive *drive)
{
    return atomic_load(&drive->identity)->drive;
}

static void take_note(struct drive *drive, const char *reason, bool changed)
{
    pthread_mutex_lock(&drive->note.mutex);
    if (changed) {
        drive->note.since_ms = clock_wall_ms();
    }
    snprintf(drive->note.reason, REASON_SIZE, "%s", reason);
    pthread_mutex_unlock(&drive->note.mutex);
}

static void fail(struct drive *drive, const char *reason)
{
    int expected = DRIVE_OK;
    if (atomic_compare_exchange_strong(&drive->state, &expected,
                                       DRIVE_FAILED)) {
        take_note(drive, reason, true);
        pthread_mutex_lock(&drive->note.mutex);
        drive->note.failures++;
        pthread_mutex_unlock(&drive->note.mutex);
        log_error("drive %u (%s) failed: %s", drive->config.index,
                  drive->config.directory, reason);
    }
}

int drive_failed(struct drive *drive, const char *what, int error)
{
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return -ENOSPC;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return error;
    }
    char reason[REASON_SIZE];
    snprintf(reason, sizeof(reason), "%s: %s", what, strerror(-error));
    fail(drive, reason);
    return error;
}

void drive_set_state(struct drive *drive, enum drive_state state,
                     const char *reason)
{
    int before = atomic_load(&drive->state);
    while (before != DRIVE_REMOVED &&
           !atomic_compare_exchange_weak(&drive->state, &before, (int)state)) {
    }
    if (before != DRIVE_REMOVED) { /* for ever, whatever a late look says */
        take_note(drive, reason, before != (int)state);
    }
}

/* --- silence ---------------------------------------------------------------*/

uint64_t drive_timeout(const struct drive *drive)
{
    return drive->options.timeout_us != 0 ? drive->options.timeout_us
                                          : TIMEOUT_US;
}

/* Returns the longest time that something has taken up to now. */
static uint64_t watch(struct drive *drive, uint64_t late_us)
{
    const uint64_t ages[] = {lane_watch(&drive->reads, late_us),
                             lane_watch(&drive->changes, late_us),
                             sync_watch(drive, late_us)};
    uint64_t longest = 0;
    for (unsigned i = 0; i < 3; i++) {
        longest = ages[i] > longest ? ages[i] : longest;
    }
    if (atomic_load(&drive->late) > 0) {
        char reason[REASON_SIZE];
        snprintf(reason, sizeof(reason),
                 "it does not answer: an operation takes longer than %llu ms",
                 (unsigned long long)drive_timeout(drive) / 1000);
        fail(drive, reason);
    }
    return longest;
}

/* What somebody has waited for so long may have begun a little later. */
void drive_silent(struct drive *drive)
{
    watch(drive, drive_timeout(drive) / 2);
}

void drive_watch(struct drive *drive)
{
    uint64_t now = clock_monotonic_us();
    uint64_t longest = watch(drive, drive_timeout(drive));
    atomic_store(&drive->lags, longest >= LAG_US);
    latency_turn(&drive->reading, now);
    latency_turn(&drive->writing, now);
    latency_turn(&drive->syncing, now);
}

void drive_drain(struct drive *drive, uint64_t since_ms)
{
    atomic_store(&drive->draining_since_ms, since_ms);
}

bool drive_draining(struct drive *drive)
{
    return atomic_load(&drive->draining_since_ms) != 0;
}

void drive_describe(struct drive *drive, struct drive_condition *condition)
{
    *condition = (struct drive_condition){
        .state = drive_state(drive),
        .draining_since_ms = atomic_load(&drive->draining_since_ms),
        .silent = atomic_load(&drive->late) > 0,
        .slow = atomic_load(&drive->slow),
        .lags = drive_lags(drive)};
    condition->draining = condition->draining_since_ms != 0;
    latency_describe(&drive->reading, &condition->reads);
    latency_describe(&drive->writing, &condition->writes);
    latency_describe(&drive->syncing, &condition->syncs);
    pthread_mutex_lock(&drive->mutex);
    condition->full_since_ms = drive->space.full_since_ms;
    pthread_mutex_unlock(&drive->mutex);
    condition->full =
        condition->state == DRIVE_OK && condition->full_since_ms != 0;
    pthread_mutex_lock(&drive->note.mutex);
    condition->since_ms = drive->note.since_ms;
    condition->returns = drive->note.returns;
    condition->failures = drive->note.failures;
    condition->slow_since_ms = drive->note.slow_since_ms;
    memcpy(condition->reason, drive->note.reason, sizeof(drive->note.reason));
    pthread_mutex_unlock(&drive->note.mutex);
}

static void drive_init(struct drive *drive, struct io *io,
                       const struct drive_config *config,
                       const struct drive_options *options)
{
    drive->io = io;
    drive->config.directory = xstrdup(config->directory);
    drive->config.domain = xstrdup(config->domain);
    drive->config.index = config->index;
    drive->options = *options;
    atomic_init(&drive->identity, xcalloc(1, sizeof(struct identity)));
    pthread_mutex_init(&drive->note.mutex, NULL);
    drive->note.since_ms = clock_wall_ms();
    pthread_mutex_init(&drive->mutex, NULL);
    condition_init(&drive->created);
    pthread_mutex_init(&drive->queue.mutex, NULL);
    pthread_cond_init(&drive->queue.filled, NULL);
    condition_init(&drive->queue.ended);
    lane_init(&drive->reads, drive, READ_THREADS);
    lane_init(&drive->changes, drive, CHANGE_THREADS);
    drive->queue.last = &drive->queue.first;
    file_cache_init(&drive->cache);
}

int drive_open(struct io *io, const struct drive_config *config,
               const struct drive_options *options, struct drive **drive)
{
    struct drive *opened = xcalloc(1, sizeof(*opened));
    drive_init(opened, io, config, options);
    *drive = opened;
    if (options->removed) {
        drive_set_state(opened, DRIVE_REMOVED, "");
        return 0;
    }
    enum drive_state state = DRIVE_MISSING;
    char reason[REASON_SIZE] = "the path is too long";
    if (strlen(config->directory) < DRIVE_DIRECTORY_SIZE) {
        state = identity_check(io, config->directory, config->index, options,
                               opened->identity, reason);
    }
    /* What cannot even be looked at is not there. */
    state = state == DRIVE_FAILED ? DRIVE_MISSING : state;
    drive_set_state(opened, state, reason);
    int r = state == DRIVE_OK ? drive_begin(opened) : 0;
    if (r == -EAGAIN) {
        drive_close(opened);
        *drive = NULL;
        return r;
    }
    if (state != DRIVE_OK) {
        log_warn("drive %u (%s) is %s: %s", config->index, config->directory,
                 drive_state_name(state), reason);
    }
    return 0;
}

static void free_identities(struct drive *drive)
{
    struct identity *identity = atomic_load(&drive->identity);
    while (identity != NULL) {
        struct identity *earlier = identity->earlier;
        free(identity);
        identity = earlier;
    }
}

void drive_close(struct drive *drive)
{
    if (drive == NULL) {
        return;
    }
    bool synced = sync_stop(drive), read = lane_stop(&drive->reads);
    if (!lane_stop(&drive->changes) || !synced || !read) {
        log_error("drive %u (%s) does not answer: left as it is",
                  drive->config.index, drive->config.directory);
        return;
    }
    extents_close(drive);
    file_cache_destroy(&drive->cache);
    io_close(drive->lock);
    lane_destroy(&drive->changes);
    lane_destroy(&drive->reads);
    pthread_cond_destroy(&drive->queue.ended);
    pthread_cond_destroy(&drive->queue.filled);
    pthread_mutex_destroy(&drive->queue.mutex);
    pthread_cond_destroy(&drive->created);
    pthread_mutex_destroy(&drive->mutex);
    free(drive->removed);
    pthread_mutex_destroy(&drive->note.mutex);
    free_identities(drive);
    free((char *)(uintptr_t)drive->config.directory);
    free((char *)(uintptr_t)drive->config.domain);
    free(drive);
}
