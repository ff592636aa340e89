/*
 * Changes that need not be stored again: what was put in passing and is deleted
 * further on.
 */
#include "kv/private.h"

#include <stdlib.h>

#define SLOTS 1024u

struct put {
    struct put *next; /* of its slot */
    uint8_t *change;
    struct slice key;
};

struct kv_passed {
    struct put *slots[SLOTS];
    struct arena *arena;
    size_t count;
};

struct kv_passed *kv_passed_new(void)
{
    struct kv_passed *passed = xcalloc(1, sizeof(*passed));

    passed->arena = arena_new();
    return passed;
}

void kv_passed_free(struct kv_passed *passed)
{
    arena_free(passed->arena);
    free(passed);
}

static struct put **find(struct kv_passed *passed, struct slice key)
{
    struct put **link =
        &passed->slots[crc32c_bytes(key.data, key.size) % SLOTS];

    while (*link != NULL && !slice_equal((*link)->key, key)) {
        link = &(*link)->next;
    }
    return link;
}

static void look_at(struct kv_passed *passed, uint8_t *at,
                    const struct kv_change *change)
{
    struct put **link;

    if (change->kind == KV_PUT ||
        (change->kind == KV_DELETE && passed->count == 0)) {
        return;
    }
    link = find(passed, change->key);
    if (change->kind == KV_PUT_PASSING) {
        struct put *put = arena_alloc(passed->arena, sizeof(*put));

        *put = (struct put){*link, at, change->key};
        *link = put;
        passed->count++;
    } else if (*link != NULL) {
        *(*link)->change = *at = KV_NOTHING;
        *link = (*link)->next;
        passed->count--;
    }
}

void kv_passed_look(struct kv_passed *passed, struct buffer *changes)
{
    struct kv_change change;
    size_t at = 0, next = 0;

    while (kv_change_next(changes, &next, &change)) {
        look_at(passed, changes->data + at, &change);
        at = next;
    }
}

void kv_passed_strip(struct buffer *changes)
{
    kv_changes_strip(changes);
}
