/* The journal on the simulated disk: order, power cuts, damage, cursors. */
#include "kv/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "/m/journal"

struct fixture {
    struct io *io;
    struct journal *journal;
};

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->io = io_sim_new(7, UINT64_C(1) << 30);
    assert_int_equal(io_mkdir(fixture->io, "/m"), 0);
    assert_int_equal(io_sync_dir(fixture->io, "/"), 0);
    assert_int_equal(journal_open(fixture->io, DIRECTORY, JOURNAL_SEGMENT_MAX,
                                  &fixture->journal),
                     0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    journal_close(fixture->journal);
    io_free(fixture->io);
    free(fixture);
    return 0;
}

static void append(struct fixture *fixture, uint64_t seq, size_t size)
{
    uint8_t *payload = xmalloc(size);

    memset(payload, (int)(seq & 0xff), size);
    assert_int_equal(
        journal_append(fixture->journal, 1, slice_of(payload, size)), 0);
    free(payload);
}

static void expect_range(struct fixture *fixture, uint64_t first, uint64_t last)
{
    uint64_t is_first, is_last;

    journal_range(fixture->journal, &is_first, &is_last);
    assert_int_equal(is_first, first);
    assert_int_equal(is_last, last);
}

static int reopen(struct fixture *fixture)
{
    journal_close(fixture->journal);
    fixture->journal = NULL;
    return journal_open(fixture->io, DIRECTORY, JOURNAL_SEGMENT_MAX,
                        &fixture->journal);
}

static void expect_groups(struct fixture *fixture, uint64_t from, uint64_t last,
                          size_t size)
{
    struct journal_cursor *cursor = journal_cursor_new(fixture->journal, from);
    struct buffer payload = {0};
    uint64_t seq;

    for (uint64_t expected = from; expected <= last; expected++) {
        assert_int_equal(journal_cursor_next(cursor, &seq, &payload), 0);
        assert_int_equal(seq, expected);
        assert_int_equal(payload.size, size);
        assert_int_equal(payload.data[0], expected & 0xff);
        assert_int_equal(payload.data[size - 1], expected & 0xff);
    }
    assert_int_equal(journal_cursor_next(cursor, &seq, &payload), -ENOENT);
    buffer_free(&payload);
    journal_cursor_free(cursor);
}

static void test_groups_come_back(void **state)
{
    struct fixture *fixture = *state;

    expect_range(fixture, 1, 0);
    for (uint64_t seq = 1; seq <= 20; seq++) {
        append(fixture, seq, 100);
    }
    assert_int_equal(journal_sync(fixture->journal), 0);
    expect_range(fixture, 1, 20);
    expect_groups(fixture, 1, 20, 100);
    expect_groups(fixture, 7, 20, 100);
    assert_int_equal(reopen(fixture), 0);
    expect_range(fixture, 1, 20);
    expect_groups(fixture, 20, 20, 100);
}

/* What was synced is there after a power cut; of the rest, nothing in pieces;
 * and what is read once stays. */
static void test_power_cut(void **state)
{
    struct fixture *fixture = *state;
    uint64_t synced = 0, first, last = 0;

    for (unsigned round = 0; round < 60; round++) {
        append(fixture, last + 1, 3000);
        assert_int_equal(journal_sync(fixture->journal), 0);
        synced = last + 1;
        append(fixture, last + 2, 3000);
        io_sim_crash(fixture->io);
        assert_int_equal(reopen(fixture), 0);
        journal_range(fixture->journal, &first, &last);
        assert_int_equal(first, 1);
        assert_in_range(last, synced, synced + 1);
        io_sim_crash(fixture->io);
        assert_int_equal(reopen(fixture), 0);
        expect_range(fixture, 1, last);
    }
    expect_groups(fixture, 1, last, 3000);
}

static void test_segments_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = JOURNAL_SEGMENT_MAX / 2;

    for (uint64_t seq = 1; seq <= 7; seq++) { /* two a segment */
        append(fixture, seq, size);
        assert_int_equal(journal_sync(fixture->journal), 0);
    }
    assert_int_equal(journal_segment(fixture->journal), 7);
    assert_int_equal(journal_drop(fixture->journal, 4), 0);
    expect_range(fixture, 3, 7);
    assert_int_equal(journal_drop(fixture->journal, 100), 0);
    expect_range(fixture, 7, 7); /* the last one stays */
    io_sim_crash(fixture->io);
    assert_int_equal(reopen(fixture), 0);
    expect_range(fixture, 7, 7);
    append(fixture, 8, 10);
    expect_range(fixture, 7, 8);
}

static void test_damage_with_groups_behind(void **state)
{
    struct fixture *fixture = *state;
    struct io_file *file;
    const char *path = DIRECTORY "/0000000000000001";
    uint8_t byte;

    for (uint64_t seq = 1; seq <= 5; seq++) {
        append(fixture, seq, 1000);
    }
    assert_int_equal(journal_sync(fixture->journal), 0);
    assert_int_equal(io_open(fixture->io, path, IO_WRITE, &file), 0);
    assert_int_equal(io_pread(file, &byte, 1, 2500), 0); /* in the third */
    byte ^= 0x10;
    assert_int_equal(io_pwrite(file, &byte, 1, 2500), 0);
    assert_int_equal(reopen(fixture), -EBADMSG);
    byte ^= 0x10;
    assert_int_equal(io_pwrite(file, &byte, 1, 2500), 0);
    assert_int_equal(journal_open(fixture->io, DIRECTORY, JOURNAL_SEGMENT_MAX,
                                  &fixture->journal),
                     0);
    expect_range(fixture, 1, 5);
    journal_close(fixture->journal);
    /* In the last one it is taken for torn. */
    assert_int_equal(io_pread(file, &byte, 1, 4 * 1032 + 100), 0);
    byte ^= 0x10;
    assert_int_equal(io_pwrite(file, &byte, 1, 4 * 1032 + 100), 0);
    assert_int_equal(journal_open(fixture->io, DIRECTORY, JOURNAL_SEGMENT_MAX,
                                  &fixture->journal),
                     0);
    expect_range(fixture, 1, 4);
    io_close(file);
}

static void test_missing_segment(void **state)
{
    struct fixture *fixture = *state;

    append(fixture, 1, 10);
    assert_int_equal(reopen(fixture), 0);
    append(fixture, 2, 10);
    assert_int_equal(reopen(fixture), 0);
    append(fixture, 3, 10);
    assert_int_equal(journal_sync(fixture->journal), 0);
    assert_int_equal(io_unlink(fixture->io, DIRECTORY "/0000000000000002"), 0);
    assert_int_equal(reopen(fixture), -EBADMSG);
}

static void test_failures_are_final(void **state)
{
    struct fixture *fixture = *state;

    append(fixture, 1, 10);
    assert_int_equal(journal_sync(fixture->journal), 0);
    io_sim_fail_after(fixture->io, 0, EIO, 1);
    assert_int_equal(
        journal_append(fixture->journal, 1, SLICE_LITERAL("group")), -EIO);
    assert_int_equal(
        journal_append(fixture->journal, 1, SLICE_LITERAL("group")), -EIO);
    assert_int_equal(journal_sync(fixture->journal), -EIO);
    assert_int_equal(reopen(fixture), 0);
    expect_range(fixture, 1, 1);
}

static void test_reset(void **state)
{
    struct fixture *fixture = *state;

    append(fixture, 1, 10);
    append(fixture, 2, 10);
    assert_int_equal(journal_reset(fixture->journal, 900), 0);
    expect_range(fixture, 900, 899);
    io_sim_crash(fixture->io);
    assert_int_equal(reopen(fixture), 0);
    expect_range(fixture, 900, 899); /* also if it is empty */
    for (unsigned round = 0; round < 10; round++) {
        uint64_t first, last;

        append(fixture, 900, 10);
        io_sim_crash(fixture->io);
        assert_int_equal(reopen(fixture), 0);
        journal_range(fixture->journal, &first, &last);
        assert_int_equal(first, 900);
        assert_in_range(last, 899, 900);
        if (last == 900) {
            break;
        }
    }
    assert_int_equal(journal_reset(fixture->journal, 900), 0);
    assert_int_equal(journal_reset(fixture->journal, 900), 0);
    append(fixture, 900, 10);
    assert_int_equal(journal_sync(fixture->journal), 0);
    assert_int_equal(reopen(fixture), 0);
    expect_range(fixture, 900, 900);
}

/* A cursor follows what is appended behind it, over segments. */
static void test_cursor_follows(void **state)
{
    struct fixture *fixture = *state;
    struct journal_cursor *cursor = journal_cursor_new(fixture->journal, 1);
    struct buffer payload = {0};
    uint64_t seq;

    assert_int_equal(journal_cursor_next(cursor, &seq, &payload), -ENOENT);
    for (uint64_t i = 1; i <= 9; i++) {
        append(fixture, i, JOURNAL_SEGMENT_MAX / 3);
        assert_int_equal(journal_cursor_next(cursor, &seq, &payload), 0);
        assert_int_equal(seq, i);
        assert_int_equal(journal_cursor_next(cursor, &seq, &payload), -ENOENT);
    }
    buffer_free(&payload);
    journal_cursor_free(cursor);
}

static void expect_viewed(struct journal_view *view, uint64_t seq)
{
    struct buffer payload = {0};
    uint32_t written = 0;

    assert_int_equal(journal_view_next(view, &written, &payload), 0);
    assert_true(written > 0);
    assert_int_equal(payload.data[0], seq);
    buffer_free(&payload);
}

/* A view goes on while the journal is written, dropped and closed. */
static void test_views(void **state)
{
    struct fixture *fixture = *state;
    struct journal_view *view, *late;
    struct buffer payload = {0};
    uint32_t written;

    assert_int_equal(journal_view_open(fixture->io, DIRECTORY, 1, &view),
                     -ERANGE);
    append(fixture, 1, JOURNAL_SEGMENT_MAX / 3);
    assert_int_equal(journal_view_open(fixture->io, DIRECTORY, 3, &view),
                     -ERANGE);
    assert_int_equal(journal_view_open(fixture->io, DIRECTORY, 1, &view), 0);
    expect_viewed(view, 1);
    assert_int_equal(journal_view_next(view, &written, &payload), -ENOENT);
    for (uint64_t i = 2; i <= 9; i++) {
        append(fixture, i, JOURNAL_SEGMENT_MAX / 3);
        expect_viewed(view, i);
    }
    assert_int_equal(journal_view_open(fixture->io, DIRECTORY, 8, &late), 0);
    assert_int_equal(journal_drop(fixture->journal, 9), 0);
    expect_viewed(late, 8);
    journal_view_close(late);
    assert_int_equal(journal_view_open(fixture->io, DIRECTORY, 1, &late),
                     -ERANGE);
    assert_int_equal(journal_view_open(fixture->io, DIRECTORY, 10, &late), 0);
    append(fixture, 10, 16);
    expect_viewed(late, 10);
    expect_viewed(view, 10);
    journal_view_close(late);
    journal_view_close(view);
    buffer_free(&payload);
}

/* The bytes of docs/disk-format.md. */
static void test_golden(void **state)
{
    static const uint8_t expected[] = {
        'J',  'S',  '3',  'G',  0x00, 0x00, 0x00, 0x00, 0x05, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 'g',  'r',  'o',  'u',  'p',  0x00, 0x00, 0x00};
    struct fixture *fixture = *state;
    struct buffer data = {0};

    assert_int_equal(
        journal_append(fixture->journal, 3, SLICE_LITERAL("group")), 0);
    assert_int_equal(
        io_read_file(fixture->io, DIRECTORY "/0000000000000001", 4096, &data),
        0);
    assert_int_equal(data.size, sizeof(expected));
    assert_int_equal(get_u32le(data.data + 4),
                     crc32c_bytes(data.data + 8, 24 + 5));
    assert_in_range(get_u32le(data.data + 12), clock_wall_ms() / 1000 - 60,
                    clock_wall_ms() / 1000);
    put_u32le(data.data + 12, 0);
    assert_int_equal(crc32c_bytes(data.data + 8, 24 + 5), 0x6664cbf5u);
    memset(data.data + 4, 0, 4);
    assert_memory_equal(data.data, expected, sizeof(expected));
    buffer_free(&data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_groups_come_back),
        TEST(test_views),
        TEST(test_power_cut),
        TEST(test_segments_are_dropped),
        TEST(test_damage_with_groups_behind),
        TEST(test_missing_segment),
        TEST(test_failures_are_final),
        TEST(test_reset),
        TEST(test_cursor_follows),
        TEST(test_golden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
