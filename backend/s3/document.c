/* Settings of a bucket that are kept as documents in its record. */
#include "s3/document.h"

#include <errno.h>
#include <string.h>

struct slice document_get(const Meta__Bucket *bucket, const char *name)
{
    for (size_t i = 0; i < bucket->n_documents; i++) {
        if (slice_equal_string(pb_slice(bucket->documents[i]->name), name)) {
            return pb_slice(bucket->documents[i]->value);
        }
    }
    return slice_of(NULL, 0);
}

/* `bucket` gets an array of its own: the old one may be shared. */
static void replace(struct s3_call *call, Meta__Bucket *bucket,
                    const char *name, struct slice value)
{
    Meta__Field **documents = arena_alloc(
        call->arena, (bucket->n_documents + 1) * sizeof(*documents));
    size_t count = 0;

    for (size_t i = 0; i < bucket->n_documents; i++) {
        if (!slice_equal_string(pb_slice(bucket->documents[i]->name), name)) {
            documents[count++] = bucket->documents[i];
        }
    }
    if (value.data != NULL) {
        Meta__Field *field = arena_alloc(call->arena, sizeof(*field));

        meta__field__init(field);
        field->name = pb_bytes(slice_from_string(name));
        field->value = pb_bytes(value);
        documents[count++] = field;
    }
    bucket->documents = documents;
    bucket->n_documents = count;
}

void document_set(struct s3_call *call, Meta__Bucket *bucket, const char *name,
                  struct slice value)
{
    invariant(value.data != NULL);
    replace(call, bucket, name, value);
}

/* Under the exclusive bucket lock. */
static int commit_locked(struct s3_call *call, const char *name,
                         struct slice value)
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
    struct slice old = document_get(bucket, name);
    if ((old.data == NULL) == (value.data == NULL) && slice_equal(old, value)) {
        return 0;
    }
    replace(call, bucket, name, value);
    struct meta_batch *batch = meta_batch_new(meta);
    meta_put_bucket(batch, bucket);
    rc = meta_commit(batch);
    meta_batch_free(batch);
    return rc;
}

bool document_commit(struct s3_call *call, const char *name, struct slice value)
{
    struct meta *meta = call->service->meta;

    meta_bucket_lock(meta, call->bucket_name, true);
    int rc = commit_locked(call, name, value);
    meta_bucket_unlock(meta, call->bucket_name);
    if (rc == -ENOENT) {
        call_fail_no_bucket(call, call->bucket_name);
    } else if (rc != 0) {
        call_fail_errno(call, rc, "changing a bucket's settings");
    }
    return rc == 0;
}

struct xml_node *document_request(struct s3_call *call, const char *root)
{
    struct xml_node *node;

    if (call->xml.size == 0) {
        call_fail(call, S3_ERR_MissingRequestBodyError);
        return NULL;
    }
    node = xml_in_parse(call->arena, slice_of(call->xml.data, call->xml.size),
                        root);
    if (node == NULL) {
        call_fail(call, S3_ERR_MalformedXML);
    }
    return node;
}

void document_reply(struct s3_call *call, const char *name,
                    enum s3_error missing)
{
    struct slice document = document_get(call->bucket, name);
    struct buffer out = {NULL, 0, 0};

    if (document.data == NULL) {
        document_fail(call, missing);
        return;
    }
    buffer_append(&out, document.data, document.size);
    call_reply_xml(call, 200, &out);
}

bool document_require_integrity(struct s3_call *call)
{
    if (body_has_integrity(call)) {
        return true;
    }
    call_fail_message(call, S3_ERR_InvalidRequest,
                      "Missing required header for this request: Content-MD5");
    return false;
}

void document_fail(struct s3_call *call, enum s3_error error)
{
    call_error_field(call, "BucketName", call->bucket_name);
    call_fail(call, error);
}

struct slice document_take(struct s3_call *call, struct buffer *out)
{
    struct slice text = arena_copy(call->arena, out->data, out->size);

    buffer_free(out);
    return text;
}
