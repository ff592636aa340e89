/* The daemon: that it answers, and what it says of itself. */
#include "doctor/check.h"

#include <errno.h>
#include <string.h>

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "";
}

static void check_answers(const struct doctor_facts *facts, json_t *findings)
{
    if (facts->status != NULL) {
        return;
    }
    doctor_problem(findings, "s3d on %s: %s", facts->socket,
                   strerror(facts->status_error));
    if (facts->status_error == EACCES || facts->status_error == EPERM) {
        doctor_mend(findings, "run s3ctl doctor as root or as s3d's user");
    } else {
        doctor_mend(findings, "systemctl start s3d; journalctl -u s3d says why "
                              "it does not");
    }
}

static void check_versions(const struct doctor_facts *facts, json_t *findings)
{
    const char *version = text(facts->status, "version");
    if (strcmp(version, S3D_VERSION) != 0) {
        doctor_warning(findings, "s3d is %s, s3ctl is " S3D_VERSION, version);
        doctor_mend(findings, "install the same version of both, and start s3d "
                              "again");
    }
}

static void check_drives(const struct doctor_facts *facts, json_t *findings)
{
    size_t i;
    json_t *drive;
    json_array_foreach(json_object_get(facts->status, "drives"), i, drive)
    {
        const char *state = text(drive, "state");
        const bool lost =
            strcmp(state, "missing") == 0 || strcmp(state, "foreign") == 0 ||
            strcmp(state, "blank") == 0 || strcmp(state, "failed") == 0;
        if (!lost && strcmp(state, "slow") != 0 && strcmp(state, "full") != 0) {
            continue;
        }
        (lost ? doctor_problem : doctor_warning)(
            findings, "drive %zu, %s, is %s%s%s", i, text(drive, "directory"),
            state, text(drive, "reason")[0] != '\0' ? ": " : "",
            text(drive, "reason"));
        doctor_mend(findings,
                    "`s3ctl drive list`, and S3dDrive%s in the "
                    "runbook",
                    lost                         ? "Failed"
                    : strcmp(state, "slow") == 0 ? "Slow"
                                                 : "Full");
    }
}

static void check_mirrors(const struct doctor_facts *facts, json_t *findings)
{
    const json_t *metadata = json_object_get(facts->status, "metadata");
    size_t i;
    json_t *mirror;
    if (json_is_true(json_object_get(metadata, "read_only"))) {
        doctor_problem(findings, "the metadata take no changes");
        doctor_mend(findings, "bring the drives of their mirrors back, then "
                              "start s3d again");
    }
    json_array_foreach(json_object_get(metadata, "mirrors"), i, mirror)
    {
        const char *state = text(mirror, "state");
        if (strcmp(state, "member") != 0 && strcmp(state, "learning") != 0) {
            doctor_problem(findings, "the metadata's mirror %s is %s",
                           text(mirror, "directory"), state);
            doctor_mend(findings, "bring its drive back or replace it: the "
                                  "mirror is then made anew by itself");
        }
    }
}

static void check_workers(const struct doctor_facts *facts, json_t *findings)
{
    const json_t *connections = json_object_get(facts->status, "connections");
    if (json_integer_value(json_object_get(connections, "control")) == 0) {
        doctor_warning(findings, "no worker of nginx is connected to s3d");
        doctor_mend(findings, "start nginx; its error log says what is wrong "
                              "with the module or the socket");
    }
}

static void check_targets(const struct doctor_facts *facts, json_t *findings)
{
    for (unsigned i = 0; i < facts->target_count; i++) {
        if (facts->targets[i].error != NULL) {
            doctor_problem(findings,
                           "events do not reach the Redis of the "
                           "target %s: %s",
                           facts->targets[i].name, facts->targets[i].error);
            doctor_mend(findings,
                        "start that Redis, or correct the target in "
                        "%s; over a network s3d's unit needs "
                        "PrivateNetwork=no",
                        facts->config_path);
        }
    }
}

const struct doctor_check doctor_s3d_checks[] = {
    {"s3d", "it answers", 0, check_answers},
    {"versions", "s3d and s3ctl are of one version", NEEDS_S3D, check_versions},
    {"drives", "s3d uses all drives", NEEDS_S3D, check_drives},
    {"mirrors", "s3d uses all mirrors of the metadata", NEEDS_S3D,
     check_mirrors},
    {"workers", "nginx is connected", NEEDS_S3D, check_workers},
    {"events", "each target's Redis answers", NEEDS_CONFIG, check_targets},
    {NULL, NULL, 0, NULL},
};
