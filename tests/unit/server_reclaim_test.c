/* Requests while space is reclaimed: nobody notices. */
#include "s3_fixture.h"

#include "care/reclaim.h"

#include <pthread.h>
#include <stdatomic.h>

static struct s3_fixture fixture;
static struct reclaim *reclaim;

static int setup(void **state)
{
    struct reclaim_options options = {
        .drives = fixture.drives,
        .drive_count = FIXTURE_DRIVES,
        .rate = 1ull << 40,
        .live_percent = 90,
        .seal_bytes = 1u << 16,
    };

    (void)state;
    s3_fixture_open(&fixture);
    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    s3_make_bucket(&fixture, "b");
    options.meta = fixture.service.meta;
    options.blobs = fixture.service.blobs;
    reclaim = reclaim_open(&options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    reclaim_close(reclaim);
    s3_fixture_close(&fixture);
    return 0;
}

static int seal_one(void *drive, uint64_t extent)
{
    drive_seal(drive, extent);
    return 0;
}

static struct reclaim_status pass(void)
{
    struct reclaim_status status;

    for (unsigned i = 0; i < FIXTURE_DRIVES; i++) {
        drive_extents(fixture.drives[i], seal_one, fixture.drives[i]);
    }
    assert_int_equal(reclaim_pass(reclaim), 0);
    assert_int_equal(reclaim_pass(reclaim), 0);
    reclaim_status(reclaim, &status);
    return status;
}

/* --- a slow reader ---------------------------------------------------------*/
struct slow {
    struct arena *arena;
    Wire__Request request;
    struct s3_call *call;
    struct s3_piece piece;  /* the first one */
    struct io_file **files; /* of its segments, or NULL */
    struct buffer body;
};

/* A worker opens what is named at once, and sends it when it can. */
static struct io_file **open_files(struct slow *slow)
{
    const Wire__Segments *named = slow->piece.segments;
    struct io_file **files =
        arena_alloc(slow->arena, named->n_segments * sizeof(struct io_file *));

    for (size_t i = 0; i < named->n_segments; i++) {
        char name[EXTENT_PATH_SIZE], path[EXTENT_PATH_SIZE + 16];

        extent_path(name, named->segments[i]->extent);
        snprintf(path, sizeof(path), "/drive%u/%s", named->segments[i]->drive,
                 name);
        assert_int_equal(io_open(fixture.io, path, IO_READ, &files[i]), 0);
    }
    return files;
}

static void take_files(struct slow *slow)
{
    const Wire__Segments *named = slow->piece.segments;

    for (size_t i = 0; i < named->n_segments; i++) {
        const Wire__Segment *segment = named->segments[i];

        buffer_reserve(&slow->body, slow->body.size + segment->length);
        assert_int_equal(io_pread(slow->files[i],
                                  slow->body.data + slow->body.size,
                                  segment->length, segment->offset),
                         0);
        slow->body.size += segment->length;
        io_close(slow->files[i]);
    }
}

static void begin(struct slow *slow, struct s3_case c)
{
    *slow = (struct slow){.arena = arena_new()};
    s3_request(&fixture, slow->arena, &c, &slow->request);
    slow->call = s3_call_begin(&fixture.service, &slow->request);
    assert_int_equal(s3_call_reply(slow->call)->status, 200);
    s3_call_next(slow->call, &slow->piece);
    if (slow->piece.kind == S3_PIECE_SEGMENTS) {
        slow->files = open_files(slow);
    } else {
        assert_int_equal(slow->piece.kind, S3_PIECE_DATA);
    }
}

static void end(struct slow *slow, const uint8_t *wanted, size_t size,
                bool one_piece)
{
    struct s3_answer rest;

    if (slow->files != NULL) {
        take_files(slow);
    } else {
        buffer_append(&slow->body, slow->piece.data.data,
                      slow->piece.data.size);
    }
    assert_int_equal(slow->body.size == size, one_piece);
    s3_collect(&fixture, slow->call, false, &rest);
    assert_false(rest.failed);
    buffer_append(&slow->body, rest.body.data, rest.body.size);
    assert_int_equal(slow->body.size, size);
    assert_memory_equal(slow->body.data, wanted, size);
    s3_answer_free(&rest);
    buffer_free(&slow->body);
    arena_free(slow->arena);
}

static void put(const char *key, const uint8_t *data, size_t size,
                const char *const *headers)
{
    s3_expect(&fixture, 200,
              S3_CASE(PUT_OBJECT, key, .body = data, .size = size,
                      .headers = headers));
}

/* Garbage around everything, so that all extents are emptied. */
static void make_garbage(void)
{
    static uint8_t data[3u << 20];

    for (unsigned i = 0; i < 4; i++) {
        put("garbage", data, sizeof(data), NULL);
    }
    s3_expect(&fixture, 204, DELETE("garbage"));
}

static void check_slow_get(bool segments, bool no_verify, bool sealed,
                           bool deleted)
{
    const size_t size = (10u << 20) + 12345;
    const char *const *headers =
        sealed ? FIELDS("x-amz-server-side-encryption", "AES256") : NULL;
    uint8_t *data = xmalloc(size);
    struct reclaim_status before, after;
    struct slow slow;

    s3_fill(data, size, 1);
    make_garbage();
    put("slow", data, size, headers);
    make_garbage();
    before = pass();
    begin(&slow, GET("slow", .segments = segments, .no_verify = no_verify));
    make_garbage();
    if (deleted) {
        s3_expect(&fixture, 204, DELETE("slow"));
    }
    after = pass();
    if (deleted) {
        assert_int_equal(after.blobs_read, 1);
        s3_expect(&fixture, 404, GET("slow"));
    }
    assert_true(after.extents_removed > before.extents_removed);
    end(&slow, data, size, segments && no_verify && !sealed);
    if (deleted) {
        assert_int_equal(pass().bytes, 0);
    } else {
        s3_expect(&fixture, 204, DELETE("slow"));
    }
    free(data);
}

static void test_slow_readers_go_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        check_slow_get(i & 1, i & 2, i & 4, i & 8);
    }
}

/* --- after a restore of the metadata ---------------------------------------*/

static void hold(uint64_t below)
{
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    Meta__Cluster *cluster;

    assert_int_equal(meta_get_cluster(fixture.service.meta, arena, &cluster),
                     0);
    cluster->held_extents = below;
    meta_put_cluster(batch, cluster);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
}

static int find_highest(void *highest, uint64_t extent)
{
    uint64_t *number = highest;

    *number = extent_number(extent) > *number ? extent_number(extent) : *number;
    return 0;
}

/* Extents from before stay, though nothing in them is live; later ones go. */
static void test_held(void **state)
{
    struct reclaim_status before = pass(), after;
    uint64_t highest = 0;
    (void)state;

    make_garbage();
    for (unsigned i = 0; i < FIXTURE_DRIVES; i++) {
        drive_extents(fixture.drives[i], find_highest, &highest);
    }
    hold(highest + 1);
    after = pass();
    assert_int_equal(after.extents_removed, before.extents_removed);
    assert_true(after.extents_held > 0);
    make_garbage();
    before = pass();
    assert_true(before.extents_removed > after.extents_removed);
    assert_int_equal(before.extents_held, after.extents_held);
    hold(0);
    after = pass();
    assert_int_equal(after.extents_held, 0);
    assert_true(after.extents_removed > before.extents_removed);
}

/* --- everybody at once -----------------------------------------------------*/
#define KEYS    6
#define SIZE    300000u
#define THREADS 4

static atomic_bool stop;
static atomic_uint served;

/* Every version says by its first byte what all of it is. */
static void work(unsigned number)
{
    uint8_t *data = xmalloc(SIZE);
    uint64_t random = number + 1;

    while (!atomic_load(&stop)) {
        char key[2] = {0}, other[2] = {0}, source[8];
        struct s3_answer answer;

        random = random * 6364136223846793005u + 1442695040888963407u;
        key[0] = (char)('a' + (random >> 33) % KEYS);
        other[0] = (char)('a' + (random >> 43) % KEYS);
        snprintf(source, sizeof(source), "b/%s", other);
        switch ((random >> 53) % 6) {
        case 0:
        case 1:
            memset(data, (int)(random >> 56), SIZE);
            s3_run(&fixture, &answer,
                   S3_CASE(PUT_OBJECT, key, .body = data, .size = SIZE));
            break;
        case 2:
            s3_run(&fixture, &answer, DELETE(key));
            break;
        case 3:
            s3_run(&fixture, &answer,
                   S3_CASE(COPY_OBJECT, key,
                           .headers = FIELDS("x-amz-copy-source", source)));
            break;
        default:
            s3_run(&fixture, &answer, GET(key));
            if (answer.status == 200) {
                invariant(!answer.failed && answer.body.size == SIZE);
                memset(data, answer.body.data[0], SIZE);
                invariant(memcmp(data, answer.body.data, SIZE) == 0);
                atomic_fetch_add(&served, 1);
            }
        }
        invariant(answer.status == 200 || answer.status == 204 ||
                  answer.status == 404 || answer.status == 400);
        s3_answer_free(&answer);
    }
    free(data);
}

static void *run(void *number)
{
    work((unsigned)(uintptr_t)number);
    return NULL;
}

static void test_requests_do_not_notice(void **state)
{
    pthread_t threads[THREADS];
    struct reclaim_status status;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i), 0);
    }
    do {
        status = pass();
    } while (status.extents_removed < 100 || status.shards_moved < 100 ||
             atomic_load(&served) < 100);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (char key[2] = "a"; key[0] < 'a' + KEYS; key[0]++) {
        s3_expect(&fixture, 204, DELETE(key));
    }
    status = pass();
    assert_int_equal(status.bytes, 0);
    assert_int_equal(status.live_bytes, 0);
    assert_int_equal(status.shards_bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slow_readers_go_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_do_not_notice, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
