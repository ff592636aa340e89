/*
 * The thread that verifies every byte: one blob after the other in the order
 * of their ids, then the references between records. Its place is saved now
 * and then, so that a restart goes on there.
 */
#include "care/private.h"

#include <errno.h>
#include <string.h>

#define IDLE_MS    1000
#define ERROR_MS   10000
#define SAVE_MS    30000
#define RATE_LEAST (1u << 20) /* bytes a second */

/* --- the record ------------------------------------------------------------*/
static void name_dangling(struct care *care)
{
    care->scrub.dangling_objects = (ProtobufCBinaryData){
        care->dangling_objects.size, care->dangling_objects.data};
}

int scrub_load(struct care *care)
{
    struct arena *arena = arena_new();
    Meta__Scrub *saved;
    int error = meta_get_scrub(care->options.meta, arena, &saved);

    meta__scrub__init(&care->scrub);
    if (error == 0) {
        care->scrub = *saved;
        care->scrub.base.n_unknown_fields = 0;
        if (saved->walked.len > sizeof(care->walked)) {
            care->scrub.walked.len = 0;
        } else if (saved->walked.len > 0) {
            memcpy(care->walked, saved->walked.data, saved->walked.len);
        }
    }
    care->scrub.walked.data = care->walked;
    buffer_append(&care->dangling_objects, care->scrub.dangling_objects.data,
                  care->scrub.dangling_objects.len);
    name_dangling(care);
    arena_free(arena);
    return error == -ENOENT ? 0 : error;
}

int scrub_save(struct care *care)
{
    struct meta_batch *batch = meta_batch_new(care->options.meta);
    int error;

    pthread_mutex_lock(&care->lock);
    meta_put_scrub(batch, &care->scrub);
    pthread_mutex_unlock(&care->lock);
    error = meta_commit(batch);
    meta_batch_free(batch);
    return error;
}

/* --- when ------------------------------------------------------------------*/
/* Under the lock. */
static bool was_walked(const struct care *care, const struct drive_stamp *stamp)
{
    return care->scrub.walked.len == stamp->size &&
           memcmp(care->walked, stamp->bytes, stamp->size) == 0;
}

/* Whether blobs are to be compared with the drives: these are others than the
 * last time, or those who were writing then have ended. */
static bool walk_is_due(struct care *care, const struct drive_stamp *stamp)
{
    const uint64_t oldest = blob_intent_oldest(care->options.blobs);
    bool due;

    pthread_mutex_lock(&care->lock);
    due = !was_walked(care, stamp) ||
          (care->scrub.walk_again && oldest >= care->walk_again_at);
    pthread_mutex_unlock(&care->lock);
    return due;
}

bool scrub_interrupted(struct care *care)
{
    struct drive_stamp stamp;
    bool told;

    pthread_mutex_lock(&care->lock);
    told = care->scrub_restart || care->scrub_stopped;
    pthread_mutex_unlock(&care->lock);
    if (told || atomic_load(&care->stopping)) {
        return true;
    }
    care_stamp(care, &stamp);
    return walk_is_due(care, &stamp);
}

/* So fast that what the drives hold is read within the period. */
static uint64_t needed_rate(const struct care *care)
{
    uint64_t used = 0, rate;

    for (unsigned i = 0; i < care->options.drive_count; i++) {
        struct drive_usage usage = {0};

        drive_usage(care->options.drives[i], &usage);
        used += usage.total - usage.free;
    }
    rate = used / (care->options.scrub_period_s + 1);
    rate = rate > RATE_LEAST ? rate : RATE_LEAST;
    return rate < care->options.scrub_rate ? rate : care->options.scrub_rate;
}

static void pass_begin(struct care *care)
{
    Meta__Scrub *scrub = &care->scrub;

    scrub->started_ms = clock_wall_ms();
    scrub->cursor = scrub->blobs = scrub->bytes = 0;
    scrub->shards_bad = scrub->dangling = 0;
    scrub->blobs_done = false;
    care->scrub_end = 0;
    care->scrub_lost = care->damage_lost;
}

/* Of a pass that began later than now nobody knows how long ago it was: the
 * clock was ahead then. */
static bool period_is_over(const struct care *care)
{
    const uint64_t period_ms = care->options.scrub_period_s * 1000;
    const uint64_t began_ms = care->scrub.completed_started_ms;
    const uint64_t now_ms = clock_wall_ms();

    return now_ms < began_ms || now_ms - began_ms >= period_ms;
}

/* True while there is a pass to work on. */
static bool pass_is_due(struct care *care)
{
    Meta__Scrub *scrub = &care->scrub;
    bool due;

    pthread_mutex_lock(&care->lock);
    if (care->scrub_restart) {
        care->scrub_restart = false;
        care->scrub_forced = true;
        pass_begin(care);
    } else if (!care->scrub_stopped && scrub->started_ms == 0 &&
               (scrub->passes == 0 || period_is_over(care))) {
        pass_begin(care);
    }
    due = !care->scrub_stopped && scrub->started_ms != 0;
    pthread_mutex_unlock(&care->lock);
    return due;
}

/* --- one blob --------------------------------------------------------------*/
static bool spend(void *context, uint64_t bytes)
{
    struct care *care = context;

    return pace_take(&care->scrub_pace, bytes);
}

static void note_verified(struct care *care, const struct blob_health *health,
                          unsigned bad)
{
    pthread_mutex_lock(&care->lock);
    care->scrub.blobs++;
    care->scrub.bytes += health->bytes;
    care->scrub.shards_bad += bad;
    pthread_mutex_unlock(&care->lock);
    audit_add(care, bytes_verified, health->bytes);
    audit_add(care, shards_verified, health->shards);
    audit_add(care, shards_bad, bad);
}

static int verify(struct care *care, uint64_t blob,
                  const Layout__Layout *layout)
{
    const struct blob_pace pace = {spend, care};
    struct blob_health health;
    bool current = false;
    int error = blob_verify(care->options.blobs, layout, &pace, &health);

    if (error == -EBADMSG) { /* no layout */
        health = (struct blob_health){.bad = 1, .losses_left = -1};
        error = 0;
    }
    if (error == 0 && health.bad > 0) {
        const struct finding finding = {blob, layout->m, health.losses_left,
                                        true};

        error = queue_blob(care, &finding, layout, &current);
        audit_add(care, blobs_unreadable, current && health.losses_left < 0);
    }
    if (error == 0) {
        note_verified(care, &health, current ? health.bad : 0);
    }
    return error;
}

static void note_damaged_record(struct care *care)
{
    pthread_mutex_lock(&care->lock);
    care->scrub.dangling++;
    pthread_mutex_unlock(&care->lock);
}

/* --- the pass --------------------------------------------------------------*/
/* Blobs that are written meanwhile are for the next pass: writers may be faster
 * than the scrub, and it would never end. */
static bool is_past_end(struct care *care, uint64_t blob)
{
    if (care->scrub_end == 0) { /* only this thread sets it */
        care->scrub_end = meta_next_id(care->options.meta);
    }
    return blob >= care->scrub_end;
}

static int verify_next(struct care *care)
{
    struct arena *arena = arena_new();
    uint64_t blob = care->scrub.cursor; /* only this thread moves it */
    Meta__Blob *record;
    int error = meta_next_blob(care->options.meta, arena, blob, &blob, &record);

    if ((error == 0 || error == -EBADMSG) && is_past_end(care, blob)) {
        error = -ENOENT;
    }
    if (error == -EBADMSG && blob > care->scrub.cursor) {
        log_error("the record of blob %llx is damaged",
                  (unsigned long long)blob);
        note_damaged_record(care);
        error = 0;
    } else if (error == 0) {
        error = record->layout != NULL ? verify(care, blob, record->layout) : 0;
    }
    pthread_mutex_lock(&care->lock);
    if (error == 0) {
        care->scrub.cursor = blob;
    } else if (error == -ENOENT) {
        care->scrub.blobs_done = true;
        error = 0;
    }
    pthread_mutex_unlock(&care->lock);
    arena_free(arena);
    return error;
}

static int pass_end(struct care *care)
{
    Meta__Scrub *scrub = &care->scrub;
    struct dangling dangling = {0};
    int error = find_dangling(care, &dangling);

    if (error != 0) {
        buffer_free(&dangling.objects);
        return error;
    }
    pthread_mutex_lock(&care->lock);
    scrub->dangling += dangling.count;
    buffer_free(&care->dangling_objects);
    care->dangling_objects = dangling.objects;
    name_dangling(care);
    scrub->completed_ms = clock_wall_ms();
    scrub->completed_started_ms = scrub->started_ms;
    scrub->completed_blobs = scrub->blobs;
    scrub->completed_bytes = scrub->bytes;
    scrub->completed_shards_bad = scrub->shards_bad;
    scrub->completed_dangling = scrub->dangling;
    scrub->passes++;
    scrub->started_ms = 0;
    care->damage_lost -= care->scrub_lost;
    care->scrub_lost = 0;
    care->scrub_forced = false;
    pthread_mutex_unlock(&care->lock);
    audit_add(care, passes, 1);
    log_info("scrub: %llu blobs, %llu bytes verified; %llu shards bad, %llu "
             "references dangle",
             (unsigned long long)scrub->blobs, (unsigned long long)scrub->bytes,
             (unsigned long long)scrub->shards_bad,
             (unsigned long long)scrub->dangling);
    return scrub_save(care);
}

/* Who begins to write after the drives were as stamped chooses none that is
 * away. What others commit behind the walk is for another one (H1), which needs
 * no third: all who are under way then began after the first. */
static int walk(struct care *care, const struct drive_stamp *stamp)
{
    const uint64_t next = blob_intent_next(care->options.blobs);
    const bool alone = blob_intent_oldest(care->options.blobs) >= next;
    int error;

    pthread_mutex_lock(&care->lock);
    care->walking = true;
    pthread_mutex_unlock(&care->lock);
    error = walk_blobs(care, stamp);
    pthread_mutex_lock(&care->lock);
    care->walking = false;
    if (error == 0) {
        care->scrub.walk_again = !alone && !was_walked(care, stamp);
        memcpy(care->walked, stamp->bytes, stamp->size);
        care->scrub.walked.len = stamp->size;
        care->walk_again_at = next;
    }
    pthread_mutex_unlock(&care->lock);
    return error == 0 ? scrub_save(care) : error;
}

static int pass_step(struct care *care, uint64_t *saved_us)
{
    bool forced;
    int error;

    pthread_mutex_lock(&care->lock);
    forced = care->scrub_forced;
    pthread_mutex_unlock(&care->lock);
    pace_set_rate(&care->scrub_pace,
                  forced ? care->options.scrub_rate : needed_rate(care));
    error = care->scrub.blobs_done ? pass_end(care) : verify_next(care);
    if (error == 0 && clock_monotonic_us() - *saved_us > SAVE_MS * 1000ull) {
        *saved_us = clock_monotonic_us();
        error = scrub_save(care);
    }
    return error;
}

void *scrub_run(void *argument)
{
    struct care *care = argument;
    uint64_t saved_us = clock_monotonic_us();
    int failing = 0;

    care_thread_begin("scrub");
    while (!atomic_load(&care->stopping)) {
        struct drive_stamp stamp;
        unsigned rest_ms = 0;
        int error = 0;

        care_stamp(care, &stamp);
        if (walk_is_due(care, &stamp)) {
            error = walk(care, &stamp);
        } else if (pass_is_due(care)) {
            error = pass_step(care, &saved_us);
        } else {
            rest_ms = IDLE_MS;
        }
        log_failing(&failing, "scrub", error);
        if (error != 0 && error != -ECANCELED) {
            rest_ms = ERROR_MS;
        }
        if (rest_ms > 0) {
            pthread_mutex_lock(&care->lock);
            care_wait(care, rest_ms);
            pthread_mutex_unlock(&care->lock);
        }
    }
    return NULL;
}
