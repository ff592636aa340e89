
/*
 * What may answer a request for a file: the object, its precompressed forms,
 * the index or a listing of a directory, fallbacks; the best first.
 */


#include "ngx_http_s3_module.h"


typedef struct {
    ngx_http_request_t            *request;
    ngx_http_s3_static_conf_t     *conf;

    ngx_str_t                      bucket;
    ngx_str_t                      prefix;

    s3_coding_t                    codings[NGX_HTTP_S3_CODINGS + 1];
    ngx_uint_t                     ncodings;

    ngx_array_t                    found;     /* Wire__FileCandidate */
} ngx_http_s3_candidates_t;


static ngx_int_t ngx_http_s3_candidates_target(ngx_http_s3_candidates_t *cs);
static void ngx_http_s3_candidates_codings(ngx_http_s3_candidates_t *cs);
static ngx_int_t ngx_http_s3_candidates_try(ngx_http_s3_candidates_t *cs);
static ngx_int_t ngx_http_s3_candidates_uri(ngx_http_s3_candidates_t *cs,
    ngx_str_t *uri);
static ngx_int_t ngx_http_s3_candidates_directory(
    ngx_http_s3_candidates_t *cs, ngx_str_t *uri);
static ngx_int_t ngx_http_s3_candidates_object(ngx_http_s3_candidates_t *cs,
    ngx_str_t *uri);
static ngx_int_t ngx_http_s3_candidates_add(ngx_http_s3_candidates_t *cs,
    ngx_uint_t kind, ngx_str_t *uri, s3_coding_t *coding);
static ngx_int_t ngx_http_s3_candidates_key(ngx_http_s3_candidates_t *cs,
    ngx_str_t *uri, s3_str_t *suffix, ProtobufCBinaryData *key);
static ngx_int_t ngx_http_s3_candidates_type(ngx_http_request_t *r,
    ngx_str_t *uri, ProtobufCBinaryData *type);
static ngx_int_t ngx_http_s3_candidates_join(ngx_http_request_t *r,
    ngx_str_t *out, ngx_str_t *one, ngx_str_t *two);


static ngx_str_t  ngx_http_s3_slash = ngx_string("/");


ngx_int_t
ngx_http_s3_candidates(ngx_http_request_t *r, ngx_http_s3_static_conf_t *conf,
    ngx_str_t *bucket, Wire__FileRequest *file)
{
    ngx_uint_t                 i;
    Wire__FileCandidate       *candidate;
    ngx_http_s3_candidates_t   cs;

    ngx_memzero(&cs, sizeof(ngx_http_s3_candidates_t));

    cs.request = r;
    cs.conf = conf;

    if (ngx_array_init(&cs.found, r->pool, 4, sizeof(Wire__FileCandidate))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_s3_candidates_target(&cs) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_s3_candidates_codings(&cs);

    if (ngx_http_s3_candidates_try(&cs) != NGX_OK) {
        return NGX_ERROR;
    }

    file->candidates = ngx_palloc(r->pool, (cs.found.nelts + 1)
                                           * sizeof(Wire__FileCandidate *));
    if (file->candidates == NULL) {
        return NGX_ERROR;
    }

    candidate = cs.found.elts;

    for (i = 0; i < cs.found.nelts; i++) {
        file->candidates[i] = &candidate[i];
    }

    file->n_candidates = cs.found.nelts;

    *bucket = cs.bucket;

    return NGX_OK;
}


/* Bucket and prefix, as the location's variables have them now. */

static ngx_int_t
ngx_http_s3_candidates_target(ngx_http_s3_candidates_t *cs)
{
    u_char     *p, *last;
    ngx_str_t   target;

    if (ngx_http_complex_value(cs->request, cs->conf->target, &target)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    last = target.data + target.len;

    p = ngx_strlchr(target.data, last, '/');

    cs->bucket.data = target.data;
    cs->bucket.len = (p ? p : last) - target.data;

    if (cs->bucket.len == 0) {
        ngx_log_error(NGX_LOG_ERR, cs->request->connection->log, 0,
                      "no bucket in \"s3_static\" value \"%V\"", &target);
        return NGX_ERROR;
    }

    if (p) {
        cs->prefix.data = p + 1;
        cs->prefix.len = last - p - 1;

        if (cs->prefix.len && last[-1] == '/') {
            cs->prefix.len--;
        }

        /* an empty variable must not open the whole bucket */

        if (cs->prefix.len == 0 && cs->conf->target->lengths) {
            ngx_log_error(NGX_LOG_ERR, cs->request->connection->log, 0,
                          "no prefix in \"s3_static\" value \"%V\"", &target);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The forms of an object, in the order in which the client wants them. */

static void
ngx_http_s3_candidates_codings(ngx_http_s3_candidates_t *cs)
{
    s3_str_t             value;
    ngx_http_request_t  *r;

    static s3_coding_t  identity = { s3_string("identity"), s3_string(""), 0 };

    r = cs->request;

    value.len = 0;
    value.data = NULL;

    /* what is put into another page goes there as it is */

    if (cs->conf->precompressed && r == r->main) {

        cs->ncodings = cs->conf->precompressed->nelts;

        ngx_memcpy(cs->codings, cs->conf->precompressed->elts,
                   cs->ncodings * sizeof(s3_coding_t));

#if (NGX_HTTP_GZIP)
        if (r->headers_in.accept_encoding) {
            ngx_http_s3_set(value, r->headers_in.accept_encoding->value);
        }
#endif
    }

    cs->codings[cs->ncodings++] = identity;

    s3_accept(&value, cs->codings, cs->ncodings);
}


static ngx_int_t
ngx_http_s3_candidates_try(ngx_http_s3_candidates_t *cs)
{
    ngx_str_t                  uri;
    ngx_uint_t                 i;
    ngx_http_request_t        *r;
    ngx_http_complex_value_t  *cv;

    r = cs->request;

    if (cs->conf->try == NULL) {

        /* as "s3_try $uri $uri/" */

        if (ngx_http_s3_candidates_uri(cs, &r->uri) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_s3_candidates_join(r, &uri, &r->uri, &ngx_http_s3_slash)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_s3_candidates_uri(cs, &uri);
    }

    cv = cs->conf->try->elts;

    for (i = 0; i < cs->conf->try->nelts; i++) {

        if (ngx_http_complex_value(r, &cv[i], &uri) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_s3_candidates_uri(cs, &uri) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_candidates_uri(ngx_http_s3_candidates_t *cs, ngx_str_t *uri)
{
    ngx_str_t  *asked;

    if (uri->len == 0 || uri->data[uri->len - 1] != '/') {
        return ngx_http_s3_candidates_object(cs, uri);
    }

    asked = &cs->request->uri;

    if (uri->len == asked->len + 1
        && ngx_strncmp(uri->data, asked->data, asked->len) == 0)
    {
        /* "$uri/": of "/dir/" it is the same directory once more */

        return (asked->data[asked->len - 1] == '/')
               ? NGX_OK
               : ngx_http_s3_candidates_add(cs,
                             WIRE__FILE_CANDIDATE__KIND__DIRECTORY, uri, NULL);
    }

    return ngx_http_s3_candidates_directory(cs, uri);
}


static ngx_int_t
ngx_http_s3_candidates_directory(ngx_http_s3_candidates_t *cs, ngx_str_t *uri)
{
    ngx_str_t   *index, name;
    ngx_uint_t   i, kind;

    index = cs->conf->index->elts;

    for (i = 0; i < cs->conf->index->nelts; i++) {

        if (ngx_http_s3_candidates_join(cs->request, &name, uri, &index[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_s3_candidates_object(cs, &name) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (cs->conf->autoindex == NGX_HTTP_S3_AUTOINDEX_OFF) {
        return NGX_OK;
    }

    kind = (cs->conf->autoindex == NGX_HTTP_S3_AUTOINDEX_JSON)
           ? WIRE__FILE_CANDIDATE__KIND__LISTING_JSON
           : WIRE__FILE_CANDIDATE__KIND__LISTING;

    return ngx_http_s3_candidates_add(cs, kind, uri, NULL);
}


static ngx_int_t
ngx_http_s3_candidates_object(ngx_http_s3_candidates_t *cs, ngx_str_t *uri)
{
    ngx_uint_t    i;
    s3_coding_t  *coding;

    for (i = 0; i < cs->ncodings; i++) {

        coding = &cs->codings[i];

        if (coding->suffix.len && coding->q == 0) {
            continue;
        }

        if (ngx_http_s3_candidates_add(cs, WIRE__FILE_CANDIDATE__KIND__OBJECT,
                                       uri, coding)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_candidates_add(ngx_http_s3_candidates_t *cs, ngx_uint_t kind,
    ngx_str_t *uri, s3_coding_t *coding)
{
    Wire__FileCandidate  *candidate;

    candidate = ngx_array_push(&cs->found);
    if (candidate == NULL) {
        return NGX_ERROR;
    }

    wire__file_candidate__init(candidate);

    candidate->kind = kind;

    if (ngx_http_s3_candidates_key(cs, uri, coding ? &coding->suffix : NULL,
                                   &candidate->key)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (candidate->key.len > S3_ROUTE_KEY_MAX) {
        /* there is no such key */
        cs->found.nelts--;
        return NGX_OK;
    }

    if (coding == NULL) {
        return NGX_OK;
    }

    if (coding->suffix.len) {
        ngx_http_s3_set(candidate->encoding, coding->name);
    }

    return ngx_http_s3_candidates_type(cs->request, uri, &candidate->type);
}


/* The prefix stands for the location's name, if the URI begins with that. */

static ngx_int_t
ngx_http_s3_candidates_key(ngx_http_s3_candidates_t *cs, ngx_str_t *uri,
    s3_str_t *suffix, ProtobufCBinaryData *key)
{
    u_char     *p;
    ngx_str_t   rest, *location;

    rest = *uri;
    location = &cs->conf->location;

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

    p = ngx_pnalloc(cs->request->pool, cs->prefix.len + 1 + rest.len
                                       + (suffix ? suffix->len : 0));
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;

    p = ngx_cpymem(p, cs->prefix.data, cs->prefix.len);

    /* all of the URI may be the location's name: then the prefix is a key */

    if (cs->prefix.len
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
ngx_http_s3_candidates_type(ngx_http_request_t *r, ngx_str_t *uri,
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
ngx_http_s3_candidates_join(ngx_http_request_t *r, ngx_str_t *out,
    ngx_str_t *one, ngx_str_t *two)
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
