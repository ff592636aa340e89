/*
 * The file interface: all that extents ask of an operating system.
 *
 * Two implementations: io_posix() is the real one; io_sim_new() is a disk in
 * memory that forgets what was not synced, tears, fails and corrupts on
 * command, deterministically from a seed. The engine is developed on both.
 *
 * Contract, as POSIX and ext4 or XFS give it:
 *   - pwrite() is volatile until fdatasync() of the same file has returned 0;
 *     after a crash any subset of the unsynced sectors (512 bytes) may be
 *     there, others read as zeros or lie past the end of the file.
 *   - A created, renamed or unlinked name is durable after sync_dir() of its
 *     directory.
 *   - A failed fdatasync() means that what it covered may be lost: it is not
 *     retried, the file is abandoned.
 * Every call returns 0 (or a count) or a negative errno. Thread-safe.
 */
#ifndef IO_H
#define IO_H

#include "base/base.h"

struct io;
struct io_file;

struct io_space {
    uint64_t total; /* bytes */
    uint64_t free;  /* bytes that s3d may use */
};

/* Which file it is: the same two numbers, the same file. */
struct io_node {
    uint64_t device, number;
};

enum io_flags {
    IO_READ = 0,
    IO_WRITE = 1 << 0,  /* read and write */
    IO_CREATE = 1 << 1, /* the file must not exist: -EEXIST */
    /* -EAGAIN rather than to wait for the drive; alone. */
    IO_NOW = 1 << 2,
    /* Reads come from the drive and leave nothing in memory, if the file system
     * can do that. Alone. */
    IO_DIRECT = 1 << 3,
};

/* Calls back for every name in the directory; stops at a non-zero return. */
typedef int (*io_list_fn)(void *context, const char *name);

struct io_operations {
    int (*open)(struct io *io, const char *path, unsigned flags,
                struct io_file **file);
    void (*close)(struct io_file *file);
    /* All of `size`, or an error; reading past the end gives -ENODATA. */
    int (*pread)(struct io_file *file, void *data, size_t size,
                 uint64_t offset);
    /* The same, or -EAGAIN rather than to wait for the drive: then `data` may
     * hold anything. */
    int (*pread_now)(struct io_file *file, void *data, size_t size,
                     uint64_t offset);
    int (*pwrite)(struct io_file *file, const void *data, size_t size,
                  uint64_t offset);
    int (*pwrite_direct)(struct io_file *file, const void *data, size_t size,
                         uint64_t offset);
    void (*write_back)(struct io_file *file, uint64_t offset, uint64_t size);
    int (*fdatasync)(struct io_file *file);
    int (*size)(struct io_file *file, uint64_t *size);
    int (*node)(struct io_file *file, struct io_node *node);
    /* Of the file that open() would give; -ENOENT. `flags`: IO_NOW or 0. */
    int (*node_at)(struct io *io, const char *path, unsigned flags,
                   struct io_node *node);
    /* Existing: 0. Owned: nobody else, and no group, may look into it. */
    int (*mkdir)(struct io *io, const char *path, bool owned);
    int (*rename)(struct io *io, const char *from, const char *to);
    int (*unlink)(struct io *io, const char *path);
    int (*sync_dir)(struct io *io, const char *path);
    int (*list)(struct io *io, const char *path, io_list_fn fn, void *context);
    int (*space)(struct io *io, const char *path, struct io_space *space);
    /* An advisory lock held until close: -EAGAIN if another process has it. */
    int (*lock)(struct io_file *file);
    void (*free)(struct io *io);
};

struct io {
    const struct io_operations *operations;
};

struct io_file {
    struct io *io;
};

struct io *io_posix(void); /* static; io_free is harmless */
void io_free(struct io *io);

/* Thin calls through the table. */
int io_open(struct io *io, const char *path, unsigned flags,
            struct io_file **file);
void io_close(struct io_file *file); /* NULL is allowed */
int io_pread(struct io_file *file, void *data, size_t size, uint64_t offset);
int io_pread_now(struct io_file *file, void *data, size_t size,
                 uint64_t offset);
int io_pwrite(struct io_file *file, const void *data, size_t size,
              uint64_t offset);
/* The same, past the page cache where the file system, `data` and `offset` (4
 * KiB) allow it: nothing is copied, and nothing is in memory to be read again.
 * Nobody writes meanwhile in another way into the same IO_FOLIO_MAX bytes of
 * the file, counted from its beginning: the page cache may hold them in one
 * folio, and if that is dirty the next sync fails. As volatile as
 * io_pwrite(). */
#define IO_FOLIO_MAX (2u << 20) /* folios are aligned to their size */
int io_pwrite_direct(struct io_file *file, const void *data, size_t size,
                     uint64_t offset);
/* What was written there may go to the drive now, so that the next
 * io_fdatasync() has less to do. Promises nothing and hides no error. */
void io_write_back(struct io_file *file, uint64_t offset, uint64_t size);
int io_fdatasync(struct io_file *file);
int io_size(struct io_file *file, uint64_t *size);
int io_node(struct io_file *file, struct io_node *node);
int io_node_at(struct io *io, const char *path, struct io_node *node);
int io_node_at_now(struct io *io, const char *path,
                   struct io_node *node); /* or -EAGAIN */
static inline bool io_node_same(const struct io_node *a,
                                const struct io_node *b)
{
    return a->device == b->device && a->number == b->number;
}
/* 0 if `file` is what `path` names; -ENOENT if that is another file or none. */
int io_is_at(struct io_file *file, const char *path);
int io_mkdir(struct io *io, const char *path);
int io_mkdir_owned(struct io *io, const char *path);
int io_rename(struct io *io, const char *from, const char *to);
int io_unlink(struct io *io, const char *path);
int io_sync_dir(struct io *io, const char *path);
int io_list(struct io *io, const char *path, io_list_fn fn, void *context);
int io_space(struct io *io, const char *path, struct io_space *space);
int io_lock(struct io_file *file);
/* sync_dir() of the directory that holds `path`. */
int io_sync_parent(struct io *io, const char *path);

/* Creates or replaces a small file atomically and durably. */
int io_write_file(struct io *io, const char *path, const void *data,
                  size_t size);
/* Reads a file of at most `limit` bytes: -EFBIG if larger. */
int io_read_file(struct io *io, const char *path, size_t limit,
                 struct buffer *data);

/* --- the simulated disk ----------------------------------------------------*/
struct io *io_sim_new(uint64_t seed, uint64_t capacity_bytes);
/* Power cut: loses a random subset of unsynced sectors and names. Open files
 * become unusable (-EIO) and must be closed. */
void io_sim_crash(struct io *io);
/* The same while threads are at work: until the power is on again every call
 * fails, so that none of them does something after its end. */
void io_sim_power_off(struct io *io);
void io_sim_power_on(struct io *io);
/* From now on a crash loses the last changes of names only, as ext4, XFS and
 * btrfs do: LevelDB relies on it. */
void io_sim_order_names(struct io *io);
/* The next calls: after `calls` more, every call fails with -error, `times`
 * times (UINT64_MAX: for ever). calls counts all operations but close. */
void io_sim_fail_after(struct io *io, uint64_t calls, int error,
                       uint64_t times);
/* All operations on paths below `prefix` fail with -error; 0 ends it. */
void io_sim_fail_path(struct io *io, const char *prefix, int error);
/* Operations on paths below `prefix` do not return while it hangs, or take so
 * long; those with IO_NOW give -EAGAIN, closing waits for nothing. */
void io_sim_hang(struct io *io, const char *prefix, bool hang);
void io_sim_delay(struct io *io, const char *prefix, uint64_t us);
/* Waits until at least so many operations hang. */
void io_sim_wait_hanging(struct io *io, unsigned operations);
/* Flips a random bit in each of `count` random places below `prefix`. */
void io_sim_corrupt(struct io *io, const char *prefix, unsigned count);
/* Removes every file below `prefix`, as a wiped drive. */
void io_sim_wipe(struct io *io, const char *prefix);
/* Calls made so far, for 'fail at call 1, 2, 3 ...' tests. */
uint64_t io_sim_calls(struct io *io);
/* The calls of io_pwrite_direct() so far, to any file. */
struct io_sim_direct {
    uint64_t writes;
    uint64_t bytes;
    uint64_t begin, end; /* of their bytes: the lowest, behind the highest */
};
struct io_sim_direct io_sim_direct(struct io *io);

#endif
