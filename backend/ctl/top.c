/*
 * s3ctl top: what goes on now, by operation and by bucket, and what has been
 * under way for longest.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_S 2
#define ONCE_S     1
#define ROWS_MAX   15 /* of each table */

static double number(const json_t *object, const char *name)
{
    return (double)show_number(object, name);
}

/* --- rates: of two answers -------------------------------------------------*/
/* Less than before: the sum was started anew, or something is counted
 * elsewhere by now. */
static double more(const json_t *before, const json_t *now, const char *of)
{
    const double change = number(now, of) - number(before, of);
    return change > 0 ? change : 0;
}

static void set_rate(json_t *rate, const char *name, const json_t *before,
                     const json_t *now, const char *of, double seconds)
{
    json_object_set_new(rate, name, json_real(more(before, now, of) / seconds));
}

static json_t *rate_of(const char *name, const json_t *before,
                       const json_t *now, double seconds)
{
    const double count = more(before, now, "count");
    json_t *rate = json_pack("{s:s}", "name", name);
    set_rate(rate, "requests", before, now, "count", seconds);
    set_rate(rate, "errors", before, now, "errors", seconds);
    set_rate(rate, "received", before, now, "received", seconds);
    set_rate(rate, "sent", before, now, "sent", seconds);
    json_object_set_new(
        rate, "mean_ms",
        json_real(count > 0 ? more(before, now, "us") / count / 1000 : 0));
    return rate;
}

static double real(const json_t *object, const char *name)
{
    return json_real_value(json_object_get(object, name));
}

/* More requests, or as many and more bytes. */
static bool is_busier(const json_t *rate, const json_t *other)
{
    const double requests = real(rate, "requests") - real(other, "requests");
    return requests != 0 ? requests > 0
                         : real(rate, "received") + real(rate, "sent") >
                               real(other, "received") + real(other, "sent");
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
        if (more(old, sum, "count") + more(old, sum, "received") +
                more(old, sum, "sent") ==
            0) {
            continue;
        }
        json_t *rate = rate_of(name, old, sum, seconds);
        size_t at = 0;
        while (at < json_array_size(list) &&
               !is_busier(rate, json_array_get(list, at))) {
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
#define MIB (1024.0 * 1024)

static void print_rates(const char *title, const json_t *list)
{
    const char *const titles[] = {title,      ">REQUESTS/S", ">5XX/S",
                                  ">MEAN MS", ">IN MIB/S",   ">OUT MIB/S",
                                  NULL};
    struct table *table = table_new(titles);
    size_t i;
    json_t *rate;
    json_array_foreach(list, i, rate)
    {
        if (i < ROWS_MAX) {
            table_add(table, "%s", show_text(rate, "name"));
            table_add(table, "%.1f", real(rate, "requests"));
            table_add(table, "%.1f", real(rate, "errors"));
            table_add(table, "%.2f", real(rate, "mean_ms"));
            table_add(table, "%.2f", real(rate, "received") / MIB);
            table_add(table, "%.2f", real(rate, "sent") / MIB);
        }
    }
    putchar('\n');
    table_end(table);
}

static int older_first(const void *a, const void *b)
{
    const double left = number(*(json_t *const *)a, "us");
    const double right = number(*(json_t *const *)b, "us");
    return left < right ? 1 : left > right ? -1 : 0;
}

static void print_live(const json_t *list)
{
    static const char *const titles[] = {"UNDER WAY", ">SINCE MS", ">IN MIB",
                                         ">OUT MIB",  "OPERATION", "BUCKET/KEY",
                                         NULL};
    const size_t count = json_array_size(list);
    json_t **sorted = xcalloc(count + 1, sizeof(*sorted));
    struct table *table = table_new(titles);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = json_array_get(list, i);
    }
    qsort(sorted, count, sizeof(*sorted), older_first);
    for (size_t i = 0; i < count && i < ROWS_MAX; i++) {
        table_add(table, "%s", show_text(sorted[i], "request"));
        table_add(table, "%.1f", number(sorted[i], "us") / 1000);
        table_add(table, "%.2f", number(sorted[i], "received") / MIB);
        table_add(table, "%.2f", number(sorted[i], "sent") / MIB);
        table_add(table, "%s", show_text(sorted[i], "operation"));
        table_add(table, "%s/%s", show_text(sorted[i], "bucket"),
                  show_text(sorted[i], "key"));
    }
    putchar('\n');
    table_end(table);
    free(sorted);
}

static void print_view(const json_t *view, bool json)
{
    if (json) {
        show_json(view, JSON_COMPACT);
        return;
    }
    if (isatty(STDOUT_FILENO)) {
        fputs("\033[H\033[2J", stdout);
    }
    printf("s3d %s, up %.0f s: %.0f requests under way\n",
           show_text(view, "version"), number(view, "uptime_seconds"),
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
