/* The notification configuration of a bucket: put, told, refused. */
#include "s3_events_fixture.h"

#define XMLNS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define OPEN  "<NotificationConfiguration" XMLNS ">"
#define CLOSE "</NotificationConfiguration>"
/* %s stands for the account's number. */
#define SQS "arn:aws:sqs:" FIXTURE_REGION ":%s:queue"
#define SNS "arn:aws:sns:" FIXTURE_REGION ":%s:topic"

#define QUEUE(rest)   "<QueueConfiguration>" rest "</QueueConfiguration>"
#define TOPIC(rest)   "<TopicConfiguration>" rest "</TopicConfiguration>"
#define BRIDGE        "<EventBridgeConfiguration></EventBridgeConfiguration>"
#define CREATED       "<Event>s3:ObjectCreated:*</Event>"
#define REMOVED       "<Event>s3:ObjectRemoved:Delete</Event>"
#define TO_SQS        "<Queue>" SQS "</Queue>"
#define TO_SNS        "<Topic>" SNS "</Topic>"
#define FILTER(rules) "<Filter><S3Key>" rules "</S3Key></Filter>"
#define RULE(name, value)                                                      \
    "<FilterRule><Name>" name "</Name><Value>" value "</Value></FilterRule>"

static struct s3_fixture fixture;
static struct arena *arena;
static char account[13];

static int setup(void **state)
{
    (void)state;
    arena = s3_events_begin(&fixture);
    s3_account(&fixture, account);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_events_end(&fixture, arena);
    return 0;
}

/* With the account's number for each %s. */
static const char *fill(const char *format)
{
    struct buffer out = {0};
    const char *at;

    while ((at = strstr(format, "%s")) != NULL) {
        buffer_append(&out, format, (size_t)(at - format));
        buffer_append_string(&out, account);
        format = at + 2;
    }
    buffer_append(&out, format, strlen(format) + 1);
    at = arena_string(arena, slice_of(out.data, out.size - 1));
    buffer_free(&out);
    return at;
}

static struct s3_case put(const char *document)
{
    const char *text = fill(document);

    return (struct s3_case){.operation =
                                WIRE__OPERATION__PUT_BUCKET_NOTIFICATION,
                            .bucket = "b",
                            .body = text,
                            .size = strlen(text)};
}

static void is(const char *document)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_NOTIFICATION, NULL));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "Content-Type", "application/xml");
    assert_string_equal(strchr((char *)answer.body.data, '\n') + 1,
                        fill(document));
    s3_answer_free(&answer);
}

static void test_none(void **state)
{
    (void)state;
    is(OPEN CLOSE);
    s3_expect(&fixture, 200, put(OPEN CLOSE));
    s3_expect(&fixture, 200,
              put("<NotificationConfiguration>\n"
                  "</NotificationConfiguration>"));
    is(OPEN CLOSE);
}

static void test_told_as_put(void **state)
{
    (void)state;
    /* The order of elements is free; names of filters are as S3 writes them. */
    s3_expect(
        &fixture, 200,
        put(OPEN QUEUE("<Id>first &amp; one</Id>" TO_SQS CREATED REMOVED FILTER(
            RULE("prefix", "a/") RULE("SUFFIX", "&lt;.jpg")))
                TOPIC("<Event>s3:Replication:OperationNotTracked</Event>" TO_SNS
                      "<Filter/><Id>2</Id>") CLOSE));
    is(OPEN QUEUE("<Id>first &amp; one</Id>" TO_SQS CREATED REMOVED FILTER(
        RULE("Prefix", "a/") RULE("Suffix", "&lt;.jpg")))
           TOPIC("<Id>2</Id>" TO_SNS
                 "<Event>s3:Replication:OperationNotTracked</Event>") CLOSE);
    /* It is replaced as a whole. */
    s3_expect(&fixture, 200,
              put(OPEN QUEUE("<Id>3</Id>" TO_SQS CREATED FILTER(
                  RULE("Prefix", ""))) CLOSE));
    is(OPEN QUEUE("<Id>3</Id>" TO_SQS CREATED FILTER(RULE("Prefix", "")))
           CLOSE);
    s3_expect(&fixture, 200, put(OPEN CLOSE));
    is(OPEN CLOSE);
}

static void test_ids_are_made_up(void **state)
{
    struct s3_answer answer;
    const char *a, *b;

    (void)state;
    s3_expect(
        &fixture, 200,
        put(OPEN QUEUE(TO_SQS CREATED) TOPIC("<Id/>" TO_SNS REMOVED) CLOSE));
    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_NOTIFICATION, NULL));
    a = strstr((char *)answer.body.data, "<Id>") + 4;
    b = strstr(a, "<Id>") + 4;
    assert_int_equal(strcspn(a, "<"), 32);
    assert_int_equal(strcspn(b, "<"), 32);
    assert_memory_not_equal(a, b, 32);
    s3_answer_free(&answer);
}

/* --- refused ---------------------------------------------------------------*/
#define LONG_64                                                                \
    "0123456789012345678901234567890123456789012345678901234567890123"
#define LONG_256 LONG_64 LONG_64 LONG_64 LONG_64

#define ARGUMENT(name, value, message)                                         \
    "<Code>InvalidArgument</Code><Message>" message                            \
    "</Message><ArgumentName>" name "</ArgumentName><ArgumentValue>" value     \
    "</ArgumentValue>"
#define UNREACHABLE                                                            \
    "<Code>InvalidArgument</Code><Message>Unable to validate the following "   \
    "destination configurations</Message>"
#define OVERLAP                                                                \
    "Configurations overlap. Configurations on the same bucket cannot share "  \
    "a common event type."
#define AMBIGUOUS                                                              \
    "Configuration is ambiguously defined. Cannot have overlapping suffixes "  \
    "in two rules if the prefixes are overlapping for the same event type."
#define ELSEWHERE                                                              \
    "The notification destination service region is not valid for the bucket " \
    "location constraint"
#define MALFORMED "<Code>MalformedXML</Code>"

static const struct {
    const char *document;
    const char *error; /* in the answer */
} mistakes[] = {
    {"<Other/>", MALFORMED},
    {"<NotificationConfiguration>text</NotificationConfiguration>", MALFORMED},
    {OPEN "<Other/>" CLOSE, MALFORMED},
    {OPEN "<QueueConfiguration/>" CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SQS) CLOSE, MALFORMED},
    {OPEN QUEUE(CREATED) CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SQS TO_SQS CREATED) CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SQS CREATED "<Id>1</Id><Id>2</Id>") CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SQS CREATED "<Id>" LONG_256 "</Id>") CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SNS CREATED) CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SQS CREATED "<Filter><Other/></Filter>") CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SQS CREATED FILTER("<Other/>")) CLOSE, MALFORMED},
    {OPEN QUEUE(TO_SQS CREATED FILTER(
         "<FilterRule><Name>prefix</Name></FilterRule>")) CLOSE,
     MALFORMED},
    {OPEN QUEUE(TO_SQS "<Event>s3:ObjectCreated</Event>") CLOSE,
     ARGUMENT("Event", "s3:ObjectCreated",
              "The event is not supported for notifications")},
    {OPEN QUEUE(TO_SQS "<Event>s3:TestEvent</Event>") CLOSE,
     ARGUMENT("Event", "s3:TestEvent",
              "The event is not supported for notifications")},
    {OPEN QUEUE(TO_SQS CREATED FILTER(RULE("infix", "x"))) CLOSE,
     ARGUMENT("FilterRule.Name", "infix",
              "filter rule name must be either prefix or suffix")},
    {OPEN QUEUE(TO_SQS CREATED FILTER(RULE("prefix", "x") RULE("Prefix", "y")))
         CLOSE,
     ARGUMENT("FilterRule.Name", "Prefix",
              "Cannot specify more than one prefix rule in a filter.")},
    {OPEN QUEUE(TO_SQS CREATED FILTER(RULE("suffix", "x") RULE("suffix", "y")))
         CLOSE,
     ARGUMENT("FilterRule.Name", "suffix",
              "Cannot specify more than one suffix rule in a filter.")},
    {OPEN QUEUE(TO_SQS CREATED FILTER(
         RULE("prefix", "x" LONG_256 LONG_256 LONG_256 LONG_256))) CLOSE,
     "Size of filter rule value cannot exceed 1024 bytes in UTF-8 "
     "representation"},
    {OPEN QUEUE("<Queue>queue</Queue>" CREATED) CLOSE,
     ARGUMENT("Queue", "queue", "The ARN could not be parsed")},
    {OPEN QUEUE("<Queue>" SNS "</Queue>" CREATED) CLOSE,
     "<Message>The ARN could not be parsed</Message>"},
    {OPEN TOPIC("<Topic>arn:aws:sns:r:a:</Topic>" CREATED) CLOSE,
     ARGUMENT("Topic", "arn:aws:sns:r:a:", "The ARN could not be parsed")},
    {OPEN TOPIC("<Topic>arn:aws:sns:eu-x-1:%s:topic</Topic>" CREATED) CLOSE,
     ARGUMENT("Topic", "arn:aws:sns:eu-x-1:%s:topic", ELSEWHERE)},
    {OPEN QUEUE("<Queue>arn:aws:sqs::%s:queue</Queue>" CREATED) CLOSE,
     ARGUMENT("Queue", "arn:aws:sqs::%s:queue", ELSEWHERE)},
    {OPEN QUEUE("<Id>1</Id>" TO_SQS CREATED) TOPIC("<Id>1</Id>" TO_SNS REMOVED)
         CLOSE,
     ARGUMENT("Id", "1",
              "Same ID used for multiple configurations. IDs must be unique")},
    /* Whom nobody can reach. */
    {OPEN QUEUE("<Queue>" SQS "2</Queue>" CREATED) CLOSE,
     UNREACHABLE "<ArgumentName1>" SQS
                 "2</ArgumentName1><ArgumentValue1>The destination queue does "
                 "not exist</ArgumentValue1>"},
    {OPEN QUEUE("<Queue>" SQS "2</Queue>" CREATED) TOPIC(TO_SNS REMOVED)
         TOPIC("<Topic>" SNS "x</Topic><Event>s3:ObjectAcl:Put</Event>") CLOSE,
     UNREACHABLE "<ArgumentName1>" SQS
                 "2</ArgumentName1><ArgumentValue1>The destination queue does "
                 "not exist</ArgumentValue1><ArgumentName2>" SNS
                 "x</ArgumentName2><ArgumentValue2>The destination topic does "
                 "not exist</ArgumentValue2>"},
    {OPEN "<CloudFunctionConfiguration><CloudFunction>arn:aws:lambda:r:a:"
          "function:f</CloudFunction>" CREATED
          "</CloudFunctionConfiguration>" CLOSE,
     UNREACHABLE "<ArgumentName1>arn:aws:lambda:r:a:function:f"
                 "</ArgumentName1>"},
    {OPEN "<EventBridgeConfiguration>x</EventBridgeConfiguration>" CLOSE,
     MALFORMED},
    {OPEN BRIDGE BRIDGE CLOSE, MALFORMED},
    /* None is configured: events would be lost. */
    {OPEN QUEUE(TO_SQS CREATED) BRIDGE CLOSE,
     UNREACHABLE "<ArgumentName1>EventBridgeConfiguration</ArgumentName1>"
                 "<ArgumentValue1>The destination event bus does not exist"
                 "</ArgumentValue1>"},
    /* Two that tell of the same. */
    {OPEN QUEUE(TO_SQS CREATED) TOPIC(
         TO_SNS "<Event>s3:ObjectAcl:Put</Event><Event>s3:ObjectCreated:Put"
                "</Event>") CLOSE,
     ARGUMENT("Event", "s3:ObjectCreated:*, s3:ObjectCreated:Put", OVERLAP)},
    {OPEN QUEUE(TO_SQS CREATED) QUEUE(TO_SQS CREATED) CLOSE,
     ARGUMENT("Event", "s3:ObjectCreated:*, s3:ObjectCreated:*", OVERLAP)},
    {OPEN QUEUE(TO_SQS CREATED FILTER(RULE("prefix", "images")))
         TOPIC(TO_SNS CREATED) CLOSE,
     ARGUMENT("Event", "s3:ObjectCreated:*, s3:ObjectCreated:*", AMBIGUOUS)},
    {OPEN QUEUE(TO_SQS CREATED FILTER(RULE("prefix", "images")))
         TOPIC(TO_SNS CREATED FILTER(RULE("suffix", ".jpg"))) CLOSE,
     ARGUMENT("Event", "s3:ObjectCreated:*, s3:ObjectCreated:*", AMBIGUOUS)},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct s3_answer answer;
        const char *expected = fill(mistakes[i].error);

        s3_run(&fixture, &answer, put(mistakes[i].document));
        if (answer.status != 400 ||
            strstr((char *)answer.body.data, expected) == NULL) {
            fail_msg("%s:\n%u %s\nexpected %s", mistakes[i].document,
                     answer.status, (char *)answer.body.data, expected);
        }
        s3_answer_free(&answer);
    }
    is(OPEN CLOSE);
}

static void test_no_overlap(void **state)
{
    (void)state;
    s3_expect(&fixture, 200,
              put(OPEN QUEUE(TO_SQS CREATED FILTER(RULE("prefix", "images/")
                                                       RULE("suffix", "g")))
                      TOPIC(TO_SNS CREATED FILTER(RULE("prefix", "logs/") RULE(
                          "suffix", "g"))) QUEUE(TO_SQS REMOVED) CLOSE));
    s3_expect(&fixture, 200,
              put(OPEN QUEUE(TO_SQS CREATED FILTER(RULE("suffix", ".jpg")))
                      TOPIC(TO_SNS CREATED FILTER(RULE("suffix", ".png")))
                          CLOSE));
}

static void test_too_many(void **state)
{
    struct buffer text = {0};
    struct s3_answer answer;

    (void)state;
    buffer_append_string(&text, OPEN);
    for (int i = 0; i < 101; i++) {
        buffer_append_string(&text, "<QueueConfiguration/>");
    }
    buffer_append(&text, CLOSE, sizeof(CLOSE));
    s3_run(&fixture, &answer, put((char *)text.data));
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);
    buffer_free(&text);
}

/* --- s3:TestEvent ----------------------------------------------------------*/
static void test_test_event(void **state)
{
    Meta__Event **events;
    size_t count;

    (void)state;
    /* One for each target, in the commit of the configuration. */
    s3_expect(&fixture, 200,
              put(OPEN QUEUE(TO_SQS CREATED) QUEUE(TO_SQS REMOVED) CLOSE));
    s3_take_events(&fixture, arena, &events, &count);
    assert_int_equal(count, 1);
    assert_int_equal(events[0]->type, META__EVENT_TYPE__TEST_EVENT);
    assert_memory_equal(events[0]->bucket.data, "b", 1);
    assert_memory_equal(events[0]->request_id.data, "0123456789ABCDEF", 16);
    assert_int_equal(events[0]->configuration.len, 0);
    s3_expect(&fixture, 200, put(OPEN TOPIC(TO_SNS CREATED) CLOSE));
    s3_expect(&fixture, 200, put(OPEN CLOSE));
    s3_take_events(&fixture, arena, &events, &count);
    assert_int_equal(count, 0);
}

/* Nobody is asked, and nobody told; once the target is there, it is told. */
static void test_validation_is_skipped(void **state)
{
    struct s3_case c =
        put(OPEN QUEUE("<Id>1</Id><Queue>arn:aws:sqs:" FIXTURE_REGION
                       ":%s:later</Queue>" CREATED) CLOSE);
    const struct events_target_options later = {.name = "later"};
    const struct events_options options = {
        .region = FIXTURE_REGION, .targets = &later, .count = 1};
    Meta__Event **events;
    size_t count;

    (void)state;
    c.headers = FIELDS("x-amz-skip-destination-validation", "True");
    s3_expect(&fixture, 200, c);
    s3_expect(&fixture, 200, PUT("k", "1"));
    s3_close_events(&fixture);
    s3_expect(&fixture, 200, PUT("k", "2"));
    fixture.service.events = events_open(fixture.service.meta, &options);
    s3_expect(&fixture, 200, PUT("k", "333"));
    s3_take_events(&fixture, arena, &events, &count);
    assert_int_equal(count, 1);
    assert_int_equal(events[0]->size, 3);
    c.headers = FIELDS("x-amz-skip-destination-validation", "false");
    s3_expect(&fixture, 200, c);
    s3_close_events(&fixture);
    s3_expect(&fixture, 400, c);
}

/* A target of this name is told of every event, beside what rules say. */
static void test_event_bridge(void **state)
{
    static const struct events_target_options targets[] = {
        {.name = EVENTS_BRIDGE_NAME}, {.name = "queue"}};
    const struct events_options options = {
        .region = FIXTURE_REGION, .targets = targets, .count = 2};
    Meta__Event **events;
    size_t count;

    (void)state;
    s3_close_events(&fixture);
    fixture.service.events = events_open(fixture.service.meta, &options);
    s3_expect(
        &fixture, 200,
        put(OPEN "<EventBridgeConfiguration/>" QUEUE(
            "<Id>1</Id>" TO_SQS CREATED FILTER(RULE("Prefix", "a/"))) CLOSE));
    is(OPEN QUEUE("<Id>1</Id>" TO_SQS CREATED FILTER(RULE("Prefix", "a/")))
           BRIDGE CLOSE);
    s3_expect(&fixture, 200, PUT("k", "1"));
    s3_expect(&fixture, 204, S3_CASE(DELETE_OBJECT, "k"));
    s3_take_events(&fixture, arena, &events, &count);
    assert_int_equal(count, 2); /* and no s3:TestEvent */
    assert_int_equal(events[0]->type, META__EVENT_TYPE__OBJECT_CREATED_PUT);
    assert_int_equal(events[0]->configuration.len, 0);
    assert_int_equal(events[1]->type, META__EVENT_TYPE__OBJECT_REMOVED_DELETE);
    s3_expect(&fixture, 200, put(OPEN BRIDGE CLOSE));
    is(OPEN BRIDGE CLOSE);
    s3_expect(&fixture, 200, PUT("k", "1"));
    s3_expect(&fixture, 200, put(OPEN CLOSE));
    is(OPEN CLOSE);
    s3_expect(&fixture, 200, PUT("k", "1"));
    s3_take_events(&fixture, arena, &events, &count);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_as_put, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_are_made_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_test_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_validation_is_skipped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_event_bridge, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
