/*
 * The keys of encryption, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"

void print_kms_keys(const json_t *result, const char *argument)
{
    static const char *const titles[] = {"KEY", ">VERSIONS", "STATE",
                                         "CREATED (UTC)", NULL};
    struct table *table = table_new(titles);
    char created[SHOW_SIZE];
    size_t i;
    json_t *key;
    (void)argument;
    json_array_foreach(json_object_get(result, "keys"), i, key)
    {
        const char *name = show_text(key, "name");
        const bool enabled = json_is_true(json_object_get(key, "enabled"));
        table_add(table, "%s", name[0] == '\0' ? "SSE-S3" : name);
        table_add(table, "%lld", show_number(key, "versions"));
        table_add(table, "%s", enabled ? "enabled" : "disabled");
        table_add(table, "%s", show_time(show_number(key, "created"), created));
    }
    table_end(table);
}

void print_rewrap(const json_t *result, const char *argument)
{
    static const char *const counts[] = {"examined", "rewrapped", "failed"};
    (void)argument;
    show_line("%-10s %s", "state", show_text(result, "state"));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        show_line("%-10s %lld", counts[i], show_number(result, counts[i]));
    }
}
