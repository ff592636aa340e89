/*
 * RenameObject: a key's object moves to another key of its bucket.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
 *
 * S3 has it for directory buckets, which have no versions; so here it is for
 * buckets that never had any. One commit moves record and reference: at no
 * time is the object under both keys or under none. It keeps all it has, its
 * time of modification too.
 */
#include "s3/authorize.h"
#include "s3/notify.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/worm.h"

#include <errno.h>
#include <string.h>

#define SOURCE    "x-amz-rename-source"
#define TOKEN     "x-amz-client-token"
#define TOKEN_MAX 64

struct rename {
    struct slice key;                   /* the source's */
    struct slice token;                 /* data == NULL: none */
    Meta__Object *source, *destination; /* NULL: there is none */
};

/* --- the request -----------------------------------------------------------*/
static bool fail_source(struct s3_call *call, struct slice header,
                        const char *message)
{
    call_fail_argument(call, SOURCE, header, message);
    return false;
}

/* "/bucket/key", where the bucket is the request's own, or the key alone. */
static bool take_source(struct s3_call *call, struct rename *rename)
{
    struct slice header = call_request_header(call, SOURCE), path;
    struct slice bucket;
    const uint8_t *slash;

    if (header.size == 0) {
        return fail_source(call, header,
                           "You must specify a rename source in the " SOURCE
                           " header");
    }
    if (uri_decode(call->arena, header, &path) != 0) {
        return fail_source(call, header, "Invalid rename source encoding");
    }
    if (path.size > 0 && path.data[0] == '/') {
        path = slice_of(path.data + 1, path.size - 1);
        slash = memchr(path.data, '/', path.size);
        bucket = slice_of(path.data,
                          slash != NULL ? (size_t)(slash - path.data) : 0);
        if (!slice_equal(bucket, call->bucket_name)) {
            return fail_source(call, header,
                               "The rename source must be in the bucket of "
                               "the destination");
        }
        path = slice_of(slash + 1, path.size - bucket.size - 1);
    }
    if (!object_valid_key(path)) {
        return fail_source(call, header, "Invalid rename source object key");
    }
    rename->key = path;
    return true;
}

static bool take_token(struct s3_call *call, struct rename *rename)
{
    struct slice token = call_request_header(call, TOKEN);
    bool valid = token.size > 0 && token.size <= TOKEN_MAX;

    rename->token = token;
    for (size_t i = 0; i < token.size; i++) {
        valid = valid && token.data[i] >= 33 && token.data[i] <= 126;
    }
    if (token.data != NULL && !valid) {
        call_fail_argument(call, TOKEN, token,
                           "The client token must be 1 to 64 printable ASCII "
                           "characters without blanks");
        return false;
    }
    return true;
}

static bool read_request(struct s3_call *call, struct rename *rename)
{
    if (!take_source(call, rename) || !take_token(call, rename)) {
        return false;
    }
    if (slice_equal(rename->key, call->key)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "This rename request is illegal because it is "
                          "trying to rename an object to itself.");
        return false;
    }
    return true;
}

/* --- conditions ------------------------------------------------------------*/
/* An absent destination matches nothing and was never modified. */
static bool check_destination(struct s3_call *call,
                              const Meta__Object *destination)
{
    struct conditions conditions = {
        .match = call_request_header(call, "if-match"),
        .none_match = call_request_header(call, "if-none-match"),
        .modified_since = call_request_header(call, "if-modified-since"),
        .unmodified_since = call_request_header(call, "if-unmodified-since"),
    };
    const char *which = NULL;

    if (destination != NULL) {
        if (conditions_evaluate(&conditions, pb_slice(destination->etag),
                                destination->mtime_ms,
                                &which) == CONDITION_PASS) {
            return true;
        }
    } else if (conditions.match.data != NULL) {
        which = "If-Match";
    } else if (conditions.modified_since.data != NULL) {
        which = "If-Modified-Since";
    }
    if (which != NULL) {
        call_fail_condition(call, which);
    }
    return which == NULL;
}

static bool check_source(struct s3_call *call, const Meta__Object *source)
{
    struct conditions conditions = {
        .match = call_request_header(call, SOURCE "-if-match"),
        .none_match = call_request_header(call, SOURCE "-if-none-match"),
        .modified_since =
            call_request_header(call, SOURCE "-if-modified-since"),
        .unmodified_since =
            call_request_header(call, SOURCE "-if-unmodified-since"),
    };
    const char *which = "";

    if (conditions_evaluate(&conditions, pb_slice(source->etag),
                            source->mtime_ms, &which) == CONDITION_PASS) {
        return true;
    }
    call_fail_condition(call, arena_printf(call->arena, SOURCE "-%s", which));
    return false;
}

/* Unversioned buckets have no locked objects (W1); who asks, knows (W2). */
static bool check_locks(struct s3_call *call, const struct rename *rename)
{
    uint64_t now_ms = clock_wall_ms();

    if (!worm_protects(rename->source, now_ms, false) &&
        (rename->destination == NULL ||
         !worm_protects(rename->destination, now_ms, false))) {
        return true;
    }
    call_fail_message(call, S3_ERR_AccessDenied, "%s", WORM_PROTECTED_MESSAGE);
    return false;
}

/* --- the move --------------------------------------------------------------*/
static int commit(struct s3_call *call, const struct rename *rename)
{
    const Meta__EventType created = notify_created_type(call);
    struct meta *meta = call->service->meta;
    Meta__Object moved = *rename->source;
    Meta__Renamed renamed = META__RENAMED__INIT;
    struct meta_batch *batch;
    int error = notify_check(call, created, call->key);

    if (error == 0) {
        error = notify_check(call, META__EVENT_TYPE__OBJECT_REMOVED_DELETE,
                             rename->key);
    }
    if (error != 0) {
        return error;
    }
    batch = meta_batch_new(meta);
    moved.sequence = meta_next_id(meta);
    moved.renamed = NULL;
    if (rename->token.data != NULL) {
        renamed.token = pb_bytes(rename->token);
        renamed.source = pb_bytes(rename->key);
        moved.renamed = &renamed;
    }
    object_remove_version(call, batch, rename->key, rename->source);
    if (rename->destination != NULL) {
        object_remove_version(call, batch, call->key, rename->destination);
    }
    meta_add_object(batch, call->bucket->id, call->key, &moved);
    if (moved.blob != 0) {
        struct meta_referrer who =
            object_referrer(call, call->key, moved.sequence);

        meta_add_ref(batch, moved.blob, &who);
    }
    notify_object(call, batch, created, call->key, &moved, rename->destination);
    notify_removed(call, batch, rename->key, SLICE_LITERAL(""), rename->source);
    error = meta_commit(batch);
    meta_batch_free(batch);
    return error;
}

static int find(struct s3_call *call, struct slice key, Meta__Object **object)
{
    int error = meta_get_object(call->service->meta, call->arena,
                                call->bucket->id, key, object);

    if (error == -ENOENT) {
        *object = NULL;
    }
    return error == -ENOENT ? 0 : error;
}

/* The same request came before: its answer is given again. True: the call has
 * ended. */
static bool repeated(struct s3_call *call, const struct rename *rename)
{
    const Meta__Renamed *before =
        rename->destination != NULL ? rename->destination->renamed : NULL;

    if (before == NULL || rename->token.data == NULL ||
        !slice_equal(pb_slice(before->token), rename->token)) {
        return false;
    }
    if (slice_equal(pb_slice(before->source), rename->key)) {
        call_reply_empty(call, 200);
    } else {
        call_fail(call, S3_ERR_IdempotencyParameterMismatch);
    }
    return true;
}

/* Under the locks of both keys. */
static void rename_locked(struct s3_call *call, struct rename *rename)
{
    int error;

    if (call->bucket->versioning != META__BUCKET__VERSIONING__UNVERSIONED) {
        call_fail_message(call, S3_ERR_NotImplemented,
                          "RenameObject is not implemented for buckets with "
                          "versions");
        return;
    }
    error = find(call, rename->key, &rename->source);
    if (error == 0) {
        error = find(call, call->key, &rename->destination);
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading an object's record");
        return;
    }
    if (repeated(call, rename)) {
        return;
    }
    if (rename->source == NULL) {
        object_fail_absent(call, call->bucket, rename->key, slice_of(NULL, 0));
        return;
    }
    if (!call_authorize_object(call, "s3:GetObject", rename->key,
                               rename->source) ||
        !call_authorize_object(call, "s3:DeleteObject", rename->key, NULL) ||
        !check_source(call, rename->source) ||
        !check_destination(call, rename->destination) ||
        !check_locks(call, rename)) {
        return;
    }
    error = commit(call, rename);
    if (error != 0) {
        call_fail_errno(call, error, "renaming an object");
    } else {
        call_reply_empty(call, 200);
    }
}

void s3_rename_object_run(struct s3_call *call)
{
    struct rename rename = {.source = NULL};

    if (read_request(call, &rename) &&
        object_lock_two(call, call->key, rename.key)) {
        rename_locked(call, &rename);
        object_unlock_two(call, call->key, rename.key);
    }
}
