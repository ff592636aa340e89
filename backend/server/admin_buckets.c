/*
 * Buckets: bucket.list, bucket.show.
 */
#include "server/admin.h"
#include <errno.h>
#include <string.h>

static json_t *text_of(const ProtobufCBinaryData *bytes)
{
    return json_stringn_nocheck((const char *)bytes->data, bytes->len);
}

static const char *versioning_of(const Meta__Bucket *bucket)
{
    switch (bucket->versioning) {
    case META__BUCKET__VERSIONING__ENABLED:
        return "enabled";
    case META__BUCKET__VERSIONING__SUSPENDED:
        return "suspended";
    default:
        return "off";
    }
}

static json_t *bucket_json(struct admin_call *call, const Meta__Bucket *bucket)
{
    const struct slice owner = slice_of(bucket->owner.data, bucket->owner.len);
    struct meta_usage usage;
    char account[65];
    iam_display_name(call->iam, owner, account);
    meta_get_usage(call->server->cluster.meta, bucket->id, &usage);
    json_t *object = json_pack(
        "{s:o,s:s,s:s,s:b,s:I,s:I}", "name", text_of(&bucket->name), "account",
        account, "versioning", versioning_of(bucket), "object_lock",
        (int)bucket->object_lock, "bytes", (json_int_t)usage.bytes, "objects",
        (json_int_t)usage.objects);
    invariant(object != NULL);
    admin_add_time(object, "created_ms", bucket->created_ms);
    return object;
}

/* --- list ------------------------------------------------------------------*/
/* By its canonical id; NULL: of all. */
static bool is_of(const Meta__Bucket *bucket, const char *owner)
{
    return owner == NULL ||
           slice_equal_string(slice_of(bucket->owner.data, bucket->owner.len),
                              owner);
}

/* With `prefix` and of `owner`; *truncated: there are more of them. */
static int list_buckets(struct admin_call *call, struct slice prefix,
                        const char *owner, json_t *list, bool *truncated)
{
    struct meta_scan *scan =
        meta_scan_buckets(call->server->cluster.meta, prefix);
    int error = 0;
    *truncated = false;
    for (; error == 0 && !*truncated && meta_scan_valid(scan) &&
           slice_has_prefix(meta_scan_key(scan), prefix);
         meta_scan_next(scan)) {
        struct arena *arena = arena_new();
        Meta__Bucket *bucket;
        error = meta_scan_bucket(scan, arena, &bucket);
        if (error == 0 && is_of(bucket, owner)) {
            *truncated = json_array_size(list) == ADMIN_ENTRIES_MAX;
            if (!*truncated) {
                json_array_append_new(list, bucket_json(call, bucket));
            }
        }
        arena_free(arena);
    }
    error = error != 0 ? error : meta_scan_error(scan);
    meta_scan_free(scan);
    return error;
}

static int list(struct admin_call *call)
{
    const char *prefix = admin_text(call, "prefix");
    const bool of_one = admin_text(call, "account") != NULL;
    struct iam_account account = {0};
    int error = of_one ? admin_account(call, &account) : 0;
    if (error != 0) {
        return error;
    }
    json_t *buckets = json_array();
    bool truncated;
    error = list_buckets(call, slice_from_string(prefix != NULL ? prefix : ""),
                         of_one ? account.id : NULL, buckets, &truncated);
    if (error != 0) {
        json_decref(buckets);
        return error;
    }
    return admin_reply(call, json_pack("{s:o,s:b}", "buckets", buckets,
                                       "truncated", (int)truncated));
}

/* --- show ------------------------------------------------------------------*/
/* The settings that it has: as their sub-resources are called. */
static json_t *settings_json(const Meta__Bucket *bucket)
{
    const struct {
        const char *name;
        bool there;
    } others[] = {
        {"acl", bucket->acl != NULL},
        {"publicAccessBlock", bucket->public_access_block != NULL},
        {"encryption", bucket->default_encryption != NULL},
        {"notification", bucket->n_notifications > 0 || bucket->event_bridge},
        {"website", bucket->website != NULL},
        {"quota", bucket->quota != NULL},
    };
    json_t *names = json_array();
    for (size_t i = 0; i < bucket->n_documents; i++) {
        json_array_append_new(names, text_of(&bucket->documents[i]->name));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (others[i].there) {
            json_array_append_new(names, json_string(others[i].name));
        }
    }
    return names;
}

static int show(struct admin_call *call)
{
    const char *name = admin_text(call, "bucket");
    struct arena *arena = arena_new();
    Meta__Bucket *bucket;
    int error = name != NULL
                    ? meta_get_bucket(call->server->cluster.meta, arena,
                                      slice_from_string(name), &bucket)
                    : -ENOENT;
    if (error != 0) {
        arena_free(arena);
        return error == -ENOENT ? admin_refuse(call, error, "no such bucket")
                                : error;
    }
    json_t *object = bucket_json(call, bucket);
    json_object_set_new(object, "owner", text_of(&bucket->owner));
    json_object_set_new(object, "region", text_of(&bucket->region));
    json_object_set_new(object, "settings", settings_json(bucket));
    arena_free(arena);
    return admin_reply(call, object);
}

const struct admin_command admin_bucket_commands[] = {
    {.name = "bucket.list", .run = list},
    {.name = "bucket.show", .run = show},
    {.name = NULL},
};
