/*
 * A line of a server access log.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
 */
#include "s3/access_log.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TEXT_MAX 4096 /* bytes of a client's text in a line */

/* REST.<method>.<resource>; the method is the request's own unless named. */
static const struct {
    Wire__Operation operation;
    const char *method, *resource;
} names[] = {
#define NAME(op, method, resource)                                             \
    {                                                                          \
        WIRE__OPERATION__##op, method, resource                                \
    }
    NAME(CREATE_BUCKET, NULL, "BUCKET"),
    NAME(HEAD_BUCKET, NULL, "BUCKET"),
    NAME(DELETE_BUCKET, NULL, "BUCKET"),
    NAME(GET_BUCKET_LOCATION, NULL, "LOCATION"),
    NAME(LIST_OBJECTS, NULL, "BUCKET"),
    NAME(LIST_OBJECTS_V2, NULL, "BUCKET"),
    NAME(LIST_OBJECT_VERSIONS, NULL, "BUCKETVERSIONS"),
    NAME(LIST_MULTIPART_UPLOADS, NULL, "UPLOADS"),
    NAME(DELETE_OBJECTS, NULL, "MULTI_OBJECT_DELETE"),
    NAME(POST_OBJECT, NULL, "OBJECT"),
    NAME(COPY_OBJECT, "COPY", "OBJECT"),
    NAME(RENAME_OBJECT, "RENAME", "OBJECT"),
    NAME(CREATE_MULTIPART_UPLOAD, NULL, "UPLOADS"),
    NAME(UPLOAD_PART, NULL, "PART"),
    NAME(UPLOAD_PART_COPY, "COPY", "PART"),
    NAME(COMPLETE_MULTIPART_UPLOAD, NULL, "UPLOAD"),
    NAME(ABORT_MULTIPART_UPLOAD, NULL, "UPLOAD"),
    NAME(LIST_PARTS, NULL, "UPLOAD"),
    NAME(PUT_BUCKET_VERSIONING, NULL, "VERSIONING"),
    NAME(GET_BUCKET_VERSIONING, NULL, "VERSIONING"),
    NAME(PUT_OBJECT_LOCK_CONFIGURATION, NULL, "OBJECT_LOCK_CONFIGURATION"),
    NAME(GET_OBJECT_LOCK_CONFIGURATION, NULL, "OBJECT_LOCK_CONFIGURATION"),
    NAME(PUT_OBJECT_RETENTION, NULL, "OBJECT_LOCK_RETENTION"),
    NAME(GET_OBJECT_RETENTION, NULL, "OBJECT_LOCK_RETENTION"),
    NAME(PUT_OBJECT_LEGAL_HOLD, NULL, "OBJECT_LOCK_LEGALHOLD"),
    NAME(GET_OBJECT_LEGAL_HOLD, NULL, "OBJECT_LOCK_LEGALHOLD"),
    NAME(PUT_OBJECT_TAGGING, NULL, "OBJECT_TAGGING"),
    NAME(GET_OBJECT_TAGGING, NULL, "OBJECT_TAGGING"),
    NAME(DELETE_OBJECT_TAGGING, NULL, "OBJECT_TAGGING"),
    NAME(PUT_BUCKET_TAGGING, NULL, "TAGGING"),
    NAME(GET_BUCKET_TAGGING, NULL, "TAGGING"),
    NAME(DELETE_BUCKET_TAGGING, NULL, "TAGGING"),
    NAME(GET_OBJECT_ATTRIBUTES, NULL, "OBJECT_ATTRIBUTES"),
    NAME(PUT_BUCKET_CORS, NULL, "CORS"),
    NAME(GET_BUCKET_CORS, NULL, "CORS"),
    NAME(DELETE_BUCKET_CORS, NULL, "CORS"),
    NAME(PREFLIGHT, NULL, "PREFLIGHT"),
    NAME(PUT_BUCKET_OWNERSHIP_CONTROLS, NULL, "OWNERSHIP_CONTROLS"),
    NAME(GET_BUCKET_OWNERSHIP_CONTROLS, NULL, "OWNERSHIP_CONTROLS"),
    NAME(DELETE_BUCKET_OWNERSHIP_CONTROLS, NULL, "OWNERSHIP_CONTROLS"),
    NAME(PUT_BUCKET_REQUEST_PAYMENT, NULL, "REQUEST_PAYMENT"),
    NAME(GET_BUCKET_REQUEST_PAYMENT, NULL, "REQUEST_PAYMENT"),
    NAME(PUT_BUCKET_ENCRYPTION, NULL, "ENCRYPTION"),
    NAME(GET_BUCKET_ENCRYPTION, NULL, "ENCRYPTION"),
    NAME(DELETE_BUCKET_ENCRYPTION, NULL, "ENCRYPTION"),
    NAME(PUT_BUCKET_LOGGING, NULL, "LOGGING_STATUS"),
    NAME(GET_BUCKET_LOGGING, NULL, "LOGGING_STATUS"),
    NAME(PUT_BUCKET_WEBSITE, NULL, "WEBSITE"),
    NAME(GET_BUCKET_WEBSITE, NULL, "WEBSITE"),
    NAME(DELETE_BUCKET_WEBSITE, NULL, "WEBSITE"),
    NAME(PUT_BUCKET_NOTIFICATION, NULL, "NOTIFICATION"),
    NAME(GET_BUCKET_NOTIFICATION, NULL, "NOTIFICATION"),
    NAME(LISTEN_NOTIFICATION, NULL, "NOTIFICATION"),
    NAME(GET_BUCKET_LIFECYCLE, NULL, "LIFECYCLE"),
    NAME(DELETE_BUCKET_LIFECYCLE, NULL, "LIFECYCLE"),
    NAME(GET_BUCKET_REPLICATION, NULL, "REPLICATION"),
    NAME(DELETE_BUCKET_REPLICATION, NULL, "REPLICATION"),
    NAME(GET_BUCKET_ACL, NULL, "ACL"),
    NAME(PUT_BUCKET_ACL, NULL, "ACL"),
    NAME(GET_OBJECT_ACL, NULL, "ACL"),
    NAME(PUT_OBJECT_ACL, NULL, "ACL"),
    NAME(LIST_ANALYTICS_CONFIGURATIONS, NULL, "ANALYTICS"),
    NAME(LIST_INTELLIGENT_TIERING_CONFIGURATIONS, NULL, "INTELLIGENT_TIERING"),
    NAME(LIST_INVENTORY_CONFIGURATIONS, NULL, "INVENTORY"),
    NAME(LIST_METRICS_CONFIGURATIONS, NULL, "METRICS"),
    NAME(PUT_BUCKET_POLICY, NULL, "BUCKETPOLICY"),
    NAME(GET_BUCKET_POLICY, NULL, "BUCKETPOLICY"),
    NAME(DELETE_BUCKET_POLICY, NULL, "BUCKETPOLICY"),
    NAME(GET_BUCKET_POLICY_STATUS, NULL, "POLICY_STATUS"),
    NAME(GET_BUCKET_ACCELERATE_CONFIGURATION, NULL, "ACCELERATE"),
    NAME(PUT_PUBLIC_ACCESS_BLOCK, NULL, "PUBLIC_ACCESS_BLOCK"),
    NAME(GET_PUBLIC_ACCESS_BLOCK, NULL, "PUBLIC_ACCESS_BLOCK"),
    NAME(DELETE_PUBLIC_ACCESS_BLOCK, NULL, "PUBLIC_ACCESS_BLOCK"),
#undef NAME
};

/* --- fields ----------------------------------------------------------------*/
/* What would end a field, or the line, is percent-encoded. */
static void put_escaped(struct buffer *out, struct slice text, bool quoted)
{
    size_t size = text.size < TEXT_MAX ? text.size : TEXT_MAX;

    for (size_t i = 0; i < size; i++) {
        uint8_t c = text.data[i];

        if (c < 0x20 || c >= 0x7f || c == '"' || (c == ' ' && !quoted)) {
            buffer_printf(out, "%%%02X", c);
        } else {
            buffer_append(out, &c, 1);
        }
    }
}

static void put_word(struct buffer *out, struct slice text)
{
    if (text.size == 0) {
        buffer_append_string(out, "-");
    }
    put_escaped(out, text, false);
    buffer_append_string(out, " ");
}

static void put_string(struct buffer *out, const char *text)
{
    put_word(out, slice_from_string(text));
}

static void put_quoted(struct buffer *out, struct slice text)
{
    buffer_append_string(out, "\"");
    if (text.size == 0) {
        buffer_append_string(out, "-");
    }
    put_escaped(out, text, true);
    buffer_append_string(out, "\" ");
}

static void put_number(struct buffer *out, bool known, uint64_t number)
{
    if (known) {
        buffer_printf(out, "%" PRIu64 " ", number);
    } else {
        buffer_append_string(out, "- ");
    }
}

static void put_time(struct buffer *out, uint64_t ms)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr",
                                       "May", "Jun", "Jul", "Aug",
                                       "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    buffer_printf(out, "[%02d/%s/%04d:%02d:%02d:%02d +0000] ", tm.tm_mday,
                  months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                  tm.tm_sec);
}

static void put_operation(struct buffer *out, const struct s3_call *call)
{
    struct slice method = pb_slice(call->request->method);
    const char *resource = call->key.size > 0 ? "OBJECT" : "BUCKET";
    Wire__Operation operation = call->request->refusal != NULL
                                    ? call->request->refusal->operation
                                    : call->request->operation;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].operation == operation) {
            resource = names[i].resource;
            if (names[i].method != NULL) {
                method = slice_from_string(names[i].method);
            }
        }
    }
    buffer_append_string(
        out, operation == WIRE__OPERATION__GET_WEBSITE ? "WEBSITE." : "REST.");
    put_escaped(out, method, false);
    buffer_append_string(out, ".");
    put_string(out, resource);
}

static void put_key(struct buffer *out, struct slice key)
{
    if (key.size == 0) {
        buffer_append_string(out, "-");
    }
    uri_encode(out, key.size < TEXT_MAX ? key : slice_of(key.data, TEXT_MAX),
               true);
    buffer_append_string(out, " ");
}

/* The worker leaves them out of what it sends; what is not sent by it, as a
 * query that only looks like a pre-signed one, is not shown either. */
static bool is_secret(struct slice name)
{
    static const char *const secrets[] = {
        "X-Amz-Signature",      "X-Amz-Credential",
        "X-Amz-Security-Token", "Signature",
        "AWSAccessKeyId",       "x-amz-server-side-encryption-customer-key"};

    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        if (name.size == strlen(secrets[i]) &&
            strncasecmp((const char *)name.data, secrets[i], name.size) == 0) {
            return true;
        }
    }
    return false;
}

static void put_uri(struct buffer *out, const Wire__Request *request)
{
    struct slice protocol = pb_slice(request->http_version);
    struct buffer uri = {NULL, 0, 0};

    buffer_append(&uri, request->resource.data, request->resource.len);
    for (size_t i = 0; i < request->n_args && uri.size < TEXT_MAX; i++) {
        const Wire__Field *arg = request->args[i];

        buffer_append_string(&uri, i == 0 ? "?" : "&");
        uri_encode(&uri, pb_slice(arg->name), false);
        if (arg->value.len > 0) {
            buffer_append_string(&uri, "=");
            if (is_secret(pb_slice(arg->name))) {
                buffer_append_string(&uri, "-");
            } else {
                uri_encode(&uri, pb_slice(arg->value), false);
            }
        }
    }
    buffer_append_string(out, "\"");
    put_escaped(out, pb_slice(request->method), false);
    buffer_append_string(out, " ");
    put_escaped(out, slice_of(uri.data, uri.size), false);
    if (protocol.size > 0) {
        buffer_append_string(out, " ");
        put_escaped(out, protocol, false);
    }
    buffer_append_string(out, "\" ");
    buffer_free(&uri);
}

/* --- what the reply says ---------------------------------------------------*/
static struct slice reply_header(const struct s3_call *call, const char *name)
{
    for (size_t i = 0; i < call->reply.n_headers; i++) {
        const Wire__Field *field = call->reply.headers[i];

        if (field->name.len == strlen(name) &&
            strncasecmp((const char *)field->name.data, name,
                        field->name.len) == 0) {
            return pb_slice(field->value);
        }
    }
    return slice_of(NULL, 0);
}

/* Of the whole object, whatever part of it was asked for. */
static bool object_size(const struct s3_call *call, unsigned status,
                        uint64_t *size)
{
    struct slice range = reply_header(call, "Content-Range");
    const uint8_t *slash;

    switch (call->request->operation) {
    case WIRE__OPERATION__PUT_OBJECT:
    case WIRE__OPERATION__UPLOAD_PART:
        *size = call->request->content_length;
        return status == 200;
    case WIRE__OPERATION__GET_OBJECT:
    case WIRE__OPERATION__HEAD_OBJECT:
        break;
    default:
        return false;
    }
    slash = range.size > 0 ? memchr(range.data, '/', range.size) : NULL;
    if (slash != NULL) {
        slash++;
        return slice_to_u64(
                   slice_of(slash, range.size - (size_t)(slash - range.data)),
                   size) == 0;
    }
    *size = call->reply.content_length;
    return status == 200;
}

/* --- the line --------------------------------------------------------------*/
static void put_result(struct buffer *out, const struct s3_call *call,
                       const struct s3_log_entry *entry, unsigned status)
{
    uint64_t now_us = clock_monotonic_us(), size = 0;
    bool own = entry == NULL;
    bool sized = own && object_size(call, status, &size);

    put_number(out, true, status);
    put_string(out,
               own || entry->status == 0 ? s3_call_error(call) : entry->error);
    put_number(out, own && call->bytes_sent > 0, call->bytes_sent);
    put_number(out, sized, size);
    put_number(out, true, (now_us - call->began_us) / 1000);
    put_number(out, call->done_us > 0, (call->done_us - call->body_us) / 1000);
}

static void put_security(struct buffer *out, const Wire__Request *request)
{
    bool signed_by = request->access_key.len > 0;

    put_string(out, signed_by ? "SigV4" : "");
    put_word(out, pb_slice(request->tls_cipher));
    put_string(out, !signed_by           ? ""
                    : request->presigned ? "QueryString"
                                         : "AuthHeader");
    put_word(out, pb_slice(request->host));
    put_word(out, pb_slice(request->tls_version));
}

void access_log_line(const struct s3_call *call, const Meta__Bucket *bucket,
                     const struct s3_log_entry *entry, unsigned status,
                     struct buffer *out)
{
    const Wire__Request *request = call->request;
    struct slice version = entry != NULL
                               ? entry->version_id
                               : reply_header(call, "x-amz-version-id");

    put_word(out, pb_slice(bucket->owner));
    put_word(out, pb_slice(bucket->name));
    put_time(out, call->began_ms);
    put_word(out, pb_slice(request->source_ip));
    put_string(out, call->identity.user);
    put_word(out, pb_slice(request->request_id));
    if (entry != NULL) {
        put_string(out, entry->operation);
    } else {
        put_operation(out, call);
    }
    put_key(out, entry != NULL ? entry->key : call->key);
    put_uri(out, request);
    put_result(out, call, entry, status);
    put_quoted(out, call_request_header(call, "referer"));
    put_quoted(out, call_request_header(call, "user-agent"));
    put_word(out, version);
    put_word(out, pb_slice(request->request_id)); /* HostId, as in errors */
    put_security(out, request);
    put_string(out, ""); /* access point */
    put_string(out, call->acl_required ? "Yes" : "");
    put_word(out, pb_slice(bucket->region));
    out->data[out->size - 1] = '\n';
}
