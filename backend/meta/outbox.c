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
 *
 * Who keeps up with the commits finds what they added in memory (kept.c), and
 * what is trimmed there, too: the store, which holds back the events that are
 * in passing, is read only by who does not.
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
    struct kept kept;

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
        kept_free(&outbox->kept);
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
    outbox->kept.after = get_u64be(rest.data);
    return 0;
}

int outboxes_load(struct meta *meta)
{
    struct kv_iterator *it = kv_iterate_all(meta->kv);
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
        outbox->backlog.bytes += entry->event->bytes;
        kept_add(&outbox->kept, entry->event);
    } else {
        free(entry->event);
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

/* Events to look at: every one below the mark is in the store, or will never
 * be. */
struct range {
    uint64_t above, mark;
};

/* With the lock. */
static struct range range_after(const struct meta_outbox *outbox,
                                uint64_t after)
{
    struct meta *meta = outbox->meta;
    struct range range = {.above = after};

    if (after < outbox->first || after == UINT64_MAX) {
        range.above = outbox->first - 1;
    }
    if (outbox->oldest != NULL) {
        range.mark = outbox->oldest->sequence;
    } else {
        pthread_mutex_lock(&meta->id_lock);
        range.mark = meta->next_id;
        pthread_mutex_unlock(&meta->id_lock);
    }
    return range;
}

/* --- from memory -----------------------------------------------------------*/
/* False: some of it is not in memory. */
static bool list_kept(struct meta_outbox *outbox, struct arena *arena,
                      uint64_t after, size_t max, size_t max_bytes,
                      Meta__Event **events, size_t *count)
{
    const struct kept_event *event = NULL;
    size_t bytes = 0;

    pthread_mutex_lock(&outbox->lock);
    const struct range range = range_after(outbox, after);
    const bool kept = range.above >= outbox->kept.after;
    if (kept) {
        event = kept_find(&outbox->kept, range.above);
    }
    for (; event != NULL && event->event.sequence < range.mark && *count < max;
         event = event->next) {
        bytes += event->bytes;
        if (*count > 0 && bytes > max_bytes) {
            break;
        }
        events[(*count)++] = kept_event_copy(event, arena);
    }
    pthread_mutex_unlock(&outbox->lock);
    return kept;
}

/* --- from the store: walking from the oldest on ----------------------------*/
struct walk {
    struct kv_iterator *it;
    struct buffer prefix;
    uint64_t mark; /* it ends below */
};

static void walk_begin(struct meta_outbox *outbox, uint64_t after,
                       struct walk *walk)
{
    struct buffer from = {0};

    *walk = (struct walk){0};
    pthread_mutex_lock(&outbox->lock);
    const struct range range = range_after(outbox, after);
    pthread_mutex_unlock(&outbox->lock);
    walk->mark = range.mark;
    key_events(&walk->prefix, outbox->target);
    key_event(&from, outbox->target, range.above + 1);
    walk->it = kv_iterate_all(outbox->meta->kv);
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

static int list_stored(struct meta_outbox *outbox, struct arena *arena,
                       uint64_t after, size_t max, size_t max_bytes,
                       Meta__Event **events, size_t *count)
{
    struct walk walk;
    uint64_t sequence;
    size_t bytes = 0;
    int rc = 0;

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
        rc = meta_unpack(arena, META_RECORD_EVENT, &meta__event__descriptor,
                         kv_value(walk.it),
                         (ProtobufCMessage **)&events[*count]);
        if (rc == 0 && events[*count]->sequence != sequence) {
            rc = -EBADMSG;
        }
        if (rc == 0) {
            (*count)++;
            kv_next(walk.it);
        }
    }
    walk_end(&walk);
    return rc == -ENOENT || *count > 0 ? 0 : rc;
}

int meta_list_events(struct meta_outbox *outbox, struct arena *arena,
                     uint64_t after, size_t max, size_t max_bytes,
                     Meta__Event ***events, size_t *count)
{
    *events = arena_alloc(arena, max * sizeof(**events));
    *count = 0;
    return list_kept(outbox, arena, after, max, max_bytes, *events, count)
               ? 0
               : list_stored(outbox, arena, after, max, max_bytes, *events,
                             count);
}

/* --- removing --------------------------------------------------------------*/
struct removal {
    uint64_t through;
    const struct meta_backlog *keep; /* NULL: by `through` alone */
    struct meta_backlog there;       /* before */
    struct kv_batch *batch;          /* of a chunk at most */
    struct meta_backlog removed;
    uint64_t last;
};

static bool is_wanted(const struct removal *removal, uint64_t sequence)
{
    const struct meta_backlog *there = &removal->there, *keep = removal->keep,
                              *removed = &removal->removed;

    return removed->events < TRIM_CHUNK && sequence <= removal->through &&
           (keep == NULL || there->events > keep->events + removed->events ||
            there->bytes > keep->bytes + removed->bytes);
}

static void remove_one(struct removal *removal, uint64_t sequence,
                       struct slice key, uint64_t bytes)
{
    kv_batch_delete(removal->batch, key);
    removal->removed.events++;
    removal->removed.bytes += bytes;
    removal->last = sequence;
}

/* False: some of it is not in memory. */
static bool collect_kept(struct meta_outbox *outbox, struct removal *removal)
{
    const struct kept_event *event;
    struct buffer key = {0};

    pthread_mutex_lock(&outbox->lock);
    const struct range range = range_after(outbox, 0);
    const bool kept = range.above >= outbox->kept.after;
    for (event = outbox->kept.oldest;
         kept && event != NULL && event->event.sequence < range.mark &&
         is_wanted(removal, event->event.sequence);
         event = event->next) {
        key.size = 0;
        key_event(&key, outbox->target, event->event.sequence);
        remove_one(removal, event->event.sequence, buffer_slice(&key),
                   event->bytes);
    }
    pthread_mutex_unlock(&outbox->lock);
    buffer_free(&key);
    return kept;
}

static int collect_stored(struct meta_outbox *outbox, struct removal *removal)
{
    struct walk walk;
    uint64_t sequence;
    int rc;

    walk_begin(outbox, 0, &walk);
    while ((rc = walk_here(&walk, &sequence)) == 0 &&
           is_wanted(removal, sequence)) {
        remove_one(removal, sequence, kv_key(walk.it),
                   kv_key(walk.it).size + kv_value(walk.it).size);
        kv_next(walk.it);
    }
    walk_end(&walk);
    return rc == -ENOENT ? 0 : rc;
}

/* Removes a chunk at most. */
static int remove_chunk(struct meta_outbox *outbox, struct removal *removal)
{
    const struct meta_backlog *removed = &removal->removed;
    int rc = 0;

    meta_get_backlog(outbox, &removal->there);
    removal->removed = (struct meta_backlog){0, 0};
    removal->batch = kv_batch_new();
    if (!collect_kept(outbox, removal)) {
        rc = collect_stored(outbox, removal);
    }
    if (rc == 0) {
        rc = kv_commit(outbox->meta->kv, removal->batch);
    }
    kv_batch_free(removal->batch);
    if (rc == 0 && removed->events > 0) {
        pthread_mutex_lock(&outbox->lock);
        invariant(outbox->backlog.events >= removed->events &&
                  outbox->backlog.bytes >= removed->bytes);
        outbox->first = removal->last + 1;
        outbox->backlog.events -= removed->events;
        outbox->backlog.bytes -= removed->bytes;
        kept_remove(&outbox->kept, removal->last);
        pthread_mutex_unlock(&outbox->lock);
    }
    return rc;
}

static int remove_oldest(struct meta_outbox *outbox, uint64_t through,
                         const struct meta_backlog *keep, uint64_t *removed)
{
    struct removal removal = {.through = through, .keep = keep};
    int rc;

    *removed = 0;
    pthread_mutex_lock(&outbox->trim_lock);
    do {
        rc = remove_chunk(outbox, &removal);
        *removed += rc == 0 ? removal.removed.events : 0;
    } while (rc == 0 && removal.removed.events == TRIM_CHUNK);
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
