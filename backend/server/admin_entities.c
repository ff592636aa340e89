/*
 * Users, groups, roles and managed policies: KIND.add, list, show, delete,
 * attach, detach, policy.put, policy.delete and what only some of them have.
 */
#include "server/admin.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- arguments -------------------------------------------------------------*/
struct subject {
    struct iam_account account;
    struct iam_name name;
};

static int find_subject(struct admin_call *call, struct subject *subject)
{
    const char *name = admin_text(call, "name");
    if (name == NULL) {
        return admin_refuse(call, -EINVAL, "name is missing");
    }
    const int error = admin_account(call, &subject->account);
    subject->name =
        (struct iam_name){call->command->kind, subject->account.number, name};
    return error;
}

/* A policy by its ARN, or by its name: the account's own, else a built in
 * one. */
static void find_policy_arn(struct admin_call *call, const char *account,
                            const char *policy, char arn[IAM_ARN_MAX + 1])
{
    struct iam_entity found;
    const struct iam_name own = {IAM_POLICY, account, policy};
    const struct iam_name built_in = {IAM_POLICY, IAM_BUILT_IN, policy};
    if (iam_get(call->iam, &own, &found) == 0 ||
        iam_get(call->iam, &built_in, &found) == 0) {
        copy_string(arn, IAM_ARN_MAX + 1, found.arn);
    } else {
        snprintf(arn, IAM_ARN_MAX + 1, "%s", policy);
    }
}

/* --- JSON ------------------------------------------------------------------*/
static json_t *entity_json(const struct iam_entity *entity)
{
    json_t *object = json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", entity->name,
                               "path", entity->path, "id", entity->id, "arn",
                               entity->arn, "description", entity->description);
    if (object == NULL) { /* a description that is not UTF-8 */
        object =
            json_pack("{s:s,s:s}", "name", entity->name, "arn", entity->arn);
    }
    admin_add_time(object, "created_ms", entity->created_ms);
    if (entity->kind == IAM_POLICY) {
        admin_add_time(object, "updated_ms", entity->updated_ms);
        json_object_set_new(object, "version", json_integer(entity->version));
        json_object_set_new(object, "attachments",
                            json_integer(entity->attachments));
    }
    if (entity->kind == IAM_ROLE) {
        json_object_set_new(object, "max_session_s",
                            json_integer(entity->max_session_s));
    }
    return object;
}

static bool append_entity(const struct iam_entity *entity, void *list)
{
    json_array_append_new(list, entity_json(entity));
    return true;
}

static bool append_name(const struct iam_entity *entity, void *list)
{
    json_array_append_new(list, json_string(entity->name));
    return true;
}

static bool append_arn(const struct iam_entity *entity, void *list)
{
    json_array_append_new(list, json_string(entity->arn));
    return true;
}

static bool append_key(const struct iam_key *key, void *list)
{
    json_array_append_new(list, json_pack("{s:s,s:b,s:b}", "access_key",
                                          key->access_key, "enabled",
                                          (int)key->enabled, "service_account",
                                          (int)key->service_account));
    return true;
}

/* Documents are shown as JSON, not as text in JSON. */
static json_t *document_json(struct buffer *json)
{
    json_t *document = json_loadb((char *)json->data, json->size, 0, NULL);
    buffer_free(json);
    return document != NULL ? document : json_null();
}

static bool append_text(const char *policy, void *list)
{
    json_array_append_new(list, json_string(policy));
    return true;
}

static json_t *inline_json(struct admin_call *call, const struct iam_name *name)
{
    json_t *names = json_array(), *policies = json_object(), *policy;
    size_t i;
    iam_inline_list(call->iam, name, append_text, names);
    json_array_foreach(names, i, policy)
    {
        struct buffer json = {0};
        const char *text = json_string_value(policy);
        if (iam_inline_get(call->iam, name, text, &json) == 0) {
            json_object_set_new(policies, text, document_json(&json));
        }
    }
    json_decref(names);
    return policies;
}

/* --- KIND.add, list, show, delete ------------------------------------------*/
/* A user comes with a key, told in the reply. */
static int add_key(struct admin_call *call, const struct subject *subject,
                   json_t *object)
{
    const struct iam_new_key wanted = {
        .account = subject->account.number,
        .user = subject->name.name,
        .access_key = admin_text(call, "access_key"),
        .secret_key = admin_text(call, "secret_key"),
    };
    char message[POLICY_MESSAGE_MAX];
    struct iam_credentials key;
    const int error = iam_key_add(call->iam, &wanted, &key, message);
    if (error == 0) {
        admin_add_credentials(object, &key);
        iam_credentials_wipe(&key);
    }
    return error;
}

static int entity_add(struct admin_call *call)
{
    struct subject subject = {0};
    char message[POLICY_MESSAGE_MAX] = "";
    struct iam_entity entity;
    int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    const struct iam_new_entity wanted = {
        .name = subject.name,
        .path = admin_text(call, "path"),
        .description = admin_text(call, "description"),
        .document = admin_document(call, "document"),
    };
    error = iam_create(call->iam, &wanted, &entity, message);
    if (error != 0) {
        return admin_outcome(call, error, message);
    }
    json_t *object = entity_json(&entity);
    if (subject.name.kind == IAM_USER) {
        error = add_key(call, &subject, object);
    }
    if (error != 0) {
        json_decref(object);
        iam_delete(call->iam, &subject.name, true);
        return admin_outcome(call, error, "");
    }
    return admin_reply(call, object);
}

static int entity_list(struct admin_call *call)
{
    const enum iam_kind kind = call->command->kind;
    struct iam_account account = {0};
    const int error = admin_account(call, &account);
    if (error != 0) {
        return error;
    }
    json_t *list = json_array();
    if (kind == IAM_POLICY) {
        iam_list(call->iam, kind, IAM_BUILT_IN, NULL, NULL, append_entity,
                 list);
    }
    iam_list(call->iam, kind, account.number, NULL, NULL, append_entity, list);
    return admin_reply(call, json_pack("{s:o}", "list", list));
}

static void add_policies(struct admin_call *call, const struct iam_name *name,
                         json_t *object)
{
    json_t *attached = json_array();
    iam_attached_list(call->iam, name, append_arn, attached);
    json_object_set_new(object, "attached", attached);
    json_object_set_new(object, "policies", inline_json(call, name));
}

static void add_details(struct admin_call *call, const struct iam_name *name,
                        const struct iam_entity *entity, json_t *object)
{
    struct buffer json = {0};
    json_t *list = json_array(), *keys = json_array();
    if (name->kind == IAM_USER) {
        iam_groups_of(call->iam, name, append_name, list);
        json_object_set(object, "groups", list);
        iam_key_list(call->iam, name->account, name->name, append_key, keys);
        json_object_set(object, "access_keys", keys);
    } else if (name->kind == IAM_GROUP) {
        iam_members_of(call->iam, name, append_name, list);
        json_object_set(object, "members", list);
    } else if (iam_document_get(call->iam, name, &json) == 0) {
        json_object_set_new(object,
                            name->kind == IAM_ROLE ? "trust" : "document",
                            document_json(&json));
    }
    if (name->kind == IAM_POLICY) {
        iam_attachments(call->iam, entity->arn, append_arn, list);
        json_object_set(object, "attached_to", list);
    } else {
        add_policies(call, name, object);
    }
    json_decref(list);
    json_decref(keys);
}

static int entity_show(struct admin_call *call)
{
    struct subject subject = {0};
    struct iam_entity entity;
    int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    error = iam_get(call->iam, &subject.name, &entity);
    if (error == -ENOENT && subject.name.kind == IAM_POLICY) {
        subject.name.account = IAM_BUILT_IN;
        error = iam_get(call->iam, &subject.name, &entity);
    }
    if (error != 0) {
        return admin_outcome(call, error, "");
    }
    json_t *object = entity_json(&entity);
    add_details(call, &subject.name, &entity, object);
    return admin_reply(call, object);
}

/* A user goes with keys and memberships: nobody else has those. */
static int entity_delete(struct admin_call *call)
{
    struct subject subject = {0};
    struct iam_entity gone = {0};
    int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    const bool cascade =
        subject.name.kind == IAM_USER || subject.name.kind == IAM_ROLE;
    error = iam_get(call->iam, &subject.name, &gone);
    if (error == 0) {
        error = iam_delete(call->iam, &subject.name, cascade);
    }
    if (error == 0) {
        error = meta_forget_owner_quota(call->server->cluster.meta,
                                        slice_from_string(gone.id));
    }
    return admin_outcome(call, error, "");
}

/* --- what they are given ---------------------------------------------------*/
static int change_attached(struct admin_call *call,
                           int (*change)(struct iam *, const struct iam_name *,
                                         const char *))
{
    const char *policy = admin_text(call, "policy");
    char arn[IAM_ARN_MAX + 1];
    struct subject subject = {0};
    const int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    if (policy == NULL) {
        return admin_refuse(call, -EINVAL, "policy is missing");
    }
    find_policy_arn(call, subject.account.number, policy, arn);
    return admin_outcome(call, change(call->iam, &subject.name, arn), "");
}

static int entity_attach(struct admin_call *call)
{
    return change_attached(call, iam_attach);
}

static int entity_detach(struct admin_call *call)
{
    return change_attached(call, iam_detach);
}

static int inline_put(struct admin_call *call)
{
    const char *policy = admin_text(call, "policy");
    char message[POLICY_MESSAGE_MAX] = "";
    struct subject subject = {0};
    int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    if (policy == NULL) {
        return admin_refuse(call, -EINVAL, "policy is missing");
    }
    error = iam_inline_put(call->iam, &subject.name, policy,
                           admin_document(call, "document"), message);
    return admin_outcome(call, error, message);
}

static int inline_delete(struct admin_call *call)
{
    const char *policy = admin_text(call, "policy");
    struct subject subject = {0};
    const int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    if (policy == NULL) {
        return admin_refuse(call, -EINVAL, "policy is missing");
    }
    return admin_outcome(
        call, iam_inline_delete(call->iam, &subject.name, policy), "");
}

/* A managed policy's document, or a role's trust policy. */
static int document_put(struct admin_call *call)
{
    char message[POLICY_MESSAGE_MAX] = "";
    struct subject subject = {0};
    int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    error = iam_document_put(call->iam, &subject.name,
                             admin_document(call, "document"), message);
    return admin_outcome(call, error, message);
}

static int change_group(struct admin_call *call,
                        int (*change)(struct iam *, const struct iam_name *,
                                      const char *))
{
    const char *group = admin_text(call, "group");
    struct subject subject = {0};
    const int error = find_subject(call, &subject);
    if (error != 0) {
        return error;
    }
    if (group == NULL) {
        return admin_refuse(call, -EINVAL, "group is missing");
    }
    return admin_outcome(call, change(call->iam, &subject.name, group), "");
}

static int user_join(struct admin_call *call)
{
    return change_group(call, iam_join);
}

static int user_leave(struct admin_call *call)
{
    return change_group(call, iam_leave);
}

/* --- the table -------------------------------------------------------------*/
#define EVERY(word, kind)                                                      \
    {word ".add", entity_add, kind}, {word ".list", entity_list, kind},        \
        {word ".show", entity_show, kind},                                     \
    {                                                                          \
        word ".delete", entity_delete, kind                                    \
    }
#define GRANTED(word, kind)                                                    \
    {word ".attach", entity_attach, kind},                                     \
        {word ".detach", entity_detach, kind},                                 \
        {word ".put-policy", inline_put, kind},                                \
    {                                                                          \
        word ".delete-policy", inline_delete, kind                             \
    }

const struct admin_command admin_entity_commands[] = {
    EVERY("user", IAM_USER),
    EVERY("group", IAM_GROUP),
    EVERY("role", IAM_ROLE),
    EVERY("policy", IAM_POLICY),
    GRANTED("user", IAM_USER),
    GRANTED("group", IAM_GROUP),
    GRANTED("role", IAM_ROLE),
    {"user.join", user_join, IAM_USER},
    {"user.leave", user_leave, IAM_USER},
    {"role.trust", document_put, IAM_ROLE},
    {"policy.update", document_put, IAM_POLICY},
    {NULL, NULL, IAM_USER},
};
