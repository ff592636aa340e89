/* Conditions of writes and deletes. */
#include "s3/object.h"

/* https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html: the
 * date is one of HTTP, of whole seconds. */
const char *delete_conditions_failed(const struct delete_conditions *conditions,
                                     struct slice etag, uint64_t size,
                                     uint64_t mtime_ms)
{
    if (conditions->match.data != NULL &&
        !etag_list_matches(conditions->match, etag)) {
        return "If-Match";
    }
    if (conditions->has_size && conditions->size != size) {
        return "x-amz-if-match-size";
    }
    if (conditions->has_mtime &&
        conditions->mtime_ms / 1000 != mtime_ms / 1000) {
        return "x-amz-if-match-last-modified-time";
    }
    return NULL;
}

bool object_check_write_conditions(struct s3_call *call,
                                   const Meta__Object *current)
{
    struct slice match = call_request_header(call, "if-match");
    struct slice none_match = call_request_header(call, "if-none-match");

    if (match.data == NULL && none_match.data == NULL) {
        return true;
    }
    if (current != NULL && current->delete_marker) {
        current = NULL;
    }
    if (none_match.data != NULL &&
        (match.data != NULL || !slice_equal_string(none_match, "*"))) {
        call_error_field(call, "Header", SLICE_LITERAL("If-None-Match"));
        call_fail(call, S3_ERR_NotImplemented);
        return false;
    }
    if (none_match.data != NULL && current != NULL) {
        call_fail_condition(call, "If-None-Match");
        return false;
    }
    if (match.data != NULL && current == NULL) {
        object_fail_absent(call, call->bucket, call->key, slice_of(NULL, 0));
        return false;
    }
    if (match.data != NULL &&
        !etag_list_matches(match, pb_slice(current->etag))) {
        call_fail_condition(call, "If-Match");
        return false;
    }
    return true;
}
