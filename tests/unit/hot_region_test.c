/*
 * The hot index: what is published is found, changes take it away whatever
 * their order, and no garbage does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those before it */
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hot/hot.h"
#include "wire/wire.h"

#define BUCKET SLICE_LITERAL("bucket")
#define KEY    SLICE_LITERAL("a/key")
#define ID     7u

struct reader {
    void *base;
    size_t size;
    struct hot_view view;
    uint64_t copy[HOT_PAYLOAD_MAX / 8];
    struct hot_found found;
};

static struct hot *open_index_of(size_t size, size_t slot_size,
                                 struct reader *reader)
{
    struct hot_status status;
    struct hot *hot;

    assert_int_equal(hot_open(size, slot_size, &hot), 0);
    hot_status(hot, &status);
    reader->size = status.size;
    reader->base =
        mmap(NULL, status.size, PROT_READ, MAP_SHARED, hot_descriptor(hot), 0);
    assert_true(reader->base != MAP_FAILED);
    assert_true(hot_view_open(&reader->view, reader->base, reader->size));
    return hot;
}

static struct hot *open_index(size_t size, struct reader *reader)
{
    return open_index_of(size, HOT_SLOT_MIN, reader);
}

static void close_index(struct hot *hot, struct reader *reader)
{
    hot_close(hot);
    munmap(reader->base, reader->size);
}

/* Here a question is a key. */
static bool find_key(struct reader *reader, struct slice key)
{
    return hot_find(&reader->view, key.data, key.size, reader->copy,
                    &reader->found);
}

static bool find(struct reader *reader)
{
    return find_key(reader, KEY);
}

static void look(struct hot *hot, struct slice key, struct hot_token *token)
{
    hot_look(hot, BUCKET, token);
    hot_look_at_key(hot, ID, key, token);
}

static struct hot_answer answer_of(struct slice key, struct slice body)
{
    static const struct hot_header_field fields[] = {
        {{(const uint8_t *)"ETag", 4}, {(const uint8_t *)"\"x\"", 3}},
        {{(const uint8_t *)"x-amz-meta-a", 12}, {(const uint8_t *)"", 0}},
    };

    return (struct hot_answer){
        .question = key,
        .content_length = body.size,
        .fields = fields,
        .field_count = 2,
        .body = body,
        .anybody = true,
    };
}

static bool publish(struct hot *hot, const struct hot_token *token,
                    const char *body)
{
    const struct hot_answer answer = answer_of(KEY, slice_from_string(body));

    return hot_publish(hot, token, &answer);
}

static void fill(struct hot *hot, const char *body)
{
    struct hot_token token;

    look(hot, KEY, &token);
    assert_true(publish(hot, &token, body));
}

/* --- one thread ------------------------------------------------------------*/
static void finds_what_was_published(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);
    struct hot_field field;
    size_t at = 0;

    (void)state;
    assert_false(find(&reader));
    fill(hot, "bytes");
    assert_true(find(&reader));
    assert_true(reader.found.entry->anybody && reader.found.entry->has_body);
    assert_int_equal(reader.found.entry->body_size, 5);
    assert_memory_equal(reader.found.body, "bytes", 5);
    assert_true(hot_next_field(&reader.found, &at, &field));
    assert_memory_equal(field.name, "ETag", 4);
    assert_memory_equal(field.value, "\"x\"", 3);
    assert_true(hot_next_field(&reader.found, &at, &field));
    assert_int_equal(field.value_size, 0);
    assert_false(hot_next_field(&reader.found, &at, &field));
    assert_false(find_key(&reader, SLICE_LITERAL("a/ke")));
    close_index(hot, &reader);
}

static void a_reader_cannot_write(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);
    const int descriptor = hot_descriptor(hot);

    (void)state;
    assert_true(mmap(NULL, reader.size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     descriptor, 0) == MAP_FAILED);
    assert_int_equal(pwrite(descriptor, "x", 1, 0), -1);
    assert_int_equal(ftruncate(descriptor, 0), -1);
    assert_int_equal(fallocate(descriptor,
                               FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                               4096),
                     -1);
    assert_int_equal(mprotect(reader.base, reader.size, PROT_WRITE), -1);
    close_index(hot, &reader);
}

/* --- orders of a fill and a change (H2, H3) --------------------------------*/
enum change { OF_KEY, OF_BUCKET, OF_IDENTITIES, CHANGES };

static void change(struct hot *hot, enum change kind, bool ended)
{
    if (kind == OF_KEY) {
        hot_change(hot, ID, KEY, ended);
    } else if (kind == OF_BUCKET) {
        hot_change(hot, 0, BUCKET, ended);
    } else {
        hot_change_identities(hot, ended);
    }
}

/* The steps of a fill (look, publish) and of a change (begin, end) in every
 * order that keeps each one's own: what was looked up before the end of the
 * change is never found after its begin. */
static void no_order_leaves_the_old(void **state)
{
    static const char *const orders[] = {"lpbe", "lbpe", "lbep",
                                         "blpe", "blep", "belp"};

    (void)state;
    for (unsigned i = 0; i < 6 * CHANGES; i++) {
        const char *order = orders[i % 6];
        const enum change kind = i / 6;
        struct reader reader;
        struct hot *hot = open_index(1 << 20, &reader);
        struct hot_token token = {.valid = false};
        bool begun = false, ended = false, old = false;

        for (; *order != '\0'; order++) {
            switch (*order) {
            case 'l':
                look(hot, KEY, &token);
                old = !ended;
                break;
            case 'p':
                publish(hot, &token, "bytes");
                break;
            default:
                begun = true;
                ended = *order == 'e';
                change(hot, kind, ended);
            }
            assert_false(begun && old && find(&reader));
        }
        assert_int_equal(find(&reader), !old);
        close_index(hot, &reader);
    }
}

static void two_changes_at_once(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);
    struct hot_token token;

    (void)state;
    hot_change(hot, ID, KEY, false);
    hot_change(hot, ID, KEY, false);
    hot_change(hot, ID, KEY, true);
    look(hot, KEY, &token);
    assert_false(token.valid);
    assert_false(publish(hot, &token, "bytes"));
    hot_change(hot, ID, KEY, true);
    fill(hot, "bytes");
    assert_true(find(&reader));
    close_index(hot, &reader);
}

/* An answer that several keys have a part in goes with any of them. */
static void all_that_was_looked_at_counts(void **state)
{
    static const char *const keys[] = {"a.br", "a.gz", "a"};
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);
    struct hot_token token;

    (void)state;
    for (unsigned changed = 0; changed < 3; changed++) {
        hot_look(hot, BUCKET, &token);
        for (unsigned i = 0; i < 3; i++) {
            hot_look_at_key(hot, ID, slice_from_string(keys[i]), &token);
        }
        assert_true(publish(hot, &token, "bytes"));
        assert_true(find(&reader));
        assert_int_equal(reader.found.entry->seen, 4);
        hot_change(hot, ID, slice_from_string(keys[changed]), false);
        assert_false(find(&reader));
        hot_change(hot, ID, slice_from_string(keys[changed]), true);
        assert_false(find(&reader));
    }
    hot_look(hot, BUCKET, &token);
    for (unsigned i = 1; i < HOT_SEEN_MAX; i++) {
        hot_look_at_key(hot, ID, KEY, &token);
    }
    assert_true(publish(hot, &token, "bytes") && find(&reader));
    hot_look_at_key(hot, ID, KEY, &token);
    assert_false(publish(hot, &token, "bytes"));
    close_index(hot, &reader);
}

/* One key was read, outdated and read again. */
static void what_was_read_twice_is_not_found(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);
    struct hot_token token;

    (void)state;
    look(hot, KEY, &token);
    hot_change(hot, ID, KEY, false);
    hot_change(hot, ID, KEY, true);
    hot_look_at_key(hot, ID, KEY, &token);
    publish(hot, &token, "bytes");
    assert_false(find(&reader));
    close_index(hot, &reader);
}

/* --- who may read ----------------------------------------------------------*/
static void add_reader(struct hot *hot, const char *access_key,
                       uint64_t generation)
{
    struct hot_answer answer = answer_of(KEY, slice_of(NULL, 0));
    struct hot_token token;

    answer.content_length = 5;
    answer.anybody = false;
    answer.access_key = slice_from_string(access_key);
    answer.generation = generation;
    look(hot, KEY, &token);
    assert_true(hot_publish(hot, &token, &answer));
}

static bool may(const struct reader *reader, const char *access_key,
                uint64_t generation)
{
    return hot_may_read(&reader->found, access_key, strlen(access_key),
                        generation);
}

static void readers_are_gathered(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);

    (void)state;
    fill(hot, "bytes");
    add_reader(hot, "AKIA1", 1);
    add_reader(hot, "AKIA2", 2);
    add_reader(hot, "AKIA2", 2);
    assert_true(find(&reader));
    assert_true(reader.found.entry->has_body && reader.found.entry->anybody);
    assert_int_equal(reader.found.entry->readers, 2);
    assert_true(may(&reader, "AKIA1", 1) && may(&reader, "AKIA2", 2));
    assert_false(may(&reader, "AKIA1", 2) || may(&reader, "AKIA", 1));
    assert_false(may(&reader, "", 0));
    for (int last = '3'; last <= '9'; last++) {
        add_reader(hot, (char[]){'A', 'K', 'I', 'A', (char)last, '\0'}, 3);
    }
    assert_true(find(&reader));
    assert_int_equal(reader.found.entry->readers, HOT_READERS_MAX);
    assert_true(may(&reader, "AKIA9", 3));
    hot_change_identities(hot, false);
    hot_change_identities(hot, true);
    add_reader(hot, "AKIA1", 1);
    assert_true(find(&reader));
    assert_int_equal(reader.found.entry->readers, 1);
    assert_false(reader.found.entry->anybody || reader.found.entry->has_body);
    close_index(hot, &reader);
}

static void checksums_are_kept(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);
    struct hot_answer answer = answer_of(KEY, SLICE_LITERAL("bytes"));
    struct hot_token token;

    (void)state;
    answer.checksums = true;
    look(hot, KEY, &token);
    assert_true(hot_publish(hot, &token, &answer));
    answer.checksums = false;
    answer.field_count = 1;
    assert_true(hot_publish(hot, &token, &answer));
    assert_true(find(&reader));
    assert_true(reader.found.entry->checksums);
    assert_int_equal(reader.found.entry->fields, 2);
    hot_change(hot, ID, KEY, false);
    hot_change(hot, ID, KEY, true);
    look(hot, KEY, &token);
    assert_true(hot_publish(hot, &token, &answer));
    assert_true(find(&reader));
    assert_false(reader.found.entry->checksums);
    assert_int_equal(reader.found.entry->fields, 1);
    close_index(hot, &reader);
}

/* --- what does not fit -----------------------------------------------------*/
static void bounds_hold(void **state)
{
    static char large[HOT_SLOT_MAX];
    struct reader reader;
    struct hot *hot;
    const struct hot_header_field broken = {SLICE_LITERAL("a"),
                                            SLICE_LITERAL("b\r\nc: d")};
    struct hot_answer answer;
    struct hot_token token;

    (void)state;
    for (size_t slot = HOT_SLOT_MIN; slot <= HOT_SLOT_MAX; slot *= 2) {
        hot = open_index_of(1 << 20, slot, &reader);
        look(hot, KEY, &token);
        for (size_t size = 0; size < slot; size += slot / 500) {
            answer = answer_of(KEY, slice_of(large, size));
            if (hot_publish(hot, &token, &answer)) {
                assert_true(find(&reader));
                assert_int_equal(reader.found.entry->body_size, size);
                assert_true(size < hot_body_limit(hot));
            } else {
                assert_true(size > slot - 300);
            }
        }
        close_index(hot, &reader);
    }
    hot = open_index(1 << 20, &reader);
    look(hot, KEY, &token);
    answer = answer_of(KEY, SLICE_LITERAL("bytes"));
    answer.fields = &broken;
    answer.field_count = 1;
    assert_false(hot_publish(hot, &token, &answer));
    answer.field_count = 256;
    answer.fields = calloc(256, sizeof(*answer.fields));
    assert_false(hot_publish(hot, &token, &answer));
    free((void *)answer.fields);
    close_index(hot, &reader);
}

static void sets_give_up_slots(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1, &reader); /* one set */
    unsigned there = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        char key[8];
        const struct slice name =
            slice_of(key, (size_t)snprintf(key, sizeof(key), "%u", i));
        const struct hot_answer answer = answer_of(name, name);
        struct hot_token token;

        look(hot, name, &token);
        assert_true(hot_publish(hot, &token, &answer));
        assert_true(find_key(&reader, name));
    }
    for (unsigned i = 0; i < 100; i++) {
        char key[8];
        const size_t size = (size_t)snprintf(key, sizeof(key), "%u", i);

        there += find_key(&reader, slice_of(key, size));
    }
    assert_int_equal(there, HOT_WAYS);
    close_index(hot, &reader);
}

static void twice_is_wanted(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);

    (void)state;
    assert_false(hot_is_wanted(hot, KEY));
    assert_true(hot_is_wanted(hot, KEY));
    assert_false(hot_is_wanted(hot, SLICE_LITERAL("other")));
    assert_false(hot_is_wanted(NULL, KEY));
    close_index(hot, &reader);
}

/* --- garbage (H5) ----------------------------------------------------------*/
static uint64_t random_state = 88172645463325252u;

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A copy of the region in which words are changed; slots keep their checksum,
 * or nothing behind it would be seen. */
static void survives_garbage(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1, &reader);
    uint8_t *copy = malloc(reader.size);
    struct hot_view view;

    (void)state;
    fill(hot, "bytes");
    for (unsigned i = 0; i < 5000; i++) {
        struct hot_slot *slot;

        memcpy(copy, reader.base, reader.size);
        assert_true(hot_view_open(&view, copy, reader.size));
        slot = (struct hot_slot *)view.slots;
        while (slot->hash == 0) {
            slot = (struct hot_slot *)((uint8_t *)slot + view.slot_size);
        }
        for (unsigned n = 0; n <= i % 4; n++) {
            uint8_t *at = (uint8_t *)slot->payload +
                          random_word() % (sizeof(struct hot_entry) + 64);
            *at = (uint8_t)random_word();
        }
        if (i % 8 == 0) {
            slot->size = (uint32_t)random_word() % (2 * HOT_SLOT_MIN);
        }
        if (slot->size <= view.payload_max) {
            slot->crc = crc32c(0, slot->payload, slot->size);
        }
        reader.view = view;
        (void)find(&reader);
    }
    for (unsigned i = 0; i < 5000; i++) {
        memcpy(copy, reader.base, reader.size);
        memset(copy + random_word() % 64, (int)random_word(), 1);
        if (hot_view_open(&view, copy, reader.size)) {
            reader.view = view;
            (void)find(&reader);
        }
    }
    assert_false(hot_view_open(&view, copy, HOT_PAGE - 1));
    free(copy);
    close_index(hot, &reader);
}

/* --- threads ---------------------------------------------------------------*/
struct race {
    struct hot *hot;
    const struct hot_view *view;
    uint64_t value;     /* of the object: what the last change has set */
    uint64_t committed; /* before the next change began */
    bool stop;
};

static void *fills(void *argument)
{
    struct race *race = argument;

    while (!__atomic_load_n(&race->stop, __ATOMIC_SEQ_CST)) {
        uint64_t body[500];
        struct hot_token token;

        look(race->hot, KEY, &token);
        body[0] = __atomic_load_n(&race->value, __ATOMIC_SEQ_CST);
        for (unsigned i = 1; i < 500; i++) {
            body[i] = body[0];
        }
        const struct hot_answer answer =
            answer_of(KEY, slice_of(body, sizeof(body)));
        hot_publish(race->hot, &token, &answer);
    }
    return NULL;
}

static void *changes(void *argument)
{
    struct race *race = argument;

    for (uint64_t i = 1; i <= 20000; i++) {
        hot_change(race->hot, ID, KEY, false);
        __atomic_store_n(&race->value, i, __ATOMIC_SEQ_CST);
        hot_change(race->hot, ID, KEY, true);
        __atomic_store_n(&race->committed, i, __ATOMIC_SEQ_CST);
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    __atomic_store_n(&race->stop, true, __ATOMIC_SEQ_CST);
    return NULL;
}

static void readers_see_whole_and_newest(void **state)
{
    struct reader reader;
    struct race race = {.hot = open_index(1 << 20, &reader),
                        .view = &reader.view};
    pthread_t filler[2], changer;
    uint64_t hits = 0, seen = 0;

    (void)state;
    pthread_create(&filler[0], NULL, fills, &race);
    pthread_create(&filler[1], NULL, fills, &race);
    pthread_create(&changer, NULL, changes, &race);
    while (!__atomic_load_n(&race.stop, __ATOMIC_SEQ_CST)) {
        const uint64_t before =
            __atomic_load_n(&race.committed, __ATOMIC_SEQ_CST);
        uint64_t body[500];

        if (!find(&reader)) {
            continue;
        }
        hits++;
        memcpy(body, reader.found.body, sizeof(body));
        assert_true(body[0] >= before && body[0] >= seen);
        seen = body[0];
        for (unsigned i = 1; i < 500; i++) {
            assert_true(body[i] == body[0]);
        }
    }
    pthread_join(filler[0], NULL);
    pthread_join(filler[1], NULL);
    pthread_join(changer, NULL);
    fill(race.hot, "bytes");
    assert_true(find(&reader));
    close_index(race.hot, &reader);
    print_message("%llu hits\n", (unsigned long long)hits);
}

/* --- the end (H4) ----------------------------------------------------------*/
static void a_closed_index_is_dead(void **state)
{
    struct reader reader;
    struct hot *hot = open_index(1 << 20, &reader);

    (void)state;
    fill(hot, "bytes");
    assert_true(find(&reader));
    hot_close(hot);
    assert_false(find(&reader));
    munmap(reader.base, reader.size);
}

/* A process that makes an index, says so, and is killed. */
static void a_killed_one_too(void **state)
{
    struct reader reader;
    int descriptor, tell[2];
    char path[64];
    pid_t child;

    (void)state;
    assert_int_equal(pipe(tell), 0);
    child = fork();
    if (child == 0) {
        struct hot *hot;

        if (hot_open(1 << 20, HOT_SLOT_MIN, &hot) == 0) {
            fill(hot, "bytes");
            descriptor = hot_descriptor(hot);
            (void)!write(tell[1], &descriptor, sizeof(descriptor));
        }
        pause();
        _exit(0);
    }
    assert_int_equal(read(tell[0], &descriptor, sizeof(descriptor)),
                     sizeof(descriptor));
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)child, descriptor);
    descriptor = open(path, O_RDONLY);
    assert_true(descriptor >= 0);
    reader.size = (size_t)lseek(descriptor, 0, SEEK_END);
    reader.base = mmap(NULL, reader.size, PROT_READ, MAP_SHARED, descriptor, 0);
    assert_true(hot_view_open(&reader.view, reader.base, reader.size));
    assert_true(find(&reader));
    kill(child, SIGSTOP);
    waitpid(child, NULL, WUNTRACED);
    assert_true(find(&reader)); /* nothing can have changed */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(find(&reader));
    munmap(reader.base, reader.size);
    close(descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_published),
        cmocka_unit_test(a_reader_cannot_write),
        cmocka_unit_test(no_order_leaves_the_old),
        cmocka_unit_test(two_changes_at_once),
        cmocka_unit_test(all_that_was_looked_at_counts),
        cmocka_unit_test(what_was_read_twice_is_not_found),
        cmocka_unit_test(readers_are_gathered),
        cmocka_unit_test(checksums_are_kept),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(sets_give_up_slots),
        cmocka_unit_test(twice_is_wanted),
        cmocka_unit_test(survives_garbage),
        cmocka_unit_test(readers_see_whole_and_newest),
        cmocka_unit_test(a_closed_index_is_dead),
        cmocka_unit_test(a_killed_one_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
