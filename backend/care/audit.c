/*
 * The books of each day, and what durability follows from them.
 */
#include "care/private.h"

#include <errno.h>
#include <math.h>

#define DAY_MS (24u * 3600 * 1000)

static uint32_t today(void)
{
    return (uint32_t)(clock_wall_ms() / DAY_MS);
}

static void audit_sum(Meta__Audit *into, const Meta__Audit *from)
{
    into->bytes_verified += from->bytes_verified;
    into->shards_verified += from->shards_verified;
    into->shards_bad += from->shards_bad;
    into->shards_repaired += from->shards_repaired;
    into->bytes_repaired += from->bytes_repaired;
    into->blobs_repaired += from->blobs_repaired;
    into->blobs_unreadable += from->blobs_unreadable;
    into->drives_lost += from->drives_lost;
    into->watched_ms += from->watched_ms;
    into->reduced_ms += from->reduced_ms;
    into->reduced_blob_ms += from->reduced_blob_ms;
    into->critical_blob_ms += from->critical_blob_ms;
    into->drive_ms += from->drive_ms;
    into->shards_damaged += from->shards_damaged;
    into->blobs_settled += from->blobs_settled;
    into->passes += from->passes;
}

static int audit_read(struct care *care, struct arena *arena, uint32_t day,
                      const Meta__Audit *more, Meta__Audit **audit)
{
    int error = meta_get_audit(care->options.meta, arena, day, audit);

    if (error == -ENOENT) {
        *audit = arena_zalloc(arena, sizeof(**audit));
        meta__audit__init(*audit);
        error = 0;
    }
    if (error == 0) {
        audit_sum(*audit, more);
    }
    return error;
}

int audit_today(struct care *care, struct arena *arena, Meta__Audit **audit)
{
    int error;

    pthread_mutex_lock(&care->audit.lock);
    error = audit_read(care, arena, today(), &care->audit.day, audit);
    pthread_mutex_unlock(&care->audit.lock);
    return error;
}

int audit_save(struct care *care)
{
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(care->options.meta);
    const uint32_t day = today(); /* of what is read and what is written */
    Meta__Audit *sum;
    int error = 0;

    pthread_mutex_lock(&care->audit.lock);
    if (care->audit.dirty) {
        error = audit_read(care, arena, day, &care->audit.day, &sum);
        if (error == 0) {
            meta_put_audit(batch, day, sum);
            error = meta_commit(batch);
        }
        if (error == 0) {
            meta__audit__init(&care->audit.day);
            care->audit.dirty = false;
        }
    }
    pthread_mutex_unlock(&care->audit.lock);
    meta_batch_free(batch);
    arena_free(arena);
    return error;
}

/* --- durability ------------------------------------------------------------*/
/* Adds the days before `day` that are less than `days` ago. */
static int sum_days(struct care *care, uint32_t day, unsigned from,
                    unsigned days, Meta__Audit *sum)
{
    int error = 0;

    for (unsigned i = from; i < days && i <= day && error == 0; i++) {
        struct arena *arena = arena_new();
        Meta__Audit *seen;

        error = meta_get_audit(care->options.meta, arena, day - i, &seen);
        if (error == 0) {
            audit_sum(sum, seen);
        } else if (error == -ENOENT) {
            error = 0;
        }
        arena_free(arena);
    }
    return error;
}

int care_durability(struct care *care,
                    struct durability intervals[CARE_INTERVALS])
{
    static const unsigned days[CARE_INTERVALS] = {7, 30, 365};
    struct durability_setting setting = {
        .scrub_period_ms = care->options.scrub_period_s * 1000,
    };
    struct arena *arena = arena_new();
    struct care_ledger ledger;
    Meta__Audit *seen;
    struct drive_stamp stamp;
    unsigned summed = 1; /* days */
    int error = queue_count(care, &ledger);

    care_stamp(care, &stamp);
    setting.drives = stamp.drives;
    setting.queued = ledger.queued;
    if (error == 0) {
        error = audit_today(care, arena, &seen);
    }
    for (unsigned i = 0; i < CARE_INTERVALS && error == 0; i++) {
        error = sum_days(care, today(), summed, days[i], seen);
        summed = days[i];
        durability_of(seen, &setting, &intervals[i]);
        intervals[i].days = days[i];
    }
    arena_free(arena);
    return error;
}
