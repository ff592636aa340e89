/*
 * s3ctl purge: the agent, and what is known of it.
 */
#include "purge/purge.h"
#include "ctl/ctl.h"
#include "ctl/safe_text.h"
#include <errno.h>
#include <stdio.h>

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "-";
}

static void print_status(const json_t *status)
{
    size_t i;
    json_t *edge;
    struct buffer safe = {0}; /* the texts of agents, which Redis holds */
    printf("%-20s %-9s %10s %10s %10s %10s %8s %8s  %s\n", "EDGE", "STATE",
           "LAG S", "WAITING", "PENDING", "CONFIRMED", "RETRIED", "FAILED",
           "LAST CONFIRMED");
    json_array_foreach(json_object_get(status, "edges"), i, edge)
    {
        printf("%-20s %-9s %10.1f %10lld %10lld %10lld %8lld %8lld  %s\n",
               text(edge, "edge"), safe_text(&safe, text(edge, "state")),
               (double)number(edge, "lag_ms") / 1000, number(edge, "waiting"),
               number(edge, "pending"), number(edge, "confirmed"),
               number(edge, "retried"), number(edge, "failed"),
               text(edge, "last_confirmed"));
        if (json_object_get(edge, "error") != NULL) {
            printf("    last error: %s\n",
                   safe_text(&safe, text(edge, "error")));
        }
    }
    buffer_free(&safe);
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
        json_dumpf(status, stdout, JSON_INDENT(2));
        putchar('\n');
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
