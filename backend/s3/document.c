/* Settings of a bucket that are kept as documents in its record. */
#include "s3/document.h"

#include "s3/bucket.h"

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
void document_put(struct s3_call *call, Meta__Bucket *bucket, const char *name,
                  struct slice value)
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
    document_put(call, bucket, name, value);
}

struct wanted {
    const char *name;
    struct slice value;
};

/* bucket_change */
static bool change_document(struct s3_call *call, Meta__Bucket *bucket,
                            const void *argument)
{
    const struct wanted *wanted = argument;
    struct slice old = document_get(bucket, wanted->name);

    if ((old.data == NULL) == (wanted->value.data == NULL) &&
        slice_equal(old, wanted->value)) {
        return false;
    }
    document_put(call, bucket, wanted->name, wanted->value);
    return true;
}

bool document_commit(struct s3_call *call, const char *name, struct slice value)
{
    const struct wanted wanted = {.name = name, .value = value};

    return bucket_update(call, change_document, &wanted);
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
