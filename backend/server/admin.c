/*
 * The commands of s3ctl for users, access keys and status; and finding them
 * all.
 */
#include "server/admin.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- arguments -------------------------------------------------------------*/
const char *admin_text(json_t *arguments, const char *name)
{
    return json_string_value(json_object_get(arguments, name));
}

int admin_refuse(struct buffer *out, int error, const char *message)
{
    json_t *object = json_pack("{s:s}", "error", message);
    char *text = json_dumps(object, JSON_COMPACT);
    out->size = 0;
    buffer_append_string(out, text);
    free(text);
    json_decref(object);
    return error;
}

int admin_done(struct buffer *out)
{
    buffer_append_string(out, "{}");
    return 0;
}

/* --- users and keys --------------------------------------------------------*/
static int user_add(struct server *server, json_t *arguments,
                    struct buffer *out)
{
    const struct iam_new_user user = {
        .name = admin_text(arguments, "name"),
        .root = json_is_true(json_object_get(arguments, "root")),
        .access_key = admin_text(arguments, "access_key"),
        .secret_key = admin_text(arguments, "secret_key"),
    };
    if (user.name == NULL) {
        return admin_refuse(out, -EINVAL, "name is missing");
    }
    const int error = iam_user_add(server->cluster.iam, &user, out);
    if (error == -EEXIST) {
        return admin_refuse(out, error, "the user or the access key exists");
    }
    if (error == -EINVAL) {
        return admin_refuse(
            out, error,
            "a name is 1 to 64 of A-Z a-z 0-9 + = , . @ _ -; keys "
            "must be of the form that S3 gives them");
    }
    return error;
}

static int user_list(struct server *server, json_t *arguments,
                     struct buffer *out)
{
    (void)arguments;
    return iam_user_list(server->cluster.iam, out);
}

static int user_delete(struct server *server, json_t *arguments,
                       struct buffer *out)
{
    const char *name = admin_text(arguments, "name");
    if (name == NULL) {
        return admin_refuse(out, -EINVAL, "name is missing");
    }
    const int error = iam_user_delete(server->cluster.iam, name);
    if (error == -ENOENT) {
        return admin_refuse(out, error, "no such user");
    }
    return error != 0 ? error : admin_done(out);
}

static int key_add(struct server *server, json_t *arguments, struct buffer *out)
{
    const char *user = admin_text(arguments, "user");
    if (user == NULL) {
        return admin_refuse(out, -EINVAL, "user is missing");
    }
    const int error = iam_user_key_add(server->cluster.iam, user, out);
    return error == -ENOENT ? admin_refuse(out, error, "no such user") : error;
}

static int key_change(json_t *arguments, struct buffer *out, struct iam *iam,
                      int (*change)(struct iam *iam, const char *key))
{
    const char *key = admin_text(arguments, "access_key");
    if (key == NULL) {
        return admin_refuse(out, -EINVAL, "access_key is missing");
    }
    const int error = change(iam, key);
    if (error == -ENOENT) {
        return admin_refuse(out, error, "no such access key");
    }
    return error != 0 ? error : admin_done(out);
}

static int key_delete(struct server *server, json_t *arguments,
                      struct buffer *out)
{
    return key_change(arguments, out, server->cluster.iam, iam_key_delete);
}

static int enable(struct iam *iam, const char *key)
{
    return iam_key_enable(iam, key, true);
}

static int disable(struct iam *iam, const char *key)
{
    return iam_key_enable(iam, key, false);
}

static int key_enable(struct server *server, json_t *arguments,
                      struct buffer *out)
{
    return key_change(arguments, out, server->cluster.iam, enable);
}

static int key_disable(struct server *server, json_t *arguments,
                       struct buffer *out)
{
    return key_change(arguments, out, server->cluster.iam, disable);
}

/* --- status ----------------------------------------------------------------*/
static json_t *status_drives(const struct cluster *cluster)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        struct drive *drive = cluster->drives[i];
        const struct drive_config *config = drive_config(drive);
        struct drive_usage usage = {0};
        drive_usage(drive, &usage);
        json_t *entry = json_pack(
            "{s:i,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:i}", "index", (int)i,
            "directory", config->directory, "domain", config->domain, "state",
            drive_state_name(drive_state(drive)), "total_bytes",
            (json_int_t)usage.total, "free_bytes", (json_int_t)usage.free,
            "pending_bytes", (json_int_t)usage.pending, "extents",
            (json_int_t)usage.extents, "load", (int)usage.load);
        /* A path that is not UTF-8 cannot be shown. */
        json_array_append_new(list, entry != NULL ? entry : json_object());
    }
    return list;
}

static json_t *status_requests(struct counters *counters)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < SERVER_OPERATIONS; i++) {
        char name[40];
        const uint64_t count = atomic_load(&counters->requests[i]);
        if (count == 0) {
            continue;
        }
        operation_name(i, name);
        json_object_set_new(object, name, json_integer((json_int_t)count));
    }
    return object;
}

static int status(struct server *server, json_t *arguments, struct buffer *out)
{
    struct counters *counters = &server->counters;
    (void)arguments;
    json_t *object =
        json_pack("{s:s,s:I,s:o,s:{s:i,s:i,s:i},s:i,s:I,s:I,s:o}", "version",
                  S3D_VERSION, "uptime_seconds",
                  (json_int_t)((clock_wall_ms() - server->started_ms) / 1000),
                  "drives", status_drives(&server->cluster), "connections",
                  "request", atomic_load(&counters->connections[COUNT_REQUEST]),
                  "control", atomic_load(&counters->connections[COUNT_CONTROL]),
                  "admin", atomic_load(&counters->connections[COUNT_ADMIN]),
                  "in_flight", atomic_load(&counters->in_flight),
                  "server_errors", (json_int_t)atomic_load(&counters->errors),
                  "aborted", (json_int_t)atomic_load(&counters->aborted),
                  "requests", status_requests(counters));
    invariant(object != NULL);
    char *text = json_dumps(object, JSON_COMPACT);
    buffer_append_string(out, text);
    free(text);
    json_decref(object);
    return 0;
}

/* --- the table -------------------------------------------------------------*/
static const struct admin_command commands[] = {
    {"user.add", user_add},
    {"user.list", user_list},
    {"user.delete", user_delete},
    {"key.add", key_add},
    {"key.delete", key_delete},
    {"key.enable", key_enable},
    {"key.disable", key_disable},
    {"status", status},
    {NULL, NULL},
};

static const struct admin_command *const tables[] = {commands,
                                                     admin_kms_commands};

static const struct admin_command *find(struct slice name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        const struct admin_command *command = tables[i];
        for (; command->name != NULL; command++) {
            if (slice_equal_string(name, command->name)) {
                return command;
            }
        }
    }
    return NULL;
}

bool admin_execute(struct server *server, struct slice name,
                   struct slice arguments, struct buffer *result)
{
    const struct admin_command *command = find(name);
    if (command == NULL) {
        return admin_refuse(result, -EINVAL, "unknown command") == 0;
    }

    json_t *object = json_loadb((const char *)arguments.data, arguments.size,
                                JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return admin_refuse(result, -EINVAL,
                            "arguments are not a JSON object") == 0;
    }
    const int error = command->run(server, object, result);
    json_decref(object);
    if (error == 0) {
        log_info("admin: %s", command->name);
    } else if (result->size == 0) {
        admin_refuse(result, error, strerror(-error));
    }
    return error == 0;
}
