/*
 * Private to s3/: access control lists.
 *
 * An ACL is what is granted to others: an absent one is "private", the owner
 * alone. Lists are kept as they were put, and count only where the bucket's
 * Object Ownership lets them (acls_enabled()): where it does not, the owner
 * of the bucket owns all that is in it.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
 */
#ifndef S3_ACL_H
#define S3_ACL_H

#include "s3/call.h"

#define ACL_FULL_CONTROL                                                       \
    ((uint32_t)(META__ACL_PERMISSION__READ | META__ACL_PERMISSION__WRITE |     \
                META__ACL_PERMISSION__READ_ACP |                               \
                META__ACL_PERMISSION__WRITE_ACP))
#define ACL_GRANTS_MAX 100u

/* --- decisions (acl.c): pure
 * -----------------------------------------------------*/
/* Does the list give the account of `who` all of these permissions? The owner
 * has them without a grant; grants add up. `acl` may be NULL; no permissions
 * are never given. The caller has seen that lists count here: acls_enabled(),
 * and IgnorePublicAcls with acl_is_public(). */
bool acl_allows(const Meta__Acl *acl, struct slice owner,
                const struct iam_identity *who, uint32_t permissions);
/* Something is granted to everybody, or to everybody with an account. */
bool acl_is_public(const Meta__Acl *acl);
/* Nothing is granted to anybody but `owner`. */
bool acl_is_private(const Meta__Acl *acl, struct slice owner);
/* Lists count unless ObjectOwnership is BucketOwnerEnforced, which
 * CreateBucket sets where it is told nothing else. */
bool acls_enabled(const Meta__Bucket *bucket);
/* The permission in the bucket's and in the object's list that lets do an
 * action ("s3:GetObject"); 0: no list can.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#acl-access-policy-permission-mapping
 */
uint32_t acl_bucket_permission(const char *action);
uint32_t acl_object_permission(const char *action);
/* All of the above: do the lists of the bucket and of the object (NULL: there
 * is none) let the account of `who` do the action? Public lists are left out
 * where `ignore_public`. Of an account that is let, its root may; its users
 * need a policy as well. */
bool acl_grants(const Meta__Bucket *bucket, const Meta__Object *object,
                const struct iam_identity *who, const char *action,
                bool ignore_public);

#endif
