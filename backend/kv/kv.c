/*
 * The batch, and calls through the table of an implementation.
 *
 * A batch is one buffer of changes: kind, two lengths, key, value.
 */
#include "kv/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHANGE_HEADER 9     /* kind, key size, value size */
#define BATCH_USUAL   2048u /* bytes that most batches have room in */

struct kv_batch {
    struct buffer changes;
    bool values;      /* it puts some */
    bool passing;     /* it puts some in passing */
    bool essential;   /* committed whatever the reserve */
    const void *note; /* of what totals add up; NULL: nothing */
};

struct kv_batch *kv_batch_new(void)
{
    struct kv_batch *batch = xcalloc(1, sizeof(*batch));

    buffer_reserve(&batch->changes, BATCH_USUAL);
    return batch;
}

void kv_batch_free(struct kv_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    buffer_free(&batch->changes);
    free(batch);
}

static void batch_append(struct kv_batch *batch, const struct kv_change *change)
{
    uint8_t header[CHANGE_HEADER];

    invariant(change->key.size > 0 && change->key.size <= UINT32_MAX);
    invariant(change->value.size <= UINT32_MAX);
    header[0] = (uint8_t)change->kind;
    put_u32le(header + 1, (uint32_t)change->key.size);
    put_u32le(header + 5, (uint32_t)change->value.size);
    buffer_append(&batch->changes, header, sizeof(header));
    buffer_append(&batch->changes, change->key.data, change->key.size);
    buffer_append(&batch->changes, change->value.data, change->value.size);
    batch->passing = batch->passing || change->kind == KV_PUT_PASSING;
}

void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value)
{
    batch_append(batch, &(struct kv_change){KV_PUT, key, value});
    batch->values = batch->values || value.size > 0;
}

void kv_batch_put_passing(struct kv_batch *batch, struct slice key,
                          struct slice value)
{
    batch_append(batch, &(struct kv_change){KV_PUT_PASSING, key, value});
}

bool kv_batch_has_passing(const struct kv_batch *batch)
{
    return batch->passing;
}

void kv_batch_essential(struct kv_batch *batch)
{
    batch->essential = true;
}

void kv_batch_delete(struct kv_batch *batch, struct slice key)
{
    batch_append(batch, &(struct kv_change){KV_DELETE, key, slice_of(NULL, 0)});
}

void kv_batch_clear(struct kv_batch *batch)
{
    batch->changes.size = 0;
    batch->passing = false;
}

bool kv_change_next(const struct buffer *changes, size_t *position,
                    struct kv_change *change)
{
    const uint8_t *at = changes->data + *position;

    if (*position == changes->size) {
        return false;
    }
    change->kind = at[0];
    change->key = slice_of(at + CHANGE_HEADER, get_u32le(at + 1));
    change->value =
        slice_of(change->key.data + change->key.size, get_u32le(at + 5));
    *position += CHANGE_HEADER + change->key.size + change->value.size;
    invariant(*position <= changes->size);
    return true;
}

bool kv_batch_next(const struct kv_batch *batch, size_t *position,
                   struct kv_change *change)
{
    return kv_change_next(&batch->changes, position, change);
}

void kv_changes_strip(struct buffer *changes)
{
    struct kv_change change;
    size_t at = 0, next = 0, kept = 0;

    while (kv_change_next(changes, &next, &change)) {
        if (change.kind != KV_NOTHING) {
            memmove(changes->data + kept, changes->data + at, next - at);
            kept += next - at;
        }
        at = next;
    }
    changes->size = kept;
}

struct buffer *kv_batch_buffer(struct kv_batch *batch)
{
    return &batch->changes;
}

struct slice kv_batch_changes(const struct kv_batch *batch)
{
    return slice_of(batch->changes.data, batch->changes.size);
}

/* The size of the change at the head of `bytes`; 0 if it is not well-formed. */
static size_t change_size(struct slice bytes)
{
    uint64_t key, value;

    if (bytes.size < CHANGE_HEADER || bytes.data[0] > KV_PUT_PASSING) {
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
    bool passing = false;

    while (rest.size > 0) {
        size_t size = change_size(rest);

        if (size == 0) {
            return -EBADMSG;
        }
        passing = passing || rest.data[0] == KV_PUT_PASSING;
        rest = slice_of(rest.data + size, rest.size - size);
    }
    kv_batch_clear(batch);
    buffer_append(&batch->changes, bytes.data, bytes.size);
    batch->passing = passing;
    return 0;
}

void kv_batch_settle(struct kv_batch *batch)
{
    struct kv_change change;
    size_t at = 0, next = 0;

    while (kv_batch_next(batch, &next, &change)) {
        if (change.kind == KV_PUT_PASSING) {
            batch->changes.data[at] = KV_PUT;
        }
        at = next;
    }
    batch->passing = false;
}

int kv_commit(struct kv *kv, struct kv_batch *batch)
{
    uint64_t began;
    int rc;

    if (atomic_load(&kv->poisoned)) {
        return -EROFS;
    }
    if (batch->changes.size == 0 && batch->note == NULL) {
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

/* --- totals ----------------------------------------------------------------*/

void kv_set_totals(struct kv *kv, const struct kv_totals *totals)
{
    kv->totals = *totals;
    kv_batch_free(kv->totals_batch);
    kv->totals_batch = kv_batch_new();
}

void kv_batch_note(struct kv_batch *batch, const void *note)
{
    batch->note = note;
}

void kv_group_add(struct kv *kv, struct buffer *payload,
                  const struct kv_batch *batch)
{
    buffer_append(payload, batch->changes.data, batch->changes.size);
    if (batch->note != NULL) {
        invariant(kv->totals_batch != NULL);
        kv->totals.add(kv->totals.context, batch->note);
        kv->totals_changed = true;
    }
}

void kv_group_end(struct kv *kv, struct buffer *payload)
{
    if (!kv->totals_changed) {
        return;
    }
    kv->totals_changed = false;
    kv_batch_clear(kv->totals_batch);
    kv->totals.put(kv->totals.context, kv->totals_batch);
    buffer_append(payload, kv->totals_batch->changes.data,
                  kv->totals_batch->changes.size);
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
        kv_batch_free(kv->totals_batch);
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

struct kv_iterator *kv_iterate_all(struct kv *kv)
{
    return kv->ops->iterate_all != NULL ? kv->ops->iterate_all(kv)
                                        : kv->ops->iterate(kv);
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
    invariant(iterator->here.valid);
    iterator->ops->next(iterator);
}

bool kv_valid(struct kv_iterator *iterator)
{
    return iterator->here.valid;
}

struct slice kv_key(struct kv_iterator *iterator)
{
    return iterator->here.key;
}

struct slice kv_value(struct kv_iterator *iterator)
{
    return iterator->here.value;
}

int kv_error(struct kv_iterator *iterator)
{
    if (iterator->ops->ask != NULL) {
        iterator->ops->ask(iterator);
    }
    return iterator->error;
}

void kv_ask_late(struct kv_iterator *iterator)
{
    iterator->asks_late = true;
}
