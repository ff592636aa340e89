/*
 * Mirrors on a simulated disk, and what they promised so far; the database is
 * the test's choice.
 */
#ifndef KV_MIRROR_FIXTURE_H
#define KV_MIRROR_FIXTURE_H

#include "kv/mirror.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIRRORS 3
#define KEYS    24
#define PASSING 6
#define PATH    64

/* --- fixture ---------------------------------------------------------------*/

static const char *const directories[MIRRORS] = {"/a/meta", "/b/meta",
                                                 "/c/meta"};

struct fixture {
    struct io *io;
    const struct mirror_database *database;
    uint64_t segment_bytes;
    struct kv *kv;
    bool accept_lost;
    uint64_t random;
    uint32_t acknowledged[KEYS]; /* value of each key; 0: absent */
    uint32_t attempted[KEYS];    /* what a commit that failed would have made */
    uint32_t passing[PASSING];   /* values of keys of their own; 0: no more */
    uint32_t attempted_passing[PASSING];
    bool unsure;
    uint32_t next;
};

static uint64_t draw(struct fixture *fixture, uint64_t limit)
{
    fixture->random = fixture->random * 6364136223846793005u + 1442695040888963;
    return (fixture->random >> 33) % limit;
}

static int open_store(struct fixture *fixture)
{
    struct kv_mirror_options options = {.io = fixture->io,
                                        .directories = directories,
                                        .count = MIRRORS,
                                        .accept_lost = fixture->accept_lost,
                                        .answer_ms = 20000,
                                        .segment_bytes =
                                            fixture->segment_bytes};

    invariant(fixture->kv == NULL);
    return mirrors_open(&options, fixture->database, &fixture->kv);
}

static void close_store(struct fixture *fixture)
{
    kv_close(fixture->kv);
    fixture->kv = NULL;
}

static void power_cut(struct fixture *fixture)
{
    io_sim_power_off(fixture->io); /* its threads may be anywhere */
    close_store(fixture);
    io_sim_power_on(fixture->io);
}

/* Owns `io`. Values have up to a quarter of `segment_bytes`; 0: the default,
 * and values of four bytes. */
static struct fixture *fixture_make(struct io *io, uint64_t seed,
                                    const struct mirror_database *database,
                                    uint64_t segment_bytes)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->io = io;
    fixture->database = database;
    fixture->segment_bytes = segment_bytes;
    fixture->random = seed * 77 + 1;
    for (unsigned i = 0; i < MIRRORS; i++) {
        char drive[] = "/a";

        drive[1] = (char)('a' + i);
        assert_int_equal(io_mkdir(fixture->io, drive), 0);
    }
    assert_int_equal(io_sync_dir(fixture->io, "/"), 0);
    assert_int_equal(open_store(fixture), 0);
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    kv_close(fixture->kv);
    io_free(fixture->io);
    free(fixture);
}

static struct slice key_of(unsigned number, uint8_t out[2])
{
    out[0] = 'k';
    out[1] = (uint8_t)('A' + number);
    return slice_of(out, 2);
}

/* The number, and more bytes that follow from it. */
static void value_make(const struct fixture *fixture, uint32_t number,
                       struct buffer *value)
{
    uint64_t random = number * UINT64_C(0x9e3779b97f4a7c15);
    size_t size = 4;

    if (fixture->segment_bytes > 0 && number % 3 == 0) {
        size += (random >> 20) % (fixture->segment_bytes / 4);
    }
    value->size = 0;
    buffer_reserve(value, size);
    put_u32be(value->data, number);
    for (size_t i = 4; i < size; i++) {
        random = random * 6364136223846793005u + 1442695040888963;
        value->data[i] = (uint8_t)(random >> 56);
    }
    value->size = size;
}

static struct slice passing_key(uint32_t number, uint8_t out[5])
{
    out[0] = 'p';
    put_u32be(out + 1, number);
    return slice_of(out, 5);
}

/* One more at the end, or one less at the head, perhaps the same one. */
static void change_passing(struct fixture *fixture, struct kv_batch *batch)
{
    uint32_t *passing = fixture->attempted_passing;
    struct buffer value = {0};
    unsigned count = 0;
    uint8_t key[5];

    memcpy(passing, fixture->passing, sizeof(fixture->passing));
    while (count < PASSING && passing[count] != 0) {
        count++;
    }
    if (count < PASSING && draw(fixture, 2) == 0) {
        passing[count++] = ++fixture->next;
        value_make(fixture, fixture->next, &value);
        kv_batch_put_passing(batch, passing_key(fixture->next, key),
                             slice_of(value.data, value.size));
    }
    if (count > 0 && draw(fixture, 3) == 0) {
        kv_batch_delete(batch, passing_key(passing[0], key));
        memmove(passing, passing + 1, (PASSING - 1) * sizeof(*passing));
        passing[PASSING - 1] = 0;
    }
    buffer_free(&value);
}

/* A batch of a few keys; returns what the commit says. */
static int change(struct fixture *fixture)
{
    struct kv_batch *batch = kv_batch_new();
    unsigned count = 1 + (unsigned)draw(fixture, 4);
    struct buffer value = {0};
    int error;

    memcpy(fixture->attempted, fixture->acknowledged,
           sizeof(fixture->attempted));
    for (unsigned i = 0; i < count; i++) {
        unsigned number = (unsigned)draw(fixture, KEYS);
        uint8_t key[2];

        if (draw(fixture, 4) == 0) {
            kv_batch_delete(batch, key_of(number, key));
            fixture->attempted[number] = 0;
        } else {
            value_make(fixture, ++fixture->next, &value);
            kv_batch_put(batch, key_of(number, key),
                         slice_of(value.data, value.size));
            fixture->attempted[number] = fixture->next;
        }
    }
    change_passing(fixture, batch);
    error = kv_commit(fixture->kv, batch);
    kv_batch_free(batch);
    buffer_free(&value);
    if (error == 0) {
        memcpy(fixture->acknowledged, fixture->attempted,
               sizeof(fixture->acknowledged));
        memcpy(fixture->passing, fixture->attempted_passing,
               sizeof(fixture->passing));
    } else {
        fixture->unsure = true;
    }
    return error;
}

static void read_all(struct fixture *fixture, uint32_t out[KEYS])
{
    struct arena *arena = arena_new();
    struct buffer expected = {0};

    for (unsigned i = 0; i < KEYS; i++) {
        struct slice value = {0};
        uint8_t key[2];
        int error = kv_get(fixture->kv, arena, key_of(i, key), &value);

        assert_true(error == 0 || error == -ENOENT);
        out[i] = error == 0 ? get_u32be(value.data) : 0;
        if (error == 0) {
            value_make(fixture, out[i], &expected);
            assert_true(
                slice_equal(value, slice_of(expected.data, expected.size)));
        }
    }
    buffer_free(&expected);
    arena_free(arena);
}

static void read_passing(struct fixture *fixture, uint32_t out[PASSING])
{
    struct kv_iterator *it = kv_iterate_all(fixture->kv);
    struct buffer expected = {0};
    unsigned count = 0;

    memset(out, 0, PASSING * sizeof(*out));
    for (kv_seek(it, SLICE_LITERAL("p")); kv_valid(it) && kv_key(it).size == 5;
         kv_next(it)) {
        assert_true(count < PASSING);
        out[count] = get_u32be(kv_key(it).data + 1);
        value_make(fixture, out[count++], &expected);
        assert_true(
            slice_equal(kv_value(it), slice_of(expected.data, expected.size)));
    }
    assert_int_equal(kv_error(it), 0);
    kv_iterator_free(it);
    buffer_free(&expected);
}

/* All that was acknowledged; a commit that failed is there wholly or not. What
 * passes is not always looked at: that writes it. */
static void check(struct fixture *fixture)
{
    const bool all = fixture->unsure || draw(fixture, 3) == 0;
    uint32_t found[KEYS], passing[PASSING];

    read_all(fixture, found);
    memcpy(passing, fixture->passing, sizeof(passing));
    if (all) {
        read_passing(fixture, passing);
    }
    if (fixture->unsure &&
        memcmp(found, fixture->attempted, sizeof(found)) == 0 &&
        memcmp(passing, fixture->attempted_passing, sizeof(passing)) == 0) {
        memcpy(fixture->acknowledged, found, sizeof(found));
        memcpy(fixture->passing, passing, sizeof(passing));
    }
    fixture->unsure = false;
    assert_memory_equal(found, fixture->acknowledged, sizeof(found));
    assert_memory_equal(passing, fixture->passing, sizeof(passing));
}

static void changes(struct fixture *fixture, unsigned count)
{
    while (count-- > 0) {
        assert_int_equal(change(fixture), 0);
    }
}

static enum kv_mirror_state state_of(struct fixture *fixture, unsigned index)
{
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    uint64_t epoch;

    assert_int_equal(kv_mirrors(fixture->kv, &epoch, status), MIRRORS);
    return status[index].state;
}

/* Has a mirror learn, and waits until it is a member. */
static int rebuild(struct fixture *fixture, unsigned index)
{
    struct mirrors *all = (struct mirrors *)fixture->kv;
    int error = kv_mirror_learn(fixture->kv, index);

    if (error == 0) {
        pthread_mutex_lock(&all->lock);
        while (!all->learner_done) {
            pthread_cond_wait(&all->progress, &all->lock);
        }
        pthread_mutex_unlock(&all->lock);
    }
    return error;
}

/* --- random histories ------------------------------------------------------*/

/* Members whose drives are there are members again. */
static void cut_and_return(struct fixture *fixture, int away)
{
    enum kv_mirror_state before[MIRRORS];

    for (unsigned i = 0; i < MIRRORS; i++) {
        before[i] = state_of(fixture, i);
    }
    power_cut(fixture);
    assert_int_equal(open_store(fixture), 0);
    for (unsigned i = 0; i < MIRRORS; i++) {
        if (before[i] == KV_MIRROR_MEMBER && (int)i != away) {
            assert_int_equal(state_of(fixture, i), KV_MIRROR_MEMBER);
        }
    }
}

/* One drive at a time is away: within what three mirrors promise. */
static void history(struct fixture *fixture, unsigned steps)
{
    int away = -1;

    for (unsigned step = 0; step < steps; step++) {
        unsigned index = (unsigned)draw(fixture, MIRRORS);

        switch (draw(fixture, 16)) {
        case 0: /* power */
            cut_and_return(fixture, away);
            break;
        case 1: /* a drive goes */
            if (away < 0 && state_of(fixture, 0) == KV_MIRROR_MEMBER &&
                state_of(fixture, 1) == KV_MIRROR_MEMBER &&
                state_of(fixture, 2) == KV_MIRROR_MEMBER) {
                away = (int)index;
                io_sim_fail_path(fixture->io, directories[away], EIO);
            }
            break;
        case 2: /* it comes back, wiped or not */
            if (away >= 0 &&
                state_of(fixture, (unsigned)away) != KV_MIRROR_MEMBER) {
                io_sim_fail_path(fixture->io, directories[away], 0);
                if (draw(fixture, 2) == 0) {
                    io_sim_wipe(fixture->io, directories[away]);
                }
                away = -1;
            }
            break;
        case 3:
            if (away < 0 && state_of(fixture, index) != KV_MIRROR_MEMBER) {
                /* the next commit expels what has failed behind the last */
                assert_int_equal(change(fixture), 0);
                assert_int_equal(rebuild(fixture, index), 0);
            }
            break;
        default:
            assert_int_equal(change(fixture), 0);
            break;
        }
        check(fixture);
    }
}

/* The power goes at the n-th call from now, whatever it is. */
static void power_goes_at_call(struct fixture *fixture, uint64_t calls)
{
    io_sim_fail_after(fixture->io, calls, EIO, UINT64_MAX);
    for (unsigned i = 0; i < 20 && change(fixture) == 0; i++) {
    }
    power_cut(fixture);
    io_sim_fail_after(fixture->io, 0, EIO, 0);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    for (unsigned i = 0; i < MIRRORS; i++) { /* a cut costs no mirror */
        assert_int_equal(state_of(fixture, i), KV_MIRROR_MEMBER);
    }
}

#endif
