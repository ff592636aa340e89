/*
 * Access keys in memory: who holds one, and what it derives.
 */
#include "iam/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first key whose name is >= access_key. */
static size_t keys_lower_bound(const struct iam *iam, struct slice access_key)
{
    size_t low = 0, high = iam->key_count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (slice_compare(slice_from_string(iam->keys[middle]->access_key),
                          access_key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct access_key *keys_find(struct iam *iam, struct slice access_key)
{
    size_t at = keys_lower_bound(iam, access_key);

    if (at < iam->key_count &&
        slice_equal_string(access_key, iam->keys[at]->access_key)) {
        return iam->keys[at];
    }
    return NULL;
}

void keys_insert(struct iam *iam, struct access_key *key)
{
    size_t at = keys_lower_bound(iam, slice_from_string(key->access_key));

    if (iam->key_count == iam->key_capacity) {
        iam->key_capacity = iam->key_capacity ? 2 * iam->key_capacity : 16;
        iam->keys = xrealloc(iam->keys, iam->key_capacity * sizeof(*iam->keys));
    }
    memmove(iam->keys + at + 1, iam->keys + at,
            (iam->key_count - at) * sizeof(*iam->keys));
    iam->keys[at] = key;
    iam->key_count++;
}

void keys_remove(struct iam *iam, struct access_key *key)
{
    size_t at = keys_lower_bound(iam, slice_from_string(key->access_key));

    invariant(at < iam->key_count && iam->keys[at] == key);
    iam->key_count--;
    memmove(iam->keys + at, iam->keys + at + 1,
            (iam->key_count - at) * sizeof(*iam->keys));
    free(key);
}

static void identify(struct iam_identity *identity, const struct user *user)
{
    copy_string(identity->user, sizeof(identity->user), user->id);
    copy_string(identity->name, sizeof(identity->name), user->name);
    account_number(user->id, identity->account);
    identity->root = user->root;
    identity->account_root = true;
    snprintf(identity->arn, sizeof(identity->arn), "arn:aws:iam::%s:root",
             identity->account);
    copy_string(identity->user_id, sizeof(identity->user_id),
                identity->account);
}

int iam_authenticate(struct iam *iam, struct slice access_key,
                     uint64_t generation, struct slice session_token,
                     struct iam_identity *identity)
{
    struct access_key *key;
    int rc = -ENOENT;

    memset(identity, 0, sizeof(*identity));
    if (access_key.size == 0) {
        return session_token.size == 0 ? 0 : -EBADMSG;
    }
    pthread_rwlock_rdlock(&iam->lock);
    key = keys_find(iam, access_key);
    if (key != NULL && !key->disabled && key->generation == generation) {
        rc = session_token.size == 0 ? 0 : -EBADMSG;
    }
    if (rc == 0) {
        identify(identity, key->user);
    }
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

void iam_identity_retain(struct iam_identity *identity)
{
    invariant(identity->rights == NULL);
}

void iam_identity_release(struct iam_identity *identity)
{
    invariant(identity->rights == NULL);
}

void iam_rights_inputs(const struct iam_identity *identity,
                       struct policy_inputs *inputs)
{
    inputs->root = identity->account_root;
    inputs->identity_count = 0;
    inputs->has_session = false;
    inputs->session_count = 0;
}

int iam_signing_key(struct iam *iam, struct slice access_key, struct slice date,
                    struct slice region, struct slice service,
                    uint8_t out[IAM_KEY_SIZE], uint64_t *generation)
{
    uint8_t sealed[SEALED_MAX_SIZE], secret[SECRET_MAX_SIZE];
    struct access_key *key;
    size_t sealed_size = 0;
    int rc;

    pthread_rwlock_rdlock(&iam->lock);
    key = keys_find(iam, access_key);
    if (key != NULL && !key->disabled) {
        sealed_size = key->sealed_size;
        memcpy(sealed, key->sealed, sealed_size);
        *generation = key->generation;
    }
    pthread_rwlock_unlock(&iam->lock);
    if (sealed_size == 0) {
        return -ENOENT;
    }
    rc = unseal(iam->master, access_key, slice_of(sealed, sealed_size), secret);
    if (rc < 0) {
        log_error("iam: the secret of an access key cannot be unsealed");
        return -ENOENT;
    }
    derive_key(slice_of(secret, (size_t)rc), date, region, service, out);
    OPENSSL_cleanse(secret, sizeof(secret));
    return 0;
}
