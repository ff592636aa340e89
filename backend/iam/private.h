/*
 * Private to iam/: the tables in memory, sealing, derivation.
 */
#ifndef IAM_PRIVATE_H
#define IAM_PRIVATE_H

#include "iam/iam.h"
#include "records.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>

#define MASTER_KEY_SIZE     32
#define ACCOUNT_NAME_MAX    64
#define USER_NAME_MAX       64
#define ACCESS_KEY_MIN_SIZE 3
#define SECRET_MIN_SIZE     8
#define SEAL_OVERHEAD       29 /* version, nonce, tag */
#define SEALED_MAX_SIZE     (IAM_SECRET_MAX + SEAL_OVERHEAD)
#define TOKEN_DIGEST_SIZE   32
#define ENTITY_KEY_MAX      (12 + 3 + IAM_NAME_MAX)

/* --- table.c: items of one kind, ascending by a key that each holds --------*/
struct table {
    void **items;
    size_t count, capacity;
    struct slice (*key)(const void *item);
};
size_t table_lower_bound(const struct table *table, struct slice key);
void *table_find(const struct table *table, struct slice key);
void table_insert(struct table *table, void *item);
void table_remove(struct table *table, void *item);

/* --- documents.c: policies as they were put, and compiled ------------------*/
struct document {
    char *name; /* of an inline policy, or an ARN; never NULL */
    char *json;
    size_t size;
    struct policy *compiled;
};
struct documents {
    struct document *items;
    size_t count;
};
/* Parses; -EINVAL as policy_parse(); -E2BIG if more than `max` bytes are not
 * white space. */
int document_make(struct document *document, const char *name,
                  enum policy_kind kind, struct slice json, size_t max,
                  char message[POLICY_MESSAGE_MAX]);
void document_copy(struct document *copy, const struct document *document);
void document_clear(struct document *document);
size_t document_weight(struct slice json); /* bytes that are not white space */
struct document *documents_find(const struct documents *documents,
                                const char *name);
/* Takes the document over; one of the same name goes. */
void documents_put(struct documents *documents, struct document *document);
void documents_remove(struct documents *documents, struct document *document);
void documents_copy(struct documents *copy, const struct documents *documents);
void documents_clear(struct documents *documents);

/* --- what is held ----------------------------------------------------------*/
struct links {
    struct entity **items;
    size_t count;
};

struct entity {
    enum iam_kind kind;
    char id[21 + 1];
    char key[ENTITY_KEY_MAX + 1]; /* account, kind, name in lower case */
    char name[IAM_NAME_MAX + 1];
    char *path, *description; /* never NULL */
    const struct iam_account *account;
    uint64_t created_ms, updated_ms;
    unsigned version, max_session_s;
    struct document document;  /* POLICY: it; ROLE: who may assume it */
    struct documents policies; /* inline */
    struct links attached;     /* managed policies */
    struct links groups;       /* USER */
    struct iam_rights *rights; /* USER, ROLE: what all these allow */
};

struct access_key {
    char access_key[IAM_ACCESS_KEY_MAX + 1];
    const struct iam_account *account;
    struct entity *entity; /* a user or role; NULL: the account's root */
    uint8_t sealed[SEALED_MAX_SIZE];
    size_t sealed_size;
    uint64_t generation; /* never 0 */
    bool disabled, service_account, temporary;
    char *description; /* never NULL */
    char session_name[USER_NAME_MAX + 1];
    uint8_t token_digest[TOKEN_DIGEST_SIZE]; /* temporary ones */
    uint64_t created_ms, expires_ms;
    struct documents policies; /* of the session or service account */
    struct iam_rights *rights; /* with them; NULL: the entity's */
};

/* Invariants:
 *   I1  What is in memory is in the store: the store is written first.
 *   I2  Every key's account and entity, and every link's entity, are in the
 *       tables.
 *   I3  Only the holder of `writer` changes anything; `lock` is held for
 *       writing only while memory changes, never while the store is written.
 *   I4  A secret in the clear lives on the stack of one function, which wipes
 *       it, and in the answer that creates it.
 *   I5  Rights are those of the documents in memory whenever `lock` is free. */
struct iam {
    struct kv *kv;
    pthread_mutex_t writer;
    pthread_rwlock_t lock;
    struct table accounts;   /* by canonical id */
    struct table entities;   /* by key */
    struct table entity_ids; /* the same, by id */
    struct table keys;       /* by access key */
    struct iam_account built_in;
    size_t sessions; /* temporary ones among the keys */
    size_t purge_at; /* where the next look for expired ones begins */
    struct master *master;
    char *master_path;
    iam_change_fn changed; /* NULL: nobody is told */
    void *changed_context;
    bool changing; /* it was told that a change has begun */
};

/* Whoever changes anything: unlocking tells that the change has ended. */
void writer_lock(struct iam *iam);
void writer_unlock(struct iam *iam);
int commit_and_free(struct iam *iam, struct kv_batch *batch);
/* The same where nobody's rights become others: a new access key, or what had
 * run out. */
int commit_quietly(struct iam *iam, struct kv_batch *batch);

/* --- names.c: what is well-formed, and made up -----------------------------*/
bool valid_account_name(struct slice name);
bool valid_entity_name(enum iam_kind kind, struct slice name);
bool valid_path(struct slice path);
bool valid_session_name(struct slice name);
bool valid_access_key(struct slice access_key);
bool valid_secret(struct slice secret);
bool valid_canonical_id(struct slice id);
bool valid_description(struct slice text);
/* "" if it cannot be the name of anything. */
void entity_key(char key[ENTITY_KEY_MAX + 1], const struct iam_name *name);
void entity_arn(const struct entity *entity, char arn[IAM_ARN_MAX + 1]);
/* 12 digits that follow from the canonical id. */
void account_number(const char *id, char number[13]);
void make_entity_id(enum iam_kind kind, char id[22]);
/* AKIA..., or ASIA... of temporary ones. */
void make_access_key(const char *prefix, char out[IAM_ACCESS_KEY_MAX + 1]);
void make_secret(char out[IAM_SECRET_MAX + 1]);
void make_token(char out[IAM_TOKEN_MAX + 1]);
uint64_t make_generation(void);

/* --- accounts.c ------------------------------------------------------------*/
struct iam_account *account_by_number(struct iam *iam, const char *number);

/* --- entity.c: the caller holds `writer`, or `lock` where nothing changes --*/
struct entity *entity_new(enum iam_kind kind, const struct iam_account *account,
                          const char *name, const char *path);
/* Its documents and links, not its rights. */
struct entity *entity_copy(const struct entity *entity);
void entity_free(struct entity *entity); /* NULL is allowed */
struct entity *entity_find(struct iam *iam, const struct iam_name *name);
struct entity *entity_find_arn(struct iam *iam, const char *arn);
struct entity *entity_find_id(struct iam *iam, struct slice id);
/* Into the store, then into memory; takes it over, also when it fails. */
int entity_add(struct iam *iam, struct entity *entity);
/* `changed` is a copy of `entity` in which something was changed: what it has
 * becomes the entity's. Takes it over, also when it fails. */
int entity_change(struct iam *iam, struct entity *entity,
                  struct entity *changed);
void entity_show(struct iam *iam, const struct entity *entity,
                 struct iam_entity *shown);
bool links_has(const struct links *links, const struct entity *entity);
void links_add(struct links *links, struct entity *entity);
void links_remove(struct links *links, const struct entity *entity);

/* --- built_in.c ------------------------------------------------------------*/
void built_in_add(struct iam *iam);

/* --- keys.c ----------------------------------------------------------------*/
#define NARROWING "Policy" /* name of a service account's or session's own */

struct access_key *key_find(struct iam *iam, struct slice access_key);
/* Sealed at once; a new generation. */
void key_seal(struct iam *iam, struct access_key *key, const char *secret);
void key_free(struct access_key *key); /* NULL is allowed */
/* In memory. */
void key_insert(struct iam *iam, struct access_key *key);
void key_remove(struct iam *iam, struct access_key *key); /* frees it */
/* Into the store, then into memory; takes it over, also when it fails. */
int key_add(struct iam *iam, struct access_key *key);
typedef bool key_match(const struct access_key *key, const void *of);
/* Deletes all that match; commits and frees `batch` with them. */
int keys_delete(struct iam *iam, struct kv_batch *batch, key_match *match,
                const void *of);
key_match key_is_of_entity, key_is_of_account;
/* True if no operator could do anything without the keys that match. */
bool key_guards_last(struct iam *iam, key_match *match, const void *of);
/* Those given, or made up where NULL. False: malformed. */
bool credentials_make(struct iam_credentials *made, const char *access_key,
                      const char *secret_key);
/* Adds the policy that narrows a service account or session; data == NULL:
 * there is none. */
int narrow_by(struct documents *policies, struct slice json,
              char message[POLICY_MESSAGE_MAX]);

/* --- rights.c --------------------------------------------------------------*/
/* What an entity may (NULL: root), narrowed by policies if there are any. */
struct iam_rights *rights_new(const struct entity *entity,
                              const struct documents *narrow);
struct iam_rights *rights_retain(struct iam_rights *rights);
void rights_release(struct iam_rights *rights); /* NULL is allowed */
/* After a change of this entity, NULL: of all; under `lock` (I5). */
void rights_refresh(struct iam *iam, const struct entity *changed);
/* Of one key, when it is new or its policies have changed. */
void rights_refresh_key(struct access_key *key);

/* --- sessions.c ------------------------------------------------------------*/
bool session_lasts(const struct access_key *key, uint64_t now_ms);
void session_token_digest(struct slice token,
                          uint8_t digest[TOKEN_DIGEST_SIZE]);
/* Looks at a few keys, so that it never takes long, and deletes those that
 * have been over for a day. */
int sessions_purge(struct iam *iam);

/* --- records.c: the tables on disk -----------------------------------------*/
int records_load(struct iam *iam);
void records_put_account(struct kv_batch *batch,
                         const struct iam_account *account);
void records_delete_account(struct kv_batch *batch,
                            const struct iam_account *account);
void records_put_entity(struct kv_batch *batch, const struct entity *entity);
void records_delete_entity(struct kv_batch *batch, const struct entity *entity);
void records_put_key(struct kv_batch *batch, const struct access_key *key);
void records_delete_key(struct kv_batch *batch, const struct access_key *key);

/* --- seal.c ----------------------------------------------------------------*/
/* Returns the size: of the secret plus SEAL_OVERHEAD. */
size_t seal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
            struct slice secret, uint8_t out[SEALED_MAX_SIZE]);
/* Returns the size of the secret, or -EKEYREJECTED. The caller wipes it. */
int unseal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
           struct slice sealed, uint8_t secret[IAM_SECRET_MAX]);
void random_fill(void *out, size_t size);

/* --- master.c --------------------------------------------------------------*/
#define MASTER_KEYS 2

/* In a page of its own, locked in memory and left out of core files. */
struct master {
    uint8_t keys[MASTER_KEYS][MASTER_KEY_SIZE]; /* the first one seals */
    unsigned count;
    bool from_environment;
};
struct master *master_new(void);
void master_free(struct master *master); /* wipes it */
/* Reads the keys, or makes one when `create`. -ENOENT; -EACCES: others may
 * read the file; -EINVAL: no keys; -EIO and what open() says. */
int master_load(struct master *master, const char *path, bool create);
int master_save(const struct master *master, const char *path);
void master_push(struct master *master); /* a new key before the old one */
void master_pop(struct master *master);  /* the old one goes */

/* --- reseal.c --------------------------------------------------------------*/
/* Seals what the old key sealed under the new one, and lets the old one go.
 * The caller holds `writer`, or nobody else knows iam yet. */
int reseal_all(struct iam *iam);
/* As unseal(), by whichever key. */
int unseal_key(const struct iam *iam, const struct access_key *key,
               uint8_t secret[IAM_SECRET_MAX]);

#endif
