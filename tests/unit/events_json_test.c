/* Events as S3 writes them: golden texts. */
#include "events/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ETAG    "5d41402abc4b2a76b9719d911017c592"
#define NOTHING "d41d8cd98f00b204e9800998ecf8427e"
#define VERSION "fffffffffffffffa0123456789abcdef"

/* What all of them have in common. */
#define RECORD(version, name, object)                                          \
    "{\"eventVersion\":\"" version "\",\"eventSource\":\"aws:s3\","            \
    "\"awsRegion\":\"eu-x-1\",\"eventTime\":\"2026-01-02T03:04:05.678Z\","     \
    "\"eventName\":\"" name "\",\"userIdentity\":{\"principalId\":"            \
    "\"AWS:AIDAEXAMPLE\"},\"requestParameters\":{\"sourceIPAddress\":"         \
    "\"192.0.2.7\"},\"responseElements\":{\"x-amz-request-id\":\"0123ABCD\","  \
    "\"x-amz-id-2\":\"0123ABCD\"},\"s3\":{\"s3SchemaVersion\":\"1.0\","        \
    "\"configurationId\":\"a \\\"rule\\\"\",\"bucket\":{\"name\":\"photos\","  \
    "\"ownerIdentity\":{\"principalId\":\"0f0f\"},\"arn\":\"arn:aws:s3:::"     \
    "photos\"},\"object\":{\"key\":\"a/b+c%2Bd%C3%A9\"," object "}}}"
#define SEQUENCER "\"sequencer\":\"000000000001E240\""

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

static Meta__Event event_of(Meta__EventType type)
{
    Meta__Event event = META__EVENT__INIT;

    event.sequence = 123456;
    event.type = type;
    event.time_ms = 1767323045678;
    event.region = bytes("eu-x-1");
    event.bucket = bytes("photos");
    event.bucket_owner = bytes("0f0f");
    event.configuration = bytes("a \"rule\"");
    event.key = bytes("a/b c+d\xc3\xa9");
    event.size = 5;
    event.etag = bytes(ETAG);
    event.requester = bytes("AWS:AIDAEXAMPLE");
    event.source_ip = bytes("192.0.2.7");
    event.request_id = bytes("0123ABCD");
    return event;
}

static void assert_record(const Meta__Event *event, const char *expected)
{
    struct buffer out = {0};

    events_json_record(&out, event);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, expected);
    buffer_free(&out);
}

static void test_created(void **state)
{
    Meta__Event event = event_of(META__EVENT_TYPE__OBJECT_CREATED_PUT);

    (void)state;
    assert_record(&event,
                  RECORD("2.1", "ObjectCreated:Put",
                         "\"size\":5,\"eTag\":\"" ETAG "\"," SEQUENCER));
    event.version_id = bytes(VERSION);
    event.size = 0;
    assert_record(&event,
                  RECORD("2.1", "ObjectCreated:Put",
                         "\"size\":0,\"eTag\":\"" ETAG
                         "\",\"versionId\":\"" VERSION "\"," SEQUENCER));
}

static void test_removed(void **state)
{
    Meta__Event event = event_of(META__EVENT_TYPE__OBJECT_REMOVED_DELETE);

    (void)state;
    assert_record(&event, RECORD("2.1", "ObjectRemoved:Delete", SEQUENCER));
    event.version_id = bytes(VERSION);
    assert_record(&event, RECORD("2.1", "ObjectRemoved:Delete",
                                 "\"versionId\":\"" VERSION "\"," SEQUENCER));
    event.type = META__EVENT_TYPE__OBJECT_REMOVED_DELETE_MARKER_CREATED;
    assert_record(&event,
                  RECORD("2.1", "ObjectRemoved:DeleteMarkerCreated",
                         "\"eTag\":\"" NOTHING "\",\"versionId\":\"" VERSION
                         "\"," SEQUENCER));
    event.type = META__EVENT_TYPE__LIFECYCLE_EXPIRATION_DELETE;
    event.version_id = bytes("");
    assert_record(&event,
                  RECORD("2.3", "LifecycleExpiration:Delete", SEQUENCER));
}

static void test_settings(void **state)
{
    Meta__Event event = event_of(META__EVENT_TYPE__OBJECT_TAGGING_PUT);

    (void)state;
    assert_record(&event,
                  RECORD("2.3", "ObjectTagging:Put", "\"eTag\":\"" ETAG "\""));
    event.type = META__EVENT_TYPE__OBJECT_ACL_PUT;
    event.version_id = bytes(VERSION);
    assert_record(&event, RECORD("2.3", "ObjectAcl:Put",
                                 "\"eTag\":\"" ETAG
                                 "\",\"versionId\":\"" VERSION "\""));
}

static void test_of_s3d_itself(void **state)
{
    Meta__Event event = event_of(META__EVENT_TYPE__HEALING_COMPLETED);

    (void)state;
    assert_record(&event,
                  RECORD("2.1", "s3d:Healing:Completed",
                         "\"size\":5,\"eTag\":\"" ETAG "\"," SEQUENCER));
    event.type = META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT;
    assert_record(&event,
                  RECORD("2.1", "ReducedRedundancyLostObject",
                         "\"size\":5,\"eTag\":\"" ETAG "\"," SEQUENCER));
}

static void assert_message(const Meta__Event *event, const char *expected)
{
    struct buffer out = {0};

    events_json_message(&out, event);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, expected);
    buffer_free(&out);
}

static void test_messages(void **state)
{
    Meta__Event event = event_of(META__EVENT_TYPE__OBJECT_CREATED_COPY);

    (void)state;
    assert_message(&event, "{\"Records\":[" RECORD("2.1", "ObjectCreated:Copy",
                                                   "\"size\":5,\"eTag\":\"" ETAG
                                                   "\"," SEQUENCER) "]}");
    event.type = META__EVENT_TYPE__TEST_EVENT;
    assert_message(&event,
                   "{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\","
                   "\"Time\":\"2026-01-02T03:04:05.678Z\",\"Bucket\":"
                   "\"photos\",\"RequestId\":\"0123ABCD\",\"HostId\":"
                   "\"0123ABCD\"}");
}

static void test_hostile_text(void **state)
{
    Meta__Event event = event_of(META__EVENT_TYPE__TEST_EVENT);

    (void)state;
    event.bucket = bytes("\"\\\n\x01\x1f</");
    event.request_id = bytes("");
    assert_message(&event,
                   "{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\","
                   "\"Time\":\"2026-01-02T03:04:05.678Z\",\"Bucket\":"
                   "\"\\\"\\\\\\u000a\\u0001\\u001f</\",\"RequestId\":\"\","
                   "\"HostId\":\"\"}");
}

static void test_keys(void **state)
{
    static const struct {
        const char *key, *encoded;
    } cases[] = {
        {"", ""},
        {"plain-._~/x", "plain-._~/x"},
        {" ", "+"},
        {" a  b ", "+a++b+"},
        {"a@b", "a%40b"},
        {"100%&=?#", "100%25%26%3D%3F%23"},
        {"\x01\"\\", "%01%22%5C"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer out = {0};

        events_json_key(&out, slice_from_string(cases[i].key));
        buffer_append(&out, "", 1);
        assert_string_equal((char *)out.data, cases[i].encoded);
        buffer_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_created),  cmocka_unit_test(test_removed),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_of_s3d_itself),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
