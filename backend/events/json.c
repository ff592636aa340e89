/*
 * Events as S3 writes them.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 *
 * What S3 leaves out is left out: events of tags and lists of access say
 * neither the size nor the sequence, events of removals neither the size nor
 * the entity tag, but for a delete marker that of nothing.
 */
#include "events/events.h"

#include <string.h>

#define MD5_OF_NOTHING "d41d8cd98f00b204e9800998ecf8427e"

#define MESSAGE_USUAL 1024 /* bytes */

static struct slice text_of(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

/* What is not ASCII is passed on. */
static const bool escaped[256] = {
    [0 ... 0x1f] = true,
    ['"'] = true,
    ['\\'] = true,
};

static void put_escaped(struct buffer *out, struct slice text)
{
    size_t plain = 0; /* from here on nothing has to be escaped */

    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = text.data[i];

        if (!escaped[byte]) {
            continue;
        }
        buffer_append(out, text.data + plain, i - plain);
        buffer_printf(out, byte < 0x20 ? "\\u%04x" : "\\%c", byte);
        plain = i + 1;
    }
    buffer_append(out, text.data + plain, text.size - plain);
}

/* What comes before the text of a field. */
#define NAME(name) SLICE_LITERAL("\"" name "\":\"")
#define NEXT(name) SLICE_LITERAL(",\"" name "\":\"")

/* A field of text, which ends with the quotation mark. */
static void put_text(struct buffer *out, struct slice name, struct slice text)
{
    buffer_append(out, name.data, name.size);
    put_escaped(out, text);
    buffer_append(out, "\"", 1);
}

static void put_time(struct buffer *out, struct slice name, uint64_t ms)
{
    char time[32];

    time_iso8601(time, ms);
    put_text(out, name, slice_from_string(time));
}

/* 16 digits: printf would take longer than all the rest. */
static void put_sequencer(struct buffer *out, uint64_t sequence)
{
    static const char digits[] = "0123456789ABCDEF";
    char text[16];

    for (size_t i = sizeof(text); i > 0; i--) {
        text[i - 1] = digits[sequence & 15];
        sequence >>= 4;
    }
    put_text(out, NEXT("sequencer"), slice_of(text, sizeof(text)));
}

void events_json_key(struct buffer *out, struct slice key)
{
    while (key.size > 0) {
        const uint8_t *blank = memchr(key.data, ' ', key.size);
        const size_t size =
            blank != NULL ? (size_t)(blank - key.data) : key.size;

        uri_encode(out, slice_of(key.data, size), true);
        if (blank != NULL) {
            buffer_append(out, "+", 1);
        }
        key = slice_of(key.data + size + (blank != NULL),
                       key.size - size - (blank != NULL));
    }
}

/* The structure that the event's kind has had since it came to be. */
static const char *version_of(Meta__EventType type)
{
    static const struct {
        Meta__EventType pattern;
        const char *version;
    } versions[] = {
        {META__EVENT_TYPE__REPLICATION_ANY, "2.2"},
        {META__EVENT_TYPE__LIFECYCLE_EXPIRATION_ANY, "2.3"},
        {META__EVENT_TYPE__LIFECYCLE_TRANSITION, "2.3"},
        {META__EVENT_TYPE__INTELLIGENT_TIERING, "2.3"},
        {META__EVENT_TYPE__OBJECT_TAGGING_ANY, "2.3"},
        {META__EVENT_TYPE__OBJECT_ACL_PUT, "2.3"},
        {META__EVENT_TYPE__OBJECT_RESTORE_DELETE, "2.3"},
    };

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (events_type_matches(versions[i].pattern, type)) {
            return versions[i].version;
        }
    }
    return "2.1";
}

static bool is_removal(Meta__EventType type)
{
    return events_type_matches(META__EVENT_TYPE__OBJECT_REMOVED_ANY, type) ||
           events_type_matches(META__EVENT_TYPE__LIFECYCLE_EXPIRATION_ANY,
                               type);
}

static bool is_marker(Meta__EventType type)
{
    return type == META__EVENT_TYPE__OBJECT_REMOVED_DELETE_MARKER_CREATED ||
           type == META__EVENT_TYPE__LIFECYCLE_EXPIRATION_DELETE_MARKER_CREATED;
}

/* Of the object's settings, not of its bytes. */
static bool is_setting(Meta__EventType type)
{
    return events_type_matches(META__EVENT_TYPE__OBJECT_TAGGING_ANY, type) ||
           type == META__EVENT_TYPE__OBJECT_ACL_PUT;
}

static void put_object(struct buffer *out, const Meta__Event *event)
{
    struct slice etag = text_of(event->etag);

    if (is_removal(event->type)) {
        etag = is_marker(event->type) ? SLICE_LITERAL(MD5_OF_NOTHING)
                                      : SLICE_LITERAL("");
    }
    buffer_append_literal(out, "\"object\":{\"key\":\"");
    events_json_key(out, text_of(event->key));
    buffer_append_literal(out, "\"");
    if (!is_removal(event->type) && !is_setting(event->type)) {
        buffer_append_literal(out, ",\"size\":");
        buffer_append_number(out, event->size);
    }
    if (etag.size > 0) {
        put_text(out, NEXT("eTag"), etag);
    }
    if (event->version_id.len > 0) {
        put_text(out, NEXT("versionId"), text_of(event->version_id));
    }
    if (!is_setting(event->type)) {
        put_sequencer(out, event->sequence);
    }
    buffer_append_literal(out, "}");
}

static void put_s3(struct buffer *out, const Meta__Event *event)
{
    buffer_append_literal(out, "\"s3\":{\"s3SchemaVersion\":\"1.0\"");
    put_text(out, NEXT("configurationId"), text_of(event->configuration));
    buffer_append_literal(out, ",\"bucket\":{");
    put_text(out, NAME("name"), text_of(event->bucket));
    buffer_append_literal(out, ",\"ownerIdentity\":{");
    put_text(out, NAME("principalId"), text_of(event->bucket_owner));
    buffer_append_literal(out, "},\"arn\":\"arn:aws:s3:::");
    buffer_append(out, event->bucket.data, event->bucket.len);
    buffer_append_literal(out, "\"},");
    put_object(out, event);
    buffer_append_literal(out, "}");
}

/* Without "s3:", as S3 has it; that of our own with "s3d:". */
static struct slice name_of(Meta__EventType type)
{
    const char *name = events_type_name(type);
    const struct slice head = SLICE_LITERAL("s3:");
    struct slice text =
        slice_from_string(name != NULL ? name : "Unknown"); /* of a newer s3d */

    return slice_has_prefix(text, head)
               ? slice_of(text.data + head.size, text.size - head.size)
               : text;
}

void events_json_record(struct buffer *out, const Meta__Event *event)
{
    const struct slice id = text_of(event->request_id);

    buffer_append_literal(out, "{");
    put_text(out, NAME("eventVersion"),
             slice_from_string(version_of(event->type)));
    put_text(out, NEXT("eventSource"), SLICE_LITERAL("aws:s3"));
    put_text(out, NEXT("awsRegion"), text_of(event->region));
    put_time(out, NEXT("eventTime"), event->time_ms);
    put_text(out, NEXT("eventName"), name_of(event->type));
    buffer_append_literal(out, ",\"userIdentity\":{");
    put_text(out, NAME("principalId"), text_of(event->requester));
    buffer_append_literal(out, "},\"requestParameters\":{");
    put_text(out, NAME("sourceIPAddress"), text_of(event->source_ip));
    buffer_append_literal(out, "},\"responseElements\":{");
    put_text(out, NAME("x-amz-request-id"), id);
    put_text(out, NEXT("x-amz-id-2"), id);
    buffer_append_literal(out, "},");
    put_s3(out, event);
    buffer_append_literal(out, "}");
}

static void put_test(struct buffer *out, const Meta__Event *event)
{
    const struct slice id = text_of(event->request_id);

    buffer_append_literal(
        out, "{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\"");
    put_time(out, NEXT("Time"), event->time_ms);
    put_text(out, NEXT("Bucket"), text_of(event->bucket));
    put_text(out, NEXT("RequestId"), id);
    put_text(out, NEXT("HostId"), id);
    buffer_append_literal(out, "}");
}

void events_json_message(struct buffer *out, const Meta__Event *event)
{
    if (event->type == META__EVENT_TYPE__TEST_EVENT) {
        put_test(out, event);
        return;
    }
    buffer_reserve(out, out->size + MESSAGE_USUAL);
    buffer_append_literal(out, "{\"Records\":[");
    events_json_record(out, event);
    buffer_append_literal(out, "]}");
}
