/*
 * Random histories on both stores, against a sorted array: versions put and
 * deleted in batches, the newest read, scans with seeks and skips. LevelDB is
 * closed and opened again at random points; the array is the specification.
 *
 *   meta_model_test [seed]     the failing seed is printed
 */
#include "meta/private.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kv_store.h"

#define STEPS    1500
#define KEY_SIZE 6
#define BUCKETS  2

struct version {
    uint64_t bucket;
    uint8_t key[KEY_SIZE];
    size_t size;
    uint64_t sequence;
    uint64_t bytes;
};

struct world {
    bool leveldb;
    char directory[64];
    struct meta *meta;
    struct version *versions; /* sorted as the store must be */
    size_t count, capacity;
    uint64_t last_id;
};

static unsigned seed = 1;
static uint64_t random_state;

static unsigned random_below(unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % bound;
}

/* --- the model -------------------------------------------------------------*/

static struct slice key_of(const struct version *version)
{
    return slice_of(version->key, version->size);
}

static int compare_versions(const struct version *a, const struct version *b)
{
    int order;

    if (a->bucket != b->bucket) {
        return a->bucket < b->bucket ? -1 : 1;
    }
    order = slice_compare(key_of(a), key_of(b));
    if (order != 0) {
        return order;
    }
    return (a->sequence < b->sequence) - (a->sequence > b->sequence);
}

/* The first version that is not below. */
static size_t model_find(const struct world *w, const struct version *version)
{
    size_t i = 0;

    while (i < w->count && compare_versions(&w->versions[i], version) < 0) {
        i++;
    }
    return i;
}

static void model_put(struct world *w, const struct version *version)
{
    size_t at = model_find(w, version);

    if (w->count == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 64;
        w->versions = realloc(w->versions, w->capacity * sizeof(*version));
    }
    memmove(w->versions + at + 1, w->versions + at,
            (w->count - at) * sizeof(*version));
    w->versions[at] = *version;
    w->count++;
}

static void model_delete(struct world *w, size_t at)
{
    w->count--;
    memmove(w->versions + at, w->versions + at + 1,
            (w->count - at) * sizeof(*w->versions));
}

/* --- the store -------------------------------------------------------------*/

static void open_world(struct world *w)
{
    struct kv *kv;

    if (w->leveldb) {
        assert_int_equal(kv_store_open(w->directory, &kv), 0);
    } else {
        kv = kv_open_memory();
    }
    assert_int_equal(meta_open(kv, &w->meta), 0);
}

static struct version random_key(void)
{
    static const uint8_t alphabet[] = {0x00, 0x01, '/', 'a', 0xFF};
    struct version version = {0};
    size_t i;

    version.bucket = 1 + random_below(BUCKETS);
    version.size = 1 + random_below(KEY_SIZE);
    for (i = 0; i < version.size; i++) {
        version.key[i] = alphabet[random_below(sizeof(alphabet))];
    }
    return version;
}

static void put_one(struct world *w, struct meta_batch *batch)
{
    struct version version = random_key();
    Meta__Object object = META__OBJECT__INIT;

    if (w->count > 0 && random_below(3) == 0) { /* one more of a known key */
        version = w->versions[random_below((unsigned)w->count)];
    }
    version.sequence = meta_next_id(w->meta);
    assert_true(version.sequence > w->last_id);
    w->last_id = version.sequence;
    object.sequence = version.sequence;
    object.size = version.bytes = random_below(1000);
    meta_add_object(batch, version.bucket, key_of(&version), &object);
    model_put(w, &version);
}

static void delete_one(struct world *w, struct meta_batch *batch)
{
    Meta__Object object = META__OBJECT__INIT;
    size_t at;

    if (w->count == 0) {
        return;
    }
    at = random_below((unsigned)w->count);
    object.sequence = w->versions[at].sequence;
    object.size = w->versions[at].bytes;
    meta_delete_object(batch, w->versions[at].bucket, key_of(&w->versions[at]),
                       &object);
    model_delete(w, at);
}

static void change(struct world *w)
{
    struct meta_batch *batch = meta_batch_new(w->meta);
    unsigned changes = 1 + random_below(6);

    while (changes-- > 0) {
        if (random_below(100) < 55) {
            put_one(w, batch);
        } else {
            delete_one(w, batch);
        }
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

/* --- what is compared ------------------------------------------------------*/

static void check_get(struct world *w)
{
    struct version wanted = random_key();
    struct arena *arena = arena_new();
    Meta__Object *object;
    size_t at;
    int rc;

    wanted.sequence = UINT64_MAX;
    at = model_find(w, &wanted);
    rc = meta_get_object(w->meta, arena, wanted.bucket, key_of(&wanted),
                         &object);
    if (at < w->count && w->versions[at].bucket == wanted.bucket &&
        slice_equal(key_of(&w->versions[at]), key_of(&wanted))) {
        assert_int_equal(rc, 0);
        assert_true(object->sequence == w->versions[at].sequence);
    } else {
        assert_int_equal(rc, -ENOENT);
    }
    arena_free(arena);
}

static void check_at(struct world *w, struct meta_scan *scan, uint64_t bucket,
                     size_t at)
{
    struct arena *arena;
    Meta__Object *object;

    assert_int_equal(meta_scan_error(scan), 0);
    if (at == w->count || w->versions[at].bucket != bucket) {
        assert_false(meta_scan_valid(scan));
        return;
    }
    assert_true(meta_scan_valid(scan));
    assert_true(slice_equal(meta_scan_key(scan), key_of(&w->versions[at])));
    arena = arena_new();
    assert_int_equal(meta_scan_object(scan, arena, &object), 0);
    assert_true(object->sequence == w->versions[at].sequence);
    arena_free(arena);
}

/* Where the model stands after one of the three seeks. */
static size_t seek_both(struct world *w, struct meta_scan *scan,
                        struct version *target)
{
    size_t at;

    target->sequence = UINT64_MAX;
    at = model_find(w, target);
    switch (random_below(3)) {
    case 0:
        meta_scan_seek(scan, key_of(target));
        return at;
    case 1:
        meta_scan_seek_after(scan, key_of(target));
        while (at < w->count && w->versions[at].bucket == target->bucket &&
               slice_equal(key_of(&w->versions[at]), key_of(target))) {
            at++;
        }
        return at;
    default:
        meta_scan_skip_prefix(scan, key_of(target));
        while (at < w->count && w->versions[at].bucket == target->bucket &&
               slice_has_prefix(key_of(&w->versions[at]), key_of(target))) {
            at++;
        }
        return at;
    }
}

static void check_scan(struct world *w)
{
    struct version target = random_key(), first = {.bucket = target.bucket};
    struct meta_scan *scan = meta_scan_objects(w->meta, target.bucket);
    uint64_t bucket = target.bucket;
    unsigned moves = 1 + random_below(20);
    size_t at;

    first.sequence = UINT64_MAX;
    at = model_find(w, &first);
    check_at(w, scan, bucket, at);
    while (moves-- > 0) {
        if (meta_scan_valid(scan) && random_below(4) > 0) {
            meta_scan_next(scan);
            at++;
        } else {
            target = random_key();
            target.bucket = bucket;
            at = seek_both(w, scan, &target);
        }
        check_at(w, scan, bucket, at);
    }
    meta_scan_free(scan);
}

static void check_recount(void *context, const struct meta_recount *recount)
{
    const struct world *w = context;
    struct meta_usage usage = {0}, kept;

    for (size_t i = 0; i < w->count; i++) {
        if (w->versions[i].bucket == recount->bucket) {
            usage.bytes += w->versions[i].bytes;
            usage.objects++;
        }
    }
    meta_get_usage(w->meta, recount->bucket, &kept);
    assert_memory_equal(&recount->counted, &usage, sizeof(usage));
    assert_memory_equal(&recount->recorded, &usage, sizeof(usage));
    assert_memory_equal(&kept, &usage, sizeof(usage));
}

static void check_all(struct world *w)
{
    struct version first = {.sequence = UINT64_MAX};
    struct meta_scan *scan;
    bool empty;
    size_t at;

    for (first.bucket = 1; first.bucket <= BUCKETS; first.bucket++) {
        at = model_find(w, &first);
        assert_int_equal(meta_bucket_is_empty(w->meta, first.bucket, &empty),
                         0);
        assert_int_equal(empty, at == w->count ||
                                    w->versions[at].bucket != first.bucket);
        scan = meta_scan_objects(w->meta, first.bucket);
        for (; meta_scan_valid(scan); meta_scan_next(scan), at++) {
            check_at(w, scan, first.bucket, at);
        }
        check_at(w, scan, first.bucket, at);
        meta_scan_free(scan);
    }
    assert_int_equal(meta_recount_usage(w->meta, check_recount, w), 0);
}

static void run_history(struct world *w)
{
    unsigned step, what;

    random_state = 0x9E3779B97F4A7C15 * seed;
    for (step = 0; step < STEPS; step++) {
        what = random_below(100);
        if (what < 50) {
            change(w);
        } else if (what < 75) {
            check_get(w);
        } else if (what < 97) {
            check_scan(w);
        } else {
            if (w->leveldb) {
                meta_close(w->meta);
                open_world(w);
            }
            check_all(w);
        }
    }
    check_all(w);
}

static void history_on(bool leveldb)
{
    struct world w = {.leveldb = leveldb,
                      .directory = "/tmp/meta_model_test.XXXXXX"};

    print_message("seed %u\n", seed);
    assert_non_null(mkdtemp(w.directory));
    open_world(&w);
    run_history(&w);
    meta_close(w.meta);
    free(w.versions);
    kv_store_remove(w.directory);
}

static void test_history_in_memory(void **state)
{
    (void)state;
    history_on(false);
}

static void test_history_on_leveldb(void **state)
{
    (void)state;
    history_on(true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history_in_memory),
        cmocka_unit_test(test_history_on_leveldb),
    };

    if (argc > 1) {
        seed = (unsigned)strtoul(argv[1], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
