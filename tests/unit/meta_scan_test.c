/*
 * Scans: order, seeks, skipped prefixes, bounds of a bucket, parts, damage.
 */
#include "meta/private.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct meta *meta;
    struct arena *arena;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_int_equal(meta_open(kv_open_memory(), &f->meta), 0);
    f->arena = arena_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    meta_close(f->meta);
    arena_free(f->arena);
    free(f);
    return 0;
}

static void put_object(struct fixture *f, uint64_t bucket, struct slice key,
                       uint64_t sequence)
{
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Object object = META__OBJECT__INIT;

    object.sequence = sequence;
    meta_add_object(batch, bucket, key, &object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void put_raw(struct fixture *f, struct slice key, struct slice value)
{
    struct kv_batch *batch = kv_batch_new();

    kv_batch_put(batch, key, value);
    assert_int_equal(kv_commit(meta_kv(f->meta), batch), 0);
    kv_batch_free(batch);
}

static void expect_at(struct fixture *f, struct meta_scan *scan,
                      struct slice key, uint64_t sequence)
{
    Meta__Object *object;

    assert_true(meta_scan_valid(scan));
    assert_true(slice_equal(meta_scan_key(scan), key));
    assert_int_equal(meta_scan_object(scan, f->arena, &object), 0);
    assert_true(object->sequence == sequence);
}

#define KEY(text) SLICE_LITERAL(text)

static void test_versions_newest_first(void **state)
{
    struct fixture *f = *state;
    struct meta_scan *scan;

    put_object(f, 1, KEY("a"), 1);
    put_object(f, 1, KEY("b"), 2);
    put_object(f, 1, KEY("a"), 3);
    scan = meta_scan_objects(f->meta, 1);
    expect_at(f, scan, KEY("a"), 3);
    meta_scan_next(scan);
    expect_at(f, scan, KEY("a"), 1);
    meta_scan_next(scan);
    expect_at(f, scan, KEY("b"), 2);
    meta_scan_next(scan);
    assert_false(meta_scan_valid(scan));
    assert_int_equal(meta_scan_error(scan), 0);
    meta_scan_seek_after(scan, KEY("a"));
    expect_at(f, scan, KEY("b"), 2);
    meta_scan_free(scan);
}

static void test_seeks_with_zeros(void **state)
{
    struct fixture *f = *state;
    struct meta_scan *scan;

    put_object(f, 1, KEY("a"), 1);
    put_object(f, 1, KEY("a\0"), 2);
    put_object(f, 1, KEY("a\0\0"), 3);
    put_object(f, 1, KEY("a\0\x01"), 4);
    put_object(f, 1, KEY("a\x01"), 5);
    scan = meta_scan_objects(f->meta, 1);
    meta_scan_seek(scan, KEY("a\0"));
    expect_at(f, scan, KEY("a\0"), 2);
    meta_scan_seek_after(scan, KEY("a"));
    expect_at(f, scan, KEY("a\0"), 2);
    meta_scan_seek_after(scan, KEY("a\0"));
    expect_at(f, scan, KEY("a\0\0"), 3);
    meta_scan_next(scan);
    expect_at(f, scan, KEY("a\0\x01"), 4);
    meta_scan_skip_prefix(scan, KEY("a\0"));
    expect_at(f, scan, KEY("a\x01"), 5);
    meta_scan_skip_prefix(scan, KEY("a"));
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
}

static void test_skip_prefix_of_ff(void **state)
{
    struct fixture *f = *state;
    struct meta_scan *scan;

    put_object(f, 1, KEY("\xFE"), 1);
    put_object(f, 1, KEY("\xFF\xFF"), 2);
    put_object(f, 2, KEY("a"), 3);
    scan = meta_scan_objects(f->meta, 1);
    expect_at(f, scan, KEY("\xFE"), 1);
    meta_scan_skip_prefix(scan, KEY("\xFE"));
    expect_at(f, scan, KEY("\xFF\xFF"), 2);
    meta_scan_skip_prefix(scan, KEY("\xFF"));
    assert_false(meta_scan_valid(scan));
    meta_scan_seek(scan, KEY(""));
    expect_at(f, scan, KEY("\xFE"), 1);
    meta_scan_skip_prefix(scan, KEY(""));
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
}

/* Neighbours, the greatest bucket id among them, are never shown. */
static void test_stays_in_its_bucket(void **state)
{
    struct fixture *f = *state;
    struct meta_scan *scan;

    put_object(f, 0xFF, KEY("k"), 1);
    put_object(f, 0x100, KEY("k"), 2);
    put_object(f, UINT64_MAX, KEY("k"), 3);
    scan = meta_scan_objects(f->meta, 0xFF);
    expect_at(f, scan, KEY("k"), 1);
    meta_scan_next(scan);
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
    scan = meta_scan_objects(f->meta, UINT64_MAX);
    expect_at(f, scan, KEY("k"), 3);
    meta_scan_skip_prefix(scan, KEY(""));
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
    scan = meta_scan_objects(f->meta, 0x101);
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
}

static void test_long_target(void **state)
{
    struct fixture *f = *state;
    uint8_t *marker = calloc(1, 100000);
    struct meta_scan *scan;

    put_object(f, 1, KEY("a"), 1);
    scan = meta_scan_objects(f->meta, 1);
    meta_scan_seek(scan, slice_of(marker, 100000));
    expect_at(f, scan, KEY("a"), 1);
    meta_scan_free(scan);
    free(marker);
}

static void test_buckets(void **state)
{
    static const char *const names[] = {"alpha", "alpha-2", "beta"};
    struct fixture *f = *state;
    Meta__Bucket bucket = META__BUCKET__INIT, *found;
    struct meta_batch *batch = meta_batch_new(f->meta);
    struct meta_scan *scan;
    size_t i;

    for (i = 0; i < 3; i++) {
        bucket.id = i + 1;
        bucket.name.data = (uint8_t *)names[i];
        bucket.name.len = strlen(names[i]);
        meta_put_bucket(batch, &bucket);
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    scan = meta_scan_buckets(f->meta, KEY(""));
    for (i = 0; i < 3; i++) {
        assert_true(meta_scan_valid(scan));
        assert_true(slice_equal_string(meta_scan_key(scan), names[i]));
        assert_int_equal(meta_scan_bucket(scan, f->arena, &found), 0);
        assert_true(found->id == i + 1);
        meta_scan_next(scan);
    }
    assert_false(meta_scan_valid(scan));
    meta_scan_seek_after(scan, KEY("alpha"));
    assert_true(slice_equal_string(meta_scan_key(scan), "alpha-2"));
    meta_scan_skip_prefix(scan, KEY("alpha"));
    assert_true(slice_equal_string(meta_scan_key(scan), "beta"));
    meta_scan_free(scan);
    scan = meta_scan_buckets(f->meta, KEY("alpha-"));
    assert_true(slice_equal_string(meta_scan_key(scan), "alpha-2"));
    meta_scan_free(scan);
}

static void test_uploads(void **state)
{
    static const char *const order[][2] = {
        {"a", "u1"}, {"a", "u3"}, {"a\x01", "u0"}, {"b", "u2"}};
    struct fixture *f = *state;
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Upload upload = META__UPLOAD__INIT, *found;
    struct meta_scan *scan;
    size_t i;

    for (i = 4; i > 0; i--) {
        upload.id.data = (uint8_t *)order[i - 1][1];
        upload.id.len = 2;
        meta_put_upload(batch, 1, slice_from_string(order[i - 1][0]), &upload);
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    scan = meta_scan_uploads(f->meta, 1);
    for (i = 0; i < 4; i++) {
        assert_true(meta_scan_valid(scan));
        assert_true(slice_equal_string(meta_scan_key(scan), order[i][0]));
        assert_int_equal(meta_scan_upload(scan, f->arena, &found), 0);
        assert_memory_equal(found->id.data, order[i][1], 2);
        meta_scan_next(scan);
    }
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
}

static void put_parts(struct fixture *f, struct slice upload, unsigned first,
                      unsigned last, unsigned step)
{
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Part part = META__PART__INIT;
    unsigned i;

    for (i = first; i <= last; i += step) {
        part.number = i;
        part.size = i * 10;
        meta_put_part(batch, 1, upload, &part, NULL);
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void test_parts(void **state)
{
    struct fixture *f = *state;
    Meta__Part **parts, *part;
    size_t count, i;
    bool more;

    put_parts(f, KEY("up"), 1, 9999, 2);
    put_parts(f, KEY("up2"), 2, 2, 1);
    assert_int_equal(meta_list_parts(f->meta, f->arena, KEY("up"), 0, 10000,
                                     &parts, &count, &more),
                     0);
    assert_int_equal(count, 5000);
    assert_false(more);
    for (i = 0; i < count; i++) {
        assert_int_equal(parts[i]->number, 2 * i + 1);
        assert_true(parts[i]->size == 10 * parts[i]->number);
    }
    assert_int_equal(meta_list_parts(f->meta, f->arena, KEY("up"), 4, 2, &parts,
                                     &count, &more),
                     0);
    assert_int_equal(count, 2);
    assert_true(more);
    assert_int_equal(parts[0]->number, 5);
    assert_int_equal(parts[1]->number, 7);
    assert_int_equal(meta_list_parts(f->meta, f->arena, KEY("up"), 9998, 1,
                                     &parts, &count, &more),
                     0);
    assert_int_equal(count, 1);
    assert_false(more);
    assert_int_equal(meta_list_parts(f->meta, f->arena, KEY("u"), 0, 10, &parts,
                                     &count, &more),
                     0);
    assert_int_equal(count, 0);
    assert_false(more);
    assert_int_equal(meta_get_part(f->meta, f->arena, KEY("up"), 5, &part), 0);
    assert_int_equal(meta_get_part(f->meta, f->arena, KEY("up"), 6, &part),
                     -ENOENT);
}

/* A scan sees the store as it was when it began. */
static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    struct meta_scan *scan;

    put_object(f, 1, KEY("a"), 1);
    scan = meta_scan_objects(f->meta, 1);
    put_object(f, 1, KEY("b"), 2);
    meta_scan_seek_after(scan, KEY("a"));
    assert_false(meta_scan_valid(scan));
    meta_scan_free(scan);
}

static void test_damage_is_reported(void **state)
{
    struct fixture *f = *state;
    Meta__Object *object;
    struct buffer key = {0};
    struct meta_scan *scan;

    put_object(f, 1, KEY("a"), 1);
    key_object(&key, 1, KEY("b"), 1);
    put_raw(f, buffer_slice(&key), KEY("no envelope"));
    put_raw(f, KEY("O\0\0\0\0\0\0\0\x01z"), KEY("no terminator"));
    scan = meta_scan_objects(f->meta, 1);
    meta_scan_next(scan);
    assert_true(meta_scan_valid(scan));
    assert_int_equal(meta_scan_object(scan, f->arena, &object), -EBADMSG);
    assert_int_equal(meta_get_object(f->meta, f->arena, 1, KEY("b"), &object),
                     -EBADMSG);
    meta_scan_next(scan);
    assert_false(meta_scan_valid(scan));
    assert_int_equal(meta_scan_error(scan), -EBADMSG);
    meta_scan_free(scan);
    buffer_free(&key);
}

static void put_version(struct fixture *f, struct slice key, uint64_t sequence,
                        const char *id)
{
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Object object = META__OBJECT__INIT;

    object.sequence = sequence;
    object.version_id.data = (uint8_t *)id;
    object.version_id.len = strlen(id);
    meta_add_object(batch, 1, key, &object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void test_seeks_older_versions(void **state)
{
    struct fixture *f = *state;
    struct meta_scan *scan;

    put_object(f, 1, KEY("a"), 3);
    put_object(f, 1, KEY("a"), 7);
    put_object(f, 1, KEY("a\0"), 5);
    scan = meta_scan_objects(f->meta, 1);
    meta_scan_seek_older(scan, KEY("a"), 8);
    expect_at(f, scan, KEY("a"), 7);
    meta_scan_seek_older(scan, KEY("a"), 7);
    expect_at(f, scan, KEY("a"), 3);
    meta_scan_seek_older(scan, KEY("a"), 5); /* of a version that is gone */
    expect_at(f, scan, KEY("a"), 3);
    meta_scan_seek_older(scan, KEY("a"), 3);
    expect_at(f, scan, KEY("a\0"), 5);
    meta_scan_seek_older(scan, KEY("0"), 9);
    expect_at(f, scan, KEY("a"), 7);
    meta_scan_seek_older(scan, KEY("a\0"), 1);
    assert_false(meta_scan_valid(scan));
    assert_int_equal(meta_scan_error(scan), 0);
    meta_scan_seek_older(scan, KEY("a"), UINT64_MAX);
    expect_at(f, scan, KEY("a"), 7);
    meta_scan_free(scan);
}

static void test_one_version(void **state)
{
    struct fixture *f = *state;
    Meta__Object *object;

    put_version(f, KEY("k"), 2, "two");
    put_version(f, KEY("k"), 3, "");
    put_version(f, KEY("k"), 4, "four");
    put_version(f, KEY("l"), 5, "five");
    put_version(f, KEY("m"), 6, "");
    for (uint64_t i = 2; i <= 4; i++) {
        assert_int_equal(
            meta_get_version(f->meta, f->arena, 1, KEY("k"), i, &object), 0);
        assert_true(object->sequence == i);
    }
    assert_int_equal(
        meta_get_version(f->meta, f->arena, 1, KEY("k"), 5, &object), -ENOENT);
    assert_int_equal(
        meta_get_version(f->meta, f->arena, 2, KEY("k"), 3, &object), -ENOENT);
    assert_int_equal(
        meta_get_null_version(f->meta, f->arena, 1, KEY("k"), &object), 0);
    assert_true(object->sequence == 3);
    /* None of its own: the next key's is not taken. */
    assert_int_equal(
        meta_get_null_version(f->meta, f->arena, 1, KEY("l"), &object),
        -ENOENT);
    assert_int_equal(
        meta_get_null_version(f->meta, f->arena, 1, KEY("none"), &object),
        -ENOENT);
}

static void test_one_version_damaged(void **state)
{
    struct fixture *f = *state;
    struct buffer key = {0};
    Meta__Object *object;

    put_version(f, KEY("k"), 2, "");
    key_object(&key, 1, KEY("k"), 3);
    put_raw(f, buffer_slice(&key), KEY("no envelope"));
    assert_int_equal(
        meta_get_version(f->meta, f->arena, 1, KEY("k"), 3, &object), -EBADMSG);
    assert_int_equal(
        meta_get_null_version(f->meta, f->arena, 1, KEY("k"), &object),
        -EBADMSG);
    assert_int_equal(
        meta_get_version(f->meta, f->arena, 1, KEY("k"), 2, &object), 0);
    buffer_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions_newest_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_seeks_with_zeros, setup, teardown),
        cmocka_unit_test_setup_teardown(test_skip_prefix_of_ff, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_stays_in_its_bucket, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_long_target, setup, teardown),
        cmocka_unit_test_setup_teardown(test_buckets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uploads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_reported, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_seeks_older_versions, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_version_damaged, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
