/*
 * Drives, for people.
 */
#include "ctl/ctl.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "";
}

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_size(long long bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    printf(" %8.1f %-3s", value, units[unit]);
}

/* "0.2/3.1": median and 95th percentile in milliseconds. */
static void print_latency(const json_t *latency)
{
    char text[32] = "-";
    if (number(latency, "count") > 0) {
        snprintf(text, sizeof(text), "%.1f/%.1f",
                 (double)number(latency, "median_us") / 1000,
                 (double)number(latency, "p95_us") / 1000);
    }
    printf(" %12s", text);
}

/* Since when it is as it is, and why. */
static void print_condition(const json_t *drive)
{
    const time_t since = (time_t)(number(drive, "since") / 1000);
    const char *reason = text(drive, "reason");
    struct tm parts;
    char when[32] = "";
    if (gmtime_r(&since, &parts) != NULL) {
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &parts);
    }
    printf("      %s since %s UTC%s%s\n", text(drive, "state"), when,
           reason[0] != '\0' ? ": " : "", reason);
}

/* How far it is drained. */
static void print_drain(const json_t *drive)
{
    const json_t *drain = json_object_get(drive, "drain");
    const long long stuck = number(drain, "stuck_shards");
    if (json_is_true(json_object_get(drain, "empty"))) {
        printf("      it is empty: s3ctl drive remove %lld\n",
               number(drive, "index"));
        return;
    }
    if (json_object_get(drain, "shards") != NULL) {
        printf("      %lld shards are left,", number(drain, "shards"));
        print_size(number(drain, "bytes"));
        if (json_object_get(drain, "estimate_seconds") != NULL) {
            printf(", about %lld s to go", number(drain, "estimate_seconds"));
        }
        putchar('\n');
    }
    if (stuck > 0) {
        printf("      STUCK: no other drives may take %lld shards: they have "
               "others of the same\n      objects, or no room, and are too few "
               "for a code that bears as many losses.\n      They stay until "
               "there is another drive\n",
               stuck);
    }
}

void print_drained(const json_t *result, const char *argument)
{
    printf("What is on drive %s goes to other drives in the background: s3ctl "
           "drive list\n",
           argument);
    print_drain(json_object_get(result, "drive"));
}

void print_drives(const json_t *result, const char *argument)
{
    size_t i;
    json_t *drive;
    (void)argument;
    printf("\n%-5s %-8s %12s %12s %8s %12s %12s  %-12s %s\n", "DRIVE", "STATE",
           "TOTAL", "FREE", "EXTENTS", "READ ms", "SYNC ms", "DOMAIN",
           "DIRECTORY");
    json_array_foreach(json_object_get(result, "drives"), i, drive)
    {
        printf("%-5lld %-8s", number(drive, "index"), text(drive, "state"));
        print_size(number(drive, "total_bytes"));
        print_size(number(drive, "free_bytes"));
        printf(" %8lld", number(drive, "extents"));
        print_latency(json_object_get(drive, "reads"));
        print_latency(json_object_get(drive, "syncs"));
        printf("  %-12s %s\n", text(drive, "domain"), text(drive, "directory"));
        if (strcmp(text(drive, "state"), "ok") != 0) {
            print_condition(drive);
        }
        if (json_object_get(drive, "configured_drive") != NULL) {
            printf("      found where drive %lld is configured: drives are "
                   "swapped\n",
                   number(drive, "configured_drive"));
        }
        if (json_object_get(drive, "drain") != NULL) {
            print_drain(drive);
        }
    }
}

void print_replaced(const json_t *result, const char *argument)
{
    const json_t *drive = json_object_get(result, "drive");
    const char *state = text(drive, "state");
    if (json_is_true(json_object_get(result, "replaced"))) {
        printf("Drive %s is in use. What was on it is rebuilt from the other "
               "drives.\n",
               argument);
        return;
    }
    printf("Drive %s, %s, is %s.\n", argument, text(drive, "directory"), state);
    if (strcmp(state, "blank") != 0) {
        printf("Only a drive whose directory is blank is replaced.\n");
        return;
    }
    printf("It becomes a new, empty drive. What was on the disk before counts "
           "as lost,\nand is rebuilt from the other drives; that disk is not "
           "accepted again.\nTo go on: s3ctl drive replace %s --yes\n",
           argument);
}

void print_removed(const json_t *result, const char *argument)
{
    const json_t *drive = json_object_get(result, "drive");
    if (json_is_true(json_object_get(result, "removed"))) {
        printf("Drive %s is removed. In s3d.conf { removed = true; } takes its "
               "place in the list of drives.\n",
               argument);
        return;
    }
    printf("Drive %s, %s, is %s. On it are %lld shards of %lld blobs: they "
           "count as lost,\nand are rebuilt from others on drives that have "
           "none of the same blob. Every\nblob can still be read; %lld would "
           "bear no further loss until they are healed.\nThe disk is not "
           "accepted again.\nTo go on: s3ctl drive remove %s --force --yes\n",
           argument, text(drive, "directory"), text(drive, "state"),
           number(result, "shards"), number(result, "blobs"),
           number(result, "critical_blobs"), argument);
}
