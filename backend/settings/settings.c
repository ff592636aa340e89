/*
 * Settings and their values: each is checked and put where its table says.
 */
#include "settings/settings.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* --- errors ----------------------------------------------------------------*/
int config_fail(struct loader *loader, const config_setting_t *where,
                const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    const unsigned line = where != NULL ? config_setting_source_line(where) : 0;
    if (line > 0) {
        buffer_printf(loader->error, "%s:%u: %s", loader->path, line, message);
    } else {
        buffer_printf(loader->error, "%s: %s", loader->path, message);
    }
    return -EINVAL;
}

/* --- values ----------------------------------------------------------------*/
struct suffix {
    char letter;
    uint64_t factor;
};
static const struct suffix sizes[] = {{'K', 1ull << 10},
                                      {'M', 1ull << 20},
                                      {'G', 1ull << 30},
                                      {'T', 1ull << 40},
                                      {0, 0}};
static const struct suffix times[] = {
    {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {0, 0}};
static const struct suffix plain[] = {{0, 0}};

/* "64", or "64" with one of the letters. */
static int parse_number(const char *text, const struct suffix *suffix,
                        uint64_t *value)
{
    size_t size = strlen(text);
    uint64_t factor = 1;
    for (; suffix->letter != 0; suffix++) {
        if (size > 0 && text[size - 1] == suffix->letter) {
            factor = suffix->factor;
            size--;
            break;
        }
    }
    if (slice_to_u64(slice_of(text, size), value) != 0 ||
        *value > UINT64_MAX / factor) {
        return -EINVAL;
    }
    *value *= factor;
    return 0;
}

static int parse_mode(const char *text, uint64_t *value)
{
    const size_t size = strlen(text);
    if (size < 3 || size > 4 || strspn(text, "01234567") != size) {
        return -EINVAL;
    }
    *value = strtoull(text, NULL, 8);
    return 0;
}

static int parse_level(const char *text, enum log_level *level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (unsigned i = 0; i < COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int set_text(struct loader *loader, const config_setting_t *where,
                    const struct setting *setting, const char *text)
{
    char **field = (char **)((char *)loader->into + setting->offset);
    if (setting->type != TEXT && text[0] != '/' &&
        (setting->fallback == NULL || strcmp(text, setting->fallback) != 0)) {
        return config_fail(loader, where, "%s must be an absolute path",
                           setting->name);
    }
    const size_t limit = sizeof(((struct sockaddr_un *)NULL)->sun_path);
    if (setting->type == SOCKET && strlen(text) >= limit) {
        return config_fail(loader, where, "%s is longer than %zu bytes",
                           setting->name, limit - 1);
    }
    free(*field);
    *field = xstrdup(text);
    return 0;
}

static int set_number(struct loader *loader, const config_setting_t *where,
                      const struct setting *setting, const char *text)
{
    uint64_t *field = (uint64_t *)((char *)loader->into + setting->offset);
    const char *form = "a whole number";
    int result;
    switch (setting->type) {
    case SIZE:
        form = "a number of bytes, or one with K, M, G or T";
        result = parse_number(text, sizes, field);
        break;
    case DURATION:
        form = "a number of seconds, or one with s, m, h or d";
        result = parse_number(text, times, field);
        break;
    case MODE:
        form = "a mode such as \"0660\"";
        result = parse_mode(text, field);
        break;
    default:
        result = parse_number(text, plain, field);
    }
    if (result != 0) {
        return config_fail(loader, where, "%s must be %s", setting->name, form);
    }
    if (*field < setting->min || *field > setting->max) {
        return config_fail(loader, where,
                           setting->type == MODE
                               ? "%s is not a mode of a socket"
                               : "%s must be from %llu to %llu",
                           setting->name, (unsigned long long)setting->min,
                           (unsigned long long)setting->max);
    }
    return 0;
}

static int set_value(struct loader *loader, const config_setting_t *where,
                     const struct setting *setting, const char *text)
{
    void *field = (char *)loader->into + setting->offset;
    switch (setting->type) {
    case TEXT:
    case PATH:
    case SOCKET:
        return set_text(loader, where, setting, text);
    case LEVEL:
        if (parse_level(text, field) != 0) {
            return config_fail(loader, where,
                               "%s must be debug, info, warn or error",
                               setting->name);
        }
        return 0;
    case SWITCH:
        *(bool *)field = strcmp(text, "true") == 0;
        return 0;
    case CIPHER:
        *(bool *)field = strcmp(text, "AES256") == 0;
        if (strcmp(text, "AES256") != 0 && strcmp(text, "none") != 0) {
            return config_fail(loader, where,
                               "%s must be \"none\" or \"AES256\"",
                               setting->name);
        }
        return 0;
    default:
        return set_number(loader, where, setting, text);
    }
}

int config_read_setting(struct loader *loader, const config_setting_t *where,
                        const struct setting *setting)
{
    char digits[32];
    const bool numeric = setting->type == NUMBER || setting->type == SIZE ||
                         setting->type == DURATION;
    if ((setting->type == SWITCH) !=
        (config_setting_type(where) == CONFIG_TYPE_BOOL)) {
        return config_fail(loader, where, "%s must be %s", setting->name,
                           setting->type == SWITCH ? "true or false"
                           : numeric               ? "a number"
                                                   : "a string in quotes");
    }
    switch (config_setting_type(where)) {
    case CONFIG_TYPE_BOOL:
        return set_value(loader, where, setting,
                         config_setting_get_bool(where) ? "true" : "false");
    case CONFIG_TYPE_STRING:
        return set_value(loader, where, setting,
                         config_setting_get_string(where));
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        if (!numeric) {
            return config_fail(loader, where, "%s must be a string in quotes",
                               setting->name);
        }
        snprintf(digits, sizeof(digits), "%lld",
                 config_setting_get_int64(where));
        return set_value(loader, where, setting, digits);
    default:
        return config_fail(loader, where, "%s must be %s", setting->name,
                           numeric ? "a number" : "a string in quotes");
    }
}

const struct setting *config_find(const struct setting *table, size_t count,
                                  const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

int config_read_group(struct loader *loader, const config_setting_t *group,
                      const struct setting *table, size_t count)
{
    const char *group_name = config_setting_name(
        config_setting_name(group) != NULL ? group
                                           : config_setting_parent(group));
    if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
        return config_fail(loader, group, "%s must be a group: { ... }",
                           group_name);
    }
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *entry =
            config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(entry);
        const struct setting *setting = config_find(table, count, name);
        if (setting == NULL) {
            return config_fail(loader, entry, "unknown setting %s.%s",
                               group_name, name);
        }
        const int error = config_read_setting(loader, entry, setting);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int config_set_fallbacks(struct loader *loader, const struct setting *table,
                         size_t count)
{
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        error = set_value(loader, NULL, &table[i],
                          table[i].fallback != NULL ? table[i].fallback : "/");
    }
    return error;
}

/* --- the file --------------------------------------------------------------*/
int config_parse_file(struct loader *loader, config_t *file)
{
    if (config_read_file(file, loader->path) == CONFIG_TRUE) {
        return 0;
    }
    if (config_error_type(file) == CONFIG_ERR_FILE_IO) {
        return config_fail(loader, NULL, "cannot be read");
    }
    const char *source = config_error_file(file);
    buffer_printf(loader->error, "%s:%d: %s",
                  source != NULL ? source : loader->path,
                  config_error_line(file), config_error_text(file));
    return -EINVAL;
}
