/*
 * Temporary credentials: access keys that run out, and whose secret is worth
 * nothing without the session token. Of the token only a digest is kept.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
#include "iam/private.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 65536u
#define ACCOUNT_MAX  (SESSIONS_MAX / 4) /* leaves room for others */
#define USER_MAX     (ACCOUNT_MAX / 8)  /* which a user needs no leave for */
#define PURGE_LOOKS  64u         /* keys looked at when a session is made */
#define KEPT_MS      86400000ull /* so long it is told that one ran out */
#define SET_BACK_MS  900000ull /* as far as the time of a request may be off */

void session_token_digest(struct slice token, uint8_t digest[TOKEN_DIGEST_SIZE])
{
    SHA256(token.data, token.size, digest);
}

/* --- who ran out -----------------------------------------------------------*/
/* One that was made later than now was made while the clock was ahead: it would
 * last for as long as that was. */
bool session_lasts(const struct access_key *key, uint64_t now_ms)
{
    return now_ms < key->expires_ms && key->created_ms <= now_ms + SET_BACK_MS;
}

static int delete_all(struct iam *iam, struct access_key *const *keys,
                      size_t count)
{
    struct kv_batch *batch = kv_batch_new();
    size_t i;
    int rc;

    for (i = 0; i < count; i++) {
        records_delete_key(batch, keys[i]);
    }
    rc = commit_quietly(iam, batch);
    if (rc != 0) {
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    for (i = 0; i < count; i++) {
        key_remove(iam, keys[i]);
    }
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

int sessions_purge(struct iam *iam)
{
    const uint64_t now_ms = clock_wall_ms();
    const uint64_t kept_ms = iam->sessions >= SESSIONS_MAX / 2 ? 0 : KEPT_MS;
    struct access_key *over[PURGE_LOOKS], *key;
    size_t count = 0, look;

    for (look = 0; look < PURGE_LOOKS && look < iam->keys.count; look++) {
        iam->purge_at = (iam->purge_at + 1) % iam->keys.count;
        key = iam->keys.items[iam->purge_at];
        if (key->temporary &&
            (kept_ms == 0 ? !session_lasts(key, now_ms)
                          : key->expires_ms + kept_ms < now_ms)) {
            over[count++] = key;
        }
    }
    return count > 0 ? delete_all(iam, over, count) : 0;
}

/* --- making ----------------------------------------------------------------*/

/* Whose session it is to be. */
static int find_subject(struct iam *iam, const struct iam_new_session *wanted,
                        struct access_key *session)
{
    const struct access_key *key;

    if (wanted->role != NULL) {
        session->entity = wanted->role->kind == IAM_ROLE
                              ? entity_find(iam, wanted->role)
                              : NULL;
        if (session->entity == NULL) {
            return -ENOENT;
        }
        session->account = session->entity->account;
        return wanted->seconds <= session->entity->max_session_s ? 0 : -EINVAL;
    }
    key = key_find(iam, slice_from_string(wanted->access_key));
    if (key == NULL || key->disabled) {
        return -ENOENT;
    }
    session->entity = key->entity;
    session->account = key->account;
    return key->temporary || key->service_account ? -EPERM : 0;
}

/* Managed policies narrow as they are now. */
static int narrow_by_arns(struct iam *iam, const struct iam_new_session *wanted,
                          struct access_key *session)
{
    const struct entity *policy;
    struct document copy;
    size_t i;

    for (i = 0; i < wanted->policy_arn_count; i++) {
        policy = entity_find_arn(iam, wanted->policy_arns[i]);
        if (policy == NULL || policy->kind != IAM_POLICY ||
            (policy->account != session->account &&
             policy->account != &iam->built_in)) {
            return -ENOENT;
        }
        document_copy(&copy, &policy->document);
        free(copy.name);
        copy.name = xstrdup(wanted->policy_arns[i]);
        documents_put(&session->policies, &copy);
    }
    return 0;
}

/* Of those that have not run out the account has, or the user, as many as it
 * may. */
static bool is_full(const struct iam *iam, const struct iam_new_session *wanted,
                    const struct access_key *session)
{
    const uint64_t now_ms = clock_wall_ms();
    size_t of_account = 0, of_user = 0, i;

    for (i = 0; i < iam->keys.count; i++) {
        const struct access_key *key = iam->keys.items[i];

        if (key->temporary && session_lasts(key, now_ms) &&
            key->account == session->account) {
            of_account++;
            of_user += key->entity == session->entity;
        }
    }
    return iam->sessions >= SESSIONS_MAX || of_account >= ACCOUNT_MAX ||
           (wanted->role == NULL && of_user >= USER_MAX);
}

/* Takes the session over. */
static int add_session(struct iam *iam, const struct iam_new_session *wanted,
                       struct access_key *session,
                       const struct iam_credentials *made)
{
    int rc = sessions_purge(iam);

    if (rc == 0) {
        rc = find_subject(iam, wanted, session);
    }
    if (rc == 0) {
        rc = narrow_by_arns(iam, wanted, session);
    }
    if (rc == 0 && is_full(iam, wanted, session)) {
        rc = -EDQUOT;
    }
    if (rc == 0 && key_find(iam, slice_from_string(made->access_key)) != NULL) {
        rc = -EEXIST;
    }
    if (rc != 0) {
        key_free(session);
        return rc;
    }
    key_seal(iam, session, made->secret_key);
    return key_add(iam, session);
}

static bool well_formed(const struct iam_new_session *wanted)
{
    return wanted->seconds >= IAM_SESSION_MIN_S &&
           wanted->seconds <= IAM_SESSION_MAX_S &&
           wanted->policy_arn_count <= IAM_SESSION_ARNS_MAX &&
           (wanted->role != NULL ? wanted->session_name != NULL &&
                                       valid_session_name(slice_from_string(
                                           wanted->session_name))
                                 : wanted->access_key != NULL);
}

static struct access_key *make_session(const struct iam_new_session *wanted,
                                       struct iam_credentials *made)
{
    struct access_key *session = xcalloc(1, sizeof(*session));

    memset(made, 0, sizeof(*made));
    make_access_key("ASIA", made->access_key);
    make_secret(made->secret_key);
    make_token(made->session_token);
    session->created_ms = clock_wall_ms();
    session->expires_ms = session->created_ms + wanted->seconds * 1000ull;
    made->expires_ms = session->expires_ms;
    session->temporary = true;
    session->description = xstrdup("");
    copy_string(session->access_key, sizeof(session->access_key),
                made->access_key);
    if (wanted->role != NULL) {
        copy_string(session->session_name, sizeof(session->session_name),
                    wanted->session_name);
    }
    session_token_digest(slice_from_string(made->session_token),
                         session->token_digest);
    return session;
}

int iam_session_add(struct iam *iam, const struct iam_new_session *wanted,
                    struct iam_credentials *made,
                    char message[POLICY_MESSAGE_MAX])
{
    struct access_key *session;
    int rc;

    message[0] = '\0';
    if (!well_formed(wanted)) {
        return -EINVAL;
    }
    session = make_session(wanted, made);
    rc = narrow_by(&session->policies, wanted->policy, message);
    if (rc == 0) {
        writer_lock(iam);
        rc = add_session(iam, wanted, session, made);
        writer_unlock(iam);
    } else {
        key_free(session);
    }
    if (rc != 0) {
        iam_credentials_wipe(made);
    }
    return rc;
}
