/*
 * GET_FILE: an object as nginx serves a file. The worker names candidates (the
 * key, its precompressed forms, the index of a directory, fallbacks); the
 * first that is there is the answer.
 */
#include "s3/file.h"
#include "s3/hot_answer.h"
#include "s3/object.h"
#include "s3/operations.h"

#include <errno.h>
#include <inttypes.h>

/* --- what is told of an object ---------------------------------------------*/
/* What clients send that know no better says less than the name does. */
static struct slice content_type(const struct s3_call *call,
                                 const Wire__FileCandidate *candidate,
                                 const Meta__Object *object)
{
    const Wire__FileRequest *file = call->request->file;
    struct slice stored = object_stored_header(object, "content-type");
    bool unsaid =
        stored.size == 0 || slice_equal_string(stored, "binary/octet-stream");

    if (file->content_type.len > 0) {
        return pb_slice(file->content_type);
    }
    if (candidate->type.len > 0 &&
        (candidate->encoding.len > 0 || unsaid ||
         slice_equal_string(stored, "application/octet-stream"))) {
        return pb_slice(candidate->type);
    }
    return unsaid ? pb_slice(file->default_type) : stored;
}

/* Caches before and behind this one read these. */
static void cache_headers(struct s3_call *call, const Meta__Object *object)
{
    static const struct {
        const char *metadata, *header;
    } surrogates[] = {
        {"surrogate-control", "Surrogate-Control"},
        {"surrogate-key", "Surrogate-Key"},
        {"cache-tag", "Cache-Tag"},
        {"cdn-cache-control", "CDN-Cache-Control"},
    };

    call_header(call, "ETag", "\"%.*s\"", (int)object->etag.len,
                (const char *)object->etag.data);
    object_last_modified(call, object);
    object_cache_headers(call, object);
    for (size_t i = 0; i < object->n_metadata; i++) {
        const Meta__Field *field = object->metadata[i];

        for (size_t j = 0; j < sizeof(surrogates) / sizeof(*surrogates); j++) {
            if (slice_equal_string(pb_slice(field->name),
                                   surrogates[j].metadata)) {
                call_header_slice(call, surrogates[j].header,
                                  pb_slice(field->value));
            }
        }
    }
}

static void content_headers(struct s3_call *call,
                            const Wire__FileCandidate *candidate,
                            const Meta__Object *object, struct slice type)
{
    static const char *const names[] = {"content-disposition",
                                        "content-language", "content-encoding"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct slice name = slice_from_string(names[i]);
        struct slice value = object_stored_header(object, names[i]);

        if (candidate->encoding.len > 0 &&
            slice_equal_string(name, "content-encoding")) {
            value = pb_slice(candidate->encoding);
        }
        if (value.size > 0) {
            call_header_slice(call, object_header_spelling(name), value);
        }
    }
    if (type.size > 0) {
        call_header_slice(call, "Content-Type", type);
    }
}

/* Which object answers, and for what. */
struct chosen {
    const Wire__FileCandidate *candidate;
    const Meta__Object *object;
};

/* hot_answer_describe */
static void describe(struct s3_call *call, const void *argument)
{
    const struct chosen *chosen = argument;

    cache_headers(call, chosen->object);
    content_headers(call, chosen->candidate, chosen->object,
                    content_type(call, chosen->candidate, chosen->object));
    if (call->request->file->max_ranges > 0) {
        call_header(call, "Accept-Ranges", "bytes");
    }
}

/* --- answers ---------------------------------------------------------------*/
static bool check_conditions(struct s3_call *call, const Meta__Object *object)
{
    struct conditions conditions = {
        .match = call_request_header(call, "if-match"),
        .none_match = call_request_header(call, "if-none-match"),
        .modified_since = call_request_header(call, "if-modified-since"),
        .unmodified_since = call_request_header(call, "if-unmodified-since"),
        .weak = true,
        .exact = call->request->file->exact_date,
    };
    const char *which = "";

    switch (conditions_evaluate(&conditions, pb_slice(object->etag),
                                object->mtime_ms, &which)) {
    case CONDITION_FAILED:
        call_fail(call, S3_ERR_PreconditionFailed);
        return false;
    case CONDITION_NOT_MODIFIED:
        cache_headers(call, object);
        call_fail(call, S3_ERR_NotModified);
        return false;
    default:
        return true;
    }
}

/* False: the call has failed. All bytes are one range that is not partial. */
static bool select_ranges(struct s3_call *call, const Meta__Object *object,
                          struct byte_ranges *ranges, bool *partial)
{
    enum range_result result = RANGE_IGNORED;

    if (object_range_wanted(call, object)) {
        result =
            byte_ranges_parse(call_request_header(call, "range"), object->size,
                              call->request->file->max_ranges, ranges);
    }
    *partial = result == RANGE_OK;
    if (result == RANGE_UNSATISFIABLE) {
        call_header(call, "Content-Range", "bytes */%" PRIu64, object->size);
        call_fail(call, S3_ERR_InvalidRange);
        return false;
    }
    if (!*partial) {
        ranges->count = 1;
        ranges->ranges[0] = (struct byte_range){0, object->size};
    }
    return true;
}

static void reply(struct s3_call *call, const struct chosen *chosen,
                  const struct byte_ranges *ranges, bool partial)
{
    const struct byte_range *first = &ranges->ranges[0];
    const Meta__Object *object = chosen->object;
    struct slice type = content_type(call, chosen->candidate, object);
    uint64_t length = first->size;

    if (!partial) {
        describe(call, chosen);
    } else {
        cache_headers(call, object);
        if (ranges->count > 1) {
            length = multirange_begin(call, ranges, object->size, type);
            type = multirange_type(call);
        }
        content_headers(call, chosen->candidate, object, type);
        if (ranges->count == 1) {
            call_header(call, "Content-Range",
                        "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first->offset,
                        first->offset + first->size - 1, object->size);
        }
    }
    call_reply_empty(call, partial ? 206 : 200);
    call->reply.content_length = length;
    if (call->source != NULL) {
        call->reply.body = call->request->segments ? WIRE__REPLY__BODY__SEGMENTS
                                                   : WIRE__REPLY__BODY__DATA;
    }
}

/* 0: the call is done; -ENOENT: the object has just been replaced. */
static int serve(struct s3_call *call, const Wire__FileCandidate *candidate,
                 const Meta__Object *object)
{
    const bool with_body =
        !slice_equal_string(pb_slice(call->request->method), "HEAD");
    const struct chosen chosen = {candidate, object};
    struct byte_ranges ranges;
    bool partial;
    int error = 0;

    if (object->encryption != NULL &&
        object->encryption->mode == META__ENCRYPTION_MODE__SSE_C) {
        call_fail(call, S3_ERR_AccessDenied); /* its customer has the key */
        return 0;
    }
    if (!check_conditions(call, object)) {
        if (call->reply.status == 304) {
            hot_answer_publish_head(call, object, describe, &chosen);
        }
        return 0;
    }
    if (!select_ranges(call, object, &ranges, &partial)) {
        return 0;
    }
    if (with_body) {
        error = object_open_body(call, object, ranges.ranges[0].offset,
                                 ranges.ranges[0].size);
    }
    if (error == 0) {
        reply(call, &chosen, &ranges, partial);
        hot_answer_publish(call, object, with_body);
    }
    return error == -ECANCELED ? 0 : error;
}

/* --- candidates ------------------------------------------------------------*/
static void try_object(struct s3_call *call,
                       const Wire__FileCandidate *candidate)
{
    int error = -ENOENT;

    if (!object_valid_key(call->key)) {
        return;
    }
    for (unsigned i = 0; i < OBJECT_TRIES && error == -ENOENT; i++) {
        Meta__Object *object;

        hot_answer_look(call, call->key);
        error = object_find(call, call->bucket->id, call->key,
                            slice_of(NULL, 0), &object);
        if (error == -ENOENT || (error == 0 && object->delete_marker)) {
            return;
        }
        if (error == 0) {
            error = serve(call, candidate, object);
        }
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading an object");
    }
}

static void try_directory(struct s3_call *call)
{
    int there = file_directory_is_there(call, call->key);

    hot_answer_forget(call); /* what begins with a prefix has no guard */
    if (there < 0) {
        call_fail_errno(call, there, "looking for a directory");
    } else if (there > 0) {
        call_reply_empty(call, 301);
    }
}

void s3_get_file_run(struct s3_call *call)
{
    const Wire__FileRequest *file = call->request->file;

    for (size_t i = 0; file != NULL && i < file->n_candidates; i++) {
        const Wire__FileCandidate *candidate = file->candidates[i];

        call->key = pb_slice(candidate->key);
        if (candidate->kind == WIRE__FILE_CANDIDATE__KIND__OBJECT) {
            try_object(call, candidate);
        } else if (candidate->kind == WIRE__FILE_CANDIDATE__KIND__DIRECTORY) {
            try_directory(call);
        } else {
            hot_answer_forget(call);
            file_listing(call, candidate);
        }
        if (call->done) {
            return;
        }
    }
    call_fail(call, S3_ERR_NoSuchKey);
}
