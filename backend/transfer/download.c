/*
 * One object into a file: written beside it, verified, renamed.
 *
 * The unfinished file is named by the key and the ETag: whoever finds it may
 * go on where it ends, if the object is still the same.
 */
#include "transfer/download.h"
#include "transfer/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define READ_SIZE  (256u << 10)
#define NAME_BYTES 16
#define NAME_SIZE  (sizeof(RESERVED_PREFIX) + 2 * NAME_BYTES)

/* --- the unfinished file ---------------------------------------------------*/
static void unfinished_name(const struct fetch *fetch, char name[NAME_SIZE])
{
    struct buffer text = {0};
    uint8_t hash[EVP_MAX_MD_SIZE];

    buffer_printf(&text, "%s\n%s", fetch->key, fetch->object->etag);
    invariant(
        EVP_Digest(text.data, text.size, hash, NULL, EVP_sha256(), NULL) == 1);
    memcpy(name, RESERVED_PREFIX, sizeof(RESERVED_PREFIX));
    hex_encode(name + sizeof(RESERVED_PREFIX) - 1, hash, NAME_BYTES);
    buffer_free(&text);
}

int unfinished_own(int fd, int parent, const char *name, struct stat *status)
{
    struct stat named;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    }
    if (fstat(fd, status) != 0) {
        return -errno;
    }
    if (fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? -EBUSY : -errno;
    }
    return S_ISREG(status->st_mode) && status->st_nlink == 1 &&
                   status->st_dev == named.st_dev &&
                   status->st_ino == named.st_ino
               ? 0
               : -EBUSY;
}

/* What there is of an object without an ETag may be of another. */
static int use_unfinished(struct fetch *fetch, const struct stat *status)
{
    if (fetch->object->etag[0] != '\0' &&
        (uint64_t)status->st_size <= fetch->object->size) {
        fetch->at = (uint64_t)status->st_size;
        return 0;
    }
    return ftruncate(fetch->fd, 0) == 0 ? 0 : -errno;
}

/* After an error fetch->fd is -1: the file of that name is not this one's. */
static int open_unfinished(struct fetch *fetch, int parent, const char *name)
{
    struct stat status = {0};

    fetch->fd =
        openat(parent, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fetch->fd < 0) {
        return -errno;
    }
    int error = unfinished_own(fetch->fd, parent, name, &status);
    if (error == 0) {
        error = use_unfinished(fetch, &status);
    }
    if (error != 0) {
        close(fetch->fd);
        fetch->fd = -1;
    }
    return error;
}

/* Reads what the file has, into the digester. */
static int digest_file(struct fetch *fetch)
{
    uint8_t *data = xmalloc(READ_SIZE);
    uint64_t done = 0;
    int error = 0;

    while (done < fetch->at && error == 0) {
        const uint64_t left = fetch->at - done;
        const ssize_t n = pread(
            fetch->fd, data, left < READ_SIZE ? left : READ_SIZE, (off_t)done);
        if (n > 0) {
            digester_update(fetch->digester, data, (size_t)n);
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            error = n == 0 ? -ESTALE : -errno;
        }
    }
    free(data);
    return error;
}

/* A GET of a range does not tell the checksum: asked for before. */
static int resume(struct fetch *fetch)
{
    bool found;
    const int error =
        call_head(fetch->client, fetch->key, &found, &fetch->facts);

    if (error != 0) {
        return error;
    }
    if (!found || strcmp(fetch->facts.etag, fetch->object->etag) != 0) {
        return -ESTALE;
    }
    fetch_learn(fetch);
    return digest_file(fetch);
}

/* --- the file --------------------------------------------------------------*/
static int fill(struct fetch *fetch, bool *verified)
{
    int error = fetch->at > 0 ? resume(fetch) : 0;

    if (error == 0) {
        error = fetch_run(fetch);
    }
    return error == 0 ? fetch_verify(fetch, verified) : error;
}

/* What was there before a power failure may not be what was written. */
static int fill_or_begin_anew(struct fetch *fetch, bool *verified)
{
    const bool resumed = fetch->at > 0;
    int error = fill(fetch, verified);

    if (error == -EBADMSG) {
        fetch_forget(fetch);
        fetch->at = 0;
        if (ftruncate(fetch->fd, 0) != 0) {
            return -errno;
        }
        error = resumed ? fill(fetch, verified) : error;
    }
    return error;
}

static int put_in_place(const struct fetch *fetch, int parent, const char *name,
                        const char *last)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        fetch->facts.mtime,
    };

    return futimens(fetch->fd, times) == 0 &&
                   renameat(parent, name, parent, last) == 0
               ? 0
               : -errno;
}

int download(struct client *client, int parent, const char *last,
             const char *key, const struct object *object, bool *verified)
{
    struct fetch fetch = {
        .client = client,
        .key = key,
        .object = object,
        .fd = -1,
        .end = object->size,
    };
    char name[NAME_SIZE];

    unfinished_name(&fetch, name);
    int error = open_unfinished(&fetch, parent, name);
    if (error == 0) {
        error = fill_or_begin_anew(&fetch, verified);
    }
    if (error == 0) {
        error = put_in_place(&fetch, parent, name, last);
    }
    if (fetch.fd >= 0 && (error == -ESTALE || error == -EBADMSG ||
                          (error != 0 && fetch.at == 0))) {
        unlinkat(parent, name, 0);
    }
    fetch_forget(&fetch);
    if (fetch.fd >= 0) {
        close(fetch.fd);
    }
    return error;
}
