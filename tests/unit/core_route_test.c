/* core/: which operation on which bucket and key, and which refusal. */
#include "core_fixture.h"

#include "s3_route.h"
#include "s3_uri.h"
#include "wire.pb-c.h"

#include <stdio.h>

#define OP(name) WIRE__OPERATION__##name

static s3_route_t route;
static s3_field_t args[32];
static s3_str_t domains[] = {s3_string("s3.example.com"),
                             s3_string("example.com"),
                             s3_string("eu.s3.example.com")};

static enum s3_error find(const char *method, const char *host,
                          const char *target, int copy)
{
    s3_route_request_t request;
    s3_str_t text = core_str(target), query;
    int nargs;

    memset(&request, 0, sizeof(request));
    memset(&route, 0x5a, sizeof(route));
    request.method = core_str(method);
    request.host = core_str(host);
    assert_int_equal(s3_uri_split(&text, &request.path, &query), 0);
    nargs = s3_uri_parse_query(&core_memory, &query, args, 32);
    assert_true(nargs >= 0);
    request.args = args;
    request.nargs = (size_t)nargs;
    request.copy_source = copy != 0;
    request.domains = domains;
    request.ndomains = 3;
    return s3_route(&core_memory, &request, &route);
}

static void goes(const char *method, const char *target, int operation,
                 int has_body)
{
    enum s3_error rc = find(method, "localhost", target, 0);

    if (rc != S3_OK || route.operation != operation ||
        route.has_body != (unsigned)has_body)
        fail_msg("%s %s: %s, operation %d, body %u", method, target,
                 s3_error_code(rc), route.operation, route.has_body);
}

static void refused(const char *method, const char *target, enum s3_error error)
{
    enum s3_error rc = find(method, "localhost", target, 0);

    if (rc != error)
        fail_msg("%s %s: %s instead of %s, operation %d", method, target,
                 s3_error_code(rc), s3_error_code(error), route.operation);
}

/* What is not allowed of what, and what is. */
static void forbids(const char *method, const char *target, const char *type,
                    const char *allow)
{
    refused(method, target, S3_ERR_MethodNotAllowed);
    assert_string_equal(route.type, type);
    assert_string_equal(route.allow, allow);
}

static void allowed_methods(void **state)
{
    (void)state;
    forbids("POST", "/", "SERVICE", "GET");
    forbids("PATCH", "/bucket", "BUCKET", "GET, HEAD, PUT, POST, DELETE");
    forbids("POST", "/bucket/key", "OBJECT", "GET, HEAD, PUT, DELETE");
    forbids("HEAD", "/bucket?acl", "ACL", "GET, PUT");
    forbids("HEAD", "/bucket/key?tagging", "TAGGING", "GET, PUT, DELETE");
    forbids("POST", "/bucket?policy", "BUCKETPOLICY", "GET, PUT, DELETE");
    forbids("PUT", "/bucket?policyStatus", "POLICY_STATUS", "GET");
    forbids("POST", "/bucket?website", "WEBSITE", "GET, PUT, DELETE");
    forbids("HEAD", "/bucket?uploads", "UPLOADS", "GET");
    forbids("HEAD", "/bucket?location", "LOCATION", "GET");
    forbids("GET", "/bucket?delete", "MULTI_OBJECT_DELETE", "POST");
    forbids("HEAD", "/bucket/key?uploadId=u", "UPLOAD", "GET, POST, DELETE");
}

/* A form that is posted to the service is IAM's. */
static void forms(void **state)
{
    static const struct {
        const char *method, *host, *path, *query;
        enum s3_error error;
        int operation;
        unsigned sts;
    } cases[] = {
        {"POST", "localhost", "/", "", S3_OK, OP(IAM_QUERY), 0},
        {"POST", "s3.example.com", "/", "", S3_OK, OP(IAM_QUERY), 0},
        {"POST", "bucket.s3.example.com", "/", "", S3_OK, OP(POST_OBJECT), 0},
        {"POST", "localhost", "/bucket", "", S3_OK, OP(POST_OBJECT), 0},
        {"POST", "localhost", "/", "Action", S3_ERR_MethodNotAllowed, 0, 0},
        {"GET", "localhost", "/", "", S3_OK, OP(LIST_BUCKETS), 0},
        {"PUT", "localhost", "/", "", S3_ERR_MethodNotAllowed, 0, 0},
        {"GET", "localhost", "/", "Action", S3_OK, OP(LIST_BUCKETS), 0},
        {"GET", "localhost", "/", "Action", S3_OK, OP(IAM_QUERY), 1},
        {"POST", "localhost", "/", "Action", S3_OK, OP(IAM_QUERY), 1},
        {"PUT", "localhost", "/", "Action", S3_ERR_MethodNotAllowed, 0, 1},
        {"GET", "localhost", "/bucket/k", "Action", S3_OK, OP(GET_OBJECT), 1},
    };
    s3_route_request_t request;
    enum s3_error rc;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&request, 0, sizeof(request));
        request.method = core_str(cases[i].method);
        request.host = core_str(cases[i].host);
        request.path = core_str(cases[i].path);
        request.domains = domains;
        request.ndomains = 3;
        request.form = 1;
        request.sts = cases[i].sts;
        args[0].name = core_str(cases[i].query);
        args[0].value = core_str("");
        request.args = args;
        request.nargs = cases[i].query[0] != '\0';
        rc = s3_route(&core_memory, &request, &route);
        assert_int_equal(rc, cases[i].error);
        if (rc == S3_OK) {
            assert_int_equal(route.operation, cases[i].operation);
            assert_int_equal(route.has_body,
                             cases[i].operation == OP(IAM_QUERY) ||
                                 cases[i].operation == OP(POST_OBJECT));
        }
    }
    refused("POST", "/", S3_ERR_MethodNotAllowed);
}

static void every_operation(void **state)
{
    (void)state;
    goes("GET", "/", OP(LIST_BUCKETS), 0);
    goes("GET", "/?x-id=ListBuckets&prefix=a", OP(LIST_BUCKETS), 0);
    goes("PUT", "/bucket", OP(CREATE_BUCKET), 1);
    goes("PUT", "/bucket/", OP(CREATE_BUCKET), 1);
    goes("HEAD", "/bucket", OP(HEAD_BUCKET), 0);
    goes("DELETE", "/bucket/", OP(DELETE_BUCKET), 0);
    goes("GET", "/bucket?location", OP(GET_BUCKET_LOCATION), 0);
    goes("GET", "/bucket", OP(LIST_OBJECTS), 0);
    goes("GET", "/bucket/?prefix=a&delimiter=/&max-keys=2", OP(LIST_OBJECTS),
         0);
    goes("GET", "/bucket?list-type=2", OP(LIST_OBJECTS_V2), 0);
    goes("GET", "/bucket?events=s3:ObjectCreated:*&prefix=a&events=s3:x",
         OP(LISTEN_NOTIFICATION), 0);
    goes("GET", "/bucket?events=a", OP(LIST_OBJECTS), 0);
    goes("GET", "/bucket?events=s3:", OP(LIST_OBJECTS), 0);
    goes("GET", "/bucket/key?events=s3:ObjectCreated:*", OP(GET_OBJECT), 0);
    goes("GET", "/bucket?uploads", OP(LIST_MULTIPART_UPLOADS), 0);
    goes("POST", "/bucket?delete", OP(DELETE_OBJECTS), 1);
    goes("POST", "/bucket", OP(POST_OBJECT), 1);
    goes("POST", "/bucket/", OP(POST_OBJECT), 1);
    goes("PUT", "/bucket/key", OP(PUT_OBJECT), 1);
    goes("PUT", "/bucket/key?x-id=PutObject", OP(PUT_OBJECT), 1);
    goes("GET", "/bucket/key", OP(GET_OBJECT), 0);
    goes("GET", "/bucket/key?versionId=v", OP(GET_OBJECT), 0);
    goes("GET", "/bucket/key?partNumber=1", OP(GET_OBJECT), 0);
    goes("GET", "/bucket/key?response-content-type=a&unknown", OP(GET_OBJECT),
         0);
    goes("HEAD", "/bucket/key", OP(HEAD_OBJECT), 0);
    goes("HEAD", "/bucket/key?partNumber=1&versionId=v", OP(HEAD_OBJECT), 0);
    goes("DELETE", "/bucket/key", OP(DELETE_OBJECT), 0);
    goes("DELETE", "/bucket/key?versionId=v", OP(DELETE_OBJECT), 0);
    goes("POST", "/bucket/key?uploads", OP(CREATE_MULTIPART_UPLOAD), 0);
    goes("PUT", "/bucket/key?partNumber=1&uploadId=u", OP(UPLOAD_PART), 1);
    goes("POST", "/bucket/key?uploadId=u", OP(COMPLETE_MULTIPART_UPLOAD), 1);
    goes("DELETE", "/bucket/key?uploadId=u", OP(ABORT_MULTIPART_UPLOAD), 0);
    goes("GET", "/bucket/key?uploadId=u", OP(LIST_PARTS), 0);
}

static void copies(void **state)
{
    (void)state;
    assert_int_equal(find("PUT", "h", "/bucket/key", 1), S3_OK);
    assert_int_equal(route.operation, OP(COPY_OBJECT));
    assert_false(route.has_body);
    assert_int_equal(find("PUT", "h", "/bucket/k?partNumber=1&uploadId=u", 1),
                     S3_OK);
    assert_int_equal(route.operation, OP(UPLOAD_PART_COPY));
    assert_false(route.has_body);
    assert_int_equal(find("GET", "h", "/bucket/key", 1), S3_OK);
    assert_int_equal(route.operation, OP(GET_OBJECT));
    assert_int_equal(find("PUT", "h", "/bucket", 1), S3_ERR_InvalidRequest);
}

/* Whatever the method and target: never a neighbour's operation. */
static void subresources_of_other_operations(void **state)
{
    static const char *const names[] = {
        "abac",
        "annotation",
        "metadataAnnotationTable",
        "metadataConfiguration",
        "metadataTable",
        "restore",
        "select",
        "session",
        "torrent",
    };
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST",
                                          "DELETE"};
    static const char *const paths[] = {"/bucket", "/bucket/key"};
    char target[128];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t n = 0; n < 5; n++) {
            for (size_t p = 0; p < 2; p++) {
                snprintf(target, sizeof(target), "%s?%s", paths[p], names[i]);
                goes(methods[n], target, OP(NOT_IMPLEMENTED), 0);
                snprintf(target, sizeof(target), "%s?prefix=a&%s=b&uploads",
                         paths[p], names[i]);
                goes(methods[n], target, OP(NOT_IMPLEMENTED), 0);
            }
        }
        core_reset();
    }
    goes("PUT", "/bucket?%61cl", OP(PUT_BUCKET_ACL), 1);
}

static void methods_that_s3_has_elsewhere(void **state)
{
    (void)state;
    goes("OPTIONS", "/", OP(NOT_IMPLEMENTED), 0);
    refused("POST", "/bucket/key", S3_ERR_MethodNotAllowed);
    refused("POST", "/", S3_ERR_MethodNotAllowed);
    refused("HEAD", "/", S3_ERR_MethodNotAllowed);
    refused("PUT", "/", S3_ERR_MethodNotAllowed);
    refused("DELETE", "/", S3_ERR_MethodNotAllowed);
    refused("PATCH", "/bucket/key", S3_ERR_MethodNotAllowed);
    refused("get", "/bucket/key", S3_ERR_MethodNotAllowed);
    refused("", "/bucket/key", S3_ERR_MethodNotAllowed);
}

/* An argument that does not fit, what is said of it, and its value. */
static void misfits(const char *method, const char *target, const char *name,
                    const char *value, const char *message)
{
    refused(method, target, S3_ERR_InvalidArgument);
    core_assert_str(route.argument.name, name);
    core_assert_str(route.argument.value, value);
    core_assert_str(route.message, message);
}

#define NO_VERSION(method, target)                                             \
    misfits(method, target, "versionId", "v",                                  \
            "This operation does not accept a version-id.")
#define NO_PART(method, target)                                                \
    misfits(method, target, "partNumber", "7",                                 \
            "This operation does not accept a part number.")

static void arguments_that_do_not_fit(void **state)
{
    (void)state;
    NO_VERSION("PUT", "/bucket/key?a=b&versionId=v");
    NO_VERSION("PUT", "/bucket/key?versionId=v&partNumber=1&uploadId=u");
    NO_VERSION("POST", "/bucket/key?uploads&versionId=v");
    NO_VERSION("DELETE", "/bucket/key?uploadId=u&versionId=v");
    NO_VERSION("GET", "/bucket?versionId=v");
    NO_VERSION("GET", "/bucket?acl&versionId=v");
    NO_PART("GET", "/bucket/key?acl&partNumber=7");
    NO_PART("GET", "/bucket/key?uploadId=u&partNumber=7");
    NO_PART("POST", "/bucket/key?uploadId=u&partNumber=7");
    NO_PART("DELETE", "/bucket/key?partNumber=7");
    misfits("PUT", "/bucket/key?partNumber=7", "partNumber", "partNumber",
            "This operation does not accept partNumber without uploadId");
    misfits("GET", "/bucket?list-type=%3c", "list-type", "<",
            "Invalid List Type specified in Request");
    misfits("GET", "/bucket?versioning&acl", "ResourceType", "acl",
            "Conflicting query string parameters: acl, versioning");
    misfits("POST", "/bucket/key?uploads&uploadId=u", "ResourceType",
            "uploadId",
            "Conflicting query string parameters: uploadId, uploads");
    forbids("PUT", "/bucket/key?uploadId=u", "UPLOAD", "GET, POST, DELETE");
}

static void queries_that_do_not_fit(void **state)
{
    (void)state;
    refused("GET", "/bucket/key?uploads", S3_ERR_InvalidRequest);
    refused("PUT", "/bucket/key?uploads", S3_ERR_InvalidRequest);
    refused("DELETE", "/bucket/key?uploads", S3_ERR_InvalidRequest);
    refused("GET", "/bucket/key?location", S3_ERR_InvalidRequest);
    refused("POST", "/bucket/key?delete", S3_ERR_MethodNotAllowed);
    refused("GET", "/bucket/key?delete", S3_ERR_MethodNotAllowed);
    refused("HEAD", "/bucket/key?uploadId=u", S3_ERR_MethodNotAllowed);
    refused("GET", "/bucket?uploads&location", S3_ERR_InvalidArgument);
    refused("GET", "/bucket?delete", S3_ERR_MethodNotAllowed);
    refused("PUT", "/bucket?location", S3_ERR_MethodNotAllowed);
    refused("PUT", "/bucket?uploads", S3_ERR_MethodNotAllowed);
    refused("POST", "/bucket?uploads", S3_ERR_MethodNotAllowed);
    refused("DELETE", "/bucket?delete", S3_ERR_MethodNotAllowed);
    refused("DELETE", "/bucket?uploadId=u", S3_ERR_InvalidRequest);
    refused("HEAD", "/bucket?uploads", S3_ERR_MethodNotAllowed);
}

static void path_is(const char *target, const char *bucket, const char *key)
{
    assert_int_equal(find("GET", "localhost:8080", target, 0), S3_OK);
    core_assert_str(route.bucket, bucket);
    core_assert_str(route.key, key);
}

static void paths(void **state)
{
    (void)state;
    path_is("/", "", "");
    path_is("/bucket", "bucket", "");
    path_is("/bucket/", "bucket", "");
    path_is("/bucket/a", "bucket", "a");
    path_is("/bucket/a/", "bucket", "a/");
    path_is("/bucket//x", "bucket", "/x");
    path_is("/bucket//", "bucket", "/");
    path_is("/bucket/a//b", "bucket", "a//b");
    path_is("/bucket/../.", "bucket", "../.");
    path_is("/bucket/a%2Fb%2525+%20%c3%a9", "bucket", "a/b%25+ \xc3\xa9");
    path_is("/bucket/%f0%9f%98%80%01%7f", "bucket", "\xf0\x9f\x98\x80\x01\x7f");
    path_is("/%62ucket/k", "bucket", "k");
    refused("GET", "//", S3_ERR_InvalidBucketName);
    refused("GET", "//key", S3_ERR_InvalidBucketName);
    refused("GET", "/../key", S3_ERR_InvalidBucketName);
}

static void paths_that_are_none(void **state)
{
    (void)state;
    refused("GET", "/bucket/a%00b", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%2", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%zz", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%ff", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%c0%af", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%ed%a0%80", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%e2%82", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%e0%80%80", S3_ERR_InvalidURI);
    refused("GET", "/bucket/%f0%80%80%80", S3_ERR_InvalidURI);
    goes("GET", "/bucket/%e0%a0%80", OP(GET_OBJECT), 0);
    refused("GET", "/bucket/%f4%90%80%80", S3_ERR_InvalidURI);
}

static void long_keys(void **state)
{
    char target[4096];

    (void)state;
    snprintf(target, sizeof(target), "/bucket/%01024d", 0);
    goes("GET", target, OP(GET_OBJECT), 0);
    assert_int_equal(route.key.len, 1024);
    snprintf(target, sizeof(target), "/bucket/%01025d", 0);
    refused("GET", target, S3_ERR_KeyTooLongError);
    snprintf(target, sizeof(target), "/bucket/%01023d%%20", 0);
    goes("GET", target, OP(GET_OBJECT), 0);
    assert_int_equal(route.key.len, 1024);
}

static void host_is(const char *host, const char *target, const char *bucket,
                    const char *key)
{
    assert_int_equal(find("GET", host, target, 0), S3_OK);
    core_assert_str(route.bucket, bucket);
    core_assert_str(route.key, key);
}

static void virtual_hosts(void **state)
{
    (void)state;
    host_is("bucket.s3.example.com", "/", "bucket", "");
    assert_int_equal(route.operation, OP(LIST_OBJECTS));
    host_is("bucket.s3.example.com:9000", "/a/b", "bucket", "a/b");
    host_is("bucket.s3.example.com", "//x", "bucket", "/x");
    host_is("my.dotted.bucket.s3.example.com", "/k", "my.dotted.bucket", "k");
    host_is("BUCKET.S3.Example.COM.", "/Key", "bucket", "Key");
    host_is("bucket.example.com", "/k", "bucket", "k");
    host_is("bucket.eu.s3.example.com", "/k", "bucket", "k");
    host_is("s3.example.com", "/bucket/k", "bucket", "k");
    host_is("s3.example.com:80", "/", "", "");
    host_is("eu.s3.example.com", "/bucket/k", "bucket", "k");
    host_is("other.org", "/bucket/k", "bucket", "k");
    host_is("notexample.com", "/bucket/k", "bucket", "k");
    host_is("[::1]:80", "/bucket/k", "bucket", "k");
    host_is("127.0.0.1:80", "/bucket/k", "bucket", "k");
    host_is("", "/bucket/k", "bucket", "k");
    assert_int_equal(find("GET", ".s3.example.com", "/k", 0),
                     S3_ERR_InvalidBucketName);
    assert_int_equal(find("GET", "a_b.s3.example.com", "/k", 0),
                     S3_ERR_InvalidBucketName);
}

static void bucket_names(void **state)
{
    static const char *const bad[] = {
        "ab",
        "Bucket",
        "buc_ket",
        "-bucket",
        "bucket-",
        ".bucket",
        "bucket.",
        "buc..ket",
        "192.168.5.4",
        "buc%20ket",
        "buc%00ket",
        "b%c3%a9bucket",
        "bucket%0a",
        "1234567890123456789012345678901234567890123456789012345678901234"};
    static const char *const good[] = {
        "abc",
        "a-b",
        "a.b",
        "1.2.3",
        "192.168.5",
        "buc--ket",
        "1234567890",
        "123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const reserved[] = {"buc.-ket",
                                           "buc-.ket",
                                           "xn--bucket",
                                           "sthree-bucket",
                                           "amzn-s3-demo-bucket",
                                           "bucket-s3alias",
                                           "bucket--ol-s3",
                                           "bucket.mrap",
                                           "bucket--use1-az4--x-s3",
                                           "bucket--table-s3"};
    char target[128];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(target, sizeof(target), "/%s", bad[i]);
        refused("PUT", target, S3_ERR_InvalidBucketName);
        refused("GET", target, S3_ERR_InvalidBucketName);
        snprintf(target, sizeof(target), "/%s/key", bad[i]);
        refused("PUT", target, S3_ERR_InvalidBucketName);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(target, sizeof(target), "/%s", good[i]);
        goes("PUT", target, OP(CREATE_BUCKET), 1);
        core_assert_str(route.bucket, good[i]);
    }
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        snprintf(target, sizeof(target), "/%s", reserved[i]);
        refused("PUT", target, S3_ERR_InvalidBucketName);
        goes("HEAD", target, OP(HEAD_BUCKET), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(every_operation),
        core_test(allowed_methods),
        core_test(forms),
        core_test(copies),
        core_test(subresources_of_other_operations),
        core_test(methods_that_s3_has_elsewhere),
        core_test(queries_that_do_not_fit),
        core_test(arguments_that_do_not_fit),
        core_test(paths),
        core_test(paths_that_are_none),
        core_test(long_keys),
        core_test(virtual_hosts),
        core_test(bucket_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
