/*
 * Trees of files into buckets, and back, and from bucket to bucket: s3ctl
 * import, export and migrate.
 *
 * A client of S3, of any endpoint: nothing here knows s3d. Both directions go
 * through all names in the order of their bytes, compare what is on either
 * side, and move only what differs; so what was interrupted goes on where it
 * stopped when it is called again. Memory is bounded by the largest directory
 * and a page of a listing, not by the tree.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "base/base.h"

#define TRANSFER_JOBS      8
#define TRANSFER_JOBS_MAX  64
#define TRANSFER_PART_SIZE (16ull << 20)
#define TRANSFER_PART_MIN  (5ull << 20) /* S3's bounds of a part's size */
#define TRANSFER_PART_MAX  (5ull << 30)
#define TRANSFER_WHY_MAX   512

struct transfer_options {
    const char *directory; /* NULL for a migration */
    const char *url;       /* s3://BUCKET[/PREFIX] */
    /* NULL: as the environment and the files of AWS's clients say. */
    const char *endpoint, *region, *profile, *ca_file;
    /* Where a migration reads: as the four above. NULL: the same. */
    const char *from_url, *from_endpoint, *from_region, *from_profile;
    const char *types;         /* a mime.types; NULL: the first that is found */
    const char *cache_control; /* of what is imported; NULL: none */
    uint64_t part_size;        /* bytes; larger files are sent in parts */
    unsigned jobs;             /* transfers at once */
    bool follow;               /* symbolic links, when importing */
    bool versions;             /* all of them, when migrating */
    bool dry_run;              /* says what would be moved, moves nothing */
};

struct transfer_counts {
    uint64_t files_total, bytes_total; /* to be looked at; known at the start */
    uint64_t moved, moved_bytes;       /* files that are now there */
    uint64_t same, same_bytes;         /* files that were there already */
    uint64_t left_out; /* links, special files, empty directories */
    uint64_t failed;
    uint64_t unverified; /* of `moved`: the endpoint has no usable checksum */
    uint64_t wire_bytes; /* of bodies; less than moved_bytes after a resume */
    uint64_t parts_kept; /* of uploads that were interrupted */
};

enum transfer_note {
    TRANSFER_MOVED,    /* with dry_run: would be moved */
    TRANSFER_LEFT_OUT, /* as the options say, not an error */
    TRANSFER_FAILED,
};

/* What is told while it runs. `progress` comes from the thread that called,
 * some times a second; `note` from any, one at a time. */
struct transfer_watch {
    void *context;
    void (*progress)(void *context, const struct transfer_counts *counts);
    void (*note)(void *context, enum transfer_note note, const char *name,
                 const char *why);
};

enum transfer_result {
    TRANSFER_DONE,        /* counts.failed says whether all of it */
    TRANSFER_REFUSED,     /* the endpoint said no */
    TRANSFER_USAGE,       /* an option, a file or the credentials are wrong */
    TRANSFER_UNREACHABLE, /* the endpoint does not answer (any more) */
};

/* `why` is filled unless the result is TRANSFER_DONE. `counts` always. */
enum transfer_result transfer_import(const struct transfer_options *options,
                                     const struct transfer_watch *watch,
                                     struct transfer_counts *counts,
                                     char why[TRANSFER_WHY_MAX]);
enum transfer_result transfer_export(const struct transfer_options *options,
                                     const struct transfer_watch *watch,
                                     struct transfer_counts *counts,
                                     char why[TRANSFER_WHY_MAX]);
/* From one bucket to another, of any two endpoints. */
enum transfer_result transfer_migrate(const struct transfer_options *options,
                                      const struct transfer_watch *watch,
                                      struct transfer_counts *counts,
                                      char why[TRANSFER_WHY_MAX]);

#endif
