/* s3ctl's commands of limits and usage, over metadata in memory. */
#include "server/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct server server;
    char directory[64], master[96]; /* which holds the master key */
};

/* What is answered to a command, which is done. */
static json_t *ask(struct fixture *f, const char *command, json_t *arguments)
{
    char *text = json_dumps(arguments, JSON_COMPACT);
    struct buffer out = {0};
    struct admin_sequel sequel;
    const bool done = admin_execute(&f->server, 0, slice_from_string(command),
                                    slice_from_string(text), &out, &sequel);
    json_t *result = json_loadb((char *)out.data, out.size, 0, NULL);
    assert_true(done);
    assert_non_null(result);
    buffer_free(&out);
    free(text);
    json_decref(arguments);
    return result;
}

static void order(struct fixture *f, const char *command, json_t *arguments)
{
    json_decref(ask(f, command, arguments));
}

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct cluster *cluster = &f->server.cluster;
    log_set_level(LOG_LEVEL_ERROR);
    strcpy(f->directory, "/tmp/server_admin_usage_test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->master, sizeof(f->master), "%s/key", f->directory);
    assert_int_equal(meta_open(kv_open_memory(), &cluster->meta), 0);
    assert_int_equal(iam_open(meta_kv(cluster->meta), f->master, &cluster->iam),
                     0);
    order(f, "account.add",
          json_pack("{s:s,s:b}", "name", "root", "operator", 1));
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    iam_close(f->server.cluster.iam);
    meta_close(f->server.cluster.meta);
    unlink(f->master);
    rmdir(f->directory);
    free(f);
    return 0;
}

/* --- limits ----------------------------------------------------------------*/
static bool has_limits(struct fixture *f, const char *id)
{
    Meta__Quota quota;
    meta_get_owner_quota(f->server.cluster.meta, slice_from_string(id), &quota);
    return !meta_quota_is_none(&quota);
}

/* No record is left of who is deleted. */
static void test_limits_go_with_their_owner(void **state)
{
    static const struct {
        const char *option, *add, *show, *delete;
    } owners[] = {
        {"user", "user.add", "user.show", "user.delete"},
        {"account", "account.add", "account.show", "account.delete"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        order(f, owners[i].add, json_pack("{s:s}", "name", "carol"));
        json_t *shown =
            ask(f, owners[i].show, json_pack("{s:s}", "name", "carol"));
        const char *id = json_string_value(json_object_get(shown, "id"));
        order(
            f, "quota.set",
            json_pack("{s:s,s:s}", owners[i].option, "carol", "requests", "5"));
        assert_true(has_limits(f, id));
        order(f, owners[i].delete, json_pack("{s:s}", "name", "carol"));
        assert_false(has_limits(f, id));
        json_decref(shown);
    }
}

/* --- usage -----------------------------------------------------------------*/
static void commit(struct meta_batch *batch)
{
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void put_bucket(struct fixture *f, const char *name, uint64_t id)
{
    struct meta_batch *batch = meta_batch_new(f->server.cluster.meta);
    Meta__Bucket bucket = META__BUCKET__INIT;
    bucket.id = id;
    bucket.name.data = (uint8_t *)name;
    bucket.name.len = strlen(name);
    meta_put_bucket(batch, &bucket);
    commit(batch);
}

/* A record that counts what is not there. */
static void miscount(struct fixture *f, uint64_t bucket)
{
    struct meta_batch *batch = meta_batch_new(f->server.cluster.meta);
    const struct meta_recount wrong = {
        .bucket = bucket, .recorded = {0, 0}, .counted = {5, 1}};
    meta_correct_usage(batch, &wrong);
    commit(batch);
}

static void expect_recount(struct fixture *f, const char *command,
                           unsigned differences, bool problem)
{
    static const char wrong[] = "{\"recorded\":{\"bytes\":5,\"objects\":1},"
                                "\"counted\":{\"bytes\":0,\"objects\":0},"
                                "\"name\":\"two\"}";
    json_t *result = ask(f, command, json_object());
    const json_t *list = json_object_get(result, "differences");
    assert_int_equal(json_is_true(json_object_get(result, "problem")), problem);
    assert_int_equal(json_array_size(list), differences);
    if (differences > 0) {
        char *text = json_dumps(json_array_get(list, 0), JSON_COMPACT);
        assert_string_equal(text, wrong);
        free(text);
    }
    json_decref(result);
}

static void test_a_wrong_record_is_told_and_mended(void **state)
{
    struct fixture *f = *state;
    put_bucket(f, "one", 1);
    put_bucket(f, "two", 2);
    expect_recount(f, "usage.verify", 0, false);
    miscount(f, 2);
    expect_recount(f, "usage.verify", 1, true);
    expect_recount(f, "usage.repair", 1, false);
    expect_recount(f, "usage.verify", 0, false);
}

/* As many as fit, and one more. */
static void test_a_list_of_buckets_has_an_end(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (unsigned i = 1; i <= ADMIN_ENTRIES_MAX; i++) {
        snprintf(name, sizeof(name), "b%05u", i);
        put_bucket(f, name, i);
    }
    put_bucket(f, "one-more", ADMIN_ENTRIES_MAX + 1);
    json_t *result = ask(f, "bucket.list", json_object());
    assert_int_equal(json_array_size(json_object_get(result, "buckets")),
                     ADMIN_ENTRIES_MAX);
    assert_true(json_is_true(json_object_get(result, "truncated")));
    json_decref(result);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_limits_go_with_their_owner),
        TEST(test_a_wrong_record_is_told_and_mended),
        TEST(test_a_list_of_buckets_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
