/*
 * Private to s3/: what the listings share.
 *
 * A listing is one ordered scan. Keys that share a prefix up to the delimiter
 * are shown once, and the scan then seeks past all of them, so that a page
 * costs as much as it shows, however many keys there are.
 */
#ifndef S3_LIST_COMMON_H
#define S3_LIST_COMMON_H

#include "s3/call.h"

#define LIST_MAX         1000 /* entries of one page */
#define LIST_PER_SCRATCH 64   /* uploads unpacked into one scratch arena */

/* --- what was asked --------------------------------------------------------*/
struct list_query {
    struct slice prefix;
    struct slice delimiter; /* size 0: none */
    struct slice after;     /* list what is greater; data == NULL: all */
    uint64_t max;
    bool url; /* encoding-type=url */
};

/* Reads prefix, delimiter and encoding-type, and sees that no attributes are
 * wanted which s3d has not. False: the call has failed. */
bool list_query_read(struct s3_call *call, struct list_query *query);
/* Reads a page size, LIST_MAX at most and by default. False: the call has
 * failed. */
bool list_max(struct s3_call *call, const char *argument, uint64_t *max);

/* --- the scan --------------------------------------------------------------*/
enum list_step { LIST_END, LIST_ENTRY, LIST_PREFIX };

void list_start(struct meta_scan *scan, const struct list_query *query);
/* What the scan's record is to the listing; *name, until the scan moves, is
 * its key or the common prefix. Moves past prefixes that are not after
 * `after`. */
enum list_step list_here(struct meta_scan *scan, const struct list_query *query,
                         struct slice *name);

/* --- continuation tokens -----------------------------------------------------
 * base64url of kind, CRC32C and the last name shown: opaque, stateless. */
enum list_token { LIST_TOKEN_OBJECT = 1, LIST_TOKEN_BUCKET = 2 };
char *list_token_encode(struct arena *arena, enum list_token kind,
                        struct slice name);
/* False: the call has failed with InvalidArgument. */
bool list_token_decode(struct s3_call *call, enum list_token kind,
                       struct slice token, struct slice *name);

/* --- answers ---------------------------------------------------------------*/
/* A key or a prefix, in the encoding asked for. */
void list_text(struct buffer *out, const struct list_query *query,
               const char *element, struct slice text);
void list_common_prefix(struct buffer *out, const struct list_query *query,
                        struct slice prefix);
/* <element><ID/><DisplayName/></element> */
void list_owner(struct s3_call *call, struct buffer *out, const char *element,
                struct slice user);

/* Ends the call: what `head` begins, the entries, the common prefixes, and the
 * end of `root`. Takes over both buffers. */
void list_reply(struct s3_call *call, struct buffer *head,
                struct buffer *entries, const struct buffer *prefixes,
                const char *root);

/* --- what is shown of a version (list_entry.c) -------------------------------
 * A page has a thousand of them: nothing here allocates but for `out`. */
void entry_key(struct buffer *out, const struct list_query *query,
               struct slice key);
void entry_modified(struct buffer *out, const struct meta_listed *listed);
/* ETag, checksum, Size. */
void entry_content(struct buffer *out, const struct meta_listed *listed);
void entry_storage_class(struct buffer *out, const struct meta_listed *listed);
/* The owner shown last: most of a page have the same. */
struct entry_owner {
    struct buffer id;  /* as the record has it */
    struct buffer xml; /* empty: none was shown yet */
};
void entry_owner(struct s3_call *call, struct buffer *out,
                 struct entry_owner *last, const struct meta_listed *listed);
void entry_owner_free(struct entry_owner *last);

#endif
