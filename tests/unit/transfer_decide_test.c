/*
 * What s3ctl import and export decide of names, times, types and sizes, and
 * how they sign.
 */
#include "transfer/download.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define S(text) SLICE_LITERAL(text)

/* --- names -----------------------------------------------------------------*/
static void test_good_names(void **state)
{
    (void)state;
    assert_null(name_fault(S("a")));
    assert_null(name_fault(S("a/b/c.txt")));
    assert_null(name_fault(S("...")));
    assert_null(name_fault(S("a/..b")));
    assert_null(name_fault(S("a\\..\\b")));
    assert_null(name_fault(S("\n\x7f")));
    assert_null(name_fault(S("d/")));
    assert_null(name_fault(S("\xc3\xbc/\xe6\x97\xa5")));
}

static void test_unsafe_names(void **state)
{
    static const char *const bad[] = {
        "",     "/",          "/etc/passwd",  "..",       ".",
        "a/..", "../a",       "a/../b",       "a/./b",    "a//b",
        "a//",  "//",         "a/../",        ".s3ctl-0", "a/.s3ctl-0/b",
        "\xff", "a/\xc0\xaf", "\xed\xa0\x80",
    };
    char long_name[300];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (name_fault(slice_from_string(bad[i])) == NULL) {
            fail_msg("%s is taken for a name", bad[i]);
        }
    }
    assert_non_null(name_fault(slice_of("a\0b", 3)));
    memset(long_name, 'x', sizeof(long_name));
    assert_null(name_fault(slice_of(long_name, 255)));
    assert_non_null(name_fault(slice_of(long_name, 256)));
    assert_null(key_fault(slice_of(long_name, 256)));
}

static void test_nesting(void **state)
{
    struct nesting nesting = {0};
    struct slice file = {0};

    (void)state;
    assert_true(nesting_add(&nesting, S("a"), &file));
    assert_true(nesting_add(&nesting, S("a-b"), &file));
    assert_true(nesting_add(&nesting, S("a.txt"), &file));
    assert_false(nesting_add(&nesting, S("a/b"), &file));
    assert_true(slice_equal_string(file, "a"));
    assert_false(nesting_add(&nesting, S("a/c/d"), &file));
    assert_true(nesting_add(&nesting, S("a0"), &file));
    assert_true(nesting_add(&nesting, S("b/c"), &file));
    assert_true(nesting_add(&nesting, S("b/c.d/e"), &file));
    assert_false(nesting_add(&nesting, S("b/c/d"), &file));
    assert_true(slice_equal_string(file, "b/c"));
    assert_true(nesting_add(&nesting, S("ba"), &file));
    assert_true(nesting_add(&nesting, S("ba"), &file));
    assert_true(nesting_add(&nesting, S("bab"), &file));
}

static void assert_split(const char *url, const char *bucket,
                         const char *prefix)
{
    char *has_bucket = NULL, *has_prefix = NULL;

    assert_int_equal(url_split(url, &has_bucket, &has_prefix), 0);
    assert_string_equal(has_bucket, bucket);
    assert_string_equal(has_prefix, prefix);
    free(has_bucket);
    free(has_prefix);
}

static void test_urls(void **state)
{
    char *bucket, *prefix;

    (void)state;
    assert_split("s3://photos", "photos", "");
    assert_split("s3://photos/", "photos", "");
    assert_split("s3://photos/2026", "photos", "2026/");
    assert_split("s3://photos/a/b/", "photos", "a/b/");
    assert_int_equal(url_split("photos/a", &bucket, &prefix), -EINVAL);
    assert_int_equal(url_split("s3://", &bucket, &prefix), -EINVAL);
    assert_int_equal(url_split("s3:///a", &bucket, &prefix), -EINVAL);
    assert_int_equal(url_split("s3://UP/a", &bucket, &prefix), -EINVAL);
    assert_int_equal(url_split("s3://a b/c", &bucket, &prefix), -EINVAL);
}

/* --- times -----------------------------------------------------------------*/
static void assert_mtime(time_t seconds, long nanoseconds, const char *text)
{
    const struct timespec time = {.tv_sec = seconds, .tv_nsec = nanoseconds};
    struct timespec back;
    char out[MTIME_TEXT_MAX];

    mtime_format(time, out);
    assert_string_equal(out, text);
    assert_true(mtime_parse(text, &back));
    assert_int_equal(times_compare(time, back), 0);
}

static void test_times(void **state)
{
    struct timespec time;

    (void)state;
    assert_mtime(1354040105, 123456789, "1354040105.123456789");
    assert_mtime(1354040105, 120000000, "1354040105.12");
    assert_mtime(1354040100, 0, "1354040100");
    assert_mtime(0, 1, "0.000000001");
    assert_mtime(0, 0, "0");
    assert_mtime(-1, 0, "-1");
    assert_mtime(-2, 500000000, "-1.5");
    assert_mtime(-1, 999999999, "-0.000000001");
    assert_true(mtime_parse("12.1234567899", &time));
    assert_int_equal(time.tv_nsec, 123456789);
    assert_false(mtime_parse("", &time));
    assert_false(mtime_parse("x", &time));
    assert_false(mtime_parse(" 1", &time));
    assert_false(mtime_parse("1 ", &time));
    assert_false(mtime_parse("1.5s", &time));
    assert_false(mtime_parse("--1", &time));
    assert_false(mtime_parse("99999999999999999999", &time));
}

/* --- types -----------------------------------------------------------------*/
static void test_nginx_types(void **state)
{
    struct types *types = types_parse(
        S("# comment html\n\ntypes {\n  text/html   html htm;\n"
          "  image/svg+xml svg  svgz; # x\n  application/x broken\n;}"));

    (void)state;
    assert_string_equal(types_find(types, "a/b.html"), "text/html");
    assert_string_equal(types_find(types, "b.HTM"), "text/html");
    assert_string_equal(types_find(types, "b.x.svgz"), "image/svg+xml");
    assert_string_equal(types_find(types, "b.broken"), "application/x");
    assert_null(types_find(types, "b.txt"));
    assert_null(types_find(types, "html"));
    assert_null(types_find(types, ".html"));
    assert_null(types_find(types, "a.html/b"));
    types_free(types);
}

static void test_mime_support_types(void **state)
{
    struct types *types =
        types_parse(S("text/html\thtml htm\n# text/plain txt\n"
                      "application/none\nnot-a-type foo\nimage/png png"));

    (void)state;
    assert_string_equal(types_find(types, "b.htm"), "text/html");
    assert_string_equal(types_find(types, "b.png"), "image/png");
    assert_null(types_find(types, "b.txt"));
    assert_null(types_find(types, "b.foo"));
    types_free(types);
    types = types_parse(S(""));
    assert_null(types_find(types, "b.htm"));
    types_free(types);
}

/* --- what need not be sent again -------------------------------------------*/
static void test_same_object(void **state)
{
    const struct timespec time = {.tv_sec = 5, .tv_nsec = 7};
    struct facts facts = {.size = 3, .mtime = time, .has_mtime = true};

    (void)state;
    assert_true(object_is_file(&facts, 3, time));
    assert_false(object_is_file(&facts, 4, time));
    facts.mtime.tv_nsec++;
    assert_false(object_is_file(&facts, 3, time));
    facts.mtime = time;
    facts.has_mtime = false; /* Last-Modified tells nothing */
    assert_false(object_is_file(&facts, 3, time));
}

static void test_kept_part(void **state)
{
    struct part part = {.size = 9, .has_crc = true, .crc = 1};
    const struct piece piece = {.size = 9, .crc = 1};

    (void)state;
    assert_true(part_is_piece(&part, &piece));
    part.crc = 2;
    assert_false(part_is_piece(&part, &piece));
    part.crc = 1;
    part.size = 8;
    assert_false(part_is_piece(&part, &piece));
    part.size = 9;
    part.has_crc = false;
    assert_false(part_is_piece(&part, &piece));
}

static void test_stale_upload(void **state)
{
    const struct timespec begun = {.tv_sec = 100, .tv_nsec = 5};
    const struct timespec before = {.tv_sec = 100, .tv_nsec = 4};
    const struct timespec after = {.tv_sec = 101};

    (void)state;
    assert_false(upload_is_stale(begun, before, before));
    assert_true(upload_is_stale(begun, after, before));
    assert_true(upload_is_stale(begun, before, after));
    assert_true(upload_is_stale(begun, before, begun));
}

static void test_part_size(void **state)
{
    const uint64_t mebibyte = 1 << 20;

    (void)state;
    assert_int_equal(part_size_for(1, 16 * mebibyte), 16 * mebibyte);
    assert_int_equal(part_size_for(160000 * mebibyte, 16 * mebibyte),
                     16 * mebibyte);
    assert_int_equal(part_size_for(160000 * mebibyte + 1, 16 * mebibyte),
                     17 * mebibyte);
}

static struct answer answer_of(const struct field *fields, unsigned count)
{
    struct answer answer = {.header_count = count};

    memcpy(answer.headers, fields, count * sizeof(*fields));
    return answer;
}

static bool is_copy(const struct field *from, const struct field *to,
                    unsigned count)
{
    const struct answer a = answer_of(from, count), b = answer_of(to, count);

    return metadata_is_copy(&a, &b);
}

static void test_metadata_of_a_copy(void **state)
{
    const struct field one[] = {
        {"x-amz-meta-n", "1"}, {"date", "a"}, {"x-amz-meta-mtime", "5"}};
    const struct field same[] = {
        {"content-type", "t/x"}, {"x-amz-meta-n", "1"}, {"date", "b"}};
    const struct field other[] = {
        {"content-type", "t/y"}, {"x-amz-meta-n", "1"}, {"date", "b"}};
    const struct field more[] = {
        {"x-amz-meta-n", "1"}, {"x-amz-meta-m", ""}, {"date", "b"}};

    (void)state;
    assert_true(is_copy(one, one, 3));
    assert_true(is_copy(one, same, 3)); /* a type where none was set */
    assert_false(is_copy(same, one, 3));
    assert_false(is_copy(same, other, 3));
    assert_false(is_copy(one, more, 3));
    assert_false(is_copy(more, one, 3));
}

static bool same_tags(const char *one, const char *other)
{
    struct buffer a = {0}, b = {0};

    buffer_append(&a, one, strlen(one) + 1);
    buffer_append(&b, other, strlen(other) + 1);
    const bool same = tags_are_same(&a, &b);
    assert_int_equal(tags_are_same(&b, &a), same);
    buffer_free(&a);
    buffer_free(&b);
    return same;
}

static void test_tags_of_a_copy(void **state)
{
    const struct buffer none = {0};

    (void)state;
    assert_true(tags_are_same(&none, &none));
    assert_true(same_tags("", ""));
    assert_true(same_tags("a=1&b=2&c=", "c=&a=1&b=2"));
    assert_false(same_tags("a=1&b=2", "a=1"));
    assert_false(same_tags("a=1&b=2", "a=2&b=1"));
    assert_false(same_tags("a=1&bc=2", "a=1&cb=2"));
    assert_false(same_tags("a=", "b="));
    assert_false(same_tags("a=12&b=", "a=1&b=2"));
    assert_false(same_tags("a=1", ""));
}

/* --- the unfinished file ---------------------------------------------------*/
/* What the steps of two exports make of each other, in one of their orders. */
static void test_unfinished_file(void **state)
{
    char path[] = "/tmp/s3ctl-test-XXXXXX";
    struct stat status;

    (void)state;
    assert_non_null(mkdtemp(path));
    const int parent = open(path, O_RDONLY | O_DIRECTORY);
    const int first = openat(parent, "u", O_RDWR | O_CREAT, 0600);
    const int second = openat(parent, "u", O_RDWR | O_CREAT, 0600);
    assert_int_equal(unfinished_own(first, parent, "u", &status), 0);
    assert_int_equal(unfinished_own(second, parent, "u", &status), -EBUSY);
    assert_int_equal(renameat(parent, "u", parent, "done"), 0);
    close(first);
    assert_int_equal(unfinished_own(second, parent, "u", &status), -EBUSY);
    const int third = openat(parent, "u", O_RDWR | O_CREAT, 0600);
    assert_int_equal(unfinished_own(second, parent, "u", &status), -EBUSY);
    assert_int_equal(unfinished_own(third, parent, "u", &status), 0);
    assert_int_equal(linkat(parent, "u", parent, "done-too", 0), 0);
    assert_int_equal(unfinished_own(third, parent, "u", &status), -EBUSY);
    close(second);
    close(third);
    unlinkat(parent, "u", 0);
    unlinkat(parent, "done", 0);
    unlinkat(parent, "done-too", 0);
    close(parent);
    assert_int_equal(rmdir(path), 0);
}

/* --- credentials and signatures --------------------------------------------*/
static void assert_found(const char *section, const char *name,
                         const char *value)
{
    const struct slice text =
        S("[default]\naws_access_key_id = A\n# x = y\n\n[ other ]\r\n"
          "aws_access_key_id=B=C\r\n[profile third]\n  region = eu\n;z=1");
    char *found = ini_find(text, section, name);

    if (value == NULL) {
        assert_null(found);
    } else {
        assert_string_equal(found, value);
    }
    free(found);
}

static void test_profiles(void **state)
{
    (void)state;
    assert_found("default", "aws_access_key_id", "A");
    assert_found("other", "aws_access_key_id", "B=C");
    assert_found("third", "region", "eu");
    assert_found("third", "aws_access_key_id", NULL);
    assert_found("third", ";z", NULL);
    assert_found("default", "# x", NULL);
    assert_found("none", "region", NULL);
}

/* "Example: GET Object" of AWS's manual of signatures in a header. */
static void test_published_signature(void **state)
{
    struct field headers[] = {
        {"range", "bytes=0-9"},
        {"x-amz-date", "20130524T000000Z"},
        {"host", "examplebucket.s3.amazonaws.com"},
        {"x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b9"
                                 "34ca495991b7852b855"},
    };
    struct signed_request request = {
        .method = "GET",
        .path = "/test.txt",
        .query = "",
        .headers = headers,
        .header_count = 4,
        .payload = headers[3].value,
        .date = "20130524T000000Z",
    };
    struct buffer out = {0};

    (void)state;
    fields_sort(headers, 4);
    sign(&out, &request, "us-east-1", "AKIAIOSFODNN7EXAMPLE",
         "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    buffer_append(&out, "", 1);
    assert_string_equal(
        (const char *)out.data,
        "AWS4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature="
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_names),
        cmocka_unit_test(test_unsafe_names),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_nginx_types),
        cmocka_unit_test(test_mime_support_types),
        cmocka_unit_test(test_same_object),
        cmocka_unit_test(test_kept_part),
        cmocka_unit_test(test_stale_upload),
        cmocka_unit_test(test_part_size),
        cmocka_unit_test(test_metadata_of_a_copy),
        cmocka_unit_test(test_tags_of_a_copy),
        cmocka_unit_test(test_unfinished_file),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_published_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
