/* x-amz-copy-source: what CopyObject and UploadPartCopy read. */
#include "s3/access_log.h"
#include "s3/authorize.h"
#include "s3/object.h"
#include "s3/version.h"

#include <errno.h>
#include <string.h>

static bool fail_source(struct s3_call *call, struct slice header,
                        const char *message)
{
    call_fail_argument(call, "x-amz-copy-source", header, message);
    return false;
}

/* "?versionId=..." behind the last question mark: keys hold them as %3F, and
 * some clients send them raw. */
static struct slice cut_version(struct slice *path)
{
    static const char name[] = "versionId=";
    const size_t size = sizeof(name) - 1;
    const uint8_t *mark = memrchr(path->data, '?', path->size);
    struct slice rest;

    if (mark == NULL) {
        return slice_of(NULL, 0);
    }
    rest = slice_of(mark + 1, path->size - (size_t)(mark + 1 - path->data));
    if (!slice_has_prefix(rest, slice_of(name, size))) {
        return slice_of(NULL, 0);
    }
    path->size = (size_t)(mark - path->data);
    return slice_of(rest.data + size, rest.size - size);
}

int object_copy_source_path(const struct s3_call *call, struct slice *path,
                            struct slice *version_id)
{
    struct slice header = call_request_header(call, "x-amz-copy-source");

    *version_id = slice_of(NULL, 0);
    if (header.size == 0) {
        return -ENOENT;
    }
    *version_id = cut_version(&header);
    if (uri_decode(call->arena, header, path) != 0) {
        return -EINVAL;
    }
    if (path->size > 0 && path->data[0] == '/') {
        *path = slice_of(path->data + 1, path->size - 1);
    }
    return 0;
}

bool object_parse_copy_source(struct s3_call *call, struct copy_source *source)
{
    struct slice header = call_request_header(call, "x-amz-copy-source");
    struct slice path;
    const uint8_t *slash;
    int error = object_copy_source_path(call, &path, &source->version_id);

    if (error == -ENOENT) {
        return fail_source(call, header,
                           "You must specify a copy source in the "
                           "x-amz-copy-source header");
    }
    if (error != 0) {
        return fail_source(call, header, "Invalid copy source encoding");
    }
    slash = memchr(path.data, '/', path.size);
    if (slash == NULL || slash == path.data) {
        return fail_source(call, header, "Invalid copy source bucket name");
    }
    source->bucket = slice_of(path.data, (size_t)(slash - path.data));
    source->key = slice_of(slash + 1, path.size - source->bucket.size - 1);
    if (!object_valid_key(source->key)) {
        return fail_source(call, header, "Invalid copy source object key");
    }
    if (source->version_id.data != NULL &&
        !version_well_formed(source->version_id)) {
        call_fail_argument(call, "versionId", source->version_id,
                           "Invalid version id specified");
        return false;
    }
    return true;
}

bool object_copies_tags(const struct s3_call *call)
{
    return call->request->operation == WIRE__OPERATION__COPY_OBJECT &&
           !slice_equal_string(
               call_request_header(call, "x-amz-tagging-directive"), "REPLACE");
}

static bool load_source_bucket(struct s3_call *call,
                               const struct copy_source *source,
                               Meta__Bucket **bucket)
{
    int error = meta_get_bucket(call->service->meta, call->arena,
                                source->bucket, bucket);

    if (error == -ENOENT) {
        call_fail_no_bucket(call, source->bucket);
        return false;
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading a bucket");
        return false;
    }
    return call_check_owner(call, *bucket,
                            "x-amz-source-expected-bucket-owner");
}

/* The copy's tags, as if the request said them. */
static bool authorize_tags(struct s3_call *call, const Meta__Object *source)
{
    Meta__Object copy = META__OBJECT__INIT;
    bool allowed;

    copy.n_tags = source->n_tags;
    copy.tags = source->tags;
    call->asked.object = &copy;
    allowed =
        call_authorize_object(call, "s3:PutObjectTagging", call->key, NULL);
    call->asked.object = NULL;
    return allowed;
}

/* Of the version that was found, a delete marker too. */
static bool authorize(struct s3_call *call, const Meta__Bucket *bucket,
                      const struct copy_source *source,
                      const Meta__Object *object)
{
    struct s3_question question = {
        .action = source->version_id.data != NULL ? "s3:GetObjectVersion"
                                                  : "s3:GetObject",
        .bucket = bucket,
        .bucket_name = source->bucket,
        .key = source->key,
        .version_id = source->version_id,
        .object = object,
    };
    const bool tags = object->n_tags > 0 && object_copies_tags(call);
    bool allowed = call_ask(call, &question);

    if (allowed && tags) {
        question.action = source->version_id.data != NULL
                              ? "s3:GetObjectVersionTagging"
                              : "s3:GetObjectTagging";
        allowed = call_ask(call, &question);
    }
    if (!allowed) {
        call_fail(call, S3_ERR_AccessDenied);
        return false;
    }
    return !tags || authorize_tags(call, object);
}

static bool check_conditions(struct s3_call *call, const Meta__Object *object)
{
    struct conditions conditions = {
        .match = call_request_header(call, "x-amz-copy-source-if-match"),
        .none_match =
            call_request_header(call, "x-amz-copy-source-if-none-match"),
        .modified_since =
            call_request_header(call, "x-amz-copy-source-if-modified-since"),
        .unmodified_since =
            call_request_header(call, "x-amz-copy-source-if-unmodified-since"),
    };
    const char *which = "";

    if (conditions_evaluate(&conditions, pb_slice(object->etag),
                            object->mtime_ms, &which) == CONDITION_PASS) {
        return true;
    }
    call_fail_condition(
        call, arena_printf(call->arena, "x-amz-copy-source-%s", which));
    return false;
}

void object_copy_source_header(struct s3_call *call, const Meta__Bucket *bucket,
                               const Meta__Object *object)
{
    struct slice shown = version_shown(bucket, object);

    if (shown.data != NULL) {
        call_header_slice(call, "x-amz-copy-source-version-id", shown);
    }
}

/* S3 logs a copy twice: as a read of the source and as a write. */
static void log_read(struct s3_call *call, const Meta__Bucket *bucket,
                     const struct copy_source *source)
{
    bool part = call->operation->operation == WIRE__OPERATION__UPLOAD_PART_COPY;

    access_log_also(call, &(struct s3_log_entry){
                              .operation = part ? "REST.COPY.PART_GET"
                                                : "REST.COPY.OBJECT_GET",
                              .bucket = bucket,
                              .key = source->key,
                              .version_id = source->version_id,
                          });
}

bool object_copy_source(struct s3_call *call, Meta__Bucket **bucket,
                        struct slice *key, Meta__Object **object)
{
    struct copy_source source;
    int error;

    if (!object_parse_copy_source(call, &source) ||
        !load_source_bucket(call, &source, bucket)) {
        return false;
    }
    *key = source.key;
    log_read(call, *bucket, &source);
    error =
        object_find(call, (*bucket)->id, source.key, source.version_id, object);
    if (error == -ENOENT || (error == 0 && (*object)->delete_marker &&
                             source.version_id.data == NULL)) {
        object_fail_absent(call, *bucket, source.key, source.version_id);
        return false;
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading an object's record");
        return false;
    }
    if (!authorize(call, *bucket, &source, *object)) {
        return false;
    }
    if ((*object)->delete_marker) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The source of a copy request may not specifically "
                          "refer to a delete marker by version id.");
        return false;
    }
    return check_conditions(call, *object);
}
