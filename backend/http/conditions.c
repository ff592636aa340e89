#include "http/http.h"

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

bool range_wanted(struct slice if_range, struct slice etag, uint64_t mtime_ms)
{
    uint64_t ms;

    if (if_range.data == NULL) {
        return true;
    }
    if (time_parse_http(if_range, &ms) == 0) {
        return ms / 1000 == mtime_ms / 1000;
    }
    return !slice_equal_string(if_range, "*") &&
           etag_list_matches(if_range, etag);
}
