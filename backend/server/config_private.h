/*
 * Private to config*.c: s3d.conf on top of settings/.
 */
#ifndef SERVER_CONFIG_PRIVATE_H
#define SERVER_CONFIG_PRIVATE_H

#include "server/server.h"
#include "settings/settings.h"

static inline struct server_config *config_of(const struct loader *loader)
{
    return loader->into;
}

/* --- events (config_events.c) ----------------------------------------------*/
int config_events_fallbacks(struct loader *loader);
int config_read_events(struct loader *loader, const config_setting_t *group);
void config_free_events(struct server_config *config);

#endif
