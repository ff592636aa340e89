/*
 * s3ctl purge: the agent, and what is known of it.
 */
#include "purge/purge.h"
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <errno.h>
#include <stdio.h>

static const char *text(const json_t *object, const char *name)
{
    const char *value = show_text(object, name);
    return value[0] != '\0' ? value : "-";
}

/* The texts are of agents, and of Redis. */
static void print_status(const json_t *status)
{
    static const char *const titles[] = {
        "EDGE",       "STATE",    ">LAG S",  ">WAITING",       ">PENDING",
        ">CONFIRMED", ">RETRIED", ">FAILED", "LAST CONFIRMED", NULL};
    static const char *const counts[] = {"waiting", "pending", "confirmed",
                                         "retried", "failed"};
    struct table *table = table_new(titles);
    size_t i;
    json_t *edge;
    json_array_foreach(json_object_get(status, "edges"), i, edge)
    {
        table_add(table, "%s", text(edge, "edge"));
        table_add(table, "%s", text(edge, "state"));
        table_add(table, "%.1f", (double)show_number(edge, "lag_ms") / 1000);
        for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
            table_add(table, "%lld", show_number(edge, counts[k]));
        }
        table_add(table, "%s", text(edge, "last_confirmed"));
        if (json_object_get(edge, "error") != NULL) {
            table_note(table, "last error: %s", text(edge, "error"));
        }
    }
    table_end(table);
}

static enum ctl_exit run_status(const char *config, bool json,
                                struct buffer *error)
{
    json_t *status;
    const int result = purge_status(config, &status, error);
    if (result == -EHOSTUNREACH) {
        return CTL_UNREACHABLE;
    }
    if (result != 0) {
        return CTL_USAGE;
    }
    if (json) {
        show_json(status, JSON_INDENT(2));
    } else {
        print_status(status);
    }
    json_decref(status);
    return CTL_OK;
}

enum ctl_exit run_purge(const struct ctl_given *given, char **words)
{
    const char *config =
        given->config != NULL ? given->config : "/etc/s3d/purge.conf";
    struct buffer error = {0};
    enum ctl_exit status;
    (void)words;
    switch (given->options & (CTL_TEST | CTL_STATUS)) {
    case 0:
        status = purge_run(config, &error) == 0 ? CTL_OK : CTL_USAGE;
        break;
    case CTL_TEST:
        status = purge_check(config, &error) == 0 ? CTL_OK : CTL_USAGE;
        break;
    case CTL_STATUS:
        status = run_status(config, given->json, &error);
        break;
    default:
        buffer_append_string(&error, "purge takes --test or --status");
        status = CTL_USAGE;
    }
    if (status != CTL_OK) {
        fprintf(stderr, "s3ctl: %.*s\n", (int)error.size,
                (const char *)error.data);
    } else if (given->options & CTL_TEST) {
        json_t *good = json_pack("{s:s}", "good", config);
        if (ctl_show(good, status, given->json)) {
            printf("%s: good\n", config);
        }
        json_decref(good);
    }
    buffer_free(&error);
    return status;
}
