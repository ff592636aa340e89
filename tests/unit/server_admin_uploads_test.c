/* s3ctl's commands of uploads, beside the requests that make and end them. */
#include "s3_multipart_fixture.h"

#include "server/admin.h"

#include <pthread.h>

#define HOUR_MS (3600ull * 1000)

static struct server server;

/* --- commands --------------------------------------------------------------*/
static json_t *execute(const char *command, json_t *arguments, bool done)
{
    char *text = json_dumps(arguments, JSON_COMPACT);
    struct buffer out = {0};
    struct admin_sequel sequel;

    assert_int_equal(admin_execute(&server, 0, slice_from_string(command),
                                   slice_from_string(text), &out, &sequel),
                     done);
    json_t *result = json_loadb((char *)out.data, out.size, 0, NULL);
    assert_non_null(result);
    buffer_free(&out);
    free(text);
    json_decref(arguments);
    return result;
}

static json_t *ask(const char *command, json_t *arguments)
{
    return execute(command, arguments, true);
}

static void expect(const char *command, json_t *arguments, const char *wanted)
{
    json_t *result = ask(command, arguments);
    char *text = json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS);

    assert_string_equal(text, wanted);
    free(text);
    json_decref(result);
}

static void expect_refused(const char *command, json_t *arguments,
                           const char *why)
{
    json_t *result = execute(command, arguments, false);

    assert_string_equal(json_string_value(json_object_get(result, "error")),
                        why);
    json_decref(result);
}

/* --- uploads ---------------------------------------------------------------*/
/* As if it had been begun so long before. Returns when. */
static uint64_t age(const char *key, const char *id, uint64_t ms)
{
    struct meta *meta = fixture.service.meta;
    struct meta_batch *batch = meta_batch_new(meta);
    struct arena *arena = arena_new();
    Meta__Upload *record;

    assert_int_equal(meta_get_upload(meta, arena, bucket_id(),
                                     slice_from_string(key),
                                     slice_from_string(id), &record),
                     0);
    record->initiated_ms -= ms;
    const uint64_t initiated_ms = record->initiated_ms;
    meta_put_upload(batch, bucket_id(), slice_from_string(key), record);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
    return initiated_ms;
}

static uint64_t id_of(const char *name)
{
    struct arena *arena = arena_new();
    Meta__Bucket *bucket;

    assert_int_equal(meta_get_bucket(fixture.service.meta, arena,
                                     slice_from_string(name), &bucket),
                     0);
    const uint64_t id = bucket->id;
    arena_free(arena);
    return id;
}

/* Records of uploads without parts; ten of each key. */
static void make_many(const char *bucket, unsigned count)
{
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);

    for (unsigned i = 0; i < count; i++) {
        Meta__Upload record = META__UPLOAD__INIT;
        char id[48], key[16];
        snprintf(id, sizeof(id), "%044u", i);
        snprintf(key, sizeof(key), "key-%05u", i / 10);
        record.id = fixture_string(id);
        record.initiated_ms = 1 + i;
        meta_put_upload(batch, id_of(bucket), slice_from_string(key), &record);
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static struct meta_usage usage(void)
{
    struct meta_usage usage;

    meta_get_usage(fixture.service.meta, bucket_id(), &usage);
    return usage;
}

/* --- what there is ---------------------------------------------------------*/
static void test_list(void **state)
{
    struct text id = create("a key\t", NULL), other = create("z", NULL);
    const uint64_t began_ms = age("a key\t", id.s, 5 * HOUR_MS);
    const uint64_t other_ms = age("z", other.s, 0);
    const char *owner = "";
    char wanted[1024];
    json_t *all = ask("uploads.list", json_object());
    (void)state;

    part("a key\t", id.s, "1", bytes, 1000);
    part("a key\t", id.s, "3", bytes, 234);
    owner = json_string_value(json_object_get(
        json_array_get(json_object_get(all, "uploads"), 0), "initiator_id"));
    assert_int_equal(strlen(owner), 64);
    int size = snprintf(
        wanted, sizeof(wanted),
        "{\"damaged\":0,\"truncated\":false,\"uploads\":[{\"account\":"
        "\"tester\",\"bucket\":\"bucket\",\"bytes\":1234,\"initiated_ms\":%llu,"
        "\"initiator\":\"tester\",\"initiator_id\":\"%s\",\"key\":\"a "
        "key\\t\",\"parts\":2,\"upload_id\":\"%s\"}",
        (unsigned long long)began_ms, owner, id.s);
    snprintf(wanted + size, sizeof(wanted) - (size_t)size, "]}");
    expect("uploads.list", json_pack("{s:i}", "older_than_s", 5 * 3600),
           wanted);
    snprintf(wanted + size, sizeof(wanted) - (size_t)size,
             ",{\"account\":\"tester\",\"bucket\":\"bucket\",\"bytes\":0,"
             "\"initiated_ms\":%llu,\"initiator\":\"tester\",\"initiator_id\":"
             "\"%s\",\"key\":\"z\",\"parts\":0,\"upload_id\":\"%s\"}]}",
             (unsigned long long)other_ms, owner, other.s);
    expect("uploads.list", json_object(), wanted);
    expect("uploads.list", json_pack("{s:s}", "bucket", "bucket"), wanted);
    expect("uploads.list", json_pack("{s:s}", "bucket", "other"),
           "{\"damaged\":0,\"truncated\":false,\"uploads\":[]}");
    expect("uploads.list", json_pack("{s:i}", "older_than_s", 6 * 3600),
           "{\"damaged\":0,\"truncated\":false,\"uploads\":[]}");
    json_decref(all);
}

static void test_refused(void **state)
{
    static const char *const commands[] = {"uploads.list", "uploads.abort"};
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        expect_refused(
            commands[i],
            json_pack("{s:s,s:i}", "bucket", "none", "older_than_s", 0),
            "no such bucket");
        expect_refused(commands[i], json_pack("{s:i}", "older_than_s", -1),
                       "older_than_s: not an age");
        expect_refused(commands[i], json_pack("{s:s}", "older_than_s", "1"),
                       "older_than_s: not an age");
    }
    create("stays", NULL);
    expect_refused("uploads.abort", json_object(), "older_than_s is missing");
    assert_int_equal(records('U'), 1);
}

/* --- their end -------------------------------------------------------------*/
static void test_abort(void **state)
{
    struct text old = create("old", NULL), again = create("old", NULL);
    struct text young = create("young", NULL);
    struct meta_usage before;
    struct buffer list = {0};
    struct s3_answer answer;
    json_t *day = json_pack("{s:i}", "older_than_s", 24 * 3600);
    json_t *look =
        json_pack("{s:i,s:b}", "older_than_s", 24 * 3600, "dry_run", 1);
    (void)state;

    put("object", "stays", 5);
    part("old", again.s, "1", "young", 5);
    struct text etag = part("young", young.s, "1", "younger", 7);
    before = usage();
    part("old", old.s, "1", bytes, 300000);
    part("old", old.s, "2", "", 0);
    part("old", old.s, "9", bytes, 4000);
    age("old", old.s, 24 * HOUR_MS);
    age("old", again.s, 23 * HOUR_MS);

    expect("uploads.abort", json_incref(look),
           "{\"bytes\":304000,\"damaged\":0,\"dry_run\":true,\"parts\":3,"
           "\"uploads\":1}");
    assert_int_equal(records('U'), 3);
    assert_int_equal(records('P'), 5);
    expect("uploads.abort",
           json_pack("{s:i,s:s}", "older_than_s", 24 * 3600, "bucket", "other"),
           "{\"bytes\":0,\"damaged\":0,\"dry_run\":false,\"parts\":0,"
           "\"uploads\":0}");
    assert_int_equal(records('U'), 3);
    expect("uploads.abort", json_incref(day),
           "{\"bytes\":304000,\"damaged\":0,\"dry_run\":false,\"parts\":3,"
           "\"uploads\":1}");
    assert_int_equal(records('U'), 2);
    assert_int_equal(records('P'), 2);
    assert_true(usage().bytes == before.bytes);
    assert_true(usage().objects == before.objects);
    check_references();
    uint64_t freed[4];
    size_t count;
    assert_int_equal(
        meta_list_reclaim(fixture.service.meta, 0, freed, 4, &count), 0);
    assert_int_equal(count, 2); /* the empty part has no bytes */

    upload(&answer, "old", old.s, "3", "late", 4, NULL);
    assert_error(&answer, "NoSuchUpload", 404);
    s3_answer_free(&answer);
    add_part(&list, "1", etag.s, "");
    complete(&answer, "young", young.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    check_object("young", "younger", 7);
    check_object("object", "stays", 5);
    expect("uploads.abort", json_incref(day),
           "{\"bytes\":0,\"damaged\":0,\"dry_run\":false,\"parts\":0,"
           "\"uploads\":0}");
    buffer_free(&list);
    json_decref(day);
    json_decref(look);
}

/* What cannot be read is counted, and in nobody's way. */
static void test_damaged(void **state)
{
    struct kv *kv = meta_kv(fixture.service.meta);
    struct kv_batch *batch = kv_batch_new();
    struct kv_iterator *it;
    (void)state;

    create("a", NULL);
    create("b", NULL);
    it = kv_iterate(kv);
    kv_seek(it, SLICE_LITERAL("U"));
    assert_true(kv_valid(it));
    kv_batch_put(batch, kv_key(it), SLICE_LITERAL("no record"));
    kv_batch_put(batch, SLICE_LITERAL("Ba-bucket"), SLICE_LITERAL("nor here"));
    kv_iterator_free(it);
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
    expect("uploads.abort", json_pack("{s:i}", "older_than_s", 0),
           "{\"bytes\":0,\"damaged\":2,\"dry_run\":false,\"parts\":0,"
           "\"uploads\":1}");
    assert_int_equal(records('U'), 1);
}

/* What cannot be committed is not done, and said. */
static void test_no_commit(void **state)
{
    struct text id = create("key", NULL);
    (void)state;

    part("key", id.s, "1", "stays", 5);
    kv_memory_fail_after(meta_kv(fixture.service.meta), 0);
    expect_refused("uploads.abort", json_pack("{s:i}", "older_than_s", 0),
                   strerror(EROFS));
    assert_int_equal(records('U'), 1);
    assert_int_equal(records('P'), 1);
    check_references();
}

/* --- steps -----------------------------------------------------------------*/
/* Asks on until there is no more. How often. */
static unsigned walk(const char *command, json_t *arguments,
                     void (*see)(const json_t *answer))
{
    unsigned steps = 0;
    bool more = true;

    while (more) {
        json_t *answer = ask(command, json_deep_copy(arguments));
        json_t *next = json_object_get(answer, "next");
        see(answer);
        more = next != NULL;
        if (more) {
            json_object_set(arguments, "from", next);
        }
        steps++;
        json_decref(answer);
    }
    json_decref(arguments);
    return steps;
}

static unsigned seen;
static char last[256];

/* Each once, in order, no more of them in a step than there may be. */
static void see_list(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "uploads");
    json_t *entry;
    size_t i;

    assert_true(json_array_size(list) <= 1000);
    assert_int_equal(json_is_true(json_object_get(answer, "truncated")),
                     json_object_get(answer, "next") != NULL);
    json_array_foreach(list, i, entry)
    {
        char place[256];
        snprintf(place, sizeof(place), "%s %s %s",
                 json_string_value(json_object_get(entry, "bucket")),
                 json_string_value(json_object_get(entry, "key")),
                 json_string_value(json_object_get(entry, "upload_id")));
        assert_true(strcmp(last, place) < 0);
        snprintf(last, sizeof(last), "%s", place);
        seen++;
    }
}

static void see_count(const json_t *answer)
{
    const json_int_t count =
        json_integer_value(json_object_get(answer, "uploads"));

    assert_true(count <= 1000);
    seen += (unsigned)count;
}

static void test_steps(void **state)
{
    (void)state;
    make_many("bucket", 1505);
    make_many("other", 1200);
    seen = 0;
    last[0] = '\0';
    assert_true(walk("uploads.list", json_object(), see_list) >= 3);
    assert_int_equal(seen, 2705);
    seen = 0;
    last[0] = '\0';
    assert_true(walk("uploads.list", json_pack("{s:s}", "bucket", "bucket"),
                     see_list) >= 2);
    assert_int_equal(seen, 1505);
    assert_int_equal(records('U'), 2705);

    seen = 0;
    assert_true(
        walk("uploads.abort",
             json_pack("{s:s,s:i}", "bucket", "other", "older_than_s", 3600),
             see_count) >= 2);
    assert_int_equal(seen, 1200);
    assert_int_equal(records('U'), 1505);
    seen = 0;
    walk("uploads.abort", json_pack("{s:i}", "older_than_s", 3600), see_count);
    assert_int_equal(seen, 1505);
    assert_int_equal(records('U'), 0);
}

/* --- races -----------------------------------------------------------------*/
#define RACES 60

struct racer {
    struct text id[RACES], etag[RACES];
    unsigned completed;
};

static void key_of(char key[16], unsigned i)
{
    snprintf(key, 16, "raced-%02u", i);
}

/* From the last one on: they meet. */
static void *complete_all(void *argument)
{
    struct racer *racer = argument;

    for (unsigned i = RACES; i-- > 0;) {
        struct buffer list = {0};
        struct s3_answer answer;
        char key[16];
        key_of(key, i);
        add_part(&list, "1", racer->etag[i].s, "");
        complete(&answer, key, racer->id[i].s, &list, NULL);
        if (answer.status == 200) {
            racer->completed++;
        } else {
            assert_error(&answer, "NoSuchUpload", 404);
        }
        s3_answer_free(&answer);
        buffer_free(&list);
    }
    return NULL;
}

/* Of a completion and an abort one wins, and what was completed is whole. */
static void test_race(void **state)
{
    struct racer racer = {.completed = 0};
    struct s3_answer answer;
    pthread_t thread;
    char key[16];
    unsigned there = 0;
    (void)state;

    for (unsigned i = 0; i < RACES; i++) {
        key_of(key, i);
        racer.id[i] = create(key, NULL);
        racer.etag[i] = part(key, racer.id[i].s, "1", bytes + i, 20000);
    }
    assert_int_equal(pthread_create(&thread, NULL, complete_all, &racer), 0);
    seen = 0;
    walk("uploads.abort", json_pack("{s:i}", "older_than_s", 0), see_count);
    pthread_join(thread, NULL);
    assert_int_equal(seen + racer.completed, RACES);
    for (unsigned i = 0; i < RACES; i++) {
        key_of(key, i);
        s3_run(&fixture, &answer, on(WIRE__OPERATION__GET_OBJECT, key, NULL));
        if (answer.status == 200) {
            assert_int_equal(answer.body.size, 20000);
            assert_memory_equal(answer.body.data, bytes + i, 20000);
            there++;
        }
        s3_answer_free(&answer);
    }
    assert_int_equal(there, racer.completed);
    assert_int_equal(records('U'), 0);
    assert_int_equal(records('P'), 0);
    assert_true(usage().objects == there && usage().bytes == there * 20000ull);
    check_references();
}

static int open_server(void **state)
{
    setup(state);
    s3_make_bucket(&fixture, "other");
    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    memset(&server, 0, sizeof(server));
    server.service = fixture.service;
    server.cluster.meta = fixture.service.meta;
    server.cluster.iam = fixture.service.iam;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, open_server, teardown),
        cmocka_unit_test_setup_teardown(test_refused, open_server, teardown),
        cmocka_unit_test_setup_teardown(test_abort, open_server, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, open_server, teardown),
        cmocka_unit_test_setup_teardown(test_no_commit, open_server, teardown),
        cmocka_unit_test_setup_teardown(test_steps, open_server, teardown),
        cmocka_unit_test_setup_teardown(test_race, open_server, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
