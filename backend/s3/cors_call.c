/*
 * PutBucketCors, GetBucketCors, DeleteBucketCors, the preflight request, and
 * the headers of every answer to a browser.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
 */
#include "s3/cors_call.h"

#include <errno.h>
#include <string.h>

#include "s3/cors.h"
#include "s3/document.h"
#include "s3/operations.h"

/* --- configuration ---------------------------------------------------------*/
static void write_list(struct buffer *out, const char *name,
                       const struct cors_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        xml_text(out, name, list->items[i]);
    }
}

static struct slice write_rules(struct s3_call *call,
                                const struct cors_rules *rules)
{
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, "CORSConfiguration");
    for (size_t i = 0; i < rules->count; i++) {
        const struct cors_rule *rule = &rules->rules[i];

        xml_open(&out, "CORSRule");
        if (rule->id.data != NULL) {
            xml_text(&out, "ID", rule->id);
        }
        write_list(&out, "AllowedMethod", &rule->methods);
        write_list(&out, "AllowedOrigin", &rule->origins);
        write_list(&out, "AllowedHeader", &rule->headers);
        if (rule->max_age.data != NULL) {
            xml_text(&out, "MaxAgeSeconds", rule->max_age);
        }
        write_list(&out, "ExposeHeader", &rule->exposed);
        xml_close(&out, "CORSRule");
    }
    xml_close(&out, "CORSConfiguration");
    return document_take(call, &out);
}

void s3_put_cors_run(struct s3_call *call)
{
    struct cors_rules rules;
    const char *message;
    struct xml_node *root;

    if (!document_require_integrity(call)) {
        return;
    }
    root = document_request(call, "CORSConfiguration");
    if (root == NULL) {
        return;
    }
    switch (cors_read(call->arena, root, &rules, &message)) {
    case CORS_MALFORMED:
        call_fail(call, S3_ERR_MalformedXML);
        return;
    case CORS_INVALID:
        call_fail_message(call, S3_ERR_InvalidRequest, "%s", message);
        return;
    default:
        break;
    }
    if (document_commit(call, DOCUMENT_CORS, write_rules(call, &rules))) {
        call_reply_empty(call, 200);
    }
}

void s3_get_cors_run(struct s3_call *call)
{
    document_reply(call, DOCUMENT_CORS, S3_ERR_NoSuchCORSConfiguration);
}

void s3_delete_cors_run(struct s3_call *call)
{
    if (document_commit(call, DOCUMENT_CORS, slice_of(NULL, 0))) {
        call_reply_empty(call, 204);
    }
}

/* --- answers ---------------------------------------------------------------*/
/* False: the bucket has no rules. */
static bool load_rules(struct s3_call *call, const Meta__Bucket *bucket,
                       struct cors_rules *rules)
{
    struct slice document = document_get(bucket, DOCUMENT_CORS);
    const struct xml_node *root;
    const char *message;

    if (document.data == NULL) {
        return false;
    }
    root = xml_in_parse(call->arena, document, "CORSConfiguration");
    if (root == NULL ||
        cors_read(call->arena, root, rules, &message) != CORS_OK) {
        log_error("the CORS configuration of bucket %.*s cannot be read",
                  (int)call->bucket_name.size,
                  (const char *)call->bucket_name.data);
        return false;
    }
    return true;
}

static void list_header(struct s3_call *call, const char *name,
                        const struct cors_list *list)
{
    struct buffer text = {NULL, 0, 0};

    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) {
            buffer_append_string(&text, ", ");
        }
        buffer_append(&text, list->items[i].data, list->items[i].size);
    }
    if (text.size > 0) {
        call_header_slice(call, name, slice_of(text.data, text.size));
    }
    buffer_free(&text);
}

/* What was asked for and is allowed, in lower case. */
static void allowed_headers(struct s3_call *call, struct slice asked)
{
    struct buffer text = {NULL, 0, 0};
    struct slice name;

    while (call_list_next(&asked, &name)) {
        if (text.size > 0) {
            buffer_append_string(&text, ", ");
        }
        for (size_t i = 0; i < name.size; i++) {
            uint8_t c = name.data[i];

            c = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
            buffer_append(&text, &c, 1);
        }
    }
    if (text.size > 0) {
        call_header_slice(call, "Access-Control-Allow-Headers",
                          slice_of(text.data, text.size));
    }
    buffer_free(&text);
}

static void match_headers(struct s3_call *call,
                          const struct cors_request *request,
                          const struct cors_match *match)
{
    call_header_slice(call, "Access-Control-Allow-Origin",
                      match->any_origin ? SLICE_LITERAL("*") : request->origin);
    list_header(call, "Access-Control-Allow-Methods", &match->rule->methods);
    allowed_headers(call, request->headers);
    list_header(call, "Access-Control-Expose-Headers", &match->rule->exposed);
    if (match->rule->max_age.data != NULL) {
        call_header_slice(call, "Access-Control-Max-Age", match->rule->max_age);
    }
    if (!match->any_origin) {
        call_header(call, "Access-Control-Allow-Credentials", "true");
    }
    call_header(call, "Vary",
                "Origin, Access-Control-Request-Headers, "
                "Access-Control-Request-Method");
}

static struct cors_request read_request(const struct s3_call *call)
{
    return (struct cors_request){
        .origin = call_request_header(call, "origin"),
        .method = call_request_header(call, "access-control-request-method"),
        .headers = call_request_header(call, "access-control-request-headers"),
    };
}

/* call->bucket is there only once access was granted: a browser must see
 * the refusal too. */
void cors_answer(struct s3_call *call)
{
    struct cors_request request = read_request(call);
    const Meta__Bucket *bucket = call->bucket;
    struct cors_rules rules;
    struct cors_match match;

    if (request.origin.size == 0 || call->bucket_name.size == 0 ||
        call->request->operation == WIRE__OPERATION__PREFLIGHT) {
        return;
    }
    if (bucket == NULL) {
        Meta__Bucket *found;

        if (meta_get_bucket(call->service->meta, call->arena, call->bucket_name,
                            &found) != 0) {
            return;
        }
        bucket = found;
    }
    if (request.method.data == NULL) {
        request.method = pb_slice(call->request->method);
    }
    if (load_rules(call, bucket, &rules) &&
        cors_find(&rules, &request, &match)) {
        match_headers(call, &request, &match);
    }
}

/* --- preflight -------------------------------------------------------------*/
static void forbid(struct s3_call *call, struct slice method,
                   const char *resource, const char *message)
{
    call_error_field(call, "Method",
                     method.size > 0 ? method : SLICE_LITERAL("OPTIONS"));
    call_error_field(call, "ResourceType", slice_from_string(resource));
    if (message != NULL) {
        call_fail_message(call, S3_ERR_AccessForbidden, "%s", message);
    } else {
        call_fail(call, S3_ERR_AccessForbidden);
    }
}

static void answer_preflight(struct s3_call *call,
                             const struct cors_request *request,
                             const struct cors_rules *rules)
{
    struct cors_match match;

    if (!cors_is_method(request->method)) {
        struct slice method = request->method.data != NULL
                                  ? request->method
                                  : SLICE_LITERAL("null");

        call_fail_message(call, S3_ERR_BadRequest,
                          "Invalid Access-Control-Request-Method: %.*s",
                          (int)(method.size < 128 ? method.size : 128),
                          (const char *)method.data);
        return;
    }
    if (!cors_find(rules, request, &match)) {
        forbid(call, request->method, call->key.size > 0 ? "OBJECT" : "BUCKET",
               NULL);
        return;
    }
    match_headers(call, request, &match);
    call_reply_empty(call, 200);
}

/* Of anybody: it tells no more than what browsers may do. */
void s3_preflight_run(struct s3_call *call)
{
    struct cors_request request = read_request(call);
    struct cors_rules rules;
    Meta__Bucket *bucket;

    if (request.origin.size == 0) {
        call_fail_message(
            call, S3_ERR_BadRequest,
            "Insufficient information. Origin request header needed.");
        return;
    }
    int rc = meta_get_bucket(call->service->meta, call->arena,
                             call->bucket_name, &bucket);
    if (rc == -ENOENT) {
        forbid(call, request.method, "BUCKET",
               "CORSResponse: Bucket not found");
    } else if (rc != 0) {
        call_fail_errno(call, rc, "reading a bucket");
    } else if (!load_rules(call, bucket, &rules)) {
        forbid(call, request.method, "BUCKET",
               "CORSResponse: CORS is not enabled for this bucket.");
    } else {
        answer_preflight(call, &request, &rules);
    }
}
