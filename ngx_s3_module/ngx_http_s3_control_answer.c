
/*
 * The frames of an answer on the control connection: ANSWER, REPLY, DATA, END,
 * which stand together.  They are gathered in the pool of the request that
 * waits for them; if it has gone meanwhile, they are passed over.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_UNASKED_MAX  63


static ngx_int_t ngx_http_s3_answer_room(ngx_http_request_t *r,
    ngx_http_s3_answer_t *answer);


ngx_int_t
ngx_http_s3_answer_begin(ngx_http_s3_control_t *control)
{
    Wire__Answer          *message;
    protobuf_c_boolean     declined;
    ngx_http_s3_waiter_t  *waiter;

    if (control->answering) {
        return NGX_ERROR;
    }

    message = wire__answer__unpack(NULL, control->reader.header.length,
                                   control->reader.message);
    if (message == NULL) {
        return NGX_ERROR;
    }

    waiter = ngx_http_s3_control_find(control, message->id);
    declined = message->declined;

    wire__answer__free_unpacked(message, NULL);

    if (!declined) {
        control->declined /= 2;
        control->answering = 1;
        control->answered = waiter;
        return NGX_OK;
    }

    /* the next reads are likely to be large as well: back-off */

    control->declined = ngx_min(control->declined * 2 + 1,
                                NGX_HTTP_S3_UNASKED_MAX);
    control->unasked = control->declined;

    if (waiter) {
        ngx_http_s3_control_answer(waiter, NULL);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_s3_answer_reply(ngx_http_s3_control_t *control)
{
    ngx_http_s3_answer_t  *answer;
    ngx_http_s3_waiter_t  *waiter;

    waiter = control->answered;

    if (waiter == NULL) {
        return control->answering ? NGX_OK : NGX_ERROR;
    }

    answer = &waiter->answer;

    if (answer->reply) {
        return NGX_ERROR;
    }

    answer->reply = ngx_http_s3_reply_unpack(waiter->request,
                                             control->reader.message,
                                             control->reader.header.length);
    if (answer->reply == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_s3_answer_room(waiter->request, answer);
}


static ngx_int_t
ngx_http_s3_answer_room(ngx_http_request_t *r, ngx_http_s3_answer_t *answer)
{
    Wire__Reply  *reply;

    reply = answer->reply;

    if (reply->body == WIRE__REPLY__BODY__NONE || r->method == NGX_HTTP_HEAD) {
        return NGX_OK;
    }

    if (!reply->has_content_length || reply->content_length > ASK_BODY_MAX) {
        return NGX_ERROR;
    }

    answer->body = ngx_pnalloc(r->pool, reply->content_length);
    if (answer->body == NULL) {
        return NGX_ERROR;
    }

    answer->last = answer->body;
    answer->end = answer->body + reply->content_length;

    return NGX_OK;
}


/* Bytes of a body: neither more nor less than REPLY has said. */

ngx_int_t
ngx_http_s3_answer_data(ngx_http_s3_control_t *control, u_char *pos,
    size_t len)
{
    ngx_http_s3_answer_t  *answer;

    if (!control->answering) {
        return NGX_ERROR;
    }

    if (control->answered == NULL) {
        return NGX_OK;
    }

    answer = &control->answered->answer;

    if (len > (size_t) (answer->end - answer->last)) {
        return NGX_ERROR;
    }

    answer->last = ngx_cpymem(answer->last, pos, len);

    return NGX_OK;
}


ngx_int_t
ngx_http_s3_answer_end(ngx_http_s3_control_t *control)
{
    ngx_http_s3_waiter_t  *waiter;

    if (!control->answering) {
        return NGX_ERROR;
    }

    waiter = control->answered;

    control->answering = 0;
    control->answered = NULL;

    if (waiter == NULL) {
        return NGX_OK;
    }

    if (waiter->answer.reply == NULL
        || waiter->answer.last != waiter->answer.end)
    {
        return NGX_ERROR;
    }

    ngx_http_s3_control_answer(waiter, &waiter->answer);

    return NGX_OK;
}
