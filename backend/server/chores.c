/*
 * What is done now and then, one run of each at a time.
 */
#include "s3/s3.h"
#include "server/private.h"
#include <malloc.h>
#include <string.h>

#define SECOND_MS 1000ull
#define HOUR_MS   (3600 * SECOND_MS)
#define CALM_MS   (10 * SECOND_MS) /* without a burst: one is over */

struct chore_kind {
    uint64_t every_ms;
    bool (*due)(struct server *server); /* NULL: always; does not block */
    void (*run)(struct server *server); /* may block */
};

static bool logs_due(struct server *server)
{
    return s3_access_log_due(server->service.access_log);
}

static void deliver_logs(struct server *server)
{
    s3_access_log_deliver(server->service.access_log, false);
}

static void forget_completed(struct server *server)
{
    const int error = s3_forget_completed(&server->service);
    if (error != 0) {
        log_warn("completed uploads are not forgotten: %s", strerror(-error));
    }
}

static void mend_mirrors(struct server *server)
{
    cluster_mend_mirrors(&server->cluster);
}

static bool rewrap_due(struct server *server)
{
    return s3_rewrap_due(server->rewrap);
}

/* Half of a thread's time at most: requests come first. */
static void rewrap(struct server *server)
{
    s3_rewrap_run(server->rewrap, SECOND_MS / 2);
}

static void look_at_drives(struct server *server)
{
    cluster_look_at_drives(&server->cluster);
}

static bool burst_is_over(struct server *server)
{
    const uint64_t now = uv_now(&server->loop);
    if (memory_short()) {
        server->memory_short_ms = now;
    }
    if (server->memory_short_ms == 0 ||
        now - server->memory_short_ms < CALM_MS) {
        return false;
    }
    server->memory_short_ms = 0;
    return true;
}

/* What a thousand slow uploads have had, malloc() would keep for good. */
static void trim_memory(struct server *server)
{
    (void)server;
    malloc_trim(0);
}

static const struct chore_kind kinds[SERVER_CHORES] = {
    {SECOND_MS, logs_due, deliver_logs},
    {HOUR_MS, NULL, forget_completed},
    {SECOND_MS, NULL, mend_mirrors},
    {SECOND_MS, rewrap_due, rewrap},
    {SECOND_MS, NULL, look_at_drives},
    {SECOND_MS, burst_is_over, trim_memory},
};

static void chore_run(struct job *job)
{
    struct chore *chore = (struct chore *)job; /* its first member */
    computing_long();
    chore->kind->run(chore->server);
}

static void chore_done(struct job *job)
{
    ((struct chore *)job)->running = false;
}

void chores_open(struct server *server)
{
    for (unsigned i = 0; i < SERVER_CHORES; i++) {
        server->chores[i].server = server;
        server->chores[i].kind = &kinds[i];
    }
}

void chores_tend(struct server *server)
{
    const uint64_t now = uv_now(&server->loop);
    for (unsigned i = 0; i < SERVER_CHORES; i++) {
        struct chore *chore = &server->chores[i];
        if (chore->running || now < chore->due_ms ||
            (chore->kind->due != NULL && !chore->kind->due(server))) {
            continue;
        }
        chore->running = true;
        chore->due_ms = now + chore->kind->every_ms;
        chore->job = (struct job){.run = chore_run, .done = chore_done};
        pool_submit(server->pool, &chore->job);
    }
}
