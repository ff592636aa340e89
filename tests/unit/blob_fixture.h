/* A cluster of drives on the simulated disk with a blob store over them. */
#ifndef BLOB_FIXTURE_H
#define BLOB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob/private.h"

/* Of the calls at which the power may go, one in so many is tried: the thread
 * sanitizer takes ten times as long. */
#ifdef __SANITIZE_THREAD__
#define FIXTURE_CUTS_SHARE 7
#else
#define FIXTURE_CUTS_SHARE 1
#endif

#define FIXTURE_DRIVES 20
#define FIXTURE_UNIT   (64u << 10)
#define FIXTURE_CHUNK  (600u << 10) /* no multiple of any stripe */

struct fixture {
    struct io *io;
    unsigned count;
    struct drive *drives[FIXTURE_DRIVES];
    struct blob_store *store;
};

static const uint8_t fixture_cluster[DRIVE_UUID_SIZE] = "fixture cluster";

static inline void fixture_config(unsigned i, struct drive_config *config,
                                  char directory[16])
{
    snprintf(directory, 16, "/d%02u", i);
    *config =
        (struct drive_config){.directory = directory, .domain = "", .index = i};
}

/* Opens the drives in whatever state they are, and the store. None is given up
 * because the machine is busy. */
static inline int fixture_attach(struct fixture *fixture)
{
    struct drive_options options = {.extent_size = 8u << 20,
                                    .timeout_us = 3600u * 1000000ull};
    struct blob_store_options store = {.drives = fixture->drives,
                                       .drive_count = fixture->count,
                                       .seed = 7,
                                       .may_miss = BLOB_MAY_MISS_DEFAULT};

    memcpy(options.cluster, fixture_cluster, DRIVE_UUID_SIZE);
    for (unsigned i = 0; i < fixture->count; i++) {
        struct drive_config config;
        char directory[16];
        int error;

        fixture_config(i, &config, directory);
        error = drive_open(fixture->io, &config, &options, &fixture->drives[i]);
        if (error != 0) {
            return error;
        }
    }
    assert_int_equal(blob_store_open(&store, &fixture->store), 0);
    fixture->store->unit = FIXTURE_UNIT;
    fixture->store->chunk_size = FIXTURE_CHUNK;
    return 0;
}

static inline void fixture_detach(struct fixture *fixture)
{
    blob_store_close(fixture->store);
    fixture->store = NULL;
    for (unsigned i = 0; i < fixture->count; i++) {
        drive_close(fixture->drives[i]);
        fixture->drives[i] = NULL;
    }
}

static inline void fixture_reattach(struct fixture *fixture)
{
    fixture_detach(fixture);
    assert_int_equal(fixture_attach(fixture), 0);
}

static inline void fixture_open(struct fixture *fixture, unsigned drives,
                                uint64_t seed)
{
    *fixture = (struct fixture){.count = drives};
    fixture->io = io_sim_new(seed, 1ull << 30);
    for (unsigned i = 0; i < drives; i++) {
        struct drive_config config;
        char directory[16];

        fixture_config(i, &config, directory);
        assert_int_equal(drive_format(fixture->io, &config, fixture_cluster),
                         0);
    }
    assert_int_equal(fixture_attach(fixture), 0);
}

static inline void fixture_close(struct fixture *fixture)
{
    fixture_detach(fixture);
    io_free(fixture->io);
}

static inline uint64_t fixture_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline uint8_t *fixture_bytes(uint64_t seed, size_t size)
{
    uint8_t *bytes = xmalloc(size + 8);
    uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t value = fixture_random(&state);

        memcpy(bytes + i, &value, 8);
    }
    return bytes;
}

/* Writes in pieces of at most `piece` bytes. */
static inline int fixture_put(struct fixture *fixture, uint64_t blob,
                              const uint8_t *data, size_t size, size_t piece,
                              Layout__Layout **layout)
{
    struct blob_spec spec = {
        .blob = blob, .size = size, .origin = SLICE_LITERAL("an origin")};
    struct blob_writer *writer = NULL;
    int error = blob_writer_open(fixture->store, &spec, &writer);

    *layout = NULL;
    if (error != 0) {
        return error;
    }
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;

        error = blob_writer_append(writer, data + at, part);
        if (error != 0) {
            blob_writer_abort(writer);
            return error;
        }
    }
    return blob_writer_finish(writer, layout);
}

static inline void fixture_check_range(struct fixture *fixture,
                                       const Layout__Layout *layout,
                                       const uint8_t *data, uint64_t offset,
                                       size_t size)
{
    uint8_t *read = xmalloc(size + 1);

    read[size] = 0xa5;
    assert_int_equal(blob_read(fixture->store, layout, offset, read, size), 0);
    assert_memory_equal(read, data + offset, size);
    assert_int_equal(read[size], 0xa5);
    free(read);
}

static inline void fixture_check(struct fixture *fixture,
                                 const Layout__Layout *layout,
                                 const uint8_t *data)
{
    fixture_check_range(fixture, layout, data, 0, layout->size);
}

static inline void fixture_check_random_ranges(struct fixture *fixture,
                                               const Layout__Layout *layout,
                                               const uint8_t *data,
                                               unsigned count, uint64_t *state)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t offset = fixture_random(state) % layout->size;
        uint64_t size = fixture_random(state) % (layout->size - offset) + 1;

        fixture_check_range(fixture, layout, data, offset, size);
    }
}

/* Shards that are damaged or missing. */
static inline unsigned fixture_bad(struct fixture *fixture,
                                   const Layout__Layout *layout)
{
    struct blob_health health;

    assert_int_equal(blob_verify(fixture->store, layout, NULL, &health), 0);
    assert_int_equal(health.shards,
                     layout->n_chunks * (size_t)(layout->k + layout->m));
    return health.bad;
}

static inline void fixture_free(Layout__Layout *layout)
{
    layout__layout__free_unpacked(layout, NULL);
}

static inline void fixture_extent_path(unsigned drive, uint64_t extent,
                                       char path[64])
{
    char name[EXTENT_PATH_SIZE];

    extent_path(name, extent);
    snprintf(path, 64, "/d%02u/%s", drive, name);
}

/* Flips one bit of the byte at `at` past the start of a shard's payload. */
static inline void fixture_flip(struct fixture *fixture,
                                const Layout__Locator *locator, uint64_t at)
{
    struct io_file *file;
    char path[64];
    uint8_t byte;

    fixture_extent_path(locator->drive_plus_one - 1, locator->extent, path);
    assert_int_equal(io_open(fixture->io, path, IO_WRITE, &file), 0);
    assert_int_equal(io_pread(file, &byte, 1, locator->offset + at), 0);
    byte ^= 0x10;
    assert_int_equal(io_pwrite(file, &byte, 1, locator->offset + at), 0);
    io_close(file);
}

#endif
