/*
 * A backup and the files of the journal that follow it lead to every commit
 * since, and to no state that never was.
 */
#include "archive/backup.h"
#include "archive/private.h"
#include "blob_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMITS 40
#define KEYS    6

struct world {
    char directory[64], store[80], backup[80];
    struct meta *meta;
    uint8_t id[KV_STORE_ID_SIZE]; /* of the store, once there is a backup */
    uint64_t random;
    uint64_t first;               /* commit of the backup */
    uint32_t states[COMMITS + 1]; /* of first, first + 1 ... */
};

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void open_store(struct world *w, uint64_t segment_bytes)
{
    const char *directories[] = {w->store};
    const struct kv_mirror_options options = {
        .io = io_posix(),
        .directories = directories,
        .count = 1,
        .answer_ms = 60000,
        .segment_bytes = segment_bytes,
    };
    struct kv *kv;

    assert_int_equal(kv_open_mirrors(&options, &kv), 0);
    assert_int_equal(meta_open(kv, &w->meta), 0);
}

static void setup(struct world *w, uint64_t segment_bytes)
{
    *w = (struct world){.random = 7};
    strcpy(w->directory, "/tmp/archive-journal-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    snprintf(w->store, sizeof(w->store), "%s/store", w->directory);
    snprintf(w->backup, sizeof(w->backup), "%s/backup", w->directory);
    open_store(w, segment_bytes);
}

static void teardown(struct world *w)
{
    meta_close(w->meta);
    nftw(w->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void change(struct meta *meta, uint64_t *random, size_t size)
{
    struct kv_batch *batch = kv_batch_new();
    uint8_t name[] = {'X', (uint8_t)(fixture_random(random) % KEYS)};
    uint8_t *value = xcalloc(1, size);

    memset(value, (int)(fixture_random(random) & 0xff), size);
    if (fixture_random(random) % 3 == 0) {
        kv_batch_delete(batch, slice_of(name, sizeof(name)));
    } else {
        kv_batch_put(batch, slice_of(name, sizeof(name)),
                     slice_of(value, size));
    }
    assert_int_equal(kv_commit(meta_kv(meta), batch), 0);
    kv_batch_free(batch);
    free(value);
}

static uint32_t state_of(struct kv *kv)
{
    struct kv_batch *batch = kv_batch_new();
    struct kv_iterator *it = kv_iterate(kv);
    uint32_t crc;

    for (kv_seek(it, SLICE_LITERAL("\2")); kv_valid(it); kv_next(it)) {
        kv_batch_put(batch, kv_key(it), kv_value(it));
    }
    kv_iterator_free(it);
    crc = crc32c_bytes(kv_batch_changes(batch).data,
                       kv_batch_changes(batch).size);
    kv_batch_free(batch);
    return crc;
}

static void save(struct backup *backup, const char *path)
{
    struct buffer file = {0}, piece = {0};

    do {
        assert_int_equal(backup_next(backup, 1u << 20, &piece), 0);
        if (piece.size > 0) {
            buffer_append(&file, piece.data, piece.size);
        }
    } while (piece.size > 0);
    assert_int_equal(io_write_file(io_posix(), path, file.data, file.size), 0);
    backup_close(backup);
    buffer_free(&piece);
    buffer_free(&file);
}

static void piece_path(const struct world *w, char path[160], uint64_t after,
                       uint64_t last)
{
    char name[BACKUP_PIECE_SIZE];

    backup_piece_name(name, after, last);
    snprintf(path, 160, "%s/%s", w->directory, name);
}

/* What the journal has after a commit. Returns the last one. */
static uint64_t save_piece(struct world *w, uint64_t after)
{
    struct backup *backup;
    char path[160];
    uint64_t last;

    assert_int_equal(backup_open_journal(w->meta, w->id, after, &backup), 0);
    last = backup_summary(backup)->position.commit;
    piece_path(w, path, after, last);
    save(backup, path);
    return last;
}

static uint64_t save_backup(struct world *w)
{
    struct backup *backup;
    uint64_t commit;

    assert_int_equal(backup_open(w->meta, &backup), 0);
    commit = backup_summary(backup)->position.commit;
    memcpy(w->id, backup_summary(backup)->position.store, sizeof(w->id));
    save(backup, w->backup);
    return commit;
}

/* A backup, and pieces of the journal up to first + COMMITS. */
static void make_history(struct world *w)
{
    uint64_t last;

    change(w->meta, &w->random, 100);
    w->first = last = save_backup(w);
    w->states[0] = state_of(meta_kv(w->meta));
    for (unsigned i = 1; i <= COMMITS; i++) {
        change(w->meta, &w->random, 100);
        w->states[i] = state_of(meta_kv(w->meta));
        if (i % 7 == 0 || i == COMMITS) {
            last = save_piece(w, last);
            assert_int_equal(last, w->first + i);
        }
    }
}

static struct backup_source source_of(const struct world *w)
{
    return (struct backup_source){.file = w->backup, .journal = w->directory};
}

static int restore(const struct backup_source *source, uint32_t *state,
                   struct backup_summary *summary)
{
    struct kv *kv = kv_open_memory();
    struct backup_summary checked;
    int error = backup_restore(io_posix(), source, kv, summary);

    *state = state_of(kv);
    kv_close(kv);
    assert_int_equal(backup_check(io_posix(), source, &checked), error);
    return error;
}

static void expect_error(const struct backup_source *source, int error)
{
    struct backup_summary summary;
    uint32_t state;

    assert_int_equal(restore(source, &state, &summary), error);
}

/* --- tests -----------------------------------------------------------------*/

static void test_every_commit(void **state)
{
    struct backup_source source;
    struct backup_summary summary;
    struct world w;
    uint32_t found;
    (void)state;

    setup(&w, 0);
    make_history(&w);
    source = source_of(&w);
    for (unsigned i = 0; i <= COMMITS; i++) {
        source.until_commit = w.first + i;
        assert_int_equal(restore(&source, &found, &summary), 0);
        assert_int_equal(summary.position.commit, w.first + i);
        assert_int_equal(summary.groups, i);
        assert_int_equal(found, w.states[i]);
    }
    source.until_commit = 0;
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_int_equal(found, w.states[COMMITS]);
    source.until_commit = w.first + COMMITS + 1;
    expect_error(&source, -ERANGE);
    source.until_commit = w.first - 1;
    expect_error(&source, -ERANGE);
    source =
        (struct backup_source){.file = w.backup, .until_commit = w.first + 1};
    expect_error(&source, -ERANGE);
    source.until_commit = w.first;
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_int_equal(found, w.states[0]);
    teardown(&w);
}

/* By one second. */
static void made_later(const char *path)
{
    struct archive_header header;
    struct buffer file = {0};

    assert_int_equal(io_read_file(io_posix(), path, 1u << 20, &file), 0);
    assert_int_equal(archive_header_decode(file.data, &header), 0);
    header.created_ms += 1000;
    archive_header_encode(file.data, &header);
    assert_int_equal(io_write_file(io_posix(), path, file.data, file.size), 0);
    buffer_free(&file);
}

static void test_every_second(void **state)
{
    struct backup_source source;
    struct backup_summary summary;
    uint64_t now = clock_wall_ms() / 1000;
    char path[160];
    struct world w;
    uint32_t found;
    (void)state;

    setup(&w, 0);
    make_history(&w);
    source = source_of(&w);
    source.until_s = now - 60;
    expect_error(&source, -ERANGE);
    source.until_s = clock_wall_ms() / 1000 + 60;
    expect_error(&source, -ERANGE);
    source.until_s = 0;
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_in_range(summary.reached_s, now, clock_wall_ms() / 1000);
    /* More may have been committed in the second in which it was made. */
    source.until_s = summary.created_ms / 1000;
    expect_error(&source, -ERANGE);
    piece_path(&w, path, w.first + 35, w.first + COMMITS);
    made_later(path);
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_int_equal(found, w.states[COMMITS]);
    teardown(&w);
}

static void damage(const char *path, size_t at)
{
    struct buffer file = {0};

    assert_int_equal(io_read_file(io_posix(), path, 1u << 20, &file), 0);
    file.data[at] ^= 1;
    put_u32le(file.data + ARCHIVE_HEADER_SIZE - 4,
              crc32c_bytes(file.data, ARCHIVE_HEADER_SIZE - 4));
    assert_int_equal(io_write_file(io_posix(), path, file.data, file.size), 0);
    buffer_free(&file);
}

/* A piece that is missing, damaged, of another store or another history. */
static void test_refused(void **state)
{
    static const size_t places[] = {64, 80, 88, 200};
    struct backup_source source;
    struct backup_summary summary;
    char path[160], away[170];
    struct world w;
    uint32_t found;
    (void)state;

    setup(&w, 0);
    make_history(&w);
    source = source_of(&w);
    piece_path(&w, path, w.first + 7, w.first + 14);
    snprintf(away, sizeof(away), "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    expect_error(&source, -ERANGE);
    source.until_commit = w.first + 7;
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_int_equal(found, w.states[7]);
    source.until_commit = 0;
    assert_int_equal(rename(away, path), 0);
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        damage(path, places[i]);
        expect_error(&source, -EBADMSG);
        damage(path, places[i]);
    }
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_int_equal(found, w.states[COMMITS]);
    /* One that begins in the midst of others does as well. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(save_piece(&w, w.first + 3), w.first + COMMITS);
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_int_equal(found, w.states[COMMITS]);
    teardown(&w);
}

static void changes(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        change(w->meta, &w->random, 100);
    }
}

/* Set back by its operator the store goes on with numbers that it had given
 * already: a piece of that reaches over the end of the backup. */
static void test_set_back(void **state)
{
    struct backup_source source;
    char command[300];
    struct world w;
    (void)state;

    setup(&w, 0);
    changes(&w, 3);
    meta_close(w.meta);
    snprintf(command, sizeof(command), "cp -r %s %s/old", w.store, w.directory);
    assert_int_equal(system(command), 0);
    open_store(&w, 0);
    changes(&w, 5);
    w.first = save_backup(&w);
    meta_close(w.meta);
    snprintf(command, sizeof(command), "rm -r %s && mv %s/old %s", w.store,
             w.directory, w.store);
    assert_int_equal(system(command), 0);
    open_store(&w, 0);
    changes(&w, 8);
    assert_int_equal(save_piece(&w, w.first - 2), w.first + 3);
    source = source_of(&w);
    expect_error(&source, -EBADMSG);
    teardown(&w);
}

/* What the journal has dropped, and what it never had. */
static void test_gone(void **state)
{
    struct backup *backup = NULL;
    struct world w;
    uint64_t commit;
    int error = 0;
    (void)state;

    setup(&w, 4096);
    commit = save_backup(&w);
    assert_int_equal(backup_open_journal(w.meta, w.id, commit + 1, &backup),
                     -ERANGE);
    while (error == 0) {
        change(w.meta, &w.random, 3000);
        error = backup_open_journal(w.meta, w.id, commit, &backup);
        if (error == 0) {
            backup_close(backup);
        }
    }
    assert_int_equal(error, -ERANGE);
    w.id[0] ^= 1;
    assert_int_equal(backup_open_journal(w.meta, w.id, commit, &backup),
                     -ESTALE);
    teardown(&w);
}

/* Commits of some threads, a backup in the midst. */
struct writer {
    struct meta *meta;
    uint64_t random;
    atomic_bool *stop;
};

static void *write_main(void *context)
{
    struct writer *writer = context;

    while (!atomic_load(writer->stop)) {
        change(writer->meta, &writer->random, 100);
    }
    return NULL;
}

static void test_concurrent(void **state)
{
    struct backup_source source;
    struct backup_summary summary;
    struct writer writers[3];
    pthread_t threads[3];
    atomic_bool stop = false;
    struct world w;
    uint64_t last;
    uint32_t found;
    (void)state;

    setup(&w, 0);
    for (unsigned i = 0; i < 3; i++) {
        writers[i] = (struct writer){w.meta, i + 1, &stop};
        pthread_create(&threads[i], NULL, write_main, &writers[i]);
    }
    do {
        usleep(1000);
        last = w.first = save_backup(&w);
    } while (w.first < 20);
    while (last < w.first + 20) {
        last = save_piece(&w, last);
        usleep(1000);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    save_piece(&w, last);
    source = source_of(&w);
    assert_int_equal(restore(&source, &found, &summary), 0);
    assert_int_equal(found, state_of(meta_kv(w.meta)));
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_commit),
        cmocka_unit_test(test_every_second),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_set_back),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_concurrent),
    };

    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
