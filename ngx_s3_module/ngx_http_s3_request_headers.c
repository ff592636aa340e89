
/*
 * What of the client's arguments and headers goes into the REQUEST frame.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_request_hoisted(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, s3_field_t *arg, s3_field_t *header);
static ngx_uint_t ngx_http_s3_is_hoisted(s3_field_t *arg);
static ngx_int_t ngx_http_s3_request_header(ngx_http_request_t *r,
    s3_field_t *field);
static ngx_int_t ngx_http_s3_content_encoding(ngx_http_request_t *r,
    s3_field_t *field);
static ngx_uint_t ngx_http_s3_next_token(u_char **pos, u_char *last,
    ngx_str_t *token);


/* Headers that S3 gives a meaning; x-amz-* are all sent but for these two. */

static ngx_str_t  ngx_http_s3_headers[] = {
    ngx_string("range"),
    ngx_string("if-match"),
    ngx_string("if-none-match"),
    ngx_string("if-modified-since"),
    ngx_string("if-unmodified-since"),
    ngx_string("if-range"),
    ngx_string("content-type"),
    ngx_string("content-encoding"),
    ngx_string("content-language"),
    ngx_string("content-disposition"),
    ngx_string("content-md5"),
    ngx_string("cache-control"),
    ngx_string("expires"),
    ngx_string("origin"),
    ngx_string("access-control-request-method"),
    ngx_string("access-control-request-headers"),
    ngx_string("user-agent"),
    ngx_string("referer"),
    ngx_null_string
};

static ngx_str_t  ngx_http_s3_auth_args[] = {
    ngx_string("X-Amz-Algorithm"),
    ngx_string("X-Amz-Credential"),
    ngx_string("X-Amz-Date"),
    ngx_string("X-Amz-Expires"),
    ngx_string("X-Amz-SignedHeaders"),
    ngx_string("X-Amz-Signature"),
    ngx_string("X-Amz-Security-Token"),
    ngx_null_string
};


ngx_int_t
ngx_http_s3_request_args(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Request *request)
{
    size_t        i;
    s3_field_t   *arg;
    Wire__Field  *field;

    if (ctx->sigv4.nargs == 0) {
        return NGX_OK;
    }

    request->args = ngx_palloc(r->pool,
                               ctx->sigv4.nargs * sizeof(Wire__Field *));
    field = ngx_palloc(r->pool, ctx->sigv4.nargs * sizeof(Wire__Field));

    if (request->args == NULL || field == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->sigv4.nargs; i++) {
        arg = &ctx->sigv4.args[i];

        if (ctx->auth.presigned && ngx_http_s3_is_auth_arg(arg)) {
            continue;
        }

        wire__field__init(field);
        ngx_http_s3_set(field->name, arg->name);
        ngx_http_s3_set(field->value, arg->value);

        request->args[request->n_args++] = field++;
    }

    return NGX_OK;
}


/* What a pre-signed URL is authenticated by. */

ngx_uint_t
ngx_http_s3_is_auth_arg(s3_field_t *arg)
{
    ngx_str_t  *name;

    for (name = ngx_http_s3_auth_args; name->len; name++) {
        if (arg->name.len == name->len
            && ngx_memcmp(arg->name.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_s3_request_headers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Request *request)
{
    size_t        i, max;
    ngx_int_t     rc;
    s3_field_t    header;
    Wire__Field  *field;

    max = ctx->sigv4.nheaders + ctx->sigv4.nargs + 1;

    request->headers = ngx_palloc(r->pool, max * sizeof(Wire__Field *));
    field = ngx_palloc(r->pool, max * sizeof(Wire__Field));

    if (request->headers == NULL || field == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->sigv4.nheaders; i++) {
        header = ctx->sigv4.headers[i];

        rc = ngx_http_s3_request_header(r, &header);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        wire__field__init(field);
        ngx_http_s3_set(field->name, header.name);
        ngx_http_s3_set(field->value, header.value);

        request->headers[request->n_headers++] = field++;
    }

    if (!ctx->auth.presigned) {
        return NGX_OK;
    }

    for (i = 0; i < ctx->sigv4.nargs; i++) {

        rc = ngx_http_s3_request_hoisted(r, ctx, &ctx->sigv4.args[i], &header);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        wire__field__init(field);
        ngx_http_s3_set(field->name, header.name);
        ngx_http_s3_set(field->value, header.value);

        request->headers[request->n_headers++] = field++;
    }

    return NGX_OK;
}


/*
 * SDKs move x-amz-* headers into the query of a pre-signed URL, where the
 * signature covers them too.  A header that was sent goes first.
 */

static ngx_int_t
ngx_http_s3_request_hoisted(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    s3_field_t *arg, s3_field_t *header)
{
    size_t  i;

    if (!ngx_http_s3_is_hoisted(arg)) {
        return NGX_DECLINED;
    }

    header->name.len = arg->name.len;
    header->name.data = ngx_pnalloc(r->pool, arg->name.len);
    if (header->name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(header->name.data, arg->name.data, arg->name.len);
    header->value = arg->value;

    for (i = 0; i < ctx->sigv4.nheaders; i++) {
        if (header->name.len == ctx->sigv4.headers[i].name.len
            && ngx_memcmp(header->name.data, ctx->sigv4.headers[i].name.data,
                          header->name.len)
               == 0)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_s3_is_hoisted(s3_field_t *arg)
{
    ngx_str_t  *name;

    if (arg->name.len <= sizeof("x-amz-") - 1
        || ngx_strncasecmp(arg->name.data, (u_char *) "x-amz-",
                           sizeof("x-amz-") - 1)
           != 0)
    {
        return 0;
    }

    for (name = ngx_http_s3_auth_args; name->len; name++) {
        if (arg->name.len == name->len
            && ngx_strncasecmp(arg->name.data, name->data, name->len) == 0)
        {
            return 0;
        }
    }

    return 1;
}


/* An argument's name may hold any byte, that of the header it becomes not. */

ngx_int_t
ngx_http_s3_check_hoisted(ngx_http_s3_ctx_t *ctx)
{
    size_t       i;
    s3_field_t  *arg;

    if (!ctx->auth.presigned) {
        return NGX_OK;
    }

    for (i = 0; i < ctx->sigv4.nargs; i++) {
        arg = &ctx->sigv4.args[i];

        if (ngx_http_s3_is_hoisted(arg)
            && !ngx_http_s3_is_token(arg->name.data, arg->name.len))
        {
            (void) ngx_http_s3_set_error(ctx, S3_ERR_InvalidArgument);
            s3_error_add(&ctx->error, "ArgumentName", &arg->name);
            s3_error_add(&ctx->error, "ArgumentValue", &arg->value);
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* What the name of a header is made of: RFC 9110. */

ngx_uint_t
ngx_http_s3_is_token(u_char *p, size_t len)
{
    u_char  *last;

    for (last = p + len; p < last; p++) {
        if (*p <= ' ' || *p >= 0x7f
            || ngx_strchr("()<>@,;:\\\"/[]?={}", *p) != NULL)
        {
            return 0;
        }
    }

    return len != 0;
}


static ngx_int_t
ngx_http_s3_request_header(ngx_http_request_t *r, s3_field_t *field)
{
    if (!ngx_http_s3_is_for_s3d(field)) {
        return NGX_DECLINED;
    }

    if (field->name.len == sizeof("content-encoding") - 1
        && ngx_memcmp(field->name.data, "content-encoding", field->name.len)
           == 0)
    {
        return ngx_http_s3_content_encoding(r, field);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_s3_is_for_s3d(s3_field_t *field)
{
    ngx_str_t  *name;

    if (field->name.len > 6
        && ngx_memcmp(field->name.data, "x-amz-", 6) == 0)
    {
        return field->name.len != sizeof("x-amz-security-token") - 1
               || ngx_memcmp(field->name.data, "x-amz-security-token",
                             field->name.len)
                  != 0;
    }

    for (name = ngx_http_s3_headers; name->len; name++) {
        if (field->name.len == name->len
            && ngx_memcmp(field->name.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* "aws-chunked" is about the transfer and is not the object's. */

static ngx_int_t
ngx_http_s3_content_encoding(ngx_http_request_t *r, s3_field_t *field)
{
    u_char     *p, *last, *out, *start;
    ngx_str_t   token;

    start = ngx_pnalloc(r->pool, field->value.len + 1);
    if (start == NULL) {
        return NGX_ERROR;
    }

    out = start;
    p = field->value.data;
    last = p + field->value.len;

    while (ngx_http_s3_next_token(&p, last, &token)) {

        if (token.len == sizeof("aws-chunked") - 1
            && ngx_strncasecmp(token.data, (u_char *) "aws-chunked", token.len)
               == 0)
        {
            continue;
        }

        if (out != start) {
            *out++ = ',';
        }

        out = ngx_cpymem(out, token.data, token.len);
    }

    if (out == start) {
        return NGX_DECLINED;
    }

    field->value.data = start;
    field->value.len = out - start;

    return NGX_OK;
}


ngx_int_t
ngx_http_s3_request_trailers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Request *request)
{
    u_char               *p, *last;
    size_t                n;
    ngx_str_t             name;
    s3_field_t           *field;
    ProtobufCBinaryData  *trailer;

    field = s3_field_find(ctx->sigv4.headers, ctx->sigv4.nheaders,
                          "x-amz-trailer");

    if (field == NULL || field->value.len == 0) {
        return NGX_OK;
    }

    p = field->value.data;
    last = p + field->value.len;

    for (n = 0; ngx_http_s3_next_token(&p, last, &name); n++) {
        /* void */
    }

    trailer = ngx_palloc(r->pool, (n + 1) * sizeof(ProtobufCBinaryData));
    if (trailer == NULL) {
        return NGX_ERROR;
    }

    request->trailers = trailer;

    p = field->value.data;

    while (ngx_http_s3_next_token(&p, last, &name)) {

        trailer->len = name.len;
        trailer->data = ngx_pnalloc(r->pool, name.len);
        if (trailer->data == NULL) {
            return NGX_ERROR;
        }

        ngx_strlow(trailer->data, name.data, name.len);

        trailer++;
        request->n_trailers++;
    }

    return NGX_OK;
}


/* Of a list with commas; what is empty is none. */

static ngx_uint_t
ngx_http_s3_next_token(u_char **pos, u_char *last, ngx_str_t *token)
{
    u_char  *p, *end;

    p = *pos;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    token->data = p;

    while (p < last && *p != ',') {
        p++;
    }

    *pos = p;

    for (end = p; end > token->data && (end[-1] == ' ' || end[-1] == '\t');
         end--)
    {
        /* void */
    }

    token->len = end - token->data;

    return token->len != 0;
}
