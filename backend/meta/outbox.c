/*
 * Outboxes: events on their way to targets.
 *
 * M6 is kept by a list of the events whose batch has not ended yet. It is in
 * the order of their sequences, since both are given under the outbox's lock;
 * its head is the mark below which nothing can appear any more. Listing takes
 * the mark first and its snapshot of the store then.
 *
 * Nothing is below `first`: seeking there spares the store the traces of what
 * was deleted.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>

#define TRIM_CHUNK 4096u /* events of one commit */

struct meta_outbox {
    struct meta_outbox *next;
    struct meta *meta;
    struct slice target; /* behind this structure */

    pthread_mutex_t lock; /* of all below but the watch */
    struct outbox_entry *oldest, *newest;
    struct meta_backlog backlog;
    uint64_t first;

    pthread_mutex_t trim_lock; /* one removes at a time */

    pthread_mutex_t watch_lock;
    meta_outbox_fn watch; /* NULL: nobody watches */
    void *watch_context;
};

/* --- all outboxes ----------------------------------------------------------*/
static struct meta_outbox *outbox_new(struct meta *meta, struct slice target)
{
    struct meta_outbox *outbox = xcalloc(1, sizeof(*outbox) + target.size);
    uint8_t *name = (uint8_t *)(outbox + 1);

    for (size_t i = 0; i < target.size; i++) {
        name[i] = target.data[i];
    }
    outbox->meta = meta;
    outbox->target = slice_of(name, target.size);
    outbox->first = 1;
    invariant(pthread_mutex_init(&outbox->lock, NULL) == 0);
    invariant(pthread_mutex_init(&outbox->trim_lock, NULL) == 0);
    invariant(pthread_mutex_init(&outbox->watch_lock, NULL) == 0);
    return outbox;
}

struct meta_outbox *meta_outbox(struct meta *meta, struct slice target)
{
    struct meta_outbox *outbox, **link = &meta->outboxes;

    invariant(target.size > 0);
    pthread_mutex_lock(&meta->outboxes_lock);
    while (*link != NULL && !slice_equal((*link)->target, target)) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        *link = outbox_new(meta, target);
    }
    outbox = *link;
    pthread_mutex_unlock(&meta->outboxes_lock);
    return outbox;
}

struct meta_outbox *meta_next_outbox(struct meta *meta,
                                     struct meta_outbox *outbox)
{
    struct meta_outbox *next;

    pthread_mutex_lock(&meta->outboxes_lock);
    next = outbox == NULL ? meta->outboxes : outbox->next;
    pthread_mutex_unlock(&meta->outboxes_lock);
    return next;
}

void outboxes_free(struct meta *meta)
{
    while (meta->outboxes != NULL) {
        struct meta_outbox *outbox = meta->outboxes;

        invariant(outbox->oldest == NULL); /* every batch has ended */
        meta->outboxes = outbox->next;
        pthread_mutex_destroy(&outbox->lock);
        pthread_mutex_destroy(&outbox->trim_lock);
        pthread_mutex_destroy(&outbox->watch_lock);
        free(outbox);
    }
}

static int load_one(struct meta *meta, struct buffer *target, struct slice key,
                    size_t value_size)
{
    struct meta_outbox *outbox;
    struct slice rest;

    target->size = 0;
    if (key_unescape(slice_of(key.data + 1, key.size - 1), target, &rest) !=
            0 ||
        rest.size != 8 || target->size == 0) {
        return -EBADMSG;
    }
    outbox = meta_outbox(meta, buffer_slice(target));
    if (outbox->backlog.events++ == 0) {
        outbox->first = get_u64be(rest.data);
    }
    outbox->backlog.bytes += key.size + value_size;
    return 0;
}

int outboxes_load(struct meta *meta)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    struct buffer target = {0};
    struct slice key;
    int rc = 0;

    for (kv_seek(it, SLICE_LITERAL("V")); rc == 0 && kv_valid(it);
         kv_next(it)) {
        key = kv_key(it);
        if (key.data[0] != META_KEY_EVENT) {
            break;
        }
        rc = load_one(meta, &target, key, kv_value(it).size);
    }
    if (rc == 0) {
        rc = kv_error(it);
    }
    kv_iterator_free(it);
    buffer_free(&target);
    return rc;
}

/* --- one outbox ------------------------------------------------------------*/
struct slice meta_outbox_target(const struct meta_outbox *outbox)
{
    return outbox->target;
}

void meta_get_backlog(struct meta_outbox *outbox, struct meta_backlog *backlog)
{
    pthread_mutex_lock(&outbox->lock);
    *backlog = outbox->backlog;
    pthread_mutex_unlock(&outbox->lock);
}

void meta_watch_outbox(struct meta_outbox *outbox, meta_outbox_fn fn,
                       void *context)
{
    pthread_mutex_lock(&outbox->watch_lock);
    outbox->watch = fn;
    outbox->watch_context = context;
    pthread_mutex_unlock(&outbox->watch_lock);
}

static void tell(struct meta_outbox *outbox)
{
    pthread_mutex_lock(&outbox->watch_lock);
    if (outbox->watch != NULL) {
        outbox->watch(outbox->watch_context);
    }
    pthread_mutex_unlock(&outbox->watch_lock);
}

/* --- events in batches (M6) ------------------------------------------------*/
void outbox_begin(struct meta_outbox *outbox, struct outbox_entry *entry)
{
    pthread_mutex_lock(&outbox->lock);
    entry->outbox = outbox;
    entry->sequence = meta_next_id(outbox->meta);
    entry->before = outbox->newest;
    if (outbox->newest != NULL) {
        outbox->newest->after = entry;
    } else {
        outbox->oldest = entry;
    }
    outbox->newest = entry;
    pthread_mutex_unlock(&outbox->lock);
}

static void end_one(struct outbox_entry *entry, bool committed)
{
    struct meta_outbox *outbox = entry->outbox;

    pthread_mutex_lock(&outbox->lock);
    if (entry->before != NULL) {
        entry->before->after = entry->after;
    } else {
        outbox->oldest = entry->after;
    }
    if (entry->after != NULL) {
        entry->after->before = entry->before;
    } else {
        outbox->newest = entry->before;
    }
    if (committed) {
        outbox->backlog.events++;
        outbox->backlog.bytes += entry->bytes;
    }
    pthread_mutex_unlock(&outbox->lock);
    tell(outbox); /* also if it was not: others may have waited for it */
}

void outbox_end(struct outbox_entry *entries, bool committed)
{
    for (; entries != NULL; entries = entries->next_of_batch) {
        end_one(entries, committed);
    }
}

/* Every event below *mark is in the store, or will never be. */
static void take_mark(struct meta_outbox *outbox, uint64_t *first,
                      uint64_t *mark)
{
    struct meta *meta = outbox->meta;

    pthread_mutex_lock(&outbox->lock);
    *first = outbox->first;
    if (outbox->oldest != NULL) {
        *mark = outbox->oldest->sequence;
    } else {
        pthread_mutex_lock(&meta->id_lock);
        *mark = meta->next_id;
        pthread_mutex_unlock(&meta->id_lock);
    }
    pthread_mutex_unlock(&outbox->lock);
}

/* --- walking from the oldest on --------------------------------------------*/
struct walk {
    struct kv_iterator *it;
    struct buffer prefix;
    uint64_t mark; /* it ends below */
};

static void walk_begin(struct meta_outbox *outbox, uint64_t after,
                       struct walk *walk)
{
    struct buffer from = {0};
    uint64_t first;

    *walk = (struct walk){0};
    take_mark(outbox, &first, &walk->mark);
    key_events(&walk->prefix, outbox->target);
    key_event(&from, outbox->target,
              after >= first && after < UINT64_MAX ? after + 1 : first);
    walk->it = kv_iterate(outbox->meta->kv);
    kv_seek(walk->it, buffer_slice(&from));
    buffer_free(&from);
}

/* -ENOENT at the end; or what the store says. */
static int walk_here(struct walk *walk, uint64_t *sequence)
{
    struct slice key;
    int rc;

    if (!kv_valid(walk->it)) {
        rc = kv_error(walk->it);
        return rc != 0 ? rc : -ENOENT;
    }
    key = kv_key(walk->it);
    if (!slice_has_prefix(key, buffer_slice(&walk->prefix))) {
        return -ENOENT;
    }
    if (key.size != walk->prefix.size + 8) {
        return -EBADMSG;
    }
    *sequence = get_u64be(key.data + walk->prefix.size);
    return *sequence < walk->mark ? 0 : -ENOENT;
}

static void walk_end(struct walk *walk)
{
    kv_iterator_free(walk->it);
    buffer_free(&walk->prefix);
}

static int unpack(struct walk *walk, struct arena *arena, uint64_t sequence,
                  Meta__Event **event)
{
    int rc = meta_unpack(arena, META_RECORD_EVENT, &meta__event__descriptor,
                         kv_value(walk->it), (ProtobufCMessage **)event);

    return rc == 0 && (*event)->sequence != sequence ? -EBADMSG : rc;
}

int meta_list_events(struct meta_outbox *outbox, struct arena *arena,
                     uint64_t after, size_t max, size_t max_bytes,
                     Meta__Event ***events, size_t *count)
{
    struct walk walk;
    uint64_t sequence;
    size_t bytes = 0;
    int rc = 0;

    *events = arena_alloc(arena, max * sizeof(**events));
    *count = 0;
    walk_begin(outbox, after, &walk);
    while (*count < max && rc == 0) {
        rc = walk_here(&walk, &sequence);
        if (rc != 0) {
            break;
        }
        bytes += kv_value(walk.it).size;
        if (*count > 0 && bytes > max_bytes) {
            break;
        }
        rc = unpack(&walk, arena, sequence, &(*events)[*count]);
        if (rc == 0) {
            (*count)++;
            kv_next(walk.it);
        }
    }
    walk_end(&walk);
    return rc == -ENOENT || *count > 0 ? 0 : rc;
}

/* --- removing --------------------------------------------------------------*/
/* Adds deletes of the oldest events to `batch`, a chunk of them at most, and
 * counts them. `keep` NULL: by `through` alone. */
static int collect(struct meta_outbox *outbox, uint64_t through,
                   const struct meta_backlog *keep, struct kv_batch *batch,
                   struct meta_backlog *removed, uint64_t *last)
{
    struct meta_backlog there;
    struct walk walk;
    uint64_t sequence;
    int rc = 0;

    meta_get_backlog(outbox, &there);
    walk_begin(outbox, 0, &walk);
    while (removed->events < TRIM_CHUNK) {
        rc = walk_here(&walk, &sequence);
        if (rc != 0 || sequence > through ||
            (keep != NULL && there.events <= keep->events + removed->events &&
             there.bytes <= keep->bytes + removed->bytes)) {
            break;
        }
        kv_batch_delete(batch, kv_key(walk.it));
        removed->events++;
        removed->bytes += kv_key(walk.it).size + kv_value(walk.it).size;
        *last = sequence;
        kv_next(walk.it);
    }
    walk_end(&walk);
    return rc == -ENOENT ? 0 : rc;
}

/* Removes a chunk at most. */
static int remove_chunk(struct meta_outbox *outbox, uint64_t through,
                        const struct meta_backlog *keep,
                        struct meta_backlog *removed)
{
    struct kv_batch *batch = kv_batch_new();
    uint64_t last = 0;
    int rc;

    *removed = (struct meta_backlog){0, 0};
    rc = collect(outbox, through, keep, batch, removed, &last);
    if (rc == 0) {
        rc = kv_commit(outbox->meta->kv, batch);
    }
    kv_batch_free(batch);
    if (rc == 0 && removed->events > 0) {
        pthread_mutex_lock(&outbox->lock);
        invariant(outbox->backlog.events >= removed->events &&
                  outbox->backlog.bytes >= removed->bytes);
        outbox->first = last + 1;
        outbox->backlog.events -= removed->events;
        outbox->backlog.bytes -= removed->bytes;
        pthread_mutex_unlock(&outbox->lock);
    }
    return rc;
}

static int remove_oldest(struct meta_outbox *outbox, uint64_t through,
                         const struct meta_backlog *keep, uint64_t *removed)
{
    struct meta_backlog chunk;
    int rc;

    *removed = 0;
    pthread_mutex_lock(&outbox->trim_lock);
    do {
        rc = remove_chunk(outbox, through, keep, &chunk);
        *removed += rc == 0 ? chunk.events : 0;
    } while (rc == 0 && chunk.events == TRIM_CHUNK);
    pthread_mutex_unlock(&outbox->trim_lock);
    return rc;
}

int meta_trim_events(struct meta_outbox *outbox, uint64_t through,
                     uint64_t *removed)
{
    return remove_oldest(outbox, through, NULL, removed);
}

int meta_drop_events(struct meta_outbox *outbox,
                     const struct meta_backlog *keep, uint64_t *removed)
{
    return remove_oldest(outbox, UINT64_MAX, keep, removed);
}
