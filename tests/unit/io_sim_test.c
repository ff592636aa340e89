/* The simulated disk keeps its contract, and breaks what it may break. */
#include "io/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 64

static struct io_file *create(struct io *io, const char *path)
{
    struct io_file *file;
    assert_int_equal(io_open(io, path, IO_WRITE | IO_CREATE, &file), 0);
    return file;
}

static uint64_t size_of(struct io *io, const char *path)
{
    struct io_file *file;
    uint64_t size;
    assert_int_equal(io_open(io, path, IO_READ, &file), 0);
    assert_int_equal(io_size(file, &size), 0);
    io_close(file);
    return size;
}

static bool there(struct io *io, const char *path)
{
    struct io_file *file;
    int r = io_open(io, path, IO_READ, &file);
    if (r == 0) {
        io_close(file);
        return true;
    }
    assert_int_equal(r, -ENOENT);
    return false;
}

static void files(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 1 << 20);
    struct io_file *file, *reader;
    char data[8];
    assert_int_equal(io_open(io, "/a", IO_READ, &file), -ENOENT);
    assert_int_equal(io_open(io, "/d/a", IO_CREATE, &file), -ENOENT);
    file = create(io, "/a");
    assert_int_equal(io_pwrite(file, "hello", 5, 3), 0);
    assert_int_equal(io_pread(file, data, 8, 0), 0);
    assert_memory_equal(data, "\0\0\0hello", 8);
    assert_int_equal(io_pread(file, data, 8, 1), -ENODATA);
    assert_int_equal(io_open(io, "/a", IO_CREATE, &reader), -EEXIST);
    assert_int_equal(io_open(io, "/a", IO_READ, &reader), 0);
    assert_int_equal(io_pwrite(reader, "x", 1, 0), -EBADF);
    /* Unlinked files live on in their handles. */
    assert_int_equal(io_unlink(io, "/a"), 0);
    assert_int_equal(io_pread(reader, data, 8, 0), 0);
    io_close(reader);
    io_close(file);
    assert_false(there(io, "/a"));
    io_free(io);
}

static int collect(void *context, const char *name)
{
    buffer_append_string(context, name);
    buffer_append_string(context, " ");
    return 0;
}

static void directories(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 1 << 20);
    struct buffer names = {0};
    struct buffer data = {0};
    assert_int_equal(io_mkdir(io, "/d/e"), -ENOENT);
    assert_int_equal(io_mkdir(io, "/d"), 0);
    assert_int_equal(io_mkdir(io, "/d/"), 0);
    assert_int_equal(io_mkdir(io, "/d/e"), 0);
    assert_int_equal(io_write_file(io, "/d/b", "1", 1), 0);
    assert_int_equal(io_write_file(io, "/d/e/deep", "1", 1), 0);
    assert_int_equal(io_write_file(io, "/dx", "1", 1), 0);
    assert_int_equal(io_list(io, "/d", collect, &names), 0);
    assert_int_equal(names.size, 4);
    assert_memory_equal(names.data, "b e ", 4);
    names.size = 0;
    assert_int_equal(io_list(io, "/", collect, &names), 0);
    assert_int_equal(names.size, 5);
    assert_memory_equal(names.data, "d dx ", 5);
    assert_int_equal(io_list(io, "/d/b", collect, &names), -ENOTDIR);
    assert_int_equal(io_rename(io, "/d/b", "/dx"), 0);
    assert_false(there(io, "/d/b"));
    assert_int_equal(io_write_file(io, "/dx", "second", 6), 0);
    assert_int_equal(io_read_file(io, "/dx", 6, &data), 0);
    assert_memory_equal(data.data, "second", 6);
    buffer_free(&data);
    buffer_free(&names);
    io_free(io);
}

/* Counts sectors of the file that hold `byte`, zero or lie past the end. */
static unsigned sectors_kept(struct io *io, const char *path, unsigned count,
                             uint8_t byte)
{
    struct buffer data = {0};
    assert_int_equal(io_read_file(io, path, 1 << 20, &data), 0);
    unsigned kept = 0;
    for (unsigned s = 0; s < count; s++) {
        uint8_t expected[512];
        memset(expected, byte, 512);
        if ((s + 1) * 512 > data.size) {
            assert_true(s * 512 >= data.size);
            continue;
        }
        if (memcmp(data.data + s * 512, expected, 512) == 0) {
            kept++;
            continue;
        }
        memset(expected, 0, 512);
        assert_memory_equal(data.data + s * 512, expected, 512);
    }
    buffer_free(&data);
    return kept;
}

static void crash_loses_unsynced_sectors(void **state)
{
    (void)state;
    unsigned kept = 0, torn = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io = io_sim_new(seed, 1 << 20);
        struct io_file *file = create(io, "/a");
        uint8_t data[16 * 512];
        memset(data, 'x', sizeof(data));
        assert_int_equal(io_sync_dir(io, "/"), 0);
        assert_int_equal(io_pwrite(file, data, sizeof(data), 0), 0);
        io_sim_crash(io);
        assert_int_equal(io_pread(file, data, 1, 0), -EIO);
        assert_int_equal(io_pwrite(file, data, 1, 0), -EIO);
        assert_int_equal(io_fdatasync(file), -EIO);
        io_close(file);
        unsigned n = sectors_kept(io, "/a", 16, 'x');
        kept += n;
        torn += n > 0 && n < 16;
        io_free(io);
    }
    assert_in_range(kept, SEEDS * 16 / 4, SEEDS * 16 * 3 / 4);
    assert_true(torn > SEEDS / 2);
}

static void crash_keeps_synced_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io = io_sim_new(seed, 1 << 20);
        struct io_file *file = create(io, "/a");
        char data[1000], back[1000];
        memset(data, 's', sizeof(data));
        assert_int_equal(io_pwrite(file, data, sizeof(data), 100), 0);
        assert_int_equal(io_fdatasync(file), 0);
        assert_int_equal(io_sync_dir(io, "/"), 0);
        assert_int_equal(io_pwrite(file, data, sizeof(data), 5000), 0);
        io_sim_crash(io);
        io_close(file);
        assert_in_range(size_of(io, "/a"), 1100, 6000);
        assert_int_equal(io_open(io, "/a", IO_READ, &file), 0);
        assert_int_equal(io_pread(file, back, sizeof(back), 100), 0);
        assert_memory_equal(back, data, sizeof(data));
        io_close(file);
        io_free(io);
    }
}

static void crash_loses_unsynced_names(void **state)
{
    (void)state;
    unsigned created = 0, removed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io = io_sim_new(seed, 1 << 20);
        assert_int_equal(io_mkdir(io, "/d"), 0);
        io_close(create(io, "/d/old"));
        io_close(create(io, "/d/safe"));
        assert_int_equal(io_sync_dir(io, "/d"), 0);
        assert_int_equal(io_sync_dir(io, "/"), 0);
        io_close(create(io, "/d/new"));
        assert_int_equal(io_unlink(io, "/d/old"), 0);
        io_sim_crash(io);
        created += there(io, "/d/new");
        removed += !there(io, "/d/old");
        assert_true(there(io, "/d/safe"));
        io_free(io);
    }
    assert_in_range(created, SEEDS / 4, SEEDS * 3 / 4);
    assert_in_range(removed, SEEDS / 4, SEEDS * 3 / 4);
}

static void crash_loses_what_lost_its_directory(void **state)
{
    (void)state;
    unsigned kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io = io_sim_new(seed, 1 << 20);
        assert_int_equal(io_mkdir(io, "/d"), 0);
        io_close(create(io, "/d/a"));
        assert_int_equal(io_sync_dir(io, "/d"), 0);
        io_sim_crash(io);
        kept += there(io, "/d/a");
        assert_int_equal(io_mkdir(io, "/d"), 0);
        io_free(io);
    }
    assert_in_range(kept, SEEDS / 4, SEEDS * 3 / 4);
}

/* After a failed fdatasync a later one that succeeds promises nothing. */
static void failed_sync_gives_up(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct io *io = io_sim_new(seed, 1 << 20);
        struct io_file *file = create(io, "/a");
        uint8_t data[512];
        memset(data, 'x', sizeof(data));
        assert_int_equal(io_sync_dir(io, "/"), 0);
        assert_int_equal(io_pwrite(file, data, sizeof(data), 0), 0);
        io_sim_fail_after(io, 0, EIO, 1);
        assert_int_equal(io_fdatasync(file), -EIO);
        assert_int_equal(io_fdatasync(file), 0);
        io_sim_crash(io);
        io_close(file);
        lost += sectors_kept(io, "/a", 1, 'x') == 0;
        io_free(io);
    }
    assert_in_range(lost, SEEDS / 4, SEEDS * 3 / 4);
}

static void failing(void **state)
{
    (void)state;
    struct io *io = io_sim_new(3, 1 << 20);
    struct io_space space;
    uint64_t calls = io_sim_calls(io);
    io_sim_fail_after(io, 2, ENOSPC, 2);
    assert_int_equal(io_mkdir(io, "/a"), 0);
    assert_int_equal(io_mkdir(io, "/b"), 0);
    assert_int_equal(io_mkdir(io, "/c"), -ENOSPC);
    assert_int_equal(io_sync_dir(io, "/"), -ENOSPC);
    assert_int_equal(io_mkdir(io, "/c"), 0);
    assert_int_equal(io_sim_calls(io) - calls, 5);
    io_sim_fail_after(io, 0, EIO, UINT64_MAX);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(io_mkdir(io, "/d"), -EIO);
    }
    io_sim_fail_after(io, 0, 0, 0);
    assert_int_equal(io_mkdir(io, "/d"), 0);

    struct io_file *file = create(io, "/b/f");
    io_sim_fail_path(io, "/a", EROFS);
    io_sim_fail_path(io, "/b", EIO);
    assert_int_equal(io_mkdir(io, "/a/x"), -EROFS);
    assert_int_equal(io_mkdir(io, "/ab"), 0);
    assert_int_equal(io_space(io, "/b", &space), -EIO);
    assert_int_equal(io_pwrite(file, "x", 1, 0), -EIO);
    io_sim_fail_path(io, "/b", 0);
    assert_int_equal(io_pwrite(file, "x", 1, 0), 0);
    assert_int_equal(io_mkdir(io, "/a/x"), -EROFS);
    io_close(file);
    io_free(io);
}

static void capacity(void **state)
{
    (void)state;
    struct io *io = io_sim_new(3, 1000);
    struct io_file *file = create(io, "/f");
    struct io_space space;
    char data[600] = {0};
    assert_int_equal(io_pwrite(file, data, 600, 0), 0);
    assert_int_equal(io_pwrite(file, data, 600, 0), 0);
    assert_int_equal(io_pwrite(file, data, 600, 600), -ENOSPC);
    assert_int_equal(io_space(io, "/", &space), 0);
    assert_int_equal(space.total, 1000);
    assert_int_equal(space.free, 400);
    assert_int_equal(io_unlink(io, "/f"), 0);
    assert_int_equal(io_sync_dir(io, "/"), 0);
    io_close(file);
    assert_int_equal(io_space(io, "/", &space), 0);
    assert_int_equal(space.free, 1000);
    io_free(io);
}

static void corrupt_and_wipe(void **state)
{
    (void)state;
    struct io *io = io_sim_new(9, 1 << 20);
    struct buffer data = {0};
    char zeros[4096] = {0};
    assert_int_equal(io_mkdir(io, "/d"), 0);
    assert_int_equal(io_mkdir(io, "/e"), 0);
    assert_int_equal(io_write_file(io, "/d/f", zeros, sizeof(zeros)), 0);
    assert_int_equal(io_write_file(io, "/e/f", zeros, sizeof(zeros)), 0);
    io_sim_corrupt(io, "/d", 1);
    assert_int_equal(io_read_file(io, "/d/f", 4096, &data), 0);
    unsigned bits = 0;
    for (size_t i = 0; i < data.size; i++) {
        bits += (unsigned)__builtin_popcount(data.data[i]);
    }
    assert_int_equal(bits, 1);
    data.size = 0;
    assert_int_equal(io_read_file(io, "/e/f", 4096, &data), 0);
    assert_memory_equal(data.data, zeros, sizeof(zeros));
    io_sim_wipe(io, "/d");
    assert_false(there(io, "/d/f"));
    assert_true(there(io, "/e/f"));
    assert_int_equal(io_sync_dir(io, "/d"), 0);
    io_sim_crash(io);
    assert_false(there(io, "/d/f"));
    buffer_free(&data);
    io_free(io);
}

/* What a program does after its end, nobody sees. */
static void power_stays_off(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 1 << 20);
    struct io_file *file = create(io, "/before");
    assert_int_equal(io_sync_dir(io, "/"), 0);
    io_sim_power_off(io);
    assert_int_equal(io_mkdir(io, "/d"), -EIO);
    assert_int_equal(io_unlink(io, "/before"), -EIO);
    assert_int_equal(io_pwrite(file, "x", 1, 0), -EIO);
    io_sim_power_on(io);
    assert_true(there(io, "/before"));
    assert_false(there(io, "/d"));
    assert_int_equal(io_mkdir(io, "/d"), 0);
    io_close(file);
    io_free(io);
}

static void locks(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 1 << 20);
    struct io_file *a = create(io, "/l");
    struct io_file *b;
    assert_int_equal(io_sync_dir(io, "/"), 0);
    assert_int_equal(io_open(io, "/l", IO_WRITE, &b), 0);
    assert_int_equal(io_lock(a), 0);
    assert_int_equal(io_lock(a), 0);
    assert_int_equal(io_lock(b), -EAGAIN);
    io_close(b);
    io_sim_crash(io);
    assert_int_equal(io_open(io, "/l", IO_WRITE, &b), 0);
    assert_int_equal(io_lock(b), 0);
    io_close(a);
    io_close(b);
    io_free(io);
}

/* The same seed and the same calls give the same disk. */
static void nodes(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 1 << 20);
    struct io_file *file;
    struct io_node open, there;
    assert_int_equal(io_node_at(io, "/a", &there), -ENOENT);
    assert_int_equal(io_write_file(io, "/a", "one", 3), 0);
    assert_int_equal(io_open(io, "/a", IO_READ, &file), 0);
    assert_int_equal(io_node(file, &open), 0);
    assert_int_equal(io_node_at(io, "/a", &there), 0);
    assert_int_equal(open.device, there.device);
    assert_int_equal(open.number, there.number);
    assert_int_equal(io_is_at(file, "/a"), 0);
    assert_int_equal(io_write_file(io, "/a", "two", 3), 0);
    assert_int_equal(io_is_at(file, "/a"), -ENOENT);
    assert_int_equal(io_unlink(io, "/a"), 0);
    assert_int_equal(io_is_at(file, "/a"), -ENOENT);
    io_close(file);
    io_free(io);
}

static void deterministic(void **state)
{
    (void)state;
    struct buffer data[2] = {{0}, {0}};
    for (unsigned i = 0; i < 2; i++) {
        struct io *io = io_sim_new(77, 1 << 20);
        struct io_file *file = create(io, "/a");
        uint8_t bytes[32 * 512];
        memset(bytes, 'x', sizeof(bytes));
        assert_int_equal(io_sync_dir(io, "/"), 0);
        assert_int_equal(io_pwrite(file, bytes, sizeof(bytes), 0), 0);
        io_sim_crash(io);
        io_close(file);
        assert_int_equal(io_read_file(io, "/a", 1 << 20, &data[i]), 0);
        io_free(io);
    }
    assert_int_equal(data[0].size, data[1].size);
    assert_memory_equal(data[0].data, data[1].data, data[0].size);
    buffer_free(&data[0]);
    buffer_free(&data[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(directories),
        cmocka_unit_test(crash_loses_unsynced_sectors),
        cmocka_unit_test(crash_keeps_synced_bytes),
        cmocka_unit_test(crash_loses_unsynced_names),
        cmocka_unit_test(crash_loses_what_lost_its_directory),
        cmocka_unit_test(failed_sync_gives_up),
        cmocka_unit_test(failing),
        cmocka_unit_test(capacity),
        cmocka_unit_test(corrupt_and_wipe),
        cmocka_unit_test(power_stays_off),
        cmocka_unit_test(locks),
        cmocka_unit_test(nodes),
        cmocka_unit_test(deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
