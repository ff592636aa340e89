/* core/: the error document, byte by byte. */
#include "core_fixture.h"

#include <stdio.h>

#include "s3_xml.h"

static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

static void assert_document(const s3_error_t *error, const char *resource,
                            const char *expected)
{
    s3_str_t r = core_str(resource), id = core_str("ID"), host = core_str("H");
    s3_str_t out;

    assert_int_equal(s3_xml_error(&core_memory, error, &r, &id, &host, &out),
                     0);
    assert_true(out.len > sizeof(head) - 1);
    assert_memory_equal(out.data, head, sizeof(head) - 1);
    out.data += sizeof(head) - 1;
    out.len -= sizeof(head) - 1;
    core_assert_str(out, expected);
}

static void the_tables_message(void **state)
{
    s3_error_t error;

    (void)state;
    s3_error_init(&error, S3_ERR_NoSuchKey);
    assert_document(&error, "/b/k",
                    "<Error><Code>NoSuchKey</Code><Message>The specified key "
                    "does not exist.</Message><Resource>/b/k</Resource>"
                    "<RequestId>ID</RequestId><HostId>H</HostId></Error>");
}

static void own_message_and_fields(void **state)
{
    s3_error_t error;
    s3_str_t name = core_str("max-keys"), value = core_str("<\"&'>");

    (void)state;
    s3_error_init(&error, S3_ERR_InvalidArgument);
    error.message = core_str("a < b");
    s3_error_add(&error, "ArgumentName", &name);
    s3_error_add(&error, "ArgumentValue", &value);
    assert_document(&error, "/b?x&y",
                    "<Error><Code>InvalidArgument</Code>"
                    "<Message>a &lt; b</Message>"
                    "<ArgumentName>max-keys</ArgumentName>"
                    "<ArgumentValue>&lt;&quot;&amp;'&gt;</ArgumentValue>"
                    "<Resource>/b?x&amp;y</Resource>"
                    "<RequestId>ID</RequestId><HostId>H</HostId></Error>");
}

static void resource_becomes(const void *data, size_t len, const char *expected)
{
    s3_error_t error;
    s3_str_t resource = core_bytes(data, len), out;
    char document[512];

    s3_error_init(&error, S3_ERR_InvalidURI);
    assert_int_equal(
        s3_xml_error(&core_memory, &error, &resource, NULL, NULL, &out), 0);
    snprintf(document, sizeof(document),
             "%s<Error><Code>InvalidURI</Code><Message>Couldn't parse the "
             "specified URI.</Message><Resource>%s</Resource></Error>",
             head, expected);
    core_assert_str(out, document);
}

#define R "\xef\xbf\xbd"

static void what_xml_cannot_hold(void **state)
{
    (void)state;
    resource_becomes("a\0b\x01\x1f", 5, "a" R "b" R R);
    resource_becomes("\t\n\r\x7f", 4, "\t\n&#13;\x7f");
    resource_becomes("\xe2\x82\xac\xf0\x9f\x98\x80", 7,
                     "\xe2\x82\xac\xf0\x9f\x98\x80");
    resource_becomes("\xff\xc0\xaf", 3, R R R);           /* never, overlong */
    resource_becomes("\xed\xa0\x80", 3, R R R);           /* surrogate */
    resource_becomes("\xef\xbf\xbe\xef\xbf\xbf", 6, R R); /* U+FFFE, U+FFFF */
    resource_becomes("\xf4\x90\x80\x80", 4, R R R R);     /* above U+10FFFF */
    resource_becomes("x\xe2\x82", 3, "x" R R);            /* cut short */
}

static void no_more_fields_than_fit(void **state)
{
    s3_error_t error;
    s3_str_t value = core_str("v");

    (void)state;
    s3_error_init(&error, S3_ERR_InternalError);
    for (int i = 0; i < S3_ERROR_FIELDS_MAX + 3; i++)
        s3_error_add(&error, "F", &value);
    assert_int_equal(error.nfields, S3_ERROR_FIELDS_MAX);
}

static void long_text_is_cut(void **state)
{
    s3_error_t error;
    s3_str_t resource = {1 << 20, core_alloc(&core_pool, 1 << 20)}, out;

    (void)state;
    memset(resource.data, '"', resource.len);
    s3_error_init(&error, S3_ERR_InvalidURI);
    assert_int_equal(
        s3_xml_error(&core_memory, &error, &resource, NULL, NULL, &out), 0);
    assert_true(out.len > 6 * 256 * 1024);
    assert_true(out.len < 6 * 256 * 1024 + 256);
    assert_memory_equal(out.data + out.len - 8, "</Error>", 8);
}

static void without_memory(void **state)
{
    s3_error_t error;
    s3_str_t out;

    (void)state;
    s3_error_init(&error, S3_ERR_InternalError);
    core_pool.limit = core_pool.count;
    assert_int_equal(s3_xml_error(&core_memory, &error, NULL, NULL, NULL, &out),
                     -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(the_tables_message),   core_test(own_message_and_fields),
        core_test(what_xml_cannot_hold), core_test(no_more_fields_than_fit),
        core_test(long_text_is_cut),     core_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
