/* Streams of events: how many of them there are, and how long they last. */
#include "s3_events_fixture.h"

#include "events/feed.h"
#include "s3/listen.h"

#define OTHER_KEY    "AKIAOTHER00000000001"
#define OTHER_SECRET "other/secret/key/of/the/tests/only000000"

static struct s3_fixture fixture;
static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = s3_events_begin(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_events_end(&fixture, arena);
    return 0;
}

static const struct s3_case listens = {
    .operation = WIRE__OPERATION__LISTEN_NOTIFICATION,
    .bucket = "b",
};

static struct s3_call *begin(const struct s3_case *c)
{
    Wire__Request *request = arena_zalloc(arena, sizeof(*request));

    s3_request(&fixture, arena, c, request);
    return s3_call_begin(&fixture.service, request);
}

static struct s3_call *listen_to_bucket(const struct s3_case *c)
{
    struct s3_call *call = begin(c);
    struct s3_piece piece;

    assert_int_equal(s3_call_reply(call)->status, 200);
    s3_call_next(call, &piece);
    assert_int_equal(piece.kind, S3_PIECE_WAIT);
    return call;
}

/* One too many is told so, to the end of the reply; others still may. */
static void test_share(void **state)
{
    struct s3_call *calls[FEED_SHARE_MAX], *other;
    struct s3_case others = listens;
    const uint64_t generation = fixture.generation;
    struct s3_answer answer;

    (void)state;
    for (size_t i = 0; i < FEED_SHARE_MAX; i++) {
        calls[i] = listen_to_bucket(&listens);
    }
    s3_run(&fixture, &answer, listens);
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer.error, "SlowDown");
    assert_false(answer.failed);
    s3_answer_free(&answer);
    fixture.generation =
        s3_add_account(&fixture, "other", true, OTHER_KEY, OTHER_SECRET);
    others.access_key = OTHER_KEY;
    other = listen_to_bucket(&others);
    fixture.generation = generation;
    s3_call_free(calls[0]);
    calls[0] = listen_to_bucket(&listens);
    for (size_t i = 0; i < FEED_SHARE_MAX; i++) {
        s3_call_free(calls[i]);
    }
    s3_call_free(other);
}

/* --- how long it lasts -----------------------------------------------------*/
static void expect_piece(struct s3_call *call, enum s3_piece_kind kind)
{
    struct s3_piece piece;

    s3_call_next(call, &piece);
    assert_int_equal(piece.kind, kind);
}

/* The next piece is one before which it is asked again. */
static void time_passes(struct s3_call *call)
{
    call->listen->asked_ms = 0;
}

/* A bucket's name may go to somebody else. */
static void test_another_bucket(void **state)
{
    struct s3_call *call = listen_to_bucket(&listens);

    (void)state;
    s3_expect(&fixture, 200, PUT("mine", "x"));
    expect_piece(call, S3_PIECE_DATA);
    s3_expect(&fixture, 204, DELETE("mine"));
    expect_piece(call, S3_PIECE_DATA);
    s3_expect(&fixture, 204,
              (struct s3_case){.operation = WIRE__OPERATION__DELETE_BUCKET,
                               .bucket = "b"});
    s3_make_bucket(&fixture, "b");
    s3_expect(&fixture, 200, PUT("theirs", "x"));
    expect_piece(call, S3_PIECE_WAIT);
    time_passes(call);
    expect_piece(call, S3_PIECE_END);
    s3_call_free(call);
}

#define POLICY                                                                 \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","        \
    "\"Principal\":\"*\",\"Action\":\"s3:ListenBucketNotification\","          \
    "\"Resource\":\"arn:aws:s3:::b\"}]}"

/* A stream that always has something to send, too. */
static void test_rights(void **state)
{
    const struct s3_case allow = S3_CASE(
        PUT_BUCKET_POLICY, NULL, .body = POLICY, .size = strlen(POLICY));
    const uint64_t generation = fixture.generation;
    struct s3_case others = listens;
    struct s3_call *call;

    (void)state;
    s3_expect(&fixture, 204, allow);
    fixture.generation =
        s3_add_account(&fixture, "other", false, OTHER_KEY, OTHER_SECRET);
    others.access_key = OTHER_KEY;
    call = listen_to_bucket(&others);
    fixture.generation = generation;
    s3_expect(&fixture, 200, PUT("a", "x"));
    time_passes(call);
    expect_piece(call, S3_PIECE_DATA);
    assert_true(call->listen->asked_ms > 0);
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_POLICY, NULL));
    s3_expect(&fixture, 200, PUT("b", "x"));
    time_passes(call);
    expect_piece(call, S3_PIECE_END);
    s3_call_free(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
