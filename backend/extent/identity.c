/* The identity file: which drive of which cluster a directory is. */
#include "extent/private.h"

#include <errno.h>
#include <stdio.h>
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

int drive_identify(struct io *io, const char *directory,
                   struct drive_identity *found)
{
    struct identity identity;
    if (strlen(directory) >= DRIVE_DIRECTORY_SIZE) {
        return -ENAMETOOLONG;
    }
    int r = identity_read(io, directory, &identity);
    if (r == 0) {
        memcpy(found->cluster, identity.cluster, DRIVE_UUID_SIZE);
        memcpy(found->uuid, identity.drive, DRIVE_UUID_SIZE);
        found->index = identity.index;
    }
    return r == -EFBIG ? -EBADMSG : r;
}

static bool is_set(const uint8_t uuid[DRIVE_UUID_SIZE])
{
    static const uint8_t zeros[DRIVE_UUID_SIZE];
    return memcmp(uuid, zeros, DRIVE_UUID_SIZE) != 0;
}

/* NULL if the identity is the one that is looked for. */
static const char *mismatch(const struct identity *identity, unsigned index,
                            const struct drive_options *options)
{
    if (memcmp(identity->cluster, options->cluster, DRIVE_UUID_SIZE) != 0) {
        return "it holds a drive of another cluster";
    }
    if (identity->index != index) {
        return "it holds drive %u: drives are swapped; they are found when s3d "
               "starts again";
    }
    if (is_set(options->uuid) &&
        memcmp(identity->drive, options->uuid, DRIVE_UUID_SIZE) != 0) {
        return "it holds another drive %u than the metadata name";
    }
    return NULL;
}

enum drive_state identity_check(struct io *io, const char *directory,
                                unsigned index,
                                const struct drive_options *options,
                                struct identity *identity,
                                char reason[REASON_SIZE])
{
    int r = identity_read(io, directory, identity);
    int listed = r == -ENOENT ? io_list(io, directory, stop_at_first, NULL) : 0;
    const char *wrong = r == 0 ? mismatch(identity, index, options) : NULL;

    reason[0] = '\0';
    if (wrong != NULL) {
        snprintf(reason, REASON_SIZE, wrong, identity->index);
        return DRIVE_FOREIGN;
    }
    if (r == 0) {
        return DRIVE_OK;
    }
    if (r == -EFBIG || r == -EBADMSG) {
        snprintf(reason, REASON_SIZE, "its identity file is damaged");
        return DRIVE_FOREIGN;
    }
    if (r == -ENOENT && listed >= 0) {
        snprintf(reason, REASON_SIZE,
                 "it has no identity: another disk, or a wiped one");
        return DRIVE_BLANK;
    }
    r = listed < 0 ? listed : r;
    snprintf(reason, REASON_SIZE, "%s", strerror(-r));
    return r == -ENOENT || r == -ENOTDIR ? DRIVE_MISSING : DRIVE_FAILED;
}

/* A random UUID of RFC 4122, version 4. */
int drive_new_uuid(uint8_t out[DRIVE_UUID_SIZE])
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

int drive_format_as(struct io *io, const struct drive_config *config,
                    const uint8_t cluster[DRIVE_UUID_SIZE],
                    const uint8_t uuid[DRIVE_UUID_SIZE])
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
    memcpy(identity.drive, uuid, DRIVE_UUID_SIZE);
    memcpy(identity.domain, config->domain, strlen(config->domain) + 1);

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

int drive_format(struct io *io, const struct drive_config *config,
                 const uint8_t cluster[DRIVE_UUID_SIZE])
{
    uint8_t uuid[DRIVE_UUID_SIZE];
    int r = drive_new_uuid(uuid);
    return r == 0 ? drive_format_as(io, config, cluster, uuid) : r;
}
