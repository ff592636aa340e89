/* The answers of IAM and STS: results and errors, in their namespaces. */
#include "s3/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 1024u

static const struct {
    const char *code;
    unsigned status;
} errors[] = {
#define QUERY_ERROR_ENTRY(name, code, status) [QUERY_##name] = {code, status},
    QUERY_ERRORS(QUERY_ERROR_ENTRY)
#undef QUERY_ERROR_ENTRY
};

static const char *namespace_of(const struct s3_call *call)
{
    return slice_equal_string(pb_slice(call->request->service), "iam")
               ? "https://iam.amazonaws.com/doc/2010-05-08/"
               : "https://sts.amazonaws.com/doc/2011-06-15/";
}

static void send(struct s3_call *call, unsigned status, struct buffer *xml)
{
    call_header_slice(call, "x-amzn-RequestId",
                      pb_slice(call->request->request_id));
    call_reply_xml(call, status, xml);
}

/* --- errors ----------------------------------------------------------------*/
static void send_error(struct s3_call *call, enum query_error error,
                       struct slice message)
{
    const unsigned status = errors[error].status;
    struct buffer xml = {0};

    call->query_error = errors[error].code;
    buffer_printf(&xml, "<ErrorResponse xmlns=\"%s\"><Error>",
                  namespace_of(call));
    xml_string(&xml, "Type", status < 500 ? "Sender" : "Receiver");
    xml_string(&xml, "Code", errors[error].code);
    xml_text(&xml, "Message", message);
    buffer_append_string(&xml, "</Error>");
    xml_text(&xml, "RequestId", pb_slice(call->request->request_id));
    buffer_append_string(&xml, "</ErrorResponse>");
    send(call, status, &xml);
}

void query_fail(struct query *query, enum query_error error, const char *format,
                ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    query->failed = true;
    send_error(query->call, error, slice_from_string(message));
}

static const char *const kinds[] = {"user", "group", "role", "policy"};

void query_fail_errno(struct query *query, int error, const char *message)
{
    const char *kind = kinds[query->action->kind];
    const char *name = query->name.name != NULL ? query->name.name : "root";

    switch (error) {
    case -ENOENT:
        query_fail(query, QUERY_NO_SUCH_ENTITY,
                   "What was asked for cannot be found for the %s with name "
                   "%s.",
                   kind, name);
        break;
    case -EEXIST:
        query_fail(query, QUERY_ENTITY_ALREADY_EXISTS,
                   "%c%s with name %s already exists.", kind[0] & ~0x20,
                   kind + 1, name);
        break;
    case -EINVAL:
        if (message != NULL && message[0] != '\0') {
            query_fail(query, QUERY_MALFORMED_POLICY_DOCUMENT, "%s", message);
        } else {
            query_fail(query, QUERY_VALIDATION_ERROR,
                       "A name, path or value of the request is not valid.");
        }
        break;
    case -E2BIG:
        query_fail(query, QUERY_LIMIT_EXCEEDED,
                   "Maximum policy size exceeded for %s %s", kind, name);
        break;
    case -EDQUOT:
        query_fail(query, QUERY_LIMIT_EXCEEDED,
                   "The quota of the %s %s is exceeded.", kind, name);
        break;
    case -EBUSY:
        query_fail(query, QUERY_DELETE_CONFLICT,
                   "Cannot delete %s: its keys, members, groups or policies "
                   "must be removed first.",
                   name);
        break;
    case -EPERM:
        query_fail(query, QUERY_UNMODIFIABLE_ENTITY,
                   "%s cannot be modified or deleted.", name);
        break;
    case -EROFS:
        query_fail(query, QUERY_SERVICE_UNAVAILABLE,
                   "Service is unable to handle request.");
        break;
    default:
        log_error("a change of identities failed: %s", strerror(-error));
        query_fail(query, QUERY_INTERNAL_FAILURE,
                   "The request processing has failed because of an unknown "
                   "error.");
    }
}

/* --- what went wrong before ------------------------------------------------*/
struct wording {
    enum query_error error;
    const char *message; /* NULL: as it is */
};

static struct wording reword(enum s3_error error)
{
    switch (error) {
    case S3_ERR_InvalidAccessKeyId:
    case S3_ERR_InvalidToken:
        return (struct wording){
            QUERY_INVALID_CLIENT_TOKEN_ID,
            "The security token included in the request is invalid."};
    case S3_ERR_ExpiredToken:
        return (struct wording){
            QUERY_EXPIRED_TOKEN,
            "The security token included in the request is expired"};
    case S3_ERR_SignatureDoesNotMatch:
    case S3_ERR_XAmzContentSHA256Mismatch:
        return (struct wording){
            QUERY_SIGNATURE_DOES_NOT_MATCH,
            "The request signature we calculated does not match the signature "
            "you provided. Check your AWS Secret Access Key and signing "
            "method. Consult the service documentation for details."};
    case S3_ERR_RequestTimeTooSkewed:
        return (struct wording){QUERY_SIGNATURE_DOES_NOT_MATCH,
                                "Signature expired or not yet valid."};
    case S3_ERR_AccessDenied:
        return (struct wording){QUERY_SIGNATURE_DOES_NOT_MATCH,
                                "A date or a header was not signed."};
    case S3_ERR_AuthorizationHeaderMalformed:
    case S3_ERR_InvalidArgument:
    case S3_ERR_InvalidRequest:
        return (struct wording){
            QUERY_INCOMPLETE_SIGNATURE,
            "The request signature does not conform to AWS standards."};
    case S3_ERR_MaxMessageLengthExceeded:
        return (struct wording){QUERY_REQUEST_TOO_LARGE,
                                "The form is larger than 65536 bytes."};
    case S3_ERR_NotImplemented:
        return (struct wording){QUERY_NOT_IMPLEMENTED, NULL};
    case S3_ERR_SlowDown:
    case S3_ERR_ServiceUnavailable:
        return (struct wording){QUERY_SERVICE_UNAVAILABLE, NULL};
    default:
        return (struct wording){s3_error_status(error) < 500
                                    ? QUERY_VALIDATION_ERROR
                                    : QUERY_INTERNAL_FAILURE,
                                NULL};
    }
}

void query_reply_refusal(struct s3_call *call, enum s3_error error,
                         struct slice message)
{
    struct wording wording = reword(error);

    send_error(call, wording.error,
               wording.message != NULL ? slice_from_string(wording.message)
                                       : message);
}

/* --- results ---------------------------------------------------------------*/
void query_reply(struct query *query)
{
    const char *action = query->action->name;
    struct buffer xml = {0};

    /* A secret is not to be left behind when the buffer grows. */
    buffer_reserve(&xml, query->result.size + 1024);
    buffer_printf(&xml, "<%sResponse xmlns=\"%s\">", action,
                  namespace_of(query->call));
    buffer_printf(&xml, "<%sResult>", action);
    buffer_append(&xml, query->result.data, query->result.size);
    buffer_printf(&xml, "</%sResult>", action);
    buffer_append_string(&xml, "<ResponseMetadata>");
    xml_text(&xml, "RequestId", pb_slice(query->call->request->request_id));
    buffer_printf(&xml, "</ResponseMetadata></%sResponse>", action);
    send(query->call, 200, &xml);
}
