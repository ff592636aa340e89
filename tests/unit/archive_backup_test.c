/*
 * Backups: what a file holds is what the store held when it was begun, whatever
 * was committed on the way; a file that is not whole is refused.
 */
#include "archive/backup.h"
#include "archive/private.h"
#include "blob_fixture.h"

#include <errno.h>

#define PATH "/backup"

struct world {
    struct io *io;
    struct meta *meta;
    uint64_t random;
};

static void setup(struct world *w)
{
    *w = (struct world){.io = io_sim_new(1, 1u << 28), .random = 1};
    assert_int_equal(meta_open(kv_open_memory(), &w->meta), 0);
}

static void teardown(struct world *w)
{
    meta_close(w->meta);
    io_free(w->io);
}

static void put(struct world *w, unsigned key, size_t size)
{
    struct kv_batch *batch = kv_batch_new();
    uint8_t name[] = {'X', (uint8_t)key}, *value = xmalloc(size);

    for (size_t i = 0; i < size; i++) {
        value[i] = (uint8_t)fixture_random(&w->random);
    }
    kv_batch_put(batch, slice_of(name, sizeof(name)), slice_of(value, size));
    assert_int_equal(kv_commit(meta_kv(w->meta), batch), 0);
    kv_batch_free(batch);
    free(value);
}

/* All records, as bytes. */
static struct buffer records_of(struct kv *kv)
{
    struct kv_batch *batch = kv_batch_new();
    struct kv_iterator *it = kv_iterate(kv);
    struct buffer records = {0};

    for (kv_seek(it, SLICE_LITERAL("\2")); kv_valid(it); kv_next(it)) {
        kv_batch_put(batch, kv_key(it), kv_value(it));
    }
    kv_iterator_free(it);
    buffer_append(&records, kv_batch_changes(batch).data,
                  kv_batch_changes(batch).size);
    kv_batch_free(batch);
    return records;
}

static struct backup *begin(struct world *w)
{
    struct backup *backup;

    assert_int_equal(backup_open(w->meta, &backup), 0);
    return backup;
}

/* The file in pieces; between two of them the store changes. */
static struct buffer finish(struct world *w, struct backup *backup, size_t max,
                            bool change)
{
    struct buffer file = {0}, piece = {0};

    do {
        assert_int_equal(backup_next(backup, max, &piece), 0);
        assert_true(piece.size <= max);
        if (piece.size > 0) {
            buffer_append(&file, piece.data, piece.size);
        }
        if (change) {
            put(w, (unsigned)fixture_random(&w->random) % 8, 100);
        }
    } while (piece.size > 0);
    buffer_free(&piece);
    return file;
}

static int check(struct world *w, struct slice file,
                 struct backup_summary *summary)
{
    assert_int_equal(io_write_file(w->io, PATH, file.data, file.size), 0);
    return backup_check(w->io, &(struct backup_source){.file = PATH}, summary);
}

static void expect_restored(struct world *w, const struct buffer *wanted)
{
    struct kv *kv = kv_open_memory();
    struct backup_summary summary;
    struct buffer found;

    assert_int_equal(backup_restore(w->io,
                                    &(struct backup_source){.file = PATH}, kv,
                                    &summary),
                     0);
    found = records_of(kv);
    assert_int_equal(found.size, wanted->size);
    assert_memory_equal(found.data, wanted->data, found.size);
    buffer_free(&found);
    kv_close(kv);
}

/* --- tests -----------------------------------------------------------------*/

static void test_moment(void **state)
{
    static const size_t pieces[] = {1000, 1u << 20, 1u << 24};
    struct world w;
    (void)state;

    setup(&w);
    for (unsigned i = 0; i < 6; i++) {
        put(&w, i, ARCHIVE_BLOCK_GOAL / 3); /* some blocks */
    }
    for (unsigned i = 0; i < 3; i++) {
        struct backup *backup = begin(&w);
        struct backup_summary made, summary;
        struct buffer wanted = records_of(meta_kv(w.meta));
        struct buffer file = finish(&w, backup, pieces[i], true);

        made = *backup_summary(backup);
        backup_close(backup);
        assert_int_equal(check(&w, slice_of(file.data, file.size), &summary),
                         0);
        assert_memory_equal(&made, &summary, sizeof(made));
        assert_int_equal(summary.bytes, wanted.size);
        expect_restored(&w, &wanted);
        buffer_free(&file);
        buffer_free(&wanted);
    }
    teardown(&w);
}

/* The number is that of the last commit which the file holds. */
static void test_commit(void **state)
{
    struct kv_position first, second;
    struct kv_iterator *it;
    struct world w;
    (void)state;

    setup(&w);
    assert_int_equal(kv_snapshot(meta_kv(w.meta), &first, &it), 0);
    kv_iterator_free(it);
    put(&w, 1, 1);
    assert_int_equal(kv_snapshot(meta_kv(w.meta), &second, &it), 0);
    kv_iterator_free(it);
    assert_int_equal(second.commit, first.commit + 1);
    teardown(&w);
}

/* Cut anywhere, with a bit flipped anywhere, longer: it is refused. */
static void test_refused(void **state)
{
    struct backup_summary summary;
    struct backup *backup;
    struct buffer file;
    struct world w;
    (void)state;

    setup(&w);
    put(&w, 1, 40);
    backup = begin(&w);
    file = finish(&w, backup, 1u << 20, false);
    backup_close(backup);
    assert_int_equal(check(&w, slice_of(file.data, file.size), &summary), 0);
    for (size_t size = 0; size < file.size; size++) {
        assert_int_equal(check(&w, slice_of(file.data, size), &summary),
                         -EBADMSG);
    }
    for (size_t at = 0; at < file.size; at++) {
        file.data[at] ^= (uint8_t)(1u << at % 8);
        assert_int_equal(check(&w, slice_of(file.data, file.size), &summary),
                         -EBADMSG);
        file.data[at] ^= (uint8_t)(1u << at % 8);
    }
    buffer_append(&file, "", 1);
    assert_int_equal(check(&w, slice_of(file.data, file.size), &summary),
                     -EBADMSG);
    buffer_free(&file);
    assert_int_equal(io_unlink(w.io, PATH), 0);
    assert_int_equal(
        backup_check(w.io, &(struct backup_source){.file = PATH}, &summary),
        -ENOENT);
    teardown(&w);
}

/* Blocks of two backups do not make one, nor is a log of the archive one. */
static void test_mixed(void **state)
{
    struct archive_header header = {.kind = ARCHIVE_LOG, .generation = 1};
    uint8_t log[ARCHIVE_HEADER_SIZE];
    struct backup_summary summary;
    struct buffer files[2];
    struct world w;
    (void)state;

    setup(&w);
    put(&w, 1, 40);
    for (unsigned i = 0; i < 2; i++) {
        struct backup *backup = begin(&w);

        files[i] = finish(&w, backup, 1u << 20, false);
        backup_close(backup);
    }
    assert_non_null(files[0].data);
    assert_non_null(files[1].data);
    memcpy(files[0].data, files[1].data, ARCHIVE_HEADER_SIZE);
    assert_int_equal(
        check(&w, slice_of(files[0].data, files[0].size), &summary), -EBADMSG);
    archive_header_encode(log, &header);
    assert_int_equal(check(&w, slice_of(log, sizeof(log)), &summary), -EBADMSG);
    buffer_free(&files[0]);
    buffer_free(&files[1]);
    teardown(&w);
}

/* docs/disk-format.md: where a backup says what it holds. */
static void test_golden(void **state)
{
    struct archive_header header = {
        .kind = ARCHIVE_BACKUP,
        .generation = 0x0102030405060708,
        .created_ms = 1000,
        .position = {.commit = 0x1234},
    };
    uint8_t bytes[ARCHIVE_HEADER_SIZE];
    struct archive_header again;
    (void)state;

    memset(header.position.store, 0xAB, KV_STORE_ID_SIZE);
    archive_header_encode(bytes, &header);
    assert_memory_equal(bytes, "S3DARCHV\1\0\3", 11);
    assert_int_equal(get_u64le(bytes + 32), 0x0102030405060708);
    for (unsigned i = 64; i < 80; i++) {
        assert_int_equal(bytes[i], 0xAB);
    }
    assert_int_equal(get_u64le(bytes + 80), 0x1234);
    assert_int_equal(archive_header_decode(bytes, &again), 0);
    assert_int_equal(again.kind, ARCHIVE_BACKUP);
    assert_int_equal(again.position.commit, 0x1234);
    assert_memory_equal(again.position.store, header.position.store,
                        KV_STORE_ID_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moment),  cmocka_unit_test(test_commit),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_golden),
    };

    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
