/* Lists of the configuration, and what single texts may be. */
#include "purge/config_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN                                                                  \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"           \
    "!#$%&'*+-.^_`|~"

/* --- texts -----------------------------------------------------------------*/
bool config_is_visible(const char *text)
{
    while (*text > ' ' && *text < 0x7f) {
        text++;
    }
    return *text == '\0';
}

bool config_is_method(const char *text)
{
    const size_t size = strlen(text);

    return size > 0 && size <= 32 && strspn(text, TOKEN) == size &&
           strcmp(text, "HEAD") != 0 && strcmp(text, "CONNECT") != 0;
}

static bool is_header(const char *text)
{
    const size_t size = strspn(text, TOKEN);

    if (size == 0 || text[size] != ':') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f) {
            return false;
        }
    }
    return true;
}

long config_find_edge(const struct purge_config *config, const char *name)
{
    for (size_t i = 0; i < config->edge_count; i++) {
        if (strcmp(config->edges[i].name, name) == 0) {
            return (long)i;
        }
    }
    return -1;
}

long config_find_template(const struct purge_config *config, const char *name)
{
    for (size_t i = 0; i < config->template_count; i++) {
        if (strcmp(config->templates[i].name, name) == 0) {
            return (long)i;
        }
    }
    return -1;
}

/* --- groups ----------------------------------------------------------------*/
int config_each(struct loader *loader, const config_setting_t *group,
                const char *what, config_reader read)
{
    int error = 0;

    if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
        return config_fail(loader, group, "%s must be a group: { ... }", what);
    }
    for (int i = 0; i < config_setting_length(group) && error == 0; i++) {
        error = read(loader, config_setting_get_elem(group, (unsigned)i));
    }
    return error;
}

int config_read_groups(struct loader *loader, const config_setting_t *list,
                       const char *name, int most, config_reader read)
{
    const int count = list != NULL ? config_setting_length(list) : 0;
    int error = 0;

    if (count < 1 || count > most ||
        config_setting_type(list) != CONFIG_TYPE_LIST) {
        return config_fail(loader, list,
                           "%s must be a list of 1 to %d groups: "
                           "( { ... }, ... )",
                           name, most);
    }
    for (int i = 0; i < count && error == 0; i++) {
        error = read(loader, config_setting_get_elem(list, (unsigned)i));
    }
    return error;
}

int config_read_known(struct loader *loader, const config_setting_t *entry,
                      const char *group, const struct setting *table,
                      size_t count)
{
    const char *name = config_setting_name(entry);
    const struct setting *setting = config_find(table, count, name);

    return setting != NULL ? config_read_setting(loader, entry, setting)
                           : config_fail(loader, entry, "unknown setting %s.%s",
                                         group, name);
}

/* --- lists -----------------------------------------------------------------*/
typedef int (*read_text)(struct loader *loader, const config_setting_t *where,
                         const char *text, void *into);

static int each_text(struct loader *loader, const config_setting_t *list,
                     read_text read, void *into)
{
    const char *name = config_setting_name(list);
    const int count = config_setting_length(list);
    int error = 0;

    if (config_setting_type(list) != CONFIG_TYPE_LIST ||
        count > PURGE_LIST_MAX) {
        return config_fail(loader, list,
                           "%s must be a list of at most %d strings: "
                           "( \"...\", ... )",
                           name, PURGE_LIST_MAX);
    }
    for (int i = 0; i < count && error == 0; i++) {
        const char *text = config_setting_get_string_elem(list, i);
        if (text == NULL || text[0] == '\0' || strlen(text) > PURGE_TEXT_MAX) {
            return config_fail(loader, list,
                               "%s must have strings of 1 to %d bytes", name,
                               PURGE_TEXT_MAX);
        }
        error = read(loader, list, text, into);
    }
    return error;
}

static int add_string(struct loader *loader, const config_setting_t *where,
                      const char *text, void *into)
{
    struct purge_strings *strings = into;

    (void)loader;
    (void)where;
    strings->list[strings->count++] = xstrdup(text);
    return 0;
}

int config_read_strings(struct loader *loader, const config_setting_t *list,
                        struct purge_strings *strings)
{
    return each_text(loader, list, add_string, strings);
}

int config_parse_template(struct loader *loader, const config_setting_t *where,
                          const char *text, unsigned allowed,
                          struct template *template)
{
    struct buffer why = {0};
    int error = 0;

    if (strlen(text) > PURGE_TEXT_MAX) {
        return config_fail(loader, where, "longer than %d bytes: %.40s...",
                           PURGE_TEXT_MAX, text);
    }
    if (template_parse(text, allowed, template, &why) != 0) {
        error = config_fail(loader, where, "%.*s", (int)why.size,
                            (const char *)why.data);
    }
    buffer_free(&why);
    return error;
}

struct template_list {
    unsigned allowed;
    struct purge_templates *templates;
};

static int add_template(struct loader *loader, const config_setting_t *where,
                        const char *text, const struct template_list *list)
{
    struct purge_templates *templates = list->templates;
    const int error = config_parse_template(loader, where, text, list->allowed,
                                            &templates->list[templates->count]);

    templates->count += error == 0;
    return error;
}

static int add_header(struct loader *loader, const config_setting_t *where,
                      const char *text, void *into)
{
    if (!is_header(text)) {
        return config_fail(loader, where,
                           "headers must be of the form \"Name: value\"");
    }
    return add_template(loader, where, text, into);
}

int config_read_headers(struct loader *loader, const config_setting_t *list,
                        unsigned allowed, struct purge_templates *headers)
{
    struct template_list into = {allowed, headers};

    return each_text(loader, list, add_header, &into);
}

static int add_path(struct loader *loader, const config_setting_t *where,
                    const char *text, void *into)
{
    if (text[0] != '/' || !config_is_visible(text)) {
        return config_fail(loader, where,
                           "paths must begin with '/' and have no blanks");
    }
    return add_template(loader, where, text, into);
}

int config_read_paths(struct loader *loader, const config_setting_t *list,
                      unsigned allowed, struct purge_templates *paths)
{
    struct template_list into = {allowed, paths};

    return each_text(loader, list, add_path, &into);
}

int config_read_statuses(struct loader *loader, const config_setting_t *list,
                         struct purge_edge *edge)
{
    const int count = config_setting_length(list);

    if (config_setting_type(list) != CONFIG_TYPE_LIST || count < 1 ||
        count > PURGE_LIST_MAX) {
        return config_fail(loader, list,
                           "confirmed must be a list of 1 to %d statuses: "
                           "( 200, ... )",
                           PURGE_LIST_MAX);
    }
    for (int i = 0; i < count; i++) {
        const int status = config_setting_get_int_elem(list, i);
        if (status < 200 || status > 599) {
            return config_fail(loader, list,
                               "confirmed must have statuses from 200 to 599");
        }
        edge->confirmed[i] = (unsigned)status;
    }
    edge->confirmed_count = (size_t)count;
    return 0;
}

struct name_list {
    const struct purge_config *config;
    long (*find)(const struct purge_config *, const char *);
    uint64_t *bits;
};

static int add_name(struct loader *loader, const config_setting_t *where,
                    const char *text, void *into)
{
    const struct name_list *names = into;
    const long index = names->find(names->config, text);

    if (index < 0) {
        return config_fail(loader, where, "there is no %s in %s", text,
                           config_setting_name(where));
    }
    *names->bits |= 1ull << index;
    return 0;
}

int config_read_names(struct loader *loader, const config_setting_t *list,
                      const struct purge_config *config,
                      long (*find)(const struct purge_config *, const char *),
                      uint64_t *bits)
{
    struct name_list into = {config, find, bits};

    *bits = 0;
    return each_text(loader, list, add_name, &into);
}

/* --- freeing ---------------------------------------------------------------*/
static void free_strings(struct purge_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++) {
        free(strings->list[i]);
    }
}

static void free_templates(struct purge_templates *templates)
{
    for (size_t i = 0; i < templates->count; i++) {
        template_free(&templates->list[i]);
    }
}

static void free_edge(struct purge_edge *edge)
{
    free(edge->name);
    free(edge->url);
    free(edge->connect);
    free(edge->ca_file);
    free(edge->secret_file);
    free_templates(&edge->headers);
}

void purge_config_free(struct purge_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->edge_count; i++) {
        free_edge(&config->edges[i]);
    }
    for (size_t i = 0; i < config->template_count; i++) {
        struct purge_template *template = &config->templates[i];
        free(template->name);
        free(template->method);
        free(template->url_text);
        template_free(&template->url);
        free_templates(&template->headers);
    }
    for (size_t i = 0; i < config->rule_count; i++) {
        struct purge_rule *rule = &config->rules[i];
        free(rule->bucket);
        free(rule->prefix);
        free_templates(&rule->paths);
        free_strings(&rule->index);
        free_strings(&rule->suffixes);
    }
    free(config->address);
    free(config->username);
    free(config->password_file);
    free(config->sentinel_username);
    free(config->sentinel_password_file);
    free(config->stream);
    free(config->group);
    free(config->log);
    free(config);
}
