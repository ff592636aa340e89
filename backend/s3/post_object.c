/* PostObject: an upload from a browser's form. post.h says how it goes. */
#include "s3/authorize.h"
#include "s3/limits.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/ownership.h"
#include "s3/pieces.h"
#include "s3/post.h"
#include "s3/tags.h"
#include "s3/worm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FORM_MAX (S3_PUT_MAX + (1u << 20)) /* bytes of a whole form */
#define ONE_FILE "POST requires exactly one file upload per request."
#define ENCLOSURE                                                              \
    "Bucket POST must be of the enclosure-type multipart/form-data"

static void error_number(struct s3_call *call, const char *name,
                         uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    call_error_field(call, name, slice_from_string(text));
}

static void fail_large(struct s3_call *call, uint64_t proposed, uint64_t max)
{
    error_number(call, "ProposedSize", proposed);
    error_number(call, "MaxSizeAllowed", max);
    call_fail(call, S3_ERR_EntityTooLarge);
}

static void fail_prefix(struct s3_call *call)
{
    error_number(call, "MaxPostPreDataLengthBytes", POST_PREFIX_MAX);
    call_fail(call, S3_ERR_MaxPostPreDataLengthExceeded);
}

/* --- the beginning ---------------------------------------------------------*/
/* Conditions stand in the form, where its policy is held against them. */
static bool check_request(struct s3_call *call)
{
    static const char *const names[] = {"if-match", "if-none-match"};

    for (size_t i = 0; i < 2; i++) {
        if (call_request_header(call, names[i]).data != NULL) {
            call_error_field(call, "Header", slice_from_string(names[i]));
            call_fail(call, S3_ERR_NotImplemented);
            return false;
        }
    }
    if (call->request->content_length > FORM_MAX) {
        fail_large(call, call->request->content_length, S3_PUT_MAX);
        return false;
    }
    return call_supported(call);
}

void s3_post_object_open(struct s3_call *call)
{
    struct slice type = call_request_header(call, "content-type");
    struct post *post = arena_zalloc(call->arena, sizeof(*post));
    uint8_t boundary[FORM_BOUNDARY_MAX];
    size_t size;

    if (!form_is_type(type)) {
        call_fail_condition(call, ENCLOSURE);
        return;
    }
    if (!form_boundary(type, boundary, &size)) {
        call_fail(call, S3_ERR_MalformedPOSTRequest);
        return;
    }
    form_open(&post->form, slice_of(boundary, size));
    post->length = call->request->has_body ? call->request->content_length : 0;
    meta__object__init(&post->object);
    call->operation_data = post;
    check_request(call);
}

/* --- the file begins -------------------------------------------------------*/
static bool check_policy(struct s3_call *call, struct post *post)
{
    struct slice text = post_value(post, "policy");
    uint8_t *document = arena_alloc(call->arena, text.size + 4);
    int size = base64_decode(document, text.size + 4, text);
    struct post_input input = {.fields = post->fields,
                               .count = post->count,
                               .bucket = call->bucket_name,
                               .now_ms = clock_wall_ms()};
    struct post_outcome outcome;

    post->size_max = S3_PUT_MAX;
    if (call_is_anonymous(call)) {
        return true; /* a form that nobody signed has no policy */
    }
    if (size < 0) {
        call_fail_message(call, S3_ERR_InvalidPolicyDocument,
                          "Invalid Policy: invalid Base64 encoding.");
        return false;
    }
    post_policy_check(call->arena, slice_of(document, (size_t)size), &input,
                      &outcome);
    if (outcome.error != S3_OK) {
        call_fail_message(call, outcome.error, "%s", outcome.message);
        return false;
    }
    post->size_min = outcome.size_min;
    post->size_max =
        outcome.size_max < S3_PUT_MAX ? outcome.size_max : S3_PUT_MAX;
    return true;
}

static bool take_tagging(struct s3_call *call, struct post *post)
{
    struct slice text = post_value(post, "tagging");
    struct tag_set set;
    bool valid;

    if (text.size == 0) {
        return true;
    }
    buffer_append(&call->xml, text.data, text.size);
    valid = tags_take_document(call, TAGS_OF_OBJECT, &set);
    buffer_free(&call->xml);
    if (valid) {
        post->object.tags = set.tags;
        post->object.n_tags = set.count;
    }
    return valid;
}

static bool authorize(struct s3_call *call, const struct post *post)
{
    call->asked.object = &post->object;
    return call_authorize_operation(call) && request_payment_agreed(call) &&
           limits_count_request(call);
}

static bool check_key_bytes(struct s3_call *call)
{
    if (memchr(call->key.data, '\0', call->key.size) == NULL) {
        return true;
    }
    call_fail(call, S3_ERR_InvalidURI);
    return false;
}

/* The order is S3's: what the form lacks, whose it is, what it may do, what
 * it asks for. */
static void begin_file(struct s3_call *call, struct post *post)
{
    const uint64_t ending = post->form.delimiter_size + 4; /* "--" CRLF */
    const uint64_t left = post->length - post->taken;

    post->has_file = true;
    post->file_guess = left > ending ? left - ending : 0;
    if (post->form.filename.data != NULL) {
        post->filename = arena_copy(call->arena, post->form.filename.data,
                                    post->form.filename.size);
    }
    if (post_complete_fields(call, post) && post_authenticate(call, post) &&
        call_load_bucket(call) && check_policy(call, post) &&
        call_check_key(call) && check_key_bytes(call) &&
        post_take_headers(call, post) &&
        object_take_headers(call, &post->object) && take_tagging(call, post) &&
        authorize(call, post) && call_supported(call) &&
        body_open(call, META__CHECKSUM_ALGORITHM__CRC64NVME) &&
        worm_check_integrity(call, post->object.retention,
                             post->object.legal_hold, "Put Object") &&
        object_encrypt(call, &post->object)) {
        pieces_open(call, &post->object);
    }
}

/* --- the form, event by event ----------------------------------------------*/
static struct slice keep_text(struct post *post, struct slice text)
{
    uint8_t *kept = post->text + post->text_size;

    invariant(text.size <= sizeof(post->text) - post->text_size);
    memcpy(kept, text.data, text.size);
    post->text_size += text.size;
    return slice_of(kept, text.size);
}

static void begin_part(struct s3_call *call, struct post *post)
{
    const struct slice name = post->form.name;
    const bool is_file = post_name_is(name, "file");

    if (post->has_file) {
        post->part = POST_IGNORED;
        if (is_file) {
            call_fail_argument(call, "file", SLICE_LITERAL("2"), ONE_FILE);
        }
    } else if (is_file) {
        post->part = POST_FILE;
        begin_file(call, post);
    } else {
        invariant(post->count < POST_FIELDS_MAX);
        post->part = POST_FIELD;
        post->fields[post->count].name = keep_text(post, name);
        post->fields[post->count].value =
            slice_of(post->text + post->text_size, 0);
        post->count++;
    }
}

static void take_file(struct s3_call *call, struct post *post,
                      struct slice data)
{
    post->file_size += data.size;
    if (post->file_size > post->size_max) {
        fail_large(call,
                   post->file_guess > post->file_size ? post->file_guess
                                                      : post->file_size,
                   post->size_max);
        return;
    }
    body_update(call, NULL, data.data, data.size);
    pieces_append(call, data);
}

static void take_data(struct s3_call *call, struct post *post,
                      struct slice data)
{
    if (post->part == POST_FILE) {
        take_file(call, post, data);
    } else if (post->part == POST_FIELD) {
        keep_text(post, data);
        post->fields[post->count - 1].value.size += data.size;
    }
}

void s3_post_object_take(struct s3_call *call, struct slice input)
{
    struct post *post = call->operation_data;
    const uint8_t *at = input.data, *end = at + input.size;
    enum form_event event = FORM_DATA;

    if (input.size > post->length - post->taken) {
        call_fail(call, S3_ERR_IncompleteBody);
        return;
    }
    while (!call->done && event != FORM_AGAIN) {
        const uint8_t *before = at;
        struct slice data;

        event = form_parse(&post->form, &at, end, &data);
        post->taken += (uint64_t)(at - before);
        if (!post->has_file && post->taken > POST_PREFIX_MAX) {
            fail_prefix(call);
        } else if (event == FORM_ERROR) {
            call_fail(call, S3_ERR_MalformedPOSTRequest);
        } else if (event == FORM_PART) {
            begin_part(call, post);
        } else if (event == FORM_DATA) {
            take_data(call, post, data);
        } else if (event == FORM_DONE) {
            post->complete = true;
        }
    }
}

/* --- the answer ------------------------------------------------------------*/
/* As forms encode it: a blank is a '+'. */
static void append_argument(struct buffer *out, const char *name,
                            struct slice value)
{
    buffer_append_string(out, name);
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == ' ') {
            buffer_append_string(out, "+");
        } else {
            uri_encode(out, slice_of(value.data + i, 1), false);
        }
    }
}

static bool is_url(struct slice text)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);

        if (text.size > size &&
            strncasecmp((const char *)text.data, schemes[i], size) == 0) {
            return true;
        }
    }
    return false;
}

/* False: the form has no URL to go to. */
static bool reply_redirect(struct s3_call *call, const struct post *post)
{
    struct slice url = post_value(post, "success_action_redirect");
    struct buffer out = {NULL, 0, 0};

    if (url.data == NULL) {
        url = post_value(post, "redirect"); /* its old name */
    }
    if (!is_url(url)) {
        return false;
    }
    buffer_append(&out, url.data, url.size);
    append_argument(
        &out, memchr(url.data, '?', url.size) != NULL ? "&bucket=" : "?bucket=",
        call->bucket_name);
    append_argument(&out, "&key=", call->key);
    append_argument(&out, "&etag=%22", pb_slice(post->object.etag));
    buffer_append_string(&out, "%22");
    call_header_slice(call, "Location", slice_of(out.data, out.size));
    buffer_free(&out);
    call_reply_empty(call, 303);
    return true;
}

/* The URL of the object as this client spells it: forms are sent to a bucket,
 * which is in the host if the path has nothing. */
static void append_location(struct s3_call *call, struct buffer *out)
{
    const Wire__Request *request = call->request;
    struct slice host = pb_slice(request->host);

    buffer_append_string(out, request->secure ? "https://" : "http://");
    buffer_append(out, host.data, host.size);
    buffer_append_string(out, "/");
    if (request->resource.len > 1) {
        buffer_append(out, call->bucket_name.data, call->bucket_name.size);
        buffer_append_string(out, "/");
    }
    uri_encode(out, call->key, false);
}

static void reply_document(struct s3_call *call, const struct post *post,
                           struct slice location)
{
    struct buffer out = {NULL, 0, 0};

    buffer_append_string(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<PostResponse>");
    xml_text(&out, "Location", location);
    xml_text(&out, "Bucket", call->bucket_name);
    xml_text(&out, "Key", call->key);
    xml_quoted(&out, "ETag", pb_slice(post->object.etag));
    xml_close(&out, "PostResponse");
    call_reply_xml(call, 201, &out);
}

static void reply(struct s3_call *call, const struct post *post)
{
    struct slice status = post_value(post, "success_action_status");
    struct buffer location = {NULL, 0, 0};

    object_identity_headers(call, &post->object);
    call_checksum_headers(call, post->object.checksum, 0);
    if (reply_redirect(call, post)) {
        return;
    }
    append_location(call, &location);
    call_header_slice(call, "Location", slice_of(location.data, location.size));
    if (slice_equal_string(status, "201")) {
        reply_document(call, post, slice_of(location.data, location.size));
    } else {
        call_reply_empty(call, slice_equal_string(status, "200") ? 200 : 204);
    }
    buffer_free(&location);
}

/* --- the end ---------------------------------------------------------------*/
static bool check_end(struct s3_call *call, const struct post *post)
{
    if (post->taken != post->length) {
        call_fail(call, S3_ERR_IncompleteBody);
    } else if (!post->complete) {
        call_fail(call, S3_ERR_MalformedPOSTRequest);
    } else if (!post->has_file) {
        call_fail_argument(call, "file", SLICE_LITERAL("0"), ONE_FILE);
    } else if (post->file_size < post->size_min) {
        error_number(call, "ProposedSize", post->file_size);
        error_number(call, "MinSizeAllowed", post->size_min);
        call_fail(call, S3_ERR_EntityTooSmall);
    } else {
        return true;
    }
    return false;
}

void s3_post_object_run(struct s3_call *call)
{
    struct post *post = call->operation_data;
    Meta__Object *object = &post->object;
    struct meta_batch *batch;

    if (!check_end(call, post)) {
        return;
    }
    body_end_here(call);
    if (!body_finish(call)) {
        return;
    }
    object->size = post->file_size;
    object_set_etag(call, object, body_md5(call));
    object->checksum = body_checksum(call);
    batch = meta_batch_new(call->service->meta);
    if (pieces_finish(call, batch, &object->blob) &&
        object_put_commit(call, batch, object)) {
        reply(call, post);
    }
    meta_batch_free(batch);
}
