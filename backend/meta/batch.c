/*
 * Writes: records packed into one batch of the store. The bucket cache learns
 * of a bucket only after the commit.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>

/* A key, or with bucket 0 a bucket's name; in the arena. */
struct change {
    struct change *next;
    uint64_t bucket;
    struct slice name;
};

struct bucket_change {
    struct bucket_change *next;
    const Meta__Bucket *bucket; /* as it is, or was */
    struct slice name, value;   /* value empty: deleted */
};

struct layout_change {
    struct layout_change *next;
    const Layout__Layout *layout;
    bool added;
};

struct telling {
    struct telling *next;
    meta_event_fn fn;
    void *context;
    Meta__Event *event;
};

struct meta_batch {
    struct meta *meta;
    struct kv_batch *changes;
    struct arena *arena;
    struct buffer key; /* scratch */
    struct change *records;
    struct bucket_change *buckets, **buckets_end;
    struct layout_change *layouts;
    struct outbox_entry *events;
    struct telling *tellings, **tellings_end;
    struct usage_change *usage;
    struct slice limited_owner; /* data NULL: none */
    Meta__Quota owner_quota;
    bool unlimited;
    bool committed;
};

struct meta_batch *meta_batch_new(struct meta *meta)
{
    struct meta_batch *batch = xcalloc(1, sizeof(*batch));

    batch->meta = meta;
    batch->changes = kv_batch_new();
    batch->arena = arena_new();
    batch->buckets_end = &batch->buckets;
    batch->tellings_end = &batch->tellings;
    return batch;
}

void meta_batch_free(struct meta_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    outbox_end(batch->events, false);
    kv_batch_free(batch->changes);
    arena_free(batch->arena);
    buffer_free(&batch->key);
    free(batch);
}

/* The watcher is told before anybody can take another snapshot. What a failed
 * commit may have done after all (kv_commit) counts as done if it adds. */
static int commit_layouts(struct meta_batch *batch)
{
    struct meta *meta = batch->meta;
    struct layout_change *change;
    bool added;
    int rc;

    pthread_rwlock_rdlock(&meta->watch_lock);
    rc = kv_commit(meta->kv, batch->changes);
    added = rc != -ENOSPC && rc != -E2BIG;
    for (change = batch->layouts; change != NULL; change = change->next) {
        if (meta->watch != NULL && (change->added ? added : rc == 0)) {
            meta->watch(meta->watch_context, change->layout, change->added);
        }
    }
    pthread_rwlock_unlock(&meta->watch_lock);
    return rc;
}

void meta_watch_changes(struct meta *meta, meta_change_fn fn, void *context)
{
    meta->changed = fn;
    meta->changed_context = context;
}

static void tell_changes(const struct meta_batch *batch, bool ended)
{
    const struct meta *meta = batch->meta;
    const struct change *change;

    for (change = batch->records; change != NULL; change = change->next) {
        meta->changed(meta->changed_context, change->bucket, change->name,
                      ended);
    }
}

/* What is kept in memory of the records that were written. */
static void take_records(const struct meta_batch *batch)
{
    struct meta *meta = batch->meta;
    const struct bucket_change *change;

    for (change = batch->buckets; change != NULL; change = change->next) {
        bucket_cache_set(meta->buckets, change->name, change->value);
        if (change->value.size > 0) {
            limits_set_bucket(meta->limits, change->bucket);
        } else {
            limits_forget_bucket(meta->limits, change->bucket->id);
        }
    }
    if (batch->limited_owner.data != NULL) {
        limits_set_owner(meta->limits, batch->limited_owner,
                         &batch->owner_quota);
    }
}

static int commit(struct meta_batch *batch)
{
    struct telling *telling;
    int rc;

    rc = batch->layouts != NULL ? commit_layouts(batch)
                                : kv_commit(batch->meta->kv, batch->changes);
    outbox_end(batch->events, rc == 0);
    batch->events = NULL;
    if (rc != 0) {
        return rc;
    }
    take_records(batch);
    for (telling = batch->tellings; telling != NULL; telling = telling->next) {
        telling->fn(telling->context, telling->event);
    }
    return 0;
}

int meta_commit(struct meta_batch *batch)
{
    struct limits *limits = batch->meta->limits;
    int rc;

    invariant(!batch->committed);
    batch->committed = true;
    rc = limits_claim(limits, batch->usage, !batch->unlimited);
    if (rc != 0) {
        return rc;
    }
    kv_batch_note(batch->changes, batch->usage);
    tell_changes(batch, false);
    rc = commit(batch);
    tell_changes(batch, true);
    limits_settle(limits, batch->usage, rc == 0);
    return rc;
}

void meta_batch_unlimited(struct meta_batch *batch)
{
    batch->unlimited = true;
}

void batch_essential(struct meta_batch *batch)
{
    kv_batch_essential(batch->changes);
}

static void count(struct meta_batch *batch, uint64_t bucket, int64_t bytes,
                  int64_t objects)
{
    struct usage_change *change = batch->usage;

    while (change != NULL && change->bucket != bucket) {
        change = change->next;
    }
    if (change == NULL) {
        change = arena_zalloc(batch->arena, sizeof(*change));
        change->next = batch->usage;
        change->bucket = bucket;
        batch->usage = change;
    }
    change->bytes += bytes;
    change->objects += objects;
}

static void note_change(struct meta_batch *batch, uint64_t bucket,
                        struct slice name)
{
    struct change *change;

    if (batch->meta->changed == NULL) {
        return;
    }
    change = arena_alloc(batch->arena, sizeof(*change));
    *change = (struct change){
        .next = batch->records,
        .bucket = bucket,
        .name = arena_copy(batch->arena, name.data, name.size),
    };
    batch->records = change;
}

static struct buffer *new_key(struct meta_batch *batch)
{
    batch->key.size = 0;
    return &batch->key;
}

static struct slice put(struct meta_batch *batch, enum meta_record type,
                        const ProtobufCMessage *message)
{
    struct slice value = meta_pack(batch->arena, type, message);

    kv_batch_put(batch->changes, buffer_slice(&batch->key), value);
    return value;
}

/* A record that says all by its key. */
static void put_mark(struct meta_batch *batch)
{
    kv_batch_put(batch->changes, buffer_slice(&batch->key),
                 (struct slice){NULL, 0});
}

static void remove_key(struct meta_batch *batch)
{
    kv_batch_delete(batch->changes, buffer_slice(&batch->key));
}

static void note_bucket(struct meta_batch *batch, const Meta__Bucket *bucket,
                        struct slice value)
{
    struct bucket_change *change = arena_alloc(batch->arena, sizeof(*change));

    change->next = NULL;
    change->bucket = bucket;
    change->name = slice_of(bucket->name.data, bucket->name.len);
    change->value = value;
    *batch->buckets_end = change;
    batch->buckets_end = &change->next;
    note_change(batch, 0, change->name);
}

void meta_put_cluster(struct meta_batch *batch, const Meta__Cluster *cluster)
{
    key_tag(new_key(batch), META_KEY_CLUSTER);
    put(batch, META_RECORD_CLUSTER, &cluster->base);
}

void meta_put_bucket(struct meta_batch *batch, const Meta__Bucket *bucket)
{
    struct slice name = slice_of(bucket->name.data, bucket->name.len);

    invariant(name.size > 0 && bucket->id != 0);
    key_bucket(new_key(batch), name);
    note_bucket(batch, bucket, put(batch, META_RECORD_BUCKET, &bucket->base));
}

void meta_delete_bucket(struct meta_batch *batch, const Meta__Bucket *bucket)
{
    key_bucket(new_key(batch), slice_of(bucket->name.data, bucket->name.len));
    remove_key(batch);
    key_usage(new_key(batch), bucket->id);
    remove_key(batch);
    note_bucket(batch, bucket, (struct slice){NULL, 0});
}

void meta_add_object(struct meta_batch *batch, uint64_t bucket,
                     struct slice key, const Meta__Object *object)
{
    meta_put_object(batch, bucket, key, object);
    count(batch, bucket, (int64_t)object->size, 1);
}

void meta_put_object(struct meta_batch *batch, uint64_t bucket,
                     struct slice key, const Meta__Object *object)
{
    invariant(bucket != 0 && key.size > 0 && object->sequence != 0);
    key_object(new_key(batch), bucket, key, object->sequence);
    put(batch, META_RECORD_OBJECT, &object->base);
    note_change(batch, bucket, key);
}

void meta_delete_object(struct meta_batch *batch, uint64_t bucket,
                        struct slice key, const Meta__Object *object)
{
    key_object(new_key(batch), bucket, key, object->sequence);
    remove_key(batch);
    note_change(batch, bucket, key);
    count(batch, bucket, -(int64_t)object->size, -1);
}

void meta_put_upload(struct meta_batch *batch, uint64_t bucket,
                     struct slice key, const Meta__Upload *upload)
{
    invariant(bucket != 0 && key.size > 0 && upload->id.len > 0);
    key_upload(new_key(batch), bucket, key,
               slice_of(upload->id.data, upload->id.len));
    put(batch, META_RECORD_UPLOAD, &upload->base);
}

void meta_delete_upload(struct meta_batch *batch, uint64_t bucket,
                        struct slice key, struct slice upload)
{
    key_upload(new_key(batch), bucket, key, upload);
    remove_key(batch);
}

void meta_put_part(struct meta_batch *batch, uint64_t bucket,
                   struct slice upload, const Meta__Part *part,
                   const Meta__Part *old)
{
    invariant(old == NULL || old->number == part->number);
    key_part(new_key(batch), upload, part->number);
    put(batch, META_RECORD_PART, &part->base);
    count(batch, bucket, (int64_t)part->size, 1);
    if (old != NULL) {
        count(batch, bucket, -(int64_t)old->size, -1);
    }
}

void meta_delete_part(struct meta_batch *batch, uint64_t bucket,
                      struct slice upload, const Meta__Part *part)
{
    batch_drop_part(batch, upload, part->number);
    count(batch, bucket, -(int64_t)part->size, -1);
}

void batch_drop_part(struct meta_batch *batch, struct slice upload,
                     unsigned number)
{
    key_part(new_key(batch), upload, number);
    remove_key(batch);
}

void meta_put_owner_quota(struct meta_batch *batch, struct slice owner,
                          const Meta__Quota *quota)
{
    invariant(batch->limited_owner.data == NULL);
    batch->limited_owner = arena_copy(batch->arena, owner.data, owner.size);
    batch->owner_quota = *quota;
    key_owner_quota(new_key(batch), owner);
    if (meta_quota_is_none(quota)) {
        remove_key(batch);
    } else {
        put(batch, META_RECORD_QUOTA, &quota->base);
    }
}

void meta_correct_usage(struct meta_batch *batch,
                        const struct meta_recount *recount)
{
    meta_batch_unlimited(batch);
    count(batch, recount->bucket,
          (int64_t)(recount->counted.bytes - recount->recorded.bytes),
          (int64_t)(recount->counted.objects - recount->recorded.objects));
}

void meta_put_completed(struct meta_batch *batch, struct slice upload,
                        const Meta__Completed *completed)
{
    key_completed(new_key(batch), upload);
    put(batch, META_RECORD_COMPLETED, &completed->base);
}

void meta_delete_completed(struct meta_batch *batch, struct slice upload)
{
    key_completed(new_key(batch), upload);
    remove_key(batch);
}

static void note_layout(struct meta_batch *batch, const Meta__Blob *record,
                        bool added)
{
    struct layout_change *change;

    if (record->layout == NULL) {
        return;
    }
    change = arena_alloc(batch->arena, sizeof(*change));
    *change = (struct layout_change){batch->layouts, record->layout, added};
    batch->layouts = change;
}

void meta_put_blob(struct meta_batch *batch, uint64_t blob,
                   const Meta__Blob *record, unsigned losses_left)
{
    invariant(blob != 0);
    note_layout(batch, record, true);
    key_blob(new_key(batch), META_KEY_BLOB, blob);
    put(batch, META_RECORD_BLOB, &record->base);
    if (record->layout != NULL && losses_left < record->layout->m) {
        meta_queue_heal(batch, &(struct meta_heal){.blob = blob,
                                                   .losses_left = losses_left});
    }
}

void meta_replace_blob(struct meta_batch *batch, uint64_t blob,
                       const Meta__Blob *old, const Meta__Blob *record,
                       unsigned losses_left)
{
    note_layout(batch, old, false);
    meta_put_blob(batch, blob, record, losses_left);
}

void meta_delete_blob(struct meta_batch *batch, uint64_t blob,
                      const Meta__Blob *record)
{
    struct meta_referrer composite = {.kind = META_REFERRER_BLOB, .blob = blob};

    note_layout(batch, record, false);
    for (size_t i = 0; i < record->n_parts; i++) {
        if (record->parts[i]->blob != 0) {
            meta_drop_ref(batch, record->parts[i]->blob, &composite);
        }
    }
    key_blob(new_key(batch), META_KEY_BLOB, blob);
    remove_key(batch);
    meta_dequeue_reclaim(batch, blob);
}

void meta_queue_reclaim(struct meta_batch *batch, uint64_t blob)
{
    invariant(blob != 0);
    key_blob(new_key(batch), META_KEY_RECLAIM, blob);
    put_mark(batch);
}

void meta_dequeue_reclaim(struct meta_batch *batch, uint64_t blob)
{
    key_blob(new_key(batch), META_KEY_RECLAIM, blob);
    remove_key(batch);
}

void meta_queue_heal(struct meta_batch *batch, const struct meta_heal *entry)
{
    invariant(entry->blob != 0);
    key_heal(new_key(batch), entry);
    put_mark(batch);
}

void meta_dequeue_heal(struct meta_batch *batch, const struct meta_heal *entry)
{
    key_heal(new_key(batch), entry);
    remove_key(batch);
}

void meta_put_scrub(struct meta_batch *batch, const Meta__Scrub *scrub)
{
    key_scrub(new_key(batch));
    put(batch, META_RECORD_SCRUB, &scrub->base);
}

void meta_put_rewrap(struct meta_batch *batch, const Meta__Rewrap *rewrap)
{
    key_rewrap(new_key(batch));
    put(batch, META_RECORD_REWRAP, &rewrap->base);
}

void meta_put_audit(struct meta_batch *batch, uint32_t day,
                    const Meta__Audit *audit)
{
    key_audit(new_key(batch), day);
    put(batch, META_RECORD_AUDIT, &audit->base);
}

void meta_put_event(struct meta_batch *batch, struct meta_outbox *outbox,
                    Meta__Event *event)
{
    struct outbox_entry *entry = arena_zalloc(batch->arena, sizeof(*entry));
    struct slice value;

    invariant(!batch->committed);
    outbox_begin(outbox, entry);
    entry->next_of_batch = batch->events;
    batch->events = entry;
    event->sequence = entry->sequence;
    key_event(new_key(batch), meta_outbox_target(outbox), event->sequence);
    value = meta_pack(batch->arena, META_RECORD_EVENT, &event->base);
    /* A delete gives room back: its event is no reason to refuse it. */
    kv_batch_put_passing(batch->changes, buffer_slice(&batch->key), value);
    entry->event = kept_event_new(event, batch->key.size + value.size);
}

void meta_tell_event(struct meta_batch *batch, meta_event_fn fn, void *context,
                     Meta__Event *event)
{
    struct telling *telling = arena_alloc(batch->arena, sizeof(*telling));
    uint8_t *packed;
    size_t size;

    event->sequence = meta_next_id(batch->meta);
    size = meta__event__get_packed_size(event);
    packed = arena_alloc(batch->arena, size);
    meta__event__pack(event, packed);
    *telling = (struct telling){
        .fn = fn,
        .context = context,
        .event = meta__event__unpack(arena_protobuf_allocator(batch->arena),
                                     size, packed),
    };
    invariant(telling->event != NULL);
    *batch->tellings_end = telling;
    batch->tellings_end = &telling->next;
}

void meta_add_ref(struct meta_batch *batch, uint64_t blob,
                  const struct meta_referrer *referrer)
{
    invariant(blob != 0);
    key_reference(new_key(batch), blob, referrer);
    put_mark(batch);
}

void meta_drop_ref(struct meta_batch *batch, uint64_t blob,
                   const struct meta_referrer *referrer)
{
    invariant(blob != 0);
    key_reference(new_key(batch), blob, referrer);
    remove_key(batch);
    meta_queue_reclaim(batch, blob);
}
