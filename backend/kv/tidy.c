/*
 * Seeks over what was deleted. LevelDB keeps a deleted key until a compaction
 * of its table, and a seek steps over each one: 200,000 of them, the parts of
 * completed uploads or a prefix that was emptied, take it half a second, and so
 * does each look for a key before them that is not there. A range over which a
 * seek was slow is compacted, which leaves nothing of them.
 *
 * That a seek took long may be the drive's fault, or that of others on the same
 * processor: first it is done again, and the processor's time for it counted.
 */
#include "kv/private.h"

#include <leveldb/c.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SLOW_US 20000
#define BUSY_US 5000     /* of the processor */
#define REST_US 10000000 /* after each range */

struct tidy {
    leveldb_t *db;
    const leveldb_readoptions_t *read;
    uint64_t slow_us, busy_us;

    pthread_mutex_t lock;
    pthread_t thread;
    bool started; /* it is to be joined */
    bool busy;    /* it has the range */
    uint64_t rest_until_us;
    struct buffer from, to; /* `to` empty: there is nothing behind */
};

struct tidy *tidy_new(leveldb_t *db, const leveldb_readoptions_t *read)
{
    struct tidy *tidy = xcalloc(1, sizeof(*tidy));

    tidy->db = db;
    tidy->read = read;
    tidy->slow_us = SLOW_US;
    tidy->busy_us = BUSY_US;
    invariant(pthread_mutex_init(&tidy->lock, NULL) == 0);
    return tidy;
}

void tidy_free(struct tidy *tidy)
{
    if (tidy == NULL) {
        return;
    }
    if (tidy->started) {
        pthread_join(tidy->thread, NULL);
    }
    pthread_mutex_destroy(&tidy->lock);
    buffer_free(&tidy->from);
    buffer_free(&tidy->to);
    free(tidy);
}

void tidy_always(struct tidy *tidy)
{
    tidy->slow_us = tidy->busy_us = 0;
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

static void *work(void *context)
{
    struct tidy *tidy = context;

    if (keeps_busy(tidy)) {
        log_info("metadata: compacting a range of deleted records");
        leveldb_compact_range(
            tidy->db, (const char *)tidy->from.data, tidy->from.size,
            tidy->to.size > 0 ? (const char *)tidy->to.data : NULL,
            tidy->to.size);
    }
    pthread_mutex_lock(&tidy->lock);
    tidy->busy = false;
    tidy->rest_until_us = clock_monotonic_us() + REST_US;
    pthread_mutex_unlock(&tidy->lock);
    return NULL;
}

/* With the lock. */
static void start(struct tidy *tidy, struct slice from,
                  const struct kv_here *here)
{
    if (tidy->started) {
        pthread_join(tidy->thread, NULL); /* it has ended, or is about to */
    }
    tidy->from.size = tidy->to.size = 0;
    buffer_append(&tidy->from, from.data, from.size);
    if (here->valid) {
        buffer_append(&tidy->to, here->key.data, here->key.size);
    }
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
