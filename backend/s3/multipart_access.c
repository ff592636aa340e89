/* Whose uploads are whose. */
#include "s3/authorize.h"
#include "s3/multipart.h"

static bool is_user(const struct s3_call *call, ProtobufCBinaryData id)
{
    return id.len > 0 && slice_equal_string(pb_slice(id), call->identity.user);
}

/* A policy may let anybody; who began the upload may as with an object of its
 * own. */
static bool authorize_end(struct s3_call *call, const char *action,
                          const Meta__Upload *record)
{
    Meta__Object meant = META__OBJECT__INIT;

    if (record != NULL && is_user(call, record->owner)) {
        meant.owner = record->owner;
        if (call_may(call, action, call->bucket, call->key, &meant)) {
            return true;
        }
    }
    return call_authorize_object(call, action, call->key, NULL);
}

bool upload_authorize(struct s3_call *call, const Meta__Upload *record)
{
    switch (call->operation->operation) {
    case WIRE__OPERATION__ABORT_MULTIPART_UPLOAD:
        return authorize_end(call, "s3:AbortMultipartUpload", record);
    case WIRE__OPERATION__LIST_PARTS:
        return authorize_end(call, "s3:ListMultipartUploadParts", record);
    default: /* may write; a foreign upload becomes an object of another's */
        if (record == NULL || call->identity.root ||
            is_user(call, record->owner) ||
            is_user(call, call->bucket->owner)) {
            return true;
        }
        call_fail(call, S3_ERR_AccessDenied);
        return false;
    }
}
