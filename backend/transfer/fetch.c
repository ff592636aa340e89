/*
 * Reading: what breaks off is continued where it broke.
 */
#include "transfer/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BREAKS_MAX 8 /* of the connection, without a byte between two */

void fetch_learn(struct fetch *fetch)
{
    fetch->digester = digester_new(fetch->facts.digest);
    fetch->known = true;
}

void fetch_forget(struct fetch *fetch)
{
    if (fetch->known) {
        digester_free(fetch->digester);
    }
    fetch->known = false;
}

/* Not all endpoints know If-Match. */
static bool is_listed(const struct fetch *fetch, const struct answer *answer)
{
    const char *etag = answer_header(answer, "etag");

    return fetch->object->etag[0] == '\0' ||
           (etag != NULL && strcmp(etag, fetch->object->etag) == 0);
}

/* What comes begins where the file ends. */
static bool is_continued(const struct fetch *fetch, const struct answer *answer)
{
    const char *range = answer_header(answer, "content-range");
    char begin[40];

    if (answer->status == 200) {
        return fetch->at == 0 && fetch->end == fetch->object->size;
    }
    const int size = snprintf(begin, sizeof(begin), "bytes %llu-",
                              (unsigned long long)fetch->at);
    return answer->status == 206 && range != NULL &&
           strncmp(range, begin, (size_t)size) == 0;
}

static int write_all(struct fetch *fetch, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t n =
            pwrite(fetch->fd, data, size, (off_t)(fetch->at - fetch->begin));
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        fetch->at += n > 0 ? (uint64_t)n : 0;
    }
    return 0;
}

struct receiver {
    struct fetch *fetch;
    bool begun; /* a byte of this answer has come */
};

static bool receive(void *context, const struct answer *answer,
                    const void *data, size_t size)
{
    struct receiver *receiver = context;
    struct fetch *fetch = receiver->fetch;

    if (!receiver->begun) {
        fetch->error = !is_listed(fetch, answer)      ? -ESTALE
                       : !is_continued(fetch, answer) ? -EPROTO
                                                      : 0;
        if (fetch->error != 0) {
            return false;
        }
    }
    receiver->begun = true;
    if (!fetch->known) {
        facts_read(&fetch->facts, answer);
        fetch_learn(fetch);
    }
    if (size > fetch->end - fetch->at) {
        fetch->error = -ESTALE;
        return false;
    }
    digester_update(fetch->digester, data, size);
    fetch->error = write_all(fetch, data, size);
    return fetch->error == 0;
}

static int fetch_once(struct fetch *fetch)
{
    struct receiver receiver = {.fetch = fetch};
    struct request request = {
        .method = "GET",
        .key = fetch->key,
        .fd = -1,
        .receive = receive,
        .context = &receiver,
    };
    struct answer answer = {0};
    char range[60];

    if (fetch->object->etag[0] != '\0') {
        request_header(&request, "if-match", fetch->object->etag);
    }
    if (fetch->object->version != NULL) {
        request_query(&request, "versionId", fetch->object->version);
    }
    request_header(&request, "x-amz-checksum-mode", "ENABLED");
    if (fetch->at > 0 || fetch->end < fetch->object->size) {
        snprintf(range, sizeof(range), "bytes=%llu-%llu",
                 (unsigned long long)fetch->at,
                 (unsigned long long)fetch->end - 1);
        request_header(&request, "range", range);
    }
    int error = client_send(fetch->client, &request, &answer);
    if (error == 0 && !fetch->known) { /* of no byte */
        facts_read(&fetch->facts, &answer);
        fetch_learn(fetch);
    }
    if (error == -ECANCELED) {
        error = fetch->error;
    } else if (error == -EREMOTEIO && answer.status == 412) {
        error = -ESTALE;
    }
    answer_free(&answer);
    return error;
}

int fetch_run(struct fetch *fetch)
{
    unsigned breaks = 0;
    int error = 0;

    if (fetch->at == fetch->end && fetch->known) {
        return 0;
    }
    do {
        const uint64_t before = fetch->at;
        if (breaks > 0) {
            client_pause(breaks);
        }
        error = fetch_once(fetch);
        breaks = fetch->at > before ? 1 : breaks + 1;
    } while (error == -EPIPE && breaks < BREAKS_MAX);
    return error == 0 && fetch->at < fetch->end ? -ESTALE : error;
}

int fetch_verify(struct fetch *fetch, bool *verified)
{
    const struct facts *facts = &fetch->facts;
    uint8_t value[DIGEST_SIZE_MAX];

    *verified = facts->digest != 0;
    if (!*verified) {
        return 0;
    }
    digester_final(fetch->digester, facts->digest, value);
    return memcmp(value, facts->checksum, facts->checksum_size) == 0 ? 0
                                                                     : -EBADMSG;
}
