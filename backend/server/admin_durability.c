/*
 * What durability follows from what was audited: s3ctl durability.
 */
#include "server/admin.h"

#define DAY_MS (24.0 * 3600 * 1000)
#define YEAR_D 365.25

/* What is infinite, as nothing was seen, is left out. */
static void set(json_t *object, const char *name, double value)
{
    json_object_set_new(object, name, json_real(value));
}

static void count(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *seen_json(const Meta__Audit *seen)
{
    json_t *object = json_object();
    set(object, "watched_days", (double)seen->watched_ms / DAY_MS);
    set(object, "drive_days", (double)seen->drive_ms / DAY_MS);
    count(object, "drives_lost", seen->drives_lost);
    count(object, "bytes_verified", seen->bytes_verified);
    count(object, "shards_verified", seen->shards_verified);
    count(object, "shards_damaged", seen->shards_damaged);
    count(object, "scrub_passes", seen->passes);
    count(object, "shards_repaired", seen->shards_repaired);
    count(object, "blobs_settled", seen->blobs_settled);
    count(object, "blobs_unreadable", seen->blobs_unreadable);
    set(object, "reduced_hours", (double)seen->reduced_ms / DAY_MS * 24);
    set(object, "reduced_blob_hours",
        (double)seen->reduced_blob_ms / DAY_MS * 24);
    set(object, "critical_blob_hours",
        (double)seen->critical_blob_ms / DAY_MS * 24);
    return object;
}

static json_t *rates_json(const struct durability_rates *rates)
{
    json_t *object = json_object();
    set(object, "drive_losses_per_year", rates->drive_losses);
    set(object, "shard_damages_per_year", rates->damages);
    set(object, "repair_hours", rates->repair * YEAR_D * 24);
    set(object, "scrub_days", rates->scrub * YEAR_D);
    return object;
}

static json_t *profiles_json(const struct durability *durability)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < DURABILITY_PROFILES; i++) {
        const struct durability_profile *profile = &durability->profiles[i];
        json_t *object =
            json_pack("{s:i,s:i}", "k", (int)profile->k, "m", (int)profile->m);
        set(object, "nines", profile->nines);
        set(object, "nines_at_least", profile->nines_at_least);
        json_array_append_new(list, object);
    }
    return list;
}

static int report(struct admin_call *call)
{
    struct durability intervals[CARE_INTERVALS];
    const int error = care_durability(call->server->care, intervals);
    if (error != 0) {
        return error;
    }
    json_t *list = json_array();
    for (unsigned i = 0; i < CARE_INTERVALS; i++) {
        json_array_append_new(
            list,
            json_pack("{s:i,s:o,s:o,s:o,s:o}", "days", (int)intervals[i].days,
                      "seen", seen_json(&intervals[i].seen), "likely",
                      rates_json(&intervals[i].likely), "worst",
                      rates_json(&intervals[i].worst), "profiles",
                      profiles_json(&intervals[i])));
    }
    return admin_reply(call, json_pack("{s:o}", "intervals", list));
}

const struct admin_command admin_durability_commands[] = {
    {.name = "durability", .run = report},
    {.name = NULL},
};
