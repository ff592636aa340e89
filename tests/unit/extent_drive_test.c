/* Drives: formats, states, places, space, failures, threads. */
#include "extent/private.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ull << 20)

static const uint8_t cluster[DRIVE_UUID_SIZE] = "cluster-of-tests";
static const struct drive_config config = {"/d0", "rack-1", 0};

static struct drive_options options_of(uint64_t extent_size)
{
    struct drive_options options = {.extent_size = extent_size,
                                    .timeout_us = 3600u * 1000000ull};
    memcpy(options.cluster, cluster, DRIVE_UUID_SIZE);
    return options;
}

static struct drive *open_drive(struct io *io, uint64_t extent_size,
                                uint64_t reserve)
{
    struct drive_options options = options_of(extent_size);
    options.reserve_bytes = reserve;
    struct drive *drive;
    assert_int_equal(drive_open(io, &config, &options, &drive), 0);
    return drive;
}

static struct drive *new_drive(struct io *io, uint64_t extent_size)
{
    assert_int_equal(drive_format(io, &config, cluster), 0);
    struct drive *drive = open_drive(io, extent_size, 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    return drive;
}

/* --- formats ---------------------------------------------------------------*/

static void assert_hex(const uint8_t *bytes, size_t size, const char *expected)
{
    char *hex = xmalloc(2 * size + 1);
    hex_encode(hex, bytes, size);
    assert_string_equal(hex, expected);
    free(hex);
}

static void assert_zeros(const uint8_t *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        assert_int_equal(bytes[i], 0);
    }
}

static void identity_bytes(void **state)
{
    (void)state;
    struct identity identity = {.index = 3, .domain = "shelf-7"};
    memcpy(identity.cluster, cluster, DRIVE_UUID_SIZE);
    memcpy(identity.drive, "drive-uuid-bytes", DRIVE_UUID_SIZE);
    uint8_t bytes[IDENTITY_SIZE];
    identity_encode(bytes, &identity);
    assert_hex(bytes, 55,
               "5333444452495645" /* S3DDRIVE */
               "0100"             /* version */
               "0700"             /* length of the domain */
               "03000000"         /* index */
               "636c75737465722d6f662d7465737473"
               "64726976652d757569642d6279746573"
               "7368656c662d37"); /* shelf-7 */
    assert_zeros(bytes, 55, 508);
    assert_hex(bytes + 508, 4, "9824ec63");

    struct identity back;
    assert_int_equal(identity_decode(bytes, sizeof(bytes), &back), 0);
    assert_int_equal(back.index, 3);
    assert_string_equal(back.domain, "shelf-7");
    assert_memory_equal(back.drive, identity.drive, DRIVE_UUID_SIZE);
    assert_int_equal(identity_decode(bytes, 511, &back), -EBADMSG);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 1;
        assert_int_equal(identity_decode(bytes, sizeof(bytes), &back),
                         -EBADMSG);
        bytes[i] ^= 1;
    }
}

static void extent_header_bytes(void **state)
{
    (void)state;
    struct extent_header header = {.extent = 0x0003000102030405};
    memcpy(header.cluster, cluster, DRIVE_UUID_SIZE);
    memcpy(header.drive, "drive-uuid-bytes", DRIVE_UUID_SIZE);
    uint8_t bytes[EXTENT_HEADER_SIZE];
    extent_header_encode(bytes, &header);
    assert_hex(bytes, 56,
               "5333444558544e54" /* S3DEXTNT */
               "0100"             /* version */
               "0000"
               "00100000" /* size of this header */
               "636c75737465722d6f662d7465737473"
               "64726976652d757569642d6279746573"
               "0504030201000300"); /* id */
    assert_zeros(bytes, 56, 4092);
    assert_hex(bytes + 4092, 4, "6a73b255");

    struct extent_header back;
    assert_int_equal(extent_header_decode(bytes, &back), 0);
    assert_memory_equal(&back, &header, sizeof(header));
    bytes[2000] ^= 0x80;
    assert_int_equal(extent_header_decode(bytes, &back), -EBADMSG);
}

static void record_header_bytes(void **state)
{
    (void)state;
    struct record_header header = {
        .blob = 0x1122334455667788,
        .shard = 5,
        .payload = 0x100000,
        .descriptor = 300,
        .extent = 0x0003000102030405,
        .offset = 0x2000,
    };
    uint8_t bytes[RECORD_HEADER_SIZE];
    record_header_encode(bytes, &header);
    assert_hex(bytes, sizeof(bytes),
               "5333445245435244" /* S3DRECRD */
               "0100"             /* version */
               "4000"             /* size of this header */
               "05000000"         /* shard */
               "8877665544332211" /* blob */
               "0000100000000000" /* payload */
               "2c01000000000000" /* descriptor */
               "0504030201000300" /* extent */
               "0020000000000000" /* offset of the payload */
               "00000000"
               "ae4af50d");
    struct record_header back;
    assert_int_equal(record_header_decode(bytes, &back), 0);
    assert_int_equal(back.blob, header.blob);
    assert_int_equal(back.shard, 5);
    assert_int_equal(back.payload, header.payload);
    assert_int_equal(back.descriptor, 300);
    assert_int_equal(back.extent, header.extent);
    assert_int_equal(back.offset, 0x2000);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 4;
        assert_int_equal(record_header_decode(bytes, &back), -EBADMSG);
        bytes[i] ^= 4;
    }
}

static void extent_paths(void **state)
{
    (void)state;
    char path[EXTENT_PATH_SIZE];
    extent_path(path, 0x10a);
    assert_string_equal(path, "extents/0a/000000000000010a");
    extent_path(path, UINT64_MAX);
    assert_string_equal(path, "extents/ff/ffffffffffffffff");
}

/* --- states ----------------------------------------------------------------*/

/* Opens the drive in `state`, in which it does nothing at all (X5). */
static void assert_unusable(struct io *io, const struct drive_config *other,
                            enum drive_state expected)
{
    struct drive_options options = options_of(MIB);
    struct io_space before, after;
    assert_int_equal(io_space(io, "/", &before), 0);
    struct drive *drive;
    assert_int_equal(drive_open(io, other, &options, &drive), 0);
    assert_int_equal(drive_state(drive), expected);
    assert_false(drive_readable(drive));
    struct extent_place place = {.extent = 1, .offset = 64, .size = 8};
    struct drive_usage usage;
    char byte;
    assert_int_equal(drive_reserve(drive, 1, 0, 8, 8, &place), -ENODEV);
    assert_int_equal(drive_write(drive, &place, 0, "x", 1), -ENODEV);
    assert_int_equal(drive_read(drive, 1, 0, &byte, 1), -ENODEV);
    assert_int_equal(drive_sync(drive, 1), -ENODEV);
    drive_usage(drive, &usage);
    assert_int_equal(usage.free, 0);
    drive_close(drive);
    assert_int_equal(io_space(io, "/", &after), 0);
    assert_int_equal(before.free, after.free);
}

static void states(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 8 * MIB);
    struct drive_config other = config;
    assert_unusable(io, &config, DRIVE_MISSING);
    assert_int_equal(io_mkdir(io, "/d0"), 0);
    assert_unusable(io, &config, DRIVE_BLANK);

    assert_int_equal(drive_format(io, &config, cluster), 0);
    assert_int_equal(drive_format(io, &config, cluster), -EEXIST);
    other.index = 1;
    assert_unusable(io, &other, DRIVE_FOREIGN);

    struct drive_options options = options_of(MIB);
    options.cluster[0] ^= 1;
    struct drive *drive;
    assert_int_equal(drive_open(io, &config, &options, &drive), 0);
    assert_int_equal(drive_state(drive), DRIVE_FOREIGN);
    drive_close(drive);

    drive = open_drive(io, MIB, 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    assert_string_equal(drive_config(drive)->domain, "rack-1");
    assert_int_equal(drive_config(drive)->index, 0);
    drive_close(drive);

    io_sim_corrupt(io, "/d0", 1); /* the identity is all there is */
    assert_unusable(io, &config, DRIVE_FOREIGN);
    io_sim_wipe(io, "/d0");
    assert_unusable(io, &config, DRIVE_BLANK);
    io_free(io);
}

static void state_names(void **state)
{
    (void)state;
    assert_string_equal(drive_state_name(DRIVE_OK), "ok");
    assert_string_equal(drive_state_name(DRIVE_MISSING), "missing");
    assert_string_equal(drive_state_name(DRIVE_FOREIGN), "foreign");
    assert_string_equal(drive_state_name(DRIVE_BLANK), "blank");
    assert_string_equal(drive_state_name(DRIVE_FAILED), "failed");
}

/* A name that says all ids are used up ends the drive, not the process. */
static void last_id_is_taken(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 16 * MIB);
    assert_int_equal(drive_format(io, &config, cluster), 0);
    assert_int_equal(io_mkdir(io, "/d0/extents/ff"), 0);
    assert_int_equal(
        io_write_file(io, "/d0/extents/ff/0000ffffffffffff", "", 0), 0);
    struct drive *drive = open_drive(io, MIB, 0);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    drive_close(drive);
    io_free(io);
}

static void format_refuses(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, MIB);
    char domain[300];
    memset(domain, 'd', sizeof(domain));
    domain[256] = '\0';
    struct drive_config bad = {"/d0", domain, 0};
    assert_int_equal(drive_format(io, &bad, cluster), -EINVAL);
    bad = (struct drive_config){"/d0", "", 65536};
    assert_int_equal(drive_format(io, &bad, cluster), -EINVAL);
    bad = (struct drive_config){"/no/d0", "", 0};
    assert_int_equal(drive_format(io, &bad, cluster), -ENOENT);
    io_free(io);
}

/* A directory that somebody else uses is left alone; a disk that was just
 * made and an interrupted format are not in the way. */
static void format_wants_an_empty_directory(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, MIB);
    assert_int_equal(io_mkdir(io, "/d0"), 0);
    assert_int_equal(io_mkdir(io, "/d0/lost+found"), 0);
    assert_int_equal(io_write_file(io, "/d0/letter.txt", "dear", 4), 0);
    assert_int_equal(drive_format(io, &config, cluster), -ENOTEMPTY);
    assert_unusable(io, &config, DRIVE_BLANK);
    assert_int_equal(io_unlink(io, "/d0/letter.txt"), 0);

    assert_int_equal(io_mkdir(io, "/d0/extents"), 0);
    assert_int_equal(io_mkdir(io, "/d0/extents/0a"), 0);
    assert_int_equal(drive_format(io, &config, cluster), -ENOTEMPTY);
    io_sim_wipe(io, "/d0/extents");
    assert_int_equal(io_write_file(io, "/d0/identity.new", "half", 4), 0);
    assert_int_equal(drive_format(io, &config, cluster), 0);
    struct drive *drive = open_drive(io, MIB, 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    drive_close(drive);
    io_free(io);
}

static void second_instance_is_refused(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 8 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct drive_options options = options_of(MIB);
    struct drive *second;
    assert_int_equal(drive_open(io, &config, &options, &second), -EAGAIN);
    drive_close(drive);
    drive = open_drive(io, MIB, 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    drive_close(drive);
    io_free(io);
}

/* --- places ----------------------------------------------------------------*/

static void put(struct drive *drive, uint64_t blob, const void *data,
                size_t size, struct extent_place *place)
{
    assert_int_equal(drive_reserve(drive, blob, 0, size, 0, place), 0);
    assert_int_equal(drive_write(drive, place, 0, data, size), 0);
}

static void assert_reads(struct drive *drive, const struct extent_place *place,
                         const void *data, size_t size)
{
    char *back = xmalloc(size);
    assert_int_equal(
        drive_read(drive, place->extent, place->offset, back, size), 0);
    assert_memory_equal(back, data, size);
    free(back);
}

static void records_are_aligned(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 8 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a, b, c, d;
    assert_int_equal(drive_reserve(drive, 7, 2, 100, 10, &a), 0);
    assert_int_equal(a.offset, 4096 + 64);
    assert_int_equal(a.size, 110);
    assert_int_equal(a.extent >> 48, 0);
    assert_true(a.extent >= ((clock_wall_ms() / 1000 - 60) << 16));
    /* 4160 + 110 = 4270, the next multiple of 64 is 4288 */
    assert_int_equal(drive_reserve(drive, 8, 0, 0, 0, &b), 0);
    assert_int_equal(b.offset, 4288 + 64);
    assert_int_equal(drive_reserve(drive, 9, 0, 65536, 1, &c), 0);
    assert_int_equal(c.offset, 8192);
    assert_int_equal(drive_reserve(drive, 9, 1, 65535, 1, &d), 0);
    assert_int_equal(d.offset, 8192 + 65536 + 64 + 64);
    assert_int_equal(d.extent, a.extent);

    /* The header comes with the first byte. */
    uint8_t bytes[EXTENT_HEADER_SIZE];
    struct record_header record;
    assert_int_equal(drive_write(drive, &a, 100, "descriptor", 10), 0);
    assert_int_equal(drive_read(drive, a.extent, a.offset - 64, bytes, 64), 0);
    assert_int_equal(record_header_decode(bytes, &record), -EBADMSG);
    memset(bytes, 'p', 100);
    assert_int_equal(drive_write(drive, &a, 0, bytes, 100), 0);
    assert_int_equal(drive_read(drive, a.extent, a.offset - 64, bytes, 64), 0);
    assert_int_equal(record_header_decode(bytes, &record), 0);
    assert_int_equal(record.blob, 7);
    assert_int_equal(record.shard, 2);
    assert_int_equal(record.payload, 100);
    assert_int_equal(record.descriptor, 10);
    assert_int_equal(record.extent, a.extent);
    assert_int_equal(record.offset, a.offset);

    struct extent_header extent;
    assert_int_equal(drive_read(drive, a.extent, 0, bytes, sizeof(bytes)), 0);
    assert_int_equal(extent_header_decode(bytes, &extent), 0);
    assert_int_equal(extent.extent, a.extent);
    assert_memory_equal(extent.cluster, cluster, DRIVE_UUID_SIZE);
    drive_close(drive);
    io_free(io);
}

/* What of a record goes past the page cache. */
static void direct_part(void **state)
{
    enum { FOLIO = IO_FOLIO_MAX, ODD = RECORD_ODD_END };
    static const uint64_t cases[][4] = {
        /* offset, payload, from, to */
        {4160, 100, 0, 0},
        {8192, ODD, 0, 0},
        {8192, 2 * FOLIO - 8192 + ODD - 1, 0, 0},
        {8192, 2 * FOLIO - 8192 + ODD, FOLIO, 2 * FOLIO},
        {8192, 3 * FOLIO - 8192 + ODD - 1, FOLIO, 2 * FOLIO},
        {FOLIO - 4096, FOLIO + ODD + 4095, 0, 0},
        {FOLIO - 4096, FOLIO + ODD + 4096, FOLIO, 2 * FOLIO},
        {FOLIO, FOLIO + ODD - 1, 0, 0},
        {FOLIO, FOLIO + ODD, FOLIO, 2 * FOLIO},
        {FOLIO + 4096, 2 * FOLIO, 0, 0},
        {3 * FOLIO - 4096, 9 * FOLIO, 3 * FOLIO, 11 * FOLIO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct record_direct direct = record_direct(cases[i][0], cases[i][1]);
        assert_int_equal(direct.begin, cases[i][2]);
        assert_int_equal(direct.end, cases[i][3]);
    }
}

static void write_held(struct drive *drive, const struct extent_place *place,
                       struct memory *memory, uint64_t from, uint64_t to)
{
    struct drive_write *write = drive_write_start(
        drive, place, from, memory->bytes + from, to - from, memory);
    assert_int_equal(drive_write_end(write), 0);
}

/* The pieces are those of a writer, whose last one begins anywhere. */
static void write_pieces(struct drive *drive, uint64_t payload,
                         struct extent_place *place)
{
    enum { DESCRIPTOR = 4000, PIECE = 256 << 10 };
    const uint64_t size = payload + DESCRIPTOR;
    struct memory *memory = memory_new(size);
    uint8_t *back = xmalloc(size);

    for (uint64_t i = 0; i < size; i++) {
        memory->bytes[i] = (uint8_t)(i >> 12) ^ (uint8_t)(i * 7);
    }
    assert_int_equal(drive_reserve(drive, 7, 0, payload, DESCRIPTOR, place), 0);
    for (uint64_t at = 0; at < payload; at += PIECE) {
        write_held(drive, place, memory, at,
                   payload - at < PIECE ? payload : at + PIECE);
    }
    assert_int_equal(
        drive_write(drive, place, payload, memory->bytes + payload, DESCRIPTOR),
        0);
    assert_int_equal(
        drive_read(drive, place->extent, place->offset, back, size), 0);
    assert_memory_equal(back, memory->bytes, size);
    free(back);
    memory_drop(memory);
}

/* Folios that are written directly are written in no other way. */
static void direct_writes_fill_folios(void **state)
{
    enum { FOLIO = IO_FOLIO_MAX };
    static const uint64_t payloads[] = {3 * FOLIO - 20000, 5 * FOLIO + 12345};
    struct io *io = io_sim_new(1, 16 * FOLIO);
    struct drive *drive = new_drive(io, 10 * FOLIO);
    struct extent_place first, second;
    struct io_sim_direct direct;
    (void)state;

    write_pieces(drive, payloads[0], &first);
    assert_int_equal(first.offset, 8192);
    direct = io_sim_direct(io);
    assert_int_equal(direct.begin, FOLIO);
    assert_int_equal(direct.end, 2 * FOLIO);
    assert_int_equal(direct.bytes, FOLIO);

    write_pieces(drive, payloads[1], &second);
    assert_in_range(second.offset, 2 * FOLIO + 1, 3 * FOLIO - 1);
    direct = io_sim_direct(io);
    assert_int_equal(direct.end, 7 * FOLIO);
    assert_int_equal(direct.bytes, FOLIO + 4 * FOLIO);
    drive_close(drive);
    io_free(io);
}

static void extents_are_sealed(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 8 * MIB);
    struct drive *drive = new_drive(io, 16384);
    char data[20000];
    memset(data, 'q', sizeof(data));
    struct extent_place a, b, big, c;
    struct drive_usage usage;
    put(drive, 1, data, 8000, &a);
    put(drive, 2, data, 8000, &b);
    assert_int_equal(b.extent, a.extent + 1);
    put(drive, 3, data, 20000, &big); /* larger than an extent */
    assert_int_equal(big.extent, a.extent + 2);
    assert_int_equal(big.offset, 4160);
    put(drive, 4, data, 1, &c);
    assert_int_equal(c.extent, a.extent + 3);
    drive_usage(drive, &usage);
    assert_int_equal(usage.extents, 4);
    assert_int_equal(usage.load, 0);
    assert_int_equal(usage.pending, 0);
    drive_close(drive);

    /* The next run makes its own, with higher ids. */
    drive = open_drive(io, 16384, 0);
    struct extent_place d;
    put(drive, 5, data, 1, &d);
    assert_true(d.extent > c.extent);
    assert_reads(drive, &big, data, 20000);
    drive_usage(drive, &usage);
    assert_int_equal(usage.extents, 5);
    drive_close(drive);
    io_free(io);
}

static void reads(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 8 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place place;
    char back[16];
    assert_int_equal(drive_reserve(drive, 1, 0, 10, 6, &place), 0);
    assert_int_equal(drive_write(drive, &place, 10, "abcdef", 6), 0);
    assert_int_equal(drive_write(drive, &place, 0, "01234", 5), 0);
    assert_int_equal(drive_write(drive, &place, 5, "56789", 5), 0);
    assert_int_equal(drive_sync(drive, place.extent), 0);
    assert_reads(drive, &place, "0123456789abcdef", 16);
    assert_int_equal(
        drive_read(drive, place.extent, place.offset + 1, back, 16), -ENODATA);
    assert_int_equal(drive_read(drive, place.extent + 1, 0, back, 1), -ENOENT);
    drive_close(drive);
    io_free(io);
}

/* More extents than are kept open, to write and to read. */
static void many_extents(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct io *io = io_sim_new(1, 64 * MIB);
    struct drive *drive = new_drive(io, 4096);
    static struct extent_place places[COUNT];
    struct sync_latch *latch = sync_latch_new();
    static int results[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(drive_reserve(drive, i, 0, 8, 0, &places[i]), 0);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(drive_write(drive, &places[i], 0, &i, sizeof(i)), 0);
        results[i] = -1;
        drive_sync_start(drive, places[i].extent, latch, &results[i]);
    }
    sync_latch_wait(latch);
    sync_latch_free(latch);
    assert_true(drive->open_count <= EXTENTS_OPEN_MAX);
    io_sim_crash(io);
    drive_close(drive);
    drive = open_drive(io, 4096, 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(results[i], 0);
        assert_reads(drive, &places[i], &i, sizeof(i));
    }
    assert_int_equal(drive->cache.count, FILES_OPEN_MAX);
    assert_int_equal(drive->file_count, COUNT);
    drive_close(drive);
    io_free(io);
}

/* --- space -----------------------------------------------------------------*/

static void space_is_refused_in_time(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    assert_int_equal(drive_format(io, &config, cluster), 0);
    struct drive *drive = open_drive(io, MIB, MIB);
    struct extent_place place;
    struct drive_usage usage;
    drive_usage(drive, &usage);
    assert_int_equal(usage.total, 3 * MIB);
    assert_int_equal(usage.free, 3 * MIB - IDENTITY_SIZE);

    /* Promises count before anything is written. */
    assert_int_equal(drive_reserve(drive, 1, 0, 2 * MIB, 0, &place), 0);
    drive_usage(drive, &usage);
    assert_int_equal(usage.pending, 2 * MIB);
    assert_int_equal(drive_reserve(drive, 2, 0, MIB, 0, &place), -ENOSPC);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    drive_release(drive, 2 * MIB);
    assert_int_equal(drive_reserve(drive, 3, 0, MIB, 0, &place), 0);

    /* And so do writes, before the file system is asked again. */
    char *data = xcalloc(1, MIB);
    assert_int_equal(drive_write(drive, &place, 0, data, MIB), 0);
    drive_usage(drive, &usage);
    assert_int_equal(usage.pending, 0);
    assert_in_range(usage.free, 2 * MIB - 65536, 2 * MIB);
    assert_int_equal(drive_reserve(drive, 4, 0, 2 * MIB, 0, &place), -ENOSPC);
    free(data);
    drive_close(drive);
    io_free(io);
}

/* Somebody else filled the disk: an error, not a broken drive. */
static void full_after_all(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a, b;
    assert_int_equal(drive_reserve(drive, 1, 0, 8, 0, &a), 0);
    io_sim_fail_after(io, 0, ENOSPC, 1);
    assert_int_equal(drive_write(drive, &a, 0, "12345678", 8), -ENOSPC);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    assert_int_equal(drive->space.pending, 0);
    put(drive, 2, "12345678", 8, &b);
    assert_int_equal(b.extent, a.extent + 1); /* X4 */
    assert_int_equal(drive_sync(drive, b.extent), 0);
    drive_close(drive);
    io_free(io);
}

/* --- failures --------------------------------------------------------------*/

static void failed_sync_sticks(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a, b, c;
    put(drive, 1, "first", 5, &a);
    assert_int_equal(drive_reserve(drive, 2, 0, 6, 0, &b), 0);
    assert_int_equal(b.extent, a.extent);
    io_sim_fail_after(io, 0, ENOSPC, 1);
    assert_int_equal(drive_sync(drive, a.extent), -ENOSPC);
    /* For ever, for all records of that extent (X3, X4). */
    assert_int_equal(drive_sync(drive, a.extent), -ENOSPC);
    assert_int_equal(drive_write(drive, &b, 0, "second", 6), -ENOSPC);
    put(drive, 3, "third", 5, &c);
    assert_int_not_equal(c.extent, a.extent);
    assert_int_equal(drive_sync(drive, c.extent), 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    drive_close(drive);
    io_free(io);
}

static void failed_device(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a, b;
    put(drive, 1, "first", 5, &a);
    io_sim_fail_after(io, 0, EIO, 1);
    assert_int_equal(drive_sync(drive, a.extent), -EIO);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    assert_int_equal(drive_reserve(drive, 2, 0, 1, 0, &b), -ENODEV);
    assert_int_equal(drive_write(drive, &a, 0, "f", 1), -ENODEV);
    assert_int_equal(drive_sync(drive, a.extent), -ENODEV);
    assert_reads(drive, &a, "first", 5);
    drive_close(drive);
    io_free(io);
}

static void failed_write(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a;
    assert_int_equal(drive_reserve(drive, 1, 0, 5, 0, &a), 0);
    io_sim_fail_after(io, 0, EIO, 1);
    assert_int_equal(drive_write(drive, &a, 0, "first", 5), -EIO);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    drive_close(drive);
    io_free(io);
}

static void failed_read_is_only_a_read(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a;
    char back[5];
    put(drive, 1, "first", 5, &a);
    assert_reads(drive, &a, "first", 5);
    io_sim_fail_after(io, 0, EIO, 1);
    assert_int_equal(drive_read(drive, a.extent, a.offset, back, 5), -EIO);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    assert_reads(drive, &a, "first", 5);
    drive_close(drive);
    io_free(io);
}

/* X5: an extent is created only where the identity still matches. */
static void vanished_and_replaced(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, 4096);
    struct extent_place a, b;
    char back[5];
    put(drive, 1, "first", 5, &a);
    io_sim_wipe(io, "/d0");
    assert_int_equal(drive_read(drive, a.extent, a.offset, back, 5), -ENOENT);
    assert_int_equal(drive_reserve(drive, 2, 0, 5, 0, &b), -ENOENT);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    drive_close(drive);

    assert_int_equal(drive_format(io, &config, cluster), 0);
    drive = open_drive(io, 4096, 0);
    put(drive, 1, "first", 5, &a);
    io_sim_wipe(io, "/d0");
    assert_int_equal(drive_format(io, &config, cluster), 0);
    assert_int_equal(drive_reserve(drive, 2, 0, 5, 0, &b), -ENODEV);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    drive_close(drive);
    io_free(io);
}

/* What was there when the drive was opened is removed, its directory kept,
 * while statvfs() goes on answering. No write is acknowledged that only an
 * unlinked file holds. */
static void removed_contents(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a, b;
    put(drive, 1, "first", 5, &a);
    assert_int_equal(drive_sync(drive, a.extent), 0);
    put(drive, 2, "second", 6, &b);
    assert_int_equal(b.extent, a.extent);
    io_sim_wipe(io, "/d0");
    assert_int_equal(drive_sync(drive, b.extent), -ENOENT);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    drive_close(drive);

    /* An extent alone is enough, also one that was replaced. */
    char path[64] = "/d0/";
    drive = new_drive(io, MIB);
    put(drive, 1, "first", 5, &a);
    extent_path(path + 4, a.extent);
    assert_int_equal(io_write_file(io, path, "copy", 4), 0);
    assert_int_equal(drive_sync(drive, a.extent), -ENOENT);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    drive_close(drive);
    io_free(io);
}

/* X5: the identity is looked at whenever the space is. */
static void removed_identity(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a, b;
    struct drive_usage usage;
    put(drive, 1, "first", 5, &a);
    assert_int_equal(io_unlink(io, "/d0/identity"), 0);
    drive->space.checked_us -= SPACE_MAX_AGE_US;
    drive_usage(drive, &usage);
    assert_int_equal(usage.free, 0);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    assert_int_equal(drive_reserve(drive, 2, 0, 5, 0, &b), -ENODEV);
    drive_close(drive);
    io_free(io);
}

/* --- files that others open by their path ----------------------------------*/

static void replaced_extent_is_noticed(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct extent_place a;
    char path[64] = "/d0/", back[5];
    char *other = xcalloc(1, 8192);
    struct io_node first, second, there = {0};
    put(drive, 1, "first", 5, &a);
    extent_path(path + 4, a.extent);
    assert_int_equal(drive_check_path(drive, a.extent, 0, 0, &first), 0);
    assert_int_equal(io_node_at(io, path, &there), 0);
    assert_true(io_node_same(&first, &there));
    assert_reads(drive, &a, "first", 5);
    assert_true(drive_reads_from(drive, a.extent, &first));
    memcpy(other + a.offset, "other", 5);
    assert_int_equal(io_write_file(io, path, other, 8192), 0);
    assert_int_equal(drive_check_path(drive, a.extent, 0, 0, &second), -ENOENT);
    assert_false(drive_reads_from(drive, a.extent, &first));
    assert_reads(drive, &a, "other", 5); /* opened again */
    assert_int_equal(drive_check_path(drive, a.extent, 0, 0, &second), 0);
    assert_int_equal(io_node_at(io, path, &there), 0);
    assert_true(io_node_same(&second, &there));
    assert_true(drive_reads_from(drive, a.extent, &second));
    assert_int_equal(drive->cache.count, 1);
    assert_int_equal(io_unlink(io, path), 0);
    assert_int_equal(drive_check_path(drive, a.extent, 0, UINT64_MAX, &there),
                     0);
    assert_true(io_node_same(&second, &there));
    assert_int_equal(drive_check_path(drive, a.extent, 0, 0, &second), -ENOENT);
    assert_int_equal(drive_check_path(drive, a.extent, 0, UINT64_MAX, &second),
                     -ENOENT);
    assert_int_equal(drive_read(drive, a.extent, a.offset, back, 5), -ENOENT);
    assert_int_equal(drive->cache.count, 0);
    assert_int_equal(drive_state(drive), DRIVE_OK);
    free(other);
    drive_close(drive);
    io_free(io);
}

/* Whoever reads a file that is forgotten goes on; the last one closes it. */
static void forgotten_while_in_use(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct drive *drive = new_drive(io, MIB);
    struct cached_file *first, *second, *third;
    struct extent_place a;
    char back[5];
    put(drive, 1, "first", 5, &a);
    assert_int_equal(file_cache_get(drive, a.extent, 0, &first), 0);
    assert_int_equal(file_cache_get(drive, a.extent, 0, &second), 0);
    assert_ptr_equal(first, second);
    file_cache_forget(drive, first);
    file_cache_forget(drive, second);
    assert_int_equal(file_cache_get(drive, a.extent, 0, &third), 0);
    assert_ptr_not_equal(first, third);
    file_cache_put(drive, first);
    assert_int_equal(io_pread(second->file, back, 5, a.offset), 0);
    assert_memory_equal(back, "first", 5);
    file_cache_put(drive, second);
    file_cache_put(drive, third);
    assert_int_equal(drive->cache.count, 1);
    drive_close(drive);
    io_free(io);
}

/* --- a file system that became read-only -----------------------------------*/

static const struct io_operations *writable;

static int read_only_open(struct io *io, const char *path, unsigned flags,
                          struct io_file **file)
{
    return (flags & (IO_WRITE | IO_CREATE)) == 0
               ? writable->open(io, path, flags, file)
               : -EROFS;
}

static int read_only_mkdir(struct io *io, const char *path, bool owned)
{
    (void)io;
    (void)path;
    (void)owned;
    return -EROFS;
}

static void read_only_drive_is_read(void **state)
{
    (void)state;
    struct io *io = io_sim_new(1, 4 * MIB);
    struct io_operations read_only = *io->operations;
    struct drive_options options = options_of(MIB);
    struct drive *drive = new_drive(io, MIB), *second;
    struct extent_place a, b;
    put(drive, 1, "first", 5, &a);
    assert_int_equal(drive_sync(drive, a.extent), 0);
    drive_close(drive);

    writable = io->operations;
    read_only.open = read_only_open;
    read_only.mkdir = read_only_mkdir;
    io->operations = &read_only;
    drive = open_drive(io, MIB, 0);
    assert_int_equal(drive_state(drive), DRIVE_FAILED);
    assert_true(drive_readable(drive));
    assert_reads(drive, &a, "first", 5);
    assert_int_equal(drive_reserve(drive, 2, 0, 5, 0, &b), -ENODEV);
    assert_int_equal(drive_sync(drive, a.extent), -ENODEV);
    assert_int_equal(drive_open(io, &config, &options, &second), -EAGAIN);
    drive_close(drive);
    io->operations = writable;
    io_free(io);
}

/* --- group commit ----------------------------------------------------------*/

enum { LATE = 10 };

/* What happens while an fdatasync runs: LATE more records are written and
 * wait. The disk's own fdatasync is already past. */
static struct {
    const struct io_operations *real;
    struct drive *drive;
    struct extent_place places[LATE];
    struct sync_latch *latch;
    int results[LATE];
    unsigned calls, wrong;
} hook;

static int hooked_fdatasync(struct io_file *file)
{
    int r = hook.real->fdatasync(file);
    if (hook.calls++ > 0) {
        return r;
    }
    for (unsigned i = 0; i < LATE; i++) {
        hook.wrong +=
            drive_write(hook.drive, &hook.places[i], 0, "late", 4) != 0;
        drive_sync_start(hook.drive, hook.places[i].extent, hook.latch,
                         &hook.results[i]);
    }
    return r;
}

static void late_writers_share_the_next_sync(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 16; seed++) {
        struct io *io = io_sim_new(seed, 4 * MIB);
        struct io_operations hooked = *io->operations;
        memset(&hook, 0, sizeof(hook));
        hook.real = io->operations;
        hook.drive = new_drive(io, MIB);
        hook.latch = sync_latch_new();
        struct extent_place first;
        put(hook.drive, 1, "first", 5, &first);
        for (unsigned i = 0; i < LATE; i++) {
            hook.results[i] = -1;
            assert_int_equal(
                drive_reserve(hook.drive, i, 0, 4, 0, &hook.places[i]), 0);
        }
        hooked.fdatasync = hooked_fdatasync;
        io->operations = &hooked;
        assert_int_equal(drive_sync(hook.drive, first.extent), 0);
        sync_latch_wait(hook.latch);
        sync_latch_free(hook.latch);
        assert_int_equal(hook.wrong, 0);
        assert_int_equal(hook.calls, 2);
        /* Nothing is left to do for another one. */
        assert_int_equal(drive_sync(hook.drive, first.extent), 0);
        assert_int_equal(hook.calls, 2);

        io_sim_crash(io);
        drive_close(hook.drive);
        io->operations = hook.real;
        struct drive *drive = open_drive(io, MIB, 0);
        for (unsigned i = 0; i < LATE; i++) {
            assert_int_equal(hook.results[i], 0);
            assert_reads(drive, &hook.places[i], "late", 4);
        }
        assert_reads(drive, &first, "first", 5);
        drive_close(drive);
        io_free(io);
    }
}

/* --- threads ---------------------------------------------------------------*/

enum { THREADS = 8, ROUNDS = 40, DRIVES = 3 };

struct worker {
    struct drive **drives;
    unsigned number;
    struct extent_place places[ROUNDS][DRIVES];
    unsigned wrong; /* counted, as cmocka asserts in one thread only */
};

static void fill(uint8_t data[96], unsigned worker, unsigned round)
{
    memset(data, (int)(worker * 31 + round), 96);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct sync_latch *latch = sync_latch_new();
    uint8_t data[96], back[96];
    for (unsigned r = 0; r < ROUNDS; r++) {
        int results[DRIVES];
        fill(data, worker->number, r);
        for (unsigned d = 0; d < DRIVES; d++) {
            struct drive *drive = worker->drives[d];
            struct extent_place *place = &worker->places[r][d];
            worker->wrong +=
                drive_reserve(drive, worker->number, d, 80, 16, place) != 0 ||
                drive_write(drive, place, 48, data, 48) != 0 ||
                drive_write(drive, place, 0, data, 48) != 0;
            results[d] = -1;
            drive_sync_start(drive, place->extent, latch, &results[d]);
        }
        sync_latch_wait(latch);
        for (unsigned d = 0; d < DRIVES; d++) {
            struct extent_place *place = &worker->places[r][d];
            worker->wrong += results[d] != 0;
            worker->wrong += drive_read(worker->drives[d], place->extent,
                                        place->offset, back, 96) != 0 ||
                             memcmp(back, data, 96) != 0;
        }
    }
    sync_latch_free(latch);
    return NULL;
}

static void concurrent_writers(void **state)
{
    (void)state;
    struct io *io = io_sim_new(5, 64 * MIB);
    struct drive_config configs[DRIVES] = {
        {"/d0", "", 0}, {"/d1", "", 1}, {"/d2", "", 2}};
    struct drive_options options = options_of(8192);
    struct drive *drives[DRIVES];
    for (unsigned d = 0; d < DRIVES; d++) {
        assert_int_equal(drive_format(io, &configs[d], cluster), 0);
        assert_int_equal(drive_open(io, &configs[d], &options, &drives[d]), 0);
    }
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].drives = drives;
        workers[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    io_sim_crash(io);
    for (unsigned d = 0; d < DRIVES; d++) {
        struct drive_usage usage;
        drive_usage(drives[d], &usage);
        assert_int_equal(usage.load, 0);
        drive_close(drives[d]);
        assert_int_equal(drive_open(io, &configs[d], &options, &drives[d]), 0);
    }
    for (unsigned i = 0; i < THREADS * ROUNDS * DRIVES; i++) {
        struct worker *worker = &workers[i / (ROUNDS * DRIVES)];
        unsigned round = i / DRIVES % ROUNDS;
        uint8_t data[96];
        fill(data, worker->number, round);
        assert_reads(drives[i % DRIVES], &worker->places[round][i % DRIVES],
                     data, 96);
    }
    for (unsigned d = 0; d < DRIVES; d++) {
        drive_close(drives[d]);
    }
    io_free(io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_bytes),
        cmocka_unit_test(extent_header_bytes),
        cmocka_unit_test(record_header_bytes),
        cmocka_unit_test(extent_paths),
        cmocka_unit_test(states),
        cmocka_unit_test(state_names),
        cmocka_unit_test(last_id_is_taken),
        cmocka_unit_test(format_refuses),
        cmocka_unit_test(format_wants_an_empty_directory),
        cmocka_unit_test(second_instance_is_refused),
        cmocka_unit_test(records_are_aligned),
        cmocka_unit_test(direct_part),
        cmocka_unit_test(direct_writes_fill_folios),
        cmocka_unit_test(extents_are_sealed),
        cmocka_unit_test(reads),
        cmocka_unit_test(many_extents),
        cmocka_unit_test(space_is_refused_in_time),
        cmocka_unit_test(full_after_all),
        cmocka_unit_test(failed_sync_sticks),
        cmocka_unit_test(failed_device),
        cmocka_unit_test(failed_write),
        cmocka_unit_test(failed_read_is_only_a_read),
        cmocka_unit_test(vanished_and_replaced),
        cmocka_unit_test(removed_contents),
        cmocka_unit_test(removed_identity),
        cmocka_unit_test(replaced_extent_is_noticed),
        cmocka_unit_test(forgotten_while_in_use),
        cmocka_unit_test(read_only_drive_is_read),
        cmocka_unit_test(late_writers_share_the_next_sync),
        cmocka_unit_test(concurrent_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
