/*
 * Who holds an access key: asked once with every request. A lookup, and one
 * reference to rights that were gathered before.
 */
#include "base/signing_key.h"
#include "iam/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

/* --- identities ------------------------------------------------------------*/

static void identify_account(struct iam_identity *identity,
                             const struct iam_account *account)
{
    copy_string(identity->user, sizeof(identity->user), account->id);
    copy_string(identity->name, sizeof(identity->name), account->name);
    copy_string(identity->account, sizeof(identity->account), account->number);
}

static void identify_root(struct iam_identity *identity,
                          const struct iam_account *account)
{
    identity->root = account->is_operator;
    identity->account_root = true;
    snprintf(identity->arn, sizeof(identity->arn), "arn:aws:iam::%s:root",
             account->number);
    copy_string(identity->user_id, sizeof(identity->user_id), account->number);
}

static void identify_user(struct iam_identity *identity,
                          const struct entity *user)
{
    entity_arn(user, identity->arn);
    copy_string(identity->user_name, sizeof(identity->user_name), user->name);
    copy_string(identity->user_id, sizeof(identity->user_id), user->id);
}

static void identify_role(struct iam_identity *identity,
                          const struct entity *role, const char *session)
{
    entity_arn(role, identity->role_arn);
    snprintf(identity->arn, sizeof(identity->arn),
             "arn:aws:sts::%s:assumed-role/%s/%s", role->account->number,
             role->name, session);
    snprintf(identity->user_id, sizeof(identity->user_id), "%s:%s", role->id,
             session);
}

static void identify(struct iam_identity *identity,
                     const struct iam_account *account,
                     const struct entity *entity, const char *session)
{
    identify_account(identity, account);
    if (entity == NULL) {
        identify_root(identity, account);
    } else if (entity->kind == IAM_ROLE) {
        identify_role(identity, entity, session);
    } else {
        identify_user(identity, entity);
    }
}

/* --- questions -------------------------------------------------------------*/

static int check_token(const struct access_key *key, struct slice token)
{
    uint8_t digest[TOKEN_DIGEST_SIZE];

    if (!key->temporary) {
        return token.size == 0 ? 0 : -EBADMSG;
    }
    session_token_digest(token, digest);
    if (CRYPTO_memcmp(digest, key->token_digest, sizeof(digest)) != 0) {
        return -EBADMSG;
    }
    return session_lasts(key, clock_wall_ms()) ? 0 : -EKEYEXPIRED;
}

static int authenticate(struct iam *iam, struct slice access_key,
                        uint64_t generation, struct slice token,
                        struct iam_identity *identity)
{
    const struct access_key *key = key_find(iam, access_key);
    int rc;

    if (key == NULL || key->disabled) {
        return -ENOENT;
    }
    if (key->generation != generation) {
        return -EKEYREVOKED;
    }
    rc = check_token(key, token);
    if (rc != 0) {
        return rc;
    }
    identify(identity, key->account, key->entity, key->session_name);
    identity->temporary = key->temporary;
    identity->issued_ms = key->temporary ? key->created_ms : 0;
    if (key->rights != NULL) {
        identity->rights = rights_retain(key->rights);
    } else if (key->entity != NULL) {
        identity->rights = rights_retain(key->entity->rights);
    }
    return 0;
}

int iam_authenticate(struct iam *iam, struct slice access_key,
                     uint64_t generation, struct slice session_token,
                     struct iam_identity *identity)
{
    int rc;

    memset(identity, 0, sizeof(*identity));
    if (access_key.size == 0) {
        return session_token.size == 0 ? 0 : -EBADMSG;
    }
    pthread_rwlock_rdlock(&iam->lock);
    rc = authenticate(iam, access_key, generation, session_token, identity);
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

int iam_identify(struct iam *iam, const struct iam_name *who,
                 struct iam_identity *identity)
{
    const struct iam_account *account;
    const struct entity *entity = NULL;
    bool found;

    memset(identity, 0, sizeof(*identity));
    pthread_rwlock_rdlock(&iam->lock);
    account = account_by_number(iam, who->account);
    if (who->name != NULL) {
        entity = entity_find(iam, who);
    }
    found = account != NULL &&
            (who->name == NULL || (entity != NULL && entity->rights != NULL));
    if (found) {
        identify(identity, account, entity, "simulation");
        identity->rights =
            entity != NULL ? rights_retain(entity->rights) : NULL;
    }
    pthread_rwlock_unlock(&iam->lock);
    return found ? 0 : -ENOENT;
}

int iam_signing_key(struct iam *iam, struct slice access_key, struct slice date,
                    struct slice region, struct slice service,
                    uint8_t out[IAM_KEY_SIZE], uint64_t *generation)
{
    uint8_t secret[IAM_SECRET_MAX];
    const struct access_key *key;
    int rc = -ENOENT;

    pthread_rwlock_rdlock(&iam->lock);
    key = key_find(iam, access_key);
    if (key != NULL && !key->disabled) {
        *generation = key->generation;
        rc = unseal_key(iam, key, secret);
    }
    pthread_rwlock_unlock(&iam->lock);
    if (rc == -EKEYREJECTED) {
        log_error("iam: the secret of an access key cannot be unsealed");
        return -ENOENT;
    }
    if (rc < 0) {
        return rc;
    }
    signing_key(slice_of(secret, (size_t)rc), date, region, service, out);
    OPENSSL_cleanse(secret, sizeof(secret));
    return 0;
}
