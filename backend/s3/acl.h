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

#include "base/xml_in.h"
#include "s3/call.h"

#define ACL_FULL_CONTROL                                                       \
    ((uint32_t)(META__ACL_PERMISSION__READ | META__ACL_PERMISSION__WRITE |     \
                META__ACL_PERMISSION__READ_ACP |                               \
                META__ACL_PERMISSION__WRITE_ACP))
#define ACL_GRANTS_MAX 100u

/* --- decisions (acl.c): pure -----------------------------------------------*/
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

/* --- making a list (acl_grant.c): in the call's arena; false: the call has
 * failed
 * ------------------------------------------------------------------------*/
enum acl_resource { ACL_OF_BUCKET, ACL_OF_OBJECT };
/* Whose bucket or object a list is for. */
struct acl_subject {
    enum acl_resource resource;
    struct slice owner, bucket_owner; /* canonical ids */
};
enum acl_grantee { ACL_GRANTEE_ID, ACL_GRANTEE_URI, ACL_GRANTEE_EMAIL };

Meta__Acl *acl_new(struct s3_call *call);
/* One more grant. InvalidArgument if nobody is called that;
 * MalformedACLError if there are ACL_GRANTS_MAX already. */
bool acl_add(struct s3_call *call, Meta__Acl *acl, enum acl_grantee kind,
             struct slice grantee, uint32_t permissions);
/* "public-read" and its like. InvalidArgument if it is none. */
bool acl_add_canned(struct s3_call *call, Meta__Acl *acl, struct slice name,
                    const struct acl_subject *subject);
const char *acl_group_uri(Meta__AclGroup group);

/* --- what a request asks for (acl_request.c): false, the call has failed ---*/
/* It has x-amz-acl or an x-amz-grant-*. */
bool acl_in_request(const struct s3_call *call);
/* May this list (NULL: the owner alone) be put for the bucket or what is in
 * it? AccessControlListNotSupported where there are no lists, AccessDenied if
 * it is public where that is blocked. */
bool acl_check(struct s3_call *call, const Meta__Bucket *bucket,
               const Meta__Acl *acl);
/* x-amz-acl or x-amz-grant-* of a request that writes an object of `owner`
 * into call->bucket; NULL if it has none, or the owner alone is granted
 * anything. Checked with acl_check(). */
bool acl_take_request(struct s3_call *call, struct slice owner,
                      Meta__Acl **acl);
/* The same, of a bucket that CreateBucket is to make. */
bool acl_take_creation(struct s3_call *call, Meta__Acl **acl);
/* The same, of Put*Acl: from the headers or from the body. */
bool acl_take_put(struct s3_call *call, const struct acl_subject *subject,
                  Meta__Acl **acl);

/* --- documents (acl_document.c) --------------------------------------------*/
/* An AccessControlPolicy. False: the call has failed. */
bool acl_read(struct s3_call *call, struct slice document, struct slice owner,
              Meta__Acl *acl);
/* `acl` may be NULL. */
void acl_write(struct s3_call *call, struct buffer *out, struct slice owner,
               const Meta__Acl *acl);
/* <Grantee> and <Permission> elements, as AccessControlList and TargetGrants
 * hold them: each child of `list`. */
bool acl_read_grants(struct s3_call *call, const struct xml_node *list,
                     Meta__Acl *acl);
void acl_write_grants(struct s3_call *call, struct buffer *out,
                      const Meta__Acl *acl);

#endif
