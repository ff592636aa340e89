/*
 * One request to the endpoint, on the connection of its thread.
 */
#include "transfer/private.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ATTEMPTS       8 /* of an endpoint that has answered before */
#define ATTEMPTS_FIRST 3 /* of one that has not: it may be a wrong address */
#define PAUSE_MIN_MS   250u
#define PAUSE_MAX_MS   8000u

#define CONNECT_SECONDS 10L
#define SILENT_SECONDS  60L /* without a byte in either direction */

#define HEADER_BYTES_MAX (256u << 10) /* of all answers to an attempt */

#define EMPTY_SHA256                                                           \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DATE_MAX 17 /* "20130524T000000Z" */

/* --- requests and answers --------------------------------------------------*/
void request_query(struct request *request, const char *name, const char *value)
{
    invariant(request->query_count < QUERY_MAX);
    request->query[request->query_count++] = (struct field){name, value};
}

void request_header(struct request *request, const char *name,
                    const char *value)
{
    if (value != NULL) {
        invariant(request->header_count < HEADERS_MAX);
        request->headers[request->header_count++] = (struct field){name, value};
    }
}

const char *answer_header(const struct answer *answer, const char *name)
{
    for (unsigned i = 0; i < answer->header_count; i++) {
        if (strcmp(answer->headers[i].name, name) == 0) {
            return answer->headers[i].value;
        }
    }
    return NULL;
}

void answer_free(struct answer *answer)
{
    arena_free(answer->arena);
    buffer_free(&answer->body);
    memset(answer, 0, sizeof(*answer));
}

static void answer_reset(struct answer *answer)
{
    answer_free(answer);
    answer->arena = arena_new();
}

/* --- one attempt -----------------------------------------------------------*/
struct attempt {
    struct client *client;
    const struct request *request;
    struct answer *answer;
    char date[DATE_MAX];
    char *url;
    struct curl_slist *headers;
    uint64_t sent;     /* of request->size */
    uint64_t received; /* by request->receive */
    uint64_t header_bytes;
    bool refused;   /* by request->receive, or stopped */
    bool too_large; /* the headers, or the body */
    int read_error; /* of the file */
};

static size_t on_header(char *data, size_t one, size_t size, void *context)
{
    struct attempt *attempt = context;
    struct answer *answer = attempt->answer;
    char *colon = memchr(data, ':', size);
    (void)one;

    attempt->header_bytes += size;
    if (attempt->header_bytes > HEADER_BYTES_MAX) {
        attempt->too_large = true;
        return 0;
    }
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        answer->header_count = 0; /* what came before was "100 Continue" */
    } else if (colon != NULL && answer->header_count < ANSWER_HEADERS_MAX) {
        const size_t name_size = (size_t)(colon - data);
        const char *value = colon + 1;
        const char *end = data + size;
        while (value < end && (*value == ' ' || *value == '\t')) {
            value++;
        }
        while (end > value && (end[-1] == '\n' || end[-1] == '\r' ||
                               end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }
        char *name = arena_string(answer->arena, slice_of(data, name_size));
        for (char *c = name; *c != '\0'; c++) {
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
        }
        answer->headers[answer->header_count++] = (struct field){
            name, arena_string(answer->arena,
                               slice_of(value, (size_t)(end - value)))};
    }
    return size;
}

static bool is_good(long status)
{
    return status >= 200 && status < 300;
}

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    struct attempt *attempt = context;
    const struct request *request = attempt->request;
    struct answer *answer = attempt->answer;
    (void)one;

    curl_easy_getinfo(attempt->client->handle, CURLINFO_RESPONSE_CODE,
                      &answer->status);
    if (request->receive != NULL && is_good(answer->status)) {
        attempt->refused =
            !request->receive(request->context, answer, data, size);
        attempt->received += size;
        atomic_fetch_add(attempt->client->wire_bytes, size);
    } else if (size > XML_IN_SIZE_MAX - answer->body.size) {
        attempt->too_large = true;
    } else {
        buffer_append(&answer->body, data, size);
    }
    return attempt->refused || attempt->too_large ? 0 : size;
}

static size_t on_read(char *data, size_t one, size_t size, void *context)
{
    struct attempt *attempt = context;
    const struct request *request = attempt->request;
    const uint64_t left = request->size - attempt->sent;
    const atomic_bool *stop = attempt->client->stop;
    ssize_t n;

    if (stop != NULL && atomic_load(stop)) {
        attempt->refused = true;
        return CURL_READFUNC_ABORT;
    }
    size = one * size;
    size = left < size ? (size_t)left : size;
    do {
        n = pread(request->fd, data, size,
                  (off_t)(request->offset + attempt->sent));
    } while (n < 0 && errno == EINTR);
    if (n < 0 || (n == 0 && size > 0)) { /* 0: it has become shorter */
        attempt->read_error = n < 0 ? -errno : -ESTALE;
        return CURL_READFUNC_ABORT;
    }
    attempt->sent += (size_t)n;
    atomic_fetch_add(attempt->client->wire_bytes, (size_t)n);
    return (size_t)n;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct attempt *attempt = context;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > attempt->sent) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    atomic_fetch_sub(attempt->client->wire_bytes,
                     attempt->sent - (uint64_t)offset);
    attempt->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* --- what is sent ----------------------------------------------------------*/
static void append_line(struct attempt *attempt, const char *line)
{
    struct curl_slist *more = curl_slist_append(attempt->headers, line);

    invariant(more != NULL);
    attempt->headers = more;
}

static void add_line(struct attempt *attempt, const char *name,
                     const char *value)
{
    struct buffer line = {0};

    if (value[0] != '\0') {
        buffer_printf(&line, "%s: %s", name, value);
    } else { /* as libcurl has a header without a value */
        buffer_printf(&line, "%s;", name);
    }
    buffer_append(&line, "", 1);
    append_line(attempt, (const char *)line.data);
    buffer_free(&line);
}

static const char *payload_of(const struct attempt *attempt, char hex[65])
{
    const struct request *request = attempt->request;

    if (request->sha256 != NULL) {
        return attempt->client->endpoint->tls ? "UNSIGNED-PAYLOAD"
                                              : request->sha256;
    }
    if (request->body.size == 0) {
        return EMPTY_SHA256;
    }
    struct digester *digester = digester_new(DIGEST_SHA256);
    uint8_t hash[DIGEST_SIZE_MAX];
    digester_update(digester, request->body.data, request->body.size);
    hex_encode(hex, hash, digester_final(digester, DIGEST_SHA256, hash));
    digester_free(digester);
    return hex;
}

static void make_path(struct buffer *path, const struct attempt *attempt)
{
    const char *key = attempt->request->key;

    buffer_printf(path, "/%s", attempt->client->endpoint->bucket);
    if (key != NULL) {
        buffer_append(path, "/", 1);
        uri_encode(path, slice_from_string(key), true);
    }
    buffer_append(path, "", 1);
}

static void make_query(struct buffer *query, const struct request *request)
{
    struct field fields[QUERY_MAX];

    memcpy(fields, request->query, sizeof(fields));
    fields_sort(fields, request->query_count);
    for (unsigned i = 0; i < request->query_count; i++) {
        buffer_append_string(query, i > 0 ? "&" : "");
        uri_encode(query, slice_from_string(fields[i].name), false);
        buffer_append_string(query, "=");
        uri_encode(query, slice_from_string(fields[i].value), false);
    }
    buffer_append(query, "", 1);
}

/* The headers of the request, those of its signature, and Authorization. */
static void make_headers(struct attempt *attempt, const char *path,
                         const char *query)
{
    const struct endpoint *endpoint = attempt->client->endpoint;
    struct request all = *attempt->request;
    struct buffer authorization = {0};
    char hex[65];
    const char *payload = payload_of(attempt, hex);

    request_header(&all, "host", endpoint->host);
    request_header(&all, "x-amz-content-sha256", payload);
    request_header(&all, "x-amz-date", attempt->date);
    request_header(&all, "x-amz-security-token", endpoint->token);
    fields_sort(all.headers, all.header_count);
    sign(&authorization,
         &(struct signed_request){.method = all.method,
                                  .path = path,
                                  .query = query,
                                  .headers = all.headers,
                                  .header_count = all.header_count,
                                  .payload = payload,
                                  .date = attempt->date},
         endpoint->region, endpoint->access_key, endpoint->secret_key);
    buffer_append(&authorization, "", 1);
    add_line(attempt, "Authorization", (const char *)authorization.data);
    bool typed = false;
    for (unsigned i = 0; i < all.header_count; i++) {
        add_line(attempt, all.headers[i].name, all.headers[i].value);
        typed = typed || strcmp(all.headers[i].name, "content-type") == 0;
    }
    if (!typed) { /* libcurl adds one of its own to a POST */
        append_line(attempt, "Content-Type:");
    }
    buffer_free(&authorization);
}

static void prepare(struct attempt *attempt)
{
    struct buffer path = {0}, query = {0}, url = {0};
    const time_t now = time(NULL);
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(attempt->date, sizeof(attempt->date), "%Y%m%dT%H%M%SZ", &parts);
    make_path(&path, attempt);
    make_query(&query, attempt->request);
    buffer_printf(&url, "%s%s%s%s", attempt->client->endpoint->base,
                  (const char *)path.data, query.size > 1 ? "?" : "",
                  (const char *)query.data);
    attempt->url = xstrdup((const char *)url.data);
    make_headers(attempt, (const char *)path.data, (const char *)query.data);
    buffer_free(&path);
    buffer_free(&query);
    buffer_free(&url);
}

#define SET(option, value)                                                     \
    invariant(curl_easy_setopt(handle, option, value) == CURLE_OK)

static void set_method(CURL *handle, const struct request *request)
{
    if (strcmp(request->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "PUT") == 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->size);
    } else if (strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        SET(CURLOPT_POSTFIELDS,
            request->body.size > 0 ? (const char *)request->body.data : "");
    } else {
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void set_options(struct attempt *attempt)
{
    CURL *handle = attempt->client->handle;
    const struct endpoint *endpoint = attempt->client->endpoint;

    curl_easy_reset(handle); /* the connection stays */
    SET(CURLOPT_URL, attempt->url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTPHEADER, attempt->headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, SILENT_SECONDS);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_USERAGENT, "s3ctl");
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, attempt);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, attempt);
    SET(CURLOPT_READFUNCTION, on_read);
    SET(CURLOPT_READDATA, attempt);
    SET(CURLOPT_SEEKFUNCTION, on_seek);
    SET(CURLOPT_SEEKDATA, attempt);
    if (endpoint->ca_file != NULL) {
        SET(CURLOPT_CAINFO, endpoint->ca_file);
    }
    set_method(handle, attempt->request);
}

/* --- what came back --------------------------------------------------------*/
/* The endpoint's error, which a 200 may hold too, for people. */
void client_read_error(struct client *client, const struct request *request,
                       struct answer *answer)
{
    const struct xml_node *root = xml_in_parse(
        answer->arena, slice_of(answer->body.data, answer->body.size), "Error");
    struct slice message = {0};

    if (root != NULL) {
        answer->code = xml_in_text(root, "Code");
        message = xml_in_text(root, "Message");
    }
    snprintf(client->why, sizeof(client->why), "%s: %ld %.*s%s%.*s",
             request->method, answer->status, (int)answer->code.size,
             (const char *)answer->code.data, message.size > 0 ? ": " : "",
             (int)message.size, (const char *)message.data);
}

static bool status_passes(const struct answer *answer)
{
    return answer->status == 429 || answer->status >= 500
               ? answer->status != 501
               : slice_equal_string(answer->code, "RequestTimeout");
}

/* What another attempt does not mend. */
static bool is_final(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_URL_MALFORMAT ||
           code == CURLE_UNSUPPORTED_PROTOCOL;
}

/* *again: it may do better next time. */
static int judge(struct attempt *attempt, CURLcode code, bool *again)
{
    struct client *client = attempt->client;
    struct answer *answer = attempt->answer;

    *again = false;
    if (attempt->refused) {
        return -ECANCELED;
    }
    if (attempt->read_error != 0) {
        return attempt->read_error;
    }
    if (attempt->too_large) {
        snprintf(client->why, sizeof(client->why),
                 "%s: the answer is too large", attempt->request->method);
        return -EPROTO;
    }
    if (code != CURLE_OK) {
        snprintf(client->why, sizeof(client->why), "%s: %s",
                 client->endpoint->host, curl_easy_strerror(code));
        *again = attempt->received == 0 && !is_final(code);
        return attempt->received > 0 ? -EPIPE : -EHOSTDOWN;
    }
    atomic_store(&client->endpoint->answered, true);
    if (is_good(answer->status)) {
        return 0;
    }
    client_read_error(client, attempt->request, answer);
    *again = status_passes(answer);
    return -EREMOTEIO;
}

static int try_once(struct client *client, const struct request *request,
                    struct answer *answer, bool *again)
{
    struct attempt attempt = {
        .client = client, .request = request, .answer = answer};

    answer_reset(answer);
    prepare(&attempt);
    set_options(&attempt);
    const CURLcode code = curl_easy_perform(client->handle);
    curl_easy_getinfo(client->handle, CURLINFO_RESPONSE_CODE, &answer->status);
    const int error = judge(&attempt, code, again);
    if (error != 0) {
        atomic_fetch_sub(client->wire_bytes, attempt.sent);
    }
    curl_slist_free_all(attempt.headers);
    free(attempt.url);
    return error;
}

int client_send_once(struct client *client, const struct request *request,
                     struct answer *answer)
{
    bool again;

    return try_once(client, request, answer, &again);
}

/* Doubled each time, and up to half of it by chance: many threads wait. */
void client_pause(unsigned failures)
{
    uint32_t chance = 0;
    unsigned ms = PAUSE_MIN_MS;

    while (--failures > 0 && ms < PAUSE_MAX_MS) {
        ms *= 2;
    }
    RAND_bytes((unsigned char *)&chance, sizeof(chance));
    ms -= chance % (ms / 2);
    nanosleep(&(struct timespec){.tv_sec = ms / 1000,
                                 .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

int client_send(struct client *client, const struct request *request,
                struct answer *answer)
{
    for (unsigned failures = 1;; failures++) {
        bool again;
        const int error = try_once(client, request, answer, &again);
        const unsigned most = atomic_load(&client->endpoint->answered)
                                  ? ATTEMPTS
                                  : ATTEMPTS_FIRST;
        if (error == 0) {
            client->why[0] = '\0';
        }
        if (error == 0 || !again || failures >= most) {
            return error;
        }
        client_pause(failures);
    }
}

void client_open(struct client *client, struct endpoint *endpoint,
                 atomic_ullong *wire_bytes)
{
    memset(client, 0, sizeof(*client));
    client->endpoint = endpoint;
    client->wire_bytes = wire_bytes;
    client->handle = curl_easy_init();
    invariant(client->handle != NULL);
}

void client_close(struct client *client)
{
    curl_easy_cleanup(client->handle);
}
