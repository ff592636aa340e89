/*
 * The master key replaced: every secret is sealed anew, a few at a time.
 *
 *   1  the file holds the new key and the old one
 *   2  secrets are sealed under the new one, batch by batch
 *   3  the file holds the new key
 *
 * After a crash the file says which step it was: two keys, and step 2 is done
 * again for those that the new key does not open.
 */
#include "iam/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define BATCH_KEYS 64

static struct slice sealed(const struct access_key *key)
{
    return slice_of(key->sealed, key->sealed_size);
}

int unseal_key(const struct iam *iam, const struct access_key *key,
               uint8_t secret[IAM_SECRET_MAX])
{
    unsigned i;
    int rc = -EKEYREJECTED;

    for (i = 0; rc < 0 && i < iam->master->count; i++) {
        rc = unseal(iam->master->keys[i], slice_from_string(key->access_key),
                    sealed(key), secret);
    }
    return rc;
}

/* A key with another seal around the same secret: its generation stays. */
struct resealed {
    struct access_key *key;
    uint8_t sealed[SEALED_MAX_SIZE];
};

static int reseal(const struct iam *iam, struct resealed *one,
                  struct kv_batch *batch)
{
    struct access_key changed = *one->key;
    uint8_t secret[IAM_SECRET_MAX];
    int rc = unseal_key(iam, one->key, secret);

    if (rc < 0) {
        return rc;
    }
    seal(iam->master->keys[0], slice_from_string(changed.access_key),
         slice_of(secret, (size_t)rc), changed.sealed);
    OPENSSL_cleanse(secret, sizeof(secret));
    memcpy(one->sealed, changed.sealed, sizeof(one->sealed));
    records_put_key(batch, &changed);
    return 0;
}

static bool is_under_new(const struct iam *iam, const struct access_key *key)
{
    uint8_t secret[IAM_SECRET_MAX];
    int rc = unseal(iam->master->keys[0], slice_from_string(key->access_key),
                    sealed(key), secret);

    OPENSSL_cleanse(secret, sizeof(secret));
    return rc >= 0;
}

static int reseal_batch(struct iam *iam, struct resealed *some, size_t count)
{
    struct kv_batch *batch = kv_batch_new();
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < count; i++) {
        rc = reseal(iam, &some[i], batch);
    }
    if (rc != 0) {
        kv_batch_free(batch);
        return rc;
    }
    rc = commit_and_free(iam, batch);
    if (rc != 0) {
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    for (i = 0; i < count; i++) {
        memcpy(some[i].key->sealed, some[i].sealed, sizeof(some[i].sealed));
    }
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

static int reseal_keys(struct iam *iam)
{
    struct resealed some[BATCH_KEYS];
    size_t count = 0, i;
    int rc = 0;

    for (i = 0; rc == 0 && i < iam->keys.count; i++) {
        if (!is_under_new(iam, iam->keys.items[i])) {
            some[count++].key = iam->keys.items[i];
        }
        if (count == BATCH_KEYS) {
            rc = reseal_batch(iam, some, count);
            count = 0;
        }
    }
    return rc == 0 && count > 0 ? reseal_batch(iam, some, count) : rc;
}

int reseal_all(struct iam *iam)
{
    struct master *master = iam->master;
    int rc = reseal_keys(iam);

    if (rc != 0) {
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    master_pop(master);
    pthread_rwlock_unlock(&iam->lock);
    if (master->from_environment) {
        log_info("iam: every secret is sealed under the new master key: "
                 "S3D_MASTER_KEY needs the old one no more");
        return 0;
    }
    return master_save(master, iam->master_path);
}

static int rotate(struct iam *iam)
{
    struct master next;
    int rc;

    if (iam->master->from_environment) {
        return -EROFS;
    }
    if (iam->master->count > 1) {
        return reseal_all(iam); /* the last one was not finished */
    }
    next = *iam->master;
    master_push(&next);
    rc = master_save(&next, iam->master_path);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        *iam->master = next;
        pthread_rwlock_unlock(&iam->lock);
        rc = reseal_all(iam);
    }
    OPENSSL_cleanse(&next, sizeof(next));
    return rc;
}

int iam_master_rotate(struct iam *iam)
{
    int rc;

    writer_lock(iam);
    rc = rotate(iam);
    writer_unlock(iam);
    return rc;
}
