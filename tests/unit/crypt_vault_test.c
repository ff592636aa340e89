/*
 * Vault as a provider, against tests/fake_vault.py over real HTTP.
 */
#include "crypt_vault_fixture.h"

static void assert_wraps(struct crypt_provider *provider,
                         struct crypt_envelope *envelope)
{
    assert_int_equal(crypt_wrap(provider, master, bound, object_key, envelope),
                     0);
}

static void assert_unwraps(struct crypt_provider *provider,
                           const struct crypt_envelope *envelope)
{
    memset(out, 0, sizeof(out));
    assert_int_equal(crypt_unwrap(provider, bound, envelope, out), 0);
    assert_memory_equal(out, object_key, sizeof(out));
}

/* --- what it does ----------------------------------------------------------*/
static void test_there_and_back(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope, other;
    struct buffer text = {0};
    assert_wraps(fake->provider, &envelope);
    assert_string_equal(envelope.key_id, "master:1");
    assert_memory_equal(envelope.wrapped, "\1\3vault:v1:", 11);
    assert_true(crypt_wrapped_by(fake->provider, &envelope));
    assert_unwraps(fake->provider, &envelope);
    /* The name "" is the configured one. */
    assert_int_equal(crypt_wrap(fake->provider, slice_of(NULL, 0), bound,
                                object_key, &other),
                     0);
    assert_string_equal(other.key_id, "master:1");
    assert_unwraps(fake->provider, &other);
    assert_int_equal(crypt_check_key(fake->provider, master), 0);
    assert_int_equal(crypt_check_key(fake->provider, slice_of(NULL, 0)), 0);
    /* All of it over one connection, and one of ours. */
    assert_int_equal(fake_tell(fake, "{}", "connections"), 2);
    assert_int_equal(crypt_key_add(fake->provider, master), -ENOTSUP);
    assert_int_equal(crypt_key_rotate(fake->provider, master), -ENOTSUP);
    assert_int_equal(crypt_key_enable(fake->provider, master, true), -ENOTSUP);
    assert_int_equal(crypt_key_list(fake->provider, &text), -ENOTSUP);
}

static void test_rotation(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope first, second;
    assert_wraps(fake->provider, &first);
    fake_tell(fake, "{\"rotate\":\"master\"}", "asked");
    assert_wraps(fake->provider, &second);
    assert_string_equal(second.key_id, "master:2");
    assert_unwraps(fake->provider, &first);
    assert_unwraps(fake->provider, &second);
    struct crypt_envelope moved = first;
    assert_int_equal(
        crypt_rewrap(fake->provider, fake->provider, master, bound, &moved), 0);
    assert_string_equal(moved.key_id, "master:2");
    fake_tell(fake, "{\"retire\":\"master\"}", "asked");
    assert_int_equal(crypt_unwrap(fake->provider, bound, &first, out), -EACCES);
    assert_unwraps(fake->provider, &moved);
}

static void test_no_such_key(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope;
    static const char *const names[] = {"none", "a/b", "../sys", "a b",
                                        "signing"};
    for (unsigned i = 0; i < 5; i++) {
        const struct slice name = slice_from_string(names[i]);
        const int expected = i == 4 ? -EACCES : -ENOENT; /* of another type */
        assert_int_equal(
            crypt_wrap(fake->provider, name, bound, object_key, &envelope),
            expected);
        assert_int_equal(crypt_check_key(fake->provider, name), expected);
    }
    assert_wraps(fake->provider, &envelope);
    memcpy(envelope.key_id, "nobody", 6); /* as long as "master" */
    assert_int_equal(crypt_unwrap(fake->provider, bound, &envelope, out),
                     -ENOENT);
    struct crypt_vault vault = settings(fake);
    vault.default_key = NULL;
    struct crypt_provider *provider = open_vault(&vault);
    assert_int_equal(crypt_check_key(provider, slice_of(NULL, 0)), -ENOENT);
    crypt_provider_close(provider);
    vault.mount = "elsewhere";
    provider = open_vault(&vault);
    assert_int_equal(crypt_wrap(provider, master, bound, object_key, &envelope),
                     -ENOENT);
    crypt_provider_close(provider);
}

static void test_tampered(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope, bad;
    assert_wraps(fake->provider, &envelope);
    assert_int_equal(crypt_unwrap(fake->provider, SLICE_LITERAL("bucket/kez"),
                                  &envelope, out),
                     -EBADMSG);
    assert_int_equal(
        crypt_unwrap(fake->provider, slice_of(NULL, 0), &envelope, out),
        -EBADMSG);
    for (size_t at = 0; at < envelope.size; at++) {
        bad = envelope;
        bad.wrapped[at] ^= 1;
        assert_int_not_equal(crypt_unwrap(fake->provider, bound, &bad, out), 0);
    }
    for (size_t size = 0; size < envelope.size; size++) {
        bad = envelope;
        bad.size = size;
        assert_int_not_equal(crypt_unwrap(fake->provider, bound, &bad, out), 0);
    }
    assert_unwraps(fake->provider, &envelope);
    /* What would not be Vault's never gets there. */
    const long before = asked(fake);
    bad = envelope;
    memcpy(bad.key_id, "../sys", 6);
    assert_int_equal(crypt_unwrap(fake->provider, bound, &bad, out), -EBADMSG);
    bad = envelope;
    bad.key_id[7] = '2';
    assert_int_equal(crypt_unwrap(fake->provider, bound, &bad, out), -EBADMSG);
    bad = envelope;
    bad.wrapped[20] = '\n';
    assert_int_equal(crypt_unwrap(fake->provider, bound, &bad, out), -EBADMSG);
    crypt_wrap_customer(object_key, bound, object_key, &bad);
    assert_int_equal(crypt_unwrap(fake->provider, bound, &bad, out), -EBADMSG);
    assert_int_equal(asked(fake), before);
}

/* --- tokens ----------------------------------------------------------------*/
static void test_token(void **state)
{
    static const char *const bad[] = {"", "\n", "two words", "line\nline",
                                      "caf\xc3\xa9"};
    struct fake *fake = *state;
    struct crypt_envelope envelope;
    assert_wraps(fake->provider, &envelope);
    fake_tell(fake, "{\"token\":\"s.another\"}", "asked");
    assert_int_equal(crypt_unwrap(fake->provider, bound, &envelope, out),
                     -EACCES);
    assert_int_equal(
        crypt_wrap(fake->provider, master, bound, object_key, &envelope),
        -EACCES);
    write_token(fake, "s.another", 0640); /* renewed: nothing to restart */
    assert_unwraps(fake->provider, &envelope);

    const long before = asked(fake);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_token(fake, bad[i], 0600);
        assert_int_equal(crypt_unwrap(fake->provider, bound, &envelope, out),
                         -EACCES);
    }
    write_token(fake, "s.another", 0604);
    assert_int_equal(crypt_unwrap(fake->provider, bound, &envelope, out),
                     -EACCES);
    unlink(fake->token_file);
    assert_int_equal(crypt_unwrap(fake->provider, bound, &envelope, out),
                     -EACCES);
    char longest[1100];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    write_token(fake, longest, 0600);
    assert_int_equal(crypt_unwrap(fake->provider, bound, &envelope, out),
                     -EACCES);
    assert_int_equal(asked(fake), before);
}

/* --- a Vault that does not answer, or not as it should ---------------------*/
static void test_misbehaviour(void **state)
{
    static const struct {
        const char *wish;
        int wrapped, unwrapped, checked;
    } cases[] = {
        {"{\"mode\":\"sealed\"}", -EAGAIN, -EAGAIN, -EAGAIN},
        {"{\"mode\":\"garbage\"}", -EAGAIN, -EAGAIN, -EAGAIN},
        {"{\"mode\":\"other\"}", -EAGAIN, -EBADMSG, -EACCES},
        {"{\"mode\":\"huge\"}", -EAGAIN, -EAGAIN, -EAGAIN},
        {"{\"mode\":\"redirect\"}", -EAGAIN, -EAGAIN, -EAGAIN},
        {"{\"mode\":\"cut\"}", -EAGAIN, -EAGAIN, -EAGAIN},
    };
    struct fake *fake = *state;
    struct crypt_vault vault = settings(fake);
    struct crypt_envelope envelope, other;
    assert_wraps(fake->provider, &envelope);
    vault.timeout_ms = 60000;
    struct crypt_provider *provider = open_vault(&vault);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const long before = fake_tell(fake, cases[i].wish, "asked");
        assert_int_equal(
            crypt_wrap(provider, master, bound, object_key, &other),
            cases[i].wrapped);
        assert_int_equal(crypt_unwrap(provider, bound, &envelope, out),
                         cases[i].unwrapped);
        assert_int_equal(crypt_check_key(provider, master), cases[i].checked);
        assert_int_equal(asked(fake), before + 3); /* nothing is followed */
    }
    fake_tell(fake, "{\"mode\":\"ok\"}", "asked");
    assert_unwraps(provider, &envelope);
    crypt_provider_close(provider);
}

static void test_silence(void **state)
{
    struct fake *fake = *state;
    struct crypt_vault vault = settings(fake);
    struct crypt_envelope envelope, other;
    assert_wraps(fake->provider, &envelope);
    vault.timeout_ms = 300;
    struct crypt_provider *provider = open_vault(&vault);
    fake_tell(fake, "{\"mode\":\"silent\"}", "asked");
    assert_int_equal(crypt_wrap(provider, master, bound, object_key, &other),
                     -EAGAIN);
    assert_int_equal(crypt_unwrap(provider, bound, &envelope, out), -EAGAIN);
    assert_int_equal(crypt_check_key(provider, master), -EAGAIN);
    fake_tell(fake, "{\"mode\":\"ok\"}", "asked");
    assert_unwraps(fake->provider, &envelope);
    crypt_provider_close(provider);
}

static void test_nobody_there(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope;
    struct crypt_vault vault = settings(fake);
    vault.url = "http://127.0.0.1:1/";
    struct crypt_provider *provider = open_vault(&vault);
    assert_int_equal(crypt_wrap(provider, master, bound, object_key, &envelope),
                     -EAGAIN);
    crypt_provider_close(provider);
}

/* --- the cache -------------------------------------------------------------*/
static void test_cache(void **state)
{
    struct fake *fake = *state;
    struct crypt_vault vault = settings(fake);
    struct crypt_envelope envelope, other;
    vault.cache_ms = 3600 * 1000;
    struct crypt_provider *provider = open_vault(&vault);
    assert_wraps(fake->provider, &envelope);
    long before = asked(fake);
    for (unsigned i = 0; i < 20; i++) {
        assert_unwraps(provider, &envelope);
    }
    assert_int_equal(asked(fake), before + 1);
    /* What else it is bound to, or changed, is another question. */
    assert_int_equal(
        crypt_unwrap(provider, SLICE_LITERAL("bucket/kez"), &envelope, out),
        -EBADMSG);
    other = envelope;
    other.wrapped[30] ^= 1;
    assert_int_equal(crypt_unwrap(provider, bound, &other, out), -EBADMSG);
    assert_int_equal(asked(fake), before + 3);
    /* A key that was just wrapped is there already. */
    assert_wraps(provider, &other);
    before = asked(fake);
    assert_unwraps(provider, &other);
    assert_int_equal(asked(fake), before);
    crypt_provider_close(provider);
}

/* --- threads ---------------------------------------------------------------*/
static void *use_vault(void *context)
{
    uint8_t key[CRYPT_KEY_SIZE];
    struct crypt_envelope envelope;
    for (unsigned i = 0; i < 5; i++) {
        if (crypt_wrap(context, master, bound, object_key, &envelope) != 0 ||
            crypt_unwrap(context, bound, &envelope, key) != 0 ||
            memcmp(key, object_key, sizeof(key)) != 0) {
            return context;
        }
    }
    return NULL;
}

/* More at once than connections are kept. */
static void test_threads(void **state)
{
    struct fake *fake = *state;
    pthread_t threads[12];
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, use_vault, fake->provider), 0);
    }
    for (unsigned i = 0; i < 12; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

/* --- addresses and TLS -----------------------------------------------------*/
static void test_settings(void **state)
{
    static const char *const good[] = {
        "https://vault.example.com:8200", "https://10.0.0.1/", "http://[::1]:8",
        "http://localhost:8200", "https://vault.example.com/behind/"};
    static const char *const bad[] = {"",
                                      "vault",
                                      "http://vault.example.com",
                                      "http://127.0.0.1.example.com/",
                                      "http://10.0.0.1:8200",
                                      "ftp://127.0.0.1/",
                                      "file:///etc/passwd",
                                      "https://user:secret@vault/",
                                      "https://user@vault/",
                                      "https://vault/?a=b",
                                      "https://vault/#a",
                                      "http://127.0.0.1@vault.example.com/"};
    struct crypt_vault vault = settings(*state);
    struct crypt_provider *provider = NULL;
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        vault.url = good[i];
        assert_int_equal(crypt_vault_open(&vault, &provider), 0);
        crypt_provider_close(provider);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vault.url = bad[i];
        assert_int_equal(crypt_vault_open(&vault, &provider), -EINVAL);
    }
    vault = settings(*state);
    vault.mount = "a?b";
    assert_int_equal(crypt_vault_open(&vault, &provider), -EINVAL);
    vault.mount = "";
    assert_int_equal(crypt_vault_open(&vault, &provider), -EINVAL);
    vault = settings(*state);
    vault.default_key = "a/b";
    assert_int_equal(crypt_vault_open(&vault, &provider), -EINVAL);
}

static int check_over(const struct fake *fake, const char *url,
                      const char *ca_file)
{
    struct crypt_vault vault = settings(fake);
    vault.url = url;
    vault.ca_file = ca_file;
    struct crypt_provider *provider = open_vault(&vault);
    const int error = crypt_check_key(provider, master);
    crypt_provider_close(provider);
    return error;
}

static void test_tls(void **state)
{
    struct fake *fake = *state, tls = {0};
    char command[512], cert[96], key[96], url[80];
    snprintf(cert, sizeof(cert), "%s/cert.pem", fake->directory);
    snprintf(key, sizeof(key), "%s/key.pem", fake->directory);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
             "-nodes -days 2 -subj /CN=vault -addext "
             "subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
             key, cert);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    char *more[] = {"--cert", cert, "--key", key, NULL};
    fake_start(&tls, more);
    assert_int_equal(check_over(fake, tls.url, cert), 0);
    /* Signed by nobody we trust; of another name; not TLS; no such file. */
    assert_int_equal(check_over(fake, tls.url, NULL), -EAGAIN);
    snprintf(url, sizeof(url), "https://localhost%s", strrchr(tls.url, ':'));
    assert_int_equal(check_over(fake, url, cert), -EAGAIN);
    snprintf(url, sizeof(url), "https%s", strchr(fake->url, ':'));
    assert_int_equal(check_over(fake, url, cert), -EAGAIN);
    assert_int_equal(check_over(fake, tls.url, "/nonexistent"), -EAGAIN);
    fake_stop(&tls);
}

/* --- nothing of it in the log ----------------------------------------------*/
static void test_log(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope;
    char path[96], text[8192] = "", key[4 * CRYPT_KEY_SIZE];
    snprintf(path, sizeof(path), "%s/log", fake->directory);
    assert_int_equal(log_open(path), 0);
    log_set_level(LOG_LEVEL_DEBUG);
    assert_wraps(fake->provider, &envelope);
    crypt_unwrap(fake->provider, SLICE_LITERAL("x"), &envelope, out);
    fake_tell(fake, "{\"token\":\"s.another\"}", "asked");
    crypt_unwrap(fake->provider, bound, &envelope, out);
    fake_tell(fake, "{\"mode\":\"cut\"}", "asked");
    crypt_unwrap(fake->provider, bound, &envelope, out);
    assert_int_equal(log_open(NULL), 0);
    log_set_level(LOG_LEVEL_INFO);
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    base64_encode(key, object_key, CRYPT_KEY_SIZE);
    assert_non_null(strstr(text, "HTTP status 403"));
    assert_null(strstr(text, "test-token"));
    assert_null(strstr(text, "vault:v"));
    assert_null(strstr(text, key));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_and_back),
        TEST(test_rotation),
        TEST(test_no_such_key),
        TEST(test_tampered),
        TEST(test_token),
        TEST(test_misbehaviour),
        TEST(test_silence),
        TEST(test_nobody_there),
        TEST(test_cache),
        TEST(test_threads),
        TEST(test_settings),
        TEST(test_tls),
        TEST(test_log),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
