/*
 * Private to doctor/: the table of checks, and what they find.
 */
#ifndef DOCTOR_CHECK_H
#define DOCTOR_CHECK_H

#include "doctor/facts.h"

/* What a check cannot do without: where it is missing the check is skipped,
 * and another one says so. */
enum doctor_need {
    NEEDS_CONFIG = 1 << 0,
    NEEDS_S3D = 1 << 1,
    NEEDS_NGINX = 1 << 2, /* its configuration */
};

struct doctor_check {
    const char *name;
    const char *about; /* what is so if nothing is found */
    unsigned needs;    /* OR of enum doctor_need */
    void (*run)(const struct doctor_facts *facts, json_t *findings);
};
/* Tables that end with an entry without a name. */
extern const struct doctor_check doctor_file_checks[];
extern const struct doctor_check doctor_drive_checks[];
extern const struct doctor_check doctor_machine_checks[];
extern const struct doctor_check doctor_s3d_checks[];
extern const struct doctor_check doctor_nginx_checks[];

/* What all checks say of these facts: as doctor_run(). */
json_t *doctor_judge(const struct doctor_facts *facts);

/* --- findings: what is wrong, then how to mend it --------------------------*/
/* It does not work, or data or secrets are in danger. */
void doctor_problem(json_t *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* It works, and could be better or safer. */
void doctor_warning(json_t *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Of the last finding. */
void doctor_mend(json_t *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
