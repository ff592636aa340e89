/*
 * The group `events`: limits of outboxes, and the targets.
 */
#include "events/events.h"
#include "events/publisher.h"
#include "server/config_private.h"
#include "server/private.h"
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct server_config, events.member)

static const struct setting common[] = {
    {"limit", SIZE, AT(limit), "1G", 0, 1ull << 50},
    {"limit_events", NUMBER, AT(limit_events), "0", 0, 1ull << 40},
    {"overflow", TEXT, AT(overflow), "block", 0, 0},
};

#define OF(member) offsetof(struct server_target_config, member)
static const struct setting target[] = {
    {"name", TEXT, OF(name), "", 0, 0},
    {"kind", TEXT, OF(kind), "stream", 0, 0},
    {"redis", TEXT, OF(redis), "", 0, 0},
    {"username", TEXT, OF(username), "", 0, 0},
    {"password_file", PATH, OF(password_file), "", 0, 0},
    {"sentinel_username", TEXT, OF(sentinel_username), "", 0, 0},
    {"sentinel_password_file", PATH, OF(sentinel_password_file), "", 0, 0},
    {"database", NUMBER, OF(database), "0", 0, 65535},
    {"key", TEXT, OF(key), "", 0, 0},
    {"maxlen", NUMBER, OF(maxlen), "0", 0, 1ull << 40},
};

int config_events_fallbacks(struct loader *loader)
{
    return config_set_fallbacks(loader, common, COUNT(common));
}

/* -1: there is no such kind. */
static int find_kind(const char *name)
{
    for (unsigned i = 0; events_kind_name(i) != NULL; i++) {
        if (strcmp(events_kind_name(i), name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int check_target(struct loader *loader, const config_setting_t *group,
                        unsigned at)
{
    const struct server_target_config *targets =
        config_of(loader)->events.targets;
    const struct server_target_config *read = &targets[at];
    if (!events_valid_name(read->name)) {
        return config_fail(loader, group,
                           "the name of a target must be 1 to %d letters, "
                           "digits, '-' and '_'",
                           EVENTS_NAME_MAX);
    }
    if (find_kind(read->kind) < 0) {
        return config_fail(loader, group,
                           "kind must be stream, pubsub, namespace or access");
    }
    if (read->redis[0] == '\0' || read->key[0] == '\0') {
        return config_fail(loader, group, "the target %s needs redis and key",
                           read->name);
    }
    if (!publisher_valid_address(read->redis)) {
        return config_fail(loader, group,
                           "redis of the target %s must be HOST[:PORT], "
                           "unix:/PATH, several of them with commas between, "
                           "or sentinel:MASTER@HOST[:PORT],...",
                           read->name);
    }
    for (unsigned i = 0; i < at; i++) {
        if (strcmp(targets[i].name, read->name) == 0) {
            return config_fail(loader, group, "two targets have the name %s",
                               read->name);
        }
    }
    return 0;
}

static int read_target(struct loader *loader, const config_setting_t *group)
{
    const unsigned at = config_of(loader)->events.target_count++;
    struct loader inner = {loader->path, &config_of(loader)->events.targets[at],
                           loader->error};
    int error = config_set_fallbacks(&inner, target, COUNT(target));
    if (error == 0) {
        error = config_read_group(&inner, group, target, COUNT(target));
    }
    return error != 0 ? error : check_target(loader, group, at);
}

static int read_targets(struct loader *loader, const config_setting_t *list)
{
    const int count = config_setting_length(list);
    if (config_setting_type(list) != CONFIG_TYPE_LIST ||
        count > SERVER_TARGETS_MAX) {
        return config_fail(loader, list,
                           "events.targets must be a list of at most %d "
                           "groups: ( { ... }, ... )",
                           SERVER_TARGETS_MAX);
    }
    int error = 0;
    for (int i = 0; i < count && error == 0; i++) {
        error = read_target(loader, config_setting_get_elem(list, (unsigned)i));
    }
    return error;
}

static int read_entry(struct loader *loader, const config_setting_t *entry)
{
    const char *name = config_setting_name(entry);
    if (strcmp(name, "targets") == 0) {
        return read_targets(loader, entry);
    }
    const struct setting *setting = config_find(common, COUNT(common), name);
    if (setting == NULL) {
        return config_fail(loader, entry, "unknown setting events.%s", name);
    }
    return config_read_setting(loader, entry, setting);
}

int config_read_events(struct loader *loader, const config_setting_t *group)
{
    const struct server_events_config *events = &config_of(loader)->events;
    if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
        return config_fail(loader, group, "events must be a group: { ... }");
    }
    int error = 0;
    for (int i = 0; i < config_setting_length(group) && error == 0; i++) {
        error = read_entry(loader, config_setting_get_elem(group, (unsigned)i));
    }
    if (error == 0 && strcmp(events->overflow, "block") != 0 &&
        strcmp(events->overflow, "drop") != 0) {
        error = config_fail(loader, group,
                            "events.overflow must be \"block\" or \"drop\"");
    }
    return error;
}

void config_free_events(struct server_config *config)
{
    struct server_events_config *events = &config->events;
    for (unsigned i = 0; i < events->target_count; i++) {
        free(events->targets[i].name);
        free(events->targets[i].kind);
        free(events->targets[i].redis);
        free(events->targets[i].username);
        free(events->targets[i].password_file);
        free(events->targets[i].sentinel_username);
        free(events->targets[i].sentinel_password_file);
        free(events->targets[i].key);
    }
    free(events->overflow);
}

/* Both tables hold texts, paths and numbers only. */
static bool same_settings(const void *a, const void *b,
                          const struct setting *table, size_t count)
{
    bool same = true;
    for (size_t i = 0; i < count && same; i++) {
        const void *one = (const char *)a + table[i].offset;
        const void *other = (const char *)b + table[i].offset;
        same = table[i].type == TEXT || table[i].type == PATH
                   ? strcmp(*(char *const *)one, *(char *const *)other) == 0
                   : *(const uint64_t *)one == *(const uint64_t *)other;
    }
    return same;
}

bool config_same_events(const struct server_config *a,
                        const struct server_config *b)
{
    bool same = a->events.target_count == b->events.target_count &&
                same_settings(a, b, common, COUNT(common));
    for (unsigned i = 0; i < a->events.target_count && same; i++) {
        same = same_settings(&a->events.targets[i], &b->events.targets[i],
                             target, COUNT(target));
    }
    return same;
}

static const char *given(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

struct events *config_open_events(const struct server_config *config,
                                  struct meta *meta)
{
    const struct server_events_config *events = &config->events;
    struct events_target_options targets[SERVER_TARGETS_MAX];
    for (unsigned i = 0; i < events->target_count; i++) {
        const struct server_target_config *read = &events->targets[i];
        targets[i] = (struct events_target_options){
            .name = read->name,
            .kind = (enum events_kind)find_kind(read->kind),
            .overflow = strcmp(events->overflow, "drop") == 0 ? EVENTS_DROP
                                                              : EVENTS_BLOCK,
            .limit_bytes = events->limit,
            .limit_events = events->limit_events,
            .redis = read->redis,
            .username = given(read->username),
            .password_file = given(read->password_file),
            .sentinel_username = given(read->sentinel_username),
            .sentinel_password_file = given(read->sentinel_password_file),
            .database = (unsigned)read->database,
            .key = read->key,
            .maxlen = read->maxlen,
        };
    }
    const struct events_options options = {.region = config->region,
                                           .targets = targets,
                                           .count = events->target_count};
    return events_open(meta, &options);
}
