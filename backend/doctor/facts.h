/*
 * Private to doctor/: what was seen of the machine, for the checks to judge.
 * All of it is in the arena, but for the configuration and the status.
 */
#ifndef DOCTOR_FACTS_H
#define DOCTOR_FACTS_H

#include "doctor/doctor.h"
#include "doctor/nginx_conf.h"
#include "server/server.h"
#include <sys/types.h>

#define DOCTOR_GROUPS_MAX 128

struct doctor_file {
    const char *path; /* "": nothing is configured */
    int error;        /* errno of stat(2); 0: it is there */
    unsigned mode;    /* permissions only */
    uid_t uid;
    gid_t gid;
    uint64_t device;
};

struct doctor_user {
    const char *name;
    bool known; /* there is such a user */
    uid_t uid;
    gid_t groups[DOCTOR_GROUPS_MAX];
    int group_count;
};

struct doctor_drive {
    unsigned index;
    struct doctor_file directory;
    uint64_t disk;           /* device of the disk that it is a part of */
    const char *file_system; /* "ext4"; or its number in hex */
    bool read_only;
    uint64_t total, free; /* bytes */
    int identity;         /* 0, or what drive_identify() said */
    uint64_t newest_ms;   /* last change of what is in it; 0: nothing */
    const char *closed;   /* what nginx's user may not pass; NULL: none */
};

struct doctor_target {
    const char *name;
    const char *error; /* NULL: it answers */
};

struct doctor_nginx {
    const char *path;             /* of nginx.conf; NULL: there is no nginx */
    struct nginx_directive *conf; /* NULL: it could not be read */
    const char *error;            /* why */
    const char *test;             /* what `nginx -t` said; NULL: it is fine */
    struct doctor_user user;      /* of the workers */
    const char *closed;  /* on the way to s3d's socket; NULL: it is open */
    const char *module;  /* that is loaded; NULL: none, or built in */
    int module_error;    /* errno of reading it */
    bool module_matches; /* it speaks this program's protocol */
};

struct doctor_facts {
    const char *config_path;
    struct server_config *config; /* NULL: it cannot be read */
    const char *config_error;

    const char *socket; /* the admin socket that was asked */
    json_t *status;     /* of s3d; NULL: it does not answer */
    int status_error;   /* errno */

    struct doctor_file config_file, state, master_key, keyring;
    struct doctor_file worker_socket, admin_socket;
    struct doctor_file secrets[2 * SERVER_TARGETS_MAX + 1]; /* of others */
    unsigned secret_count;

    struct doctor_drive drives[SERVER_DRIVES_MAX]; /* not the removed ones */
    unsigned drive_count;
    uint64_t root_device;

    bool is_root; /* who looks */
    uint64_t now_ms;
    bool clock_synchronized;
    uint64_t memory;       /* bytes of RAM */
    int64_t locked_memory; /* bytes that s3d may lock; -1: not known */

    struct doctor_target targets[SERVER_TARGETS_MAX];
    unsigned target_count;

    struct doctor_nginx nginx;
};

/* Looks at everything. doctor_facts_free() comes after. */
void doctor_look(struct arena *arena, const struct doctor_options *options,
                 struct doctor_facts *facts);
void doctor_facts_free(struct doctor_facts *facts);

/* --- look_*.c --------------------------------------------------------------*/
void doctor_look_at_file(const char *path, struct doctor_file *file);
void doctor_look_at_user(struct arena *arena, const char *name,
                         struct doctor_user *user);
void doctor_look_at_drives(struct arena *arena, struct doctor_facts *facts);
void doctor_look_at_targets(struct arena *arena, struct doctor_facts *facts);
void doctor_look_at_nginx(struct arena *arena,
                          const struct doctor_options *options,
                          struct doctor_facts *facts);
/* What of the path the user may not pass, or not use so at its end; `bits` as
 * of a mode: 4 read, 2 write. NULL: nothing. */
const char *doctor_closed(struct arena *arena, const struct doctor_user *user,
                          const char *path, unsigned bits);

/* Whether the permissions let the user do that: pure. */
bool doctor_may(const struct doctor_user *user, const struct doctor_file *file,
                unsigned bits);

#endif
