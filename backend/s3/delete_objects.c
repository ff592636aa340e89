/*
 * DeleteObjects.
 *
 * Keys are deleted in groups, each group in one commit: what the answer says
 * of a key is durable, and a key that is refused leaves the others alone.
 */
#include "base/xml_in.h"
#include "s3/access_log.h"
#include "s3/authorize.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/version.h"
#include "s3/worm.h"

#define DELETE_MAX 1000 /* keys of one request */

struct entry {
    struct object_doomed doomed;
    const char *message; /* of doomed.error; NULL: the table's */
};

/* Entries that one commit deletes. */
struct group {
    struct object_doomed *doomed[OBJECT_DELETE_MAX];
    size_t count;
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

static bool read_object(const struct xml_node *node,
                        struct object_doomed *doomed)
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
static bool read_request(struct s3_call *call, struct entry *entries,
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
                   !read_object(node, &entries[(*count)++].doomed)) {
            return false;
        }
    }
    return *count > 0;
}

static void write_deleted(struct buffer *out,
                          const struct object_doomed *doomed)
{
    const struct object_deletion *deletion = &doomed->deletion;

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

static void write_error(struct buffer *out, const struct entry *entry)
{
    const struct object_doomed *doomed = &entry->doomed;

    xml_open(out, "Error");
    xml_text(out, "Key", doomed->key);
    if (doomed->version_id.data != NULL) {
        xml_text(out, "VersionId", doomed->version_id);
    }
    xml_string(out, "Code", s3_error_code(doomed->error));
    xml_string(out, "Message",
               entry->message != NULL ? entry->message
                                      : s3_error_message(doomed->error));
    xml_close(out, "Error");
}

/* As DeleteObject; whether a condition holds tells what is there. */
static bool allowed(struct s3_call *call, const struct object_doomed *doomed)
{
    struct s3_question question = {
        .action = doomed->version_id.data != NULL ? "s3:DeleteObjectVersion"
                                                  : "s3:DeleteObject",
        .bucket = call->bucket,
        .bucket_name = call->bucket_name,
        .key = doomed->key,
        .version_id = doomed->version_id,
    };

    const struct delete_conditions *conditions = &doomed->conditions;

    if (!call_ask(call, &question)) {
        return false;
    }
    question.action = "s3:GetObject";
    return (conditions->match.data == NULL && !conditions->has_size &&
            !conditions->has_mtime) ||
           call_ask(call, &question);
}

/* What can be said of it before it is looked at. */
static enum s3_error check(struct s3_call *call,
                           const struct object_doomed *doomed)
{
    if (!object_valid_key(doomed->key)) {
        return S3_ERR_KeyTooLongError;
    }
    if (doomed->version_id.data != NULL &&
        !version_well_formed(doomed->version_id)) {
        return S3_ERR_NoSuchVersion;
    }
    return allowed(call, doomed) ? S3_OK : S3_ERR_AccessDenied;
}

/* Does one of the group decide what becomes of this one? */
static bool depends(const struct group *group,
                    const struct object_doomed *doomed)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct object_doomed *other = group->doomed[i];

        if (slice_equal(other->key, doomed->key) &&
            (other->version_id.data == NULL ||
             doomed->version_id.data == NULL ||
             slice_equal(other->version_id, doomed->version_id))) {
            return true;
        }
    }
    return false;
}

static void delete_group(struct s3_call *call, struct group *group)
{
    if (group->count > 0) {
        object_delete(call, group->doomed, group->count);
        group->count = 0;
    }
}

static void delete_all(struct s3_call *call, struct entry *entries,
                       size_t count)
{
    struct group group = {.count = 0};

    for (size_t i = 0; i < count; i++) {
        struct object_doomed *doomed = &entries[i].doomed;

        doomed->error = check(call, doomed);
        if (doomed->error != S3_OK) {
            entries[i].message = s3_error_message(doomed->error);
            continue;
        }
        if (group.count == OBJECT_DELETE_MAX || depends(&group, doomed)) {
            delete_group(call, &group);
        }
        group.doomed[group.count++] = doomed;
    }
    delete_group(call, &group);
}

/* That a key is not there is told to who may list. */
static void hide_absence(struct s3_call *call, struct entry *entry)
{
    if (entry->doomed.error == S3_ERR_NoSuchKey &&
        !call_may(call, "s3:ListBucket", call->bucket, slice_of(NULL, 0),
                  NULL)) {
        entry->doomed.error = S3_ERR_AccessDenied;
        entry->message = s3_error_message(S3_ERR_AccessDenied);
    }
}

static void write_entry(struct buffer *out, struct entry *entry, bool quiet)
{
    if (entry->doomed.error == S3_OK) {
        if (!quiet) {
            write_deleted(out, &entry->doomed);
        }
        return;
    }
    if (entry->doomed.error == S3_ERR_AccessDenied && entry->message == NULL) {
        entry->message = WORM_PROTECTED_MESSAGE;
    }
    write_error(out, entry);
}

static void log_entry(struct s3_call *call, const struct object_doomed *doomed)
{
    bool deleted = doomed->error == S3_OK;

    access_log_also(
        call, &(struct s3_log_entry){
                  .operation = "BATCH.DELETE.OBJECT",
                  .bucket = call->bucket,
                  .key = doomed->key,
                  .version_id = deleted ? doomed->deletion.version_id
                                        : doomed->version_id,
                  .status = deleted ? 204 : s3_error_status(doomed->error),
                  .error = deleted ? "" : s3_error_code(doomed->error),
              });
}

void s3_delete_objects_run(struct s3_call *call)
{
    struct buffer out = {NULL, 0, 0};
    struct entry *entries;
    size_t count;
    bool quiet;

    if (!body_has_integrity(call)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Missing required header for this request: "
                          "Content-MD5");
        return;
    }
    entries = arena_zalloc(call->arena, DELETE_MAX * sizeof(*entries));
    if (!read_request(call, entries, &count, &quiet)) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    delete_all(call, entries, count);
    xml_open_document(&out, "DeleteResult");
    for (size_t i = 0; i < count; i++) {
        hide_absence(call, &entries[i]);
        write_entry(&out, &entries[i], quiet);
        log_entry(call, &entries[i].doomed);
    }
    xml_close(&out, "DeleteResult");
    call_reply_xml(call, 200, &out);
}
