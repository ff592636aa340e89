/*
 * s3ctl doctor: looks at a machine with s3d and nginx on it, and says what is
 * wrong and how to mend it.
 *
 * First everything is looked at (facts.h), then a table of checks judges it:
 * pure functions, tried with made-up facts.
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "base/base.h"
#include <jansson.h>

struct doctor_options {
    const char *config;     /* s3d.conf */
    const char *nginx_conf; /* NULL: the one that `nginx -V` names */
    const char *socket;     /* s3d's admin socket; NULL: the configuration's */
    /* What s3d answers to `status` there: 0 and an object, or a negative
     * errno. */
    int (*ask)(const char *socket, json_t **status);
};

/* {"problems": 1, "warnings": 0, "checks": [{"check": "clock", "about": "...",
 * "result": "ok" | "warning" | "problem" | "skipped", "findings": [{"level":
 * "warning", "what": "...", "mend": "..."}]}]}. Blocks, for some seconds where
 * a Redis does not answer. */
json_t *doctor_run(const struct doctor_options *options);

#endif
