/*
 * DeleteObjects.
 *
 * Each key is deleted under its own lock and in its own commit, as
 * DeleteObject does it: what the answer says of a key is durable, and a key
 * that fails leaves the others alone.
 */
#include "s3/authorize.h"
#include "s3/operations.h"
#include "s3/version.h"
#include "s3/worm.h"
#include "s3/xml_in.h"

#define DELETE_MAX 1000 /* keys of one request */

struct doomed {
    struct slice key, version_id; /* data == NULL: not given */
    struct delete_conditions conditions;
};

static bool read_conditions(struct slice etag, struct slice mtime,
                            struct slice size,
                            struct delete_conditions *conditions)
{
    *conditions = (struct delete_conditions){
        .match = etag,
        .has_size = size.data != NULL,
        .has_mtime = mtime.data != NULL,
    };
    return (!conditions->has_size ||
            slice_to_u64(size, &conditions->size) == 0) &&
           (!conditions->has_mtime ||
            time_parse_http(mtime, &conditions->mtime_ms) == 0 ||
            time_parse_iso8601(mtime, &conditions->mtime_ms) == 0);
}

static bool read_object(const struct xml_node *node, struct doomed *doomed)
{
    struct xml_leaf leaves[] = {
        {.name = "Key", .required = true},
        {.name = "VersionId"},
        {.name = "ETag"},
        {.name = "LastModifiedTime"},
        {.name = "Size"},
    };
    if (!xml_in_leaves(node, leaves, sizeof(leaves) / sizeof(leaves[0])) ||
        leaves[0].value.size == 0) {
        return false;
    }
    doomed->key = leaves[0].value;
    doomed->version_id =
        leaves[1].value.size > 0 ? leaves[1].value : (struct slice){NULL, 0};
    return read_conditions(leaves[2].value, leaves[3].value, leaves[4].value,
                           &doomed->conditions);
}

/* The document into at most DELETE_MAX entries; false: MalformedXML. */
static bool read_request(struct s3_call *call, struct doomed *doomed,
                         size_t *count, bool *quiet)
{
    const struct xml_node *root = xml_in_parse(
        call->arena, slice_of(call->xml.data, call->xml.size), "Delete");
    bool quiet_seen = false;
    *count = 0;
    *quiet = false;
    if (root == NULL) {
        return false;
    }
    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        if (slice_equal_string(node->name, "Quiet")) {
            if (quiet_seen || node->first != NULL ||
                !xml_in_bool(node->text, quiet)) {
                return false;
            }
            quiet_seen = true;
        } else if (!slice_equal_string(node->name, "Object") ||
                   *count == DELETE_MAX ||
                   !read_object(node, &doomed[(*count)++])) {
            return false;
        }
    }
    return *count > 0;
}

static void write_deleted(struct buffer *out, const struct doomed *doomed,
                          const struct object_deletion *deletion)
{
    xml_open(out, "Deleted");
    xml_text(out, "Key", doomed->key);
    if (doomed->version_id.data != NULL) {
        xml_text(out, "VersionId", doomed->version_id);
    }
    if (deletion->delete_marker) {
        xml_bool(out, "DeleteMarker", true);
        xml_text(out, "DeleteMarkerVersionId", deletion->version_id);
    }
    xml_close(out, "Deleted");
}

static void write_error(struct buffer *out, const struct doomed *doomed,
                        enum s3_error error, const char *message)
{
    xml_open(out, "Error");
    xml_text(out, "Key", doomed->key);
    if (doomed->version_id.data != NULL) {
        xml_text(out, "VersionId", doomed->version_id);
    }
    xml_string(out, "Code", s3_error_code(error));
    xml_string(out, "Message", message);
    xml_close(out, "Error");
}

/* As DeleteObject; a condition on the ETag tells what is there. */
static bool allowed(struct s3_call *call, const struct doomed *doomed)
{
    struct s3_question question = {
        .action = doomed->version_id.data != NULL ? "s3:DeleteObjectVersion"
                                                  : "s3:DeleteObject",
        .bucket = call->bucket,
        .bucket_name = call->bucket_name,
        .key = doomed->key,
        .version_id = doomed->version_id,
    };

    if (!call_ask(call, &question)) {
        return false;
    }
    question.action = "s3:GetObject";
    return doomed->conditions.match.data == NULL || call_ask(call, &question);
}

static void delete_one(struct s3_call *call, struct buffer *out,
                       const struct doomed *doomed, bool quiet)
{
    struct object_deletion deletion = {.delete_marker = false};
    const char *message = NULL;
    enum s3_error error = S3_OK;

    if (!object_valid_key(doomed->key)) {
        error = S3_ERR_KeyTooLongError;
    } else if (doomed->version_id.data != NULL &&
               !version_well_formed(doomed->version_id)) {
        error = S3_ERR_NoSuchVersion;
    } else if (!allowed(call, doomed)) {
        error = S3_ERR_AccessDenied;
        message = s3_error_message(error);
    } else {
        error = object_delete(call, doomed->key, doomed->version_id,
                              &doomed->conditions, &deletion);
        message = error == S3_ERR_AccessDenied ? WORM_PROTECTED_MESSAGE : NULL;
    }
    if (error != S3_OK) {
        write_error(out, doomed, error,
                    message != NULL ? message : s3_error_message(error));
    } else if (!quiet) {
        write_deleted(out, doomed, &deletion);
    }
}

void s3_delete_objects_run(struct s3_call *call)
{
    struct doomed *doomed;
    size_t count;
    bool quiet;

    if (!body_has_integrity(call)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Missing required header for this request: "
                          "Content-MD5");
        return;
    }
    doomed = arena_zalloc(call->arena, DELETE_MAX * sizeof(*doomed));
    if (!read_request(call, doomed, &count, &quiet)) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    struct buffer out = {NULL, 0, 0};
    xml_open_document(&out, "DeleteResult");
    for (size_t i = 0; i < count; i++) {
        delete_one(call, &out, &doomed[i], quiet);
    }
    xml_close(&out, "DeleteResult");
    call_reply_xml(call, 200, &out);
}
