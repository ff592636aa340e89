/*
 * Accounts: account.add, list, show, block, delete.
 */
#include "server/admin.h"
#include <errno.h>
#include <string.h>

/* As S3 calls them. */
static const struct {
    const char *name;
    unsigned bit;
} blocks[] = {
    {"BlockPublicAcls", IAM_BLOCK_ACLS},
    {"IgnorePublicAcls", IAM_IGNORE_ACLS},
    {"BlockPublicPolicy", IAM_BLOCK_POLICY},
    {"RestrictPublicBuckets", IAM_RESTRICT_BUCKETS},
};
#define BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

static json_t *account_json(const struct iam_account *account)
{
    json_t *object = json_pack("{s:s,s:s,s:s,s:b}", "name", account->name,
                               "number", account->number, "id", account->id,
                               "operator", (int)account->is_operator);
    admin_add_time(object, "created_ms", account->created_ms);
    json_t *list = json_array();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (account->public_access & blocks[i].bit) {
            json_array_append_new(list, json_string(blocks[i].name));
        }
    }
    json_object_set_new(object, "public_access_block", list);
    return object;
}

static int account_add(struct admin_call *call)
{
    const struct iam_new_account wanted = {
        .name = admin_text(call, "name"),
        .is_operator =
            json_is_true(json_object_get(call->arguments, "operator")),
        .access_key = admin_text(call, "access_key"),
        .secret_key = admin_text(call, "secret_key"),
    };
    struct iam_account account = {0};
    struct iam_credentials key;

    if (wanted.name == NULL) {
        return admin_refuse(call, -EINVAL, "name is missing");
    }
    const int error = iam_account_add(call->iam, &wanted, &account, &key);
    if (error != 0) {
        return admin_outcome(call, error, "");
    }
    json_t *object = account_json(&account);
    admin_add_credentials(object, &key);
    iam_credentials_wipe(&key);
    return admin_reply(call, object);
}

static bool list_one(const struct iam_account *account, void *list)
{
    json_array_append_new(list, account_json(account));
    return true;
}

static int account_list(struct admin_call *call)
{
    json_t *list = json_array();
    iam_account_list(call->iam, list_one, list);
    return admin_reply(call, json_pack("{s:o}", "accounts", list));
}

static bool list_key(const struct iam_key *key, void *list)
{
    json_array_append_new(list, json_pack("{s:s,s:b,s:b}", "access_key",
                                          key->access_key, "enabled",
                                          (int)key->enabled, "service_account",
                                          (int)key->service_account));
    return true;
}

static int find_account(struct admin_call *call, struct iam_account *account)
{
    const char *name = admin_text(call, "name");
    if (name == NULL) {
        return admin_refuse(call, -EINVAL, "name is missing");
    }
    const int error = iam_account_get(call->iam, name, account);
    return error != 0 ? admin_refuse(call, error, "no such account") : 0;
}

static int account_show(struct admin_call *call)
{
    struct iam_account account = {0};
    const int error = find_account(call, &account);
    if (error != 0) {
        return error;
    }
    json_t *object = account_json(&account), *keys = json_array();
    iam_key_list(call->iam, account.number, NULL, list_key, keys);
    json_object_set_new(object, "access_keys", keys);
    return admin_reply(call, object);
}

static int account_delete(struct admin_call *call)
{
    struct iam_account account = {0};
    int error = find_account(call, &account);
    if (error != 0) {
        return error;
    }
    error = iam_account_delete(call->iam, account.number);
    if (error == 0) {
        error = meta_forget_owner_quota(call->server->cluster.meta,
                                        slice_from_string(account.id));
    }
    return admin_outcome(call, error, "");
}

/* "all", "none", or names with commas between them. False: another name. */
static bool parse_blocks(const char *text, unsigned *public_access)
{
    *public_access = 0;
    if (strcmp(text, "none") == 0) {
        return true;
    }
    for (;; text++) {
        const size_t size = strcspn(text, ",");
        const bool all = size == 3 && memcmp(text, "all", 3) == 0;
        unsigned found = 0;
        for (size_t i = 0; i < BLOCKS; i++) {
            if (all || (strlen(blocks[i].name) == size &&
                        memcmp(text, blocks[i].name, size) == 0)) {
                found |= blocks[i].bit;
            }
        }
        if (found == 0) {
            return false;
        }
        *public_access |= found;
        text += size;
        if (*text == '\0') {
            return true;
        }
    }
}

static int account_block(struct admin_call *call)
{
    const char *text = admin_text(call, "public_access_block");
    struct iam_account account = {0};
    unsigned public_access;
    if (text == NULL || !parse_blocks(text, &public_access)) {
        return admin_refuse(call, -EINVAL,
                            "all, none, or some of BlockPublicAcls,"
                            "IgnorePublicAcls,BlockPublicPolicy,"
                            "RestrictPublicBuckets");
    }
    const int error = find_account(call, &account);
    if (error != 0) {
        return error;
    }
    return admin_outcome(
        call,
        iam_account_set_public_access(call->iam, account.number, public_access),
        "");
}

const struct admin_command admin_account_commands[] = {
    {.name = "account.block", .run = account_block},
    {.name = "account.add", .run = account_add},
    {.name = "account.list", .run = account_list},
    {.name = "account.show", .run = account_show},
    {.name = "account.delete", .run = account_delete},
    {.name = NULL},
};
