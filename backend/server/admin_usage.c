/*
 * What is stored: usage.show, quota.show, usage.verify, usage.repair.
 */
#include "server/admin.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* --- usage and quotas ------------------------------------------------------*/

static bool is_limited(const Meta__Quota *quota)
{
    return !meta_quota_is_none(quota);
}

static json_t *quota_json(const Meta__Quota *quota)
{
    const struct {
        const char *name;
        uint64_t limit;
    } limits[] = {
        {"bytes", quota->bytes},       {"objects", quota->objects},
        {"requests", quota->requests}, {"download", quota->download},
        {"upload", quota->upload},
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (limits[i].limit != 0) {
            json_object_set_new(object, limits[i].name,
                                integer(limits[i].limit));
        }
    }
    return object;
}

static json_t *usage_json(const struct meta_usage *usage)
{
    return json_pack("{s:o,s:o}", "bytes", integer(usage->bytes), "objects",
                     integer(usage->objects));
}

/* What is asked for. */
struct view {
    struct admin_call *call;
    const char *bucket;  /* NULL: all */
    const char *account; /* canonical id; NULL: all */
    struct slice prefix; /* of the names of buckets */
    bool limited;        /* only who has a limit */
    json_t *list;
    json_t *accounts; /* numbers of those that were asked for */
    unsigned entries;
    bool truncated; /* there are more of them */
};

/* `usage` NULL: it has none. */
static void show(struct view *view, json_t *named,
                 const struct meta_usage *usage, const Meta__Quota *quota)
{
    if (view->entries == ADMIN_ENTRIES_MAX) {
        view->truncated = true;
        json_decref(named);
        return;
    }
    view->entries++;
    if (usage != NULL) {
        json_t *numbers = usage_json(usage);
        json_object_update(named, numbers);
        json_decref(numbers);
    }
    if (is_limited(quota)) {
        json_object_set_new(named, "quota", quota_json(quota));
    }
    json_array_append_new(view->list, named);
}

static void show_bucket(struct view *view, const Meta__Bucket *bucket)
{
    static const Meta__Quota none = META__QUOTA__INIT;
    const Meta__Quota *quota = bucket->quota != NULL ? bucket->quota : &none;
    const struct slice owner = slice_of(bucket->owner.data, bucket->owner.len);
    struct meta_usage usage;
    char account[65];
    if ((view->limited && !is_limited(quota)) ||
        (view->bucket != NULL &&
         !slice_equal_string(slice_of(bucket->name.data, bucket->name.len),
                             view->bucket)) ||
        (view->account != NULL && !slice_equal_string(owner, view->account))) {
        return;
    }
    iam_display_name(view->call->iam, owner, account);
    meta_get_usage(view->call->server->cluster.meta, bucket->id, &usage);
    show(view,
         json_pack("{s:s%,s:s}", "name", (const char *)bucket->name.data,
                   bucket->name.len, "account", account),
         &usage, quota);
}

static int show_buckets(struct view *view)
{
    struct meta_scan *scan =
        meta_scan_buckets(view->call->server->cluster.meta, view->prefix);
    int error = 0;
    for (; error == 0 && !view->truncated && meta_scan_valid(scan) &&
           slice_has_prefix(meta_scan_key(scan), view->prefix);
         meta_scan_next(scan)) {
        struct arena *arena = arena_new();
        Meta__Bucket *bucket;
        error = meta_scan_bucket(scan, arena, &bucket);
        if (error == 0) {
            show_bucket(view, bucket);
        }
        arena_free(arena);
    }
    error = error != 0 ? error : meta_scan_error(scan);
    meta_scan_free(scan);
    return error;
}

static bool show_account(const struct iam_account *account, void *context)
{
    struct view *view = context;
    struct meta *meta = view->call->server->cluster.meta;
    const struct slice id = slice_from_string(account->id);
    struct meta_usage usage;
    Meta__Quota quota;
    if (view->account != NULL && strcmp(account->id, view->account) != 0) {
        return true;
    }
    json_array_append_new(view->accounts, json_string(account->number));
    meta_get_owner_quota(meta, id, &quota);
    if (view->limited && !is_limited(&quota)) {
        return true;
    }
    meta_get_owner_usage(meta, id, &usage);
    show(view,
         json_pack("{s:s,s:s}", "name", account->name, "number",
                   account->number),
         &usage, &quota);
    return true;
}

/* Users have limits only. */
static bool show_user(const struct iam_entity *user, void *context)
{
    struct view *view = context;
    Meta__Quota quota;
    meta_get_owner_quota(view->call->server->cluster.meta,
                         slice_from_string(user->id), &quota);
    if (is_limited(&quota)) {
        show(
            view,
            json_pack("{s:s,s:s}", "name", user->name, "number", user->account),
            NULL, &quota);
    }
    return true;
}

static void show_accounts(struct view *view, json_t *object)
{
    struct iam *iam = view->call->iam;
    size_t i;
    json_t *number;
    view->accounts = json_array();
    view->list = json_array();
    json_object_set_new(object, "accounts", view->list);
    iam_account_list(iam, show_account, view);
    view->list = json_array();
    json_object_set_new(object, "users", view->list);
    json_array_foreach(view->accounts, i, number)
    {
        iam_list(iam, IAM_USER, json_string_value(number), NULL, NULL,
                 show_user, view);
    }
    json_decref(view->accounts);
}

/* A bucket's name is a prefix of itself. */
static struct slice prefix_of(const struct admin_call *call, const char *bucket)
{
    const char *prefix = bucket != NULL ? bucket : admin_text(call, "prefix");
    return slice_from_string(prefix != NULL ? prefix : "");
}

static int show_all(struct admin_call *call, bool limited)
{
    struct view view = {.call = call,
                        .bucket = admin_text(call, "bucket"),
                        .limited = limited,
                        .list = json_array()};
    struct iam_account account = {0};
    json_t *object = json_object();
    int error = 0;
    view.prefix = prefix_of(call, view.bucket);
    if (admin_text(call, "account") != NULL) {
        error = admin_account(call, &account);
        view.account = account.id;
    }
    json_object_set_new(object, "buckets", view.list);
    if (error == 0) {
        error = show_buckets(&view);
    }
    if (error == 0 && view.bucket != NULL && json_array_size(view.list) == 0) {
        error = -ENOENT;
    }
    if (error == 0 && view.bucket == NULL) {
        show_accounts(&view, object);
    }
    if (error != 0) {
        json_decref(object);
        return error;
    }
    json_object_set_new(object, "truncated", json_boolean(view.truncated));
    return admin_reply(call, object);
}

static int usage_show(struct admin_call *call)
{
    return show_all(call, false);
}

/* Of one bucket or account also if it has none. */
static int quota_show(struct admin_call *call)
{
    return show_all(call, admin_text(call, "bucket") == NULL &&
                              admin_text(call, "account") == NULL);
}

/* --- verify, repair --------------------------------------------------------*/

struct differences {
    struct meta_recount *list;
    size_t count, buckets;
};

static void note(void *context, const struct meta_recount *recount)
{
    struct differences *differences = context;
    differences->buckets++;
    if (recount->recorded.bytes == recount->counted.bytes &&
        recount->recorded.objects == recount->counted.objects) {
        return;
    }
    differences->list =
        xrealloc(differences->list,
                 (differences->count + 1) * sizeof(*differences->list));
    differences->list[differences->count++] = *recount;
}

/* If the bucket is still there: its usage goes with it. */
static int correct(struct meta *meta, const Meta__Bucket *bucket,
                   const struct meta_recount *recount)
{
    const struct slice name = slice_of(bucket->name.data, bucket->name.len);
    struct arena *arena = arena_new();
    Meta__Bucket *now;
    int error;
    meta_bucket_lock(meta, name, false);
    error = meta_get_bucket(meta, arena, name, &now);
    if (error == 0 && now->id == recount->bucket) {
        struct meta_batch *batch = meta_batch_new(meta);
        meta_correct_usage(batch, recount);
        error = meta_commit(batch);
        meta_batch_free(batch);
    }
    meta_bucket_unlock(meta, name);
    arena_free(arena);
    return error == -ENOENT ? 0 : error;
}

static int tell(struct meta *meta, const struct meta_recount *recount,
                bool repair, json_t *list)
{
    struct arena *arena = arena_new();
    Meta__Bucket *bucket = NULL;
    json_t *entry =
        json_pack("{s:o,s:o}", "recorded", usage_json(&recount->recorded),
                  "counted", usage_json(&recount->counted));
    int error = meta_get_bucket_by_id(meta, arena, recount->bucket, &bucket);
    if (error == 0) {
        json_object_set_new(
            entry, "name",
            json_stringn((const char *)bucket->name.data, bucket->name.len));
        error = repair ? correct(meta, bucket, recount) : 0;
    } else if (error == -ENOENT) { /* deleted meanwhile */
        error = 0;
    }
    if (json_array_size(list) < ADMIN_ENTRIES_MAX) {
        json_array_append_new(list, entry);
    } else {
        json_decref(entry);
    }
    arena_free(arena);
    return error;
}

static int recount(struct admin_call *call, bool repair)
{
    struct meta *meta = call->server->cluster.meta;
    struct differences differences = {0};
    json_t *list = json_array();
    int error = meta_recount_usage(meta, note, &differences);
    for (size_t i = 0; i < differences.count && error == 0; i++) {
        error = tell(meta, &differences.list[i], repair, list);
    }
    free(differences.list);
    if (error != 0) {
        json_decref(list);
        return error;
    }
    return admin_reply(call,
                       json_pack("{s:o,s:o,s:b,s:b}", "buckets",
                                 integer(differences.buckets), "differences",
                                 list, "repaired", (int)repair, "problem",
                                 !repair && differences.count > 0));
}

static int verify(struct admin_call *call)
{
    return recount(call, false);
}

/* One after the other: two at once would both add what both saw missing. */
static int repair(struct admin_call *call)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    int error;
    pthread_mutex_lock(&one);
    error = recount(call, true);
    pthread_mutex_unlock(&one);
    return error;
}

const struct admin_command admin_usage_commands[] = {
    {.name = "usage.show", .run = usage_show},
    {.name = "quota.show", .run = quota_show},
    {.name = "usage.verify", .run = verify},
    {.name = "usage.repair", .run = repair},
    {.name = NULL},
};
