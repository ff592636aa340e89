/*
 * The commands on drives.
 */
#include "server/admin.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What people are told: a drive that is OK may be full, or drained. */
static const char *state_of(const struct drive_condition *condition)
{
    if (condition->state != DRIVE_OK) {
        return drive_state_name(condition->state);
    }
    if (condition->draining) {
        return "draining";
    }
    return condition->full ? "full" : "ok";
}

static json_t *describe(const struct cluster *cluster, unsigned index)
{
    struct drive *drive = cluster->drives[index];
    const struct drive_config *config = drive_config(drive);
    struct drive_usage usage;
    struct drive_condition condition;
    drive_usage(drive, &usage);
    drive_describe(drive, &condition);
    const uint64_t since =
        condition.full ? condition.full_since_ms : condition.since_ms;
    json_t *entry = json_pack(
        "{s:i,s:s,s:s,s:s,s:I,s:s,s:b,s:i,s:I,s:I,s:I,s:I,s:i}", "index",
        (int)index, "directory", config->directory, "domain", config->domain,
        "state", state_of(&condition), "since", (json_int_t)since, "reason",
        condition.reason, "draining", condition.draining, "returns",
        (int)condition.returns, "total_bytes", (json_int_t)usage.total,
        "free_bytes", (json_int_t)usage.free, "pending_bytes",
        (json_int_t)usage.pending, "extents", (json_int_t)usage.extents, "load",
        (int)usage.load);
    /* A path that is not UTF-8 cannot be shown. */
    return entry != NULL ? entry : json_object();
}

json_t *admin_drives(const struct cluster *cluster)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        json_array_append_new(list, describe(cluster, i));
    }
    return list;
}

static int list(struct admin_call *call)
{
    return admin_reply(call, json_pack("{s:o}", "drives",
                                       admin_drives(&call->server->cluster)));
}

/* The argument "drive", or an error that was replied. */
static int drive_index(struct admin_call *call, unsigned *index)
{
    const char *text = admin_text(call, "drive");
    char *end = NULL;
    const unsigned long number =
        text != NULL && text[0] >= '0' && text[0] <= '9'
            ? strtoul(text, &end, 10)
            : SERVER_DRIVES_MAX;
    if (end == NULL || *end != '\0' ||
        number >= call->server->cluster.drive_count) {
        return admin_refuse(call, -EINVAL,
                            "no such drive: it is a number, from 0");
    }
    *index = (unsigned)number;
    return 0;
}

/* Without "yes" it only says what it would do. */
static int replace(struct admin_call *call)
{
    struct cluster *cluster = &call->server->cluster;
    unsigned index = 0;
    int error = drive_index(call, &index);
    if (error != 0) {
        return error;
    }
    const bool yes = json_is_true(json_object_get(call->arguments, "yes"));
    if (!yes) {
        return admin_reply(call, json_pack("{s:b,s:o}", "replaced", false,
                                           "drive", describe(cluster, index)));
    }
    error = cluster_replace_drive(cluster, index);
    if (error == -EBUSY) {
        return admin_refuse(call, error,
                            "refused: only a drive whose directory is blank "
                            "is replaced; s3ctl status says what this one is");
    }
    if (error == -ENOTEMPTY) {
        return admin_refuse(call, error,
                            "refused: the directory holds something else");
    }
    if (error != 0) {
        return admin_refuse(call, error, strerror(-error));
    }
    return admin_reply(call, json_pack("{s:b,s:o}", "replaced", true, "drive",
                                       describe(cluster, index)));
}

static int set_draining(struct admin_call *call, bool drain)
{
    unsigned index = 0;
    int error = drive_index(call, &index);
    if (error != 0) {
        return error;
    }
    error = cluster_drain_drive(&call->server->cluster, index, drain);
    return error == 0 ? admin_reply(call, json_object())
                      : admin_refuse(call, error, strerror(-error));
}

static int drain(struct admin_call *call)
{
    return set_draining(call, true);
}

static int use(struct admin_call *call)
{
    return set_draining(call, false);
}

const struct admin_command admin_drive_commands[] = {
    {.name = "drive.list", .run = list},
    {.name = "drive.replace", .run = replace},
    {.name = "drive.drain", .run = drain},
    {.name = "drive.use", .run = use},
    {.name = NULL},
};
