/*
 * The commands of s3ctl. Each takes a JSON object and answers one; an error
 * is {"error": "what is wrong"}.
 */
#include "server/private.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(struct server *server, json_t *arguments, struct buffer *out);
};

/* --- arguments -------------------------------------------------------------*/
static const char *text_argument(json_t *arguments, const char *name)
{
    return json_string_value(json_object_get(arguments, name));
}

static int refuse(struct buffer *out, int error, const char *message)
{
    json_t *object = json_pack("{s:s}", "error", message);
    char *text = json_dumps(object, JSON_COMPACT);
    out->size = 0;
    buffer_append_string(out, text);
    free(text);
    json_decref(object);
    return error;
}

static int done(struct buffer *out)
{
    buffer_append_string(out, "{}");
    return 0;
}

/* --- users and keys --------------------------------------------------------*/
static int user_add(struct server *server, json_t *arguments,
                    struct buffer *out)
{
    const struct iam_new_user user = {
        .name = text_argument(arguments, "name"),
        .root = json_is_true(json_object_get(arguments, "root")),
        .access_key = text_argument(arguments, "access_key"),
        .secret_key = text_argument(arguments, "secret_key"),
    };
    if (user.name == NULL) {
        return refuse(out, -EINVAL, "name is missing");
    }
    const int error = iam_user_add(server->cluster.iam, &user, out);
    if (error == -EEXIST) {
        return refuse(out, error, "the user or the access key exists");
    }
    if (error == -EINVAL) {
        return refuse(out, error,
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
    const char *name = text_argument(arguments, "name");
    if (name == NULL) {
        return refuse(out, -EINVAL, "name is missing");
    }
    const int error = iam_user_delete(server->cluster.iam, name);
    if (error == -ENOENT) {
        return refuse(out, error, "no such user");
    }
    return error != 0 ? error : done(out);
}

static int key_add(struct server *server, json_t *arguments, struct buffer *out)
{
    const char *user = text_argument(arguments, "user");
    if (user == NULL) {
        return refuse(out, -EINVAL, "user is missing");
    }
    const int error = iam_user_key_add(server->cluster.iam, user, out);
    return error == -ENOENT ? refuse(out, error, "no such user") : error;
}

static int key_change(json_t *arguments, struct buffer *out, struct iam *iam,
                      int (*change)(struct iam *iam, const char *key))
{
    const char *key = text_argument(arguments, "access_key");
    if (key == NULL) {
        return refuse(out, -EINVAL, "access_key is missing");
    }
    const int error = change(iam, key);
    if (error == -ENOENT) {
        return refuse(out, error, "no such access key");
    }
    return error != 0 ? error : done(out);
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
static const struct command commands[] = {
    {"user.add", user_add},       {"user.list", user_list},
    {"user.delete", user_delete}, {"key.add", key_add},
    {"key.delete", key_delete},   {"key.enable", key_enable},
    {"key.disable", key_disable}, {"status", status},
};

bool admin_execute(struct server *server, struct slice name,
                   struct slice arguments, struct buffer *result)
{
    const struct command *command = NULL;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (slice_equal_string(name, commands[i].name)) {
            command = &commands[i];
        }
    }
    if (command == NULL) {
        return refuse(result, -EINVAL, "unknown command") == 0;
    }

    json_t *object = json_loadb((const char *)arguments.data, arguments.size,
                                JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return refuse(result, -EINVAL, "arguments are not a JSON object") == 0;
    }
    const int error = command->run(server, object, result);
    json_decref(object);
    if (error == 0) {
        log_info("admin: %s", command->name);
    } else if (result->size == 0) {
        refuse(result, error, strerror(-error));
    }
    return error == 0;
}
