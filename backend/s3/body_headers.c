/* What a client says of its body: Content-MD5, x-amz-checksum-*, trailers. */
#include "s3/body.h"

#include <string.h>

static const struct slice prefix = {(const uint8_t *)"x-amz-checksum-", 15};

static bool parse_md5(struct s3_call *call, struct s3_body *body)
{
    struct slice text = call_request_header(call, "content-md5");
    uint8_t md5[24];

    if (text.data == NULL) {
        return true;
    }
    if (text.size != 24 || base64_decode(md5, sizeof(md5), text) != 16) {
        call_error_field(call, "Content-MD5", text);
        call_fail(call, S3_ERR_InvalidDigest);
        return false;
    }
    memcpy(body->md5_wanted, md5, 16);
    body->has_md5 = true;
    return true;
}

/* The <algorithm> of "x-amz-checksum-<algorithm>"; of others nothing. */
static struct slice algorithm_name(struct slice header)
{
    return slice_has_prefix(header, prefix)
               ? slice_of(header.data + prefix.size, header.size - prefix.size)
               : slice_of(header.data, 0);
}

static bool parse_value(struct s3_call *call, struct s3_body *body,
                        struct slice text, const char *what)
{
    size_t size = checksum_size(body->client);
    uint8_t value[48];

    if (text.size > 44 ||
        base64_decode(value, sizeof(value), text) != (int)size) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Value for %s %s is invalid.",
                          checksum_header(body->client), what);
        return false;
    }
    memcpy(body->wanted, value, size);
    body->has_value = true;
    return true;
}

static bool fail_several(struct s3_call *call)
{
    call_fail_message(call, S3_ERR_InvalidRequest,
                      "Expecting a single x-amz-checksum- header. Multiple "
                      "checksum Types are not allowed.");
    return false;
}

/* Of CompleteMultipartUpload: the checksum is the object's, not the XML's. */
static bool is_of_object(const struct s3_call *call)
{
    return call->request->operation ==
           WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD;
}

static bool parse_checksums(struct s3_call *call, struct s3_body *body)
{
    const Wire__Request *request = call->request;
    bool of_object = is_of_object(call);

    for (size_t i = 0; i < request->n_headers; i++) {
        struct slice name = pb_slice(request->headers[i]->name);
        Meta__ChecksumAlgorithm algorithm;

        if (!slice_has_prefix(name, prefix) ||
            slice_equal_string(name, "x-amz-checksum-algorithm") ||
            slice_equal_string(name, "x-amz-checksum-mode") ||
            slice_equal_string(name, "x-amz-checksum-type")) {
            continue;
        }
        if (!checksum_take_name(call, name, algorithm_name(name),
                                "The algorithm type you specified in "
                                "x-amz-checksum- header is invalid.",
                                &algorithm)) {
            return false;
        }
        if (of_object) {
            continue;
        }
        if (body->client != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
            return fail_several(call);
        }
        body->client = algorithm;
        if (!parse_value(call, body, pb_slice(request->headers[i]->value),
                         "header")) {
            return false;
        }
    }
    return true;
}

static bool parse_announced(struct s3_call *call, struct s3_body *body)
{
    static const char message[] = "The value specified in the x-amz-trailer "
                                  "header is not supported";
    const Wire__Request *request = call->request;
    bool allowed = body->payload == WIRE__PAYLOAD__STREAMING_SIGNED_TRAILER ||
                   body->payload == WIRE__PAYLOAD__STREAMING_UNSIGNED_TRAILER;

    if (request->n_trailers == 0) {
        return true;
    }
    if (request->n_trailers > 1 ||
        body->client != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        return fail_several(call);
    }
    if (!allowed) {
        call_fail_message(call, S3_ERR_InvalidRequest, "%s", message);
        return false;
    }
    body->in_trailer = true;
    return checksum_take_name(call, SLICE_LITERAL("x-amz-trailer"),
                              algorithm_name(pb_slice(request->trailers[0])),
                              message, &body->client);
}

static bool check_sdk_algorithm(struct s3_call *call, struct s3_body *body)
{
    struct slice text =
        call_request_header(call, "x-amz-sdk-checksum-algorithm");
    Meta__ChecksumAlgorithm algorithm;

    if (text.data == NULL) {
        return true;
    }
    if (body->client == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "x-amz-sdk-checksum-algorithm specified, but no "
                          "corresponding x-amz-checksum-* or x-amz-trailer "
                          "headers were found.");
        return false;
    }
    algorithm = checksum_parse_name(text);
    if (algorithm != body->client) {
        call_fail_message(
            call, S3_ERR_InvalidRequest,
            "Value for x-amz-sdk-checksum-algorithm header is invalid.");
        return false;
    }
    return true;
}

bool body_parse_headers(struct s3_call *call, struct s3_body *body)
{
    return parse_md5(call, body) && parse_checksums(call, body) &&
           parse_announced(call, body) &&
           (is_of_object(call) || check_sdk_algorithm(call, body));
}

bool body_parse_trailer(struct s3_call *call, struct s3_body *body,
                        const Wire__Field *trailer)
{
    if (!body->in_trailer || checksum_parse_name(algorithm_name(
                                 pb_slice(trailer->name))) != body->client) {
        call_fail(call, S3_ERR_MalformedTrailerError);
        return false;
    }
    return parse_value(call, body, pb_slice(trailer->value), "trailing header");
}
