/*
 * The keys of encryption, for people.
 */
#include "ctl/ctl.h"
#include <stdio.h>
#include <time.h>

static void print_time(json_int_t ms)
{
    const time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[32] = "";
    if (gmtime_r(&seconds, &parts) != NULL) {
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    }
    printf("  %s\n", text);
}

void print_kms_keys(const json_t *result, const char *argument)
{
    size_t i;
    json_t *key;
    (void)argument;
    printf("%-64s %8s %-8s  %s\n", "KEY", "VERSIONS", "STATE", "CREATED (UTC)");
    json_array_foreach(json_object_get(result, "keys"), i, key)
    {
        const char *name = json_string_value(json_object_get(key, "name"));
        const bool enabled = json_is_true(json_object_get(key, "enabled"));
        printf("%-64s %8lld %-8s",
               name == NULL || name[0] == '\0' ? "SSE-S3" : name,
               json_integer_value(json_object_get(key, "versions")),
               enabled ? "enabled" : "disabled");
        print_time(json_integer_value(json_object_get(key, "created")));
    }
}

void print_rewrap(const json_t *result, const char *argument)
{
    static const char *const counts[] = {"examined", "rewrapped", "failed"};
    (void)argument;
    printf("%-10s %s\n", "state",
           json_string_value(json_object_get(result, "state")));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        printf("%-10s %lld\n", counts[i],
               json_integer_value(json_object_get(result, counts[i])));
    }
}
