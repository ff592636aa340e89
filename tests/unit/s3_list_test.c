/*
 * ListObjects, both versions: 100,000 keys against a sorted reference, then
 * each rule by itself.
 */
#include "s3_fixture.h"

#include <libxml/parser.h>

#define KEYS 100000

struct names {
    struct slice *at;
    size_t count, capacity;
};

static struct s3_fixture fixture;
static struct arena *arena; /* all names */
static struct names keys;   /* sorted, unique */
static uint64_t seed = 88172645463325252ull;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void names_add(struct names *names, const void *data, size_t size)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 1024;
        names->at = xrealloc(names->at, names->capacity * sizeof(*names->at));
    }
    names->at[names->count++] = arena_copy(arena, data, size);
}

static int by_bytes(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void make_keys(void)
{
    static const char *const pieces[] = {
        "a",    "b",    "c",        "/",    "/",
        "//",   "+",    "%",        "%41",  " ",
        "\x01", "\x7f", "\xc3\xa9", "&<>",  "\xf4\x8f\xbf\xbf",
        "~",    "dir",  "\t",       "\r\n", "\xef\xbf\xbf",
        "\"",   "0",    ".",        "..",
    };
    size_t kinds = sizeof(pieces) / sizeof(pieces[0]);
    struct names all = {0};
    struct buffer key = {0};
    for (int i = 0; i < KEYS + KEYS / 10; i++) {
        key.size = 0;
        for (unsigned n = 1 + next_random() % 9; n > 0; n--) {
            buffer_append_string(&key, pieces[next_random() % kinds]);
        }
        names_add(&all, key.data, key.size);
    }
    qsort(all.at, all.count, sizeof(*all.at), by_bytes);
    for (size_t i = 0; i < all.count; i++) {
        if (i == 0 || !slice_equal(all.at[i], all.at[i - 1])) {
            names_add(&keys, all.at[i].data, all.at[i].size);
        }
    }
    free(all.at);
    /* The random ones repeat: long ones, all distinct, make up the rest. */
    for (size_t i = 0; keys.count < KEYS; i++) {
        key.size = 0;
        buffer_printf(&key, "fill/%c/%05zu%s", (char)('a' + i % 7), i,
                      pieces[next_random() % kinds]);
        names_add(&keys, key.data, key.size);
    }
    buffer_free(&key);
    qsort(keys.at, keys.count, sizeof(*keys.at), by_bytes);
}

static uint64_t bucket_id(const char *name)
{
    struct arena *scratch = arena_new();
    Meta__Bucket *bucket;
    assert_int_equal(meta_get_bucket(fixture.service.meta, scratch,
                                     slice_from_string(name), &bucket),
                     0);
    uint64_t id = bucket->id;
    arena_free(scratch);
    return id;
}

static void put_record(struct meta_batch *batch, uint64_t bucket,
                       struct slice key, bool marker)
{
    Meta__Object object = META__OBJECT__INIT;
    object.sequence = meta_next_id(fixture.service.meta);
    object.mtime_ms = 1767225600000;
    object.etag = fixture_string("d41d8cd98f00b204e9800998ecf8427e");
    object.delete_marker = marker;
    meta_add_object(batch, bucket, key, &object);
}

static void put_all(const char *bucket, const struct names *names)
{
    uint64_t id = bucket_id(bucket);
    for (size_t i = 0; i < names->count;) {
        struct meta_batch *batch = meta_batch_new(fixture.service.meta);
        for (int n = 0; n < 1000 && i < names->count; n++, i++) {
            put_record(batch, id, names->at[i], false);
        }
        assert_int_equal(meta_commit(batch), 0);
        meta_batch_free(batch);
    }
}

static void put_one(const char *bucket, const char *key, bool marker)
{
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    put_record(batch, bucket_id(bucket), slice_from_string(key), marker);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    arena = arena_new();
    s3_make_bucket(&fixture, "many");
    s3_make_bucket(&fixture, "neighbour");
    s3_make_bucket(&fixture, "few");
    put_one("neighbour", "not mine", false);
    make_keys();
    assert_true(keys.count >= KEYS);
    put_all("many", &keys);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(keys.at);
    arena_free(arena);
    s3_fixture_close(&fixture);
    return 0;
}

/* --- the reference ---------------------------------------------------------*/
/* The first key that is not before `name`. */
static size_t first_from(struct slice name)
{
    size_t low = 0, high = keys.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(keys.at[middle], name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What follows `after`: keys, and common prefixes once each, in order. */
static void expect(struct names *out, const char *prefix, const char *delimiter,
                   struct slice after)
{
    struct slice begin = slice_from_string(prefix);
    size_t size = strlen(delimiter);
    for (size_t i = first_from(begin); i < keys.count; i++) {
        struct slice name = keys.at[i];
        if (!slice_has_prefix(name, begin)) {
            break;
        }
        const uint8_t *found =
            size == 0 ? NULL
                      : memmem(name.data + begin.size, name.size - begin.size,
                               delimiter, size);
        if (found != NULL) {
            name.size = (size_t)(found - name.data) + size;
        }
        if ((out->count == 0 || !slice_equal(out->at[out->count - 1], name)) &&
            slice_compare(name, after) > 0) {
            names_add(out, name.data, name.size);
        }
    }
}

/* --- reading answers -------------------------------------------------------*/
/* strstr() for what begins with '<': the sanitizer's own measures the whole
 * text at every call. */
static const char *find_tag(const char *at, const char *tag)
{
    size_t size = strlen(tag);
    while ((at = strchr(at, '<')) != NULL && strncmp(at, tag, size) != 0) {
        at++;
    }
    return at;
}

static struct slice element(const char **at, const char *name)
{
    char open[64], close[64];
    snprintf(open, sizeof(open), "<%s>", name);
    snprintf(close, sizeof(close), "</%s>", name);
    const char *start = find_tag(*at, open);
    if (start == NULL) {
        return (struct slice){NULL, 0};
    }
    start += strlen(open);
    const char *end = find_tag(start, close);
    assert_non_null(end);
    *at = end;
    return slice_of(start, (size_t)(end - start));
}

static struct slice first(const struct s3_answer *answer, const char *name)
{
    const char *at = (const char *)answer->body.data;
    return element(&at, name);
}

static void collect(const struct s3_answer *answer, const char *outer,
                    const char *inner, struct names *out)
{
    const char *at = (const char *)answer->body.data;
    for (;;) {
        struct slice box = element(&at, outer), name;
        if (box.data == NULL) {
            return;
        }
        const char *inside = (const char *)box.data;
        assert_int_equal(uri_decode(arena, element(&inside, inner), &name), 0);
        names_add(out, name.data, name.size);
    }
}

/* Keys and common prefixes of a page, joined in order. */
static void page_names(const struct s3_answer *answer, struct names *out)
{
    out->count = 0;
    collect(answer, "Contents", "Key", out);
    collect(answer, "CommonPrefixes", "Prefix", out);
    if (out->count > 0) {
        qsort(out->at, out->count, sizeof(*out->at), by_bytes);
    }
}

/* Pages through with tokens or markers and compares every name. */
static void walk(bool v2, const char *prefix, const char *delimiter,
                 const char *start, const char *page_size)
{
    struct names wanted = {0}, page = {0};
    char *position = arena_string(arena, slice_from_string(start));
    size_t seen = 0, limit = (size_t)atoi(page_size);
    bool truncated = true, again = false;
    expect(&wanted, prefix, delimiter, slice_from_string(start));
    while (truncated) {
        struct s3_answer answer;
        struct s3_case c = {.bucket = "many"};
        c.operation = v2 ? WIRE__OPERATION__LIST_OBJECTS_V2
                         : WIRE__OPERATION__LIST_OBJECTS;
        const char *const args[] = {"prefix",
                                    prefix,
                                    "delimiter",
                                    delimiter,
                                    "encoding-type",
                                    "url",
                                    "max-keys",
                                    page_size,
                                    !v2     ? "marker"
                                    : again ? "continuation-token"
                                            : "start-after",
                                    position,
                                    NULL};
        c.args = args;
        s3_run(&fixture, &answer, c);
        assert_int_equal(answer.status, 200);
        page_names(&answer, &page);
        truncated = slice_equal_string(first(&answer, "IsTruncated"), "true");
        assert_true(page.count <= limit);
        assert_true(!truncated || page.count == limit);
        assert_true(seen + page.count <= wanted.count);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(slice_equal(page.at[i], wanted.at[seen + i]));
        }
        seen += page.count;
        if (v2) {
            char text[24];
            snprintf(text, sizeof(text), "%zu", page.count);
            assert_true(slice_equal_string(first(&answer, "KeyCount"), text));
        }
        if (truncated) {
            struct slice next =
                first(&answer, v2 ? "NextContinuationToken" : "NextMarker");
            if (v2) {
                assert_non_null(next.data);
            } else {
                assert_int_equal(next.data != NULL, delimiter[0] != '\0');
                next = page.at[page.count - 1];
            }
            position = arena_string(arena, next);
            again = true;
        }
        s3_answer_free(&answer);
    }
    assert_int_equal(seen, wanted.count);
    free(wanted.at);
    free(page.at);
}

static void test_all(void **state)
{
    (void)state;
    walk(true, "", "", "", "1000");
    walk(false, "", "", "", "1000");
}

static void test_delimiters(void **state)
{
    static const char *const prefixes[] = {"",  "a",     "a/",   "dir/", "//",
                                           "%", "fill/", "\x01", "none"};
    static const char *const delimiters[] = {"/",   "//", "\x01",
                                             "%41", "a",  "dir"};
    (void)state;
    for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
        for (size_t d = 0; d < sizeof(delimiters) / sizeof(delimiters[0]);
             d++) {
            walk(true, prefixes[p], delimiters[d], "", "1000");
            walk(false, prefixes[p], delimiters[d], "", "1000");
        }
    }
    walk(true, "a", "/", "", "7");
    walk(false, "a", "/", "", "7");
    walk(true, "fill/", "/", "", "1");
    walk(false, "fill/", "/", "", "1");
}

static void test_starts(void **state)
{
    static const char *const starts[] = {
        "a",         "a/",
        "a/b",       "\x01",
        "nothing",   "fill/c/",
        "fill/c/05", "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf"};
    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        walk(true, "fill/", "/", starts[i], "1000");
        walk(true, "a", "", starts[i], "1000");
        walk(true, "", "/", starts[i], "1000");
        walk(false, "", "/", starts[i], "1000");
    }
}

/* Without encoding-type every page is XML all the same. */
static void test_well_formed(void **state)
{
    char *token = NULL;
    (void)state;
    for (int page = 0; page < 100; page++) {
        struct s3_answer answer;
        s3_run(
            &fixture, &answer,
            (struct s3_case){.operation = WIRE__OPERATION__LIST_OBJECTS_V2,
                             .bucket = "many",
                             .args = token ? FIELDS("continuation-token", token)
                                           : FIELDS("max-keys", "1000")});
        assert_int_equal(answer.status, 200);
        xmlDocPtr document =
            xmlReadMemory((const char *)answer.body.data, (int)answer.body.size,
                          NULL, NULL, XML_PARSE_NONET);
        assert_non_null(document);
        xmlFreeDoc(document);
        struct slice next = first(&answer, "NextContinuationToken");
        token = next.data ? arena_string(arena, next) : NULL;
        s3_answer_free(&answer);
        if (token == NULL) {
            break;
        }
    }
}

/* --- rules -----------------------------------------------------------------*/
static void list(struct s3_answer *answer, Wire__Operation operation,
                 const char *bucket, const char *const *args)
{
    s3_run(&fixture, answer,
           (struct s3_case){
               .operation = operation, .bucket = bucket, .args = args});
}

static void list2(struct s3_answer *answer, const char *const *args)
{
    list(answer, WIRE__OPERATION__LIST_OBJECTS_V2, "few", args);
}

static void bad_argument(const char *const *args)
{
    struct s3_answer answer;
    char text[128];
    for (int version = 1; version <= 2; version++) {
        list(&answer,
             version == 1 ? WIRE__OPERATION__LIST_OBJECTS
                          : WIRE__OPERATION__LIST_OBJECTS_V2,
             "few", args);
        if (version == 1 && strcmp(args[0], "continuation-token") == 0) {
            assert_int_equal(answer.status, 200);
        } else {
            assert_error(&answer, "InvalidArgument", 400);
            snprintf(text, sizeof(text), "<ArgumentName>%s</ArgumentName>",
                     args[0]);
            assert_contains(&answer, text);
            assert_contains(&answer, "<ArgumentValue>");
        }
        s3_answer_free(&answer);
    }
}

#define ATTRIBUTES "x-amz-optional-object-attributes"

static void expect_attributes(const char *const *headers, unsigned status)
{
    static const int operations[] = {WIRE__OPERATION__LIST_OBJECTS,
                                     WIRE__OPERATION__LIST_OBJECTS_V2,
                                     WIRE__OPERATION__LIST_OBJECT_VERSIONS};

    for (size_t i = 0; i < 3; i++) {
        struct s3_answer answer;

        s3_run(&fixture, &answer,
               (struct s3_case){.operation = operations[i],
                                .bucket = "few",
                                .headers = headers});
        assert_int_equal(answer.status, status);
        if (status != 200) {
            assert_error(&answer, "InvalidArgument", 400);
            assert_contains(&answer, "<ArgumentName>" ATTRIBUTES
                                     "</ArgumentName><ArgumentValue>Foo<");
        }
        s3_answer_free(&answer);
    }
}

static void test_attributes(void **state)
{
    (void)state;
    expect_attributes(FIELDS(ATTRIBUTES, "RestoreStatus"), 200);
    expect_attributes(FIELDS(ATTRIBUTES, "Foo"), 400);
    expect_attributes(FIELDS(ATTRIBUTES, "RestoreStatus, Foo"), 400);
    expect_attributes(FIELDS(ATTRIBUTES, "RestoreStatus", ATTRIBUTES, "Foo"),
                      400);
}

static void test_arguments(void **state)
{
    struct s3_answer answer;
    (void)state;
    bad_argument(FIELDS("max-keys", "blah"));
    bad_argument(FIELDS("max-keys", "-1"));
    bad_argument(FIELDS("max-keys", "99999999999"));
    bad_argument(FIELDS("encoding-type", "base64"));
    bad_argument(FIELDS("continuation-token", "blah"));
    bad_argument(FIELDS("continuation-token", ""));
    list2(&answer, FIELDS("max-keys", "5000"));
    assert_contains(&answer, "<MaxKeys>1000</MaxKeys>");
    s3_answer_free(&answer);
    list(&answer, WIRE__OPERATION__LIST_OBJECTS_V2, "many",
         FIELDS("max-keys", "0"));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<KeyCount>0</KeyCount><MaxKeys>0</MaxKeys>"
                             "<IsTruncated>false</IsTruncated>"
                             "</ListBucketResult>");
    s3_answer_free(&answer);
}

/* A token is refused when any one of its characters is another. */
static void test_token_damage(void **state)
{
    struct s3_answer answer;
    (void)state;
    list(&answer, WIRE__OPERATION__LIST_OBJECTS_V2, "many",
         FIELDS("max-keys", "1", "start-after", "fill/"));
    char *token = arena_string(arena, first(&answer, "NextContinuationToken"));
    s3_answer_free(&answer);
    size_t size = strlen(token);
    assert_true(size > 8);
    for (size_t i = 0; i + 1 < size; i++) {
        char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        list(&answer, WIRE__OPERATION__LIST_OBJECTS_V2, "many",
             FIELDS("continuation-token", token));
        assert_error(&answer, "InvalidArgument", 400);
        s3_answer_free(&answer);
        token[i] = was;
    }
    list(&answer, WIRE__OPERATION__LIST_OBJECTS_V2, "many",
         FIELDS("continuation-token", token, "start-after", "zzz"));
    assert_int_equal(answer.status, 200); /* it wins over start-after */
    assert_true(first(&answer, "Key").size > 0);
    s3_answer_free(&answer);
}

static void test_entry(void **state)
{
    struct s3_answer answer;
    (void)state;
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "few",
                               .key = "entry/",
                               .body = "hello",
                               .size = 5});
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "few",
                               .key = "entry/below",
                               .body = "hello",
                               .size = 5});
    list2(&answer, FIELDS("prefix", "entry/", "delimiter", "/"));
    assert_contains(&answer, "<Name>few</Name><Prefix>entry/</Prefix>"
                             "<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>"
                             "<Delimiter>/</Delimiter>"
                             "<IsTruncated>false</IsTruncated><Contents>"
                             "<Key>entry/</Key><LastModified>20");
    assert_contains(&answer,
                    "<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag>"
                    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
                    "<ChecksumType>FULL_OBJECT</ChecksumType><Size>5</Size>"
                    "<StorageClass>STANDARD</StorageClass></Contents>");
    assert_null(strstr((char *)answer.body.data, "<Owner>"));
    s3_answer_free(&answer);
    list2(&answer, FIELDS("fetch-owner", "true", "prefix", "entry/"));
    assert_contains(&answer, "<DisplayName>tester</DisplayName></Owner>");
    s3_answer_free(&answer);
    list(
        &answer, WIRE__OPERATION__LIST_OBJECTS, "few",
        FIELDS("prefix", "entry/", "marker", "entry/", "encoding-type", "url"));
    assert_contains(&answer, "<Marker>entry/</Marker>");
    assert_contains(&answer, "<EncodingType>url</EncodingType>");
    assert_contains(&answer, "<Key>entry/below</Key>");
    assert_contains(&answer, "<DisplayName>tester</DisplayName></Owner>");
    assert_null(strstr((char *)answer.body.data, "<Key>entry/</Key>"));
    s3_answer_free(&answer);
}

static void test_delete_markers(void **state)
{
    struct s3_answer answer;
    (void)state;
    put_one("few", "gone/a", false);
    put_one("few", "gone/a", true);
    put_one("few", "gone/b", true);
    list2(&answer, FIELDS("prefix", "gone", "delimiter", "/"));
    assert_contains(&answer, "<KeyCount>0</KeyCount>");
    s3_answer_free(&answer);
    put_one("few", "gone/c", true);
    put_one("few", "gone/c", false);
    list2(&answer, FIELDS("prefix", "gone", "delimiter", "/"));
    assert_contains(&answer, "<KeyCount>1</KeyCount>");
    assert_contains(&answer, "<CommonPrefixes><Prefix>gone/</Prefix>"
                             "</CommonPrefixes>");
    s3_answer_free(&answer);
    list2(&answer, FIELDS("prefix", "gone"));
    assert_contains(&answer, "<KeyCount>1</KeyCount>");
    assert_contains(&answer, "<Key>gone/c</Key>");
    s3_answer_free(&answer);
}

/* A key that cannot be decoded ends any scan that comes to it: the listing
 * must go round what is below a common prefix. */
static void test_seeks_past_prefixes(void **state)
{
    struct kv *kv = meta_kv(fixture.service.meta);
    struct buffer poison = {0};
    struct s3_answer answer;
    uint8_t id[8];
    (void)state;
    put_one("few", "seek/a/1", false);
    put_one("few", "seek/a/3", false);
    put_one("few", "seek/b", false);
    put_u64be(id, bucket_id("few"));
    buffer_append_string(&poison, "O");
    buffer_append(&poison, id, 8);
    buffer_append_string(&poison, "seek/a/2"); /* no terminator, no sequence */
    struct kv_batch *batch = kv_batch_new();
    kv_batch_put(batch, slice_of(poison.data, poison.size), SLICE_LITERAL("x"));
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
    list2(&answer, FIELDS("prefix", "seek/"));
    assert_error(&answer, "InternalError", 500);
    s3_answer_free(&answer);
    list2(&answer, FIELDS("prefix", "seek/", "delimiter", "/"));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<Prefix>seek/a/</Prefix>");
    assert_contains(&answer, "<Key>seek/b</Key>");
    s3_answer_free(&answer);
    batch = kv_batch_new();
    kv_batch_delete(batch, slice_of(poison.data, poison.size));
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
    buffer_free(&poison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_delimiters),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_token_damage),
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_delete_markers),
        cmocka_unit_test(test_seeks_past_prefixes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
