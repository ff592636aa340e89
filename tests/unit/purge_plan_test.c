/* From an entry of the stream to requests. */
#include "purge/plan.h"
#include "purge_fixture.h"

#include <errno.h>

/* --- requests --------------------------------------------------------------*/
/* A line for each, with the parts apart by '|'. */
static void add_line(void *context, struct slice request)
{
    struct buffer *lines = context;
    const char *part;
    while ((part = plan_next_part(&request)) != NULL) {
        buffer_printf(lines, "%s%s", part, request.size > 0 ? "|" : "\n");
    }
}

static void assert_plan(const char *text, const char *bucket, const char *key,
                        const char *tags, const char *expected)
{
    struct purge_config *config = fixture_config(text);
    const struct purge_event event = {.bucket = slice_from_string(bucket),
                                      .key = slice_from_string(key),
                                      .tags = slice_from_string(tags),
                                      .purges = true};
    struct buffer lines = {0};
    plan_event(config, 0, &event, add_line, &lines);
    buffer_append(&lines, "", 1);
    assert_string_equal((const char *)lines.data, expected);
    buffer_free(&lines);
    purge_config_free(config);
}

#define SITE(rule) CONFIG(EDGE, TEMPLATE, "{ bucket = \"site\"; " rule " }")
#define STATIC                                                                 \
    SITE("index = ( \"index.html\", \"i.htm\" ); "                             \
         "suffixes = ( \".br\", \".gz\" );")
#define AT(path) "PURGE|http://e.test" path "\n"

static void test_keys(void **state)
{
    (void)state;
    assert_plan(SITE(""), "site", "a/b.css", "", AT("/a/b.css"));
    assert_plan(SITE(""), "other", "a/b.css", "", "");
    assert_plan(SITE(""), "site", "a b/\r\n?#%\xC3\xA9/../+", "",
                AT("/a%20b/%0D%0A%3F%23%25%C3%A9/../%2B"));
    assert_plan(SITE("prefix = \"web/\"; paths = ( \"/assets/${rest}\" );"),
                "site", "web/x y", "", AT("/assets/x%20y"));
    assert_plan(SITE("prefix = \"web/\";"), "site", "we", "", "");
    assert_plan(SITE("paths = ( \"/1${key}\", \"/2?k=${key_encoded}\","
                     " \"/${bucket}/${directory}*\" );"),
                "site", "a/b", "",
                AT("/1a/b") AT("/2?k=a%2Fb") AT("/site/a/*"));
    assert_plan(CONFIG(EDGE, TEMPLATE,
                       "{ bucket = \"*\"; paths = "
                       "( \"/${bucket}/${key}\" ); }"),
                "any", "k", "", AT("/any/k"));
}

static void test_forms(void **state)
{
    (void)state;
    assert_plan(STATIC, "site", "a/index.html", "",
                AT("/a/index.html") AT("/a/") AT("/a"));
    assert_plan(STATIC, "site", "index.html", "", AT("/index.html") AT("/"));
    assert_plan(STATIC, "site", "a/i.htm.br", "",
                AT("/a/i.htm.br") AT("/a/i.htm") AT("/a/") AT("/a"));
    assert_plan(STATIC, "site", "s.css.gz", "", AT("/s.css.gz") AT("/s.css"));
    assert_plan(STATIC, "site", ".gz", "", AT("/.gz"));
    assert_plan(STATIC, "site", "a/xindex.html", "", AT("/a/xindex.html"));
    assert_plan(STATIC, "site", "/index.html", "",
                AT("//index.html") AT("//")); /* not "" */
    assert_plan(SITE("prefix = \"web/\"; index = ( \"index.html\" );"
                     " paths = ( \"/${rest}\" );"),
                "site", "web/index.html", "", AT("/index.html") AT("/"));
}

static void test_tags(void **state)
{
    static const char text[] = CONFIG(
        EDGE,
        "{ name = \"t\"; method = \"POST\"; url = \"${edge}/purge/${tag}\";"
        " headers = ( \"Tag: ${tag}\", \"Soft: 1\" ); }",
        "{ bucket = \"site\"; index = ( \"index.html\" ); }");
    (void)state;
    assert_plan(text, "site", "k", "", "");
    assert_plan(text, "site", "k", " a/b,\tc\r\n",
                "POST|http://e.test/purge/a%2Fb|Tag: a/b|Soft: 1\n"
                "POST|http://e.test/purge/c|Tag: c|Soft: 1\n");
}

/* Once for the key, and never of what lies above it. */
static void test_without_path(void **state)
{
    static const char text[] = CONFIG(
        EDGE,
        "{ name = \"t\"; method = \"BAN\"; url = \"${edge}/${directory}*\"; },"
        "{ name = \"u\"; method = \"BAN\"; url = \"${edge}/?${key_encoded}\"; "
        "},"
        "{ name = \"p\"; }",
        "{ bucket = \"site\"; index = ( \"index.html\" );"
        " paths = ( \"/${directory}+\" ); }");
    (void)state;
    assert_plan(text, "site", "a/b/index.html", "",
                "BAN|http://e.test/a/b/*\n"
                "BAN|http://e.test/?a%2Fb%2Findex.html\n" AT("/a/b/+")
                    AT("/a/b/+") AT("/a/b/+"));
}

static void test_rules(void **state)
{
    static const char text[] =
        CONFIG(EDGE ", { name = \"f\"; url = \"http://f.test\"; }",
               "{ name = \"t\"; }, { name = \"all\"; method = \"BAN\"; url = "
               "\"${edge}/${prefix}*\"; }",
               "{ bucket = \"site\"; templates = ( \"t\" ); },"
               "{ bucket = \"site\"; prefix = \"app/\"; "
               "templates = ( \"all\" ); },"
               "{ bucket = \"site\"; edges = ( \"f\" ); }");
    (void)state;
    assert_plan(text, "site", "app/x", "",
                AT("/app/x") "BAN|http://e.test/app/*\n");
    assert_plan(text, "site", "x", "", AT("/x"));
}

/* --- events ----------------------------------------------------------------*/
#define RECORD(name, bucket, key)                                              \
    "{\"eventName\":\"" name "\",\"eventTime\":\"2026-01-02T03:04:05.678Z\","  \
    "\"s3\":{\"bucket\":{\"name\":\"" bucket "\"},\"object\":{\"key\":\"" key  \
    "\"}}}"
#define MESSAGE(records) "{\"Records\":[" records "]}"

static int parse(struct arena *arena, const char *text,
                 struct purge_event **events, size_t *count)
{
    return event_parse(arena, slice_from_string(text), SLICE_LITERAL("t"),
                       events, count);
}

static void test_events(void **state)
{
    struct arena *arena = arena_new();
    struct purge_event *events;
    size_t count;
    (void)state;
    assert_int_equal(
        parse(arena,
              MESSAGE(RECORD("ObjectCreated:Put", "b",
                             "a+b%2Bc/%C3%A9") "," RECORD("ObjectTagging:Put",
                                                          "b", "k")),
              &events, &count),
        0);
    assert_int_equal(count, 2);
    assert_true(slice_equal_string(events[0].key, "a b+c/\xC3\xA9"));
    assert_true(slice_equal_string(events[0].bucket, "b"));
    assert_true(slice_equal_string(events[0].tags, "t"));
    assert_int_equal(events[0].time_ms, 1767323045678);
    assert_true(events[0].purges);
    assert_false(events[1].purges);
    assert_int_equal(parse(arena,
                           MESSAGE(RECORD("s3:ObjectRemoved:Delete", "b", "k")),
                           &events, &count),
                     0);
    assert_true(events[0].purges);
    assert_int_equal(
        parse(arena, "{\"Event\":\"s3:TestEvent\"}", &events, &count), 0);
    assert_int_equal(count, 0);
    arena_free(arena);
}

static void test_no_events(void **state)
{
    static const char *const strange[] = {
        "",
        "[]",
        "{}",
        "{\"Records\":{}}",
        "{\"Records\":[1]}",
        MESSAGE(RECORD("ObjectCreated:Put", "", "k")),
        MESSAGE(RECORD("ObjectCreated:Put", "b", "")),
        MESSAGE(RECORD("ObjectCreated:Put", "b", "%4")),
        MESSAGE(RECORD("ObjectCreated:Put", "b", "k")) "x",
    };
    struct arena *arena = arena_new();
    struct purge_event *events;
    size_t count;
    (void)state;
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        assert_int_equal(parse(arena, strange[i], &events, &count), -EINVAL);
        assert_int_equal(count, 0);
    }
    for (unsigned size = 1024; size <= 1025; size++) {
        char key[1026] = {0}, text[2048];
        memset(key, 'k', size);
        snprintf(text, sizeof(text),
                 MESSAGE(RECORD("ObjectCreated:Put", "b", "%s")), key);
        assert_int_equal(parse(arena, text, &events, &count),
                         size == 1024 ? 0 : -EINVAL);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),         cmocka_unit_test(test_forms),
        cmocka_unit_test(test_tags),         cmocka_unit_test(test_rules),
        cmocka_unit_test(test_without_path), cmocka_unit_test(test_events),
        cmocka_unit_test(test_no_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
