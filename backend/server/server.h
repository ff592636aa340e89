/*
 * The daemon: configuration, and a server that runs until it is told to stop.
 */
#ifndef SERVER_H
#define SERVER_H

#include "archive/archive.h"
#include "base/base.h"
#include "kv/kv.h"
#include <sys/types.h>

#define S3D_VERSION          "0.1.0"
#define SERVER_DRIVES_MAX    20
#define SERVER_PROVIDERS_MAX 16

struct server_drive_config {
    char *path;   /* absolute; "" is allowed if it was removed */
    char *domain; /* fault domain, "" for one of its own */
    bool removed; /* the entry keeps a number's place */
};

struct server_limits {
    uint64_t connections;        /* of workers; more are refused */
    uint64_t body_memory;        /* bytes of bodies on their way to drives */
    uint64_t control_pending;    /* under way on a control connection */
    uint64_t idle_timeout_s;     /* a connection without a request */
    uint64_t body_timeout_s;     /* a body of which nothing comes */
    uint64_t shutdown_timeout_s; /* for requests under way at SIGTERM */
};

struct server_vault_config {
    char *url; /* "": the keyring holds the keys of SSE-KMS too */
    char *mount;
    char *key; /* "": SSE-KMS without a key id is refused */
    char *token_file;
    char *ca_file; /* "": the system's */
    uint64_t timeout_s;
    uint64_t cache_s;
};

struct server_provider_config {
    char *issuer;   /* "https://idp.example.org/realm" */
    char *audience; /* that its tokens must be for */
    char *jwks;     /* file of its keys */
};

#define SERVER_TARGETS_MAX 64
/* Of events; a string that was not given is "". */
struct server_target_config {
    char *name;
    char *kind; /* "stream", "pubsub", "namespace" or "access" */
    char *redis;
    char *username;
    char *password_file;
    char *sentinel_username;
    char *sentinel_password_file;
    uint64_t database;
    char *key;
    uint64_t maxlen;
};
struct server_events_config {
    uint64_t limit;        /* bytes that wait for a target; 0: any number */
    uint64_t limit_events; /* 0: any number */
    char *overflow;        /* "block" or "drop" */
    struct server_target_config targets[SERVER_TARGETS_MAX];
    unsigned target_count;
};

struct server_care_config {
    uint64_t scrub_period_s;
    uint64_t scrub_rate, heal_rate; /* bytes a second */
    uint64_t heal_workers;
    uint64_t reclaim_rate; /* bytes a second */
    uint64_t reclaim_live; /* percent */
    uint64_t reclaim_interval_s;
    uint64_t rebalance_rate; /* bytes a second */
    uint64_t rebalance_band; /* percent */
};

struct server_slow_config {
    uint64_t hedge_ms; /* the least wait for a read; 0: reads wait */
    uint64_t timeout_s;
};

/* What conf/s3d.conf says; docs are in that file. Strings are never NULL but
 * where it is said. */
struct server_config {
    char *socket;
    uint64_t socket_mode;
    char *socket_group; /* "": the process's own */
    char *admin_socket;
    char *state; /* directory of the master key and the keyring */
    char *metadata[KV_MIRRORS_MAX]; /* directories of its mirrors */
    unsigned metadata_count;
    bool metadata_on_drives;    /* in directories of drives */
    uint64_t metadata_mirrors;  /* how many, on drives */
    uint64_t metadata_archives; /* on how many drives; 0: none */
    bool accept_lost_mirrors;   /* s3d -L: docs/mirrors.md */
    char *master_key;
    char *keyring;
    struct server_vault_config vault;
    char *region;
    char *log;        /* "": stderr */
    char *audit_log;  /* "": none is kept */
    char *change_log; /* the same */
    enum log_level log_level;
    uint64_t slow_request_ms; /* 0: none is logged as slow */
    uint64_t threads;
    uint64_t extent_size;      /* bytes */
    uint64_t reserve;          /* bytes, of each drive */
    uint64_t metadata_reserve; /* bytes */
    uint64_t hot_size;         /* bytes of the hot index; 0: none */
    uint64_t hot_slot;         /* bytes of a slot */
    uint64_t may_miss; /* shards of a chunk, when a write is acknowledged */
    struct server_slow_config slow;
    bool core_dumps;
    bool extensions;
    bool encrypt_by_default;     /* with SSE-S3 */
    uint64_t logging_interval_s; /* of access logs */
    struct server_limits limits;
    struct server_care_config care;
    struct server_events_config events;
    struct server_drive_config drives[SERVER_DRIVES_MAX];
    unsigned drive_count;
    struct server_provider_config providers[SERVER_PROVIDERS_MAX];
    unsigned provider_count;
};

/* Returns 0, or -EINVAL with "file:line: what is wrong" in `error`. */
int config_load(const char *path, struct server_config **config,
                struct buffer *error);
void config_free(struct server_config *config); /* NULL is allowed */

/*
 * Opens the cluster, serves until SIGTERM or SIGINT, closes everything.
 * SIGHUP reads `config_path` again. Takes over `config`. Call it once per
 * process, before any other use of libuv's pool. Returns the exit status: 0,
 * or 1 after an error that was logged, or SERVER_EXIT_NEWER.
 */
#define SERVER_EXIT_NEWER 3 /* a newer s3d wrote what is there */
int server_run(struct server_config *config, const char *config_path);

/*
 * s3d -R: makes the metadata anew from the drives, where there are none
 * (docs/durability.md), or from a backup, if `backup` is not NULL
 * (docs/backup.md); what it did goes to stdout, for people or as JSON. Takes
 * over `config`. Returns the exit status as above.
 */
struct backup_source; /* archive/backup.h */
int server_rebuild(struct server_config *config,
                   const struct backup_source *backup, bool json);
/* s3d -B: whether a backup is whole, and of what. As above. */
int server_check_backup(const struct backup_source *backup, bool json);

#endif
