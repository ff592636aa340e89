/* What an access control list allows. */
#include "s3/acl.h"

#include "s3/document.h"

#include <string.h>

static bool is_group_public(Meta__AclGroup group)
{
    return group == META__ACL_GROUP__ALL_USERS ||
           group == META__ACL_GROUP__AUTHENTICATED_USERS;
}

static bool grants_to(const Meta__Grant *grant, struct slice user)
{
    if (grant->grantee.len > 0) {
        return slice_equal(pb_slice(grant->grantee), user);
    }
    switch (grant->group) {
    case META__ACL_GROUP__ALL_USERS:
        return true;
    case META__ACL_GROUP__AUTHENTICATED_USERS:
        return user.size > 0;
    default:
        return false;
    }
}

bool acl_allows(const Meta__Acl *acl, struct slice owner,
                const struct iam_identity *who, uint32_t permissions)
{
    const struct slice user = slice_from_string(who->user);
    uint32_t granted = 0;

    if (permissions == 0) {
        return false;
    }
    if (user.size > 0 && slice_equal(user, owner)) {
        return true;
    }
    for (size_t i = 0; acl != NULL && i < acl->n_grants; i++) {
        if (grants_to(acl->grants[i], user)) {
            granted |= acl->grants[i]->permissions;
        }
    }
    return (granted & permissions) == permissions;
}

bool acl_is_public(const Meta__Acl *acl)
{
    for (size_t i = 0; acl != NULL && i < acl->n_grants; i++) {
        if (acl->grants[i]->grantee.len == 0 &&
            is_group_public(acl->grants[i]->group)) {
            return true;
        }
    }
    return false;
}

bool acl_is_private(const Meta__Acl *acl, struct slice owner)
{
    for (size_t i = 0; acl != NULL && i < acl->n_grants; i++) {
        if (!slice_equal(pb_slice(acl->grants[i]->grantee), owner)) {
            return false;
        }
    }
    return true;
}

bool acls_enabled(const Meta__Bucket *bucket)
{
    return !slice_equal_string(document_get(bucket, DOCUMENT_OWNERSHIP),
                               "BucketOwnerEnforced");
}

/* --- actions ---------------------------------------------------------------*/
struct mapping {
    const char *action;
    uint32_t permission;
};

static const struct mapping bucket_mappings[] = {
    {"s3:ListBucket", META__ACL_PERMISSION__READ},
    {"s3:ListBucketVersions", META__ACL_PERMISSION__READ},
    {"s3:ListBucketMultipartUploads", META__ACL_PERMISSION__READ},
    {"s3:PutObject", META__ACL_PERMISSION__WRITE},
    {"s3:DeleteObject", META__ACL_PERMISSION__WRITE},
    {"s3:GetBucketAcl", META__ACL_PERMISSION__READ_ACP},
    {"s3:PutBucketAcl", META__ACL_PERMISSION__WRITE_ACP},
};

static const struct mapping object_mappings[] = {
    {"s3:GetObject", META__ACL_PERMISSION__READ},
    {"s3:GetObjectVersion", META__ACL_PERMISSION__READ},
    {"s3:GetObjectAcl", META__ACL_PERMISSION__READ_ACP},
    {"s3:GetObjectVersionAcl", META__ACL_PERMISSION__READ_ACP},
    {"s3:PutObjectAcl", META__ACL_PERMISSION__WRITE_ACP},
    {"s3:PutObjectVersionAcl", META__ACL_PERMISSION__WRITE_ACP},
};

static uint32_t find(const struct mapping *mappings, size_t count,
                     const char *action)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(mappings[i].action, action) == 0) {
            return mappings[i].permission;
        }
    }
    return 0;
}
#define FIND(mappings, action)                                                 \
    find(mappings, sizeof(mappings) / sizeof((mappings)[0]), action)

uint32_t acl_bucket_permission(const char *action)
{
    return FIND(bucket_mappings, action);
}

uint32_t acl_object_permission(const char *action)
{
    return FIND(object_mappings, action);
}

static bool list_allows(const Meta__Acl *acl, struct slice owner,
                        const struct iam_identity *who, uint32_t permissions,
                        bool ignore_public)
{
    if (ignore_public && acl_is_public(acl)) {
        acl = NULL;
    }
    return acl_allows(acl, owner, who, permissions);
}

bool acl_grants(const Meta__Bucket *bucket, const Meta__Object *object,
                const struct iam_identity *who, const char *action,
                bool ignore_public)
{
    if (!acls_enabled(bucket)) {
        return false;
    }
    return list_allows(bucket->acl, pb_slice(bucket->owner), who,
                       acl_bucket_permission(action), ignore_public) ||
           (object != NULL &&
            list_allows(object->acl, pb_slice(object->owner), who,
                        acl_object_permission(action), ignore_public));
}
