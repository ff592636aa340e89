/*
 * Opening and closing.
 */
#include "iam/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* --- changes ---------------------------------------------------------------*/

void iam_watch_changes(struct iam *iam, iam_change_fn fn, void *context)
{
    iam->changed = fn;
    iam->changed_context = context;
}

void writer_lock(struct iam *iam)
{
    pthread_mutex_lock(&iam->writer);
}

void writer_unlock(struct iam *iam)
{
    if (iam->changing) {
        iam->changing = false;
        iam->changed(iam->changed_context, true);
    }
    pthread_mutex_unlock(&iam->writer);
}

int commit_quietly(struct iam *iam, struct kv_batch *batch)
{
    int rc = kv_commit(iam->kv, batch);

    kv_batch_free(batch);
    return rc;
}

int commit_and_free(struct iam *iam, struct kv_batch *batch)
{
    if (iam->changed != NULL && !iam->changing) {
        iam->changing = true;
        iam->changed(iam->changed_context, false);
    }
    return commit_quietly(iam, batch);
}

/* --- opening ---------------------------------------------------------------*/

static struct slice account_id(const void *item)
{
    return slice_from_string(((const struct iam_account *)item)->id);
}

static struct slice entity_name(const void *item)
{
    return slice_from_string(((const struct entity *)item)->key);
}

static struct slice entity_id(const void *item)
{
    return slice_from_string(((const struct entity *)item)->id);
}

static struct slice key_name(const void *item)
{
    return slice_from_string(((const struct access_key *)item)->access_key);
}

static void explain_master_key(const struct iam *iam, int rc)
{
    const char *path = iam->master_path;
    const bool have_keys = iam->keys.count > 0;

    if (iam->master->from_environment) {
        log_error("iam: S3D_MASTER_KEY: expected 64 hex digits, and the same "
                  "of the key before it if that is being replaced");
    } else if (rc == -EACCES) {
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
    uint8_t secret[IAM_SECRET_MAX];
    struct access_key *key;
    size_t i;
    int rc;

    for (i = 0; i < iam->keys.count; i++) {
        key = iam->keys.items[i];
        rc = unseal_key(iam, key, secret);
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

static int load(struct iam *iam)
{
    int rc;

    built_in_add(iam);
    rc = records_load(iam);
    if (rc != 0) {
        log_error("iam: accounts cannot be read: %s", strerror(-rc));
        return rc;
    }
    rc = master_load(iam->master, iam->master_path, iam->keys.count == 0);
    if (rc != 0) {
        explain_master_key(iam, rc);
        return rc;
    }
    rc = check_seals(iam);
    if (rc == 0 && iam->master->count > 1) {
        rc = reseal_all(iam); /* what a crash, or its owner, left to do */
    }
    rights_refresh(iam, NULL);
    return rc;
}

int iam_open(struct kv *kv, const char *master_key_path, struct iam **out)
{
    struct iam *iam = xcalloc(1, sizeof(*iam));
    int rc;

    iam->kv = kv;
    iam->master = master_new();
    iam->master_path = xstrdup(master_key_path);
    iam->accounts.key = account_id;
    iam->entities.key = entity_name;
    iam->entity_ids.key = entity_id;
    iam->keys.key = key_name;
    invariant(pthread_mutex_init(&iam->writer, NULL) == 0);
    invariant(pthread_rwlock_init(&iam->lock, NULL) == 0);
    rc = load(iam);
    if (rc != 0) {
        iam_close(iam);
        return rc;
    }
    *out = iam;
    return 0;
}

void iam_close(struct iam *iam)
{
    size_t i;

    if (iam == NULL) {
        return;
    }
    for (i = 0; i < iam->keys.count; i++) {
        key_free(iam->keys.items[i]);
    }
    for (i = 0; i < iam->entities.count; i++) {
        entity_free(iam->entities.items[i]);
    }
    for (i = 0; i < iam->accounts.count; i++) {
        free(iam->accounts.items[i]);
    }
    free(iam->keys.items);
    free(iam->entities.items);
    free(iam->entity_ids.items);
    free(iam->accounts.items);
    pthread_mutex_destroy(&iam->writer);
    pthread_rwlock_destroy(&iam->lock);
    master_free(iam->master);
    free(iam->master_path);
    free(iam);
}
