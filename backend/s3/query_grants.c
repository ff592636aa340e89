/* Policies of users, groups and roles: inline ones, and managed ones that are
 * attached. */
#include "s3/query_actions.h"

#include <errno.h>

/* --- inline ----------------------------------------------------------------*/
void query_put_inline(struct query *query)
{
    const char *policy, *document;
    char message[POLICY_MESSAGE_MAX];
    int error;

    if (!query_required(query, "PolicyName", &policy) ||
        !query_required(query, "PolicyDocument", &document)) {
        return;
    }
    error = iam_inline_put(query->iam, &query->name, policy,
                           slice_from_string(document), message);
    if (error != 0) {
        query_fail_errno(query, error, message);
    }
}

static void fail_no_policy(struct query *query, const char *policy, int error)
{
    if (error == -ENOENT) {
        query_fail(query, QUERY_NO_SUCH_ENTITY,
                   "The policy with name %.128s cannot be found.", policy);
    } else {
        query_fail_errno(query, error, NULL);
    }
}

void query_get_inline(struct query *query)
{
    static const char *const elements[] = {"UserName", "GroupName", "RoleName"};
    struct buffer *out = &query->result, json = {0};
    const char *policy;
    int error;

    if (!query_required(query, "PolicyName", &policy)) {
        return;
    }
    error = iam_inline_get(query->iam, &query->name, policy, &json);
    if (error == 0) {
        xml_string(out, elements[query->name.kind], query->name.name);
        xml_string(out, "PolicyName", policy);
        query_show_document(out, "PolicyDocument", &json);
    } else {
        fail_no_policy(query, policy, error);
    }
    buffer_free(&json);
}

void query_delete_inline(struct query *query)
{
    const char *policy;
    int error;

    if (!query_required(query, "PolicyName", &policy)) {
        return;
    }
    error = iam_inline_delete(query->iam, &query->name, policy);
    if (error != 0) {
        fail_no_policy(query, policy, error);
    }
}

static bool add_name(const char *policy, void *context)
{
    struct buffer *xml = query_list_add(context, policy);

    if (xml != NULL) {
        xml_escape(xml, slice_from_string(policy));
    }
    return true;
}

void query_list_inline(struct query *query)
{
    struct query_list list;

    if (query_list_open(query, "PolicyNames", &list)) {
        query_list_close(
            &list, iam_inline_list(query->iam, &query->name, add_name, &list));
    }
}

/* --- attached --------------------------------------------------------------*/
static void change(struct query *query,
                   int (*apply)(struct iam *iam, const struct iam_name *name,
                                const char *policy_arn))
{
    const char *arn;
    int error;

    if (!query_required(query, "PolicyArn", &arn)) {
        return;
    }
    error = apply(query->iam, &query->name, arn);
    if (error == -ENOENT) {
        query_fail(query, QUERY_NO_SUCH_ENTITY,
                   "Policy %.700s does not exist or is not attachable.", arn);
    } else if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

void query_attach(struct query *query)
{
    change(query, iam_attach);
}

void query_detach(struct query *query)
{
    change(query, iam_detach);
}

static bool add_attached(const struct iam_entity *policy, void *context)
{
    struct buffer *xml = query_list_add(context, policy->arn);

    if (xml != NULL) {
        xml_string(xml, "PolicyName", policy->name);
        xml_string(xml, "PolicyArn", policy->arn);
    }
    return true;
}

void query_list_attached(struct query *query)
{
    struct query_list list;

    if (query_list_open(query, "AttachedPolicies", &list)) {
        query_list_close(&list, iam_attached_list(query->iam, &query->name,
                                                  add_attached, &list));
    }
}
