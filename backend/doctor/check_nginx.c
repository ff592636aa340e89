/* nginx: its module, and the directives that matter to S3. */
#include "doctor/check.h"

#include <string.h>

#define BODY_TIMEOUT_MIN_MS 10000
#define KEEPALIVE_MIN       8

/* --- the tree --------------------------------------------------------------*/
static bool is_one_of(const char *name, const char *const names[])
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

/* The next directive that hands requests to s3d; NULL: no more. */
static const struct nginx_directive *next_pass(
    const struct nginx_directive *after)
{
    static const char *const names[] = {"s3_pass", "s3_static", "s3_website",
                                        NULL};
    do {
        after = nginx_conf_next(after);
    } while (after != NULL &&
             (!is_one_of(after->name, names) || after->word_count == 0 ||
              strcmp(after->words[0], "off") == 0));
    return after;
}

/* The upstream that a directive names; NULL: an address, or none. */
static const struct nginx_directive *upstream_of(
    const struct nginx_directive *conf, const struct nginx_directive *pass)
{
    const struct nginx_directive *at = conf;
    while ((at = nginx_conf_next(at)) != NULL) {
        if (strcmp(at->name, "upstream") == 0 && at->word_count == 1 &&
            strcmp(at->words[0], pass->words[0]) == 0) {
            return at;
        }
    }
    return NULL;
}

/* The Unix socket that requests go to; NULL: none. */
static const char *socket_of(const struct nginx_directive *conf,
                             const struct nginx_directive *pass)
{
    const struct nginx_directive *upstream = upstream_of(conf, pass);
    const struct nginx_directive *server =
        upstream != NULL ? nginx_conf_child(upstream, "server") : NULL;
    const char *address = upstream == NULL ? pass->words[0]
                          : server != NULL && server->word_count > 0
                              ? server->words[0]
                              : "";
    return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

/* The line that says why nginx does not start, or else the first one. */
static const char *reason_of(const char *said)
{
    const char *at = strstr(said, "[emerg]");
    while (at != NULL && at > said && at[-1] != '\n') {
        at--;
    }
    return at != NULL ? at : said;
}

/* Who may not read all of it cannot say whether it is valid. */
static void mend_conf(const struct doctor_facts *facts, json_t *findings,
                      const char *reason)
{
    if (!facts->is_root && strstr(reason, "Permission denied") != NULL) {
        doctor_mend(findings, "run s3ctl doctor as root");
    } else {
        doctor_mend(findings, "correct %s; `nginx -t` tests it",
                    facts->nginx.path);
    }
}

/* --- checks ----------------------------------------------------------------*/
static void check_conf(const struct doctor_facts *facts, json_t *findings)
{
    const struct doctor_nginx *nginx = &facts->nginx;
    if (nginx->path == NULL) {
        doctor_problem(findings, "there is no nginx");
        doctor_mend(findings, "apt install nginx libnginx-mod-http-s3; or name "
                              "its configuration with --nginx-conf");
    } else if (nginx->conf == NULL) {
        doctor_problem(findings, "%s", nginx->error);
        mend_conf(facts, findings, nginx->error);
    } else if (nginx->test != NULL) {
        const char *reason = reason_of(nginx->test);
        doctor_problem(findings, "nginx -t: %.*s", (int)strcspn(reason, "\n"),
                       reason);
        mend_conf(facts, findings, reason);
    }
}

/* Built in, it is not loaded, and its directives are known all the same. */
static void check_module(const struct doctor_facts *facts, json_t *findings)
{
    const struct doctor_nginx *nginx = &facts->nginx;
    if (nginx->module == NULL) {
        if (next_pass(nginx->conf) == NULL ||
            (nginx->test != NULL &&
             strstr(nginx->test, "unknown directive \"s3_") != NULL)) {
            doctor_problem(findings, "nginx does not load the module");
            doctor_mend(findings,
                        "at the top of %s: load_module "
                        "modules/ngx_http_s3_module.so;",
                        nginx->path);
        }
    } else if (nginx->module_error != 0) {
        doctor_problem(findings, "%s: %s", nginx->module,
                       strerror(nginx->module_error));
        doctor_mend(findings, "apt install libnginx-mod-http-s3, or correct "
                              "load_module");
    } else if (!nginx->module_matches) {
        doctor_problem(findings,
                       "%s speaks another version of the protocol "
                       "than this s3ctl",
                       nginx->module);
        doctor_mend(findings, "install the same version of module and s3d, and "
                              "start nginx again");
    }
}

static void check_blocks(const struct doctor_facts *facts, json_t *findings)
{
    const struct nginx_directive *conf = facts->nginx.conf;
    const struct nginx_directive *pass = next_pass(conf);
    if (pass == NULL) {
        doctor_problem(findings, "no location has s3_pass, s3_static or "
                                 "s3_website");
        doctor_mend(findings,
                    "include conf/nginx.conf of s3d in the http "
                    "block of %s",
                    facts->nginx.path);
    }
    for (; pass != NULL; pass = next_pass(pass)) {
        const char *socket = socket_of(conf, pass);
        if (facts->config != NULL && socket != NULL &&
            strcmp(socket, facts->config->socket) != 0) {
            doctor_problem(findings, "%s:%u: %s goes to %s, s3d listens on %s",
                           pass->file, pass->line, pass->name, socket,
                           facts->config->socket);
            doctor_mend(findings, "server unix:%s; in the upstream %s",
                        facts->config->socket, pass->words[0]);
        }
    }
}

/* Where s3_pass stands, nginx's default of 1m is lifted; what is written is
 * in force. */
static void check_uploads(const struct doctor_facts *facts, json_t *findings)
{
    const struct nginx_directive *pass = next_pass(facts->nginx.conf);
    for (; pass != NULL; pass = next_pass(pass)) {
        const struct nginx_directive *size =
            nginx_conf_effective(pass->parent, "client_max_body_size");
        uint64_t bytes = 0;
        if (strcmp(pass->name, "s3_pass") != 0 || size == NULL ||
            size->word_count != 1 || !nginx_conf_size(size->words[0], &bytes) ||
            bytes == 0 || bytes == 1 << 20 || bytes >= UINT64_C(5) << 30) {
            continue;
        }
        doctor_warning(findings,
                       "%s:%u: client_max_body_size %s refuses "
                       "larger uploads, of which S3 allows 5g",
                       size->file, size->line, size->words[0]);
        doctor_mend(findings, "client_max_body_size 0; beside %s in %s:%u",
                    pass->name, pass->file, pass->line);
    }
}

/* `least` in milliseconds. */
static void check_time(const struct nginx_directive *pass, const char *name,
                       uint64_t least, const char *why, json_t *findings)
{
    const struct nginx_directive *time =
        nginx_conf_effective(pass->parent, name);
    uint64_t ms;
    if (time != NULL && time->word_count == 1 &&
        nginx_conf_time(time->words[0], &ms) && ms < least) {
        doctor_warning(findings, "%s:%u: %s %s: %s", time->file, time->line,
                       name, time->words[0], why);
        doctor_mend(findings, "%s %llus; or more", name,
                    (unsigned long long)(least / 1000));
    }
}

static void check_timeouts(const struct doctor_facts *facts, json_t *findings)
{
    const uint64_t drive_ms = facts->config->slow.timeout_s * 1000;
    const struct nginx_directive *pass = next_pass(facts->nginx.conf);
    for (; pass != NULL; pass = next_pass(pass)) {
        check_time(pass, "client_body_timeout", BODY_TIMEOUT_MIN_MS,
                   "clients on slow lines cannot upload", findings);
        check_time(pass, "s3_read_timeout", drive_ms + 5000,
                   "nginx gives up before s3d has left a slow drive alone",
                   findings);
        check_time(pass, "s3_send_timeout", drive_ms + 5000,
                   "nginx gives up before s3d has left a slow drive alone",
                   findings);
    }
}

/* "auto": as many as there are processors, which is no matter here. */
static uint64_t workers_of(const struct nginx_directive *conf)
{
    const struct nginx_directive *workers =
        nginx_conf_child(conf, "worker_processes");
    uint64_t count;
    return workers != NULL && workers->word_count == 1 &&
                   nginx_conf_size(workers->words[0], &count)
               ? count
               : 1;
}

static void check_keepalive(const struct doctor_facts *facts, json_t *findings)
{
    const struct nginx_directive *conf = facts->nginx.conf;
    const struct nginx_directive *at = conf, *told = NULL;
    const uint64_t limit = facts->config->limits.connections;
    while ((at = next_pass(at)) != NULL) {
        const struct nginx_directive *upstream = upstream_of(conf, at);
        const struct nginx_directive *keepalive =
            upstream != NULL ? nginx_conf_child(upstream, "keepalive") : NULL;
        uint64_t count = 0;
        if (upstream == told && told != NULL) {
            continue;
        }
        told = upstream;
        if (keepalive != NULL && keepalive->word_count > 0) {
            nginx_conf_size(keepalive->words[0], &count);
        }
        if (count < KEEPALIVE_MIN) {
            doctor_warning(findings, "%s:%u: each request connects to s3d anew",
                           at->file, at->line);
            doctor_mend(findings, "keepalive 64; in upstream %s", at->words[0]);
        } else if (count * workers_of(conf) > limit) {
            doctor_warning(findings,
                           "%s:%u: idle connections of %llu workers "
                           "may take all %llu that s3d accepts",
                           keepalive->file, keepalive->line,
                           (unsigned long long)workers_of(conf),
                           (unsigned long long)limit);
            doctor_mend(findings,
                        "a lower keepalive, or a higher "
                        "limits.connections in %s",
                        facts->config_path);
        }
    }
}

static void check_sendfile(const struct doctor_facts *facts, json_t *findings)
{
    const struct nginx_directive *pass = next_pass(facts->nginx.conf);
    for (; pass != NULL; pass = next_pass(pass)) {
        const struct nginx_directive *sendfile =
            nginx_conf_effective(pass->parent, "sendfile");
        if (sendfile == NULL || sendfile->word_count != 1 ||
            strcmp(sendfile->words[0], "on") != 0) {
            doctor_warning(findings,
                           "%s:%u: without sendfile every byte is "
                           "copied through nginx",
                           pass->file, pass->line);
            doctor_mend(findings, "sendfile on; in that server");
        }
    }
}

static void check_user(const struct doctor_facts *facts, json_t *findings)
{
    const struct doctor_user *user = &facts->nginx.user;
    if (!user->known) {
        doctor_problem(findings,
                       "there is no user %s, as whom nginx's workers "
                       "are to run",
                       user->name);
        doctor_mend(findings, "user www-data; at the top of %s",
                    facts->nginx.path);
    } else if (user->uid == 0) {
        doctor_warning(findings, "nginx's workers, which face the internet, "
                                 "run as root");
        doctor_mend(findings, "user www-data; at the top of %s",
                    facts->nginx.path);
    }
}

const struct doctor_check doctor_nginx_checks[] = {
    {"nginx", "its configuration is valid", 0, check_conf},
    {"module", "nginx loads the module, of this version", NEEDS_NGINX,
     check_module},
    {"locations", "requests go to s3d's socket", NEEDS_NGINX, check_blocks},
    {"uploads", "large bodies are let in", NEEDS_NGINX, check_uploads},
    {"timeouts", "nginx waits for clients and for s3d",
     NEEDS_CONFIG | NEEDS_NGINX, check_timeouts},
    {"keepalive", "connections to s3d are used again, and are enough",
     NEEDS_CONFIG | NEEDS_NGINX, check_keepalive},
    {"sendfile", "objects go from disk to socket without a copy", NEEDS_NGINX,
     check_sendfile},
    {"worker user", "nginx's workers run as a user of their own", NEEDS_NGINX,
     check_user},
    {NULL, NULL, 0, NULL},
};
