/*
 * The master keys of the keyring: s3ctl kms.
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

static int change(struct server *server, json_t *arguments, struct buffer *out,
                  int (*change_key)(struct crypt_provider *keyring,
                                    struct slice key))
{
    const char *name = admin_text(arguments, "key");
    if (name == NULL) {
        return admin_refuse(out, -EINVAL, "key is missing");
    }
    const int error = change_key(server->cluster.keyring, key_name(name));
    return error != 0 ? admin_refuse(out, error, reason(error))
                      : admin_done(out);
}

static int add(struct server *server, json_t *arguments, struct buffer *out)
{
    if (server->cluster.vault != NULL) {
        return admin_refuse(out, -ENOTSUP,
                            "Vault holds the keys of SSE-KMS: make it there");
    }
    return change(server, arguments, out, crypt_key_add);
}

static int rotate(struct server *server, json_t *arguments, struct buffer *out)
{
    return change(server, arguments, out, crypt_key_rotate);
}

static int enable_key(struct crypt_provider *keyring, struct slice key)
{
    return crypt_key_enable(keyring, key, true);
}

static int disable_key(struct crypt_provider *keyring, struct slice key)
{
    return crypt_key_enable(keyring, key, false);
}

static int enable(struct server *server, json_t *arguments, struct buffer *out)
{
    return change(server, arguments, out, enable_key);
}

static int disable(struct server *server, json_t *arguments, struct buffer *out)
{
    return change(server, arguments, out, disable_key);
}

static int list(struct server *server, json_t *arguments, struct buffer *out)
{
    (void)arguments;
    return crypt_key_list(server->cluster.keyring, out);
}

const struct admin_command admin_kms_commands[] = {
    {"kms.key.add", add},       {"kms.key.rotate", rotate},
    {"kms.key.enable", enable}, {"kms.key.disable", disable},
    {"kms.key.list", list},     {NULL, NULL},
};
