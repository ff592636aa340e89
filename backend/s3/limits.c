#include "s3/limits.h"

#include "s3/object.h"

#include <errno.h>

/* Far beyond all that there can be, and the difference of two fits too. */
static int64_t bounded(uint64_t size)
{
    return size < (uint64_t)INT64_MAX / 2 ? (int64_t)size : INT64_MAX / 2;
}

static bool has_room(const struct s3_call *call, int64_t bytes, int64_t objects)
{
    return meta_check_room(call->service->meta, call->bucket->id, bytes,
                           objects) == 0;
}

/* `error`: of the look at what is replaced, -ENOENT: nothing. */
static bool fail(struct s3_call *call, int error)
{
    call_fail_errno(call, error == 0 || error == -ENOENT ? -EDQUOT : error,
                    "looking at what is replaced");
    return false;
}

bool limits_check_object(struct s3_call *call, uint64_t size)
{
    const int64_t more = bounded(size);
    Meta__Object *old;
    int error = -ENOENT;

    if (has_room(call, more, 1)) {
        return true;
    }
    if (call->bucket->versioning != META__BUCKET__VERSIONING__ENABLED) {
        error = meta_get_null_version(call->service->meta, call->arena,
                                      call->bucket->id, call->key, &old);
    }
    return (error == 0 && has_room(call, more - bounded(old->size), 0)) ||
           fail(call, error);
}

bool limits_check_part(struct s3_call *call, struct slice upload,
                       unsigned number, uint64_t size)
{
    const int64_t more = bounded(size);
    Meta__Part *old;
    int error;

    if (has_room(call, more, 1)) {
        return true;
    }
    error =
        meta_get_part(call->service->meta, call->arena, upload, number, &old);
    return (error == 0 && has_room(call, more - bounded(old->size), 0)) ||
           fail(call, error);
}

static uint64_t bucket_of(const struct s3_call *call)
{
    return call->bucket != NULL ? call->bucket->id : 0;
}

bool limits_count_request(struct s3_call *call)
{
    const uint64_t wait_ms =
        meta_count_request(call->service->meta, bucket_of(call),
                           slice_from_string(call->identity.user));

    call->counted = wait_ms == 0;
    if (call->counted) {
        return true;
    }
    call_header(call, "Retry-After", "%u", (unsigned)((wait_ms + 999) / 1000));
    call_fail(call, S3_ERR_SlowDown);
    return false;
}

void limits_end(struct s3_call *call)
{
    if (call->counted && call->error == S3_ERR_AccessDenied) {
        meta_uncount_request(call->service->meta, bucket_of(call),
                             slice_from_string(call->identity.user));
    }
    call->counted = false;
}

bool limits_counts_requests(const struct s3_call *call)
{
    return meta_counts_requests(call->service->meta, bucket_of(call),
                                slice_from_string(call->identity.user));
}
