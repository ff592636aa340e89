/* The store that s3d uses, of one mirror in a directory of the system's. */
#ifndef KV_STORE_H
#define KV_STORE_H

#include "io/io.h"
#include "kv/kv.h"

#include <ftw.h>
#include <stdio.h>

static inline int kv_store_open(const char *directory, struct kv **kv)
{
    const struct kv_mirror_options options = {.io = io_posix(),
                                              .directories = &directory,
                                              .count = 1,
                                              .answer_ms = 30000};

    return kv_open_mirrors(&options, kv);
}

static inline int kv_store_remove_one(const char *path, const struct stat *st,
                                      int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void kv_store_remove(const char *directory)
{
    nftw(directory, kv_store_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
