/*
 * A provider over tests/fake_vault.py, over real HTTP.
 */
#ifndef CRYPT_VAULT_FIXTURE_H
#define CRYPT_VAULT_FIXTURE_H

#include "crypt_fixture.h"

#include <curl/curl.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define TOKEN "s.test-token"

static const struct slice bound = {(const uint8_t *)"bucket/key", 10};
static const struct slice master = {(const uint8_t *)"master", 6};
static uint8_t object_key[CRYPT_KEY_SIZE], out[CRYPT_KEY_SIZE];

/* --- the fake --------------------------------------------------------------*/
struct fake {
    pid_t process;
    int input; /* closed: it ends */
    char url[64];
    char token_file[96];
    char *directory;
    struct crypt_provider *provider;
};

static inline void fake_start(struct fake *fake, char *const more[])
{
    char file[] = __FILE__, script[256], port[16] = "";
    int to[2], from[2];
    char *words[8] = {"python3", script};

    snprintf(script, sizeof(script), "%s/../fake_vault.py", dirname(file));
    for (unsigned i = 0; more[i] != NULL; i++) {
        words[2 + i] = more[i];
    }
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    fake->process = fork();
    assert_true(fake->process >= 0);
    if (fake->process == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execvp(words[0], words);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    fake->input = to[1];
    FILE *answer = fdopen(from[0], "r");
    assert_non_null(fgets(port, sizeof(port), answer));
    fclose(answer);
    snprintf(fake->url, sizeof(fake->url), "%s://127.0.0.1:%d",
             more[0] != NULL ? "https" : "http", atoi(port));
}

static inline void fake_stop(struct fake *fake)
{
    int status;
    close(fake->input);
    assert_int_equal(waitpid(fake->process, &status, 0), fake->process);
}

static inline size_t keep(char *data, size_t one, size_t size, void *context)
{
    (void)one;
    buffer_append(context, data, size);
    return size;
}

/* What it has counted so far, after the wish. */
static inline long fake_tell(const struct fake *fake, const char *wish,
                             const char *count)
{
    struct buffer answer = {0};
    char url[80];
    CURL *handle = curl_easy_init();
    snprintf(url, sizeof(url), "%s/test", fake->url);
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, wish);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer);
    assert_int_equal(curl_easy_perform(handle), CURLE_OK);
    curl_easy_cleanup(handle);
    json_t *object = json_loadb((char *)answer.data, answer.size, 0, NULL);
    const json_t *value = json_object_get(object, count);
    assert_true(json_is_integer(value));
    const long number = (long)json_integer_value(value);
    json_decref(object);
    buffer_free(&answer);
    return number;
}

static inline long asked(const struct fake *fake)
{
    return fake_tell(fake, "{}", "asked");
}

static inline void write_token(const struct fake *fake, const char *text,
                               mode_t mode)
{
    unlink(fake->token_file);
    const int fd = open(fake->token_file, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline struct crypt_vault settings(const struct fake *fake)
{
    return (struct crypt_vault){.url = fake->url,
                                .mount = "transit",
                                .token_file = fake->token_file,
                                .timeout_ms = 60000,
                                .default_key = "master"};
}

static inline struct crypt_provider *open_vault(const struct crypt_vault *vault)
{
    struct crypt_provider *provider;
    assert_int_equal(crypt_vault_open(vault, &provider), 0);
    return provider;
}

static inline int setup(void **state)
{
    char *none[] = {NULL};
    struct fake *fake = xcalloc(1, sizeof(*fake));
    fill(object_key, sizeof(object_key), 0);
    fake_start(fake, none);
    directory_setup((void **)&fake->directory);
    snprintf(fake->token_file, sizeof(fake->token_file), "%s/token",
             fake->directory);
    write_token(fake, TOKEN "\n", 0600);
    const struct crypt_vault vault = settings(fake);
    fake->provider = open_vault(&vault);
    *state = fake;
    return 0;
}

static inline int teardown(void **state)
{
    struct fake *fake = *state;
    crypt_provider_close(fake->provider);
    directory_teardown((void **)&fake->directory);
    fake_stop(fake);
    free(fake);
    return 0;
}

#endif
