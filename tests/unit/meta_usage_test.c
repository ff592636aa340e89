/*
 * Usage that is exact, and quotas that it is compared with.
 */
#include "meta/fullest.h"
#include "meta/private.h"

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

#define KEY(text) SLICE_LITERAL(text)
#define ALICE     SLICE_LITERAL("alice")
#define BOB       SLICE_LITERAL("bob")

static char directory[64];
static struct meta *meta;
static struct arena *arena;

static void open_meta(void)
{
    struct kv *kv;

    assert_int_equal(kv_store_open(directory, &kv), 0);
    assert_int_equal(meta_open(kv, &meta), 0);
}

static void reopen(void)
{
    meta_close(meta);
    open_meta();
}

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/meta_usage_test.XXXXXX");
    assert_non_null(mkdtemp(directory));
    arena = arena_new();
    open_meta();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    meta_close(meta);
    arena_free(arena);
    kv_store_remove(directory);
    return 0;
}

/* --- what is done ----------------------------------------------------------*/

static int commit(struct meta_batch *batch)
{
    int rc = meta_commit(batch);

    meta_batch_free(batch);
    return rc;
}

static Meta__Bucket bucket_of(const char *name, uint64_t id, struct slice owner)
{
    Meta__Bucket bucket = META__BUCKET__INIT;

    bucket.id = id;
    bucket.name.data = (uint8_t *)name;
    bucket.name.len = strlen(name);
    bucket.owner.data = (uint8_t *)owner.data;
    bucket.owner.len = owner.size;
    return bucket;
}

static void put_bucket(const char *name, uint64_t id, struct slice owner,
                       const Meta__Quota *quota)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Bucket bucket = bucket_of(name, id, owner);

    bucket.quota = (Meta__Quota *)quota;
    meta_put_bucket(batch, &bucket);
    assert_int_equal(commit(batch), 0);
}

static Meta__Object object_of(uint64_t sequence, uint64_t size)
{
    Meta__Object object = META__OBJECT__INIT;

    object.sequence = sequence;
    object.size = size;
    return object;
}

static int add(uint64_t bucket, const char *key, uint64_t sequence,
               uint64_t size)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Object object = object_of(sequence, size);

    meta_add_object(batch, bucket, slice_from_string(key), &object);
    return commit(batch);
}

static int drop(uint64_t bucket, const char *key, uint64_t sequence,
                uint64_t size)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Object object = object_of(sequence, size);

    meta_delete_object(batch, bucket, slice_from_string(key), &object);
    return commit(batch);
}

static int replace(uint64_t bucket, const char *key, uint64_t sequence,
                   uint64_t old_size, uint64_t size)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Object old = object_of(sequence, old_size);
    Meta__Object object = object_of(sequence + 1, size);

    meta_delete_object(batch, bucket, slice_from_string(key), &old);
    meta_add_object(batch, bucket, slice_from_string(key), &object);
    return commit(batch);
}

static int put_part(uint64_t bucket, unsigned number, uint64_t size,
                    const Meta__Part *old)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Part part = META__PART__INIT;

    part.number = number;
    part.size = size;
    meta_put_part(batch, bucket, KEY("up"), &part, old);
    return commit(batch);
}

static void put_upload(uint64_t bucket)
{
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Upload upload = META__UPLOAD__INIT;

    upload.id.data = (uint8_t *)"up";
    upload.id.len = 2;
    meta_put_upload(batch, bucket, KEY("a\0key"), &upload);
    assert_int_equal(commit(batch), 0);
}

/* --- what is there ---------------------------------------------------------*/

struct wanted {
    uint64_t bucket;
    struct meta_usage usage;
    unsigned found, different;
};

static void look(void *context, const struct meta_recount *recount)
{
    struct wanted *wanted = context;

    if (memcmp(&recount->recorded, &recount->counted,
               sizeof(recount->counted)) != 0) {
        wanted->different++;
    }
    if (recount->bucket == wanted->bucket) {
        wanted->found++;
        assert_true(recount->counted.bytes == wanted->usage.bytes);
        assert_true(recount->counted.objects == wanted->usage.objects);
    }
}

/* As kept, as recorded and as counted anew. */
static void expect_usage(uint64_t bucket, uint64_t bytes, uint64_t objects)
{
    struct wanted wanted = {.bucket = bucket, .usage = {bytes, objects}};
    struct meta_usage usage;

    meta_get_usage(meta, bucket, &usage);
    assert_true(usage.bytes == bytes);
    assert_true(usage.objects == objects);
    assert_int_equal(meta_recount_usage(meta, look, &wanted), 0);
    assert_int_equal(wanted.found, 1);
    assert_int_equal(wanted.different, 0);
}

static void expect_owner(struct slice owner, uint64_t bytes, uint64_t objects)
{
    struct meta_usage usage;

    meta_get_owner_usage(meta, owner, &usage);
    assert_true(usage.bytes == bytes);
    assert_true(usage.objects == objects);
}

/* --- tests -----------------------------------------------------------------*/

static void test_all_is_counted(void **state)
{
    Meta__Part old = META__PART__INIT;
    Meta__Object marker;
    struct meta_batch *batch;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    put_bucket("two", 2, ALICE, NULL);
    assert_int_equal(add(1, "k", 10, 100), 0);
    assert_int_equal(add(1, "k", 11, 50), 0);
    expect_usage(1, 150, 2);
    assert_int_equal(replace(1, "k", 11, 50, 7), 0);
    expect_usage(1, 107, 2);
    batch = meta_batch_new(meta); /* its record anew: nothing is added */
    marker = object_of(20, 0);
    marker.delete_marker = true;
    meta_add_object(batch, 1, KEY("k"), &marker);
    meta_put_object(batch, 1, KEY("k"), &marker);
    assert_int_equal(commit(batch), 0);
    expect_usage(1, 107, 3);
    put_upload(2);
    assert_int_equal(put_part(2, 1, 1000, NULL), 0);
    assert_int_equal(put_part(2, 2, 2000, NULL), 0);
    old.number = 2;
    old.size = 2000;
    assert_int_equal(put_part(2, 2, 30, &old), 0);
    expect_usage(2, 1030, 2);
    expect_owner(ALICE, 1137, 5);
    expect_owner(BOB, 0, 0);

    reopen();
    expect_usage(1, 107, 3);
    expect_usage(2, 1030, 2);
    expect_owner(ALICE, 1137, 5);
}

static void test_a_deleted_bucket_is_forgotten(void **state)
{
    struct wanted wanted = {.bucket = 1};
    struct meta_batch *batch;
    Meta__Bucket bucket = bucket_of("one", 1, ALICE);

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    assert_int_equal(add(1, "k", 10, 100), 0);
    assert_int_equal(drop(1, "k", 10, 100), 0);
    expect_usage(1, 0, 0);
    batch = meta_batch_new(meta);
    meta_delete_bucket(batch, &bucket);
    assert_int_equal(commit(batch), 0);
    assert_int_equal(meta_recount_usage(meta, look, &wanted), 0);
    assert_int_equal(wanted.found, 0);
    expect_owner(ALICE, 0, 0);
}

static Meta__Quota quota_of(uint64_t bytes, uint64_t objects)
{
    Meta__Quota quota = META__QUOTA__INIT;

    quota.bytes = bytes;
    quota.objects = objects;
    return quota;
}

static void limit_owner(struct slice owner, const Meta__Quota *quota)
{
    struct meta_batch *batch = meta_batch_new(meta);

    meta_put_owner_quota(batch, owner, quota);
    assert_int_equal(commit(batch), 0);
}

static void test_a_bucket_has_a_quota(void **state)
{
    const Meta__Quota quota = quota_of(100, 3), less = quota_of(10, 1);
    struct meta_batch *batch;
    Meta__Object object = object_of(30, 1);

    (void)state;
    put_bucket("one", 1, ALICE, &quota);
    assert_int_equal(add(1, "a", 10, 101), -EDQUOT);
    assert_int_equal(add(1, "a", 10, 100), 0);
    assert_int_equal(add(1, "b", 11, 1), -EDQUOT);
    assert_int_equal(add(1, "b", 11, 0), 0);
    assert_int_equal(meta_check_room(meta, 1, 1, 1), -EDQUOT);
    assert_int_equal(meta_check_room(meta, 1, 0, 1), 0);
    assert_int_equal(replace(1, "a", 10, 100, 101), -EDQUOT);
    assert_int_equal(replace(1, "a", 10, 100, 100), 0);
    assert_int_equal(replace(1, "a", 11, 100, 40), 0);
    assert_int_equal(add(1, "c", 12, 60), 0);
    assert_int_equal(add(1, "d", 13, 0), -EDQUOT); /* the fourth */
    expect_usage(1, 100, 3);

    put_bucket("one", 1, ALICE, &less); /* less than there is */
    assert_int_equal(replace(1, "c", 12, 60, 59), 0);
    assert_int_equal(add(1, "d", 14, 0), -EDQUOT);
    batch = meta_batch_new(meta);
    meta_add_object(batch, 1, KEY("d"), &object);
    meta_batch_unlimited(batch);
    assert_int_equal(commit(batch), 0);
    expect_usage(1, 100, 4);
    reopen();
    assert_int_equal(add(1, "d", 40, 0), -EDQUOT);
    put_bucket("one", 1, ALICE, NULL);
    assert_int_equal(add(1, "d", 40, 1000), 0);
    expect_usage(1, 1100, 5);
}

static void test_an_owner_has_a_quota(void **state)
{
    const Meta__Quota quota = quota_of(100, 0), none = quota_of(0, 0);
    Meta__Quota found;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    put_bucket("two", 2, ALICE, NULL);
    put_bucket("three", 3, BOB, NULL);
    limit_owner(ALICE, &quota);
    assert_int_equal(add(1, "a", 10, 60), 0);
    assert_int_equal(add(2, "a", 11, 41), -EDQUOT);
    assert_int_equal(add(2, "a", 11, 40), 0);
    assert_int_equal(add(3, "a", 12, 1000), 0);
    assert_int_equal(add(1, "b", 13, 1), -EDQUOT);
    reopen();
    expect_owner(ALICE, 100, 2);
    meta_get_owner_quota(meta, ALICE, &found);
    assert_true(found.bytes == 100);
    assert_int_equal(add(1, "b", 14, 1), -EDQUOT);
    assert_int_equal(drop(2, "a", 11, 40), 0);
    assert_int_equal(add(1, "b", 15, 40), 0);
    limit_owner(ALICE, &none);
    assert_int_equal(add(1, "c", 16, 1), 0);
    reopen();
    meta_get_owner_quota(meta, ALICE, &found);
    assert_true(found.bytes == 0);
}

/* A batch of two buckets is refused as a whole. */
static void test_refused_is_all(void **state)
{
    const Meta__Quota quota = quota_of(10, 0);
    Meta__Object small = object_of(10, 1), large = object_of(11, 11);
    struct meta_usage usage;
    int order;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    put_bucket("two", 2, ALICE, &quota);
    for (order = 0; order < 2; order++) {
        struct meta_batch *batch = meta_batch_new(meta);

        if (order == 0) {
            meta_add_object(batch, 1, KEY("k"), &small);
        }
        meta_add_object(batch, 2, KEY("k"), &large);
        if (order == 1) {
            meta_add_object(batch, 1, KEY("k"), &small);
        }
        assert_int_equal(commit(batch), -EDQUOT);
        meta_get_usage(meta, 1, &usage);
        assert_true(usage.bytes == 0 && usage.objects == 0);
    }
    expect_owner(ALICE, 0, 0);
}

static void test_a_failed_commit_is_not_counted(void **state)
{
    static const char *const directories[] = {"/tmp"};
    struct meta_usage usage;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    assert_int_equal(add(1, "a", 10, 60), 0);
    kv_set_reserve(meta_kv(meta), directories, 1, UINT64_MAX / 2);
    assert_int_equal(add(1, "b", 11, 60), -ENOSPC);
    meta_get_usage(meta, 1, &usage);
    assert_true(usage.bytes == 60 && usage.objects == 1);
    assert_int_equal(drop(1, "a", 10, 60), 0);
    expect_usage(1, 0, 0);
}

/* --- races -----------------------------------------------------------------*/
#define RACERS 8
#define TRIES  25
#define FIT    120

struct racer {
    pthread_t thread;
    unsigned number, done, refused;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    char key[32];

    for (unsigned i = 0; i < TRIES; i++) {
        int rc;

        snprintf(key, sizeof(key), "%u/%u", racer->number, i);
        rc = add(1 + racer->number % 2, key, 1000 + i, 3);
        assert_true(rc == 0 || rc == -EDQUOT);
        racer->done += rc == 0;
        racer->refused += rc != 0;
        if (i % 5 == 4 && rc == 0) { /* and gives it back */
            assert_int_equal(drop(1 + racer->number % 2, key, 1000 + i, 3), 0);
            racer->done--;
        }
    }
    return NULL;
}

/* Of those who race for what is left, exactly as many win as there is room
 * for, and groups of commits are counted right. */
static void test_racers(void **state)
{
    const Meta__Quota quota = quota_of(3 * FIT + 2, 0);
    struct racer racers[RACERS];
    unsigned done = 0, refused = 0;
    struct meta_usage one, two;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    put_bucket("two", 2, ALICE, NULL);
    limit_owner(ALICE, &quota);
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.number = i};
        assert_int_equal(
            pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        done += racers[i].done;
        refused += racers[i].refused;
    }
    assert_true(done <= FIT);
    assert_true(refused > 0);
    meta_get_usage(meta, 1, &one);
    meta_get_usage(meta, 2, &two);
    assert_true(one.objects + two.objects == done);
    expect_usage(1, one.bytes, one.objects);
    expect_usage(2, two.bytes, two.objects);
    expect_owner(ALICE, 3ull * done, done);
    for (unsigned i = done; i < FIT; i++) { /* what was given back */
        char key[32];

        snprintf(key, sizeof(key), "last/%u", i);
        assert_int_equal(add(1, key, 2000, 3), 0);
    }
    assert_int_equal(add(1, "last", 2000, 3), -EDQUOT);
    reopen();
    expect_owner(ALICE, 3ull * FIT, FIT);
}

/* --- records that are not there, or wrong ----------------------------------*/

static void change_record(uint64_t bucket, bool remove)
{
    Meta__Usage usage = META__USAGE__INIT;
    struct kv_batch *batch = kv_batch_new();
    struct buffer key = {0};

    usage.bytes = 5;
    usage.objects = 77;
    key_usage(&key, bucket);
    if (remove) {
        kv_batch_delete(batch, buffer_slice(&key));
    } else {
        kv_batch_put(batch, buffer_slice(&key),
                     meta_pack(arena, META_RECORD_USAGE, &usage.base));
    }
    assert_int_equal(kv_commit(meta_kv(meta), batch), 0);
    kv_batch_free(batch);
    buffer_free(&key);
}

static void test_an_old_store_is_counted(void **state)
{
    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    put_bucket("two", 2, BOB, NULL);
    assert_int_equal(add(1, "k", 10, 100), 0);
    put_upload(2);
    assert_int_equal(put_part(2, 1, 1000, NULL), 0);
    change_record(0, true);
    change_record(1, true);
    change_record(2, false); /* it was never kept: it is not believed */
    reopen();
    expect_usage(1, 100, 1);
    expect_usage(2, 1000, 1);
    expect_owner(BOB, 1000, 1);
}

static void correct(void *context, const struct meta_recount *recount)
{
    struct meta_batch *batch = meta_batch_new(meta);

    ++*(unsigned *)context;
    meta_correct_usage(batch, recount);
    assert_int_equal(commit(batch), 0);
}

static void test_a_wrong_record_is_found(void **state)
{
    const Meta__Quota quota = quota_of(1, 1);
    struct wanted wanted = {.bucket = 1, .usage = {100, 1}};
    unsigned corrected = 0;

    (void)state;
    put_bucket("one", 1, ALICE, &quota);
    put_bucket("two", 2, ALICE, NULL);
    put_bucket("one", 1, ALICE, NULL);
    assert_int_equal(add(1, "k", 10, 100), 0);
    assert_int_equal(add(2, "k", 10, 200), 0);
    put_bucket("one", 1, ALICE, &quota);
    change_record(1, false);
    reopen();
    expect_owner(ALICE, 205, 78);
    assert_int_equal(meta_recount_usage(meta, look, &wanted), 0);
    assert_int_equal(wanted.different, 1);
    assert_int_equal(meta_recount_usage(meta, correct, &corrected), 0);
    assert_int_equal(corrected, 2);
    expect_usage(1, 100, 1);
    expect_owner(ALICE, 300, 2);
    reopen();
    expect_usage(1, 100, 1);
    expect_usage(2, 200, 1);
}

static void test_a_wrong_record_goes_with_its_bucket(void **state)
{
    const Meta__Bucket bucket = bucket_of("one", 1, ALICE);
    struct meta_batch *batch;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    put_bucket("two", 2, ALICE, NULL);
    assert_int_equal(add(2, "k", 10, 200), 0);
    change_record(1, false);
    reopen();
    expect_owner(ALICE, 205, 78);
    batch = meta_batch_new(meta);
    meta_delete_bucket(batch, &bucket);
    assert_int_equal(commit(batch), 0);
    expect_owner(ALICE, 200, 1);
}

/* --- what is a second's ----------------------------------------------------*/

#define CAROL_USER SLICE_LITERAL("AIDACAROL")

static struct meta_asker asker(uint64_t bucket, struct slice account)
{
    return (struct meta_asker){.bucket = bucket, .account = account};
}

static uint64_t count_request(uint64_t bucket, struct slice account)
{
    const struct meta_asker who = asker(bucket, account);

    return meta_count_request(meta, &who);
}

static bool is_rated(uint64_t bucket, struct slice account)
{
    const struct meta_asker who = asker(bucket, account);

    return meta_is_rated(meta, &who);
}

static void test_requests(void **state)
{
    Meta__Quota quota = META__QUOTA__INIT;
    uint64_t wait;
    unsigned taken = 0;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    assert_false(is_rated(1, BOB));
    for (unsigned i = 0; i < 100; i++) {
        assert_true(count_request(1, BOB) == 0);
    }
    quota.requests = 1;
    put_bucket("one", 1, ALICE, &quota);
    assert_true(is_rated(1, BOB));
    assert_false(is_rated(2, BOB));
    do { /* until two come within a second */
        wait = count_request(1, SLICE_LITERAL(""));
    } while (wait == 0);
    assert_in_range(wait, 1, 1000);
    assert_true(count_request(2, ALICE) == 0);
    put_bucket("one", 1, ALICE, NULL);
    assert_true(count_request(1, BOB) == 0);

    quota.requests = 1000000000; /* no wait is as short as a call is */
    limit_owner(BOB, &quota);
    assert_true(is_rated(0, BOB));
    for (unsigned i = 0; i < 100; i++) {
        assert_true(count_request(0, BOB) == 0);
    }
    quota.requests = 50;
    limit_owner(ALICE, &quota);
    while (count_request(1, ALICE) == 0) {
        taken++;
    }
    assert_true(taken >= 50);
    quota.requests = 0;
    limit_owner(ALICE, &quota);
    limit_owner(BOB, &quota);
    assert_false(is_rated(1, ALICE));
}

/* One of an account, not the others. */
static void test_user(void **state)
{
    const struct meta_asker carol = {.account = ALICE, .user = CAROL_USER};
    const struct meta_asker other = {.account = ALICE,
                                     .user = SLICE_LITERAL("AIDAOTHER")};
    Meta__Quota quota = META__QUOTA__INIT, told;
    uint64_t wait;

    (void)state;
    quota.requests = 1;
    quota.upload = 1000;
    limit_owner(CAROL_USER, &quota);
    reopen();
    meta_get_owner_quota(meta, CAROL_USER, &told);
    assert_true(told.requests == 1 && told.upload == 1000);
    assert_true(meta_is_rated(meta, &carol));
    assert_false(meta_is_rated(meta, &other));
    do {
        wait = meta_count_request(meta, &carol);
    } while (wait == 0);
    assert_true(meta_count_request(meta, &other) == 0);
    assert_true(meta_take_turn(meta, &carol, META_UPLOAD, 1) != 0);
    assert_true(meta_take_turn(meta, &carol, META_DOWNLOAD, 1) == 0);
    assert_true(meta_take_turn(meta, &other, META_UPLOAD, 1) == 0);
}

/* Of who is gone nothing is left: nobody is looked up for it any more. */
static void test_forgotten(void **state)
{
    const struct meta_asker carol = {.account = ALICE, .user = CAROL_USER};
    Meta__Quota quota = META__QUOTA__INIT, told;

    (void)state;
    assert_int_equal(meta_forget_owner_quota(meta, CAROL_USER), 0);
    quota.requests = 1;
    limit_owner(CAROL_USER, &quota);
    assert_true(meta_is_rated(meta, &carol));
    assert_int_equal(meta_forget_owner_quota(meta, CAROL_USER), 0);
    assert_false(meta_is_rated(meta, &carol));
    reopen();
    assert_false(meta_is_rated(meta, &carol));
    meta_get_owner_quota(meta, CAROL_USER, &told);
    assert_true(meta_quota_is_none(&told));
}

/* Turns follow one another, whoever takes them; a bucket's and an account's
 * both hold. */
static void test_turns(void **state)
{
    const struct meta_asker bob = {.bucket = 1, .account = BOB};
    const struct meta_asker alice = {.bucket = 1, .account = ALICE};
    const struct meta_asker away = {.bucket = 2, .account = ALICE};
    Meta__Quota quota = META__QUOTA__INIT;
    uint64_t before_us, first_us;

    (void)state;
    put_bucket("one", 1, ALICE, NULL);
    put_bucket("two", 2, ALICE, NULL);
    assert_true(meta_take_turn(meta, &bob, META_DOWNLOAD, 1 << 30) == 0);
    assert_true(meta_turn_size(meta, &bob, META_DOWNLOAD) == UINT64_MAX);
    quota.download = 32 << 20;
    put_bucket("one", 1, ALICE, &quota);
    assert_int_equal(meta_turn_size(meta, &bob, META_DOWNLOAD), 1 << 20);
    assert_true(meta_turn_size(meta, &bob, META_UPLOAD) == UINT64_MAX);
    assert_true(meta_turn_size(meta, &away, META_DOWNLOAD) == UINT64_MAX);
    before_us = clock_monotonic_us();
    first_us = meta_take_turn(meta, &bob, META_DOWNLOAD, 256 << 20);
    assert_true(first_us <= clock_monotonic_us());
    assert_true(first_us + 100000 >= before_us);
    assert_int_equal(meta_take_turn(meta, &alice, META_DOWNLOAD, 256 << 20),
                     first_us + 8000000);
    assert_int_equal(meta_take_turn(meta, &bob, META_DOWNLOAD, 32 << 20),
                     first_us + 16000000);
    assert_true(meta_take_turn(meta, &bob, META_UPLOAD, 1 << 30) == 0);
    quota.upload = 1 << 20;
    put_bucket("one", 1, ALICE, &quota);
    assert_true(meta_take_turn(meta, &bob, META_UPLOAD, 9 << 20) >=
                before_us - 100000 + 9000000); /* its end */
    assert_true(meta_take_turn(meta, &away, META_DOWNLOAD, 1 << 30) == 0);

    quota.download = 1 << 20; /* the account's: the later of both */
    limit_owner(ALICE, &quota);
    assert_int_equal(meta_turn_size(meta, &alice, META_DOWNLOAD), 64 << 10);
    assert_true(meta_take_turn(meta, &away, META_DOWNLOAD, 20 << 20) <=
                clock_monotonic_us());
    assert_true(meta_take_turn(meta, &alice, META_DOWNLOAD, 1) >=
                before_us - 100000 + 20000000);
    assert_int_equal(meta_take_turn(meta, &bob, META_DOWNLOAD, 1),
                     first_us + 17000000);
}

/* Who would have to wait for too long does not. */
static void test_longest_turn(void **state)
{
    const struct meta_asker bob = {.account = BOB};
    Meta__Quota quota = META__QUOTA__INIT;
    uint64_t turn_us;

    (void)state;
    quota.upload = 1;
    limit_owner(BOB, &quota);
    meta_take_turn(meta, &bob, META_UPLOAD, UINT64_MAX);
    turn_us = meta_take_turn(meta, &bob, META_UPLOAD, UINT64_MAX);
    assert_true(turn_us <= clock_monotonic_us() + 30000000);
    assert_true(turn_us + 1000 > clock_monotonic_us());
}

/* --- the fullest -----------------------------------------------------------*/

/* More than are looked at in one step, or told of. */
static void test_fullest(void **state)
{
    struct meta_fullest *fullest = xmalloc(sizeof(*fullest));
    Meta__Quota quota = META__QUOTA__INIT;
    char name[16];

    (void)state;
    for (unsigned i = 1; i <= 130; i++) {
        snprintf(name, sizeof(name), "b%u", i);
        quota.bytes = i % 2 == 0 ? 10000 : 0;
        put_bucket(name, i, ALICE, quota.bytes != 0 ? &quota : NULL);
    }
    for (unsigned i = 1; i <= 60; i++) {
        assert_int_equal(add(i, "k", i, 100 * i), 0);
    }
    quota = (Meta__Quota)META__QUOTA__INIT;
    quota.objects = 120;
    limit_owner(ALICE, &quota);
    meta_find_fullest(meta, fullest);
    assert_int_equal(fullest->buckets, 130);
    assert_int_equal(fullest->used.bytes, 100 * 60 * 61 / 2);
    assert_int_equal(fullest->used.objects, 60);
    assert_int_equal(fullest->largest_count, META_FULLEST);
    assert_int_equal(fullest->limited_count, META_FULLEST);
    for (unsigned i = 0; i < META_FULLEST; i++) {
        assert_int_equal(fullest->largest[i].bucket, 60 - i);
        assert_int_equal(fullest->limited[i].bucket % 2, 0);
    }
    assert_int_equal(fullest->limited[0].bucket, 60);
    assert_int_equal(fullest->limited[1].bucket, 58);
    assert_int_equal(fullest->owner_count, 1);
    assert_true(slice_equal(fullest->owners[0].owner, ALICE));
    assert_true(meta_quota_share(&fullest->owners[0].used,
                                 &fullest->owners[0].quota) == 0.5);
    free(fullest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_is_counted),
        TEST(test_a_deleted_bucket_is_forgotten),
        TEST(test_a_bucket_has_a_quota),
        TEST(test_an_owner_has_a_quota),
        TEST(test_refused_is_all),
        TEST(test_a_failed_commit_is_not_counted),
        TEST(test_racers),
        TEST(test_an_old_store_is_counted),
        TEST(test_a_wrong_record_is_found),
        TEST(test_a_wrong_record_goes_with_its_bucket),
        TEST(test_requests),
        TEST(test_user),
        TEST(test_forgotten),
        TEST(test_turns),
        TEST(test_longest_turn),
        TEST(test_fullest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
