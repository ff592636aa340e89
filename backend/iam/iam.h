/*
 * Identities: users and access keys. Who may do what comes here as well.
 *
 * Everything is held in memory under a read-write lock and written through to
 * the metadata. Secrets are sealed with AES-256-GCM under the master key (a
 * file of 32 bytes, mode 0600, made on first start) and leave this folder
 * only as derived keys, and once, when a key is created.
 * Thread-safe.
 */
#ifndef IAM_H
#define IAM_H

#include "base/base.h"
#include "kv/kv.h"

#define IAM_USER_ID_SIZE 64 /* hex digits of a canonical user id */
#define IAM_KEY_SIZE     32 /* bytes of a derived SigV4 key */

struct iam;

/* kv stays the caller's. Creates the master key file if there is none and no
 * access key exists yet; -EACCES if its mode lets others read it;
 * -EKEYREJECTED if a secret was sealed under another master key. */
int iam_open(struct kv *kv, const char *master_key_path, struct iam **iam);
void iam_close(struct iam *iam);

struct iam_identity {
    char user[IAM_USER_ID_SIZE + 1]; /* canonical id; "" if anonymous */
    char name[64 + 1];
    bool root;
};

/* Who holds this access key now. -ENOENT: unknown, disabled, or `generation`
 * is not the current one (the secret has changed). Empty key: anonymous. */
int iam_authenticate(struct iam *iam, struct slice access_key,
                     uint64_t generation, struct iam_identity *identity);
/* A user's display name by canonical id; "" if unknown. */
void iam_display_name(struct iam *iam, struct slice user, char name[65]);

/* HMAC chain of SigV4: secret, date (YYYYMMDD), region, "s3", "aws4_request".
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * -ENOENT as above. */
int iam_signing_key(struct iam *iam, struct slice access_key, struct slice date,
                    struct slice region, uint8_t key[IAM_KEY_SIZE],
                    uint64_t *generation);

/* May `identity` act on a bucket of `owner`? Root and the owner: yes. */
bool iam_may_access(const struct iam_identity *identity, struct slice owner);

/* --- administration: each appends a JSON object to `out` on success
 * ---------*/
struct iam_new_user {
    const char *name; /* 1..64 of A-Za-z0-9+=,.@_- */
    bool root;
    const char *access_key; /* NULL: made up */
    const char *secret_key; /* NULL: made up */
};
/* -EEXIST, -EINVAL. {"name","id","root","access_key","secret_key"} */
int iam_user_add(struct iam *iam, const struct iam_new_user *user,
                 struct buffer *out);
int iam_user_delete(struct iam *iam, const char *name); /* and all its keys */
int iam_user_list(struct iam *iam, struct buffer *out); /* {"users":[...]} */
/* {"access_key","secret_key"} */
int iam_key_add(struct iam *iam, const char *user, struct buffer *out);
int iam_key_delete(struct iam *iam, const char *access_key);
int iam_key_enable(struct iam *iam, const char *access_key, bool enabled);

#endif
