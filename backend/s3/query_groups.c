/* Groups and who is in them. */
#include "s3/query_actions.h"

void query_create_group(struct query *query)
{
    const struct iam_new_entity wanted = {
        .name = query->name, .path = query_optional(query, "Path")};
    struct iam_entity group;
    char message[POLICY_MESSAGE_MAX];
    int error = iam_create(query->iam, &wanted, &group, message);

    if (error != 0) {
        query_fail_errno(query, error, NULL);
        return;
    }
    xml_open(&query->result, "Group");
    query_show_entity(&query->result, &group);
    xml_close(&query->result, "Group");
}

static bool add_entity(const struct iam_entity *entity, void *context)
{
    struct buffer *xml = query_list_add(context, entity->name);

    if (xml != NULL) {
        query_show_entity(xml, entity);
    }
    return true;
}

void query_get_group(struct query *query)
{
    struct query_list list;

    if (!query_list_open(query, "Users", &list)) {
        return;
    }
    xml_open(&query->result, "Group");
    query_show_entity(&query->result, query->entity);
    xml_close(&query->result, "Group");
    query_list_close(
        &list, iam_members_of(query->iam, &query->name, add_entity, &list));
}

void query_list_groups_for_user(struct query *query)
{
    struct query_list list;

    if (query_list_open(query, "Groups", &list)) {
        query_list_close(
            &list, iam_groups_of(query->iam, &query->name, add_entity, &list));
    }
}

static void change(struct query *query,
                   int (*apply)(struct iam *iam, const struct iam_name *user,
                                const char *group))
{
    struct iam_name user = {IAM_USER, query->name.account, NULL};
    int error;

    if (!query_required(query, "UserName", &user.name)) {
        return;
    }
    error = apply(query->iam, &user, query->name.name);
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

void query_add_user_to_group(struct query *query)
{
    change(query, iam_join);
}

void query_remove_user_from_group(struct query *query)
{
    change(query, iam_leave);
}
