/*
 * Space that comes back: s3ctl reclaim.
 */
#include "server/admin.h"

static void set(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static int status(struct admin_call *call)
{
    struct reclaim_status now;
    reclaim_status(call->server->reclaim, &now);
    json_t *object =
        json_pack("{s:b,s:b}", "counted", now.counted, "running", now.running);
    set(object, "passes", now.passes);
    set(object, "damaged_records", now.damaged);
    set(object, "blobs_freed", now.blobs_freed);
    set(object, "blobs_being_read", now.blobs_read);
    set(object, "parts_dropped", now.parts_dropped);
    set(object, "extents", now.extents);
    set(object, "extents_busy", now.extents_busy);
    set(object, "extents_held", now.extents_held);
    set(object, "bytes", now.bytes);
    set(object, "live_bytes", now.live_bytes);
    set(object, "extents_removed", now.extents_removed);
    set(object, "bytes_removed", now.bytes_removed);
    set(object, "shards_moved", now.shards_moved);
    set(object, "bytes_moved", now.bytes_moved);
    set(object, "shards_bad", now.shards_bad);
    if (now.bytes_removed > 0) {
        json_object_set_new(
            object, "write_amplification",
            json_real((double)now.bytes_moved / (double)now.bytes_removed));
    }
    return admin_reply(call, object);
}

static int start(struct admin_call *call)
{
    json_t *object = json_object();
    set(object, "pass", reclaim_start(call->server->reclaim));
    return admin_reply(call, object);
}

const struct admin_command admin_reclaim_commands[] = {
    {.name = "reclaim.status", .run = status},
    {.name = "reclaim.start", .run = start},
    {.name = NULL},
};
