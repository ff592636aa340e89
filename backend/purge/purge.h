/*
 * Purging: caches forget what has changed.
 *
 * An agent follows the stream that a target of s3d writes (docs/events.md) and
 * sends requests to the configured edges until each has confirmed them.
 * docs/purge.md is what it promises, conf/purge.conf its configuration.
 */
#ifndef PURGE_H
#define PURGE_H

#include "base/base.h"
#include <jansson.h>

/* Reads the configuration and says what is wrong with it: 0, or -EINVAL with
 * "file:line: what" in `error`. */
int purge_check(const char *config_path, struct buffer *error);

/* Runs until SIGTERM or SIGINT, which it blocks in all threads; what is on its
 * way to an edge is waited for. 0, or an error as above. Call it once. */
int purge_run(const char *config_path, struct buffer *error);

/* What Redis knows of the agent, whether or not it runs: {"edges": [...]}.
 * -EINVAL: the configuration; -EHOSTUNREACH: Redis. Both in words. */
int purge_status(const char *config_path, json_t **status,
                 struct buffer *error);

#endif
