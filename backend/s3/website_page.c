/* Errors as the pages that S3's website endpoint has for them. */
#include "s3/document.h"
#include "s3/website.h"

#define HTML "text/html; charset=utf-8"

bool website_is(const struct s3_call *call)
{
    return call->request->operation == WIRE__OPERATION__GET_WEBSITE ||
           call->request->website;
}

static const char *reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {302, "Found"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {412, "Precondition Failed"},
        {416, "Requested Range Not Satisfiable"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Error";
}

static void item(struct buffer *out, const char *name, struct slice value)
{
    buffer_printf(out, "<li>%s: ", name);
    xml_escape(out, value);
    buffer_append_string(out, "</li>\n");
}

void website_error_field(struct s3_call *call, const char *name,
                         struct slice value)
{
    call_header_slice(
        call, arena_printf(call->arena, "x-amz-error-detail-%s", name), value);
    item(&call->error_fields, name, value);
}

/* It stands behind the page's list. */
void website_no_document(struct s3_call *call, enum s3_error error,
                         struct slice key)
{
    struct buffer out = {NULL, 0, 0};
    struct slice *kept = arena_alloc(call->arena, sizeof(*kept));

    buffer_append_string(&out, "<h3>An Error Occurred While Attempting to "
                               "Retrieve a Custom Error Document</h3>\n<ul>\n");
    item(&out, "Code", slice_from_string(s3_error_code(error)));
    item(&out, "Message", slice_from_string(s3_error_message(error)));
    if (error == S3_ERR_NoSuchKey) {
        item(&out, "Key", key);
    }
    buffer_append_string(&out, "</ul>\n");
    *kept = document_take(call, &out);
    call->operation_data = kept;
}

static void write_page(struct s3_call *call, struct buffer *out,
                       unsigned status, const char *code, struct slice message)
{
    const struct slice id = pb_slice(call->request->request_id);
    const struct slice *more = call->operation_data;

    buffer_printf(out,
                  "<html>\n<head><title>%u %s</title></head>\n<body>\n"
                  "<h1>%u %s</h1>\n<ul>\n",
                  status, reason(status), status, reason(status));
    item(out, "Code", slice_from_string(code));
    item(out, "Message", message);
    if (call->error_fields.size > 0) {
        buffer_append(out, call->error_fields.data, call->error_fields.size);
    }
    item(out, "RequestId", id);
    item(out, "HostId", id);
    buffer_append_string(out, "</ul>\n");
    if (more != NULL) {
        buffer_append(out, more->data, more->size);
    }
    buffer_append_string(out, "<hr/>\n</body>\n</html>\n");
}

static void error_headers(struct s3_call *call, const char *code,
                          struct slice message)
{
    call_header(call, "x-amz-error-code", "%s", code);
    call_header_slice(call, "x-amz-error-message", message);
}

void website_error_headers(struct s3_call *call, enum s3_error error)
{
    error_headers(call, s3_error_code(error),
                  slice_from_string(s3_error_message(error)));
}

static void reply_page(struct s3_call *call, unsigned status, const char *code,
                       struct slice message)
{
    struct buffer page = {NULL, 0, 0};

    error_headers(call, code, message);
    if (slice_equal_string(pb_slice(call->request->method), "HEAD")) {
        call_header(call, "Content-Type", HTML);
        call_reply_empty(call, status);
        return;
    }
    write_page(call, &page, status, code, message);
    call_reply_document(call, status, HTML, &page);
}

void website_fail(struct s3_call *call, enum s3_error error,
                  struct slice message)
{
    reply_page(call, s3_error_status(error), s3_error_code(error), message);
}

void website_found(struct s3_call *call, struct slice location)
{
    call_header_slice(call, "Location", location);
    reply_page(call, 302, "Found", SLICE_LITERAL("Resource Found"));
}
