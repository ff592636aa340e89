/*
 * Put, Get and DeleteBucketWebsite, and the endpoint of the website itself.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html
 */
#include "s3/website.h"

#include "s3/authorize.h"
#include "s3/bucket.h"
#include "s3/document.h"
#include "s3/hot_answer.h"
#include "s3/object.h"
#include "s3/operations.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_REDIRECT 301u

/* --- configuration ---------------------------------------------------------*/
/* bucket_change */
static bool change_website(struct s3_call *call, Meta__Bucket *bucket,
                           const void *wanted)
{
    const bool nothing = bucket->website == NULL && wanted == NULL;

    (void)call;
    bucket->website = (Meta__Website *)wanted;
    return !nothing;
}

void s3_put_website_run(struct s3_call *call)
{
    const Meta__Website *website = website_read(call);

    if (website != NULL && bucket_update(call, change_website, website)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_bucket_website_run(struct s3_call *call)
{
    struct buffer out = {NULL, 0, 0};

    if (call->bucket->website == NULL) {
        document_fail(call, S3_ERR_NoSuchWebsiteConfiguration);
        return;
    }
    website_write(&out, call->bucket->website);
    call_reply_xml(call, 200, &out);
}

void s3_delete_website_run(struct s3_call *call)
{
    if (bucket_update(call, change_website, NULL)) {
        call_reply_empty(call, 204);
    }
}

/* --- redirects -------------------------------------------------------------*/
static void reply_location(struct s3_call *call, unsigned status,
                           struct buffer *location)
{
    call_header_slice(call, "Location",
                      slice_of(location->data, location->size));
    buffer_free(location);
    call_reply_empty(call, status);
}

static void reply_redirect(struct s3_call *call,
                           const Meta__WebsiteRedirect *redirect,
                           struct slice prefix)
{
    const struct website_request request = {
        .key = pb_slice(call->request->key),
        .query = pb_slice(call->request->query),
        .host = pb_slice(call->request->host),
        .secure = call->request->secure,
    };
    struct buffer location = {NULL, 0, 0};

    website_location(&location, redirect, prefix, &request);
    reply_location(call,
                   redirect->status != 0 ? redirect->status : DEFAULT_REDIRECT,
                   &location);
}

/* True: a rule redirects, and the call is done. */
static bool follow_rule(struct s3_call *call, unsigned status)
{
    const Meta__WebsiteRule *rule = website_find_rule(
        call->bucket->website, pb_slice(call->request->key), status);

    if (rule != NULL) {
        reply_redirect(call, rule->redirect, pb_slice(rule->prefix));
    }
    return rule != NULL;
}

/* --- objects ---------------------------------------------------------------*/
static bool wants_body(const struct s3_call *call)
{
    return !slice_equal_string(pb_slice(call->request->method), "HEAD");
}

static enum s3_error broken(const struct s3_call *call, int error)
{
    const struct slice id = pb_slice(call->request->request_id);

    log_error("reading an object of a website failed: %s (request %.*s)",
              strerror(-error), (int)id.size, (const char *)id.data);
    return call_error_of(error);
}

/* S3_OK: *object may be read. Otherwise it is NULL if there is none. */
static enum s3_error look(struct s3_call *call, struct slice key,
                          Meta__Object **object)
{
    int error = -ENOENT;

    *object = NULL;
    if (object_valid_key(key)) {
        hot_answer_look(call, key);
        error =
            object_find(call, call->bucket->id, key, slice_of(NULL, 0), object);
    }
    if (error == 0 && (*object)->delete_marker) {
        error = -ENOENT;
    }
    if (error == -ENOENT) {
        *object = NULL;
        return call_may(call, "s3:ListBucket", call->bucket, slice_of(NULL, 0),
                        NULL)
                   ? S3_ERR_NoSuchKey
                   : S3_ERR_AccessDenied;
    }
    if (error != 0) {
        return broken(call, error);
    }
    return call_may(call, "s3:GetObject", call->bucket, key, *object)
               ? S3_OK
               : S3_ERR_AccessDenied;
}

/* The object of call->key, or where it sends the client. S3_OK: the call is
 * done. */
static enum s3_error try_object(struct s3_call *call, bool *absent)
{
    int error = -ENOENT;

    *absent = false;
    for (unsigned i = 0; i < OBJECT_TRIES && error == -ENOENT; i++) {
        Meta__Object *object;
        enum s3_error found = look(call, call->key, &object);

        if (found != S3_OK) {
            *absent = object == NULL;
            return found;
        }
        if (object->website_redirect.len > 0) {
            struct buffer location = {NULL, 0, 0};

            website_uri(&location, pb_slice(object->website_redirect));
            reply_location(call, DEFAULT_REDIRECT, &location);
            return S3_OK;
        }
        error = object_answer(call, object, wants_body(call));
        if (error == 0) {
            object_publish(call, object, wants_body(call));
        }
    }
    return error == 0 ? S3_OK : broken(call, error);
}

static struct slice with_index(struct s3_call *call, const char *between)
{
    struct slice parts[] = {pb_slice(call->request->key),
                            slice_from_string(between),
                            pb_slice(call->bucket->website->index_suffix)};
    struct buffer out = {NULL, 0, 0};

    for (size_t i = 0; i < 3; i++) {
        buffer_append(&out, parts[i].data, parts[i].size);
    }
    return document_take(call, &out);
}

/* "folder" is sent to "folder/" if that has an index. */
static bool try_folder(struct s3_call *call)
{
    struct slice key = pb_slice(call->request->key);
    struct buffer location = {NULL, 0, 0};
    Meta__Object *object;

    if (look(call, with_index(call, "/"), &object) != S3_OK) {
        return false;
    }
    buffer_append_string(&location, "/");
    uri_encode(&location, key, true);
    buffer_append_string(&location, "/");
    website_found(call, slice_of(location.data, location.size));
    buffer_free(&location);
    return true;
}

/* --- errors ----------------------------------------------------------------*/
/* True: the bucket's own document is sent in the place of `why`. */
static bool try_document(struct s3_call *call, enum s3_error why)
{
    const unsigned status = s3_error_status(why);
    struct slice key = pb_slice(call->bucket->website->error_key);
    enum s3_error found = S3_OK;
    int error = -ENOENT;

    for (unsigned i = 0; i < OBJECT_TRIES && error == -ENOENT && found == S3_OK;
         i++) {
        Meta__Object *object;

        found = look(call, key, &object);
        if (found == S3_OK) {
            error = object_answer_as(call, object, true, status);
        }
    }
    if (found == S3_OK && error != 0) {
        found = broken(call, error);
    }
    if (found != S3_OK) {
        website_no_document(call, found, key);
        return false;
    }
    if (call->error == S3_OK) { /* else it is sealed, which is an answer */
        website_error_headers(call, why);
        call->error = why;
    }
    return true;
}

static void answer_error(struct s3_call *call, enum s3_error error)
{
    const unsigned status = s3_error_status(error);

    if (follow_rule(call, status)) {
        return;
    }
    if (error == S3_ERR_NoSuchKey) {
        call_error_field(call, "Key", call->key);
    }
    /* Headers alone say it to HEAD. */
    if (status >= 500 || call->bucket->website->error_key.len == 0 ||
        !wants_body(call) || !try_document(call, error)) {
        call_fail(call, error);
    }
}

/* --- the endpoint ----------------------------------------------------------*/
static bool check_method(struct s3_call *call)
{
    const struct slice method = pb_slice(call->request->method);

    if (slice_equal_string(method, "GET") ||
        slice_equal_string(method, "HEAD")) {
        return true;
    }
    call_header(call, "Allow", "GET, HEAD, OPTIONS");
    call_error_field(call, "Method", method);
    call_error_field(call, "ResourceType", SLICE_LITERAL("OBJECT"));
    call_fail(call, S3_ERR_MethodNotAllowed);
    return false;
}

static void answer(struct s3_call *call)
{
    const struct slice asked = pb_slice(call->request->key);
    const bool folder = asked.size == 0 || asked.data[asked.size - 1] == '/';
    enum s3_error error;
    bool absent;

    if (folder) {
        call->key = with_index(call, "");
    }
    error = try_object(call, &absent);
    if (error != S3_OK && (folder || !absent || !try_folder(call))) {
        answer_error(call, error);
    }
}

void s3_get_website_run(struct s3_call *call)
{
    const Meta__Website *website = call->bucket->website;

    if (!check_method(call)) {
        return;
    }
    if (website == NULL) {
        document_fail(call, S3_ERR_NoSuchWebsiteConfiguration);
    } else if (website->all != NULL) {
        reply_redirect(call, website->all, slice_of(NULL, 0));
    } else if (!follow_rule(call, 0)) {
        answer(call);
    }
}
