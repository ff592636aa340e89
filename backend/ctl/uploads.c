/*
 * Uploads in progress, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <stdio.h>

static void print_damaged(const json_t *result)
{
    const long long damaged = show_number(result, "damaged");
    if (damaged > 0) {
        printf("DAMAGED: %lld could not be read, and stay as they are\n",
               damaged);
    }
}

void print_uploads(const json_t *result, const char *argument)
{
    static const char *const titles[] = {
        "BUCKET", "INITIATED (UTC)", "INITIATOR", ">PARTS",
        ">SIZE",  "UPLOAD",          "KEY",       NULL};
    struct table *table = table_new(titles);
    char bytes[SHOW_SIZE], time[SHOW_SIZE];
    size_t i;
    json_t *upload;
    (void)argument;
    json_array_foreach(json_object_get(result, "uploads"), i, upload)
    {
        const char *initiator = show_text(upload, "initiator");
        table_add(table, "%s", show_text(upload, "bucket"));
        table_add(table, "%s",
                  show_time(show_number(upload, "initiated_ms"), time));
        table_add(table, "%s", initiator[0] != '\0' ? initiator : "-");
        table_add(table, "%lld", show_number(upload, "parts"));
        table_add(table, "%s",
                  show_bytes((uint64_t)show_number(upload, "bytes"), bytes));
        table_add(table, "%s", show_text(upload, "upload_id"));
        table_add(table, "%s", show_text(upload, "key"));
    }
    table_end(table);
    show_truncated(result, "a BUCKET or --older-than");
    print_damaged(result);
}

void print_aborted(const json_t *result, const char *argument)
{
    char bytes[SHOW_SIZE];
    (void)argument;
    printf("%lld uploads with %lld parts, %s, %s aborted\n",
           show_number(result, "uploads"), show_number(result, "parts"),
           show_bytes((uint64_t)show_number(result, "bytes"), bytes),
           json_is_true(json_object_get(result, "dry_run")) ? "would be"
                                                            : "were");
    print_damaged(result);
}
