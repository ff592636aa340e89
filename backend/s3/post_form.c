/* The fields of a form: what they say, as headers of a PutObject. */
#include "s3/post.h"

#include <string.h>

static const char *const header_fields[] = {
    "cache-control",    "content-disposition",
    "content-encoding", "content-language",
    "content-md5",      "content-type",
    "expires",          "if-match",
    "if-none-match",
};

/* They sign the form, or are in the request's own headers. */
static const char *const other_fields[] = {
    "x-amz-algorithm", "x-amz-credential",     "x-amz-date",
    "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256",
};

/* Of the request's headers these hold for an upload from a form. */
static const char *const request_headers[] = {
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
    "user-agent",
    "referer",
    "x-amz-expected-bucket-owner",
    "x-amz-request-payer",
};

static const struct slice placeholder = {(const uint8_t *)"${filename}", 11};

static bool listed(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (post_name_is(name, names[i])) {
            return true;
        }
    }
    return false;
}
#define LISTED(name, names) listed(name, names, sizeof(names) / sizeof(*names))

struct slice post_value(const struct post *post, const char *name)
{
    const struct post_field *field =
        post_field_find(post->fields, post->count, slice_from_string(name));

    if (field == NULL) {
        return slice_of(NULL, 0);
    }
    return field->value.size > 0 ? field->value : slice_of("", 0);
}

bool post_fail_missing(struct s3_call *call, const char *name)
{
    call_error_field(call, "ArgumentName", slice_from_string(name));
    call_error_field(call, "ArgumentValue", slice_of("", 0));
    call_fail_message(call, S3_ERR_InvalidArgument,
                      "Bucket POST must contain a field named '%s'.  If it is "
                      "specified, please check the order of the fields.",
                      name);
    return false;
}

/* --- ${filename} -----------------------------------------------------------*/
/* Browsers may send a whole path. */
static struct slice base_name(struct slice path)
{
    size_t start = path.size;

    while (start > 0 && path.data[start - 1] != '/' &&
           path.data[start - 1] != '\\') {
        start--;
    }
    return slice_of(path.data + start, path.size - start);
}

/* False: it becomes too long. */
static bool expand(struct s3_call *call, struct slice *field,
                   struct slice filename)
{
    struct buffer out = {NULL, 0, 0};
    struct slice value = *field;
    const uint8_t *found;

    while (value.size > 0 &&
           (found = memmem(value.data, value.size, placeholder.data,
                           placeholder.size)) != NULL) {
        size_t before = (size_t)(found - value.data);
        size_t skip = before + placeholder.size;

        if (out.size + before + filename.size > POST_EXPANDED_MAX) {
            buffer_free(&out);
            return false;
        }
        buffer_append(&out, value.data, before);
        buffer_append(&out, filename.data, filename.size);
        value = slice_of(value.data + skip, value.size - skip);
    }
    if (value.size > 0) {
        buffer_append(&out, value.data, value.size);
    }
    *field = arena_copy(call->arena, out.data, out.size);
    buffer_free(&out);
    return true;
}

static bool fail_long(struct s3_call *call)
{
    call_error_field(call, "MaxPostPreDataLengthBytes", SLICE_LITERAL("20480"));
    call_fail(call, S3_ERR_MaxPostPreDataLengthExceeded);
    return false;
}

/* A form that does not say the file's name keeps the placeholder. */
static bool expand_fields(struct s3_call *call, struct post *post)
{
    struct slice filename = base_name(post->filename);
    size_t total = 0;

    if (post->filename.data == NULL) {
        return true;
    }
    for (size_t i = 0; i < post->count; i++) {
        struct post_field *field = &post->fields[i];

        if (memmem(field->value.data, field->value.size, placeholder.data,
                   placeholder.size) == NULL) {
            continue;
        }
        if (!expand(call, &field->value, filename)) {
            return fail_long(call);
        }
        total += field->value.size;
        if (total > POST_EXPANDED_MAX) {
            return fail_long(call);
        }
    }
    return true;
}

/* Of two fields of a name the policy might be held against one, and the other
 * be taken. */
static bool check_doubles(struct s3_call *call, const struct post *post)
{
    for (size_t i = 1; i < post->count; i++) {
        struct slice name = post->fields[i].name;

        if (!post_name_ignored(name) &&
            post_field_find(post->fields, i, name) != NULL) {
            call_error_field(call, "ArgumentName", name);
            call_error_field(call, "ArgumentValue", post->fields[i].value);
            call_fail_message(call, S3_ERR_InvalidArgument,
                              "A field of the form must not be repeated.");
            return false;
        }
    }
    return true;
}

bool post_complete_fields(struct s3_call *call, struct post *post)
{
    if (!check_doubles(call, post) || !expand_fields(call, post)) {
        return false;
    }
    call->key = post_value(post, "key");
    if (call->key.size == 0) {
        return post_fail_missing(call, "key");
    }
    return true;
}

/* --- headers ---------------------------------------------------------------*/
static struct slice lower_case(struct s3_call *call, struct slice name)
{
    struct slice copy = arena_copy(call->arena, name.data, name.size);

    for (size_t i = 0; i < copy.size; i++) {
        uint8_t *c = (uint8_t *)copy.data + i;

        *c = *c >= 'A' && *c <= 'Z' ? (uint8_t)(*c | 0x20) : *c;
    }
    return copy;
}

static void add_header(struct s3_call *call, Wire__Request *request,
                       struct slice name, struct slice value)
{
    Wire__Field *field = arena_alloc(call->arena, sizeof(*field));

    wire__field__init(field);
    field->name = pb_bytes(name);
    field->value = pb_bytes(value);
    request->headers[request->n_headers++] = field;
}

static bool is_header(struct slice name)
{
    static const char prefix[] = "x-amz-";
    const size_t size = sizeof(prefix) - 1;

    if (LISTED(name, other_fields)) {
        return false;
    }
    return LISTED(name, header_fields) ||
           (name.size > size &&
            post_name_is(slice_of(name.data, size), prefix));
}

static bool take_field(struct s3_call *call, Wire__Request *request,
                       const struct post_field *field)
{
    if (post_name_is(field->name, "acl")) {
        add_header(call, request, SLICE_LITERAL("x-amz-acl"), field->value);
        return true;
    }
    if (!is_header(field->name)) {
        return true;
    }
    if (!call_header_name(field->name)) {
        call_fail_argument(call, "name", field->name,
                           "The name of a field of the form is not valid.");
        return false;
    }
    add_header(call, request, lower_case(call, field->name), field->value);
    return true;
}

bool post_take_headers(struct s3_call *call, const struct post *post)
{
    const Wire__Request *sent = call->request;
    Wire__Request *request = arena_alloc(call->arena, sizeof(*request));

    *request = *sent;
    request->signed_ms = post->signed_ms;
    request->content_length = UINT64_MAX; /* of the file: nobody knows */
    request->n_headers = 0;
    request->headers = arena_alloc(
        call->arena, (sent->n_headers + post->count + 1) * sizeof(void *));
    for (size_t i = 0; i < sent->n_headers; i++) {
        struct slice name = pb_slice(sent->headers[i]->name);

        if (LISTED(name, request_headers)) {
            request->headers[request->n_headers++] = sent->headers[i];
        }
    }
    for (size_t i = 0; i < post->count; i++) {
        if (!take_field(call, request, &post->fields[i])) {
            return false;
        }
    }
    call->request = request;
    return true;
}
