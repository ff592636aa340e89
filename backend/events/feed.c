#include "events/feed.h"
#include "events/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Lines as they were told. Where some were lost nothing is added until all
 * that came before was taken: so the number lost has its place. */
struct feed_listener {
    struct feed *feed;
    struct feed_listener *next, **link;
    struct feed_filter filter;
    struct buffer names; /* what the filter's slices point to */
    struct buffer lines;
    size_t taken;  /* of `lines` */
    uint64_t lost; /* after `lines` */
};

struct feed {
    atomic_uint listening;
    pthread_mutex_t lock; /* of all below */
    struct feed_listener *listeners;
    bool ended;
    void (*wake)(void *context);
    void *context;
};

struct feed *feed_new(void)
{
    struct feed *feed = xcalloc(1, sizeof(*feed));

    invariant(pthread_mutex_init(&feed->lock, NULL) == 0);
    return feed;
}

void feed_free(struct feed *feed)
{
    if (feed == NULL) {
        return;
    }
    invariant(feed->listeners == NULL);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

void feed_on_wake(struct feed *feed, void (*wake)(void *context), void *context)
{
    invariant(!feed_wanted(feed));
    feed->wake = wake;
    feed->context = context;
}

static void wake(const struct feed *feed)
{
    if (feed->wake != NULL) {
        feed->wake(feed->context);
    }
}

void feed_end(struct feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    feed->ended = true;
    wake(feed);
    pthread_mutex_unlock(&feed->lock);
}

/* --- telling ---------------------------------------------------------------*/
bool feed_wanted(const struct feed *feed)
{
    return atomic_load_explicit(&feed->listening, memory_order_relaxed) > 0;
}

static bool has_suffix(struct slice text, struct slice suffix)
{
    return text.size >= suffix.size &&
           slice_equal(
               slice_of(text.data + text.size - suffix.size, suffix.size),
               suffix);
}

static bool wants(const struct feed_filter *filter, const Meta__Event *event)
{
    const struct slice bucket = slice_of(event->bucket.data, event->bucket.len);
    const struct slice key = slice_of(event->key.data, event->key.len);
    bool typed = filter->type_count == 0;

    for (size_t i = 0; i < filter->type_count && !typed; i++) {
        typed = events_type_matches(filter->types[i], event->type);
    }
    return typed &&
           (filter->bucket.size == 0 || slice_equal(filter->bucket, bucket)) &&
           (filter->bucket_id == 0 || filter->bucket_id == event->bucket_id) &&
           slice_has_prefix(key, filter->prefix) &&
           has_suffix(key, filter->suffix);
}

static bool has_something(const struct feed_listener *listener)
{
    return listener->lines.size > 0 || listener->lost > 0;
}

static void add(struct feed_listener *listener, struct slice line)
{
    const bool first = !has_something(listener);

    if (listener->lost > 0 ||
        listener->lines.size + line.size > FEED_BYTES_MAX) {
        listener->lost++;
    } else {
        buffer_append(&listener->lines, line.data, line.size);
    }
    if (first) {
        wake(listener->feed);
    }
}

void feed_tell(struct feed *feed, const Meta__Event *event)
{
    struct feed_listener *listener;
    struct buffer line = {0};

    pthread_mutex_lock(&feed->lock);
    for (listener = feed->listeners; listener != NULL;
         listener = listener->next) {
        if (!wants(&listener->filter, event)) {
            continue;
        }
        if (line.size == 0) {
            events_json_message(&line, event);
            buffer_append_string(&line, "\n");
        }
        add(listener, slice_of(line.data, line.size));
    }
    pthread_mutex_unlock(&feed->lock);
    buffer_free(&line);
}

/* --- listening -------------------------------------------------------------*/
static void copy_filter(struct feed_listener *listener,
                        const struct feed_filter *filter)
{
    struct slice *const slices[] = {
        &listener->filter.bucket, &listener->filter.prefix,
        &listener->filter.suffix, &listener->filter.account};
    const size_t count = sizeof(slices) / sizeof(slices[0]);
    size_t at = 0;

    listener->filter = *filter;
    for (size_t i = 0; i < count; i++) {
        buffer_append(&listener->names, slices[i]->data, slices[i]->size);
    }
    for (size_t i = 0; i < count; i++) {
        slices[i]->data = listener->names.data + at;
        at += slices[i]->size;
    }
}

static bool has_room(const struct feed *feed, struct slice account)
{
    size_t share = 0;

    for (const struct feed_listener *listener = feed->listeners;
         listener != NULL; listener = listener->next) {
        share += slice_equal(listener->filter.account, account);
    }
    return atomic_load(&feed->listening) < FEED_LISTENERS_MAX &&
           (account.size == 0 || share < FEED_SHARE_MAX);
}

struct feed_listener *feed_listen(struct feed *feed,
                                  const struct feed_filter *filter)
{
    struct feed_listener *listener = xcalloc(1, sizeof(*listener));

    invariant(filter->type_count <= FEED_TYPES_MAX);
    listener->feed = feed;
    copy_filter(listener, filter);
    pthread_mutex_lock(&feed->lock);
    if (!has_room(feed, filter->account)) {
        pthread_mutex_unlock(&feed->lock);
        buffer_free(&listener->names);
        free(listener);
        return NULL;
    }
    listener->next = feed->listeners;
    listener->link = &feed->listeners;
    if (listener->next != NULL) {
        listener->next->link = &listener->next;
    }
    feed->listeners = listener;
    atomic_fetch_add(&feed->listening, 1);
    pthread_mutex_unlock(&feed->lock);
    return listener;
}

void feed_leave(struct feed_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    struct feed *feed = listener->feed;
    pthread_mutex_lock(&feed->lock);
    *listener->link = listener->next;
    if (listener->next != NULL) {
        listener->next->link = listener->link;
    }
    atomic_fetch_sub(&feed->listening, 1);
    pthread_mutex_unlock(&feed->lock);
    buffer_free(&listener->lines);
    buffer_free(&listener->names);
    free(listener);
}

/* Whole lines from `at` on, of about `max` bytes. */
static size_t whole_lines(const struct buffer *lines, size_t at, size_t max)
{
    if (lines->size - at <= max) {
        return lines->size - at;
    }
    const uint8_t *end =
        memchr(lines->data + at + max, '\n', lines->size - at - max);
    return (size_t)(end + 1 - (lines->data + at));
}

enum feed_taken feed_take(struct feed_listener *listener, size_t max,
                          struct buffer *out)
{
    struct feed *feed = listener->feed;
    struct buffer *lines = &listener->lines;
    enum feed_taken taken = FEED_NOTHING;

    pthread_mutex_lock(&feed->lock);
    if (lines->size > 0) {
        const size_t size = whole_lines(lines, listener->taken, max);
        buffer_append(out, lines->data + listener->taken, size);
        listener->taken += size;
        if (listener->taken == lines->size) {
            listener->taken = 0;
            buffer_free(lines);
        }
        taken = FEED_TAKEN;
    } else if (listener->lost > 0) {
        buffer_printf(out, "{\"Records\":[],\"Lost\":%llu}\n",
                      (unsigned long long)listener->lost);
        listener->lost = 0;
        taken = FEED_TAKEN;
    } else if (feed->ended) {
        taken = FEED_ENDED;
    }
    pthread_mutex_unlock(&feed->lock);
    return taken;
}
