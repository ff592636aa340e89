
/*
 * The directives of s3_static.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_static_complex(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv);


static s3_coding_t  ngx_http_s3_codings[] = {
    { s3_string("br"), s3_string(".br"), 0 },
    { s3_string("zstd"), s3_string(".zst"), 0 },
    { s3_string("gzip"), s3_string(".gz"), 0 }
};


void
ngx_http_s3_static_create(ngx_http_s3_static_conf_t *conf)
{
    conf->target = NGX_CONF_UNSET_PTR;
    conf->index = NGX_CONF_UNSET_PTR;
    conf->try = NGX_CONF_UNSET_PTR;
    conf->precompressed = NGX_CONF_UNSET_PTR;
    conf->autoindex = NGX_CONF_UNSET_UINT;
}


/*
 * As root is, s3_static is inherited, by locations that have no handler of
 * their own.
 */

char *
ngx_http_s3_static_merge(ngx_conf_t *cf, ngx_http_s3_loc_conf_t *prev,
    ngx_http_s3_loc_conf_t *conf)
{
    ngx_str_t                  *index;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_s3_static_conf_t  *from, *to;

    from = &prev->files;
    to = &conf->files;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (to->target == NGX_CONF_UNSET_PTR) {
        to->target = NULL;

        if (from->target != NGX_CONF_UNSET_PTR && from->target != NULL
            && conf->upstream.upstream == NULL && clcf->handler == NULL)
        {
            to->target = from->target;
            to->location = from->location;
            conf->upstream.upstream = prev->upstream.upstream;
            conf->control = prev->control;
            clcf->handler = ngx_http_s3_static_handler;
        }
    }

    ngx_conf_merge_ptr_value(to->try, from->try, NULL);
    ngx_conf_merge_ptr_value(to->precompressed, from->precompressed, NULL);
    ngx_conf_merge_uint_value(to->autoindex, from->autoindex,
                              NGX_HTTP_S3_AUTOINDEX_OFF);

    if (to->try_status == 0) {
        to->try_status = from->try_status ? from->try_status
                                          : NGX_HTTP_NOT_FOUND;
    }

    ngx_conf_merge_ptr_value(to->index, from->index, NULL);

    if (to->index == NULL) {
        to->index = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
        if (to->index == NULL) {
            return NGX_CONF_ERROR;
        }

        index = ngx_array_push(to->index);
        if (index == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_str_set(index, "index.html");
    }

    return NGX_CONF_OK;
}


/* s3_static UPSTREAM BUCKET[/PREFIX] | off */

char *
ngx_http_s3_static(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_loc_conf_t *slcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (slcf->files.target != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") != 0) {
            return "requires an upstream and a bucket, or \"off\"";
        }

        slcf->files.target = NULL;

        return NGX_CONF_OK;
    }

    rv = ngx_http_s3_set_upstream(cf, slcf, &value[1]);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    slcf->files.target = ngx_palloc(cf->pool,
                                    sizeof(ngx_http_complex_value_t));
    if (slcf->files.target == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_s3_static_complex(cf, &value[2], slcf->files.target)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_s3_static_handler;

    /* what the bucket and the prefix stand for; an alias in nginx's words */

    if (clcf->name.len && clcf->name.data[0] == '/'
#if (NGX_PCRE)
        && clcf->regex == NULL
#endif
       )
    {
        slcf->files.location = clcf->name;

        if (clcf->name.data[clcf->name.len - 1] == '/') {
            clcf->auto_redirect = 1;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_s3_index(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_loc_conf_t *slcf = conf;

    ngx_str_t   *value, *index;
    ngx_uint_t   i;

    if (slcf->files.index != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    slcf->files.index = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                         sizeof(ngx_str_t));
    if (slcf->files.index == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0
            || ngx_strlchr(value[i].data, value[i].data + value[i].len, '/'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "index \"%V\" in \"s3_index\" is no name",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        index = ngx_array_push(slcf->files.index);
        if (index == NULL) {
            return NGX_CONF_ERROR;
        }

        *index = value[i];
    }

    return NGX_CONF_OK;
}


/* s3_try URI ... [=CODE] */

char *
ngx_http_s3_try(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_loc_conf_t *slcf = conf;

    ngx_str_t                 *value;
    ngx_int_t                  code;
    ngx_uint_t                 i, n;
    ngx_http_complex_value_t  *cv;

    if (slcf->files.try != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = cf->args->nelts - 1;

    if (value[n].data[0] == '=') {

        code = ngx_atoi(value[n].data + 1, value[n].len - 1);

        if (code < NGX_HTTP_BAD_REQUEST || code > 599) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid code \"%V\" in \"s3_try\", "
                               "400 .. 599 is needed", &value[n]);
            return NGX_CONF_ERROR;
        }

        slcf->files.try_status = code;
        n--;

    } else {
        slcf->files.try_status = NGX_HTTP_NOT_FOUND;
    }

    if (n == 0) {
        return "requires a URI";
    }

    slcf->files.try = ngx_array_create(cf->pool, n,
                                       sizeof(ngx_http_complex_value_t));
    if (slcf->files.try == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i <= n; i++) {

        cv = ngx_array_push(slcf->files.try);
        if (cv == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_s3_static_complex(cf, &value[i], cv) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* s3_precompressed br zst gz | off */

char *
ngx_http_s3_precompressed(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_loc_conf_t *slcf = conf;

    ngx_str_t    *value;
    ngx_uint_t    i, k;
    s3_coding_t  *coding;

    if (slcf->files.precompressed != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        slcf->files.precompressed = NULL;
        return NGX_CONF_OK;
    }

    if (cf->args->nelts - 1 > NGX_HTTP_S3_CODINGS) {
        return "has too many parameters";
    }

    slcf->files.precompressed = ngx_array_create(cf->pool,
                                                 cf->args->nelts - 1,
                                                 sizeof(s3_coding_t));
    if (slcf->files.precompressed == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        for (k = 0; k < NGX_HTTP_S3_CODINGS; k++) {
            if (ngx_strcmp(value[i].data,
                           ngx_http_s3_codings[k].suffix.data + 1)
                == 0)
            {
                break;
            }
        }

        if (k == NGX_HTTP_S3_CODINGS) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of "
                               "\"s3_precompressed\", \"br\", \"zst\" or "
                               "\"gz\" is needed", &value[i]);
            return NGX_CONF_ERROR;
        }

        coding = ngx_array_push(slcf->files.precompressed);
        if (coding == NULL) {
            return NGX_CONF_ERROR;
        }

        *coding = ngx_http_s3_codings[k];
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_static_complex(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    return ngx_http_compile_complex_value(&ccv);
}
