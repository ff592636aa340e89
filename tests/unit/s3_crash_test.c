/*
 * The whole engine on the simulated disk: S3 operations over six drives, with
 * LevelDB, journals and mirrors on three of them, against a model: a map of
 * keys to versions. The power goes at any call, a drive fails, and after every
 * recovery
 *   - each acknowledged write is there, byte for byte;
 *   - the one that was under way is wholly there or wholly absent;
 *   - references, blobs and those who use them agree;
 *   - every shard that a layout names is good, and what misses one is queued
 *     for healing;
 *   - no byte is reserved that nobody will write;
 *   - the events of all changes, told again in their order, make what is there:
 *     no change lacks its event, and no event its change.
 *
 *   s3_crash_test [seed]     the failing seed is printed
 */
#include "s3_events_fixture.h"

#include "kv/mirror.h"
#include "meta/private.h"
#include "sim_env.h"

#include <errno.h>

#define MIRRORS       3
#define PLAIN         6 /* keys of the bucket "b" */
#define VERSIONED     3 /* keys of the bucket "v" */
#define KEYS          (PLAIN + VERSIONED)
#define VERSIONS      5 /* of a key, at most */
#define SEGMENT_BYTES (64u << 10)
#define CALLS         1000 /* until the power goes, at most */

struct version {
    uint64_t seed; /* of the bytes; 0: a delete marker */
    size_t size;
};

/* Oldest first; keys of "b" have one version at most. */
struct model {
    struct version versions[KEYS][VERSIONS];
    unsigned count[KEYS];
};

struct world {
    struct s3_fixture fixture;
    uint64_t random, seeds;
    struct model acknowledged;
    struct model attempted; /* what a write of unknown end would have made */
    bool unsure;
    unsigned writes;
};

static const char *const mirrors[MIRRORS] = {"/drive0/meta", "/drive1/meta",
                                             "/drive2/meta"};
static unsigned seed;
static struct leveldb_env_t *env; /* of the one world that is open */

static uint64_t draw(struct world *w, uint64_t limit)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963;
    return (w->random >> 33) % limit;
}

/* --- the store -------------------------------------------------------------*/

static int open_database(struct io *io, const char *directory, bool create,
                         struct kv **kv)
{
    return mirror_leveldb_open(io, env, directory, create, kv);
}

static int wipe_database(struct io *io, const char *directory)
{
    (void)io;
    return leveldb_wipe(env, directory);
}

static struct kv *open_mirrors(struct world *w)
{
    static const struct mirror_database database = {open_database,
                                                    wipe_database};
    const struct kv_mirror_options options = {.io = w->fixture.io,
                                              .directories = mirrors,
                                              .count = MIRRORS,
                                              .answer_ms = 20000,
                                              .segment_bytes = SEGMENT_BYTES};
    struct kv *kv;

    assert_int_equal(mirrors_open(&options, &database, &kv), 0);
    return kv;
}

/* Mirrors that were expelled are members again. */
static void mend_mirrors(struct world *w)
{
    struct mirrors *all = (struct mirrors *)meta_kv(w->fixture.service.meta);
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    uint64_t epoch;

    for (unsigned i = 0; i < kv_mirrors(&all->kv, &epoch, status); i++) {
        if (status[i].state == KV_MIRROR_MEMBER) {
            continue;
        }
        assert_int_equal(kv_mirror_learn(&all->kv, i), 0);
        pthread_mutex_lock(&all->lock);
        while (!all->learner_done) {
            pthread_cond_wait(&all->progress, &all->lock);
        }
        assert_int_equal(all->mirrors[i].state, KV_MIRROR_MEMBER);
        pthread_mutex_unlock(&all->lock);
    }
}

static void recover(struct world *w)
{
    struct s3_fixture *fixture = &w->fixture;

    io_sim_power_off(fixture->io);
    s3_close_events(fixture);
    s3_fixture_detach(fixture);
    io_sim_power_on(fixture->io);
    s3_fixture_attach(fixture);
    s3_fixture_reopen(fixture, open_mirrors(w));
    s3_open_events(fixture, 0, EVENTS_BLOCK);
    mend_mirrors(w);
}

static struct world *world_open(void)
{
    static const char enable[] =
        "<VersioningConfiguration><Status>Enabled</Status>"
        "</VersioningConfiguration>";
    struct world *w = xcalloc(1, sizeof(*w));

    s3_fixture_begin(&w->fixture, seed);
    io_sim_order_names(w->fixture.io);
    env = sim_env_new(w->fixture.io);
    w->random = seed * 77 + 1;
    s3_fixture_serve(&w->fixture, open_mirrors(w));
    log_set_level(LOG_LEVEL_ERROR + 1);
    s3_make_bucket(&w->fixture, "b");
    s3_make_bucket(&w->fixture, "v");
    s3_expect(
        &w->fixture, 200,
        (struct s3_case){.operation = WIRE__OPERATION__PUT_BUCKET_VERSIONING,
                         .bucket = "v",
                         .body = enable,
                         .size = strlen(enable)});
    s3_open_events(&w->fixture, 0, EVENTS_BLOCK);
    s3_expect(&w->fixture, 200, s3_notify(&w->fixture, "b", ALL_EVENTS));
    s3_expect(&w->fixture, 200, s3_notify(&w->fixture, "v", ALL_EVENTS));
    return w;
}

static void world_close(struct world *w)
{
    s3_close_events(&w->fixture);
    s3_fixture_close(&w->fixture);
    sim_env_free(env);
    free(w);
}

/* --- requests --------------------------------------------------------------*/

static const char *bucket_of(unsigned key)
{
    return key < PLAIN ? "b" : "v";
}

static const char *name_of(unsigned key)
{
    static const char *const names[KEYS] = {"a", "a/b", "c",   "d", "e",
                                            "f", "v/1", "v/2", "w"};

    return names[key];
}

static struct s3_case on(Wire__Operation operation, unsigned key)
{
    return (struct s3_case){
        .operation = operation, .bucket = bucket_of(key), .key = name_of(key)};
}

static bool run(struct world *w, struct s3_case c, struct s3_answer *answer)
{
    s3_run(&w->fixture, answer, c);
    if (answer->status >= 300 && answer->status < 500 &&
        answer->status != 404) {
        fail_msg("status %u: %s", answer->status,
                 (const char *)answer->body.data);
    }
    return answer->status < 300;
}

/* True if it succeeded. */
static bool tell(struct world *w, struct s3_case c)
{
    struct s3_answer answer;
    bool done = run(w, c, &answer);

    s3_answer_free(&answer);
    return done;
}

/* The text between <name> and the next '<', from *at on, which moves. */
static bool next_element(const char **at, const char *name, char out[128])
{
    char open[64];

    snprintf(open, sizeof(open), "<%s>", name);
    *at = strstr(*at, open);
    if (*at == NULL) {
        return false;
    }
    *at += strlen(open);
    snprintf(out, 128, "%.*s", (int)strcspn(*at, "<"), *at);
    return true;
}

static uint8_t *bytes_of(const struct version *version)
{
    uint8_t *bytes = xmalloc(version->size + 1);

    s3_fill(bytes, version->size, version->seed);
    return bytes;
}

/* --- writes: each changes w->attempted before it is tried ------------------*/

static void model_put(struct model *model, unsigned key,
                      const struct version *version)
{
    if (key < PLAIN) {
        model->count[key] = 0;
    }
    model->versions[key][model->count[key]++] = *version;
}

static struct version new_version(struct world *w)
{
    static const size_t sizes[] = {0, 1, 5000, 65536, 65537, 300000, 1500000};

    return (struct version){.seed = ++w->seeds, .size = sizes[draw(w, 7)]};
}

static bool put(struct world *w, unsigned key)
{
    struct version version = new_version(w);
    uint8_t *bytes = bytes_of(&version);
    struct s3_case c = on(WIRE__OPERATION__PUT_OBJECT, key);
    bool done;

    model_put(&w->attempted, key, &version);
    c.body = bytes;
    c.size = version.size;
    c.empty_body = version.size == 0;
    done = tell(w, c);
    free(bytes);
    return done;
}

static bool copy(struct world *w, unsigned from, unsigned key)
{
    struct s3_case c = on(WIRE__OPERATION__COPY_OBJECT, key);
    const struct model *model = &w->acknowledged;
    char source[64];

    if (from == key || model->count[from] == 0 ||
        model->versions[from][model->count[from] - 1].seed == 0) {
        return put(w, key);
    }
    model_put(&w->attempted, key,
              &model->versions[from][model->count[from] - 1]);
    snprintf(source, sizeof(source), "/%s/%s", bucket_of(from), name_of(from));
    c.headers = FIELDS("x-amz-copy-source", source);
    return tell(w, c);
}

static bool upload_part(struct world *w, unsigned key, const char *id,
                        const uint8_t *bytes, size_t size, char etag[128])
{
    struct s3_case c = on(WIRE__OPERATION__UPLOAD_PART, key);
    struct s3_answer answer;
    bool done;

    c.args = FIELDS("uploadId", id, "partNumber", "1");
    c.body = bytes;
    c.size = size;
    c.empty_body = size == 0;
    done = run(w, c, &answer);
    if (done) {
        snprintf(etag, 128, "%.100s", s3_header(&answer, "etag"));
    }
    s3_answer_free(&answer);
    return done;
}

static bool complete(struct world *w, unsigned key, const char *id,
                     const char *etag)
{
    struct s3_case c = on(WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD, key);
    char text[512];

    snprintf(text, sizeof(text),
             "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
             "<ETag>%s</ETag></Part></CompleteMultipartUpload>",
             etag);
    c.args = FIELDS("uploadId", id);
    c.body = text;
    c.size = strlen(text);
    return tell(w, c);
}

/* One part, uploaded twice; then completed, aborted or left alone. */
static bool multipart(struct world *w, unsigned key)
{
    struct s3_case c = on(WIRE__OPERATION__CREATE_MULTIPART_UPLOAD, key);
    struct version version = new_version(w);
    uint8_t *bytes = bytes_of(&version);
    char id[128], etag[128];
    struct s3_answer answer;
    bool done = run(w, c, &answer);

    if (done) {
        const char *at = (const char *)answer.body.data;

        assert_true(next_element(&at, "UploadId", id));
    }
    s3_answer_free(&answer);
    done = done && upload_part(w, key, id, (const uint8_t *)"x", 1, etag) &&
           upload_part(w, key, id, bytes, version.size, etag);
    free(bytes);
    if (!done) {
        return false;
    }
    switch (draw(w, 4)) {
    case 0:
        return true;
    case 1:
        c.operation = WIRE__OPERATION__ABORT_MULTIPART_UPLOAD;
        c.args = FIELDS("uploadId", id);
        return tell(w, c);
    default:
        model_put(&w->attempted, key, &version);
        return complete(w, key, id, etag);
    }
}

static bool delete (struct world *w, unsigned key)
{
    struct model *model = &w->attempted;

    if (key < PLAIN) {
        model->count[key] = 0;
    } else {
        model_put(model, key, &(struct version){0});
    }
    return tell(w, on(WIRE__OPERATION__DELETE_OBJECT, key));
}

/* --- what is there ---------------------------------------------------------*/

struct listed {
    unsigned count;
    struct {
        char id[128];
        bool marker;
    } versions[VERSIONS + 1]; /* newest first */
};

/* The versions of one key, which is no prefix of another in its bucket. */
static bool list_versions(struct world *w, unsigned key, struct listed *out)
{
    struct s3_case c = {.operation = WIRE__OPERATION__LIST_OBJECT_VERSIONS,
                        .bucket = bucket_of(key)};
    struct s3_answer answer;
    char name[128];
    bool done;

    c.args = FIELDS("versions", "", "prefix", name_of(key));
    done = run(w, c, &answer);
    out->count = 0;
    for (const char *at = (const char *)answer.body.data;
         done && next_element(&at, "Key", name);) {
        if (strcmp(name, name_of(key)) == 0) {
            assert_true(out->count <= VERSIONS);
            out->versions[out->count].marker =
                strncmp(at - strlen("<DeleteMarker><Key>"), "<DeleteMarker>",
                        strlen("<DeleteMarker>")) == 0;
            assert_true(
                next_element(&at, "VersionId", out->versions[out->count].id));
            out->count++;
        }
    }
    s3_answer_free(&answer);
    return done;
}

/* The oldest version goes for good. */
static bool delete_oldest(struct world *w, unsigned key)
{
    struct s3_case c = on(WIRE__OPERATION__DELETE_OBJECT, key);
    struct model *model = &w->attempted;
    struct listed listed;

    if (!list_versions(w, key, &listed)) {
        return false;
    }
    assert_int_equal(listed.count, model->count[key]);
    model->count[key]--;
    memmove(model->versions[key], model->versions[key] + 1,
            model->count[key] * sizeof(struct version));
    c.args = FIELDS("versionId", listed.versions[listed.count - 1].id);
    return tell(w, c);
}

static bool has_bytes(struct world *w, unsigned key, const char *id,
                      const struct version *version)
{
    struct s3_case c = on(WIRE__OPERATION__GET_OBJECT, key);
    uint8_t *bytes = bytes_of(version);
    struct s3_answer answer;
    bool same;

    c.args = FIELDS("versionId", id);
    s3_run(&w->fixture, &answer, c);
    assert_int_equal(answer.status, 200);
    assert_false(answer.failed);
    same = answer.body.size == version->size &&
           memcmp(answer.body.data, bytes, version->size) == 0;
    s3_answer_free(&answer);
    free(bytes);
    return same;
}

static bool key_agrees(struct world *w, const struct model *model, unsigned key)
{
    struct listed listed;

    assert_true(list_versions(w, key, &listed));
    if (listed.count != model->count[key]) {
        return false;
    }
    for (unsigned i = 0; i < listed.count; i++) {
        const struct version *version =
            &model->versions[key][listed.count - 1 - i];

        if (listed.versions[i].marker != (version->seed == 0) ||
            (version->seed != 0 &&
             !has_bytes(w, key, listed.versions[i].id, version))) {
            return false;
        }
    }
    return true;
}

static bool agrees(struct world *w, const struct model *model)
{
    for (unsigned key = 0; key < KEYS; key++) {
        if (!key_agrees(w, model, key)) {
            return false;
        }
    }
    return true;
}

static void check_model(struct world *w)
{
    bool as_acknowledged = agrees(w, &w->acknowledged);

    if (!as_acknowledged && w->unsure && agrees(w, &w->attempted)) {
        w->acknowledged = w->attempted;
        as_acknowledged = true;
    }
    assert_true(as_acknowledged);
    w->attempted = w->acknowledged;
    w->unsure = false;
}

/* --- what hangs together ---------------------------------------------------*/

static bool record_is_there(struct kv *kv, struct arena *arena, char tag,
                            struct slice rest, enum meta_record type,
                            const ProtobufCMessageDescriptor *descriptor,
                            ProtobufCMessage **message)
{
    struct buffer key = {0};
    struct slice value;
    int error;

    key_tag(&key, tag);
    buffer_append(&key, rest.data, rest.size);
    error = kv_get(kv, arena, buffer_slice(&key), &value);
    buffer_free(&key);
    if (error == -ENOENT) {
        return false;
    }
    assert_int_equal(error, 0);
    assert_int_equal(meta_unpack(arena, type, descriptor, value, message), 0);
    return true;
}

static unsigned uses(const Meta__Blob *record, uint64_t blob)
{
    unsigned count = 0;

    for (size_t i = 0; i < record->n_parts; i++) {
        count += record->parts[i]->blob == blob;
    }
    return count;
}

/* R <blob> <kind> <rest of the referrer's key> */
static void check_reference(struct kv *kv, struct arena *arena,
                            struct slice key)
{
    struct slice blob = slice_of(key.data + 1, 8);
    struct slice rest = slice_of(key.data + 10, key.size - 10);
    uint64_t id = get_u64be(blob.data);
    ProtobufCMessage *message;

    assert_true(record_is_there(kv, arena, META_KEY_BLOB, blob,
                                META_RECORD_BLOB, &meta__blob__descriptor,
                                &message));
    switch (key.data[9]) {
    case META_REFERRER_OBJECT:
        assert_true(record_is_there(kv, arena, META_KEY_OBJECT, rest,
                                    META_RECORD_OBJECT,
                                    &meta__object__descriptor, &message));
        assert_true(((Meta__Object *)message)->blob == id);
        break;
    case META_REFERRER_PART:
        assert_true(record_is_there(kv, arena, META_KEY_PART, rest,
                                    META_RECORD_PART, &meta__part__descriptor,
                                    &message));
        assert_true(((Meta__Part *)message)->blob == id);
        break;
    case META_REFERRER_BLOB:
        assert_true(record_is_there(kv, arena, META_KEY_BLOB, rest,
                                    META_RECORD_BLOB, &meta__blob__descriptor,
                                    &message));
        assert_true(uses((Meta__Blob *)message, id) > 0);
        break;
    default:
        fail();
    }
}

/* All shards that the layout names are good; if some are missing, the healer
 * knows. */
static void check_shards(struct world *w, uint64_t blob,
                         const Layout__Layout *layout)
{
    struct meta *meta = w->fixture.service.meta;
    unsigned left = blob_losses_left(layout);
    struct blob_health health;
    struct meta_heal entry;

    assert_int_equal(
        blob_verify(w->fixture.service.blobs, layout, NULL, &health), 0);
    assert_int_equal(health.losses_left, left);
    assert_true(left >= 1);
    if (left < layout->m) {
        assert_int_equal(meta_find_heal(meta, blob, layout->m, &entry), 0);
        assert_int_equal(entry.losses_left, left);
    }
}

/* How many references a blob record makes, each blob counted once. */
static unsigned references_of(const Meta__Blob *record)
{
    unsigned count = 0;

    for (size_t i = 0; i < record->n_parts; i++) {
        uint64_t blob = record->parts[i]->blob;
        bool seen = blob == 0;

        for (size_t j = 0; j < i && !seen; j++) {
            seen = record->parts[j]->blob == blob;
        }
        count += !seen;
    }
    return count;
}

static bool is_used(struct kv *kv, uint64_t blob)
{
    struct kv_iterator *it = kv_iterate(kv);
    struct buffer prefix = {0};
    bool used;

    key_blob(&prefix, META_KEY_REFERENCE, blob);
    kv_seek(it, buffer_slice(&prefix));
    used = kv_valid(it) && slice_has_prefix(kv_key(it), buffer_slice(&prefix));
    buffer_free(&prefix);
    kv_iterator_free(it);
    return used;
}

/* A blob that nobody uses is the reclaimer's. */
static void check_blob(struct world *w, struct kv *kv, struct arena *arena,
                       struct slice key, const Meta__Blob *record)
{
    uint64_t blob = get_u64be(key.data + 1);
    struct buffer queued = {0};
    struct slice value;

    if (!is_used(kv, blob)) {
        key_blob(&queued, META_KEY_RECLAIM, blob);
        assert_int_equal(kv_get(kv, arena, buffer_slice(&queued), &value), 0);
        buffer_free(&queued);
    } else if (record->layout != NULL) {
        check_shards(w, blob, record->layout);
    }
}

/* References are exactly those that objects, parts and blobs make. */
static void check_records(struct world *w)
{
    struct kv *kv = meta_kv(w->fixture.service.meta);
    struct arena *arena = arena_new();
    struct kv_iterator *it = kv_iterate(kv);
    unsigned references = 0, wanted = 0;
    ProtobufCMessage *message;

    for (kv_seek(it, SLICE_LITERAL("L")); kv_valid(it); kv_next(it)) {
        struct slice key = kv_key(it), value = kv_value(it);

        switch (key.data[0]) {
        case META_KEY_OBJECT:
            assert_int_equal(meta_unpack(arena, META_RECORD_OBJECT,
                                         &meta__object__descriptor, value,
                                         &message),
                             0);
            wanted += ((Meta__Object *)message)->blob != 0;
            break;
        case META_KEY_PART:
            assert_int_equal(meta_unpack(arena, META_RECORD_PART,
                                         &meta__part__descriptor, value,
                                         &message),
                             0);
            wanted += ((Meta__Part *)message)->blob != 0;
            break;
        case META_KEY_BLOB:
            assert_int_equal(meta_unpack(arena, META_RECORD_BLOB,
                                         &meta__blob__descriptor, value,
                                         &message),
                             0);
            wanted += references_of((Meta__Blob *)message);
            check_blob(w, kv, arena, key, (Meta__Blob *)message);
            break;
        case META_KEY_REFERENCE:
            references++;
            check_reference(kv, arena, key);
            break;
        }
    }
    assert_int_equal(kv_error(it), 0);
    assert_int_equal(references, wanted);
    kv_iterator_free(it);
    arena_free(arena);
}

static void check_reservations(struct world *w)
{
    for (unsigned i = 0; i < FIXTURE_DRIVES; i++) {
        struct drive_usage usage;

        drive_usage(w->fixture.drives[i], &usage);
        assert_int_equal(usage.pending, 0);
    }
}

/* --- events ----------------------------------------------------------------*/
/* A key as its events tell it, oldest version first. */
struct told {
    unsigned count;
    Meta__Event *versions[VERSIONS + 1];
};

static bool same(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void told_add(struct told *told, Meta__Event *event)
{
    if (event->version_id.len == 0) {
        told->count = 0;
    }
    assert_true(told->count <= VERSIONS);
    told->versions[told->count++] = event;
}

static void told_remove(struct told *told, const Meta__Event *event)
{
    unsigned at = 0;

    while (at < told->count &&
           !same(told->versions[at]->version_id, event->version_id)) {
        at++;
    }
    assert_true(at < told->count);
    told->count--;
    memmove(told->versions + at, told->versions + at + 1,
            (told->count - at) * sizeof(told->versions[0]));
}

static void tell_key(struct told *told, unsigned key, Meta__Event **events,
                     size_t count)
{
    *told = (struct told){0};
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal_string(
                slice_of(events[i]->key.data, events[i]->key.len),
                name_of(key))) {
            continue;
        }
        if (events[i]->type == META__EVENT_TYPE__OBJECT_REMOVED_DELETE) {
            told_remove(told, events[i]);
        } else {
            told_add(told, events[i]);
        }
    }
}

static bool is_told(const Meta__Event *event, const Meta__Object *object)
{
    return same(event->version_id, object->version_id) &&
           same(event->etag, object->etag) && event->size == object->size &&
           object->delete_marker ==
               (event->type ==
                META__EVENT_TYPE__OBJECT_REMOVED_DELETE_MARKER_CREATED);
}

static void check_told(struct world *w, struct arena *arena, unsigned key,
                       const struct told *told)
{
    struct slice name = slice_from_string(name_of(key));
    unsigned left = told->count;
    struct meta_scan *scan;
    Meta__Bucket *bucket;
    Meta__Object *object;

    assert_int_equal(meta_get_bucket(w->fixture.service.meta, arena,
                                     slice_from_string(bucket_of(key)),
                                     &bucket),
                     0);
    scan = meta_scan_objects(w->fixture.service.meta, bucket->id);
    for (meta_scan_seek(scan, name);
         meta_scan_valid(scan) && slice_equal(meta_scan_key(scan), name);
         meta_scan_next(scan)) {
        assert_int_equal(meta_scan_object(scan, arena, &object), 0);
        if (left == 0) {
            fail_msg("a version of %s is not told", name_of(key));
            break;
        }
        assert_true(is_told(told->versions[--left], object));
    }
    assert_int_equal(left, 0);
    meta_scan_free(scan);
}

static void check_events(struct world *w)
{
    struct arena *arena = arena_new();
    Meta__Event **events;
    struct told told;
    size_t count;

    s3_list_events(&w->fixture, arena, &events, &count);
    for (unsigned key = 0; key < KEYS; key++) {
        tell_key(&told, key, events, count);
        check_told(w, arena, key, &told);
    }
    arena_free(arena);
}

static void check(struct world *w)
{
    check_model(w);
    check_events(w);
    check_records(w);
    check_reservations(w);
}

/* --- histories -------------------------------------------------------------*/

static bool try_write(struct world *w)
{
    unsigned key = (unsigned)draw(w, KEYS);

    if (w->acknowledged.count[key] == VERSIONS) {
        return delete_oldest(w, key);
    }
    switch (draw(w, 8)) {
    case 0:
    case 1:
        return delete (w, key);
    case 2:
        return copy(w, (unsigned)draw(w, KEYS), key);
    case 3:
    case 4:
        return multipart(w, key);
    default:
        return put(w, key);
    }
}

/* True if it was acknowledged. */
static bool write_once(struct world *w)
{
    bool done = try_write(w);

    if (done) {
        w->acknowledged = w->attempted;
        w->writes++;
    }
    w->unsure = !done;
    return done;
}

/* The power goes at a call of the file system, amid some write. */
static void cut_round(struct world *w)
{
    io_sim_fail_after(w->fixture.io, draw(w, CALLS), EIO, UINT64_MAX);
    for (unsigned i = 0; i < 30 && write_once(w); i++) {
    }
    io_sim_fail_after(w->fixture.io, 0, EIO, 0);
}

/* A drive fails, perhaps with a mirror: nobody notices. */
static void drive_round(struct world *w)
{
    char path[16];

    snprintf(path, sizeof(path), "/drive%u", (unsigned)draw(w, FIXTURE_DRIVES));
    io_sim_fail_path(w->fixture.io, path, EIO);
    for (unsigned i = 0; i < 6; i++) {
        assert_true(write_once(w));
    }
    check_model(w);
    io_sim_fail_path(w->fixture.io, path, 0);
}

static void history(unsigned rounds)
{
    struct world *w = world_open();

    for (unsigned round = 0; round < rounds; round++) {
        if (round % 3 == 2) {
            drive_round(w);
        } else {
            cut_round(w);
        }
        recover(w);
        check(w);
    }

    assert_true(w->writes > rounds);
    world_close(w);
}

static void test_random_histories(void **state)
{
    const char *factor = getenv("S3D_LONG_RUN");
    unsigned seeds = 3 * (factor != NULL ? (unsigned)atoi(factor) : 1);

    (void)state;
    for (unsigned end = seed + seeds; seed < end; seed++) {
        print_message("seed %u\n", seed);
        history(25);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
    };

    seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
