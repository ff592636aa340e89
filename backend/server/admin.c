/*
 * Commands of s3ctl: how they are found, and what all of them share.
 */
#include "server/admin.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- arguments -------------------------------------------------------------*/
const char *admin_text(const struct admin_call *call, const char *name)
{
    return json_string_value(json_object_get(call->arguments, name));
}

struct slice admin_document(const struct admin_call *call, const char *name)
{
    const json_t *value = json_object_get(call->arguments, name);
    return slice_of(json_string_value(value), json_string_length(value));
}

int admin_account(struct admin_call *call, struct iam_account *account)
{
    const int error =
        iam_account_get(call->iam, admin_text(call, "account"), account);
    return error != 0 ? admin_refuse(call, error, "no such account") : 0;
}

/* --- replies ---------------------------------------------------------------*/
int admin_reply(struct admin_call *call, json_t *object)
{
    struct buffer *out = call->out;
    invariant(object != NULL);
    const size_t size = json_dumpb(object, NULL, 0, JSON_COMPACT);
    invariant(size > 0);
    out->size = 0;
    buffer_reserve(out, size);
    invariant(json_dumpb(object, (char *)out->data, size, JSON_COMPACT) ==
              size);
    out->size = size;
    json_decref(object);
    return 0;
}

int admin_refuse(struct admin_call *call, int error, const char *message)
{
    admin_reply(call, json_pack("{s:s}", "error", message));
    return error;
}

int admin_outcome(struct admin_call *call, int error, const char *message)
{
    switch (error) {
    case 0:
        return admin_reply(call, json_object());
    case -ENOENT:
        return admin_refuse(call, error,
                            "no such thing: nobody and nothing "
                            "of that name, or not attached");
    case -EEXIST:
        return admin_refuse(call, error, "the name or the access key exists");
    case -EINVAL:
        return admin_refuse(
            call, error,
            message[0] != '\0'
                ? message
                : "malformed: a name is 1 to 64 of A-Z a-z 0-9 + = , . @ _ - "
                  "(groups, policies: 128), a path begins and ends with /, "
                  "keys must be of the form that S3 gives them");
    case -E2BIG:
        return admin_refuse(call, error, "the policy is too large");
    case -EDQUOT:
        return admin_refuse(call, error, "there are as many as there may be");
    case -EBUSY:
        return admin_refuse(call, error, "it is not empty, or still in use");
    case -EPERM:
        return admin_refuse(call, error,
                            "refused: it is built in, or nobody could "
                            "administrate any more");
    default:
        return admin_refuse(call, error, strerror(-error));
    }
}

void admin_add_time(json_t *object, const char *name, uint64_t ms)
{
    json_object_set_new(object, name, json_integer((json_int_t)ms));
}

void admin_add_credentials(json_t *object,
                           const struct iam_credentials *credentials)
{
    json_object_set_new(object, "access_key",
                        json_string(credentials->access_key));
    json_object_set_new(object, "secret_key",
                        json_string(credentials->secret_key));
}

/* --- status ----------------------------------------------------------------*/
static json_t *sample_json(const Wire__MetricSample *sample)
{
    json_t *object = json_object(), *labels = json_object();
    double count = 0;
    for (size_t i = 0; i < sample->n_labels; i++) {
        json_t *value = json_string(sample->labels[i]->value);
        json_object_set_new(labels, sample->labels[i]->name,
                            value != NULL ? value : json_string("?"));
    }
    for (size_t i = 0; i < sample->n_buckets; i++) {
        count += (double)sample->buckets[i];
    }
    if (sample->n_labels > 0) {
        json_object_set(object, "labels", labels);
    }
    json_decref(labels);
    if (sample->n_buckets > 0) {
        json_object_set_new(object, "count", json_real(count));
        json_object_set_new(object, "sum", json_real(sample->value));
    } else {
        json_object_set_new(object, "value", json_real(sample->value));
    }
    return object;
}

/* The numbers that s3_status has: {"s3d_threads": [{"value": 64}], ...}. */
static json_t *status_metrics(struct server *server)
{
    struct arena *arena = arena_new();
    struct metrics metrics;
    json_t *object = json_object();
    metrics_init(&metrics, arena_protobuf_allocator(arena));
    server_metrics(server, &metrics);
    for (size_t i = 0; i < metrics.message.n_families; i++) {
        const Wire__MetricFamily *family = metrics.message.families[i];
        json_t *list = json_array();
        for (size_t k = 0; k < family->n_samples; k++) {
            json_array_append_new(list, sample_json(family->samples[k]));
        }
        json_object_set_new(object, family->name, list);
    }
    arena_free(arena);
    return object;
}

static json_t *status_archive(struct archive *archive)
{
    struct archive_status status = {0};
    if (archive != NULL) {
        archive_look(archive, &status);
    }
    return json_pack("{s:i,s:I,s:I,s:I,s:I}", "copies", (int)status.copies,
                     "began_ms", (json_int_t)status.began_ms, "written_ms",
                     (json_int_t)status.written_ms, "snapshot_bytes",
                     (json_int_t)status.snapshot_bytes, "log_bytes",
                     (json_int_t)status.log_bytes);
}

static json_t *status_metadata(struct server *server)
{
    struct kv *kv = meta_kv(server->cluster.meta);
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    uint64_t epoch = 0;
    json_t *list = json_array();
    const unsigned count = kv_mirrors(kv, &epoch, status);
    for (unsigned i = 0; i < count; i++) {
        json_t *entry = json_pack(
            "{s:s,s:s,s:b,s:I,s:I,s:I}", "directory", status[i].directory,
            "state", kv_mirror_state_name(status[i].state), "primary",
            status[i].primary, "journaled", (json_int_t)status[i].journaled,
            "applied", (json_int_t)status[i].applied, "learned_bytes",
            (json_int_t)status[i].learned);
        json_array_append_new(list, entry != NULL ? entry : json_object());
    }
    return json_pack("{s:I,s:b,s:o,s:o}", "epoch", (json_int_t)epoch,
                     "read_only", kv_read_only(kv), "mirrors", list, "archive",
                     status_archive(server->archive));
}

static json_t *status_requests(struct counters *counters)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < SERVER_OPERATIONS; i++) {
        char name[OPERATION_NAME_SIZE];
        const uint64_t count = atomic_load(&counters->requests[i]);
        if (count == 0) {
            continue;
        }
        operation_name(i, name);
        json_object_set_new(object, name, json_integer((json_int_t)count));
    }
    return object;
}

static json_t *status_jump(struct server *server)
{
    return json_pack("{s:I,s:I}", "ms",
                     (json_int_t)atomic_load(&server->jump_ms), "time",
                     (json_int_t)atomic_load(&server->jump_time_ms));
}

static int status(struct admin_call *call)
{
    struct server *server = call->server;
    struct counters *counters = &server->counters;
    json_t *object =
        json_pack("{s:s,s:I,s:o,s:o,s:{s:i,s:i,s:i},s:i,s:I,s:I,s:o}",
                  "version", S3D_VERSION, "uptime_seconds",
                  (json_int_t)(server_uptime_us(server) / 1000000), "drives",
                  admin_drives(server), "metadata", status_metadata(server),
                  "connections", "request",
                  atomic_load(&counters->connections[COUNT_REQUEST]), "control",
                  atomic_load(&counters->connections[COUNT_CONTROL]), "admin",
                  atomic_load(&counters->connections[COUNT_ADMIN]), "in_flight",
                  atomic_load(&counters->in_flight), "server_errors",
                  (json_int_t)atomic_load(&counters->errors), "aborted",
                  (json_int_t)atomic_load(&counters->aborted), "requests",
                  status_requests(counters));
    json_object_set_new(object, "events", admin_events(server->publisher));
    json_object_set_new(object, "metrics", status_metrics(server));
    if (atomic_load(&server->jump_ms) != 0) {
        json_object_set_new(object, "clock_jump", status_jump(server));
    }
    return admin_reply(call, object);
}

/* --- the tables ------------------------------------------------------------*/
static const struct admin_command server_commands[] = {
    {.name = "status", .run = status},
    {.name = NULL},
};

static const struct admin_command *const tables[] = {
    server_commands,           admin_account_commands, admin_drive_commands,
    admin_durability_commands, admin_entity_commands,  admin_key_commands,
    admin_kms_commands,        admin_policy_commands,  admin_care_commands,
    admin_reclaim_commands,    admin_event_commands,   admin_rebalance_commands,
    admin_request_commands,    admin_backup_commands,  admin_quota_commands,
    admin_usage_commands,      admin_bucket_commands,  admin_upload_commands,
};

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

/* --- the log of changes ----------------------------------------------------*/
/* By the last word of its name, as new ones have such names too. */
static bool only_looks(const char *command)
{
    static const char *const words[] = {
        "durability", "list", "show", "simulate", "status", "tail", "verify"};
    const char *dot = strrchr(command, '.');
    const char *last = dot != NULL ? dot + 1 : command;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(last, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Documents are long, and what is secret is called so. */
static bool is_withheld(const char *argument)
{
    return strstr(argument, "secret") != NULL ||
           strstr(argument, "password") != NULL ||
           strstr(argument, "token") != NULL ||
           strcmp(argument, "document") == 0;
}

/* The reply says what is wrong. */
static void log_change(struct admin_call *call, unsigned uid, int error)
{
    const char *key;
    json_t *value, *shown = json_object(), *reply = NULL;
    json_object_foreach(call->arguments, key, value)
    {
        if (!is_withheld(key)) {
            json_object_set(shown, key, value);
        }
    }
    if (error != 0) {
        reply =
            json_loadb((const char *)call->out->data, call->out->size, 0, NULL);
    }
    const char *why = json_string_value(json_object_get(reply, "error"));
    s3_audit_command(call->server->service.changes, uid, call->command->name,
                     shown,
                     error == 0    ? ""
                     : why != NULL ? why
                                   : "failed");
    json_decref(reply);
    json_decref(shown);
}

bool admin_execute(struct server *server, unsigned uid, struct slice name,
                   struct slice arguments, struct buffer *result,
                   struct admin_sequel *sequel)
{
    struct admin_call call = {
        .server = server,
        .iam = server->cluster.iam,
        .command = find(name),
        .out = result,
    };
    if (call.command == NULL) {
        return admin_refuse(&call, -EINVAL, "unknown command") == 0;
    }
    call.arguments = json_loadb((const char *)arguments.data, arguments.size,
                                JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(call.arguments)) {
        json_decref(call.arguments);
        return admin_refuse(&call, -EINVAL,
                            "arguments are not a JSON object") == 0;
    }
    const int error = call.command->run(&call);
    *sequel = call.sequel;
    if (error == 0) {
        log_at(only_looks(call.command->name) ? LOG_LEVEL_DEBUG
                                              : LOG_LEVEL_INFO,
               "admin: %s", call.command->name);
    } else if (result->size == 0) {
        admin_outcome(&call, error, "");
    }
    if (server->service.changes != NULL && !only_looks(call.command->name)) {
        log_change(&call, uid, error);
    }
    json_decref(call.arguments);
    return error == 0;
}
