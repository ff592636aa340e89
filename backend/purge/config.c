/*
 * The configuration: tables of settings (settings.h), lists, and what must fit
 * together.
 */
#include "purge/config.h"
#include "purge/config_private.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- tables ----------------------------------------------------------------*/
#define AT(member) offsetof(struct purge_config, member)
static const struct setting common[] = {
    {"log", PATH, AT(log), "", 0, 0},
    {"log_level", LEVEL, AT(log_level), "info", 0, 0},
    {"window", NUMBER, AT(window), "1000", 1, 100000},
    {"retry_max", DURATION, AT(retry_max_s), "30s", 1, 3600},
};
static const struct setting redis[] = {
    {"address", TEXT, AT(address), "127.0.0.1:6379", 0, 0},
    {"username", TEXT, AT(username), "", 0, 0},
    {"password_file", PATH, AT(password_file), "", 0, 0},
    {"sentinel_username", TEXT, AT(sentinel_username), "", 0, 0},
    {"sentinel_password_file", PATH, AT(sentinel_password_file), "", 0, 0},
    {"database", NUMBER, AT(database), "0", 0, 65535},
    {"stream", TEXT, AT(stream), "purge", 0, 0},
    {"group", TEXT, AT(group), "purge", 0, 0},
};
#undef AT
#define AT(member) offsetof(struct purge_edge, member)
static const struct setting edge_settings[] = {
    {"name", TEXT, AT(name), "", 0, 0},
    {"url", TEXT, AT(url), "", 0, 0},
    {"connect", TEXT, AT(connect), "", 0, 0},
    {"ca_file", PATH, AT(ca_file), "", 0, 0},
    {"secret_file", PATH, AT(secret_file), "", 0, 0},
    {"connections", NUMBER, AT(connections), "8", 1, 256},
    {"timeout", DURATION, AT(timeout_s), "10s", 1, 300},
    {"again", DURATION, AT(again_s), "0", 0, 3600},
};
#undef AT
#define AT(member) offsetof(struct purge_template, member)
static const struct setting template_settings[] = {
    {"name", TEXT, AT(name), "", 0, 0},
    {"method", TEXT, AT(method), "PURGE", 0, 0},
    {"url", TEXT, AT(url_text), "${edge}${path}", 0, 0},
};
#undef AT
#define AT(member) offsetof(struct purge_rule, member)
static const struct setting rule_settings[] = {
    {"bucket", TEXT, AT(bucket), "", 0, 0},
    {"prefix", TEXT, AT(prefix), "", 0, 0},
};
#undef AT

/* --- edges -----------------------------------------------------------------*/
static bool valid_name(const char *name)
{
    const size_t size = strlen(name);

    return size > 0 && size <= PURGE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_") == size;
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    const bool there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return there;
}

static bool valid_url(const char *text)
{
    CURLU *url = curl_url();
    invariant(url != NULL);
    const bool valid =
        (strncmp(text, "http://", 7) == 0 ||
         strncmp(text, "https://", 8) == 0) &&
        config_is_visible(text) && strchr(text, '$') == NULL &&
        curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
        !has_part(url, CURLUPART_USER) && !has_part(url, CURLUPART_PASSWORD) &&
        !has_part(url, CURLUPART_QUERY) && !has_part(url, CURLUPART_FRAGMENT);
    curl_url_cleanup(url);
    return valid;
}

static void strip_slashes(char *url)
{
    size_t size = strlen(url);
    while (size > 0 && url[size - 1] == '/') {
        url[--size] = '\0';
    }
}

static bool uses_secret(const struct purge_edge *edge)
{
    unsigned uses = 0;
    for (size_t i = 0; i < edge->headers.count; i++) {
        uses |= edge->headers.list[i].uses;
    }
    return uses != 0;
}

static int check_edge(struct loader *loader, const config_setting_t *group,
                      const struct purge_config *config)
{
    struct purge_edge *edge = loader->into;
    struct redis_address address;
    if (!valid_name(edge->name)) {
        return config_fail(loader, group,
                           "the name of an edge must be 1 to %d letters, "
                           "digits, '-' and '_'",
                           PURGE_NAME_MAX);
    }
    if (config_find_edge(config, edge->name) != edge - config->edges) {
        return config_fail(loader, group, "two edges have the name %s",
                           edge->name);
    }
    if (!valid_url(edge->url)) {
        return config_fail(loader, group,
                           "url of the edge %s must be http://HOST[:PORT] or "
                           "https://HOST[:PORT]",
                           edge->name);
    }
    strip_slashes(edge->url);
    if (edge->connect[0] != '\0' &&
        redis_address_parse(slice_from_string(edge->connect), 0, &address) !=
            0) {
        return config_fail(loader, group,
                           "connect of the edge %s must be HOST:PORT",
                           edge->name);
    }
    if (uses_secret(edge) && edge->secret_file[0] == '\0') {
        return config_fail(loader, group,
                           "the edge %s has no secret_file for ${secret}",
                           edge->name);
    }
    return 0;
}

static int read_edge_entry(struct loader *loader, const config_setting_t *entry)
{
    struct purge_edge *edge = loader->into;
    const char *name = config_setting_name(entry);
    if (strcmp(name, "headers") == 0) {
        return config_read_headers(loader, entry, VARIABLE_BIT(VARIABLE_SECRET),
                                   &edge->headers);
    }
    if (strcmp(name, "confirmed") == 0) {
        return config_read_statuses(loader, entry, edge);
    }
    return config_read_known(loader, entry, "edges", edge_settings,
                             COUNT(edge_settings));
}

static int read_edge(struct loader *loader, const config_setting_t *group)
{
    static const unsigned usual[] = {200, 204, 404, 412};
    struct purge_config *config = loader->into;
    struct purge_edge *edge = &config->edges[config->edge_count++];
    struct loader inner = {loader->path, edge, loader->error};
    invariant(
        config_set_fallbacks(&inner, edge_settings, COUNT(edge_settings)) == 0);
    memcpy(edge->confirmed, usual, sizeof(usual));
    edge->confirmed_count = COUNT(usual);
    const int error = config_each(&inner, group, "an edge", read_edge_entry);
    return error != 0 ? error : check_edge(&inner, group, config);
}

/* --- templates -------------------------------------------------------------*/
#define OF_KEY                                                                 \
    (VARIABLE_BIT(VARIABLE_BUCKET) | VARIABLE_BIT(VARIABLE_KEY) |              \
     VARIABLE_BIT(VARIABLE_KEY_ENCODED) | VARIABLE_BIT(VARIABLE_REST) |        \
     VARIABLE_BIT(VARIABLE_PREFIX) | VARIABLE_BIT(VARIABLE_DIRECTORY))
#define OF_REQUEST                                                             \
    (OF_KEY | VARIABLE_BIT(VARIABLE_EDGE) | VARIABLE_BIT(VARIABLE_PATH) |      \
     VARIABLE_BIT(VARIABLE_TAG))

static int check_template(struct loader *loader, const config_setting_t *group,
                          const struct purge_config *config)
{
    struct purge_template *template = loader->into;
    const unsigned both =
        VARIABLE_BIT(VARIABLE_PATH) | VARIABLE_BIT(VARIABLE_TAG);
    if (!valid_name(template->name)) {
        return config_fail(loader, group,
                           "the name of a template must be 1 to %d letters, "
                           "digits, '-' and '_'",
                           PURGE_NAME_MAX);
    }
    if (config_find_template(config, template->name) !=
        template - config->templates) {
        return config_fail(loader, group, "two templates have the name %s",
                           template->name);
    }
    if (!config_is_method(template->method)) {
        return config_fail(loader, group,
                           "method of the template %s must be one of HTTP, "
                           "but not HEAD or CONNECT",
                           template->name);
    }
    const int error = config_parse_template(loader, group, template->url_text,
                                            OF_REQUEST, &template->url);
    if (error != 0) {
        return error;
    }
    if (strncmp(template->url_text, "${edge}", 7) != 0 ||
        !config_is_visible(template->url_text)) {
        return config_fail(loader, group,
                           "url of the template %s must begin with ${edge} and "
                           "have no blanks",
                           template->name);
    }
    template->uses = template->url.uses;
    for (size_t i = 0; i < template->headers.count; i++) {
        template->uses |= template->headers.list[i].uses;
    }
    if ((template->uses & both) == both) {
        return config_fail(loader, group,
                           "the template %s has ${path} and ${tag}: make two "
                           "of it",
                           template->name);
    }
    return 0;
}

static int read_template_entry(struct loader *loader,
                               const config_setting_t *entry)
{
    struct purge_template *template = loader->into;
    if (strcmp(config_setting_name(entry), "headers") == 0) {
        return config_read_headers(loader, entry, OF_REQUEST,
                                   &template->headers);
    }
    return config_read_known(loader, entry, "templates", template_settings,
                             COUNT(template_settings));
}

static int read_template(struct loader *loader, const config_setting_t *group)
{
    struct purge_config *config = loader->into;
    struct purge_template *template =
        &config->templates[config->template_count++];
    struct loader inner = {loader->path, template, loader->error};
    invariant(config_set_fallbacks(&inner, template_settings,
                                   COUNT(template_settings)) == 0);
    const int error =
        config_each(&inner, group, "a template", read_template_entry);
    return error != 0 ? error : check_template(&inner, group, config);
}

/* --- rules -----------------------------------------------------------------*/
struct rule_loader {
    struct loader loader; /* into the rule */
    const struct purge_config *config;
};

static int read_rule_entry(struct loader *loader, const config_setting_t *entry)
{
    const struct purge_config *config = ((struct rule_loader *)loader)->config;
    struct purge_rule *rule = loader->into;
    const char *name = config_setting_name(entry);
    if (strcmp(name, "paths") == 0) {
        return config_read_paths(loader, entry, OF_KEY, &rule->paths);
    }
    if (strcmp(name, "index") == 0) {
        return config_read_strings(loader, entry, &rule->index);
    }
    if (strcmp(name, "suffixes") == 0) {
        return config_read_strings(loader, entry, &rule->suffixes);
    }
    if (strcmp(name, "edges") == 0) {
        return config_read_names(loader, entry, config, config_find_edge,
                                 &rule->edges);
    }
    if (strcmp(name, "templates") == 0) {
        return config_read_names(loader, entry, config, config_find_template,
                                 &rule->templates);
    }
    return config_read_known(loader, entry, "rules", rule_settings,
                             COUNT(rule_settings));
}

static uint64_t all(size_t count)
{
    return count == 64 ? UINT64_MAX : (1ull << count) - 1;
}

static int read_rule(struct loader *loader, const config_setting_t *group)
{
    struct purge_config *config = loader->into;
    struct purge_rule *rule = &config->rules[config->rule_count++];
    struct rule_loader inner = {{loader->path, rule, loader->error}, config};
    invariant(config_set_fallbacks(&inner.loader, rule_settings,
                                   COUNT(rule_settings)) == 0);
    rule->edges = all(config->edge_count);
    rule->templates = all(config->template_count);
    int error = config_each(&inner.loader, group, "a rule", read_rule_entry);
    if (error == 0 && rule->bucket[0] == '\0') {
        error = config_fail(loader, group, "a rule needs a bucket");
    }
    if (error == 0 && rule->paths.count == 0) {
        error = config_parse_template(&inner.loader, group, "/${key}", OF_KEY,
                                      &rule->paths.list[0]);
        rule->paths.count = 1;
    }
    return error;
}

/* --- the whole -------------------------------------------------------------*/
static int read_redis_entry(struct loader *loader,
                            const config_setting_t *entry)
{
    return config_read_known(loader, entry, "redis", redis, COUNT(redis));
}

static int read_entry(struct loader *loader, const config_setting_t *entry)
{
    static const char *const lists[] = {"edges", "templates", "rules"};
    const char *name = config_setting_name(entry);
    if (strcmp(name, "redis") == 0) {
        return config_each(loader, entry, "redis", read_redis_entry);
    }
    for (unsigned i = 0; i < COUNT(lists); i++) {
        if (strcmp(name, lists[i]) == 0) {
            return 0; /* read_lists() */
        }
    }
    const struct setting *setting = config_find(common, COUNT(common), name);
    return setting != NULL
               ? config_read_setting(loader, entry, setting)
               : config_fail(loader, entry, "unknown setting %s", name);
}

/* Rules name edges and templates, wherever these stand in the file. */
static int read_lists(struct loader *loader, const config_t *file)
{
    int error = config_read_groups(loader, config_lookup(file, "edges"),
                                   "edges", PURGE_EDGES_MAX, read_edge);
    if (error == 0) {
        error =
            config_read_groups(loader, config_lookup(file, "templates"),
                               "templates", PURGE_TEMPLATES_MAX, read_template);
    }
    if (error == 0) {
        error = config_read_groups(loader, config_lookup(file, "rules"),
                                   "rules", PURGE_RULES_MAX, read_rule);
    }
    return error;
}

static int check_whole(struct loader *loader, const config_t *file)
{
    struct purge_config *config = loader->into;
    const config_setting_t *where = config_lookup(file, "redis");
    if (redis_place_parse(config->address, &config->redis) != 0) {
        return config_fail(loader, where,
                           "redis.address must be HOST[:PORT], unix:/PATH, "
                           "several of them with commas between, or "
                           "sentinel:MASTER@HOST[:PORT],...");
    }
    if (config->stream[0] == '\0' || strlen(config->stream) > PURGE_NAME_MAX ||
        !valid_name(config->group)) {
        return config_fail(loader, where,
                           "redis needs a stream, and a group of 1 to %d "
                           "letters, digits, '-' and '_'",
                           PURGE_NAME_MAX);
    }
    return 0;
}

static int read_file(struct loader *loader, config_t *file)
{
    int error = config_parse_file(loader, file);
    if (error == 0) {
        error = config_each(loader, config_root_setting(file), "", read_entry);
    }
    if (error == 0) {
        error = check_whole(loader, file);
    }
    return error == 0 ? read_lists(loader, file) : error;
}

int purge_config_load(const char *path, struct purge_config **config,
                      struct buffer *error)
{
    struct purge_config *read = xcalloc(1, sizeof(*read));
    struct loader loader = {path, read, error};
    config_t file;
    config_init(&file);
    invariant(config_set_fallbacks(&loader, common, COUNT(common)) == 0);
    invariant(config_set_fallbacks(&loader, redis, COUNT(redis)) == 0);
    const int result = read_file(&loader, &file);
    config_destroy(&file);
    if (result != 0) {
        purge_config_free(read);
        read = NULL;
    }
    *config = read;
    return result;
}
