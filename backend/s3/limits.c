#include "s3/limits.h"

#include "s3/object.h"

#include <errno.h>

/* Far beyond all that there can be, and the difference of two fits too. */
static int64_t bounded(uint64_t size)
{
    return size < (uint64_t)INT64_MAX / 2 ? (int64_t)size : INT64_MAX / 2;
}

static bool has_room(const struct s3_call *call, int64_t bytes, int64_t objects)
{
    return meta_check_room(call->service->meta, call->bucket->id, bytes,
                           objects) == 0;
}

/* `error`: of the look at what is replaced, -ENOENT: nothing. */
static bool fail(struct s3_call *call, int error)
{
    call_fail_errno(call, error == 0 || error == -ENOENT ? -EDQUOT : error,
                    "looking at what is replaced");
    return false;
}

bool limits_check_object(struct s3_call *call, uint64_t size)
{
    const int64_t more = bounded(size);
    Meta__Object *old;
    int error = -ENOENT;

    if (has_room(call, more, 1)) {
        return true;
    }
    if (call->bucket->versioning != META__BUCKET__VERSIONING__ENABLED) {
        error = meta_get_null_version(call->service->meta, call->arena,
                                      call->bucket->id, call->key, &old);
    }
    return (error == 0 && has_room(call, more - bounded(old->size), 0)) ||
           fail(call, error);
}

bool limits_check_part(struct s3_call *call, struct slice upload,
                       unsigned number, uint64_t size)
{
    const int64_t more = bounded(size);
    Meta__Part *old;
    int error;

    if (has_room(call, more, 1)) {
        return true;
    }
    error =
        meta_get_part(call->service->meta, call->arena, upload, number, &old);
    return (error == 0 && has_room(call, more - bounded(old->size), 0)) ||
           fail(call, error);
}

/* A role's session has no name of a user: it is its account's. */
static struct meta_asker asker_of(const struct s3_call *call)
{
    const struct iam_identity *who = &call->identity;

    return (struct meta_asker){
        .bucket = call->bucket != NULL ? call->bucket->id : 0,
        .account = slice_from_string(who->user),
        .user =
            slice_from_string(who->user_name[0] != '\0' ? who->user_id : ""),
    };
}

static void count(atomic_uint_fast64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

bool limits_count_request(struct s3_call *call)
{
    const struct meta_asker asker = asker_of(call);
    const uint64_t wait_ms = meta_count_request(call->service->meta, &asker);

    call->counted = call->paced = wait_ms == 0;
    if (call->counted) {
        return true;
    }
    count(&call->service->limited.requests, 1);
    call_header(call, "Retry-After", "%u", (unsigned)((wait_ms + 999) / 1000));
    call_fail(call, S3_ERR_SlowDown);
    return false;
}

static void uncount(struct s3_call *call)
{
    const struct meta_asker asker = asker_of(call);

    meta_uncount_request(call->service->meta, &asker);
    call->paced = false;
}

void limits_end(struct s3_call *call)
{
    if (call->counted && call->error == S3_ERR_AccessDenied) {
        uncount(call);
    }
    call->counted = false;
}

void limits_decline(struct s3_call *call)
{
    if (call->paced) { /* it was counted, and is still */
        uncount(call);
    }
}

bool limits_concern(const struct s3_call *call)
{
    const struct meta_asker asker = asker_of(call);

    return meta_is_rated(call->service->meta, &asker);
}

void limits_count_refusal(struct s3_call *call)
{
    count(&call->service->limited.room, 1);
}

/* --- bandwidth -------------------------------------------------------------*/

void limits_take_turn(struct s3_call *call, enum meta_direction direction,
                      uint64_t bytes)
{
    struct s3_limited *limited = &call->service->limited;
    struct meta_asker asker;
    uint64_t turn_us, from_us;

    if (!call->paced || bytes == 0) {
        return;
    }
    asker = asker_of(call);
    turn_us = meta_take_turn(call->service->meta, &asker, direction, bytes);
    if (turn_us <= call->turn_us) {
        return;
    }
    from_us = clock_monotonic_us();
    from_us = from_us > call->turn_us ? from_us : call->turn_us;
    call->turn_us = turn_us;
    if (turn_us > from_us) {
        count(&limited->turns[direction], 1);
        count(&limited->waited_us[direction], turn_us - from_us);
    }
}

uint64_t limits_turn_size(const struct s3_call *call,
                          enum meta_direction direction)
{
    const struct meta_asker asker = asker_of(call);

    return call->paced ? meta_turn_size(call->service->meta, &asker, direction)
                       : UINT64_MAX;
}
