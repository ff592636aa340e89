/*
 * The store under metadata: the same tests on LevelDB and in memory, and what
 * is particular to each.
 */
#include "kv/private.h"
#include "meta/meta.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kv_store.h"

struct fixture {
    bool leveldb;
    char directory[64];
    struct kv *kv;
    struct arena *arena;
};

static void open_store(struct fixture *f)
{
    if (f->leveldb) {
        assert_int_equal(kv_store_open(f->directory, &f->kv), 0);
    } else {
        f->kv = kv_open_memory();
    }
}

static int setup(void **state, bool leveldb)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->leveldb = leveldb;
    strcpy(f->directory, "/tmp/meta_kv_test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->arena = arena_new();
    open_store(f);
    *state = f;
    return 0;
}

static int setup_leveldb(void **state)
{
    return setup(state, true);
}

static int setup_memory(void **state)
{
    return setup(state, false);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    kv_close(f->kv);
    arena_free(f->arena);
    kv_store_remove(f->directory);
    free(f);
    return 0;
}

static int put(struct kv *kv, const char *key, const char *value)
{
    struct kv_batch *batch = kv_batch_new();
    int rc;

    kv_batch_put(batch, slice_from_string(key), slice_from_string(value));
    rc = kv_commit(kv, batch);
    kv_batch_free(batch);
    return rc;
}

static void expect(struct fixture *f, const char *key, const char *value)
{
    struct slice found;
    int rc = kv_get(f->kv, f->arena, slice_from_string(key), &found);

    if (value == NULL) {
        assert_int_equal(rc, -ENOENT);
        return;
    }
    assert_int_equal(rc, 0);
    assert_true(slice_equal_string(found, value));
}

static void test_put_get_delete(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new();

    expect(f, "a", NULL);
    assert_int_equal(put(f->kv, "a", "1"), 0);
    expect(f, "a", "1");
    expect(f, "aa", NULL);
    expect(f, "A", NULL);
    kv_batch_delete(batch, SLICE_LITERAL("a"));
    kv_batch_delete(batch, SLICE_LITERAL("not there"));
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    expect(f, "a", NULL);
}

/* Later changes of a batch win; an empty value is a value. */
static void test_order_in_batch(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new();

    kv_batch_put(batch, SLICE_LITERAL("a"), SLICE_LITERAL("1"));
    kv_batch_put(batch, SLICE_LITERAL("b"), SLICE_LITERAL("1"));
    kv_batch_put(batch, SLICE_LITERAL("a"), SLICE_LITERAL("2"));
    kv_batch_delete(batch, SLICE_LITERAL("b"));
    kv_batch_delete(batch, SLICE_LITERAL("c"));
    kv_batch_put(batch, SLICE_LITERAL("c"), (struct slice){NULL, 0});
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    expect(f, "a", "2");
    expect(f, "b", NULL);
    expect(f, "c", "");
}

static void test_empty_batch(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new();

    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
}

static void test_iterate_in_order(void **state)
{
    static const char *const sorted[] = {"a", "a\x01", "ab", "b", "\xFF"};
    struct fixture *f = *state;
    struct kv_iterator *it;
    size_t i;

    for (i = 5; i > 0; i--) {
        assert_int_equal(put(f->kv, sorted[i - 1], "v"), 0);
    }
    it = kv_iterate(f->kv);
    kv_seek(it, SLICE_LITERAL("\x00"));
    for (i = 0; i < 5; i++) {
        assert_true(kv_valid(it));
        assert_true(slice_equal_string(kv_key(it), sorted[i]));
        assert_true(slice_equal_string(kv_value(it), "v"));
        kv_next(it);
    }
    assert_false(kv_valid(it));
    assert_int_equal(kv_error(it), 0);
    kv_seek(it, SLICE_LITERAL("aa"));
    assert_true(slice_equal_string(kv_key(it), "ab"));
    kv_seek(it, SLICE_LITERAL("ab"));
    assert_true(slice_equal_string(kv_key(it), "ab"));
    kv_seek(it, SLICE_LITERAL("\xFF\xFF"));
    assert_false(kv_valid(it));
    kv_iterator_free(it);
}

static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new();
    struct kv_iterator *it;

    put(f->kv, "a", "old");
    put(f->kv, "b", "old");
    it = kv_iterate(f->kv);
    kv_batch_put(batch, SLICE_LITERAL("a"), SLICE_LITERAL("new"));
    kv_batch_delete(batch, SLICE_LITERAL("b"));
    kv_batch_put(batch, SLICE_LITERAL("c"), SLICE_LITERAL("new"));
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    kv_seek(it, SLICE_LITERAL("a"));
    assert_true(slice_equal_string(kv_value(it), "old"));
    kv_next(it);
    assert_true(slice_equal_string(kv_key(it), "b"));
    assert_true(slice_equal_string(kv_value(it), "old"));
    kv_next(it);
    assert_false(kv_valid(it));
    kv_iterator_free(it);
    expect(f, "a", "new");
    expect(f, "b", NULL);
    expect(f, "c", "new");
}

#define WRITERS 8
#define COMMITS 50

struct writer {
    struct kv *kv;
    unsigned number;
};

static void *write_many(void *argument)
{
    struct writer *writer = argument;
    char key[32];
    unsigned i;

    for (i = 0; i < COMMITS; i++) {
        snprintf(key, sizeof(key), "%02u-%04u", writer->number, i);
        if (put(writer->kv, key, key) != 0) {
            return writer;
        }
    }
    return NULL;
}

static void test_concurrent_commits(void **state)
{
    struct fixture *f = *state;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct kv_iterator *it;
    unsigned i, count = 0;
    void *failed;

    for (i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){f->kv, i};
        pthread_create(&threads[i], NULL, write_many, &writers[i]);
    }
    for (i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    it = kv_iterate(f->kv);
    for (kv_seek(it, SLICE_LITERAL("0")); kv_valid(it); kv_next(it)) {
        assert_true(slice_equal(kv_key(it), kv_value(it)));
        count++;
    }
    assert_int_equal(kv_error(it), 0);
    kv_iterator_free(it);
    assert_int_equal(count, WRITERS * COMMITS);
}

static void test_reopen(void **state)
{
    struct fixture *f = *state;

    put(f->kv, "a", "1");
    kv_close(f->kv);
    f->kv = NULL;
    open_store(f);
    expect(f, "a", "1");
}

static void test_second_open_is_refused(void **state)
{
    struct fixture *f = *state;
    struct kv *second = NULL;

    assert_int_equal(kv_store_open(f->directory, &second), -EAGAIN);
    assert_null(second);
}

/* Opening a store that is damaged fails and leaves nothing behind. */
static void test_damaged_store_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];
    FILE *file;

    put(f->kv, "a", "1");
    kv_close(f->kv);
    f->kv = NULL;
    snprintf(path, sizeof(path), "%s/db/CURRENT", f->directory);
    file = fopen(path, "w");
    fputs("nonsense", file);
    fclose(file);
    assert_int_equal(kv_store_open(f->directory, &f->kv), -EINVAL);
    assert_null(f->kv);
}

static void test_poisoned_after_failure(void **state)
{
    struct fixture *f = *state;

    kv_memory_fail_after(f->kv, 1);
    assert_int_equal(put(f->kv, "a", "1"), 0);
    assert_int_equal(put(f->kv, "b", "1"), -EROFS);
    kv_memory_fail_after(f->kv, 100);
    assert_int_equal(put(f->kv, "c", "1"), -EROFS);
    expect(f, "a", "1");
    expect(f, "b", NULL);
    expect(f, "c", NULL);
}

static void set_reserve(const struct fixture *f, struct kv *kv, uint64_t bytes)
{
    const char *directory = f->directory;

    kv_set_reserve(kv, &directory, 1, bytes);
}

/* More than any disk has. */
#define NO_DISK (UINT64_C(1) << 62)

/* Below the reserve what needs room is refused, and only that. */
static void test_reserve(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new();

    assert_int_equal(kv_check_room(f->kv), 0);
    assert_int_equal(put(f->kv, "a", "1"), 0);
    set_reserve(f, f->kv, NO_DISK);
    assert_int_equal(kv_check_room(f->kv), -ENOSPC);
    assert_int_equal(put(f->kv, "b", "1"), -ENOSPC);
    kv_batch_delete(batch, SLICE_LITERAL("a"));
    kv_batch_put(batch, SLICE_LITERAL("mark"), (struct slice){NULL, 0});
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    batch = kv_batch_new();
    kv_batch_delete(batch, SLICE_LITERAL("mark"));
    kv_batch_put(batch, SLICE_LITERAL("c"), SLICE_LITERAL("1"));
    assert_int_equal(kv_commit(f->kv, batch), -ENOSPC);
    expect(f, "a", NULL);
    expect(f, "b", NULL);
    expect(f, "c", NULL);
    expect(f, "mark", "");
    kv_batch_essential(batch);
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    expect(f, "c", "1");
    expect(f, "mark", NULL);

    /* Nothing is poisoned. */
    set_reserve(f, f->kv, 1);
    assert_int_equal(put(f->kv, "b", "2"), 0);
    set_reserve(f, f->kv, 0);
    assert_int_equal(put(f->kv, "b", "3"), 0);
    expect(f, "b", "3");
}

/* Ids are needed to delete, too, and cannot be refused. */
static void test_reserve_leaves_ids(void **state)
{
    struct fixture *f = *state;
    struct meta *meta;
    uint64_t first;
    unsigned i;

    assert_int_equal(meta_open(f->kv, &meta), 0);
    f->kv = NULL;
    set_reserve(f, meta_kv(meta), NO_DISK);
    first = meta_next_id(meta);
    for (i = 1; i < 140000; i++) {
        assert_true(meta_next_id(meta) == first + i);
    }
    meta_close(meta);
}

/* Of an older s3d, a full store is taken over all the same. */
static void test_reserve_leaves_upgrades(void **state)
{
    struct fixture *f = *state;
    struct arena *arena = arena_new();
    struct meta_batch *batch;
    Meta__Cluster *cluster;
    struct meta *meta;

    assert_int_equal(meta_open(f->kv, &meta), 0);
    assert_int_equal(meta_get_cluster(meta, arena, &cluster), 0);
    cluster->format = 0;
    batch = meta_batch_new(meta);
    meta_put_cluster(batch, cluster);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    meta_close(meta);
    open_store(f);
    set_reserve(f, f->kv, NO_DISK);
    assert_int_equal(meta_open(f->kv, &meta), 0);
    f->kv = NULL;
    assert_int_equal(meta_get_cluster(meta, arena, &cluster), 0);
    assert_int_equal(cluster->format, META_FORMAT);
    meta_close(meta);
    arena_free(arena);
}

static void test_many_keys(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new();
    struct kv_iterator *it;
    char key[32], last[32] = "";
    unsigned i, count = 0;

    for (i = 0; i < 100000; i++) {
        snprintf(key, sizeof(key), "%08x", i * 2654435761u);
        kv_batch_put(batch, slice_from_string(key), slice_from_string(key));
    }
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    it = kv_iterate(f->kv);
    for (kv_seek(it, SLICE_LITERAL("0")); kv_valid(it); kv_next(it)) {
        assert_int_equal(kv_key(it).size, 8);
        memcpy(key, kv_key(it).data, 8);
        key[8] = '\0';
        assert_true(strcmp(key, last) > 0);
        strcpy(last, key);
        count++;
    }
    kv_iterator_free(it);
    assert_int_equal(count, 100000);
}

/* Damages the middle of the first table in the directory. */
static void damage_table(const char *directory)
{
    char path[400];
    struct dirent *entry;
    DIR *dir = opendir(directory);
    FILE *file;
    int byte;

    assert_non_null(dir);
    do {
        entry = readdir(dir);
        assert_non_null(entry);
    } while (strstr(entry->d_name, ".ldb") == NULL);
    snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
    closedir(dir);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(fseek(file, ftell(file) / 2, SEEK_SET), 0);
    byte = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    assert_int_equal(fputc(byte ^ 0x55, file), byte ^ 0x55);
    assert_int_equal(fclose(file), 0);
}

/* The database of a mirror, without its journal. */
static void open_table(struct fixture *f)
{
    assert_int_equal(
        leveldb_open_unsynced(io_posix(), NULL, f->directory, &f->kv), 0);
}

/* LevelDB itself goes on behind a block that it cannot read. */
static void test_damaged_block_ends_a_scan(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new();
    struct kv_iterator *it;
    char key[9], lost[sizeof(key)], value[101];
    unsigned i, seen = 0, passed = 0, hidden = 0;

    memset(value, 'v', 100);
    value[100] = '\0';
    for (i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "%08u", i);
        memcpy(value, key, 8);
        kv_batch_put(batch, slice_from_string(key), slice_from_string(value));
    }
    kv_close(f->kv);
    open_table(f);
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    assert_int_equal(f->kv->ops->checkpoint(f->kv), 0);
    kv_close(f->kv);
    damage_table(f->directory);
    open_table(f);

    it = kv_iterate(f->kv);
    for (kv_seek(it, SLICE_LITERAL("0")); kv_valid(it); kv_next(it)) {
        snprintf(key, sizeof(key), "%08u", seen++);
        assert_true(slice_equal_string(kv_key(it), key));
    }
    assert_int_equal(kv_error(it), -EIO);
    kv_iterator_free(it);
    assert_in_range(seen, 1, 1999);

    it = kv_iterate(f->kv);
    kv_ask_late(it);
    for (kv_seek(it, SLICE_LITERAL("0")); kv_valid(it); kv_next(it)) {
        passed++;
    }
    assert_in_range(passed, seen + 1, 1999);
    assert_int_equal(kv_error(it), -EIO);
    kv_seek(it, SLICE_LITERAL("0")); /* does not forget it */
    assert_false(kv_valid(it));
    kv_iterator_free(it);

    /* A key is found or its block is bad: none is taken for the next. */
    for (i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "%08u", i);
        it = kv_iterate(f->kv);
        kv_seek(it, slice_from_string(key));
        if (kv_valid(it)) {
            assert_true(slice_equal_string(kv_key(it), key));
        } else {
            assert_int_equal(kv_error(it), -EIO);
            hidden++;
            memcpy(lost, key, sizeof(lost));
        }
        kv_iterator_free(it);
    }
    assert_in_range(hidden, 1, 200);

    /* Where a failed seek has led to is no end of a range. */
    tidy_always(leveldb_tidy(f->kv), 1u << 20);
    for (i = 0; i < 2; i++) {
        it = kv_iterate(f->kv);
        if (i == 1) {
            kv_ask_late(it);
        }
        kv_seek(it, slice_from_string(lost));
        assert_false(kv_valid(it));
        assert_int_equal(kv_error(it), -EIO);
        kv_iterator_free(it);
    }
    assert_int_equal(tidy_wait(leveldb_tidy(f->kv)).pieces, 0);
}

static uint64_t table_files(struct kv *kv)
{
    struct kv_statistics statistics;
    uint64_t files = 0;

    assert_true(kv_statistics(kv, &statistics));
    for (unsigned level = 0; level < KV_LEVELS; level++) {
        files += statistics.levels[level].files;
    }
    return files;
}

static void change_keys(struct fixture *f, unsigned kind)
{
    struct kv_batch *batch = kv_batch_new();
    char key[9];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "P%07u", i);
        if (kind == KV_PUT) {
            kv_batch_put(batch, slice_from_string(key), SLICE_LITERAL("part"));
        } else {
            kv_batch_delete(batch, slice_from_string(key));
        }
    }
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    assert_int_equal(f->kv->ops->checkpoint(f->kv), 0);
}

static void seek_once(struct fixture *f, const char *key, bool found)
{
    struct kv_iterator *it = kv_iterate(f->kv);

    kv_seek(it, slice_from_string(key));
    assert_int_equal(kv_valid(it), found);
    assert_int_equal(kv_error(it), 0);
    kv_iterator_free(it);
}

/* What is left of keys that are gone goes when a seek over it is slow. */
static void test_slow_seek_compacts(void **state)
{
    struct fixture *f = *state;

    kv_close(f->kv);
    open_table(f);
    change_keys(f, KV_PUT);
    change_keys(f, KV_DELETE);
    assert_in_range(table_files(f->kv), 1, 4);
    seek_once(f, "O", false);
    kv_close(f->kv); /* would wait for it */
    open_table(f);
    assert_in_range(table_files(f->kv), 1, 4);
    tidy_always(leveldb_tidy(f->kv), 1u << 20);
    seek_once(f, "O", false);
    assert_int_equal(tidy_wait(leveldb_tidy(f->kv)).pieces, 1);
    kv_close(f->kv);
    open_table(f);
    assert_int_equal(table_files(f->kv), 0);

    /* And nothing else. */
    change_keys(f, KV_PUT);
    tidy_always(leveldb_tidy(f->kv), 1u << 20);
    seek_once(f, "O", true);
    tidy_wait(leveldb_tidy(f->kv));
    kv_close(f->kv);
    open_table(f);
    seek_once(f, "P0000999", true);
}

/* A long range goes in pieces, between which a stop is looked for. */
static void test_compacts_in_pieces(void **state)
{
    struct fixture *f = *state;

    kv_close(f->kv);
    open_table(f);
    change_keys(f, KV_PUT);
    change_keys(f, KV_DELETE);
    assert_int_equal(table_files(f->kv), 2);
    tidy_always(leveldb_tidy(f->kv), 4096);
    seek_once(f, "O", false);
    assert_in_range(tidy_wait(leveldb_tidy(f->kv)).pieces, 2, 20);
    kv_close(f->kv);
    open_table(f);
    /* The deletion with which the checkpoint ended may be in one. */
    assert_in_range(table_files(f->kv), 0, 1);
}

static void test_rests_longer_if_it_does_not_help(void **state)
{
    struct fixture *f = *state;
    uint64_t rest_us = 10000000;

    kv_close(f->kv);
    open_table(f);
    for (unsigned i = 0; i < 10; i++) {
        rest_us = rest_us < 1800000000 ? 2 * rest_us : 3600000000;
        tidy_always(leveldb_tidy(f->kv), 1u << 20);
        seek_once(f, "O", false);
        assert_int_equal(tidy_wait(leveldb_tidy(f->kv)).rest_us, rest_us);
    }
    assert_int_equal(rest_us, 3600000000);
    seek_once(f, "O", false); /* it rests */
    assert_int_equal(tidy_wait(leveldb_tidy(f->kv)).pieces, 10);
}

#define BOTH(test)                                                             \
    {#test " (memory)", test, setup_memory, teardown, NULL},                   \
    {                                                                          \
#test " (leveldb)", test, setup_leveldb, teardown, NULL                \
    }
#define ONE(test, kind)                                                        \
    {                                                                          \
#test, test, setup_##kind, teardown, NULL                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_put_get_delete),
        BOTH(test_order_in_batch),
        BOTH(test_empty_batch),
        BOTH(test_iterate_in_order),
        BOTH(test_snapshot),
        BOTH(test_concurrent_commits),
        BOTH(test_many_keys),
        BOTH(test_reserve),
        ONE(test_reserve_leaves_ids, memory),
        ONE(test_reserve_leaves_upgrades, leveldb),
        ONE(test_reopen, leveldb),
        ONE(test_second_open_is_refused, leveldb),
        ONE(test_damaged_store_is_refused, leveldb),
        ONE(test_damaged_block_ends_a_scan, leveldb),
        ONE(test_slow_seek_compacts, leveldb),
        ONE(test_compacts_in_pieces, leveldb),
        ONE(test_rests_longer_if_it_does_not_help, leveldb),
        ONE(test_poisoned_after_failure, memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
