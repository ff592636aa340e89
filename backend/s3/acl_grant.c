/* Lists of grants, one by one and ready-made. */
#include "s3/acl.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Of "aws-exec-read": EC2, as S3 calls it. Nobody here has this id. */
static const char ec2_id[] =
    "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c";

static const struct {
    Meta__AclGroup group;
    const char *uri;
} groups[] = {
    {META__ACL_GROUP__ALL_USERS,
     "http://acs.amazonaws.com/groups/global/AllUsers"},
    {META__ACL_GROUP__AUTHENTICATED_USERS,
     "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"},
    {META__ACL_GROUP__LOG_DELIVERY,
     "http://acs.amazonaws.com/groups/s3/LogDelivery"},
};

const char *acl_group_uri(Meta__AclGroup group)
{
    for (size_t i = 0; i < COUNT(groups); i++) {
        if (groups[i].group == group) {
            return groups[i].uri;
        }
    }
    invariant(!"a group of the table");
    return "";
}

Meta__Acl *acl_new(struct s3_call *call)
{
    Meta__Acl *acl = arena_alloc(call->arena, sizeof(*acl));

    meta__acl__init(acl);
    acl->grants = arena_alloc(call->arena, ACL_GRANTS_MAX * sizeof(void *));
    return acl;
}

static bool append(struct s3_call *call, Meta__Acl *acl, struct slice id,
                   Meta__AclGroup group, uint32_t permissions)
{
    Meta__Grant *grant = arena_alloc(call->arena, sizeof(*grant));

    invariant((id.size > 0) == (group == META__ACL_GROUP__NO_GROUP));
    if (acl->n_grants == ACL_GRANTS_MAX) {
        call_fail(call, S3_ERR_MalformedACLError);
        return false;
    }
    meta__grant__init(grant);
    grant->grantee = pb_bytes(id);
    grant->group = group;
    grant->permissions = permissions;
    acl->grants[acl->n_grants++] = grant;
    return true;
}

static bool add_id(struct s3_call *call, Meta__Acl *acl, struct slice id,
                   uint32_t permissions)
{
    char name[65] = "";

    iam_display_name(call->service->iam, id, name);
    if (name[0] == '\0') {
        call_fail_argument(call, "CanonicalUser/ID", id, "Invalid id");
        return false;
    }
    return append(call, acl, id, META__ACL_GROUP__NO_GROUP, permissions);
}

static bool add_uri(struct s3_call *call, Meta__Acl *acl, struct slice uri,
                    uint32_t permissions)
{
    for (size_t i = 0; i < COUNT(groups); i++) {
        if (slice_equal_string(uri, groups[i].uri)) {
            return append(call, acl, slice_of(NULL, 0), groups[i].group,
                          permissions);
        }
    }
    call_fail_argument(call, "Group/URI", uri, "Invalid group uri");
    return false;
}

bool acl_add(struct s3_call *call, Meta__Acl *acl, enum acl_grantee kind,
             struct slice grantee, uint32_t permissions)
{
    switch (kind) {
    case ACL_GRANTEE_ID:
        return add_id(call, acl, grantee, permissions);
    case ACL_GRANTEE_URI:
        return add_uri(call, acl, grantee, permissions);
    default: /* accounts have no addresses here */
        call_fail(call, S3_ERR_UnresolvableGrantByEmailAddress);
        return false;
    }
}

/* --- canned
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
 * -------------*/
enum to_whom { NOBODY, EVERYBODY, ACCOUNTS, LOGGING, EC2, BUCKET_OWNER };

/* What is granted besides FULL_CONTROL to the owner. */
static const struct canned {
    const char *name;
    enum to_whom whom;
    uint32_t permissions;
    bool not_of_objects;
} canned_lists[] = {
    {"private", NOBODY, 0, false},
    {"public-read", EVERYBODY, META__ACL_PERMISSION__READ, false},
    {"public-read-write", EVERYBODY,
     META__ACL_PERMISSION__READ | META__ACL_PERMISSION__WRITE, false},
    {"authenticated-read", ACCOUNTS, META__ACL_PERMISSION__READ, false},
    {"aws-exec-read", EC2, META__ACL_PERMISSION__READ, false},
    {"bucket-owner-read", BUCKET_OWNER, META__ACL_PERMISSION__READ, false},
    {"bucket-owner-full-control", BUCKET_OWNER, ACL_FULL_CONTROL, false},
    {"log-delivery-write", LOGGING,
     META__ACL_PERMISSION__WRITE | META__ACL_PERMISSION__READ_ACP, true},
};

static const struct canned *find_canned(struct slice name,
                                        enum acl_resource resource)
{
    for (size_t i = 0; i < COUNT(canned_lists); i++) {
        if (slice_equal_string(name, canned_lists[i].name) &&
            !(resource == ACL_OF_OBJECT && canned_lists[i].not_of_objects)) {
            return &canned_lists[i];
        }
    }
    return NULL;
}

bool acl_add_canned(struct s3_call *call, Meta__Acl *acl, struct slice name,
                    const struct acl_subject *subject)
{
    const struct canned *canned = find_canned(name, subject->resource);
    const struct slice nobody = {NULL, 0};

    if (canned == NULL) {
        call_fail_argument(call, "x-amz-acl", name,
                           "The canned ACL you specified is not valid");
        return false;
    }
    if (!append(call, acl, subject->owner, META__ACL_GROUP__NO_GROUP,
                ACL_FULL_CONTROL)) {
        return false;
    }
    switch (canned->whom) {
    case NOBODY:
        return true;
    case EVERYBODY:
        return append(call, acl, nobody, META__ACL_GROUP__ALL_USERS,
                      canned->permissions);
    case ACCOUNTS:
        return append(call, acl, nobody, META__ACL_GROUP__AUTHENTICATED_USERS,
                      canned->permissions);
    case LOGGING:
        return append(call, acl, nobody, META__ACL_GROUP__LOG_DELIVERY,
                      canned->permissions);
    case EC2:
        return append(call, acl, slice_from_string(ec2_id),
                      META__ACL_GROUP__NO_GROUP, canned->permissions);
    default:
        return slice_equal(subject->owner, subject->bucket_owner) ||
               append(call, acl, subject->bucket_owner,
                      META__ACL_GROUP__NO_GROUP, canned->permissions);
    }
}
