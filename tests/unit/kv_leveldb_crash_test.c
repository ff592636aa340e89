/*
 * Real LevelDB, journals and mirrors on the simulated disk: what was
 * acknowledged survives power cuts at any call, also amid checkpoints,
 * compactions and rebuilding.
 */
#include "kv_mirror_fixture.h"
#include "sim_env.h"

#define SEGMENT_BYTES (64u << 10) /* small: checkpoints are frequent */

static struct leveldb_env_t *env; /* of the one store that is open */

static int open_database(struct io *io, const char *directory, bool create,
                         struct kv **kv)
{
    return mirror_leveldb_open(io, env, directory, create, kv);
}

static int wipe_database(struct io *io, const char *directory)
{
    (void)io;
    return leveldb_wipe(env, directory);
}

static struct fixture *leveldb_new(uint64_t seed)
{
    static const struct mirror_database database = {open_database,
                                                    wipe_database};
    struct io *io = io_sim_new(seed, UINT64_C(1) << 30);

    io_sim_order_names(io);
    env = sim_env_new(io);
    return fixture_make(io, seed, &database, SEGMENT_BYTES);
}

static void leveldb_end(struct fixture *fixture)
{
    kv_close(fixture->kv);
    fixture->kv = NULL;
    sim_env_free(env);
    fixture_free(fixture);
}

/* What is before the journal's first group is in tables. */
static void test_segments_are_dropped(void **state)
{
    struct fixture *fixture = leveldb_new(2);
    struct mirrors *all = (struct mirrors *)fixture->kv;
    uint64_t first = 1, last = 0;

    (void)state;
    changes(fixture, 200);
    for (unsigned i = 0; i < MIRRORS; i++) {
        journal_range(all->mirrors[i].journal, &first, &last);
        assert_true(first > 1);
        assert_int_equal(last, 200);
    }
    power_cut(fixture);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    leveldb_end(fixture);
}

/* A record of which the first sector was kept and the second lost. */
static void tear_manifest(struct io *io, const char *database)
{
    static const uint8_t torn[7 + 200] = {1, 2, 3, 4, 200, 0, 1, 42};
    char path[2 * PATH], name[PATH];
    struct buffer current = {0};
    struct io_file *file;
    uint64_t size;

    snprintf(path, sizeof(path), "%s/CURRENT", database);
    assert_int_equal(io_read_file(io, path, PATH - 1, &current), 0);
    snprintf(name, sizeof(name), "%.*s", (int)current.size - 1, current.data);
    snprintf(path, sizeof(path), "%s/%s", database, name);
    assert_int_equal(io_open(io, path, IO_WRITE, &file), 0);
    assert_int_equal(io_size(file, &size), 0);
    assert_int_equal(io_pwrite(file, torn, sizeof(torn), size), 0);
    io_close(file);
    buffer_free(&current);
}

/* All mirrors make their checkpoints at about the same time. */
static void test_torn_manifests(void **state)
{
    struct fixture *fixture = leveldb_new(3);

    (void)state;
    changes(fixture, 50);
    close_store(fixture);
    tear_manifest(fixture->io, "/a/meta/db");
    tear_manifest(fixture->io, "/b/meta/db");
    tear_manifest(fixture->io, "/c/meta/db");
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    for (unsigned i = 0; i < MIRRORS; i++) {
        assert_int_equal(state_of(fixture, i), KV_MIRROR_MEMBER);
    }
    leveldb_end(fixture);
}

/* How much more than the short run: S3D_LONG_RUN=10 is ten times as much. */
static unsigned times(unsigned count)
{
    const char *factor = getenv("S3D_LONG_RUN");

    return factor != NULL ? count * (unsigned)atoi(factor) : count;
}

/* LevelDB that cannot begin a new log has written nothing out, and says so to
 * nobody: the journals must stay. */
static void test_no_new_logs(void **state)
{
    struct fixture *fixture = leveldb_new(5);
    unsigned commits = 0;

    (void)state;
    changes(fixture, 20);
    sim_env_refuse_logs(env, 1);
    while (commits < 200 && change(fixture) == 0) {
        commits++;
    }
    sim_env_refuse_logs(env, 0);
    power_cut(fixture);
    assert_int_equal(open_store(fixture), 0);
    check(fixture);
    assert_true(commits < 200); /* all mirrors had to give up */
    leveldb_end(fixture);
}

static void test_power_goes_at_any_call(void **state)
{
    struct fixture *fixture = leveldb_new(1);

    (void)state;
    for (unsigned calls = 0; calls < times(250); calls++) {
        power_goes_at_call(fixture, calls % 1000);
    }
    leveldb_end(fixture);
}

/* It costs a mirror at most, and no commit. */
static void test_any_call_fails(void **state)
{
    static const int errors[] = {EIO, ENOSPC};
    struct fixture *fixture = leveldb_new(4);

    (void)state;
    for (unsigned calls = 0; calls < times(120); calls++) {
        io_sim_fail_after(fixture->io, calls * 7 % 1000, errors[calls % 2], 1);
        changes(fixture, 20);
        io_sim_fail_after(fixture->io, 0, EIO, 0);
        check(fixture);
        power_cut(fixture);
        assert_int_equal(open_store(fixture), 0);
        check(fixture);
        for (unsigned i = 0; i < MIRRORS; i++) {
            if (state_of(fixture, i) != KV_MIRROR_MEMBER) {
                assert_int_equal(rebuild(fixture, i), 0);
            }
        }
    }
    leveldb_end(fixture);
}

static void test_random_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 100 + times(10); seed++) {
        struct fixture *fixture = leveldb_new(seed);

        history(fixture, 120);
        leveldb_end(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_are_dropped),
        cmocka_unit_test(test_torn_manifests),
        cmocka_unit_test(test_no_new_logs),
        cmocka_unit_test(test_power_goes_at_any_call),
        cmocka_unit_test(test_any_call_fails),
        cmocka_unit_test(test_random_histories),
    };

    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
