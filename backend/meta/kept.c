#include "meta/private.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_MAX (2u << 20) /* bytes */

static size_t size_of(const struct kept_event *event)
{
    return sizeof(*event) + event->value.size;
}

static void drop_oldest(struct kept *kept)
{
    struct kept_event *event = kept->oldest;

    kept->oldest = event->next;
    if (event->next != NULL) {
        event->next->before = NULL;
    } else {
        kept->newest = NULL;
    }
    kept->size -= size_of(event);
    free(event);
}

/* Commits end in almost the order in which their sequences were given. */
static void insert(struct kept *kept, struct kept_event *event)
{
    struct kept_event *before = kept->newest;

    while (before != NULL && before->sequence > event->sequence) {
        before = before->before;
    }
    event->before = before;
    event->next = before != NULL ? before->next : kept->oldest;
    if (before != NULL) {
        before->next = event;
    } else {
        kept->oldest = event;
    }
    if (event->next != NULL) {
        event->next->before = event;
    } else {
        kept->newest = event;
    }
}

void kept_add(struct kept *kept, const struct outbox_entry *entry)
{
    const size_t size = entry->value.size;
    struct kept_event *event;

    if (entry->sequence <= kept->after) {
        return;
    }
    event = xmalloc(sizeof(*event) + size);
    event->sequence = entry->sequence;
    event->bytes = entry->bytes;
    event->value = slice_of((uint8_t *)(event + 1), size);
    memcpy(event + 1, entry->value.data, size);
    insert(kept, event);
    kept->size += size_of(event);
    while (kept->size > KEPT_MAX) {
        kept->after = kept->oldest->sequence;
        drop_oldest(kept);
    }
}

struct kept_event *kept_find(const struct kept *kept, uint64_t sequence)
{
    struct kept_event *event = kept->newest, *found = NULL;

    while (event != NULL && event->sequence > sequence) {
        found = event;
        event = event->before;
    }
    return found;
}

void kept_remove(struct kept *kept, uint64_t through)
{
    while (kept->oldest != NULL && kept->oldest->sequence <= through) {
        drop_oldest(kept);
    }
}

void kept_free(struct kept *kept)
{
    kept_remove(kept, UINT64_MAX);
}
