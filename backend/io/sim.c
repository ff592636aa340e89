/* The simulated disk: the operations. */
#include "io/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 */
uint64_t sim_random(struct sim *sim)
{
    sim->random += 0x9e3779b97f4a7c15u;
    uint64_t z = sim->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

bool sim_coin(struct sim *sim)
{
    return (sim_random(sim) & 1) != 0;
}

/* Every operation on a path is between these two. */
static struct sim *begin_flags(struct io *io, const char *given, unsigned flags,
                               char **path, int *r)
{
    struct sim *sim = (struct sim *)io;
    *path = sim_path(given);
    pthread_mutex_lock(&sim->mutex);
    sim->operations++;
    *r = sim_fault(sim, *path, (flags & IO_NOW) != 0);
    return sim;
}

static struct sim *begin(struct io *io, const char *given, char **path, int *r)
{
    return begin_flags(io, given, 0, path, r);
}

static int end(struct sim *sim, char *path, int r)
{
    pthread_mutex_unlock(&sim->mutex);
    free(path);
    return r;
}

/* As are those on a file; returns it locked. */
static struct sim_file *begin_file_flags(struct io_file *base, unsigned flags,
                                         int *r)
{
    struct sim_file *file = (struct sim_file *)base;
    struct sim *sim = (struct sim *)base->io;
    pthread_mutex_lock(&sim->mutex);
    *r = sim_fault(sim, file->path, (flags & IO_NOW) != 0);
    if (*r == 0 && file->power != sim->power) {
        *r = -EIO;
    }
    return file;
}

static struct sim_file *begin_file(struct io_file *base, int *r)
{
    return begin_file_flags(base, 0, r);
}

static int end_file(struct io_file *base, int r)
{
    struct sim *sim = (struct sim *)base->io;
    pthread_mutex_unlock(&sim->mutex);
    return r;
}

static bool exists_directory(struct sim *sim, const char *path)
{
    if (strcmp(path, "/") == 0 || strcmp(path, ".") == 0) {
        return true;
    }
    struct sim_inode *inode = sim_lookup(sim, path);
    return inode != NULL && inode->directory;
}

/* --- files -----------------------------------------------------------------*/

static struct io_file *new_handle(struct sim *sim, struct sim_inode *inode,
                                  const char *path, unsigned flags)
{
    struct sim_file *file = xcalloc(1, sizeof(*file));
    file->base.io = &sim->base;
    file->inode = inode;
    file->path = xstrdup(path);
    file->power = sim->power;
    file->writable = (flags & (IO_WRITE | IO_CREATE)) != 0;
    inode->handles++;
    return &file->base;
}

static int open_inode(struct sim *sim, const char *path, unsigned flags,
                      struct sim_inode **inode)
{
    if (!sim_has_parent(sim, path)) {
        return -ENOENT;
    }
    *inode = sim_lookup(sim, path);
    if (*inode != NULL) {
        if ((flags & IO_CREATE) != 0) {
            return -EEXIST;
        }
        return (*inode)->directory ? -EISDIR : 0;
    }
    if ((flags & IO_CREATE) == 0) {
        return -ENOENT;
    }
    *inode = sim_inode_new(false);
    sim_set_seen(sim, path, *inode);
    return 0;
}

static int sim_open(struct io *io, const char *given, unsigned flags,
                    struct io_file **file)
{
    char *path;
    int r;
    struct sim *sim = begin_flags(io, given, flags, &path, &r);
    struct sim_inode *inode;
    if (r == 0) {
        r = open_inode(sim, path, flags, &inode);
    }
    if (r == 0) {
        *file = new_handle(sim, inode, path, flags);
    }
    return end(sim, path, r);
}

static void sim_close(struct io_file *base)
{
    struct sim_file *file = (struct sim_file *)base;
    struct sim *sim = (struct sim *)base->io;
    pthread_mutex_lock(&sim->mutex);
    if (file->inode->locker == base) {
        file->inode->locker = NULL;
    }
    file->inode->handles--;
    sim_inode_drop(sim, file->inode);
    pthread_mutex_unlock(&sim->mutex);
    free(file->path);
    free(file);
}

static int read_file(struct io_file *base, unsigned flags, void *data,
                     size_t size, uint64_t offset)
{
    int r;
    struct sim_file *file = begin_file_flags(base, flags, &r);
    struct sim_inode *inode = file->inode;
    if (r == 0 && (offset > inode->size || size > inode->size - offset)) {
        r = -ENODATA;
    }
    if (r == 0 && size > 0) {
        memcpy(data, inode->data + offset, size);
    }
    return end_file(base, r);
}

static int sim_pread(struct io_file *base, void *data, size_t size,
                     uint64_t offset)
{
    return read_file(base, 0, data, size, offset);
}

static int sim_pread_now(struct io_file *base, void *data, size_t size,
                         uint64_t offset)
{
    return read_file(base, IO_NOW, data, size, offset);
}

/* A write that fails may have been done in part. */
static int sim_pwrite(struct io_file *base, const void *data, size_t size,
                      uint64_t offset)
{
    int r;
    struct sim_file *file = begin_file(base, &r);
    struct sim *sim = (struct sim *)base->io;
    if (!file->writable) {
        r = -EBADF;
    }
    if (r == 0) {
        r = sim_file_write(sim, file->inode, data, size, offset);
    } else if (file->writable && file->power == sim->power && size > 0) {
        sim_file_write(sim, file->inode, data, sim_random(sim) % size, offset);
    }
    return end_file(base, r);
}

static int sim_pwrite_direct(struct io_file *base, const void *data,
                             size_t size, uint64_t offset)
{
    struct sim *sim = (struct sim *)base->io;
    struct io_sim_direct *direct = &sim->direct;
    pthread_mutex_lock(&sim->mutex);
    if (direct->writes == 0 || offset < direct->begin) {
        direct->begin = offset;
    }
    if (offset + size > direct->end) {
        direct->end = offset + size;
    }
    direct->writes++;
    direct->bytes += size;
    pthread_mutex_unlock(&sim->mutex);
    return sim_pwrite(base, data, size, offset);
}

static void sim_write_back(struct io_file *base, uint64_t offset, uint64_t size)
{
    (void)base; /* a power cut may keep any sector anyway */
    (void)offset;
    (void)size;
}

static int sim_fdatasync(struct io_file *base)
{
    int r;
    struct sim_file *file = begin_file(base, &r);
    struct sim *sim = (struct sim *)base->io;
    if (r == 0) {
        sim_file_sync(file->inode);
    } else if (file->power == sim->power) {
        sim_file_doom(file->inode);
    }
    return end_file(base, r);
}

static int sim_size(struct io_file *base, uint64_t *size)
{
    int r;
    struct sim_file *file = begin_file(base, &r);
    *size = file->inode->size;
    return end_file(base, r);
}

/* An inode stays where it is as long as a handle or a name holds it. */
static void node_of(const struct sim_inode *inode, struct io_node *node)
{
    *node = (struct io_node){1, (uintptr_t)inode};
}

static int sim_node(struct io_file *base, struct io_node *node)
{
    int r;
    struct sim_file *file = begin_file(base, &r);
    node_of(file->inode, node);
    return end_file(base, r);
}

static int sim_lock(struct io_file *base)
{
    int r;
    struct sim_file *file = begin_file(base, &r);
    struct sim_inode *inode = file->inode;
    if (r == 0 && inode->locker != NULL && inode->locker != base) {
        r = -EAGAIN;
    }
    if (r == 0) {
        inode->locker = base;
    }
    return end_file(base, r);
}

/* --- names -----------------------------------------------------------------*/

static int sim_node_at(struct io *io, const char *given, unsigned flags,
                       struct io_node *node)
{
    char *path;
    int r;
    struct sim *sim = begin_flags(io, given, flags, &path, &r);
    struct sim_inode *inode = sim_lookup(sim, path);
    if (r == 0 && inode == NULL) {
        r = -ENOENT;
    }
    if (r == 0) {
        node_of(inode, node);
    }
    return end(sim, path, r);
}

static int sim_mkdir(struct io *io, const char *given, bool owned)
{
    (void)owned; /* here everything is one user's */
    char *path;
    int r;
    struct sim *sim = begin(io, given, &path, &r);
    if (r == 0 && !exists_directory(sim, path)) {
        if (sim_lookup(sim, path) != NULL) {
            r = -ENOTDIR;
        } else if (!sim_has_parent(sim, path)) {
            r = -ENOENT;
        } else {
            sim_set_seen(sim, path, sim_inode_new(true));
        }
    }
    return end(sim, path, r);
}

static int sim_rename(struct io *io, const char *given, const char *to)
{
    char *path;
    int r;
    struct sim *sim = begin(io, given, &path, &r);
    char *target = sim_path(to);
    struct sim_inode *inode = sim_lookup(sim, path);
    struct sim_inode *old = sim_lookup(sim, target);
    if (r == 0 && (inode == NULL || !sim_has_parent(sim, target))) {
        r = -ENOENT;
    }
    if (r == 0 && (inode->directory || (old != NULL && old->directory))) {
        r = -EISDIR; /* nothing in s3d renames directories */
    }
    if (r == 0 && inode != old) {
        sim_set_seen(sim, target, inode);
        sim_set_seen(sim, path, NULL);
    }
    free(target);
    return end(sim, path, r);
}

static int sim_unlink(struct io *io, const char *given)
{
    char *path;
    int r;
    struct sim *sim = begin(io, given, &path, &r);
    struct sim_inode *inode = sim_lookup(sim, path);
    if (r == 0 && inode == NULL) {
        r = -ENOENT;
    }
    if (r == 0 && inode->directory) {
        r = -EISDIR;
    }
    if (r == 0) {
        sim_set_seen(sim, path, NULL);
    }
    return end(sim, path, r);
}

static int sim_sync_dir(struct io *io, const char *given)
{
    char *path;
    int r;
    struct sim *sim = begin(io, given, &path, &r);
    if (r == 0 && !exists_directory(sim, path)) {
        r = -ENOENT;
    }
    for (size_t i = 0; r == 0 && i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (sim_is_child(name->path, path)) {
            sim_set_durable(sim, name, name->seen);
        }
    }
    if (r == 0) {
        sim_drop_names(sim);
    }
    return end(sim, path, r);
}

/* Calls back without the mutex: the callback may use the disk. */
static int sim_list(struct io *io, const char *given, io_list_fn fn,
                    void *context)
{
    char *path;
    int r;
    struct sim *sim = begin(io, given, &path, &r);
    if (r == 0 && !exists_directory(sim, path)) {
        r = sim_lookup(sim, path) != NULL ? -ENOTDIR : -ENOENT;
    }
    struct buffer names = {0};
    for (size_t i = 0; r == 0 && i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (name->seen != NULL && sim_is_child(name->path, path)) {
            const char *slash = strrchr(name->path, '/');
            const char *last = slash != NULL ? slash + 1 : name->path;
            buffer_append(&names, last, strlen(last) + 1);
        }
    }
    end(sim, path, r);
    for (size_t at = 0; r == 0 && at < names.size;) {
        const char *name = (const char *)names.data + at;
        at += strlen(name) + 1;
        r = fn(context, name);
    }
    buffer_free(&names);
    return r;
}

static int sim_space(struct io *io, const char *given, struct io_space *space)
{
    char *path;
    int r;
    struct sim *sim = begin(io, given, &path, &r);
    if (r == 0 && !exists_directory(sim, path)) {
        r = -ENOENT;
    }
    space->total = sim->capacity;
    space->free = sim->capacity - sim->used;
    return end(sim, path, r);
}

/* --- the disk --------------------------------------------------------------*/

static void sim_free(struct io *io)
{
    struct sim *sim = (struct sim *)io;
    sim_tree_free(sim);
    for (size_t i = 0; i < sim->failing_count; i++) {
        free(sim->failing[i].prefix);
    }
    free(sim->failing);
    invariant(sim->hanging == 0);
    pthread_cond_destroy(&sim->hanging_changed);
    pthread_mutex_destroy(&sim->mutex);
    free(sim);
}

static const struct io_operations sim_operations = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pread_now = sim_pread_now,
    .pwrite = sim_pwrite,
    .pwrite_direct = sim_pwrite_direct,
    .write_back = sim_write_back,
    .fdatasync = sim_fdatasync,
    .size = sim_size,
    .node = sim_node,
    .node_at = sim_node_at,
    .mkdir = sim_mkdir,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .space = sim_space,
    .lock = sim_lock,
    .free = sim_free,
};

struct io *io_sim_new(uint64_t seed, uint64_t capacity_bytes)
{
    struct sim *sim = xcalloc(1, sizeof(*sim));
    sim->base.operations = &sim_operations;
    pthread_mutex_init(&sim->mutex, NULL);
    pthread_cond_init(&sim->hanging_changed, NULL);
    sim->random = seed;
    sim->capacity = capacity_bytes;
    return &sim->base;
}
