/*
 * Put, Get and DeleteBucketPolicy, GetBucketPolicyStatus
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
 */
#include "policy/policy.h"
#include "s3/bucket.h"
#include "s3/document.h"
#include "s3/operations.h"
#include "s3/policy_cache.h"
#include "s3/public_access.h"

/* Who is allowed, but of another account, is told that nothing will let it. */
static bool check_account(struct s3_call *call)
{
    if (call->identity.root || slice_equal_string(pb_slice(call->bucket->owner),
                                                  call->identity.user)) {
        return true;
    }
    call_error_field(call, "Method", pb_slice(call->request->method));
    call_error_field(call, "ResourceType", SLICE_LITERAL("BUCKETPOLICY"));
    call_fail(call, S3_ERR_MethodNotAllowed);
    return false;
}

/* bucket_change; `wanted` is the document, data == NULL: none. A block that
 * came meanwhile counts. */
static bool change_policy(struct s3_call *call, Meta__Bucket *bucket,
                          const void *wanted)
{
    const struct slice *document = wanted;

    document_put(call, bucket, DOCUMENT_POLICY, *document);
    bucket->policy_revision =
        document->data != NULL ? meta_next_id(call->service->meta) : 0;
    return true;
}

struct new_policy {
    struct slice document;
    bool is_public;
};

/* bucket_change */
static bool put_policy(struct s3_call *call, Meta__Bucket *bucket,
                       const void *wanted)
{
    const struct new_policy *new = wanted;

    if (new->is_public && public_access_of(call, bucket).block_policy) {
        call_fail(call, S3_ERR_AccessDenied);
        return false;
    }
    return change_policy(call, bucket, &new->document);
}

static bool read_policy(struct s3_call *call, struct new_policy *new)
{
    char message[POLICY_MESSAGE_MAX];
    struct policy *policy;

    if (call->xml.size == 0) {
        call_fail(call, S3_ERR_MissingRequestBodyError);
        return false;
    }
    if (call->xml.size > POLICY_BUCKET_MAX) {
        call_fail_message(call, S3_ERR_MalformedPolicy,
                          "Policy exceeds the maximum allowed document size.");
        return false;
    }
    new->document = slice_of(call->xml.data, call->xml.size);
    if (policy_parse(POLICY_BUCKET, call->bucket_name, new->document, &policy,
                     message) != 0) {
        call_fail_message(call, S3_ERR_MalformedPolicy, "%s", message);
        return false;
    }
    new->is_public = policy_is_public(policy);
    policy_release(policy);
    return true;
}

void s3_put_policy_run(struct s3_call *call)
{
    struct new_policy new;

    if (check_account(call) && read_policy(call, &new) &&
        bucket_update(call, put_policy, &new)) {
        call_reply_empty(call, 204);
    }
}

void s3_get_policy_run(struct s3_call *call)
{
    struct slice document = document_get(call->bucket, DOCUMENT_POLICY);
    struct buffer out = {NULL, 0, 0};

    if (!check_account(call)) {
        return;
    }
    if (document.data == NULL) {
        document_fail(call, S3_ERR_NoSuchBucketPolicy);
        return;
    }
    buffer_append(&out, document.data, document.size);
    call_reply_json(call, 200, &out);
}

void s3_delete_policy_run(struct s3_call *call)
{
    const struct slice none = {NULL, 0};

    if (check_account(call) && bucket_update(call, change_policy, &none)) {
        call_reply_empty(call, 204);
    }
}

void s3_get_policy_status_run(struct s3_call *call)
{
    struct buffer out = {NULL, 0, 0};
    struct policy *policy;
    int rc = policy_cache_get(call->service->policies, call->bucket, &policy);

    if (rc != 0) {
        call_fail_errno(call, rc, "reading a bucket's policy");
        return;
    }
    if (policy == NULL) {
        document_fail(call, S3_ERR_NoSuchBucketPolicy);
        return;
    }
    xml_open_document(&out, "PolicyStatus");
    xml_bool(&out, "IsPublic", policy_is_public(policy));
    xml_close(&out, "PolicyStatus");
    policy_release(policy);
    call_reply_xml(call, 200, &out);
}
