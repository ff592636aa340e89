/*
 * PutBucketLogging, GetBucketLogging
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html
 */
#include "s3/bucket_logging.h"
#include "s3/acl.h"
#include "s3/operations.h"

#include <errno.h>
#include <string.h>

/* Leaves room in a key for all that follows the prefix. */
#define PREFIX_MAX 800 /* bytes */

enum reading { READ_OK, READ_MALFORMED };

/* --- the document ----------------------------------------------------------*/
static bool is_leaf(const struct xml_node *node)
{
    return node->first == NULL;
}

static enum reading read_partitioned(const struct xml_node *node,
                                     struct logging_target *target)
{
    struct xml_leaf leaf = {.name = "PartitionDateSource"};

    if (!xml_in_leaves(node, &leaf, 1)) {
        return READ_MALFORMED;
    }
    if (leaf.value.data == NULL ||
        slice_equal_string(leaf.value, "EventTime")) {
        target->format = LOGGING_EVENT;
        return READ_OK;
    }
    target->format = LOGGING_DELIVERY;
    return slice_equal_string(leaf.value, "DeliveryTime") ? READ_OK
                                                          : READ_MALFORMED;
}

static enum reading read_format(const struct xml_node *node,
                                struct logging_target *target)
{
    const struct xml_node *kind = node->first;

    if (kind == NULL || kind->next != NULL || target->names_format) {
        return READ_MALFORMED;
    }
    target->names_format = true;
    if (slice_equal_string(kind->name, "PartitionedPrefix")) {
        return read_partitioned(kind, target);
    }
    return slice_equal_string(kind->name, "SimplePrefix") && is_leaf(kind)
               ? READ_OK
               : READ_MALFORMED;
}

static enum reading read_enabled(const struct xml_node *enabled,
                                 struct logging_target *target)
{
    enum reading reading = READ_OK;

    for (const struct xml_node *node = enabled->first;
         node != NULL && reading == READ_OK; node = node->next) {
        if (slice_equal_string(node->name, "TargetBucket") && is_leaf(node) &&
            target->bucket.data == NULL && node->text.size > 0) {
            target->bucket = node->text;
        } else if (slice_equal_string(node->name, "TargetPrefix") &&
                   is_leaf(node) && target->prefix.data == NULL) {
            target->prefix = node->text.size > 0 ? node->text : slice_of("", 0);
        } else if (slice_equal_string(node->name, "TargetGrants") &&
                   target->grants == NULL) {
            target->grants = is_leaf(node) ? NULL : node;
        } else if (slice_equal_string(node->name, "TargetObjectKeyFormat")) {
            reading = read_format(node, target);
        } else {
            reading = READ_MALFORMED;
        }
    }
    if (target->bucket.data == NULL || target->prefix.data == NULL) {
        return READ_MALFORMED;
    }
    return reading;
}

/* target->bucket.data == NULL: nothing is to be logged. */
static enum reading read_status(const struct xml_node *root,
                                struct logging_target *target)
{
    *target = (struct logging_target){.format = LOGGING_SIMPLE};
    if (root->first == NULL) {
        for (size_t i = 0; i < root->text.size; i++) {
            if (memchr(" \t\r\n", root->text.data[i], 4) == NULL) {
                return READ_MALFORMED;
            }
        }
        return READ_OK;
    }
    if (root->first->next != NULL ||
        !slice_equal_string(root->first->name, "LoggingEnabled")) {
        return READ_MALFORMED;
    }
    return read_enabled(root->first, target);
}

bool logging_read(struct arena *arena, const Meta__Bucket *bucket,
                  struct logging_target *target)
{
    struct slice document = document_get(bucket, DOCUMENT_LOGGING);
    const struct xml_node *root;

    if (document.data == NULL) {
        return false;
    }
    root = xml_in_parse(arena, document, "BucketLoggingStatus");
    return root != NULL && read_status(root, target) == READ_OK &&
           target->bucket.data != NULL;
}

static struct slice write_status(struct s3_call *call,
                                 const struct logging_target *target,
                                 const Meta__Acl *grants)
{
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, "BucketLoggingStatus");
    xml_open(&out, "LoggingEnabled");
    xml_text(&out, "TargetBucket", target->bucket);
    xml_text(&out, "TargetPrefix", target->prefix);
    if (grants->n_grants > 0) {
        xml_open(&out, "TargetGrants");
        acl_write_grants(call, &out, grants);
        xml_close(&out, "TargetGrants");
    }
    if (target->names_format) {
        xml_open(&out, "TargetObjectKeyFormat");
        if (target->format == LOGGING_SIMPLE) {
            xml_string(&out, "SimplePrefix", "");
        } else {
            xml_open(&out, "PartitionedPrefix");
            xml_string(&out, "PartitionDateSource",
                       target->format == LOGGING_EVENT ? "EventTime"
                                                       : "DeliveryTime");
            xml_close(&out, "PartitionedPrefix");
        }
        xml_close(&out, "TargetObjectKeyFormat");
    }
    xml_close(&out, "LoggingEnabled");
    xml_close(&out, "BucketLoggingStatus");
    return document_take(call, &out);
}

/* --- grants ----------------------------------------------------------------*/
static const struct {
    const char *permission, *header;
} grantable[LOGGING_GRANTS_MAX] = {
    {"FULL_CONTROL", "x-amz-grant-full-control"},
    {"READ", "x-amz-grant-read"},
    {"WRITE", "x-amz-grant-write"},
};

static bool read_grants(struct s3_call *call,
                        const struct logging_target *target, Meta__Acl *acl)
{
    if (target->grants == NULL) {
        return true;
    }
    if (!acl_read_grants(call, target->grants, acl)) {
        return false;
    }
    for (size_t i = 0; i < acl->n_grants; i++) {
        const uint32_t permissions = acl->grants[i]->permissions;

        if (permissions == META__ACL_PERMISSION__READ_ACP ||
            permissions == META__ACL_PERMISSION__WRITE_ACP) {
            call_fail(call, S3_ERR_MalformedXML);
            return false;
        }
    }
    return true;
}

static const struct xml_node *child(const struct xml_node *parent,
                                    const char *name)
{
    const struct xml_node *node = parent->first;

    while (node != NULL && !slice_equal_string(node->name, name)) {
        node = node->next;
    }
    return node;
}

/* The document was written by acl_write_grants(). */
static void append_grantee(struct buffer *out, const struct xml_node *grantee)
{
    const struct xml_node *id = child(grantee, "ID");
    const struct xml_node *uri = child(grantee, "URI");
    const struct slice who = id != NULL ? id->text : uri->text;

    buffer_printf(out, "%s%s=%.*s", out->size > 0 ? "," : "",
                  id != NULL ? "id" : "uri", (int)who.size,
                  (const char *)who.data);
}

size_t logging_grant_headers(struct arena *arena,
                             const struct logging_target *target,
                             Wire__Field *headers[LOGGING_GRANTS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; target->grants != NULL && i < LOGGING_GRANTS_MAX; i++) {
        struct buffer list = {NULL, 0, 0};

        for (const struct xml_node *grant = target->grants->first;
             grant != NULL; grant = grant->next) {
            if (slice_equal_string(child(grant, "Permission")->text,
                                   grantable[i].permission)) {
                append_grantee(&list, child(grant, "Grantee"));
            }
        }
        if (list.size > 0) {
            Wire__Field *field = arena_alloc(arena, sizeof(*field));

            wire__field__init(field);
            field->name = pb_bytes(slice_from_string(grantable[i].header));
            field->value = pb_bytes(arena_copy(arena, list.data, list.size));
            headers[count++] = field;
        }
        buffer_free(&list);
    }
    return count;
}

/* --- the target ------------------------------------------------------------*/
static bool fail_target(struct s3_call *call, struct slice name,
                        const char *message)
{
    call_error_field(call, "TargetBucket", name);
    call_fail_message(call, S3_ERR_InvalidTargetBucketForLogging, "%s",
                      message);
    return false;
}

/* https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html */
static bool check_target(struct s3_call *call,
                         const struct logging_target *target,
                         const Meta__Acl *grants)
{
    Meta__Bucket *bucket;
    int error = meta_get_bucket(call->service->meta, call->arena,
                                target->bucket, &bucket);

    if (error == -ENOENT) {
        return fail_target(call, target->bucket,
                           "The target bucket for logging does not exist");
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading a bucket");
        return false;
    }
    if (!slice_equal(pb_slice(bucket->owner), pb_slice(call->bucket->owner))) {
        return fail_target(call, target->bucket,
                           "The owner for the bucket to be logged and the "
                           "target bucket must be the same.");
    }
    if (!slice_equal(pb_slice(bucket->region),
                     pb_slice(call->bucket->region))) {
        call_error_field(call, "TargetBucketLocation",
                         pb_slice(bucket->region));
        call_error_field(call, "SourceBucketLocation",
                         pb_slice(call->bucket->region));
        call_fail(call, S3_ERR_CrossLocationLoggingProhibited);
        return false;
    }
    if (bucket->default_retention != NULL ||
        document_get(bucket, DOCUMENT_REQUEST_PAYMENT).data != NULL) {
        return fail_target(call, target->bucket,
                           "The target bucket must have neither a default "
                           "retention nor Requester Pays");
    }
    return grants->n_grants == 0 || acl_check(call, bucket, grants);
}

void s3_put_logging_run(struct s3_call *call)
{
    const struct xml_node *root = document_request(call, "BucketLoggingStatus");
    struct logging_target target;
    struct slice document = {NULL, 0};

    if (root == NULL) {
        return;
    }
    if (read_status(root, &target) != READ_OK) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    if (target.bucket.data != NULL) {
        Meta__Acl *grants = acl_new(call);

        if (target.prefix.size > PREFIX_MAX) {
            call_fail(call, S3_ERR_KeyTooLongError);
            return;
        }
        if (!read_grants(call, &target, grants) ||
            !check_target(call, &target, grants)) {
            return;
        }
        document = write_status(call, &target, grants);
    }
    if (document_commit(call, DOCUMENT_LOGGING, document)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_logging_run(struct s3_call *call)
{
    struct slice document = document_get(call->bucket, DOCUMENT_LOGGING);
    struct buffer out = {NULL, 0, 0};

    if (document.data != NULL) {
        buffer_append(&out, document.data, document.size);
    } else {
        xml_open_document(&out, "BucketLoggingStatus");
        xml_close(&out, "BucketLoggingStatus");
    }
    call_reply_xml(call, 200, &out);
}
