/*
 * Opening the store, ids, and reads of single records.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ID_BLOCK   65536 /* ids reserved by one commit */
#define UUID_BYTES 16
/* Of an id that could not be reserved: see meta_next_id(). */
#define ID_DOOMED (UINT64_C(1) << 63)

static void random_bytes(void *out, size_t size)
{
    invariant(getrandom(out, size, 0) == (ssize_t)size);
}

int read_record(struct meta *meta, struct arena *arena, struct buffer *key,
                enum meta_record type,
                const ProtobufCMessageDescriptor *descriptor,
                ProtobufCMessage **message)
{
    struct slice value;
    int rc = kv_get(meta->kv, arena, buffer_slice(key), &value);

    buffer_free(key);
    if (rc != 0) {
        return rc;
    }
    return meta_unpack(arena, type, descriptor, value, message);
}

/* --- ids -------------------------------------------------------------------*/

static int load_next_id(struct meta *meta, struct arena *arena)
{
    struct buffer key = {0};
    Meta__Counter *counter;
    int rc;

    key_tag(&key, META_KEY_NEXT_ID);
    rc = read_record(meta, arena, &key, META_RECORD_COUNTER,
                     &meta__counter__descriptor, (ProtobufCMessage **)&counter);
    if (rc == -ENOENT) {
        meta->next_id = meta->id_limit = 1;
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    if (counter->value == 0 || counter->value >= ID_DOOMED - ID_BLOCK) {
        return -EBADMSG;
    }
    meta->next_id = meta->id_limit = counter->value;
    return 0;
}

static int reserve_ids(struct meta *meta)
{
    struct arena *arena = arena_new();
    struct kv_batch *batch = kv_batch_new();
    Meta__Counter counter = META__COUNTER__INIT;
    struct buffer key = {0};
    int rc;

    counter.value = meta->id_limit + ID_BLOCK;
    key_tag(&key, META_KEY_NEXT_ID);
    kv_batch_put(batch, buffer_slice(&key),
                 meta_pack(arena, META_RECORD_COUNTER, &counter.base));
    kv_batch_essential(batch); /* meta_next_id() cannot refuse */
    rc = kv_commit(meta->kv, batch);
    if (rc == 0) {
        meta->id_limit += ID_BLOCK;
    }
    buffer_free(&key);
    kv_batch_free(batch);
    arena_free(arena);
    return rc;
}

uint64_t meta_next_id(struct meta *meta)
{
    uint64_t id;

    pthread_mutex_lock(&meta->id_lock);
    if (meta->next_id == meta->id_limit && reserve_ids(meta) != 0) {
        /* The store takes no more commits, so nothing under this id can
         * become visible; it must only not be given out again later. */
        random_bytes(&id, sizeof(id));
        id |= ID_DOOMED;
    } else {
        id = meta->next_id++;
    }
    pthread_mutex_unlock(&meta->id_lock);
    return id;
}

/* --- opening ---------------------------------------------------------------*/

/* Accounts and theirs may be there before the first meta_open(), and nothing
 * else. */
static int check_is_new(struct meta *meta)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    struct slice key;
    int rc;

    kv_seek(it, SLICE_LITERAL("\x00"));
    if (kv_valid(it)) {
        key = kv_key(it);
        if (key.data[0] == META_KEY_USER || key.data[0] == META_KEY_ACCESS ||
            key.data[0] == META_KEY_ENTITY) {
            kv_seek(it, SLICE_LITERAL("L"));
        }
    }
    rc = kv_valid(it) ? -EBADMSG : kv_error(it);
    kv_iterator_free(it);
    return rc;
}

static int put_cluster(struct meta *meta, const Meta__Cluster *cluster)
{
    struct meta_batch *batch = meta_batch_new(meta);
    int rc;

    meta_put_cluster(batch, cluster);
    batch_essential(batch); /* else an upgrade could not start when full */
    rc = meta_commit(batch);
    meta_batch_free(batch);
    return rc;
}

static int create_cluster(struct meta *meta)
{
    Meta__Cluster cluster = META__CLUSTER__INIT;
    uint8_t uuid[UUID_BYTES];
    int rc = check_is_new(meta);

    if (rc != 0) {
        log_error("metadata: the store has records but no cluster record");
        return rc;
    }
    random_bytes(uuid, sizeof(uuid));
    cluster.uuid.data = uuid;
    cluster.uuid.len = sizeof(uuid);
    cluster.created_ms = clock_wall_ms();
    cluster.format = META_FORMAT;
    return put_cluster(meta, &cluster);
}

/* From here on older ones refuse. */
static int take_format(struct meta *meta, Meta__Cluster *cluster)
{
    if (cluster->format > META_FORMAT) {
        log_error("a newer s3d wrote here: format %u, this one knows %u: "
                  "install the newer one again",
                  cluster->format, META_FORMAT);
        return -EPROTONOSUPPORT;
    }
    if (cluster->format == META_FORMAT) {
        return 0;
    }
    cluster->format = META_FORMAT;
    return put_cluster(meta, cluster);
}

static int load_buckets(struct meta *meta)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    Meta__Bucket *bucket;
    struct arena *arena;
    struct slice key;
    int rc = 0;

    for (kv_seek(it, SLICE_LITERAL("B")); rc == 0 && kv_valid(it);
         kv_next(it)) {
        key = kv_key(it);
        if (key.data[0] != META_KEY_BUCKET) {
            break;
        }
        key = slice_of(key.data + 1, key.size - 1);
        arena = arena_new();
        rc = record_bucket(arena, kv_value(it), key, &bucket);
        if (rc == 0) {
            bucket_cache_set(meta->buckets, key, kv_value(it));
            limits_set_bucket(meta->limits, bucket);
        }
        arena_free(arena);
    }
    if (rc == 0) {
        rc = kv_error(it);
    }
    kv_iterator_free(it);
    return rc;
}

static int load(struct meta *meta)
{
    struct arena *arena = arena_new();
    Meta__Cluster *cluster;
    int rc = meta_get_cluster(meta, arena, &cluster);

    if (rc == -ENOENT) {
        rc = create_cluster(meta);
    } else if (rc == 0) {
        rc = take_format(meta, cluster);
    }
    if (rc == 0) {
        rc = load_next_id(meta, arena);
    }
    if (rc == 0) {
        rc = load_buckets(meta);
    }
    if (rc == 0) {
        rc = usage_load(meta);
    }
    if (rc == 0) {
        rc = outboxes_load(meta);
    }
    arena_free(arena);
    return rc;
}

static void release(struct meta *meta)
{
    bucket_cache_free(meta->buckets);
    locks_free(meta->locks);
    pins_free(meta->pins);
    limits_free(meta->limits);
    outboxes_free(meta);
    pthread_mutex_destroy(&meta->outboxes_lock);
    pthread_rwlock_destroy(&meta->watch_lock);
    pthread_mutex_destroy(&meta->id_lock);
    free(meta);
}

int meta_open(struct kv *kv, struct meta **out)
{
    struct meta *meta = xcalloc(1, sizeof(*meta));
    int rc;

    meta->kv = kv;
    meta->buckets = bucket_cache_new();
    meta->locks = locks_new();
    meta->pins = pins_new();
    meta->limits = limits_new();
    invariant(pthread_rwlock_init(&meta->watch_lock, NULL) == 0);
    invariant(pthread_mutex_init(&meta->outboxes_lock, NULL) == 0);
    invariant(pthread_mutex_init(&meta->id_lock, NULL) == 0);
    rc = load(meta);
    if (rc != 0) {
        log_error("metadata: the store cannot be used: %s", strerror(-rc));
        release(meta);
        return rc;
    }
    kv_set_totals(kv, &(struct kv_totals){.add = limits_add,
                                          .put = limits_put,
                                          .context = meta->limits});
    *out = meta;
    return 0;
}

void meta_close(struct meta *meta)
{
    if (meta == NULL) {
        return;
    }
    kv_close(meta->kv);
    release(meta);
}

struct kv *meta_kv(struct meta *meta)
{
    return meta->kv;
}

/* --- reads -----------------------------------------------------------------*/

int meta_get_cluster(struct meta *meta, struct arena *arena,
                     Meta__Cluster **cluster)
{
    struct buffer key = {0};
    int rc;

    key_tag(&key, META_KEY_CLUSTER);
    rc = read_record(meta, arena, &key, META_RECORD_CLUSTER,
                     &meta__cluster__descriptor, (ProtobufCMessage **)cluster);
    if (rc == 0 && (*cluster)->uuid.len != UUID_BYTES) {
        return -EBADMSG;
    }
    return rc;
}

int meta_get_bucket(struct meta *meta, struct arena *arena, struct slice name,
                    Meta__Bucket **bucket)
{
    struct slice value;
    int rc = bucket_cache_get(meta->buckets, arena, name, &value);

    return rc == 0 ? record_bucket(arena, value, name, bucket) : rc;
}

int meta_get_bucket_by_id(struct meta *meta, struct arena *arena, uint64_t id,
                          Meta__Bucket **bucket)
{
    struct slice name, value;
    int rc = bucket_cache_get_by_id(meta->buckets, arena, id, &name, &value);

    return rc == 0 ? record_bucket(arena, value, name, bucket) : rc;
}

int meta_get_object(struct meta *meta, struct arena *arena, uint64_t bucket,
                    struct slice key, Meta__Object **object)
{
    struct buffer prefix = {0};
    struct kv_iterator *it;
    struct slice found;
    int rc = -ENOENT;

    key_of_key(&prefix, META_KEY_OBJECT, bucket, key);
    it = kv_iterate(meta->kv);
    kv_seek(it, buffer_slice(&prefix));
    if (!kv_valid(it)) {
        rc = kv_error(it) != 0 ? -EIO : -ENOENT;
    } else {
        found = kv_key(it);
        if (slice_has_prefix(found, buffer_slice(&prefix))) {
            found =
                slice_of(found.data + prefix.size, found.size - prefix.size);
            rc = record_object(arena, kv_value(it), found, object);
        }
    }
    kv_iterator_free(it);
    buffer_free(&prefix);
    return rc;
}

int meta_get_version(struct meta *meta, struct arena *arena, uint64_t bucket,
                     struct slice key, uint64_t sequence, Meta__Object **object)
{
    struct buffer at = {0};
    uint8_t rest[8];
    struct slice value;
    int rc;

    key_object(&at, bucket, key, sequence);
    rc = kv_get(meta->kv, arena, buffer_slice(&at), &value);
    buffer_free(&at);
    put_u64be(rest, ~sequence);
    return rc == 0 ? record_object(arena, value, slice_of(rest, 8), object)
                   : rc;
}

int meta_get_null_version(struct meta *meta, struct arena *arena,
                          uint64_t bucket, struct slice key,
                          Meta__Object **object)
{
    struct meta_scan *scan = meta_scan_objects(meta, bucket);
    int rc = -ENOENT;

    for (meta_scan_seek(scan, key); rc == -ENOENT && meta_scan_valid(scan) &&
                                    slice_equal(meta_scan_key(scan), key);
         meta_scan_next(scan)) {
        struct arena *scratch = arena_new(); /* of what is passed over */

        rc = meta_scan_object(scan, scratch, object);
        if (rc == 0) {
            rc = (*object)->version_id.len == 0
                     ? meta_scan_object(scan, arena, object)
                     : -ENOENT;
        }
        arena_free(scratch);
    }
    if (rc == -ENOENT && meta_scan_error(scan) != 0) {
        rc = meta_scan_error(scan);
    }
    meta_scan_free(scan);
    return rc;
}

int meta_get_blob(struct meta *meta, struct arena *arena, uint64_t blob,
                  Meta__Blob **record)
{
    struct buffer key = {0};

    key_blob(&key, META_KEY_BLOB, blob);
    return read_record(meta, arena, &key, META_RECORD_BLOB,
                       &meta__blob__descriptor, (ProtobufCMessage **)record);
}

int meta_get_upload(struct meta *meta, struct arena *arena, uint64_t bucket,
                    struct slice key, struct slice upload,
                    Meta__Upload **record)
{
    struct buffer at = {0};
    struct slice value;
    int rc;

    key_upload(&at, bucket, key, upload);
    rc = kv_get(meta->kv, arena, buffer_slice(&at), &value);
    buffer_free(&at);
    return rc == 0 ? record_upload(arena, value, upload, record) : rc;
}

int meta_get_part(struct meta *meta, struct arena *arena, struct slice upload,
                  unsigned number, Meta__Part **part)
{
    struct buffer key = {0};
    int rc;

    key_part(&key, upload, number);
    rc = read_record(meta, arena, &key, META_RECORD_PART,
                     &meta__part__descriptor, (ProtobufCMessage **)part);
    return rc == 0 && (*part)->number != number ? -EBADMSG : rc;
}

int meta_get_completed(struct meta *meta, struct arena *arena,
                       struct slice upload, Meta__Completed **completed)
{
    struct buffer key = {0};

    key_completed(&key, upload);
    return read_record(meta, arena, &key, META_RECORD_COMPLETED,
                       &meta__completed__descriptor,
                       (ProtobufCMessage **)completed);
}

static int has_any(struct meta *meta, char tag, uint64_t bucket, bool *any)
{
    struct buffer prefix = {0};
    struct kv_iterator *it = kv_iterate(meta->kv);
    int rc;

    key_of_bucket(&prefix, tag, bucket);
    kv_seek(it, buffer_slice(&prefix));
    *any = kv_valid(it) && slice_has_prefix(kv_key(it), buffer_slice(&prefix));
    rc = kv_error(it);
    kv_iterator_free(it);
    buffer_free(&prefix);
    return rc;
}

int meta_bucket_is_empty(struct meta *meta, uint64_t bucket, bool *empty)
{
    bool objects = false, uploads = false;
    int rc = has_any(meta, META_KEY_OBJECT, bucket, &objects);

    if (rc == 0) {
        rc = has_any(meta, META_KEY_UPLOAD, bucket, &uploads);
    }
    *empty = rc == 0 && !objects && !uploads;
    return rc;
}
