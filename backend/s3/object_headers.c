/* What a request says about a new object besides its bytes. */
#include "s3/acl.h"
#include "s3/ownership.h"
#include "s3/tags.h"
#include "s3/worm.h"

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
        token = slice_trim(slice_of(value.data + start, end - start));
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

/* Names come out of queries and forms, too, where they hold any byte. */
static bool take_metadata(struct s3_call *call, Meta__Object *object,
                          struct slice name, struct slice value)
{
    if (!call_header_name(name)) {
        call_fail_argument(call, "name", name,
                           "The name of a header is not valid.");
        return false;
    }
    name = slice_of(name.data + meta_prefix.size, name.size - meta_prefix.size);
    object->metadata[object->n_metadata++] = new_field(call, name, value);
    return true;
}

static void take_system_header(struct s3_call *call, Meta__Object *object,
                               struct slice name, struct slice value)
{
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

static bool check_metadata_size(struct s3_call *call,
                                const Meta__Object *object)
{
    size_t size = 0;

    for (size_t i = 0; i < object->n_metadata; i++) {
        size += object->metadata[i]->name.len + object->metadata[i]->value.len;
    }
    if (size <= S3_METADATA_MAX) {
        return true;
    }
    call_error_field(call, "Size",
                     slice_from_string(arena_printf(call->arena, "%zu", size)));
    call_error_field(call, "MaxSizeAllowed", SLICE_LITERAL("2048"));
    call_fail(call, S3_ERR_MetadataTooLarge);
    return false;
}

static bool take_fields(struct s3_call *call, Meta__Object *object)
{
    const Wire__Request *request = call->request;

    object->headers =
        arena_alloc(call->arena, (request->n_headers + 1) * sizeof(void *));
    object->metadata =
        arena_alloc(call->arena, (request->n_headers + 1) * sizeof(void *));
    for (size_t i = 0; i < request->n_headers; i++) {
        struct slice name = pb_slice(request->headers[i]->name);
        struct slice value = pb_slice(request->headers[i]->value);

        if (LISTED(name, system_headers)) {
            take_system_header(call, object, name, value);
        } else if (slice_has_prefix(name, meta_prefix) &&
                   !take_metadata(call, object, name, value)) {
            return false;
        }
    }
    return check_metadata_size(call, object);
}

bool object_take_headers(struct s3_call *call, Meta__Object *object)
{
    if (!take_fields(call, object)) {
        return false;
    }
    object->owner = pb_bytes(ownership_of_request(call));
    return take_storage_class(call, object) && take_redirect(call, object) &&
           object_take_tags(call, object) && worm_take(call, object) &&
           acl_take_request(call, pb_slice(object->owner), &object->acl);
}
