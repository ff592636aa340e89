/*
 * What is stored, and limits, for people.
 */
#include "ctl/ctl.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_SIZE 32

static uint64_t number(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "";
}

/* "12.3G"; all digits of what is small. */
static void show_number(char out[SHOWN_SIZE], uint64_t value, unsigned unit)
{
    static const char suffixes[] = "KMGTPE";
    const char *suffix = suffixes;
    double scaled = (double)value / unit;
    if (value < 10u * unit) {
        snprintf(out, SHOWN_SIZE, "%" PRIu64, value);
        return;
    }
    while (scaled >= unit && suffix[1] != '\0') {
        scaled /= unit;
        suffix++;
    }
    snprintf(out, SHOWN_SIZE, "%.1f%c", scaled, *suffix);
}

/* "12.3G of 20.0G, 61 %", or only the first if there is no limit. */
static void print_share(const json_t *entry, const char *name, unsigned unit,
                        int width)
{
    const uint64_t used = number(entry, name);
    const uint64_t most = number(json_object_get(entry, "quota"), name);
    char shown[SHOWN_SIZE], limit[SHOWN_SIZE];
    int printed;
    show_number(shown, used, unit);
    printed = printf("%s", shown);
    if (most > 0) {
        show_number(limit, most, unit);
        printed +=
            printf(" of %s, %.0f %%", limit, 100 * (double)used / (double)most);
    }
    printf("%*s", printed < width ? width - printed : 1, "");
}

/* "12.3M", or "-" if there is no limit. */
static void print_limit(const json_t *quota, const char *name, unsigned unit)
{
    const uint64_t most = number(quota, name);
    char shown[SHOWN_SIZE] = "-";
    if (most > 0) {
        show_number(shown, most, unit);
    }
    printf(" %10s", shown);
}

static void print_limits(const json_t *entry)
{
    const json_t *quota = json_object_get(entry, "quota");
    print_limit(quota, "requests", 1000);
    print_limit(quota, "download", 1024);
    print_limit(quota, "upload", 1024);
    putchar('\n');
}

#define LIMITS_TITLE "REQUESTS/S DOWNLOAD/S   UPLOAD/S"

static void print_list(const json_t *result, const char *list,
                       const char *title, const char *second)
{
    size_t i;
    json_t *entry;
    if (json_array_size(json_object_get(result, list)) == 0) {
        return;
    }
    printf("%-32s %-14s %-26s %-26s " LIMITS_TITLE "\n", title,
           strcmp(second, "account") == 0 ? "ACCOUNT" : "NUMBER", "BYTES",
           "OBJECTS");
    json_array_foreach(json_object_get(result, list), i, entry)
    {
        printf("%-32s %-14s ", text(entry, "name"), text(entry, second));
        print_share(entry, "bytes", 1024, 26);
        putchar(' ');
        print_share(entry, "objects", 1000, 26);
        print_limits(entry);
    }
}

/* Of users there are limits only. */
static void print_users(const json_t *result)
{
    size_t i;
    json_t *entry;
    if (json_array_size(json_object_get(result, "users")) == 0) {
        return;
    }
    printf("%-32s %-14s " LIMITS_TITLE "\n", "USER", "NUMBER");
    json_array_foreach(json_object_get(result, "users"), i, entry)
    {
        printf("%-32s %-14s", text(entry, "name"), text(entry, "number"));
        print_limits(entry);
    }
}

void print_usage_of(const json_t *result, const char *argument)
{
    (void)argument;
    print_list(result, "buckets", "BUCKET", "account");
    print_list(result, "accounts", "ACCOUNT", "number");
    print_users(result);
    if (json_is_true(json_object_get(result, "truncated"))) {
        puts("There are more: --prefix or --account shows some of them.");
    }
}

void print_recount(const json_t *result, const char *argument)
{
    const json_t *differences = json_object_get(result, "differences");
    size_t i;
    json_t *entry;
    (void)argument;
    printf("%" PRIu64 " buckets were counted\n", number(result, "buckets"));
    json_array_foreach(differences, i, entry)
    {
        const json_t *recorded = json_object_get(entry, "recorded");
        const json_t *counted = json_object_get(entry, "counted");
        printf("DIFFERENT: %s has %" PRIu64 " bytes in %" PRIu64
               " objects, recorded were %" PRIu64 " in %" PRIu64 "\n",
               text(entry, "name"), number(counted, "bytes"),
               number(counted, "objects"), number(recorded, "bytes"),
               number(recorded, "objects"));
    }
    if (json_array_size(differences) == 0) {
        puts("all is as recorded");
    } else if (json_is_true(json_object_get(result, "repaired"))) {
        puts("the records were put right");
    } else {
        puts("s3ctl usage repair puts the records right");
    }
}
