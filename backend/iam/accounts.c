/*
 * Accounts: who owns buckets and objects. Each has a root user, who is asked
 * for no policy.
 */
#include "iam/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- finding ---------------------------------------------------------------*/

struct iam_account *account_by_number(struct iam *iam, const char *number)
{
    struct iam_account *account;
    size_t i;

    for (i = 0; i < iam->accounts.count; i++) {
        account = iam->accounts.items[i];
        if (strcmp(account->number, number) == 0) {
            return account;
        }
    }
    return NULL;
}

static struct iam_account *account_by_name(struct iam *iam, const char *name)
{
    struct iam_account *account;
    size_t i;

    for (i = 0; i < iam->accounts.count; i++) {
        account = iam->accounts.items[i];
        if (strcmp(account->name, name) == 0) {
            return account;
        }
    }
    return NULL;
}

static struct iam_account *first_operator(struct iam *iam)
{
    struct iam_account *account, *first = NULL;
    size_t i;

    for (i = 0; i < iam->accounts.count; i++) {
        account = iam->accounts.items[i];
        if (account->is_operator &&
            (first == NULL || account->created_ms < first->created_ms)) {
            first = account;
        }
    }
    return first;
}

static struct iam_account *find(struct iam *iam, const char *account)
{
    struct iam_account *found;

    if (account == NULL) {
        return first_operator(iam);
    }
    found = account_by_number(iam, account);
    if (found == NULL) {
        found = account_by_name(iam, account);
    }
    return found != NULL
               ? found
               : table_find(&iam->accounts, slice_from_string(account));
}

int iam_account_get(struct iam *iam, const char *account,
                    struct iam_account *found)
{
    const struct iam_account *at;

    pthread_rwlock_rdlock(&iam->lock);
    at = find(iam, account);
    if (at != NULL) {
        *found = *at;
    }
    pthread_rwlock_unlock(&iam->lock);
    return at != NULL ? 0 : -ENOENT;
}

int iam_account_list(struct iam *iam,
                     bool (*visit)(const struct iam_account *, void *),
                     void *context)
{
    bool more = true;
    size_t i;

    pthread_rwlock_rdlock(&iam->lock);
    for (i = 0; more && i < iam->accounts.count; i++) {
        more = visit(iam->accounts.items[i], context);
    }
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

void iam_display_name(struct iam *iam, struct slice id, char name[65])
{
    const struct iam_account *account;

    pthread_rwlock_rdlock(&iam->lock);
    account = table_find(&iam->accounts, id);
    copy_string(name, ACCOUNT_NAME_MAX + 1,
                account != NULL ? account->name : "");
    pthread_rwlock_unlock(&iam->lock);
}

void iam_account_number(struct iam *iam, struct slice id, char number[13])
{
    const struct iam_account *account;

    pthread_rwlock_rdlock(&iam->lock);
    account = table_find(&iam->accounts, id);
    copy_string(number, 13, account != NULL ? account->number : "");
    pthread_rwlock_unlock(&iam->lock);
}

unsigned iam_account_public_access(struct iam *iam, struct slice id)
{
    const struct iam_account *account;
    unsigned public_access;

    pthread_rwlock_rdlock(&iam->lock);
    account = table_find(&iam->accounts, id);
    public_access = account != NULL ? account->public_access : 0;
    pthread_rwlock_unlock(&iam->lock);
    return public_access;
}

/* --- changing --------------------------------------------------------------*/

static int set_public_access(struct iam *iam, struct iam_account *account,
                             unsigned public_access)
{
    struct iam_account wanted = *account;
    struct kv_batch *batch = kv_batch_new();
    int rc;

    wanted.public_access = public_access;
    records_put_account(batch, &wanted);
    rc = commit_and_free(iam, batch);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        account->public_access = public_access;
        pthread_rwlock_unlock(&iam->lock);
    }
    return rc;
}

int iam_account_set_public_access(struct iam *iam, const char *number,
                                  unsigned public_access)
{
    struct iam_account *account;
    int rc;

    writer_lock(iam);
    account = account_by_number(iam, number);
    rc = account != NULL ? set_public_access(iam, account, public_access)
                         : -ENOENT;
    writer_unlock(iam);
    return rc;
}

/* --- adding ----------------------------------------------------------------*/

static struct iam_account *make_account(struct iam *iam,
                                        const struct iam_new_account *wanted)
{
    struct iam_account *account = xcalloc(1, sizeof(*account));
    uint8_t random[IAM_USER_ID_SIZE / 2];

    do {
        random_fill(random, sizeof(random));
        hex_encode(account->id, random, sizeof(random));
        account_number(account->id, account->number);
    } while (account_by_number(iam, account->number) != NULL);
    copy_string(account->name, sizeof(account->name), wanted->name);
    account->is_operator = wanted->is_operator;
    account->created_ms = clock_wall_ms();
    return account;
}

static struct access_key *make_root_key(struct iam *iam,
                                        const struct iam_account *account,
                                        const struct iam_credentials *made)
{
    struct access_key *key = xcalloc(1, sizeof(*key));

    copy_string(key->access_key, sizeof(key->access_key), made->access_key);
    key->account = account;
    key->description = xstrdup("");
    key->created_ms = clock_wall_ms();
    key_seal(iam, key, made->secret_key);
    return key;
}

static int add_account(struct iam *iam, const struct iam_new_account *wanted,
                       struct iam_account *shown, struct iam_credentials *made)
{
    struct iam_account *account;
    struct access_key *key;
    struct kv_batch *batch;
    int rc;

    if (account_by_name(iam, wanted->name) != NULL ||
        key_find(iam, slice_from_string(made->access_key)) != NULL) {
        return -EEXIST;
    }
    account = make_account(iam, wanted);
    key = make_root_key(iam, account, made);
    batch = kv_batch_new();
    records_put_account(batch, account);
    records_put_key(batch, key);
    rc = commit_and_free(iam, batch);
    if (rc != 0) {
        key_free(key);
        free(account);
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    table_insert(&iam->accounts, account);
    key_insert(iam, key);
    pthread_rwlock_unlock(&iam->lock);
    if (shown != NULL) {
        *shown = *account;
    }
    return 0;
}

int iam_account_add(struct iam *iam, const struct iam_new_account *wanted,
                    struct iam_account *account, struct iam_credentials *key)
{
    int rc;

    memset(key, 0, sizeof(*key));
    if (wanted->name == NULL ||
        !valid_account_name(slice_from_string(wanted->name)) ||
        !credentials_make(key, wanted->access_key, wanted->secret_key)) {
        return -EINVAL;
    }
    writer_lock(iam);
    rc = add_account(iam, wanted, account, key);
    writer_unlock(iam);
    if (rc != 0) {
        iam_credentials_wipe(key);
    }
    return rc;
}

/* --- deleting --------------------------------------------------------------*/

static bool has_entities(struct iam *iam, const struct iam_account *account)
{
    const struct entity *entity;
    size_t i;

    for (i = 0; i < iam->entities.count; i++) {
        entity = iam->entities.items[i];
        if (entity->account == account) {
            return true;
        }
    }
    return false;
}

static bool is_last_operator(struct iam *iam, const struct iam_account *account)
{
    const struct iam_account *other;
    size_t i;

    for (i = 0; i < iam->accounts.count; i++) {
        other = iam->accounts.items[i];
        if (other != account && other->is_operator) {
            return false;
        }
    }
    return account->is_operator;
}

static int delete_account(struct iam *iam, struct iam_account *account)
{
    struct kv_batch *batch;
    int rc;

    if (account == NULL) {
        return -ENOENT;
    }
    if (is_last_operator(iam, account) ||
        key_guards_last(iam, key_is_of_account, account)) {
        return -EPERM;
    }
    if (has_entities(iam, account)) {
        return -EBUSY;
    }
    batch = kv_batch_new();
    records_delete_account(batch, account);
    rc = keys_delete(iam, batch, key_is_of_account, account);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        table_remove(&iam->accounts, account);
        pthread_rwlock_unlock(&iam->lock);
        free(account);
    }
    return rc;
}

int iam_account_delete(struct iam *iam, const char *number)
{
    int rc;

    writer_lock(iam);
    rc = delete_account(iam, account_by_number(iam, number));
    writer_unlock(iam);
    return rc;
}
