/* core/: Accept-Encoding. */
#include "core_fixture.h"

#include "s3_accept.h"

#include <stdio.h>

/* What is taken of br, zstd, gzip and identity: "br:1000 identity:0". */
static void check(const char *header, const char *wanted)
{
    s3_coding_t codings[] = {{.name = s3_string("br")},
                             {.name = s3_string("zstd")},
                             {.name = s3_string("gzip")},
                             {.name = s3_string("identity")}};
    s3_str_t value = {0, NULL};
    char text[256] = "";
    size_t at = 0;

    if (header != NULL) {
        value = core_str(header);
    }
    s3_accept(&value, codings, 4);
    for (size_t i = 0; i < 4; i++) {
        at +=
            (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s:%u",
                             i > 0 ? " " : "", (int)codings[i].name.len,
                             (const char *)codings[i].name.data, codings[i].q);
    }
    assert_string_equal(text, wanted);
}

static void qualities(void **state)
{
    (void)state;
    check(NULL, "br:0 zstd:0 gzip:0 identity:0");
    check("", "br:0 zstd:0 gzip:0 identity:0");
    check("gzip", "gzip:1000 br:0 zstd:0 identity:0");
    check("gzip, deflate, br", "br:1000 gzip:1000 zstd:0 identity:0");
    check("GZIP;Q=0.5,Br ; q=0.8", "br:800 gzip:500 zstd:0 identity:0");
    check("br;q=0, *", "zstd:1000 gzip:1000 identity:1000 br:0");
    check("*;q=0.25, gzip", "gzip:1000 br:250 zstd:250 identity:250");
    check("gzip;q=0.5, identity", "identity:1000 gzip:500 br:0 zstd:0");
    check("identity;q=0, gzip;q=0.001", "gzip:1 br:0 zstd:0 identity:0");
    check("x-gzip", "gzip:1000 br:0 zstd:0 identity:0");
    check("gzip;level=9;q=0.3", "gzip:300 br:0 zstd:0 identity:0");
    check("gzip;q=1.000", "gzip:1000 br:0 zstd:0 identity:0");
    check("gzip;q=1.999", "gzip:1000 br:0 zstd:0 identity:0");
}

static void malformed(void **state)
{
    static const char *const headers[] = {
        "gzip;q=",    "gzip;q=2",      "gzip;q=0.1234", "gzip;q=.5",
        "gzip;q=0,5", "gzip;q=0.5x",   "gzip;q=-1",     "gzi",
        "gzipp",      ",;,;q=1,,,;;,", "gzip q=1",      "gzip;q=0"};

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        check(headers[i], "br:0 zstd:0 gzip:0 identity:0");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(qualities),
        core_test(malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
