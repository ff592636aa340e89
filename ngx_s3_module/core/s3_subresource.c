
/* Operations of sub-resources: a table. */

#include "s3_subresource.h"
#include "s3_string.h"
#include "wire.pb-c.h"


#define S3_OP(name)  WIRE__OPERATION__##name
#define S3_NO        { S3_OP(NONE), S3_OP(NONE), S3_OP(NONE) }


/*
 * In alphabetical order; methods are get, put, delete.  NOT_IMPLEMENTED is
 * what S3 has and s3d has not: it is authenticated, then refused.
 */

static const s3_subresource_t  s3_subresources[] = {

    { "accelerate", "ACCELERATE",
      { S3_OP(GET_BUCKET_ACCELERATE_CONFIGURATION), S3_OP(NOT_IMPLEMENTED),
        S3_OP(NONE) },
      S3_NO },

    { "acl", "ACL",
      { S3_OP(GET_BUCKET_ACL), S3_OP(PUT_BUCKET_ACL), S3_OP(NONE) },
      { S3_OP(GET_OBJECT_ACL), S3_OP(PUT_OBJECT_ACL), S3_OP(NONE) } },

    { "analytics", "ANALYTICS",
      { S3_OP(LIST_ANALYTICS_CONFIGURATIONS), S3_OP(NOT_IMPLEMENTED),
        S3_OP(NOT_IMPLEMENTED) },
      S3_NO },

    { "attributes", "OBJECT_ATTRIBUTES",
      S3_NO,
      { S3_OP(GET_OBJECT_ATTRIBUTES), S3_OP(NONE), S3_OP(NONE) } },

    { "cors", "CORS",
      { S3_OP(GET_BUCKET_CORS), S3_OP(PUT_BUCKET_CORS),
        S3_OP(DELETE_BUCKET_CORS) },
      S3_NO },

    { "encryption", "ENCRYPTION",
      { S3_OP(GET_BUCKET_ENCRYPTION), S3_OP(PUT_BUCKET_ENCRYPTION),
        S3_OP(DELETE_BUCKET_ENCRYPTION) },
      { S3_OP(NONE), S3_OP(NOT_IMPLEMENTED), S3_OP(NONE) } },

    { "intelligent-tiering", "INTELLIGENT_TIERING",
      { S3_OP(LIST_INTELLIGENT_TIERING_CONFIGURATIONS), S3_OP(NOT_IMPLEMENTED),
        S3_OP(NOT_IMPLEMENTED) },
      S3_NO },

    { "inventory", "INVENTORY",
      { S3_OP(LIST_INVENTORY_CONFIGURATIONS), S3_OP(NOT_IMPLEMENTED),
        S3_OP(NOT_IMPLEMENTED) },
      S3_NO },

    { "legal-hold", "OBJECT_LOCK_LEGALHOLD",
      S3_NO,
      { S3_OP(GET_OBJECT_LEGAL_HOLD), S3_OP(PUT_OBJECT_LEGAL_HOLD),
        S3_OP(NONE) } },

    { "lifecycle", "LIFECYCLE",
      { S3_OP(GET_BUCKET_LIFECYCLE), S3_OP(NOT_IMPLEMENTED),
        S3_OP(DELETE_BUCKET_LIFECYCLE) },
      S3_NO },

    { "logging", "LOGGING_STATUS",
      { S3_OP(GET_BUCKET_LOGGING), S3_OP(PUT_BUCKET_LOGGING), S3_OP(NONE) },
      S3_NO },

    { "metrics", "METRICS",
      { S3_OP(LIST_METRICS_CONFIGURATIONS), S3_OP(NOT_IMPLEMENTED),
        S3_OP(NOT_IMPLEMENTED) },
      S3_NO },

    { "notification", "NOTIFICATION",
      { S3_OP(GET_BUCKET_NOTIFICATION), S3_OP(PUT_BUCKET_NOTIFICATION),
        S3_OP(NONE) },
      S3_NO },

    { "object-lock", "OBJECT_LOCK_CONFIGURATION",
      { S3_OP(GET_OBJECT_LOCK_CONFIGURATION),
        S3_OP(PUT_OBJECT_LOCK_CONFIGURATION), S3_OP(NONE) },
      S3_NO },

    { "ownershipControls", "OWNERSHIP_CONTROLS",
      { S3_OP(GET_BUCKET_OWNERSHIP_CONTROLS),
        S3_OP(PUT_BUCKET_OWNERSHIP_CONTROLS),
        S3_OP(DELETE_BUCKET_OWNERSHIP_CONTROLS) },
      S3_NO },

    { "policy", "BUCKETPOLICY",
      { S3_OP(GET_BUCKET_POLICY), S3_OP(PUT_BUCKET_POLICY),
        S3_OP(DELETE_BUCKET_POLICY) },
      S3_NO },

    { "policyStatus", "POLICY_STATUS",
      { S3_OP(GET_BUCKET_POLICY_STATUS), S3_OP(NONE), S3_OP(NONE) },
      S3_NO },

    { "publicAccessBlock", "PUBLIC_ACCESS_BLOCK",
      { S3_OP(GET_PUBLIC_ACCESS_BLOCK), S3_OP(PUT_PUBLIC_ACCESS_BLOCK),
        S3_OP(DELETE_PUBLIC_ACCESS_BLOCK) },
      S3_NO },

    { "renameObject", "RENAME_OBJECT",
      S3_NO,
      { S3_OP(NONE), S3_OP(RENAME_OBJECT), S3_OP(NONE) } },

    { "replication", "REPLICATION",
      { S3_OP(GET_BUCKET_REPLICATION), S3_OP(NOT_IMPLEMENTED),
        S3_OP(DELETE_BUCKET_REPLICATION) },
      S3_NO },

    { "requestPayment", "REQUEST_PAYMENT",
      { S3_OP(GET_BUCKET_REQUEST_PAYMENT), S3_OP(PUT_BUCKET_REQUEST_PAYMENT),
        S3_OP(NONE) },
      S3_NO },

    { "retention", "OBJECT_LOCK_RETENTION",
      S3_NO,
      { S3_OP(GET_OBJECT_RETENTION), S3_OP(PUT_OBJECT_RETENTION),
        S3_OP(NONE) } },

    { "tagging", "TAGGING",
      { S3_OP(GET_BUCKET_TAGGING), S3_OP(PUT_BUCKET_TAGGING),
        S3_OP(DELETE_BUCKET_TAGGING) },
      { S3_OP(GET_OBJECT_TAGGING), S3_OP(PUT_OBJECT_TAGGING),
        S3_OP(DELETE_OBJECT_TAGGING) } },

    { "versioning", "VERSIONING",
      { S3_OP(GET_BUCKET_VERSIONING), S3_OP(PUT_BUCKET_VERSIONING),
        S3_OP(NONE) },
      S3_NO },

    { "versions", "BUCKETVERSIONS",
      { S3_OP(LIST_OBJECT_VERSIONS), S3_OP(NONE), S3_OP(NONE) },
      S3_NO },

    { "website", "WEBSITE",
      { S3_OP(GET_BUCKET_WEBSITE), S3_OP(PUT_BUCKET_WEBSITE),
        S3_OP(DELETE_BUCKET_WEBSITE) },
      S3_NO },
};


static int s3_subresource_is_of(const s3_subresource_methods_t *methods);


const s3_subresource_t *
s3_subresource_find(const s3_str_t *name)
{
    size_t  i;

    for (i = 0; i < s3_nelts(s3_subresources); i++) {
        if (s3_str_is(name, s3_subresources[i].name)) {
            return &s3_subresources[i];
        }
    }

    return NULL;
}


enum s3_error
s3_subresource_route(const s3_subresource_t *subresource,
    const s3_str_t *method, int is_object, int *operation, int *has_body)
{
    const s3_subresource_methods_t  *methods;

    methods = is_object ? &subresource->object : &subresource->bucket;
    *has_body = 0;

    if (!s3_subresource_is_of(methods)) {
        return S3_ERR_InvalidRequest;
    }

    if (s3_str_is(method, "GET")) {
        *operation = methods->get;

    } else if (s3_str_is(method, "PUT")) {
        *operation = methods->put;
        *has_body = (methods->put != S3_OP(NOT_IMPLEMENTED));

    } else if (s3_str_is(method, "DELETE")) {
        *operation = methods->delete;

    } else {
        *operation = S3_OP(NONE);
    }

    return *operation == S3_OP(NONE) ? S3_ERR_MethodNotAllowed : S3_OK;
}


static int
s3_subresource_is_of(const s3_subresource_methods_t *methods)
{
    return methods->get != S3_OP(NONE) || methods->put != S3_OP(NONE)
           || methods->delete != S3_OP(NONE);
}
