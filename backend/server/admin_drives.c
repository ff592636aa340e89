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
    if (condition->full) {
        return "full";
    }
    return condition->slow ? "slow" : "ok";
}

/* Of the state that state_of() names. */
static uint64_t since(const struct drive_condition *condition)
{
    if (condition->state == DRIVE_OK && condition->draining) {
        return condition->draining_since_ms;
    }
    if (condition->full) {
        return condition->full_since_ms;
    }
    return condition->state == DRIVE_OK && condition->slow_since_ms != 0
               ? condition->slow_since_ms
               : condition->since_ms;
}

static json_t *latency(const struct drive_latency *latency)
{
    return json_pack("{s:I,s:I,s:I}", "count", (json_int_t)latency->count,
                     "median_us", (json_int_t)latency->median_us, "p95_us",
                     (json_int_t)latency->p95_us);
}

/* Its directory is the one that another drive is configured at. */
static bool is_swapped(const struct cluster *cluster, unsigned index)
{
    return cluster->entry_of[index] != index;
}

static json_t *describe(const struct cluster *cluster,
                        const struct rebalance_status *now, unsigned index)
{
    struct drive *drive = cluster->drives[index];
    const struct drive_config *config = drive_config(drive);
    struct drive_usage usage;
    struct drive_condition condition;
    drive_usage(drive, &usage);
    drive_describe(drive, &condition);
    json_t *entry = json_pack(
        "{s:i,s:s,s:s,s:s,s:I,s:s,s:b,s:b,s:b,s:b,s:i,s:I,s:I,s:I,s:I,s:i}",
        "index", (int)index, "directory", config->directory, "domain",
        config->domain, "state", state_of(&condition), "since",
        (json_int_t)since(&condition), "reason", condition.reason, "draining",
        condition.draining, "slow", condition.slow, "lags", condition.lags,
        "silent", condition.silent, "returns", (int)condition.returns,
        "total_bytes", (json_int_t)usage.total, "free_bytes",
        (json_int_t)usage.free, "pending_bytes", (json_int_t)usage.pending,
        "extents", (json_int_t)usage.extents, "load", (int)usage.load);
    if (entry == NULL) { /* a path that is not UTF-8 cannot be shown */
        return json_object();
    }
    json_object_set_new(entry, "reads", latency(&condition.reads));
    json_object_set_new(entry, "writes", latency(&condition.writes));
    json_object_set_new(entry, "syncs", latency(&condition.syncs));
    if (is_swapped(cluster, index)) {
        json_object_set_new(entry, "configured_drive",
                            json_integer(cluster->entry_of[index]));
    }
    if (condition.draining && condition.state != DRIVE_REMOVED) {
        json_object_set_new(entry, "drain", admin_drain_json(now, index));
    }
    return entry;
}

static json_t *describe_one(struct admin_call *call, unsigned index)
{
    struct rebalance_status now;
    rebalance_status(call->server->rebalance, &now);
    return describe(&call->server->cluster, &now, index);
}

json_t *admin_drives(struct server *server)
{
    struct rebalance_status now;
    json_t *list = json_array();
    rebalance_status(server->rebalance, &now);
    for (unsigned i = 0; i < server->cluster.drive_count; i++) {
        json_array_append_new(list, describe(&server->cluster, &now, i));
    }
    return list;
}

static int list(struct admin_call *call)
{
    return admin_reply(
        call, json_pack("{s:o}", "drives", admin_drives(call->server)));
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
                                           "drive", describe_one(call, index)));
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
                                       describe_one(call, index)));
}

/* --- draining --------------------------------------------------------------*/

static int set_draining(struct admin_call *call, bool drain)
{
    unsigned index = 0;
    int error = drive_index(call, &index);
    if (error != 0) {
        return error;
    }
    error = cluster_drain_drive(&call->server->cluster, index, drain);
    if (error == -ENOENT) {
        return admin_refuse(call, error, "the drive is not in the cluster");
    }
    if (error == -EBUSY) {
        return admin_refuse(call, error,
                            "refused: fewer than two other drives would take "
                            "writes");
    }
    if (error != 0) {
        return admin_refuse(call, error, strerror(-error));
    }
    rebalance_wake(call->server->rebalance);
    return admin_reply(call,
                       json_pack("{s:o}", "drive", describe_one(call, index)));
}

static int drain(struct admin_call *call)
{
    return set_draining(call, true);
}

static int use(struct admin_call *call)
{
    return set_draining(call, false);
}

/* --- removing --------------------------------------------------------------*/

/* Why a drive may not be removed whatever is on it; NULL: it may. */
static const char *objection(struct server *server, unsigned index)
{
    struct cluster *cluster = &server->cluster;
    struct drive *drive = cluster->drives[index];
    if (drive_state(drive) == DRIVE_REMOVED) {
        return "refused: it is removed already";
    }
    if (cluster_members(cluster) == 1) {
        return "refused: it is the only drive";
    }
    if (drive_state(drive) == DRIVE_OK && !drive_draining(drive)) {
        return "refused: it is in use: s3ctl drive drain comes first";
    }
    if (!cluster_is_settled(cluster, index)) {
        return "refused: requests that began before it was drained are still "
               "under way: try again";
    }
    if (!cluster_metadata_without(cluster, index)) {
        return "refused: s3d would not start again without the mirror of the "
               "metadata that is on it: set metadata or metadata_mirrors in "
               "s3d.conf so that others are enough, and start s3d again";
    }
    return NULL;
}

static int finish_removal(struct admin_call *call, unsigned index)
{
    const int error = cluster_remove_drive(&call->server->cluster, index);
    if (error != 0) {
        return admin_refuse(call, error, strerror(-error));
    }
    rebalance_wake(call->server->rebalance);
    return admin_reply(call, json_pack("{s:b,s:o}", "removed", true, "drive",
                                       describe_one(call, index)));
}

static int remove_empty(struct admin_call *call, unsigned index)
{
    struct reclaim_live live;
    if (!reclaim_live(call->server->reclaim, index, &live)) {
        reclaim_start(call->server->reclaim);
        return admin_refuse(call, -EAGAIN,
                            "refused: what is on it is not known: it is being "
                            "counted, or records cannot be read; s3ctl reclaim "
                            "status says which");
    }
    if (live.shards > 0) {
        return admin_refuse(call, -EBUSY,
                            "refused: it still holds shards; s3ctl drive list "
                            "shows how far it is drained. With --force they "
                            "count as lost");
    }
    return finish_removal(call, index);
}

/* Without "yes" it only says what it would mean. */
static int remove_lost(struct admin_call *call, unsigned index)
{
    struct care_loss loss;
    const int error = care_without(call->server->care, index, &loss);
    if (error != 0) {
        return admin_refuse(call, error, strerror(-error));
    }
    if (loss.unreadable > 0 || loss.unknown > 0) {
        return admin_refuse(
            call, -EPERM,
            loss.unreadable > 0
                ? "refused: objects could never be read again: too few of "
                  "their other shards are there. Bring back other drives, or "
                  "wait for healing"
                : "refused: records of blobs cannot be read: nobody knows "
                  "what would be lost");
    }
    if (json_is_true(json_object_get(call->arguments, "yes"))) {
        return finish_removal(call, index);
    }
    return admin_reply(call,
                       json_pack("{s:b,s:I,s:I,s:I,s:o}", "removed", false,
                                 "blobs", (json_int_t)loss.blobs, "shards",
                                 (json_int_t)loss.shards, "critical_blobs",
                                 (json_int_t)loss.critical, "drive",
                                 describe_one(call, index)));
}

static int remove_drive(struct admin_call *call)
{
    unsigned index = 0;
    const int error = drive_index(call, &index);
    if (error != 0) {
        return error;
    }
    const char *why_not = objection(call->server, index);
    if (why_not != NULL) {
        return admin_refuse(call, -EBUSY, why_not);
    }
    return json_is_true(json_object_get(call->arguments, "force"))
               ? remove_lost(call, index)
               : remove_empty(call, index);
}

const struct admin_command admin_drive_commands[] = {
    {.name = "drive.list", .run = list},
    {.name = "drive.replace", .run = replace},
    {.name = "drive.drain", .run = drain},
    {.name = "drive.use", .run = use},
    {.name = "drive.remove", .run = remove_drive},
    {.name = NULL},
};
