/*
 * Private to purge/: what conf/purge.conf says.
 */
#ifndef PURGE_CONFIG_H
#define PURGE_CONFIG_H

#include "purge/template.h"
#include "redis/redis.h"

#define PURGE_EDGES_MAX     64
#define PURGE_TEMPLATES_MAX 64
#define PURGE_RULES_MAX     256
#define PURGE_LIST_MAX      32   /* strings of one setting */
#define PURGE_TEXT_MAX      2048 /* bytes of a string */
#define PURGE_NAME_MAX      64

#define PURGE_PASSWORD_ENV "S3CTL_REDIS_PASSWORD"

struct purge_strings {
    char *list[PURGE_LIST_MAX];
    size_t count;
};
struct purge_templates {
    struct template list[PURGE_LIST_MAX];
    size_t count;
};

struct purge_edge {
    char *name;
    char *url;         /* "http://host": without a slash at its end */
    char *connect;     /* "HOST:PORT" instead of the url's; "": none */
    char *ca_file;     /* "": the system's */
    char *secret_file; /* "": none */
    struct purge_templates headers; /* of every request; ${secret} alone */
    uint64_t connections;
    uint64_t timeout_s;
    uint64_t again_s; /* each request is repeated after so long; 0: not */
    unsigned confirmed[PURGE_LIST_MAX]; /* statuses */
    size_t confirmed_count;
};

struct purge_template {
    char *name;
    char *method;
    char *url_text; /* as it was written */
    struct template url;
    struct purge_templates headers; /* "Name: value" */
    unsigned uses;                  /* of the url and the headers */
};

/* Who is told what of keys of `bucket` that begin with `prefix`. */
struct purge_rule {
    char *bucket; /* "*": any */
    char *prefix;
    struct purge_templates paths;
    struct purge_strings index;    /* names */
    struct purge_strings suffixes; /* of precompressed forms */
    uint64_t edges;                /* bit of each; 1 << index */
    uint64_t templates;
};

struct purge_config {
    struct redis_place redis;
    char *address, *username, *password_file; /* "": none */
    char *sentinel_username, *sentinel_password_file;
    char *stream;
    char *group; /* of consumers: "GROUP:EDGE" */
    uint64_t database;
    char *log; /* "": stderr */
    enum log_level log_level;
    uint64_t window; /* requests in memory, of an edge */
    uint64_t retry_max_s;
    struct purge_edge edges[PURGE_EDGES_MAX];
    size_t edge_count;
    struct purge_template templates[PURGE_TEMPLATES_MAX];
    size_t template_count;
    struct purge_rule rules[PURGE_RULES_MAX];
    size_t rule_count;
};

/* Returns 0, or -EINVAL with "file:line: what is wrong" in `error`. */
int purge_config_load(const char *path, struct purge_config **config,
                      struct buffer *error);
void purge_config_free(struct purge_config *config); /* NULL is allowed */

#endif
