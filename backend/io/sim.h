/*
 * The simulated disk: what its files share. All of it is under one mutex.
 *
 * A file has two contents: what programs see, and what would survive a power
 * cut. Every sector says which of the two it is in; so does every name.
 */
#ifndef IO_SIM_H
#define IO_SIM_H

#include "io/io.h"

#include <pthread.h>

#define SIM_SECTOR 512u

enum sector_state {
    SECTOR_CLEAN,  /* the same in both contents */
    SECTOR_DIRTY,  /* written since the last fdatasync */
    SECTOR_DOOMED, /* a failed fdatasync gave it up: later ones pass it by */
};

struct sim_inode {
    bool directory;
    unsigned names, handles; /* freed when both are 0 */
    uint64_t size, durable_size;
    uint64_t capacity; /* bytes of both contents, a multiple of a sector */
    uint8_t *data, *durable;
    uint8_t *sectors;       /* enum sector_state */
    struct io_file *locker; /* handle that holds the lock, or NULL */
};

struct sim_name {
    char *path;
    struct sim_inode *seen;    /* NULL: removed, or not yet there */
    struct sim_inode *durable; /* since its directory was last synced */
    uint64_t changed;          /* sim.operations at the last change of `seen` */
};

/* What is wrong below a path. */
struct sim_failing {
    char *prefix;
    int error; /* 0: none */
    bool hangs;
    uint64_t delay_us;
};

struct sim {
    struct io base;
    pthread_mutex_t mutex;
    uint64_t random;
    uint64_t capacity, used; /* bytes */
    uint64_t power;          /* counts crashes: handles of before are dead */
    bool off;                /* every call fails */
    struct sim_name *names;  /* by path */
    size_t name_count, name_capacity;
    uint64_t operations; /* on names, so far */
    bool ordered;        /* names become durable in order */
    uint64_t calls;
    struct io_sim_direct direct;
    uint64_t fail_after, fail_times;
    int fail_error;
    struct sim_failing *failing;
    size_t failing_count;
    pthread_cond_t hanging_changed;
    unsigned hanging; /* operations */
};

struct sim_file {
    struct io_file base;
    struct sim_inode *inode;
    char *path;
    uint64_t power;
    bool writable;
};

uint64_t sim_random(struct sim *sim);
bool sim_coin(struct sim *sim);

/* --- sim_tree.c ------------------------------------------------------------*/
/* A copy of the path without trailing slashes. */
char *sim_path(const char *path);
bool sim_is_below(const char *path, const char *prefix);
bool sim_is_child(const char *path, const char *directory);
struct sim_inode *sim_lookup(struct sim *sim, const char *path);
bool sim_has_parent(struct sim *sim, const char *path);
struct sim_inode *sim_inode_new(bool directory);
void sim_inode_drop(struct sim *sim, struct sim_inode *inode);
/* What programs see under a name; NULL removes it. */
void sim_set_seen(struct sim *sim, const char *path, struct sim_inode *inode);
void sim_set_durable(struct sim *sim, struct sim_name *name,
                     struct sim_inode *inode);
/* Frees names that are neither seen nor durable. */
void sim_drop_names(struct sim *sim);
void sim_tree_free(struct sim *sim);

/* --- sim_file.c ------------------------------------------------------------*/
int sim_file_write(struct sim *sim, struct sim_inode *inode,
                   const uint8_t *data, size_t size, uint64_t offset);
void sim_file_sync(struct sim_inode *inode);
void sim_file_doom(struct sim_inode *inode);
void sim_file_crash(struct sim *sim, struct sim_inode *inode);

/* --- sim_fault.c -----------------------------------------------------------*/
/* Counts a call; 0, or the error that it has to give. May let go of the mutex
 * meanwhile, but not if `now`. */
int sim_fault(struct sim *sim, const char *path, bool now);

#endif
