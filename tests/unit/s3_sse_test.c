/*
 * Objects of every mode: what is stored, what is read back, what is told.
 */
#include "s3_sse_fixture.h"

static const size_t sizes[] = {0,     1,      65535,  65536,
                               65537, 131072, 131073, 5 * MIB + 3};

/* --- written and read ------------------------------------------------------*/
static void every_mode_and_size(void **state)
{
    (void)state;
    for (enum mode mode = PLAIN; mode < MODES; mode++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct s3_answer answer;

            put_as(&answer, "k", mode, bytes, sizes[i]);
            tells(&answer, mode);
            s3_answer_free(&answer);
            holds("k", mode, bytes, sizes[i]);
            head_tells("k", mode);
        }
    }
}

/* What is on the drives is not what the client sent, and is of the size that
 * crypt.h says; plain objects are as before. */
static void only_sealed_bytes_are_stored(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (enum mode mode = PLAIN; mode < MODES; mode++) {
        Meta__Object *object;
        Layout__Layout *layout;
        uint8_t *data;

        put("k", mode, bytes, 200000);
        object = record(arena, "k");
        layout = stored(arena, object->blob, &data);
        assert_int_equal(object->size, 200000);
        if (mode == PLAIN) {
            assert_null(object->encryption);
            assert_int_equal(layout->size, 200000);
            assert_memory_equal(data, bytes, 200000);
            continue;
        }
        assert_int_equal(layout->size, crypt_sealed_size(200000));
        assert_null(memmem(data, layout->size, bytes, 16));
        assert_null(memmem(data, layout->size, bytes + 150000, 16));
    }
    arena_free(arena);
}

/* Blocks of 64 KiB under AES-256-GCM with the key of the blob's id: anybody
 * who has the object key can read them without s3d. */
static void sealed_as_documented(void **state)
{
    struct arena *arena = arena_new();
    uint8_t key[CRYPT_KEY_SIZE], block[CRYPT_BLOCK_SIZE], *data;
    struct crypt_envelope envelope = {.size = 0};
    const Meta__Encryption *encryption;
    struct crypt_cipher *cipher;
    Meta__Object *object;

    (void)state;
    put("golden", C_A, bytes, CRYPT_BLOCK_SIZE + 100);
    object = record(arena, "golden");
    encryption = object->encryption;
    stored(arena, object->blob, &data);
    envelope.size = encryption->wrapped.len;
    memcpy(envelope.wrapped, encryption->wrapped.data, envelope.size);
    assert_int_equal(encryption->key_id.len, 0);
    assert_int_equal(
        crypt_unwrap_customer(
            (const uint8_t *)"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            slice_of(encryption->bound.data, encryption->bound.len), &envelope,
            key),
        0);
    crypt_blob_key(key, object->blob, key);
    cipher = crypt_cipher_new(key);
    assert_int_equal(
        crypt_open(cipher, 0, false, data, CRYPT_BLOCK_SIZE, block), 0);
    assert_memory_equal(block, bytes, CRYPT_BLOCK_SIZE);
    assert_int_equal(crypt_open(cipher, 1, true,
                                data + CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE, 100,
                                block),
                     0);
    assert_memory_equal(block, bytes + CRYPT_BLOCK_SIZE, 100);
    crypt_cipher_free(cipher);
    arena_free(arena);
}

static void ranges(void **state)
{
    (void)state;
    for (enum mode mode = PLAIN; mode < MODES; mode++) {
        put("k", mode, bytes, 3 * MIB + 77);
        range_holds("k", mode, 0, 1);
        range_holds("k", mode, 65535, 65537);
        range_holds("k", mode, 65536, 131072);
        range_holds("k", mode, 100, 300000);
        range_holds("k", mode, 1000001, 3 * MIB);
        range_holds("k", mode, 3 * MIB + 76, 3 * MIB + 77);
    }
}

/* The files of sealed bytes are never named to a worker. */
static void sealed_bytes_are_no_segments(void **state)
{
    struct s3_answer answer;

    (void)state;
    put("plain", PLAIN, bytes, MIB);
    get_as(&answer, "plain", PLAIN, NULL);
    assert_true(answer.segment_windows > 0);
    s3_answer_free(&answer);
    put("sealed", S3, bytes, MIB);
    get_as(&answer, "sealed", S3, NULL);
    assert_int_equal(answer.segment_windows, 0);
    assert_true(answer.data_pieces > 0);
    s3_answer_free(&answer);
}

/* Two objects of the same bytes share nothing that shows. */
static void no_two_are_alike(void **state)
{
    struct arena *arena = arena_new();
    uint8_t *one, *two;

    (void)state;
    put("one", S3, bytes, 1000);
    put("two", S3, bytes, 1000);
    stored(arena, record(arena, "one")->blob, &one);
    stored(arena, record(arena, "two")->blob, &two);
    for (size_t i = 0; i + 16 <= 1000; i++)
        assert_null(memmem(two, 1016, one + i, 16));
    arena_free(arena);
}

/* --- entity tags -----------------------------------------------------------*/
static void tags(void **state)
{
    static const char md5[] = "\"5d41402abc4b2a76b9719d911017c592\"";
    char seen[MODES][64];

    (void)state;
    for (enum mode mode = PLAIN; mode < MODES; mode++) {
        struct s3_answer answer;

        put_as(&answer, "k", mode, "hello", 5);
        copy_string(seen[mode], sizeof(seen[mode]), s3_header(&answer, "ETag"));
        s3_answer_free(&answer);
        s3_run(&fixture, &answer,
               HEAD("k", .secure = true, .headers = reads[mode]));
        assert_header(&answer, "ETag", seen[mode]);
        s3_answer_free(&answer);
        assert_int_equal(strlen(seen[mode]), 34);
        if (mode == PLAIN || mode == S3)
            assert_string_equal(seen[mode], md5);
        else
            assert_string_not_equal(seen[mode], md5);
    }
    assert_string_not_equal(seen[C_A], seen[C_B]);
}

/* --- what was sealed, or nothing -------------------------------------------*/
static void flip(const char *key, size_t at)
{
    struct arena *arena = arena_new();
    uint8_t *data;
    uint64_t blob = record(arena, key)->blob;
    size_t size = stored(arena, blob, &data)->size;

    data[at] ^= 1;
    replace_stored(blob, data, size);
    arena_free(arena);
}

static void tampering_is_an_error(void **state)
{
    struct s3_answer answer;

    (void)state;
    put("k", S3, bytes, 300000);
    flip("k", 10);
    get_as(&answer, "k", S3, NULL);
    assert_error(&answer, "InternalError", 500);
    s3_answer_free(&answer);
    /* A tag's own bytes, and the last block. */
    put("k", S3, bytes, 300000);
    flip("k", CRYPT_BLOCK_SIZE + 3);
    get_as(&answer, "k", S3, NULL);
    assert_error(&answer, "InternalError", 500);
    s3_answer_free(&answer);
    /* Behind the first piece the reply has begun: it is cut off. */
    put("k", S3, bytes, MIB);
    flip("k", 12 * (CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE));
    get_as(&answer, "k", S3, NULL);
    assert_int_equal(answer.status, 200);
    assert_true(answer.failed);
    assert_true(answer.body.size <= 12 * CRYPT_BLOCK_SIZE);
    assert_memory_equal(answer.body.data, bytes, answer.body.size);
    s3_answer_free(&answer);
}

/* A range opens its own blocks: all others may be broken. */
static void ranges_open_what_they_touch(void **state)
{
    const size_t sealed = CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE;
    struct s3_answer answer;

    (void)state;
    put("k", S3, bytes, 8 * CRYPT_BLOCK_SIZE);
    for (size_t i = 0; i < 8; i++)
        if (i != 3 && i != 4)
            flip("k", i * sealed + 5);
    range_holds("k", S3, 3 * CRYPT_BLOCK_SIZE, 5 * CRYPT_BLOCK_SIZE);
    range_holds("k", S3, 4 * CRYPT_BLOCK_SIZE + 9, 4 * CRYPT_BLOCK_SIZE + 10);
    get_as(&answer, "k", S3, "bytes=196607-196608");
    assert_error(&answer, "InternalError", 500);
    s3_answer_free(&answer);
}

/* Blocks that change places, and blobs that change objects, do not open. */
static void blocks_stay_where_they_are(void **state)
{
    const size_t sealed = CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE;
    struct arena *arena = arena_new();
    struct s3_answer answer;
    uint8_t *data, *other, *swapped = xmalloc(3 * sealed);
    uint64_t blob, second;

    (void)state;
    put("k", S3, bytes, 3 * CRYPT_BLOCK_SIZE);
    put("other", S3, bytes, 3 * CRYPT_BLOCK_SIZE);
    blob = record(arena, "k")->blob;
    second = record(arena, "other")->blob;
    stored(arena, blob, &data);
    stored(arena, second, &other);
    memcpy(swapped, data + sealed, sealed);
    memcpy(swapped + sealed, data, sealed);
    memcpy(swapped + 2 * sealed, data + 2 * sealed, sealed);
    replace_stored(blob, swapped, 3 * sealed);
    replace_stored(second, data, 3 * sealed);
    for (int i = 0; i < 2; i++) {
        get_as(&answer, i == 0 ? "k" : "other", S3, NULL);
        assert_error(&answer, "InternalError", 500);
        s3_answer_free(&answer);
    }
    /* One block less: the last is not the last any more. */
    replace_stored(blob, data, 2 * sealed);
    get_as(&answer, "k", S3, "bytes=65536-131071");
    assert_error(&answer, "InternalError", 500);
    s3_answer_free(&answer);
    free(swapped);
    arena_free(arena);
}

/* --- rotation --------------------------------------------------------------*/
static void rotation(void **state)
{
    struct arena *arena = arena_new();
    struct slice name = SLICE_LITERAL("one");
    const Meta__Encryption *before, *after;

    (void)state;
    put("old-s3", S3, bytes, 1000);
    put("old-kms", KMS_ONE, bytes, 1000);
    assert_int_equal(
        crypt_key_rotate(fixture.service.keyring, SLICE_LITERAL("")), 0);
    assert_int_equal(crypt_key_rotate(fixture.service.keyring, name), 0);
    put("new-s3", S3, bytes, 1000);
    put("new-kms", KMS_ONE, bytes, 1000);
    holds("old-s3", S3, bytes, 1000);
    holds("old-kms", KMS_ONE, bytes, 1000);
    holds("new-s3", S3, bytes, 1000);
    holds("new-kms", KMS_ONE, bytes, 1000);
    before = record(arena, "old-kms")->encryption;
    after = record(arena, "new-kms")->encryption;
    assert_memory_equal(before->key_id.data, "one:1", 5);
    assert_memory_equal(after->key_id.data, "one:2", 5);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_and_size),
        cmocka_unit_test(only_sealed_bytes_are_stored),
        cmocka_unit_test(sealed_as_documented),
        cmocka_unit_test(ranges),
        cmocka_unit_test(sealed_bytes_are_no_segments),
        cmocka_unit_test(no_two_are_alike),
        cmocka_unit_test(tags),
        cmocka_unit_test(tampering_is_an_error),
        cmocka_unit_test(ranges_open_what_they_touch),
        cmocka_unit_test(blocks_stay_where_they_are),
        cmocka_unit_test(rotation),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
