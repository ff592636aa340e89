/*
 * Uploads in progress: uploads.list, uploads.abort. Each answers of one step;
 * if there is more, `next` is what the next one is asked to go on `from`.
 */
#include "server/admin.h"
#include <errno.h>
#include <inttypes.h>

struct view {
    struct admin_call *call;
    json_t *list; /* NULL: they are counted */
    bool abort;
    uint64_t uploads, parts, bytes;
};

static json_t *text_of(struct slice text)
{
    return json_stringn_nocheck(text.size > 0 ? (const char *)text.data : "",
                                text.size);
}

static struct slice slice_in(const ProtobufCBinaryData *bytes)
{
    return slice_of(bytes->data, bytes->len);
}

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* --- what is asked for -----------------------------------------------------*/
static struct slice text_in(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return slice_of(json_is_string(value) ? json_string_value(value) : "",
                    json_string_length(value));
}

static int take_age(struct admin_call *call, struct s3_uploads_walk *walk)
{
    const json_t *age = json_object_get(call->arguments, "older_than_s");
    const json_int_t seconds = json_integer_value(age);
    const uint64_t now_ms = clock_wall_ms();
    walk->begun_by_ms = UINT64_MAX;
    if (age == NULL) {
        return 0;
    }
    if (!json_is_integer(age) || seconds < 0) {
        return admin_refuse(call, -EINVAL, "older_than_s: not an age");
    }
    walk->begun_by_ms = (uint64_t)seconds < now_ms / 1000
                            ? now_ms - (uint64_t)seconds * 1000
                            : 0;
    return 0;
}

static int take_bucket(struct admin_call *call, struct s3_uploads_walk *walk)
{
    Meta__Bucket *bucket;
    walk->bucket = text_in(call->arguments, "bucket");
    if (json_object_get(call->arguments, "bucket") == NULL) {
        return 0;
    }
    const int error = meta_get_bucket(call->server->cluster.meta, walk->arena,
                                      walk->bucket, &bucket);
    return error == -ENOENT ? admin_refuse(call, error, "no such bucket")
                            : error;
}

static int take_walk(struct admin_call *call, struct s3_uploads_walk *walk)
{
    const json_t *from = json_object_get(call->arguments, "from");
    walk->bucket_next = text_in(from, "bucket");
    walk->key_next = text_in(from, "key");
    walk->id_next = text_in(from, "upload_id");
    const int error = take_age(call, walk);
    return error != 0 ? error : take_bucket(call, walk);
}

/* --- each of them ----------------------------------------------------------*/
static json_t *upload_json(struct admin_call *call,
                           const struct s3_upload *upload,
                           const struct s3_upload_parts *parts)
{
    const Meta__Bucket *bucket = upload->bucket;
    const Meta__Upload *record = upload->record;
    const struct slice initiator = slice_in(&record->owner);
    char account[65], name[65];
    iam_display_name(call->iam, slice_in(&bucket->owner), account);
    iam_display_name(call->iam, initiator, name);
    json_t *object = json_pack(
        "{s:o,s:s,s:o,s:o,s:s,s:o,s:o,s:o}", "bucket",
        text_of(slice_in(&bucket->name)), "account", account, "key",
        text_of(upload->key), "upload_id", text_of(slice_in(&record->id)),
        "initiator", name, "initiator_id", text_of(initiator), "parts",
        integer(parts->count), "bytes", integer(parts->bytes));
    invariant(object != NULL);
    admin_add_time(object, "initiated_ms", record->initiated_ms);
    return object;
}

/* What another has ended meanwhile is not ours. */
static int see(void *context, const struct s3_upload *upload)
{
    struct view *view = context;
    struct s3_service *service = &view->call->server->service;
    struct s3_upload_parts parts;
    const int error = view->abort ? s3_upload_abort(service, upload, &parts)
                                  : s3_upload_measure(service, upload, &parts);
    if (error != 0) {
        return error == -ENOENT ? 0 : error;
    }
    view->uploads++;
    view->parts += parts.count;
    view->bytes += parts.bytes;
    if (view->list != NULL) {
        json_array_append_new(view->list,
                              upload_json(view->call, upload, &parts));
    }
    return 0;
}

/* --- a step ----------------------------------------------------------------*/
static json_t *answer_of(const struct view *view,
                         const struct s3_uploads_walk *walk)
{
    json_t *answer =
        view->list != NULL
            ? json_pack("{s:O,s:b}", "uploads", view->list, "truncated",
                        (int)walk->more)
            : json_pack("{s:b,s:o,s:o,s:o}", "dry_run", (int)!view->abort,
                        "uploads", integer(view->uploads), "parts",
                        integer(view->parts), "bytes", integer(view->bytes));
    invariant(answer != NULL);
    json_object_set_new(answer, "damaged", integer(walk->damaged));
    if (walk->more) {
        json_object_set_new(answer, "next",
                            json_pack("{s:o,s:o,s:o}", "bucket",
                                      text_of(walk->bucket_next), "key",
                                      text_of(walk->key_next), "upload_id",
                                      text_of(walk->id_next)));
    }
    return answer;
}

/* Whatever ends it: what was aborted until then is so. */
static void log_aborted(const struct view *view)
{
    if (view->abort && view->uploads > 0) {
        log_info("uploads: %" PRIu64 " aborted, of %" PRIu64 " bytes",
                 view->uploads, view->bytes);
    }
}

static int step(struct admin_call *call, struct view *view)
{
    struct s3_uploads_walk walk = {.arena = arena_new()};
    int error = take_walk(call, &walk);
    if (error == 0) {
        computing_long();
        error = s3_walk_uploads(&call->server->service, &walk, see, view);
        log_aborted(view);
    }
    if (error == 0) {
        error = admin_reply(call, answer_of(view, &walk));
    }
    arena_free(walk.arena);
    return error;
}

static int list(struct admin_call *call)
{
    struct view view = {.call = call, .list = json_array()};
    const int error = step(call, &view);
    json_decref(view.list);
    return error;
}

static int abort_old(struct admin_call *call)
{
    struct view view = {
        .call = call,
        .abort = !json_is_true(json_object_get(call->arguments, "dry_run"))};
    return json_object_get(call->arguments, "older_than_s") != NULL
               ? step(call, &view)
               : admin_refuse(call, -EINVAL, "older_than_s is missing");
}

const struct admin_command admin_upload_commands[] = {
    {.name = "uploads.list", .run = list},
    {.name = "uploads.abort", .run = abort_old},
    {.name = NULL},
};
