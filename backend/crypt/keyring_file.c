/*
 * The file of master keys (docs/disk-format.md). What is in memory is the
 * file, byte by byte, in memory for secrets; a change makes a new one.
 *
 * Invariants:
 *   K1  Records ascend by name and version; versions of a name are 1, 2, 3 ...
 *   K2  The first name is "", SSE-S3's.
 *   K3  All versions of a name are disabled, or none; "" never is.
 */
#include "crypt/private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYRING_VERSION 1
static const uint8_t magic[8] = "S3DKEYRG";

/* The header. */
enum { MAGIC = 0, VERSION = 8, HEADER_ZEROS = 10, COUNT = 12 };
/* A record. */
enum {
    NAME_SIZE = 0,
    FLAGS = 1,
    RECORD_ZEROS = 2,
    KEY_VERSION = 4,
    CREATED = 8,
    NAME = 16,
    KEY = 80,
    TAIL_ZEROS = 112,
};
#define FLAG_DISABLED 1

static size_t file_size(size_t count)
{
    return KEYRING_HEADER_SIZE + count * KEYRING_RECORD_SIZE + KEYRING_SUM_SIZE;
}

static uint8_t *record_at(uint8_t *data, size_t at)
{
    return data + KEYRING_HEADER_SIZE + at * KEYRING_RECORD_SIZE;
}

static struct master_key read_record(const uint8_t *record)
{
    return (struct master_key){
        .name = slice_of(record + NAME, record[NAME_SIZE]),
        .version = get_u32le(record + KEY_VERSION),
        .disabled = (record[FLAGS] & FLAG_DISABLED) != 0,
        .created_ms = get_u64le(record + CREATED),
        .key = record + KEY,
    };
}

size_t keyring_count(const struct keyring_file *file)
{
    return get_u32le(file->data + COUNT);
}

struct master_key keyring_at(const struct keyring_file *file, size_t at)
{
    invariant(at < keyring_count(file));
    return read_record(record_at(file->data, at));
}

/* --- checks ----------------------------------------------------------------*/
static bool zeros(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool good_record(const uint8_t *record)
{
    const size_t name_size = record[NAME_SIZE];
    return name_size <= KEY_NAME_MAX && (record[FLAGS] & ~FLAG_DISABLED) == 0 &&
           zeros(record + RECORD_ZEROS, KEY_VERSION - RECORD_ZEROS) &&
           zeros(record + NAME + name_size, KEY_NAME_MAX - name_size) &&
           zeros(record + TAIL_ZEROS, KEYRING_RECORD_SIZE - TAIL_ZEROS) &&
           (name_size == 0 ||
            valid_key_name(slice_of(record + NAME, name_size)));
}

/* K1 and K3 of a record and the one before it. */
static bool follows(const struct master_key *key,
                    const struct master_key *before)
{
    const int order = slice_compare(before->name, key->name);
    if (order == 0) {
        return key->version == before->version + 1 &&
               key->disabled == before->disabled;
    }
    return order < 0 && key->version == 1;
}

static bool good_records(const uint8_t *records, size_t count)
{
    struct master_key before = {0};
    for (size_t i = 0; i < count; i++) {
        const uint8_t *record = records + i * KEYRING_RECORD_SIZE;
        if (!good_record(record)) {
            return false;
        }
        const struct master_key key = read_record(record);
        const bool good =
            i == 0 ? key.name.size == 0 && key.version == 1 && !key.disabled
                   : follows(&key, &before);
        if (!good) {
            return false;
        }
        before = key;
    }
    return true;
}

int keyring_check(const uint8_t *data, size_t size)
{
    if (size < file_size(1) || size > file_size(KEYRING_KEYS_MAX) ||
        memcmp(data + MAGIC, magic, sizeof(magic)) != 0 ||
        get_u16le(data + VERSION) != KEYRING_VERSION ||
        get_u16le(data + HEADER_ZEROS) != 0) {
        return -EBADMSG;
    }
    const size_t count = get_u32le(data + COUNT);
    const size_t sum_at = size - KEYRING_SUM_SIZE;
    if (count > KEYRING_KEYS_MAX || size != file_size(count) ||
        get_u32le(data + sum_at) != crc32c_bytes(data, sum_at) ||
        !good_records(data + KEYRING_HEADER_SIZE, count)) {
        return -EBADMSG;
    }
    return 0;
}

/* --- changes ---------------------------------------------------------------*/
static void file_new(size_t count, struct keyring_file *file)
{
    file->size = file_size(count);
    file->data = secret_alloc(file->size);
    memcpy(file->data + MAGIC, magic, sizeof(magic));
    put_u16le(file->data + VERSION, KEYRING_VERSION);
    put_u32le(file->data + COUNT, (uint32_t)count);
}

static void file_finish(struct keyring_file *file)
{
    const size_t sum_at = file->size - KEYRING_SUM_SIZE;
    put_u32le(file->data + sum_at, crc32c_bytes(file->data, sum_at));
    invariant(keyring_check(file->data, file->size) == 0);
}

void keyring_file_free(struct keyring_file *file)
{
    secret_free(file->data, file->size);
    *file = (struct keyring_file){0};
}

static void write_record(uint8_t *record, struct slice name, uint32_t version,
                         bool disabled)
{
    record[NAME_SIZE] = (uint8_t)name.size;
    record[FLAGS] = disabled ? FLAG_DISABLED : 0;
    put_u32le(record + KEY_VERSION, version);
    put_u64le(record + CREATED, clock_wall_ms());
    if (name.size > 0) {
        memcpy(record + NAME, name.data, name.size);
    }
    invariant(RAND_priv_bytes(record + KEY, CRYPT_KEY_SIZE) == 1);
}

int keyring_with_version(const struct keyring_file *file, struct slice name,
                         uint32_t version, struct keyring_file *copy)
{
    const size_t count = file->data != NULL ? keyring_count(file) : 0;
    bool disabled = false;
    size_t at = 0;

    if (count == KEYRING_KEYS_MAX) {
        return -ENOSPC;
    }
    for (; at < count; at++) {
        const struct master_key key = keyring_at(file, at);
        const int order = slice_compare(key.name, name);
        if (order > 0) {
            break;
        }
        disabled = order == 0 && key.disabled;
    }
    file_new(count + 1, copy);
    if (count > 0) {
        memcpy(record_at(copy->data, 0), record_at(file->data, 0),
               at * KEYRING_RECORD_SIZE);
        memcpy(record_at(copy->data, at + 1), record_at(file->data, at),
               (count - at) * KEYRING_RECORD_SIZE);
    }
    write_record(record_at(copy->data, at), name, version, disabled);
    file_finish(copy);
    return 0;
}

void keyring_with_state(const struct keyring_file *file, struct slice name,
                        bool disabled, struct keyring_file *copy)
{
    const size_t count = keyring_count(file);
    file_new(count, copy);
    memcpy(record_at(copy->data, 0), record_at(file->data, 0),
           count * KEYRING_RECORD_SIZE);
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(keyring_at(file, i).name, name)) {
            record_at(copy->data, i)[FLAGS] = disabled ? FLAG_DISABLED : 0;
        }
    }
    file_finish(copy);
}

/* --- the file --------------------------------------------------------------*/
static int read_whole(int fd, uint8_t *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EBADMSG;
        }
        done += (size_t)n;
    }
    return keyring_check(data, size);
}

int keyring_load(const char *path, struct keyring_file *file)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int error = 0;

    if (fd < 0) {
        return -errno;
    }
    *file = (struct keyring_file){0};
    if (fstat(fd, &st) != 0) {
        error = -errno;
    } else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)file_size(1) ||
               st.st_size > (off_t)file_size(KEYRING_KEYS_MAX)) {
        error = -EBADMSG;
    } else if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        error = -EACCES;
    } else {
        file->size = (size_t)st.st_size;
        file->data = secret_alloc(file->size);
        error = read_whole(fd, file->data, file->size);
    }
    close(fd);
    if (error != 0) {
        keyring_file_free(file);
    }
    return error;
}

int keyring_save(const char *path, const struct keyring_file *file,
                 bool replace)
{
    return private_file_write(path, slice_of(file->data, file->size), replace);
}
