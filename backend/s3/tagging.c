/*
 * Put, Get and DeleteObjectTagging and -BucketTagging.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
 */
#include "s3/document.h"
#include "s3/notify.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/tags.h"
#include "s3/version.h"

/* --- objects ---------------------------------------------------------------*/
/* Tags are no part of what was written: the version keeps its place, its time
 * and its ETag. Under the key's lock. False: the call has failed. */
static bool replace_locked(struct s3_call *call, const struct tag_set *set,
                           Meta__EventType event)
{
    Meta__Object asked = META__OBJECT__INIT;
    Meta__Object *object;

    asked.tags = set->tags;
    asked.n_tags = set->count;
    call->asked.object = &asked;
    object = object_requested(call);
    call->asked.object = NULL;
    if (object == NULL) {
        return false;
    }
    object->tags = set->tags;
    object->n_tags = set->count;
    struct meta_batch *batch = meta_batch_new(call->service->meta);
    int rc = notify_check(call, event, call->key);
    if (rc == 0) {
        meta_put_object(batch, call->bucket->id, call->key, object);
        notify_object(call, batch, event, call->key, object, NULL);
        rc = meta_commit(batch);
    }
    meta_batch_free(batch);
    if (rc != 0) {
        call_fail_errno(call, rc, "changing an object's tags");
        return false;
    }
    version_header(call, object);
    return true;
}

static void replace_tags(struct s3_call *call, const struct tag_set *set,
                         Meta__EventType event, unsigned status)
{
    if (!object_lock(call, call->key)) {
        return;
    }
    bool replaced = replace_locked(call, set, event);
    object_unlock(call, call->key);
    if (replaced) {
        call_reply_empty(call, status);
    }
}

void s3_put_object_tagging_run(struct s3_call *call)
{
    struct tag_set set;

    if (document_require_integrity(call) &&
        tags_take_document(call, TAGS_OF_OBJECT, &set)) {
        replace_tags(call, &set, META__EVENT_TYPE__OBJECT_TAGGING_PUT, 200);
    }
}

void s3_delete_object_tagging_run(struct s3_call *call)
{
    const struct tag_set none = {NULL, 0};

    replace_tags(call, &none, META__EVENT_TYPE__OBJECT_TAGGING_DELETE, 204);
}

void s3_get_object_tagging_run(struct s3_call *call)
{
    const Meta__Object *object = object_requested(call);
    struct buffer out = {NULL, 0, 0};

    if (object == NULL) {
        return;
    }
    version_header(call, object);
    tags_write(&out, object->tags, object->n_tags);
    call_reply_xml(call, 200, &out);
}

/* --- buckets ---------------------------------------------------------------*/
void s3_put_bucket_tagging_run(struct s3_call *call)
{
    struct slice document = {NULL, 0}; /* an empty set is none */
    struct tag_set set;

    if (!document_require_integrity(call) ||
        !tags_take_document(call, TAGS_OF_BUCKET, &set)) {
        return;
    }
    if (set.count > 0) {
        document = tags_document(call, &set);
    }
    if (document_commit(call, DOCUMENT_TAGGING, document)) {
        call_reply_empty(call, 204);
    }
}

void s3_get_bucket_tagging_run(struct s3_call *call)
{
    document_reply(call, DOCUMENT_TAGGING, S3_ERR_NoSuchTagSet);
}

void s3_delete_bucket_tagging_run(struct s3_call *call)
{
    if (document_commit(call, DOCUMENT_TAGGING, slice_of(NULL, 0))) {
        call_reply_empty(call, 204);
    }
}
