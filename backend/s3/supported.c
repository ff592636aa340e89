/* Headers that would change what is stored, and that s3d does not know. */
#include "s3/sse.h"

static const char *const refused_names[] = {
    "x-amz-website-redirect-location",
};

static const char append_name[] = "x-amz-write-offset-bytes";

static bool refused(const struct s3_call *call, struct slice name)
{
    if (slice_equal_string(name, append_name)) {
        return !call->service->extensions ||
               call->operation->operation != WIRE__OPERATION__PUT_OBJECT;
    }
    for (size_t i = 0; i < sizeof(refused_names) / sizeof(refused_names[0]);
         i++) {
        if (slice_equal_string(name, refused_names[i])) {
            return true;
        }
    }
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
    return sse_check_request(call);
}
