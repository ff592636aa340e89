/*
 * The walk that wraps object keys anew after a rotation.
 */
#include "s3_sse_fixture.h"

#include "s3/call.h"

#include <pthread.h>

#define KEYS 100u /* more than one commit takes */

static struct s3_rewrap *walk;

static void start(void)
{
    assert_int_equal(s3_rewrap_open(&fixture.service, &walk), 0);
    assert_int_equal(s3_rewrap_start(walk), 0);
}

static struct s3_rewrap_status status(void)
{
    struct s3_rewrap_status now;

    assert_int_equal(s3_rewrap_status(walk, &now), 0);
    return now;
}

/* Until it is done, one batch at a time. */
static void finish(uint64_t rewrapped, uint64_t failed)
{
    for (unsigned i = 0; s3_rewrap_due(walk); i++) {
        assert_true(i < 1000);
        s3_rewrap_run(walk, 1);
    }
    assert_false(status().under_way);
    assert_int_equal(status().rewrapped, rewrapped);
    assert_int_equal(status().failed, failed);
    s3_rewrap_close(walk);
}

static void rotate(const char *key)
{
    assert_int_equal(
        crypt_key_rotate(fixture.service.keyring, slice_from_string(key)), 0);
}

static void is_under(const char *key, const char *key_id)
{
    struct arena *arena = arena_new();
    struct slice found = pb_slice(record(arena, key)->encryption->key_id);

    if (!slice_equal_string(found, key_id)) {
        fail_msg("%s is under %.*s", key, (int)found.size, found.data);
    }
    arena_free(arena);
}

static const char *name_of(unsigned i)
{
    static char name[16];

    snprintf(name, sizeof(name), "%03u", i);
    return name;
}

static void every_envelope_and_no_byte(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    put("plain", PLAIN, bytes, 10);
    put("s3", S3, bytes, 100000);
    put("one", KMS_ONE, bytes, 100000);
    put("two", KMS_TWO, bytes, 100000);
    put("customer", C_A, bytes, 100000);
    const uint64_t blob = record(arena, "one")->blob;
    rotate("");
    rotate("one");
    start();
    finish(2, 0);
    is_under("s3", ":2");
    is_under("one", "one:2");
    is_under("two", "two:1");
    assert_int_equal(record(arena, "one")->blob, blob);
    holds("plain", PLAIN, bytes, 10);
    holds("s3", S3, bytes, 100000);
    holds("one", KMS_ONE, bytes, 100000);
    holds("two", KMS_TWO, bytes, 100000);
    holds("customer", C_A, bytes, 100000);
    start(); /* again: nothing is left */
    finish(0, 0);
    arena_free(arena);
}

/* Every version of many keys, in more than one bucket. */
static void all_there_is(void **state)
{
    uint64_t rewrapped;

    (void)state;
    for (unsigned i = 0; i < KEYS; i++) {
        put(name_of(i), i % 2 ? S3 : KMS_ONE, bytes, 100);
    }
    rotate("");
    start();
    rewrapped = KEYS / 2;
    finish(rewrapped, 0);
    rotate("one");
    start();
    finish(rewrapped, 0);
    for (unsigned i = 0; i < KEYS; i++) {
        is_under(name_of(i), i % 2 ? ":2" : "one:2");
        holds(name_of(i), i % 2 ? S3 : KMS_ONE, bytes, 100);
    }
}

static void goes_on_after_a_restart(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KEYS; i++) {
        put(name_of(i), S3, bytes, 100);
    }
    rotate("");
    start();
    s3_rewrap_run(walk, 0); /* no time: nothing */
    assert_int_equal(status().examined, 0);
    do {
        s3_rewrap_run(walk, 1);
        s3_rewrap_close(walk);
        assert_int_equal(s3_rewrap_open(&fixture.service, &walk), 0);
    } while (s3_rewrap_due(walk));
    assert_int_equal(status().examined, KEYS);
    finish(KEYS, 0);
}

/* What was overwritten or deleted behind the walk's back stays so. */
static void *overwrite(void *context)
{
    (void)context;
    for (unsigned i = 0; i < KEYS; i++) {
        struct s3_answer answer;

        if (i % 2) {
            s3_run(&fixture, &answer, DELETE(name_of(i)));
        } else {
            put_as(&answer, name_of(i), S3, bytes + 1000, 200);
        }
        s3_answer_free(&answer);
    }
    return NULL;
}

static void beside_writes(void **state)
{
    struct s3_answer answer;
    pthread_t thread;

    (void)state;
    for (unsigned i = 0; i < KEYS; i++) {
        put(name_of(i), S3, bytes, 100);
    }
    rotate("");
    start();
    assert_int_equal(pthread_create(&thread, NULL, overwrite, NULL), 0);
    while (s3_rewrap_due(walk)) {
        s3_rewrap_run(walk, 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    s3_rewrap_close(walk);
    for (unsigned i = 0; i < KEYS; i++) {
        const char *name = name_of(i);

        if (i % 2) {
            s3_run(&fixture, &answer, GET(name));
            assert_int_equal(answer.status, 404);
            s3_answer_free(&answer);
        } else {
            holds(name, S3, bytes + 1000, 200);
            is_under(name, ":2");
        }
    }
}

static void keys_that_are_disabled_are_counted(void **state)
{
    const struct slice one = SLICE_LITERAL("one");

    (void)state;
    put("s3", S3, bytes, 100);
    put("a", KMS_ONE, bytes, 100);
    put("b", KMS_ONE, bytes, 100);
    rotate("one");
    rotate("");
    assert_int_equal(crypt_key_enable(fixture.service.keyring, one, false), 0);
    start();
    finish(1, 2);
    assert_int_equal(crypt_key_enable(fixture.service.keyring, one, true), 0);
    start();
    finish(2, 0);
    holds("a", KMS_ONE, bytes, 100);
}

/* A provider that does not answer is waited for, and nothing is passed over. */
static void waits_for_the_provider(void **state)
{
    struct crypt_vault vault = {.url = "http://127.0.0.1:1",
                                .mount = "transit",
                                .token_file = "/dev/null",
                                .timeout_ms = 100};
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    struct crypt_provider *keyring = fixture.service.kms;
    char token[] = "/tmp/s3_rewrap_test.XXXXXX";
    const int fd = mkstemp(token);

    (void)state;
    assert_int_equal(write(fd, "t", 1), 1);
    close(fd);
    vault.token_file = token;
    put("a", S3, bytes, 100);
    put("b", KMS_ONE, bytes, 100);
    /* As one of Vault's looks. */
    Meta__Object *object = record(arena, "b");
    static const char envelope[] = "\1\3vault:v1:QUJD";
    object->encryption->wrapped =
        pb_bytes(slice_of(envelope, sizeof(envelope) - 1));
    meta_put_object(batch, bucket_record(arena)->id, SLICE_LITERAL("b"),
                    object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(crypt_vault_open(&vault, &fixture.service.kms), 0);
    rotate("");
    start();
    s3_rewrap_run(walk, 1000);
    s3_rewrap_run(walk, 1000);
    assert_true(status().under_way);
    assert_true(status().waits);
    assert_false(s3_rewrap_due(walk)); /* not at once */
    assert_int_equal(status().examined, 1);
    is_under("a", ":2");
    is_under("b", "one:1");
    s3_rewrap_close(walk);
    crypt_provider_close(fixture.service.kms);
    fixture.service.kms = keyring;
    unlink(token);
    arena_free(arena);
}

/* An upload under way, so that what it becomes is right. */
static void uploads(void **state)
{
    struct arena *arena = arena_new();
    struct s3_answer answer;
    const uint64_t bucket = bucket_record(arena)->id;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        s3_run(&fixture, &answer,
               S3_CASE(CREATE_MULTIPART_UPLOAD, i < 2 ? "k" : "l",
                       .secure = true, .headers = writes[S3]));
        assert_int_equal(answer.status, 200);
        s3_answer_free(&answer);
    }
    rotate("");
    start();
    finish(3, 0);
    struct meta_scan *scan = meta_scan_uploads(fixture.service.meta, bucket);
    for (unsigned i = 0; i < 3; i++) {
        Meta__Upload *upload;

        assert_true(meta_scan_valid(scan));
        assert_int_equal(meta_scan_upload(scan, arena, &upload), 0);
        assert_true(
            slice_equal_string(pb_slice(upload->encryption->key_id), ":2"));
        meta_scan_next(scan);
    }
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_envelope_and_no_byte, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(all_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_on_after_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(beside_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_that_are_disabled_are_counted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_the_provider, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(uploads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
