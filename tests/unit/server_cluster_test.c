/*
 * Control and admin connections, and a cluster's life: first start, second
 * instance, crash, lost and foreign drives, reload.
 */
#include "server_fixture.h"
#include <dirent.h>
#include <fcntl.h>

#define LIMITS "limits = { shutdown_timeout = 1; };"

/* --- control ---------------------------------------------------------------*/
static int greet(const struct fixture *fixture)
{
    const int fd = dial(fixture, "s3d.sock");
    struct buffer out = {0};
    Wire__Hello hello = WIRE__HELLO__INIT;
    assert_true(fd >= 0);
    hello.version = FRAME_VERSION;
    put_message(&out, FRAME_HELLO, &hello);
    send_buffer(fd, &out);
    return fd;
}

static const char *places = "0123456"; /* drive i is in drive<places[i]> */

/* The drives that WELCOME names, one bit each; their directories are checked.
 */
static unsigned welcomed(const struct fixture *fixture, int fd)
{
    struct frame frame = receive_frame(fd);
    unsigned drives = 0;
    assert_int_equal(frame.header.type, FRAME_WELCOME);
    Wire__Welcome *welcome =
        wire__welcome__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(welcome);
    assert_int_equal(welcome->version, FRAME_VERSION);
    for (size_t i = 0; i < welcome->n_drives; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/drive%c", fixture->dir,
                 places[welcome->drives[i]->index]);
        assert_int_equal(welcome->drives[i]->directory.len, strlen(path));
        assert_memory_equal(welcome->drives[i]->directory.data, path,
                            strlen(path));
        drives |= 1u << welcome->drives[i]->index;
    }
    wire__welcome__free_unpacked(welcome, NULL);
    free(frame.payload);
    return drives;
}

static unsigned usable(const struct fixture *fixture)
{
    const int fd = greet(fixture);
    const unsigned drives = welcomed(fixture, fd);
    close(fd);
    return drives;
}

static void put_dated_key_request(struct buffer *out, uint64_t id,
                                  const char *key, const char *date)
{
    Wire__KeyRequest request = WIRE__KEY_REQUEST__INIT;
    request.id = id;
    request.access_key = bytes_of(key);
    request.date = bytes_of(date);
    request.region = bytes_of("us-east-1");
    put_message(out, FRAME_KEY_REQUEST, &request);
}

static void put_key_request(struct buffer *out, uint64_t id, const char *key)
{
    put_dated_key_request(out, id, key, today());
}

static Wire__KeyReply *receive_key(int fd)
{
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_KEY_REPLY);
    Wire__KeyReply *reply =
        wire__key_reply__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(reply);
    free(frame.payload);
    return reply;
}

/* A key of another year would be good for whoever takes a worker over. */
static void expect_no_far_keys(int fd)
{
    static const char *const dates[] = {"20990101", "20200101", "", "2099"};
    struct buffer out = {0};
    for (unsigned i = 0; i < 4; i++) {
        put_dated_key_request(&out, i, "AKIDEXAMPLE", dates[i]);
        send_buffer(fd, &out);
        Wire__KeyReply *reply = receive_key(fd);
        assert_false(reply->found);
        assert_int_equal(reply->signing_key.len, 0);
        wire__key_reply__free_unpacked(reply, NULL);
    }
}

static void test_control(void **state)
{
    struct fixture *fixture = *state;
    struct buffer out = {0};
    char result[FIXTURE_RESULT];
    const int admin = dial(fixture, "admin.sock"), fd = greet(fixture);
    assert_int_equal(welcomed(fixture, fd), 0x3f);
    assert_true(ask_admin(admin, "account.add",
                          "{\"name\":\"keys\",\"access_key\":\"AKIDEXAMPLE\","
                          "\"secret_key\":"
                          "\"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\"}",
                          result));

    enum { COUNT = 600 }; /* more than may be under way */
    bool seen[COUNT] = {false};
    for (unsigned i = 0; i < COUNT; i++)
        put_key_request(&out, i, i % 2 == 0 ? "AKIDEXAMPLE" : "AKIDNOBODY");
    send_buffer(fd, &out);
    for (unsigned i = 0; i < COUNT; i++) {
        Wire__KeyReply *reply = receive_key(fd);
        assert_true(reply->id < COUNT && !seen[reply->id]);
        seen[reply->id] = true;
        assert_int_equal(reply->found, reply->id % 2 == 0);
        assert_int_equal(reply->signing_key.len, reply->found ? 32 : 0);
        assert_int_equal(reply->generation != 0, reply->found);
        wire__key_reply__free_unpacked(reply, NULL);
    }
    expect_no_far_keys(fd);
    assert_true(ask_admin(admin, "key.disable",
                          "{\"access_key\":\"AKIDEXAMPLE\"}", result));
    put_key_request(&out, 7, "AKIDEXAMPLE");
    send_buffer(fd, &out);
    Wire__KeyReply *reply = receive_key(fd);
    assert_false(reply->found);
    wire__key_reply__free_unpacked(reply, NULL);
    close(fd);
    close(admin);
}

static void test_bad_control(void **state)
{
    struct fixture *fixture = *state;
    struct buffer out = {0};
    int fd = dial(fixture, "s3d.sock");
    put_key_request(&out, 1, "A"); /* no HELLO before */
    send_buffer(fd, &out);
    expect_closed(fd);

    fd = dial(fixture, "s3d.sock");
    Wire__Hello hello = WIRE__HELLO__INIT;
    hello.version = FRAME_VERSION + 1;
    put_message(&out, FRAME_HELLO, &hello);
    send_buffer(fd, &out);
    expect_closed(fd);

    fd = greet(fixture);
    welcomed(fixture, fd);
    put_frame(&out, FRAME_END, NULL, 0);
    send_buffer(fd, &out);
    expect_closed(fd);

    static char long_key[5000];
    memset(long_key, 'A', sizeof(long_key) - 1);
    fd = greet(fixture);
    welcomed(fixture, fd);
    put_key_request(&out, 1, long_key);
    send_buffer(fd, &out);
    expect_closed(fd);
}

/* --- administration --------------------------------------------------------*/
static const struct {
    const char *command, *arguments;
    bool ok;
    const char *result; /* a part of it */
} admin_cases[] = {
    {"user.list", "{}", false, "no such account"},
    {"account.add", "{\"name\":\"root\",\"operator\":true}", true,
     "\"secret_key\""},
    {"account.add", "{\"name\":\"root\"}", false, "exists"},
    {"account.add", "{\"name\":\"a b\"}", false, "a name is"},
    {"account.add", "{}", false, "name is missing"},
    {"account.add", "[]", false, "not a JSON object"},
    {"account.add", "{\"name\"", false, "not a JSON object"},
    {"account.list", "{}", true, "\"root\""},
    {"account.show", "{\"name\":\"root\"}", true, "\"access_keys\":[{"},
    {"account.delete", "{\"name\":\"root\"}", false, "administrate"},
    {"user.add", "{\"name\":\"alice\"}", true, "\"secret_key\""},
    {"user.add", "{\"name\":\"Alice\"}", false, "exists"},
    {"user.list", "{}", true, ":user/alice\""},
    {"user.list", "{\"account\":\"nobody\"}", false, "no such account"},
    {"user.attach",
     "{\"name\":\"alice\",\"policy\":\"AmazonS3ReadOnlyAccess\"}", true, "{}"},
    {"user.show", "{\"name\":\"alice\"}", true,
     "\"attached\":[\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"]"},
    {"policy.add", "{\"name\":\"p\",\"document\":\"{\"}", false, "error"},
    {"key.add", "{\"user\":\"alice\"}", true, "\"secret_key\""},
    {"key.add", "{\"user\":\"nobody\"}", false, "no such thing"},
    {"key.delete", "{\"access_key\":\"nothing\"}", false, "no such thing"},
    {"key.enable", "{}", false, "access_key is missing"},
    {"user.delete", "{\"name\":\"alice\"}", true, "{}"},
    {"user.delete", "{\"name\":\"alice\"}", false, "no such thing"},
    {"user.rename", "{}", false, "unknown command"},
    {"status", "{}", true, "\"version\":\"" S3D_VERSION "\""},
    {"status", "{}", true, "\"state\":\"ok\""},
};

static void test_admin(void **state)
{
    struct fixture *fixture = *state;
    const int fd = dial(fixture, "admin.sock");
    char result[FIXTURE_RESULT], path[128];
    struct stat info;
    for (size_t i = 0; i < sizeof(admin_cases) / sizeof(admin_cases[0]); i++) {
        assert_int_equal(ask_admin(fd, admin_cases[i].command,
                                   admin_cases[i].arguments, result),
                         admin_cases[i].ok);
        assert_non_null(strstr(result, admin_cases[i].result));
    }
    struct buffer out = {0};
    put_frame(&out, FRAME_REQUEST, NULL, 0);
    send_buffer(fd, &out);
    expect_closed(fd);

    fixture_path(fixture, "admin.sock", path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    fixture_path(fixture, "s3d.sock", path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
}

/* What is larger than a frame comes in some; the next command's answer is
 * whole again. */
static void test_admin_frames(void **state)
{
    enum { POLICIES = 140, DESCRIPTION = 1000 /* tabs: two bytes in JSON */ };
    struct fixture *fixture = *state;
    const int fd = dial(fixture, "admin.sock");
    char result[FIXTURE_RESULT], arguments[2 * DESCRIPTION + 256];
    char tabs[2 * DESCRIPTION + 1];
    struct buffer whole = {0};
    bool ok = false;
    for (unsigned i = 0; i < DESCRIPTION; i++) {
        memcpy(tabs + (size_t)2 * i, "\\t", 3);
    }
    for (unsigned i = 0; i < POLICIES; i++) {
        snprintf(arguments, sizeof(arguments),
                 "{\"name\":\"many-%03u\",\"description\":\"%s\","
                 "\"document\":\"{\\\"Statement\\\":{\\\"Effect\\\":"
                 "\\\"Deny\\\",\\\"Action\\\":\\\"s3:*\\\","
                 "\\\"Resource\\\":\\\"*\\\"}}\"}",
                 i, tabs);
        assert_true(ask_admin(fd, "policy.add", arguments, result));
    }
    assert_int_equal(ask_admin_whole(fd, "policy.list", "{}", &ok, &whole), 2);
    assert_true(ok);
    buffer_append(&whole, "", 1);
    const char *at = (const char *)whole.data;
    for (unsigned i = 0; i < POLICIES; i++) {
        snprintf(arguments, sizeof(arguments), "\"name\":\"many-%03u\"", i);
        at = strstr(at, arguments);
        assert_non_null(at);
    }
    assert_string_equal(whole.data + whole.size - 3, "]}");
    buffer_free(&whole);
    assert_true(ask_admin(fd, "account.list", "{}", result));
    close(fd);
}

/* --- a cluster's life ------------------------------------------------------*/
static void test_second_instance(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_wait(fixture_fork(fixture)), 1);

    /* Metadata of its own, but the same drives. */
    struct fixture other = *fixture;
    char command[256];
    snprintf(other.dir, sizeof(other.dir), "%.40s-two", fixture->dir);
    snprintf(command, sizeof(command), "mkdir '%s' && ln -s '%s'/drive* '%s'",
             other.dir, fixture->dir, other.dir);
    assert_int_equal(system(command), 0);
    fixture_configure(&other);
    assert_int_equal(fixture_wait(fixture_fork(&other)), 1);
    snprintf(command, sizeof(command), "rm -rf '%s'", other.dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(usable(fixture), 0x3f);
}

static void test_kill_and_restart(void **state)
{
    struct fixture *fixture = *state;
    char result[FIXTURE_RESULT], path[128];
    int status, fd = dial(fixture, "admin.sock");
    assert_true(ask_admin(fd, "account.add", "{\"name\":\"bob\"}", result));
    close(fd);
    assert_int_equal(kill(fixture->pid, SIGKILL), 0);
    assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
    fixture_path(fixture, "s3d.sock", path);
    assert_int_equal(access(path, F_OK), 0); /* left behind, and replaced */
    fixture_start(fixture);
    assert_int_equal(usable(fixture), 0x3f);
    fd = dial(fixture, "admin.sock");
    assert_true(ask_admin(fd, "account.list", "{}", result));
    assert_non_null(strstr(result, "\"bob\""));
    close(fd);
}

static void run(const char *format, const char *dir)
{
    char command[512];
    snprintf(command, sizeof(command), format, dir);
    assert_int_equal(system(command), 0);
}

static void test_lost_drives(void **state)
{
    struct fixture *fixture = *state;
    char result[FIXTURE_RESULT];
    fixture_stop(fixture);
    run("cd '%s' && mv drive1 away1 && mv drive4 away4 && mkdir drive4",
        fixture->dir);
    fixture_start(fixture);
    assert_int_equal(usable(fixture), 0x2d);
    const int fd = dial(fixture, "admin.sock");
    assert_true(ask_admin(fd, "status", "{}", result));
    assert_non_null(strstr(result, "\"state\":\"missing\""));
    assert_non_null(strstr(result, "\"state\":\"blank\""));
    close(fd);
    fixture_stop(fixture);
    /* A known drive is not formatted again. */
    run("cd '%s' && rmdir drive4 && mv away1 drive1 && mv away4 drive4",
        fixture->dir);
    fixture_start(fixture);
    assert_int_equal(usable(fixture), 0x3f);
}

/* Drives are found wherever they are. */
static void expect_found(struct fixture *fixture, const char *move,
                         const char *found_at, unsigned expected)
{
    fixture_stop(fixture);
    run(move, fixture->dir);
    places = found_at;
    fixture_start(fixture);
    assert_int_equal(usable(fixture), expected);
}

static void test_swapped_drives(void **state)
{
    struct fixture *fixture = *state;
    expect_found(fixture,
                 "cd '%s' && mv drive2 x && mv drive3 drive2 && mv x drive3",
                 "0132456", 0x3f);
    /* 4 is missing: it is looked for where there is room. */
    expect_found(fixture, "cd '%s' && mv drive4 away && mv drive3 drive4",
                 "0142356", 0x2f);
    expect_found(fixture, "cd '%s' && mv away drive3", "0142356", 0x3f);
    expect_found(fixture,
                 "cd '%s' && mv drive2 x && mv drive4 drive2 && "
                 "mv drive3 drive4 && mv x drive3",
                 "0123456", 0x3f);
}

/* The right cluster and index, but another drive: never written to. */
static void test_impostor(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    uint8_t identity[4096];
    fixture_stop(fixture);
    run("cd '%s' && cp drive0/identity kept", fixture->dir);
    fixture_path(fixture, "drive0/identity", path);
    const int fd = open(path, O_RDWR);
    const ssize_t size = read(fd, identity, sizeof(identity));
    assert_true(size > 52);
    identity[32] ^= 1; /* the drive's uuid: docs/disk-format.md */
    put_u32le(identity + size - 4, crc32c(0, identity, (size_t)size - 4));
    assert_int_equal(pwrite(fd, identity, (size_t)size, 0), size);
    close(fd);
    fixture_start(fixture);
    assert_int_equal(usable(fixture), 0x3e);
    fixture_stop(fixture);
    run("cd '%s' && mv kept drive0/identity", fixture->dir);
    fixture_start(fixture);
    assert_int_equal(usable(fixture), 0x3f);
}

static void test_added_drive(void **state)
{
    struct fixture *fixture = *state;
    fixture_stop(fixture);
    fixture->drives = 7;
    fixture_start(fixture);
    assert_int_equal(usable(fixture), 0x7f);
    fixture_stop(fixture);
    fixture_start(fixture);
    assert_int_equal(usable(fixture), 0x7f);
    fixture_stop(fixture);
    /* A configuration that forgets one is refused. */
    fixture->drives = 6;
    fixture_configure(fixture);
    assert_int_equal(fixture_wait(fixture_fork(fixture)), 1);
    fixture->drives = 7;
    fixture_start(fixture);
}

static bool log_holds(const struct fixture *fixture, const char *text)
{
    char path[128];
    struct buffer log = {0};
    uint8_t block[4096];
    size_t size;
    fixture_path(fixture, "log", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while ((size = fread(block, 1, sizeof(block), file)) > 0)
        buffer_append(&log, block, size);
    fclose(file);
    buffer_append(&log, "", 1);
    const bool found = strstr((char *)log.data, text) != NULL;
    buffer_free(&log);
    return found;
}

static void test_reload(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    const char *before = fixture->settings;
    fixture->settings = LIMITS "log_level = \"warn\"; region = \"elsewhere\";";
    fixture_configure(fixture);
    assert_int_equal(kill(fixture->pid, SIGHUP), 0);
    wait_until(log_holds(fixture, "region changes when s3d is started again"));

    fixture->settings = "colour = 1;";
    fixture_configure(fixture);
    assert_int_equal(kill(fixture->pid, SIGHUP), 0);
    wait_until(log_holds(fixture, "unknown setting colour"));
    fixture->settings = before;
    fixture_configure(fixture);
    assert_int_equal(kill(fixture->pid, SIGHUP), 0);
    wait_until(log_holds(fixture, "reload: done"));

    fixture_path(fixture, "log", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(kill(fixture->pid, SIGUSR1), 0);
    wait_until(access(path, F_OK) == 0);
    close(greet(fixture));
}

/* No metadata, but a drive that has an identity already: refused, and the
 * drive is left alone. */
static void test_foreign_drive_at_first_start(void **state)
{
    struct fixture *fixture = *state;
    fixture_stop(fixture);
    run("rm -rf '%s'/metadata", fixture->dir);
    run("rm '%s'/master.key", fixture->dir);
    assert_int_equal(fixture_wait(fixture_fork(fixture)), 1);
    assert_true(log_holds(fixture, "the drives hold data"));
    run("rm -rf '%s'/drive*", fixture->dir);
    fixture_start(fixture);
}

static int open_fixture(void **state)
{
    static struct fixture fixture;
    fixture_new(&fixture, 6, LIMITS);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_bad_control),
        cmocka_unit_test(test_admin),
        cmocka_unit_test(test_admin_frames),
        cmocka_unit_test(test_second_instance),
        cmocka_unit_test(test_kill_and_restart),
        cmocka_unit_test(test_lost_drives),
        cmocka_unit_test(test_swapped_drives),
        cmocka_unit_test(test_impostor),
        cmocka_unit_test(test_added_drive),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_foreign_drive_at_first_start),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
