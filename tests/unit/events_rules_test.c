/* Types, filters, overlaps, ARNs. */
#include "events/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ACCOUNT "123456789012"
#define SQS     "arn:aws:sqs:eu-x-1:" ACCOUNT ":"
#define SNS     "arn:aws:sns:eu-x-1:" ACCOUNT ":"

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

/* A rule of one type; NULL: no such filter. */
struct rule {
    Meta__NotificationRule rule;
    Meta__EventType type;
    Meta__Field fields[2], *filters[2];
};

static const Meta__NotificationRule *rule(struct rule *out, const char *type,
                                          const char *prefix,
                                          const char *suffix)
{
    const char *const names[] = {"Suffix", "Prefix"};
    const char *const values[] = {suffix, prefix};

    meta__notification_rule__init(&out->rule);
    out->type = events_type_parse(slice_from_string(type));
    assert_int_not_equal(out->type, META__EVENT_TYPE__NO_EVENT);
    out->rule.events = &out->type;
    out->rule.n_events = 1;
    out->rule.filters = out->filters;
    for (int i = 0; i < 2; i++) {
        if (values[i] != NULL) {
            Meta__Field *field = &out->fields[out->rule.n_filters];

            meta__field__init(field);
            field->name = bytes(names[i]);
            field->value = bytes(values[i]);
            out->filters[out->rule.n_filters++] = field;
        }
    }
    return &out->rule;
}

static void test_types(void **state)
{
    unsigned known = 0;

    (void)state;
    for (int type = 0; type < 100; type++) {
        const char *name = events_type_name((Meta__EventType)type);

        if (name != NULL) {
            known++;
            assert_int_equal(events_type_parse(slice_from_string(name)), type);
        }
    }
    assert_int_equal(known, 30);
    assert_int_equal(events_type_parse(SLICE_LITERAL("s3:ObjectCreated")), 0);
    assert_int_equal(events_type_parse(SLICE_LITERAL("ObjectCreated:Put")), 0);
    assert_int_equal(events_type_parse(SLICE_LITERAL("s3:ObjectAcl:*")), 0);
    assert_int_equal(events_type_parse(SLICE_LITERAL("")), 0);
}

static void test_matches(void **state)
{
    static const struct {
        const char *rule, *prefix, *suffix, *event, *key;
        bool matches;
    } cases[] = {
        {"s3:ObjectCreated:*", NULL, NULL, "s3:ObjectCreated:Put", "k", true},
        {"s3:ObjectCreated:*", NULL, NULL, "s3:ObjectCreated:Copy", "k", true},
        {"s3:ObjectCreated:Put", NULL, NULL, "s3:ObjectCreated:Copy", "k",
         false},
        {"s3:ObjectCreated:*", NULL, NULL, "s3:ObjectRemoved:Delete", "k",
         false},
        {"s3:ObjectTagging:*", NULL, NULL, "s3:ObjectTagging:Delete", "k",
         true},
        {"s3:ObjectAcl:Put", NULL, NULL, "s3:ObjectAcl:Put", "k", true},
        {"s3:LifecycleTransition", NULL, NULL, "s3:IntelligentTiering", "k",
         false},
        {"s3:ReducedRedundancyLostObject", NULL, NULL, "s3:TestEvent", "k",
         false},
        {"s3d:Healing:*", NULL, NULL, "s3d:Healing:Completed", "k", true},
        {"s3:ObjectCreated:*", "a/", NULL, "s3:ObjectCreated:Put", "a/b", true},
        {"s3:ObjectCreated:*", "a/", NULL, "s3:ObjectCreated:Put", "a", false},
        {"s3:ObjectCreated:*", "a/", NULL, "s3:ObjectCreated:Put", "ba/",
         false},
        {"s3:ObjectCreated:*", NULL, ".jpg", "s3:ObjectCreated:Put", "x.jpg",
         true},
        {"s3:ObjectCreated:*", NULL, ".jpg", "s3:ObjectCreated:Put", "x.JPG",
         false},
        {"s3:ObjectCreated:*", NULL, ".jpg", "s3:ObjectCreated:Put", "jpg",
         false},
        {"s3:ObjectCreated:*", "a", ".jpg", "s3:ObjectCreated:Put", "ab.jpg",
         true},
        {"s3:ObjectCreated:*", "a", ".jpg", "s3:ObjectCreated:Put", "b.jpg",
         false},
        /* They may meet in the key. */
        {"s3:ObjectCreated:*", "abc", "cde", "s3:ObjectCreated:Put", "abcde",
         true},
        {"s3:ObjectCreated:*", "", "", "s3:ObjectCreated:Put", "k", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rule one;

        if (events_rule_matches(
                rule(&one, cases[i].rule, cases[i].prefix, cases[i].suffix),
                events_type_parse(slice_from_string(cases[i].event)),
                slice_from_string(cases[i].key)) != cases[i].matches) {
            fail_msg("case %zu", i);
        }
    }
}

static void test_types_overlap(void **state)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } cases[] = {
        {"s3:ObjectCreated:*", "s3:ObjectCreated:*", true},
        {"s3:ObjectCreated:*", "s3:ObjectCreated:Put", true},
        {"s3:ObjectCreated:Put", "s3:ObjectCreated:Put", true},
        {"s3:ObjectCreated:Put", "s3:ObjectCreated:Post", false},
        {"s3:ObjectCreated:*", "s3:ObjectRemoved:*", false},
        {"s3:ObjectRemoved:Delete", "s3:LifecycleExpiration:Delete", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Meta__EventType a = events_type_parse(slice_from_string(cases[i].a));
        Meta__EventType b = events_type_parse(slice_from_string(cases[i].b));

        assert_int_equal(events_types_overlap(a, b), cases[i].overlap);
        assert_int_equal(events_types_overlap(b, a), cases[i].overlap);
    }
}

static void test_filters_overlap(void **state)
{
    static const struct {
        const char *prefix_a, *suffix_a, *prefix_b, *suffix_b;
        bool overlap;
    } cases[] = {
        {NULL, NULL, NULL, NULL, true},
        {"images", NULL, NULL, NULL, true},
        {"images", NULL, "images/a", NULL, true},
        {"images", NULL, "logs", NULL, false},
        {NULL, ".jpg", NULL, "pg", true},
        {NULL, ".jpg", NULL, ".png", false},
        {"images", ".jpg", "images", ".png", false},
        {"images", ".jpg", "logs", ".jpg", false},
        {"images", NULL, NULL, ".jpg", true},
        {"", "", "images", ".jpg", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *type = "s3:ObjectCreated:*";
        struct rule one, other;
        const Meta__NotificationRule *a =
            rule(&one, type, cases[i].prefix_a, cases[i].suffix_a);
        const Meta__NotificationRule *b =
            rule(&other, type, cases[i].prefix_b, cases[i].suffix_b);

        if (events_filters_overlap(a, b) != cases[i].overlap ||
            events_filters_overlap(b, a) != cases[i].overlap) {
            fail_msg("case %zu", i);
        }
    }
}

static void test_arns(void **state)
{
    static const struct {
        Meta__NotificationKind kind;
        const char *arn;
        int target; /* -1: none */
    } cases[] = {
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SQS "stream", 0},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SQS "hash", 1},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SQS "list", 2},
        {META__NOTIFICATION_KIND__NOTIFY_TOPIC, SNS "channel", 3},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SNS "channel", -1},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SQS "channel", -1},
        {META__NOTIFICATION_KIND__NOTIFY_TOPIC, SNS "stream", -1},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SQS "strea", -1},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SQS "stream2", -1},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE, SQS, -1},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE,
         "arn:aws:sqs:eu-x-2:" ACCOUNT ":stream", -1},
        {META__NOTIFICATION_KIND__NOTIFY_QUEUE,
         "arn:aws:sqs:eu-x-1:123456789013:stream", -1},
    };
    const struct events_target_options targets[] = {
        {.name = "stream", .kind = EVENTS_STREAM},
        {.name = "hash", .kind = EVENTS_NAMESPACE},
        {.name = "list", .kind = EVENTS_ACCESS},
        {.name = "channel", .kind = EVENTS_PUBSUB}};
    const struct events_options options = {
        .region = "eu-x-1", .targets = targets, .count = 4};
    struct events *events;
    struct meta *meta;

    (void)state;
    assert_int_equal(meta_open(kv_open_memory(), &meta), 0);
    events = events_open(meta, &options);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct events_target *expected =
            cases[i].target < 0
                ? NULL
                : events_target(events, (size_t)cases[i].target);

        assert_ptr_equal(events_find(events, cases[i].kind,
                                     SLICE_LITERAL(ACCOUNT),
                                     slice_from_string(cases[i].arn)),
                         expected);
    }
    assert_null(events_target(events, 4));
    assert_null(events_find(NULL, META__NOTIFICATION_KIND__NOTIFY_QUEUE,
                            SLICE_LITERAL(ACCOUNT), SLICE_LITERAL(SQS "hash")));
    events_close(events);
    events_close(NULL);
    meta_close(meta);
}

static void test_names(void **state)
{
    char name[EVENTS_NAME_MAX + 2];

    (void)state;
    memset(name, 'n', sizeof(name));
    name[EVENTS_NAME_MAX + 1] = '\0';
    assert_false(events_valid_name(name));
    assert_true(events_valid_name(name + 1));
    assert_true(events_valid_name("Thumbs_2-x"));
    assert_false(events_valid_name(""));
    assert_false(events_valid_name("a:b"));
    assert_false(events_valid_name("a b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_types_overlap),
        cmocka_unit_test(test_filters_overlap),
        cmocka_unit_test(test_arns),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
