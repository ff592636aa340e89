/* May this call do that? The whole decision, and the questions about it. */
#include "s3/authorize_context.h"

#include <errno.h>
#include <string.h>

#include "s3/acl.h"
#include "s3/audit.h"
#include "s3/policy_cache.h"
#include "s3/public_access.h"

#define ARN_PREFIX   "arn:aws:s3:::"
#define RESOURCE_MAX (sizeof(ARN_PREFIX) + 64 + 1 + S3_KEY_MAX)

/* --- what a decision is made of --------------------------------------------*/
static size_t append(char *out, size_t at, struct slice text)
{
    const size_t left = RESOURCE_MAX - at;
    const size_t size = text.size < left ? text.size : left;

    if (size > 0) {
        memcpy(out + at, text.data, size);
    }
    return at + size;
}

/* "arn:aws:s3:::bucket/key", "arn:aws:s3:::bucket", "arn:aws:s3:::*". What
 * does not fit was refused before: names and keys are bounded. */
static struct slice write_resource(const struct s3_question *question,
                                   char out[RESOURCE_MAX])
{
    size_t size;

    if (question->resource.data != NULL) {
        return question->resource;
    }
    size = append(out, 0, SLICE_LITERAL(ARN_PREFIX));
    if (question->bucket_name.size == 0) {
        return slice_of(out, append(out, size, SLICE_LITERAL("*")));
    }
    size = append(out, size, question->bucket_name);
    if (question->key.data != NULL) {
        size = append(out, size, SLICE_LITERAL("/"));
        size = append(out, size, question->key);
    }
    return slice_of(out, size);
}

void access_principal(const struct iam_identity *identity,
                      struct policy_principal *principal)
{
    *principal = (struct policy_principal){
        .anonymous = identity->user[0] == '\0',
        .arn = slice_from_string(identity->arn),
        .role_arn = slice_from_string(identity->role_arn),
        .account = slice_from_string(identity->account),
        .canonical = slice_from_string(identity->user),
    };
}

/* Where ACLs do not count, all in a bucket is its owner's. */
static struct slice resource_owner(const struct s3_question *question)
{
    const Meta__Object *object = question->object;

    return object != NULL && object->owner.len > 0 &&
                   acls_enabled(question->bucket)
               ? pb_slice(object->owner)
               : pb_slice(question->bucket->owner);
}

/* In the owner's account a list gives nothing to single users, only to
 * everybody: the owner's own rights are its root's. */
static bool lists_allow(const struct s3_call *call,
                        const struct s3_question *question, bool same_account,
                        bool ignore_public)
{
    static const struct iam_identity anybody = {.user = "somebody"};

    return acl_grants(question->bucket, question->object,
                      same_account ? &anybody : &call->identity,
                      question->action, ignore_public);
}

/* Its root can always mend a bucket's policy, but for keys of the root's that
 * a policy of their own narrows. */
static bool mends_policy(const struct policy_inputs *inputs, const char *action)
{
    return inputs->same_account && inputs->root && !inputs->has_session &&
           (strcmp(action, "s3:GetBucketPolicy") == 0 ||
            strcmp(action, "s3:PutBucketPolicy") == 0 ||
            strcmp(action, "s3:DeleteBucketPolicy") == 0);
}

/* A foreign object's list is held against the bucket's policy, too. */
static bool is_restricted(const struct s3_call *call,
                          const struct s3_question *question,
                          const struct policy *policy, bool restrict_public)
{
    return restrict_public && policy_is_public(policy) &&
           !slice_equal_string(pb_slice(question->bucket->owner),
                               call->identity.user);
}

/* --- the decision ----------------------------------------------------------*/
/* On a bucket. A policy that cannot be read denies. */
static void decide_on_bucket(struct access_context *context,
                             const struct policy_request *request,
                             struct policy_inputs *inputs,
                             struct policy_decision *decision)
{
    const struct s3_question *question = context->question;
    const struct s3_call *call = context->call;
    const struct slice owner = resource_owner(question);
    const struct public_access block = public_access_of(call, question->bucket);
    struct policy *policy = NULL;

    inputs->same_account =
        call->identity.root || slice_equal_string(owner, call->identity.user);
    if (mends_policy(inputs, question->action)) {
        *decision =
            (struct policy_decision){.allowed = true, .source = POLICY_BY_ROOT};
        return;
    }
    if (policy_cache_get(call->service->policies, question->bucket, &policy) !=
        0) {
        *decision = (struct policy_decision){.source = POLICY_BY_RESOURCE,
                                             .reason = {.sid = ""}};
        return;
    }
    inputs->resource = policy;
    inputs->ignore_public = block.restrict_buckets;
    inputs->acl_allows =
        lists_allow(call, question, inputs->same_account, block.ignore_acls);
    /* The bucket's owner can close an object that is not its own, and cannot
     * open it. */
    if (policy != NULL &&
        !slice_equal(owner, pb_slice(question->bucket->owner)) &&
        policy_evaluate(policy, request, NULL) != POLICY_DENY) {
        inputs->resource = NULL;
        inputs->acl_allows &=
            !is_restricted(call, question, policy, block.restrict_buckets);
    }
    *decision = policy_decide(inputs, request);
    context->policy = policy;
}

void access_decide(struct access_context *context,
                   struct policy_decision *decision)
{
    const struct s3_question *question = context->question;
    const struct s3_call *call = context->call;
    char resource[RESOURCE_MAX];
    struct policy_inputs inputs = {.root = false};
    struct policy_request request = {
        .action = slice_from_string(question->action),
        .resource = write_resource(question, resource),
        .values = access_values,
        .context = context,
    };

    access_principal(&call->identity, &request.principal);
    if (!call_is_anonymous(call)) {
        iam_rights_inputs(&call->identity, &inputs);
    }
    if (question->bucket != NULL) {
        decide_on_bucket(context, &request, &inputs, decision);
    } else {
        inputs.same_account = !call_is_anonymous(call);
        *decision = policy_decide(&inputs, &request);
    }
    audit_decision(call->service->audit, call, &request, decision);
}

void access_release(struct access_context *context)
{
    policy_release(context->policy);
}

const char *access_policy_name(const struct iam_identity *identity,
                               const struct policy_decision *decision)
{
    /* By default: no statement of any of several. */
    const bool said = decision->allowed || decision->explicit_deny;

    switch (decision->source) {
    case POLICY_BY_IDENTITY:
    case POLICY_BY_SESSION:
        return said ? iam_rights_name(identity,
                                      decision->source == POLICY_BY_SESSION,
                                      decision->document)
                    : NULL;
    case POLICY_BY_RESOURCE:
        return said ? "" : NULL;
    default:
        return NULL;
    }
}

/* --- one question ----------------------------------------------------------*/
bool call_ask(struct s3_call *call, const struct s3_question *question)
{
    struct access_context context = {.call = call, .question = question};
    struct policy_decision decision;

    access_decide(&context, &decision);
    access_release(&context);
    call->decisions++;
    if (decision.allowed && decision.source == POLICY_BY_ACL) {
        call->acl_required = true;
    }
    return decision.allowed;
}

static bool denied(struct s3_call *call)
{
    call_fail(call, S3_ERR_AccessDenied);
    return false;
}

bool call_may(struct s3_call *call, const char *action,
              const Meta__Bucket *bucket, struct slice key,
              const Meta__Object *object)
{
    struct s3_question question = {
        .action = action,
        .bucket = bucket,
        .bucket_name =
            bucket != NULL ? pb_slice(bucket->name) : call->bucket_name,
        .key = key,
        .version_id = call_arg(call, "versionId"),
        .object = object,
    };

    return call_ask(call, &question);
}

bool call_authorize_bucket(struct s3_call *call, const char *action)
{
    return call_may(call, action, call->bucket, slice_of(NULL, 0), NULL) ||
           denied(call);
}

bool call_authorize_object(struct s3_call *call, const char *action,
                           struct slice key, const Meta__Object *object)
{
    return call_may(call, action, call->bucket, key, object) || denied(call);
}

/* --- one operation ---------------------------------------------------------*/
static const char *action_of(const struct s3_call *call, const char *action,
                             const char *version_action)
{
    return version_action != NULL && call_arg(call, "versionId").data != NULL
               ? version_action
               : action;
}

static bool has_header(const struct s3_call *call, const char *name)
{
    return call_request_header(call, name).data != NULL;
}

/* A list for what is written: it is that of an object of the writer's. */
static bool authorize_list(struct s3_call *call)
{
    Meta__Object written = META__OBJECT__INIT;

    written.owner = pb_bytes(slice_from_string(call->identity.user));
    return !acl_in_request(call) ||
           call_authorize_object(call, "s3:PutObjectAcl", call->key, &written);
}

/* Headers that do what has an action of its own. */
static bool authorize_write(struct s3_call *call)
{
    const struct {
        bool wanted;
        const char *action;
    } extras[] = {
        {(has_header(call, "x-amz-tagging") && !object_copies_tags(call)) ||
             (call->asked.object != NULL && call->asked.object->n_tags > 0),
         "s3:PutObjectTagging"},
        {has_header(call, "x-amz-object-lock-mode") ||
             has_header(call, "x-amz-object-lock-retain-until-date"),
         "s3:PutObjectRetention"},
        {has_header(call, "x-amz-object-lock-legal-hold"),
         "s3:PutObjectLegalHold"},
    };

    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
        if (extras[i].wanted &&
            !call_authorize_object(call, extras[i].action, call->key, NULL)) {
            return false;
        }
    }
    return authorize_list(call);
}

/* Whether a condition holds tells what is there: who states one must be
 * allowed to read. That a key is taken is told to who may write it. */
static bool authorize_conditions(struct s3_call *call)
{
    const struct slice none_match = call_request_header(call, "if-none-match");
    bool wanted =
        none_match.data != NULL && !slice_equal_string(none_match, "*");
    static const char *const names[] = {
        "if-match",
        "if-modified-since",
        "if-unmodified-since",
        "x-amz-if-match-size",
        "x-amz-if-match-last-modified-time",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        wanted |= has_header(call, names[i]);
    }
    return !wanted ||
           call_authorize_object(call, "s3:GetObject", call->key, NULL);
}

bool call_authorize_creation(struct s3_call *call)
{
    const bool lock = has_header(call, "x-amz-bucket-object-lock-enabled");

    return call_authorize_bucket(call, "s3:CreateBucket") &&
           (!acl_in_request(call) ||
            call_authorize_bucket(call, "s3:PutBucketAcl")) &&
           (call->asked.object == NULL || call->asked.object->n_tags == 0 ||
            call_authorize_bucket(call, "s3:TagResource")) &&
           (!has_header(call, "x-amz-object-ownership") ||
            call_authorize_bucket(call, "s3:PutBucketOwnershipControls")) &&
           (!lock || (call_authorize_bucket(
                          call, "s3:PutBucketObjectLockConfiguration") &&
                      call_authorize_bucket(call, "s3:PutBucketVersioning")));
}

bool call_authorize_operation(struct s3_call *call)
{
    const struct s3_permission *permission =
        s3_permission_find(call->operation->operation);

    if (permission == NULL ||
        (permission->signed_only && call_is_anonymous(call))) {
        return denied(call);
    }
    if (permission->moment != ASKED_FIRST) {
        return true;
    }
    if (permission->scope != SCOPE_OBJECT) {
        return call_authorize_bucket(call, permission->action);
    }
    return call_authorize_object(
               call,
               action_of(call, permission->action, permission->version_action),
               call->key, NULL) &&
           authorize_conditions(call) &&
           (!permission->writes_object || authorize_write(call));
}

bool call_authorize_found(struct s3_call *call, const Meta__Object *object)
{
    const struct s3_permission *permission =
        s3_permission_find(call->operation->operation);

    invariant(permission != NULL && permission->moment == ASKED_WITH_OBJECT);
    return call_authorize_object(
               call,
               action_of(call, permission->action, permission->version_action),
               call->key, object) &&
           (permission->also == NULL ||
            call_authorize_object(
                call,
                action_of(call, permission->also, permission->also_version),
                call->key, object));
}

bool call_authorize_absent(struct s3_call *call, const Meta__Bucket *bucket)
{
    return call_may(call, "s3:ListBucket", bucket, slice_of(NULL, 0), NULL) ||
           denied(call);
}

/* The number of an account, or a canonical id. */
static bool names_account(struct slice text)
{
    size_t digits = 0, hex = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        digits += c >= '0' && c <= '9';
        hex += (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    return (text.size == 12 && digits == 12) || (text.size == 64 && hex == 64);
}

bool call_check_owner(struct s3_call *call, const Meta__Bucket *bucket,
                      const char *header)
{
    struct slice expected = call_request_header(call, header);
    char number[13];

    if (expected.data == NULL ||
        slice_equal(expected, pb_slice(bucket->owner))) {
        return true;
    }
    if (!names_account(expected)) {
        call_fail_message(call, S3_ERR_InvalidBucketOwnerAWSAccountID,
                          "The value of the expected bucket owner parameter "
                          "must be an AWS Account ID... [%.*s]",
                          (int)expected.size, (const char *)expected.data);
        return false;
    }
    iam_account_number(call->service->iam, pb_slice(bucket->owner), number);
    return slice_equal_string(expected, number) || denied(call);
}
