
/*
 * Frames out of a stream of bytes.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_MESSAGE_SIZE  4096


static ngx_int_t ngx_http_s3_reserve(ngx_http_s3_reader_t *reader,
    ngx_pool_t *pool);
static void ngx_http_s3_check_version(ngx_http_s3_reader_t *reader,
    ngx_log_t *log);


/*
 * Takes bytes from *pos.  NGX_AGAIN: all are taken, more are needed; NGX_OK:
 * reader->header and reader->message hold a whole message; NGX_DECLINED:
 * *pos is at bytes of a DATA frame, of which the caller takes up to
 * data_left and says so there; NGX_ERROR: not our protocol, or no memory.
 */

ngx_int_t
ngx_http_s3_read_frame(ngx_http_s3_reader_t *reader, ngx_pool_t *pool,
    u_char **pos, u_char *last)
{
    size_t  n;

    for ( ;; ) {

        if (*pos == last) {
            return NGX_AGAIN;
        }

        if (reader->data_left) {
            return NGX_DECLINED;
        }

        if (reader->nraw < FRAME_HEADER_SIZE) {
            n = ngx_min((size_t) (last - *pos),
                        FRAME_HEADER_SIZE - reader->nraw);

            ngx_memcpy(reader->raw + reader->nraw, *pos, n);
            reader->nraw += n;
            *pos += n;

            if (reader->nraw < FRAME_HEADER_SIZE) {
                return NGX_AGAIN;
            }

            if (frame_decode(reader->raw, &reader->header) != 0) {
                ngx_http_s3_check_version(reader, pool->log);
                return NGX_ERROR;
            }

            if (reader->header.type == FRAME_DATA) {
                reader->data_left = reader->header.length;
                reader->nraw = 0;
                continue;
            }

            if (ngx_http_s3_reserve(reader, pool) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        n = ngx_min((size_t) (last - *pos),
                    reader->header.length - reader->len);

        if (n) {
            ngx_memcpy(reader->message + reader->len, *pos, n);
            reader->len += n;
            *pos += n;
        }

        if (reader->len < reader->header.length) {
            return NGX_AGAIN;
        }

        reader->nraw = 0;

        if (frame_check(&reader->header, reader->message) != 0) {
            return NGX_ERROR;
        }

        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_s3_reserve(ngx_http_s3_reader_t *reader, ngx_pool_t *pool)
{
    size_t  size;

    reader->len = 0;

    if (reader->message && reader->size >= reader->header.length) {
        return NGX_OK;
    }

    if (reader->message) {
        (void) ngx_pfree(pool, reader->message);
        reader->message = NULL;
    }

    for (size = NGX_HTTP_S3_MESSAGE_SIZE;
         size < reader->header.length;
         size *= 2)
    {
        /* void */
    }

    reader->message = ngx_palloc(pool, size);
    if (reader->message == NULL) {
        return NGX_ERROR;
    }

    reader->size = size;

    return NGX_OK;
}


static void
ngx_http_s3_check_version(ngx_http_s3_reader_t *reader, ngx_log_t *log)
{
    int  version;

    version = frame_version(reader->raw);

    if (version != -1 && version != FRAME_VERSION) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "s3d is of version %d of the protocol, this module of "
                      "version %d: install both of one version",
                      version, FRAME_VERSION);
    }
}
