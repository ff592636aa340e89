/*
 * The doctor's checks on made-up facts: a healthy machine has nothing found,
 * and each ailment is found by the check that it is for, which says how to
 * mend it.
 */
#include "doctor/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_MS UINT64_C(1800000000000)

static const char healthy_nginx[] =
    "user www-data;\nworker_processes 4;\n"
    "load_module modules/ngx_http_s3_module.so;\n"
    "http {\n sendfile on;\n"
    " upstream s3d { server unix:/run/s3d/s3d.sock; keepalive 64; }\n"
    " server { location / { s3_pass s3d; } }\n}\n";

struct machine {
    struct arena *arena;
    struct doctor_facts facts;
};

/* --- a healthy machine -----------------------------------------------------*/
static struct nginx_directive *parse(struct arena *arena, const char *text)
{
    char path[] = "/tmp/doctor-nginx-XXXXXX";
    struct buffer error = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct nginx_directive *conf = nginx_conf_read(arena, path, &error);
    unlink(path);
    assert_int_equal(error.size, 0);
    return conf;
}

static struct server_config *load_config(void)
{
    static const char text[] =
        "state = \"/var/lib/s3d\"; drives = ( { path = \"/srv/0\"; },"
        " { path = \"/srv/1\"; }, { path = \"/srv/2\"; }, { path = \"/srv/3\"; "
        "},"
        " { path = \"/srv/4\"; }, { path = \"/srv/5\"; } );\n";
    char path[] = "/tmp/doctor-config-XXXXXX";
    struct server_config *config;
    struct buffer error = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1),
                     (ssize_t)sizeof(text) - 1);
    close(fd);
    assert_int_equal(config_load(path, &config, &error), 0);
    unlink(path);
    return config;
}

static struct doctor_file file_of(const char *path, unsigned mode)
{
    return (struct doctor_file){
        .path = path, .mode = mode, .uid = 900, .gid = 900, .device = 7};
}

static void add_drives(struct doctor_facts *facts)
{
    facts->root_device = 1;
    facts->drive_count = facts->config->drive_count;
    for (unsigned i = 0; i < facts->drive_count; i++) {
        facts->drives[i] = (struct doctor_drive){
            .index = i,
            .directory = file_of(facts->config->drives[i].path, 0750),
            .disk = 100 + i,
            .file_system = "ext4",
            .total = UINT64_C(1) << 40,
            .free = UINT64_C(1) << 39,
            .newest_ms = NOW_MS - 1000,
        };
        facts->drives[i].directory.device = 100 + i;
    }
}

static int make_machine(void **state)
{
    static struct machine machine;
    struct doctor_facts *facts = &machine.facts;
    machine.arena = arena_new();
    *facts = (struct doctor_facts){
        .config_path = "/etc/s3d/s3d.conf",
        .config = load_config(),
        .socket = "/run/s3d/admin.sock",
        .config_file = file_of("/etc/s3d/s3d.conf", 0644),
        .state = file_of("/var/lib/s3d", 0750),
        .master_key = file_of("/var/lib/s3d/master.key", 0600),
        .keyring = file_of("/var/lib/s3d/keyring", 0600),
        .worker_socket = file_of("/run/s3d/s3d.sock", 0660),
        .admin_socket = file_of("/run/s3d/admin.sock", 0600),
        .now_ms = NOW_MS,
        .clock_synchronized = true,
        .memory = UINT64_C(8) << 30,
        .locked_memory = 8 << 20,
        .nginx = {.path = "/etc/nginx/nginx.conf",
                  .conf = parse(machine.arena, healthy_nginx),
                  .user = {.name = "www-data", .known = true, .uid = 33},
                  .module = "/usr/lib/nginx/modules/ngx_http_s3_module.so",
                  .module_matches = true},
    };
    facts->status = json_pack(
        "{s:s,s:[{s:s,s:s}],s:{s:b,s:[{s:s,s:s}]},s:{s:i},s:{s:[{s:f}],s:[{s:f}"
        "]}}",
        "version", S3D_VERSION, "drives", "state", "ok", "directory", "/srv/0",
        "metadata", "read_only", 0, "mirrors", "state", "member", "directory",
        "/srv/0/metadata", "connections", "control", 2, "metrics",
        "s3d_open_files_limit", "value", 65536.0, "s3d_open_files", "value",
        100.0);
    assert_non_null(facts->status);
    add_drives(facts);
    *state = &machine;
    return 0;
}

static int free_machine(void **state)
{
    struct machine *machine = *state;
    doctor_facts_free(&machine->facts);
    arena_free(machine->arena);
    return 0;
}

/* --- what is found ---------------------------------------------------------*/
/* "check level: what" of each finding, a line each. */
static const char *findings_of(const struct doctor_facts *facts)
{
    static char text[4096];
    json_t *report = doctor_judge(facts), *check, *finding;
    size_t at = 0, i, k;
    text[0] = '\0';
    json_array_foreach(json_object_get(report, "checks"), i, check)
    {
        json_array_foreach(json_object_get(check, "findings"), k, finding)
        {
            const char *mend =
                json_string_value(json_object_get(finding, "mend"));
            assert_non_null(mend);
            assert_true(strlen(mend) > 0);
            at += (size_t)snprintf(
                text + at, sizeof(text) - at, "%s %s: %s\n",
                json_string_value(json_object_get(check, "check")),
                json_string_value(json_object_get(finding, "level")),
                json_string_value(json_object_get(finding, "what")));
        }
    }
    json_decref(report);
    return text;
}

static void assert_found(const struct doctor_facts *facts, const char *begin,
                         const char *part)
{
    const char *found = findings_of(facts);
    const char *line = strstr(found, begin);
    if (line == NULL || strstr(line, part) == NULL) {
        fail_msg("no \"%s\" with \"%s\" in:\n%s", begin, part, found);
    }
}

static void assert_mend(const struct doctor_facts *facts, const char *name,
                        const char *mend)
{
    json_t *report = doctor_judge(facts), *check;
    size_t i;
    json_array_foreach(json_object_get(report, "checks"), i, check)
    {
        if (strcmp(json_string_value(json_object_get(check, "check")), name) ==
            0) {
            const json_t *finding =
                json_array_get(json_object_get(check, "findings"), 0);
            assert_string_equal(
                json_string_value(json_object_get(finding, "mend")), mend);
        }
    }
    json_decref(report);
}

static void test_healthy(void **state)
{
    struct machine *machine = *state;
    assert_string_equal(findings_of(&machine->facts), "");
}

/* --- ailments --------------------------------------------------------------*/
static void test_files(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    facts->config_file.mode = 0666;
    facts->master_key.mode = 0640;
    facts->keyring.error = ENOENT;
    facts->state.mode = 0770;
    facts->admin_socket.mode = 0666;
    facts->worker_socket.mode = 0666;
    facts->nginx.closed = "/run/s3d";
    facts->drives[3].closed = "/srv/3";
    facts->secrets[0] = file_of("/etc/s3d/redis-password", 0644);
    facts->secret_count = 1;
    assert_found(facts, "configuration problem", "everybody may change");
    assert_found(facts, "keys problem: others", "master.key (mode 0640)");
    assert_found(facts, "keys problem: /var/lib/s3d/keyring", "is missing");
    assert_found(facts, "state problem", "mode 0770");
    assert_found(facts, "sockets problem: others", "admin.sock");
    assert_found(facts, "sockets problem: everybody", "s3d.sock");
    assert_found(facts, "sockets problem: nginx's", "/run/s3d stops them");
    assert_found(facts, "extents warning", "drive 3: /srv/3 stops them");
    assert_found(facts, "secrets problem", "redis-password (mode 0644)");
}

static void test_no_keys_of_a_new_cluster(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    facts->master_key.error = facts->keyring.error = ENOENT;
    for (unsigned i = 0; i < facts->drive_count; i++) {
        facts->drives[i].identity = -ENOENT;
    }
    assert_string_equal(findings_of(facts), "");
}

static void test_drives(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    facts->drives[0].directory.error = ENOENT;
    facts->drives[1].read_only = true;
    facts->drives[2].directory.uid = 0;
    facts->drives[3].identity = -EBADMSG;
    facts->drives[4].disk = facts->drives[3].disk;
    facts->drives[5].directory.device = facts->root_device;
    assert_found(facts, "directories problem: drive 0", "No such file");
    assert_found(facts, "directories problem: drive 1", "read-only");
    assert_found(facts, "directories problem: drive 2", "another user");
    assert_found(facts, "format problem: drive 3", "identity is damaged");
    assert_found(facts, "devices warning: drives 3 and 4", "one disk");
    assert_found(facts, "devices warning: drive 5", "root file system");
}

static void test_space(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    facts->drives[0].free = facts->config->reserve;
    facts->drives[1].free = facts->config->reserve + (UINT64_C(50) << 30);
    facts->drives[2].file_system = "tmpfs";
    facts->drives[3].file_system = "nfs";
    assert_found(facts, "space problem: drive 0", "is full");
    assert_found(facts, "space warning: drive 1", "nearly full: 4% are free");
    assert_found(facts, "file systems problem: drive 2", "tmpfs is memory");
    assert_found(facts, "file systems warning: drive 3", "nfs is on a network");
}

static void test_redundancy(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    facts->drive_count = 1;
    assert_found(facts, "redundancy warning", "there is 1 drive");
    facts->drive_count = 6;
    while (facts->config->metadata_count > 1) {
        free(facts->config->metadata[--facts->config->metadata_count]);
    }
    assert_found(facts, "redundancy warning", "have 1 mirror:");
}

static void test_clock(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    facts->clock_synchronized = false;
    assert_found(facts, "clock warning", "nothing keeps the clock right");
    facts->drives[2].newest_ms = NOW_MS + 120000;
    assert_found(facts, "clock problem", "drive 2 was changed at");
    facts->now_ms = 0;
    assert_found(facts, "clock problem", "the clock says 1970-01-01");
}

static void test_limits(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    json_t *metrics = json_object_get(facts->status, "metrics");
    facts->locked_memory = 0;
    facts->memory = UINT64_C(400) << 20;
    json_object_set_new(metrics, "s3d_open_files_limit",
                        json_pack("[{s:f}]", "value", 1024.0));
    assert_found(facts, "locked memory warning", "may lock 0 bytes");
    assert_found(facts, "memory warning", "80% of the memory");
    assert_found(facts, "open files warning", "may open 1024 files");
    json_object_set_new(metrics, "s3d_open_files",
                        json_pack("[{s:f}]", "value", 1000.0));
    facts->memory = UINT64_C(100) << 20;
    assert_found(facts, "open files problem", "1000 of 1024");
    assert_found(facts, "memory problem", "320% of the memory");
}

static void test_s3d(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    json_t *status = facts->status;
    json_t *metadata = json_object_get(status, "metadata");
    json_object_set_new(status, "version", json_string("9.9"));
    json_object_set_new(status, "connections",
                        json_pack("{s:i}", "control", 0));
    json_object_set_new(metadata, "read_only", json_true());
    json_object_set_new(json_array_get(json_object_get(metadata, "mirrors"), 0),
                        "state", json_string("stale"));
    json_object_set_new(json_array_get(json_object_get(status, "drives"), 0),
                        "state", json_string("failed"));
    facts->targets[0] = (struct doctor_target){"thumbs", "Connection refused"};
    facts->target_count = 1;
    assert_found(facts, "versions warning", "s3d is 9.9");
    assert_found(facts, "workers warning", "no worker");
    assert_found(facts, "mirrors problem: the metadata take", "no changes");
    assert_found(facts, "mirrors problem: the metadata's", "is stale");
    assert_found(facts, "drives problem", "/srv/0, is failed");
    assert_found(facts, "events problem", "thumbs: Connection refused");
}

static void test_nothing_is_there(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    config_free(facts->config);
    json_decref(facts->status);
    facts->config = NULL;
    facts->config_error = "s3d.conf:3: unknown setting x";
    facts->status = NULL;
    facts->status_error = ENOENT;
    facts->nginx = (struct doctor_nginx){0};
    assert_string_equal(
        findings_of(facts),
        "configuration problem: s3d.conf:3: unknown setting x\n"
        "s3d problem: s3d on /run/s3d/admin.sock: No such file or directory\n"
        "nginx problem: there is no nginx\n");
}

/* --- nginx -----------------------------------------------------------------*/
static void test_module(void **state)
{
    struct doctor_nginx *nginx = &((struct machine *)*state)->facts.nginx;
    const struct doctor_facts *facts = &((struct machine *)*state)->facts;
    nginx->module_matches = false;
    assert_found(facts, "module problem", "another version");
    nginx->module_error = ENOENT;
    assert_found(facts, "module problem", "No such file");
    nginx->module = NULL;
    nginx->test = "nginx: [emerg] unknown directive \"s3_zone\" in x:1\nmore";
    assert_found(facts, "module problem", "does not load the module");
    assert_found(facts, "nginx problem",
                 "unknown directive \"s3_zone\" in x:1");
    nginx->user.uid = 0;
    assert_found(facts, "worker user warning", "run as root");
    nginx->user.known = false;
    assert_found(facts, "worker user problem", "no user www-data");
}

/* Of all that nginx says, what stops it; and who may not look is told so. */
static void test_nginx_conf(void **state)
{
    struct doctor_facts *facts = &((struct machine *)*state)->facts;
    facts->nginx.test = "nginx: [alert] could not open error log\n"
                        "2026/01/02 [warn] 1#1: \"user\" is ignored\n"
                        "2026/01/02 [emerg] 1#1: open() \"/k\" failed (13: "
                        "Permission denied)\nnginx: test failed\n";
    assert_found(facts, "nginx problem: nginx -t: 2026/01/02 [emerg]",
                 "Permission denied)\n");
    assert_mend(facts, "nginx", "run s3ctl doctor as root");
    facts->is_root = true;
    assert_mend(facts, "nginx",
                "correct /etc/nginx/nginx.conf; `nginx -t` tests it");
    facts->nginx.test = "nginx: it fails\nmore";
    assert_found(facts, "nginx problem: nginx -t: nginx: it fails\n", "");
}

static void test_directives(void **state)
{
    static const struct {
        const char *conf, *begin, *part;
    } cases[] = {
        {"http { }", "locations problem", "no location has s3_pass"},
        {"http { sendfile on; server { location / { s3_pass unix:/other; } } }",
         "locations problem", "goes to /other, s3d listens on /run/s3d"},
        {"http { upstream u { server unix:/other; keepalive 64; } sendfile on;"
         " server { location / { s3_static u bucket; } } }",
         "locations problem", "s3_static goes to /other"},
        {"http { client_max_body_size 10m; server { location / {"
         " s3_pass unix:/run/s3d/s3d.sock; } } }",
         "uploads warning", "client_max_body_size 10m refuses"},
        {"http { client_body_timeout 5s; server { location / { s3_pass u; } } "
         "}",
         "timeouts warning", "client_body_timeout 5s"},
        {"http { server { location / { s3_pass u; s3_read_timeout 30; } } }",
         "timeouts warning", "s3_read_timeout 30: nginx gives up"},
        {"http { upstream u { server unix:/run/s3d/s3d.sock; } server {"
         " location / { s3_pass u; } } }",
         "keepalive warning", "connects to s3d anew"},
        {"worker_processes 100; http { upstream u { server "
         "unix:/run/s3d/s3d.sock; keepalive 64; } server { location / {"
         " s3_pass u; } } }",
         "keepalive warning", "of 100 workers may take all 4096"},
        {"http { server { location / { s3_pass u; } } }", "sendfile warning",
         "without sendfile"},
    };
    struct machine *machine = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        machine->facts.nginx.conf = parse(machine->arena, cases[i].conf);
        assert_found(&machine->facts, cases[i].begin, cases[i].part);
    }
    machine->facts.nginx.conf =
        parse(machine->arena, "http { client_max_body_size 10m; sendfile on;"
                              " server { client_max_body_size 0; location / {"
                              " s3_pass unix:/run/s3d/s3d.sock; } } }");
    assert_null(strstr(findings_of(&machine->facts), "uploads"));
}

/* --- permissions -----------------------------------------------------------*/
static void test_permissions(void **state)
{
    const struct doctor_file file = {
        .path = "/f", .mode = 0640, .uid = 10, .gid = 20};
    struct doctor_user user = {.known = true, .uid = 10};
    (void)state;
    assert_true(doctor_may(&user, &file, 6));
    assert_false(doctor_may(&user, &file, 1));
    user.uid = 11;
    assert_false(doctor_may(&user, &file, 4));
    user.groups[user.group_count++] = 20;
    assert_true(doctor_may(&user, &file, 4));
    assert_false(doctor_may(&user, &file, 2));
    user.uid = 0;
    assert_true(doctor_may(&user, &file, 7));
    user.uid = 10; /* the owner's bits decide, whatever the group may */
    assert_false(doctor_may(
        &user, &(struct doctor_file){.mode = 0070, .uid = 10, .gid = 20}, 4));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_machine, free_machine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_healthy),
        TEST(test_files),
        TEST(test_no_keys_of_a_new_cluster),
        TEST(test_drives),
        TEST(test_space),
        TEST(test_redundancy),
        TEST(test_clock),
        TEST(test_limits),
        TEST(test_s3d),
        TEST(test_nothing_is_there),
        TEST(test_module),
        TEST(test_nginx_conf),
        TEST(test_directives),
        cmocka_unit_test(test_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
