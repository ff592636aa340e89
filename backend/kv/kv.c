/*
 * The batch, and calls through the table of an implementation.
 *
 * A batch is one buffer of changes: tag, two lengths, key, value.
 */
#include "kv/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHANGE_HEADER 9 /* tag, key size, value size */

struct kv_batch {
    struct buffer changes;
    bool values;    /* it puts some */
    bool essential; /* committed whatever the reserve */
};

struct kv_batch *kv_batch_new(void)
{
    return xcalloc(1, sizeof(struct kv_batch));
}

void kv_batch_free(struct kv_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    buffer_free(&batch->changes);
    free(batch);
}

static void batch_append(struct kv_batch *batch, bool put, struct slice key,
                         struct slice value)
{
    uint8_t header[CHANGE_HEADER];

    invariant(key.size > 0 && key.size <= UINT32_MAX);
    invariant(value.size <= UINT32_MAX);
    header[0] = put;
    put_u32le(header + 1, (uint32_t)key.size);
    put_u32le(header + 5, (uint32_t)value.size);
    buffer_append(&batch->changes, header, sizeof(header));
    buffer_append(&batch->changes, key.data, key.size);
    if (value.size > 0) {
        buffer_append(&batch->changes, value.data, value.size);
    }
}

void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value)
{
    batch_append(batch, true, key, value);
    batch->values = batch->values || value.size > 0;
}

void kv_batch_put_along(struct kv_batch *batch, struct slice key,
                        struct slice value)
{
    batch_append(batch, true, key, value);
}

void kv_batch_essential(struct kv_batch *batch)
{
    batch->essential = true;
}

void kv_batch_delete(struct kv_batch *batch, struct slice key)
{
    batch_append(batch, false, key, (struct slice){NULL, 0});
}

bool kv_batch_next(const struct kv_batch *batch, size_t *position,
                   struct kv_change *change)
{
    const uint8_t *at = batch->changes.data + *position;

    if (*position == batch->changes.size) {
        return false;
    }
    change->put = at[0];
    change->key = slice_of(at + CHANGE_HEADER, get_u32le(at + 1));
    change->value =
        slice_of(change->key.data + change->key.size, get_u32le(at + 5));
    *position += CHANGE_HEADER + change->key.size + change->value.size;
    invariant(*position <= batch->changes.size);
    return true;
}

struct slice kv_batch_changes(const struct kv_batch *batch)
{
    return slice_of(batch->changes.data, batch->changes.size);
}

/* The size of the change at the head of `bytes`; 0 if it is not well-formed. */
static size_t change_size(struct slice bytes)
{
    uint64_t key, value;

    if (bytes.size < CHANGE_HEADER || bytes.data[0] > 1) {
        return 0;
    }
    key = get_u32le(bytes.data + 1);
    value = get_u32le(bytes.data + 5);
    if (key == 0 || CHANGE_HEADER + key + value > bytes.size) {
        return 0;
    }
    return CHANGE_HEADER + (size_t)key + (size_t)value;
}

int kv_batch_load(struct kv_batch *batch, struct slice bytes)
{
    struct slice rest = bytes;

    while (rest.size > 0) {
        size_t size = change_size(rest);

        if (size == 0) {
            return -EBADMSG;
        }
        rest = slice_of(rest.data + size, rest.size - size);
    }
    batch->changes.size = 0;
    if (bytes.size > 0) {
        buffer_append(&batch->changes, bytes.data, bytes.size);
    }
    return 0;
}

int kv_commit(struct kv *kv, struct kv_batch *batch)
{
    uint64_t began;
    int rc;

    if (atomic_load(&kv->poisoned)) {
        return -EROFS;
    }
    if (batch->changes.size == 0) {
        return 0;
    }
    if (batch->changes.size > KV_BATCH_MAX) {
        return -E2BIG;
    }
    if (batch->values && !batch->essential) {
        rc = kv_check_room(kv);
        if (rc != 0) {
            return rc;
        }
    }
    began = clock_monotonic_us();
    blocking_begin();
    rc = kv->ops->commit(kv, batch);
    blocking_end();
    phase_add(PHASE_METADATA, began);
    if (rc == 0) {
        return 0;
    }
    if (!atomic_exchange(&kv->poisoned, true)) {
        log_error("metadata: a commit failed, no further one is accepted");
    }
    return -EROFS;
}

bool kv_read_only(struct kv *kv)
{
    return atomic_load(&kv->poisoned);
}

/* --- followers -------------------------------------------------------------*/

void kv_follow(struct kv *kv, kv_follow_fn fn, void *context)
{
    kv->follow = fn;
    kv->follow_context = context;
}

void kv_tell(struct kv *kv, struct slice changes)
{
    if (kv->follow != NULL) {
        kv->follow(kv->follow_context, changes);
    }
}

/* Of a key that no record has. */
int kv_barrier(struct kv *kv)
{
    struct kv_batch *batch = kv_batch_new();
    int rc;

    kv_batch_delete(batch, SLICE_LITERAL("\1"));
    rc = kv_commit(kv, batch);
    kv_batch_free(batch);
    return rc;
}

void kv_close(struct kv *kv)
{
    if (kv != NULL) {
        reserve_free(&kv->reserve);
        kv->ops->close(kv);
    }
}

int kv_get(struct kv *kv, struct arena *arena, struct slice key,
           struct slice *value)
{
    uint64_t began = clock_monotonic_us();
    int rc = kv->ops->get(kv, arena, key, value);

    phase_add(PHASE_METADATA, began);
    return rc;
}

bool kv_statistics(struct kv *kv, struct kv_statistics *statistics)
{
    return kv->ops->statistics != NULL && kv->ops->statistics(kv, statistics);
}

struct kv_iterator *kv_iterate(struct kv *kv)
{
    return kv->ops->iterate(kv);
}

int kv_snapshot(struct kv *kv, struct kv_position *position,
                struct kv_iterator **iterator)
{
    invariant(kv->ops->snapshot != NULL);
    return kv->ops->snapshot(kv, position, iterator);
}

void kv_iterator_free(struct kv_iterator *iterator)
{
    if (iterator != NULL) {
        iterator->ops->free(iterator);
    }
}

void kv_seek(struct kv_iterator *iterator, struct slice key)
{
    uint64_t began = clock_monotonic_us();

    iterator->ops->seek(iterator, key);
    phase_add(PHASE_METADATA, began);
}

void kv_next(struct kv_iterator *iterator)
{
    invariant(kv_valid(iterator));
    iterator->ops->next(iterator);
}

bool kv_valid(struct kv_iterator *iterator)
{
    return iterator->ops->valid(iterator);
}

struct slice kv_key(struct kv_iterator *iterator)
{
    return iterator->ops->key(iterator);
}

struct slice kv_value(struct kv_iterator *iterator)
{
    return iterator->ops->value(iterator);
}

int kv_error(struct kv_iterator *iterator)
{
    return iterator->ops->error(iterator);
}
