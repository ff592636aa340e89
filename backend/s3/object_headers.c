/* What a request says about a new object besides its bytes. */
#include "s3/acl.h"
#include "s3/ownership.h"
#include "s3/tags.h"
#include "s3/worm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REDIRECT_MAX 2048u /* bytes */

static const char *const system_headers[] = {
    "cache-control",    "content-disposition", "content-encoding",
    "content-language", "content-type",        "expires",
};

/* Kept and returned by name: all bytes are stored in one way. Classes that
 * must be restored before they can be read are not there. */
static const char *const storage_classes[] = {
    "REDUCED_REDUNDANCY",  "STANDARD_IA", "ONEZONE_IA",
    "INTELLIGENT_TIERING", "GLACIER_IR",
};
static const char *const archive_classes[] = {"GLACIER", "DEEP_ARCHIVE"};

static const struct slice meta_prefix = {(const uint8_t *)"x-amz-meta-", 11};

static bool listed(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_string(name, names[i])) {
            return true;
        }
    }
    return false;
}
#define LISTED(name, names) listed(name, names, sizeof(names) / sizeof(*names))

static struct slice trim(struct slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' ||
                             text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* Content-Encoding less "aws-chunked", which is the transport's. */
static struct slice without_aws_chunked(struct s3_call *call,
                                        struct slice value)
{
    struct buffer kept = {0};
    struct slice result;
    size_t start = 0;

    while (start <= value.size) {
        size_t end = start;
        struct slice token;

        while (end < value.size && value.data[end] != ',') {
            end++;
        }
        token = trim(slice_of(value.data + start, end - start));
        start = end + 1;
        if (token.size == 0 ||
            (token.size == 11 &&
             strncasecmp((const char *)token.data, "aws-chunked", 11) == 0)) {
            continue;
        }
        if (kept.size > 0) {
            buffer_append_string(&kept, ", ");
        }
        buffer_append(&kept, token.data, token.size);
    }
    result = arena_copy(call->arena, kept.data, kept.size);
    buffer_free(&kept);
    return result;
}

static Meta__Field *new_field(struct s3_call *call, struct slice name,
                              struct slice value)
{
    Meta__Field *field = arena_alloc(call->arena, sizeof(*field));

    meta__field__init(field);
    field->name = pb_bytes(name);
    field->value = pb_bytes(value);
    return field;
}

static void take_field(struct s3_call *call, Meta__Object *object,
                       struct slice name, struct slice value, size_t *metadata)
{
    if (slice_has_prefix(name, meta_prefix)) {
        name = slice_of(name.data + meta_prefix.size,
                        name.size - meta_prefix.size);
        *metadata += name.size + value.size;
        object->metadata[object->n_metadata++] = new_field(call, name, value);
        return;
    }
    if (!LISTED(name, system_headers)) {
        return;
    }
    if (slice_equal_string(name, "content-encoding")) {
        value = without_aws_chunked(call, value);
    }
    if (value.size > 0) {
        object->headers[object->n_headers++] = new_field(call, name, value);
    }
}

static bool take_storage_class(struct s3_call *call, Meta__Object *object)
{
    struct slice value = call_request_header(call, "x-amz-storage-class");

    if (value.data == NULL || slice_equal_string(value, "STANDARD")) {
        return true;
    }
    if (LISTED(value, storage_classes)) {
        object->storage_class = pb_bytes(value);
        return true;
    }
    if (LISTED(value, archive_classes)) {
        call_error_field(call, "Header", SLICE_LITERAL("x-amz-storage-class"));
        call_fail(call, S3_ERR_NotImplemented);
        return false;
    }
    call_error_field(call, "StorageClassRequested", value);
    call_fail(call, S3_ERR_InvalidStorageClass);
    return false;
}

/* For the website: the object's own bytes are what a GET gives. */
static bool take_redirect(struct s3_call *call, Meta__Object *object)
{
    struct slice value =
        call_request_header(call, "x-amz-website-redirect-location");

    if (value.data == NULL) {
        return true;
    }
    if (!slice_has_prefix(value, SLICE_LITERAL("/")) &&
        !slice_has_prefix(value, SLICE_LITERAL("http://")) &&
        !slice_has_prefix(value, SLICE_LITERAL("https://"))) {
        call_fail(call, S3_ERR_InvalidRedirectLocation);
        return false;
    }
    if (value.size > REDIRECT_MAX) {
        call_fail_message(call, S3_ERR_InvalidRedirectLocation,
                          "The length of website redirect location cannot "
                          "exceed %u characters.",
                          REDIRECT_MAX);
        return false;
    }
    object->website_redirect = pb_bytes(value);
    return true;
}

bool object_take_headers(struct s3_call *call, Meta__Object *object)
{
    const Wire__Request *request = call->request;
    size_t metadata = 0;

    object->headers =
        arena_alloc(call->arena, (request->n_headers + 1) * sizeof(void *));
    object->metadata =
        arena_alloc(call->arena, (request->n_headers + 1) * sizeof(void *));
    for (size_t i = 0; i < request->n_headers; i++) {
        take_field(call, object, pb_slice(request->headers[i]->name),
                   pb_slice(request->headers[i]->value), &metadata);
    }
    if (metadata > S3_METADATA_MAX) {
        char size[24];

        snprintf(size, sizeof(size), "%zu", metadata);
        call_error_field(call, "Size", slice_from_string(size));
        call_error_field(call, "MaxSizeAllowed", SLICE_LITERAL("2048"));
        call_fail(call, S3_ERR_MetadataTooLarge);
        return false;
    }
    object->owner = pb_bytes(ownership_of_request(call));
    return take_storage_class(call, object) && take_redirect(call, object) &&
           object_take_tags(call, object) && worm_take(call, object) &&
           acl_take_request(call, pb_slice(object->owner), &object->acl);
}
