/*
 * core/: the requests of the published test suite of signature version 4, with
 * the signatures that it gives them:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-test-suite.html
 *
 * They are of no service of ours and have no x-amz-content-sha256: what
 * s3_sigv4_parse() reads from a request is filled in. S3 takes paths as they
 * are, so that those of "normalize-path" must not match until somebody has
 * normalised them.
 */
#include "core_fixture.h"

#include "s3_sigv4.h"
#include "s3_uri.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define UNRESERVED                                                             \
    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define VANILLA                                                                \
    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
#define POST_VANILLA                                                           \
    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
#define QUERY "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"
#define POST_QUERY                                                             \
    "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"
#define SLASHES                                                                \
    "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"
#define TOKEN                                                                  \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKW" \
    "HGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4" \
    "IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE" \
    "8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj" \
    "c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
#define BASIC "host;x-amz-date"
#define FORM  "application/x-www-form-urlencoded"

static const struct vector {
    const char *name, *method, *target;
    const char *headers; /* beside Host and the date: "name:value\n" each */
    const char *body, *signed_headers, *signature;
} vectors[] = {
    {"get-vanilla", "GET", "/", "", "", BASIC, VANILLA},
    {"get-vanilla-query", "GET", "/", "", "", BASIC, VANILLA},
    {"get-vanilla-empty-query-key", "GET", "/?Param1=value1", "", "", BASIC,
     QUERY},
    {"get-vanilla-query-order-key", "GET", "/?Param1=value2&Param1=Value1", "",
     "", BASIC,
     "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
    {"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1",
     "", "", BASIC,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-value", "GET", "/?Param1=value2&Param1=value1",
     "", "", BASIC,
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {"get-vanilla-query-unreserved", "GET", "/?" UNRESERVED "=" UNRESERVED, "",
     "", BASIC,
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query", "GET", "/?\xe1\x88\xb4=bar", "", "", BASIC,
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-utf8", "GET", "/\xe1\x88\xb4", "", "", BASIC,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-unreserved", "GET", "/" UNRESERVED, "", "", BASIC,
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-space", "GET", "/example space/", "", "", BASIC,
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-header-key-duplicate", "GET", "/",
     "my-header1:value2\nmy-header1:value2\nmy-header1:value1\n", "",
     "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    /* Folded lines do not get here: nginx refuses them. */
    {"get-header-value-multiline", "GET", "/",
     "my-header1:value1\nmy-header1:value2\nmy-header1:value3\n", "",
     "host;my-header1;x-amz-date",
     "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
    {"get-header-value-order", "GET", "/",
     "my-header1:value4\nmy-header1:value1\nmy-header1:value3\n"
     "my-header1:value2\n",
     "", "host;my-header1;x-amz-date",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim", "GET", "/",
     "my-header1: value1\nmy-header2: \"a   b   c\"\n", "",
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla", "POST", "/", "", "", BASIC, POST_VANILLA},
    {"post-vanilla-query", "POST", "/?Param1=value1", "", "", BASIC,
     POST_QUERY},
    {"post-vanilla-empty-query-value", "POST", "/?Param1=value1", "", "", BASIC,
     POST_QUERY},
    {"post-header-key-case", "POST", "/", "", "", BASIC, POST_VANILLA},
    {"post-header-key-sort", "POST", "/", "my-header1:value1\n", "",
     "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case", "POST", "/", "my-header1:VALUE1\n", "",
     "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-sts-header-before", "POST", "/", "x-amz-security-token:" TOKEN "\n",
     "", "host;x-amz-date;x-amz-security-token",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"post-sts-header-after", "POST", "/", "x-amz-security-token:" TOKEN "\n",
     "", BASIC, POST_VANILLA},
    {"post-x-www-form-urlencoded", "POST", "/", "content-type:" FORM "\n",
     "Param1=value1", "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded-parameters", "POST", "/",
     "content-type:" FORM "; charset=utf8\n", "Param1=value1",
     "content-type;host;x-amz-date",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
};

/* Of the folder normalize-path. */
static const struct path {
    const char *name, *target, *normalised, *signature;
} paths[] = {
    {"get-relative", "/example/..", "/", VANILLA},
    {"get-relative-relative", "/example1/example2/../..", "/", VANILLA},
    {"get-slash", "//", "/", VANILLA},
    {"get-slash-dot-slash", "/./", "/", VANILLA},
    {"get-slashes", "//example//", "/example/", SLASHES},
    {"get-slash-pointless-dot", "/./example", "/example",
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
};

static unsigned char key[S3_SIGV4_KEY_LEN];
static s3_sigv4_request_t request;
static s3_sigv4_t auth;
static s3_error_t error;

static int derive(void **state)
{
    static const char *const parts[] = {"20150830", "us-east-1", "service",
                                        "aws4_request"};
    const void *by = "AWS4" SECRET;
    size_t size = strlen("AWS4" SECRET);
    unsigned count;

    (void)state;
    for (size_t i = 0; i < COUNT(parts); i++) {
        assert_non_null(HMAC(EVP_sha256(), by, (int)size,
                             (const unsigned char *)parts[i], strlen(parts[i]),
                             key, &count));
        by = key;
        size = sizeof(key);
    }
    return 0;
}

static s3_str_t part(const char *start, const char *end)
{
    return (s3_str_t){(size_t)(end - start), (unsigned char *)start};
}

static s3_str_t literal(const char *text)
{
    return part(text, text + strlen(text));
}

/* Lines "name:value\n" behind Host and the date. */
static void add_headers(const char *lines)
{
    static s3_field_t headers[16];

    headers[0] =
        (s3_field_t){literal("host"), literal("example.amazonaws.com")};
    headers[1] =
        (s3_field_t){literal("x-amz-date"), literal("20150830T123600Z")};
    request.headers = headers;
    request.nheaders = 2;
    while (*lines != '\0') {
        const char *colon = strchr(lines, ':'), *end = strchr(lines, '\n');

        assert_true(request.nheaders < COUNT(headers) && colon < end);
        headers[request.nheaders++] =
            (s3_field_t){part(lines, colon), part(colon + 1, end)};
        lines = end + 1;
    }
}

static enum s3_error verify(const char *method, const char *target,
                            const char *headers, const char *body,
                            const char *signed_headers, const char *signature)
{
    static s3_field_t args[16];
    static char sha256[65];
    s3_str_t text = literal(target);
    unsigned char hash[EVP_MAX_MD_SIZE];
    int count;

    memset(&request, 0, sizeof(request));
    memset(&auth, 0, sizeof(auth));
    assert_int_equal(
        EVP_Digest(body, strlen(body), hash, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < 32; i++) {
        snprintf(sha256 + 2 * i, 3, "%02x", hash[i]);
    }
    request.method = literal(method);
    assert_int_equal(s3_uri_split(&text, &request.path, &request.query), 0);
    count = s3_uri_parse_query(&core_memory, &request.query, args, COUNT(args));
    assert_true(count >= 0);
    request.args = args;
    request.nargs = (size_t)count;
    add_headers(headers);
    auth.access_key = literal("AKIDEXAMPLE");
    auth.amz_date = literal("20150830T123600Z");
    auth.date = literal("20150830");
    auth.region = literal("us-east-1");
    auth.service = literal("service");
    auth.signed_headers = literal(signed_headers);
    auth.signature = literal(signature);
    auth.content_sha256 = literal(sha256);
    return s3_sigv4_verify(&core_memory, &request, &auth, key, &error);
}

static void the_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];

        if (verify(v->method, v->target, v->headers, v->body, v->signed_headers,
                   v->signature) != S3_OK) {
            fail_msg("%s does not match", v->name);
        }
        if (verify(v->method, v->target, v->headers, v->body[0] ? "" : "x",
                   v->signed_headers,
                   v->signature) != S3_ERR_SignatureDoesNotMatch) {
            fail_msg("%s matches another body", v->name);
        }
    }
}

static void paths_are_taken_as_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        const struct path *p = &paths[i];

        if (verify("GET", p->normalised, "", "", BASIC, p->signature) !=
            S3_OK) {
            fail_msg("%s does not match", p->name);
        }
        if (verify("GET", p->target, "", "", BASIC, p->signature) !=
            S3_ERR_SignatureDoesNotMatch) {
            fail_msg("%s is normalised", p->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(the_suite),
        core_test(paths_are_taken_as_they_are),
    };

    return cmocka_run_group_tests(tests, derive, NULL);
}
