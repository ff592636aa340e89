/* The identity file: which drive of which cluster a directory is. */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char magic[] = "S3DDRIVE";
#define MAGIC_SIZE 8
#define DOMAIN_AT  48

void identity_encode(uint8_t out[IDENTITY_SIZE],
                     const struct identity *identity)
{
    size_t domain = strlen(identity->domain);
    invariant(domain <= DOMAIN_SIZE_MAX);
    memset(out, 0, IDENTITY_SIZE);
    memcpy(out, magic, MAGIC_SIZE);
    put_u16le(out + 8, FORMAT_VERSION);
    put_u16le(out + 10, (uint16_t)domain);
    put_u32le(out + 12, identity->index);
    memcpy(out + 16, identity->cluster, DRIVE_UUID_SIZE);
    memcpy(out + 32, identity->drive, DRIVE_UUID_SIZE);
    memcpy(out + DOMAIN_AT, identity->domain, domain);
    put_u32le(out + IDENTITY_SIZE - 4, crc32c_bytes(out, IDENTITY_SIZE - 4));
}

int identity_decode(const uint8_t *in, size_t size, struct identity *identity)
{
    if (size != IDENTITY_SIZE || memcmp(in, magic, MAGIC_SIZE) != 0 ||
        get_u16le(in + 8) != FORMAT_VERSION ||
        get_u16le(in + 10) > DOMAIN_SIZE_MAX ||
        get_u32le(in + IDENTITY_SIZE - 4) !=
            crc32c_bytes(in, IDENTITY_SIZE - 4)) {
        return -EBADMSG;
    }
    memset(identity, 0, sizeof(*identity));
    identity->index = get_u32le(in + 12);
    memcpy(identity->cluster, in + 16, DRIVE_UUID_SIZE);
    memcpy(identity->drive, in + 32, DRIVE_UUID_SIZE);
    memcpy(identity->domain, in + DOMAIN_AT, get_u16le(in + 10));
    return 0;
}

static int stop_at_first(void *context, const char *name)
{
    (void)context;
    (void)name;
    return 1;
}

int identity_read(struct io *io, const char *directory,
                  struct identity *identity)
{
    char path[DRIVE_PATH_SIZE];
    drive_path(directory, "identity", path);
    struct buffer data = {0};
    int r = io_read_file(io, path, IDENTITY_SIZE, &data);
    if (r == 0) {
        r = identity_decode(data.data, data.size, identity);
    }
    buffer_free(&data);
    return r;
}

enum drive_state identity_check(struct io *io, const char *directory,
                                const uint8_t cluster[DRIVE_UUID_SIZE],
                                unsigned index, struct identity *identity)
{
    int r = identity_read(io, directory, identity);
    switch (r) {
    case 0:
        break;
    case -EFBIG:
    case -EBADMSG:
        return DRIVE_FOREIGN;
    case -ENOENT:
        return io_list(io, directory, stop_at_first, NULL) >= 0 ? DRIVE_BLANK
                                                                : DRIVE_MISSING;
    default:
        return DRIVE_MISSING;
    }
    if (memcmp(identity->cluster, cluster, DRIVE_UUID_SIZE) != 0 ||
        identity->index != index) {
        return DRIVE_FOREIGN;
    }
    return DRIVE_OK;
}

/* A random UUID of RFC 4122, version 4. */
static int new_uuid(uint8_t out[DRIVE_UUID_SIZE])
{
    if (getrandom(out, DRIVE_UUID_SIZE, 0) != DRIVE_UUID_SIZE) {
        return -EIO;
    }
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
    return 0;
}

static int must_not_exist(struct io *io, const char *path)
{
    struct io_file *file;
    int r = io_open(io, path, IO_READ, &file);
    if (r == 0) {
        io_close(file);
        return -EEXIST;
    }
    return r == -ENOENT ? 0 : r;
}

struct leftovers {
    struct io *io;
    const char *directory;
};

/* What may be in a directory that becomes a drive: nothing that somebody
 * could miss. `extents` and `identity.new` are of an interrupted format,
 * `metadata` may hold a mirror (kv/). */
static int may_be_there(void *context, const char *name)
{
    const struct leftovers *leftovers = context;
    if (strcmp(name, "lost+found") == 0 || strcmp(name, "identity.new") == 0 ||
        strcmp(name, "metadata") == 0) {
        return 0;
    }
    if (strcmp(name, "extents") != 0) {
        return -ENOTEMPTY;
    }
    char path[DRIVE_PATH_SIZE];
    drive_path(leftovers->directory, name, path);
    int r = io_list(leftovers->io, path, stop_at_first, NULL);
    return r == 1 ? -ENOTEMPTY : r;
}

static int must_be_empty(struct io *io, const char *directory)
{
    struct leftovers leftovers = {io, directory};
    return io_list(io, directory, may_be_there, &leftovers);
}

int drive_format(struct io *io, const struct drive_config *config,
                 const uint8_t cluster[DRIVE_UUID_SIZE])
{
    if (config->index > DRIVE_INDEX_MAX ||
        strlen(config->domain) > DOMAIN_SIZE_MAX) {
        return -EINVAL;
    }
    if (strlen(config->directory) >= DRIVE_DIRECTORY_SIZE) {
        return -ENAMETOOLONG;
    }
    int r = io_mkdir(io, config->directory);
    if (r != 0) {
        return r;
    }
    char path[DRIVE_PATH_SIZE];
    drive_path(config->directory, "identity", path);
    r = must_not_exist(io, path);
    if (r == 0) {
        r = must_be_empty(io, config->directory);
    }
    if (r != 0) {
        return r;
    }
    struct identity identity = {.index = config->index};
    memcpy(identity.cluster, cluster, DRIVE_UUID_SIZE);
    memcpy(identity.domain, config->domain, strlen(config->domain) + 1);
    r = new_uuid(identity.drive);
    if (r != 0) {
        return r;
    }

    /* The identity comes last: with it the drive is complete. */
    char extents[DRIVE_PATH_SIZE];
    drive_path(config->directory, "extents", extents);
    r = io_mkdir(io, extents);
    if (r == 0) {
        r = io_sync_parent(io, extents);
    }
    if (r == 0) {
        r = io_sync_parent(io, config->directory);
    }
    if (r != 0) {
        return r;
    }
    uint8_t bytes[IDENTITY_SIZE];
    identity_encode(bytes, &identity);
    return io_write_file(io, path, bytes, sizeof(bytes));
}
