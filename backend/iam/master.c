/*
 * The master key: a file of 64 hex digits, mode 0600, or the environment's
 * S3D_MASTER_KEY.
 *
 * While the secrets are sealed anew there are two keys, the new one first, a
 * line each; what either of them sealed opens. So a crash at any time leaves
 * a file that opens everything, and the next start goes on.
 */
#include "iam/private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT "S3D_MASTER_KEY"
#define LINE_SIZE   (2 * MASTER_KEY_SIZE + 1) /* hex, newline */
#define TEXT_MAX    (MASTER_KEYS * LINE_SIZE)

/* --- in memory -------------------------------------------------------------*/

struct master *master_new(void)
{
    struct master *master = mmap(NULL, sizeof(*master), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    invariant(master != MAP_FAILED);
    if (mlock(master, sizeof(*master)) != 0) {
        log_warn("iam: the master key cannot be locked in memory: %s",
                 strerror(errno));
    }
    madvise(master, sizeof(*master), MADV_DONTDUMP);
    return master;
}

void master_free(struct master *master)
{
    OPENSSL_cleanse(master, sizeof(*master));
    munlock(master, sizeof(*master));
    munmap(master, sizeof(*master));
}

void master_push(struct master *master)
{
    invariant(master->count == 1);
    memcpy(master->keys[1], master->keys[0], MASTER_KEY_SIZE);
    random_fill(master->keys[0], MASTER_KEY_SIZE);
    master->count = 2;
}

void master_pop(struct master *master)
{
    OPENSSL_cleanse(master->keys[1], MASTER_KEY_SIZE);
    master->count = 1;
}

/* --- as text ---------------------------------------------------------------*/

static int decode(struct master *master, const char *text, size_t size)
{
    unsigned i;

    if (size != LINE_SIZE && size != 2 * LINE_SIZE) {
        return -EINVAL;
    }
    for (i = 0; i < size / LINE_SIZE; i++, text += LINE_SIZE) {
        if (text[LINE_SIZE - 1] != '\n' ||
            hex_decode(master->keys[i], slice_of(text, LINE_SIZE - 1)) != 0) {
            return -EINVAL;
        }
    }
    master->count = i;
    return 0;
}

static size_t encode(const struct master *master, char text[TEXT_MAX + 1])
{
    unsigned i;

    for (i = 0; i < master->count; i++) {
        hex_encode(text + i * LINE_SIZE, master->keys[i], MASTER_KEY_SIZE);
        text[(i + 1) * LINE_SIZE - 1] = '\n';
    }
    return i * LINE_SIZE;
}

/* "NEW", or "NEW OLD" while one replaces the other. What was read is wiped:
 * /proc shows the environment. */
static int read_environment(struct master *master, char *value)
{
    char text[TEXT_MAX + 1];
    size_t size = strlen(value);
    int rc = -EINVAL;

    if (size + 1 <= TEXT_MAX) {
        memcpy(text, value, size);
        text[size] = '\n';
        if (size > LINE_SIZE - 1 && text[LINE_SIZE - 1] == ' ') {
            text[LINE_SIZE - 1] = '\n';
        }
        rc = decode(master, text, size + 1);
    }
    master->from_environment = true;
    OPENSSL_cleanse(text, sizeof(text));
    OPENSSL_cleanse(value, size);
    unsetenv(ENVIRONMENT);
    return rc;
}

/* --- as a file -------------------------------------------------------------*/

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

static int read_file(int fd, struct master *master)
{
    char text[TEXT_MAX + 1];
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
        rc = decode(master, text, (size_t)rc);
    }
    OPENSSL_cleanse(text, sizeof(text));
    return rc;
}

static int write_file(const struct master *master, const char *path,
                      bool replace)
{
    char text[TEXT_MAX + 1];
    size_t size = encode(master, text);
    int rc = private_file_write(path, slice_of(text, size), replace);

    OPENSSL_cleanse(text, sizeof(text));
    return rc;
}

int master_save(const struct master *master, const char *path)
{
    return write_file(master, path, true);
}

int master_load(struct master *master, const char *path, bool create)
{
    char *environment = getenv(ENVIRONMENT);
    int fd, rc;

    if (environment != NULL && environment[0] != '\0') {
        return read_environment(master, environment);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
        if (rc != -ENOENT || !create) {
            return rc;
        }
        random_fill(master->keys[0], MASTER_KEY_SIZE);
        master->count = 1;
        return write_file(master, path, false);
    }
    rc = read_file(fd, master);
    close(fd);
    return rc;
}
