/*
 * Mirrors on a simulated disk: what is acknowledged survives the loss of any
 * mirror and any power cut; what is stale is never believed.
 */
#include "kv_mirror_fixture.h"

#include <sched.h>

/* --- a database that a power cut takes back to some checkpoint -------------*/

/* Closed, the databases but that of drive `through` take nothing more. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    char through; /* '\0': it is open */
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, '\0'};

static void gate_set(char through)
{
    pthread_mutex_lock(&gate.lock);
    gate.through = through;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(const char *path)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.through != '\0' && path[1] != gate.through) {
        pthread_cond_wait(&gate.opened, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
}

struct sim_kv {
    struct kv kv;
    struct kv *memory;
    struct io *io;
    char path[PATH];
    unsigned commits;
    bool damaged; /* what lies behind the first key of an iterator */
};

static void sim_close(struct kv *kv)
{
    struct sim_kv *self = (struct sim_kv *)kv;

    kv_close(self->memory);
    free(self);
}

static int sim_get(struct kv *kv, struct arena *arena, struct slice key,
                   struct slice *value)
{
    return kv_get(((struct sim_kv *)kv)->memory, arena, key, value);
}

static int sim_checkpoint(struct kv *kv)
{
    struct sim_kv *self = (struct sim_kv *)kv;
    struct kv_batch *all = kv_batch_new();
    struct kv_iterator *iterator = kv_iterate(self->memory);
    int error;

    kv_batch_put(all, SLICE_LITERAL("\1"), SLICE_LITERAL(""));
    for (kv_seek(iterator, SLICE_LITERAL("\2")); kv_valid(iterator);
         kv_next(iterator)) {
        kv_batch_put(all, kv_key(iterator), kv_value(iterator));
    }
    kv_iterator_free(iterator);
    error = io_write_file(self->io, self->path, kv_batch_changes(all).data,
                          kv_batch_changes(all).size);
    kv_batch_free(all);
    return error;
}

static int sim_commit(struct kv *kv, const struct kv_batch *batch)
{
    struct sim_kv *self = (struct sim_kv *)kv;
    struct kv_batch *copy = kv_batch_new();
    int error = kv_batch_load(copy, kv_batch_changes(batch));

    gate_pass(self->path);
    if (error == 0) {
        error = self->memory->ops->commit(self->memory, copy);
    }
    kv_batch_free(copy);
    if (error == 0 && ++self->commits % 5 == 0) {
        error = sim_checkpoint(kv); /* a full memtable does the same */
    }
    return error;
}

struct sim_iterator {
    struct kv_iterator iterator;
    struct kv_iterator *memory;
    bool damaged, passed; /* over something */
};

static void sim_iterator_free(struct kv_iterator *iterator)
{
    kv_iterator_free(((struct sim_iterator *)iterator)->memory);
    free(iterator);
}

static void sim_ask(struct kv_iterator *iterator)
{
    if (((struct sim_iterator *)iterator)->passed) {
        iterator->error = -EIO;
        iterator->here.valid = false;
    }
}

static void sim_seek(struct kv_iterator *iterator, struct slice key)
{
    struct sim_iterator *self = (struct sim_iterator *)iterator;

    kv_seek(self->memory, key);
    iterator->here = self->memory->here;
    sim_ask(iterator);
}

static void sim_next(struct kv_iterator *iterator)
{
    struct sim_iterator *self = (struct sim_iterator *)iterator;

    kv_next(self->memory);
    iterator->here = self->memory->here;
    self->passed = self->damaged;
    if (!iterator->asks_late) {
        sim_ask(iterator);
    }
}

static struct kv_iterator *sim_iterate(struct kv *kv)
{
    static const struct kv_iterator_ops ops = {.free = sim_iterator_free,
                                               .seek = sim_seek,
                                               .next = sim_next,
                                               .ask = sim_ask};
    const struct sim_kv *self = (struct sim_kv *)kv;
    struct sim_iterator *iterator = xcalloc(1, sizeof(*iterator));

    iterator->iterator.ops = &ops;
    iterator->memory = kv_iterate(self->memory);
    iterator->damaged = self->damaged;
    return &iterator->iterator;
}

static int sim_open(struct io *io, const char *directory, bool create,
                    struct kv **kv)
{
    static const struct kv_ops ops = {.close = sim_close,
                                      .get = sim_get,
                                      .commit = sim_commit,
                                      .iterate = sim_iterate,
                                      .checkpoint = sim_checkpoint};
    struct sim_kv *self = xcalloc(1, sizeof(*self));
    struct kv_batch *batch = kv_batch_new();
    struct buffer data = {0};
    int error = io_mkdir(io, directory);

    self->kv.ops = &ops;
    self->io = io;
    self->memory = kv_open_memory();
    snprintf(self->path, PATH, "%s/CURRENT", directory);
    if (error == 0 && create) {
        error = sim_checkpoint(&self->kv);
    } else if (error == 0) {
        error = io_read_file(io, self->path, 1u << 20, &data);
        if (error == 0) {
            error = kv_batch_load(batch, slice_of(data.data, data.size));
        }
        if (error == 0) {
            error = self->memory->ops->commit(self->memory, batch);
        }
    }
    kv_batch_free(batch);
    buffer_free(&data);
    if (error != 0) {
        sim_close(&self->kv);
        return error;
    }
    *kv = &self->kv;
    return 0;
}

static int sim_wipe(struct io *io, const char *directory)
{
    char path[PATH];
    int error;

    snprintf(path, PATH, "%s/CURRENT", directory);
    error = io_unlink(io, path);
    return error == -ENOENT ? 0 : error;
}

static const struct mirror_database sim_database = {sim_open, sim_wipe};

static struct fixture *fixture_new(uint64_t seed)
{
    return fixture_make(io_sim_new(seed, UINT64_C(1) << 30), seed,
                        &sim_database, 0);
}

static int setup(void **state)
{
    *state = fixture_new(1);
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* --- tests -----------------------------------------------------------------*/

static uint64_t epoch_of(struct fixture *fixture)
{
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    uint64_t epoch;

    assert_int_equal(kv_mirrors(fixture->kv, &epoch, status), MIRRORS);
    return epoch;
}

static void test_a_store_comes_back(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned round = 0; round < 5; round++) {
        changes(fixture, 20);
        check(fixture);
        close_store(fixture);
        assert_int_equal(open_store(fixture), 0);
        check(fixture);
        assert_int_equal(epoch_of(fixture), 1);
    }
}

static bool is_there(struct kv_iterator *it, struct slice key)
{
    kv_seek(it, key);
    const bool there = kv_valid(it) && slice_equal(kv_key(it), key);
    kv_iterator_free(it);
    return there;
}

static void commit_one(struct kv *kv, const char *put, size_t size,
                       const char *deleted)
{
    struct kv_batch *batch = kv_batch_new();
    uint8_t *value = xcalloc(1, size + 1);

    if (put != NULL) {
        kv_batch_put_passing(batch, slice_from_string(put),
                             slice_of(value, size));
    }
    if (deleted != NULL) {
        kv_batch_delete(batch, slice_from_string(deleted));
    }
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
    free(value);
}

/* D1 */
static void test_what_passes_costs_the_database_nothing(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    const struct mirrors *all = (struct mirrors *)kv;
    const struct sim_kv *database = (struct sim_kv *)all->primary->db->kv;
    const unsigned before = database->commits;

    commit_one(kv, "x", 9, NULL);
    assert_false(is_there(kv_iterate(kv), SLICE_LITERAL("x")));
    commit_one(kv, "y", 9, "x");
    commit_one(kv, NULL, 0, "y");
    assert_int_equal(database->commits, before);
    commit_one(kv, "z", 9, NULL);
    assert_true(is_there(kv_iterate_all(kv), SLICE_LITERAL("z")));
    assert_int_equal(database->commits, before + 1);
    commit_one(kv, NULL, 0, "z");
    assert_int_equal(database->commits, before + 2);
    assert_false(is_there(kv_iterate_all(kv), SLICE_LITERAL("z")));
    commit_one(kv, "a", 1 << 20, NULL);
    assert_int_equal(database->commits, before + 2);
    commit_one(kv, "b", 1 << 20, NULL); /* more than is kept */
    assert_true(is_there(kv_iterate(kv), SLICE_LITERAL("a")));
    assert_int_equal(all->primary->db->passing, 0);
}

static void test_power_cuts(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned round = 0; round < 30; round++) {
        changes(fixture, 1 + round % 7);
        power_cut(fixture);
        assert_int_equal(open_store(fixture), 0);
        check(fixture);
    }
}

static void test_any_mirror_may_fail(void **state)
{
    (void)state;
    for (unsigned lost = 0; lost < MIRRORS; lost++) {
        struct fixture *fixture = fixture_new(10 + lost);

        changes(fixture, 10);
        io_sim_fail_path(fixture->io, directories[lost], EIO);
        changes(fixture, 10);
        check(fixture);
        assert_int_equal(state_of(fixture, lost), KV_MIRROR_FAILED);
        assert_int_equal(epoch_of(fixture), 2);
        power_cut(fixture);
        assert_int_equal(open_store(fixture), 0);
        check(fixture);
        changes(fixture, 10);
        /* It comes back with what it had: stale, and rebuilt. */
        io_sim_fail_path(fixture->io, directories[lost], 0);
        power_cut(fixture);
        assert_int_equal(open_store(fixture), 0);
        check(fixture);
        assert_int_equal(state_of(fixture, lost), KV_MIRROR_STALE);
        assert_int_equal(rebuild(fixture, lost), 0);
        assert_int_equal(state_of(fixture, lost), KV_MIRROR_MEMBER);
        /* Alone with another one it knows everything. */
        io_sim_fail_path(fixture->io, directories[(lost + 1) % MIRRORS], EIO);
        changes(fixture, 3);
        io_sim_fail_path(fixture->io, directories[(lost + 2) % MIRRORS], EIO);
        changes(fixture, 3);
        check(fixture);
        assert_int_equal(state_of(fixture, lost), KV_MIRROR_MEMBER);
        fixture_free(fixture);
    }
}

/* Nothing waits for a drive that is known not to answer; but two of three are
 * not given up for that. */
static void test_a_silent_mirror_is_left(void **state)
{
    (void)state;
    for (unsigned silent = 0; silent < MIRRORS; silent++) {
        struct fixture *fixture = fixture_new(30 + silent);
        unsigned next = (silent + 1) % MIRRORS;

        changes(fixture, 10);
        io_sim_hang(fixture->io, directories[silent], true);
        kv_mirror_silent(fixture->kv, silent);
        kv_mirror_silent(fixture->kv, next);
        check(fixture);
        changes(fixture, 10);
        assert_int_equal(state_of(fixture, silent), KV_MIRROR_FAILED);
        assert_int_equal(state_of(fixture, next), KV_MIRROR_MEMBER);
        check(fixture);
        io_sim_hang(fixture->io, directories[silent], false);
        assert_int_equal(rebuild(fixture, silent), 0);
        assert_int_equal(state_of(fixture, silent), KV_MIRROR_MEMBER);
        check(fixture);
        fixture_free(fixture);
    }
}

static void test_lost_between_two_runs(void **state)
{
    (void)state;
    for (unsigned lost = 0; lost < MIRRORS; lost++) {
        struct fixture *fixture = fixture_new(20 + lost);

        changes(fixture, 25);
        power_cut(fixture);
        io_sim_wipe(fixture->io, directories[lost]);
        assert_int_equal(open_store(fixture), 0);
        check(fixture);
        assert_int_equal(state_of(fixture, lost), KV_MIRROR_BLANK);
        changes(fixture, 5);
        assert_int_equal(rebuild(fixture, lost), 0);
        changes(fixture, 5);
        check(fixture);
        close_store(fixture);
        assert_int_equal(open_store(fixture), 0);
        check(fixture);
        assert_int_equal(state_of(fixture, lost), KV_MIRROR_MEMBER);
        fixture_free(fixture);
    }
}

/* Files that are gone can still be written to by who has them open. */
static void test_wiped_under_us(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 5);
    io_sim_wipe(fixture->io, directories[0]);
    changes(fixture, 1);
    assert_int_equal(state_of(fixture, 0), KV_MIRROR_FAILED);
    check(fixture);
    assert_int_equal(rebuild(fixture, 0), 0);
    changes(fixture, 1);
    power_cut(fixture);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_int_equal(state_of(fixture, 0), KV_MIRROR_MEMBER);
}

/* S3, S4: one of three may have been left behind by the other two. */
static void test_one_of_three_does_not_start(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 5);
    io_sim_fail_path(fixture->io, directories[2], EIO);
    changes(fixture, 5);
    power_cut(fixture);
    io_sim_fail_path(fixture->io, directories[2], 0);
    io_sim_fail_path(fixture->io, directories[0], EIO);
    io_sim_fail_path(fixture->io, directories[1], EIO);
    assert_int_equal(open_store(fixture), -EINVAL);
    io_sim_fail_path(fixture->io, directories[0], 0);
    assert_int_equal(open_store(fixture), -EINVAL); /* one of two */
    io_sim_fail_path(fixture->io, directories[1], 0);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_int_equal(state_of(fixture, 2), KV_MIRROR_STALE);
}

static void test_operator_accepts_the_loss(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 5);
    power_cut(fixture);
    io_sim_wipe(fixture->io, directories[0]);
    io_sim_wipe(fixture->io, directories[1]);
    assert_int_equal(open_store(fixture), -EINVAL);
    fixture->accept_lost = true;
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_int_equal(rebuild(fixture, 0), 0);
    assert_int_equal(rebuild(fixture, 1), 0);
    fixture->accept_lost = false;
    power_cut(fixture);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
}

static void go_alone(struct fixture *fixture, unsigned left)
{
    power_cut(fixture);
    for (unsigned i = 0; i < MIRRORS; i++) {
        io_sim_fail_path(fixture->io, directories[i], i != left ? EIO : 0);
    }
    assert_int_equal(open_store(fixture), -EINVAL);
    fixture->accept_lost = true;
    assert_int_equal(open_store(fixture), 0);
    fixture->accept_lost = false;
    changes(fixture, 1);
    assert_int_equal(epoch_of(fixture), 2);
}

/* The word is taken once: what follows from it is on the drive. */
static void test_an_accepted_loss_is_recorded(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 5);
    go_alone(fixture, 2);
    power_cut(fixture);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_true(epoch_of(fixture) > 1);
}

static void test_the_lost_come_back(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 5);
    go_alone(fixture, 2);
    power_cut(fixture);
    io_sim_fail_path(fixture->io, directories[0], 0);
    io_sim_fail_path(fixture->io, directories[1], 0);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_int_equal(state_of(fixture, 0), KV_MIRROR_STALE);
    assert_int_equal(state_of(fixture, 1), KV_MIRROR_STALE);
    assert_int_equal(state_of(fixture, 2), KV_MIRROR_MEMBER);
}

static void test_two_at_once_stop_the_store(void **state)
{
    struct fixture *fixture = *state;
    uint32_t found[KEYS];

    changes(fixture, 5);
    io_sim_fail_path(fixture->io, directories[1], EIO);
    io_sim_fail_path(fixture->io, directories[2], EIO);
    assert_int_equal(change(fixture), -EROFS);
    read_all(fixture, found); /* J2: nobody sees what was not acknowledged */
    assert_memory_equal(found, fixture->acknowledged, sizeof(found));
    assert_int_equal(change(fixture), -EROFS);
    read_all(fixture, found);
    assert_memory_equal(found, fixture->acknowledged, sizeof(found));
    close_store(fixture);
    io_sim_fail_path(fixture->io, directories[1], 0);
    io_sim_fail_path(fixture->io, directories[2], 0);
    assert_int_equal(open_store(fixture), 0);
    fixture->unsure = false; /* the second one was not even tried */
    changes(fixture, 1);
}

static void test_all_gone_is_not_a_new_store(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 5);
    close_store(fixture);
    for (unsigned i = 0; i < MIRRORS; i++) {
        char set[PATH];
        struct io_file *file;

        snprintf(set, PATH, "%s/set", directories[i]);
        assert_int_equal(io_open(fixture->io, set, IO_WRITE, &file), 0);
        assert_int_equal(io_pwrite(file, "x", 1, 20), 0);
        io_close(file);
    }
    assert_int_equal(open_store(fixture), -EINVAL);
    for (unsigned i = 0; i < MIRRORS; i++) {
        io_sim_wipe(fixture->io, directories[i]);
    }
    assert_int_equal(open_store(fixture), 0); /* blank */
}

static void test_a_lost_database_shows(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 30);
    close_store(fixture);
    assert_int_equal(io_unlink(fixture->io, "/a/meta/db/CURRENT"), 0);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_int_equal(state_of(fixture, 0), KV_MIRROR_FAILED);
    assert_int_equal(rebuild(fixture, 0), 0);
    check(fixture);
}

/* At the first key of the primary; what follows is damaged. */
static struct kv_iterator *iterate_damaged(struct fixture *fixture)
{
    const struct mirrors *all = (struct mirrors *)fixture->kv;
    struct kv_iterator *it;

    ((struct sim_kv *)all->primary->db->kv)->damaged = true;
    it = kv_iterate(fixture->kv);
    kv_seek(it, SLICE_LITERAL("k"));
    assert_true(kv_valid(it));
    assert_int_equal(kv_error(it), 0);
    return it;
}

static void test_a_damaged_database_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct kv_iterator *it;

    changes(fixture, 60);
    it = iterate_damaged(fixture);
    kv_next(it);
    assert_false(kv_valid(it));
    assert_int_equal(state_of(fixture, 0), KV_MIRROR_FAILED);
    assert_int_equal(kv_error(it), -EIO);
    kv_iterator_free(it);
    changes(fixture, 1); /* the others record an epoch without it */
    check(fixture);
    assert_int_equal(rebuild(fixture, 0), 0);

    it = iterate_damaged(fixture);
    kv_ask_late(it);
    kv_next(it);
    assert_true(kv_valid(it));
    assert_int_equal(state_of(fixture, 1), KV_MIRROR_MEMBER);
    assert_int_equal(kv_error(it), -EIO);
    assert_false(kv_valid(it));
    assert_int_equal(state_of(fixture, 1), KV_MIRROR_FAILED);
    kv_iterator_free(it);
    check(fixture);
}

static void test_foreign_mirrors_are_left_alone(void **state)
{
    struct fixture *fixture = *state, *other = fixture_new(5);
    struct buffer set = {0};

    changes(fixture, 5);
    close_store(fixture);
    assert_int_equal(io_read_file(other->io, "/b/meta/set", 4096, &set), 0);
    assert_int_equal(
        io_write_file(fixture->io, "/b/meta/set", set.data, set.size), 0);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_int_equal(state_of(fixture, 1), KV_MIRROR_FOREIGN);
    assert_int_equal(kv_mirror_learn(fixture->kv, 1), -EPERM);
    buffer_free(&set);
    fixture_free(other);
}

/* A creation may be cut at any call; the next start makes the store. */
static void test_creation_is_cut(void **state)
{
    struct fixture *fixture = *state;
    int error;

    close_store(fixture);
    for (uint64_t calls = 0, done = 0; !done; calls++) {
        for (unsigned i = 0; i < MIRRORS; i++) {
            io_sim_wipe(fixture->io, directories[i]);
        }
        io_sim_fail_after(fixture->io, calls, EIO, UINT64_MAX);
        error = open_store(fixture);
        done = error == 0;
        io_sim_fail_after(fixture->io, 0, EIO, 0);
        if (fixture->kv != NULL) {
            close_store(fixture);
        }
        io_sim_crash(fixture->io);
        assert_int_equal(open_store(fixture), 0);
        changes(fixture, 1);
        memset(fixture->acknowledged, 0, sizeof(fixture->acknowledged));
        close_store(fixture);
    }
}

/* S1: whoever is left of an epoch's members has been told that it stands, when
 * another one fails on the way. */
static void check_told(struct fixture *fixture)
{
    for (unsigned i = 0; i < MIRRORS; i++) {
        struct mirror_set set;

        if (state_of(fixture, i) == KV_MIRROR_MEMBER) {
            assert_int_equal(mirror_set_read(fixture->io, directories[i], &set),
                             0);
            assert_true(set.stands);
        }
    }
}

static void test_one_fails_while_all_are_told(void **state)
{
    unsigned refused = 0;

    for (uint64_t calls = 0; calls < 80; calls++) {
        struct fixture *fixture = fixture_new(7);

        fixture_free(*state);
        *state = fixture;
        close_store(fixture);
        io_sim_wipe(fixture->io, directories[1]); /* a new epoch begins */
        io_sim_fail_after(fixture->io, calls, EIO, 1);
        if (open_store(fixture) != 0) {
            refused++;
            continue;
        }
        io_sim_fail_after(fixture->io, 0, EIO, 0);
        check_told(fixture);
    }
    assert_in_range(refused, 1, 79);
}

/* --- choosing: pure --------------------------------------------------------*/

static struct mirror_epoch epoch_made(uint64_t number, uint64_t ballot,
                                      const char *members)
{
    struct mirror_epoch epoch = {.number = number, .ballot = ballot};

    for (; *members != '\0'; members++) {
        epoch.members[epoch.count++][0] = (uint8_t)*members;
    }
    return epoch;
}

static struct mirror_candidate candidate(char self, struct mirror_epoch epoch,
                                         struct mirror_epoch base, bool stands)
{
    struct mirror_candidate candidate = {.has_set = true, .readable = true};

    candidate.set.self[0] = (uint8_t)self;
    candidate.set.epoch = epoch;
    candidate.set.base = base;
    candidate.set.stands = stands;
    return candidate;
}

/* `expected`: the mirrors that are trusted, "" if the start is refused. */
static void expect_choice(const struct mirror_candidate *candidates,
                          unsigned count, uint64_t ballot, const char *expected)
{
    bool trusted[KV_MIRRORS_MAX] = {false};
    struct mirror_epoch epoch = {0};
    int error = mirror_choose(candidates, count, false, &epoch, trusted);

    assert_int_equal(error, expected[0] == '\0' ? -EINVAL : 0);
    assert_int_equal(epoch.ballot, error == 0 ? ballot : 0);
    for (unsigned i = 0; i < count; i++) {
        const char *at = strchr(expected, candidates[i].set.self[0]);

        assert_int_equal(trusted[i], candidates[i].has_set && at != NULL &&
                                         expected[0] != '\0');
    }
}

static void test_choosing(void **state)
{
    const struct mirror_epoch none = {0}, first = epoch_made(1, 1, "abc"),
                              ab = epoch_made(2, 2, "ab"),
                              bc = epoch_made(2, 3, "bc"),
                              b = epoch_made(3, 4, "b"),
                              ac = epoch_made(3, 5, "ac");
    struct mirror_candidate three[3], gone = {0};
    bool trusted[KV_MIRRORS_MAX];
    struct mirror_epoch epoch;

    (void)state;
    three[0] = candidate('a', first, none, true);
    three[1] = candidate('b', first, none, true);
    three[2] = candidate('c', first, none, true);
    expect_choice(three, 3, 1, "abc");
    three[1] = gone;
    expect_choice(three, 3, 1, "ac");
    three[0] = gone;
    expect_choice(three, 3, 0, "");

    /* An epoch that one of two has not recorded was never established. */
    three[0] = candidate('a', ab, first, false);
    three[1] = candidate('b', first, none, true);
    three[2] = gone;
    expect_choice(three, 3, 1, "ab");
    /* Without the other one nobody knows. */
    three[1] = gone;
    three[2] = candidate('c', first, none, true);
    expect_choice(three, 3, 0, "");
    /* Established, it wins; c is of before. */
    three[0] = candidate('a', ab, first, true);
    three[1] = candidate('b', ab, first, false);
    expect_choice(three, 3, 2, "ab");

    /* One number, two sets. */
    three[0] = candidate('a', ab, first, false);
    three[1] = candidate('b', bc, first, true);
    three[2] = candidate('c', bc, first, true);
    expect_choice(three, 3, 3, "bc");
    three[1] = gone;
    expect_choice(three, 3, 0, "");

    /* {a, c} was tried and cut; {b, c} stood, then b alone. Neither a nor c
     * may speak for what they tried. */
    three[0] = candidate('a', ac, first, false);
    three[1] = candidate('b', b, bc, true);
    three[2] = candidate('c', bc, first, true);
    expect_choice(three, 3, 4, "b");
    three[1] = gone;
    expect_choice(three, 3, 0, "");

    /* A mirror that cannot be read supports nothing. */
    three[0] = candidate('a', first, none, true);
    three[1] = candidate('b', first, none, true);
    three[1].readable = false;
    three[2] = gone;
    expect_choice(three, 3, 0, "");
    assert_int_equal(mirror_choose(three, 0, false, &epoch, trusted), -ENOENT);
    assert_int_equal(mirror_choose(three, 3, true, &epoch, trusted), 0);
    assert_true(trusted[0] && !trusted[1]);
}

/* Of five, the two that recorded an epoch which was given up must not be taken
 * for most of its three members: the other three may have gone on. */
static void test_choosing_of_five(void **state)
{
    const struct mirror_epoch none = {0}, first = epoch_made(1, 1, "abcde"),
                              abc = epoch_made(2, 2, "abc"),
                              cde = epoch_made(2, 3, "cde");
    struct mirror_candidate five[5] = {0};

    (void)state;
    five[0] = candidate('a', abc, first, false);
    five[1] = candidate('b', abc, first, false);
    expect_choice(five, 5, 0, "");
    five[2] = candidate('c', cde, first, true);
    five[3] = candidate('d', cde, first, true);
    expect_choice(five, 5, 3, "cd");
    five[2] = candidate('c', first, none, true);
    five[3] = candidate('d', first, none, true);
    expect_choice(five, 5, 1, "abcd");
}

static void test_random_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 160; seed++) {
        struct fixture *fixture = fixture_new(seed);

        history(fixture, 120);
        fixture_free(fixture);
    }
}

static void test_power_goes_at_any_call(void **state)
{
    for (unsigned calls = 0; calls < 150; calls++) {
        power_goes_at_call(*state, calls);
    }
}

/* --- a primary that lags behind --------------------------------------------*/

struct reader {
    struct fixture *fixture;
    atomic_bool begun, ended;
    uint32_t found[KEYS];
};

static void *reader_main(void *argument)
{
    struct reader *reader = argument;

    atomic_store(&reader->begun, true);
    read_all(reader->fixture, reader->found);
    atomic_store(&reader->ended, true);
    return NULL;
}

static void lose_primary(struct fixture *fixture)
{
    struct mirrors *all = (struct mirrors *)fixture->kv;

    pthread_mutex_lock(&all->lock);
    mirror_fail(all->primary, "as the test wants", -EIO);
    pthread_mutex_unlock(&all->lock);
}

/* What is acknowledged is read, though the primary gets it only when the gate
 * opens. */
static void check_late(struct fixture *fixture)
{
    struct reader reader = {.fixture = fixture};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, reader_main, &reader), 0);
    while (!atomic_load(&reader.begun)) {
        sched_yield();
    }
    for (unsigned i = 0; i < 2000 && !atomic_load(&reader.ended); i++) {
        sched_yield();
    }
    gate_set('\0');
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_memory_equal(reader.found, fixture->acknowledged,
                        sizeof(reader.found));
}

static void test_a_late_primary_is_waited_for(void **state)
{
    struct fixture *fixture = *state;

    changes(fixture, 3);
    gate_set('a');
    changes(fixture, 3); /* the primary alone has applied them */
    lose_primary(fixture);
    check_late(fixture);
}

static void *change_main(void *argument)
{
    assert_int_equal(change(argument), 0);
    return NULL;
}

/* Acknowledged by the second primary, which had it before it was the primary;
 * the third is behind. */
static void test_a_second_late_primary_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct mirrors *all = (struct mirrors *)fixture->kv;
    uint64_t seq = all->committed + 1;
    pthread_t thread;

    gate_set('b');
    assert_int_equal(pthread_create(&thread, NULL, change_main, fixture), 0);
    pthread_mutex_lock(&all->lock);
    while (all->mirrors[1].applied < seq) {
        pthread_cond_wait(&all->progress, &all->lock);
    }
    pthread_mutex_unlock(&all->lock);
    lose_primary(fixture);
    assert_int_equal(pthread_join(thread, NULL), 0);
    lose_primary(fixture);
    check_late(fixture);
}

static void *snapshot_main(void *kv)
{
    struct kv_position position;
    struct kv_iterator *iterator = NULL;

    assert_int_equal(kv_snapshot(kv, &position, &iterator), -EIO);
    return NULL;
}

/* A snapshot waits for the primary's drive; reads do not, and it is given up
 * like any other. */
static void test_a_snapshot_of_a_silent_primary(void **state)
{
    struct fixture *fixture = *state;
    struct mirrors *all = (struct mirrors *)fixture->kv;
    struct kv_position position;
    struct kv_iterator *iterator;
    pthread_t thread;
    bool settles = false;

    changes(fixture, 5);
    commit_one(fixture->kv, "q", 4, NULL);
    gate_set('b');
    assert_int_equal(pthread_create(&thread, NULL, snapshot_main, fixture->kv),
                     0);
    while (!settles) {
        sched_yield();
        pthread_mutex_lock(&all->lock);
        settles = all->mirrors[0].settles;
        pthread_mutex_unlock(&all->lock);
    }
    kv_mirror_silent(fixture->kv, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    commit_one(fixture->kv, NULL, 0, "q");
    changes(fixture, 5);
    check(fixture);
    assert_int_equal(kv_snapshot(fixture->kv, &position, &iterator), 0);
    kv_iterator_free(iterator);
    gate_set('\0');
}

/* --- threads ---------------------------------------------------------------*/

#define THREADS 8
#define ROUNDS  60

struct worker {
    struct kv *kv;
    pthread_t thread;
    uint8_t number;
};

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct arena *arena = arena_new();

    for (uint8_t round = 1; round <= ROUNDS; round++) {
        struct kv_batch *batch = kv_batch_new();
        uint8_t key[] = {'w', worker->number};
        struct slice value = {0};

        kv_batch_put(batch, slice_of(key, 2), slice_of(&round, 1));
        assert_int_equal(kv_commit(worker->kv, batch), 0);
        kv_batch_free(batch);
        assert_int_equal(kv_get(worker->kv, arena, slice_of(key, 2), &value),
                         0);
        assert_int_equal(value.data[0], round);
    }
    arena_free(arena);
    return NULL;
}

static void test_threads(void **state)
{
    struct fixture *fixture = *state;
    struct worker workers[THREADS];

    for (uint8_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.kv = fixture->kv, .number = i};
        assert_int_equal(
            pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]),
            0);
    }
    io_sim_fail_path(fixture->io, directories[0], EIO); /* the primary */
    while (state_of(fixture, 0) != KV_MIRROR_FAILED) {
        changes(fixture, 1);
    }
    io_sim_fail_path(fixture->io, directories[0], 0);
    changes(fixture, 1); /* expelled by now */
    assert_int_equal(rebuild(fixture, 0), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    check(fixture);
    assert_int_equal(state_of(fixture, 0), KV_MIRROR_MEMBER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_store_comes_back),
        TEST(test_what_passes_costs_the_database_nothing),
        TEST(test_power_cuts),
        cmocka_unit_test(test_any_mirror_may_fail),
        cmocka_unit_test(test_a_silent_mirror_is_left),
        cmocka_unit_test(test_lost_between_two_runs),
        TEST(test_wiped_under_us),
        TEST(test_one_of_three_does_not_start),
        TEST(test_operator_accepts_the_loss),
        TEST(test_an_accepted_loss_is_recorded),
        TEST(test_the_lost_come_back),
        TEST(test_two_at_once_stop_the_store),
        TEST(test_all_gone_is_not_a_new_store),
        TEST(test_a_lost_database_shows),
        TEST(test_a_damaged_database_is_left),
        TEST(test_foreign_mirrors_are_left_alone),
        TEST(test_creation_is_cut),
        TEST(test_one_fails_while_all_are_told),
        cmocka_unit_test(test_choosing),
        cmocka_unit_test(test_choosing_of_five),
        cmocka_unit_test(test_random_histories),
        TEST(test_power_goes_at_any_call),
        TEST(test_a_late_primary_is_waited_for),
        TEST(test_a_second_late_primary_is_waited_for),
        TEST(test_a_snapshot_of_a_silent_primary),
        TEST(test_threads),
    };

    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
