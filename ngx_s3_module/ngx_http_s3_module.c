
/*
 * Directives, configuration, registration.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_s3_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_s3_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_s3_create_srv_conf(ngx_conf_t *cf);
static void *ngx_http_s3_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_s3_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_s3_merge_upstream(ngx_conf_t *cf,
    ngx_http_s3_loc_conf_t *prev, ngx_http_s3_loc_conf_t *conf);
static ngx_int_t ngx_http_s3_init_process(ngx_cycle_t *cycle);

static char *ngx_http_s3_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_s3_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_s3_region(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_s3_domain(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_s3_buffer_size(ngx_conf_t *cf, void *post, void *data);


static ngx_conf_post_t  ngx_http_s3_buffer_size_post =
    { ngx_http_s3_buffer_size };


static ngx_conf_enum_t  ngx_http_s3_autoindex[] = {
    { ngx_string("off"), NGX_HTTP_S3_AUTOINDEX_OFF },
    { ngx_string("on"), NGX_HTTP_S3_AUTOINDEX_HTML },
    { ngx_string("json"), NGX_HTTP_S3_AUTOINDEX_JSON },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_s3_commands[] = {

    { ngx_string("s3_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_s3_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_s3_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_region"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_s3_region,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, region),
      NULL },

    { ngx_string("s3_domain"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_s3_domain,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, domains),
      NULL },

    { ngx_string("s3_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, verify),
      NULL },

    { ngx_string("s3_segments"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, segments),
      NULL },

    { ngx_string("s3_hot"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, hot),
      NULL },

    { ngx_string("s3_key_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, key_timeout),
      NULL },

    { ngx_string("s3_connect_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, upstream.connect_timeout),
      NULL },

    { ngx_string("s3_send_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, upstream.send_timeout),
      NULL },

    { ngx_string("s3_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, upstream.read_timeout),
      NULL },

    { ngx_string("s3_buffer_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, upstream.buffer_size),
      &ngx_http_s3_buffer_size_post },

    { ngx_string("s3_hide_header"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_array_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, upstream.hide_headers),
      NULL },

    { ngx_string("s3_static"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_s3_static,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_index"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_s3_index,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_try"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_s3_try,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_precompressed"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_s3_precompressed,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_autoindex"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_loc_conf_t, files.autoindex),
      &ngx_http_s3_autoindex },

    { ngx_string("s3_website"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_s3_website,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_s3_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_console"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_s3_console,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_s3_module_ctx = {
    ngx_http_s3_preconfiguration,          /* preconfiguration */
    ngx_http_s3_postconfiguration,         /* postconfiguration */

    ngx_http_s3_create_main_conf,          /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_s3_create_srv_conf,           /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_s3_create_loc_conf,           /* create location configuration */
    ngx_http_s3_merge_loc_conf             /* merge location configuration */
};


ngx_module_t  ngx_http_s3_module = {
    NGX_MODULE_V1,
    &ngx_http_s3_module_ctx,               /* module context */
    ngx_http_s3_commands,                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_s3_init_process,              /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* what nginx itself writes, or acts on */

static ngx_str_t  ngx_http_s3_hide_headers[] = {
    ngx_string("Date"),
    ngx_string("Server"),
    ngx_string("Connection"),
    ngx_string("Keep-Alive"),
    ngx_string("Transfer-Encoding"),
    ngx_string("Content-Length"),
    ngx_string("Upgrade"),
    ngx_string("X-Accel-Expires"),
    ngx_string("X-Accel-Redirect"),
    ngx_string("X-Accel-Limit-Rate"),
    ngx_string("X-Accel-Buffering"),
    ngx_string("X-Accel-Charset"),
    ngx_null_string
};


static ngx_int_t
ngx_http_s3_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_s3_add_variables(cf);
}


static ngx_int_t
ngx_http_s3_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                  i;
    ngx_http_s3_control_t     **control;
    ngx_http_core_srv_conf_t  **cscfp;
    ngx_http_s3_main_conf_t    *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_module);

    if (smcf->controls.nelts == 0) {
        return NGX_OK;
    }

    if (smcf->servers.nelts && smcf->zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"s3_pass\" requires \"s3_zone\" in the http block");
        return NGX_ERROR;
    }

    control = smcf->controls.elts;

    for (i = 0; i < smcf->controls.nelts; i++) {
        if (ngx_http_s3_control_check(cf, control[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /*
     * a signature covers headers by any name: none may get lost; the raw
     * target is used, so that "merge_slashes" does not matter here
     */

    cscfp = smcf->servers.elts;

    for (i = 0; i < smcf->servers.nelts; i++) {
        cscfp[i]->ignore_invalid_headers = 0;
        cscfp[i]->underscores_in_headers = 1;
    }

    if (ngx_http_s3_count_init(cf, smcf) != NGX_OK
        || ngx_http_s3_log_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_s3_error_init();
    ngx_http_s3_static_init();
    ngx_http_s3_limit_init();

    return NGX_OK;
}


static void *
ngx_http_s3_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_s3_main_conf_t  *smcf;

    smcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_main_conf_t));
    if (smcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&smcf->controls, cf->pool, 2,
                       sizeof(ngx_http_s3_control_t *))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&smcf->servers, cf->pool, 2,
                       sizeof(ngx_http_core_srv_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return smcf;
}


static void *
ngx_http_s3_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_srv_conf_t));
}


static void *
ngx_http_s3_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_s3_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->upstream.bufs.num = 0;
     *     conf->upstream.buffering = 0;
     *     conf->upstream.ignore_client_abort = 0;
     *     conf->upstream.intercept_errors = 0;
     *     conf->upstream.force_ranges = 0;
     *     conf->upstream.local = NULL;
     *     conf->upstream.store = 0;
     *     conf->control = NULL;
     *     conf->region = { 0, NULL };
     *     conf->handler = NULL;
     */

    conf->upstream.connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.send_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.read_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.buffer_size = NGX_CONF_UNSET_SIZE;
    conf->upstream.hide_headers = NGX_CONF_UNSET_PTR;
    conf->upstream.pass_headers = NGX_CONF_UNSET_PTR;

    /* ACKs are sent while the reply is being read */
    conf->upstream.preserve_output = 1;

    conf->domains = NGX_CONF_UNSET_PTR;
    conf->verify = NGX_CONF_UNSET;
    conf->segments = NGX_CONF_UNSET;
    conf->hot = NGX_CONF_UNSET;
    conf->key_timeout = NGX_CONF_UNSET_MSEC;

    ngx_http_s3_static_create(&conf->files);

    return conf;
}


static char *
ngx_http_s3_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_s3_loc_conf_t  *prev = parent;
    ngx_http_s3_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    if (ngx_http_s3_merge_upstream(cf, prev, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_conf_merge_str_value(conf->region, prev->region, "");
    ngx_conf_merge_ptr_value(conf->domains, prev->domains, NULL);
    ngx_conf_merge_value(conf->verify, prev->verify, 1);
    ngx_conf_merge_value(conf->segments, prev->segments, 1);
    ngx_conf_merge_value(conf->hot, prev->hot, 1);
    ngx_conf_merge_msec_value(conf->key_timeout, prev->key_timeout, 60000);

    if (ngx_http_s3_static_merge(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && conf->upstream.upstream == NULL) {
        conf->upstream.upstream = prev->upstream.upstream;
        conf->control = prev->control;
        conf->handler = prev->handler;
    }

    if (clcf->lmt_excpt && clcf->handler == NULL && conf->control) {
        clcf->handler = conf->handler;
    }

    if (conf->control && conf->files.target == NULL
        && clcf->client_max_body_size == 1024 * 1024)
    {
        /* nginx's default; S3's own bounds are in the handler */
        clcf->client_max_body_size = 0;
    }

    if (conf->control
        && clcf->client_body_buffer_size == (size_t) 2 * ngx_pagesize)
    {
        /* nginx's default, in which an upload costs two calls for 8k */
        clcf->client_body_buffer_size = NGX_HTTP_S3_BODY_BUFFER;
    }

    conf->upstream_once = conf->upstream;
    conf->upstream_once.next_upstream = NGX_CONF_BITMASK_SET
                                        |NGX_HTTP_UPSTREAM_FT_OFF;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_merge_upstream(ngx_conf_t *cf, ngx_http_s3_loc_conf_t *prev,
    ngx_http_s3_loc_conf_t *conf)
{
    ngx_hash_init_t  hash;

    ngx_conf_merge_msec_value(conf->upstream.connect_timeout,
                              prev->upstream.connect_timeout, 5000);
    ngx_conf_merge_msec_value(conf->upstream.send_timeout,
                              prev->upstream.send_timeout, 60000);
    ngx_conf_merge_msec_value(conf->upstream.read_timeout,
                              prev->upstream.read_timeout, 60000);
    ngx_conf_merge_size_value(conf->upstream.buffer_size,
                              prev->upstream.buffer_size, 65536);

    conf->upstream.next_upstream = NGX_CONF_BITMASK_SET
                                   |NGX_HTTP_UPSTREAM_FT_ERROR
                                   |NGX_HTTP_UPSTREAM_FT_TIMEOUT;

    conf->upstream.ignore_headers = NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT
                                    |NGX_HTTP_UPSTREAM_IGN_XA_EXPIRES
                                    |NGX_HTTP_UPSTREAM_IGN_EXPIRES
                                    |NGX_HTTP_UPSTREAM_IGN_CACHE_CONTROL
                                    |NGX_HTTP_UPSTREAM_IGN_SET_COOKIE
                                    |NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE
                                    |NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING
                                    |NGX_HTTP_UPSTREAM_IGN_XA_CHARSET
                                    |NGX_HTTP_UPSTREAM_IGN_VARY;

    hash.max_size = 512;
    hash.bucket_size = ngx_align(64, ngx_cacheline_size);
    hash.name = "s3_headers_hash";

    return ngx_http_upstream_hide_headers_hash(cf, &conf->upstream,
               &prev->upstream, ngx_http_s3_hide_headers, &hash);
}


/* By s3_pass, s3_static, s3_website or s3_status, and once. */

char *
ngx_http_s3_set_upstream(ngx_conf_t *cf, ngx_http_s3_loc_conf_t *slcf,
    ngx_str_t *name)
{
    ngx_url_t                url;
    ngx_http_s3_srv_conf_t  *sscf;

    if (slcf->upstream.upstream || slcf->handler) {
        return "is duplicate";
    }

    ngx_memzero(&url, sizeof(ngx_url_t));

    url.url = *name;
    url.no_resolve = 1;

    slcf->upstream.upstream = ngx_http_upstream_add(cf, &url, 0);
    if (slcf->upstream.upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    slcf->control = ngx_http_s3_control_add(cf, slcf->upstream.upstream);
    if (slcf->control == NULL) {
        return NGX_CONF_ERROR;
    }

    sscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_s3_module);

    sscf->used = 1;

    return NGX_CONF_OK;
}


/* Of a directive whose first argument is an upstream. */

char *
ngx_http_s3_set_handler(ngx_conf_t *cf, ngx_http_s3_loc_conf_t *slcf,
    ngx_http_handler_pt handler)
{
    char                      *rv;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;

    rv = ngx_http_s3_set_upstream(cf, slcf, &value[1]);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    slcf->handler = handler;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                      *rv;
    ngx_http_core_srv_conf_t  *cscf, **cscfp;
    ngx_http_s3_main_conf_t   *smcf;

    rv = ngx_http_s3_set_handler(cf, conf, ngx_http_s3_handler);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_module);
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    cscfp = ngx_array_push(&smcf->servers);
    if (cscfp == NULL) {
        return NGX_CONF_ERROR;
    }

    *cscfp = cscf;

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_main_conf_t *smcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    if (smcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    name = value[1];

    if (name.len > 5 && ngx_strncmp(name.data, "zone=", 5) == 0) {
        name.data += 5;
        name.len -= 5;
    }

    p = ngx_strlchr(name.data, name.data + name.len, ':');

    if (p == NULL || p == name.data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"s3_zone\" value \"%V\", "
                           "\"name:size\" is needed", &value[1]);
        return NGX_CONF_ERROR;
    }

    s.data = p + 1;
    s.len = name.data + name.len - s.data;
    name.len = p - name.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size in \"s3_zone\" value \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"s3_zone\" \"%V\" is too small, "
                           "%uz bytes are the least", &value[1],
                           8 * ngx_pagesize);
        return NGX_CONF_ERROR;
    }

    smcf->zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_s3_module);
    if (smcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    smcf->zone->init = ngx_http_s3_zone_init;

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_region(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_loc_conf_t *slcf = conf;

    u_char      ch;
    ngx_str_t  *value;
    ngx_uint_t  i;

    if (slcf->region.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; i < value[1].len; i++) {
        ch = value[1].data[i];

        if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
            || ch == '-')
        {
            continue;
        }

        break;
    }

    if (i < value[1].len || i > 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"s3_region\" value \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->region = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_domain(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_loc_conf_t *slcf = conf;

    u_char      ch;
    s3_str_t   *domain;
    ngx_str_t  *value;
    ngx_uint_t  i, n;

    if (slcf->domains == NGX_CONF_UNSET_PTR) {
        slcf->domains = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                         sizeof(s3_str_t));
        if (slcf->domains == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (n = 1; n < cf->args->nelts; n++) {

        ngx_strlow(value[n].data, value[n].data, value[n].len);

        for (i = 0; i < value[n].len; i++) {
            ch = value[n].data[i];

            if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
                || ch == '-'
                || (ch == '.' && i > 0 && value[n].data[i - 1] != '.'))
            {
                continue;
            }

            break;
        }

        if (i == 0 || i < value[n].len || value[n].data[i - 1] == '.') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"s3_domain\" value \"%V\"",
                               &value[n]);
            return NGX_CONF_ERROR;
        }

        domain = ngx_array_push(slcf->domains);
        if (domain == NULL) {
            return NGX_CONF_ERROR;
        }

        domain->len = value[n].len;
        domain->data = value[n].data;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_buffer_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t *size = data;

    if (*size < 4096) {
        return "must be at least 4096";
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                 i;
    ngx_http_s3_control_t    **control;
    ngx_http_s3_main_conf_t   *smcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    smcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_s3_module);

    if (smcf == NULL) {
        return NGX_OK;
    }

    control = smcf->controls.elts;

    for (i = 0; i < smcf->controls.nelts; i++) {
        ngx_http_s3_control_start(cycle, control[i]);
    }

    return NGX_OK;
}
