/* Questions: what may change the answer is in them, what cannot is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those before it */
#include <cmocka.h>

#include <string.h>

#include "hot/question.h"

#define BUCKET SLICE_LITERAL("bucket")

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static bool same(const struct hot_question *a, const struct hot_question *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* --- objects and websites --------------------------------------------------*/
static struct hot_question asked(Wire__Operation operation, const char *bucket,
                                 const char *key)
{
    struct hot_question question;

    assert_true(hot_ask(&question, operation, slice_from_string(bucket),
                        slice_from_string(key), NULL));
    return question;
}

static void head_asks_what_get_does(void **state)
{
    const struct hot_question get =
        asked(WIRE__OPERATION__GET_OBJECT, "b", "key");
    const struct hot_question head =
        asked(WIRE__OPERATION__HEAD_OBJECT, "b", "key");
    const struct hot_question others[] = {
        asked(WIRE__OPERATION__GET_WEBSITE, "b", "key"),
        asked(WIRE__OPERATION__GET_OBJECT, "bk", "ey"),
        asked(WIRE__OPERATION__GET_OBJECT, "b", ""),
        asked(WIRE__OPERATION__GET_OBJECT, "", "bkey"),
    };
    struct hot_question none;

    (void)state;
    assert_true(same(&get, &head));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(same(&get, &others[i]));
    }
    assert_false(
        hot_ask(&none, WIRE__OPERATION__GET_FILE, BUCKET, BUCKET, NULL));
    assert_false(
        hot_ask(&none, WIRE__OPERATION__PUT_OBJECT, BUCKET, BUCKET, NULL));
}

/* --- files -----------------------------------------------------------------*/
struct site {
    Wire__FileRequest file;
    Wire__FileCandidate candidates[2];
    Wire__FileCandidate *list[2];
};

static void make_site(struct site *site)
{
    wire__file_request__init(&site->file);
    for (unsigned i = 0; i < 2; i++) {
        wire__file_candidate__init(&site->candidates[i]);
        site->list[i] = &site->candidates[i];
    }
    site->candidates[0].key = bytes("a.br");
    site->candidates[0].encoding = bytes("br");
    site->candidates[1].key = bytes("a");
    site->file.candidates = site->list;
    site->file.n_candidates = 2;
    site->file.max_ranges = 5;
}

static bool ask_file(struct site *site, struct hot_question *question)
{
    return hot_ask(question, WIRE__OPERATION__GET_FILE, BUCKET,
                   slice_of(NULL, 0), &site->file);
}

static void a_file_is_what_the_location_makes_of_it(void **state)
{
    struct hot_question before, after;
    struct site site;

    (void)state;
    for (unsigned i = 0; i < 11; i++) {
        make_site(&site);
        assert_true(ask_file(&site, &before));
        switch (i) {
        case 0:
            site.file.max_ranges = 0;
            break;
        case 1:
            site.file.content_type = bytes("a/b");
            break;
        case 2:
            site.file.default_type = bytes("a/b");
            break;
        case 3:
            site.candidates[0].key = bytes("a.gz");
            break;
        case 4:
            site.candidates[1].type = bytes("a/b");
            break;
        case 5:
            site.candidates[0].encoding = bytes("");
            break;
        case 6:
            site.candidates[1].kind = WIRE__FILE_CANDIDATE__KIND__DIRECTORY;
            break;
        case 7:
            site.file.n_candidates = 1;
            break;
        default: /* these say nothing of an object */
            site.file.max_ranges = i == 8 ? 7 : 5;
            site.file.title = bytes(i == 9 ? "/a" : "");
            site.file.exact_date = i == 10;
        }
        assert_true(ask_file(&site, &after));
        assert_int_equal(same(&before, &after), i >= 8);
    }
}

static void what_is_too_long_is_not_asked(void **state)
{
    static uint8_t key[HOT_QUESTION_MAX];
    struct hot_question question;
    struct site site;
    size_t longest = 0;

    (void)state;
    memset(key, 'k', sizeof(key));
    for (size_t size = 0; size <= sizeof(key); size++) {
        make_site(&site);
        site.candidates[1].key = (ProtobufCBinaryData){size, key};
        if (ask_file(&site, &question)) {
            assert_int_equal(longest + (size > 0), size);
            longest = size;
            assert_true(question.size <= HOT_QUESTION_MAX);
        }
    }
    assert_true(longest > 1900 && longest < HOT_QUESTION_MAX);
    site.candidates[1].key = (ProtobufCBinaryData){1u << 20, key};
    assert_false(ask_file(&site, &question));
}

/* --- headers ---------------------------------------------------------------*/
static enum hot_header_kind kind(const char *name, const char *value)
{
    return hot_header_of(slice_from_string(name), slice_from_string(value));
}

static void few_headers_say_nothing(void **state)
{
    static const char *const harmless[] = {
        "user-agent", "referer", "x-amz-date", "x-amz-content-sha256"};
    static const char *const unknown[] = {
        "origin",    "x-amz-meta-a",
        "",          "User-Agent",
        "user-agen", "x-amz-server-side-encryption-customer-key"};

    (void)state;
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        assert_int_equal(kind(harmless[i], "x"), HOT_HEADER_HARMLESS);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_int_equal(kind(unknown[i], "x"), HOT_HEADER_UNKNOWN);
    }
    assert_int_equal(kind("range", "x"), HOT_HEADER_SELECTS);
    assert_int_equal(kind("if-none-match", "x"), HOT_HEADER_SELECTS);
    assert_int_equal(kind("if-none-match", ""), HOT_HEADER_UNKNOWN);
    assert_int_equal(kind("x-amz-checksum-mode", "ENABLED"),
                     HOT_HEADER_CHECKSUMS);
    assert_int_equal(kind("x-amz-checksum-mode", "enabled"),
                     HOT_HEADER_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_asks_what_get_does),
        cmocka_unit_test(a_file_is_what_the_location_makes_of_it),
        cmocka_unit_test(what_is_too_long_is_not_asked),
        cmocka_unit_test(few_headers_say_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
