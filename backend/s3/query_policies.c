/*
 * Managed policies. Of their versions the newest is kept and is the default.
 */
#include "s3/query_actions.h"

#include <stdio.h>
#include <string.h>

static void show(struct query *query, const struct iam_entity *policy)
{
    xml_open(&query->result, "Policy");
    query_show_policy(&query->result, policy);
    xml_close(&query->result, "Policy");
}

void query_create_policy(struct query *query)
{
    const char *document;
    struct iam_new_entity wanted = {.name = query->name,
                                    .path = query_optional(query, "Path"),
                                    .description =
                                        query_optional(query, "Description")};
    struct iam_entity policy;
    char message[POLICY_MESSAGE_MAX];
    int error;

    if (!query_required(query, "PolicyDocument", &document)) {
        return;
    }
    wanted.document = slice_from_string(document);
    error = iam_create(query->iam, &wanted, &policy, message);
    if (error != 0) {
        query_fail_errno(query, error, message);
        return;
    }
    show(query, &policy);
}

void query_get_policy(struct query *query)
{
    show(query, query->entity);
}

/* --- versions --------------------------------------------------------------*/
static void show_version(struct buffer *out, const struct iam_entity *policy,
                         const struct buffer *json)
{
    char version[16];

    snprintf(version, sizeof(version), "v%u", policy->version);
    if (json != NULL) {
        query_show_document(out, "Document", json);
    }
    xml_string(out, "VersionId", version);
    xml_bool(out, "IsDefaultVersion", true);
    xml_time(out, "CreateDate", policy->updated_ms);
}

void query_get_policy_version(struct query *query)
{
    const char *version;
    struct buffer json = {0};
    char newest[16];
    int error;

    if (!query_required(query, "VersionId", &version)) {
        return;
    }
    snprintf(newest, sizeof(newest), "v%u", query->entity->version);
    if (strcmp(version, newest) != 0) {
        query_fail(query, QUERY_NO_SUCH_ENTITY,
                   "Policy %s version %.32s does not exist.",
                   query->entity->arn, version);
        return;
    }
    error = iam_document_get(query->iam, &query->name, &json);
    if (error == 0) {
        xml_open(&query->result, "PolicyVersion");
        show_version(&query->result, query->entity, &json);
        xml_close(&query->result, "PolicyVersion");
    } else {
        query_fail_errno(query, error, NULL);
    }
    buffer_free(&json);
}

void query_list_policy_versions(struct query *query)
{
    struct query_list list;
    struct buffer *xml;

    if (query_list_open(query, "Versions", &list)) {
        xml = query_list_add(&list, "v");
        if (xml != NULL) {
            show_version(xml, query->entity, NULL);
        }
        query_list_close(&list, 0);
    }
}

void query_create_policy_version(struct query *query)
{
    const char *as_default = query_optional(query, "SetAsDefault");
    const char *document;
    struct iam_entity policy;
    char message[POLICY_MESSAGE_MAX];
    int error;

    if (!query_required(query, "PolicyDocument", &document)) {
        return;
    }
    if (as_default == NULL || strcmp(as_default, "true") != 0) {
        query_fail(query, QUERY_NOT_IMPLEMENTED,
                   "A version that is not the default is not implemented: "
                   "SetAsDefault must be true.");
        return;
    }
    error = iam_document_put(query->iam, &query->name,
                             slice_from_string(document), message);
    if (error == 0) {
        error = iam_get(query->iam, &query->name, &policy);
    }
    if (error != 0) {
        query_fail_errno(query, error, message);
        return;
    }
    xml_open(&query->result, "PolicyVersion");
    show_version(&query->result, &policy, NULL);
    xml_close(&query->result, "PolicyVersion");
}

/* --- lists -----------------------------------------------------------------*/
struct policy_list {
    struct query_list list;
    bool only_attached;
};

static bool add_policy(const struct iam_entity *policy, void *context)
{
    struct policy_list *policies = context;
    struct buffer *xml = NULL;

    if (!policies->only_attached || policy->attachments > 0) {
        xml = query_list_add(&policies->list, policy->arn);
    }
    if (xml != NULL) {
        query_show_policy(xml, policy);
    }
    return true;
}

void query_list_policies(struct query *query)
{
    const char *scope = query_optional(query, "Scope");
    const char *only = query_optional(query, "OnlyAttached");
    const char *path = query_optional(query, "PathPrefix");
    const bool all = scope == NULL || strcmp(scope, "All") == 0;
    struct policy_list policies = {.only_attached = only != NULL &&
                                                    strcmp(only, "true") == 0};
    int error = 0;

    if (!all && strcmp(scope, "AWS") != 0 && strcmp(scope, "Local") != 0) {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "1 validation error detected: Value '%.64s' at 'scope' "
                   "failed to satisfy constraint: Member must satisfy enum "
                   "value set: [All, AWS, Local]",
                   scope);
        return;
    }
    if (!query_list_open(query, "Policies", &policies.list)) {
        return;
    }
    if (all || strcmp(scope, "Local") == 0) {
        error = iam_list(query->iam, IAM_POLICY, query->name.account, path,
                         NULL, add_policy, &policies);
    }
    if (error == 0 && (all || strcmp(scope, "AWS") == 0)) {
        error = iam_list(query->iam, IAM_POLICY, IAM_BUILT_IN, path, NULL,
                         add_policy, &policies);
    }
    query_list_close(&policies.list, error);
}

/* --- to whom it is attached ------------------------------------------------*/
struct holders {
    struct query *query;
    struct buffer xml[3]; /* by kind */
};

static bool add_holder(const struct iam_entity *holder, void *context)
{
    struct holders *holders = context;
    struct buffer *xml = &holders->xml[holder->kind];
    static const char *const elements[][2] = {{"UserName", "UserId"},
                                              {"GroupName", "GroupId"},
                                              {"RoleName", "RoleId"}};

    /* A built-in policy is attached in other accounts too. */
    if (strcmp(holder->account, holders->query->call->identity.account) == 0) {
        xml_open(xml, "member");
        xml_string(xml, elements[holder->kind][0], holder->name);
        xml_string(xml, elements[holder->kind][1], holder->id);
        xml_close(xml, "member");
    }
    return true;
}

/* At most one page: an account has no more that could be attached to. */
void query_list_entities_for_policy(struct query *query)
{
    static const char *const elements[] = {"PolicyUsers", "PolicyGroups",
                                           "PolicyRoles"};
    struct holders holders = {.query = query};
    int error =
        iam_attachments(query->iam, query->entity->arn, add_holder, &holders);

    for (size_t i = 0; i < 3; i++) {
        xml_open(&query->result, elements[i]);
        buffer_append(&query->result, holders.xml[i].data, holders.xml[i].size);
        xml_close(&query->result, elements[i]);
        buffer_free(&holders.xml[i]);
    }
    xml_bool(&query->result, "IsTruncated", false);
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}
