#include "meta/private.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_MAX (2u << 20) /* bytes */

/* --- events ----------------------------------------------------------------*/
static size_t strings_size(const Meta__Event *event)
{
    const ProtobufCMessageDescriptor *type = event->base.descriptor;
    size_t size = 0;

    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].type == PROTOBUF_C_TYPE_BYTES) {
            const uint8_t *field =
                (const uint8_t *)event + type->fields[i].offset;

            size += ((const ProtobufCBinaryData *)field)->len;
        }
    }
    return size;
}

/* The strings go to `memory`. */
static void copy(Meta__Event *to, const Meta__Event *from, uint8_t *memory)
{
    const ProtobufCMessageDescriptor *type = from->base.descriptor;

    *to = *from;
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].type == PROTOBUF_C_TYPE_BYTES) {
            uint8_t *field = (uint8_t *)to + type->fields[i].offset;
            ProtobufCBinaryData *string = (ProtobufCBinaryData *)field;

            if (string->len > 0) {
                memcpy(memory, string->data, string->len);
            }
            string->data = memory;
            memory += string->len;
        }
    }
}

struct kept_event *kept_event_new(const Meta__Event *event, uint64_t bytes)
{
    const size_t size = strings_size(event);
    struct kept_event *kept = xmalloc(sizeof(*kept) + size);

    kept->bytes = bytes;
    kept->size = size;
    copy(&kept->event, event, (uint8_t *)(kept + 1));
    return kept;
}

Meta__Event *kept_event_copy(const struct kept_event *kept, struct arena *arena)
{
    Meta__Event *event = arena_alloc(arena, sizeof(*event) + kept->size);

    copy(event, &kept->event, (uint8_t *)(event + 1));
    return event;
}

/* --- the list --------------------------------------------------------------*/
static size_t size_of(const struct kept_event *event)
{
    return sizeof(*event) + event->size;
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

    while (before != NULL && before->event.sequence > event->event.sequence) {
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

void kept_add(struct kept *kept, struct kept_event *event)
{
    if (event->event.sequence <= kept->after) {
        free(event);
        return;
    }
    insert(kept, event);
    kept->size += size_of(event);
    while (kept->size > KEPT_MAX) {
        kept->after = kept->oldest->event.sequence;
        drop_oldest(kept);
    }
}

struct kept_event *kept_find(const struct kept *kept, uint64_t sequence)
{
    struct kept_event *event = kept->newest, *found = NULL;

    while (event != NULL && event->event.sequence > sequence) {
        found = event;
        event = event->before;
    }
    return found;
}

void kept_remove(struct kept *kept, uint64_t through)
{
    while (kept->oldest != NULL && kept->oldest->event.sequence <= through) {
        drop_oldest(kept);
    }
}

void kept_free(struct kept *kept)
{
    kept_remove(kept, UINT64_MAX);
}
