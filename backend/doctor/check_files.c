/* The configuration, keys and secrets, sockets, what nginx may read. */
#include "doctor/check.h"

#include <errno.h>
#include <string.h>

#define GROUP_WRITES  0020u
#define OTHERS        0007u
#define OTHERS_WRITE  0002u
#define ALL_BUT_OWNER 0077u

static void check_config(const struct doctor_facts *facts, json_t *findings)
{
    if (facts->config == NULL) {
        doctor_problem(findings, "%s", facts->config_error);
        doctor_mend(findings, "correct %s; `s3d -t -c %s` tests it",
                    facts->config_path, facts->config_path);
        return;
    }
    if ((facts->config_file.mode & OTHERS_WRITE) != 0) {
        doctor_problem(findings, "everybody may change %s", facts->config_path);
        doctor_mend(findings, "chmod o-w %s", facts->config_path);
    }
}

/* --- keys ------------------------------------------------------------------*/
static bool holds_objects(const struct doctor_facts *facts)
{
    for (unsigned i = 0; i < facts->drive_count; i++) {
        if (facts->drives[i].directory.error == 0 &&
            facts->drives[i].identity == 0) {
            return true;
        }
    }
    return false;
}

static void check_key(const struct doctor_facts *facts, json_t *findings,
                      const struct doctor_file *file, const char *loses)
{
    if (file->error == ENOENT && holds_objects(facts)) {
        doctor_problem(findings, "%s is missing: %s", file->path, loses);
        doctor_mend(findings, "bring it back from where a copy is kept, before "
                              "s3d starts again and makes another one");
    } else if (file->error != 0 && file->error != ENOENT) {
        doctor_warning(findings, "%s cannot be looked at: %s", file->path,
                       strerror(file->error));
        doctor_mend(findings, "run s3ctl doctor as root");
    } else if (file->error == 0 && (file->mode & ALL_BUT_OWNER) != 0) {
        doctor_problem(findings, "others than its owner may use %s (mode %04o)",
                       file->path, file->mode);
        doctor_mend(findings, "chmod 0600 %s", file->path);
    }
}

static void check_keys(const struct doctor_facts *facts, json_t *findings)
{
    check_key(facts, findings, &facts->master_key,
              "without it no access key works");
    check_key(facts, findings, &facts->keyring,
              "without it nothing that is encrypted can be read");
}

static void check_secrets(const struct doctor_facts *facts, json_t *findings)
{
    for (unsigned i = 0; i < facts->secret_count; i++) {
        const struct doctor_file *file = &facts->secrets[i];
        if (file->error != 0) {
            doctor_problem(findings, "%s: %s", file->path,
                           strerror(file->error));
            doctor_mend(findings, "write the secret to it, readable by s3d's "
                                  "user only");
        } else if ((file->mode & OTHERS) != 0) {
            doctor_problem(findings, "everybody may use %s (mode %04o)",
                           file->path, file->mode);
            doctor_mend(findings, "chmod o= %s; then change the secret",
                        file->path);
        }
    }
}

static void check_state(const struct doctor_facts *facts, json_t *findings)
{
    const struct doctor_file *state = &facts->state;
    if (state->error != 0) {
        doctor_problem(findings, "%s: %s", state->path, strerror(state->error));
        doctor_mend(findings, "install -d -o s3d -g s3d -m 0750 %s",
                    state->path);
    } else if ((state->mode & (OTHERS_WRITE | GROUP_WRITES)) != 0) {
        doctor_problem(findings,
                       "others than its owner may write to %s (mode "
                       "%04o): the keys are in it",
                       state->path, state->mode);
        doctor_mend(findings, "chmod go-w %s", state->path);
    }
}

/* --- sockets ---------------------------------------------------------------*/
static void check_sockets(const struct doctor_facts *facts, json_t *findings)
{
    const struct doctor_file *admin = &facts->admin_socket;
    const struct doctor_file *worker = &facts->worker_socket;
    if (admin->error == 0 && (admin->mode & ALL_BUT_OWNER) != 0) {
        doctor_problem(findings,
                       "others may open %s: who can may do "
                       "everything",
                       admin->path);
        doctor_mend(findings, "chmod 0600 %s", admin->path);
    }
    if (worker->error == 0 && (worker->mode & OTHERS) != 0) {
        doctor_problem(findings,
                       "everybody may open %s, and so act with the "
                       "rights of any access key",
                       worker->path);
        doctor_mend(findings,
                    "socket_mode = \"0660\" in %s, and start s3d "
                    "again",
                    facts->config_path);
    }
    if (worker->error == 0 && facts->nginx.closed != NULL) {
        doctor_problem(findings,
                       "nginx's workers (user %s) may not open %s: "
                       "%s stops them",
                       facts->nginx.user.name, worker->path,
                       facts->nginx.closed);
        doctor_mend(findings,
                    "adduser %s s3d, or socket_group in %s; then "
                    "start nginx again",
                    facts->nginx.user.name, facts->config_path);
    }
}

/* --- extents ---------------------------------------------------------------*/
static void check_extents(const struct doctor_facts *facts, json_t *findings)
{
    if (!facts->nginx.user.known) {
        return; /* the check of workers says so */
    }
    for (unsigned i = 0; i < facts->drive_count; i++) {
        if (facts->drives[i].closed != NULL) {
            doctor_warning(findings,
                           "nginx's workers (user %s) may not read "
                           "drive %u: %s stops them, and s3d sends "
                           "every byte itself",
                           facts->nginx.user.name, facts->drives[i].index,
                           facts->drives[i].closed);
            doctor_mend(findings,
                        "adduser %s s3d, and a UMask of s3d's that "
                        "lets the group read (0027); then start "
                        "nginx again",
                        facts->nginx.user.name);
        }
    }
}

const struct doctor_check doctor_file_checks[] = {
    {"configuration", "s3d.conf is read, and nobody else may change it", 0,
     check_config},
    {"keys", "master key and keyring are there, and private", NEEDS_CONFIG,
     check_keys},
    {"secrets", "files of passwords and tokens are private", NEEDS_CONFIG,
     check_secrets},
    {"state", "the directory of the keys is there, and s3d's alone",
     NEEDS_CONFIG, check_state},
    {"sockets", "nginx may open s3d's socket, and nobody else", NEEDS_CONFIG,
     check_sockets},
    {"extents", "nginx's workers may read the drives",
     NEEDS_CONFIG | NEEDS_NGINX, check_extents},
    {NULL, NULL, 0, NULL},
};
