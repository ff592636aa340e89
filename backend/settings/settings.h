/*
 * Configuration files: libconfig's syntax, tables of settings, every value
 * checked, unknown names refused.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "base/base.h"
#include <libconfig.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum setting_type {
    TEXT,
    PATH,     /* absolute */
    SOCKET,   /* a path that fits a socket address */
    NUMBER,   /* 64 */
    SIZE,     /* 4096, "64K", "1M", "2G", "1T" */
    DURATION, /* 30, "30s", "5m", "2h", "14d": seconds */
    MODE,     /* "0660" */
    LEVEL,    /* "debug", "info", "warn", "error" */
    SWITCH,   /* true, false */
    CIPHER,   /* "none", "AES256" */
};

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset; /* in loader.into: char * of texts, bool, enum log_level,
                    * uint64_t of numbers */
    const char *fallback; /* in the file's own form; NULL: must be there */
    uint64_t min, max;    /* numbers */
};

struct loader {
    const char *path;
    void *into; /* the struct that the offsets are of */
    struct buffer *error;
};

/* Reads the file: 0, or -EINVAL. config_init() came before, config_destroy()
 * comes after. */
int config_parse_file(struct loader *loader, config_t *file);

/* Says what is wrong, and where; -EINVAL. `where` NULL: the file. */
int config_fail(struct loader *loader, const config_setting_t *where,
                const char *format, ...) __attribute__((format(printf, 3, 4)));
int config_read_setting(struct loader *loader, const config_setting_t *where,
                        const struct setting *setting);
/* The settings of a group: all must be in the table. */
int config_read_group(struct loader *loader, const config_setting_t *group,
                      const struct setting *table, size_t count);
const struct setting *config_find(const struct setting *table, size_t count,
                                  const char *name);
int config_set_fallbacks(struct loader *loader, const struct setting *table,
                         size_t count);

#endif
