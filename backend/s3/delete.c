/*
 * DeleteObject
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 */
#include "s3/operations.h"
#include "s3/worm.h"

void s3_delete_object_run(struct s3_call *call)
{
    struct slice if_match = call_request_header(call, "if-match");
    struct object_deletion deletion;
    struct slice version_id;
    enum s3_error error;

    if (!object_version_arg(call, &version_id))
        return;
    error = object_delete(call, call->key, version_id, if_match, &deletion);
    switch (error) {
    case S3_OK:
        if (deletion.delete_marker)
            call_header(call, "x-amz-delete-marker", "true");
        if (deletion.version_id.size > 0)
            call_header_slice(call, "x-amz-version-id", deletion.version_id);
        call_reply_empty(call, 204);
        break;
    case S3_ERR_AccessDenied:
        call_fail_message(call, error, "%s", WORM_PROTECTED_MESSAGE);
        break;
    case S3_ERR_NoSuchBucket:
        call_fail_no_bucket(call, call->bucket_name);
        break;
    case S3_ERR_NoSuchKey:
        call_fail_no_key(call, call->key);
        break;
    case S3_ERR_PreconditionFailed:
        call_fail_condition(call, "If-Match");
        break;
    default:
        call_fail(call, error);
    }
}
