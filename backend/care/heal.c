/*
 * The threads that repair. Each takes the first entry of the queue that nobody
 * else has; whatever comes of it, the entry is moved or removed by a commit.
 */
#include "care/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IDLE_MS      1000 /* degraded writes queue without a word to us */
#define ERROR_MS     1000
#define SAY_AGAIN_US 60000000u

bool heal_is_active(const struct care *care, uint64_t blob)
{
    for (unsigned i = 0; i < CARE_WORKERS_MAX; i++) {
        if (care->active[i] == blob) {
            return true;
        }
    }
    return false;
}

/* With the lock held. -ENOENT: all that is left waits or is being healed. */
static int take(struct care *care, unsigned number, struct meta_heal *entry)
{
    struct meta_heal_scan *scan = meta_scan_heal(care->options.meta);
    int error;

    do {
        error = meta_heal_scan_next(scan, entry);
    } while (error == 0 && !entry->waits && heal_is_active(care, entry->blob));
    meta_heal_scan_free(scan);
    if (error == 0 && entry->waits) {
        error = -ENOENT;
    }
    if (error == 0) {
        if (care->heal_began_us == 0) {
            care->heal_began_us = clock_monotonic_us();
            care->healed = care->healed_bytes = 0;
        }
        care->active[number] = entry->blob;
        care->active_count++;
    }
    return error;
}

/* What drives changed during the repair may be what it waits for now, and
 * others that waited were queued again before it did. */
static void give_back(struct care *care, unsigned number, unsigned changes)
{
    struct meta_heal first = {0};

    pthread_mutex_lock(&care->lock);
    care->retry |= care->changes != changes;
    care->active[number] = 0;
    care->active_count--;
    if (care->active_count == 0 &&
        (meta_next_heal(care->options.meta, &first) != 0 || first.waits)) {
        care->heal_began_us = 0;
    }
    pthread_cond_broadcast(&care->work);
    pthread_mutex_unlock(&care->lock);
}

static bool spend(void *context, uint64_t bytes)
{
    struct care *care = context;

    return pace_take(&care->heal_pace, bytes);
}

static int leave_queue(struct care *care, const struct meta_heal *entry)
{
    struct meta_batch *batch = meta_batch_new(care->options.meta);
    int error;

    meta_dequeue_heal(batch, entry);
    error = meta_commit(batch);
    meta_batch_free(batch);
    audit_add(care, blobs_settled, error == 0);
    return error;
}

/* Of a record that cannot be read, nothing can be rebuilt. */
static int set_aside(struct care *care, const struct meta_heal *entry)
{
    const struct meta_heal waits = {.blob = entry->blob,
                                    .losses_left = META_HEAL_UNREADABLE,
                                    .waits = true};
    struct meta_batch *batch = meta_batch_new(care->options.meta);
    int error;

    meta_dequeue_heal(batch, entry);
    meta_queue_heal(batch, &waits);
    queue_tell(care, batch, entry->blob, true);
    error = meta_commit(batch);
    meta_batch_free(batch);
    return error;
}

/* The entry that stands for what the repair left. */
static struct meta_heal entry_after(uint64_t blob,
                                    const struct blob_health *health)
{
    struct meta_heal entry = {.blob = blob, .waits = true};

    entry.losses_left = health->losses_left < 0 ? META_HEAL_UNREADABLE
                                                : (unsigned)health->losses_left;
    return entry;
}

/* Layout and queue in one commit (H1). */
static int commit_repair(struct care *care, const struct meta_heal *entry,
                         Meta__Blob *record, Layout__Layout *repaired,
                         const struct blob_repair *result)
{
    struct meta_batch *batch = meta_batch_new(care->options.meta);
    const Meta__Blob old = *record;
    int error;

    if (repaired != NULL) {
        record->layout = repaired;
        meta_replace_blob(batch, entry->blob, &old, record, repaired->m);
    }
    meta_dequeue_heal(batch, entry);
    if (result->after.bad > 0) {
        struct meta_heal again = entry_after(entry->blob, &result->after);

        meta_queue_heal(batch, &again);
    }
    if (result->after.losses_left < 0) {
        queue_tell(care, batch, entry->blob, true);
    } else if (repaired != NULL && result->after.bad == 0) {
        queue_tell(care, batch, entry->blob, false);
    }
    error = meta_commit(batch);
    meta_batch_free(batch);
    return error;
}

static void note_repair(struct care *care, const struct blob_repair *result)
{
    pthread_mutex_lock(&care->lock);
    care->healed += result->after.bad == 0;
    care->healed_bytes += result->bytes;
    pthread_mutex_unlock(&care->lock);
    audit_add(care, bytes_verified, result->before.bytes);
    audit_add(care, shards_verified, result->before.shards);
    audit_add(care, shards_damaged, result->before.damaged);
    audit_add(care, shards_repaired, result->shards);
    audit_add(care, bytes_repaired, result->bytes);
    audit_add(care, blobs_repaired,
              result->shards > 0 && result->after.bad == 0);
    audit_add(care, blobs_settled, result->after.bad == 0);
}

/* Puts the repaired layout in the place of the one it was made of (H2). */
static int finish(struct care *care, const struct meta_heal *entry,
                  const Layout__Layout *examined, Layout__Layout *repaired,
                  const struct blob_repair *result)
{
    struct meta *meta = care->options.meta;
    struct arena *arena = arena_new();
    Meta__Blob *record;
    int error;

    meta_blob_lock(meta, entry->blob);
    error = meta_get_blob(meta, arena, entry->blob, &record);
    if (error == -ENOENT) {
        error = leave_queue(care, entry); /* it was deleted meanwhile */
    } else if (error == 0 && record->layout != NULL &&
               blob_layouts_equal(record->layout, examined)) {
        error = commit_repair(care, entry, record, repaired, result);
        if (error == 0) {
            note_repair(care, result);
        }
    }
    meta_blob_unlock(meta, entry->blob);
    arena_free(arena);
    return error;
}

static int heal_record(struct care *care, const struct meta_heal *entry,
                       const Meta__Blob *record)
{
    const struct blob_pace pace = {spend, care};
    struct blob_intent intent = {0};
    Layout__Layout *repaired = NULL;
    struct blob_repair result;
    int error;

    if (record->layout == NULL) {
        return leave_queue(care, entry);
    }
    blob_intent_begin(care->options.blobs, &intent); /* B5 */
    error = blob_repair(care->options.blobs, record->layout, &pace, &repaired,
                        &result);
    if (error == -EBADMSG) { /* no layout: it stands for nothing readable */
        result = (struct blob_repair){.after = {.bad = 1, .losses_left = -1}};
        error = 0;
    }
    if (error == 0) {
        error = finish(care, entry, record->layout, repaired, &result);
    }
    blob_intent_end(care->options.blobs, &intent);
    layout__layout__free_unpacked(repaired, NULL);
    return error;
}

static int heal(struct care *care, const struct meta_heal *entry)
{
    struct arena *arena = arena_new();
    Meta__Blob *record;
    int error = meta_get_blob(care->options.meta, arena, entry->blob, &record);

    if (error == -ENOENT) {
        error = queue_drop_deleted(care);
    } else if (error == -EBADMSG) {
        error = set_aside(care, entry);
    } else if (error == 0) {
        error = heal_record(care, entry, record);
    }
    arena_free(arena);
    return error;
}

/* Where many fail alike one is enough, for some time. */
static bool was_said(const struct heal_failing *failing, int error)
{
    return error == failing->error &&
           clock_monotonic_us() - failing->said_us < SAY_AGAIN_US;
}

void heal_say(struct heal_failing *failing, uint64_t blob, int error)
{
    char what[40];

    if (blob != failing->blob) {
        if (error == 0 || error == -ECANCELED || was_said(failing, error)) {
            return;
        }
        *failing = (struct heal_failing){.blob = blob,
                                         .said_us = clock_monotonic_us()};
    }
    snprintf(what, sizeof(what), "healing blob %016llx",
             (unsigned long long)blob);
    log_failing(&failing->error, what, error);
}

void *heal_run(void *argument)
{
    struct worker *worker = argument;
    struct care *care = worker->care;
    struct heal_failing failing = {0};

    care_thread_begin("heal");
    while (!atomic_load(&care->stopping)) {
        struct meta_heal entry;
        unsigned changes;
        int error;

        pthread_mutex_lock(&care->lock);
        changes = care->changes;
        error = take(care, worker->number, &entry);
        if (error != 0) {
            care_wait(care, IDLE_MS);
        }
        pthread_mutex_unlock(&care->lock);
        if (error != 0) {
            continue;
        }
        error = heal(care, &entry);
        give_back(care, worker->number, changes);
        heal_say(&failing, entry.blob, error);
        if (error != 0 && error != -ECANCELED) {
            pthread_mutex_lock(&care->lock);
            care_wait(care, ERROR_MS);
            pthread_mutex_unlock(&care->lock);
        }
    }
    return NULL;
}
