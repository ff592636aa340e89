/*
 * core/: signature version 4. The examples are those of
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * and of the pages on query and streaming signatures beside it.
 */
#include "core_fixture.h"

#include "s3_sigv4.h"
#include "s3_uri.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#define EMPTY_SHA256                                                           \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define NOW        1369353600 /* 20130524T000000Z */
#define SCOPE      "/20130524/us-east-1/s3/aws4_request"
#define CREDENTIAL "AKIAIOSFODNN7EXAMPLE" SCOPE
#define HOST       "host: examplebucket.s3.amazonaws.com\n"
#define DATE       "x-amz-date: 20130524T000000Z\n"
#define SHA        "x-amz-content-sha256: " EMPTY_SHA256 "\n"
#define LIST       "host;x-amz-content-sha256;x-amz-date"
#define ZEROS64                                                                \
    "0000000000000000000000000000000000000000000000000000000000000000"
#define AUTHORIZE(list, signature)                                             \
    "authorization: AWS4-HMAC-SHA256 Credential=" CREDENTIAL                   \
    ",SignedHeaders=" list ",Signature=" signature "\n"

#define UNSIGNED_MESSAGE                                                       \
    "There were headers present in the request which were not signed"
#define MALFORMED       "The authorization header is malformed; "
#define MALFORMED_QUERY "Error parsing the X-Amz-Credential parameter; "

static s3_sigv4_request_t request;
static s3_field_t headers[64], args[64];
static s3_sigv4_t auth;
static s3_error_t error;
static unsigned char key[S3_SIGV4_KEY_LEN];

static void mac(unsigned char *out, const void *by, size_t len,
                const char *text)
{
    unsigned size;

    assert_non_null(HMAC(EVP_sha256(), by, (int)len,
                         (const unsigned char *)text, strlen(text), out,
                         &size));
}

static int derive(void **state)
{
    static const char secret[] = "AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    (void)state;
    mac(key, secret, sizeof(secret) - 1, "20130524");
    mac(key, key, sizeof(key), "us-east-1");
    mac(key, key, sizeof(key), "s3");
    mac(key, key, sizeof(key), "aws4_request");
    return 0;
}

/* Lines "name: value\n"; the value is kept with its blanks. */
static void add_headers(const char *lines)
{
    request.headers = headers;
    request.nheaders = 0;
    while (*lines != '\0') {
        const char *colon = strchr(lines, ':'), *end = strchr(lines, '\n');
        s3_field_t *field = &headers[request.nheaders++];

        assert_true(request.nheaders <= 64 && colon && end && colon < end);
        field->name = core_bytes(lines, (size_t)(colon - lines));
        field->value = core_bytes(colon + 1, (size_t)(end - colon - 1));
        lines = end + 1;
    }
    for (size_t i = 0; i < request.nheaders; i++) { /* as nginx trims them */
        while (headers[i].value.len > 0 && headers[i].value.data[0] == ' ') {
            headers[i].value.data++;
            headers[i].value.len--;
        }
    }
}

static const char *body_sha256; /* of a form of IAM; NULL: it is S3's */

static enum s3_error parse_at(time_t now, const char *method,
                              const char *target, const char *lines)
{
    s3_str_t text = core_str(target);
    s3_str_t region = request.region;
    int nargs;

    memset(&request, 0, sizeof(request));
    memset(&error, 0x5a, sizeof(error));
    request.region = region;
    request.now = now;
    if (body_sha256 != NULL)
        request.body_sha256 = core_str(body_sha256);
    request.method = core_str(method);
    assert_int_equal(s3_uri_split(&text, &request.path, &request.query), 0);
    nargs = s3_uri_parse_query(&core_memory, &request.query, args, 64);
    assert_true(nargs >= 0);
    request.args = args;
    request.nargs = (size_t)nargs;
    add_headers(lines);
    return s3_sigv4_parse(&core_memory, &request, &auth, &error);
}

static enum s3_error parse(const char *method, const char *target,
                           const char *lines)
{
    return parse_at(NOW, method, target, lines);
}

static enum s3_error verify(void)
{
    return s3_sigv4_verify(&core_memory, &request, &auth, key, &error);
}

static s3_str_t field_of(const char *name)
{
    s3_field_t *field = s3_field_find(error.fields, error.nfields, name);

    if (field == NULL)
        fail_msg("no field %s", name);
    return field->value;
}

static void assert_field(const char *name, const char *value)
{
    core_assert_str(field_of(name), value);
}

static void assert_error(enum s3_error rc, enum s3_error code,
                         const char *message)
{
    assert_string_equal(s3_error_code(rc), s3_error_code(code));
    assert_int_equal(error.code, code);
    core_assert_str(error.message, message);
}

/* --- the published examples ------------------------------------------------*/

static void get_object(void **state)
{
    (void)state;
    assert_int_equal(
        parse(
            "GET", "/test.txt",
            HOST "range: bytes=0-9\n" SHA DATE AUTHORIZE(
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bd"
                "b41")),
        S3_OK);
    assert_false(auth.anonymous);
    assert_false(auth.presigned);
    core_assert_str(auth.access_key, "AKIAIOSFODNN7EXAMPLE");
    core_assert_str(auth.date, "20130524");
    core_assert_str(auth.region, "us-east-1");
    core_assert_str(auth.amz_date, "20130524T000000Z");
    core_assert_str(auth.content_sha256, EMPTY_SHA256);
    core_assert_str(auth.session_token, "");
    assert_int_equal(auth.payload, S3_PAYLOAD_SIGNED);
    assert_int_equal(auth.time, NOW);
    assert_int_equal(verify(), S3_OK);
}

#define PUT_HEADERS                                                            \
    "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e420" \
    "34a8b803f8b072\n"                                                         \
    "x-amz-storage-class: REDUCED_REDUNDANCY\n" AUTHORIZE(                     \
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",       \
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")

/* https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html:
 * not by POST, but the signature does not care. */
#define IAM_DATE "20150830T123600Z"
#define IAM_HEADERS                                                            \
    "content-type: application/x-www-form-urlencoded; charset=utf-8\n"         \
    "host: iam.amazonaws.com\nx-amz-date: " IAM_DATE "\n"
#define IAM_AUTHORIZE(service, region)                                         \
    "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/" region  \
    "/" service "/aws4_request, SignedHeaders=content-type;host;x-amz-date, "  \
    "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5" \
    "d7\n"
#define IAM_TARGET "/?Action=ListUsers&Version=2010-05-08"
#define IAM_NOW    1440938160

static enum s3_error parse_iam(const char *lines)
{
    return parse_at(IAM_NOW, "GET", IAM_TARGET, lines);
}

static void forms_of_iam(void **state)
{
    static const char secret[] = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    static const char lines[] = IAM_HEADERS IAM_AUTHORIZE("iam", "us-east-1");
    s3_str_t body = core_str(""), hex;

    (void)state;
    mac(key, secret, sizeof(secret) - 1, "20150830");
    mac(key, key, sizeof(key), "us-east-1");
    mac(key, key, sizeof(key), "iam");
    mac(key, key, sizeof(key), "aws4_request");

    assert_int_equal(s3_sigv4_digest(&core_memory, &body, &hex), 0);
    core_assert_str(hex, EMPTY_SHA256);
    body_sha256 = EMPTY_SHA256;
    assert_int_equal(parse_iam(lines), S3_OK);
    core_assert_str(auth.service, "iam");
    core_assert_str(auth.content_sha256, EMPTY_SHA256);
    assert_int_equal(auth.payload, S3_PAYLOAD_SIGNED);
    assert_int_equal(verify(), S3_OK);
    /* the service and the body are part of what is signed */
    assert_int_equal(parse_iam(IAM_HEADERS IAM_AUTHORIZE("sts", "us-east-1")),
                     S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    body_sha256 = ZEROS64;
    assert_int_equal(parse_iam(lines), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);

    body_sha256 = EMPTY_SHA256;
    request.region = core_str("eu-west-1"); /* clients choose their own */
    assert_int_equal(parse_iam(lines), S3_OK);
    request.region = core_str("");
    assert_int_equal(parse_iam(IAM_HEADERS IAM_AUTHORIZE("s3", "us-east-1")),
                     S3_ERR_MethodNotAllowed);
    assert_int_equal(parse_iam(IAM_HEADERS IAM_AUTHORIZE("ec2", "us-east-1")),
                     S3_ERR_MethodNotAllowed);
    assert_int_equal(parse_iam(IAM_HEADERS), S3_OK);
    assert_true(auth.anonymous);
    assert_int_equal(auth.payload, S3_PAYLOAD_UNSIGNED);

    body_sha256 = NULL; /* nothing but a form is signed for IAM */
    assert_int_equal(parse_iam(lines), S3_ERR_AuthorizationHeaderMalformed);
    derive(NULL);
}

static void forms_say_what_they_are(void **state)
{
    static const struct {
        const char *sha256;
        enum s3_error error;
    } cases[] = {
        {EMPTY_SHA256, S3_OK},
        {" " EMPTY_SHA256 " ", S3_OK},
        {ZEROS64, S3_ERR_XAmzContentSHA256Mismatch},
        {"UNSIGNED-PAYLOAD", S3_ERR_XAmzContentSHA256Mismatch},
        {"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
         S3_ERR_XAmzContentSHA256Mismatch},
        {"", S3_ERR_XAmzContentSHA256Mismatch},
    };
    char lines[1024];
    size_t i;

    (void)state;
    body_sha256 = EMPTY_SHA256;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(lines, sizeof(lines),
                 "host: h\nx-amz-date: " IAM_DATE "\nx-amz-content-sha256: %s\n"
                 "authorization: AWS4-HMAC-SHA256 Credential=A/20150830/r/iam/"
                 "aws4_request,SignedHeaders=" LIST ",Signature=s\n",
                 cases[i].sha256);
        assert_int_equal(parse_iam(lines), cases[i].error);
    }
    body_sha256 = NULL;
}

static void put_object(void **state)
{
    static const char lines[] =
        HOST "date: Fri, 24 May 2013 00:00:00 GMT\n" DATE PUT_HEADERS;
    static const char *const targets[] = {
        "/test$file.text", "/test%24file.text", "/%74est$file%2etext"};

    (void)state;
    for (size_t i = 0; i < 3; i++) { /* all mean the same key */
        assert_int_equal(parse("PUT", targets[i], lines), S3_OK);
        assert_int_equal(verify(), S3_OK);
    }
    assert_int_equal(parse("PUT", "/test%2524file.text", lines), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    assert_int_equal(parse("PUT", "/./test$file.text", lines), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
}

static void get_lifecycle(void **state)
{
    static const char lines[] = HOST SHA DATE AUTHORIZE(
        LIST,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

    (void)state;
    assert_int_equal(parse("GET", "/?lifecycle", lines), S3_OK);
    assert_int_equal(verify(), S3_OK);
    assert_int_equal(parse("GET", "/?lifecycle=", lines), S3_OK);
    assert_int_equal(verify(), S3_OK);
    assert_int_equal(parse("HEAD", "/?lifecycle", lines), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
}

static void list_objects(void **state)
{
    static const char lines[] = HOST SHA DATE AUTHORIZE(
        LIST,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");

    (void)state;
    assert_int_equal(parse("GET", "/?max-keys=2&prefix=J", lines), S3_OK);
    assert_int_equal(verify(), S3_OK);
    assert_int_equal(parse("GET", "/?prefix=%4a&max%2Dkeys=2", lines), S3_OK);
    assert_int_equal(verify(), S3_OK);
    assert_int_equal(parse("GET", "/?max-keys=3&prefix=J", lines), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
}

#define STREAM_LIST                                                            \
    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"    \
    "x-amz-decoded-content-length;x-amz-storage-class"

static void streaming_seed(void **state)
{
    (void)state;
    assert_int_equal(
        parse("PUT", "/examplebucket/chunkObject.txt",
              "host: s3.amazonaws.com\n" DATE
              "x-amz-storage-class: REDUCED_REDUNDANCY\n"
              "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\n"
              "content-encoding: aws-chunked\n"
              "x-amz-decoded-content-length: 66560\n"
              "content-length: 66824\n" AUTHORIZE(
                  STREAM_LIST, "4f232c4386841ef735655705268965c44a0e4690baa4ade"
                               "a153f7db9fa80a0a9")),
        S3_OK);
    assert_int_equal(auth.payload, S3_PAYLOAD_STREAMING_SIGNED);
    assert_int_equal(verify(), S3_OK);
}

#define QUERY(credential, date, expires, list)                                 \
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" credential  \
    "&X-Amz-Date=" date "&X-Amz-Expires=" expires "&X-Amz-SignedHeaders=" list \
    "&X-Amz-Signature="                                                        \
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
#define PRESIGNED                                                              \
    QUERY("AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",   \
          "20130524T000000Z", "86400", "host")

static void presigned(void **state)
{
    (void)state;
    assert_int_equal(parse("GET", PRESIGNED, HOST), S3_OK);
    assert_true(auth.presigned);
    assert_int_equal(auth.expires, 86400);
    assert_int_equal(auth.payload, S3_PAYLOAD_UNSIGNED);
    core_assert_str(auth.content_sha256, "UNSIGNED-PAYLOAD");
    assert_int_equal(verify(), S3_OK);

    assert_int_equal(parse("PUT", PRESIGNED, HOST), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    assert_int_equal(parse("GET", PRESIGNED "&versionId=1", HOST), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    assert_int_equal(parse("GET", PRESIGNED, "host: other\n"), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
}

/* --- the canonical request -------------------------------------------------*/

static void canonical_request(void **state)
{
    (void)state;
    assert_int_equal(
        parse(
            "GET",
            "/b/a%2fb%20c+%c3%a9//..?b=2&a-b=1&a=%7e&a=*&a=b+c&acl&a%2Bb",
            "host: h:8080\n" SHA DATE "x-amz-meta-a:   one  \t two   \n"
            "x-amz-meta-b: 1\nx-amz-meta-a: three\nx-amz-meta-c: \n" AUTHORIZE(
                LIST ";x-amz-meta-a;x-amz-meta-b;x-amz-meta-c;x-none",
                ZEROS64)),
        S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    assert_field(
        "CanonicalRequest",
        "GET\n"
        "/b/a/b%20c%2B%C3%A9//..\n"
        "a=%2A&a=b%20c&a=~&a%2Bb=&a-b=1&acl=&b=2\n"
        "host:h:8080\n"
        "x-amz-content-sha256:" EMPTY_SHA256 "\n"
        "x-amz-date:20130524T000000Z\n"
        "x-amz-meta-a:one two,three\n"
        "x-amz-meta-b:1\n"
        "x-amz-meta-c:\n"
        "x-none:\n"
        "\n" LIST
        ";x-amz-meta-a;x-amz-meta-b;x-amz-meta-c;x-none\n" EMPTY_SHA256);
}

static void a_mismatch_shows_what_was_signed(void **state)
{
    (void)state;
    assert_int_equal(
        parse("GET", "/?lifecycle", HOST SHA DATE AUTHORIZE(LIST, ZEROS64)),
        S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    assert_int_equal(error.code, S3_ERR_SignatureDoesNotMatch);
    assert_int_equal(error.nfields, 6);
    assert_field("AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE");
    assert_field("SignatureProvided", ZEROS64);
    assert_field(
        "StringToSign",
        "AWS4-HMAC-SHA256\n20130524T000000Z\n"
        "20130524/us-east-1/s3/aws4_request\n"
        "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395"
        "ca");
    assert_int_equal(field_of("StringToSignBytes").len,
                     3 * field_of("StringToSign").len - 1);
    assert_memory_equal(field_of("StringToSignBytes").data, "41 57 53 34 2d",
                        14);
    assert_int_equal(field_of("CanonicalRequestBytes").len,
                     3 * field_of("CanonicalRequest").len - 1);
}

static void signatures_of_another_length(void **state)
{
    static const char *const bad[] = {
        "f", "FEA454CA298B7DA1C68078A5D1BDBFBBE0D65C699E0F91AC7A200A0136783543",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a01367835430"};
    char lines[2048];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(lines, sizeof(lines), HOST SHA DATE AUTHORIZE(LIST, "%s"),
                 bad[i]);
        assert_int_equal(parse("GET", "/?lifecycle", lines), S3_OK);
        assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    }
}

static void another_key(void **state)
{
    (void)state;
    assert_int_equal(parse("GET", PRESIGNED, HOST), S3_OK);
    key[31] ^= 1;
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    key[31] ^= 1;
    assert_int_equal(verify(), S3_OK);
}

static void a_large_request_is_not_echoed(void **state)
{
    char *lines = core_alloc(&core_pool, 65536);

    (void)state;
    snprintf(lines, 65536, HOST SHA DATE "x-amz-meta-x: %020000d\n%s", 7,
             AUTHORIZE(LIST ";x-amz-meta-x", ZEROS64));
    assert_int_equal(parse("GET", "/", lines), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    assert_int_equal(error.nfields, 4);
}

/* --- mechanisms ------------------------------------------------------------*/

static void anonymous(void **state)
{
    (void)state;
    assert_int_equal(parse("GET", "/b/k?versionId=1", HOST), S3_OK);
    assert_true(auth.anonymous);
    assert_int_equal(auth.access_key.len, 0);
    assert_int_equal(auth.payload, S3_PAYLOAD_UNSIGNED);
    assert_int_equal(verify(), S3_ERR_AccessDenied);

    assert_int_equal(
        parse("PUT", "/b/k",
              HOST
              "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\n"),
        S3_OK);
    assert_int_equal(auth.payload, S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER);
    assert_error(
        parse("PUT", "/b/k",
              HOST "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
                   "\n"),
        S3_ERR_AccessDenied, "");
}

static void version_2_is_refused(void **state)
{
    static const char message[] =
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256.";

    (void)state;
    assert_error(parse("GET", "/", HOST "authorization: AWS AKID:c2ln\n"),
                 S3_ERR_InvalidRequest, message);
    assert_error(
        parse("GET", "/b/k?AWSAccessKeyId=A&Signature=s&Expires=1", HOST),
        S3_ERR_InvalidRequest, message);
    assert_error(parse("GET", "/b/k?AWSAccessKeyId=A&Expires=1", HOST),
                 S3_ERR_AccessDenied,
                 "Query-string authentication requires the Signature, Expires "
                 "and AWSAccessKeyId parameters");
}

static void one_mechanism_only(void **state)
{
    static const char message[] =
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query "
        "parameter, Signature query string parameter or the Authorization "
        "header should be specified";

    (void)state;
    assert_error(
        parse("GET", PRESIGNED, HOST SHA DATE AUTHORIZE(LIST, ZEROS64)),
        S3_ERR_InvalidArgument, message);
    assert_field("ArgumentName", "Authorization");
    assert_field("ArgumentValue", "AWS4-HMAC-SHA256");
    assert_error(parse("GET", PRESIGNED "&AWSAccessKeyId=A&Signature=s", HOST),
                 S3_ERR_InvalidArgument, message);
    assert_error(parse("GET", "/?AWSAccessKeyId=A&Signature=s",
                       HOST "authorization: AWS A:s\n"),
                 S3_ERR_InvalidArgument, message);
}

static void other_schemes(void **state)
{
    (void)state;
    assert_error(parse("GET", "/", HOST "authorization: Basic dXNlcjpwYXNz\n"),
                 S3_ERR_InvalidArgument, "Unsupported Authorization Type");
    assert_field("ArgumentName", "Authorization");
    assert_field("ArgumentValue", "Basic");
    assert_error(parse("GET", "/", HOST "authorization: AWS4-HMAC-SHA512 C\n"),
                 S3_ERR_InvalidArgument, "Unsupported Authorization Type");
    assert_error(parse("GET", "/", HOST "authorization: \n"),
                 S3_ERR_InvalidArgument, "Unsupported Authorization Type");
    assert_error(parse("GET", "/",
                       HOST "authorization: AWS4-ECDSA-P256-SHA256 "
                            "Credential=a\n"),
                 S3_ERR_NotImplemented, "");
    assert_field("Header", "Authorization");
}

/* --- the Authorization header ----------------------------------------------*/

static void header_is(const char *authorization, const char *message)
{
    char lines[2048], expected[512];

    snprintf(lines, sizeof(lines), "%sauthorization: AWS4-HMAC-SHA256 %s\n",
             HOST SHA DATE, authorization);
    snprintf(expected, sizeof(expected), MALFORMED "%s", message);
    assert_error(parse("GET", "/", lines), S3_ERR_AuthorizationHeaderMalformed,
                 expected);
}

static void credential_is(const char *credential, const char *message)
{
    char text[512];

    snprintf(text, sizeof(text), "Credential=%s,SignedHeaders=%s,Signature=%s",
             credential, LIST, ZEROS64);
    header_is(text, message);
}

static void malformed_headers(void **state)
{
    static const char three[] =
        "the authorization header requires three components: Credential, "
        "SignedHeaders, and Signature.";
    static const char form[] =
        "the Credential is mal-formed; expecting "
        "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
    char region[128];

    (void)state;
    header_is("", three);
    header_is("Credential=" CREDENTIAL, three);
    header_is("Credential=" CREDENTIAL ",SignedHeaders=host", three);
    header_is("SignedHeaders=host,Signature=s", three);
    header_is("Credential=,SignedHeaders=host,Signature=s", three);
    header_is("Credential=a,Credential=b,SignedHeaders=host,Signature=s",
              "a component is repeated.");
    credential_is("AKID", form);
    credential_is("AKID/20130524/us-east-1/s3", form);
    credential_is("AKID/20130524/us-east-1/s3/aws4_request/x", form);
    credential_is("AKID/20130524//s3/aws4_request", form);
    snprintf(region, sizeof(region), "AKID/20130524/%065d/s3/aws4_request", 0);
    credential_is(region, form);
    credential_is(SCOPE, "a non-empty Access Key (AKID) must be provided in "
                         "the credential.");
    credential_is("AKID/2013052x/us-east-1/s3/aws4_request",
                  "incorrect date format \"2013052x\". This date in the "
                  "credential must be in the format \"yyyyMMdd\".");
    credential_is("AKID/130524/us-east-1/s3/aws4_request",
                  "incorrect date format \"130524\". This date in the "
                  "credential must be in the format \"yyyyMMdd\".");
    credential_is("AKID/20130524/us-east-1/ec2/aws4_request",
                  "incorrect service \"ec2\". This endpoint belongs to "
                  "\"s3\".");
    credential_is("AKID/20130524/us-east-1/s3/aws5_request",
                  "incorrect terminal \"aws5_request\". This endpoint uses "
                  "\"aws4_request\".");
    credential_is("AKID/20130523/us-east-1/s3/aws4_request",
                  "Invalid credential date \"20130523\". This date is not the "
                  "same as X-Amz-Date: \"20130524\".");
}

static void blanks_between_components(void **state)
{
    (void)state;
    assert_int_equal(
        parse("GET", "/?lifecycle",
              HOST SHA DATE
              "authorization: AWS4-HMAC-SHA256  Credential=" CREDENTIAL
              " ,  SignedHeaders=" LIST ", Signature="
              "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
              "\n"),
        S3_OK);
    assert_int_equal(verify(), S3_OK);
}

static void malformed_lists(void **state)
{
    static const char *const bad[] = {"host;", ";host",           "host;;range",
                                      ";",     "host;range;host", "Host",
                                      "ho st"};
    char text[4096];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text),
                 "Credential=" CREDENTIAL ",SignedHeaders=%s,Signature=s",
                 bad[i]);
        header_is(text, "the SignedHeaders are mal-formed.");
    }
}

static void too_many_signed_headers(void **state)
{
    char lines[4096] =
        HOST SHA DATE "authorization: AWS4-HMAC-SHA256 Credential=" CREDENTIAL
                      ",Signature=" ZEROS64 ",SignedHeaders=" LIST;
    size_t len = strlen(lines);

    (void)state;
    for (int i = 3; i < S3_SIGV4_HEADERS_MAX; i++)
        len += (size_t)snprintf(lines + len, sizeof(lines) - len, ";x%d", i);
    strcpy(lines + len, "\n");
    assert_int_equal(parse("GET", "/", lines), S3_OK);
    assert_int_equal(verify(), S3_ERR_SignatureDoesNotMatch);
    strcpy(lines + len, ";y\n");
    assert_error(parse("GET", "/", lines), S3_ERR_AuthorizationHeaderMalformed,
                 MALFORMED "the SignedHeaders are mal-formed.");
}

static void wrong_region(void **state)
{
    (void)state;
    request.region = core_str("eu-west-1");
    assert_error(parse("GET", "/", HOST SHA DATE AUTHORIZE(LIST, ZEROS64)),
                 S3_ERR_AuthorizationHeaderMalformed,
                 MALFORMED
                 "the region 'us-east-1' is wrong; expecting 'eu-west-1'");
    assert_field("Region", "eu-west-1");
    assert_error(parse("GET", PRESIGNED, HOST),
                 S3_ERR_AuthorizationQueryParametersError,
                 MALFORMED_QUERY
                 "the region 'us-east-1' is wrong; expecting 'eu-west-1'");
    assert_field("Region", "eu-west-1");
    request.region = core_str("us-east-1");
    assert_int_equal(parse("GET", PRESIGNED, HOST), S3_OK);
    memset(&request, 0, sizeof(request));
}

static void long_access_keys(void **state)
{
    char lines[1024];

    (void)state;
    snprintf(lines, sizeof(lines),
             HOST SHA DATE
             "authorization: AWS4-HMAC-SHA256 Credential=%0129d" SCOPE
             ",SignedHeaders=" LIST ",Signature=" ZEROS64 "\n",
             0);
    assert_error(parse("GET", "/", lines), S3_ERR_InvalidAccessKeyId, "");
}

static void session_tokens(void **state)
{
    (void)state;
    assert_int_equal(parse("GET", "/",
                           HOST SHA DATE
                           "x-amz-security-token: tok\n" AUTHORIZE(
                               LIST ";x-amz-security-token", ZEROS64)),
                     S3_OK);
    core_assert_str(auth.session_token, "tok");
    assert_int_equal(
        parse("GET", PRESIGNED "&X-Amz-Security-Token=a%2Bb", HOST), S3_OK);
    core_assert_str(auth.session_token, "a+b");
}

/* --- what must be signed ---------------------------------------------------*/

static void unsigned_headers(void **state)
{
    (void)state;
    assert_error(parse("GET", "/",
                       HOST SHA DATE
                       "x-amz-acl: private\nx-other: 1\n"
                       "x-amz-meta-a: b\n" AUTHORIZE(LIST, ZEROS64)),
                 S3_ERR_AccessDenied, UNSIGNED_MESSAGE);
    assert_field("HeadersNotSigned", "x-amz-acl, x-amz-meta-a");
    assert_error(parse("GET", "/",
                       HOST SHA DATE AUTHORIZE(
                           "x-amz-content-sha256;x-amz-date", ZEROS64)),
                 S3_ERR_AccessDenied, UNSIGNED_MESSAGE);
    assert_field("HeadersNotSigned", "host");
    assert_error(parse("PUT", PRESIGNED, HOST "x-amz-acl: public-read\n"),
                 S3_ERR_AccessDenied, UNSIGNED_MESSAGE);
    assert_field("HeadersNotSigned", "x-amz-acl");
    assert_int_equal(parse("GET", PRESIGNED, HOST "x-amzn-trace-id: 1\n"),
                     S3_OK);
}

static void payload(const char *value, s3_payload_e expected)
{
    char lines[1024];

    snprintf(lines, sizeof(lines),
             HOST DATE "x-amz-content-sha256: %s\n" AUTHORIZE(LIST, ZEROS64),
             value);
    assert_int_equal(parse("PUT", "/b/k", lines), S3_OK);
    assert_int_equal(auth.payload, expected);
    core_assert_str(auth.content_sha256, value);
}

static void payload_modes(void **state)
{
    (void)state;
    payload("UNSIGNED-PAYLOAD", S3_PAYLOAD_UNSIGNED);
    payload(EMPTY_SHA256, S3_PAYLOAD_SIGNED);
    payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", S3_PAYLOAD_STREAMING_SIGNED);
    payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            S3_PAYLOAD_STREAMING_SIGNED_TRAILER);
    payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER);
}

static void payload_modes_that_are_none(void **state)
{
    static const char *const bad[] = {"",
                                      "unsigned-payload",
                                      "abc",
                                      ZEROS64 "0",
                                      "STREAMING-",
                                      "x3b0c44298fc1c149afbf4c8996fb92427ae41e4"
                                      "649b934ca495991b7852b855"};
    char lines[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(lines, sizeof(lines),
                 HOST DATE
                 "x-amz-content-sha256: %s\n" AUTHORIZE(LIST, ZEROS64),
                 bad[i]);
        assert_int_equal(parse("PUT", "/b/k", lines), S3_ERR_InvalidArgument);
        assert_true(error.message.len > 100);
        assert_memory_equal(error.message.data,
                            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, ",
                            47);
        assert_field("ArgumentName", "x-amz-content-sha256");
        assert_field("ArgumentValue", bad[i]);
    }
    assert_error(
        parse("PUT", "/b/k", HOST DATE AUTHORIZE("host;x-amz-date", ZEROS64)),
        S3_ERR_InvalidRequest,
        "Missing required header for this request: "
        "x-amz-content-sha256");
    assert_error(parse("PUT", "/b/k",
                       HOST DATE
                       "x-amz-content-sha256: STREAMING-AWS4-ECDSA-P256-"
                       "SHA256-PAYLOAD\n" AUTHORIZE(LIST, ZEROS64)),
                 S3_ERR_NotImplemented, "");
    assert_field("Header", "x-amz-content-sha256");
}

static void presigned_payloads(void **state)
{
    (void)state;
    assert_int_equal(
        parse("PUT", PRESIGNED "&X-Amz-Content-Sha256=" EMPTY_SHA256, HOST),
        S3_OK);
    assert_int_equal(auth.payload, S3_PAYLOAD_SIGNED);
    core_assert_str(auth.content_sha256, EMPTY_SHA256);
    assert_error(parse("PUT", PRESIGNED, HOST SHA), S3_ERR_AccessDenied,
                 UNSIGNED_MESSAGE);
    assert_int_equal(parse("PUT",
                           QUERY(CREDENTIAL, "20130524T000000Z", "60",
                                 "host%3Bx-amz-content-sha256"),
                           HOST SHA),
                     S3_OK);
    assert_int_equal(auth.payload, S3_PAYLOAD_SIGNED);
}

/* --- times -----------------------------------------------------------------*/

static void clock_skew(void **state)
{
    static const char lines[] = HOST SHA DATE AUTHORIZE(LIST, ZEROS64);

    (void)state;
    assert_int_equal(parse_at(NOW + 900, "GET", "/", lines), S3_OK);
    assert_int_equal(parse_at(NOW - 900, "GET", "/", lines), S3_OK);
    assert_error(parse_at(NOW + 901, "GET", "/", lines),
                 S3_ERR_RequestTimeTooSkewed, "");
    assert_field("RequestTime", "20130524T000000Z");
    assert_field("ServerTime", "2013-05-24T00:15:01Z");
    assert_field("MaxAllowedSkewMilliseconds", "900000");
    assert_error(parse_at(NOW - 901, "GET", "/", lines),
                 S3_ERR_RequestTimeTooSkewed, "");
    assert_field("ServerTime", "2013-05-23T23:44:59Z");
}

static void dates_in_other_headers(void **state)
{
    static const char lines[] =
        AUTHORIZE("date;host;x-amz-content-sha256", ZEROS64);
    static const char message[] =
        "AWS authentication requires a valid Date or x-amz-date header";
    char text[2048];

    (void)state;
    snprintf(text, sizeof(text), "%s%s%s", HOST SHA,
             "date: Fri, 24 May 2013 00:00:07 GMT\n", lines);
    assert_int_equal(parse("GET", "/", text), S3_OK);
    core_assert_str(auth.amz_date, "20130524T000007Z");
    snprintf(text, sizeof(text), "%s%s%s", HOST SHA, "date: 20130524T000008Z\n",
             lines);
    assert_int_equal(parse("GET", "/", text), S3_OK);
    core_assert_str(auth.amz_date, "20130524T000008Z");
    snprintf(text, sizeof(text), "%s%s%s", HOST SHA, "date: today\n", lines);
    assert_error(parse("GET", "/", text), S3_ERR_AccessDenied, message);
    snprintf(text, sizeof(text), "%s%s", HOST SHA, lines);
    assert_error(parse("GET", "/", text), S3_ERR_AccessDenied, message);
}

static void presigned_times(void **state)
{
    (void)state;
    assert_int_equal(parse_at(NOW + 86400, "GET", PRESIGNED, HOST), S3_OK);
    assert_error(parse_at(NOW + 86401, "GET", PRESIGNED, HOST),
                 S3_ERR_AccessDenied, "Request has expired");
    assert_field("X-Amz-Expires", "86400");
    assert_field("Expires", "2013-05-25T00:00:00Z");
    assert_field("ServerTime", "2013-05-25T00:00:01Z");
    assert_int_equal(parse_at(NOW - 900, "GET", PRESIGNED, HOST), S3_OK);
    assert_error(parse_at(NOW - 901, "GET", PRESIGNED, HOST),
                 S3_ERR_AccessDenied, "Request is not yet valid");
    assert_field("X-Amz-Date", "20130524T000000Z");
    assert_field("ServerTime", "2013-05-23T23:44:59Z");
}

/* --- query parameters ------------------------------------------------------*/

static void query_is(const char *target, const char *message)
{
    assert_error(parse("GET", target, HOST),
                 S3_ERR_AuthorizationQueryParametersError, message);
}

static void malformed_queries(void **state)
{
    static const char expires[] = "X-Amz-Expires should be a number";
    static const char week[] =
        "X-Amz-Expires must be less than a week (in seconds); that is, the "
        "given X-Amz-Expires must be less than 604800 seconds";

    (void)state;
    query_is("/k?X-Amz-Algorithm=AWS4-HMAC-SHA256", "");
    query_is("/k?X-Amz-Signature=x", "");
    query_is("/k?X-Amz-Credential=x", "");
    query_is("/k?X-Amz-Algorithm=AWS4-HMAC-SHA512&X-Amz-Credential=c&X-Amz-Date"
             "=d&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=s",
             "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
    query_is(QUERY(CREDENTIAL, "20130524T000000Z", "abc", "host"), expires);
    query_is(QUERY(CREDENTIAL, "20130524T000000Z", "", "host"), expires);
    query_is(QUERY(CREDENTIAL, "20130524T000000Z", "1.5", "host"), expires);
    query_is(QUERY(CREDENTIAL, "20130524T000000Z", "-1", "host"),
             "X-Amz-Expires must be non-negative");
    query_is(QUERY(CREDENTIAL, "20130524T000000Z", "604801", "host"), week);
    query_is(QUERY(CREDENTIAL, "20130524T000000Z",
                   "99999999999999999999999999999999999999999", "host"),
             week);
    query_is(QUERY(CREDENTIAL, "20130524T000000Z", "0", "host"),
             "X-Amz-Expires must be between 1 and 604800 seconds");
    query_is(QUERY(CREDENTIAL, "2013-05-24T00:00:00Z", "60", "host"),
             "X-Amz-Date must be in the ISO8601 Long Format "
             "\"yyyyMMdd'T'HHmmss'Z'\"");
    query_is(QUERY("AKID", "20130524T000000Z", "60", "host"), MALFORMED_QUERY
             "the Credential is mal-formed; expecting "
             "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
    query_is(QUERY(CREDENTIAL, "20130525T000000Z", "60", "host"),
             MALFORMED_QUERY
             "Invalid credential date \"20130524\". This date is not the same "
             "as X-Amz-Date: \"20130525\".");
    query_is(QUERY(CREDENTIAL, "20130524T000000Z", "60", ""),
             MALFORMED_QUERY "the SignedHeaders are mal-formed.");
    assert_int_equal(
        parse("GET", QUERY(CREDENTIAL, "20130524T000000Z", "604800", "host"),
              HOST),
        S3_OK);
    assert_error(parse("GET",
                       "/k?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&"
                       "X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&"
                       "X-Amz-SignedHeaders=host&X-Amz-Signature=s",
                       HOST),
                 S3_ERR_NotImplemented,
                 "X-Amz-Algorithm implies functionality that is not "
                 "implemented");
}

/* --- memory ----------------------------------------------------------------*/

static enum s3_error run_with(size_t allocations, int skewed)
{
    enum s3_error rc;

    rc = parse("GET", "/?lifecycle", HOST SHA DATE AUTHORIZE(LIST, ZEROS64));
    assert_int_equal(rc, S3_OK);
    core_pool.limit = core_pool.count + allocations;
    if (skewed) {
        request.now += 3600;
        rc = s3_sigv4_parse(&core_memory, &request, &auth, &error);
    } else {
        rc = verify();
    }
    core_pool.limit = CORE_BLOCKS_MAX;
    return rc;
}

/* Never a success, never a crash, until there is enough. */
static void memory_runs_out(void **state)
{
    size_t n = 0;

    (void)state;
    while (run_with(n, 0) != S3_ERR_SignatureDoesNotMatch) {
        assert_true(error.code == S3_ERR_InternalError ||
                    error.code == S3_ERR_InvalidURI);
        n++;
        assert_true(n < 20);
    }
    assert_true(n > 4);
    assert_int_equal(run_with(0, 1), S3_ERR_InternalError);
    assert_int_equal(run_with(1, 1), S3_ERR_RequestTimeTooSkewed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(get_object),
        core_test(forms_of_iam),
        core_test(forms_say_what_they_are),
        core_test(put_object),
        core_test(get_lifecycle),
        core_test(list_objects),
        core_test(streaming_seed),
        core_test(presigned),
        core_test(canonical_request),
        core_test(a_mismatch_shows_what_was_signed),
        core_test(signatures_of_another_length),
        core_test(another_key),
        core_test(a_large_request_is_not_echoed),
        core_test(anonymous),
        core_test(version_2_is_refused),
        core_test(one_mechanism_only),
        core_test(other_schemes),
        core_test(malformed_headers),
        core_test(blanks_between_components),
        core_test(malformed_lists),
        core_test(too_many_signed_headers),
        core_test(wrong_region),
        core_test(long_access_keys),
        core_test(session_tokens),
        core_test(unsigned_headers),
        core_test(payload_modes),
        core_test(payload_modes_that_are_none),
        core_test(presigned_payloads),
        core_test(clock_skew),
        core_test(dates_in_other_headers),
        core_test(presigned_times),
        core_test(malformed_queries),
        core_test(memory_runs_out),
    };

    return cmocka_run_group_tests(tests, derive, NULL);
}
