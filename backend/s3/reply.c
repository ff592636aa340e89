#include "s3/limits.h"
#include "s3/query.h"
#include "s3/website.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static Wire__Field *header_add(struct s3_call *call)
{
    Wire__Reply *reply = &call->reply;
    Wire__Field *field = arena_alloc(call->arena, sizeof(*field));

    if (reply->n_headers == call->header_capacity) {
        size_t capacity =
            call->header_capacity == 0 ? 16 : 2 * call->header_capacity;
        Wire__Field **headers =
            arena_alloc(call->arena, capacity * sizeof(*headers));

        if (reply->n_headers > 0) {
            memcpy(headers, reply->headers,
                   reply->n_headers * sizeof(*headers));
        }
        reply->headers = headers;
        call->header_capacity = capacity;
    }
    wire__field__init(field);
    reply->headers[reply->n_headers++] = field;
    return field;
}

/* Values may come from clients: a line break in one would start a header of
 * the client's own making. */
void call_header_slice(struct s3_call *call, const char *name,
                       struct slice value)
{
    Wire__Field *field = header_add(call);
    struct slice copy = arena_copy(call->arena, value.data, value.size);

    for (size_t i = 0; i < copy.size; i++) {
        uint8_t *byte = (uint8_t *)copy.data + i;
        if ((*byte < 0x20 && *byte != '\t') || *byte == 0x7f) {
            *byte = ' ';
        }
    }
    field->name = pb_bytes(arena_copy(call->arena, name, strlen(name)));
    field->value = pb_bytes(copy);
}

void call_header(struct s3_call *call, const char *name, const char *format,
                 ...)
{
    struct buffer text = {0};
    char small[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(small, sizeof(small), format, arguments);
    va_end(arguments);
    invariant(length >= 0);
    if ((size_t)length < sizeof(small)) {
        call_header_slice(call, name, slice_of(small, (size_t)length));
        return;
    }
    buffer_reserve(&text, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf((char *)text.data, (size_t)length + 1, format, arguments);
    va_end(arguments);
    call_header_slice(call, name, slice_of(text.data, (size_t)length));
    buffer_free(&text);
}

static void finish(struct s3_call *call, unsigned status)
{
    invariant(call->status == 0);
    call->status = status;
    call->wants_body = false;
    if (!call->done) {
        call->reply.status = status;
        call->done = true;
    }
}

void call_reply_empty(struct s3_call *call, unsigned status)
{
    if (status != 204 && status != 304) {
        call->reply.has_content_length = true;
        call->reply.content_length = 0;
    }
    call->reply.body = WIRE__REPLY__BODY__NONE;
    finish(call, status);
}

static const struct slice declaration = SLICE_LITERAL(XML_DECLARATION);

void call_reply_ahead(struct s3_call *call)
{
    invariant(!call->done);
    call_header(call, "Content-Type", "application/xml");
    call->reply_body = declaration;
    call->reply.body = WIRE__REPLY__BODY__DATA;
    call->reply.status = 200;
    call->done = true;
}

/* The document of a reply that has begun: its declaration is sent. */
static void end_reply(struct s3_call *call)
{
    const struct slice whole = call->reply_body;

    invariant(slice_has_prefix(whole, declaration));
    call->reply_body =
        slice_of(whole.data + declaration.size, whole.size - declaration.size);
    call->reply_sent = 0;
}

void call_reply_document(struct s3_call *call, unsigned status,
                         const char *type, struct buffer *document)
{
    call->document = *document;
    *document = (struct buffer){0};
    call->reply_body = slice_of(call->document.data, call->document.size);
    if (call->done) {
        end_reply(call);
    } else {
        call_header(call, "Content-Type", "%s", type);
        call->reply.has_content_length = true;
        call->reply.content_length = call->reply_body.size;
        call->reply.body = WIRE__REPLY__BODY__DATA;
    }
    finish(call, status);
}

void call_reply_xml(struct s3_call *call, unsigned status, struct buffer *xml)
{
    call_reply_document(call, status, "application/xml", xml);
}

void call_reply_json(struct s3_call *call, unsigned status, struct buffer *json)
{
    call_reply_document(call, status, "application/json", json);
}

static bool is_head(const struct s3_call *call)
{
    Wire__Operation operation = call->request->operation;

    return operation == WIRE__OPERATION__HEAD_OBJECT ||
           operation == WIRE__OPERATION__HEAD_BUCKET ||
           slice_equal_string(pb_slice(call->request->method), "HEAD");
}

/* nginx has pages of its own for those who ask for files. */
static bool wants_document(const struct s3_call *call, unsigned status)
{
    return status != 304 && !is_head(call) && call->request->file == NULL;
}

static void fail(struct s3_call *call, enum s3_error error,
                 struct slice message)
{
    struct slice request_id = pb_slice(call->request->request_id);
    unsigned status = s3_error_status(error);
    struct buffer xml = {0};

    call->error = error;
    if (call->request->operation == WIRE__OPERATION__IAM_QUERY) {
        query_reply_refusal(call, error, message);
        return;
    }
    if (website_is(call) && status != 304) {
        website_fail(call, error, message);
        return;
    }
    if (!wants_document(call, status)) {
        call_reply_empty(call, status);
        return;
    }
    buffer_append_string(&xml, XML_DECLARATION "<Error>");
    xml_string(&xml, "Code", s3_error_code(error));
    xml_text(&xml, "Message", message);
    if (call->error_fields.size > 0) {
        buffer_append(&xml, call->error_fields.data, call->error_fields.size);
    }
    xml_text(&xml, "Resource", pb_slice(call->request->resource));
    xml_text(&xml, "RequestId", request_id);
    xml_text(&xml, "HostId", request_id);
    xml_close(&xml, "Error");
    call_reply_xml(call, status, &xml);
}

void call_refuse(struct s3_call *call)
{
    const Wire__Refusal *refusal = call->request->refusal;
    enum s3_error error = S3_OK;
    struct buffer xml = {0};

    if (refusal != NULL) {
        error =
            s3_error_find((const char *)refusal->code.data, refusal->code.len);
    }
    if (error == S3_OK) {
        call_fail(call, S3_ERR_InternalError);
        return;
    }
    call->error = error;
    if (refusal->operation == WIRE__OPERATION__IAM_QUERY) {
        query_reply_refusal(call, error,
                            slice_from_string(s3_error_message(error)));
        return;
    }
    if (is_head(call)) {
        call_reply_empty(call, s3_error_status(error));
        return;
    }
    buffer_append(&xml, refusal->document.data, refusal->document.len);
    call_reply_xml(call, s3_error_status(error), &xml);
}

void call_fail(struct s3_call *call, enum s3_error error)
{
    fail(call, error, slice_from_string(s3_error_message(error)));
}

void call_fail_message(struct s3_call *call, enum s3_error error,
                       const char *format, ...)
{
    char message[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    invariant(length > 0); /* clients crash on an empty Message */
    fail(call, error, slice_from_string(message));
}

void call_error_field(struct s3_call *call, const char *name,
                      struct slice value)
{
    if (website_is(call)) {
        website_error_field(call, name, value);
    } else {
        xml_text(&call->error_fields, name, value);
    }
}

void call_fail_argument(struct s3_call *call, const char *name,
                        struct slice value, const char *message)
{
    call_error_field(call, "ArgumentName", slice_from_string(name));
    call_error_field(call, "ArgumentValue", value);
    call_fail_message(call, S3_ERR_InvalidArgument, "%s", message);
}

void call_fail_no_bucket(struct s3_call *call, struct slice name)
{
    call_error_field(call, "BucketName", name);
    call_fail(call, S3_ERR_NoSuchBucket);
}

void call_fail_no_key(struct s3_call *call, struct slice key)
{
    call_error_field(call, "Key", key);
    call_fail(call, S3_ERR_NoSuchKey);
}

void call_fail_condition(struct s3_call *call, const char *condition)
{
    call_error_field(call, "Condition", slice_from_string(condition));
    call_fail(call, S3_ERR_PreconditionFailed);
}

enum s3_error call_error_of(int error)
{
    switch (error) {
    case -ENOSPC:
        return S3_ERR_InsufficientStorage;
    case -EDQUOT: /* of the metadata: meta.h */
        return S3_ERR_QuotaExceeded;
    case -ENODEV:
    case -EAGAIN:
        return S3_ERR_SlowDown;
    case -EROFS: /* of the metadata: kv.h */
        return S3_ERR_ServiceUnavailable;
    default:
        return S3_ERR_InternalError;
    }
}

void call_fail_errno(struct s3_call *call, int error, const char *what)
{
    struct slice id = pb_slice(call->request->request_id);

    if (error == -EDQUOT) {
        limits_count_refusal(call);
    } else if (error != -EAGAIN) { /* too many for the log */
        log_error("%s failed: %s (request %.*s)", what, strerror(-error),
                  (int)id.size, (const char *)id.data);
    }
    call_fail(call, call_error_of(error));
}
