/*
 * Questions to Vault over HTTP, with libcurl.
 *
 * The token is read from its file for each question: whoever renews it
 * replaces the file. It is in no log line and in no error.
 */
#include "crypt/private.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX   1024u
#define ANSWER_MAX  (16u << 10)
#define HANDLES_MAX 8u
#define HEADER      "X-Vault-Token: "

struct vault_http {
    char *base; /* https://vault:8200/v1/transit/ */
    char *token_file, *ca_file;
    unsigned timeout_ms;
    pthread_mutex_t lock;
    CURL *handles[HANDLES_MAX]; /* idle, each with its open connection */
    unsigned handle_count;
};

/* --- the address -----------------------------------------------------------*/
static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    const bool there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return there;
}

static bool part_is(CURLU *url, CURLUPart part, const char *const *values)
{
    char *text = NULL;
    bool is = false;
    if (curl_url_get(url, part, &text, 0) == CURLUE_OK) {
        for (; *values != NULL && !is; values++) {
            is = strcmp(text, *values) == 0;
        }
    }
    curl_free(text);
    return is;
}

/* A token goes over no wire in the clear. */
static bool good_url(CURLU *url, const char *text)
{
    static const char *const https[] = {"https", NULL};
    static const char *const http[] = {"http", NULL};
    static const char *const loopback[] = {"127.0.0.1", "[::1]", "localhost",
                                           NULL};
    return curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
           (part_is(url, CURLUPART_SCHEME, https) ||
            (part_is(url, CURLUPART_SCHEME, http) &&
             part_is(url, CURLUPART_HOST, loopback))) &&
           !has_part(url, CURLUPART_USER) &&
           !has_part(url, CURLUPART_PASSWORD) &&
           !has_part(url, CURLUPART_QUERY) &&
           !has_part(url, CURLUPART_FRAGMENT);
}

/* NULL: not an address of a Vault. */
static char *base_url(const struct crypt_vault *vault)
{
    struct buffer base = {0};
    CURLU *url = curl_url();
    invariant(url != NULL);
    const bool good = good_url(url, vault->url) &&
                      valid_key_name(slice_from_string(vault->mount));
    curl_url_cleanup(url);
    if (!good) {
        return NULL;
    }
    size_t size = strlen(vault->url);
    while (vault->url[size - 1] == '/') {
        size--;
    }
    buffer_append(&base, vault->url, size);
    buffer_printf(&base, "/v1/%s/", vault->mount);
    buffer_append(&base, "", 1);
    return (char *)base.data;
}

int vault_http_new(const struct crypt_vault *vault, struct vault_http **http)
{
    invariant(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    char *base = base_url(vault);
    if (base == NULL) {
        curl_global_cleanup();
        return -EINVAL;
    }
    struct vault_http *made = xcalloc(1, sizeof(*made));
    made->base = base;
    made->token_file = xstrdup(vault->token_file);
    made->ca_file = vault->ca_file != NULL ? xstrdup(vault->ca_file) : NULL;
    made->timeout_ms = vault->timeout_ms;
    pthread_mutex_init(&made->lock, NULL);
    *http = made;
    return 0;
}

void vault_http_free(struct vault_http *http)
{
    for (unsigned i = 0; i < http->handle_count; i++) {
        curl_easy_cleanup(http->handles[i]);
    }
    pthread_mutex_destroy(&http->lock);
    free(http->base);
    free(http->token_file);
    free(http->ca_file);
    free(http);
    curl_global_cleanup();
}

/* --- the token -------------------------------------------------------------*/
/* The header's line, or an error. */
static int read_token(const char *path, char line[sizeof(HEADER) + TOKEN_MAX])
{
    char *token = line + sizeof(HEADER) - 1;
    const int size = private_file_line(path, token, TOKEN_MAX);

    if (size < 0) {
        return size;
    }
    for (int i = 0; i < size; i++) {
        if (token[i] <= ' ' || token[i] > '~') {
            return -EINVAL;
        }
    }
    memcpy(line, HEADER, sizeof(HEADER) - 1);
    return 0;
}

static struct curl_slist *make_headers(const struct vault_http *http)
{
    char line[sizeof(HEADER) + TOKEN_MAX];
    struct curl_slist *headers = NULL;
    const int error = read_token(http->token_file, line);
    if (error == 0) {
        headers = curl_slist_append(NULL, line);
        invariant(headers != NULL);
        invariant(curl_slist_append(headers, "X-Vault-Request: true"));
        invariant(curl_slist_append(headers, "Content-Type: application/json"));
    } else {
        log_error("vault: no token can be read from %s: %s", http->token_file,
                  error == -EACCES ? "it is not a file, or not s3d's alone"
                                   : strerror(-error));
    }
    OPENSSL_cleanse(line, sizeof(line));
    return headers;
}

static void free_headers(struct curl_slist *headers)
{
    OPENSSL_cleanse(headers->data, strlen(headers->data)); /* the token */
    curl_slist_free_all(headers);
}

/* --- handles ---------------------------------------------------------------*/
static CURL *take_handle(struct vault_http *http)
{
    CURL *handle = NULL;
    pthread_mutex_lock(&http->lock);
    if (http->handle_count > 0) {
        handle = http->handles[--http->handle_count];
    }
    pthread_mutex_unlock(&http->lock);
    if (handle == NULL) {
        handle = curl_easy_init();
        invariant(handle != NULL);
    }
    return handle;
}

static void give_handle(struct vault_http *http, CURL *handle)
{
    curl_easy_reset(handle); /* the connection stays */
    pthread_mutex_lock(&http->lock);
    if (http->handle_count < HANDLES_MAX) {
        http->handles[http->handle_count++] = handle;
        handle = NULL;
    }
    pthread_mutex_unlock(&http->lock);
    if (handle != NULL) {
        curl_easy_cleanup(handle);
    }
}

/* --- a question ------------------------------------------------------------*/
struct answer {
    size_t size;
    char data[ANSWER_MAX];
};

static size_t receive(char *data, size_t one, size_t size, void *context)
{
    struct answer *answer = context;
    (void)one;
    if (size > sizeof(answer->data) - answer->size) {
        return 0; /* ends the transfer */
    }
    memcpy(answer->data + answer->size, data, size);
    answer->size += size;
    return size;
}

#define SET(option, value)                                                     \
    invariant(curl_easy_setopt(handle, option, value) == CURLE_OK)

/* The proxy of the environment is not asked: it would see the token. */
static CURLcode perform(const struct vault_http *http, CURL *handle,
                        const char *url, const char *body,
                        struct curl_slist *headers, struct answer *answer)
{
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)http->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->timeout_ms);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_WRITEFUNCTION, receive);
    SET(CURLOPT_WRITEDATA, answer);
    if (http->ca_file != NULL) {
        SET(CURLOPT_CAINFO, http->ca_file);
    }
    if (body != NULL) {
        SET(CURLOPT_POSTFIELDS, body);
        SET(CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    }
    const uint64_t began = clock_monotonic_us();
    blocking_begin();
    const CURLcode result = curl_easy_perform(handle);
    blocking_end();
    phase_add(PHASE_KEYS, began);
    return result;
}

static int ask(struct vault_http *http, const char *url, const char *body,
               struct curl_slist *headers, struct answer *answer, long *status)
{
    CURL *handle = take_handle(http);
    const CURLcode result = perform(http, handle, url, body, headers, answer);
    if (result == CURLE_OK) {
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, status);
    } else {
        log_error("vault: %s: %s", http->base, curl_easy_strerror(result));
    }
    give_handle(http, handle);
    return result == CURLE_OK ? 0 : -EAGAIN;
}

int vault_ask(struct vault_http *http, const char *path, const json_t *question,
              long *status, json_t **answer)
{
    struct answer received = {0};
    struct buffer url = {0};
    struct curl_slist *headers = make_headers(http);
    char *body = NULL;

    *answer = NULL;
    if (headers == NULL) {
        return -EACCES;
    }
    if (question != NULL) {
        body = json_dumps(question, JSON_COMPACT);
        invariant(body != NULL);
    }
    buffer_printf(&url, "%s%s", http->base, path);
    buffer_append(&url, "", 1);
    const int error =
        ask(http, (const char *)url.data, body, headers, &received, status);
    if (error == 0) {
        *answer = json_loadb(received.data, received.size,
                             JSON_REJECT_DUPLICATES, NULL);
    }
    OPENSSL_cleanse(&received, sizeof(received));
    if (body != NULL) {
        OPENSSL_cleanse(body, strlen(body));
        free(body);
    }
    buffer_free(&url);
    free_headers(headers);
    return error;
}
