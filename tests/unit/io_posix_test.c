/* The POSIX file interface, in a directory of its own. */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/s3d-io-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void files(void **state)
{
    (void)state;
    struct io *io = io_posix();
    struct io_file *file;
    char data[8];
    uint64_t size;
    assert_int_equal(io_open(io, at("a"), IO_READ, &file), -ENOENT);
    assert_int_equal(io_open(io, at("a"), IO_WRITE, &file), -ENOENT);
    assert_int_equal(io_open(io, at("a"), IO_WRITE | IO_CREATE, &file), 0);
    assert_int_equal(io_pwrite(file, "hello", 5, 3), 0);
    assert_int_equal(io_fdatasync(file), 0);
    assert_int_equal(io_size(file, &size), 0);
    assert_int_equal(size, 8);
    assert_int_equal(io_pread(file, data, 8, 0), 0);
    assert_memory_equal(data, "\0\0\0hello", 8);
    assert_int_equal(io_pread(file, data, 8, 1), -ENODATA);
    assert_int_equal(io_pread(file, data, 1, 8), -ENODATA);
    io_close(file);
    io_close(NULL);

    assert_int_equal(io_open(io, at("a"), IO_WRITE | IO_CREATE, &file),
                     -EEXIST);
    assert_int_equal(io_open(io, at("a"), IO_READ, &file), 0);
    assert_int_equal(io_pwrite(file, "x", 1, 0), -EBADF);
    io_close(file);
    assert_int_equal(io_unlink(io, at("a")), 0);
    assert_int_equal(io_unlink(io, at("a")), -ENOENT);
    assert_int_equal(io_sync_dir(io, root), 0);
}

static int collect(void *context, const char *name)
{
    buffer_append_string(context, name);
    return 0;
}

static int stop(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
    return 7;
}

/* Of the first five of a file that the kernel was asked to forget. */
static unsigned pages_in_memory(const char *path)
{
    static bool asked;
    unsigned char resident[5];
    unsigned count = 0;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    if (!asked) {
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        asked = true;
    }
    void *map =
        mmap(NULL, sizeof(resident) * 4096, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, sizeof(resident) * 4096, resident), 0);
    for (size_t i = 0; i < sizeof(resident); i++) {
        count += resident[i] & 1;
    }
    munmap(map, sizeof(resident) * 4096);
    close(fd);
    return count;
}

/* What is read directly comes into memory for nobody. */
static void direct(void **state)
{
    (void)state;
    struct io *io = io_posix();
    struct io_file *file, *past;
    static uint8_t data[20000], got[20000];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31 >> 3);
    }
    assert_int_equal(io_open(io, at("d"), IO_WRITE | IO_CREATE, &file), 0);
    assert_int_equal(io_pwrite(file, data, sizeof(data), 0), 0);
    assert_int_equal(io_fdatasync(file), 0);
    unsigned before = pages_in_memory(at("d"));
    assert_int_equal(io_open(io, at("d"), IO_DIRECT, &past), 0);
    static const size_t ranges[][2] = {{0, 20000},    {0, 1},       {4095, 2},
                                       {4096, 4096},  {8191, 4098}, {19999, 1},
                                       {16384, 3616}, {5, 0}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        size_t from = ranges[i][0], size = ranges[i][1];
        memset(got, 0xAA, sizeof(got));
        assert_int_equal(io_pread(past, got, size, from), 0);
        assert_memory_equal(got, data + from, size);
        assert_int_equal(got[size == 20000 ? 0 : size],
                         size == 20000 ? data[0] : 0xAA);
    }
    assert_int_equal(io_pread(past, got, 2, 19999), -ENODATA);
    assert_int_equal(io_pread(past, got, 1, 1 << 20), -ENODATA);
    assert_int_equal(pages_in_memory(at("d")), before);
    assert_int_equal(io_pwrite(file, "new", 3, 4094), 0); /* not yet synced */
    assert_int_equal(io_pread(past, got, 3, 4094), 0);
    assert_memory_equal(got, "new", 3);
    io_close(past);
    io_close(file);
    assert_int_equal(io_open(io, at("none"), IO_DIRECT, &past), -ENOENT);
}

static void directories(void **state)
{
    (void)state;
    struct io *io = io_posix();
    struct buffer names = {0};
    int called = 0;
    assert_int_equal(io_mkdir(io, at("d")), 0);
    assert_int_equal(io_mkdir(io, at("d")), 0);
    assert_int_equal(io_mkdir(io, at("no/d")), -ENOENT);
    assert_int_equal(io_list(io, at("d"), collect, &names), 0);
    assert_int_equal(names.size, 0);
    assert_int_equal(io_write_file(io, at("d/x"), "1", 1), 0);
    assert_int_equal(io_mkdir(io, at("d/x")), -ENOTDIR);
    assert_int_equal(io_list(io, at("d"), collect, &names), 0);
    assert_int_equal(names.size, 1);
    assert_memory_equal(names.data, "x", 1);
    assert_int_equal(io_list(io, at("d"), stop, &called), 7);
    assert_int_equal(called, 1);
    assert_int_equal(io_list(io, at("none"), collect, &names), -ENOENT);
    assert_int_equal(io_sync_dir(io, at("none")), -ENOENT);
    assert_int_equal(io_rename(io, at("d/x"), at("d/y")), 0);
    assert_int_equal(io_rename(io, at("d/x"), at("d/y")), -ENOENT);
    buffer_free(&names);
}

static void small_files(void **state)
{
    (void)state;
    struct io *io = io_posix();
    struct buffer data = {0};
    assert_int_equal(io_write_file(io, at("f"), "first", 5), 0);
    assert_int_equal(io_write_file(io, at("f.new"), "left behind", 11), 0);
    assert_int_equal(io_write_file(io, at("f"), "second!", 7), 0);
    assert_int_equal(io_read_file(io, at("f"), 6, &data), -EFBIG);
    assert_int_equal(data.size, 0);
    assert_int_equal(io_read_file(io, at("f"), 7, &data), 0);
    assert_int_equal(data.size, 7);
    assert_memory_equal(data.data, "second!", 7);
    assert_int_equal(io_read_file(io, at("f.new"), 99, &data), -ENOENT);
    assert_int_equal(io_write_file(io, at("none/f"), "x", 1), -ENOENT);
    buffer_free(&data);
}

static void locks(void **state)
{
    (void)state;
    struct io *io = io_posix();
    struct io_file *a, *b;
    assert_int_equal(io_write_file(io, at("l"), "", 0), 0);
    assert_int_equal(io_open(io, at("l"), IO_WRITE, &a), 0);
    assert_int_equal(io_open(io, at("l"), IO_WRITE, &b), 0);
    assert_int_equal(io_lock(a), 0);
    assert_int_equal(io_lock(b), -EAGAIN);
    io_close(a);
    assert_int_equal(io_lock(b), 0);
    io_close(b);
}

static void nodes(void **state)
{
    (void)state;
    struct io *io = io_posix();
    struct io_file *file;
    struct io_node open, there;
    assert_int_equal(io_node_at(io, at("a"), &there), -ENOENT);
    assert_int_equal(io_write_file(io, at("a"), "one", 3), 0);
    assert_int_equal(io_open(io, at("a"), IO_READ, &file), 0);
    assert_int_equal(io_node(file, &open), 0);
    assert_int_equal(io_node_at(io, at("a"), &there), 0);
    assert_int_equal(open.device, there.device);
    assert_int_equal(open.number, there.number);
    assert_int_equal(io_is_at(file, at("a")), 0);
    assert_int_equal(io_write_file(io, at("a"), "two", 3), 0);
    assert_int_equal(io_is_at(file, at("a")), -ENOENT);
    assert_int_equal(io_unlink(io, at("a")), 0);
    assert_int_equal(io_is_at(file, at("a")), -ENOENT);
    io_close(file);
}

static void space(void **state)
{
    (void)state;
    struct io_space space;
    assert_int_equal(io_space(io_posix(), root, &space), 0);
    assert_true(space.total > 0);
    assert_true(space.free <= space.total);
    assert_int_equal(io_space(io_posix(), at("none"), &space), -ENOENT);
    io_free(io_posix());
}

static unsigned resident_pages(const char *path, size_t size, bool drop)
{
    unsigned char resident[16] = {0};
    unsigned count = 0;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && size / 4096 <= sizeof(resident));
    if (drop) {
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    }
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, size, resident), 0);
    for (size_t i = 0; i < size / 4096; i++) {
        count += resident[i] & 1;
    }
    munmap(map, size);
    close(fd);
    return count;
}

static bool has_direct(const char *path)
{
    int fd = open(path, O_WRONLY | O_DIRECT);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

/* Past the page cache what fits, and all of it whether it fits or not. */
static void direct_writes(void **state)
{
    (void)state;
    enum { PAGES = 4, SIZE = PAGES * 4096 };
    struct io *io = io_posix();
    struct io_file *file;
    static _Alignas(4096) uint8_t data[SIZE + 4096];
    static uint8_t want[SIZE], got[SIZE];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31 >> 3);
    }
    assert_int_equal(io_open(io, at("w"), IO_WRITE | IO_CREATE, &file), 0);
    assert_int_equal(io_pwrite_direct(file, data, SIZE, 0), 0);
    assert_int_equal(io_fdatasync(file), 0);
    if (has_direct(at("w"))) {
        unsigned left = resident_pages(at("w"), SIZE, false);
        assert_int_equal(left, resident_pages(at("w"), SIZE, true));
    }
    memcpy(want, data, SIZE);
    static const size_t writes[][3] = {/* of data, at, bytes */
                                       {4096, 0, 4096}, {4096, 8192, 8192},
                                       {1, 4096, 4096}, {8192, 100, 4096},
                                       {0, 4096, 5000}, {0, 7, 1}};
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        const size_t *w = writes[i];
        assert_int_equal(io_pwrite(file, data + w[0] / 2, w[2], w[1]), 0);
        assert_int_equal(io_pwrite_direct(file, data + w[0], w[2], w[1]), 0);
        memcpy(want + w[1], data + w[0], w[2]);
        assert_int_equal(io_pread(file, got, SIZE, 0), 0);
        assert_memory_equal(got, want, SIZE);
    }
    io_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files, setup, teardown),
        cmocka_unit_test_setup_teardown(direct, setup, teardown),
        cmocka_unit_test_setup_teardown(direct_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(directories, setup, teardown),
        cmocka_unit_test_setup_teardown(small_files, setup, teardown),
        cmocka_unit_test_setup_teardown(locks, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(space, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
