/*
 * s3ctl migrate: objects of one bucket become objects of another, of any two
 * endpoints, with their metadata and tags.
 *
 * What goes through is held in memory, a part at a time for each thread, so
 * that it is signed and has its checksum before it is sent.
 */
#include "transfer/fetch.h"
#include "transfer/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIELDS_MAX (HEADERS_MAX - 16) /* a request has others too */

struct migrate {
    struct transfer transfer; /* its endpoint is the destination */
    struct endpoint source;
    pthread_mutex_t source_lock; /* of the two */
    struct listing *from, *to;
};

/* One object, and what its thread needs for it. */
struct job {
    struct migrate *migrate;
    struct client *from, *to;
    const struct object *object;
    bool listed; /* one of its name and size is there */
    char *from_key, *to_key;
    struct facts facts;
    struct answer head; /* of the source */
    struct field fields[FIELDS_MAX];
    struct stored_as as;
    struct buffer tags;
    char mtime[MTIME_TEXT_MAX];
};

/* --- the next object -------------------------------------------------------*/
static bool next_object(struct migrate *migrate, struct job *job,
                        struct object *object)
{
    struct transfer *transfer = &migrate->transfer;
    bool taken = false;

    pthread_mutex_lock(&migrate->source_lock);
    const int rc = atomic_load(&transfer->stopped)
                       ? 0
                       : listing_next(migrate->from, job->from, object);
    const int there =
        rc == 1 ? listing_find(migrate->to, job->to, object->name, object->size)
                : 0;
    if (rc < 0) {
        transfer_stop_with(transfer, job->from, rc);
    } else if (there < 0) {
        transfer_stop_with(transfer, job->to, there);
    } else if (rc == 1) {
        object_keep(object);
        job->listed = there == 1;
        taken = true;
    }
    pthread_mutex_unlock(&migrate->source_lock);
    return taken;
}

/* --- metadata --------------------------------------------------------------*/
static bool is_kept(const char *name)
{
    static const char *const kept[] = {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-website-redirect-location",
    };
    static const char meta[] = "x-amz-meta-";

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (strcmp(name, kept[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, meta, sizeof(meta) - 1) == 0 &&
           strcmp(name, MTIME_HEADER) != 0;
}

static bool add_field(struct job *job, const char *name, const char *value)
{
    if (job->as.count == FIELDS_MAX) {
        return false;
    }
    job->fields[job->as.count++] = (struct field){name, value};
    return true;
}

/* The metadata of the source; and its time, which is the time of the object
 * there if no other is known. */
static int gather_metadata(struct job *job)
{
    const char *tags = answer_header(&job->head, "x-amz-tagging-count");
    bool fits = true;

    job->as.fields = job->fields;
    for (unsigned i = 0; i < job->head.header_count && fits; i++) {
        const struct field *header = &job->head.headers[i];
        fits = !is_kept(header->name) ||
               add_field(job, header->name, header->value);
    }
    mtime_format(job->facts.mtime, job->mtime);
    fits = fits && add_field(job, MTIME_HEADER, job->mtime);
    if (!fits || job->head.header_count == ANSWER_HEADERS_MAX) {
        return -E2BIG;
    }
    if (tags == NULL) {
        return 0;
    }
    const int error = call_tags(job->from, job->from_key, &job->tags);
    return error != 0 ? error
           : add_field(job, "x-amz-tagging", (const char *)job->tags.data)
               ? 0
               : -E2BIG;
}

/* --- bytes -----------------------------------------------------------------*/
static void begin_fetch(struct fetch *fetch, const struct job *job, int fd)
{
    *fetch = (struct fetch){
        .client = job->from,
        .key = job->from_key,
        .object = job->object,
        .fd = fd,
        .facts = job->facts,
    };
    fetch_learn(fetch);
}

static int move_whole(struct job *job, int fd, bool *verified)
{
    struct fetch fetch;
    struct piece piece = {.fd = fd, .size = job->object->size};
    bool stored = false;

    begin_fetch(&fetch, job, fd);
    fetch.end = job->object->size;
    int error = fetch_run(&fetch);
    if (error == 0) {
        error = fetch_verify(&fetch, verified);
    }
    if (error == 0) {
        error = piece_digest(&piece, job->to->endpoint->tls);
    }
    if (error == 0) {
        error = call_put(job->to, job->to_key, &piece, &job->as, &stored);
    }
    *verified = *verified && stored;
    fetch_forget(&fetch);
    return error;
}

/* Reads every part, also those that are there: only so is it known that they
 * are of this object. */
static int move_parts(struct job *job, struct upload *upload, bool *verified)
{
    struct transfer *transfer = &job->migrate->transfer;
    struct fetch fetch;
    bool stored = false;
    int error = 0;

    begin_fetch(&fetch, job, upload->fd);
    for (unsigned i = 0; i < upload->count && error == 0; i++) {
        struct piece piece = {.fd = upload->fd,
                              .size = upload_part_size(upload, i)};
        fetch.begin = fetch.end;
        fetch.end = fetch.begin + piece.size;
        error = fetch_run(&fetch);
        if (error == 0) {
            error = upload_piece(transfer, job->to, upload, i, &piece);
        }
    }
    if (error == 0) {
        error = fetch_verify(&fetch, verified);
    }
    if (error == 0) {
        error = upload_complete(job->to, upload, &stored);
    }
    *verified = *verified && stored;
    fetch_forget(&fetch);
    return error;
}

static int move_large(struct job *job, int fd, bool *verified)
{
    const struct file file = {
        .size = job->object->size,
        .mtime = job->facts.modified,
        .ctime = job->facts.modified,
    };
    struct upload *upload;
    int error = upload_begin(&job->migrate->transfer, job->to, &file, fd,
                             job->to_key, &job->as, &upload);

    if (error != 0) {
        close(fd);
        return error;
    }
    error = move_parts(job, upload, verified);
    upload_free(upload);
    return error;
}

static int move_bytes(struct job *job, bool *verified)
{
    const uint64_t part_size = job->migrate->transfer.options->part_size;
    const int fd = memfd_create("s3ctl", MFD_CLOEXEC);

    *verified = false;
    if (fd < 0) {
        return -errno;
    }
    if (job->object->size > part_size) {
        return move_large(job, fd, verified);
    }
    const int error = move_whole(job, fd, verified);
    close(fd);
    return error;
}

/* --- one object ------------------------------------------------------------*/
/* The object that is there has the same size and the same time. */
static int look(struct job *job, bool *there)
{
    struct facts facts;
    bool found = false;
    const int error =
        job->listed ? call_head(job->to, job->to_key, &found, &facts) : 0;

    *there = error == 0 && found &&
             object_is_file(&facts, job->object->size, job->facts.mtime);
    return error;
}

static int move(struct job *job)
{
    struct transfer *transfer = &job->migrate->transfer;
    const char *name = (const char *)job->object->name.data;
    bool there, verified = true;
    int error = look(job, &there);

    if (error == 0 && there) {
        transfer_same(transfer, job->object->size);
        return 0;
    }
    if (error == 0 && !transfer->options->dry_run) {
        error = gather_metadata(job);
        if (error == 0) {
            error = move_bytes(job, &verified);
        }
    }
    if (error == 0) {
        transfer_moved(transfer, name, job->object->size, verified);
    }
    return error;
}

static void do_object(struct job *job)
{
    struct transfer *transfer = &job->migrate->transfer;
    const char *name = (const char *)job->object->name.data;
    bool found = false;

    job->from_key = key_below(&job->migrate->source, name);
    job->to_key = key_below(&transfer->endpoint, name);
    job->from->why[0] = job->to->why[0] = '\0';
    int error = call_head_all(job->from, job->from_key, &found, &job->facts,
                              &job->head);
    if (error == 0) {
        error = found ? move(job) : -ESTALE;
    }
    if (error != 0) {
        transfer_fail_with(transfer,
                           job->to->why[0] != '\0' ? job->to : job->from, name,
                           error);
    }
    answer_free(&job->head);
    buffer_free(&job->tags);
    free(job->from_key);
    free(job->to_key);
}

static void work(struct transfer *transfer, struct client *to)
{
    struct migrate *migrate = (struct migrate *)transfer;
    struct client from;
    struct object object;

    client_open(&from, &migrate->source, &transfer->counts.read_bytes);
    for (;;) {
        struct job job = {
            .migrate = migrate, .from = &from, .to = to, .object = &object};
        if (!next_object(migrate, &job, &object)) {
            break;
        }
        do_object(&job);
        object_free(&object);
    }
    client_close(&from);
}

/* --- all of it -------------------------------------------------------------*/
static enum transfer_result open_source(struct migrate *migrate,
                                        const struct transfer_options *options)
{
    struct transfer *transfer = &migrate->transfer;
    struct transfer_options from = *options;

    from.url = options->from_url;
    from.endpoint = options->from_endpoint != NULL ? options->from_endpoint
                                                   : options->endpoint;
    from.region =
        options->from_region != NULL ? options->from_region : options->region;
    from.profile = options->from_profile != NULL ? options->from_profile
                                                 : options->profile;
    if (endpoint_open(&migrate->source, &from, transfer->why) != 0) {
        transfer->result = TRANSFER_USAGE;
    }
    return transfer->result;
}

static enum transfer_result begin(struct migrate *migrate)
{
    struct transfer *transfer = &migrate->transfer;
    struct client to;

    migrate->from = listing_new(migrate->source.prefix);
    migrate->to = listing_new(transfer->endpoint.prefix);
    client_open(&to, &transfer->endpoint, &transfer->counts.wire_bytes);
    const int rc = listing_find(migrate->to, &to, SLICE_LITERAL(""), 0);
    if (rc < 0) {
        transfer_stop_with(transfer, &to, rc);
    }
    client_close(&to);
    return transfer->result == TRANSFER_DONE
               ? transfer_count(transfer, &migrate->source)
               : transfer->result;
}

enum transfer_result transfer_migrate(const struct transfer_options *options,
                                      const struct transfer_watch *watch,
                                      struct transfer_counts *counts,
                                      char why[TRANSFER_WHY_MAX])
{
    struct migrate *migrate = xcalloc(1, sizeof(*migrate));
    enum transfer_result result =
        transfer_open(&migrate->transfer, options, watch);

    pthread_mutex_init(&migrate->source_lock, NULL);
    migrate->transfer.work = work;
    if (result == TRANSFER_DONE) {
        result = open_source(migrate, options);
    }
    if (result == TRANSFER_DONE) {
        result = begin(migrate);
    }
    if (result == TRANSFER_DONE) {
        result = transfer_run(&migrate->transfer);
    }
    listing_free(migrate->from);
    listing_free(migrate->to);
    endpoint_close(&migrate->source);
    pthread_mutex_destroy(&migrate->source_lock);
    transfer_close(&migrate->transfer, counts, why);
    free(migrate);
    return result;
}
