
/*
 * Extents that a worker has open.  Those that no request uses stay open for
 * a moment, as the next request often wants the same.
 *
 * A path does not say which file was opened there: an operator may have put
 * another one in its place.  So s3d says which file's bytes it has checked,
 * and no other is taken: of a kept one that needs no system call, and while
 * it is open its inode is nobody else's.  What s3d has not checked is opened
 * anew for each request.
 *
 * What is kept is bounded, and let go when s3d's drives change, when the
 * control connection ends, and after a second without use: so the space of a
 * file that was unlinked comes back, and a drive can be unmounted.
 */


#include "ngx_http_s3_module.h"

#include <sys/resource.h>


#define NGX_HTTP_S3_EXTENTS_MAX   256   /* open at once, in use or not */
#define NGX_HTTP_S3_EXTENTS_IDLE  1000  /* milliseconds */
#define NGX_HTTP_S3_EXTENT_PATH   sizeof("/extents/00/0000000000000000")


static ngx_queue_t *ngx_http_s3_extent_bucket(ngx_http_s3_extents_t *extents,
    Wire__Segment *segment);
static ngx_http_s3_extent_t *ngx_http_s3_extent_find(
    ngx_http_s3_extents_t *extents, Wire__Segment *segment);
static ngx_http_s3_extent_t *ngx_http_s3_extent_open(
    ngx_http_s3_control_t *control, Wire__Segment *segment, ngx_log_t *log);
static ngx_fd_t ngx_http_s3_extent_open_file(ngx_http_s3_control_t *control,
    Wire__Segment *segment, ngx_log_t *log);
static void ngx_http_s3_extent_keep(ngx_http_s3_extents_t *extents,
    ngx_http_s3_extent_t *extent, Wire__Segment *segment);
static void ngx_http_s3_extent_forget(ngx_http_s3_extent_t *extent);
static void ngx_http_s3_extent_close(ngx_http_s3_extent_t *extent);
static void ngx_http_s3_extents_close_unused(ngx_http_s3_extents_t *extents,
    ngx_msec_t idle);
static void ngx_http_s3_extents_timer(ngx_event_t *ev);


void
ngx_http_s3_extents_init(ngx_http_s3_control_t *control)
{
    ngx_uint_t              i;
    struct rlimit           rlmt;
    ngx_http_s3_extents_t  *extents;

    extents = &control->extents;

    for (i = 0; i < NGX_HTTP_S3_EXTENTS_BUCKETS; i++) {
        ngx_queue_init(&extents->buckets[i]);
    }

    ngx_queue_init(&extents->unused);

    extents->log = &control->log;
    extents->count = 0;
    extents->max = NGX_HTTP_S3_EXTENTS_MAX;

    /* connections come first */

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == 0) {
        extents->max = ngx_min(extents->max, rlmt.rlim_cur / 8);
    }

    extents->timer.handler = ngx_http_s3_extents_timer;
    extents->timer.data = extents;
    extents->timer.log = extents->log;
    extents->timer.cancelable = 1;
}


/* None that is open now is found again; those in use stay open for that. */

void
ngx_http_s3_extents_forget(ngx_http_s3_control_t *control)
{
    ngx_uint_t              i;
    ngx_queue_t            *bucket;
    ngx_http_s3_extents_t  *extents;

    extents = &control->extents;

    for (i = 0; i < NGX_HTTP_S3_EXTENTS_BUCKETS; i++) {
        bucket = &extents->buckets[i];

        while (!ngx_queue_empty(bucket)) {
            ngx_http_s3_extent_forget(ngx_queue_data(ngx_queue_head(bucket),
                                                     ngx_http_s3_extent_t,
                                                     bucket));
        }
    }

    if (extents->timer.timer_set) {
        ngx_del_timer(&extents->timer);
    }
}


/* NULL: it cannot be read here. */

ngx_http_s3_extent_t *
ngx_http_s3_extent_get(ngx_http_s3_control_t *control, Wire__Segment *segment,
    ngx_log_t *log)
{
    ngx_http_s3_extent_t   *extent, *kept;
    ngx_http_s3_extents_t  *extents;

    if (segment->inode == 0) {
        return ngx_http_s3_extent_open(control, segment, log);
    }

    extents = &control->extents;

    kept = ngx_http_s3_extent_find(extents, segment);

    if (kept && ngx_http_s3_extent_is(kept, segment)) {

        if (kept->users++ == 0) {
            ngx_queue_remove(&kept->unused);
        }

        return kept;
    }

    extent = ngx_http_s3_extent_open(control, segment, log);

    if (extent) {

        /* opening has perhaps closed it */

        kept = ngx_http_s3_extent_find(extents, segment);

        if (kept) {
            ngx_http_s3_extent_forget(kept);
        }

        ngx_http_s3_extent_keep(extents, extent, segment);
    }

    return extent;
}


void
ngx_http_s3_extent_put(ngx_http_s3_extent_t *extent)
{
    ngx_http_s3_extents_t  *extents;

    if (--extent->users > 0) {
        return;
    }

    if (!extent->kept) {
        ngx_http_s3_extent_close(extent);
        return;
    }

    extents = extent->extents;

    extent->last = ngx_current_msec;
    ngx_queue_insert_tail(&extents->unused, &extent->unused);

    if (!extents->timer.timer_set) {
        ngx_add_timer(&extents->timer, NGX_HTTP_S3_EXTENTS_IDLE);
    }
}


/* Whether it is the file that s3d has checked, if it has. */

ngx_uint_t
ngx_http_s3_extent_is(ngx_http_s3_extent_t *extent, Wire__Segment *segment)
{
    return segment->inode == 0
           || (extent->inode == segment->inode
               && extent->device == segment->device);
}


/* What it is and how long: an extent that is still written to grows. */

ngx_int_t
ngx_http_s3_extent_look(ngx_http_s3_extent_t *extent, ngx_log_t *log)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(extent->fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      ngx_fd_info_n " of an extent failed");
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        return NGX_ERROR;
    }

    extent->size = ngx_file_size(&fi);
    extent->device = fi.st_dev;
    extent->inode = ngx_file_uniq(&fi);

    return NGX_OK;
}


static ngx_queue_t *
ngx_http_s3_extent_bucket(ngx_http_s3_extents_t *extents,
    Wire__Segment *segment)
{
    /* drives may count alike */

    return &extents->buckets[(segment->extent + segment->drive)
                             % NGX_HTTP_S3_EXTENTS_BUCKETS];
}


static ngx_http_s3_extent_t *
ngx_http_s3_extent_find(ngx_http_s3_extents_t *extents, Wire__Segment *segment)
{
    ngx_queue_t           *bucket, *q;
    ngx_http_s3_extent_t  *extent;

    bucket = ngx_http_s3_extent_bucket(extents, segment);

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        extent = ngx_queue_data(q, ngx_http_s3_extent_t, bucket);

        if (extent->id == segment->extent && extent->drive == segment->drive) {
            return extent;
        }
    }

    return NULL;
}


static ngx_http_s3_extent_t *
ngx_http_s3_extent_open(ngx_http_s3_control_t *control, Wire__Segment *segment,
    ngx_log_t *log)
{
    ngx_http_s3_extent_t  *extent;

    extent = ngx_calloc(sizeof(ngx_http_s3_extent_t), log);
    if (extent == NULL) {
        return NULL;
    }

    extent->extents = &control->extents;
    extent->id = segment->extent;
    extent->drive = segment->drive;
    extent->users = 1;

    extent->fd = ngx_http_s3_extent_open_file(control, segment, log);

    if (extent->fd == NGX_INVALID_FILE) {
        ngx_free(extent);
        return NULL;
    }

    if (ngx_http_s3_extent_look(extent, log) != NGX_OK) {
        ngx_http_s3_extent_close(extent);
        return NULL;
    }

    if (!ngx_http_s3_extent_is(extent, segment)) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "extent %016xL of drive %uD is not the file that s3d "
                      "has checked, s3d is asked for the bytes",
                      segment->extent, segment->drive);
        ngx_http_s3_extent_close(extent);
        return NULL;
    }

    return extent;
}


static ngx_fd_t
ngx_http_s3_extent_open_file(ngx_http_s3_control_t *control,
    Wire__Segment *segment, ngx_log_t *log)
{
    u_char      path[NGX_MAX_PATH + NGX_HTTP_S3_EXTENT_PATH];
    ngx_fd_t    fd;
    ngx_str_t  *directory;

    directory = ngx_http_s3_control_drive(control, segment->drive);

    if (directory == NULL || directory->len > NGX_MAX_PATH) {
        return NGX_INVALID_FILE;
    }

    ngx_sprintf(path, "%V/extents/%02xi/%016xL%Z", directory,
                (ngx_int_t) (segment->extent & 0xff), segment->extent);

    fd = ngx_open_file(path, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE
        && (ngx_errno == NGX_EMFILE || ngx_errno == NGX_ENFILE)
        && !ngx_queue_empty(&control->extents.unused))
    {
        ngx_http_s3_extents_close_unused(&control->extents, 0);

        fd = ngx_open_file(path, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                           NGX_FILE_OPEN, 0);
    }

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_NOTICE, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed, "
                      "s3d is asked for the bytes", path);
        return NGX_INVALID_FILE;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0, "s3 open \"%s\": %d", path, fd);

    return fd;
}


/* If there is room, and be it that of one which is not in use. */

static void
ngx_http_s3_extent_keep(ngx_http_s3_extents_t *extents,
    ngx_http_s3_extent_t *extent, Wire__Segment *segment)
{
    if (extents->count >= extents->max) {

        if (ngx_queue_empty(&extents->unused)) {
            return;
        }

        ngx_http_s3_extent_forget(ngx_queue_data(
                                      ngx_queue_head(&extents->unused),
                                      ngx_http_s3_extent_t, unused));
    }

    ngx_queue_insert_head(ngx_http_s3_extent_bucket(extents, segment),
                          &extent->bucket);

    extent->kept = 1;
    extents->count++;
}


static void
ngx_http_s3_extent_forget(ngx_http_s3_extent_t *extent)
{
    ngx_queue_remove(&extent->bucket);

    extent->kept = 0;
    extent->extents->count--;

    if (extent->users == 0) {
        ngx_queue_remove(&extent->unused);
        ngx_http_s3_extent_close(extent);
    }
}


static void
ngx_http_s3_extent_close(ngx_http_s3_extent_t *extent)
{
    if (ngx_close_file(extent->fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, extent->extents->log, ngx_errno,
                      ngx_close_file_n " of an extent failed");
    }

    ngx_free(extent);
}


static void
ngx_http_s3_extents_close_unused(ngx_http_s3_extents_t *extents,
    ngx_msec_t idle)
{
    ngx_http_s3_extent_t  *extent;

    while (!ngx_queue_empty(&extents->unused)) {

        extent = ngx_queue_data(ngx_queue_head(&extents->unused),
                                ngx_http_s3_extent_t, unused);

        if (ngx_current_msec - extent->last < idle) {
            return;
        }

        ngx_http_s3_extent_forget(extent);
    }
}


static void
ngx_http_s3_extents_timer(ngx_event_t *ev)
{
    ngx_http_s3_extents_t *extents = ev->data;

    ngx_http_s3_extent_t  *oldest;

    ngx_http_s3_extents_close_unused(extents, NGX_HTTP_S3_EXTENTS_IDLE);

    if (ngx_queue_empty(&extents->unused)) {
        return;
    }

    oldest = ngx_queue_data(ngx_queue_head(&extents->unused),
                            ngx_http_s3_extent_t, unused);

    ngx_add_timer(ev, NGX_HTTP_S3_EXTENTS_IDLE
                      - (ngx_current_msec - oldest->last));
}
