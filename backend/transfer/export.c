/*
 * s3ctl export: objects become files below a directory.
 */
#include "transfer/download.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct export
{
    struct transfer transfer;
    pthread_mutex_t source_lock; /* of the two */
    struct listing *listing;
    struct nesting nesting;
};

/* --- the next object -------------------------------------------------------*/
static bool is_directory(const struct object *object)
{
    return object->name.data[object->name.size - 1] == '/';
}

/* NULL, or why it cannot be a file. */
static const char *why_not(struct export *export, const struct object *object,
                           char text[TRANSFER_WHY_MAX])
{
    const char *fault = name_fault(object->name);
    struct slice file;

    if (fault != NULL) {
        return fault;
    }
    if (is_directory(object) && object->size > 0) {
        return "ends with \"/\", and is not empty";
    }
    if (!nesting_add(&export->nesting, object->name, &file)) {
        snprintf(text, TRANSFER_WHY_MAX, "is below \"%.*s\", which is a file",
                 (int)(file.size < 400 ? file.size : 400),
                 (const char *)file.data);
        return text;
    }
    return NULL;
}

static bool next_object(struct export *export, struct client *client,
                        struct object *object)
{
    struct transfer *transfer = &export->transfer;
    char text[TRANSFER_WHY_MAX];
    bool taken = false;

    pthread_mutex_lock(&export->source_lock);
    while (!taken && !atomic_load(&transfer->stopped)) {
        const int rc = listing_next(export->listing, client, object);
        if (rc < 0) {
            transfer_stop_with(transfer, client, rc);
        }
        if (rc <= 0) {
            break;
        }
        if (object->name.size == 0) {
            continue; /* the prefix itself, as a directory */
        }
        const char *why = why_not(export, object, text);
        if (why != NULL) {
            transfer_fail(transfer, (const char *)object->name.data, why);
        } else {
            object_keep(object);
            taken = true;
        }
    }
    pthread_mutex_unlock(&export->source_lock);
    return taken;
}

/* --- one object ------------------------------------------------------------*/
/* A file of its size is there, and of its time. */
static int look(struct export *export, struct client *client, const char *key,
                const struct object *object, bool *there)
{
    struct facts facts;
    struct stat status;
    bool found;
    const char *name = (const char *)object->name.data;
    int error = tree_stat(export->transfer.directory, name, &status);

    *there = false;
    if (error != 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size != object->size) {
        return error == -ENOENT ? 0 : error;
    }
    error = call_head(client, key, &found, &facts);
    *there = error == 0 && found && facts.size == object->size &&
             times_compare(facts.mtime, status.st_mtim) == 0;
    return error;
}

static int write_file(struct export *export, struct client *client,
                      const char *key, const struct object *object,
                      bool *verified)
{
    const char *last;
    const int parent = tree_parent(export->transfer.directory,
                                   (const char *)object->name.data, &last);

    if (parent < 0) {
        return parent;
    }
    const int error = download(client, parent, last, key, object, verified);
    close(parent);
    return error;
}

static int do_file(struct export *export, struct client *client,
                   const char *key, const struct object *object)
{
    struct transfer *transfer = &export->transfer;
    const char *name = (const char *)object->name.data;
    bool there, verified = true;
    int error = look(export, client, key, object, &there);

    if (error == 0 && there) {
        transfer_same(transfer, object->size);
        return 0;
    }
    if (error == 0 && !transfer->options->dry_run) {
        error = write_file(export, client, key, object, &verified);
    }
    if (error == 0) {
        transfer_moved(transfer, name, object->size, verified);
    }
    return error;
}

static int do_directory(struct export *export, const struct object *object)
{
    struct buffer name = {0};
    int error = 0;

    buffer_append(&name, object->name.data, object->name.size - 1);
    buffer_append(&name, "", 1);
    if (!export->transfer.options->dry_run) {
        error = tree_make_directory(export->transfer.directory,
                                    (const char *)name.data);
    }
    if (error == 0) {
        transfer_same(&export->transfer, 0);
    }
    buffer_free(&name);
    return error;
}

static void do_object(struct export *export, struct client *client,
                      const struct object *object)
{
    struct transfer *transfer = &export->transfer;
    const char *name = (const char *)object->name.data;
    char *key = key_below(&transfer->endpoint, name);
    const int error = is_directory(object)
                          ? do_directory(export, object)
                          : do_file(export, client, key, object);

    if (error != 0) {
        transfer_fail_with(transfer, client, name, error);
    }
    free(key);
}

static void work(struct transfer *transfer, struct client *client)
{
    struct export *export = (struct export *)transfer;
    struct object object;

    while (next_object(export, client, &object)) {
        do_object(export, client, &object);
        object_free(&object);
    }
}

/* --- all of it -------------------------------------------------------------*/
enum transfer_result transfer_export(const struct transfer_options *options,
                                     const struct transfer_watch *watch,
                                     struct transfer_counts *counts,
                                     char why[TRANSFER_WHY_MAX])
{
    struct export *export = xcalloc(1, sizeof(*export));
    enum transfer_result result =
        transfer_open(&export->transfer, options, watch);

    pthread_mutex_init(&export->source_lock, NULL);
    export->transfer.work = work;
    if (result == TRANSFER_DONE) {
        result = transfer_count(&export->transfer, &export->transfer.endpoint,
                                false);
    }
    if (result == TRANSFER_DONE) {
        export->listing = listing_new(export->transfer.endpoint.prefix, false);
        result = transfer_run(&export->transfer);
    }
    listing_free(export->listing);
    pthread_mutex_destroy(&export->source_lock);
    transfer_close(&export->transfer, counts, why);
    free(export);
    return result;
}
