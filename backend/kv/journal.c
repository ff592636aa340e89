#include "kv/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*  0  magic          8  payload, bytes   16  sequence
 *  4  CRC32C of all that follows, the payload included
 *                   12  time, seconds    24  epoch        32  payload */
#define GROUP_MAGIC  0x4733534au
#define GROUP_HEADER 32u
#define GROUP_ALIGN  8u
#define NAME_DIGITS  16
#define PATH_SIZE    4096

struct segment {
    uint64_t first; /* number of its first group */
    uint64_t last;  /* first - 1: empty */
    uint64_t end;   /* bytes of whole groups */
};

struct journal {
    struct io *io;
    char *directory;
    uint64_t segment_max;
    struct io_file *file; /* of the last segment, if it was made by this run */
    bool failed;
    pthread_mutex_t lock;     /* what follows: cursors read it */
    struct segment *segments; /* ascending, without gaps in the numbers */
    size_t count, capacity;
    uint64_t next; /* number of the next group */
};

struct journal_cursor {
    struct journal *journal;
    struct io_file *file;
    uint64_t segment; /* number of the first group in `file` */
    uint64_t offset, next;
};

static uint64_t group_size(uint64_t payload)
{
    return GROUP_HEADER +
           (payload + GROUP_ALIGN - 1) / GROUP_ALIGN * GROUP_ALIGN;
}

static void segment_path(const struct journal *journal, uint64_t first,
                         char out[PATH_SIZE])
{
    int n =
        snprintf(out, PATH_SIZE, "%s/%016" PRIx64, journal->directory, first);

    invariant(n > 0 && n < PATH_SIZE);
}

/* --- reading ---------------------------------------------------------------*/

/* The group at `offset` of a file of `size` bytes, with its header. -ENOENT: it
 * is not whole. */
static int group_read_header(struct io_file *file, uint64_t size,
                             uint64_t offset, uint64_t seq,
                             uint8_t header[GROUP_HEADER],
                             struct buffer *payload)
{
    uint32_t bytes, crc;
    int error;

    if (size < offset + GROUP_HEADER) {
        return -ENOENT;
    }
    error = io_pread(file, header, GROUP_HEADER, offset);
    if (error != 0) {
        return error;
    }
    bytes = get_u32le(header + 8);
    if (get_u32le(header) != GROUP_MAGIC || get_u64le(header + 16) != seq ||
        bytes > JOURNAL_GROUP_MAX || size < offset + GROUP_HEADER + bytes) {
        return -ENOENT;
    }
    buffer_reserve(payload, bytes);
    error = io_pread(file, payload->data, bytes, offset + GROUP_HEADER);
    if (error != 0) {
        return error;
    }
    payload->size = bytes;
    crc = crc32c_bytes(header + 8, GROUP_HEADER - 8);
    crc = crc32c_extend(crc, payload->data, bytes);
    return crc == get_u32le(header + 4) ? 0 : -ENOENT;
}

static int group_read(struct io_file *file, uint64_t size, uint64_t offset,
                      uint64_t seq, struct buffer *payload)
{
    uint8_t header[GROUP_HEADER];

    return group_read_header(file, size, offset, seq, header, payload);
}

/* A power cut tears the last group only: a whole one behind the damage says
 * that something else happened (J3). */
static int check_behind(struct io_file *file, uint64_t size, uint64_t offset,
                        uint64_t seq)
{
    struct buffer payload = {0};
    int error = -ENOENT;

    for (offset += GROUP_ALIGN;
         offset + GROUP_HEADER <= size && error == -ENOENT;
         offset += GROUP_ALIGN) {
        uint8_t head[24];

        error = io_pread(file, head, sizeof(head), offset);
        if (error == 0) {
            error = get_u32le(head) == GROUP_MAGIC && get_u64le(head + 16) > seq
                        ? group_read(file, size, offset, get_u64le(head + 16),
                                     &payload)
                        : -ENOENT;
        }
    }
    buffer_free(&payload);
    return error == 0 ? -EBADMSG : error;
}

/* Finds the end of a segment's whole groups, and syncs them: what is read
 * once must be there for ever. */
static int segment_scan(struct journal *journal, struct segment *segment)
{
    struct buffer payload = {0};
    char path[PATH_SIZE];
    struct io_file *file;
    uint64_t size = 0;
    int error;

    segment_path(journal, segment->first, path);
    error = io_open(journal->io, path, IO_WRITE, &file);
    if (error != 0) {
        return error;
    }
    segment->last = segment->first - 1;
    segment->end = 0;
    error = io_size(file, &size);
    while (error == 0) {
        error =
            group_read(file, size, segment->end, segment->last + 1, &payload);
        if (error == 0) {
            segment->end += group_size(payload.size);
            segment->last++;
        }
    }
    if (error == -ENOENT) {
        error = check_behind(file, size, segment->end, segment->last + 1);
    }
    if (error == -ENOENT) {
        error = io_fdatasync(file);
    }
    io_close(file);
    buffer_free(&payload);
    return error;
}

/* --- the list of segments --------------------------------------------------*/

static void segment_add(struct journal *journal, uint64_t first)
{
    if (journal->count == journal->capacity) {
        journal->capacity = journal->capacity ? 2 * journal->capacity : 8;
        journal->segments = xrealloc(
            journal->segments, journal->capacity * sizeof(*journal->segments));
    }
    journal->segments[journal->count++] =
        (struct segment){.first = first, .last = first - 1};
}

static int list_segment(void *context, const char *name)
{
    uint8_t number[NAME_DIGITS / 2];

    if (strlen(name) == NAME_DIGITS &&
        hex_decode(number, slice_from_string(name)) == 0) {
        segment_add(context, get_u64be(number));
    }
    return 0;
}

static int compare_segments(const void *a, const void *b)
{
    const struct segment *left = a, *right = b;

    return left->first < right->first ? -1 : left->first > right->first;
}

/* The segments must follow one another (J3). */
static int segments_load(struct journal *journal)
{
    int error = io_list(journal->io, journal->directory, list_segment, journal);

    if (error < 0) {
        return error;
    }
    if (journal->count > 1) {
        qsort(journal->segments, journal->count, sizeof(*journal->segments),
              compare_segments);
    }
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = &journal->segments[i];

        if (i > 0 && segment->first != journal->next) {
            log_error("metadata: %s: the journal breaks off at group %" PRIu64
                      " and goes on at %" PRIu64,
                      journal->directory, journal->next, segment->first);
            return -EBADMSG;
        }
        error = segment_scan(journal, segment);
        if (error != 0) {
            return error;
        }
        journal->next = segment->last + 1;
    }
    return 0;
}

int journal_open(struct io *io, const char *directory, uint64_t segment_max,
                 struct journal **out)
{
    struct journal *journal = xcalloc(1, sizeof(*journal));
    int error;

    journal->io = io;
    journal->directory = xstrdup(directory);
    journal->segment_max = segment_max;
    journal->next = 1;
    invariant(pthread_mutex_init(&journal->lock, NULL) == 0);
    error = io_mkdir(io, directory);
    if (error == 0) {
        error = io_sync_parent(io, directory);
    }
    if (error == 0) {
        error = segments_load(journal);
    }
    if (error != 0) {
        journal_close(journal);
        return error;
    }
    *out = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    io_close(journal->file);
    pthread_mutex_destroy(&journal->lock);
    free(journal->segments);
    free(journal->directory);
    free(journal);
}

void journal_range(struct journal *journal, uint64_t *first, uint64_t *last)
{
    pthread_mutex_lock(&journal->lock);
    *first = journal->count > 0 ? journal->segments[0].first : journal->next;
    *last = journal->next - 1;
    pthread_mutex_unlock(&journal->lock);
}

uint64_t journal_segment(struct journal *journal)
{
    uint64_t first;

    pthread_mutex_lock(&journal->lock);
    first = journal->count > 0 ? journal->segments[journal->count - 1].first
                               : journal->next;
    pthread_mutex_unlock(&journal->lock);
    return first;
}

/* --- appending -------------------------------------------------------------*/

/* Under another name first: one of that name without a whole group may be
 * there, and says until then where the journal is. */
static int segment_create(struct journal *journal)
{
    char path[PATH_SIZE], made[PATH_SIZE + 4];
    int error;

    segment_path(journal, journal->next, path);
    snprintf(made, sizeof(made), "%s.new", path);
    error = io_unlink(journal->io, made);
    if (error == 0 || error == -ENOENT) {
        error =
            io_open(journal->io, made, IO_WRITE | IO_CREATE, &journal->file);
    }
    if (error == 0) {
        error = io_rename(journal->io, made, path);
    }
    return error != 0 ? error : io_sync_dir(journal->io, journal->directory);
}

/* A segment of an earlier run is not continued. */
static int segment_begin(struct journal *journal)
{
    int error;

    io_close(journal->file);
    journal->file = NULL;
    error = segment_create(journal);
    if (error != 0) {
        return error;
    }
    pthread_mutex_lock(&journal->lock);
    if (journal->count > 0 &&
        journal->segments[journal->count - 1].first == journal->next) {
        journal->count--;
    }
    segment_add(journal, journal->next);
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

static int group_write(struct journal *journal, uint64_t epoch,
                       struct slice payload)
{
    struct segment *segment = &journal->segments[journal->count - 1];
    size_t size = group_size(payload.size);
    uint8_t *group = xcalloc(1, size);
    int error;

    put_u32le(group, GROUP_MAGIC);
    put_u32le(group + 8, (uint32_t)payload.size);
    put_u32le(group + 12, (uint32_t)(clock_wall_ms() / 1000));
    put_u64le(group + 16, journal->next);
    put_u64le(group + 24, epoch);
    memcpy(group + GROUP_HEADER, payload.data, payload.size);
    put_u32le(group + 4,
              crc32c_bytes(group + 8, GROUP_HEADER - 8 + payload.size));
    error = io_pwrite(journal->file, group, size, segment->end);
    free(group);
    if (error == 0) {
        pthread_mutex_lock(&journal->lock);
        segment->end += size;
        segment->last = journal->next++;
        pthread_mutex_unlock(&journal->lock);
    }
    return error;
}

int journal_append(struct journal *journal, uint64_t epoch,
                   struct slice payload)
{
    int error = 0;

    invariant(payload.size > 0 && payload.size <= JOURNAL_GROUP_MAX);
    if (journal->failed) {
        return -EIO;
    }
    if (journal->file == NULL ||
        journal->segments[journal->count - 1].end >= journal->segment_max) {
        error = journal->file != NULL ? io_fdatasync(journal->file) : 0;
        if (error == 0) {
            error = segment_begin(journal);
        }
    }
    if (error == 0) {
        error = group_write(journal, epoch, payload);
    }
    journal->failed = error != 0;
    return error;
}

/* A file that was removed under us syncs as well as any. */
int journal_sync(struct journal *journal)
{
    char path[PATH_SIZE];
    int error;

    if (journal->failed) {
        return -EIO;
    }
    if (journal->file == NULL) {
        return 0;
    }
    segment_path(journal, journal->segments[journal->count - 1].first, path);
    error = io_fdatasync(journal->file);
    if (error == 0) {
        error = io_is_at(journal->file, path);
    }
    journal->failed = error != 0;
    return error;
}

/* --- dropping --------------------------------------------------------------*/

static int drop_first(struct journal *journal)
{
    char path[PATH_SIZE];

    pthread_mutex_lock(&journal->lock);
    segment_path(journal, journal->segments[0].first, path);
    journal->count--;
    memmove(journal->segments, journal->segments + 1,
            journal->count * sizeof(*journal->segments));
    pthread_mutex_unlock(&journal->lock);
    return io_unlink(journal->io, path);
}

/* From the oldest on, each durably: a hole must never be seen (J3). */
int journal_drop(struct journal *journal, uint64_t seq)
{
    int error = 0;

    while (error == 0 && journal->count > 1 &&
           journal->segments[0].last < seq) {
        error = drop_first(journal);
        if (error == 0) {
            error = io_sync_dir(journal->io, journal->directory);
        }
    }
    return error;
}

int journal_reset(struct journal *journal, uint64_t next)
{
    int error = 0;

    io_close(journal->file);
    journal->file = NULL;
    while (error == 0 && journal->count > 0) {
        error = drop_first(journal);
    }
    if (error == 0) {
        error = io_sync_dir(journal->io, journal->directory);
    }
    if (error != 0) {
        return error;
    }
    pthread_mutex_lock(&journal->lock);
    journal->next = next;
    pthread_mutex_unlock(&journal->lock);
    return segment_begin(journal); /* its name keeps the number */
}

int journal_wipe(struct io *io, const char *directory)
{
    struct journal journal = {.io = io, .directory = (char *)directory};
    int error;

    invariant(pthread_mutex_init(&journal.lock, NULL) == 0);
    error = io_list(io, directory, list_segment, &journal);
    error = error == -ENOENT ? 0 : error;
    while (error == 0 && journal.count > 0) {
        error = drop_first(&journal);
    }
    pthread_mutex_destroy(&journal.lock);
    free(journal.segments);
    return error;
}

/* --- cursors ---------------------------------------------------------------*/

struct journal_cursor *journal_cursor_new(struct journal *journal, uint64_t seq)
{
    struct journal_cursor *cursor = xcalloc(1, sizeof(*cursor));

    cursor->journal = journal;
    cursor->next = seq;
    return cursor;
}

void journal_cursor_free(struct journal_cursor *cursor)
{
    if (cursor != NULL) {
        io_close(cursor->file);
        free(cursor);
    }
}

/* The segment that holds a group; false: it is not written yet. */
static bool segment_of(struct journal *journal, uint64_t seq,
                       struct segment *out)
{
    bool found = false;

    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; i < journal->count && !found; i++) {
        found = journal->segments[i].first <= seq &&
                seq <= journal->segments[i].last;
        *out = journal->segments[i];
    }
    pthread_mutex_unlock(&journal->lock);
    return found;
}

/* Opens the segment and steps over the groups before the one that is wanted. */
static int cursor_enter(struct journal_cursor *cursor,
                        const struct segment *segment, struct buffer *payload)
{
    char path[PATH_SIZE];
    int error;

    io_close(cursor->file);
    cursor->file = NULL;
    segment_path(cursor->journal, segment->first, path);
    error = io_open(cursor->journal->io, path, IO_READ, &cursor->file);
    cursor->segment = segment->first;
    cursor->offset = 0;
    for (uint64_t seq = segment->first; seq < cursor->next && error == 0;
         seq++) {
        error = group_read(cursor->file, segment->end, cursor->offset, seq,
                           payload);
        cursor->offset += group_size(payload->size);
    }
    return error;
}

int journal_cursor_next(struct journal_cursor *cursor, uint64_t *seq,
                        struct buffer *payload)
{
    struct segment segment;
    int error = 0;

    if (!segment_of(cursor->journal, cursor->next, &segment)) {
        return -ENOENT;
    }
    if (cursor->file == NULL || cursor->segment != segment.first) {
        error = cursor_enter(cursor, &segment, payload);
    }
    if (error == 0) {
        error = group_read(cursor->file, segment.end, cursor->offset,
                           cursor->next, payload);
    }
    if (error != 0) {
        return error == -ENOENT ? -EBADMSG : error;
    }
    cursor->offset += group_size(payload->size);
    *seq = cursor->next++;
    return 0;
}

/* --- views -----------------------------------------------------------------*/

struct journal_view {
    struct journal names; /* of nobody's: only io and directory */
    struct io_file *file;
    uint64_t offset, next;
};

struct choice {
    uint64_t seq, first; /* the highest name that is not above seq; 0: none */
};

static int choose_segment(void *context, const char *name)
{
    struct choice *choice = context;
    uint8_t number[NAME_DIGITS / 2];
    uint64_t first;

    if (strlen(name) != NAME_DIGITS ||
        hex_decode(number, slice_from_string(name)) != 0) {
        return 0;
    }
    first = get_u64be(number);
    if (first <= choice->seq && first > choice->first) {
        choice->first = first;
    }
    return 0;
}

/* -ENOENT: there is no such segment. */
static int view_enter(struct journal_view *view, uint64_t first)
{
    char path[PATH_SIZE];
    struct io_file *file;
    int error;

    segment_path(&view->names, first, path);
    error = io_open(view->names.io, path, IO_READ, &file);
    if (error == 0) {
        io_close(view->file);
        view->file = file;
        view->offset = 0;
    }
    return error;
}

/* The group `seq`, if it is the next one in the file. */
static int view_read(struct journal_view *view, uint64_t seq, uint32_t *time,
                     struct buffer *payload)
{
    uint8_t header[GROUP_HEADER];
    uint64_t size = 0;
    int error = io_size(view->file, &size);

    if (error == 0) {
        error = group_read_header(view->file, size, view->offset, seq, header,
                                  payload);
    }
    if (error == 0) {
        *time = get_u32le(header + 12);
        view->offset += group_size(payload->size);
    }
    return error;
}

int journal_view_open(struct io *io, const char *directory, uint64_t seq,
                      struct journal_view **out)
{
    struct journal_view *view = xcalloc(1, sizeof(*view));
    struct choice choice = {.seq = seq};
    struct buffer payload = {0};
    uint32_t time;
    int error;

    view->names.io = io;
    view->names.directory = xstrdup(directory);
    view->next = seq;
    error = io_list(io, directory, choose_segment, &choice);
    if (error == 0) {
        error = choice.first > 0 ? view_enter(view, choice.first) : -ERANGE;
    }
    for (uint64_t at = choice.first; at < seq && error == 0; at++) {
        error = view_read(view, at, &time, &payload);
    }
    buffer_free(&payload);
    if (error != 0) {
        journal_view_close(view);
        return error == -ENOENT ? -ERANGE : error;
    }
    *out = view;
    return 0;
}

/* What a power cut tore is behind the last whole group, and its number is the
 * name of the next segment. */
int journal_view_next(struct journal_view *view, uint32_t *time,
                      struct buffer *payload)
{
    int error = view_read(view, view->next, time, payload);

    if (error == -ENOENT) {
        error = view_enter(view, view->next);
        if (error == 0) {
            error = view_read(view, view->next, time, payload);
        }
    }
    if (error == 0) {
        view->next++;
    }
    return error;
}

void journal_view_close(struct journal_view *view)
{
    if (view != NULL) {
        io_close(view->file);
        free(view->names.directory);
        free(view);
    }
}
