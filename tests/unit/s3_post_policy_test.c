/* POST policies: what each condition allows and refuses, and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "s3/post_policy.h"

#include <stdio.h>
#include <string.h>

#define NOW_MS     1767323045000ull /* 2026-01-02T03:04:05Z */
#define EXPIRES    "\"expiration\":\"2026-01-02T03:04:06Z\""
#define BUCKET     "{\"bucket\":\"b\"}"
#define FIELDS_MAX 16
/* Conditions, besides that on the bucket. */
#define POLICY(...) "{" EXPIRES ",\"conditions\":[" BUCKET "," __VA_ARGS__ "]}"
#define F(...)      ((const char *const[]){__VA_ARGS__, NULL})
#define NONE        ((const char *const[]){NULL})

#define FAILED "Invalid according to Policy: Policy Condition failed: "
#define EXTRA  "Invalid according to Policy: Extra input fields: "

static struct post_outcome check(struct arena *arena, const char *policy,
                                 const char *const *pairs)
{
    struct post_field fields[FIELDS_MAX];
    struct post_input input = {
        .fields = fields, .bucket = SLICE_LITERAL("b"), .now_ms = NOW_MS};
    struct post_outcome outcome;

    for (; pairs[0] != NULL; pairs += 2) {
        fields[input.count].name = slice_from_string(pairs[0]);
        fields[input.count++].value = slice_from_string(pairs[1]);
    }
    post_policy_check(arena, slice_from_string(policy), &input, &outcome);
    return outcome;
}

static void allows(const char *policy, const char *const *fields)
{
    struct arena *arena = arena_new();
    struct post_outcome outcome = check(arena, policy, fields);

    if (outcome.error != S3_OK) {
        fail_msg("%s: %s", policy, outcome.message);
    }
    assert_null(outcome.message);
    arena_free(arena);
}

static void refuses(enum s3_error error, const char *policy,
                    const char *const *fields, const char *message)
{
    struct arena *arena = arena_new();
    struct post_outcome outcome = check(arena, policy, fields);

    assert_non_null(outcome.message);
    assert_string_equal(outcome.message, message);
    assert_int_equal(outcome.error, error);
    arena_free(arena);
}
#define DENIES(policy, fields, message)                                        \
    refuses(S3_ERR_AccessDenied, policy, fields, message)
#define INVALID(policy, message)                                               \
    refuses(S3_ERR_InvalidPolicyDocument, policy, NONE,                        \
            "Invalid Policy: " message)

static void exact_matches(void **state)
{
    static const char *const names[] = {
        "key",
        "acl",
        "success_action_status",
        "Content-Type",
        "x-amz-date",
        "x-amz-meta-a",
        "tagging",
        "x-amz-storage-class",
    };
    char policy[256], message[256];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(policy, sizeof(policy), POLICY("{\"%s\":\"v\"}"), names[i]);
        snprintf(message, sizeof(message), FAILED "[\"eq\", \"$%s\", \"v\"]",
                 names[i]);
        allows(policy, F(names[i], "v"));
        DENIES(policy, F(names[i], "V"), message);
        DENIES(policy, F(names[i], "va"), message);
        DENIES(policy, F(names[i], ""), message);
        DENIES(policy, NONE, message);
        snprintf(policy, sizeof(policy), POLICY("[\"eq\",\"$%s\",\"v\"]"),
                 names[i]);
        allows(policy, F(names[i], "v"));
        DENIES(policy, F(names[i], "w"), message);
    }
    DENIES(POLICY("[\"eq\",\"key\",\"v\"]"), F("key", "v"),
           FAILED "[\"eq\", \"key\", \"v\"]");
    DENIES(POLICY("[\"eq\",\"$Content-Disposition\",\"a=\\\"b\\\"\"]"), NONE,
           FAILED "[\"eq\", \"$Content-Disposition\", \"a=\\\"b\\\"\"]");
}

static void prefixes(void **state)
{
    static const char policy[] = POLICY("[\"starts-with\",\"$key\",\"user/\"]");
    static const char types[] =
        POLICY("[\"starts-with\",\"$Content-Type\",\"image/\"]");
    static const char any[] =
        POLICY("[\"starts-with\",\"$x-amz-meta-a\",\"\"]");

    (void)state;
    allows(policy, F("key", "user/x"));
    allows(policy, F("key", "user/"));
    DENIES(policy, F("key", "User/x"),
           FAILED "[\"starts-with\", \"$key\", \"user/\"]");
    DENIES(policy, F("key", "use"),
           FAILED "[\"starts-with\", \"$key\", \"user/\"]");
    allows(types, F("Content-Type", "image/png"));
    allows(types, F("content-type", "image/png, image/jpeg,image/gif"));
    DENIES(types, F("Content-Type", "image/png,text/html"),
           FAILED "[\"starts-with\", \"$Content-Type\", \"image/\"]");
    DENIES(types, F("Content-Type", "text/html,image/png"),
           FAILED "[\"starts-with\", \"$Content-Type\", \"image/\"]");
    allows(POLICY("[\"starts-with\",\"$key\",\"a\"]"), F("key", "a,b"));
    allows(any, F("x-amz-meta-a", "anything"));
    allows(any, F("x-amz-meta-a", ""));
    DENIES(any, NONE, FAILED "[\"starts-with\", \"$x-amz-meta-a\", \"\"]");
    DENIES(POLICY("[\"starts-with\",\"key\",\"\"]"), F("key", "k"),
           FAILED "[\"starts-with\", \"key\", \"\"]");
}

static void names_have_no_case(void **state)
{
    (void)state;
    allows(POLICY("{\"KEY\":\"v\"},[\"Eq\",\"$Success_Action_Status\",\"201\"],"
                  "[\"StArTs-WiTh\",\"$x-amz-META-A\",\"\"]"),
           F("kEy", "v", "success_action_status", "201", "X-Amz-Meta-a", "1"));
    allows("{" EXPIRES ",\"conditions\":[{\"bUcKeT\":\"b\"}]}", NONE);
}

static void escapes(void **state)
{
    (void)state;
    allows(POLICY("[\"starts-with\",\"$key\",\"\\\\$foo\"]"),
           F("key", "\\$foo.txt"));
    allows(POLICY("[\"starts-with\",\"$key\",\"\\$foo\"]"),
           F("key", "$foo.txt"));
    allows(POLICY("{\"key\":\"a\\vb\\u00e4\\\"\"}"), F("key", "a\vb\u00e4\""));
}

static void every_field_is_covered(void **state)
{
    (void)state;
    allows(POLICY("{\"key\":\"k\"}"),
           F("key", "k", "policy", "p", "X-Amz-Signature", "s", "file", "f",
             "x-ignore-this", "1", "X-Ignore-That", "2"));
    DENIES(POLICY("{\"key\":\"k\"}"), F("key", "k", "StorageClass", "s"),
           EXTRA "StorageClass");
    DENIES(POLICY("{\"key\":\"k\"}"), F("key", "k", "x-amz-meta-a", "s"),
           EXTRA "x-amz-meta-a");
    DENIES(POLICY("[\"content-length-range\",0,9]"), F("key", "k"),
           EXTRA "key");
    DENIES("{" EXPIRES ",\"conditions\":[{\"key\":\"k\"}]}", F("key", "k"),
           EXTRA "bucket");
    DENIES("{" EXPIRES ",\"conditions\":[]}", NONE, EXTRA "bucket");
}

static void buckets(void **state)
{
    (void)state;
    allows("{" EXPIRES ",\"conditions\":[{\"bucket\":\"b\"}]}", NONE);
    DENIES("{" EXPIRES ",\"conditions\":[{\"bucket\":\"c\"}]}",
           F("bucket", "c"), FAILED "[\"eq\", \"$bucket\", \"c\"]");
    allows("{" EXPIRES ",\"conditions\":[[\"starts-with\",\"$bucket\",\"\"]]}",
           F("bucket", "c"));
}

static void expirations(void **state)
{
    static const char conditions[] = ",\"conditions\":[" BUCKET "]}";
    static const struct {
        const char *time, *message; /* NULL: valid, "": expired */
    } cases[] = {
        {"2026-01-02T03:04:06Z", NULL},
        {"2026-01-02T03:04:05.001Z", NULL},
        {"2026-01-02T03:04:05.000Z", ""},
        {"2026-01-02T03:04:05Z", ""},
        {"2007-12-01T12:00:00.000Z", ""},
        {"2027-01-02T03:04:06+02:00", "2027-01-02T03:04:06+02:00"},
        {"2027-01-02 03:04:06 UTC", "2027-01-02 03:04:06 UTC"},
        {"2027-13-02T03:04:06Z", "2027-13-02T03:04:06Z"},
        {"", ""},
    };
    char policy[256], message[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(policy, sizeof(policy), "{\"expiration\":\"%s\"%s",
                 cases[i].time, conditions);
        if (cases[i].message == NULL) {
            allows(policy, NONE);
        } else if (cases[i].message[0] == '\0' && cases[i].time[0] != '\0') {
            DENIES(policy, NONE,
                   "Invalid according to Policy: Policy expired.");
        } else {
            snprintf(message, sizeof(message),
                     "Invalid Policy: Invalid 'expiration' value: '%s'",
                     cases[i].message);
            refuses(S3_ERR_InvalidPolicyDocument, policy, NONE, message);
        }
    }
}

static void malformed(void **state)
{
    (void)state;
    INVALID("", "Invalid JSON.");
    INVALID("[]", "Invalid JSON.");
    INVALID("{", "Invalid JSON.");
    INVALID(POLICY("{\"key\":\"k\"},"), "Invalid JSON.");
    INVALID("{" EXPIRES "," EXPIRES ",\"conditions\":[]}", "Invalid JSON.");
    INVALID("{\"conditions\":[]}", "Policy missing expiration.");
    INVALID("{" EXPIRES "}", "Policy missing conditions.");
    INVALID("{" EXPIRES ",\"conditions\":{}}",
            "Invalid 'conditions' value: must be a List.");
    INVALID("{" EXPIRES ",\"conditions\":[],\"Statement\":1}",
            "Unexpected: 'statement'");
    INVALID(POLICY("{}"), "Invalid Simple-Condition: Simple-Conditions must "
                          "have exactly one property specified.");
    INVALID(POLICY("{\"a\":\"1\",\"b\":\"2\"}"),
            "Invalid Simple-Condition: Simple-Conditions must have exactly "
            "one property specified.");
    INVALID(POLICY("{\"a\":1}"),
            "Invalid Simple-Condition: value must be a string.");
    INVALID(POLICY("\"a\""), "Invalid condition: must be a List or Object.");
    INVALID(POLICY("[]"), "Invalid Condition: missing operation identifier.");
    INVALID(POLICY("[1]"), "Invalid Condition: missing operation identifier.");
    INVALID(POLICY("[\"ends-with\",\"$key\",\"a\"]"),
            "Invalid Condition: unknown operation 'ends-with'.");
    INVALID(POLICY("[\"eq\",\"$key\"]"),
            "Invalid eq: wrong number of arguments.");
    INVALID(POLICY("[\"EQ\",\"$key\",\"a\",\"b\"]"),
            "Invalid eq: wrong number of arguments.");
    INVALID(POLICY("[\"eq\",\"$key\",1]"), "Invalid JSON.");
    INVALID(POLICY("[\"content-length-range\",0]"),
            "Invalid content-length-range: wrong number of arguments.");
    INVALID(POLICY("[\"content-length-range\",-1,0]"), "Invalid JSON.");
    INVALID(POLICY("[\"content-length-range\",0,512.0]"), "Invalid JSON.");
}

static void ranges(void **state)
{
    struct arena *arena = arena_new();
    struct post_outcome outcome =
        check(arena, POLICY("[\"content-length-range\",5,10]"), NONE);

    (void)state;
    assert_int_equal(outcome.error, S3_OK);
    assert_int_equal(outcome.size_min, 5);
    assert_int_equal(outcome.size_max, 10);
    outcome =
        check(arena, POLICY("[\"content-length-range\",\"5\",\"10\"]"), NONE);
    assert_int_equal(outcome.error, S3_OK);
    assert_int_equal(outcome.size_min, 5);
    assert_int_equal(outcome.size_max, 10);
    outcome = check(arena,
                    POLICY("[\"content-length-range\",1,10],"
                           "[\"content-length-range\",2,20]"),
                    NONE);
    assert_int_equal(outcome.size_min, 2);
    assert_int_equal(outcome.size_max, 10);
    outcome = check(arena, "{" EXPIRES ",\"conditions\":[" BUCKET "]}", NONE);
    assert_int_equal(outcome.size_min, 0);
    assert_true(outcome.size_max == UINT64_MAX);
    DENIES(POLICY("[\"content-length-range\",\"test\",\"10\"]"), NONE,
           FAILED "[\"content-length-range\", \"test\", \"10\"]");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_matches),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(names_have_no_case),
        cmocka_unit_test(escapes),
        cmocka_unit_test(every_field_is_covered),
        cmocka_unit_test(buckets),
        cmocka_unit_test(expirations),
        cmocka_unit_test(malformed),
        cmocka_unit_test(ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
