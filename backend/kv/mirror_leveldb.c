/* LevelDB as the database of a mirror. */
#include "kv/mirror.h"

#include <errno.h>
#include <stdio.h>

#define PATH_SIZE 4096

/* LevelDB makes an empty database where there is none; where the journal goes
 * on from one, that would be a loss that nobody sees. */
static int check_there(struct io *io, const char *directory)
{
    struct io_node node;
    char path[PATH_SIZE];
    int n = snprintf(path, PATH_SIZE, "%s/CURRENT", directory);

    invariant(n > 0 && n < PATH_SIZE);
    return io_node_at(io, path, &node);
}

int mirror_leveldb_open(struct io *io, struct leveldb_env_t *env,
                        const char *directory, bool create, struct kv **kv)
{
    int error = create ? 0 : check_there(io, directory);

    return error != 0 ? error : leveldb_open_unsynced(io, env, directory, kv);
}

static int open_database(struct io *io, const char *directory, bool create,
                         struct kv **kv)
{
    return mirror_leveldb_open(io, NULL, directory, create, kv);
}

static int wipe_database(struct io *io, const char *directory)
{
    (void)io;
    return leveldb_wipe(NULL, directory);
}

const struct mirror_database mirror_leveldb = {
    .open = open_database,
    .wipe = wipe_database,
};
