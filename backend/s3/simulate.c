/*
 * Who may do what, and why: the decision without the request.
 */
#include "s3/authorize_context.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "s3/audit.h"

#define ARN_PREFIX "arn:aws:s3:::"

/* --- who -------------------------------------------------------------------*/
/* "arn:aws:iam::123456789012:root" */
static bool is_root_arn(const char *arn, char number[13])
{
    static const char before[] = "arn:aws:iam::", after[] = ":root";
    const size_t skip = sizeof(before) - 1;

    if (strncmp(arn, before, skip) != 0 || strlen(arn) < skip + 12 ||
        strcmp(arn + skip + 12, after) != 0) {
        return false;
    }
    memcpy(number, arn + skip, 12);
    number[12] = '\0';
    return true;
}

static int identify_arn(struct iam *iam, const char *arn,
                        struct iam_identity *identity)
{
    char number[13];
    struct iam_name who = {.kind = IAM_USER, .account = number};
    struct iam_entity entity;
    int rc;

    if (is_root_arn(arn, number)) {
        return iam_identify(iam, &who, identity);
    }
    rc = iam_get_by_arn(iam, arn, &entity);
    if (rc != 0) {
        return rc;
    }
    if (entity.kind != IAM_USER && entity.kind != IAM_ROLE) {
        return -ENOENT;
    }
    who = (struct iam_name){
        .kind = entity.kind, .account = entity.account, .name = entity.name};
    return iam_identify(iam, &who, identity);
}

/* With what narrows this very key. Temporary ones need their token: -EBADMSG.
 */
static int identify_key(struct iam *iam, struct slice access_key,
                        struct iam_identity *identity)
{
    uint8_t key[IAM_KEY_SIZE];
    uint64_t generation;
    int rc = iam_signing_key(iam, access_key, SLICE_LITERAL("20000101"),
                             SLICE_LITERAL("us-east-1"), SLICE_LITERAL("s3"),
                             key, &generation);

    OPENSSL_cleanse(key, sizeof(key));
    return rc != 0 ? rc
                   : iam_authenticate(iam, access_key, generation,
                                      slice_of(NULL, 0), identity);
}

static int identify(struct iam *iam, const char *principal,
                    struct iam_identity *identity)
{
    memset(identity, 0, sizeof(*identity));
    if (strcmp(principal, "anonymous") == 0) {
        return 0;
    }
    return strncmp(principal, "arn:", 4) == 0
               ? identify_arn(iam, principal, identity)
               : identify_key(iam, slice_from_string(principal), identity);
}

/* --- on what ---------------------------------------------------------------*/
/* A bucket and an object that are there count with all they have. */
static int look_up(struct s3_call *call, const char *resource,
                   struct s3_question *question, Meta__Bucket **bucket)
{
    struct slice rest = slice_from_string(resource);
    const size_t skip = sizeof(ARN_PREFIX) - 1;
    Meta__Object *object;
    const uint8_t *slash;
    int rc;

    if (!slice_has_prefix(rest, slice_of(ARN_PREFIX, skip))) {
        return -EINVAL;
    }
    rest = slice_of(rest.data + skip, rest.size - skip);
    slash = rest.size > 0 ? memchr(rest.data, '/', rest.size) : NULL;
    question->bucket_name = rest;
    if (slash != NULL) {
        question->bucket_name.size = (size_t)(slash - rest.data);
        question->key =
            slice_of(slash + 1, rest.size - question->bucket_name.size - 1);
    }
    if (question->bucket_name.size > 63 || question->key.size > S3_KEY_MAX) {
        return -EINVAL;
    }
    rc = meta_get_bucket(call->service->meta, call->arena,
                         question->bucket_name, bucket);
    if (rc != 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    question->bucket = *bucket;
    if (slash != NULL && question->key.size > 0) {
        rc = meta_get_object(call->service->meta, call->arena, (*bucket)->id,
                             question->key, &object);
        question->object = rc == 0 ? object : NULL;
    }
    return rc == -ENOENT ? 0 : rc;
}

/* --- the answer ------------------------------------------------------------*/
static void explain(const struct iam_identity *identity,
                    const struct policy_decision *decision,
                    struct s3_simulated *answer)
{
    const char *policy = access_policy_name(identity, decision);

    *answer = (struct s3_simulated){
        .allowed = decision->allowed,
        .explicit_deny = decision->explicit_deny,
        .source = audit_source_name(decision->source),
        .statement = decision->reason.statement,
    };
    answer->by_policy = policy != NULL;
    if (policy != NULL) {
        strncpy(answer->policy, policy, sizeof(answer->policy) - 1);
        strncpy(answer->sid,
                decision->reason.sid != NULL ? decision->reason.sid : "",
                sizeof(answer->sid) - 1);
    }
}

int s3_simulate(struct s3_service *service,
                const struct s3_simulation *simulation,
                struct s3_simulated *answer)
{
    struct s3_service quiet = *service; /* nothing happens: no audit */
    Wire__Request request = WIRE__REQUEST__INIT;
    struct s3_call call = {
        .service = &quiet, .request = &request, .began_ms = clock_wall_ms()};
    struct s3_question question = {.action = simulation->action};
    struct access_context context = {.call = &call,
                                     .question = &question,
                                     .given = simulation->given,
                                     .given_count = simulation->given_count};
    struct policy_decision decision;
    Meta__Bucket *bucket;
    int rc = identify(service->iam, simulation->principal, &call.identity);

    quiet.audit = NULL;
    if (rc != 0) {
        return rc == -EINVAL ? -ENOENT : rc;
    }
    call.arena = arena_new();
    rc = look_up(&call, simulation->resource, &question, &bucket);
    if (rc == 0) {
        access_decide(&context, &decision);
        explain(&call.identity, &decision, answer);
        access_release(&context);
    }
    arena_free(call.arena);
    iam_identity_release(&call.identity);
    return rc;
}
