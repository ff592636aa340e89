/* Drives that go and come back: what is trusted of before, and what is not. */
#include "extent/private.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t cluster[DRIVE_UUID_SIZE] = "cluster-of-tests";
static const struct drive_config config = {"/d0", "", 0};
static const char bytes[] = "what must not be lost";

struct fixture {
    struct io *io;
    struct drive *drive;
    struct extent_place place; /* durable, of `bytes` */
};

static struct drive_options options_of(const uint8_t *uuid)
{
    struct drive_options options = {.extent_size = 1 << 20};
    memcpy(options.cluster, cluster, DRIVE_UUID_SIZE);
    memcpy(options.uuid, uuid, DRIVE_UUID_SIZE);
    return options;
}

static struct drive *open_as(struct io *io, const uint8_t *uuid)
{
    struct drive_options options = options_of(uuid);
    struct drive *drive;
    assert_int_equal(drive_open(io, &config, &options, &drive), 0);
    return drive;
}

static int put(struct drive *drive, struct extent_place *place)
{
    int r = drive_reserve(drive, 1, 0, sizeof(bytes), 0, place);
    if (r == 0) {
        r = drive_write(drive, place, 0, bytes, sizeof(bytes));
    }
    return r == 0 ? drive_sync(drive, place->extent) : r;
}

static void failing(struct fixture *fixture, const char *path, int error)
{
    io_sim_fail_path(fixture->io, path, -error);
}

static void assert_there(struct fixture *fixture)
{
    char back[sizeof(bytes)];
    assert_int_equal(drive_read(fixture->drive, fixture->place.extent,
                                fixture->place.offset, back, sizeof(back)),
                     0);
    assert_memory_equal(back, bytes, sizeof(bytes));
}

static void assert_reason(struct drive *drive, enum drive_state state,
                          const char *reason)
{
    struct drive_condition condition;
    drive_describe(drive, &condition);
    assert_int_equal(condition.state, state);
    assert_true(condition.since_ms > 0);
    if (strstr(condition.reason, reason) == NULL) {
        fail_msg("'%s' is not in '%s'", reason, condition.reason);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    uint8_t uuid[DRIVE_UUID_SIZE];
    fixture->io = io_sim_new(7, 64 << 20);
    assert_int_equal(drive_new_uuid(uuid), 0);
    assert_int_equal(drive_format_as(fixture->io, &config, cluster, uuid), 0);
    fixture->drive = open_as(fixture->io, uuid);
    assert_int_equal(drive_state(fixture->drive), DRIVE_OK);
    assert_int_equal(put(fixture->drive, &fixture->place), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    drive_close(fixture->drive);
    io_free(fixture->io);
    free(fixture);
    return 0;
}

/* One that fails with `error`, and comes back when that ends. */
static void fails_and_returns(struct fixture *fixture, int error,
                              enum drive_state state, const char *reason)
{
    struct extent_place begun, later;
    struct drive *drive = fixture->drive;
    assert_int_equal(drive_reserve(drive, 2, 0, 64, 0, &begun), 0);
    assert_int_equal(drive_write(drive, &begun, 0, bytes, 16), 0);
    failing(fixture, "/d0", error);
    assert_true(put(drive, &later) != 0);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    assert_reason(drive, DRIVE_FAILED, strerror(-error));
    assert_false(drive_look(drive));
    assert_reason(drive, state, reason);
    assert_int_equal(drive_reserve(drive, 3, 0, 64, 0, &later), -ENODEV);

    failing(fixture, "/d0", 0);
    assert_true(drive_look(drive));
    assert_reason(drive, DRIVE_OK, "");
    assert_false(drive_look(drive)); /* it is said once */
    assert_there(fixture);

    /* X4: a record of before goes on nowhere, new ones to another extent. */
    assert_true(drive_write(drive, &begun, 16, bytes, 16) != 0);
    assert_true(drive_sync(drive, begun.extent) != 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    assert_int_equal(put(drive, &later), 0);
    assert_true(later.extent > begun.extent);
}

static void device_errors(void **state)
{
    fails_and_returns(*state, -EIO, DRIVE_FAILED, "Input/output error");
}

static void a_directory_that_goes(void **state)
{
    fails_and_returns(*state, -ENOENT, DRIVE_MISSING, "No such file");
}

/* Reads go on; only writes fail. */
static void read_only(void **state)
{
    struct fixture *fixture = *state;
    failing(fixture, "/d0/extents", -EROFS);
    failing(fixture, "/d0/probe", -EROFS);
    struct extent_place place;
    assert_int_equal(put(fixture->drive, &place), -EROFS);
    failing(fixture, "/d0/extents", 0);
    assert_reason(fixture->drive, DRIVE_FAILED, "Read-only file system");
    assert_false(drive_look(fixture->drive));
    assert_reason(fixture->drive, DRIVE_FAILED, "Read-only file system");
    assert_there(fixture);
    failing(fixture, "/d0/probe", 0);
    failing(fixture, "/d0/probe.new", 0);
    assert_true(drive_look(fixture->drive));
    assert_int_equal(put(fixture->drive, &place), 0);
}

/* A full drive is no failed one. */
static void full(void **state)
{
    struct fixture *fixture = *state;
    struct extent_place place;
    failing(fixture, "/d0/extents", -ENOSPC);
    assert_int_equal(put(fixture->drive, &place), -ENOSPC);
    assert_int_equal(drive_state(fixture->drive), DRIVE_OK);
    failing(fixture, "/d0/extents", 0);
    assert_int_equal(put(fixture->drive, &place), 0);
    assert_there(fixture);
}

static void another_disk(void **state)
{
    struct fixture *fixture = *state;
    struct drive *drive = fixture->drive;
    struct extent_place place, begun;
    uint8_t uuid[DRIVE_UUID_SIZE];
    assert_int_equal(drive_reserve(drive, 2, 0, 64, 0, &begun), 0);
    assert_there(fixture); /* and has the file open */
    io_sim_wipe(fixture->io, "/d0");
    atomic_store(&drive->state, DRIVE_FAILED); /* as the next write finds out */
    assert_false(drive_look(drive));
    assert_reason(drive, DRIVE_BLANK, "no identity");

    /* Another drive of the cluster in this place. */
    struct drive_config other = config;
    other.index = 5;
    assert_int_equal(drive_format(fixture->io, &other, cluster), 0);
    assert_false(drive_look(drive));
    assert_reason(drive, DRIVE_FOREIGN, "drive 5: drives are swapped");
    assert_int_equal(put(drive, &place), -ENODEV);
    io_sim_wipe(fixture->io, "/d0");

    /* Drive 0, but nobody said that it is replaced. */
    assert_int_equal(drive_new_uuid(uuid), 0);
    assert_int_equal(drive_format_as(fixture->io, &config, cluster, uuid), 0);
    assert_false(drive_look(drive));
    assert_reason(drive, DRIVE_FOREIGN, "another drive 0");
    drive_expect(drive, uuid);
    assert_true(drive_look(drive));
    assert_memory_equal(drive_uuid(drive), uuid, DRIVE_UUID_SIZE);

    char back[sizeof(bytes)];
    assert_int_equal(drive_read(drive, fixture->place.extent,
                                fixture->place.offset, back, sizeof(back)),
                     -ENOENT);
    assert_true(drive_write(drive, &begun, 0, bytes, 16) != 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    assert_int_equal(put(drive, &place), 0);
    assert_true(place.extent > begun.extent); /* X2 */
}

/* Absent at the start, there later; not as another drive of its index. */
static void late(void **state)
{
    struct fixture *fixture = *state;
    uint8_t uuid[DRIVE_UUID_SIZE];
    struct extent_place place;
    memcpy(uuid, drive_uuid(fixture->drive), sizeof(uuid));
    drive_close(fixture->drive);
    failing(fixture, "/d0", -ENOENT);
    fixture->drive = open_as(fixture->io, uuid);
    assert_reason(fixture->drive, DRIVE_MISSING, "No such file");
    failing(fixture, "/d0", 0);
    assert_true(drive_look(fixture->drive));
    assert_there(fixture);
    assert_int_equal(put(fixture->drive, &place), 0);

    drive_close(fixture->drive);
    uuid[3] ^= 1;
    fixture->drive = open_as(fixture->io, uuid);
    assert_reason(fixture->drive, DRIVE_FOREIGN, "another drive 0");
    assert_false(drive_readable(fixture->drive));
}

/* Extents that were closed, since they were clean and many, too. */
static void closed_extents(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = EXTENTS_OPEN_MAX + 4 };
    struct extent_place places[COUNT], place;
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(
            drive_reserve(fixture->drive, 2, 0, 600 << 10, 0, &places[i]), 0);
        drive_release(fixture->drive, 600 << 10);
        assert_int_equal(drive_sync(fixture->drive, places[i].extent), 0);
    }
    failing(fixture, "/d0", -EIO);
    assert_true(put(fixture->drive, &place) != 0);
    failing(fixture, "/d0", 0);
    assert_true(drive_look(fixture->drive));
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(drive_sync(fixture->drive, places[i].extent) != 0);
    }
    assert_there(fixture);
}

/* Another s3d has taken it meanwhile. */
static void locked(void **state)
{
    struct fixture *fixture = *state;
    struct io_file *lock;
    failing(fixture, "/d0", -EIO);
    struct extent_place place;
    assert_true(put(fixture->drive, &place) != 0);
    failing(fixture, "/d0", 0);
    assert_int_equal(io_unlink(fixture->io, "/d0/lock"), 0);
    assert_int_equal(
        io_open(fixture->io, "/d0/lock", IO_WRITE | IO_CREATE, &lock), 0);
    assert_int_equal(io_lock(lock), 0);
    assert_false(drive_look(fixture->drive));
    assert_int_equal(drive_state(fixture->drive), DRIVE_FAILED);
    io_close(lock);
    assert_true(drive_look(fixture->drive));
}

/* --- comings and goings under load -----------------------------------------*/
struct load {
    struct drive *drive;
    atomic_bool stop;
    atomic_uint written;
};

/* What was acknowledged is there whenever the drive is. */
static void *write_and_read(void *argument)
{
    struct load *load = argument;
    while (!atomic_load(&load->stop)) {
        struct extent_place place;
        char back[sizeof(bytes)];
        if (put(load->drive, &place) != 0) {
            continue;
        }
        atomic_fetch_add(&load->written, 1);
        int r = drive_read(load->drive, place.extent, place.offset, back,
                           sizeof(back));
        if (r == 0 && memcmp(back, bytes, sizeof(bytes)) != 0) {
            abort();
        }
    }
    return NULL;
}

static void under_load(void **state)
{
    struct fixture *fixture = *state;
    struct load load = {.drive = fixture->drive};
    pthread_t threads[3];
    for (unsigned i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, write_and_read, &load);
    }
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = atomic_load(&load.written);
        while (atomic_load(&load.written) == before) {
            sched_yield();
        }
        failing(fixture, "/d0", -EIO);
        while (drive_state(load.drive) == DRIVE_OK) {
            sched_yield();
        }
        failing(fixture, "/d0", 0);
        while (drive_state(load.drive) != DRIVE_OK) {
            drive_look(load.drive);
        }
    }
    atomic_store(&load.stop, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_there(fixture);
    struct drive_condition condition;
    drive_describe(load.drive, &condition);
    assert_true(condition.returns >= 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(device_errors),  TEST(a_directory_that_goes),
        TEST(read_only),      TEST(full),
        TEST(another_disk),   TEST(late),
        TEST(locked),         TEST(under_load),
        TEST(closed_extents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
