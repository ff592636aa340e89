#include "s3/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "s3/authorize_context.h"

struct s3_audit {
    pthread_mutex_t lock; /* of fd: not while a line is written */
    int fd;
    char *path;
};

static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

    return fd >= 0 ? fd : -errno;
}

int s3_audit_open(const char *path, struct s3_audit **log)
{
    int fd = open_file(path);

    *log = NULL;
    if (fd < 0) {
        return fd;
    }
    *log = xcalloc(1, sizeof(**log));
    (*log)->fd = fd;
    (*log)->path = xstrdup(path);
    pthread_mutex_init(&(*log)->lock, NULL);
    return 0;
}

int s3_audit_reopen(struct s3_audit *log)
{
    int fd = open_file(log->path);

    if (fd < 0) {
        return fd;
    }
    pthread_mutex_lock(&log->lock);
    close(log->fd);
    log->fd = fd;
    pthread_mutex_unlock(&log->lock);
    return 0;
}

void s3_audit_close(struct s3_audit *log)
{
    if (log == NULL) {
        return;
    }
    close(log->fd);
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log);
}

const char *audit_source_name(enum policy_source source)
{
    switch (source) {
    case POLICY_BY_ROOT:
        return "root";
    case POLICY_BY_IDENTITY:
        return "identity";
    case POLICY_BY_SESSION:
        return "session";
    case POLICY_BY_RESOURCE:
        return "bucket-policy";
    case POLICY_BY_ACL:
        return "acl";
    default:
        return "default";
    }
}

static void set_text(json_t *line, const char *name, struct slice text)
{
    json_object_set_new(line, name,
                        json_stringn((const char *)text.data, text.size));
}

/* One write a line: lines of several threads do not mix. */
static void write_line(struct s3_audit *log, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    size_t size = text != NULL ? strlen(text) : 0;
    ssize_t written = 0;

    invariant(text != NULL);
    text[size] = '\n'; /* in the place of the NUL: the size is known */
    pthread_mutex_lock(&log->lock);
    written = write(log->fd, text, size + 1);
    pthread_mutex_unlock(&log->lock);
    if (written != (ssize_t)size + 1) {
        log_error("a line of the audit log is lost: %s",
                  written < 0 ? strerror(errno) : "the file is full");
    }
    free(text);
}

static json_t *timed_line(void)
{
    char time[32];
    json_t *line = json_object();

    time_iso8601(time, clock_wall_ms());
    json_object_set_new(line, "time", json_string(time));
    return line;
}

/* When, whence and by whom. */
static json_t *start_line(const struct s3_call *call)
{
    json_t *line = timed_line();

    set_text(line, "requestId", pb_slice(call->request->request_id));
    set_text(line, "sourceIp", pb_slice(call->request->source_ip));
    json_object_set_new(line, "principal",
                        json_string(call_is_anonymous(call)
                                        ? "anonymous"
                                        : call->identity.arn));
    return line;
}

void audit_decision(struct s3_audit *log, const struct s3_call *call,
                    const struct policy_request *request,
                    const struct policy_decision *decision)
{
    const char *policy = access_policy_name(&call->identity, decision);
    json_t *line;

    if (log == NULL) {
        return;
    }
    line = start_line(call);
    set_text(line, "action", request->action);
    set_text(line, "resource", request->resource);
    json_object_set_new(line, "decision",
                        json_string(decision->allowed ? "Allow" : "Deny"));
    json_object_set_new(line, "source",
                        json_string(audit_source_name(decision->source)));
    if (policy != NULL) {
        if (policy[0] != '\0') {
            json_object_set_new(line, "policy", json_string(policy));
        }
        json_object_set_new(line, "sid",
                            json_string(decision->reason.sid != NULL
                                            ? decision->reason.sid
                                            : ""));
        json_object_set_new(line, "statement",
                            json_integer(decision->reason.statement));
    }
    write_line(log, line);
    json_decref(line);
}

/* --- changes ---------------------------------------------------------------*/
static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* By its name, as new operations have such names too. */
static bool changes_bucket(const char *operation)
{
    static const char *const verbs[] = {"Create", "Put", "Delete"};
    static const char *const objects[] = {"Bucket", "PublicAccessBlock",
                                          "ObjectLockConfiguration"};

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!has_prefix(operation, verbs[i])) {
            continue;
        }
        for (size_t k = 0; k < sizeof(objects) / sizeof(objects[0]); k++) {
            if (has_prefix(operation + strlen(verbs[i]), objects[k])) {
                return true;
            }
        }
    }
    return false;
}

static void write_change(struct s3_audit *log, const struct s3_call *call,
                         json_t *line, unsigned status)
{
    set_text(line, "accessKey", pb_slice(call->request->access_key));
    json_object_set_new(line, "status", json_integer(status));
    json_object_set_new(line, "error", json_string(s3_call_error(call)));
    write_line(log, line);
    json_decref(line);
}

void audit_bucket_change(struct s3_audit *log, const struct s3_call *call,
                         unsigned status)
{
    json_t *line;

    if (log == NULL || call->operation == NULL ||
        !changes_bucket(call->operation->name)) {
        return;
    }
    line = start_line(call);
    json_object_set_new(line, "change", json_string("bucket"));
    json_object_set_new(line, "operation", json_string(call->operation->name));
    set_text(line, "target", call->bucket_name);
    write_change(log, call, line, status);
}

void audit_identity_change(struct s3_audit *log, const struct s3_call *call,
                           const char *action, const char *arn,
                           json_t *parameters)
{
    json_t *line;

    if (log == NULL) {
        json_decref(parameters);
        return;
    }
    line = start_line(call);
    json_object_set_new(line, "change", json_string("identity"));
    json_object_set_new(line, "operation", json_string(action));
    json_object_set_new(line, "target", json_string(arn));
    json_object_set_new(line, "parameters", parameters);
    write_change(log, call, line, call->reply.status);
}

void s3_audit_command(struct s3_audit *log, unsigned uid, const char *command,
                      json_t *arguments, const char *error)
{
    json_t *line;
    char principal[32];

    if (log == NULL) {
        return;
    }
    snprintf(principal, sizeof(principal), "uid %u", uid);
    line = timed_line();
    json_object_set_new(line, "sourceIp", json_string("admin socket"));
    json_object_set_new(line, "principal", json_string(principal));
    json_object_set_new(line, "change", json_string("administration"));
    json_object_set_new(line, "operation", json_string(command));
    json_object_set(line, "parameters", arguments);
    json_object_set_new(line, "error", json_string(error));
    write_line(log, line);
    json_decref(line);
}
