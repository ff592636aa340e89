/*
 * The thread that takes what readers report, watches the drives, and keeps
 * the books of each day.
 */
#include "care/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS    1000
#define SAVE_MS    30000
#define RETRY_MS   60000u /* what waits; each time twice as long, up to */
#define RETRY_MOST (3600u * 1000)
#define COUNT_MAX  20 /* of the time goes to counting the queue: one part in */

struct watch {
    struct care_ledger ledger; /* as last counted */
    uint64_t counted_ms, count_again_ms;
    uint64_t ticked_ms, saved_ms, retry_at_ms; /* monotonic */
    uint64_t retry_ms; /* until it is tried again, if nothing happens */
    int damage_failing, retry_failing, save_failing; /* log_failing() */
};

/* --- damage ----------------------------------------------------------------*/
/* That a drive is away is known; wrong bytes are news whatever is known. */
void care_on_damage(void *context, uint64_t blob, unsigned chunk,
                    unsigned shard, int error)
{
    struct care *care = context;
    const bool retry = error == -EBADMSG || error == -ENODATA;
    unsigned i = 0;

    (void)chunk;
    (void)shard;
    pthread_mutex_lock(&care->lock);
    while (i < care->damage_count && care->damage[i].blob != blob) {
        i++;
    }
    if (i < care->damage_count) {
        care->damage[i].retry |= retry;
    } else if (i < DAMAGE_MAX) {
        care->damage[care->damage_count++] = (struct damage){blob, retry};
        pthread_cond_broadcast(&care->work);
    } else {
        care->damage_lost++;
    }
    pthread_mutex_unlock(&care->lock);
}

/* The first report that can be queued. One of a blob that is being repaired
 * waits: the repair may have read the shard when it was good, and its end
 * removes the entry that would stand for the report. */
static bool next_damage(struct care *care, struct finding *finding)
{
    bool found = false;

    pthread_mutex_lock(&care->lock);
    for (unsigned i = 0; i < care->damage_count && !found; i++) {
        const struct damage *damage = &care->damage[i];

        if (!damage->retry || !heal_is_active(care, damage->blob)) {
            *finding =
                (struct finding){.blob = damage->blob, .retry = damage->retry};
            found = true;
        }
    }
    pthread_mutex_unlock(&care->lock);
    return found;
}

/* A report leaves the list only when it is in the queue (H3). False: some are
 * left. */
static bool queue_damage(struct care *care, struct watch *watch)
{
    struct finding finding;
    char what[40];
    bool none_left;

    while (next_damage(care, &finding)) {
        unsigned i = 0;
        bool current;
        int error;

        error = queue_blob(care, &finding, NULL, &current);
        snprintf(what, sizeof(what), "queueing damaged blob %016llx",
                 (unsigned long long)finding.blob);
        log_failing(&watch->damage_failing, what, error);
        if (error != 0) {
            return false;
        }
        audit_add(care, shards_bad, current);
        pthread_mutex_lock(&care->lock);
        while (care->damage[i].blob != finding.blob) {
            i++;
        }
        care->damage[i] = care->damage[--care->damage_count];
        pthread_mutex_unlock(&care->lock);
    }
    pthread_mutex_lock(&care->lock);
    none_left = care->damage_count == 0;
    pthread_mutex_unlock(&care->lock);
    return none_left;
}

/* --- drives ----------------------------------------------------------------*/
static uint64_t now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

/* Drives that were usable, and are not, or are others; one that was removed is
 * not lost. */
static unsigned count_lost(const struct drive_stamp *before,
                           const struct drive_stamp *now)
{
    unsigned lost = 0;

    for (size_t i = 0; i < before->size && i < now->size;
         i += DRIVE_STAMP_SIZE) {
        lost +=
            before->bytes[i] == DRIVE_OK && now->bytes[i] != DRIVE_REMOVED &&
            memcmp(before->bytes + i, now->bytes + i, DRIVE_STAMP_SIZE) != 0;
    }
    return lost;
}

/* What waits is tried again: when drives have changed, when somebody says so,
 * and ever more rarely, since a drive may have refused for a moment only. */
static void retry(struct care *care, struct watch *watch, bool changed)
{
    int error;

    pthread_mutex_lock(&care->lock);
    care->changes += changed;
    changed |= care->retry;
    care->retry = false;
    pthread_mutex_unlock(&care->lock);
    if (!changed && now_ms() < watch->retry_at_ms) {
        return;
    }
    watch->retry_ms = changed ? RETRY_MS : 2 * watch->retry_ms;
    if (watch->retry_ms > RETRY_MOST) {
        watch->retry_ms = RETRY_MOST;
    }
    watch->retry_at_ms = now_ms() + watch->retry_ms;
    error = queue_retry(care);
    log_failing(&watch->retry_failing, "queueing what waits", error);
    if (error != 0) {
        watch->retry_at_ms = now_ms();
    }
    pthread_mutex_lock(&care->lock);
    pthread_cond_broadcast(&care->work);
    pthread_mutex_unlock(&care->lock);
}

static void watch_drives(struct care *care, struct watch *watch)
{
    struct drive_stamp now;
    bool changed;

    for (unsigned i = 0; i < care->options.drive_count; i++) {
        struct drive_usage usage;

        drive_usage(care->options.drives[i], &usage); /* it looks (X5) */
    }
    care_stamp(care, &now);
    changed = now.size != care->seen.size ||
              memcmp(now.bytes, care->seen.bytes, now.size) != 0;
    if (changed) {
        audit_add(care, drives_lost, count_lost(&care->seen, &now));
        care->seen = now;
    }
    retry(care, watch, changed);
}

/* --- the queue -------------------------------------------------------------*/
/* The queue is counted now and then, the more rarely the longer it is. */
static void watch_queue(struct care *care, struct watch *watch)
{
    const uint64_t began = now_ms();
    const uint64_t passed = began - watch->ticked_ms;
    uint64_t spent;

    if (began >= watch->count_again_ms &&
        queue_count(care, &watch->ledger) == 0) {
        spent = now_ms() - began;
        watch->count_again_ms = began + spent * COUNT_MAX;
    }
    audit_add(care, watched_ms, passed);
    audit_add(care, drive_ms, passed * care->seen.drives);
    if (watch->ledger.queued > 0) {
        audit_add(care, reduced_ms, passed);
        audit_add(care, reduced_blob_ms, passed * watch->ledger.queued);
        audit_add(care, critical_blob_ms, passed * watch->ledger.left[0]);
    }
    watch->ticked_ms = began;
}

void *watch_run(void *argument)
{
    struct care *care = argument;
    struct watch watch = {.ticked_ms = now_ms(), .saved_ms = now_ms()};

    care_thread_begin("care");
    while (!atomic_load(&care->stopping)) {
        const bool queued = queue_damage(care, &watch);

        watch_drives(care, &watch);
        watch_queue(care, &watch);
        if (now_ms() - watch.saved_ms >= SAVE_MS) {
            watch.saved_ms = now_ms();
            log_failing(&watch.save_failing, "saving the books of the day",
                        audit_save(care));
        }
        pthread_mutex_lock(&care->lock);
        if (!queued || (care->damage_count == 0 && !care->retry)) {
            care_wait(care, TICK_MS);
        }
        pthread_mutex_unlock(&care->lock);
    }
    (void)queue_damage(care, &watch);
    return NULL;
}
