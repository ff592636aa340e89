/*
 * GetObject and HeadObject
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 */
#include "s3/authorize.h"
#include "s3/hot_answer.h"
#include "s3/multipart.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/sse.h"
#include "s3/version.h"
#include "s3/worm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What of an object is asked for. */
struct selection {
    uint64_t offset, size; /* bytes */
    bool partial;          /* 206 with Content-Range */
    bool whole;            /* all bytes: its checksum may be told */
    unsigned parts;        /* x-amz-mp-parts-count, or 0 */
};

static const struct {
    const char *argument, *header;
} overrides[] = {
    {"response-cache-control", "cache-control"},
    {"response-content-disposition", "content-disposition"},
    {"response-content-encoding", "content-encoding"},
    {"response-content-language", "content-language"},
    {"response-content-type", "content-type"},
    {"response-expires", "expires"},
};
#define OVERRIDE_COUNT (sizeof(overrides) / sizeof(overrides[0]))

/* A value out of the query could hold a line break. Links that nobody signed
 * do not choose what an object looks like. */
static bool check_overrides(struct s3_call *call)
{
    for (size_t i = 0; i < OVERRIDE_COUNT; i++) {
        struct slice value = call_arg(call, overrides[i].argument);

        if (value.data != NULL && call_is_anonymous(call)) {
            call_fail_message(call, S3_ERR_InvalidRequest,
                              "Request specific response headers cannot be "
                              "used for anonymous GET requests.");
            return false;
        }
        for (size_t j = 0; value.data != NULL && j < value.size; j++) {
            if (value.data[j] >= 0x20 && value.data[j] != 0x7f) {
                continue;
            }
            call_fail_argument(call, overrides[i].argument, value,
                               "The value holds control characters");
            return false;
        }
    }
    return true;
}

void object_last_modified(struct s3_call *call, const Meta__Object *object)
{
    char text[TIME_HTTP_SIZE + 1];

    time_http(text, object->mtime_ms);
    call_header_slice(call, "Last-Modified", slice_of(text, TIME_HTTP_SIZE));
}

static void identity_headers(struct s3_call *call, const Meta__Object *object)
{
    call_header(call, "ETag", "\"%.*s\"", (int)object->etag.len,
                (const char *)object->etag.data);
    version_header(call, object);
}

static void fail_marker(struct s3_call *call, const Meta__Object *marker,
                        bool by_version)
{
    call_header(call, "x-amz-delete-marker", "true");
    version_header(call, marker);
    if (!by_version) {
        call_fail_no_key(call, call->key);
        return;
    }
    object_last_modified(call, marker);
    call_header(call, "Allow", "DELETE");
    call_error_field(call, "Method", pb_slice(call->request->method));
    call_error_field(call, "ResourceType", SLICE_LITERAL("DeleteMarker"));
    call_fail(call, S3_ERR_MethodNotAllowed);
}

void object_fail_absent(struct s3_call *call, const Meta__Bucket *bucket,
                        struct slice key, struct slice version_id)
{
    if (!call_authorize_absent(call, bucket)) {
        return;
    }
    if (version_id.data == NULL) {
        call_fail_no_key(call, key);
        return;
    }
    call_error_field(call, "Key", key);
    call_error_field(call, "VersionId", version_id);
    call_fail(call, S3_ERR_NoSuchVersion);
}

/* Some operations were authorized without the record. */
static bool authorize(struct s3_call *call, const Meta__Object *object)
{
    const struct s3_permission *permission =
        s3_permission_find(call->operation->operation);

    return permission->moment != ASKED_WITH_OBJECT ||
           call_authorize_found(call, object);
}

Meta__Object *object_requested(struct s3_call *call)
{
    struct slice version_id;
    Meta__Object *object;
    int error;

    if (!object_version_arg(call, &version_id)) {
        return NULL;
    }
    error = object_find(call, call->bucket->id, call->key, version_id, &object);
    if (error == -ENOENT) {
        object_fail_absent(call, call->bucket, call->key, version_id);
        return NULL;
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading an object's record");
        return NULL;
    }
    if (object->delete_marker) {
        if (version_id.data != NULL
                ? authorize(call, object)
                : call_authorize_absent(call, call->bucket)) {
            fail_marker(call, object, version_id.data != NULL);
        }
        return NULL;
    }
    return authorize(call, object) ? object : NULL;
}

struct slice object_stored_header(const Meta__Object *object, const char *name)
{
    for (size_t i = 0; i < object->n_headers; i++) {
        if (slice_equal_string(pb_slice(object->headers[i]->name), name)) {
            return pb_slice(object->headers[i]->value);
        }
    }
    return slice_of(NULL, 0);
}

void object_cache_headers(struct s3_call *call, const Meta__Object *object)
{
    static const char *const names[] = {"cache-control", "expires"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct slice value = object_stored_header(object, names[i]);

        if (value.size > 0) {
            call_header_slice(
                call, object_header_spelling(slice_from_string(names[i])),
                value);
        }
    }
}

static void reply_not_modified(struct s3_call *call, const Meta__Object *object)
{
    identity_headers(call, object);
    object_last_modified(call, object);
    object_cache_headers(call, object);
    call_fail(call, S3_ERR_NotModified);
}

static bool check_conditions(struct s3_call *call, const Meta__Object *object)
{
    struct conditions conditions = {
        .match = call_request_header(call, "if-match"),
        .none_match = call_request_header(call, "if-none-match"),
        .modified_since = call_request_header(call, "if-modified-since"),
        .unmodified_since = call_request_header(call, "if-unmodified-since"),
    };
    const char *which = "";

    switch (conditions_evaluate(&conditions, pb_slice(object->etag),
                                object->mtime_ms, &which)) {
    case CONDITION_FAILED:
        call_fail_condition(call, which);
        return false;
    case CONDITION_NOT_MODIFIED:
        reply_not_modified(call, object);
        return false;
    default:
        return true;
    }
}

bool object_range_wanted(const struct s3_call *call, const Meta__Object *object)
{
    return range_wanted(call_request_header(call, "if-range"),
                        pb_slice(object->etag), object->mtime_ms);
}

static bool select_range(struct s3_call *call, const Meta__Object *object,
                         struct slice range, struct selection *selection)
{
    uint64_t first = 0, last = 0;
    char size[24];

    if (!object_range_wanted(call, object)) {
        return true;
    }
    switch (range_parse(range, object->size, &first, &last)) {
    case RANGE_UNSATISFIABLE:
        snprintf(size, sizeof(size), "%" PRIu64, object->size);
        call_header(call, "Content-Range", "bytes */%s", size);
        call_header(call, "Accept-Ranges", "bytes");
        call_error_field(call, "RangeRequested", range);
        call_error_field(call, "ActualObjectSize", slice_from_string(size));
        call_fail(call, S3_ERR_InvalidRange);
        return false;
    case RANGE_OK:
        selection->offset = first;
        selection->size = last - first + 1;
        selection->partial = true;
        selection->whole = false;
        return true;
    default:
        return true;
    }
}

static bool fail_part(struct s3_call *call, uint64_t number, unsigned count)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    call_error_field(call, "PartNumberRequested", slice_from_string(text));
    snprintf(text, sizeof(text), "%u", count);
    call_error_field(call, "ActualPartCount", slice_from_string(text));
    call_fail(call, S3_ERR_InvalidPartNumber);
    return false;
}

/* Parts are counted as they were completed: 1 .. parts, whatever numbers
 * they were uploaded under. */
static bool select_part(struct s3_call *call, const Meta__Object *object,
                        uint64_t number, struct selection *selection)
{
    unsigned count = object->parts > 0 ? object->parts : 1;
    Meta__Blob *record = NULL;
    Meta__Part **parts = NULL;
    size_t found = 0;
    int error = 0;

    if (number > count) {
        return fail_part(call, number, count);
    }
    selection->partial = object->size > 0;
    selection->parts = object->parts;
    if (object->parts < 2) {
        return true;
    }
    if (object->blob != 0) {
        error = meta_get_blob(call->service->meta, call->arena, object->blob,
                              &record);
    }
    if (record != NULL) {
        parts = composite_parts(call->arena, record, &found);
    }
    if (error != 0 || found != count) {
        call_fail_errno(call, error != 0 ? error : -EBADMSG,
                        "reading an object's parts");
        return false;
    }
    selection->offset = 0;
    for (uint64_t i = 0; i + 1 < number; i++) {
        selection->offset += parts[i]->size;
    }
    selection->size = parts[number - 1]->size;
    selection->whole = false;
    selection->partial = selection->size > 0;
    return true;
}

static bool select_bytes(struct s3_call *call, const Meta__Object *object,
                         struct selection *selection)
{
    struct slice range = call_request_header(call, "range");
    struct slice part = call_arg(call, "partNumber");
    uint64_t number;

    *selection = (struct selection){.size = object->size, .whole = true};
    if (part.data == NULL) {
        return select_range(call, object, range, selection);
    }
    if (slice_to_u64(part, &number) != 0 || number < 1 ||
        number > S3_PART_NUMBER_MAX) {
        call_fail_argument(
            call, "partNumber", part,
            "Part number must be an integer between 1 and 10000, inclusive");
        return false;
    }
    if (range.data != NULL) {
        call_fail_message(
            call, S3_ERR_InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter");
        return false;
    }
    return select_part(call, object, number, selection);
}

/* RFC 2047: what is not ASCII cannot be in a header as it is. */
static void metadata_header(struct s3_call *call, const Meta__Field *field)
{
    struct slice value = pb_slice(field->value);
    char *name =
        arena_printf(call->arena, "x-amz-meta-%.*s", (int)field->name.len,
                     (const char *)field->name.data);
    bool ascii = true;
    char *encoded;

    if (!call_header_name(slice_from_string(name))) {
        return; /* of a record that was written without that check */
    }
    for (size_t i = 0; i < value.size; i++) {
        ascii = ascii && value.data[i] < 0x80;
    }
    if (ascii) {
        call_header_slice(call, name, value);
        return;
    }
    encoded = arena_alloc(call->arena, 4 * ((value.size + 2) / 3) + 1);
    base64_encode(encoded, value.data, value.size);
    call_header(call, name,
                "=?%s?B?%s?=", utf8_valid(value) ? "UTF-8" : "ISO-8859-1",
                encoded);
}

const char *object_header_spelling(struct slice name)
{
    static const struct {
        const char *name, *spelling;
    } spellings[] = {
        {"cache-control", "Cache-Control"},
        {"content-disposition", "Content-Disposition"},
        {"content-encoding", "Content-Encoding"},
        {"content-language", "Content-Language"},
        {"content-type", "Content-Type"},
        {"expires", "Expires"},
    };

    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        if (slice_equal_string(name, spellings[i].name)) {
            return spellings[i].spelling;
        }
    }
    return NULL;
}

static void system_headers(struct s3_call *call, const Meta__Object *object)
{
    bool content_type = false;

    for (size_t i = 0; i < OVERRIDE_COUNT; i++) {
        struct slice name = slice_from_string(overrides[i].header);
        struct slice value = call_arg(call, overrides[i].argument);

        if (value.data == NULL) {
            value = object_stored_header(object, overrides[i].header);
        }
        if (value.size == 0) {
            continue;
        }
        call_header_slice(call, object_header_spelling(name), value);
        content_type = content_type || slice_equal_string(name, "content-type");
    }
    if (!content_type) {
        call_header_slice(call, "Content-Type",
                          SLICE_LITERAL("binary/octet-stream"));
    }
}

static void object_headers(struct s3_call *call, const Meta__Object *object,
                           const struct selection *selection)
{
    struct slice mode = call_request_header(call, "x-amz-checksum-mode");

    identity_headers(call, object);
    object_last_modified(call, object);
    call_header_slice(call, "Accept-Ranges", SLICE_LITERAL("bytes"));
    system_headers(call, object);
    if (selection->parts > 0) {
        call_header(call, "x-amz-mp-parts-count", "%u", selection->parts);
    }
    if (selection->whole && slice_equal_string(mode, "ENABLED")) {
        call_checksum_headers(call, object->checksum, object->parts);
    }
    if (object->storage_class.len > 0) {
        call_header_slice(call, "x-amz-storage-class",
                          pb_slice(object->storage_class));
    }
    if (object->website_redirect.len > 0) {
        call_header_slice(call, "x-amz-website-redirect-location",
                          pb_slice(object->website_redirect));
    }
    if (object->n_tags > 0) {
        call_header(call, "x-amz-tagging-count", "%zu", object->n_tags);
    }
    sse_headers(call, object->encryption, false);
    worm_headers(call, object);
    for (size_t i = 0; i < object->n_metadata; i++) {
        metadata_header(call, object->metadata[i]);
    }
    /* The last, as what the hot index answers. */
    if (selection->partial) {
        call_header(call, "Content-Range",
                    "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, selection->offset,
                    selection->offset + selection->size - 1, object->size);
    }
}

/* On a control connection: nothing of it is worth reading. */
static bool will_be_declined(const struct s3_call *call, uint64_t size)
{
    return call->request->id != 0 && size > ASK_BODY_MAX;
}

int object_open_body(struct s3_call *call, const Meta__Object *object,
                     uint64_t offset, uint64_t size)
{
    struct sse sse;
    int error;

    if (size == 0) {
        return 0;
    }
    if (!sse_open(call, object->encryption, SSE_OBJECT, &sse)) {
        return -ECANCELED;
    }
    error = source_open(call, object->blob, &sse, offset, size);
    sse_wipe(&sse);
    if (error == 0 && !will_be_declined(call, size)) {
        error = source_prime(call);
    }
    if (error != 0) {
        source_free(call);
    }
    return error;
}

/* hot_answer_describe */
static void describe(struct s3_call *call, const void *argument)
{
    const Meta__Object *object = argument;
    const struct selection all = {.size = object->size, .whole = true};

    object_headers(call, object, &all);
}

void object_publish(struct s3_call *call, const Meta__Object *object,
                    bool with_body)
{
    if (call->reply.status == 304) {
        hot_answer_publish_head(call, object, describe, object);
    } else {
        hot_answer_publish(call, object, with_body);
    }
}

static void reply(struct s3_call *call, const Meta__Object *object,
                  const struct selection *selection, unsigned status)
{
    object_headers(call, object, selection);
    call_reply_empty(call, status);
    call->reply.has_content_length = true;
    call->reply.content_length = selection->size;
    if (call->source != NULL) {
        call->reply.body = source_has_segments(call)
                               ? WIRE__REPLY__BODY__SEGMENTS
                               : WIRE__REPLY__BODY__DATA;
    }
}

static int answer(struct s3_call *call, const Meta__Object *object,
                  const struct selection *selection, bool with_body,
                  unsigned status)
{
    int error = with_body ? object_open_body(call, object, selection->offset,
                                             selection->size)
                          : 0;

    if (error == 0) {
        reply(call, object, selection, status);
    }
    return error == -ECANCELED ? 0 : error;
}

int object_answer(struct s3_call *call, const Meta__Object *object,
                  bool with_body)
{
    struct selection selection;

    if (!sse_may_read(call, object->encryption, SSE_OBJECT) ||
        !check_conditions(call, object) ||
        !select_bytes(call, object, &selection)) {
        return 0;
    }
    return answer(call, object, &selection, with_body,
                  selection.partial ? 206 : 200);
}

int object_answer_as(struct s3_call *call, const Meta__Object *object,
                     bool with_body, unsigned status)
{
    const struct selection all = {.size = object->size, .whole = true};

    return answer(call, object, &all, with_body, status);
}

/* An object may be replaced, and its blob freed, between the two reads:
 * then the new one is looked up. */
static void serve(struct s3_call *call, bool with_body)
{
    int error = -ENOENT;

    if (!check_overrides(call)) {
        return;
    }
    for (unsigned i = 0; i < OBJECT_TRIES && error == -ENOENT; i++) {
        const Meta__Object *object;

        hot_answer_look(call, call->key);
        object = object_requested(call);
        if (object == NULL) {
            return;
        }
        error = object_answer(call, object, with_body);
        if (error == 0) {
            object_publish(call, object, with_body);
        }
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading an object");
    }
}

void s3_get_object_run(struct s3_call *call)
{
    serve(call, true);
}

void s3_head_object_run(struct s3_call *call)
{
    serve(call, false);
}
