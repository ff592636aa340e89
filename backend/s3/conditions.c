#include "s3/object.h"

/* The next element of a comma-separated list; a quoted tag may hold commas. */
static bool next_tag(struct slice list, size_t *at, struct slice *tag)
{
    size_t start, end;
    bool quoted = false;

    while (*at < list.size &&
           (list.data[*at] == ' ' || list.data[*at] == '\t' ||
            list.data[*at] == ',')) {
        (*at)++;
    }
    if (*at == list.size) {
        return false;
    }
    start = *at;
    for (; *at < list.size; (*at)++) {
        if (list.data[*at] == '"') {
            quoted = !quoted;
        } else if (list.data[*at] == ',' && !quoted) {
            break;
        }
    }
    end = *at;
    while (end > start &&
           (list.data[end - 1] == ' ' || list.data[end - 1] == '\t')) {
        end--;
    }
    *tag = slice_of(list.data + start, end - start);
    return true;
}

/* Weak comparison takes W/"tag" for "tag". */
static bool list_matches(struct slice list, struct slice etag, bool weak)
{
    struct slice tag;
    size_t at = 0;

    while (next_tag(list, &at, &tag)) {
        if (slice_equal_string(tag, "*")) {
            return true;
        }
        if (weak && slice_has_prefix(tag, SLICE_LITERAL("W/\""))) {
            tag = slice_of(tag.data + 2, tag.size - 2);
        }
        if (tag.size >= 2 && tag.data[0] == '"' &&
            tag.data[tag.size - 1] == '"') {
            tag = slice_of(tag.data + 1, tag.size - 2);
        }
        if (slice_equal(tag, etag)) {
            return true;
        }
    }
    return false;
}

bool etag_list_matches(struct slice list, struct slice etag)
{
    return list_matches(list, etag, false);
}

/* Dates have whole seconds; one that cannot be read is as if absent. */
static bool modified_since(struct slice date, uint64_t mtime_ms, bool otherwise,
                           bool exact)
{
    uint64_t ms;

    if (time_parse_http(date, &ms) != 0) {
        return otherwise;
    }
    return exact ? mtime_ms / 1000 != ms / 1000 : mtime_ms / 1000 > ms / 1000;
}

/* https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html:
 * a tag that decides silences the date beside it. */
enum condition conditions_evaluate(const struct conditions *conditions,
                                   struct slice etag, uint64_t mtime_ms,
                                   const char **which)
{
    if (conditions->match.data != NULL) {
        *which = "If-Match";
        if (!etag_list_matches(conditions->match, etag)) {
            return CONDITION_FAILED;
        }
    } else if (conditions->unmodified_since.data != NULL) {
        *which = "If-Unmodified-Since";
        if (modified_since(conditions->unmodified_since, mtime_ms, false,
                           false)) {
            return CONDITION_FAILED;
        }
    }
    if (conditions->none_match.data != NULL) {
        *which = "If-None-Match";
        if (list_matches(conditions->none_match, etag, conditions->weak)) {
            return CONDITION_NOT_MODIFIED;
        }
    } else if (conditions->modified_since.data != NULL) {
        *which = "If-Modified-Since";
        if (!modified_since(conditions->modified_since, mtime_ms, true,
                            conditions->exact)) {
            return CONDITION_NOT_MODIFIED;
        }
    }
    return CONDITION_PASS;
}

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
