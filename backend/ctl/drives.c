/*
 * Drives, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <stdio.h>
#include <string.h>

/* "0.2/3.1": median and 95th percentile in milliseconds. */
static void add_latency(struct table *table, const json_t *latency)
{
    if (show_number(latency, "count") > 0) {
        table_add(table, "%.1f/%.1f",
                  (double)show_number(latency, "median_us") / 1000,
                  (double)show_number(latency, "p95_us") / 1000);
    } else {
        table_add(table, "-");
    }
}

static void add_bytes(struct table *table, long long bytes)
{
    char text[SHOW_SIZE];
    table_add(table, "%s", show_bytes((uint64_t)bytes, text));
}

/* Since when it is as it is, and why. */
static void note_condition(struct table *table, const json_t *drive)
{
    const char *reason = show_text(drive, "reason");
    char when[SHOW_SIZE];
    table_note(table, "%s since %s UTC%s%s", show_text(drive, "state"),
               show_time(show_number(drive, "since"), when),
               reason[0] != '\0' ? ": " : "", reason);
}

/* How far it is drained. */
static void note_drain(struct table *table, const json_t *drive)
{
    const json_t *drain = json_object_get(drive, "drain");
    const long long stuck = show_number(drain, "stuck_shards");
    char bytes[SHOW_SIZE];
    if (json_is_true(json_object_get(drain, "empty"))) {
        table_note(table, "it is empty: s3ctl drive remove %lld",
                   show_number(drive, "index"));
        return;
    }
    if (json_object_get(drain, "estimate_seconds") != NULL) {
        table_note(table, "%lld shards are left, %s, about %lld s to go",
                   show_number(drain, "shards"),
                   show_bytes((uint64_t)show_number(drain, "bytes"), bytes),
                   show_number(drain, "estimate_seconds"));
    } else if (json_object_get(drain, "shards") != NULL) {
        table_note(table, "%lld shards are left, %s",
                   show_number(drain, "shards"),
                   show_bytes((uint64_t)show_number(drain, "bytes"), bytes));
    }
    if (stuck > 0) {
        table_note(table,
                   "STUCK: no other drives may take %lld shards: they have "
                   "others of the same",
                   stuck);
        table_note(table, "objects, or no room, and are too few for a code "
                          "that bears as many losses.");
        table_note(table, "They stay until there is another drive");
    }
}

static void add_drive(struct table *table, const json_t *drive)
{
    table_add(table, "%lld", show_number(drive, "index"));
    table_add(table, "%s", show_text(drive, "state"));
    add_bytes(table, show_number(drive, "total_bytes"));
    add_bytes(table, show_number(drive, "free_bytes"));
    table_add(table, "%lld", show_number(drive, "extents"));
    add_latency(table, json_object_get(drive, "reads"));
    add_latency(table, json_object_get(drive, "syncs"));
    table_add(table, "%s", show_text(drive, "domain"));
    table_add(table, "%s", show_text(drive, "directory"));
    if (strcmp(show_text(drive, "state"), "ok") != 0) {
        note_condition(table, drive);
    }
    if (json_object_get(drive, "configured_drive") != NULL) {
        table_note(table,
                   "found where drive %lld is configured: drives are swapped",
                   show_number(drive, "configured_drive"));
    }
    if (json_object_get(drive, "drain") != NULL) {
        note_drain(table, drive);
    }
}

static const char *const titles[] = {
    "DRIVE",    "STATE",    ">TOTAL", ">FREE",     ">EXTENTS",
    ">READ ms", ">SYNC ms", "DOMAIN", "DIRECTORY", NULL};

void print_drained(const json_t *result, const char *argument)
{
    printf("What is on drive %s goes to other drives in the background: s3ctl "
           "drive list\n",
           argument);
    struct table *table = table_new(titles);
    add_drive(table, json_object_get(result, "drive"));
    table_end(table);
}

void print_drives(const json_t *result, const char *argument)
{
    struct table *table = table_new(titles);
    size_t i;
    json_t *drive;
    (void)argument;
    json_array_foreach(json_object_get(result, "drives"), i, drive)
    {
        add_drive(table, drive);
    }
    putchar('\n');
    table_end(table);
}

void print_replaced(const json_t *result, const char *argument)
{
    const json_t *drive = json_object_get(result, "drive");
    const char *state = show_text(drive, "state");
    if (json_is_true(json_object_get(result, "replaced"))) {
        printf("Drive %s is in use. What was on it is rebuilt from the other "
               "drives.\n",
               argument);
        return;
    }
    printf("Drive %s, %s, is %s.\n", argument, show_text(drive, "directory"),
           state);
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
           argument, show_text(drive, "directory"), show_text(drive, "state"),
           show_number(result, "shards"), show_number(result, "blobs"),
           show_number(result, "critical_blobs"), argument);
}
