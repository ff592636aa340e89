/*
 * Messages of S3's.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 */
#include "purge/event.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What is not asked for here leaves the bytes, and who gets them, as they
 * were: tags of objects, lost and rebuilt shards. */
static bool purges(const char *name)
{
    static const char *const kinds[] = {"ObjectCreated:", "ObjectRemoved:",
                                        "LifecycleExpiration:", "ObjectAcl:"};

    if (strncmp(name, "s3:", 3) == 0) {
        name += 3;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* 2026-01-02T03:04:05.678Z; 0: it is another form. */
static uint64_t parse_time(const char *text)
{
    struct tm tm = {0};
    unsigned ms = 0;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (rest == NULL) {
        return 0;
    }
    if (sscanf(rest, ".%3uZ", &ms) != 1) {
        ms = 0;
    }
    const time_t seconds = timegm(&tm);
    return seconds > 0 ? (uint64_t)seconds * 1000 + ms : 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

/* As S3 has it: percent-encoded, '+' for a blank. */
static int decode_key(struct arena *arena, const char *text, struct slice *key)
{
    char *encoded = arena_string(arena, slice_from_string(text));

    for (char *at = strchr(encoded, '+'); at != NULL; at = strchr(at, '+')) {
        *at = ' ';
    }
    return uri_decode(arena, slice_from_string(encoded), key);
}

static int parse_record(struct arena *arena, const json_t *record,
                        struct slice tags, struct purge_event *event)
{
    const json_t *s3 = json_object_get(record, "s3");
    const struct slice bucket =
        slice_from_string(text_of(json_object_get(s3, "bucket"), "name"));
    const char *key = text_of(json_object_get(s3, "object"), "key");

    *event = (struct purge_event){
        .bucket = arena_copy(arena, bucket.data, bucket.size),
        .tags = tags,
        .time_ms = parse_time(text_of(record, "eventTime")),
        .purges = purges(text_of(record, "eventName")),
    };
    if (decode_key(arena, key, &event->key) != 0 || event->key.size == 0 ||
        event->key.size > EVENT_KEY_MAX || bucket.size == 0 ||
        bucket.size > EVENT_BUCKET_MAX) {
        return -EINVAL;
    }
    return 0;
}

static int parse_records(struct arena *arena, const json_t *records,
                         struct slice tags, struct purge_event **events,
                         size_t *count)
{
    const size_t size = json_array_size(records);
    int error = 0;

    *events = arena_zalloc(arena, (size + 1) * sizeof(**events));
    for (size_t i = 0; i < size && error == 0; i++) {
        error = parse_record(arena, json_array_get(records, i), tags,
                             &(*events)[i]);
    }
    *count = error == 0 ? size : 0;
    return error;
}

int event_parse(struct arena *arena, struct slice message, struct slice tags,
                struct purge_event **events, size_t *count)
{
    json_t *json = json_loadb((const char *)message.data, message.size,
                              JSON_REJECT_DUPLICATES, NULL);
    const json_t *records = json_object_get(json, "Records");
    int error = -EINVAL;

    *events = NULL;
    *count = 0;
    if (json_is_array(records) && tags.size <= EVENT_TAGS_MAX) {
        error = parse_records(arena, records,
                              arena_copy(arena, tags.data, tags.size), events,
                              count);
    } else if (strcmp(text_of(json, "Event"), "s3:TestEvent") == 0) {
        error = 0;
    }
    json_decref(json);
    return error;
}

static bool is_between(uint8_t byte)
{
    return byte <= ' ' || byte == ',' || byte >= 0x7f;
}

struct slice event_next_tag(struct slice *rest)
{
    const uint8_t *at = rest->data, *end = rest->data + rest->size;

    while (at < end && is_between(*at)) {
        at++;
    }
    const uint8_t *tag = at;
    while (at < end && !is_between(*at)) {
        at++;
    }
    *rest = slice_of(at, (size_t)(end - at));
    return slice_of(tag, (size_t)(at - tag));
}
