#include "s3/authorize.h"

#include <string.h>

/* --- one question ----------------------------------------------------------*/
static bool owns(const struct s3_call *call, const Meta__Bucket *bucket)
{
    return bucket == NULL
               ? call->identity.user[0] != '\0'
               : iam_may_access(&call->identity, pb_slice(bucket->owner));
}

bool call_ask(struct s3_call *call, const struct s3_question *question)
{
    return owns(call, question->bucket);
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
static bool is_anonymous(const struct s3_call *call)
{
    return call->identity.user[0] == '\0';
}

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

static bool has_acl_headers(const struct s3_call *call)
{
    for (size_t i = 0; i < call->request->n_headers; i++) {
        if (slice_has_prefix(pb_slice(call->request->headers[i]->name),
                             SLICE_LITERAL("x-amz-grant-"))) {
            return true;
        }
    }
    return has_header(call, "x-amz-acl");
}

/* Headers that do what has an action of its own. */
static bool authorize_write(struct s3_call *call)
{
    const struct {
        bool wanted;
        const char *action;
    } extras[] = {
        {has_header(call, "x-amz-tagging"), "s3:PutObjectTagging"},
        {has_header(call, "x-amz-object-lock-mode") ||
             has_header(call, "x-amz-object-lock-retain-until-date"),
         "s3:PutObjectRetention"},
        {has_header(call, "x-amz-object-lock-legal-hold"),
         "s3:PutObjectLegalHold"},
        {has_acl_headers(call), "s3:PutObjectAcl"},
    };

    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
        if (extras[i].wanted &&
            !call_authorize_object(call, extras[i].action, call->key, NULL)) {
            return false;
        }
    }
    return true;
}

/* Whether a condition holds tells what is there: who states one must be
 * allowed to read. That a key is taken is told to who may write it. */
static bool authorize_conditions(struct s3_call *call)
{
    static const char *const names[] = {
        "if-match",
        "if-modified-since",
        "if-unmodified-since",
        "x-amz-if-match-size",
        "x-amz-if-match-last-modified-time",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (has_header(call, names[i])) {
            return call_authorize_object(call, "s3:GetObject", call->key, NULL);
        }
    }
    return true;
}

static bool authorize_creation(struct s3_call *call)
{
    const bool lock = has_header(call, "x-amz-bucket-object-lock-enabled");

    return (!has_acl_headers(call) ||
            call_authorize_bucket(call, "s3:PutBucketAcl")) &&
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

    if (permission == NULL || (permission->signed_only && is_anonymous(call))) {
        return denied(call);
    }
    if (permission->moment != ASKED_FIRST) {
        return true;
    }
    if (permission->scope != SCOPE_OBJECT) {
        return call_authorize_bucket(call, permission->action) &&
               (permission->operation != WIRE__OPERATION__CREATE_BUCKET ||
                authorize_creation(call));
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

bool call_check_owner(struct s3_call *call, const Meta__Bucket *bucket,
                      const char *header)
{
    struct slice expected = call_request_header(call, header);

    return expected.data == NULL ||
           slice_equal(expected, pb_slice(bucket->owner)) || denied(call);
}
