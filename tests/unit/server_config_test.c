/*
 * The configuration: defaults, every kind of value, every kind of mistake.
 */
#include "blob/blob.h"
#include "server/private.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUIRED "metadata = \"/m/meta\"; drives = ( { path = \"/d/0\"; } );\n"

static char path[] = "/tmp/s3d-config-XXXXXX";

static int load(const char *text, struct server_config **config,
                struct buffer *error)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return config_load(path, config, error);
}

static void test_defaults(void **state)
{
    struct server_config *config;
    struct buffer error = {0};
    (void)state;
    assert_int_equal(load(REQUIRED, &config, &error), 0);
    assert_string_equal(config->socket, "/run/s3d/s3d.sock");
    assert_int_equal(config->socket_mode, 0660);
    assert_string_equal(config->socket_group, "");
    assert_string_equal(config->admin_socket, "/run/s3d/admin.sock");
    assert_string_equal(config->metadata[0], "/m/meta");
    assert_string_equal(config->state, "/m");
    assert_string_equal(config->master_key, "/m/master.key");
    assert_string_equal(config->keyring, "/m/keyring");
    assert_string_equal(config->vault.url, "");
    assert_string_equal(config->vault.mount, "transit");
    assert_string_equal(config->vault.key, "");
    assert_string_equal(config->vault.token_file, "");
    assert_string_equal(config->vault.ca_file, "");
    assert_int_equal(config->vault.timeout_s, 5);
    assert_int_equal(config->vault.cache_s, 60);
    assert_string_equal(config->region, "us-east-1");
    assert_string_equal(config->log, "");
    assert_string_equal(config->audit_log, "");
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->threads, 64);
    assert_int_equal(config->extent_size, 1ull << 30);
    assert_int_equal(config->reserve, 1ull << 30);
    assert_int_equal(config->metadata_reserve, 256ull << 20);
    assert_int_equal(config->may_miss, BLOB_MAY_MISS_DEFAULT);
    assert_int_equal(config->slow.hedge_ms, 20);
    assert_int_equal(config->slow.timeout_s, 30);
    assert_false(config->extensions);
    assert_false(config->encrypt_by_default);
    assert_int_equal(config->logging_interval_s, 300);
    assert_int_equal(config->limits.connections, 4096);
    assert_int_equal(config->limits.control_pending, 256);
    assert_int_equal(config->limits.idle_timeout_s, 3600);
    assert_int_equal(config->limits.body_timeout_s, 300);
    assert_int_equal(config->limits.shutdown_timeout_s, 30);
    assert_int_equal(config->care.scrub_period_s, 14 * 86400);
    assert_int_equal(config->care.scrub_rate, 64 << 20);
    assert_int_equal(config->care.heal_rate, 256 << 20);
    assert_int_equal(config->care.heal_workers, 4);
    assert_int_equal(config->drive_count, 1);
    assert_string_equal(config->drives[0].path, "/d/0");
    assert_string_equal(config->drives[0].domain, "");
    config_free(config);
}

/* The mirrors of the metadata: on the drives, unless it is said where. */
static void test_metadata(void **state)
{
    struct server_config *config;
    struct buffer error = {0};
    (void)state;
    assert_int_equal(load("state = \"/s\"; drives = ( { path = \"/d/0\"; },\n"
                          "{ path = \"/d/1\"; }, { path = \"/d/2\"; },\n"
                          "{ path = \"/d/3\"; } );",
                          &config, &error),
                     0);
    assert_int_equal(config->metadata_count, 3);
    assert_true(config->metadata_on_drives);
    assert_string_equal(config->metadata[2], "/d/2/metadata");
    assert_string_equal(config->master_key, "/s/master.key");
    config_free(config);
    assert_int_equal(load("metadata = ( \"/a/m\", \"/b/m\" );\n"
                          "drives = ( { path = \"/d/0\"; } );",
                          &config, &error),
                     0);
    assert_int_equal(config->metadata_count, 2);
    assert_false(config->metadata_on_drives);
    assert_string_equal(config->metadata[1], "/b/m");
    assert_string_equal(config->keyring, "/a/keyring");
    config_free(config);
}

static void test_all_settings(void **state)
{
    struct server_config *config;
    struct buffer error = {0};
    (void)state;
    const char *text =
        "socket = \"/a/s\"; socket_mode = \"0666\";\n"
        "socket_group = \"www-data\"; admin_socket = \"/a/a\";\n"
        "metadata = \"/a/meta/\"; master_key = \"/k/key\";\n"
        "region = \"eu-central-1\"; log = \"/a/log\";\n"
        "audit_log = \"/a/audit\";\n"
        "log_level = \"debug\"; threads = 2;\n"
        "extent_size = \"64M\"; reserve = 0;\n"
        "metadata_reserve = \"1G\"; extensions = true;\n"
        "default_encryption = \"AES256\";\n"
        "logging_interval = \"1s\"; keyring = \"/k/ring\";\n"
        "vault = { url = \"https://v\"; mount = \"t/u\"; key = \"k\";\n"
        "  token_file = \"/k/token\"; ca_file = \"/k/ca\";\n"
        "  timeout = 7; cache = \"2m\"; };\n"
        "drives = ( { path = \"/d/0\"; domain = \"left\"; },\n"
        "           { domain = \"right\"; path = \"/d/1\"; } );\n"
        "scrub = { period = \"3d\"; rate = \"5M\"; };\n"
        "heal = { workers = 0; rate = \"1G\"; };\n"
        "write_quorum = 1; slow_drives = { hedge_ms = 0; timeout = \"2m\"; };\n"
        "limits = { connections = 3; idle_timeout = \"2m\";\n"
        "  body_timeout = 7; shutdown_timeout = \"0s\";\n"
        "  control_pending = \"9\"; };\n";
    assert_int_equal(load(text, &config, &error), 0);
    assert_string_equal(config->socket, "/a/s");
    assert_int_equal(config->socket_mode, 0666);
    assert_string_equal(config->socket_group, "www-data");
    assert_string_equal(config->master_key, "/k/key");
    assert_string_equal(config->keyring, "/k/ring");
    assert_string_equal(config->vault.url, "https://v");
    assert_string_equal(config->vault.mount, "t/u");
    assert_string_equal(config->vault.key, "k");
    assert_string_equal(config->vault.token_file, "/k/token");
    assert_string_equal(config->vault.ca_file, "/k/ca");
    assert_int_equal(config->vault.timeout_s, 7);
    assert_int_equal(config->vault.cache_s, 120);
    assert_string_equal(config->region, "eu-central-1");
    assert_string_equal(config->log, "/a/log");
    assert_string_equal(config->audit_log, "/a/audit");
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->threads, 2);
    assert_int_equal(config->extent_size, 64ull << 20);
    assert_int_equal(config->reserve, 0);
    assert_int_equal(config->metadata_reserve, 1ull << 30);
    assert_true(config->extensions);
    assert_true(config->encrypt_by_default);
    assert_int_equal(config->logging_interval_s, 1);
    assert_int_equal(config->drive_count, 2);
    assert_string_equal(config->drives[1].path, "/d/1");
    assert_string_equal(config->drives[1].domain, "right");
    assert_int_equal(config->limits.connections, 3);
    assert_int_equal(config->limits.idle_timeout_s, 120);
    assert_int_equal(config->limits.body_timeout_s, 7);
    assert_int_equal(config->limits.shutdown_timeout_s, 0);
    assert_int_equal(config->care.scrub_period_s, 3 * 86400);
    assert_int_equal(config->care.scrub_rate, 5 << 20);
    assert_int_equal(config->care.heal_rate, 1 << 30);
    assert_int_equal(config->care.heal_workers, 0);
    assert_int_equal(config->may_miss, 1);
    assert_int_equal(config->slow.hedge_ms, 0);
    assert_int_equal(config->slow.timeout_s, 120);
    assert_int_equal(config->limits.control_pending, 9);
    config_free(config);
}

static void test_every_shard(void **state)
{
    struct server_config *config;
    struct buffer error = {0};
    (void)state;
    assert_int_equal(load(REQUIRED "write_quorum = \"all\";", &config, &error),
                     0);
    assert_int_equal(config->may_miss, 0);
    config_free(config);
}

static const struct {
    const char *text;
    const char *error; /* after the file's name */
} mistakes[] = {
    {"", ": state is missing"},
    {"metadata = \"/m\";", ": drives is missing"},
    {REQUIRED "colour = 1;", ":2: unknown setting colour"},
    {REQUIRED "limits = { speed = 1; };", ":2: unknown setting limits.speed"},
    {REQUIRED "vault = { speed = 1; };", ":2: unknown setting vault.speed"},
    {REQUIRED "vault = 3;", ":2: vault must be a group: { ... }"},
    {REQUIRED "vault = { url = \"https://v\"; };",
     ":2: vault needs a token_file"},
    {REQUIRED "vault = { ca_file = \"ca\"; };",
     ":2: ca_file must be an absolute path"},
    {REQUIRED "vault = { timeout = 0; };", ":2: timeout must be from 1 to 60"},
    {REQUIRED "limits = 3;", ":2: limits must be a group: { ... }"},
    {REQUIRED "limits = { connections = 0; };",
     ":2: connections must be from 1 to 65536"},
    {REQUIRED "limits = { idle_timeout = \"3w\"; };",
     ":2: idle_timeout must be a number of seconds, or one with s, m, h or d"},
    {REQUIRED "threads = 1;", ":2: threads must be from 2 to 1024"},
    {REQUIRED "threads = 1025;", ":2: threads must be from 2 to 1024"},
    {REQUIRED "threads = -4;", ":2: threads must be a whole number"},
    {REQUIRED "threads = 1.5;", ":2: threads must be a number"},
    {REQUIRED "threads = \"4K\";", ":2: threads must be a whole number"},
    {REQUIRED "extent_size = \"1M\";",
     ":2: extent_size must be from 67108864 to 68719476736"},
    {REQUIRED "extent_size = \"G\";",
     ":2: extent_size must be a number of bytes, or one with K, M, G or T"},
    {REQUIRED "reserve = \"99999999999T\";",
     ":2: reserve must be a number of bytes, or one with K, M, G or T"},
    {REQUIRED "socket = \"s3d.sock\";", ":2: socket must be an absolute path"},
    {REQUIRED "socket = 4;", ":2: socket must be a string in quotes"},
    {REQUIRED "socket = true;", ":2: socket must be a string in quotes"},
    {REQUIRED "logging_interval = 0;",
     ":2: logging_interval must be from 1 to 86400"},
    {REQUIRED "extensions = 1;", ":2: extensions must be true or false"},
    {REQUIRED "write_quorum = \"none\";",
     ":2: write_quorum must be \"default\", \"all\" or the number of shards "
     "that may be missing"},
    {REQUIRED "write_quorum = 33;",
     ":2: write_quorum must be \"default\", \"all\" or the number of shards "
     "that may be missing"},
    {REQUIRED "slow_drives = { timeout = 0; };",
     ":2: timeout must be from 1 to 600"},
    {REQUIRED "default_encryption = \"aws:kms\";",
     ":2: default_encryption must be \"none\" or \"AES256\""},
    {REQUIRED "extensions = \"true\";", ":2: extensions must be true or false"},
    {REQUIRED "socket_mode = \"0999\";",
     ":2: socket_mode must be a mode such as \"0660\""},
    {REQUIRED "socket_mode = \"7777\";",
     ":2: socket_mode is not a mode of a socket"},
    {REQUIRED "socket_mode = 660;",
     ":2: socket_mode must be a string in quotes"},
    {REQUIRED "log_level = \"loud\";",
     ":2: log_level must be debug, info, warn or error"},
    {REQUIRED "region = \"\";", ":2: region must not be empty"},
    {REQUIRED "socket = \"/a\"; admin_socket = \"/a\";",
     ":2: socket and admin_socket must differ"},
    {"state = \"/m\"; metadata = (); drives = ( { path = \"/d\"; } );",
     ":1: metadata must be a path in quotes, or a list of 1 to 8"},
    {"metadata = ( \"/m\", \"/m\" ); drives = ( { path = \"/d\"; } );",
     ":1: two mirrors have the path /m"},
    {"metadata = \"m\"; drives = ( { path = \"/d\"; } );",
     ":1: metadata must be an absolute path"},
    {"metadata = ( 1 ); drives = ( { path = \"/d\"; } );",
     ":1: metadata must be an absolute path"},
    {"metadata = \"/m\"; drives = ();",
     ":1: there must be 1 to 20 drives, not 0"},
    {"metadata = \"/m\"; drives = \"/d\";",
     ":1: drives must be a list: ( { ... }, ... )"},
    {"metadata = \"/m\"; drives = ( \"/d\" );",
     ":1: a drive must be a group: { path = ...; }"},
    {"metadata = \"/m\"; drives = ( { domain = \"a\"; } );",
     ":1: a drive needs a path"},
    {"metadata = \"/m\"; drives = ( { path = \"d\"; } );",
     ":1: the path of a drive must be an absolute path"},
    {"metadata = \"/m\"; drives = ( { path = 1; } );",
     ":1: path must be a string in quotes"},
    {"metadata = \"/m\"; drives = ( { path = \"/d\"; size = 1; } );",
     ":1: unknown setting drives.size"},
    {"metadata = \"/m\"; drives = ( { path = \"/d\"; },\n{ path = \"/d\"; } );",
     ":2: two drives have the path /d"},
    {REQUIRED "events = 1;", ":2: events must be a group: { ... }"},
    {REQUIRED "events = { limits = 1; };", ":2: unknown setting events.limits"},
    {REQUIRED "events = { overflow = \"wait\"; };",
     ":2: events.overflow must be \"block\" or \"drop\""},
    {REQUIRED "events = { targets = 1; };",
     ":2: events.targets must be a list of at most 64 groups: ( { ... }, ... "
     ")"},
    {REQUIRED "events = { targets = ( { name = \"a b\"; } ); };",
     ":2: the name of a target must be 1 to 80 letters, digits, '-' and '_'"},
    {REQUIRED "events = { targets = ( { name = \"a\"; kind = \"x\"; } ); };",
     ":2: kind must be stream, pubsub, namespace or access"},
    {REQUIRED "events = { targets = ( { name = \"a\"; redis = \"r:1\"; } ); };",
     ":2: the target a needs redis and key"},
    {REQUIRED
     "events = { targets = ( { name = \"a\"; redis = \"r:1\"; key = "
     "\"k\"; },\n{ name = \"a\"; redis = \"r:1\"; key = \"k\"; } ); };",
     ":3: two targets have the name a"},
    {REQUIRED "events = { targets = ( { nam = \"a\"; } ); };",
     ":2: unknown setting targets.nam"},
    {"metadata = \"/m\"\ndrives = (", ":2: syntax error"},
    {"metadata = \"/m\";\nmetadata = \"/n\";", ":2: duplicate setting name"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct server_config *config = (void *)1;
        struct buffer error = {0};
        char expected[256], got[512];
        assert_int_equal(load(mistakes[i].text, &config, &error), -EINVAL);
        assert_null(config);
        snprintf(expected, sizeof(expected), "%s%s", path, mistakes[i].error);
        snprintf(got, sizeof(got), "%.*s", (int)error.size,
                 (const char *)error.data);
        assert_string_equal(got, expected);
        buffer_free(&error);
    }
}

static void test_too_many_drives(void **state)
{
    struct buffer text = {0}, error = {0};
    struct server_config *config;
    (void)state;
    buffer_append_string(&text, "metadata = \"/m\"; drives = (");
    for (int i = 0; i < 21; i++)
        buffer_printf(&text, "%s{ path = \"/d/%d\"; }", i > 0 ? "," : "", i);
    buffer_append(&text, ");", 3);
    assert_int_equal(load((char *)text.data, &config, &error), -EINVAL);
    buffer_append(&error, "", 1);
    assert_non_null(
        strstr((char *)error.data, "there must be 1 to 20 drives, not 21"));
    buffer_free(&text);
    buffer_free(&error);
}

static void test_socket_too_long(void **state)
{
    struct buffer text = {0}, error = {0};
    struct server_config *config;
    (void)state;
    buffer_append_string(&text, REQUIRED "socket = \"/");
    for (int i = 0; i < 107; i++)
        buffer_append_string(&text, "x");
    buffer_append(&text, "\";", 3);
    assert_int_equal(load((char *)text.data, &config, &error), -EINVAL);
    buffer_append(&error, "", 1);
    assert_non_null(
        strstr((char *)error.data, ":2: socket is longer than 107 bytes"));
    buffer_free(&text);
    buffer_free(&error);
}

static void test_events(void **state)
{
    struct buffer error = {0};
    struct server_config *config;
    (void)state;
    assert_int_equal(load(REQUIRED
                          "events = { limit = \"2M\"; limit_events = 7;"
                          " overflow = \"drop\"; targets = ("
                          "{ name = \"t\"; kind = \"pubsub\"; key = \"c\";"
                          " redis = \"unix:/r\"; database = 3; } ); };",
                          &config, &error),
                     0);
    assert_int_equal(config->events.limit, 2u << 20);
    assert_int_equal(config->events.limit_events, 7);
    assert_string_equal(config->events.overflow, "drop");
    assert_int_equal(config->events.target_count, 1);
    assert_string_equal(config->events.targets[0].name, "t");
    assert_string_equal(config->events.targets[0].kind, "pubsub");
    assert_string_equal(config->events.targets[0].redis, "unix:/r");
    assert_string_equal(config->events.targets[0].password_file, "");
    assert_string_equal(config->events.targets[0].sentinel_password_file, "");
    assert_int_equal(config->events.targets[0].database, 3);
    assert_int_equal(config->events.targets[0].maxlen, 0);
    config_free(config);
}

#define TARGETS(more)                                                          \
    REQUIRED "events = { targets = ("                                          \
             "{ name = \"t\"; redis = \"r:1\"; key = \"k\"; },"                \
             "{ name = \"u\"; redis = \"r:1\"; key = \"k\"; " more "} ); };"

/* Whatever of a target has changed is seen. */
static void test_same_events(void **state)
{
    static const char *const others[] = {
        REQUIRED,
        REQUIRED "events = { targets = ("
                 "{ name = \"t\"; redis = \"r:1\"; key = \"k\"; } ); };",
        TARGETS("password_file = \"/p\";"),
        TARGETS("sentinel_username = \"s\";"),
        TARGETS("database = 1;"),
        TARGETS("maxlen = 1;"),
    };
    struct server_config *config, *other;
    struct buffer error = {0};
    (void)state;
    assert_int_equal(load(TARGETS(""), &config, &error), 0);
    assert_int_equal(load(TARGETS(""), &other, &error), 0);
    assert_true(config_same_events(config, other));
    config_free(other);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(load(others[i], &other, &error), 0);
        if (config_same_events(config, other)) {
            fail_msg("a change is not seen: %s", others[i]);
        }
        config_free(other);
    }
    config_free(config);
}

/* What is shown as the default is accepted. */
static void test_the_example(void **state)
{
    struct buffer error = {0};
    struct server_config *config;
    (void)state;
    if (access("conf/s3d.conf", R_OK) != 0) {
        skip();
    }
    assert_int_equal(config_load("conf/s3d.conf", &config, &error), 0);
    assert_int_equal(config->events.limit, 1u << 30);
    config_free(config);
}

static void test_no_file(void **state)
{
    struct server_config *config;
    struct buffer error = {0};
    (void)state;
    assert_int_equal(config_load("/nowhere/s3d.conf", &config, &error),
                     -EINVAL);
    buffer_append(&error, "", 1);
    assert_string_equal((char *)error.data,
                        "/nowhere/s3d.conf: cannot be read");
    buffer_free(&error);
}

static int make_file(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_all_settings),
        cmocka_unit_test(test_every_shard),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_too_many_drives),
        cmocka_unit_test(test_socket_too_long),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_same_events),
        cmocka_unit_test(test_the_example),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
