/*
 * Backups of the metadata (docs/backup.md): s3ctl backup.
 */
#include "archive/backup.h"
#include "server/admin.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The reply of both; the file follows, if it has something. */
static int reply(struct admin_call *call, struct backup *backup,
                 const char *name, bool file)
{
    const struct backup_summary *summary = backup_summary(backup);
    char store[2 * KV_STORE_ID_SIZE + 1];
    hex_encode(store, summary->position.store, KV_STORE_ID_SIZE);
    json_t *object =
        json_pack("{s:b,s:s,s:s,s:I,s:I}", "file", file, "name", name, "store",
                  store, "commit", (json_int_t)summary->position.commit,
                  "created_ms", (json_int_t)summary->created_ms);
    if (file) {
        call->sequel.backup = backup;
    } else {
        backup_close(backup);
    }
    return admin_reply(call, object);
}

/* "s3d-20250102T030405Z-0000000000001234.backup": of the moment and commit. */
static int create(struct admin_call *call)
{
    struct backup *backup;
    const int error = backup_open(call->server->cluster.meta, &backup);
    if (error != 0) {
        return admin_refuse(call, error, strerror(-error));
    }
    const struct backup_summary *summary = backup_summary(backup);
    const time_t at = (time_t)(summary->created_ms / 1000);
    struct tm utc;
    char moment[32], name[80];
    gmtime_r(&at, &utc);
    strftime(moment, sizeof(moment), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(name, sizeof(name), "s3d-%s-%016" PRIx64 ".backup", moment,
             summary->position.commit);
    return reply(call, backup, name, true);
}

static int refuse_journal(struct admin_call *call, int error)
{
    switch (error) {
    case -ERANGE:
        admin_reply(call, json_pack("{s:s,s:b}", "error",
                                    "what follows is not in the journal any "
                                    "more: make a new backup",
                                    "gone", true));
        return error;
    case -ESTALE:
        return admin_refuse(call, error,
                            "the directory has a backup of another store: make "
                            "one of this in another directory");
    default:
        return admin_refuse(call, error, strerror(-error));
    }
}

/* What the journal has after a commit of this store. */
static int journal(struct admin_call *call)
{
    const struct slice digits = admin_document(call, "store");
    const json_int_t after =
        json_integer_value(json_object_get(call->arguments, "after"));
    uint8_t store[KV_STORE_ID_SIZE];
    char name[BACKUP_PIECE_SIZE];
    struct backup *backup;
    if (digits.size != 2 * KV_STORE_ID_SIZE || hex_decode(store, digits) != 0) {
        return admin_refuse(call, -EINVAL, "a store has 32 hex digits");
    }
    const int error = backup_open_journal(call->server->cluster.meta, store,
                                          (uint64_t)after, &backup);
    if (error != 0) {
        return refuse_journal(call, error);
    }
    const uint64_t last = backup_summary(backup)->position.commit;
    backup_piece_name(name, (uint64_t)after, last);
    return reply(call, backup, name, last > (uint64_t)after);
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
    {.name = "backup.journal", .run = journal},
    {.name = "backup.accept", .run = accept_restored},
    {.name = NULL},
};
