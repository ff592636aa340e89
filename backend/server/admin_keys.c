/*
 * Access keys and service accounts: key.add, list, delete, enable, disable,
 * rotate; service-account.add, list, policy; the master key that seals them.
 */
#include "server/admin.h"
#include <errno.h>

/* --- adding ----------------------------------------------------------------*/
static int add(struct admin_call *call, bool service_account)
{
    const struct slice policy = admin_document(call, "document");
    char message[POLICY_MESSAGE_MAX] = "";
    struct iam_credentials key;
    struct iam_account account = {0};
    int error = admin_account(call, &account);
    if (error != 0) {
        return error;
    }
    /* Without a user: the account's root user. */
    const struct iam_new_key wanted = {
        .account = account.number,
        .user = admin_text(call, "user"),
        .access_key = admin_text(call, "access_key"),
        .secret_key = admin_text(call, "secret_key"),
        .service_account = service_account,
        .policy = policy,
        .description = admin_text(call, "description"),
    };
    error = iam_key_add(call->iam, &wanted, &key, message);
    if (error != 0) {
        return admin_outcome(call, error, message);
    }
    json_t *object = json_object();
    admin_add_credentials(object, &key);
    iam_credentials_wipe(&key);
    return admin_reply(call, object);
}

static int key_add(struct admin_call *call)
{
    return add(call, false);
}

static int service_account_add(struct admin_call *call)
{
    return add(call, true);
}

/* --- looking ---------------------------------------------------------------*/
struct listing {
    json_t *list;
    bool service_accounts;
};

static bool list_one(const struct iam_key *key, void *context)
{
    const struct listing *listing = context;
    if (key->service_account != listing->service_accounts) {
        return true;
    }
    json_t *object = json_pack("{s:s,s:s,s:b}", "access_key", key->access_key,
                               "user", key->user, "enabled", (int)key->enabled);
    admin_add_time(object, "created_ms", key->created_ms);
    if (key->service_account) {
        json_object_set_new(object, "description",
                            json_string(key->description));
    }
    json_array_append_new(listing->list, object);
    return true;
}

static int list(struct admin_call *call, bool service_accounts)
{
    struct iam_account account = {0};
    int error = admin_account(call, &account);
    if (error != 0) {
        return error;
    }
    struct listing listing = {json_array(), service_accounts};
    error = iam_key_list(call->iam, account.number, admin_text(call, "user"),
                         list_one, &listing);
    if (error != 0) {
        json_decref(listing.list);
        return admin_outcome(call, error, "");
    }
    return admin_reply(call, json_pack("{s:o}", "list", listing.list));
}

static int key_list(struct admin_call *call)
{
    return list(call, false);
}

static int service_account_list(struct admin_call *call)
{
    return list(call, true);
}

/* --- changing --------------------------------------------------------------*/
static int change(struct admin_call *call,
                  int (*act)(struct iam *iam, const char *key))
{
    const char *key = admin_text(call, "access_key");
    if (key == NULL) {
        return admin_refuse(call, -EINVAL, "access_key is missing");
    }
    return admin_outcome(call, act(call->iam, key), "");
}

static int enable(struct iam *iam, const char *key)
{
    return iam_key_enable(iam, key, true);
}

static int disable(struct iam *iam, const char *key)
{
    return iam_key_enable(iam, key, false);
}

static int key_delete(struct admin_call *call)
{
    return change(call, iam_key_delete);
}

static int key_enable(struct admin_call *call)
{
    return change(call, enable);
}

static int key_disable(struct admin_call *call)
{
    return change(call, disable);
}

static int key_rotate(struct admin_call *call)
{
    const char *access_key = admin_text(call, "access_key");
    struct iam_credentials key;
    if (access_key == NULL) {
        return admin_refuse(call, -EINVAL, "access_key is missing");
    }
    const int error = iam_key_rotate(call->iam, access_key,
                                     admin_text(call, "secret_key"), &key);
    if (error != 0) {
        return admin_outcome(call, error, "");
    }
    json_t *object = json_object();
    admin_add_credentials(object, &key);
    iam_credentials_wipe(&key);
    return admin_reply(call, object);
}

static int service_account_policy(struct admin_call *call)
{
    const char *access_key = admin_text(call, "access_key");
    char message[POLICY_MESSAGE_MAX] = "";
    if (access_key == NULL) {
        return admin_refuse(call, -EINVAL, "access_key is missing");
    }
    const int error = iam_key_policy_put(
        call->iam, access_key, admin_document(call, "document"), message);
    return admin_outcome(call, error, message);
}

/* --- the master key --------------------------------------------------------*/
static int master_key_rotate(struct admin_call *call)
{
    const int error = iam_master_rotate(call->iam);
    return error == -EROFS
               ? admin_refuse(call, error,
                              "it comes from the environment: start s3d with "
                              "S3D_MASTER_KEY=\"NEW OLD\", then with NEW")
               : admin_outcome(call, error, "");
}

const struct admin_command admin_key_commands[] = {
    {.name = "key.add", .run = key_add},
    {.name = "key.list", .run = key_list},
    {.name = "key.delete", .run = key_delete},
    {.name = "key.enable", .run = key_enable},
    {.name = "key.disable", .run = key_disable},
    {.name = "key.rotate", .run = key_rotate},
    {.name = "service-account.add", .run = service_account_add},
    {.name = "service-account.list", .run = service_account_list},
    {.name = "service-account.policy", .run = service_account_policy},
    {.name = "master-key.rotate", .run = master_key_rotate},
    {.name = NULL},
};
