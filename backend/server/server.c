/*
 * Start, the periodic sweep, and an orderly end.
 *
 * The loop ends by itself when every handle is closed: listeners at once,
 * connections as their requests end, timers and signals after the last one.
 */
#include "events/feed.h"
#include "oidc/oidc.h"
#include "server/private.h"
#include "server/requests.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SWEEP_MS 1000
#define LEAVE_MS 10000 /* for a worker to hear of LEAVE */

/* --- the end ---------------------------------------------------------------*/
/* Closing is asynchronous: the list does not change here. */
static void close_all(struct server *server)
{
    struct connection *connection = server->connections;
    for (; connection != NULL; connection = connection->next) {
        connection_close(connection);
    }
}

static void leave_idle(struct server *server)
{
    struct connection *connection = server->connections;
    for (; connection != NULL; connection = connection->next) {
        if (connection->kind->idle(connection)) {
            connection_leave(connection);
        }
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct server *server = timer->data;
    log_warn("requests did not end in time: cut off");
    close_all(server);
}

uint64_t server_uptime_us(const struct server *server)
{
    return clock_monotonic_us() - server->started_us;
}

void server_connection_gone(struct server *server)
{
    if (!server->stopping || server->connections != NULL ||
        uv_is_closing((uv_handle_t *)&server->sweep)) {
        return;
    }
    uv_close((uv_handle_t *)&server->sweep, NULL);
    uv_close((uv_handle_t *)&server->deadline, NULL);
    turns_close(&server->turns);
    uv_close((uv_handle_t *)&server->flush, NULL);
    uv_close((uv_handle_t *)&server->feed, NULL);
    signals_close(server);
    pool_close(server->pool);
}

void server_stop(struct server *server)
{
    if (server->stopping) {
        close_all(server); /* the second signal: now */
        return;
    }
    server->stopping = true;
    listener_close(&server->listeners[0]);
    listener_close(&server->listeners[1]);
    const uint64_t limit_ms = server->config->limits.shutdown_timeout_s * 1000;
    uv_timer_start(&server->deadline, on_deadline, limit_ms, 0);
    feed_end(events_feed(server->service.events));
    leave_idle(server);
    server_connection_gone(server);
}

/* --- the feed of events ----------------------------------------------------*/
/* By any thread. */
static void on_event(void *context)
{
    struct server *server = context;
    uv_async_send(&server->feed);
}

static void wake(struct connection *connection)
{
    if (connection->kind->wake != NULL && !connection->closing) {
        connection->kind->wake(connection);
    }
}

static void on_feed(uv_async_t *async)
{
    struct server *server = async->data;
    struct connection *connection = server->connections;
    for (; connection != NULL; connection = connection->next) {
        wake(connection);
    }
}

static void feed_open(struct server *server)
{
    invariant(uv_async_init(&server->loop, &server->feed, on_feed) == 0);
    server->feed.data = server;
    feed_on_wake(events_feed(server->service.events), on_event, server);
}

/* --- the sweep -------------------------------------------------------------*/
static uint64_t limit_ms(const struct connection *connection)
{
    return connection->server->stopping && connection->kind->idle(connection)
               ? LEAVE_MS
               : 1000 * connection->kind->timeout_s(connection);
}

static void sweep_connections(struct server *server)
{
    const uint64_t now = uv_now(&server->loop);
    struct connection *connection = server->connections;
    for (; connection != NULL; connection = connection->next) {
        const uint64_t limit = limit_ms(connection);
        if (limit > 0 && now - connection->active_ms > limit) {
            connection_close(connection);
        } else if (now - connection->active_ms >= S3_LISTEN_ALIVE_MS) {
            wake(connection);
        }
    }
}

static void look_at_clock(struct server *server)
{
    const int64_t jump_ms = clock_jumped(&server->clock);
    if (jump_ms == 0) {
        return;
    }
    log_warn("the clock was set %lld.%03lld s %s, or this machine slept",
             llabs(jump_ms) / 1000, llabs(jump_ms) % 1000,
             jump_ms > 0 ? "forward" : "back");
    atomic_store(&server->jump_time_ms, clock_wall_ms());
    atomic_store(&server->jump_ms, jump_ms);
}

static void on_sweep(uv_timer_t *timer)
{
    struct server *server = timer->data;
    look_at_clock(server);
    sweep_connections(server);
    chores_tend(server);
    const uint32_t usable = cluster_usable(&server->cluster);
    if (usable != server->usable) {
        server->usable = usable;
        control_push_welcome(server);
    }
    const bool traced =
        requests_are_traced(server->requests, clock_monotonic_us());
    if (traced != server->traced) {
        server->traced = traced;
        control_push_trace(server);
    }
}

/* --- start -----------------------------------------------------------------*/
static void on_prepare(uv_prepare_t *prepare)
{
    control_flush(prepare->data);
}

static void flush_open(struct server *server)
{
    invariant(uv_prepare_init(&server->loop, &server->flush) == 0);
    server->flush.data = server;
    uv_prepare_start(&server->flush, on_prepare);
    uv_unref((uv_handle_t *)&server->flush);
}

static void timers_open(struct server *server)
{
    invariant(uv_timer_init(&server->loop, &server->sweep) == 0);
    invariant(uv_timer_init(&server->loop, &server->deadline) == 0);
    server->sweep.data = server->deadline.data = server;
    turns_open(&server->turns, &server->loop);
    flush_open(server);
    chores_open(server);
    feed_open(server);
    clock_jumped(&server->clock); /* the first look */
    uv_timer_start(&server->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

static int listen_all(struct server *server)
{
    const struct server_config *config = server->config;
    int error = listener_open(server, &server->listeners[0],
                              config->admin_socket, 0600, "", &admin_kind);

    if (error == 0) { /* last: who can connect to it finds all of s3d ready */
        error = listener_open(server, &server->listeners[1], config->socket,
                              (unsigned)config->socket_mode,
                              config->socket_group, &worker_kind);
    }
    listener_check_passed(server->listeners, 2);
    return error;
}

static int serve(struct server *server)
{
    invariant(uv_loop_init(&server->loop) == 0);
    server->pool = pool_new(&server->loop, (unsigned)server->config->threads);
    signals_open(server);
    timers_open(server);
    const int error = listen_all(server);
    if (error == 0) {
        log_info("s3d %s serves on %s", S3D_VERSION, server->config->socket);
    } else {
        server_stop(server);
    }
    pool_run(server->pool);
    invariant(uv_loop_close(&server->loop) == 0);
    pool_free(server->pool);
    return error;
}

/* Connections and extents are files: as many as the system lets us have. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            log_warn("the limit of open files stays at its default");
        }
    }
}

static struct oidc *open_providers(const struct server_config *config)
{
    struct oidc_provider providers[SERVER_PROVIDERS_MAX];
    for (unsigned i = 0; i < config->provider_count; i++) {
        const struct server_provider_config *from = &config->providers[i];
        providers[i] =
            (struct oidc_provider){from->issuer, from->audience, from->jwks};
    }
    return oidc_new(providers, config->provider_count);
}

/* --- care ------------------------------------------------------------------*/
static bool is_busy(void *context)
{
    struct server *server = context;
    return atomic_load(&server->counters.in_flight) > 0;
}

static unsigned tell_of_blob(void *context, struct meta_batch *batch,
                             uint64_t blob, bool lost)
{
    const struct s3_service *service = &((struct server *)context)->service;
    return events_emit_blob(
        service->events, service->meta, batch, blob,
        lost ? META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT
             : META__EVENT_TYPE__HEALING_COMPLETED);
}

static struct care *open_care(struct server *server)
{
    const struct server_care_config *config = &server->config->care;
    const struct care_options options = {
        .meta = server->cluster.meta,
        .blobs = server->cluster.blobs,
        .drives = server->cluster.drives,
        .drive_count = server->cluster.drive_count,
        .heal_workers = (unsigned)config->heal_workers,
        .heal_rate = config->heal_rate,
        .scrub_rate = config->scrub_rate,
        .scrub_period_s = config->scrub_period_s,
        .busy = is_busy,
        .tell = tell_of_blob,
        .context = server,
        .reclaim = server->reclaim,
    };
    return care_open(&options);
}

/* The share of an extent that is garbage when it is closed before its time. */
#define SEAL_SHARE 8

static struct reclaim *open_reclaim(struct server *server)
{
    const struct server_config *config = server->config;
    const struct reclaim_options options = {
        .meta = server->cluster.meta,
        .blobs = server->cluster.blobs,
        .drives = server->cluster.drives,
        .drive_count = server->cluster.drive_count,
        .rate = config->care.reclaim_rate,
        .live_percent = (unsigned)config->care.reclaim_live,
        .seal_bytes = config->extent_size / SEAL_SHARE,
        .interval_s = config->care.reclaim_interval_s,
        .busy = is_busy,
        .context = server,
    };
    return reclaim_open(&options);
}

static struct rebalance *open_rebalance(struct server *server)
{
    const struct server_care_config *config = &server->config->care;
    const struct rebalance_options options = {
        .meta = server->cluster.meta,
        .blobs = server->cluster.blobs,
        .drives = server->cluster.drives,
        .drive_count = server->cluster.drive_count,
        .reclaim = server->reclaim,
        .rate = config->rebalance_rate,
        .band = (unsigned)config->rebalance_band,
        .busy = is_busy,
        .context = server,
    };
    return rebalance_open(&options);
}

/* --- the hot index ---------------------------------------------------------*/
static void on_change(void *context, uint64_t bucket, struct slice name,
                      bool ended)
{
    hot_change(context, bucket, name, ended);
}

static void on_rights(void *context, bool ended)
{
    hot_change_identities(context, ended);
}

/* Before anything can change. Without it requests are answered as ever. An
 * audit log has to hear of every request. */
static struct hot *open_hot(const struct server_config *config,
                            const struct cluster *cluster)
{
    struct hot *hot;

    if (config->hot_size == 0 || config->audit_log[0] != '\0' ||
        hot_open(config->hot_size, config->hot_slot, &hot) != 0) {
        return NULL;
    }
    meta_watch_changes(cluster->meta, on_change, hot);
    iam_watch_changes(cluster->iam, on_rights, hot);
    return hot;
}

/* --- the archive -----------------------------------------------------------*/
#define ARCHIVE_FLUSH_MS    1000
#define ARCHIVE_INTERVAL_MS 60000
#define ARCHIVE_RATE        (32u << 20)
#define ARCHIVE_LOG_BYTES   (64u << 20)

static struct archive *open_archive(struct server *server)
{
    const struct archive_options options = {
        .io = io_posix(),
        .meta = server->cluster.meta,
        .blobs = server->cluster.blobs,
        .drives = server->cluster.drives,
        .drive_count = server->cluster.drive_count,
        .copies = (unsigned)server->config->metadata_archives,
        .rate = ARCHIVE_RATE,
        .log_bytes = ARCHIVE_LOG_BYTES,
        .flush_ms = ARCHIVE_FLUSH_MS,
        .interval_ms = ARCHIVE_INTERVAL_MS,
        .busy = is_busy,
        .context = server,
    };
    return options.copies > 0 ? archive_open(&options) : NULL;
}

static int open_audit(const char *path, struct s3_audit **audit)
{
    const int error = path[0] != '\0' ? s3_audit_open(path, audit) : 0;
    if (error != 0) {
        log_error("cannot open %s: %s", path, strerror(-error));
    }
    return error;
}

static void open_service(struct server *server, struct s3_audit *audit,
                         struct s3_audit *changes)
{
    const struct server_config *config = server->config;
    const struct cluster *cluster = &server->cluster;
    server->service = (struct s3_service){
        .meta = cluster->meta,
        .blobs = cluster->blobs,
        .iam = cluster->iam,
        .keyring = cluster->keyring,
        .kms = cluster->vault != NULL ? cluster->vault : cluster->keyring,
        .encrypt_by_default = config->encrypt_by_default,
        .region = config->region,
        .hot = open_hot(config, cluster),
        .policies = s3_policy_cache_new(),
        .audit = audit,
        .changes = changes,
        .oidc = open_providers(config),
        .events = config_open_events(config, cluster->meta),
        .extensions = config->extensions};
    server->service.access_log =
        s3_access_log_open(&server->service, config->logging_interval_s * 1000);
    server->usable = cluster_usable(&server->cluster);
    server->archive = open_archive(server);
    server->reclaim = open_reclaim(server);
    server->care = open_care(server);
    server->publisher = publisher_open(server->service.events);
    server->rebalance = open_rebalance(server);
}

static void close_service(struct server *server)
{
    rebalance_close(server->rebalance);
    care_close(server->care);
    reclaim_close(server->reclaim);
    s3_access_log_close(server->service.access_log);
    publisher_close(server->publisher); /* it commits: before archive */
    archive_close(server->archive);
    s3_policy_cache_free(server->service.policies);
    oidc_free(server->service.oidc);
    events_close(server->service.events);
}

int server_run(struct server_config *config, const char *config_path)
{
    struct server *server = xcalloc(1, sizeof(*server));
    server->config = config;
    server->config_path = config_path;
    server->started_ms = clock_wall_ms();
    server->started_us = clock_monotonic_us();
    server->counters.slow_ms = config->slow_request_ms;
    server->requests = requests_new();
    care_seen_open(&server->care_seen);
    struct s3_audit *audit = NULL, *changes = NULL;
    log_set_level(config->log_level);
    memory_limit(config->limits.body_memory);
    int error = log_open(config->log[0] != '\0' ? config->log : NULL);
    if (error != 0) {
        log_error("cannot open %s", config->log);
    }
    process_harden(config->core_dumps);
    raise_file_limit();
    umask(umask(077) | 027); /* LevelDB leaves its modes to us */
    if (error == 0) {
        error = open_audit(config->audit_log, &audit);
    }
    if (error == 0) {
        error = open_audit(config->change_log, &changes);
    }
    if (error == 0) {
        error = cluster_open(config, &server->cluster);
    }
    if (error == 0) {
        open_service(server, audit, changes);
        error = s3_rewrap_open(&server->service, &server->rewrap);
        if (error == 0) {
            error = serve(server);
        } else {
            log_error("the progress of rewrap: %s", strerror(-error));
        }
        s3_rewrap_close(server->rewrap);
        close_service(server);
    }
    hot_close(server->service.hot); /* while no other s3d can be there */
    cluster_close(&server->cluster);
    care_seen_close(&server->care_seen);
    requests_free(server->requests);
    s3_audit_close(audit);
    s3_audit_close(changes);
    if (error == 0) {
        log_info("s3d has stopped");
    }
    config_free(server->config);
    free(server);
    if (error == -EPROTONOSUPPORT) {
        return SERVER_EXIT_NEWER;
    }
    return error == 0 ? 0 : 1;
}
