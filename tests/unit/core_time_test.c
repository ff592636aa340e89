/* core/: times of SigV4 and HTTP, both ways. */
#include "core_fixture.h"

#include "s3_time.h"

static time_t amz(const char *text)
{
    s3_str_t str = core_str(text);

    return s3_time_parse_amz(&str);
}

static time_t http(const char *text)
{
    s3_str_t str = core_str(text);

    return s3_time_parse_http(&str);
}

static void amz_times(void **state)
{
    (void)state;
    assert_int_equal(amz("19700101T000000Z"), 0);
    assert_int_equal(amz("20130524T000000Z"), 1369353600);
    assert_int_equal(amz("20000229T235959Z"), 951868799);
    assert_int_equal(amz("20240301T000000Z"), 1709251200);
    assert_int_equal(amz("99991231T235959Z"), 253402300799);
}

static void amz_times_that_are_not(void **state)
{
    static const char *const bad[] = {
        "",
        "2013",
        "20130524T000000",
        "20130524T000000z",
        "20130524 000000Z",
        "2013-05-24T00:00:00Z",
        "20130524T000000Z ",
        "20131324T000000Z",
        "20130024T000000Z",
        "20130500T000000Z",
        "20130532T000000Z",
        "20130431T000000Z",
        "20130229T000000Z",
        "21000229T000000Z",
        "20130524T240000Z",
        "20130524T006000Z",
        "20130524T000060Z",
        "19691231T235959Z",
        "2013052aT000000Z",
        "-0130524T000000Z",
        "+2013524T000000Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(amz(bad[i]), -1);
}

/* The examples of RFC 9110 5.6.7. */
static void three_http_forms(void **state)
{
    (void)state;
    assert_int_equal(http("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    assert_int_equal(http("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    assert_int_equal(http("Sun Nov  6 08:49:37 1994"), 784111777);
    assert_int_equal(http("Wednesday, 09-Feb-22 22:15:46 GMT"), 1644444946);
    assert_int_equal(http("Wed Feb 16 22:15:46 2022"), 1645049746);
    assert_int_equal(http("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228799);
}

static void http_times_that_are_not(void **state)
{
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06-Nov-9x 08:49:37 GMT",
        "Sunday",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov xx 08:49:37 1994",
        "784111777",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http(bad[i]), -1);
}

static void formats(void **state)
{
    s3_str_t out = {S3_TIME_AMZ_LEN, core_alloc(&core_pool, 16)};
    s3_str_t iso = {S3_TIME_ISO_LEN, core_alloc(&core_pool, 20)};

    (void)state;
    s3_time_format_amz(1369353600, out.data);
    core_assert_str(out, "20130524T000000Z");
    s3_time_format_iso(784111777, iso.data);
    core_assert_str(iso, "1994-11-06T08:49:37Z");
    s3_time_format_iso(-5, iso.data);
    core_assert_str(iso, "1970-01-01T00:00:00Z");
    s3_time_format_iso(INT64_MAX, iso.data);
    core_assert_str(iso, "9999-12-31T23:59:59Z");
}

/* Every day of more than one 400-year era, odd seconds within. */
static void what_is_written_reads_the_same(void **state)
{
    s3_str_t out = {S3_TIME_AMZ_LEN, core_alloc(&core_pool, 16)};

    (void)state;
    for (time_t t = 0; t < 15000000000; t += 86399) {
        s3_time_format_amz(t, out.data);
        assert_int_equal(s3_time_parse_amz(&out), t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(amz_times),        core_test(amz_times_that_are_not),
        core_test(three_http_forms), core_test(http_times_that_are_not),
        core_test(formats),          core_test(what_is_written_reads_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
