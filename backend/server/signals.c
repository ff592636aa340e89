/*
 * SIGTERM, SIGINT: stop. SIGHUP: read the configuration again. SIGUSR1: open
 * the log again.
 */
#include "server/private.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const int numbers[SERVER_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

struct reload {
    struct job job;
    struct server *server;
    struct server_config *config;
    struct buffer error;
    int result;
};

static void reload_run(struct job *job)
{
    struct reload *reload = (struct reload *)job;
    reload->result = config_load(reload->server->config_path, &reload->config,
                                 &reload->error);
}

static bool same_drives(const struct server_config *a,
                        const struct server_config *b)
{
    if (a->drive_count != b->drive_count) {
        return false;
    }
    for (unsigned i = 0; i < a->drive_count; i++) {
        if (strcmp(a->drives[i].path, b->drives[i].path) != 0 ||
            strcmp(a->drives[i].domain, b->drives[i].domain) != 0 ||
            a->drives[i].removed != b->drives[i].removed) {
            return false;
        }
    }
    return true;
}

static bool same_metadata(const struct server_config *a,
                          const struct server_config *b)
{
    bool same = a->metadata_count == b->metadata_count;
    for (unsigned i = 0; i < a->metadata_count && same; i++) {
        same = strcmp(a->metadata[i], b->metadata[i]) == 0;
    }
    return same;
}

static bool same_vault(const struct server_vault_config *a,
                       const struct server_vault_config *b)
{
    return strcmp(a->url, b->url) == 0 && strcmp(a->mount, b->mount) == 0 &&
           strcmp(a->key, b->key) == 0 &&
           strcmp(a->token_file, b->token_file) == 0 &&
           strcmp(a->ca_file, b->ca_file) == 0 &&
           a->timeout_s == b->timeout_s && a->cache_s == b->cache_s;
}

static bool same_providers(const struct server_config *a,
                           const struct server_config *b)
{
    bool same = a->provider_count == b->provider_count;
    for (unsigned i = 0; i < a->provider_count && same; i++) {
        const struct server_provider_config *one = &a->providers[i];
        const struct server_provider_config *other = &b->providers[i];
        same = strcmp(one->issuer, other->issuer) == 0 &&
               strcmp(one->audience, other->audience) == 0 &&
               strcmp(one->jwks, other->jwks) == 0;
    }
    return same;
}

/* What cannot change while s3d runs is named, and left as it was. */
static void refuse_changes(const struct server_config *old,
                           const struct server_config *new)
{
    const struct {
        const char *name;
        bool changed;
    } fixed[] = {
        {"socket", strcmp(old->socket, new->socket) != 0},
        {"socket_mode", old->socket_mode != new->socket_mode},
        {"socket_group", strcmp(old->socket_group, new->socket_group) != 0},
        {"admin_socket", strcmp(old->admin_socket, new->admin_socket) != 0},
        {"state", strcmp(old->state, new->state) != 0},
        {"metadata", !same_metadata(old, new)},
        {"metadata_reserve", old->metadata_reserve != new->metadata_reserve},
        {"audit_log", strcmp(old->audit_log, new->audit_log) != 0},
        {"change_log", strcmp(old->change_log, new->change_log) != 0},
        {"master_key", strcmp(old->master_key, new->master_key) != 0},
        {"keyring", strcmp(old->keyring, new->keyring) != 0},
        {"vault", !same_vault(&old->vault, &new->vault)},
        {"identity_providers", !same_providers(old, new)},
        {"region", strcmp(old->region, new->region) != 0},
        {"threads", old->threads != new->threads},
        {"extent_size", old->extent_size != new->extent_size},
        {"reserve", old->reserve != new->reserve},
        {"hot_index",
         old->hot_size != new->hot_size || old->hot_slot != new->hot_slot},
        {"logging_interval",
         old->logging_interval_s != new->logging_interval_s},
        {"extensions", old->extensions != new->extensions},
        {"core_dumps", old->core_dumps != new->core_dumps},
        {"default_encryption",
         old->encrypt_by_default != new->encrypt_by_default},
        {"drives", !same_drives(old, new)},
        {"events", !config_same_events(old, new)},
    };
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (fixed[i].changed) {
            log_warn("reload: %s changes when s3d is started again",
                     fixed[i].name);
        }
    }
}

static void apply(struct server *server, struct server_config *new)
{
    struct server_config *old = server->config;
    refuse_changes(old, new);
    if (log_open(new->log[0] != '\0' ? new->log : NULL) == 0) {
        char *log = old->log;
        old->log = new->log;
        new->log = log;
    } else {
        log_error("reload: cannot open %s", new->log);
    }
    old->log_level = new->log_level;
    old->limits = new->limits;
    memory_limit(new->limits.body_memory);
    old->slow_request_ms = new->slow_request_ms;
    atomic_store(&server->counters.slow_ms, new->slow_request_ms);
    log_set_level(old->log_level);
    log_info("reload: done");
}

static void reload_done(struct job *job)
{
    struct reload *reload = (struct reload *)job;
    struct server *server = reload->server;
    server->reloading = false;
    if (reload->result == 0) {
        apply(server, reload->config);
    } else {
        log_error("reload refused: %.*s", (int)reload->error.size,
                  (const char *)reload->error.data);
    }
    config_free(reload->config);
    buffer_free(&reload->error);
    free(reload);
}

static void start_reload(struct server *server)
{
    if (server->reloading || server->stopping || server->config_path == NULL) {
        return;
    }
    struct reload *reload = xcalloc(1, sizeof(*reload));
    reload->server = server;
    reload->job.run = reload_run;
    reload->job.done = reload_done;
    server->reloading = true;
    pool_submit(server->pool, &reload->job);
}

static void reopen_audit(struct s3_audit *audit, const char *path)
{
    if (audit != NULL && s3_audit_reopen(audit) != 0) {
        log_error("cannot open %s", path);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    const char *log = server->config->log;
    switch (number) {
    case SIGHUP:
        start_reload(server);
        break;
    case SIGUSR1:
        if (log_open(log[0] != '\0' ? log : NULL) != 0) {
            log_error("cannot open %s", log);
        }
        reopen_audit(server->service.audit, server->config->audit_log);
        reopen_audit(server->service.changes, server->config->change_log);
        break;
    default:
        log_info("stopping: %s", strsignal(number));
        server_stop(server);
        break;
    }
}

void signals_open(struct server *server)
{
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < SERVER_SIGNALS; i++) {
        uv_signal_t *handle = &server->signals[i];
        invariant(uv_signal_init(&server->loop, handle) == 0);
        handle->data = server;
        invariant(uv_signal_start(handle, on_signal, numbers[i]) == 0);
    }
}

void signals_close(struct server *server)
{
    for (unsigned i = 0; i < SERVER_SIGNALS; i++) {
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    }
}
