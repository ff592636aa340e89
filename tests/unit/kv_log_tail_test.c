/*
 * A power cut leaves the newest log with its last record in pieces: every
 * record synced before survives, and the store opens. Real LevelDB logs.
 */
#include "kv/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RECORDS 26
#define BLOCK   32768u
#define SECTOR  512u

/* A store that was closed, its log, and where its records end. */
struct fixture {
    char directory[64], copy[64], log_name[NAME_MAX + 1];
    struct buffer log;
    size_t ends[RECORDS];
};

/* Of values: within a block, over two, and over three of them. */
static size_t value_size(unsigned i)
{
    return i == 12 ? 40000 : i == 20 ? 70000 : 37 + 131 * i;
}

static void value_of(unsigned i, char *out)
{
    size_t size = value_size(i);

    for (size_t at = 0; at < size; at++) {
        out[at] = (char)('a' + (at * 7 + i) % 26);
    }
    out[size] = '\0';
}

static int put(struct kv *kv, unsigned i)
{
    struct kv_batch *batch = kv_batch_new();
    char *value = xmalloc(value_size(i) + 1);
    char key[16];
    int rc;

    value_of(i, value);
    snprintf(key, sizeof(key), "key%02u", i);
    kv_batch_put(batch, slice_from_string(key), slice_from_string(value));
    rc = kv_commit(kv, batch);
    kv_batch_free(batch);
    free(value);
    return rc;
}

static bool has(struct kv *kv, unsigned i)
{
    struct arena *arena = arena_new();
    char *value = xmalloc(value_size(i) + 1);
    struct slice found;
    char key[16];
    int rc;

    value_of(i, value);
    snprintf(key, sizeof(key), "key%02u", i);
    rc = kv_get(kv, arena, slice_from_string(key), &found);
    if (rc == 0) {
        assert_true(slice_equal_string(found, value));
    } else {
        assert_int_equal(rc, -ENOENT);
    }
    free(value);
    arena_free(arena);
    return rc == 0;
}

/* --- files -----------------------------------------------------------------*/

static void path_of(char out[512], const char *directory, const char *name)
{
    snprintf(out, 512, "%s/%s", directory, name);
}

static void read_file(const char *directory, const char *name,
                      struct buffer *out)
{
    uint8_t bytes[4096];
    char path[512];
    FILE *file;
    size_t n;

    path_of(path, directory, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    out->size = 0;
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0) {
        buffer_append(out, bytes, n);
    }
    fclose(file);
}

static void write_file(const char *directory, const char *name,
                       const uint8_t *data, size_t size)
{
    char path[512];
    FILE *file;

    path_of(path, directory, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static bool exists(const char *directory, const char *name)
{
    char path[512];

    path_of(path, directory, name);
    return access(path, F_OK) == 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_all(const char *directory)
{
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void find_log(struct fixture *f)
{
    DIR *dir = opendir(f->directory);
    struct dirent *entry;
    unsigned logs = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        size_t size = strlen(entry->d_name);

        if (size > 4 && strcmp(entry->d_name + size - 4, ".log") == 0) {
            strcpy(f->log_name, entry->d_name);
            logs++;
        }
    }
    closedir(dir);
    assert_int_equal(logs, 1);
}

static void copy_store(struct fixture *f)
{
    DIR *dir = opendir(f->directory);
    struct buffer data = {0};
    struct dirent *entry;

    assert_non_null(dir);
    strcpy(f->copy, "/tmp/meta_log_tail_test.XXXXXX");
    assert_non_null(mkdtemp(f->copy));
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_type == DT_REG) {
            read_file(f->directory, entry->d_name, &data);
            write_file(f->copy, entry->d_name, data.data, data.size);
        }
    }
    closedir(dir);
    buffer_free(&data);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct kv *kv;

    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    strcpy(f->directory, "/tmp/meta_log_tail_test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    assert_int_equal(kv_open_leveldb(f->directory, &kv), 0);
    find_log(f);
    for (unsigned i = 0; i < RECORDS; i++) {
        assert_int_equal(put(kv, i), 0);
        read_file(f->directory, f->log_name, &f->log);
        f->ends[i] = f->log.size;
    }
    kv_close(kv);
    assert_true(f->log.size > 4 * BLOCK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    remove_all(f->directory);
    buffer_free(&f->log);
    free(f);
    return 0;
}

/* --- what is whole ---------------------------------------------------------*/

/* Records that end at or before `size`. */
static unsigned whole_records(const struct fixture *f, size_t size)
{
    unsigned count = 0;

    while (count < RECORDS && f->ends[count] <= size) {
        count++;
    }
    return count;
}

static size_t end_of(const struct fixture *f, unsigned records)
{
    return records == 0 ? 0 : f->ends[records - 1];
}

static void test_every_truncation_point(void **state)
{
    struct fixture *f = *state;
    size_t whole;

    for (size_t size = 0; size <= f->log.size; size++) {
        size_t end = end_of(f, whole_records(f, size));
        size_t room = BLOCK - end % BLOCK;

        /* The unused end of a block is no piece of a record. */
        if (room < 7 && size - end <= room) {
            end = size;
        }
        assert_int_equal(log_tail_find(f->log.data, size, &whole), 0);
        assert_int_equal(whole, end);
    }
}

/* The last record with some of its sectors zero, as bits of `lost` say. */
static size_t tear(const struct fixture *f, unsigned records, uint64_t lost,
                   struct buffer *log)
{
    size_t from = end_of(f, records - 1), to = end_of(f, records);

    log->size = 0;
    buffer_append(log, f->log.data, to);
    for (size_t at = from; at < to; at++) {
        if (lost >> ((at / SECTOR - from / SECTOR) % 64) & 1) {
            log->data[at] = 0;
        }
    }
    return memcmp(log->data, f->log.data, to) == 0 ? to : from;
}

static void test_zeroed_sectors(void **state)
{
    struct fixture *f = *state;
    struct buffer log = {0};
    uint64_t random = 1;
    size_t whole, expected;

    for (unsigned records = 1; records <= RECORDS; records++) {
        for (unsigned round = 0; round < 200; round++) {
            uint64_t lost = round < 64    ? UINT64_C(1) << round
                            : round < 128 ? UINT64_MAX << (round - 64)
                                          : random;

            random = random * 6364136223846793005u + 1442695040888963407u;
            expected = tear(f, records, lost, &log);
            assert_int_equal(log_tail_find(log.data, log.size, &whole), 0);
            assert_int_equal(whole, expected);
            /* Cut short as well, or longer than was written. */
            if (expected < log.size) {
                size_t size = log.size;

                assert_int_equal(log_tail_find(log.data, size - 1, &whole), 0);
                assert_int_equal(whole, expected);
                buffer_reserve(&log, size + 5000);
                memset(log.data + size, 0, 5000);
                assert_int_equal(log_tail_find(log.data, size + 5000, &whole),
                                 0);
                assert_int_equal(whole, expected);
            }
        }
    }
    buffer_free(&log);
}

/* No acknowledged record is ever cut off: not for one bit before the last
 * record, wherever it is. */
static void test_damage_before_the_last_record(void **state)
{
    struct fixture *f = *state;
    size_t last = end_of(f, RECORDS - 1), whole;

    for (size_t at = 0; at < f->log.size; at += at % 2048 < 64 ? 1 : 13) {
        size_t end = end_of(f, whole_records(f, at));
        size_t room = BLOCK - end % BLOCK;

        if (room < 7 && at - end < room) {
            continue; /* not used */
        }
        f->log.data[at] ^= (uint8_t)(1u << (at % 8));
        if (at < last) {
            assert_int_equal(log_tail_find(f->log.data, f->log.size, &whole),
                             -EBADMSG);
        } else {
            assert_int_equal(log_tail_find(f->log.data, f->log.size, &whole),
                             0);
            assert_int_equal(whole, last);
        }
        f->log.data[at] ^= (uint8_t)(1u << (at % 8));
    }
    assert_int_equal(log_tail_find(f->log.data, f->log.size, &whole), 0);
    assert_int_equal(whole, f->log.size);
}

/* --- the store -------------------------------------------------------------*/

/* Opens a copy of the store with this log: the first `records` are there, no
 * other, it takes more, and what was cut off is kept. */
static void check_opens(struct fixture *f, const uint8_t *log, size_t size,
                        unsigned records)
{
    size_t whole;
    struct kv *kv;

    copy_store(f);
    write_file(f->copy, f->log_name, log, size);
    assert_int_equal(log_tail_find(log, size, &whole), 0);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(kv_open_leveldb(f->copy, &kv), 0);
        for (unsigned i = 0; i < RECORDS; i++) {
            assert_int_equal(has(kv, i), i < records + round);
        }
        if (round == 0 && records < RECORDS) {
            assert_int_equal(put(kv, records), 0);
        }
        kv_close(kv);
        if (records == RECORDS) {
            break;
        }
    }
    assert_int_equal(exists(f->copy, "lost-tail-1"), whole < size);
    if (whole < size) {
        struct buffer lost = {0};

        read_file(f->copy, "lost-tail-1", &lost);
        assert_int_equal(lost.size, size - whole);
        assert_memory_equal(lost.data, log + whole, lost.size);
        buffer_free(&lost);
    }
    assert_false(exists(f->copy, "lost-tail-2"));
    remove_all(f->copy);
}

static void test_truncated_stores_open(void **state)
{
    static const unsigned some[] = {1, 2, 12, 13, 14, 20, 21, 22, RECORDS};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        size_t from = end_of(f, some[i] - 1), to = end_of(f, some[i]);
        const size_t sizes[] = {from,     from + 1,        from + 6,
                                from + 7, (from + to) / 2, to - 1};

        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            check_opens(f, f->log.data, sizes[j], some[i] - 1);
        }
        check_opens(f, f->log.data, to, some[i]);
    }
}

static void test_torn_stores_open(void **state)
{
    static const unsigned some[] = {1, 5, 12, 13, 14, 20, 21, 22, RECORDS};
    struct fixture *f = *state;
    struct buffer log = {0};

    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        for (unsigned shift = 0; shift < 64; shift += 9) {
            size_t whole = tear(f, some[i], UINT64_MAX << shift, &log);

            check_opens(f, log.data, log.size,
                        whole == log.size ? some[i] : some[i] - 1);
            whole =
                tear(f, some[i], UINT64_C(0x0000010000010101) << shift, &log);
            check_opens(f, log.data, log.size,
                        whole == log.size ? some[i] : some[i] - 1);
        }
    }
    buffer_free(&log);
}

static void test_damaged_store_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct buffer log = {0}, after = {0};
    struct kv *kv = NULL;

    copy_store(f);
    buffer_append(&log, f->log.data, f->log.size);
    log.data[f->ends[12] - 9] ^= 4;
    write_file(f->copy, f->log_name, log.data, log.size);
    assert_int_equal(kv_open_leveldb(f->copy, &kv), -EIO);
    assert_null(kv);
    read_file(f->copy, f->log_name, &after);
    assert_int_equal(after.size, log.size);
    assert_memory_equal(after.data, log.data, log.size);
    assert_false(exists(f->copy, "lost-tail-1"));
    /* And it is not kept locked. */
    write_file(f->copy, f->log_name, f->log.data, f->log.size);
    assert_int_equal(kv_open_leveldb(f->copy, &kv), 0);
    assert_true(has(kv, RECORDS - 1));
    kv_close(kv);
    remove_all(f->copy);
    buffer_free(&log);
    buffer_free(&after);
}

/* Whoever finds the store in use must not touch what is being written. */
static void test_store_in_use_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct kv *kv, *second = NULL;
    struct stat before, after;
    char path[512];
    int fd;

    copy_store(f);
    assert_int_equal(kv_open_leveldb(f->copy, &kv), 0);
    path_of(path, f->copy, "999999.log");
    write_file(f->copy, "999999.log", f->log.data, f->ends[3] - 1);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(kv_open_leveldb(f->copy, &second), -EIO);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_null(second);
    kv_close(kv);

    /* The newest one is repaired, by number; tails are kept side by side. */
    write_file(f->copy, "lost-tail-1", f->log.data, 1);
    write_file(f->copy, "1000000.log", f->log.data, f->ends[5] - 1);
    fd = open(f->copy, O_RDONLY | O_DIRECTORY);
    assert_int_equal(log_tail_repair(fd), 0);
    close(fd);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    path_of(path, f->copy, "1000000.log");
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, f->ends[4]);
    path_of(path, f->copy, "lost-tail-2");
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, f->ends[5] - 1 - f->ends[4]);
    remove_all(f->copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_truncation_point),
        cmocka_unit_test(test_zeroed_sectors),
        cmocka_unit_test(test_damage_before_the_last_record),
        cmocka_unit_test(test_truncated_stores_open),
        cmocka_unit_test(test_torn_stores_open),
        cmocka_unit_test(test_damaged_store_is_left_alone),
        cmocka_unit_test(test_store_in_use_is_left_alone),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
