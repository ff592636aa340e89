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
#include "policy/policy.h"

#define IAM_USER_ID_SIZE 64 /* hex digits of a canonical user id */
#define IAM_KEY_SIZE     32 /* bytes of a derived SigV4 key */

struct iam;

/* kv stays the caller's. Creates the master key file if there is none and no
 * access key exists yet; -EACCES if its mode lets others read it;
 * -EKEYREJECTED if a secret was sealed under another master key. */
int iam_open(struct kv *kv, const char *master_key_path, struct iam **iam);
void iam_close(struct iam *iam);

#define IAM_ARN_MAX 700 /* bytes: prefix, path and name */

struct iam_rights; /* immutable, reference-counted: compiled policies */

/* Who asks. */
struct iam_identity {
    char user[IAM_USER_ID_SIZE + 1]; /* canonical id of the account: the owner
                                        of what is made; "" if anonymous */
    char name[64 + 1];               /* display name of the account */
    char account[12 + 1];            /* its number */
    bool root;                       /* the operator: root of every account */
    bool account_root;               /* root of its account; operator too */
    char arn[IAM_ARN_MAX + 1];       /* of the user, or the role's session */
    char role_arn[IAM_ARN_MAX + 1];  /* of an assumed role; else "" */
    char user_name[64 + 1];          /* aws:username; "" for root and roles */
    char user_id[21 + 1 + 64 + 1];   /* aws:userid: AIDA..., AROA...:session,
                                        or the account's number */
    bool temporary;                  /* by a session token */
    uint64_t issued_ms;              /* aws:TokenIssueTime, if temporary */
    struct iam_rights *rights;       /* NULL: anonymous, or nothing but root */
};

/* Who holds this access key now; the caller releases it. -ENOENT: unknown,
 * disabled, or `generation` is not the current one (the secret has changed);
 * -EKEYEXPIRED: temporary, and over; -EBADMSG: the session token is missing,
 * not this key's, or the key has none. Empty key: anonymous. */
int iam_authenticate(struct iam *iam, struct slice access_key,
                     uint64_t generation, struct slice session_token,
                     struct iam_identity *identity);
/* For who copies an identity, so that both are released. */
void iam_identity_retain(struct iam_identity *identity);
void iam_identity_release(struct iam_identity *identity);
/* Fills in root, identity*, has_session and session* of the inputs. What they
 * point to lives as long as the identity. */
void iam_rights_inputs(const struct iam_identity *identity,
                       struct policy_inputs *inputs);
/* A user's display name by canonical id; "" if unknown. */
void iam_display_name(struct iam *iam, struct slice user, char name[65]);

/* HMAC chain of SigV4: secret, date (YYYYMMDD), region, service ("s3"),
 * "aws4_request".
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * -ENOENT as above. */
int iam_signing_key(struct iam *iam, struct slice access_key, struct slice date,
                    struct slice region, struct slice service,
                    uint8_t key[IAM_KEY_SIZE], uint64_t *generation);

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
