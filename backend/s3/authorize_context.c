#include "s3/authorize_context.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "s3/bucket.h"
#include "s3/worm.h"

#define DAY_MS     ((uint64_t)86400000)
#define HEADER_MAX 64u /* bytes of the name of a header in a key */

/* What is asked about, and where the one value goes. */
typedef size_t key_values(struct access_context *context, struct slice *values);

static size_t one(struct slice *values, struct slice value)
{
    if (value.data == NULL) {
        return 0;
    }
    values[0] = value;
    return 1;
}

static size_t text(struct slice *values, const char *value)
{
    return value[0] != '\0' ? one(values, slice_from_string(value)) : 0;
}

/* Of the anonymous there is nothing to tell. */
static bool is_signed(const struct access_context *context)
{
    return !call_is_anonymous(context->call);
}

/* --- the connection and the time -------------------------------------------*/
static size_t source_ip(struct access_context *context, struct slice *values)
{
    const ProtobufCBinaryData *address = &context->call->request->source_ip;

    return address->len > 0 ? one(values, pb_slice(*address)) : 0;
}

static size_t secure_transport(struct access_context *context,
                               struct slice *values)
{
    return text(values, context->call->request->secure ? "true" : "false");
}

/* "TLSv1.3" is 1.3, "TLSv1" is 1.0. */
static size_t tls_version(struct access_context *context, struct slice *values)
{
    static const char prefix[] = "TLSv";
    struct slice version = pb_slice(context->call->request->tls_version);
    const size_t skip = sizeof(prefix) - 1;

    if (!slice_has_prefix(version, slice_of(prefix, skip))) {
        return 0;
    }
    version = slice_of(version.data + skip, version.size - skip);
    return one(values, slice_equal_string(version, "1") ? SLICE_LITERAL("1.0")
                                                        : version);
}

static size_t current_time(struct access_context *context, struct slice *values)
{
    time_iso8601(context->current_time, context->call->began_ms);
    return text(values, context->current_time);
}

static size_t epoch_time(struct access_context *context, struct slice *values)
{
    snprintf(context->epoch, sizeof(context->epoch), "%" PRIu64,
             context->call->began_ms / 1000);
    return text(values, context->epoch);
}

static size_t requested_region(struct access_context *context,
                               struct slice *values)
{
    return one(values, bucket_endpoint_region(context->call));
}

/* --- the caller ------------------------------------------------------------*/
static size_t user_name(struct access_context *context, struct slice *values)
{
    return text(values, context->call->identity.user_name);
}

static size_t user_id(struct access_context *context, struct slice *values)
{
    return text(values, context->call->identity.user_id);
}

/* Of a session it is the role's. */
static size_t principal_arn(struct access_context *context,
                            struct slice *values)
{
    const struct iam_identity *identity = &context->call->identity;

    return text(values, identity->role_arn[0] != '\0' ? identity->role_arn
                                                      : identity->arn);
}

static size_t principal_account(struct access_context *context,
                                struct slice *values)
{
    return text(values, context->call->identity.account);
}

static size_t principal_type(struct access_context *context,
                             struct slice *values)
{
    const struct iam_identity *identity = &context->call->identity;

    if (!is_signed(context)) {
        return text(values, "Anonymous");
    }
    if (identity->role_arn[0] != '\0') {
        return text(values, "AssumedRole");
    }
    return text(values, identity->account_root ? "Account" : "User");
}

static size_t issue_time(struct access_context *context, struct slice *values)
{
    const struct iam_identity *identity = &context->call->identity;

    if (!identity->temporary) {
        return 0;
    }
    time_iso8601(context->issue_time, identity->issued_ms);
    return text(values, context->issue_time);
}

/* --- the signature ---------------------------------------------------------*/
static size_t auth_type(struct access_context *context, struct slice *values)
{
    const Wire__Request *request = context->call->request;

    if (!is_signed(context)) {
        return 0;
    }
    if (request->operation == WIRE__OPERATION__POST_OBJECT) {
        return text(values, "POST");
    }
    return text(values,
                request->presigned ? "REST-QUERY-STRING" : "REST-HEADER");
}

static size_t signature_version(struct access_context *context,
                                struct slice *values)
{
    return is_signed(context) ? text(values, "AWS4-HMAC-SHA256") : 0;
}

static size_t signature_age(struct access_context *context,
                            struct slice *values)
{
    const uint64_t now_ms = context->call->began_ms;
    const uint64_t signed_ms = context->call->request->signed_ms;

    if (!is_signed(context) || signed_ms == 0) {
        return 0;
    }
    snprintf(context->age, sizeof(context->age), "%" PRIu64,
             now_ms > signed_ms ? now_ms - signed_ms : 0);
    return text(values, context->age);
}

/* --- what is asked about ---------------------------------------------------*/
static size_t version_id(struct access_context *context, struct slice *values)
{
    return one(values, context->question->version_id);
}

static size_t resource_account(struct access_context *context,
                               struct slice *values)
{
    const Meta__Bucket *bucket = context->question->bucket;

    if (bucket == NULL) {
        return principal_account(context, values);
    }
    iam_account_number(context->call->service->iam, pb_slice(bucket->owner),
                       context->account);
    return text(values, context->account);
}

static size_t location_constraint(struct access_context *context,
                                  struct slice *values)
{
    return one(values, context->call->asked.location);
}

static size_t creation(struct access_context *context, struct slice *values)
{
    switch (context->call->request->operation) {
    case WIRE__OPERATION__PUT_OBJECT:
    case WIRE__OPERATION__POST_OBJECT:
    case WIRE__OPERATION__COPY_OBJECT:
    case WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD:
        return text(values, "true");
    default:
        return text(values, "false");
    }
}

/* Arguments mean something only to lists: others could be given them to get
 * past a condition. */
static size_t list_argument(struct access_context *context, const char *name,
                            struct slice *values)
{
    switch (context->call->request->operation) {
    case WIRE__OPERATION__LIST_OBJECTS:
    case WIRE__OPERATION__LIST_OBJECTS_V2:
    case WIRE__OPERATION__LIST_OBJECT_VERSIONS:
    case WIRE__OPERATION__LIST_MULTIPART_UPLOADS:
        return one(values, call_arg(context->call, name));
    default:
        return 0;
    }
}

static size_t prefix(struct access_context *context, struct slice *values)
{
    return list_argument(context, "prefix", values);
}

static size_t delimiter(struct access_context *context, struct slice *values)
{
    return list_argument(context, "delimiter", values);
}

static size_t max_keys(struct access_context *context, struct slice *values)
{
    return list_argument(context, "max-keys", values);
}

static size_t referer(struct access_context *context, struct slice *values)
{
    return one(values, call_request_header(context->call, "referer"));
}

static size_t user_agent(struct access_context *context, struct slice *values)
{
    return one(values, call_request_header(context->call, "user-agent"));
}

static size_t if_match(struct access_context *context, struct slice *values)
{
    return one(values, call_request_header(context->call, "if-match"));
}

static size_t if_none_match(struct access_context *context,
                            struct slice *values)
{
    return one(values, call_request_header(context->call, "if-none-match"));
}

/* One object has many spellings there: all are the same to a policy. Others
 * than copies may carry the header, and write bytes of their own. */
static size_t copy_source(struct access_context *context, struct slice *values)
{
    const Wire__Operation operation = context->call->request->operation;
    struct slice path, version_id;

    if (operation != WIRE__OPERATION__COPY_OBJECT &&
        operation != WIRE__OPERATION__UPLOAD_PART_COPY) {
        return 0;
    }
    return object_copy_source_path(context->call, &path, &version_id) == 0
               ? one(values, path)
               : 0;
}

/* --- Object Lock: from the body, else from headers -------------------------*/
static size_t lock_mode(struct access_context *context, struct slice *values)
{
    const Meta__Object *asked = context->call->asked.object;

    if (asked != NULL && asked->retention != NULL) {
        return asked->retention->mode != META__LOCK_MODE__NO_LOCK
                   ? text(values, worm_mode_name(asked->retention->mode))
                   : 0;
    }
    return one(values,
               call_request_header(context->call, "x-amz-object-lock-mode"));
}

static bool retain_until(const struct access_context *context, uint64_t *ms)
{
    const Meta__Object *asked = context->call->asked.object;

    if (asked != NULL && asked->retention != NULL) {
        *ms = asked->retention->until_ms;
        return asked->retention->mode != META__LOCK_MODE__NO_LOCK;
    }
    return time_parse_iso8601(
               call_request_header(context->call,
                                   "x-amz-object-lock-retain-until-date"),
               ms) == 0;
}

static size_t lock_until(struct access_context *context, struct slice *values)
{
    uint64_t ms;

    if (!retain_until(context, &ms)) {
        return 0;
    }
    time_iso8601(context->until, ms);
    return text(values, context->until);
}

/* Begun days count: a limit of 10 must not let 10 days and an hour through. */
static size_t lock_days(struct access_context *context, struct slice *values)
{
    const uint64_t now_ms = context->call->began_ms;
    uint64_t ms;

    if (!retain_until(context, &ms)) {
        return 0;
    }
    snprintf(context->days, sizeof(context->days), "%" PRIu64,
             ms > now_ms ? (ms - now_ms + DAY_MS - 1) / DAY_MS : 0);
    return text(values, context->days);
}

static size_t legal_hold(struct access_context *context, struct slice *values)
{
    const Meta__Object *asked = context->call->asked.object;

    if (asked != NULL && asked->legal_hold != META__LEGAL_HOLD__NEVER_HELD) {
        return text(values, asked->legal_hold == META__LEGAL_HOLD__HOLD_ON
                                ? "ON"
                                : "OFF");
    }
    return one(values, call_request_header(context->call,
                                           "x-amz-object-lock-legal-hold"));
}

/* --- tags ------------------------------------------------------------------*/
/* Tags of buckets and of objects have names of their own in policies. */
static bool of_bucket(const struct access_context *context)
{
    return context->question->key.data == NULL;
}

/* The tags that the request sets: of its body, or of its header. */
static void request_tags(struct access_context *context, struct tag_set *set)
{
    const Meta__Object *asked = context->call->asked.object;

    *set = (struct tag_set){NULL, 0};
    if (asked != NULL) {
        *set = (struct tag_set){asked->tags, asked->n_tags};
    } else if (!of_bucket(context) && !object_copies_tags(context->call)) {
        tags_read_header(context->call, set);
    }
}

static size_t request_tag_keys(struct access_context *context,
                               struct slice *values)
{
    struct tag_set set;

    request_tags(context, &set);
    for (size_t i = 0; i < set.count && i < POLICY_VALUES_MAX; i++) {
        values[i] = pb_slice(set.tags[i]->name);
    }
    return set.count < POLICY_VALUES_MAX ? set.count : POLICY_VALUES_MAX;
}

static size_t bucket_tag_keys(struct access_context *context,
                              struct slice *values)
{
    return of_bucket(context) ? request_tag_keys(context, values) : 0;
}

static size_t object_tag_keys(struct access_context *context,
                              struct slice *values)
{
    return of_bucket(context) ? 0 : request_tag_keys(context, values);
}

static size_t tag_value(Meta__Field *const *tags, size_t count,
                        struct slice name, struct slice *values)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(pb_slice(tags[i]->name), name)) {
            struct slice value = pb_slice(tags[i]->value);

            return one(values, value.size > 0 ? value : slice_of("", 0));
        }
    }
    return 0;
}

static size_t bucket_tag(struct access_context *context, struct slice name,
                         struct slice *values)
{
    const Meta__Bucket *bucket = context->question->bucket;

    if (bucket == NULL) {
        return 0;
    }
    if (!context->bucket_tags_read) {
        tags_of_bucket(context->call, bucket, &context->bucket_tags);
        context->bucket_tags_read = true;
    }
    return tag_value(context->bucket_tags.tags, context->bucket_tags.count,
                     name, values);
}

/* --- the table -------------------------------------------------------------*/
static const struct {
    const char *name;
    key_values *values;
} keys[] = {
    {"aws:CurrentTime", current_time},
    {"aws:EpochTime", epoch_time},
    {"aws:PrincipalAccount", principal_account},
    {"aws:PrincipalArn", principal_arn},
    {"aws:PrincipalType", principal_type},
    {"aws:Referer", referer},
    {"aws:RequestedRegion", requested_region},
    {"aws:ResourceAccount", resource_account},
    {"aws:SecureTransport", secure_transport},
    {"aws:SourceIp", source_ip},
    {"aws:TagKeys", bucket_tag_keys},
    {"aws:TokenIssueTime", issue_time},
    {"aws:UserAgent", user_agent},
    {"aws:userid", user_id},
    {"aws:username", user_name},
    {"s3:LocationConstraint", location_constraint},
    {"s3:ObjectCreationOperation", creation},
    {"s3:RequestObjectTagKeys", object_tag_keys},
    {"s3:ResourceAccount", resource_account},
    {"s3:TlsVersion", tls_version},
    {"s3:VersionId", version_id},
    {"s3:authType", auth_type},
    {"s3:delimiter", delimiter},
    {"s3:if-match", if_match},
    {"s3:if-none-match", if_none_match},
    {"s3:max-keys", max_keys},
    {"s3:object-lock-legal-hold", legal_hold},
    {"s3:object-lock-mode", lock_mode},
    {"s3:object-lock-remaining-retention-days", lock_days},
    {"s3:object-lock-retain-until-date", lock_until},
    {"s3:prefix", prefix},
    {"s3:signatureAge", signature_age},
    {"s3:signatureversion", signature_version},
    {"s3:x-amz-copy-source", copy_source},
};

static bool is_key(struct slice key, const char *name)
{
    return key.size == strlen(name) &&
           strncasecmp((const char *)key.data, name, key.size) == 0;
}

/* What follows `prefix` in a key; data == NULL: it has another. */
static struct slice behind(struct slice key, const char *prefix)
{
    const size_t size = strlen(prefix);

    if (key.size <= size ||
        strncasecmp((const char *)key.data, prefix, size) != 0) {
        return slice_of(NULL, 0);
    }
    return slice_of(key.data + size, key.size - size);
}

/* s3:x-amz-acl is the header of that name. */
static size_t header_values(struct access_context *context, struct slice name,
                            struct slice *values)
{
    char lower[HEADER_MAX + 1];

    if (name.size > HEADER_MAX) {
        return 0;
    }
    for (size_t i = 0; i < name.size; i++) {
        const uint8_t c = name.data[i];

        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    lower[name.size] = '\0';
    return one(values, call_request_header(context->call, lower));
}

static size_t named_values(struct access_context *context, struct slice key,
                           struct slice *values)
{
    const Meta__Object *object = context->question->object;
    struct slice rest;
    struct tag_set set;

    rest = behind(key, "s3:ExistingObjectTag/");
    if (rest.data != NULL) {
        return object != NULL
                   ? tag_value(object->tags, object->n_tags, rest, values)
                   : 0;
    }
    rest = behind(key, "s3:BucketTag/");
    if (rest.data != NULL) {
        return bucket_tag(context, rest, values);
    }
    rest = behind(key, of_bucket(context) ? "aws:RequestTag/"
                                          : "s3:RequestObjectTag/");
    if (rest.data != NULL) {
        request_tags(context, &set);
        return tag_value(set.tags, set.count, rest, values);
    }
    if (behind(key, "s3:x-amz-").data != NULL) {
        return header_values(context, behind(key, "s3:"), values);
    }
    return 0;
}

size_t access_values(void *argument, struct slice key, struct slice *values)
{
    struct access_context *context = argument;

    context->call->consulted = true;
    for (size_t i = 0; i < context->given_count; i++) {
        if (key.size == context->given[i].key.size &&
            strncasecmp((const char *)key.data,
                        (const char *)context->given[i].key.data,
                        key.size) == 0) {
            return one(values, context->given[i].value);
        }
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (is_key(key, keys[i].name)) {
            return keys[i].values(context, values);
        }
    }
    return named_values(context, key, values);
}
