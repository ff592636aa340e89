/*
 * The configuration file: libconfig's syntax, a table of settings, every
 * value checked, unknown names refused.
 */
#include "blob/blob.h"
#include "care/care.h"
#include "hot/region.h"
#include "oidc/oidc.h"
#include "server/config_private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct server_config, member)
#define DAY_S      86400

static const struct setting settings[] = {
    {"socket", SOCKET, AT(socket), "/run/s3d/s3d.sock", 0, 0},
    {"socket_mode", MODE, AT(socket_mode), "0660", 0, 0777},
    {"socket_group", TEXT, AT(socket_group), "", 0, 0},
    {"admin_socket", SOCKET, AT(admin_socket), "/run/s3d/admin.sock", 0, 0},
    {"state", PATH, AT(state), "", 0, 0},
    {"metadata_mirrors", NUMBER, AT(metadata_mirrors), "3", 1, KV_MIRRORS_MAX},
    {"metadata_archives", NUMBER, AT(metadata_archives), "2", 0,
     ARCHIVE_COPIES_MAX},
    {"master_key", PATH, AT(master_key), "", 0, 0},
    {"keyring", PATH, AT(keyring), "", 0, 0},
    {"region", TEXT, AT(region), "us-east-1", 0, 0},
    {"log", PATH, AT(log), "", 0, 0},
    {"audit_log", PATH, AT(audit_log), "", 0, 0},
    {"change_log", PATH, AT(change_log), "", 0, 0},
    {"log_level", LEVEL, AT(log_level), "info", 0, 0},
    {"slow_request_ms", NUMBER, AT(slow_request_ms), "1000", 0, 3600000},
    {"threads", NUMBER, AT(threads), "64", 2, 1024},
    {"extent_size", SIZE, AT(extent_size), "1G", 64ull << 20, 64ull << 30},
    {"reserve", SIZE, AT(reserve), "1G", 0, 1ull << 50},
    {"metadata_reserve", SIZE, AT(metadata_reserve), "256M", 0, 1ull << 50},
    {"logging_interval", DURATION, AT(logging_interval_s), "5m", 1, DAY_S},
    {"extensions", SWITCH, AT(extensions), "false", 0, 0},
    {"default_encryption", CIPHER, AT(encrypt_by_default), "none", 0, 0},
    {"core_dumps", SWITCH, AT(core_dumps), "false", 0, 0},
};

static const struct setting limits[] = {
    {"connections", NUMBER, AT(limits.connections), "4096", 1, 65536},
    {"body_memory", SIZE, AT(limits.body_memory), "256M", 1 << 20, 1ull << 40},
    {"control_pending", NUMBER, AT(limits.control_pending), "256", 1, 65536},
    {"idle_timeout", DURATION, AT(limits.idle_timeout_s), "1h", 1, DAY_S},
    {"body_timeout", DURATION, AT(limits.body_timeout_s), "5m", 1, DAY_S},
    {"shutdown_timeout", DURATION, AT(limits.shutdown_timeout_s), "30s", 0,
     DAY_S},
};

static const struct setting vault[] = {
    {"url", TEXT, AT(vault.url), "", 0, 0},
    {"mount", TEXT, AT(vault.mount), "transit", 0, 0},
    {"key", TEXT, AT(vault.key), "", 0, 0},
    {"token_file", PATH, AT(vault.token_file), "", 0, 0},
    {"ca_file", PATH, AT(vault.ca_file), "", 0, 0},
    {"timeout", DURATION, AT(vault.timeout_s), "5s", 1, 60},
    {"cache", DURATION, AT(vault.cache_s), "1m", 0, 3600},
};

#define OF(member) offsetof(struct server_provider_config, member)
static const struct setting provider[] = {
    {"issuer", TEXT, OF(issuer), "", 0, 0},
    {"audience", TEXT, OF(audience), "", 0, 0},
    {"jwks", PATH, OF(jwks), "", 0, 0},
};

static const struct setting scrub[] = {
    {"period", DURATION, AT(care.scrub_period_s), "14d", 60, 366 * DAY_S},
    {"rate", SIZE, AT(care.scrub_rate), "64M", 1 << 20, 1ull << 40},
};

static const struct setting heal[] = {
    {"rate", SIZE, AT(care.heal_rate), "256M", 1 << 20, 1ull << 40},
    {"workers", NUMBER, AT(care.heal_workers), "4", 0, CARE_WORKERS_MAX},
};

static const struct setting slow_drives[] = {
    {"hedge_ms", NUMBER, AT(slow.hedge_ms), "20", 0, 60000},
    {"timeout", DURATION, AT(slow.timeout_s), "30s", 1, 600},
};

static const struct setting reclaim[] = {
    {"interval", DURATION, AT(care.reclaim_interval_s), "1m", 1, DAY_S},
    {"live", NUMBER, AT(care.reclaim_live), "50", 0, 90},
    {"rate", SIZE, AT(care.reclaim_rate), "128M", 1 << 20, 1ull << 40},
};

static const struct setting hot_index[] = {
    {"size", SIZE, AT(hot_size), "64M", 0, 32ull << 30},
    {"slot", SIZE, AT(hot_slot), "8K", HOT_SLOT_MIN, HOT_SLOT_MAX},
};

static const struct setting rebalance[] = {
    {"band", NUMBER, AT(care.rebalance_band), "10", 0, 50},
    {"rate", SIZE, AT(care.rebalance_rate), "64M", 1 << 20, 1ull << 40},
};

/* The groups of the file. */
static const struct group {
    const char *name;
    const struct setting *table;
    size_t count;
} groups[] = {
    {"limits", limits, sizeof(limits) / sizeof(limits[0])},
    {"vault", vault, sizeof(vault) / sizeof(vault[0])},
    {"scrub", scrub, sizeof(scrub) / sizeof(scrub[0])},
    {"heal", heal, sizeof(heal) / sizeof(heal[0])},
    {"reclaim", reclaim, sizeof(reclaim) / sizeof(reclaim[0])},
    {"slow_drives", slow_drives, sizeof(slow_drives) / sizeof(slow_drives[0])},
    {"hot_index", hot_index, sizeof(hot_index) / sizeof(hot_index[0])},
    {"rebalance", rebalance, sizeof(rebalance) / sizeof(rebalance[0])},
};

static int read_drive_entry(struct loader *loader,
                            const config_setting_t *entry,
                            struct server_drive_config *drive)
{
    const char *name = config_setting_name(entry);
    const bool is_path = strcmp(name, "path") == 0;
    if (strcmp(name, "removed") == 0) {
        if (config_setting_type(entry) != CONFIG_TYPE_BOOL) {
            return config_fail(loader, entry, "removed must be true or false");
        }
        drive->removed = config_setting_get_bool(entry);
        return 0;
    }
    if (!is_path && strcmp(name, "domain") != 0) {
        return config_fail(loader, entry, "unknown setting drives.%s", name);
    }
    const char *text = config_setting_get_string(entry);
    if (text == NULL) {
        return config_fail(loader, entry, "%s must be a string in quotes",
                           name);
    }
    if (is_path && text[0] != '/') {
        return config_fail(loader, entry,
                           "the path of a drive must be an absolute path");
    }
    if (strlen(text) > (is_path ? 1023 : 255)) {
        return config_fail(loader, entry, "%s is too long", name);
    }
    *(is_path ? &drive->path : &drive->domain) = xstrdup(text);
    return 0;
}

static int check_drive(struct loader *loader, const config_setting_t *group,
                       struct server_drive_config *drive)
{
    const struct server_config *config = config_of(loader);
    if (drive->path == NULL && !drive->removed) {
        return config_fail(loader, group, "a drive needs a path");
    }
    drive->path = drive->path != NULL ? drive->path : xstrdup("");
    drive->domain = drive->domain != NULL ? drive->domain : xstrdup("");
    for (unsigned i = 0; i + 1 < config->drive_count && !drive->removed; i++) {
        if (!config->drives[i].removed &&
            strcmp(config->drives[i].path, drive->path) == 0) {
            return config_fail(loader, group, "two drives have the path %s",
                               drive->path);
        }
    }
    return 0;
}

static int read_drive(struct loader *loader, const config_setting_t *group)
{
    struct server_config *config = config_of(loader);
    struct server_drive_config *drive = &config->drives[config->drive_count];
    int error = 0;
    if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
        return config_fail(loader, group,
                           "a drive must be a group: { path = ...; }");
    }
    config->drive_count++;
    for (int i = 0; i < config_setting_length(group) && error == 0; i++) {
        error = read_drive_entry(
            loader, config_setting_get_elem(group, (unsigned)i), drive);
    }
    return error != 0 ? error : check_drive(loader, group, drive);
}

static int read_drives(struct loader *loader, const config_setting_t *list)
{
    if (config_setting_type(list) != CONFIG_TYPE_LIST) {
        return config_fail(loader, list,
                           "drives must be a list: ( { ... }, ... )");
    }
    const int count = config_setting_length(list);
    if (count < 1 || count > SERVER_DRIVES_MAX) {
        return config_fail(loader, list, "there must be 1 to %d drives, not %d",
                           SERVER_DRIVES_MAX, count);
    }
    for (int i = 0; i < count; i++) {
        const int error =
            read_drive(loader, config_setting_get_elem(list, (unsigned)i));
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* --- metadata --------------------------------------------------------------*/
static int add_mirror(struct loader *loader, const config_setting_t *where,
                      const char *path)
{
    struct server_config *config = config_of(loader);
    if (path == NULL || path[0] != '/') {
        return config_fail(loader, where, "metadata must be an absolute path");
    }
    if (strlen(path) > 1023) {
        return config_fail(loader, where, "metadata is too long");
    }
    for (unsigned i = 0; i < config->metadata_count; i++) {
        if (strcmp(config->metadata[i], path) == 0) {
            return config_fail(loader, where, "two mirrors have the path %s",
                               path);
        }
    }
    config->metadata[config->metadata_count++] = xstrdup(path);
    return 0;
}

/* One directory, or a list of some. */
static int read_metadata(struct loader *loader, const config_setting_t *entry)
{
    if (config_setting_type(entry) == CONFIG_TYPE_STRING) {
        return add_mirror(loader, entry, config_setting_get_string(entry));
    }
    const int count = config_setting_length(entry);
    if (config_setting_type(entry) != CONFIG_TYPE_LIST || count < 1 ||
        count > (int)KV_MIRRORS_MAX) {
        return config_fail(
            loader, entry,
            "metadata must be a path in quotes, or a list of 1 to %u",
            KV_MIRRORS_MAX);
    }
    int error = 0;
    for (int i = 0; i < count && error == 0; i++) {
        error =
            add_mirror(loader, entry, config_setting_get_string_elem(entry, i));
    }
    return error;
}

static void put_metadata_on_drives(struct server_config *config)
{
    const unsigned wanted = (unsigned)config->metadata_mirrors;
    config->metadata_on_drives = true;
    for (unsigned i = 0;
         i < config->drive_count && config->metadata_count < wanted; i++) {
        struct buffer path = {0};
        if (config->drives[i].removed) {
            continue;
        }
        buffer_printf(&path, "%s/metadata", config->drives[i].path);
        buffer_append(&path, "", 1);
        config->metadata[config->metadata_count++] = (char *)path.data;
    }
}

/* --- identity providers ----------------------------------------------------*/
static int read_provider(struct loader *loader, const config_setting_t *group)
{
    struct server_config *config = config_of(loader);
    struct server_provider_config *read =
        &config->providers[config->provider_count++];
    struct loader inner = {loader->path, read, loader->error};
    int error = config_set_fallbacks(&inner, provider, COUNT(provider));
    if (error == 0) {
        error = config_read_group(&inner, group, provider, COUNT(provider));
    }
    if (error == 0 && (read->issuer[0] == '\0' || read->audience[0] == '\0' ||
                       read->jwks[0] == '\0')) {
        error =
            config_fail(loader, group,
                        "an identity provider needs issuer, audience and jwks");
    }
    if (error == 0 && strlen(read->issuer) > OIDC_ISSUER_MAX) {
        error = config_fail(loader, group, "issuer is longer than %u bytes",
                            OIDC_ISSUER_MAX);
    }
    return error;
}

static int read_providers(struct loader *loader, const config_setting_t *list)
{
    const int count = config_setting_length(list);
    if (config_setting_type(list) != CONFIG_TYPE_LIST ||
        count > SERVER_PROVIDERS_MAX) {
        return config_fail(
            loader, list,
            "identity_providers must be a list of at most %d groups: "
            "( { ... }, ... )",
            SERVER_PROVIDERS_MAX);
    }
    int error = 0;
    for (int i = 0; i < count && error == 0; i++) {
        error =
            read_provider(loader, config_setting_get_elem(list, (unsigned)i));
    }
    return error;
}

/* --- write_quorum ----------------------------------------------------------*/
/* How many shards may be missing. */
static int read_quorum(struct loader *loader, const config_setting_t *entry)
{
    uint64_t *field = &config_of(loader)->may_miss;
    const char *text = config_setting_get_string(entry);
    const long long number = config_setting_get_int64(entry);
    if (text != NULL && strcmp(text, "default") == 0) {
        *field = BLOB_MAY_MISS_DEFAULT;
    } else if (text != NULL && strcmp(text, "all") == 0) {
        *field = 0;
    } else if (text == NULL && config_setting_is_number(entry) && number >= 0 &&
               number <= ERASURE_SHARDS_MAX) {
        *field = (uint64_t)number;
    } else {
        return config_fail(loader, entry,
                           "write_quorum must be \"default\", \"all\" or the "
                           "number of shards that may be missing");
    }
    return 0;
}

static int read_entry(struct loader *loader, const config_setting_t *entry)
{
    const char *name = config_setting_name(entry);
    if (strcmp(name, "write_quorum") == 0) {
        return read_quorum(loader, entry);
    }
    if (strcmp(name, "metadata") == 0) {
        return read_metadata(loader, entry);
    }
    if (strcmp(name, "drives") == 0) {
        return read_drives(loader, entry);
    }
    if (strcmp(name, "identity_providers") == 0) {
        return read_providers(loader, entry);
    }
    if (strcmp(name, "events") == 0) {
        return config_read_events(loader, entry);
    }
    for (unsigned i = 0; i < COUNT(groups); i++) {
        if (strcmp(name, groups[i].name) == 0) {
            return config_read_group(loader, entry, groups[i].table,
                                     groups[i].count);
        }
    }
    const struct setting *setting =
        config_find(settings, COUNT(settings), name);
    if (setting == NULL) {
        return config_fail(loader, entry, "unknown setting %s", name);
    }
    return config_read_setting(loader, entry, setting);
}

/* --- the whole -------------------------------------------------------------*/
/* <state>/<name>, where no path was given. */
static void default_path(const struct server_config *config, const char *name,
                         char **field)
{
    if ((*field)[0] != '\0') {
        return;
    }
    struct buffer path = {0};
    buffer_printf(&path, "%s/%s", config->state, name);
    buffer_append(&path, "", 1);
    free(*field);
    *field = (char *)path.data;
}

/* The directory that the first mirror is in, where it was not given. */
static void default_state(struct server_config *config)
{
    if (config->state[0] != '\0' || config->metadata_count == 0) {
        return;
    }
    free(config->state);
    config->state = xstrdup(config->metadata[0]);
    size_t size = strlen(config->state);
    while (size > 1 && config->state[size - 1] == '/') {
        size--;
    }
    while (size > 1 && config->state[size - 1] != '/') {
        size--;
    }
    config->state[size > 1 ? size - 1 : size] = '\0';
}

static int check_whole(struct loader *loader, const config_t *file)
{
    struct server_config *config = config_of(loader);
    default_state(config);
    if (config->state[0] == '\0') {
        return config_fail(loader, NULL, "state is missing");
    }
    if (config_lookup(file, "drives") == NULL) {
        return config_fail(loader, NULL, "drives is missing");
    }
    if (config->metadata_count == 0) {
        put_metadata_on_drives(config);
    }
    if (config->metadata_count == 0) {
        return config_fail(loader, config_lookup(file, "drives"),
                           "all drives are removed");
    }
    if (config->region[0] == '\0') {
        return config_fail(loader, config_lookup(file, "region"),
                           "region must not be empty");
    }
    if (strcmp(config->socket, config->admin_socket) == 0) {
        return config_fail(loader, config_lookup(file, "admin_socket"),
                           "socket and admin_socket must differ");
    }
    if (config->vault.url[0] != '\0' && config->vault.token_file[0] == '\0') {
        return config_fail(loader, config_lookup(file, "vault"),
                           "vault needs a token_file");
    }
    default_path(config, "master.key", &config->master_key);
    default_path(config, "keyring", &config->keyring);
    return 0;
}

static int read_file(struct loader *loader, config_t *file)
{
    int error = config_parse_file(loader, file);
    const config_setting_t *root = config_root_setting(file);
    const int count = error == 0 ? config_setting_length(root) : 0;
    for (int i = 0; i < count && error == 0; i++) {
        error = read_entry(loader, config_setting_get_elem(root, (unsigned)i));
    }
    return error != 0 ? error : check_whole(loader, file);
}

int config_load(const char *path, struct server_config **config,
                struct buffer *error)
{
    struct server_config *read = xcalloc(1, sizeof(*read));
    struct loader loader = {path, read, error};
    config_t file;
    read->may_miss = BLOB_MAY_MISS_DEFAULT;
    config_init(&file);
    int result = config_set_fallbacks(&loader, settings, COUNT(settings));
    for (unsigned i = 0; i < COUNT(groups) && result == 0; i++) {
        result =
            config_set_fallbacks(&loader, groups[i].table, groups[i].count);
    }
    if (result == 0) {
        result = config_events_fallbacks(&loader);
    }
    invariant(result == 0);
    result = read_file(&loader, &file);
    config_destroy(&file);
    if (result == 0) {
        *config = read;
        return 0;
    }
    config_free(read);
    *config = NULL;
    return result;
}

void config_free(struct server_config *config)
{
    if (config == NULL) {
        return;
    }
    for (unsigned i = 0; i < config->drive_count; i++) {
        free(config->drives[i].path);
        free(config->drives[i].domain);
    }
    for (unsigned i = 0; i < config->provider_count; i++) {
        free(config->providers[i].issuer);
        free(config->providers[i].audience);
        free(config->providers[i].jwks);
    }
    config_free_events(config);
    free(config->socket);
    free(config->socket_group);
    free(config->admin_socket);
    for (unsigned i = 0; i < config->metadata_count; i++) {
        free(config->metadata[i]);
    }
    free(config->state);
    free(config->master_key);
    free(config->keyring);
    free(config->vault.url);
    free(config->vault.mount);
    free(config->vault.key);
    free(config->vault.token_file);
    free(config->vault.ca_file);
    free(config->region);
    free(config->log);
    free(config->audit_log);
    free(config->change_log);
    free(config);
}
