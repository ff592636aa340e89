/*
 * Limits of buckets, accounts and users: quota.set, quota.remove.
 */
#include "server/admin.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a bandwidth: with less a single piece of a body takes too long. */
#define BANDWIDTH_MIN 16384

/* --- numbers ---------------------------------------------------------------*/

/* "10G": digits and perhaps one of K M G T P, powers of `unit`. */
static bool parse_limit(const char *text, uint64_t unit, uint64_t *limit)
{
    static const char suffixes[] = "KMGTP";
    size_t digits = strspn(text, "0123456789");
    const char *suffix;
    if (digits == 0 || slice_to_u64(slice_of(text, digits), limit) != 0) {
        return false;
    }
    if (text[digits] == '\0') {
        return true;
    }
    suffix = strchr(suffixes, text[digits]);
    if (suffix == NULL || text[digits + 1] != '\0') {
        return false;
    }
    for (const char *at = suffixes; at <= suffix; at++) {
        if (__builtin_mul_overflow(*limit, unit, limit)) {
            return false;
        }
    }
    return true;
}

static bool is_too_slow(uint64_t bandwidth)
{
    return bandwidth != 0 && bandwidth < BANDWIDTH_MIN;
}

/* What the arguments name goes into the quota; at least one. */
static int take_limits(struct admin_call *call, Meta__Quota *quota)
{
    const struct {
        const char *name;
        uint64_t unit;
        uint64_t *limit;
    } limits[] = {
        {"bytes", 1024, &quota->bytes},
        {"objects", 1000, &quota->objects},
        {"requests", 1000, &quota->requests},
        {"download", 1024, &quota->download},
        {"upload", 1024, &quota->upload},
    };
    bool named = false;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const char *text = admin_text(call, limits[i].name);
        if (text == NULL) {
            continue;
        }
        named = true;
        if (!parse_limit(text, limits[i].unit, limits[i].limit)) {
            return admin_refuse(call, -EINVAL,
                                "a limit is a number, or one with K, M, G, T "
                                "or P behind it");
        }
    }
    if (is_too_slow(quota->download) || is_too_slow(quota->upload)) {
        return admin_refuse(call, -EINVAL,
                            "a bandwidth is 16K a second or more");
    }
    return named ? 0
                 : admin_refuse(call, -EINVAL,
                                "say which limit: --bytes, --objects, "
                                "--requests, --download, --upload");
}

/* --- accounts and users ----------------------------------------------------*/

/* What workers answer by themselves to accounts and users ends: it may have to
 * be counted from now on. */
static int put_owner(struct server *server, const char *id,
                     const Meta__Quota *quota)
{
    struct meta_batch *batch = meta_batch_new(server->cluster.meta);
    int error;
    meta_put_owner_quota(batch, slice_from_string(id), quota);
    hot_change_identities(server->service.hot, false);
    error = meta_commit(batch);
    hot_change_identities(server->service.hot, true);
    meta_batch_free(batch);
    return error;
}

static int change_owner(struct admin_call *call, const char *id, bool remove)
{
    Meta__Quota quota = META__QUOTA__INIT;
    int error = 0;
    if (!remove) {
        meta_get_owner_quota(call->server->cluster.meta, slice_from_string(id),
                             &quota);
        error = take_limits(call, &quota);
    }
    return error != 0
               ? error
               : admin_outcome(call, put_owner(call->server, id, &quota), "");
}

static int change_account(struct admin_call *call, bool remove)
{
    struct iam_account account = {0};
    const int error = admin_account(call, &account);
    return error != 0 ? error : change_owner(call, account.id, remove);
}

/* A user owns nothing: its buckets and objects are the account's. */
static int change_user(struct admin_call *call, const char *user, bool remove)
{
    struct iam_account account = {0};
    struct iam_entity entity = {0};
    int error = admin_account(call, &account);
    if (error != 0) {
        return error;
    }
    if (admin_text(call, "bytes") != NULL ||
        admin_text(call, "objects") != NULL) {
        return admin_refuse(call, -EINVAL,
                            "objects are an account's: a user has limits of "
                            "--requests, --download and --upload");
    }
    const struct iam_name name = {IAM_USER, account.number, user};
    error = iam_get(call->iam, &name, &entity);
    return error != 0 ? admin_refuse(call, error, "no such user")
                      : change_owner(call, entity.id, remove);
}

/* --- buckets ---------------------------------------------------------------*/

/* Under the bucket's lock. */
static int change_record(struct admin_call *call, struct arena *arena,
                         struct slice name, bool remove)
{
    struct meta *meta = call->server->cluster.meta;
    Meta__Quota quota = META__QUOTA__INIT;
    struct meta_batch *batch;
    Meta__Bucket *bucket;
    int error = meta_get_bucket(meta, arena, name, &bucket);
    if (error != 0) {
        return admin_refuse(call, error, "no such bucket");
    }
    if (!remove) {
        if (bucket->quota != NULL) {
            quota = *bucket->quota;
        }
        error = take_limits(call, &quota);
    }
    if (error != 0) {
        return error;
    }
    bucket->quota = remove ? NULL : &quota;
    batch = meta_batch_new(meta);
    meta_put_bucket(batch, bucket);
    error = meta_commit(batch);
    meta_batch_free(batch);
    return admin_outcome(call, error, "");
}

static int change_bucket(struct admin_call *call, const char *bucket,
                         bool remove)
{
    struct meta *meta = call->server->cluster.meta;
    const struct slice name = slice_from_string(bucket);
    struct arena *arena = arena_new();
    int error;
    meta_bucket_lock(meta, name, true);
    error = change_record(call, arena, name, remove);
    meta_bucket_unlock(meta, name);
    arena_free(arena);
    return error;
}

/* --- commands --------------------------------------------------------------*/

static int change(struct admin_call *call, bool remove)
{
    const char *bucket = admin_text(call, "bucket");
    const char *user = admin_text(call, "user");
    const bool account = admin_text(call, "account") != NULL;
    if ((bucket != NULL) == (account || user != NULL)) {
        return admin_refuse(call, -EINVAL,
                            "say which: a bucket, --account NAME, or --user "
                            "NAME, of the operator's account or of --account");
    }
    if (user != NULL) {
        return change_user(call, user, remove);
    }
    return bucket != NULL ? change_bucket(call, bucket, remove)
                          : change_account(call, remove);
}

static int set(struct admin_call *call)
{
    return change(call, false);
}

static int remove_all(struct admin_call *call)
{
    return change(call, true);
}

const struct admin_command admin_quota_commands[] = {
    {.name = "quota.set", .run = set},
    {.name = "quota.remove", .run = remove_all},
    {.name = NULL},
};
