/*
 * Accounts: account.add, list, show, delete.
 */
#include "server/admin.h"
#include <errno.h>

static json_t *account_json(const struct iam_account *account)
{
    json_t *object = json_pack("{s:s,s:s,s:s,s:b}", "name", account->name,
                               "number", account->number, "id", account->id,
                               "operator", (int)account->is_operator);
    admin_add_time(object, "created_ms", account->created_ms);
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
    struct iam_account account;
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
    struct iam_account account;
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
    struct iam_account account;
    const int error = find_account(call, &account);
    return error != 0
               ? error
               : admin_outcome(
                     call, iam_account_delete(call->iam, account.number), "");
}

const struct admin_command admin_account_commands[] = {
    {.name = "account.add", .run = account_add},
    {.name = "account.list", .run = account_list},
    {.name = "account.show", .run = account_show},
    {.name = "account.delete", .run = account_delete},
    {.name = NULL},
};
