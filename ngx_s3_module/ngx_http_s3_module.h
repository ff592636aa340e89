
/*
 * The S3 API inside nginx: what the files of the module share.
 *
 *   ngx_http_s3_module.c     directives, configuration, registration
 *   ngx_http_s3_handler.c    a request: route, authenticate, execute
 *   ngx_http_s3_auth.c       what SigV4 needs of a request, and its key
 *   ngx_http_s3_query.c      the form of a request of IAM or STS
 *   ngx_http_s3_zone.c       derived keys in shared memory
 *   ngx_http_s3_control.c    a worker's control connection to s3d
 *   ngx_http_s3_control_message.c  what s3d says on it
 *   ngx_http_s3_control_wait.c  questions on it, and who waits for answers
 *   ngx_http_s3_control_answer.c  the frames of an answer to a small read
 *   ngx_http_s3_ask.c        small reads, which are asked on it
 *   ngx_http_s3_frame.c      frames out of a stream of bytes
 *   ngx_http_s3_request.c    the REQUEST frame
 *   ngx_http_s3_request_headers.c  what of arguments and headers is in it
 *   ngx_http_s3_body.c       the client's body as frames
 *   ngx_http_s3_static.c     objects as files
 *   ngx_http_s3_candidates.c which objects may answer
 *   ngx_http_s3_static_conf.c  its directives
 *   ngx_http_s3_website.c    buckets as websites, by their host names
 *   ngx_http_s3_upstream.c   s3d's reply, with nginx's upstream
 *   ngx_http_s3_reply.c      the REPLY frame
 *   ngx_http_s3_segments.c   parts of extents as file buffers
 *   ngx_http_s3_extents.c    extents that a worker has open
 *   ngx_http_s3_limit.c      limit_rate
 *   ngx_http_s3_hot.c        answers without s3d, from shared memory
 *   ngx_http_s3_hot_select.c what of an object is asked for there
 *   ngx_http_s3_hot_reply.c  how such an answer is sent
 *   ngx_http_s3_out.c        headers of what came without upstream
 *   ngx_http_s3_send.c       a body that is in memory
 *   ngx_http_s3_error.c      S3's error document
 *   ngx_http_s3_variables.c  $s3_request_id and others
 *   ngx_http_s3_log.c        lines of nginx's error log, without queries
 *   ngx_http_s3_count.c      what all workers count, in shared memory
 *   ngx_http_s3_status.c     the same and s3d's, as metrics
 *   ngx_http_s3_console.c    the page that shows all of it in a browser
 */


#ifndef _NGX_HTTP_S3_MODULE_H_INCLUDED_
#define _NGX_HTTP_S3_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http.h>

#include "hot/question.h"
#include "hot/region.h"
#include "http/http.h"
#include "wire/wire.h"
#include "wire.pb-c.h"

#include "s3_accept.h"
#include "s3_core.h"
#include "s3_chunked.h"
#include "s3_counters.h"
#include "s3_exposition.h"
#include "s3_route.h"
#include "s3_sigv4.h"
#include "s3_uri.h"
#include "s3_xml.h"


#define NGX_HTTP_S3_REQUEST_ID_LEN  16
#define NGX_HTTP_S3_OBJECT_MAX      (5LL * 1024 * 1024 * 1024)
#define NGX_HTTP_S3_REFUSAL_MAX     (64 * 1024)
#define NGX_HTTP_S3_QUERY_MAX       (64 * 1024)
#define NGX_HTTP_S3_BODY_BUFFER     (128 * 1024)
#define NGX_HTTP_S3_CODE_MAX        48    /* bytes of an error code */
#define NGX_HTTP_S3_EXTENTS_BUCKETS  64
#define NGX_HTTP_S3_CODINGS         3     /* of precompressed objects */

#define NGX_HTTP_S3_AUTOINDEX_OFF   0
#define NGX_HTTP_S3_AUTOINDEX_HTML  1
#define NGX_HTTP_S3_AUTOINDEX_JSON  2


#define ngx_http_s3_set(field, str)                                           \
    (field).len = (str).len; (field).data = (str).data


typedef struct ngx_http_s3_control_s  ngx_http_s3_control_t;
typedef struct ngx_http_s3_waiter_s   ngx_http_s3_waiter_t;
typedef struct ngx_http_s3_file_s     ngx_http_s3_file_t;
typedef struct ngx_http_s3_ctx_s      ngx_http_s3_ctx_t;
typedef struct ngx_http_s3_extents_s  ngx_http_s3_extents_t;


typedef struct {
    ngx_shm_zone_t                *zone;
    ngx_shm_zone_t                *counters;  /* data: s3_counters_t */
    ngx_array_t                    controls;  /* ngx_http_s3_control_t * */
    ngx_array_t                    servers;   /* ngx_http_core_srv_conf_t * */
} ngx_http_s3_main_conf_t;


typedef struct {
    ngx_uint_t                     used;      /* a location asks s3d */
} ngx_http_s3_srv_conf_t;


typedef struct {
    ngx_http_complex_value_t      *target;    /* BUCKET[/PREFIX], or NULL */
    ngx_str_t                      location;  /* that the target stands for */
    ngx_array_t                   *index;     /* ngx_str_t */
    ngx_array_t                   *try;       /* ngx_http_complex_value_t */
    ngx_uint_t                     try_status;
    ngx_array_t                   *precompressed; /* s3_coding_t */
    ngx_uint_t                     autoindex;
} ngx_http_s3_static_conf_t;


typedef struct {
    ngx_http_upstream_conf_t       upstream;

    /* for what must not be sent twice */
    ngx_http_upstream_conf_t       upstream_once;

    ngx_http_s3_control_t         *control;

    ngx_str_t                      region;
    ngx_array_t                   *domains;   /* s3_str_t */
    ngx_flag_t                     verify;
    ngx_flag_t                     segments;
    ngx_flag_t                     hot;
    ngx_msec_t                     key_timeout;

    ngx_http_s3_static_conf_t      files;
    ngx_http_handler_pt            handler;   /* of s3_pass and others */
} ngx_http_s3_loc_conf_t;


typedef struct {
    u_char                         key[S3_SIGV4_KEY_LEN];
    uint64_t                       generation;
    ngx_uint_t                     found;     /* unsigned  found:1; */
} ngx_http_s3_key_t;


/* Splits a stream into frames; survives any split of the bytes. */

typedef struct {
    struct frame_header            header;
    u_char                        *message;
    size_t                         size;      /* of message */
    size_t                         len;       /* bytes of it that came */
    size_t                         data_left; /* bytes of a DATA frame */
    size_t                         nraw;
    u_char                         raw[FRAME_HEADER_SIZE];
} ngx_http_s3_reader_t;


typedef struct {
    uint32_t                       index;
    ngx_str_t                      directory;
} ngx_http_s3_drive_t;


/* A file of console/. */

typedef struct {
    ngx_str_t                      name;
    ngx_str_t                      type;
    ngx_str_t                      etag;
    size_t                         len;
    u_char                        *body;
} ngx_http_s3_console_file_t;


/*
 * What s3d answers: ngx_http_s3_key_t, Wire__Metrics, or ngx_http_s3_answer_t;
 * NULL: nothing.
 */

typedef void (*ngx_http_s3_ready_pt)(ngx_http_s3_waiter_t *waiter,
    void *answer);


/*
 * NGX_OK: it is on its way; NGX_AGAIN: there is no room yet; NGX_DECLINED: it
 * is not for this s3d, as far as is known of it.
 */

typedef ngx_int_t (*ngx_http_s3_ask_pt)(ngx_http_s3_waiter_t *waiter);


/* Of a small read, as far as it has come. */

typedef struct {
    Wire__Reply                   *reply;     /* in the request's pool */
    u_char                        *body;
    u_char                        *last;
    u_char                        *end;       /* of what REPLY has said */
} ngx_http_s3_answer_t;


struct ngx_http_s3_waiter_s {
    ngx_queue_t                    queue;
    ngx_event_t                    timer;     /* timedout: no answer came */
    ngx_http_request_t            *request;
    ngx_http_s3_ctx_t             *ctx;
    ngx_http_s3_control_t         *control;
    ngx_http_s3_ask_pt             ask;
    ngx_http_s3_ready_pt           ready;
    ngx_http_s3_answer_t           answer;
    uint64_t                       id;
    ngx_atomic_uint_t              asked;     /* on which connection */
    unsigned                       queued:1;
    unsigned                       unasked:1; /* s3d would not know it */
};


/* An extent that is open, and its requests. */

typedef struct {
    ngx_queue_t                    bucket;    /* if it is kept */
    ngx_queue_t                    unused;    /* if it is, and has no users */
    ngx_http_s3_extents_t         *extents;
    ngx_msec_t                     last;      /* when its last user left */
    ngx_uint_t                     users;
    ngx_fd_t                       fd;
    off_t                          size;      /* as last seen */
    uint64_t                       device;
    uint64_t                       inode;
    uint64_t                       id;
    uint32_t                       drive;
    unsigned                       kept:1;    /* is found by others */
} ngx_http_s3_extent_t;


struct ngx_http_s3_extents_s {
    ngx_queue_t                    buckets[NGX_HTTP_S3_EXTENTS_BUCKETS];
    ngx_queue_t                    unused;    /* the oldest first */
    ngx_uint_t                     count;     /* that are kept */
    ngx_uint_t                     max;
    ngx_event_t                    timer;
    ngx_log_t                     *log;
};


struct ngx_http_s3_control_s {
    ngx_http_upstream_srv_conf_t  *upstream;
    ngx_http_s3_main_conf_t       *main_conf;
    ngx_addr_t                    *addr;

    /* of each worker */
    ngx_peer_connection_t          peer;
    ngx_pool_t                    *pool;      /* of the connection */
    ngx_http_s3_reader_t           reader;
    ngx_buf_t                     *in;
    ngx_buf_t                     *out;
    ngx_event_t                    flush;     /* posted: what is in out */
    ngx_event_t                    reconnect;
    ngx_msec_t                     delay;

    ngx_queue_t                    waiters;
    ngx_uint_t                     nwaiters;
    uint64_t                       last_id;

    ngx_http_s3_waiter_t          *answered;  /* NULL: it has gone */
    ngx_uint_t                     answering; /* from ANSWER to END */
    ngx_uint_t                     declined;  /* reads, by how often lately */
    ngx_uint_t                     unasked;   /* reads still to pass by */

    ngx_array_t                   *drives;    /* ngx_http_s3_drive_t */
    ngx_http_s3_extents_t          extents;
    ngx_uint_t                     requests;  /* unsigned  requests:1; */
    ngx_uint_t                     status;    /* unsigned  status:1; */
    ngx_uint_t                     trace;     /* unsigned  trace:1; */
    ngx_uint_t                     left;      /* LEAVE, no WELCOME since */

    struct hot_view                hot;
    void                          *hot_base;  /* NULL: there is none */
    size_t                         hot_size;
    int                            hot_fd;    /* that came, or -1 */

    ngx_log_t                      log;
};


struct ngx_http_s3_ctx_s {
    ngx_http_request_t            *request;

    ngx_str_t                      request_id;

    s3_memory_t                    memory;
    s3_sigv4_request_t             sigv4;
    s3_sigv4_t                     auth;
    s3_route_t                     route;
    s3_str_t                       host;
    s3_str_t                       website_query; /* for redirects */
    uint64_t                       key_generation;
    s3_error_t                     error;
    ngx_str_t                      allow;     /* MethodNotAllowed */
    ngx_str_t                      refusal;   /* its document, for s3d */

    /* when, for the counters; microseconds, 0: it has not come to that */

    uint64_t                       began;
    uint64_t                       authenticated;
    uint64_t                       answered;  /* by s3d */

    /* s3_static */

    Wire__FileRequest             *file;
    ngx_uint_t                     file_status; /* of nginx's page, or 0 */

    /* the request's body */

    uint64_t                       content_length;
    s3_chunked_t                  *chunked;
    ngx_array_t                    trailers;  /* s3_field_t */
    s3_str_t                       trailer_signature;
    ngx_chain_t                   *in;
    ngx_chain_t                   *control;   /* ACK and NACK to be sent */
    ngx_chain_t                   *free;
    ngx_chain_t                   *busy;
    ngx_buf_t                     *query;     /* all of a form */

    /* the reply */

    ngx_http_s3_reader_t           reader;
    ngx_http_s3_file_t            *files;
    ngx_uint_t                     nfiles;
    off_t                          body_left; /* -1: not known */
    ngx_str_t                      code;      /* of the error answered */
    ngx_buf_t                     *error_page; /* in place of nginx's */

    ngx_event_t                    limit;     /* of a write that is delayed */
    size_t                         limit_rate;

    unsigned                       limit_rate_set:1;
    unsigned                       expect:1;
    unsigned                       request_sent:1;
    unsigned                       chunked_done:1;
    unsigned                       body_seen:1;
    unsigned                       end_sent:1;
    unsigned                       replied:1;
    unsigned                       reply_read:1;
    unsigned                       reply_empty:1;
    unsigned                       end_read:1;
    unsigned                       end_ahead:1; /* of a NACK: not the end */
    unsigned                       error_page_sent:1;
    unsigned                       hot:1;     /* answered without s3d */
    unsigned                       hot_checksums:1; /* are asked for */
    unsigned                       hot_selects:1;   /* by conditions, ranges */

    u_char                         id_data[NGX_HTTP_S3_REQUEST_ID_LEN];
    u_char                         code_data[NGX_HTTP_S3_CODE_MAX];
};


/* What of an object is asked for. */

typedef struct {
    ngx_uint_t                     status;    /* 200, 206, 304, 412 or 416 */
    uint64_t                       offset;    /* bytes */
    uint64_t                       size;
    const char                    *condition; /* 412: which one */
} ngx_http_s3_selection_t;


/* ngx_http_s3_module.c */

char *ngx_http_s3_set_upstream(ngx_conf_t *cf, ngx_http_s3_loc_conf_t *slcf,
    ngx_str_t *name);
char *ngx_http_s3_set_handler(ngx_conf_t *cf, ngx_http_s3_loc_conf_t *slcf,
    ngx_http_handler_pt handler);

/* ngx_http_s3_static_conf.c */

void ngx_http_s3_static_create(ngx_http_s3_static_conf_t *conf);
char *ngx_http_s3_static_merge(ngx_conf_t *cf, ngx_http_s3_loc_conf_t *prev,
    ngx_http_s3_loc_conf_t *conf);
char *ngx_http_s3_static(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_s3_index(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_s3_try(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_s3_precompressed(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_s3_candidates.c */

ngx_int_t ngx_http_s3_candidates(ngx_http_request_t *r,
    ngx_http_s3_static_conf_t *conf, ngx_str_t *bucket,
    Wire__FileRequest *file);

/* ngx_http_s3_static.c */

ngx_int_t ngx_http_s3_static_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_s3_static_headers(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
ngx_int_t ngx_http_s3_static_reply(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_uint_t status);
ngx_uint_t ngx_http_s3_static_is_said(ngx_http_request_t *r, u_char *name,
    size_t len);
void ngx_http_s3_static_init(void);

/* ngx_http_s3_website.c */

char *ngx_http_s3_website(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_s3_website_handler(ngx_http_request_t *r);

/* ngx_http_s3_handler.c */

ngx_int_t ngx_http_s3_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_s3_authenticate(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
ngx_int_t ngx_http_s3_serve(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);
ngx_int_t ngx_http_s3_answer(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_int_t rc);
ngx_int_t ngx_http_s3_result(ngx_http_request_t *r, ngx_int_t rc);
ngx_http_s3_ctx_t *ngx_http_s3_get_ctx(ngx_http_request_t *r);
ngx_http_s3_ctx_t *ngx_http_s3_find_ctx(ngx_http_request_t *r);
void ngx_http_s3_key_ready(ngx_http_s3_waiter_t *waiter, void *answer);

/* ngx_http_s3_auth.c */

ngx_int_t ngx_http_s3_gather(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);
ngx_uint_t ngx_http_s3_host(ngx_http_request_t *r, s3_str_t *host);
ngx_int_t ngx_http_s3_find_key(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_http_s3_key_t *key);
ngx_int_t ngx_http_s3_renew_key(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
ngx_int_t ngx_http_s3_verify(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_http_s3_key_t *key);

/* ngx_http_s3_query.c */

ngx_uint_t ngx_http_s3_query_is_form(ngx_http_request_t *r);
ngx_int_t ngx_http_s3_query_read(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);

/* ngx_http_s3_zone.c */

ngx_int_t ngx_http_s3_zone_init(ngx_shm_zone_t *zone, void *data);
ngx_int_t ngx_http_s3_zone_get(ngx_shm_zone_t *zone, s3_sigv4_t *auth,
    ngx_http_s3_key_t *key);
void ngx_http_s3_zone_set(ngx_shm_zone_t *zone, s3_sigv4_t *auth,
    ngx_http_s3_key_t *key);
ngx_int_t ngx_http_s3_zone_renew(ngx_shm_zone_t *zone, s3_sigv4_t *auth);

/* ngx_http_s3_hot.c */

void ngx_http_s3_hot_map(ngx_http_s3_control_t *control, int fd);
void ngx_http_s3_hot_unmap(ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_hot_send(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);

/* ngx_http_s3_hot_select.c */

ngx_int_t ngx_http_s3_hot_select(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, struct hot_found *found,
    ngx_http_s3_selection_t *selection);

/* ngx_http_s3_hot_reply.c */

ngx_int_t ngx_http_s3_hot_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found, ngx_http_s3_selection_t *selection);

/* ngx_http_s3_control.c */

#define NGX_HTTP_S3_CONTROL_DELAY  100  /* milliseconds to the next attempt */

/* whether the connection is still the one of that number */

#define ngx_http_s3_control_is(control, n)                                    \
    ((control)->peer.connection && (control)->peer.connection->number == n)

ngx_http_s3_control_t *ngx_http_s3_control_add(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *upstream);
ngx_int_t ngx_http_s3_control_check(ngx_conf_t *cf,
    ngx_http_s3_control_t *control);
void ngx_http_s3_control_start(ngx_cycle_t *cycle,
    ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_control_connect(ngx_http_s3_control_t *control);
void ngx_http_s3_control_close(ngx_http_s3_control_t *control);
void ngx_http_s3_control_close_fd(ngx_http_s3_control_t *control);
void ngx_http_s3_control_leave(ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_control_send(ngx_http_s3_control_t *control,
    enum frame_type type, const ProtobufCMessage *message);
void ngx_http_s3_control_trace(ngx_http_s3_control_t *control,
    Wire__Trace *trace);

/* ngx_http_s3_control_message.c */

ngx_int_t ngx_http_s3_control_process(ngx_http_s3_control_t *control,
    u_char *pos, u_char *last);
ngx_str_t *ngx_http_s3_control_drive(ngx_http_s3_control_t *control,
    uint32_t index);

/* ngx_http_s3_control_wait.c */

ngx_int_t ngx_http_s3_control_key(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, ngx_msec_t timeout);
ngx_int_t ngx_http_s3_control_status(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, ngx_msec_t timeout);
ngx_int_t ngx_http_s3_control_question(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, ngx_http_s3_ask_pt ask,
    ngx_http_s3_ready_pt ready, ngx_msec_t timeout);
ngx_http_s3_waiter_t *ngx_http_s3_control_find(
    ngx_http_s3_control_t *control, uint64_t id);
void ngx_http_s3_control_answer(ngx_http_s3_waiter_t *waiter, void *answer);
ngx_int_t ngx_http_s3_control_ask_waiting(ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_control_welcomed(ngx_http_s3_control_t *control);
void ngx_http_s3_control_disappoint(ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_control_key_reply(ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_control_status_reply(ngx_http_s3_control_t *control);

/* ngx_http_s3_control_answer.c */

ngx_int_t ngx_http_s3_answer_begin(ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_answer_reply(ngx_http_s3_control_t *control);
ngx_int_t ngx_http_s3_answer_data(ngx_http_s3_control_t *control,
    u_char *pos, size_t len);
ngx_int_t ngx_http_s3_answer_end(ngx_http_s3_control_t *control);

/* ngx_http_s3_ask.c */

ngx_int_t ngx_http_s3_ask(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);

/* ngx_http_s3_frame.c */

ngx_int_t ngx_http_s3_read_frame(ngx_http_s3_reader_t *reader,
    ngx_pool_t *pool, u_char **pos, u_char *last);

/* ngx_http_s3_request.c */

ngx_int_t ngx_http_s3_create_request(ngx_http_request_t *r);
ngx_int_t ngx_http_s3_request_message(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Request *request, Wire__Refusal *refusal);

/* ngx_http_s3_request_headers.c */

ngx_int_t ngx_http_s3_request_args(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Request *request);
ngx_int_t ngx_http_s3_request_headers(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Request *request);
ngx_int_t ngx_http_s3_request_trailers(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Request *request);
ngx_int_t ngx_http_s3_check_hoisted(ngx_http_s3_ctx_t *ctx);
ngx_uint_t ngx_http_s3_is_auth_arg(s3_field_t *arg);
ngx_uint_t ngx_http_s3_is_for_s3d(s3_field_t *field);
ngx_uint_t ngx_http_s3_is_token(u_char *p, size_t len);

/* ngx_http_s3_body.c */

ngx_int_t ngx_http_s3_body_init(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
ngx_int_t ngx_http_s3_body_output_filter(void *data, ngx_chain_t *in);
ngx_int_t ngx_http_s3_send_control(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, enum frame_type type);

/* ngx_http_s3_upstream.c */

ngx_int_t ngx_http_s3_upstream_start(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
void ngx_http_s3_find_code(ngx_http_s3_ctx_t *ctx, u_char *pos,
    u_char *last);

/* ngx_http_s3_reply.c */

ngx_int_t ngx_http_s3_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);
Wire__Reply *ngx_http_s3_reply_unpack(ngx_http_request_t *r, u_char *message,
    size_t len);
ngx_int_t ngx_http_s3_check_header(ngx_http_request_t *r,
    Wire__Field *field);
ngx_int_t ngx_http_s3_continue(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);

/* ngx_http_s3_out.c */

ngx_int_t ngx_http_s3_out_content_type(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_str_t *value);
ngx_int_t ngx_http_s3_out_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/* ngx_http_s3_send.c */

ngx_int_t ngx_http_s3_send(ngx_http_request_t *r, u_char *body, size_t len);

/* ngx_http_s3_extents.c */

void ngx_http_s3_extents_init(ngx_http_s3_control_t *control);
void ngx_http_s3_extents_forget(ngx_http_s3_control_t *control);
ngx_http_s3_extent_t *ngx_http_s3_extent_get(ngx_http_s3_control_t *control,
    Wire__Segment *segment, ngx_log_t *log);
void ngx_http_s3_extent_put(ngx_http_s3_extent_t *extent);
ngx_uint_t ngx_http_s3_extent_is(ngx_http_s3_extent_t *extent,
    Wire__Segment *segment);
ngx_int_t ngx_http_s3_extent_look(ngx_http_s3_extent_t *extent,
    ngx_log_t *log);

/* ngx_http_s3_segments.c */

ngx_int_t ngx_http_s3_segments(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Segments *segments);

/* ngx_http_s3_limit.c */

void ngx_http_s3_limit_init(void);
void ngx_http_s3_limit_save(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);
void ngx_http_s3_limit_restore(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);
void ngx_http_s3_limit_end(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);

/* ngx_http_s3_error.c */

ngx_int_t ngx_http_s3_set_error(ngx_http_s3_ctx_t *ctx, enum s3_error code);
ngx_int_t ngx_http_s3_error_document(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_str_t *document);
ngx_int_t ngx_http_s3_send_error(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
ngx_int_t ngx_http_s3_add_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);
ngx_int_t ngx_http_s3_add_headers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx);
void ngx_http_s3_error_init(void);

/* ngx_http_s3_log.c */

ngx_int_t ngx_http_s3_log_init(ngx_conf_t *cf);

/* ngx_http_s3_count.c */

ngx_int_t ngx_http_s3_count_init(ngx_conf_t *cf,
    ngx_http_s3_main_conf_t *smcf);
s3_counters_t *ngx_http_s3_counters(ngx_http_request_t *r);
uint64_t ngx_http_s3_now(void);

/* ngx_http_s3_status.c */

char *ngx_http_s3_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_s3_status_ready(ngx_http_s3_waiter_t *waiter, void *answer);

/* ngx_http_s3_console.c */

char *ngx_http_s3_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_s3_variables.c */

ngx_int_t ngx_http_s3_add_variables(ngx_conf_t *cf);


extern ngx_http_s3_console_file_t  ngx_http_s3_console_files[];

extern ngx_module_t  ngx_http_s3_module;


#endif /* _NGX_HTTP_S3_MODULE_H_INCLUDED_ */
