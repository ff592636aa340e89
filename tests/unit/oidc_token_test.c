/*
 * oidc/: what is a token that is believed, and each way in which one is not.
 * Keys and signatures are made here, so that every byte can be wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oidc/oidc.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ISSUER "https://idp.example.org/realm"
#define NOW_S  1800000000ull
#define NOW_MS (NOW_S * 1000)
#define GOOD                                                                   \
    "{\"iss\":\"" ISSUER "\",\"sub\":\"alice\",\"aud\":\"s3\","                \
    "\"iat\":1799999990,\"exp\":1800000060}"
#define RS256(kid) "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" kid "\"}"
#define ES256(kid) "{\"alg\":\"ES256\",\"kid\":\"" kid "\"}"

static EVP_PKEY *rsa, *other_rsa, *small_rsa, *ec;
static char path[64];
static struct oidc *oidc;

/* --- base64url -------------------------------------------------------------*/
static void append64(struct buffer *out, const void *data, size_t size)
{
    char *text = xmalloc(4 * ((size + 2) / 3) + 1);
    size_t length = base64_encode(text, data, size);

    while (length > 0 && text[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    buffer_append(out, text, length);
    free(text);
}

/* --- key sets --------------------------------------------------------------*/
static void append_number(struct buffer *out, EVP_PKEY *key, const char *param,
                          size_t size)
{
    uint8_t bytes[1024];
    BIGNUM *number = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &number), 1);
    if (size == 0)
        size = (size_t)BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, bytes, (int)size), size);
    append64(out, bytes, size);
    BN_free(number);
}

/* {"kty": ..., <more>}, with a comma in front of all but the first. */
static void append_rsa(struct buffer *out, EVP_PKEY *key, const char *more)
{
    buffer_printf(out, "%s{\"kty\":\"RSA\",%s\"n\":\"",
                  out->size > 9 ? "," : "", more);
    append_number(out, key, OSSL_PKEY_PARAM_RSA_N, 0);
    buffer_append_string(out, "\",\"e\":\"");
    append_number(out, key, OSSL_PKEY_PARAM_RSA_E, 0);
    buffer_append_string(out, "\"}");
}

static void append_ec(struct buffer *out, EVP_PKEY *key, const char *more)
{
    buffer_printf(out, "%s{\"kty\":\"EC\",\"crv\":\"P-256\",%s\"x\":\"",
                  out->size > 9 ? "," : "", more);
    append_number(out, key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
    buffer_append_string(out, "\",\"y\":\"");
    append_number(out, key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
    buffer_append_string(out, "\"}");
}

/* Replaced as an administrator would: another file under the same name. */
static void write_file(const void *data, size_t size)
{
    char fresh[80];
    int fd;

    snprintf(fresh, sizeof(fresh), "%s.new", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
    assert_int_equal(rename(fresh, path), 0);
}

static void write_set(struct buffer *keys)
{
    buffer_append_string(keys, "]}");
    write_file(keys->data, keys->size);
    buffer_free(keys);
}

static struct buffer begin_set(void)
{
    struct buffer keys = {0};

    buffer_append_string(&keys, "{\"keys\":[");
    assert_int_equal(keys.size, 9);
    return keys;
}

static void write_good_set(void)
{
    struct buffer keys = begin_set();

    append_rsa(&keys, rsa, "\"kid\":\"r1\",\"use\":\"sig\",\"alg\":\"RS256\",");
    append_ec(&keys, ec, "\"kid\":\"e1\",");
    write_set(&keys);
}

/* --- tokens ----------------------------------------------------------------*/
static size_t sign(EVP_PKEY *key, const struct buffer *text, uint8_t out[1024])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = 1024;

    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key),
                     1);
    assert_int_equal(
        EVP_DigestSign(context, out, &size, text->data, text->size), 1);
    EVP_MD_CTX_free(context);
    return size;
}

/* DER to two numbers of 32 bytes. */
static size_t flatten(uint8_t signature[1024], size_t size)
{
    const unsigned char *at = signature;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)size);

    assert_non_null(numbers);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, 32),
                     32);
    assert_int_equal(
        BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + 32, 32), 32);
    ECDSA_SIG_free(numbers);
    return 64;
}

static struct buffer make_token(EVP_PKEY *key, const char *header,
                                const char *claims)
{
    uint8_t signature[1024];
    struct buffer token = {0};
    size_t size = 0;

    append64(&token, header, strlen(header));
    buffer_append_string(&token, ".");
    append64(&token, claims, strlen(claims));
    if (key != NULL)
        size = sign(key, &token, signature);
    if (key == ec)
        size = flatten(signature, size);
    buffer_append_string(&token, ".");
    append64(&token, signature, size);
    return token;
}

static int verify_text(const struct buffer *text, struct oidc_token *token)
{
    return oidc_verify(oidc, slice_of(text->data, text->size), NOW_MS, token);
}

static int verify(EVP_PKEY *key, const char *header, const char *claims)
{
    struct buffer text = make_token(key, header, claims);
    struct oidc_token token;
    int error = verify_text(&text, &token);

    if (error == 0)
        oidc_token_free(&token);
    buffer_free(&text);
    return error;
}

/* --- fixture ---------------------------------------------------------------*/
static int make_keys(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    other_rsa = EVP_RSA_gen(2048);
    small_rsa = EVP_RSA_gen(1024);
    ec = EVP_EC_gen("P-256");
    return rsa == NULL || other_rsa == NULL || small_rsa == NULL || ec == NULL;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(small_rsa);
    EVP_PKEY_free(ec);
    return 0;
}

static int open_provider(void **state)
{
    const struct oidc_provider providers[] = {{ISSUER, "s3", path},
                                              {ISSUER, "backup", path}};

    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(log_open("/dev/null"), 0);
    snprintf(path, sizeof(path), "/tmp/oidc-test-%d.json", (int)getpid());
    write_good_set();
    oidc = oidc_new(providers, 2);
    return 0;
}

static int close_provider(void **state)
{
    (void)state;
    oidc_free(oidc);
    unlink(path);
    return 0;
}

/* --- tests -----------------------------------------------------------------*/
static void test_what_is_believed(void **state)
{
    static const char claims[] =
        "{\"iss\":\"" ISSUER "\",\"sub\":\"bob\",\"aud\":[\"x\",\"backup\"],"
        "\"exp\":1800000000.5,\"nbf\":1800000059,\"amr\":[\"pwd\",7,\"otp\"],"
        "\"level\":3}";
    struct buffer text = make_token(ec, ES256("e1"), claims);
    struct oidc_token token;
    struct slice values[2];

    (void)state;
    assert_int_equal(verify(rsa, RS256("r1"), GOOD), 0);
    assert_int_equal(verify(ec, ES256("e1"), GOOD), 0);
    /* of several keys one fits: then none need be named */
    assert_int_equal(verify(rsa, "{\"alg\":\"RS256\"}", GOOD), 0);

    assert_int_equal(verify_text(&text, &token), 0);
    assert_string_equal(token.provider, "idp.example.org/realm");
    assert_string_equal(token.audience, "backup");
    assert_string_equal(token.subject, "bob");
    assert_int_equal(oidc_claim(&token, SLICE_LITERAL("sub"), values, 2), 1);
    assert_true(slice_equal_string(values[0], "bob"));
    assert_int_equal(oidc_claim(&token, SLICE_LITERAL("amr"), values, 2), 2);
    assert_true(slice_equal_string(values[1], "otp"));
    assert_int_equal(oidc_claim(&token, SLICE_LITERAL("amr"), values, 1), 1);
    assert_int_equal(oidc_claim(&token, SLICE_LITERAL("level"), values, 2), 0);
    assert_int_equal(oidc_claim(&token, SLICE_LITERAL("none"), values, 2), 0);
    oidc_token_free(&token);
    buffer_free(&text);
}

/* Every byte of a token counts. */
static void test_every_byte_counts(void **state)
{
    EVP_PKEY *const keys[] = {rsa, ec};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct buffer text =
            make_token(keys[k], k == 0 ? RS256("r1") : ES256("e1"), GOOD);
        struct oidc_token token;

        for (size_t i = 0; i < text.size; i++) {
            const uint8_t was = text.data[i];
            int error;

            /* the last character of a part has bits that say nothing */
            if (i + 1 == text.size || text.data[i + 1] == '.')
                continue;
            text.data[i] = was == 'A' ? 'B' : 'A';
            error = verify_text(&text, &token);
            assert_true(error == -EINVAL || error == -ENOENT);
            text.data[i] = was;
        }
        assert_int_equal(verify_text(&text, &token), 0);
        oidc_token_free(&token);
        buffer_free(&text);
    }
}

static void test_forged(void **state)
{
    (void)state;
    assert_int_equal(verify(other_rsa, RS256("r1"), GOOD), -EINVAL);
    /* a key that is not there, or of the other kind */
    assert_int_equal(verify(rsa, RS256("r2"), GOOD), -EINVAL);
    assert_int_equal(verify(rsa, RS256("e1"), GOOD), -EINVAL);
    assert_int_equal(verify(rsa, RS256(""), GOOD), -EINVAL);
    assert_int_equal(verify(ec, ES256("r1"), GOOD), -EINVAL);
    assert_int_equal(verify(rsa, ES256("e1"), GOOD), -EINVAL);
    assert_int_equal(verify(ec, RS256("r1"), GOOD), -EINVAL);
    assert_int_equal(verify(rsa, "{\"alg\":\"RS256\",\"kid\":1}", GOOD),
                     -EINVAL);
}

static void test_other_algorithms(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"none\",\"kid\":\"r1\"}",
        "{\"alg\":\"None\",\"kid\":\"r1\"}",
        "{\"kid\":\"r1\"}",
        "{\"alg\":\"\",\"kid\":\"r1\"}",
        "{\"alg\":null,\"kid\":\"r1\"}",
        "{\"alg\":[\"RS256\"],\"kid\":\"r1\"}",
        "{\"alg\":\"rs256\",\"kid\":\"r1\"}",
        "{\"alg\":\"RS512\",\"kid\":\"r1\"}",
        "{\"alg\":\"PS256\",\"kid\":\"r1\"}",
        "{\"alg\":\"HS256\",\"kid\":\"r1\"}",
        /* twice, critical, and no object */
        "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"r1\"}",
        "{\"alg\":\"RS256\",\"kid\":\"r1\",\"crit\":[\"b64\"],\"b64\":false}",
        "[\"RS256\"]",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        assert_int_equal(verify(rsa, headers[i], GOOD), -EINVAL);
        assert_int_equal(verify(NULL, headers[i], GOOD), -EINVAL);
    }
    assert_int_equal(verify(NULL, RS256("r1"), GOOD), -EINVAL);
    assert_int_equal(verify(NULL, ES256("e1"), GOOD), -EINVAL);
}

/* A public key is no secret: what is signed with it as one is nobody's. */
static void test_hmac_with_the_public_key(void **state)
{
    struct buffer text = {0};
    struct oidc_token token;
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned char *der = NULL;
    const int size = i2d_PUBKEY(rsa, &der);
    unsigned mac_size;
    static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"r1\"}";

    (void)state;
    append64(&text, header, strlen(header));
    buffer_append_string(&text, ".");
    append64(&text, GOOD, strlen(GOOD));
    assert_non_null(
        HMAC(EVP_sha256(), der, size, text.data, text.size, mac, &mac_size));
    buffer_append_string(&text, ".");
    append64(&text, mac, mac_size);
    assert_int_equal(verify_text(&text, &token), -EINVAL);
    OPENSSL_free(der);
    buffer_free(&text);
}

/* ES256 is two numbers of 32 bytes, and nothing else that OpenSSL reads. */
static void test_signatures_of_another_form(void **state)
{
    uint8_t signature[1024];
    struct buffer text = {0};
    struct oidc_token token;
    size_t size, covered;

    (void)state;
    append64(&text, ES256("e1"), strlen(ES256("e1")));
    buffer_append_string(&text, ".");
    append64(&text, GOOD, strlen(GOOD));
    size = sign(ec, &text, signature);
    buffer_append_string(&text, ".");
    covered = text.size;
    append64(&text, signature, size);
    assert_int_equal(verify_text(&text, &token), -EINVAL);

    text.size = covered;
    memset(signature, 0, sizeof(signature)); /* r = s = 0 */
    append64(&text, signature, 64);
    assert_int_equal(verify_text(&text, &token), -EINVAL);
    text.size = covered;
    append64(&text, signature, 0);
    assert_int_equal(verify_text(&text, &token), -EINVAL);
    buffer_free(&text);
}

static void test_claims(void **state)
{
#define WITH(issuer, rest)                                                     \
    "{\"iss\":" issuer ",\"sub\":\"alice\",\"aud\":\"s3\"" rest "}"
#define EXP ",\"exp\":1800000060"
    static const struct {
        const char *claims;
        int error;
    } cases[] = {
        {WITH("\"" ISSUER "\"", EXP), 0},
        {WITH("\"https://idp.example.org\"", EXP), -ENOENT},
        {WITH("\"" ISSUER "/\"", EXP), -ENOENT},
        {WITH("[\"" ISSUER "\"]", EXP), -ENOENT},
        {"{\"sub\":\"a\",\"aud\":\"s3\"" EXP "}", -ENOENT},
        /* times */
        {WITH("\"" ISSUER "\"", ""), -EINVAL},
        {WITH("\"" ISSUER "\"", ",\"exp\":\"1800000060\""), -EINVAL},
        {WITH("\"" ISSUER "\"", ",\"exp\":-1"), -EINVAL},
        {WITH("\"" ISSUER "\"", ",\"exp\":1e300"), -EINVAL},
        {WITH("\"" ISSUER "\"", ",\"exp\":null"), -EINVAL},
        {WITH("\"" ISSUER "\"", ",\"exp\":1800000000"), -EKEYEXPIRED},
        {WITH("\"" ISSUER "\"", ",\"exp\":0"), -EKEYEXPIRED},
        {WITH("\"" ISSUER "\"", ",\"exp\":1,\"exp\":1800000060"), -EINVAL},
        {WITH("\"" ISSUER "\"", EXP ",\"nbf\":1800000061"), -EACCES},
        {WITH("\"" ISSUER "\"", EXP ",\"nbf\":\"0\""), -EINVAL},
        {WITH("\"" ISSUER "\"", EXP ",\"iat\":1800000061"), -EACCES},
        {WITH("\"" ISSUER "\"", EXP ",\"iat\":true"), -EINVAL},
        /* for whom and of whom */
        {"{\"iss\":\"" ISSUER "\",\"sub\":\"a\"" EXP "}", -EACCES},
        {"{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"S3\"" EXP "}",
         -EACCES},
        {"{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":[]" EXP "}", -EACCES},
        {"{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":[[\"s3\"]]" EXP "}",
         -EACCES},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"s3\"" EXP "}", -EINVAL},
        {"{\"iss\":\"" ISSUER "\",\"sub\":\"\",\"aud\":\"s3\"" EXP "}",
         -EINVAL},
        {"{\"iss\":\"" ISSUER "\",\"sub\":7,\"aud\":\"s3\"" EXP "}", -EINVAL},
        {"{\"iss\":\"" ISSUER "\",\"sub\":\"a\\u0000b\",\"aud\":\"s3\"" EXP "}",
         -EINVAL},
        {"[]", -EINVAL},
        {"{", -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int error = verify(rsa, RS256("r1"), cases[i].claims);

        if (error != cases[i].error)
            fail_msg("%s: %d instead of %d", cases[i].claims, error,
                     cases[i].error);
    }
}

static void test_no_tokens(void **state)
{
    static const char *const texts[] = {
        "",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c",
        "e30.e30.",
        "e30.e30.e30",
        "e30=.e30.e30",
        " e30.e30.e30",
        "e30.e30.e30\n",
    };
    struct buffer good = make_token(rsa, RS256("r1"), GOOD);
    struct oidc_token token;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int error =
            oidc_verify(oidc, slice_from_string(texts[i]), NOW_MS, &token);

        /* "e30" is {}: no issuer at all */
        assert_int_equal(error, strncmp(texts[i], "e30.e30.", 8) == 0 &&
                                        strchr(texts[i], '\n') == NULL
                                    ? -ENOENT
                                    : -EINVAL);
    }
    /* cut anywhere */
    for (size_t size = 0; size < good.size; size++)
        assert_int_not_equal(
            oidc_verify(oidc, slice_of(good.data, size), NOW_MS, &token), 0);
    /* a fourth part; padding */
    buffer_append_string(&good, ".");
    assert_int_equal(verify_text(&good, &token), -EINVAL);
    good.data[good.size - 1] = '=';
    assert_int_equal(verify_text(&good, &token), -EINVAL);
    buffer_reserve(&good, OIDC_TOKEN_MAX + 1);
    memset(good.data, 'A', OIDC_TOKEN_MAX + 1);
    good.size = OIDC_TOKEN_MAX + 1;
    assert_int_equal(verify_text(&good, &token), -EINVAL);
    assert_int_equal(oidc_verify(NULL, SLICE_LITERAL("a.b.c"), NOW_MS, &token),
                     -ENOENT);
    buffer_free(&good);
}

/* --- the file --------------------------------------------------------------*/
static void test_keys_change(void **state)
{
    struct buffer keys = begin_set();

    (void)state;
    assert_int_equal(verify(rsa, RS256("r1"), GOOD), 0);
    append_rsa(&keys, other_rsa, "\"kid\":\"r1\",");
    write_set(&keys);
    assert_int_equal(verify(rsa, RS256("r1"), GOOD), -EINVAL);
    assert_int_equal(verify(other_rsa, RS256("r1"), GOOD), 0);
    unlink(path);
    assert_int_equal(verify(other_rsa, RS256("r1"), GOOD), -EIO);
    write_good_set();
    assert_int_equal(verify(rsa, RS256("r1"), GOOD), 0);
    assert_int_equal(verify(other_rsa, RS256("r1"), GOOD), -EINVAL);
}

static void test_sets_that_are_none(void **state)
{
    static const char *const sets[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[7]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\","
        "\"y\":\"AA\"}]}",
    };
    void *big = xcalloc(1, OIDC_JWKS_MAX + 1);

    (void)state;
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        write_file(sets[i], strlen(sets[i]));
        assert_int_equal(verify(rsa, RS256("r1"), GOOD), -EIO);
        assert_int_equal(verify(rsa, RS256("r1"), GOOD), -EIO);
    }
    write_file(big, OIDC_JWKS_MAX + 1);
    assert_int_equal(verify(rsa, RS256("r1"), GOOD), -EIO);
    free(big);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(verify(rsa, RS256("r1"), GOOD), -EIO);
    assert_int_equal(rmdir(path), 0);
    /* one that no one reads is no reason to wait */
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(verify(rsa, RS256("r1"), GOOD), -EIO);
}

static void test_keys_that_do_not_count(void **state)
{
    struct buffer keys = begin_set();

    (void)state;
    append_rsa(&keys, rsa, "\"kid\":\"enc\",\"use\":\"enc\",");
    append_rsa(&keys, rsa, "\"kid\":\"pss\",\"alg\":\"PS256\",");
    append_rsa(&keys, small_rsa, "\"kid\":\"small\",");
    append_rsa(&keys, rsa, "\"kid\":\"twin\",");
    append_rsa(&keys, other_rsa, "\"kid\":\"twin\",");
    append_ec(&keys, ec, "\"kid\":\"e1\",");
    write_set(&keys);
    assert_int_equal(verify(rsa, RS256("enc"), GOOD), -EINVAL);
    assert_int_equal(verify(rsa, RS256("pss"), GOOD), -EINVAL);
    assert_int_equal(verify(small_rsa, RS256("small"), GOOD), -EINVAL);
    assert_int_equal(verify(rsa, RS256("twin"), GOOD), -EINVAL);
    assert_int_equal(verify(rsa, "{\"alg\":\"RS256\"}", GOOD), -EINVAL);
    assert_int_equal(verify(ec, "{\"alg\":\"ES256\"}", GOOD), 0);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_provider, close_provider)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_believed),
        TEST(test_every_byte_counts),
        TEST(test_forged),
        TEST(test_other_algorithms),
        TEST(test_hmac_with_the_public_key),
        TEST(test_signatures_of_another_form),
        TEST(test_claims),
        TEST(test_no_tokens),
        TEST(test_keys_change),
        TEST(test_sets_that_are_none),
        TEST(test_keys_that_do_not_count),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
