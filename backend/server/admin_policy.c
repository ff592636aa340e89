/*
 * Who may do what, and why: s3ctl policy simulate.
 */
#include "server/admin.h"

#include <errno.h>
#include <string.h>

#include "policy/policy.h"

#define GIVEN_MAX 64u

/* {"aws:SourceIp": "192.0.2.1"}; false: there is something else in it. */
static bool take_given(json_t *object, struct s3_given *given, size_t *count)
{
    const char *key;
    json_t *value;
    *count = 0;
    json_object_foreach(object, key, value)
    {
        if (*count == GIVEN_MAX || !json_is_string(value)) {
            return false;
        }
        given[*count].key = slice_from_string(key);
        given[(*count)++].value =
            slice_of(json_string_value(value), json_string_length(value));
    }
    return true;
}

static json_t *show(const struct s3_simulated *answer)
{
    json_t *object = json_pack("{s:s,s:b,s:s}", "decision",
                               answer->allowed ? "Allow" : "Deny", "explicit",
                               answer->explicit_deny, "source", answer->source);
    if (answer->by_policy) {
        json_object_set_new(object, "policy", json_string(answer->policy));
        json_object_set_new(object, "sid", json_string(answer->sid));
        json_object_set_new(object, "statement",
                            json_integer(answer->statement));
    }
    return object;
}

static int simulate(struct admin_call *call)
{
    struct s3_given given[GIVEN_MAX];
    struct s3_simulation simulation = {
        .principal = admin_text(call, "principal"),
        .action = admin_text(call, "action"),
        .resource = admin_text(call, "resource"),
        .given = given,
    };
    struct s3_simulated answer;
    if (simulation.principal == NULL || simulation.action == NULL ||
        simulation.resource == NULL ||
        !take_given(json_object_get(call->arguments, "context"), given,
                    &simulation.given_count)) {
        return admin_refuse(call, -EINVAL,
                            "principal, action and resource are needed; "
                            "context holds texts");
    }
    if (!policy_s3_action_known(slice_from_string(simulation.action))) {
        return admin_refuse(call, -EINVAL, "S3 has no such action");
    }
    const int error = s3_simulate(&call->server->service, &simulation, &answer);
    switch (error) {
    case 0:
        return admin_reply(call, show(&answer));
    case -ENOENT:
        return admin_refuse(call, error,
                            "no such user, role, root user or access key");
    case -EBADMSG:
    case -EKEYEXPIRED:
        return admin_refuse(call, error,
                            "a temporary key: ask for its user or role");
    case -EINVAL:
        return admin_refuse(call, error,
                            "a resource is arn:aws:s3:::BUCKET or "
                            "arn:aws:s3:::BUCKET/KEY");
    default:
        return admin_refuse(call, error, strerror(-error));
    }
}

const struct admin_command admin_policy_commands[] = {
    {"policy.simulate", simulate, 0},
    {NULL, NULL, 0},
};
