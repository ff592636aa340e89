/*
 * The queue of blobs that are short of shards, most endangered first. A blob
 * has one entry: a finding replaces one that says less.
 */
#include "care/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_BATCH 1000
#define LOOK_MAX    256 /* entries, when one of them is of a deleted blob */

static struct meta_heal entry_of(const struct finding *finding)
{
    struct meta_heal entry = {.blob = finding->blob};

    if (finding->losses_left < 0) {
        entry.losses_left = META_HEAL_UNREADABLE;
        entry.waits = true;
    } else {
        entry.losses_left = (unsigned)finding->losses_left;
    }
    return entry;
}

/* Whether the queue says already what the finding does. */
static bool says_as_much(const struct meta_heal *known,
                         const struct meta_heal *found, bool retry)
{
    if (found->losses_left == META_HEAL_UNREADABLE) {
        return known->losses_left == META_HEAL_UNREADABLE;
    }
    if (known->losses_left == META_HEAL_UNREADABLE) {
        return !retry;
    }
    return known->losses_left <= found->losses_left && !(known->waits && retry);
}

unsigned queue_tell(struct care *care, struct meta_batch *batch, uint64_t blob,
                    bool lost)
{
    return care->options.tell != NULL
               ? care->options.tell(care->options.context, batch, blob, lost)
               : 0;
}

int queue_finding(struct care *care, struct meta_batch *batch,
                  const struct finding *finding, unsigned *puts)
{
    const struct meta_heal entry = entry_of(finding);
    struct meta_heal known;
    int error =
        meta_find_heal(care->options.meta, finding->blob, finding->m, &known);
    bool changed = error == -ENOENT;

    *puts = 0;
    if (error == 0 && !says_as_much(&known, &entry, finding->retry)) {
        meta_dequeue_heal(batch, &known);
        changed = true;
    }
    if (error != 0 && error != -ENOENT) {
        return error;
    }
    if (changed) {
        meta_queue_heal(batch, &entry);
        *puts = 1;
        if (entry.losses_left == META_HEAL_UNREADABLE) {
            *puts += queue_tell(care, batch, entry.blob, true);
        }
    }
    return 0;
}

/* Under the blob's lock. */
static int queue_current(struct care *care, const struct finding *finding,
                         const Layout__Layout *examined,
                         const Layout__Layout *now, bool *current)
{
    struct finding found = *finding;
    struct meta_batch *batch;
    unsigned puts = 0;
    int error;

    if (examined != NULL && !blob_layouts_equal(examined, now)) {
        return 0;
    }
    *current = true;
    if (examined == NULL) {
        found.m = now->m;
        found.losses_left = (int)blob_losses_left(now) - 1;
        if (found.losses_left < 0 && now->m > 0) {
            found.losses_left = 0; /* the repair sees what is so */
        }
    }
    batch = meta_batch_new(care->options.meta);
    error = queue_finding(care, batch, &found, &puts);
    if (error == 0 && puts > 0) {
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    return error;
}

int queue_blob(struct care *care, const struct finding *finding,
               const Layout__Layout *examined, bool *current)
{
    struct meta *meta = care->options.meta;
    struct arena *arena = arena_new();
    Meta__Blob *record;
    int error;

    *current = false;
    meta_blob_lock(meta, finding->blob);
    error = meta_get_blob(meta, arena, finding->blob, &record);
    if (error == 0 && record->layout != NULL) {
        error = queue_current(care, finding, examined, record->layout, current);
    }
    meta_blob_unlock(meta, finding->blob);
    arena_free(arena);
    if (error == 0 && *current) {
        pthread_mutex_lock(&care->lock);
        pthread_cond_broadcast(&care->work);
        pthread_mutex_unlock(&care->lock);
    }
    return error == -ENOENT ? 0 : error;
}

int queue_count(struct care *care, struct care_ledger *ledger)
{
    struct meta_heal_scan *scan = meta_scan_heal(care->options.meta);
    struct meta_heal entry;
    int error;

    *ledger = (struct care_ledger){0};
    while ((error = meta_heal_scan_next(scan, &entry)) == 0) {
        ledger->queued++;
        ledger->waiting += entry.waits;
        if (entry.losses_left <= CARE_LOSSES_MAX) {
            ledger->left[entry.losses_left]++;
        } else {
            ledger->unreadable++;
        }
    }
    meta_heal_scan_free(scan);
    return error == -ENOENT ? 0 : error;
}

static bool blob_is_deleted(struct care *care, uint64_t blob)
{
    struct arena *arena = arena_new();
    Meta__Blob *record;
    int error = meta_get_blob(care->options.meta, arena, blob, &record);

    arena_free(arena);
    return error == -ENOENT;
}

int queue_drop_deleted(struct care *care)
{
    struct meta_batch *batch = meta_batch_new(care->options.meta);
    struct meta_heal_scan *scan = meta_scan_heal(care->options.meta);
    struct meta_heal entry;
    unsigned dropped = 0;
    int error = 0;

    for (unsigned i = 0; i < LOOK_MAX && error == 0; i++) {
        error = meta_heal_scan_next(scan, &entry);
        if (error == 0 && blob_is_deleted(care, entry.blob)) {
            meta_dequeue_heal(batch, &entry);
            dropped++;
        }
    }
    meta_heal_scan_free(scan);
    if (error == 0 || error == -ENOENT) {
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    audit_add(care, blobs_settled, error == 0 ? dropped : 0);
    return error;
}

/* The next entries that wait, from *entry on. */
static int retry_some(struct care *care, struct meta_heal *entry)
{
    struct meta_batch *batch = meta_batch_new(care->options.meta);
    int error = 0, committed = 0;

    for (unsigned i = 0; i < RETRY_BATCH && error == 0; i++) {
        error = meta_next_heal(care->options.meta, entry);
        if (error == 0) {
            struct meta_heal again = {.blob = entry->blob};

            if (entry->losses_left != META_HEAL_UNREADABLE) {
                again.losses_left = entry->losses_left;
            }
            meta_dequeue_heal(batch, entry);
            meta_queue_heal(batch, &again);
            entry->blob++;
        }
    }
    if (error == 0 || error == -ENOENT) {
        committed = meta_commit(batch);
    }
    meta_batch_free(batch);
    return committed != 0 ? committed : error;
}

int queue_retry(struct care *care)
{
    struct meta_heal entry = {.waits = true};
    int error = 0;

    while (error == 0 && !atomic_load(&care->stopping)) {
        error = retry_some(care, &entry);
    }
    return error == -ENOENT ? 0 : error;
}
