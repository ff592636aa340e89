
/*
 * Variables, for access logs above all.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_str_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_s3_operation_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_s3_hot_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_s3_vars[] = {

    { ngx_string("s3_request_id"), NULL, ngx_http_s3_str_variable,
      offsetof(ngx_http_s3_ctx_t, request_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("s3_operation"), NULL, ngx_http_s3_operation_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("s3_bucket"), NULL, ngx_http_s3_str_variable,
      offsetof(ngx_http_s3_ctx_t, route.bucket),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("s3_key"), NULL, ngx_http_s3_str_variable,
      offsetof(ngx_http_s3_ctx_t, route.key), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("s3_access_key"), NULL, ngx_http_s3_str_variable,
      offsetof(ngx_http_s3_ctx_t, auth.access_key),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("s3_error_code"), NULL, ngx_http_s3_str_variable,
      offsetof(ngx_http_s3_ctx_t, code), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("s3_hot"), NULL, ngx_http_s3_hot_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_s3_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_s3_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/* s3_str_t has the layout of ngx_str_t. */

static ngx_int_t
ngx_http_s3_str_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t          *s;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_s3_find_ctx(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    s = (ngx_str_t *) ((u_char *) ctx + data);

    if (s->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = s->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = s->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_operation_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    char               *name;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_s3_find_ctx(r);

    if (ctx == NULL || ctx->route.operation == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    name = ngx_pnalloc(r->pool, OPERATION_NAME_SIZE);
    if (name == NULL) {
        return NGX_ERROR;
    }

    operation_name(ctx->route.operation, name);

    v->len = ngx_strlen(name);
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = (u_char *) name;

    return NGX_OK;
}


/* "HIT" if s3d was not asked. */

static ngx_int_t
ngx_http_s3_hot_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL || !ctx->hot) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = sizeof("HIT") - 1;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = (u_char *) "HIT";

    return NGX_OK;
}
