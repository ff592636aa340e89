/*
 * Following the metadata: commits leave their changes in a queue, which one
 * thread empties into the log. The same thread writes snapshots.
 */
#include "archive/private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MARK_MS    60000u       /* the longest that a log says nothing */
#define QUEUE_MAX  (128u << 20) /* bytes; more: the log has a gap */
#define BUSY_SHARE 4            /* of the rate, while requests come */
#define KEY_FIRST  "\2"         /* no record's key is below */

/* Whole groups, to become one block. */
struct changes {
    struct changes *next;
    struct buffer bytes;
};

struct queue {
    struct changes *first, *last;
    size_t size; /* bytes */
    bool gap;    /* some were dropped */
};

/* What ids of blobs may still be committed (horizon()). */
struct sample {
    uint64_t intent; /* the first one after the sample */
    uint64_t id;     /* below all that it and later ones will have */
};

struct archive {
    struct archive_options options;
    struct kv *kv;
    pthread_t thread;
    pthread_mutex_t lock; /* everything up to `status` */
    pthread_cond_t wake;
    struct queue queue;
    bool stop;
    struct archive_status status;

    /* The thread's own. */
    struct generation *generation; /* NULL: none is being written */
    uint64_t last, last_blocks;    /* the one before: 0 if its log has a gap */
    uint64_t tried_ms;             /* monotonic; 0: not yet */
    uint64_t flushed_ms, written_ms;
    uint64_t horizon;
    struct sample sample;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

/* --- the queue -------------------------------------------------------------*/

static void queue_free(struct queue *queue)
{
    while (queue->first != NULL) {
        struct changes *next = queue->first->next;

        buffer_free(&queue->first->bytes);
        free(queue->first);
        queue->first = next;
    }
    *queue = (struct queue){0};
}

static void queue_add(struct queue *queue, struct slice bytes)
{
    struct changes *last = queue->last;

    if (last == NULL || last->bytes.size + bytes.size > ARCHIVE_BLOCK_GOAL) {
        last = xcalloc(1, sizeof(*last));
        if (queue->last != NULL) {
            queue->last->next = last;
        } else {
            queue->first = last;
        }
        queue->last = last;
    }
    buffer_append(&last->bytes, bytes.data, bytes.size);
    queue->size += bytes.size;
}

/* By whoever commits, under the store's lock. */
static void follow(void *context, struct slice changes)
{
    struct archive *archive = context;

    pthread_mutex_lock(&archive->lock);
    if (archive->queue.size + changes.size > QUEUE_MAX) {
        queue_free(&archive->queue);
        archive->queue.gap = true;
    } else if (!archive->queue.gap) {
        queue_add(&archive->queue, changes);
    }
    pthread_mutex_unlock(&archive->lock);
}

static struct queue take_queue(struct archive *archive)
{
    struct queue queue;

    pthread_mutex_lock(&archive->lock);
    queue = archive->queue;
    archive->queue = (struct queue){.gap = queue.gap};
    pthread_mutex_unlock(&archive->lock);
    return queue;
}

/* --- the horizon -----------------------------------------------------------*/

static void take_sample(struct archive *archive)
{
    archive->sample.id = meta_next_id(archive->options.meta);
    archive->sample.intent = blob_intent_next(archive->options.blobs);
}

static void use_sample(struct archive *archive)
{
    if (archive->sample.intent <= blob_intent_oldest(archive->options.blobs)) {
        archive->horizon = archive->sample.id;
    }
}

/* Below it no blob will be committed any more: who has one under way holds an
 * intent, which was begun before the blob had its id. What such blobs changed
 * was told of before this is asked. */
static uint64_t horizon(struct archive *archive)
{
    use_sample(archive);
    if (archive->horizon == archive->sample.id) {
        take_sample(archive);
        use_sample(archive);
    }
    return archive->horizon;
}

/* --- the log ---------------------------------------------------------------*/

static void tell_status(struct archive *archive)
{
    const struct generation *generation = archive->generation;
    struct archive_status status = {0};

    if (generation != NULL && generation->complete) {
        status.copies = generation->count;
        status.began_ms = generation->header.created_ms;
        status.written_ms = archive->written_ms;
        status.snapshot_bytes = generation->streams[ARCHIVE_SNAPSHOT].size;
        status.log_bytes = generation->streams[ARCHIVE_LOG].size;
    }
    pthread_mutex_lock(&archive->lock);
    archive->status = status;
    pthread_mutex_unlock(&archive->lock);
}

/* Most of what passes is gone again before it would be written (A1). */
static void leave_out_passed(const struct queue *queue)
{
    struct kv_passed *passed = kv_passed_new();

    for (struct changes *at = queue->first; at != NULL; at = at->next) {
        kv_passed_look(passed, &at->bytes);
    }
    kv_passed_free(passed);
    for (struct changes *at = queue->first; at != NULL; at = at->next) {
        kv_passed_strip(&at->bytes);
    }
}

static int write_queue(struct archive *archive, const struct queue *queue,
                       uint64_t mark)
{
    int error = queue->gap ? -EOVERFLOW : 0;

    if (archive->generation->complete) { /* or the snapshot may have it (A2) */
        leave_out_passed(queue);
    }
    for (const struct changes *at = queue->first; at != NULL && error == 0;
         at = at->next) {
        error = generation_write(archive->generation, ARCHIVE_LOG,
                                 slice_of(at->bytes.data, at->bytes.size), mark,
                                 false);
    }
    return error;
}

/* What was committed goes to the log of the generation. */
static int flush(struct archive *archive)
{
    struct generation *generation = archive->generation;
    uint64_t mark = horizon(archive);
    struct queue queue = take_queue(archive);
    bool quiet = queue.first == NULL && !queue.gap;
    int error = 0;

    generation_look(generation);
    if (generation->count == 0) {
        error = -EIO;
    } else if (!quiet) {
        error = write_queue(archive, &queue, mark);
    } else if (now_ms() - archive->flushed_ms >= MARK_MS) {
        error = generation_write(generation, ARCHIVE_LOG, slice_of(NULL, 0),
                                 mark, false);
        quiet = false;
    }
    if (error == 0 && !quiet) {
        archive->flushed_ms = now_ms();
        archive->written_ms = clock_wall_ms();
    }
    queue_free(&queue);
    return error;
}

/* --- a snapshot ------------------------------------------------------------*/

static bool stopping(struct archive *archive)
{
    bool stop;

    pthread_mutex_lock(&archive->lock);
    stop = archive->stop;
    pthread_mutex_unlock(&archive->lock);
    return stop;
}

/* Waits, no longer than the log may, until told to stop. */
static void nap(struct archive *archive, uint64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    ms = ms < archive->options.flush_ms ? ms : archive->options.flush_ms;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    at.tv_sec += (time_t)(ms / 1000) + at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    pthread_mutex_lock(&archive->lock);
    if (!archive->stop) {
        pthread_cond_timedwait(&archive->wake, &archive->lock, &at);
    }
    pthread_mutex_unlock(&archive->lock);
}

/* Sleeps for as long as `bytes` take at the rate; the log goes on meanwhile. */
static int keep_rate(struct archive *archive, size_t bytes)
{
    const struct archive_options *options = &archive->options;
    bool busy = options->busy != NULL && options->busy(options->context);
    uint64_t rate = busy ? options->rate / BUSY_SHARE : options->rate;

    nap(archive, 1000 * bytes / (rate > 0 ? rate : 1));
    if (stopping(archive)) {
        return -ECANCELED;
    }
    return now_ms() - archive->flushed_ms >= options->flush_ms ? flush(archive)
                                                               : 0;
}

static size_t fill(struct kv_iterator *records, struct kv_batch *batch)
{
    size_t bytes = 0;

    while (bytes < ARCHIVE_BLOCK_GOAL && kv_valid(records)) {
        struct slice key = kv_key(records), value = kv_value(records);

        kv_batch_put(batch, key, value);
        bytes += key.size + value.size;
        kv_next(records);
    }
    return bytes;
}

static int write_records(struct archive *archive, struct kv_iterator *records)
{
    int error = 0;

    kv_seek(records, SLICE_LITERAL(KEY_FIRST));
    while (error == 0 && kv_valid(records)) {
        struct kv_batch *batch = kv_batch_new();
        size_t bytes = fill(records, batch);

        error = kv_error(records);
        if (error == 0) {
            error = generation_write(archive->generation, ARCHIVE_SNAPSHOT,
                                     kv_batch_changes(batch), 0, false);
        }
        kv_batch_free(batch);
        if (error == 0 && kv_valid(records)) {
            error = keep_rate(archive, bytes);
        }
    }
    return error != 0 ? error : kv_error(records);
}

/* A2 */
static int write_snapshot(struct archive *archive)
{
    struct generation *generation = archive->generation;
    struct kv_iterator *records;
    int error = kv_barrier(archive->kv);

    if (error != 0) {
        return error;
    }
    records = kv_iterate_all(archive->kv);
    error = write_records(archive, records);
    kv_iterator_free(records);
    if (error == 0) {
        error = flush(archive);
    }
    if (error == 0) {
        error =
            generation_write(generation, ARCHIVE_SNAPSHOT, slice_of(NULL, 0),
                             generation->streams[ARCHIVE_LOG].blocks, true);
    }
    return error != 0 ? error : generation_complete(generation);
}

/* --- generations -----------------------------------------------------------*/

static bool can_have(struct drive *drive)
{
    struct drive_condition condition;

    drive_describe(drive, &condition);
    return condition.state == DRIVE_OK && !condition.full &&
           !condition.draining;
}

/* The last drives first: the mirrors are on the first ones. */
static unsigned choose_drives(const struct archive *archive,
                              struct drive *drives[ARCHIVE_COPIES_MAX])
{
    const struct archive_options *options = &archive->options;
    unsigned count = 0;

    for (unsigned i = options->drive_count; i > 0 && count < options->copies;
         i--) {
        if (can_have(options->drives[i - 1])) {
            drives[count++] = options->drives[i - 1];
        }
    }
    return count;
}

static void end_generation(struct archive *archive, bool gap)
{
    const struct generation *generation = archive->generation;

    archive->last = 0;
    if (generation != NULL && !gap) {
        archive->last = generation->header.generation;
        archive->last_blocks = generation->streams[ARCHIVE_LOG].blocks;
    }
    generation_free(archive->generation);
    archive->generation = NULL;
}

/* A1: from here on changes are the new generation's; those before go to the
 * one that ends. */
static void turn(struct archive *archive)
{
    struct queue queue;
    bool gap;

    pthread_mutex_lock(&archive->lock);
    queue = archive->queue;
    archive->queue = (struct queue){0};
    pthread_mutex_unlock(&archive->lock);
    gap = archive->generation == NULL ||
          write_queue(archive, &queue, archive->horizon) != 0;
    queue_free(&queue);
    end_generation(archive, gap);
}

/* Also drives that have no copy any more. */
static void tidy_drives(const struct archive *archive, uint64_t generation)
{
    const struct archive_options *options = &archive->options;

    for (unsigned i = 0; i < options->drive_count; i++) {
        if (drive_state(options->drives[i]) == DRIVE_OK) {
            archive_tidy(options->io, options->drives[i], generation);
        }
    }
}

static int begin_generation(struct archive *archive)
{
    struct drive *drives[ARCHIVE_COPIES_MAX];
    unsigned count = choose_drives(archive, drives);
    struct arena *arena = arena_new();
    struct archive_header header = {0};
    Meta__Cluster *cluster;
    int error;

    archive->tried_ms = now_ms();
    turn(archive);
    tidy_drives(archive, 0);
    archive->flushed_ms = 0; /* its log begins with a horizon */
    error = meta_get_cluster(archive->options.meta, arena, &cluster);
    if (error == 0) {
        memcpy(header.cluster, cluster->uuid.data, DRIVE_UUID_SIZE);
        header.generation = meta_next_id(archive->options.meta);
        header.before = archive->last;
        header.before_blocks = archive->last != 0 ? archive->last_blocks : 0;
        header.created_ms = clock_wall_ms();
        archive->generation =
            generation_new(archive->options.io, &header, drives, count);
        error = archive->generation->count > 0 ? 0 : -ENODEV;
    }
    if (error == 0) {
        error = write_snapshot(archive);
    }
    if (error == 0) {
        tidy_drives(archive, archive->generation->header.generation);
    }
    arena_free(arena);
    return error;
}

/* Drives that could have a copy and have none. */
static bool copies_missing(const struct archive *archive)
{
    struct drive *drives[ARCHIVE_COPIES_MAX];

    return choose_drives(archive, drives) > archive->generation->count;
}

static bool generation_due(const struct archive *archive)
{
    const struct generation *generation = archive->generation;
    const struct stream *log, *snapshot;

    if (archive->tried_ms == 0) {
        return true;
    }
    if (now_ms() - archive->tried_ms < archive->options.interval_ms) {
        return false;
    }
    if (generation == NULL || copies_missing(archive)) {
        return true;
    }
    log = &generation->streams[ARCHIVE_LOG];
    snapshot = &generation->streams[ARCHIVE_SNAPSHOT];
    return log->size > archive->options.log_bytes && log->size > snapshot->size;
}

static void tend(struct archive *archive)
{
    int error = archive->generation != NULL ? flush(archive) : 0;

    if (error == 0 && generation_due(archive)) {
        error = begin_generation(archive);
    }
    if (error != 0 && error != -ECANCELED) {
        log_error("archive: the metadata's copy on the drives is not up to "
                  "date: %s",
                  strerror(-error));
    }
    if (error != 0) {
        end_generation(archive, true);
    }
    tell_status(archive);
}

/* --- the thread ------------------------------------------------------------*/

static void *run(void *context)
{
    struct archive *archive = context;

    while (!stopping(archive)) {
        tend(archive);
        nap(archive, archive->options.flush_ms);
    }
    if (archive->generation != NULL) {
        archive->flushed_ms = 0; /* also if nothing was committed */
        flush(archive);
    }
    return NULL;
}

struct archive *archive_open(const struct archive_options *options)
{
    struct archive *archive = xcalloc(1, sizeof(*archive));
    pthread_condattr_t attributes;

    invariant(options->copies > 0 && options->copies <= ARCHIVE_COPIES_MAX);
    archive->options = *options;
    archive->kv = meta_kv(options->meta);
    invariant(pthread_mutex_init(&archive->lock, NULL) == 0);
    invariant(pthread_condattr_init(&attributes) == 0);
    invariant(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    invariant(pthread_cond_init(&archive->wake, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    take_sample(archive);
    kv_follow(archive->kv, follow, archive);
    invariant(pthread_create(&archive->thread, NULL, run, archive) == 0);
    return archive;
}

void archive_close(struct archive *archive)
{
    if (archive == NULL) {
        return;
    }
    pthread_mutex_lock(&archive->lock);
    archive->stop = true;
    pthread_cond_signal(&archive->wake);
    pthread_mutex_unlock(&archive->lock);
    pthread_join(archive->thread, NULL);
    kv_follow(archive->kv, NULL, NULL);
    generation_free(archive->generation);
    queue_free(&archive->queue);
    pthread_cond_destroy(&archive->wake);
    pthread_mutex_destroy(&archive->lock);
    free(archive);
}

void archive_look(struct archive *archive, struct archive_status *status)
{
    pthread_mutex_lock(&archive->lock);
    *status = archive->status;
    pthread_mutex_unlock(&archive->lock);
}
