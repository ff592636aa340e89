/*
 * libcurl's multi interface: connections are kept, and one that is slow holds
 * up no other.
 *
 * What the edge's own headers are made of may be a secret: it is in no log.
 */
#include "purge/sender.h"
#include "purge/plan.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX 4096

struct transfer {
    struct transfer *next;
    CURL *handle;
    struct curl_slist *headers; /* the edge's and the request's */
    void *context;
    char error[CURL_ERROR_SIZE];
};

struct sender {
    const struct purge_edge *edge;
    CURLM *multi;
    struct curl_slist *headers; /* of every request, with the secret */
    struct curl_slist *connect; /* NULL: to where the url says */
    struct transfer *transfers;
    int count;
};

#define SET(option, value)                                                     \
    invariant(curl_easy_setopt(handle, option, value) == CURLE_OK)

/* --- headers ---------------------------------------------------------------*/
static void append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    invariant(longer != NULL);
    *list = longer;
}

static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *line = headers; line != NULL; line = line->next) {
        OPENSSL_cleanse(line->data, strlen(line->data));
    }
    curl_slist_free_all(headers);
}

static struct curl_slist *edge_headers(const struct purge_edge *edge,
                                       struct slice secret)
{
    const struct slice values[VARIABLE_COUNT] = {[VARIABLE_SECRET] = secret};
    struct curl_slist *headers = NULL;

    append(&headers, "User-Agent: s3ctl");
    append(&headers, "Accept:");
    for (size_t i = 0; i < edge->headers.count; i++) {
        struct buffer line = {0};

        buffer_reserve(&line, SECRET_MAX + PURGE_TEXT_MAX);
        template_render(&edge->headers.list[i], values, &line);
        buffer_append(&line, "", 1);
        append(&headers, (const char *)line.data);
        OPENSSL_cleanse(line.data, line.size);
        buffer_free(&line);
    }
    return headers;
}

/* --- opening and closing ---------------------------------------------------*/
static int read_secret(const struct purge_edge *edge, char secret[SECRET_MAX])
{
    secret[0] = '\0';
    if (edge->secret_file[0] == '\0') {
        return 0;
    }
    const int size = private_file_line(edge->secret_file, secret, SECRET_MAX);
    if (size < 0) {
        log_error("purge: edge %s: no secret can be read from %s: %s",
                  edge->name, edge->secret_file,
                  size == -EACCES ? "others may read or write it"
                                  : strerror(-size));
    }
    return size;
}

struct sender *sender_new(const struct purge_edge *edge)
{
    char secret[SECRET_MAX];

    if (read_secret(edge, secret) < 0) {
        return NULL;
    }
    struct sender *sender = xcalloc(1, sizeof(*sender));
    sender->edge = edge;
    sender->headers = edge_headers(edge, slice_from_string(secret));
    OPENSSL_cleanse(secret, sizeof(secret));
    if (edge->connect[0] != '\0') {
        struct buffer line = {0};
        buffer_printf(&line, "::%s", edge->connect);
        buffer_append(&line, "", 1);
        append(&sender->connect, (const char *)line.data);
        buffer_free(&line);
    }
    sender->multi = curl_multi_init();
    invariant(sender->multi != NULL);
    curl_multi_setopt(sender->multi, CURLMOPT_MAXCONNECTS,
                      (long)edge->connections);
    return sender;
}

static void end_transfer(struct sender *sender, struct transfer *transfer)
{
    struct transfer **link = &sender->transfers;

    while (*link != transfer) {
        link = &(*link)->next;
    }
    *link = transfer->next;
    sender->count--;
    curl_multi_remove_handle(sender->multi, transfer->handle);
    curl_easy_cleanup(transfer->handle);
    free_headers(transfer->headers);
    free(transfer);
}

void sender_free(struct sender *sender)
{
    if (sender == NULL) {
        return;
    }
    while (sender->transfers != NULL) {
        end_transfer(sender, sender->transfers);
    }
    curl_multi_cleanup(sender->multi);
    free_headers(sender->headers);
    curl_slist_free_all(sender->connect);
    free(sender);
}

/* --- sending ---------------------------------------------------------------*/
/* What an edge says of a purge is its status. */
static size_t ignore(char *data, size_t one, size_t size, void *context)
{
    (void)data;
    (void)one;
    (void)context;
    return size;
}

/* The proxy of the environment is not asked: purges go to the edges named. */
static void set_up(const struct sender *sender, struct transfer *transfer,
                   const char *method, const char *url)
{
    const struct purge_edge *edge = sender->edge;
    CURL *handle = transfer->handle;

    SET(CURLOPT_CUSTOMREQUEST, method);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)(edge->timeout_s * 1000));
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(edge->timeout_s * 1000));
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_WRITEFUNCTION, ignore);
    SET(CURLOPT_ERRORBUFFER, transfer->error);
    SET(CURLOPT_PRIVATE, transfer);
    if (sender->connect != NULL) {
        SET(CURLOPT_CONNECT_TO, sender->connect);
    }
    if (edge->ca_file[0] != '\0') {
        SET(CURLOPT_CAINFO, edge->ca_file);
    }
}

void sender_send(struct sender *sender, struct slice request, void *context)
{
    const char *method = plan_next_part(&request);
    const char *url = plan_next_part(&request);
    struct transfer *transfer = xcalloc(1, sizeof(*transfer));
    const char *line;

    transfer->context = context;
    for (const struct curl_slist *of_edge = sender->headers; of_edge != NULL;
         of_edge = of_edge->next) {
        append(&transfer->headers, of_edge->data);
    }
    while ((line = plan_next_part(&request)) != NULL) {
        append(&transfer->headers, line);
    }
    transfer->handle = curl_easy_init();
    invariant(transfer->handle != NULL);
    set_up(sender, transfer, method, url);
    transfer->next = sender->transfers;
    sender->transfers = transfer;
    sender->count++;
    invariant(curl_multi_add_handle(sender->multi, transfer->handle) ==
              CURLM_OK);
}

void sender_wait(struct sender *sender, int fd_a, int fd_b, int ms)
{
    struct curl_waitfd fds[2];
    unsigned count = 0;
    int running;

    if (fd_a >= 0) {
        fds[count++] = (struct curl_waitfd){fd_a, CURL_WAIT_POLLIN, 0};
    }
    if (fd_b >= 0) {
        fds[count++] = (struct curl_waitfd){fd_b, CURL_WAIT_POLLIN, 0};
    }
    invariant(curl_multi_perform(sender->multi, &running) == CURLM_OK);
    ms = running < sender->count ? 0 : ms; /* something has come already */
    invariant(curl_multi_poll(sender->multi, fds, count, ms, NULL) == CURLM_OK);
    invariant(curl_multi_perform(sender->multi, &running) == CURLM_OK);
}

bool sender_take(struct sender *sender, struct sender_outcome *outcome)
{
    const CURLMsg *message;
    int left;

    do {
        message = curl_multi_info_read(sender->multi, &left);
    } while (message != NULL && message->msg != CURLMSG_DONE);
    if (message == NULL) {
        return false;
    }
    const CURLcode result = message->data.result;
    struct transfer *transfer = NULL;
    long status = 0;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    *outcome = (struct sender_outcome){.context = transfer->context};
    if (result == CURLE_OK) {
        outcome->status = (unsigned)status;
    } else {
        snprintf(outcome->error, sizeof(outcome->error), "%s",
                 transfer->error[0] != '\0' ? transfer->error
                                            : curl_easy_strerror(result));
    }
    end_transfer(sender, transfer);
    return true;
}
