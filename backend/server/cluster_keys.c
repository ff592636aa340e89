/*
 * Who holds the master keys of encryption.
 *
 * The cluster's record has the id of its keyring. A keyring that is missing
 * is made only where the record has none: a new one beside objects of the old
 * one would lose them the moment that the old one came back.
 */
#include "server/private.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static int record_keyring(struct cluster *cluster, Meta__Cluster *record,
                          uint8_t id[CRYPT_KEYRING_ID_SIZE])
{
    record->keyring.data = id;
    record->keyring.len = CRYPT_KEYRING_ID_SIZE;
    struct meta_batch *batch = meta_batch_new(cluster->meta);
    meta_put_cluster(batch, record);
    const int error = meta_commit(batch);
    meta_batch_free(batch);
    if (error != 0) {
        log_error("the cluster record could not be written: %s",
                  strerror(-error));
    }
    return error;
}

static int open_keyring(const char *path, struct cluster *cluster,
                        Meta__Cluster *record)
{
    const bool known = record->keyring.len > 0;
    uint8_t id[CRYPT_KEYRING_ID_SIZE];

    if (known && access(path, F_OK) != 0 && errno == ENOENT) {
        log_error("%s is missing: without it no encrypted object can be read; "
                  "bring it back from its copy",
                  path);
        return -ENOENT;
    }
    const int error = crypt_keyring_open(path, &cluster->keyring);
    if (error == -EACCES) {
        log_error("%s must be readable by s3d and by nobody else (mode 0600)",
                  path);
    } else if (error == -EBADMSG) {
        log_error("%s is not a keyring, or it is damaged", path);
    } else if (error != 0) {
        log_error("the keyring %s: %s", path, strerror(-error));
    }
    if (error != 0) {
        return error;
    }
    crypt_keyring_id(cluster->keyring, id);
    if (!known) {
        return record_keyring(cluster, record, id);
    }
    if (record->keyring.len != sizeof(id) ||
        memcmp(record->keyring.data, id, sizeof(id)) != 0) {
        log_error("%s is not the keyring of this metadata", path);
        return -EKEYREJECTED;
    }
    return 0;
}

static int open_vault(const struct server_vault_config *config,
                      struct cluster *cluster)
{
    const struct crypt_vault vault = {
        .url = config->url,
        .mount = config->mount,
        .default_key = config->key,
        .token_file = config->token_file,
        .ca_file = config->ca_file[0] != '\0' ? config->ca_file : NULL,
        .timeout_ms = (unsigned)(1000 * config->timeout_s),
        .cache_ms = (unsigned)(1000 * config->cache_s),
    };
    if (config->url[0] == '\0') {
        return 0;
    }
    const int error = crypt_vault_open(&vault, &cluster->vault);
    if (error == -EINVAL) {
        log_error("vault: url must be https://HOST[:PORT], or http:// of this "
                  "machine's loopback; mount and key must be names");
    } else if (error != 0) {
        log_error("vault: %s", strerror(-error));
    }
    return error;
}

int cluster_open_keys(const struct server_config *config,
                      struct cluster *cluster)
{
    struct arena *arena = arena_new();
    Meta__Cluster *record;
    int error = meta_get_cluster(cluster->meta, arena, &record);
    if (error != 0) {
        log_error("the cluster record cannot be read: %s", strerror(-error));
    } else {
        error = open_keyring(config->keyring, cluster, record);
    }
    arena_free(arena);
    return error != 0 ? error : open_vault(&config->vault, cluster);
}
