/*
 * The keyring: its file, its keys, and what the parser refuses.
 */
#include "crypt_fixture.h"

#include <jansson.h>
#include <pthread.h>

static const struct slice bound = {(const uint8_t *)"bucket/key", 10};
static const struct slice sse_s3 = {NULL, 0};
static const struct slice photos = {(const uint8_t *)"photos", 6};
static uint8_t object_key[CRYPT_KEY_SIZE], out[CRYPT_KEY_SIZE];
static char path[96];

static int setup(void **state)
{
    directory_setup(state);
    snprintf(path, sizeof(path), "%s/keyring", (char *)*state);
    fill(object_key, sizeof(object_key), 0);
    return 0;
}

static struct crypt_provider *open_keyring(void)
{
    struct crypt_provider *provider;
    assert_int_equal(crypt_keyring_open(path, &provider), 0);
    return provider;
}

static void assert_wraps(struct crypt_provider *provider, struct slice key,
                         const char *key_id, struct crypt_envelope *envelope)
{
    assert_int_equal(crypt_wrap(provider, key, bound, object_key, envelope), 0);
    assert_string_equal(envelope->key_id, key_id);
    assert_true(crypt_wrapped_by(provider, envelope));
}

static void assert_unwraps(struct crypt_provider *provider,
                           const struct crypt_envelope *envelope)
{
    memset(out, 0, sizeof(out));
    assert_int_equal(crypt_unwrap(provider, bound, envelope, out), 0);
    assert_memory_equal(out, object_key, sizeof(out));
}

/* --- the file --------------------------------------------------------------*/
static void write_file(const void *data, size_t size, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static size_t read_file(uint8_t *data, size_t capacity)
{
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    const ssize_t n = read(fd, data, capacity);
    assert_true(n > 0);
    close(fd);
    return (size_t)n;
}

static void golden_record(uint8_t *record, const char *name, uint8_t flags,
                          uint32_t version, uint8_t key)
{
    record[0] = (uint8_t)strlen(name);
    record[1] = flags;
    put_u32le(record + 4, version);
    put_u64le(record + 8,
              UINT64_C(1699999999000) + 1000 * (uint64_t)(key / 0x20 - 1));
    memcpy(record + 16, name, strlen(name));
    fill(record + 80, CRYPT_KEY_SIZE, key);
}

#define GOLDEN_SIZE (16 + 3 * 128 + 4)

static void golden_file(uint8_t file[GOLDEN_SIZE])
{
    memset(file, 0, GOLDEN_SIZE);
    memcpy(file, "S3DKEYRG\1\0\0\0\3", 13);
    golden_record(file + 16, "", 0, 1, 0x40);
    golden_record(file + 16 + 128, "", 0, 2, 0x60);
    golden_record(file + 16 + 256, "photos", 1, 1, 0x80);
    put_u32le(file + GOLDEN_SIZE - 4, crc32c_bytes(file, GOLDEN_SIZE - 4));
}

static void test_golden(void **state)
{
    uint8_t file[GOLDEN_SIZE], again[GOLDEN_SIZE + 1];
    struct crypt_envelope envelope = {.key_id = ":1", .size = 82};
    uint8_t id[CRYPT_KEYRING_ID_SIZE];
    (void)state;
    golden_file(file);
    assert_hex(file + GOLDEN_SIZE - 4, 4, "f5c0f2ca");
    write_file(file, sizeof(file), 0600);
    struct crypt_provider *provider = open_keyring();
    hex_decode(envelope.wrapped,
               SLICE_LITERAL("0102a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5"
                             "b6b7b8b9babbbcbdbebf3481becf8f3fe856352abc5fd268"
                             "579ad9d7724d3c6ecdd9a0893af305c3ed9ffe03f8fee686"
                             "eaf7b6bf6e232657b9d2"));
    assert_unwraps(provider, &envelope);
    assert_wraps(provider, sse_s3, ":2", &envelope);
    assert_int_equal(crypt_check_key(provider, photos), -EACCES);
    crypt_keyring_id(provider, id);
    assert_hex(id, sizeof(id), "1f2c9a6522f3cd0bf780e232e9492d0e");
    /* There and back gives the same bytes. */
    assert_int_equal(crypt_key_enable(provider, photos, true), 0);
    assert_int_equal(crypt_key_enable(provider, photos, false), 0);
    assert_int_equal(read_file(again, sizeof(again)), sizeof(file));
    assert_memory_equal(again, file, sizeof(file));
    crypt_provider_close(provider);
}

static void test_made_once(void **state)
{
    struct crypt_envelope envelope;
    char leftover[104];
    struct stat st;
    (void)state;
    snprintf(leftover, sizeof(leftover), "%s.new", path);
    const int fd = open(leftover, O_WRONLY | O_CREAT, 0644); /* a crash */
    assert_true(fd >= 0);
    close(fd);
    struct crypt_provider *provider = open_keyring();
    assert_wraps(provider, sse_s3, ":1", &envelope);
    crypt_provider_close(provider);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 16 + 128 + 4);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(access(leftover, F_OK), -1);
    provider = open_keyring();
    assert_unwraps(provider, &envelope);
    crypt_provider_close(provider);
}

static void test_bad_files(void **state)
{
    struct crypt_provider *provider = NULL;
    uint8_t file[GOLDEN_SIZE];
    golden_file(file);
    write_file(file, sizeof(file), 0640);
    assert_int_equal(crypt_keyring_open(path, &provider), -EACCES);
    write_file(file, sizeof(file), 0604);
    assert_int_equal(crypt_keyring_open(path, &provider), -EACCES);
    write_file(file, sizeof(file) - 1, 0600);
    assert_int_equal(crypt_keyring_open(path, &provider), -EBADMSG);
    write_file("", 0, 0600);
    assert_int_equal(crypt_keyring_open(path, &provider), -EBADMSG);
    assert_int_equal(unlink(path), 0);
    strcpy(path, *state); /* a directory */
    assert_int_equal(crypt_keyring_open(path, &provider), -EBADMSG);
    strcat(path, "/none/keyring");
    assert_int_equal(crypt_keyring_open(path, &provider), -ENOENT);
    assert_null(provider);
}

/* --- the parser ------------------------------------------------------------*/
static int check_summed(uint8_t *file, size_t size)
{
    put_u32le(file + size - 4, crc32c_bytes(file, size - 4));
    return keyring_check(file, size);
}

static void test_every_bit(void **state)
{
    uint8_t file[GOLDEN_SIZE];
    (void)state;
    golden_file(file);
    for (size_t bit = 0; bit < 8 * sizeof(file); bit++) {
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(keyring_check(file, sizeof(file)), -EBADMSG);
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < sizeof(file); size++) {
        assert_int_equal(keyring_check(file, size), -EBADMSG);
    }
    assert_int_equal(keyring_check(file, sizeof(file)), 0);
}

/* With the right checksum: what the rules refuse. */
static void test_rules(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {
        {0, 's'},            /* magic */
        {8, 2},              /* version */
        {10, 1},             /* zeros of the header */
        {12, 2},             /* count */
        {15, 1},             /* count */
        {16, 1},             /* a name of one NUL */
        {16, 200},           /* longer than may be */
        {17, 1},             /* SSE-S3's disabled */
        {17, 2},             /* no such flag */
        {18, 1},             /* zeros */
        {20, 0},             /* version 0 */
        {20, 2},             /* the first is not 1 */
        {32, 'x'},           /* bytes behind the name */
        {16 + 112, 1},       /* zeros at the end */
        {16 + 128 + 1, 1},   /* disabled, its other version is not */
        {16 + 128 + 4, 1},   /* twice */
        {16 + 128 + 4, 3},   /* one left out */
        {16 + 256, 0},       /* a name that is not all */
        {16 + 256, 5},       /* the same */
        {16 + 256 + 4, 2},   /* its first is not 1 */
        {16 + 256 + 16, ' '} /* not of a name */
    };
    uint8_t file[GOLDEN_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        golden_file(file);
        assert_int_not_equal(file[bad[i].at], bad[i].value);
        file[bad[i].at] = bad[i].value;
        assert_int_equal(check_summed(file, sizeof(file)), -EBADMSG);
    }
    golden_file(file); /* names that descend */
    golden_record(file + 16 + 128, "zoo", 0, 1, 0x60);
    file[16 + 128 + 1] = 0;
    assert_int_equal(check_summed(file, sizeof(file)), -EBADMSG);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Mutations with the right checksum: refused, or a keyring in which all can
 * be read. Sizes vary; the copy on the heap is of that size, for ASan. */
static void test_mutations(void **state)
{
    uint8_t golden[GOLDEN_SIZE];
    uint32_t seed = 2463534242u;
    (void)state;
    golden_file(golden);
    for (unsigned round = 0; round < 20000; round++) {
        const size_t cut = next_random(&seed) % 4 == 0
                               ? next_random(&seed) % (sizeof(golden) - 4)
                               : 0;
        const size_t size = sizeof(golden) - cut;
        uint8_t *file = xmalloc(size);
        memcpy(file, golden, size);
        for (unsigned n = next_random(&seed) % 4; n > 0; n--) {
            file[next_random(&seed) % size] = (uint8_t)next_random(&seed);
        }
        if (check_summed(file, size) == 0) {
            const struct keyring_file keyring = {file, size};
            for (size_t i = 0; i < keyring_count(&keyring); i++) {
                const struct master_key key = keyring_at(&keyring, i);
                assert_true(key.name.size <= KEY_NAME_MAX);
                assert_true(key.version >= 1);
                assert_true(key.key + CRYPT_KEY_SIZE <= file + size);
            }
        }
        free(file);
    }
}

/* --- keys ------------------------------------------------------------------*/
static void test_names(void **state)
{
    struct crypt_provider *provider = open_keyring();
    char longest[KEY_NAME_MAX + 1];
    struct crypt_envelope envelope;
    (void)state;
    memset(longest, 'k', sizeof(longest));
    assert_int_equal(crypt_key_add(provider, photos), 0);
    assert_int_equal(crypt_key_add(provider, photos), -EEXIST);
    assert_int_equal(crypt_key_add(provider, sse_s3), -EINVAL);
    assert_int_equal(crypt_key_add(provider, SLICE_LITERAL("a b")), -EINVAL);
    assert_int_equal(crypt_key_add(provider, SLICE_LITERAL("a:1")), -EINVAL);
    assert_int_equal(crypt_key_add(provider, slice_of("a\0b", 3)), -EINVAL);
    assert_int_equal(crypt_key_add(provider, slice_of(longest, 65)), -EINVAL);
    assert_int_equal(crypt_key_add(provider, slice_of(longest, 64)), 0);
    assert_int_equal(crypt_key_add(provider, SLICE_LITERAL("A/b_c-9")), 0);
    assert_wraps(provider, photos, "photos:1", &envelope);
    assert_unwraps(provider, &envelope);
    assert_wraps(provider, slice_of(longest, 64),
                 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
                 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk:1",
                 &envelope);
    assert_int_equal(crypt_wrap(provider, SLICE_LITERAL("photo"), bound,
                                object_key, &envelope),
                     -ENOENT);
    assert_int_equal(crypt_check_key(provider, photos), 0);
    assert_int_equal(crypt_check_key(provider, sse_s3), 0);
    assert_int_equal(crypt_check_key(provider, SLICE_LITERAL("none")), -ENOENT);
    assert_int_equal(crypt_check_key(provider, SLICE_LITERAL("no ne")),
                     -ENOENT);
    crypt_provider_close(provider);
}

static void test_rotation(void **state)
{
    struct crypt_envelope first, second, other;
    struct crypt_provider *provider = open_keyring();
    uint8_t before_id[CRYPT_KEYRING_ID_SIZE], after[CRYPT_KEYRING_ID_SIZE];
    (void)state;
    crypt_keyring_id(provider, before_id);
    assert_int_equal(crypt_key_add(provider, photos), 0);
    assert_wraps(provider, sse_s3, ":1", &first);
    assert_wraps(provider, photos, "photos:1", &other);
    assert_int_equal(crypt_key_rotate(provider, sse_s3), 0);
    assert_int_equal(crypt_key_rotate(provider, SLICE_LITERAL("x")), -ENOENT);
    crypt_keyring_id(provider, after);
    assert_memory_equal(before_id, after, sizeof(after));
    assert_wraps(provider, sse_s3, ":2", &second);
    crypt_provider_close(provider);
    provider = open_keyring();
    assert_unwraps(provider, &first);
    assert_unwraps(provider, &second);
    assert_unwraps(provider, &other);
    assert_wraps(provider, photos, "photos:1", &other);

    /* The bytes stay, their envelope moves to the newest version. */
    assert_int_equal(crypt_rewrap(provider, provider, sse_s3, bound, &first),
                     0);
    assert_string_equal(first.key_id, ":2");
    assert_unwraps(provider, &first);
    const struct crypt_envelope before = first;
    assert_int_equal(
        crypt_rewrap(provider, provider, SLICE_LITERAL("none"), bound, &first),
        -ENOENT);
    assert_memory_equal(&before, &first, sizeof(first));
    crypt_provider_close(provider);
}

static void test_enable(void **state)
{
    struct crypt_provider *provider = open_keyring();
    struct crypt_envelope envelope;
    (void)state;
    assert_int_equal(crypt_key_add(provider, photos), 0);
    assert_wraps(provider, photos, "photos:1", &envelope);
    assert_int_equal(crypt_key_enable(provider, photos, false), 0);
    for (unsigned opened = 0; opened < 2; opened++) {
        assert_int_equal(crypt_check_key(provider, photos), -EACCES);
        assert_int_equal(
            crypt_wrap(provider, photos, bound, object_key, &envelope),
            -EACCES);
        assert_int_equal(crypt_unwrap(provider, bound, &envelope, out),
                         -EACCES);
        crypt_provider_close(provider);
        provider = open_keyring();
    }
    assert_int_equal(crypt_key_rotate(provider, photos), 0);
    assert_int_equal(crypt_check_key(provider, photos), -EACCES);
    assert_int_equal(crypt_key_enable(provider, photos, true), 0);
    assert_unwraps(provider, &envelope);
    assert_wraps(provider, photos, "photos:2", &envelope);
    assert_int_equal(crypt_key_enable(provider, sse_s3, false), -EINVAL);
    assert_int_equal(crypt_key_enable(provider, SLICE_LITERAL("x"), false),
                     -ENOENT);
    crypt_provider_close(provider);
}

static void test_foreign_envelopes(void **state)
{
    struct crypt_provider *provider = open_keyring();
    struct crypt_envelope envelope, good;
    (void)state;
    assert_int_equal(crypt_key_add(provider, photos), 0);
    assert_wraps(provider, sse_s3, ":1", &good);
    envelope = good;
    strcpy(envelope.key_id, "photos:1"); /* another master key */
    assert_int_equal(crypt_unwrap(provider, bound, &envelope, out), -EBADMSG);
    strcpy(envelope.key_id, ":2");
    assert_int_equal(crypt_unwrap(provider, bound, &envelope, out), -ENOENT);
    strcpy(envelope.key_id, ":0");
    assert_int_equal(crypt_unwrap(provider, bound, &envelope, out), -EBADMSG);
    strcpy(envelope.key_id, ":01"); /* the same key, but not the same id */
    assert_int_equal(crypt_unwrap(provider, bound, &envelope, out), -EBADMSG);
    assert_int_equal(
        crypt_unwrap(provider, SLICE_LITERAL("bucket/kez"), &good, out),
        -EBADMSG);
    crypt_wrap_customer(object_key, bound, object_key, &envelope);
    assert_false(crypt_wrapped_by(provider, &envelope));
    assert_int_equal(crypt_unwrap(provider, bound, &envelope, out), -EBADMSG);
    crypt_provider_close(provider);
}

static void test_list(void **state)
{
    struct crypt_provider *provider = open_keyring();
    struct buffer text = {0};
    (void)state;
    assert_int_equal(crypt_key_add(provider, photos), 0);
    assert_int_equal(crypt_key_rotate(provider, photos), 0);
    assert_int_equal(crypt_key_enable(provider, photos, false), 0);
    assert_int_equal(crypt_key_list(provider, &text), 0);
    json_t *object = json_loadb((char *)text.data, text.size, 0, NULL);
    const char *names[2];
    int versions[2], enabled[2];
    json_int_t created[2];
    assert_int_equal(
        json_unpack_ex(object, NULL, JSON_STRICT,
                       "{s:[{s:s,s:i,s:b,s:I!},{s:s,s:i,s:b,s:I!}!]!}", "keys",
                       "name", &names[0], "versions", &versions[0], "enabled",
                       &enabled[0], "created", &created[0], "name", &names[1],
                       "versions", &versions[1], "enabled", &enabled[1],
                       "created", &created[1]),
        0);
    assert_string_equal(names[0], "");
    assert_int_equal(versions[0], 1);
    assert_true(enabled[0]);
    assert_string_equal(names[1], "photos");
    assert_int_equal(versions[1], 2);
    assert_false(enabled[1]);
    assert_true(created[1] > 1700000000000);
    json_decref(object);
    buffer_free(&text);
    crypt_provider_close(provider);
}

/* --- threads: keys are used while they are rotated and listed --------------*/
static void *use_keys(void *context)
{
    uint8_t key[CRYPT_KEY_SIZE];
    struct crypt_envelope envelope;
    for (unsigned i = 0; i < 500; i++) {
        if (crypt_wrap(context, i % 2 ? photos : sse_s3, bound, object_key,
                       &envelope) != 0 ||
            crypt_unwrap(context, bound, &envelope, key) != 0 ||
            memcmp(key, object_key, sizeof(key)) != 0) {
            return context;
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct crypt_provider *provider = open_keyring();
    pthread_t threads[4];
    (void)state;
    assert_int_equal(crypt_key_add(provider, photos), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_keys, provider),
                         0);
    }
    for (unsigned i = 0; i < 20; i++) {
        struct buffer text = {0};
        assert_int_equal(crypt_key_rotate(provider, i % 2 ? photos : sse_s3),
                         0);
        assert_int_equal(crypt_key_list(provider, &text), 0);
        buffer_free(&text);
    }
    for (unsigned i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    crypt_provider_close(provider);
}

/* The file cannot be replaced: nothing changes. */
static void test_failed_write(void **state)
{
    struct crypt_provider *provider = open_keyring();
    char obstacle[128];
    (void)state;
    snprintf(obstacle, sizeof(obstacle), "%s.new", path);
    assert_int_equal(mkdir(obstacle, 0700), 0);
    assert_int_equal(crypt_key_add(provider, photos), -EISDIR);
    assert_int_equal(crypt_check_key(provider, photos), -ENOENT);
    assert_int_equal(rmdir(obstacle), 0);
    assert_int_equal(crypt_key_add(provider, photos), 0);
    crypt_provider_close(provider);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup, directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_golden),       TEST(test_made_once),
        TEST(test_bad_files),    TEST(test_every_bit),
        TEST(test_rules),        TEST(test_mutations),
        TEST(test_names),        TEST(test_rotation),
        TEST(test_enable),       TEST(test_foreign_envelopes),
        TEST(test_list),         TEST(test_threads),
        TEST(test_failed_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
