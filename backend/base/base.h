/*
 * What every folder of s3d uses: slices, arenas, logging, clocks, assertions.
 *
 * Errors travel as 0 or a negative errno throughout the backend:
 *   -EBADMSG  a checksum did not match     -ENOSPC  no room on the drives
 *   -ENOENT   no such thing                -EIO     the device failed
 */
#ifndef BASE_H
#define BASE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* --- invariants ----------------------------------------------------------
 * invariant() stays in release builds: going on would risk data. */
#define invariant(condition)                                                   \
    ((condition) ? (void)0 : invariant_failed(#condition, __FILE__, __LINE__))
_Noreturn void invariant_failed(const char *condition, const char *file,
                                int line);

/* --- slices: bytes that somebody else owns -------------------------------*/
struct slice {
    const uint8_t *data;
    size_t size;
};
#define SLICE_LITERAL(text)                                                    \
    ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){(const uint8_t *)data, size};
}
struct slice slice_from_string(const char *text);
static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size &&
           (a.size == 0 || (a.data != NULL && b.data != NULL &&
                            memcmp(a.data, b.data, a.size) == 0));
}
bool slice_equal_string(struct slice a, const char *text);
int slice_compare(struct slice a, struct slice b); /* bytewise, as memcmp */
bool slice_has_prefix(struct slice a, struct slice prefix);
struct slice slice_trim(struct slice text); /* no blanks and tabs around it */
/* Decimal, no sign, no blanks: returns 0, or -EINVAL. */
int slice_to_u64(struct slice a, uint64_t *value);

/* --- arenas: all memory of one request, freed at once ---------------------
 * Not thread-safe; one owner at a time. Allocation never returns NULL: like
 * every allocation in s3d it aborts when memory is exhausted. */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *arena); /* NULL is allowed */
/* Overwrites all that is in it, which is not to be used any more. */
void arena_wipe(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size); /* aligned to 16 */
void *arena_zalloc(struct arena *arena, size_t size);
struct slice arena_copy(struct arena *arena, const void *data, size_t size);
/* The result is NUL-terminated. */
char *arena_string(struct arena *arena, struct slice text);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* protobuf-c's allocator over this arena. */
void *arena_protobuf_allocator(struct arena *arena); /* ProtobufCAllocator * */

/* --- growing byte buffers -------------------------------------------------*/
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};
void buffer_grow(struct buffer *buffer, size_t more); /* room for so many */
/* Inline: answers are put together from thousands of short pieces. */
static inline void buffer_append(struct buffer *buffer, const void *data,
                                 size_t size)
{
    if (size == 0) {
        return;
    }
    if (size > buffer->capacity - buffer->size) {
        buffer_grow(buffer, size);
    }
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}
#define buffer_append_literal(buffer, text)                                    \
    buffer_append((buffer), "" text "", sizeof(text) - 1)
void buffer_append_string(struct buffer *buffer, const char *text);
void buffer_append_number(struct buffer *buffer, uint64_t number); /* decimal */
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_reserve(struct buffer *buffer, size_t capacity);
void buffer_free(struct buffer *buffer); /* leaves it empty and usable */

/* malloc and friends that abort instead of returning NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);

/* Copies with the NUL into an array of `capacity` bytes; a text that does not
 * fit aborts: its length was to be checked where it came in. */
void copy_string(char *out, size_t capacity, const char *text);

/* --- large memory, with several owners (memory_pool.c) ---------------------
 * For bytes on their way from a socket to drives: they stay until the last who
 * hashes or writes them has let go. Some of what is freed is kept for the next
 * who asks for as much: fresh pages cost more than to fill them. All memory of
 * bodies and writers comes from here. Thread-safe. */
struct memory {
    uint8_t *bytes; /* aligned to a page, not set to anything */
};
struct memory *memory_new(size_t size);            /* its first owner */
struct memory *memory_hold(struct memory *memory); /* one more */
void memory_drop(struct memory *memory); /* one less; NULL is allowed */
/* All of it together is to be no more than `bytes` (at first: as much as is
 * asked for). memory_new() gives more all the same: nobody waits for memory
 * that others hold, so nobody waits for another's client. Who can make do with
 * less asks memory_short(), and does. */
void memory_limit(uint64_t bytes);
bool memory_short(void);

/* --- encoding --------------------------------------------------------------*/
void hex_encode(char *out, const void *data, size_t size); /* 2*size + NUL */
int hex_decode(uint8_t *out, struct slice hex); /* hex.size/2 bytes */
/* Standard alphabet with padding. Returns the length; out NUL-terminated,
 * needs 4 * ((size + 2) / 3) + 1 bytes. */
size_t base64_encode(char *out, const void *data, size_t size);
/* Strict. Returns the decoded length, or -EINVAL; out needs
 * text.size / 4 * 3 bytes. */
int base64_decode(uint8_t *out, size_t capacity, struct slice text);
/* Percent-encodes all but A-Za-z0-9-._~ and, if keep_slash, '/'. */
void uri_encode(struct buffer *out, struct slice text, bool keep_slash);
/* Decodes %XX once ('+' stays). Returns 0, or -EINVAL. In the arena. */
int uri_decode(struct arena *arena, struct slice text, struct slice *out);

/* --- private files (private_file.c) ----------------------------------------
 * A small file of mode 0600, durable on return; it appears whole or not at all.
 * -EEXIST if one is there and `replace` is false; what the system says. */
int private_file_write(const char *path, struct slice data, bool replace);
/* The one line of a file that only its owner and group may use: a password.
 * Returns its size without the line's end; `line` has a NUL after it.
 * -EACCES: others may use the file; -EINVAL: it is empty, too long, or holds a
 * control character; what the system says. */
int private_file_line(const char *path, char *line, size_t capacity);

/* --- numbers on disk -------------------------------------------------------*/
void put_u16be(uint8_t *out, uint16_t value);
void put_u32be(uint8_t *out, uint32_t value);
void put_u64be(uint8_t *out, uint64_t value);
uint16_t get_u16be(const uint8_t *in);
uint32_t get_u32be(const uint8_t *in);
uint64_t get_u64be(const uint8_t *in);
void put_u16le(uint8_t *out, uint16_t value);
void put_u32le(uint8_t *out, uint32_t value);
void put_u64le(uint8_t *out, uint64_t value);
uint16_t get_u16le(const uint8_t *in);
uint32_t get_u32le(const uint8_t *in);
uint64_t get_u64le(const uint8_t *in);

/* --- clocks ----------------------------------------------------------------*/
uint64_t clock_wall_ms(void);      /* milliseconds since 1970 */
uint64_t clock_monotonic_us(void); /* microseconds */
/* By how many ms the wall clock was set since the look before, if that was some
 * seconds: negative is back, 0 is not. Also a machine that slept sees it. A
 * watch is zeroed at first, and one thread's. */
struct clock_watch {
    int64_t ahead_ms; /* of the monotonic clock, at the last look */
    bool looked;
};
int64_t clock_jumped(struct clock_watch *watch);
#define TIME_ISO8601_SIZE 24 /* bytes of 2026-01-02T03:04:05.678Z */
void time_iso8601(char out[TIME_ISO8601_SIZE + 1], uint64_t ms);
#define TIME_HTTP_SIZE 29 /* bytes of Sun, 06 Nov 1994 08:49:37 GMT */
void time_http(char out[TIME_HTTP_SIZE + 1], uint64_t ms); /* IMF-fixdate */
/* A condition to be waited for with a deadline on the monotonic clock. */
void condition_init(pthread_cond_t *condition);
/* As pthread_cond_wait(); false when the deadline has passed. */
bool condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex,
                          uint64_t deadline_us);

/* --- waiting ----------------------------------------------------------------
 * What is between begin and end waits (for a drive, a sync, a lock) rather
 * than computes: whoever runs the threads may let another one work meanwhile.
 * Cheap, not nested, without effect where nobody has set hooks. */
void blocking_begin(void);
void blocking_end(void);
/* From here on this thread computes for long: a millisecond or more. */
void computing_long(void);
void blocking_hooks(void (*begin)(void), void (*end)(void)); /* at start */

/* --- phases: what a request waits for ----------------------------------------
 * Each thread adds up its own, whoever it works for. */
enum phase {
    PHASE_QUEUE,    /* a thread of the pool */
    PHASE_METADATA, /* reads and commits of the metadata */
    PHASE_DRIVE,    /* reads, writes and syncs on drives */
    PHASE_LOCK,     /* others that change the same */
    PHASE_KEYS,     /* a Vault */
    PHASES
};
struct phases {
    uint64_t us[PHASES];
};
const char *phase_name(enum phase phase); /* "metadata" */
/* What has passed since `began_us`, of clock_monotonic_us(). */
void phase_add(enum phase phase, uint64_t began_us);
/* Adds what this thread has added up, and begins anew at 0. */
void phases_take(struct phases *phases);

/* --- computing aside (aside.c) ----------------------------------------------
 * Runs the job soon, in another thread, together with others of its kind that
 * wait, and again, in turn with all others, as long as `more` is set for it. If
 * that is false it may be gone, or started anew. It must not wait. */
#define ASIDE_TOGETHER 8u /* jobs at most */
struct aside {
    void (*run)(struct aside *jobs[], unsigned count, bool more[]);
    struct aside *next;
};
void aside_start(struct aside *job);

/* --- logging: one JSON object a line on stderr, or the file opened -----------
 * Never pass a secret. Thread-safe. */
enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};
void log_set_level(enum log_level level);
int log_open(const char *path); /* NULL: stderr; again on SIGHUP or SIGUSR1 */
void log_at(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
/* Of work that is tried again and again: says that `what` fails, once for as
 * long as it fails alike, and that it works again. *last, 0 at first, is the
 * caller's and tells the calls apart; an error of 0 is a success, -ECANCELED
 * neither. */
void log_failing(int *last, const char *what, int error);
/* A request that has ended: id, operation and error need no escapes. */
struct log_request {
    const char *id, *operation, *error;
    unsigned status;
    struct slice bucket, key;
    uint64_t us;          /* from its first byte to the end of its reply */
    uint64_t steps_us;    /* of which s3d worked on it, or waited */
    struct phases phases; /* of which it waited for this */
};
/* A line at LOG_LEVEL_INFO; if it was slow another one, with its phases, at
 * LOG_LEVEL_WARN. */
void log_request(const struct log_request *request, bool slow);

/* --- digests of object bodies ----------------------------------------------*/
/* A set of hashes fed in one pass. Not thread-safe. */
enum digest {
    DIGEST_MD5 = 1 << 0, /* not for secrets: nothing of it is wiped */
    DIGEST_SHA256 = 1 << 1,
    DIGEST_SHA1 = 1 << 2,
    DIGEST_CRC32 = 1 << 3,     /* ISO-HDLC, as zlib */
    DIGEST_CRC32C = 1 << 4,    /* Castagnoli */
    DIGEST_CRC64NVME = 1 << 5, /* NVM Express, reflected */
};
#define DIGEST_SIZE_MAX 32
struct digester;
struct digester *digester_new(unsigned digests); /* OR of enum digest */
void digester_update(struct digester *digester, const void *data, size_t size);
/* The same for large data in memory that is held meanwhile: MD5, the slowest by
 * far, goes on in another thread. */
void digester_update_aside(struct digester *digester, struct memory *memory,
                           const void *data, size_t size);
/* Big-endian for CRCs, as S3 shows them. Returns the size in bytes. May be
 * called once per digest; update must not follow. */
size_t digester_final(struct digester *digester, enum digest which,
                      uint8_t out[DIGEST_SIZE_MAX]);
void digester_free(struct digester *digester);
/* Joins CRCs: returns the CRC of A||B from crc(A), crc(B) and the size of B. */
uint64_t crc_combine(enum digest which, uint64_t a, uint64_t b,
                     uint64_t size_b);
uint64_t crc64nvme(uint64_t crc, const void *data, size_t size);
/* CRC32C (RFC 3720, B.4) as it stands on disk; continued from `crc`, that of
 * the bytes before, 0 at the start. */
uint32_t crc32c_bytes(const void *data, size_t size);
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size);

#endif
