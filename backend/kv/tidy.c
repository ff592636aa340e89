/*
 * Seeks over what was deleted. LevelDB keeps a deleted key until a compaction
 * of its table, and a seek steps over each one: 200,000 of them, the parts of
 * completed uploads or a prefix that was emptied, take it half a second, and so
 * does each look for a key before them that is not there. A range over which a
 * seek was slow is compacted, which leaves nothing of them.
 *
 * That a seek took long may be the drive's fault, or that of others on the same
 * processor: first it is done again, and the processor's time for it counted.
 * If that is no less afterwards, what was deleted lies in the deepest level,
 * where no compaction comes: the rest until the next one is doubled.
 *
 * LevelDB cannot be told to leave a compaction, and nothing is closed before
 * its end: a range is compacted in pieces, and a stop waits for one of them.
 */
#include "kv/private.h"

#include <leveldb/c.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SLOW_US     20000
#define BUSY_US     5000     /* of the processor */
#define REST_US     10000000 /* after each range */
#define REST_MAX_US (3600ull * 1000000)
#define PIECE_BYTES (32u << 20)           /* of tables, in all levels */
#define KEY_MAX     4096u                 /* of where a piece ends */
#define BEHIND_ALL  SLICE_LITERAL("\xff") /* keys begin with a letter */

struct tidy {
    leveldb_t *db;
    const leveldb_readoptions_t *read;
    uint64_t slow_us, busy_us, piece_bytes;

    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_t thread;
    bool started; /* it is to be joined */
    bool busy;    /* it has the range */
    uint64_t rest_until_us;
    struct buffer from, to;
    struct tidy_done done;
};

struct tidy *tidy_new(leveldb_t *db, const leveldb_readoptions_t *read)
{
    struct tidy *tidy = xcalloc(1, sizeof(*tidy));

    tidy->db = db;
    tidy->read = read;
    tidy->slow_us = SLOW_US;
    tidy->busy_us = BUSY_US;
    tidy->piece_bytes = PIECE_BYTES;
    tidy->done.rest_us = REST_US;
    invariant(pthread_mutex_init(&tidy->lock, NULL) == 0);
    return tidy;
}

static void join(struct tidy *tidy)
{
    if (tidy->started) {
        pthread_join(tidy->thread, NULL);
        tidy->started = false;
    }
}

void tidy_free(struct tidy *tidy)
{
    if (tidy == NULL) {
        return;
    }
    atomic_store(&tidy->stopping, true);
    join(tidy);
    pthread_mutex_destroy(&tidy->lock);
    buffer_free(&tidy->from);
    buffer_free(&tidy->to);
    free(tidy);
}

void tidy_always(struct tidy *tidy, uint64_t piece_bytes)
{
    tidy->slow_us = tidy->busy_us = tidy->rest_until_us = 0;
    tidy->piece_bytes = piece_bytes;
}

struct tidy_done tidy_wait(struct tidy *tidy)
{
    join(tidy);
    return tidy->done;
}

static uint64_t cpu_us(void)
{
    struct timespec now;

    invariant(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool keeps_busy(const struct tidy *tidy)
{
    const uint64_t began = cpu_us();
    leveldb_iterator_t *it = leveldb_create_iterator(tidy->db, tidy->read);

    leveldb_iter_seek(it, (const char *)tidy->from.data, tidy->from.size);
    leveldb_iter_destroy(it);
    return cpu_us() - began >= tidy->busy_us;
}

static struct slice bytes_of(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}

static uint64_t size_between(const struct tidy *tidy, struct slice from,
                             struct slice to)
{
    const char *start = (const char *)from.data;
    const char *limit = (const char *)to.data;
    uint64_t size;

    leveldb_approximate_sizes(tidy->db, 1, &start, &from.size, &limit, &to.size,
                              &size);
    return size;
}

/* By the greatest byte with which no more than a piece lies before `end`. */
static void lengthen(const struct tidy *tidy, struct slice from,
                     struct buffer *end)
{
    unsigned low = 0, high = 256;

    buffer_append(end, "", 1);
    while (high - low > 1) {
        const unsigned middle = (low + high) / 2;

        end->data[end->size - 1] = (uint8_t)middle;
        if (size_between(tidy, from, bytes_of(end)) <= tidy->piece_bytes) {
            low = middle;
        } else {
            high = middle;
        }
    }
    end->data[end->size - 1] = (uint8_t)low;
}

/* Where the piece from there ends: at `to`, or at a key that is put into `end`,
 * looked for byte by byte, as a seek shows none of those that are gone. */
static struct slice piece_end(const struct tidy *tidy, struct slice from,
                              struct slice to, struct buffer *end)
{
    end->size = 0;
    if (size_between(tidy, from, to) <= tidy->piece_bytes) {
        return to;
    }
    do {
        lengthen(tidy, from, end);
    } while (end->size < KEY_MAX &&
             size_between(tidy, from, bytes_of(end)) < tidy->piece_bytes / 2);
    return slice_compare(bytes_of(end), from) > 0 ? bytes_of(end) : to;
}

static void compact(struct tidy *tidy)
{
    const struct slice to = bytes_of(&tidy->to);
    struct buffer from = {0}, end = {0};

    buffer_append(&from, tidy->from.data, tidy->from.size);
    while (!atomic_load(&tidy->stopping) &&
           slice_compare(bytes_of(&from), to) < 0) {
        const struct slice until = piece_end(tidy, bytes_of(&from), to, &end);

        leveldb_compact_range(tidy->db, (const char *)from.data, from.size,
                              (const char *)until.data, until.size);
        tidy->done.pieces++;
        from.size = 0;
        buffer_append(&from, until.data, until.size);
    }
    buffer_free(&from);
    buffer_free(&end);
}

/* The rest that follows. */
static uint64_t run(struct tidy *tidy)
{
    uint64_t *rest_us = &tidy->done.rest_us;

    if (!keeps_busy(tidy)) {
        return REST_US;
    }
    log_info("metadata: compacting a range of deleted records");
    compact(tidy);
    if (atomic_load(&tidy->stopping) || !keeps_busy(tidy)) {
        *rest_us = REST_US;
    } else {
        *rest_us = *rest_us < REST_MAX_US / 2 ? 2 * *rest_us : REST_MAX_US;
    }
    return *rest_us;
}

static void *work(void *context)
{
    struct tidy *tidy = context;
    const uint64_t rest_us = run(tidy);

    pthread_mutex_lock(&tidy->lock);
    tidy->busy = false;
    tidy->rest_until_us = clock_monotonic_us() + rest_us;
    pthread_mutex_unlock(&tidy->lock);
    return NULL;
}

/* With the lock. */
static void start(struct tidy *tidy, struct slice from,
                  const struct kv_here *here)
{
    const struct slice to = here->valid ? here->key : BEHIND_ALL;

    join(tidy); /* it has ended, or is about to */
    tidy->from.size = tidy->to.size = 0;
    buffer_append(&tidy->from, from.data, from.size);
    buffer_append(&tidy->to, to.data, to.size);
    tidy->started = tidy->busy =
        pthread_create(&tidy->thread, NULL, work, tidy) == 0;
}

void tidy_after_seek(struct tidy *tidy, uint64_t began, struct slice from,
                     const struct kv_here *here)
{
    const uint64_t now = clock_monotonic_us();

    if (now - began < tidy->slow_us) {
        return;
    }
    pthread_mutex_lock(&tidy->lock);
    if (!tidy->busy && now >= tidy->rest_until_us) {
        start(tidy, from, here);
    }
    pthread_mutex_unlock(&tidy->lock);
}
