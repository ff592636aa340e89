/*
 * Private to s3/: one request being served, and the table of operations.
 */
#ifndef S3_CALL_H
#define S3_CALL_H

#include "base/utf8.h"
#include "http/http.h"
#include "s3/s3.h"

struct s3_body;       /* body.c: a streamed body being verified */
struct s3_multirange; /* file.h: a reply body of several ranges */
struct s3_pieces;     /* pieces.h: a body of unknown length being stored */
struct s3_source;     /* source.c: the bytes of a reply being read */
struct s3_work_kind;  /* work.h: what takes several steps */
struct s3_writer;     /* writer.h: bytes on their way into a blob */

/* How the bytes of an object are sealed: sse.h. */
struct sse {
    Meta__Encryption *record;    /* NULL: they are in the clear */
    uint8_t key[CRYPT_KEY_SIZE]; /* the object's */
};

/* How an operation takes its body. */
enum s3_body_kind {
    S3_BODY_NONE,   /* run() at once */
    S3_BODY_XML,    /* collected (bounded), verified, then run() */
    S3_BODY_OBJECT, /* streamed into a blob: open(), then run() at the end */
    S3_BODY_FORM,   /* streamed to take(): open(), then run() at the end. Who
                       sends it stands in the form: open() and take() see to
                       access, bucket and key themselves */
};

struct s3_operation {
    Wire__Operation operation;
    const char *name; /* "PutObject", for logs */
    enum s3_body_kind body;
    bool needs_bucket; /* call->bucket is loaded and access checked */
    bool needs_key;
    size_t xml_max; /* bytes of an XML body */
    bool extension; /* only where s3_service says so */
    /* OBJECT: checks before the body is taken, opens call->writer. */
    void (*open)(struct s3_call *call);
    void (*take)(struct s3_call *call, struct slice data); /* FORM only */
    /* Decides, commits, fills in the reply, or begins work that does
     * (work.h). call->body is complete (FORM: it is for run() to complete
     * it). */
    void (*run)(struct s3_call *call);
};

/* operations.c: NULL for NOT_IMPLEMENTED. */
const struct s3_operation *s3_operation_find(Wire__Operation operation);

#define S3_KEY_MAX         1024u        /* bytes of a key */
#define S3_PUT_MAX         (5ull << 30) /* bytes of a PUT, a part, a copy */
#define S3_METADATA_MAX    2048u        /* bytes of names and values */
#define S3_PART_NUMBER_MAX 10000u

struct s3_call {
    struct s3_service *service;
    const Wire__Request *request;
    const struct s3_operation *operation;
    struct arena *arena; /* everything below lives here unless said */
    struct iam_identity identity;
    Meta__Bucket *bucket; /* NULL unless needs_bucket */
    struct slice bucket_name, key;

    bool wants_body;
    bool done;       /* reply is valid */
    unsigned status; /* as the call has ended; 0: it has not, though its reply
                        may have begun (work.h) */
    struct {         /* work.h; zero: there is none */
        const struct s3_work_kind *kind;
        uint64_t step_ends_us;
    } work;
    enum s3_error error;
    const char *query_error;  /* in place of `error`: query.h; or NULL */
    bool secret_reply;        /* a secret is told: the reply is wiped */
    struct s3_body *body;     /* digests and checks of the body; see body.h */
    struct buffer xml;        /* the collected body of an XML operation; heap */
    struct sse sse;           /* of what is written; wiped at the reply */
    struct s3_writer *writer; /* of an OBJECT operation; NULL when the
                                 body is empty or after finish */
    uint64_t blob;            /* id of the blob being written, or 0 */
    struct s3_pieces *pieces; /* of a FORM operation; NULL if there is none */
    struct s3_source *source; /* reply body from blobs, or NULL */
    struct slice reply_body;  /* reply body in memory: XML; goes before what
                                 the source has */
    struct buffer document;   /* what reply_body lies in, or nothing; heap */
    struct s3_listen *listen; /* reply body from the feed, or NULL: listen.h */
    size_t reply_sent;
    struct s3_multirange *multirange; /* what follows both; or NULL */

    /* For the access log. */
    uint64_t began_ms;                   /* wall clock */
    uint64_t began_us, body_us, done_us; /* the body's end, the reply's begin */
    uint64_t bytes_sent, last_segments;  /* of the reply's body */
    struct s3_log_entry *log_entries;    /* access_log.h */
    struct hot_token hot; /* of a read that may be published: hot_answer.h */
    unsigned decisions;   /* on access, until now */
    bool consulted;       /* a policy has asked for something of the request */

    bool counted;     /* limits.h */
    bool paced;       /* by limits of bandwidth, if there are any */
    uint64_t turn_us; /* s3_call_turn_us() */

    bool acl_required; /* no policy allowed it, but an access control list */

    Wire__Reply reply;
    size_t header_capacity;
    struct buffer error_fields; /* XML inside <Error>; heap */
    Layout__Layout *layout;    /* of the finished writer; freed with the call */
    struct blob_intent intent; /* B5: from the first blob to the end */
    void *operation_data;      /* whatever the operation keeps, in the arena */

    /* What the body asks for that policies can put conditions on; what
     * headers ask for is read from them. */
    struct {
        const Meta__Object *object; /* tags, retention, hold; NULL: none */
        struct slice location;      /* of a bucket; data == NULL: not said */
    } asked;
};

/* --- access (call.c): false, the call has failed ---------------------------*/
/* Sets call->identity, of nobody if there is no access key. */
bool call_authenticate(struct s3_call *call, struct slice access_key,
                       uint64_t generation, struct slice session_token);
bool call_is_anonymous(const struct s3_call *call);
/* Loads call->bucket by call->bucket_name, and sees that it is of whom the
 * caller expects. What the caller may do is for authorize.h. */
bool call_load_bucket(struct s3_call *call);
bool call_check_key(struct s3_call *call);
/* Who has begun `call` could begin it now: key, session, bucket and rights as
 * they are at this moment. Thread-safe as a call of its own. */
bool call_still_may(const struct s3_call *call);
/* A call of s3d's own, for `identity`; it is neither authenticated nor
 * logged. */
struct s3_call *call_begin_as(struct s3_service *service,
                              const Wire__Request *request,
                              const struct iam_identity *identity);

/* --- request (request.c) ---------------------------------------------------*/
/* Header by lower-case name; data == NULL if absent. */
struct slice call_request_header(const struct s3_call *call, const char *name);
/* Query argument; data == NULL if absent; "?acl" has size 0, data != NULL. */
struct slice call_arg(const struct s3_call *call, const char *name);
/* Letters, digits and what else a header's name may hold (RFC 9110): metadata
 * go back to clients under the names they came with. */
bool call_header_name(struct slice name);
/* Takes the next item off a comma-separated list, trimmed; blank ones are
 * skipped. False at the end. */
bool call_list_next(struct slice *list, struct slice *item);
/* Refuses headers that ask for what is not there (encryption, object lock,
 * grants ...): nothing pretends. False: the call has failed. */
bool call_supported(struct s3_call *call);

/* --- reply (reply.c) -------------------------------------------------------*/
void call_header(struct s3_call *call, const char *name, const char *format,
                 ...) __attribute__((format(printf, 3, 4)));
void call_header_slice(struct s3_call *call, const char *name,
                       struct slice value);
/* Ends the call with a status and no body. */
void call_reply_empty(struct s3_call *call, unsigned status);
/* Begins the reply, 200, of a call that has not ended: the document with
 * which it ends comes later, whatever its status. */
void call_reply_ahead(struct s3_call *call);
/* Ends the call with an XML document; takes over the buffer's bytes. */
void call_reply_xml(struct s3_call *call, unsigned status, struct buffer *xml);
/* The same with a JSON document, and with one of any type. */
void call_reply_json(struct s3_call *call, unsigned status,
                     struct buffer *json);
void call_reply_document(struct s3_call *call, unsigned status,
                         const char *type, struct buffer *document);
/* Ends the call with an error document (none for HEAD). The table's message
 * unless format is given. */
void call_fail(struct s3_call *call, enum s3_error error);
/* REFUSED: ends the call with the document that came with it. */
void call_refuse(struct s3_call *call);
void call_fail_message(struct s3_call *call, enum s3_error error,
                       const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Before call_fail*: adds <name>value</name> to the error document. */
void call_error_field(struct s3_call *call, const char *name,
                      struct slice value);
/* Of the call's own bucket and key: NoSuchBucket with BucketName, NoSuchKey
 * with Key. */
void call_fail_no_bucket(struct s3_call *call, struct slice name);
void call_fail_no_key(struct s3_call *call, struct slice key);
/* PreconditionFailed with Condition: "If-Match". */
void call_fail_condition(struct s3_call *call, const char *condition);
/* InvalidArgument with ArgumentName and ArgumentValue. */
void call_fail_argument(struct s3_call *call, const char *name,
                        struct slice value, const char *message);
/* From an errno: -ENOSPC InsufficientStorage, -EDQUOT QuotaExceeded, -ENODEV
 * and -EAGAIN SlowDown, -EROFS ServiceUnavailable, others InternalError; logs
 * what happened, but for -EDQUOT and -EAGAIN. */
void call_fail_errno(struct s3_call *call, int error, const char *what);
enum s3_error call_error_of(int error); /* the same mapping */

/* --- XML out (xml_out.c): escapes; what XML 1.0 cannot hold is U+FFFD ------*/
#define XML_DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
void xml_open_document(struct buffer *out,
                       const char *root); /* with S3 xmlns */
void xml_open(struct buffer *out, const char *name);
void xml_close(struct buffer *out, const char *name);
void xml_text(struct buffer *out, const char *name, struct slice value);
void xml_string(struct buffer *out, const char *name, const char *value);
void xml_number(struct buffer *out, const char *name, uint64_t value);
void xml_bool(struct buffer *out, const char *name, bool value);
void xml_time(struct buffer *out, const char *name, uint64_t ms); /* ISO 8601 */
void xml_quoted(struct buffer *out, const char *name, struct slice etag);
void xml_escape(struct buffer *out, struct slice text);
/* <ChecksumCRC32>...</ChecksumCRC32><ChecksumType>...; nothing for NULL. */
void xml_checksum(struct s3_call *call, struct buffer *out,
                  const Meta__Checksum *checksum, unsigned parts);

/* --- protobuf and slices ---------------------------------------------------*/
struct slice pb_slice(ProtobufCBinaryData bytes);
ProtobufCBinaryData pb_bytes(struct slice bytes); /* not copied */

/* --- times -----------------------------------------------------------------*/
/* 2026-01-02T03:04:05[.678](Z|+hh:mm|-hh:mm); milliseconds, or -EINVAL. */
int time_parse_iso8601(struct slice text, uint64_t *ms);

/* --- bodies (body.c) -------------------------------------------------------
 * Verifies everything a client says of a body: length, Content-MD5,
 * x-amz-content-sha256, chunk signatures, x-amz-checksum-* in header or
 * trailer. For UploadPart and XML bodies too. */
/* Reads the headers; on a bad one ends the call. `fallback` is computed and
 * kept when the client sends no checksum (NO_CHECKSUM: none). */
bool body_open(struct s3_call *call, Meta__ChecksumAlgorithm fallback);
/* `memory`: as of s3_call_data_in(); NULL: the bytes are copied or done with.
 */
void body_update(struct s3_call *call, struct memory *memory, const void *data,
                 size_t size);
bool body_chunk(struct s3_call *call, const Wire__Chunk *chunk);
bool body_trailers(struct s3_call *call, const Wire__Trailers *trailers);
/* Of a body whose length was not known (content_length UINT64_MAX): all of it
 * has come. Before finish. */
void body_end_here(struct s3_call *call);
/* All checks; on a mismatch ends the call. */
bool body_finish(struct s3_call *call);
const uint8_t *body_md5(
    const struct s3_call *call); /* 16 bytes; after finish */
/* NULL if there is none. In the arena. */
Meta__Checksum *body_checksum(const struct s3_call *call);
/* The client sent Content-MD5 or an x-amz-checksum-*. */
bool body_has_integrity(const struct s3_call *call);
/* The algorithm the client's checksum has, header or trailer; NO_CHECKSUM. */
Meta__ChecksumAlgorithm body_client_algorithm(const struct s3_call *call);
/* That of body_checksum(); known before the body has come. */
Meta__ChecksumAlgorithm body_kept_algorithm(const struct s3_call *call);
void body_free(struct s3_call *call);

/* --- conditions of deletes (conditions.c): pure --------------------------*/
/* What a delete asks of the version that it would remove or hide. */
struct delete_conditions {
    struct slice match; /* an entity tag or "*"; data == NULL: absent */
    bool has_size, has_mtime;
    uint64_t size, mtime_ms;
};
/* NULL, or the name of the first condition that does not hold. */
const char *delete_conditions_failed(const struct delete_conditions *conditions,
                                     struct slice etag, uint64_t size,
                                     uint64_t mtime_ms);

/* --- checksums (checksum.c) ------------------------------------------------*/
/* "x-amz-checksum-crc32c" / "CRC32C" for an algorithm; sizes in bytes. */
const char *checksum_header(Meta__ChecksumAlgorithm algorithm);
const char *checksum_name(Meta__ChecksumAlgorithm algorithm);
const char *checksum_element(
    Meta__ChecksumAlgorithm algorithm); /* ChecksumCRC32C */
size_t checksum_size(Meta__ChecksumAlgorithm algorithm);
unsigned checksum_digest(Meta__ChecksumAlgorithm algorithm); /* enum digest */
Meta__ChecksumAlgorithm checksum_parse_name(struct slice name); /* NO_CHECKSUM:
                                                                   unknown */
/* The algorithm that `header` names. False: s3d has it not, and the call has
 * failed with NotImplemented; nobody has it, and it has with `message`. */
bool checksum_take_name(struct s3_call *call, struct slice header,
                        struct slice name, const char *message,
                        Meta__ChecksumAlgorithm *algorithm);
/* That of x-amz-checksum-algorithm; NO_CHECKSUM: there is none. */
bool checksum_take_wanted(struct s3_call *call,
                          Meta__ChecksumAlgorithm *algorithm);
/* base64, with "-N" for composites of `parts`. In the arena. */
char *checksum_text(struct s3_call *call, const Meta__Checksum *checksum,
                    unsigned parts);
/* x-amz-checksum-<algorithm>: value and x-amz-checksum-type. */
void call_checksum_headers(struct s3_call *call, const Meta__Checksum *checksum,
                           unsigned parts);

/* --- objects shared by several operations (object.c) -----------------------*/
/* System headers (Content-Type, ...), x-amz-meta-*, storage class and tags of
 * the request into a new object's fields. False: the call has failed. */
bool object_take_headers(struct s3_call *call, Meta__Object *object);
/* Opens call->writer for call->request->content_length bytes, with an Origin
 * made from `object`. False: the call has failed. */
bool object_open_writer(struct s3_call *call, const Meta__Object *object,
                        struct slice upload, unsigned part);
/* Opens a blob of `size` > 0 bytes, sealed as call->sse says, with an Origin
 * made from `object`. 0 or a negative errno. */
int object_open_blob(struct s3_call *call, const Meta__Object *object,
                     struct slice upload, unsigned part, uint64_t size,
                     uint64_t *blob, struct s3_writer **writer);
/* Makes the body durable: finishes call->writer into call->layout and puts
 * the blob's record into `batch`. Nothing to do for an empty body. False: the
 * call has failed. */
bool object_finish_blob(struct s3_call *call, struct meta_batch *batch);
/* Gives up what object_open_blob() opened as call->writer. */
void object_abandon_blob(struct s3_call *call);
/* Shares the lock of call->bucket, sees that the bucket is still the same
 * one, and locks the key. False: the call has failed and nothing is locked. */
bool object_lock(struct s3_call *call, struct slice key);
void object_unlock(struct s3_call *call, struct slice key);
/* A version of a key: version_id.data == NULL the newest, "null" the null
 * version. -ENOENT; delete markers included. */
int object_find(struct s3_call *call, uint64_t bucket, struct slice key,
                struct slice version_id, Meta__Object **object);
/* The versionId argument: data == NULL if absent. False: it is malformed and
 * the call has failed. */
bool object_version_arg(struct s3_call *call, struct slice *version_id);
/* Gives a new version of a key, under its lock, its sequence and, as the
 * bucket's versioning is now, its id. */
void object_assign_version(struct s3_call *call, Meta__Object *object);
/* Commits a version of a key whose lock the caller holds: sequence and id
 * unless they are assigned, mtime, the bucket's default retention, record,
 * reference to object->blob; where versioning is not enabled it replaces the
 * null version and drops what that referenced. `batch` may already hold the
 * blob's record. 0 or a negative errno. */
int object_commit(struct s3_call *call, struct meta_batch *batch,
                  struct slice key, Meta__Object *object);
/* If-Match / If-None-Match of a write against the current object (NULL:
 * none). Under the key lock. False: the call has failed. */
bool object_check_write_conditions(struct s3_call *call,
                                   const Meta__Object *current);
/* The object a copy reads (x-amz-copy-source, its conditions, access).
 * False: the call has failed. */
bool object_copy_source(struct s3_call *call, Meta__Bucket **bucket,
                        struct slice *key, Meta__Object **object);
/* x-amz-copy-source-version-id of what object_copy_source() found. */
void object_copy_source_header(struct s3_call *call, const Meta__Bucket *bucket,
                               const Meta__Object *object);
/* The call is a CopyObject that gives the copy its source's tags; those of its
 * header do not count then. */
bool object_copies_tags(const struct s3_call *call);
bool object_valid_key(struct slice key); /* 1..1024 bytes of UTF-8 */
/* x-amz-copy-source without the read: for those who need the parts. */
struct copy_source {
    struct slice bucket, key, version_id; /* version_id.data may be NULL */
};
bool object_parse_copy_source(struct s3_call *call, struct copy_source *source);
/* The same as "bucket/key", however it was written: what policies see.
 * version_id->data may be NULL. 0; -ENOENT: none is sent; -EINVAL. */
int object_copy_source_path(const struct s3_call *call, struct slice *path,
                            struct slice *version_id);

/* --- reply bodies from blobs (source.c) ------------------------------------*/
/* Opens bytes [offset, offset+size) of an object for s3_call_next(). The blob
 * stays readable while the source is open. 0 or negative errno. */
int source_open(struct s3_call *call, uint64_t blob, const struct sse *sse,
                uint64_t offset, uint64_t size);
void source_free(struct s3_call *call);
/* Goes on with other bytes of the same blob. */
void source_seek(struct s3_call *call, uint64_t offset, uint64_t size);
/* Reads the first piece ahead, so that a failure can still be an error
 * reply. 0 or a negative errno. */
int source_prime(struct s3_call *call);
void source_next(struct s3_call *call, struct s3_piece *piece);
void source_refuse_segments(struct s3_call *call);
/* The piece that source_prime() has read, if it is data; else no bytes. */
struct slice source_primed(const struct s3_call *call);
bool source_has_segments(const struct s3_call *call); /* some are to come */

#endif
