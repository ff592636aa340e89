/*
 * Event notifications, for people.
 */
#include "ctl/ctl.h"
#include <stdio.h>

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "";
}

void print_events(const json_t *result, const char *argument)
{
    size_t i;
    json_t *target;
    (void)argument;
    printf("%-20s %-9s %-10s %10s %12s %8s %12s %8s %8s %8s\n", "TARGET",
           "KIND", "STATE", "BACKLOG", "BYTES", "LAG S", "DELIVERED", "RETRIED",
           "DROPPED", "BLOCKED");
    json_array_foreach(json_object_get(result, "events"), i, target)
    {
        printf("%-20s %-9s %-10s %10lld %12lld %8.1f %12lld %8lld %8lld "
               "%8lld\n",
               text(target, "name"), text(target, "kind"),
               text(target, "state"), number(target, "backlog"),
               number(target, "backlog_bytes"),
               (double)number(target, "lag_ms") / 1000,
               number(target, "delivered"), number(target, "retried"),
               number(target, "dropped"), number(target, "blocked"));
        if (json_object_get(target, "error") != NULL) {
            printf("    last error: %s\n", text(target, "error"));
        }
    }
}
