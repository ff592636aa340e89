/*
 * PutBucketVersioning, GetBucketVersioning
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
 */
#include "base/xml_in.h"
#include "s3/bucket.h"
#include "s3/document.h"
#include "s3/operations.h"

static bool take_status(struct s3_call *call, struct slice text,
                        Meta__Bucket__Versioning *wanted)
{
    if (text.data == NULL) {
        call_fail_message(call, S3_ERR_IllegalVersioningConfigurationException,
                          "The Versioning element must be specified");
        return false;
    }
    if (slice_equal_string(text, "Enabled")) {
        *wanted = META__BUCKET__VERSIONING__ENABLED;
        return true;
    }
    if (slice_equal_string(text, "Suspended")) {
        *wanted = META__BUCKET__VERSIONING__SUSPENDED;
        return true;
    }
    call_fail(call, S3_ERR_MalformedXML);
    return false;
}

/* There are no devices here, so nobody can present the code of one. */
static bool take_mfa_delete(struct s3_call *call, struct slice text)
{
    if (text.data == NULL || slice_equal_string(text, "Disabled")) {
        return true;
    }
    if (slice_equal_string(text, "Enabled")) {
        call_fail_message(call, S3_ERR_AccessDenied,
                          "Mfa Authentication must be used for this request");
    } else {
        call_fail(call, S3_ERR_MalformedXML);
    }
    return false;
}

/* bucket_change */
static bool change_versioning(struct s3_call *call, Meta__Bucket *bucket,
                              const void *wanted)
{
    const Meta__Bucket__Versioning *versioning = wanted;

    invariant(*versioning != META__BUCKET__VERSIONING__UNVERSIONED);
    if (bucket->object_lock &&
        *versioning != META__BUCKET__VERSIONING__ENABLED) {
        call_fail_message(call, S3_ERR_InvalidBucketState,
                          "An Object Lock configuration is present on this "
                          "bucket, so the versioning state cannot be "
                          "changed.");
        return false;
    }
    if (bucket->versioning == *versioning) {
        return false;
    }
    bucket->versioning = *versioning;
    return true;
}

void s3_put_versioning_run(struct s3_call *call)
{
    const struct xml_node *root =
        document_request(call, "VersioningConfiguration");
    struct xml_leaf leaves[] = {{.name = "Status"}, {.name = "MfaDelete"}};
    Meta__Bucket__Versioning wanted;

    if (root == NULL) {
        return;
    }
    if (!xml_in_leaves(root, leaves, sizeof(leaves) / sizeof(leaves[0]))) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    if (take_status(call, leaves[0].value, &wanted) &&
        take_mfa_delete(call, leaves[1].value) &&
        bucket_update(call, change_versioning, &wanted)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_versioning_run(struct s3_call *call)
{
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, "VersioningConfiguration");
    switch (call->bucket->versioning) {
    case META__BUCKET__VERSIONING__ENABLED:
        xml_string(&out, "Status", "Enabled");
        break;
    case META__BUCKET__VERSIONING__SUSPENDED:
        xml_string(&out, "Status", "Suspended");
        break;
    default: /* it was never set */
        break;
    }
    xml_close(&out, "VersioningConfiguration");
    call_reply_xml(call, 200, &out);
}
