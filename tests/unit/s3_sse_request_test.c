/*
 * What requests may ask of encryption, what S3 answers where they may not,
 * and the defaults of buckets.
 */
#include "s3_sse_fixture.h"

static void fails(struct s3_case c, const char *code, unsigned status,
                  const char *text)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    if (strcmp(answer.error, code) != 0) {
        fail_msg("%s instead of %s: %s", answer.error, code,
                 (const char *)answer.body.data);
    }
    assert_int_equal(answer.status, status);
    assert_contains(&answer, text);
    assert_null(strstr((const char *)answer.body.data, KEY_A));
    s3_answer_free(&answer);
}

static void refused(const char *const *headers, const char *code,
                    unsigned status, const char *text)
{
    fails(PUT("refused", "x", .secure = true, .headers = headers), code, status,
          text);
    s3_expect(&fixture, 404, HEAD("refused"));
}

/* --- SSE-S3 and SSE-KMS ----------------------------------------------------*/
static void modes(void **state)
{
    const char *requires = "requires HTTP header x-amz-server-side-encryption "
                           ": aws:kms";

    (void)state;
    refused(FIELDS(SSE, "rot13"), "InvalidArgument", 400,
            "The encryption method specified is not supported");
    refused(FIELDS(SSE, "aes256"), "InvalidArgument", 400, SSE);
    refused(FIELDS(SSE, "aws:kms:dsse"), "NotImplemented", 501, SSE);
    refused(FIELDS(SSE "-unknown", "1"), "NotImplemented", 501, SSE);
    refused(FIELDS(SSE, "AES256", SSE "-aws-kms-key-id", "one"),
            "InvalidArgument", 400, requires);
    refused(FIELDS(SSE "-aws-kms-key-id", "one"), "InvalidArgument", 400,
            requires);
    refused(FIELDS(SSE, "AES256", SSE "-context", "e30="), "InvalidArgument",
            400, requires);
    refused(FIELDS(SSE, "aws:kms", SSE "-bucket-key-enabled", "maybe"),
            "InvalidArgument", 400, "true or false");
    refused(FIELDS(SSE, "AES256", CUSTOMER(SSE, KEY_A, MD5_A)),
            "InvalidArgument", 400,
            "is incompatible with the encryption method specified");
}

static void kms_keys(void **state)
{
    static const char *const names[] = {"one",
                                        "alias/one",
                                        "arn:aws:kms:us-east-1:1:key/one",
                                        "arn:aws:kms:eu-west-1:1:alias/one",
                                        "aws/s3",
                                        "alias/aws/s3"};
    static const char *const unknown[] = {"none", "a b", "alias/",
                                          "arn:aws:kms:us-east-1:1:key/none"};
    struct slice one = SLICE_LITERAL("one");
    struct s3_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        s3_run(&fixture, &answer,
               PUT("k", "x",
                   .headers = FIELDS(SSE, "aws:kms", SSE "-aws-kms-key-id",
                                     names[i])));
        assert_int_equal(answer.status, 200);
        assert_header(&answer, SSE "-aws-kms-key-id", names[i]);
        s3_answer_free(&answer);
        holds("k", PLAIN, "x", 1);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        refused(FIELDS(SSE, "aws:kms", SSE "-aws-kms-key-id", unknown[i]),
                "KMS.NotFoundException", 400, "<Message>");
    }
    s3_run(&fixture, &answer, PUT("k", "x", .headers = FIELDS(SSE, "aws:kms")));
    assert_header(&answer, SSE "-aws-kms-key-id", "aws/s3");
    s3_answer_free(&answer);
    put("k", KMS_ONE, "hello", 5);
    assert_int_equal(crypt_key_enable(fixture.service.keyring, one, false), 0);
    refused(writes[KMS_ONE], "KMS.DisabledException", 400, "<Message>");
    fails(GET("k"), "KMS.DisabledException", 400, "<Message>");
    head_tells("k", KMS_ONE);
    assert_int_equal(crypt_key_enable(fixture.service.keyring, one, true), 0);
    holds("k", KMS_ONE, "hello", 5);
}

static void contexts(void **state)
{
    struct arena *arena = arena_new();
    struct s3_answer answer;
    Meta__Object *object;
    struct meta_batch *batch;

    (void)state;
    refused(FIELDS(SSE, "aws:kms", SSE "-context", "%"), "InvalidArgument", 400,
            "Base64");
    refused(FIELDS(SSE, "aws:kms", SSE "-context", "WzFd"), "InvalidArgument",
            400, "Base64"); /* [1] */
    refused(FIELDS(SSE, "aws:kms", SSE "-context", "eyJhIjoxfQ=="),
            "InvalidArgument", 400, "Base64"); /* {"a":1} */
    /* { "b": "2", "a": "1" } is told as {"a":"1","b":"2"} */
    s3_run(&fixture, &answer,
           PUT("k", "x",
               .headers = FIELDS(SSE, "aws:kms", SSE "-context",
                                 "eyAiYiI6ICIyIiwgImEiOiAiMSIgfQ==",
                                 SSE "-bucket-key-enabled", "true")));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, SSE "-context", "eyJhIjoiMSIsImIiOiIyIn0=");
    assert_header(&answer, SSE "-bucket-key-enabled", "true");
    s3_answer_free(&answer);
    holds("k", PLAIN, "x", 1);
    s3_run(&fixture, &answer, HEAD("k"));
    assert_no_header(&answer, SSE "-context");
    assert_header(&answer, SSE "-bucket-key-enabled", "true");
    s3_answer_free(&answer);
    /* It is bound to the envelope: with another one nothing opens. */
    object = record(arena, "k");
    object->encryption->context = fixture_string("{\"a\":\"1\",\"b\":\"3\"}");
    batch = meta_batch_new(fixture.service.meta);
    meta_put_object(batch, bucket_record(arena)->id, SLICE_LITERAL("k"),
                    object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    fails(GET("k"), "InternalError", 500, "<Message>");
    arena_free(arena);
}

/* An envelope opens for the key that it was made for. */
static void envelopes_are_bound(void **state)
{
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    Meta__Object *one, *two;

    (void)state;
    put("one", S3, bytes, 100);
    put("two", S3, bytes, 100);
    one = record(arena, "one");
    two = record(arena, "two");
    two->encryption->wrapped = one->encryption->wrapped;
    meta_put_object(batch, bucket_record(arena)->id, SLICE_LITERAL("two"), two);
    assert_int_equal(meta_commit(batch), 0);
    fails(GET("two"), "InternalError", 500, "<Message>");
    meta_batch_free(batch);
    arena_free(arena);
}

static void no_providers(void **state)
{
    struct crypt_provider *keyring = fixture.service.keyring;

    (void)state;
    fixture.service.keyring = fixture.service.kms = NULL;
    refused(writes[S3], "NotImplemented", 501, SSE);
    refused(writes[KMS_ONE], "NotImplemented", 501, SSE);
    fixture.service.keyring = fixture.service.kms = keyring;
}

/* A Vault where nobody listens. */
static void unreachable(void **state)
{
    struct crypt_vault vault = {.url = "http://127.0.0.1:1",
                                .mount = "transit",
                                .token_file = fixture.master_key,
                                .default_key = "k",
                                .timeout_ms = 1000};
    struct crypt_provider *provider;

    (void)state;
    assert_int_equal(crypt_vault_open(&vault, &provider), 0);
    put("k", KMS_ONE, "hello", 5);
    fixture.service.kms = provider;
    refused(writes[KMS_ONE], "KMS.DependencyTimeoutException", 503,
            "<Message>");
    holds("k", KMS_ONE, "hello", 5); /* the keyring's envelope */
    fixture.service.kms = fixture.service.keyring;
    crypt_provider_close(provider);
}

/* --- SSE-C -----------------------------------------------------------------*/
#define ALGORITHM SSE "-customer-algorithm"
#define KEY       SSE "-customer-key"
#define KEY_MD5   SSE "-customer-key-md5"

static void customers(void **state)
{
    (void)state;
    refused(FIELDS(KEY, KEY_A, KEY_MD5, MD5_A), "InvalidArgument", 400,
            "must provide a valid encryption algorithm.");
    refused(FIELDS(ALGORITHM, "AES256", KEY_MD5, MD5_A), "InvalidArgument", 400,
            "must provide an appropriate secret key.");
    refused(FIELDS(ALGORITHM, "AES256", KEY, KEY_A), "InvalidArgument", 400,
            "must provide the client calculated MD5 of the secret key.");
    refused(FIELDS(ALGORITHM, "AES128", KEY, KEY_A, KEY_MD5, MD5_A),
            "InvalidEncryptionAlgorithmError", 400, "AES256");
    refused(FIELDS(ALGORITHM, "AES256", KEY, "QUFB", KEY_MD5, MD5_A),
            "InvalidArgument", 400,
            "The secret key was invalid for the specified algorithm.");
    refused(FIELDS(ALGORITHM, "AES256", KEY, "****", KEY_MD5, MD5_A),
            "InvalidArgument", 400,
            "The secret key was invalid for the specified algorithm.");
    refused(FIELDS(CUSTOMER(SSE, KEY_A, MD5_B)), "InvalidArgument", 400,
            "The calculated MD5 hash of the key did not match the hash that "
            "was provided.");
    fails(PUT("refused", "x", .headers = writes[C_A]), "InvalidRequest", 400,
          "must be made over a secure connection.");
}

static void customers_read(void **state)
{
    const char *stored_with =
        "The object was stored using a form of Server Side Encryption. The "
        "correct parameters must be provided to retrieve the object.";
    const char *not_applicable =
        "The encryption parameters are not applicable to this object.";

    (void)state;
    put("k", C_A, bytes, 100000);
    fails(GET("k", .secure = true), "InvalidRequest", 400, stored_with);
    fails(GET("k", .headers = reads[C_A]), "InvalidRequest", 400,
          "secure connection");
    fails(GET("k", .secure = true, .headers = reads[C_B]), "AccessDenied", 403,
          "Access Denied");
    s3_expect(&fixture, 400, HEAD("k", .secure = true));
    s3_expect(&fixture, 403, HEAD("k", .secure = true, .headers = reads[C_B]));
    fails(S3_CASE(GET_OBJECT_ATTRIBUTES, "k",
                  .headers = FIELDS("x-amz-object-attributes", "ETag")),
          "InvalidRequest", 400, stored_with);
    s3_expect(
        &fixture, 200,
        S3_CASE(GET_OBJECT_ATTRIBUTES, "k", .secure = true,
                .headers = joined(FIELDS("x-amz-object-attributes", "ETag"),
                                  reads[C_A], NULL)));
    /* Not even that it was not modified. */
    fails(GET("k", .secure = true, .headers = FIELDS("if-none-match", "\"x\"")),
          "InvalidRequest", 400, stored_with);
    put("k", PLAIN, bytes, 10);
    fails(GET("k", .secure = true, .headers = reads[C_A]), "InvalidRequest",
          400, not_applicable);
    put("k", S3, bytes, 10);
    fails(GET("k", .secure = true, .headers = reads[C_A]), "InvalidRequest",
          400, not_applicable);
}

static bool holds_key(const void *data, size_t size)
{
    return size > 0 &&
           memmem(data, size, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 32) != NULL;
}

/* No record of the metadata has the customer's key. */
static void customers_keys_are_not_kept(void **state)
{
    struct kv_iterator *it;

    (void)state;
    put("k", C_A, bytes, 100);
    it = kv_iterate(meta_kv(fixture.service.meta));
    for (kv_seek(it, SLICE_LITERAL("")); kv_valid(it); kv_next(it)) {
        assert_false(holds_key(kv_value(it).data, kv_value(it).size));
        assert_null(memmem(kv_value(it).data, kv_value(it).size, KEY_A, 40));
    }
    kv_iterator_free(it);
}

/* --- where the headers mean nothing ----------------------------------------*/
static void not_supported(void **state)
{
    const char *text = "header is not supported for this operation.";

    (void)state;
    put("k", S3, "x", 1);
    fails(GET("k", .headers = writes[S3]), "InvalidArgument", 400, text);
    s3_expect(&fixture, 400, HEAD("k", .headers = writes[S3]));
    fails(DELETE("k", .secure = true, .headers = writes[C_A]),
          "InvalidArgument", 400, text);
    fails(GET("k", .secure = true, .headers = sources[C_A]), "InvalidArgument",
          400, text);
    fails(PUT("k", "x", .secure = true, .headers = sources[C_A]),
          "InvalidArgument", 400, text);
    holds("k", S3, "x", 1);
}

/* --- defaults --------------------------------------------------------------*/
static void configure(struct s3_answer *answer, const char *text)
{
    uint8_t md5[DIGEST_SIZE_MAX];
    struct digester *digester = digester_new(DIGEST_MD5);
    char base64[32];

    digester_update(digester, text, strlen(text));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(base64, md5, 16);
    s3_run(&fixture, answer,
           S3_CASE(PUT_BUCKET_ENCRYPTION, "", .body = text,
                   .size = strlen(text),
                   .headers = FIELDS("content-md5", base64)));
}

#define DEFAULT(rule)                                                          \
    "<ServerSideEncryptionConfiguration><Rule>" rule                           \
    "</Rule></ServerSideEncryptionConfiguration>"
#define BY_DEFAULT(text)                                                       \
    "<ApplyServerSideEncryptionByDefault>" text                                \
    "</ApplyServerSideEncryptionByDefault>"
#define AES BY_DEFAULT("<SSEAlgorithm>AES256</SSEAlgorithm>")
#define KMS                                                                    \
    BY_DEFAULT("<SSEAlgorithm>aws:kms</SSEAlgorithm>"                          \
               "<KMSMasterKeyID>one</KMSMasterKeyID>")

static void configured(const char *text)
{
    struct s3_answer answer;

    configure(&answer, text);
    if (answer.status != 200) {
        fail_msg("%s", (const char *)answer.body.data);
    }
    s3_answer_free(&answer);
}

static void tells_default(const char *text)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_ENCRYPTION, ""));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, text);
    s3_answer_free(&answer);
}

static void bucket_defaults(void **state)
{
    const char *missing = "ServerSideEncryptionConfigurationNotFoundError";

    (void)state;
    fails(S3_CASE(GET_BUCKET_ENCRYPTION, ""), missing, 404, "<BucketName>b<");
    configured(DEFAULT(AES));
    tells_default("<Rule>" AES
                  "<BucketKeyEnabled>false</BucketKeyEnabled></Rule>");
    put("k", PLAIN, "x", 1);
    head_tells("k", S3);
    put("k", C_A, "x", 1);
    head_tells("k", C_A);
    configured(DEFAULT(KMS "<BucketKeyEnabled>true</BucketKeyEnabled>"));
    tells_default("<Rule>" KMS
                  "<BucketKeyEnabled>true</BucketKeyEnabled></Rule>");
    put("k", PLAIN, "x", 1);
    head_tells("k", KMS_ONE);
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "copy",
                      .headers = FIELDS("x-amz-copy-source", "b/k")));
    head_tells("copy", KMS_ONE);
    put("k", S3, "x", 1);
    head_tells("k", S3);
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_ENCRYPTION, ""));
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_ENCRYPTION, ""));
    fails(S3_CASE(GET_BUCKET_ENCRYPTION, ""), missing, 404, "<BucketName>b<");
    put("k", PLAIN, "x", 1);
    head_tells("k", PLAIN);
}

static void operators_default(void **state)
{
    (void)state;
    fixture.service.encrypt_by_default = true;
    tells_default(AES);
    put("k", PLAIN, "x", 1);
    head_tells("k", S3);
    configured(DEFAULT(KMS));
    put("k", PLAIN, "x", 1);
    head_tells("k", KMS_ONE);
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_ENCRYPTION, ""));
    tells_default(AES);
    fixture.service.encrypt_by_default = false;
}

#define BLOCKED(type)                                                          \
    "<BlockedEncryptionTypes><EncryptionType>" type                            \
    "</EncryptionType></BlockedEncryptionTypes>"

/* Customers' keys are refused where they would begin an object, or go on with
 * one; what is there is read as before. */
static void customers_are_blocked(void **state)
{
    const char *text = "has blocked upload requests that specify Server Side "
                       "Encryption with Customer provided keys (SSE-C)";
    const char *const *key = FIELDS(CUSTOMER(SSE, KEY_A, MD5_A));

    (void)state;
    put("before", C_A, "x", 1);
    put("clear", PLAIN, "x", 1);
    configured(DEFAULT(BLOCKED("SSE-C")));
    tells_default("<Rule>" BLOCKED("SSE-C") "</Rule>");
    refused(key, "AccessDenied", 403, text);
    fails(S3_CASE(COPY_OBJECT, "refused", .secure = true,
                  .headers = joined(FIELDS("x-amz-copy-source", "b/clear"), key,
                                    NULL)),
          "AccessDenied", 403, text);
    fails(S3_CASE(CREATE_MULTIPART_UPLOAD, "refused", .secure = true,
                  .headers = key),
          "AccessDenied", 403, text);
    fixture.service.extensions = true;
    fails(PUT("before", "y", .secure = true,
              .headers =
                  joined(FIELDS("x-amz-write-offset-bytes", "1"), key, NULL)),
          "AccessDenied", 403, text);
    fixture.service.extensions = false;
    holds("before", C_A, "x", 1);
    put("k", PLAIN, "x", 1);
    head_tells("k", PLAIN); /* it says nothing of the default */
    put("k", KMS_ONE, "x", 1);
    fixture.service.encrypt_by_default = true;
    tells_default("<Rule>" AES
                  "<BucketKeyEnabled>false</BucketKeyEnabled>" BLOCKED(
                      "SSE-C") "</Rule>");
    put("k", PLAIN, "x", 1);
    head_tells("k", S3);
    fixture.service.encrypt_by_default = false;
    configured(DEFAULT(AES BLOCKED("NONE")));
    tells_default(BLOCKED("NONE"));
    put("k", C_A, "x", 1);
    configured(DEFAULT(BLOCKED("SSE-C")));
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_ENCRYPTION, ""));
    put("k", C_A, "x", 1);
}

static void bad_configurations(void **state)
{
    static const struct {
        const char *text, *code;
        unsigned status;
    } cases[] = {
        {"<x/>", "MalformedXML", 400},
        {DEFAULT(""), "MalformedXML", 400},
        {DEFAULT(AES AES), "MalformedXML", 400},
        {DEFAULT(AES "<Other/>"), "MalformedXML", 400},
        {DEFAULT(BY_DEFAULT("<SSEAlgorithm>rot13</SSEAlgorithm>")),
         "MalformedXML", 400},
        {DEFAULT(BY_DEFAULT("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>")),
         "NotImplemented", 501},
        {DEFAULT(AES "<BlockedEncryptionTypes/>"), "MalformedXML", 400},
        {DEFAULT(AES BLOCKED("SSE-S3")), "MalformedXML", 400},
        {DEFAULT(AES BLOCKED("SSE-C") BLOCKED("SSE-C")), "MalformedXML", 400},
        {DEFAULT(AES BLOCKED("NONE</EncryptionType><EncryptionType>SSE-C")),
         "MalformedXML", 400},
        {DEFAULT("<BucketKeyEnabled>true</BucketKeyEnabled>" BLOCKED("NONE")),
         "MalformedXML", 400},
        {DEFAULT(AES "<BucketKeyEnabled>perhaps</BucketKeyEnabled>"),
         "MalformedXML", 400},
        {DEFAULT(BY_DEFAULT("<SSEAlgorithm>AES256</SSEAlgorithm>"
                            "<KMSMasterKeyID>one</KMSMasterKeyID>")),
         "InvalidArgument", 400},
        {"<ServerSideEncryptionConfiguration/>", "MalformedXML", 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct s3_answer answer;

        configure(&answer, cases[i].text);
        assert_error(&answer, cases[i].code, cases[i].status);
        s3_answer_free(&answer);
    }
    fails(S3_CASE(PUT_BUCKET_ENCRYPTION, "", .body = DEFAULT(AES),
                  .size = strlen(DEFAULT(AES))),
          "InvalidRequest", 400, "Content-MD5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes),
        cmocka_unit_test(kms_keys),
        cmocka_unit_test(contexts),
        cmocka_unit_test(envelopes_are_bound),
        cmocka_unit_test(no_providers),
        cmocka_unit_test(unreachable),
        cmocka_unit_test(customers),
        cmocka_unit_test(customers_read),
        cmocka_unit_test(customers_keys_are_not_kept),
        cmocka_unit_test(not_supported),
        cmocka_unit_test(bucket_defaults),
        cmocka_unit_test(operators_default),
        cmocka_unit_test(customers_are_blocked),
        cmocka_unit_test(bad_configurations),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
