/*
 * The master key, and secrets sealed under it.
 *
 *   0   1  version, 1
 *   1  12  nonce, random
 *  13      secret, AES-256-GCM; the access key is authenticated with it
 *   .  16  tag
 */
#include "iam/private.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEAL_VERSION     1
#define NONCE_SIZE       12
#define TAG_SIZE         16
#define MASTER_FILE_SIZE (2 * MASTER_KEY_SIZE + 1) /* hex, newline */

void random_fill(void *out, size_t size)
{
    invariant(RAND_bytes(out, (int)size) == 1);
}

/* --- sealing
 * --------------------------------------------------------------------*/

size_t seal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
            struct slice secret, uint8_t out[SEALED_MAX_SIZE])
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    uint8_t *nonce = out + 1, *body = nonce + NONCE_SIZE;
    int size, last;

    invariant(cipher != NULL && secret.size <= SECRET_MAX_SIZE);
    out[0] = SEAL_VERSION;
    random_fill(nonce, NONCE_SIZE);
    invariant(EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, master,
                                 nonce) == 1);
    invariant(EVP_EncryptUpdate(cipher, NULL, &size, access_key.data,
                                (int)access_key.size) == 1);
    invariant(EVP_EncryptUpdate(cipher, body, &size, secret.data,
                                (int)secret.size) == 1);
    invariant(EVP_EncryptFinal_ex(cipher, body + size, &last) == 1);
    invariant((size_t)size + (size_t)last == secret.size);
    invariant(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE,
                                  body + secret.size) == 1);
    EVP_CIPHER_CTX_free(cipher);
    return secret.size + SEAL_OVERHEAD;
}

int unseal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
           struct slice sealed, uint8_t secret[SECRET_MAX_SIZE])
{
    const uint8_t *nonce = sealed.data + 1, *body = nonce + NONCE_SIZE;
    EVP_CIPHER_CTX *cipher;
    size_t body_size;
    int size = 0, last = 0;
    bool good;

    if (sealed.size < SEAL_OVERHEAD || sealed.size > SEALED_MAX_SIZE ||
        sealed.data[0] != SEAL_VERSION) {
        return -EKEYREJECTED;
    }
    body_size = sealed.size - SEAL_OVERHEAD;
    cipher = EVP_CIPHER_CTX_new();
    invariant(cipher != NULL);
    good =
        EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, master, nonce) ==
            1 &&
        EVP_DecryptUpdate(cipher, NULL, &size, access_key.data,
                          (int)access_key.size) == 1 &&
        EVP_DecryptUpdate(cipher, secret, &size, body, (int)body_size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE,
                            (void *)(body + body_size)) == 1 &&
        EVP_DecryptFinal_ex(cipher, secret + size, &last) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!good) {
        OPENSSL_cleanse(secret, SECRET_MAX_SIZE);
        return -EKEYREJECTED;
    }
    return size + last;
}

/* --- the master key
 * -----------------------------------------------------------*/

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
