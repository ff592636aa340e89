/*
 * What is found on the drives. In the scratch store a shard's key is its
 * blob, chunk, number and place, so that they come back in order:
 *
 *   S blob(8) chunk(4) shard(1) drive(4) extent(8) offset(8), big-endian
 */
#include "rebuild/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAG         'S'
#define KEY_SIZE    34u
#define VALUE_SIZE  52u
#define BATCH_BYTES (4u << 20)
/* Above are ids that meta_next_id() gave when it could reserve none: nothing
 * under them was committed. */
#define ID_LIMIT (UINT64_C(1) << 62)

/* --- encoding --------------------------------------------------------------*/

static void encode_key(uint8_t out[KEY_SIZE], const struct blob_found *found)
{
    out[0] = TAG;
    put_u64be(out + 1, found->blob);
    put_u32be(out + 9, found->chunk);
    out[13] = found->shard;
    put_u32be(out + 14, found->drive);
    put_u64be(out + 18, found->extent);
    put_u64be(out + 26, found->offset);
}

static void encode_value(uint8_t out[VALUE_SIZE],
                         const struct blob_found *found, bool chained)
{
    put_u64be(out, found->blob_size);
    put_u64be(out + 8, found->chunk_offset);
    put_u64be(out + 16, found->chunk_size);
    put_u64be(out + 24, found->payload);
    put_u32be(out + 32, found->unit);
    put_u32be(out + 36, found->origin_size);
    put_u32be(out + 40, found->origin_crc);
    put_u32be(out + 44, found->descriptor_crc);
    out[48] = found->profile.backend;
    out[49] = found->profile.k;
    out[50] = found->profile.m;
    out[51] = chained;
}

static bool decode(struct slice key, struct slice value,
                   struct blob_found *found)
{
    const uint8_t *in = value.data;

    invariant(key.size == KEY_SIZE && value.size == VALUE_SIZE);
    *found = (struct blob_found){
        .blob = get_u64be(key.data + 1),
        .chunk = get_u32be(key.data + 9),
        .shard = key.data[13],
        .drive = get_u32be(key.data + 14),
        .extent = get_u64be(key.data + 18),
        .offset = get_u64be(key.data + 26),
        .blob_size = get_u64be(in),
        .chunk_offset = get_u64be(in + 8),
        .chunk_size = get_u64be(in + 16),
        .payload = get_u64be(in + 24),
        .unit = get_u32be(in + 32),
        .origin_size = get_u32be(in + 36),
        .origin_crc = get_u32be(in + 40),
        .descriptor_crc = get_u32be(in + 44),
        .profile = {in[48], in[49], in[50]},
    };
    return in[51];
}

/* --- the scan --------------------------------------------------------------*/

struct scan {
    struct rebuild *rebuild;
    struct drive *drive;
    uint64_t extent;
    struct kv_batch *batch;
    size_t bytes; /* in the batch */
};

static int flush(struct scan *scan)
{
    int error = kv_commit(scan->rebuild->options->scratch, scan->batch);

    kv_batch_free(scan->batch);
    scan->batch = kv_batch_new();
    scan->bytes = 0;
    return error;
}

static int take_record(void *context, const struct drive_record *record)
{
    struct scan *scan = context;
    struct rebuild_report *report = scan->rebuild->report;
    uint8_t key[KEY_SIZE], value[VALUE_SIZE];
    struct blob_found found;
    int error = blob_salvage(scan->drive, scan->extent, record, &found);

    if (error == 0 && found.blob >= ID_LIMIT) {
        error = -EBADMSG;
    }
    if (error != 0) { /* also one that was never written to its end */
        report->records_bad++;
        return error == -EBADMSG ? 0 : error;
    }
    report->records++;
    if (found.blob > scan->rebuild->highest) {
        scan->rebuild->highest = found.blob;
    }
    encode_key(key, &found);
    encode_value(value, &found, record->chained);
    kv_batch_put(scan->batch, slice_of(key, sizeof(key)),
                 slice_of(value, sizeof(value)));
    scan->bytes += sizeof(key) + sizeof(value);
    return scan->bytes >= BATCH_BYTES ? flush(scan) : 0;
}

/* An extent that cannot be read to its end gives what came before. */
static int take_extent(void *context, uint64_t extent)
{
    struct scan *scan = context;
    struct rebuild_report *report = scan->rebuild->report;
    int error;

    scan->extent = extent;
    if (extent_number(extent) > scan->rebuild->last_extent) {
        scan->rebuild->last_extent = extent_number(extent);
    }
    report->extents++;
    error = drive_records(scan->drive, extent, take_record, scan);
    if (error != 0) {
        report->extents_bad++;
        log_error("drive %u: extent %llx is not read to its end: %s",
                  drive_config(scan->drive)->index, (unsigned long long)extent,
                  strerror(-error));
    }
    return 0;
}

int shards_scan(struct rebuild *rebuild)
{
    const struct rebuild_options *options = rebuild->options;
    struct scan scan = {.rebuild = rebuild, .batch = kv_batch_new()};
    int error = 0;

    for (unsigned i = 0; i < options->drive_count && error == 0; i++) {
        int listed;

        scan.drive = options->drives[i];
        if (drive_state(scan.drive) != DRIVE_OK) {
            continue;
        }
        log_info("drive %u: its extents are read", i);
        listed = drive_extents(scan.drive, take_extent, &scan);
        if (listed != 0) {
            log_error("drive %u: its extents cannot be listed: %s", i,
                      strerror(-listed));
        }
        error = flush(&scan);
    }
    kv_batch_free(scan.batch);
    return error;
}

/* --- what was found --------------------------------------------------------*/

static void add(struct shards *shards, struct slice key, struct slice value)
{
    if (shards->count == shards->room) {
        shards->room = shards->room == 0 ? 32 : 2 * shards->room;
        shards->found =
            xrealloc(shards->found, shards->room * sizeof(*shards->found));
    }
    if (decode(key, value, &shards->found[shards->count++])) {
        shards->chained = true;
    }
}

static int load(struct rebuild *rebuild, uint64_t from, bool exactly,
                struct shards *shards)
{
    struct kv_iterator *it = kv_iterate(rebuild->options->scratch);
    uint8_t start[9] = {TAG};
    int error;

    shards->count = 0;
    shards->chained = false;
    put_u64be(start + 1, from);
    for (kv_seek(it, slice_of(start, sizeof(start)));
         kv_valid(it) && kv_key(it).data[0] == TAG; kv_next(it)) {
        uint64_t blob = get_u64be(kv_key(it).data + 1);

        if (exactly ? blob != from
                    : shards->count > 0 && blob != shards->found[0].blob) {
            break;
        }
        add(shards, kv_key(it), kv_value(it));
    }
    error = kv_error(it);
    kv_iterator_free(it);
    return error;
}

int shards_of(struct rebuild *rebuild, uint64_t blob, struct shards *shards)
{
    return load(rebuild, blob, true, shards);
}

int shards_next(struct rebuild *rebuild, uint64_t after, struct shards *shards)
{
    int error =
        after == UINT64_MAX ? -ENOENT : load(rebuild, after + 1, false, shards);

    return error == 0 && shards->count == 0 ? -ENOENT : error;
}

void shards_free(struct shards *shards)
{
    free(shards->found);
    *shards = (struct shards){0};
}
