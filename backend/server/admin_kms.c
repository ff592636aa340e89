/*
 * The master keys of the keyring, and what they wrapped: s3ctl kms.
 */
#include "server/admin.h"
#include <errno.h>
#include <string.h>

/* What people call the key whose name is empty. */
#define SSE_S3_NAME "SSE-S3"

static struct slice key_name(const char *argument)
{
    return strcmp(argument, SSE_S3_NAME) == 0 ? slice_of(NULL, 0)
                                              : slice_from_string(argument);
}

static const char *reason(int error)
{
    switch (error) {
    case -ENOENT:
        return "no such key";
    case -EEXIST:
        return "the key exists";
    case -EINVAL:
        return "a name is 1 to 64 of A-Z a-z 0-9 / _ -; the key of SSE-S3 can "
               "only be rotated";
    case -ENOSPC:
        return "the keyring is full";
    default:
        return strerror(-error);
    }
}

static int change(struct admin_call *call,
                  int (*change_key)(struct crypt_provider *keyring,
                                    struct slice key))
{
    const char *name = admin_text(call, "key");
    if (name == NULL) {
        return admin_refuse(call, -EINVAL, "key is missing");
    }
    const int error = change_key(call->server->cluster.keyring, key_name(name));
    return error != 0 ? admin_refuse(call, error, reason(error))
                      : admin_reply(call, json_object());
}

static int add(struct admin_call *call)
{
    if (call->server->cluster.vault != NULL) {
        return admin_refuse(call, -ENOTSUP,
                            "Vault holds the keys of SSE-KMS: make it there");
    }
    return change(call, crypt_key_add);
}

static int rotate(struct admin_call *call)
{
    return change(call, crypt_key_rotate);
}

static int enable_key(struct crypt_provider *keyring, struct slice key)
{
    return crypt_key_enable(keyring, key, true);
}

static int disable_key(struct crypt_provider *keyring, struct slice key)
{
    return crypt_key_enable(keyring, key, false);
}

static int enable(struct admin_call *call)
{
    return change(call, enable_key);
}

static int disable(struct admin_call *call)
{
    return change(call, disable_key);
}

static int list(struct admin_call *call)
{
    return crypt_key_list(call->server->cluster.keyring, call->out);
}

/* --- envelopes after a rotation --------------------------------------------*/
static int rewrap(struct admin_call *call)
{
    const int error = s3_rewrap_start(call->server->rewrap);
    return error != 0 ? admin_refuse(call, error, strerror(-error))
                      : admin_reply(call, json_object());
}

static int rewrap_status(struct admin_call *call)
{
    struct s3_rewrap_status status;
    const int error = s3_rewrap_status(call->server->rewrap, &status);
    if (error != 0) {
        return admin_refuse(call, error,
                            error == -ENOENT ? "there was none yet"
                                             : strerror(-error));
    }
    const char *state = !status.under_way ? "done"
                        : status.waits    ? "waits"
                                          : "under way";
    json_t *object = json_pack("{s:s,s:I,s:I,s:I}", "state", state, "examined",
                               (json_int_t)status.examined, "rewrapped",
                               (json_int_t)status.rewrapped, "failed",
                               (json_int_t)status.failed);
    admin_add_time(object, "started", status.started_ms);
    admin_add_time(object, "completed", status.completed_ms);
    return admin_reply(call, object);
}

const struct admin_command admin_kms_commands[] = {
    {.name = "kms.key.add", .run = add},
    {.name = "kms.key.rotate", .run = rotate},
    {.name = "kms.key.enable", .run = enable},
    {.name = "kms.key.disable", .run = disable},
    {.name = "kms.key.list", .run = list},
    {.name = "kms.rewrap", .run = rewrap},
    {.name = "kms.rewrap.status", .run = rewrap_status},
    {.name = NULL},
};
