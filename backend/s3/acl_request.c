/* The access control list that a request asks for, and whether it may. */
#include "s3/acl.h"
#include "s3/document.h"
#include "s3/public_access.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char canned_header[] = "x-amz-acl";

static const struct grant_header {
    const char *name;
    uint32_t permissions;
} grant_headers[] = {
    {"x-amz-grant-full-control", ACL_FULL_CONTROL},
    {"x-amz-grant-read", META__ACL_PERMISSION__READ},
    {"x-amz-grant-write", META__ACL_PERMISSION__WRITE},
    {"x-amz-grant-read-acp", META__ACL_PERMISSION__READ_ACP},
    {"x-amz-grant-write-acp", META__ACL_PERMISSION__WRITE_ACP},
};

static const struct {
    const char *prefix;
    enum acl_grantee kind;
} grantee_types[] = {
    {"id=", ACL_GRANTEE_ID},
    {"uri=", ACL_GRANTEE_URI},
    {"emailAddress=", ACL_GRANTEE_EMAIL},
};

static bool has_grant_headers(const struct s3_call *call)
{
    for (size_t i = 0; i < COUNT(grant_headers); i++) {
        if (call_request_header(call, grant_headers[i].name).data != NULL) {
            return true;
        }
    }
    return false;
}

bool acl_in_request(const struct s3_call *call)
{
    return call_request_header(call, canned_header).data != NULL ||
           has_grant_headers(call);
}

/* --- headers ---------------------------------------------------------------*/
static struct slice unquoted(struct slice text)
{
    if (text.size >= 2 && text.data[0] == '"' &&
        text.data[text.size - 1] == '"') {
        return slice_of(text.data + 1, text.size - 2);
    }
    return text;
}

static bool fail_format(struct s3_call *call, const struct grant_header *header,
                        struct slice value)
{
    call_fail_argument(call, header->name, value,
                       "Argument format not recognized");
    return false;
}

/* type="value" */
static bool add_grantee(struct s3_call *call, Meta__Acl *acl,
                        const struct grant_header *header, struct slice item)
{
    for (size_t i = 0; i < COUNT(grantee_types); i++) {
        const struct slice prefix = slice_from_string(grantee_types[i].prefix);

        if (slice_has_prefix(item, prefix)) {
            return acl_add(call, acl, grantee_types[i].kind,
                           unquoted(slice_of(item.data + prefix.size,
                                             item.size - prefix.size)),
                           header->permissions);
        }
    }
    return fail_format(call, header, item);
}

static bool add_grantees(struct s3_call *call, Meta__Acl *acl,
                         const struct grant_header *header, struct slice list)
{
    struct slice rest = list, item;

    if (!call_list_next(&rest, &item)) {
        return fail_format(call, header, list);
    }
    do {
        if (!add_grantee(call, acl, header, item)) {
            return false;
        }
    } while (call_list_next(&rest, &item));
    return true;
}

/* Of a header that is doubled, the first counts: what policies saw. */
static bool add_grants(struct s3_call *call, Meta__Acl *acl)
{
    for (size_t i = 0; i < COUNT(grant_headers); i++) {
        struct slice list = call_request_header(call, grant_headers[i].name);

        if (list.data != NULL &&
            !add_grantees(call, acl, &grant_headers[i], list)) {
            return false;
        }
    }
    return true;
}

static bool read_headers(struct s3_call *call,
                         const struct acl_subject *subject, Meta__Acl *acl)
{
    struct slice canned = call_request_header(call, canned_header);

    if (canned.data == NULL) {
        return add_grants(call, acl);
    }
    if (has_grant_headers(call)) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Specifying both Canned ACLs and Header Grants is "
                          "not allowed");
        return false;
    }
    return acl_add_canned(call, acl, canned, subject);
}

/* --- rules -----------------------------------------------------------------*/
/* What an absent list says, and what may be said also where there are no
 * lists. */
static bool is_default(const Meta__Acl *acl, struct slice owner)
{
    return acl->n_grants == 1 &&
           slice_equal(pb_slice(acl->grants[0]->grantee), owner) &&
           acl->grants[0]->permissions == ACL_FULL_CONTROL;
}

bool acl_check(struct s3_call *call, const Meta__Bucket *bucket,
               const Meta__Acl *acl)
{
    if (acl != NULL && !acls_enabled(bucket)) {
        call_fail(call, S3_ERR_AccessControlListNotSupported);
        return false;
    }
    if (public_access_of(call, bucket).block_acls && acl_is_public(acl)) {
        call_fail(call, S3_ERR_AccessDenied);
        return false;
    }
    return true;
}

/* Of a list that was read into *acl: what is to be stored, if it may be. */
static bool settle(struct s3_call *call, struct slice owner, Meta__Acl **acl)
{
    if (is_default(*acl, owner)) {
        *acl = NULL;
    }
    return acl_check(call, call->bucket, *acl);
}

bool acl_take_request(struct s3_call *call, struct slice owner, Meta__Acl **acl)
{
    const struct acl_subject subject = {
        .resource = ACL_OF_OBJECT,
        .owner = owner,
        .bucket_owner = pb_slice(call->bucket->owner),
    };

    *acl = NULL;
    if (!acl_in_request(call)) {
        return true;
    }
    *acl = acl_new(call);
    return read_headers(call, &subject, *acl) && settle(call, owner, acl);
}

/* "bucket-owner-..." have no meaning for a bucket and are the same here. */
bool acl_take_creation(struct s3_call *call, Meta__Acl **acl)
{
    const struct slice owner = slice_from_string(call->identity.user);
    const struct slice ownership =
        call_request_header(call, "x-amz-object-ownership");
    const struct acl_subject subject = {
        .resource = ACL_OF_BUCKET, .owner = owner, .bucket_owner = owner};

    *acl = NULL;
    if (!acl_in_request(call)) {
        return true;
    }
    *acl = acl_new(call);
    if (!read_headers(call, &subject, *acl)) {
        return false;
    }
    if (is_default(*acl, owner)) {
        *acl = NULL;
        return true;
    }
    if (ownership.data == NULL ||
        slice_equal_string(ownership, "BucketOwnerEnforced")) {
        document_fail(call, S3_ERR_InvalidBucketAclWithObjectOwnership);
        return false;
    }
    if (acl_is_public(*acl)) { /* every new bucket blocks that */
        document_fail(call, S3_ERR_InvalidBucketAclWithBlockPublicAccessError);
        return false;
    }
    return true;
}

bool acl_take_put(struct s3_call *call, const struct acl_subject *subject,
                  Meta__Acl **acl)
{
    const struct slice document = slice_of(call->xml.data, call->xml.size);
    bool read;

    *acl = acl_new(call);
    if (!acl_in_request(call) && document.size == 0) {
        call_error_field(call, "MissingHeaderName",
                         slice_from_string(canned_header));
        call_fail(call, S3_ERR_MissingSecurityHeader);
        return false;
    }
    if (acl_in_request(call) && document.size > 0) {
        call_fail(call, S3_ERR_UnexpectedContent);
        return false;
    }
    read = document.size > 0 ? acl_read(call, document, subject->owner, *acl)
                             : read_headers(call, subject, *acl);
    return read && settle(call, subject->owner, acl);
}
