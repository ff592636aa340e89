/*
 * ListenNotification, as MinIO's clients ask for it: GET /bucket?events=s3:...
 * &prefix=&suffix=. A line of JSON for each event, until the client goes; a
 * blank now and then, so that it sees that the connection is good.
 * https://min.io/docs/minio/linux/developers/python/API.html
 */
#include "s3/listen.h"

#include "events/feed.h"
#include "s3/operations.h"

#define LINES_MAX (64u << 10) /* bytes of a piece */

static uint64_t now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

/* MinIO's clients ask for them where nothing else is said: they are never
 * told, as with S3. */
static bool is_access(struct slice name)
{
    return slice_has_prefix(name, SLICE_LITERAL("s3:ObjectAccessed:"));
}

static bool read_types(struct s3_call *call, struct feed_filter *filter)
{
    for (size_t i = 0; i < call->request->n_args; i++) {
        const Wire__Field *arg = call->request->args[i];
        const struct slice value = pb_slice(arg->value);
        if (!slice_equal_string(pb_slice(arg->name), "events")) {
            continue;
        }
        const Meta__EventType type = events_type_parse(value);
        if (filter->type_count == FEED_TYPES_MAX ||
            (type == META__EVENT_TYPE__NO_EVENT && !is_access(value))) {
            call_fail_argument(
                call, "events", value,
                "A specified event is not supported for notifications.");
            return false;
        }
        filter->types[filter->type_count++] = type;
    }
    return true;
}

static struct slice account_of(const struct s3_call *call)
{
    return call_is_anonymous(call) ? SLICE_LITERAL("anonymous")
                                   : slice_from_string(call->identity.user);
}

void s3_listen_run(struct s3_call *call)
{
    struct feed_filter filter = {.bucket_id = call->bucket->id,
                                 .prefix = call_arg(call, "prefix"),
                                 .suffix = call_arg(call, "suffix"),
                                 .account = account_of(call)};
    struct feed_listener *listener;

    if (call->service->events == NULL) {
        call_fail(call, S3_ERR_NotImplemented);
        return;
    }
    if (!read_types(call, &filter)) {
        return;
    }
    listener = feed_listen(events_feed(call->service->events), &filter);
    if (listener == NULL) {
        call_fail(call, S3_ERR_SlowDown);
        return;
    }
    call->listen = arena_zalloc(call->arena, sizeof(*call->listen));
    call->listen->listener = listener;
    call->listen->sent_ms = call->listen->asked_ms = now_ms();
    call_reply_empty(call, 200);
    call->reply.body = WIRE__REPLY__BODY__DATA;
    call->reply.has_content_length = false;
    call_header(call, "content-type", "text/event-stream");
    call_header(call, "cache-control", "no-cache");
}

/* Busy streams too: by a clock of its own. */
static bool still_may(struct s3_call *call)
{
    struct s3_listen *listen = call->listen;

    if (now_ms() - listen->asked_ms < S3_LISTEN_ALIVE_MS) {
        return true;
    }
    listen->asked_ms = now_ms();
    return call_still_may(call);
}

void listen_next(struct s3_call *call, struct s3_piece *piece)
{
    struct s3_listen *listen = call->listen;

    listen->lines.size = 0;
    if (!still_may(call)) {
        piece->kind = S3_PIECE_END;
        return;
    }
    switch (feed_take(listen->listener, LINES_MAX, &listen->lines)) {
    case FEED_ENDED:
        piece->kind = S3_PIECE_END;
        return;
    case FEED_NOTHING:
        if (now_ms() - listen->sent_ms < S3_LISTEN_ALIVE_MS) {
            piece->kind = S3_PIECE_WAIT;
            return;
        }
        buffer_append_string(&listen->lines, " ");
        break;
    case FEED_TAKEN:
        break;
    }
    listen->sent_ms = now_ms();
    piece->kind = S3_PIECE_DATA;
    piece->data = slice_of(listen->lines.data, listen->lines.size);
}

void listen_free(struct s3_call *call)
{
    if (call->listen != NULL) {
        feed_leave(call->listen->listener);
        buffer_free(&call->listen->lines);
    }
}
