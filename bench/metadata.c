/*
 * Metadata for the benchmarks: many keys without their bytes, and LevelDB's
 * own iterator over them.
 *
 *   metadata fill BUCKET COUNT DIRECTORY...   adds keys photos/NNNN/NNNNNN, in
 *           one mirror or several
 *   metadata iterate DIRECTORY COUNT ROUNDS
 *           prints, for each round, the seconds in which a new iterator goes
 *           over COUNT object records from the first on
 *
 * s3d must not run on the directory.
 */
#include "io/io.h"
#include "meta/meta.h"

#include <inttypes.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PER_FOLDER 1000
#define PER_BATCH  5000
#define COPIES     3
#define DRIVES     6
#define OWNER      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int fail(const char *what)
{
    fprintf(stderr, "metadata: %s failed\n", what);
    return 1;
}

static ProtobufCBinaryData text(const char *string)
{
    return (ProtobufCBinaryData){.len = strlen(string),
                                 .data = (uint8_t *)string};
}

/* Three copies, which are not there. */
static void put_blob(struct meta_batch *batch, uint64_t id, uint64_t bytes)
{
    Layout__Locator locators[COPIES], *shards[COPIES];
    Layout__Chunk chunk = LAYOUT__CHUNK__INIT, *chunks[] = {&chunk};
    Layout__Layout layout = LAYOUT__LAYOUT__INIT;
    Meta__Blob record = META__BLOB__INIT;

    for (unsigned i = 0; i < COPIES; i++) {
        layout__locator__init(&locators[i]);
        locators[i].drive_plus_one = (uint32_t)((id + i) % DRIVES) + 1;
        locators[i].extent = id >> 18;
        locators[i].offset = id % (1 << 18) * bytes;
        locators[i].descriptor_crc = (uint32_t)(id * 2654435761u);
        shards[i] = &locators[i];
    }
    chunk.size = layout.size = bytes;
    chunk.n_shards = COPIES;
    chunk.shards = shards;
    layout.blob = id;
    layout.k = 1;
    layout.m = COPIES - 1;
    layout.unit = 256 << 10;
    layout.n_chunks = 1;
    layout.chunks = chunks;
    record.layout = &layout;
    meta_put_blob(batch, id, &record, COPIES - 1);
}

/* Such records as a PUT of 4 KiB leaves. */
static void put_key(struct meta *meta, struct meta_batch *batch,
                    uint64_t bucket, uint64_t number)
{
    Meta__Field type = META__FIELD__INIT, *headers[] = {&type};
    Meta__Checksum checksum = META__CHECKSUM__INIT;
    Meta__Object object = META__OBJECT__INIT;
    uint8_t crc[4];
    char key[64], etag[33];

    snprintf(key, sizeof(key), "photos/%04" PRIu64 "/%06" PRIu64,
             number / PER_FOLDER, number % PER_FOLDER);
    snprintf(etag, sizeof(etag), "%032" PRIx64, number * 0x9e3779b97f4a7c15);
    put_u32be(crc, (uint32_t)(number * 2654435761u));
    type.name = text("content-type");
    type.value = text("image/jpeg");
    checksum.algorithm = META__CHECKSUM_ALGORITHM__CRC32;
    checksum.value = (ProtobufCBinaryData){.len = sizeof(crc), .data = crc};
    object.sequence = meta_next_id(meta);
    object.blob = meta_next_id(meta);
    object.mtime_ms = clock_wall_ms();
    object.size = 4096;
    object.etag = text(etag);
    object.owner = text(OWNER);
    object.n_headers = 1;
    object.headers = headers;
    object.checksum = &checksum;
    meta_add_object(batch, bucket, slice_from_string(key), &object);
    put_blob(batch, object.blob, object.size);
}

static int fill_bucket(struct meta *meta, const char *name, uint64_t count)
{
    struct arena *arena = arena_new();
    Meta__Bucket *bucket;
    int rc = meta_get_bucket(meta, arena, slice_from_string(name), &bucket);

    for (uint64_t at = 0; rc == 0 && at < count;) {
        struct meta_batch *batch = meta_batch_new(meta);

        for (unsigned i = 0; i < PER_BATCH && at < count; i++) {
            put_key(meta, batch, bucket->id, at++);
        }
        rc = meta_commit(batch);
        meta_batch_free(batch);
    }
    arena_free(arena);
    return rc;
}

static int fill(const char *bucket, const char *count,
                const char *const *directories, unsigned mirrors)
{
    struct meta *meta;
    const struct kv_mirror_options options = {.io = io_posix(),
                                              .directories = directories,
                                              .count = mirrors,
                                              .answer_ms = 60000};
    struct kv *kv;

    if (kv_open_mirrors(&options, &kv) != 0) {
        return fail("opening the store");
    }
    if (meta_open(kv, &meta) != 0) {
        kv_close(kv);
        return fail("opening the metadata");
    }
    int rc = fill_bucket(meta, bucket, strtoull(count, NULL, 10));
    meta_close(meta);
    return rc != 0 ? fail("filling the bucket") : 0;
}

/* Every key and value is looked at, nothing is copied. */
static bool iterate_once(leveldb_t *db, const leveldb_readoptions_t *options,
                         uint64_t count)
{
    uint64_t start = clock_monotonic_us(), seen = 0;
    leveldb_iterator_t *iterator = leveldb_create_iterator(db, options);
    uint64_t bytes = 0;
    size_t size;

    /* "O": the tag of object records, docs/disk-format.md. */
    for (leveldb_iter_seek(iterator, "O", 1);
         seen < count && leveldb_iter_valid(iterator);
         leveldb_iter_next(iterator), seen++) {
        leveldb_iter_key(iterator, &size);
        bytes += size;
        leveldb_iter_value(iterator, &size);
        bytes += size;
    }
    leveldb_iter_destroy(iterator);
    printf("%.6f\n", (double)(clock_monotonic_us() - start) / 1e6);
    return seen == count && bytes > count;
}

static int iterate(const char *directory, const char *count, const char *rounds)
{
    leveldb_readoptions_t *read = leveldb_readoptions_create();
    leveldb_options_t *options = leveldb_options_create();
    char *error = NULL;
    leveldb_t *db = leveldb_open(options, directory, &error);
    bool complete = true;

    if (error != NULL) {
        return fail(error);
    }
    for (unsigned long i = strtoul(rounds, NULL, 10); i > 0 && complete; i--) {
        complete = iterate_once(db, read, strtoull(count, NULL, 10));
    }
    leveldb_close(db);
    leveldb_options_destroy(options);
    leveldb_readoptions_destroy(read);
    return complete ? 0 : fail("finding as many records");
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "fill") == 0) {
        return fill(argv[2], argv[3], (const char *const *)argv + 4,
                    (unsigned)argc - 4);
    }
    if (argc == 5 && strcmp(argv[1], "iterate") == 0) {
        return iterate(argv[2], argv[3], argv[4]);
    }
    fprintf(stderr, "usage: metadata fill BUCKET COUNT DIRECTORY...\n"
                    "       metadata iterate DIRECTORY COUNT ROUNDS\n");
    return 2;
}
