/*
 * Private to config*.c: tables of settings, and how they are read.
 */
#ifndef SERVER_CONFIG_PRIVATE_H
#define SERVER_CONFIG_PRIVATE_H

#include "server/server.h"
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
    QUORUM,   /* "default", "all", 1 */
};

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset;
    const char *fallback; /* in the file's own form; NULL: must be there */
    uint64_t min, max;    /* numbers */
};

struct loader {
    const char *path;
    struct server_config *config;
    struct buffer *error;
};

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

/* --- events (config_events.c) ----------------------------------------------*/
int config_events_fallbacks(struct loader *loader);
int config_read_events(struct loader *loader, const config_setting_t *group);
void config_free_events(struct server_config *config);

#endif
