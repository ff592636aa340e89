/*
 * LevelDB as a mirror's database: changes are in a journal before they come
 * here, so nothing is synced but by a checkpoint.
 */
#include "kv/private.h"

#include <errno.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES        (32u << 20)
#define WRITE_BUFFER_BYTES (16u << 20) /* two of them at most */
#define BLOOM_BITS         10
/* LevelDB maps its tables of 2 MiB: the mapped pages count as ours. */
#define OPEN_FILES_MAX 96

struct leveldb_kv {
    struct kv kv;
    struct io *io;
    char *path;
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
    struct tidy *tidy;
};

struct leveldb_kv_iterator {
    struct kv_iterator iterator;
    leveldb_iterator_t *it;
    struct tidy *tidy;
};

static void leveldb_kv_close(struct kv *kv)
{
    struct leveldb_kv *self = (struct leveldb_kv *)kv;

    tidy_free(self->tidy);
    if (self->db != NULL) {
        leveldb_close(self->db);
    }
    leveldb_readoptions_destroy(self->read);
    leveldb_writeoptions_destroy(self->write);
    leveldb_options_destroy(self->options);
    leveldb_filterpolicy_destroy(self->filter);
    leveldb_cache_destroy(self->cache);
    free(self->path);
    free(self);
}

static int leveldb_kv_get(struct kv *kv, struct arena *arena, struct slice key,
                          struct slice *value)
{
    struct leveldb_kv *self = (struct leveldb_kv *)kv;
    char *error = NULL, *found;
    size_t size = 0;

    found = leveldb_get(self->db, self->read, (const char *)key.data, key.size,
                        &size, &error);
    if (error != NULL) {
        log_error("metadata: read failed: %s", error);
        leveldb_free(error);
        return -EIO;
    }
    if (found == NULL) {
        return -ENOENT;
    }
    *value = arena_copy(arena, found, size);
    leveldb_free(found);
    return 0;
}

static int leveldb_kv_commit(struct kv *kv, const struct kv_batch *batch)
{
    struct leveldb_kv *self = (struct leveldb_kv *)kv;
    leveldb_writebatch_t *write = leveldb_writebatch_create();
    struct kv_change change;
    size_t position = 0;
    char *error = NULL;

    while (kv_batch_next(batch, &position, &change)) {
        if (change.kind != KV_DELETE) {
            leveldb_writebatch_put(
                write, (const char *)change.key.data, change.key.size,
                (const char *)change.value.data, change.value.size);
        } else {
            leveldb_writebatch_delete(write, (const char *)change.key.data,
                                      change.key.size);
        }
    }
    leveldb_write(self->db, self->write, write, &error);
    leveldb_writebatch_destroy(write);
    if (error != NULL) {
        log_error("metadata: write failed: %s", error);
        leveldb_free(error);
        return -EIO;
    }
    return 0;
}

static void leveldb_kv_iterator_free(struct kv_iterator *iterator)
{
    struct leveldb_kv_iterator *self = (struct leveldb_kv_iterator *)iterator;

    leveldb_iter_destroy(self->it);
    free(self);
}

/* LevelDB steps over a block that it cannot read and goes on with the next:
 * what is gone would look as if it had never been. Its error stays. */
static void note_error(struct kv_iterator *iterator)
{
    struct leveldb_kv_iterator *self = (struct leveldb_kv_iterator *)iterator;
    char *error = NULL;

    leveldb_iter_get_error(self->it, &error);
    if (error == NULL) {
        return;
    }
    if (iterator->error == 0) {
        log_error("metadata: scan failed: %s", error);
    }
    iterator->error = -EIO;
    iterator->here.valid = false;
    leveldb_free(error);
}

static void settle(struct leveldb_kv_iterator *self)
{
    struct kv_here *here = &self->iterator.here;

    here->valid = self->iterator.error == 0 && leveldb_iter_valid(self->it);
    if (here->valid) {
        here->key.data =
            (const uint8_t *)leveldb_iter_key(self->it, &here->key.size);
        here->value.data =
            (const uint8_t *)leveldb_iter_value(self->it, &here->value.size);
    }
}

static void leveldb_kv_seek(struct kv_iterator *iterator, struct slice key)
{
    struct leveldb_kv_iterator *self = (struct leveldb_kv_iterator *)iterator;

    uint64_t began = clock_monotonic_us();

    leveldb_iter_seek(self->it, (const char *)key.data, key.size);
    note_error(iterator);
    settle(self);
    if (iterator->error == 0) {
        tidy_after_seek(self->tidy, began, key, &iterator->here);
    }
}

static void leveldb_kv_next(struct kv_iterator *iterator)
{
    struct leveldb_kv_iterator *self = (struct leveldb_kv_iterator *)iterator;

    leveldb_iter_next(self->it);
    if (!iterator->asks_late) {
        note_error(iterator);
    }
    settle(self);
}

static struct kv_iterator *leveldb_kv_iterate(struct kv *kv)
{
    static const struct kv_iterator_ops ops = {
        .free = leveldb_kv_iterator_free,
        .seek = leveldb_kv_seek,
        .next = leveldb_kv_next,
        .ask = note_error,
    };
    struct leveldb_kv *self = (struct leveldb_kv *)kv;
    struct leveldb_kv_iterator *iterator = xcalloc(1, sizeof(*iterator));

    iterator->iterator.ops = &ops;
    iterator->it = leveldb_create_iterator(self->db, self->read);
    iterator->tidy = self->tidy;
    return &iterator->iterator;
}

/* To compact a range in which nothing lies makes LevelDB begin a new log,
 * write out what it holds in memory, and no more. A write after a failure
 * fails; that one's key is outside the range. */
static int write_out(struct leveldb_kv *self)
{
    char *error = NULL;

    leveldb_compact_range(self->db, "\0", 1, "\0", 1);
    leveldb_delete(self->db, self->write, "\1", 1, &error);
    if (error != NULL) {
        log_error("metadata: checkpoint failed: %s", error);
        leveldb_free(error);
        return -EIO;
    }
    return 0;
}

/* If LevelDB cannot begin a new log it tells nobody, goes on with the old one,
 * and has written nothing out. */
static int leveldb_kv_checkpoint(struct kv *kv)
{
    struct leveldb_kv *self = (struct leveldb_kv *)kv;
    uint64_t before, after;
    int error = log_tail_highest(self->io, self->path, &before);

    if (error == 0) {
        error = write_out(self);
    }
    if (error == 0) {
        error = log_tail_highest(self->io, self->path, &after);
    }
    if (error == 0 && after <= before) {
        log_error("metadata: checkpoint failed: %s has no new log", self->path);
        error = -EIO;
    }
    return error;
}

static void set_options(struct leveldb_kv *self)
{
    self->cache = leveldb_cache_create_lru(CACHE_BYTES);
    self->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
    self->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(self->options, 1);
    leveldb_options_set_paranoid_checks(self->options, 1);
    leveldb_options_set_cache(self->options, self->cache);
    leveldb_options_set_filter_policy(self->options, self->filter);
    leveldb_options_set_write_buffer_size(self->options, WRITE_BUFFER_BYTES);
    leveldb_options_set_max_open_files(self->options, OPEN_FILES_MAX);
    self->read = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(self->read, 1);
    self->write = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(self->write, 0);
}

static int open_database(struct leveldb_kv *self, const char *directory,
                         struct kv **kv)
{
    char *error = NULL;

    self->db = leveldb_open(self->options, directory, &error);
    if (error != NULL) {
        log_error("metadata: cannot open the store: %s", error);
        leveldb_free(error);
        self->db = NULL;
        leveldb_kv_close(&self->kv);
        return -EIO;
    }
    self->tidy = tidy_new(self->db, self->read);
    *kv = &self->kv;
    return 0;
}

struct tidy *leveldb_tidy(struct kv *kv)
{
    return ((struct leveldb_kv *)kv)->tidy;
}

/* A line of the property "leveldb.stats" for each level that has something:
 *   Level  Files Size(MB) Time(sec) Read(MB) Write(MB) */
static void read_levels(const char *line, struct kv_statistics *statistics)
{
    unsigned level;
    double files, size, seconds, in, out;

    for (; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "%u %lf %lf %lf %lf %lf", &level, &files, &size,
                   &seconds, &in, &out) == 6 &&
            level < KV_LEVELS) {
            statistics->levels[level].files = (uint64_t)files;
            statistics->levels[level].bytes = (uint64_t)size << 20;
            statistics->levels[level].seconds = (uint64_t)seconds;
            statistics->levels[level].bytes_read = (uint64_t)in << 20;
            statistics->levels[level].bytes_written = (uint64_t)out << 20;
        }
    }
}

static bool leveldb_kv_statistics(struct kv *kv,
                                  struct kv_statistics *statistics)
{
    struct leveldb_kv *self = (struct leveldb_kv *)kv;
    char *levels = leveldb_property_value(self->db, "leveldb.stats");
    char *memory =
        leveldb_property_value(self->db, "leveldb.approximate-memory-usage");
    bool known = levels != NULL && memory != NULL;

    *statistics = (struct kv_statistics){0};
    if (known) {
        read_levels(levels, statistics);
        statistics->memory = strtoull(memory, NULL, 10);
    }
    leveldb_free(levels);
    leveldb_free(memory);
    return known;
}

/* LevelDB names its newest manifest last, and does not sync that. */
static int open_unsynced(struct leveldb_kv *self, struct io *io,
                         const char *directory, struct kv **kv)
{
    int error = open_database(self, directory, kv);

    if (error == 0) {
        error = io_sync_dir(io, directory);
        if (error != 0) {
            leveldb_kv_close(*kv);
        }
    }
    return error;
}

int leveldb_open_unsynced(struct io *io, struct leveldb_env_t *env,
                          const char *directory, struct kv **kv)
{
    static const struct kv_ops ops = {
        .close = leveldb_kv_close,
        .get = leveldb_kv_get,
        .commit = leveldb_kv_commit,
        .iterate = leveldb_kv_iterate,
        .checkpoint = leveldb_kv_checkpoint,
        .statistics = leveldb_kv_statistics,
    };
    struct leveldb_kv *self;
    int error = io_mkdir(io, directory);

    if (error == 0) {
        error = log_tail_discard(io, directory);
    }
    if (error == 0) {
        error = manifest_repair(io, directory);
    }
    if (error != 0) {
        log_error("metadata: %s cannot be used: %s", directory,
                  strerror(-error));
        return -EIO;
    }
    self = xcalloc(1, sizeof(*self));
    self->kv.ops = &ops;
    self->io = io;
    self->path = xstrdup(directory);
    set_options(self);
    if (env != NULL) {
        leveldb_options_set_env(self->options, env);
    }
    return open_unsynced(self, io, directory, kv);
}

int leveldb_wipe(struct leveldb_env_t *env, const char *directory)
{
    leveldb_options_t *options = leveldb_options_create();
    char *error = NULL;

    if (env != NULL) {
        leveldb_options_set_env(options, env);
    }
    leveldb_destroy_db(options, directory, &error);
    leveldb_options_destroy(options);
    if (error != NULL) {
        log_error("metadata: cannot empty %s: %s", directory, error);
        leveldb_free(error);
        return -EIO;
    }
    return 0;
}
