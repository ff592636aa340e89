/*
 * Outboxes: order (M6), counts, what is trimmed and dropped, and a store that
 * is opened again.
 */
#include "meta/meta.h"

#include "kv_store.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kv *kv;
static struct meta *meta;
static struct meta_outbox *outbox;
static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    kv = kv_open_memory();
    assert_int_equal(meta_open(kv, &meta), 0);
    outbox = meta_outbox(meta, SLICE_LITERAL("thumbs"));
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    meta_close(meta);
    return 0;
}

/* Returns the event's sequence. */
static uint64_t put(struct meta_batch *batch, struct meta_outbox *into,
                    const char *key)
{
    Meta__Event event = META__EVENT__INIT;

    event.type = META__EVENT_TYPE__OBJECT_CREATED_PUT;
    event.key.data = (uint8_t *)key;
    event.key.len = strlen(key);
    meta_put_event(batch, into, &event);
    return event.sequence;
}

static uint64_t put_one(const char *key)
{
    struct meta_batch *batch = meta_batch_new(meta);
    uint64_t sequence = put(batch, outbox, key);

    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    return sequence;
}

static size_t list(uint64_t after, size_t max, Meta__Event ***events)
{
    size_t count;

    assert_int_equal(
        meta_list_events(outbox, arena, after, max, SIZE_MAX, events, &count),
        0);
    return count;
}

static void assert_backlog(uint64_t events)
{
    struct meta_backlog backlog;

    meta_get_backlog(outbox, &backlog);
    assert_int_equal(backlog.events, events);
    assert_int_equal(backlog.bytes > 0, events > 0);
}

static void test_events_are_listed_in_order(void **state)
{
    Meta__Event **events;
    uint64_t first, second;

    (void)state;
    assert_int_equal(list(0, 10, &events), 0);
    first = put_one("a");
    second = put_one("b");
    assert_true(first < second);
    assert_int_equal(list(0, 10, &events), 2);
    assert_int_equal(events[0]->sequence, first);
    assert_memory_equal(events[1]->key.data, "b", 1);
    assert_int_equal(list(0, 1, &events), 1);
    assert_int_equal(list(first, 10, &events), 1);
    assert_int_equal(events[0]->sequence, second);
    assert_int_equal(list(second, 10, &events), 0);
    assert_int_equal(list(UINT64_MAX, 10, &events), 2); /* there is no such */
}

static void test_bytes_bound_a_list(void **state)
{
    Meta__Event **events;
    size_t count;

    (void)state;
    put_one("a");
    put_one("b");
    assert_int_equal(meta_list_events(outbox, arena, 0, 10, 1, &events, &count),
                     0);
    assert_int_equal(count, 1); /* one, whatever its size */
}

static void test_what_is_not_committed_holds_back(void **state)
{
    struct meta_batch *slow = meta_batch_new(meta);
    struct meta_batch *never = meta_batch_new(meta);
    uint64_t before = put_one("a"), held, after;
    Meta__Event **events;

    (void)state;
    put(never, outbox, "n");
    held = put(slow, outbox, "b");
    after = put_one("c");
    assert_int_equal(list(0, 10, &events), 1);
    assert_int_equal(events[0]->sequence, before);
    assert_backlog(2);
    assert_int_equal(meta_commit(slow), 0);
    assert_int_equal(list(0, 10, &events), 1); /* the other is older */
    meta_batch_free(never);
    assert_int_equal(list(before, 10, &events), 2);
    assert_int_equal(events[0]->sequence, held);
    assert_int_equal(events[1]->sequence, after);
    assert_backlog(3);
    meta_batch_free(slow);
}

static void test_targets_do_not_wait_for_each_other(void **state)
{
    struct meta_outbox *other = meta_outbox(meta, SLICE_LITERAL("thumb"));
    struct meta_batch *slow = meta_batch_new(meta);
    Meta__Event **events;

    (void)state;
    assert_ptr_equal(meta_outbox(meta, SLICE_LITERAL("thumb")), other);
    put(slow, other, "a");
    put_one("b");
    assert_int_equal(list(0, 10, &events), 1);
    meta_batch_free(slow);
}

static void test_trim_and_drop(void **state)
{
    struct meta_backlog keep = {.events = 1, .bytes = UINT64_MAX / 2};
    uint64_t sequences[5], removed;
    Meta__Event **events;

    (void)state;
    for (int i = 0; i < 5; i++) {
        sequences[i] = put_one("k");
    }
    assert_int_equal(meta_trim_events(outbox, sequences[1], &removed), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(list(0, 10, &events), 3);
    assert_int_equal(meta_trim_events(outbox, sequences[1], &removed), 0);
    assert_int_equal(removed, 0);
    assert_backlog(3);
    assert_int_equal(meta_drop_events(outbox, &keep, &removed), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(list(0, 10, &events), 1);
    assert_int_equal(events[0]->sequence, sequences[4]);
    keep = (struct meta_backlog){.events = 10, .bytes = 0};
    assert_int_equal(meta_drop_events(outbox, &keep, &removed), 0);
    assert_int_equal(removed, 1);
    assert_backlog(0);
}

/* More than one commit of removals. */
static void test_many_are_trimmed(void **state)
{
    uint64_t last = 0, removed;
    Meta__Event **events;

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct meta_batch *batch = meta_batch_new(meta);

        for (int j = 0; j < 100; j++) {
            last = put(batch, outbox, "k");
        }
        assert_int_equal(meta_commit(batch), 0);
        meta_batch_free(batch);
    }
    assert_backlog(10000);
    assert_int_equal(meta_trim_events(outbox, last - 1, &removed), 0);
    assert_int_equal(removed, 9999);
    assert_int_equal(list(0, 10, &events), 1);
}

/* Memory holds the newest only; the others are read from the store. */
static void test_more_than_memory_keeps(void **state)
{
    uint64_t sequences[10], removed;
    Meta__Event **events;
    char *large = malloc(300000);

    (void)state;
    memset(large, 'k', 299999);
    large[299999] = '\0';
    for (int i = 0; i < 10; i++) {
        sequences[i] = put_one(large);
    }
    assert_int_equal(list(0, 20, &events), 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(events[i]->sequence, sequences[i]);
    }
    assert_int_equal(list(sequences[1], 20, &events), 8);
    assert_int_equal(list(sequences[8], 20, &events), 1);
    assert_int_equal(events[0]->sequence, sequences[9]);
    for (int i = 1; i < 10; i += 2) {
        assert_int_equal(meta_trim_events(outbox, sequences[i], &removed), 0);
        assert_int_equal(removed, 2);
        assert_int_equal(list(0, 20, &events), 9 - i);
    }
    assert_backlog(0);
    put_one("a");
    assert_int_equal(list(0, 20, &events), 1);
    assert_int_equal(list(sequences[9], 20, &events), 1);
    free(large);
}

static void test_a_failed_commit_counts_nothing(void **state)
{
    struct meta_batch *batch = meta_batch_new(meta);

    (void)state;
    put(batch, outbox, "a");
    kv_memory_fail_after(kv, 0);
    assert_int_not_equal(meta_commit(batch), 0);
    assert_backlog(0);
    meta_batch_free(batch);
}

/* Deletes give room back: they are taken with their events, writes are not. */
static void test_below_the_reserve(void **state)
{
    static const char *const directories[] = {"/tmp"};
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Object object = META__OBJECT__INIT;

    (void)state;
    kv_set_reserve(kv, directories, 1, UINT64_MAX / 2);
    put(batch, outbox, "a");
    object.sequence = 1;
    meta_delete_object(batch, 1, SLICE_LITERAL("a"), &object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_backlog(1);
    batch = meta_batch_new(meta);
    object.sequence = 2;
    put(batch, outbox, "a");
    meta_add_object(batch, 1, SLICE_LITERAL("a"), &object);
    assert_int_equal(meta_commit(batch), -ENOSPC);
    meta_batch_free(batch);
    assert_backlog(1);
}

static void count_call(void *context)
{
    ++*(unsigned *)context;
}

static void test_the_watcher_is_told(void **state)
{
    struct meta_batch *batch;
    unsigned told = 0;

    (void)state;
    meta_watch_outbox(outbox, count_call, &told);
    put_one("a");
    assert_int_equal(told, 1);
    batch = meta_batch_new(meta);
    put(batch, outbox, "b");
    assert_int_equal(told, 1);
    meta_batch_free(batch); /* others may have waited for it */
    assert_int_equal(told, 2);
    meta_watch_outbox(outbox, NULL, NULL);
    put_one("c");
    assert_int_equal(told, 2);
}

static void test_counted_at_the_start(void **state)
{
    char directory[] = "/tmp/meta-outbox-XXXXXX";
    struct meta_backlog before, after;
    struct meta_outbox *stored;
    struct meta_batch *batch;
    uint64_t sequence, removed;
    Meta__Event **events;
    struct meta *opened;
    struct kv *store;
    size_t count;

    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(kv_store_open(directory, &store), 0);
    assert_int_equal(meta_open(store, &opened), 0);
    stored = meta_outbox(opened, SLICE_LITERAL("a\0b"));
    batch = meta_batch_new(opened);
    sequence = put(batch, stored, "k1");
    put(batch, stored, "k2");
    put(batch, meta_outbox(opened, SLICE_LITERAL("a")), "k3");
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(meta_trim_events(stored, sequence, &removed), 0);
    meta_get_backlog(stored, &before);
    assert_int_equal(before.events, 1);
    meta_close(opened);

    assert_int_equal(kv_store_open(directory, &store), 0);
    assert_int_equal(meta_open(store, &opened), 0);
    stored = meta_outbox(opened, SLICE_LITERAL("a\0b"));
    meta_get_backlog(stored, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(
        meta_list_events(stored, arena, 0, 9, SIZE_MAX, &events, &count), 0);
    assert_int_equal(count, 1);
    assert_memory_equal(events[0]->key.data, "k2", 2);
    batch = meta_batch_new(opened);
    put(batch, stored, "k4");
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    assert_int_equal(
        meta_list_events(stored, arena, 0, 9, SIZE_MAX, &events, &count), 0);
    assert_int_equal(count, 2);
    assert_memory_equal(events[1]->key.data, "k4", 2);
    count = 0;
    for (stored = NULL; (stored = meta_next_outbox(opened, stored)) != NULL;) {
        count++;
    }
    assert_int_equal(count, 2);
    meta_close(opened);
    kv_store_remove(directory);
}

/* --- M6, with many at once -------------------------------------------------*/
#define WRITERS 6
#define ROUNDS  400

static _Atomic uint64_t committed;
static _Atomic int writing;

static void *write_events(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;

    for (int i = 0; i < ROUNDS; i++) {
        struct meta_batch *batch = meta_batch_new(meta);
        const int count = 1 + rand_r(&seed) % 3;

        for (int j = 0; j < count; j++) {
            put(batch, outbox, "k");
        }
        if (rand_r(&seed) % 4 != 0) {
            assert_int_equal(meta_commit(batch), 0);
            atomic_fetch_add(&committed, (uint64_t)count);
        }
        meta_batch_free(batch);
    }
    atomic_fetch_sub(&writing, 1);
    return NULL;
}

/* Reads and trims as a publisher does: what it sees must rise for ever, and
 * in the end it has seen all. */
static void test_a_reader_sees_rising_sequences(void **state)
{
    uint64_t last = 0, seen = 0, removed;
    pthread_t threads[WRITERS];
    bool over = false;

    (void)state;
    atomic_store(&committed, 0);
    atomic_store(&writing, WRITERS);
    for (uintptr_t i = 0; i < WRITERS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_events, (void *)(i + 1)),
            0);
    }
    for (;;) {
        struct arena *scratch = arena_new();
        Meta__Event **events;
        size_t count;
        bool ended = atomic_load(&writing) == 0;

        assert_int_equal(
            meta_list_events(outbox, scratch, 0, 7, SIZE_MAX, &events, &count),
            0);
        for (size_t i = 0; i < count; i++) {
            assert_true(events[i]->sequence > last);
            last = events[i]->sequence;
        }
        arena_free(scratch);
        seen += count;
        if (count > 0) {
            assert_int_equal(meta_trim_events(outbox, last, &removed), 0);
            assert_int_equal(removed, count);
        } else if (ended) {
            over = true;
        }
        if (over) {
            break;
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(seen, atomic_load(&committed));
    assert_backlog(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events_are_listed_in_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bytes_bound_a_list, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_committed_holds_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_targets_do_not_wait_for_each_other,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_trim_and_drop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_are_trimmed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_than_memory_keeps, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_commit_counts_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_below_the_reserve, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_watcher_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_counted_at_the_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_sees_rising_sequences,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
