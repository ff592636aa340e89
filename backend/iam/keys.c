/*
 * Access keys: the table, and how they are made, changed and deleted.
 */
#include "iam/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* --- the table -------------------------------------------------------------*/

struct access_key *key_find(struct iam *iam, struct slice access_key)
{
    return table_find(&iam->keys, access_key);
}

void key_seal(struct iam *iam, struct access_key *key, const char *secret)
{
    key->sealed_size =
        seal(iam->master->keys[0], slice_from_string(key->access_key),
             slice_from_string(secret), key->sealed);
    key->generation = make_generation();
}

static struct access_key *key_copy(const struct access_key *key)
{
    struct access_key *copy = xmalloc(sizeof(*copy));

    *copy = *key;
    copy->description = xstrdup(key->description);
    documents_copy(&copy->policies, &key->policies);
    copy->rights = NULL;
    return copy;
}

void key_free(struct access_key *key)
{
    if (key == NULL) {
        return;
    }
    free(key->description);
    documents_clear(&key->policies);
    rights_release(key->rights);
    free(key);
}

void key_insert(struct iam *iam, struct access_key *key)
{
    table_insert(&iam->keys, key);
    iam->sessions += key->temporary;
    rights_refresh_key(key);
}

void key_remove(struct iam *iam, struct access_key *key)
{
    table_remove(&iam->keys, key);
    iam->sessions -= key->temporary;
    key_free(key);
}

bool key_is_of_entity(const struct access_key *key, const void *entity)
{
    return key->entity == entity;
}

bool key_is_of_account(const struct access_key *key, const void *account)
{
    return key->account == account;
}

static bool key_is(const struct access_key *key, const void *other)
{
    return key == other;
}

int keys_delete(struct iam *iam, struct kv_batch *batch, key_match *match,
                const void *of)
{
    size_t i;
    int rc;

    for (i = 0; i < iam->keys.count; i++) {
        if (match(iam->keys.items[i], of)) {
            records_delete_key(batch, iam->keys.items[i]);
        }
    }
    rc = commit_and_free(iam, batch);
    if (rc != 0) {
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    for (i = iam->keys.count; i > 0; i--) {
        if (match(iam->keys.items[i - 1], of)) {
            key_remove(iam, iam->keys.items[i - 1]);
        }
    }
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

static bool administrates(const struct access_key *key)
{
    return key->account->is_operator && key->entity == NULL &&
           !key->temporary && !key->service_account && !key->disabled;
}

bool key_guards_last(struct iam *iam, key_match *match, const void *of)
{
    const struct access_key *key;
    bool guards = false;
    size_t i;

    for (i = 0; i < iam->keys.count; i++) {
        key = iam->keys.items[i];
        if (administrates(key)) {
            if (!match(key, of)) {
                return false;
            }
            guards = true;
        }
    }
    return guards;
}

/* --- credentials -----------------------------------------------------------*/

bool credentials_make(struct iam_credentials *made, const char *access_key,
                      const char *secret_key)
{
    memset(made, 0, sizeof(*made));
    if ((access_key != NULL &&
         !valid_access_key(slice_from_string(access_key))) ||
        (secret_key != NULL && !valid_secret(slice_from_string(secret_key)))) {
        return false;
    }
    if (access_key != NULL) {
        copy_string(made->access_key, sizeof(made->access_key), access_key);
    } else {
        make_access_key("AKIA", made->access_key); /* clients look for it */
    }
    if (secret_key != NULL) {
        copy_string(made->secret_key, sizeof(made->secret_key), secret_key);
    } else {
        make_secret(made->secret_key);
    }
    return true;
}

void iam_credentials_wipe(struct iam_credentials *credentials)
{
    OPENSSL_cleanse(credentials, sizeof(*credentials));
}

/* --- adding ----------------------------------------------------------------*/

static int find_owner(struct iam *iam, const char *account, const char *user,
                      const struct iam_account **owner, struct entity **entity)
{
    const struct iam_name name = {IAM_USER, account, user};

    *entity = user != NULL ? entity_find(iam, &name) : NULL;
    *owner = account != NULL ? account_by_number(iam, account) : NULL;
    return *owner == NULL || (user != NULL && *entity == NULL) ? -ENOENT : 0;
}

static bool is_permanent_of(const struct access_key *key,
                            const struct iam_account *owner,
                            const struct entity *entity)
{
    return key->account == owner && key->entity == entity && !key->temporary;
}

static size_t count_keys(struct iam *iam, const struct iam_account *owner,
                         const struct entity *entity)
{
    const struct access_key *key;
    size_t count = 0, i;

    for (i = 0; i < iam->keys.count; i++) {
        key = iam->keys.items[i];
        count += is_permanent_of(key, owner, entity) && !key->service_account;
    }
    return count;
}

int key_add(struct iam *iam, struct access_key *key)
{
    struct kv_batch *batch = kv_batch_new();
    int rc;

    records_put_key(batch, key);
    rc = commit_quietly(iam, batch);
    if (rc != 0) {
        key_free(key);
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    key_insert(iam, key);
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

static int add_wanted(struct iam *iam, const struct iam_new_key *wanted,
                      const struct iam_credentials *made,
                      struct documents *policies)
{
    const struct iam_account *owner;
    struct entity *entity;
    struct access_key *key;
    int rc = find_owner(iam, wanted->account, wanted->user, &owner, &entity);

    if (rc != 0) {
        return rc;
    }
    if (key_find(iam, slice_from_string(made->access_key)) != NULL) {
        return -EEXIST;
    }
    if (wanted->limit > 0 && count_keys(iam, owner, entity) >= wanted->limit) {
        return -EDQUOT;
    }
    key = xcalloc(1, sizeof(*key));
    copy_string(key->access_key, sizeof(key->access_key), made->access_key);
    key->account = owner;
    key->entity = entity;
    key->service_account = wanted->service_account;
    key->description =
        xstrdup(wanted->description != NULL ? wanted->description : "");
    key->created_ms = clock_wall_ms();
    key->policies = *policies;
    memset(policies, 0, sizeof(*policies));
    key_seal(iam, key, made->secret_key);
    return key_add(iam, key);
}

/* The policy that narrows a service account or session, if there is one. */
int narrow_by(struct documents *policies, struct slice json,
              char message[POLICY_MESSAGE_MAX])
{
    struct document document;
    int rc;

    message[0] = '\0';
    if (json.data == NULL) {
        return 0;
    }
    rc = document_make(&document, NARROWING, POLICY_IDENTITY, json,
                       IAM_SESSION_POLICY_MAX, message);
    if (rc == 0) {
        documents_put(policies, &document);
    }
    return rc;
}

int iam_key_add(struct iam *iam, const struct iam_new_key *wanted,
                struct iam_credentials *made, char message[POLICY_MESSAGE_MAX])
{
    struct documents policies = {0};
    int rc;

    message[0] = '\0';
    memset(made, 0, sizeof(*made));
    if ((wanted->description != NULL &&
         !valid_description(slice_from_string(wanted->description))) ||
        (wanted->policy.data != NULL && !wanted->service_account) ||
        !credentials_make(made, wanted->access_key, wanted->secret_key)) {
        return -EINVAL;
    }
    rc = narrow_by(&policies, wanted->policy, message);
    if (rc == 0) {
        writer_lock(iam);
        rc = add_wanted(iam, wanted, made, &policies);
        writer_unlock(iam);
    }
    documents_clear(&policies);
    if (rc != 0) {
        iam_credentials_wipe(made);
    }
    return rc;
}

/* --- looking ---------------------------------------------------------------*/

static void show(const struct access_key *key, struct iam_key *shown)
{
    memset(shown, 0, sizeof(*shown));
    copy_string(shown->access_key, sizeof(shown->access_key), key->access_key);
    copy_string(shown->account, sizeof(shown->account), key->account->number);
    copy_string(shown->user, sizeof(shown->user),
                key->entity != NULL ? key->entity->name : "");
    copy_string(shown->description, sizeof(shown->description),
                key->description);
    shown->enabled = !key->disabled;
    shown->service_account = key->service_account;
    shown->created_ms = key->created_ms;
}

/* Temporary keys are nobody's to administrate: they run out. */
static struct access_key *find_permanent(struct iam *iam, const char *name)
{
    struct access_key *key = key_find(iam, slice_from_string(name));

    return key != NULL && !key->temporary ? key : NULL;
}

int iam_key_get(struct iam *iam, const char *access_key, struct iam_key *found)
{
    const struct access_key *key;

    pthread_rwlock_rdlock(&iam->lock);
    key = find_permanent(iam, access_key);
    if (key != NULL) {
        show(key, found);
    }
    pthread_rwlock_unlock(&iam->lock);
    return key != NULL ? 0 : -ENOENT;
}

int iam_key_list(struct iam *iam, const char *account, const char *user,
                 bool (*visit)(const struct iam_key *, void *), void *context)
{
    const struct iam_account *owner;
    const struct access_key *key;
    struct entity *entity;
    struct iam_key shown;
    bool more = true;
    size_t i;
    int rc;

    pthread_rwlock_rdlock(&iam->lock);
    rc = find_owner(iam, account, user, &owner, &entity);
    for (i = 0; rc == 0 && more && i < iam->keys.count; i++) {
        key = iam->keys.items[i];
        if (is_permanent_of(key, owner, entity)) {
            show(key, &shown);
            more = visit(&shown, context);
        }
    }
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

int iam_key_policy_get(struct iam *iam, const char *access_key,
                       struct buffer *json)
{
    const struct access_key *key;
    int rc = -ENOENT;

    pthread_rwlock_rdlock(&iam->lock);
    key = find_permanent(iam, access_key);
    if (key != NULL && key->policies.count > 0) {
        buffer_append(json, key->policies.items[0].json,
                      key->policies.items[0].size);
        rc = 0;
    }
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

/* --- changing --------------------------------------------------------------*/

/* As entity_change(). */
static int key_change(struct iam *iam, struct access_key *key,
                      struct access_key *changed)
{
    struct kv_batch *batch = kv_batch_new();
    struct access_key old;
    int rc;

    records_put_key(batch, changed);
    rc = commit_and_free(iam, batch);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        old = *key;
        *key = *changed;
        *changed = old;
        rights_refresh_key(key);
        pthread_rwlock_unlock(&iam->lock);
    }
    key_free(changed);
    return rc;
}

static int enable(struct iam *iam, struct access_key *key, bool enabled)
{
    struct access_key *changed;

    if (key == NULL) {
        return -ENOENT;
    }
    if (!enabled && key_guards_last(iam, key_is, key)) {
        return -EPERM;
    }
    changed = key_copy(key);
    changed->disabled = !enabled;
    return key_change(iam, key, changed);
}

int iam_key_enable(struct iam *iam, const char *access_key, bool enabled)
{
    int rc;

    writer_lock(iam);
    rc = enable(iam, find_permanent(iam, access_key), enabled);
    writer_unlock(iam);
    return rc;
}

static int delete (struct iam *iam, struct access_key *key)
{
    if (key == NULL) {
        return -ENOENT;
    }
    if (key_guards_last(iam, key_is, key)) {
        return -EPERM;
    }
    return keys_delete(iam, kv_batch_new(), key_is, key);
}

int iam_key_delete(struct iam *iam, const char *access_key)
{
    int rc;

    writer_lock(iam);
    rc = delete (iam, find_permanent(iam, access_key));
    writer_unlock(iam);
    return rc;
}

static int rotate(struct iam *iam, struct access_key *key,
                  const char *secret_key)
{
    struct access_key *changed;

    if (key == NULL) {
        return -ENOENT;
    }
    changed = key_copy(key);
    key_seal(iam, changed, secret_key);
    return key_change(iam, key, changed);
}

int iam_key_rotate(struct iam *iam, const char *access_key,
                   const char *secret_key, struct iam_credentials *made)
{
    int rc;

    if (!credentials_make(made, access_key, secret_key)) {
        return -EINVAL;
    }
    writer_lock(iam);
    rc = rotate(iam, find_permanent(iam, access_key), made->secret_key);
    writer_unlock(iam);
    if (rc != 0) {
        iam_credentials_wipe(made);
    }
    return rc;
}

static int put_policy(struct iam *iam, struct access_key *key,
                      struct documents *policies)
{
    struct access_key *changed;

    if (key == NULL) {
        return -ENOENT;
    }
    if (!key->service_account) {
        return -EINVAL;
    }
    changed = key_copy(key);
    documents_clear(&changed->policies);
    changed->policies = *policies;
    memset(policies, 0, sizeof(*policies));
    return key_change(iam, key, changed);
}

int iam_key_policy_put(struct iam *iam, const char *access_key,
                       struct slice json, char message[POLICY_MESSAGE_MAX])
{
    struct documents policies = {0};
    int rc = narrow_by(&policies, json, message);

    if (rc == 0) {
        writer_lock(iam);
        rc = put_policy(iam, find_permanent(iam, access_key), &policies);
        writer_unlock(iam);
    }
    documents_clear(&policies);
    return rc;
}
