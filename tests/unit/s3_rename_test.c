/* RenameObject: an object moves whole, once, under its conditions. */
#include "s3_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define ETAG "\"5d41402abc4b2a76b9719d911017c592\"" /* of "hello" */

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    fixture.service.extensions = true;
    s3_make_bucket(&fixture, "b");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

#define RENAME(k, ...) S3_CASE(RENAME_OBJECT, k, .headers = FIELDS(__VA_ARGS__))

static void holds(const char *key, const char *body)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, GET(key));
    if (body == NULL) {
        assert_error(&answer, "NoSuchKey", 404);
    } else {
        assert_int_equal(answer.status, 200);
        assert_string_equal((char *)answer.body.data, body);
    }
    s3_answer_free(&answer);
}

static void fails(struct s3_case c, const char *code, unsigned status)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    s3_answer_free(&answer);
}

static void test_moves(void **state)
{
    struct s3_answer before, after;
    (void)state;
    s3_expect(&fixture, 200,
              PUT("old", "hello",
                  .headers = FIELDS("content-type", "text/x", "x-amz-meta-a",
                                    "1", "x-amz-tagging", "t=v")));
    s3_run(&fixture, &before, HEAD("old"));
    s3_run(&fixture, &after, RENAME("new", "x-amz-rename-source", "old"));
    assert_int_equal(after.status, 200);
    assert_int_equal(after.body.size, 0);
    s3_answer_free(&after);
    holds("old", NULL);
    holds("new", "hello");
    s3_run(&fixture, &after, HEAD("new"));
    assert_string_equal((char *)after.headers.data,
                        (char *)before.headers.data);
    s3_answer_free(&before);
    s3_answer_free(&after);
    /* Back, by the other form, encoded, onto another object. */
    s3_expect(&fixture, 200, PUT("o d", "gone"));
    s3_expect(&fixture, 200, RENAME("o d", "x-amz-rename-source", "/b/n%65w"));
    holds("new", NULL);
    holds("o d", "hello");
    s3_expect(&fixture, 200, PUT("empty", ""));
    s3_expect(&fixture, 200, RENAME("none", "x-amz-rename-source", "empty"));
    holds("none", "");
}

/* The blob has one referrer, and what was replaced has none. */
static void test_references(void **state)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    Meta__Object *old, *replaced, *new;
    uint64_t bucket;
    Meta__Bucket *record;
    struct kv_iterator *it;
    unsigned referrers = 0;
    (void)state;
    s3_expect(&fixture, 200, PUT("old", "hello"));
    s3_expect(&fixture, 200, PUT("new", "other"));
    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &record),
                     0);
    bucket = record->id;
    assert_int_equal(
        meta_get_object(meta, arena, bucket, SLICE_LITERAL("old"), &old), 0);
    assert_int_equal(
        meta_get_object(meta, arena, bucket, SLICE_LITERAL("new"), &replaced),
        0);
    s3_expect(&fixture, 200, RENAME("new", "x-amz-rename-source", "old"));
    assert_int_equal(
        meta_get_object(meta, arena, bucket, SLICE_LITERAL("new"), &new), 0);
    assert_int_equal(new->blob, old->blob);
    assert_int_equal(new->mtime_ms, old->mtime_ms);
    assert_true(new->sequence > replaced->sequence);
    it = kv_iterate(meta_kv(meta));
    for (kv_seek(it, SLICE_LITERAL("R")); kv_valid(it); kv_next(it)) {
        struct slice key = kv_key(it);

        if (key.data[0] != 'R') {
            break;
        }
        assert_int_equal(get_u64be(key.data + 1), old->blob);
        referrers++;
    }
    kv_iterator_free(it);
    assert_int_equal(referrers, 1);
    arena_free(arena);
}

static void test_refusals(void **state)
{
    static const char enabled[] = "<VersioningConfiguration><Status>Enabled"
                                  "</Status></VersioningConfiguration>";
    (void)state;
    s3_expect(&fixture, 200, PUT("old", "hello"));
    fails(S3_CASE(RENAME_OBJECT, "new"), "InvalidArgument", 400);
    fails(RENAME("new", "x-amz-rename-source", "%zz"), "InvalidArgument", 400);
    fails(RENAME("new", "x-amz-rename-source", "/c/old"), "InvalidArgument",
          400);
    fails(RENAME("new", "x-amz-rename-source", "/b/"), "InvalidArgument", 400);
    fails(RENAME("new", "x-amz-rename-source", "/b"), "InvalidArgument", 400);
    fails(RENAME("old", "x-amz-rename-source", "old"), "InvalidRequest", 400);
    fails(RENAME("new", "x-amz-rename-source", "absent"), "NoSuchKey", 404);
    fails(RENAME("new", "x-amz-rename-source", "old", "x-amz-client-token",
                 "a b"),
          "InvalidArgument", 400);
    fixture.service.extensions = false;
    fails(RENAME("new", "x-amz-rename-source", "old"), "NotImplemented", 501);
    fixture.service.extensions = true;
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_VERSIONING, NULL, .body = enabled,
                      .size = sizeof(enabled) - 1));
    fails(RENAME("new", "x-amz-rename-source", "old"), "NotImplemented", 501);
    holds("old", "hello");
    holds("new", NULL);
}

#define FROM "x-amz-rename-source", "old"

static void test_conditions(void **state)
{
    const char *past = "Thu, 01 Jan 2015 00:00:00 GMT";
    struct s3_answer answer;
    (void)state;
    s3_expect(&fixture, 200, PUT("old", "hello"));
    fails(RENAME("new", FROM, "if-match", "*"), "PreconditionFailed", 412);
    fails(RENAME("new", FROM, "if-modified-since", past), "PreconditionFailed",
          412);
    fails(RENAME("new", FROM, "x-amz-rename-source-if-match", "\"0\""),
          "PreconditionFailed", 412);
    fails(RENAME("new", FROM, "x-amz-rename-source-if-none-match", "*"),
          "PreconditionFailed", 412);
    fails(RENAME("new", FROM, "x-amz-rename-source-if-unmodified-since", past),
          "PreconditionFailed", 412);
    s3_run(&fixture, &answer,
           RENAME("new", FROM, "x-amz-rename-source-if-match", "\"0\""));
    assert_contains(&answer, "<Condition>x-amz-rename-source-If-Match<");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              RENAME("new", FROM, "if-none-match", "*",
                     "x-amz-rename-source-if-match", ETAG,
                     "x-amz-rename-source-if-modified-since", past));
    s3_expect(&fixture, 200, PUT("old", "second"));
    fails(RENAME("new", FROM, "if-none-match", "*"), "PreconditionFailed", 412);
    fails(RENAME("new", FROM, "if-match", "\"0\""), "PreconditionFailed", 412);
    fails(RENAME("new", FROM, "if-unmodified-since", past),
          "PreconditionFailed", 412);
    holds("new", "hello");
    holds("old", "second");
    s3_expect(&fixture, 200, RENAME("new", FROM, "if-match", ETAG));
    holds("new", "second");
}

static void test_token(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("old", "hello"));
    s3_expect(&fixture, 200, PUT("third", "3"));
    s3_expect(&fixture, 200, RENAME("new", FROM, "x-amz-client-token", "t1"));
    s3_expect(&fixture, 200, RENAME("new", FROM, "x-amz-client-token", "t1"));
    holds("new", "hello");
    fails(RENAME("new", "x-amz-rename-source", "third", "x-amz-client-token",
                 "t1"),
          "IdempotencyParameterMismatch", 400);
    fails(RENAME("new", FROM, "x-amz-client-token", "t2"), "NoSuchKey", 404);
    fails(RENAME("new", FROM), "NoSuchKey", 404);
    /* A new object under the old key is not taken for the one that moved. */
    s3_expect(&fixture, 200, PUT("old", "again"));
    s3_expect(&fixture, 200, RENAME("new", FROM, "x-amz-client-token", "t1"));
    holds("old", "again");
    s3_expect(&fixture, 200, PUT("new", "over"));
    s3_expect(&fixture, 200, RENAME("new", FROM, "x-amz-client-token", "t1"));
    holds("new", "again");
}

/* Many keys, two ways: no deadlock, and nothing is lost or doubled. */
#define THREADS 8
#define ROUNDS  60
#define KEYS    6

static atomic_uint renamed;

static void *shuffle(void *argument)
{
    unsigned seed = 77 + (unsigned)(uintptr_t)argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        char from[8], to[8];
        struct s3_answer answer;

        snprintf(from, sizeof(from), "k%d", rand_r(&seed) % KEYS);
        snprintf(to, sizeof(to), "k%d", rand_r(&seed) % KEYS);
        s3_run(&fixture, &answer,
               RENAME(to, "x-amz-rename-source", from, "if-none-match", "*"));
        atomic_fetch_add(&renamed, answer.status == 200);
        s3_answer_free(&answer);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    unsigned seen[3] = {0};
    (void)state;
    s3_expect(&fixture, 200, PUT("k0", "0"));
    s3_expect(&fixture, 200, PUT("k1", "1"));
    s3_expect(&fixture, 200, PUT("k2", "2"));
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, shuffle, (void *)i),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        struct s3_answer answer;
        char key[8];

        snprintf(key, sizeof(key), "k%u", i);
        s3_run(&fixture, &answer, GET(key));
        if (answer.status == 200) {
            assert_int_equal(answer.body.size, 1);
            seen[answer.body.data[0] - '0']++;
        }
        s3_answer_free(&answer);
    }
    assert_true(renamed > 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen[i], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
