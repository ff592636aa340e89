/*
 * Event notifications, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"

void print_events(const json_t *result, const char *argument)
{
    static const char *const titles[] = {
        "TARGET",     "KIND",     "STATE",    ">BACKLOG", ">BYTES", ">LAG S",
        ">DELIVERED", ">RETRIED", ">DROPPED", ">BLOCKED", NULL};
    static const char *const counts[] = {"delivered", "retried", "dropped",
                                         "blocked"};
    struct table *table = table_new(titles);
    size_t i;
    json_t *target;
    (void)argument;
    json_array_foreach(json_object_get(result, "events"), i, target)
    {
        table_add(table, "%s", show_text(target, "name"));
        table_add(table, "%s", show_text(target, "kind"));
        table_add(table, "%s", show_text(target, "state"));
        table_add(table, "%lld", show_number(target, "backlog"));
        table_add(table, "%lld", show_number(target, "backlog_bytes"));
        table_add(table, "%.1f", (double)show_number(target, "lag_ms") / 1000);
        for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
            table_add(table, "%lld", show_number(target, counts[k]));
        }
        if (json_object_get(target, "error") != NULL) {
            table_note(table, "last error: %s", show_text(target, "error"));
        }
    }
    table_end(table);
}
