/*
 * Random histories of one drive on the simulated disk, with crashes and
 * failures. Whatever happens:
 *   - a record whose drive_sync() returned 0 reads back equal (X3);
 *   - no byte is handed out twice, crashes or not (X1, X2);
 *   - after a restart the drive works again.
 */
#include "extent/private.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HISTORIES   240
#define STEPS       90
#define RECORDS_MAX (STEPS + 8)
#define EXTENT_SIZE (96u << 10)
#define CAPACITY    (64ull << 20)

static const uint8_t cluster[DRIVE_UUID_SIZE] = "cluster-of-tests";
static const struct drive_config config = {"/d0", "", 4};

struct record {
    struct extent_place place;
    uint64_t payload, descriptor;
    unsigned run;
    bool written, durable;
};

struct world {
    struct io *io;
    struct drive *drive;
    uint64_t random;
    unsigned run; /* counts openings */
    struct record records[RECORDS_MAX];
    unsigned count;
};

static uint64_t pick(struct world *world, uint64_t below)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random % below;
}

static void fill(uint8_t *data, uint64_t size, uint64_t record)
{
    for (uint64_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(record * 151 + i * 7 + (i >> 8) + 1);
    }
}

static void no_faults(struct world *world)
{
    io_sim_fail_after(world->io, 0, 0, 0);
}

/* --- what must hold --------------------------------------------------------*/

static void assert_no_overlap(const struct world *world,
                              const struct record *mine)
{
    uint64_t start = mine->place.offset - RECORD_HEADER_SIZE;
    uint64_t end = mine->place.offset + mine->place.size;
    assert_true(start >= EXTENT_HEADER_SIZE);
    for (unsigned i = 0; i < world->count; i++) {
        const struct extent_place *place = &world->records[i].place;
        if (&world->records[i] == mine || place->extent != mine->place.extent) {
            continue;
        }
        assert_int_equal(world->records[i].run, mine->run);
        assert_true(end <= place->offset - RECORD_HEADER_SIZE ||
                    start >= place->offset + place->size);
    }
}

static void assert_record(struct world *world, unsigned number)
{
    const struct record *record = &world->records[number];
    const struct extent_place *place = &record->place;
    uint8_t bytes[RECORD_HEADER_SIZE];
    struct record_header header;
    assert_int_equal(drive_read(world->drive, place->extent,
                                place->offset - RECORD_HEADER_SIZE, bytes,
                                sizeof(bytes)),
                     0);
    assert_int_equal(record_header_decode(bytes, &header), 0);
    assert_int_equal(header.blob, number);
    assert_int_equal(header.payload, record->payload);
    assert_int_equal(header.descriptor, record->descriptor);
    assert_int_equal(header.extent, place->extent);
    assert_int_equal(header.offset, place->offset);

    uint8_t *expected = xmalloc(place->size + 1);
    uint8_t *back = xmalloc(place->size + 1);
    fill(expected, place->size, number);
    assert_int_equal(drive_read(world->drive, place->extent, place->offset,
                                back, place->size),
                     0);
    assert_memory_equal(back, expected, place->size);
    free(expected);
    free(back);
}

static void assert_durable_records(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++) {
        if (world->records[i].durable) {
            assert_record(world, i);
        }
    }
}

/* --- steps: each may fail, none may lie ------------------------------------*/

static int open_drive(struct world *world)
{
    struct drive_options options = {.extent_size = EXTENT_SIZE};
    memcpy(options.cluster, cluster, DRIVE_UUID_SIZE);
    world->run++;
    return drive_open(world->io, &config, &options, &world->drive);
}

static uint64_t pick_size(struct world *world)
{
    static const uint64_t edges[] = {
        0,    1,    63,    64,    65,    448,  511,  512,   513,   4032,  4095,
        4096, 4097, 65535, 65536, 65537, 8191, 8192, 20000, 98304, 150000};
    if (pick(world, 2) == 0) {
        return edges[pick(world, sizeof(edges) / sizeof(*edges))];
    }
    return pick(world, 6000);
}

static int write_pieces(struct world *world, unsigned number, uint64_t size)
{
    const struct extent_place *place = &world->records[number].place;
    uint8_t *data = xmalloc(place->size + 1);
    fill(data, place->size, number);
    int r = 0;
    for (uint64_t at = 0; r == 0 && at < size;) {
        uint64_t piece = 1 + pick(world, size - at);
        r = drive_write(world->drive, place, at, data + at, piece);
        at += piece;
    }
    free(data);
    return r;
}

/* Reserves and writes one record, or a part of it. */
static int step_put(struct world *world)
{
    assert_true(world->count < RECORDS_MAX);
    unsigned number = world->count;
    struct record *record = &world->records[number];
    *record = (struct record){.payload = pick_size(world),
                              .descriptor = pick(world, 300),
                              .run = world->run};
    int r = drive_reserve(world->drive, number, number % 6, record->payload,
                          record->descriptor, &record->place);
    if (r != 0) {
        return r;
    }
    world->count++;
    uint64_t total = record->payload + record->descriptor;
    uint64_t align = record->payload >= 65536 ? 4096 : 64;
    assert_int_equal(record->place.offset % align, 0);
    assert_int_equal(record->place.size, total);
    assert_no_overlap(world, record);

    bool whole = pick(world, 5) != 0;
    uint64_t size = whole ? total : pick(world, total + 1);
    r = write_pieces(world, number, size);
    record->written = r == 0 && size == total;
    if (r == 0) {
        drive_release(world->drive, total - size);
    }
    return r;
}

static int step_sync(struct world *world, unsigned number)
{
    const struct record *chosen = &world->records[number];
    if (chosen->run != world->run) {
        return 0;
    }
    int r = drive_sync(world->drive, chosen->place.extent);
    for (unsigned i = 0; r == 0 && i < world->count; i++) {
        struct record *record = &world->records[i];
        if (record->written && record->place.extent == chosen->place.extent) {
            record->durable = true;
        }
    }
    return r;
}

static void step_restart(struct world *world, bool crash)
{
    if (crash) {
        io_sim_crash(world->io);
    }
    no_faults(world);
    drive_close(world->drive);
    assert_int_equal(open_drive(world), 0);
    assert_int_equal(drive_state(world->drive), DRIVE_OK);
    assert_durable_records(world);
}

static void step_fault(struct world *world)
{
    static const int errors[] = {EIO, EIO, ENOSPC, EROFS};
    io_sim_fail_after(world->io, pick(world, 12), errors[pick(world, 4)],
                      1 + pick(world, 2));
}

static void history(uint64_t seed, unsigned *durable)
{
    struct world world = {.random = seed * 0x9e3779b97f4a7c15u + 1};
    world.io = io_sim_new(seed, CAPACITY);
    assert_int_equal(drive_format(world.io, &config, cluster), 0);
    assert_int_equal(open_drive(&world), 0);
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t dice = pick(&world, 100);
        if (dice < 55) {
            step_put(&world);
        } else if (dice < 85 && world.count > 0) {
            step_sync(&world, (unsigned)pick(&world, world.count));
        } else if (dice < 89) {
            step_fault(&world);
        } else if (dice < 97) {
            step_restart(&world, true);
        } else {
            step_restart(&world, false);
        }
        if (drive_state(world.drive) != DRIVE_OK) {
            step_restart(&world, pick(&world, 2) == 0);
        }
    }
    step_restart(&world, true);
    for (unsigned i = 0; i < world.count; i++) {
        *durable += world.records[i].durable;
    }
    drive_close(world.drive);
    io_free(world.io);
}

static void random_histories(void **state)
{
    (void)state;
    unsigned durable = 0;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        history(seed, &durable);
    }
    /* Or the histories would have shown nothing. */
    assert_true(durable > HISTORIES * 10);
}

/* --- failing at call 1, 2, 3 ... -------------------------------------------*/

static int put_and_sync(struct world *world)
{
    unsigned number = world->count;
    struct record *record = &world->records[number];
    *record =
        (struct record){.payload = 40000, .descriptor = 100, .run = world->run};
    int r = drive_reserve(world->drive, number, 0, 40000, 100, &record->place);
    if (r != 0) {
        return r;
    }
    world->count++;
    assert_no_overlap(world, record);
    r = write_pieces(world, number, 40100);
    if (r == 0) {
        record->written = true;
        r = step_sync(world, number);
    }
    return r;
}

/* Formats, opens, fills two extents and a third. Goes on after errors, as a
 * server does. Returns the number of errors. */
static unsigned body(struct world *world, bool *formatted)
{
    unsigned errors = 0;
    *formatted = drive_format(world->io, &config, cluster) == 0;
    errors += !*formatted;
    int r = open_drive(world);
    if (r != 0) {
        world->drive = NULL;
        return errors + 1;
    }
    errors += drive_state(world->drive) != DRIVE_OK;
    for (unsigned i = 0; i < 6; i++) {
        errors += put_and_sync(world) != 0;
    }
    return errors;
}

static void assert_recovers(struct world *world, bool formatted)
{
    io_sim_crash(world->io);
    no_faults(world);
    drive_close(world->drive);
    int r = drive_format(world->io, &config, cluster);
    assert_true(r == -EEXIST || (r == 0 && !formatted));
    assert_int_equal(open_drive(world), 0);
    assert_int_equal(drive_state(world->drive), DRIVE_OK);
    assert_durable_records(world);
    assert_int_equal(put_and_sync(world), 0);
    assert_durable_records(world);
    drive_close(world->drive);
}

static void fail_at_every_call(int error, uint64_t times)
{
    bool harmed = true;
    unsigned call = 0;
    for (; harmed; call++) {
        assert_true(call < 1000);
        struct world world = {.random = call + 1};
        world.io = io_sim_new(call, CAPACITY);
        io_sim_fail_after(world.io, call, error, times);
        bool formatted;
        unsigned errors = body(&world, &formatted);
        harmed = io_sim_calls(world.io) > call;
        if (!harmed) {
            assert_int_equal(errors, 0);
            assert_int_equal(world.count, 6);
        }
        if (harmed && times == UINT64_MAX) {
            assert_true(errors > 0);
        }
        assert_recovers(&world, formatted);
        io_free(world.io);
    }
    assert_true(call > 50);
}

static void fail_once(void **state)
{
    (void)state;
    fail_at_every_call(EIO, 1);
    fail_at_every_call(ENOSPC, 1);
}

static void fail_for_ever(void **state)
{
    (void)state;
    fail_at_every_call(EIO, UINT64_MAX);
    fail_at_every_call(ENOSPC, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories),
        cmocka_unit_test(fail_once),
        cmocka_unit_test(fail_for_ever),
    };
    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
