/* What is found of a blob is told of the objects whose bytes it holds. */
#include "events/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ARN "arn:aws:sqs:r:123456789012:queue"

static struct meta *meta;
static struct events *events;
static struct arena *arena;

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

/* With a rule for one type of event; NO_EVENT: without. */
static void put_bucket(uint64_t id, const char *name, Meta__EventType type)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Bucket bucket = META__BUCKET__INIT;
    Meta__NotificationRule rule = META__NOTIFICATION_RULE__INIT;
    Meta__NotificationRule *rules[] = {&rule};

    rule.arn = bytes(ARN);
    rule.events = &type;
    rule.n_events = 1;
    bucket.id = id;
    bucket.name = bytes(name);
    bucket.notifications = rules;
    bucket.n_notifications = type != META__EVENT_TYPE__NO_EVENT;
    meta_put_bucket(batch, &bucket);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void put_object(uint64_t bucket, const char *key, uint64_t sequence,
                       uint64_t blob)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Object object = META__OBJECT__INIT;
    struct meta_referrer who = {.kind = META_REFERRER_OBJECT,
                                .bucket = bucket,
                                .key = slice_from_string(key),
                                .sequence = sequence};

    object.sequence = sequence;
    object.size = sequence;
    object.blob = blob;
    object.etag = bytes("e");
    meta_add_object(batch, bucket, who.key, &object);
    meta_add_ref(batch, blob, &who);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static int setup(void **state)
{
    const struct events_target_options target = {.name = "queue",
                                                 .limit_events = 100};
    const struct events_options options = {
        .region = "r", .targets = &target, .count = 1};
    struct meta_referrer part = {
        .kind = META_REFERRER_PART, .upload = SLICE_LITERAL("u"), .number = 1};
    struct meta_referrer composite = {.kind = META_REFERRER_BLOB, .blob = 8};
    struct meta_batch *batch;

    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(meta_open(kv_open_memory(), &meta), 0);
    events = events_open(meta, &options);
    arena = arena_new();
    put_bucket(1, "told", META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT);
    put_bucket(2, "silent", META__EVENT_TYPE__NO_EVENT);
    put_bucket(3, "healing", META__EVENT_TYPE__HEALING_ANY);
    put_object(1, "a", 10, 7);
    put_object(1, "a", 11, 7); /* another version */
    put_object(2, "b", 12, 7);
    put_object(3, "c\xff", 13, 7);
    put_object(1, "composite", 14, 8); /* of slices of 7 */
    put_object(1, "other", 15, 9);
    batch = meta_batch_new(meta);
    meta_add_ref(batch, 7, &part);
    meta_add_ref(batch, 7, &composite);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    events_close(events);
    meta_close(meta);
    return 0;
}

static unsigned emit(uint64_t blob, Meta__EventType type)
{
    struct meta_batch *batch = meta_batch_new(meta);
    unsigned told = events_emit_blob(events, meta, batch, blob, type);

    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    return told;
}

/* What waits, as lines "bucket key size". */
static void waiting(const char *expected)
{
    struct buffer lines = {0};
    Meta__Event **list;
    size_t count;

    assert_int_equal(
        meta_list_events(events_target_outbox(events_target(events, 0)), arena,
                         0, 100, SIZE_MAX, &list, &count),
        0);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&lines, "%.*s %.*s %u\n", (int)list[i]->bucket.len,
                      (const char *)list[i]->bucket.data, (int)list[i]->key.len,
                      (const char *)list[i]->key.data, (unsigned)list[i]->size);
        assert_memory_equal(list[i]->requester.data, EVENTS_OF_S3D,
                            strlen(EVENTS_OF_S3D));
    }
    buffer_append(&lines, "", 1);
    assert_string_equal((char *)lines.data, expected);
    buffer_free(&lines);
}

static void test_lost(void **state)
{
    (void)state;
    assert_int_equal(emit(7, META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT),
                     3);
    waiting("told a 11\ntold a 10\ntold composite 14\n");
}

static void test_healed(void **state)
{
    (void)state;
    assert_int_equal(emit(7, META__EVENT_TYPE__HEALING_COMPLETED), 1);
    waiting("healing c\xff 13\n");
}

static void test_nobody(void **state)
{
    (void)state;
    assert_int_equal(emit(1, META__EVENT_TYPE__HEALING_COMPLETED), 0);
    assert_int_equal(emit(8, META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT),
                     1);
    assert_int_equal(
        events_emit_blob(NULL, meta, NULL, 7,
                         META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT),
        0);
    waiting("told composite 14\n");
}

/* Nothing is refused for want of room: it is not told. */
static void test_full(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        emit(9, META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT);
    }
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(emit(9, META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT),
                     0);
}

static void test_users(void **state)
{
    struct meta_user *users;
    size_t count;
    bool more;

    (void)state;
    assert_int_equal(meta_list_users(meta, arena, 7, 10, &users, &count, &more),
                     0);
    assert_int_equal(count, 5);
    assert_false(more);
    assert_int_equal(users[3].bucket, 3);
    assert_true(slice_equal_string(users[3].key, "c\xff"));
    assert_int_equal(users[3].sequence, 13);
    assert_int_equal(meta_list_users(meta, arena, 7, 4, &users, &count, &more),
                     0);
    assert_int_equal(count, 4);
    assert_true(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_healed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_users, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
