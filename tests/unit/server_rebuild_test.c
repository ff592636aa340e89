/*
 * Metadata made again: random histories of S3 operations over six drives, of
 * which the metadata are lost.
 *
 *   With an archive that ended well, the new store is the old one, record for
 *   record. With one that ended early, what was written later and is whole
 *   comes back, also if it was deleted; what else happened later is lost.
 *   Without one, all that is whole comes back.
 *
 * And extents that are damaged, or hold records that nobody wrote.
 *
 *   server_rebuild_test [seed]
 */
#include "s3_fixture.h"

#include "blob/private.h"
#include "extent/private.h"
#include "rebuild/rebuild.h"

#include <errno.h>

#define KEYS     8 /* the last two in a bucket with versions */
#define PLAIN    6
#define STEPS    60
#define VERSIONS 80

struct version {
    uint64_t seed; /* of the bytes; 0: a delete marker */
    size_t size;
};

struct world {
    struct s3_fixture fixture;
    struct archive *archive;
    uint64_t random, seeds;
    struct version now[KEYS]; /* newest; seed 0: none */
    unsigned count[KEYS];     /* versions, where there are some */
    struct rebuild_report report;
    unsigned told[REBUILD_LEFT + 1];
};

static unsigned first_seed = 1;

static uint64_t draw(struct world *w, uint64_t limit)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963;
    return (w->random >> 33) % limit;
}

/* --- a world ---------------------------------------------------------------*/

static void open_archive(struct world *w)
{
    const struct archive_options options = {
        .io = w->fixture.io,
        .meta = w->fixture.service.meta,
        .blobs = w->fixture.service.blobs,
        .drives = w->fixture.drives,
        .drive_count = FIXTURE_DRIVES,
        .copies = 2,
        .rate = 1ull << 40,
        .log_bytes = 1ull << 30,
        .flush_ms = 1,
    };

    w->archive = archive_open(&options);
}

static void close_archive(struct world *w)
{
    struct archive_status status = {0};

    while (status.copies == 0) {
        archive_look(w->archive, &status);
        usleep(200);
    }
    archive_close(w->archive);
    w->archive = NULL;
}

static void name_cluster(struct meta *meta)
{
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Cluster *cluster;

    assert_int_equal(meta_get_cluster(meta, arena, &cluster), 0);
    memcpy(cluster->uuid.data, fixture_cluster, DRIVE_UUID_SIZE);
    meta_put_cluster(batch, cluster);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
}

static struct world *world_open(unsigned seed)
{
    static const char enable[] =
        "<VersioningConfiguration><Status>Enabled</Status>"
        "</VersioningConfiguration>";
    struct world *w = xcalloc(1, sizeof(*w));

    w->random = seed * 977 + 1;
    s3_fixture_begin(&w->fixture, seed);
    s3_fixture_serve(&w->fixture, kv_open_memory());
    log_set_level(LOG_LEVEL_ERROR + 1);
    name_cluster(w->fixture.service.meta);
    s3_make_bucket(&w->fixture, "bbb");
    s3_make_bucket(&w->fixture, "vvv");
    s3_expect(
        &w->fixture, 200,
        (struct s3_case){.operation = WIRE__OPERATION__PUT_BUCKET_VERSIONING,
                         .bucket = "vvv",
                         .body = enable,
                         .size = strlen(enable)});
    return w;
}

static void world_close(struct world *w)
{
    s3_fixture_close(&w->fixture);
    free(w);
}

/* --- operations ------------------------------------------------------------*/

static const char *bucket_of(unsigned key)
{
    return key < PLAIN ? "bbb" : "vvv";
}

static struct s3_case on(Wire__Operation operation, unsigned key)
{
    static const char *const names[KEYS] = {"a", "a/b", "c", "d",
                                            "e", "f",   "x", "y"};

    return (struct s3_case){
        .operation = operation, .bucket = bucket_of(key), .key = names[key]};
}

/* `whole`: one blob alone tells of it. */
static void note(struct world *w, unsigned key, const struct version *version,
                 bool whole)
{
    bool known = w->archive != NULL || whole;

    if (known) {
        w->now[key] = *version;
        w->count[key]++;
    }
}

static void put(struct world *w, unsigned key)
{
    static const size_t sizes[] = {0, 1, 5000, 65536, 65537, 300000, 700000};
    struct version version = {.seed = ++w->seeds, .size = sizes[draw(w, 7)]};
    uint8_t *bytes = xmalloc(version.size + 1);
    struct s3_case c = on(WIRE__OPERATION__PUT_OBJECT, key);
    char seed[24];

    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)version.seed);
    s3_fill(bytes, version.size, version.seed);
    c.body = bytes;
    c.size = version.size;
    c.empty_body = version.size == 0;
    c.headers = draw(w, 3) == 0
                    ? FIELDS("x-amz-meta-seed", seed,
                             "x-amz-server-side-encryption", "AES256")
                    : FIELDS("x-amz-meta-seed", seed, "x-amz-tagging", "a=b");
    s3_expect(&w->fixture, 200, c);
    free(bytes);
    note(w, key, &version, version.size > 0);
}

static void copy(struct world *w, unsigned from, unsigned key)
{
    struct s3_case c = on(WIRE__OPERATION__COPY_OBJECT, key);
    struct version version = w->now[from];
    char source[64];

    if (from == key || version.seed == 0 || w->archive == NULL) {
        put(w, key);
        return;
    }
    snprintf(source, sizeof(source), "/%s/%s", bucket_of(from),
             on(WIRE__OPERATION__GET_OBJECT, from).key);
    c.headers = FIELDS("x-amz-copy-source", source);
    s3_expect(&w->fixture, 200, c);
    note(w, key, &version, false);
}

/* What only the metadata say is lost, if they come from an earlier moment. */
static void delete_key(struct world *w, unsigned key)
{
    s3_expect(&w->fixture, 204, on(WIRE__OPERATION__DELETE_OBJECT, key));
    note(w, key, &(struct version){0}, false);
}

static void step(struct world *w)
{
    unsigned key = (unsigned)draw(w, KEYS);

    switch (draw(w, 6)) {
    case 0:
        copy(w, (unsigned)draw(w, KEYS), key);
        break;
    case 1:
        delete_key(w, key);
        break;
    default:
        put(w, key);
    }
}

/* What the reclaimer does: blobs that nobody uses lose their records, not yet
 * their bytes. */
static void free_unused(struct world *w)
{
    struct meta *meta = w->fixture.service.meta;
    uint64_t blobs[256];
    size_t count;

    assert_int_equal(meta_list_reclaim(meta, 0, blobs, 256, &count), 0);
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new();
        struct meta_batch *batch = meta_batch_new(meta);
        Meta__Blob *record;
        bool used;

        assert_int_equal(meta_blobs_are_used(meta, &blobs[i], 1, &used), 0);
        assert_int_equal(meta_get_blob(meta, arena, blobs[i], &record), 0);
        if (!used) {
            meta_delete_blob(batch, blobs[i], record);
            assert_int_equal(meta_commit(batch), 0);
        }
        meta_batch_free(batch);
        arena_free(arena);
    }
}

/* --- the rebuild -----------------------------------------------------------*/

static void count_told(void *context, enum rebuild_finding finding,
                       struct slice bucket, struct slice key, const char *why)
{
    struct world *w = context;

    (void)bucket;
    (void)key;
    (void)why;
    w->told[finding]++;
}

static struct meta *rebuild(struct world *w)
{
    Meta__Cluster cluster = META__CLUSTER__INIT;
    struct rebuild_options options = {
        .io = w->fixture.io,
        .drives = w->fixture.drives,
        .drive_count = FIXTURE_DRIVES,
        .blobs = w->fixture.service.blobs,
        .cluster = &cluster,
        .scratch = kv_open_memory(),
        .tell = count_told,
        .context = w,
    };
    struct meta *meta;

    cluster.uuid.data = (uint8_t *)fixture_cluster;
    cluster.uuid.len = DRIVE_UUID_SIZE;
    memset(w->told, 0, sizeof(w->told));
    assert_int_equal(rebuild_run(&options, kv_open_memory(), &meta, &w->report),
                     0);
    assert_non_null(meta);
    kv_close(options.scratch);
    for (unsigned i = 0; i <= REBUILD_LEFT; i++) {
        assert_int_equal(w->told[i], w->report.findings[i]);
    }
    return meta;
}

/* The service goes on with the new metadata. */
static void serve(struct world *w, struct meta *meta)
{
    struct s3_service *service = &w->fixture.service;

    s3_policy_cache_free(service->policies);
    iam_close(service->iam);
    meta_close(service->meta);
    service->meta = meta;
    assert_int_equal(
        iam_open(meta_kv(meta), w->fixture.master_key, &service->iam), 0);
    service->policies = s3_policy_cache_new();
    if (!w->report.archived) {
        w->fixture.generation = s3_add_account(&w->fixture, "tester", true,
                                               FIXTURE_KEY, FIXTURE_SECRET);
    }
}

static void expect_object(struct world *w, unsigned key)
{
    const struct version *version = &w->now[key];
    struct s3_answer answer;
    uint8_t *bytes;
    char seed[24];

    s3_run(&w->fixture, &answer, on(WIRE__OPERATION__GET_OBJECT, key));
    if (version->seed == 0) {
        assert_int_equal(answer.status, 404);
        s3_answer_free(&answer);
        return;
    }
    assert_int_equal(answer.status, 200);
    bytes = xmalloc(version->size + 1);
    s3_fill(bytes, version->size, version->seed);
    assert_int_equal(answer.body.size, version->size);
    if (version->size > 0) {
        assert_memory_equal(answer.body.data, bytes, version->size);
    }
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)version->seed);
    assert_string_equal(s3_header(&answer, "x-amz-meta-seed"), seed);
    free(bytes);
    s3_answer_free(&answer);
}

static unsigned count_versions(struct world *w, unsigned key)
{
    struct arena *arena = arena_new();
    struct meta *meta = w->fixture.service.meta;
    struct slice name =
        slice_from_string(on(WIRE__OPERATION__GET_OBJECT, key).key);
    struct meta_scan *scan;
    Meta__Bucket *bucket;
    unsigned count = 0;

    assert_int_equal(
        meta_get_bucket(meta, arena, SLICE_LITERAL("vvv"), &bucket), 0);
    scan = meta_scan_objects(meta, bucket->id);
    for (meta_scan_seek(scan, name);
         meta_scan_valid(scan) && slice_equal(meta_scan_key(scan), name);
         meta_scan_next(scan)) {
        count++;
    }
    meta_scan_free(scan);
    arena_free(arena);
    return count;
}

static void expect_all(struct world *w)
{
    for (unsigned key = 0; key < KEYS; key++) {
        expect_object(w, key);
        if (key >= PLAIN) {
            assert_int_equal(count_versions(w, key), w->count[key]);
        }
    }
}

/* --- one store is the other ------------------------------------------------*/

static void expect_same(struct kv *a, struct kv *b)
{
    struct kv_iterator *x = kv_iterate(a), *y = kv_iterate(b);

    kv_seek(x, SLICE_LITERAL("\2"));
    kv_seek(y, SLICE_LITERAL("\2"));
    while (kv_valid(x) && kv_valid(y)) {
        assert_true(slice_equal(kv_key(x), kv_key(y)));
        if (kv_key(x).data[0] != 'N') { /* ids go on after a gap */
            assert_true(slice_equal(kv_value(x), kv_value(y)));
        }
        kv_next(x);
        kv_next(y);
    }
    assert_false(kv_valid(x) || kv_valid(y));
    kv_iterator_free(x);
    kv_iterator_free(y);
}

/* --- histories -------------------------------------------------------------*/

static void test_orderly(void **state)
{
    (void)state;
    for (unsigned seed = first_seed; seed < first_seed + 2; seed++) {
        struct world *w = world_open(seed);
        unsigned before = (unsigned)draw(w, STEPS);
        struct meta *meta;

        open_archive(w);
        for (unsigned i = 0; i < STEPS; i++) {
            step(w);
            if (i == before) { /* its snapshot is taken at some moment */
                close_archive(w);
                open_archive(w);
            }
        }
        free_unused(w);
        close_archive(w);
        meta = rebuild(w);
        assert_true(w->report.blobs_unused > 0);
        assert_true(w->report.archived);
        expect_same(meta_kv(w->fixture.service.meta), meta_kv(meta));
        assert_int_equal(w->report.blobs_moved, 0);
        assert_int_equal(w->report.blobs_unreadable, 0);
        serve(w, meta);
        w->archive = (struct archive *)w; /* what is done now is known */
        expect_all(w);
        put(w, 0);
        expect_all(w);
        world_close(w);
    }
}

/* The archive ends before the metadata are lost. */
static void test_early_end(void **state)
{
    (void)state;
    for (unsigned seed = first_seed; seed < first_seed + 2; seed++) {
        struct world *w = world_open(seed);
        unsigned end = 10 + (unsigned)draw(w, STEPS - 20);

        open_archive(w);
        for (unsigned i = 0; i < STEPS; i++) {
            step(w);
            if (i == end) {
                free_unused(w);
                close_archive(w);
            }
        }
        serve(w, rebuild(w));
        assert_true(w->report.archived);
        expect_all(w);
        assert_int_equal(w->report.findings[REBUILD_LEFT], 0);
        assert_int_equal(w->report.findings[REBUILD_BUCKET], 0);
        world_close(w);
    }
}

static void test_no_archive(void **state)
{
    (void)state;
    for (unsigned seed = first_seed; seed < first_seed + 2; seed++) {
        struct world *w = world_open(seed);

        for (unsigned i = 0; i < STEPS; i++) {
            step(w); /* w->archive is NULL: only what is whole is noted */
        }
        serve(w, rebuild(w));
        assert_false(w->report.archived);
        assert_int_equal(w->report.findings[REBUILD_LEFT], 0);
        expect_all(w);
        world_close(w);
    }
}

/* --- damage ----------------------------------------------------------------*/

/* Two drives of six: one rots, one is wiped. */
static void test_damage(void **state)
{
    (void)state;
    for (unsigned archived = 0; archived < 2; archived++) {
        struct world *w = world_open(first_seed);

        if (archived) {
            open_archive(w);
        }
        for (unsigned i = 0; i < STEPS; i++) {
            step(w);
        }
        if (archived) {
            close_archive(w);
        }
        io_sim_corrupt(w->fixture.io, "/drive0/extents", 300);
        io_sim_wipe(w->fixture.io, "/drive1/extents");
        serve(w, rebuild(w));
        assert_true(w->report.blobs_short > 0);
        assert_int_equal(w->report.blobs_unreadable, 0);
        expect_all(w);
        world_close(w);
    }
}

/* Too many: what is left is told, and the rest is there. */
static void test_unreadable(void **state)
{
    struct world *w = world_open(first_seed);

    (void)state;
    open_archive(w);
    for (unsigned i = 0; i < STEPS; i++) {
        step(w);
    }
    close_archive(w);
    for (unsigned i = 0; i < 3; i++) {
        char path[32];

        snprintf(path, sizeof(path), "/drive%u/extents", i);
        io_sim_wipe(w->fixture.io, path);
    }
    serve(w, rebuild(w));
    assert_true(w->report.blobs_unreadable > 0);
    assert_true(w->told[REBUILD_UNREADABLE] > 0);
    world_close(w);
}

/* --- hostile extents -------------------------------------------------------*/

static uint64_t odd(struct world *w)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      65536,
                                      1u << 20,
                                      64u << 20,
                                      UINT32_MAX,
                                      1ull << 40,
                                      1ull << 61,
                                      1ull << 63,
                                      UINT64_MAX - 1,
                                      UINT64_MAX};

    return values[draw(w, sizeof(values) / sizeof(values[0]))];
}

/* Mostly what it should be. */
static uint64_t maybe(struct world *w, uint64_t right)
{
    return draw(w, 8) == 0 ? odd(w) : right;
}

static uint8_t maybe_small(struct world *w, uint8_t right)
{
    static const uint8_t values[] = {0, 1, 2, 3, 31, 32, 255};

    return draw(w, 8) == 0 ? values[draw(w, sizeof(values))] : right;
}

/* A record with good checksums that says anything. */
static void forge(struct world *w, uint64_t extent, uint64_t *tail,
                  struct io_file *file)
{
    const uint64_t payload = 100 + draw(w, 100);
    const struct record_header header = {
        .blob = draw(w, 3) == 0 ? odd(w) : 1000000 + draw(w, 1000),
        .shard = maybe_small(w, 1),
        .payload = maybe(w, payload),
        .descriptor = maybe(w, descriptor_size(payload) + 20),
        .extent = extent,
        .offset = record_offset(*tail, payload)};
    const struct descriptor said = {.blob = header.blob,
                                    .blob_size = maybe(w, payload),
                                    .chunk_offset = maybe(w, 0),
                                    .chunk_size = maybe(w, payload),
                                    .payload = payload,
                                    .chunk = (uint32_t)maybe(w, 0),
                                    .unit = (uint32_t)maybe(w, 65536),
                                    .origin_size = 20,
                                    .profile = {maybe_small(w, ERASURE_COPIES),
                                                maybe_small(w, 1),
                                                maybe_small(w, 2)},
                                    .shard = (uint8_t)header.shard};
    uint8_t bytes[1024] = {0}, head[RECORD_HEADER_SIZE];
    struct descriptor signed_ = said;
    uint32_t table[1] = {0};

    s3_fill(bytes + payload + descriptor_size(payload), 20, w->random);
    signed_.origin_crc =
        crc32c_bytes(bytes + payload + descriptor_size(payload), 20);
    descriptor_encode(&signed_, table, bytes + payload);
    record_header_encode(head, &header);
    assert_int_equal(
        io_pwrite(file, head, sizeof(head), header.offset - RECORD_HEADER_SIZE),
        0);
    *tail = record_end(header.offset, payload, descriptor_size(payload) + 20);
    assert_int_equal(
        io_pwrite(file, bytes, *tail - header.offset, header.offset), 0);
}

static void forge_extent(struct world *w, unsigned drive, unsigned number)
{
    uint64_t extent = ((uint64_t)drive << EXTENT_COUNTER_BITS) + 1000 + number;
    uint64_t tail = EXTENT_HEADER_SIZE;
    char name[EXTENT_PATH_SIZE], path[64], folder[64];
    struct io_file *file;

    extent_path(name, extent);
    snprintf(path, sizeof(path), "/drive%u/%s", drive, name);
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path),
             path);
    assert_int_equal(io_mkdir(w->fixture.io, folder), 0);
    assert_int_equal(io_open(w->fixture.io, path, IO_WRITE | IO_CREATE, &file),
                     0);
    for (unsigned i = 0; i < 50; i++) {
        forge(w, extent, &tail, file);
    }
    io_close(file);
}

static void test_hostile(void **state)
{
    struct world *w = world_open(first_seed);

    (void)state;
    for (unsigned i = 0; i < STEPS / 2; i++) {
        step(w);
    }
    for (unsigned drive = 0; drive < 3; drive++) {
        for (unsigned i = 0; i < 10; i++) {
            forge_extent(w, drive, i);
        }
    }
    serve(w, rebuild(w));
    assert_true(w->report.records_bad > 0);
    expect_all(w);
    put(w, 0); /* ids are not used up */
    world_close(w);
}

/* A whole blob whose shards say that it is this key's. */
static void store_as(struct world *w, const char *key)
{
    struct s3_service *service = &w->fixture.service;
    Meta__Object object = META__OBJECT__INIT;
    Meta__Origin origin = META__ORIGIN__INIT;
    uint8_t packed[256];
    struct blob_spec spec = {.blob = meta_next_id(service->meta), .size = 1};
    struct blob_writer *writer;
    Layout__Layout *layout;

    object.size = 1;
    origin.bucket = 12345;
    origin.bucket_name = fixture_string("bbb");
    origin.key = fixture_string(key);
    origin.object = &object;
    assert_true(meta__origin__get_packed_size(&origin) <= sizeof(packed));
    spec.origin = slice_of(packed, meta__origin__pack(&origin, packed));
    assert_int_equal(blob_writer_open(service->blobs, &spec, &writer), 0);
    assert_int_equal(blob_writer_append(writer, "x", 1), 0);
    assert_int_equal(blob_writer_finish(writer, &layout), 0);
    layout__layout__free_unpacked(layout, NULL);
}

static void test_keys(void **state)
{
    struct world *w = world_open(first_seed);

    (void)state;
    store_as(w, "\xc3\xa4");
    store_as(w, "\xc3");
    store_as(w, "\xff");
    serve(w, rebuild(w));
    assert_int_equal(w->report.findings[REBUILD_RESTORED], 1);
    assert_int_equal(w->report.findings[REBUILD_LEFT], 2);
    world_close(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orderly),    cmocka_unit_test(test_early_end),
        cmocka_unit_test(test_no_archive), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_unreadable), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_keys),
    };

    if (argc > 1) {
        first_seed = (unsigned)strtoul(argv[1], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
