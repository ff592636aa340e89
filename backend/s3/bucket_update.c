#include "s3/bucket.h"

#include <errno.h>

static int update_locked(struct s3_call *call, bucket_change *change,
                         bucket_addition *addition, const void *wanted)
{
    struct meta *meta = call->service->meta;
    Meta__Bucket *bucket;
    int rc = meta_get_bucket(meta, call->arena, call->bucket_name, &bucket);

    if (rc != 0) {
        return rc;
    }
    if (bucket->id != call->bucket->id) {
        return -ENOENT;
    }
    if (!change(call, bucket, wanted)) {
        return 0;
    }
    struct meta_batch *batch = meta_batch_new(meta);
    meta_put_bucket(batch, bucket);
    if (addition != NULL) {
        addition(call, batch, bucket, wanted);
    }
    rc = meta_commit(batch);
    meta_batch_free(batch);
    return rc;
}

bool bucket_update_with(struct s3_call *call, bucket_change *change,
                        bucket_addition *addition, const void *wanted)
{
    struct meta *meta = call->service->meta;

    meta_bucket_lock(meta, call->bucket_name, true);
    int rc = update_locked(call, change, addition, wanted);
    meta_bucket_unlock(meta, call->bucket_name);
    if (rc == -ENOENT) {
        call_fail_no_bucket(call, call->bucket_name);
    } else if (rc != 0) {
        call_fail_errno(call, rc, "changing a bucket");
    }
    return !call->done;
}

bool bucket_update(struct s3_call *call, bucket_change *change,
                   const void *wanted)
{
    return bucket_update_with(call, change, NULL, wanted);
}
