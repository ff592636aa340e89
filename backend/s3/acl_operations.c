/* Get and PutBucketAcl, Get and PutObjectAcl. */
#include "s3/acl.h"
#include "s3/bucket.h"
#include "s3/notify.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/ownership.h"
#include "s3/version.h"

/* A list that does not count is not told: it is as if there were none. */
static void reply(struct s3_call *call, struct slice owner,
                  const Meta__Acl *acl)
{
    struct buffer out = {NULL, 0, 0};

    acl_write(call, &out, owner, acls_enabled(call->bucket) ? acl : NULL);
    call_reply_xml(call, 200, &out);
}

/* --- buckets ---------------------------------------------------------------*/
void s3_get_bucket_acl_run(struct s3_call *call)
{
    reply(call, pb_slice(call->bucket->owner), call->bucket->acl);
}

/* bucket_change */
static bool change_acl(struct s3_call *call, Meta__Bucket *bucket,
                       const void *wanted)
{
    const Meta__Acl *acl = wanted;

    if (!acl_check(call, bucket, acl)) {
        return false;
    }
    bucket->acl = (Meta__Acl *)acl;
    return true;
}

void s3_put_bucket_acl_run(struct s3_call *call)
{
    const struct slice owner = pb_slice(call->bucket->owner);
    const struct acl_subject subject = {
        .resource = ACL_OF_BUCKET, .owner = owner, .bucket_owner = owner};
    Meta__Acl *acl;

    if (acl_take_put(call, &subject, &acl) &&
        bucket_update(call, change_acl, acl)) {
        call_reply_empty(call, 200);
    }
}

/* --- objects ---------------------------------------------------------------*/
void s3_get_object_acl_run(struct s3_call *call)
{
    const Meta__Object *object = object_requested(call);

    if (object != NULL) {
        version_header(call, object);
        reply(call, ownership_of_object(call->bucket, object), object->acl);
    }
}

/* The list is no part of what was written: the version keeps its place and
 * its time. Under the key's lock. False: the call has failed. */
static bool put_locked(struct s3_call *call)
{
    const Meta__EventType event = META__EVENT_TYPE__OBJECT_ACL_PUT;
    Meta__Object *object = object_requested(call);
    struct acl_subject subject = {
        .resource = ACL_OF_OBJECT,
        .bucket_owner = pb_slice(call->bucket->owner),
    };
    struct meta_batch *batch;
    int error;

    if (object == NULL) {
        return false;
    }
    subject.owner = ownership_of_object(call->bucket, object);
    if (!acl_take_put(call, &subject, &object->acl)) {
        return false;
    }
    batch = meta_batch_new(call->service->meta);
    error = notify_check(call, event, call->key);
    if (error == 0) {
        meta_put_object(batch, call->bucket->id, call->key, object);
        notify_object(call, batch, event, call->key, object, NULL);
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    if (error != 0) {
        call_fail_errno(call, error,
                        "changing an object's access control list");
        return false;
    }
    version_header(call, object);
    return true;
}

void s3_put_object_acl_run(struct s3_call *call)
{
    if (!object_lock(call, call->key)) {
        return;
    }
    bool put = put_locked(call);
    object_unlock(call, call->key);
    if (put) {
        call_reply_empty(call, 200);
    }
}
