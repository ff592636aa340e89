/*
 * Backups of the metadata (docs/backup.md): s3ctl backup.
 */
#include "archive/backup.h"
#include "server/admin.h"
#include <errno.h>
#include <string.h>

/* The file follows the reply. */
static int create(struct admin_call *call)
{
    struct backup *backup;
    const int error = backup_open(call->server->cluster.meta, &backup);
    if (error != 0) {
        return admin_refuse(call, error, strerror(-error));
    }
    const struct backup_summary *summary = backup_summary(backup);
    char cluster[2 * DRIVE_UUID_SIZE + 1];
    hex_encode(cluster, summary->cluster, DRIVE_UUID_SIZE);
    call->sequel.backup = backup;
    return admin_reply(
        call, json_pack("{s:s,s:I,s:I}", "cluster", cluster, "commit",
                        (json_int_t)summary->position.commit, "created_ms",
                        (json_int_t)summary->created_ms));
}

static int accept_restored(struct admin_call *call)
{
    if (!json_is_true(json_object_get(call->arguments, "yes"))) {
        return admin_refuse(call, -EPERM,
                            "refused: what was written after the restored "
                            "backup was made will be reclaimed for good; if "
                            "that is meant, say --yes");
    }
    const int error = cluster_accept_restored(&call->server->cluster);
    if (error != 0) {
        return admin_refuse(call, error, strerror(-error));
    }
    log_info("the restored metadata are accepted: extents are no longer held");
    return admin_reply(call, json_object());
}

const struct admin_command admin_backup_commands[] = {
    {.name = "backup.create", .run = create},
    {.name = "backup.accept", .run = accept_restored},
    {.name = NULL},
};
