/* core/: which operation a sub-resource is, by method and target. */
#include "core_fixture.h"

#include "s3_route.h"
#include "s3_subresource.h"
#include "s3_uri.h"
#include "wire.pb-c.h"

#include <stdio.h>

#define OP(name) WIRE__OPERATION__##name

static s3_route_t route;

static enum s3_error find(const char *method, const char *target)
{
    static s3_field_t args[32];
    s3_route_request_t request;
    s3_str_t text = core_str(target), query;
    int nargs;

    memset(&request, 0, sizeof(request));
    memset(&route, 0x5a, sizeof(route));
    request.method = core_str(method);
    request.host = core_str("localhost");
    assert_int_equal(s3_uri_split(&text, &request.path, &query), 0);
    nargs = s3_uri_parse_query(&core_memory, &query, args, 32);
    assert_true(nargs >= 0);
    request.args = args;
    request.nargs = (size_t)nargs;
    return s3_route(&core_memory, &request, &route);
}

static void goes(const char *method, const char *target, int operation,
                 int has_body)
{
    enum s3_error rc = find(method, target);

    if (rc != S3_OK || route.operation != operation ||
        route.has_body != (unsigned)has_body)
        fail_msg("%s %s: %s, operation %d, body %u", method, target,
                 s3_error_code(rc), route.operation, route.has_body);
}

static void refused(const char *method, const char *target, enum s3_error error)
{
    enum s3_error rc = find(method, target);

    if (rc != error)
        fail_msg("%s %s: %s instead of %s, operation %d", method, target,
                 s3_error_code(rc), s3_error_code(error), route.operation);
}

#define NONE OP(NONE)

/* Operations of GET, PUT and DELETE; NONE: the method is not allowed. */
static const struct {
    const char *name;
    int get, put, delete;
} of_buckets[] = {
    {"acl", OP(GET_BUCKET_ACL), OP(PUT_BUCKET_ACL), NONE},
    {"accelerate", OP(GET_BUCKET_ACCELERATE_CONFIGURATION), OP(NOT_IMPLEMENTED),
     NONE},
    {"analytics", OP(LIST_ANALYTICS_CONFIGURATIONS), OP(NOT_IMPLEMENTED),
     OP(NOT_IMPLEMENTED)},
    {"intelligent-tiering", OP(LIST_INTELLIGENT_TIERING_CONFIGURATIONS),
     OP(NOT_IMPLEMENTED), OP(NOT_IMPLEMENTED)},
    {"inventory", OP(LIST_INVENTORY_CONFIGURATIONS), OP(NOT_IMPLEMENTED),
     OP(NOT_IMPLEMENTED)},
    {"metrics", OP(LIST_METRICS_CONFIGURATIONS), OP(NOT_IMPLEMENTED),
     OP(NOT_IMPLEMENTED)},
    {"cors", OP(GET_BUCKET_CORS), OP(PUT_BUCKET_CORS), OP(DELETE_BUCKET_CORS)},
    {"encryption", OP(GET_BUCKET_ENCRYPTION), OP(PUT_BUCKET_ENCRYPTION),
     OP(DELETE_BUCKET_ENCRYPTION)},
    {"lifecycle", OP(GET_BUCKET_LIFECYCLE), OP(NOT_IMPLEMENTED),
     OP(DELETE_BUCKET_LIFECYCLE)},
    {"logging", OP(GET_BUCKET_LOGGING), OP(PUT_BUCKET_LOGGING), NONE},
    {"notification", OP(GET_BUCKET_NOTIFICATION), OP(PUT_BUCKET_NOTIFICATION),
     NONE},
    {"object-lock", OP(GET_OBJECT_LOCK_CONFIGURATION),
     OP(PUT_OBJECT_LOCK_CONFIGURATION), NONE},
    {"ownershipControls", OP(GET_BUCKET_OWNERSHIP_CONTROLS),
     OP(PUT_BUCKET_OWNERSHIP_CONTROLS), OP(DELETE_BUCKET_OWNERSHIP_CONTROLS)},
    {"policy", OP(GET_BUCKET_POLICY), OP(PUT_BUCKET_POLICY),
     OP(DELETE_BUCKET_POLICY)},
    {"policyStatus", OP(GET_BUCKET_POLICY_STATUS), NONE, NONE},
    {"publicAccessBlock", OP(GET_PUBLIC_ACCESS_BLOCK),
     OP(PUT_PUBLIC_ACCESS_BLOCK), OP(DELETE_PUBLIC_ACCESS_BLOCK)},
    {"replication", OP(GET_BUCKET_REPLICATION), OP(NOT_IMPLEMENTED),
     OP(DELETE_BUCKET_REPLICATION)},
    {"requestPayment", OP(GET_BUCKET_REQUEST_PAYMENT),
     OP(PUT_BUCKET_REQUEST_PAYMENT), NONE},
    {"tagging", OP(GET_BUCKET_TAGGING), OP(PUT_BUCKET_TAGGING),
     OP(DELETE_BUCKET_TAGGING)},
    {"versioning", OP(GET_BUCKET_VERSIONING), OP(PUT_BUCKET_VERSIONING), NONE},
    {"website", OP(GET_BUCKET_WEBSITE), OP(PUT_BUCKET_WEBSITE),
     OP(DELETE_BUCKET_WEBSITE)},
};

static void is(const char *method, const char *target, int operation,
               int has_body)
{
    if (operation == NONE)
        refused(method, target, S3_ERR_MethodNotAllowed);
    else
        goes(method, target, operation, has_body);
}

static void buckets(void **state)
{
    char target[128];

    (void)state;
    for (size_t i = 0; i < sizeof(of_buckets) / sizeof(of_buckets[0]); i++) {
        snprintf(target, sizeof(target), "/bucket?%s", of_buckets[i].name);
        is("GET", target, of_buckets[i].get, 0);
        is("PUT", target, of_buckets[i].put,
           of_buckets[i].put != OP(NOT_IMPLEMENTED));
        is("DELETE", target, of_buckets[i].delete, 0);
        refused("HEAD", target, S3_ERR_MethodNotAllowed);
        refused("POST", target, S3_ERR_MethodNotAllowed);
        snprintf(target, sizeof(target), "/bucket/?x-id=a&%s=b&prefix=c",
                 of_buckets[i].name);
        is("GET", target, of_buckets[i].get, 0);
        core_reset();
    }
}

static void versions_and_locks(void **state)
{
    (void)state;
    goes("GET", "/bucket?versions", OP(LIST_OBJECT_VERSIONS), 0);
    goes("GET", "/bucket?versions&prefix=a&key-marker=b&version-id-marker=c",
         OP(LIST_OBJECT_VERSIONS), 0);
    refused("PUT", "/bucket?versions", S3_ERR_MethodNotAllowed);
    refused("GET", "/bucket/key?versions", S3_ERR_InvalidRequest);
    goes("PUT", "/bucket/key?retention", OP(PUT_OBJECT_RETENTION), 1);
    goes("PUT", "/bucket/key?retention&versionId=1", OP(PUT_OBJECT_RETENTION),
         1);
    goes("GET", "/bucket/key?retention&versionId=1", OP(GET_OBJECT_RETENTION),
         0);
    refused("DELETE", "/bucket/key?retention", S3_ERR_MethodNotAllowed);
    refused("GET", "/bucket?retention", S3_ERR_InvalidRequest);
    goes("PUT", "/bucket/key?legal-hold&versionId=1", OP(PUT_OBJECT_LEGAL_HOLD),
         1);
    goes("GET", "/bucket/key?legal-hold", OP(GET_OBJECT_LEGAL_HOLD), 0);
    refused("DELETE", "/bucket/key?legal-hold", S3_ERR_MethodNotAllowed);
    refused("GET", "/bucket?legal-hold", S3_ERR_InvalidRequest);
    refused("GET", "/bucket/key?object-lock", S3_ERR_InvalidRequest);
    refused("GET", "/bucket/key?retention&legal-hold", S3_ERR_InvalidArgument);
    core_reset();
}

static void objects(void **state)
{
    (void)state;
    goes("GET", "/bucket/key?acl&versionId=v", OP(GET_OBJECT_ACL), 0);
    goes("PUT", "/bucket/key?acl", OP(PUT_OBJECT_ACL), 1);
    refused("DELETE", "/bucket/key?acl", S3_ERR_MethodNotAllowed);
    goes("GET", "/bucket/key?tagging", OP(GET_OBJECT_TAGGING), 0);
    goes("GET", "/bucket/key?tagging&versionId=v", OP(GET_OBJECT_TAGGING), 0);
    goes("PUT", "/bucket/key?tagging", OP(PUT_OBJECT_TAGGING), 1);
    goes("PUT", "/bucket/key?versionId=v&tagging", OP(PUT_OBJECT_TAGGING), 1);
    goes("DELETE", "/bucket/key?tagging=", OP(DELETE_OBJECT_TAGGING), 0);
    refused("POST", "/bucket/key?tagging", S3_ERR_MethodNotAllowed);
    refused("HEAD", "/bucket/key?tagging", S3_ERR_MethodNotAllowed);
    goes("GET", "/bucket/key?attributes", OP(GET_OBJECT_ATTRIBUTES), 0);
    goes("GET", "/bucket/key?attributes&versionId=v", OP(GET_OBJECT_ATTRIBUTES),
         0);
    refused("PUT", "/bucket/key?attributes", S3_ERR_MethodNotAllowed);
    refused("DELETE", "/bucket/key?attributes", S3_ERR_MethodNotAllowed);
    refused("GET", "/bucket?attributes", S3_ERR_InvalidRequest);
}

static void renames(void **state)
{
    (void)state;
    goes("PUT", "/bucket/key?renameObject", OP(RENAME_OBJECT), 1);
    refused("GET", "/bucket/key?renameObject", S3_ERR_MethodNotAllowed);
    refused("DELETE", "/bucket/key?renameObject", S3_ERR_MethodNotAllowed);
    refused("PUT", "/bucket?renameObject", S3_ERR_InvalidRequest);
}

/* Never the neighbour's: an object's cors is not the object. */
static void wrong_targets(void **state)
{
    static const char *const only_of_buckets[] = {
        "accelerate",     "cors",         "lifecycle",
        "logging",        "notification", "ownershipControls",
        "policy",         "policyStatus", "publicAccessBlock",
        "requestPayment", "replication",  "website"};
    char target[128];

    (void)state;
    for (size_t i = 0; i < sizeof(only_of_buckets) / sizeof(only_of_buckets[0]);
         i++) {
        snprintf(target, sizeof(target), "/bucket/key?%s", only_of_buckets[i]);
        refused("GET", target, S3_ERR_InvalidRequest);
        refused("PUT", target, S3_ERR_InvalidRequest);
        refused("DELETE", target, S3_ERR_InvalidRequest);
    }
    refused("GET", "/?tagging", S3_ERR_MethodNotAllowed);
    refused("PUT", "/?cors", S3_ERR_MethodNotAllowed);
}

static void conflicts(void **state)
{
    (void)state;
    refused("GET", "/bucket?tagging&cors", S3_ERR_InvalidArgument);
    refused("GET", "/bucket?cors&location", S3_ERR_InvalidArgument);
    refused("GET", "/bucket?uploads&cors", S3_ERR_InvalidArgument);
    refused("PUT", "/bucket/key?tagging&partNumber=1&uploadId=u",
            S3_ERR_InvalidArgument);
    refused("GET", "/bucket/key?tagging&partNumber=1", S3_ERR_InvalidArgument);
    refused("GET", "/bucket?tagging&versionId=v", S3_ERR_InvalidArgument);
    goes("GET", "/bucket?tagging&tagging", OP(GET_BUCKET_TAGGING), 0);
    refused("GET", "/bucket?tagging&acl", S3_ERR_InvalidArgument);
}

/* What a browser asks before it sends a request, whatever that will be. */
static void preflights(void **state)
{
    (void)state;
    goes("OPTIONS", "/bucket", OP(PREFLIGHT), 0);
    goes("OPTIONS", "/bucket/key", OP(PREFLIGHT), 0);
    core_assert_str(route.bucket, "bucket");
    core_assert_str(route.key, "key");
    goes("OPTIONS", "/bucket/key?uploadId=u&partNumber=1", OP(PREFLIGHT), 0);
    goes("OPTIONS", "/bucket/key?X-Amz-Signature=0", OP(PREFLIGHT), 0);
    goes("OPTIONS", "/bucket?cors&tagging", OP(PREFLIGHT), 0);
    goes("OPTIONS", "/bucket?acl", OP(PREFLIGHT), 0);
    goes("OPTIONS", "/", OP(NOT_IMPLEMENTED), 0);
    refused("OPTIONS", "/b", S3_ERR_InvalidBucketName);
}

static void names(void **state)
{
    s3_str_t known = s3_string("cors"), unknown = s3_string("CORS"),
             empty = s3_string("");

    (void)state;
    assert_non_null(s3_subresource_find(&known));
    assert_null(s3_subresource_find(&unknown));
    assert_null(s3_subresource_find(&empty));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(buckets),   core_test(versions_and_locks),
        core_test(objects),   core_test(wrong_targets),
        core_test(conflicts), core_test(preflights),
        core_test(renames),   core_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
