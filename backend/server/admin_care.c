/*
 * Scrub and heal: s3ctl heal, s3ctl scrub.
 */
#include "server/admin.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- status ----------------------------------------------------------------*/
static void set(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *ledger_json(const struct care_ledger *ledger)
{
    json_t *object = json_object(), *left = json_object();
    for (unsigned i = 0; i <= CARE_LOSSES_MAX; i++) {
        char name[16];
        if (ledger->left[i] > 0) {
            snprintf(name, sizeof(name), "%u", i);
            set(left, name, ledger->left[i]);
        }
    }
    set(object, "queued", ledger->queued);
    set(object, "unreadable", ledger->unreadable);
    set(object, "waiting", ledger->waiting);
    json_object_set_new(object, "by_losses_left", left);
    return object;
}

static json_t *heal_json(const struct care_status *status)
{
    const struct care_heal_status *heal = &status->heal;
    const uint64_t rest = status->ledger.queued - status->ledger.waiting;
    json_t *object = json_object();
    set(object, "workers", heal->workers);
    set(object, "active", heal->active);
    set(object, "healed", heal->healed);
    set(object, "bytes", heal->bytes);
    set(object, "milliseconds", heal->milliseconds);
    if (heal->healed > 0) {
        set(object, "estimate_seconds",
            rest * heal->milliseconds / heal->healed / 1000);
    }
    return object;
}

static json_t *pass_json(uint64_t started_ms, uint64_t blobs, uint64_t bytes,
                         uint64_t shards_bad, uint64_t dangling)
{
    json_t *object = json_object();
    set(object, "started_ms", started_ms);
    set(object, "blobs", blobs);
    set(object, "bytes", bytes);
    set(object, "shards_bad", shards_bad);
    set(object, "dangling", dangling);
    return object;
}

/* Names that end with zeros, three for each object. */
static json_t *dangling_json(ProtobufCBinaryData names)
{
    const char *at = (const char *)names.data, *end = at + names.len;
    json_t *list = json_array();
    while (at < end) {
        const char *words[3] = {"", "", ""};
        for (unsigned i = 0; i < 3 && at < end; i++) {
            words[i] = at;
            at += strnlen(at, (size_t)(end - at)) + 1;
        }
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "bucket",
                                              words[0], "key", words[1],
                                              "version_id", words[2]));
    }
    return list;
}

static json_t *scrub_json(const struct care_scrub_status *scrub)
{
    const Meta__Scrub *progress = scrub->progress;
    json_t *object = json_object();
    json_object_set_new(object, "running", json_boolean(scrub->running));
    json_object_set_new(object, "stopped", json_boolean(scrub->stopped));
    json_object_set_new(object, "walking", json_boolean(scrub->walking));
    set(object, "rate", scrub->rate);
    set(object, "passes", progress->passes);
    if (progress->started_ms != 0) {
        json_object_set_new(object, "pass",
                            pass_json(progress->started_ms, progress->blobs,
                                      progress->bytes, progress->shards_bad,
                                      progress->dangling));
    }
    if (progress->passes > 0) {
        json_t *last =
            pass_json(progress->completed_started_ms, progress->completed_blobs,
                      progress->completed_bytes, progress->completed_shards_bad,
                      progress->completed_dangling);
        set(last, "completed_ms", progress->completed_ms);
        json_object_set_new(last, "dangling_objects",
                            dangling_json(progress->dangling_objects));
        json_object_set_new(object, "last", last);
    }
    return object;
}

static json_t *audit_json(const Meta__Audit *audit)
{
    json_t *object = json_object();
    set(object, "bytes_verified", audit->bytes_verified);
    set(object, "shards_verified", audit->shards_verified);
    set(object, "shards_bad", audit->shards_bad);
    set(object, "shards_repaired", audit->shards_repaired);
    set(object, "bytes_repaired", audit->bytes_repaired);
    set(object, "blobs_repaired", audit->blobs_repaired);
    set(object, "blobs_unreadable", audit->blobs_unreadable);
    set(object, "drives_lost", audit->drives_lost);
    set(object, "watched_ms", audit->watched_ms);
    set(object, "reduced_ms", audit->reduced_ms);
    set(object, "reduced_blob_ms", audit->reduced_blob_ms);
    set(object, "critical_blob_ms", audit->critical_blob_ms);
    return object;
}

static int care_state(struct admin_call *call)
{
    struct arena *arena = arena_new();
    struct care_status status;
    int error = care_status(call->server->care, arena, &status);
    if (error == 0) {
        json_t *object = json_object();
        json_object_set_new(object, "fully_redundant",
                            json_boolean(status.fully_redundant));
        set(object, "drives", status.drives);
        set(object, "drives_ok", status.drives_ok);
        json_object_set_new(object, "ledger", ledger_json(&status.ledger));
        json_object_set_new(object, "heal", heal_json(&status));
        json_object_set_new(object, "scrub", scrub_json(&status.scrub));
        json_object_set_new(object, "today", audit_json(status.today));
        error = admin_reply(call, object);
    }
    arena_free(arena);
    return error;
}

/* --- commands --------------------------------------------------------------*/
static int heal_start(struct admin_call *call)
{
    care_heal_start(call->server->care);
    return admin_reply(call, json_object());
}

static int scrub_start(struct admin_call *call)
{
    care_scrub_start(call->server->care);
    return admin_reply(call, json_object());
}

static int scrub_stop(struct admin_call *call)
{
    care_scrub_stop(call->server->care);
    return admin_reply(call, json_object());
}

const struct admin_command admin_care_commands[] = {
    {.name = "heal.status", .run = care_state},
    {.name = "heal.start", .run = heal_start},
    {.name = "scrub.status", .run = care_state},
    {.name = "scrub.start", .run = scrub_start},
    {.name = "scrub.stop", .run = scrub_stop},
    {.name = NULL},
};
