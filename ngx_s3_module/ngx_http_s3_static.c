
/*
 * Objects as files.  What may answer a request (the object, its precompressed
 * forms, the index of a directory, fallbacks) goes to s3d as a list, and the
 * first that is there comes back: one round trip.  Errors and redirects are
 * nginx's own, as those of its static module.
 */


#include "ngx_http_s3_module.h"


typedef struct {
    ngx_http_request_t            *request;
    ngx_http_s3_static_conf_t     *conf;

    ngx_str_t                      bucket;
    ngx_str_t                      prefix;

    s3_coding_t                    codings[NGX_HTTP_S3_CODINGS + 1];
    ngx_uint_t                     ncodings;

    ngx_array_t                    candidates;  /* Wire__FileCandidate */
} ngx_http_s3_static_t;


typedef struct {
    ngx_str_t                      name;
    ngx_uint_t                     conditional; /* unsigned  conditional:1; */
} ngx_http_s3_static_header_t;


static ngx_int_t ngx_http_s3_static_request(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_http_s3_static_t *st);
static ngx_int_t ngx_http_s3_static_headers(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_static_target(ngx_http_s3_static_t *st);
static void ngx_http_s3_static_codings(ngx_http_s3_static_t *st);
static ngx_int_t ngx_http_s3_static_try(ngx_http_s3_static_t *st);
static ngx_int_t ngx_http_s3_static_add_uri(ngx_http_s3_static_t *st,
    ngx_str_t *uri);
static ngx_int_t ngx_http_s3_static_add_directory(ngx_http_s3_static_t *st,
    ngx_str_t *uri);
static ngx_int_t ngx_http_s3_static_add_object(ngx_http_s3_static_t *st,
    ngx_str_t *uri);
static ngx_int_t ngx_http_s3_static_add(ngx_http_s3_static_t *st,
    ngx_uint_t kind, ngx_str_t *uri, s3_coding_t *coding);
static ngx_int_t ngx_http_s3_static_key(ngx_http_s3_static_t *st,
    ngx_str_t *uri, s3_str_t *suffix, ProtobufCBinaryData *key);
static ngx_int_t ngx_http_s3_static_type(ngx_http_request_t *r,
    ngx_str_t *uri, ProtobufCBinaryData *type);
static ngx_int_t ngx_http_s3_static_join(ngx_http_request_t *r,
    ngx_str_t *out, ngx_str_t *one, ngx_str_t *two);
static ngx_int_t ngx_http_s3_static_location(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_static_header_filter(ngx_http_request_t *r);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


/* the conditional ones are of the page that was asked for, and of no other */

static ngx_http_s3_static_header_t  ngx_http_s3_static_names[] = {
    { ngx_string("range"), 1 },
    { ngx_string("if-range"), 1 },
    { ngx_string("if-match"), 1 },
    { ngx_string("if-none-match"), 1 },
    { ngx_string("if-modified-since"), 1 },
    { ngx_string("if-unmodified-since"), 1 },
    { ngx_string("origin"), 0 },
    { ngx_string("user-agent"), 0 },
    { ngx_string("referer"), 0 },
    { ngx_null_string, 0 }
};


static ngx_str_t  ngx_http_s3_slash = ngx_string("/");


ngx_int_t
ngx_http_s3_static_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_s3_ctx_t       *ctx;
    ngx_http_s3_static_t     st;
    ngx_http_s3_loc_conf_t  *slcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    ctx = ngx_http_s3_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    ngx_memzero(&st, sizeof(ngx_http_s3_static_t));

    st.request = r;
    st.conf = &slcf->files;

    if (ngx_array_init(&st.candidates, r->pool, 4,
                       sizeof(Wire__FileCandidate))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_s3_static_target(&st) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_s3_static_codings(&st);

    if (ngx_http_s3_static_try(&st) != NGX_OK
        || ngx_http_s3_static_request(r, ctx, &st) != NGX_OK
        || ngx_http_s3_static_headers(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 static: \"%V\" \"%*s\", %ui candidates", &st.bucket,
                   ctx->route.key.len, ctx->route.key.data,
                   st.candidates.nelts);

    rc = ngx_http_s3_upstream_start(r, ctx);

    return (rc == NGX_ERROR) ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
}


/* What the REQUEST frame is made of. */

static ngx_int_t
ngx_http_s3_static_request(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_http_s3_static_t *st)
{
    ngx_str_t                  after;
    s3_str_t                   raw, decoded;
    ngx_uint_t                 i;
    Wire__FileRequest         *file;
    Wire__FileCandidate       *candidate;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    file = ngx_palloc(r->pool, sizeof(Wire__FileRequest));
    if (file == NULL) {
        return NGX_ERROR;
    }

    wire__file_request__init(file);

    file->candidates = ngx_palloc(r->pool, (st->candidates.nelts + 1)
                                           * sizeof(Wire__FileCandidate *));
    if (file->candidates == NULL) {
        return NGX_ERROR;
    }

    candidate = st->candidates.elts;

    for (i = 0; i < st->candidates.nelts; i++) {
        file->candidates[i] = &candidate[i];
    }

    file->n_candidates = st->candidates.nelts;
    file->max_ranges = clcf->max_ranges;
    file->exact_date = (clcf->if_modified_since == NGX_HTTP_IMS_EXACT);

    ngx_http_s3_set(file->title, r->uri);
    ngx_http_s3_set(file->default_type, clcf->default_type);

    /* said by who sent X-Accel-Redirect */
    ngx_http_s3_set(file->content_type, r->headers_out.content_type);

    if (st->conf->autoindex != NGX_HTTP_S3_AUTOINDEX_OFF
        && ngx_http_arg(r, (u_char *) "after", 5, &after) == NGX_OK)
    {
        raw.len = after.len;
        raw.data = after.data;

        if (s3_uri_decode(&ctx->memory, &raw, 1, &decoded) == 0) {
            ngx_http_s3_set(file->after, decoded);
        }
    }

    ctx->file = file;

    ctx->route.operation = WIRE__OPERATION__GET_FILE;
    ngx_http_s3_set(ctx->route.bucket, st->bucket);
    ngx_http_s3_set(ctx->sigv4.path, r->uri);
    ngx_http_s3_set(ctx->host, r->headers_in.server);

    if (file->n_candidates) {
        ngx_http_s3_set(ctx->route.key, candidate[0].key);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_static_headers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_uint_t                    i, asked;
    s3_field_t                   *field;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *h;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_s3_static_header_t  *name;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    field = ngx_palloc(r->pool, sizeof(ngx_http_s3_static_names)
                                / sizeof(ngx_http_s3_static_header_t)
                                * sizeof(s3_field_t));
    if (field == NULL) {
        return NGX_ERROR;
    }

    ctx->sigv4.headers = field;

    /* neither a subrequest nor the page of an error was asked for */

    asked = (r == r->main && r->err_status == 0);

    for (name = ngx_http_s3_static_names; name->name.len; name++) {

        if (name->conditional && !asked) {
            continue;
        }

        if (clcf->if_modified_since == NGX_HTTP_IMS_OFF
            && ngx_strcmp(name->name.data, "if-modified-since") == 0)
        {
            continue;
        }

        for (part = &r->headers_in.headers.part; part; part = part->next) {

            h = part->elts;

            for (i = 0; i < part->nelts; i++) {
                if (h[i].key.len == name->name.len
                    && ngx_strncmp(h[i].lowcase_key, name->name.data,
                                   name->name.len)
                       == 0)
                {
                    ngx_http_s3_set(field->name, name->name);
                    ngx_http_s3_set(field->value, h[i].value);
                    field++;
                    goto next;
                }
            }
        }

    next:

        continue;
    }

    ctx->sigv4.nheaders = field - ctx->sigv4.headers;

    return NGX_OK;
}


/* Bucket and prefix, as the location's variables have them now. */

static ngx_int_t
ngx_http_s3_static_target(ngx_http_s3_static_t *st)
{
    u_char     *p, *last;
    ngx_str_t   target;

    if (ngx_http_complex_value(st->request, st->conf->target, &target)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    last = target.data + target.len;

    p = ngx_strlchr(target.data, last, '/');

    st->bucket.data = target.data;
    st->bucket.len = (p ? p : last) - target.data;

    if (st->bucket.len == 0) {
        ngx_log_error(NGX_LOG_ERR, st->request->connection->log, 0,
                      "no bucket in \"s3_static\" value \"%V\"", &target);
        return NGX_ERROR;
    }

    if (p) {
        st->prefix.data = p + 1;
        st->prefix.len = last - p - 1;

        if (st->prefix.len && last[-1] == '/') {
            st->prefix.len--;
        }
    }

    return NGX_OK;
}


/* The forms of an object, in the order in which the client wants them. */

static void
ngx_http_s3_static_codings(ngx_http_s3_static_t *st)
{
    s3_str_t             value;
    ngx_http_request_t  *r;

    static s3_coding_t  identity = { s3_string("identity"), s3_string(""), 0 };

    r = st->request;

    value.len = 0;
    value.data = NULL;

    /* what is put into another page goes there as it is */

    if (st->conf->precompressed && r == r->main) {

        st->ncodings = st->conf->precompressed->nelts;

        ngx_memcpy(st->codings, st->conf->precompressed->elts,
                   st->ncodings * sizeof(s3_coding_t));

#if (NGX_HTTP_GZIP)
        if (r->headers_in.accept_encoding) {
            ngx_http_s3_set(value, r->headers_in.accept_encoding->value);
        }
#endif
    }

    st->codings[st->ncodings++] = identity;

    s3_accept(&value, st->codings, st->ncodings);
}


static ngx_int_t
ngx_http_s3_static_try(ngx_http_s3_static_t *st)
{
    ngx_str_t                  uri;
    ngx_uint_t                 i;
    ngx_http_request_t        *r;
    ngx_http_complex_value_t  *cv;

    r = st->request;

    if (st->conf->try == NULL) {

        /* as "s3_try $uri $uri/" */

        if (ngx_http_s3_static_add_uri(st, &r->uri) != NGX_OK
            || ngx_http_s3_static_join(r, &uri, &r->uri, &ngx_http_s3_slash)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_s3_static_add_uri(st, &uri);
    }

    cv = st->conf->try->elts;

    for (i = 0; i < st->conf->try->nelts; i++) {

        if (ngx_http_complex_value(r, &cv[i], &uri) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_s3_static_add_uri(st, &uri) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_static_add_uri(ngx_http_s3_static_t *st, ngx_str_t *uri)
{
    ngx_str_t  *asked;

    if (uri->len == 0 || uri->data[uri->len - 1] != '/') {
        return ngx_http_s3_static_add_object(st, uri);
    }

    asked = &st->request->uri;

    if (uri->len == asked->len + 1
        && ngx_strncmp(uri->data, asked->data, asked->len) == 0)
    {
        /* "$uri/": of "/dir/" it is the same directory once more */

        return (asked->data[asked->len - 1] == '/')
               ? NGX_OK
               : ngx_http_s3_static_add(st,
                             WIRE__FILE_CANDIDATE__KIND__DIRECTORY, uri, NULL);
    }

    return ngx_http_s3_static_add_directory(st, uri);
}


static ngx_int_t
ngx_http_s3_static_add_directory(ngx_http_s3_static_t *st, ngx_str_t *uri)
{
    ngx_str_t   *index, name;
    ngx_uint_t   i;

    index = st->conf->index->elts;

    for (i = 0; i < st->conf->index->nelts; i++) {

        if (ngx_http_s3_static_join(st->request, &name, uri, &index[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_s3_static_add_object(st, &name) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    switch (st->conf->autoindex) {

    case NGX_HTTP_S3_AUTOINDEX_HTML:
        return ngx_http_s3_static_add(st, WIRE__FILE_CANDIDATE__KIND__LISTING,
                                      uri, NULL);

    case NGX_HTTP_S3_AUTOINDEX_JSON:
        return ngx_http_s3_static_add(st,
                        WIRE__FILE_CANDIDATE__KIND__LISTING_JSON, uri, NULL);

    default: /* NGX_HTTP_S3_AUTOINDEX_OFF */
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_s3_static_add_object(ngx_http_s3_static_t *st, ngx_str_t *uri)
{
    ngx_uint_t    i;
    s3_coding_t  *coding;

    for (i = 0; i < st->ncodings; i++) {

        coding = &st->codings[i];

        if (coding->suffix.len && coding->q == 0) {
            continue;
        }

        if (ngx_http_s3_static_add(st, WIRE__FILE_CANDIDATE__KIND__OBJECT,
                                   uri, coding)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_static_add(ngx_http_s3_static_t *st, ngx_uint_t kind,
    ngx_str_t *uri, s3_coding_t *coding)
{
    Wire__FileCandidate  *candidate;

    candidate = ngx_array_push(&st->candidates);
    if (candidate == NULL) {
        return NGX_ERROR;
    }

    wire__file_candidate__init(candidate);

    candidate->kind = kind;

    if (ngx_http_s3_static_key(st, uri, coding ? &coding->suffix : NULL,
                               &candidate->key)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (candidate->key.len > S3_ROUTE_KEY_MAX) {
        /* there is no such key */
        st->candidates.nelts--;
        return NGX_OK;
    }

    if (coding == NULL) {
        return NGX_OK;
    }

    if (coding->suffix.len) {
        ngx_http_s3_set(candidate->encoding, coding->name);
    }

    return ngx_http_s3_static_type(st->request, uri, &candidate->type);
}


/* The prefix stands for the location's name, where the URI begins with that. */

static ngx_int_t
ngx_http_s3_static_key(ngx_http_s3_static_t *st, ngx_str_t *uri,
    s3_str_t *suffix, ProtobufCBinaryData *key)
{
    u_char     *p;
    ngx_str_t   rest, *location;

    rest = *uri;
    location = &st->conf->location;

    if (rest.len >= location->len
        && ngx_strncmp(rest.data, location->data, location->len) == 0)
    {
        rest.data += location->len;
        rest.len -= location->len;
    }

    if (rest.len && rest.data[0] == '/') {
        rest.data++;
        rest.len--;
    }

    p = ngx_pnalloc(st->request->pool, st->prefix.len + 1 + rest.len
                                       + (suffix ? suffix->len : 0));
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;

    p = ngx_cpymem(p, st->prefix.data, st->prefix.len);

    /* all of the URI may be the location's name: then the prefix is a key */

    if (st->prefix.len
        && (rest.len || uri->len == 0 || uri->data[uri->len - 1] == '/'))
    {
        *p++ = '/';
    }

    p = ngx_cpymem(p, rest.data, rest.len);

    if (suffix) {
        p = ngx_cpymem(p, suffix->data, suffix->len);
    }

    key->len = p - key->data;

    return NGX_OK;
}


/* What "types" say of the name's extension. */

static ngx_int_t
ngx_http_s3_static_type(ngx_http_request_t *r, ngx_str_t *uri,
    ProtobufCBinaryData *type)
{
    u_char                    *p, *start, *exten;
    size_t                     len;
    ngx_str_t                 *found;
    ngx_uint_t                 hash;
    ngx_http_core_loc_conf_t  *clcf;

    start = uri->data;

    for (p = start + uri->len; p > start && p[-1] != '.'; p--) {
        if (p[-1] == '/') {
            return NGX_OK;
        }
    }

    len = start + uri->len - p;

    if (p == start || len == 0) {
        return NGX_OK;
    }

    exten = ngx_pnalloc(r->pool, len);
    if (exten == NULL) {
        return NGX_ERROR;
    }

    hash = ngx_hash_strlow(exten, p, len);

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    found = ngx_hash_find(&clcf->types_hash, hash, exten, len);

    if (found) {
        ngx_http_s3_set(*type, *found);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_static_join(ngx_http_request_t *r, ngx_str_t *out, ngx_str_t *one,
    ngx_str_t *two)
{
    u_char  *p;

    out->len = one->len + two->len;
    out->data = ngx_pnalloc(r->pool, out->len);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(out->data, one->data, one->len);
    ngx_memcpy(p, two->data, two->len);

    return NGX_OK;
}


/*
 * s3d's status has come.  What is neither the object nor "not modified" becomes
 * a page of nginx's: ctx->file_status says so to the header filter.
 */

ngx_int_t
ngx_http_s3_static_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_http_s3_loc_conf_t    *slcf;
#if (NGX_HTTP_GZIP)
    ngx_http_core_loc_conf_t  *clcf;
#endif

    static ngx_str_t  vary = ngx_string("Accept-Encoding");

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    if (status == NGX_HTTP_MOVED_PERMANENTLY) {
        ctx->file_status = status;
        return ngx_http_s3_static_location(r);
    }

    if (status >= NGX_HTTP_SPECIAL_RESPONSE
        && status != NGX_HTTP_NOT_MODIFIED)
    {
        ctx->file_status = (status == NGX_HTTP_NOT_FOUND)
                           ? slcf->files.try_status : status;
        return NGX_OK;
    }

    if (slcf->files.precompressed == NULL || r != r->main) {
        return NGX_OK;
    }

#if (NGX_HTTP_GZIP)

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->gzip_vary) {
        r->gzip_vary = 1;
        return NGX_OK;
    }

#endif

    return ngx_http_s3_add_header(r, "Vary", &vary);
}


/* What came with X-Accel-Redirect goes before what the object says. */

ngx_uint_t
ngx_http_s3_static_is_said(ngx_http_request_t *r, u_char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, name, len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


/* "/dir" is a directory. */

static ngx_int_t
ngx_http_s3_static_location(ngx_http_request_t *r)
{
    u_char           *p;
    size_t            len;
    uintptr_t         escape;
    ngx_table_elt_t  *location;

    ngx_http_clear_location(r);

    location = ngx_list_push(&r->headers_out.headers);
    if (location == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.location = location;

    escape = 2 * ngx_escape_uri(NULL, r->uri.data, r->uri.len,
                                NGX_ESCAPE_URI);

    len = r->uri.len + escape + 1;

    if (r->args.len) {
        len += r->args.len + 1;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        ngx_http_clear_location(r);
        return NGX_ERROR;
    }

    location->hash = 1;
    ngx_str_set(&location->key, "Location");
    location->value.len = len;
    location->value.data = p;
#if (nginx_version >= 1023000)
    location->next = NULL;
#endif

    p = (u_char *) ngx_escape_uri(p, r->uri.data, r->uri.len, NGX_ESCAPE_URI);

    *p++ = '/';

    if (r->args.len) {
        *p++ = '?';
        ngx_memcpy(p, r->args.data, r->args.len);
    }

    return NGX_OK;
}


void
ngx_http_s3_static_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_s3_static_header_filter;
}


/*
 * A status that a header filter returns, having sent nothing, is what the
 * request is finalized with: nginx's range filter does the same.
 */

static ngx_int_t
ngx_http_s3_static_header_filter(ngx_http_request_t *r)
{
    ngx_int_t           status;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL || ctx->file_status == 0) {
        return ngx_http_next_header_filter(r);
    }

    status = ctx->file_status;
    ctx->file_status = 0;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 static: nginx's page for %i", status);

    ngx_http_clear_content_length(r);

    return status;
}
