/* core/: the request target, decoded exactly once. */
#include "core_fixture.h"

#include "s3_uri.h"

static void split(const char *target, const char *path, const char *query)
{
    s3_str_t in = core_str(target), p, q;

    assert_int_equal(s3_uri_split(&in, &p, &q), 0);
    core_assert_str(p, path);
    core_assert_str(q, query);
}

static void targets_split(void **state)
{
    (void)state;
    split("/", "/", "");
    split("/a%20b?x=1", "/a%20b", "x=1");
    split("/a?b?c", "/a", "b?c");
    split("/a?", "/a", "");
    split("//a/../b//", "//a/../b//", "");
    split("/http://x/y", "/http://x/y", "");
    split("http://host/a?b", "/a", "b");
    split("HTTPS://host:8080//a", "//a", "");
    split("http://host", "/", "");
    split("http://host?x", "/", "x");
}

static void targets_that_are_not(void **state)
{
    static const char *const bad[] = {
        "",      "*",       "a/b",     "?x",        "ftp://host/a",
        "http:", "http:/a", "http://", "http:///a", "host:443",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s3_str_t in = core_str(bad[i]), path, query;

        assert_int_equal(s3_uri_split(&in, &path, &query), -1);
    }
}

static void decode(const char *text, int plus, const char *expected)
{
    s3_str_t in = core_str(text), out;

    assert_int_equal(s3_uri_decode(&core_memory, &in, plus, &out), 0);
    core_assert_str(out, expected);
}

static void decoding_is_done_once(void **state)
{
    s3_str_t in = core_str("a%00b"), out;

    (void)state;
    decode("", 0, "");
    decode("/a%2Fb%2fc", 0, "/a/b/c");
    decode("%2520", 0, "%20");
    decode("a+b", 0, "a+b");
    decode("a+b%2B", 1, "a b+");
    decode("%e2%82%ac/./..//", 0, "\xe2\x82\xac/./..//");
    assert_int_equal(s3_uri_decode(&core_memory, &in, 0, &out), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "a\0b", 3);
}

static void malformed_escapes(void **state)
{
    static const char *const bad[] = {"%",   "%1",  "a%",   "a%2", "%zz",
                                      "%2g", "%g2", "%%20", "% 1"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s3_str_t in = core_str(bad[i]), out;

        assert_int_equal(s3_uri_decode(&core_memory, &in, 0, &out), -1);
    }
}

static void encode(const char *text, int keep_slash, const char *expected)
{
    s3_str_t in = core_str(text);
    s3_str_t out = {0, core_alloc(&core_pool, 3 * in.len)};

    out.len = (size_t)(s3_uri_encode(out.data, &in, keep_slash) - out.data);
    core_assert_str(out, expected);
}

static void encoding(void **state)
{
    (void)state;
    encode("", 0, "");
    encode("AZaz09-_.~", 0, "AZaz09-_.~");
    encode("a/b c", 1, "a/b%20c");
    encode("a/b", 0, "a%2Fb");
    encode("!*'()+&=%", 0, "%21%2A%27%28%29%2B%26%3D%25");
    encode("\xff\x7f\x01", 0, "%FF%7F%01");
}

/* Every byte survives the two ways. */
static void encode_then_decode(void **state)
{
    unsigned char all[256], encoded[3 * sizeof(all)];
    s3_str_t in = {sizeof(all), all}, middle = {0, encoded}, out;

    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (unsigned char)i;
    middle.len = (size_t)(s3_uri_encode(encoded, &in, 0) - encoded);
    assert_int_equal(s3_uri_decode(&core_memory, &middle, 0, &out), 0);
    assert_int_equal(out.len, sizeof(all));
    assert_memory_equal(out.data, all, sizeof(all));
}

static void queries(void **state)
{
    s3_str_t query = core_str("acl&&b=1&b=2&c=x=y&d%20e=%2B+&=v&");
    s3_field_t fields[6];

    (void)state;
    assert_int_equal(s3_uri_parse_query(&core_memory, &query, fields, 6), 6);
    core_assert_str(fields[0].name, "acl");
    core_assert_str(fields[0].value, "");
    core_assert_str(fields[1].value, "1");
    core_assert_str(fields[2].value, "2");
    core_assert_str(fields[3].value, "x=y");
    core_assert_str(fields[4].name, "d e");
    core_assert_str(fields[4].value, "+ ");
    core_assert_str(fields[5].name, "");
    core_assert_str(fields[5].value, "v");
    assert_int_equal(s3_uri_parse_query(&core_memory, &query, fields, 5), -1);

    assert_ptr_equal(s3_field_find(fields, 6, "b"), &fields[1]);
    assert_null(s3_field_find(fields, 6, "B"));
    assert_null(s3_field_find(fields, 0, "b"));
}

static void queries_that_are_none(void **state)
{
    s3_str_t empty = core_str(""), bad = core_str("a=1&b=%4");
    s3_field_t fields[4];

    (void)state;
    assert_int_equal(s3_uri_parse_query(&core_memory, &empty, fields, 4), 0);
    assert_int_equal(s3_uri_parse_query(&core_memory, &bad, fields, 4), -1);
}

static void without_memory(void **state)
{
    s3_str_t in = core_str("a=1"), out;
    s3_field_t fields[4];

    (void)state;
    core_pool.limit = core_pool.count;
    assert_int_equal(s3_uri_decode(&core_memory, &in, 0, &out), -1);
    assert_int_equal(s3_uri_parse_query(&core_memory, &in, fields, 4), -1);
    core_pool.limit++;
    assert_int_equal(s3_uri_parse_query(&core_memory, &in, fields, 4), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(targets_split),
        core_test(targets_that_are_not),
        core_test(decoding_is_done_once),
        core_test(malformed_escapes),
        core_test(encoding),
        core_test(encode_then_decode),
        core_test(queries),
        core_test(queries_that_are_none),
        core_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
