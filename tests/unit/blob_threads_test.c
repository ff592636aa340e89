/* Writers and readers at once, with a damaged drive among the six: run under
 * TSan to see races, here to see that bytes stay right. */
#include "blob_fixture.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS  12

static const size_t sizes[] = {700, 30000, 66000, 300000, FIXTURE_CHUNK + 5};

struct worker {
    struct fixture *fixture;
    const Layout__Layout *shared;
    const uint8_t *shared_data;
    unsigned number;
    unsigned wrong;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct blob_store *store = worker->fixture->store;
    uint8_t *read = xmalloc(2 * FIXTURE_CHUNK);

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t size = sizes[(worker->number + round) % 5];
        uint64_t blob = worker->number * 1000 + round + 10;
        uint8_t *data = fixture_bytes(blob, size);
        Layout__Layout *layout;
        struct blob_segment segments[64];
        uint64_t covered;

        if (fixture_put(worker->fixture, blob, data, size, 10000, &layout) !=
            0) {
            worker->wrong++;
        } else {
            worker->wrong += blob_read(store, layout, 0, read, size) != 0 ||
                             memcmp(read, data, size) != 0;
            fixture_free(layout);
        }
        worker->wrong +=
            blob_read(store, worker->shared, 0, read, worker->shared->size) !=
                0 ||
            memcmp(read, worker->shared_data, worker->shared->size) != 0;
        blob_segments(store, worker->shared, 0, worker->shared->size,
                      BLOB_VERIFY_PATH, segments, 64, &covered);
        free(data);
    }
    free(read);
    return NULL;
}

static void count_damage(void *context, uint64_t blob, unsigned chunk,
                         unsigned shard, int error)
{
    (void)blob;
    (void)chunk;
    (void)shard;
    (void)error;
    atomic_fetch_add((atomic_uint *)context, 1);
}

static void test_threads(void **unused)
{
    const size_t size = FIXTURE_CHUNK + 200000;
    uint8_t *data = fixture_bytes(1, size);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct fixture fixture;
    Layout__Layout *layout;
    atomic_uint damaged = 0;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    blob_store_on_damage(fixture.store, count_damage, &damaged);
    assert_int_equal(fixture_put(&fixture, 1, data, size, 65536, &layout), 0);
    fixture_flip(&fixture, layout->chunks[0]->shards[1], 66000);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){&fixture, layout, data, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    /* Once by each blob_read() and once by each blob_segments(). */
    assert_int_equal(atomic_load(&damaged), 2 * THREADS * ROUNDS);
    fixture_free(layout);
    free(data);
    fixture_close(&fixture);
}

static void test_the_cache_of_tables_is_bounded(void **unused)
{
    struct cache *cache = xcalloc(1, sizeof(*cache));

    (void)unused;
    tables_init(cache);
    for (unsigned i = 0; i < 3 * CACHE_TABLES; i++) {
        struct table *table = xmalloc(sizeof(*table) + 4 * sizeof(uint32_t));

        *table = (struct table){
            .extent = i / 7, .offset = i % 7 * 64, .blob = i, .blocks = 4};
        tables_put(cache, table);
        tables_release(cache, table);
        assert_true(cache->count <= CACHE_TABLES);
        assert_true(cache->bytes <= CACHE_BYTES);
    }
    for (unsigned i = 0; i < 3 * CACHE_TABLES; i++) {
        struct table key = {
            .extent = i / 7, .offset = i % 7 * 64, .blob = i, .blocks = 4};
        struct table *table = tables_get(cache, &key);

        assert_int_equal(table != NULL, i >= 2 * CACHE_TABLES);
        if (table != NULL) {
            tables_release(cache, table);
        }
        key.descriptor_crc = 1; /* another record in the same place */
        assert_null(tables_get(cache, &key));
    }
    tables_destroy(cache);
    free(cache);
}

static int setup(void **unused)
{
    (void)unused;
    log_set_level(LOG_LEVEL_ERROR);
    return erasure_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_the_cache_of_tables_is_bounded),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
