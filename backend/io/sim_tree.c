/* Names of the simulated disk: a sorted table of paths. */
#include "io/sim.h"

#include <stdlib.h>
#include <string.h>

char *sim_path(const char *path)
{
    char *copy = xstrdup(path);
    size_t size = strlen(copy);
    while (size > 1 && copy[size - 1] == '/') {
        copy[--size] = '\0';
    }
    return copy;
}

/* "/" and "." are there without being made. */
static bool is_root(const char *path)
{
    return path[0] == '\0' || strcmp(path, "/") == 0 || strcmp(path, ".") == 0;
}

bool sim_is_below(const char *path, const char *prefix)
{
    if (is_root(prefix)) {
        return !is_root(path);
    }
    size_t size = strlen(prefix);
    return strncmp(path, prefix, size) == 0 && path[size] == '/';
}

bool sim_is_child(const char *path, const char *directory)
{
    const char *last = strrchr(path, '/');
    if (is_root(directory)) {
        return !is_root(path) && (last == NULL || last == path);
    }
    size_t size = strlen(directory);
    return last == path + size && strncmp(path, directory, size) == 0;
}

/* Index of the first name that is not less than `path`. */
static size_t lower_bound(const struct sim *sim, const char *path)
{
    size_t low = 0;
    size_t high = sim->name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(sim->names[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct sim_name *find(struct sim *sim, const char *path)
{
    size_t at = lower_bound(sim, path);
    if (at < sim->name_count && strcmp(sim->names[at].path, path) == 0) {
        return &sim->names[at];
    }
    return NULL;
}

struct sim_inode *sim_lookup(struct sim *sim, const char *path)
{
    struct sim_name *name = find(sim, path);
    return name != NULL ? name->seen : NULL;
}

bool sim_has_parent(struct sim *sim, const char *path)
{
    const char *last = strrchr(path, '/');
    if (last == NULL || last == path) {
        return true;
    }
    char *parent = xstrdup(path);
    parent[last - path] = '\0';
    struct sim_inode *inode = sim_lookup(sim, parent);
    free(parent);
    return inode != NULL && inode->directory;
}

struct sim_inode *sim_inode_new(bool directory)
{
    struct sim_inode *inode = xcalloc(1, sizeof(*inode));
    inode->directory = directory;
    return inode;
}

void sim_inode_drop(struct sim *sim, struct sim_inode *inode)
{
    if (inode->names > 0 || inode->handles > 0) {
        return;
    }
    sim->used -= inode->size;
    free(inode->data);
    free(inode->durable);
    free(inode->sectors);
    free(inode);
}

static void replace(struct sim *sim, struct sim_inode **at,
                    struct sim_inode *inode)
{
    struct sim_inode *old = *at;
    if (inode != NULL) {
        inode->names++;
    }
    *at = inode;
    if (old != NULL) {
        invariant(old->names > 0);
        old->names--;
        sim_inode_drop(sim, old);
    }
}

void sim_set_seen(struct sim *sim, const char *path, struct sim_inode *inode)
{
    size_t at = lower_bound(sim, path);
    if (at == sim->name_count || strcmp(sim->names[at].path, path) != 0) {
        if (sim->name_count == sim->name_capacity) {
            sim->name_capacity = sim->name_capacity * 2 + 16;
            sim->names =
                xrealloc(sim->names, sim->name_capacity * sizeof(*sim->names));
        }
        memmove(&sim->names[at + 1], &sim->names[at],
                (sim->name_count - at) * sizeof(*sim->names));
        sim->names[at] = (struct sim_name){.path = xstrdup(path)};
        sim->name_count++;
    }
    sim->names[at].changed = sim->operations;
    replace(sim, &sim->names[at].seen, inode);
}

void sim_set_durable(struct sim *sim, struct sim_name *name,
                     struct sim_inode *inode)
{
    replace(sim, &name->durable, inode);
}

void sim_drop_names(struct sim *sim)
{
    size_t kept = 0;
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (name->seen == NULL && name->durable == NULL) {
            free(name->path);
        } else {
            sim->names[kept++] = *name;
        }
    }
    sim->name_count = kept;
}

void sim_tree_free(struct sim *sim)
{
    for (size_t i = 0; i < sim->name_count; i++) {
        replace(sim, &sim->names[i].seen, NULL);
        replace(sim, &sim->names[i].durable, NULL);
    }
    sim_drop_names(sim);
    free(sim->names);
}
