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

void print_drives(const json_t *result, const char *argument)
{
    size_t i;
    json_t *drive;
    (void)argument;
    printf("\n%-5s %-8s %12s %12s %8s  %-12s %s\n", "DRIVE", "STATE", "TOTAL",
           "FREE", "EXTENTS", "DOMAIN", "DIRECTORY");
    json_array_foreach(json_object_get(result, "drives"), i, drive)
    {
        printf("%-5lld %-8s", number(drive, "index"), text(drive, "state"));
        print_size(number(drive, "total_bytes"));
        print_size(number(drive, "free_bytes"));
        printf(" %8lld  %-12s %s\n", number(drive, "extents"),
               text(drive, "domain"), text(drive, "directory"));
        if (strcmp(text(drive, "state"), "ok") != 0) {
            print_condition(drive);
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
