/*
 * Writes, the bucket cache, ids, references, locks, and opening.
 */
#include "meta/private.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kv_store.h"

#define KEY(text) SLICE_LITERAL(text)

struct fixture {
    char directory[64];
    struct meta *meta;
    struct arena *arena;
};

static void open_meta(struct fixture *f)
{
    struct kv *kv;

    assert_int_equal(kv_store_open(f->directory, &kv), 0);
    assert_int_equal(meta_open(kv, &f->meta), 0);
}

static void reopen(struct fixture *f)
{
    meta_close(f->meta);
    open_meta(f);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->directory, "/tmp/meta_batch_test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->arena = arena_new();
    open_meta(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    meta_close(f->meta);
    arena_free(f->arena);
    kv_store_remove(f->directory);
    free(f);
    return 0;
}

static void put_bucket(struct meta *meta, const char *name, uint64_t id,
                       int want)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Bucket bucket = META__BUCKET__INIT;

    bucket.id = id;
    bucket.name.data = (uint8_t *)name;
    bucket.name.len = strlen(name);
    meta_put_bucket(batch, &bucket);
    assert_int_equal(meta_commit(batch), want);
    meta_batch_free(batch);
}

static void expect_bucket(struct fixture *f, const char *name, uint64_t id)
{
    Meta__Bucket *bucket;
    int rc =
        meta_get_bucket(f->meta, f->arena, slice_from_string(name), &bucket);

    if (id == 0) {
        assert_int_equal(rc, -ENOENT);
        return;
    }
    assert_int_equal(rc, 0);
    assert_true(bucket->id == id);
}

static void test_buckets_are_cached(void **state)
{
    struct fixture *f = *state;
    struct meta_batch *batch;
    Meta__Bucket *two;

    expect_bucket(f, "one", 0);
    put_bucket(f->meta, "two", 2, 0);
    put_bucket(f->meta, "one", 1, 0);
    put_bucket(f->meta, "three", 3, 0);
    put_bucket(f->meta, "two", 22, 0);
    expect_bucket(f, "one", 1);
    expect_bucket(f, "two", 22);
    expect_bucket(f, "three", 3);
    expect_bucket(f, "on", 0);
    reopen(f);
    expect_bucket(f, "one", 1);
    expect_bucket(f, "two", 22);
    batch = meta_batch_new(f->meta);
    assert_int_equal(meta_get_bucket(f->meta, f->arena, KEY("two"), &two), 0);
    meta_delete_bucket(batch, two);
    expect_bucket(f, "two", 22);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    expect_bucket(f, "two", 0);
    expect_bucket(f, "three", 3);
    reopen(f);
    expect_bucket(f, "two", 0);
    expect_bucket(f, "three", 3);
}

/* What was not committed is not seen, and reads go on. */
static void test_failed_commit_changes_nothing(void **state)
{
    struct arena *arena = arena_new();
    struct kv *kv = kv_open_memory();
    Meta__Bucket *bucket;
    struct meta *meta;

    (void)state;
    assert_int_equal(meta_open(kv, &meta), 0);
    put_bucket(meta, "old", 1, 0);
    kv_memory_fail_after(kv, 0);
    put_bucket(meta, "new", 2, -EROFS);
    assert_int_equal(meta_get_bucket(meta, arena, KEY("new"), &bucket),
                     -ENOENT);
    assert_int_equal(meta_get_bucket(meta, arena, KEY("old"), &bucket), 0);
    meta_close(meta);
    arena_free(arena);
}

static void test_object_versions(void **state)
{
    struct fixture *f = *state;
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Object object = META__OBJECT__INIT, *found;
    bool empty;

    assert_int_equal(meta_get_object(f->meta, f->arena, 1, KEY("k"), &found),
                     -ENOENT);
    assert_int_equal(meta_bucket_is_empty(f->meta, 1, &empty), 0);
    assert_true(empty);
    object.sequence = 1;
    object.etag.data = (uint8_t *)"first";
    object.etag.len = 5;
    meta_add_object(batch, 1, KEY("k"), &object);
    object.sequence = 2;
    object.etag.data = (uint8_t *)"later";
    meta_add_object(batch, 1, KEY("k"), &object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_get_object(f->meta, f->arena, 1, KEY("k"), &found),
                     0);
    assert_true(found->sequence == 2);
    assert_memory_equal(found->etag.data, "later", 5);
    assert_int_equal(meta_get_object(f->meta, f->arena, 1, KEY("kk"), &found),
                     -ENOENT);
    assert_int_equal(meta_get_object(f->meta, f->arena, 2, KEY("k"), &found),
                     -ENOENT);
    assert_int_equal(meta_bucket_is_empty(f->meta, 1, &empty), 0);
    assert_false(empty);

    batch = meta_batch_new(f->meta);
    meta_delete_object(batch, 1, KEY("k"), &object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_get_object(f->meta, f->arena, 1, KEY("k"), &found),
                     0);
    assert_true(found->sequence == 1);
}

static void test_uploads_and_parts(void **state)
{
    struct fixture *f = *state;
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Upload upload = META__UPLOAD__INIT, *upload_found;
    Meta__Completed completed = META__COMPLETED__INIT, *completed_found;
    Meta__Part part = META__PART__INIT, *part_found;
    bool empty;

    upload.id.data = (uint8_t *)"up";
    upload.id.len = 2;
    part.number = 3;
    completed.completed_ms = 77;
    meta_put_upload(batch, 1, KEY("k"), &upload);
    meta_put_part(batch, 1, KEY("up"), &part, NULL);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_get_upload(f->meta, f->arena, 1, KEY("k"), KEY("up"),
                                     &upload_found),
                     0);
    assert_int_equal(meta_get_upload(f->meta, f->arena, 1, KEY("k"), KEY("u"),
                                     &upload_found),
                     -ENOENT);
    assert_int_equal(meta_bucket_is_empty(f->meta, 1, &empty), 0);
    assert_false(empty);

    batch = meta_batch_new(f->meta);
    meta_delete_upload(batch, 1, KEY("k"), KEY("up"));
    meta_delete_part(batch, 1, KEY("up"), &part);
    meta_put_completed(batch, KEY("up"), &completed);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_get_upload(f->meta, f->arena, 1, KEY("k"), KEY("up"),
                                     &upload_found),
                     -ENOENT);
    assert_int_equal(
        meta_get_part(f->meta, f->arena, KEY("up"), 3, &part_found), -ENOENT);
    assert_int_equal(
        meta_get_completed(f->meta, f->arena, KEY("up"), &completed_found), 0);
    assert_true(completed_found->completed_ms == 77);
    assert_int_equal(meta_bucket_is_empty(f->meta, 1, &empty), 0);
    assert_true(empty);
}

static bool has_key(struct fixture *f, struct slice key)
{
    struct slice value;
    int rc = kv_get(meta_kv(f->meta), f->arena, key, &value);

    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static void test_blobs_and_references(void **state)
{
    struct fixture *f = *state;
    struct meta_referrer part = {
        .kind = META_REFERRER_PART, .upload = KEY("u"), .number = 1};
    struct meta_batch *batch = meta_batch_new(f->meta);
    Layout__Layout layout = LAYOUT__LAYOUT__INIT;
    Meta__Blob blob = META__BLOB__INIT, *found;

    layout.m = 2;
    blob.layout = &layout;
    meta_put_blob(batch, 5, &blob, 2);
    meta_put_blob(batch, 6, &blob, 1);
    meta_add_ref(batch, 5, &part);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_get_blob(f->meta, f->arena, 5, &found), 0);
    assert_int_equal(meta_get_blob(f->meta, f->arena, 7, &found), -ENOENT);
    assert_false(has_key(f, KEY("H\x02\0\0\0\0\0\0\0\x05")));
    assert_true(has_key(f, KEY("H\x01\0\0\0\0\0\0\0\x06")));
    assert_true(has_key(f, KEY("R\0\0\0\0\0\0\0\x05\x02u\0\x01\0\0\0\x01")));
    assert_false(has_key(f, KEY("G\0\0\0\0\0\0\0\x05")));

    batch = meta_batch_new(f->meta);
    meta_drop_ref(batch, 5, &part);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_false(has_key(f, KEY("R\0\0\0\0\0\0\0\x05\x02u\0\x01\0\0\0\x01")));
    assert_true(has_key(f, KEY("G\0\0\0\0\0\0\0\x05")));
}

/* Each blob for itself, whatever is found of those before it. */
static void test_which_blobs_are_used(void **state)
{
    static const uint64_t blobs[] = {1, 4, 5, 6, 9, 10, 11, 20, 21};
    static const bool expected[] = {false, true,  true,  false, false,
                                    true,  false, false, false};
    struct fixture *f = *state;
    struct meta_referrer part = {
        .kind = META_REFERRER_PART, .upload = KEY("u"), .number = 1};
    struct meta_batch *batch = meta_batch_new(f->meta);
    bool used[9];

    meta_add_ref(batch, 4, &part);
    meta_add_ref(batch, 5, &part);
    part.number = 2;
    meta_add_ref(batch, 5, &part);
    meta_add_ref(batch, 7, &part);
    meta_add_ref(batch, 10, &part);
    meta_add_ref(batch, 12, &part);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_blobs_are_used(f->meta, blobs, 9, used), 0);
    assert_memory_equal(used, expected, sizeof(expected));
    assert_int_equal(meta_blobs_are_used(f->meta, blobs, 0, used), 0);
}

/* --- the queue for healing -------------------------------------------------*/
static void queue_heal(struct fixture *f, uint64_t blob, unsigned losses_left,
                       bool waits)
{
    struct meta_batch *batch = meta_batch_new(f->meta);

    meta_queue_heal(batch, &(struct meta_heal){blob, losses_left, waits});
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void expect_heal(struct fixture *f, struct meta_heal *from,
                        uint64_t blob, unsigned losses_left, bool waits)
{
    assert_int_equal(meta_next_heal(f->meta, from), 0);
    assert_int_equal(from->blob, blob);
    assert_int_equal(from->losses_left, losses_left);
    assert_int_equal(from->waits, waits);
    from->blob++;
}

static void test_the_most_endangered_first(void **state)
{
    struct fixture *f = *state;
    struct meta_heal entry = {0};
    struct meta_batch *batch;

    assert_int_equal(meta_next_heal(f->meta, &entry), -ENOENT);
    queue_heal(f, 1, META_HEAL_UNREADABLE, true);
    queue_heal(f, 2, 0, true);
    queue_heal(f, 3, 1, false);
    queue_heal(f, 5, 0, false);
    queue_heal(f, 4, 1, false);
    expect_heal(f, &entry, 5, 0, false);
    expect_heal(f, &entry, 3, 1, false);
    expect_heal(f, &entry, 4, 1, false);
    expect_heal(f, &entry, 2, 0, true);
    expect_heal(f, &entry, 1, META_HEAL_UNREADABLE, true);
    assert_int_equal(meta_next_heal(f->meta, &entry), -ENOENT);

    assert_int_equal(meta_find_heal(f->meta, 4, 2, &entry), 0);
    assert_int_equal(entry.losses_left, 1);
    assert_false(entry.waits);
    assert_int_equal(meta_find_heal(f->meta, 2, 2, &entry), 0);
    assert_true(entry.waits);
    assert_int_equal(meta_find_heal(f->meta, 1, 2, &entry), 0);
    assert_int_equal(entry.losses_left, META_HEAL_UNREADABLE);
    assert_int_equal(meta_find_heal(f->meta, 6, 2, &entry), -ENOENT);

    batch = meta_batch_new(f->meta);
    meta_dequeue_heal(batch, &(struct meta_heal){5, 0, false});
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    entry = (struct meta_heal){0};
    expect_heal(f, &entry, 3, 1, false);
}

static void test_blobs_in_order(void **state)
{
    struct fixture *f = *state;
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Blob record = META__BLOB__INIT, *found;
    uint64_t blob = 0;

    assert_int_equal(meta_next_blob(f->meta, f->arena, 0, &blob, &found),
                     -ENOENT);
    meta_put_blob(batch, 256, &record, 0);
    meta_put_blob(batch, 3, &record, 0);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_next_blob(f->meta, f->arena, 0, &blob, &found), 0);
    assert_int_equal(blob, 3);
    assert_int_equal(meta_next_blob(f->meta, f->arena, blob, &blob, &found), 0);
    assert_int_equal(blob, 256);
    assert_int_equal(meta_next_blob(f->meta, f->arena, blob, &blob, &found),
                     -ENOENT);
    assert_int_equal(
        meta_next_blob(f->meta, f->arena, UINT64_MAX, &blob, &found), -ENOENT);
}

/* --- ids -------------------------------------------------------------------*/

#define THREADS        4
#define IDS_PER_THREAD 50000

struct taker {
    struct meta *meta;
    uint64_t *ids;
};

static void *take_ids(void *argument)
{
    struct taker *taker = argument;
    size_t i;

    for (i = 0; i < IDS_PER_THREAD; i++) {
        taker->ids[i] = meta_next_id(taker->meta);
    }
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* More than one block, so that threads meet at its end. */
static void test_ids_are_unique(void **state)
{
    struct fixture *f = *state;
    uint64_t *ids = malloc(sizeof(*ids) * THREADS * IDS_PER_THREAD);
    struct taker takers[THREADS];
    pthread_t threads[THREADS];
    size_t i, count = THREADS * IDS_PER_THREAD;

    for (i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){f->meta, ids + i * IDS_PER_THREAD};
        pthread_create(&threads[i], NULL, take_ids, &takers[i]);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    qsort(ids, count, sizeof(*ids), compare_ids);
    assert_true(ids[0] > 0);
    for (i = 1; i < count; i++) {
        assert_true(ids[i] > ids[i - 1]);
    }
    free(ids);
}

static void test_ids_rise_across_restarts(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0, id;
    int i, j;

    for (i = 0; i < 5; i++) {
        for (j = 0; j < 3; j++) {
            id = meta_next_id(f->meta);
            assert_true(id > last);
            last = id;
        }
        reopen(f);
    }
    assert_true(last < UINT64_C(1) << 32);
}

/* Ids go on when the store has failed, but never one that comes again. */
static void test_ids_on_a_failed_store(void **state)
{
    struct kv *kv = kv_open_memory();
    struct meta *meta;
    uint64_t a, b;

    (void)state;
    assert_int_equal(meta_open(kv, &meta), 0);
    kv_memory_fail_after(kv, 0);
    a = meta_next_id(meta);
    b = meta_next_id(meta);
    assert_true(a >> 63 == 1 && b >> 63 == 1 && a != b);
    meta_close(meta);
}

/* --- opening ---------------------------------------------------------------*/

static void test_cluster(void **state)
{
    struct fixture *f = *state;
    Meta__Cluster *first, *second;

    assert_int_equal(meta_get_cluster(f->meta, f->arena, &first), 0);
    assert_int_equal(first->uuid.len, 16);
    assert_true(first->created_ms > 0);
    reopen(f);
    assert_int_equal(meta_get_cluster(f->meta, f->arena, &second), 0);
    assert_memory_equal(first->uuid.data, second->uuid.data, 16);
}

static void open_with(struct slice key, struct slice value, int want)
{
    struct kv *kv = kv_open_memory();
    struct kv_batch *batch = kv_batch_new();
    struct meta *meta;

    kv_batch_put(batch, key, value);
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
    assert_int_equal(meta_open(kv, &meta), want);
    if (want == 0) {
        meta_close(meta);
    } else {
        kv_close(kv);
    }
}

/* A store that lost its cluster record is not taken for a new one. */
static void test_strange_stores_are_refused(void **state)
{
    (void)state;
    open_with(KEY("Bbucket"), KEY("x"), -EBADMSG);
    open_with(KEY("O\0\0\0\0\0\0\0\x01k"), KEY("x"), -EBADMSG);
    open_with(KEY("N"), KEY("x"), -EBADMSG);
    open_with(KEY("C"), KEY("damaged"), -EBADMSG);
    open_with(KEY("Iuser"), KEY("x"), 0);
}

static void put_format(struct meta *meta, struct arena *arena, uint32_t format)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Cluster *cluster;

    assert_int_equal(meta_get_cluster(meta, arena, &cluster), 0);
    assert_int_equal(cluster->format, META_FORMAT);
    cluster->format = format;
    meta_put_cluster(batch, cluster);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

/* What an older s3d wrote is taken over, what a newer one did is refused. */
static void test_format(void **state)
{
    struct fixture *f = *state;
    struct meta *meta;

    put_format(f->meta, f->arena, 0);
    reopen(f);
    put_format(f->meta, f->arena, META_FORMAT + 1);
    assert_int_equal(meta_open(meta_kv(f->meta), &meta), -EPROTONOSUPPORT);
}

static void test_damaged_bucket_is_refused(void **state)
{
    struct kv *kv = kv_open_memory();
    struct kv_batch *batch;
    struct meta *meta;

    (void)state;
    assert_int_equal(meta_open(kv, &meta), 0);
    put_bucket(meta, "good", 1, 0);
    batch = kv_batch_new();
    kv_batch_put(batch, KEY("Bbad"), KEY("damaged"));
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
    assert_int_equal(meta_open(kv, &meta), -EBADMSG);
    meta_close(meta);
}

/* --- locks -----------------------------------------------------------------*/

struct counter {
    struct meta *meta;
    unsigned *value; /* not atomic: guarded by the lock */
};

static void *count_under_lock(void *argument)
{
    struct counter *counter = argument;
    unsigned i;

    for (i = 0; i < 10000; i++) {
        meta_bucket_lock(counter->meta, KEY("b"), false);
        meta_key_lock(counter->meta, 1, KEY("k"));
        meta_blob_lock(counter->meta, 1);
        (*counter->value)++;
        meta_blob_unlock(counter->meta, 1);
        meta_key_unlock(counter->meta, 1, KEY("k"));
        meta_bucket_unlock(counter->meta, KEY("b"));
    }
    return NULL;
}

static void test_locks_exclude(void **state)
{
    struct fixture *f = *state;
    struct counter counter;
    pthread_t threads[THREADS];
    unsigned value = 0;
    int i;

    counter = (struct counter){f->meta, &value};
    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, count_under_lock, &counter);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(value, THREADS * 10000);
}

static void second_key(struct meta *meta)
{
    meta_key_lock(meta, 1, KEY("a"));
    meta_key_lock(meta, 1, KEY("b"));
}

static void key_after_blob(struct meta *meta)
{
    meta_blob_lock(meta, 1);
    meta_key_lock(meta, 1, KEY("a"));
}

static void shared_bucket_twice(struct meta *meta)
{
    meta_bucket_lock(meta, KEY("a"), false);
    meta_bucket_lock(meta, KEY("b"), false);
}

/* Runs a misuse in a child, where the invariant ends it. */
static void expect_abort(struct meta *meta, void (*misuse)(struct meta *))
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(2);
        }
        alarm(20);
        signal(SIGABRT, SIG_DFL);
        misuse(meta);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_lock_misuse_aborts(void **state)
{
    struct fixture *f = *state;

    expect_abort(f->meta, second_key);
    expect_abort(f->meta, key_after_blob);
    expect_abort(f->meta, shared_bucket_twice);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_buckets_are_cached),
        TEST(test_object_versions),
        TEST(test_uploads_and_parts),
        TEST(test_blobs_and_references),
        TEST(test_which_blobs_are_used),
        TEST(test_the_most_endangered_first),
        TEST(test_blobs_in_order),
        TEST(test_ids_are_unique),
        TEST(test_ids_rise_across_restarts),
        TEST(test_cluster),
        TEST(test_locks_exclude),
        TEST(test_lock_misuse_aborts),
        cmocka_unit_test(test_failed_commit_changes_nothing),
        cmocka_unit_test(test_ids_on_a_failed_store),
        cmocka_unit_test(test_strange_stores_are_refused),
        TEST(test_format),
        cmocka_unit_test(test_damaged_bucket_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
