/*
 * Random histories of a versioned bucket against a list of versions: puts,
 * copies, deletes, version deletes, versioning switched on and suspended,
 * reads, listings in pages of random sizes. The service is closed and opened
 * again on the same store at random points. The list is the specification.
 *
 *   s3_versions_model_test [seed]     the failing seed is printed
 */
#include "kv_store.h"
#include "s3_fixture.h"

#include "base/xml_in.h"

#define STEPS    500
#define SEEDS    5
#define KEYS     5
#define VERSIONS 4096

static const char *const names[KEYS] = {"a", "a/1", "a/2", "b", "c/x"};

struct version {
    unsigned key;
    char id[40]; /* "null" */
    char body[24];
    bool marker;
};

struct world {
    struct s3_fixture fixture;
    char directory[64];
    enum { UNVERSIONED, ENABLED, SUSPENDED } versioning;
    struct version versions[VERSIONS]; /* oldest first */
    size_t count;
    unsigned bodies;
};

static unsigned seed;
static uint64_t random_state;

static unsigned below(unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % bound;
}

/* --- the model -------------------------------------------------------------*/
static struct version *newest(struct world *w, unsigned key)
{
    for (size_t i = w->count; i > 0; i--) {
        if (w->versions[i - 1].key == key) {
            return &w->versions[i - 1];
        }
    }
    return NULL;
}

static struct version *by_id(struct world *w, unsigned key, const char *id)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->versions[i].key == key && strcmp(w->versions[i].id, id) == 0) {
            return &w->versions[i];
        }
    }
    return NULL;
}

static void forget(struct world *w, struct version *version)
{
    size_t at = (size_t)(version - w->versions);

    w->count--;
    memmove(version, version + 1, (w->count - at) * sizeof(*version));
}

/* id NULL: the null version, in the place of the one there is. */
static struct version *add(struct world *w, unsigned key, const char *id,
                           const char *body)
{
    struct version *old = id == NULL ? by_id(w, key, "null") : NULL;

    if (old != NULL) {
        forget(w, old);
    }
    assert_true(w->count < VERSIONS);
    struct version *added = &w->versions[w->count++];
    added->key = key;
    snprintf(added->id, sizeof(added->id), "%s", id != NULL ? id : "null");
    snprintf(added->body, sizeof(added->body), "%s", body);
    added->marker = body[0] == '\0';
    return added;
}

/* --- the service -----------------------------------------------------------*/
static void open_store(struct world *w)
{
    struct kv *kv;

    assert_int_equal(kv_store_open(w->directory, &kv), 0);
    assert_int_equal(meta_open(kv, &w->fixture.service.meta), 0);
    assert_int_equal(
        iam_open(kv, w->fixture.master_key, &w->fixture.service.iam), 0);
}

static void close_store(struct world *w)
{
    iam_close(w->fixture.service.iam);
    meta_close(w->fixture.service.meta);
}

static struct world *open_world(void)
{
    struct world *w = xcalloc(1, sizeof(*w));

    s3_fixture_open(&w->fixture);
    close_store(w);
    unlink(w->fixture.master_key); /* of the store in memory */
    snprintf(w->directory, sizeof(w->directory), "/tmp/s3-versions-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    open_store(w);
    w->fixture.generation = s3_add_account(&w->fixture, "tester", true,
                                           FIXTURE_KEY, FIXTURE_SECRET);
    s3_make_bucket(&w->fixture, "b");
    return w;
}

static void close_world(struct world *w)
{
    s3_fixture_close(&w->fixture);
    kv_store_remove(w->directory);
    free(w);
}

/* --- steps: changes --------------------------------------------------------*/
/* The id that an answer to a write must have. */
static const char *written_id(struct world *w, const struct s3_answer *answer)
{
    const char *id = s3_header(answer, "x-amz-version-id");

    if (w->versioning == ENABLED) {
        assert_non_null(id);
        assert_int_equal(strlen(id), 32);
        return id;
    }
    assert_null(id);
    return NULL;
}

static void step_put(struct world *w)
{
    unsigned key = below(KEYS);
    struct s3_answer answer;
    char body[24];

    snprintf(body, sizeof(body), "body %u", w->bodies++);
    s3_run(&w->fixture, &answer, PUT(names[key], body));
    assert_int_equal(answer.status, 200);
    add(w, key, written_id(w, &answer), body);
    s3_answer_free(&answer);
}

static void step_delete(struct world *w)
{
    unsigned key = below(KEYS);
    struct s3_answer answer;

    s3_run(&w->fixture, &answer, DELETE(names[key]));
    assert_int_equal(answer.status, 204);
    if (w->versioning == UNVERSIONED) {
        assert_no_header(&answer, "x-amz-delete-marker");
        assert_no_header(&answer, "x-amz-version-id");
        if (newest(w, key) != NULL) {
            forget(w, newest(w, key));
        }
    } else {
        const char *id = s3_header(&answer, "x-amz-version-id");
        assert_non_null(id);
        add(w, key, w->versioning == ENABLED ? id : NULL, "");
        assert_string_equal(newest(w, key)->id, id);
        assert_header(&answer, "x-amz-delete-marker", "true");
    }
    s3_answer_free(&answer);
}

static void step_delete_version(struct world *w)
{
    unsigned key = below(KEYS);
    char id[40] = "null";
    struct s3_answer answer;
    struct version *victim;

    if (w->count > 0 && below(8) > 0) {
        victim = &w->versions[below((unsigned)w->count)];
        key = below(8) > 0 ? victim->key : key;
        memcpy(id, victim->id, sizeof(id));
    }
    victim = by_id(w, key, id);
    s3_run(&w->fixture, &answer,
           DELETE(names[key], .args = FIELDS("versionId", id)));
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "x-amz-version-id", id);
    if (victim != NULL && victim->marker) {
        assert_header(&answer, "x-amz-delete-marker", "true");
    } else {
        assert_no_header(&answer, "x-amz-delete-marker");
    }
    s3_answer_free(&answer);
    if (victim != NULL) {
        forget(w, victim);
    }
}

static void step_versioning(struct world *w)
{
    bool enable = below(2) == 0;
    const char *document =
        enable ? "<VersioningConfiguration><Status>Enabled</Status>"
                 "</VersioningConfiguration>"
               : "<VersioningConfiguration><Status>Suspended</Status>"
                 "</VersioningConfiguration>";

    s3_expect(&w->fixture, 200,
              S3_CASE(PUT_BUCKET_VERSIONING, "", .body = document,
                      .size = strlen(document)));
    w->versioning = enable ? ENABLED : SUSPENDED;
}

static void step_copy(struct world *w)
{
    struct version source;
    struct s3_answer answer;
    char header[128];
    unsigned key = below(KEYS);

    if (w->count == 0) {
        return;
    }
    source = w->versions[below((unsigned)w->count)];
    snprintf(header, sizeof(header), "/b/%s?versionId=%s", names[source.key],
             source.id);
    s3_run(&w->fixture, &answer,
           S3_CASE(COPY_OBJECT, names[key],
                   .headers = FIELDS("x-amz-copy-source", header)));
    if (source.marker) {
        assert_error(&answer, "InvalidRequest", 400);
    } else {
        assert_int_equal(answer.status, 200);
        if (w->versioning == UNVERSIONED) {
            assert_no_header(&answer, "x-amz-copy-source-version-id");
        } else {
            assert_header(&answer, "x-amz-copy-source-version-id", source.id);
        }
        add(w, key, written_id(w, &answer), source.body);
    }
    s3_answer_free(&answer);
}

static void step_restart(struct world *w)
{
    close_store(w);
    open_store(w);
}

/* --- steps: reads ----------------------------------------------------------*/
static void expect_body(struct world *w, const struct s3_answer *answer,
                        const struct version *version)
{
    assert_int_equal(answer->status, 200);
    assert_string_equal((const char *)answer->body.data, version->body);
    if (w->versioning == UNVERSIONED) {
        assert_no_header(answer, "x-amz-version-id");
    } else {
        assert_header(answer, "x-amz-version-id", version->id);
    }
}

static void step_get(struct world *w)
{
    unsigned key = below(KEYS);
    const struct version *version = newest(w, key);
    struct s3_answer answer;

    s3_run(&w->fixture, &answer, GET(names[key]));
    if (version == NULL) {
        assert_error(&answer, "NoSuchKey", 404);
        assert_no_header(&answer, "x-amz-delete-marker");
    } else if (version->marker) {
        assert_error(&answer, "NoSuchKey", 404);
        assert_header(&answer, "x-amz-delete-marker", "true");
        assert_header(&answer, "x-amz-version-id", version->id);
    } else {
        expect_body(w, &answer, version);
    }
    s3_answer_free(&answer);
}

static void step_get_version(struct world *w)
{
    struct s3_answer answer;
    unsigned key = below(KEYS);
    char id[40] = "null";
    const struct version *version;

    if (w->count > 0 && below(4) > 0) {
        version = &w->versions[below((unsigned)w->count)];
        key = below(6) > 0 ? version->key : key;
        memcpy(id, version->id, sizeof(id));
    }
    version = by_id(w, key, id);
    s3_run(&w->fixture, &answer,
           GET(names[key], .args = FIELDS("versionId", id)));
    if (version == NULL) {
        assert_error(&answer, "NoSuchVersion", 404);
    } else if (version->marker) {
        assert_error(&answer, "MethodNotAllowed", 405);
        assert_header(&answer, "x-amz-delete-marker", "true");
        assert_header(&answer, "allow", "DELETE");
        assert_non_null(s3_header(&answer, "last-modified"));
    } else {
        expect_body(w, &answer, version);
    }
    s3_answer_free(&answer);
}

/* --- listings: both sides as text ------------------------------------------*/
static struct slice child(const struct xml_node *node, const char *name)
{
    for (node = node->first; node != NULL; node = node->next) {
        if (slice_equal_string(node->name, name)) {
            return node->text;
        }
    }
    return slice_of(NULL, 0);
}

#define TEXT(slice) (int)(slice).size, (const char *)(slice).data

static void entry_text(struct buffer *out, const char *key, const char *id,
                       bool marker, bool latest, size_t size)
{
    buffer_printf(out, "%s %s %s %s %zu\n", marker ? "marker" : "version", key,
                  id, latest ? "latest" : "old", size);
}

/* One page; entries and prefixes are appended. Returns how many. */
static size_t read_page(const struct xml_node *root, struct buffer *entries,
                        struct buffer *prefixes)
{
    size_t count = 0;

    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        bool marker = slice_equal_string(node->name, "DeleteMarker");
        if (slice_equal_string(node->name, "CommonPrefixes")) {
            buffer_printf(prefixes, "%.*s\n", TEXT(child(node, "Prefix")));
            count++;
        } else if (marker || slice_equal_string(node->name, "Version")) {
            struct arena *arena = arena_new();
            uint64_t size = 0;
            assert_true(marker ||
                        slice_to_u64(child(node, "Size"), &size) == 0);
            assert_true(child(node, "LastModified").size == 24);
            entry_text(entries, arena_string(arena, child(node, "Key")),
                       arena_string(arena, child(node, "VersionId")), marker,
                       slice_equal_string(child(node, "IsLatest"), "true"),
                       size);
            arena_free(arena);
            count++;
        }
    }
    return count;
}

static void list_service(struct world *w, const char *prefix,
                         const char *delimiter, unsigned max,
                         struct buffer *entries, struct buffer *prefixes)
{
    struct arena *arena = arena_new();
    const char *key = "", *version = "";
    char number[16];
    bool more = true;

    snprintf(number, sizeof(number), "%u", max);
    for (unsigned page = 0; more; page++) {
        struct s3_answer answer;
        /* Behind a common prefix there is none, and it may not be empty. */
        const char *marker = version[0] != '\0' ? "version-id-marker" : "x-id";
        assert_true(page < VERSIONS);
        s3_run(
            &w->fixture, &answer,
            S3_CASE(LIST_OBJECT_VERSIONS, "",
                    .args = FIELDS("versions", "", "prefix", prefix,
                                   "delimiter", delimiter, "max-keys", number,
                                   "key-marker", key, marker, version)));
        assert_int_equal(answer.status, 200);
        const struct xml_node *root =
            xml_in_parse(arena, slice_of(answer.body.data, answer.body.size),
                         "ListVersionsResult");
        assert_non_null(root);
        size_t count = read_page(root, entries, prefixes);
        more = slice_equal_string(child(root, "IsTruncated"), "true");
        assert_true(count <= max);
        assert_true(!more || count == max);
        key = arena_string(arena, child(root, "NextKeyMarker"));
        version = arena_string(arena, child(root, "NextVersionIdMarker"));
        assert_true(more == (key[0] != '\0'));
        s3_answer_free(&answer);
    }
    arena_free(arena);
}

static void list_model(struct world *w, const char *prefix,
                       const char *delimiter, struct buffer *entries,
                       struct buffer *prefixes)
{
    char last[32] = "";

    for (unsigned key = 0; key < KEYS; key++) { /* names are in order */
        const struct version *top = newest(w, key);
        const char *cut;
        if (top == NULL || strncmp(names[key], prefix, strlen(prefix)) != 0) {
            continue;
        }
        cut = delimiter[0] != '\0'
                  ? strstr(names[key] + strlen(prefix), delimiter)
                  : NULL;
        if (cut != NULL) {
            char rolled[32];
            snprintf(rolled, sizeof(rolled), "%.*s",
                     (int)(cut - names[key] + 1), names[key]);
            if (strcmp(rolled, last) != 0) {
                buffer_printf(prefixes, "%s\n", rolled);
                strcpy(last, rolled);
            }
            continue;
        }
        for (size_t i = w->count; i > 0; i--) {
            const struct version *version = &w->versions[i - 1];
            if (version->key == key) {
                entry_text(entries, names[key], version->id, version->marker,
                           version == top, strlen(version->body));
            }
        }
    }
}

static void expect_text(struct buffer *found, struct buffer *wanted)
{
    buffer_append(found, "", 1);
    buffer_append(wanted, "", 1);
    assert_string_equal((char *)found->data, (char *)wanted->data);
    buffer_free(found);
    buffer_free(wanted);
}

static void step_list_versions(struct world *w)
{
    static const char *const prefixes[] = {"", "", "a", "a/", "b", "nothing"};
    const char *prefix = prefixes[below(6)];
    const char *delimiter = below(2) == 0 ? "" : "/";
    unsigned max = below(3) == 0 ? 1000 : 1 + below(4);
    struct buffer found[2] = {{0}}, wanted[2] = {{0}};

    list_service(w, prefix, delimiter, max, &found[0], &found[1]);
    list_model(w, prefix, delimiter, &wanted[0], &wanted[1]);
    expect_text(&found[0], &wanted[0]);
    expect_text(&found[1], &wanted[1]);
}

/* Keys whose newest version is a marker are not shown. */
static void step_list_objects(struct world *w)
{
    struct arena *arena = arena_new();
    struct buffer found = {0}, wanted = {0};
    struct s3_answer answer;

    s3_run(&w->fixture, &answer,
           S3_CASE(LIST_OBJECTS_V2, "", .args = FIELDS("list-type", "2")));
    assert_int_equal(answer.status, 200);
    const struct xml_node *root =
        xml_in_parse(arena, slice_of(answer.body.data, answer.body.size),
                     "ListBucketResult");
    assert_non_null(root);
    for (const struct xml_node *node = root->first; node; node = node->next) {
        if (slice_equal_string(node->name, "Contents")) {
            buffer_printf(&found, "%.*s %.*s\n", TEXT(child(node, "Key")),
                          TEXT(child(node, "Size")));
        }
    }
    for (unsigned key = 0; key < KEYS; key++) {
        const struct version *top = newest(w, key);
        if (top != NULL && !top->marker) {
            buffer_printf(&wanted, "%s %zu\n", names[key], strlen(top->body));
        }
    }
    expect_text(&found, &wanted);
    s3_answer_free(&answer);
    arena_free(arena);
}

/* --- histories -------------------------------------------------------------*/
static void step(struct world *w)
{
    static void (*const steps[])(struct world *) = {step_put,
                                                    step_put,
                                                    step_put,
                                                    step_put,
                                                    step_delete,
                                                    step_delete,
                                                    step_copy,
                                                    step_delete_version,
                                                    step_delete_version,
                                                    step_get,
                                                    step_get,
                                                    step_get_version,
                                                    step_get_version,
                                                    step_list_versions,
                                                    step_list_versions,
                                                    step_list_objects};
    unsigned which = below(40);

    if (which == 0) {
        step_restart(w);
    } else if (which == 1 && w->bodies > 10) {
        step_versioning(w);
    } else {
        steps[which % (sizeof(steps) / sizeof(steps[0]))](w);
    }
}

static void run_history(void)
{
    struct world *w = open_world();

    random_state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned i = 0; i < STEPS; i++) {
        step(w);
    }
    step_restart(w);
    for (unsigned i = 0; i < 20; i++) {
        step_get(w);
        step_get_version(w);
        step_list_versions(w);
    }
    /* Whatever is left can be deleted, and then the bucket can. */
    s3_expect(&w->fixture, w->count > 0 ? 409 : 204,
              (struct s3_case){.operation = WIRE__OPERATION__DELETE_BUCKET,
                               .bucket = "b"});
    while (w->count > 0) {
        step_delete_version(w);
    }
    close_world(w);
}

static void test_histories(void **state)
{
    unsigned first = seed > 0 ? seed : 1, last = seed > 0 ? seed : SEEDS;

    (void)state;
    for (seed = first; seed <= last; seed++) {
        printf("seed %u\n", seed);
        fflush(stdout);
        run_history();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

    seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
