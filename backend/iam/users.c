/*
 * Opening, and the users in memory.
 */
#include "iam/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the table
 * --------------------------------------------------------------*/

/* The first user whose id is >= id. */
static size_t users_lower_bound(const struct iam *iam, struct slice id)
{
    size_t low = 0, high = iam->user_count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (slice_compare(slice_from_string(iam->users[middle]->id), id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct user *users_find(struct iam *iam, struct slice id)
{
    size_t at = users_lower_bound(iam, id);

    if (at < iam->user_count && slice_equal_string(id, iam->users[at]->id)) {
        return iam->users[at];
    }
    return NULL;
}

struct user *users_find_name(struct iam *iam, const char *name)
{
    size_t i;

    for (i = 0; i < iam->user_count; i++) {
        if (strcmp(iam->users[i]->name, name) == 0) {
            return iam->users[i];
        }
    }
    return NULL;
}

void users_insert(struct iam *iam, struct user *user)
{
    size_t at = users_lower_bound(iam, slice_from_string(user->id));

    if (iam->user_count == iam->user_capacity) {
        iam->user_capacity = iam->user_capacity ? 2 * iam->user_capacity : 16;
        iam->users =
            xrealloc(iam->users, iam->user_capacity * sizeof(*iam->users));
    }
    memmove(iam->users + at + 1, iam->users + at,
            (iam->user_count - at) * sizeof(*iam->users));
    iam->users[at] = user;
    iam->user_count++;
}

void users_remove(struct iam *iam, struct user *user)
{
    size_t at = users_lower_bound(iam, slice_from_string(user->id));

    invariant(at < iam->user_count && iam->users[at] == user);
    iam->user_count--;
    memmove(iam->users + at, iam->users + at + 1,
            (iam->user_count - at) * sizeof(*iam->users));
    free(user);
}

void account_number(const char *id, char number[13])
{
    uint8_t bytes[8];

    invariant(hex_decode(bytes, slice_of(id, 2 * sizeof(bytes))) == 0);
    snprintf(number, 13, "%012llu",
             (unsigned long long)(get_u64be(bytes) % 1000000000000ull));
}

/* --- opening
 * -----------------------------------------------------------------*/

static void explain_master_key(const char *path, int rc, bool have_keys)
{
    if (rc == -EACCES) {
        log_error("iam: master key file %s: not readable, or others may read "
                  "it: it must have mode 0600",
                  path);
    } else if (rc == -ENOENT && have_keys) {
        log_error("iam: master key file %s is missing, and there are access "
                  "keys sealed under it: restore the file",
                  path);
    } else if (rc == -EINVAL) {
        log_error("iam: master key file %s: expected 64 hex digits and a "
                  "newline",
                  path);
    } else {
        log_error("iam: master key file %s: %s", path, strerror(-rc));
    }
}

/* A wrong master key must show at the start, not as refused signatures. */
static int check_seals(struct iam *iam)
{
    uint8_t secret[SECRET_MAX_SIZE];
    struct access_key *key;
    size_t i;
    int rc;

    for (i = 0; i < iam->key_count; i++) {
        key = iam->keys[i];
        rc = unseal(iam->master, slice_from_string(key->access_key),
                    slice_of(key->sealed, key->sealed_size), secret);
        OPENSSL_cleanse(secret, sizeof(secret));
        if (rc < 0) {
            log_error("iam: the secret of access key %s was not sealed under "
                      "this master key",
                      key->access_key);
            return rc;
        }
    }
    return 0;
}

int iam_open(struct kv *kv, const char *master_key_path, struct iam **out)
{
    struct iam *iam = xcalloc(1, sizeof(*iam));
    int rc;

    iam->kv = kv;
    invariant(pthread_mutex_init(&iam->writer, NULL) == 0);
    invariant(pthread_rwlock_init(&iam->lock, NULL) == 0);
    rc = records_load(iam);
    if (rc != 0) {
        log_error("iam: users cannot be read: %s", strerror(-rc));
        goto failed;
    }
    rc = master_key_load(master_key_path, iam->key_count == 0, iam->master);
    if (rc != 0) {
        explain_master_key(master_key_path, rc, iam->key_count > 0);
        goto failed;
    }
    rc = check_seals(iam);
    if (rc != 0) {
        goto failed;
    }
    *out = iam;
    return 0;

failed:
    iam_close(iam);
    return rc;
}

void iam_close(struct iam *iam)
{
    size_t i;

    if (iam == NULL) {
        return;
    }
    for (i = 0; i < iam->user_count; i++) {
        free(iam->users[i]);
    }
    for (i = 0; i < iam->key_count; i++) {
        free(iam->keys[i]);
    }
    free(iam->users);
    free(iam->keys);
    pthread_mutex_destroy(&iam->writer);
    pthread_rwlock_destroy(&iam->lock);
    OPENSSL_cleanse(iam->master, sizeof(iam->master));
    free(iam);
}

/* --- questions
 * ------------------------------------------------------------------*/

void iam_display_name(struct iam *iam, struct slice id, char name[65])
{
    struct user *user;

    pthread_rwlock_rdlock(&iam->lock);
    user = users_find(iam, id);
    copy_string(name, NAME_MAX_SIZE + 1, user != NULL ? user->name : "");
    pthread_rwlock_unlock(&iam->lock);
}

void iam_account_number(struct iam *iam, struct slice id, char number[13])
{
    struct user *user;

    number[0] = '\0';
    pthread_rwlock_rdlock(&iam->lock);
    user = users_find(iam, id);
    if (user != NULL) {
        account_number(user->id, number);
    }
    pthread_rwlock_unlock(&iam->lock);
}

bool iam_may_access(const struct iam_identity *identity, struct slice owner)
{
    if (identity->user[0] == '\0') {
        return false;
    }
    return identity->root || slice_equal_string(owner, identity->user);
}
