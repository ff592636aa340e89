/*
 * Object Ownership: who owns what is written into a bucket, and whether lists
 * count in it
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
 */
#include "s3/ownership.h"

#include "s3/acl.h"
#include "s3/bucket.h"
#include "s3/document.h"
#include "s3/operations.h"

static bool ownership_valid(struct slice value)
{
    return slice_equal_string(value, "BucketOwnerEnforced") ||
           slice_equal_string(value, "BucketOwnerPreferred") ||
           slice_equal_string(value, "ObjectWriter");
}

bool ownership_check_header(struct s3_call *call)
{
    struct slice value = call_request_header(call, "x-amz-object-ownership");

    if (value.data == NULL || ownership_valid(value)) {
        return true;
    }
    call_fail_argument(call, "x-amz-object-ownership", value,
                       "Invalid x-amz-object-ownership header");
    return false;
}

void ownership_create(struct s3_call *call, Meta__Bucket *bucket)
{
    struct slice value = call_request_header(call, "x-amz-object-ownership");

    document_set(call, bucket, DOCUMENT_OWNERSHIP,
                 value.data != NULL ? value
                                    : SLICE_LITERAL("BucketOwnerEnforced"));
}

static bool is_enforced(struct slice value)
{
    return slice_equal_string(value, "BucketOwnerEnforced");
}

struct slice ownership_of_request(const struct s3_call *call)
{
    const struct slice writer = slice_from_string(call->identity.user);
    const struct slice value = document_get(call->bucket, DOCUMENT_OWNERSHIP);
    const struct slice acl = call_request_header(call, "x-amz-acl");
    const bool given = slice_equal_string(value, "BucketOwnerPreferred") &&
                       slice_equal_string(acl, "bucket-owner-full-control");

    return writer.size == 0 || is_enforced(value) || given
               ? pb_slice(call->bucket->owner)
               : writer;
}

struct slice ownership_of_record(const Meta__Bucket *bucket, struct slice owner)
{
    return owner.size == 0 || !acls_enabled(bucket) ? pb_slice(bucket->owner)
                                                    : owner;
}

struct slice ownership_of_object(const Meta__Bucket *bucket,
                                 const Meta__Object *object)
{
    return ownership_of_record(bucket, pb_slice(object->owner));
}

/* bucket_change: a bucket without lists must have none. */
static bool change_ownership(struct s3_call *call, Meta__Bucket *bucket,
                             const void *wanted)
{
    const struct slice *value = wanted;

    if (is_enforced(*value) &&
        !acl_is_private(bucket->acl, pb_slice(bucket->owner))) {
        document_fail(call, S3_ERR_InvalidBucketAclWithObjectOwnership);
        return false;
    }
    document_set(call, bucket, DOCUMENT_OWNERSHIP, *value);
    return true;
}

void s3_put_ownership_run(struct s3_call *call)
{
    struct xml_node *root = document_request(call, "OwnershipControls");
    struct xml_leaf leaf = {.name = "ObjectOwnership", .required = true};

    if (root == NULL) {
        return;
    }
    if (root->first == NULL || root->first->next != NULL ||
        !slice_equal_string(root->first->name, "Rule") ||
        !xml_in_leaves(root->first, &leaf, 1) || !ownership_valid(leaf.value)) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    if (bucket_update(call, change_ownership, &leaf.value)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_ownership_run(struct s3_call *call)
{
    struct slice value = document_get(call->bucket, DOCUMENT_OWNERSHIP);
    struct buffer out = {NULL, 0, 0};

    if (value.data == NULL) {
        document_fail(call, S3_ERR_OwnershipControlsNotFoundError);
        return;
    }
    xml_open_document(&out, "OwnershipControls");
    xml_open(&out, "Rule");
    xml_text(&out, "ObjectOwnership", value);
    xml_close(&out, "Rule");
    xml_close(&out, "OwnershipControls");
    call_reply_xml(call, 200, &out);
}

void s3_delete_ownership_run(struct s3_call *call)
{
    if (document_commit(call, DOCUMENT_OWNERSHIP, slice_of(NULL, 0))) {
        call_reply_empty(call, 204);
    }
}
