/*
 * The store in memory: a treap whose nodes never change once they are
 * visible. A change copies the path from the root, so that a snapshot is a
 * reference to an old root and costs nothing.
 *
 * Invariants:
 *   T1  A node reachable from a published root is immutable but for its
 *       count; only nodes made by the running change are rotated.
 *   T2  Keys rise from left to right; priorities fall from root to leaf.
 *   T3  Only the holder of `writer` publishes a root; `lock` guards the
 *       pointer and its first reference.
 */
#include "kv/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    atomic_uint references;
    struct slice key, value; /* both in bytes[] */
    uint8_t bytes[];
};

struct node {
    atomic_uint references;
    uint32_t priority;
    struct entry *entry;
    struct node *left, *right;
};

struct memory_kv {
    struct kv kv;
    pthread_mutex_t writer; /* one change at a time */
    pthread_mutex_t lock;   /* root */
    struct node *root;
    uint64_t random;
    uint64_t commits;      /* with root */
    uint64_t commits_left; /* until one fails */
};

struct memory_iterator {
    struct kv_iterator iterator;
    struct node *root;
    struct node *at; /* in root's tree, or NULL */
};

/* Belongs to the nodes: the first one that takes it adds the reference. */
static struct entry *entry_new(struct slice key, struct slice value)
{
    struct entry *entry = xmalloc(sizeof(*entry) + key.size + value.size);

    atomic_init(&entry->references, 0);
    memcpy(entry->bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(entry->bytes + key.size, value.data, value.size);
    }
    entry->key = slice_of(entry->bytes, key.size);
    entry->value = slice_of(entry->bytes + key.size, value.size);
    return entry;
}

static void entry_unref(struct entry *entry)
{
    if (atomic_fetch_sub(&entry->references, 1) == 1) {
        free(entry);
    }
}

static struct node *node_ref(struct node *node)
{
    if (node != NULL) {
        atomic_fetch_add(&node->references, 1);
    }
    return node;
}

static void node_unref(struct node *node)
{
    if (node == NULL || atomic_fetch_sub(&node->references, 1) != 1) {
        return;
    }
    node_unref(node->left);
    node_unref(node->right);
    entry_unref(node->entry);
    free(node);
}

/* Takes over the references of left and right, adds one to the entry. */
static struct node *node_new(struct entry *entry, uint32_t priority,
                             struct node *left, struct node *right)
{
    struct node *node = xmalloc(sizeof(*node));

    atomic_init(&node->references, 1);
    atomic_fetch_add(&entry->references, 1);
    node->entry = entry;
    node->priority = priority;
    node->left = left;
    node->right = right;
    return node;
}

static struct node *rotate_right(struct node *node)
{
    struct node *top = node->left;

    node->left = top->right;
    top->right = node;
    return top;
}

static struct node *rotate_left(struct node *node)
{
    struct node *top = node->right;

    node->right = top->left;
    top->left = node;
    return top;
}

/* The tree with the entry in it; `node` keeps its own references. */
static struct node *tree_put(struct node *node, struct entry *entry,
                             uint32_t priority)
{
    struct node *copy;
    int order;

    if (node == NULL) {
        return node_new(entry, priority, NULL, NULL);
    }
    order = slice_compare(entry->key, node->entry->key);
    if (order == 0) {
        return node_new(entry, node->priority, node_ref(node->left),
                        node_ref(node->right));
    }
    if (order < 0) {
        copy = node_new(node->entry, node->priority,
                        tree_put(node->left, entry, priority),
                        node_ref(node->right));
        return copy->left->priority > copy->priority ? rotate_right(copy)
                                                     : copy;
    }
    copy = node_new(node->entry, node->priority, node_ref(node->left),
                    tree_put(node->right, entry, priority));
    return copy->right->priority > copy->priority ? rotate_left(copy) : copy;
}

/* All of left is below all of right. */
static struct node *tree_merge(struct node *left, struct node *right)
{
    if (left == NULL) {
        return node_ref(right);
    }
    if (right == NULL) {
        return node_ref(left);
    }
    if (left->priority > right->priority) {
        return node_new(left->entry, left->priority, node_ref(left->left),
                        tree_merge(left->right, right));
    }
    return node_new(right->entry, right->priority,
                    tree_merge(left, right->left), node_ref(right->right));
}

static struct node *tree_delete(struct node *node, struct slice key)
{
    int order;

    if (node == NULL) {
        return NULL;
    }
    order = slice_compare(key, node->entry->key);
    if (order == 0) {
        return tree_merge(node->left, node->right);
    }
    if (order < 0) {
        return node_new(node->entry, node->priority,
                        tree_delete(node->left, key), node_ref(node->right));
    }
    return node_new(node->entry, node->priority, node_ref(node->left),
                    tree_delete(node->right, key));
}

/* The first node >= key, or > key if `after`. */
static struct node *tree_find(struct node *node, struct slice key, bool after)
{
    struct node *found = NULL;
    int order;

    while (node != NULL) {
        order = slice_compare(node->entry->key, key);
        if (order > 0 || (order == 0 && !after)) {
            found = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return found;
}

static struct node *take_root(struct memory_kv *self)
{
    struct node *root;

    pthread_mutex_lock(&self->lock);
    root = node_ref(self->root);
    pthread_mutex_unlock(&self->lock);
    return root;
}

static void memory_close(struct kv *kv)
{
    struct memory_kv *self = (struct memory_kv *)kv;

    node_unref(self->root);
    pthread_mutex_destroy(&self->writer);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static int memory_get(struct kv *kv, struct arena *arena, struct slice key,
                      struct slice *value)
{
    struct node *root = take_root((struct memory_kv *)kv);
    struct node *node = tree_find(root, key, false);
    int rc = -ENOENT;

    if (node != NULL && slice_equal(node->entry->key, key)) {
        *value =
            arena_copy(arena, node->entry->value.data, node->entry->value.size);
        rc = 0;
    }
    node_unref(root);
    return rc;
}

/* xorshift: spread is all that a priority needs. */
static uint32_t next_priority(struct memory_kv *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (uint32_t)(self->random >> 32);
}

static struct node *apply(struct memory_kv *self, struct node *root,
                          const struct kv_change *change)
{
    if (change->kind == KV_DELETE) {
        return tree_delete(root, change->key);
    }
    return tree_put(root, entry_new(change->key, change->value),
                    next_priority(self));
}

/* The batch and its totals. */
static struct kv_batch *group_of(struct kv *kv, const struct kv_batch *batch)
{
    struct kv_batch *group = kv_batch_new();
    struct buffer payload = {0};

    kv_group_add(kv, &payload, batch);
    kv_group_end(kv, &payload);
    invariant(kv_batch_load(group, slice_of(payload.data, payload.size)) == 0);
    buffer_free(&payload);
    return group;
}

static int memory_commit(struct kv *kv, const struct kv_batch *batch)
{
    struct memory_kv *self = (struct memory_kv *)kv;
    struct node *root, *changed, *old;
    struct kv_batch *group;
    struct kv_change change;
    size_t position = 0;

    pthread_mutex_lock(&self->writer);
    if (self->commits_left == 0) {
        pthread_mutex_unlock(&self->writer);
        return -EIO;
    }
    self->commits_left--;
    group = group_of(kv, batch);
    root = take_root(self);
    while (kv_batch_next(group, &position, &change)) {
        changed = apply(self, root, &change);
        node_unref(root);
        root = changed;
    }
    pthread_mutex_lock(&self->lock);
    old = self->root;
    self->root = root;
    self->commits++;
    pthread_mutex_unlock(&self->lock);
    kv_tell(kv, kv_batch_changes(group));
    pthread_mutex_unlock(&self->writer);
    kv_batch_free(group);
    node_unref(old);
    return 0;
}

static void memory_iterator_free(struct kv_iterator *iterator)
{
    struct memory_iterator *self = (struct memory_iterator *)iterator;

    node_unref(self->root);
    free(self);
}

static void move_to(struct memory_iterator *self, struct node *at)
{
    self->at = at;
    self->iterator.here.valid = at != NULL;
    if (at != NULL) {
        self->iterator.here.key = at->entry->key;
        self->iterator.here.value = at->entry->value;
    }
}

static void memory_seek(struct kv_iterator *iterator, struct slice key)
{
    struct memory_iterator *self = (struct memory_iterator *)iterator;

    move_to(self, tree_find(self->root, key, false));
}

static void memory_next(struct kv_iterator *iterator)
{
    struct memory_iterator *self = (struct memory_iterator *)iterator;

    move_to(self, tree_find(self->root, self->at->entry->key, true));
}

/* Takes over the root. */
static struct kv_iterator *iterate_root(struct node *root)
{
    static const struct kv_iterator_ops ops = {
        .free = memory_iterator_free,
        .seek = memory_seek,
        .next = memory_next,
    };
    struct memory_iterator *iterator = xcalloc(1, sizeof(*iterator));

    iterator->iterator.ops = &ops;
    iterator->root = root;
    return &iterator->iterator;
}

static struct kv_iterator *memory_iterate(struct kv *kv)
{
    return iterate_root(take_root((struct memory_kv *)kv));
}

static int memory_snapshot(struct kv *kv, struct kv_position *position,
                           struct kv_iterator **iterator)
{
    struct memory_kv *self = (struct memory_kv *)kv;
    struct node *root;

    *position = (struct kv_position){0};
    pthread_mutex_lock(&self->lock);
    root = node_ref(self->root);
    position->commit = self->commits;
    pthread_mutex_unlock(&self->lock);
    *iterator = iterate_root(root);
    return 0;
}

struct kv *kv_open_memory(void)
{
    static const struct kv_ops ops = {
        .close = memory_close,
        .get = memory_get,
        .commit = memory_commit,
        .iterate = memory_iterate,
        .snapshot = memory_snapshot,
    };
    struct memory_kv *self = xcalloc(1, sizeof(*self));

    self->kv.ops = &ops;
    self->random = 0x9E3779B97F4A7C15;
    self->commits_left = UINT64_MAX;
    invariant(pthread_mutex_init(&self->writer, NULL) == 0);
    invariant(pthread_mutex_init(&self->lock, NULL) == 0);
    return &self->kv;
}

void kv_memory_fail_after(struct kv *kv, uint64_t commits)
{
    struct memory_kv *self = (struct memory_kv *)kv;

    invariant(kv->ops->commit == memory_commit);
    pthread_mutex_lock(&self->writer);
    self->commits_left = commits;
    pthread_mutex_unlock(&self->writer);
}
