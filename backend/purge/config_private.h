/*
 * Private to config*.c: lists, and single values that no table has.
 * Each returns 0, or -EINVAL after config_fail().
 */
#ifndef PURGE_CONFIG_PRIVATE_H
#define PURGE_CONFIG_PRIVATE_H

#include "purge/config.h"
#include "settings/settings.h"

/* --- texts -----------------------------------------------------------------*/
/* Printable ASCII without blanks. */
bool config_is_visible(const char *text);
/* A method of HTTP whose answer ends as usual. */
bool config_is_method(const char *text);
/* The index of that name; that of the first, -1: there is none. */
long config_find_edge(const struct purge_config *config, const char *name);
long config_find_template(const struct purge_config *config, const char *name);

/* --- groups ----------------------------------------------------------------*/
typedef int (*config_reader)(struct loader *loader,
                             const config_setting_t *entry);
/* Reads each setting of a group; `what` is for the error. */
int config_each(struct loader *loader, const config_setting_t *group,
                const char *what, config_reader read);
/* Reads a list of 1 to `most` groups. */
int config_read_groups(struct loader *loader, const config_setting_t *list,
                       const char *name, int most, config_reader read);
/* A setting that the table must have. */
int config_read_known(struct loader *loader, const config_setting_t *entry,
                      const char *group, const struct setting *table,
                      size_t count);

/* --- lists -----------------------------------------------------------------*/
int config_parse_template(struct loader *loader, const config_setting_t *where,
                          const char *text, unsigned allowed,
                          struct template *template);
int config_read_strings(struct loader *loader, const config_setting_t *list,
                        struct purge_strings *strings);
/* "Name: value" */
int config_read_headers(struct loader *loader, const config_setting_t *list,
                        unsigned allowed, struct purge_templates *headers);
/* "/..." */
int config_read_paths(struct loader *loader, const config_setting_t *list,
                      unsigned allowed, struct purge_templates *paths);
int config_read_statuses(struct loader *loader, const config_setting_t *list,
                         struct purge_edge *edge);
/* Names that `find` knows, as bits. */
int config_read_names(struct loader *loader, const config_setting_t *list,
                      const struct purge_config *config,
                      long (*find)(const struct purge_config *, const char *),
                      uint64_t *bits);

#endif
