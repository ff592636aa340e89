/*
 * s3ctl trace: what became of requests, and where their time went.
 */
#include "ctl/ctl.h"
#include "ctl/safe_text.h"
#include "ctl/show.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL_US   250000
#define BAR_WIDTH 40

/* --- one request -----------------------------------------------------------*/
/* The parts of its time in the order in which they mostly come. What the
 * worker waits for s3d is shown as what s3d did. */
static const struct part {
    const char *who, *name, *shown;
    bool phase; /* of s3d's phases */
} parts[] = {
    {"nginx", "auth_us", "signature", false},
    {"s3d", "queue", "queue", true},
    {"s3d", "lock", "lock", true},
    {"s3d", "keys", "keys", true},
    {"s3d", "metadata", "metadata", true},
    {"s3d", "drive", "drive", true},
    {"s3d", "work", "work", true},
    {"s3d", "client", "client", true},
    {"nginx", "send_us", "send", false},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

/* Microseconds; -1: not known. */
static long long time_of(const json_t *request, const struct part *part)
{
    const json_t *object = json_object_get(request, part->who);
    if (part->phase) {
        object = json_object_get(object, "phases");
    }
    const json_t *value = json_object_get(object, part->name);
    return value != NULL ? json_integer_value(value) : -1;
}

static void print_bar(long long us, long long all)
{
    const int width = all > 0 ? (int)(BAR_WIDTH * us / all) : 0;
    printf("  %.*s", us > 0 && width == 0 ? 1 : width,
           "########################################");
}

static void print_parts(const json_t *request)
{
    long long all = 0;
    for (size_t i = 0; i < PARTS; i++) {
        const long long us = time_of(request, &parts[i]);
        all += us > 0 ? us : 0;
    }
    printf("\n%-6s %-10s %12s\n", "WHERE", "WHAT", "MS");
    for (size_t i = 0; i < PARTS; i++) {
        const long long us = time_of(request, &parts[i]);
        if (us >= 0) {
            printf("%-6s %-10s %12.3f", parts[i].who, parts[i].shown,
                   (double)us / 1000);
            print_bar(us, all);
            putchar('\n');
        }
    }
}

static void print_trace(const json_t *result)
{
    const json_t *nginx = json_object_get(result, "nginx");
    struct buffer safe = {0};
    printf("request      %s", safe_text(&safe, show_text(result, "request")));
    printf(", ended %s\n", show_text(result, "time"));
    printf("operation    %s %s/", show_text(result, "operation"),
           safe_text(&safe, show_text(result, "bucket")));
    printf("%s\n", safe_text(&safe, show_text(result, "key")));
    printf("status       %lld %s\n", show_number(result, "status"),
           safe_text(&safe, show_text(result, "error")));
    if (nginx != NULL) {
        printf("bytes        %lld received, %lld sent%s\n",
               show_number(nginx, "received"), show_number(nginx, "sent"),
               json_is_true(json_object_get(nginx, "hot"))
                   ? "; answered by the hot index"
                   : "");
    } else {
        printf("nginx        not known: nobody traced it then\n");
    }
    print_parts(result);
    buffer_free(&safe);
}

/* --- as they end -----------------------------------------------------------*/
static void print_head(void)
{
    printf("%-12s %-16s %3s %-20s", "TIME", "REQUEST", "", "OPERATION");
    for (size_t i = 0; i < PARTS; i++) {
        printf(" %9s", parts[i].shown);
    }
    printf("  %s\n", "BUCKET/KEY");
}

static void print_line(const json_t *request)
{
    struct buffer safe = {0};
    const char *time =
        show_text(request, "time"); /* 2026-01-02T03:04:05.678Z */
    printf("%.12s %-16s %3lld %-20s", strlen(time) == 24 ? time + 11 : time,
           safe_text(&safe, show_text(request, "request")),
           show_number(request, "status"), show_text(request, "operation"));
    for (size_t i = 0; i < PARTS; i++) {
        const long long us = time_of(request, &parts[i]);
        if (us < 0) {
            printf(" %9s", "-");
        } else {
            printf(" %9.2f", (double)us / 1000);
        }
    }
    printf("  %s/", safe_text(&safe, show_text(request, "bucket")));
    printf("%s\n", safe_text(&safe, show_text(request, "key")));
    buffer_free(&safe);
}

static void print_new(const json_t *result, bool json)
{
    size_t i;
    json_t *request;
    json_array_foreach(json_object_get(result, "requests"), i, request)
    {
        if (json) {
            show_json(request, JSON_COMPACT);
        } else {
            print_line(request);
        }
    }
    if (show_number(result, "lost") > 0) {
        fprintf(stderr, "s3ctl: %lld requests ended too fast to be shown\n",
                show_number(result, "lost"));
    }
}

static void set_filter(json_t *arguments, const struct ctl_given *given)
{
    if (given->bucket != NULL) {
        json_object_set_new(arguments, "bucket", json_string(given->bucket));
    }
    if (given->prefix != NULL) {
        json_object_set_new(arguments, "prefix", json_string(given->prefix));
    }
}

/* Until s3d ends or stdout is closed. */
static enum ctl_exit follow(const struct ctl_given *given)
{
    json_t *arguments = json_object(), *result = NULL;
    enum ctl_exit status;
    set_filter(arguments, given);
    if (!given->json) {
        print_head();
    }
    for (;;) {
        status =
            client_ask(ctl_socket(given), "request.tail", arguments, &result);
        if (status == CTL_REFUSED) {
            ctl_show(result, status, false);
        }
        if (status != CTL_OK) {
            break;
        }
        print_new(result, given->json);
        json_object_set(arguments, "after", json_object_get(result, "after"));
        const bool more =
            json_array_size(json_object_get(result, "requests")) > 0;
        json_decref(result);
        result = NULL;
        if (fflush(stdout) != 0) {
            break;
        }
        if (!more) {
            usleep(POLL_US);
        }
    }
    json_decref(result);
    json_decref(arguments);
    return status;
}

/* --- the command -----------------------------------------------------------*/
static enum ctl_exit show(const struct ctl_given *given, const char *id)
{
    json_t *result = NULL, *arguments = json_object();
    json_object_set_new(arguments, "request", json_string(id));
    const enum ctl_exit status =
        client_ask(ctl_socket(given), "request.show", arguments, &result);
    if (status != CTL_UNREACHABLE && ctl_show(result, status, given->json)) {
        print_trace(result);
    }
    json_decref(result);
    json_decref(arguments);
    return status;
}

enum ctl_exit run_trace(const struct ctl_given *given, char **words)
{
    const bool follows = (given->options & CTL_FOLLOW) != 0;
    const bool filters = (given->options & CTL_FILTER) != 0;
    if (follows == (words[0] != NULL) || (filters && !follows)) {
        fprintf(stderr, "s3ctl: trace takes the id of a request, or "
                        "--follow\n");
        return CTL_USAGE;
    }
    return follows ? follow(given) : show(given, words[0]);
}
