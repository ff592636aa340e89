/*
 * s3ctl top: what goes on now, by operation and by bucket, and what has been
 * under way for longest.
 */
#include "ctl/ctl.h"
#include "ctl/safe_text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_S 2
#define ONCE_S     1
#define ROWS_MAX   15 /* of each table */

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "";
}

static double number(const json_t *object, const char *name)
{
    return (double)json_integer_value(json_object_get(object, name));
}

/* --- rates: of two answers -------------------------------------------------*/
static void set_rate(json_t *rate, const char *name, const json_t *before,
                     const json_t *now, const char *of, double seconds)
{
    json_object_set_new(
        rate, name,
        json_real((number(now, of) - number(before, of)) / seconds));
}

/* Of what has happened between the two, the busiest first. */
static json_t *rates_of(json_t *before, json_t *now, double seconds)
{
    json_t *list = json_array(), *sum;
    const char *name;
    json_object_foreach(now, name, sum)
    {
        const json_t *old = json_object_get(before, name);
        if (number(old, "count") > number(sum, "count")) {
            old = NULL; /* the sum was started anew */
        }
        const double count = number(sum, "count") - number(old, "count");
        if (count <= 0) {
            continue;
        }
        json_t *rate = json_pack("{s:s}", "name", name);
        set_rate(rate, "requests", old, sum, "count", seconds);
        set_rate(rate, "errors", old, sum, "errors", seconds);
        set_rate(rate, "received", old, sum, "received", seconds);
        set_rate(rate, "sent", old, sum, "sent", seconds);
        json_object_set_new(
            rate, "mean_ms",
            json_real((number(sum, "us") - number(old, "us")) / count / 1000));
        size_t at = 0;
        while (at < json_array_size(list) &&
               json_real_value(
                   json_object_get(json_array_get(list, at), "requests")) >
                   json_real_value(json_object_get(rate, "requests"))) {
            at++;
        }
        json_array_insert_new(list, at, rate);
    }
    return list;
}

static json_t *view_of(const json_t *before, const json_t *now)
{
    const double us = number(now, "now_us") - number(before, "now_us");
    const double seconds = us > 0 ? us / 1e6 : 1;
    json_t *view = json_object();
    static const char *const same[] = {"version", "uptime_seconds", "under_way",
                                       "requests"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        json_object_set(view, same[i], json_object_get(now, same[i]));
    }
    json_object_set_new(view, "seconds", json_real(seconds));
    json_object_set_new(view, "operations",
                        rates_of(json_object_get(before, "operations"),
                                 json_object_get(now, "operations"), seconds));
    json_object_set_new(view, "buckets",
                        rates_of(json_object_get(before, "buckets"),
                                 json_object_get(now, "buckets"), seconds));
    return view;
}

/* --- tables ----------------------------------------------------------------*/
static double real(const json_t *object, const char *name)
{
    return json_real_value(json_object_get(object, name));
}

static void print_rates(const char *title, const json_t *list)
{
    size_t i;
    json_t *rate;
    struct buffer safe = {0};
    printf("\n%-28s %12s %10s %10s %12s %12s\n", title, "REQUESTS/S", "5XX/S",
           "MEAN MS", "IN MIB/S", "OUT MIB/S");
    json_array_foreach(list, i, rate)
    {
        if (i < ROWS_MAX) {
            printf("%-28s %12.1f %10.1f %10.2f %12.2f %12.2f\n",
                   safe_text(&safe, text(rate, "name")), real(rate, "requests"),
                   real(rate, "errors"), real(rate, "mean_ms"),
                   real(rate, "received") / (1 << 20),
                   real(rate, "sent") / (1 << 20));
        }
    }
    buffer_free(&safe);
}

static int older_first(const void *a, const void *b)
{
    const double left = number(*(json_t *const *)a, "us");
    const double right = number(*(json_t *const *)b, "us");
    return left < right ? 1 : left > right ? -1 : 0;
}

static void print_live(const json_t *list)
{
    const size_t count = json_array_size(list);
    json_t **sorted = xcalloc(count + 1, sizeof(*sorted));
    struct buffer safe = {0};
    for (size_t i = 0; i < count; i++) {
        sorted[i] = json_array_get(list, i);
    }
    qsort(sorted, count, sizeof(*sorted), older_first);
    printf("\n%-16s %12s %-24s %s\n", "UNDER WAY", "SINCE MS", "OPERATION",
           "BUCKET/KEY");
    for (size_t i = 0; i < count && i < ROWS_MAX; i++) {
        printf("%-16s %12.1f %-24s ",
               safe_text(&safe, text(sorted[i], "request")),
               number(sorted[i], "us") / 1000, text(sorted[i], "operation"));
        printf("%s/", safe_text(&safe, text(sorted[i], "bucket")));
        printf("%s\n", safe_text(&safe, text(sorted[i], "key")));
    }
    buffer_free(&safe);
    free(sorted);
}

static void print_view(const json_t *view, bool json)
{
    if (json) {
        json_dumpf(view, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    if (isatty(STDOUT_FILENO)) {
        fputs("\033[H\033[2J", stdout);
    }
    printf("s3d %s, up %.0f s: %.0f requests under way\n",
           text(view, "version"), number(view, "uptime_seconds"),
           number(view, "under_way"));
    print_rates("OPERATION", json_object_get(view, "operations"));
    print_rates("BUCKET", json_object_get(view, "buckets"));
    print_live(json_object_get(view, "requests"));
    if (!isatty(STDOUT_FILENO)) {
        putchar('\n');
    }
}

/* --- the command -----------------------------------------------------------*/
enum ctl_exit run_top(const struct ctl_given *given, char **words)
{
    const bool once = (given->options & CTL_ONCE) != 0;
    json_t *before = NULL, *now = NULL, *arguments = json_object();
    enum ctl_exit status;
    (void)words;
    do {
        status = client_ask(ctl_socket(given), "request.list", arguments, &now);
        if (status == CTL_REFUSED) {
            ctl_show(now, status, false);
        }
        if (status == CTL_OK && before != NULL) {
            json_t *view = view_of(before, now);
            print_view(view, given->json);
            json_decref(view);
        }
        const bool done = once && before != NULL;
        json_decref(before);
        before = now;
        now = NULL;
        if (status != CTL_OK || done || fflush(stdout) != 0) {
            break;
        }
        sleep(once ? ONCE_S : INTERVAL_S);
    } while (true);
    json_decref(before);
    json_decref(arguments);
    return status;
}
