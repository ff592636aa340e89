/* One request of IAM or STS, from its form to its answer. */
#include "s3/query.h"
#include "s3/audit.h"

#include <jansson.h>
#include <string.h>

static const struct {
    const char *name, *version;
} services[] = {
    [QUERY_IAM] = {"iam", "2010-05-08"}, [QUERY_STS] = {"sts", "2011-06-15"}};

static bool take_form(struct query *query)
{
    const Wire__Request *request = query->call->request;
    const struct buffer *body = &query->call->xml;
    int rc = query_form_parse(query->call->arena,
                              slice_of(body->data, body->size), &query->form);

    for (size_t i = 0; rc == 0 && i < request->n_args; i++) {
        rc = query_form_add(query->call->arena, &query->form,
                            pb_slice(request->args[i]->name),
                            pb_slice(request->args[i]->value));
    }
    if (rc == 0) {
        return true;
    }
    query_fail(query, QUERY_MALFORMED_QUERY_STRING,
               "The form contains a syntax error, or a parameter twice.");
    return false;
}

static bool take_action(struct query *query)
{
    const char *name = query_form_find(&query->form, "Action");
    const char *version = query_form_find(&query->form, "Version");
    bool known = false;

    if (name != NULL &&
        (version == NULL ||
         strcmp(version, services[query->service].version) == 0)) {
        query->action = query_action_find(query->service, name, &known);
    }
    if (query->action != NULL) {
        return true;
    }
    if (known) {
        query_fail(query, QUERY_NOT_IMPLEMENTED,
                   "The action %.128s is not implemented.", name);
    } else {
        query_fail(query, QUERY_INVALID_ACTION,
                   "Could not find operation %.128s for version %.32s",
                   name != NULL ? name : "unspecified",
                   version != NULL ? version : "NO_VERSION_SPECIFIED");
    }
    return false;
}

/* Only who comes from elsewhere, with a token, need not sign. */
static bool take_caller(struct query *query)
{
    const char *action = query_form_find(&query->form, "Action");

    if (!call_is_anonymous(query->call) ||
        (action != NULL && strcmp(action, "AssumeRoleWithWebIdentity") == 0)) {
        return true;
    }
    query_fail(query, QUERY_MISSING_AUTHENTICATION,
               "Request is missing Authentication Token");
    return false;
}

/* What would have an effect and has none here: nothing pretends. */
static bool take_supported(struct query *query)
{
    static const char *const absent[] = {
        "Tags.",        "TransitiveTagKeys.", "PermissionsBoundary",
        "SerialNumber", "TokenCode",          "SourceIdentity",
        "ProviderId",   "ProvidedContexts.",
    };

    for (size_t i = 0; i < query->form.count; i++) {
        struct slice name = query->form.fields[i].name;

        for (size_t k = 0; k < sizeof(absent) / sizeof(absent[0]); k++) {
            if (slice_has_prefix(name, slice_from_string(absent[k]))) {
                query_fail(query, QUERY_NOT_IMPLEMENTED,
                           "The parameter %.128s is not implemented.",
                           (const char *)name.data);
                return false;
            }
        }
    }
    return true;
}

/* Actions of IAM that only look are named so; of STS one does. */
static bool is_change(const struct query *query)
{
    const char *name = query->action->name;

    return query->service == QUERY_STS
               ? strcmp(name, "GetCallerIdentity") != 0
               : strncmp(name, "Get", 3) != 0 && strncmp(name, "List", 4) != 0;
}

/* Anybody may send what is longer than a name or an ARN can be. */
static json_t *beginning(const char *value)
{
    size_t size = strnlen(value, IAM_ARN_MAX + 1);

    if (size > IAM_ARN_MAX) {
        size = IAM_ARN_MAX;
        while (size > 0 && (value[size] & 0xc0) == 0x80) { /* in a character */
            size--;
        }
    }
    return json_stringn(value, size);
}

static void log_change(const struct query *query)
{
    static const char *const parameters[] = {
        "UserName",        "GroupName",      "RoleName",     "PolicyName",
        "PolicyArn",       "AccessKeyId",    "Status",       "NewUserName",
        "NewPath",         "NewGroupName",   "SetAsDefault", "RoleArn",
        "RoleSessionName", "DurationSeconds"};
    struct s3_audit *log = query->call->service->changes;
    json_t *given;

    if (log == NULL || query->action == NULL || !is_change(query)) {
        return;
    }
    given = json_object();
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        const char *value = query_form_find(&query->form, parameters[i]);

        if (value != NULL) {
            json_object_set_new(given, parameters[i], beginning(value));
        }
    }
    if (query->made[0] != '\0') {
        json_object_set_new(given, "AccessKeyId", json_string(query->made));
    }
    if (query->subject != NULL) {
        json_object_set_new(given, "Provider", json_string(query->provider));
        json_object_set_new(given, "SubjectFromWebIdentityToken",
                            json_string(query->subject));
    }
    audit_identity_change(log, query->call, query->action->name, query->arn,
                          given);
}

void query_run(struct s3_call *call)
{
    struct query query = {.call = call, .iam = call->service->iam};

    query.service = slice_equal_string(pb_slice(call->request->service),
                                       services[QUERY_IAM].name)
                        ? QUERY_IAM
                        : QUERY_STS;
    if (take_form(&query) && take_caller(&query) && take_action(&query) &&
        take_supported(&query) && query_subject(&query)) {
        query.action->run(&query);
        if (!query.failed) {
            query_reply(&query);
        }
    }
    invariant(call->done);
    log_change(&query);
    if (call->secret_reply && query.result.size > 0) {
        explicit_bzero(query.result.data, query.result.size);
    }
    buffer_free(&query.result);
}
