/*
 * The master key: a file of 64 hex digits, mode 0600.
 */
#include "iam/private.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MASTER_FILE_SIZE (2 * MASTER_KEY_SIZE + 1) /* hex, newline */

static int read_all(int fd, char *out, size_t size)
{
    size_t done = 0;
    ssize_t n;

    while (done < size) {
        n = read(fd, out + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int)done;
}

static int master_key_read(int fd, uint8_t key[MASTER_KEY_SIZE])
{
    char text[MASTER_FILE_SIZE + 1];
    struct stat st;
    int rc;

    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        return -EACCES;
    }
    rc = read_all(fd, text, sizeof(text));
    if (rc >= 0) {
        rc = rc == MASTER_FILE_SIZE && text[MASTER_FILE_SIZE - 1] == '\n'
                 ? hex_decode(key, slice_of(text, MASTER_FILE_SIZE - 1))
                 : -EINVAL;
    }
    OPENSSL_cleanse(text, sizeof(text));
    return rc;
}

static int write_synced(int fd, const char *data, size_t size)
{
    size_t done = 0;
    ssize_t n;

    while (done < size) {
        n = write(fd, data + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        done += (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

static int sync_directory_of(const char *path)
{
    char *copy = xstrdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    free(copy);
    if (fd < 0) {
        return -errno;
    }
    if (fsync(fd) != 0) {
        rc = -errno;
    }
    close(fd);
    return rc;
}

/* The file appears whole or not at all: written under another name, synced,
 * then linked, which never replaces a key that is there. */
static int master_key_publish(const char *path, const char *text)
{
    struct buffer temporary = {0};
    const char *name;
    int fd, rc;

    buffer_printf(&temporary, "%s.new", path);
    buffer_append(&temporary, "", 1);
    name = (const char *)temporary.data;
    unlink(name); /* left by a crash */
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        rc = -errno;
        buffer_free(&temporary);
        return rc;
    }
    rc = write_synced(fd, text, MASTER_FILE_SIZE);
    close(fd);
    if (rc == 0 && link(name, path) != 0) {
        rc = -errno;
    }
    unlink(name);
    if (rc == 0) {
        rc = sync_directory_of(path);
    }
    buffer_free(&temporary);
    return rc;
}

static int master_key_create(const char *path, uint8_t key[MASTER_KEY_SIZE])
{
    char text[MASTER_FILE_SIZE + 1];
    int rc;

    random_fill(key, MASTER_KEY_SIZE);
    hex_encode(text, key, MASTER_KEY_SIZE);
    text[MASTER_FILE_SIZE - 1] = '\n';
    text[MASTER_FILE_SIZE] = '\0';
    rc = master_key_publish(path, text);
    OPENSSL_cleanse(text, sizeof(text));
    return rc;
}

int master_key_load(const char *path, bool create, uint8_t key[MASTER_KEY_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0) {
        rc = -errno;
        return rc == -ENOENT && create ? master_key_create(path, key) : rc;
    }
    rc = master_key_read(fd, key);
    close(fd);
    return rc;
}
