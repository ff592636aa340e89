/* Headers that would change what is stored, and that s3d does not know. */
#include "s3/call.h"

static const char *const refused_prefixes[] = {
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-grant-",
};

static const char *const refused_names[] = {
    "x-amz-website-redirect-location",
};

static const char append_name[] = "x-amz-write-offset-bytes";

/* https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html */
static const char *const canned_acls[] = {
    "public-read",   "public-read-write", "authenticated-read",
    "aws-exec-read", "bucket-owner-read", "log-delivery-write",
};

static bool refused(const struct s3_call *call, struct slice name)
{
    if (slice_equal_string(name, append_name)) {
        return !call->service->extensions ||
               call->operation->operation != WIRE__OPERATION__PUT_OBJECT;
    }
    for (size_t i = 0;
         i < sizeof(refused_prefixes) / sizeof(refused_prefixes[0]); i++) {
        if (slice_has_prefix(name, slice_from_string(refused_prefixes[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(refused_names) / sizeof(refused_names[0]);
         i++) {
        if (slice_equal_string(name, refused_names[i])) {
            return true;
        }
    }
    return false;
}

static bool acl_supported(struct s3_call *call)
{
    struct slice acl = call_request_header(call, "x-amz-acl");

    if (acl.data == NULL || slice_equal_string(acl, "private") ||
        slice_equal_string(acl, "bucket-owner-full-control")) {
        return true;
    }
    for (size_t i = 0; i < sizeof(canned_acls) / sizeof(canned_acls[0]); i++) {
        if (slice_equal_string(acl, canned_acls[i])) {
            call_error_field(call, "Header", SLICE_LITERAL("x-amz-acl"));
            call_fail(call, S3_ERR_NotImplemented);
            return false;
        }
    }
    call_fail_argument(call, "x-amz-acl", acl,
                       "The canned ACL you specified is not valid");
    return false;
}

bool call_supported(struct s3_call *call)
{
    const Wire__Request *request = call->request;

    for (size_t i = 0; i < request->n_headers; i++) {
        struct slice name = pb_slice(request->headers[i]->name);

        if (refused(call, name)) {
            call_error_field(call, "Header", name);
            call_fail(call, S3_ERR_NotImplemented);
            return false;
        }
    }
    return acl_supported(call);
}
