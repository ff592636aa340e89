/*
 * s3ctl doctor: what is wrong on this machine, for people.
 */
#include "doctor/doctor.h"
#include "ctl/ctl.h"
#include "ctl/safe_text.h"
#include "ctl/show.h"
#include <stdio.h>
#include <stdlib.h>

static void print_check(const json_t *check)
{
    const char *result = show_text(check, "result");
    size_t i;
    json_t *finding;
    struct buffer safe = {0};
    if (json_array_size(json_object_get(check, "findings")) == 0) {
        printf("%-14s %-8s %s\n", show_text(check, "check"), result,
               show_text(check, "about"));
    }
    json_array_foreach(json_object_get(check, "findings"), i, finding)
    {
        printf("%-14s %-8s %s\n", i == 0 ? show_text(check, "check") : "",
               show_text(finding, "level"),
               safe_text(&safe, show_text(finding, "what")));
        printf("%-14s %-8s %s\n", "", "  mend",
               safe_text(&safe, show_text(finding, "mend")));
    }
    buffer_free(&safe);
}

static void print_report(const json_t *report)
{
    size_t i;
    json_t *check;
    printf("%-14s %-8s %s\n", "CHECK", "RESULT", "WHAT");
    json_array_foreach(json_object_get(report, "checks"), i, check)
    {
        print_check(check);
    }
    printf("\n%lld checks found problems, %lld have warnings\n",
           show_number(report, "problems"), show_number(report, "warnings"));
}

static int ask(const char *socket, json_t **status)
{
    json_t *arguments = json_object();
    const int result = client_try(socket, "status", arguments, status);
    json_decref(arguments);
    return result;
}

enum ctl_exit run_doctor(const struct ctl_given *given, char **words)
{
    const struct doctor_options options = {
        .config = given->config != NULL ? given->config : "/etc/s3d/s3d.conf",
        .nginx_conf = given->nginx_conf,
        .socket =
            given->socket != NULL ? given->socket : getenv(CTL_SOCKET_ENV),
        .ask = ask,
    };
    json_t *report = doctor_run(&options);
    const bool fine = show_number(report, "problems") == 0;
    (void)words;
    if (given->json) {
        show_json(report, JSON_INDENT(2));
    } else {
        print_report(report);
    }
    json_decref(report);
    return fine ? CTL_OK : CTL_PROBLEMS;
}
