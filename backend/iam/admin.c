/*
 * Administration: users and keys made, changed, listed and deleted. Each
 * change is committed before it is made in memory (I1), one at a time (I3).
 */
#include "iam/private.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define ACCESS_KEY_PREFIX "AKIA" /* some clients look for it */
#define ACCESS_KEY_RANDOM 16
#define SECRET_RANDOM     30 /* bytes: 40 characters of base64 */

/* --- making up
 * -----------------------------------------------------------------*/

static void make_access_key(char out[ACCESS_KEY_MAX_SIZE + 1])
{
    static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t random[ACCESS_KEY_RANDOM];
    size_t i;

    random_fill(random, sizeof(random));
    copy_string(out, ACCESS_KEY_MAX_SIZE + 1, ACCESS_KEY_PREFIX);
    out += strlen(ACCESS_KEY_PREFIX);
    for (i = 0; i < sizeof(random); i++) {
        out[i] = base32[random[i] % 32];
    }
    out[i] = '\0';
}

static void make_secret(char out[SECRET_MAX_SIZE + 1])
{
    uint8_t random[SECRET_RANDOM];

    random_fill(random, sizeof(random));
    base64_encode(out, random, sizeof(random));
    OPENSSL_cleanse(random, sizeof(random));
}

static struct user *make_user(const struct iam_new_user *wanted)
{
    struct user *user = xcalloc(1, sizeof(*user));
    uint8_t random[IAM_USER_ID_SIZE / 2];

    random_fill(random, sizeof(random));
    hex_encode(user->id, random, sizeof(random));
    copy_string(user->name, sizeof(user->name), wanted->name);
    user->root = wanted->root;
    user->created_ms = clock_wall_ms();
    return user;
}

/* Sealed at once; access_key NULL: made up. */
static struct access_key *make_key(struct iam *iam, struct user *user,
                                   const char *access_key, const char *secret)
{
    struct access_key *key = xcalloc(1, sizeof(*key));

    if (access_key != NULL) {
        copy_string(key->access_key, sizeof(key->access_key), access_key);
    } else {
        make_access_key(key->access_key);
    }
    key->user = user;
    key->sealed_size = seal(iam->master, slice_from_string(key->access_key),
                            slice_from_string(secret), key->sealed);
    do {
        random_fill(&key->generation, sizeof(key->generation));
    } while (key->generation == 0);
    key->created_ms = clock_wall_ms();
    return key;
}

/* --- JSON
 * ------------------------------------------------------------------------*/

/* Gives up the object. Straight into `out`: no copy of a secret is left in
 * memory of the library's. */
static void append_json(struct buffer *out, json_t *object)
{
    size_t size;

    invariant(object != NULL);
    size = json_dumpb(object, NULL, 0, JSON_COMPACT);
    invariant(size > 0);
    buffer_reserve(out, out->size + size);
    invariant(json_dumpb(object, (char *)out->data + out->size, size,
                         JSON_COMPACT) == size);
    out->size += size;
    json_decref(object);
}

/* The key with its secret in the clear: its only way out. */
static void append_new_key(struct buffer *out, const struct access_key *key,
                           const char *secret, bool with_user)
{
    const struct user *user = key->user;
    json_t *object = json_object(), *clear = json_string(secret);

    if (with_user) {
        json_object_set_new(object, "name", json_string(user->name));
        json_object_set_new(object, "id", json_string(user->id));
        json_object_set_new(object, "root", json_boolean(user->root));
    }
    json_object_set_new(object, "access_key", json_string(key->access_key));
    json_object_set(object, "secret_key", clear);
    append_json(out, object);
    OPENSSL_cleanse((char *)json_string_value(clear),
                    json_string_length(clear));
    json_decref(clear);
}

static json_t *keys_of(struct iam *iam, const struct user *user)
{
    json_t *keys = json_array(), *object;
    size_t i;

    for (i = 0; i < iam->key_count; i++) {
        if (iam->keys[i]->user != user) {
            continue;
        }
        object = json_object();
        json_object_set_new(object, "access_key",
                            json_string(iam->keys[i]->access_key));
        json_object_set_new(object, "enabled",
                            json_boolean(!iam->keys[i]->disabled));
        json_object_set_new(object, "created_ms",
                            json_integer((json_int_t)iam->keys[i]->created_ms));
        json_array_append_new(keys, object);
    }
    return keys;
}

int iam_user_list(struct iam *iam, struct buffer *out)
{
    json_t *users = json_array(), *object;
    struct user *user;
    size_t i;

    pthread_rwlock_rdlock(&iam->lock);
    for (i = 0; i < iam->user_count; i++) {
        user = iam->users[i];
        object = json_object();
        json_object_set_new(object, "name", json_string(user->name));
        json_object_set_new(object, "id", json_string(user->id));
        json_object_set_new(object, "root", json_boolean(user->root));
        json_object_set_new(object, "created_ms",
                            json_integer((json_int_t)user->created_ms));
        json_object_set_new(object, "access_keys", keys_of(iam, user));
        json_array_append_new(users, object);
    }
    pthread_rwlock_unlock(&iam->lock);
    object = json_object();
    json_object_set_new(object, "users", users);
    append_json(out, object);
    return 0;
}

/* --- changes: the caller holds `writer`
 * -----------------------------------------*/

static int commit_and_free(struct iam *iam, struct kv_batch *batch)
{
    int rc = kv_commit(iam->kv, batch);

    kv_batch_free(batch);
    return rc;
}

static int add_user(struct iam *iam, struct user *user, struct access_key *key)
{
    struct kv_batch *batch = kv_batch_new();
    int rc;

    records_put_user(batch, user);
    records_put_key(batch, key);
    rc = commit_and_free(iam, batch);
    if (rc != 0) {
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    users_insert(iam, user);
    keys_insert(iam, key);
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

static bool well_formed(const struct iam_new_user *wanted)
{
    return wanted->name != NULL &&
           valid_name(slice_from_string(wanted->name)) &&
           (wanted->access_key == NULL ||
            valid_access_key(slice_from_string(wanted->access_key))) &&
           (wanted->secret_key == NULL ||
            valid_secret(slice_from_string(wanted->secret_key)));
}

static bool is_taken(struct iam *iam, const struct iam_new_user *wanted)
{
    return users_find_name(iam, wanted->name) != NULL ||
           (wanted->access_key != NULL &&
            keys_find(iam, slice_from_string(wanted->access_key)) != NULL);
}

int iam_user_add(struct iam *iam, const struct iam_new_user *wanted,
                 struct buffer *out)
{
    char secret[SECRET_MAX_SIZE + 1];
    struct access_key *key;
    struct user *user;
    int rc;

    if (!well_formed(wanted)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&iam->writer);
    if (is_taken(iam, wanted)) {
        pthread_mutex_unlock(&iam->writer);
        return -EEXIST;
    }
    if (wanted->secret_key != NULL) {
        copy_string(secret, sizeof(secret), wanted->secret_key);
    } else {
        make_secret(secret);
    }
    user = make_user(wanted);
    key = make_key(iam, user, wanted->access_key, secret);
    rc = add_user(iam, user, key);
    if (rc == 0) {
        append_new_key(out, key, secret, true);
    } else {
        free(key);
        free(user);
    }
    pthread_mutex_unlock(&iam->writer);
    OPENSSL_cleanse(secret, sizeof(secret));
    return rc;
}

static int delete_user(struct iam *iam, struct user *user)
{
    struct kv_batch *batch = kv_batch_new();
    size_t i;
    int rc;

    records_delete_user(batch, user);
    for (i = 0; i < iam->key_count; i++) {
        if (iam->keys[i]->user == user) {
            records_delete_key(batch, iam->keys[i]);
        }
    }
    rc = commit_and_free(iam, batch);
    if (rc != 0) {
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    for (i = iam->key_count; i > 0; i--) {
        if (iam->keys[i - 1]->user == user) {
            keys_remove(iam, iam->keys[i - 1]);
        }
    }
    users_remove(iam, user);
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

int iam_user_delete(struct iam *iam, const char *name)
{
    struct user *user;
    int rc = -ENOENT;

    pthread_mutex_lock(&iam->writer);
    user = users_find_name(iam, name);
    if (user != NULL) {
        rc = delete_user(iam, user);
    }
    pthread_mutex_unlock(&iam->writer);
    return rc;
}

static int add_key(struct iam *iam, struct access_key *key)
{
    struct kv_batch *batch = kv_batch_new();
    int rc;

    records_put_key(batch, key);
    rc = commit_and_free(iam, batch);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        keys_insert(iam, key);
        pthread_rwlock_unlock(&iam->lock);
    }
    return rc;
}

int iam_user_key_add(struct iam *iam, const char *name, struct buffer *out)
{
    char secret[SECRET_MAX_SIZE + 1];
    struct access_key *key;
    struct user *user;
    int rc = -ENOENT;

    pthread_mutex_lock(&iam->writer);
    user = users_find_name(iam, name);
    if (user != NULL) {
        make_secret(secret);
        key = make_key(iam, user, NULL, secret);
        rc = add_key(iam, key);
        if (rc == 0) {
            append_new_key(out, key, secret, false);
        } else {
            free(key);
        }
        OPENSSL_cleanse(secret, sizeof(secret));
    }
    pthread_mutex_unlock(&iam->writer);
    return rc;
}

static int delete_key(struct iam *iam, struct access_key *key)
{
    struct kv_batch *batch = kv_batch_new();
    int rc;

    records_delete_key(batch, key);
    rc = commit_and_free(iam, batch);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        keys_remove(iam, key);
        pthread_rwlock_unlock(&iam->lock);
    }
    return rc;
}

int iam_key_delete(struct iam *iam, const char *access_key)
{
    struct access_key *key;
    int rc = -ENOENT;

    pthread_mutex_lock(&iam->writer);
    key = keys_find(iam, slice_from_string(access_key));
    if (key != NULL) {
        rc = delete_key(iam, key);
    }
    pthread_mutex_unlock(&iam->writer);
    return rc;
}

static int enable_key(struct iam *iam, struct access_key *key, bool enabled)
{
    struct kv_batch *batch = kv_batch_new();
    struct access_key changed = *key;
    int rc;

    changed.disabled = !enabled;
    records_put_key(batch, &changed);
    rc = commit_and_free(iam, batch);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        key->disabled = !enabled;
        pthread_rwlock_unlock(&iam->lock);
    }
    return rc;
}

int iam_key_enable(struct iam *iam, const char *access_key, bool enabled)
{
    struct access_key *key;
    int rc = -ENOENT;

    pthread_mutex_lock(&iam->writer);
    key = keys_find(iam, slice_from_string(access_key));
    if (key != NULL) {
        rc = enable_key(iam, key, enabled);
    }
    pthread_mutex_unlock(&iam->writer);
    return rc;
}
