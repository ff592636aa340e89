/*
 * DeleteObject
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 */
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/worm.h"

#define IF_SIZE  "x-amz-if-match-size"
#define IF_MTIME "x-amz-if-match-last-modified-time"

/* S3 has size and time for directory buckets only; here any bucket does. */
static bool take_conditions(struct s3_call *call,
                            struct delete_conditions *conditions)
{
    struct slice size = call_request_header(call, IF_SIZE);
    struct slice mtime = call_request_header(call, IF_MTIME);

    *conditions = (struct delete_conditions){
        .match = call_request_header(call, "if-match"),
        .has_size = size.data != NULL,
        .has_mtime = mtime.data != NULL,
    };
    if (conditions->has_size && slice_to_u64(size, &conditions->size) != 0) {
        call_fail_argument(call, IF_SIZE, size,
                           "The size must be a number of bytes");
        return false;
    }
    if (conditions->has_mtime &&
        time_parse_http(mtime, &conditions->mtime_ms) != 0 &&
        time_parse_iso8601(mtime, &conditions->mtime_ms) != 0) {
        call_fail_argument(call, IF_MTIME, mtime,
                           "The time must be a date of HTTP");
        return false;
    }
    return true;
}

void s3_delete_object_run(struct s3_call *call)
{
    struct object_doomed doomed = {.key = call->key};
    const struct object_deletion *deletion = &doomed.deletion;

    if (!object_version_arg(call, &doomed.version_id) ||
        !take_conditions(call, &doomed.conditions)) {
        return;
    }
    object_delete(call, (struct object_doomed *[]){&doomed}, 1);
    switch (doomed.error) {
    case S3_OK:
        if (deletion->delete_marker) {
            call_header(call, "x-amz-delete-marker", "true");
        }
        if (deletion->version_id.size > 0) {
            call_header_slice(call, "x-amz-version-id", deletion->version_id);
        }
        call_reply_empty(call, 204);
        break;
    case S3_ERR_AccessDenied:
        call_fail_message(call, doomed.error, "%s", WORM_PROTECTED_MESSAGE);
        break;
    case S3_ERR_NoSuchBucket:
        call_fail_no_bucket(call, call->bucket_name);
        break;
    case S3_ERR_NoSuchKey:
        object_fail_absent(call, call->bucket, call->key, slice_of(NULL, 0));
        break;
    case S3_ERR_PreconditionFailed:
        call_fail_condition(call, deletion->failed);
        break;
    default:
        call_fail(call, doomed.error);
    }
}
