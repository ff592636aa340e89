/* Which extents go: those with nothing live, then those with the least. */
#include "care/reclaim_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct survey {
    struct reclaim *reclaim;
    unsigned drive;
    struct victim *victims;
    size_t count, room;
    uint64_t held_below;                       /* number of an extent */
    uint64_t extents, bytes, live, busy, held; /* of all drives */
};

/* --- looking ---------------------------------------------------------------*/
/* True if `live` is so little of the extent that it is worth moving. */
static bool worth_moving(const struct reclaim *reclaim, uint64_t size,
                         uint64_t live)
{
    return live * 100 < size * reclaim->options.live_percent;
}

static void add_victim(struct survey *survey, const struct victim *victim)
{
    if (survey->count == survey->room) {
        survey->room = survey->room == 0 ? 64 : 2 * survey->room;
        survey->victims =
            xrealloc(survey->victims, survey->room * sizeof(*survey->victims));
    }
    survey->victims[survey->count++] = *victim;
}

static int look_at(void *context, uint64_t extent)
{
    struct survey *survey = context;
    struct reclaim *reclaim = survey->reclaim;
    struct drive *drive = reclaim->options.drives[survey->drive];
    int64_t live = count_live(reclaim, survey->drive, extent);
    struct victim victim = {.drive = survey->drive, .extent = extent};
    struct extent_look look;

    if (atomic_load(&reclaim->stopping)) {
        return -ECANCELED;
    }
    if (drive_extent_look(drive, extent, &look) != 0) {
        return 0; /* what is wrong shows elsewhere */
    }
    victim.size = look.size;
    victim.live = live > 0 ? (uint64_t)live : 0;
    survey->extents++;
    survey->bytes += victim.size;
    survey->live += victim.live;
    if (extent_number(extent) < survey->held_below) {
        survey->held++; /* C6 */
        return 0;
    }
    if (!look.sealed && worth_moving(reclaim, victim.size, victim.live) &&
        victim.size >= victim.live + reclaim->options.seal_bytes) {
        drive_seal(drive, extent);
        look.sealed = true;
    }
    if (!look.sealed ||
        (look.ours && !count_settled(reclaim, survey->drive, extent))) {
        survey->busy++;
    } else if (victim.live == 0 ||
               (!drive_draining(drive) && /* rebalance empties that */
                worth_moving(reclaim, victim.size, victim.live))) {
        add_victim(survey, &victim);
    }
    return 0;
}

/* Ascending by the share that is live. */
static int compare(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    const double left = (double)x->live * (double)y->size;
    const double right = (double)y->live * (double)x->size;

    return (left > right) - (left < right);
}

/* What the record says; if it cannot be read, all of them. */
static uint64_t held_below(struct reclaim *reclaim)
{
    struct arena *arena = arena_new();
    Meta__Cluster *record;
    uint64_t below = UINT64_MAX;

    if (meta_get_cluster(reclaim->options.meta, arena, &record) == 0) {
        below = record->held_extents;
    }
    arena_free(arena);
    return below;
}

static int survey_drives(struct reclaim *reclaim, struct survey *survey)
{
    *survey =
        (struct survey){.reclaim = reclaim, .held_below = held_below(reclaim)};
    for (unsigned i = 0; i < reclaim->options.drive_count; i++) {
        int error;

        survey->drive = i;
        error = drive_extents(reclaim->options.drives[i], look_at, survey);
        if (error == -ECANCELED) {
            return error;
        }
    }
    if (survey->count > 0) {
        qsort(survey->victims, survey->count, sizeof(*survey->victims),
              compare);
    }
    pthread_mutex_lock(&reclaim->lock);
    reclaim->status.extents = survey->extents;
    reclaim->status.bytes = survey->bytes;
    reclaim->status.live_bytes = survey->live;
    reclaim->status.extents_busy = survey->busy;
    reclaim->status.extents_held = survey->held;
    pthread_mutex_unlock(&reclaim->lock);
    return 0;
}

/* --- unlinking -------------------------------------------------------------*/
static int check_id(void *context, const struct drive_record *record)
{
    const uint64_t *next = context;

    return record->blob >= *next ? -ESTALE : 0;
}

/* Blobs that this metadata never named: it is older than the drive, or not
 * the drive's. What it says is garbage may be all that there is. */
static int check_age(struct reclaim *reclaim, const struct victim *victim)
{
    uint64_t next = meta_next_id(reclaim->options.meta);
    int error = drive_records(reclaim->options.drives[victim->drive],
                              victim->extent, check_id, &next);

    if (error == -ESTALE) {
        log_error("drive %u: extent %llx holds blobs that the metadata has "
                  "never named: it is left alone",
                  victim->drive, (unsigned long long)victim->extent);
    }
    return error;
}

int remove_if_dead(struct reclaim *reclaim, const struct victim *victim)
{
    int error;

    if (count_live(reclaim, victim->drive, victim->extent) != 0) {
        return 0;
    }
    error = check_age(reclaim, victim);
    if (error != 0) {
        return error;
    }
    blob_retire_extents(reclaim->options.blobs);
    error = drive_remove_extent(reclaim->options.drives[victim->drive],
                                victim->extent);
    if (error != 0) {
        return error;
    }
    count_forget(reclaim, victim->drive, victim->extent);
    pthread_mutex_lock(&reclaim->lock);
    reclaim->status.extents--;
    reclaim->status.bytes -= victim->size;
    reclaim->status.extents_removed++;
    reclaim->status.bytes_removed += victim->size;
    pthread_mutex_unlock(&reclaim->lock);
    log_debug("drive %u: extent %llx is unlinked, %llu bytes", victim->drive,
              (unsigned long long)victim->extent,
              (unsigned long long)victim->size);
    return 0;
}

static void say(const struct victim *victim, int error)
{
    if (error != -EBUSY && error != -ESTALE) {
        log_warn("drive %u: extent %llx is not reclaimed: %s", victim->drive,
                 (unsigned long long)victim->extent, strerror(-error));
    }
}

/* What is dead first: it makes room for what is moved. */
static int reclaim_victims(struct reclaim *reclaim, const struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        const struct victim *victim = &survey->victims[i];
        int error = 0;

        if (atomic_load(&reclaim->stopping)) {
            return -ECANCELED;
        }
        if (victim->live > 0) {
            error = empty_extent(reclaim, victim);
        }
        if (error == 0) {
            error = remove_if_dead(reclaim, victim);
        }
        if (error == -ECANCELED) {
            return error;
        }
        if (error != 0) {
            say(victim, error);
        }
    }
    return 0;
}

int reclaim_extents(struct reclaim *reclaim)
{
    struct survey survey;
    int error = survey_drives(reclaim, &survey);

    if (error == 0) {
        error = reclaim_victims(reclaim, &survey);
    }
    free(survey.victims);
    return error;
}
