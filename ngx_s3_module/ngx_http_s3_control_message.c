
/*
 * What s3d says on the control connection: where the drives are, whether to
 * tell of each request, that it ends, and the answers to questions.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_DRIVES_MAX  4096


static ngx_int_t ngx_http_s3_control_welcome(ngx_http_s3_control_t *control);
static ngx_int_t ngx_http_s3_control_set_drives(
    ngx_http_s3_control_t *control, Wire__Welcome *welcome);
static ngx_int_t ngx_http_s3_control_trace_set(
    ngx_http_s3_control_t *control);


ngx_int_t
ngx_http_s3_control_process(ngx_http_s3_control_t *control, u_char *pos,
    u_char *last)
{
    size_t             n;
    ngx_int_t          rc;
    ngx_atomic_uint_t  number;

    number = control->peer.connection->number;

    for ( ;; ) {

        rc = ngx_http_s3_read_frame(&control->reader, control->pool, &pos,
                                    last);

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        if (rc == NGX_DECLINED) {

            /* bytes of DATA */

            n = ngx_min((size_t) (last - pos), control->reader.data_left);

            if (ngx_http_s3_answer_data(control, pos, n) != NGX_OK) {
                return NGX_ERROR;
            }

            pos += n;
            control->reader.data_left -= n;

            continue;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        switch (control->reader.header.type) {

        case FRAME_ANSWER:
            rc = ngx_http_s3_answer_begin(control);
            break;

        case FRAME_REPLY:
            rc = ngx_http_s3_answer_reply(control);
            break;

        case FRAME_END:
            rc = ngx_http_s3_answer_end(control);
            break;

        case FRAME_WELCOME:
            rc = ngx_http_s3_control_welcome(control);
            break;

        case FRAME_KEY_REPLY:
            rc = ngx_http_s3_control_key_reply(control);
            break;

        case FRAME_STATUS_REPLY:
            rc = ngx_http_s3_control_status_reply(control);
            break;

        case FRAME_LEAVE:
            ngx_http_s3_control_leave(control);
            return NGX_OK;

        case FRAME_TRACE_SET:
            rc = ngx_http_s3_control_trace_set(control);
            break;

        default:
            rc = NGX_ERROR;
        }

        if (rc != NGX_OK || !ngx_http_s3_control_is(control, number)) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_http_s3_control_welcome(ngx_http_s3_control_t *control)
{
    ngx_int_t       rc;
    Wire__Welcome  *welcome;

    welcome = wire__welcome__unpack(NULL, control->reader.header.length,
                                    control->reader.message);
    if (welcome == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (welcome->version == FRAME_VERSION) {
        rc = ngx_http_s3_control_set_drives(control, welcome);
        control->status = welcome->status;
        control->requests = welcome->requests;
    }

    if (rc == NGX_OK && welcome->hot == HOT_VERSION && control->hot_fd != -1
        && control->hot_base == NULL)
    {
        ngx_http_s3_hot_map(control, control->hot_fd);
    }

    ngx_http_s3_control_close_fd(control);

    wire__welcome__free_unpacked(welcome, NULL);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    control->delay = NGX_HTTP_S3_CONTROL_DELAY;
    control->left = 0;

    return ngx_http_s3_control_welcomed(control);
}


static ngx_int_t
ngx_http_s3_control_set_drives(ngx_http_s3_control_t *control,
    Wire__Welcome *welcome)
{
    size_t                i;
    ngx_array_t          *drives;
    ngx_http_s3_drive_t  *drive;

    if (welcome->n_drives > NGX_HTTP_S3_DRIVES_MAX) {
        return NGX_ERROR;
    }

    /* rarely sent again: the old array may stay until the connection ends */

    drives = ngx_array_create(control->pool, welcome->n_drives + 1,
                              sizeof(ngx_http_s3_drive_t));
    if (drives == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < welcome->n_drives; i++) {

        if (welcome->drives[i]->directory.len == 0
            || welcome->drives[i]->directory.len > NGX_MAX_PATH
            || welcome->drives[i]->directory.data[0] != '/')
        {
            continue;
        }

        drive = ngx_array_push(drives);
        if (drive == NULL) {
            return NGX_ERROR;
        }

        drive->index = welcome->drives[i]->index;
        drive->directory.len = welcome->drives[i]->directory.len;
        drive->directory.data = ngx_pnalloc(control->pool,
                                            drive->directory.len);
        if (drive->directory.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(drive->directory.data, welcome->drives[i]->directory.data,
                   drive->directory.len);
    }

    control->drives = drives;

    ngx_http_s3_extents_forget(control);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &control->log, 0,
                   "s3 control welcome, drives: %ui", drives->nelts);

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_control_trace_set(ngx_http_s3_control_t *control)
{
    Wire__TraceSet  *set;

    set = wire__trace_set__unpack(NULL, control->reader.header.length,
                                  control->reader.message);
    if (set == NULL) {
        return NGX_ERROR;
    }

    control->trace = set->on ? 1 : 0;

    wire__trace_set__free_unpacked(set, NULL);

    return NGX_OK;
}


ngx_str_t *
ngx_http_s3_control_drive(ngx_http_s3_control_t *control, uint32_t index)
{
    ngx_uint_t            i;
    ngx_http_s3_drive_t  *drive;

    if (control->drives == NULL) {
        return NULL;
    }

    drive = control->drives->elts;

    for (i = 0; i < control->drives->nelts; i++) {
        if (drive[i].index == index) {
            return &drive[i].directory;
        }
    }

    return NULL;
}
