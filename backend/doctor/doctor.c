#include "doctor/doctor.h"
#include "doctor/check.h"

#include <stdio.h>
#include <stdlib.h>

/* --- findings --------------------------------------------------------------*/
/* What is not UTF-8 (a path) is left out. */
static json_t *text_json(const char *format, va_list arguments)
{
    char *text;
    invariant(vasprintf(&text, format, arguments) >= 0);
    json_t *json = json_string(text);
    free(text);
    return json != NULL ? json : json_string("(not UTF-8)");
}

static void add(json_t *findings, const char *level, const char *format,
                va_list arguments)
{
    json_array_append_new(findings,
                          json_pack("{s:s,s:o}", "level", level, "what",
                                    text_json(format, arguments)));
}

void doctor_problem(json_t *findings, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(findings, "problem", format, arguments);
    va_end(arguments);
}

void doctor_warning(json_t *findings, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(findings, "warning", format, arguments);
    va_end(arguments);
}

void doctor_mend(json_t *findings, const char *format, ...)
{
    const size_t count = json_array_size(findings);
    va_list arguments;
    invariant(count > 0);
    va_start(arguments, format);
    json_object_set_new(json_array_get(findings, count - 1), "mend",
                        text_json(format, arguments));
    va_end(arguments);
}

/* --- the tables ------------------------------------------------------------*/
static const struct doctor_check *const tables[] = {
    doctor_file_checks,    doctor_s3d_checks,   doctor_drive_checks,
    doctor_machine_checks, doctor_nginx_checks,
};

static unsigned missing(const struct doctor_facts *facts)
{
    return (facts->config == NULL ? NEEDS_CONFIG : 0u) |
           (facts->status == NULL ? NEEDS_S3D : 0u) |
           (facts->nginx.conf == NULL ? NEEDS_NGINX : 0u);
}

static const char *result_of(json_t *findings)
{
    const char *result = "ok";
    size_t i;
    json_t *finding;
    json_array_foreach(findings, i, finding)
    {
        const char *level =
            json_string_value(json_object_get(finding, "level"));
        if (strcmp(result, "problem") != 0) {
            result = level;
        }
    }
    return result;
}

static void count(json_t *report, const char *name, const char *result,
                  const char *level)
{
    json_t *counter = json_object_get(report, name);
    json_integer_set(counter, json_integer_value(counter) +
                                  (strcmp(result, level) == 0));
}

static void judge_one(const struct doctor_check *check,
                      const struct doctor_facts *facts, json_t *report)
{
    json_t *findings = json_array();
    const bool skipped = (check->needs & missing(facts)) != 0;
    if (!skipped) {
        check->run(facts, findings);
    }
    const char *result = skipped ? "skipped" : result_of(findings);
    count(report, "problems", result, "problem");
    count(report, "warnings", result, "warning");
    json_array_append_new(json_object_get(report, "checks"),
                          json_pack("{s:s,s:s,s:s,s:o}", "check", check->name,
                                    "about", check->about, "result", result,
                                    "findings", findings));
}

json_t *doctor_judge(const struct doctor_facts *facts)
{
    json_t *report =
        json_pack("{s:i,s:i,s:[]}", "problems", 0, "warnings", 0, "checks");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        const struct doctor_check *check = tables[i];
        for (; check->name != NULL; check++) {
            judge_one(check, facts, report);
        }
    }
    return report;
}

json_t *doctor_run(const struct doctor_options *options)
{
    struct arena *arena = arena_new();
    struct doctor_facts *facts = arena_zalloc(arena, sizeof(*facts));
    doctor_look(arena, options, facts);
    json_t *report = doctor_judge(facts);
    doctor_facts_free(facts);
    arena_free(arena);
    return report;
}
