/*
 * One object into a file: written beside it, verified, renamed.
 *
 * The unfinished file is named by the key and the ETag: whoever finds it may
 * go on where it ends, if the object is still the same.
 */
#include "transfer/download.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define READ_SIZE  (256u << 10)
#define BREAKS_MAX 8 /* of the connection, without a byte between two */
#define NAME_BYTES 16

struct download {
    struct client *client;
    const char *key;
    const struct object *object;
    int fd;
    uint64_t have; /* bytes that are in the file and in the digester */
    bool known;    /* the two */
    struct facts facts;
    struct digester *digester;
    int error; /* why receive() said no */
};

/* --- the unfinished file ---------------------------------------------------*/
static void unfinished_name(const struct download *download,
                            char name[sizeof(RESERVED_PREFIX) + 2 * NAME_BYTES])
{
    struct buffer text = {0};
    uint8_t hash[EVP_MAX_MD_SIZE];

    buffer_printf(&text, "%s\n%s", download->key, download->object->etag);
    invariant(
        EVP_Digest(text.data, text.size, hash, NULL, EVP_sha256(), NULL) == 1);
    memcpy(name, RESERVED_PREFIX, sizeof(RESERVED_PREFIX));
    hex_encode(name + sizeof(RESERVED_PREFIX) - 1, hash, NAME_BYTES);
    buffer_free(&text);
}

static int open_unfinished(struct download *download, int parent,
                           const char *name)
{
    struct stat status;

    download->fd =
        openat(parent, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (download->fd < 0 || flock(download->fd, LOCK_EX | LOCK_NB) != 0 ||
        fstat(download->fd, &status) != 0) {
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    }
    if ((uint64_t)status.st_size <= download->object->size) {
        download->have = (uint64_t)status.st_size;
        return 0;
    }
    return ftruncate(download->fd, 0) == 0 ? 0 : -errno;
}

/* --- what is known of the object -------------------------------------------*/
static void learn(struct download *download, const struct answer *answer)
{
    facts_read(&download->facts, answer);
    download->digester = digester_new(download->facts.digest);
    download->known = true;
}

/* Reads what the file has, into the digester. */
static int digest_file(struct download *download)
{
    uint8_t *data = xmalloc(READ_SIZE);
    uint64_t done = 0;
    int error = 0;

    while (done < download->have && error == 0) {
        const uint64_t left = download->have - done;
        const ssize_t n =
            pread(download->fd, data, left < READ_SIZE ? left : READ_SIZE,
                  (off_t)done);
        if (n > 0) {
            digester_update(download->digester, data, (size_t)n);
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            error = n == 0 ? -ESTALE : -errno;
        }
    }
    free(data);
    return error;
}

/* A GET of a range does not tell the checksum: asked for before. */
static int resume(struct download *download)
{
    bool found;
    const int error =
        call_head(download->client, download->key, &found, &download->facts);

    if (error != 0) {
        return error;
    }
    if (!found || strcmp(download->facts.etag, download->object->etag) != 0) {
        return -ESTALE;
    }
    download->digester = digester_new(download->facts.digest);
    download->known = true;
    return digest_file(download);
}

/* --- reading ---------------------------------------------------------------*/
/* What comes begins where the file ends. */
static bool is_continued(const struct download *download,
                         const struct answer *answer)
{
    const char *range = answer_header(answer, "content-range");
    char begin[40];

    if (answer->status == 200) {
        return download->have == 0;
    }
    const int size = snprintf(begin, sizeof(begin), "bytes %llu-",
                              (unsigned long long)download->have);
    return answer->status == 206 && range != NULL &&
           strncmp(range, begin, (size_t)size) == 0;
}

struct receiver {
    struct download *download;
    bool begun; /* a byte of this answer has come */
};

static bool receive(void *context, const struct answer *answer,
                    const void *data, size_t size)
{
    struct receiver *receiver = context;
    struct download *download = receiver->download;
    const uint8_t *from = data;

    if (!receiver->begun && !is_continued(download, answer)) {
        download->error = -EPROTO;
        return false;
    }
    receiver->begun = true;
    if (!download->known) {
        learn(download, answer);
    }
    if (size > download->object->size - download->have) {
        download->error = -ESTALE;
        return false;
    }
    digester_update(download->digester, data, size);
    while (size > 0) {
        const ssize_t n =
            pwrite(download->fd, from, size, (off_t)download->have);
        if (n < 0 && errno != EINTR) {
            download->error = -errno;
            return false;
        }
        from += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        download->have += n > 0 ? (uint64_t)n : 0;
    }
    return true;
}

static int fetch_once(struct download *download)
{
    struct receiver receiver = {.download = download};
    struct request request = {
        .method = "GET",
        .key = download->key,
        .fd = -1,
        .receive = receive,
        .context = &receiver,
    };
    struct answer answer = {0};
    char range[40];

    request_header(&request, "if-match", download->object->etag);
    request_header(&request, "x-amz-checksum-mode", "ENABLED");
    if (download->have > 0) {
        snprintf(range, sizeof(range), "bytes=%llu-",
                 (unsigned long long)download->have);
        request_header(&request, "range", range);
    }
    int error = client_send(download->client, &request, &answer);
    if (error == 0 && !download->known) {
        learn(download, &answer); /* of no byte */
    }
    if (error == -ECANCELED) {
        error = download->error;
    } else if (error == -EREMOTEIO && answer.status == 412) {
        error = -ESTALE;
    }
    answer_free(&answer);
    return error;
}

/* All that is missing. */
static int fetch(struct download *download)
{
    unsigned breaks = 0;
    int error = 0;

    if (download->have == download->object->size && download->known) {
        return 0;
    }
    do {
        const uint64_t before = download->have;
        if (breaks > 0) {
            client_pause(breaks);
        }
        error = fetch_once(download);
        breaks = download->have > before ? 1 : breaks + 1;
    } while (error == -EPIPE && breaks < BREAKS_MAX);
    return error == 0 && download->have < download->object->size ? -ESTALE
                                                                 : error;
}

/* --- the file --------------------------------------------------------------*/
/* -EBADMSG: the bytes are others than the object's. */
static int verify(struct download *download, bool *verified)
{
    const struct facts *facts = &download->facts;
    uint8_t value[DIGEST_SIZE_MAX];

    *verified = facts->digest != 0;
    if (!*verified) {
        return 0;
    }
    digester_final(download->digester, facts->digest, value);
    return memcmp(value, facts->checksum, facts->checksum_size) == 0 ? 0
                                                                     : -EBADMSG;
}

static void forget(struct download *download)
{
    if (download->digester != NULL) {
        digester_free(download->digester);
    }
    download->digester = NULL;
    download->known = false;
    download->have = 0;
}

static int fill(struct download *download, bool *verified)
{
    int error = download->have > 0 ? resume(download) : 0;

    if (error == 0) {
        error = fetch(download);
    }
    return error == 0 ? verify(download, verified) : error;
}

/* What was there before a power failure may not be what was written. */
static int fill_or_begin_anew(struct download *download, bool *verified)
{
    const bool resumed = download->have > 0;
    int error = fill(download, verified);

    if (error == -EBADMSG) {
        forget(download);
        if (ftruncate(download->fd, 0) != 0) {
            return -errno;
        }
        error = resumed ? fill(download, verified) : error;
    }
    return error;
}

static int put_in_place(const struct download *download, int parent,
                        const char *name, const char *last)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        download->facts.mtime,
    };

    return futimens(download->fd, times) == 0 &&
                   renameat(parent, name, parent, last) == 0
               ? 0
               : -errno;
}

int download(struct client *client, int parent, const char *last,
             const char *key, const struct object *object, bool *verified)
{
    struct download download = {
        .client = client, .key = key, .object = object, .fd = -1};
    char name[sizeof(RESERVED_PREFIX) + 2 * NAME_BYTES];

    unfinished_name(&download, name);
    int error = open_unfinished(&download, parent, name);
    if (error == 0) {
        error = fill_or_begin_anew(&download, verified);
    }
    if (error == 0) {
        error = put_in_place(&download, parent, name, last);
    }
    if (error == -ESTALE || error == -EBADMSG ||
        (error != 0 && download.fd >= 0 && download.have == 0)) {
        unlinkat(parent, name, 0);
    }
    forget(&download);
    if (download.fd >= 0) {
        close(download.fd);
    }
    return error;
}
