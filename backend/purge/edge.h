/*
 * Private to purge/: the thread of one edge.
 */
#ifndef PURGE_EDGE_H
#define PURGE_EDGE_H

#include "purge/config.h"

struct edge;
/* Starts it. `stop_fd` readable: it begins nothing more, waits for what is on
 * its way, and ends. NULL: it cannot be started, and why was logged. */
struct edge *edge_start(const struct purge_config *config, size_t index,
                        int stop_fd);
void edge_join(struct edge *edge); /* NULL is allowed */

#endif
