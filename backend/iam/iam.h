/*
 * Identities: accounts; their users, groups, roles and managed policies;
 * access keys, for long or for a while.
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

/* kv stays the caller's. The master key is S3D_MASTER_KEY of the environment,
 * else the file, which is created if there is none and no access key exists
 * yet; -EACCES if its mode lets others read it; -EKEYREJECTED if a secret was
 * sealed under another master key. */
int iam_open(struct kv *kv, const char *master_key_path, struct iam **iam);
void iam_close(struct iam *iam);
/* Told of every change of anybody's rights: before it can be seen, and with
 * `ended` before the function that made it returns. By the changing thread;
 * set before the first change. */
typedef void (*iam_change_fn)(void *context, bool ended);
void iam_watch_changes(struct iam *iam, iam_change_fn fn, void *context);
/* Another master key: every secret is sealed anew. After an error, or a crash,
 * the old one still opens what it sealed; the next rotation, or start, goes
 * on. -EROFS: it comes from the environment, S3D_MASTER_KEY="NEW OLD" replaces
 * it at a start. */
int iam_master_rotate(struct iam *iam);

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

/* Who holds this access key now; the caller releases it. -ENOENT: unknown or
 * disabled; -EKEYREVOKED: `generation` is not the current one (the secret has
 * changed); -EKEYEXPIRED: temporary, and over; -EBADMSG: the session token is
 * missing, not this key's, or the key has none. Empty key: anonymous. */
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
/* The 12 digits of an account by its canonical id; "" if unknown. */
void iam_account_number(struct iam *iam, struct slice user, char number[13]);

/* HMAC chain of SigV4: secret, date (YYYYMMDD), region, service ("s3"),
 * "aws4_request".
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * -ENOENT as above. */
int iam_signing_key(struct iam *iam, struct slice access_key, struct slice date,
                    struct slice region, struct slice service,
                    uint8_t key[IAM_KEY_SIZE], uint64_t *generation);

/* --- errors of everything below -------------------------------------------
 *   -ENOENT  there is no such account, entity, key or document
 *   -EEXIST  the name or the access key is taken
 *   -EINVAL  a name, path, number or document is malformed; `message` of
 *            policies says how
 *   -E2BIG   documents would be larger than AWS's limit
 *   -EDQUOT  more of them than AWS's limit
 *   -EBUSY   not empty, or still attached (DeleteConflict)
 *   -EPERM   built in; or nobody could administrate any more
 * or what kv_commit() says; then nothing has changed. */

#define IAM_NAME_MAX        128 /* bytes of a group's or policy's name */
#define IAM_PATH_MAX        512
#define IAM_DESCRIPTION_MAX 1000
#define IAM_ACCESS_KEY_MAX  128
#define IAM_SECRET_MAX      128
#define IAM_TOKEN_MAX       64

#define IAM_USER_KEYS_MAX      2 /* through the IAM API */
#define IAM_GROUPS_MAX         10
#define IAM_ATTACHED_MAX       10
#define IAM_USER_INLINE_MAX    2048 /* bytes without white space, all together */
#define IAM_GROUP_INLINE_MAX   5120
#define IAM_ROLE_INLINE_MAX    10240
#define IAM_POLICY_MAX         6144
#define IAM_TRUST_MAX          4096
#define IAM_SESSION_POLICY_MAX 2048
#define IAM_SESSION_ARNS_MAX   10
#define IAM_SESSION_MIN_S      900u
#define IAM_SESSION_MAX_S      129600u
#define IAM_ROLE_SESSION_MAX_S 43200u /* the most a role may allow itself */

/* --- accounts -------------------------------------------------------------*/
struct iam_account {
    char id[IAM_USER_ID_SIZE + 1]; /* canonical */
    char number[12 + 1];
    char name[64 + 1];
    bool is_operator; /* its root user may do everything everywhere */
    uint64_t created_ms;
    unsigned public_access; /* OR of enum iam_public_access */
};

/* Public access block of all the account's buckets. */
enum iam_public_access {
    IAM_BLOCK_ACLS = 1 << 0,
    IAM_IGNORE_ACLS = 1 << 1,
    IAM_BLOCK_POLICY = 1 << 2,
    IAM_RESTRICT_BUCKETS = 1 << 3,
};

struct iam_new_account {
    const char *name; /* 1..64 of A-Za-z0-9+=,.@_- */
    bool is_operator;
    const char *access_key; /* of its root user; NULL: made up */
    const char *secret_key; /* NULL: made up */
};

/* A secret in the clear, told once; whoever holds it wipes it. */
struct iam_credentials {
    char access_key[IAM_ACCESS_KEY_MAX + 1];
    char secret_key[IAM_SECRET_MAX + 1];
    char session_token[IAM_TOKEN_MAX + 1]; /* temporary ones only; else "" */
    uint64_t expires_ms;                   /* the same; else 0 */
};
void iam_credentials_wipe(struct iam_credentials *credentials);

/* With a root user and its key. `account` may be NULL. */
int iam_account_add(struct iam *iam, const struct iam_new_account *wanted,
                    struct iam_account *account, struct iam_credentials *key);
/* By number, name or canonical id; NULL: the operator's oldest. */
int iam_account_get(struct iam *iam, const char *account,
                    struct iam_account *found);
/* And its root user's keys. -EBUSY while it has users, groups, roles or
 * policies; -EPERM: the last operator. */
int iam_account_delete(struct iam *iam, const char *number);
/* In place of what was set before. */
int iam_account_set_public_access(struct iam *iam, const char *number,
                                  unsigned public_access);
/* By canonical id; 0 if unknown. */
unsigned iam_account_public_access(struct iam *iam, struct slice user);
/* Visitors are called with the lock held: they call nothing of iam's. What
 * they are shown is gone when they return; false: that is enough. */
int iam_account_list(struct iam *iam,
                     bool (*visit)(const struct iam_account *, void *),
                     void *context);

/* --- entities: users, groups, roles, managed policies ---------------------
 * Their names are told apart without regard to case, within an account and a
 * kind. */
enum iam_kind { IAM_USER, IAM_GROUP, IAM_ROLE, IAM_POLICY };

#define IAM_BUILT_IN "aws" /* the account of AdministratorAccess and others */

struct iam_name {
    enum iam_kind kind;
    const char *account; /* number; policies: also IAM_BUILT_IN */
    const char *name;
};

struct iam_entity {
    enum iam_kind kind;
    char account[12 + 1];
    char id[21 + 1]; /* AIDA... AGPA... AROA... ANPA...: never used again */
    char name[IAM_NAME_MAX + 1];
    char path[IAM_PATH_MAX + 1]; /* "/", "/division/team/" */
    char arn[IAM_ARN_MAX + 1];
    char description[IAM_DESCRIPTION_MAX + 1]; /* roles and policies */
    uint64_t created_ms;
    uint64_t updated_ms;    /* of the document, policies */
    unsigned version;       /* of the document, policies: from 1 */
    unsigned attachments;   /* policies: to how many it is attached */
    unsigned max_session_s; /* roles */
};
typedef bool iam_visit(const struct iam_entity *entity, void *context);

struct iam_new_entity {
    struct iam_name name;
    const char *path;        /* NULL: "/" */
    const char *description; /* NULL: "" */
    struct slice document;   /* policies; roles: who may assume it */
    unsigned max_session_s;  /* roles; 0: an hour */
};

/* `created` may be NULL. */
int iam_create(struct iam *iam, const struct iam_new_entity *wanted,
               struct iam_entity *created, char message[POLICY_MESSAGE_MAX]);
int iam_get(struct iam *iam, const struct iam_name *name,
            struct iam_entity *found);
int iam_get_by_arn(struct iam *iam, const char *arn, struct iam_entity *found);
/* -EBUSY: a user with keys, groups or policies; a group with members or
 * policies; a role with policies; a policy that is attached. `cascade` takes
 * all that off first. Sessions of a role end. */
int iam_delete(struct iam *iam, const struct iam_name *name, bool cascade);
/* Users and groups; either may be NULL: stays. */
int iam_rename(struct iam *iam, const struct iam_name *name,
               const char *new_name, const char *new_path);
/* Roles and policies; NULL or 0: stays. */
int iam_describe(struct iam *iam, const struct iam_name *name,
                 const char *description, unsigned max_session_s);
/* Ascending by name in lower case. path_prefix and `after` (a name: begin
 * behind it) may be NULL. */
int iam_list(struct iam *iam, enum iam_kind kind, const char *account,
             const char *path_prefix, const char *after, iam_visit *visit,
             void *context);

/* The document of a managed policy, or the trust policy of a role, as it was
 * put. */
int iam_document_put(struct iam *iam, const struct iam_name *name,
                     struct slice json, char message[POLICY_MESSAGE_MAX]);
int iam_document_get(struct iam *iam, const struct iam_name *name,
                     struct buffer *json);
/* Compiled: the caller releases it. */
int iam_role_trust(struct iam *iam, const struct iam_name *role,
                   struct policy **trust);

/* Inline policies of users, groups and roles. */
int iam_inline_put(struct iam *iam, const struct iam_name *name,
                   const char *policy, struct slice json,
                   char message[POLICY_MESSAGE_MAX]);
int iam_inline_get(struct iam *iam, const struct iam_name *name,
                   const char *policy, struct buffer *json);
int iam_inline_delete(struct iam *iam, const struct iam_name *name,
                      const char *policy);
int iam_inline_list(struct iam *iam, const struct iam_name *name,
                    bool (*visit)(const char *policy, void *context),
                    void *context);

/* Managed policies of users, groups and roles; attaching again is no error,
 * detaching what is not attached is -ENOENT. */
int iam_attach(struct iam *iam, const struct iam_name *name,
               const char *policy_arn);
int iam_detach(struct iam *iam, const struct iam_name *name,
               const char *policy_arn);
int iam_attached_list(struct iam *iam, const struct iam_name *name,
                      iam_visit *visit, void *context);
/* The users, groups and roles that a policy is attached to. */
int iam_attachments(struct iam *iam, const char *policy_arn, iam_visit *visit,
                    void *context);

/* Users and groups of the same account. */
int iam_join(struct iam *iam, const struct iam_name *user, const char *group);
int iam_leave(struct iam *iam, const struct iam_name *user, const char *group);
int iam_groups_of(struct iam *iam, const struct iam_name *user,
                  iam_visit *visit, void *context);
int iam_members_of(struct iam *iam, const struct iam_name *group,
                   iam_visit *visit, void *context);

/* The identity of a user or role as if it asked itself: for simulations. The
 * caller releases it. user->name NULL: the account's root user. */
int iam_identify(struct iam *iam, const struct iam_name *who,
                 struct iam_identity *identity);
/* What the policy at `index` of policy_inputs' identity or session is called:
 * an ARN or the name of an inline policy. Lives as long as the identity. */
const char *iam_rights_name(const struct iam_identity *identity, bool session,
                            size_t index);

/* --- access keys ----------------------------------------------------------*/
struct iam_key {
    char access_key[IAM_ACCESS_KEY_MAX + 1];
    char account[12 + 1];
    char user[64 + 1]; /* "": the account's root user */
    char description[IAM_DESCRIPTION_MAX + 1];
    bool enabled;
    bool service_account; /* has a policy of its own, or may have */
    uint64_t created_ms;
};

struct iam_new_key {
    const char *account;    /* number */
    const char *user;       /* NULL: the account's root user */
    const char *access_key; /* NULL: made up */
    const char *secret_key; /* NULL: made up */
    unsigned limit; /* -EDQUOT if the user has so many already; 0: any number */
    bool service_account;
    struct slice policy;     /* service accounts: narrows what the user may;
                                data == NULL: nothing is narrowed */
    const char *description; /* NULL: "" */
};

int iam_key_add(struct iam *iam, const struct iam_new_key *wanted,
                struct iam_credentials *key, char message[POLICY_MESSAGE_MAX]);
int iam_key_get(struct iam *iam, const char *access_key, struct iam_key *found);
/* Not the temporary ones. `user` NULL: the account's root user. */
int iam_key_list(struct iam *iam, const char *account, const char *user,
                 bool (*visit)(const struct iam_key *, void *), void *context);
/* The last enabled key of the last operator: -EPERM. */
int iam_key_delete(struct iam *iam, const char *access_key);
int iam_key_enable(struct iam *iam, const char *access_key, bool enabled);
/* Another secret under the same access key: `secret_key`, NULL: made up. The
 * old one is worthless at once. */
int iam_key_rotate(struct iam *iam, const char *access_key,
                   const char *secret_key, struct iam_credentials *key);
/* The policy of a service account; data == NULL: none. */
int iam_key_policy_put(struct iam *iam, const char *access_key,
                       struct slice json, char message[POLICY_MESSAGE_MAX]);
int iam_key_policy_get(struct iam *iam, const char *access_key,
                       struct buffer *json);

/* --- temporary credentials ------------------------------------------------*/
struct iam_new_session {
    /* AssumeRole: whoever calls has asked iam_role_trust(). */
    const struct iam_name *role;
    const char *session_name; /* 2..64 of A-Za-z0-9+=,.@_- */
    /* GetSessionToken, role == NULL: of whom this key is. -EPERM if it is
     * temporary or a service account's. */
    const char *access_key;
    unsigned seconds;    /* IAM_SESSION_MIN_S..IAM_SESSION_MAX_S, and at most
                            the role's */
    struct slice policy; /* narrows; data == NULL: none */
    const char *const *policy_arns; /* narrow as well: as they are now */
    size_t policy_arn_count;
};
int iam_session_add(struct iam *iam, const struct iam_new_session *wanted,
                    struct iam_credentials *key,
                    char message[POLICY_MESSAGE_MAX]);

#endif
