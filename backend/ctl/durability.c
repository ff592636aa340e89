/*
 * Durability as measured, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <math.h>
#include <stdio.h>

static double real(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return value != NULL ? json_number_value(value) : INFINITY;
}

static void print_seen(const json_t *seen)
{
    printf("  watched      %.2f days: %.1f drive-days observed, %lld drives "
           "lost\n",
           real(seen, "watched_days"), real(seen, "drive_days"),
           show_number(seen, "drives_lost"));
    printf("  verified     %lld bytes, %lld whole passes: %lld shards damaged, "
           "%lld rebuilt, %lld blobs unreadable\n",
           show_number(seen, "bytes_verified"),
           show_number(seen, "scrub_passes"),
           show_number(seen, "shards_damaged"),
           show_number(seen, "shards_repaired"),
           show_number(seen, "blobs_unreadable"));
    printf("  reduced      %.2f hours: %.2f blob-hours, %.2f of them without a "
           "loss to bear\n",
           real(seen, "reduced_hours"), real(seen, "reduced_blob_hours"),
           real(seen, "critical_blob_hours"));
}

static void print_rates(const json_t *rates)
{
    printf("  so, likely   %.4f losses a drive and year, %.2e damages a shard "
           "and year,\n"
           "               %.2f hours to repair, %.2f days between "
           "verifications\n",
           real(rates, "drive_losses_per_year"),
           real(rates, "shard_damages_per_year"), real(rates, "repair_hours"),
           real(rates, "scrub_days"));
}

static void print_profiles(const json_t *profiles)
{
    size_t i;
    const json_t *profile;
    json_array_foreach(profiles, i, profile)
    {
        printf("  %-12s %lld+%lld: %.1f nines a year likely; %.1f at least, by "
               "what was observed alone\n",
               i == 0 ? "small" : "large", show_number(profile, "k"),
               show_number(profile, "m"), real(profile, "nines"),
               real(profile, "nines_at_least"));
    }
}

void print_durability(const json_t *result, const char *argument)
{
    size_t i;
    const json_t *interval;
    (void)argument;
    json_array_foreach(json_object_get(result, "intervals"), i, interval)
    {
        printf("last %lld days\n", show_number(interval, "days"));
        print_seen(json_object_get(interval, "seen"));
        print_rates(json_object_get(interval, "likely"));
        print_profiles(json_object_get(interval, "profiles"));
    }
}
