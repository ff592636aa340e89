/* Roles, and what an account has. */
#include "s3/query_actions.h"

#include <errno.h>

/* --- roles -----------------------------------------------------------------*/
static int show_role(struct query *query, struct buffer *out,
                     const struct iam_entity *role)
{
    const struct iam_name name = {IAM_ROLE, role->account, role->name};
    struct buffer json = {0};
    int error = iam_document_get(query->iam, &name, &json);

    if (error == 0) {
        query_show_entity(out, role);
        query_show_document(out, "AssumeRolePolicyDocument", &json);
        if (role->description[0] != '\0') {
            xml_string(out, "Description", role->description);
        }
        xml_number(out, "MaxSessionDuration", role->max_session_s);
    }
    buffer_free(&json);
    return error;
}

static void reply_role(struct query *query, const struct iam_entity *role)
{
    int error;

    xml_open(&query->result, "Role");
    error = show_role(query, &query->result, role);
    xml_close(&query->result, "Role");
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

void query_create_role(struct query *query)
{
    const char *document;
    struct iam_new_entity wanted = {.name = query->name,
                                    .path = query_optional(query, "Path"),
                                    .description =
                                        query_optional(query, "Description")};
    struct iam_entity role;
    uint64_t max_session_s;
    char message[POLICY_MESSAGE_MAX];
    int error;

    if (!query_required(query, "AssumeRolePolicyDocument", &document) ||
        !query_number(query, "MaxSessionDuration", 3600, IAM_ROLE_SESSION_MAX_S,
                      3600, &max_session_s)) {
        return;
    }
    wanted.document = slice_from_string(document);
    wanted.max_session_s = (unsigned)max_session_s;
    error = iam_create(query->iam, &wanted, &role, message);
    if (error != 0) {
        query_fail_errno(query, error, message);
        return;
    }
    reply_role(query, &role);
}

void query_get_role(struct query *query)
{
    reply_role(query, query->entity);
}

/* Their trust policies are read when iam's lock is free again. */
static bool add_role(const struct iam_entity *role, void *context)
{
    query_list_add(context, role->name);
    return !query_list_full(context);
}

/* One that has gone since is shown without its trust policy. */
void query_list_roles(struct query *query)
{
    struct query_list list;
    struct iam_entity role;
    int error;

    if (!query_list_open(query, "Roles", &list)) {
        return;
    }
    error = iam_list(query->iam, IAM_ROLE, query->name.account,
                     query_optional(query, "PathPrefix"), list.marker, add_role,
                     &list);
    for (size_t i = 0; error == 0 && i < list.count; i++) {
        const struct iam_name name = {IAM_ROLE, query->name.account,
                                      list.items[i].name};

        if (iam_get(query->iam, &name, &role) == 0) {
            (void)show_role(query, &list.items[i].xml, &role);
        }
    }
    query_list_close(&list, error);
}

void query_update_role(struct query *query)
{
    uint64_t max_session_s;
    int error;

    if (!query_number(query, "MaxSessionDuration", 3600, IAM_ROLE_SESSION_MAX_S,
                      0, &max_session_s)) {
        return;
    }
    error = iam_describe(query->iam, &query->name,
                         query_form_find(&query->form, "Description"),
                         (unsigned)max_session_s);
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

void query_update_trust(struct query *query)
{
    const char *document;
    char message[POLICY_MESSAGE_MAX];
    int error;

    if (!query_required(query, "PolicyDocument", &document)) {
        return;
    }
    error = iam_document_put(query->iam, &query->name,
                             slice_from_string(document), message);
    if (error != 0) {
        query_fail_errno(query, error, message);
    }
}

/* --- the account -----------------------------------------------------------*/
static bool count_one(const struct iam_entity *entity, void *context)
{
    (void)entity;
    ++*(uint64_t *)context;
    return true;
}

void query_account_summary(struct query *query)
{
    static const char *const names[] = {"Users", "Groups", "Roles", "Policies"};
    struct buffer *out = &query->result;

    xml_open(out, "SummaryMap");
    for (int kind = IAM_USER; kind <= IAM_POLICY; kind++) {
        uint64_t count = 0;
        int error =
            iam_list(query->iam, (enum iam_kind)kind, query->name.account, NULL,
                     NULL, count_one, &count);

        if (error != 0) {
            query_fail_errno(query, error, NULL);
            return;
        }
        xml_open(out, "entry");
        xml_string(out, "key", names[kind]);
        xml_number(out, "value", count);
        xml_close(out, "entry");
    }
    xml_close(out, "SummaryMap");
}
