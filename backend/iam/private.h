/*
 * Private to iam/: the table of users and keys, sealing, derivation.
 */
#ifndef IAM_PRIVATE_H
#define IAM_PRIVATE_H

#include "iam/iam.h"
#include "records.pb-c.h"

#include <pthread.h>

#define MASTER_KEY_SIZE     32
#define NAME_MAX_SIZE       64
#define ACCESS_KEY_MIN_SIZE 3
#define ACCESS_KEY_MAX_SIZE 128
#define SECRET_MIN_SIZE     8
#define SECRET_MAX_SIZE     128
#define SEAL_OVERHEAD       29 /* version, nonce, tag */
#define SEALED_MAX_SIZE     (SECRET_MAX_SIZE + SEAL_OVERHEAD)

struct user {
    char id[IAM_USER_ID_SIZE + 1];
    char name[NAME_MAX_SIZE + 1];
    bool root;
    uint64_t created_ms;
};

struct access_key {
    char access_key[ACCESS_KEY_MAX_SIZE + 1];
    struct user *user;
    uint8_t sealed[SEALED_MAX_SIZE];
    size_t sealed_size;
    uint64_t generation; /* never 0 */
    bool disabled;
    uint64_t created_ms;
};

/* Invariants:
 *   I1  What is in memory is in the store: the store is written first.
 *   I2  Every key's user is in `users`.
 *   I3  Only the holder of `writer` changes anything; `lock` is held for
 *       writing only while memory changes, never while the store is written.
 *   I4  A secret in the clear lives on the stack of one function, which wipes
 *       it, and in the answer that creates it. */
struct iam {
    struct kv *kv;
    pthread_mutex_t writer;
    pthread_rwlock_t lock;
    struct user **users; /* ascending by id */
    size_t user_count, user_capacity;
    struct access_key **keys; /* ascending by access key */
    size_t key_count, key_capacity;
    uint8_t master[MASTER_KEY_SIZE];
};

/* --- users.c: the table in memory; the caller holds the lock
 * ------------------*/
struct user *users_find(struct iam *iam, struct slice id);
struct user *users_find_name(struct iam *iam, const char *name);
void users_insert(struct iam *iam, struct user *user); /* takes it over */
void users_remove(struct iam *iam, struct user *user); /* frees it */
/* 12 digits that follow from the canonical id. */
void account_number(const char *id, char number[13]);

/* --- keys.c
 * ---------------------------------------------------------------------*/
struct access_key *keys_find(struct iam *iam, struct slice access_key);
void keys_insert(struct iam *iam, struct access_key *key); /* takes it over */
void keys_remove(struct iam *iam, struct access_key *key); /* frees it */

/* --- records.c: the table on disk
 * -------------------------------------------------*/
int records_load(struct iam *iam);
void records_put_user(struct kv_batch *batch, const struct user *user);
void records_delete_user(struct kv_batch *batch, const struct user *user);
void records_put_key(struct kv_batch *batch, const struct access_key *key);
void records_delete_key(struct kv_batch *batch, const struct access_key *key);
bool valid_name(struct slice name);
bool valid_access_key(struct slice access_key);
bool valid_secret(struct slice secret);

/* --- seal.c
 * ---------------------------------------------------------------------*/
/* Reads the master key, or makes it when `create`. -ENOENT; -EACCES: others
 * may read it; -EINVAL: not a key; -EIO and what open() says. */
int master_key_load(const char *path, bool create,
                    uint8_t key[MASTER_KEY_SIZE]);
/* Returns the size: of the secret plus SEAL_OVERHEAD. */
size_t seal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
            struct slice secret, uint8_t out[SEALED_MAX_SIZE]);
/* Returns the size of the secret, or -EKEYREJECTED. The caller wipes it. */
int unseal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
           struct slice sealed, uint8_t secret[SECRET_MAX_SIZE]);
void random_fill(void *out, size_t size);

/* --- derive.c
 * --------------------------------------------------------------------*/
void derive_key(struct slice secret, struct slice date, struct slice region,
                struct slice service, uint8_t key[IAM_KEY_SIZE]);

#endif
