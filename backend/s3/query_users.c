/* Users and their access keys. */
#include "s3/query_actions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- users -----------------------------------------------------------------*/
void query_create_user(struct query *query)
{
    const struct iam_new_entity wanted = {
        .name = query->name, .path = query_optional(query, "Path")};
    struct iam_entity user;
    char message[POLICY_MESSAGE_MAX];
    int error = iam_create(query->iam, &wanted, &user, message);

    if (error != 0) {
        query_fail_errno(query, error, NULL);
        return;
    }
    xml_open(&query->result, "User");
    query_show_entity(&query->result, &user);
    xml_close(&query->result, "User");
}

/* The root user has no entity. */
static void show_root(struct query *query)
{
    struct buffer *out = &query->result;
    struct iam_account account;
    int error = iam_account_get(query->iam, query->name.account, &account);

    if (error != 0) {
        query_fail_errno(query, error, NULL);
        return;
    }
    xml_open(out, "User");
    xml_string(out, "Path", "/");
    xml_string(out, "UserName", account.name);
    xml_string(out, "UserId", account.number);
    xml_string(out, "Arn", query->call->identity.arn);
    xml_time(out, "CreateDate", account.created_ms);
    xml_close(out, "User");
}

void query_get_user(struct query *query)
{
    if (query->entity == NULL) {
        show_root(query);
        return;
    }
    xml_open(&query->result, "User");
    query_show_entity(&query->result, query->entity);
    xml_close(&query->result, "User");
}

/* In order: enough is enough. */
static bool list_entity(const struct iam_entity *entity, void *context)
{
    struct query_list *list = context;
    struct buffer *xml = query_list_add(list, entity->name);

    if (xml != NULL) {
        query_show_entity(xml, entity);
    }
    return !query_list_full(list);
}

static void list_entities(struct query *query, const char *element)
{
    struct query_list list;

    if (query_list_open(query, element, &list)) {
        query_list_close(&list, iam_list(query->iam, query->action->kind,
                                         query->name.account,
                                         query_optional(query, "PathPrefix"),
                                         list.marker, list_entity, &list));
    }
}

void query_list_users(struct query *query)
{
    list_entities(query, "Users");
}

void query_list_groups(struct query *query)
{
    list_entities(query, "Groups");
}

/* Of users and groups. It must be allowed of what they are, and of what they
 * will be. */
void query_rename(struct query *query)
{
    const char *name = query_optional(
        query, query->name.kind == IAM_USER ? "NewUserName" : "NewGroupName");
    const char *path = query_optional(query, "NewPath");
    char arn[IAM_ARN_MAX + 1];
    int error;

    query_arn(query, query->name.kind,
              path != NULL ? path : query->entity->path,
              name != NULL ? name : query->entity->name, arn);
    if (!query_allowed(query, arn)) {
        return;
    }
    error = iam_rename(query->iam, &query->name, name, path);
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

/* Of users, groups, roles and policies. */
void query_delete(struct query *query)
{
    struct meta *meta = query->call->service->meta;
    struct iam_entity gone = {0};
    int error = iam_get(query->iam, &query->name, &gone);

    if (error == 0) {
        error = iam_delete(query->iam, &query->name, false);
    }
    if (error == 0) {
        error = meta_forget_owner_quota(meta, slice_from_string(gone.id));
    }
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

/* --- access keys -----------------------------------------------------------*/
static const char *owner_name(const struct query *query)
{
    return query->name.name != NULL ? query->name.name
                                    : query->call->identity.name;
}

void query_create_access_key(struct query *query)
{
    const struct iam_new_key wanted = {.account = query->name.account,
                                       .user = query->name.name,
                                       .limit = IAM_USER_KEYS_MAX};
    struct buffer *out = &query->result;
    struct iam_credentials key;
    char message[POLICY_MESSAGE_MAX];
    int error = iam_key_add(query->iam, &wanted, &key, message);

    if (error != 0) {
        query_fail_errno(query, error, NULL);
        return;
    }
    snprintf(query->made, sizeof(query->made), "%s", key.access_key);
    query->call->secret_reply = true;
    buffer_reserve(out, 4096); /* no copy is left behind */
    xml_open(out, "AccessKey");
    xml_string(out, "UserName", owner_name(query));
    xml_string(out, "AccessKeyId", key.access_key);
    xml_string(out, "Status", "Active");
    xml_string(out, "SecretAccessKey", key.secret_key);
    xml_time(out, "CreateDate", clock_wall_ms());
    xml_close(out, "AccessKey");
    iam_credentials_wipe(&key);
}

static bool list_key(const struct iam_key *key, void *context)
{
    struct query_list *list = context;
    struct buffer *xml = query_list_add(list, key->access_key);

    if (xml != NULL) {
        xml_string(xml, "UserName", owner_name(list->query));
        xml_string(xml, "AccessKeyId", key->access_key);
        xml_string(xml, "Status", key->enabled ? "Active" : "Inactive");
        xml_time(xml, "CreateDate", key->created_ms);
    }
    return true;
}

void query_list_access_keys(struct query *query)
{
    struct query_list list;

    if (query_list_open(query, "AccessKeyMetadata", &list)) {
        query_list_close(&list,
                         iam_key_list(query->iam, query->name.account,
                                      query->name.name, list_key, &list));
    }
}

/* AccessKeyId, which must be one of the subject's. */
static bool take_key(struct query *query, const char **access_key)
{
    const char *user = query->name.name != NULL ? query->name.name : "";
    struct iam_key key;

    if (!query_required(query, "AccessKeyId", access_key)) {
        return false;
    }
    if (iam_key_get(query->iam, *access_key, &key) != 0 ||
        strcmp(key.account, query->name.account) != 0 ||
        strcmp(key.user, user) != 0) {
        query_fail(query, QUERY_NO_SUCH_ENTITY,
                   "The Access Key with id %.128s cannot be found.",
                   *access_key);
        return false;
    }
    return true;
}

void query_update_access_key(struct query *query)
{
    const char *access_key, *status;
    bool active;
    int error;

    if (!query_required(query, "Status", &status) ||
        !take_key(query, &access_key)) {
        return;
    }
    active = strcmp(status, "Active") == 0;
    if (!active && strcmp(status, "Inactive") != 0) {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "1 validation error detected: Value '%.64s' at 'status' "
                   "failed to satisfy constraint: Member must satisfy enum "
                   "value set: [Active, Inactive]",
                   status);
        return;
    }
    error = iam_key_enable(query->iam, access_key, active);
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

void query_delete_access_key(struct query *query)
{
    const char *access_key;
    int error;

    if (!take_key(query, &access_key)) {
        return;
    }
    error = iam_key_delete(query->iam, access_key);
    if (error != 0) {
        query_fail_errno(query, error, NULL);
    }
}

/* When a key was used is not kept: it is said so as IAM says it of a key that
 * was not. */
void query_access_key_last_used(struct query *query)
{
    struct buffer *out = &query->result;
    char arn[IAM_ARN_MAX + 1] = "*";
    const char *access_key;
    struct iam_entity user;
    struct iam_key key;
    bool found;

    if (!query_required(query, "AccessKeyId", &access_key)) {
        return;
    }
    found = iam_key_get(query->iam, access_key, &key) == 0 &&
            strcmp(key.account, query->name.account) == 0;
    if (found && key.user[0] != '\0') {
        const struct iam_name name = {IAM_USER, key.account, key.user};

        found = iam_get(query->iam, &name, &user) == 0;
        if (found) {
            copy_string(arn, sizeof(arn), user.arn);
        }
    }
    if (!query_allowed(query, arn)) {
        return;
    }
    if (!found) {
        query_fail(query, QUERY_NO_SUCH_ENTITY,
                   "The Access Key with id %.128s cannot be found.",
                   access_key);
        return;
    }
    xml_string(out, "UserName",
               key.user[0] != '\0' ? key.user : query->call->identity.name);
    xml_open(out, "AccessKeyLastUsed");
    xml_string(out, "ServiceName", "N/A");
    xml_string(out, "Region", "N/A");
    xml_close(out, "AccessKeyLastUsed");
}
