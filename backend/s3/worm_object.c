/*
 * Put and GetObjectRetention, Put and GetObjectLegalHold
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html
 */
#include <errno.h>

#include "base/xml_in.h"
#include "s3/authorize.h"
#include "s3/document.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/version.h"
#include "s3/worm.h"

static void fail_marker(struct s3_call *call, const Meta__Object *marker,
                        struct slice version_id)
{
    call_header(call, "x-amz-delete-marker", "true");
    version_header(call, marker);
    if (version_id.data == NULL) {
        call_fail_no_key(call, call->key);
        return;
    }
    call_header(call, "Allow", "DELETE");
    call_error_field(call, "Method", pb_slice(call->request->method));
    call_error_field(call, "ResourceType", SLICE_LITERAL("DeleteMarker"));
    call_fail(call, S3_ERR_MethodNotAllowed);
}

/* The version that the request names, no marker. NULL: the call has failed. */
static Meta__Object *find(struct s3_call *call, struct slice version_id)
{
    Meta__Object *object;
    int rc =
        object_find(call, call->bucket->id, call->key, version_id, &object);

    if (rc == -ENOENT) {
        object_fail_absent(call, call->bucket, call->key, version_id);
    } else if (rc != 0) {
        call_fail_errno(call, rc, "reading an object's record");
    } else if (object->delete_marker) {
        if (version_id.data != NULL ||
            call_authorize_absent(call, call->bucket)) {
            fail_marker(call, object, version_id);
        }
    } else {
        return object;
    }
    return NULL;
}

/* Changes the record under the key's lock: true if it is to be stored; false
 * if the call has failed. */
typedef bool record_change(struct s3_call *call, Meta__Object *object,
                           const void *wanted);

static void change_locked(struct s3_call *call, struct slice version_id,
                          record_change *change, const void *wanted)
{
    Meta__Object *object = find(call, version_id);

    if (object == NULL || !change(call, object, wanted)) {
        return;
    }
    struct meta_batch *batch = meta_batch_new(call->service->meta);
    meta_put_object(batch, call->bucket->id, call->key, object);
    int rc = meta_commit(batch);
    meta_batch_free(batch);
    if (rc != 0) {
        call_fail_errno(call, rc, "changing an object's lock");
    } else {
        call_reply_empty(call, 200);
    }
}

static void change_record(struct s3_call *call, record_change *change,
                          const void *wanted)
{
    struct slice version_id;

    if (object_version_arg(call, &version_id) && object_lock(call, call->key)) {
        change_locked(call, version_id, change, wanted);
        object_unlock(call, call->key);
    }
}

/* A policy may limit what is asked for. */
static bool authorize(struct s3_call *call, const Meta__Object *asked)
{
    call->asked.object = asked;
    bool allowed = call_authorize_object(
        call, s3_permission_find(call->operation->operation)->action, call->key,
        NULL);
    call->asked.object = NULL;
    return allowed;
}

/* For reads: NULL: the call has failed. */
static Meta__Object *read_record(struct s3_call *call)
{
    struct slice version_id;

    if (!worm_check_bucket(call) || !object_version_arg(call, &version_id)) {
        return NULL;
    }
    return find(call, version_id);
}

/* --- retention -------------------------------------------------------------*/
/* An empty element takes the retention away: mode is then NO_LOCK. */
static bool read_retention(struct s3_call *call, Meta__Retention *retention)
{
    const struct xml_node *root = document_request(call, "Retention");
    struct xml_leaf leaves[] = {{.name = "Mode"}, {.name = "RetainUntilDate"}};
    struct slice mode, until;

    if (root == NULL) {
        return false;
    }
    if (!xml_in_leaves(root, leaves, sizeof(leaves) / sizeof(leaves[0]))) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    mode = leaves[0].value;
    until = leaves[1].value;
    if (mode.data == NULL && until.data == NULL) {
        return true;
    }
    retention->mode = worm_parse_mode(mode);
    if (retention->mode == META__LOCK_MODE__NO_LOCK ||
        time_parse_iso8601(until, &retention->until_ms) != 0) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    if (retention->until_ms <= clock_wall_ms()) {
        call_fail_argument(call, "RetainUntilDate", until,
                           "The retain until date must be in the future!");
        return false;
    }
    return true;
}

/* record_change */
static bool change_retention(struct s3_call *call, Meta__Object *object,
                             const void *wanted)
{
    const Meta__Retention *retention = wanted;

    if (retention->mode == META__LOCK_MODE__NO_LOCK) {
        retention = NULL;
    }
    if (!worm_may_change(object, retention, clock_wall_ms(),
                         worm_bypass(call, call->key))) {
        call_fail_message(call, S3_ERR_AccessDenied, "%s",
                          WORM_PROTECTED_MESSAGE);
        return false;
    }
    object->retention = (Meta__Retention *)retention;
    return true;
}

void s3_put_retention_run(struct s3_call *call)
{
    Meta__Retention retention = META__RETENTION__INIT;
    Meta__Object asked = META__OBJECT__INIT;

    asked.retention = &retention;
    if (document_require_integrity(call) && read_retention(call, &retention) &&
        authorize(call, &asked) && worm_check_bucket(call)) {
        change_record(call, change_retention, &retention);
    }
}

void s3_get_retention_run(struct s3_call *call)
{
    const Meta__Object *object = read_record(call);
    struct buffer out = {NULL, 0, 0};

    if (object == NULL) {
        return;
    }
    if (object->retention == NULL ||
        object->retention->mode == META__LOCK_MODE__NO_LOCK) {
        call_error_field(call, "Key", call->key);
        call_fail(call, S3_ERR_NoSuchObjectLockConfiguration);
        return;
    }
    xml_open_document(&out, "Retention");
    xml_string(&out, "Mode", worm_mode_name(object->retention->mode));
    xml_time(&out, "RetainUntilDate", object->retention->until_ms);
    xml_close(&out, "Retention");
    call_reply_xml(call, 200, &out);
}

/* --- legal hold ------------------------------------------------------------*/
static bool read_legal_hold(struct s3_call *call, Meta__LegalHold *hold)
{
    const struct xml_node *root = document_request(call, "LegalHold");
    struct xml_leaf leaf = {.name = "Status", .required = true};

    if (root == NULL) {
        return false;
    }
    if (xml_in_leaves(root, &leaf, 1)) {
        if (slice_equal_string(leaf.value, "ON")) {
            *hold = META__LEGAL_HOLD__HOLD_ON;
            return true;
        }
        if (slice_equal_string(leaf.value, "OFF")) {
            *hold = META__LEGAL_HOLD__HOLD_OFF;
            return true;
        }
    }
    call_fail(call, S3_ERR_MalformedXML);
    return false;
}

/* record_change */
static bool change_legal_hold(struct s3_call *call, Meta__Object *object,
                              const void *wanted)
{
    (void)call;
    object->legal_hold = *(const Meta__LegalHold *)wanted;
    return true;
}

void s3_put_legal_hold_run(struct s3_call *call)
{
    Meta__Object asked = META__OBJECT__INIT;

    if (document_require_integrity(call) &&
        read_legal_hold(call, &asked.legal_hold) && authorize(call, &asked) &&
        worm_check_bucket(call)) {
        change_record(call, change_legal_hold, &asked.legal_hold);
    }
}

void s3_get_legal_hold_run(struct s3_call *call)
{
    const Meta__Object *object = read_record(call);
    struct buffer out = {NULL, 0, 0};

    if (object == NULL) {
        return;
    }
    if (object->legal_hold == META__LEGAL_HOLD__NEVER_HELD) {
        call_error_field(call, "Key", call->key);
        call_fail(call, S3_ERR_NoSuchObjectLockConfiguration);
        return;
    }
    xml_open_document(&out, "LegalHold");
    xml_string(&out, "Status",
               object->legal_hold == META__LEGAL_HOLD__HOLD_ON ? "ON" : "OFF");
    xml_close(&out, "LegalHold");
    call_reply_xml(call, 200, &out);
}
