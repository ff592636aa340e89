/*
 * The archive of the metadata: what is restored from the drives is a state
 * that the store was in, the last one after an orderly end.
 */
#include "archive/private.h"
#include "blob_fixture.h"

#include <unistd.h>

#define DRIVES 4
#define KEYS   40

struct world {
    struct fixture fixture;
    struct meta *meta;
    struct archive *archive;
    struct archive_options options;
    uint64_t random;
    uint32_t passed, passing; /* keys of their own are there from, up to */
};

static uint64_t draw(struct world *w, uint64_t limit)
{
    return fixture_random(&w->random) % limit;
}

static void open_archive(struct world *w)
{
    w->options.io = w->fixture.io;
    w->options.meta = w->meta;
    w->options.blobs = w->fixture.store;
    w->options.drives = w->fixture.drives;
    w->options.drive_count = w->fixture.count;
    w->archive = archive_open(&w->options);
}

static void setup(struct world *w, uint64_t seed)
{
    struct arena *arena = arena_new();
    struct meta_batch *batch;
    Meta__Cluster *cluster;

    *w = (struct world){.random = seed * 9177 + 1};
    fixture_open(&w->fixture, DRIVES, seed);
    assert_int_equal(meta_open(kv_open_memory(), &w->meta), 0);
    assert_int_equal(meta_get_cluster(w->meta, arena, &cluster), 0);
    memcpy(cluster->uuid.data, fixture_cluster, DRIVE_UUID_SIZE);
    batch = meta_batch_new(w->meta);
    meta_put_cluster(batch, cluster);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
    w->options = (struct archive_options){.copies = 2,
                                          .flush_ms = 5,
                                          .rate = 1ull << 40,
                                          .log_bytes = 1ull << 40};
}

static void teardown(struct world *w)
{
    archive_close(w->archive);
    meta_close(w->meta);
    fixture_close(&w->fixture);
}

static void wait_complete(struct world *w)
{
    struct archive_status status = {0};

    while (status.copies < w->options.copies) {
        archive_look(w->archive, &status);
        usleep(1000);
    }
}

static struct slice passing_key(uint32_t number, uint8_t key[5])
{
    key[0] = 'Z';
    put_u32be(key + 1, number);
    return slice_of(key, 5);
}

/* One more, one or all less, or both. */
static void change_passing(struct world *w, struct kv_batch *batch)
{
    uint8_t key[5];

    if (draw(w, 2) == 0) {
        kv_batch_put_passing(batch, passing_key(w->passing++, key),
                             SLICE_LITERAL("soon gone"));
    }
    for (uint64_t all = draw(w, 4); w->passed < w->passing && all < 2; all++) {
        kv_batch_delete(batch, passing_key(w->passed++, key));
    }
}

/* Puts and deletes of some of few keys, as one commit. */
static void change(struct world *w)
{
    struct kv_batch *batch = kv_batch_new();
    unsigned count = 1 + (unsigned)draw(w, 4);

    for (unsigned i = 0; i < count; i++) {
        char key[16], value[300];
        int n = snprintf(key, sizeof(key), "X%u", (unsigned)draw(w, KEYS));

        memset(value, (int)draw(w, 256), sizeof(value));
        if (draw(w, 3) == 0) {
            kv_batch_delete(batch, slice_of(key, (size_t)n));
        } else {
            kv_batch_put(batch, slice_of(key, (size_t)n),
                         slice_of(value, draw(w, sizeof(value))));
        }
    }
    change_passing(w, batch);
    assert_int_equal(kv_commit(meta_kv(w->meta), batch), 0);
    kv_batch_free(batch);
}

/* All records but the counter of ids, which goes on by itself. */
static uint32_t state_of(struct kv *kv)
{
    struct kv_iterator *it = kv_iterate(kv);
    uint32_t crc = 0;

    for (kv_seek(it, SLICE_LITERAL("\2")); kv_valid(it); kv_next(it)) {
        struct slice key = kv_key(it), value = kv_value(it);
        uint8_t sizes[16];

        if (key.data[0] == 'N') {
            continue;
        }
        put_u64be(sizes, key.size);
        put_u64be(sizes + 8, value.size);
        crc = crc32c_extend(crc, sizes, sizeof(sizes));
        crc = crc32c_extend(crc, key.data, key.size);
        crc = crc32c_extend(crc, value.data, value.size);
    }
    kv_iterator_free(it);
    return crc;
}

static int restore(struct world *w, uint32_t *state,
                   struct archive_restored *restored)
{
    struct kv *kv = kv_open_memory();
    int error =
        archive_restore(w->fixture.io, w->fixture.drives, w->fixture.count,
                        fixture_cluster, kv, restored);

    *state = state_of(kv);
    kv_close(kv);
    return error;
}

static void expect_last(struct world *w)
{
    struct archive_restored restored;
    uint32_t state;

    assert_int_equal(restore(w, &state, &restored), 0);
    assert_int_equal(state, state_of(meta_kv(w->meta)));
}

static void close_archive(struct world *w)
{
    archive_close(w->archive);
    w->archive = NULL;
}

/* --- tests -----------------------------------------------------------------*/

static int find_log(void *context, const char *name)
{
    if (strstr(name, ".log") != NULL) {
        snprintf(context, 64, "/d03/archive/%s", name);
    }
    return 0;
}

static void put_one(struct world *w, struct slice put, struct slice value,
                    struct slice deleted)
{
    struct kv_batch *batch = kv_batch_new();

    kv_batch_put_passing(batch, put, value);
    if (deleted.size > 0) {
        kv_batch_delete(batch, deleted);
    }
    assert_int_equal(kv_commit(meta_kv(w->meta), batch), 0);
    kv_batch_free(batch);
}

/* What was put in passing and deleted before the log is written is not in it,
 * what is still there is. */
static void test_what_passed_is_left_out(void **state)
{
    uint8_t *value = xmalloc(200000);
    struct buffer log = {0};
    char path[64] = "";
    struct world w;
    (void)state;

    setup(&w, 9);
    for (size_t i = 0; i < 200000; i++) {
        value[i] = (uint8_t)draw(&w, 256);
    }
    w.options.flush_ms = 600000;
    open_archive(&w);
    wait_complete(&w);
    put_one(&w, SLICE_LITERAL("Y1"), slice_of(value, 200000),
            SLICE_LITERAL(""));
    put_one(&w, SLICE_LITERAL("Y2"), slice_of(value, 2000),
            SLICE_LITERAL("Y1"));
    close_archive(&w);
    expect_last(&w);
    assert_int_equal(io_list(w.fixture.io, "/d03/archive", find_log, path), 0);
    assert_int_equal(io_read_file(w.fixture.io, path, 1u << 20, &log), 0);
    assert_in_range(log.size, 2000, 20000);
    buffer_free(&log);
    free(value);
    teardown(&w);
}

static void test_orderly_end(void **state)
{
    struct archive_restored restored;
    struct world w;
    uint32_t found;
    (void)state;

    setup(&w, 1);
    assert_int_equal(restore(&w, &found, &restored), -ENOENT);
    for (unsigned i = 0; i < 100; i++) {
        change(&w);
    }
    open_archive(&w);
    wait_complete(&w);
    for (unsigned i = 0; i < 100; i++) {
        change(&w);
    }
    close_archive(&w);
    expect_last(&w);
    assert_int_equal(restore(&w, &found, &restored), 0);
    assert_true(restored.horizon > 0 &&
                restored.horizon < meta_next_id(w.meta));
    teardown(&w);
}

/* At any moment the files hold some state that was. */
static void test_any_moment(void **state)
{
    enum { COMMITS = 200 };
    uint32_t states[COMMITS + 1], found;
    struct world w;
    (void)state;

    setup(&w, 2);
    change(&w);
    states[0] = state_of(meta_kv(w.meta));
    w.options.log_bytes = 1; /* a generation after the other */
    open_archive(&w);
    wait_complete(&w);
    for (unsigned i = 0; i < COMMITS; i++) {
        struct archive_restored restored;
        bool known = false;
        int error = -ENOENT;

        change(&w);
        states[i + 1] = state_of(meta_kv(w.meta));
        usleep(draw(&w, 8000));
        if (i % 8 != 0) {
            continue;
        }
        /* The archive goes on: it may remove a generation that restore() is
         * looking at, and has a later one then. */
        for (unsigned tries = 0; error != 0 && tries < 20; tries++) {
            error = restore(&w, &found, &restored);
        }
        assert_int_equal(error, 0);
        for (unsigned j = 0; j <= i + 1; j++) {
            known = known || states[j] == found;
        }
        assert_true(known);
    }
    close_archive(&w);
    expect_last(&w);
    teardown(&w);
}

/* A restart begins a new generation, and takes what was before away. */
static int count_name(void *context, const char *name)
{
    (void)name;
    ++*(unsigned *)context;
    return 0;
}

static void test_generations(void **state)
{
    struct world w;
    (void)state;

    setup(&w, 3);
    for (unsigned i = 0; i < 3; i++) {
        unsigned files = 0;

        open_archive(&w);
        wait_complete(&w);
        change(&w);
        close_archive(&w);
        expect_last(&w);
        assert_int_equal(
            io_list(w.fixture.io, "/d03/archive", count_name, &files), 0);
        assert_int_equal(files, 2);
        assert_int_equal(
            io_list(w.fixture.io, "/d01/archive", count_name, &files), -ENOENT);
    }
    teardown(&w);
}

/* A drive that is drained gets none, and keeps none. */
static void test_moved(void **state)
{
    struct world w;
    unsigned files = 0;
    (void)state;

    setup(&w, 5);
    open_archive(&w);
    wait_complete(&w);
    close_archive(&w);
    drive_drain(w.fixture.drives[3], 1);
    open_archive(&w);
    wait_complete(&w);
    close_archive(&w);
    expect_last(&w);
    assert_int_equal(io_list(w.fixture.io, "/d03/archive", count_name, &files),
                     0);
    assert_int_equal(files, 0);
    assert_int_equal(io_list(w.fixture.io, "/d01/archive", count_name, &files),
                     0);
    assert_int_equal(files, 2);
    teardown(&w);
}

static unsigned count_files(struct world *w, const char *folder)
{
    unsigned files = 0;

    assert_int_equal(io_list(w->fixture.io, folder, count_name, &files), 0);
    return files;
}

/* What a snapshot needs several blocks for. */
static void put_blocks(struct world *w)
{
    struct kv_batch *batch = kv_batch_new();
    uint8_t *value = xcalloc(1, ARCHIVE_BLOCK_GOAL);

    for (unsigned i = 0; i < 3; i++) {
        uint8_t key[] = {'Y', (uint8_t)i};

        kv_batch_put(batch, slice_of(key, sizeof(key)),
                     slice_of(value, ARCHIVE_BLOCK_GOAL));
    }
    assert_int_equal(kv_commit(meta_kv(w->meta), batch), 0);
    kv_batch_free(batch);
    free(value);
}

/* A snapshot that is broken off leaves nothing, nor does one of a crash. */
static void test_broken_off(void **state)
{
    static const char crashed[] = "/d03/archive/fffffffffffffff0.snapshot.new";
    struct world w;
    (void)state;

    setup(&w, 6);
    put_blocks(&w);
    w.options.flush_ms = 60000;
    w.options.rate = 1;
    open_archive(&w);
    while (io_list(w.fixture.io, "/d02/archive", count_name, &(unsigned){0}) !=
               0 ||
           count_files(&w, "/d02/archive") < 2) {
        usleep(1000);
    }
    close_archive(&w);
    assert_int_equal(count_files(&w, "/d03/archive"), 0);
    assert_int_equal(count_files(&w, "/d02/archive"), 0);

    assert_int_equal(io_write_file(w.fixture.io, crashed, "half", 4), 0);
    w.options.flush_ms = 5;
    w.options.rate = 1ull << 40;
    open_archive(&w);
    wait_complete(&w);
    close_archive(&w);
    assert_int_equal(count_files(&w, "/d03/archive"), 2);
    expect_last(&w);
    teardown(&w);
}

/* However many logs of generations that failed are looked at first. */
static void test_many_logs(void **state)
{
    struct archive_header header = {.kind = ARCHIVE_LOG};
    uint8_t bytes[ARCHIVE_HEADER_SIZE];
    struct world w;
    (void)state;

    setup(&w, 7);
    change(&w);
    open_archive(&w);
    wait_complete(&w);
    close_archive(&w);
    assert_int_equal(io_mkdir(w.fixture.io, "/d00/archive"), 0);
    memcpy(header.cluster, fixture_cluster, DRIVE_UUID_SIZE);
    for (unsigned i = 0; i < 300; i++) {
        char name[ARCHIVE_NAME_SIZE], *path;

        header.generation = (1u << 30) + i;
        archive_header_encode(bytes, &header);
        archive_name(name, header.generation, ARCHIVE_LOG, true);
        path = archive_path("/d00", name);
        assert_int_equal(
            io_write_file(w.fixture.io, path, bytes, sizeof(bytes)), 0);
        free(path);
    }
    expect_last(&w);
    teardown(&w);
}

/* One drive of the two is enough, whatever is wrong with the other one. */
static void test_damage(void **state)
{
    struct archive_restored restored;
    struct world w;
    uint32_t found;
    (void)state;

    setup(&w, 4);
    open_archive(&w);
    wait_complete(&w);
    for (unsigned i = 0; i < 50; i++) {
        change(&w);
    }
    close_archive(&w);
    io_sim_corrupt(w.fixture.io, "/d03/archive", 100);
    expect_last(&w);
    io_sim_wipe(w.fixture.io, "/d03/archive");
    expect_last(&w);
    io_sim_corrupt(w.fixture.io, "/d02/archive", 200);
    assert_int_equal(restore(&w, &found, &restored), -ENOENT);
    teardown(&w);
}

/* Of a log that is cut anywhere the whole blocks count. */
static void test_torn_log(void **state)
{
    struct buffer whole = {0};
    struct archive_reader reader;
    struct archive_block block;
    struct buffer changes = {0};
    struct io *io = io_sim_new(1, 1 << 20);
    uint8_t header[ARCHIVE_HEADER_SIZE];
    size_t first;
    (void)state;

    archive_header_encode(
        header, &(struct archive_header){.kind = ARCHIVE_LOG, .generation = 7});
    buffer_append(&whole, header, sizeof(header));
    block = (struct archive_block){.generation = 7, .mark = 3};
    archive_block_encode(&whole, &block, SLICE_LITERAL("one"));
    first = whole.size;
    block.number = 1;
    archive_block_encode(&whole, &block, SLICE_LITERAL("two"));
    for (size_t size = sizeof(header); size < whole.size; size++) {
        unsigned blocks = 0;

        assert_int_equal(io_write_file(io, "/log", whole.data, size), 0);
        assert_int_equal(archive_reader_open(&reader, io, "/log"), 0);
        while (archive_reader_next(&reader, &block, &changes) == 0) {
            blocks++;
        }
        assert_int_equal(blocks, size >= first);
        archive_reader_close(&reader);
    }
    for (size_t at = sizeof(header); at < first; at++) {
        whole.data[at] ^= 0x10;
        assert_int_equal(io_write_file(io, "/log", whole.data, whole.size), 0);
        assert_int_equal(archive_reader_open(&reader, io, "/log"), 0);
        assert_int_equal(archive_reader_next(&reader, &block, &changes),
                         -EBADMSG);
        archive_reader_close(&reader);
        whole.data[at] ^= 0x10;
    }
    buffer_free(&changes);
    buffer_free(&whole);
    io_free(io);
}

/* docs/disk-format.md, 'archive/': written by hand from there. */
static void test_golden(void **state)
{
    static const char header_hex[] =
        "5333444152434856" /* magic */
        "0100"
        "02"
        "0000000000"                       /* version, log */
        "00112233445566778899aabbccddeeff" /* cluster */
        "0a00000000000000"                 /* generation 10 */
        "0900000000000000"                 /* before: 9 */
        "0300000000000000"                 /* with 3 blocks */
        "e803000000000000";                /* 1000 ms */
    static const char block_hex[] =
        "4a533342"
        "00000000" /* magic; the CRC is put in below */
        "0b000000"
        "13000000" /* 11 bytes, deflated 19 */
        "00"
        "00000000000000"
        "0200000000000000" /* block 2 */
        "0a00000000000000" /* of generation 10 */
        "d007000000000000" /* 2000 ms */
        "6300000000000000" /* horizon 99 */
        /* zlib, a stored block: put of the key X, value Y */
        "7801"
        "01"
        "0b00f4ff"
        "010100000001000000"
        "5859";
    uint8_t header[ARCHIVE_HEADER_SIZE] = {0};
    uint8_t block[256], again[ARCHIVE_HEADER_SIZE];
    struct archive_header said;
    struct archive_block told;
    struct buffer changes = {0};
    size_t size = (sizeof(block_hex) - 1) / 2;
    (void)state;

    assert_int_equal(hex_decode(header, slice_from_string(header_hex)), 0);
    put_u32le(header + 124, crc32c_bytes(header, 124));
    assert_int_equal(archive_header_decode(header, &said), 0);
    assert_int_equal(said.kind, ARCHIVE_LOG);
    assert_int_equal(said.generation, 10);
    assert_int_equal(said.before, 9);
    assert_int_equal(said.before_blocks, 3);
    assert_int_equal(said.created_ms, 1000);
    archive_header_encode(again, &said);
    assert_memory_equal(again, header, sizeof(header));

    assert_int_equal(hex_decode(block, slice_from_string(block_hex)), 0);
    { /* Adler-32, big-endian */
        uint32_t a = 1, b = 0;

        for (size_t i = size - 11; i < size; i++) {
            a = (a + block[i]) % 65521;
            b = (b + a) % 65521;
        }
        put_u32be(block + size, b << 16 | a);
        size += 4;
    }
    block[12] = (uint8_t)(size - ARCHIVE_BLOCK_SIZE);
    put_u32le(block + 4, crc32c_bytes(block + 8, size - 8));
    assert_int_equal(
        archive_block_decode(slice_of(block, size), &told, &changes), 0);
    assert_int_equal(told.number, 2);
    assert_int_equal(told.generation, 10);
    assert_int_equal(told.written_ms, 2000);
    assert_int_equal(told.mark, 99);
    assert_false(told.last);
    assert_int_equal(changes.size, 11);
    assert_memory_equal(changes.data, block + size - 15, 11);
    buffer_free(&changes);
}

/* Sizes that lie are refused before anything is reserved. */
static void test_hostile_sizes(void **state)
{
    uint8_t bytes[ARCHIVE_BLOCK_SIZE] = "JS3B";
    size_t stored, changes;
    (void)state;

    put_u32le(bytes + 8, ARCHIVE_BLOCK_MAX + 1);
    assert_int_equal(archive_block_sizes(bytes, &stored, &changes), -EBADMSG);
    put_u32le(bytes + 8, 10);
    put_u32le(bytes + 12, UINT32_MAX);
    assert_int_equal(archive_block_sizes(bytes, &stored, &changes), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orderly_end),
        cmocka_unit_test(test_what_passed_is_left_out),
        cmocka_unit_test(test_any_moment),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_broken_off),
        cmocka_unit_test(test_many_logs),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_torn_log),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_hostile_sizes),
    };

    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
