/*
 * What is stored, and limits, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <inttypes.h>
#include <stdio.h>

static bool is_empty(const json_t *result, const char *list)
{
    return json_array_size(json_object_get(result, list)) == 0;
}

/* "12.3G"; all digits of what is small. */
static const char *format_limit(uint64_t value, unsigned unit,
                                char out[SHOW_SIZE])
{
    static const char suffixes[] = "KMGTPE";
    const char *suffix = suffixes;
    double scaled = (double)value / unit;
    if (value < 10u * unit) {
        snprintf(out, SHOW_SIZE, "%" PRIu64, value);
        return out;
    }
    while (scaled >= unit && suffix[1] != '\0') {
        scaled /= unit;
        suffix++;
    }
    snprintf(out, SHOW_SIZE, "%.1f%c", scaled, *suffix);
    return out;
}

/* "12.3G of 20.0G, 61 %", or only the first if there is no limit. */
static void add_share(struct table *table, const json_t *entry,
                      const char *name, unsigned unit)
{
    const uint64_t used = (uint64_t)show_number(entry, name);
    const uint64_t most =
        (uint64_t)show_number(json_object_get(entry, "quota"), name);
    char shown[SHOW_SIZE], limit[SHOW_SIZE];
    format_limit(used, unit, shown);
    if (most > 0) {
        table_add(table, "%s of %s, %.0f %%", shown,
                  format_limit(most, unit, limit),
                  100 * (double)used / (double)most);
    } else {
        table_add(table, "%s", shown);
    }
}

/* "12.3M", or "-" if there is no limit. */
static void add_limit(struct table *table, const json_t *quota,
                      const char *name, unsigned unit)
{
    const uint64_t most = (uint64_t)show_number(quota, name);
    char shown[SHOW_SIZE];
    table_add(table, "%s", most > 0 ? format_limit(most, unit, shown) : "-");
}

static void add_limits(struct table *table, const json_t *entry)
{
    const json_t *quota = json_object_get(entry, "quota");
    add_limit(table, quota, "requests", 1000);
    add_limit(table, quota, "download", 1024);
    add_limit(table, quota, "upload", 1024);
}

#define LIMITS_TITLES ">REQUESTS/S", ">DOWNLOAD/S", ">UPLOAD/S", NULL

/* `second`: the member in the second column. */
static void print_list(const json_t *result, const char *list,
                       const char *const *titles, const char *second)
{
    size_t i;
    json_t *entry;
    if (is_empty(result, list)) {
        return;
    }
    struct table *table = table_new(titles);
    json_array_foreach(json_object_get(result, list), i, entry)
    {
        table_add(table, "%s", show_text(entry, "name"));
        table_add(table, "%s", show_text(entry, second));
        add_share(table, entry, "bytes", 1024);
        add_share(table, entry, "objects", 1000);
        add_limits(table, entry);
    }
    table_end(table);
}

/* Of users there are limits only. */
static void print_users(const json_t *result)
{
    static const char *const titles[] = {"USER", "NUMBER", LIMITS_TITLES};
    size_t i;
    json_t *entry;
    if (is_empty(result, "users")) {
        return;
    }
    struct table *table = table_new(titles);
    json_array_foreach(json_object_get(result, "users"), i, entry)
    {
        table_add(table, "%s", show_text(entry, "name"));
        table_add(table, "%s", show_text(entry, "number"));
        add_limits(table, entry);
    }
    table_end(table);
}

void print_usage_of(const json_t *result, const char *argument)
{
    static const char *const buckets[] = {"BUCKET", "ACCOUNT", "BYTES",
                                          "OBJECTS", LIMITS_TITLES};
    static const char *const accounts[] = {"ACCOUNT", "NUMBER", "BYTES",
                                           "OBJECTS", LIMITS_TITLES};
    (void)argument;
    print_list(result, "buckets", buckets, "account");
    print_list(result, "accounts", accounts, "number");
    print_users(result);
    show_truncated(result, "--prefix or --account");
}

void print_recount(const json_t *result, const char *argument)
{
    const json_t *differences = json_object_get(result, "differences");
    size_t i;
    json_t *entry;
    (void)argument;
    printf("%lld buckets were counted\n", show_number(result, "buckets"));
    json_array_foreach(differences, i, entry)
    {
        const json_t *recorded = json_object_get(entry, "recorded");
        const json_t *counted = json_object_get(entry, "counted");
        show_line("DIFFERENT: %s has %lld bytes in %lld objects, recorded were "
                  "%lld in %lld",
                  show_text(entry, "name"), show_number(counted, "bytes"),
                  show_number(counted, "objects"),
                  show_number(recorded, "bytes"),
                  show_number(recorded, "objects"));
    }
    if (json_array_size(differences) == 0) {
        puts("all is as recorded");
    } else if (json_is_true(json_object_get(result, "repaired"))) {
        puts("the records were put right");
    } else {
        puts("s3ctl usage repair puts the records right");
    }
}
