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
    pthread_mutex_t source_lock; /* of the four */
    struct listing *from, *to;
    struct version_reader from_versions, to_versions; /* instead of the two */
};

/* One object, and what its thread needs for it. */
struct job {
    struct migrate *migrate;
    struct client *from, *to;
    const struct object *object; /* or version */
    bool listed;                 /* one of its name and size is there */
    char *from_key, *to_key;
    struct facts facts;
    struct answer head; /* of the source */
    struct field fields[FIELDS_MAX];
    struct stored_as as;
    struct buffer tags;
    char mtime[MTIME_TEXT_MAX];
};

/* --- the next object -------------------------------------------------------*/
/* Whether something was taken. */
static bool taken(struct job *job, int from, int to)
{
    struct transfer *transfer = &job->migrate->transfer;

    if (from < 0) {
        transfer_stop_with(transfer, job->from, from);
    } else if (to < 0) {
        transfer_stop_with(transfer, job->to, to);
    }
    return from == 1 && to >= 0;
}

static bool next_object(struct job *job, struct object *object)
{
    struct migrate *migrate = job->migrate;
    int from = 0, to = 0;

    pthread_mutex_lock(&migrate->source_lock);
    if (!atomic_load(&migrate->transfer.stopped)) {
        from = listing_next(migrate->from, job->from, object);
    }
    if (from == 1) {
        to = listing_find(migrate->to, job->to, object->name, object->size);
    }
    const bool good = taken(job, from, to);
    if (good) {
        object_keep(object);
        job->listed = to == 1;
    }
    pthread_mutex_unlock(&migrate->source_lock);
    return good;
}

/* The versions of the next key on either side. */
static bool next_versions(struct job *job, struct versions *here,
                          struct versions *there)
{
    struct migrate *migrate = job->migrate;
    int from = 0, to = 0;

    pthread_mutex_lock(&migrate->source_lock);
    if (!atomic_load(&migrate->transfer.stopped)) {
        from = versions_next(&migrate->from_versions, job->from, here);
    }
    if (from == 1) {
        to = versions_find(&migrate->to_versions, job->to, here->list[0].name,
                           there);
    }
    const bool good = taken(job, from, to);
    if (from == 1 && !good) {
        versions_free(here);
    }
    pthread_mutex_unlock(&migrate->source_lock);
    return good;
}

/* --- metadata --------------------------------------------------------------*/
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
    job->as.storage_class = answer_header(&job->head, "x-amz-storage-class");
    for (unsigned i = 0; i < job->head.header_count && fits; i++) {
        const struct field *header = &job->head.headers[i];
        fits = !metadata_is_kept(header->name) ||
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
    const int error =
        call_tags(job->from, job->from_key, job->object->version, &job->tags);
    return error != 0 ? error
           : add_field(job, "x-amz-tagging", (const char *)job->tags.data)
               ? 0
               : -E2BIG;
}

/* --- what is there ---------------------------------------------------------*/
struct likeness {
    bool there;  /* an object of the size and the time of this one */
    bool copy;   /* it has the metadata, too */
    bool tagged; /* it has tags, whatever they are */
};

static int look(struct job *job, const char *version, struct likeness *likeness)
{
    struct facts facts;
    struct answer answer = {0};
    bool found = false;
    const int error =
        call_head_all(job->to, job->to_key, version, &found, &facts, &answer);

    likeness->there =
        error == 0 && found &&
        object_is_file(&facts, job->object->size, job->facts.mtime);
    likeness->copy = likeness->there && metadata_is_copy(&job->head, &answer);
    likeness->tagged = error == 0 && found &&
                       answer_header(&answer, "x-amz-tagging-count") != NULL;
    answer_free(&answer);
    return error;
}

/* Whether the metadata that are there, and the tags, are those that were to be
 * sent. */
static int look_at_all(struct job *job, bool *same)
{
    struct likeness likeness;
    struct buffer tags = {0};
    int error = look(job, NULL, &likeness);

    if (error == 0 && likeness.copy && likeness.tagged) {
        error = call_tags(job->to, job->to_key, NULL, &tags);
    }
    *same = error == 0 && likeness.copy && tags_are_same(&job->tags, &tags);
    buffer_free(&tags);
    return error;
}

/* --- bytes -----------------------------------------------------------------*/
static int open_memory(int *fd)
{
    *fd = memfd_create("s3ctl", MFD_CLOEXEC);
    return *fd < 0 ? -errno : 0;
}

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

static int move_whole(struct job *job, bool *verified)
{
    struct fetch fetch;
    struct piece piece = {.size = job->object->size};
    bool stored = false;
    int error = open_memory(&piece.fd);

    if (error != 0) {
        return error;
    }
    begin_fetch(&fetch, job, piece.fd);
    fetch.end = job->object->size;
    error = fetch_run(&fetch);
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
    close(piece.fd);
    return error;
}

/* Over what the memory held before. */
static int fetch_piece(struct fetch *fetch, uint64_t size)
{
    fetch->begin = fetch->end;
    fetch->end = fetch->begin + size;
    return fetch_run(fetch);
}

/* Reads every part, also those that are there: only so is it known that they
 * are of this object. The first has been read. */
static int move_parts(struct job *job, struct fetch *fetch,
                      struct upload *upload, bool *verified)
{
    struct transfer *transfer = &job->migrate->transfer;
    bool stored = false;
    int error = 0;

    for (unsigned i = 0; i < upload->count && error == 0; i++) {
        struct piece piece = {.fd = upload->fd,
                              .size = upload_part_size(upload, i)};
        error = i > 0 ? fetch_piece(fetch, piece.size) : 0;
        if (error == 0) {
            error = upload_piece(transfer, job->to, upload, i, &piece);
        }
    }
    if (error == 0) {
        error = fetch_verify(fetch, verified);
    }
    if (error == 0) {
        error = upload_complete(job->to, upload, &stored);
    }
    *verified = *verified && stored;
    return error;
}

/* Takes the descriptor over. */
static int send_parts(struct job *job, struct fetch *fetch, bool anew,
                      bool *continued, bool *verified)
{
    struct transfer *transfer = &job->migrate->transfer;
    const struct file file = {
        .size = job->object->size,
        .mtime = job->facts.modified,
        .ctime = job->facts.modified,
        .anew = anew,
    };
    struct upload *upload;
    int error = fetch_piece(
        fetch, part_size_for(file.size, transfer->options->part_size));

    if (error == 0) {
        error = upload_begin(transfer, job->to, &file, fetch->fd, job->to_key,
                             &job->as, &upload);
    }
    if (error != 0) {
        close(fetch->fd);
        return error;
    }
    *continued = upload->continued;
    error = move_parts(job, fetch, upload, verified);
    upload_free(upload);
    return error;
}

static int move_in_parts(struct job *job, bool anew, bool *continued,
                         bool *verified)
{
    struct fetch fetch;
    int fd;
    int error = open_memory(&fd);

    if (error != 0) {
        return error;
    }
    begin_fetch(&fetch, job, fd);
    error = send_parts(job, &fetch, anew, continued, verified);
    fetch_forget(&fetch);
    return error;
}

/* An upload keeps the metadata and tags with which it was begun, and does not
 * tell them before it is complete. They may be those of an object that was here
 * before; of versions there always is one before, so there none is continued.
 */
static int move_large(struct job *job, bool *verified)
{
    bool continued, same = true;
    int error = move_in_parts(job, job->migrate->transfer.options->versions,
                              &continued, verified);

    if (error == 0 && continued) {
        error = look_at_all(job, &same);
    }
    return error == 0 && !same ? move_in_parts(job, true, &continued, verified)
                               : error;
}

static int move_bytes(struct job *job, bool *verified)
{
    *verified = false;
    return job->object->size > job->migrate->transfer.options->part_size
               ? move_large(job, verified)
               : move_whole(job, verified);
}

/* --- one object ------------------------------------------------------------*/
static const char *name_of(const struct job *job)
{
    return (const char *)job->object->name.data;
}

static int read_head(struct job *job, const struct object *object)
{
    bool found = false;

    job->object = object;
    const int error = call_head_all(job->from, job->from_key, object->version,
                                    &found, &job->facts, &job->head);
    return error == 0 && !found ? -ESTALE : error;
}

static void forget_head(struct job *job)
{
    answer_free(&job->head);
    buffer_free(&job->tags);
    job->as.count = 0;
}

static int move(struct job *job)
{
    struct transfer *transfer = &job->migrate->transfer;
    bool verified = true;
    int error = 0;

    if (!transfer->options->dry_run) {
        error = gather_metadata(job);
        if (error == 0) {
            error = move_bytes(job, &verified);
        }
    }
    if (error == 0) {
        transfer_moved(transfer, name_of(job), job->object->size, verified);
    }
    return error;
}

static int move_current(struct job *job, const struct object *object)
{
    struct likeness likeness = {0};
    int error = read_head(job, object);

    if (error == 0 && job->listed) {
        error = look(job, NULL, &likeness);
    }
    if (error == 0 && likeness.there) {
        transfer_same(&job->migrate->transfer, object->size);
    } else if (error == 0) {
        error = move(job);
    }
    forget_head(job);
    return error;
}

/* --- versions --------------------------------------------------------------*/
static int move_version(struct job *job, const struct object *object)
{
    struct transfer *transfer = &job->migrate->transfer;
    int error = 0;

    job->object = object;
    if (!object->marker) {
        error = read_head(job, object);
        if (error == 0) {
            error = move(job);
        }
        forget_head(job);
        return error;
    }
    if (!transfer->options->dry_run) {
        error = call_delete(job->to, job->to_key);
    }
    if (error == 0) {
        transfer_moved(transfer, name_of(job), 0, true);
    }
    return error;
}

/* Not by the ETag: two versions may have the same bytes. 1, 0, or an error. */
static int is_same(struct job *job, const struct object *here,
                   const struct object *there)
{
    struct likeness likeness = {0};

    if (here->marker || there->marker || here->size != there->size) {
        return here->marker && there->marker;
    }
    int error = read_head(job, here);
    if (error == 0) {
        error = look(job, there->version, &likeness);
    }
    forget_head(job);
    return error != 0 ? error : likeness.copy;
}

/* What is there must be the first versions, in their order. A version may be
 * there twice, if the answer to it was lost and it was sent again. *count: of
 * them. */
static int skip_same(struct job *job, const struct versions *here,
                     const struct versions *there, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < there->count; i++) {
        int same = *count < here->count
                       ? is_same(job, &here->list[*count], &there->list[i])
                       : 0;
        if (same == 1) {
            (*count)++;
        } else if (same == 0 && *count > 0) {
            same = is_same(job, &here->list[*count - 1], &there->list[i]);
        }
        if (same != 1) {
            return same < 0 ? same : -EEXIST;
        }
    }
    return 0;
}

static int move_versions(struct job *job, const struct versions *here,
                         const struct versions *there)
{
    size_t same;
    int error = skip_same(job, here, there, &same);

    for (size_t i = 0; i < here->count && error == 0; i++) {
        if (i < same) {
            transfer_same(&job->migrate->transfer, here->list[i].size);
        } else {
            error = move_version(job, &here->list[i]);
        }
    }
    return error;
}

/* --- all of them -----------------------------------------------------------*/
/* `here` NULL: the object alone. */
static void do_key(struct job *job, const struct object *object,
                   const struct versions *here, const struct versions *there)
{
    struct transfer *transfer = &job->migrate->transfer;
    const char *name = (const char *)object->name.data;
    const char *fault = key_fault(object->name);
    int error;

    if (fault != NULL) {
        transfer_fail(transfer, name, fault);
        return;
    }
    job->from_key = key_below(&job->migrate->source, name);
    job->to_key = key_below(&transfer->endpoint, name);
    job->from->why[0] = job->to->why[0] = '\0';
    error = here != NULL ? move_versions(job, here, there)
                         : move_current(job, object);
    if (error != 0) {
        transfer_fail_with(transfer,
                           job->to->why[0] != '\0' ? job->to : job->from, name,
                           error);
    }
    free(job->from_key);
    free(job->to_key);
}

static bool do_next_object(struct job *job)
{
    struct object object;

    if (!next_object(job, &object)) {
        return false;
    }
    do_key(job, &object, NULL, NULL);
    object_free(&object);
    return true;
}

static bool do_next_versions(struct job *job)
{
    struct versions here, there;

    if (!next_versions(job, &here, &there)) {
        return false;
    }
    do_key(job, &here.list[0], &here, &there);
    versions_free(&here);
    versions_free(&there);
    return true;
}

static void work(struct transfer *transfer, struct client *to)
{
    struct migrate *migrate = (struct migrate *)transfer;
    struct client from;
    bool more = true;

    client_open(&from, &migrate->source, &transfer->counts.read_bytes);
    while (more) {
        struct job job = {.migrate = migrate, .from = &from, .to = to};
        more = transfer->options->versions ? do_next_versions(&job)
                                           : do_next_object(&job);
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

/* The first questions to the destination tell whether it is one. */
static int look_at_destination(struct migrate *migrate, struct client *to)
{
    struct transfer *transfer = &migrate->transfer;
    bool enabled = true;

    if (!transfer->options->versions) {
        return listing_find(migrate->to, to, SLICE_LITERAL(""), 0);
    }
    const int error = call_versioning(to, &enabled);
    if (error == 0 && !enabled) {
        transfer_stop(transfer, TRANSFER_REFUSED,
                      "versioning is not enabled on the destination");
    }
    return error;
}

static enum transfer_result begin(struct migrate *migrate)
{
    struct transfer *transfer = &migrate->transfer;
    struct client to;

    migrate->from = listing_new(migrate->source.prefix, false);
    migrate->to = listing_new(transfer->endpoint.prefix, false);
    version_reader_open(&migrate->from_versions, migrate->source.prefix);
    version_reader_open(&migrate->to_versions, transfer->endpoint.prefix);
    client_open(&to, &transfer->endpoint, &transfer->counts.wire_bytes);
    const int error = look_at_destination(migrate, &to);
    if (error < 0) {
        transfer_stop_with(transfer, &to, error);
    }
    client_close(&to);
    return transfer->result == TRANSFER_DONE
               ? transfer_count(transfer, &migrate->source,
                                transfer->options->versions)
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
    version_reader_close(&migrate->from_versions);
    version_reader_close(&migrate->to_versions);
    endpoint_close(&migrate->source);
    pthread_mutex_destroy(&migrate->source_lock);
    transfer_close(&migrate->transfer, counts, why);
    free(migrate);
    return result;
}
