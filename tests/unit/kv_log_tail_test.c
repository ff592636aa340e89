/*
 * A power cut leaves a log with its last record in pieces: where the whole ones
 * end, in a real log of LevelDB's.
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
    char directory[64], log_name[NAME_MAX + 1];
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

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct kv *kv;

    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    strcpy(f->directory, "/tmp/meta_log_tail_test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    assert_int_equal(leveldb_open_unsynced(io_posix(), NULL, f->directory, &kv),
                     0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_truncation_point),
        cmocka_unit_test(test_zeroed_sectors),
        cmocka_unit_test(test_damage_before_the_last_record),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
