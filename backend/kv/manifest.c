/*
 * The end of LevelDB's manifest after a power cut.
 *
 * The manifest is a log like the other (log_tail.c). Each record is synced
 * before anything counts on it, so the last one may be in pieces: LevelDB then
 * finds a checksum wrong and does not open. The mirrors write theirs at about
 * the same time: one cut may leave all of them so.
 */
#include "kv/private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE_MAX     64u
#define MANIFEST_SIZE_MAX (256u << 20)

/* The path of the manifest that counts. -ENOENT: there is no database yet. */
static int find_manifest(struct io *io, const char *directory,
                         char out[PATH_MAX])
{
    struct buffer name = {0};
    char path[PATH_MAX];
    int error, n;

    n = snprintf(path, PATH_MAX, "%s/CURRENT", directory);
    invariant(n > 0 && n < PATH_MAX);
    error = io_read_file(io, path, NAME_SIZE_MAX, &name);
    if (error == 0 && (name.size == 0 || name.data[name.size - 1] != '\n')) {
        error = -EBADMSG;
    }
    if (error == 0) {
        n = snprintf(out, PATH_MAX, "%s/%.*s", directory, (int)name.size - 1,
                     (const char *)name.data);
        invariant(n > 0 && n < PATH_MAX);
    }
    buffer_free(&name);
    return error;
}

int manifest_repair(struct io *io, const char *directory)
{
    struct buffer manifest = {0};
    char path[PATH_MAX];
    size_t whole = 0;
    int error = find_manifest(io, directory, path);

    if (error == -ENOENT) {
        return 0;
    }
    if (error == 0) {
        error = io_read_file(io, path, MANIFEST_SIZE_MAX, &manifest);
    }
    if (error == 0) {
        error = log_tail_find(manifest.data, manifest.size, &whole);
    }
    if (error == 0 && whole < manifest.size) {
        log_warn("metadata: the last record of %s was never written whole: "
                 "its %zu bytes are cut off",
                 path, manifest.size - whole);
        error = io_write_file(io, path, manifest.data, whole);
    }
    buffer_free(&manifest);
    return error;
}
