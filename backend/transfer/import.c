/*
 * s3ctl import: a directory's files become objects.
 *
 * The walk and the listing stand in the same order, so one pass over both
 * tells which files have an object. Threads take what comes first: a part of
 * an upload that has begun, or the next file.
 */
#include "transfer/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct import {
    struct transfer transfer;
    struct types *types;
    pthread_mutex_t source_lock; /* of the two */
    struct walk *walk;
    struct listing *listing;
    pthread_mutex_t lock; /* of uploads, and of the two */
    pthread_cond_t changed;
    struct upload *uploads; /* that have parts to be taken */
    unsigned beginning;     /* large files on their way to be uploads */
};

/* --- the next file ---------------------------------------------------------*/
/* NULL: it is to be imported. *note: what is said of it otherwise. */
static const char *why_not(const struct transfer *transfer,
                           const struct walk_entry *entry,
                           enum transfer_note *note)
{
    const char *slash = strrchr(entry->name, '/');

    *note = TRANSFER_LEFT_OUT;
    switch (entry->kind) {
    case WALK_LINK:
        return "symbolic link";
    case WALK_SPECIAL:
        return "not a file";
    case WALK_EMPTY:
        return "empty directory";
    case WALK_UNREADABLE:
        *note = TRANSFER_FAILED;
        return strerror(-entry->error);
    case WALK_FILE:
        break;
    }
    if (name_is_reserved(slash != NULL ? slash + 1 : entry->name)) {
        return "an unfinished file of s3ctl export";
    }
    char *key = key_below(&transfer->endpoint, entry->name);
    const char *fault = key_fault(slice_from_string(key));
    free(key);
    *note = TRANSFER_FAILED;
    return fault;
}

static int note_or_take(struct import *import, const struct walk_entry *entry)
{
    enum transfer_note note;
    const char *why = why_not(&import->transfer, entry, &note);

    if (why != NULL && note == TRANSFER_FAILED) {
        transfer_fail(&import->transfer, entry->name, why);
    } else if (why != NULL) {
        transfer_note(&import->transfer, note, entry->name, why);
    }
    return why == NULL;
}

static bool is_large(const struct import *import, uint64_t size)
{
    return size > import->transfer.options->part_size;
}

static bool take_entry(struct import *import, struct client *client,
                       const struct walk_entry *entry, struct file *file)
{
    const int listed = listing_find(
        import->listing, client, slice_from_string(entry->name), entry->size);

    if (listed < 0) {
        transfer_stop_with(&import->transfer, client, listed);
        return false;
    }
    *file = (struct file){
        .name = xstrdup(entry->name),
        .size = entry->size,
        .mtime = entry->mtime,
        .ctime = entry->ctime,
        .listed = listed == 1,
    };
    if (is_large(import, file->size)) {
        pthread_mutex_lock(&import->lock);
        import->beginning++;
        pthread_mutex_unlock(&import->lock);
    }
    return true;
}

static bool next_file(struct import *import, struct client *client,
                      struct file *file)
{
    struct walk_entry entry;
    bool taken = false;

    pthread_mutex_lock(&import->source_lock);
    while (!taken && !atomic_load(&import->transfer.stopped) &&
           walk_next(import->walk, &entry)) {
        taken = note_or_take(import, &entry) &&
                take_entry(import, client, &entry, file);
    }
    pthread_mutex_unlock(&import->source_lock);
    return taken;
}

/* --- sending ---------------------------------------------------------------*/
static bool is_unchanged(int fd, const struct file *file)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == file->size &&
           times_compare(status.st_mtim, file->mtime) == 0;
}

static void file_done(struct import *import, const struct file *file, int fd,
                      bool verified)
{
    if (is_unchanged(fd, file)) {
        transfer_moved(&import->transfer, file->name, file->size, verified);
    } else {
        transfer_fail(&import->transfer, file->name,
                      "it changed while it was read");
    }
}

/* Takes the file and the descriptor over if it succeeds. */
static int send_parts(struct import *import, struct client *client,
                      const struct file *file, int fd, const char *key,
                      const struct stored_as *as)
{
    struct upload *upload;
    const int error =
        upload_begin(&import->transfer, client, file, fd, key, as, &upload);

    if (error == 0) {
        pthread_mutex_lock(&import->lock);
        upload->next = import->uploads;
        import->uploads = upload;
        pthread_mutex_unlock(&import->lock);
    }
    return error;
}

static int send_whole(struct import *import, struct client *client,
                      const struct file *file, int fd, const char *key,
                      const struct stored_as *as)
{
    struct piece piece = {.fd = fd, .size = file->size};
    bool verified = false;
    int error = piece_digest(&piece, import->transfer.endpoint.tls);

    if (error == 0) {
        error = call_put(client, key, &piece, as, &verified);
    }
    if (error == 0) {
        file_done(import, file, fd, verified);
    }
    return error;
}

/* *parts: it goes on as an upload. */
static int send_file(struct import *import, struct client *client,
                     const struct file *file, int fd, const char *key,
                     bool *parts)
{
    char mtime[MTIME_TEXT_MAX];
    const struct field fields[] = {
        {"content-type", types_find(import->types, file->name)},
        {"cache-control", import->transfer.options->cache_control},
        {MTIME_HEADER, mtime},
    };
    const struct stored_as as = {.fields = fields,
                                 .count = sizeof(fields) / sizeof(fields[0])};

    mtime_format(file->mtime, mtime);
    if (!is_large(import, file->size)) {
        return send_whole(import, client, file, fd, key, &as);
    }
    const int error = send_parts(import, client, file, fd, key, &as);
    *parts = error == 0;
    return error;
}

/* --- parts -----------------------------------------------------------------*/
/* `wait`: for those that are beginning, if there is no part now. */
static bool take_part(struct import *import, bool wait, struct upload **upload,
                      unsigned *index)
{
    pthread_mutex_lock(&import->lock);
    while (wait && import->uploads == NULL && import->beginning > 0) {
        pthread_cond_wait(&import->changed, &import->lock);
    }
    *upload = import->uploads;
    if (*upload != NULL) {
        *index = (*upload)->taken++;
        if ((*upload)->taken == (*upload)->count) {
            import->uploads = (*upload)->next;
        }
    }
    pthread_mutex_unlock(&import->lock);
    return *upload != NULL;
}

/* An upload that was continued has the time with which it was begun. *good: it
 * is the file's. */
static int look_at_time(struct client *client, const struct upload *upload,
                        bool *good)
{
    struct facts facts;
    bool found = true;
    int error = 0;

    *good = true;
    if (upload->continued) {
        error = call_head(client, upload->key, &found, &facts);
        *good = error == 0 && found &&
                object_is_file(&facts, upload->file.size, upload->file.mtime);
    }
    return error;
}

/* By an upload of its own, which gets the name and the descriptor. */
static int send_again(struct import *import, struct client *client,
                      struct upload *upload)
{
    struct file file = upload->file;
    bool parts;

    file.anew = true;
    const int error =
        send_file(import, client, &file, upload->fd, upload->key, &parts);
    if (error == 0) {
        upload->file.name = NULL;
        upload->fd = -1;
    }
    return error;
}

static int complete(struct import *import, struct client *client,
                    struct upload *upload)
{
    bool verified, good;
    int error = upload_complete(client, upload, &verified);

    if (error == 0) {
        error = look_at_time(client, upload, &good);
    }
    if (error == 0 && !good) {
        return send_again(import, client, upload);
    }
    if (error == 0) {
        file_done(import, &upload->file, upload->fd, verified);
    }
    return error;
}

static void finish_upload(struct import *import, struct client *client,
                          struct upload *upload)
{
    const int error = upload->failed ? 0 : complete(import, client, upload);

    if (error != 0) {
        transfer_fail_with(&import->transfer, client, upload->file.name, error);
    }
    upload_free(upload);
}

/* The first failure of a part is the file's, and the other parts are let be:
 * they stay for the next run. */
static void do_part(struct import *import, struct client *client,
                    struct upload *upload, unsigned index)
{
    pthread_mutex_lock(&import->lock);
    if (atomic_load(&import->transfer.stopped)) {
        upload->failed = true;
    }
    const bool wanted = !upload->failed;
    pthread_mutex_unlock(&import->lock);
    const int error =
        wanted ? upload_part(&import->transfer, client, upload, index) : 0;
    pthread_mutex_lock(&import->lock);
    const bool first = error != 0 && !upload->failed;
    upload->failed = upload->failed || error != 0;
    const bool last = --upload->unfinished == 0;
    pthread_mutex_unlock(&import->lock);
    if (first) {
        transfer_fail_with(&import->transfer, client, upload->file.name, error);
    }
    if (last) {
        finish_upload(import, client, upload);
    }
}

/* --- files -----------------------------------------------------------------*/
/* *there: an object like it is there, or nothing is to be done. */
static int look(struct import *import, struct client *client,
                const struct file *file, const char *key, bool *there)
{
    struct facts facts;
    bool found = false;
    const int error = file->listed ? call_head(client, key, &found, &facts) : 0;

    *there = true;
    if (error != 0) {
        return error;
    }
    if (found && object_is_file(&facts, file->size, file->mtime)) {
        transfer_same(&import->transfer, file->size);
    } else if (import->transfer.options->dry_run) {
        transfer_moved(&import->transfer, file->name, file->size, true);
    } else {
        *there = false;
    }
    return 0;
}

static void do_file(struct import *import, struct client *client,
                    struct file *file)
{
    struct transfer *transfer = &import->transfer;
    char *key = key_below(&transfer->endpoint, file->name);
    bool there = false, parts = false;
    const int fd =
        tree_open(transfer->directory, file->name, transfer->options->follow);
    int error = fd < 0 ? fd : 0;

    if (error == 0 && !is_unchanged(fd, file)) {
        error = -ESTALE;
    }
    if (error == 0) {
        error = look(import, client, file, key, &there);
    }
    if (error == 0 && !there) {
        error = send_file(import, client, file, fd, key, &parts);
    }
    if (error != 0) {
        transfer_fail_with(transfer, client, file->name, error);
    }
    if (!parts) {
        if (fd >= 0) {
            close(fd);
        }
        free(file->name);
    }
    free(key);
}

static void do_next_file(struct import *import, struct client *client,
                         struct file *file)
{
    const bool large = is_large(import, file->size);

    do_file(import, client, file);
    if (large) {
        pthread_mutex_lock(&import->lock);
        import->beginning--;
        pthread_cond_broadcast(&import->changed);
        pthread_mutex_unlock(&import->lock);
    }
}

static void work(struct transfer *transfer, struct client *client)
{
    struct import *import = (struct import *)transfer;
    struct upload *upload;
    struct file file;
    unsigned index;

    while (!atomic_load(&transfer->stopped)) {
        if (take_part(import, false, &upload, &index)) {
            do_part(import, client, upload, index);
        } else if (next_file(import, client, &file)) {
            do_next_file(import, client, &file);
        } else if (take_part(import, true, &upload, &index)) {
            do_part(import, client, upload, index);
        } else {
            break;
        }
    }
}

/* --- all of it -------------------------------------------------------------*/
static void count_files(struct import *import)
{
    const struct transfer *transfer = &import->transfer;
    struct walk *walk =
        walk_new(transfer->directory, transfer->options->follow);
    struct walk_entry entry;
    enum transfer_note note;

    while (walk_next(walk, &entry)) {
        if (why_not(transfer, &entry, &note) == NULL) {
            import->transfer.counts.files_total++;
            import->transfer.counts.bytes_total += entry.size;
        }
    }
    walk_free(walk);
}

/* The first page of the listing tells whether there is a bucket, and whether
 * the keys are good. */
static enum transfer_result begin(struct import *import)
{
    struct transfer *transfer = &import->transfer;
    struct client client;
    const char *types = transfer->options->types;
    const int error = types_load(types, &import->types);

    if (error != 0) {
        snprintf(transfer->why, sizeof(transfer->why), "%.400s: %s", types,
                 strerror(-error));
        transfer->result = TRANSFER_USAGE;
        return transfer->result;
    }
    count_files(import);
    import->walk = walk_new(transfer->directory, transfer->options->follow);
    import->listing = listing_new(transfer->endpoint.prefix, false);
    client_open(&client, &transfer->endpoint, &transfer->counts.wire_bytes);
    const int listed =
        listing_find(import->listing, &client, SLICE_LITERAL(""), 0);
    if (listed < 0) {
        transfer_stop_with(transfer, &client, listed);
    }
    client_close(&client);
    return transfer->result;
}

static void end(struct import *import)
{
    while (import->uploads != NULL) {
        struct upload *upload = import->uploads;
        import->uploads = upload->next;
        upload_free(upload);
    }
    walk_free(import->walk);
    listing_free(import->listing);
    types_free(import->types);
    pthread_cond_destroy(&import->changed);
    pthread_mutex_destroy(&import->lock);
    pthread_mutex_destroy(&import->source_lock);
}

enum transfer_result transfer_import(const struct transfer_options *options,
                                     const struct transfer_watch *watch,
                                     struct transfer_counts *counts,
                                     char why[TRANSFER_WHY_MAX])
{
    struct import *import = xcalloc(1, sizeof(*import));
    enum transfer_result result =
        transfer_open(&import->transfer, options, watch);

    pthread_mutex_init(&import->source_lock, NULL);
    pthread_mutex_init(&import->lock, NULL);
    pthread_cond_init(&import->changed, NULL);
    import->transfer.work = work;
    if (result == TRANSFER_DONE) {
        result = begin(import);
    }
    if (result == TRANSFER_DONE) {
        result = transfer_run(&import->transfer);
    }
    end(import);
    transfer_close(&import->transfer, counts, why);
    free(import);
    return result;
}
