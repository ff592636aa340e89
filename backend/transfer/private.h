/*
 * Private to transfer/.
 *
 *   bench.c              how fast an endpoint is
 *   import.c, export.c, migrate.c   what is done with one file or object
 *     upload.c, download.c, fetch.c
 *     work.c             threads, counts, notes
 *     listing.c, versions.c, walk.c   what is there: in the bucket, in the
 *                        directory
 *     decide.c, metadata.c, name.c, mtime.c, types.c    pure
 *     tree.c             files below a directory, and never beside it
 *     calls.c            S3's operations
 *       client.c         one request: signed (sign.c), sent, tried again
 *         endpoint.c     where to, and as whom
 *
 * Functions return 0 or a negative errno. Of a request:
 *   -EREMOTEIO   the endpoint refused        -EHOSTDOWN  it does not answer
 *   -EPIPE       the body broke off          -EPROTO     it answers no S3
 *   -ECANCELED   the receiver of the body said no
 *   -ESTALE      the file or the object is another by now
 */
#ifndef TRANSFER_PRIVATE_H
#define TRANSFER_PRIVATE_H

#include "base/signing_key.h"
#include "base/xml_in.h"
#include "transfer/transfer.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define KEY_SIZE_MAX   1024u /* bytes of a key */
#define PARTS_MAX      10000u
#define ETAG_MAX       128u
#define ID_MAX         1024u /* bytes of an upload's id */
#define CHECKSUM_MAX   64u   /* characters of a checksum in base64 */
#define MTIME_TEXT_MAX 40u
#define MTIME_HEADER   "x-amz-meta-mtime" /* rclone's */

/* --- endpoint.c ------------------------------------------------------------*/
struct endpoint {
    char *base; /* "https://host:9000" */
    char *host; /* of the header */
    char *bucket;
    char *prefix; /* empty, or ends with "/" */
    char *region, *ca_file;
    char *access_key, *secret_key, *token; /* `token` NULL: none */
    bool tls;
    atomic_bool answered; /* once at least */
};

/* -EINVAL with `why`. endpoint_close() also after a failure. */
int endpoint_open(struct endpoint *endpoint,
                  const struct transfer_options *options,
                  char why[TRANSFER_WHY_MAX]);
void endpoint_close(struct endpoint *endpoint);
/* Of an object below the prefix; to be freed. */
char *key_below(const struct endpoint *endpoint, const char *name);
/* "s3://bucket/pre/fix" to "bucket" and "pre/fix/". */
int url_split(const char *url, char **bucket, char **prefix);
/* The value of `name` in [section] of an INI file's text. NULL: none. */
char *ini_find(struct slice text, const char *section, const char *name);

/* --- sign.c: SigV4 in a header ---------------------------------------------
 * libcurl's own (CURLOPT_AWS_SIGV4) signs, in the 7.88 of Debian 12, the query
 * as it stands and not sorted, and needs the secret in its handles. */
struct field {
    const char *name; /* of a header: in lower case */
    const char *value;
};

struct signed_request {
    const char *method;
    const char *path;            /* percent-encoded */
    const char *query;           /* percent-encoded, sorted */
    const struct field *headers; /* all of those that are sent, sorted */
    size_t header_count;
    const char *payload; /* x-amz-content-sha256 */
    const char *date;    /* x-amz-date */
};

/* Appends the value of Authorization. */
void sign(struct buffer *out, const struct signed_request *request,
          const char *region, const char *access_key, const char *secret_key);
void fields_sort(struct field *fields, size_t count);

/* --- client.c --------------------------------------------------------------*/
#define QUERY_MAX          6
#define HEADERS_MAX        256
#define ANSWER_HEADERS_MAX 256

struct answer {
    struct arena *arena;
    long status;
    struct field headers[ANSWER_HEADERS_MAX]; /* names in lower case */
    unsigned header_count;
    struct buffer body; /* what no receiver took */
    struct slice code;  /* of an error; empty: it has none */
};

struct request {
    const char *method;
    const char *key; /* NULL: of the bucket */
    struct field query[QUERY_MAX];
    unsigned query_count;
    struct field headers[HEADERS_MAX];
    unsigned header_count;
    struct slice body; /* of a POST */
    /* Of a PUT: a piece of a file, its SHA-256 in hex (unused over TLS). */
    int fd;
    uint64_t offset, size;
    const char *sha256;
    /* Takes the body of a 2xx; NULL: it goes to answer->body. False: enough. */
    bool (*receive)(void *context, const struct answer *answer,
                    const void *data, size_t size);
    void *context;
};

void request_query(struct request *request, const char *name,
                   const char *value);
void request_header(struct request *request, const char *name,
                    const char *value);

/* Of one thread. */
struct client {
    struct endpoint *endpoint;
    CURL *handle;
    atomic_ullong *wire_bytes;
    const atomic_bool *stop;    /* NULL, or breaks off what is being sent */
    char why[TRANSFER_WHY_MAX]; /* of the last failure */
};

void client_open(struct client *client, struct endpoint *endpoint,
                 atomic_ullong *wire_bytes);
void client_close(struct client *client);
/* Tries again what passes: a busy or restarting endpoint, a lost connection.
 * The answer is to be freed, also after a failure. */
int client_send(struct client *client, const struct request *request,
                struct answer *answer);
/* One attempt. */
int client_send_once(struct client *client, const struct request *request,
                     struct answer *answer);
/* The error that a 200 may hold too: into client->why and answer->code. */
void client_read_error(struct client *client, const struct request *request,
                       struct answer *answer);
void answer_free(struct answer *answer);
/* NULL: there is none. */
const char *answer_header(const struct answer *answer, const char *name);
/* Before the attempt after `failures` of them. */
void client_pause(unsigned failures);

/* --- calls.c ---------------------------------------------------------------*/
/* What is known of an object. */
struct facts {
    uint64_t size;
    struct timespec mtime; /* of the metadata, or else Last-Modified */
    bool has_mtime;        /* it is of the metadata */
    struct timespec modified;
    char etag[ETAG_MAX]; /* with its quotes */
    enum digest digest;  /* 0: no checksum of all bytes is known */
    uint8_t checksum[DIGEST_SIZE_MAX];
    size_t checksum_size;
};
void facts_read(struct facts *facts, const struct answer *answer);

struct piece { /* of a file, to be sent */
    int fd;
    uint64_t offset, size;
    uint64_t crc; /* CRC64NVME */
    char sha256[65];
};
/* Reads it once. -ESTALE if it is shorter; what the system says. */
int piece_digest(struct piece *piece, bool tls);

struct stored_as { /* headers of a new object; a value NULL: without */
    const struct field *fields;
    unsigned count;
    /* NULL: none is asked for. An endpoint that does not have it stores the
     * object as it stores others. */
    const char *storage_class;
};

/* 0, and *found. `version` NULL: the current one. */
int call_head(struct client *client, const char *key, bool *found,
              struct facts *facts);
/* The same, and all its headers: the answer is to be freed in any case. */
int call_head_all(struct client *client, const char *key, const char *version,
                  bool *found, struct facts *facts, struct answer *answer);
/* As x-amz-tagging has them. */
int call_tags(struct client *client, const char *key, const char *version,
              struct buffer *tags);
/* What a bucket without versions forgets, becomes a delete marker. */
int call_delete(struct client *client, const char *key);
int call_versioning(struct client *client, bool *enabled);
/* *verified: the endpoint compared the checksum. */
int call_put(struct client *client, const char *key, const struct piece *piece,
             const struct stored_as *as, bool *verified);

/* One of those that call_create_upload() begins. */
struct found_upload {
    char id[ID_MAX]; /* empty: none */
    struct timespec begun;
};
int call_find_upload(struct client *client, const char *key,
                     struct found_upload *found);
int call_create_upload(struct client *client, const char *key,
                       const struct stored_as *as, char id[ID_MAX]);
int call_abort_upload(struct client *client, const char *key, const char *id);

struct part {
    uint64_t size; /* 0: the endpoint has none */
    bool has_crc;
    uint64_t crc;
    char etag[ETAG_MAX]; /* with its quotes */
};
/* Fills parts[number - 1] of what is there. */
int call_list_parts(struct client *client, const char *key, const char *id,
                    struct part *parts, unsigned count);
int call_put_part(struct client *client, const char *key, const char *id,
                  unsigned number, const struct piece *piece,
                  struct part *part);
/* with_crc: all parts have one. */
int call_complete_upload(struct client *client, const char *key, const char *id,
                         const struct part *parts, unsigned count,
                         bool with_crc);

/* --- metadata.c ------------------------------------------------------------*/
/* Of a header's name, in lower case: a migration takes it along. */
bool metadata_is_kept(const char *name);
/* Two answers to a HEAD: the second object has what is kept of the first. Times
 * and tags are not compared. */
bool metadata_is_copy(const struct answer *from, const struct answer *to);
/* Tags as call_tags() gives them, in any order; an empty buffer: none. */
bool tags_are_same(const struct buffer *a, const struct buffer *b);

/* --- listing.c: the objects below the prefix, in the order of their keys ---*/
struct object {
    struct slice name; /* the key without the prefix; has a NUL after it */
    uint64_t size;
    const char *etag;
    const char *version; /* NULL: the current one */
    bool marker;         /* a delete marker */
};
struct listing;
/* A key as it stands in a listing, whose root says how it is written. */
int listed_key(struct arena *arena, const struct xml_node *root,
               struct slice text, struct slice *key);
/* `versions`: all of each key, from the newest to the oldest. */
struct listing *listing_new(const char *prefix, bool versions);
void listing_free(struct listing *listing);
/* 1 and an object that stays until the next call, 0 at the end, or an error. */
int listing_next(struct listing *listing, struct client *client,
                 struct object *object);
/* Makes the name and the ETag the caller's own, to be freed. */
void object_keep(struct object *object);
void object_free(const struct object *object);
/* 1: an object of that name and size is there, 0: none, or an error. Names come
 * in their order; not to be mixed with listing_next(). */
int listing_find(struct listing *listing, struct client *client,
                 struct slice name, uint64_t size);

/* --- versions.c: the versions of one key -----------------------------------*/
struct versions {
    struct object *list; /* from the oldest to the newest */
    size_t count, capacity;
};
struct version_reader {
    struct listing *listing; /* of versions; the reader's own */
    bool begun;
    int there; /* what listing_next() said of the next */
    struct object next;
};
void version_reader_open(struct version_reader *reader, const char *prefix);
void version_reader_close(struct version_reader *reader);
/* 1 and the versions of the next key, to be freed; 0 at the end, or an error.
 */
int versions_next(struct version_reader *reader, struct client *client,
                  struct versions *versions);
/* Those of that name; none if there is no such key. Names come in order. */
int versions_find(struct version_reader *reader, struct client *client,
                  struct slice name, struct versions *versions);
void versions_free(struct versions *versions);

/* --- walk.c: the files below a directory, in the order of their names ------*/
enum walk_kind {
    WALK_FILE,
    WALK_LINK,
    WALK_SPECIAL,
    WALK_EMPTY,      /* a directory */
    WALK_UNREADABLE, /* a directory, or what is in it: `error` */
};
struct walk_entry {
    enum walk_kind kind;
    const char *name; /* below the directory; until the next call */
    uint64_t size;
    struct timespec mtime, ctime;
    int error;
};
struct walk;
/* The directory stays the caller's. */
struct walk *walk_new(int directory, bool follow);
void walk_free(struct walk *walk);
bool walk_next(struct walk *walk, struct walk_entry *entry);

/* --- tree.c: names below a directory; no link is followed ------------------*/
/* Opens a file for reading. */
int tree_open(int directory, const char *name, bool follow);
/* The directory that holds `name`, made if it is not there, and the last part
 * of the name. */
int tree_parent(int directory, const char *name, const char **last);
/* 0, or -ENOENT also where something else is in the way. */
int tree_stat(int directory, const char *name, struct stat *status);
int tree_make_directory(int directory, const char *name);

/* --- name.c ----------------------------------------------------------------*/
/* NULL, or why no file of a tree can have that name. */
const char *name_fault(struct slice name);
/* NULL, or why no object can have that key. */
const char *key_fault(struct slice key);
/* What s3ctl names its own unfinished files. */
#define RESERVED_PREFIX ".s3ctl-"
bool name_is_reserved(const char *last);

/* The names that were files, of which the next in order can be below. */
struct nesting {
    uint8_t name[KEY_SIZE_MAX];
    size_t size;
    size_t ends[KEY_SIZE_MAX];
    unsigned count;
};
/* Names come in the order of their bytes. False: it is below `*file`, which is
 * a file already. */
bool nesting_add(struct nesting *nesting, struct slice name,
                 struct slice *file);

/* --- mtime.c: seconds, with a fraction where there is one ------------------*/
void mtime_format(struct timespec time, char out[MTIME_TEXT_MAX]);
bool mtime_parse(const char *text, struct timespec *time);

/* --- types.c: of the names' endings ----------------------------------------*/
struct types;
/* nginx's mime.types, or the one of mime-support. */
struct types *types_parse(struct slice text);
/* `path` NULL: where systems have it; an empty table if none does. */
int types_load(const char *path, struct types **types);
void types_free(struct types *types);
/* NULL: unknown. */
const char *types_find(const struct types *types, const char *name);

/* --- decide.c --------------------------------------------------------------*/
/* As strcmp(). */
int times_compare(struct timespec a, struct timespec b);
/* The object is what an import of that file would make. */
bool object_is_file(const struct facts *facts, uint64_t size,
                    struct timespec mtime);
/* The part that is stored is that piece. */
bool part_is_piece(const struct part *part, const struct piece *piece);
/* The upload was begun before the file became what it is. */
bool upload_is_stale(struct timespec begun, struct timespec mtime,
                     struct timespec ctime);
uint64_t part_size_for(uint64_t size, uint64_t wanted);

/* --- work.c ----------------------------------------------------------------*/
struct transfer {
    const struct transfer_options *options;
    const struct transfer_watch *watch;
    struct endpoint endpoint;
    int directory;
    struct {
        atomic_ullong moved, moved_bytes, same, same_bytes, left_out, failed,
            unverified, wire_bytes, parts_kept;
        atomic_ullong read_bytes; /* by a migration, which counts the sent */
        uint64_t files_total, bytes_total;
    } counts;
    atomic_bool stopped;  /* by what `result` and `why` say */
    pthread_mutex_t lock; /* of the two, and of notes */
    enum transfer_result result;
    char why[TRANSFER_WHY_MAX];
    /* What one thread does, until there is nothing left. */
    void (*work)(struct transfer *transfer, struct client *client);
};

/* Opens the endpoint. transfer_close() also after a failure. */
enum transfer_result transfer_open(struct transfer *transfer,
                                   const struct transfer_options *options,
                                   const struct transfer_watch *watch);
/* Runs `work` in as many threads as the options say; returns the result. */
enum transfer_result transfer_run(struct transfer *transfer);
/* Counts what is to be read. */
enum transfer_result transfer_count(struct transfer *transfer,
                                    struct endpoint *endpoint, bool versions);
/* Gives out the counts and `why`. */
void transfer_close(struct transfer *transfer, struct transfer_counts *counts,
                    char why[TRANSFER_WHY_MAX]);
/* Ends all threads; the first result stays. */
void transfer_stop(struct transfer *transfer, enum transfer_result result,
                   const char *why);
void transfer_note(struct transfer *transfer, enum transfer_note note,
                   const char *name, const char *why);
void transfer_fail(struct transfer *transfer, const char *name,
                   const char *why);
/* After an error of a request or of the system about one file: it failed, and
 * if the endpoint does not answer, so has everything. */
void transfer_fail_with(struct transfer *transfer, const struct client *client,
                        const char *name, int error);
/* The same of what concerns everything: a listing. */
void transfer_stop_with(struct transfer *transfer, const struct client *client,
                        int error);
void transfer_same(struct transfer *transfer, uint64_t size);
void transfer_moved(struct transfer *transfer, const char *name, uint64_t size,
                    bool verified);

#endif
