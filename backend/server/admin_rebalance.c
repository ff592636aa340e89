/*
 * Shards that move from drive to drive: s3ctl rebalance.
 */
#include "server/admin.h"
#include <errno.h>

static const char *state_name(enum rebalance_state state)
{
    static const char *const names[] = {"off",     "stopped", "counting",
                                        "waiting", "even",    "uneven",
                                        "moving",  "draining"};
    return names[state];
}

static void set(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* Of what is left, at the speed of the walk under way. */
static void add_estimate(json_t *object, const struct rebalance_status *now,
                         uint64_t left)
{
    if (now->pass_bytes > 0) {
        const double speed = (double)now->pass_bytes / (double)now->pass_ms;
        set(object, "estimate_seconds",
            (uint64_t)((double)left / speed / 1000 + 0.5));
    }
}

json_t *admin_drain_json(const struct rebalance_status *now, unsigned index)
{
    const struct rebalance_drive *drive = &now->drives[index];
    json_t *object = json_object();
    json_object_set_new(object, "moving", json_boolean(drive->being_moved));
    json_object_set_new(object, "empty",
                        json_boolean(drive->known && drive->shards == 0));
    set(object, "stuck_shards", drive->stuck);
    if (drive->known) {
        set(object, "shards", drive->shards);
        set(object, "bytes", drive->bytes);
    }
    if (drive->being_moved && drive->known) {
        add_estimate(object, now, drive->bytes);
    }
    return object;
}

static json_t *drive_json(unsigned index, const struct rebalance_drive *drive)
{
    json_t *object = json_object();
    set(object, "index", index);
    set(object, "live_bytes", drive->bytes);
    set(object, "live_shards", drive->shards);
    json_object_set_new(object, "level", json_real(drive->level));
    return object;
}

static int status(struct admin_call *call)
{
    struct server *server = call->server;
    struct rebalance_status now;
    json_t *object = json_object(), *drives = json_array();
    rebalance_status(server->rebalance, &now);
    json_object_set_new(object, "state", json_string(state_name(now.state)));
    json_object_set_new(object, "running", json_boolean(now.running));
    set(object, "band", server->config->care.rebalance_band);
    set(object, "rate", server->config->care.rebalance_rate);
    set(object, "passes", now.passes);
    set(object, "shards_moved", now.shards_moved);
    set(object, "bytes_moved", now.bytes_moved);
    set(object, "shards_bad", now.shards_bad);
    json_object_set_new(object, "mean", json_real(now.mean));
    set(object, "excess_bytes", now.excess);
    if (now.state == REBALANCE_MOVING) {
        add_estimate(object, &now, now.excess);
    }
    for (unsigned i = 0; i < server->cluster.drive_count; i++) {
        if (drive_state(server->cluster.drives[i]) != DRIVE_REMOVED) {
            json_array_append_new(drives, drive_json(i, &now.drives[i]));
        }
    }
    json_object_set_new(object, "drives", drives);
    return admin_reply(call, object);
}

static int start(struct admin_call *call)
{
    uint64_t pass = 0;
    const int error = rebalance_start(call->server->rebalance, &pass);
    if (error != 0) {
        return admin_refuse(call, error,
                            "rebalance is off: its band is 0 in s3d.conf");
    }
    json_t *object = json_object();
    set(object, "pass", pass);
    return admin_reply(call, object);
}

static int stop(struct admin_call *call)
{
    rebalance_stop(call->server->rebalance);
    return admin_reply(call, json_object());
}

const struct admin_command admin_rebalance_commands[] = {
    {.name = "rebalance.status", .run = status},
    {.name = "rebalance.start", .run = start},
    {.name = "rebalance.stop", .run = stop},
    {.name = NULL},
};
