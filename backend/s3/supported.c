/* A header that would change what is stored, where s3d does not know it. */
#include "s3/sse.h"

bool call_supported(struct s3_call *call)
{
    static const char append[] = "x-amz-write-offset-bytes";
    bool appends = call->service->extensions &&
                   call->operation->operation == WIRE__OPERATION__PUT_OBJECT;

    if (!appends && call_request_header(call, append).data != NULL) {
        call_error_field(call, "Header", slice_from_string(append));
        call_fail(call, S3_ERR_NotImplemented);
        return false;
    }
    return sse_check_request(call);
}
